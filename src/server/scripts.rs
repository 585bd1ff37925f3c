//! Server-side code of all applications: instances, the engine, their time, and what is under way. What is done with it stands in
//! [`scripting`](super::scripting).

use crate::features::script::{ClientId, Question, Scripts};
use crate::handles::{ConnId, SlotIndex};
use crate::live::settings::Settings;

use super::instances::Instances;
use super::script_time::ScriptTime;

/// Server-side code of all applications.
pub(super) struct Scripting {
    pub(super) instances: Instances,
    pub(super) engine: Scripts,
    pub(super) time: ScriptTime,
    /// Bytes that wait in all outboxes.
    pub(super) outboxes_bytes: usize,
    /// Actions are being carried out; what they cause is put behind them.
    pub(super) acting: bool,
    /// Questions asked so far, as far as 32 bits count.
    pub(super) questions: u32,
    /// Whose request or call is at hand.
    pub(super) asking: Option<ConnId>,
}

impl Scripting {
    /// No instance is loaded. `clock` is in microseconds from any point on.
    pub(super) fn new(settings: &Settings, clock: fn() -> u64) -> Scripting {
        let instances = settings.script_instances as usize;
        Scripting {
            instances: Instances::new(instances),
            engine: Scripts::new(instances, clock),
            time: ScriptTime::new(settings.script_share_percent),
            outboxes_bytes: 0,
            acting: false,
            questions: 0,
            asking: None,
        }
    }

    /// A question that no other is taken for.
    pub(super) fn question(&mut self, conn: ConnId, transaction: f64) -> Question {
        self.questions = self.questions.wrapping_add(1);
        Question { client: client_id(conn), number: self.questions, transaction }
    }

    /// Scripts may have another share of the time.
    pub(super) fn reconfigure(&mut self, settings: &Settings) {
        self.time = ScriptTime::new(settings.script_share_percent);
    }
}

/// The handle that scripts know a connection by.
pub(super) fn client_id(conn: ConnId) -> ClientId {
    ClientId(u64::from(conn.generation) << 32 | u64::from(conn.slot.0))
}

/// The connection that they know by it.
pub(super) fn conn_id(client: ClientId) -> ConnId {
    ConnId { slot: SlotIndex(client.0 as u32), generation: (client.0 >> 32) as u32 }
}
