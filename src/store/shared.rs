//! What both lanes know: the configuration in force, and what the log was told of applications. No file is touched while it
//! is locked, so neither lane ever waits for the other's disk.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::apps::AppName;
use crate::config::{Config, RecordedPlaces};
use crate::live::app::MEDIA;

use super::by_app::ByApp;

pub(super) struct Shared {
    config: Mutex<Arc<Config>>,
    apps: Mutex<ByApp<KnownApp>>,
}

/// What is known of an application.
#[derive(Default)]
struct KnownApp {
    /// The stamp that it had when the log was last told what is the matter with it.
    complained: Option<u64>,
    /// What its own file says of where its recorded streams lie.
    recorded: RecordedPlaces,
    /// The program that is run for each of its complete recordings, once its file was read.
    command: Option<Vec<String>>,
}

impl Shared {
    pub(super) fn new(config: Config) -> Shared {
        Shared { config: Mutex::new(Arc::new(config)), apps: Mutex::default() }
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
        lock(&self.apps).entry(name).complained.replace(stamp) != Some(stamp)
    }

    /// Where an application's own file says that its recorded streams lie.
    pub(super) fn set_recorded_places(&self, name: &AppName, places: RecordedPlaces) {
        lock(&self.apps).entry(name).recorded = places;
    }

    /// Where the recorded streams of an application lie that has this directory: what its own file says, and what holds for all.
    pub(super) fn recorded_places(&self, name: &AppName, own: &Path) -> RecordedPlaces {
        let config = self.config();
        let said = lock(&self.apps).get(name).map(|known| known.recorded.clone());
        let own = said.unwrap_or_default().with(&config.recorded.named, own);
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
        lock(&self.apps).entry(name).command = Some(command);
    }

    /// The program that is run for each complete recording of an application; empty for none.
    pub(super) fn record_command(&self, app: &str) -> Vec<String> {
        let known = lock(&self.apps).get(app).and_then(|known| known.command.clone());
        known.unwrap_or_else(|| self.config().settings.record.on_complete.clone())
    }

    /// The application is gone.
    pub(super) fn forget(&self, name: &AppName) {
        lock(&self.apps).remove(name);
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
