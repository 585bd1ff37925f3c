//! The configuration as it is found on this machine: its file, the board and the memory.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use crate::board::{self, Board};
use crate::config::{self, Config, Origin};

use super::settle::{Clocks, FileStat, Look, PATIENCE, PAUSE, Settling, Watch, hash};
use super::text_file::text;

/// The configuration file that is read when none is named.
const CONFIG_FILE: &str = "/etc/rill/rill.toml";
/// The one within a root that was named on the command line, which comes before it.
pub const ROOT_CONFIG: &str = "rill.toml";
/// What Linux on a board with a device tree says it is.
const MODEL_FILE: &str = "/proc/device-tree/model";
/// What Linux says of its memory.
const MEMORY_FILE: &str = "/proc/meminfo";
/// For how long the configuration's file may not have changed when it is to be read, in milliseconds.
const WHOLE_MS: u64 = 200;

/// What the command line says about the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The configuration file; `None` for the usual one, if there is one.
    pub config: Option<PathBuf>,
    /// `key.path=value`, in the order they were given.
    pub sets: Vec<String>,
}

impl Options {
    /// The root that the command line names.
    fn root(&self) -> Option<PathBuf> {
        let named = self.sets.iter().rev().find_map(|set| set.strip_prefix("server.root="))?;
        Some(PathBuf::from(named.trim().trim_matches('"'))).filter(|root| !root.as_os_str().is_empty())
    }
}

/// The configuration in force.
///
/// # Errors
///
/// Every problem of the file and of the command line, one line each.
pub fn configuration(options: &Options) -> Result<Config, Vec<String>> {
    configuration_of(options, read_file(options))
}

/// The file of the configuration, if there is one, and its text or why that cannot be read.
pub(super) type ConfigFile = Option<(PathBuf, Result<String, String>)>;

/// What is in the file of the configuration.
pub(super) fn read_file(options: &Options) -> ConfigFile {
    let path = path(options)?;
    let text = read(&path);
    Some((path, text))
}

/// Where the file of the configuration is, if there is one.
pub(super) fn path(options: &Options) -> Option<PathBuf> {
    let usual = [options.root().map(|root| root.join(ROOT_CONFIG)), Some(PathBuf::from(CONFIG_FILE))];
    options.config.clone().or_else(|| usual.into_iter().flatten().find(|path| path.exists()))
}

/// The configuration in force, when `file` is what [`read_file`] has found.
///
/// # Errors
///
/// Those of [`configuration`].
pub(super) fn configuration_of(options: &Options, file: ConfigFile) -> Result<Config, Vec<String>> {
    let file = match file {
        Some((path, text)) => Some((path.display().to_string(), text.map_err(|problem| vec![problem])?)),
        None => None,
    };
    let file = file.as_ref().map(|(name, text)| (name.as_str(), text.as_str()));
    let ram_bytes = fs::read_to_string(MEMORY_FILE).ok().and_then(|text| board::ram_bytes(&text));
    let board = config::chosen_board(file, &options.sets).unwrap_or_else(detected).with_memory(ram_bytes);
    let mut config = config::load(&board, file, &options.sets)
        .map_err(|errors| errors.iter().map(|error| as_typed(&error.to_string())).collect::<Vec<_>>())?;
    config.ram_bytes = ram_bytes;
    match taken_twice(&config.listen) {
        Some((one, other)) => {
            let origin = config.rows().iter().find(|row| row.key == "server.listen").map(|row| &row.origin);
            let place = match origin {
                Some(origin @ Origin::File { .. }) => format!("{origin}: server.listen"),
                _ => "--listen".to_owned(),
            };
            Err(vec![format!("{place}: {other} is taken by {one} already; each address may be listened on once")])
        }
        None => Ok(config),
    }
}

/// The board that this machine is.
pub fn detected() -> &'static Board {
    board::detect(fs::read_to_string(MODEL_FILE).ok().as_deref())
}

