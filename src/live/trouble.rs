//! What goes wrong with a stream while everything works: frames that are too large for a ring, viewers that skip, an uplink that
//! does not keep up, key frames that are too far apart, sound that does not come. It is looked at once a second; the log hears what
//! is wrong at once, and again each minute that it lasts, and whoever asks is shown the same.

use log::{info, warn};

use crate::handles::StreamId;
use crate::media::RingError;
use crate::time::Millis;

use super::finding::{Finding, FindingKind, PictureFlaw, Remedy};
use super::holder::Holder;
use super::symptoms::{Change, MinuteCount, Recent, Symptom};

/// Media that stood still for so long, in milliseconds, ...
pub const STALL_MS: u64 = 1_000;
/// ... and then comes so late, has stalled. Who sends a picture every few seconds has not.
const STALL_LATE_MS: u32 = 500;
/// So many stalls in a minute are more than chance.
const STALLS: u32 = 2;
/// Without media for so long the encoder is silent, in milliseconds.
const SILENT_MS: u64 = 3_000;
/// Media that comes so much later than it did means that the uplink does not keep up, in milliseconds.
const LATE_MS: u32 = 2_000;
/// Lateness is measured anew after so long, in milliseconds.
const ANEW_MS: u64 = 60_000;
/// Key frames that are further apart are worth a word, in milliseconds: twice what is advised.
const RARE_MS: u32 = 4_000;
/// The next key frame may still be near before so long, in milliseconds.
const OPEN_MS: u32 = 10_000;
/// What was promised has come after so long, or does not come, in milliseconds.
const PROMISE_MS: u64 = 10_000;
/// One refusal may be an encoder that was restarted, and did not end its connection.
const CONTESTS: u32 = 2;

/// Those of streams.
const KINDS: [FindingKind; 11] = [
    FindingKind::Contested,
    FindingKind::FramesDropped,
    FindingKind::Silent,
    FindingKind::Stalled,
    FindingKind::Late,
    FindingKind::NoKeyFrame,
    FindingKind::KeyFrameLost,
    FindingKind::KeyFramesRare,
    FindingKind::NoSound,
    FindingKind::NotForPhones,
    FindingKind::ViewersSlow,
];

/// What is looked at while a stream is published.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// Since the publish began, in milliseconds.
    pub age_ms: u64,
    /// Since audio or video came, in milliseconds; `None` before any did.
    pub silent_ms: Option<u64>,
    /// So much later media comes than it did, in milliseconds.
    pub late_ms: u32,
    /// Video has come.
    pub has_video: bool,
    /// A key frame has come.
    pub has_key_frame: bool,
    /// The newest key frame has left the ring.
    pub lost_key_frame: bool,
    /// From one key frame to the next, in milliseconds: see [`PublishFacts::newest_interval_ms`](crate::media::PublishFacts::newest_interval_ms).
    pub key_frame_ms: Option<u32>,
    /// From the newest key frame to the newest picture, in milliseconds.
    pub since_key_frame_ms: u32,
    /// The encoder said that there is sound, ...
    pub promises_sound: bool,
    /// ... and there is.
    pub has_sound: bool,
    /// Why not every phone can show the picture.
    pub picture: Option<PictureFlaw>,
    /// Viewers who are behind, ...
    pub behind: u32,
    /// ... of so many.
    pub viewers: u32,
    /// That is so because of the network that all of them share.
    pub network_full: bool,
}

/// Who watches a stream, as far as lag is known of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Audience {
    /// Those who are behind, ...
    pub behind: u32,
    /// ... of so many.
    pub viewers: u32,
}

/// Of the present publish.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trouble {
    /// Frames that the ring could not take, ...
    refused: Recent,
    /// ... the largest of the last ones, in wire bytes, ...
    largest: u32,
    /// ... and the ring, in bytes.
    ring_bytes: u32,
    /// There were such frames in this publish.
    has_refused: bool,
    /// Times that a viewer was too slow and went on at a later key frame.
    skips: MinuteCount,
    stalls: Recent,
    /// Who watched at the last look: to know that, every player is looked at.
    pub audience: Audience,
    /// Begin of the window in which the earliest arrival is searched, with which others are compared.
    watched_since: Millis,
    /// By their place in [`KINDS`].
    symptoms: [Symptom; KINDS.len()],
}

