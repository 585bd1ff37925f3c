//! What both lanes know: the configuration in force, and what the log was told of applications. No file is touched while it
//! is locked, so neither lane ever waits for the other's disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::apps::{AppName, named};
use crate::config::{Config, RecordedPlaces};
use crate::live::app::MEDIA;

pub(super) struct Shared {
    config: Mutex<Arc<Config>>,
    /// The stamp that each application had when the log was last told what is the matter with it.
    complained: Mutex<BTreeMap<AppName, u64>>,
    /// What applications' own files say of where their recorded streams lie.
    recorded: Mutex<BTreeMap<AppName, RecordedPlaces>>,
    /// The programs that are run for each complete recording, of applications that were read.
    commands: Mutex<BTreeMap<AppName, Vec<String>>>,
}

impl Shared {
    pub(super) fn new(config: Config) -> Shared {
        Shared {
            config: Mutex::new(Arc::new(config)),
            complained: Mutex::default(),
            recorded: Mutex::default(),
            commands: Mutex::default(),
        }
    }

    /// What is in force.
    pub(super) fn config(&self) -> Arc<Config> {
        lock(&self.config).clone()
    }

    pub(super) fn set_config(&self, config: Config) {
        *lock(&self.config) = Arc::new(config);
    }

    /// What is the matter with an application that has this stamp is to be told now. Whether it was not told before: it is
    /// in the log once, whichever lane saw it, and though a client may try again and again.
    pub(super) fn complain(&self, name: &AppName, stamp: u64) -> bool {
        lock(&self.complained).insert(name.clone(), stamp) != Some(stamp)
    }

    /// Where an application's own file says that its recorded streams lie.
    pub(super) fn set_recorded_places(&self, name: &AppName, places: RecordedPlaces) {
        lock(&self.recorded).insert(name.clone(), places);
    }

    /// Where the recorded streams of an application lie that has this directory: what its own file says, and what holds for all.
    pub(super) fn recorded_places(&self, name: &AppName, own: &Path) -> RecordedPlaces {
        let config = self.config();
        let own = lock(&self.recorded).get(name).cloned().unwrap_or_default().with(&config.recorded.named, own);
        let all = || config.recorded.directory.as_ref().map(|directory| directory.join(name.as_str()));
        RecordedPlaces { directory: own.directory.or_else(all), named: own.named }
    }

    /// The directories in which the films of an application lie that has this one, each with what stands before their names.
    pub(super) fn film_trees(&self, name: &AppName, own: &Path) -> Vec<(PathBuf, String)> {
        let RecordedPlaces { directory, named } = self.recorded_places(name, own);
        let first = (directory.unwrap_or_else(|| own.join(MEDIA)), String::new());
        [first].into_iter().chain(named.into_iter().map(|other| (other.directory, other.name))).collect()
    }

    /// The program that an application wants to be run for each complete recording.
    pub(super) fn set_record_command(&self, name: &AppName, command: Vec<String>) {
        lock(&self.commands).insert(name.clone(), command);
    }

    /// The program that is run for each complete recording of an application; empty for none.
    pub(super) fn record_command(&self, app: &str) -> Vec<String> {
        let known = named(app).and_then(|name| lock(&self.commands).get(&name).cloned());
        known.unwrap_or_else(|| self.config().settings.record.on_complete.clone())
    }

    /// The application is gone.
    pub(super) fn forget(&self, name: &AppName) {
        lock(&self.complained).remove(name);
        lock(&self.recorded).remove(name);
        lock(&self.commands).remove(name);
    }
}

/// What is called so below a directory whose files' names begin with `before`; `None` when it is none of them.
pub(super) fn below<'a>(called: &'a str, before: &str) -> Option<&'a str> {
    match before {
        "" => Some(called),
        before => called.strip_prefix(before).and_then(|rest| rest.strip_prefix('/')),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
