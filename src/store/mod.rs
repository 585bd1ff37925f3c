//! What the disk threads do: a job comes in, an answer goes out. Applications are looked up, and the configuration is
//! read again. Of either only what has settled is believed ([`settle`]).
//!
//! Nothing here knows of threads or sockets: [`crate::net`] has those, and calls [`Store::work`].

mod app_files;
mod apps_directory;
mod configuration;
pub mod settle;
mod text_file;

use std::thread;
use std::time::Instant;

use log::{error, info, warn};

use crate::apps::AppName;
use crate::config::{Config, TakesEffect};
use crate::features::script::SCRIPT_CHECK_STACK_BYTES;
use crate::live::app::AppDefinition;
use crate::live::jobs::{Done, Job, Lookup};

pub use apps_directory::{APPLICATIONS, AppsDirectory, list};
pub use configuration::{Options, ROOT_CONFIG, configuration, detected, wait_for_file};

use configuration::{ConfigFile, Watched, configuration_of};
use settle::{PATIENCE, PAUSE};

/// The stack in bytes of the thread that calls [`Store::work`]. Nothing takes more of it than a script that is nested
/// without end.
pub const STACK_BYTES: usize = 128 * 1024 + SCRIPT_CHECK_STACK_BYTES as usize;

/// What the store leaves to who composes the program: the store does not know the machine.
#[derive(Clone, Copy)]
pub struct Machine {
    /// Whether the server could be started with a configuration; if not, why.
    pub fits: fn(&Config) -> Result<(), String>,
    /// Has the log follow a configuration: its time, and its level if the environment does not say that.
    pub log: fn(&Config, level_is_fixed: bool),
}

/// Answers what the server asks of the disk.
pub struct Store {
    options: Options,
    /// What is in force.
    config: Config,
    apps: AppsDirectory,
    /// The environment says what is logged, which outweighs the configuration.
    level_is_fixed: bool,
    machine: Machine,
    file: Watched,
    /// What stood in the file when the log was last told of it.
    told: u64,
}

impl Store {
    /// Beginning with the configuration that the server started with.
    pub fn new(options: Options, config: Config, level_is_fixed: bool, machine: Machine) -> Store {
        let mut file = Watched::new();
        // The server started with it.
        let first = if Watched::is_regular(&options) { file.look(&options) } else { None };
        let told = first.map_or(0, |(_, inside)| inside);
        Store { apps: AppsDirectory::new(&config), options, config, level_is_fixed, machine, file, told }
    }

    /// What is said of each of `names` that is right. What is wrong with the others is in the log before a client has to
    /// find out. What is being written is waited for, though not for long: it is read when a client connects.
    pub fn definitions(&mut self, names: &[AppName]) -> Vec<AppDefinition> {
        let begin = Instant::now();
        let mut found: Vec<Lookup> = names.iter().map(|_| Lookup::Changing).collect();
        while found.contains(&Lookup::Changing) && begin.elapsed() < PATIENCE {
            for (name, lookup) in names.iter().zip(&mut found).filter(|(_, lookup)| **lookup == Lookup::Changing) {
                *lookup = self.apps.lookup(name, None);
            }
            if found.contains(&Lookup::Changing) {
                thread::sleep(PAUSE);
            }
        }
        let right = |lookup| match lookup {
            Lookup::Found(definition) => Some(*definition),
            _ => None,
        };
        found.into_iter().filter_map(right).collect()
    }

    /// The answer to `job`.
    pub fn work(&mut self, job: Job) -> Done {
        match job {
            Job::App { name, stamp } => Done::App { lookup: self.apps.lookup(&name, stamp), name },
            Job::Reload => self.reload(),
            Job::Survey => {
                self.apps.survey();
                self.survey();
                Done::Surveyed
            }
        }
    }

    /// Says in the log what is wrong with the configuration's file as soon as it is written, and not when the server cannot
    /// start with it.
    fn survey(&mut self) {
        if !Watched::is_regular(&self.options) {
            return;
        }
        let Some((file, inside)) = self.file.look(&self.options) else { return };
        if std::mem::replace(&mut self.told, inside) == inside {
            return;
        }
        match self.load(file) {
            Ok(wanted) if wanted.changes(&self.config).next().is_some() => {
                info!("rill configuration written: it takes effect with `rill ctl reload`, SIGHUP or a restart");
            }
            Ok(_) => {}
            Err(errors) => {
                for error in &errors {
                    error!("rill configuration broken {error}");
                }
            }
        }
    }

    fn load(&self, file: ConfigFile) -> Result<Config, Vec<String>> {
        let config = configuration_of(&self.options, file)?;
        // Its counts wait for a restart, which must then be possible.
        (self.machine.fits)(&config).map(|()| config).map_err(|error| vec![error])
    }

    fn reload(&mut self) -> Done {
        let loaded = self.file.wait(&self.options).and_then(|(file, inside)| {
            self.told = inside;
            self.load(file)
        });
        let wanted = match loaded {
            Ok(wanted) => wanted,
            Err(errors) => {
                for error in &errors {
                    error!("rill configuration not reloaded {error}");
                }
                return Done::NotReloaded(errors.into_iter().next().unwrap_or_default());
            }
        };
        let (mut changed, mut waiting) = (0, 0);
        for (old, new) in wanted.changes(&self.config) {
            let (key, takes_effect, old, new) = (new.key, new.takes_effect, &old.value, &new.value);
            if key == "server.log" && self.level_is_fixed {
                warn!("rill configuration key={key} old={old:?} new={new:?}: RUST_LOG outweighs it");
            } else if takes_effect == TakesEffect::AtOnce {
                info!("rill configuration changed key={key} old={old:?} new={new:?}");
                changed += 1;
            } else {
                warn!("rill configuration key={key} old={old:?} new={new:?}: needs a restart");
                waiting += 1;
            }
        }
        self.config = self.config.changed_to(wanted);
        self.apps.reconfigure(&self.config);
        info!("rill configuration reloaded changed={changed} waiting={waiting}");
        (self.machine.log)(&self.config, self.level_is_fixed);
        Done::Settings(Box::new(self.config.settings.clone()))
    }
}
