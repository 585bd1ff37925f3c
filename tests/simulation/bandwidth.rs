//! Bandwidth: what is measured, and limits that hold for one connection and cost no other.

use rill::handles::ConnId;
use rill::live::app::Bandwidth;
use rill::live::settings::Settings;
use rill::server::rtmp::Role;
use rill::time::Millis;

use super::sim::ledger::Kind::{Audio, Inter, Key};
use super::sim::world::{World, settings};

fn conn(world: &World, c: usize) -> ConnId {
    world.conn(c).unwrap()
}

fn ask(world: &mut World, c: usize) {
    world.clients[c].command(0, "checkBandwidth", |amf| amf.null().unwrap());
}

fn assert_about(measured: f64, expected: f64) {
    assert!((measured / expected - 1.0).abs() <= 0.1, "{measured} is not within 10 % of {expected}");
}

/// What a client on such a line is told, and how long that took.
fn measured(world: &mut World, kbit: usize, latency_ms: u64) -> (f64, f64, u64) {
    let c = world.join();
    world.line(c, kbit, latency_ms);
    ask(world, c);
    let from = world.now;
    while world.clients[c].measured.is_none() && world.now < from + 20_000 {
        world.advance(1);
    }
    let (found, latency) = world.clients[c].measured.expect("it is told in time");
    (found, latency, world.now - from)
}

#[test]
fn the_bandwidth_measured_is_that_of_the_line() {
    for kbit in [256, 1000, 8000] {
        for latency_ms in [5, 100] {
            let mut world = World::new();
            let (found, latency, took_ms) = measured(&mut world, kbit, latency_ms);
            println!("{kbit} kbit/s, {latency_ms} ms: {found} kbit/s, {latency} ms, in {took_ms} ms");
            assert_about(found, kbit as f64);
            assert!((latency - 2.0 * latency_ms as f64).abs() <= 3.0, "{latency}");
            assert!(took_ms <= 2000 + 4 * latency_ms, "{took_ms}");
            assert_eq!(world.heard(0), ["_result", "onBWCheck", "onBWDone"]);
            world.end();
        }
    }
}

#[test]
fn a_line_too_slow_for_the_first_payload_is_known_by_the_part_that_came_through() {
    let mut world = World::new();
    let (found, _, took_ms) = measured(&mut world, 24, 20);
    assert_about(found, 24.0);
    assert!(took_ms < 6000, "{took_ms}");
    world.end();
}

#[test]
fn nothing_faster_than_max_kbit_is_measured() {
    let bandwidth = Bandwidth { max_kbit: 2000, ..Bandwidth::default() };
    let mut world = World::with(Settings { bandwidth, ..settings() }, 1);
    let (found, _, took_ms) = measured(&mut world, 80_000, 5);
    assert_about(found, 2000.0);
    assert!(world.clients[0].received < 2000 / 8 * took_ms as usize + 30_000);
    world.end();
}

#[test]
fn a_client_on_a_fast_line_is_sent_no_more_than_it_takes_to_measure_it() {
    let mut world = World::new();
    let (found, _, took_ms) = measured(&mut world, 800_000, 1);
    println!("{found} kbit/s in {took_ms} ms");
    assert_about(found, 800_000.0);
    assert!(world.clients[0].received < 9 << 20);
    world.end();
}

#[test]
fn a_client_that_does_not_answer_or_knows_no_such_method_is_told_that_nothing_is_known() {
    let mut world = World::new();
    let silent = world.join();
    world.clients[silent].bandwidth_answer = None;
    let other = world.join();
    world.clients[other].bandwidth_answer = Some("_error");
    ask(&mut world, silent);
    ask(&mut world, other);
    world.advance(10);
    assert_eq!(world.clients[other].measured, Some((0.0, 0.0)));
    // A second wish is answered with the first.
    ask(&mut world, silent);
    world.advance(1900);
    assert_eq!(world.heard(silent).last().unwrap(), "_onbwcheck");
    world.advance(200);
    assert_eq!(world.heard(silent), ["onBWDone"]);
    assert_eq!(world.clients[silent].measured, Some((0.0, 0.0)));
    world.end();
}

#[test]
fn answers_that_stop_in_the_middle_end_it_with_what_is_known() {
    let mut world = World::new();
    let c = world.join();
    world.line(c, 1000, 5);
    ask(&mut world, c);
    world.advance(400);
    world.clients[c].bandwidth_answer = None;
    world.advance(4000);
    let (found, _) = world.clients[c].measured.unwrap();
    assert_about(found, 1000.0);
    let conn = conn(&world, c);
    assert_eq!(world.server.measured_bandwidth(conn).unwrap().kbit, found as u32);
    world.end();
}

