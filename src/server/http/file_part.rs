//! A part of a recorded file, which the disk reads.

use crate::live::download::DownloadId;

/// A part of a file, on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct FilePart {
    pub(super) id: DownloadId,
    /// Where it begins in the file.
    pub(super) from: u64,
    pub(super) bytes: u64,
}
