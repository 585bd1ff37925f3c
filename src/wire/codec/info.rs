//! What is read of configuration records, and how it is written for people.

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// 1 to 65 536; 0 where it is not known.
    pub width: u32,
    /// 1 to 65 536; 0 where it is not known.
    pub height: u32,
}

impl Size {
    /// Largest width and height taken for real; anything above is a misread record.
    const MAX: u64 = 65_536;

    /// A coded size less what is cropped; `None` when nothing or too much is left.
    pub(super) fn cropped(width: u64, height: u64, crop_width: u64, crop_height: u64) -> Option<Size> {
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
    pub(super) fn new(ticks_per_second: u64, ticks: u64) -> Option<FrameRate> {
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
