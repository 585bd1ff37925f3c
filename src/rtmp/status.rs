//! Status events: what the server tells a client about its connection and its net streams (Action Message Format
//! objects with `level`, `code` and `description`; Adobe's NetStatusEvent tables).
//!
//! [`TABLE`] is every code that this server sends, [`NOT_SENT`] every other one that is documented and why it is not.
//! `rill statuses` prints both, and `tests/conformance/statuses.rs` drives a connection into each code of the first.
//!
//! There is no `clientid`: of what type it is differs between generations of Adobe's servers, no client in use reads it,
//! and it would cost every status bytes.

use core::fmt::Write;

use crate::limits::PATH_BYTES;
use crate::wire::amf0::Encoder;
use crate::wire::bytes::Full;

use super::tx::TxBuf;

/// Longest description: a sentence around the longest stream name. ffmpeg cuts at 255.
const DESCRIPTION_BYTES: usize = PATH_BYTES + 120;
/// `ex.code` of a redirection, as of HTTP's "found".
const REDIRECT_CODE: f64 = 302.0;

/// How bad it is. Only `error` makes ffmpeg give up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusLevel {
    /// Something happened as it should.
    Status,
    /// Something works less well than it should.
    Warning,
    /// Something failed.
    Error,
}

impl StatusLevel {
    /// As written on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            StatusLevel::Status => "status",
            StatusLevel::Warning => "warning",
            StatusLevel::Error => "error",
        }
    }
}

/// Every status code this server sends, in the order of [`TABLE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is named after its code, and its row says when it is sent")]
pub enum Code {
    ConnectSuccess,
    ConnectRejected,
    ConnectInvalidApp,
    ConnectFailed,
    ConnectAppShutdown,
    ConnectIdleTimeout,
    ConnectReconnectRequest,
    CallFailed,
    PublishStart,
    PublishBadName,
    PublishIdle,
    UnpublishSuccess,
    PlayPublishNotify,
    PlayUnpublishNotify,
    RecordStart,
    RecordStop,
    RecordFailed,
    RecordAlreadyExists,
    RecordNoAccess,
    PlayReset,
    PlayStart,
    PlayStop,
    PlayStreamNotFound,
    PlayFailed,
    PlayFileStructureInvalid,
    PlaySwitch,
    PlayComplete,
    PlayTransition,
    PlayTransitionComplete,
    PlayInsufficientBandwidth,
    PlayNoSupportedTrackFound,
    SeekNotify,
    PauseNotify,
    UnpauseNotify,
    StreamFailed,
    StreamInvalidArg,
}

impl Code {
    /// What there is to know about it.
    pub const fn row(self) -> &'static StatusRow {
        &TABLE[self as usize]
    }

    /// The dotted code.
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// Its level.
    pub const fn level(self) -> StatusLevel {
        self.row().level
    }
}

/// One code of [`TABLE`].
#[derive(Clone, Copy, Debug)]
pub struct StatusRow {
    /// Which.
    pub code: Code,
    /// The dotted code.
    pub name: &'static str,
    /// Its level.
    pub level: StatusLevel,
    /// The description: what stands before the stream's or method's name, and what stands behind it. Where a reason can
    /// be given, it stands there instead.
    pub description: (&'static str, &'static str),
    /// `details` repeats the stream's name, if there is one.
    pub details: bool,
    /// Fields beside `level`, `code`, `description` and `details`, which not every event has.
    pub extra: &'static [&'static str],
    /// The commands or data messages that carry it.
    pub via: &'static str,
    /// When it is sent, for people.
    pub when: &'static str,
}

/// What only Enhanced RTMP's clients are answered (v2, "Enhancing NetConnection connect command").
const SUCCESS_FIELDS: &[&str] =
    &["objectEncoding", "data", "fourCcList", "videoFourCcInfoMap", "audioFourCcInfoMap", "capsEx"];

/// What a player hears of what it was sent.
const PLAYED_FIELDS: &[&str] = &["duration", "bytes"];

