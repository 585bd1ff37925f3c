//! A build without a script engine: no instance can be loaded, so every other call meets one that does not exist.

use super::facts::{
    Access, ApplicationStats, CallFault, CallOutcome, ClientFacts, ClientId, ClientStats, Exhausted, Identity,
    InstanceId, LoadError, Question, ScriptAction, StopReason, StreamFacts,
};
use crate::live::app::{Budget, Source};
use crate::time::Millis;

/// Without an engine nothing is known of a script's text; that it cannot run is told when it is loaded.
#[allow(missing_docs, clippy::missing_errors_doc, reason = "documented where it does something")]
pub fn check(_source: &Source, _budget: Budget) -> Result<(), LoadError> {
    Ok(())
}

/// The application instances that have a script: in this build none. The methods are those of a build with scripts.
#[derive(Debug)]
pub struct Scripts;

#[allow(missing_docs, clippy::missing_errors_doc, reason = "documented where they do something")]
impl Scripts {
    pub fn new(_instances: usize, _clock: fn() -> u64) -> Self {
        Scripts
    }

    pub fn load(
        &mut self,
        _source: &Source,
        _identity: &Identity<'_>,
        _budget: Budget,
        _now: Millis,
    ) -> Result<InstanceId, LoadError> {
        Err(LoadError::NotBuilt)
    }

    pub fn connect(
        &mut self,
        _id: InstanceId,
        _client: ClientId,
        _facts: &ClientFacts<'_>,
        _arguments: &[u8],
        _now: Millis,
    ) -> Result<(), CallFault> {
        Err(CallFault::Gone)
    }

    pub fn disconnect(&mut self, _id: InstanceId, _client: ClientId, _now: Millis) -> Result<(), CallFault> {
        Err(CallFault::Gone)
    }

    pub fn call(
        &mut self,
        _id: InstanceId,
        _client: ClientId,
        _name: &str,
        _arguments: &[u8],
        _now: Millis,
    ) -> CallOutcome {
        CallOutcome::Gone
    }

    pub fn answer(
        &mut self,
        _id: InstanceId,
        _client: ClientId,
        _transaction: u32,
        _ok: bool,
        _arguments: &[u8],
        _now: Millis,
    ) -> Result<(), CallFault> {
        Err(CallFault::Gone)
    }

    pub fn publish(
        &mut self,
        _id: InstanceId,
        _client: ClientId,
        _stream: &StreamFacts<'_>,
        _now: Millis,
    ) -> Result<(), CallFault> {
        Err(CallFault::Gone)
    }

    pub fn unpublish(
        &mut self,
        _id: InstanceId,
        _client: ClientId,
        _stream: &StreamFacts<'_>,
        _now: Millis,
    ) -> Result<(), CallFault> {
        Err(CallFault::Gone)
    }

    pub fn allows(&mut self, _id: InstanceId, _client: ClientId, _access: Access, _stream: &str) -> bool {
        false
    }

    pub fn ask_call(&mut self, _id: InstanceId, _question: Question, _name: &str, _arguments: &[u8], _now: Millis) {}

    pub fn ask_access(&mut self, _id: InstanceId, _question: Question, _access: Access, _stream: &str) {}

    pub fn hold(&mut self, _hold: bool) {}

    pub fn has_actions(&self) -> bool {
        false
    }

    pub fn reads_stats(&self, _id: InstanceId) -> bool {
        false
    }

    pub fn set_client_stats(&mut self, _id: InstanceId, _client: ClientId, _stats: &ClientStats) {}

    pub fn set_application_stats(&mut self, _id: InstanceId, _stats: &ApplicationStats) {}

    pub fn stopping(&mut self, _id: InstanceId, _reason: StopReason, _now: Millis) -> Result<bool, CallFault> {
        Err(CallFault::Gone)
    }

    pub fn take_spent_us(&mut self) -> u64 {
        0
    }

    pub fn unload(&mut self, _id: InstanceId) {}

    pub fn tick(&mut self, _now: Millis) -> Option<(InstanceId, Exhausted)> {
        None
    }

    pub fn next_timer(&self) -> Option<Millis> {
        None
    }

    pub fn next_action(&mut self) -> Option<(InstanceId, ScriptAction)> {
        None
    }

    pub fn memory_bytes(&self, _id: InstanceId) -> u64 {
        0
    }
}
