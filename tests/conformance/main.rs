//! What the protocol asks for: what a session does by section of RTMP 1.0 and by client, laws of any input, and every status
//! code.

#![allow(clippy::unwrap_used, reason = "a test that meets what it did not expect has failed")]

#[path = "../binary/mod.rs"]
mod binary;
#[path = "../rtmp/mod.rs"]
mod rtmp;
#[path = "../sim/mod.rs"]
mod sim;

mod laws;
mod session;
mod statuses;
