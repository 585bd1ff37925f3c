//! Stream time: the publisher's timestamps, mapped so that players never see a jump.
//!
//! A stream's time starts at 0 and runs on when the encoder is restarted, since players stall or break on a jump. Who joins
//! later begins at the stream's time, not at 0: one byte string serves every player, and VLC 3 and ffmpeg start as fast at
//! 48 minutes as at 4 seconds. The laws, each a test below:
//!
//! 1. The first message is at 0. From then on stream time moves exactly as the publisher's does, forwards or, when audio and
//!    video interleave loosely, a little backwards; both wrap at 2^32.
//! 2. Time is never below the point where the publish began (0 at first): what would be is set to it.
//! 3. After [`Timeline::republish`] the next message follows the latest time by [`STITCH_MS`].
//! 4. A step of more than [`JUMP_MS`] that the wall clock does not explain within [`JUMP_MS`] is a new clock, not elapsed time:
//!    it too is stitched on. So no step is ever larger than what elapsed plus `JUMP_MS` and a frame.
//! 5. Stitching remembers the clock before it, and a message that fits that one goes by it again. One nonsense timestamp (a
//!    sequence header sent at 0 in mid-stream, a first DTS of anything) then moves nothing but itself, and an encoder whose
//!    audio and video count from different origins keeps running at the right speed.

use crate::time::Millis;

/// How far apart the last message before a seam and the first one behind it are: a frame at 25 Hz.
pub const STITCH_MS: u32 = 40;
/// Largest step between two messages that is taken as it is without asking the wall clock.
pub const JUMP_MS: u32 = 10_000;

/// One stream's time. Timestamps in and out are in milliseconds and wrap at 2^32.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timeline {
    clock: Option<Clock>,
    seam_due: bool,
}

/// State since the first message. Times are not wrapped here, so that they can be compared.
#[derive(Clone, Copy, Debug)]
struct Clock {
    /// What to subtract from the publisher's timestamp, wrapping.
    origin: u32,
    /// The origin in force before the last stitch.
    previous_origin: Option<u32>,
    last: u64,
    latest: u64,
    floor: u64,
    last_arrival: Millis,
}

impl Timeline {
    /// A timeline that starts at 0 with its first message.
    pub const fn new() -> Timeline {
        Timeline { clock: None, seam_due: false }
    }

    /// The stream time of an audio or video message.
    pub fn map(&mut self, publisher_timestamp: u32, now: Millis) -> u32 {
        let Some(clock) = &mut self.clock else {
            self.seam_due = false;
            self.clock = Some(Clock {
                origin: publisher_timestamp,
                previous_origin: None,
                last: 0,
                latest: 0,
                floor: 0,
                last_arrival: now,
            });
            return 0;
        };
        if core::mem::take(&mut self.seam_due) {
            clock.floor = clock.latest;
            clock.last = clock.latest + u64::from(STITCH_MS);
            clock.origin = publisher_timestamp.wrapping_sub(clock.last as u32);
            clock.previous_origin = None;
        } else {
            clock.step(publisher_timestamp, now);
        }
        clock.latest = clock.latest.max(clock.last);
        clock.last_arrival = now;
        clock.last as u32
    }

    /// The stream time of a data message. It never moves the timeline: encoders send them at 0 in mid-stream. One that does
    /// not fit is at the time of the last audio or video message.
    pub fn map_data(&self, publisher_timestamp: u32) -> u32 {
        let Some(clock) = &self.clock else { return 0 };
        if self.seam_due {
            return clock.latest as u32;
        }
        let delta = clock.delta(publisher_timestamp, clock.origin);
        if delta.abs() > i64::from(JUMP_MS) {
            return clock.last as u32;
        }
        clock.at(delta) as u32
    }

    /// The stream time of what the server itself says now: that of the last audio or video message.
    pub fn present(&self) -> u32 {
        self.clock.as_ref().map_or(0, |clock| clock.latest as u32)
    }

    /// Another publish of the same stream begins: whatever its clock shows, it continues where the last one ended.
    pub fn republish(&mut self) {
        self.seam_due = self.clock.is_some();
    }
}

impl Clock {
    fn step(&mut self, publisher_timestamp: u32, now: Millis) {
        let elapsed = i64::try_from(now.since(self.last_arrival)).unwrap_or(i64::MAX);
        let fits =
            |delta: i64| delta.abs() <= i64::from(JUMP_MS) || delta.saturating_sub(elapsed).abs() <= i64::from(JUMP_MS);
        let delta = self.delta(publisher_timestamp, self.origin);
        if fits(delta) {
            self.last = self.at(delta);
            return;
        }
        if let Some(previous) = self.previous_origin {
            let delta = self.delta(publisher_timestamp, previous);
            if fits(delta) {
                self.last = self.at(delta);
                self.previous_origin = Some(core::mem::replace(&mut self.origin, previous));
                return;
            }
        }
        // Behind the latest message, so that nobody sees a step back; unless time itself has long gone back from there.
        let seam = if self.latest - self.last <= u64::from(JUMP_MS) { self.latest } else { self.last };
        self.last = seam + u64::from(STITCH_MS);
        self.previous_origin = Some(self.origin);
        self.origin = publisher_timestamp.wrapping_sub(self.last as u32);
    }

    /// Milliseconds from the last message to `publisher_timestamp` as counted from `origin`.
    fn delta(&self, publisher_timestamp: u32, origin: u32) -> i64 {
        let target = publisher_timestamp.wrapping_sub(origin);
        i64::from(target.wrapping_sub(self.last as u32) as i32)
    }

