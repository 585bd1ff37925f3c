//! What is known of recorded streams in memory. A script that asks how long one is cannot wait for a disk, so it is told what
//! the disk said last.
//!
//! What an instance can play is looked through before its script begins ([`Catalogue::survey`]), and again when files have come or gone.
//! Each time that somebody plays a recorded stream, or asks for its length, what the disk says of it is remembered here, too; and what a
//! script asks for is looked up again for the next time.

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
/// Whether files have come or gone is looked at so often, in milliseconds.
const LIST_MS: u64 = 5000;
/// A script waits so long for a first survey, in milliseconds: a disk that stalls keeps nobody from joining.
const PATIENCE_MS: u64 = 1000;

/// What the disk has said of recorded streams. Without scripts it has no entries, as nobody asks.
pub struct Catalogue {
    entries: Box<[Entry]>,
    surveys: Box<[Option<Survey>]>,
}

/// A recorded stream.
#[derive(Clone, Debug)]
struct Entry {
    name: RecordedName,
    /// What there is of it, and when that was said; `None` before it was.
    said: Option<(Option<RecordedFacts>, Millis)>,
    wanted: Wanted,
    /// When it was last asked for or played, 0 for never: what was not for longest gives way.
    used: Millis,
}

/// An instance of whose recorded streams all are known, as far as there is room.
#[derive(Clone, Debug)]
struct Survey {
    /// How far the disk has named them.
    after: RecordedName,
    begun: Millis,
    /// What the directories were like when all were named.
    stamp: Option<u64>,
    state: SurveyState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SurveyState {
    /// The disk is to name the next.
    Wanted,
    /// It is at it.
    UnderWay,
    /// All are named. It is looked at again at that time.
    Rests(Millis),
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
        let is_there = |entry: &&mut Entry| matches!(entry.said, Some((Some(_), _)));
        let meant = |entry: &Entry| if entry.name == name { Some(0) } else { Some(1 + name.means(&entry.name)?) };
        let known = self.entries.iter_mut().filter(is_there).filter_map(|entry| Some((meant(entry)?, entry)));
        let entry = match known.min_by_key(|(order, _)| *order) {
            Some((_, entry)) => entry,
            None => self.entry(name, now)?,
        };
        entry.used = now;
        let is_fresh = entry.said.is_some_and(|(_, at)| now.since(at) < FRESH_MS);
        if entry.wanted == Wanted::No && !is_fresh {
            entry.wanted = Wanted::Yes;
        }
        entry.said.and_then(|(facts, _)| facts)
    }

    /// All that an instance can play is to be known from now on, as [`RecordedName::before_all`] names it. Whether it is; who waits for
    /// that waits until the time that is returned at most.
    pub fn survey(&mut self, all: &RecordedName, now: Millis) -> Result<(), Millis> {
        let known = self.surveys.iter().flatten().find(|survey| survey.after.is_beside(all));
        let Some(survey) = known else {
            let Some(place) = self.surveys.iter_mut().find(|place| place.is_none()) else { return Ok(()) };
            *place = Some(Survey { after: all.clone(), begun: now, stamp: None, state: SurveyState::Wanted });
            return Err(now + PATIENCE_MS);
        };
        let is_named = matches!(survey.state, SurveyState::Rests(_));
        let is_unknown =
            |entry: &Entry| entry.said.is_none() && entry.wanted != Wanted::No && entry.name.is_beside(all);
        let deadline = survey.begun + PATIENCE_MS;
        let is_over = now >= deadline || is_named && !self.entries.iter().any(is_unknown);
        if is_over { Ok(()) } else { Err(deadline) }
    }

    /// The instance is no more: what nobody has asked for is forgotten.
    pub fn forget(&mut self, all: &RecordedName) {
        for place in &mut self.surveys {
            place.take_if(|survey| survey.after.is_beside(all));
        }
        for entry in &mut self.entries {
            if entry.used == Millis(0) && entry.wanted != Wanted::UnderWay && entry.name.is_beside(all) {
                *entry = Entry::empty();
            }
        }
    }

    /// What the disk is to look up next.
    pub fn next_job(&mut self) -> Option<Job> {
        let mut surveys = self.surveys.iter_mut().flatten();
        if let Some(survey) = surveys.find(|survey| survey.state == SurveyState::Wanted) {
            survey.state = SurveyState::UnderWay;
            return Some(Job::List { after: survey.after.clone() });
        }
        let entry = self.entries.iter_mut().find(|entry| entry.wanted == Wanted::Yes)?;
        entry.wanted = Wanted::UnderWay;
        Some(Job::Facts { asked: None, name: entry.name.clone() })
    }

