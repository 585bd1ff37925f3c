//! What the server asks of the disk, and what it gets back. It never blocks: the loop fetches the jobs of each [`DiskLane`]
//! (`Server::next_job`) and brings what came of them when it is there (`Server::done`).

use crate::limits::APP_NAME_BYTES;

use super::app::AppDefinition;
use super::settings::Settings;

/// Which thread does a job: what clients wait for stands behind nothing that may take long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskLane {
    /// What clients wait for: an application's few small files.
    LookUps,
    /// What may take long, and no client waits for.
    Bulk,
}

impl DiskLane {
    /// Both, in the order of their numbers.
    pub const ALL: [DiskLane; 2] = [DiskLane::LookUps, DiskLane::Bulk];
}

/// What the server wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Job {
    /// What the directory of an application says.
    App {
        /// Its name, as a client sent it: checked by [`AppPath`](crate::name::AppPath).
        name: heapless::String<APP_NAME_BYTES>,
        /// [`AppDefinition::stamp`] of what is known of it.
        stamp: Option<u64>,
    },
    /// What the configuration says now.
    Reload,
    /// Whether anything is wrong with files, scripts included, for the log: before a client needs them.
    Survey,
}

impl Job {
    /// Where it is done.
    pub fn lane(&self) -> DiskLane {
        match self {
            Job::App { .. } => DiskLane::LookUps,
            Job::Reload | Job::Survey => DiskLane::Bulk,
        }
    }
}

/// What the disk says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// To [`Job::App`].
    App {
        /// Which.
        name: heapless::String<APP_NAME_BYTES>,
        /// What became of it.
        lookup: Lookup,
    },
    /// To [`Job::Reload`]: the settings, in which only what can change without a restart is other than before.
    Settings(Box<Settings>),
    /// To [`Job::Reload`]: the configuration is wrong, so nothing changes. The text is one line; every error is in
    /// the log.
    NotReloaded(String),
    /// To [`Job::Survey`]. What is wrong is in the log.
    Surveyed,
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
