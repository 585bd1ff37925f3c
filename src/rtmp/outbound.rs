//! The client's side of RTMP in fixed memory, for connections that the server makes, `rill connect` and `rill bench`: the simple
//! handshake, chunks in, and what the protocol answers for itself (acknowledgements, pings, windows). What a far end sends may be
//! anything: nothing here grows with it.
//!
//! A command that is longer than [`ASSEMBLY_BYTES`](crate::limits::ASSEMBLY_BYTES) is handed on in pieces, as media is, and a data
//! message passed over: a relay needs neither, for what an answer says first is its code. Commands of a client are written by the
//! functions below, as FMLE and OBS write them.

use core::fmt::{self, Write};

use crate::limits::{HANDSHAKE_BYTES, OUT_CHUNK_BYTES, VIA_IDS};
use crate::wire::amf0::Decoder;
use crate::wire::announced::Announced;
use crate::wire::bytes::Full;
use crate::wire::chunk::MessageHeader;
use crate::wire::handshake::{self, FirstByte, first_byte};
use crate::wire::message::{Control, UserControl, type_id};

use super::aggregate::{Aggregate, SubTagPart};
use super::assembly::Assembly;
use super::chunk_reader::{ChunkError, ChunkEvent, ChunkReader, Lane, Payload};
use super::data::DataMessage;
use super::event::MediaKind;
use super::tx::TxBuf;
use super::via::{self, Via};

/// Acknowledgement window that is kept until the far end names one, in bytes.
const WINDOW_BYTES: u32 = 2_500_000;
/// The shortest window that is honoured, in bytes: who wants every byte to be acknowledged gets less.
const SHORTEST_WINDOW_BYTES: u32 = 4096;
/// Bytes of a handshake that are taken however many come at once.
const GREETING_BYTES: usize = 1 + 2 * HANDSHAKE_BYTES;
/// Longest protocol-control or user-control message.
const CONTROL_BYTES: u32 = 64;
/// What software we say we are: some platforms serve encoders by this name only.
const AGENT: &str = concat!("FMLE/3.0 (compatible; Rill/", env!("CARGO_PKG_VERSION"), ")");

/// Transaction of `connect`, in every implementation (RTMP 1.0, section 7.2.1.1).
pub const CONNECT: f64 = 1.0;
/// Transaction of `releaseStream`.
const RELEASE: f64 = 2.0;
/// Transaction of `FCPublish`.
const FC_PUBLISH: f64 = 3.0;
/// Transaction of `createStream`.
pub const CREATE_STREAM: f64 = 4.0;

/// What came from the far end.
#[derive(Debug, PartialEq, Eq)]
pub enum OutboundEvent<'i> {
    /// The handshake is done: `connect` may follow.
    Open,
    /// A command: [`OutboundSession::said`].
    Command,
    /// A command begins that is longer than what is put together here. Its bytes follow as those of media do.
    LongCommand(Lane, MessageHeader),
    /// A data message of that time: [`OutboundSession::data`].
    Data(u32),
    /// An audio or video message begins. Messages of different lanes interleave.
    MediaBegin {
        /// Where its bytes come.
        lane: Lane,
        /// Which of the two.
        kind: MediaKind,
        /// In milliseconds.
        timestamp: u32,
        /// Payload bytes.
        length: u32,
    },
    /// The next bytes of the lane's message.
    MediaData(Lane, Payload<'i>),
    /// The lane's message is complete.
    MediaEnd(Lane),
    /// The lane's message will not be completed.
    MediaAbort(Lane),
}

/// What the far end sent that no RTMP server sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutboundError {
    /// Its first byte is not S0.
    NotRtmp(u8),
    /// Its chunks make no sense.
    Chunks(ChunkError),
}

