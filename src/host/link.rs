//! A host's end of the link: what it says to the server, what it was told and has not handled, and the questions of scripts,
//! for whose answers a handler waits.

use std::cell::RefCell;
use std::rc::Rc;

use crate::limits::SCRIPT_MESSAGE_BYTES;
use crate::time::Millis;
use crate::wire::bytes::{Full, Writer};
use crate::wire::script_link::{
    ApplicationStats, Broken, ClientId, ClientStats, Doing, Handler, InstanceId, LogLevel, RecordHow, ToHost, ToServer,
    message_bytes,
};

/// Bytes that are put together before they are sent: any one message fits.
const OUT_BYTES: usize = 2 * SCRIPT_MESSAGE_BYTES;

/// The server is gone, or not to be understood: the host ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It has closed the link.
    Closed,
    /// What it says is no message.
    Broken(Broken),
}

impl From<Broken> for Ended {
    fn from(broken: Broken) -> Ended {
        Ended::Broken(broken)
    }
}

/// The link to the server, and the time: a socket, or a simulator.
pub trait Line {
    /// Sends all of `bytes`, and waits until the other end has taken them.
    ///
    /// # Errors
    ///
    /// [`Ended::Closed`].
    fn send(&self, bytes: &[u8]) -> Result<(), Ended>;

    /// Waits for bytes and puts them behind `into`: for `wait_ms` milliseconds at most, after which nothing was put there;
    /// `None` is for ever.
    ///
    /// # Errors
    ///
    /// [`Ended::Closed`].
    fn receive(&self, into: &mut Vec<u8>, wait_ms: Option<u64>) -> Result<(), Ended>;

    /// The time, from any point on.
    fn now(&self) -> Millis;

    /// Where the server finds what the host is about.
    fn doing(&self) -> &Doing;
}

/// The line with what is on its way.
pub(super) struct ServerLink {
    line: Rc<dyn Line>,
    /// What the server has sent and nobody has taken.
    inbox: RefCell<Vec<u8>>,
    out: RefCell<Out>,
}

/// What is to be sent.
struct Out {
    buffer: Box<[u8]>,
    length: usize,
}

impl ServerLink {
    pub(super) fn new(line: Rc<dyn Line>) -> ServerLink {
        let out = Out { buffer: vec![0; OUT_BYTES].into(), length: 0 };
        ServerLink { line, inbox: RefCell::default(), out: RefCell::new(out) }
    }

    pub(super) fn now(&self) -> Millis {
        self.line.now()
    }

    /// No script runs.
    pub(super) fn leave(&self) {
        self.line.doing().leave();
    }

    /// Puts a message behind what is to be sent.
    pub(super) fn say(&self, message: &ToServer<'_>) -> Result<(), Ended> {
        let mut out = self.out.borrow_mut();
        if out.put(message).is_ok() {
            return Ok(());
        }
        self.send(&mut out)?;
        let put = out.put(message);
        debug_assert!(put.is_ok(), "every part of a message has a limit, and together they fit");
        Ok(())
    }

    /// Something is to be sent.
    pub(super) fn has_said(&self) -> bool {
        self.out.borrow().length > 0
    }

    /// Sends what is to be sent.
    pub(super) fn flush(&self) -> Result<(), Ended> {
        self.send(&mut self.out.borrow_mut())
    }

    fn send(&self, out: &mut Out) -> Result<(), Ended> {
        let length = std::mem::take(&mut out.length);
        if length == 0 { Ok(()) } else { self.line.send(&out.buffer[..length]) }
    }

    /// Takes the messages of the server that are there as a whole, one behind the other. What comes while they are handled comes
    /// behind them.
    pub(super) fn take(&self) -> Result<Vec<u8>, Ended> {
        let mut inbox = self.inbox.borrow_mut();
        let mut whole = 0;
        while let Some(length) = message_bytes(&inbox[whole..])? {
            whole += length;
        }
        let rest = inbox.split_off(whole);
        Ok(std::mem::replace(&mut *inbox, rest))
    }

    /// Waits for more from the server, to which nothing is left to be said then.
    pub(super) fn wait(&self, wait_ms: Option<u64>) -> Result<(), Ended> {
        self.flush()?;
        self.line.receive(&mut self.inbox.borrow_mut(), wait_ms)
    }

