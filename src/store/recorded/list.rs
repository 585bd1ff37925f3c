//! Which files there are, one after the other by name. A walk through the directories finds the first of them behind a name, which are
//! held for the steps that follow at once: what has come or gone meanwhile confuses nobody, and is found by the next walk.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::limits::CATALOGUE_ENTRIES;
use crate::live::recorded::{Prefix, RecordedName};

use super::FileStep;

/// How deep directories are looked through, and how many names in them.
const DEPTH: u32 = 8;
const NAMES: u32 = 20_000;

/// Names of a walk are not held for longer.
const FRESH: Duration = Duration::from_secs(2);

/// Names that a walk has found, for the steps behind it.
#[derive(Default)]
pub(super) struct FoundNames {
    /// In the order of steps.
    names: BTreeMap<String, RecordedName>,
    /// Which name was told last, and when the walk was.
    last: Option<(RecordedName, Instant)>,
    /// No others are behind them.
    is_all: bool,
    stamp: u64,
}

impl FoundNames {
    /// The step behind `after`, if the last one led there. The first of all is a walk of its own.
    pub(super) fn behind(&mut self, after: &RecordedName) -> Option<FileStep> {
        let (last, at) = self.last.as_ref()?;
        if last != after || after.name().is_empty() || at.elapsed() > FRESH {
            return None;
        }
        self.step()
    }

    /// The next of them; `None` when only another walk knows.
    fn step(&mut self) -> Option<FileStep> {
        let next = self.names.pop_first().map(|(_, name)| name);
        if let (Some((last, _)), Some(name)) = (&mut self.last, &next) {
            last.clone_from(name);
        }
        (next.is_some() || self.is_all).then_some(FileStep { next, stamp: self.stamp })
    }
}

/// A walk through directories.
pub(super) struct FileWalk<'a> {
    after: &'a RecordedName,
    /// The first names behind that which were met so far.
    found: BTreeMap<String, RecordedName>,
    names: u32,
    stamp: u64,
}

impl<'a> FileWalk<'a> {
    /// Looks for what comes behind `after`.
    pub(super) fn behind(after: &'a RecordedName) -> FileWalk<'a> {
        FileWalk { after, found: BTreeMap::new(), names: 0, stamp: 0xCBF2_9CE4_8422_2325 }
    }

    /// Looks through a directory, whose files' names begin with `called`; with nothing where it is not there.
    pub(super) fn tree(&mut self, directory: &Path, called: &str) {
        self.look(directory, called, DEPTH);
    }

    fn look(&mut self, directory: &Path, called: &str, depth: u32) {
        let (Ok(metadata), Ok(names)) = (fs::metadata(directory), fs::read_dir(directory)) else { return };
        for part in [metadata.ino(), metadata.mtime() as u64, metadata.mtime_nsec() as u64] {
            self.stamp = (self.stamp ^ part).wrapping_mul(0x0100_0000_01B3);
        }
        for entry in names.flatten() {
            self.names += 1;
            let name = entry.file_name();
            let (Some(name), true) = (name.to_str().filter(|name| !name.starts_with('.')), self.names < NAMES) else {
                continue;
            };
            let path = if called.is_empty() { name.to_owned() } else { format!("{called}/{name}") };
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && depth > 0 => self.look(&entry.path(), &path, depth - 1),
                Ok(kind) if !kind.is_dir() => self.meet(path),
                _ => {}
            }
        }
    }

    fn meet(&mut self, path: String) {
        let mut endings = Prefix::None.endings().iter().filter(|ending| !ending.is_empty());
        let is_media = endings.any(|ending| path.ends_with(ending));
        let is_behind = path.as_str() > self.after.name();
        let has_room = |found: &BTreeMap<String, RecordedName>| found.len() < CATALOGUE_ENTRIES;
        let is_early = has_room(&self.found) || self.found.last_key_value().is_some_and(|(last, _)| path < *last);
        if is_media && is_behind && is_early && !self.found.contains_key(&path) {
            let RecordedName { app, apart, .. } = self.after;
            let name = RecordedName::new(app, self.after.instance(), *apart, path.as_bytes());
            // Else it is one that no client can say.
            if let Some(name) = name.ok().filter(|name| name.name() == path) {
                if !has_room(&self.found) {
                    self.found.pop_last();
                }
                self.found.insert(path, name);
            }
        }
    }

    /// What was found, whose first is the step.
    pub(super) fn end(self) -> (FileStep, FoundNames) {
        let FileWalk { after, found: names, stamp, .. } = self;
        let is_all = names.len() < CATALOGUE_ENTRIES;
        let mut found = FoundNames { names, last: Some((after.clone(), Instant::now())), is_all, stamp };
        (found.step().unwrap_or(FileStep { next: None, stamp }), found)
    }
}
