//! What is full, late, slow or too large.

use std::net::{IpAddr, Ipv4Addr};

use rill::limits::{ASSEMBLY_BYTES, HEADER_BYTES, NET_STREAMS};
use rill::server::close::CloseReason;
use rill::server::settings::{Merge, Settings};
use rill::server::slots::SPARE_CONNECTIONS;

use super::sim::ledger::Kind::{Audio, Inter, Key, VideoHeader};
use super::sim::world::{World, settings};

#[test]
fn a_slow_player_skips_to_a_key_frame_and_is_counted_and_nobody_else_notices() {
    let mut world = World::new();
    world.window = 3000;
    let publisher = world.publisher("cam");
    let (slow, quick) = (world.player("cam"), world.player("cam"));
    world.slow(slow, 5);
    world.send_start(publisher);
    for i in 0..200u32 {
        let kind = if i % 25 == 24 { Key } else { Inter };
        world.send(publisher, 1, kind, 100 + i * 40, 400);
        world.settle();
        assert_eq!(world.clients[quick].watch(1).next, 5 + i, "the quick one has it at once");
        world.advance(40);
    }
    world.advance(2000);
    let skips = world.clients[slow].watch(1).skips;
    assert!(skips > 0, "{:?}", world.heard(slow));
    assert_eq!(u64::from(skips), world.server.counters().skips);
    assert_eq!(world.clients[quick].watch(1).skips, 0);
    assert_eq!(world.clients[slow].watch(1).next, 204, "it has caught up");
    world.end();
}

#[test]
fn a_stalled_player_is_closed_after_player_stall_ms() {
    let mut world = World::new();
    world.window = 3000;
    let publisher = world.publisher("cam");
    let stalled = world.player("cam");
    world.slow(stalled, 0);
    world.send_start(publisher);
    for i in 0..20 {
        world.send(publisher, 1, Inter, 100 + i * 40, 400);
    }
    world.advance(2900);
    assert_eq!(world.closed(CloseReason::Stalled), 0);
    world.advance(600);
    assert_eq!(world.closed(CloseReason::Stalled), 1);
    world.end();
}

#[test]
fn a_player_overtaken_in_the_middle_of_a_frame_is_closed_as_too_slow() {
    for second_net_stream in [false, true] {
        let mut world = World::new();
        world.window = 3000;
        let publisher = world.publisher("cam");
        let stalled = world.player("cam");
        if second_net_stream {
            world.clients[stalled].create_stream();
            world.clients[stalled].play(2, "other");
            world.settle();
        }
        world.slow(stalled, 0);
        world.send(publisher, 1, Key, 0, 20_000);
        world.settle();
        for i in 0..10 {
            world.send(publisher, 1, Inter, 40 + i * 40, 20_000);
            world.settle();
        }
        world.slow(stalled, 500);
        world.advance(500);
        assert_eq!(world.closed(CloseReason::TooSlow), 1);
        world.end();
    }
}

#[test]
fn a_message_larger_than_the_ring_takes_is_dropped_and_the_stream_goes_on() {
    let mut world = World::new();
    let publisher = world.publisher("cam");
    let player = world.player("cam");
    world.send_start(publisher);
    world.heard(player);
    world.send(publisher, 1, Key, 100, 40_000);
    world.ledger.of(0).sent[4].dropped = true;
    world.send_all(publisher, 140, &[Audio, Key]);
    assert_eq!(world.heard(player), ["0.5 audio", "0.6 key"]);
    assert_eq!(world.server.counters().media_refused, 1);
    world.end();
}

#[test]
fn data_and_headers_for_which_there_is_no_room_are_counted() {
    let mut world = World::new();
    let publisher = world.publisher("cam");
    let data = |handler: &str, bytes: usize| {
        let mut body = vec![2, 0, handler.len() as u8];
        body.extend(handler.bytes());
        body.extend([&[2][..], &(bytes as u16).to_be_bytes(), &vec![b'x'; bytes]].concat());
        body
    };
    let client = &mut world.clients[publisher];
    client.message(5, 18, 1, 0, &data("onTextData", ASSEMBLY_BYTES));
    client.message(5, 18, 1, 0, &data("onMetaData", HEADER_BYTES));
    client.message(6, 9, 1, 0, &[&[0x17, 0, 0, 0, 0][..], &vec![1; HEADER_BYTES]].concat());
    client.message(5, 18, 1, 0, &[9, 9]);
    world.settle();
    let counters = world.server.counters();
    assert_eq!((counters.data_dropped, counters.headers_not_kept), (2, 2));
    world.end();
}

