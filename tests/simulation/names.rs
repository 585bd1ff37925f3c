//! Who may use which name, and how connections end.

use rill::live::refusal::Refusal;
use rill::live::settings::{Merge, Settings};
use rill::server::close::CloseReason;

use super::sim::ledger::Kind::{Audio, Inter, Key};
use super::sim::world::{World, settings};

/// An encoder's address, and somebody else's.
const HALL: [u8; 4] = [192, 168, 0, 7];
const STRANGER: [u8; 4] = [203, 0, 113, 5];

#[test]
fn a_busy_name_is_refused_to_a_newcomer() {
    let mut world = World::new();
    let holder = world.publisher("cam");
    world.heard(holder);
    let player = world.player("cam");
    let newcomer = world.publisher("cam");
    assert_eq!(world.heard(newcomer), ["created 1", "1: Publish.BadName", "close"]);
    assert!(world.clients[newcomer].ended);
    assert_eq!(world.closed(CloseReason::PublishRefused(Refusal::Taken)), 1);
    world.send_start(holder);
    assert_eq!(world.clients[player].watch(1).next, 4);
    world.end();
}

#[test]
fn a_silent_holder_loses_its_name_and_players_notice_nothing() {
    let mut world = World::new();
    let holder = world.publisher("cam");
    let player = world.player("cam");
    world.send_start(holder);
    world.heard(player);
    world.unplug(holder);
    let newcomer = world.publisher("cam");
    assert_eq!(world.heard(newcomer), ["created 1"]);
    world.advance(990);
    assert_eq!(world.heard(newcomer), [""; 0]);
    world.advance(20);
    assert_eq!(world.heard(newcomer), ["begin 1", "1: Publish.Start"]);
    assert_eq!(world.closed(CloseReason::Replaced), 1);
    world.send_start(newcomer);
    assert_eq!(world.heard(player), ["1.0 metadata", "1.1 video header", "1.2 audio header", "1.3 key"]);
    world.end();
}

#[test]
fn any_byte_of_the_holder_keeps_its_name() {
    let mut world = World::new();
    let holder = world.publisher("cam");
    world.clients[holder].answers_pings = false;
    let newcomer = world.publisher("cam");
    world.advance(500);
    world.send_all(holder, 0, &[Audio]);
    assert_eq!(world.heard(newcomer), ["created 1", "1: Publish.BadName", "close"]);
    world.end();
}

#[test]
fn an_encoder_that_tries_again_goes_before_its_earlier_try_and_has_no_more_time_for_it() {
    let mut world = World::new();
    let holder = world.publisher("cam");
    world.unplug(holder);
    let first = world.publisher_from(STRANGER, "cam");
    world.advance(500);
    let second = world.publisher_from(STRANGER, "cam");
    assert_eq!(world.heard(first), ["created 1", "1: Publish.BadName", "close"]);
    world.advance(510);
    assert_eq!(world.heard(second), ["created 1", "begin 1", "1: Publish.Start"]);
    world.end();
}

#[test]
fn nobody_takes_the_place_of_another_who_waits_for_a_name_but_the_one_who_comes_back_to_it() {
    let mut world = World::new();
    let holder = world.publisher_from(HALL, "cam");
    world.unplug(holder);
    let (stranger, other) = (world.publisher_from(STRANGER, "cam"), world.publisher("cam"));
    assert_eq!(world.heard(stranger), ["created 1"]);
    assert_eq!(world.heard(other), ["created 1", "1: Publish.BadName", "close"]);
    world.advance(500);
    let back = world.publisher_from(HALL, "cam");
    assert_eq!(world.heard(stranger), ["1: Publish.BadName", "close"]);
    for address in [STRANGER, [10, 9, 9, 9]] {
        let late = world.publisher_from(address, "cam");
        assert_eq!(world.heard(late), ["created 1", "1: Publish.BadName", "close"]);
    }
    world.advance(510);
    assert_eq!(world.heard(back), ["created 1", "begin 1", "1: Publish.Start"]);
    world.end();
}

