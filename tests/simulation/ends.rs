//! How connections end: each way in bounded time, with slot and stream free again and one log line that has the reason.

use std::cell::RefCell;
use std::sync::Once;

use rill::live::settings::Settings;
use rill::server::close::{CloseReason, Rejection};
use rill::time::Millis;
use rill::wire::handshake::FirstByte;

use super::sim::ledger::Kind::{Inter, Key};
use super::sim::world::{World, settings};

/// Deadlines are looked at this often: how late an end may be, in milliseconds.
const LATE_MS: u64 = 250;
/// How long somebody who was told to go may take to read it, in milliseconds.
const CLOSE_MS: u64 = 1500;
/// How long somebody has to read it whose system has it, in milliseconds.
const HEAR_MS: u64 = 250;
/// How long it may go on sending when nobody knows whether it has it, in milliseconds.
const LINGER_MOST_MS: u64 = 5000;

thread_local! {
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Keeps what the server logs, for the thread whose server it is.
struct Keep;

impl log::Log for Keep {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        LINES.with_borrow_mut(|lines| lines.push(record.args().to_string()));
    }

    fn flush(&self) {}
}

/// Keeps what servers of this thread log from now on: see [`logged`].
pub fn keep_log() {
    static LOGGER: Once = Once::new();
    LOGGER.call_once(|| {
        log::set_logger(&Keep).unwrap();
        log::set_max_level(log::LevelFilter::Info);
    });
    LINES.with_borrow_mut(Vec::clear);
}

/// A world whose server's words are kept.
pub fn world_with(change: impl FnOnce(&mut Settings)) -> World {
    keep_log();
    let mut settings = settings();
    change(&mut settings);
    World::with(settings, 1)
}

/// What was logged since the last look, of what contains `what`.
pub fn logged(what: &str) -> Vec<String> {
    LINES.with_borrow_mut(std::mem::take).into_iter().filter(|line| line.contains(what)).collect()
}

fn world() -> World {
    world_with(|_| {})
}

/// The one connection is there until `at_least_ms` have passed, and gone after `at_most_ms`; with it its slot and streams.
fn ends_between(world: &mut World, reason: CloseReason, at_least_ms: u64, at_most_ms: u64) {
    world.settle();
    assert_eq!(world.server.slots().taken(), 1);
    world.advance(at_least_ms - 1);
    assert_eq!(world.server.slots().taken(), 1, "{reason:?}: it ended early");
    world.advance(at_most_ms - at_least_ms + 1);
    ended(world, reason, 1);
}

/// Everybody is gone, for this reason, and each has its line.
fn ended(world: &World, reason: CloseReason, count: u64) {
    world.check_empty();
    assert_eq!(world.closed(reason), count, "{reason:?}");
    let said = format!(" x_status={} reason=\"{reason}\"", reason.x_status());
    LINES.with_borrow(|lines| {
        let closed: Vec<&String> = lines.iter().filter(|line| line.contains(" closed peer=")).collect();
        assert_eq!(closed.len() as u64, world.server.counters().closed.iter().sum::<u64>(), "{lines:?}");
        let with_reason = closed.iter().filter(|line| line.ends_with(&said)).count() as u64;
        assert_eq!(with_reason, count, "{said} in {closed:?}");
    });
}

/// How far a client comes before it falls silent, why that ends it, and after how many milliseconds.
type Stage = (fn(&mut World) -> usize, CloseReason, u64);

#[test]
fn silence_ends_a_connection_at_every_stage() {
    let stages: [Stage; 6] = [
        (|world| world.dial(), CloseReason::HandshakeTimeout, 2000),
        (
            |world| {
                let c = world.dial();
                world.clients[c].handshake();
                world.clients[c].out.truncate(100);
                world.settle();
                c
            },
            CloseReason::HandshakeTimeout,
            2000,
        ),
        (
            |world| {
                let c = world.dial();
                world.clients[c].handshake();
                world.settle();
                c
            },
            CloseReason::ConnectTimeout,
            2000,
        ),
        // A ping after ping_interval_ms, and ping_timeout_ms to answer it.
        (|world| world.join(), CloseReason::PingTimeout, 14_000),
        (|world| world.publisher("cam"), CloseReason::PingTimeout, 14_000),
        (|world| world.player("cam"), CloseReason::PingTimeout, 14_000),
    ];
    for (reach, reason, after_ms) in stages {
        let mut world = world();
        let c = reach(&mut world);
        world.unplug(c);
        ends_between(&mut world, reason, after_ms, after_ms + 3 * LATE_MS);
    }
}

