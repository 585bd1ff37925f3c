//! Recordings that are made, as the loop and the disk thread that writes them speak of them: plain data.
//!
//! ```text
//! loop                                          disk
//! RecordJob::Open { id, name, .. }     ──────────> makes a file, or opens the one that is to be gone on with
//!      RecordDone::Opened { id, .. }  <──────────
//! RecordJob::Write { id, at, block }   ──────────> writes the block there
//!      RecordDone::Written { id, block } <───────
//! RecordJob::Close { id, end }         ──────────> cuts the file there and closes it
//!      RecordDone::Closed { id, .. }  <──────────
//! ```
//!
//! What stands in a file and where is the loop's; which file that is, and how it gets to the medium, the disk's. Jobs of a recording
//! are done in their order. A block is never lost: each [`RecordJob::Write`] gives it back.

use core::fmt::{self, Write as _};

use crate::limits::{APP_NAME_BYTES, RECORDING_FILE_BYTES, RECORDING_PATH_BYTES};
use crate::name::{DEFAULT_INSTANCE, StreamPath};
use crate::wire::script_link::InstanceId;

use super::holder::Holder;
use super::record_settings::RecordContainer;
use super::settings::Settings;

/// Blocks of each recording: one is filled while the other is written.
pub const WRITE_BLOCKS: usize = 2;

/// A file that is being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordingId {
    /// Its place in the disk's table, below `limits.recordings`.
    pub place: u16,
    /// How often the place was used before.
    pub generation: u32,
}

impl fmt::Display for RecordingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "w{}.{}", self.place, self.generation)
    }
}

/// Where a recording belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingName {
    /// The application.
    pub app: heapless::String<APP_NAME_BYTES>,
    /// Of an automatic recording the folder below `recordings/`, of another one the file below `streams/`, without its ending.
    pub path: heapless::String<RECORDING_PATH_BYTES>,
    /// What it is.
    pub kind: RecordingKind,
    /// What kind of file it is.
    pub container: RecordContainer,
}

/// What a recording is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordingKind {
    /// Nobody asked for it by its name: a file of its own, which may be deleted when there is no room.
    Automatic,
    /// In place of what was recorded by this name.
    InPlaceOf,
    /// Behind what was recorded by this name.
    Behind,
    /// The same, with the pause in between as long as it was.
    BehindWithGap,
}

/// A file that was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedRecording {
    /// What it is called: `APP/PATH/FILE`, as `rill ctl` shows it.
    pub file: heapless::String<RECORDING_FILE_BYTES>,
    /// What is in it already, to be gone on with.
    pub before: Option<RecordedBefore>,
}

/// What is in a file that is gone on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordedBefore {
    /// Bytes to its end.
    pub bytes: u64,
    /// The time behind its last frame, in milliseconds.
    pub ms: u32,
    /// What is to be shown as a pause before what comes now, in milliseconds.
    pub gap_ms: u32,
    /// Whether its front is ours, and can be changed.
    pub own_front: bool,
}

/// Why a recording is not made, or does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordFault {
    /// Folder or file must not be written.
    NoAccess,
    /// It is being recorded already.
    AlreadyExists,
    /// What is there cannot be gone on with.
    Structure,
    /// The file system is full, or has less free than is to be kept (`record.keep_free`).
    Full,
    /// It is mounted for reading only.
    ReadOnly,
    /// The medium is gone, or does not answer.
    Medium,
    /// No more are made at once (`limits.recordings`).
    Places,
    /// The name cannot be that of a file.
    Name,
    /// No directory was named for recordings.
    NoPlace,
}

impl RecordFault {
    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            RecordFault::NoAccess => "the folder or the file must not be written",
            RecordFault::AlreadyExists => "it is being recorded already",
            RecordFault::Structure => "what is there cannot be gone on with",
            RecordFault::Full => "there is no room left (record.keep_free)",
            RecordFault::ReadOnly => "the file system is mounted read-only",
            RecordFault::Medium => "the medium does not answer",
            RecordFault::Places => "no more are made at once (limits.recordings)",
            RecordFault::NoPlace => "there is no directory for it (server.root, record.directory)",
            RecordFault::Name => "its name cannot be that of a file",
        }
    }
}

impl fmt::Display for RecordFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

impl RecordingName {
    /// What the recording of a stream of an application is called.
    ///
    /// # Errors
    ///
    /// [`RecordFault::Name`].
    pub fn new(
        app: &str,
        path: &StreamPath,
        kind: RecordingKind,
        container: RecordContainer,
    ) -> Result<RecordingName, RecordFault> {
        let mut below = heapless::String::<RECORDING_PATH_BYTES>::new();
        let written = match kind {
            RecordingKind::Automatic => write!(below, "{}", path.as_str()),
            // One URL is one stream, wherever a client cuts it; where instances are apart each has a folder.
            _ if path.is_apart() => write!(below, "{}/{}", path.instance(), path.name()),
            _ if path.as_str().contains('/') => write!(below, "{}", path.as_str()),
            _ => write!(below, "{DEFAULT_INSTANCE}/{}", path.as_str()),
        };
        let is_name = |part: &str| !part.is_empty() && !part.starts_with('.');
        if written.is_err() || !below.split('/').all(is_name) {
            return Err(RecordFault::Name);
        }
        Ok(RecordingName { app: app.try_into().map_err(|_| RecordFault::Name)?, path: below, kind, container })
    }
}

