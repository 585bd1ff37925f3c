//! Applications on disk: each directory within `applications/` is one, from the next connect on. Its `app.toml` says what
//! is other than the server's settings ([`crate::apps`]), its script what happens in it.
//!
//! What a client sends reaches a path in one place, [`AppsDirectory::lookup`], and only as a name that clients can connect
//! to and that is one component of a path. Everything else that is read is named here or found in a directory. Links are
//! followed: only who may write to the root can make one. What they lead to must be a regular file, as everything else,
//! so that no pipe or device holds up a disk thread or feeds it without end.
//!
//! Files are believed when they have settled ([`super::settle`]): one that is being written is incomplete.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use log::{error, warn};

use crate::apps::{AppName, STOCK, named, parse};
use crate::config::{Config, RecordedPlaces};
use crate::limits::{APP_FILE_BYTES, APP_NAME_BYTES};
use crate::live::app::{AppDefinition, AppKind, AppLimits, Budget, ScriptDefinition, Source};
use crate::live::jobs::Lookup;
use crate::live::links::LinkRules;
use crate::live::relay_settings::PushSettings;
use crate::live::users::Users;

use super::app_files::{APP_FILE, Found, Texts, USERS_FILE, read_users};
use super::by_app::ByApp;
use super::script_texts::{TextFile, script_stamp};
use super::settle::{Clocks, Look, Moment, Settling, Watch, hash};
use super::shared::Shared;
use super::text_file::read_text;

/// The root that is used when none is named.
const ROOT: &str = "/var/lib/rill";
/// The directory of applications within a root.
pub const APPLICATIONS: &str = "applications";

/// The first error of a script that can be found without running it within a budget: `FILE:LINE: WHAT`, by the name that the
/// file has in the source. It may take its time.
pub type ScriptCheck = fn(&Source, Budget) -> Option<String>;

/// The directory of applications, read anew for each question.
pub struct AppsDirectory {
    /// `None`: there are only the stock ones.
    directory: Option<PathBuf>,
    shared: Arc<Shared>,
    clock: Clocks,
    /// What was seen of each. They have, or had, directories, so their number is the user's own.
    watched: ByApp<WatchedApp>,
    /// Where [`AppsDirectory::survey`] goes on.
    surveyed: AppName,
}

/// What was seen of an application.
#[derive(Default)]
struct WatchedApp {
    watch: Watch,
    /// The stamp of what [`AppsDirectory::survey`] last found no more to say of.
    surveyed: Option<u64>,
    /// Where its file of users lies, if its settings say so.
    users: Option<PathBuf>,
    /// When it was looked at last, by the steady clock.
    at_ms: u64,
}

/// An application's files, which have settled, and their stamp.
struct Settled {
    found: Found,
    texts: Texts,
    stamp: u64,
}

/// Why an application's files are not to be read.
enum Unread {
    Missing,
    /// They are what the stamp says.
    Unchanged,
    Changing,
    /// Likewise, and for so long that it should be said: once.
    Restless,
}

/// Applications are checked for errors so many at once.
const SURVEYED_AT_ONCE: usize = 16;
/// What was looked at so recently needs no survey, in milliseconds.
const SURVEY_MS: u64 = 2000;

impl AppsDirectory {
    /// The one that `config` names.
    pub fn new(config: Config) -> AppsDirectory {
        AppsDirectory::sharing(Arc::new(Shared::new(config)))
    }

    /// The one that the configuration in force names, of which another lane has one, too.
    pub(super) fn sharing(shared: Arc<Shared>) -> AppsDirectory {
        AppsDirectory {
            directory: directory(&shared.config()),
            shared,
            clock: Clocks::start(),
            watched: ByApp::default(),
            surveyed: AppName::new(),
        }
    }

    /// What the application `name` is now; [`Lookup::Unchanged`] when that is what `stamp` belongs to, and
    /// [`Lookup::Changing`] while its files are being written. `name` may be anything at all. Each error of `app.toml` and
    /// of reading is in the log once; scripts are not compiled, which is [`AppsDirectory::survey`]'s.
    pub fn lookup(&mut self, name: &str, stamp: Option<u64>) -> Lookup {
        let now = self.clock.now();
        self.lookup_at(name, stamp, now)
    }

    fn lookup_at(&mut self, name: &str, stamp: Option<u64>, now: Moment) -> Lookup {
        let Some(name) = named(name) else { return Lookup::Missing };
        let config = self.shared.config();
        if self.directory.is_none() {
            let current = stamp_of(&config, 0);
            return match STOCK.contains(&name.as_str()) {
                true if stamp == Some(current) => Lookup::Unchanged,
                true => Lookup::Found(Box::new(AppDefinition { stamp: current, ..stock(&config, name) })),
                false => Lookup::Missing,
            };
        }
        match self.read(&config, &name, stamp, now) {
            Ok(settled) => match self.understand(&config, name, settled) {
                Ok(definition) => Lookup::Found(Box::new(definition)),
                Err(error) => Lookup::Broken(error),
            },
            Err(Unread::Missing) => Lookup::Missing,
            Err(Unread::Unchanged) => Lookup::Unchanged,
            Err(Unread::Changing | Unread::Restless) => Lookup::Changing,
        }
    }

    /// The files of an application's script, as they are at this moment, in the order in which a process is told them; none if there
    /// is no script.
    pub(super) fn script_files(&self, name: &str) -> Vec<TextFile> {
        let Some(name) = named(name) else { return Vec::new() };
        match find(self.directory.as_deref(), &self.shared.config(), &name, None) {
            Found::Files(files) => files.texts(),
            Found::Missing | Found::Unreadable(_) => Vec::new(),
        }
    }

