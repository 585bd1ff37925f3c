//! What the server asks of the disk, and what it gets back. It never blocks: the loop fetches the jobs of each [`DiskLane`]
//! (`Server::next_job`) and brings what came of them when it is there (`Server::done`).

use core::net::SocketAddr;

use crate::handles::{ConnId, FeatureId, HostIndex};
use crate::limits::{APP_NAME_BYTES, RELAY_ADDRESSES, RELAY_HOST_BYTES};
use crate::wire::script_link::InstanceId;

use super::app::AppDefinition;
use super::download::{DownloadDone, DownloadJob};
use super::health::BoardFacts;
use super::recorded::{Block, Fill, Follows, NotPlayed, RecordedFacts, RecordedId, RecordedName, RecordedTerms};
use super::recording::{GrowingFile, RecordDone, RecordJob};
use super::script_text::{TextBlock, TextFollows};
use super::secret::AdminKey;
use super::settings::Settings;

/// Which thread does a job: what clients wait for stands behind nothing that may take long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskLane {
    /// What clients wait for who join: an application's few small files.
    LookUps,
    /// What those wait for who play recorded streams: a card that stalls in a film keeps nobody from joining.
    Recorded,
    /// What may take long, and no client waits for.
    Bulk,
    /// What is recorded: a medium that takes seconds to write holds up nobody who reads.
    Recordings,
}

impl DiskLane {
    /// All of them, in the order of their numbers.
    pub const ALL: [DiskLane; 4] = [DiskLane::LookUps, DiskLane::Recorded, DiskLane::Bulk, DiskLane::Recordings];
}

/// What the server wants to know, or to have.
#[derive(Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "it moves between two queues, and takes nothing from the heap")]
pub enum Job {
    /// What the directory of an application says.
    App {
        /// Its name, as a client sent it: checked by [`AppPath`](crate::name::AppPath).
        name: heapless::String<APP_NAME_BYTES>,
        /// [`AppDefinition::stamp`] of what is known of it.
        stamp: Option<u64>,
    },
    /// The next piece of a script's text. The first one that a process is told of an instance begins it.
    Text {
        /// For which process.
        host: HostIndex,
        /// For which of its instances.
        script: InstanceId,
        /// Of which application: as in [`Job::App`].
        name: heapless::String<APP_NAME_BYTES>,
        /// [`ScriptDefinition::stamp`](super::app::ScriptDefinition::stamp) of the script that is meant.
        stamp: u64,
        /// Where it is put.
        block: TextBlock,
    },
    /// What the configuration says now.
    Reload,
    /// The administrator's key is to be this one from now on, or none.
    AdminKey {
        /// Which.
        key: Option<AdminKey>,
    },
    /// Whether anything is wrong with files, scripts included, for the log: before a client needs them.
    Survey,
    /// What the board says of itself.
    Board,
    /// The addresses of a far end. It may take as long as the network's name servers do.
    Resolve {
        /// For whom.
        id: LookUpId,
        /// Host name.
        host: heapless::String<RELAY_HOST_BYTES>,
        /// TCP port.
        port: u16,
    },
    /// A recorded stream is to be played: its file is found, and stays open until [`Job::Close`]. What was open in the same
    /// place is closed.
    Open {
        /// For whom.
        id: RecordedId,
        /// Which.
        name: RecordedName,
        /// The file, if it is one that is being recorded.
        growing: Option<GrowingFile>,
    },
    /// Messages of an open file. Everything in the block is replaced.
    Fill {
        /// Of which.
        id: RecordedId,
        /// Which messages.
        fill: Fill,
        /// How they are sent.
        terms: RecordedTerms,
        /// Where they are put.
        block: Block,
    },
    /// An open file is not needed any more.
    Close {
        /// Which.
        id: RecordedId,
    },
    /// What is known of a recorded stream, whether it is played or not.
    Facts {
        /// Which client wants to know, if it is one.
        asked: Option<AskedBy>,
        /// Of which.
        name: RecordedName,
    },
    /// Which of the files that an instance can play is the next by name.
    List {
        /// Behind which: at first [`RecordedName::before_all`].
        after: RecordedName,
    },
    /// For a recording that is made.
    Recording(RecordJob),
    /// For a file that is fetched.
    Download(DownloadJob),
}

/// Who wants to know the addresses of a host: a place, and how often that was used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookUpId {
    /// Whose places.
    pub of: FeatureId,
    /// Which.
    pub place: u16,
    /// So that no answer is another one's.
    pub generation: u32,
}

/// A client's question: what it is given back with the answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AskedBy {
    /// Whose.
    pub conn: ConnId,
    /// Its transaction id.
    pub transaction: f64,
    /// What it wants to know.
    pub what: AskedFor,
}

/// What a client wants to know of a recorded stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskedFor {
    /// How long it is.
    Length,
    /// What there is of its recording.
    DvrInfo,
}

