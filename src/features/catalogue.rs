//! What is known of recorded streams in memory. A script that asks how long one is cannot wait for a disk, so it is told what
//! the disk said last, and whatever is asked for is looked up for the next time.
//!
//! Each time that somebody plays a recorded stream, or asks for its length, what the disk says of it is remembered here, too.

use std::boxed::Box;

use crate::limits::{CATALOGUE_ENTRIES, Row};
use crate::live::Live;
use crate::live::jobs::{Done, Job};
use crate::live::recorded::{NotPlayed, RecordedFacts, RecordedName};
use crate::live::settings::Settings;
use crate::time::Millis;

use super::contract::{Actions, Feature, Happened};

/// What the disk said so long ago is looked up again when somebody asks, in milliseconds: files grow, and are replaced.
const FRESH_MS: u64 = 2000;

/// What the disk has said of recorded streams. Without scripts it has no entries, as nobody asks.
pub struct Catalogue {
    entries: Box<[Entry]>,
}

/// A recorded stream.
#[derive(Clone, Debug)]
struct Entry {
    name: RecordedName,
    /// What there is of it, and when that was said; `None` before it was.
    said: Option<(Option<RecordedFacts>, Millis)>,
    wanted: Wanted,
    /// When it was last asked for or played: what was not for longest gives way.
    used: Millis,
}

/// Whether the disk is to look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    No,
    Yes,
    /// It is at it.
    UnderWay,
}

impl Catalogue {
    /// What is known of a recorded stream; `None` when that is nothing, or that there is none. What is not known, or was said long
    /// ago, is looked up for the next time.
    pub fn facts(&mut self, name: RecordedName, now: Millis) -> Option<RecordedFacts> {
        let entry = self.entry(name, now)?;
        let is_fresh = entry.said.is_some_and(|(_, at)| now.since(at) < FRESH_MS);
        if entry.wanted == Wanted::No && !is_fresh {
            entry.wanted = Wanted::Yes;
        }
        entry.said.and_then(|(facts, _)| facts)
    }

    /// What the disk is to look up next.
    pub fn next_job(&mut self) -> Option<Job> {
        let entry = self.entries.iter_mut().find(|entry| entry.wanted == Wanted::Yes)?;
        entry.wanted = Wanted::UnderWay;
        Some(Job::Facts { asked: None, name: entry.name.clone() })
    }

    /// Its entry, if need be in the place of another; `None` while the disk is at all of them.
    fn entry(&mut self, name: RecordedName, now: Millis) -> Option<&mut Entry> {
        let known = self.entries.iter().position(|entry| entry.name == name);
        let at = match known {
            Some(at) => at,
            None => {
                let at_rest = |(_, entry): &(usize, &Entry)| entry.wanted != Wanted::UnderWay;
                let oldest = self.entries.iter().enumerate().filter(at_rest).min_by_key(|(_, entry)| entry.used);
                let (at, _) = oldest?;
                self.entries[at] = Entry { name, ..Entry::empty() };
                at
            }
        };
        let entry = &mut self.entries[at];
        entry.used = now;
        Some(entry)
    }

    fn learn(&mut self, name: &RecordedName, found: Result<RecordedFacts, NotPlayed>, now: Millis) {
        let Some(entry) = self.entry(name.clone(), now) else { return };
        (entry.said, entry.wanted) = (Some((found.ok(), now)), Wanted::No);
    }

    /// How many there are.
    fn count(settings: &Settings) -> usize {
        if settings.script_hosts() > 0 { CATALOGUE_ENTRIES } else { 0 }
    }
}

impl Entry {
    fn empty() -> Entry {
        Entry { name: RecordedName::default(), said: None, wanted: Wanted::No, used: Millis(0) }
    }
}

impl Feature for Catalogue {
    fn new(settings: &Settings) -> Catalogue {
        Catalogue { entries: core::iter::repeat_n(Entry::empty(), Catalogue::count(settings)).collect() }
    }

    fn memory(settings: &Settings) -> Row {
        Row::new("catalogue of recorded streams", Catalogue::count(settings), size_of::<Entry>())
    }

