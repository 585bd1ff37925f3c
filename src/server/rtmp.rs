//! What a connection that speaks RTMP has beside its slot.

use crate::handles::RingId;
use crate::limits::{NET_STREAMS, OPEN_TAGS};
use crate::live::reader::Rest;
use crate::rtmp::event::NetStreamId;
use crate::rtmp::session::{REPLY_BYTES, Session};
use crate::rtmp::status::Status;
use crate::rtmp::tx::TxBuf;
use crate::time::Millis;

use super::connect::Joining;
use super::outbox::Outbox;
use super::scripting::Asked;
use super::slots::{OpenTag, Role, Slot, TagTail, Tail};
use super::speaks::{Ask, Context, Protocol, Stage, Turn};

/// A client's state. What a write or a sweep touches comes first and lies together.
#[repr(C)]
pub struct Rtmp {
    /// How far it is on its way into the application.
    pub joining: Joining,
    /// What it has asked its application's script since.
    pub asked: Asked,
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
            open_since: None,
            open_tags: heapless::Vec::new(),
            session: Session::new(seed),
        }
    }

    #[inline]
    fn read<'i>(&mut self, input: &mut &'i [u8], cx: &mut Context<'_>) -> Turn<'i> {
        if let Asked::Call { .. } = self.asked {
            // Its message may still be needed.
            return Turn::Waits;
        }
        match self.session.next(input, cx.tx, cx.now) {
            Ok(Some(event)) => Turn::Asks(Ask::Rtmp(event)),
            Ok(None) => {
                if self.open_since.is_none() && self.session.is_open() {
                    self.open_since = Some(cx.now);
                }
                match self.session.request() {
                    Some(_) => Turn::Waits,
                    None if input.is_empty() && !self.session.waits_for_room() => Turn::Done,
                    None => Turn::Full,
                }
            }
            Err(error) => Turn::Ends(error.into()),
        }
    }

    fn goes_on(&self, tx: &TxBuf) -> bool {
        let waits = self.session.request().is_some() || matches!(self.asked, Asked::Call { .. });
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
            Role::Playing(_) => slot.playing -= 1,
            Role::Publishing(_) => slot.publishing -= 1,
            Role::Idle | Role::Challenging(_) => {}
        }
        match role {
            Role::Playing(_) => slot.playing += 1,
            Role::Publishing(_) => slot.publishing += 1,
            Role::Idle | Role::Challenging(_) => {}
        }
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

    /// The first net stream plays, and wants every tag as the ring holds it. If no other plays, it can be sent several at
    /// once.
    pub fn plays_plainly(&self) -> bool {
        matches!(&self.roles[0], Role::Playing(reader) if reader.wants_everything())
    }
}