/// What a command of the far end says, as far as a client has to know.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FarSaid<'a> {
    /// `_result`, `_error`, `onStatus`, `close`, or anything else.
    pub name: &'a str,
    /// Which of our commands it answers; 0 for none.
    pub transaction: f64,
    /// The number that it answers with: the id of a stream.
    pub number: Option<f64>,
    /// The code of its information object; empty without one.
    pub code: &'a str,
    /// What that says in words.
    pub description: &'a str,
    /// Its level is `error`.
    pub is_error: bool,
    /// What it announces of Enhanced RTMP.
    pub knows: Announced,
    /// Where it sends us instead, if it does: `ex.redirect` of a rejection, or the `tcUrl` of a request to reconnect.
    pub elsewhere: &'a str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// C0 and C1 are to be sent.
    Silent,
    /// So many bytes of S0 and S1 have come.
    S1(u16),
    /// So many bytes of S2 are still to come; what they are does not matter.
    S2(u16),
    Messages,
}

/// See the module's documentation.
pub struct OutboundSession {
    phase: Phase,
    reader: ChunkReader,
    assembly: Assembly,
    /// An aggregate message under way, whose tags are messages of their own.
    aggregate: Option<Aggregate>,
    /// A message lent to the caller until the next call.
    lent: Option<Lane>,
    seed: u64,
    received: u32,
    acknowledged: u32,
    window: u32,
}

impl OutboundSession {
    /// A session that has said nothing. `seed` feeds the random bytes of its handshake, which are no secret.
    pub fn new(seed: u64) -> OutboundSession {
        OutboundSession {
            phase: Phase::Silent,
            reader: ChunkReader::default(),
            assembly: Assembly::default(),
            aggregate: None,
            lent: None,
            seed,
            received: 0,
            acknowledged: 0,
            window: WINDOW_BYTES,
        }
    }

    /// Says C0 and C1, once.
    ///
    /// # Errors
    ///
    /// There is no room now.
    pub fn greet(&mut self, tx: &mut TxBuf) -> Result<(), Full> {
        if self.phase != Phase::Silent {
            return Ok(());
        }
        let mut seed = self.seed | 1;
        let mut random = |bytes: &mut [u8]| {
            for byte in bytes {
                seed = seed.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
                *byte = (seed >> 56) as u8;
            }
        };
        tx.write_with(|free| {
            let request = free.first_chunk_mut()?;
            handshake::request_simple(0, &mut random, request);
            Some(request.len())
        })?;
        self.phase = Phase::S1(0);
        Ok(())
    }

    /// The handshake is done.
    pub fn is_open(&self) -> bool {
        self.phase == Phase::Messages
    }

    /// Bytes of the handshake that are still to come.
    pub fn handshake_bytes(&self) -> usize {
        match self.phase {
            Phase::Silent => GREETING_BYTES,
            Phase::S1(filled) => GREETING_BYTES - usize::from(filled),
            Phase::S2(left) => usize::from(left),
            Phase::Messages => 0,
        }
    }

