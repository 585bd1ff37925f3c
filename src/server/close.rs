//! Why connections end: one log line and one counter each.

use core::fmt;

use crate::proto::session::{Limit, Misbehaviour, SessionError};
use crate::proto::status::Code;
use crate::wire::handshake::FirstByte;

use super::app::Refusal;
use super::registry::Exhausted;
use super::transport::Loss;

/// Why a connection ended, who is at fault first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The client closed its side.
    PeerClosed,
    /// The client ended, or closed the connection with something of ours unread.
    PeerReset,
    /// The network broke the connection.
    NetworkBroke,
    /// Another protocol was spoken.
    NotRtmp(FirstByte),
    /// The client broke the protocol.
    PeerMisbehaved(Misbehaviour),
    /// The client exceeded a limit.
    LimitExceeded(Limit),
    /// `handshake_timeout_ms` passed.
    HandshakeTimeout,
    /// `connect_timeout_ms` passed.
    ConnectTimeout,
    /// `idle_timeout_ms` passed with nothing published or played.
    IdleTimeout,
    /// No sign of life `ping_timeout_ms` after a ping.
    PingTimeout,
    /// A player took no byte for `player_stall_ms`, or a client did not read its answers.
    Stalled,
    /// The ring passed a player in the middle of a tag.
    TooSlow,
    /// It may not join the application.
    Rejected(Rejection),
    /// It may not publish.
    PublishRefused(StreamRefusal),
    /// A publisher that was silent lost its name to a newcomer.
    Replaced,
    /// The server is stopping.
    Shutdown,
    /// Every connection slot is taken.
    TableFull,
    /// One address has `connections_per_address` connections.
    AddressLimit,
    /// It was idle when another needed its place.
    GaveWay,
    /// Somebody who looks after the server ended it.
    Operator,
    /// Its application was shut down, or removed.
    AppShutdown,
    /// Its application's script ended it.
    Script,
    /// Its application's script exceeded a limit.
    ScriptStopped,
}

/// Why a client may not publish or play a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamRefusal {
    /// By a rule or a limit of the application.
    Rule(Refusal),
    /// The application's script gave it no right to.
    Script,
    /// Somebody else publishes under that name.
    Taken,
    /// Every name or every ring is in use.
    Exhausted(Exhausted),
    /// Every connection is in use by others who publish or play.
    Connections,
    /// There is no such stream to play.
    NotFound,
    /// The application is for recordings.
    NotLive,
}

impl StreamRefusal {
    /// How the access log of Adobe's servers would put it (its x-status field).
    pub const fn x_status(self) -> u16 {
        match self {
            StreamRefusal::Rule(Refusal::ConnectAddress | Refusal::PublishAddress | Refusal::PlayAddress) => 403,
            StreamRefusal::Rule(Refusal::PublishKey | Refusal::PlayKey) | StreamRefusal::Script => 401,
            StreamRefusal::Rule(Refusal::Path) | StreamRefusal::NotLive => 400,
            StreamRefusal::NotFound => 404,
            StreamRefusal::Rule(Refusal::Connections | Refusal::Publishers | Refusal::Players)
            | StreamRefusal::Taken
            | StreamRefusal::Exhausted(_)
            | StreamRefusal::Connections => 409,
        }
    }

    /// In words, where the status has none of its own.
    pub const fn words(self) -> &'static str {
        match self {
            StreamRefusal::Rule(refusal) => refusal.description(),
            StreamRefusal::Script => "the application's script gave it no right to",
            StreamRefusal::Taken => "somebody else publishes under that name",
            StreamRefusal::Exhausted(_) => "every stream is in use",
            StreamRefusal::Connections => "every connection is in use",
            StreamRefusal::NotFound => "there is no recording of that name, and nobody publishes it",
            StreamRefusal::NotLive => "the application is for recordings",
        }
    }

    /// Where to change that; empty where it is as it should be.
    pub const fn remedy(self) -> &'static str {
        match self {
            StreamRefusal::Rule(refusal) => refusal.key(),
            StreamRefusal::Script => "readAccess and writeAccess in the application's script",
            StreamRefusal::Taken => "another name, or live.publish_timeout_ms",
            StreamRefusal::Exhausted(_) => "limits.streams",
            StreamRefusal::Connections => "limits.connections",
            StreamRefusal::NotFound => "",
            StreamRefusal::NotLive => "kind in app.toml",
        }
    }
}

