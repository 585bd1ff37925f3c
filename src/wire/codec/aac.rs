//! AudioSpecificConfig (ISO/IEC 14496-3, section 1.6.2.1).

use crate::wire::codec::bits::BitReader;
use crate::wire::codec::info::AudioInfo;
use crate::wire::flv::Codec;

/// Reads the config. Of HE-AAC the rate and channels are those a decoder plays, when the config signals them.
pub fn parse(config: &[u8]) -> Option<AudioInfo> {
    let mut r = BitReader::new(config);
    let mut object_type = object_type(&mut r)?;
    let mut rate = sampling_frequency(&mut r)?;
    let configuration = r.bits(4)?;
    let mut replication = None;
    if matches!(object_type, SBR | PS) {
        replication = Some(object_type);
        rate = sampling_frequency(&mut r)?;
        object_type = self::object_type(&mut r)?;
    }
    let mut channels = match configuration {
        0 => program_channels(&mut r, object_type),
        1..=6 => Some(configuration as u8),
        7 | 12 | 14 => Some(8),
        11 => Some(7),
        _ => None,
    };
    // Replication can also be announced behind the config, where old decoders do not look.
    if replication.is_none()
        && configuration != 0
        && let Some((kind, replicated_rate)) = trailing_replication(&mut r, object_type)
    {
        replication = Some(kind);
        rate = replicated_rate;
    }
    if replication == Some(PS) {
        channels = Some(2);
    }
    let profile = match (replication, object_type) {
        (Some(PS), _) => Some("HE v2"),
        (Some(_), _) => Some("HE"),
        (None, 1) => Some("Main"),
        (None, 3) => Some("SSR"),
        (None, 4) => Some("LTP"),
        (None, 23) => Some("LD"),
        (None, 39) => Some("ELD"),
        (None, 42) => Some("xHE"),
        (None, _) => None,
    };
    Some(AudioInfo { codec: Codec::Aac, profile, sample_rate_hz: Some(rate), channels })
}

/// What a decoder has to know of a config before it has read all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Core {
    /// The first audio object type, by which codec strings name the codec.
    pub object_type: u32,
    /// Samples a second of the core, to which replication adds.
    pub rate_hz: u32,
    /// Samples of the core in a frame.
    pub frame_samples: u32,
}

/// Reads as much of the config as that.
pub fn core(config: &[u8]) -> Option<Core> {
    let mut r = BitReader::new(config);
    let first = object_type(&mut r)?;
    let rate_hz = sampling_frequency(&mut r)?;
    r.skip(4)?; // channelConfiguration
    let mut coded = first;
    if matches!(first, SBR | PS) {
        sampling_frequency(&mut r)?;
        coded = object_type(&mut r)?;
    }
    // frameLengthFlag comes next in the configs of these (sections 4.4.1 and 4.6.20).
    let short = match coded {
        1..=4 | LOW_DELAY | ENHANCED_LOW_DELAY => r.flag().unwrap_or(false),
        _ => false,
    };
    let frame_samples = match (coded, short) {
        (LOW_DELAY | ENHANCED_LOW_DELAY, true) => 480,
        (LOW_DELAY | ENHANCED_LOW_DELAY, false) => 512,
        (_, true) => 960,
        (_, false) => 1024,
    };
    Some(Core { object_type: first, rate_hz, frame_samples })
}

/// Object types with short frames.
const LOW_DELAY: u32 = 23;
const ENHANCED_LOW_DELAY: u32 = 39;
/// Audio object types for spectral band replication and parametric stereo.
const SBR: u32 = 5;
const PS: u32 = 29;

const RATES_HZ: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

fn object_type(r: &mut BitReader<'_>) -> Option<u32> {
    match r.bits(5)? {
        31 => Some(32 + r.bits(6)?),
        object_type => Some(object_type),
    }
}

fn sampling_frequency(r: &mut BitReader<'_>) -> Option<u32> {
    match r.bits(4)? {
        15 => r.bits(24).filter(|&rate| rate != 0),
        index => RATES_HZ.get(index as usize).copied(),
    }
}

/// Object types whose GASpecificConfig is laid out as the functions below read it.
fn is_general_audio(object_type: u32) -> bool {
    matches!(object_type, 1..=4)
}

/// The first three fields of GASpecificConfig (section 4.4.1).
fn skip_general_audio(r: &mut BitReader<'_>) -> Option<()> {
    r.flag()?; // frameLengthFlag
    if r.flag()? {
        r.skip(14)?; // coreCoderDelay
    }
    r.flag().map(drop) // extensionFlag
}

