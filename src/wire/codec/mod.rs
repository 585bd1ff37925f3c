//! Decoder configuration records: enough of each to say on one line what a stream is.
//!
//! One file per format, each with a `parse` that takes the record out of a sequence header
//! ([`crate::wire::flv::sequence_header_body`]) and gives `None` when it makes no sense. Nothing is decided by what is read
//! here: it is for people.

pub mod aac;
pub mod av1;
pub mod avc;
pub mod bits;
pub mod flac;
pub mod hevc;
pub mod opus;
pub mod synthetic;
pub mod vpx;

use core::fmt;

use crate::wire::flv::Codec;

/// What a video configuration record says. Displayed as `1280x720 H.264 High 3.1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoInfo {
    /// The codec the record is for.
    pub codec: Codec,
    /// Width and height in pixels, as shown (cropped). `None` when the record does not tell.
    pub size: Option<Size>,
    /// Name of the profile, when it has a well-known one.
    pub profile: Option<&'static str>,
    /// Level, when the record tells.
    pub level: Option<Level>,
    /// Frames per second as the encoder declared them; many declare none.
    pub frame_rate: Option<FrameRate>,
}

impl VideoInfo {
    /// Reads the configuration record of a video codec. `None` when it is malformed, or the codec has no record we read.
    pub fn parse(codec: Codec, record: &[u8]) -> Option<VideoInfo> {
        match codec {
            Codec::Avc => avc::parse(record),
            Codec::Hevc => hevc::parse(record),
            Codec::Av1 => av1::parse(record),
            Codec::Vp8 | Codec::Vp9 => vpx::parse(codec, record),
            _ => None,
        }
    }

    /// Of a codec about which nothing else is known.
    pub fn unknown(codec: Codec) -> VideoInfo {
        VideoInfo { codec, size: None, profile: None, level: None, frame_rate: None }
    }
}

impl fmt::Display for VideoInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(size) = self.size {
            write!(f, "{size} ")?;
        }
        write!(f, "{}", self.codec)?;
        if let Some(profile) = self.profile {
            write!(f, " {profile}")?;
        }
        if let Some(level) = self.level {
            write!(f, " {level}")?;
        }
        Ok(())
    }
}

/// Picture size in pixels. Displayed as `1280x720`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// 1 to 65 536.
    pub width: u32,
    /// 1 to 65 536.
    pub height: u32,
}

impl Size {
    /// Largest width and height taken for real; anything above is a misread record.
    const MAX: u64 = 65_536;

    /// A coded size less what is cropped; `None` when nothing or too much is left.
    fn cropped(width: u64, height: u64, crop_width: u64, crop_height: u64) -> Option<Size> {
        let inside = |size: u64, crop: u64| {
            let shown = size.checked_sub(crop).filter(|shown| (1..=Size::MAX).contains(shown))?;
            u32::try_from(shown).ok()
        };
        Some(Size { width: inside(width, crop_width)?, height: inside(height, crop_height)? })
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// A level. Displayed as `3.1`, and `4` without its zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Before the point.
    pub major: u8,
    /// After the point.
    pub minor: u8,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.minor {
            0 => write!(f, "{}", self.major),
            minor => write!(f, "{}.{minor}", self.major),
        }
    }
}

/// Frames per second as a fraction. Displayed as `25` or `29.97`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameRate {
    /// Not zero.
    pub numerator: u32,
    /// Not zero.
    pub denominator: u32,
}

impl FrameRate {
    /// `ticks_per_second` of a clock that advances `ticks` per frame; `None` for nonsense and above 1000 frames a second,
    /// which is how encoders write "unknown" or "variable".
    fn new(ticks_per_second: u64, ticks: u64) -> Option<FrameRate> {
        if ticks == 0 || ticks_per_second == 0 || ticks_per_second / ticks >= 1000 {
            return None;
        }
        let divisor = greatest_common_divisor(ticks_per_second, ticks);
        Some(FrameRate {
            numerator: u32::try_from(ticks_per_second / divisor).ok()?,
            denominator: u32::try_from(ticks / divisor).ok()?,
        })
    }
}

impl fmt::Display for FrameRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (numerator, denominator) = (u64::from(self.numerator), u64::from(self.denominator.max(1)));
        let hundredths = (numerator * 100 + denominator / 2) / denominator;
        decimal(f, hundredths, 2)
    }
}

/// What an audio configuration record says. Displayed as `AAC 48 kHz stereo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioInfo {
    /// The codec the record is for.
    pub codec: Codec,
    /// Name of the variant, when it is not the codec's usual one (`HE` for AAC).
    pub profile: Option<&'static str>,
    /// Samples per second of the sound as played, when known.
    pub sample_rate_hz: Option<u32>,
    /// Channels as played, when known.
    pub channels: Option<u8>,
}

