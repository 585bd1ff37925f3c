//! What the disk thread does: it looks applications up, and reads the configuration again.

use log::{error, info, warn};

use crate::apps::{AppName, Applications};
use crate::config::{self, Config};
use crate::net::logging;
use crate::server::app::AppDefinition;
use crate::server::files::{Answer, Lookup, Question};

use super::{Options, limits, load};

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
    /// find out.
    pub(super) fn definitions(&mut self, names: &[AppName]) -> Vec<AppDefinition> {
        let mut found = Vec::new();
        for name in names {
            if let Lookup::Found(definition) = self.apps.lookup(name, None) {
                found.push(*definition);
            }
        }
        found
    }

    /// The answer to `question`.
    pub(super) fn answer(&mut self, question: Question) -> Answer {
        match question {
            Question::App { name, stamp } => Answer::App { lookup: self.apps.lookup(&name, stamp), name },
            Question::Reload => self.reload(),
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
