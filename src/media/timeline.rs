//! Stream time: the publisher's timestamps, mapped so that players never see a jump.
//!
//! A stream's time starts at 0 and runs on when the encoder is restarted, or begins its clip again, since players stall or
//! break on a jump. Who joins later begins at the stream's time, not at 0: one byte string serves every player, and VLC 3 and
//! ffmpeg start as fast at 48 minutes as at 4 seconds.
//!
//! Audio and video are *tracks*: how loosely they interleave says nothing, but each for itself goes forwards, and back only
//! where B-frames are stamped with their time of presentation. That tells a clip that begins again from everything else, however
//! short it is. The laws, each a test below:
//!
//! 1. The first message is at 0. From then on stream time moves exactly as the publisher's does while that is plausible:
//!    tracks may be [`JUMP_MS`] apart, a frame may be [`REORDER_MS`] before the last one of its track, and time may go
//!    forwards by [`STEP_MS`] at once, by about what has elapsed, or by what the uplink had held up. All wraps at 2^32.
//! 2. Time is never below the point where the publish began (0 at first): what would be is set to it.
//! 3. After [`Timeline::republish`] the next message follows the latest time by [`STITCH_MS`].
//! 4. What is not plausible is a new clock, not elapsed time: it too is stitched on, a frame behind the latest message. The
//!    other track follows to the new clock when its own time is no longer plausible, so both stay together, and it does not go
//!    back there either. No step is ever larger than what elapsed plus twice [`JUMP_MS`] and a frame.
//! 5. Stitching remembers the clock before it, and a message that fits that one goes by it again. One nonsense timestamp (a
//!    sequence header sent at 0 in mid-stream, a first DTS of anything) then moves nothing but itself, and an encoder whose
//!    audio and video count from different origins keeps running at the right speed.
//!
//! The same comparison with the wall clock says how late media comes: see [`Timeline::late_ms`].

use super::tag::TagKind;
use crate::time::Millis;

/// How far apart the last message before a seam and the first one behind it are: a frame at 25 Hz.
pub const STITCH_MS: u32 = 40;
/// How far apart audio and video may be, and the most that time may go forwards beyond what has elapsed.
pub const JUMP_MS: u32 = 10_000;
/// How far a frame may be before the last one of its track: 16 B-frames at 25 Hz that have their time of presentation, the most
/// that H.264 allows, are 640 ms.
pub const REORDER_MS: u32 = 700;
/// Largest step forwards that is taken as it is without asking the wall clock: a frame a second.
pub const STEP_MS: u32 = 1_000;

/// A frame this much before the last one of its track may still be the same clock, but another one that fits better goes first.
const JITTER_MS: i64 = 100;
/// How far a track may go back when it follows the other to a new clock: the rest of a clip may come behind the beginning of the
/// next round.
const FOLLOW_MS: i64 = 2_000;

/// One stream's time. Timestamps in and out are in milliseconds and wrap at 2^32.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timeline {
    clock: Option<StreamClock>,
    seam_due: bool,
}

/// State since the first message. Times are not wrapped here, so that they can be compared.
#[derive(Clone, Copy, Debug)]
struct StreamClock {
    /// Audio and video.
    tracks: [TrackClock; 2],
    /// Of the newest seam: what a track goes by that has sent nothing yet.
    origin: u32,
    /// Where the publish began.
    floor: u64,
    last: u64,
    latest: u64,
    last_arrival: Millis,
    pace: Pace,
}

/// How a track's timestamps are read: `None` before its first message of a publish.
#[derive(Clone, Copy, Debug, Default)]
struct TrackClock {
    present: Option<TrackReading>,
    /// What was in force before the last stitch.
    previous: Option<TrackReading>,
}

#[derive(Clone, Copy, Debug)]
struct TrackReading {
    /// What to subtract from the publisher's timestamp, wrapping.
    origin: u32,
    /// The time of the last message, before it was set to the floor.
    last: i64,
    /// What is before it is set to it.
    floor: u64,
}

