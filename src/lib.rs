//! Rill: a live-streaming server for small ARM boards.
//!
//! An encoder publishes over RTMP, any number of players on the LAN play it. One thread, one `poll`, and memory that is
//! obtained once at start and never grows.
//!
//! # The four ideas
//!
//! 1. **A player is a cursor.** Each stream owns one ring of bytes already in RTMP wire form ([`media::ring`]); every
//!    player sends the very same bytes and owns only `{sequence, offset}`.
//! 2. **Bytes move once.** A pull parser ([`proto`]) walks the reactor's one read buffer in place; payload goes from it
//!    straight into the ring, because a message's length is known from its first chunk header.
//! 3. **Memory is a table printed at start.** Full is an ordinary answer with a reason, never a panic, never growth.
//! 4. **Everything below the sockets is sans-IO.** Bytes and `now` go in, borrowed events and bytes come out; the whole
//!    server runs in a simulator with a fake clock and faulty sockets.
//!
//! # Layers
//!
//! ```text
//! main.rs cli.rs  composition: arguments, configuration, logging, allocate, run
//! net             mio, TCP, signals: the only place that knows an operating system
//! server          slots, connections, registry, fan-out, timers, policy: no OS call, no heap after start
//! proto | media   RTMP session state machines | ring, cursor, stream: siblings that never import each other
//! wire            pure formats: bytes, AMF, chunks, messages, handshake, FLV tags, codec records
//! limits time     leaves
//! ```
//!
//! A module imports only from rows below its own; `tests/tidy.rs` reads every `use crate::` and fails when one does not.
//! `wire`, `proto`, `media` and the leaves are `no_std` without `alloc`.
#![cfg_attr(not(feature = "std"), no_std)]

#[cfg(feature = "std")]
pub mod bench;
pub mod bitset;
#[cfg(feature = "std")]
pub mod board;
#[cfg(feature = "std")]
pub mod config;
pub mod limits;
pub mod media;
pub mod proto;
pub mod time;
pub mod wire;

#[cfg(feature = "std")]
pub mod cli;
#[cfg(feature = "std")]
pub mod net;
#[cfg(feature = "std")]
pub mod server;
