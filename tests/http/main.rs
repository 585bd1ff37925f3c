//! The HTTP side of the real server, over real sockets: requests as browsers send them, and as nobody should.

#![allow(clippy::unwrap_used, reason = "a test that cannot reach its server has failed")]

#[path = "../support/mod.rs"]
mod support;

mod admin;
mod api;
mod boxes;
mod client;
mod diagnosis;
mod files;
mod hls;
mod hooks;
mod live;
mod nginx;
mod others;
mod players;
mod requests;
mod statistics;
mod strangers;