    fn at(&self, delta: i64) -> u64 {
        self.last.saturating_add_signed(delta).max(self.floor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn time_starts_at_zero_and_runs_on_over_a_republish() {
        let mut timeline = Timeline::new();
        assert_eq!(timeline.map(90_000, Millis(0)), 0);
        assert_eq!(timeline.map(90_040, Millis(40)), 40);
        // First audio slightly before first video.
        assert_eq!(timeline.map(89_990, Millis(41)), 0);
        assert_eq!(timeline.map(90_080, Millis(80)), 80);
        timeline.republish();
        assert_eq!(timeline.map_data(0), 80);
        assert_eq!(timeline.map(0, Millis(9_000)), 120);
        assert_eq!(timeline.map(23, Millis(9_023)), 143);
        // Audio of the new publish that would lie before the end of the old one.
        assert_eq!(timeline.map(0xFFFF_FF00, Millis(9_030)), 80);
    }

    #[test]
    fn a_nonsense_first_timestamp_is_forgotten() {
        let mut timeline = Timeline::new();
        assert_eq!(timeline.map(0x7654_3210, Millis(0)), 0);
        assert_eq!(timeline.map(0, Millis(1)), 40);
        assert_eq!(timeline.map(40, Millis(41)), 80);
    }

    #[test]
    fn a_gap_the_wall_clock_explains_is_kept() {
        let mut timeline = Timeline::new();
        timeline.map(0, Millis(0));
        assert_eq!(timeline.map(60_000, Millis(58_000)), 60_000);
        assert_eq!(timeline.map(120_000, Millis(58_040)), 60_040);
    }

    #[test]
    fn audio_and_video_of_different_origins_keep_their_speed() {
        let mut timeline = Timeline::new();
        for i in 0..1000_u32 {
            let now = Millis(u64::from(i) * 20);
            timeline.map(i * 20, now);
            let video = timeline.map(5_000_000 + i * 20, now);
            assert_eq!(video, i * 20 + STITCH_MS);
        }
    }

    #[test]
    fn data_messages_at_zero_do_not_move_time() {
        let mut timeline = Timeline::new();
        assert_eq!(timeline.map_data(7), 0);
        timeline.map(0, Millis(0));
        timeline.map(3_600_000, Millis(3_600_000));
        assert_eq!(timeline.map_data(0), 3_600_000);
        assert_eq!(timeline.map_data(3_600_010), 3_600_010);
        assert_eq!(timeline.map(3_600_020, Millis(3_600_020)), 3_600_020);
    }

    proptest! {
        #[test]
        fn small_steps_are_kept_and_wrap(
            first in any::<u32>(), steps in prop::collection::vec(-200_i64..4_000, 1..200), stride in 0_u32..2,
        ) {
            // With `stride`, time first runs for 49 days in steps the wall clock explains, so that the output wraps as well.
            let mut timeline = Timeline::new();
            prop_assert_eq!(timeline.map(first, Millis(0)), 0);
            let (mut time, mut now) = (0_i64, 0_u64);
            for _ in 0..stride * 3 {
                time += 0x5555_0000;
                now += 0x5555_0000;
                prop_assert_eq!(timeline.map(first.wrapping_add(time as u32), Millis(now)), time as u32);
            }
            for step in steps {
                time += step;
                let stream_time = timeline.map(first.wrapping_add(time as u32), Millis(now));
                prop_assert_eq!(stream_time, time.max(0) as u32);
            }
        }

        #[test]
        fn no_step_is_larger_than_what_elapsed_and_a_jump(
            messages in prop::collection::vec((any::<u32>(), 0_u64..30_000, any::<bool>()), 2..100),
        ) {
            let mut timeline = Timeline::new();
            let mut now = 0;
            let mut last: Option<i64> = None;
            for (timestamp, elapsed, near) in messages {
                now += elapsed;
                // Random timestamps never fit; half of them are made to.
                let timestamp = if near { timestamp % 20_000 } else { timestamp };
                let time = i64::from(timeline.map(timestamp, Millis(now)));
                if let Some(last) = last {
                    let largest = i64::from(JUMP_MS + STITCH_MS) + elapsed as i64 + i64::from(JUMP_MS);
                    prop_assert!((time - last).abs() <= largest, "{} to {} in {} ms", last, time, elapsed);
                }
                last = Some(time);
            }
        }

        #[test]
        fn one_nonsense_timestamp_moves_nothing_but_itself(
            at in 1_usize..50, nonsense in 1_000_000_u32..0x8000_0000, first in any::<u32>(),
        ) {
            let mut timeline = Timeline::new();
            let mut time = 0;
            for i in 0..60 {
                let now = Millis(u64::from(time));
                if i == at {
                    timeline.map(first.wrapping_add(nonsense), now);
                }
                prop_assert_eq!(timeline.map(first.wrapping_add(time), now), time);
                time += 33;
            }
        }

        #[test]
        fn a_republish_follows_the_latest_time_by_a_frame(
            steps in prop::collection::vec(-50_i64..200, 1..50), restart in any::<u32>(), gap in any::<u32>(),
        ) {
            let mut timeline = Timeline::new();
            let (mut time, mut latest) = (1_000_i64, 0);
            for step in steps {
                latest = latest.max(timeline.map(time as u32, Millis(0)));
                time += step;
            }
            timeline.republish();
            prop_assert_eq!(timeline.map(restart, Millis(u64::from(gap))), latest + STITCH_MS);
            prop_assert!(timeline.map(restart.wrapping_sub(500), Millis(u64::from(gap))) >= latest);
        }
    }
}