/// Every code that this server sends: first those of the connection, then those of publishers and their players, then
/// those of players alone.
#[rustfmt::skip]
pub const TABLE: [StatusRow; 36] = {
    use StatusLevel::{Error, Status, Warning};
    [
        row(Code::ConnectSuccess, "NetConnection.Connect.Success", Status, ("Connection succeeded.", ""))
            .fields(SUCCESS_FIELDS).via("_result")
            .when("the client has joined the application; data.version says what the server can do"),
        row(Code::ConnectRejected, "NetConnection.Connect.Rejected", Error, ("Connection failed.", ""))
            .fields(&["application", "ex"]).via("_error")
            .when("no such application, it is full or misconfigured or says no, or redirects to another server; then close"),
        row(Code::ConnectInvalidApp, "NetConnection.Connect.InvalidApp", Error, ("Application name is invalid.", ""))
            .via("_error")
            .when("the application's or instance's name is empty, too long or illegal; then close"),
        row(Code::ConnectFailed, "NetConnection.Connect.Failed", Error, ("Connect first.", ""))
            .via("_error")
            .when("a command came before connect, or the application's server-side code does not run; then close"),
        row(Code::ConnectAppShutdown, "NetConnection.Connect.AppShutdown", Error, ("The application is shutting down.", ""))
            .via("onStatus, _error")
            .when("the server stops or the application is shut down; to a client that waits for its connect, too; then close"),
        row(Code::ConnectIdleTimeout, "NetConnection.Connect.IdleTimeout", Status, ("Idle for too long.", ""))
            .when("neither published nor played for timeouts.idle_ms, or idle when another needed its place; then close"),
        row(Code::ConnectReconnectRequest, "NetConnection.Connect.ReconnectRequest", Status, ("Please connect again.", ""))
            .fields(&["tcUrl"])
            .when("in place of AppShutdown, to clients whose capsEx has the Reconnect bit; tcUrl only with another URL"),
        row(Code::CallFailed, "NetConnection.Call.Failed", Error, ("Method not found (", ")."))
            .via("_error")
            .when("a call of a missing or failing method, or one net stream too many; calls without a transaction id get no answer"),

        row(Code::PublishStart, "NetStream.Publish.Start", Status, ("", " is now published.")).details()
            .via("onStatus, onFCPublish")
            .when("publish was granted; FCPublish is answered with its own"),
        row(Code::PublishBadName, "NetStream.Publish.BadName", Error, ("", " is already published.")).details()
            .when("the name is published already, illegal or not allowed, or no stream is left; then, mostly, close"),
        row(Code::PublishIdle, "NetStream.Publish.Idle", Status, ("", " is idle.")).details()
            .when("no audio and no video for live.publish_idle_ms; to publisher and players, once until media comes back"),
        row(Code::UnpublishSuccess, "NetStream.Unpublish.Success", Status, ("", " is now unpublished.")).details()
            .via("onStatus, onFCUnpublish")
            .when("the publisher has ended its publish, or the server stops; FCUnpublish is answered with its own"),
        row(Code::PlayPublishNotify, "NetStream.Play.PublishNotify", Status, ("", " is now published.")).details()
            .when("to players: the stream has a publisher now, or had one when play was granted"),
        row(Code::PlayUnpublishNotify, "NetStream.Play.UnpublishNotify", Status, ("", " is now unpublished.")).details()
            .when("to players: the publisher has left; behind its last frame"),
        row(Code::RecordStart, "NetStream.Record.Start", Status, ("", " is now recorded.")).details()
            .when("publish with type record or append: its file was begun; behind Publish.Start, with the first media"),
        row(Code::RecordStop, "NetStream.Record.Stop", Status, ("", " is no longer recorded.")).details()
            .when("its file is complete, and on the medium"),
        row(Code::RecordFailed, "NetStream.Record.Failed", Error, ("Recording of ", " failed.")).details()
            .when("no file can be begun, or it does not go on: the medium is full, gone or failing, or limits.recordings are made; the stream goes on"),
        row(Code::RecordAlreadyExists, "NetStream.Record.AlreadyExists", Status, ("", " is being recorded already.")).details()
            .when("what is published with type record or append is still being recorded"),
        row(Code::RecordNoAccess, "NetStream.Record.NoAccess", Error, ("", " cannot be recorded.")).details()
            .when("publish with type record or append: limits.recordings is 0; or the folder or the file must not be written"),

        row(Code::PlayReset, "NetStream.Play.Reset", Status, ("Playing and resetting ", ".")).details()
            .when("play with its reset flag was granted, of a recording: which is there; before Play.Start"),
        row(Code::PlayStart, "NetStream.Play.Start", Status, ("Started playing ", ".")).details()
            .via("onStatus, onFCSubscribe")
            .when("play was granted, published or not; a recording begins or goes on after a seek or a pause; FCSubscribe has its own"),
        row(Code::PlayStop, "NetStream.Play.Stop", Status, ("Stopped playing ", ".")).details()
            .when("a recording is over; or the server has ended the play: it stops, or another needs the place of one that takes nothing"),
        row(Code::PlayStreamNotFound, "NetStream.Play.StreamNotFound", Error, ("Failed to play ", "; stream not found.")).details()
            .when("a recording was asked for (start is 0 or more, or the application only plays): there is none of that name, and it is not published"),
        row(Code::PlayFailed, "NetStream.Play.Failed", Error, ("Failed to play ", ".")).details()
            .when("the name is illegal or not allowed, no stream or player of recordings is left, a file is unreadable, the net stream publishes"),
        row(Code::PlayFileStructureInvalid, "NetStream.Play.FileStructureInvalid", Error, ("Failed to play ", "; the file is none that can be played.")).details()
            .when("the file of a recording is of no format that is known, or not whole"),
        row(Code::PlaySwitch, "NetStream.Play.Switch", Status, ("Going on with ", ".")).details()
            .fields(PLAYED_FIELDS).via("onPlayStatus")
            .when("a recording of a playlist is over and the next begins; duration and bytes are those of the one before"),
        row(Code::PlayComplete, "NetStream.Play.Complete", Status, ("Played all of ", ".")).details()
            .fields(PLAYED_FIELDS).via("onPlayStatus")
            .when("the last frame of a recording was sent; before Play.Stop"),
        row(Code::PlayTransition, "NetStream.Play.Transition", Status, ("Switching to ", ".")).details()
            .when("play2 to another stream was granted"),
        row(Code::PlayTransitionComplete, "NetStream.Play.TransitionComplete", Status, ("Switched to ", ".")).details()
            .via("onPlayStatus")
            .when("the first frame of the stream that was switched to is about to come"),
        row(Code::PlayInsufficientBandwidth, "NetStream.Play.InsufficientBW", Warning, ("", " has pictures that are too large for this server: they are left out."))
            .details()
            .when("a frame is larger than half of limits.ring_bytes; or a recording is late by more than the client's buffer; once"),
        row(Code::PlayNoSupportedTrackFound, "NetStream.Play.NoSupportedTrackFound", Status, ("", " has a codec that needs Enhanced RTMP, which this client did not announce: it is left out."))
            .details()
            .when("to a client that announced no Enhanced RTMP: sound or picture has no legacy form; as an error: a recording has none at all"),
        row(Code::SeekNotify, "NetStream.Seek.Notify", Status, ("Seeking ", ".")).details()
            .when("seek: a recording goes on from the key frame before; a live stream says its present time and goes on from its newest"),
        row(Code::PauseNotify, "NetStream.Pause.Notify", Status, ("Pausing ", ".")).details()
            .when("a player has paused"),
        row(Code::UnpauseNotify, "NetStream.Unpause.Notify", Status, ("Unpausing ", ".")).details()
            .when("a player goes on"),
        row(Code::StreamFailed, "NetStream.Failed", Error, ("There is no such stream.", ""))
            .when("publish or play on a net stream that cannot be, or a play2 transition that live streams do not have"),
        row(Code::StreamInvalidArg, "NetStream.InvalidArg", Error, ("Invalid argument of ", "."))
            .when("a command of a net stream has an argument of the wrong type where it needs to know what is meant"),
    ]
};

