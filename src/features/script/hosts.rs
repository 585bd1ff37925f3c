//! Script processes as the server sees them: what each is still to be told, what of its words has come, and whether it comes back
//! from what it does. How they are started and ended is the network's.
//!
//! # What waits
//!
//! What a host is told waits in a queue that was obtained at the start. Facts and questions of clients have
//! [`SCRIPT_QUEUE_BYTES`] of it: who has one more waits, and is not read meanwhile ([`ScriptHost::tell`]). Behind them is room for what
//! cannot wait, the ends of clients and streams, and answers to what scripts ask ([`ScriptHost::must_tell`]): each client has few of
//! them, so that only a host that reads nothing leaves too little, and that one is ended.
//!
//! To wake a process costs as much as what it does for a client. So it is not woken for the end of a client alone, for whose answer
//! nobody waits: that goes with what is told next, or ten milliseconds later.
//!
//! # Who comes back
//!
//! A host counts what is through ([`ToServer::Done`](crate::wire::script_link::ToServer::Done)). While something is not, its
//! processor time and the time are measured from when it last came back ([`ScriptHost::overdue`]).

use std::boxed::Box;

use core::fmt;

use crate::handles::AppId;
use crate::limits::{SCRIPT_MESSAGE_BYTES, SCRIPT_QUEUE_BYTES};
use crate::live::script_text::{TextBlock, TextFollows};
use crate::time::Millis;
use crate::wire::bytes::{Full, Writer};
use crate::wire::script_link::{Broken, InstanceId, ToHost};

/// What each slot of the connection table adds to the room for what cannot wait, in bytes: its end.
const RESERVE_PER_SLOT_BYTES: usize = 64;
/// What is there whatever their number: ends of streams, answers to scripts.
const RESERVE_BYTES: usize = 32 * 1024;
/// Bytes of a message with its length.
const MESSAGE_BYTES: usize = 4 + SCRIPT_MESSAGE_BYTES;
/// For so long what nobody waits for may lie before it is sent, in milliseconds.
const GATHER_MS: u64 = 10;
/// A host that has ended is started again so long after its last start at the earliest, in milliseconds.
const RESTART_MS: u64 = 1000;

/// How far a script process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostState {
    /// There is none.
    Absent,
    /// There is to be one.
    Wanted {
        /// Not before.
        from: Millis,
    },
    /// It was started, and has not said that it is there.
    Starting,
    /// It has.
    Running,
    /// It is to be ended.
    Condemned(HostFault),
}

/// Why a script process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostFault {
    /// It used its processor time (`scripts.kill_ms`) and did not come back.
    Time,
    /// It did not come back in time (`scripts.answer_ms`).
    Silent,
    /// It does not take what it is told.
    Deaf,
    /// It said what no host says.
    Broken(Broken),
    /// It said so in another place than any host would, or is a host of another version.
    Stranger,
    /// It ended of itself.
    Ended,
    /// Nothing runs in it any more.
    Unneeded,
}

impl fmt::Display for HostFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HostFault::Time => "it did not come back from its script (scripts.kill_ms)",
            HostFault::Silent => "it did not answer (scripts.answer_ms)",
            HostFault::Deaf => "it does not read what it is told",
            HostFault::Broken(broken) => return write!(f, "it said {broken}"),
            HostFault::Stranger => "it does not speak as this server's script processes do",
            HostFault::Ended => "it ended",
            HostFault::Unneeded => "nothing runs in it",
        })
    }
}

/// How long a script process may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Processor time, in milliseconds.
    pub kill_ms: u64,
    /// Time, in milliseconds.
    pub answer_ms: u64,
}

/// A script process.
pub struct ScriptHost {
    /// How far it is.
    pub state: HostState,
    /// The application whose scripts it runs; `None` when it runs those of all, or nobody's yet.
    pub app: Option<AppId>,
    /// What it is to be told: `queue[begin..end]`.
    queue: Box<[u8]>,
    begin: usize,
    end: usize,
    /// When what is there is to be sent.
    due: Millis,
    /// What it has said, as far as that is no whole message.
    heard: Box<[u8]>,
    heard_bytes: usize,
    /// Messages that it was told, as far as 32 bits count, but for answers to its own questions.
    told: u32,
    /// Those of them that are through.
    done: u32,
    started: Millis,
    /// When it last came back, or was told something after that.
    since: Millis,
    /// Its processor time then, in microseconds, if that is known.
    time_us: Option<u64>,
    /// Where the block is in which it is brought the text of scripts.
    pub text: TextAt,
}

