//! The same things said in other bytes: cuts, chunk sizes, aggregates, and bytes that mean nothing.

use rill::live::settings::Settings;
use rill::wire::flv::SubTagHeader;

use super::sim::Random;
use super::sim::client::chunks;
use super::sim::ledger::Kind::{Audio, AudioHeader, Inter, Key, Metadata, VideoHeader};
use super::sim::world::{World, settings};

/// All that an encoder says up to its first frames, cut at `cut`. The player's log.
fn session_cut_at(cut: usize) -> (Vec<String>, usize) {
    let mut world = World::new();
    let player = world.player("cam");
    let publisher = world.dial();
    let client = &mut world.clients[publisher];
    client.handshake();
    client.connect("live");
    client.create_stream();
    client.set_chunk_size(70);
    client.publish(1, "cam");
    world.ledger.begin("cam");
    let mut payloads = Vec::new();
    for (i, kind) in [Metadata, VideoHeader, AudioHeader, Key, Audio, Inter].into_iter().enumerate() {
        payloads.push((kind, world.ledger.message(0, kind, 40 * i as u32, 150).1));
    }
    let client = &mut world.clients[publisher];
    for (i, (kind, payload)) in payloads.iter().enumerate() {
        client.message(4 + kind.type_id() % 3, kind.type_id(), 1, 40 * i as u32, payload);
    }
    client.close_stream(1);
    let bytes = std::mem::take(&mut client.out);
    let cut = cut.min(bytes.len());
    let link = client.link;
    // Whoever says all at once does not wait for what the server says; the ledger has its publication already.
    client.asked[1] = ["unused".to_string()].into();
    world.net.send(link, &bytes[..cut]);
    world.settle();
    world.net.send(link, &bytes[cut..]);
    world.settle();
    let log = world.heard(player);
    world.ledger.publications.truncate(1);
    world.end();
    (log, bytes.len())
}

#[test]
fn a_session_cut_at_any_byte_is_the_same_session() {
    let (whole, length) = session_cut_at(usize::MAX);
    assert_eq!(whole[whole.len() - 2..], ["0.5 inter", "1: Play.UnpublishNotify"], "{whole:?}");
    for cut in (0..3073).step_by(97).chain(3060..length) {
        assert_eq!(session_cut_at(cut).0, whole, "cut at {cut}");
    }
}

#[test]
fn audio_inside_a_frame_and_chunk_sizes_that_change_in_the_middle_come_out_whole() {
    let (mut world, publisher, player) = World::watched();
    let (_, video) = world.ledger.message(0, Inter, 100, 3000);
    let (_, audio) = world.ledger.message(0, Audio, 100, 300);
    let client = &mut world.clients[publisher];
    let mut video = chunks(6, 9, 1, 100, &video, 128).into_iter();
    let mut audio = chunks(4, 8, 1, 100, &audio, 128).into_iter();
    for _ in 0..3 {
        client.out.extend(video.next().unwrap());
        client.out.extend(audio.next().unwrap());
    }
    let rest: Vec<u8> = video.flat_map(|chunk| chunk[1..].to_vec()).collect();
    client.set_chunk_size(1000);
    for part in rest.chunks(1000) {
        client.out.push(0xC6);
        client.out.extend(part);
    }
    world.settle();
    assert_eq!(world.heard(player), ["0.4 inter", "0.5 audio"]);
    world.end();
}

#[test]
fn an_aggregate_message_is_split_into_its_tags() {
    let mut world = World::new();
    let publisher = world.publisher("cam");
    let player = world.player("cam");
    world.heard(player);
    let mut body = Vec::new();
    for (i, kind) in [Metadata, VideoHeader, Key, AudioHeader, Audio, Inter].into_iter().enumerate() {
        let (_, payload) = world.ledger.message(0, kind, 20 * i as u32, 200);
        let header = SubTagHeader {
            message_type: kind.type_id(),
            length: payload.len() as u32,
            timestamp_ms: 5000 + 20 * i as u32,
        };
        body.extend(header.emit());
        body.extend(&payload);
        body.extend((payload.len() as u32 + 11).to_be_bytes());
    }
    world.clients[publisher].message(7, 22, 1, 100, &body);
    world.settle();
    assert_eq!(
        world.heard(player),
        // As they came, for one who waited.
        ["0.0 metadata", "0.1 video header", "0.2 key", "0.3 audio header", "0.4 audio", "0.5 inter",]
    );
    world.end();
}