/// Why a client may not join an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// The name of the application or of its instance cannot be one.
    Name,
    /// There is no such application.
    Unknown,
    /// The application's configuration is wrong.
    Misconfigured,
    /// The application is being shut down.
    Leaving,
    /// The application's script said no.
    Script,
    /// The application's script sent it elsewhere.
    Redirected,
    /// Its address is not allowed.
    Address,
    /// A table is full, or a limit of the application is reached.
    NoRoom,
    /// The application's script cannot be loaded, or was stopped.
    ScriptFailed,
    /// Neither the disk nor the script decided in time.
    Undecided,
}

impl Rejection {
    /// What the client is told.
    pub const fn code(self) -> Code {
        match self {
            Rejection::Name => Code::ConnectInvalidApp,
            Rejection::Leaving => Code::ConnectAppShutdown,
            Rejection::ScriptFailed => Code::ConnectFailed,
            Rejection::Unknown
            | Rejection::Misconfigured
            | Rejection::Script
            | Rejection::Redirected
            | Rejection::Address
            | Rejection::NoRoom
            | Rejection::Undecided => Code::ConnectRejected,
        }
    }

    const fn x_status(self) -> u16 {
        match self {
            Rejection::Misconfigured | Rejection::Leaving | Rejection::Redirected => 302,
            Rejection::Script => 401,
            Rejection::Address => 403,
            Rejection::Name | Rejection::Unknown => 404,
            Rejection::NoRoom => 409,
            Rejection::ScriptFailed => 500,
            Rejection::Undecided => 503,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Rejection::Name => "the application's name cannot be one",
            Rejection::Unknown => "there is no such application",
            Rejection::Misconfigured => "the application's configuration is wrong",
            Rejection::Leaving => "the application is being shut down",
            Rejection::Script => "the application's script refused it",
            Rejection::Redirected => "the application's script sent it elsewhere",
            Rejection::Address => "its address may not connect to the application",
            Rejection::NoRoom => "the application has no room for it",
            Rejection::ScriptFailed => "the application's script does not run",
            Rejection::Undecided => "the application did not decide in time",
        }
    }
}

impl CloseReason {
    /// Every reason has a counter: how many there are.
    pub const COUNT: usize = 23;

    /// Names of the counters, as fields of a log line, each at the place of its counter.
    pub const NAMES: [&str; CloseReason::COUNT] = [
        "peer_closed",
        "peer_reset",
        "not_rtmp",
        "peer_misbehaved",
        "limit_exceeded",
        "handshake_timeout",
        "connect_timeout",
        "idle_timeout",
        "ping_timeout",
        "stalled",
        "too_slow",
        "rejected",
        "publish_refused",
        "replaced",
        "shutdown",
        "table_full",
        "address_limit",
        "operator",
        "app_shutdown",
        "script",
        "script_stopped",
        "gave_way",
        "network_broke",
    ];

