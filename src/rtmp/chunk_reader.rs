//! Incoming chunks (RTMP 1.0, section 5.3): a pull parser that walks the input in place.
//!
//! It keeps 28 bytes per chunk stream and at most one half-read chunk header; payload is handed on as slices of the
//! input. Cutting the input anywhere gives the same events.

use core::ops::Deref;

use byteorder::{BigEndian, ByteOrder, LittleEndian};

use crate::limits::CHUNK_STREAMS;
use crate::wire::chunk::{
    BasicHeader, DEFAULT_CHUNK_BYTES, EXTENDED_TIMESTAMP, Format, MAX_HEADER_BYTES, MessageHeader,
};

/// After a type-0 header, a type-3 header that begins a message repeats the timestamp field as delta (section 5.3.1.2.4).
/// Encoders that mean "no delta" instead are told apart by the jump that the rule would give, in milliseconds.
const REPEATED_DELTA_LIMIT_MS: u32 = 10_000;

/// One chunk stream of a connection, by its place in the connection's table. Messages of different lanes interleave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lane(pub u8);

/// What a chunk says about its message.
#[derive(Debug, PartialEq, Eq)]
pub enum ChunkEvent<'i> {
    /// A message begins; [`ChunkEvent::End`] or [`ChunkEvent::Abandoned`] follows on the same lane.
    Begin {
        /// Its chunk stream.
        lane: Lane,
        /// Its header, with the timestamp made absolute.
        header: MessageHeader,
    },
    /// The next bytes of the lane's message.
    Payload {
        /// The chunk stream.
        lane: Lane,
        /// Never empty.
        bytes: Payload<'i>,
    },
    /// The lane's message is complete.
    End {
        /// The chunk stream.
        lane: Lane,
    },
    /// The lane's message will not be completed: a new one began in its place.
    Abandoned {
        /// The chunk stream.
        lane: Lane,
    },
}

/// What a peer did that no chunk stream can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkError {
    /// A type-2 or type-3 chunk on a chunk stream that was never opened: usually a lost byte.
    UnopenedChunkStream(u32),
    /// More than [`CHUNK_STREAMS`] chunk streams.
    TooManyChunkStreams,
}

/// Payload bytes: a slice of the input, or up to four bytes that had looked like an extended timestamp.
#[derive(Debug, PartialEq, Eq)]
pub enum Payload<'i> {
    /// The usual case.
    Input(&'i [u8]),
    /// Bytes kept since the last input.
    Kept(heapless::Vec<u8, 4>),
}

impl Deref for Payload<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Payload::Input(bytes) => bytes,
            Payload::Kept(bytes) => bytes,
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct ChunkStream {
    id: u32,
    /// Absolute time of the present or last message.
    timestamp: u32,
    /// The last timestamp field as sent: absolute after type 0, a delta after types 1 and 2.
    field: u32,
    length: u32,
    remaining: u32,
    stream_id: u32,
    type_id: u8,
    /// The field was [`EXTENDED_TIMESTAMP`]; type-3 chunks may repeat the four bytes.
    extended: bool,
    after_full: bool,
    open: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Header,
    Payload { lane: u8, chunk_left: u32 },
}

/// See the module's documentation.
pub struct ChunkReader {
    phase: Phase,
    chunk_bytes: u32,
    streams: heapless::Vec<ChunkStream, CHUNK_STREAMS>,
    last: u8,
    header: heapless::Vec<u8, MAX_HEADER_BYTES>,
    /// Input taken too early: see [`ChunkReader::repeats_extended_timestamp`].
    kept: heapless::Vec<u8, 4>,
}

impl Default for ChunkReader {
    fn default() -> ChunkReader {
        ChunkReader {
            phase: Phase::Header,
            chunk_bytes: DEFAULT_CHUNK_BYTES,
            streams: heapless::Vec::new(),
            last: 0,
            header: heapless::Vec::new(),
            kept: heapless::Vec::new(),
        }
    }
}