#[test]
fn half_received_frames_hold_up_what_is_behind_them_and_are_forgotten_with_their_publisher() {
    let mut world = World::new();
    let publisher = world.publisher("cam");
    let player = world.player("cam");
    world.send_start(publisher);
    world.heard(player);
    // A chunk of a frame of 1000 bytes, then audio, then the end.
    world.clients[publisher].out.extend([6, 0, 0, 0, 0, 3, 0xE8, 9, 1, 0, 0, 0]);
    world.clients[publisher].out.extend([0x27; 128]);
    world.send_all(publisher, 200, &[Audio]);
    assert_eq!(world.heard(player), [""; 0]);
    world.hang_up(publisher);
    world.advance(10);
    assert_eq!(world.heard(player), ["0.4 audio", "1: Play.UnpublishNotify"]);
    world.end();
}

#[test]
fn every_name_in_use_is_an_answer_and_so_is_every_ring() {
    let mut world = World::with(Settings { streams: 1, ..settings() }, 1);
    let waiting: Vec<usize> = (0..3).map(|i| world.player(["a", "b", "c"][i])).collect();
    let late = world.player("d");
    assert_eq!(world.heard(late), ["created 1", "1: Play.Failed"]);
    let first = world.publisher("a");
    assert_eq!(world.heard(first), ["created 1", "begin 1", "1: Publish.Start"]);
    let second = world.publisher("b");
    assert_eq!(world.heard(second), ["created 1", "1: Publish.BadName", "close"]);
    world.send_start(first);
    assert_eq!(world.server.counters().streams_exhausted, 2);
    // The ring of a stream that nobody publishes is free for another name.
    world.heard(waiting[0]);
    world.hang_up(first);
    world.advance(10);
    assert_eq!(world.heard(waiting[0]), ["1: Play.UnpublishNotify"]);
    let second = world.publisher("b");
    world.send_start(second);
    assert_eq!(world.heard(waiting[1]).last().unwrap(), "1.3 key");
    world.clients[second].close_stream(1);
    world.settle();
    let first = world.publisher("a");
    world.send_start(first);
    assert_eq!(world.heard(waiting[0]).last().unwrap(), "2.3 key");
    let time = world.clients[waiting[0]].watch(1).last_timestamp().unwrap();
    assert!(time > 60, "the stream's time is its own, though its ring was another's: {time}");
    world.end();
}

#[test]
fn players_who_wait_never_keep_a_publisher_out() {
    let mut world = World::with(Settings { streams: 2, ..settings() }, 1);
    let mut waiting = Vec::new();
    for names in [["a", "b"], ["c", "d"], ["e", "f"]] {
        let c = world.player(names[0]);
        world.clients[c].create_stream();
        world.clients[c].play(2, names[1]);
        world.settle();
        world.heard(c);
        waiting.push(c);
        // Who waits longest goes first.
        world.advance(10);
    }
    let late = world.player("g");
    assert_eq!(world.heard(late), ["created 1", "1: Play.Failed"]);
    let first = world.publisher("x");
    let second = world.publisher("y");
    for publisher in [first, second] {
        assert_eq!(world.heard(publisher), ["created 1", "begin 1", "1: Publish.Start"]);
    }
    // More of them than there are rings are answered, and cost nobody a place.
    let third = world.publisher("z");
    assert_eq!(world.heard(third), ["created 1", "1: Publish.BadName", "close"]);
    world.send_start(first);
    // A viewer who stays when the publisher has left takes a place that was kept for publishers.
    let viewer = world.player("x");
    world.hang_up(first);
    world.settle();
    world.heard(viewer);
    let third = world.publisher("z");
    assert_eq!(world.heard(third), ["created 1", "begin 1", "1: Publish.Start"]);
    world.send_start(third);
    assert_eq!(world.heard(waiting[0]), ["1: Play.Stop"]);
    assert_eq!(world.heard(viewer), [""; 0]);
    // Its net streams can be used again.
    world.clients[waiting[0]].play(1, "z");
    world.settle();
    assert_eq!(world.heard(waiting[0]).last().unwrap(), &format!("{}.3 key", 2));
    world.end();
}

