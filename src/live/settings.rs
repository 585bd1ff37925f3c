//! What can be set about the server, as plain numbers.
//!
//! They are read before anything is allocated. Those by which nothing was obtained can change when the configuration is read
//! again, as the row of each key says. The configuration file's keys, types and ranges stand in
//! `src/config/mod.rs`; each range here is the one that table allows.

use core::net::IpAddr;

use crate::limits::{CONTROL_CLIENTS, SPARE_CONNECTIONS};

use super::app::{Bandwidth, Networks, ScriptLimits};
use super::hook_settings::HookSettings;
use super::links::SignKey;
use super::record_settings::RecordSettings;
use super::secret::AdminKey;

/// Everything that the server is told by its configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Connections at once: 1 to 60 000. As many more as there are [streams](Self::streams) are kept for those that publish,
    /// which is decided when they do. One more takes the place of one that is idle, or is told so and closed.
    pub connections: u32,
    /// Streams at once, and so rings: 1 to 4096. One more publisher is answered `NetStream.Publish.BadName`.
    pub streams: u32,
    /// Size of each stream's ring in bytes: 256 KiB to 1 GiB. It bounds how far back a player can join.
    pub ring_bytes: u64,
    /// The largest total of the memory table, in bytes: 1 MiB to 64 GiB. Above it the server refuses to start.
    pub ram_budget_bytes: u64,
    /// Connections from one address, and from one IPv6 network of 64 bits. One more is closed at once, or takes the place
    /// of one of them that has not joined an application.
    pub connections_per_address: PerAddress,

    /// How long a publisher may be silent after a newcomer asked for its name, in milliseconds: 0 (the newcomer takes
    /// over at once) to 60 000.
    pub publish_timeout_ms: u64,
    /// How long a publisher may send neither audio nor video before it and its players are told
    /// `NetStream.Publish.Idle`, in milliseconds: 0 (they never are) to 3 600 000.
    pub publish_idle_ms: u64,
    /// How long players are not told that a publisher left, in milliseconds: 0 (at once, as Adobe's servers do) to 3 600 000.
    /// When it is back by then they just go on: common players end at `NetStream.Play.UnpublishNotify`.
    pub unpublish_grace_ms: u64,
    /// The most a player may be behind, in milliseconds: 100 to 60 000. Beyond it the player skips to the newest key
    /// frame; without one ahead, to the newest sound before it is overtaken.
    pub player_lag_ms: u64,
    /// How long a player may take no byte, in milliseconds: 1000 to 120 000. Then it is closed.
    pub player_stall_ms: u64,
    /// How long bytes for players are gathered before they are written.
    pub merge: Merge,
    /// A segment of HLS lasts as long at least, in milliseconds: 500 to 10 000.
    pub hls_segment_ms: u32,
    /// Whether a player starts at the newest key frame that the ring holds. Otherwise, and when the ring holds none, it has
    /// sound at once and a picture from the next one on.
    pub gop_cache: bool,

    /// Time for the handshake, in milliseconds: 1000 to 120 000.
    pub handshake_timeout_ms: u64,
    /// Time from the handshake to `connect`, in milliseconds: 1000 to 120 000.
    pub connect_timeout_ms: u64,
    /// How long a connection may neither publish nor play, in milliseconds: 0 (for ever) to 86 400 000.
    pub idle_timeout_ms: u64,
    /// A silent client is pinged after this many milliseconds: 1000 to 3 600 000.
    pub ping_interval_ms: u64,
    /// Time to answer a ping, in milliseconds: 1000 to 600 000.
    pub ping_timeout_ms: u64,

    /// Applications known at once: 1 to 256. One more makes the server forget one without clients; when all are in use
    /// its clients are refused.
    pub applications: u32,
    /// Instances of applications with a script that are loaded at once: 0 to 256. One more is refused.
    pub script_instances: u32,
    /// Players of recorded streams at once: 0 to 4096. One more is answered `NetStream.Play.Failed`.
    pub recorded_players: u32,
    /// The most that a recorded stream is sent ahead of its time, in milliseconds: 2000 to 3 600 000. What a client asks for
    /// beyond it is cut.
    pub recorded_lead_ms: u64,
    /// Names of this server, beside its addresses and its own in the local network, by which its page may ask what is not for every
    /// page: a name of a stranger's may lead here, too.
    pub web_hosts: Vec<String>,
    /// Proxies that are believed whom they ask for (`X-Forwarded-For`).
    pub web_proxies: Networks,
    /// Everybody sees what is live, recordings and figures. Otherwise the administrator alone does; media goes by its applications' own
    /// rules in any case.
    pub web_public: bool,
    /// Who has it may change things over HTTP; without one nobody may.
    pub admin_key: Option<AdminKey>,
    /// What links are signed with that let somebody play or publish until they expire; without one there are none.
    pub sign_key: Option<SignKey>,
    /// Recordings that are made at once: 0 to 256. One more is not made, which is told who asked, and the log.
    pub recordings: u32,
    /// Streams that are sent to other servers or fetched from them at once: 0 to 256. One more is not, which the log says.
    pub relays: u32,
    /// Requests to hooks under way at once: 0 to 64. One more waits.
    pub hooks: u32,
    /// Who is asked and told of clients, and how, unless the application says otherwise.
    pub hook: HookSettings,
    /// Connections with TLS at once: 1 to 4096. One more is closed. Without a certificate they are places for relays alone.
    pub tls_connections: u32,
    /// Clients may come with TLS: there is a certificate, and a door for them. It has no key.
    pub has_secure_doors: bool,
    /// What is recorded and how, unless the application says otherwise.
    pub record: RecordSettings,
    /// What scripts may use, unless their application says otherwise.
    pub scripts: ScriptLimits,
    /// Which scripts share a process.
    pub script_process: ScriptProcess,
    /// Processor time after which a script process that has not come back is killed, in milliseconds: 50 to 60 000. One whose
    /// scripts may take longer ([`Budget::call_ms`](super::app::Budget::call_ms)) has twice their time.
    pub script_kill_ms: u64,
    /// Time after which a script process that has not answered is killed, in milliseconds, whatever it was given of the
    /// processor: 100 to 120 000.
    pub script_answer_ms: u64,
    /// Bandwidth of connections, unless their application says otherwise.
    pub bandwidth: Bandwidth,

    /// Connections accepted in one turn of the loop, so that a burst of them does not hold up media. It has no key.
    pub accepts_per_turn: u32,
    /// Bytes the kernel holds unsent before it says that a socket is full (`TCP_NOTSENT_LOWAT`): 4 KiB to 16 MiB. What
    /// lies there cannot be skipped any more, so it is lag that [`player_lag_ms`](Self::player_lag_ms) does not see.
    pub notsent_lowat_bytes: u64,
    /// The kernel's send buffer (`SO_SNDBUF`) in bytes: 0 (the kernel's own choice) to 16 MiB.
    pub send_buffer_bytes: u64,
}

