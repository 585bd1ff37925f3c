//! A connection's own memory, whatever it speaks.

use crate::handles::AppId;
use crate::limits::INBOX_BYTES;
use crate::rtmp::tx::TxBuf;
use crate::time::Millis;

use super::instances::InstanceIndex;
use super::pace::Limits;
use super::peer::Peer;

/// How long an encoder has to read our last words when its system has them, in milliseconds. Then it gets its reset, by
/// which it notices that the connection is over (OBS does not read), and connects again.
const HEAR_MS: u64 = 250;

/// What a slot is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotState {
    /// Nothing.
    Free,
    /// A client.
    Open,
    /// A client that was told to go: what it was told is still being sent. At `deadline` it is cut off.
    Closing {
        /// When patience ends.
        deadline: Millis,
        /// How far our last words are.
        last_words: LastWords,
        /// It was publishing. Encoders may never read, and notice the end when they cannot send; others who send on may
        /// read late, and are to find our last words and no reset.
        published: bool,
    },
}

/// How far that is which a client hears last: see [`SlotState::Closing`]. What the client sends meanwhile is thrown away,
/// so that it reads these words and no reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastWords {
    /// They are still here.
    Waiting,
    /// They were sent, with the end behind them, at this time.
    Sent(Millis),
    /// The client's system has them.
    Arrived,
}

/// A connection's memory. What a write touches comes first and lies together, where one line of memory is not enough
/// (`express`): of an express player `last_taken`, `last_use`, `bytes_out` and the cursor may be behind.
#[repr(C)]
pub struct Slot {
    /// Use of the slot.
    pub state: SlotState,
    /// Net streams that play: see `Rtmp::set_role`, as of the next.
    pub playing: u8,
    /// Net streams that publish.
    pub publishing: u8,
    /// Not read until its answers are sent or its request is decided.
    pub blocked: bool,
    /// What it is sent is limited: see `limits`.
    pub limited: bool,
    /// How often it was used before.
    pub generation: u32,
    /// Since when it takes none of what waits for it.
    pub blocked_since: Option<Millis>,
    /// When it last took a byte.
    pub last_taken: Millis,
    /// When media or a script's message last went through it, if any did.
    pub last_use: Option<Millis>,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Control bytes to send.
    pub tx: TxBuf,
    /// How fast it may be.
    pub limits: Limits,
    /// When it last sent a byte.
    pub last_read: Millis,
    /// When it was asked for a sign of life, if it has given none since.
    pub pinged: Option<Millis>,
    /// When it last began or stopped publishing or playing.
    pub last_active: Millis,
    /// When it was accepted.
    pub accepted: Millis,
    /// Bytes received.
    pub bytes_in: u64,
    /// Who is at the other end.
    pub peer: Peer,
    /// Its connection is secured by TLS.
    pub is_secure: bool,
    /// The application that it has joined, or is about to.
    pub app: Option<AppId>,
    /// The application's instance, if it has server-side code.
    pub instance: Option<InstanceIndex>,
    /// Input that the session has not taken.
    pub inbox: heapless::Vec<u8, INBOX_BYTES>,
}

impl Slot {
    /// Whether the client's system has what the client is to hear last. From then on the patience with an encoder is
    /// measured, whatever it sends.
    pub fn note_last_words(&mut self, arrived: bool, now: Millis) {
        if let SlotState::Closing { deadline, last_words: last_words @ LastWords::Sent(_), published: true } =
            &mut self.state
            && arrived
        {
            *deadline = (*deadline).min(now + HEAR_MS);
            *last_words = LastWords::Arrived;
        }
    }

    /// Whether it plays something of the application.
    pub fn plays_in(&self, app: AppId) -> bool {
        self.app == Some(app) && self.playing > 0
    }

    pub(super) fn free() -> Slot {
        Slot {
            state: SlotState::Free,
            generation: 0,
            peer: Peer::Local,
            is_secure: false,
            accepted: Millis(0),
            last_read: Millis(0),
            last_taken: Millis(0),
            last_use: None,
            blocked_since: None,
            pinged: None,
            last_active: Millis(0),
            blocked: false,
            limited: false,
            limits: Limits::default(),
            app: None,
            instance: None,
            publishing: 0,
            playing: 0,
            bytes_in: 0,
            bytes_out: 0,
            tx: TxBuf::default(),
            inbox: heapless::Vec::new(),
        }
    }
}
