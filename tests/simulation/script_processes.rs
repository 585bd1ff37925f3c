//! Script processes that are late, do not come back, crash, or cannot be had: who notices, and who does not.

use rill::live::app::{AppDefinition, AppKind};
use rill::live::settings::{ScriptProcess, Settings};
use rill::server::close::CloseReason;
use rill::wire::script_link::Handler;

use super::sim::ledger::Kind;
use super::sim::net::Mood;
use super::sim::world::{Directory, World, scripted, settings};

const OPEN: &str = "
    application.onConnect = function (client) { return true; };
    Client.prototype.ask = function () { return 'here'; };
";

/// Two applications with scripts, in one process or in one each, and one without.
fn world(process: ScriptProcess) -> World {
    let plain = AppDefinition::stock(heapless::String::try_from("plain").unwrap(), AppKind::Live);
    let settings = Settings { script_process: process, script_answer_ms: 2000, ..settings() };
    World::on_disk(settings, vec![scripted("bad", OPEN), scripted("good", OPEN), plain])
}

fn connect(world: &mut World, app: &str) -> usize {
    let c = world.dial();
    world.clients[c].handshake();
    world.clients[c].connect(app);
    world.settle();
    c
}

/// One that follows a request to connect again.
fn connect_to_come_again(world: &mut World, app: &str) -> usize {
    let c = world.dial();
    world.clients[c].reconnects = true;
    world.clients[c].handshake();
    world.clients[c].connect(app);
    world.settle();
    c
}

fn call(world: &mut World, c: usize) {
    world.clients[c].command(0, "ask", |amf| amf.null().unwrap());
    world.settle();
}

/// What the client heard behind the greeting of the connection.
fn heard(world: &mut World, c: usize) -> Vec<String> {
    let heard = world.heard(c);
    let greeting = ["window", "bandwidth", "begin 0", "chunk size"];
    heard.into_iter().filter(|word| !greeting.contains(&word.as_str())).collect()
}

const JOINED: [&str; 1] = ["_result Connect.Success"];
const FAILED: [&str; 2] = ["_error Connect.Failed", "close"];
const SENT_AWAY: [&str; 2] = ["0: Connect.AppShutdown", "close"];

/// A client in each application, and the process blamed on `bad`.
fn three(world: &mut World) -> [usize; 3] {
    let clients = ["bad", "good", "plain"].map(|app| connect(world, app));
    for c in clients {
        assert_eq!(heard(world, c)[..1], JOINED);
    }
    let (_, bad) = world.server.instances().iter().next().unwrap();
    world.net.doing = Some((bad.script, Handler::Call));
    clients
}

#[test]
fn a_process_that_does_not_come_back_is_killed_by_its_processor_time_and_only_the_culprit_is_refused() {
    let mut world = world(ScriptProcess::Server);
    let [bad, good, plain] = three(&mut world);
    assert_eq!(world.net.hosts_started, 1);
    world.net.mood = Mood::Hanging;
    call(&mut world, bad);
    world.advance(450);
    assert_eq!(heard(&mut world, bad), [""; 0], "it has its time (scripts.kill_ms)");
    world.advance(150);
    assert_eq!(heard(&mut world, bad), SENT_AWAY);
    assert_eq!(heard(&mut world, good), SENT_AWAY, "its process has gone, and it may come back");
    assert_eq!((world.closed(CloseReason::ScriptStopped), world.closed(CloseReason::AppShutdown)), (1, 1));
    world.net.mood = Mood::Fine;
    world.advance(1000);
    assert_eq!(world.net.hosts_started, 2, "it is started again at once, for the other");
    let again = ["bad", "good"].map(|app| connect(&mut world, app));
    assert_eq!(heard(&mut world, again[0]), FAILED);
    assert_eq!(heard(&mut world, again[1]), JOINED);
    assert!(!world.clients[plain].ended && heard(&mut world, plain).is_empty(), "nothing has happened to others");
    world.advance(10_000);
    let later = connect(&mut world, "bad");
    assert_eq!(heard(&mut world, later), JOINED);
    world.end();
}

#[test]
fn who_was_in_another_instance_of_a_killed_process_is_asked_to_connect_again_where_it_can_be() {
    let mut world = world(ScriptProcess::Server);
    let [bad, good, _] = three(&mut world);
    let [bad_too, good_too] = ["bad", "good"].map(|app| connect_to_come_again(&mut world, app));
    for c in [bad_too, good_too] {
        heard(&mut world, c);
    }
    world.net.mood = Mood::Hanging;
    call(&mut world, bad);
    world.advance(600);
    assert_eq!(heard(&mut world, good), SENT_AWAY);
    assert_eq!(heard(&mut world, good_too), ["0: Connect.ReconnectRequest", "close"]);
    assert_eq!(heard(&mut world, bad_too), SENT_AWAY, "it would be refused");
    world.end();
}

