//! What a hook has said to a client's wish, until it is acted on.

use crate::live::gate::Verdict;
use crate::live::refusal::Refusal;

/// What it has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookSaid {
    /// It may.
    Yes,
    /// It may, under another name, which the feature has.
    Renamed,
    /// It may not.
    No,
    /// Nothing, and without an answer it may not.
    Nothing,
}

impl HookSaid {
    /// As the chain says it, where it is no other name.
    pub(super) fn verdict(self) -> Verdict {
        match self {
            HookSaid::Yes | HookSaid::Renamed => Verdict::Yes,
            HookSaid::No => Verdict::No(Refusal::Hook),
            HookSaid::Nothing => Verdict::No(Refusal::HookDown),
        }
    }
}
