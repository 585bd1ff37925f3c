//! The configuration: a board's defaults, then a TOML file, then `--set key.path=value`, into plain values.
//!
//! [`KEYS`] is the one table of keys: what each is called, what it takes, where it goes. Reading, messages and the
//! listing of `rill limits` are all driven by it. Every error of a file is reported, not only the first.

use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use crate::board::{self, Board, format_bytes, line_of, parse_bytes};
use crate::server::settings::{Merge, Settings};

/// What the server was told, and by whom.
#[derive(Clone, Debug)]
pub struct Config {
    /// The board whose counts are the defaults.
    pub board: &'static str,
    /// Addresses and ports to listen on; each is a socket address.
    pub listen: Vec<String>,
    /// The directory that holds `applications/`, if one was named.
    pub root: Option<PathBuf>,
    /// The control socket that was named (`server.control`); empty for none. See [`Config::control_socket`].
    pub control: Option<PathBuf>,
    /// Log level: `off`, `error`, `warn`, `info`, `debug` or `trace`.
    pub log: String,
    /// The numbers that the server itself needs.
    pub settings: Settings,
    rows: Vec<Row>,
}

/// One line of the listing: a key and its value.
#[derive(Clone, Debug)]
pub struct Row {
    /// The key's path, like `live.merge_ms`.
    pub key: &'static str,
    /// The value in force, as it could be written after `--set`.
    pub value: String,
    /// Who said so.
    pub origin: Origin,
    /// What the key means, in one line.
    pub help: &'static str,
    /// What may be set.
    pub allowed: String,
}

/// Who gave a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody: it is the server's own default.
    Default,
    /// The profile of this board.
    Board(&'static str),
    /// This line of this file.
    File {
        /// The file's name as it was given.
        name: String,
        /// The line, from 1.
        line: usize,
    },
    /// The command line.
    Set,
}

/// Something wrong in the configuration. It is displayed as one line that says where, which key and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(String);

impl Config {
    /// Every key in the order of its section, with its value and where that came from.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Where `rill ctl` finds the server: what `server.control` says; else `rill.sock` in the root that was named; else in
    /// the directory that systemd makes for the service, if it is there. `None` when there is to be no such socket.
    pub fn control_socket(&self) -> Option<PathBuf> {
        match (&self.control, &self.root) {
            (Some(path), _) => Some(path.clone()).filter(|path| !path.as_os_str().is_empty()),
            (None, Some(root)) => Some(root.join(CONTROL_FILE)),
            (None, None) => Path::new(RUN).is_dir().then(|| Path::new(RUN).join(CONTROL_FILE)),
        }
    }
}

/// The control socket's name in its directory.
const CONTROL_FILE: &str = "rill.sock";
/// What `RuntimeDirectory=rill` of a systemd unit makes.
const RUN: &str = "/run/rill";

/// Lays `file` (its name and text) over the defaults and `board`'s counts, and then each of `sets` (`key.path=value`).
///
/// # Errors
///
/// Every unknown key, wrong type and value out of range, in the order they were written.
pub fn load(board: &Board, file: Option<(&str, &str)>, sets: &[String]) -> Result<Config, Vec<ConfigError>> {
    let mut loading = Loading::new(board);
    if let Some((name, text)) = file {
        loading.file(name, text);
    }
    for set in sets {
        loading.set(set);
    }
    loading.finish()
}

/// The board that the configuration names (`server.board`), which has to be known before the rest can be loaded. `None`
/// when it names none, or none that exists; then [`load`] says so.
pub fn chosen_board(file: Option<(&str, &str)>, sets: &[String]) -> Option<&'static Board> {
    let set = sets.iter().rev().find_map(|set| set.strip_prefix("server.board="));
    if let Some(name) = set {
        return board::by_name(name.trim().trim_matches('"'));
    }
    let (table, _) = DeTable::parse_recoverable(file?.1);
    let server = table.get_ref().get("server")?.get_ref().as_table()?;
    board::by_name(server.get("board")?.get_ref().as_str()?)
}

/// One configuration key.
struct Key {
    path: &'static str,
    help: &'static str,
    slot: Slot,
}

