//! What a connection that speaks RTMP has beside its slot.

use crate::handles::{RingId, StreamId};
use crate::limits::{NET_STREAMS, OPEN_TAGS};
use crate::live::reader::{Reader, Rest};
use crate::live::recorded::RecordedId;
use crate::media::{TagKind, TagSeq};
use crate::rtmp::bandwidth_check::PayloadCall;
use crate::rtmp::chunk_reader::Lane;
use crate::rtmp::event::{NetStreamId, Request};
use crate::rtmp::session::{REPLY_BYTES, Session};
use crate::rtmp::status::Status;
use crate::rtmp::tx::TxBuf;
use crate::time::Millis;
use crate::wire::script_link::AccessSet;

use super::hook_said::HookSaid;
use super::outbox::Outbox;
use super::protocol::{Ask, Context, Protocol, Stage, Turn};
use super::slot::Slot;

/// A half-received audio or video message of a publisher.
#[derive(Clone, Copy, Debug)]
pub struct OpenTag {
    /// Where its bytes arrive.
    pub lane: Lane,
    /// Which stream it belongs to.
    pub stream: StreamId,
    /// Where its bytes go.
    pub seq: TagSeq,
    /// Audio or video.
    pub kind: TagKind,
    /// Payload bytes.
    pub length: u32,
}

/// What a net stream of a connection does. Who holds a name, and who waits for it, is a fact of [`crate::live::names`]; here stands
/// which of them is meant, for no message of a publisher is to look for it there.
#[derive(Clone, Copy, Debug)]
pub enum Role {
    /// Nothing.
    Idle,
    /// It publishes.
    Publishing(StreamId),
    /// It wants to publish under a name whose holder was asked for a sign of life.
    Challenging(StreamId),
    /// It plays.
    Playing(Reader),
    /// It plays a recorded stream.
    Recorded(RecordedId),
}

impl Role {
    /// The recorded stream that it plays.
    pub(super) fn recorded(self) -> Option<RecordedId> {
        match self {
            Role::Recorded(id) => Some(id),
            _ => None,
        }
    }
}

/// What was sent in part: nothing else may be sent before the rest of it.
#[derive(Clone, Copy, Debug)]
pub enum Tail {
    /// A tag whose player has gone.
    Tag(TagTail),
    /// A message of a recorded stream whose player has gone.
    Recorded(RecordedId),
    /// A call with a payload, by which bandwidth is found out.
    Payload(PayloadCall),
    /// The oldest message of the outbox, of which so many bytes were sent.
    Message(u32),
}

/// The rest of a tag whose player has gone.
#[derive(Clone, Copy, Debug)]
pub struct TagTail {
    /// Where it is; `None` when it is lost.
    pub ring: Option<RingId>,
    /// What is left of it.
    pub rest: Rest,
    /// Its message stream id.
    pub message_stream_id: u32,
}

/// How far a client is on its way into an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joining {
    /// It has not asked, or it has been answered.
    No,
    /// The application's files are being read.
    Files {
        /// When patience ends.
        deadline: Millis,
    },
    /// Its instance is not loaded, there is no place for it, or no room to tell the script of it.
    Queued {
        /// When patience ends.
        deadline: Millis,
    },
    /// The application's script has not decided.
    Script {
        /// When patience ends.
        deadline: Millis,
    },
    /// Its hook has not.
    Hook {
        /// Of the question.
        number: u32,
        /// When patience ends.
        deadline: Millis,
    },
}

impl Joining {
    /// When the client is refused if nothing has been decided.
    pub fn deadline(self) -> Option<Millis> {
        match self {
            Joining::No => None,
            Joining::Files { deadline }
            | Joining::Queued { deadline }
            | Joining::Script { deadline }
            | Joining::Hook { deadline, .. } => Some(deadline),
        }
    }
}

