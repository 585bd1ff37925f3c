//! What the server finds wrong: it comes while it is so, on every surface, and goes when it is over.

use rill::live::app::{AddressList, AppDefinition, AppKind};
use rill::live::finding::Finding;
use rill::live::health::{BoardFacts, CardRoom};
use rill::live::settings::Settings;
use rill::time::Millis;
use serde_json::Value;

use crate::control::Operator;
use crate::sim::browser::Browser;
use crate::sim::ledger::Kind::{Audio, AudioHeader, Inter, Key, VideoHeader};
use crate::sim::world::{World, settings};

/// What is wrong now, by the words for programs.
fn wrong(world: &World) -> Vec<&'static str> {
    findings(world).iter().map(|finding| finding.kind().row().name).collect()
}

fn findings(world: &World) -> Vec<Finding> {
    let next = |from| world.server.next_finding(from, Millis(world.now));
    std::iter::successors(next(0), |row| next(row.place + 1)).map(|row| row.finding).collect()
}

/// A camera, and its time.
struct Camera {
    client: usize,
    frames: u32,
    /// Frames from one key frame to the next.
    group: u32,
    sound: bool,
}

impl Camera {
    fn new(world: &mut World, name: &str) -> Camera {
        let client = world.publisher(name);
        world.send_all(client, 0, &[VideoHeader, AudioHeader]);
        Camera { client, frames: 0, group: 50, sound: true }
    }

    /// A picture each 40 ms.
    fn run(&mut self, world: &mut World, seconds: u32) {
        for _ in 0..seconds * 25 {
            self.frame(world);
            world.advance(40);
        }
    }

    fn frame(&mut self, world: &mut World) {
        let kind = if self.frames.is_multiple_of(self.group) { Key } else { Inter };
        world.send(self.client, 1, kind, 100 + self.frames * 40, 200);
        if self.sound {
            world.send(self.client, 1, Audio, 100 + self.frames * 40, 60);
        }
        self.frames += 1;
    }
}

fn body(browser: Browser, world: &mut World, path: &str) -> Value {
    browser.get(world, path);
    let answer = String::from_utf8(browser.read_all(world)).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"))
}

#[test]
fn key_frames_that_are_far_apart_are_told_on_every_surface_until_they_are_not() {
    let mut world = World::with(Settings { ring_bytes: 1 << 20, ..settings() }, 1);
    let mut camera = Camera::new(&mut world, "cam");
    camera.run(&mut world, 8);
    assert_eq!(wrong(&world), [""; 0]);
    camera.group = 250;
    camera.run(&mut world, 32);
    assert_eq!(findings(&world), [Finding::KeyFramesRare { seconds: 10 }]);
    let mut operator = Operator::new(&mut world, 1 << 16);
    let said = operator.ask(&mut world, b"diagnose\n", 100);
    let (row, end) = said.split_once('\n').unwrap();
    assert_eq!(end, "{\"ok\":true}\n");
    let row: Value = serde_json::from_str(row).unwrap();
    assert_eq!((row["kind"].as_str(), row["stream"].as_str()), (Some("key_frames_rare"), Some("live/cam")));
    assert_eq!(row["figures"], serde_json::json!([10]));
    assert!(row["what"].as_str().unwrap().contains("every 10 s") && row["remedy"].as_str().unwrap().contains("2 s"));
    for path in ["/api/diagnosis", "/api/status"] {
        let browser = Browser::new(&mut world, 1 << 16);
        let mut seen = body(browser, &mut world, path)["findings"].clone();
        assert_eq!(seen.as_array().unwrap().len(), 1, "{seen}");
        seen[0]["seconds"] = row["seconds"].clone();
        assert_eq!(seen[0], row, "{path}");
        browser.hang_up(&mut world);
    }
    world.net.fin(operator.link);
    camera.group = 50;
    camera.run(&mut world, 40);
    assert_eq!(wrong(&world), [""; 0]);
    let mut operator = Operator::new(&mut world, 1 << 16);
    assert_eq!(operator.ask(&mut world, b"diagnose\n", 100), "{\"ok\":true}\n");
    world.net.fin(operator.link);
    // It ends with its publish, too.
    camera.group = 250;
    camera.run(&mut world, 32);
    assert_eq!(wrong(&world), ["key_frames_rare"]);
    world.end();
    assert_eq!(wrong(&world), [""; 0]);
}

