//! Server-side code of all applications: instances, the processes that they run in, and what is under way. What is done with it
//! stands in [`scripting`](super::scripting), what comes of it in [`script_says`](super::script_says).

use std::boxed::Box;

use crate::features::script::hosts::ScriptHost;
use crate::handles::{AppId, ConnId, HostIndex, SlotIndex};
use crate::live::settings::{ScriptProcess, Settings};
use crate::time::Millis;
use crate::wire::bytes::Full;
use crate::wire::script_link::{ClientId, InstanceId, Question, ToHost};

use super::broadcasts::Broadcasts;
use super::instances::{InstanceIndex, InstanceState, Instances};
use super::outbox::Outboxes;

/// Server-side code of all applications.
pub(super) struct Scripting {
    pub(super) instances: Instances,
    hosts: Box<[ScriptHost]>,
    scope: ScriptProcess,
    /// What waits for clients.
    pub(super) outboxes: Outboxes,
    /// Questions asked so far, as far as 32 bits count.
    questions: u32,
    /// Somebody was told something that is not on its way.
    untold: bool,
    /// The log has told what processes have to do without.
    is_without_told: bool,
    /// What clients wait for may be there: a place, a process, room to tell it something.
    pub(super) retry: bool,
    /// What they have the server publish.
    pub(super) broadcasts: Broadcasts,
}

impl Scripting {
    /// No instance is loaded, and no process runs.
    pub(super) fn new(settings: &Settings) -> Scripting {
        let slots = settings.slots();
        Scripting {
            instances: Instances::new(settings.script_instances as usize),
            hosts: core::iter::repeat_with(|| ScriptHost::new(slots)).take(settings.script_hosts()).collect(),
            scope: settings.script_process,
            outboxes: Outboxes::new(settings.script_hosts() > 0),
            questions: 0,
            broadcasts: Broadcasts::new(Broadcasts::count(settings.script_hosts())),
            untold: false,
            is_without_told: false,
            retry: false,
        }
    }

    /// A question that no other is taken for.
    pub(super) fn question(&mut self, conn: ConnId, transaction: f64) -> Question {
        self.questions = self.questions.wrapping_add(1);
        Question { client: client_id(conn), number: self.questions, transaction }
    }

    /// The process in which the instances of an application run, or are to. `None` when there is none to be had before another
    /// has ended.
    pub(super) fn host_for(&self, app: AppId) -> Option<HostIndex> {
        let place = |at: usize| HostIndex(at as u16);
        match self.scope {
            ScriptProcess::Server => (!self.hosts.is_empty()).then_some(HostIndex(0)),
            ScriptProcess::Application => {
                let its_own = self.hosts.iter().position(|host| host.app == Some(app));
                its_own.or_else(|| self.hosts.iter().position(|host| host.app.is_none())).map(place)
            }
        }
    }

    /// An instance of the application is to run in the process.
    pub(super) fn assign(&mut self, host: HostIndex, app: AppId) {
        if self.scope == ScriptProcess::Application {
            self.host_mut(host).app = Some(app);
        }
    }

    pub(super) fn host(&self, host: HostIndex) -> &ScriptHost {
        &self.hosts[usize::from(host.0)]
    }

    pub(super) fn host_mut(&mut self, host: HostIndex) -> &mut ScriptHost {
        &mut self.hosts[usize::from(host.0)]
    }

    /// Every process, running or not.
    pub(super) fn hosts(&self) -> impl Iterator<Item = HostIndex> + use<> {
        (0..self.hosts.len() as u16).map(HostIndex)
    }

    /// The instances that run, or are to run, in the process.
    pub(super) fn instances_of(&self, host: HostIndex) -> impl Iterator<Item = InstanceIndex> {
        let lives = |state| !matches!(state, InstanceState::Stopped { .. });
        let all = self.instances.iter();
        all.filter(move |(_, instance)| instance.host == host && lives(instance.state)).map(|(index, _)| index)
    }

    /// The instance that is called so by its process, and is no matter of the past.
    pub(super) fn speaker(&self, host: HostIndex, script: InstanceId) -> Option<InstanceIndex> {
        let index = self.instances.of(host, script)?;
        let state = self.instances.instance(index)?.state;
        (!matches!(state, InstanceState::Stopped { .. })).then_some(index)
    }

    /// What its process calls the instance, if its script runs.
    pub(super) fn running(&self, index: InstanceIndex) -> Option<InstanceId> {
        self.instances.instance(index).filter(|instance| instance.is_running()).map(|instance| instance.script)
    }

    /// Tells the process of an instance what can wait.
    ///
    /// # Errors
    ///
    /// Those of [`ScriptHost::tell`].
    pub(super) fn tell(&mut self, index: InstanceIndex, message: &ToHost<'_>, now: Millis) -> Result<(), Full> {
        let Some(instance) = self.instances.instance(index) else { return Ok(()) };
        self.untold = true;
        self.hosts[usize::from(instance.host.0)].tell(message, now)
    }

    /// How much the process of the instance was told, as [`ScriptHost::is_through`] takes it.
    pub(super) fn told(&self, index: InstanceIndex) -> u32 {
        self.instances.instance(index).map_or(0, |instance| self.host(instance.host).told())
    }

    /// Tells it what cannot wait: see [`ScriptHost::must_tell`].
    pub(super) fn must_tell(&mut self, index: InstanceIndex, message: &ToHost<'_>, now: Millis) {
        let Some(instance) = self.instances.instance(index) else { return };
        self.untold = true;
        self.hosts[usize::from(instance.host.0)].must_tell(message, now);
    }

    /// Something is to be done for processes. Asking takes it.
    pub(super) fn take_untold(&mut self) -> bool {
        core::mem::take(&mut self.untold)
    }

    /// Something is to be done for processes.
    pub(super) fn is_untold(&self) -> bool {
        self.untold
    }

    /// Whether it is to be told in the log that processes have to do without something, which is said once.
    pub(super) fn is_first_without(&mut self) -> bool {
        !core::mem::replace(&mut self.is_without_told, true)
    }

    /// Something is to be done for processes in this turn, or the next.
    pub(super) fn tend(&mut self) {
        self.untold = true;
    }
}

/// The handle that scripts know a connection by.
pub(super) fn client_id(conn: ConnId) -> ClientId {
    ClientId(u64::from(conn.generation) << 32 | u64::from(conn.slot.0))
}

/// The connection that they know by it. It is a process's word: there may be no such slot.
pub(super) fn conn_id(client: ClientId) -> ConnId {
    ConnId { slot: SlotIndex(client.0 as u32), generation: (client.0 >> 32) as u32 }
}
