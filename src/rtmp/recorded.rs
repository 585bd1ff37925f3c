//! What a player of a recorded stream is told, beside the stream itself: which control events, statuses and data messages, in which order.
//!
//! It is the order of Adobe's servers, which clients depend on: ffmpeg drops everything before `Seek.Notify` and ends at `Play.Stop`,
//! librtmp goes on from a pause when it has seen StreamEOF and `Pause.Notify`, GStreamer ends at StreamEOF. Metadata, sequence
//! headers and media follow what is told here, wherever something begins.

use core::fmt::Write;

use crate::wire::bytes::Full;
use crate::wire::message::UserControl;

use super::event::NetStreamId;
use super::status::{Code, Extra, Status};
use super::tx::TxBuf;

/// What becomes of what is played. `name` is what the client calls it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Told<'a> {
    /// It goes on at another place.
    Seeks {
        /// What.
        name: &'a str,
        /// Where to, in milliseconds, as the client said.
        ms: u32,
    },
    /// It pauses.
    Pauses {
        /// What.
        name: &'a str,
    },
    /// It goes on where the client is.
    GoesOn {
        /// What.
        name: &'a str,
    },
    /// The next of the playlist begins.
    Switches {
        /// The next.
        name: &'a str,
        /// What was sent of the one before.
        played: Played,
    },
    /// It is over.
    Ends {
        /// What.
        name: &'a str,
        /// What was sent of it.
        played: Played,
    },
    /// The client has as much as it may have ahead, and less than it wants.
    BufferEmpty,
    /// It is sent more.
    BufferReady,
}

/// How much of a recorded stream was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Played {
    /// From the first time to the last, in milliseconds.
    pub ms: u32,
    /// Bytes, those around the media included.
    pub bytes: u64,
}

/// A player hears what becomes of it. There is room for any of it where there are [`REPLY_BYTES`](super::session::REPLY_BYTES).
pub(super) fn tell(stream: NetStreamId, what: Told<'_>, samples: (bool, bool), tx: &mut TxBuf) -> Result<(), Full> {
    let id = stream.wire();
    match what {
        Told::Seeks { name, ms } => {
            let mut text = heapless::String::<64>::new();
            let _ = write!(text, "Seeking {ms} (stream ID: {id}).");
            tx.user_control(UserControl::StreamEof(id))?;
            begin(stream, tx)?;
            Status::new(Code::SeekNotify, name).described(&text).send(id, tx)?;
            Status::new(Code::PlayStart, name).send(id, tx)?;
            sample_access(stream, samples, tx)
        }
        Told::Pauses { name } => {
            tx.user_control(UserControl::StreamEof(id))?;
            Status::new(Code::PauseNotify, name).send(id, tx)
        }
        Told::GoesOn { name } => {
            begin(stream, tx)?;
            Status::new(Code::UnpauseNotify, name).send(id, tx)?;
            Status::new(Code::PlayStart, name).send(id, tx)?;
            sample_access(stream, samples, tx)
        }
        Told::Switches { name, played } => {
            Status::new(Code::PlaySwitch, name).with(played.into()).send_play_status(id, tx)?;
            Status::new(Code::PlayStart, name).send(id, tx)?;
            sample_access(stream, samples, tx)
        }
        Told::Ends { name, played } => {
            Status::new(Code::PlayComplete, name).with(played.into()).send_play_status(id, tx)?;
            tx.user_control(UserControl::StreamEof(id))?;
            Status::new(Code::PlayStop, name).send(id, tx)
        }
        Told::BufferEmpty => tx.user_control(UserControl::BufferEmpty(id)),
        Told::BufferReady => tx.user_control(UserControl::BufferReady(id)),
    }
}

/// What a player may take pictures of, of live streams, too. Flash raises a security error on snapshots when this does not come before media.
pub(super) fn sample_access(stream: NetStreamId, (audio, video): (bool, bool), tx: &mut TxBuf) -> Result<(), Full> {
    tx.data(stream.wire(), |amf| {
        amf.string("|RtmpSampleAccess")?;
        amf.boolean(audio)?;
        amf.boolean(video)
    })
}

/// A player hears that something recorded begins.
pub(super) fn begin(stream: NetStreamId, tx: &mut TxBuf) -> Result<(), Full> {
    tx.user_control(UserControl::StreamIsRecorded(stream.wire()))?;
    tx.user_control(UserControl::StreamBegin(stream.wire()))
}

impl From<Played> for Extra<'_> {
    fn from(Played { ms, bytes }: Played) -> Self {
        Extra::Played { ms, bytes }
    }
}