    /// Reads the files of an application in the directory, which there must be, if they have settled.
    fn read(&mut self, config: &Config, name: &AppName, stamp: Option<u64>, now: Moment) -> Result<Settled, Unread> {
        let users = self.watched.get(name).and_then(|watched| watched.users.clone());
        let find = || find(self.directory.as_deref(), config, name, users.as_deref());
        let found = find();
        if found.is_missing() && self.watched.get(name).is_none() {
            return Err(Unread::Missing);
        }
        let outside = found.outside();
        let watched = self.watched.entry(name);
        watched.at_ms = now.steady_ms;
        let known = watched.watch.is_known(outside, now).then(|| watched.watch.inside());
        if let Some(inside) = known
            && stamp == Some(stamp_of(config, inside))
        {
            return Err(Unread::Unchanged);
        }
        let texts = found.read();
        let inside = hash(&texts);
        if known.is_none() {
            // Written to while it was read, it is neither the one nor the other.
            let quiet_ms = if find().outside() == outside { found.quiet_ms(&self.clock, now) } else { 0 };
            let (filled, has_empty) = found.rules();
            match watched.watch.look(Look { outside, inside, quiet_ms, filled, has_empty }, now) {
                Settling::Settled => {}
                Settling::Changing => return Err(Unread::Changing),
                Settling::Restless => return Err(Unread::Restless),
            }
        }
        let current = stamp_of(config, inside);
        if stamp == Some(current) {
            return Err(Unread::Unchanged);
        }
        match texts {
            Some(texts) => Ok(Settled { found, texts, stamp: current }),
            None => {
                self.watched.remove(name);
                self.shared.forget(name);
                Err(Unread::Missing)
            }
        }
    }

    /// What settled files mean, or the first of their errors. The log is told of everything that is the matter with them,
    /// unless it has been.
    fn understand(&mut self, config: &Config, name: AppName, settled: Settled) -> Result<AppDefinition, String> {
        let Settled { found, texts, stamp } = settled;
        let is_news = self.shared.complain(&name, stamp);
        match definition(config, name.clone(), &found, texts, stamp) {
            Ok((definition, recorded)) => {
                if let (Some(all), Some(watched)) = (&self.directory, self.watched.get_mut(&name)) {
                    let named = definition.log_in.file.is_some();
                    watched.users = named.then(|| users_file(&all.join(name.as_str()), &definition));
                }
                self.shared.set_recorded_places(&name, recorded);
                self.shared.set_record_command(&name, definition.record.on_complete.clone());
                for path in found.compiled().iter().filter(|_| is_news) {
                    warn!("rill application app={name:?} {}: compiled scripts are ignored", path.display());
                }
                Ok(definition)
            }
            Err(errors) => {
                for error in errors.iter().filter(|_| is_news) {
                    error!("rill application broken app={name:?} {error}");
                }
                Err(errors.into_iter().next().unwrap_or_default())
            }
        }
    }

    /// Checks some of the applications that it has not checked lately, their scripts as well: what is wrong with them is in
    /// the log before a client has to find out.
    pub fn survey(&mut self, check: ScriptCheck) {
        let Some(directory) = &self.directory else { return };
        // Errors in reading it are reported when a client asks for an application.
        let Ok((names, _)) = in_directory(directory) else { return };
        let now = self.clock.now();
        let recent =
            |name: &AppName| self.watched.get(name).is_some_and(|watched| now.steady_ms - watched.at_ms < SURVEY_MS);
        let after = names.partition_point(|name| *name <= self.surveyed);
        let round = names[after..].iter().chain(&names[..after]).filter(|name| !recent(name));
        let due: Vec<AppName> = round.take(SURVEYED_AT_ONCE).cloned().collect();
        let config = self.shared.config();
        for name in due {
            self.survey_one(&config, &name, check, now);
            self.surveyed = name;
        }
    }

    fn survey_one(&mut self, config: &Config, name: &AppName, check: ScriptCheck, now: Moment) {
        let known = self.watched.get(name).and_then(|watched| watched.surveyed);
        let settled = match self.read(config, name, known, now) {
            Ok(settled) => settled,
            Err(Unread::Restless) => {
                warn!("rill application app={name:?}: its files never stay the same; what held before goes on holding");
                return;
            }
            Err(Unread::Missing | Unread::Unchanged | Unread::Changing) => return,
        };
        if let Some(watched) = self.watched.get_mut(name) {
            watched.surveyed = Some(settled.stamp);
        }
        if let Some(problem) = script_problem(config, &settled.found, &settled.texts, check) {
            error!("rill script broken app={name:?} {problem}");
        }
        let _ = self.understand(config, name.clone(), settled);
    }

    /// Every error of the application's files as they are at this moment.
    pub fn check(&self, name: &str, check: ScriptCheck) -> Vec<String> {
        let (Some(name), Some(_)) = (named(name), &self.directory) else { return Vec::new() };
        let config = self.shared.config();
        let found = find(self.directory.as_deref(), &config, &name, None);
        let Some(texts) = found.read() else { return Vec::new() };
        let problem = script_problem(&config, &found, &texts, check);
        let errors = definition(&config, name, &found, texts, 0).err().unwrap_or_default();
        errors.into_iter().chain(problem).collect()
    }
}

/// What there is in the place of an application in `directory`, and where its file of users is known to lie.
fn find(directory: Option<&Path>, config: &Config, name: &AppName, users: Option<&Path>) -> Found {
    directory.map_or(Found::Missing, |directory| {
        Found::at(&directory.join(name.as_str()), name, config.script_lib.as_deref(), users)
    })
}