const _: () = {
    let mut at = 0;
    while at < TABLE.len() {
        assert!(TABLE[at].code as usize == at, "rows stand in the order of the codes");
        at += 1;
    }
};

const fn row(
    code: Code,
    name: &'static str,
    level: StatusLevel,
    description: (&'static str, &'static str),
) -> StatusRow {
    StatusRow { code, name, level, description, details: false, extra: &[], via: "onStatus", when: "" }
}

impl StatusRow {
    const fn details(self) -> StatusRow {
        StatusRow { details: true, ..self }
    }

    const fn fields(self, extra: &'static [&'static str]) -> StatusRow {
        StatusRow { extra, ..self }
    }

    const fn via(self, via: &'static str) -> StatusRow {
        StatusRow { via, ..self }
    }

    const fn when(self, when: &'static str) -> StatusRow {
        StatusRow { when, ..self }
    }
}

/// Why a documented code is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Clients make it up for themselves; it is never on the wire.
    MadeByClient,
    /// For the reason given.
    Other(&'static str),
}

/// A documented code that this server does not send.
#[derive(Clone, Copy, Debug)]
pub struct NotSent {
    /// The dotted code; a `*` stands for several.
    pub name: &'static str,
    /// Its level, where one is documented.
    pub level: Option<StatusLevel>,
    /// Why not.
    pub why: Why,
}