impl Trouble {
    /// Of a publish that begins now.
    pub fn none(now: Millis) -> Trouble {
        Trouble { watched_since: now, ..Trouble::default() }
    }

    /// Whether frames are being dropped, or were a moment ago: a new viewer will miss pictures as well.
    pub fn is_refusing(&self, now: Millis) -> bool {
        let mut refused = self.refused;
        refused.count(now) > 0
    }

    /// So many times a viewer of the stream has skipped.
    pub fn skipped(&mut self, times: u32) {
        self.skips.add(times);
    }

    /// How often viewers have, since the publish began.
    pub const fn skips(&self) -> u32 {
        self.skips.total()
    }

    /// Media comes again that stood still for [`STALL_MS`], and comes so much later than it did.
    #[cold]
    pub fn stood_still(&mut self, late_ms: u32, now: Millis) {
        if late_ms >= STALL_LATE_MS {
            self.stalls.add(1, now);
        }
    }

    /// A frame found no place. True for the first of a publish.
    #[cold]
    pub fn frame_refused(&mut self, refused: RingError, now: Millis) -> bool {
        if self.refused.count(now) == 0 {
            self.largest = 0;
        }
        self.refused.add(1, now);
        if let RingError::TooLarge { wire_bytes, ring_bytes } = refused {
            self.largest = self.largest.max(wire_bytes);
            self.ring_bytes = ring_bytes.try_into().unwrap_or(u32::MAX);
        }
        !core::mem::replace(&mut self.has_refused, true)
    }

    /// The stream that `publisher` publishes was looked at. True when lateness is to be measured anew.
    pub fn look(
        &mut self,
        (publisher, id, name): (Holder, StreamId, &str),
        contests: &mut MinuteCount,
        seen: &Seen,
        now: Millis,
    ) -> bool {
        let (contested, skips) = (contests.look(now), self.skips.look(now));
        for (at, kind) in KINDS.iter().enumerate() {
            let found = self.found(*kind, (contested, skips), seen, now);
            match self.symptoms[at].look(found, now) {
                Change::None => {}
                Change::Tell(finding) => warn!("{publisher} {id} name={name:?} {finding}; {}", Remedy(finding)),
                Change::Over(kind) => info!("{publisher} {id} over finding={}", kind.row().name),
            }
        }
        let anew = seen.late_ms >= LATE_MS || now.since(self.watched_since) >= ANEW_MS;
        if anew {
            self.watched_since = now;
        }
        anew
    }

    /// What is wrong of this kind, as far as one look tells.
    fn found(&mut self, kind: FindingKind, (times, skips): (u32, u32), seen: &Seen, now: Millis) -> Option<Finding> {
        let waits = seen.age_ms >= PROMISE_MS && !self.has_refused;
        match kind {
            FindingKind::Contested => (times >= CONTESTS).then_some(Finding::Contested { times }),
            FindingKind::FramesDropped => {
                let (count, Trouble { largest, ring_bytes, .. }) = (self.refused.count(now), *self);
                (count > 0).then_some(Finding::FramesDropped { count, largest, ring_bytes })
            }
            FindingKind::Silent => seen
                .silent_ms
                .filter(|silent_ms| *silent_ms >= SILENT_MS)
                .map(|silent_ms| Finding::Silent { seconds: (silent_ms / 1000) as u32 }),
            FindingKind::Stalled => {
                let times = self.stalls.count(now);
                (times >= STALLS).then_some(Finding::Stalled { times })
            }
            FindingKind::Late => (seen.late_ms >= LATE_MS).then_some(Finding::Late { ms: seen.late_ms }),
            FindingKind::NoKeyFrame => {
                (waits && seen.has_video && !seen.has_key_frame && !seen.lost_key_frame).then_some(Finding::NoKeyFrame)
            }
            FindingKind::KeyFrameLost => (seen.lost_key_frame && !self.has_refused).then_some(Finding::KeyFrameLost),
            FindingKind::KeyFramesRare => {
                let open_ms = Some(seen.since_key_frame_ms).filter(|open_ms| *open_ms >= OPEN_MS);
                let ms = seen.key_frame_ms.max(open_ms).filter(|ms| *ms > RARE_MS)?;
                // Of both the graver is said.
                let is_lost = self.shown(FindingKind::KeyFrameLost).is_some();
                (!is_lost && !self.has_refused).then_some(Finding::KeyFramesRare { seconds: ms / 1000 })
            }
            FindingKind::NoSound => {
                (seen.age_ms >= PROMISE_MS && seen.promises_sound && !seen.has_sound).then_some(Finding::NoSound)
            }
            FindingKind::NotForPhones => seen.picture.map(Finding::NotForPhones),
            FindingKind::ViewersSlow => {
                let Seen { behind, viewers, .. } = *seen;
                let is_slow = !seen.network_full && (behind > 0 || skips > 0);
                is_slow.then_some(Finding::ViewersSlow { behind, viewers, skips })
            }
            // Of the whole server.
            _ => None,
        }
    }

