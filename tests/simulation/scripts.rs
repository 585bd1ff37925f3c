//! Applications with server-side code: when it is loaded, asked and ended, and what clients notice of it.

use rill::limits::OUTBOX_BYTES;
use rill::live::app::{AddressList, AppDefinition, AppKind};
use rill::live::settings::Settings;
use rill::server::close::CloseReason;

use super::sim::ledger::Kind;
use super::sim::world::{Directory, World, scripted, settings};

fn app(text: &str) -> AppDefinition {
    scripted("live", text)
}

/// A client that asks for `path`, and what it hears behind the greeting.
fn connect(world: &mut World, path: &str) -> (usize, Vec<String>) {
    let c = ask_for(world, path);
    let heard = world.heard(c);
    assert_eq!(heard[..4], GREETING);
    (c, heard[4..].to_vec())
}

/// A client about which its script does not decide at once.
fn connect_undecided(world: &mut World, path: &str) -> usize {
    let c = ask_for(world, path);
    world.advance(250);
    assert_eq!(world.heard(c), GREETING);
    c
}

fn ask_for(world: &mut World, path: &str) -> usize {
    let c = world.dial();
    world.clients[c].handshake();
    world.clients[c].connect(path);
    world.settle();
    c
}

/// What the script's method `ask` returns to the client, as text.
fn ask(world: &mut World, c: usize) -> String {
    world.heard(c);
    world.clients[c].command(0, "ask", |amf| amf.null().unwrap());
    world.settle();
    assert_eq!(world.heard(c), ["_result"]);
    std::mem::take(&mut world.clients[c].result)
}

const GREETING: [&str; 4] = ["window", "bandwidth", "begin 0", "chunk size"];
const JOINED: [&str; 1] = ["_result Connect.Success"];
const REJECTED: [&str; 2] = ["_error Connect.Rejected", "close"];
const FAILED: [&str; 2] = ["_error Connect.Failed", "close"];

/// Counts what happens to it, and tells by `ask`.
const COUNTING: &str = "
    log = 'loaded';
    application.onAppStart = function () { log += ' start'; };
    application.onConnect = function (client) { log += ' connect'; client.ask = function () { return log; }; return true; };
    application.onDisconnect = function () { log += ' disconnect'; };
";

#[test]
fn an_instance_is_loaded_by_its_first_client_and_shared_by_those_who_follow() {
    let mut world = World::on_disk(settings(), vec![app(COUNTING)]);
    let (first, heard) = connect(&mut world, "live");
    assert_eq!(heard, JOINED);
    let (second, _) = connect(&mut world, "live/_definst_");
    let (other, _) = connect(&mut world, "live/other");
    world.hang_up(second);
    world.settle();
    assert_eq!(ask(&mut world, first), "loaded start connect connect disconnect");
    assert_eq!(ask(&mut world, other), "loaded start connect", "another instance has a context of its own");
    world.end();
}

#[test]
fn an_instance_without_clients_is_unloaded_after_its_idle_time_unless_it_wants_to_stay() {
    for (stays, text) in [(false, "true"), (true, "false"), (false, "0")] {
        let mut app =
            app(&format!("{COUNTING} application.onAppStop = function () {{ log += ' stop'; return {text}; }};"));
        app.script.as_mut().unwrap().limits.idle_unload_ms = 5000;
        let mut world = World::on_disk(settings(), vec![app]);
        let (first, _) = connect(&mut world, "live");
        world.hang_up(first);
        world.advance(4500);
        let (second, _) = connect(&mut world, "live");
        assert_eq!(ask(&mut world, second), "loaded start connect disconnect connect", "it was still there");
        world.hang_up(second);
        world.advance(5600);
        let (third, _) = connect(&mut world, "live");
        let expected = if stays {
            "loaded start connect disconnect connect disconnect stop connect"
        } else {
            "loaded start connect"
        };
        assert_eq!(ask(&mut world, third), expected, "{text}");
        world.end();
    }
}

