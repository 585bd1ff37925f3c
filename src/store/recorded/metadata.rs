//! What is said of a file before its first message: `onMetaData`, an ECMA array of what players ask for.
//!
//! Codecs are numbers: ffmpeg ignores names, and GStreamer does not understand them. What an FLV file says of itself follows, as far
//! as it is a number, a word or yes or no, and not of the file as it lies on the disk: an index of key frames can be 100 KB.

use std::mem::size_of;

use crate::live::recorded::RecordedFacts;
use crate::wire::amf0::{Decoder, Encoder, Value};
use crate::wire::bytes::{Full, Writer};
use crate::wire::codec::{AudioInfo, VideoInfo};
use crate::wire::flv::Codec;
use crate::wire::recorded::{FilmRates, Recorded};
use crate::wire::windows::{Answer, Extent, File, ReadAt, STRUCTURE, WINDOW_BYTES};

/// What we know better than the file, or do not pass on.
const OURS: [&[u8]; 6] = [b"duration", b"filesize", b"videocodecid", b"audiocodecid", b"canSeekToEnd", b"hasKeyframes"];
/// A longer text of the file is left out.
const TEXT_BYTES: usize = 256;
/// Ends an array.
const END: [u8; 3] = [0, 0, 9];

/// Writes the message into `out`, and says how long it is.
///
/// # Errors
///
/// What the disk says.
pub(super) fn write<R: ReadAt>(
    file: &mut File<'_, R>,
    recorded: &Recorded,
    facts: &RecordedFacts,
    rates: FilmRates,
    out: &mut [u8],
) -> Answer<usize, R> {
    let (video, audio) = recorded.infos(file)?;
    let own = match recorded {
        Recorded::Flv(flv) => flv.metadata,
        _ => None,
    };
    let own = match own {
        Some(Extent { at, bytes }) => file.bytes(STRUCTURE, at, (bytes as usize).min(WINDOW_BYTES))?,
        None => &[],
    };
    // The end has to have room, whatever is in between.
    let most = out.len() - END.len();
    let mut writer = Writer::new(&mut out[..most]);
    let mut amf = Encoder::new(&mut writer);
    // There is room for this.
    let _ = amf.string("onMetaData").and_then(|()| amf.ecma_array_begin(0));
    let mut properties = PropertyList { count_at: writer.len() - size_of::<u32>(), count: 0, writer };
    properties.put_all(facts, rates, video, audio, own);
    let PropertyList { count_at, count, mut writer } = properties;
    writer.set_u32(count_at, count);
    let length = writer.len();
    out[length..length + END.len()].copy_from_slice(&END);
    Ok(length + END.len())
}

/// The properties of the array.
struct PropertyList<'w> {
    writer: Writer<'w>,
    count_at: usize,
    count: u32,
}

impl PropertyList<'_> {
    /// One more, unless it has no room.
    fn put(&mut self, name: &str, value: Value<'_>) {
        let before = self.writer.len();
        let mut amf = Encoder::new(&mut self.writer);
        let put = amf.key(name).and_then(|()| match value {
            Value::Number(number) => amf.number(number),
            Value::Boolean(yes) => amf.boolean(yes),
            Value::String(text) => amf.string_bytes(text),
            _ => Err(Full),
        });
        match put {
            Ok(()) => self.count += 1,
            Err(Full) => self.writer.truncate(before),
        }
    }

    fn put_all(
        &mut self,
        facts: &RecordedFacts,
        rates: FilmRates,
        video: Option<VideoInfo>,
        audio: Option<AudioInfo>,
        own: &[u8],
    ) {
        self.put("duration", Value::Number(facts.duration_ms as f64 / 1000.0));
        for (name, codec) in [("videocodecid", facts.video), ("audiocodecid", facts.audio)] {
            if let Some(id) = codec.and_then(codec_id) {
                self.put(name, Value::Number(id));
            }
        }
        self.put("filesize", Value::Number(facts.bytes as f64));
        self.put("canSeekToEnd", Value::Boolean(false));
        let size = video.and_then(|video| video.size);
        let number = |number: Option<f64>| number.map(Value::Number);
        let rate = video.and_then(|video| video.frame_rate);
        let rate = rate.map(|rate| f64::from(rate.numerator) / f64::from(rate.denominator)).or(rates.frames);
        let (video_bits, audio_bits) = bits_a_second(facts, rates);
        let kbits = |bits: Option<f64>| number(bits.map(|bits| (bits / 1000.0).round()));
        let channels = audio.and_then(|audio| audio.channels);
        let found = [
            ("width", number(size.map(|size| size.width.into()))),
            ("height", number(size.map(|size| size.height.into()))),
            ("framerate", number(rate)),
            ("videodatarate", kbits(video_bits)),
            ("audiodatarate", kbits(audio_bits)),
            ("audiosamplerate", number(audio.and_then(|audio| audio.sample_rate_hz).map(f64::from))),
            ("audiochannels", number(channels.map(f64::from))),
            ("stereo", channels.map(|channels| Value::Boolean(channels > 1))),
        ];
        // What the file says of these is what its writer knew.
        let is_own = |wanted: &str| scalars(own).any(|(name, _)| name == wanted.as_bytes());
        for (name, value) in found.into_iter().filter(|(name, _)| !is_own(name)) {
            if let Some(value) = value {
                self.put(name, value);
            }
        }
        for (name, value) in scalars(own).filter(|(name, _)| !OURS.contains(name)) {
            match (core::str::from_utf8(name), &value) {
                (_, Value::String(text)) if text.len() > TEXT_BYTES => {}
                (Ok(name), _) => self.put(name, value),
                _ => {}
            }
        }
    }
}

/// Bits a second of pictures and of sound: of what the whole file has sound takes what it does at its beginning, and pictures the rest.
fn bits_a_second(facts: &RecordedFacts, rates: FilmRates) -> (Option<f64>, Option<f64>) {
    let all = (facts.duration_ms > 0).then(|| facts.bytes as f64 * 8000.0 / facts.duration_ms as f64);
    let audio = match (facts.video, facts.audio) {
        (None, Some(_)) => all,
        (_, None) => None,
        (Some(_), Some(_)) => rates.audio_bits,
    };
    let rest = all.map(|all| all - audio.unwrap_or(0.0));
    (rest.filter(|&bits| facts.video.is_some() && bits > 0.0), audio)
}

/// The number by which metadata names a codec: FLV's own where it has one, else its FourCC (Enhanced RTMP v2).
fn codec_id(codec: Codec) -> Option<f64> {
    let legacy = codec.legacy_id().map(u32::from);
    legacy.or_else(|| codec.fourcc().map(u32::from_be_bytes)).map(f64::from)
}

/// The properties of a file's own metadata that have one value, as far as `message` goes: it may be cut off.
fn scalars(message: &[u8]) -> impl Iterator<Item = (&[u8], Value<'_>)> {
    let mut decoder = Decoder::new(message);
    let begins = decoder.string().is_ok();
    let mut rest = match decoder.rest() {
        [3, rest @ ..] | [8, _, _, _, _, rest @ ..] if begins => rest,
        _ => &[],
    };
    std::iter::from_fn(move || {
        loop {
            let (length, behind) = rest.split_first_chunk()?;
            let (name, value) = behind.split_at_checked(u16::from_be_bytes(*length).into())?;
            let mut decoder = Decoder::new(value);
            let read = decoder.value().ok()?;
            rest = decoder.rest();
            if matches!(read, Value::Number(_) | Value::Boolean(_) | Value::String(_)) {
                return Some((name, read));
            }
        }
    })
}
