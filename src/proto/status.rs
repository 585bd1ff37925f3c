//! Status events: what the server tells a client about its connection and its net streams (Action Message Format
//! objects with `level`, `code` and `description`; Adobe's NetStatusEvent tables).

use core::fmt::Write;

use crate::limits::STREAM_NAME_BYTES;
use crate::wire::amf0::Encoder;
use crate::wire::bytes::Full;

use super::tx::TxBuf;

/// Longest description: a sentence around the longest stream name. ffmpeg cuts at 255.
const DESCRIPTION_BYTES: usize = STREAM_NAME_BYTES + 120;

/// How bad it is. Only `error` makes ffmpeg give up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Something happened as it should.
    Status,
    /// Something failed.
    Error,
}

impl Level {
    /// As written on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Level::Status => "status",
            Level::Error => "error",
        }
    }
}

/// Every status code this server sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is named after its code")]
pub enum Code {
    ConnectSuccess,
    ConnectRejected,
    ConnectInvalidApp,
    ConnectFailed,
    ConnectAppShutdown,
    ConnectIdleTimeout,
    CallFailed,
    PublishStart,
    PublishBadName,
    UnpublishSuccess,
    RecordNoAccess,
    PlayReset,
    PlayStart,
    PlayStop,
    PlayStreamNotFound,
    PlayFailed,
    PlayPublishNotify,
    PlayUnpublishNotify,
    PlayTransition,
    PlayTransitionComplete,
    PauseNotify,
    UnpauseNotify,
    SeekFailed,
    StreamFailed,
}

impl Code {
    /// The dotted code, the level, and the description before and after the name it speaks of.
    const fn row(self) -> (&'static str, Level, &'static str, &'static str) {
        use Level::{Error, Status};
        match self {
            Code::ConnectSuccess => ("NetConnection.Connect.Success", Status, "Connection succeeded.", ""),
            Code::ConnectRejected => ("NetConnection.Connect.Rejected", Error, "Connection failed.", ""),
            Code::ConnectInvalidApp => ("NetConnection.Connect.InvalidApp", Error, "Application name is invalid.", ""),
            Code::ConnectFailed => ("NetConnection.Connect.Failed", Error, "Connect first.", ""),
            Code::ConnectAppShutdown => {
                ("NetConnection.Connect.AppShutdown", Error, "The server is shutting down.", "")
            }
            Code::ConnectIdleTimeout => ("NetConnection.Connect.IdleTimeout", Status, "Idle for too long.", ""),
            Code::CallFailed => ("NetConnection.Call.Failed", Error, "Method not found (", ")."),
            Code::PublishStart => ("NetStream.Publish.Start", Status, "", " is now published."),
            Code::PublishBadName => ("NetStream.Publish.BadName", Error, "", " is already published."),
            Code::UnpublishSuccess => ("NetStream.Unpublish.Success", Status, "", " is now unpublished."),
            Code::RecordNoAccess => ("NetStream.Record.NoAccess", Error, "", " cannot be recorded."),
            Code::PlayReset => ("NetStream.Play.Reset", Status, "Playing and resetting ", "."),
            Code::PlayStart => ("NetStream.Play.Start", Status, "Started playing ", "."),
            Code::PlayStop => ("NetStream.Play.Stop", Status, "Stopped playing ", "."),
            Code::PlayStreamNotFound => {
                ("NetStream.Play.StreamNotFound", Error, "Failed to play ", "; stream not found.")
            }
            Code::PlayFailed => ("NetStream.Play.Failed", Error, "Failed to play ", "."),
            Code::PlayPublishNotify => ("NetStream.Play.PublishNotify", Status, "", " is now published."),
            Code::PlayUnpublishNotify => ("NetStream.Play.UnpublishNotify", Status, "", " is now unpublished."),
            Code::PlayTransition => ("NetStream.Play.Transition", Status, "Switching to ", "."),
            Code::PlayTransitionComplete => ("NetStream.Play.TransitionComplete", Status, "Switched to ", "."),
            Code::PauseNotify => ("NetStream.Pause.Notify", Status, "Pausing ", "."),
            Code::UnpauseNotify => ("NetStream.Unpause.Notify", Status, "Unpausing ", "."),
            Code::SeekFailed => ("NetStream.Seek.Failed", Error, "", " is live and cannot be sought."),
            Code::StreamFailed => ("NetStream.Failed", Error, "", " failed."),
        }
    }

    /// The dotted code.
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// Its level.
    pub const fn level(self) -> Level {
        self.row().1
    }
}

/// One status event.
#[derive(Clone, Copy, Debug)]
pub struct Status<'a> {
    /// What happened.
    pub code: Code,
    /// The stream or method concerned; empty when there is none.
    pub subject: &'a str,
    /// Text for a person, in place of the code's own sentence.
    pub description: Option<&'a str>,
}

impl<'a> Status<'a> {
    /// `code` about `subject`, with the code's own sentence.
    pub const fn new(code: Code, subject: &'a str) -> Status<'a> {
        Status { code, subject, description: None }
    }

    /// Writes `level`, `code`, `description` and `details` of an object that is already begun. The order matters:
    /// Wirecast failed with `code` before `level`.
    pub fn properties(&self, amf: &mut Encoder<'_, '_>) -> Result<(), Full> {
        let (code, level, before, after) = self.code.row();
        amf.property_string("level", level.name())?;
        amf.property_string("code", code)?;
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
        if !self.subject.is_empty() && self.code.name().starts_with("NetStream") {
            amf.property_string("details", self.subject)?;
        }
        Ok(())
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
