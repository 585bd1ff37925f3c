//! The plain types of server-side code: facts go in, actions come out. Nothing here knows of the engine.

use std::fmt;

use crate::text::{escaped, is_hidden};
pub use crate::wire::script_link::{
    Access, ApplicationStats, ClientFacts, ClientId, ClientStats, Exhausted, FlushWhen, InstanceId, StopReason,
    StreamFacts,
};

/// Shortest period of a `setInterval` function, in milliseconds; a shorter one is lengthened.
pub const SCRIPT_INTERVAL_MS: u64 = 10;
/// Lines that `trace`, or errors, log per second and instance. The others are counted, and the count is logged.
pub const SCRIPT_LINES_PER_SECOND: u32 = 20;
/// Transaction number of a script's first call to a client; lower ones are free for the server's own calls.
pub const SCRIPT_FIRST_TRANSACTION: u32 = 1000;

/// What a script learns about where it runs.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// Application name.
    pub app: &'a str,
    /// Instance name, `_definst_` when the client names none.
    pub instance: &'a str,
    /// `application.hostname`.
    pub hostname: &'a str,
    /// `application.server`, for example `Rill/0.1.0 LNX`.
    pub server: &'a str,
    /// `application.config`: a JSON object. Empty means `{}`.
    pub config_json: &'a str,
}

/// Why a call into a script gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallFault {
    /// The script threw; logged with file and line, and told to `application.onStatus`. The instance goes on.
    Thrown,
    /// A limit was exceeded; logged with file and line. Nothing of this instance runs any more: unload it and refuse its
    /// clients.
    Exhausted(Exhausted),
    /// There is no such instance, or it has no such client.
    Gone,
}

/// Why a script was not loaded. `Display` is one line: `scripts/main.asc:12: NetConnection is not available in this
/// server`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// The text is not JavaScript.
    Syntax(SourcePlace, String),
    /// Code outside functions threw.
    Thrown(SourcePlace, String),
    /// A limit was exceeded while loading.
    Exhausted(SourcePlace, Exhausted),
    /// The script uses a member that this server does not have.
    Unsupported(SourcePlace, String),
    /// The script loads a file that is not there.
    Missing(SourcePlace, String),
    /// What the server gave is not usable: [`Identity::config_json`] is not a JSON object.
    Config(String),
    /// As many instances as the server has room for are loaded.
    Full,
}

/// Where in an application's files something stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourcePlace {
    /// [`SourceFile::name`](crate::live::app::SourceFile::name), empty when it is not known.
    pub file: String,
    /// Counted from 1; 0 when it is not known.
    pub line: u32,
}

impl fmt::Display for SourcePlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", tidy(&self.file, usize::MAX))?;
        if self.line > 0 {
            write!(formatter, ":{}", self.line)?;
        }
        Ok(())
    }
}

impl LoadError {
    /// Where it is, if it is in a file.
    pub fn place_mut(&mut self) -> Option<&mut SourcePlace> {
        match self {
            LoadError::Syntax(place, _)
            | LoadError::Thrown(place, _)
            | LoadError::Exhausted(place, _)
            | LoadError::Unsupported(place, _)
            | LoadError::Missing(place, _) => Some(place),
            LoadError::Config(_) | LoadError::Full => None,
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Syntax(place, text) | LoadError::Thrown(place, text) => {
                write!(formatter, "{place}: {}", tidy(text, usize::MAX))
            }
            LoadError::Exhausted(place, exhausted) => write!(formatter, "{place}: {exhausted}"),
            LoadError::Unsupported(place, name) => {
                write!(formatter, "{place}: {} is not available in this server", tidy(name, usize::MAX))
            }
            LoadError::Missing(place, name) => {
                write!(formatter, "{place}: load({name:?}): no such file beside the main script or in the library path")
            }
            LoadError::Config(text) => write!(formatter, "application.config: {}", tidy(text, usize::MAX)),
            LoadError::Full => formatter.write_str("no room for another application instance with a script"),
        }
    }
}

