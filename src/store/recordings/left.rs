//! Files that may not be complete: what lay on the medium when the server started, and MP4 files that were recorded since.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use crate::live::recording::CompleteFile;
use crate::wire::mp4::finish::Finisher;

/// Where it stands.
pub(super) struct Tending<F> {
    /// What is to be looked at, in this order; `None` before anybody has looked what there is.
    pub(super) left: Option<VecDeque<Left>>,
    /// On which medium that was: another one, which somebody has plugged in, is looked at, too.
    pub(super) medium: Option<u64>,
    /// A file could not be closed: where the next one begins it is looked for, too. A stick that is pulled and plugged in again at once is
    /// the same medium to who looks now and then.
    pub(super) is_missing: bool,
    /// What is being finished.
    pub(super) under_way: Option<UnfinishedMovie<F>>,
    /// What is complete since the loop asked last.
    pub(super) complete: VecDeque<CompleteFile>,
}

/// A file that may not be complete.
pub(super) struct Left {
    pub(super) path: PathBuf,
    pub(super) app: String,
}

/// An MP4 file whose tables are being written.
pub(super) struct UnfinishedMovie<F> {
    pub(super) left: Left,
    /// It is open twice: its fragments are read while its tables are written.
    pub(super) reads: F,
    pub(super) writes: F,
    pub(super) finisher: Box<Finisher>,
}

impl<F> Tending<F> {
    /// This one is next.
    pub(super) fn soon(&mut self, next: Left) {
        if let Some(left) = &mut self.left {
            left.push_front(next);
        }
    }

    /// Whether the file has yet to be looked at, or is being finished.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        let finishing = self.under_way.iter().map(|finishing| &finishing.left);
        self.left.iter().flatten().chain(finishing).any(|left| left.path == path)
    }

    /// Somebody else has the file.
    pub(super) fn leave(&mut self, path: &Path) {
        self.under_way.take_if(|finishing| finishing.left.path == path);
        if let Some(left) = &mut self.left {
            left.retain(|left| left.path != path);
        }
    }
}

impl<F> Default for Tending<F> {
    fn default() -> Tending<F> {
        Tending { left: None, medium: None, is_missing: false, under_way: None, complete: VecDeque::new() }
    }
}