/// Two addresses on which one server cannot listen, because they are the same or one is every address of the other's
/// kind. Port 0 is another port each time.
fn taken_twice(listen: &[String]) -> Option<(SocketAddr, SocketAddr)> {
    let addresses: Vec<SocketAddr> = listen.iter().filter_map(|address| address.parse().ok()).collect();
    let clash = |one: &SocketAddr, other: &SocketAddr| {
        let every = one.ip().is_unspecified() || other.ip().is_unspecified();
        let overlap = one.ip() == other.ip() || (every && one.is_ipv4() == other.is_ipv4());
        one.port() == other.port() && one.port() != 0 && overlap
    };
    let mut pairs =
        addresses.iter().enumerate().flat_map(|(at, one)| addresses[at + 1..].iter().map(move |other| (*one, *other)));
    pairs.find(|(one, other)| clash(one, other))
}

fn read(path: &Path) -> Result<String, String> {
    let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    text(path, bytes)
}

/// Names the option that was typed instead of the key that it stands for.
fn as_typed(error: &str) -> String {
    for option in ["root", "board", "log", "listen"] {
        if let Some(rest) = error.strip_prefix(&format!("--set server.{option}=")) {
            return format!("--{option} {rest}");
        }
    }
    error.to_owned()
}

/// The file of the configuration.
pub(super) struct Watched {
    clock: Clocks,
    watch: Watch,
}

impl Watched {
    pub(super) fn new() -> Watched {
        Watched { clock: Clocks::start(), watch: Watch::of_whole(WHOLE_MS) }
    }

    /// It can be read again and again. A pipe says once what is in it.
    pub(super) fn is_regular(options: &Options) -> bool {
        path(options).and_then(|path| path.metadata().ok()).is_none_or(|metadata| metadata.is_file())
    }

    /// What is in it now, with a hash of that; `None` while it is being written.
    pub(super) fn look(&mut self, options: &Options) -> Option<(ConfigFile, u64)> {
        let outside = |file: &ConfigFile| file.as_ref().map(|(path, _)| (path.clone(), FileStat::at(path)));
        let file = read_file(options);
        let before = outside(&file);
        let now = self.clock.now();
        // Written to between two readings, it is neither the one nor the other.
        let again = read_file(options);
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
        (self.watch.look(look, now) == Settling::Settled).then_some((again, look.inside))
    }

    /// Waits for what it says, though not for long.
    pub(super) fn wait(&mut self, options: &Options) -> Result<(ConfigFile, u64), Vec<String>> {
        if !Watched::is_regular(options) {
            return Ok((read_file(options), 0));
        }
        let begin = Instant::now();
        loop {
            if let Some(settled) = self.look(options) {
                return Ok(settled);
            }
            if begin.elapsed() >= PATIENCE {
                let name =
                    read_file(options).map_or("the configuration".to_owned(), |(path, _)| path.display().to_string());
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
pub fn wait_for_file(options: &Options) -> Result<(), Vec<String>> {
    if Watched::is_regular(options) { Watched::new().wait(options).map(drop) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_that_was_typed_is_named() {
        assert_eq!(as_typed("--set server.log=x: must be y"), "--log x: must be y");
        assert_eq!(as_typed("--set live.merge_ms=x: must be y"), "--set live.merge_ms=x: must be y");
    }

    #[test]
    fn an_address_can_be_taken_once() {
        let clash = |listen: &[&str]| {
            let listen: Vec<String> = listen.iter().map(|address| address.to_string()).collect();
            taken_twice(&listen).map(|(one, other)| format!("{one} {other}"))
        };
        assert_eq!(clash(&["[::]:1", "10.0.0.5:7", "[::1]:7", "10.0.0.5:8", "127.0.0.1:0", "127.0.0.1:0"]), None);
        assert_eq!(clash(&["10.0.0.6:7", "10.0.0.5:7", "10.0.0.5:7"]).unwrap(), "10.0.0.5:7 10.0.0.5:7");
        assert_eq!(clash(&["10.0.0.5:7", "0.0.0.0:7"]).unwrap(), "10.0.0.5:7 0.0.0.0:7");
    }
}
