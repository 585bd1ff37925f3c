//! What features are told, and what is done for them.

use crate::features::contract::{Action, Dialect, Happened, Measurement};
use crate::handles::{ConnId, FeatureId};
use crate::live::feed::FeedEnd;
use crate::live::holder::Holder;
use crate::rtmp::bandwidth_check::{self, PayloadCall};
use crate::rtmp::session::REPLY_BYTES;
use crate::time::Millis;

use super::Server;
use super::rtmp::Tail;
use super::wakes::Held;

impl Server {
    /// Begins to measure the client's bandwidth, of which it is told by `onBWDone`. False when it cannot be: it is not
    /// connected, publishes, is being measured already, reads no answers, or detection is switched off.
    pub fn check_bandwidth(&mut self, conn: ConnId, now: Millis) -> bool {
        let before = self.is_measuring(conn);
        self.happened(Happened::BandwidthWanted { conn, reply: false }, now);
        !before && self.is_measuring(conn)
    }

    /// The client's bandwidth is being measured.
    pub fn is_measuring(&self, conn: ConnId) -> bool {
        self.features.bandwidth.is_measuring(conn)
    }

    /// What the last detection found out; `None` before the first has ended, or when the connection is gone.
    pub fn measured_bandwidth(&self, conn: ConnId) -> Option<Measurement> {
        self.features.bandwidth.measured(conn)
    }

    /// Tells features a fact, and does what they want done about it.
    pub(super) fn happened(&mut self, what: Happened, now: Millis) {
        self.features.hear(&what, &self.live, now);
        self.act(now);
        if let Happened::Tag { stream, kind, .. } = what {
            self.feed_from(stream, now);
            if self.features.programmes.is_used() {
                self.feed_programmes(stream, kind, now);
            }
            self.feed_pushes(stream);
        } else {
            self.tell_hooks(&what, now);
            self.hear_of_programmes(&what, now);
        }
    }

    /// Features have their turn.
    pub(super) fn turn_of_features(&mut self, now: Millis) {
        self.features.turn(&mut self.live, now);
        // What they want first: what others hear of it may make them want more, for which there has to be room.
        self.act(now);
        self.hear(now);
    }

    /// Carries out actions, in their order, until there are none. What comes of one may be a fact, of which the outer call
    /// carries out what follows: one action is complete before the next begins.
    pub(super) fn act(&mut self, now: Millis) {
        if core::mem::replace(&mut self.features.acting, true) {
            return;
        }
        while let Some(action) = self.features.next_action() {
            self.perform(action, now);
        }
        self.features.acting = false;
    }

    fn perform(&mut self, action: Action, now: Millis) {
        match action {
            Action::Ask { conn, dialect, transaction, payload_bytes } => {
                if self.slots.open(conn).is_none() {
                    return;
                }
                let fact = match self.call_client(conn, dialect, transaction, payload_bytes) {
                    Some(bytes) => Happened::Asked { conn, bytes },
                    None => Happened::NotAsked { conn, transaction },
                };
                self.happened(fact, now);
            }
            Action::AwaitSpare(conn) => {
                let Some((_, rtmp)) = self.slots.open_client(conn) else { return };
                // What is being sent is followed by a look at what else is due.
                let looks_anyway = rtmp.tail.is_some();
                self.wakes.hold(Held::Spare, conn.slot);
                if !looks_anyway {
                    self.wakes.send(conn.slot);
                }
            }
            Action::ReportBandwidth { conn, dialect, found } => {
                let Some((slot, _)) = self.slots.open_client(conn) else { return };
                let Measurement { kbit, bytes, elapsed_ms, latency_ms } = found;
                // A client without room for it reads nothing, and will be found out by the stall deadline.
                let _ = bandwidth_check::report(wire(dialect), kbit, bytes, elapsed_ms, latency_ms, &mut slot.tx);
                self.wakes.let_go(Held::Spare, conn.slot);
                self.wakes.send(conn.slot);
            }
            Action::Opened { by: Holder::Conn(conn, _), id, found } => self.recorded_opened(conn, id, found, now),
            Action::Opened { by: Holder::Feature(FeatureId::PROGRAMMES, n), id, found } => {
                self.slate_opened(n, id, found, now)
            }
            Action::Opened { by: Holder::Feature(_, n), id, found } => self.broadcast_opened(n, id, found, now),
            Action::Deliver(by @ Holder::Feature(..)) => self.feed_recorded(by, now),
            Action::Deliver(Holder::Conn(conn, _)) => {
                if self.slots.look(conn).is_some() {
                    self.wakes.deliver(conn.slot);
                }
            }
            Action::FileReady(conn) => self.file_ready(conn, now),
            Action::Recording(by, stream, said) => self.say_of_recording(by, stream, said, now),
            Action::Grown { recording, whole, is_all } => self.features.grown(recording, whole, is_all, now),
            Action::GiveUp { by: Holder::Conn(conn, _), id } => self.give_up_recorded(conn, id, now),
            Action::GiveUp { by: by @ Holder::Feature(..), id } => match self.feed_place(by) {
                Some(feed) if feed.plays(id) => self.feed_ended(by, FeedEnd::Failed, now),
                _ => self.features.recorded.free(id),
            },
            Action::NotMeasured(conn) => {
                let Some((slot, rtmp)) = self.slots.open_client(conn) else { return };
                if rtmp.session.is_connected() {
                    let _ = rtmp.session.bandwidth_done(&mut slot.tx);
                    self.wakes.send(conn.slot);
                }
            }
        }
    }

    /// Calls the client. Returns what it takes; `None` when there is no room for it.
    fn call_client(&mut self, conn: ConnId, dialect: Dialect, transaction: u32, payload_bytes: u16) -> Option<u32> {
        let (slot, rtmp) = self.slots.open_client(conn)?;
        if payload_bytes > 0 {
            if rtmp.tail.is_some() {
                return None;
            }
            let call = PayloadCall::new(wire(dialect), transaction, payload_bytes);
            rtmp.tail = Some(Tail::Payload(call));
            return Some(call.wire_bytes() as u32);
        }
        let room = slot.tx.room();
        if room < REPLY_BYTES {
            return None;
        }
        bandwidth_check::ask(wire(dialect), transaction, &mut slot.tx).ok()?;
        let bytes = room - slot.tx.room();
        self.wakes.send(conn.slot);
        Some(bytes as u32)
    }
}

/// How the protocol calls it.
fn wire(dialect: Dialect) -> bandwidth_check::MethodNames {
    match dialect {
        Dialect::Documented => bandwidth_check::MethodNames::Documented,
        Dialect::Other => bandwidth_check::MethodNames::Underscored,
    }
}
