//! VPCodecConfigurationRecord (VP Codec ISO Media File Format Binding, version 1.0), for VP8 and VP9. It has no size.

use crate::wire::codec::bits::BitReader;
use crate::wire::codec::info::{Level, Size, VideoInfo};
use crate::wire::flv::Codec;

/// The record without the version and flags that encoders send in front of it or leave out.
pub fn bare(record: &[u8]) -> &[u8] {
    // The third byte of the bare record begins with the bit depth, which is never zero.
    record.strip_prefix(&[1, 0, 0, 0]).unwrap_or(record)
}

/// Reads the record, with or without the version and flags that stand before it in an MP4 file: encoders do both.
pub fn parse(codec: Codec, record: &[u8]) -> Option<VideoInfo> {
    let &[profile, level, _, ..] = bare(record) else { return None };
    let profile = match profile {
        0 => Some("Profile 0"),
        1 => Some("Profile 1"),
        2 => Some("Profile 2"),
        3 => Some("Profile 3"),
        _ => None,
    };
    let level = Some(level).filter(|level| (10..=62).contains(level));
    Some(VideoInfo {
        profile: profile.filter(|_| codec == Codec::Vp9),
        level: level.map(|level| Level { major: level / 10, minor: level % 10 }),
        ..VideoInfo::unknown(codec)
    })
}

/// The size in the header of a key frame of VP9 (VP9 bitstream, section 6.2). `None` when it is none.
pub fn key_frame_size(frame: &[u8]) -> Option<Size> {
    const FRAME_MARKER: u32 = 2;
    const SYNC_CODE: u32 = 0x49_83_42;
    const RGB: u32 = 7;
    let mut r = BitReader::new(frame);
    if r.bits(2)? != FRAME_MARKER {
        return None;
    }
    let profile = r.bits(1)? | r.bits(1)? << 1;
    if profile == 3 {
        r.flag()?; // reserved
    }
    let shows_existing = r.flag()?;
    let is_inter = r.flag()?;
    r.skip(2)?; // show_frame, error_resilient_mode
    if shows_existing || is_inter || r.bits(24)? != SYNC_CODE {
        return None;
    }
    if profile >= 2 {
        r.flag()?; // ten or twelve bits
    }
    // Colours: range and subsampling stand there as far as they are not implied.
    let more = match (r.bits(3)?, profile & 1) {
        (RGB, odd) => odd,
        (_, 0) => 1,
        (_, _) => 4,
    };
    r.skip(more)?;
    let (width, height) = (u64::from(r.bits(16)?) + 1, u64::from(r.bits(16)?) + 1);
    Size::cropped(width, height, 0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::codec::tests::assert_displays;

    #[test]
    fn the_record_is_read_with_and_without_version_and_flags() {
        let record = [1, 0, 0, 0, 0, 31, 0x82, 2, 2, 2, 0, 0];
        assert_displays(parse(Codec::Vp9, &record).unwrap(), "VP9 Profile 0 3.1");
        assert_displays(parse(Codec::Vp9, &record[4..]).unwrap(), "VP9 Profile 0 3.1");
        assert_displays(parse(Codec::Vp8, &record[4..]).unwrap(), "VP8 3.1");
        assert_eq!(parse(Codec::Vp9, &[0, 31]), None);
    }

    #[test]
    fn a_key_frame_of_a_real_encoder_tells_its_size() {
        // libvpx, 320x240, and the frame behind it.
        let key = [0x82, 0x49, 0x83, 0x42, 0x00, 0x13, 0xF0, 0x0E, 0xF6, 0x08, 0x38];
        assert_eq!(key_frame_size(&key), Some(Size { width: 320, height: 240 }));
        assert_eq!(key_frame_size(&[0x86, 0x00, 0x40, 0x92, 0xFC, 0xD7, 0x00, 0x00]), None);
        assert_eq!(key_frame_size(&key[..7]), None);
    }
}