impl ChunkReader {
    /// The next event, or `None` when all of `input` was taken. `limit` names a lane whose payload is to come in pieces
    /// of at most so many bytes.
    pub fn next<'i>(
        &mut self,
        input: &mut &'i [u8],
        limit: Option<(Lane, usize)>,
    ) -> Result<Option<ChunkEvent<'i>>, ChunkError> {
        loop {
            let Phase::Payload { lane, chunk_left } = self.phase else {
                match self.header(input)? {
                    Header::Incomplete => return Ok(None),
                    Header::Continues => continue,
                    Header::Event(event) => return Ok(Some(event)),
                }
            };
            let stream = &mut self.streams[usize::from(lane)];
            if chunk_left == 0 {
                self.phase = Phase::Header;
                if stream.remaining > 0 {
                    continue;
                }
                stream.open = false;
                return Ok(Some(ChunkEvent::End { lane: Lane(lane) }));
            }
            let most = match limit {
                Some((limited, bytes)) if limited.0 == lane => bytes.min(chunk_left as usize),
                _ => chunk_left as usize,
            };
            let bytes = if !self.kept.is_empty() {
                let n = self.kept.len().min(most);
                let payload = self.kept[..n].iter().copied().collect();
                self.kept.drain(..n);
                Payload::Kept(payload)
            } else if input.is_empty() {
                return Ok(None);
            } else {
                let (taken, rest) = input.split_at(input.len().min(most));
                *input = rest;
                Payload::Input(taken)
            };
            let taken = bytes.len() as u32;
            stream.remaining -= taken;
            self.phase = Phase::Payload { lane, chunk_left: chunk_left - taken };
            return Ok(Some(ChunkEvent::Payload { lane: Lane(lane), bytes }));
        }
    }

    /// The lane whose message is complete but for its [`ChunkEvent::End`], which takes no more input.
    pub fn end_is_due(&self) -> Option<Lane> {
        match self.phase {
            Phase::Payload { lane, chunk_left: 0 } => {
                (self.streams[usize::from(lane)].remaining == 0).then_some(Lane(lane))
            }
            _ => None,
        }
    }

    /// Set Chunk Size (section 5.4.1): holds from the next chunk header on, also inside another message.
    pub fn set_chunk_size(&mut self, bytes: u32) {
        self.chunk_bytes = bytes.max(1);
    }

    /// Abort Message (section 5.4.2): drops what was received of the message on this chunk stream. Its timestamp still
    /// counts as the base of later deltas. An unknown id is ignored.
    pub fn abort(&mut self, chunk_stream_id: u32) -> Option<Lane> {
        let lane = self.streams.iter().position(|stream| stream.id == chunk_stream_id)?;
        let stream = &mut self.streams[lane];
        core::mem::take(&mut stream.open).then_some(Lane(lane as u8))
    }

    /// The header of the lane's present or last message.
    pub fn message(&self, lane: Lane) -> MessageHeader {
        let stream = self.streams.get(usize::from(lane.0)).copied().unwrap_or_default();
        MessageHeader {
            timestamp: stream.timestamp,
            length: stream.length,
            type_id: stream.type_id,
            stream_id: stream.stream_id,
        }
    }

    fn header<'i>(&mut self, input: &mut &'i [u8]) -> Result<Header<'i>, ChunkError> {
        if !self.fill(1, input) {
            return Ok(Header::Incomplete);
        }
        let basic_len = BasicHeader::len_from(self.header[0]);
        if !self.fill(basic_len, input) {
            return Ok(Header::Incomplete);
        }
        let Some(basic) = BasicHeader::parse(&self.header) else { return Ok(Header::Incomplete) };
        let lane = self.lane(basic)?;
        let mut len = basic_len + basic.format.message_header_bytes();
        if !self.fill(len, input) {
            return Ok(Header::Incomplete);
        }
        let stream = self.streams[usize::from(lane)];
        if basic.format == Format::Continuation {
            match self.repeats_extended_timestamp(len, stream, input) {
                None => return Ok(Header::Incomplete),
                Some(_) => return Ok(self.continuation(lane)),
            }
        }
        let short_field = BigEndian::read_u24(&self.header[basic_len..]);
        let extended = short_field == EXTENDED_TIMESTAMP;
        if extended {
            len += 4;
            if !self.fill(len, input) {
                return Ok(Header::Incomplete);
            }
        }
        if stream.open {
            // Only type 3 may continue a message; the header stays here and is read again at the next call.
            self.streams[usize::from(lane)].open = false;
            return Ok(Header::Event(ChunkEvent::Abandoned { lane: Lane(lane) }));
        }
        let header = &self.header[basic_len..];
        let field =
            if extended { BigEndian::read_u32(&header[basic.format.message_header_bytes()..]) } else { short_field };
        let stream = &mut self.streams[usize::from(lane)];
        stream.field = field;
        stream.extended = extended;
        stream.after_full = basic.format == Format::Full;
        stream.timestamp = if stream.after_full { field } else { stream.timestamp.wrapping_add(field) };
        if basic.format != Format::DeltaOnly {
            stream.length = BigEndian::read_u24(&header[3..]);
            stream.type_id = header[6];
        }
        if stream.after_full {
            stream.stream_id = LittleEndian::read_u32(&header[7..]);
        }
        Ok(self.begin(lane))
    }

    fn continuation<'i>(&mut self, lane: u8) -> Header<'i> {
        let stream = &mut self.streams[usize::from(lane)];
        if stream.open {
            let chunk_left = stream.remaining.min(self.chunk_bytes);
            self.header.clear();
            self.phase = Phase::Payload { lane, chunk_left };
            return Header::Continues;
        }
        if !stream.after_full || stream.field <= REPEATED_DELTA_LIMIT_MS {
            stream.timestamp = stream.timestamp.wrapping_add(stream.field);
        }
        self.begin(lane)
    }

    fn begin<'i>(&mut self, lane: u8) -> Header<'i> {
        self.header.clear();
        let stream = &mut self.streams[usize::from(lane)];
        stream.open = true;
        stream.remaining = stream.length;
        self.phase = Phase::Payload { lane, chunk_left: stream.length.min(self.chunk_bytes) };
        let header = self.message(Lane(lane));
        Header::Event(ChunkEvent::Begin { lane: Lane(lane), header })
    }

    fn lane(&mut self, basic: BasicHeader) -> Result<u8, ChunkError> {
        let id = basic.chunk_stream_id;
        if self.streams.get(usize::from(self.last)).is_some_and(|stream| stream.id == id) {
            return Ok(self.last);
        }
        let known = self.streams.iter().position(|stream| stream.id == id);
        let lane = match (known, basic.format) {
            (Some(lane), _) => lane,
            // librtmp opens chunk stream 2 with type 1 for a ping answer.
            (None, Format::Full | Format::SameStream) => {
                self.streams
                    .push(ChunkStream { id, ..ChunkStream::default() })
                    .map_err(|_| ChunkError::TooManyChunkStreams)?;
                self.streams.len() - 1
            }
            (None, _) => return Err(ChunkError::UnopenedChunkStream(id)),
        };
        self.last = lane as u8;
        Ok(self.last)
    }

    /// Takes bytes until the header is `len` long; false when the input ended first.
    fn fill(&mut self, len: usize, input: &mut &[u8]) -> bool {
        while self.header.len() < len {
            let byte = if !self.kept.is_empty() {
                self.kept.remove(0)
            } else if let Some((&first, rest)) = input.split_first() {
                *input = rest;
                first
            } else {
                return false;
            };
            self.header.push(byte).expect("a header is at most MAX_HEADER_BYTES");
        }
        true
    }

    /// Whether four bytes that repeat the extended timestamp stand at `len` of the header. The specification demands
    /// them and Flash, ffmpeg and OBS write them; old librtmp does not. Bytes that turn out to be something else are
    /// kept and read again as what they are. `None`: the input ended before that was known.
    fn repeats_extended_timestamp(&mut self, len: usize, stream: ChunkStream, input: &mut &[u8]) -> Option<bool> {
        if !stream.extended {
            return Some(false);
        }
        for (i, expected) in stream.field.to_be_bytes().into_iter().enumerate() {
            if !self.fill(len + i + 1, input) {
                return None;
            }
            if self.header[len + i] != expected {
                let mut kept: heapless::Vec<u8, 4> = self.header[len..].iter().copied().collect();
                kept.extend(self.kept.iter().copied());
                self.kept = kept;
                self.header.truncate(len);
                return Some(false);
            }
        }
        Some(true)
    }
}