    /// Takes input until something came; `None` when all of it was taken. What the protocol answers for itself goes to `tx`, and is
    /// left out when that is full: a far end that does not read meets a deadline of the caller's.
    ///
    /// # Errors
    ///
    /// It does not speak RTMP: the session is of no use any more.
    pub fn next<'i>(
        &mut self,
        input: &mut &'i [u8],
        tx: &mut TxBuf,
    ) -> Result<Option<OutboundEvent<'i>>, OutboundError> {
        if let Some(lane) = self.lent.take() {
            self.assembly.remove(lane);
        }
        let before = input.len();
        let event = match self.phase {
            Phase::Messages => self.message(input, tx),
            Phase::Silent | Phase::S1(_) | Phase::S2(_) => self.handshake(input, tx),
        };
        self.received = self.received.wrapping_add((before - input.len()) as u32);
        if self.received.wrapping_sub(self.acknowledged) >= self.window
            && self.phase == Phase::Messages
            && tx.control(Control::Acknowledgement(self.received)).is_ok()
        {
            self.acknowledged = self.received;
        }
        event
    }

    /// What the last [`OutboundEvent::Command`] says. What cannot be read of it counts as absent.
    pub fn said(&self) -> FarSaid<'_> {
        said(self.command().1)
    }

    /// The last [`OutboundEvent::Command`]: its message stream, and its AMF 0 values.
    pub fn command(&self) -> (u32, &[u8]) {
        let Some(lane) = self.lent else { return (0, &[]) };
        let header = self.reader.message(lane);
        (header.stream_id, command_values(header.type_id, self.assembly.message(lane)))
    }

    /// The data message of the last [`OutboundEvent::Data`]; `None` for what players could not read.
    pub fn data(&self) -> Option<DataMessage<'_>> {
        let lane = self.lent?;
        let type_id = match &self.aggregate {
            Some(aggregate) if aggregate.lane() == lane => aggregate.part_header().type_id,
            _ => self.reader.message(lane).type_id,
        };
        let is_amf3 = type_id == type_id::DATA_AMF3;
        DataMessage::parse(self.assembly.message(lane), is_amf3, false)
    }

    fn handshake<'i>(
        &mut self,
        input: &mut &'i [u8],
        tx: &mut TxBuf,
    ) -> Result<Option<OutboundEvent<'i>>, OutboundError> {
        if let Phase::S1(filled) = self.phase {
            let filled = usize::from(filled);
            let (taken, rest) = input.split_at(input.len().min(1 + HANDSHAKE_BYTES - filled));
            let collected = self.assembly.scratch();
            collected[filled..filled + taken.len()].copy_from_slice(taken);
            *input = rest;
            let filled = filled + taken.len();
            self.phase = Phase::S1(filled as u16);
            if filled > 0 && collected[0] != handshake::VERSION {
                return Err(OutboundError::NotRtmp(collected[0]));
            }
            if filled < 1 + HANDSHAKE_BYTES {
                return Ok(None);
            }
            let s1 = collected[1..].first_chunk().expect("the assembly's bytes hold C1, as `limits` asserts");
            // C0 and C1 were sent, or S1 would not be here: a far end that says it before is told nothing it could use.
            let _ = tx.write_with(|free| {
                let c2 = free.first_chunk_mut()?;
                handshake::echo(s1, 0, c2);
                Some(c2.len())
            });
            self.phase = Phase::S2(HANDSHAKE_BYTES as u16);
        }
        if let Phase::S2(left) = self.phase {
            let taken = input.len().min(usize::from(left));
            *input = &input[taken..];
            self.phase = Phase::S2(left - taken as u16);
            if taken == usize::from(left) {
                self.phase = Phase::Messages;
                return Ok(Some(OutboundEvent::Open));
            }
        }
        Ok(None)
    }

    fn message<'i>(
        &mut self,
        input: &mut &'i [u8],
        tx: &mut TxBuf,
    ) -> Result<Option<OutboundEvent<'i>>, OutboundError> {
        loop {
            if let Some((lane, part)) =
                self.aggregate.as_mut().and_then(|aggregate| Some((aggregate.take_end()?, aggregate.part_header())))
            {
                if media_kind(part.type_id).is_some() {
                    return Ok(Some(OutboundEvent::MediaEnd(lane)));
                }
                self.lent = Some(lane);
                return Ok(Some(OutboundEvent::Data(part.timestamp)));
            }
            let limit = self.aggregate.as_ref().map(|aggregate| (aggregate.lane(), aggregate.wants()));
            let Some(event) = self.reader.next(input, limit).map_err(OutboundError::Chunks)? else { return Ok(None) };
            let is_part = |lane: Lane| limit.is_some_and(|(aggregate, _)| aggregate == lane);
            match event {
                ChunkEvent::Begin { lane, header }
                    if header.type_id == type_id::AGGREGATE && self.aggregate.is_none() =>
                {
                    self.aggregate = Some(Aggregate::new(lane, header));
                }
                ChunkEvent::Payload { lane, bytes } if is_part(lane) => {
                    if let Some(event) = self.part(lane, bytes) {
                        return Ok(Some(event));
                    }
                }
                // It may be cut short inside a tag, which is lost.
                ChunkEvent::End { lane } | ChunkEvent::Abandoned { lane } if is_part(lane) => {
                    if let Some(event) = self.abandon_aggregate() {
                        return Ok(Some(event));
                    }
                }
                ChunkEvent::Begin { lane, header } => match media_kind(header.type_id) {
                    Some(kind) => {
                        let (timestamp, length) = (header.timestamp, header.length);
                        return Ok(Some(OutboundEvent::MediaBegin { lane, kind, timestamp, length }));
                    }
                    None => {
                        let is_command = is_command(header.type_id);
                        let is_said = is_command || matches!(header.type_id, type_id::DATA | type_id::DATA_AMF3);
                        // What does not fit and is no command is passed over.
                        if (is_said || header.length <= CONTROL_BYTES)
                            && self.assembly.begin(lane, header.length).is_err()
                            && is_command
                        {
                            return Ok(Some(OutboundEvent::LongCommand(lane, header)));
                        }
                    }
                },
                ChunkEvent::Payload { lane, bytes } => match self.is_handed_on(lane) {
                    true => return Ok(Some(OutboundEvent::MediaData(lane, bytes))),
                    false => self.assembly.append(lane, &bytes),
                },
                ChunkEvent::Abandoned { lane } => {
                    if self.is_handed_on(lane) {
                        return Ok(Some(OutboundEvent::MediaAbort(lane)));
                    }
                    self.assembly.remove(lane);
                }
                ChunkEvent::End { lane } => {
                    let header = self.reader.message(lane);
                    match header.type_id {
                        _ if self.is_handed_on(lane) => return Ok(Some(OutboundEvent::MediaEnd(lane))),
                        _ if self.assembly.message(lane).is_empty() => self.assembly.remove(lane),
                        type_id::COMMAND | type_id::COMMAND_AMF3 => {
                            self.lent = Some(lane);
                            return Ok(Some(OutboundEvent::Command));
                        }
                        type_id::DATA | type_id::DATA_AMF3 => {
                            self.lent = Some(lane);
                            return Ok(Some(OutboundEvent::Data(header.timestamp)));
                        }
                        type_id => {
                            let aborted = self.control(lane, type_id, tx);
                            self.assembly.remove(lane);
                            if let Some(lane) = aborted {
                                return Ok(Some(OutboundEvent::MediaAbort(lane)));
                            }
                        }
                    }
                }
            }
        }
    }

    /// Does what a control message says. Returns the lane of a media message that will not be completed, if that is it.
    fn control(&mut self, lane: Lane, type_id: u8, tx: &mut TxBuf) -> Option<Lane> {
        let body = self.assembly.message(lane);
        if type_id == type_id::USER_CONTROL {
            if let Some(UserControl::PingRequest(stamp)) = UserControl::parse(body) {
                let _ = tx.user_control(UserControl::PingResponse(stamp));
            }
            return None;
        }
        match Control::parse(type_id, body)? {
            Control::SetChunkSize(bytes) => self.reader.set_chunk_size(bytes),
            Control::Abort(chunk_stream) => {
                let lane = self.reader.abort(chunk_stream)?;
                if self.aggregate.as_ref().is_some_and(|aggregate| aggregate.lane() == lane) {
                    return self.abandon_aggregate().map(|_| lane);
                }
                if self.is_handed_on(lane) {
                    return Some(lane);
                }
                self.assembly.remove(lane);
            }
            Control::WindowAcknowledgementSize(bytes) => self.window = bytes.max(SHORTEST_WINDOW_BYTES),
            Control::SetPeerBandwidth(bytes, _) => {
                let _ = tx.control(Control::WindowAcknowledgementSize(bytes));
            }
            _ => {}
        }
        None
    }

    /// Bytes of an aggregate message, never more than its present tag wants.
    fn part<'i>(&mut self, lane: Lane, bytes: Payload<'i>) -> Option<OutboundEvent<'i>> {
        let aggregate = self.aggregate.as_mut()?;
        match aggregate.take(&bytes)? {
            SubTagPart::Begin(MessageHeader { type_id, timestamp, length, .. }) => {
                let kind = media_kind(type_id);
                let is_data = matches!(type_id, type_id::DATA | type_id::DATA_AMF3);
                aggregate.wanted(kind.is_some() || is_data && self.assembly.begin(lane, length).is_ok());
                kind.map(|kind| OutboundEvent::MediaBegin { lane, kind, timestamp, length })
            }
            SubTagPart::Body if aggregate.is_media() => Some(OutboundEvent::MediaData(lane, bytes)),
            SubTagPart::Body => {
                self.assembly.append(lane, &bytes);
                None
            }
        }
    }

    fn abandon_aggregate(&mut self) -> Option<OutboundEvent<'static>> {
        let aggregate = self.aggregate.take().filter(Aggregate::is_inside)?;
        let lane = aggregate.lane();
        if aggregate.is_media() {
            return Some(OutboundEvent::MediaAbort(lane));
        }
        self.assembly.remove(lane);
        None
    }

    /// The lane's message goes to the caller in pieces.
    fn is_handed_on(&self, lane: Lane) -> bool {
        let type_id = self.reader.message(lane).type_id;
        media_kind(type_id).is_some() || is_command(type_id) && !self.assembly.holds(lane)
    }
}

