//! Which recordings there are, for the operator, and how they are deleted. A list is made in pages, each of which is one job, and what is
//! held for it does not grow with the number of files: of a folder so many names are held at once, the next ones in their order.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use log::info;

use crate::apps::named;
use crate::live::app::MEDIA;
use crate::live::record_settings::RecordContainer;
use crate::live::recording::{
    ListedRecording, ListedState, NotDeleted, RecordingFileName, RecordingName, RecordingsPage,
};
use crate::name::DEFAULT_INSTANCE;
use crate::store::shared::below;

use super::disk::RecordDisk;
use super::listing::{ListedKind, Listing};
use super::places::{DEPTH, STREAMS, is_recording};
use super::{RecordingFiles, fault};

/// Names of a folder that are held at once. The folder is read once for so many.
const NAMES: usize = 64;

impl<D: RecordDisk> RecordingFiles<D> {
    /// The next page of the list.
    pub(super) fn list(&mut self) -> Box<RecordingsPage> {
        let mut page = Box::<RecordingsPage>::default();
        let Some(mut listing) = self.listing.take() else { return page };
        page.more = loop {
            if self.list_kind(&mut listing, &mut page) {
                break true;
            }
            if !listing.next_kind() {
                break false;
            }
        };
        self.listing = Some(listing).filter(|_| page.more);
        page
    }

    /// True when the page is full.
    fn list_kind(&mut self, listing: &mut Listing, page: &mut RecordingsPage) -> bool {
        let root = match listing.kind {
            ListedKind::Automatic => self.places.roots(),
            // Films lie elsewhere, too, but belong to an application that there is.
            ListedKind::Named | ListedKind::Films => self.places.named_roots(),
        };
        let Some((root, kind)) = root.map(|(root, kind)| (root.to_owned(), kind)) else { return false };
        let after: Vec<String> = listing.after.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        let mut from = after.first().cloned().unwrap_or_default();
        let mut is_first = true;
        loop {
            let apps = self.next_names(&root, &from, is_first);
            let Some((last, _)) = apps.last() else { return false };
            (from, is_first) = (last.clone(), false);
            for (app, is_folder) in apps {
                if !is_folder || !listing.app.is_empty() && listing.app != app {
                    continue;
                }
                let is_reached = after.first() == Some(&app);
                let first = if is_reached { listing.tree } else { 0 };
                let own = root.join(&app);
                let trees = self.trees(listing.kind, &own, &app, kind);
                for (at, (folder, called)) in trees.iter().enumerate().skip(first) {
                    let after = if is_reached && at == first { &after[1..] } else { &[] };
                    // What stands before the names of a tree has been reached with them.
                    let before = called.split('/').filter(|part| !part.is_empty()).count();
                    let after = after.get(before..).unwrap_or_default();
                    listing.tree = at;
                    listing.earlier = match listing.kind {
                        ListedKind::Films => earlier(&own, &trees[..at]),
                        ListedKind::Automatic | ListedKind::Named => Vec::new(),
                    };
                    if self.list_below(listing, &app, folder, called, after, page) {
                        return true;
                    }
                }
            }
        }
    }

    /// The folders in which an application's files of a kind lie, each with what stands before their names.
    fn trees(&self, kind: ListedKind, own: &Path, app: &str, folder: &str) -> Vec<(PathBuf, String)> {
        match named(app).filter(|_| kind == ListedKind::Films) {
            Some(app) => self.shared.film_trees(&app, own),
            None => vec![(own.join(folder), String::new())],
        }
    }

    fn list_below(
        &mut self,
        listing: &mut Listing,
        app: &str,
        folder: &Path,
        below: &str,
        after: &[String],
        page: &mut RecordingsPage,
    ) -> bool {
        let mut from = after.first().cloned().unwrap_or_default();
        let mut is_first = true;
        loop {
            let names = self.next_names(folder, &from, is_first);
            let Some((last, _)) = names.last() else { return false };
            (from, is_first) = (last.clone(), false);
            for (name, is_folder) in names {
                let path = folder.join(&name);
                let is_reached = after.first() == Some(&name);
                let below = if below.is_empty() { name } else { format!("{below}/{name}") };
                if is_folder {
                    let after = if is_reached { &after[1..] } else { &[] };
                    let is_deep = below.matches('/').count() >= DEPTH;
                    if !is_deep && self.list_below(listing, app, &path, &below, after, page) {
                        return true;
                    }
                } else if !(is_reached && after.len() == 1) && listing.includes(&below) {
                    if self.is_hidden(&listing.earlier, &below) {
                        continue;
                    }
                    // Wherever a film lies, it is called as if it lay in its application's own folder.
                    let file = match listing.kind {
                        ListedKind::Films => {
                            RecordingFileName::try_from(format!("{app}/{MEDIA}/{below}").as_str()).ok()
                        }
                        ListedKind::Automatic | ListedKind::Named => self.places.shown(&path),
                    };
                    let Some(row) = file.and_then(|file| self.listed(&path, file, listing.kind)) else { continue };
                    let is_full = page.rows.push(row).is_err() || page.rows.is_full();
                    listing.after = Path::new(app).join(&below);
                    if is_full {
                        return true;
                    }
                }
            }
        }
    }