/// Stream time against the wall clock.
#[derive(Clone, Copy, Debug)]
struct Pace {
    began: Millis,
    /// Stream time then.
    zero: i64,
    /// How far the last message was ahead of the wall clock (behind, if negative), in milliseconds.
    lead: i64,
    /// The most that one ever was.
    best: i64,
    /// The most that one was since the last look, and how much later than that the latest of all came.
    watched: i64,
    late: i64,
}

impl Timeline {
    /// A timeline that starts at 0 with its first message.
    pub const fn new() -> Timeline {
        Timeline { clock: None, seam_due: false }
    }

    /// The stream time of an audio or video message.
    pub fn map(&mut self, kind: TagKind, publisher_timestamp: u32, now: Millis) -> u32 {
        let track = usize::from(kind == TagKind::Video);
        let seam_due = core::mem::take(&mut self.seam_due);
        let clock = self.clock.get_or_insert_with(|| StreamClock::new(publisher_timestamp, now));
        if seam_due {
            clock.begin_again(track, publisher_timestamp, now);
        } else {
            clock.step(track, publisher_timestamp, now);
        }
        clock.last as u32
    }

    /// The stream time of a data message. It never moves the timeline: encoders send them at 0 in mid-stream. One that does
    /// not fit is at the time of the last audio or video message.
    pub fn map_data(&self, publisher_timestamp: u32) -> u32 {
        let Some(clock) = &self.clock else { return 0 };
        if self.seam_due {
            return clock.latest as u32;
        }
        let ahead = clock.ahead(publisher_timestamp, clock.origin);
        let readings = clock.tracks.iter().filter_map(|track| track.present);
        let slowest = readings.map(|reading| reading.last).min().unwrap_or(0) - clock.latest as i64;
        if ahead > i64::from(STEP_MS) || ahead < slowest - i64::from(REORDER_MS) {
            return clock.last as u32;
        }
        clock.latest.saturating_add_signed(ahead).max(clock.floor) as u32
    }

    /// The stream time of what the server itself says now: that of the latest audio or video message.
    pub fn present(&self) -> u32 {
        self.clock.as_ref().map_or(0, |clock| clock.latest as u32)
    }

    /// Another publish of the same stream begins: whatever its clock shows, it continues where the last one ended.
    pub fn republish(&mut self) {
        self.seam_due = self.clock.is_some();
    }

    /// How much later than the promptest message since [`Timeline::watch_anew`] the latest one came, by the publisher's own
    /// timestamps, in milliseconds. More than a moment means that its uplink does not keep up.
    pub fn late_ms(&self) -> u32 {
        self.clock.as_ref().map_or(0, |clock| u32::try_from(clock.pace.late).unwrap_or(u32::MAX))
    }

    /// From now on [`Timeline::late_ms`] is measured against what comes from now on.
    pub fn watch_anew(&mut self) {
        if let Some(clock) = &mut self.clock {
            (clock.pace.watched, clock.pace.late) = (clock.pace.lead, 0);
        }
    }
}

impl StreamClock {
    fn new(origin: u32, now: Millis) -> StreamClock {
        StreamClock {
            tracks: [TrackClock::default(); 2],
            origin,
            floor: 0,
            last: 0,
            latest: 0,
            last_arrival: now,
            pace: Pace::new(0, now),
        }
    }

    fn step(&mut self, track: usize, publisher_timestamp: u32, now: Millis) {
        match self.reading(track, publisher_timestamp, now) {
            Some(reading) => {
                let advances = reading.last > self.latest as i64;
                self.read_by(track, reading);
                // Of a track that is behind the other nothing is to be learned.
                if advances {
                    self.pace.note(self.latest, now);
                }
            }
            None => {
                self.stitch(track, publisher_timestamp);
                self.pace.shift(self.latest, now);
            }
        }
        self.last_arrival = now;
    }