/// How many connections one address may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PerAddress {
    /// Three quarters of the connections: all that a school has behind its router, and never all that there are. What runs
    /// on the machine itself, such as a proxy that speaks TLS, has as many as it likes.
    Auto,
    /// This many: 0 (no limit) to 60 000.
    Fixed(u32),
}

/// How long a stream's bytes are gathered before its players are written to. The write call is what a player costs,
/// whatever it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// At once while the loop has time to spare, and longer, within bounds, as it fills.
    Auto,
    /// This many milliseconds: 0 (at once) to 1000.
    Fixed(u32),
}

/// Which scripts share a process, and so its fate when one of them has to be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScriptProcess {
    /// Those of one application.
    Application,
    /// All: a process takes some megabytes before its first script.
    Server,
}

impl ScriptProcess {
    /// Each, by the name that it has in the configuration: Adobe's for its scopes of processes.
    pub const ALL: [(&'static str, ScriptProcess); 2] =
        [("application", ScriptProcess::Application), ("server", ScriptProcess::Server)];

    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].0
    }

    /// The one with that name.
    pub fn named(name: &str) -> Option<ScriptProcess> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, process)| *process)
    }
}

impl Settings {
    /// Slots of the connection table: the clients, as many more that publish as there are streams, those that are being
    /// turned away, the operator's, those of relays and of hooks, and those of script processes.
    pub fn slots(&self) -> usize {
        let clients = self.connections as usize + self.streams as usize + SPARE_CONNECTIONS;
        clients + CONTROL_CLIENTS + self.relays as usize + self.hooks as usize + self.script_hosts()
    }

    /// Places of connections with TLS: where clients come without, those of relays need some.
    pub fn tls_places(&self) -> usize {
        match self.has_secure_doors {
            true => self.tls_connections as usize,
            false => self.tls_dials().min(self.tls_connections as usize),
        }
    }

    /// Connections with TLS that the server makes at once: relays and hooks have them in common.
    pub fn tls_dials(&self) -> usize {
        if cfg!(feature = "tls") { self.relays.max(self.hooks) as usize } else { 0 }
    }

    /// Script processes at once. There are none in a build without the engine.
    pub fn script_hosts(&self) -> usize {
        let most = match self.script_process {
            ScriptProcess::Application => self.applications,
            ScriptProcess::Server => 1,
        };
        if cfg!(feature = "script") { most.min(self.script_instances) as usize } else { 0 }
    }

    /// How many connections `address` may have at once; `None` is no limit.
    pub fn connections_per_address(&self, address: IpAddr) -> Option<u32> {
        match self.connections_per_address {
            PerAddress::Auto if address.is_loopback() => None,
            PerAddress::Auto => Some(self.connections - self.connections / 4),
            PerAddress::Fixed(limit) => Some(limit).filter(|&limit| limit > 0),
        }
    }
}

impl Default for Settings {
    /// What holds when neither board nor configuration says otherwise. The counts are the `generic` board's with 256 MiB.
    fn default() -> Settings {
        Settings {
            connections: 600,
            streams: 8,
            ring_bytes: 4 << 20,
            ram_budget_bytes: 68 << 20,
            connections_per_address: PerAddress::Auto,
            publish_timeout_ms: 2000,
            publish_idle_ms: 10_000,
            unpublish_grace_ms: 10_000,
            player_lag_ms: 3000,
            player_stall_ms: 10_000,
            merge: Merge::Auto,
            hls_segment_ms: 1000,
            gop_cache: true,
            handshake_timeout_ms: 10_000,
            connect_timeout_ms: 10_000,
            idle_timeout_ms: 0,
            ping_interval_ms: 60_000,
            ping_timeout_ms: 30_000,
            applications: 16,
            script_instances: 4,
            recorded_players: 8,
            recorded_lead_ms: 30_000,
            web_hosts: Vec::new(),
            web_proxies: Networks::default(),
            web_public: true,
            admin_key: None,
            sign_key: None,
            recordings: 4,
            relays: 4,
            hooks: 4,
            hook: HookSettings::default(),
            tls_connections: 16,
            has_secure_doors: false,
            record: RecordSettings::default(),
            scripts: ScriptLimits::default(),
            script_process: ScriptProcess::Application,
            script_kill_ms: 500,
            script_answer_ms: 2000,
            bandwidth: Bandwidth::default(),
            accepts_per_turn: 64,
            notsent_lowat_bytes: 128 << 10,
            send_buffer_bytes: 0,
        }
    }
}
