//! What is full, late, slow or too large.

use std::net::{IpAddr, Ipv4Addr};

use rill::limits::SPARE_CONNECTIONS;
use rill::limits::{ASSEMBLY_BYTES, HEADER_BYTES, NET_STREAMS};
use rill::live::settings::{Merge, PerAddress, Settings};
use rill::server::close::CloseReason;

use super::sim::client::Client;
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
    let (mut world, publisher, _) = World::stalled(3000);
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
        let (mut world, publisher, stalled) = World::stalled(3000);
        if second_net_stream {
            world.clients[stalled].create_stream();
            world.clients[stalled].play(2, "other");
            world.settle();
        }
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
    let (mut world, publisher, player) = World::watched();
    world.send(publisher, 1, Key, 100, 40_000);
    world.ledger.of(0).sent[4].dropped = true;
    world.send_all(publisher, 140, &[Audio, Key]);
    assert_eq!(world.heard(player), ["1: Play.InsufficientBW", "0.5 audio", "0.6 key"]);
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
    let (mut world, publisher, player) = World::watched();
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
    world.send_start(first);
    let second = world.publisher("b");
    assert_eq!(world.heard(second), ["created 1", "1: Publish.BadName", "close"]);
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
    for name in ["a", "b", "c", "d", "e", "f"] {
        let c = world.player(name);
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
        world.send_start(publisher);
    }
    // More of them than there are rings are answered, and cost nobody a place.
    let third = world.publisher("z");
    assert_eq!(world.heard(third), ["created 1", "1: Publish.BadName", "close"]);
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
    let mut world = World::with(Settings { connections: 2, streams: 1, ..settings() }, 1);
    let (first, _second, _third) = (world.join(), world.join(), world.join());
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
    // Now every place is a viewer's but those for publishers.
    world.player("cam");
    let late = world.player("cam");
    assert_eq!(world.heard(late), ["created 1", "1: Play.Failed", "close"]);
    assert!(clients.iter().all(|&c| !world.clients[c].ended));
    world.end();
}

#[test]
fn one_address_has_only_so_many_connections_of_which_silent_ones_make_room() {
    let mut world = World::with(Settings { connections_per_address: PerAddress::Fixed(2), ..settings() }, 1);
    let address = [192, 168, 0, 7];
    let first = world.join_from(address);
    let silent = world.dial_from(address.into());
    let second = world.join_from(address);
    assert!(world.clients[silent].ended);
    assert_eq!(world.closed(CloseReason::AddressLimit), 1);
    let late = world.dial_from(address.into());
    world.settle();
    assert!(world.clients[late].ended && !world.clients[first].ended && !world.clients[second].ended);
    assert_eq!(world.closed(CloseReason::AddressLimit), 2);
    world.hang_up(first);
    world.settle();
    world.join_from(address);
    assert_eq!(world.closed(CloseReason::AddressLimit), 2);
    world.end();
}

#[test]
fn no_household_meets_the_limit_of_one_address_by_default() {
    for (connections, most) in [(128, 96), (600, 450), (2, 2), (1, 1)] {
        let settings = Settings { connections, ..Settings::default() };
        assert_eq!(settings.connections_per_address([192, 168, 0, 7].into()), Some(most));
        assert_eq!(settings.connections_per_address([127, 0, 0, 1].into()), None, "a proxy on the same machine");
    }
}

/// Strangers, each of whom opens connections as fast as it can.
struct Flood {
    strangers: u8,
    dialled: u32,
}

impl Flood {
    fn new(strangers: u8) -> Flood {
        Flood { strangers, dialled: 0 }
    }

    /// One more connection, which says what each of these lets it say in turn.
    fn one(&mut self, world: &mut World, say: &[fn(&mut Client)]) {
        let stranger = (self.dialled % u32::from(self.strangers)) as u8;
        let c = world.dial_from([203, 0, 113, stranger].into());
        say[self.dialled as usize % say.len()](&mut world.clients[c]);
        world.clients[c].lenient = true;
        self.dialled += 1;
        world.settle();
    }

    /// So many in each of these milliseconds.
    fn during(&mut self, world: &mut World, ms: u64, each: u32, say: &[fn(&mut Client)]) {
        for _ in 0..ms {
            for _ in 0..each {
                self.one(world, say);
            }
            world.advance(1);
        }
    }
}

fn silent(_: &mut Client) {}

fn half_a_handshake(client: &mut Client) {
    client.handshake();
    client.out.truncate(1000);
}

fn shaken(client: &mut Client) {
    client.handshake();
}