#[test]
fn an_edited_script_is_loaded_when_its_clients_have_left_or_at_once_on_request() {
    let mut world = World::on_disk(settings(), vec![app(COUNTING)]);
    let (old, _) = connect(&mut world, "live");
    let edited = AppDefinition { stamp: 2, ..app(&COUNTING.replace("loaded", "edited")) };
    world.disk.insert("live".into(), Directory::Good(Box::new(edited)));
    world.advance(1500);
    let (second, _) = connect(&mut world, "live");
    assert_eq!(ask(&mut world, second), "loaded start connect connect", "nobody is thrown out for it");
    world.hang_up(old);
    world.hang_up(second);
    world.settle();
    let (new, _) = connect(&mut world, "live");
    assert_eq!(ask(&mut world, new), "edited start connect");
    let again = AppDefinition { stamp: 3, ..app(&COUNTING.replace("loaded", "again")) };
    world.disk.insert("live".into(), Directory::Good(Box::new(again)));
    world.advance(1500);
    assert_eq!(world.unload("live"), Some(1));
    assert_eq!(world.heard(new), ["0: Connect.AppShutdown", "close"]);
    let (new, _) = connect(&mut world, "live");
    assert_eq!(ask(&mut world, new), "again start connect");
    world.end();
}

#[test]
fn a_script_that_does_not_decide_is_waited_for_and_not_for_ever() {
    let text = "
        waiting = [];
        application.onConnect = function (client) {
            client.ask = function () { return '' + waiting.length; };
            waiting.push(client);
        };
        application.onDisconnect = function (client) { waiting.pop(); };
        setInterval(function () { if (waiting.length == 3) application.acceptConnection(waiting.shift()); }, 100);
    ";
    let mut app = app(text);
    app.script.as_mut().unwrap().limits.pending_ms = 3000;
    let mut world = World::on_disk(settings(), vec![app]);
    let first = connect_undecided(&mut world, "live");
    // What it says meanwhile is kept, and answered when it is in.
    world.clients[first].create_stream();
    let second = connect_undecided(&mut world, "live");
    let third = connect_undecided(&mut world, "live");
    world.advance(200);
    assert_eq!(world.heard(first), ["_result Connect.Success", "created 1"]);
    world.hang_up(third);
    world.advance(3000);
    assert_eq!(world.heard(second), REJECTED);
    assert_eq!(world.clients[second].description, "[ Server.Reject ] : The application did not decide in time.");
    assert_eq!(ask(&mut world, first), "0", "onDisconnect runs for those who were not decided about, too");
    world.end();
}

#[test]
fn what_stands_before_the_answer_of_a_script_goes_with_it_and_does_not_wait_longer_than_for_the_next_sweep() {
    let (mut world, ..) = late(OPEN, 3000);
    let c = ask_for(&mut world, "live");
    assert_eq!(world.heard(c), [""; 0]);
    world.advance(250);
    assert_eq!(world.heard(c), GREETING);
    world.hold_scripts(false);
    world.settle();
    assert_eq!(world.heard(c), JOINED);
    world.end();
}

#[test]
fn a_script_that_never_ends_is_stopped_and_refuses_its_clients_for_a_while_and_others_go_on() {
    let looping =
        "application.onConnect = function (client, how) { if (loop) while (true) {} return true; }; loop = false;
        Client.prototype.ask = function () { loop = true; return 'armed'; };";
    let mut app = app(looping);
    app.script.as_mut().unwrap().limits.retry_ms = 5000;
    let plain = AppDefinition::stock(heapless::String::try_from("plain").unwrap(), AppKind::Live);
    let mut world = World::on_disk(settings(), vec![app, plain]);
    let (inside, _) = connect(&mut world, "live");
    let (other, _) = connect(&mut world, "plain");
    ask(&mut world, inside);
    let (victim, heard) = connect(&mut world, "live");
    assert_eq!(heard, FAILED);
    let text = "[ Server.Reject ] : The application's script was stopped; the server's log says why.";
    assert_eq!(world.clients[victim].description, text);
    assert_eq!(world.heard(inside), ["0: Connect.AppShutdown", "close"]);
    assert_eq!(world.closed(CloseReason::ScriptStopped), 1);
    assert!(!world.clients[other].ended);
    assert_eq!(connect(&mut world, "live").1, FAILED, "it is not given the time again at once");
    world.advance(5500);
    assert_eq!(connect(&mut world, "live").1, JOINED, "and starts afresh later");
    world.end();
}