/// What came of an administrator's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKept {
    /// It is in its file.
    InFile,
    /// There is no directory for it, so that it holds until the server ends.
    InMemory,
    /// It is not: another one stands in the configuration.
    Configured,
    /// It is not: its file cannot be written, of which the log says why.
    Fault,
}

impl Job {
    /// Where it is done.
    pub fn lane(&self) -> DiskLane {
        match self {
            Job::App { .. } | Job::Text { .. } => DiskLane::LookUps,
            Job::Open { .. }
            | Job::Fill { .. }
            | Job::Close { .. }
            | Job::Facts { .. }
            | Job::List { .. }
            | Job::Download(_) => DiskLane::Recorded,
            Job::Reload | Job::AdminKey { .. } | Job::Survey | Job::Board | Job::Resolve { .. } => DiskLane::Bulk,
            Job::Recording(_) => DiskLane::Recordings,
        }
    }
}

/// What the disk says.
#[derive(Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "it moves between two queues, and takes nothing from the heap")]
pub enum Done {
    /// To [`Job::App`].
    App {
        /// Which.
        name: heapless::String<APP_NAME_BYTES>,
        /// What became of it.
        lookup: Lookup,
    },
    /// To [`Job::Text`].
    Text {
        /// For which process.
        host: HostIndex,
        /// For which of its instances.
        script: InstanceId,
        /// The piece; `None` when it was lost, which is once in the life of a server: the thread has panicked.
        block: Option<TextBlock>,
        /// What follows.
        next: TextFollows,
    },
    /// To [`Job::Reload`]: the settings, in which only what can change without a restart is other than before.
    Settings(Box<Settings>),
    /// To [`Job::Reload`]: the configuration is wrong, so nothing changes. The text is one line; every error is in
    /// the log.
    NotReloaded(String),
    /// To [`Job::AdminKey`].
    AdminKey {
        /// With it, unless it was not kept.
        settings: Option<Box<Settings>>,
        /// What came of it.
        kept: KeyKept,
    },
    /// To [`Job::Survey`]. What is wrong is in the log.
    Surveyed,
    /// To [`Job::Board`].
    Board(BoardFacts),
    /// To [`Job::Resolve`].
    Resolved {
        /// For whom.
        id: LookUpId,
        /// The first of them; none when there are none, or they cannot be found.
        found: heapless::Vec<SocketAddr, RELAY_ADDRESSES>,
    },
    /// To [`Job::Open`].
    Opened {
        /// For whom.
        id: RecordedId,
        /// Which.
        name: RecordedName,
        /// What it is; or why there is none, and the place is free.
        found: Result<RecordedFacts, NotPlayed>,
    },
    /// To [`Job::Fill`].
    Filled {
        /// Of which.
        id: RecordedId,
        /// The messages; `None` when it was lost, which is once in the life of a server: the thread has panicked.
        block: Option<Block>,
        /// The time of the file of the first audio or video frame that begins in the block, in milliseconds.
        from_ms: Option<u32>,
        /// What follows.
        next: Follows,
    },
    /// To [`Job::Close`].
    Closed {
        /// Which.
        id: RecordedId,
    },
    /// To [`Job::Facts`].
    Facts {
        /// Which client wanted to know, if it was one.
        asked: Option<AskedBy>,
        /// Of which.
        name: RecordedName,
        /// What it is.
        found: Result<RecordedFacts, NotPlayed>,
    },
    /// To [`Job::List`].
    Listed {
        /// The next one, called by its own ending; behind the last what was asked.
        name: RecordedName,
        /// It is one.
        is_next: bool,
        /// Changes when files come, go, or are renamed.
        stamp: u64,
    },
    /// To [`Job::Recording`].
    Recording(RecordDone),
    /// To [`Job::Download`].
    Download(DownloadDone),
}

/// After so long the disk is asked again about files that are being written, in milliseconds.
pub const CHANGING_MS: u64 = 250;

/// What was found of an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// It is new or has changed.
    Found(Box<AppDefinition>),
    /// It is what its stamp says.
    Unchanged,
    /// Its files are being written: what held goes on holding, and when nothing did, there is nothing to go by yet. It has
    /// to be asked again ([`CHANGING_MS`]).
    Changing,
    /// There is no such directory.
    Missing,
    /// It cannot be used. The text is one line that names file, line and key; every error is in the log. It is for the
    /// log only, not for clients: it has paths in it.
    Broken(String),
}

/// Whether the configuration is to be read again. All who want it while the disk is at it get one more reading together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reload {
    /// Somebody wants it.
    pub wanted: bool,
    /// The disk is at it.
    pub under_way: bool,
}

impl Reload {
    /// Whether the disk is to be asked now. Asking takes it.
    pub fn is_due(&mut self) -> bool {
        let due = self.wanted && !self.under_way;
        if due {
            *self = Reload { wanted: false, under_way: true };
        }
        due
    }
}
