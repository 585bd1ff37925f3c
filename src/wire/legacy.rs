//! The legacy message that an Enhanced RTMP message equals (Enhanced RTMP v2, "Enhanced Video", "Enhanced Audio"; FLV 10.1,
//! annex E.4): what players who know no Enhanced RTMP can be sent in its place.
//!
//! H.264, AAC and MP3 were there before they had a FourCC: such a message differs only in what stands before its data. Of several
//! tracks the default one, 0, is such a player's. Its data lies together in the message, so what it is sent is a few bytes of ours
//! and a part of the message, and nothing is copied.

use core::ops::Range;

use super::amf0::{Decoder, Value};
use super::announced::Announced;
use super::flv::{
    COMPOSITION_BYTES, Codec, FRAME_COMMAND, FRAME_DISPOSABLE, FRAME_GENERATED_KEY, FRAME_INTER, FRAME_KEY, HeaderKind,
    HeaderReader, MANY_TRACKS_MANY_CODECS, MediaType, PACKET_CODED, PACKET_END, PacketType, TrackBody,
    aac_packet_header, avc_packet_header, is_enhanced,
};

/// What is sent to who does not know all of Enhanced RTMP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Legacy {
    /// The message as it is: it is no Enhanced RTMP, or what of it is known.
    Itself,
    /// Other bytes, and then a part of the message.
    Instead(Instead),
    /// Nothing, and nothing is missed: another track, or what only Enhanced RTMP says (colours, channel layouts, commands). So it
    /// is with a message that makes no sense.
    Nothing,
    /// Nothing, although it is a frame or a sequence header: its codec is not known, and there is no legacy form of it.
    NoForm,
}

/// What stands for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instead {
    head: [u8; HEAD_BYTES],
    head_bytes: u8,
    /// Bytes of the message that are left out in front.
    pub skip: u32,
    /// Bytes of the message that are sent behind those and the head.
    pub take: u32,
}

/// Bytes before the data of a legacy message, at most. Every Enhanced RTMP message has as many before its data, at least.
pub const HEAD_BYTES: usize = 5;

impl Instead {
    /// What comes first: the legacy header, less what of it the message has.
    pub fn head(&self) -> &[u8] {
        &self.head[..usize::from(self.head_bytes)]
    }

    fn new(head: &[u8], body: TrackBody) -> Instead {
        let mut bytes = [0; HEAD_BYTES];
        bytes[..head.len()].copy_from_slice(head);
        Instead { head: bytes, head_bytes: head.len() as u8, skip: body.at, take: body.length }
    }
}

/// What stands for a message of `length` bytes, to who knows as much. `read` gives its byte at an offset, `None` behind its end.
pub fn of(media_type: MediaType, length: u32, knows: Announced, read: impl Fn(u32) -> Option<u8>) -> Legacy {
    match read(0) {
        Some(first) if knows != Announced::ALL && is_enhanced(media_type, first) => {
            unwrap(media_type, HeaderReader::new(length, read), knows).unwrap_or(Legacy::Nothing)
        }
        _ => Legacy::Itself,
    }
}

/// Whether metadata names a codec by its FourCC, which is a number in it. ffmpeg, and VLC with it, wait for whatever has a codec there,
/// many seconds if it never comes.
pub fn is_enhanced_metadata(message: &[u8]) -> bool {
    fourcc_property(message, Announced::NOTHING).is_some()
}

/// Makes a metadata message one for who knows as much of Enhanced RTMP, and returns its length, which is no greater: a FourCC that it does
/// not know becomes the codec's legacy id, and a codec without one is not named.
pub fn edit_metadata(message: &mut [u8], knows: Announced) -> usize {
    let mut length = message.len();
    while let Some((name, legacy_id)) = fourcc_property(&message[..length], knows) {
        let value = name.end + 1..name.end + NUMBER_BYTES;
        if let Some(id) = legacy_id {
            message[value].copy_from_slice(&f64::from(id).to_be_bytes());
        } else {
            let begin = name.start - NAME_LENGTH_BYTES;
            message.copy_within(value.end..length, begin);
            length -= value.end - begin;
        }
    }
    length
}

/// Bytes of an AMF0 property: the length of its name, and a number with its marker.
const NAME_LENGTH_BYTES: usize = 2;
const NUMBER_BYTES: usize = 9;