#[test]
fn a_script_that_cannot_be_loaded_refuses_until_it_is_mended() {
    let mut world = World::on_disk(settings(), vec![app("application.onConnect = function ( { };")]);
    let (refused, heard) = connect(&mut world, "live");
    assert_eq!(heard, FAILED);
    let text = "[ Server.Reject ] : The application's script cannot be loaded; the server's log says why.";
    assert_eq!(world.clients[refused].description, text);
    let mended = AppDefinition { stamp: 2, ..app(COUNTING) };
    world.disk.insert("live".into(), Directory::Good(Box::new(mended)));
    world.advance(1500);
    assert_eq!(connect(&mut world, "live").1, JOINED);
    world.end();
}

#[test]
fn when_every_place_is_taken_an_instance_without_clients_makes_room_and_one_with_does_not() {
    let settings = Settings { script_instances: 2, ..settings() };
    let mut world = World::on_disk(settings, vec![app(COUNTING)]);
    let (a, _) = connect(&mut world, "live/a");
    let (b, _) = connect(&mut world, "live/b");
    let (refused, heard) = connect(&mut world, "live/c");
    assert_eq!(heard[1], "close");
    let text = "[ Resource.Limit.Exceeded ] : Every script instance is in use (limits.script_instances).";
    assert_eq!(world.clients[refused].description, text);
    world.hang_up(a);
    world.settle();
    assert_eq!(connect(&mut world, "live/c").1, JOINED);
    assert_eq!(ask(&mut world, b), "loaded start connect");
    world.end();
}

#[test]
fn long_messages_come_whole_and_in_order_and_who_does_not_read_is_not_waited_for() {
    let text = "
        application.onConnect = function (client) {
            failed = 0;
            client.ask = function () { return '' + failed; };
            application.acceptConnection(client);
            for (var i = 0; i < 4; i++) {
                client.call('long' + i, { onStatus: function (info) { failed++; } }, new Array(2000).join('long long '));
            }
            client.call('short', null);
        };
    ";
    let mut world = World::on_disk(settings(), vec![app(text)]);
    world.window = 3000;
    let (_, heard) = connect(&mut world, "live");
    assert_eq!(heard, ["_result Connect.Success", "long0", "long1", "long2", "long3", "short"]);
    let deaf = world.dial();
    world.clients[deaf].handshake();
    world.settle();
    world.slow(deaf, 0);
    world.clients[deaf].connect("live");
    world.settle();
    let (asks, _) = connect(&mut world, "live");
    let waits = world.server.slots().clients().map(|(_, _, rtmp)| rtmp.outbox.bytes()).max().unwrap();
    assert!(waits > 50_000 && waits <= OUTBOX_BYTES, "{waits}");
    assert_eq!(ask(&mut world, asks), "0", "whoever reads gets all");
    world.advance(4000);
    assert_eq!(world.closed(CloseReason::Stalled), 1);
    world.end();
}

#[test]
fn a_broadcast_reaches_every_accepted_client_of_its_instance() {
    let text = "application.onConnect = function (client) {
        if (!application.clients.length) return true;
        application.broadcastMsg('news');
        return application.clients.length == 1 ? true : application.clients.length == 2 ? undefined : false;
    };";
    let mut world = World::on_disk(settings(), vec![app(text)]);
    let (first, _) = connect(&mut world, "live");
    let (other, _) = connect(&mut world, "live/other");
    // The one who joins is not in yet, the one who waits never is.
    let (second, heard) = connect(&mut world, "live");
    assert_eq!(heard, JOINED);
    let waits = connect_undecided(&mut world, "live");
    assert_eq!(world.heard(first), ["news", "news"]);
    assert_eq!(world.heard(second), ["news"]);
    assert_eq!((world.heard(waits), world.heard(other)), (vec![], vec![]));
    world.end();
}