    /// Asks the server, now, and waits for what `answer` takes for the answer. What comes before it is kept.
    fn ask<R>(&self, question: &ToServer<'_>, answer: impl Fn(&ToHost<'_>) -> Option<R>) -> Result<R, Ended> {
        self.say(question)?;
        self.flush()?;
        let mut looked_at = 0;
        loop {
            if let Some(found) = pick(&mut self.inbox.borrow_mut(), &mut looked_at, &answer)? {
                return Ok(found);
            }
            self.wait(None)?;
        }
    }
}

/// Takes the first message behind the first `looked_at` bytes that `wanted` wants out of its turn.
fn pick<R>(
    inbox: &mut Vec<u8>,
    looked_at: &mut usize,
    wanted: impl Fn(&ToHost<'_>) -> Option<R>,
) -> Result<Option<R>, Broken> {
    while let Some((message, length)) = ToHost::read(&inbox[*looked_at..])? {
        if let Some(found) = wanted(&message) {
            inbox.drain(*looked_at..*looked_at + length);
            return Ok(Some(found));
        }
        *looked_at += length;
    }
    Ok(None)
}

impl Out {
    fn put(&mut self, message: &ToServer<'_>) -> Result<(), Full> {
        let mut out = Writer::new(&mut self.buffer[self.length..]);
        message.put(&mut out)?;
        self.length += out.len();
        Ok(())
    }
}

/// The link, as one instance has it.
#[derive(Clone)]
pub(super) struct Ours {
    pub(super) link: Rc<ServerLink>,
    pub(super) instance: InstanceId,
}

impl Ours {
    pub(super) fn enter(&self, handler: Handler) {
        self.link.line.doing().enter(self.instance, handler);
    }

    /// A function of the script is entered, which begins in this line of a file.
    pub(super) fn at(&self, file: &str, line: u32) {
        self.link.line.doing().at(file, line);
    }

    /// Logs a line, at once: should the host not come back, it is what its author knows.
    pub(super) fn log(&self, level: LogLevel, text: &str) {
        let said = self.link.say(&ToServer::Log { instance: self.instance, level, text });
        // Without a server nobody reads it, and the host finds out as it goes on.
        let _ = said.and_then(|()| self.link.flush());
    }

    /// What the server counts of a client now; nothing when it is gone.
    pub(super) fn client_stats(&self, client: ClientId) -> ClientStats {
        let question = ToServer::AskClientStats { instance: self.instance, client };
        let answer = self.link.ask(&question, |message| match message {
            ToHost::TellClientStats { stats } => Some(*stats),
            _ => None,
        });
        answer.unwrap_or_default()
    }

    /// What the server counts of the instance now.
    pub(super) fn application_stats(&self) -> ApplicationStats {
        let question = ToServer::AskApplicationStats { instance: self.instance };
        let answer = self.link.ask(&question, |message| match message {
            ToHost::TellApplicationStats { stats } => Some(*stats),
            _ => None,
        });
        answer.unwrap_or_default()
    }

    /// How long a recorded stream is, in seconds; 0 when that is not known.
    pub(super) fn stream_length(&self, stream: &str) -> f64 {
        self.ask_number(&ToServer::AskLength { instance: self.instance, stream })
    }

    /// How large a recorded stream is, in bytes; 0 when that is not known.
    pub(super) fn stream_size(&self, stream: &str) -> f64 {
        self.ask_number(&ToServer::AskSize { instance: self.instance, stream })
    }

    /// Has a stream recorded, or no more; whether that is done.
    pub(super) fn record(&self, stream: &str, how: RecordHow, most_s: f64, most_kb: f64) -> bool {
        self.ask_number(&ToServer::AskRecord { instance: self.instance, stream, how, most_s, most_kb }) > 0.0
    }

    /// The metadata of a stream: one AMF 0 value, or nothing.
    pub(super) fn metadata(&self, stream: &str) -> Vec<u8> {
        let question = ToServer::AskMetadata { instance: self.instance, stream };
        let answer = self.link.ask(&question, |message| match message {
            ToHost::TellValue { value } => Some(value.to_vec()),
            _ => None,
        });
        answer.unwrap_or_default()
    }

    fn ask_number(&self, question: &ToServer<'_>) -> f64 {
        let answer = self.link.ask(question, |message| match message {
            ToHost::TellNumber { value } => Some(*value),
            _ => None,
        });
        answer.unwrap_or_default()
    }
}
