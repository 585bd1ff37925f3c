//! The front of an FLV file that is recorded: its header and its metadata (FLV 10.1, annex E.2 and E.5), in a place of fixed size,
//! so that what is known at the end only is written over it: how long the file is, and where its key frames lie.

use super::amf0::{Decoder, Encoder, Value};
use super::bytes::{Full, Writer};
use super::flv::{SUB_TAG_HEADER_BYTES, SUB_TAG_TRAILER_BYTES, SubTagHeader};
use super::message::type_id;
use crate::limits::RECORDING_KEYS;

/// Bytes of the front: whole blocks of any file system.
pub const FRONT_BYTES: usize = 20 * 1024;
/// The file's header and the link in front of the first tag.
const FILE_HEADER_BYTES: usize = 13;
/// The metadata's payload.
const METADATA_BYTES: usize = FRONT_BYTES - FILE_HEADER_BYTES - SUB_TAG_HEADER_BYTES - SUB_TAG_TRAILER_BYTES;
/// A number with its name in front.
const fn number_bytes(name: &str) -> usize {
    2 + name.len() + 9
}
/// Where the file's size stands, in a number of 8 bytes: behind the name of the message, the beginning of the array, and the duration.
pub const SIZE_AT: usize = FILE_HEADER_BYTES
    + SUB_TAG_HEADER_BYTES
    + (3 + "onMetaData".len())
    + 5
    + number_bytes("duration")
    + number_bytes("filesize")
    - 8;

/// Bytes of a publisher's own metadata that are kept.
pub const SCALARS_BYTES: usize = 1024;

/// A key frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyPlace {
    /// Its time, in milliseconds.
    pub ms: u32,
    /// Where its tag begins.
    pub at: u64,
}

/// What is known of a file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Front<'a> {
    /// How long it is, in milliseconds; 0 while it is being written.
    pub duration_ms: u32,
    /// Its bytes; 0 while it is being written.
    pub bytes: u64,
    /// It has pictures.
    pub has_video: bool,
    /// It has sound.
    pub has_audio: bool,
    /// See [`scalars`].
    pub scalars: &'a [u8],
    /// Key frames, of which at most [`RECORDING_KEYS`] are written.
    pub keys: &'a [KeyPlace],
}

impl Front<'_> {
    /// Writes all of it.
    pub fn emit(&self, out: &mut [u8; FRONT_BYTES]) {
        out.fill(0);
        let flags = if self.has_audio { 4 } else { 0 } | u8::from(self.has_video);
        out[..FILE_HEADER_BYTES].copy_from_slice(&[b'F', b'L', b'V', 1, flags, 0, 0, 0, 9, 0, 0, 0, 0]);
        let tag = SubTagHeader { message_type: type_id::DATA, length: METADATA_BYTES as u32, timestamp_ms: 0 };
        let (header, rest) = out[FILE_HEADER_BYTES..].split_at_mut(SUB_TAG_HEADER_BYTES);
        header.copy_from_slice(&tag.emit());
        let (payload, link) = rest.split_at_mut(METADATA_BYTES);
        link.copy_from_slice(&((METADATA_BYTES + SUB_TAG_HEADER_BYTES) as u32).to_be_bytes());
        let written = self.metadata(payload);
        debug_assert!(written.is_ok(), "the front has room for as much as it may hold");
    }

    fn metadata(&self, payload: &mut [u8]) -> Result<(), Full> {
        let keys = &self.keys[..self.keys.len().min(RECORDING_KEYS)];
        let mut writer = Writer::new(payload);
        let mut encoder = Encoder::new(&mut writer);
        encoder.string("onMetaData")?;
        encoder.ecma_array_begin(0)?;
        encoder.property_number("duration", f64::from(self.duration_ms) / 1000.0)?;
        encoder.property_number("filesize", self.bytes as f64)?;
        encoder.property_boolean("hasVideo", self.has_video)?;
        encoder.property_boolean("hasAudio", self.has_audio)?;
        encoder.property_boolean("hasKeyframes", !keys.is_empty())?;
        encoder.encoded(self.scalars)?;
        if !keys.is_empty() {
            encoder.key("keyframes")?;
            encoder.object_begin()?;
            encoder.key("times")?;
            encoder.strict_array_begin(keys.len() as u32)?;
            keys.iter().try_for_each(|key| encoder.number(f64::from(key.ms) / 1000.0))?;
            encoder.key("filepositions")?;
            encoder.strict_array_begin(keys.len() as u32)?;
            keys.iter().try_for_each(|key| encoder.number(key.at as f64))?;
            encoder.object_end()?;
        }
        encoder.object_end()
        // Zeros behind are no part of the array, and readers pass over them with the tag.
    }
}

/// Numbers, booleans and short texts of a publisher's metadata message, as they stand in a front, without those that it has itself.
/// Returns how many bytes of `out` they take; what does not fit is left out.
pub fn scalars(message: &[u8], out: &mut [u8; SCALARS_BYTES]) -> usize {
    let mut writer = Writer::new(out);
    let mut decoder = Decoder::new(message);
    let is_metadata = decoder.string().is_ok_and(|name| name == b"onMetaData");
    let Ok(value) = decoder.value() else { return 0 };
    let Some(properties) = value.properties().filter(|_| is_metadata) else { return 0 };
    for (key, value) in properties.iter() {
        let Ok(key) = core::str::from_utf8(key) else { continue };
        if OWN.contains(&key) {
            continue;
        }
        let mut encoder = Encoder::new(&mut writer);
        // What has no room is left out.
        let _ = match value {
            Value::Number(number) => encoder.property_number(key, number),
            Value::Boolean(yes) => encoder.property_boolean(key, yes),
            Value::String(text) => match core::str::from_utf8(text) {
                Ok(text) => encoder.property_string(key, text),
                Err(_) => continue,
            },
            _ => continue,
        };
    }
    writer.len()
}

