//! The configuration: a board's defaults, then a TOML file, then `--set key.path=value`, into plain values.
//!
//! `KEYS` is the one table of keys: what each is called, what it takes, where it goes, and whether it can change while
//! the server runs. Reading, messages, the listing of `rill limits` and the file of `rill init` are all driven by it.
//! Every error of a file is reported, not only the first.

pub(crate) mod hooks;
pub mod keys;
mod log_time;
pub(crate) mod record;
mod recorded_places;
mod tls;

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use hooks::hook_key;
use keys::TakesEffect::{AtOnce, AtStart};
use toml::de::{DeTable, DeValue};

use crate::board::{self, Board};
use crate::live::app::Networks;
use crate::live::hook_settings::{HookEvent, HookSettings};
use crate::live::links::{LEAST_SIGN_KEY_BYTES, MOST_SIGN_KEY_BYTES, SignKey};
use crate::live::secret::{AdminKey, LEAST_ADMIN_KEY_BYTES, MOST_ADMIN_KEY_BYTES};
use crate::live::settings::{Merge, PerAddress, ScriptProcess, Settings};
pub(crate) use keys::edits;
pub use keys::{ConfigError, KeyRow, Origin, TakesEffect};
use keys::{CustomValue, Key, KeyType, Reading, Wrong, within};
pub use log_time::LogTime;
pub use record::{KeepFree, RecordPlaces, WhenFull};
pub use recorded_places::{NamedDirectory, RecordedPlaces};
pub use tls::TlsPlaces;

/// The name of the control socket in its directory.
pub const CONTROL_SOCKET: &str = "rill.sock";

/// The port for HTTP where none is set.
pub const HTTP_PORT: u16 = 8080;
/// The one that a URL need not say (RFC 9110, section 4.2.1), beside it where that needs no privilege.
pub const HTTP_URL_PORT: u16 = 80;

/// The port for RTMP in TLS where none is set. 443, which clients take when a URL says none, is for HTTP.
const RTMPS_PORT: u16 = 1936;
/// The one for HTTP in TLS.
const HTTPS_PORT: u16 = 8443;

/// The configuration in force, and where each value comes from.
#[derive(Clone, Debug)]
pub struct Config {
    /// The board whose counts are the defaults.
    pub board: &'static str,
    /// The memory of the machine, by which those counts grew; `None` when it was not read or is unknown.
    pub ram_bytes: Option<u64>,
    /// Addresses and ports to listen on; each is a socket address.
    pub listen: Vec<String>,
    /// Addresses and ports for HTTP that were set (`server.http`); empty for none. See [`Config::http_places`].
    pub http: Option<Vec<String>>,
    /// Where TLS is spoken, and with which certificate.
    pub tls: TlsPlaces,
    /// The directory that holds `applications/`, if one was named.
    pub root: Option<PathBuf>,
    /// The control socket that was named (`server.control`); empty for none. See [`Config::control_place`].
    pub control: Option<PathBuf>,
    /// A directory with files that every application's script may `load()`.
    pub script_lib: Option<PathBuf>,
    /// Log level: `off`, `error`, `warn`, `info`, `debug` or `trace`.
    pub log: String,
    /// What log lines begin with.
    pub log_time: LogTime,
    /// Where recorded streams lie beside the applications' own directories.
    pub recorded: RecordedPlaces,
    /// Where recordings lie, and how much of the medium they may have.
    pub record: RecordPlaces,
    /// The time zone of dates in the log and in names of recordings, as POSIX writes it (`TZ`); empty for the system's.
    pub time_zone: String,
    /// The clock counts as set whatever the kernel says.
    pub trust_clock: bool,
    /// The numbers that the server itself needs.
    pub settings: Settings,
    rows: Vec<KeyRow>,
}

/// Where the control socket is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlPlace {
    /// There is to be none.
    None,
    /// At this path.
    At(PathBuf),
    /// Not set: [`usual`](crate::net::control_socket::usual).
    Usual,
}

impl Config {
    /// Every key in the order of its section, with its value and where that came from.
    pub fn rows(&self) -> &[KeyRow] {
        &self.rows
    }

    /// Where `rill ctl` finds the server: what `server.control` says; else `rill.sock` in the root that was named; else
    /// where [`usual`](crate::net::control_socket::usual) says.
    pub fn control_place(&self) -> ControlPlace {
        match (&self.control, &self.root) {
            (Some(path), _) if path.as_os_str().is_empty() => ControlPlace::None,
            (Some(path), _) => ControlPlace::At(path.clone()),
            (None, Some(root)) => ControlPlace::At(root.join(CONTROL_SOCKET)),
            (None, None) => ControlPlace::Usual,
        }
    }

    /// Where HTTP is spoken: what `server.http` says; else at its usual ports of the addresses for RTMP. `lowest_port` is the
    /// first that needs no privilege (`net.ipv4.ip_unprivileged_port_start`).
    pub fn http_places(&self, lowest_port: u16) -> Vec<SocketAddr> {
        match &self.http {
            Some(list) => parsed(list),
            None => {
                let addresses = self.hosts();
                // The URL without a port is the one to show, and what is shown first is what is here first.
                let short = (lowest_port <= HTTP_URL_PORT).then_some(HTTP_URL_PORT);
                let ports = short.into_iter().chain([HTTP_PORT]);
                ports.flat_map(|port| addresses.iter().map(move |&ip| SocketAddr::new(ip, port))).collect()
            }
        }
    }

    /// Where RTMP is spoken in TLS: what `server.tls.listen` says; else at its usual port of the addresses for RTMP, if there is a
    /// certificate.
    pub fn rtmps_places(&self) -> Vec<SocketAddr> {
        self.secure_places(&self.tls.listen, RTMPS_PORT)
    }

    /// Likewise HTTP (`server.tls.http`).
    pub fn https_places(&self) -> Vec<SocketAddr> {
        self.secure_places(&self.tls.http, HTTPS_PORT)
    }

    fn secure_places(&self, set: &Option<Vec<String>>, port: u16) -> Vec<SocketAddr> {
        match set {
            Some(list) => parsed(list),
            None if self.tls.certificate.is_none() => Vec::new(),
            None => self.hosts().into_iter().map(|ip| SocketAddr::new(ip, port)).collect(),
        }
    }

