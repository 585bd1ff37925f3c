//! What lay on the medium when the server started, and may not be complete.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

/// Where it stands.
#[derive(Default)]
pub(super) struct Tending {
    /// What lay there when the server started, and was not looked at.
    pub(super) left: Option<VecDeque<Left>>,
    /// On which medium that was: another one, which somebody has plugged in, is looked at, too.
    pub(super) medium: Option<u64>,
}

/// A file that may not be complete.
pub(super) struct Left {
    pub(super) path: PathBuf,
    pub(super) app: String,
}

impl Tending {
    /// Whether the file has yet to be looked at.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        self.left.iter().flatten().any(|left| left.path == path)
    }
}
