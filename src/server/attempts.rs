//! How many wrong keys or passwords addresses have sent: who has sent several waits, so that none is found by trying.

use crate::limits::ATTEMPT_ADDRESSES;
use crate::live::holder::Household;
use crate::time::Millis;

/// Wrong ones that an address may send until it has to wait.
pub(super) const ATTEMPTS: u8 = 5;
/// How long it waits then, in milliseconds; and how long an attempt is counted.
pub(super) const ATTEMPTS_MS: u64 = 60_000;

/// What is known of addresses.
#[derive(Default)]
pub(super) struct Attempts(heapless::Vec<Attempt, ATTEMPT_ADDRESSES>);

struct Attempt {
    by: Household,
    count: u8,
    last: Millis,
}

impl Attempts {
    /// How long an address has to wait until it may try another, in milliseconds.
    pub(super) fn wait_ms(&self, by: Household, now: Millis) -> Option<u64> {
        let attempt = self.0.iter().find(|attempt| attempt.by == by)?;
        let waited_ms = now.since(attempt.last);
        (attempt.count >= ATTEMPTS && waited_ms < ATTEMPTS_MS).then(|| ATTEMPTS_MS - waited_ms)
    }

    /// An address has sent a wrong one.
    pub(super) fn failed(&mut self, by: Household, now: Millis) {
        self.0.retain(|attempt| now.since(attempt.last) < ATTEMPTS_MS);
        let count = match self.0.iter().position(|attempt| attempt.by == by) {
            Some(at) => self.0.swap_remove(at).count.saturating_add(1),
            None => 1,
        };
        if self.0.is_full()
            && let Some(oldest) = (0..self.0.len()).min_by_key(|&at| self.0[at].last)
        {
            self.0.swap_remove(oldest);
        }
        let _ = self.0.push(Attempt { by, count, last: now });
    }

    /// An address has sent the right one.
    pub(super) fn succeeded(&mut self, by: Household) {
        self.0.retain(|attempt| attempt.by != by);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_sends_wrong_keys_waits_and_others_do_not() {
        let mut attempts = Attempts::default();
        let (evil, other) = (Household(1), Household(2));
        for at in 0..u64::from(ATTEMPTS) {
            assert_eq!(attempts.wait_ms(evil, Millis(at)), None);
            attempts.failed(evil, Millis(at));
        }
        assert_eq!(attempts.wait_ms(evil, Millis(1004)), Some(ATTEMPTS_MS - 1000));
        assert_eq!(attempts.wait_ms(other, Millis(1004)), None);
        assert_eq!(attempts.wait_ms(evil, Millis(ATTEMPTS_MS + 4)), None);
        attempts.failed(other, Millis(2000));
        attempts.succeeded(evil);
        assert_eq!(attempts.wait_ms(evil, Millis(2000)), None);
        // A full table forgets who was seen longest ago.
        for at in 0..ATTEMPT_ADDRESSES as u64 + 9 {
            attempts.failed(Household(100 + at), Millis(3000 + at));
        }
        assert_eq!(attempts.0.len(), ATTEMPT_ADDRESSES);
    }
}
