//! The operator's commands.

use crate::handles::ConnId;
use crate::time::Millis;

use super::Server;
use super::close::CloseReason;

impl Server {
    /// Tells a client to go, and ends its connection when it has read that. False when it is gone already.
    pub fn disconnect(&mut self, conn: ConnId, now: Millis) -> bool {
        if self.send_hls_away(conn) {
            return true;
        }
        // The id is the operator's input: there may be no such slot.
        let known = conn.slot.at() < self.slots.count();
        if !known || !self.slots.is_client(conn.slot) || self.slots.open(conn).is_none() {
            return false;
        }
        self.now = now;
        self.close_after_flush(conn, CloseReason::Operator, now);
        true
    }

    /// Ends an application's instance, or with `None` each of them: clients are told so and go, its script is unloaded. They
    /// may come back at once, to a fresh one. Returns how many clients there were; `None` when there is no such application,
    /// or no client in an instance of that name and no script of it.
    pub fn unload(&mut self, app: &str, instance: Option<&str>, now: Millis) -> Option<usize> {
        let id = self.live.apps.find(app)?;
        self.now = now;
        let clients = self.shut_down_clients(id, instance, now);
        let scripts = self.stop_instances(id, instance, now);
        (instance.is_none() || clients + scripts > 0).then_some(clients)
    }
}