/// What a client that has joined has asked of its script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Nothing that it waits for.
    Nothing,
    /// What a method returns. Its message stays in the session, as there may be no such method and something else to do about it.
    Call {
        /// Of the question.
        number: u32,
        /// When patience ends.
        deadline: Millis,
    },
    /// Whether it may publish or play what its session asks for.
    Access {
        /// Of the question.
        number: u32,
        /// When patience ends.
        deadline: Millis,
    },
    /// Of the disk, and not of its script: whether there is a file of what it wants to play.
    File {
        /// Its place.
        id: RecordedId,
        /// When patience ends.
        deadline: Millis,
    },
    /// Of its application's hook: whether it may publish or play what its session asks for.
    Hook {
        /// Of the question.
        number: u32,
        /// When patience ends.
        deadline: Millis,
    },
    /// The answer to that, until it is acted on.
    Hooked(HookSaid),
    /// The script's answer to [`Asked::Access`], until it is acted on: the lists that cover the stream.
    Allowed(AccessSet),
    /// Nothing, but what it has answered to a call of the script's is to be through before it is read on: this number of what the
    /// script's process was told. So whatever that brings about comes before what the client asks next.
    Answered(u32),
    /// There was no room to say that much. It is said later.
    Unsaid(Unsaid),
}

/// What a script could not be told. The message stays in the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsaid {
    /// A call of a method.
    Call,
    /// The answer to a call of the script's, by its transaction, and whether it is a good one.
    Answer(u32, bool),
    /// What it asks to publish or to play.
    Request,
}

impl Asked {
    /// When the client goes on without an answer.
    pub fn deadline(self) -> Option<Millis> {
        match self {
            Asked::Call { deadline, .. }
            | Asked::Access { deadline, .. }
            | Asked::File { deadline, .. }
            | Asked::Hook { deadline, .. } => Some(deadline),
            Asked::Nothing | Asked::Allowed(_) | Asked::Hooked(_) | Asked::Answered(_) | Asked::Unsaid(_) => None,
        }
    }

    /// Whose file the disk looks for.
    pub(super) fn file(self) -> Option<RecordedId> {
        match self {
            Asked::File { id, .. } => Some(id),
            _ => None,
        }
    }

    pub(super) fn number(self) -> Option<u32> {
        match self {
            Asked::Call { number, .. } | Asked::Access { number, .. } => Some(number),
            Asked::Nothing
            | Asked::File { .. }
            | Asked::Hook { .. }
            | Asked::Hooked(_)
            | Asked::Allowed(_)
            | Asked::Answered(_)
            | Asked::Unsaid(_) => None,
        }
    }

    /// The client is not read before that is over. The message that it is about may still be needed.
    fn keeps_waiting(self) -> bool {
        matches!(self, Asked::Call { .. } | Asked::Answered(_) | Asked::Unsaid(_))
    }
}

/// A client's state. What a write or a sweep touches comes first and lies together.
#[repr(C)]
pub struct Rtmp {
    /// How far it is on its way into the application.
    pub joining: Joining,
    /// What it has asked its application's script since.
    pub asked: Asked,
    /// Its script was told of it. Who is in an instance, and has joined, and is unknown to the script is kept for its media only.
    pub is_told: bool,
    /// It has logged in as one of the application's users.
    pub has_logged_in: bool,
    /// By index of the net stream.
    pub roles: [Role; NET_STREAMS],
    /// What must be sent before anything else.
    pub tail: Option<Tail>,
    /// Messages of its application's script that wait.
    pub outbox: Outbox,
    /// When its handshake was done.
    pub open_since: Option<Millis>,
    /// Half-received messages.
    pub open_tags: heapless::Vec<OpenTag, OPEN_TAGS>,
    /// The protocol.
    pub session: Session,
}

impl Protocol for Rtmp {
    fn begin(seed: u64, _: Millis) -> Rtmp {
        Rtmp {
            tail: None,
            roles: [Role::Idle; NET_STREAMS],
            outbox: Outbox::default(),
            joining: Joining::No,
            asked: Asked::Nothing,
            is_told: false,
            has_logged_in: false,
            open_since: None,
            open_tags: heapless::Vec::new(),
            session: Session::new(seed),
        }
    }

    #[inline]
    fn read<'i>(&mut self, input: &mut &'i [u8], cx: &mut Context<'_>) -> Turn<'i> {
        if self.asked.keeps_waiting() {
            return Turn::Waits;
        }
        match self.session.next(input, cx.tx, cx.now) {
            Ok(Some(event)) => Turn::Asks(Ask::Rtmp(event)),
            Ok(None) => {
                if self.open_since.is_none() && self.session.is_open() {
                    self.open_since = Some(cx.now);
                }
                match self.session.request() {
                    // What comes behind it may not have to wait.
                    Some(Request::Publish { .. } | Request::Play { .. })
                        if input.is_empty() && !self.session.waits_for_room() =>
                    {
                        Turn::Done
                    }
                    Some(_) => Turn::Waits,
                    None if input.is_empty() && !self.session.waits_for_room() => Turn::Done,
                    None => Turn::Full,
                }
            }
            Err(error) => Turn::Ends(error.into()),
        }
    }