impl fmt::Display for OutboundError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            OutboundError::NotRtmp(byte) => match first_byte(byte) {
                FirstByte::Tls => write!(f, "not an RTMP server: it speaks TLS"),
                FirstByte::Http => write!(f, "not an RTMP server: it speaks HTTP, or something like it"),
                FirstByte::Ssh => write!(f, "not an RTMP server: it speaks SSH"),
                _ => write!(f, "not an RTMP server: its first byte is {byte:#04x}"),
            },
            OutboundError::Chunks(error) => write!(f, "unreadable chunks: {error:?}"),
        }
    }
}

impl core::error::Error for OutboundError {}

fn media_kind(type_id: u8) -> Option<MediaKind> {
    match type_id {
        type_id::AUDIO => Some(MediaKind::Audio),
        type_id::VIDEO => Some(MediaKind::Video),
        _ => None,
    }
}

fn is_command(type_id: u8) -> bool {
    matches!(type_id, type_id::COMMAND | type_id::COMMAND_AMF3)
}

/// The AMF 0 values of a command that came with this message type: in the envelope of AMF 3 a format byte stands before them.
pub fn command_values(type_id: u8, body: &[u8]) -> &[u8] {
    if type_id == type_id::COMMAND_AMF3 { body.get(1..).unwrap_or_default() } else { body }
}

