//! What a feature is: facts in, actions out, a turn, a deadline, and a row of the memory table.
//!
//! ```text
//! hear(fact) ─┐
//! turn(now) ──┼─> actions ─> the server carries them out, and what comes of them is heard as facts
//! done(job) ──┘
//! ```
//!
//! A feature owns what it knows, in memory that its row speaks of. It sees neither the server nor a protocol: a fact has
//! handles and numbers, and an action says what is to be done, not in which words. Actions are carried out before the
//! next fact is told, so that there is never more than what one fact and its consequences cause.

use crate::handles::{AppId, ConnId, StreamId};
use crate::limits::{FEATURE_ACTIONS, Row};
use crate::live::Live;
use crate::live::holder::Holder;
use crate::live::jobs::Done;
use crate::live::recorded::{NotPlayed, RecordedFacts, RecordedId};
use crate::live::recording::{RecordSaid, RecordedFor, RecordingId, WholePart};
use crate::live::settings::Settings;
use crate::media::TagKind;
use crate::time::Millis;

/// Something that watches or decides. All calls are static: a fact that a feature does not know costs nothing.
pub trait Feature {
    /// Obtains everything that it will ever need.
    fn new(settings: &Settings) -> Self
    where
        Self: Sized;

    /// What that is.
    fn memory(settings: &Settings) -> Row
    where
        Self: Sized;

    /// Something happened.
    fn hear(&mut self, what: &Happened, live: &Live, now: Millis, out: &mut Actions);

    /// Once in each turn of the loop: bounded work. What is left of it, or has found no room in `out`, is due at once
    /// ([`Feature::wake_at`]) and done in the next turn.
    fn turn(&mut self, _live: &mut Live, _now: Millis, _out: &mut Actions) {}

    /// The disk has done a job. What the feature has not asked for it gives back.
    fn done(&mut self, done: Done, _now: Millis, _out: &mut Actions) -> Option<Done> {
        Some(done)
    }

    /// When it wants its turn, if nothing happens before.
    fn wake_at(&self) -> Option<Millis> {
        None
    }
}

/// A fact. Facts of a connection come between its [`Joined`](Happened::Joined) and its [`Gone`](Happened::Gone), unless they
/// say otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Happened {
    /// It has joined an application.
    Joined {
        /// Who.
        conn: ConnId,
        /// Which.
        app: AppId,
    },
    /// Somebody publishes or plays a stream from now on.
    Began {
        /// Who.
        by: Holder,
        /// Which stream.
        stream: StreamId,
        /// Which of the two.
        does: Does,
    },
    /// And does so no more.
    Ended {
        /// Who.
        by: Holder,
        /// Which stream.
        stream: StreamId,
        /// Which of the two.
        does: Does,
    },
    /// A stream has one more tag for its players.
    Tag {
        /// Which stream.
        stream: StreamId,
        /// Audio, video or data.
        kind: TagKind,
        /// Payload bytes.
        bytes: u32,
    },
    /// It was told to go, or is gone. It is the last fact of every connection, whether it had joined or not.
    Gone {
        /// Who.
        conn: ConnId,
    },
    /// Somebody wants its bandwidth to be measured.
    BandwidthWanted {
        /// Whose.
        conn: ConnId,
        /// It is waited for: whoever cannot be measured is to be told so.
        reply: bool,
    },
    /// It has shown which names it knows. It may do so before it has joined.
    DialectKnown {
        /// Who.
        conn: ConnId,
        /// Which names.
        dialect: Dialect,
    },
    /// It has answered an [`Action::Ask`].
    Answered {
        /// Who.
        conn: ConnId,
        /// Which of them.
        transaction: u32,
        /// It knows the method.
        ok: bool,
    },
    /// An [`Action::Ask`] with a payload is being sent.
    Asked {
        /// Whom.
        conn: ConnId,
        /// Bytes of it all, those of its front included.
        bytes: u32,
    },
    /// An [`Action::Ask`] could not be sent: the client does not read.
    NotAsked {
        /// Whom.
        conn: ConnId,
        /// Which of them.
        transaction: u32,
    },
    /// Nothing else is due to be sent to it now, after [`Action::AwaitSpare`].
    Spare {
        /// To whom.
        conn: ConnId,
    },
}

/// What somebody does with a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    /// It publishes.
    Publish,
    /// It plays.
    Play,
}

/// Clients know the methods by which they are measured by one of two names. What these are, their protocol knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Those of the documentation.
    #[default]
    Documented,
    /// The others.
    Other,
}

/// The bandwidth of a client, as far as it was found out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measurement {
    /// Kilobits a second from the server to the client; 0 when it is not known.
    pub kbit: u32,
    /// Bytes that were sent to find out, those around the payload included.
    pub bytes: u64,
    /// How long they took, without the latency, in milliseconds.
    pub elapsed_ms: u32,
    /// From a call to its answer, in milliseconds.
    pub latency_ms: u32,
}

/// What a feature wants done. It does nothing to a connection that is gone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    /// Calls the method of a client that does nothing but answer, as [`Happened::Answered`] or [`Happened::NotAsked`].
    Ask {
        /// Whom.
        conn: ConnId,
        /// By which names.
        dialect: Dialect,
        /// From [`FIRST_ASK_TRANSACTION`](crate::limits::FIRST_ASK_TRANSACTION) on.
        transaction: u32,
        /// What it is given: at most [`ASK_BYTES`](crate::limits::ASK_BYTES). More than 0 only upon
        /// [`Happened::Spare`], as nothing else can be sent before it is through.
        payload_bytes: u16,
    },
    /// Say when nothing else is due to be sent to it: [`Happened::Spare`], once.
    AwaitSpare(ConnId),
    /// Tell it what was found out.
    ReportBandwidth {
        /// Whom.
        conn: ConnId,
        /// By which names.
        dialect: Dialect,
        /// What.
        found: Measurement,
    },
    /// Tell it that it is not measured.
    NotMeasured(ConnId),
    /// The disk has said what there is of a recorded stream that it wants to play, or that is next in its playlist.
    Opened {
        /// Who.
        by: Holder,
        /// Its place.
        id: RecordedId,
        /// What.
        found: Result<RecordedFacts, NotPlayed>,
    },
    /// It is due something of a recorded stream.
    Deliver(Holder),
    /// The disk has found the file that it fetches, or read of it.
    FileReady(ConnId),
    /// Something is to be said of the recording of a stream to who wanted it.
    Recording(RecordedFor, StreamId, RecordSaid),
    /// So much of a file that is being recorded is whole now.
    Grown {
        /// By which its recording is called.
        recording: RecordingId,
        /// How much.
        whole: WholePart,
        /// There will not be more.
        is_all: bool,
    },
    /// It has taken nothing of a recorded stream for so long that it is told that it is over.
    GiveUp {
        /// Who.
        by: Holder,
        /// Its place.
        id: RecordedId,
    },
}

/// Actions on their way to the server.
#[derive(Debug, Default)]
pub struct Actions {
    queue: heapless::Deque<Action, FEATURE_ACTIONS>,
}

impl Actions {
    /// How many more there may be. For a fact there is room; a turn that has more to say goes on in the next one.
    pub fn room(&self) -> usize {
        FEATURE_ACTIONS - self.queue.len()
    }

    /// One more. It is lost when there is no room.
    pub fn push(&mut self, action: Action) {
        let pushed = self.queue.push_back(action);
        debug_assert!(pushed.is_ok(), "a feature asks for room before it says much");
    }

    /// The next to be carried out.
    pub fn take(&mut self) -> Option<Action> {
        self.queue.pop_front()
    }
}
