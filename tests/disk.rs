//! The disk threads: asking and answering take nothing from the heap, and a panic of a worker ends nothing but that
//! worker; while one lane stalls the server lets clients in. A process of its own, because its allocator counts for all threads, and without a harness, which could not end
//! while the panic's hook does not.

#![allow(clippy::unwrap_used, reason = "a test that cannot start a thread has failed")]

use std::net::SocketAddr;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token, Waker};
use rill::live::app::{AppDefinition, AppKind};
use rill::live::applications::{AppSource, CHECK_MS};
use rill::live::jobs::{Done, Job, Lookup};
use rill::live::settings::Settings;
use rill::net::alloc::{self, Counting};
use rill::net::disk::{Disk, JOBS, Workers};
use rill::net::tls::TlsOffer;
use rill::net::{self, Notify, Outside, Reactor, Signals};
use rill::server::speaks::Door;
use rill::server::{Server, Start};
use rill::time::Millis;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn app(name: &str, stamp: Option<u64>) -> Job {
    Job::App { name: heapless::String::try_from(name).unwrap(), stamp }
}

/// Of a lane in which nothing is asked.
fn nothing(job: Job) -> Done {
    panic!("nobody plays a recorded stream: {job:?}")
}

/// The next answer, for which the poll must have been woken.
fn wait(poll: &mut Poll, events: &mut Events, disk: &mut Disk) -> Done {
    loop {
        if let Some(done) = disk.done() {
            return done;
        }
        if !disk.may_sleep() {
            continue;
        }
        poll.poll(events, Some(Duration::from_secs(10))).unwrap();
        assert!(events.iter().any(|event| event.token() == Token(7)), "nobody woke the poll");
    }
}

/// Serves `live`, which is known, and `room`, which is not, on a thread that ends with the process. The lane of surveys
/// stalls from the second on, and says so.
fn serve() -> (SocketAddr, Receiver<()>) {
    let live = AppDefinition { stamp: 1, ..AppDefinition::stock("live".try_into().unwrap(), AppKind::Live) };
    let start = Start { apps: vec![live.clone()], source: AppSource::Directories, seed: 1, now: Millis(0) };
    let look_ups = move |job| {
        let Job::App { name, stamp } = job else { panic!("a job of the other lane") };
        let lookup = match name.as_str() {
            "live" | "room" if stamp == Some(1) => Lookup::Unchanged,
            "live" | "room" => Lookup::Found(Box::new(AppDefinition { name: name.clone(), ..live.clone() })),
            _ => Lookup::Missing,
        };
        Done::App { name, lookup }
    };
    let (stalls, stalled) = channel();
    let mut surveys = 0;
    let bulk = move |_| {
        surveys += 1;
        if surveys > 1 {
            stalls.send(()).unwrap();
            loop {
                thread::park();
            }
        }
        Done::Surveyed
    };
    let listener = net::bind("127.0.0.1:0".parse().unwrap(), Door::Rtmp, false).unwrap();
    let address = listener.address();
    thread::spawn(move || {
        let mut server = Server::new(Settings { recordings: 0, ..Settings::default() }, start);
        let (signals, notify) = (Signals::install().unwrap(), Notify::from_environment());
        let outside = Outside { listeners: vec![listener], control: None, signals, notify, offer: TlsOffer::default() };
        let workers = Workers {
            look_ups: Box::new(look_ups),
            recorded: Box::new(nothing),
            bulk: Box::new(bulk),
            recordings: Box::new(nothing),
        };
        let mut reactor = Reactor::new(&server, outside, workers, Instant::now()).unwrap();
        reactor.listen().unwrap();
        reactor.run(&mut server).unwrap();
    });
    (address, stalled)
}