/// What is wrong with the text of the script. The application is there all the same: what its script may do is decided
/// where it runs.
fn script_problem(config: &Config, found: &Found, texts: &Texts, check: ScriptCheck) -> Option<String> {
    let (Found::Files(files), Ok(Some(source))) = (found, &texts.source) else { return None };
    let problem = check(source, config.settings.scripts.budget)?;
    // The user knows the file by its path. No other can be meant: what follows its name here is no part of one.
    let path = files.scripts().find_map(|file| {
        let rest = problem.strip_prefix(&file.name)?.strip_prefix(':')?;
        Some(format!("{}:{rest}", file.path.display()))
    });
    Some(path.unwrap_or(problem))
}

/// Changes when a file does, or a setting that the application follows.
fn stamp_of(config: &Config, inside: u64) -> u64 {
    hash((
        inside,
        format!(
            "{:?} {:?} {:?} {:?}",
            config.settings.scripts, config.settings.bandwidth, config.settings.record, config.settings.hook
        ),
        &config.settings.sign_key,
    ))
}

/// An application without files: `vod` is for recordings.
fn stock(config: &Config, name: AppName) -> AppDefinition {
    let kind = if name == "vod" { AppKind::Vod } else { AppKind::Live };
    let limits = AppLimits { bandwidth: config.settings.bandwidth, ..AppLimits::default() };
    let links = LinkRules { key: config.settings.sign_key.clone(), ..LinkRules::default() };
    let (record, hooks) = (config.settings.record.clone(), config.settings.hook.clone());
    AppDefinition { limits, record, links, hooks, ..AppDefinition::stock(name, kind) }
}

/// What the files mean, or every error of them.
fn definition(
    config: &Config,
    name: AppName,
    found: &Found,
    texts: Texts,
    stamp: u64,
) -> Result<(AppDefinition, RecordedPlaces), Vec<String>> {
    let mut definition = AppDefinition { stamp, ..stock(config, name) };
    let mut script_limits = config.settings.scripts;
    let mut recorded = RecordedPlaces::default();
    let mut errors = Vec::new();
    match (found.settings(), texts.settings) {
        (Some(path), Ok(Some(text))) => {
            match parse(&path.display().to_string(), &text, definition.clone(), script_limits) {
                Ok(read) => {
                    (definition, script_limits, recorded) = read;
                    errors.extend(read_keys(path, &mut definition.relays.pushes));
                    if definition.links.needs_key() {
                        let path = path.display();
                        errors.push(format!("{path}: publish.signed and play.signed need sign.key in rill.toml"));
                    }
                }
                Err(wrong) => errors.extend(wrong),
            }
        }
        (_, settings) => errors.extend(settings.err()),
    }
    match users(found, texts.users, &definition) {
        Ok(users) => definition.log_in.users = users,
        Err(error) => errors.push(error),
    }
    match texts.source {
        Ok(source) => {
            definition.script = source.map(|source| {
                let stamp = script_stamp(&source);
                ScriptDefinition { main: source.main.name, stamp, limits: script_limits }
            });
        }
        Err(error) => errors.push(error),
    }
    if errors.is_empty() { Ok((definition, recorded)) } else { Err(errors) }
}

/// The users who may publish; `text` is what stands in the file of them that was found, if one was.
fn users(
    found: &Found,
    text: Result<Option<String>, String>,
    definition: &AppDefinition,
) -> Result<Option<Users>, String> {
    let Found::Files(files) = found else { return Ok(None) };
    let path = users_file(files.directory(), definition);
    let text = match text? {
        Some(text) if found.users() == Some(&path) => text,
        // Which file it is stands in the settings: it was looked for where they said before.
        _ if definition.log_in.file.is_none() && !path.exists() => return Ok(None),
        _ => read_users(&path)?,
    };
    let users = Users::parse(&text);
    users.map(Some).map_err(|error| format!("{}:{}: {error}", path.display(), error.line))
}

/// The file of users of an application in this directory.
fn users_file(directory: &Path, definition: &AppDefinition) -> PathBuf {
    directory.join(definition.log_in.file.as_deref().unwrap_or(USERS_FILE))
}

/// Where the users of an application are kept, as its settings are at this moment.
///
/// # Errors
///
/// Why there is no such place: one line for each reason.
pub fn users_path(config: &Config, app: &str) -> Result<PathBuf, Vec<String>> {
    let Some(directory) = directory(config) else {
        return Err(vec![
            "there is no root to keep users in; make one: rill init DIR, and name it: --root DIR".to_owned(),
        ]);
    };
    let place = directory.join(app);
    let Some(name) = named(app).filter(|_| place.is_dir()) else {
        return Err(vec![format!("{}: there is no such application", place.display())]);
    };
    let settings = place.join(APP_FILE);
    if !settings.exists() {
        return Ok(place.join(USERS_FILE));
    }
    let text = read_text(&settings, APP_FILE_BYTES, "APP_FILE_BYTES").map_err(|error| vec![error])?;
    let stock = stock(config, name);
    let (definition, ..) = parse(&settings.display().to_string(), &text, stock, config.settings.scripts)?;
    Ok(users_file(&place, &definition))
}

/// Reads the keys of pushes that stand in files beside the settings. Returns what is wrong with them.
fn read_keys(settings: &Path, pushes: &mut [PushSettings]) -> Vec<String> {
    let mut errors = Vec::new();
    for push in pushes {
        let Some(file) = &push.key_from else { continue };
        let path = settings.with_file_name(file);
        let read = read_text(&path, APP_FILE_BYTES, "APP_FILE_BYTES");
        let kept = read.and_then(|text| push.set_key(&text).map_err(|why| format!("{}: {why}", path.display())));
        errors.extend(kept.err());
    }
    errors
}

