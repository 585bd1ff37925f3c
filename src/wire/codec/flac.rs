//! FLAC stream information (RFC 9639, section 8.2), which is the sequence header of Enhanced RTMP.

use crate::wire::codec::bits::BitReader;
use crate::wire::codec::info::AudioInfo;
use crate::wire::flv::Codec;

/// The length of the stream information.
pub const STREAM_INFORMATION_BYTES: usize = 34;

/// The stream information in a sequence header: behind the marker and the header of a metadata block, as Enhanced RTMP says, or
/// alone, as ffmpeg sends it.
pub fn stream_information(header: &[u8]) -> Option<&[u8]> {
    match header.strip_prefix(b"fLaC") {
        Some([block, _, _, _, information @ ..]) if block & 0x7F == 0 => Some(information),
        None if header.len() == STREAM_INFORMATION_BYTES => Some(header),
        _ => None,
    }
}

/// Reads a sequence header.
pub fn parse(header: &[u8]) -> Option<AudioInfo> {
    let mut r = BitReader::new(stream_information(header)?.get(10..)?);
    let rate = r.bits(20).filter(|&rate| rate != 0)?;
    let channels = r.byte(3)? + 1;
    Some(AudioInfo { sample_rate_hz: Some(rate), channels: Some(channels), ..AudioInfo::unknown(Codec::Flac) })
}

/// Samples of a frame, as its header says (RFC 9639, section 9.1).
pub fn frame_samples(frame: &[u8]) -> Option<u32> {
    let &[0xFF, second, sizes, _, ref number @ ..] = frame else { return None };
    if second >> 1 != 0x7C {
        return None;
    }
    // Sizes that are not in the table stand behind the frame's number, which is coded as UTF-8 is.
    let behind = number.get(usize::from(number.first()?.leading_ones().max(1) as u8)..)?;
    Some(match sizes >> 4 {
        0 => return None,
        1 => 192,
        code @ 2..=5 => 576 << (code - 2),
        6 => u32::from(*behind.first()?) + 1,
        7 => u32::from(u16::from_be_bytes(*behind.first_chunk()?)) + 1,
        code => 256 << (code - 8),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::codec::tests::assert_displays;

    #[test]
    fn the_header_of_a_real_encoder_is_described() {
        let header = b"fLaC\x80\0\0\x22\x12\0\x12\0\0\0\x10\0\0\x10\x0A\xC4\x42\xF0\0\0\x11\x3A\x88\x2C\x70";
        assert_displays(parse(header).unwrap(), "FLAC 44.1 kHz stereo");
        assert_eq!(parse(&header[..19]), None);
        // ffmpeg 8.
        let mut alone = *b"\x04\0\x04\0\0\0\0\0\x08\x15\x0A\xC4\x40\xF0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        assert_displays(parse(&alone).unwrap(), "FLAC 44.1 kHz mono");
        assert_eq!(parse(&alone[1..]), None);
        alone[10..13].fill(0);
        assert_eq!(parse(&alone), None);
    }

    #[test]
    fn a_frame_lasts_as_long_as_its_header_says() {
        for (frame, samples) in [
            (&[0xFF, 0xF8, 0xC9, 0x18, 0x00, 0xC2][..], Some(4096)),
            (&[0xFF, 0xF8, 0x59, 0x18, 0x00], Some(4608)),
            (&[0xFF, 0xF8, 0x79, 0x18, 0xC2, 0x80, 0x0C, 0x2F], Some(0xC30)),
            (&[0xFF, 0xF8, 0x69, 0x18, 0x05, 0x0F], Some(16)),
            (&[0xFF, 0xF8, 0x69, 0x18, 0x05], None),
            (&[0xFF, 0xFB, 0xC9, 0x18, 0x00], None),
        ] {
            assert_eq!(frame_samples(frame), samples, "{frame:02x?}");
        }
    }
}
