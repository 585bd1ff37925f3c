//! What the disk thread does: it looks applications up, and reads the configuration again.

use std::thread;
use std::time::{Duration, Instant};

use log::{error, info, warn};

use crate::apps::{AppName, Applications};
use crate::config::settle::SETTLE_MS;
use crate::config::{self, Config};
use crate::net::logging;
use crate::server::app::AppDefinition;
use crate::server::files::{Answer, Lookup, Question};

use super::{Options, limits, load};

/// How long files that are being written are waited for where somebody waits for the answer. Files settle in less.
const PATIENCE: Duration = Duration::from_millis(2 * SETTLE_MS);
/// How long it is waited between two looks.
const PAUSE: Duration = Duration::from_millis(SETTLE_MS / 5);

/// Answers what the server asks of the disk.
pub(super) struct Loader {
    options: Options,
    /// What is in force.
    config: Config,
    apps: Applications,
    /// The environment says what is logged, which outweighs the configuration.
    level_is_fixed: bool,
}

impl Loader {
    /// Beginning with the configuration that the server started with.
    pub(super) fn new(options: Options, config: Config, level_is_fixed: bool) -> Loader {
        Loader { apps: Applications::new(&config), options, config, level_is_fixed }
    }

    /// What is said of each of `names` that is right. What is wrong with the others is in the log before a client has to
    /// find out. What is being written is waited for, though not for long: it is read when somebody connects.
    pub(super) fn definitions(&mut self, names: &[AppName]) -> Vec<AppDefinition> {
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

    /// The answer to `question`.
    pub(super) fn answer(&mut self, question: Question) -> Answer {
        match question {
            Question::App { name, stamp } => Answer::App { lookup: self.apps.lookup(&name, stamp), name },
            Question::Reload => self.reload(),
            Question::Survey => {
                self.apps.survey();
                Answer::Surveyed
            }
        }
    }

    fn reload(&mut self) -> Answer {
        let loaded = load::configuration(&self.options).and_then(|config| {
            // Its counts wait for a restart, which must then be possible.
            limits::check_budget(&config).map(|()| config).map_err(|error| vec![error])
        });
        let wanted = match loaded {
            Ok(wanted) => wanted,
            Err(errors) => {
                for error in &errors {
                    error!("rill configuration not reloaded {error}");
                }
                return Answer::NotReloaded(errors.into_iter().next().unwrap_or_default());
            }
        };
        let (mut changed, mut waiting) = (0, 0);
        for (old, new) in wanted.changes(&self.config) {
            let (key, old, new) = (old.key, &old.value, &new.value);
            if key == "server.log" && self.level_is_fixed {
                warn!("rill configuration key={key} old={old:?} new={new:?}: RUST_LOG outweighs it");
            } else if config::changes_at_once(key) {
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
        if !self.level_is_fixed {
            logging::set_level(&self.config.log);
        }
        Answer::Settings(Box::new(self.config.settings.clone()))
    }
}
