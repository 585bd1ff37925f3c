//! The synthetic encoder: which message is due when, and its bytes.
//!
//! Video and audio come at their real pace, sized like a constant-bitrate encoder's: a key frame every [`GOP_SECONDS`] that is
//! `KEY_FRAME_WEIGHT` times as large as the pictures between, and AAC frames of 128 kbit/s. Both decode.

use crate::wire::amf0::Encoder;
use crate::wire::bytes::{Full, Writer};
use crate::wire::chunk::{BasicHeader, EXTENDED_TIMESTAMP, Format, MAX_TYPE0_BYTES, MessageHeader};
use crate::wire::codec::synthetic::{
    AAC_FRAME_SAMPLES, AAC_SILENCE, AUDIO_SPECIFIC_CONFIG, AVC_RECORD, EXACT_BYTES_MIN, access_unit,
};
use crate::wire::flv::{aac_packet_header, avc_packet_header};
use crate::wire::message::type_id;

use super::clock::Stamp;

/// Seconds from key frame to key frame.
pub const GOP_SECONDS: u32 = 2;
/// Size of a key frame in pictures of the other kind; encoders of cameras give four to eight.
const KEY_FRAME_WEIGHT: u64 = 5;
/// Audio takes this rate, or an eighth of the stream's when that is less.
const AUDIO_BPS: u64 = 128_000;
const SAMPLE_RATE_HZ: u64 = 48_000;
const MICROS: u64 = 1_000_000;

/// Chunk stream ids that most encoders and servers use for these kinds.
const AUDIO_CHUNK_STREAM: u8 = 4;
const DATA_CHUNK_STREAM: u8 = 5;
const VIDEO_CHUNK_STREAM: u8 = 6;

/// Rates of a synthetic stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Audio and video payload together, in bits per second.
    pub bitrate_bps: u64,
    /// Pictures per second; at least 1.
    pub frame_rate: u32,
}

impl Rates {
    fn audio_bps(&self) -> u64 {
        AUDIO_BPS.min(self.bitrate_bps / 8)
    }

    fn audio_bytes(&self) -> usize {
        (self.audio_bps() * u64::from(AAC_FRAME_SAMPLES) / SAMPLE_RATE_HZ / 8) as usize
    }

    /// Bytes of a picture that is not a key frame, of which one comes every `gop_seconds`.
    fn picture_bytes(&self, gop_seconds: u32) -> usize {
        let gop_bytes = (self.bitrate_bps - self.audio_bps()) * u64::from(gop_seconds) / 8;
        let gop_frames = u64::from(self.frame_rate * gop_seconds);
        (gop_bytes / (gop_frames - 1 + KEY_FRAME_WEIGHT)) as usize
    }
}

/// One synthetic stream.
#[derive(Debug)]
pub struct SyntheticStream {
    rates: Rates,
    gop_seconds: u32,
    start_us: u64,
    /// Pictures and audio frames that have been due so far.
    video_due: u64,
    audio_due: u64,
    /// Number of the next picture that is handed out: it has no holes, so that players can count losses.
    number: u16,
    payload: Vec<u8>,
}

impl SyntheticStream {
    /// A stream whose first picture is due at `start_us`.
    pub fn new(rates: Rates, start_us: u64) -> SyntheticStream {
        SyntheticStream {
            rates,
            gop_seconds: GOP_SECONDS,
            start_us,
            video_due: 0,
            audio_due: 0,
            number: 0,
            payload: Vec::new(),
        }
    }

    /// The same with a key frame every so many seconds, at least 1.
    pub fn with_gop_seconds(self, gop_seconds: u32) -> SyntheticStream {
        SyntheticStream { gop_seconds, ..self }
    }

    /// When the next message is due.
    pub fn due_us(&self) -> u64 {
        self.start_us + self.video_offset_us().min(self.audio_offset_us())
    }

    /// Number of the newest picture handed out; `None` before the first.
    pub fn newest(&self) -> Option<u16> {
        (self.video_due > 0).then(|| self.number.wrapping_sub(1))
    }

    /// Metadata and both sequence headers, as chunks.
    pub fn headers(&self, stream_id: u32, chunk_bytes: usize, out: &mut Vec<u8>) {
        let mut body = [0; 512];
        let mut writer = Writer::new(&mut body);
        self.metadata(&mut Encoder::new(&mut writer)).expect("the metadata is shorter than 512 bytes");
        let header = MessageHeader { timestamp: 0, length: writer.len() as u32, type_id: type_id::DATA, stream_id };
        put_message(out, DATA_CHUNK_STREAM, header, writer.written(), chunk_bytes);

        let video = [&avc_packet_header(true, true, 0)[..], &AVC_RECORD].concat();
        let header = MessageHeader { timestamp: 0, length: video.len() as u32, type_id: type_id::VIDEO, stream_id };
        put_message(out, VIDEO_CHUNK_STREAM, header, &video, chunk_bytes);

        let audio = [&aac_packet_header(true)[..], &AUDIO_SPECIFIC_CONFIG].concat();
        let header = MessageHeader { timestamp: 0, length: audio.len() as u32, type_id: type_id::AUDIO, stream_id };
        put_message(out, AUDIO_CHUNK_STREAM, header, &audio, chunk_bytes);
    }

