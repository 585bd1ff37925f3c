//! Viewers stay while an encoder restarts.

use rill::live::app::{AppDefinition, AppKind, AppLimits};
use rill::live::settings::Settings;

use super::sim::ledger::Kind::{Audio, AudioHeader, Inter, Key, Metadata, VideoHeader};
use super::sim::world::{World, settings};

const GRACE_MS: u64 = 5000;

fn patient() -> Settings {
    Settings { unpublish_grace_ms: GRACE_MS, ..settings() }
}

#[test]
fn players_hear_nothing_of_an_encoder_that_is_back_in_time_and_see_its_pictures() {
    for quietly in [false, true] {
        let mut world = World::with(patient(), 1);
        let first = world.publisher("cam");
        let player = world.player("cam");
        world.send_start(first);
        world.heard(player);
        if quietly {
            world.clients[first].close_stream(1);
            world.settle();
        } else {
            world.hang_up(first);
        }
        world.advance(GRACE_MS - 500);
        let late = world.player("cam");
        assert_eq!(world.heard(late).last().unwrap(), "sample access", "it waits, and is told of no publisher");
        let second = world.publisher("cam");
        world.send_start(second);
        world.send_all(second, 80, &[Inter, Audio, Key]);
        let media =
            ["1.0 metadata", "1.1 video header", "1.2 audio header", "1.3 key", "1.4 inter", "1.5 audio", "1.6 key"];
        assert_eq!(world.heard(player), media);
        assert_eq!(world.heard(late), [&["1: Play.PublishNotify"][..], &media].concat());
        world.advance(2 * GRACE_MS);
        assert_eq!(world.heard(player), [""; 0]);
        world.end();
    }
}

#[test]
fn an_encoder_that_comes_back_in_the_middle_of_a_group_of_pictures_is_heard_at_once_and_seen_from_its_key_frame_on() {
    for ring_was_taken in [false, true] {
        let mut world = World::with(Settings { streams: 1, ..patient() }, 1);
        let first = world.publisher("cam");
        let players = [(); 3].map(|()| world.player("cam"));
        let [live, paused, slow] = players;
        world.send_start(first);
        for player in players {
            world.heard(player);
        }
        world.clients[paused].flag(1, "pause", true);
        world.slow(slow, 0);
        world.settle();
        world.send_all(first, 60, &[Inter, Audio, Inter]);
        world.hang_up(first);
        world.advance(100);
        if ring_was_taken {
            let other = world.publisher("other");
            world.send_start(other);
            world.hang_up(other);
            world.settle();
        }
        let second = world.publisher("cam");
        // Its first pictures build on one that nobody has.
        world.send_all(second, 0, &[Metadata, VideoHeader, AudioHeader, Inter, Audio, Inter]);
        world.clients[paused].watch(1).may_skip = true;
        world.clients[paused].flag(1, "pause", false);
        world.clients[slow].rate = None;
        world.settle();
        let late = world.player("cam");
        world.send_all(second, 80, &[Inter, Audio, Key, Inter]);
        world.advance(100);
        let publication = world.clients[second].publication(1).unwrap();
        for player in [live, paused, slow, late] {
            let heard = world.heard(player);
            let frames = ["4 audio", "7 audio", "8 key", "9 inter"].map(|frame| format!("{publication}.{frame}"));
            assert!(heard.ends_with(&frames), "{heard:?}");
            let undecodable = |line: &String| [3, 5, 6].iter().any(|seq| *line == format!("{publication}.{seq} inter"));
            assert!(!heard.iter().any(undecodable), "{heard:?}");
        }
        world.end();
    }
}