#[test]
fn no_number_of_newcomers_ends_or_replaces_a_publisher_who_does_not_read() {
    for sends in [true, false] {
        let mut world = World::new();
        world.window = 2000;
        let holder = world.publisher("cam");
        let player = world.player("cam");
        world.send_start(holder);
        // It has all that its kernel takes before it.
        world.clients[holder].set_chunk_size(4000);
        world.slow(holder, 0);
        for i in 0..1200 {
            let newcomer = world.publisher_from(STRANGER, "cam");
            if sends && i % 2 == 0 {
                world.send(holder, 1, Inter, 100 + i * 10, 3000);
            }
            world.advance(10);
            assert!(!sends || world.clients[newcomer].ended || i % 2 == 1);
        }
        assert_eq!(world.closed(CloseReason::Replaced), u64::from(!sends));
        if sends {
            assert_eq!(world.clients[player].watch(1).next, 4 + 600);
            assert_eq!(world.clients[holder].publication(1), Some(0));
        }
        world.clients[holder].rate = None;
        world.advance(10);
        assert!(world.clients[holder].pings <= 2, "{} pings", world.clients[holder].pings);
        world.end();
    }
}

#[test]
fn a_publisher_whose_bytes_are_not_read_yet_is_there() {
    // Read once a second; asked for a sign of life for a tenth of it.
    let merge = Merge::Fixed(1000);
    let mut world = World::with(Settings { merge, publish_timeout_ms: 100, ..settings() }, 1);
    let holder = world.publisher("cam");
    world.send_start(holder);
    world.advance(1100);
    world.clients[holder].answers_pings = false;
    for i in 0..30 {
        world.send_all(holder, 100 + i * 110, &[Audio]);
        let newcomer = world.publisher("cam");
        world.advance(110);
        assert_eq!(world.heard(newcomer), ["created 1", "1: Publish.BadName", "close"]);
    }
    assert_eq!(world.closed(CloseReason::Replaced), 0);
    world.end();
}

#[test]
fn a_newcomer_who_leaves_while_it_waits_leaves_nothing() {
    for quietly in [false, true] {
        let mut world = World::new();
        let holder = world.publisher("cam");
        let player = world.player("cam");
        world.send_start(holder);
        world.unplug(holder);
        let newcomer = world.publisher("cam");
        if quietly {
            world.unplug(newcomer);
        } else {
            world.reset(newcomer);
        }
        world.advance(60_000);
        assert_eq!(world.heard(player).last().unwrap(), "1: Play.UnpublishNotify");
        let publisher = world.publisher("cam");
        world.send_start(publisher);
        assert_eq!(world.heard(player).len(), 5);
        world.end();
    }
}

#[test]
fn a_holder_of_two_names_who_ends_one_keeps_the_other_while_it_sends() {
    let mut world = World::new();
    let holder = world.publisher("a");
    world.clients[holder].create_stream();
    world.clients[holder].publish(2, "b");
    world.settle();
    world.clients[holder].answers_pings = false;
    let newcomer = world.publisher("b");
    assert_eq!(world.heard(newcomer), ["created 1"]);
    world.clients[holder].close_stream(1);
    world.settle();
    for i in 0..20 {
        world.send(holder, 2, Audio, i * 100, 50);
        world.advance(100);
    }
    assert_eq!(world.heard(newcomer), ["1: Publish.BadName", "close"]);
    world.end();
}

#[test]
fn publishing_twice_is_said_twice_and_a_second_name_replaces_the_first() {
    let mut world = World::new();
    let publisher = world.publisher("a");
    let (a, b) = (world.player("a"), world.player("b"));
    world.heard(publisher);
    world.clients[publisher].publish(1, "a");
    world.settle();
    assert_eq!(world.heard(publisher), ["begin 1", "1: Publish.Start"]);
    world.send_start(publisher);
    assert_eq!(world.heard(a).last().unwrap(), "0.3 key");
    world.clients[publisher].close_stream(1);
    world.clients[publisher].publish(1, "b");
    world.settle();
    world.send_start(publisher);
    assert_eq!(world.heard(a), ["1: Play.UnpublishNotify"]);
    assert_eq!(world.heard(b).last().unwrap(), "1.3 key");
    world.end();
}

#[test]
fn unknown_bad_and_recorded_applications_have_their_own_answers() {
    let mut world = World::new();
    for (app, code) in [("nope", "_error Connect.Rejected"), ("", "_error Connect.InvalidApp")] {
        let client = world.dial();
        world.clients[client].handshake();
        world.clients[client].connect(app);
        world.settle();
        assert_eq!(world.heard(client)[4..], [code, "close"]);
        assert!(world.clients[client].ended);
    }
    let client = world.dial();
    world.clients[client].handshake();
    world.clients[client].connect("vod");
    world.clients[client].create_stream();
    world.clients[client].play(1, "film");
    world.settle();
    assert_eq!(world.heard(client).last().unwrap(), "1: Play.StreamNotFound");
    world.clients[client].publish(1, "film");
    world.settle();
    assert_eq!(world.heard(client), ["1: Publish.BadName", "close"]);
    world.end();
}