    /// The addresses for RTMP, without ports.
    fn hosts(&self) -> Vec<IpAddr> {
        let mut hosts: Vec<IpAddr> = parsed(&self.listen).iter().map(SocketAddr::ip).collect();
        hosts.dedup();
        hosts
    }

    /// This configuration with what of `wanted` takes effect at once.
    pub fn changed_to(&self, mut wanted: Config) -> Config {
        let mut changed = self.clone();
        keys::carry_over(&KEYS, &mut changed, &mut wanted);
        for (old, new) in changed.rows.iter_mut().zip(wanted.rows) {
            if new.takes_effect == TakesEffect::AtOnce {
                *old = new;
            }
        }
        changed
    }

    /// The keys whose values are other than in `before`, with both rows, `before`'s first.
    pub fn changes<'a>(&'a self, before: &'a Config) -> impl Iterator<Item = (&'a KeyRow, &'a KeyRow)> {
        before.rows.iter().zip(&self.rows).filter(|(old, new)| old.value != new.value)
    }
}

/// The addresses of a list that was read.
fn parsed(list: &[String]) -> Vec<SocketAddr> {
    list.iter().filter_map(|address| address.parse().ok()).collect()
}

/// Lays `file` (its name and text) over the defaults and `board`'s counts, and then each of `sets` (`key.path=value`).
///
/// # Errors
///
/// Every unknown key, wrong type and value out of range, in the order they were written.
pub fn load(board: &Board, file: Option<(&str, &str)>, sets: &[String]) -> Result<Config, Vec<ConfigError>> {
    let mut reading = Reading::new(defaults(board), &KEYS, "`rill limits` lists them all");
    for key in FROM_BOARD {
        reading.set_origin(key, Origin::Board(board.name));
    }
    if let Some((name, text)) = file {
        reading.file(name, text);
    }
    for set in sets {
        reading.set(set);
    }
    let (mut config, rows) = reading.finish()?;
    config.settings.has_secure_doors = !(config.rtmps_places().is_empty() && config.https_places().is_empty());
    Ok(Config { rows, ..config })
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

/// What holds on `board` without a file.
fn defaults(board: &Board) -> Config {
    let counts = board.limits;
    let settings = Settings {
        connections: counts.connections,
        streams: counts.streams,
        ring_bytes: counts.ring_bytes,
        ram_budget_bytes: counts.ram_budget_bytes,
        script_instances: counts.script_instances,
        // The profile has one of the names.
        script_process: ScriptProcess::named(board.script_process).unwrap_or(ScriptProcess::Server),
        recorded_players: counts.recorded_players,
        recordings: counts.recordings,
        relays: counts.relays,
        hooks: counts.hooks,
        tls_connections: counts.tls_connections,
        ..Settings::default()
    };
    Config {
        board: board.name,
        ram_bytes: None,
        listen: vec!["0.0.0.0:1935".to_owned()],
        http: None,
        tls: TlsPlaces::default(),
        root: None,
        control: None,
        script_lib: None,
        log: "info".to_owned(),
        log_time: LogTime::Auto,
        recorded: RecordedPlaces::default(),
        record: RecordPlaces::default(),
        time_zone: String::new(),
        trust_clock: false,
        settings,
        rows: Vec::new(),
    }
}

/// Keys whose defaults are in the board's profile.
const FROM_BOARD: [&str; 11] = [
    "limits.connections",
    "limits.streams",
    "limits.ring_bytes",
    "limits.ram_budget_bytes",
    "limits.script_instances",
    "limits.recorded_players",
    "limits.recordings",
    "limits.relays",
    "limits.hooks",
    "limits.tls_connections",
    "scripts.process",
];

type ConfigType = KeyType<Config>;

/// Every key. Units are in the names; ranges are explained at [`Settings`]. What memory and sockets were obtained by takes
/// effect at the next start; so does what an instance of a script may take, for the memory table counts on it.
#[rustfmt::skip]
const KEYS: [Key<Config>; 93] = [
    key("server.listen", AtStart, "addresses and ports to listen on", LISTEN),
    key("server.http", AtStart, "addresses and ports for HTTP; \"auto\" is port 8080 at the addresses of server.listen, and 80 where that needs no privilege; [] is none", HTTP),
    key("server.board", AtStart, "board profile that gives the counts", BOARD),
    key("server.root", AtStart, "directory that holds applications/", ROOT),
    key("server.control", AtStart, "socket of `rill ctl`; \"\" is none", CONTROL),
    key("server.log", AtOnce, "how much is logged", LOG),
    key("server.log_time", AtOnce, "what log lines begin with; \"auto\" is date and time when the clock is set, uptime till then, nothing for a journal", LOG_TIME),
    key("server.trust_clock", AtStart, "the clock counts as set although neither the kernel nor a clock with a battery says so, as in some containers", KeyType::Switch(|c| &mut c.trust_clock)),
    key("server.time_zone", AtStart, "time zone of dates, like \"CET-1CEST,M3.5.0,M10.5.0/3\"; \"\" is the system's", TIME_ZONE),
    key("server.script_lib", AtOnce, "directory with files that every script may load()", SCRIPT_LIB),

    key("server.tls.listen", AtStart, "addresses and ports for RTMP in TLS (rtmps://); \"auto\" is port 1936 at the addresses of server.listen if there is a certificate; [] is none", TLS_LISTEN),
    key("server.tls.http", AtStart, "likewise for HTTP (https://, wss://); \"auto\" is port 8443", TLS_HTTP),
    key("server.tls.certificate", AtStart, "file with the certificate for TLS and those that sign it, as PEM; \"\" is none", TLS_CERTIFICATE),
    key("server.tls.key", AtStart, "file with its private key, as PEM; \"\" is none", TLS_KEY),
    key("server.tls.ca", AtStart, "file with authorities, as PEM, that are believed besides the public ones when streams go to or come from rtmps://; \"\" is none", TLS_CA),

    key("limits.connections", AtStart, "connections at once; as many publishers more as there are streams", KeyType::Count(|c| &mut c.settings.connections, 1..=60_000)),
    key("limits.streams", AtStart, "streams at once", KeyType::Count(|c| &mut c.settings.streams, 1..=4096)),
    key("limits.ring_bytes", AtStart, "memory of each stream", KeyType::Bytes(|c| &mut c.settings.ring_bytes, 256 * KIB..=GIB)),
    key("limits.ram_budget_bytes", AtStart, "largest total of the memory table", KeyType::Bytes(|c| &mut c.settings.ram_budget_bytes, MIB..=64 * GIB)),
    key("limits.connections_per_address", AtOnce, "connections from one address; 0 is no limit, auto three quarters of all", PER_ADDRESS),
    key("limits.applications", AtStart, "applications known at once", KeyType::Count(|c| &mut c.settings.applications, 1..=256)),
    key("limits.script_instances", AtStart, "instances with a script at once", KeyType::Count(|c| &mut c.settings.script_instances, 0..=256)),
    key("limits.recorded_players", AtStart, "players of recorded streams at once", KeyType::Count(|c| &mut c.settings.recorded_players, 0..=4096)),
    key("limits.recordings", AtStart, "recordings that are made at once", KeyType::Count(|c| &mut c.settings.recordings, 0..=256)),
    key("limits.relays", AtStart, "streams that are sent to other servers or fetched from them at once", KeyType::Count(|c| &mut c.settings.relays, 0..=256)),
    key("limits.hooks", AtStart, "requests to hooks under way at once", KeyType::Count(|c| &mut c.settings.hooks, 0..=64)),
    key("limits.tls_connections", AtStart, "connections with TLS at once; without a certificate those of relays alone", KeyType::Count(|c| &mut c.settings.tls_connections, 1..=4096)),

    key("live.publish_timeout_ms", AtOnce, "silence after which a publisher loses its name to a newcomer", KeyType::Millis(|c| &mut c.settings.publish_timeout_ms, 0..=60_000)),
    key("live.unpublish_grace_ms", AtOnce, "time until players are told that a publisher left, if it is not back by then; 0 is at once", KeyType::Millis(|c| &mut c.settings.unpublish_grace_ms, UNPUBLISH_GRACE_MS)),
    key("live.publish_idle_ms", AtOnce, "time without audio and video after which Publish.Idle is told; 0 is never", KeyType::Millis(|c| &mut c.settings.publish_idle_ms, 0..=3_600_000)),
    key("live.player_lag_ms", AtOnce, "lag at which a player skips to the newest key frame", KeyType::Millis(|c| &mut c.settings.player_lag_ms, 100..=60_000)),
    key("live.player_stall_ms", AtOnce, "time without a byte taken after which a player is closed", KeyType::Millis(|c| &mut c.settings.player_stall_ms, 1000..=120_000)),
    key("live.merge_ms", AtOnce, "time that bytes are gathered before a write; 0 is at once", MERGE),
    key("live.gop_cache", AtOnce, "players start at the newest key frame instead of the next one", KeyType::Switch(|c| &mut c.settings.gop_cache)),

    key("hls.segment_ms", AtOnce, "a segment of HLS lasts as long at least; it ends at the next key frame", KeyType::Count(|c| &mut c.settings.hls_segment_ms, 500..=10_000)),

    key("vod.directory", AtOnce, "directory with films: of each application in a directory of its name, in place of its own media/", VOD_DIRECTORY),
    key("vod.virtual", AtOnce, "more directories with films, each with the name under which they are played", VOD_VIRTUAL),
    key("vod.lead_ms", AtOnce, "the most that a recorded stream is sent ahead of its time", KeyType::Millis(|c| &mut c.settings.recorded_lead_ms, RECORDED_LEAD_MS)),

    key("record.on", AtOnce, "streams that are recorded without being asked for", RECORD_ON),
    key("record.container", AtOnce, "files that are recorded; what MP4 cannot carry is recorded as FLV", RECORD_CONTAINER),
    key("record.dvr", AtOnce, "who plays a live stream from a start of 0 is sent its recording from the beginning, and follows it", KeyType::Switch(|c| &mut c.settings.record.dvr)),
    key("record.segment_s", AtOnce, "length of a file in seconds; it ends at the next key frame", KeyType::Count(|c| &mut c.settings.record.segment_s, record::SEGMENT_S)),
    key("record.max_segment_bytes", AtOnce, "largest file", KeyType::Bytes(|c| &mut c.settings.record.max_segment_bytes, record::SEGMENT_BYTES)),
    key("record.join_ms", AtOnce, "a publisher who is back in this time goes on in the same file", KeyType::Millis(|c| &mut c.settings.record.join_ms, record::JOIN_MS)),
    key("record.sync_ms", AtOnce, "time after which what was recorded is on the medium", KeyType::Millis(|c| &mut c.settings.record.sync_ms, record::SYNC_MS)),
    key("record.on_complete", AtOnce, "program that is run for each complete file, which is its last argument", RECORD_COMMAND),
    key("record.directory", AtStart, "directory with recordings: of each application in a directory of its name, in place of its own recordings/", RECORD_DIRECTORY),
    key("record.keep_free", AtOnce, "space that recordings leave free", RECORD_FREE),
    key("record.keep_total_bytes", AtOnce, "space that recordings may take; 0 is no limit", KeyType::Bytes(|c| &mut c.record.keep_total_bytes, 0..=1 << 50)),
    key("record.keep_days", AtOnce, "days after which a recording is deleted, if the clock is set; 0 is never", KeyType::Count(|c| &mut c.record.keep_days, 0..=36_500)),
    key("record.when_full", AtOnce, "delete the oldest recordings, or stop recording", RECORD_FULL),

    key("web.hosts", AtOnce, "names of this server for the page, beside its addresses and names in .local", WEB_HOSTS),
    key("web.trusted_proxies", AtOnce, "addresses of proxies that are believed whom they ask for (X-Forwarded-For, X-Forwarded-Proto)", WEB_PROXIES),

    key("web.public", AtOnce, "everybody sees what is live, recordings and figures; otherwise only who has the admin key", KeyType::Switch(|c| &mut c.settings.web_public)),
    key("web.admin_key", AtOnce, "key with which things may be changed over HTTP; \"\" is that of `rill ctl admin-key`, if there is one", ADMIN_KEY),

    key("sign.key", AtOnce, "key of links that let somebody play or publish until they expire (`rill sign`); \"\" is none", SIGN_KEY),

    key("hooks.on_connect", AtOnce, "URL that is asked whether a client may connect; \"\" is none", hook_key!(c => c.settings.hook, Connect)),
    key("hooks.on_publish", AtOnce, "URL that is asked whether it may publish; \"\" is none", hook_key!(c => c.settings.hook, Publish)),
    key("hooks.on_play", AtOnce, "URL that is asked whether it may play; \"\" is none", hook_key!(c => c.settings.hook, Play)),
    key("hooks.on_done", AtOnce, "URL that is told that a client's publish or play has ended; \"\" is none", hook_key!(c => c.settings.hook, Done)),
    key("hooks.on_publish_done", AtOnce, "URL that is told that a publish has ended; \"\" is none", hook_key!(c => c.settings.hook, PublishDone)),
    key("hooks.on_play_done", AtOnce, "URL that is told that a play has ended; \"\" is none", hook_key!(c => c.settings.hook, PlayDone)),
    key("hooks.on_record_done", AtOnce, "URL that is told that a file of a recording is complete; \"\" is none", hook_key!(c => c.settings.hook, RecordDone)),
    key("hooks.on_update", AtOnce, "URL that is told every hooks.update_ms of who publishes and plays; \"\" is none", hook_key!(c => c.settings.hook, Update)),
    key("hooks.style", AtOnce, "form of requests: nginx-rtmp's fields, or SRS's JSON", hook_key!(c => c.settings.hook, hooks::read_style, |to, from| to.style = from.style, hooks::show_style, hooks::allowed_style, true, false)),
    key("hooks.timeout_ms", AtOnce, "time for an answer", KeyType::Millis(|c| &mut c.settings.hook.timeout_ms, hooks::TIMEOUT_MS)),
    key("hooks.when_down", AtOnce, "whether clients may when a hook does not answer", hook_key!(c => c.settings.hook, hooks::read_when_down, |to, from| to.when_down = from.when_down, hooks::show_when_down, hooks::allowed_when_down, true, false)),
    key("hooks.secret", AtOnce, "key of the HMAC-SHA256 that requests are signed with; \"\" is none", hook_key!(c => c.settings.hook, hooks::read_secret, |to, from| to.secret.clone_from(&from.secret), hooks::show_secret, hooks::allowed_secret, true, true)),
    key("hooks.headers", AtOnce, "lines that the head of each request has", hook_key!(c => c.settings.hook, hooks::read_headers, |to, from| to.headers.clone_from(&from.headers), hooks::show_headers, hooks::allowed_headers, false, true)),
    key("hooks.update_ms", AtOnce, "time between two calls of hooks.on_update", KeyType::Millis(|c| &mut c.settings.hook.update_ms, hooks::UPDATE_MS)),

    key("timeouts.handshake_ms", AtOnce, "time for the handshake", KeyType::Millis(|c| &mut c.settings.handshake_timeout_ms, 1000..=120_000)),
    key("timeouts.connect_ms", AtOnce, "time from handshake to connect", KeyType::Millis(|c| &mut c.settings.connect_timeout_ms, 1000..=120_000)),
    key("timeouts.idle_ms", AtOnce, "time a connection may neither publish nor play; 0 is for ever", KeyType::Millis(|c| &mut c.settings.idle_timeout_ms, IDLE_MS)),
    key("timeouts.ping_interval_ms", AtOnce, "silence after which a client is pinged", KeyType::Millis(|c| &mut c.settings.ping_interval_ms, 1000..=3_600_000)),
    key("timeouts.ping_timeout_ms", AtOnce, "time to answer a ping", KeyType::Millis(|c| &mut c.settings.ping_timeout_ms, 1000..=600_000)),

    key("scripts.memory_bytes", AtStart, "heap of each script instance", KeyType::Bytes(|c| &mut c.settings.scripts.budget.memory_bytes, SCRIPT_MEMORY)),
    key("scripts.stack_bytes", AtStart, "stack of each script process, in which one script runs at a time", KeyType::Bytes(|c| &mut c.settings.scripts.budget.stack_bytes, SCRIPT_STACK)),
    key("scripts.call_ms", AtOnce, "time of one call into a script", KeyType::Count(|c| &mut c.settings.scripts.budget.call_ms, SCRIPT_CALL_MS)),
    key("scripts.load_ms", AtOnce, "time in which a script is loaded and starts", KeyType::Count(|c| &mut c.settings.scripts.budget.load_ms, SCRIPT_LOAD_MS)),
    key("scripts.process", AtStart, "which scripts share a process: those of an application, or all", SCRIPT_PROCESS),
    key("scripts.kill_ms", AtOnce, "processor time after which a script process that does not come back is killed", KeyType::Millis(|c| &mut c.settings.script_kill_ms, 50..=60_000)),
    key("scripts.answer_ms", AtOnce, "time after which one that does not answer is killed", KeyType::Millis(|c| &mut c.settings.script_answer_ms, 100..=120_000)),
    key("scripts.pending_ms", AtOnce, "time that onConnect may leave a client undecided", KeyType::Millis(|c| &mut c.settings.scripts.pending_ms, SCRIPT_PENDING_MS)),
    key("scripts.idle_unload_ms", AtOnce, "time without clients after which a script is unloaded; 0 is never", KeyType::Millis(|c| &mut c.settings.scripts.idle_unload_ms, SCRIPT_IDLE_MS)),
    key("scripts.retry_ms", AtOnce, "time that clients of a stopped script are refused", KeyType::Millis(|c| &mut c.settings.scripts.retry_ms, SCRIPT_RETRY_MS)),

    key("bandwidth.detection", AtOnce, "clients and scripts may have their bandwidth measured", KeyType::Switch(|c| &mut c.settings.bandwidth.detection)),
    key("bandwidth.max_kbit", AtOnce, "highest rate that is measured; 0 is no limit", KeyType::Count(|c| &mut c.settings.bandwidth.max_kbit, BANDWIDTH_KBIT)),
    key("bandwidth.data_bytes", AtOnce, "bytes of the first measurement", KeyType::Count(|c| &mut c.settings.bandwidth.data_bytes, BANDWIDTH_DATA)),
    key("bandwidth.max_wait_ms", AtOnce, "longest duration of a measurement", KeyType::Count(|c| &mut c.settings.bandwidth.max_wait_ms, BANDWIDTH_WAIT_MS)),
    key("bandwidth.to_client_bytes_s", AtOnce, "bytes a second sent to each client; 0 is no limit", KeyType::Count(|c| &mut c.settings.bandwidth.to_client_bytes_s, BANDWIDTH_BYTES_S)),
    key("bandwidth.to_server_bytes_s", AtOnce, "bytes a second taken from each client; 0 is no limit", KeyType::Count(|c| &mut c.settings.bandwidth.to_server_bytes_s, BANDWIDTH_BYTES_S)),

    key("socket.notsent_lowat_bytes", AtStart, "unsent bytes that the kernel holds per player", KeyType::Bytes(|c| &mut c.settings.notsent_lowat_bytes, 4 * KIB..=16 * MIB)),
    key("socket.send_buffer_bytes", AtStart, "the kernel's send buffer; 0 is its own choice", KeyType::Bytes(|c| &mut c.settings.send_buffer_bytes, 0..=16 * MIB)),
];

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

// Ranges that an application's own file shares.
pub(crate) const UNPUBLISH_GRACE_MS: RangeInclusive<u64> = 0..=3_600_000;
pub(crate) const RECORDED_LEAD_MS: RangeInclusive<u64> = 2000..=3_600_000;
pub(crate) const IDLE_MS: RangeInclusive<u64> = 0..=86_400_000;
pub(crate) const SCRIPT_MEMORY: RangeInclusive<u64> = 256 * KIB..=GIB;
pub(crate) const SCRIPT_STACK: RangeInclusive<u64> = 32 * KIB..=MIB;
pub(crate) const SCRIPT_CALL_MS: RangeInclusive<u32> = 1..=10_000;
pub(crate) const SCRIPT_LOAD_MS: RangeInclusive<u32> = 10..=60_000;
pub(crate) const SCRIPT_PENDING_MS: RangeInclusive<u64> = 100..=120_000;
pub(crate) const SCRIPT_IDLE_MS: RangeInclusive<u64> = 0..=86_400_000;
pub(crate) const SCRIPT_RETRY_MS: RangeInclusive<u64> = 0..=3_600_000;
pub(crate) const BANDWIDTH_KBIT: RangeInclusive<u32> = 0..=10_000_000;
pub(crate) const BANDWIDTH_DATA: RangeInclusive<u32> = 1024..=1_048_576;
pub(crate) const BANDWIDTH_WAIT_MS: RangeInclusive<u32> = 100..=60_000;
pub(crate) const BANDWIDTH_BYTES_S: RangeInclusive<u32> = 0..=1_250_000_000;

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// More listening sockets than a machine has addresses; each holds a place in the poll.
const ADDRESSES: usize = 8;

const _: () = assert!(keys::can_be_carried(&KEYS), "a key takes effect at once and cannot be taken over");

const fn key(path: &'static str, takes_effect: TakesEffect, help: &'static str, key_type: ConfigType) -> Key<Config> {
    Key { path, takes_effect, help, key_type }
}

const fn value(
    put: fn(&mut Config, &DeValue<'_>) -> Result<(), Wrong>,
    carry: Option<fn(&mut Config, &Config)>,
    show: fn(&mut Config) -> String,
    allowed: fn() -> String,
    is_text: bool,
) -> ConfigType {
    KeyType::Value(CustomValue { put, carry, show, allowed, is_text, is_secret: false })
}

/// A list of texts, or one of them.
fn one_or_more<'v>(value: &'v DeValue<'_>) -> Result<Vec<&'v str>, Wrong> {
    let list = match value {
        DeValue::Array(list) => list.iter().map(|text| text.get_ref().as_str()).collect(),
        value => value.as_str().map(|text| vec![text]),
    };
    list.ok_or(Wrong::NotAllowed)
}

/// A list of addresses with ports, or one of them.
fn addresses(value: &DeValue<'_>) -> Result<Vec<String>, Wrong> {
    let list = one_or_more(value)?;
    let valid = list.iter().all(|address| address.parse::<SocketAddr>().is_ok());
    if !valid || list.len() > ADDRESSES {
        return Err(Wrong::NotAllowed);
    }
    Ok(list.into_iter().map(str::to_owned).collect())
}

/// The same, or `None` for what is usual.
fn addresses_or_auto(value: &DeValue<'_>) -> Result<Option<Vec<String>>, Wrong> {
    if value.as_str() == Some("auto") { Ok(None) } else { addresses(value).map(Some) }
}

fn show_addresses_or_auto(set: &Option<Vec<String>>) -> String {
    set.as_ref().map_or("auto".to_owned(), |list| format!("{list:?}"))
}

fn allowed_addresses_or_auto() -> String {
    format!("\"auto\", or up to {ADDRESSES} of \"ADDRESS:PORT\"")
}

const HTTP: ConfigType = value(
    |config, value| {
        config.http = addresses_or_auto(value)?;
        Ok(())
    },
    None,
    |config| show_addresses_or_auto(&config.http),
    allowed_addresses_or_auto,
    false,
);

const TLS_LISTEN: ConfigType = value(
    |config, value| {
        config.tls.listen = addresses_or_auto(value)?;
        Ok(())
    },
    None,
    |config| show_addresses_or_auto(&config.tls.listen),
    allowed_addresses_or_auto,
    false,
);

const TLS_HTTP: ConfigType = value(
    |config, value| {
        config.tls.http = addresses_or_auto(value)?;
        Ok(())
    },
    None,
    |config| show_addresses_or_auto(&config.tls.http),
    allowed_addresses_or_auto,
    false,
);

const TLS_CERTIFICATE: ConfigType = value(
    |config, value| {
        config.tls.certificate = path_or_none(value)?;
        Ok(())
    },
    None,
    |config| show_path(&config.tls.certificate),
    || "a path, or \"\" for none".to_owned(),
    true,
);

const TLS_KEY: ConfigType = value(
    |config, value| {
        config.tls.key = path_or_none(value)?;
        Ok(())
    },
    None,
    |config| show_path(&config.tls.key),
    || "a path, or \"\" for none".to_owned(),
    true,
);

const TLS_CA: ConfigType = value(
    |config, value| {
        config.tls.ca = path_or_none(value)?;
        Ok(())
    },
    None,
    |config| show_path(&config.tls.ca),
    || "a path, or \"\" for none".to_owned(),
    true,
);

const LISTEN: ConfigType = value(
    |config, value| {
        config.listen = addresses(value).ok().filter(|list| !list.is_empty()).ok_or(Wrong::NotAllowed)?;
        Ok(())
    },
    None,
    |config| format!("{:?}", config.listen),
    || format!("1 to {ADDRESSES} of \"ADDRESS:PORT\""),
    false,
);

const BOARD: ConfigType = value(
    |config, value| {
        let board = value.as_str().and_then(board::by_name).ok_or(Wrong::NotAllowed)?;
        config.board = board.name;
        Ok(())
    },
    None,
    |config| config.board.to_owned(),
    || {
        let names: Vec<&str> = board::all().iter().map(|board| board.name).collect();
        format!("one of {}", names.join(", "))
    },
    true,
);

const ROOT: ConfigType = value(
    |config, value| {
        config.root = Some(path(value)?);
        Ok(())
    },
    None,
    |config| show_path(&config.root),
    || "a path".to_owned(),
    true,
);

const VOD_DIRECTORY: ConfigType = value(
    |config, value| {
        config.recorded.directory = path_or_none(value)?;
        Ok(())
    },
    Some(|to, from| to.recorded.directory.clone_from(&from.recorded.directory)),
    |config| show_path(&config.recorded.directory),
    || "a path, or \"\" for none".to_owned(),
    true,
);

const VOD_VIRTUAL: ConfigType = value(
    |config, value| config.recorded.name(value),
    Some(|to, from| to.recorded.named.clone_from(&from.recorded.named)),
    |config| config.recorded.show(),
    RecordedPlaces::allowed,
    false,
);

const TIME_ZONE: ConfigType = value(
    |config, value| {
        let zone = value.as_str().filter(|zone| !zone.contains('\0')).ok_or(Wrong::NotAllowed)?;
        config.time_zone = zone.to_owned();
        Ok(())
    },
    None,
    |config| config.time_zone.clone(),
    || "a time zone as POSIX writes it, or \"\" for the system's".to_owned(),
    true,
);

/// More names than a server has.
const HOSTS: usize = 8;

const ADMIN_KEY: ConfigType = KeyType::Value(CustomValue {
    put: |config, value| {
        config.settings.admin_key = match value.as_str().ok_or(Wrong::NotAllowed)? {
            "" => None,
            text => Some(AdminKey::parse(text).ok_or(Wrong::NotAllowed)?),
        };
        Ok(())
    },
    carry: Some(|to, from| to.settings.admin_key.clone_from(&from.settings.admin_key)),
    // Whether there is one is all that is shown.
    show: |config| config.settings.admin_key.as_ref().map_or("", |_| "…").to_owned(),
    allowed: || {
        format!(
            "{LEAST_ADMIN_KEY_BYTES} to {MOST_ADMIN_KEY_BYTES} letters, digits and signs without \" and \\, or \"\" for none"
        )
    },
    is_text: true,
    is_secret: true,
});

const SIGN_KEY: ConfigType = KeyType::Value(CustomValue {
    put: |config, value| {
        config.settings.sign_key = match value.as_str().ok_or(Wrong::NotAllowed)? {
            "" => None,
            text => Some(SignKey::parse(text).ok_or(Wrong::NotAllowed)?),
        };
        Ok(())
    },
    carry: Some(|to, from| to.settings.sign_key.clone_from(&from.settings.sign_key)),
    show: |config| config.settings.sign_key.as_ref().map_or("", |_| "…").to_owned(),
    allowed: || {
        format!(
            "{LEAST_SIGN_KEY_BYTES} to {MOST_SIGN_KEY_BYTES} letters, digits and signs without \" and \\, or \"\" for none"
        )
    },
    is_text: true,
    is_secret: true,
});

const WEB_HOSTS: ConfigType = value(
    |config, value| {
        let list = one_or_more(value)?;
        let is_name = |name: &str| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        };
        if list.len() > HOSTS || !list.iter().all(|name| is_name(name)) {
            return Err(Wrong::NotAllowed);
        }
        config.settings.web_hosts = list.into_iter().map(str::to_owned).collect();
        Ok(())
    },
    Some(|to, from| to.settings.web_hosts.clone_from(&from.settings.web_hosts)),
    |config| format!("{:?}", config.settings.web_hosts),
    || format!("up to {HOSTS} names of hosts, without ports"),
    false,
);

const WEB_PROXIES: ConfigType = value(
    |config, value| {
        config.settings.web_proxies = Networks::parse(&one_or_more(value)?).ok_or(Wrong::NotAllowed)?;
        Ok(())
    },
    Some(|to, from| to.settings.web_proxies.clone_from(&from.settings.web_proxies)),
    |config| format!("{:?}", config.settings.web_proxies.said()),
    || format!("up to {} addresses or networks", Networks::MOST),
    false,
);

const RECORD_ON: ConfigType = value(
    |config, value| record::read_on(&mut config.settings.record, value),
    Some(|to, from| to.settings.record.on.clone_from(&from.settings.record.on)),
    |config| record::show_on(&config.settings.record),
    record::allowed_on,
    false,
);

const RECORD_CONTAINER: ConfigType = value(
    |config, value| record::read_container(&mut config.settings.record, value),
    Some(|to, from| to.settings.record.container = from.settings.record.container),
    |config| record::show_container(&config.settings.record),
    record::allowed_container,
    false,
);

const RECORD_COMMAND: ConfigType = value(
    |config, value| record::read_command(&mut config.settings.record, value),
    Some(|to, from| to.settings.record.on_complete.clone_from(&from.settings.record.on_complete)),
    |config| format!("{:?}", config.settings.record.on_complete),
    record::allowed_command,
    false,
);

const RECORD_DIRECTORY: ConfigType = value(
    |config, value| {
        config.record.directory = path_or_none(value)?;
        Ok(())
    },
    None,
    |config| show_path(&config.record.directory),
    || "a path, or \"\" for none".to_owned(),
    true,
);

const RECORD_FREE: ConfigType = value(
    |config, value| {
        config.record.keep_free = KeepFree::read(value)?;
        Ok(())
    },
    Some(|to, from| to.record.keep_free = from.record.keep_free),
    |config| config.record.keep_free.show(),
    KeepFree::allowed,
    true,
);

const RECORD_FULL: ConfigType = value(
    |config, value| {
        let named = |name: &str| WhenFull::ALL.iter().find(|(known, _)| *known == name);
        config.record.when_full = value.as_str().and_then(named).ok_or(Wrong::NotAllowed)?.1;
        Ok(())
    },
    Some(|to, from| to.record.when_full = from.record.when_full),
    |config| WhenFull::ALL[config.record.when_full as usize].0.to_owned(),
    || format!("one of {}", WhenFull::ALL.map(|(name, _)| name).join(", ")),
    true,
);

const LOG: ConfigType = value(
    |config, value| {
        let level = value.as_str().filter(|level| LEVELS.contains(level)).ok_or(Wrong::NotAllowed)?;
        config.log = level.to_owned();
        Ok(())
    },
    Some(|to, from| to.log.clone_from(&from.log)),
    |config| config.log.clone(),
    || format!("one of {}", LEVELS.join(", ")),
    true,
);

const LOG_TIME: ConfigType = value(
    |config, value| {
        let named = |name: &str| LogTime::ALL.iter().find(|(known, _)| *known == name);
        config.log_time = value.as_str().and_then(named).ok_or(Wrong::NotAllowed)?.1;
        Ok(())
    },
    Some(|to, from| to.log_time = from.log_time),
    |config| config.log_time.name().to_owned(),
    || format!("one of {}", LogTime::ALL.map(|(name, _)| name).join(", ")),
    true,
);

const CONTROL: ConfigType = value(
    |config, value| {
        // Nothing is a value, too: no socket.
        let path = value.as_str().ok_or(Wrong::NotAllowed)?;
        config.control = Some(path).filter(|path| *path != "auto").map(PathBuf::from);
        Ok(())
    },
    None,
    |config| match config.control_place() {
        ControlPlace::None => String::new(),
        ControlPlace::At(path) => path.display().to_string(),
        ControlPlace::Usual => "auto".to_owned(),
    },
    || "a path, \"auto\", or \"\" for none".to_owned(),
    true,
);

const SCRIPT_LIB: ConfigType = value(
    |config, value| {
        config.script_lib = path_or_none(value)?;
        Ok(())
    },
    Some(|to, from| to.script_lib.clone_from(&from.script_lib)),
    |config| show_path(&config.script_lib),
    || "a path, or \"\" for none".to_owned(),
    true,
);

const MERGE: ConfigType = value(
    |config, value| {
        config.settings.merge = match value.as_str() {
            Some("auto") => Merge::Auto,
            Some(_) => return Err(Wrong::NotAllowed),
            None => Merge::Fixed(within(value, &MERGE_MS)?),
        };
        Ok(())
    },
    Some(|to, from| to.settings.merge = from.settings.merge),
    |config| match config.settings.merge {
        Merge::Auto => "auto".to_owned(),
        Merge::Fixed(ms) => ms.to_string(),
    },
    || format!("\"auto\" or {}..={}", MERGE_MS.start(), MERGE_MS.end()),
    false,
);

const SCRIPT_PROCESS: ConfigType = value(
    |config, value| {
        config.settings.script_process = value.as_str().and_then(ScriptProcess::named).ok_or(Wrong::NotAllowed)?;
        Ok(())
    },
    Some(|to, from| to.settings.script_process = from.settings.script_process),
    |config| config.settings.script_process.name().to_owned(),
    || format!("one of {}", ScriptProcess::ALL.map(|(name, _)| name).join(", ")),
    true,
);

const PER_ADDRESS: ConfigType = value(
    |config, value| {
        config.settings.connections_per_address = match value.as_str() {
            Some("auto") => PerAddress::Auto,
            Some(_) => return Err(Wrong::NotAllowed),
            None => PerAddress::Fixed(within(value, &CONNECTIONS_PER_ADDRESS)?),
        };
        Ok(())
    },
    Some(|to, from| to.settings.connections_per_address = from.settings.connections_per_address),
    |config| match config.settings.connections_per_address {
        PerAddress::Auto => "auto".to_owned(),
        PerAddress::Fixed(connections) => connections.to_string(),
    },
    || format!("\"auto\" or {}..={}", CONNECTIONS_PER_ADDRESS.start(), CONNECTIONS_PER_ADDRESS.end()),
    false,
);

const CONNECTIONS_PER_ADDRESS: RangeInclusive<u32> = 0..=60_000;

const MERGE_MS: RangeInclusive<u32> = 0..=1000;

fn path(value: &DeValue<'_>) -> Result<PathBuf, Wrong> {
    path_or_none(value)?.ok_or(Wrong::NotAllowed)
}

fn path_or_none(value: &DeValue<'_>) -> Result<Option<PathBuf>, Wrong> {
    let path = value.as_str().ok_or(Wrong::NotAllowed)?;
    Ok(Some(path).filter(|path| !path.is_empty()).map(PathBuf::from))
}

fn show_path(path: &Option<PathBuf>) -> String {
    path.as_ref().map_or(String::new(), |path| path.display().to_string())
}

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
        let with_256_mib = generic().with_memory(Some(256 << 20));
        let usual = Settings { script_process: ScriptProcess::Server, ..Settings::default() };
        assert_eq!(load(&with_256_mib, None, &[]).unwrap().settings, usual);
        let zero = board::by_name("rpi-zero").unwrap();
        let config = load(zero, None, &[]).unwrap();
        assert_eq!((config.board, config.settings.connections), ("rpi-zero", zero.limits.connections));
        assert_eq!(config.listen, ["0.0.0.0:1935"]);
    }

    #[test]
    fn http_is_where_rtmp_is_unless_it_is_said_where() {
        let places_above = |lowest_port, sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(|set| set.to_string()).collect();
            load(generic(), None, &sets).unwrap().http_places(lowest_port)
        };
        let places = |sets: &[&str]| places_above(1024, sets);
        let at = |places: &[&str]| places.iter().map(|place| place.parse().unwrap()).collect::<Vec<SocketAddr>>();
        assert_eq!(places(&[]), at(&["0.0.0.0:8080"]));
        assert_eq!(places(&["server.listen=[\"127.0.0.1:0\", \"127.0.0.1:7\"]"]), at(&["127.0.0.1:8080"]));
        // Short URLs where the system lets every program have the port.
        for lowest_port in [0, 80] {
            assert_eq!(places_above(lowest_port, &[]), at(&["0.0.0.0:80", "0.0.0.0:8080"]));
            assert_eq!(places_above(lowest_port, &["server.http=127.0.0.1:81"]), at(&["127.0.0.1:81"]));
        }
        assert_eq!(places(&["server.http=127.0.0.1:80", "server.http=auto"]), at(&["0.0.0.0:8080"]));
        assert_eq!(places(&["server.http=[\"[::]:80\"]"]), at(&["[::]:80"]));
        assert_eq!(places(&["server.http=[]"]), at(&[]));
        assert_eq!(
            errors("[server]\nhttp = 8080\n", &[])[0],
            "rill.toml:2: server.http = 8080: must be \"auto\", or up to 8 of \"ADDRESS:PORT\""
        );
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
                "rill.toml:10: server.board = \"pi\": must be one of generic, host, openwrt-armv7, rpi-2, rpi-5, rpi-64, rpi-zero, virt-32, virt-64",
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
    fn broken_toml_is_an_error_with_its_line() {
        let errors = errors("[live]\nmerge_ms = \ngop_cache = 1\n", &[]);
        assert!(errors[0].starts_with("rill.toml:2: "), "{errors:?}");
        assert!(errors.iter().any(|error| error.starts_with("rill.toml:3: live.gop_cache = 1: must be")), "{errors:?}");
    }

    #[test]
    fn what_is_said_twice_is_named_with_both_places_and_what_to_do() {
        let text = "[live]\n#merge_ms = 1\nmerge_ms = 5\n[limits]\n\n [ live ] # again\n[live]\nmerge_ms = 7\n[limits]\nstreams = 2\nstreams = 3\n";
        assert_eq!(
            errors(text, &[]),
            [
                "rill.toml:6: [live] is there already, at line 1: put the keys below this line there, and remove this line",
                "rill.toml:7: [live] is there already, at line 1: put the keys below this line there, and remove this line",
                "rill.toml:8: merge_ms is there already, at line 3: remove one of the two",
                "rill.toml:9: [limits] is there already, at line 4: put the keys below this line there, and remove this line",
                "rill.toml:11: streams is there already, at line 10: remove one of the two",
            ]
        );
    }

    #[test]
    fn a_table_that_is_unknown_is_said_once_with_the_one_that_was_meant() {
        let text =
            "[sever]\nlisten = \":1\"\nlog = \"info\"\n[timeout]\n[quux]\n[liv]\nmerge_ms = 3\n[limits.streams]\n";
        assert_eq!(
            errors(text, &[]),
            [
                "rill.toml:1: [sever]: unknown table, did you mean [server]?",
                "rill.toml:4: [timeout]: unknown table, did you mean [timeouts]?",
                "rill.toml:5: [quux]: unknown table, `rill limits` lists them all",
                "rill.toml:6: [liv]: unknown table, did you mean [live]?",
                "rill.toml:8: limits.streams = [limits.streams]: must be 1..=4096",
            ]
        );
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

    #[test]
    fn a_key_changes_at_once_if_and_only_if_the_server_takes_it_over() {
        let before = load(generic(), None, &[]).unwrap();
        for row in before.rows() {
            let text = row.value.parse::<u64>().ok().map(|number| (number + 1).to_string());
            let larger = || board::parse_bytes(&row.value).map(|bytes| (bytes + 4096).to_string());
            let other = match row.value.as_str() {
                "true" => "false".to_owned(),
                "false" => "true".to_owned(),
                "5%" => "6%".to_owned(),
                "" if row.key == "web.admin_key" || row.key == "sign.key" => "correct-horse-battery-42".to_owned(),
                "" if row.key.starts_with("hooks.on_") => "http://h/x".to_owned(),
                "[]" if row.key == "hooks.headers" => "[\"A: b\"]".to_owned(),
                "form" => "json".to_owned(),
                "deny" => "allow".to_owned(),
                "[]" if row.key == "web.hosts" => "[\"rill.example\"]".to_owned(),
                "[]" if row.key == "web.trusted_proxies" => "[\"10.0.0.0/8\"]".to_owned(),
                "[]" => "[\"/bin/true\"]".to_owned(),
                "delete" => "stop".to_owned(),
                "mp4" => "flv".to_owned(),
                "auto" if row.key == "server.log_time" => "uptime".to_owned(),
                "auto" if row.key == "server.http" || row.key.starts_with("server.tls.") => "[]".to_owned(),
                "auto" => "7".to_owned(),
                "info" => "debug".to_owned(),
                "generic" => "host".to_owned(),
                "{}" => "{films = \"/x\"}".to_owned(),
                "server" => "application".to_owned(),
                "[\"0.0.0.0:1935\"]" => "[\"0.0.0.0:1936\"]".to_owned(),
                value => text.or_else(larger).unwrap_or_else(|| format!("{value}/x")),
            };
            let set = format!("{}={other}", row.key);
            let wanted = load(generic(), None, std::slice::from_ref(&set)).unwrap();
            let after = before.changed_to(wanted.clone());
            let values = |config: &Config| config.rows().iter().map(|row| row.value.clone()).collect::<Vec<_>>();
            let state = |config: &Config| {
                let Config { board, listen, http, root, control, script_lib, .. } = config.clone();
                let Config { log, log_time, recorded, record, time_zone, trust_clock, settings, tls, .. } =
                    config.clone();
                let log = (log, log_time, time_zone, trust_clock, tls);
                (board, listen, http, root, control, script_lib, log, recorded, record, settings)
            };
            let expected = if row.takes_effect == AtOnce { &wanted } else { &before };
            assert_eq!((values(&after), state(&after)), (values(expected), state(expected)), "{set}");
            assert!(wanted.changes(&before).any(|(_, new)| new.key == row.key), "{set}");
            assert_ne!(state(&wanted), state(&before), "{set}");
        }
    }

    #[test]
    fn the_control_socket_is_the_one_named_or_in_the_root_or_none() {
        let socket = |sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(|set| set.to_string()).collect();
            load(generic(), None, &sets).unwrap().control_place()
        };
        let at = |path: &str| ControlPlace::At(path.into());
        assert_eq!(socket(&["server.root=/srv"]), at("/srv/rill.sock"));
        assert_eq!(socket(&["server.root=/srv", "server.control=auto"]), at("/srv/rill.sock"));
        assert_eq!(socket(&["server.control=/tmp/x", "server.root=/srv"]), at("/tmp/x"));
        assert_eq!(socket(&["server.root=/srv", "server.control="]), ControlPlace::None);
        assert_eq!(socket(&[]), ControlPlace::Usual);
        assert_eq!(
            errors("[server]\ncontrol = 3\n", &[])[0],
            "rill.toml:2: server.control = 3: must be a path, \"auto\", or \"\" for none"
        );
    }
}