    /// How the access log of Adobe's servers would put it (its x-status field), for those who read logs by number.
    pub const fn x_status(self) -> u16 {
        match self {
            CloseReason::PeerClosed | CloseReason::PeerReset => 200,
            CloseReason::Shutdown | CloseReason::AppShutdown => 302,
            CloseReason::NotRtmp(_) | CloseReason::PeerMisbehaved(_) => 400,
            CloseReason::Rejected(rejection) => rejection.x_status(),
            CloseReason::PublishRefused(refusal) => refusal.x_status(),
            CloseReason::NetworkBroke
            | CloseReason::HandshakeTimeout
            | CloseReason::ConnectTimeout
            | CloseReason::PingTimeout
            | CloseReason::Stalled
            | CloseReason::TooSlow
            | CloseReason::Replaced => 408,
            CloseReason::LimitExceeded(_) | CloseReason::TableFull | CloseReason::AddressLimit => 409,
            CloseReason::Operator | CloseReason::Script => 200,
            CloseReason::ScriptStopped => 500,
            CloseReason::IdleTimeout | CloseReason::GaveWay => 432,
        }
    }

    /// Place of its counter.
    pub const fn index(self) -> usize {
        match self {
            CloseReason::PeerClosed => 0,
            CloseReason::PeerReset => 1,
            CloseReason::NotRtmp(_) => 2,
            CloseReason::PeerMisbehaved(_) => 3,
            CloseReason::LimitExceeded(_) => 4,
            CloseReason::HandshakeTimeout => 5,
            CloseReason::ConnectTimeout => 6,
            CloseReason::IdleTimeout => 7,
            CloseReason::PingTimeout => 8,
            CloseReason::Stalled => 9,
            CloseReason::TooSlow => 10,
            CloseReason::Rejected(_) => 11,
            CloseReason::PublishRefused(_) => 12,
            CloseReason::Replaced => 13,
            CloseReason::Shutdown => 14,
            CloseReason::TableFull => 15,
            CloseReason::AddressLimit => 16,
            CloseReason::Operator => 17,
            CloseReason::AppShutdown => 18,
            CloseReason::Script => 19,
            CloseReason::ScriptStopped => 20,
            CloseReason::GaveWay => 21,
            CloseReason::NetworkBroke => 22,
        }
    }
}

impl From<Loss> for CloseReason {
    fn from(loss: Loss) -> CloseReason {
        match loss {
            Loss::Client => CloseReason::PeerReset,
            Loss::Network => CloseReason::NetworkBroke,
        }
    }
}

impl From<SessionError> for CloseReason {
    fn from(error: SessionError) -> CloseReason {
        match error {
            SessionError::NotRtmp(kind) => CloseReason::NotRtmp(kind),
            SessionError::PeerMisbehaved(what) => CloseReason::PeerMisbehaved(what),
            SessionError::LimitExceeded(limit) => CloseReason::LimitExceeded(limit),
        }
    }
}

