//! Logging takes nothing from the heap once it was started. A process of its own, because its allocator counts for
//! all threads, and without a harness, whose own would be counted.

use std::time::Instant;

use rill::net::alloc::{self, Counting};
use rill::net::logging;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    let long = "x".repeat(900);
    let longer = "y".repeat(5000);
    logging::start("debug", Instant::now());
    alloc::seal();
    log::info!("c7.2 {long}");
    log::warn!("c7.2 {longer} {}", 1.5);
    log::debug!("c7.2 number={} peer={:?}", u64::MAX, std::net::SocketAddr::from(([127, 0, 0, 1], 1935)));
    log::trace!("not shown");
    assert_eq!(alloc::since_sealed(), Some(0), "logging allocated");
    drop(std::hint::black_box(vec![1_u8]));
    assert_eq!(alloc::since_sealed(), Some(1), "an allocation is not counted");
}