/// Codes of Adobe's tables that are not in [`TABLE`].
#[rustfmt::skip]
pub const NOT_SENT: [NotSent; 30] = {
    use StatusLevel::{Error, Status, Warning};
    use Why::{MadeByClient, Other};
    const NO_SHARED_OBJECTS: Why = Other("there are no shared objects in this version");
    const OF_SCRIPTS: Why = Other("given to server-side code, never on the wire");
    [
        not_sent("NetStream.Clear.Success", Some(Status), OF_SCRIPTS),
        not_sent("NetStream.Clear.Failed", Some(Error), OF_SCRIPTS),
        not_sent("NetStream.Seek.Failed", Some(Error), Other("ffmpeg waits for ever after it: a seek always succeeds")),

        not_sent("NetConnection.Connect.Closed", Some(Status), MadeByClient),
        not_sent("NetConnection.Connect.NetworkChange", Some(Status), MadeByClient),
        not_sent("NetConnection.Call.BadVersion", Some(Error), MadeByClient),
        not_sent("NetConnection.Call.Prohibited", Some(Error), MadeByClient),
        not_sent("NetStream.Seek.InvalidTime", Some(Error), MadeByClient),
        not_sent("NetStream.Buffer.Empty", Some(Status), MadeByClient),
        not_sent("NetStream.Buffer.Full", Some(Status), MadeByClient),
        not_sent("NetStream.Buffer.Flush", Some(Status), MadeByClient),
        not_sent("NetStream.Step.Notify", Some(Status), MadeByClient),
        not_sent("NetStream.Connect.*", None, MadeByClient),
        not_sent("NetStream.DRM.*", None, MadeByClient),
        not_sent("NetStream.MulticastStream.*", None, MadeByClient),
        not_sent("NetGroup.*", None, MadeByClient),
        not_sent("SharedObject.UriMismatch", Some(Error), MadeByClient),
        not_sent("SharedObject.Flush.*", None, MadeByClient),

        not_sent("NetStream.Data.Start", None, Other("ffmpeg makes an empty data stream of it")),
        not_sent("NetStream.Publish.Denied", Some(Error), Other("another server's word for Publish.BadName")),
        not_sent("NetStream.Publish.Rejected", Some(Error), Other("another server's word for Publish.BadName")),
        not_sent("NetConnection.Proxy.NotResponding", Some(Error), Other("this server is no edge of another one")),
        not_sent("SharedObject.NoReadAccess", Some(Error), NO_SHARED_OBJECTS),
        not_sent("SharedObject.NoWriteAccess", Some(Error), NO_SHARED_OBJECTS),
        not_sent("SharedObject.ObjectCreationFailed", Some(Error), NO_SHARED_OBJECTS),
        not_sent("SharedObject.BadPersistence", Some(Error), NO_SHARED_OBJECTS),
        not_sent("Application.Script.*", None, OF_SCRIPTS),
        not_sent("Application.Resource.LowMemory", Some(Warning), OF_SCRIPTS),
        not_sent("Application.Shutdown", Some(Status), OF_SCRIPTS),
        not_sent("Application.GC", Some(Status), OF_SCRIPTS),
    ]
};

const fn not_sent(name: &'static str, level: Option<StatusLevel>, why: Why) -> NotSent {
    NotSent { name, level, why }
}

/// Fields that only some events have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extra<'a> {
    /// None.
    #[default]
    None,
    /// Of Connect.Rejected.
    Rejected {
        /// `application`: what the server's own code has to say, one encoded AMF 0 value of any type.
        application: Option<&'a [u8]>,
        /// `ex`: the URL to connect to instead, as `{code: 302, redirect: URL}`.
        redirect: Option<&'a str>,
    },
    /// `tcUrl` of Connect.ReconnectRequest: where to connect to instead, absolute or relative.
    ReconnectTo(&'a str),
    /// Of Play.Switch and Play.Complete.
    Played {
        /// `duration`, in seconds there: how much was played, in milliseconds.
        ms: u32,
        /// `bytes`: how much was sent.
        bytes: u64,
    },
}