/// Counts the channels of a program_config_element (section 4.5.2.1), which follows channel configuration 0.
fn program_channels(r: &mut BitReader<'_>, object_type: u32) -> Option<u8> {
    if !is_general_audio(object_type) {
        return None;
    }
    skip_general_audio(r)?;
    r.skip(4 + 2 + 4)?; // element_instance_tag, object_type, sampling_frequency_index
    let elements = r.bits(4)? + r.bits(4)? + r.bits(4)?; // front, side, back
    let low_frequency = r.byte(2)?;
    r.skip(3 + 4)?; // num_assoc_data_elements, num_valid_cc_elements
    for bits in [4, 4, 3] {
        if r.flag()? {
            r.skip(bits)?; // mono, stereo and matrix mixdown
        }
    }
    let mut channels = low_frequency;
    for _ in 0..elements {
        channels += if r.flag()? { 2 } else { 1 };
        r.skip(4)?;
    }
    Some(channels)
}

/// The sync extension behind the config: object type and rate of the replication it announces.
fn trailing_replication(r: &mut BitReader<'_>, object_type: u32) -> Option<(u32, u32)> {
    if !is_general_audio(object_type) {
        return None;
    }
    skip_general_audio(r)?;
    if r.bits(11)? != 0x2B7 || self::object_type(r)? != SBR || !r.flag()? {
        return None;
    }
    let rate = sampling_frequency(r)?;
    let parametric_stereo = r.bits(11) == Some(0x548) && r.flag() == Some(true);
    Some((if parametric_stereo { PS } else { SBR }, rate))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::codec::tests::assert_displays;

    #[test]
    fn configs_of_real_encoders_are_described() {
        for (config, text) in [
            (&[0x11, 0x90][..], "AAC 48 kHz stereo"),
            (&[0x11, 0x90, 0x56, 0xE5, 0x00], "AAC 48 kHz stereo"),
            (&[0x12, 0x08, 0x56, 0xE5, 0x00], "AAC 44.1 kHz mono"),
            (&[0x12, 0x30, 0x56, 0xE5, 0x00], "AAC 44.1 kHz 5.1"),
            // Explicit signalling: 22.05 kHz played as 44.1; then with parametric stereo.
            (&[0x2B, 0x92, 0x08, 0x00], "AAC HE 44.1 kHz stereo"),
            (&[0xEB, 0x8A, 0x08, 0x00], "AAC HE v2 44.1 kHz stereo"),
            // The same behind the config.
            (&[0x13, 0x90, 0x56, 0xE5, 0xA0], "AAC HE 44.1 kHz stereo"),
            (&[0x13, 0x88, 0x56, 0xE5, 0xA5, 0x48, 0x80], "AAC HE v2 44.1 kHz stereo"),
            // A rate that is in no table.
            (&[0x17, 0x80, 0x0F, 0xA0, 0x08], "AAC 8 kHz mono"),
        ] {
            assert_displays(parse(config).unwrap(), text);
        }
    }

    #[test]
    fn the_core_of_a_config_is_what_its_first_fields_say() {
        for (config, object_type, rate_hz, frame_samples) in [
            (&[0x11, 0x90][..], 2, 48_000, 1024),
            (&[0x11, 0x94], 2, 48_000, 960),
            // Replication doubles the rate of what is played, and not that of the frames.
            (&[0x2B, 0x92, 0x08, 0x00], 5, 22_050, 1024),
            (&[0x13, 0x90, 0x56, 0xE5, 0xA0], 2, 22_050, 1024),
            (&[0xEB, 0x8A, 0x08, 0x00], 29, 22_050, 1024),
            (&[0xF8, 0xE6, 0x20, 0x00], 39, 48_000, 512),
        ] {
            assert_eq!(core(config), Some(Core { object_type, rate_hz, frame_samples }), "{config:02x?}");
        }
        assert_eq!(core(&[0x11]), None);
    }

    #[test]
    fn channels_of_a_program_config_element_are_counted() {
        // Channel configuration 0: two front elements (one pair), one back pair, one low frequency: 3 + 2 + 1.
        let config = [
            0b0001_0001,
            0b1000_0000,
            0b0000_0100,
            0b1100_1000,
            0b0000_0101,
            0b0000_0000,
            0b0000_0001,
            0b0000_1000,
            0b1000_0000,
        ];
        assert_displays(parse(&config).unwrap(), "AAC 48 kHz 5.1");
    }

    #[test]
    fn a_config_that_is_cut_off_or_has_a_reserved_rate_is_refused() {
        assert_eq!(parse(&[0x11]), None);
        assert_eq!(parse(&[0x16, 0x90]), None);
    }
}
