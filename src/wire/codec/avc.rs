//! AVCDecoderConfigurationRecord (ISO/IEC 14496-15, section 5.3.3.1) and the H.264 sequence parameter set in it.

use crate::wire::codec::bits::BitReader;
use crate::wire::codec::info::{FrameRate, Level, Size, VideoInfo};
use crate::wire::flv::Codec;

/// Reads the record. When its first sequence parameter set is missing or unreadable, profile and level are still told.
pub fn parse(record: &[u8]) -> Option<VideoInfo> {
    let &[1, profile, constraints, level, _, sets, ref rest @ ..] = record else { return None };
    let described = VideoInfo {
        profile: profile_name(profile, constraints),
        level: level_of(profile, constraints, level),
        ..VideoInfo::unknown(Codec::Avc)
    };
    let first = (sets & 0x1F != 0).then(|| first_set(rest)).flatten();
    Some(first.and_then(parse_sequence_parameter_set).unwrap_or(described))
}

/// Reads a sequence parameter set NAL unit with its one-byte header (H.264, section 7.3.2.1).
pub fn parse_sequence_parameter_set(nal_unit: &[u8]) -> Option<VideoInfo> {
    let (&header, payload) = nal_unit.split_first()?;
    if header & 0x1F != NAL_SEQUENCE_PARAMETER_SET {
        return None;
    }
    let mut r = BitReader::of_nal_unit(payload);
    let (profile, constraints, level) = (r.byte(8)?, r.byte(8)?, r.byte(8)?);
    r.unsigned_golomb()?; // seq_parameter_set_id

    let mut chroma_format = 1;
    let mut separate_planes = false;
    if HIGH_PROFILES.contains(&profile) {
        chroma_format = r.unsigned_golomb()?;
        if chroma_format == 3 {
            separate_planes = r.flag()?;
        }
        r.unsigned_golomb()?; // bit_depth_luma_minus8
        r.unsigned_golomb()?; // bit_depth_chroma_minus8
        r.flag()?; // qpprime_y_zero_transform_bypass_flag
        if r.flag()? {
            for list in 0..if chroma_format == 3 { 12 } else { 8 } {
                if r.flag()? {
                    skip_scaling_list(&mut r, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
    }
    r.unsigned_golomb()?; // log2_max_frame_num_minus4
    match r.unsigned_golomb()? {
        0 => drop(r.unsigned_golomb()?), // log2_max_pic_order_cnt_lsb_minus4
        1 => skip_picture_order_cycle(&mut r)?,
        _ => {}
    }
    r.unsigned_golomb()?; // max_num_ref_frames
    r.flag()?; // gaps_in_frame_num_value_allowed_flag

    let width = (u64::from(r.unsigned_golomb()?) + 1) * 16;
    let map_units = u64::from(r.unsigned_golomb()?) + 1;
    let frames_only = r.flag()?;
    if !frames_only {
        r.flag()?; // mb_adaptive_frame_field_flag
    }
    let fields = if frames_only { 1 } else { 2 };
    r.flag()?; // direct_8x8_inference_flag
    let (mut crop_width, mut crop_height) = (0, 0);
    if r.flag()? {
        let (left, right) = (u64::from(r.unsigned_golomb()?), u64::from(r.unsigned_golomb()?));
        let (top, bottom) = (u64::from(r.unsigned_golomb()?), u64::from(r.unsigned_golomb()?));
        let (unit_width, unit_height) = match chroma_format {
            1 => (2, 2),
            2 => (2, 1),
            _ => (1, 1),
        };
        let planes = if separate_planes { (1, 1) } else { (unit_width, unit_height) };
        crop_width = (left + right) * planes.0;
        crop_height = (top + bottom) * planes.1 * fields;
    }
    Some(VideoInfo {
        codec: Codec::Avc,
        size: Some(Size::cropped(width, map_units * 16 * fields, crop_width, crop_height)?),
        profile: profile_name(profile, constraints),
        level: level_of(profile, constraints, level),
        // A damaged VUI costs only the frame rate.
        frame_rate: frame_rate(&mut r),
    })
}

const NAL_SEQUENCE_PARAMETER_SET: u8 = 7;

/// Profiles whose sequence parameter set has the chroma format and scaling lists.
const HIGH_PROFILES: [u8; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];

/// The first of the length-prefixed NAL units of a record.
fn first_set(sets: &[u8]) -> Option<&[u8]> {
    let (length, rest) = sets.split_first_chunk()?;
    rest.get(..usize::from(u16::from_be_bytes(*length)))
}

fn profile_name(profile: u8, constraints: u8) -> Option<&'static str> {
    Some(match profile {
        66 if constraints & 0x40 != 0 => "Constrained Baseline",
        66 => "Baseline",
        77 => "Main",
        88 => "Extended",
        100 => "High",
        110 => "High 10",
        122 => "High 4:2:2",
        244 => "High 4:4:4",
        44 => "CAVLC 4:4:4",
        _ => return None,
    })
}

/// Level 1b is written 11 with constraint_set3, or 9; people know it as 1, nearly.
fn level_of(profile: u8, constraints: u8, level: u8) -> Option<Level> {
    let is_1b = level == 9 || (level == 11 && matches!(profile, 66 | 77 | 88) && constraints & 0x10 != 0);
    match level {
        _ if is_1b => Some(Level { major: 1, minor: 0 }),
        10..=62 => Some(Level { major: level / 10, minor: level % 10 }),
        _ => None,
    }
}

/// H.264, section 7.3.2.1.1.1.
fn skip_scaling_list(r: &mut BitReader<'_>, size: u32) -> Option<()> {
    let (mut last, mut next) = (8_i64, 8_i64);
    for _ in 0..size {
        if next != 0 {
            next = (last + i64::from(r.signed_golomb()?)).rem_euclid(256);
        }
        if next != 0 {
            last = next;
        }
    }
    Some(())
}

/// The fields of pic_order_cnt_type 1.
fn skip_picture_order_cycle(r: &mut BitReader<'_>) -> Option<()> {
    r.flag()?; // delta_pic_order_always_zero_flag
    r.signed_golomb()?; // offset_for_non_ref_pic
    r.signed_golomb()?; // offset_for_top_to_bottom_field
    let frames = r.unsigned_golomb().filter(|&frames| frames <= 255)?;
    (0..frames).try_for_each(|_| r.signed_golomb().map(drop))
}

/// The timing information of the VUI parameters (H.264, section E.1.1), which follow.
fn frame_rate(r: &mut BitReader<'_>) -> Option<FrameRate> {
    const EXTENDED_ASPECT_RATIO: u32 = 255;
    if !r.flag()? {
        return None;
    }
    if r.flag()? && r.bits(8)? == EXTENDED_ASPECT_RATIO {
        r.skip(32)?;
    }
    if r.flag()? {
        r.flag()?; // overscan_appropriate_flag
    }
    if r.flag()? {
        r.skip(4)?; // video_format, video_full_range_flag
        if r.flag()? {
            r.skip(24)?; // colour description
        }
    }
    if r.flag()? {
        r.unsigned_golomb()?; // chroma_sample_loc_type_top_field
        r.unsigned_golomb()?; // chroma_sample_loc_type_bottom_field
    }
    if !r.flag()? {
        return None;
    }
    let (ticks, ticks_per_second) = (r.bits(32)?, r.bits(32)?);
    // A tick is a field, also where there are only frames.
    FrameRate::new(u64::from(ticks_per_second), u64::from(ticks) * 2)
}

/// A 640x360 record of x264 with the JVT scaling lists, 10 bits, 4:2:2.
#[cfg(test)]
pub(super) const HIGH_422_WITH_SCALING_LISTS: &[u8] = &[
    0x01, 0x7A, 0x00, 0x1E, 0xFF, 0xE1, 0x00, 0x19, 0x67, 0x7A, 0x00, 0x1E, 0xB6, 0xCD, 0x94, 0x0A, 0x02, 0xFF, 0x89,
    0xC0, 0x44, 0x00, 0x00, 0x0F, 0xA4, 0x00, 0x03, 0xA9, 0x80, 0x3C, 0x58, 0xB6, 0x58, 0x01, 0x00, 0x07, 0x68, 0xEB,
    0xE3, 0xCB, 0x30, 0x02, 0xC0, 0xFE, 0xFA, 0xFA, 0x00,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::codec::tests::assert_displays;

    /// x264, 1920x1080 of 1920x1088 coded, progressive, 30 frames per second.
    const BASELINE_1080: &[u8] = &[
        0x01, 0x42, 0xC0, 0x28, 0xFF, 0xE1, 0x00, 0x19, 0x67, 0x42, 0xC0, 0x28, 0xDA, 0x01, 0xE0, 0x08, 0x9F, 0x97,
        0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0xC0, 0xF1, 0x83, 0x2A, 0x01, 0x00, 0x04,
        0x68, 0xCE, 0x0F, 0xC8,
    ];

    /// x264, 1280x720.
    const HIGH_720: &[u8] = &[
        0x01, 0x64, 0x00, 0x1F, 0xFF, 0xE1, 0x00, 0x1A, 0x67, 0x64, 0x00, 0x1F, 0xAC, 0xD9, 0x40, 0x50, 0x05, 0xBB,
        0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0xC0, 0xF1, 0x83, 0x19, 0x60, 0x01, 0x00,
        0x06, 0x68, 0xEB, 0xE3, 0xCB, 0x22, 0xC0, 0xFD, 0xF8, 0xF8, 0x00,
    ];

    /// x264, 1920x1080 interlaced: the height is coded and cropped in units of two lines.
    const MAIN_1080_INTERLACED: &[u8] = &[
        0x01, 0x4D, 0x40, 0x28, 0xFF, 0xE1, 0x00, 0x19, 0x67, 0x4D, 0x40, 0x28, 0xF4, 0x03, 0xC0, 0x22, 0x7E, 0xF0,
        0x11, 0x00, 0x00, 0x03, 0x00, 0x01, 0x00, 0x00, 0x03, 0x00, 0x32, 0x1F, 0x16, 0x2E, 0xA0, 0x01, 0x00, 0x04,
        0x68, 0xDE, 0x0F, 0xC8,
    ];

    #[test]
    fn records_of_a_real_encoder_are_described() {
        for (record, text, rate) in [
            (BASELINE_1080, "1920x1080 H.264 Constrained Baseline 4", "30"),
            (HIGH_720, "1280x720 H.264 High 3.1", "30"),
            (MAIN_1080_INTERLACED, "1920x1080 H.264 Main 4", "25"),
            (HIGH_422_WITH_SCALING_LISTS, "640x360 H.264 High 4:2:2 3", "29.97"),
        ] {
            let info = parse(record).unwrap();
            assert_displays(info, text);
            assert_displays(info.frame_rate.unwrap(), rate);
        }
    }

    #[test]
    fn a_record_without_a_readable_parameter_set_still_tells_profile_and_level() {
        assert_displays(parse(&HIGH_720[..12]).unwrap(), "H.264 High 3.1");
        assert_displays(parse(&[1, 77, 0, 40, 0xFF, 0xE0, 0]).unwrap(), "H.264 Main 4");
        assert_eq!(parse(&[0, 77, 0, 40, 0xFF, 0xE0, 0]), None);
        assert_eq!(parse(&HIGH_720[..5]), None);
    }
}
