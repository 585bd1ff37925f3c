//! Bandwidth of single connections: limits and measurement.
//!
//! # Limits
//!
//! A token is a byte. A player who has none is sent no more when the present frame is complete: what waits behind it (its
//! answers, a ping) never waits for tokens, and the ring does not pass it in the middle of a frame. Frames that it does
//! not get in time are lag like any other, so that it goes on at a later key frame (`live.player_lag_ms`). From a client
//! that has none nothing is read: what it sends fills the kernel's buffers, until TCP lets it wait.
//!
//! # Detection
//!
//! The client's own method is called ([`crate::rtmp::bandwidth_check`]): once with nothing, which takes the latency, then
//! with payloads that double while there is time for them. A client that has not shown by `_checkbw` which names it knows
//! is asked by the documented ones, and if it does not answer by the others, too. When all of one is answered the rate is known: the later, the
//! better. A publisher is never measured. A player may be, and its media goes first: a call begins when nothing else is
//! due. What is in the kernel already delays it nevertheless, so it sees a second or two of jitter, and the answer is what
//! the line has to spare beside the media. A limit to the client holds for payloads, too: then it is what is measured.

use std::io::IoSlice;

use log::info;

use crate::handles::{ConnId, SlotIndex};
use crate::live::app::Bandwidth;
use crate::rtmp::bandwidth_check::{self, Dialect, FILLER, FIRST_TRANSACTION, Measurement, PAYLOAD_BYTES};
use crate::rtmp::session::REPLY_BYTES;
use crate::time::Millis;
use crate::token_bucket::TokenBucket;

use super::Server;
use super::alarms::Alarm;
use super::fanout::WRITE_BYTES;
use super::slots::{PayloadTail, Slot, SlotState, Tail};
use super::wakes::Held;

/// A pause brings tokens for this long, in milliseconds.
const BURST_MS: u32 = 200;
/// A connection without tokens waits for this part of a burst, so that it is not woken for every byte.
const WORTHWHILE: u32 = 4;
/// Waiting connections are looked at so many milliseconds apart, so that their number does not wake the loop more often.
const LOOK_MS: u64 = 10;
/// The largest payload to measure with: a third of a second at 100 Mbit/s. What is faster still is not told apart well,
/// and what a fast client gets of this is taken from all others.
const MOST_BYTES: u32 = 4 << 20;
/// A client that has not answered after this part of `max_wait_ms` is asked by other names, too.
const OTHERWISE: u32 = 4;
/// Beyond it transaction ids begin anew.
const LAST_TRANSACTION: u32 = 1 << 30;
/// Payload that is sent in one turn of the loop at most, so that other clients are not held up.
pub(super) const TURN_BYTES: u64 = 256 * 1024;

/// How fast a connection may be. `None` is as fast as it can.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// What it is sent.
    pub to_client: Option<TokenBucket>,
    /// What it sends.
    pub to_server: Option<TokenBucket>,
}

impl Limits {
    /// Bytes that the client may be sent now.
    #[cold]
    pub(super) fn bytes(&mut self, now: Millis) -> usize {
        self.to_client.as_mut().map_or(usize::MAX, |bucket| bucket.available(now.0) as usize).min(WRITE_BYTES)
    }
}

/// A detection that is under way.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    settings: Bandwidth,
    /// Payload is not sent faster than `max_kbit`.
    pace: Option<TokenBucket>,
    began: Millis,
    /// Then it ends, or has its last extension.
    deadline: Millis,
    extended: bool,
    known: Measurement,
    phase: Phase,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The call without a payload awaits its answer: by the names that the client is believed to know, and by the others.
    Latency(Ask, Option<Ask>),
    Payload(Round),
}

/// A call without a payload.
#[derive(Clone, Copy, Debug)]
struct Ask {
    dialect: Dialect,
    transaction: u32,
    asked: Millis,
}

/// A payload, in as many calls as it needs.
#[derive(Clone, Copy, Debug)]
struct Round {
    /// The transaction of its first call.
    first: u32,
    payload_bytes: u32,
    sent: u32,
    answered: u32,
    /// When its first call began.
    began: Millis,
    last_answer: Millis,
}

impl Round {
    fn new(first: u32, payload_bytes: u32, now: Millis) -> Round {
        Round { first, payload_bytes, sent: 0, answered: 0, began: now, last_answer: now }
    }

    fn calls(&self) -> u32 {
        self.payload_bytes.div_ceil(PAYLOAD_BYTES as u32)
    }