#[test]
fn clients_that_call_without_pause_keep_nobody_waiting_whose_application_is_another() {
    let text = "calls = 0; application.onConnect = function (client) {
        client.work = function () { calls++; };
        client.ask = function () { return '' + calls; };
        return true;
    };";
    let plain = AppDefinition::stock(heapless::String::try_from("plain").unwrap(), AppKind::Live);
    let mut world = World::on_disk(settings(), vec![app(text), scripted("other", OPEN), plain]);
    let (busy, _) = connect(&mut world, "live");
    // Their process is given no time: whoever has called waits, and is not read.
    world.hold_scripts(true);
    for _ in 0..600 {
        world.clients[busy].command(0, "work", |amf| amf.null().unwrap());
    }
    world.settle();
    assert_eq!(world.heard(busy), [""; 0]);
    assert_eq!(connect(&mut world, "plain").1[0], "_result Connect.Success");
    world.hold_scripts(false);
    world.settle();
    assert_eq!(world.heard(busy).len(), 600, "all are answered in the end");
    assert_eq!(connect(&mut world, "other").1, JOINED);
    assert_eq!(ask(&mut world, busy), "600");
    world.end();
}

#[test]
fn who_is_told_to_go_while_it_waits_for_its_script_enters_no_instance() {
    let settings = Settings { script_instances: 2, applications: 3, ..settings() };
    let disconnects: fn(&mut World, usize) = |world, client| assert!(world.disconnect(client));
    let unloads: fn(&mut World, usize) = |world, _| assert_eq!(world.unload("live"), Some(1));
    let removes: fn(&mut World, usize) = |world, _| assert!(world.disk.remove("live").is_some());
    for goes in [disconnects, unloads, removes] {
        let mut world =
            World::on_disk(settings.clone(), vec![scripted("busy", COUNTING), app(COUNTING), scripted("next", "")]);
        let (busy, _) = connect(&mut world, "busy");
        // It stays to read its last words while its script is loaded.
        world.hold_scripts(true);
        let queued = world.dial();
        world.clients[queued].handshake();
        world.clients[queued].connect("live");
        world.settle();
        world.clients[queued].rate = Some(0);
        goes(&mut world, queued);
        for round in 0..60 {
            world.advance(50);
            world.check_counts();
            world.hold_scripts(round < 20);
        }
        world.hang_up(busy);
        world.advance(6000);
        // Nothing holds an instance.
        let (next, heard) = connect(&mut world, "next");
        assert_eq!(heard, JOINED, "{}", world.clients[next].description);
        world.end();
    }
}

#[test]
fn an_application_that_shuts_itself_down_as_it_starts_refuses_its_clients_and_holds_none() {
    let text = "application.onAppStart = function () { application.shutdown(); };
        application.onAppStop = function () { application.shutdown(); };";
    let mut world =
        World::on_disk(Settings { script_instances: 1, ..settings() }, vec![app(text), scripted("next", "")]);
    assert_eq!(connect(&mut world, "live").1, FAILED);
    world.check_counts();
    assert_eq!(connect(&mut world, "next").1, JOINED, "its place is free");
    world.end();
}

#[test]
fn a_client_that_publishes_on_the_connection_is_asked_about_as_any_other() {
    let text = "application.onConnect = function (client) { client.writeAccess = 'open'; return true; };";
    for (name, answer) in [("open/cam", "1: Publish.Start"), ("cam", "1: Publish.BadName")] {
        let mut world = World::on_disk(settings(), vec![app(text)]);
        let (c, _) = connect(&mut world, "live");
        world.clients[c].create_stream();
        // What it hears of is net stream 1.
        world.clients[c].publish(0, name);
        let asked = world.clients[c].asked[0].drain(..).collect();
        world.clients[c].asked[1] = asked;
        world.settle();
        assert!(world.heard(c).contains(&answer.to_owned()), "{name}");
        world.end();
    }
}

