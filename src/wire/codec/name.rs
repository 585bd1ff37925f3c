//! What browsers and playlists call a codec (RFC 6381): `avc1.64002a`, `mp4a.40.2`.

use core::fmt::Write;

use crate::wire::codec::{aac, vpx};
use crate::wire::flv::Codec;

/// The longest is one of HEVC with all constraint bytes.
pub type CodecName = heapless::String<48>;

/// The name of a codec with this configuration record; `None` when browsers have none for it, or the record makes no sense.
pub fn codec_name(codec: Codec, record: &[u8]) -> Option<CodecName> {
    let mut name = CodecName::new();
    match codec {
        Codec::Avc => {
            // ISO/IEC 14496-15, annex E: profile, constraints, level.
            let &[1, profile, constraints, level, ..] = record else { return None };
            write!(name, "avc1.{profile:02x}{constraints:02x}{level:02x}").ok()?;
        }
        Codec::Hevc => hevc(record, &mut name)?,
        Codec::Av1 => {
            // AV1 in ISOBMFF, section 5.
            let &[0x81, profile_and_level, depth, ..] = record else { return None };
            let tier = if depth & 0x80 != 0 { 'H' } else { 'M' };
            let bits = match depth >> 5 & 3 {
                3 => 12,
                2 => 10,
                _ => 8,
            };
            write!(name, "av01.{}.{:02}{tier}.{bits:02}", profile_and_level >> 5, profile_and_level & 0x1F).ok()?;
        }
        Codec::Vp9 => {
            let &[profile, level, depth, ..] = vpx::bare(record) else { return None };
            write!(name, "vp09.{profile:02}.{level:02}.{:02}", depth >> 4).ok()?;
        }
        Codec::Aac => write!(name, "mp4a.40.{}", aac::core(record)?.object_type).ok()?,
        // WebKit refuses another case.
        Codec::Opus => name.push_str("opus").ok()?,
        Codec::Flac => name.push_str("flac").ok()?,
        Codec::Ac3 => name.push_str("ac-3").ok()?,
        Codec::Eac3 => name.push_str("ec-3").ok()?,
        _ => return None,
    }
    Some(name)
}

/// ISO/IEC 14496-15, annex E.3.
fn hevc(record: &[u8], name: &mut CodecName) -> Option<()> {
    let &[_, profile, c0, c1, c2, c3, ref constraints @ ..] = record.first_chunk::<13>()?;
    let (constraints, level) = (&constraints[..6], constraints[6]);
    let space = ["", "A", "B", "C"][usize::from(profile >> 6)];
    let tier = if profile & 0x20 != 0 { 'H' } else { 'L' };
    let compatible = u32::from_be_bytes([c0, c1, c2, c3]).reverse_bits();
    write!(name, "hvc1.{space}{}.{compatible:X}.{tier}{level}", profile & 0x1F).ok()?;
    let used = constraints.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    constraints[..used].iter().try_for_each(|byte| write!(name, ".{byte:X}").ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::codec::{av1, avc, hevc};

    #[test]
    fn names_are_those_that_browsers_take() {
        for (codec, record, name) in [
            (Codec::Avc, &[1, 0x64, 0, 0x2A, 0xFF][..], "avc1.64002a"),
            (Codec::Avc, avc::HIGH_422_WITH_SCALING_LISTS, "avc1.7a001e"),
            (Codec::Hevc, hevc::MAIN_10_642X362, "hvc1.2.4.L63.90"),
            (Codec::Hevc, &[1, 1, 0x60, 0, 0, 0, 0xB0, 0, 0, 0, 0, 0, 120], "hvc1.1.6.L120.B0"),
            (Codec::Hevc, &[1, 0x61, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 1, 0, 93], "hvc1.A1.6.H93.90.0.0.0.1"),
            (Codec::Hevc, &[1, 1, 0x60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 93], "hvc1.1.6.L93"),
            (Codec::Av1, av1::MAIN_640X360, "av01.0.01M.08"),
            (Codec::Av1, &[0x81, 0x08, 0x0C, 0], "av01.0.08M.08"),
            (Codec::Av1, &[0x81, 0x2D, 0xCC, 0], "av01.1.13H.10"),
            (Codec::Vp9, &[1, 0, 0, 0, 0, 31, 0x82, 2, 2, 2, 0, 0], "vp09.00.31.08"),
            (Codec::Vp9, &[2, 10, 0xA2, 2, 2, 2, 0, 0], "vp09.02.10.10"),
            (Codec::Aac, &[0x11, 0x90], "mp4a.40.2"),
            (Codec::Aac, &[0x2B, 0x92, 0x08, 0x00], "mp4a.40.5"),
            (Codec::Aac, &[0xF8, 0xE6, 0x20, 0x00], "mp4a.40.39"),
            (Codec::Opus, b"", "opus"),
        ] {
            assert_eq!(codec_name(codec, record).as_deref(), Some(name), "{record:02x?}");
        }
        for (codec, record) in
            [(Codec::Avc, &[1, 0x64, 0][..]), (Codec::Hevc, &[1; 12]), (Codec::Mp3, b"\xFF\xFB\x90\0")]
        {
            assert_eq!(codec_name(codec, record), None, "{codec}");
        }
    }
}
