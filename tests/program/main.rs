//! The real binary from outside: its command line, files, sockets, signals and memory, and what is written about it.

#![allow(clippy::unwrap_used, reason = "a test that cannot start its process has failed")]

#[path = "../binary/mod.rs"]
mod binary;
#[path = "../rtmp/mod.rs"]
mod rtmp;

mod apps;
mod cli;
mod connect;
mod control;
mod docs;
mod memory;
mod notify;
mod procd;
mod screen;