    /// The disk has named the next of them, or has said that there is none.
    fn named(&mut self, name: &RecordedName, is_next: bool, stamp: u64, now: Millis) {
        let mut surveys = self.surveys.iter_mut().flatten();
        let is_asked = |survey: &&mut Survey| survey.state == SurveyState::UnderWay && survey.after.is_beside(name);
        let Some(survey) = surveys.find(is_asked) else { return };
        let is_changed = survey.stamp.replace(stamp) != Some(stamp) || !survey.after.name().is_empty();
        if is_next && is_changed && note(&mut self.entries, name) {
            survey.after = name.clone();
            survey.state = SurveyState::Wanted;
            return;
        }
        while !survey.after.name().is_empty() {
            survey.after.path.pop();
        }
        survey.state = SurveyState::Rests(now + LIST_MS);
    }

    /// Its entry, if need be in the place of another; `None` while the disk is at all of them.
    fn entry(&mut self, name: RecordedName, now: Millis) -> Option<&mut Entry> {
        let known = self.entries.iter().position(|entry| entry.name == name);
        let at = match known {
            Some(at) => at,
            None => {
                let at_rest = |(_, entry): &(usize, &Entry)| entry.wanted != Wanted::UnderWay;
                let weight = |(_, entry): &(usize, &Entry)| (!entry.is_empty(), entry.used);
                let oldest = self.entries.iter().enumerate().filter(at_rest).min_by_key(weight);
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
        let known = self.entries.iter().position(|entry| entry.name == *name);
        let entry = match known {
            Some(at) => &mut self.entries[at],
            None => match self.entry(name.clone(), now) {
                Some(entry) => entry,
                None => return,
            },
        };
        (entry.said, entry.wanted) = (Some((found.ok(), now)), Wanted::No);
    }

    /// How many entries there are, and instances.
    fn counts(settings: &Settings) -> (usize, usize) {
        if settings.script_hosts() > 0 { (CATALOGUE_ENTRIES, settings.script_instances as usize) } else { (0, 0) }
    }
}

impl Entry {
    fn empty() -> Entry {
        Entry { name: RecordedName::default(), said: None, wanted: Wanted::No, used: Millis(0) }
    }

    fn is_empty(&self) -> bool {
        self.name.app.is_empty()
    }
}

/// There is a file of that name. False when there is no room for it: what somebody asked for, or another survey found, stays.
fn note(entries: &mut [Entry], name: &RecordedName) -> bool {
    if entries.iter().any(|entry| entry.name == *name) {
        return true;
    }
    let Some(entry) = entries.iter_mut().find(|entry| entry.is_empty()) else { return false };
    *entry = Entry { name: name.clone(), wanted: Wanted::Yes, ..Entry::empty() };
    true
}

impl Feature for Catalogue {
    fn new(settings: &Settings) -> Catalogue {
        let (entries, instances) = Catalogue::counts(settings);
        Catalogue {
            entries: core::iter::repeat_n(Entry::empty(), entries).collect(),
            surveys: core::iter::repeat_n(None, instances).collect(),
        }
    }

    fn memory(settings: &Settings) -> Row {
        let (entries, instances) = Catalogue::counts(settings);
        let bytes = entries * size_of::<Entry>() + instances * size_of::<Option<Survey>>();
        Row::new("catalogue of recorded streams", 1, bytes)
    }

    fn hear(&mut self, _what: &Happened, _live: &Live, _now: Millis, _out: &mut Actions) {}

    fn turn(&mut self, _live: &mut Live, now: Millis, _out: &mut Actions) {
        for survey in self.surveys.iter_mut().flatten() {
            if matches!(survey.state, SurveyState::Rests(until) if until <= now) {
                survey.state = SurveyState::Wanted;
            }
        }
    }

    fn wake_at(&self) -> Option<Millis> {
        let until = |survey: &Survey| match survey.state {
            SurveyState::Rests(until) => Some(until),
            SurveyState::Wanted | SurveyState::UnderWay => None,
        };
        self.surveys.iter().flatten().filter_map(until).min()
    }

    /// What others wanted to know of a recorded stream is known here, too.
    fn done(&mut self, done: Done, now: Millis, _out: &mut Actions) -> Option<Done> {
        match &done {
            Done::Opened { name, found, .. } | Done::Facts { name, found, .. } => self.learn(name, *found, now),
            Done::Listed { name, is_next, stamp } => self.named(name, *is_next, *stamp, now),
            _ => {}
        }
        Some(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::applications::{AppSource, Applications};
    use crate::live::names::Names;

    const LONG: RecordedFacts = RecordedFacts { duration_ms: 7000, bytes: 90, video: None, audio: None };

    fn name(said: &str) -> RecordedName {
        RecordedName::new("vod", "_definst_", false, said.as_bytes()).unwrap()
    }

    fn catalogue() -> Catalogue {
        Catalogue { entries: vec![Entry::empty(); 3].into_boxed_slice(), surveys: vec![None; 1].into_boxed_slice() }
    }

    fn tell(catalogue: &mut Catalogue, said: &str, found: Result<RecordedFacts, NotPlayed>, now: u64) {
        let mut out = Actions::default();
        catalogue.done(Done::Facts { asked: None, name: name(said), found }, Millis(now), &mut out);
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
        tell(&mut catalogue, "a", Ok(LONG), 4);
        assert_eq!(catalogue.facts(name("a"), Millis(5)), Some(LONG));
        assert_eq!(wanted(&mut catalogue), None, "it is fresh");
        assert_eq!(catalogue.facts(name("a"), Millis(4 + FRESH_MS)), Some(LONG));
        assert_eq!(wanted(&mut catalogue), Some(name("a")));
        tell(&mut catalogue, "a", Err(NotPlayed::Missing), 9000);
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

    /// Answers what the catalogue asks of a disk that has these, until it asks no more.
    fn answer(catalogue: &mut Catalogue, files: &[&str], stamp: u64, now: u64) -> usize {
        let mut asked = 0;
        while let Some(job) = catalogue.next_job() {
            asked += 1;
            let done = match job {
                Job::List { after } => {
                    let next = files.iter().find(|file| **file > after.name()).map(|file| name(file));
                    Done::Listed { is_next: next.is_some(), name: next.unwrap_or(after), stamp }
                }
                Job::Facts { asked, name } => Done::Facts { asked, name, found: Ok(LONG) },
                job => panic!("{job:?}"),
            };
            catalogue.done(done, Millis(now), &mut Actions::default());
        }
        asked
    }

    #[test]
    fn all_that_an_instance_can_play_is_known_before_its_script_asks_and_what_comes_later_soon() {
        let mut catalogue = catalogue();
        let all = RecordedName::before_all("vod", "_definst_", false).unwrap();
        assert_eq!(catalogue.survey(&all, Millis(1)), Err(Millis(1 + PATIENCE_MS)));
        assert_eq!(answer(&mut catalogue, &["a.flv", "sub/b.mp4"], 1, 2), 3 + 2);
        assert_eq!(catalogue.survey(&all, Millis(3)), Ok(()));
        for said in ["a", "a.flv", "flv:a", "mp4:sub/b", "sub/b.mp4?x", "sub/b"] {
            assert_eq!(catalogue.facts(name(said), Millis(4)), Some(LONG), "{said}");
        }
        for said in ["b", "mp3:a", "a.flv?vindex=1"] {
            assert_eq!(catalogue.facts(name(said), Millis(4)), None, "{said}");
        }
        // Nothing has come or gone.
        let turn = |catalogue: &mut Catalogue, now: u64| {
            let names = Names::new(0, 0, 1);
            let apps = Applications::new(Vec::new(), AppSource::Fixed, 1, Millis(0));
            catalogue.turn(&mut Live::new(apps, names), Millis(now), &mut Actions::default());
        };
        answer(&mut catalogue, &[], 1, 5);
        let at = catalogue.wake_at().unwrap();
        turn(&mut catalogue, at.0);
        assert_eq!(answer(&mut catalogue, &["a.flv", "c.flv", "sub/b.mp4"], 1, at.0), 1);
        assert_eq!(catalogue.facts(name("c"), at), None);
    }

    #[test]
    fn a_disk_that_names_nothing_holds_a_script_up_for_a_second_at_most() {
        let mut catalogue = catalogue();
        let all = RecordedName::before_all("vod", "hall", true).unwrap();
        assert_eq!(catalogue.survey(&all, Millis(5)), Err(Millis(1005)));
        assert!(catalogue.survey(&all, Millis(1004)).is_err() && catalogue.survey(&all, Millis(1005)).is_ok());
        catalogue.forget(&all);
        assert!(catalogue.next_job().is_none() && catalogue.wake_at().is_none());
    }

    #[test]
    fn without_entries_nothing_is_known_and_nothing_is_asked() {
        let mut catalogue = Catalogue { entries: Box::default(), surveys: Box::default() };
        tell(&mut catalogue, "a", Ok(LONG), 1);
        assert_eq!((catalogue.facts(name("a"), Millis(2)), wanted(&mut catalogue)), (None, None));
    }
}
