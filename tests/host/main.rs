//! The script process alone: the real binary on the other end of a socket, without a server.

#![cfg(feature = "script")]
#![allow(clippy::unwrap_used, reason = "a test that cannot start its process has failed")]

mod corpus;
mod ends;
mod hostile;
mod process;
mod refused;