    /// The message that is due, as chunks stamped with `now_us`; returns how many bytes of payload it has.
    pub fn next(&mut self, now_us: u64, stream_id: u32, chunk_bytes: usize, out: &mut Vec<u8>) -> usize {
        self.payload.clear();
        let (chunk_stream, type_id, offset_us) = if self.video_is_next() {
            let offset_us = self.video_offset_us();
            self.picture(Stamp { number: self.number, time_us: now_us });
            self.number = self.number.wrapping_add(1);
            self.video_due += 1;
            (VIDEO_CHUNK_STREAM, type_id::VIDEO, offset_us)
        } else {
            let offset_us = self.audio_offset_us();
            self.payload.extend(aac_packet_header(false));
            audio_frame(self.rates.audio_bytes(), &mut self.payload);
            self.audio_due += 1;
            (AUDIO_CHUNK_STREAM, type_id::AUDIO, offset_us)
        };
        let timestamp = (offset_us / 1000) as u32;
        let header = MessageHeader { timestamp, length: self.payload.len() as u32, type_id, stream_id };
        put_message(out, chunk_stream, header, &self.payload, chunk_bytes);
        self.payload.len()
    }

    /// Lets the message that is due pass, as an encoder does whose connection is stuck.
    pub fn skip(&mut self) {
        if self.video_is_next() {
            self.video_due += 1;
        } else {
            self.audio_due += 1;
        }
    }

    fn video_is_next(&self) -> bool {
        self.video_offset_us() <= self.audio_offset_us()
    }

    fn video_offset_us(&self) -> u64 {
        self.video_due * MICROS / u64::from(self.rates.frame_rate)
    }

    fn audio_offset_us(&self) -> u64 {
        self.audio_due * u64::from(AAC_FRAME_SAMPLES) * MICROS / SAMPLE_RATE_HZ
    }

    fn picture(&mut self, stamp: Stamp) {
        let frame = (self.video_due % u64::from(self.rates.frame_rate * self.gop_seconds)) as u32;
        let weight = if frame == 0 { KEY_FRAME_WEIGHT as usize } else { 1 };
        let bytes = (self.rates.picture_bytes(self.gop_seconds) * weight).max(EXACT_BYTES_MIN);
        let header = avc_packet_header(frame == 0, false, 0);
        self.payload.extend(header);
        self.payload.resize(header.len() + bytes, 0);
        access_unit(frame, stamp.pack(), bytes, &mut self.payload[header.len()..])
            .expect("from EXACT_BYTES_MIN on an access unit has the length asked for");
    }

    fn metadata(&self, amf: &mut Encoder<'_, '_>) -> Result<(), Full> {
        const COUNT: u32 = 9;
        amf.string("@setDataFrame")?;
        amf.string("onMetaData")?;
        amf.ecma_array_begin(COUNT)?;
        amf.property_number("width", 64.0)?;
        amf.property_number("height", 64.0)?;
        amf.property_number("framerate", f64::from(self.rates.frame_rate))?;
        amf.property_number("videocodecid", 7.0)?;
        amf.property_number("videodatarate", (self.rates.bitrate_bps - self.rates.audio_bps()) as f64 / 1000.0)?;
        amf.property_number("audiocodecid", 10.0)?;
        amf.property_number("audiodatarate", self.rates.audio_bps() as f64 / 1000.0)?;
        amf.property_number("audiosamplerate", SAMPLE_RATE_HZ as f64)?;
        amf.property_boolean("stereo", true)?;
        amf.object_end()
    }
}