#[test]
fn an_encoder_that_stalls_or_is_silent_is_told_from_one_that_sends_little() {
    let mut world = World::new();
    let mut camera = Camera::new(&mut world, "cam");
    camera.run(&mut world, 4);
    // It sends what it has filmed meanwhile all at once.
    for round in 0..2 {
        world.advance(1_500);
        (0..37).for_each(|_| camera.frame(&mut world));
        camera.run(&mut world, 3);
        assert_eq!(wrong(&world).contains(&"stalled"), round == 1);
    }
    assert_eq!(findings(&world), [Finding::Stalled { times: 2 }]);
    camera.run(&mut world, 62);
    assert_eq!(wrong(&world), [""; 0]);
    world.advance(5_000);
    assert_eq!(wrong(&world), ["silent"]);
    camera.frames += 125;
    camera.run(&mut world, 7);
    assert_eq!(wrong(&world), [""; 0], "its own time has gone on");
    world.end();
}

#[test]
fn sound_that_was_promised_and_does_not_come_is_missed_until_it_does() {
    let mut world = World::new();
    let mut camera = Camera::new(&mut world, "cam");
    camera.sound = false;
    camera.run(&mut world, 9);
    assert_eq!(wrong(&world), [""; 0]);
    camera.run(&mut world, 3);
    assert_eq!(wrong(&world), ["no_sound"]);
    camera.sound = true;
    camera.run(&mut world, 2);
    assert_eq!(wrong(&world), [""; 0]);
    world.end();
}

#[test]
fn two_encoders_that_want_one_name_are_told_of_until_one_gives_up() {
    let mut world = World::new();
    let mut camera = Camera::new(&mut world, "cam");
    camera.run(&mut world, 1);
    for _ in 0..2 {
        let other = world.publisher("cam");
        camera.run(&mut world, 2);
        assert!(world.heard(other).contains(&"1: Publish.BadName".to_owned()));
    }
    assert_eq!(findings(&world), [Finding::Contested { times: 2 }]);
    camera.run(&mut world, 62);
    assert_eq!(wrong(&world), [""; 0]);
    world.end();
}

#[test]
fn one_slow_viewer_is_his_own_network_and_several_are_everybodys() {
    let mut world = World::with(Settings { player_stall_ms: 120_000, ..settings() }, 1);
    world.window = 3_000;
    let mut camera = Camera::new(&mut world, "cam");
    let players: Vec<usize> = (0..4).map(|_| world.player("cam")).collect();
    camera.run(&mut world, 4);
    assert_eq!(wrong(&world), [""; 0]);
    world.slow(players[0], 1);
    camera.run(&mut world, 8);
    assert_eq!(wrong(&world), ["viewers_slow"]);
    players[1..3].iter().for_each(|&player| world.slow(player, 1));
    camera.run(&mut world, 26);
    assert_eq!(wrong(&world), ["network_full"]);
    players.iter().for_each(|&player| world.clients[player].rate = None);
    camera.run(&mut world, 85);
    assert_eq!(wrong(&world), [""; 0]);
    world.end();
}

#[test]
fn a_full_table_is_named_for_a_minute_with_the_key_that_raises_it() {
    let mut world = World::new();
    let mut cameras: Vec<Camera> = (0..3).map(|n| Camera::new(&mut world, &format!("cam{n}"))).collect();
    cameras.iter_mut().for_each(|camera| camera.run(&mut world, 1));
    let late = world.publisher("late");
    assert!(world.heard(late).contains(&"1: Publish.BadName".to_owned()));
    let mut pass = |world: &mut World, seconds: u32| {
        for _ in 0..seconds * 25 {
            cameras.iter_mut().for_each(|camera| camera.frame(world));
            world.advance(40);
        }
    };
    pass(&mut world, 2);
    let mut operator = Operator::new(&mut world, 1 << 16);
    let said = operator.ask(&mut world, b"diagnose\n", 100);
    assert!(said.contains("\"kind\":\"full\"") && said.contains("\"remedy\":\"raise limits.streams\""), "{said}");
    world.net.fin(operator.link);
    pass(&mut world, 62);
    assert_eq!(wrong(&world).iter().filter(|kind| **kind == "full").count(), 0);
    world.end();
}

#[test]
fn the_end_of_the_certificate_is_told_fourteen_days_ahead() {
    let mut world = World::new();
    let mut camera = Camera::new(&mut world, "cam");
    // The network's clock shows noon of 2026-01-01.
    let noon_s = 1_767_268_800;
    for (days, told) in [(20, &[][..]), (14, &["certificate_ends"]), (0, &["certificate_ends"]), (400, &[])] {
        world.net.certificate_ends_s = Some(noon_s + days * 86_400 + 3600);
        camera.run(&mut world, 12);
        assert_eq!(wrong(&world), told, "{days}");
    }
    world.end();
}