fn joined(client: &mut Client) {
    client.handshake();
    client.connect("live");
}

fn waiting(client: &mut Client) {
    joined(client);
    client.create_stream();
    client.play(1, ["nobody", "none", "nothing", "nil", "void", "nought"][client.link % 6]);
}

fn publishing(client: &mut Client) {
    joined(client);
    client.create_stream();
    client.publish(1, ["ghost", "spook", "shade", "spectre"][client.link % 4]);
}

/// All that strangers do who do nothing.
const STRANGERS: [fn(&mut Client); 6] = [silent, half_a_handshake, shaken, joined, waiting, publishing];

/// Says what `say` adds in parts that are `ms` apart, as on a slow network, while the flood goes on.
fn slowly(world: &mut World, flood: &mut Flood, c: usize, ms: u64, say: fn(&mut Client)) {
    say(&mut world.clients[c]);
    let words = std::mem::take(&mut world.clients[c].out);
    for part in words.chunks(500) {
        world.clients[c].out.extend(part);
        world.settle();
        flood.during(world, ms, 3, &STRANGERS);
        assert!(!world.clients[c].ended, "turned out after {:?}", world.clients[c].log);
    }
}

#[test]
fn an_encoder_and_a_viewer_on_slow_networks_get_in_and_stay_in_while_a_flood_of_everything_runs() {
    let mut world = World::with(Settings { connections: 24, streams: 6, ..settings() }, 1);
    let mut flood = Flood::new(3);
    flood.during(&mut world, 30, 10, &[silent, joined]);
    let (taken, all) = (world.server.slots().taken(), world.server.slots().client_count());
    assert!(taken > all - 8, "{taken} of {all} places are strangers'");
    let (encoder, viewer) = (world.dial_from([192, 168, 0, 7].into()), world.dial_from([192, 168, 0, 8].into()));
    slowly(&mut world, &mut flood, encoder, 40, |client| {
        joined(client);
        client.create_stream();
        client.publish(1, "cam");
    });
    assert_eq!(world.heard(encoder).last().unwrap(), "1: Publish.Start");
    world.send_start(encoder);
    slowly(&mut world, &mut flood, viewer, 40, |client| {
        joined(client);
        client.create_stream();
        client.play(1, "cam");
    });
    for i in 0..20 {
        world.send_all(encoder, 100 + i * 20, &[Audio]);
        flood.during(&mut world, 20, 3, &STRANGERS);
    }
    assert_eq!(world.clients[viewer].watch(1).next, 24);
    assert!(!world.clients[viewer].ended && !world.clients[encoder].ended);
    world.end();
}

#[test]
fn clients_that_only_connect_or_wait_for_what_nobody_publishes_keep_nobody_out() {
    for say in [joined as fn(&mut Client), waiting, publishing] {
        let mut world = World::with(Settings { connections: 40, streams: 6, ..settings() }, 1);
        let mut flood = Flood::new(4);
        flood.during(&mut world, 1, 120, &[say]);
        // They stay as long as they can.
        world.advance(1000);
        let encoder = world.publisher("cam");
        let viewers: Vec<usize> = (0..20).map(|_| world.player("cam")).collect();
        world.send_start(encoder);
        for &viewer in &viewers {
            assert_eq!(world.clients[viewer].watch(1).next, 4);
        }
        flood.during(&mut world, 5, 20, &[say]);
        world.send_all(encoder, 100, &[Audio]);
        for &viewer in &viewers {
            assert_eq!(world.clients[viewer].watch(1).next, 5);
        }
        world.end();
    }
}

#[test]
fn names_that_strangers_wait_for_leave_a_place_to_a_viewer_who_comes_before_the_encoder() {
    fn waits_for_eight(client: &mut Client) {
        joined(client);
        for stream in 1..=8 {
            client.create_stream();
            client.play(stream, &format!("nobody {} {stream}", client.link));
        }
    }
    let mut world = World::with(Settings { connections: 60, streams: 6, ..settings() }, 1);
    let mut flood = Flood::new(3);
    flood.during(&mut world, 1, 12, &[waits_for_eight]);
    assert!(world.server.counters().streams_exhausted > 0);
    let viewer = world.player("cam");
    flood.during(&mut world, 100, 1, &[waits_for_eight, waiting]);
    world.heard(viewer);
    let encoder = world.publisher("cam");
    world.send_start(encoder);
    assert_eq!(world.clients[viewer].watch(1).next, 4);
    world.end();
}