    /// The reading by which the message is plausible, with its time as the last one.
    fn reading(&self, track: usize, publisher_timestamp: u32, now: Millis) -> Option<TrackReading> {
        let by = |reading: TrackReading, back_ms: i64| {
            let ahead = self.ahead(publisher_timestamp, reading.origin);
            let time = self.latest as i64 + ahead;
            let step = time - reading.last;
            (step >= -back_ms && self.is_plausible(ahead, now))
                .then_some((step, TrackReading { last: time, ..reading }))
        };
        let TrackClock { present, previous } = self.tracks[track];
        let Some(present) = present else {
            let ahead = self.ahead(publisher_timestamp, self.origin);
            let first = TrackReading { origin: self.origin, last: self.latest as i64 + ahead, floor: self.floor };
            return (ahead.abs() <= i64::from(JUMP_MS) || self.is_plausible(ahead, now)).then_some(first);
        };
        let own = by(present, i64::from(REORDER_MS));
        if let Some((step, reading)) = own
            && step >= -JITTER_MS
        {
            return Some(reading);
        }
        let known = [Some(present.origin), previous.map(|previous| previous.origin)];
        let other = self.tracks[1 - track].present.filter(|other| !known.contains(&Some(other.origin)));
        let followed = other.map(|other| TrackReading {
            origin: other.origin,
            last: present.last,
            // Not back to where it has been, while the rest of its old round overlaps with the other's new one.
            floor: present.floor.max(u64::try_from(present.last + 1).unwrap_or(0)),
        });
        let candidates = [
            own,
            previous.and_then(|previous| by(previous, i64::from(REORDER_MS))),
            followed.and_then(|followed| by(followed, FOLLOW_MS)),
        ];
        candidates.into_iter().flatten().min_by_key(|(step, _)| step.abs()).map(|(_, reading)| reading)
    }

    /// Whether time may go on by that much: not far behind the other track, and not ahead of the wall clock. Of what the uplink
    /// held up nothing is ahead of what once came in time, however much of it the encoder has dropped meanwhile.
    fn is_plausible(&self, ahead: i64, now: Millis) -> bool {
        let elapsed = i64::try_from(now.since(self.last_arrival)).unwrap_or(i64::MAX / 4);
        // An encoder's clock is not exact, and a pause is not measured exactly.
        let explained = ahead <= i64::from(STEP_MS) + elapsed + elapsed / 8;
        let held_up = ahead <= i64::from(JUMP_MS) + elapsed
            && self.pace.lead_at(self.latest as i64 + ahead, now) <= self.pace.best + i64::from(STEP_MS);
        ahead >= -i64::from(JUMP_MS) && (explained || held_up)
    }

    fn read_by(&mut self, track: usize, reading: TrackReading) {
        let TrackClock { present, previous } = &mut self.tracks[track];
        if previous.is_some_and(|previous| previous.origin == reading.origin) {
            // What came between was nonsense: should it come again, time is not where it was then.
            *previous = None;
        } else if let Some(before) = present.filter(|before| before.origin != reading.origin) {
            *previous = Some(before);
        }
        *present = Some(reading);
        self.origin = reading.origin;
        self.last = u64::try_from(reading.last).unwrap_or(0).max(reading.floor);
        self.latest = self.latest.max(self.last);
    }

    /// A new clock begins behind the latest message of all, so that no player sees a step back.
    fn stitch(&mut self, track: usize, publisher_timestamp: u32) {
        let floor = self.latest;
        self.last = floor + u64::from(STITCH_MS);
        self.latest = self.last;
        self.origin = publisher_timestamp.wrapping_sub(self.last as u32);
        let TrackClock { present, previous } = &mut self.tracks[track];
        *previous = present.replace(TrackReading { origin: self.origin, last: self.last as i64, floor });
    }

    fn begin_again(&mut self, track: usize, publisher_timestamp: u32, now: Millis) {
        self.floor = self.latest;
        self.tracks = [TrackClock::default(); 2];
        self.stitch(track, publisher_timestamp);
        self.pace = Pace::new(self.latest, now);
        self.last_arrival = now;
    }