#[test]
fn media_of_another_instance_of_a_killed_process_goes_on_and_who_wants_its_script_comes_again() {
    let mut world = world(ScriptProcess::Server);
    let [bad, _, _] = three(&mut world);
    let publisher = world.publisher_at("good", "cam");
    let player = world.player_at("good", "cam");
    let comes_again = connect_to_come_again(&mut world, "good");
    world.clients[comes_again].create_stream();
    world.clients[comes_again].play(1, "cam");
    world.send_start(publisher);
    for c in [publisher, player, comes_again] {
        heard(&mut world, c);
    }
    world.net.mood = Mood::Hanging;
    call(&mut world, bad);
    world.advance(600);
    world.net.mood = Mood::Fine;
    world.send_all(publisher, 200, &[Kind::Inter, Kind::Audio]);
    world.advance(1000);
    world.send_all(publisher, 1400, &[Kind::Inter, Kind::Audio]);
    assert_eq!(heard(&mut world, publisher), [""; 0]);
    assert_eq!(heard(&mut world, player), ["0.4 inter", "0.5 audio", "0.6 inter", "0.7 audio"]);
    assert_eq!(heard(&mut world, comes_again)[0], "0: Connect.ReconnectRequest");
    assert!([publisher, player, comes_again].iter().all(|&c| !world.clients[c].ended));
    // Its script is another one, which does not know it.
    call(&mut world, player);
    assert_eq!(heard(&mut world, player)[1..], SENT_AWAY);
    world.clients[publisher].create_stream();
    world.clients[publisher].play(2, "other");
    world.settle();
    assert_eq!(heard(&mut world, publisher)[2..], SENT_AWAY);
    let again = connect(&mut world, "good");
    assert_eq!(heard(&mut world, again), JOINED);
    world.check_counts();
    world.end();
}

#[test]
fn a_process_of_its_own_takes_no_other_application_along() {
    let mut world = world(ScriptProcess::Application);
    let [bad, good, _] = three(&mut world);
    assert_eq!(world.net.hosts_started, 2);
    world.net.mood = Mood::Hanging;
    call(&mut world, bad);
    world.advance(600);
    assert_eq!(heard(&mut world, bad), SENT_AWAY);
    world.net.mood = Mood::Fine;
    call(&mut world, good);
    assert_eq!(heard(&mut world, good), ["_result"]);
    world.end();
}

#[test]
fn a_process_that_is_not_given_the_processor_is_killed_when_it_should_have_answered_and_nobody_is_to_blame() {
    let mut world = world(ScriptProcess::Server);
    let [bad, good, _] = three(&mut world);
    world.net.doing = None;
    world.net.mood = Mood::Stopped;
    call(&mut world, bad);
    world.advance(1900);
    assert_eq!(heard(&mut world, bad), [""; 0]);
    // Who comes meanwhile waits, and is let in by the next process.
    let waiting = connect(&mut world, "good");
    world.advance(200);
    assert_eq!(heard(&mut world, bad), SENT_AWAY);
    assert_eq!(heard(&mut world, good), SENT_AWAY);
    assert_eq!(heard(&mut world, waiting), [""; 0]);
    world.net.mood = Mood::Fine;
    world.advance(100);
    assert_eq!(heard(&mut world, waiting), JOINED);
    let again = connect(&mut world, "bad");
    assert_eq!(heard(&mut world, again), JOINED);
    world.end();
}

#[test]
fn wherever_the_words_of_a_process_end_everybody_is_told_and_may_come_back() {
    for lost in 0..160 {
        let mut world = world(ScriptProcess::Server);
        let clients = ["bad", "bad", "good"].map(|app| connect(&mut world, app));
        world.net.hosts_late_ms = 10;
        // What each has asked for is on its way when the process ends.
        for c in clients {
            call(&mut world, c);
            world.clients[c].create_stream();
            world.clients[c].play(1, "cam");
        }
        let joining = connect(&mut world, "good");
        world.settle();
        assert!(world.net.kill(0, lost));
        world.net.hosts_late_ms = 0;
        world.advance(1100);
        for c in clients {
            let heard = heard(&mut world, c);
            assert_eq!(heard[heard.len() - 2..], SENT_AWAY, "{lost}: {heard:?}");
        }
        assert_eq!(heard(&mut world, joining)[0], JOINED[0], "{lost}");
        world.check_counts();
        world.end();
    }
}

/// `good` with its files known and nobody in it.
fn left_alone() -> World {
    let mut world = world(ScriptProcess::Server);
    let first = connect(&mut world, "good");
    assert_eq!(heard(&mut world, first), JOINED);
    world.unload("good");
    world.settle();
    world
}

/// What the disk says of `good` from now on.
fn change(world: &mut World, app: AppDefinition) {
    world.disk.insert("good".to_owned(), Directory::Good(Box::new(AppDefinition { stamp: 2, ..app })));
}

