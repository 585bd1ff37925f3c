//! Recorded files as they lie on the disk, for who fetches them whole or in part: plain data, in which nothing is asked of a file.
//!
//! ```text
//! loop                                               disk
//! DownloadJob::Open { id, name }      ──────────> finds the file, and keeps it open in the place of `id`
//!      DownloadDone::Opened { id, found } <──────
//! DownloadJob::Read { id, at, block } ──────────> fills the block with what lies there
//!      DownloadDone::Read { id, block }   <──────
//! DownloadJob::Close { id }           ──────────> closes it
//! ```
//!
//! Jobs are done in their order, so a place may be closed and opened again without waiting for an answer in between. A block is never
//! lost: each [`DownloadJob::Read`] gives it back.

use crate::limits::{APP_NAME_BYTES, RECORDING_FILE_BYTES};

use super::recorded::{Block, NotPlayed};

/// A file that is open for one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DownloadId {
    /// Its place in the disk's table.
    pub place: u16,
    /// How often the place was used before.
    pub generation: u32,
}

/// Where a file lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shelf {
    /// Where what is played by its name is looked for: named recordings, then films.
    Films,
    /// Where recordings are made by themselves.
    Recordings,
}

/// Which file is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileName {
    /// Where it lies.
    pub shelf: Shelf,
    /// The application.
    pub app: heapless::String<APP_NAME_BYTES>,
    /// Instances have no recordings in common ([`InstanceStreams::Apart`](super::app::InstanceStreams::Apart)): those of the default
    /// one alone are meant.
    pub apart: bool,
    /// Its path there, with its ending. What is checked of it is the disk's to check.
    pub path: heapless::String<RECORDING_FILE_BYTES>,
}

/// A block of the players of recorded streams, whose place is taken while it is lent.
#[derive(Debug, PartialEq)]
pub struct LentBlock {
    /// The place that it belongs to.
    pub place: u16,
    /// The block.
    pub block: Block,
}

/// What is known of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileFacts {
    /// How large it is, in bytes. It may grow.
    pub bytes: u64,
    /// When it was last written, in nanoseconds since 1970: with its size it tells one from another.
    pub written_ns: u64,
}

/// What the disk is to do.
#[derive(Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "it moves between two queues, and takes nothing from the heap")]
pub enum DownloadJob {
    /// The file stays open until it is closed. What was open in the same place is closed.
    Open {
        /// For whom.
        id: DownloadId,
        /// Which.
        name: FileName,
    },
    /// Everything in the block is replaced by what lies there.
    Read {
        /// Of which.
        id: DownloadId,
        /// From which byte on.
        at: u64,
        /// Where it is put.
        block: Block,
    },
    /// It is not needed any more.
    Close {
        /// Which.
        id: DownloadId,
    },
}

/// What the disk says.
#[derive(Debug, PartialEq)]
pub enum DownloadDone {
    /// To [`DownloadJob::Open`].
    Opened {
        /// For whom.
        id: DownloadId,
        /// What it is; or why there is none.
        found: Result<FileFacts, NotPlayed>,
    },
    /// To [`DownloadJob::Read`].
    Read {
        /// Of which.
        id: DownloadId,
        /// What lies there, as much as there is room for; nothing behind the file's end, or when it cannot be read. `None` when the
        /// block was lost, which is once in the life of a server: the thread has panicked.
        block: Option<Block>,
    },
    /// To [`DownloadJob::Close`].
    Closed {
        /// Which.
        id: DownloadId,
    },
}
