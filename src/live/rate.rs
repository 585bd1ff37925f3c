//! How fast a count of bytes grows.

use crate::time::Millis;

/// From one look at a count to the next, in milliseconds: the time over which its growth is measured.
const LOOK_MS: u64 = 2000;

/// What is remembered of a count to say how fast it grows. It is looked at from time to time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rate {
    counted: u64,
    at: Millis,
    bits_per_second: u64,
}

impl Rate {
    /// Of a count that begins at 0 now.
    pub const fn from(now: Millis) -> Rate {
        Rate { counted: 0, at: now, bits_per_second: 0 }
    }

    /// The count is `bytes` now. One that has gone back has begun anew.
    pub fn look(&mut self, bytes: u64, now: Millis) {
        let took_ms = now.since(self.at);
        if took_ms >= LOOK_MS {
            let more = bytes.saturating_sub(self.counted);
            *self = Rate { counted: bytes, at: now, bits_per_second: more.saturating_mul(8000) / took_ms };
        }
    }

    /// How much it has grown between the last two looks at it, in bits a second.
    pub const fn bits_per_second(self) -> u64 {
        self.bits_per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_the_last_two_looks_that_lie_far_enough_apart() {
        let mut rate = Rate::from(Millis(1000));
        rate.look(1_000_000, Millis(2999));
        assert_eq!(rate.bits_per_second(), 0);
        rate.look(1_000_000, Millis(3000));
        assert_eq!(rate.bits_per_second(), 4_000_000);
        // It has begun anew.
        rate.look(500, Millis(5000));
        assert_eq!(rate.bits_per_second(), 0);
        rate.look(1500, Millis(9000));
        assert_eq!(rate.bits_per_second(), 2000);
    }
}