/// Where a file is whole, and until which of its times, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WholePart {
    /// Bytes.
    pub bytes: u64,
    /// Milliseconds.
    pub ms: u32,
}

/// A file that is being recorded: no more of it is read than is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrowingFile {
    /// By which its recording is called.
    pub recording: RecordingId,
    /// `APP/PATH/FILE`.
    pub file: heapless::String<RECORDING_FILE_BYTES>,
    /// How much of it is whole.
    pub whole: WholePart,
}

/// A file of a recording that is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompleteFile {
    /// The application.
    pub app: heapless::String<APP_NAME_BYTES>,
    /// The stream's path in it.
    pub name: heapless::String<RECORDING_PATH_BYTES>,
    /// Where it is on the medium.
    pub path: heapless::String<RECORDING_FILE_BYTES>,
}

/// Who wants a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordedFor {
    /// The configuration.
    Configuration,
    /// The operator.
    Operator,
    /// The stream's publisher, who hears what becomes of it.
    Publisher(Holder),
    /// A script, which hears it, too.
    Script(InstanceId),
}

/// What a publisher or a script that asked for a recording hears of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordSaid {
    /// A file was begun.
    Started,
    /// It is complete.
    Stopped,
    /// What it was of is published no more, and nothing more is said of the recording.
    Unpublished,
    /// It cannot be begun.
    Refused(RecordFault),
    /// It does not go on. It will be tried again.
    Failed(RecordFault),
}

/// What the disk is to do.
#[derive(Debug, PartialEq)]
pub enum RecordJob {
    /// Make a file, or open one. What is open in the same place is closed.
    Open {
        /// By which it is called from now on.
        id: RecordingId,
        /// Which.
        name: RecordingName,
        /// Of MP4, the mark of the tracks that it is to have ([`Init::mark`](crate::wire::mp4::init::Init::mark)): a file with others is
        /// not gone on with.
        mark: u64,
    },
    /// Write.
    Write {
        /// Into which.
        id: RecordingId,
        /// From which byte on.
        at: u64,
        /// What.
        block: WriteBlock,
        /// And have it on the medium.
        sync: bool,
    },
    /// The file is complete.
    Close {
        /// Which.
        id: RecordingId,
        /// Where it ends. One that ends at 0 is removed.
        end: u64,
    },
    /// One step of what is done for files that nobody waits for: unfinished ones are finished, old ones deleted.
    Tend,
    /// The first page of the list of recordings, for the operator or the page.
    List {
        /// Which: empty for all, or `APP`, or `APP/NAME`.
        of: RecordingFileName,
        /// Films of the applications' media folders besides, last.
        films: bool,
    },
    /// The page behind the last one.
    ListOn,
    /// Delete those that were asked for by a name, for a script.
    Clear {
        /// By which.
        name: RecordingName,
        /// All that lie in the same folder or below.
        all: bool,
    },
    /// Delete one, for the operator.
    Delete {
        /// Which, as the list shows it.
        file: RecordingFileName,
    },
}

/// What came of it.
#[derive(Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "it moves between two queues, and takes nothing from the heap")]
pub enum RecordDone {
    /// To [`RecordJob::Open`].
    Opened {
        /// By which.
        id: RecordingId,
        /// What.
        result: Result<OpenedRecording, RecordFault>,
    },
    /// To [`RecordJob::Write`].
    Written {
        /// Into which.
        id: RecordingId,
        /// The block; `None` when it was lost, which is once in the life of a server: the thread has panicked.
        block: Option<WriteBlock>,
        /// Whether it was written.
        result: Result<(), RecordFault>,
    },
    /// To [`RecordJob::Close`].
    Closed {
        /// Which.
        id: RecordingId,
        /// Whether all of it is on the medium.
        result: Result<(), RecordFault>,
    },
    /// To [`RecordJob::Tend`].
    Tended {
        /// There is more to do at once.
        more: bool,
        /// A file that is complete since, for who wants to know.
        complete: Option<CompleteFile>,
    },
    /// To [`RecordJob::List`] and [`RecordJob::ListOn`].
    Listed {
        /// What there is.
        page: Box<RecordingsPage>,
    },
    /// To [`RecordJob::Clear`].
    Cleared {
        /// Whether they are gone.
        result: Result<(), NotDeleted>,
    },
    /// To [`RecordJob::Delete`].
    Deleted {
        /// Whether it is gone.
        result: Result<(), NotDeleted>,
    },
}

/// What a recording is called for people: `APP/PATH/FILE`.
pub type RecordingFileName = heapless::String<RECORDING_FILE_BYTES>;

/// Recordings of a page of the list.
pub const PAGE_RECORDINGS: usize = 16;