/// The block in which a process is brought the text of scripts, piece by piece: one is read when the one before it was told.
pub enum TextAt {
    /// It is here, and nothing is in it that counts.
    Idle(TextBlock),
    /// The disk is to be asked for the next piece.
    Wanted(TextBlock),
    /// The disk has it.
    Away,
    /// It has come, with a piece of that instance.
    Come(TextBlock, InstanceId, TextFollows),
    /// It was lost with the disk's thread.
    Lost,
}

impl TextAt {
    /// Takes what has come, if it is for that instance. When it is not, or nothing was asked, the disk is to be asked.
    pub fn take(&mut self, script: InstanceId) -> Option<(TextBlock, TextFollows)> {
        match core::mem::replace(self, TextAt::Away) {
            TextAt::Come(block, of, follows) if of == script => return Some((block, follows)),
            TextAt::Idle(block) | TextAt::Wanted(block) | TextAt::Come(block, ..) => *self = TextAt::Wanted(block),
            state @ (TextAt::Away | TextAt::Lost) => *self = state,
        }
        None
    }
}

impl ScriptHost {
    /// A place for a process, in a server with so many `slots`.
    pub fn new(slots: usize) -> ScriptHost {
        ScriptHost {
            state: HostState::Absent,
            app: None,
            queue: vec![0xA5; queue_bytes(slots)].into_boxed_slice(),
            begin: 0,
            end: 0,
            due: Millis(0),
            heard: vec![0xA5; MESSAGE_BYTES].into_boxed_slice(),
            heard_bytes: 0,
            told: 0,
            done: 0,
            started: Millis(0),
            since: Millis(0),
            time_us: None,
            text: TextAt::Idle(TextBlock::new()),
        }
    }

    /// Bytes of such a place.
    pub fn place_bytes(slots: usize) -> usize {
        size_of::<ScriptHost>() + queue_bytes(slots) + MESSAGE_BYTES + TextBlock::BYTES
    }

    /// A process was started in this place.
    pub fn begin(&mut self, now: Millis) {
        self.forget();
        (self.state, self.started, self.since) = (HostState::Starting, now, now);
    }

    /// The process of this place has ended. `wanted`: there is to be another.
    pub fn end(&mut self, wanted: bool) {
        self.forget();
        self.state = match wanted {
            true => HostState::Wanted { from: self.started + RESTART_MS },
            false => HostState::Absent,
        };
    }

    fn forget(&mut self) {
        (self.begin, self.end, self.heard_bytes) = (0, 0, 0);
        (self.told, self.done, self.time_us) = (0, 0, None);
    }

    /// It can be told something.
    pub fn is_running(&self) -> bool {
        self.state == HostState::Running
    }

    /// What it says counts.
    pub fn is_speaking(&self) -> bool {
        matches!(self.state, HostState::Starting | HostState::Running)
    }

    /// It has a process.
    pub fn is_there(&self) -> bool {
        !matches!(self.state, HostState::Absent | HostState::Wanted { .. })
    }

    /// Tells it what can wait.
    ///
    /// # Errors
    ///
    /// There is no room: whoever has caused it is to wait until [`ScriptHost::has_room`] says that there is.
    pub fn tell(&mut self, message: &ToHost<'_>, now: Millis) -> Result<(), Full> {
        self.put(message, SCRIPT_QUEUE_BYTES, now)
    }

    /// Tells it what cannot wait. Without room for that the host is condemned.
    pub fn must_tell(&mut self, message: &ToHost<'_>, now: Millis) {
        if self.put(message, self.queue.len(), now).is_err() {
            self.condemn(HostFault::Deaf);
        }
    }

    /// So much room that whoever waits for some is worth another look.
    pub fn has_room(&self) -> bool {
        self.end - self.begin <= SCRIPT_QUEUE_BYTES / 2
    }

    fn put(&mut self, message: &ToHost<'_>, most: usize, now: Millis) -> Result<(), Full> {
        if !self.is_running() {
            return Err(Full);
        }
        let was_empty = self.pending().is_empty();
        let mut put = self.append(message, most);
        if put.is_err() && self.begin > 0 {
            self.queue.copy_within(self.begin..self.end, 0);
            (self.begin, self.end) = (0, self.end - self.begin);
            put = self.append(message, most);
        }
        put?;
        let due = if let ToHost::Gone { .. } = message { now + GATHER_MS } else { now };
        self.due = if was_empty { due } else { self.due.min(due) };
        let is_answer = matches!(
            message,
            ToHost::TellClientStats { .. }
                | ToHost::TellApplicationStats { .. }
                | ToHost::TellNumber { .. }
                | ToHost::TellValue { .. }
        );
        if !is_answer {
            if !self.is_busy() {
                (self.since, self.time_us) = (now, None);
            }
            self.told = self.told.wrapping_add(1);
        }
        Ok(())
    }