/// The server still does its work.
fn check_alive(world: &mut World) {
    let publisher = world.publisher("well behaved");
    let player = world.player("well behaved");
    world.send_start(publisher);
    assert_eq!(world.clients[player].watch(1).next, 4);
    world.hang_up(publisher);
    world.hang_up(player);
    world.settle();
}

#[test]
fn arbitrary_bytes_after_a_valid_handshake_hurt_nobody() {
    let mut world = World::with(Settings { connections: 40, ..settings() }, 7);
    let mut random = Random::new(99);
    for round in 0..150 {
        let client = world.dial();
        world.clients[client].handshake();
        if round % 2 == 0 {
            world.clients[client].connect("live");
            world.clients[client].create_stream();
            world.clients[client].publish(1, "noise");
        }
        let mut bytes = std::mem::take(&mut world.clients[client].out);
        for _ in 0..random.below(600) {
            bytes.push(if random.chance(40) {
                [0, 1, 2, 3, 4, 6, 8, 9, 0x14, 0xC3, 0x43][random.below(11)]
            } else {
                random.next() as u8
            });
        }
        let link = world.clients[client].link;
        world.net.send(link, &bytes);
        world.clients[client].lenient = true;
        world.clients[client].rate = [None, Some(0)][round % 3 % 2];
        world.settle();
        if random.chance(80) {
            world.reset(client);
        }
        if round % 30 == 0 {
            check_alive(&mut world);
        }
        world.advance(200);
    }
    check_alive(&mut world);
    world.end();
}

/// What a publisher or player of `name` says.
fn recording(plays: bool) -> Vec<u8> {
    let mut world = World::new();
    let c = world.dial();
    let client = &mut world.clients[c];
    client.handshake();
    client.connect("live");
    client.create_stream();
    client.set_chunk_size(200);
    if plays {
        client.play(1, "cam");
        client.flag(1, "receiveVideo", false);
        client.flag(1, "pause", true);
        client.flag(1, "receiveVideo", true);
        client.flag(1, "pause", false);
        client.play2(1, "other");
        client.close_stream(1);
        client.delete_stream(1);
    } else {
        client.publish(1, "cam");
        world.ledger.begin("cam");
        for i in 0..20 {
            let kind = [Metadata, VideoHeader, AudioHeader, Key, Audio, Inter][i % 6];
            let payload = world.ledger.message(0, kind, 40 * i as u32, 100 + 300 * (i % 4)).1;
            world.clients[c].message(4 + kind.type_id() % 3, kind.type_id(), 1, 40 * i as u32, &payload);
        }
        world.clients[c].close_stream(1);
    }
    std::mem::take(&mut world.clients[c].out)
}

#[test]
fn mutated_recordings_of_sessions_hurt_nobody() {
    let mut world = World::with(Settings { connections: 40, ..settings() }, 7);
    let recordings = [recording(false), recording(true)];
    let mut random = Random::new(5);
    for round in 0..300 {
        let mut bytes = recordings[round % 2].clone();
        for _ in 0..1 + random.below(6) {
            let at = 3073 + random.below(bytes.len() - 3073);
            match random.below(5) {
                0 => bytes[at] = random.next() as u8,
                1 => bytes[at] ^= 1 << random.below(8),
                2 => drop(bytes.remove(at)),
                3 => bytes.insert(at, random.next() as u8),
                _ => {
                    let end = (at + random.below(300)).min(bytes.len());
                    let copy = bytes[at..end].to_vec();
                    bytes.splice(at..at, copy);
                }
            }
        }
        let client = world.dial();
        let link = world.clients[client].link;
        world.net.links[link].short = if random.chance(50) { 1 + random.below(300) } else { 0 };
        world.clients[client].lenient = true;
        world.clients[client].rate = [None, Some(0)][round % 3 % 2];
        world.net.send(link, &bytes);
        world.settle();
        if random.chance(85) {
            world.reset(client);
            world.settle();
        }
        if round % 50 == 0 {
            check_alive(&mut world);
        }
        world.advance(100);
    }
    check_alive(&mut world);
    world.end();
}
