//! TLS over real sockets: the real server, programs of others as its peers, and a certificate authority of the test's own.

#![allow(clippy::unwrap_used, reason = "a test that cannot start its processes has failed")]
#![cfg(feature = "tls")]

#[path = "../support/mod.rs"]
mod support;

mod authority;
mod between;
mod certificates;
mod connect;
mod hooks;
mod peers;
mod relays;
mod scripts;
mod strangers;
