//! Whether files have been written completely, or are being written.
//!
//! An editor or a copy that writes in place empties the file first; one that renames takes it away first; files that belong
//! together come one after the other. What is read in between looks like a file with fewer rules. So a recent change is
//! not read yet: files have settled when nothing about them has changed for [`SETTLE_MS`].
//!
//! Two clocks say so. By the file system's times a file that was last written long ago is believed at the first look. They
//! are coarse, and stand for nothing after the clock was set, as on a board that learns the time from the network; then,
//! and whenever a file is recent, two looks at the same bytes decide by a clock that only goes on.

use std::fs::Metadata;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

/// For how long nothing may have changed, in milliseconds.
pub const SETTLE_MS: u64 = 500;
/// Likewise, for a file that is empty or gone and had something in it: the shell's `program > app.toml` leaves it empty
/// until the program prints.
pub const LESS_MS: u64 = 5000;
/// An empty file is not believed by its times alone but when it is still empty so much later, in milliseconds: Linux takes
/// away what is in a file before it says that the file has changed.
const EMPTY_MS: u64 = 250;
/// So long after a change files are known by their bytes and not by their times: two writes within one tick of a file
/// system's clock leave the same time and may leave the same size.
const COARSE_MS: u64 = 3000;
/// What the coarsest file systems (FAT) round times to, in milliseconds. A time that is not in whole seconds is not rounded
/// by so much.
const ROUNDED_MS: u64 = 2000;
/// The clock was set, if it went on by so much more or less than time did, in milliseconds.
const STEP_MS: u64 = 100;
/// Files that never settle are a complaint after this long, in milliseconds.
const RESTLESS_MS: u64 = 30_000;

/// How long files that are being written are waited for, at the start and when the configuration is read again: not by
/// clients. Files settle in less.
pub const PATIENCE: Duration = Duration::from_millis(2 * SETTLE_MS);
/// How long it is waited between two looks.
pub const PAUSE: Duration = Duration::from_millis(50);

/// A moment, by both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Milliseconds of the clock that only goes on.
    pub steady_ms: u64,
    /// Milliseconds since 1970 by the clock that file systems use.
    pub wall_ms: i64,
}

/// Both clocks.
pub struct Clocks {
    start: Instant,
    last: Option<Moment>,
    /// When the wall clock was last seen to have been set, by the other clock.
    set_at_ms: Option<u64>,
}

/// What is told of a file without reading it.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub struct FileStat {
    /// Its length in bytes.
    pub bytes: u64,
    modified: (i64, i64),
    /// Writing changes it, and so does everything that preserves [`FileStat::modified`].
    changed: (i64, i64),
    inode: (u64, u64),
}

/// What one look at files that belong together has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// A hash of their names and of everything that is told without reading them.
    pub outside: u64,
    /// A hash of their bytes.
    pub inside: u64,
    /// For how long none has changed by the file system's times, in milliseconds; 0 when they do not say.
    pub quiet_ms: u64,
    /// Bits of those among them that matter and have something in them.
    pub filled: u8,
    /// One that matters is there and empty.
    pub has_empty: bool,
}

/// What came of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settling {
    /// They are complete: read them.
    Settled,
    /// Look again: they have changed a moment ago.
    Changing,
    /// Likewise, and they have been changing for so long that the log should say so. It comes once.
    Restless,
}

/// Looks at files that belong together.
pub struct Watch {
    /// In place of [`SETTLE_MS`] and [`LESS_MS`].
    settle_ms: u64,
    less_ms: u64,
    seen: Option<LastLook>,
    /// [`Look::filled`] of what was last believed.
    filled: u8,
    /// Since when nothing was believed, by the steady clock; and whether that was said.
    restless: Option<(u64, bool)>,
}

/// The last look that was other than the one before.
#[derive(Clone, Copy)]
struct LastLook {
    outside: u64,
    inside: u64,
    since_ms: u64,
    believed: bool,
}

impl Clocks {
    /// Both clocks, watched from now on.
    pub fn start() -> Clocks {
        let mut clock = Clocks { start: Instant::now(), last: None, set_at_ms: None };
        clock.now();
        clock
    }

