//! The share of the loop's time for scripts. Each call into one has its time limit, but a script whose clients call it all the
//! time would still leave none to the streams of others: so there is a share for all scripts together, and a smaller one
//! for each turn of the loop. Clients whose script is out of time are read, or asked about, later.

use crate::handles::ConnId;
use crate::time::Millis;
use crate::token_bucket::TokenBucket;

use super::Server;
use super::connect::Joining;
use super::wakes::Held;

/// After a pause scripts may run so long at once, in microseconds.
const BURST_US: u32 = 50_000;
/// Waiting clients are looked at when there is so much again, in microseconds.
const WORTHWHILE_US: u32 = 5000;
/// Then players are served before scripts go on, in microseconds.
const TURN_US: u64 = 5000;

/// What scripts have used, and who waits for them.
pub(super) struct ScriptTime {
    /// Microseconds.
    share: TokenBucket,
    /// Microseconds used in this turn.
    turn_us: u64,
}

impl ScriptTime {
    /// `share_percent` of the time, 1 to 100.
    pub(super) fn new(share_percent: u32) -> ScriptTime {
        ScriptTime { share: TokenBucket::new(share_percent * 10_000, BURST_US), turn_us: 0 }
    }

    /// When waiting clients are to be looked at.
    fn ready(&self) -> Millis {
        // The share is not 0 and the burst is larger.
        Millis(self.share.ready_ms(WORTHWHILE_US).unwrap_or(0))
    }
}

impl Server {
    /// Scripts may run now. What they have used since it was last asked is counted.
    pub(super) fn scripts_may_run(&mut self, now: Millis) -> bool {
        let spent_us = self.scripting.engine.take_spent_us();
        self.scripting.time.turn_us += spent_us;
        self.scripting.time.share.spend(spent_us);
        self.scripting.time.turn_us < TURN_US && self.scripting.time.share.available(now.0) > 0
    }

    /// The connection goes on when its script has time again.
    pub(super) fn wait_for_script(&mut self, conn: ConnId) {
        self.wakes.rest(conn.slot);
        self.wakes.hold(Held::Script, conn.slot);
    }

    /// A turn begins: waiting clients go on as far as there is time.
    pub(super) fn wake_scripts(&mut self, now: Millis) {
        self.scripting.time.turn_us = 0;
        self.run_actions(now);
        let mut from = 0;
        while self.scripts_may_run(now)
            && let Some(slot) = self.wakes.next_held(Held::Script, from)
        {
            from = slot.at() + 1;
            self.wakes.let_go(Held::Script, slot);
            let conn = self.slots.id(slot);
            match self.slots.peek_client(slot).map(|(slot, rtmp)| (rtmp.joining, slot.app)) {
                Some((Joining::Queued { .. }, Some(_))) => self.join(conn, now),
                _ => self.wakes.read(slot),
            }
        }
    }

    /// When scripts, and clients that wait for them, are to be looked at again.
    pub(super) fn next_script(&self) -> Option<Millis> {
        let waits = self.wakes.holds_any(&[Held::Script]) || self.scripting.engine.has_actions();
        let waits = waits.then_some(Millis(0));
        let next = [waits, self.scripting.engine.next_timer()].into_iter().flatten().min()?;
        Some(next.max(self.scripting.time.ready()))
    }
}