    fn length(&self, call: u32) -> u16 {
        let before = call * PAYLOAD_BYTES as u32;
        (self.payload_bytes - before).min(PAYLOAD_BYTES as u32) as u16
    }

    fn measured(&self, dialect: Dialect, latency_ms: u32) -> Measurement {
        let fronts = u64::from(self.answered) * bandwidth_check::front(dialect, self.first, 0).len() as u64;
        let payload = (u64::from(self.answered) * PAYLOAD_BYTES as u64).min(u64::from(self.payload_bytes));
        Measurement::new(fronts + payload, self.last_answer.since(self.began), latency_ms)
    }
}

impl Slot {
    /// Takes tokens for what it was sent beyond `charged` bytes.
    #[cold]
    pub(super) fn charge(&mut self, charged: &mut u64) {
        if let Some(bucket) = &mut self.limits.to_client {
            bucket.spend(self.bytes_out - *charged);
        }
        *charged = self.bytes_out;
    }

    /// Begins a call with a payload, which must be sent before anything else; false when tokens do not let it.
    #[cold]
    pub(super) fn begin_payload(&mut self, due: &mut Option<Tail>, now: Millis) -> bool {
        let tail = self.next_payload(now);
        *due = tail.map(Tail::Payload);
        tail.is_some()
    }

    fn next_payload(&mut self, now: Millis) -> Option<PayloadTail> {
        if self.publishing > 0 {
            // It has begun to publish meanwhile: what is known by now is all that will be.
            self.payload_due = false;
            return None;
        }
        let out_of_tokens =
            |bucket: &mut Option<TokenBucket>| bucket.as_mut().is_some_and(|bucket| bucket.available(now.0) == 0);
        if out_of_tokens(&mut self.limits.to_client) {
            return None;
        }
        let check = self.check.as_mut()?;
        if out_of_tokens(&mut check.pace) {
            return None;
        }
        let Phase::Payload(round) = &mut check.phase else { return None };
        if round.sent == 0 {
            round.began = now;
        }
        let tail = PayloadTail {
            dialect: self.dialect,
            transaction: round.first + round.sent,
            length: round.length(round.sent),
            offset: 0,
        };
        round.sent += 1;
        self.payload_due = round.sent < round.calls();
        if let Some(pace) = &mut check.pace {
            pace.spend(tail.wire_bytes() as u64);
        }
        Some(tail)
    }

    /// It has no tokens to be sent more.
    pub(super) fn is_dry(&mut self, now: Millis) -> bool {
        self.limited && self.limits.bytes(now) == 0
    }

    /// When it is worth while to send to it again.
    fn send_again(&mut self, now: Millis) -> Millis {
        if self.is_dry(now) {
            return worthwhile(&self.limits.to_client);
        }
        let pace = self.check.as_ref().and_then(|check| check.pace.as_ref());
        pace.and_then(|pace| pace.ready_ms(1)).map_or(now, Millis)
    }

    /// Calls the client without a payload; `None` when there is no room for it.
    fn ask(&mut self, dialect: Dialect, now: Millis) -> Option<Ask> {
        if self.tx.room() < REPLY_BYTES {
            return None;
        }
        let transaction = self.take_transactions(1);
        bandwidth_check::ask(dialect, transaction, &mut self.tx).ok()?;
        Some(Ask { dialect, transaction, asked: now })
    }

    /// Calls a client that was asked by the documented names and has not answered by the others, once.
    fn ask_otherwise(&mut self, now: Millis) {
        let Some(Check { phase: Phase::Latency(first, None), .. }) = self.check else { return };
        if first.dialect == Dialect::Documented
            && let Some(second) = self.ask(Dialect::Underscored, now)
            && let Some(check) = &mut self.check
        {
            check.phase = Phase::Latency(first, Some(second));
        }
    }

    fn take_transactions(&mut self, count: u32) -> u32 {
        // Not again what the last detection used, whose answers may still come.
        if !(FIRST_TRANSACTION..LAST_TRANSACTION).contains(&self.next_transaction) {
            self.next_transaction = FIRST_TRANSACTION;
        }
        let first = self.next_transaction;
        self.next_transaction += count;
        first
    }

    fn begin_round(&mut self, payload_bytes: u32, now: Millis) -> Round {
        let mut round = Round::new(0, payload_bytes.min(MOST_BYTES), now);
        round.first = self.take_transactions(round.calls());
        self.payload_due = true;
        round
    }
}

