//! What the disk thread does: it looks applications up, and reads the configuration again. Of either it believes only
//! what has settled.

use std::thread;
use std::time::{Duration, Instant};

use log::{error, info, warn};

use crate::apps::{AppName, Applications};
use crate::config::settle::{Clock, Look, Outside, SETTLE_MS, Verdict, Watch, hash};
use crate::config::{self, Config};
use crate::net::logging;
use crate::server::app::AppDefinition;
use crate::server::files::{Answer, Lookup, Question};

use super::load::ConfigFile;
use super::{Options, limits, load};

/// How long files that are being written are waited for when a client waits for the answer. Files settle in less.
const PATIENCE: Duration = Duration::from_millis(2 * SETTLE_MS);
/// How long it is waited between two looks.
const PAUSE: Duration = Duration::from_millis(50);
/// For how long the configuration's file may not have changed when it is to be read, in milliseconds.
const WHOLE_MS: u64 = 200;

/// Answers what the server asks of the disk.
pub(super) struct Loader {
    options: Options,
    /// What is in force.
    config: Config,
    apps: Applications,
    /// The environment says what is logged, which outweighs the configuration.
    level_is_fixed: bool,
    file: Watched,
    /// What stood in the file when the log was last told of it.
    told: u64,
}

/// The file of the configuration.
struct Watched {
    clock: Clock,
    watch: Watch,
}

impl Watched {
    fn new() -> Watched {
        Watched { clock: Clock::start(), watch: Watch::of_whole(WHOLE_MS) }
    }

    /// It can be read again and again. A pipe says once what is in it.
    fn is_regular(options: &Options) -> bool {
        load::path(options).and_then(|path| path.metadata().ok()).is_none_or(|metadata| metadata.is_file())
    }

    /// What is in it now, with a hash of that; `None` while it is being written.
    fn look(&mut self, options: &Options) -> Option<(ConfigFile, u64)> {
        let outside = |file: &ConfigFile| file.as_ref().map(|(path, _)| (path.clone(), Outside::at(path)));
        let file = load::file(options);
        let before = outside(&file);
        let now = self.clock.now();
        // Written to between two readings, it is neither the one nor the other.
        let again = load::file(options);
        let times = before.iter().filter_map(|(_, outside)| outside.as_ref());
        let is_same = again == file && before == outside(&again);
        let quiet_ms = if is_same { self.clock.quiet_ms(times, now) } else { 0 };
        let text = |file: &ConfigFile| file.as_ref().map_or(0, |(_, text)| text.as_ref().map_or(0, String::len));
        let look = Look {
            outside: hash(&before),
            inside: hash(&again),
            quiet_ms,
            filled: u8::from(text(&file) > 0),
            has_empty: text(&file) == 0,
        };
        (self.watch.look(look, now) == Verdict::Settled).then_some((again, look.inside))
    }

    /// Waits for what it says, though not for long.
    fn wait(&mut self, options: &Options) -> Result<(ConfigFile, u64), Vec<String>> {
        if !Watched::is_regular(options) {
            return Ok((load::file(options), 0));
        }
        let begin = Instant::now();
        loop {
            if let Some(settled) = self.look(options) {
                return Ok(settled);
            }
            if begin.elapsed() >= PATIENCE {
                let name =
                    load::file(options).map_or("the configuration".to_owned(), |(path, _)| path.display().to_string());
                return Err(vec![format!("{name}: is being written all the time; try again when it is whole")]);
            }
            thread::sleep(PAUSE);
        }
    }
}

/// Waits until the configuration can be believed.
///
/// # Errors
///
/// A file that does not stay the same.
pub(super) fn wait_for_file(options: &Options) -> Result<(), Vec<String>> {
    if Watched::is_regular(options) { Watched::new().wait(options).map(drop) } else { Ok(()) }
}

impl Loader {
    /// Beginning with the configuration that the server started with.
    pub(super) fn new(options: Options, config: Config, level_is_fixed: bool) -> Loader {
        let mut file = Watched::new();
        // The server started with it.
        let first = if Watched::is_regular(&options) { file.look(&options) } else { None };
        let told = first.map_or(0, |(_, inside)| inside);
        Loader { apps: Applications::new(&config), options, config, level_is_fixed, file, told }
    }

    /// What is said of each of `names` that is right. What is wrong with the others is in the log before a client has to
    /// find out. What is being written is waited for, though not for long: it is read when a client connects.
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
                self.survey();
                Answer::Surveyed
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
        let config = load::configuration_of(&self.options, file)?;
        // Its counts wait for a restart, which must then be possible.
        limits::check_budget(&config).map(|()| config).map_err(|error| vec![error])
    }

    fn reload(&mut self) -> Answer {
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
        logging::set_time(self.config.log_time);
        if !self.level_is_fixed {
            logging::set_level(&self.config.log);
        }
        Answer::Settings(Box::new(self.config.settings.clone()))
    }
}