#[test]
fn statistics_and_ping_times_are_of_the_moment_when_a_script_asks() {
    let text = "
        application.onConnect = function (client) {
            client.ask = function () {
                var all = application.getStats(), mine = this.getStats();
                return [first.bytes_in, mine.bytes_in, mine.bytes_out, mine.ping_rtt, all.bytes_in, all.bytes_out, all.bw_out].join();
            };
            if (typeof first == 'undefined') first = client.getStats();
            return true;
        };
        application.onDisconnect = function (client) { left = client.getStats().bytes_out; };
        Client.prototype.probe = function () { this.ping(); };
        Client.prototype.left = function () { return left + ''; };
    ";
    let mut world = World::on_disk(settings(), vec![app(text)]);
    let (c, _) = connect(&mut world, "live");
    let numbers = |text: String| text.split(',').map(|number| number.parse().unwrap()).collect::<Vec<u64>>();
    let bytes = |world: &World, c: usize| {
        let conn = world.conn(c).unwrap();
        let slot = world.server.slots().peek(conn.slot);
        (slot.bytes_in, slot.bytes_out)
    };
    let mut before = 0;
    for _ in 0..3 {
        let (_, out) = bytes(&world, c);
        let seen = numbers(ask(&mut world, c));
        let (now_in, _) = bytes(&world, c);
        assert!(seen[0] > 3000, "the handshake had come when it connected: {seen:?}");
        assert_eq!((seen[1], seen[2]), (now_in, out), "without a moment's delay");
        assert_eq!((seen[4], seen[5]), (now_in, out), "all of the instance is one client");
        assert!(seen[2] > before);
        before = seen[2];
    }
    // The answer to a ping comes over a line of 80 ms.
    world.line(c, 100_000, 40);
    world.clients[c].command(0, "probe", |amf| amf.null().unwrap());
    world.advance(300);
    world.clients[c].command(0, "ask", |amf| amf.null().unwrap());
    world.advance(300);
    let seen = numbers(std::mem::take(&mut world.clients[c].result));
    assert!((80..90).contains(&seen[3]), "{seen:?}");
    // What those received who have left still counts.
    let (other, _) = connect(&mut world, "live");
    let (_, out) = bytes(&world, c);
    world.disconnect(c);
    world.advance(1300);
    let seen = numbers(ask(&mut world, other));
    assert!(seen[5] >= out + seen[2], "{seen:?} after {out}");
    assert!(seen[6] > 0, "{seen:?}");
    world.advance(2500);
    let later = numbers(ask(&mut world, other));
    assert!(later[6] < seen[6] && later[5] > seen[5], "bw_out is a second's worth: {later:?} after {seen:?}");
    world.clients[other].command(0, "left", |amf| amf.null().unwrap());
    world.settle();
    assert_eq!(world.clients[other].result, out.to_string(), "also as it leaves");
    world.end();
}

/// An application that lets everybody in, with a method.
const OPEN: &str =
    "application.onConnect = function (client) { client.ask = function () { return 'here'; }; return true; };";

/// Two clients of an application whose script takes its time from now on, and so much before they are not waited for.
fn late(text: &str, pending_ms: u64) -> (World, usize, usize) {
    let mut app = app(text);
    app.script.as_mut().unwrap().limits.pending_ms = pending_ms;
    let mut world = World::on_disk(settings(), vec![app]);
    let [first, second] = [(); 2].map(|()| with_stream(&mut world));
    world.hold_scripts(true);
    (world, first, second)
}

/// A client that has joined and created a net stream.
fn with_stream(world: &mut World) -> usize {
    let (c, _) = connect(world, "live");
    world.clients[c].create_stream();
    world.settle();
    assert_eq!(world.heard(c), ["created 1"]);
    c
}