enum Header<'i> {
    Incomplete,
    Continues,
    Event(ChunkEvent<'i>),
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    /// A finished or abandoned message, whole.
    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Message {
        chunk_stream: u8,
        header: MessageHeader,
        payload: Vec<u8>,
        complete: bool,
    }

    /// Feeds `bytes` cut at `cuts` and collects whole messages in order of their end. Set Chunk Size and Abort act.
    fn read(bytes: &[u8], cuts: &[usize]) -> Result<Vec<Message>, ChunkError> {
        let mut reader = ChunkReader::default();
        let (mut done, mut open) = (Vec::new(), Vec::<Message>::new());
        let mut start = 0;
        for end in cuts.iter().copied().chain([bytes.len()]) {
            let end = end.clamp(start, bytes.len());
            let mut input = &bytes[start..end];
            start = end;
            while let Some(event) = reader.next(&mut input, None)? {
                let place =
                    |open: &Vec<Message>, lane: Lane| open.iter().position(|m| m.chunk_stream == lane.0).unwrap();
                match event {
                    ChunkEvent::Begin { lane, header } => {
                        open.push(Message { chunk_stream: lane.0, header, payload: Vec::new(), complete: false });
                    }
                    ChunkEvent::Payload { lane, bytes } => {
                        let at = place(&open, lane);
                        open[at].payload.extend_from_slice(&bytes);
                    }
                    ChunkEvent::End { lane } => {
                        let at = place(&open, lane);
                        let mut message = open.remove(at);
                        message.complete = true;
                        // One that is too short is for the session to refuse.
                        let number = message.payload.first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
                        if message.header.type_id == 1
                            && let Some(bytes) = number
                        {
                            reader.set_chunk_size(bytes);
                        }
                        if message.header.type_id == 2
                            && let Some(lane) = number.and_then(|chunk_stream| reader.abort(chunk_stream))
                        {
                            let at = place(&open, lane);
                            done.push(open.remove(at));
                        }
                        done.push(message);
                    }
                    ChunkEvent::Abandoned { lane } => {
                        let at = place(&open, lane);
                        done.push(open.remove(at));
                    }
                }
            }
            assert!(input.is_empty(), "the reader takes every byte");
        }
        Ok(done)
    }

    fn times(bytes: &[u8]) -> Vec<u32> {
        read(bytes, &[]).unwrap().iter().map(|message| message.header.timestamp).collect()
    }

    /// Type 0 on chunk stream 4, audio, message stream 1.
    fn full(timestamp: u32, payload: &[u8]) -> Vec<u8> {
        let mut out = [0; 16];
        let header = MessageHeader { timestamp, length: payload.len() as u32, type_id: 8, stream_id: 1 };
        let n = header.emit_type0(4, &mut out);
        [&out[..n], payload].concat()
    }

    #[test]
    fn all_four_header_types_give_absolute_timestamps() {
        let mut bytes = full(1000, b"a");
        bytes.extend([0x44, 0, 0, 20, 0, 0, 1, 8, b'b']);
        bytes.extend([0x84, 0, 0, 30, b'c']);
        bytes.extend([0xC4, b'd']);
        assert_eq!(times(&bytes), [1000, 1020, 1050, 1080]);
    }

    #[test]
    fn type_3_after_type_0_repeats_the_field_as_delta_unless_that_would_jump() {
        let mut fmle = full(26, b"a");
        fmle.extend([0xC4, b'b']);
        assert_eq!(times(&fmle), [26, 52]);
        let mut gstreamer = full(20_000, b"a");
        gstreamer.extend([0xC4, b'b']);
        assert_eq!(times(&gstreamer), [20_000, 20_000]);
    }

    #[test]
    fn type_1_may_open_a_chunk_stream_but_types_2_and_3_may_not() {
        assert_eq!(times(&[0x42, 0, 0, 5, 0, 0, 1, 4, 9]), [5]);
        assert_eq!(read(&[0x85, 0, 0, 1], &[]), Err(ChunkError::UnopenedChunkStream(5)));
        assert_eq!(read(&[0xC5], &[]), Err(ChunkError::UnopenedChunkStream(5)));
    }

    #[test]
    fn one_chunk_stream_too_many_is_an_error() {
        let mut bytes = Vec::new();
        for id in 0..=CHUNK_STREAMS as u8 {
            bytes.extend([0, id, 0, 0, 0, 0, 0, 0, 8, 1, 0, 0, 0]);
        }
        assert_eq!(read(&bytes, &[]), Err(ChunkError::TooManyChunkStreams));
    }

    #[test]
    fn a_new_header_inside_a_message_abandons_it() {
        let mut bytes = full(0, &[7; 200]);
        bytes.truncate(12 + 128);
        bytes.extend(full(5, b"x"));
        let messages = read(&bytes, &[]).unwrap();
        assert_eq!(
            messages.iter().map(|m| (m.payload.len(), m.complete)).collect::<Vec<_>>(),
            [(128, false), (1, true)]
        );
    }

    #[test]
    fn abort_drops_the_message_and_keeps_its_time_as_base() {
        let mut bytes = full(100, &[7; 200]);
        bytes.truncate(12 + 128);
        bytes.extend([2, 0, 0, 0, 0, 0, 4, 2, 0, 0, 0, 0, 0, 0, 0, 4]);
        bytes.extend([0x44, 0, 0, 10, 0, 0, 1, 8, b'b']);
        let messages = read(&bytes, &[]).unwrap();
        assert_eq!(messages.iter().map(|m| m.complete).collect::<Vec<_>>(), [false, true, true]);
        assert_eq!(messages[2].header.timestamp, 110);
    }

    #[test]
    fn a_chunk_size_set_inside_a_message_holds_for_its_next_chunk() {
        let mut bytes = full(0, &[7; 300]);
        bytes.truncate(12 + 128);
        bytes.extend([2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 1, 0]);
        bytes.push(0xC4);
        bytes.extend([7; 172]);
        let messages = read(&bytes, &[]).unwrap();
        assert_eq!(messages[1].payload, [7; 300]);
    }

    #[test]
    fn extended_timestamps_are_read_with_and_without_the_repetition_in_type_3() {
        let time = 0x0102_0304u32;
        let mut with = full(time, &[1; 128]);
        with[6] = 200; // length 200
        with.push(0xC4);
        with.extend(time.to_be_bytes());
        with.extend([2; 72]);
        let mut without = full(time, &[1; 128]);
        without[6] = 200;
        without.push(0xC4);
        without.extend([2; 72]);
        for bytes in [&with, &without] {
            for cut in 0..bytes.len() {
                let messages = read(bytes, &[cut]).unwrap();
                assert_eq!(messages.len(), 1);
                assert_eq!(messages[0].header.timestamp, time);
                assert_eq!(messages[0].payload, [[1; 128].as_slice(), &[2; 72]].concat());
            }
        }
    }

    #[test]
    fn payload_that_starts_like_the_extended_timestamp_is_payload_after_all() {
        let time = 0x0102_0304u32;
        let mut bytes = full(time, &[9; 128]);
        bytes[6] = 130; // two bytes in the last chunk, equal to the first two of the timestamp
        bytes.extend([0xC4, 1, 2]);
        bytes.extend(full(7, b"z"));
        for cut in 0..bytes.len() {
            let messages = read(&bytes, &[cut]).unwrap();
            assert_eq!(messages[0].payload[128..], [1, 2], "cut at {cut}");
            assert_eq!((messages[1].header.timestamp, &messages[1].payload[..]), (7, b"z".as_slice()));
        }
    }

    #[test]
    fn a_set_chunk_size_without_a_size_is_a_message_like_any_other() {
        let messages = read(&[2, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0], &[]).unwrap();
        assert_eq!((messages.len(), messages[0].payload.len()), (1, 0));
    }

    #[test]
    fn an_extended_delta_wraps_past_the_end_of_time() {
        let mut bytes = full(u32::MAX - 5, b"a");
        bytes.extend([0x84, 0, 0, 10, b'b']);
        assert_eq!(times(&bytes), [u32::MAX - 5, 4]);
    }

    proptest! {
        #[test]
        fn any_bytes_give_the_same_events_however_they_are_cut(
            bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(4u8), Just(0xC4), Just(0xFF), Just(0)], 0..400),
            mut cuts in proptest::collection::vec(0usize..400, 0..20),
        ) {
            cuts.sort_unstable();
            prop_assert_eq!(read(&bytes, &cuts), read(&bytes, &[]));
        }

        #[test]
        fn interleaved_messages_come_out_whole_however_they_are_cut(
            sizes in proptest::collection::vec((0u32..700, any::<u32>()), 1..5),
            chunk in 1u32..300,
            mut cuts in proptest::collection::vec(0usize..4000, 0..30),
        ) {
            let mut bytes = std::vec![2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0];
            bytes.extend(chunk.to_be_bytes());
            // Round robin over one message per chunk stream.
            let mut sent = std::vec![0u32; sizes.len()];
            loop {
                let mut wrote = false;
                for (i, &(size, time)) in sizes.iter().enumerate() {
                    if sent[i] > size || (sent[i] == size && size > 0) { continue; }
                    let csid = 4 + i as u8;
                    if sent[i] == 0 {
                        let mut out = [0; 16];
                        let n = MessageHeader { timestamp: time, length: size, type_id: 9, stream_id: 1 }.emit_type0(csid, &mut out);
                        bytes.extend(&out[..n]);
                    } else {
                        bytes.push(0xC0 | csid);
                        if time >= EXTENDED_TIMESTAMP { bytes.extend(time.to_be_bytes()); }
                    }
                    let n = chunk.min(size - sent[i]);
                    bytes.extend(core::iter::repeat_n(i as u8 ^ 0x5A, n as usize));
                    sent[i] += n.max(u32::from(size == 0));
                    wrote = true;
                }
                if !wrote { break; }
            }
            cuts.sort_unstable();
            let mut messages = read(&bytes, &cuts).unwrap();
            messages.remove(0);
            messages.sort_by_key(|message| message.chunk_stream);
            prop_assert_eq!(messages.len(), sizes.len());
            for (i, (message, &(size, time))) in messages.iter().zip(&sizes).enumerate() {
                prop_assert!(message.complete);
                prop_assert_eq!(message.header.timestamp, time);
                prop_assert_eq!(&message.payload, &std::vec![i as u8 ^ 0x5A; size as usize]);
            }
        }
    }
}