    /// The kinds that something is wrong of, a bit each by their place in [`FindingKind::ALL`].
    pub fn kinds(&self) -> u32 {
        let wrong = KINDS.iter().zip(&self.symptoms).filter(|(_, symptom)| symptom.shown().is_some());
        wrong.fold(0, |kinds, (kind, _)| kinds | 1 << *kind as u32)
    }

    /// What is wrong of this kind, and since when.
    pub fn shown(&self, kind: FindingKind) -> Option<(Finding, Millis)> {
        let at = KINDS.iter().position(|known| *known == kind)?;
        self.symptoms[at].shown()
    }
}

#[cfg(test)]
mod tests {
    use crate::handles::{ConnId, SlotIndex};
    use crate::wire::flv::Codec;

    use super::*;

    /// A stream that is looked at once a second, at which all is well.
    struct Watched {
        trouble: Trouble,
        contests: MinuteCount,
        seen: Seen,
        now: Millis,
    }

    impl Watched {
        fn new() -> Watched {
            let seen = Seen {
                age_ms: 100_000,
                silent_ms: Some(20),
                has_video: true,
                has_key_frame: true,
                key_frame_ms: Some(2_000),
                promises_sound: true,
                has_sound: true,
                viewers: 4,
                ..Seen::default()
            };
            let now = Millis(1_000_000);
            Watched { trouble: Trouble::none(now), contests: MinuteCount::default(), seen, now }
        }

        /// So many seconds go by. What is wrong then.
        fn pass(&mut self, seconds: u32) -> Vec<Finding> {
            let holder = Holder::Conn(ConnId { slot: SlotIndex(1), generation: 0 }, 0);
            for _ in 0..seconds {
                self.now = self.now + 1_000;
                self.trouble.look((holder, StreamId(0), "cam"), &mut self.contests, &self.seen, self.now);
            }
            KINDS.iter().filter_map(|kind| self.trouble.shown(*kind)).map(|(finding, _)| finding).collect()
        }
    }

    /// What makes a finding true, what it then is, after how many seconds; and what makes it go away, after how many seconds.
    type Case = (fn(&mut Watched), Finding, u32, fn(&mut Watched), u32);

