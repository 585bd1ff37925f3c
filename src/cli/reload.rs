//! What the disk thread does: it looks applications up, and reads the configuration again.

use log::{error, info, warn};

use crate::apps::Applications;
use crate::config::{self, Config};
use crate::net::logging;
use crate::server::files::{Answer, Question};
use crate::server::registry::App;

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

    /// Says in the log what is wrong with applications, before a client has to find out.
    pub(super) fn look_at(&mut self, apps: &[App]) {
        for app in apps {
            self.apps.lookup(&app.name, None);
        }
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
