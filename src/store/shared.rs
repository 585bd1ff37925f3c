//! What both lanes know: the configuration in force, and what the log was told of applications. No file is touched while it
//! is locked, so neither lane ever waits for the other's disk.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::apps::AppName;
use crate::config::Config;

pub(super) struct Shared {
    config: Mutex<Arc<Config>>,
    /// The stamp that each application had when the log was last told what is the matter with it.
    complained: Mutex<BTreeMap<AppName, u64>>,
}

impl Shared {
    pub(super) fn new(config: Config) -> Shared {
        Shared { config: Mutex::new(Arc::new(config)), complained: Mutex::default() }
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

    /// The application is gone.
    pub(super) fn forget(&self, name: &AppName) {
        lock(&self.complained).remove(name);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
