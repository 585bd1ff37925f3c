//! When each frame of sound begins, counted in its own samples.
//!
//! Timestamps are whole milliseconds, some jitter, and 1024 samples are no whole number of them. A browser wants frames that follow each
//! other without a hole or an overlap, as they were coded. So frames lie on a grid that begins at some timestamp, and the grid begins
//! anew where timestamps are too far from it.

use super::ring::{Ring, TagMeta};
use super::tag::{TagSeq, TagTiming};
use crate::wire::codec::{aac, frame_samples, opus};
use crate::wire::flv::Codec;
use crate::wire::sample::SamplePart;

/// So far may a frame's place be from its timestamp, in milliseconds: less than is heard or seen.
const ERROR_MS: u32 = 50;
/// Bytes of a frame that tell how long it lasts.
const FRAME_BYTES: usize = 16;
/// The rate of codecs that tell it in their frames alone: nearly all sound with pictures.
const USUAL_RATE_HZ: u32 = 48_000;

/// The clock of a stream's sound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SoundClock {
    rate_hz: u32,
    /// Samples of every frame; 0 where each says it.
    frame: u32,
    /// Where the grid begins, and where the next frame does, in samples.
    grid: Option<(u64, u64)>,
}

impl SoundClock {
    /// Sound is of this codec from now on. Configured anew as it was, it runs on.
    pub fn configure(&mut self, codec: Codec, record: &[u8]) {
        let (rate_hz, frame) = match codec {
            Codec::Aac => aac::core(record).map_or((0, 0), |core| (core.rate_hz, core.frame_samples)),
            Codec::Opus => (opus::RATE_HZ, 0),
            _ => (USUAL_RATE_HZ, 0),
        };
        if (rate_hz, frame) != (self.rate_hz, self.frame) {
            *self = SoundClock { rate_hz, frame, grid: None };
        }
    }

    /// Samples of every frame, where all have as many.
    pub fn frame_samples(&self) -> Option<u32> {
        Some(self.frame).filter(|&samples| samples > 0)
    }

    /// A frame of so many samples comes with this timestamp, in milliseconds.
    pub fn timing(&mut self, timestamp: u32, samples: u32) -> TagTiming {
        if self.rate_hz == 0 || samples == 0 {
            return TagTiming::NONE;
        }
        let (rate, samples) = (u64::from(self.rate_hz), u64::from(samples));
        let stamp = ticks(timestamp, self.rate_hz);
        let place = match self.grid {
            Some((begin, next)) if stamp.abs_diff(next) <= rate * u64::from(ERROR_MS) / 1000 => {
                // Frames that were left out leave their places.
                let frames = (stamp.saturating_sub(begin) + samples / 2) / samples;
                next.max(begin + frames * samples)
            }
            _ => {
                self.grid = Some((stamp, stamp));
                stamp
            }
        };
        if let Some((_, next)) = &mut self.grid {
            *next = place + samples;
        }
        TagTiming::shifted(place as i64 - stamp as i64)
    }
}

/// A timestamp in milliseconds, in samples.
pub fn ticks(timestamp: u32, rate_hz: u32) -> u64 {
    u64::from(timestamp) * u64::from(rate_hz) / 1000
}

/// Samples of a frame of a codec whose frames say it.
pub fn samples_of<B, I, const CHUNK: usize>(ring: &Ring<B, I, CHUNK>, seq: TagSeq, part: &SamplePart) -> u32
where
    B: AsRef<[u8]> + AsMut<[u8]>,
    I: AsRef<[TagMeta]> + AsMut<[TagMeta]>,
{
    let mut frame = [0; FRAME_BYTES];
    frame_samples(part.codec, &[], ring.payload_from(seq, part.skip, &mut frame)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn clock(rate: u32) -> SoundClock {
        SoundClock { rate_hz: rate, frame: 1024, grid: None }
    }

    proptest! {
        #[test]
        fn frames_of_a_steady_encoder_follow_each_other_whatever_milliseconds_are_rounded_to(
            rate in prop::sample::select(&[8_000_u32, 22_050, 44_100, 48_000, 96_000][..]),
            start in 0_u32..1 << 30,
            jitter in prop::collection::vec(0_u32..3, 400),
        ) {
            let mut clock = clock(rate);
            let mut last: Option<u64> = None;
            for (number, jitter) in jitter.into_iter().enumerate() {
                let timestamp = start + (number as u64 * 1024 * 1000 / u64::from(rate)) as u32 + jitter;
                let place = ticks(timestamp, rate).saturating_add_signed(clock.timing(timestamp, 1024).shift());
                prop_assert!(last.is_none_or(|last| place == last + 1024), "{:?} {}", last, place);
                last = Some(place);
            }
        }

        #[test]
        fn frames_never_overlap_unless_time_goes_back_and_are_never_far_from_their_timestamps(
            steps in prop::collection::vec(-30_i64..120, 1..300), rate in prop::sample::select(&[44_100_u32, 48_000][..]),
        ) {
            let mut clock = clock(rate);
            let (mut time, mut end) = (100_000_i64, 0);
            for step in steps {
                time += step;
                let stamp = ticks(time as u32, rate);
                let shift = clock.timing(time as u32, 1024).shift();
                let place = stamp.saturating_add_signed(shift);
                prop_assert!(shift.unsigned_abs() <= u64::from(rate * ERROR_MS / 1000));
                let too_far = end > stamp + u64::from(rate * ERROR_MS / 1000);
                prop_assert!(place >= end || too_far, "{} {}", place, end);
                end = place + 1024;
            }
        }
    }

    #[test]
    fn a_frame_that_was_left_out_leaves_its_place_and_a_pause_begins_a_new_grid() {
        let mut clock = clock(48_000);
        let mut place =
            |timestamp: u32| ticks(timestamp, 48_000).saturating_add_signed(clock.timing(timestamp, 1024).shift());
        assert_eq!([0, 21, 43].map(&mut place), [0, 1024, 2048]);
        assert_eq!(place(85), 4096);
        assert_eq!(place(1000), 48_000);
        assert_eq!(place(1021), 49_024);
    }

    #[test]
    fn the_same_configuration_again_moves_nothing() {
        let mut clock = SoundClock::default();
        assert_eq!(clock.timing(7, 1024), TagTiming::NONE);
        clock.configure(Codec::Aac, &[0x12, 0x10]);
        clock.timing(10, 1024);
        let before = clock;
        clock.configure(Codec::Aac, &[0x12, 0x10]);
        assert_eq!(clock, before);
        assert_eq!(clock.frame_samples(), Some(1024));
        clock.configure(Codec::Opus, b"");
        assert_eq!((clock.grid, clock.frame_samples()), (None, None));
    }
}