#[test]
fn silence_of_a_publisher_frees_its_name_and_its_players_hear_of_it() {
    let mut world = world();
    let publisher = world.publisher("cam");
    let player = world.player("cam");
    world.send_start(publisher);
    world.heard(player);
    world.unplug(publisher);
    world.advance(14_000 + 3 * LATE_MS);
    assert_eq!(world.closed(CloseReason::PingTimeout), 1);
    let heard = world.heard(player);
    assert_eq!(heard, ["1: Publish.Idle", "1: Play.UnpublishNotify"]);
    let next = world.publisher("cam");
    assert_eq!(world.heard(next), ["created 1", "begin 1", "1: Publish.Start"]);
    world.end();
}

#[test]
fn a_player_that_is_sent_media_and_takes_none_ends_after_player_stall_ms() {
    let mut world = world();
    world.window = 3000;
    let publisher = world.publisher("cam");
    let player = world.player("cam");
    world.send_start(publisher);
    world.unplug(player);
    world.send(publisher, 1, Key, 100, 4000);
    world.settle();
    world.advance(3000);
    assert_eq!(world.closed(CloseReason::Stalled), 0);
    world.advance(2 * LATE_MS);
    assert_eq!(world.closed(CloseReason::Stalled), 1);
    world.send(publisher, 1, Inter, 140, 60);
    world.hang_up(publisher);
    world.advance(10);
    ended(&world, CloseReason::PeerClosed, 1);
}

#[test]
fn a_client_that_closes_or_resets_is_gone_at_once_with_all_it_published_and_played() {
    for (reason, reset) in [(CloseReason::PeerClosed, false), (CloseReason::PeerReset, true)] {
        let mut world = world();
        let clients = [world.dial(), world.join(), world.publisher("cam"), world.player("cam"), world.player("other")];
        world.settle();
        for c in clients {
            if reset { world.reset(c) } else { world.hang_up(c) }
        }
        world.settle();
        ended(&world, reason, 5);
    }
}

#[test]
fn a_refused_client_is_gone_when_it_hangs_up_falls_silent_stops_reading_or_never_stops_sending() {
    let refused = |read: bool| {
        let mut world = world();
        let c = world.dial();
        world.clients[c].handshake();
        world.settle();
        world.clients[c].connect("nothing");
        if !read {
            world.clients[c].rate = Some(0);
        }
        (world, c)
    };
    // It hangs up when it has read the end.
    let (mut world, _) = refused(true);
    world.settle();
    ended(&world, CloseReason::Rejected(Rejection::Unknown), 1);
    // It was sent everything and neither answers nor hangs up.
    let (mut world, _) = refused(false);
    ends_between(&mut world, CloseReason::Rejected(Rejection::Unknown), HEAR_MS, HEAR_MS + 2 * LATE_MS);
    // It never stops sending, and its system acknowledges nothing.
    let (mut world, c) = refused(false);
    let link = world.clients[c].link;
    world.net.links[link].acknowledges = false;
    world.settle();
    let start = world.now;
    while !world.server.is_empty() {
        world.clients[c].create_stream();
        world.advance(100);
        assert!(world.now - start <= LINGER_MOST_MS + LATE_MS);
    }
    assert!(world.now - start >= LINGER_MOST_MS);
    ended(&world, CloseReason::Rejected(Rejection::Unknown), 1);
    // It does not take its answer.
    let (mut world, c) = refused(false);
    let link = world.clients[c].link;
    world.net.links[link].window = world.net.links[link].to_client.len();
    world.settle();
    ends_between(&mut world, CloseReason::Rejected(Rejection::Unknown), CLOSE_MS, CLOSE_MS + LATE_MS);
}

