//! The share of the loop's time for scripts. Each call into one has its time limit, but a script whose clients call it all the
//! time would still leave none to the streams of others: so there is a share for all scripts together, and a smaller one
//! for each turn of the loop. Clients whose script is out of time are read, or asked about, later.

use crate::time::Millis;
use crate::token_bucket::TokenBucket;

/// After a pause scripts may run so long at once, in microseconds.
const BURST_US: u32 = 50_000;
/// Waiting clients are looked at when there is so much again, in microseconds.
const WORTHWHILE_US: u32 = 5000;
/// Then players are served before scripts go on, in microseconds.
pub(super) const TURN_US: u64 = 5000;

/// What scripts have used, and who waits for them.
pub(super) struct ScriptTime {
    /// Microseconds.
    pub(super) share: TokenBucket,
    /// Microseconds used in this turn.
    pub(super) turn_us: u64,
}

impl ScriptTime {
    /// `share_percent` of the time, 1 to 100.
    pub(super) fn new(share_percent: u32) -> ScriptTime {
        ScriptTime { share: TokenBucket::new(share_percent * 10_000, BURST_US), turn_us: 0 }
    }

    /// When waiting clients are to be looked at.
    pub(super) fn ready(&self) -> Millis {
        // The share is not 0 and the burst is larger.
        Millis(self.share.ready_ms(WORTHWHILE_US).unwrap_or(0))
    }
}
