//! What each fuzz target does with its bytes. It panics when something is wrong.
//!
//! `fuzz_targets/` runs them under libFuzzer, and `tests/simulation/corpus.rs` over the corpus. Both have tests/sim, its
//! storm and tests/rtmp as modules of their crate.

pub mod amf;
pub mod answers;
pub mod chunks;
pub mod config;
pub mod finishes;
pub mod formats;
pub mod http;
pub mod movies;
pub mod names;
pub mod outbound;
pub mod repairs;
pub mod script_link;
pub mod server;
pub mod session;
pub mod strangers;
pub mod tls;

/// A target's name, which is that of its corpus, too, and the target.
pub type Target = (&'static str, fn(&[u8]));

/// All there are.
pub const ALL: [Target; 16] = [
    ("session", session::run),
    ("outbound", outbound::run),
    ("answers", answers::run),
    ("chunks", chunks::run),
    ("amf", amf::run),
    ("formats", formats::run),
    ("http", http::run),
    ("movies", movies::run),
    ("finishes", finishes::run),
    ("repairs", repairs::run),
    ("names", names::run),
    ("config", config::run),
    ("script_link", script_link::run),
    ("server", server::run),
    ("strangers", strangers::run),
    ("tls", tls::run),
];
