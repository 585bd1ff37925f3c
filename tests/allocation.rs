//! After the server has started, nothing that clients and scripts do makes it use the heap. A process of its own,
//! because its allocator and its logger are the process's, and simulation has another logger.

#![allow(clippy::unwrap_used, reason = "a test that meets what it did not expect has failed")]

#[path = "rtmp/mod.rs"]
mod rtmp;
mod sim;

#[path = "sim/storm.rs"]
mod storm;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use rill::live::record_settings::{RecordOn, RecordSettings};
use rill::live::settings::Settings;
use sim::Random;
use sim::browser::Browser;
use sim::card::Stored;
use sim::films::{FilmTag, flv};
use sim::ledger::Kind::{Audio, Inter, Key};
use sim::world::{World, settings};

/// Seeds that show every kind of end a connection can have; more is for the simulation to find.
const SEEDS: u64 = 100;

thread_local! {
    /// Allocations of this thread's server.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count() {
    if sim::INSIDE.get() {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
    }
}

// SAFETY: every call goes to the system's allocator as it came; counting touches two cells without destructors, which
// allocate nothing themselves.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Every line is put together, as the shipped logger would, but in a buffer on the stack.
struct Lines(AtomicU64);

static LINES: Lines = Lines(AtomicU64::new(0));

impl log::Log for Lines {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let mut line = heapless::String::<1024>::new();
        write!(line, "{} {}", record.level(), record.args()).expect("no line is longer than that");
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn flush(&self) {}
}

fn log_everything() {
    // The other test may have done so.
    let _ = log::set_logger(&LINES);
    log::set_max_level(log::LevelFilter::Trace);
}

#[test]
fn the_heap_is_not_used_while_clients_connect_publish_play_misbehave_and_leave() {
    log_everything();
    let mut ends = [0; rill::server::close::Counter::COUNT];
    let (mut published, mut played, mut skips) = (0, 0, 0);
    for seed in 0..SEEDS {
        let world = storm::run(Random::new(seed));
        let counters = world.server.counters();
        assert_eq!(ALLOCATIONS.get(), 0, "seed {seed}");
        ends.iter_mut().zip(counters.closed).for_each(|(sum, closed)| *sum += closed);
        (published, played, skips) = (published + counters.published, played + counters.played, skips + counters.skips);
    }
    assert!(published > 100 && played > 100 && skips > 2, "{published} {played} {skips}");
    let kinds = ends.iter().filter(|&&count| count > 0).count();
    assert!(kinds >= 10, "connections ended in {kinds} ways only: {ends:?}");
    assert!(LINES.0.load(Ordering::Relaxed) > 1000, "log lines are written, and cost no heap either");
}

#[test]
fn the_heap_is_not_used_by_ten_minutes_of_streaming_and_the_end_of_the_server() {
    log_everything();
    let mut world = World::new();
    let publisher = world.publisher("cam");
    let players: Vec<usize> = (0..8).map(|_| world.player("cam")).collect();
    world.slow(players[0], 1);
    world.send_start(publisher);
    for i in 0..600u32 {
        world.send(publisher, 1, [Key, Inter, Audio][(i % 3) as usize], 100 + i * 1000, 2000);
        world.advance(1000);
        world.heard(players[1]);
    }
    world.check_delivered();
    assert!(world.server.counters().skips > 0, "one of them is too slow");
    world.stop();
    world.advance(2000);
    world.check_empty();
    assert_eq!(ALLOCATIONS.get(), 0);
}

#[test]
fn the_heap_is_not_used_by_recordings_that_begin_rotate_fail_and_end() {
    log_everything();
    let record = RecordSettings { on: RecordOn::All, segment_s: 10, join_ms: 1000, ..RecordSettings::default() };
    let mut world = World::with(Settings { recordings: 1, ring_bytes: 1 << 20, record, ..settings() }, 1);
    let publisher = world.publisher("cam");
    world.send_start(publisher);
    for i in 0..900u32 {
        if i == 500 {
            let mut card = world.recorder.card.borrow_mut();
            card.fails = Some((card.calls + 1, 1, std::io::ErrorKind::StorageFull));
        }
        let kind = if i % 20 == 0 { Key } else { [Inter, Audio][(i % 2) as usize] };
        world.send(publisher, 1, kind, 100 + i * 100, 2000);
        world.advance(100);
    }
    world.hang_up(publisher);
    world.advance(90_000);
    assert!(world.server.recordings().counts().files > 2 && world.server.recordings().is_idle());
    assert_eq!(ALLOCATIONS.get(), 0);
}

