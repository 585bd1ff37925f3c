//! How much room recordings have, and which go when it is used up. A recording that somebody asked for by its name stays.

use std::path::{Path, PathBuf};

use log::{info, warn};

use crate::config::WhenFull;
use crate::live::recording::RecordFault;

use super::disk::{FolderEntry, RecordDisk};
use super::places::{DEPTH, is_recording};
use super::{RecordingFiles, fault};

/// Recordings that go for one that is made.
const GO_AT_ONCE: usize = 32;
const DAY_S: u64 = 86_400;

/// A recording on the medium.
pub(super) struct FoundRecording {
    pub(super) path: PathBuf,
    pub(super) app: String,
    pub(super) bytes: u64,
    modified_s: u64,
}

impl<D: RecordDisk> RecordingFiles<D> {
    /// Sees that there is as much room as is to be kept free.
    pub(super) fn make_room(&mut self, folder: &Path) -> Result<(), RecordFault> {
        let record = self.shared.config().record.clone();
        let mut oldest: Option<std::vec::IntoIter<FoundRecording>> = None;
        for _ in 0..GO_AT_ONCE {
            // A file system that does not tell has as much room as it has.
            let Ok(space) = self.disk.space(folder) else { return Ok(()) };
            if space.free >= record.keep_free.bytes(space.total) {
                return Ok(());
            }
            if record.when_full == WhenFull::Stop {
                break;
            }
            if oldest.is_none() {
                oldest = Some(self.automatic().into_iter());
            }
            let Some(found) = oldest.as_mut().and_then(Iterator::next) else { break };
            self.let_go(&found, "room");
        }
        warn!("rill record {}: less room than is to be kept free (record.keep_free)", folder.display());
        Err(RecordFault::Full)
    }

    /// Lets recordings go that are older than they may be, or with which there are too many bytes.
    pub(super) fn let_old_go(&mut self) {
        let record = self.shared.config().record.clone();
        if record.keep_days == 0 && record.keep_total_bytes == 0 {
            return;
        }
        let recordings = self.automatic();
        let now_s = self.disk.seconds();
        let mut total: u64 = recordings.iter().map(|found| found.bytes).sum();
        for found in recordings.iter().take(GO_AT_ONCE) {
            let most_s = u64::from(record.keep_days) * DAY_S;
            let is_old = most_s > 0 && now_s > 0 && found.modified_s + most_s < now_s;
            let is_much = record.keep_total_bytes > 0 && total > record.keep_total_bytes;
            if is_old || is_much {
                self.let_go(found, if is_old { "age" } else { "total" });
                total -= found.bytes;
            }
        }
    }

    fn let_go(&mut self, found: &FoundRecording, why: &str) {
        match self.disk.remove(&found.path) {
            Ok(()) => info!("rill record deleted file={:?} bytes={} reason={why}", found.path.display(), found.bytes),
            Err(error) => {
                fault(&found.path, &error);
            }
        }
    }

    /// Automatic recordings that are complete, the oldest first.
    fn automatic(&mut self) -> Vec<FoundRecording> {
        let Some((root, kind)) = self.places.roots() else { return Vec::new() };
        let root = root.to_owned();
        let mut found = self.below(&root, kind);
        // Others are not ours to delete.
        let is_automatic = |path: &Path| path.extension().is_some_and(|ending| ending == "mp4" || ending == "flv");
        found.retain(|FoundRecording { path, .. }| {
            is_automatic(path) && !self.is_open(path) && !self.tending.is_at(path)
        });
        // Of one second the name says which was first.
        found.sort_by(|a, b| (a.modified_s, &a.path).cmp(&(b.modified_s, &b.path)));
        found
    }

    /// Recordings of all applications in a directory of them.
    pub(super) fn below(&mut self, root: &Path, kind: &str) -> Vec<FoundRecording> {
        let mut found = Vec::new();
        for app in self.folder_of(root).into_iter().filter(|entry| entry.is_folder) {
            let folder = if kind.is_empty() { root.join(&app.name) } else { root.join(&app.name).join(kind) };
            self.collect(&app.name, &folder, DEPTH, &mut found);
        }
        found
    }

    fn collect(&mut self, app: &str, folder: &Path, depth: usize, found: &mut Vec<FoundRecording>) {
        for FolderEntry { name, is_folder, bytes, modified_s } in self.folder_of(folder) {
            let path = folder.join(&name);
            if is_folder && depth > 0 {
                self.collect(app, &path, depth - 1, found);
            } else if !is_folder && is_recording(&name) {
                found.push(FoundRecording { path, app: app.to_owned(), bytes, modified_s });
            }
        }
    }

    fn folder_of(&mut self, folder: &Path) -> Vec<FolderEntry> {
        let mut entries = self.disk.list(folder).unwrap_or_default();
        entries.retain(|entry| !entry.name.starts_with('.'));
        entries
    }
}
