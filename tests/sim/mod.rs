//! A server, a network and clients in one process, without sockets and without a clock: what whole-server tests drive.

#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that meets what it did not expect has failed")]

pub mod browser;
pub mod card;
pub mod client;
pub mod digest;
pub mod disk_thread;
pub mod films;
#[cfg_attr(not(feature = "script"), path = "no_host.rs")]
pub mod host;
pub mod ledger;
pub mod net;
pub mod texts;
pub mod world;

use std::cell::Cell;
use std::collections::VecDeque;

thread_local! {
    /// The server is at work, and not the network or the clients that this process plays as well.
    pub static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// What the server does.
pub fn inside<R>(work: impl FnOnce() -> R) -> R {
    mark(true, work)
}

/// What the network does for it meanwhile.
pub fn outside<R>(work: impl FnOnce() -> R) -> R {
    mark(false, work)
}

fn mark<R>(inside: bool, work: impl FnOnce() -> R) -> R {
    let before = INSIDE.replace(inside);
    let result = work();
    INSIDE.set(before);
    result
}

/// A small generator, so that a seed says everything about a run; or choices that somebody made before, so that a fuzzer
/// directs it.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
    choices: Option<VecDeque<u8>>,
}

impl Random {
    pub fn new(seed: u64) -> Random {
        Random { state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5DEE_CE66_D1CE_4E5B, choices: None }
    }

    /// As long as there are bytes, they are what is chosen.
    pub fn by(bytes: &[u8]) -> Random {
        Random { choices: Some(bytes.iter().copied().collect()), ..Random::new(1) }
    }

    /// Every choice has been made.
    pub fn has_ended(&self) -> bool {
        self.choices.as_ref().is_some_and(VecDeque::is_empty)
    }

    pub fn next(&mut self) -> u64 {
        if let Some(choices) = self.choices.as_mut().filter(|choices| !choices.is_empty()) {
            return (0..4).fold(0, |number, _| number << 8 | u64::from(choices.pop_front().unwrap_or_default()));
        }
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// 0 to `bound - 1`.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = bound.max(1);
        match &mut self.choices {
            // One byte is enough, and leaves more of them to decide something.
            Some(choices) if bound <= 256 && !choices.is_empty() => {
                usize::from(choices.pop_front().unwrap_or_default()) % bound
            }
            _ => (self.next() % bound as u64) as usize,
        }
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}