fn said(body: &[u8]) -> FarSaid<'_> {
    let mut values = Decoder::new(body);
    let mut next = || if values.is_empty() { None } else { values.value().ok() };
    let name = next().and_then(|value| value.as_str()).unwrap_or_default();
    let transaction = next().and_then(|value| value.as_number()).unwrap_or(0.0);
    let _properties = next();
    let mut said = FarSaid { name, transaction, ..FarSaid::default() };
    let Some(info) = next() else { return said };
    said.number = info.as_number();
    let text = |key: &str| info.get(key).and_then(|value| value.as_str()).unwrap_or_default();
    (said.code, said.description) = (text("code"), text("description"));
    said.is_error = text("level") == "error";
    said.knows = Announced::read(&info);
    said.elsewhere = match info.get("ex") {
        Some(ex) => ex.get("redirect").and_then(|value| value.as_str()).unwrap_or_default(),
        None => text("tcUrl"),
    };
    said
}

/// Says how large our chunks are, and connects to an application. `publishes` says what for, `via` by which servers it comes.
///
/// # Errors
///
/// There is no room for it.
pub fn connect(tx: &mut TxBuf, app: &str, tc_url: &str, publishes: bool, via: &Via) -> Result<(), Full> {
    tx.control(Control::SetChunkSize(OUT_CHUNK_BYTES as u32))?;
    tx.command(0, "connect", CONNECT, |amf| {
        amf.object_begin()?;
        amf.property_string("app", app)?;
        if publishes {
            // Encoders say so, and some platforms take nobody else.
            amf.property_string("type", "nonprivate")?;
        }
        amf.property_string("flashVer", AGENT)?;
        amf.property_string("tcUrl", tc_url)?;
        amf.property_boolean("fpad", false)?;
        amf.property_number("capabilities", 239.0)?;
        // All of them: AMS leaves out what a client does not claim.
        amf.property_number("audioCodecs", 4071.0)?;
        amf.property_number("videoCodecs", 252.0)?;
        amf.property_number("videoFunction", 1.0)?;
        amf.key("fourCcList")?;
        amf.strict_array_begin(1)?;
        amf.string("*")?;
        // Reconnect, multitrack, ModEx and nanosecond offsets (Enhanced RTMP v2, "Enhancing NetConnection connect Command").
        amf.property_number("capsEx", 15.0)?;
        if !via.is_empty() {
            // Nine characters each.
            let mut text = heapless::String::<{ 9 * VIA_IDS }>::new();
            let _ = write!(text, "{via}");
            amf.property_string(via::PROPERTY, &text)?;
        }
        amf.object_end()
    })
}