#[test]
fn the_board_is_asked_each_ten_seconds_and_what_it_says_is_told() {
    let mut world = World::new();
    let mut camera = Camera::new(&mut world, "cam");
    camera.run(&mut world, 2);
    let metrics = |world: &mut World| {
        let browser = Browser::new(world, 1 << 20);
        browser.get(world, "/metrics");
        let text = String::from_utf8(browser.read_all(world)).unwrap();
        browser.hang_up(world);
        text
    };
    assert!(
        !metrics(&mut world).contains("\nrill_board_temperature_celsius "),
        "what the board does not say is not said"
    );
    world.board = BoardFacts {
        temperature_milli: Some(84_500),
        under_voltage: Some(true),
        throttled: Some(false),
        card: Some(CardRoom { free: 1_000_000, least: 2_000_000 }),
        worn_percent: Some(110),
    };
    camera.run(&mut world, 12);
    assert_eq!(wrong(&world), ["under_voltage", "hot", "card_full", "card_worn"], "the gravest first");
    let text = metrics(&mut world);
    for line in [
        "rill_board_temperature_celsius 84.500",
        "rill_board_under_voltage 1",
        "rill_board_throttled 0",
        "rill_card_free_bytes 1000000",
        "rill_findings 4",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
    world.board = BoardFacts { temperature_milli: Some(50_000), ..BoardFacts::default() };
    camera.run(&mut world, 72);
    assert_eq!(wrong(&world), [""; 0]);
    // The disk that stalls holds up nothing.
    world.bulk_stalls = true;
    camera.run(&mut world, 30);
    world.bulk_stalls = false;
    world.end();
}

#[test]
fn who_may_not_play_a_stream_does_not_hear_what_is_wrong_with_it() {
    let mut secret = AppDefinition::stock(heapless::String::try_from("live").unwrap(), AppKind::Live);
    secret.rules.set_play(AddressList::parse(["deny 10.0.1.0/24"]).unwrap());
    let mut world = World::fixed(settings(), vec![secret], 1);
    let mut camera = Camera::new(&mut world, "cam");
    camera.sound = false;
    camera.run(&mut world, 12);
    assert_eq!(wrong(&world), ["no_sound"]);
    for path in ["/api/diagnosis", "/api/status"] {
        let browser = Browser::new(&mut world, 1 << 16);
        assert_eq!(body(browser, &mut world, path)["findings"], serde_json::json!([]), "{path}");
        browser.hang_up(&mut world);
    }
    // What is wrong with the server is no secret.
    world.board.throttled = Some(true);
    camera.run(&mut world, 12);
    let browser = Browser::new(&mut world, 1 << 16);
    let seen = body(browser, &mut world, "/api/diagnosis");
    assert_eq!(seen["findings"][0]["kind"], "throttled");
    assert_eq!(seen["findings"].as_array().unwrap().len(), 1);
    browser.hang_up(&mut world);
    world.end();
}

/// The keys of tables that somebody found no place in.
fn full(world: &mut World) -> Vec<String> {
    let mut operator = Operator::new(world, 1 << 16);
    let said = operator.ask(world, b"diagnose\n", 100);
    world.net.fin(operator.link);
    let rows = said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.filter(|row| row["kind"] == "full").map(|row| row["figures"][1].as_str().unwrap().to_owned()).collect()
}

#[test]
fn frames_that_are_too_large_are_told_for_a_minute() {
    let mut world = World::new();
    let mut camera = Camera::new(&mut world, "cam");
    camera.run(&mut world, 1);
    world.send(camera.client, 1, Key, 2_000, 50_000);
    world.ledger.of(0).sent.last_mut().unwrap().dropped = true;
    world.advance(1_500);
    assert_eq!(findings(&world), [Finding::FramesDropped { count: 1, largest: 50_012, ring_bytes: 64 << 10 }]);
    (camera.frames, camera.group) = (50, 25);
    camera.run(&mut world, 62);
    assert_eq!(wrong(&world), [""; 0]);
    world.end();
}

#[test]
fn a_place_that_is_missed_is_counted_where_it_is_missed() {
    let mut world = World::with(Settings { connections: 6, applications: 2, recordings: 1, ..settings() }, 1);
    let mut first = Camera::new(&mut world, "a");
    let mut second = Camera::new(&mut world, "b");
    first.run(&mut world, 1);
    second.run(&mut world, 1);
    assert!(full(&mut world).is_empty());
    let now = Millis(world.now);
    assert!(
        world.server.record("live", "a", true, now).is_ok() && world.server.record("live", "b", true, now).is_err()
    );
    first.run(&mut world, 2);
    assert_eq!(full(&mut world), ["limits.recordings"]);
    // More viewers than there are connections for; publishers have their own.
    for _ in 0..12 {
        let late = world.dial();
        world.clients[late].handshake();
        world.clients[late].connect("live");
        world.settle();
    }
    first.run(&mut world, 2);
    assert_eq!(full(&mut world), ["limits.connections", "limits.recordings"]);
    world.end();
}