impl fmt::Display for CloseReason {
    /// What was wrong and, where there is one, the key or address to change.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CloseReason::PeerClosed => "the client closed it",
            CloseReason::PeerReset => "the client ended it with something unread",
            CloseReason::NetworkBroke => "the network broke it",
            CloseReason::NotRtmp(FirstByte::Tls) => "the client speaks TLS: use rtmp://, not rtmps://, on this port",
            CloseReason::NotRtmp(FirstByte::Http) => "the client speaks HTTP: this port is for RTMP",
            CloseReason::NotRtmp(FirstByte::Ssh) => "the client speaks SSH: this port is for RTMP",
            CloseReason::NotRtmp(FirstByte::Encrypted) => "the client speaks RTMPE: use rtmp://, not rtmpe://",
            CloseReason::NotRtmp(_) => "the client does not speak RTMP",
            CloseReason::PeerMisbehaved(Misbehaviour::Chunk) => "a chunk of a chunk stream that was never opened",
            CloseReason::PeerMisbehaved(Misbehaviour::ChunkSize) => "a chunk size that is not allowed",
            CloseReason::PeerMisbehaved(Misbehaviour::Command) => "a command that is not AMF",
            CloseReason::PeerMisbehaved(Misbehaviour::NotConnected) => "a command before connect",
            CloseReason::PeerMisbehaved(Misbehaviour::ConnectedTwice) => "a second connect",
            CloseReason::PeerMisbehaved(Misbehaviour::StreamName) => "a stream name that cannot be published",
            CloseReason::LimitExceeded(Limit::ChunkStreams) => "more chunk streams than a connection may have",
            CloseReason::LimitExceeded(Limit::CommandBytes) => "a command longer than a connection may send",
            CloseReason::LimitExceeded(Limit::ReplyBytes) => "the client does not read its answers",
            CloseReason::HandshakeTimeout => "no handshake in time (timeouts.handshake_ms)",
            CloseReason::ConnectTimeout => "no connect in time (timeouts.connect_ms)",
            CloseReason::IdleTimeout => "neither published nor played (timeouts.idle_ms)",
            CloseReason::PingTimeout => "no answer to a ping (timeouts.ping_timeout_ms)",
            CloseReason::Stalled => "it took no byte (live.player_stall_ms)",
            CloseReason::TooSlow => "too slow: the ring passed it in the middle of a frame (limits.ring_bytes)",
            CloseReason::Rejected(rejection) => rejection.words(),
            CloseReason::PublishRefused(_) => "it may not publish",
            CloseReason::Replaced => "silent while another publisher wanted its name (live.publish_timeout_ms)",
            CloseReason::Shutdown => "the server is stopping",
            CloseReason::TableFull => "every connection is taken (limits.connections)",
            CloseReason::AddressLimit => "too many connections from one address (limits.connections_per_address)",
            CloseReason::GaveWay => "idle while another needed its place (limits.connections, limits.streams)",
            CloseReason::Operator => "the operator ended it (rill ctl)",
            CloseReason::AppShutdown => "its application was shut down",
            CloseReason::Script => "its application's script ended it",
            CloseReason::ScriptStopped => "its application's script exceeded a limit (scripts)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_x_status_is_that_of_adobes_access_log() {
        for (reason, x_status) in [
            (CloseReason::PeerClosed, 200),
            (CloseReason::Rejected(Rejection::Leaving), 302),
            (CloseReason::PeerMisbehaved(Misbehaviour::Chunk), 400),
            (CloseReason::Rejected(Rejection::Script), 401),
            (CloseReason::Rejected(Rejection::Address), 403),
            (CloseReason::Rejected(Rejection::Unknown), 404),
            (CloseReason::PeerReset, 200),
            (CloseReason::NetworkBroke, 408),
            (CloseReason::PublishRefused(StreamRefusal::Rule(Refusal::PublishAddress)), 403),
            (CloseReason::PublishRefused(StreamRefusal::Rule(Refusal::PublishKey)), 401),
            (CloseReason::PublishRefused(StreamRefusal::Script), 401),
            (CloseReason::PublishRefused(StreamRefusal::Taken), 409),
            (CloseReason::Rejected(Rejection::Redirected), 302),
            (CloseReason::TableFull, 409),
            (CloseReason::IdleTimeout, 432),
            (CloseReason::ScriptStopped, 500),
            (CloseReason::Rejected(Rejection::Undecided), 503),
        ] {
            assert_eq!(reason.x_status(), x_status, "{reason}");
        }
    }

    #[test]
    fn names_stand_at_the_places_of_their_counters() {
        for (reason, name) in [
            (CloseReason::PeerClosed, "peer_closed"),
            (CloseReason::NotRtmp(FirstByte::Http), "not_rtmp"),
            (CloseReason::PingTimeout, "ping_timeout"),
            (CloseReason::TooSlow, "too_slow"),
            (CloseReason::Replaced, "replaced"),
            (CloseReason::TableFull, "table_full"),
            (CloseReason::AddressLimit, "address_limit"),
            (CloseReason::Operator, "operator"),
            (CloseReason::ScriptStopped, "script_stopped"),
            (CloseReason::GaveWay, "gave_way"),
            (CloseReason::NetworkBroke, "network_broke"),
        ] {
            assert_eq!(CloseReason::NAMES[reason.index()], name);
        }
    }
}