#[test]
fn files_that_change_as_they_are_read_are_run_when_they_have_been_looked_at_again() {
    let mut world = left_alone();
    // An editor writes: what was known of the application holds, but its text is not there any more.
    world.disk.insert("good".to_owned(), Directory::Changing);
    let waiting = connect(&mut world, "good");
    world.advance(700);
    assert_eq!(heard(&mut world, waiting), [""; 0]);
    let text = "Client.prototype.ask = function () { throw 'new'; };";
    change(&mut world, scripted("good", text));
    world.advance(600);
    assert_eq!(heard(&mut world, waiting), JOINED);
    call(&mut world, waiting);
    assert_eq!(heard(&mut world, waiting), ["_error Call.Failed"]);
    world.check_counts();
    world.end();
}

#[test]
fn an_application_that_loses_its_script_as_that_is_read_lets_its_clients_in_without() {
    let mut world = left_alone();
    change(&mut world, AppDefinition::stock(heapless::String::try_from("good").unwrap(), AppKind::Live));
    let waiting = connect(&mut world, "good");
    world.advance(600);
    assert_eq!(heard(&mut world, waiting), JOINED);
    world.clients[waiting].create_stream();
    world.clients[waiting].play(1, "cam");
    world.settle();
    assert!(heard(&mut world, waiting).contains(&"1: Play.Start".to_owned()));
    // Its place is another's.
    let other = connect(&mut world, "bad");
    assert_eq!(heard(&mut world, other), JOINED);
    world.check_counts();
    world.end();
}

#[test]
fn a_long_script_is_told_piece_by_piece_and_a_slow_disk_holds_up_nobody_who_needs_it_not() {
    let settings = Settings { script_process: ScriptProcess::Server, connect_timeout_ms: 20_000, ..settings() };
    let text = format!("{OPEN} var text = '{}';", "x".repeat(200_000));
    let mut world = World::on_disk(settings, vec![scripted("good", &text), scripted("bad", OPEN)]);
    world.disk_late_ms = 100;
    let waiting = connect(&mut world, "good");
    world.advance(2000);
    assert_eq!(heard(&mut world, waiting), [""; 0]);
    world.advance(1500);
    assert_eq!(heard(&mut world, waiting), JOINED);
    call(&mut world, waiting);
    assert_eq!(heard(&mut world, waiting), ["_result"]);
    world.end();
}

#[test]
fn where_no_process_can_be_had_clients_are_refused_until_there_can() {
    let mut world = world(ScriptProcess::Server);
    world.net.mood = Mood::Missing;
    let refused = connect(&mut world, "good");
    assert_eq!(heard(&mut world, refused), FAILED);
    world.net.mood = Mood::Fine;
    world.advance(11_000);
    let joined = connect(&mut world, "good");
    assert_eq!(heard(&mut world, joined), JOINED);
    world.end();
}

#[test]
fn no_process_runs_without_server_side_code_and_none_stays_when_it_has_been_unloaded() {
    let mut world = world(ScriptProcess::Server);
    let plain = connect(&mut world, "plain");
    world.advance(1000);
    assert_eq!(world.net.hosts_started, 0);
    let scripted = connect(&mut world, "good");
    assert_eq!(
        (heard(&mut world, plain)[..1].to_vec(), heard(&mut world, scripted)),
        (JOINED.map(str::to_owned).to_vec(), JOINED.map(str::to_owned).to_vec())
    );
    assert_eq!(world.unload("good"), Some(1));
    world.settle();
    assert!(!world.net.kill(0, 0), "it was ended");
    world.end();
}

#[test]
fn who_says_more_than_a_process_takes_waits_unread_and_nothing_is_lost() {
    let text = "
        application.onConnect = function (client) { return true; };
        Client.prototype.ask = function (long) { return '' + long.length; };
    ";
    let settings = Settings { connections: 120, ..settings() };
    let mut world = World::on_disk(settings, vec![scripted("live", text)]);
    let clients: Vec<usize> = (0..120).map(|_| connect(&mut world, "live")).collect();
    world.hold_scripts(true);
    let long = "x".repeat(900);
    for round in 0..2 {
        for &c in &clients {
            world.heard(c);
            for _ in 0..3 {
                world.clients[c].command(0, "ask", |amf| {
                    amf.null().unwrap();
                    amf.string(&long).unwrap();
                });
            }
            world.settle();
            assert_eq!(world.heard(c), [""; 0], "{round}");
        }
        let unread: usize = clients.iter().map(|&c| world.net.links[world.clients[c].link].to_server.len()).sum();
        assert!(unread > 120 * 900, "they are not read: {unread}");
        world.hold_scripts(false);
        world.settle();
        for &c in &clients {
            assert_eq!(world.heard(c), ["_result"; 3]);
        }
        world.hold_scripts(true);
    }
    world.hold_scripts(false);
    world.end();
}
