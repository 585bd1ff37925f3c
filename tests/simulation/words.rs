//! What the log says of those who are refused, sent elsewhere or gone: who, what, why, and where to change it.

use rill::live::app::{AddressList, AppDefinition, AppKind};
use rill::live::settings::Settings;

use super::ends::{keep_log, logged};
use super::sim::world::{World, settings};

fn live() -> AppDefinition {
    AppDefinition::stock(heapless::String::try_from("live").unwrap(), AppKind::Live)
}

/// The one line that contains `what`.
fn line(what: &str) -> String {
    let lines = logged(what);
    assert_eq!(lines.len(), 1, "{what}: {lines:?}");
    lines.into_iter().next().unwrap()
}

#[test]
fn a_refused_viewer_is_in_the_log_like_a_refused_publisher_with_the_reason_and_where_to_change_it() {
    type Case = (fn(&mut AppDefinition), &'static str, [&'static str; 3]);
    let cases: [Case; 5] = [
        (
            |app| app.rules.set_play(AddressList::parse(["deny all"]).unwrap()),
            "hall/cam",
            ["name=\"hall/cam\"", "x_status=403", "see=\"play.addresses in app.toml\""],
        ),
        (
            |app| app.rules.set_play_key("v1ew").unwrap(),
            "cam?key=v1ev",
            ["name=\"cam\"", "x_status=401", "see=\"play.key in app.toml\""],
        ),
        (|app| app.kind = AppKind::Vod, "film", ["name=\"film\"", "x_status=404", "see=\"\""]),
        (|app| app.limits.players = 1, "cam", ["name=\"cam\"", "x_status=409", "see=\"limits.players in app.toml\""]),
        (|_| {}, "four", ["name=\"four\"", "x_status=409", "see=\"limits.streams\""]),
    ];
    for (change, name, expected) in cases {
        let mut app = live();
        change(&mut app);
        let players = app.limits.players;
        let mut world = World::on_disk(Settings { streams: 1, ..settings() }, vec![app]);
        let mut waits = Vec::new();
        if players > 0 {
            waits = vec!["busy"];
        } else if name == "four" {
            waits = vec!["one", "two", "three"];
        }
        for name in waits {
            world.player(name);
        }
        if players > 0 {
            // Who is sent media gives way to nobody.
            let publisher = world.publisher("busy");
            world.send_start(publisher);
        }
        keep_log();
        let refused = world.player(name);
        assert!(!world.heard(refused).contains(&"1: Play.Start".to_owned()), "{name}");
        let line = line(" play refused app=live ");
        assert!(expected.iter().all(|part| line.contains(part)) && line.contains(" peer=10.0.0."), "{line}");
        assert!(!line.contains("v1e"), "{line}");
    }
}

#[test]
fn a_viewer_whom_the_script_gives_no_right_is_in_the_log() {
    let script = "application.onConnect = function(client) { client.readAccess = 'open'; client.writeAccess = 'open'; \
                  return true; };";
    keep_log();
    let mut world = World::scripted(settings(), script, 1);
    world.player("closed");
    let played = line(" play refused ");
    assert!(played.contains("name=\"closed\"") && played.contains("x_status=401"), "{played}");
    world.publisher("shut");
    let published = line(" publish refused ");
    assert!(published.contains("name=\"shut\"") && published.contains("x_status=401"), "{published}");
}

#[test]
fn a_refused_publisher_is_named_but_no_key_with_a_mistake_in_it() {
    for (name, shown, x_status) in [
        ("cam", "\"cam\"", 401),
        ("cam?key=s3cre", "\"cam\"", 401),
        ("s3cre", "\"…\"", 401),
        ("hall/s3cret1", "\"…\"", 401),
    ] {
        let mut app = live();
        app.rules.add_key("cam", "s3cret").unwrap();
        let mut world = World::fixed(settings(), vec![app], 1);
        keep_log();
        world.publisher(name);
        let lines = logged("");
        let line = lines.iter().find(|line| line.contains(" publish refused ")).unwrap();
        let expected = format!(" publish refused app=live name={shown} peer=10.0.0.1:1000 x_status={x_status} ");
        assert!(line.contains(&expected), "{line}");
        assert!(lines.iter().all(|line| !line.contains("s3cre")), "{lines:?}");
        let closed = lines.iter().find(|line| line.contains(" closed ")).unwrap();
        assert!(closed.contains("x_status=401 reason=\"it may not publish\""), "{closed}");
    }
    let mut app = live();
    app.rules.set_publish(AddressList::parse(["deny all"]).unwrap());
    let mut world = World::fixed(settings(), vec![app], 1);
    keep_log();
    world.publisher("hall/cam");
    let refused = line(" publish refused ");
    assert!(refused.contains("name=\"hall/cam\"") && refused.contains("x_status=403"), "{refused}");
    assert!(refused.contains("see=\"publish.addresses in app.toml\""), "{refused}");
}

#[test]
fn a_taken_name_is_said_to_be_taken() {
    let mut world = World::new();
    world.publisher("cam");
    keep_log();
    world.publisher("cam");
    let refused = line(" publish refused ");
    assert!(refused.contains("name=\"cam\"") && refused.contains("x_status=409"), "{refused}");
    assert!(refused.contains("reason=\"another client publishes under that name\""), "{refused}");
}

#[test]
fn a_redirect_shows_its_target_and_a_rejection_its_object() {
    let script = "application.onConnect = function(client, where) { \
                  if (application.name == 'live/old') application.redirectConnection(client, 'rtmp://127.0.0.1/new'); \
                  else application.rejectConnection(client, {room: 'full', seats: 12}); };";
    let joins = |app: &str| {
        keep_log();
        let mut world = World::scripted(settings(), script, 1);
        let c = world.dial();
        world.clients[c].handshake();
        world.clients[c].connect(app);
        world.advance(100);
    };
    joins("live/old");
    let redirected = line(" connect ");
    assert!(
        redirected.contains(" connect redirected app=\"live\" ") && redirected.contains(" x_status=302 "),
        "{redirected}"
    );
    assert!(redirected.ends_with(" to=\"rtmp://127.0.0.1/new\""), "{redirected}");
    joins("live");
    let refused = line(" connect ");
    assert!(refused.contains(" connect refused app=\"live\" ") && refused.contains(" x_status=401 "), "{refused}");
    assert!(refused.ends_with(r#" object="{room: \"full\", seats: 12}""#), "{refused}");
}

#[test]
fn a_viewer_who_presses_stop_is_not_a_broken_network() {
    let (mut world, _) = World::live();
    let viewer = world.player("cam");
    keep_log();
    world.reset(viewer);
    world.settle();
    let closed = line(" closed ");
    assert!(closed.contains("x_status=200 reason=\"the client ended it with something unread\""), "{closed}");
}