    #[test]
    fn each_finding_comes_when_it_is_true_and_goes_when_it_is_over() {
        let nothing: fn(&mut Watched) = |_| {};
        let cases: [Case; 14] = [
            (|w| w.contests.add(3), Finding::Contested { times: 3 }, 1, nothing, 60),
            (
                |w| {
                    w.trouble.frame_refused(RingError::TooLarge { wire_bytes: 9_000, ring_bytes: 10_000 }, w.now);
                    w.trouble.frame_refused(RingError::TooLarge { wire_bytes: 8_000, ring_bytes: 10_000 }, w.now);
                },
                Finding::FramesDropped { count: 2, largest: 9_000, ring_bytes: 10_000 },
                1,
                nothing,
                60,
            ),
            (|w| w.seen.silent_ms = Some(3_000), Finding::Silent { seconds: 3 }, 1, |w| w.seen.silent_ms = Some(0), 5),
            (
                |w| {
                    w.trouble.stood_still(1_200, w.now);
                    w.trouble.stood_still(1_100, w.now);
                },
                Finding::Stalled { times: 2 },
                1,
                nothing,
                60,
            ),
            (|w| w.seen.late_ms = 2_500, Finding::Late { ms: 2_500 }, 1, |w| w.seen.late_ms = 0, 60),
            (|w| w.seen.has_key_frame = false, Finding::NoKeyFrame, 1, |w| w.seen.has_key_frame = true, 1),
            (
                |w| (w.seen.lost_key_frame, w.seen.has_key_frame, w.seen.key_frame_ms) = (true, false, Some(10_000)),
                Finding::KeyFrameLost,
                1,
                |w| (w.seen.lost_key_frame, w.seen.has_key_frame, w.seen.key_frame_ms) = (false, true, Some(2_000)),
                10,
            ),
            (
                |w| w.seen.key_frame_ms = Some(10_000),
                Finding::KeyFramesRare { seconds: 10 },
                1,
                |w| w.seen.key_frame_ms = Some(RARE_MS),
                20,
            ),
            (
                |w| w.seen.since_key_frame_ms = 12_000,
                Finding::KeyFramesRare { seconds: 12 },
                1,
                |w| w.seen.since_key_frame_ms = 9_000,
                20,
            ),
            (|w| w.seen.has_sound = false, Finding::NoSound, 1, |w| w.seen.has_sound = true, 1),
            (
                |w| w.seen.picture = Some(PictureFlaw::Codec(Codec::Hevc)),
                Finding::NotForPhones(PictureFlaw::Codec(Codec::Hevc)),
                1,
                |w| w.seen.picture = None,
                1,
            ),
            (
                |w| w.seen.behind = 1,
                Finding::ViewersSlow { behind: 1, viewers: 4, skips: 0 },
                4,
                |w| w.seen.behind = 0,
                15,
            ),
            (|w| w.trouble.skipped(2), Finding::ViewersSlow { behind: 0, viewers: 4, skips: 2 }, 4, nothing, 75),
            (
                |w| w.seen.behind = 3,
                Finding::ViewersSlow { behind: 3, viewers: 4, skips: 0 },
                4,
                // It is everybody's network.
                |w| w.seen.network_full = true,
                15,
            ),
        ];
        for (begin, finding, comes, end, goes) in cases {
            let mut watched = Watched::new();
            assert_eq!(watched.pass(3), [], "all is well before {finding}");
            begin(&mut watched);
            if comes > 1 {
                assert_eq!(watched.pass(comes - 1), [], "{finding} has to last");
            }
            assert_eq!(watched.pass(1), [finding]);
            end(&mut watched);
            assert!(watched.pass((goes / 2).min(goes - 1)).len() <= 1);
            assert_eq!(watched.pass(goes - (goes / 2).min(goes - 1)), [], "{finding} is over");
        }
    }

    #[test]
    fn what_is_no_trouble_is_not_told() {
        let quiet: [fn(&mut Watched); 8] = [
            // An encoder that is restarted, and one that sends a picture every other second.
            |w| w.contests.add(1),
            |w| (0..9).for_each(|_| w.trouble.stood_still(40, w.now)),
            |w| w.trouble.stood_still(5_000, w.now),
            // Nothing has come yet.
            |w| (w.seen.silent_ms, w.seen.age_ms, w.seen.has_sound) = (None, 9_000, false),
            |w| (w.seen.has_key_frame, w.seen.age_ms) = (false, 9_000),
            |w| (w.seen.promises_sound, w.seen.has_sound) = (false, false),
            |w| w.seen.late_ms = LATE_MS - 1,
            |w| w.seen.key_frame_ms = None,
        ];
        for (at, change) in quiet.into_iter().enumerate() {
            let mut watched = Watched::new();
            change(&mut watched);
            assert_eq!(watched.pass(5), [], "{at}");
        }
    }

    #[test]
    fn key_frames_are_no_matter_where_frames_are_dropped() {
        let mut watched = Watched::new();
        watched.trouble.frame_refused(RingError::TooManyOpen, watched.now);
        (watched.seen.has_key_frame, watched.seen.lost_key_frame) = (false, true);
        watched.seen.since_key_frame_ms = 60_000;
        assert_eq!(watched.pass(2), [Finding::FramesDropped { count: 1, largest: 0, ring_bytes: 0 }]);
        assert!(watched.trouble.is_refusing(watched.now) && !watched.trouble.is_refusing(watched.now + 60_000));
        assert_eq!(watched.pass(70), []);
    }
}