    fn append(&mut self, message: &ToHost<'_>, most: usize) -> Result<(), Full> {
        let room = most.saturating_sub(self.end - self.begin).min(self.queue.len() - self.end);
        let mut out = Writer::new(&mut self.queue[self.end..self.end + room]);
        message.put(&mut out)?;
        self.end += out.len();
        Ok(())
    }

    /// When what is to be sent to it is, if something is.
    pub fn due(&self) -> Option<Millis> {
        (!self.pending().is_empty()).then_some(self.due)
    }

    /// What is to be sent to it.
    pub fn pending(&self) -> &[u8] {
        &self.queue[self.begin..self.end]
    }

    /// So many bytes of that were sent.
    pub fn sent(&mut self, bytes: usize) {
        self.begin += bytes;
        debug_assert!(self.begin <= self.end, "no more is sent than there was");
    }

    /// Takes the place of what it has said out, while that is acted on.
    pub fn take_heard(&mut self) -> Heard {
        Heard { bytes: core::mem::take(&mut self.heard), len: self.heard_bytes }
    }

    /// Puts it back, with what of it is no whole message.
    pub fn put_heard(&mut self, heard: Heard) {
        (self.heard, self.heard_bytes) = (heard.bytes, heard.len);
    }

    /// So many of what it was told are through.
    ///
    /// # Errors
    ///
    /// [`HostFault::Stranger`] when it was not told so much.
    pub fn done(&mut self, count: u32, now: Millis) -> Result<(), HostFault> {
        if self.told.wrapping_sub(count) > self.told.wrapping_sub(self.done) {
            return Err(HostFault::Stranger);
        }
        (self.done, self.since, self.time_us) = (count, now, None);
        Ok(())
    }

    /// How much it was told, as far as 32 bits count.
    pub fn told(&self) -> u32 {
        self.told
    }

    /// What it was told until it had been told so much is through.
    pub fn is_through(&self, told: u32) -> bool {
        self.done.wrapping_sub(told) < u32::MAX / 2
    }

    /// It has not come back from everything that it was told, or has not said that it is there.
    pub fn is_busy(&self) -> bool {
        self.told != self.done || self.state == HostState::Starting
    }

    /// Whether it should have come back. `time_us` is its processor time. To be asked often while it is busy: its time is measured
    /// from the first look since it came back.
    pub fn overdue(&mut self, patience: Patience, time_us: Option<u64>, now: Millis) -> Option<HostFault> {
        if !self.is_busy() {
            return None;
        }
        if let Some(time_us) = time_us
            && time_us.saturating_sub(*self.time_us.get_or_insert(time_us)) > patience.kill_ms * 1000
        {
            return Some(HostFault::Time);
        }
        (now.since(self.since) > patience.answer_ms).then_some(HostFault::Silent)
    }

    /// Whether it has used the processor since the last look without being told anything: its timers may not come back. Then it
    /// is worth a knock.
    pub fn computes(&mut self, time_us: Option<u64>) -> bool {
        /// What timers may take between two looks, in microseconds.
        const USUAL_US: u64 = 20_000;
        if self.is_busy() {
            return false;
        }
        let before = core::mem::replace(&mut self.time_us, time_us);
        before.zip(time_us).is_some_and(|(before, time_us)| time_us.saturating_sub(before) > USUAL_US)
    }

    /// It is to be ended, if that is not decided.
    pub fn condemn(&mut self, fault: HostFault) {
        if self.is_there() && !matches!(self.state, HostState::Condemned(_)) {
            self.state = HostState::Condemned(fault);
        }
    }
}

/// What a host has said and nobody has acted on.
#[derive(Default)]
pub struct Heard {
    bytes: Box<[u8]>,
    len: usize,
}

impl Heard {
    /// Takes as much of `input` as there is room for.
    pub fn add(&mut self, input: &mut &[u8]) {
        let (taken, rest) = input.split_at(input.len().min(self.bytes.len() - self.len));
        self.bytes[self.len..self.len + taken.len()].copy_from_slice(taken);
        self.len += taken.len();
        *input = rest;
    }

    /// What there is.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// The first bytes were acted on.
    pub fn forget(&mut self, bytes: usize) {
        self.bytes.copy_within(bytes..self.len, 0);
        self.len -= bytes;
    }
}

fn queue_bytes(slots: usize) -> usize {
    SCRIPT_QUEUE_BYTES + RESERVE_BYTES + slots * RESERVE_PER_SLOT_BYTES
}
