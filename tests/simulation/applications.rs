//! Applications that come and go while the server runs, and who may do what in them.

use rill::live::app::{AddressList, AppDefinition, AppKind};
use rill::live::settings::Settings;
use rill::server::close::CloseReason;

use super::sim::world::{Directory, World, settings};

fn app(name: &str) -> AppDefinition {
    AppDefinition::stock(heapless::String::try_from(name).unwrap(), AppKind::Live)
}

/// A client that asks for `app`, and what it hears behind the greeting.
fn connect(world: &mut World, app: &str) -> (usize, Vec<String>) {
    let c = world.dial();
    world.clients[c].handshake();
    world.clients[c].connect(app);
    world.settle();
    let heard = world.heard(c);
    assert_eq!(heard[..4], ["window", "bandwidth", "begin 0", "chunk size"]);
    (c, heard[4..].to_vec())
}

const JOINED: [&str; 2] = ["_result Connect.Success", "onBWDone"];
const REJECTED: [&str; 2] = ["_error Connect.Rejected", "close"];

#[test]
fn a_directory_is_an_application_from_the_next_connect_on() {
    let mut world = World::on_disk(settings(), vec![app("live")]);
    assert_eq!(connect(&mut world, "live").1, JOINED);
    let (early, heard) = connect(&mut world, "new");
    assert_eq!(heard, REJECTED);
    let text = "[ Server.Reject ] : (_defaultRoot_, _defaultVHost_) : Application (new) is not defined.";
    assert_eq!(world.clients[early].description, text);
    world.disk.insert("new".into(), Directory::Good(Box::new(app("new"))));
    assert_eq!(connect(&mut world, "new").1, JOINED);
    assert_eq!(connect(&mut world, "new").1, JOINED);
    assert_eq!(world.asked, ["live", "new", "new"], "what is known is not asked about at every connect");
    world.end();
}

#[test]
fn the_clients_of_an_application_whose_directory_is_removed_are_told_and_disconnected() {
    let mut world = World::on_disk(settings(), vec![app("live"), app("other")]);
    let publisher = world.publisher("cam");
    let player = world.player("cam");
    let (other, _) = connect(&mut world, "other");
    world.heard(player);
    world.disk.remove("live");
    world.advance(1300);
    let publisher_heard = world.heard(publisher);
    assert_eq!(publisher_heard[3..], ["1: Unpublish.Success", "0: Connect.AppShutdown", "close"]);
    assert_eq!(world.heard(player), ["1: Play.UnpublishNotify", "0: Connect.AppShutdown", "close"]);
    assert!(world.clients[publisher].ended && world.clients[player].ended && !world.clients[other].ended);
    assert_eq!(world.closed(CloseReason::AppShutdown), 2);
    assert_eq!(connect(&mut world, "live").1, REJECTED);
    world.disk.insert("live".into(), Directory::Good(Box::new(app("live"))));
    assert_eq!(connect(&mut world, "live").1, JOINED);
    world.end();
}

#[test]
fn an_unknown_application_is_unknown_to_the_next_client_too_while_the_last_one_lingers() {
    let mut world = World::on_disk(settings(), vec![app("live")]);
    for _ in 0..3 {
        let c = world.dial();
        world.clients[c].handshake();
        world.clients[c].connect("new");
        world.settle();
        assert_eq!(world.heard(c)[4..], REJECTED);
        // Another one that takes its time to hang up.
        let slow = world.dial();
        world.clients[slow].handshake();
        world.clients[slow].connect("new");
        world.clients[slow].rate = Some(0);
        world.settle();
    }
    assert_eq!(world.server.slots().taken(), 3, "they linger");
    world.advance(1000);
    world.check_empty();
}

#[test]
fn an_application_with_a_wrong_file_refuses_newcomers_and_the_others_go_on() {
    let mut world = World::on_disk(settings(), vec![app("live"), app("bad")]);
    let (stays, _) = connect(&mut world, "bad");
    world.disk.insert("bad".into(), Directory::Broken);
    world.advance(1300);
    assert!(!world.clients[stays].ended, "whoever is there goes on as before");
    let (refused, heard) = connect(&mut world, "bad");
    assert_eq!(heard, REJECTED);
    let text = "[ Server.Reject ] : The application's configuration is wrong; the server's log says where.";
    assert_eq!(world.clients[refused].description, text);
    assert_eq!(connect(&mut world, "live").1, JOINED);
    world.disk.insert("bad".into(), Directory::Good(Box::new(AppDefinition { stamp: 2, ..app("bad") })));
    assert_eq!(connect(&mut world, "bad").1, JOINED, "the next connect finds it mended");
    world.end();
}

