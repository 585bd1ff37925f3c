//! What somebody who looks after the server may do to it.

use crate::time::Millis;

use super::Server;
use super::close::CloseReason;
use super::slots::{ConnId, SlotState};

/// What clients of an application that is shut down are told.
const APP_SHUTDOWN: &str = "The application is shutting down.";

impl Server {
    /// Tells a client to go, and ends its connection when it has read that. False when it is gone already.
    pub fn disconnect(&mut self, conn: ConnId, now: Millis) -> bool {
        // The id was typed by somebody: there may be no such slot.
        let known = conn.slot.at() < self.slots.count();
        if !known || self.slots.connection(conn).is_none_or(|slot| slot.state != SlotState::Open) {
            return false;
        }
        self.now = now;
        self.close_after_flush(conn, CloseReason::Operator, now);
        true
    }

    /// Ends an application's instance, or with `None` each of them: its clients are told so and go. They may come back at
    /// once, to a fresh one. Returns how many clients there were.
    pub fn unload(&mut self, app: &str, instance: Option<&str>, now: Millis) -> usize {
        self.send_away(app, instance, now)
    }

    /// Ends an application: all its clients are told so and go. Returns how many there were.
    pub fn shutdown_app(&mut self, app: &str, now: Millis) -> usize {
        self.send_away(app, None, now)
    }

    fn send_away(&mut self, app: &str, instance: Option<&str>, now: Millis) -> usize {
        let Some(app) = self.registry.app(app) else { return 0 };
        self.now = now;
        let (mut from, mut count) = (0, 0);
        while let Some(index) = self.slots.next_taken(from) {
            from = index.at() + 1;
            let slot = self.slots.peek(index);
            let other = |wanted: &str| slot.session.client().path.instance != wanted;
            if slot.state != SlotState::Open || slot.app != Some(app) || instance.is_some_and(other) {
                continue;
            }
            let conn = self.slots.id(index);
            self.say_goodbye(conn, Some(APP_SHUTDOWN));
            self.close_after_flush(conn, CloseReason::Operator, now);
            count += 1;
        }
        count
    }
}
