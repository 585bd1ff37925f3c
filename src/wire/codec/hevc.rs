//! HEVCDecoderConfigurationRecord (ISO/IEC 14496-15, section 8.3.3.1) and the size in its sequence parameter set.

use crate::wire::codec::bits::BitReader;
use crate::wire::codec::info::{Level, Size, VideoInfo};
use crate::wire::flv::Codec;

/// Reads the record. The size is unknown when it holds no readable sequence parameter set. The frame rate is not read:
/// it lies behind the reference picture sets, which are long.
pub fn parse(record: &[u8]) -> Option<VideoInfo> {
    let (fixed, arrays) = record.split_first_chunk::<FIXED_BYTES>()?;
    if fixed[0] > 1 {
        return None;
    }
    Some(VideoInfo {
        codec: Codec::Hevc,
        size: sequence_parameter_set(arrays).and_then(parse_size),
        profile: profile_name(fixed[1] & 0x1F),
        level: Some(fixed[12])
            .filter(|&level| level != 0)
            .map(|level| Level { major: level / 30, minor: level % 30 / 3 }),
        frame_rate: None,
    })
}

/// The record up to numOfArrays.
const FIXED_BYTES: usize = 22;
const NAL_SEQUENCE_PARAMETER_SET: u8 = 33;

fn profile_name(profile: u8) -> Option<&'static str> {
    Some(match profile {
        1 => "Main",
        2 => "Main 10",
        3 => "Main Still Picture",
        4 => "Range Extensions",
        5 => "High Throughput",
        9 => "Screen Content",
        _ => return None,
    })
}

