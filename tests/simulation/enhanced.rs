//! Enhanced RTMP and players who know none of it: they are sent the legacy messages that the publisher's equal.

use rill::wire::amf0::{Decoder, Encoder, Value};
use rill::wire::bytes::Writer;

use super::ends::{logged, world_with};
use super::sim::Random;
use super::sim::world::World;

const AUDIO: u8 = 8;
const VIDEO: u8 = 9;
/// Statuses that a player of a published stream is told first.
const LEFT_OUT: &[u8] = b"NetStream.Play.NoSupportedTrackFound";

/// One message: type, time, bytes.
type Message = (u8, u32, Vec<u8>);

/// A message, and the legacy one in its place, if there is one.
struct Pair {
    sent: Message,
    legacy: Option<Message>,
}

fn pair(type_id: u8, time: u32, sent: &[&[u8]], legacy: Option<&[&[u8]]>) -> Pair {
    Pair { sent: (type_id, time, sent.concat()), legacy: legacy.map(|legacy| (type_id, time, legacy.concat())) }
}

fn track(id: u8, bytes: &[u8]) -> Vec<u8> {
    [&[id], &(bytes.len() as u32).to_be_bytes()[1..], bytes].concat()
}

/// Sound or a picture in one of the forms that it may have.
fn frame(random: &mut Random, time: u32) -> Pair {
    let length = [1, 7, 200, 5000, 9000][random.next() as usize % 5];
    let data: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
    let other = vec![0xEE; random.next() as usize % 6000];
    let timed = [b"\0\0\x50", &data[..]].concat();
    let (avc, avc_timed): (&[&[u8]], &[&[u8]]) = (&[b"\x27\x01\0\0\0", &data], &[b"\x27\x01", &timed]);
    let aac: &[&[u8]] = &[b"\xAF\x01", &data];
    match random.next() % 15 {
        0 => pair(VIDEO, time, &[b"\xA3avc1", &data], Some(avc)),
        1 => pair(VIDEO, time, &[b"\xA1avc1", &timed], Some(avc_timed)),
        2 => pair(VIDEO, time, &[b"\xA7\x02\0\0\x01\x03avc1", &data], Some(avc)),
        3 => pair(VIDEO, time, &[b"\xA6\x03avc1\0", &data], Some(avc)),
        4 => pair(VIDEO, time, &[b"\xA6\x13avc1", &track(0, &data), &track(1, &other)], Some(avc)),
        5 => pair(VIDEO, time, &[b"\xA6\x11avc1", &track(1, &other), &track(0, &timed)], Some(avc_timed)),
        6 => pair(VIDEO, time, &[b"\xA6\x21av01", &track(1, &other), b"avc1", &track(0, &timed)], Some(avc_timed)),
        7 => pair(VIDEO, time, &[b"\xA6\x03avc1\x01", &other], None),
        8 => pair(VIDEO, time, avc, Some(avc)),
        9 => pair(AUDIO, time, &[b"\x91mp4a", &data], Some(aac)),
        10 => pair(AUDIO, time, &[b"\x95\x01mp4a\0", &data], Some(aac)),
        11 => pair(AUDIO, time, &[b"\x95\x01mp4a\x01", &other], None),
        12 => pair(AUDIO, time, &[b"\x95\x11mp4a", &track(2, &other), &track(0, &data), &track(1, b"x")], Some(aac)),
        13 => pair(AUDIO, time, &[b"\x95\x21Opus", &track(1, &other), b"mp4a", &track(0, &data)], Some(aac)),
        _ => pair(AUDIO, time, aac, Some(aac)),
    }
}

