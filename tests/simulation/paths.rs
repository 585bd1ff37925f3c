//! One URL is one stream, wherever a client cuts it; and where instances are kept apart, none gets into another's.

use rill::limits::PATH_BYTES;
use rill::live::app::{AppDefinition, AppKind, InstanceStreams};

use super::sim::world::{Directory, World, scripted, settings};

/// `rtmp://HOST/live/hall/left/cam` as GStreamer, librtmp, ffmpeg and OBS cut it.
const CUTS: [(&str, &str); 4] = [
    ("live", "hall/left/cam"),
    ("live/hall", "left/cam"),
    ("live/hall/left", "cam"),
    ("live/_definst_", "hall/left/cam"),
];

fn published(world: &mut World, c: usize) -> bool {
    world.heard(c).contains(&"1: Publish.Start".to_owned())
}

#[test]
fn whoever_publishes_a_url_is_seen_by_whoever_plays_it_and_each_hears_its_own_name() {
    for (app, name) in CUTS {
        let mut world = World::new();
        let early: Vec<usize> = CUTS.iter().map(|(app, name)| world.player_at(app, name)).collect();
        let publisher = world.publisher_at(app, name);
        assert_eq!(world.clients[publisher].description, format!("{name} is now published."));
        world.send_start(publisher);
        let late: Vec<usize> = CUTS.iter().map(|(app, name)| world.player_at(app, name)).collect();
        for (c, (_, own)) in early.iter().zip(CUTS).chain(late.iter().zip(CUTS)) {
            assert_eq!(world.heard(*c).last().unwrap(), "0.3 key", "{app} {name} {own}");
            assert_eq!(world.clients[*c].description, format!("{own} is now published."));
        }
        assert_eq!(world.server.names().streams().count(), 1);
        for (app, name) in CUTS {
            let second = world.publisher_at(app, name);
            assert!(!published(&mut world, second), "it is taken at every cut");
        }
        world.end();
    }
}

#[test]
fn a_stream_key_publishes_its_path_and_viewers_type_the_url() {
    let mut live = AppDefinition::stock(heapless::String::try_from("live").unwrap(), AppKind::Live);
    live.rules.add_key("hall/left", "s3cret").unwrap();
    for (app, name) in [
        ("live", "s3cret"),
        ("live/hall", "s3cret"),
        ("live", "hall/s3cret"),
        ("live", "hall/left?key=s3cret"),
        ("live/hall", "left?key=s3cret"),
    ] {
        let mut world = World::on_disk(settings(), vec![live.clone()]);
        let publisher = world.join_at(app);
        world.clients[publisher].known_as = Some("hall/left".to_owned());
        world.clients[publisher].create_stream();
        world.clients[publisher].publish(1, name);
        world.settle();
        assert!(published(&mut world, publisher), "{app} {name}");
        world.send_start(publisher);
        for (app, name) in [("live", "hall/left"), ("live/hall", "left")] {
            let player = world.player_at(app, name);
            assert_eq!(world.heard(player).last().unwrap(), "0.3 key");
        }
    }
}

#[test]
fn with_a_script_nobody_gets_into_an_instance_by_another_ones_spelling() {
    let guard = "application.onConnect = function(client) { return application.name != 'live/hall'; };";
    let mut world = World::fixed(settings(), vec![scripted("live", guard)], 1);
    let refused = world.dial();
    world.clients[refused].handshake();
    world.clients[refused].connect("live/hall");
    world.settle();
    assert!(!world.clients[refused].connected);
    let publisher = world.publisher_at("live", "hall/cam");
    assert!(published(&mut world, publisher));
    world.send_start(publisher);
    let beside = world.publisher_at("live/room", "cam");
    // Scripts have used their share of the time.
    world.advance(1000);
    assert_eq!(world.heard(beside), ["created 1", "begin 1", "1: Publish.Start"]);
    let names: Vec<_> = world
        .server
        .names()
        .streams()
        .map(|(_, stream)| (stream.path.instance().to_owned(), stream.path.name().to_owned()))
        .collect();
    let pair = |instance: &str, name: &str| (instance.to_owned(), name.to_owned());
    assert_eq!(names, [pair("_definst_", "hall/cam"), pair("room", "cam")]);
    let player = world.player_at("live", "room/cam");
    world.advance(1000);
    world.send_start(beside);
    assert_eq!(world.heard(player).last().unwrap(), "sample access", "another instance's stream is not played");
}

#[test]
fn instances_are_joined_with_a_script_where_the_file_says_so_and_a_script_sees_its_own_names() {
    let script = "application.onConnect = function(client) { client.writeAccess = 'left'; return true; };";
    let joined = AppDefinition { instances: Some(InstanceStreams::Joined), ..scripted("live", script) };
    let mut world = World::fixed(settings(), vec![joined], 1);
    let publisher = world.publisher_at("live/hall", "left/cam");
    assert!(published(&mut world, publisher), "access is relative to the client's own instance");
    world.send_start(publisher);
    let player = world.player_at("live", "hall/left/cam");
    assert_eq!(world.heard(player).last().unwrap(), "0.3 key");
    let outside = world.publisher_at("live", "hall/left/other");
    assert!(!published(&mut world, outside));
}

#[test]
fn a_path_may_be_as_long_at_every_cut() {
    for cut in [1, PATH_BYTES / 2, PATH_BYTES - 2] {
        let mut world = World::new();
        let app = format!("live/{}", "i".repeat(cut));
        let publisher = world.publisher_at(&app, &"n".repeat(PATH_BYTES - cut - 1));
        assert!(published(&mut world, publisher), "{cut}");
        let publisher = world.publisher_at(&app, &"n".repeat(PATH_BYTES - cut));
        assert!(!published(&mut world, publisher), "{cut}");
        assert!(world.clients[publisher].description.contains("PATH_BYTES"));
        let player = world.player_at(&app, &"n".repeat(PATH_BYTES - cut));
        assert_eq!(world.heard(player).last().unwrap(), "1: Play.Failed", "{cut}");
        world.end();
    }
}

#[test]
fn a_script_that_is_put_beside_running_streams_has_their_clients_come_again() {
    let stock = AppDefinition::stock(heapless::String::try_from("live").unwrap(), AppKind::Live);
    let mut world = World::on_disk(settings(), vec![stock]);
    let publisher = world.publisher_at("live/hall", "cam");
    world.send_start(publisher);
    let player = world.player_at("live/hall", "cam");
    let script = AppDefinition { stamp: 2, ..scripted("live", "application.onConnect = function() { return true; };") };
    world.disk.insert("live".into(), Directory::Good(Box::new(script)));
    world.advance(2500);
    assert!(world.clients[publisher].ended && world.clients[player].ended);
    let again = world.publisher_at("live/hall", "cam");
    world.send_start(again);
    let player = world.player_at("live/hall", "cam");
    assert_eq!(world.heard(player).last().unwrap(), "1.3 key");
    let elsewhere = world.player_at("live", "hall/cam");
    assert_eq!(world.heard(elsewhere).last().unwrap(), "sample access");
}