impl std::error::Error for LoadError {}

/// What became of a command that a client called.
#[derive(Clone, Debug, PartialEq)]
pub enum CallOutcome {
    /// One AMF 0 value, for `_result`.
    Result(Vec<u8>),
    /// The script has no such method, or the client is not accepted: `Call.Failed`, `Method not found (NAME).`
    NotFound,
    /// The method threw: `Call.Failed` with this text, at most [`SCRIPT_ERROR_BYTES`](crate::limits::SCRIPT_ERROR_BYTES) bytes without control characters.
    Failed(String),
    /// A limit was exceeded, see [`CallFault::Exhausted`].
    Stopped(Exhausted),
    /// No such instance or client.
    Gone,
}

/// What a script wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum ScriptAction {
    /// Let the client in.
    Accept(ClientId),
    /// `_error` with `NetConnection.Connect.Rejected`, then `close`.
    Reject {
        /// Who.
        client: ClientId,
        /// Of the status; the server has a default.
        description: Option<String>,
        /// `info.application`: one AMF 0 value.
        application: Option<Vec<u8>>,
        /// `info.ex.redirect`, with `ex.code` 302.
        redirect: Option<String>,
    },
    /// Send what is due, then `close`.
    Disconnect(ClientId),
    /// A command to a client.
    Call {
        /// Whom.
        client: ClientId,
        /// Command name.
        name: String,
        /// 0: no answer is wanted.
        transaction: u32,
        /// AMF 0 values one behind the other: what follows the command object, which is null.
        arguments: Vec<u8>,
    },
    /// The same command to every client that is accepted; no answer is wanted.
    Broadcast {
        /// Command name.
        name: String,
        /// AMF 0 values.
        arguments: Vec<u8>,
    },
    /// A PingRequest.
    Ping(ClientId),
    /// Bytes per second; `None` leaves a direction as it is.
    LimitBandwidth {
        /// Whose.
        client: ClientId,
        /// Server to client.
        to_client: Option<u32>,
        /// Client to server.
        to_server: Option<u32>,
    },
    /// Measure the client's bandwidth and tell it by `onBWDone`.
    CheckBandwidth(ClientId),
    /// A data message to all subscribers of a stream of this instance.
    Send {
        /// Stream name without prefix and query.
        stream: String,
        /// Handler name and arguments as AMF 0 values.
        body: Vec<u8>,
    },
    /// Publish something on a stream of this instance; nothing ends what plays.
    Play {
        /// Stream name without prefix and query.
        stream: String,
        /// What is played, with prefix and query.
        item: String,
        /// Where it begins, in seconds; -2 is what is live or else recorded, -1 what is live.
        start_s: f64,
        /// How much of it, in seconds; -1 is all.
        length_s: f64,
        /// In place of what plays; else behind it.
        reset: bool,
    },
    /// What is recorded of a stream is to be on the medium.
    Flush {
        /// Stream name without prefix and query.
        stream: String,
        /// When.
        when: FlushWhen,
    },
    /// Delete recordings of this instance.
    Clear {
        /// Stream name without prefix and query, or the beginning of several and `*`.
        stream: String,
    },
    /// Disconnect every client and unload the instance.
    Shutdown,
}

/// At most `bytes` of `text`, hidden characters shown.
pub(super) fn tidy(text: &str, bytes: usize) -> String {
    let mut tidy = String::new();
    for c in text.chars() {
        let escaped: String = if is_hidden(c) { escaped(c).collect() } else { c.into() };
        if tidy.len() + escaped.len() > bytes {
            break;
        }
        tidy.push_str(&escaped);
    }
    tidy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_become_visible_and_the_text_stays_bounded() {
        assert_eq!(tidy("a\nb\u{1B}[2Jä", 100), "a\\nb\\u{1b}[2Jä");
        assert_eq!(tidy("ääää", 5), "ää");
        assert_eq!(tidy("ab\n", 3), "ab");
    }
}
