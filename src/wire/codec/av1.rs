//! AV1CodecConfigurationRecord (AV1 in ISOBMFF, section 2.3.3) and the sequence header OBU in it (AV1, section 5.5).

use crate::wire::codec::bits::BitReader;
use crate::wire::codec::info::{FrameRate, Level, Size, VideoInfo};
use crate::wire::flv::Codec;

/// Reads the record. The size is known only when it carries a sequence header, as nearly all do.
pub fn parse(record: &[u8]) -> Option<VideoInfo> {
    let &[0x81, profile_and_level, _, _, ref units @ ..] = record else { return None };
    let profile = match profile_and_level >> 5 {
        0 => Some("Main"),
        1 => Some("High"),
        2 => Some("Professional"),
        _ => None,
    };
    // 31 stands for "no limits"; 24 to 30 are reserved (AV1, annex A.3).
    let level = Some(profile_and_level & 0x1F)
        .filter(|&index| index < 24)
        .map(|index| Level { major: 2 + index / 4, minor: index % 4 });
    let (size, frame_rate) = sequence_header(units).and_then(parse_sequence_header).unwrap_or((None, None));
    Some(VideoInfo { codec: Codec::Av1, size, profile, level, frame_rate })
}

const OBU_SEQUENCE_HEADER: u8 = 1;

/// Finds the sequence header, which comes first, and returns its payload (AV1, section 5.3).
fn sequence_header(units: &[u8]) -> Option<&[u8]> {
    let (&header, mut rest) = units.split_first()?;
    if header >> 3 & 0x0F != OBU_SEQUENCE_HEADER {
        return None;
    }
    if header & 0x04 != 0 {
        rest = rest.get(1..)?;
    }
    if header & 0x02 == 0 {
        return Some(rest);
    }
    // The size is LEB128; a sequence header is far shorter than the 16 383 that two bytes can say.
    match *rest {
        [low @ 0..0x80, ref rest @ ..] => rest.get(..usize::from(low)),
        [low, high @ 0..0x80, ref rest @ ..] => rest.get(..usize::from(low & 0x7F) | usize::from(high) << 7),
        _ => None,
    }
}

/// AV1, section 5.5.1, up to the size.
fn parse_sequence_header(payload: &[u8]) -> Option<(Option<Size>, Option<FrameRate>)> {
    let mut r = BitReader::new(payload);
    let mut frame_rate = None;
    r.skip(4)?; // seq_profile, still_picture
    if r.flag()? {
        r.skip(5)?; // seq_level_idx of a still picture
    } else {
        let mut delay_bits = None;
        if r.flag()? {
            frame_rate = timing(&mut r)?;
            if r.flag()? {
                delay_bits = Some(r.bits(5)? + 1);
                r.skip(32 + 5 + 5)?; // decoder_model_info
            }
        }
        let initial_delay = r.flag()?;
        for _ in 0..=r.bits(5)? {
            r.skip(12)?; // operating_point_idc
            if r.bits(5)? > 7 {
                r.flag()?; // seq_tier
            }
            if let Some(bits) = delay_bits
                && r.flag()?
            {
                r.skip(2 * bits + 1)?;
            }
            if initial_delay && r.flag()? {
                r.skip(4)?;
            }
        }
    }
    let (width_bits, height_bits) = (r.bits(4)? + 1, r.bits(4)? + 1);
    let (width, height) = (u64::from(r.bits(width_bits)?) + 1, u64::from(r.bits(height_bits)?) + 1);
    Some((Size::cropped(width, height, 0, 0), frame_rate))
}

/// AV1, section 5.5.3.
fn timing(r: &mut BitReader<'_>) -> Option<Option<FrameRate>> {
    let (ticks, ticks_per_second) = (r.bits(32)?, r.bits(32)?);
    if !r.flag()? {
        return Some(None);
    }
    // uvlc() is Exp-Golomb.
    let ticks_per_picture = u64::from(r.unsigned_golomb()?) + 1;
    Some(FrameRate::new(u64::from(ticks_per_second), u64::from(ticks) * ticks_per_picture))
}

/// libaom, 640x360.
#[cfg(test)]
pub(in crate::wire) const MAIN_640X360: &[u8] =
    &[0x81, 0x01, 0x0C, 0x00, 0x0A, 0x0B, 0x00, 0x00, 0x00, 0x0C, 0xC4, 0xFF, 0x67, 0x36, 0xBE, 0x40, 0x10];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::codec::tests::assert_displays;

    #[test]
    fn a_record_of_a_real_encoder_is_described_with_and_without_its_sequence_header() {
        assert_displays(parse(MAIN_640X360).unwrap(), "640x360 AV1 Main 2.1");
        assert_displays(parse(&MAIN_640X360[..4]).unwrap(), "AV1 Main 2.1");
        assert_eq!(parse(&MAIN_640X360[..3]), None);
    }
}