    /// Milliseconds from the latest message to `publisher_timestamp` as counted from `origin`.
    fn ahead(&self, publisher_timestamp: u32, origin: u32) -> i64 {
        let target = publisher_timestamp.wrapping_sub(origin);
        i64::from(target.wrapping_sub(self.latest as u32) as i32)
    }
}

impl Pace {
    /// The wall clock as it is when the message of that time comes.
    fn new(time: u64, now: Millis) -> Pace {
        Pace { began: now, zero: time as i64, lead: 0, best: 0, watched: 0, late: 0 }
    }

    fn lead_at(&self, time: i64, now: Millis) -> i64 {
        time - self.zero - i64::try_from(now.since(self.began)).unwrap_or(i64::MAX / 4)
    }

    fn note(&mut self, time: u64, now: Millis) {
        self.lead = self.lead_at(time as i64, now);
        self.best = self.best.max(self.lead);
        self.watched = self.watched.max(self.lead);
        self.late = self.late.max(self.watched - self.lead);
    }

    /// Time was stitched: what the wall clock showed meanwhile counts for nothing.
    fn shift(&mut self, time: u64, now: Millis) {
        let shift = self.lead_at(time as i64, now) - self.lead;
        (self.lead, self.best, self.watched) = (self.lead + shift, self.best + shift, self.watched + shift);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    extern crate std;
    use std::vec;
    use std::vec::Vec;

    const AUDIO: TagKind = TagKind::Audio;
    const VIDEO: TagKind = TagKind::Video;

    #[test]
    fn time_starts_at_zero_and_runs_on_over_a_republish() {
        let mut timeline = Timeline::new();
        assert_eq!(timeline.map(VIDEO, 90_000, Millis(0)), 0);
        assert_eq!(timeline.map(VIDEO, 90_040, Millis(40)), 40);
        // First audio slightly before first video.
        assert_eq!(timeline.map(AUDIO, 89_990, Millis(41)), 0);
        assert_eq!(timeline.map(VIDEO, 90_080, Millis(80)), 80);
        timeline.republish();
        assert_eq!(timeline.map_data(0), 80);
        assert_eq!(timeline.map(VIDEO, 0, Millis(9_000)), 120);
        assert_eq!(timeline.map(VIDEO, 23, Millis(9_023)), 143);
        // Audio of the new publish that would lie before the end of the old one.
        assert_eq!(timeline.map(AUDIO, 0xFFFF_FF00, Millis(9_030)), 80);
    }

    #[test]
    fn a_nonsense_first_timestamp_is_forgotten() {
        for second in [AUDIO, VIDEO] {
            let mut timeline = Timeline::new();
            assert_eq!(timeline.map(VIDEO, 0x7654_3210, Millis(0)), 0);
            assert_eq!(timeline.map(second, 0, Millis(1)), 40);
            assert_eq!(timeline.map(VIDEO, 40, Millis(41)), 80);
            assert_eq!(timeline.map(AUDIO, 50, Millis(51)), 90);
        }
    }

    #[test]
    fn a_gap_the_wall_clock_explains_is_kept_and_another_is_closed() {
        let mut timeline = Timeline::new();
        timeline.map(VIDEO, 0, Millis(0));
        assert_eq!(timeline.map(VIDEO, 60_000, Millis(58_000)), 60_000);
        assert_eq!(timeline.map(VIDEO, 120_000, Millis(58_040)), 60_040);
        // The encoder's clock is set, by less than what audio and video may be apart. Sound goes along.
        assert_eq!(timeline.map(AUDIO, 120_010, Millis(58_050)), 60_050);
        assert_eq!(timeline.map(VIDEO, 126_040, Millis(58_080)), 60_090);
        assert_eq!(timeline.map(AUDIO, 126_033, Millis(58_083)), 60_083);
        assert_eq!(timeline.map(VIDEO, 126_080, Millis(58_120)), 60_130);
    }

    #[test]
    fn audio_and_video_of_different_origins_keep_their_speed() {
        let mut timeline = Timeline::new();
        for i in 0..1000_u32 {
            let now = Millis(u64::from(i) * 20);
            timeline.map(AUDIO, i * 20, now);
            let video = timeline.map(VIDEO, 5_000_000 + i * 20, now);
            assert_eq!(video, i * 20 + STITCH_MS);
        }
    }

    #[test]
    fn data_messages_at_zero_do_not_move_time() {
        let mut timeline = Timeline::new();
        assert_eq!(timeline.map_data(7), 0);
        timeline.map(VIDEO, 0, Millis(0));
        timeline.map(VIDEO, 5_000, Millis(5_000));
        assert_eq!(timeline.map_data(0), 5_000);
        timeline.map(VIDEO, 3_600_000, Millis(3_600_000));
        assert_eq!(timeline.map_data(0), 3_600_000);
        assert_eq!(timeline.map_data(3_600_010), 3_600_010);
        assert_eq!(timeline.map(VIDEO, 3_600_020, Millis(3_600_020)), 3_600_020);
        // As long as another track is behind, so may data be.
        timeline.map(AUDIO, 3_598_000, Millis(3_600_021));
        assert_eq!(timeline.map_data(3_598_100), 3_598_100);
    }

    #[test]
    fn a_header_at_zero_in_mid_stream_moves_only_itself_however_young_the_stream_is() {
        let mut timeline = Timeline::new();
        for i in 0..200 {
            let now = Millis(u64::from(i) * 40);
            if i % 50 == 49 {
                let latest = (i - 1) * 40 + 23;
                assert_eq!(timeline.map(VIDEO, 0, now), latest + STITCH_MS);
            }
            assert_eq!(timeline.map(VIDEO, i * 40, now), i * 40);
            assert_eq!(timeline.map(AUDIO, i * 40 + 23, now), i * 40 + 23);
        }
    }

    #[test]
    fn how_late_media_comes_is_known_and_what_the_encoder_left_out_is_not_late() {
        let mut timeline = Timeline::new();
        assert_eq!(timeline.late_ms(), 0);
        // Audio and video are 3 s apart, which is not an error.
        for i in 0..100 {
            timeline.map(VIDEO, 3_000 + i * 40, Millis(u64::from(i) * 40));
            timeline.map(AUDIO, i * 40, Millis(u64::from(i) * 40));
        }
        assert_eq!(timeline.late_ms(), 0);
        // Five seconds of silence on the line, and the encoder sends what it kept: the last two seconds.
        timeline.map(VIDEO, 3_000 + 4_000, Millis(9_000));
        assert_eq!(timeline.late_ms(), 5_000);
        timeline.watch_anew();
        assert_eq!(timeline.map(VIDEO, 3_000 + 7_000, Millis(9_001)), 3_000 + 7_000 - 3_000);
        timeline.map(VIDEO, 3_000 + 9_040, Millis(9_040));
        assert_eq!(timeline.late_ms(), 0);
        // Nine tenths of real time.
        for i in 0..1_000 {
            timeline.map(VIDEO, 12_040 + i * 36, Millis(9_040 + u64::from(i) * 40));
        }
        assert!((3_900..4_100).contains(&timeline.late_ms()), "{}", timeline.late_ms());
    }

    /// A message: kind, the publisher's timestamp counted from the beginning, and when it comes.
    type Message = (TagKind, i64, u64);

    /// What an encoder sends: both tracks at their rates, video in decoding order stamped with its time of presentation when
    /// `b_frames` is not 0, audio `skew` later on the wire than video of the same time.
    fn encoder(length: i64, video_ms: i64, b_frames: i64, skew: i64) -> Vec<Message> {
        let mut sent: Vec<(i64, Message)> = Vec::new();
        let mut at = 0;
        while at * video_ms < length {
            let group = [b_frames + 1].into_iter().chain(1..=b_frames);
            for (i, frame) in group.enumerate() {
                let due = (at + i as i64) * video_ms;
                sent.push((due, (VIDEO, (at + frame - 1) * video_ms, 0)));
            }
            at += b_frames + 1;
        }
        for frame in 0..length / 23 {
            sent.push((frame * 23 + skew, (AUDIO, frame * 23, 0)));
        }
        sent.sort_by_key(|(due, _)| *due);
        let first = sent.first().map_or(0, |(due, _)| *due);
        sent.into_iter().map(|(due, (kind, time, _))| (kind, time, (due - first) as u64)).collect()
    }

    /// What comes of it through an uplink that stands still for a while now and then, and lets `kept` of what is due meanwhile
    /// through afterwards, all at once.
    fn uplink(sent: &[Message], stalls: &[(u64, u64)], kept: &[bool]) -> Vec<Message> {
        let mut kept = kept.iter().cycle();
        let mut came = Vec::new();
        for &(kind, time, due) in sent {
            match stalls.iter().find(|(from, lasts)| (*from..from + lasts).contains(&due)) {
                Some((from, lasts)) if *kept.next().unwrap() => came.push((kind, time, from + lasts)),
                Some(_) => {}
                None => came.push((kind, time, due)),
            }
        }
        came.sort_by_key(|(_, _, at)| *at);
        came
    }

    fn stalls() -> impl Strategy<Value = Vec<(u64, u64)>> {
        prop::collection::vec((2_000_u64..3_000, 10_u64..8_000), 0..4).prop_map(|stalls| {
            let mut at = 0;
            let place = |(gap, lasts): (u64, u64)| {
                let from = at + gap;
                at = from + lasts;
                (from, lasts)
            };
            stalls.into_iter().map(place).collect()
        })
    }

    proptest! {
        #[test]
        fn interleaving_b_frames_and_uplinks_move_nothing(
            first in any::<u32>(), video_ms in 17_i64..200, b_frames in 0_i64..=16, skew in -4_000_i64..4_000, stalls in stalls(),
            kept in prop::collection::vec(any::<bool>(), 1..40),
        ) {
            let b_frames = b_frames.min(i64::from(REORDER_MS) / video_ms);
            let sent = encoder(40_000, video_ms, b_frames, skew);
            let came = uplink(&sent, &stalls, &kept);
            let mut timeline = Timeline::new();
            let zero = came[0].1;
            for (kind, time, at) in came {
                let mapped = timeline.map(kind, first.wrapping_add(time as u32), Millis(at));
                prop_assert_eq!(i64::from(mapped), (time - zero).max(0), "{:?} {} at {}", kind, time, at);
            }
        }

        #[test]
        fn a_clip_that_begins_again_goes_on_for_sound_and_picture_alike(
            clip in 1_000_i64..14_000, video_ms in 17_i64..100, skew in -300_i64..300, first in any::<u32>(), jump in any::<bool>(),
        ) {
            // Half of the time the clock is set by as much as the clip is long, forwards, instead.
            let round = encoder(clip, video_ms, 0, skew);
            let length = round.last().unwrap().2 + 1;
            let clip = if jump { clip + i64::from(STEP_MS) + 500 } else { -clip };
            let mut timeline = Timeline::new();
            let mut last: [Option<i64>; 2] = [None; 2];
            let mut messages = Vec::new();
            for turn in 0..5_u64 {
                for &(kind, time, at) in &round {
                    let set = if jump { turn as i64 * clip + turn as i64 * length as i64 } else { 0 };
                    messages.push((kind, time + set, at + turn * length, turn));
                }
            }
            messages.sort_by_key(|(_, _, at, _)| *at);
            let mut offsets = vec![[None; 2]; 5];
            for (kind, time, at, turn) in messages {
                let mapped = i64::from(timeline.map(kind, first.wrapping_add(time as u32), Millis(at)));
                let track = usize::from(kind == VIDEO);
                if let Some(last) = last[track] {
                    let most = 2 * i64::from(STITCH_MS) + video_ms + 2 * skew.abs();
                    prop_assert!((0..=most).contains(&(mapped - last)), "{:?} {} to {} at {}", kind, last, mapped, at);
                }
                last[track] = Some(mapped);
                offsets[turn as usize][track] = Some(mapped - time);
            }
            for of_turn in offsets {
                prop_assert_eq!(of_turn[0], of_turn[1], "sound and picture are still together");
            }
        }

        #[test]
        fn small_steps_are_kept_and_wrap(
            first in any::<u32>(), steps in prop::collection::vec((-200_i64..1_000, 0_u64..2_000), 1..200), stride in 0_u32..2,
        ) {
            // With `stride`, time first runs for 49 days in steps the wall clock explains, so that the output wraps as well.
            let mut timeline = Timeline::new();
            prop_assert_eq!(timeline.map(VIDEO, first, Millis(0)), 0);
            let (mut time, mut now) = (0_i64, 0_u64);
            for _ in 0..stride * 3 {
                time += 0x5555_0000;
                now += 0x5555_0000;
                prop_assert_eq!(timeline.map(VIDEO, first.wrapping_add(time as u32), Millis(now)), time as u32);
            }
            let mut latest = time;
            for (step, elapsed) in steps {
                now += elapsed;
                time = (time + step).max(latest - i64::from(REORDER_MS));
                latest = latest.max(time);
                let stream_time = timeline.map(VIDEO, first.wrapping_add(time as u32), Millis(now));
                prop_assert_eq!(stream_time, time.max(0) as u32);
            }
        }

        #[test]
        fn no_step_is_larger_than_what_elapsed_and_a_jump(
            messages in prop::collection::vec((any::<u32>(), 0_u64..30_000, any::<bool>(), any::<bool>()), 2..100),
        ) {
            let mut timeline = Timeline::new();
            let mut now = 0;
            let mut last: Option<i64> = None;
            for (timestamp, elapsed, near, video) in messages {
                now += elapsed;
                // Random timestamps never fit; half of them are made to.
                let timestamp = if near { timestamp % 20_000 } else { timestamp };
                let time = i64::from(timeline.map(if video { VIDEO } else { AUDIO }, timestamp, Millis(now)));
                if let Some(last) = last {
                    let elapsed = elapsed as i64 + elapsed as i64 / 8;
                    let largest = i64::from(JUMP_MS + STITCH_MS) + elapsed + i64::from(JUMP_MS);
                    prop_assert!((time - last).abs() <= largest, "{} to {} in {} ms", last, time, elapsed);
                }
                last = Some(time);
            }
        }

        #[test]
        fn one_nonsense_timestamp_moves_nothing_but_itself(
            at in 1_usize..50, nonsense in 3_000_u32..0xFFFF_F000, first in any::<u32>(), ahead in -2_000_i32..2_000, kind in 0_usize..2,
        ) {
            let mut timeline = Timeline::new();
            let mut time = 0_u32;
            for i in 0..60 {
                let now = Millis(u64::from(time));
                let other = time.wrapping_add_signed(ahead);
                if i == at {
                    let kind = [AUDIO, VIDEO][kind];
                    timeline.map(kind, first.wrapping_add(other).wrapping_add(nonsense), now);
                }
                prop_assert_eq!(timeline.map(VIDEO, first.wrapping_add(time), now), time);
                let other = timeline.map(AUDIO, first.wrapping_add(other), now);
                prop_assert_eq!(i64::from(other), (i64::from(time) + i64::from(ahead)).max(0));
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
                latest = latest.max(timeline.map(VIDEO, time as u32, Millis(0)));
                time += step;
            }
            timeline.republish();
            prop_assert_eq!(timeline.map(VIDEO, restart, Millis(u64::from(gap))), latest + STITCH_MS);
            prop_assert!(timeline.map(AUDIO, restart.wrapping_sub(500), Millis(u64::from(gap))) >= latest);
        }
    }
}
