//! Which files there are, one after the other by name. Nothing is held from one to the next: each step looks through the directories
//! again, so that what has come or gone meanwhile confuses nobody.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::live::recorded::{Prefix, RecordedName};

use super::FileStep;

/// How deep directories are looked through, and how many names in them.
const DEPTH: u32 = 8;
const NAMES: u32 = 20_000;

/// A step through directories.
pub(super) struct FileWalk<'a> {
    after: &'a RecordedName,
    /// The first name behind that which was met so far.
    next: Option<RecordedName>,
    names: u32,
    stamp: u64,
}

impl<'a> FileWalk<'a> {
    /// Looks for what comes behind `after`.
    pub(super) fn behind(after: &'a RecordedName) -> FileWalk<'a> {
        FileWalk { after, next: None, names: 0, stamp: 0xCBF2_9CE4_8422_2325 }
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
        let is_first = self.next.as_ref().is_none_or(|next| path.as_str() < next.name());
        if is_media && is_first && path.as_str() > self.after.name() {
            let RecordedName { app, apart, .. } = self.after;
            let name = RecordedName::new(app, self.after.instance(), *apart, path.as_bytes());
            // Else it is one that no client can say.
            self.next = name.ok().filter(|name| name.name() == path).or(self.next.take());
        }
    }

    /// What was found.
    pub(super) fn end(self) -> FileStep {
        FileStep { next: self.next, stamp: self.stamp }
    }
}