/// A disk that stalls in what nobody waits for keeps nobody out, neither of what is known nor of what is not.
fn clients_join_while_a_survey_stalls() {
    let (address, stalled) = serve();
    stalled.recv_timeout(Duration::from_secs(30)).unwrap();
    let connect = |app: &str| {
        let mut rill = Command::new(env!("CARGO_BIN_EXE_rill"));
        let start = Instant::now();
        let output = rill.args(["connect", &format!("rtmp://{address}/{app}")]).output().unwrap();
        (output.status.code(), start.elapsed())
    };
    for (app, status) in [("live", 0), ("room", 0), ("nowhere", 3)] {
        let (code, took) = connect(app);
        assert_eq!(code, Some(status), "{app}");
        // What is not known is waited for ten times as long.
        assert!(took < Duration::from_secs(1), "{app}: {took:?}");
    }
    // The first look at them is old by now, and would be waited for.
    thread::sleep(Duration::from_millis(2 * CHECK_MS + 500));
    for app in ["live", "room"] {
        let (code, took) = connect(app);
        assert!(code == Some(0) && took < Duration::from_secs(1), "{app}: {code:?} {took:?}");
    }
}

fn main() {
    clients_join_while_a_survey_stalls();
    let mut poll = Poll::new().unwrap();
    let mut events = Events::with_capacity(4);
    let waker = Waker::new(poll.registry(), Token(7)).unwrap();
    let look_ups = |job| match job {
        // Allocates, as files do.
        Job::App { name, .. } if name == "broken" => {
            let text = std::hint::black_box("x".repeat(100_000));
            Done::App { name, lookup: Lookup::Broken(text) }
        }
        Job::App { name, .. } if name == "fatal" => panic!("on purpose"),
        Job::App { name, .. } => Done::App { name, lookup: Lookup::Missing },
        job => panic!("a job of another lane: {job:?}"),
    };
    let bulk = |job| match job {
        Job::Reload => panic!("on purpose"),
        Job::Survey => Done::Surveyed,
        job => panic!("a job of another lane: {job:?}"),
    };
    let workers = Workers {
        look_ups: Box::new(look_ups),
        recorded: Box::new(nothing),
        bulk: Box::new(bulk),
        recordings: Box::new(nothing),
    };
    let mut disk = Disk::start(workers, waker).unwrap();
    alloc::seal();
    for _ in 0..1000 {
        (0..JOBS / 2).for_each(|_| disk.ask(app("a", None)));
        (0..JOBS / 2).for_each(|_| disk.ask(app("broken", Some(1))));
        for _ in 0..JOBS {
            let done = wait(&mut poll, &mut events, &mut disk);
            assert!(matches!(done, Done::App { lookup: Lookup::Missing | Lookup::Broken(_), .. }));
        }
    }
    assert_eq!(alloc::since_sealed(), Some(0), "the disk threads allocated");

    disk.ask(Job::Survey);
    assert_eq!(wait(&mut poll, &mut events, &mut disk), Done::Surveyed);
    disk.ask(Job::Reload);
    assert!(matches!(wait(&mut poll, &mut events, &mut disk), Done::NotReloaded(_)));
    disk.ask(Job::Survey);
    assert_eq!(wait(&mut poll, &mut events, &mut disk), Done::Surveyed);
    // The other lane has not noticed.
    disk.ask(app("a", None));
    let Done::App { lookup: Lookup::Missing, .. } = wait(&mut poll, &mut events, &mut disk) else { panic!() };

    disk.ask(app("fatal", None));
    disk.ask(app("new", None));
    disk.ask(app("known", Some(7)));
    let Done::App { lookup: Lookup::Broken(_), .. } = wait(&mut poll, &mut events, &mut disk) else { panic!() };
    let Done::App { name, lookup: Lookup::Broken(_) } = wait(&mut poll, &mut events, &mut disk) else { panic!() };
    assert_eq!(name, "new");
    let Done::App { name, lookup } = wait(&mut poll, &mut events, &mut disk) else { panic!() };
    assert_eq!((name.as_str(), lookup), ("known", Lookup::Unchanged));
}