    fn goes_on(&self, tx: &TxBuf) -> bool {
        let waits = self.session.request().is_some() || self.asked.keeps_waiting();
        !waits && tx.room() >= REPLY_BYTES
    }

    fn has_work(&self) -> bool {
        self.session.waits_for_room()
    }

    fn opening_bytes(&self) -> usize {
        self.session.handshake_bytes()
    }

    fn close(&mut self, tx: &mut TxBuf) {
        // Without room for `close` the client must do with the end of the connection.
        let _ = self.session.close(tx);
    }

    fn deadline(&self) -> Option<Millis> {
        None
    }

    #[inline]
    fn stage(&self) -> Stage {
        if self.session.is_connected() {
            Stage::Joined
        } else if self.session.request().is_some() {
            Stage::Asking
        } else if self.session.is_open() {
            Stage::Greeted
        } else {
            Stage::New
        }
    }
}

impl Rtmp {
    /// The net stream at `index` does this from now on. `slot` is its own: it has the counts of those that play and publish, by
    /// which it is judged and read, and which no glance at a slot is to gather from here. They change here alone.
    pub(super) fn set_role(&mut self, slot: &mut Slot, index: usize, role: Role) {
        match core::mem::replace(&mut self.roles[index], role) {
            Role::Playing(_) | Role::Recorded(_) => slot.playing -= 1,
            Role::Publishing(_) => slot.publishing -= 1,
            Role::Idle | Role::Challenging(_) => {}
        }
        match role {
            Role::Playing(_) | Role::Recorded(_) => slot.playing += 1,
            Role::Publishing(_) => slot.publishing += 1,
            Role::Idle | Role::Challenging(_) => {}
        }
    }

    /// The live stream that it publishes, or else the one that it plays.
    pub(super) fn stream_in_use(&self) -> Option<StreamId> {
        let played = |role: &Role| match role {
            Role::Playing(reader) => Some(reader.stream()),
            _ => None,
        };
        let published = |role: &Role| match role {
            Role::Publishing(stream) => Some(*stream),
            _ => None,
        };
        self.roles.iter().find_map(published).or_else(|| self.roles.iter().find_map(played))
    }

    /// It publishes or plays, or is about to.
    pub(super) fn has_role(&self) -> bool {
        self.roles.iter().any(|role| !matches!(role, Role::Idle))
    }

    /// The player at `index` goes on elsewhere, or ends: the `rest` of a tag that it was sent a part of still comes before
    /// anything else. `ring` is where the tag lies; `None` when that ring serves another stream now, so that the
    /// connection cannot go on.
    pub fn leave_tag(&mut self, index: usize, rest: Option<Rest>, ring: Option<RingId>) {
        let Some(rest) = rest else { return };
        let message_stream_id = NetStreamId::from_index(index).wire();
        self.tail = Some(Tail::Tag(TagTail { ring, rest, message_stream_id }));
    }

    /// Sends a status event. A client with no room for it does not read, and will be found out by the stall deadline.
    pub fn tell(&mut self, stream: Option<NetStreamId>, status: Status<'_>, tx: &mut TxBuf) {
        // The room is for the answer that it waits for.
        if self.session.request().is_none() || tx.room() >= REPLY_BYTES {
            let _ = self.session.status(stream, status, tx);
        }
    }

    /// The net stream (by index) in the middle of whose tag we are.
    pub fn half_sent(&self) -> Option<usize> {
        self.roles.iter().position(|role| matches!(role, Role::Playing(reader) if reader.rest().is_some()))
    }

    /// A net stream plays a recorded stream.
    pub fn plays_recorded(&self) -> bool {
        self.roles.iter().any(|role| role.recorded().is_some())
    }

    /// The first net stream plays, and wants every tag as the ring holds it. If no other plays, it can be sent several at
    /// once.
    pub fn plays_plainly(&self) -> bool {
        matches!(&self.roles[0], Role::Playing(reader) if reader.wants_everything())
    }
}