/// What a front says itself.
const OWN: [&str; 7] = ["duration", "filesize", "fileSize", "hasVideo", "hasAudio", "hasKeyframes", "keyframes"];

/// The size that stands in a front, which is 0 while the file is being written; `None` when these are not the first bytes of
/// a file with such a front: [`SIZE_BYTES`] of them are enough.
pub fn size_in(front: &[u8]) -> Option<u64> {
    let tag = front.get(FILE_HEADER_BYTES..FILE_HEADER_BYTES + SUB_TAG_HEADER_BYTES)?;
    let tag = SubTagHeader::parse(tag.try_into().ok()?);
    let is_ours = front.starts_with(b"FLV\x01")
        && tag.message_type == type_id::DATA
        && tag.length as usize == METADATA_BYTES
        && front.get(SIZE_AT - 1 - "filesize".len()..SIZE_AT - 1) == Some(b"filesize");
    let size = f64::from_be_bytes(front.get(SIZE_AT..SIZE_BYTES)?.try_into().ok()?);
    is_ours.then_some(size as u64)
}

/// Puts other facts into a front, which keeps the publisher's own metadata.
pub fn edit_front(front: &mut [u8; FRONT_BYTES], facts: &Front<'_>) {
    let mut kept = [0; SCALARS_BYTES];
    let count = scalars(&front[FILE_HEADER_BYTES + SUB_TAG_HEADER_BYTES..], &mut kept);
    Front { scalars: &kept[..count], ..*facts }.emit(front);
}

/// How many bytes [`size_in`] looks at.
pub const SIZE_BYTES: usize = SIZE_AT + 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn emit(front: &Front<'_>) -> Box<[u8; FRONT_BYTES]> {
        let mut out = Box::new([0xEE; FRONT_BYTES]);
        front.emit(&mut out);
        out
    }

    #[test]
    fn a_front_has_one_size_whatever_is_in_it_and_says_the_size_of_its_file() {
        let keys: Vec<KeyPlace> =
            (0..2 * RECORDING_KEYS as u64).map(|n| KeyPlace { ms: n as u32 * 2000, at: n << 22 }).collect();
        let most = Front {
            duration_ms: u32::MAX,
            bytes: 1 << 40,
            has_video: true,
            has_audio: true,
            scalars: &[],
            keys: &keys,
        };
        let mut scalars = [0; SCALARS_BYTES];
        scalars[..4].copy_from_slice(&[0, 1, b'a', 5]);
        for (front, size) in
            [(Front::default(), 0), (most, 1 << 40), (Front { scalars: &scalars[..4], ..most }, 1 << 40)]
        {
            let out = emit(&front);
            assert_eq!(size_in(&out[..SIZE_BYTES]), Some(size));
            let mut decoder = Decoder::new(&out[FILE_HEADER_BYTES + SUB_TAG_HEADER_BYTES..]);
            assert_eq!(decoder.string(), Ok(&b"onMetaData"[..]));
            let value = decoder.value().unwrap();
            assert_eq!(value.get("filesize").unwrap().as_number(), Some(size as f64));
            let count = front.keys.len().min(RECORDING_KEYS);
            match value.get("keyframes") {
                Some(found) => match found.get("times") {
                    Some(Value::StrictArray(times)) => assert_eq!(times.len(), count),
                    other => panic!("{other:?}"),
                },
                None => assert_eq!(count, 0),
            }
        }
        assert_eq!(size_in(b"FLV\x01"), None);
        assert_eq!(size_in(&[0; SIZE_BYTES]), None);
    }

    #[test]
    fn of_a_publisher_s_metadata_scalars_are_kept_that_the_front_does_not_say_itself() {
        let mut message = [0; 400];
        let mut writer = Writer::new(&mut message);
        let mut encoder = Encoder::new(&mut writer);
        encoder.string("onMetaData").unwrap();
        encoder.object_begin().unwrap();
        encoder.property_number("duration", 3.0).unwrap();
        encoder.property_number("width", 640.0).unwrap();
        encoder.property_string("encoder", "x").unwrap();
        encoder.key("list").unwrap();
        encoder.strict_array_begin(0).unwrap();
        encoder.object_end().unwrap();
        let length = writer.len();
        let mut out = [0; SCALARS_BYTES];
        let kept = scalars(&message[..length], &mut out);
        let front = Front { scalars: &out[..kept], ..Front::default() };
        let bytes = emit(&front);
        let mut decoder = Decoder::new(&bytes[FILE_HEADER_BYTES + SUB_TAG_HEADER_BYTES..]);
        let _ = decoder.string();
        let value = decoder.value().unwrap();
        assert_eq!(value.get("width").unwrap().as_number(), Some(640.0));
        assert_eq!(value.get("encoder").unwrap().as_str(), Some("x"));
        assert_eq!((value.get("duration").unwrap().as_number(), value.get("list")), (Some(0.0), None));
        assert_eq!(scalars(b"\x02\0\x01x", &mut out), 0);
    }
}