/// As OBS does, which throws away what it is told, and sees its connection end when it cannot send.
#[test]
fn a_publisher_who_sends_on_meets_the_end_soon_whoever_ends_it_and_one_who_reads_has_read_all() {
    type End = (fn(&mut World, usize), CloseReason, &'static str);
    let ends: [End; 3] = [
        (
            |world, publisher| {
                let conn = world.conn(publisher).unwrap();
                assert!(world.server.disconnect(conn, Millis(world.now)));
            },
            CloseReason::Operator,
            "close",
        ),
        (
            |world, _| {
                world.unload("live");
            },
            CloseReason::AppShutdown,
            "Connect.AppShutdown",
        ),
        (|world, _| world.stop(), CloseReason::Shutdown, "Connect.AppShutdown"),
    ];
    for (end, reason, told) in ends {
        for reads in [true, false] {
            let mut world = world();
            let publisher = world.publisher("cam");
            world.send_start(publisher);
            world.heard(publisher);
            world.clients[publisher].hangs_up = false;
            if !reads {
                world.clients[publisher].rate = Some(0);
            }
            end(&mut world, publisher);
            let start = world.now;
            let link = world.clients[publisher].link;
            while !world.net.links[link].client_reset {
                world.clients[publisher].message(4, 8, 1, 0, &[0xAF, 1, 2, 3]);
                world.advance(20);
                assert!(world.now - start <= HEAR_MS + 2 * LATE_MS, "{reason:?}: it still sends into the void");
            }
            assert!(world.now - start >= HEAR_MS);
            if reads {
                let log = world.heard(publisher);
                assert!(log.iter().any(|line| line.contains(told)) && log.last().unwrap() == "close", "{log:?}");
            }
            ended(&world, reason, 1);
        }
    }
}

#[test]
fn a_stop_ends_everybody_within_two_seconds() {
    let mut world = world();
    world.window = 3000;
    let publisher = world.publisher("cam");
    let (player, deaf, dead) = (world.player("cam"), world.player("cam"), world.player("cam"));
    let (_idle, silent, shaken) = (world.join(), world.dial(), world.dial());
    world.clients[shaken].handshake();
    world.slow(deaf, 0);
    world.unplug(dead);
    world.send_start(publisher);
    world.send(publisher, 1, Key, 100, 9000);
    world.settle();
    world.stop();
    world.settle();
    // Whoever reads is gone at once.
    assert!(world.clients[player].ended && world.clients[publisher].ended && world.clients[silent].ended);
    let left = world.server.slots().taken();
    assert_eq!(left, 2, "the deaf one and the dead one");
    world.advance(CLOSE_MS + LATE_MS);
    ended(&world, CloseReason::Shutdown, 7);
}

#[test]
fn the_idle_limit_ends_those_who_neither_publish_nor_play_and_nobody_else() {
    let mut world = world_with(|settings| {
        settings.idle_timeout_ms = 5000;
        settings.ping_interval_ms = 60_000;
    });
    let (publisher, waiting) = (world.publisher("cam"), world.player("nothing"));
    // Whoever has stopped is idle from then on; what it says does not count.
    let stopped = world.player("cam");
    world.advance(3000);
    world.clients[stopped].close_stream(1);
    let idle = world.join();
    world.advance(4900);
    world.clients[idle].create_stream();
    assert!(!world.clients[idle].ended && !world.clients[stopped].ended);
    world.advance(100 + LATE_MS);
    assert!(world.clients[idle].ended && world.clients[stopped].ended);
    assert_eq!(world.closed(CloseReason::IdleTimeout), 2);
    // One that has gone silent besides.
    let gone = world.join();
    world.unplug(gone);
    world.advance(5000 + LATE_MS + HEAR_MS + LATE_MS);
    assert_eq!(world.server.slots().taken(), 2);
    assert!(!world.clients[publisher].ended && !world.clients[waiting].ended);
    world.hang_up(publisher);
    world.hang_up(waiting);
    world.advance(10);
    ended(&world, CloseReason::IdleTimeout, 3);
}

#[test]
fn another_protocol_and_a_broken_one_end_at_once() {
    let mut world = world();
    let c = world.dial();
    world.clients[c].lenient = true;
    world.clients[c].out.extend(b"GET / HTTP/1.1\r\n\r\n");
    world.advance(1);
    ended(&world, CloseReason::NotRtmp(FirstByte::Http), 1);
}