/// One status event.
#[derive(Clone, Copy, Debug)]
pub struct Status<'a> {
    /// What happened.
    pub code: Code,
    /// How bad it is: the code's own level, but for what is refused.
    pub level: StatusLevel,
    /// The stream or method concerned; empty when there is none.
    pub subject: &'a str,
    /// Text for a person, in place of the code's own sentence.
    pub description: Option<&'a str>,
    /// More than every event has.
    pub extra: Extra<'a>,
}

impl<'a> Status<'a> {
    /// `code` about `subject`, with the code's own sentence.
    pub const fn new(code: Code, subject: &'a str) -> Status<'a> {
        Status { code, level: code.level(), subject, description: None, extra: Extra::None }
    }

    /// Something that was asked for is refused.
    pub const fn refusing(self) -> Status<'a> {
        Status { level: StatusLevel::Error, ..self }
    }

    /// With another description than the code's own sentence.
    pub const fn described(self, description: &'a str) -> Status<'a> {
        Status { description: Some(description), ..self }
    }

    /// With more fields.
    pub const fn with(self, extra: Extra<'a>) -> Status<'a> {
        Status { extra, ..self }
    }

    /// Writes `level`, `code`, `description`, `details` and the extra fields of an object that is already begun. The
    /// order matters: Wirecast failed with `code` before `level`.
    pub fn properties(&self, amf: &mut Encoder<'_, '_>) -> Result<(), Full> {
        let row = self.code.row();
        let (before, after) = row.description;
        amf.property_string("level", self.level.name())?;
        amf.property_string("code", row.name)?;
        let mut sentence = heapless::String::<DESCRIPTION_BYTES>::new();
        let description = match self.description {
            Some(text) => text,
            None => {
                // A subject too long for the sentence is left out of it; `details` holds it.
                if write!(sentence, "{before}{}{after}", self.subject).is_err() {
                    sentence.clear();
                }
                &sentence
            }
        };
        amf.property_string("description", description)?;
        if row.details && !self.subject.is_empty() {
            amf.property_string("details", self.subject)?;
        }
        match self.extra {
            Extra::None => Ok(()),
            Extra::Rejected { application, redirect } => {
                if let Some(value) = application {
                    amf.key("application")?;
                    amf.encoded(value)?;
                }
                let Some(url) = redirect else { return Ok(()) };
                amf.key("ex")?;
                amf.object_begin()?;
                amf.property_number("code", REDIRECT_CODE)?;
                amf.property_string("redirect", url)?;
                amf.object_end()
            }
            Extra::ReconnectTo(url) => amf.property_string("tcUrl", url),
            Extra::Played { ms, bytes } => {
                amf.property_number("duration", f64::from(ms) / 1000.0)?;
                amf.property_number("bytes", bytes as f64)
            }
        }
    }

    /// Writes the whole object.
    pub fn object(&self, amf: &mut Encoder<'_, '_>) -> Result<(), Full> {
        amf.object_begin()?;
        self.properties(amf)?;
        amf.object_end()
    }

    /// Sends it as `onStatus` on message stream `stream_id` (0: the connection).
    pub fn send(&self, stream_id: u32, tx: &mut TxBuf) -> Result<(), Full> {
        tx.command(stream_id, "onStatus", 0.0, |amf| {
            amf.null()?;
            self.object(amf)
        })
    }

    /// Sends it as `onPlayStatus`, a data message (Play.TransitionComplete and the like).
    pub fn send_play_status(&self, stream_id: u32, tx: &mut TxBuf) -> Result<(), Full> {
        tx.data(stream_id, |amf| {
            amf.string("onPlayStatus")?;
            self.object(amf)
        })
    }

    /// Sends it as the `_error` answer to call `transaction`.
    pub fn send_error(&self, transaction: f64, tx: &mut TxBuf) -> Result<(), Full> {
        tx.command(0, "_error", transaction, |amf| {
            amf.null()?;
            self.object(amf)
        })
    }
}
