//! Key frames of a recording: where they lie, so that who plays it need not look for them.

use crate::limits::RECORDING_KEYS;
use crate::wire::flv_front::KeyPlace;

/// At most [`RECORDING_KEYS`] of them. When one more comes, every other one goes, and from then on half as many are kept.
pub(super) struct Keys {
    places: heapless::Vec<KeyPlace, RECORDING_KEYS>,
    /// One of so many is kept.
    every: u32,
    /// So many were not, since the last that was.
    passed: u32,
}

impl Keys {
    pub(super) const fn new() -> Keys {
        Keys { places: heapless::Vec::new(), every: 1, passed: 0 }
    }

    pub(super) fn clear(&mut self) {
        self.places.clear();
        (self.every, self.passed) = (1, 0);
    }

    /// One more, behind all others.
    pub(super) fn push(&mut self, key: KeyPlace) {
        if !self.places.is_empty() && self.passed + 1 < self.every {
            self.passed += 1;
            return;
        }
        self.passed = 0;
        if self.places.push(key).is_err() {
            for at in 0..RECORDING_KEYS / 2 {
                self.places[at] = self.places[2 * at];
            }
            self.places.truncate(RECORDING_KEYS / 2);
            self.every *= 2;
            // The last that went was as far behind the last that stayed as one is now kept behind another.
            let _ = self.places.push(key);
        }
    }

    /// What lies at `at` or behind it is not in the file after all.
    pub(super) fn cut(&mut self, at: u64) {
        let kept = self.places.partition_point(|key| key.at < at);
        self.places.truncate(kept);
    }

    pub(super) fn places(&self) -> &[KeyPlace] {
        &self.places
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_there_are_those_that_are_kept_lie_evenly_and_none_is_made_up() {
        let mut keys = Keys::new();
        for n in 0..10 * RECORDING_KEYS as u32 {
            keys.push(KeyPlace { ms: n * 1000, at: u64::from(n) * 7 });
            let places = keys.places();
            assert_eq!(places[0].ms, 0);
            assert!(places.iter().all(|key| key.at == u64::from(key.ms / 1000) * 7));
            let steps = places.windows(2).map(|pair| pair[1].ms - pair[0].ms);
            let (least, most) = (steps.clone().min().unwrap_or(0), steps.max().unwrap_or(0));
            assert!(most <= 2 * least && most <= 16_000, "{least} {most}");
        }
        assert!(keys.places().len() > RECORDING_KEYS / 2);
        keys.cut(7 * 2000);
        assert!(keys.places().last().unwrap().ms < 2_000_000);
    }
}
