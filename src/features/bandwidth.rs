//! Finding out a client's bandwidth.
//!
//! A method of the client is called: once with nothing, which takes the latency, then with payloads that double while there is
//! time for them. A client that has not shown which names it knows is asked by the documented ones, and if it does not
//! answer by the others, too. When all of one is answered the rate is known: the later, the better. A publisher is never
//! measured. A player may be, and its media goes first: a call begins when nothing else is due. What is in the kernel
//! already delays it nevertheless, so it sees a second or two of jitter, and the answer is what the line has to spare
//! beside the media. A limit to the client holds for payloads, too: then it is what is measured.

use std::boxed::Box;
use std::vec::Vec;

use log::info;

use crate::bitset::BitSet;
use crate::handles::{AppId, ConnId, SlotIndex};
use crate::limits::{ASK_BYTES, FIRST_ASK_TRANSACTION, Row};
use crate::live::Live;
use crate::live::app;
use crate::live::settings::Settings;
use crate::time::Millis;
use crate::token_bucket::TokenBucket;

use super::contract::{Action, Actions, Dialect, Does, Feature, Happened, Measurement};

/// The largest payload to measure with: a third of a second at 100 Mbit/s. What is faster still is not told apart well,
/// and what a fast client gets of this is taken from all others.
const MOST_BYTES: u32 = 4 << 20;
/// A client that has not answered after this part of `max_wait_ms` is asked by other names, too.
const OTHERWISE: u32 = 4;
/// Beyond it transaction ids begin anew.
const LAST_TRANSACTION: u32 = 1 << 30;
/// Detections under way are looked at so many milliseconds apart, so that their number does not wake the loop more often.
const LOOK_MS: u64 = 10;
/// Actions that one of them may take at once.
const ACTIONS_EACH: usize = 2;

/// The detections that are under way, and what those before have found.
pub struct BandwidthDetection {
    /// By the connection's slot, so that there is one for every connection.
    clients: Box<[Client]>,
    /// Which of them are being measured.
    under_way: BitSet<Box<[u64]>>,
    /// When they are to be looked at.
    wake_at: Option<Millis>,
}

/// What is known of a connection.
#[derive(Clone, Debug, Default)]
struct Client {
    generation: u32,
    /// The application that it has joined.
    app: Option<AppId>,
    /// How many streams it publishes.
    publishing: u8,
    /// How it calls the methods.
    dialect: Dialect,
    /// For calls of the next detection; 0 before the first.
    next_transaction: u32,
    /// What the last one found out.
    measured: Option<Measurement>,
    /// The one that is under way.
    check: Option<Check>,
}

/// A detection that is under way.
#[derive(Clone, Debug)]
struct Check {
    settings: app::Bandwidth,
    /// Payload is not sent faster than `max_kbit`.
    pace: Option<TokenBucket>,
    /// Until then it has no tokens to go on with.
    paused_until: Option<Millis>,
    began: Millis,
    /// Then it ends, or has its last extension.
    deadline: Millis,
    extended: bool,
    /// The time to ask by other names has passed.
    otherwise: bool,
    known: Measurement,
    phase: Phase,
}

#[derive(Clone, Debug)]
enum Phase {
    /// The call without a payload awaits its answer: by the names that the client is believed to know, and by the others.
    Latency(Probe, Option<Probe>),
    Payload(Round),
}

/// A call without a payload.
#[derive(Clone, Copy, Debug)]
struct Probe {
    dialect: Dialect,
    transaction: u32,
    asked: Millis,
}

/// A payload, in as many calls as it needs.
#[derive(Clone, Debug)]
struct Round {
    /// The transaction of its first call.
    first: u32,
    payload_bytes: u32,
    sent: u32,
    answered: u32,
    /// Bytes of a call beside its payload.
    front_bytes: u32,
    /// When its first call began.
    began: Millis,
    last_answer: Millis,
}

