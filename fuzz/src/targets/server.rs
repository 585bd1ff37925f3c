//! The whole server on the fake network, in a storm that the bytes direct: every player gets what it should, and all is
//! released. What a player may get is what the ledger of tests/sim says.

use crate::sim::Random;
use crate::storm;

/// Each choice of the storm is a byte or two; when they are used up, the storm calms down.
pub fn run(bytes: &[u8]) {
    if !bytes.is_empty() {
        storm::run(Random::by(bytes));
    }
}