    /// The time. It is asked regularly, to find out when the wall clock is set.
    pub fn now(&mut self) -> Moment {
        let steady_ms = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let wall_ms = match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
        };
        let now = Moment { steady_ms, wall_ms };
        self.at(now);
        now
    }

    /// It is `now`.
    fn at(&mut self, now: Moment) {
        if let Some(last) = self.last {
            let passed = i64::try_from(now.steady_ms - last.steady_ms).unwrap_or(i64::MAX);
            let shown = now.wall_ms.saturating_sub(last.wall_ms);
            if shown.abs_diff(passed) > STEP_MS {
                self.set_at_ms = Some(now.steady_ms);
            }
        }
        self.last = Some(now);
    }

    /// For how long the files have not changed by their own times, in milliseconds; 0 when those cannot be trusted.
    pub fn quiet_ms<'a>(&self, files: impl IntoIterator<Item = &'a FileStat>, now: Moment) -> u64 {
        if self.set_at_ms.is_some_and(|at_ms| now.steady_ms - at_ms <= LESS_MS + ROUNDED_MS) {
            return 0;
        }
        let times = files.into_iter().flat_map(|file| [file.modified, file.changed]);
        // A time far ahead is of a time when the clock was otherwise: boards start in the past.
        let quiet = |(seconds, nanos): (i64, i64)| {
            let at_ms = seconds.saturating_mul(1000).saturating_add(nanos / 1_000_000);
            let rounded_ms = if nanos == 0 { ROUNDED_MS } else { 0 };
            now.wall_ms.abs_diff(at_ms).saturating_sub(rounded_ms)
        };
        times.map(quiet).min().unwrap_or(u64::MAX)
    }
}

impl FileStat {
    /// What `metadata` says.
    pub fn of(metadata: &Metadata) -> FileStat {
        FileStat {
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            inode: (metadata.dev(), metadata.ino()),
        }
    }

    /// What the metadata of the file at `path` say; `None` when there are none.
    pub fn at(path: &Path) -> Option<FileStat> {
        std::fs::metadata(path).ok().map(|metadata| FileStat::of(&metadata))
    }
}

impl Default for Watch {
    fn default() -> Watch {
        Watch { settle_ms: SETTLE_MS, less_ms: LESS_MS, seen: None, filled: 0, restless: None }
    }
}

impl Watch {
    /// Of a file that is read on request: only a write in progress is waited for, so many milliseconds.
    pub fn of_whole(settle_ms: u64) -> Watch {
        Watch { settle_ms, less_ms: settle_ms, ..Watch::default() }
    }

    /// Files that were believed and have not changed since, so long ago that their times say so.
    pub fn is_known(&self, outside: u64, now: Moment) -> bool {
        let old = |seen: &LastLook| seen.believed && now.steady_ms - seen.since_ms >= COARSE_MS;
        self.seen.is_some_and(|seen| seen.outside == outside && old(&seen))
    }

    /// [`Look::inside`] of the last look.
    pub fn inside(&self) -> u64 {
        self.seen.map_or(0, |seen| seen.inside)
    }

    /// Takes a look into account.
    pub fn look(&mut self, look: Look, now: Moment) -> Settling {
        let seen = match self.seen {
            Some(seen) if (seen.outside, seen.inside) == (look.outside, look.inside) => seen,
            _ => LastLook { outside: look.outside, inside: look.inside, since_ms: now.steady_ms, believed: false },
        };
        let is_less = self.filled & !look.filled != 0;
        let wanted_ms = if is_less || look.has_empty { self.less_ms } else { self.settle_ms };
        let same_ms = now.steady_ms - seen.since_ms;
        let old = look.quiet_ms >= wanted_ms && !is_less && (!look.has_empty || same_ms >= EMPTY_MS);
        let believed = seen.believed || same_ms >= wanted_ms || old;
        self.seen = Some(LastLook { believed, ..seen });
        if believed {
            self.filled = look.filled;
            self.restless = None;
            return Settling::Settled;
        }
        let (since_ms, told) = *self.restless.get_or_insert((now.steady_ms, false));
        if told || now.steady_ms - since_ms < RESTLESS_MS {
            return Settling::Changing;
        }
        self.restless = Some((since_ms, true));
        Settling::Restless
    }
}

