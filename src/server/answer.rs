//! What a client is told: the answer to its request, and status events.

use crate::handles::{ConnId, StreamId};
use crate::rtmp::event::{Decision, NetStreamId};
use crate::rtmp::status::{Code, Status};

use super::Server;
use super::rtmp::Asked;

impl Server {
    /// Answers the connection's request, and lets it go on if it had to wait.
    pub(super) fn decide(&mut self, conn: ConnId, decision: Decision<'_>) {
        let Some((slot, rtmp)) = self.slots.client(conn) else { return };
        // A session asks only while there is room for the answer; pings since then took little of it.
        let answered = rtmp.session.decide(decision, &mut slot.tx);
        debug_assert!(answered.is_ok(), "a session keeps room for its replies");
        // What its script said, or has yet to say, is about this request and no other.
        rtmp.asked = Asked::Nothing;
        self.wakes.send(conn.slot);
        self.unblock(conn);
    }

    /// Reads on where [`Server::feed`] had to wait.
    pub(super) fn unblock(&mut self, conn: ConnId) {
        if let Some(slot) = self.slots.connection(conn) {
            slot.blocked = false;
            self.wakes.read(conn.slot);
        }
    }

    /// Sends a status event. A client with no room for it does not read, and will be found out by the stall deadline.
    pub(super) fn tell(&mut self, conn: ConnId, stream: Option<NetStreamId>, status: Status<'_>) {
        if let Some((slot, rtmp)) = self.slots.client(conn) {
            rtmp.tell(stream, status, &mut slot.tx);
            self.wakes.send(conn.slot);
        }
    }

    /// Sends a status event about a stream, by the name that the client knows it by.
    pub(super) fn tell_of(&mut self, conn: ConnId, stream: NetStreamId, id: StreamId, code: Code) {
        if let Some((slot, rtmp)) = self.slots.client(conn) {
            let name = rtmp.session.own_name(&self.live.names.stream(id).path);
            rtmp.tell(Some(stream), Status::new(code, name), &mut slot.tx);
            self.wakes.send(conn.slot);
        }
    }
}
