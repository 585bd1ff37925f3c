//! One publisher per name: what happens when a second one comes.
//!
//! The holder is asked for a sign of life. If no byte comes from it in time, the newcomer takes over and players notice
//! nothing; else the newcomer is refused. So an encoder that comes back after a Wi-Fi loss waits `publish_timeout_ms` at
//! most, and no client can take a name from a live publisher: the publisher need not read, and bytes of it that the
//! server has not read yet are a sign of life, too.
//!
//! One newcomer waits for a name at a time. An encoder's new try replaces its own earlier one, and a newcomer from the
//! holder's address replaces any other; no other newcomer replaces a waiting one.

use log::{info, warn};

use crate::handles::{ConnId, StreamId};
use crate::live::names::{Challenger, Holder};
use crate::time::Millis;

use super::Server;
use super::alarms::Alarm;
use super::claims::Household;
use super::close::CloseReason;
use super::slots::Role;
use super::transport::Net;

impl Server {
    /// `newcomer` wants to publish a name that `holder` publishes.
    pub(super) fn challenge(&mut self, newcomer: Holder, holder: Holder, id: StreamId, now: Millis) {
        let timeout_ms = self.settings.publish_timeout_ms;
        let before = self.live.names.stream(id).challenger;
        if let Some(before) = before {
            if !self.goes_before(newcomer, before.by, holder) {
                return self.refuse_taken(newcomer.conn, id, now);
            }
            // It takes the place of the one before, but not more time.
            self.live.names.stream_mut(id).challenger = None;
            if let Some((_, rtmp)) = self.slots.client(before.by.conn) {
                rtmp.roles[usize::from(before.by.lane)] = Role::Idle;
            }
            self.refuse_taken(before.by.conn, id, now);
        }
        let deadline = before.map_or(now + timeout_ms, |before| before.deadline);
        self.live.names.stream_mut(id).challenger = Some(Challenger { by: newcomer, deadline });
        self.set_challenge_alarm();
        if let Some((_, rtmp)) = self.slots.client(newcomer.conn) {
            rtmp.roles[usize::from(newcomer.lane)] = Role::Challenging(id);
        }
        if timeout_ms == 0 {
            return self.take_over(id, now);
        }
        if let Some((slot, rtmp)) = self.slots.client(holder.conn) {
            slot.challenged = true;
            // Whether there is room for the ping or not, it is silence that decides.
            let _ = rtmp.session.ping(now, &mut slot.tx);
            self.wakes.send(holder.conn.slot);
        }
        let path = &self.live.names.stream(id).path;
        info!("{} {id} publish waits name={:?} for a sign of life from {}", newcomer.conn, path.as_str(), holder.conn);
    }

    /// Whether a newcomer takes the place of the one who waits for the same name.
    fn goes_before(&self, newcomer: Holder, waiting: Holder, holder: Holder) -> bool {
        let home = |by: Holder| self.slots.look(by.conn).map(|slot| Household::of(slot.peer.ip()));
        home(newcomer) == home(holder) || home(newcomer) == home(waiting)
    }

    /// A byte came from a publisher whose name is challenged.
    pub(super) fn holder_is_alive(&mut self, holder: ConnId, now: Millis) {
        for index in 0..self.live.names.name_count() {
            let id = StreamId(index as u16);
            let stream = self.live.names.stream_mut(id);
            if stream.publisher.is_none_or(|publisher| publisher.conn != holder) {
                continue;
            }
            let Some(challenger) = stream.challenger.take() else { continue };
            self.set_challenge_alarm();
            let Holder { conn, lane } = challenger.by;
            if let Some((_, rtmp)) = self.slots.client(conn) {
                rtmp.roles[usize::from(lane)] = Role::Idle;
            }
            self.refuse_taken(conn, id, now);
        }
    }

    /// The newcomer is gone.
    pub(super) fn withdraw(&mut self, conn: ConnId, index: usize, id: StreamId) {
        if let Some((_, rtmp)) = self.slots.client(conn) {
            rtmp.roles[index] = Role::Idle;
        }
        let stream = self.live.names.stream_mut(id);
        if stream.challenger.is_some_and(|challenger| challenger.by.conn == conn) {
            stream.challenger = None;
            self.set_challenge_alarm();
            self.live.names.release_if_unused(id);
        }
    }

    /// Holders that were silent for too long lose their names.
    pub(super) fn expire_challenges<N: Net>(&mut self, net: &mut N, now: Millis) {
        if !self.alarms.rings(Alarm::Challenge, now) {
            return;
        }
        for index in 0..self.live.names.name_count() {
            let id = StreamId(index as u16);
            let stream = self.live.names.stream(id);
            if stream.challenger.is_none_or(|challenger| challenger.deadline > now) {
                continue;
            }
            match stream.publisher {
                // It may be gathered, limited, or wait for its own answers.
                Some(holder) if net.has_unread(holder.conn.slot) => self.holder_is_alive(holder.conn, now),
                _ => self.take_over(id, now),
            }
        }
    }

    /// The alarm rings for whoever has waited longest.
    fn set_challenge_alarm(&mut self) {
        let waiting = self.live.names.streams().filter_map(|(_, stream)| stream.challenger);
        let first = waiting.map(|challenger| challenger.deadline).min();
        self.alarms.set(Alarm::Challenge, first);
    }

    fn take_over(&mut self, id: StreamId, now: Millis) {
        let Some(holder) = self.live.names.stream(id).publisher else { return };
        warn!("{} {id} publisher replaced: it was silent", holder.conn);
        // Its end lets the challenger in.
        self.close_after_flush(holder.conn, CloseReason::Replaced, now);
    }

    /// The name is free and the challenger gets it. Players who have not been told that the publisher left are not
    /// told that there is a new one.
    pub(super) fn challenger_wins(&mut self, id: StreamId, now: Millis) {
        let Some(challenger) = self.live.names.stream_mut(id).challenger.take() else { return };
        self.set_challenge_alarm();
        let Holder { conn, lane } = challenger.by;
        if let Some((_, rtmp)) = self.slots.client(conn) {
            rtmp.roles[usize::from(lane)] = Role::Idle;
            self.start_publish(challenger.by, id, now);
        }
    }
}
