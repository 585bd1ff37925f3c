//! What of an audio or video message is a sample of an MP4 track: its data, without what FLV and Enhanced RTMP put in front (FLV 10.1,
//! annex E.4; Enhanced RTMP v2). Of several tracks it is that of the default one, 0.

use super::flv::{
    COMPOSITION_BYTES, Codec, FRAME_COMMAND, HeaderReader, MediaType, PACKET_CODED, PacketType, SOUND_FORMAT_AAC,
    is_enhanced,
};

/// A part of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SamplePart {
    /// Whose sample it is.
    pub codec: Codec,
    /// Bytes of the message in front of it.
    pub skip: u32,
    /// Its bytes; at least 1.
    pub take: u32,
    /// How much later than it is decoded it is shown, in milliseconds; it may be negative.
    pub composition_ms: i32,
}

/// The sample in a message of `length` bytes. `read` gives its byte at an offset, `None` behind its end. `None` when there is none in it: of
/// headers, ends of sequences, commands, empty messages, other tracks, codecs that are in no MP4 file, and of what makes no sense.
pub fn of(media_type: MediaType, length: u32, read: impl Fn(u32) -> Option<u8>) -> Option<SamplePart> {
    let first = read(0)?;
    let mut reader = HeaderReader::new(length, read);
    let found = match media_type {
        _ if is_enhanced(media_type, first) => enhanced(media_type, &mut reader),
        MediaType::Video => legacy_video(&mut reader),
        MediaType::Audio => legacy_audio(&mut reader),
    };
    found.filter(|part| part.take > 0)
}

fn legacy_video(reader: &mut HeaderReader<impl Fn(u32) -> Option<u8>>) -> Option<SamplePart> {
    let first = reader.byte()?;
    let codec = Codec::from_legacy_video(first & 0x0F)?;
    let has_packet_type = matches!(codec, Codec::Avc | Codec::Hevc | Codec::Av1);
    if first >> 4 == FRAME_COMMAND || !has_packet_type || reader.byte()? != PACKET_CODED {
        return None;
    }
    let composition_ms = composition(reader)?;
    Some(reader.rest_as(codec, composition_ms))
}

fn legacy_audio(reader: &mut HeaderReader<impl Fn(u32) -> Option<u8>>) -> Option<SamplePart> {
    let sound_format = reader.byte()? >> 4;
    let codec = Codec::from_legacy_audio(sound_format)?;
    let is_coded = match codec {
        Codec::Aac => sound_format == SOUND_FORMAT_AAC && reader.byte()? == PACKET_CODED,
        Codec::Mp3 => true,
        _ => false,
    };
    is_coded.then(|| reader.rest_as(codec, 0))
}

fn enhanced(media_type: MediaType, reader: &mut HeaderReader<impl Fn(u32) -> Option<u8>>) -> Option<SamplePart> {
    let first = reader.byte()?;
    let packet = reader.packet(media_type, first)?;
    if media_type == MediaType::Video && first >> 4 & 0x07 == FRAME_COMMAND {
        return None;
    }
    let (packet, fourcc, body) = reader.default_packet(media_type, packet)?;
    let codec = Codec::from_fourcc(fourcc)?;
    let PacketType::Coded { composition_time } = packet else { return None };
    let (mut skip, mut take, mut composition_ms) = (body.at, body.length, 0);
    // Other codecs have none, whatever the packet's type.
    if composition_time && matches!(codec, Codec::Avc | Codec::Hevc | Codec::Vvc) {
        reader.at = body.at;
        composition_ms = composition(reader)?;
        (skip, take) = (skip + COMPOSITION_BYTES, take.checked_sub(COMPOSITION_BYTES)?);
    }
    Some(SamplePart { codec, skip, take, composition_ms })
}

/// A signed number of 24 bits.
fn composition(reader: &mut HeaderReader<impl Fn(u32) -> Option<u8>>) -> Option<i32> {
    let bits = reader.number(COMPOSITION_BYTES as usize)?;
    Some((bits << 8).cast_signed() >> 8)
}