#[test]
fn viewers_take_every_connection_and_an_encoder_finds_one_all_the_same() {
    let mut world = World::with(Settings { connections: 4, streams: 2, ..settings() }, 1);
    let first = world.publisher("a");
    world.send_start(first);
    let viewers: Vec<usize> = (0..4).map(|_| world.player("a")).collect();
    let late = world.player("a");
    assert_eq!(world.heard(late), ["created 1", "1: Play.Failed", "close"]);
    let second = world.publisher("b");
    assert_eq!(world.heard(second).last().unwrap(), "1: Publish.Start");
    world.send_all(first, 100, &[Audio]);
    for viewer in viewers {
        assert_eq!(world.clients[viewer].watch(1).next, 5);
    }
    world.end();
}

#[test]
fn who_has_been_idle_for_long_gives_way_and_is_told() {
    let mut world = World::with(Settings { connections: 3, streams: 1, ping_interval_ms: 60_000, ..settings() }, 1);
    let encoder = world.publisher("cam");
    world.send_start(encoder);
    let viewer = world.player("cam");
    let (first, second) = (world.player("later"), world.player("later"));
    world.heard(first);
    let refused = world.dial();
    joined(&mut world.clients[refused]);
    world.settle();
    assert_eq!(world.heard(refused)[4..], ["_error Connect.Rejected", "close"]);
    for i in 0..100 {
        world.send_all(encoder, 100 + i * 100, &[Audio]);
        world.advance(100);
    }
    let next = world.player("cam");
    assert_eq!(world.heard(first), ["0: Connect.IdleTimeout", "close"]);
    assert_eq!(world.closed(CloseReason::GaveWay), 1);
    assert!([encoder, viewer, second, next].iter().all(|&c| !world.clients[c].ended));
    world.end();
}

#[test]
fn a_school_that_waits_behind_one_address_has_its_share_of_the_places_in_a_flood() {
    let mut world = World::with(Settings { connections: 40, streams: 6, ..settings() }, 1);
    let school = [198, 51, 100, 1];
    let pupils: Vec<usize> = (0..30)
        .map(|_| {
            let c = world.join_from(school);
            world.clients[c].create_stream();
            world.clients[c].play(1, "lesson");
            world.settle();
            c
        })
        .collect();
    let mut flood = Flood::new(4);
    let here = |world: &World| pupils.iter().filter(|&&c| !world.clients[c].ended).count();
    // Silent ones turn out nobody who has joined.
    flood.during(&mut world, 100, 5, &[silent, half_a_handshake, shaken]);
    assert_eq!(here(&world), 30);
    flood.during(&mut world, 100, 5, &[joined, silent]);
    assert!(here(&world) >= 46 / 5, "{} are left", here(&world));
    // Those who are sent the lesson stay, however many others want their places.
    let teacher = world.publisher("lesson");
    world.send_start(teacher);
    let left = here(&world);
    flood.during(&mut world, 100, 5, &STRANGERS);
    world.send_all(teacher, 100, &[Audio]);
    assert_eq!(here(&world), left);
    world.end();
}

#[test]
fn idle_clients_of_an_application_that_is_full_give_way_too() {
    for (connections, players) in [(4, 0), (0, 4)] {
        let mut app = super::sim::world::apps().remove(0);
        (app.limits.connections, app.limits.players) = (connections, players);
        let mut world = World::on_disk(settings(), vec![app]);
        Flood::new(2).during(&mut world, 1, 8, &[waiting]);
        let encoder = world.publisher("cam");
        let viewer = world.player("cam");
        world.send_start(encoder);
        assert_eq!(world.clients[viewer].watch(1).next, 4);
        world.end();
    }
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

#[test]
fn an_encoder_and_its_viewer_get_in_although_a_stranger_of_their_own_address_has_taken_every_place() {
    // As behind a proxy, or a provider's NAT.
    let home = [10, 9, 9, 9];
    let mut world =
        World::with(Settings { connections: 12, connections_per_address: PerAddress::Fixed(0), ..settings() }, 1);
    for _ in 0..40 {
        let stranger = world.dial_from(home.into());
        world.clients[stranger].handshake();
        world.clients[stranger].connect("live");
        world.settle();
    }
    world.advance(2500);
    let encoder = world.publisher_from(home, "cam");
    assert_eq!(world.heard(encoder).last().unwrap(), "1: Publish.Start");
    world.send_start(encoder);
    let viewer = world.join_from(home);
    world.clients[viewer].create_stream();
    world.clients[viewer].play(1, "cam");
    world.settle();
    assert_eq!(world.heard(viewer).last().unwrap(), "0.3 key");
}
