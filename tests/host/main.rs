//! The script process alone: the real binary on the other end of a socket, without a server.

#![cfg(feature = "script")]
#![allow(clippy::unwrap_used, reason = "a test that cannot start its process has failed")]

mod corpus;
mod ends;
mod hostile;
mod memory;
mod process;
#[path = "../binary/processes.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod processes;
mod refused;