impl Measurement {
    /// From `bytes` that were answered `elapsed_ms` after the first was sent.
    fn new(bytes: u64, elapsed_ms: u64, latency_ms: u32) -> Measurement {
        // What is over faster than it can be told is taken for a millisecond.
        let elapsed_ms = elapsed_ms.saturating_sub(u64::from(latency_ms)).max(1);
        // Bits a millisecond are kilobits a second.
        let kbit = (bytes.saturating_mul(8) + elapsed_ms / 2) / elapsed_ms;
        let bounded = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        Measurement { kbit: bounded(kbit), bytes, elapsed_ms: bounded(elapsed_ms), latency_ms }
    }
}

impl Round {
    fn calls(&self) -> u32 {
        self.payload_bytes.div_ceil(ASK_BYTES as u32)
    }

    fn length(&self, call: u32) -> u16 {
        let before = call * ASK_BYTES as u32;
        (self.payload_bytes - before).min(ASK_BYTES as u32) as u16
    }

    fn measured(&self, latency_ms: u32) -> Measurement {
        let fronts = u64::from(self.answered) * u64::from(self.front_bytes);
        let payload = (u64::from(self.answered) * ASK_BYTES as u64).min(u64::from(self.payload_bytes));
        Measurement::new(fronts + payload, self.last_answer.since(self.began), latency_ms)
    }
}

impl Check {
    /// When it is to be looked at.
    fn look_at(&self) -> Millis {
        let next = if self.otherwise { self.deadline } else { self.otherwise_at() };
        rounded(self.paused_until.map_or(next, |until| until.min(next)))
    }

    /// When the client is asked by other names, too.
    fn otherwise_at(&self) -> Millis {
        self.began + u64::from(self.settings.max_wait_ms / OTHERWISE)
    }
}

impl Client {
    fn take_transactions(&mut self, count: u32) -> u32 {
        // Not again what the last detection used, whose answers may still come.
        if !(FIRST_ASK_TRANSACTION..LAST_TRANSACTION).contains(&self.next_transaction) {
            self.next_transaction = FIRST_ASK_TRANSACTION;
        }
        let first = self.next_transaction;
        self.next_transaction += count;
        first
    }

    /// Calls the client without a payload.
    fn ask(&mut self, conn: ConnId, dialect: Dialect, now: Millis, out: &mut Actions) -> Probe {
        let transaction = self.take_transactions(1);
        out.push(Action::Ask { conn, dialect, transaction, payload_bytes: 0 });
        Probe { dialect, transaction, asked: now }
    }

    /// Calls a client that was asked by the documented names and has not answered by the others, once.
    fn ask_otherwise(&mut self, conn: ConnId, now: Millis, out: &mut Actions) {
        let Some(Check { phase: Phase::Latency(first, None), .. }) = self.check else { return };
        if first.dialect != Dialect::Documented {
            return;
        }
        let second = self.ask(conn, Dialect::Other, now, out);
        if let Some(check) = &mut self.check {
            check.phase = Phase::Latency(first, Some(second));
        }
    }

    fn begin_round(&mut self, conn: ConnId, payload_bytes: u32, now: Millis, out: &mut Actions) {
        let mut round = Round {
            first: 0,
            payload_bytes: payload_bytes.min(MOST_BYTES),
            sent: 0,
            answered: 0,
            front_bytes: 0,
            began: now,
            last_answer: now,
        };
        round.first = self.take_transactions(round.calls());
        if let Some(check) = &mut self.check {
            check.phase = Phase::Payload(round);
            out.push(Action::AwaitSpare(conn));
        }
    }

    /// Nothing else is due: the next call with a payload. Returns when to look again, if it has no tokens for it.
    fn go_on(&mut self, conn: ConnId, now: Millis, out: &mut Actions) -> Option<Millis> {
        if self.publishing > 0 {
            // It has begun to publish meanwhile: what is known by now is all that will be.
            return None;
        }
        let Some(Check { phase: Phase::Payload(round), pace, paused_until, .. }) = &mut self.check else { return None };
        if round.sent == round.calls() {
            return None;
        }
        if let Some(pace) = pace
            && pace.available(now.0) == 0
        {
            *paused_until = pace.ready_ms(1).map(Millis);
            return *paused_until;
        }
        if round.sent == 0 {
            round.began = now;
        }
        let (transaction, payload_bytes) = (round.first + round.sent, round.length(round.sent));
        round.sent += 1;
        out.push(Action::Ask { conn, dialect: self.dialect, transaction, payload_bytes });
        if round.sent < round.calls() {
            out.push(Action::AwaitSpare(conn));
        }
        None
    }
}