/// Asks for a stream to publish `name` on, in the words that encoders use.
///
/// # Errors
///
/// As [`connect`].
pub fn create_to_publish(tx: &mut TxBuf, name: &str) -> Result<(), Full> {
    for (command, transaction) in [("releaseStream", RELEASE), ("FCPublish", FC_PUBLISH)] {
        tx.command(0, command, transaction, |amf| {
            amf.null()?;
            amf.string(name)
        })?;
    }
    create(tx)
}

/// Asks for a stream.
///
/// # Errors
///
/// As [`connect`].
pub fn create(tx: &mut TxBuf) -> Result<(), Full> {
    tx.command(0, "createStream", CREATE_STREAM, |amf| amf.null())
}

/// Publishes `name` on a stream.
///
/// # Errors
///
/// As [`connect`].
pub fn publish(tx: &mut TxBuf, stream_id: u32, name: &str) -> Result<(), Full> {
    tx.command(stream_id, "publish", CREATE_STREAM + 1.0, |amf| {
        amf.null()?;
        amf.string(name)?;
        amf.string("live")
    })
}

/// Plays what is live under `name` on a stream.
///
/// # Errors
///
/// As [`connect`].
pub fn play(tx: &mut TxBuf, stream_id: u32, name: &str, buffer_ms: u32) -> Result<(), Full> {
    tx.command(stream_id, "play", CREATE_STREAM + 1.0, |amf| {
        amf.null()?;
        amf.string(name)?;
        // What is live, as librtmp says it.
        amf.number(-1000.0)
    })?;
    tx.user_control(UserControl::SetBufferLength { stream_id, buffer_ms })
}