#[test]
fn a_client_is_asked_by_the_names_it_knows_whether_it_has_shown_them_before_later_or_never() {
    let mut world = World::new();
    for shown_at_ms in [Some(0), Some(200), None] {
        let c = world.join();
        world.line(c, 4000, 10);
        world.clients[c].knows_underscored = Some(true);
        let conn = conn(&world, c);
        if shown_at_ms == Some(0) {
            world.clients[c].command(0, "_checkbw", |amf| amf.null().unwrap());
            world.advance(50);
        }
        assert!(world.server.check_bandwidth(conn, Millis(world.now)));
        world.advance(200);
        if shown_at_ms == Some(200) {
            world.clients[c].command(0, "_checkbw", |amf| amf.null().unwrap());
        }
        world.advance(3500);
        let heard = world.heard(c);
        assert_eq!(heard.contains(&"onBWCheck".to_string()), shown_at_ms != Some(0));
        assert_eq!(heard[heard.len() - 2..], ["_onbwcheck", "_onbwdone"]);
        assert_about(world.clients[c].measured.unwrap().0, 4000.0);
    }
    // A long line is not mistaken for a client that knows other names.
    let c = world.join();
    world.line(c, 4000, 400);
    world.clients[c].knows_underscored = Some(false);
    ask(&mut world, c);
    world.advance(9000);
    assert_eq!(world.heard(c).last().unwrap(), "onBWDone");
    assert_about(world.clients[c].measured.unwrap().0, 4000.0);
    world.end();
}

#[test]
fn a_publisher_is_never_measured_and_who_may_not_be_is_told_at_once() {
    let mut world = World::new();
    let publisher = world.publisher("cam");
    let id = conn(&world, publisher);
    assert!(!world.server.check_bandwidth(id, Millis(world.now)));
    ask(&mut world, publisher);
    // Who begins to publish meanwhile is measured no further.
    let other = world.join();
    world.line(other, 1000, 5);
    ask(&mut world, other);
    world.advance(300);
    world.clients[other].create_stream();
    world.clients[other].publish(1, "other");
    world.advance(300);
    let received = world.clients[other].received;
    world.advance(4000);
    assert!(world.clients[other].received < received + 200);
    assert_about(world.clients[other].measured.unwrap().0, 1000.0);
    assert_eq!(world.heard(publisher).last().unwrap(), "onBWDone");
    assert_eq!(world.clients[publisher].measured, None);
    let bandwidth = Bandwidth { detection: false, ..Bandwidth::default() };
    world.end();
    let mut world = World::with(Settings { bandwidth, ..settings() }, 1);
    let c = world.join();
    ask(&mut world, c);
    world.settle();
    assert_eq!(world.heard(c), ["_result", "onBWDone"]);
    world.end();
}

/// A publisher at some speed for some time: 25 frames a second, a key frame a second, audio between them.
fn publish(world: &mut World, c: usize, bytes_s: usize, ms: u64) {
    let end = world.now + ms;
    let mut frame = 0;
    while world.now < end {
        let kind = if frame % 25 == 0 { Key } else { Inter };
        let time = world.now as u32;
        world.send(c, 1, kind, time, bytes_s / 25 - 200);
        world.send(c, 1, Audio, time, 200);
        frame += 1;
        world.advance(40);
    }
}

#[test]
fn a_player_that_is_measured_gets_all_of_its_stream_and_the_others_theirs() {
    let mut world = World::with(Settings { ring_bytes: 1 << 20, ..settings() }, 1);
    let publisher = world.publisher("cam");
    let (player, witness) = (world.player("cam"), world.player("cam"));
    world.net.links[world.clients[player].link].short = 1000;
    publish(&mut world, publisher, 50_000, 500);
    world.line(player, 2000, 10);
    ask(&mut world, player);
    publish(&mut world, publisher, 50_000, 5000);
    world.advance(1000);
    assert_eq!(world.server.counters().skips, 0);
    for c in [player, witness] {
        assert_eq!(world.clients[c].watch(1).next, 2 * 138);
    }
    // The line carries 250 000 bytes a second, of which the stream takes 50 000.
    let (found, _) = world.clients[player].measured.unwrap();
    println!("{found}");
    assert!((1440.0..2000.0).contains(&found), "{found}");
    world.end();
}