#[test]
fn a_ring_taken_while_a_player_is_in_the_middle_of_a_frame_closes_that_player_only() {
    for second_net_stream in [false, true] {
        let mut world = World::with(Settings { streams: 1, ..settings() }, 1);
        world.window = 3000;
        let player = world.player("a");
        if second_net_stream {
            world.clients[player].create_stream();
            world.clients[player].play(2, "other");
        }
        world.slow(player, 0);
        let first = world.publisher("a");
        world.send(first, 1, Key, 0, 20_000);
        world.settle();
        world.clients[first].close_stream(1);
        world.settle();
        let other = world.player("b");
        let second = world.publisher("b");
        world.send_start(second);
        world.clients[player].rate = None;
        world.advance(500);
        assert_eq!(world.closed(CloseReason::TooSlow), 1);
        assert_eq!(world.clients[other].watch(1).next, 4);
        world.end();
    }
}

#[test]
fn a_full_table_is_said_politely_and_then_not_at_all() {
    let mut world = World::with(Settings { connections: 2, ..settings() }, 1);
    let (first, _second) = (world.join(), world.join());
    let polite = world.dial();
    world.clients[polite].handshake();
    world.clients[polite].connect("live");
    world.settle();
    let heard = world.heard(polite);
    assert_eq!(heard[4..], ["_error Connect.Rejected", "close"], "{heard:?}");
    assert!(world.clients[polite].ended);
    assert_eq!(world.closed(CloseReason::TableFull), 1);
    let flood: Vec<usize> = (0..SPARE_CONNECTIONS + 3).map(|_| world.dial()).collect();
    world.settle();
    // The oldest of those who said nothing made room for the newest.
    assert_eq!(world.closed(CloseReason::TableFull), 4);
    assert!(world.clients[flood[0]].ended && !world.clients[*flood.last().unwrap()].ended);
    world.advance(5000);
    world.hang_up(first);
    world.advance(10);
    world.join();
    world.end();
}

#[test]
fn no_number_of_silent_connections_keeps_a_client_out_or_turns_one_out() {
    let mut world = World::with(Settings { connections: 4, ..settings() }, 1);
    let address = IpAddr::V4(Ipv4Addr::new(192, 168, 0, 7));
    let publisher = world.publisher("cam");
    let mut clients = vec![publisher];
    for _ in 0..3 {
        for i in 0..4 + SPARE_CONNECTIONS * 2 {
            let silent = world.dial_from(address);
            if i % 2 == 0 {
                world.clients[silent].handshake();
            }
            world.settle();
        }
        clients.push(world.player("cam"));
    }
    assert!(world.closed(CloseReason::TableFull) > 30);
    world.send_start(publisher);
    for &player in &clients[1..] {
        assert_eq!(world.clients[player].watch(1).next, 4);
    }
    // Now every place is a client's.
    let late = world.dial();
    world.clients[late].handshake();
    world.clients[late].connect("live");
    world.settle();
    assert_eq!(world.heard(late)[4..], ["_error Connect.Rejected", "close"]);
    assert!(clients.iter().all(|&c| !world.clients[c].ended));
    world.end();
}

#[test]
fn one_address_has_only_so_many_connections() {
    let mut world = World::with(Settings { connections_per_address: 2, ..settings() }, 1);
    let address = IpAddr::V4(Ipv4Addr::new(192, 168, 0, 7));
    for _ in 0..3 {
        world.dial_from(address);
    }
    world.settle();
    assert_eq!(world.closed(CloseReason::AddressLimit), 1);
    assert!(world.clients[2].ended && !world.clients[1].ended);
    world.hang_up(0);
    world.settle();
    world.dial_from(address);
    world.settle();
    assert_eq!(world.closed(CloseReason::AddressLimit), 1);
    world.end();
}

#[test]
fn nine_net_streams_are_one_too_many_and_the_connection_goes_on() {
    let mut world = World::new();
    let client = world.join();
    for _ in 0..=NET_STREAMS {
        world.clients[client].create_stream();
    }
    world.settle();
    assert_eq!(world.heard(client).last().unwrap(), "_error Call.Failed");
    world.clients[client].publish(8, "cam");
    world.settle();
    assert_eq!(world.heard(client).last().unwrap(), "8: Publish.Start");
    world.send(client, 8, VideoHeader, 0, 60);
    world.end();
}