/// The first property of metadata that has the FourCC of a codec that is not known: where its name lies, and the codec's legacy id.
fn fourcc_property(message: &[u8], knows: Announced) -> Option<(Range<usize>, Option<u8>)> {
    let mut values = Decoder::new(message);
    if values.string().ok()? != b"onMetaData" {
        return None;
    }
    let metadata = values.value().ok()?;
    let fourcc = |(name, value): (&[u8], Value<'_>)| {
        let Value::Number(number) = value else { return None };
        let media_type = match name {
            b"videocodecid" => MediaType::Video,
            b"audiocodecid" => MediaType::Audio,
            _ => return None,
        };
        let fourcc = (number as u32).to_be_bytes();
        if number.is_nan() || number <= f64::from(u8::MAX) || knows.takes(media_type, fourcc) {
            return None;
        }
        // The name is a part of the message.
        let begin = name.as_ptr().addr() - message.as_ptr().addr();
        let legacy_id = Codec::from_fourcc(fourcc).and_then(Codec::legacy_id);
        Some((begin..begin + name.len(), legacy_id))
    };
    metadata.properties()?.iter().find_map(fourcc)
}

/// Codec of a legacy message of H.264, the low bits of its first byte.
const LEGACY_AVC: u8 = 7;
/// First byte of legacy MP3. What it says of rate and channels MP3's own frames say better.
const LEGACY_MP3: u8 = 0x2F;

/// `None` when it makes no sense, or has nothing of the default track.
fn unwrap(
    media_type: MediaType,
    mut reader: HeaderReader<impl Fn(u32) -> Option<u8>>,
    knows: Announced,
) -> Option<Legacy> {
    let first = reader.byte()?;
    let packet = reader.packet(media_type, first)?;
    let frame_type = first >> 4 & 0x07;
    let is_command = media_type == MediaType::Video && frame_type == FRAME_COMMAND;
    if is_command && packet != PacketType::Header(HeaderKind::Metadata) {
        return None;
    }
    let is_modified = PacketType::from_bits(media_type, first & 0x0F) == PacketType::ModEx;
    let has_known_form = !is_modified || knows.has(Announced::MOD_EX);
    let is_multitrack = packet == PacketType::Multitrack;
    if is_multitrack && has_known_form && knows.has(Announced::MULTITRACK) {
        let begin = reader.at;
        let is_known = match reader.byte()? >> 4 {
            MANY_TRACKS_MANY_CODECS => knows.has(Announced::EVERY_CODEC),
            _ => knows.takes(media_type, reader.fourcc()?),
        };
        if is_known {
            return Some(Legacy::Itself);
        }
        reader.at = begin;
    }
    let (packet, fourcc, body) = reader.default_packet(media_type, packet)?;
    if knows.takes(media_type, fourcc) {
        if has_known_form && !is_multitrack {
            return Some(Legacy::Itself);
        }
        let [a, b, c, d] = fourcc;
        return Some(Legacy::Instead(Instead::new(&[first & 0xF0 | packet.bits(media_type)?, a, b, c, d], body)));
    }
    match (media_type, Codec::from_fourcc(fourcc)) {
        (MediaType::Video, Some(Codec::Avc)) => avc(frame_type, packet, body),
        (MediaType::Audio, Some(Codec::Aac)) => aac(packet, body),
        (MediaType::Audio, Some(Codec::Mp3)) => {
            matches!(packet, PacketType::Coded { .. }).then(|| Legacy::Instead(Instead::new(&[LEGACY_MP3], body)))
        }
        _ => is_missed(packet).then_some(Legacy::NoForm),
    }
}

/// Whether who does not get the packet lacks the codec's sound or picture.
fn is_missed(packet: PacketType) -> bool {
    match packet {
        PacketType::Header(HeaderKind::SequenceHeader)
        | PacketType::Mpeg2TsSequenceStart
        | PacketType::Coded { .. } => true,
        PacketType::Header(HeaderKind::Metadata | HeaderKind::MultichannelConfig)
        | PacketType::End
        | PacketType::Multitrack
        | PacketType::ModEx
        | PacketType::Unknown => false,
    }
}