#[test]
fn a_player_with_a_limit_gets_so_much_of_whole_frames_and_the_others_everything() {
    for second_net_stream in [false, true] {
        let mut world = World::with(Settings { ring_bytes: 1 << 20, ..settings() }, 1);
        let publisher = world.publisher("cam");
        let (player, witness) = (world.player("cam"), world.player("cam"));
        if second_net_stream {
            world.clients[player].create_stream();
            world.clients[player].play(2, "other");
            world.settle();
        }
        world.limit(player, Some(100_000), None);
        assert_eq!(world.server.bandwidth_limit(conn(&world, player)), (100_000, 0));
        publish(&mut world, publisher, 250_000, 2000);
        let before = world.clients[player].received;
        publish(&mut world, publisher, 250_000, 5000);
        assert_about((world.clients[player].received - before) as f64, 500_000.0);
        assert!(world.server.counters().skips > 0);
        assert_eq!(world.clients[witness].watch(1).next, 2 * 175);
        // Answers do not wait for tokens.
        world.heard(player);
        world.clients[player].create_stream();
        world.settle();
        assert!(world.heard(player).iter().any(|line| line.starts_with("created")));
        let id = conn(&world, player);
        let Role::Playing(_) = world.server.slots().look_client(id).unwrap().1.roles[0] else { panic!("it plays on") };
        // Without the limit it catches up at once.
        world.clients[player].rate = None;
        world.limit(player, Some(0), None);
        publish(&mut world, publisher, 250_000, 1000);
        assert_eq!(world.clients[player].watch(1).next, 2 * 200);
        world.end();
    }
}

#[test]
fn a_publisher_with_a_limit_is_read_so_fast_and_the_others_as_before() {
    let mut world = World::with(Settings { ring_bytes: 1 << 20, publish_timeout_ms: 0, ..settings() }, 1);
    let (publisher, other) = (world.publisher("cam"), world.publisher("other"));
    let (player, witness) = (world.player("cam"), world.player("other"));
    world.limit(publisher, None, Some(60_000));
    let id = conn(&world, publisher);
    let bytes_in = |world: &World| world.server.slots().look(id).unwrap().bytes_in;
    for _ in 0..200 {
        world.send(publisher, 1, Key, 0, 4000);
    }
    world.advance(1000);
    let before = bytes_in(&world);
    publish(&mut world, other, 250_000, 5000);
    assert_about((bytes_in(&world) - before) as f64, 300_000.0);
    assert_eq!(world.clients[witness].watch(1).next, 2 * 125);
    world.limit(publisher, None, Some(0));
    world.advance(10);
    assert_eq!(world.clients[player].watch(1).next, 200);
    world.end();
}

#[test]
fn limits_of_the_configuration_hold_from_the_start_and_a_limited_client_is_measured_as_that() {
    let bandwidth = Bandwidth { to_client_bytes_s: 50_000, to_server_bytes_s: 30_000, ..Bandwidth::default() };
    let mut world = World::with(Settings { bandwidth, ..settings() }, 1);
    let (found, _, _) = measured(&mut world, 80_000, 5);
    let id = conn(&world, 0);
    assert_eq!(world.server.bandwidth_limit(id), (50_000, 30_000));
    assert_about(found, 400.0);
    world.limit(0, None, Some(0));
    assert_eq!(world.server.bandwidth_limit(id), (50_000, 0));
    world.end();
    assert_eq!(world.server.bandwidth_limit(id), (0, 0));
    assert!(!world.server.check_bandwidth(id, Millis(world.now)));
}

#[test]
fn many_who_wait_for_tokens_do_not_wake_the_loop_more_often_than_one() {
    let turns = |players: usize| {
        let settings = Settings { ring_bytes: 1 << 20, connections: 64, player_lag_ms: 60_000, ..settings() };
        let mut world = World::with(settings, 1);
        let publisher = world.publisher("cam");
        for at in 0..players {
            let player = world.player("cam");
            world.limit(player, Some(50_000 + 977 * at as u32), None);
        }
        publish(&mut world, publisher, 250_000, 1000);
        let mut wakes = 0;
        let end = world.now + 1000;
        while world.now < end {
            let wait = world.server.wait_ms(Millis(world.now)).unwrap();
            assert!(wait > 0);
            world.advance(wait);
            wakes += 1;
        }
        world.end();
        wakes
    };
    let (one, many) = (turns(1), turns(40));
    println!("{one} and {many} wakes a second");
    assert!(one <= 40 && many <= 110, "{one} and {many} wakes a second");
}
