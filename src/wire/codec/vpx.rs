//! VPCodecConfigurationRecord (VP Codec ISO Media File Format Binding, version 1.0), for VP8 and VP9. It has no size.

use crate::wire::codec::info::{Level, VideoInfo};
use crate::wire::flv::Codec;

/// Reads the record, with or without the version and flags that stand before it in an MP4 file: encoders do both.
pub fn parse(codec: Codec, record: &[u8]) -> Option<VideoInfo> {
    // The third byte of the bare record begins with the bit depth, which is never zero.
    let record = record.strip_prefix(&[1, 0, 0, 0]).unwrap_or(record);
    let &[profile, level, _, ..] = record else { return None };
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
}