/// Where a key's value goes, which is also its type, and what it may be.
enum Slot {
    Count(fn(&mut Config) -> &mut u32, RangeInclusive<u32>),
    Millis(fn(&mut Config) -> &mut u64, RangeInclusive<u64>),
    Bytes(fn(&mut Config) -> &mut u64, RangeInclusive<u64>),
    Switch(fn(&mut Config) -> &mut bool),
    Merge(fn(&mut Config) -> &mut Merge, RangeInclusive<u32>),
    Level(fn(&mut Config) -> &mut String),
    Directory(fn(&mut Config) -> &mut Option<PathBuf>),
    Control,
    Addresses(fn(&mut Config) -> &mut Vec<String>),
    Board(fn(&mut Config) -> &mut &'static str),
}

/// Every key. Units are in the names; ranges are explained at [`Settings`].
#[rustfmt::skip]
const KEYS: [Key; 23] = [
    key("server.listen", "addresses and ports to listen on", Slot::Addresses(|c| &mut c.listen)),
    key("server.board", "board profile that gives the counts", Slot::Board(|c| &mut c.board)),
    key("server.root", "directory that holds applications/", Slot::Directory(|c| &mut c.root)),
    key("server.control", "socket of `rill ctl`; \"\" is none", Slot::Control),
    key("server.log", "how much is logged", Slot::Level(|c| &mut c.log)),

    key("limits.connections", "connections at once", Slot::Count(|c| &mut c.settings.connections, 1..=60_000)),
    key("limits.streams", "streams at once", Slot::Count(|c| &mut c.settings.streams, 1..=4096)),
    key("limits.ring_bytes", "memory of each stream", Slot::Bytes(|c| &mut c.settings.ring_bytes, 256 * KIB..=GIB)),
    key("limits.ram_budget_bytes", "the most that all memory may come to", Slot::Bytes(|c| &mut c.settings.ram_budget_bytes, MIB..=64 * GIB)),
    key("limits.connections_per_address", "connections from one address; 0 is no limit", Slot::Count(|c| &mut c.settings.connections_per_address, 0..=60_000)),

    key("live.publish_timeout_ms", "silence after which a publisher loses its name to a newcomer", Slot::Millis(|c| &mut c.settings.publish_timeout_ms, 0..=60_000)),
    key("live.publish_idle_ms", "time without audio and video after which Publish.Idle is told; 0 is never", Slot::Millis(|c| &mut c.settings.publish_idle_ms, 0..=3_600_000)),
    key("live.player_lag_ms", "lag at which a player skips to the newest key frame", Slot::Millis(|c| &mut c.settings.player_lag_ms, 100..=60_000)),
    key("live.player_stall_ms", "time without a byte taken after which a player is closed", Slot::Millis(|c| &mut c.settings.player_stall_ms, 1000..=120_000)),
    key("live.merge_ms", "time that bytes are gathered before a write; 0 is at once", Slot::Merge(|c| &mut c.settings.merge, 0..=1000)),
    key("live.gop_cache", "players start at the newest key frame instead of the next one", Slot::Switch(|c| &mut c.settings.gop_cache)),

    key("timeouts.handshake_ms", "time for the handshake", Slot::Millis(|c| &mut c.settings.handshake_timeout_ms, 1000..=120_000)),
    key("timeouts.connect_ms", "time from handshake to connect", Slot::Millis(|c| &mut c.settings.connect_timeout_ms, 1000..=120_000)),
    key("timeouts.idle_ms", "time a connection may neither publish nor play; 0 is for ever", Slot::Millis(|c| &mut c.settings.idle_timeout_ms, 0..=86_400_000)),
    key("timeouts.ping_interval_ms", "silence after which a client is pinged", Slot::Millis(|c| &mut c.settings.ping_interval_ms, 1000..=3_600_000)),
    key("timeouts.ping_timeout_ms", "time to answer a ping", Slot::Millis(|c| &mut c.settings.ping_timeout_ms, 1000..=600_000)),

    key("socket.notsent_lowat_bytes", "unsent bytes that the kernel holds per player", Slot::Bytes(|c| &mut c.settings.notsent_lowat_bytes, 4 * KIB..=16 * MIB)),
    key("socket.send_buffer_bytes", "the kernel's send buffer; 0 is its own choice", Slot::Bytes(|c| &mut c.settings.send_buffer_bytes, 0..=16 * MIB)),
];

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// More listening sockets than anybody has addresses; each holds a place in the poll.
const ADDRESSES: usize = 8;

const fn key(path: &'static str, help: &'static str, slot: Slot) -> Key {
    Key { path, help, slot }
}

impl Slot {
    /// Puts `value` in its place, or returns `None` if it is not allowed.
    fn put(&self, config: &mut Config, value: &DeValue) -> Option<()> {
        match self {
            Slot::Count(place, range) => *place(config) = within(board::integer(value)?, range)?,
            Slot::Millis(place, range) => *place(config) = within(board::integer(value)?, range)?,
            Slot::Bytes(place, range) => {
                let bytes = match value.as_str() {
                    Some(text) => i64::try_from(parse_bytes(text)?).ok()?,
                    None => board::integer(value)?,
                };
                *place(config) = within(bytes, range)?;
            }
            Slot::Switch(place) => *place(config) = value.as_bool()?,
            Slot::Merge(place, range) => {
                *place(config) = match value.as_str() {
                    Some("auto") => Merge::Auto,
                    Some(_) => return None,
                    None => Merge::Fixed(within(board::integer(value)?, range)?),
                }
            }
            Slot::Level(place) => {
                let level = value.as_str()?;
                *place(config) = LEVELS.contains(&level).then(|| level.to_owned())?;
            }
            Slot::Directory(place) => {
                let path = value.as_str().filter(|path| !path.is_empty())?;
                *place(config) = Some(PathBuf::from(path));
            }
            // Nothing is a value, too: no socket.
            Slot::Control => config.control = Some(PathBuf::from(value.as_str()?)),
            Slot::Addresses(place) => {
                let list = match value {
                    DeValue::Array(list) => list.iter().map(|address| address.get_ref().as_str()).collect(),
                    value => value.as_str().map(|address| vec![address]),
                }?;
                let valid = list.iter().all(|address| address.parse::<SocketAddr>().is_ok());
                let count = (1..=ADDRESSES).contains(&list.len());
                *place(config) = (valid && count).then(|| list.into_iter().map(str::to_owned).collect())?;
            }
            Slot::Board(place) => *place(config) = board::by_name(value.as_str()?)?.name,
        }
        Some(())
    }

