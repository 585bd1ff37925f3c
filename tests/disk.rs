//! The disk thread: asking and answering take nothing from the heap, and a panic of the loader ends nothing but the
//! loader. A process of its own, because its allocator counts for all threads, and without a harness, which could not end
//! while the panic's hook does not.

#![allow(clippy::unwrap_used, reason = "a test that cannot start a thread has failed")]

use std::time::Duration;

use mio::{Events, Poll, Token, Waker};
use rill::live::jobs::{Done, Job, Lookup};
use rill::net::alloc::{self, Counting};
use rill::net::disk::{Disk, JOBS};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn app(name: &str, stamp: Option<u64>) -> Job {
    Job::App { name: heapless::String::try_from(name).unwrap(), stamp }
}

/// The next answer, for which the poll must have been woken.
fn wait(poll: &mut Poll, events: &mut Events, disk: &mut Disk) -> Done {
    loop {
        if let Some(done) = disk.done() {
            return done;
        }
        poll.poll(events, Some(Duration::from_secs(10))).unwrap();
        assert!(events.iter().any(|event| event.token() == Token(7)), "nobody woke the poll");
    }
}

fn main() {
    let mut poll = Poll::new().unwrap();
    let mut events = Events::with_capacity(4);
    let waker = Waker::new(poll.registry(), Token(7)).unwrap();
    let loader = |job| match job {
        // Allocates, as files do.
        Job::App { name, .. } if name == "broken" => {
            let text = std::hint::black_box("x".repeat(100_000));
            Done::App { name, lookup: Lookup::Broken(text) }
        }
        Job::App { name, .. } => Done::App { name, lookup: Lookup::Missing },
        Job::Reload => panic!("on purpose"),
        Job::Survey => Done::Surveyed,
    };
    let mut disk = Disk::start(Box::new(loader), waker).unwrap();
    alloc::seal();
    for _ in 0..1000 {
        (0..JOBS / 2).for_each(|_| disk.ask(app("a", None)));
        (0..JOBS / 2).for_each(|_| disk.ask(app("broken", Some(1))));
        for _ in 0..JOBS {
            let done = wait(&mut poll, &mut events, &mut disk);
            assert!(matches!(done, Done::App { lookup: Lookup::Missing | Lookup::Broken(_), .. }));
        }
    }
    assert_eq!(alloc::since_sealed(), Some(0), "the disk thread allocated");

    disk.ask(Job::Reload);
    disk.ask(app("new", None));
    disk.ask(app("known", Some(7)));
    assert!(matches!(wait(&mut poll, &mut events, &mut disk), Done::NotReloaded(_)));
    let Done::App { name, lookup: Lookup::Broken(_) } = wait(&mut poll, &mut events, &mut disk) else { panic!() };
    assert_eq!(name, "new");
    let Done::App { name, lookup } = wait(&mut poll, &mut events, &mut disk) else { panic!() };
    assert_eq!((name.as_str(), lookup), ("known", Lookup::Unchanged));
}