#[test]
fn when_it_is_not_back_in_time_those_are_told_who_saw_it() {
    let mut world = World::with(patient(), 1);
    let publisher = world.publisher("cam");
    let player = world.player("cam");
    world.send_start(publisher);
    world.heard(player);
    world.hang_up(publisher);
    world.advance(GRACE_MS - 500);
    let late = world.player("cam");
    assert_eq!((world.heard(player), world.heard(late).len()), (vec![], 5));
    world.advance(1000);
    assert_eq!((world.heard(player), world.heard(late)), (vec!["1: Play.UnpublishNotify".to_owned()], vec![]));
    let again = world.publisher("cam");
    world.settle();
    assert_eq!(world.heard(player), ["1: Play.PublishNotify"]);
    assert_eq!(world.heard(late), ["1: Play.PublishNotify"]);
    world.hang_up(again);
    world.advance(2 * GRACE_MS);
    assert_eq!(world.heard(late), ["1: Play.UnpublishNotify"]);
    world.end();
}

#[test]
fn an_application_has_a_grace_of_its_own() {
    let limits = AppLimits { unpublish_grace_ms: Some(0), ..AppLimits::default() };
    let live =
        AppDefinition { limits, ..AppDefinition::stock(heapless::String::try_from("live").unwrap(), AppKind::Live) };
    let mut world = World::on_disk(patient(), vec![live]);
    let publisher = world.publisher("cam");
    let player = world.player("cam");
    world.send_start(publisher);
    world.heard(player);
    world.hang_up(publisher);
    world.settle();
    assert_eq!(world.heard(player), ["1: Play.UnpublishNotify"]);
}

#[test]
fn a_name_in_its_grace_gives_its_ring_and_then_its_place_to_whoever_publishes() {
    let mut world = World::with(Settings { streams: 1, ..patient() }, 1);
    let first = world.publisher("first");
    let player = world.player("first");
    world.send_start(first);
    world.heard(player);
    world.hang_up(first);
    world.settle();
    for name in ["second", "third", "fourth", "fifth", "sixth"] {
        let next = world.publisher(name);
        world.send_start(next);
        assert_eq!(world.heard(next).last().unwrap(), "1: Publish.Start", "{name}");
        world.hang_up(next);
        world.settle();
    }
    assert_eq!(world.heard(player), [""; 0]);
    let back = world.publisher("first");
    world.send_start(back);
    assert_eq!(world.heard(player).last().unwrap(), "6.3 key", "in another ring, and in time");
    world.end();
}

#[test]
fn names_that_only_wait_for_their_publishers_keep_no_player_out() {
    let mut world = World::with(patient(), 1);
    for n in 0..20 {
        let publisher = world.publisher(&format!("n{n}"));
        world.hang_up(publisher);
        world.settle();
    }
    // Three names a ring may be waited on.
    let players: Vec<usize> = (0..9).map(|n| world.player(&format!("p{n}"))).collect();
    for player in players {
        assert_eq!(world.heard(player).last().unwrap(), "sample access");
    }
    world.end();
}

#[test]
fn who_asks_for_a_recording_meanwhile_waits_for_the_live_stream() {
    let mut world = World::with(patient(), 1);
    let publisher = world.publisher("cam");
    world.send_start(publisher);
    world.hang_up(publisher);
    world.settle();
    // rtmpdump and GStreamer always say 0.
    let player = world.join();
    world.clients[player].create_stream();
    world.clients[player].play_from(1, "cam", 0.0);
    world.settle();
    assert_eq!(world.heard(player).last().unwrap(), "sample access");
    let again = world.publisher("cam");
    world.send_start(again);
    assert_eq!(world.heard(player).last().unwrap(), "1.3 key");
    world.hang_up(again);
    world.advance(2 * GRACE_MS);
    assert_eq!(world.heard(player), ["1: Play.UnpublishNotify"]);
    let late = world.join();
    world.clients[late].create_stream();
    world.clients[late].play_from(1, "other", 0.0);
    world.settle();
    assert_eq!(world.heard(late).last().unwrap(), "1: Play.StreamNotFound");
}

#[test]
fn a_server_without_clients_sleeps_only_when_it_waits_for_no_publisher() {
    let mut world = World::with(patient(), 1);
    let publisher = world.publisher("cam");
    world.send_start(publisher);
    world.hang_up(publisher);
    world.settle();
    assert_eq!(world.server.names().streams().count(), 1);
    world.advance(2 * GRACE_MS);
    assert_eq!(world.server.names().streams().count(), 0);
    world.end();
}