impl BandwidthDetection {
    /// What the last detection found out; `None` before the first has ended, or when the connection is gone.
    pub fn measured(&self, conn: ConnId) -> Option<Measurement> {
        self.look(conn)?.measured
    }

    /// A detection is under way.
    pub fn is_measuring(&self, conn: ConnId) -> bool {
        self.look(conn).is_some_and(|client| client.check.is_some())
    }

    /// How many are.
    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }

    fn look(&self, conn: ConnId) -> Option<&Client> {
        self.clients.get(conn.slot.at()).filter(|client| client.generation == conn.generation)
    }

    /// What is known of a connection: nothing, if another one was in its slot.
    fn client(&mut self, conn: ConnId) -> Option<&mut Client> {
        let client = self.clients.get_mut(conn.slot.at())?;
        if client.generation != conn.generation {
            *client = Client { generation: conn.generation, ..Client::default() };
        }
        Some(client)
    }

    /// Begins to measure, of which the client is told after three times `max_wait_ms` at the latest, whether it answers
    /// or not. False when it cannot be measured, or is being measured already.
    fn begin(&mut self, conn: ConnId, live: &Live, now: Millis, out: &mut Actions) -> bool {
        let Some(client) = self.client(conn) else { return false };
        let Some(app) = client.app.and_then(|app| live.apps.definition(app)) else { return false };
        let settings = app.limits.bandwidth;
        if !settings.detection || client.publishing > 0 || client.check.is_some() {
            return false;
        }
        let ask = client.ask(conn, client.dialect, now, out);
        let check = Check {
            settings,
            pace: pace(settings.max_kbit),
            paused_until: None,
            began: now,
            deadline: now + u64::from(settings.max_wait_ms),
            extended: false,
            otherwise: false,
            known: Measurement::default(),
            phase: Phase::Latency(ask, None),
        };
        let at = check.look_at();
        client.check = Some(check);
        self.under_way.insert(conn.slot.at());
        self.look_by(at);
        true
    }

    fn answered(&mut self, conn: ConnId, transaction: u32, ok: bool, now: Millis, out: &mut Actions) {
        let Some(client) = self.client(conn) else { return };
        let publishes = client.publishing > 0;
        let Some(check) = &mut client.check else { return };
        match &mut check.phase {
            Phase::Latency(first, second) => {
                let both = [Some(*first), *second];
                let Some(ask) = both.into_iter().flatten().find(|ask| ask.transaction == transaction) else { return };
                if !ok && let Some(other) = second.take() {
                    // It may know the other one.
                    *first = if ask.transaction == first.transaction { other } else { *first };
                    return;
                }
                if !ok || publishes {
                    return self.end(conn, now, out);
                }
                check.known.latency_ms = now.since(ask.asked) as u32;
                check.deadline = now + u64::from(check.settings.max_wait_ms);
                let payload_bytes = check.settings.data_bytes;
                client.dialect = ask.dialect;
                client.begin_round(conn, payload_bytes, now, out);
            }
            // Answers come in order; one that does not is none.
            Phase::Payload(round) if round.answered < round.sent && round.first + round.answered == transaction => {
                if !ok {
                    return self.end(conn, now, out);
                }
                round.answered += 1;
                round.last_answer = now;
                if round.answered < round.calls() {
                    return;
                }
                check.known = round.measured(check.known.latency_ms);
                let payload_bytes = round.payload_bytes;
                let next_ms = 2 * u64::from(check.known.elapsed_ms) + u64::from(check.known.latency_ms);
                if payload_bytes == MOST_BYTES || publishes || now + next_ms > check.deadline {
                    return self.end(conn, now, out);
                }
                client.begin_round(conn, payload_bytes.saturating_mul(2), now, out);
            }
            Phase::Payload(_) => {}
        }
    }

    /// A call has found no room: the client does not read.
    fn not_asked(&mut self, conn: ConnId, transaction: u32, out: &mut Actions) {
        let Some(client) = self.client(conn) else { return };
        let Some(check) = &mut client.check else { return };
        match &mut check.phase {
            Phase::Latency(_, second) if second.is_some_and(|ask| ask.transaction == transaction) => *second = None,
            Phase::Latency(first, None) if first.transaction == transaction => {
                client.check = None;
                self.under_way.remove(conn.slot.at());
                out.push(Action::NotMeasured(conn));
            }
            // One that is not sent is not answered, and so the last.
            Phase::Latency(..) | Phase::Payload(_) => {}
        }
    }

    /// Tells the client what is known.
    fn end(&mut self, conn: ConnId, now: Millis, out: &mut Actions) {
        let Some(client) = self.client(conn) else { return };
        let Some(check) = client.check.take() else { return };
        let mut found = check.known;
        if let Phase::Payload(round) = &check.phase {
            // Less is known of it than of a smaller one that was answered as a whole, or nothing is.
            let part = round.measured(check.known.latency_ms);
            if part.bytes > found.bytes {
                found = part;
            }
        }
        if check.settings.max_kbit > 0 {
            found.kbit = found.kbit.min(check.settings.max_kbit);
        }
        client.measured = Some(found);
        out.push(Action::ReportBandwidth { conn, dialect: client.dialect, found });
        self.under_way.remove(conn.slot.at());
        let Measurement { kbit, latency_ms, bytes, .. } = found;
        let took_ms = now.since(check.began);
        info!("{conn} bandwidth kbit={kbit} latency_ms={latency_ms} bytes={bytes} took_ms={took_ms}");
    }

    /// A detection under way: the client is asked otherwise, its time is extended, or it ends.
    fn look_after(&mut self, conn: ConnId, now: Millis, out: &mut Actions) {
        let Some(client) = self.client(conn) else { return };
        let Some(check) = &mut client.check else { return };
        if check.paused_until.take_if(|until| *until <= now).is_some() {
            out.push(Action::AwaitSpare(conn));
        }
        if now >= check.otherwise_at() && !core::mem::replace(&mut check.otherwise, true) {
            client.ask_otherwise(conn, now, out);
        }
        let Some(check) = &mut client.check else { return };
        // What was sent on a slow line may still be answered.
        let unanswered = matches!(&check.phase, Phase::Payload(round) if round.answered < round.sent);
        if now >= check.deadline && !check.extended && unanswered && check.known.bytes == 0 {
            check.extended = true;
            check.deadline = now + u64::from(check.settings.max_wait_ms);
        }
        if now >= check.deadline {
            self.end(conn, now, out);
        }
    }

    fn look_by(&mut self, at: Millis) {
        self.wake_at = Some(self.wake_at.map_or(at, |before| before.min(at)));
    }
}

