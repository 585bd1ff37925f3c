//! The capacity self-test, `rill bench URL`: publishes synthetic streams, plays them many times, and reports what arrived.
//!
//! It is one thread with one poll, like the server, and works against any RTMP server: it uses nothing that only Rill
//! offers. Each picture carries its number and the time it was sent, so that players find latency and losses from the bytes
//! alone. Publisher and players share a clock by being one process.
//!
//! ```text
//! options    arguments -> Plan (plan)
//! load       Plan -> Report: sockets and the poll
//! client     one RTMP client without its socket
//! source     the synthetic encoder
//! counts     what players count
//! connects   ConnectPlan -> ConnectReport: clients that come and go; it has sockets of its own
//! ```

mod client;
pub mod clock;
pub mod connects;
mod counts;
mod error;
pub mod histogram;
mod load;
pub mod options;
mod plan;
mod progress;
pub mod report;
pub mod source;
mod target;

pub use error::BenchError;
pub use load::{Milestone, run, run_observed};
pub use options::main;
pub use plan::{Plan, Saturate};
pub use report::{Report, SearchStep};
