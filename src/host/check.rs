//! Whether the text of a script can be loaded, as far as that is known without running it.

use std::rc::Rc;

use super::compile::compile;
use super::engine::engine;
use super::facts::{Exhausted, Identity, LoadError};
use super::native::SharedState;
use super::source::{self, Scan};
use crate::limits::SCRIPT_CHECK_BYTES;
use crate::live::app::{Budget, Source};

/// Stack that [`check`] takes at most, in bytes: what a script is given unless the configuration says otherwise.
pub(super) const CHECK_STACK_BYTES: u64 = 512 * 1024;

/// Compiles `secure.asc`, the main script, and what they load by a name that stands in the text, each as
/// [`Scripts::load`](super::Scripts::load) would, in an engine that is there for no longer. Nothing of it runs. It takes
/// [`SCRIPT_CHECK_BYTES`] and [`CHECK_STACK_BYTES`] at most.
///
/// # Errors
///
/// The first that loading would meet within `budget`. What exceeds the check's own limits and not the budget is none.
pub(super) fn check(source: &Source, budget: Budget) -> Result<(), LoadError> {
    match compile_all(source, budget) {
        Err(LoadError::Exhausted(_, Exhausted::Memory)) if budget.memory_bytes > SCRIPT_CHECK_BYTES as u64 => Ok(()),
        Err(LoadError::Exhausted(_, Exhausted::Stack)) if budget.stack_bytes > CHECK_STACK_BYTES => Ok(()),
        result => result,
    }
}

fn compile_all(source: &Source, budget: Budget) -> Result<(), LoadError> {
    Scan::of(source)?;
    let nobody = Identity { app: "", instance: "", hostname: "", server: "", config_json: "" };
    // Nothing runs, so no time is measured.
    let shared = Rc::new(SharedState::new(&nobody, None, || 0, Rc::default()));
    let memory_bytes = budget.memory_bytes.min(SCRIPT_CHECK_BYTES as u64);
    let stack_bytes = budget.stack_bytes.min(CHECK_STACK_BYTES);
    let (_runtime, context) = engine(&shared, memory_bytes, stack_bytes)?;
    context.with(|ctx| {
        source::files(source).into_iter().try_for_each(|file| {
            let text = source::text(file)?;
            compile(&ctx, &file.name, text).map_err(|error| shared.load_error(&ctx, error, &file.name))
        })
    })
}
