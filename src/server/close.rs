//! Why connections end: one log line and one counter each. [`CloseReason::row`] and [`Rejection::row`] are
//! the tables: one row for each reason, with all that is said of it. Those of a [`Refusal`] stand in `refusals`.

use core::fmt;

use crate::live::refusal::Refusal;
use crate::rtmp::event::{Limit, Misbehaviour, SessionError};
use crate::rtmp::status::Code;
use crate::wire::handshake::FirstByte;
use crate::wire::http::RequestFault;

use super::refusals;

/// How a connection is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The client's system says so: its program has ended or closed the connection, with something of ours unread. A viewer
    /// who presses stop does.
    Client,
    /// Nothing comes through any more, or a router says so.
    Network,
    /// Its TLS says so.
    Tls(TlsFault),
}

/// Why a connection with TLS ends before its protocol is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFault {
    /// RTMP was spoken, without TLS.
    Rtmp,
    /// HTTP was.
    Http,
    /// Something else was.
    Other,
    /// Neither a version nor a cipher is in common.
    Incompatible,
    /// The client says that it does not believe the certificate.
    Untrusted,
    /// The client ended it with an alert.
    Refused,
    /// A record that is none, or not what was expected.
    Protocol,
    /// Its handshake was slow, and another needed its place.
    Slow,
    /// Every place of a connection with TLS is taken, or there is no certificate.
    Full,
    /// The certificate of a far end, to which we made the connection.
    Certificate(CertificateFault),
}

impl TlsFault {
    /// What TLS with a far end, to which we made the connection, has come to.
    pub fn far_end_words(self) -> &'static str {
        match self {
            TlsFault::Certificate(_) | TlsFault::Full => CloseReason::Tls(self).row().words,
            TlsFault::Rtmp | TlsFault::Http | TlsFault::Other => "it does not speak TLS: use rtmp://, or another port",
            TlsFault::Incompatible => "it knows neither TLS 1.2 nor 1.3, or none of the ciphers that are known here",
            TlsFault::Untrusted | TlsFault::Refused | TlsFault::Protocol | TlsFault::Slow => {
                "its TLS cannot be understood"
            }
        }
    }
}

/// Why the certificate of a far end is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateFault {
    /// Nobody has signed it who is believed.
    Issuer,
    /// It counts no more, or not yet.
    Time,
    /// It is for another host.
    Name,
    /// It is broken, or not for servers.
    Other,
}

/// Why a connection ended, who is at fault first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The client closed its side.
    PeerClosed,
    /// It was told what it asked, and there is nothing more to say.
    Answered,
    /// The client ended, or closed the connection with something of ours unread.
    PeerReset,
    /// The network broke the connection.
    NetworkBroke,
    /// Another protocol was spoken.
    NotRtmp(FirstByte),
    /// Its TLS was at fault.
    Tls(TlsFault),
    /// The client broke the protocol.
    PeerMisbehaved(Misbehaviour),
    /// The client exceeded a limit.
    LimitExceeded(Limit),
    /// What was sent is no request of HTTP, or exceeds a limit of one.
    BadRequest(RequestFault),
    /// What came over a WebSocket is no frame, or none that is expected.
    BadFrame,
    /// A request of HTTP was not whole in time.
    RequestTimeout,
    /// A connection without a request, for as long as there may be none.
    NoRequest,
    /// An answer of HTTP was not taken in the time that its length allows.
    SlowReader,
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
    PublishRefused(Refusal),
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
    /// The operator ended it.
    Operator,
    /// Its application was shut down, or removed.
    AppShutdown,
    /// A recording cannot be read on in the middle of a message.
    Unreadable,
    /// Its application's script ended it.
    Script,
    /// Its application's script exceeded a limit.
    ScriptStopped,
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
    /// The application's hook said no.
    Hook,
    /// The application's script, or its hook, sent it elsewhere.
    Redirected,
    /// Its address is not allowed.
    Address,
    /// It is to log in as one of the application's users first.
    LogIn,
    /// It has tried to, in vain.
    WrongLogIn,
    /// A table is full, or a limit of the application is reached.
    NoRoom,
    /// The application's script cannot be loaded, or was stopped.
    ScriptFailed,
    /// Neither the disk nor the script decided in time.
    Undecided,
}