impl PayloadTail {
    /// Bytes of the whole call.
    pub(super) fn wire_bytes(&self) -> usize {
        bandwidth_check::front(self.dialect, self.transaction, self.length).len() + usize::from(self.length)
    }

    /// Lets `write` have what is left of it.
    pub(super) fn rest<R>(&self, write: impl FnOnce(&[IoSlice<'_>]) -> R) -> R {
        let front = bandwidth_check::front(self.dialect, self.transaction, self.length);
        let offset = usize::from(self.offset);
        let payload = &FILLER[offset.saturating_sub(front.len())..usize::from(self.length)];
        match front.get(offset..).filter(|front| !front.is_empty()) {
            Some(front) => write(&[IoSlice::new(front), IoSlice::new(payload)]),
            None => write(&[IoSlice::new(payload)]),
        }
    }
}

fn bucket(bytes_s: u32) -> Option<TokenBucket> {
    let burst = u64::from(bytes_s) * u64::from(BURST_MS) / 1000;
    (bytes_s > 0).then(|| TokenBucket::new(bytes_s, (burst as u32).max(1)))
}

fn rate(limit: &Option<TokenBucket>) -> u32 {
    limit.as_ref().map_or(0, TokenBucket::per_second)
}

fn worthwhile(bucket: &Option<TokenBucket>) -> Millis {
    let ready = bucket.as_ref().and_then(|bucket| bucket.ready_ms((bucket.burst() / WORTHWHILE).max(1)));
    // Without a bucket no connection waits.
    Millis(ready.unwrap_or(0))
}

impl Server {
    /// Limits what a client is sent and what is read of it, in bytes a second, from now on. 0 is no limit; `None` leaves a
    /// direction as it is. In the long run it is exact; after a pause a fifth of a second's worth goes at once, and a
    /// frame that was begun is sent whole. Does nothing when the connection is gone or was told to go.
    pub fn limit_bandwidth(&mut self, conn: ConnId, to_client: Option<u32>, to_server: Option<u32>) {
        let Some(slot) = self.slots.connection(conn).filter(|slot| slot.state == SlotState::Open) else { return };
        // To say the same again brings no new tokens.
        let set = |limit: &mut Option<TokenBucket>, bytes_s: Option<u32>| match bytes_s {
            Some(bytes_s) if bytes_s != rate(limit) => *limit = bucket(bytes_s),
            _ => {}
        };
        set(&mut slot.limits.to_client, to_client);
        set(&mut slot.limits.to_server, to_server);
        slot.limited = slot.limits.to_client.is_some();
        // Who waits for tokens may have some now.
        if self.wakes.let_go(Held::ToSend, conn.slot) {
            self.wakes.send(conn.slot);
        }
        if self.wakes.let_go(Held::ToRead, conn.slot) {
            self.wakes.read(conn.slot);
        }
    }

    /// The limits in force, to the client and to the server, in bytes a second; 0 is none. The same when the connection
    /// is gone.
    pub fn bandwidth_limit(&self, conn: ConnId) -> (u32, u32) {
        let Some(slot) = self.slots.look(conn) else { return (0, 0) };
        (rate(&slot.limits.to_client), rate(&slot.limits.to_server))
    }

    /// Begins to measure the client's bandwidth, of which it is told by `onBWDone` after three times
    /// `max_wait_ms` at the latest, whether it answers or not. False when it cannot be: it is not connected, publishes, is being
    /// measured already, reads no answers, or detection is switched off.
    pub fn check_bandwidth(&mut self, conn: ConnId, now: Millis) -> bool {
        let settings = self.bandwidth_settings(conn);
        let Some((slot, rtmp)) = self.slots.client(conn) else { return false };
        let ready = slot.state == SlotState::Open && rtmp.session.is_connected() && slot.publishing == 0;
        if !settings.detection || !ready || slot.check.is_some() {
            return false;
        }
        let Some(ask) = slot.ask(slot.dialect, now) else { return false };
        let deadline = now + u64::from(settings.max_wait_ms);
        slot.check = Some(Check {
            settings,
            pace: pace(settings.max_kbit),
            began: now,
            deadline,
            extended: false,
            known: Measurement::default(),
            phase: Phase::Latency(ask, None),
        });
        self.wakes.hold(Held::Check, conn.slot);
        self.look_at(now + u64::from(settings.max_wait_ms / OTHERWISE));
        self.wakes.send(conn.slot);
        true
    }

    /// What the last detection found out; `None` before the first has ended, or when the connection is gone.
    pub fn measured_bandwidth(&self, conn: ConnId) -> Option<Measurement> {
        self.slots.look(conn)?.measured
    }

    /// What holds for the connection.
    fn bandwidth_settings(&self, conn: ConnId) -> Bandwidth {
        let app = self.slots.look(conn).and_then(|slot| self.live.apps.definition(slot.app?));
        app.map_or(self.settings.bandwidth, |app| app.limits.bandwidth)
    }

    /// A new connection has the limits of its application.
    pub(super) fn limit_new(&mut self, conn: ConnId) {
        let settings = self.bandwidth_settings(conn);
        self.limit_bandwidth(conn, Some(settings.to_client_bytes_s), Some(settings.to_server_bytes_s));
    }

    /// The client asks to be measured.
    pub(super) fn bandwidth_asked(&mut self, conn: ConnId, now: Millis) {
        if self.check_bandwidth(conn, now) {
            return;
        }
        let Some((slot, rtmp)) = self.slots.client(conn) else { return };
        // It hears of the one that is under way; and when there is none, that there is none.
        if slot.check.is_none() && slot.state == SlotState::Open && rtmp.session.is_connected() {
            let _ = rtmp.session.bandwidth_done(&mut slot.tx);
            self.wakes.send(conn.slot);
        }
    }

    /// The client has shown which names it knows. If it was asked by others, it is asked again.
    pub(super) fn bandwidth_dialect(&mut self, conn: ConnId, dialect: Dialect, now: Millis) {
        let Some(slot) = self.slots.connection(conn) else { return };
        slot.dialect = dialect;
        slot.ask_otherwise(now);
        self.wakes.send(conn.slot);
    }

    /// The client answers a call of ours. False when it is not one of a detection.
    pub(super) fn bandwidth_answer(&mut self, conn: ConnId, transaction: u32, ok: bool, now: Millis) -> bool {
        if transaction < FIRST_TRANSACTION {
            return false;
        }
        let Some(slot) = self.slots.connection(conn) else { return true };
        let publishes = slot.publishing > 0;
        let Some(check) = &mut slot.check else { return true };
        match &mut check.phase {
            Phase::Latency(first, second) => {
                let Some(ask) =
                    [Some(*first), *second].into_iter().flatten().find(|ask| ask.transaction == transaction)
                else {
                    return true;
                };
                if !ok && let Some(other) = second.take() {
                    // It may know the other one.
                    *first = if ask.transaction == first.transaction { other } else { *first };
                    return true;
                }
                if !ok || publishes {
                    self.end_check(conn, now);
                    return true;
                }
                check.known.latency_ms = now.since(ask.asked) as u32;
                check.deadline = now + u64::from(check.settings.max_wait_ms);
                let (deadline, payload_bytes) = (check.deadline, check.settings.data_bytes);
                slot.dialect = ask.dialect;
                let round = slot.begin_round(payload_bytes, now);
                if let Some(check) = &mut slot.check {
                    check.phase = Phase::Payload(round);
                }
                self.look_at(deadline);
                self.wakes.send(conn.slot);
            }
            // Answers come in order; one that does not is none.
            Phase::Payload(round) if round.answered < round.sent && round.first + round.answered == transaction => {
                if !ok {
                    self.end_check(conn, now);
                    return true;
                }
                round.answered += 1;
                round.last_answer = now;
                if round.answered < round.calls() {
                    return true;
                }
                check.known = round.measured(slot.dialect, check.known.latency_ms);
                let payload_bytes = round.payload_bytes;
                let next_ms = 2 * u64::from(check.known.elapsed_ms) + u64::from(check.known.latency_ms);
                if payload_bytes == MOST_BYTES || publishes || now + next_ms > check.deadline {
                    self.end_check(conn, now);
                    return true;
                }
                let round = slot.begin_round(payload_bytes.saturating_mul(2), now);
                if let Some(check) = &mut slot.check {
                    check.phase = Phase::Payload(round);
                }
                self.wakes.send(conn.slot);
            }
            _ => {}
        }
        true
    }

    /// Tells the client what is known.
    fn end_check(&mut self, conn: ConnId, now: Millis) {
        let Some(slot) = self.slots.connection(conn) else { return };
        let Some(check) = slot.check.take() else { return };
        slot.payload_due = false;
        self.wakes.let_go(Held::Check, conn.slot);
        let mut found = check.known;
        if let Phase::Payload(round) = &check.phase {
            // Less is known of it than of a smaller one that was answered as a whole, or nothing is.
            let part = round.measured(slot.dialect, check.known.latency_ms);
            if part.bytes > found.bytes {
                found = part;
            }
        }
        if check.settings.max_kbit > 0 {
            found.kbit = found.kbit.min(check.settings.max_kbit);
        }
        slot.measured = Some(found);
        // A client without room for it reads nothing, and will be found out by the stall deadline.
        let _ = bandwidth_check::report(slot.dialect, &found, &mut slot.tx);
        let Measurement { kbit, latency_ms, bytes, .. } = found;
        let took_ms = now.since(check.began);
        info!("{conn} bandwidth kbit={kbit} latency_ms={latency_ms} bytes={bytes} took_ms={took_ms}");
        self.wakes.send(conn.slot);
    }

    /// The client was sent all it may be for now.
    pub(super) fn wait_to_send(&mut self, index: SlotIndex, now: Millis) {
        let at = self.slots.at(index).send_again(now);
        self.wakes.hold(Held::ToSend, index);
        self.look_at(at);
    }

    /// All was read of the client that may be for now.
    pub(super) fn wait_to_read(&mut self, index: SlotIndex) {
        let at = worthwhile(&self.slots.at(index).limits.to_server);
        self.wakes.hold(Held::ToRead, index);
        self.look_at(at);
    }

    /// Looks at connections that wait for tokens, or for the end of their detection.
    pub(super) fn expire_bandwidth(&mut self, now: Millis) {
        if !self.alarms.rings(Alarm::Bandwidth, now) {
            return;
        }
        self.alarms.set(Alarm::Bandwidth, None);
        let mut from = 0;
        while let Some(index) = self.wakes.next_held(Held::ToSend, from) {
            from = index.at() + 1;
            let at = self.slots.at(index).send_again(now);
            if at > now {
                self.look_at(at);
            } else {
                self.wakes.let_go(Held::ToSend, index);
                self.wakes.send(index);
            }
        }
        let mut from = 0;
        while let Some(index) = self.wakes.next_held(Held::ToRead, from) {
            from = index.at() + 1;
            let at = worthwhile(&self.slots.at(index).limits.to_server);
            if at > now {
                self.look_at(at);
            } else {
                self.wakes.let_go(Held::ToRead, index);
                self.wakes.read(index);
            }
        }
        let mut from = 0;
        while let Some(index) = self.wakes.next_held(Held::Check, from) {
            from = index.at() + 1;
            self.look_at_check(index, now);
        }
    }

    /// A detection under way: the client is asked otherwise, its time is extended, or it ends.
    fn look_at_check(&mut self, index: SlotIndex, now: Millis) {
        let conn = self.slots.id(index);
        let slot = self.slots.at(index);
        let Some(check) = &slot.check else { return };
        let otherwise_at = check.began + u64::from(check.settings.max_wait_ms / OTHERWISE);
        if now >= otherwise_at {
            slot.ask_otherwise(now);
            self.wakes.send(index);
        }
        let Some(check) = &mut self.slots.at(index).check else { return };
        // What was sent on a slow line may still be answered.
        let unanswered = matches!(&check.phase, Phase::Payload(round) if round.answered < round.sent);
        if now >= check.deadline && !check.extended && unanswered && check.known.bytes == 0 {
            check.extended = true;
            check.deadline = now + u64::from(check.settings.max_wait_ms);
        }
        let deadline = check.deadline;
        if now < otherwise_at {
            self.look_at(otherwise_at);
        } else if now >= deadline {
            self.end_check(conn, now);
        } else {
            self.look_at(deadline);
        }
    }

    /// Nothing of it waits any more.
    pub(super) fn forget_bandwidth(&mut self, index: SlotIndex) {
        let slot = self.slots.at(index);
        slot.check = None;
        // What a client is told when it has to go does not wait for tokens.
        (slot.payload_due, slot.limited) = (false, false);
    }

    fn look_at(&mut self, at: Millis) {
        let at = Millis(at.0.div_ceil(LOOK_MS).saturating_mul(LOOK_MS));
        self.alarms.by(Alarm::Bandwidth, at);
    }
}

fn pace(max_kbit: u32) -> Option<TokenBucket> {
    let bytes_s = u32::try_from(u64::from(max_kbit) * 125).unwrap_or(u32::MAX);
    // Little may be sent at once: it would be measured as if the line were that fast.
    let burst = u64::from(bytes_s) * 2 * LOOK_MS / 1000;
    (bytes_s > 0).then(|| TokenBucket::new(bytes_s, (burst as u32).max(1)))
}