impl Feature for BandwidthDetection {
    fn new(settings: &Settings) -> BandwidthDetection {
        let mut clients = Vec::with_capacity(settings.slots());
        clients.resize_with(settings.slots(), Client::default);
        BandwidthDetection {
            clients: clients.into_boxed_slice(),
            under_way: BitSet::new(vec![0; settings.slots().div_ceil(64)].into_boxed_slice()),
            wake_at: None,
        }
    }

    fn memory(settings: &Settings) -> Row {
        // And a bit of each, which the size of a client rounds up.
        Row::new("bandwidth of clients", settings.slots(), size_of::<Client>() + 1)
    }

    fn hear(&mut self, what: &Happened, live: &Live, now: Millis, out: &mut Actions) {
        match *what {
            Happened::Joined { conn, app } => {
                if let Some(client) = self.client(conn) {
                    client.app = Some(app);
                }
            }
            Happened::Began { by, does: Does::Publish, .. } => {
                if let Some(client) = by.conn().and_then(|conn| self.client(conn)) {
                    client.publishing += 1;
                }
            }
            Happened::Ended { by, does: Does::Publish, .. } => {
                if let Some(client) = by.conn().and_then(|conn| self.client(conn)) {
                    client.publishing -= 1;
                }
            }
            Happened::Gone { conn } => {
                if let Some(client) = self.client(conn) {
                    *client = Client { generation: conn.generation, ..Client::default() };
                    self.under_way.remove(conn.slot.at());
                }
            }
            Happened::BandwidthWanted { conn, reply } => {
                // It hears of the one that is under way; and when there is none, that there is none.
                if !self.begin(conn, live, now, out) && reply && !self.is_measuring(conn) {
                    out.push(Action::NotMeasured(conn));
                }
            }
            Happened::DialectKnown { conn, dialect } => {
                if let Some(client) = self.client(conn) {
                    client.dialect = dialect;
                    client.ask_otherwise(conn, now, out);
                }
            }
            Happened::Answered { conn, transaction, ok } => self.answered(conn, transaction, ok, now, out),
            Happened::Asked { conn, bytes } => {
                if let Some(Check { phase: Phase::Payload(round), pace, .. }) =
                    self.client(conn).and_then(|client| client.check.as_mut())
                {
                    round.front_bytes = bytes - u32::from(round.length(round.sent - 1));
                    if let Some(pace) = pace {
                        pace.spend(bytes.into());
                    }
                }
            }
            Happened::NotAsked { conn, transaction } => self.not_asked(conn, transaction, out),
            Happened::Spare { conn } => {
                if let Some(until) = self.client(conn).and_then(|client| client.go_on(conn, now, out)) {
                    self.look_by(rounded(until));
                }
            }
            Happened::Began { .. } | Happened::Ended { .. } | Happened::Tag { .. } => {}
        }
    }