#[test]
fn whoever_says_nothing_is_closed_when_its_time_is_up() {
    let mut world = World::with(Settings { idle_timeout_ms: 5000, ..settings() }, 1);
    let mute = world.dial();
    let half = world.dial();
    world.clients[half].handshake();
    world.clients[half].out.truncate(2000);
    let (quick, shaken) = (world.dial(), world.dial());
    world.clients[quick].handshake();
    world.advance(1900);
    assert!(!world.clients[mute].ended && !world.clients[half].ended && !world.clients[quick].ended);
    world.clients[shaken].handshake();
    world.advance(500);
    assert!(world.clients[mute].ended && world.clients[half].ended);
    assert_eq!(world.closed(CloseReason::HandshakeTimeout), 2);
    // The time to connect begins when the handshake ends.
    assert!(world.clients[quick].ended && !world.clients[shaken].ended);
    world.advance(1400);
    assert!(!world.clients[shaken].ended);
    world.advance(600);
    assert_eq!(world.closed(CloseReason::ConnectTimeout), 2);
    let idle = world.join();
    world.advance(4900);
    assert!(!world.clients[idle].ended);
    world.advance(500);
    assert_eq!(world.heard(idle), ["0: Connect.IdleTimeout", "close"]);
    assert!(world.clients[idle].ended);
    world.check_empty();
}

#[test]
fn a_pulled_plug_is_found_out_by_a_ping_and_an_answer_saves() {
    let mut world = World::new();
    let (alive, dead, deaf) = (world.player("cam"), world.player("cam"), world.player("cam"));
    world.unplug(dead);
    world.clients[deaf].answers_pings = false;
    world.advance(13_900);
    assert_eq!(world.clients[alive].pings, 1);
    assert_eq!(world.closed(CloseReason::PingTimeout), 0);
    world.advance(1000);
    assert_eq!(world.closed(CloseReason::PingTimeout), 2);
    world.advance(60_000);
    assert!(!world.clients[alive].ended);
    assert!(world.clients[alive].pings >= 6);
    world.end();
}

#[test]
fn a_pulled_plug_is_found_out_even_if_a_little_media_came_after_the_ping() {
    let mut world = World::new();
    let dead = world.player("cam");
    world.unplug(dead);
    world.advance(12_000);
    let publisher = world.publisher("cam");
    world.send_start(publisher);
    world.advance(60_000);
    assert_eq!(world.closed(CloseReason::PingTimeout), 1);
    world.end();
}

#[test]
fn a_client_that_reads_no_answers_is_closed_and_costs_nobody_anything() {
    let mut world = World::new();
    world.window = 1000;
    let publisher = world.publisher("cam");
    let player = world.player("cam");
    let flood = world.join();
    world.slow(flood, 0);
    for i in 0..2000 {
        world.clients[flood].command(0, "getStreamLength", |amf| amf.null().unwrap());
        if i % 50 == 0 {
            world.settle();
        }
    }
    world.send_start(publisher);
    assert_eq!(world.clients[player].watch(1).next, 4);
    world.advance(3500);
    assert_eq!(world.closed(CloseReason::Stalled), 1);
    world.end();
}

#[test]
fn a_client_that_reads_slowly_gets_every_answer() {
    let mut world = World::new();
    world.window = 300;
    let client = world.join();
    world.net.links[world.clients[client].link].short = 37;
    world.slow(client, 20);
    for _ in 0..300 {
        world.clients[client].command(0, "getStreamLength", |amf| amf.null().unwrap());
    }
    world.advance(5000);
    assert_eq!(world.clients[client].created.len(), 300);
    world.end();
}

#[test]
fn bytes_are_gathered_for_the_merge_window_but_never_so_many_that_the_ring_passes_a_player() {
    let mut world = World::with(Settings { merge: Merge::Fixed(500), ..settings() }, 1);
    let publisher = world.publisher("cam");
    let player = world.player("cam");
    world.send_start(publisher);
    world.advance(490);
    assert_eq!(world.clients[player].watch(1).next, 0);
    world.advance(20);
    assert_eq!(world.clients[player].watch(1).next, 4);
    for i in 0..20 {
        world.send(publisher, 1, Inter, 100 + i * 40, 10_000);
        world.settle();
    }
    world.advance(500);
    assert_eq!(world.clients[player].watch(1).next, 24);
    assert_eq!(world.server.counters().skips, 0);
    world.end();
}