/// A hash by which values are compared within one process: another build may hash otherwise.
pub fn hash(of: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(steady_ms: u64) -> Moment {
        Moment { steady_ms, wall_ms: 1_800_000_000_000 + steady_ms as i64 }
    }

    fn recent(inside: u64) -> Look {
        Look { outside: 1, inside, quiet_ms: 0, filled: 1, has_empty: false }
    }

    #[test]
    fn files_are_believed_when_two_looks_some_time_apart_are_the_same() {
        let mut watch = Watch::default();
        assert_eq!(watch.look(recent(7), at(0)), Settling::Changing);
        assert_eq!(watch.look(recent(7), at(SETTLE_MS - 1)), Settling::Changing);
        assert_eq!(watch.look(recent(7), at(SETTLE_MS)), Settling::Settled);
        assert_eq!(watch.look(recent(8), at(SETTLE_MS + 1)), Settling::Changing, "the times may be the same");
        assert_eq!(watch.look(recent(7), at(2 * SETTLE_MS)), Settling::Changing, "and back");
        assert_eq!(watch.look(recent(7), at(3 * SETTLE_MS)), Settling::Settled);
    }

    #[test]
    fn what_was_written_long_ago_is_believed_at_once_and_what_is_less_later() {
        let mut watch = Watch::default();
        assert_eq!(watch.look(Look { quiet_ms: SETTLE_MS, ..recent(7) }, at(0)), Settling::Settled);
        let gone = Look { quiet_ms: SETTLE_MS, filled: 0, ..recent(0) };
        assert_eq!(watch.look(gone, at(1000)), Settling::Changing);
        assert_eq!(watch.look(gone, at(999 + LESS_MS)), Settling::Changing);
        assert_eq!(watch.look(gone, at(1000 + LESS_MS)), Settling::Settled);
        let empty = Look { quiet_ms: SETTLE_MS, filled: 0, has_empty: true, ..recent(0) };
        assert_eq!(Watch::default().look(empty, at(0)), Settling::Changing);
    }

    #[test]
    fn times_do_not_say_since_when_a_file_is_empty() {
        let full = Look { quiet_ms: 60_000, ..recent(7) };
        let emptied = Look { filled: 0, has_empty: true, inside: 0, ..full };
        let mut watch = Watch::default();
        assert_eq!(watch.look(full, at(0)), Settling::Settled);
        assert_eq!(watch.look(emptied, at(10)), Settling::Changing);
        assert_eq!(watch.look(emptied, at(9 + LESS_MS)), Settling::Changing);
        assert_eq!(watch.look(emptied, at(10 + LESS_MS)), Settling::Settled);
        let mut watch = Watch::default();
        assert_eq!(watch.look(emptied, at(0)), Settling::Changing);
        assert_eq!(watch.look(emptied, at(EMPTY_MS)), Settling::Settled, "it was empty when it was first seen");
        let mut watch = Watch::of_whole(200);
        assert_eq!(watch.look(full, at(0)), Settling::Settled);
        assert_eq!(watch.look(emptied, at(10)), Settling::Changing);
        assert_eq!(watch.look(emptied, at(210)), Settling::Settled);
    }

    #[test]
    fn files_that_never_settle_are_told_of_once() {
        let mut watch = Watch::default();
        let verdicts: Vec<Settling> = (0..100).map(|n| watch.look(recent(n), at(n * 1000))).collect();
        assert_eq!(verdicts.iter().filter(|verdict| **verdict == Settling::Restless).count(), 1);
        assert!(!verdicts.contains(&Settling::Settled));
    }

    #[test]
    fn times_of_files_count_for_what_they_are() {
        let now = at(10_000);
        let file = |age_ms: i64, nanos: bool| {
            let ms = now.wall_ms - age_ms;
            let time = (ms.div_euclid(1000), if nanos { ms.rem_euclid(1000) * 1_000_000 + 1 } else { 0 });
            FileStat { bytes: 1, modified: time, changed: time, inode: (1, 1) }
        };
        let mut clock = Clocks { start: Instant::now(), last: None, set_at_ms: None };
        clock.at(at(0));
        clock.at(now);
        assert_eq!(clock.quiet_ms(&[file(700, true), file(9000, true)], now), 700);
        assert_eq!(clock.quiet_ms(&[file(2000, false)], now), 0, "FAT may have rounded it");
        assert_eq!(clock.quiet_ms(&[file(5000, false)], now), 3000);
        assert!(clock.quiet_ms(&[file(-86_400_000, true)], now) > 80_000_000, "the board started in the past");
        // The clock is set: what was written a moment before looks old, or new.
        let set = Moment { steady_ms: 10_100, wall_ms: now.wall_ms + 86_400_000 };
        clock.at(set);
        assert_eq!(clock.quiet_ms(&[file(0, true)], set), 0);
        let later = Moment { steady_ms: 30_000, wall_ms: set.wall_ms + 19_900 };
        clock.at(later);
        assert!(clock.quiet_ms(&[file(0, true)], later) > 80_000_000);
    }

    proptest! {
        /// However a writer's states and the looks fall: nothing is believed that did not last.
        #[test]
        fn no_state_is_believed_that_lasted_less_than_the_time_to_settle(
            states in prop::collection::vec((0..4_u64, 1..2000_u64), 1..20),
            pauses in prop::collection::vec(1..1500_u64, 1..60),
        ) {
            // Each state with when it began and when it ended, whatever the file system's times say.
            let mut begin = 0;
            let mut spans: Vec<(u64, u64, u64)> = Vec::new();
            for (content, lasts) in states {
                match spans.last_mut() {
                    Some((same, _, end)) if *same == content => *end += lasts,
                    _ => spans.push((content, begin, begin + lasts)),
                }
                begin += lasts;
            }
            spans.last_mut().unwrap().2 = u64::MAX;
            let mut watch = Watch::default();
            let mut now = 0;
            let mut looked: Vec<(u64, u64)> = Vec::new();
            for pause in pauses {
                let (content, ..) = *spans.iter().find(|(_, from, to)| (*from..*to).contains(&now)).unwrap();
                looked.push((now, content));
                if watch.look(recent(content), at(now)) == Settling::Settled {
                    // It was seen all through the time: no look in it saw anything else.
                    let first = looked.iter().rposition(|(_, seen)| *seen != content).map_or(0, |other| other + 1);
                    prop_assert!(now - looked[first].0 >= SETTLE_MS);
                }
                now += pause;
            }
        }
    }
}
