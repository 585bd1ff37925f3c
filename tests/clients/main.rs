//! The real binary, native or in an emulator (`RILL_BIN`, `RILL_RUNNER`), and the programs of others as its clients.

#![allow(clippy::unwrap_used, reason = "a test that cannot start its processes has failed")]

#[path = "../support/mod.rs"]
mod support;

mod backup;
mod edges;
mod far;
mod movies;
mod recorded;
#[path = "../recorded/disk.rs"]
#[allow(dead_code, reason = "other tests count reads")]
mod recorded_disk;
mod recordings;
mod relay;
mod samples;
mod scripted;
mod users;
mod vectors;