/// Finds the first sequence parameter set among the arrays of NAL units.
fn sequence_parameter_set(arrays: &[u8]) -> Option<&[u8]> {
    let (&count, mut rest) = arrays.split_first()?;
    for _ in 0..count {
        let (&[kind, units_high, units_low], after) = rest.split_first_chunk()?;
        rest = after;
        for _ in 0..u16::from_be_bytes([units_high, units_low]) {
            let (length, after) = rest.split_first_chunk()?;
            let (unit, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
            if kind & 0x3F == NAL_SEQUENCE_PARAMETER_SET {
                return Some(unit);
            }
            rest = after;
        }
    }
    None
}

/// Reads as much of a sequence parameter set as tells the size (H.265, section 7.3.2.2.1).
fn parse_size(nal_unit: &[u8]) -> Option<Size> {
    let mut r = BitReader::of_nal_unit(nal_unit.get(2..)?);
    r.skip(4)?; // sps_video_parameter_set_id
    let sub_layers = r.bits(3)?; // sps_max_sub_layers_minus1
    r.flag()?; // sps_temporal_id_nesting_flag
    skip_profile_tier_level(&mut r, sub_layers)?;
    r.unsigned_golomb()?; // sps_seq_parameter_set_id
    let chroma_format = r.unsigned_golomb()?;
    let separate_planes = chroma_format == 3 && r.flag()?;
    let (width, height) = (u64::from(r.unsigned_golomb()?), u64::from(r.unsigned_golomb()?));
    if !r.flag()? {
        return Size::cropped(width, height, 0, 0);
    }
    let (left, right) = (u64::from(r.unsigned_golomb()?), u64::from(r.unsigned_golomb()?));
    let (top, bottom) = (u64::from(r.unsigned_golomb()?), u64::from(r.unsigned_golomb()?));
    let (unit_width, unit_height) = match chroma_format {
        _ if separate_planes => (1, 1),
        1 => (2, 2),
        2 => (2, 1),
        _ => (1, 1),
    };
    Size::cropped(width, height, (left + right) * unit_width, (top + bottom) * unit_height)
}

/// H.265, section 7.3.3, with profilePresentFlag 1.
fn skip_profile_tier_level(r: &mut BitReader<'_>, sub_layers: u32) -> Option<()> {
    const PROFILE_BITS: u32 = 88;
    const LEVEL_BITS: u32 = 8;
    r.skip(PROFILE_BITS + LEVEL_BITS)?;
    // Two flags for each of 8 sub-layers but the highest, filled up with reserved bits.
    let mut present = [(false, false); 7];
    for layer in present.iter_mut().take(sub_layers as usize) {
        *layer = (r.flag()?, r.flag()?);
    }
    if sub_layers > 0 {
        r.skip(2 * (8 - sub_layers))?;
    }
    for (profile, level) in present {
        r.skip(if profile { PROFILE_BITS } else { 0 })?;
        r.skip(if level { LEVEL_BITS } else { 0 })?;
    }
    Some(())
}

/// x265, 642x362 of 656x368 coded, 10 bits; without the SEI array.
#[cfg(test)]
pub(in crate::wire) const MAIN_10_642X362: &[u8] = &[
    0x01, 0x02, 0x20, 0x00, 0x00, 0x00, 0x90, 0x00, 0x00, 0x00, 0x00, 0x00, 0x3F, 0xF0, 0x00, 0xFC, 0xFD, 0xFA, 0xFA,
    0x00, 0x00, 0x0F, 0x03, 0x20, 0x00, 0x01, 0x00, 0x18, 0x40, 0x01, 0x0C, 0x01, 0xFF, 0xFF, 0x02, 0x20, 0x00, 0x00,
    0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x3F, 0x95, 0x94, 0x09, 0x21, 0x00, 0x01, 0x00, 0x2D,
    0x42, 0x01, 0x01, 0x02, 0x20, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x3F, 0xA0,
    0x05, 0x22, 0x01, 0x71, 0xC4, 0x48, 0xD9, 0x65, 0x65, 0x4A, 0x4C, 0x2F, 0x01, 0x68, 0x08, 0x00, 0x00, 0x03, 0x00,
    0x08, 0x00, 0x00, 0x03, 0x00, 0xF0, 0x40, 0x22, 0x00, 0x01, 0x00, 0x06, 0x44, 0x01, 0xC0, 0x73, 0xC1, 0x89,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::codec::tests::assert_displays;

    /// x265, 1920x1080 of 1920x1088 coded; without the SEI array.
    const MAIN_1080: &[u8] = &[
        0x01, 0x01, 0x60, 0x00, 0x00, 0x00, 0x90, 0x00, 0x00, 0x00, 0x00, 0x00, 0x78, 0xF0, 0x00, 0xFC, 0xFD, 0xF8,
        0xF8, 0x00, 0x00, 0x0F, 0x03, 0x20, 0x00, 0x01, 0x00, 0x18, 0x40, 0x01, 0x0C, 0x01, 0xFF, 0xFF, 0x01, 0x60,
        0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x78, 0x95, 0x94, 0x09, 0x21, 0x00,
        0x01, 0x00, 0x2B, 0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00,
        0x03, 0x00, 0x78, 0xA0, 0x03, 0xC0, 0x80, 0x11, 0x07, 0xCB, 0x96, 0x56, 0x54, 0xA4, 0xC2, 0xF0, 0x16, 0x80,
        0x80, 0x00, 0x00, 0x03, 0x00, 0x80, 0x00, 0x00, 0x0F, 0x04, 0x22, 0x00, 0x01, 0x00, 0x06, 0x44, 0x01, 0xC0,
        0x73, 0xC1, 0x89,
    ];

    #[test]
    fn records_of_a_real_encoder_are_described() {
        assert_displays(parse(MAIN_1080).unwrap(), "1920x1080 HEVC Main 4");
        assert_displays(parse(MAIN_10_642X362).unwrap(), "642x362 HEVC Main 10 2.1");
    }

    #[test]
    fn a_record_without_a_parameter_set_still_tells_profile_and_level() {
        assert_displays(parse(&MAIN_1080[..22]).unwrap(), "HEVC Main 4");
        assert_eq!(parse(&MAIN_1080[..21]), None);
    }
}