    /// The value in force.
    fn show(&self, config: &mut Config) -> String {
        match self {
            Slot::Count(place, _) => place(config).to_string(),
            Slot::Millis(place, _) => place(config).to_string(),
            Slot::Bytes(place, _) => format_bytes(*place(config)),
            Slot::Switch(place) => place(config).to_string(),
            Slot::Merge(place, _) => match place(config) {
                Merge::Auto => "auto".to_owned(),
                Merge::Fixed(ms) => ms.to_string(),
            },
            Slot::Level(place) => place(config).clone(),
            Slot::Directory(place) => place(config).as_ref().map_or(String::new(), |path| path.display().to_string()),
            Slot::Control => config.control_socket().map_or(String::new(), |path| path.display().to_string()),
            Slot::Addresses(place) => format!("{:?}", place(config)),
            Slot::Board(place) => place(config).to_string(),
        }
    }

    /// What may be put there, for messages that begin with "must be".
    fn allowed(&self) -> String {
        match self {
            Slot::Count(_, range) => format!("{}..={}", range.start(), range.end()),
            Slot::Millis(_, range) => format!("{}..={}", range.start(), range.end()),
            Slot::Bytes(_, range) => {
                format!("bytes, {}..={}", format_bytes(*range.start()), format_bytes(*range.end()))
            }
            Slot::Switch(_) => "true or false".to_owned(),
            Slot::Merge(_, range) => format!("\"auto\" or {}..={}", range.start(), range.end()),
            Slot::Level(_) => format!("one of {}", LEVELS.join(", ")),
            Slot::Directory(_) => "a path".to_owned(),
            Slot::Control => "a path, or \"\" for none".to_owned(),
            Slot::Addresses(_) => format!("1 to {ADDRESSES} of \"ADDRESS:PORT\""),
            Slot::Board(_) => {
                let names: Vec<&str> = board::all().iter().map(|board| board.name).collect();
                format!("one of {}", names.join(", "))
            }
        }
    }