fn call(world: &mut World, c: usize, method: &str) {
    world.clients[c].command(0, method, |amf| amf.null().unwrap());
}

#[test]
fn a_script_that_answers_late_is_waited_for_by_who_publishes_plays_or_calls_and_by_nobody_else() {
    let (mut world, publisher, player) = late(OPEN, 3000);
    world.clients[publisher].publish(1, "cam");
    // What it says behind it waits with it.
    call(&mut world, publisher, "ask");
    world.clients[player].play(1, "cam");
    let (caller, other) = (world.dial(), world.dial());
    for c in [caller, other] {
        world.clients[c].handshake();
        world.clients[c].connect("live");
    }
    world.advance(1000);
    for c in [publisher, player] {
        assert_eq!(world.heard(c), [""; 0]);
    }
    world.hold_scripts(false);
    world.settle();
    assert_eq!(world.heard(publisher), ["begin 1", "1: Publish.Start", "_result"]);
    assert!(world.heard(player).starts_with(&["begin 1".into(), "1: Play.Reset".into(), "1: Play.Start".into()]));
    // Connecting has always waited.
    assert_eq!(world.heard(caller)[4..], JOINED);
    world.hold_scripts(true);
    call(&mut world, caller, "ask");
    call(&mut world, caller, "missing");
    world.clients[caller].create_stream();
    // A publisher's media does not wait for what it has called.
    call(&mut world, publisher, "ask");
    for frame in 0..20 {
        world.send(publisher, 1, Kind::Key, 40 * frame, 400);
    }
    world.settle();
    assert_eq!(world.clients[player].watch(1).next, 20);
    assert_eq!((world.heard(caller), world.heard(publisher)), (vec![], vec![]));
    world.hold_scripts(false);
    world.settle();
    assert_eq!(world.heard(caller), ["_result", "_error Call.Failed", "created 1"]);
    assert_eq!(world.heard(publisher), ["_result"]);
    world.end();
}

#[test]
fn who_is_not_answered_in_time_is_refused_and_an_answer_to_what_is_over_does_nothing() {
    let (mut world, publisher, player) = late(OPEN, 2000);
    world.clients[publisher].publish(1, "cam");
    world.clients[player].play(1, "other");
    world.advance(2300);
    assert_eq!(world.heard(publisher), ["1: Publish.BadName", "close"]);
    assert_eq!(world.clients[publisher].description, "The application did not decide in time.");
    assert_eq!(world.heard(player), ["1: Play.Failed"]);
    // It asks for something else, of which the old answer says nothing.
    world.clients[player].play(1, "cam");
    world.settle();
    assert_eq!(world.heard(player), [""; 0]);
    world.hold_scripts(false);
    world.settle();
    assert_eq!(world.heard(player), ["begin 1", "1: Play.Reset", "1: Play.Start", "sample access"]);
    // Who calls is read on when its time is over, and has its answer when there is one.
    world.hold_scripts(true);
    call(&mut world, player, "ask");
    world.clients[player].create_stream();
    world.advance(1500);
    assert_eq!(world.heard(player), [""; 0]);
    world.advance(800);
    assert_eq!(world.heard(player), ["created 2"]);
    world.hold_scripts(false);
    world.settle();
    assert_eq!(world.heard(player), ["_result"]);
    world.end();
}