    fn turn(&mut self, _live: &mut Live, now: Millis, out: &mut Actions) {
        if self.wake_at.is_none_or(|at| at > now) {
            return;
        }
        self.wake_at = None;
        let mut from = 0;
        while let Some(at) = self.under_way.next_from(from) {
            from = at + 1;
            let client = &self.clients[at];
            let due = |client: &Client| client.check.as_ref().map(Check::look_at);
            // One for which there is no room now is due at once.
            if due(client).is_some_and(|at| at <= now) && out.room() >= ACTIONS_EACH {
                let conn = ConnId { slot: SlotIndex(at as u32), generation: client.generation };
                self.look_after(conn, now, out);
            }
            if let Some(at) = due(&self.clients[at]) {
                self.look_by(at);
            }
        }
    }

    fn wake_at(&self) -> Option<Millis> {
        self.wake_at
    }
}

fn rounded(at: Millis) -> Millis {
    Millis(at.0.div_ceil(LOOK_MS).saturating_mul(LOOK_MS))
}

fn pace(max_kbit: u32) -> Option<TokenBucket> {
    let bytes_s = u32::try_from(u64::from(max_kbit) * 125).unwrap_or(u32::MAX);
    // Little may be sent at once: it would be measured as if the line were that fast.
    let burst = u64::from(bytes_s) * 2 * LOOK_MS / 1000;
    (bytes_s > 0).then(|| TokenBucket::new(bytes_s, (burst as u32).max(1)))
}

#[cfg(test)]
mod tests {
    use crate::limits::FEATURE_ACTIONS;
    use crate::live::app::{AppDefinition, AppKind};
    use crate::live::applications::{AppSource, Applications};
    use crate::live::names::Names;

    use super::*;

    const APP: AppId = AppId(0);

    fn live() -> Live {
        let app = AppDefinition::stock(heapless::String::try_from("live").unwrap(), AppKind::Live);
        let apps = Applications::new(vec![app], AppSource::Fixed, 1, Millis(0));
        Live::new(apps, Names::new(1, 64 << 10, 1))
    }

    /// What the feature wants done about a fact.
    fn hear(bandwidth: &mut BandwidthDetection, what: Happened, live: &Live, now: u64) -> Vec<Action> {
        let mut out = Actions::default();
        bandwidth.hear(&what, live, Millis(now), &mut out);
        core::iter::from_fn(|| out.take()).collect()
    }

    fn conn(slot: u32) -> ConnId {
        ConnId { slot: SlotIndex(slot), generation: 1 }
    }

    #[test]
    fn the_rate_is_what_was_answered_in_the_time_beyond_the_latency() {
        let measured = |bytes, elapsed_ms, latency_ms| Measurement::new(bytes, elapsed_ms, latency_ms).kbit;
        assert_eq!(measured(125_000, 1020, 20), 1000);
        assert_eq!(measured(1000, 5, 20), 8000);
        assert_eq!(measured(0, 100, 20), 0);
    }