    /// Whether its values are words, which need no quotes on the command line.
    fn is_text(&self) -> bool {
        matches!(self, Slot::Level(_) | Slot::Directory(_) | Slot::Control | Slot::Board(_))
    }
}

fn within<T: TryFrom<i64> + PartialOrd>(value: i64, range: &RangeInclusive<T>) -> Option<T> {
    T::try_from(value).ok().filter(|value| range.contains(value))
}

/// A configuration that is being put together.
struct Loading {
    config: Config,
    origins: [Origin; KEYS.len()],
    errors: Vec<ConfigError>,
}

/// Where a value stands, for messages.
struct Place<'a> {
    origin: Origin,
    /// The value as it was written.
    written: &'a str,
}

impl Loading {
    fn new(board: &Board) -> Loading {
        let counts = board.limits;
        let settings = Settings {
            connections: counts.connections,
            streams: counts.streams,
            ring_bytes: counts.ring_bytes,
            ram_budget_bytes: counts.ram_budget_bytes,
            ..Settings::default()
        };
        let from_board = ["limits.connections", "limits.streams", "limits.ring_bytes", "limits.ram_budget_bytes"];
        let origins = std::array::from_fn(|index| match from_board.contains(&KEYS[index].path) {
            true => Origin::Board(board.name),
            false => Origin::Default,
        });
        let config = Config {
            board: board.name,
            listen: vec!["0.0.0.0:1935".to_owned()],
            root: None,
            control: None,
            log: "info".to_owned(),
            settings,
            rows: Vec::new(),
        };
        Loading { config, origins, errors: Vec::new() }
    }

    fn file(&mut self, name: &str, text: &str) {
        let (table, syntax_errors) = DeTable::parse_recoverable(text);
        for error in syntax_errors {
            let line = line_of(text, error.span().map_or(0, |span| span.start));
            self.errors.push(ConfigError(format!("{name}:{line}: {}", error.message())));
        }
        // The tables are ordered by name; people read a file by line.
        let mut leaves = Vec::new();
        flatten("", table.get_ref(), &mut leaves);
        leaves.sort_by_key(|leaf| leaf.start);
        for leaf in leaves {
            let origin = Origin::File { name: name.to_owned(), line: line_of(text, leaf.start) };
            let written = text.get(leaf.value_span).unwrap_or("");
            self.put(&leaf.path, leaf.value, &Place { origin, written });
        }
    }

    fn set(&mut self, set: &str) {
        let Some((path, written)) = set.split_once('=') else {
            self.errors.push(ConfigError(format!("--set {set}: must be key.path=value")));
            return;
        };
        let (path, written) = (path.trim(), written.trim());
        // What is not TOML is taken as text, so that a word needs no quotes within the shell's own.
        let text = || DeValue::String(written.into());
        let value = match DeValue::parse(written).map(|value| value.into_inner()) {
            Ok(value) if value.is_str() || !find(path).is_some_and(|index| KEYS[index].slot.is_text()) => value,
            _ => text(),
        };
        self.put(path, &value, &Place { origin: Origin::Set, written });
    }

    fn put(&mut self, path: &str, value: &DeValue, place: &Place) {
        let Some(index) = find(path) else {
            let is_table = KEYS.iter().any(|key| key.path.split('.').next() == Some(path));
            let problem = if is_table { "must be a table".to_owned() } else { unknown(path) };
            return self.error(path, place, &problem);
        };
        let slot = &KEYS[index].slot;
        match slot.put(&mut self.config, value) {
            Some(()) => self.origins[index] = place.origin.clone(),
            None => self.error(path, place, &format!("must be {}", slot.allowed())),
        }
    }

    fn error(&mut self, path: &str, place: &Place, problem: &str) {
        let written = shorten(place.written);
        self.errors.push(ConfigError(match &place.origin {
            Origin::File { name, line } => format!("{name}:{line}: {path} = {written}: {problem}"),
            _ => format!("--set {path}={written}: {problem}"),
        }));
    }

    fn finish(mut self) -> Result<Config, Vec<ConfigError>> {
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        let rows = KEYS.iter().zip(&self.origins).map(|(key, origin)| Row {
            key: key.path,
            value: key.slot.show(&mut self.config),
            origin: origin.clone(),
            help: key.help,
            allowed: key.slot.allowed(),
        });
        self.config.rows = rows.collect();
        Ok(self.config)
    }
}