    fn hear(&mut self, _what: &Happened, _live: &Live, _now: Millis, _out: &mut Actions) {}

    /// What others wanted to know of a recorded stream is known here, too.
    fn done(&mut self, done: Done, now: Millis, _out: &mut Actions) -> Option<Done> {
        match &done {
            Done::Opened { name, found, .. } | Done::Facts { name, found, .. } => self.learn(name, *found, now),
            _ => {}
        }
        (!matches!(done, Done::Facts { asked: None, .. })).then_some(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: RecordedFacts = RecordedFacts { duration_ms: 7000, bytes: 90, video: None, audio: None };

    fn name(said: &str) -> RecordedName {
        RecordedName::new("vod", "_definst_", false, said.as_bytes()).unwrap()
    }

    fn catalogue() -> Catalogue {
        Catalogue { entries: vec![Entry::empty(); 3].into_boxed_slice() }
    }

    fn tell(catalogue: &mut Catalogue, said: &str, found: Result<RecordedFacts, NotPlayed>, now: u64) -> Option<Done> {
        let mut out = Actions::default();
        catalogue.done(Done::Facts { asked: None, name: name(said), found }, Millis(now), &mut out)
    }

    fn wanted(catalogue: &mut Catalogue) -> Option<RecordedName> {
        match catalogue.next_job()? {
            Job::Facts { asked: None, name } => Some(name),
            job => panic!("{job:?}"),
        }
    }

    #[test]
    fn what_is_not_known_is_looked_up_once_for_the_next_time() {
        let mut catalogue = catalogue();
        assert_eq!(catalogue.facts(name("a"), Millis(1)), None);
        assert_eq!(catalogue.facts(name("a"), Millis(2)), None);
        assert_eq!(wanted(&mut catalogue), Some(name("a")));
        assert_eq!((catalogue.facts(name("a"), Millis(3)), wanted(&mut catalogue)), (None, None));
        assert_eq!(tell(&mut catalogue, "a", Ok(LONG), 4), None);
        assert_eq!(catalogue.facts(name("a"), Millis(5)), Some(LONG));
        assert_eq!(wanted(&mut catalogue), None, "it is fresh");
        assert_eq!(catalogue.facts(name("a"), Millis(4 + FRESH_MS)), Some(LONG));
        assert_eq!(wanted(&mut catalogue), Some(name("a")));
        assert_eq!(tell(&mut catalogue, "a", Err(NotPlayed::Missing), 9000), None);
        assert_eq!(catalogue.facts(name("a"), Millis(9001)), None, "it was deleted");
        assert_eq!(wanted(&mut catalogue), None);
    }

    #[test]
    fn what_was_not_asked_for_longest_gives_way_but_not_while_the_disk_is_at_it() {
        let mut catalogue = catalogue();
        for (at, said) in ["a", "b", "c"].into_iter().enumerate() {
            tell(&mut catalogue, said, Ok(LONG), at as u64 + 1);
        }
        catalogue.facts(name("a"), Millis(10));
        tell(&mut catalogue, "d", Ok(LONG), 11);
        assert_eq!(catalogue.facts(name("a"), Millis(12)), Some(LONG));
        assert_eq!(catalogue.facts(name("b"), Millis(13)), None, "in the place of c");
        assert_eq!(wanted(&mut catalogue), Some(name("b")));
        for (said, at) in [("x", 20), ("y", 21)] {
            catalogue.facts(name(said), Millis(at));
            assert_eq!(wanted(&mut catalogue), Some(name(said)));
        }
        assert_eq!(catalogue.facts(name("z"), Millis(22)), None);
        assert_eq!(wanted(&mut catalogue), None, "the disk is at all of them");
    }

    #[test]
    fn without_entries_nothing_is_known_and_nothing_is_asked() {
        let mut catalogue = Catalogue { entries: Box::default() };
        tell(&mut catalogue, "a", Ok(LONG), 1);
        assert_eq!((catalogue.facts(name("a"), Millis(2)), wanted(&mut catalogue)), (None, None));
    }
}