/// Appends one message as chunks of `chunk_bytes` (RTMP 1.0, section 5.3.1): a type-0 header, then type-3 headers, each
/// with the extended timestamp if there is one.
///
/// # Panics
/// When `chunk_stream` is not in 2..=63.
pub fn put_message(out: &mut Vec<u8>, chunk_stream: u8, header: MessageHeader, payload: &[u8], chunk_bytes: usize) {
    let mut start = [0; MAX_TYPE0_BYTES];
    let start_bytes = header.emit_type0(chunk_stream, &mut start);
    out.extend_from_slice(&start[..start_bytes]);
    let mut continuation = [0; 3];
    let basic = BasicHeader { format: Format::Continuation, chunk_stream_id: u32::from(chunk_stream) };
    let continuation_bytes = basic.emit(&mut continuation);
    for (index, chunk) in payload.chunks(chunk_bytes).enumerate() {
        if index > 0 {
            out.extend_from_slice(&continuation[..continuation_bytes]);
            if header.timestamp >= EXTENDED_TIMESTAMP {
                out.extend_from_slice(&header.timestamp.to_be_bytes());
            }
        }
        out.extend_from_slice(chunk);
    }
}

/// An AAC frame of silence of `bytes`, or one byte less: a data stream element, which decoders pass over (ISO/IEC 14496-3,
/// section 4.4.2.7), then the silence itself. Never shorter than the silence nor longer than 519 bytes.
fn audio_frame(bytes: usize, out: &mut Vec<u8>) {
    /// Element id 4, tag 0, byte-aligned; then the count, and when that is 255 another that is added to it.
    const DATA_STREAM_ELEMENT: u8 = 0x81;
    match bytes.saturating_sub(AAC_SILENCE.len()) {
        0 | 1 => {}
        padding @ 2..=257 => {
            let count = (padding - 2).min(254);
            out.extend([DATA_STREAM_ELEMENT, count as u8]);
            out.resize(out.len() + count, 0);
        }
        padding => {
            let further = (padding - 3 - 255).min(255);
            out.extend([DATA_STREAM_ELEMENT, 255, further as u8]);
            out.resize(out.len() + 255 + further, 0);
        }
    }
    out.extend_from_slice(&AAC_SILENCE);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtmp::chunk_reader::{ChunkEvent, ChunkReader};
    use crate::wire::codec::synthetic::stamp_us;

    const RATES: Rates = Rates { bitrate_bps: 2_000_000, frame_rate: 30 };

    #[test]
    fn ten_seconds_of_a_stream_have_its_bitrate_pace_and_numbers() {
        let mut source = SyntheticStream::new(RATES, 5_000_000);
        let (mut out, mut payload, mut now_us) = (Vec::new(), 0, 0);
        while source.due_us() < 15_000_000 {
            assert!(source.due_us() >= now_us, "messages come in the order of their time");
            now_us = source.due_us();
            payload += source.next(now_us, 1, 4096, &mut out);
        }
        let bitrate = payload as f64 * 8.0 / 10.0;
        assert!((bitrate / 2e6 - 1.0).abs() < 0.01, "{bitrate}");
        assert_eq!(source.newest(), Some(299));

        let mut reader = ChunkReader::default();
        reader.set_chunk_size(4096);
        let (mut rest, mut start, mut numbers, mut audio) = (&out[..], Vec::new(), Vec::new(), 0);
        while let Some(event) = reader.next(&mut rest, None).unwrap() {
            match event {
                ChunkEvent::Begin { header, .. } => {
                    start.clear();
                    audio += u32::from(header.type_id == type_id::AUDIO);
                }
                ChunkEvent::Payload { bytes, .. } => start.extend_from_slice(&bytes),
                ChunkEvent::End { lane } if reader.message(lane).type_id == type_id::VIDEO => {
                    let stamp = Stamp::unpack(stamp_us(&start[5..]).unwrap());
                    assert_eq!(stamp.time_us / 1000 - 5000, u64::from(reader.message(lane).timestamp));
                    assert_eq!(start[0] == 0x17, numbers.len().is_multiple_of(60), "a key frame every two seconds");
                    numbers.push(stamp.number);
                }
                _ => {}
            }
        }
        assert_eq!(numbers, (0..300).collect::<Vec<u16>>());
        assert_eq!(audio, 469);
    }

    #[test]
    fn an_audio_frame_has_the_length_asked_for_where_one_element_can_fill_it() {
        for (asked, expected) in [(0, 6), (7, 6), (8, 8), (262, 262), (263, 262), (264, 264), (341, 341), (600, 519)] {
            let mut frame = Vec::new();
            audio_frame(asked, &mut frame);
            assert_eq!(frame.len(), expected);
            assert!(frame.ends_with(&AAC_SILENCE));
        }
    }

    #[test]
    fn a_skipped_picture_leaves_no_hole_in_the_numbers() {
        let mut source = SyntheticStream::new(RATES, 0);
        let mut out = Vec::new();
        source.next(0, 1, 4096, &mut out);
        let first = source.newest();
        while source.due_us() < 500_000 {
            source.skip();
        }
        while source.newest() == first {
            source.next(500_000, 1, 4096, &mut out);
        }
        assert_eq!(source.newest(), Some(1));
    }
}