/// A stream's beginning: sequence headers and a key frame, in one of the forms that they may have.
fn start(form: u64, time: u32) -> Vec<Pair> {
    let key: &[&[u8]] = &[b"\x17\x01\0\0\0", b"key"];
    let (avc, aac): (&[&[u8]], &[&[u8]]) = (&[b"\x17\0\0\0\0", b"record"], &[b"\xAF\0", b"\x11\x90"]);
    match form % 3 {
        0 => vec![
            pair(VIDEO, time, &[b"\x90avc1record"], Some(avc)),
            pair(AUDIO, time, &[b"\x90mp4a\x11\x90"], Some(aac)),
            pair(VIDEO, time, &[b"\x93avc1key"], Some(key)),
        ],
        1 => vec![
            pair(VIDEO, time, &[b"\x96\x20av01", &track(1, b"other"), b"avc1", &track(0, b"record")], Some(avc)),
            pair(AUDIO, time, &[b"\x95\x10mp4a", &track(0, b"\x11\x90"), &track(1, b"\x11\x88")], Some(aac)),
            pair(VIDEO, time, &[b"\x96\x03avc1\0key"], Some(key)),
        ],
        _ => vec![
            pair(VIDEO, time, avc, Some(avc)),
            pair(AUDIO, time, aac, Some(aac)),
            pair(AUDIO, time, &[b"\x95\0mp4a\x01\x11\x88"], None),
            pair(VIDEO, time, key, Some(key)),
        ],
    }
}

fn send(world: &mut World, publisher: usize, (type_id, time, body): &Message) {
    world.clients[publisher].message(*type_id - 4, *type_id, 1, *time, body);
}

fn join(world: &mut World, announces: bool) -> usize {
    let c = world.dial();
    let client = &mut world.clients[c];
    (client.lenient, client.announces) = (true, announces);
    (client.tape, client.reel) = (Some(Vec::new()), Some(Vec::new()));
    client.handshake();
    client.connect("live");
    client.create_stream();
    world.settle();
    c
}

/// A client that plays `name`, and keeps what it is sent byte for byte.
fn player(world: &mut World, name: &str, announces: bool) -> usize {
    let c = join(world, announces);
    world.clients[c].play(1, name);
    world.settle();
    c
}

fn reel(world: &mut World, c: usize) -> Vec<Message> {
    world.clients[c].reel.replace(Vec::new()).unwrap()
}

/// How often the client was told that something is left out.
fn told(world: &World, c: usize) -> usize {
    let tape = world.clients[c].tape.as_ref().unwrap();
    tape.iter().filter(|(_, _, body)| body.windows(LEFT_OUT.len()).any(|part| part == LEFT_OUT)).count()
}

#[test]
fn who_announced_nothing_gets_the_legacy_messages_and_everybody_else_what_was_published() {
    for seed in 0..16 {
        let mut random = Random::new(seed);
        let mut world = world_with(|settings| settings.ring_bytes = 1 << 20);
        world.window = [1 << 20, 700][random.next() as usize % 2];
        let publisher = join(&mut world, false);
        world.clients[publisher].publish(1, "cam");
        world.settle();
        world.clients[publisher].set_chunk_size([128, 4096, 60_000][random.next() as usize % 3]);
        let early = [player(&mut world, "cam", false), player(&mut world, "cam", true)];
        // One that goes tag by tag for another reason, too.
        let two = player(&mut world, "cam", false);
        world.clients[two].create_stream();
        world.clients[two].play(2, "other");
        for c in [early[0], early[1], two] {
            world.net.links[world.clients[c].link].short = [0, 1, 7, 100, 3000][random.next() as usize % 5];
        }
        let mut pairs = start(random.next(), 0);
        for pair in &pairs {
            send(&mut world, publisher, &pair.sent);
        }
        world.settle();
        for i in 1..40 {
            let mut next = vec![frame(&mut random, i * 20)];
            if random.next().is_multiple_of(10) {
                next = start(random.next(), i * 20);
            }
            for pair in &next {
                send(&mut world, publisher, &pair.sent);
            }
            if !random.next().is_multiple_of(4) {
                world.settle();
            }
            pairs.extend(next);
        }
        world.settle();
        let sent: Vec<Message> = pairs.iter().map(|pair| pair.sent.clone()).collect();
        let legacy: Vec<Message> = pairs.into_iter().filter_map(|pair| pair.legacy).collect();
        assert!(reel(&mut world, early[0]) == legacy, "seed {seed}");
        assert!(reel(&mut world, early[1]) == sent, "seed {seed}");
        assert!(reel(&mut world, two) == legacy, "seed {seed}");

        // Who joins late gets headers and the newest key frame, and then the same.
        for (announces, all) in [(false, &legacy), (true, &sent)] {
            let late = player(&mut world, "cam", announces);
            let got = reel(&mut world, late);
            let key = got.iter().position(|(_, _, body)| body.ends_with(b"key")).unwrap();
            assert!(all.ends_with(&got[key..]), "seed {seed}");
            let header =
                |end: &[u8]| got[..key].iter().any(|(_, _, body)| body.windows(end.len()).any(|part| part == end));
            assert!(header(b"record") && header(b"\x11\x90"), "seed {seed}");
            assert!(announces || got[..key].iter().all(|(_, _, body)| matches!(body[0], 0x17 | 0xAF)), "seed {seed}");
        }
        assert_eq!(told(&world, early[0]) + told(&world, early[1]), 0);
        assert_eq!(world.server.counters().skips, 0);
    }
}

