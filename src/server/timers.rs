//! Deadlines of connections: a sweep over the table, a few times a second.

use crate::handles::SlotIndex;
use crate::rtmp::status::{Code, Status};
use crate::time::Millis;

use super::alarms::Alarm;
use super::close::CloseReason;
use super::http::Http;
use super::protocol::Protocol;
use super::rtmp::Rtmp;
use super::slot::{LastWords, Slot, SlotState};
use super::speaks::Speaks;
use super::transport::Net;
use super::{CLOCK_MS, SWEEP_MS, Server};

impl Server {
    /// Asks the system what time it is.
    pub(super) fn look_at_clock<N: Net>(&mut self, net: &mut N, now: Millis) {
        self.life.clock_ms = net.clock_ms().map(|shown| shown.cast_signed() - now.0.cast_signed());
        self.life.started = net.started();
    }

    /// The last step of a turn.
    pub(super) fn expire<N: Net>(&mut self, net: &mut N, now: Millis) {
        self.expire_challenges(net, now);
        self.watch_hosts(net, now);
        if !self.alarms.rings(Alarm::Sweep, now) {
            return;
        }
        self.alarms.set(Alarm::Sweep, Some(now + SWEEP_MS));
        if self.life.clock_at <= now {
            self.life.clock_at = now + CLOCK_MS;
            self.look_at_clock(net, now);
            let days = |(ends, shown_ms): (u64, u64)| ends.saturating_sub(shown_ms / 1000) / 86_400;
            let ends = net.certificate_ends_s().zip(net.clock_ms());
            self.live.health.certificate_days = ends.map(|both| days(both).try_into().unwrap_or(u32::MAX));
        }
        self.expire_media(now);
        self.expire_graces(now);
        self.expire_hls(now);
        self.diagnose(now);
        self.live.names.measure(now);
        self.look_at_usage();
        self.life.received.look(self.counters.bytes_in, now);
        self.life.sent.look(self.counters.bytes_out, now);
        self.live.apps.check(now);
        self.sweep_instances(now);
        self.sweep_hosts(net, now);
        self.sweep_relays(net, now);
        self.update_hooks(now);
        self.forget_those_left();
        for index in self.slots.operators() {
            let (slot, speaks) = self.slots.peek_both(index);
            if slot.state != SlotState::Free && speaks.deadline().is_some_and(|deadline| now > deadline) {
                self.release(net, self.slots.id(index), CloseReason::Stalled);
            }
        }
        let mut from = 0;
        while let Some(index) = self.slots.next_taken(from) {
            from = index.at() + 1;
            let conn = self.slots.id(index);
            self.slots.judge(index, now);
            if let SlotState::Closing { last_words: LastWords::Sent(_), .. } = self.slots.peek(index).state {
                self.slots.at(index).note_last_words(net.has_delivered(index), now);
            }
            match self.expired(index, now) {
                Expired::No => {}
                Expired::Look => self.sweep_http(index, now),
                Expired::Release(CloseReason::PingTimeout) if net.has_unread(index) => {
                    // It has spoken; that we have not read it is not its fault.
                    self.slots.at(index).pinged = None;
                    self.slots.at(index).last_read = now;
                }
                Expired::Release(reason) => self.release(net, conn, reason),
                Expired::Idle => {
                    self.tell(conn, None, Status::new(Code::ConnectIdleTimeout, ""));
                    self.close_after_flush(conn, CloseReason::IdleTimeout, now);
                }
                Expired::Late => self.too_late(conn, now),
                Expired::Undecided => self.undecided(conn, now),
                Expired::Waits => self.wakes.send(index),
                Expired::Unanswered => self.unanswered(conn, now),
                Expired::Ping => {
                    let (slot, speaks) = self.slots.both(index);
                    slot.pinged = Some(now);
                    // Without room there is something else it does not answer to.
                    match speaks {
                        Speaks::Rtmp(rtmp) => drop(rtmp.session.ping(now, &mut slot.tx)),
                        Speaks::Http(http) => http.ping(&mut slot.tx),
                        _ => {}
                    }
                    self.wakes.send(index);
                }
            }
        }
    }