    #[test]
    fn a_detection_is_facts_and_actions() {
        let live = live();
        let mut bandwidth = BandwidthDetection::new(&Settings::default());
        let (conn, dialect) = (conn(3), Dialect::Documented);
        let first = FIRST_ASK_TRANSACTION;
        let mut at = |what, now| hear(&mut bandwidth, what, &live, now);
        let wanted = Happened::BandwidthWanted { conn, reply: true };
        assert_eq!(at(wanted, 0), [Action::NotMeasured(conn)], "it has not joined");
        assert_eq!(at(Happened::Joined { conn, app: APP }, 0), []);
        assert_eq!(at(wanted, 0), [Action::Ask { conn, dialect, transaction: first, payload_bytes: 0 }]);
        assert_eq!(at(wanted, 0), [], "it hears of the one that is under way");
        let answered = |transaction| Happened::Answered { conn, transaction, ok: true };
        assert_eq!(at(answered(first), 20), [Action::AwaitSpare(conn)]);
        for transaction in first + 1..=first + 4 {
            let ask = Action::Ask { conn, dialect, transaction, payload_bytes: ASK_BYTES as u16 };
            let more = Some(Action::AwaitSpare(conn)).filter(|_| transaction < first + 4);
            assert_eq!(at(Happened::Spare { conn }, 20), Vec::from_iter([Some(ask), more].into_iter().flatten()));
            at(Happened::Asked { conn, bytes: 4 + ASK_BYTES as u32 }, 20);
        }
        assert_eq!(at(Happened::Spare { conn }, 20), []);
        for transaction in first + 1..first + 4 {
            assert_eq!(at(answered(transaction), 1040), []);
        }
        // 16 400 bytes in a second; twice as much would take longer than there is.
        let found = Measurement { kbit: 131, bytes: 16_400, elapsed_ms: 1000, latency_ms: 20 };
        assert_eq!(at(answered(first + 4), 1040), [Action::ReportBandwidth { conn, dialect, found }]);
        assert_eq!(bandwidth.measured(conn), Some(found));
        hear(&mut bandwidth, Happened::Gone { conn }, &live, 2000);
        assert_eq!(bandwidth.measured(conn), None);
    }

    #[test]
    fn who_does_not_read_is_not_measured() {
        let live = live();
        let mut bandwidth = BandwidthDetection::new(&Settings::default());
        let conn = conn(0);
        hear(&mut bandwidth, Happened::Joined { conn, app: APP }, &live, 0);
        hear(&mut bandwidth, Happened::BandwidthWanted { conn, reply: true }, &live, 0);
        let transaction = FIRST_ASK_TRANSACTION;
        let said = hear(&mut bandwidth, Happened::NotAsked { conn, transaction }, &live, 0);
        assert_eq!((said, bandwidth.under_way()), (vec![Action::NotMeasured(conn)], 0));
    }

    #[test]
    fn more_that_end_at_once_than_actions_find_room_end_in_as_many_turns_as_that_takes() {
        let mut live = live();
        let mut bandwidth = BandwidthDetection::new(&Settings::default());
        let clients = 3 * FEATURE_ACTIONS as u32;
        for slot in 0..clients {
            hear(&mut bandwidth, Happened::Joined { conn: conn(slot), app: APP }, &live, 0);
            hear(&mut bandwidth, Happened::BandwidthWanted { conn: conn(slot), reply: true }, &live, 0);
        }
        let mut said = Vec::new();
        let mut turns = 0;
        while let Some(at) = bandwidth.wake_at() {
            let mut out = Actions::default();
            bandwidth.turn(&mut live, at, &mut out);
            said.extend(core::iter::from_fn(|| out.take()));
            turns += 1;
        }
        let told = said.iter().filter(|action| matches!(action, Action::ReportBandwidth { .. })).count();
        let asked = said.iter().filter(|action| matches!(action, Action::Ask { dialect: Dialect::Other, .. })).count();
        assert_eq!((told, asked, bandwidth.under_way()), (clients as usize, clients as usize, 0));
        assert!(turns <= 8, "{turns}");
    }
}