/// What is said of one [`Rejection`].
#[derive(Clone, Copy, Debug)]
pub struct RejectionRow {
    /// What the client is told.
    pub code: Code,
    /// How the access log of Adobe's servers would put it (its x-status field).
    pub x_status: u16,
    /// In words.
    pub words: &'static str,
}

impl Rejection {
    /// All that is said of it.
    #[rustfmt::skip]
    pub const fn row(self) -> RejectionRow {
        use Code::{ConnectAppShutdown, ConnectFailed, ConnectInvalidApp, ConnectRejected};
        use Rejection::*;
        match self {
            Name => rejection_row(ConnectInvalidApp, 404, "the application's name cannot be one"),
            Unknown => rejection_row(ConnectRejected, 404, "there is no such application"),
            Misconfigured => rejection_row(ConnectRejected, 302, "the application's configuration is wrong"),
            Leaving => rejection_row(ConnectAppShutdown, 302, "the application is being shut down"),
            Script => rejection_row(ConnectRejected, 401, "the application's script refused it"),
            Hook => rejection_row(ConnectRejected, 401, "the application's hook refused it"),
            Redirected => rejection_row(ConnectRejected, 302, "the application sent it elsewhere"),
            Address => rejection_row(ConnectRejected, 403, "its address may not connect to the application"),
            LogIn => rejection_row(ConnectRejected, 401, "it is to log in (rill user)"),
            WrongLogIn => rejection_row(ConnectRejected, 401, "its user or password is wrong (rill user)"),
            NoRoom => rejection_row(ConnectRejected, 409, "the application has no room for it"),
            ScriptFailed => rejection_row(ConnectFailed, 500, "the application's script does not run"),
            Undecided => rejection_row(ConnectRejected, 503, "the application did not decide in time"),
        }
    }
}

const fn rejection_row(code: Code, x_status: u16, words: &'static str) -> RejectionRow {
    RejectionRow { code, x_status, words }
}

/// Declares the counters with their names.
macro_rules! counters {
    ($($counter:ident = $name:literal,)*) => {
        /// The counters of connections that ended. Those of one kind share one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "each is named after the reasons that it counts")]
        pub enum Counter {
            $($counter,)*
        }

        impl Counter {
            /// How many there are.
            pub const COUNT: usize = [$($name),*].len();

            /// Their names, as fields of a log line and of the control socket's answers, in the order of the counters.
            pub const NAMES: [&str; Counter::COUNT] = [$($name),*];
        }
    };
}

counters! {
    PeerClosed = "peer_closed",
    PeerReset = "peer_reset",
    NotRtmp = "not_rtmp",
    PeerMisbehaved = "peer_misbehaved",
    LimitExceeded = "limit_exceeded",
    HandshakeTimeout = "handshake_timeout",
    ConnectTimeout = "connect_timeout",
    IdleTimeout = "idle_timeout",
    PingTimeout = "ping_timeout",
    Stalled = "stalled",
    TooSlow = "too_slow",
    Rejected = "rejected",
    PublishRefused = "publish_refused",
    Replaced = "replaced",
    Shutdown = "shutdown",
    TableFull = "table_full",
    AddressLimit = "address_limit",
    Operator = "operator",
    AppShutdown = "app_shutdown",
    Script = "script",
    ScriptStopped = "script_stopped",
    GaveWay = "gave_way",
    NetworkBroke = "network_broke",
    Unreadable = "unreadable",
    BadRequest = "bad_request",
    RequestTimeout = "request_timeout",
    Tls = "tls",
    TlsFull = "tls_full",
}