fn avc(frame_type: u8, packet: PacketType, body: TrackBody) -> Option<Legacy> {
    let frame = match frame_type {
        FRAME_KEY | FRAME_GENERATED_KEY => FRAME_KEY,
        FRAME_DISPOSABLE => FRAME_DISPOSABLE,
        _ => FRAME_INTER,
    };
    let coded = [frame << 4 | LEGACY_AVC, PACKET_CODED, 0, 0, 0];
    let instead = match packet {
        // One without a record would take the decoder's configuration away.
        PacketType::Header(HeaderKind::SequenceHeader) if body.length > 0 => {
            Instead::new(&avc_packet_header(true, true, 0), body)
        }
        // Its composition time comes next, in both.
        PacketType::Coded { composition_time: true } if body.length >= COMPOSITION_BYTES => {
            Instead::new(&coded[..2], body)
        }
        PacketType::Coded { composition_time: false } => Instead::new(&coded, body),
        PacketType::End => {
            Instead::new(&[FRAME_KEY << 4 | LEGACY_AVC, PACKET_END, 0, 0, 0], TrackBody { length: 0, ..body })
        }
        _ => return None,
    };
    Some(Legacy::Instead(instead))
}

fn aac(packet: PacketType, body: TrackBody) -> Option<Legacy> {
    let is_header = match packet {
        PacketType::Header(HeaderKind::SequenceHeader) if body.length > 0 => true,
        PacketType::Coded { .. } => false,
        _ => return None,
    };
    Some(Legacy::Instead(Instead::new(&aac_packet_header(is_header), body)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    extern crate std;
    use std::vec::Vec;

    use crate::wire::amf0::Encoder;
    use crate::wire::bytes::Writer;
    use crate::wire::flv;

    fn legacy(media_type: MediaType, message: &[u8]) -> Legacy {
        of(media_type, message.len() as u32, Announced::NOTHING, |at| message.get(at as usize).copied())
    }

    /// What is sent in place of a message; `None` is nothing.
    fn sent(media_type: MediaType, message: &[u8]) -> Option<Vec<u8>> {
        match legacy(media_type, message) {
            Legacy::Itself => Some(message.to_vec()),
            Legacy::Instead(instead) => {
                let part = &message[instead.skip as usize..][..instead.take as usize];
                Some([instead.head(), part].concat())
            }
            Legacy::Nothing | Legacy::NoForm => None,
        }
    }

    fn video(message: &[u8]) -> Option<Vec<u8>> {
        sent(MediaType::Video, message)
    }

    fn audio(message: &[u8]) -> Option<Vec<u8>> {
        sent(MediaType::Audio, message)
    }

    fn some(bytes: &[u8]) -> Option<Vec<u8>> {
        Some(bytes.to_vec())
    }

    #[test]
    fn h264_under_its_fourcc_becomes_the_legacy_message() {
        assert_eq!(video(b"\x90avc1\x01\x64\x00\x1F"), some(b"\x17\x00\0\0\0\x01\x64\x00\x1F"));
        assert_eq!(video(b"\x91avc1\x00\x00\x50data"), some(b"\x17\x01\x00\x00\x50data"));
        assert_eq!(video(b"\xA1avc1\xFF\xFF\xD8data"), some(b"\x27\x01\xFF\xFF\xD8data"));
        assert_eq!(video(b"\xA3avc1data"), some(b"\x27\x01\0\0\0data"));
        assert_eq!(video(b"\xB3avc1data"), some(b"\x37\x01\0\0\0data"));
        assert_eq!(video(b"\xC3avc1data"), some(b"\x17\x01\0\0\0data"), "a generated key frame");
        assert_eq!(video(b"\x92avc1"), some(b"\x17\x02\0\0\0"));
        // A nanosecond offset is left out.
        assert_eq!(video(b"\x97\x02\0\0\x01\x03avc1data"), some(b"\x17\x01\0\0\0data"));
    }

    #[test]
    fn aac_and_mp3_under_their_fourcc_become_the_legacy_messages() {
        assert_eq!(audio(b"\x90mp4a\x11\x90"), some(b"\xAF\x00\x11\x90"));
        assert_eq!(audio(b"\x91mp4adata"), some(b"\xAF\x01data"));
        assert_eq!(audio(b"\x91mp4a"), some(b"\xAF\x01"), "silence");
        assert_eq!(audio(b"\x91.mp3data"), some(b"\x2Fdata"));
        assert_eq!(audio(b"\x97\x02\0\0\x01\x01mp4adata"), some(b"\xAF\x01data"));
    }

    #[test]
    fn what_is_known_stays_but_for_forms_that_are_not() {
        let knows = |announced: Announced, message: &[u8]| {
            let read = |at: u32| message.get(at as usize).copied();
            match of(MediaType::Video, message.len() as u32, announced, read) {
                Legacy::Instead(instead) => {
                    [instead.head(), &message[instead.skip as usize..][..instead.take as usize]].concat()
                }
                Legacy::Itself => message.to_vec(),
                Legacy::Nothing | Legacy::NoForm => Vec::new(),
            }
        };
        let codecs = Announced::EVERY_CODEC;
        assert_eq!(knows(codecs, b"\x91hvc1\0\0\x50data"), b"\x91hvc1\0\0\x50data");
        assert_eq!(knows(codecs, b"\xA7\x02\0\0\x01\x01hvc1\0\0\x50data"), b"\xA1hvc1\0\0\x50data");
        assert_eq!(knows(codecs, b"\xA6\x21av01\x01\0\0\x01xhvc1\0\0\0\x07\0\0\x50data"), b"\xA1hvc1\0\0\x50data");
        assert_eq!(knows(codecs, b"\x96\x00hvc1\0record"), b"\x90hvc1record");
        assert_eq!(knows(codecs, b"\x96\x03hvc1\x01other"), b"");
        assert_eq!(knows(Announced::MULTITRACK, b"\x96\x03hvc1\0data"), b"");
        assert_eq!(knows(Announced::MULTITRACK, b"\x96\x03avc1\0data"), b"\x17\x01\0\0\0data");
        // Cut short, it makes no sense.
        assert_eq!(knows(codecs, b"\x96\x03hv"), b"");
    }

    #[test]
    fn of_several_tracks_the_default_one_is_sent_wherever_it_lies() {
        assert_eq!(video(b"\x96\x01avc1\x00\x00\x00\x50data"), some(b"\x17\x01\x00\x00\x50data"));
        assert_eq!(audio(b"\x95\x01mp4a\x00data"), some(b"\xAF\x01data"));
        assert_eq!(audio(b"\x95\x01mp4a\x01data"), None);
        assert_eq!(audio(b"\x95\x11mp4a\x00\0\0\x04data\x01\0\0\x05other"), some(b"\xAF\x01data"));
        assert_eq!(audio(b"\x95\x11mp4a\x01\0\0\x05other\x00\0\0\x04data"), some(b"\xAF\x01data"));
        assert_eq!(audio(b"\x95\x11mp4a\x01\0\0\x05other\x00\0\0\x04data\x02\0\0\x01x"), some(b"\xAF\x01data"));
        assert_eq!(audio(b"\x95\x20Opus\x01\0\0\x05othermp4a\x00\0\0\x02\x11\x90"), some(b"\xAF\x00\x11\x90"));
        assert_eq!(legacy(MediaType::Audio, b"\x95\x21mp4a\x01\0\0\x05otherOpus\x00\0\0\x01x"), Legacy::NoForm);
    }

    #[test]
    fn a_message_that_is_legacy_stays_as_it_is() {
        for message in [&b""[..], b"\x17\x01\0\0\0data", b"\x1C\x01\0\0\0data", b"\x57\x00"] {
            assert_eq!(legacy(MediaType::Video, message), Legacy::Itself);
        }
        for message in [&b""[..], b"\xAF\x01data", b"\x2Fdata", b"\xB2data"] {
            assert_eq!(legacy(MediaType::Audio, message), Legacy::Itself);
        }
    }

    #[test]
    fn a_codec_without_a_legacy_form_is_told_from_what_nobody_misses() {
        for message in [&b"\x90hvc1rec"[..], b"\x91hvc1\0\0\0x", b"\xA3av01x", b"\xA1vp09x", b"\x95av01x", b"\xA3abcdx"]
        {
            assert_eq!(legacy(MediaType::Video, message), Legacy::NoForm, "{message:02x?}");
        }
        for message in [&b"\x90OpusOpusHead"[..], b"\x91fLaCx", b"\x91ac-3x", b"\x91ec-3x"] {
            assert_eq!(legacy(MediaType::Audio, message), Legacy::NoForm, "{message:02x?}");
        }
        for message in [
            &b"\x92hvc1"[..],
            b"\x94avc1\x02\x00\x09colorInfo",
            b"\xD1\x00",
            b"\x90avc1",
            b"\x91avc1\0\0",
            b"\x98avc1x",
        ] {
            assert_eq!(legacy(MediaType::Video, message), Legacy::Nothing, "{message:02x?}");
        }
        for message in [
            &b"\x94Opus\x01\x06"[..],
            b"\x90mp4a",
            b"\x92mp4a",
            b"\x93mp4ax",
            b"\x95\x11mp4a\x00\0\0\x05data",
            b"\x95\x31mp4a\x00x",
        ] {
            assert_eq!(legacy(MediaType::Audio, message), Legacy::Nothing, "{message:02x?}");
        }
    }

    /// Metadata with these properties between others.
    fn metadata(properties: &[(&str, f64)]) -> Vec<u8> {
        let mut buffer = [0; 400];
        let mut writer = Writer::new(&mut buffer);
        let mut amf = Encoder::new(&mut writer);
        amf.string("onMetaData").unwrap();
        amf.ecma_array_begin(0).unwrap();
        amf.property_string("title", "\0\x0Cvideocodecid\0").unwrap();
        for (name, value) in properties {
            amf.property_number(name, *value).unwrap();
        }
        amf.property_number("width", 1280.0).unwrap();
        amf.object_end().unwrap();
        writer.written().to_vec()
    }

    #[test]
    fn metadata_names_a_codec_by_its_legacy_id_or_not_at_all() {
        let fourcc = |text: &[u8; 4]| f64::from(u32::from_be_bytes(*text));
        for (sent, expected) in [
            (
                &[("videocodecid", fourcc(b"avc1")), ("audiocodecid", fourcc(b"mp4a"))][..],
                &[("videocodecid", 7.0), ("audiocodecid", 10.0)][..],
            ),
            (&[("videocodecid", fourcc(b"hvc1")), ("audiocodecid", 10.0)], &[("audiocodecid", 10.0)]),
            (&[("videocodecid", fourcc(b"av01")), ("audiocodecid", fourcc(b"Opus"))], &[]),
            (&[("audiocodecid", fourcc(b".mp3")), ("videocodecid", 1e300)], &[("audiocodecid", 2.0)]),
            (
                &[("videocodecid", 12.0), ("audiocodecid", f64::NAN)],
                &[("videocodecid", 12.0), ("audiocodecid", f64::NAN)],
            ),
        ] {
            let mut message = metadata(sent);
            assert_eq!(is_enhanced_metadata(&message), message != metadata(expected));
            let length = edit_metadata(&mut message, Announced::NOTHING);
            assert_eq!(message[..length], metadata(expected), "{sent:?}");
        }
        assert!(!is_enhanced_metadata(b"\x02\0\x05onCue\x05"));
        assert!(!is_enhanced_metadata(b""));
    }

    proptest! {
        #[test]
        fn what_stands_for_any_bytes_lies_within_them_and_is_no_longer(
            mut bytes in prop::collection::vec(any::<u8>(), 0..80),
            is_video in any::<bool>(),
            enhanced in any::<bool>(),
        ) {
            let media_type = if is_video { MediaType::Video } else { MediaType::Audio };
            if let Some(first) = bytes.first_mut().filter(|_| enhanced) {
                *first = if is_video { *first | 0x80 } else { *first & 0x0F | 0x90 };
            }
            if let Legacy::Instead(instead) = legacy(media_type, &bytes) {
                prop_assert!(instead.skip + instead.take <= bytes.len() as u32);
                prop_assert!(instead.head().len() as u32 + instead.take <= bytes.len() as u32);
            }
            let sent = sent(media_type, &bytes);
            if let Some(message) = &sent {
                prop_assert_eq!(legacy(media_type, message), Legacy::Itself);
            }
            // Both readings of a message agree, as far as the first is one of the default track alone.
            let length = bytes.len() as u32;
            let class = if is_video { flv::video(&bytes, length) } else { flv::audio(&bytes, length) };
            if let Some(message) = sent && class.track == 0 && !class.many_tracks && !class.end {
                let length = message.len() as u32;
                let again = if is_video { flv::video(&message, length) } else { flv::audio(&message, length) };
                prop_assert_eq!((again.key, again.header, again.codec), (class.key, class.header, class.codec));
            }
        }
    }
}
