//! How often something may happen: so many times a second in the long run, and some more at once after a pause.

/// A token bucket. It is full at first.
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    per_second: u32,
    burst: u32,
    /// Thousandths of a token, because a millisecond brings less than one.
    millitokens: u64,
    filled_ms: u64,
}

/// A whole token.
const TOKEN: u64 = 1000;

impl TokenBucket {
    /// Lets `burst` through at once and `per_second` in the long run.
    pub const fn new(per_second: u32, burst: u32) -> TokenBucket {
        TokenBucket { per_second, burst, millitokens: burst as u64 * TOKEN, filled_ms: 0 }
    }

    /// Takes a token at `now_ms`, a time in milliseconds that does not go back; `false` when there is none.
    pub fn take(&mut self, now_ms: u64) -> bool {
        let gained = now_ms.saturating_sub(self.filled_ms).saturating_mul(u64::from(self.per_second));
        self.filled_ms = now_ms;
        self.millitokens = self.millitokens.saturating_add(gained).min(u64::from(self.burst) * TOKEN);
        let there = self.millitokens >= TOKEN;
        if there {
            self.millitokens -= TOKEN;
        }
        there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_at_once_and_then_so_many_a_second() {
        let mut bucket = TokenBucket::new(200, 1000);
        assert_eq!((0..5000).filter(|_| bucket.take(0)).count(), 1000);
        assert_eq!((1..=10_000).filter(|&ms| bucket.take(ms)).count(), 2000);
        assert_eq!((0..5000).filter(|_| bucket.take(3_600_000)).count(), 1000);
    }
}