    /// The next names of a folder behind `from`, or, the first time, from it on; and whether they are those of folders.
    fn next_names(&mut self, folder: &Path, from: &str, with_it: bool) -> Vec<(String, bool)> {
        let mut next: Vec<(String, bool)> = Vec::with_capacity(NAMES + 1);
        let mut take = |name: &str, is_folder: bool| {
            let is_behind = if with_it { name >= from } else { name > from };
            // What ext4 keeps in its root is nobody's to read.
            let is_ours = if is_folder { name != "lost+found" } else { is_recording(name) };
            if !is_behind || name.starts_with('.') || !is_ours {
                return;
            }
            let at = next.partition_point(|(before, _)| before.as_str() < name);
            if at < NAMES {
                next.insert(at, (name.to_owned(), is_folder));
                next.truncate(NAMES);
            }
        };
        if let Err(error) = self.disk.visit(folder, &mut take)
            && error.kind() != ErrorKind::NotFound
        {
            fault(folder, &error);
        }
        next
    }

    /// Whether what is called so is another file, which lies where a name is looked for before.
    fn is_hidden(&mut self, earlier: &[(PathBuf, String)], called: &str) -> bool {
        let mut paths = earlier.iter().filter_map(|(folder, before)| Some(folder.join(below(called, before)?)));
        paths.any(|path| matches!(self.disk.look(&path), Ok(Some(entry)) if !entry.is_folder))
    }

    fn listed(&mut self, path: &Path, file: RecordingFileName, kind: ListedKind) -> Option<ListedRecording> {
        let entry = self.disk.look(path).ok()??;
        let state = if self.is_open(path) {
            ListedState::Recording
        } else if self.tending.is_at(path) {
            ListedState::Unfinished
        } else {
            ListedState::Complete
        };
        let (bytes, written_s) = (entry.bytes, entry.modified_s);
        let is_named = kind != ListedKind::Automatic;
        Some(ListedRecording { file, bytes, written_s, state, is_named })
    }

    /// Deletes the recording that is shown as `file`.
    pub(super) fn delete(&mut self, file: &str) -> Result<(), NotDeleted> {
        let mut parts = file.split('/');
        let is_name = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains(['\\', '\0']);
        let (Some(app), true) = (parts.next().and_then(named), file.split('/').all(is_name)) else {
            return Err(NotDeleted::Name);
        };
        let below: Vec<&str> = parts.collect();
        if !below.last().is_some_and(|name| is_recording(name)) {
            return Err(NotDeleted::Name);
        }
        let automatic = self.places.automatic(&app);
        let named = self.places.streams(&app).filter(|_| below[0] == STREAMS);
        let found = automatic.map(|folder| self.find(&folder, &below)).unwrap_or(Err(NotDeleted::Missing));
        let found = match (found, named) {
            (Err(NotDeleted::Missing), Some(folder)) => self.find(&folder, &below[1..]),
            (found, _) => found,
        };
        self.let_one_go(&found?, "operator")
    }

    /// Deletes the recordings that were asked for by a name, or all in the same folder and below. Those that are being made stay.
    pub(super) fn clear(&mut self, name: &RecordingName, all: bool) -> Result<(), NotDeleted> {
        let streams = self.places.streams(&name.app).ok_or(NotDeleted::Missing)?;
        if all {
            let folder = streams.join(name.path.as_str()).parent().map(Path::to_owned).unwrap_or(streams);
            return self.clear_below(&folder, DEPTH);
        }
        let mut result = Err(NotDeleted::Missing);
        for container in [RecordContainer::Flv, RecordContainer::Mp4] {
            let file = format!("{}{}", name.path, container.ending());
            let below: Vec<&str> = file.split('/').collect();
            match self.find(&streams, &below) {
                Ok(path) => result = Ok(self.let_one_go(&path, "script")?),
                Err(NotDeleted::Missing) => {}
                Err(why) => return Err(why),
            }
        }
        result
    }

    fn let_one_go(&mut self, path: &Path, why: &str) -> Result<(), NotDeleted> {
        if self.is_open(path) {
            return Err(NotDeleted::Recorded);
        }
        self.tending.leave(path);
        self.disk.remove(path).map_err(|error| NotDeleted::Fault(fault(path, &error)))?;
        info!("rill record deleted file={:?} reason={why}", path.display());
        Ok(())
    }

    fn clear_below(&mut self, folder: &Path, depth: usize) -> Result<(), NotDeleted> {
        let mut result = Ok(());
        let (mut from, mut is_first) = (String::new(), true);
        loop {
            let names = self.next_names(folder, &from, is_first);
            let Some((last, _)) = names.last() else { return result };
            (from, is_first) = (last.clone(), false);
            for (name, is_folder) in names {
                let path = folder.join(name);
                let cleared = match is_folder {
                    true if depth > 0 => self.clear_below(&path, depth - 1),
                    true => Ok(()),
                    false => self.let_one_go(&path, "script"),
                };
                result = result.and(cleared);
            }
        }
    }

    /// The file below a folder. On the way there is no link, which may lead anywhere.
    fn find(&mut self, folder: &Path, below: &[&str]) -> Result<PathBuf, NotDeleted> {
        let mut path = folder.to_owned();
        for (at, part) in below.iter().enumerate() {
            path.push(part);
            let entry = match self.disk.look(&path) {
                Ok(Some(entry)) => entry,
                Ok(None) => return Err(NotDeleted::Link),
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                    return Err(NotDeleted::Missing);
                }
                Err(error) => return Err(NotDeleted::Fault(fault(&path, &error))),
            };
            if entry.is_folder != (at + 1 < below.len()) {
                return Err(NotDeleted::Missing);
            }
        }
        Ok(path)
    }
}

/// Where the names of a tree of films are looked for before: among the recordings that were asked for by name, and in the trees before it.
fn earlier(own: &Path, before: &[(PathBuf, String)]) -> Vec<(PathBuf, String)> {
    let streams = (own.join(STREAMS).join(DEFAULT_INSTANCE), String::new());
    before.iter().cloned().chain([streams]).collect()
}