#[test]
fn an_answer_for_a_client_that_has_gone_or_been_replaced_does_nothing() {
    let (mut world, publisher, caller) = late(OPEN, 30_000);
    world.clients[publisher].publish(1, "cam");
    call(&mut world, caller, "ask");
    world.settle();
    let slots = [publisher, caller].map(|c| world.conn(c).unwrap().slot);
    for c in [publisher, caller] {
        world.disconnect(c);
        world.hang_up(c);
    }
    world.advance(3000);
    // Others have their places, and what they ask is another question.
    let others = [world.dial(), world.dial()];
    for c in others {
        world.clients[c].handshake();
        world.clients[c].connect("live");
        world.clients[c].create_stream();
    }
    world.settle();
    assert!(others.iter().all(|&c| slots.contains(&world.conn(c).unwrap().slot)));
    world.hold_scripts(false);
    world.settle();
    for c in others {
        assert_eq!(world.heard(c)[4..], ["_result Connect.Success", "created 1"]);
    }
    assert_eq!(world.server.counters().published, 0);
    world.hold_scripts(true);
    world.clients[others[0]].publish(1, "cam");
    world.settle();
    // The operator unloads the script that was asked.
    world.unload("live");
    world.hold_scripts(false);
    world.settle();
    assert_eq!(world.server.counters().published, 0);
    world.end();
}

/// An application in which clients may play what is `open`.
const PARTLY_OPEN: &str = "application.onConnect = function (client) { client.readAccess = 'open'; return true; };";

#[test]
fn what_a_script_said_about_a_request_that_others_refused_is_no_word_about_the_next() {
    let mut app = app(PARTLY_OPEN);
    app.limits.players = 1;
    let mut world = World::on_disk(settings(), vec![app]);
    let [quick, late] = [(); 2].map(|()| with_stream(&mut world));
    world.hold_scripts(true);
    world.clients[quick].play(1, "open/cam");
    world.clients[late].play(1, "open/cam");
    world.settle();
    assert_eq!((world.heard(quick), world.heard(late)), (vec![], vec![]));
    world.hold_scripts(false);
    world.settle();
    assert!(world.heard(quick).contains(&"1: Play.Start".to_owned()));
    assert_eq!(world.heard(late), ["1: Play.Failed"]);
    assert_eq!(world.clients[late].description, "This application has as many players as it may have.");
    world.hang_up(quick);
    world.settle();
    world.clients[late].play(1, "secret");
    world.settle();
    assert_eq!(world.heard(late), ["1: Play.Failed"]);
    assert_eq!(world.clients[late].description, "The application gives this client no read access.");
    world.end();
}

#[test]
fn a_player_makes_room_for_another_when_the_script_has_said_yes_and_not_before() {
    let mut app = app(PARTLY_OPEN);
    app.limits.players = 2;
    app.script.as_mut().unwrap().limits.pending_ms = 3000;
    let mut world = World::on_disk(settings(), vec![app]);
    let [first, second, refused, late, allowed] = [(); 5].map(|()| with_stream(&mut world));
    for c in [first, second] {
        world.clients[c].play(1, "open/idle");
    }
    // Who waits for a publisher that long gives way to others.
    world.advance(11_000);
    world.hold_scripts(true);
    for (c, name) in [(refused, "secret"), (late, "open/late")] {
        world.clients[c].play(1, name);
        world.settle();
    }
    let here = |world: &World| [first, second].iter().filter(|&&c| !world.clients[c].ended).count();
    world.advance(1000);
    assert_eq!(here(&world), 2, "nobody has said yes");
    world.advance(2300);
    assert_eq!(world.heard(late), ["1: Play.Failed"]);
    world.hold_scripts(false);
    world.settle();
    world.clients[refused].play(1, "secret");
    world.settle();
    assert_eq!(world.heard(refused), ["1: Play.Failed", "1: Play.Failed"]);
    assert_eq!(world.clients[refused].description, "The application gives this client no read access.");
    assert_eq!(here(&world), 2, "it was for nothing");
    world.hold_scripts(true);
    world.clients[allowed].play(1, "open/cam");
    world.settle();
    world.hold_scripts(false);
    world.advance(1000);
    assert!(world.heard(allowed).contains(&"1: Play.Start".to_owned()));
    assert_eq!((here(&world), world.closed(CloseReason::GaveWay)), (1, 1));
    world.end();
}

