//! A ring is bound by media, not by the intention to send some.

use rill::live::refusal::{NoStream, Refusal};
use rill::live::settings::Settings;
use rill::server::close::CloseReason;

use super::sim::ledger::Kind::{Key, Metadata};
use super::sim::world::{World, settings};

const STARTED: [&str; 3] = ["created 1", "begin 1", "1: Publish.Start"];

fn rings(world: &World) -> Vec<String> {
    let bound = world.server.names().streams().filter(|(_, stream)| stream.ring.is_some());
    let mut names: Vec<String> = bound.map(|(_, stream)| stream.path.as_str().to_owned()).collect();
    names.sort();
    names
}

#[test]
fn as_many_silent_publishers_as_there_is_room_for_keep_no_encoder_out() {
    for (says, silence_ms) in [(false, 0), (true, 0), (true, 60_000)] {
        let mut world = World::new();
        for n in 0..20 {
            let silent = world.publisher(&format!("silent{n}"));
            if says && world.clients[silent].publication(1).is_some() {
                world.send_all(silent, 0, &[Metadata]);
            }
            world.heard(silent);
            if n == 10 {
                world.advance(silence_ms);
            }
        }
        let mut encoders = Vec::new();
        for name in ["a", "b", "c"] {
            let encoder = world.publisher(name);
            assert_eq!(world.heard(encoder), STARTED);
            world.send_start(encoder);
            encoders.push(encoder);
        }
        assert_eq!(rings(&world), ["a", "b", "c"]);
        let player = world.player("b");
        assert!(world.heard(player).last().unwrap().ends_with(".3 key"));
        // Those with media are not turned out, by whoever comes.
        let late = world.publisher("late");
        assert_eq!(world.heard(late), ["created 1", "1: Publish.BadName", "close"]);
        for &encoder in &encoders {
            assert!(!world.clients[encoder].ended);
        }
    }
}

#[test]
fn a_publisher_who_fell_silent_gives_way_and_its_players_go_on_when_it_is_back() {
    let mut world = World::with(Settings { streams: 1, publish_idle_ms: 5000, ..settings() }, 1);
    let first = world.publisher("first");
    let player = world.player("first");
    world.send_start(first);
    world.heard(player);
    world.advance(4000);
    let early = world.publisher("second");
    assert_eq!(world.heard(early), ["created 1", "1: Publish.BadName", "close"]);
    world.advance(2000);
    let second = world.publisher("second");
    assert!(!world.clients[first].ended, "it has not sent media yet");
    world.send_start(second);
    assert_eq!((world.clients[first].ended, rings(&world)), (true, vec!["second".to_owned()]));
    assert_eq!(world.heard(player), ["1: Publish.Idle", "1: Play.UnpublishNotify"]);
    world.hang_up(second);
    world.settle();
    let again = world.publisher("first");
    world.send_start(again);
    assert_eq!(world.heard(player).last().unwrap(), "2.3 key");
    world.end();
}

#[test]
fn a_stranger_who_comes_again_and_again_takes_places_from_nobody_but_itself() {
    let mut world = World::new();
    let encoder = world.publisher("cam");
    for n in 0..40 {
        world.advance(1);
        let stranger = world.publisher_from([10, 1, 1, 1], &format!("n{n}"));
        world.send_all(stranger, 0, &[Metadata]);
    }
    world.send_start(encoder);
    let player = world.player("cam");
    assert_eq!(world.heard(player).last().unwrap(), "0.3 key");
    world.end();
}

#[test]
fn who_has_lost_its_metadata_with_its_ring_begins_anew() {
    let mut world = World::with(Settings { streams: 1, ..settings() }, 1);
    let first = world.publisher("first");
    let player = world.player("first");
    world.send_all(first, 0, &[Metadata]);
    assert_eq!(world.heard(player).last().unwrap(), "0.0 metadata");
    let other = world.publisher("other");
    world.send_all(other, 0, &[Metadata]);
    assert_eq!(world.heard(first).last().unwrap(), "close");
    world.hang_up(other);
    world.settle();
    let again = world.publisher("first");
    world.send_start(again);
    let late = world.player("first");
    let media = ["2.0 metadata", "2.1 video header", "2.2 audio header", "2.3 key"];
    assert_eq!(world.heard(player)[2..], media);
    assert!(world.heard(late).ends_with(&media.map(str::to_owned)));
    world.end();
}

#[test]
fn who_finds_no_ring_for_its_first_media_is_told_so() {
    let mut world = World::with(Settings { streams: 1, ..settings() }, 1);
    let (slow, quick) = (world.publisher("slow"), world.publisher("quick"));
    assert_eq!(
        (world.heard(slow), world.heard(quick)),
        (STARTED.map(str::to_owned).to_vec(), STARTED.map(str::to_owned).to_vec())
    );
    world.send_start(quick);
    world.send_all(slow, 0, &[Key]);
    assert_eq!(world.heard(slow), ["1: Publish.BadName", "close"]);
    assert!(world.clients[slow].description.contains("limits.streams"));
    assert_eq!(world.closed(CloseReason::PublishRefused(Refusal::NoStream(NoStream::Rings))), 1);
    assert!(!world.clients[quick].ended);
    world.end();
}

#[test]
fn of_names_that_are_all_published_the_longest_silent_one_gives_way() {
    // Four names a ring, each with a publisher who sends nothing.
    let mut world = World::with(Settings { streams: 1, ..settings() }, 1);
    let silent: Vec<usize> = (0..4)
        .map(|n| {
            world.advance(10);
            world.publisher(&format!("s{n}"))
        })
        .collect();
    let encoder = world.publisher("cam");
    assert_eq!(world.heard(encoder), STARTED);
    world.send_start(encoder);
    assert!(world.clients[silent[0]].ended);
    assert_eq!(world.closed(CloseReason::GaveWay), 1);
    assert!(silent[1..].iter().all(|&silent| !world.clients[silent].ended));
    world.end();
}