#[test]
fn a_stream_may_become_enhanced_and_legacy_again_for_players_who_stay() {
    let mut world = World::new();
    let old = player(&mut world, "cam", false);
    let mut expected = Vec::new();
    for (publish, forms) in [[2, 0, 2], [0, 2, 1], [2, 2, 2]].into_iter().enumerate() {
        let publisher = join(&mut world, false);
        world.clients[publisher].publish(1, "cam");
        world.settle();
        for (i, form) in forms.into_iter().enumerate() {
            for Pair { sent, legacy } in start(form, i as u32 * 40) {
                send(&mut world, publisher, &sent);
                world.settle();
                expected.extend(legacy.map(|(type_id, _, body)| (type_id, body)));
            }
            world.advance(40);
        }
        world.clients[publisher].close_stream(1);
        world.settle();
        let got: Vec<(u8, Vec<u8>)> =
            reel(&mut world, old).into_iter().map(|(type_id, _, body)| (type_id, body)).collect();
        assert_eq!(got, std::mem::take(&mut expected), "publish {publish}");
    }
    world.settle();
}

#[test]
fn who_goes_on_elsewhere_in_the_midst_of_an_unwrapped_message_gets_the_rest_of_it_first() {
    let mut world = world_with(|settings| settings.ring_bytes = 1 << 20);
    world.window = 300;
    let publisher = join(&mut world, false);
    world.clients[publisher].publish(1, "cam");
    world.settle();
    let old = player(&mut world, "cam", false);
    for pair in start(1, 0) {
        send(&mut world, publisher, &pair.sent);
    }
    world.settle();
    reel(&mut world, old);
    world.clients[old].rate = Some(1);
    let data = vec![0x42; 9000];
    let message = [b"\xA6\x13avc1", &track(1, &[0; 5000])[..], &track(0, &data), &track(2, &[0; 300])].concat();
    send(&mut world, publisher, &(VIDEO, 40, message));
    world.advance(2000);
    world.clients[old].play(1, "other");
    world.advance(200);
    world.clients[old].rate = None;
    world.settle();
    assert!(reel(&mut world, old) == [(VIDEO, 40, [b"\x27\x01\0\0\0", &data[..]].concat())]);
    assert!(world.clients[old].is_between_messages());
}

