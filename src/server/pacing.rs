//! Connections whose speed is limited ([`super::pace`]) wait for tokens, and go on when it is worth while.

use crate::handles::{ConnId, SlotIndex};
use crate::live::app::Bandwidth;
use crate::time::Millis;
use crate::token_bucket::TokenBucket;

use super::Server;
use super::alarms::Alarm;
use super::pace::{bucket, rate, worthwhile};
use super::slot::{Slot, SlotState};
use super::wakes::Held;

/// Waiting connections are looked at so many milliseconds apart, so that their number does not wake the loop more often.
const LOOK_MS: u64 = 10;

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
