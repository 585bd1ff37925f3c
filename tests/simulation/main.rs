//! The whole server on a fake network, with a fake clock: what clients see of it, whatever the network and they do.

#![allow(clippy::unwrap_used, reason = "a test that meets what it did not expect has failed")]

#[path = "../rtmp/mod.rs"]
mod rtmp;
#[path = "../sim/mod.rs"]
mod sim;
#[path = "../sim/storm.rs"]
mod storm;

mod applications;
mod bandwidth;
mod byte_log;
mod control;
mod corpus;
mod data;
mod diagnosis;
mod dial;
mod dvr;
mod edges;
mod ends;
mod enhanced;
mod far_ends;
mod files;
mod films;
mod gate;
mod grace;
mod guests;
mod hls;
mod hooks;
mod http;
mod limits;
mod links;
mod log_ins;
mod media;
mod names;
mod paths;
mod players;
mod programmes;
mod recorded;
mod recordings;
mod relays;
mod rings;
mod script_processes;
mod scripts;
mod watching;
mod wire;
mod words;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use sim::Random;

/// `RILL_SIM_SEEDS=5000 cargo test --test simulation storm` for more of it, `RILL_SIM_SEED=17` for one run again.
#[test]
fn in_a_storm_whatever_clients_and_network_do_every_player_gets_what_it_should_and_all_is_released() {
    let number = |key: &str| std::env::var(key).ok().and_then(|value| value.parse::<u64>().ok());
    if let Some(seed) = number("RILL_SIM_SEED") {
        let _ = log::set_logger(&Print);
        log::set_max_level(log::LevelFilter::Debug);
        storm::run(Random::new(seed));
        return;
    }
    for seed in 0..number("RILL_SIM_SEEDS").unwrap_or(200) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| storm::run(Random::new(seed)))) {
            println!("RILL_SIM_SEED={seed} fails");
            resume_unwind(panic);
        }
    }
}

/// The server's own words, for a run that is looked into.
struct Print;

impl log::Log for Print {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        println!("{}", record.args());
    }

    fn flush(&self) {}
}