/// What is said of one [`CloseReason`].
#[derive(Clone, Copy, Debug)]
pub struct ReasonRow {
    /// What counts it.
    pub counter: Counter,
    /// How the access log of Adobe's servers would put it (its x-status field), for tools that read logs by number.
    pub x_status: u16,
    /// What was wrong and, where there is one, the key or address to change.
    pub words: &'static str,
}

const fn row(counter: Counter, x_status: u16, words: &'static str) -> ReasonRow {
    ReasonRow { counter, x_status, words }
}

impl CloseReason {
    /// All that is said of it.
    #[rustfmt::skip]
    pub const fn row(self) -> ReasonRow {
        use CloseReason::*;
        match self {
            PeerClosed => row(Counter::PeerClosed, 200, "the client closed it"),
            Answered => row(Counter::PeerClosed, 200, "it was answered"),
            PeerReset => row(Counter::PeerReset, 200, "the client ended it with something unread"),
            NetworkBroke => row(Counter::NetworkBroke, 408, "the network broke it"),
            NotRtmp(FirstByte::Tls) => row(Counter::NotRtmp, 400, "the client speaks TLS: use rtmp://, not rtmps://, on this port, or the port of server.tls.listen"),
            NotRtmp(FirstByte::Http) => row(Counter::NotRtmp, 400, "the client speaks HTTP: this port is for RTMP (server.http)"),
            NotRtmp(FirstByte::Ssh) => row(Counter::NotRtmp, 400, "the client speaks SSH: this port is for RTMP"),
            NotRtmp(FirstByte::Encrypted) => row(Counter::NotRtmp, 400, "the client speaks RTMPE: use rtmp://, not rtmpe://"),
            NotRtmp(FirstByte::Rtmp | FirstByte::Other) => row(Counter::NotRtmp, 400, "the client does not speak RTMP"),
            Tls(fault) => match fault {
                TlsFault::Rtmp => row(Counter::Tls, 400, "the client speaks RTMP without TLS: use rtmps://, not rtmp://, on this port, or that of server.listen"),
                TlsFault::Http => row(Counter::Tls, 400, "the client speaks HTTP without TLS: use https://, not http://, on this port, or that of server.http"),
                TlsFault::Other => row(Counter::Tls, 400, "the client does not speak TLS: this port is for rtmps:// or https://"),
                TlsFault::Incompatible => row(Counter::Tls, 400, "the client knows neither TLS 1.2 nor 1.3, or none of their ciphers with ECDHE and AES-128-GCM or ChaCha20"),
                TlsFault::Untrusted => row(Counter::Tls, 401, "the client does not believe the certificate (server.tls.certificate): it has to know who signed it, and the name in the URL has to stand there"),
                TlsFault::Refused => row(Counter::Tls, 400, "the client ended TLS with an alert"),
                TlsFault::Protocol => row(Counter::Tls, 400, "what the client sent is no TLS that can be understood"),
                TlsFault::Slow => row(Counter::Tls, 408, "its TLS handshake was slow while another needed its place (limits.tls_connections)"),
                TlsFault::Full => row(Counter::TlsFull, 409, "every connection with TLS is taken (limits.tls_connections)"),
                TlsFault::Certificate(fault) => row(Counter::Tls, 401, match fault {
                    CertificateFault::Issuer => "its certificate is signed by nobody whom this server believes (server.tls.ca)",
                    CertificateFault::Time => "its certificate counts no more, or not yet, by the clock of this machine",
                    CertificateFault::Name => "its certificate is for another host than the URL's",
                    CertificateFault::Other => "its certificate is broken, or none for servers",
                }),
            },
            PeerMisbehaved(what) => row(Counter::PeerMisbehaved, 400, match what {
                Misbehaviour::Chunk => "a chunk of a chunk stream that was never opened",
                Misbehaviour::ChunkSize => "a chunk size that is not allowed",
                Misbehaviour::Command => "a command that is not AMF",
                Misbehaviour::NotConnected => "a command before connect",
                Misbehaviour::ConnectedTwice => "a second connect",
                Misbehaviour::StreamName => "a stream name that cannot be published",
            }),
            LimitExceeded(limit) => row(Counter::LimitExceeded, 409, match limit {
                Limit::ChunkStreams => "more chunk streams than a connection may have",
                Limit::CommandBytes => "a command longer than a connection may send",
                Limit::ReplyBytes => "the client does not read its answers",
            }),
            BadRequest(fault) => row(Counter::BadRequest, fault.status().code(), fault.words()),
            BadFrame => row(Counter::BadRequest, 400, "a WebSocket frame that is none, or not expected"),
            RequestTimeout => row(Counter::RequestTimeout, 408, "its request was not whole in time"),
            NoRequest => row(Counter::PeerClosed, 200, "it asked nothing more"),
            SlowReader => row(Counter::Stalled, 408, "it took an answer too slowly"),
            HandshakeTimeout => row(Counter::HandshakeTimeout, 408, "no handshake in time (timeouts.handshake_ms)"),
            ConnectTimeout => row(Counter::ConnectTimeout, 408, "no connect in time (timeouts.connect_ms)"),
            IdleTimeout => row(Counter::IdleTimeout, 432, "neither published nor played (timeouts.idle_ms)"),
            PingTimeout => row(Counter::PingTimeout, 408, "no answer to a ping (timeouts.ping_timeout_ms)"),
            Stalled => row(Counter::Stalled, 408, "it took no byte (live.player_stall_ms)"),
            TooSlow => row(Counter::TooSlow, 408, "too slow: the ring passed it in the middle of a frame (limits.ring_bytes)"),
            Rejected(rejection) => row(Counter::Rejected, rejection.row().x_status, rejection.row().words),
            PublishRefused(refusal) => row(Counter::PublishRefused, refusals::row(refusal).x_status, "it may not publish"),
            Replaced => row(Counter::Replaced, 408, "silent while another publisher wanted its name (live.publish_timeout_ms)"),
            Shutdown => row(Counter::Shutdown, 302, "the server is stopping"),
            TableFull => row(Counter::TableFull, 409, "every connection is taken (limits.connections)"),
            AddressLimit => row(Counter::AddressLimit, 409, "too many connections from one address (limits.connections_per_address)"),
            GaveWay => row(Counter::GaveWay, 432, "idle while another needed its place (limits.connections, limits.streams, limits.recorded_players)"),
            Unreadable => row(Counter::Unreadable, 500, "a recording cannot be read on (see the disk's line above)"),
            Operator => row(Counter::Operator, 200, "the operator ended it (rill ctl)"),
            AppShutdown => row(Counter::AppShutdown, 302, "its application was shut down"),
            Script => row(Counter::Script, 200, "its application's script ended it"),
            ScriptStopped => row(Counter::ScriptStopped, 500, "its application's script exceeded a limit (scripts)"),
        }
    }

    /// How the access log of Adobe's servers would put it (its x-status field).
    pub const fn x_status(self) -> u16 {
        self.row().x_status
    }

    /// Place of its counter.
    pub const fn index(self) -> usize {
        self.row().counter as usize
    }
}

impl From<Loss> for CloseReason {
    fn from(loss: Loss) -> CloseReason {
        match loss {
            Loss::Client => CloseReason::PeerReset,
            Loss::Network => CloseReason::NetworkBroke,
            Loss::Tls(fault) => CloseReason::Tls(fault),
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
        f.write_str(self.row().words)
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
            (CloseReason::PublishRefused(Refusal::PublishAddress), 403),
            (CloseReason::PublishRefused(Refusal::PublishKey), 401),
            (CloseReason::PublishRefused(Refusal::WriteAccess), 401),
            (CloseReason::PublishRefused(Refusal::Taken), 409),
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
            (CloseReason::from(Loss::Tls(TlsFault::Http)), "tls"),
            (CloseReason::from(Loss::Tls(TlsFault::Full)), "tls_full"),
        ] {
            assert_eq!(Counter::NAMES[reason.index()], name);
        }
    }
}
