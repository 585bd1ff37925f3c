//! The whole server on a fake network, with a fake clock: what clients see of it, whatever the network and they do.

#![allow(clippy::unwrap_used, reason = "a test that meets what it did not expect has failed")]

mod sim;

#[path = "sim/limits.rs"]
mod limits;
#[path = "sim/names.rs"]
mod names;
#[path = "sim/players.rs"]
mod players;
#[path = "sim/storm.rs"]
mod storm;
#[path = "sim/wire.rs"]
mod wire;