impl<R: Fn(u32) -> Option<u8>> HeaderReader<R> {
    fn rest_as(&self, codec: Codec, composition_ms: i32) -> SamplePart {
        let rest = self.rest();
        SamplePart { codec, skip: rest.at, take: rest.length, composition_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(media_type: MediaType, message: &[u8]) -> Option<SamplePart> {
        super::of(media_type, message.len() as u32, |at| message.get(at as usize).copied())
    }

    #[test]
    fn the_sample_is_what_is_left_of_a_message_without_its_headers() {
        let video = [
            (&b"\x17\x01\0\0\x50data"[..], Codec::Avc, 5, 4, 80),
            (b"\x27\x01\xFF\xFF\xFEdata", Codec::Avc, 5, 4, -2),
            (b"\x1C\x01\0\0\0data", Codec::Hevc, 5, 4, 0),
            (b"\x91avc1\0\0\x50data", Codec::Avc, 8, 4, 80),
            (b"\xA1hvc1\xFF\xFF\xFEdata", Codec::Hevc, 8, 4, -2),
            (b"\xA3hvc1data", Codec::Hevc, 5, 4, 0),
            (b"\x91av01data", Codec::Av1, 5, 4, 0),
            (b"\x93vp09data", Codec::Vp9, 5, 4, 0),
            (b"\x97\x02\0\0\x01\x01hvc1\0\0\x50data", Codec::Hevc, 13, 4, 80),
            (b"\x96\x01avc1\0\0\0\x50data", Codec::Avc, 10, 4, 80),
            (b"\x96\x13avc1\x01\0\0\x05other\0\0\0\x04data", Codec::Avc, 19, 4, 0),
        ];
        for (message, codec, skip, take, composition_ms) in video {
            let expected = Some(SamplePart { codec, skip, take, composition_ms });
            assert_eq!(of(MediaType::Video, message), expected, "{message:02x?}");
        }
        let audio = [
            (&b"\xAF\x01data"[..], Codec::Aac, 2),
            (b"\x2Fdata", Codec::Mp3, 1),
            (b"\x91Opusdata", Codec::Opus, 5),
            (b"\x91mp4adata", Codec::Aac, 5),
            (b"\x95\x01fLaC\0data", Codec::Flac, 7),
        ];
        for (message, codec, skip) in audio {
            let expected = Some(SamplePart { codec, skip, take: 4, composition_ms: 0 });
            assert_eq!(of(MediaType::Audio, message), expected, "{message:02x?}");
        }
    }

    #[test]
    fn headers_ends_commands_and_what_is_empty_are_no_samples() {
        for message in [
            &b""[..],
            b"\x17\0\0\0\0record",
            b"\x17\x02\0\0\0",
            b"\x57\x01\0\0\0data",
            b"\x17\x01\0\0\0",
            b"\x17\x01\0",
            b"\x14data",
            b"\x90avc1record",
            b"\x92avc1",
            b"\x94avc1metadata",
            b"\xD1avc1\0\0\0data",
            b"\x91avc1\0\0",
            b"\x91nonedata",
            b"\x96\x11avc1\x01\0\0\x04data",
        ] {
            assert_eq!(of(MediaType::Video, message), None, "{message:02x?}");
        }
        for message in
            [&b""[..], b"\xAF\0\x12\x10", b"\xAF\x01", b"\x2F", b"\xB2speex", b"\x90Opusheader", b"\x94Opus\0"]
        {
            assert_eq!(of(MediaType::Audio, message), None, "{message:02x?}");
        }
    }

    proptest! {
        #[test]
        fn a_sample_lies_within_its_message(bytes in prop::collection::vec(any::<u8>(), 0..80), is_video in any::<bool>()) {
            let media_type = if is_video { MediaType::Video } else { MediaType::Audio };
            if let Some(part) = of(media_type, &bytes) {
                prop_assert!(part.take > 0 && part.skip + part.take <= bytes.len() as u32);
                prop_assert!((-0x80_0000..0x80_0000).contains(&part.composition_ms));
            }
        }
    }
}
