//! The control protocol: what `rill ctl` asks the server, and what it hears. Its connections are the server's as all others are,
//! but in slots of their own, which no number of clients can take.
//!
//! # Protocol
//!
//! Text, one request a line, answered in order. An answer is any number of rows, each a JSON object on a line of its own,
//! and then a line that is `{"ok":true}` or `{"error":"..."}`; no row is an object with such a member alone.
//!
//! | request | rows |
//! |---|---|
//! | `clients` | one for each connection: id, address, app, instance, agent, speaks (`rtmp`, `http`, or of a viewer over HTTP its format: `flv`, `ws-flv`), does (`connecting`, `pending`, `publishes`, `plays`, `idle`, `leaving`), stream, stream_id, seconds, bytes_in, bytes_out, lag_ms, skips, round_trip_us |
//! | `streams` | one for each stream name in use: id, app, instance, name, state (`live`, `away`: its publisher left and may come back, `waiting`: only players), publisher, seconds, players, skips, worst_lag_ms, bitrate_bps, recorded, video, audio, fps, key_frame_ms |
//! | `apps` | one for each application: name, kind, state (`reading`, `ready`, `broken`, `leaving`), instances, clients, streams |
//! | `stats` | one: totals and counters |
//! | `diagnose` | one for each thing that is wrong, the gravest first: kind, stream (`APP/NAME`; null is the whole server), seconds (since when), what, remedy, figures (those in what, for who says it otherwise) |
//! | `disconnect ID` | none; the client is told `close`, and its connection ends |
//! | `unload APP[/INSTANCE]` | one: how many clients were sent away (`disconnected`) |
//! | `shutdown-app APP` | the same |
//! | `record start APP/NAME`, `record stop APP/NAME` | none |
//! | `recordings [APP[/NAME]]` | one for each file of a recording: file (`APP/PATH/FILE`), bytes, written (seconds since 1970), state (`recording`, `unfinished`: a server that lost its power left it, `complete`) |
//! | `delete-recording FILE` | none, when it is gone |
//! | `push list` | one for each `[[push]]` and `[[pull]]`, and for each stream that is sent by one: does (`push`, `pull`, or `test`: an attempt), app, number (in its application's file, from 1), stream, url (less what may be a secret), state (`idle`, `stopped`, `waiting`, `connecting`, `running`, `ending`; of a test `taken` or `refused`), seconds, bitrate_bps, lag_ms, error (why it ended last) |
//! | `push start APP/NUMBER`, `push stop APP/NUMBER`, `push test APP/NUMBER` | none; what a test has found out is in the list |
//! | `admin-key KEY`, `admin-key off` | one: whether it is in its file (`stored`) or holds until the server ends |
//! | `reload` | none |
//!
//! What is not known is `null`. Write permission on the socket file is permission for every request
//! (`net::control_socket`); there are no further rights.
//!
//! # Bounds
//!
//! There are [`CONTROL_CLIENTS`](crate::limits::CONTROL_CLIENTS) slots; one more client is told so. A request has at most
//! [`CONTROL_REQUEST_BYTES`]. It is answered in the slot's own buffer, and the next one is taken when the answer was. A long
//! list is written as the client takes it, a few rows a turn, and goes on behind the place it has come to: rows may come and go
//! meanwhile. A client that does not finish a request, or does not take its answer, is closed after [`PATIENCE_MS`].

use crate::limits::CONTROL_REQUEST_BYTES;
use crate::live::jobs::KeyKept;
use crate::live::recording::NotDeleted;
use crate::rtmp::tx::TxBuf;
use crate::time::Millis;

use super::close::CloseReason;
use super::protocol::{Ask, Context, Protocol, Stage, Turn};

/// How long a client may take to send a request, or to take the answer that waits for it, in milliseconds.
pub const PATIENCE_MS: u64 = 5000;
/// How long a client waits for the disk, in milliseconds: a card that stalls is heard of, not taken for a client that does nothing.
const DISK_PATIENCE_MS: u64 = 30_000;
/// What a client hears that finds every slot taken.
pub(super) const BUSY: &[u8] =
    b"{\"error\":\"busy: as many clients as the control socket serves at once (CONTROL_CLIENTS)\"}\n";

/// What is being answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answering {
    /// Nothing: the next request is awaited.
    None,
    /// A request that is whole.
    Request,
    /// The list goes on at this place of its table.
    List(List, usize),
    /// The disk is asked.
    Disk,
    /// It has deleted a recording, or has not.
    Deleted(Result<(), NotDeleted>),
    /// The administrator's key is another one, or is not.
    Keyed(KeyKept),
    /// All was said, and the client is closed when it has taken that.
    Last,
}

/// A table that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    Clients,
    Streams,
    Apps,
    Relays,
    /// Of what is wrong.
    Findings,
    /// Of what the disk has said, a page at a time.
    Recordings,
}

/// A connection of the operator's.
pub struct Operator {
    pub(super) request: heapless::Vec<u8, CONTROL_REQUEST_BYTES>,
    pub(super) answering: Answering,
    /// Something was said that it has not taken.
    pub(super) is_told: bool,
    /// When the connection is closed unless it makes progress.
    deadline: Millis,
}

impl Protocol for Operator {
    fn begin(_: u64, now: Millis) -> Operator {
        let request = heapless::Vec::new();
        Operator { request, answering: Answering::None, is_told: false, deadline: now + PATIENCE_MS }
    }

    /// One request: the next one is taken when the last one was answered and the answer taken.
    fn read<'i>(&mut self, input: &mut &'i [u8], cx: &mut Context<'_>) -> Turn<'i> {
        if !self.goes_on(cx.tx) {
            return Turn::Waits;
        }
        let room = self.request.capacity() - self.request.len();
        let piece = &input[..input.len().min(room)];
        let end = piece.iter().position(|&byte| byte == b'\n').map(|at| at + 1);
        let (taken, rest) = input.split_at(end.unwrap_or(piece.len()));
        // No more than there is room for.
        let _ = self.request.extend_from_slice(taken);
        *input = rest;
        if end.is_none() && !self.request.is_full() {
            return Turn::Done;
        }
        self.answering = Answering::Request;
        self.deadline = cx.now + PATIENCE_MS;
        Turn::Asks(Ask::Control)
    }

    fn write(&mut self, cx: &mut Context<'_>) -> Turn<'static> {
        if core::mem::take(&mut self.is_told) {
            // Taking all of it buys time; taking a byte now and then does not.
            self.deadline = cx.now + PATIENCE_MS;
        }
        match self.answering {
            Answering::None | Answering::Disk => Turn::Done,
            Answering::Request | Answering::List(..) | Answering::Deleted(_) | Answering::Keyed(_) => {
                Turn::Asks(Ask::Control)
            }
            Answering::Last => Turn::Ends(CloseReason::Answered),
        }
    }

    fn goes_on(&self, tx: &TxBuf) -> bool {
        self.answering == Answering::None && tx.is_empty()
    }

    fn deadline(&self) -> Option<Millis> {
        Some(if self.answering == Answering::Disk { self.deadline + DISK_PATIENCE_MS } else { self.deadline })
    }

    fn stage(&self) -> Stage {
        Stage::Greeted
    }
}