#[test]
fn stopping_tells_everyone_in_order_and_empties_within_two_seconds() {
    let mut world = World::new();
    world.window = 3000;
    let player = world.player("cam");
    let publisher = world.publisher("cam");
    let late = world.player("cam");
    let waiting = world.player("other");
    let idle = world.join();
    let mute = world.dial();
    let slow = world.player("cam");
    let stalled = world.player("cam");
    world.slow(slow, 20);
    world.slow(stalled, 0);
    world.send_start(publisher);
    world.send(publisher, 1, Key, 100, 20_000);
    world.settle();
    for c in [player, publisher, late, waiting, idle, mute] {
        world.heard(c);
    }
    world.stop();
    let newcomer = world.dial();
    world.advance(50);
    let gone = ["0: Connect.AppShutdown", "close"];
    assert_eq!(world.heard(idle), gone);
    assert_eq!(world.heard(publisher), [&["1: Unpublish.Success"][..], &gone].concat());
    for c in [player, late] {
        assert_eq!(world.heard(c), [&["1: Play.UnpublishNotify"][..], &gone].concat());
    }
    assert_eq!(world.heard(waiting), [&["1: Play.Stop"][..], &gone].concat(), "nobody published that");
    world.advance(1150);
    let heard = world.heard(slow);
    assert_eq!(heard[heard.len() - 4..], ["0.4 key", "1: Play.UnpublishNotify", "0: Connect.AppShutdown", "close"]);
    world.advance(800);
    assert!(world.clients[newcomer].ended, "nobody is let in any more");
    world.check_empty();
}

#[test]
fn a_taken_over_name_is_given_even_at_once_when_the_time_out_is_zero() {
    let mut world = World::with(Settings { publish_timeout_ms: 0, ..settings() }, 1);
    let holder = world.publisher("cam");
    let player = world.player("cam");
    world.send_start(holder);
    let newcomer = world.publisher("cam");
    assert_eq!(world.heard(newcomer).last().unwrap(), "1: Publish.Start");
    assert_eq!(world.heard(holder).last().unwrap(), "close");
    world.send_all(newcomer, 0, &[Key, Inter]);
    assert_eq!(world.heard(player).last().unwrap(), "1.1 inter");
    world.end();
}

#[test]
fn publishing_another_name_on_the_same_net_stream_ends_the_first() {
    let mut world = World::new();
    let publisher = world.publisher("a");
    let (a, b) = (world.player("a"), world.player("b"));
    world.send_start(publisher);
    world.heard(a);
    world.heard(publisher);
    world.clients[publisher].publish(1, "b");
    world.settle();
    assert_eq!(world.heard(publisher), ["1: Unpublish.Success", "begin 1", "1: Publish.Start"]);
    assert_eq!(world.heard(a), ["1: Play.UnpublishNotify"]);
    world.send_start(publisher);
    assert_eq!(world.heard(b).last().unwrap(), "1.3 key");
    world.clients[publisher].close_stream(1);
    world.settle();
    assert_eq!(world.heard(b), ["1: Play.UnpublishNotify"]);
    world.end();
}

#[test]
fn what_is_refused_to_a_publisher_leaves_what_it_publishes_alone() {
    let mut world = World::new();
    let publisher = world.publisher("a");
    let player = world.player("a");
    world.clients[publisher].create_stream();
    world.settle();
    world.heard(publisher);
    for (name, kind) in [("a", "record"), ("b", "append")] {
        world.clients[publisher].publish_as(1, name, kind);
        world.settle();
        assert_eq!(world.heard(publisher), ["1: Record.NoAccess"]);
    }
    // Its own name on another net stream.
    world.clients[publisher].publish(2, "a");
    world.settle();
    assert_eq!(world.heard(publisher), ["2: Publish.BadName"]);
    world.clients[publisher].publish(2, "c");
    world.settle();
    assert_eq!(world.heard(publisher), ["begin 2", "2: Publish.Start"]);
    // It would have to end one for another it cannot have.
    world.clients[publisher].publish(2, "a");
    world.settle();
    assert_eq!(world.heard(publisher), ["2: Publish.BadName"]);
    world.send_start(publisher);
    world.send(publisher, 2, Key, 0, 60);
    world.settle();
    assert_eq!(world.clients[player].watch(1).next, 4);
    assert_eq!(world.server.counters().published, 2);
    world.end();
}