/// Ends what was published under `name`.
///
/// # Errors
///
/// As [`connect`].
pub fn unpublish(tx: &mut TxBuf, stream_id: u32, name: &str) -> Result<(), Full> {
    tx.command(0, "FCUnpublish", CREATE_STREAM + 2.0, |amf| {
        amf.null()?;
        amf.string(name)
    })?;
    tx.command(0, "deleteStream", CREATE_STREAM + 3.0, |amf| {
        amf.null()?;
        amf.number(stream_id.into())
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::limits::ASSEMBLY_BYTES;

    /// S0, S1 and S2.
    pub(crate) fn greeting() -> Vec<u8> {
        let mut bytes = vec![0; GREETING_BYTES];
        bytes[0] = handshake::VERSION;
        bytes
    }

    /// What came of `server`, cut into parts of `step` bytes, and what was answered to it. A command is its values.
    fn all(server: &[u8], step: usize) -> Result<(Vec<String>, Vec<u8>), OutboundError> {
        let (mut session, mut tx, mut out) = (OutboundSession::new(1), TxBuf::default(), Vec::new());
        session.greet(&mut tx).unwrap();
        assert_eq!(tx.pending().len(), 1 + HANDSHAKE_BYTES);
        tx.clear();
        let mut found = Vec::new();
        for mut part in server.chunks(step) {
            loop {
                let event = session.next(&mut part, &mut tx)?;
                out.extend(tx.pending());
                tx.clear();
                match event {
                    None => break,
                    Some(OutboundEvent::Command) => found.push(format!("{:?}", session.command())),
                    Some(event) => found.push(format!("{event:?}")),
                }
            }
        }
        Ok((found, out))
    }

    #[test]
    fn the_protocol_answers_for_itself_wherever_the_input_is_cut() {
        let mut server = greeting();
        // Chunk size 1, a window of 20 bytes, which is too short to be honoured, a ping, then "x" 0 null as a command in single bytes.
        server.extend(b"\x02\0\0\0\0\0\x04\x01\0\0\0\0\0\0\0\x01");
        server.extend(b"\x02\0\0\0\0\0\x04\x05\0\0\0\0\0\xC2\0\xC2\0\xC2\x14");
        server.extend(b"\x02\0\0\0\0\0\x06\x04\0\0\0\0\0\xC2\x06\xC2\0\xC2\0\xC2\0\xC2\x09");
        let command = |server: &mut Vec<u8>| {
            server.extend(b"\x03\0\0\0\0\0\x0E\x14\0\0\0\0\x02\xC3\0\xC3\x01\xC3x");
            server.extend(b"\xC3\0".repeat(9));
            server.extend(b"\xC3\x05");
        };
        // What its bytes are together with the handshake's: more than the shortest window.
        (0..40).for_each(|_| command(&mut server));
        let pong = b"\x02\0\0\0\0\0\x06\x04\0\0\0\0\0\x07\0\0\0\x09";
        let values = format!("{:?}", (0, b"\x02\0\x01x\0\0\0\0\0\0\0\0\0\x05"));
        for step in [1, 7, server.len()] {
            let (found, out) = all(&server, step).unwrap();
            assert_eq!((&*found[0], found.len()), ("Open", 41));
            assert!(found[1..].iter().all(|command| *command == values), "{found:?}");
            assert!(out.windows(pong.len()).any(|bytes| bytes == pong), "no answer to the ping");
            assert!(
                out[HANDSHAKE_BYTES..].windows(8).any(|bytes| bytes == b"\x02\0\0\0\0\0\x04\x03"),
                "no acknowledgement"
            );
        }
    }

    #[test]
    fn media_and_commands_that_are_too_long_pass_through_and_what_is_no_rtmp_is_named() {
        let mut server = greeting();
        server.extend(b"\x06\0\0\x07\0\0\x02\x09\x01\0\0\0ab");
        server.extend(b"\x02\0\0\0\0\0\x04\x01\0\0\0\0\0\0\xFF\xFF");
        let length = ASSEMBLY_BYTES + 1;
        server.extend([3, 0, 0, 0, 0, (length >> 8) as u8, length as u8, 17, 5, 0, 0, 0]);
        server.extend(vec![7; length]);
        let (found, _) = all(&server, server.len()).unwrap();
        assert_eq!(found.len(), 7, "{found:?}");
        assert!(found[1].starts_with("MediaBegin") && found[3].starts_with("MediaEnd("), "{found:?}");
        assert_eq!(found[2], "MediaData(Lane(0), Input([97, 98]))");
        assert!(found[4].starts_with("LongCommand(Lane(2), ") && found[4].contains("type_id: 17, stream_id: 5"));
        assert!(found[5].starts_with("MediaData(Lane(2)") && found[6] == "MediaEnd(Lane(2))");
        for (greeting, name) in [(&b"HTTP/1.1 400"[..], "HTTP"), (b"SSH-2.0", "SSH"), (b"\x15\x03", "0x15")] {
            let error = all(greeting, greeting.len()).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