#[test]
fn while_files_are_written_what_held_goes_on_holding_and_newcomers_to_nothing_wait() {
    let mut closed = AppDefinition { stamp: 2, ..app("live") };
    closed.rules.set_connect(AddressList::parse(["deny all"]).unwrap());
    let mut world = World::on_disk(settings(), vec![closed]);
    assert_eq!(connect(&mut world, "live").1, REJECTED);
    world.disk.insert("live".into(), Directory::Changing);
    world.disk.insert("new".into(), Directory::Changing);
    world.advance(3000);
    assert_eq!(connect(&mut world, "live").1, REJECTED, "the last rules that were whole");
    let (waits, heard) = connect(&mut world, "new");
    assert_eq!(heard, [""; 0]);
    world.advance(600);
    assert_eq!(world.heard(waits), [""; 0]);
    world.disk.insert("live".into(), Directory::Good(Box::new(AppDefinition { stamp: 3, ..app("live") })));
    world.disk.insert("new".into(), Directory::Good(Box::new(app("new"))));
    world.advance(600);
    assert_eq!(world.heard(waits), JOINED);
    assert_eq!(connect(&mut world, "live").1, JOINED);
    world.end();
}

#[test]
fn files_are_looked_at_while_nobody_is_there() {
    let mut world = World::on_disk(settings(), vec![app("live")]);
    let (first, _) = connect(&mut world, "live");
    world.hang_up(first);
    world.advance(10_000);
    let live = world.asked.len();
    assert!((8..=11).contains(&live), "{live}");
    world.disk.insert("live".into(), Directory::Broken);
    world.advance(5000);
    let more = world.asked.len() - live;
    assert!((4..=5).contains(&more), "a broken one, too, and not only when somebody comes: {more}");
    world.end();
}

#[test]
fn a_disk_that_does_not_answer_delays_those_who_need_it_and_nobody_else() {
    let mut world = World::on_disk(settings(), vec![app("live"), app("slow")]);
    let publisher = world.publisher("cam");
    world.disk_stalls = true;
    let (waits, heard) = connect(&mut world, "slow");
    let (gives_up, _) = connect(&mut world, "slow");
    assert_eq!(heard, [""; 0]);
    world.send_start(publisher);
    let player = world.player("cam");
    assert_eq!(world.clients[player].watch(1).next, 4);
    world.advance(1000);
    world.reset(gives_up);
    world.advance(1500);
    assert_eq!(world.heard(waits), REJECTED);
    let text = "[ Server.Reject ] : The application's files could not be read in time.";
    assert_eq!(world.clients[waits].description, text);
    let (patient, _) = connect(&mut world, "slow");
    world.disk_stalls = false;
    world.settle();
    assert_eq!(world.heard(patient), JOINED);
    world.end();
}

#[test]
fn a_disk_that_stalls_in_what_nobody_waits_for_keeps_nobody_from_joining() {
    let mut world = World::on_disk(settings(), vec![app("live"), app("new")]);
    assert_eq!(connect(&mut world, "live").1, JOINED);
    world.bulk_stalls = true;
    world.server.reload();
    world.advance(10_000);
    assert_eq!(connect(&mut world, "live").1, JOINED);
    assert_eq!(connect(&mut world, "new").1, JOINED);
    assert_eq!(connect(&mut world, "other").1, REJECTED);
    // A change is noticed as well.
    world.disk.insert("live".into(), Directory::Broken);
    world.advance(1000);
    assert_eq!(connect(&mut world, "live").1, REJECTED);
    world.end();
}

#[test]
fn after_a_quiet_time_the_first_client_meets_the_rules_as_they_are_and_no_stalled_disk() {
    let mut world = World::on_disk(settings(), vec![app("live")]);
    let (first, _) = connect(&mut world, "live");
    world.hang_up(first);
    world.disk_stalls = true;
    world.advance(10_000);
    world.disk_stalls = false;
    let mut closed = AppDefinition { stamp: 2, ..app("live") };
    closed.rules.set_connect(AddressList::parse(["deny all"]).unwrap());
    world.disk.insert("live".into(), Directory::Good(Box::new(closed)));
    let (_, heard) = connect(&mut world, "live");
    assert_eq!(heard, REJECTED);
    world.disk.insert("live".into(), Directory::Good(Box::new(AppDefinition { stamp: 3, ..app("live") })));
    world.advance(10_000);
    assert_eq!(connect(&mut world, "live").1, JOINED);
    world.disk_stalls = true;
    world.advance(10_000);
    let (patient, heard) = connect(&mut world, "live");
    assert_eq!(heard, [""; 0]);
    world.advance(1300);
    assert_eq!(world.heard(patient), JOINED, "what was known of it last holds");
    world.end();
}

