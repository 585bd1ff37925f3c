//! How fast a connection may be: what it is sent and what is read of it.
//!
//! A token is a byte. A player who has none is sent no more when the present frame is complete: what waits behind it (its
//! answers, a ping) never waits for tokens, and the ring does not pass it in the middle of a frame. Frames that it does
//! not get in time are lag like any other, so that it goes on at a later key frame (`live.player_lag_ms`). From a client
//! that has none nothing is read: what it sends fills the kernel's buffers, until TCP lets it wait.

use crate::handles::{ConnId, SlotIndex};
use crate::live::app::Bandwidth;
use crate::time::Millis;
use crate::token_bucket::TokenBucket;

use super::Server;
use super::alarms::Alarm;
use super::fanout::WRITE_BYTES;
use super::slots::{Slot, SlotState};
use super::wakes::Held;

/// A pause brings tokens for this long, in milliseconds.
const BURST_MS: u32 = 200;
/// A connection without tokens waits for this part of a burst, so that it is not woken for every byte.
const WORTHWHILE: u32 = 4;
/// Waiting connections are looked at so many milliseconds apart, so that their number does not wake the loop more often.
const LOOK_MS: u64 = 10;
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

impl Slot {
    /// Takes tokens for what it was sent beyond `charged` bytes.
    #[cold]
    pub(super) fn charge(&mut self, charged: &mut u64) {
        if let Some(bucket) = &mut self.limits.to_client {
            bucket.spend(self.bytes_out - *charged);
        }
        *charged = self.bytes_out;
    }

    /// It has no tokens to be sent more.
    pub(super) fn is_dry(&mut self, now: Millis) -> bool {
        self.limited && self.limits.bytes(now) == 0
    }

    /// When it is worth while to send to it again.
    fn send_again(&mut self, now: Millis) -> Millis {
        if self.is_dry(now) {
            return worthwhile(&self.limits.to_client);
        }
        now
    }
}

fn bucket(bytes_s: u32) -> Option<TokenBucket> {
    let burst = u64::from(bytes_s) * u64::from(BURST_MS) / 1000;
    (bytes_s > 0).then(|| TokenBucket::new(bytes_s, (burst as u32).max(1)))
}

fn rate(limit: &Option<TokenBucket>) -> u32 {
    limit.as_ref().map_or(0, TokenBucket::per_second)
}

fn worthwhile(bucket: &Option<TokenBucket>) -> Millis {
    let ready = bucket.as_ref().and_then(|bucket| bucket.ready_ms((bucket.burst() / WORTHWHILE).max(1)));
    // Without a bucket no connection waits.
    Millis(ready.unwrap_or(0))
}

impl Server {
    /// Limits what a client is sent and what is read of it, in bytes a second, from now on. 0 is no limit; `None` leaves a
    /// direction as it is. In the long run it is exact; after a pause a fifth of a second's worth goes at once, and a
    /// frame that was begun is sent whole. Does nothing when the connection is gone or was told to go.
    pub fn limit_bandwidth(&mut self, conn: ConnId, to_client: Option<u32>, to_server: Option<u32>) {
        let Some(slot) = self.slots.connection(conn).filter(|slot| slot.state == SlotState::Open) else { return };
        // To say the same again brings no new tokens.
        let set = |limit: &mut Option<TokenBucket>, bytes_s: Option<u32>| match bytes_s {
            Some(bytes_s) if bytes_s != rate(limit) => *limit = bucket(bytes_s),
            _ => {}
        };
        set(&mut slot.limits.to_client, to_client);
        set(&mut slot.limits.to_server, to_server);
        slot.limited = slot.limits.to_client.is_some();
        // Who waits for tokens may have some now.
        if self.wakes.let_go(Held::ToSend, conn.slot) {
            self.wakes.send(conn.slot);
        }
        if self.wakes.let_go(Held::ToRead, conn.slot) {
            self.wakes.read(conn.slot);
        }
    }

    /// The limits in force, to the client and to the server, in bytes a second; 0 is none. The same when the connection
    /// is gone.
    pub fn bandwidth_limit(&self, conn: ConnId) -> (u32, u32) {
        let Some(slot) = self.slots.look(conn) else { return (0, 0) };
        (rate(&slot.limits.to_client), rate(&slot.limits.to_server))
    }

    /// What holds for the connection.
    fn bandwidth_settings(&self, conn: ConnId) -> Bandwidth {
        let app = self.slots.look(conn).and_then(|slot| self.live.apps.definition(slot.app?));
        app.map_or(self.settings.bandwidth, |app| app.limits.bandwidth)
    }

    /// A new connection has the limits of its application.
    pub(super) fn limit_new(&mut self, conn: ConnId) {
        let settings = self.bandwidth_settings(conn);
        self.limit_bandwidth(conn, Some(settings.to_client_bytes_s), Some(settings.to_server_bytes_s));
    }

    /// The client was sent all it may be for now.
    pub(super) fn wait_to_send(&mut self, index: SlotIndex, now: Millis) {
        let at = self.slots.at(index).send_again(now);
        self.wakes.hold(Held::ToSend, index);
        self.look_at(at);
    }

    /// All was read of the client that may be for now.
    pub(super) fn wait_to_read(&mut self, index: SlotIndex) {
        let at = worthwhile(&self.slots.at(index).limits.to_server);
        self.wakes.hold(Held::ToRead, index);
        self.look_at(at);
    }

    /// Looks at connections that wait for tokens.
    pub(super) fn wake_paced(&mut self, now: Millis) {
        if !self.alarms.rings(Alarm::Pace, now) {
            return;
        }
        self.alarms.set(Alarm::Pace, None);
        let mut from = 0;
        while let Some(index) = self.wakes.next_held(Held::ToSend, from) {
            from = index.at() + 1;
            let at = self.slots.at(index).send_again(now);
            if at > now {
                self.look_at(at);
            } else {
                self.wakes.let_go(Held::ToSend, index);
                self.wakes.send(index);
            }
        }
        let mut from = 0;
        while let Some(index) = self.wakes.next_held(Held::ToRead, from) {
            from = index.at() + 1;
            let at = worthwhile(&self.slots.at(index).limits.to_server);
            if at > now {
                self.look_at(at);
            } else {
                self.wakes.let_go(Held::ToRead, index);
                self.wakes.read(index);
            }
        }
    }

    fn look_at(&mut self, at: Millis) {
        let at = Millis(at.0.div_ceil(LOOK_MS).saturating_mul(LOOK_MS));
        self.alarms.by(Alarm::Pace, at);
    }
}
