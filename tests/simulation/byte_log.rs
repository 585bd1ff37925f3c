//! What clients are sent, byte for byte and by the simulated clock, is what it was: the cheapest proof that a change of
//! structure changes nothing else.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

use rill::live::settings::{Merge, Settings};

use super::sim::Random;
use super::sim::ledger::Kind::{Audio, Cue, Inter, Key};
use super::sim::world::{World, scripted, settings};
use super::storm;

const SEEDS: u64 = 20;
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/simulation/byte_log.txt");
const HEAD: &str = "\
# Hashes of what all clients of a run were sent, and when: storms by their seed, scenes by their name.
# RILL_ACCEPT=1 cargo test --test simulation byte_log writes this file.
";

type Scene = fn() -> World;

const SCENES: [(&str, Scene); 4] =
    [("encoder comes back", encoder_comes_back), ("merged", merged), ("script", script), ("slow", slow)];

#[test]
fn what_clients_are_sent_and_when_is_what_it_was() {
    let storms = (0..SEEDS).map(|seed| (format!("storm {seed}"), storm::run(Random::new(seed)).digest()));
    let scenes = SCENES.into_iter().map(|(name, scene)| (name.to_owned(), scene().digest()));
    let found: Vec<(String, String)> =
        storms.chain(scenes).map(|(name, digest)| (name, format!("{digest:016x}"))).collect();
    if std::env::var_os("RILL_ACCEPT").is_some() {
        let mut text = HEAD.to_owned();
        for (name, digest) in &found {
            writeln!(text, "{digest} {name}").unwrap();
        }
        fs::write(FILE, text).unwrap();
        return;
    }
    let text = fs::read_to_string(FILE).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let expected: BTreeMap<&str, &str> =
        lines.map(|line| line.split_once(' ').unwrap()).map(|(digest, name)| (name, digest)).collect();
    assert_eq!(expected.len(), found.len(), "{FILE} has a line a run");
    let changed = found.iter().filter(|(name, digest)| expected.get(name.as_str()) != Some(&digest.as_str()));
    let changed: Vec<&str> = changed.map(|(name, _)| name.as_str()).collect();
    assert!(
        changed.is_empty(),
        "clients are sent other bytes than before, or at other times, in {} of {} runs: {}. If this is meant, \
         `RILL_ACCEPT=1 cargo test --test simulation byte_log` accepts it, and the commit says what changed.",
        changed.len(),
        found.len(),
        changed.join(", ")
    );
}

/// A stream of a picture each 40 ms and sound between, for so long.
fn stream(world: &mut World, publisher: usize, from: u32, pictures: u32) {
    for i in 0..pictures {
        let kind = if i % 25 == 0 { Key } else { Inter };
        world.send(publisher, 1, kind, from + 40 * i, 400 + 37 * (i as usize % 11));
        world.advance(20);
        world.send(publisher, 1, Audio, from + 40 * i + 20, 90);
        world.advance(20);
    }
}

/// It crashes, and publishes the same name again within the grace; players go on, and one joins meanwhile.
fn encoder_comes_back() -> World {
    let mut world = World::with(Settings { unpublish_grace_ms: 5000, ..settings() }, 11);
    let first = world.publisher("cam");
    world.player("cam");
    world.send_start(first);
    stream(&mut world, first, 80, 60);
    world.reset(first);
    world.advance(1500);
    world.player("cam");
    let second = world.publisher("cam");
    world.send_start(second);
    stream(&mut world, second, 80, 60);
    world.hang_up(second);
    world.advance(8000);
    world.end();
    world
}

/// Players who pause, want no pictures, seek and play twice, with a merge window.
fn merged() -> World {
    let mut world = World::with(Settings { merge: Merge::Fixed(50), ..settings() }, 12);
    let publisher = world.publisher("cam");
    let players: Vec<usize> = (0..4).map(|_| world.player("cam")).collect();
    world.send_start(publisher);
    stream(&mut world, publisher, 80, 30);
    for &c in &players {
        world.clients[c].watch(1).may_skip = true;
    }
    world.clients[players[0]].flag(1, "pause", true);
    world.clients[players[1]].watch(1).video_optional = true;
    world.clients[players[1]].flag(1, "receiveVideo", false);
    world.clients[players[2]].command(1, "seek", |amf| {
        amf.null().unwrap();
        amf.number(0.0).unwrap();
    });
    world.clients[players[3]].create_stream();
    world.clients[players[3]].play(2, "cam");
    world.settle();
    world.send(publisher, 1, Cue, 1300, 60);
    stream(&mut world, publisher, 1320, 30);
    world.clients[players[0]].flag(1, "pause", false);
    world.clients[players[1]].flag(1, "receiveVideo", true);
    stream(&mut world, publisher, 2520, 60);
    world.stop();
    world.advance(3000);
    world
}

/// An application whose script keeps the first client waiting and tells everybody of each who comes and goes.
fn script() -> World {
    let mut world = World::on_disk_with(settings(), vec![scripted("live", include_str!("../sim/storm.asc"))], 13);
    for _ in 0..9 {
        let c = world.dial();
        world.clients[c].handshake();
        world.clients[c].connect("live");
        world.clients[c].create_stream();
        world.advance(300);
    }
    world.hang_up(0);
    world.clients[1].publish(1, "cam");
    world.advance(2000);
    world.disconnect(3);
    world.advance(2000);
    world.unload("live");
    world.advance(10_000);
    world
}

/// One player who falls behind and skips, and one whose bandwidth is limited.
fn slow() -> World {
    let mut world = World::with(settings(), 14);
    world.window = 4000;
    let publisher = world.publisher("cam");
    let (slow, limited) = (world.player("cam"), world.player("cam"));
    world.player("cam");
    world.send_start(publisher);
    world.slow(slow, 5);
    world.limit(limited, Some(6000), None);
    stream(&mut world, publisher, 80, 120);
    assert!(world.server.counters().skips > 0, "somebody is too slow");
    world.clients[slow].rate = None;
    world.limit(limited, Some(0), None);
    stream(&mut world, publisher, 4880, 60);
    world.stop();
    world.advance(3000);
    world
}