/// A value of the file with its whole path.
struct Leaf<'a, 'i> {
    path: String,
    /// Where its key begins.
    start: usize,
    value: &'a DeValue<'i>,
    value_span: std::ops::Range<usize>,
}

/// Collects what is not a table, and tables that stand where a value belongs.
fn flatten<'a, 'i>(prefix: &str, table: &'a DeTable<'i>, leaves: &mut Vec<Leaf<'a, 'i>>) {
    for (key, value) in table {
        let path = if prefix.is_empty() { key.get_ref().to_string() } else { format!("{prefix}.{}", key.get_ref()) };
        match value.get_ref() {
            DeValue::Table(inner) if find(&path).is_none() => flatten(&path, inner, leaves),
            inner => leaves.push(Leaf { path, start: key.span().start, value: inner, value_span: value.span() }),
        }
    }
}

fn find(path: &str) -> Option<usize> {
    KEYS.iter().position(|key| key.path == path)
}

fn unknown(path: &str) -> String {
    let name = |path: &str| path.rsplit('.').next().unwrap_or("").to_owned();
    // The right name in the wrong table is the likeliest mistake, and looks far off.
    let distance = |key: &Key| if name(key.path) == name(path) { 0 } else { edits(key.path, path) };
    match KEYS.iter().map(|key| (distance(key), key.path)).min() {
        Some((distance, nearest)) if distance <= path.len() / 3 => format!("unknown key, did you mean {nearest}?"),
        _ => "unknown key, `rill limits` lists them all".to_owned(),
    }
}