#[test]
fn media_of_a_publisher_waits_for_no_answer_to_what_else_it_asks_for() {
    let plays: fn(&mut World, usize) = |world, c| world.clients[c].play(2, "other");
    let publishes: fn(&mut World, usize) = |world, c| world.clients[c].publish(2, "other");
    for (ask, refused, granted) in
        [(plays, "2: Play.Failed", "2: Play.Start"), (publishes, "2: Publish.BadName", "2: Publish.Start")]
    {
        let (mut world, publisher, player) = late(OPEN, 3000);
        world.hold_scripts(false);
        world.clients[publisher].create_stream();
        world.clients[publisher].publish(1, "cam");
        world.clients[player].play(1, "cam");
        world.settle();
        world.send_start(publisher);
        world.heard(publisher);
        world.hold_scripts(true);
        let mut frames = world.clients[player].watch(1).next;
        // Little or much comes with the request, or behind it, with what is no command between.
        let buffer_length = [2, 0, 0, 0, 0, 0, 10, 4, 0, 0, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 3, 232];
        for (length, pause) in [(40, false), (4000, false), (40, true), (4000, true)] {
            world.hold_scripts(true);
            ask(&mut world, publisher);
            world.clients[publisher].out.extend(buffer_length);
            if pause {
                world.advance(1000);
            }
            world.send(publisher, 1, Kind::Key, 40 * frames, length);
            world.settle();
            frames += 1;
            assert_eq!(world.clients[player].watch(1).next, frames, "{granted} {length} {pause}");
            assert_eq!(world.heard(publisher), [""; 0], "nothing comes that could not wait");
            // The next command waits, but not with media behind it.
            world.clients[publisher].create_stream();
            world.settle();
            assert_eq!(world.heard(publisher), [""; 0]);
            world.hold_scripts(!pause);
            world.settle();
            let heard = world.heard(publisher);
            if pause {
                assert!(
                    heard.contains(&granted.to_owned()) && heard.last().unwrap().starts_with("created"),
                    "{heard:?}"
                );
                world.clients[publisher].close_stream(2);
                world.settle();
                world.heard(publisher);
                continue;
            }
            assert_eq!(heard, [""; 0]);
            world.send(publisher, 1, Kind::Key, 40 * frames, length);
            world.settle();
            frames += 1;
            assert_eq!(world.clients[player].watch(1).next, frames, "{refused} {length} {pause}");
            let heard = world.heard(publisher);
            assert!(heard[0] == refused && heard[1].starts_with("created"), "{heard:?}");
            assert_eq!(world.clients[publisher].description, "The application did not decide in time.");
        }
        world.hold_scripts(true);
        ask(&mut world, publisher);
        world.advance(3300);
        assert_eq!(world.heard(publisher), [refused], "silence is no reason to close it either");
        // Of old answers nothing comes, and one in time is acted on.
        world.hold_scripts(false);
        world.settle();
        assert_eq!(world.heard(publisher), [""; 0]);
        world.hold_scripts(true);
        ask(&mut world, publisher);
        world.advance(1000);
        world.hold_scripts(false);
        world.settle();
        assert!(world.heard(publisher).contains(&granted.to_owned()));
        assert!(!world.clients[publisher].ended);
        world.end();
    }
}

#[test]
fn a_client_whose_address_is_banned_while_its_script_decides_is_not_let_in() {
    let mut app = app(OPEN);
    app.script.as_mut().unwrap().limits.pending_ms = 5000;
    let mut world = World::on_disk(settings(), vec![app.clone()]);
    world.hold_scripts(true);
    let (waits, heard) = connect(&mut world, "live");
    assert_eq!(heard, [""; 0]);
    let mut closed = AppDefinition { stamp: 2, ..app };
    closed.rules.set_connect(AddressList::parse(["deny all"]).unwrap());
    world.disk.insert("live".into(), Directory::Good(Box::new(closed)));
    world.advance(1500);
    assert_eq!(connect(&mut world, "live").1, REJECTED, "from now on nobody may");
    world.hold_scripts(false);
    world.settle();
    assert_eq!(world.heard(waits), REJECTED);
    world.end();
}
