//! The lane of what may take long, and what no client waits for: reading the configuration again, which waits for a file
//! that is being written, and looking for errors in files before somebody needs them.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;

use log::{error, info, warn};

use crate::config::{Config, TakesEffect};
use crate::limits::RELAY_ADDRESSES;
use crate::live::jobs::{Done, Job, KeyKept};
use crate::live::secret::AdminKey;

use super::admin_key;
use super::apps_directory::{AppsDirectory, ScriptCheck};
use super::board_facts;
use super::configuration::{ConfigFile, Options, Watched, configuration_of};
use super::recordings::disk::Space;
use super::shared::Shared;

/// What the store leaves to who composes the program: the store does not know the machine.
pub struct Machine {
    /// Whether the server could be started with a configuration; if not, why.
    pub fits: fn(&Config) -> Result<(), String>,
    /// Has the log follow a configuration: its time, and its level if the environment does not say that.
    pub log: fn(&Config, level_is_fixed: bool),
    /// Finds the first error of a script without running it.
    pub script: ScriptCheck,
    /// Where the kernel says what it knows of the board.
    pub system: &'static str,
    /// The room of the file system in which a directory is.
    pub room: fn(&Path) -> io::Result<Space>,
    /// Reads the certificate for TLS again.
    pub certificate: Box<dyn FnMut() + Send>,
}

/// Does the jobs of [`DiskLane::Bulk`](crate::live::jobs::DiskLane::Bulk).
pub struct Bulk {
    options: Options,
    machine: Machine,
    /// The environment says what is logged, which outweighs the configuration.
    level_is_fixed: bool,
    shared: Arc<Shared>,
    apps: AppsDirectory,
    file: Watched,
    /// What stood in the configuration's file when the log was last told of it.
    told: u64,
    /// The administrator's key where there is no file for it.
    admin_key: Option<AdminKey>,
}

/// The first addresses of a host; none when it has none, or its name servers do not say.
fn addresses(host: &str, port: u16) -> heapless::Vec<SocketAddr, RELAY_ADDRESSES> {
    let mut found = heapless::Vec::new();
    for address in (host, port).to_socket_addrs().into_iter().flatten() {
        if found.push(address).is_err() {
            break;
        }
    }
    found
}

impl Bulk {
    pub(super) fn new(options: Options, level_is_fixed: bool, machine: Machine, shared: Arc<Shared>) -> Bulk {
        let mut file = Watched::new();
        // The server started with it.
        let first = if Watched::is_regular(&options) { file.look(&options) } else { None };
        let told = first.map_or(0, |(_, inside)| inside);
        let apps = AppsDirectory::sharing(shared.clone());
        Bulk { options, machine, level_is_fixed, shared, apps, file, told, admin_key: None }
    }

    /// Does a job of this lane.
    pub fn work(&mut self, job: Job) -> Done {
        match job {
            Job::Reload => self.reload(),
            Job::AdminKey { key } => self.admin_key(key),
            Job::Survey => {
                self.apps.survey(self.machine.script);
                self.survey_configuration();
                Done::Surveyed
            }
            Job::Board => {
                Done::Board(board_facts::read(Path::new(self.machine.system), &self.shared.config(), self.machine.room))
            }
            Job::Resolve { id, host, port } => Done::Resolved { id, found: addresses(&host, port) },
            job => unreachable!("a job of another lane: {job:?}"),
        }
    }

    /// Says in the log what is wrong with the configuration's file as soon as it is written, and not when the server cannot
    /// start with it.
    fn survey_configuration(&mut self) {
        if !Watched::is_regular(&self.options) {
            return;
        }
        let Some((file, inside)) = self.file.look(&self.options) else { return };
        if std::mem::replace(&mut self.told, inside) == inside {
            return;
        }
        match self.load(file) {
            Ok(wanted) if wanted.changes(&self.shared.config()).next().is_some() => {
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
        let mut config = configuration_of(&self.options, file)?;
        admin_key::complete(&mut config).map_err(|error| vec![error])?;
        if admin_key::path(&config).is_none() && config.settings.admin_key.is_none() {
            config.settings.admin_key.clone_from(&self.admin_key);
        }
        // Its counts wait for a restart, which must then be possible.
        (self.machine.fits)(&config).map(|()| config).map_err(|error| vec![error])
    }

    /// Keeps the administrator's key from now on.
    fn admin_key(&mut self, key: Option<AdminKey>) -> Done {
        let mut config = Config::clone(&self.shared.config());
        if config.rows().iter().any(|row| row.key == "web.admin_key" && !row.value.is_empty()) {
            return Done::AdminKey { settings: None, kept: KeyKept::Configured };
        }
        let kept = match admin_key::path(&config) {
            Some(path) => match admin_key::keep(&path, key.as_ref()) {
                Ok(()) => KeyKept::InFile,
                Err(error) => {
                    error!("rill admin key not kept: {error}");
                    return Done::AdminKey { settings: None, kept: KeyKept::Fault };
                }
            },
            None => KeyKept::InMemory,
        };
        self.admin_key.clone_from(&key);
        config.settings.admin_key = key;
        let settings = Box::new(config.settings.clone());
        self.shared.set_config(config);
        Done::AdminKey { settings: Some(settings), kept }
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
        let before = self.shared.config();
        let (mut changed, mut waiting) = (0, 0);
        for (old, new) in wanted.changes(&before) {
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
        let config = before.changed_to(wanted);
        let settings = Box::new(config.settings.clone());
        info!("rill configuration reloaded changed={changed} waiting={waiting}");
        (self.machine.log)(&config, self.level_is_fixed);
        (self.machine.certificate)();
        self.shared.set_config(config);
        Done::Settings(settings)
    }
}