/// How many bytes have to be inserted, removed or replaced to make `a` into `b` (Levenshtein).
pub(crate) fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// The value as it was written, on one line of bearable length.
fn shorten(written: &str) -> String {
    let line = written.lines().next().unwrap_or("");
    match line.char_indices().nth(60) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None if line.len() < written.trim_end().len() => format!("{line}…"),
        None => line.to_owned(),
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::Board(name) => write!(f, "board {name}"),
            Origin::File { name, line } => write!(f, "{name}:{line}"),
            Origin::Set => f.write_str("--set"),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic() -> &'static Board {
        &board::all()[0]
    }

    fn errors(text: &str, sets: &[&str]) -> Vec<String> {
        let sets: Vec<String> = sets.iter().map(|set| set.to_string()).collect();
        let errors = load(generic(), Some(("rill.toml", text)), &sets).err().unwrap_or_default();
        errors.iter().map(ConfigError::to_string).collect()
    }

    #[test]
    fn without_a_file_the_settings_are_the_defaults_with_the_counts_of_the_board() {
        assert_eq!(load(generic(), None, &[]).unwrap().settings, Settings::default());
        let zero = board::by_name("rpi-zero").unwrap();
        let config = load(zero, None, &[]).unwrap();
        assert_eq!((config.board, config.settings.connections), ("rpi-zero", zero.limits.connections));
        assert_eq!(config.listen, ["0.0.0.0:1935"]);
    }

    #[test]
    fn the_command_line_outweighs_the_file_and_the_file_the_board() {
        let text = "[server]\nlisten = [\"127.0.0.1:1936\", \"[::1]:1936\"]\nboard = \"host\"\n\n[limits]\n\
                    ring_bytes = \"16MiB\"\nstreams = 0x10\n[live]\nmerge_ms = 50\ngop_cache = false\n";
        let file = Some(("rill.toml", text));
        let sets = ["live.merge_ms=auto", "server.log=debug", "server.root=/srv/rill", "limits.ram_budget_bytes=1GiB"];
        let sets = sets.map(str::to_owned);
        let board = chosen_board(file, &sets).unwrap();
        assert_eq!(board.name, "host");
        let config = load(board, file, &sets).unwrap();
        assert_eq!((config.settings.ring_bytes, config.settings.streams), (16 << 20, 16));
        assert_eq!((config.settings.merge, config.settings.gop_cache), (Merge::Auto, false));
        assert_eq!((config.log.as_str(), config.root), ("debug", Some("/srv/rill".into())));
        let row = |key: &str| {
            let row = config.rows.iter().find(|row| row.key == key).unwrap();
            (row.value.as_str(), row.origin.to_string())
        };
        assert_eq!(row("server.listen"), (r#"["127.0.0.1:1936", "[::1]:1936"]"#, "rill.toml:2".to_owned()));
        assert_eq!(row("limits.connections"), ("2000", "board host".to_owned()));
        assert_eq!(row("limits.ring_bytes"), ("16MiB", "rill.toml:6".to_owned()));
        assert_eq!(row("live.merge_ms"), ("auto", "--set".to_owned()));
        assert_eq!(row("timeouts.idle_ms"), ("0", "default".to_owned()));
    }

    #[test]
    fn every_error_is_reported_with_its_line_its_key_and_what_is_allowed() {
        let text = "[live]\nmerge_ms = 5000\ngop_cache = \"yes\"\nplayer_lag = 100\n[limits]\nring_bytes = \"4MB\"\n\
                    publish_timeout_ms = 1\n[server]\nlisten = [\"1935\"]\nboard = \"pi\"\nlog = \"loud\"\n\
                    [timeouts.idle_ms]\nx = 1\n[zzz]\ny = []\n";
        assert_eq!(
            errors(text, &["live.merge_ms=5000", "limits.streams=many", "live", "lvie.gop_cache=true"]),
            [
                "rill.toml:2: live.merge_ms = 5000: must be \"auto\" or 0..=1000",
                "rill.toml:3: live.gop_cache = \"yes\": must be true or false",
                "rill.toml:4: live.player_lag = 100: unknown key, did you mean live.player_lag_ms?",
                "rill.toml:6: limits.ring_bytes = \"4MB\": must be bytes, 256KiB..=1GiB",
                "rill.toml:7: limits.publish_timeout_ms = 1: unknown key, did you mean live.publish_timeout_ms?",
                "rill.toml:9: server.listen = [\"1935\"]: must be 1 to 8 of \"ADDRESS:PORT\"",
                "rill.toml:10: server.board = \"pi\": must be one of generic, host, rpi-zero, rpi-2, rpi-64, rpi-5",
                "rill.toml:11: server.log = \"loud\": must be one of off, error, warn, info, debug, trace",
                "rill.toml:12: timeouts.idle_ms = [timeouts.idle_ms]: must be 0..=86400000",
                "rill.toml:15: zzz.y = []: unknown key, `rill limits` lists them all",
                "--set live.merge_ms=5000: must be \"auto\" or 0..=1000",
                "--set limits.streams=many: must be 1..=4096",
                "--set live: must be key.path=value",
                "--set lvie.gop_cache=true: unknown key, did you mean live.gop_cache?",
            ]
        );
    }

    #[test]
    fn the_control_socket_is_the_one_named_or_in_the_root_or_none() {
        let socket = |sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(|set| set.to_string()).collect();
            load(generic(), None, &sets).unwrap().control_socket()
        };
        assert_eq!(socket(&["server.root=/srv"]), Some("/srv/rill.sock".into()));
        assert_eq!(socket(&["server.control=/tmp/x", "server.root=/srv"]), Some("/tmp/x".into()));
        assert_eq!(socket(&["server.root=/srv", "server.control="]), None);
        assert_eq!(
            errors("[server]\ncontrol = 3\n", &[])[0],
            "rill.toml:2: server.control = 3: must be a path, or \"\" for none"
        );
    }

    #[test]
    fn broken_toml_is_an_error_with_its_line() {
        let errors = errors("[live]\nmerge_ms = \ngop_cache = 1\n", &[]);
        assert!(errors[0].starts_with("rill.toml:2: "), "{errors:?}");
        assert!(errors.iter().any(|error| error.starts_with("rill.toml:3: live.gop_cache = 1: must be")), "{errors:?}");
    }

    #[test]
    fn a_value_where_a_table_belongs_is_said_to_be_one() {
        assert_eq!(errors("live = 3\n", &[]), ["rill.toml:1: live = 3: must be a table"]);
    }

    #[test]
    fn every_default_is_allowed_by_its_own_key() {
        let config = load(generic(), None, &[]).unwrap();
        for row in config.rows() {
            let set = format!("{}={}", row.key, row.value);
            if row.key != "server.root" {
                assert!(load(generic(), None, std::slice::from_ref(&set)).is_ok(), "{set}");
            }
        }
    }
}
