//! Server-side code, as the server knows it.

pub use crate::host::{
    Access, Action, ApplicationStats, CallOutcome, ClientFacts, ClientId, ClientStats, Exhausted, Fault, Identity,
    InstanceId, LoadError, Question, SCRIPT_CHECK_STACK_BYTES, SCRIPT_FIRST_TRANSACTION, SCRIPT_INTERVAL_MS,
    SCRIPT_LINES_PER_SECOND, Scripts, SourcePlace, StopReason, StreamFacts, check,
};