impl AudioInfo {
    /// Reads the configuration record of an audio codec. `None` when it is malformed, or the codec has no record we read.
    pub fn parse(codec: Codec, record: &[u8]) -> Option<AudioInfo> {
        match codec {
            Codec::Aac => aac::parse(record),
            Codec::Opus => opus::parse(record),
            Codec::Flac => flac::parse(record),
            _ => None,
        }
    }

    /// Of a codec about which nothing else is known.
    pub fn unknown(codec: Codec) -> AudioInfo {
        AudioInfo { codec, profile: None, sample_rate_hz: None, channels: None }
    }
}

impl fmt::Display for AudioInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.codec)?;
        if let Some(profile) = self.profile {
            write!(f, " {profile}")?;
        }
        if let Some(rate) = self.sample_rate_hz {
            f.write_str(" ")?;
            decimal(f, u64::from(rate), 3)?;
            f.write_str(" kHz")?;
        }
        match self.channels {
            None => Ok(()),
            Some(1) => f.write_str(" mono"),
            Some(2) => f.write_str(" stereo"),
            Some(6) => f.write_str(" 5.1"),
            Some(8) => f.write_str(" 7.1"),
            Some(channels) => write!(f, " {channels} channels"),
        }
    }
}

/// Writes `value` / 10^`places` without trailing zeros.
fn decimal(f: &mut fmt::Formatter<'_>, value: u64, places: u32) -> fmt::Result {
    let unit = 10_u64.pow(places);
    write!(f, "{}", value / unit)?;
    let (mut fraction, mut width) = (value % unit, places as usize);
    if fraction == 0 {
        return Ok(());
    }
    while fraction.is_multiple_of(10) {
        fraction /= 10;
        width -= 1;
    }
    write!(f, ".{fraction:0width$}")
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use core::fmt::Write;

    use proptest::prelude::*;

    use super::*;

    /// Asserts what a value displays, without a heap.
    #[track_caller]
    pub(super) fn assert_displays(value: impl fmt::Display, expected: &str) {
        let mut text = heapless::String::<128>::new();
        write!(text, "{value}").unwrap();
        assert_eq!(text, expected);
    }

    #[test]
    fn numbers_are_written_as_people_write_them() {
        assert_displays(FrameRate { numerator: 30_000, denominator: 1001 }, "29.97");
        assert_displays(FrameRate { numerator: 25, denominator: 1 }, "25");
        assert_displays(FrameRate { numerator: 25, denominator: 2 }, "12.5");
        assert_displays(Level { major: 3, minor: 1 }, "3.1");
        assert_displays(Level { major: 4, minor: 0 }, "4");
        let mono = AudioInfo { channels: Some(1), sample_rate_hz: Some(11_025), ..AudioInfo::unknown(Codec::Mp3) };
        assert_displays(mono, "MP3 11.025 kHz mono");
        assert_displays(AudioInfo::unknown(Codec::Ac3), "AC-3");
        assert_displays(VideoInfo::unknown(Codec::Vvc), "VVC");
    }

    #[test]
    fn variable_and_nonsense_frame_rates_are_unknown() {
        assert_eq!(FrameRate::new(0, 1), None);
        assert_eq!(FrameRate::new(1, 0), None);
        assert_eq!(FrameRate::new(90_000, 1), None);
        assert_eq!(FrameRate::new(180_000, 6006), Some(FrameRate { numerator: 30_000, denominator: 1001 }));
    }

    /// Real records, to be damaged below.
    const RECORDS: &[(Codec, &[u8])] = &[
        (Codec::Avc, avc::HIGH_422_WITH_SCALING_LISTS),
        (Codec::Hevc, hevc::MAIN_10_642X362),
        (Codec::Av1, av1::MAIN_640X360),
        (Codec::Aac, &[0x11, 0x90, 0x56, 0xE5, 0x00]),
        (Codec::Opus, b"OpusHead\x01\x01\x38\x01\x80\xBB\0\0\0\0\0"),
    ];

    proptest! {
        #[test]
        fn damaged_records_are_read_without_a_panic(
            which in 0..RECORDS.len(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
            cut in any::<prop::sample::Index>(),
        ) {
            let (codec, record) = RECORDS[which];
            let mut record = record.to_vec();
            for (at, value) in changes {
                let at = at.index(record.len());
                record[at] = value;
            }
            record.truncate(cut.index(record.len() + 1));
            if let Some(VideoInfo { size: Some(size), .. }) = VideoInfo::parse(codec, &record) {
                prop_assert!((1..=65_536).contains(&size.width) && (1..=65_536).contains(&size.height));
            }
            AudioInfo::parse(codec, &record);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(record in prop::collection::vec(any::<u8>(), 0..200)) {
            for codec in [Codec::Avc, Codec::Hevc, Codec::Av1, Codec::Vp8, Codec::Vp9, Codec::Vvc] {
                VideoInfo::parse(codec, &record);
            }
            for codec in [Codec::Aac, Codec::Opus, Codec::Flac, Codec::Mp3] {
                AudioInfo::parse(codec, &record);
            }
        }
    }
}
