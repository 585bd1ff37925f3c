//! What a protocol is: a state machine without sockets. Bytes go in, bytes for the peer go into the slot's buffer, and what it wants
//! of the server comes out as an [`Ask`], which the server carries out and answers. It reaches nothing else: neither other
//! connections nor streams.

use crate::rtmp::event::Event;
use crate::rtmp::outbound::{OutboundError, OutboundEvent};
use crate::rtmp::tx::TxBuf;
use crate::time::Millis;
use crate::wire::http_answer::AnswerFault;

use super::close::CloseReason;

/// What a protocol does when something happens to its connection.
pub(super) trait Protocol: Sized {
    /// A connection has arrived. `seed` is random.
    fn begin(seed: u64, now: Millis) -> Self;

    /// Takes input, until there is something to ask for. What is left of it is kept when the protocol waits.
    fn read<'i>(&mut self, input: &mut &'i [u8], cx: &mut Context<'_>) -> Turn<'i>;

    /// All that it said was sent: it may go on.
    fn write(&mut self, cx: &mut Context<'_>) -> Turn<'static> {
        let _ = cx;
        Turn::Done
    }

    /// What it waited for is there: it can take input again.
    fn goes_on(&self, tx: &TxBuf) -> bool;

    /// It has something to do for which it needs no more input.
    fn has_work(&self) -> bool {
        false
    }

    /// Bytes of a beginning that are still to come and are taken however many come at once. What comes behind them may have
    /// to wait.
    fn opening_bytes(&self) -> usize {
        0
    }

    /// The peer is told to go, as far as there are words for that.
    fn close(&mut self, tx: &mut TxBuf) {
        let _ = tx;
    }

    /// When the connection ends unless it makes progress; `None` when the deadlines of the configuration hold.
    fn deadline(&self) -> Option<Millis>;

    /// How far the connection has come.
    fn stage(&self) -> Stage;
}

/// What a protocol may know and touch.
pub(super) struct Context<'s> {
    /// What the peer is to be sent.
    pub tx: &'s mut TxBuf,
    /// The time.
    pub now: Millis,
}

/// What comes of reading or writing.
#[derive(Debug)]
pub(super) enum Turn<'i> {
    /// All was taken, and there is nothing more to say.
    Done,
    /// It takes no more before something is decided, or before what it says is said to the end: [`Protocol::goes_on`].
    Waits,
    /// It takes no more before what it said was sent.
    Full,
    /// It wants something of the server.
    Asks(Ask<'i>),
    /// The connection ends, behind what was said.
    Ends(CloseReason),
}

/// What a protocol wants of the server.
#[derive(Debug)]
pub(super) enum Ask<'i> {
    /// What an RTMP client does.
    Rtmp(Event<'i>),
    /// A request of HTTP is whole.
    Http,
    /// The operator has asked something, or a list goes on.
    Control,
    /// A script process has said something.
    Script(&'i [u8]),
    /// The far end of a relay has said something, or what is none of its protocol.
    Relay(Result<OutboundEvent<'i>, OutboundError>),
    /// A hook has answered, or what it says is no answer.
    Hook(Result<(), AnswerFault>),
}

/// How far a connection has come on its way to what it is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It has said nothing that its protocol knows.
    New,
    /// It speaks the protocol.
    Greeted,
    /// It waits for an answer before it has joined.
    Asking,
    /// It has joined an application.
    Joined,
}