/// The applications there are, and a line for each directory that cannot be one.
///
/// # Errors
///
/// When the root that was named has none.
pub fn list(config: &Config) -> Result<(Vec<AppName>, Vec<String>), String> {
    let Some(directory) = directory(config) else {
        return Ok((STOCK.into_iter().filter_map(named).collect(), Vec::new()));
    };
    let (apps, skipped) = in_directory(&directory).map_err(|error| {
        format!("{}: {error}; each directory in there is an application (server.root, --root)", directory.display())
    })?;
    if apps.is_empty() {
        return Err(format!(
            "{}: no application in there; make a directory for each, like {}",
            directory.display(),
            directory.join("live").display()
        ));
    }
    Ok((apps, skipped))
}

/// The directory of applications, if there is to be one.
pub(super) fn directory(config: &Config) -> Option<PathBuf> {
    match &config.root {
        Some(root) => Some(root.join(APPLICATIONS)),
        None => Some(Path::new(ROOT).join(APPLICATIONS)).filter(|usual| usual.is_dir()),
    }
}

fn in_directory(directory: &Path) -> io::Result<(Vec<AppName>, Vec<String>)> {
    let mut names: Vec<_> = fs::read_dir(directory)?
        .filter_map(Result::ok)
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name())
        .collect();
    names.sort();
    let (mut apps, mut skipped) = (Vec::new(), Vec::new());
    for name in names {
        match name.to_str().and_then(named) {
            Some(app) => apps.push(app),
            None => skipped.push(format!(
                "{}: no client can connect to an application of that name (at most {APP_NAME_BYTES} bytes, no `?`, quotes or the like); skipped",
                directory.join(&name).display()
            )),
        }
    }
    Ok((apps, skipped))
}
#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::symlink;
    use std::time::{Duration, Instant};

    use serde_json::Value as Json;

    use super::*;
    use crate::handles::HostIndex;
    use crate::limits::{APP_FILE_BYTES, SCRIPT_FILES, SCRIPT_TEXT_BYTES};
    use crate::live::app::{KeyError, Rules};
    use crate::live::refusal::Refusal;
    use crate::live::script_text::{TextBlock, TextFollows};
    use crate::live::users::LogInWay;
    use crate::store::script_texts::ScriptTexts;
    use crate::store::settle::{LESS_MS, SETTLE_MS};
    use crate::store::test_root::Root;
    use crate::store::text_file::read_text;
    use crate::wire::script_link::{FileRole, InstanceId};
    use crate::{board, config};

    impl Root {
        fn apps(&self, sets: &[&str]) -> Patient {
            let mut sets: Vec<String> = sets.iter().map(|set| set.to_string()).collect();
            sets.push(format!("server.root={}", self.0.display()));
            Patient::new(config::load(board::by_name("generic").unwrap(), None, &sets).unwrap())
        }

        /// Every error of the application `live`, without the path of the root.
        fn errors(&self) -> Vec<String> {
            let root = format!("{}/applications/", self.0.display());
            self.apps(&[]).apps.check("live", wrong).iter().map(|error| error.replace(&root, "")).collect()
        }
    }

    /// A directory with a clock of its own, which runs until files have settled: by the file systems' clock, all is of
    /// this moment.
    struct Patient {
        apps: AppsDirectory,
        now: Moment,
    }

    impl Patient {
        fn new(config: Config) -> Patient {
            let mut apps = AppsDirectory::new(config);
            let now = apps.clock.now();
            Patient { apps, now }
        }

        fn wait(&mut self, ms: u64) {
            self.now.steady_ms += ms;
        }

        fn look(&mut self, name: &str, stamp: Option<u64>) -> Lookup {
            self.apps.lookup_at(name, stamp, self.now)
        }

        fn lookup(&mut self, name: &str, stamp: Option<u64>) -> Lookup {
            match self.look(name, stamp) {
                Lookup::Changing => {
                    self.wait(LESS_MS);
                    self.look(name, stamp)
                }
                lookup => lookup,
            }
        }
    }

    /// The files of the script of `live` as a process is told them.
    fn told(apps: &mut Patient) -> Vec<(FileRole, String, String)> {
        let stamp = found(apps.lookup("live", None)).script.unwrap().stamp;
        let (mut texts, mut block) = (ScriptTexts::default(), TextBlock::new());
        let (mut files, mut text) = (Vec::new(), Vec::new());
        loop {
            let find = || apps.apps.script_files("live");
            let follows = texts.next(HostIndex(0), InstanceId(1), stamp, find, &mut block);
            assert!(matches!(follows, TextFollows::More | TextFollows::Nothing), "{follows:?}");
            text.extend_from_slice(block.piece());
            if block.is_last() {
                let text = String::from_utf8(std::mem::take(&mut text)).unwrap();
                files.push((block.role(), block.name().to_owned(), text));
            }
            if follows == TextFollows::Nothing {
                return files;
            }
        }
    }

    fn found(lookup: Lookup) -> AppDefinition {
        match lookup {
            Lookup::Found(definition) => *definition,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn without_a_root_there_are_the_stock_applications_and_the_disk_is_not_asked() {
        let mut apps = Patient::new(config::load(board::by_name("generic").unwrap(), None, &[]).unwrap());
        apps.apps.directory = None;
        let live = found(apps.lookup("live", None));
        assert_eq!((live.name.as_str(), live.kind, live.config_json.as_str()), ("live", AppKind::Live, "{}"));
        assert_eq!(found(apps.lookup("vod", None)).kind, AppKind::Vod);
        assert_eq!(apps.lookup("live", Some(live.stamp)), Lookup::Unchanged);
        assert_eq!(apps.lookup("other", None), Lookup::Missing);
    }

    #[test]
    fn a_directory_is_an_application_while_it_is_there() {
        let root = Root::new("there");
        let mut apps = root.apps(&[]);
        assert_eq!(apps.lookup("new", None), Lookup::Missing);
        fs::create_dir(root.0.join("applications/new")).unwrap();
        let new = found(apps.lookup("new", None));
        assert_eq!((new.kind, &new.script, new.rules), (AppKind::Live, &None, Rules::default()));
        assert_eq!(apps.lookup("new", Some(new.stamp)), Lookup::Unchanged);
        fs::remove_dir(root.0.join("applications/new")).unwrap();
        assert_eq!(apps.lookup("new", Some(new.stamp)), Lookup::Missing);
        root.write("applications/file", "");
        assert_eq!(apps.lookup("file", None), Lookup::Missing);
    }

    #[test]
    fn no_name_that_a_client_sends_leads_out_of_the_directory_of_applications() {
        let root = Root::new("names");
        root.write("outside/app.toml", "kind = \"vod\"\n");
        root.write("applications/live/inside/app.toml", "kind = \"vod\"\n");
        root.write("applications/.hidden/app.toml", "");
        let mut apps = root.apps(&[]);
        let absolute = root.0.join("outside");
        for name in [
            "",
            ".",
            "..",
            "../outside",
            "live/../../outside",
            "live/inside",
            "/outside",
            "./live",
            "live/",
            "live/.",
            ".hidden",
            "..\\outside",
            "live\0",
            "live\n",
            " live",
            "live ",
            "%2e%2e/outside",
            "..%2foutside",
            "~",
            absolute.to_str().unwrap(),
        ] {
            assert_eq!(apps.lookup(name, None), Lookup::Missing, "{name:?}");
        }
        // Whatever a name is that gets through, it is one component of a path.
        for bytes in (0..=0x7F_u8).flat_map(|a| (0..=0x7F).map(move |b| [a, b])) {
            let name = std::str::from_utf8(&bytes).unwrap();
            if named(name).is_some() {
                let mut components = Path::new(name).components();
                assert!(
                    matches!(components.next(), Some(std::path::Component::Normal(part)) if part == name),
                    "{name:?}"
                );
                assert_eq!(components.next(), None, "{name:?}");
            }
        }
    }

    #[test]
    fn users_are_those_of_the_file_that_is_meant_at_this_moment() {
        let root = Root::new("publishers");
        let line = |name: &str| format!("{name}:c2FsdA==:1B2M2Y8AsgTpgAmY7PhCfg==\n");
        fs::create_dir_all(root.0.join("applications/live")).unwrap();
        let mut apps = root.apps(&[]);
        let names = |apps: &mut Patient, stamp: &mut Option<u64>| {
            apps.wait(LESS_MS);
            let live = found(apps.lookup("live", *stamp));
            *stamp = Some(live.stamp);
            let users = live.log_in.users?;
            Some(users.iter().map(|user| user.name.to_string()).collect::<Vec<_>>().join(" "))
        };
        let mut stamp = None;
        assert_eq!(names(&mut apps, &mut stamp), None);
        root.write("applications/live/users", &(line("a") + &line("b")));
        assert_eq!(names(&mut apps, &mut stamp).as_deref(), Some("a b"));
        root.write("applications/live/users", "# nobody\n");
        assert_eq!(names(&mut apps, &mut stamp).as_deref(), Some(""), "without users nobody may");
        root.write("others", &line("c"));
        root.write("applications/live/app.toml", "publish.users = \"../../others\"\npublish.authmod = \"llnw\"");
        assert_eq!(names(&mut apps, &mut stamp).as_deref(), Some("c"));
        // It is looked at where it is from now on.
        apps.wait(LESS_MS);
        let settled = found(apps.lookup("live", None));
        assert_eq!(settled.log_in.way, LogInWay::Llnw);
        stamp = Some(settled.stamp);
        root.write("others", &(line("c") + &line("d")));
        assert_eq!(names(&mut apps, &mut stamp).as_deref(), Some("c d"));
        root.write("applications/live/app.toml", "publish.authmod = \"adobe\"");
        assert_eq!(names(&mut apps, &mut stamp).as_deref(), Some(""), "the one beside the settings again");
        root.write("applications/live/users", &format!("{}x:y\n", line("a")));
        apps.wait(LESS_MS);
        let error = "users:2: is no user; a line is NAME:SALT:HASH:HASH: delete it, and use `rill user add`";
        assert!(matches!(apps.lookup("live", stamp), Lookup::Broken(text) if text.ends_with(error)));
        root.write("applications/live/app.toml", "publish.users = \"none\"");
        assert!(root.errors()[0].starts_with("live/none: No such file"), "{:?}", root.errors());
    }

    #[test]
    fn app_toml_says_what_is_other_than_the_servers_settings() {
        let root = Root::new("toml");
        let text = "kind = \"vod\"\n[publish]\naddresses = [\"allow 127.0.0.0/8\", \"deny all\"]\n[play]\nkey = \"v1ew\"\n\
                    [keys]\ncam1 = \"s3cret\"\n\"hall/left\" = \"0p3n\"\n[limits]\nplayers = 3\n[timeouts]\nidle_ms = 0\n\
                    [bandwidth]\ndetection = false\nmax_kbit = 5000\n[scripts]\ncall_ms = 50\nmemory_bytes = \"1MiB\"\n\
                    [config]\nname = \"a \\\"b\\\"\"\nlist = [1, 2.5, true]\ndate = 2026-11-23\n[config.deep]\nkey = \"x\"\n";
        root.write("applications/live/app.toml", text);
        root.write("applications/live/main.asc", "trace(1)");
        let mut apps = root.apps(&["bandwidth.data_bytes=2048", "scripts.load_ms=99"]);
        let live = found(apps.lookup("live", None));
        let peer = "127.0.0.1".parse().unwrap();
        assert_eq!(live.kind, AppKind::Vod);
        assert_eq!(live.rules.publish(peer, "s3cret", ""), Ok("cam1"));
        assert_eq!(live.rules.publish(peer, "hall/left", "key=0p3n"), Ok("hall/left"));
        assert_eq!(live.rules.publish("10.0.0.1".parse().unwrap(), "s3cret", ""), Err(Refusal::PublishAddress));
        assert_eq!(live.rules.play(peer, "cam1", ""), Err(Refusal::PlayKey));
        assert_eq!((live.limits.players, live.limits.connections, live.limits.idle_ms), (3, 0, Some(0)));
        let bandwidth = live.limits.bandwidth;
        assert_eq!((bandwidth.detection, bandwidth.max_kbit, bandwidth.data_bytes), (false, 5000, 2048));
        let limits = live.script.unwrap().limits;
        assert_eq!((limits.budget.call_ms, limits.budget.load_ms, limits.budget.memory_bytes), (50, 99, 1 << 20));
        let config: Json = serde_json::from_str(&live.config_json).unwrap();
        let expected = r#"{"name":"a \"b\"","list":[1,2.5,true],"date":"2026-11-23","deep":{"key":"x"}}"#;
        assert_eq!(config, serde_json::from_str::<Json>(expected).unwrap());
    }

    #[test]
    fn every_error_of_app_toml_names_file_line_and_key_and_no_secret() {
        let root = Root::new("errors");
        let text = "kind = \"both\"\n[publish]\naddresses = [\"permit all\"]\nkey = \"s3cret\"\n[play]\nkey = \"s3cret s3cret\"\n\
                    [keys]\ncam1 = \"s3cret?\"\ncam2 = 7\ncam3 = \"cam4\"\ncam4 = \"x\"\n[limits]\nplayer = 1\nplayers = -1\n\
                    [scripts]\nmemory_bytes = \"64MiB\"\n";
        root.write("applications/live/app.toml", text);
        let errors = root.errors();
        let key = KeyError::Illegal;
        let expected = [
            "live/app.toml:1: kind = \"both\": must be one of live, vod",
            "live/app.toml:3: publish.addresses = [\"permit all\"]: \"permit all\" makes no sense; a rule is allow or deny, \
             and an address, a network like 10.0.0.0/8 or fd00::/8, or all",
            "live/app.toml:4: publish.key = …: unknown key, did you mean play.key?",
            &format!("live/app.toml:6: play.key = …: {key}"),
            &format!("live/app.toml:8: keys.cam1 = …: {key}"),
            "live/app.toml:9: keys.cam2 = …: must be a text",
            "live/app.toml:11: keys.cam4 = …: a key must not be the name of a stream",
            "live/app.toml:13: limits.player = …: unknown key, did you mean limits.players?",
            "live/app.toml:14: limits.players = -1: must be 0..=60000",
            "live/app.toml:16: scripts.memory_bytes = \"64MiB\": the server has 2MiB for each; raise the same key in rill.toml",
        ];
        assert_eq!(errors, expected);
        root.write("applications/live/app.toml", &format!("# {}", "x".repeat(APP_FILE_BYTES)));
        assert_eq!(root.errors(), ["live/app.toml: is too long, 32768 bytes are left for it (APP_FILE_BYTES)"]);
        fs::write(root.0.join("applications/live/app.toml"), b"[limits]\n# \xFF\n").unwrap();
        assert_eq!(root.errors(), ["live/app.toml:2: is not UTF-8"]);
        root.write("applications/live/app.toml", "[keyz]\ncam1 = \"s3cret\"\n[plai]\nkey = \"s3cret\"\n");
        let expected = [
            "live/app.toml:1: [keyz]: unknown table, did you mean [keys]?",
            "live/app.toml:3: [plai]: unknown table, did you mean [play]?",
        ];
        assert_eq!(root.errors(), expected);
        root.write("applications/live/app.toml", "keys = 3\n");
        assert_eq!(root.errors(), ["live/app.toml:1: keys = …: must be a table"]);
        // Nested as deep as a file can be: an error, and no end of the stack.
        root.write("applications/live/app.toml", &format!("[config]\na = {}", "[".repeat(APP_FILE_BYTES - 20)));
        assert!(root.errors()[0].starts_with("live/app.toml:2: "), "{:?}", root.errors());
        let deep = |depth| format!("[config]\na = {}1{}", "[".repeat(depth), "]".repeat(depth));
        root.write("applications/live/app.toml", &deep(79));
        let thread = std::thread::Builder::new().stack_size(crate::store::LOOK_UPS_STACK_BYTES);
        thread
            .spawn({
                let mut apps = root.apps(&[]);
                move || found(apps.lookup("live", None))
            })
            .unwrap()
            .join()
            .unwrap();
        root.write("applications/live/app.toml", &deep(81));
        assert!(matches!(root.apps(&[]).lookup("live", None), Lookup::Broken(error) if error.contains("app.toml:2: ")));
    }

    /// In place of the engine.
    fn wrong(source: &Source, _: Budget) -> Option<String> {
        let mut files = [&source.main].into_iter().chain(&source.others);
        files.find(|file| file.text.contains("wrong")).map(|file| format!("{}:3: SyntaxError: wrong", file.name))
    }

    #[test]
    fn a_script_that_cannot_be_compiled_is_an_error_with_the_path_of_its_file_wherever_it_stands() {
        let root = Root::new("compiled");
        root.write("applications/live/app.toml", "kind = \"vod\"\n");
        root.write("applications/live/main.asc", "wrong");
        assert_eq!(root.errors(), ["live/main.asc:3: SyntaxError: wrong"]);
        root.write("applications/live/app.toml", "kind = 7\n");
        assert_eq!(root.errors().len(), 2, "both");
        root.write("applications/live/app.toml", "");
        root.write("applications/live/main.asc", "");
        root.write("applications/live/scripts/x.asc", "wrong");
        root.write("library/lib.asc", "wrong");
        assert_eq!(root.errors(), ["live/scripts/x.asc:3: SyntaxError: wrong"]);
        root.write("applications/live/scripts/x.asc", "");
        assert_eq!(root.errors(), [""; 0], "there is no library");
        let library = root.0.join("library");
        let apps = root.apps(&[&format!("server.script_lib={}", library.display())]).apps;
        assert_eq!(apps.check("live", wrong), [format!("{}/lib.asc:3: SyntaxError: wrong", library.display())]);
    }

    #[test]
    fn the_main_file_is_the_first_of_eight_and_all_others_can_be_loaded() {
        let root = Root::new("main");
        let main = |root: &Root| found(root.apps(&[]).lookup("live", None)).script.map(|script| script.main);
        for name in [
            "live.js",
            "scripts/live.js",
            "live.asc",
            "scripts/live.asc",
            "main.js",
            "scripts/main.js",
            "main.asc",
            "scripts/main.asc",
        ] {
            root.write(&format!("applications/live/{name}"), name);
            assert_eq!(main(&root).as_deref(), Some(name));
        }
        root.write("applications/live/scripts/secure.asc", "");
        root.write("applications/live/secure.asc", "");
        root.write("applications/live/notes.txt", "");
        root.write("library/x.asc", "library");
        let library = format!("server.script_lib={}", root.0.join("library").display());
        let files = told(&mut root.apps(&[&library]));
        let names: Vec<&str> = files.iter().map(|(_, name, _)| name.as_str()).collect();
        let expected = [
            "scripts/main.asc",
            "scripts/secure.asc",
            "live.asc",
            "live.js",
            "main.asc",
            "main.js",
            "secure.asc",
            "scripts/live.asc",
            "scripts/live.js",
            "scripts/main.js",
            "x.asc",
        ];
        assert_eq!(names, expected);
        let roles: Vec<FileRole> = files[..3].iter().map(|(role, ..)| *role).collect();
        assert_eq!(roles, [FileRole::Main, FileRole::Secure, FileRole::Library]);
        assert_eq!(files.last().unwrap().2, "library");
    }

    #[test]
    fn adobes_order_has_each_name_in_scripts_before_the_same_beside_it() {
        let root = Root::new("order");
        root.write("applications/live/main.asc", "");
        root.write("applications/live/scripts/main.js", "");
        let main = found(root.apps(&[]).lookup("live", None)).script.unwrap().main;
        assert_eq!(main, "main.asc");
    }

    #[test]
    fn a_script_that_is_too_much_names_the_limit() {
        let root = Root::new("much");
        root.write("applications/live/main.asc", &"x".repeat(SCRIPT_TEXT_BYTES - 10));
        root.write("applications/live/x.asc", "0123456789");
        assert_eq!(root.errors(), [""; 0]);
        root.write("applications/live/y.asc", "0");
        let expected = "live/y.asc: is too long, 0 bytes are left for it (SCRIPT_TEXT_BYTES, of all files together)";
        assert_eq!(root.errors(), [expected]);
        (0..SCRIPT_FILES).for_each(|n| root.write(&format!("applications/live/{n}.js"), ""));
        assert_eq!(root.errors(), ["live: more than 32 files with scripts (SCRIPT_FILES)"]);
    }

    #[test]
    fn a_change_of_any_file_is_found_and_of_the_settings_that_are_followed() {
        let root = Root::new("stamp");
        root.write("applications/live/main.asc", "a");
        let mut apps = root.apps(&[]);
        let mut stamp = found(apps.lookup("live", None)).stamp;
        for file in ["app.toml", "main.asc", "other.js", "scripts/x.asc", "secure.asc"] {
            root.write(&format!("applications/live/{file}"), "# b");
            let now = found(apps.lookup("live", Some(stamp))).stamp;
            assert_ne!(now, stamp, "{file}");
            stamp = now;
            assert_eq!(apps.lookup("live", Some(stamp)), Lookup::Unchanged);
        }
        fs::remove_file(root.0.join("applications/live/other.js")).unwrap();
        let now = found(apps.lookup("live", Some(stamp))).stamp;
        assert_ne!(now, stamp);
        root.write("applications/live/readme.txt", "");
        assert_eq!(apps.lookup("live", Some(now)), Lookup::Unchanged);
        let sets = [format!("server.root={}", root.0.display()), "scripts.call_ms=77".to_owned()];
        apps.apps.shared.set_config(config::load(board::by_name("generic").unwrap(), None, &sets).unwrap());
        let live = found(apps.lookup("live", Some(now)));
        assert_eq!(live.script.unwrap().limits.budget.call_ms, 77);
    }

    #[test]
    fn rules_that_are_being_written_are_not_believed_however_they_are_written() {
        let root = Root::new("written");
        let (deny, file) = ("[publish]\naddresses = [\"deny all\"]\n", "applications/live/app.toml");
        root.write(file, deny);
        root.write("applications/live/main.asc", "x");
        let mut apps = root.apps(&[]);
        let stamp = Some(found(apps.lookup("live", None)).stamp);
        let path = root.0.join(file);
        // In place, caught at every byte, and away for a moment, as editors that rename do it.
        for end in 0..=deny.len() {
            apps.wait(LESS_MS);
            root.write(file, deny);
            assert!(matches!(apps.look("live", stamp), Lookup::Unchanged | Lookup::Changing));
            apps.wait(SETTLE_MS);
            assert_eq!(apps.look("live", stamp), Lookup::Unchanged);
            root.write(file, &deny[..end]);
            if end < deny.len() {
                assert_eq!(apps.look("live", stamp), Lookup::Changing, "{end}");
                assert_eq!(apps.look("live", None), Lookup::Changing, "{end}");
            }
        }
        fs::rename(&path, root.0.join("applications/live/app.toml~")).unwrap();
        assert_eq!(apps.look("live", stamp), Lookup::Changing);
        apps.wait(LESS_MS - 1);
        assert_eq!(apps.look("live", stamp), Lookup::Changing, "who takes away rules may be about to bring others");
        root.write(file, deny);
        root.write("applications/live/main.asc", "");
        assert_eq!(apps.look("live", stamp), Lookup::Changing);
        apps.wait(LESS_MS - 1);
        assert_eq!(apps.look("live", stamp), Lookup::Changing);
        apps.wait(1);
        let live = found(apps.look("live", stamp));
        assert!(live.script.is_some(), "it was meant");
        // And so is a directory that is replaced by another.
        let stamp = Some(live.stamp);
        fs::rename(root.0.join("applications/live"), root.0.join("old")).unwrap();
        assert_eq!(apps.look("live", stamp), Lookup::Changing);
        fs::rename(root.0.join("old"), root.0.join("applications/live")).unwrap();
        assert_eq!(apps.lookup("live", stamp), Lookup::Unchanged);
    }

    #[test]
    fn a_file_that_is_written_twice_within_a_tick_of_the_clock_is_known_by_its_bytes() {
        let root = Root::new("tick");
        let file = root.0.join("applications/live/app.toml");
        let time = std::time::SystemTime::now() - Duration::from_secs(100);
        let write = |kind: &str| {
            root.write("applications/live/app.toml", &format!("kind = \"{kind}\" "));
            File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
        };
        let mut apps = root.apps(&[]);
        write("live");
        let live = found(apps.lookup("live", None));
        write("vod\" #");
        assert_eq!(apps.look("live", Some(live.stamp)), Lookup::Changing);
        assert_eq!(found(apps.lookup("live", Some(live.stamp))).kind, AppKind::Vod);
    }

    #[test]
    fn what_was_written_long_ago_is_believed_at_the_first_look() {
        let root = Root::new("long-ago");
        root.write("applications/live/app.toml", "kind = \"vod\"\n");
        let mut apps = root.apps(&[]);
        apps.now.wall_ms += 60_000;
        assert_eq!(found(apps.look("live", None)).kind, AppKind::Vod);
    }

    #[test]
    fn a_survey_finds_what_nobody_asks_about_and_reads_nothing_twice() {
        let root = Root::new("survey");
        root.write("applications/live/app.toml", "kind = \"none\"\n");
        (0..2 * SURVEYED_AT_ONCE).for_each(|n| root.write(&format!("applications/a{n}/app.toml"), ""));
        let mut apps = root.apps(&[]).apps;
        (0..3).for_each(|_| apps.survey(wrong));
        assert_eq!(apps.watched.values().len(), 1 + 2 * SURVEYED_AT_ONCE, "each has its turn");
        assert!(apps.watched.values().all(|watched| watched.surveyed.is_none()), "they were written a moment ago");
        std::thread::sleep(Duration::from_millis(SURVEY_MS + 10));
        (0..3).for_each(|_| apps.survey(wrong));
        assert!(apps.watched.get("live").unwrap().surveyed.is_some());
    }

    #[test]
    fn links_are_followed_to_regular_files_and_nothing_else_holds_it_up() {
        let root = Root::new("links");
        root.write("shared/main.asc", "shared");
        let app = root.0.join("applications/live");
        symlink(root.0.join("shared/main.asc"), app.join("main.asc")).unwrap();
        symlink("/dev/zero", app.join("zero.asc")).unwrap();
        symlink("/nonexistent", app.join("nowhere.asc")).unwrap();
        symlink(root.0.join("applications"), app.join("round")).unwrap();
        let made = std::process::Command::new("mkfifo").arg(app.join("pipe.js")).status();
        assert!(made.unwrap().success());
        let start = Instant::now();
        let only = (FileRole::Main, "main.asc".to_owned(), "shared".to_owned());
        assert_eq!(told(&mut root.apps(&[])), [only]);
        let error = read_text(&app.join("pipe.js"), 10, "").unwrap_err();
        assert!(error.ends_with("pipe.js: is no regular file"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(5));
        symlink(&app, root.0.join("applications/other")).unwrap();
        assert_eq!(found(root.apps(&[]).lookup("other", None)).name, "other");
    }

    #[test]
    fn rules_and_scripts_that_are_no_files_let_nobody_in() {
        let root = Root::new("no-files");
        for name in ["app.toml", "main.asc"] {
            let path = root.0.join("applications/live").join(name);
            symlink("/nonexistent", &path).unwrap();
            let lookup = root.apps(&[]).lookup("live", None);
            assert!(matches!(lookup, Lookup::Broken(error) if error.ends_with("is no regular file")), "{name}");
            fs::remove_file(&path).unwrap();
            fs::create_dir(&path).unwrap();
            assert!(matches!(root.apps(&[]).lookup("live", None), Lookup::Broken(_)), "{name}");
            fs::remove_dir(&path).unwrap();
        }
    }
}