    #[inline]
    fn expired(&self, index: SlotIndex, now: Millis) -> Expired {
        let (slot, speaks) = self.slots.peek_both(index);
        match slot.state {
            SlotState::Free => return Expired::No,
            SlotState::Closing { deadline, .. } => {
                // It was counted and logged when it was told to go.
                return if now >= deadline { Expired::Release(CloseReason::Stalled) } else { Expired::No };
            }
            SlotState::Open => {}
        }
        match speaks {
            Speaks::Rtmp(rtmp) => self.expired_client(slot, rtmp, now),
            Speaks::Http(http) => self.expired_http(slot, http, now),
            other if other.deadline().is_some_and(|deadline| now > deadline) => Expired::Release(CloseReason::Stalled),
            _ => Expired::No,
        }
    }

    fn expired_http(&self, slot: &Slot, http: &Http, now: Millis) -> Expired {
        if slot.blocked_since.is_some_and(|since| now.since(since) > self.settings.player_stall_ms) {
            return Expired::Release(CloseReason::Stalled);
        }
        if http.deadline().is_some_and(|deadline| now > deadline) {
            return Expired::Late;
        }
        if http.answers_pings() {
            let settings = &self.settings;
            let pinged = slot.pinged.filter(|&pinged| slot.last_taken <= pinged + SWEEP_MS);
            if pinged.is_some_and(|pinged| now.since(pinged) > settings.ping_timeout_ms) {
                return Expired::Release(CloseReason::PingTimeout);
            }
            // Nothing may be due to it for long: its publisher is away.
            let is_silent = now.since(slot.last_read.max(slot.last_taken)) > settings.ping_interval_ms;
            if pinged.is_none() && is_silent {
                return Expired::Ping;
            }
        }
        Expired::Look
    }

    #[inline]
    fn expired_client(&self, slot: &Slot, rtmp: &Rtmp, now: Millis) -> Expired {
        let settings = &self.settings;
        let passed = |since: Millis, limit_ms: u64| now.since(since) > limit_ms;
        // Who has joined, as nearly all have, is past all that, and no memory is touched to find out.
        let joined = rtmp.session.is_connected();
        if !joined {
            if !rtmp.session.is_open() && passed(slot.accepted, settings.handshake_timeout_ms) {
                return Expired::Release(CloseReason::HandshakeTimeout);
            }
            if let Some(deadline) = rtmp.joining.deadline() {
                // It has asked; a late answer is not its fault.
                return match now >= deadline {
                    true => Expired::Undecided,
                    false if slot.tx.is_empty() => Expired::No,
                    false => Expired::Waits,
                };
            }
            if rtmp.open_since.is_some_and(|since| passed(since, settings.connect_timeout_ms)) {
                return Expired::Release(CloseReason::ConnectTimeout);
            }
        }
        if rtmp.asked.deadline().is_some_and(|deadline| now >= deadline) {
            return Expired::Unanswered;
        }
        // A publisher whose media is read need not read: there is little to send it, and no other client can make that more.
        let is_heard = slot.publishing > 0 && slot.playing == 0 && !slot.blocked;
        let is_stalled = slot.blocked_since.is_some_and(|since| passed(since, settings.player_stall_ms));
        // A film on pause is nothing unusual: common players just stop reading. Its place has a deadline of its own.
        if !is_heard && is_stalled && !rtmp.plays_recorded() {
            return Expired::Release(CloseReason::Stalled);
        }
        // Media that was taken since makes the ping void: the next silence is asked about anew.
        let pinged = slot.pinged.filter(|&pinged| slot.last_taken <= pinged + SWEEP_MS);
        if pinged.is_some_and(|pinged| passed(pinged, settings.ping_timeout_ms)) {
            return Expired::Release(CloseReason::PingTimeout);
        }
        if joined && slot.publishing == 0 && slot.playing == 0 {
            let app = slot.app.and_then(|app| self.live.apps.definition(app));
            let idle_ms = app.and_then(|app| app.limits.idle_ms).unwrap_or(settings.idle_timeout_ms);
            if idle_ms > 0 && passed(slot.last_active, idle_ms) {
                return Expired::Idle;
            }
        }
        // A client that takes media is alive, though it may never answer a ping.
        let sign_of_life = slot.last_read.max(slot.last_taken);
        let is_silent = pinged.is_none() && passed(sign_of_life, settings.ping_interval_ms);
        // Who has paused a film reads no pings either.
        if is_silent && rtmp.session.is_open() && !rtmp.plays_recorded() {
            return Expired::Ping;
        }
        Expired::No
    }
}

enum Expired {
    No,
    /// Not it: what it waits for may be there.
    Look,
    Release(CloseReason),
    Idle,
    Late,
    Undecided,
    /// It waits to be let in, and is told so far what stands before that ([`Server::is_let_in_soon`]).
    Waits,
    Unanswered,
    Ping,
}
