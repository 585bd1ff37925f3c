//! How fast a connection may be: what it is sent and what is read of it.
//!
//! A token is a byte. A player who has none is sent no more when the present frame is complete: what waits behind it (its
//! answers, a ping) never waits for tokens, and the ring does not pass it in the middle of a frame. Frames that it does
//! not get in time are lag like any other, so that it goes on at a later key frame (`live.player_lag_ms`). From a client
//! that has none nothing is read: what it sends fills the kernel's buffers, until TCP lets it wait.

use crate::time::Millis;
use crate::token_bucket::TokenBucket;

/// A pause brings tokens for this long, in milliseconds.
const BURST_MS: u32 = 200;
/// A connection without tokens waits for this part of a burst, so that it is not woken for every byte.
const WORTHWHILE: u32 = 4;
/// Most bytes of one write to one player: a burst at its join must not hold up the others.
pub(super) const WRITE_BYTES: usize = 256 * 1024;

/// How fast a connection may be. `None` is as fast as it can.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// What it is sent.
    pub to_client: Option<TokenBucket>,
    /// What it sends.
    pub to_server: Option<TokenBucket>,
}

impl Limits {
    /// Bytes that the client may be sent now.
    #[cold]
    pub(super) fn bytes(&mut self, now: Millis) -> usize {
        self.to_client.as_mut().map_or(usize::MAX, |bucket| bucket.available(now.0) as usize).min(WRITE_BYTES)
    }
}

pub(super) fn bucket(bytes_s: u32) -> Option<TokenBucket> {
    let burst = u64::from(bytes_s) * u64::from(BURST_MS) / 1000;
    (bytes_s > 0).then(|| TokenBucket::new(bytes_s, (burst as u32).max(1)))
}

pub(super) fn rate(limit: &Option<TokenBucket>) -> u32 {
    limit.as_ref().map_or(0, TokenBucket::per_second)
}

pub(super) fn worthwhile(bucket: &Option<TokenBucket>) -> Millis {
    let ready = bucket.as_ref().and_then(|bucket| bucket.ready_ms((bucket.burst() / WORTHWHILE).max(1)));
    // Without a bucket no connection waits.
    Millis(ready.unwrap_or(0))
}
