//! Server-side code: `main.asc` in QuickJS, one runtime and context per application instance (Adobe Media Server 5,
//! "Server-Side ActionScript Language Reference").
//!
//! It runs in processes of its own, which the server starts ([`main`]): the walls around one stand in `sandbox`, what passes
//! between it and the server in [`crate::wire::script_link`], and how a process answers in [`Host`]. Below that everything is a
//! pure library: no sockets, no files, no threads. `Scripts` is told what happened (a client connects, calls, leaves) and
//! runs the script's handlers at once; what the script wants done comes out as
//! [`ScriptAction`]s. Time is an argument, and the clock that the time limit is measured with is given at
//! the start, so a simulator can own both.
//!
//! ```text
//! load -> connect -> next_action* -> call -> next_action* -> ... -> disconnect -> stopping -> unload
//! ```
//!
//! # What a script cannot do
//!
//! - **Run on.** The engine asks the clock every 10 000 of its own steps (turns of a loop, calls); what it throws when the
//!   time is over cannot be caught. Regular expressions ask as well. Other built-in functions do not, so those that can be
//!   made to take long (searching and cutting strings and arrays, JSON, `Object.keys`) are charged before they run: they
//!   look at the clock, and refuse what is too long at once. What remains is bounded by the memory: 10 000 comparisons of
//!   two strings of 800 kB took 0.2 s on a PC. `BigInt`, whose arithmetic nothing bounds, is not there (its literals are
//!   refused in files, not in the text that a script gives to `eval`). Nor is most of what loops in C: what there is of the
//!   language stands in a table (`language`). Whoever does not come back all the same is ended by the server.
//! - **Grow.** Beyond [`Budget::memory_bytes`] every allocation fails. The script may catch that; it has gained nothing.
//!   Uncaught it ends the instance. Some kilobytes more are there for the error that says so, and where.
//!   Garbage in cycles is collected when memory has grown by half, so a script should need at most two thirds.
//! - **Fill the stack.** Endless recursion is a `RangeError` that the script may catch; uncaught it ends the instance.
//! - **Flood.** Actions of a call, calls that wait for an answer, intervals, and log lines have the limits below.
//! - **Reach out.** There is no file, socket, module, thread or second context. `Date` and `Math.random` are the engine's:
//!   a script that uses them does not repeat in a simulation.
//!
//! What the engine takes does not go through Rust's allocator; [`Budget::memory_bytes`] bounds it.
//!
//! [`Budget::memory_bytes`]: crate::live::app::Budget::memory_bytes

mod amf;
mod check;
mod compile;
mod engine;
mod facts;
mod files;
mod heap;
mod language;
mod link;
mod native;
mod process;
mod report;
mod sandbox;
mod session;
mod source;
mod system;
#[cfg(test)]
mod tests;

pub use engine::Scripts;
pub use facts::{CallFault, CallOutcome, Identity, InstanceId, LoadError, ScriptAction, SourcePlace};
pub use link::{Ended, Line};
pub use process::main;
pub use sandbox::confine;
pub use session::Host;