#[test]
fn the_heap_is_not_used_by_requests_and_viewers_over_http() {
    log_everything();
    let (mut world, publisher) = World::live();
    for n in 1..=40 {
        let path = format!("/apps/live/recordings/cam/{n:06}-nodate.flv");
        world.recorder.card.borrow_mut().files.insert(path.into(), Stored::of(b"film".to_vec()));
    }
    let browsers: Vec<Browser> = (0..13).map(|_| Browser::new(&mut world, 8000)).collect();
    let upgrade = "GET /live/cam.flv HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    for (browser, says) in browsers.iter().zip([
        "GET /live/cam.flv HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /live/cam.flv HTTP/1.0\r\n\r\n",
        upgrade,
        "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /routes HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /api/status HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /api/events HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /api/recordings HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /live/cam.m3u8 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /live/cam.key.mp4 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /live/never.flv HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\n\n",
        "GET /%2e%2e HTTP/1.1\r\nHost: a\r\n\r\n",
        "\u{16}\u{3}",
    ]) {
        browser.send(&mut world, says.as_bytes());
    }
    for i in 0..600u32 {
        world.send(publisher, 1, [Key, Inter, Audio][(i % 3) as usize], 100 + i * 100, 2000);
        world.advance(100);
        for browser in &browsers[1..] {
            browser.read(&mut world, 3000);
        }
    }
    world.stop();
    world.advance(2000);
    assert!(world.server.counters().http_requests >= 6);
    assert_eq!(ALLOCATIONS.get(), 0);
}

#[test]
fn the_heap_is_not_used_by_players_of_films() {
    log_everything();
    let few = Settings { recorded_players: 3, ..settings() };
    let mut world = World::with(few, 1);
    world.films.put("vod/film", flv(&FilmTag::film(120)));
    let players: Vec<usize> = (0..5).map(|_| world.join_at("vod")).collect();
    for &c in &players {
        world.clients[c].create_stream();
        world.clients[c].buffer(0, 3000);
        world.clients[c].command(0, "getStreamLength", |amf| {
            amf.null().unwrap();
            amf.string("film").unwrap();
        });
        world.clients[c].play(1, "film");
    }
    world.slow(players[1], 0);
    for round in 0..60_u32 {
        let client = &mut world.clients[players[0]];
        match round % 6 {
            0 => client.seek(1, f64::from(round * 1700)),
            1 => client.pause(1, true, f64::from(round * 1000)),
            2 => client.pause(1, false, f64::from(round * 1000)),
            3 => client.play_part(1, "film", 1000.0, 500.0, false),
            4 => client.play(1, "film"),
            _ => client.seek(1, 500_000.0),
        }
        world.films.thread.late_ms = u64::from(round % 3) * 20;
        world.advance(1500);
        world.clients[players[4]].play(1, "film");
    }
    let heard = |world: &mut World, at: usize, line: &str| world.heard(players[at]).iter().any(|heard| heard == line);
    assert!(heard(&mut world, 0, "1: Play.Stop") && heard(&mut world, 3, "1: Play.Failed"));
    world.stop();
    world.advance(5000);
    assert_eq!(ALLOCATIONS.get(), 0);
}

#[test]
fn the_allocator_counts_what_the_server_would_do_and_nothing_else() {
    let before = ALLOCATIONS.get();
    drop(std::hint::black_box(vec![1]));
    assert_eq!(ALLOCATIONS.get(), before);
    sim::inside(|| drop(std::hint::black_box(vec![1])));
    assert_eq!(ALLOCATIONS.get(), before + 1);
}