/// A page of the list of recordings.
#[derive(Debug, Default, PartialEq)]
pub struct RecordingsPage {
    /// What is on it: automatic ones first, each kind in the order of names.
    pub rows: heapless::Vec<ListedRecording, PAGE_RECORDINGS>,
    /// Another follows.
    pub more: bool,
}

/// A recording of the list.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedRecording {
    /// Which.
    pub file: RecordingFileName,
    /// How large it is.
    pub bytes: u64,
    /// When it was last written, in seconds since 1970, as the clock was then.
    pub written_s: u64,
    /// How far it is.
    pub state: ListedState,
    /// It was asked for by its name, and is played by it, or is a film.
    pub is_named: bool,
}

/// How far a recording is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListedState {
    /// It is being made.
    Recording,
    /// A server that lost its power left it, and it was not looked at yet.
    Unfinished,
    /// It is complete.
    Complete,
}

impl ListedState {
    /// In a word.
    pub const fn name(self) -> &'static str {
        match self {
            ListedState::Recording => "recording",
            ListedState::Unfinished => "unfinished",
            ListedState::Complete => "complete",
        }
    }
}

/// Why a recording was not deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotDeleted {
    /// No recording is called so.
    Name,
    /// There is none of that name.
    Missing,
    /// It, or a folder on the way to it, is a link, which may lead anywhere.
    Link,
    /// It is being made.
    Recorded,
    /// The medium does not let it go.
    Fault(RecordFault),
}

impl NotDeleted {
    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            NotDeleted::Name => "that is not how recordings are called: APP/PATH/FILE, see recordings",
            NotDeleted::Missing => "there is no such recording: see recordings",
            NotDeleted::Link => "it is a link, or behind one, and no recording of this server",
            NotDeleted::Recorded => "it is being recorded: record stop first",
            NotDeleted::Fault(fault) => fault.words(),
        }
    }
}

/// Bytes on their way to a file. Blocks are obtained when the server starts, and only move.
#[derive(PartialEq, Eq)]
pub struct WriteBlock {
    bytes: Box<[u8]>,
    length: u32,
}

impl WriteBlock {
    /// An empty one of so many bytes. This is what takes memory.
    pub fn new(bytes: usize) -> WriteBlock {
        // Not zero: a zeroed allocation would be mapped to no memory at all.
        WriteBlock { bytes: vec![0xA5; bytes].into_boxed_slice(), length: 0 }
    }

    /// What is to be written.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length as usize]
    }

    /// How many bytes are in it.
    pub fn len(&self) -> usize {
        self.length as usize
    }

    /// Nothing is.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// What can still be put in, from its front on; then [`WriteBlock::put`].
    pub fn room(&mut self) -> &mut [u8] {
        &mut self.bytes[self.length as usize..]
    }

    /// So many bytes of [`WriteBlock::room`] were put in.
    pub fn put(&mut self, count: usize) {
        debug_assert!(count <= self.bytes.len() - self.length as usize, "what was put in had room");
        self.length += count as u32;
    }

    /// Puts in as many of these bytes as there is room for, and says how many.
    pub fn fill(&mut self, bytes: &[u8]) -> usize {
        let room = self.room();
        let count = bytes.len().min(room.len());
        room[..count].copy_from_slice(&bytes[..count]);
        self.put(count);
        count
    }

    /// Takes everything out that lies behind so many bytes.
    pub fn truncate(&mut self, bytes: usize) {
        self.length = self.length.min(bytes as u32);
    }
}

impl fmt::Debug for WriteBlock {
    /// Without its bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteBlock").field("length", &self.length).finish()
    }
}

/// What happened to recordings since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordCounts {
    /// Files that were begun.
    pub files: u64,
    /// Bytes of complete files.
    pub bytes: u64,
    /// Times a recording lost something because the disk did not follow.
    pub gaps: u64,
    /// Milliseconds that are missing in complete files.
    pub lost_ms: u64,
    /// Files that could not be opened, written or closed.
    pub faults: u64,
    /// Recordings that found no place.
    pub no_place: u64,
}

impl RecordCounts {
    /// By the names that the log and the control socket give them.
    pub fn named(&self) -> [(&'static str, u64); 5] {
        [
            ("recordings", self.files),
            ("recorded_bytes", self.bytes),
            ("recording_gaps", self.gaps),
            ("recording_lost_ms", self.lost_ms),
            ("recording_faults", self.faults),
        ]
    }
}

/// The share of a stream's ring that a block is, and its bounds in bytes: a card takes large blocks best.
const BLOCK_SHARE: u64 = 32;
pub(crate) const LEAST_BLOCK_BYTES: u64 = 128 << 10;
const MOST_BLOCK_BYTES: u64 = 512 << 10;

/// Bytes of each block.
pub fn write_block_bytes(settings: &Settings) -> usize {
    (settings.ring_bytes / BLOCK_SHARE).clamp(LEAST_BLOCK_BYTES, MOST_BLOCK_BYTES) as usize
}