#[test]
fn a_codec_without_a_legacy_form_is_left_out_and_its_player_told_once() {
    let mut world = world_with(|_| {});
    let publisher = join(&mut world, false);
    world.clients[publisher].publish(1, "cam");
    world.settle();
    let players = [player(&mut world, "cam", false), player(&mut world, "cam", true)];
    let sound: Vec<Message> = (0..50).map(|i| (AUDIO, i * 20, [b"\xAF\x01", &[i as u8][..]].concat())).collect();
    send(&mut world, publisher, &(VIDEO, 0, b"\x90hvc1record".to_vec()));
    for sound in &sound {
        let first: &[u8] = if sound.1 % 400 == 0 { b"\x91" } else { b"\xA1" };
        send(&mut world, publisher, &(VIDEO, sound.1, [first, b"hvc1\0\0\0data"].concat()));
        send(&mut world, publisher, sound);
        world.advance(20);
    }
    let late = player(&mut world, "cam", false);
    world.advance(100);
    assert_eq!(reel(&mut world, players[0]), sound);
    assert_eq!(reel(&mut world, players[1]).len(), 101);
    let of_late = reel(&mut world, late);
    assert!(!of_late.is_empty() && sound.ends_with(&of_late), "{of_late:?}");
    send(&mut world, publisher, &(AUDIO, 1000, b"\x91Opusdata".to_vec()));
    send(&mut world, publisher, &(AUDIO, 1020, b"\x91Opusdata".to_vec()));
    world.settle();
    send(&mut world, publisher, &(AUDIO, 1040, b"\x91Opusdata".to_vec()));
    world.settle();
    assert_eq!([players[0], players[1], late].map(|c| told(&world, c)), [1, 0, 1]);
    let lines = logged(" left out: the player announced no Enhanced RTMP");
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines.iter().all(|line| line.contains(" name=\"cam\" HEVC left out")), "{lines:?}");
}

/// `onMetaData` with a codec's id among others.
fn metadata(id: Option<f64>) -> Vec<u8> {
    let mut buffer = [0; 200];
    let mut out = Writer::new(&mut buffer);
    let mut amf = Encoder::new(&mut out);
    amf.string("onMetaData").unwrap();
    amf.ecma_array_begin(3).unwrap();
    amf.property_number("width", 320.0).unwrap();
    if let Some(id) = id {
        amf.property_number("videocodecid", id).unwrap();
    }
    amf.property_number("audiocodecid", 10.0).unwrap();
    amf.object_end().unwrap();
    out.written().to_vec()
}

fn id_of(message: &[u8]) -> Option<f64> {
    let mut values = Decoder::new(message);
    assert_eq!(values.string(), Ok(b"onMetaData".as_slice()));
    let metadata = values.value().unwrap();
    assert_eq!(
        (metadata.get("width"), metadata.get("audiocodecid")),
        (Some(Value::Number(320.0)), Some(Value::Number(10.0)))
    );
    metadata.get("videocodecid").and_then(|id| id.as_number())
}

#[test]
fn metadata_names_no_codec_by_its_fourcc_to_who_knows_none_whoever_was_there() {
    let fourcc = |text: &[u8; 4]| f64::from(u32::from_be_bytes(*text));
    for (sent, expected) in [(fourcc(b"avc1"), Some(7.0)), (fourcc(b"hvc1"), None), (12.0, Some(12.0))] {
        let mut world = World::new();
        let publisher = join(&mut world, false);
        world.clients[publisher].publish(1, "cam");
        world.settle();
        let early = [player(&mut world, "cam", false), player(&mut world, "cam", true)];
        for c in early {
            world.net.links[world.clients[c].link].short = 7;
        }
        let body = [b"\x02\x00\x0D@setDataFrame", &metadata(Some(sent))[..]].concat();
        // In the midst of a publish as well.
        for time in [0, 400] {
            for pair in start(0, time) {
                send(&mut world, publisher, &pair.sent);
            }
            world.clients[publisher].message(5, 18, 1, time, &body);
            world.settle();
        }
        let late = [player(&mut world, "cam", false), player(&mut world, "cam", true)];
        for (players, times) in [(early, 2), (late, 1)] {
            for (c, id) in players.into_iter().zip([expected, Some(sent)]) {
                let tape = world.clients[c].tape.take().unwrap();
                let is_metadata = |(type_id, _, body): &&(u8, u32, Vec<u8>)| {
                    *type_id == 18 && body.starts_with(b"\x02\0\x0AonMetaData")
                };
                let ids: Vec<_> = tape.iter().filter(is_metadata).map(|(_, _, body)| id_of(body)).collect();
                assert!(ids.len() >= times && ids.iter().all(|&one| one == id), "{sent} {ids:?}");
            }
        }
        assert_eq!(reel(&mut world, early[0]).len(), reel(&mut world, early[1]).len());
    }
}