#[test]
fn a_full_table_of_applications_forgets_what_nobody_uses() {
    let settings = Settings { applications: 2, ..settings() };
    let mut world = World::on_disk(settings, ["a", "b", "c"].map(app).to_vec());
    let (in_a, _) = connect(&mut world, "a");
    let (in_b, _) = connect(&mut world, "b");
    let (refused, heard) = connect(&mut world, "c");
    assert_eq!(heard, REJECTED);
    let text = "[ Resource.Limit.Exceeded ] : Every application is in use (limits.applications).";
    assert_eq!(world.clients[refused].description, text);
    world.hang_up(in_b);
    world.settle();
    assert_eq!(connect(&mut world, "c").1, JOINED);
    world.hang_up(in_a);
    world.end();
}

#[test]
fn a_stream_is_published_with_its_key_and_played_by_its_name() {
    let mut live = app("live");
    live.rules.add_key("cam", "s3cret").unwrap();
    live.rules.set_play_key("look").unwrap();
    let mut world = World::on_disk(settings(), vec![live]);
    for wrong in ["cam", "s3cre", "cam?key=s3cret2", "other?key=s3cret"] {
        let c = world.publisher(wrong);
        assert_eq!(world.heard(c), ["created 1", "1: Publish.BadName", "close"], "{wrong}");
        assert!(!world.clients[c].description.contains("cam") && !world.clients[c].description.contains("s3"));
    }
    let by_app = world.dial();
    world.clients[by_app].handshake();
    world.clients[by_app].connect("live?token=s3cret");
    world.clients[by_app].create_stream();
    world.clients[by_app].publish(1, "cam");
    world.settle();
    assert!(world.heard(by_app).contains(&"1: Publish.Start".to_owned()), "the key behind the application's name");
    world.hang_up(by_app);
    world.settle();
    let publisher = world.publisher("s3cret");
    assert_eq!(world.heard(publisher), ["created 1", "begin 1", "1: Publish.Start"]);
    for (name, answer) in
        [("cam", "1: Play.Failed"), ("s3cret?key=look", "1: Play.Start"), ("cam?key=look", "1: Play.Start")]
    {
        let c = world.player(name);
        assert!(world.heard(c).contains(&answer.to_owned()), "{name}");
        let live = world
            .server
            .names()
            .streams()
            .any(|(_, stream)| stream.path.as_str() == "s3cret" && stream.publisher().is_some());
        assert!(!live, "no stream is called by its key");
    }
    let again = world.publisher("cam?key=s3cret");
    assert_eq!(world.heard(again), ["created 1", "1: Publish.BadName", "close"], "it is published already");
}

#[test]
fn addresses_and_limits_of_an_application_hold() {
    let mut live = app("live");
    live.rules.set_connect(AddressList::parse(["deny 10.0.0.2", "allow all"]).unwrap());
    live.rules.set_publish(AddressList::parse(["allow 10.0.0.0/29", "deny all"]).unwrap());
    (live.limits.connections, live.limits.publishers, live.limits.players) = (6, 1, 1);
    live.limits.idle_ms = Some(3000);
    let mut world = World::on_disk(settings(), vec![live]);
    assert_eq!(connect(&mut world, "live").1, JOINED);
    assert_eq!(connect(&mut world, "live").1, REJECTED);
    let publisher = world.publisher("cam");
    assert_eq!(world.heard(publisher), ["created 1", "begin 1", "1: Publish.Start"]);
    let second = world.publisher("other");
    assert_eq!(world.heard(second), ["created 1", "1: Publish.BadName", "close"]);
    let players = [world.player("cam"), world.player("cam")];
    assert!(world.heard(players[0]).contains(&"1: Play.Start".to_owned()));
    assert_eq!(world.heard(players[1]), ["created 1", "1: Play.Failed"]);
    world.join();
    let far = world.publisher("far");
    assert_eq!(world.heard(far), ["created 1", "1: Publish.BadName", "close"], "10.0.0.8 is outside of 10.0.0.0/29");
    world.join();
    assert_eq!(connect(&mut world, "live").1, REJECTED, "a seventh");
    world.advance(3500);
    assert!(world.heard(players[1]).contains(&"0: Connect.IdleTimeout".to_owned()));
    assert!(!world.clients[players[0]].ended && !world.clients[publisher].ended);
}

#[test]
fn who_is_told_to_go_while_the_disk_is_asked_has_not_joined_when_it_answers() {
    let settings = Settings { connections: 2, ..settings() };
    let mut world = World::on_disk(settings, vec![app("live"), app("a"), app("b"), app("c")]);
    for slow in ["a", "b", "c"] {
        world.disk_late_ms = 300;
        world.advance(10_000);
        let (waits, heard) = connect(&mut world, slow);
        assert_eq!(heard, [""; 0]);
        world.clients[waits].rate = Some(0);
        assert!(world.disconnect(waits));
        world.advance(1000);
        world.check_counts();
        world.advance(6000);
    }
    world.disk_late_ms = 0;
    world.advance(1000);
    // Both places are there.
    let both = [connect(&mut world, "live"), connect(&mut world, "live")];
    assert_eq!(both.map(|(_, heard)| heard), [JOINED, JOINED]);
    world.end();
}
