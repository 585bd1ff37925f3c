//! How often something may happen: so many times a second in the long run, and some more at once after a pause. A token
//! is a log line, or a byte on a connection.

/// A token bucket. It is full at first.
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    per_second: u32,
    burst: u32,
    /// Thousandths of a token, because a millisecond brings less than one. Below 0 more was spent than was there.
    millitokens: i64,
    filled_ms: u64,
}

/// A whole token.
const TOKEN: i64 = 1000;

impl TokenBucket {
    /// Lets `burst` through at once and `per_second` in the long run.
    pub const fn new(per_second: u32, burst: u32) -> TokenBucket {
        TokenBucket { per_second, burst, millitokens: burst as i64 * TOKEN, filled_ms: 0 }
    }

    /// Tokens a second in the long run.
    pub const fn per_second(&self) -> u32 {
        self.per_second
    }

    /// Tokens that a pause brings at most.
    pub const fn burst(&self) -> u32 {
        self.burst
    }

    /// Takes a token at `now_ms`, a time in milliseconds that does not go back; `false` when there is none.
    pub fn take(&mut self, now_ms: u64) -> bool {
        let there = self.available(now_ms) > 0;
        if there {
            self.spend(1);
        }
        there
    }

    /// Whole tokens that are there at `now_ms`.
    pub fn available(&mut self, now_ms: u64) -> u32 {
        let passed_ms = now_ms.saturating_sub(self.filled_ms);
        let gained = i64::try_from(passed_ms).unwrap_or(i64::MAX).saturating_mul(i64::from(self.per_second));
        self.filled_ms = now_ms;
        self.millitokens = self.millitokens.saturating_add(gained).min(i64::from(self.burst) * TOKEN);
        u32::try_from(self.millitokens / TOKEN).unwrap_or(0)
    }

    /// Takes `tokens`, there or not: what is missing must come in before there are any again.
    pub fn spend(&mut self, tokens: u64) {
        let spent = i64::try_from(tokens).unwrap_or(i64::MAX).saturating_mul(TOKEN);
        self.millitokens = self.millitokens.saturating_sub(spent);
    }

    /// When there will be `tokens`, in milliseconds of the same clock, if none is spent: never for more than the burst, or
    /// without a rate.
    pub fn ready_ms(&self, tokens: u32) -> Option<u64> {
        let missing = (i64::from(tokens) * TOKEN).saturating_sub(self.millitokens).max(0) as u64;
        if missing == 0 {
            return Some(self.filled_ms);
        }
        if tokens > self.burst || self.per_second == 0 {
            return None;
        }
        Some(self.filled_ms.saturating_add(missing.div_ceil(u64::from(self.per_second))))
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

    #[test]
    fn what_was_spent_beyond_comes_in_before_there_are_tokens_again() {
        let mut bucket = TokenBucket::new(1000, 200);
        assert_eq!(bucket.available(50), 200);
        bucket.spend(1200);
        assert_eq!((bucket.available(60), bucket.available(1050)), (0, 0));
        assert_eq!(bucket.ready_ms(1), Some(1051));
        assert_eq!(bucket.available(1051), 1);
        assert_eq!((bucket.ready_ms(200), bucket.ready_ms(201)), (Some(1250), None));
        assert_eq!(bucket.available(1250), 200);
        assert_eq!(bucket.available(u64::MAX), 200);
        bucket.spend(u64::MAX);
        assert_eq!(bucket.available(u64::MAX), 0);
    }

    #[test]
    fn a_rate_slower_than_a_token_a_millisecond_loses_none() {
        let mut bucket = TokenBucket::new(3, 2);
        assert!(bucket.take(0) && bucket.take(0) && !bucket.take(0));
        assert_eq!((1..=100_000).filter(|&ms| bucket.take(ms)).count(), 300);
    }
}
