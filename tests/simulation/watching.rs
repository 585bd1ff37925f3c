//! What a browser is sent when the stream changes under it: other headers, a track that comes late, time that comes to its end.

use rill::wire::codec::synthetic::{AUDIO_SPECIFIC_CONFIG, AVC_RECORD};

use crate::sim::browser::Browser;
use crate::sim::world::World;

const UPGRADE: &[u8] = b"GET /live/cam.mp4 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A camera whose messages a browser can play, as far as can be seen without decoding them.
struct Camera(usize);

impl Camera {
    fn new(world: &mut World) -> Camera {
        let camera = Camera(world.publisher("cam"));
        camera.video_header(world, 0, 40);
        camera.audio(world, 0, &[&[0xAF, 0], &AUDIO_SPECIFIC_CONFIG[..]].concat());
        camera
    }

    fn video(&self, world: &mut World, time: u32, message: &[u8]) {
        world.clients[self.0].message(6, 9, 1, time, message);
        world.settle();
    }

    fn audio(&self, world: &mut World, time: u32, message: &[u8]) {
        world.clients[self.0].message(4, 8, 1, time, message);
        world.settle();
    }

    /// That of a level, which is in its codec's name.
    fn video_header(&self, world: &mut World, time: u32, level: u8) {
        let mut record = AVC_RECORD;
        record[3] = level;
        self.video(world, time, &[&[0x17, 0, 0, 0, 0], &record[..]].concat());
    }

    fn picture(&self, world: &mut World, time: u32, is_key: bool) {
        self.video(
            world,
            time,
            &[&[if is_key { 0x17 } else { 0x27 }, 1, 0, 0, 0], &b"\0\0\0\x03\x41\x9A\0"[..]].concat(),
        );
    }

    fn sound(&self, world: &mut World, time: u32) {
        self.audio(world, time, b"\xAF\x01sound");
    }
}

/// The frames of a WebSocket behind the head of its answer.
fn frames(answer: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let head = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").map_or(0, |at| at + 4);
    let (mut rest, mut frames) = (&answer[head..], Vec::new());
    while let [first, length, behind @ ..] = rest {
        let (length, behind) = match length {
            126 => (usize::from(u16::from_be_bytes([behind[0], behind[1]])), &behind[2..]),
            short => (usize::from(*short), behind),
        };
        frames.push((*first, behind[..length].to_vec()));
        rest = &behind[length..];
    }
    frames
}

/// The rest of an init segment.
const REST: &str = "rest";
/// Whether anybody is there.
const PING: &str = "ping";

/// What each frame is, in a word: what a text says, an init segment, sound, a key frame, another picture.
fn words(answer: &[u8]) -> Vec<String> {
    let word = |(first, payload): &(u8, Vec<u8>)| match (first, payload.get(4..8)) {
        (0x81, _) => {
            let text: serde_json::Value = serde_json::from_slice(payload).unwrap();
            text["codecs"].as_str().or(text["type"].as_str()).unwrap().to_owned()
        }
        (0x82, Some(b"ftyp")) => "init".into(),
        (0x82, Some(b"moof")) if payload[47] == 2 => "sound".into(),
        (0x82, Some(b"moof")) if payload[96..100] == [2, 0, 0, 0] => "key".into(),
        (0x82, Some(b"moof")) => "picture".into(),
        (0x82, _) => REST.into(),
        (0x89, _) => PING.into(),
        (0x88, _) => format!("close {}", u16::from_be_bytes([payload[0], payload[1]])),
        other => panic!("{other:?}"),
    };
    frames(answer).iter().map(word).filter(|word| !["now", REST, PING].contains(&word.as_str())).collect()
}

#[test]
fn who_watches_while_headers_change_is_told_the_codecs_and_goes_on_with_sound_and_at_the_next_key_frame() {
    let mut world = World::new();
    let camera = Camera::new(&mut world);
    camera.picture(&mut world, 0, true);
    camera.sound(&mut world, 5);
    camera.picture(&mut world, 40, false);
    let viewer = Browser::new(&mut world, 1 << 20);
    viewer.send(&mut world, UPGRADE);
    assert_eq!(words(&viewer.read_all(&mut world)), ["avc1.42c028,mp4a.40.2", "init", "key", "sound", "picture"]);
    // The same again is nothing new.
    camera.video_header(&mut world, 60, 40);
    camera.picture(&mut world, 80, false);
    assert_eq!(words(&viewer.read_all(&mut world)), ["picture"]);
    camera.video_header(&mut world, 100, 31);
    camera.picture(&mut world, 120, false);
    camera.sound(&mut world, 130);
    camera.picture(&mut world, 160, true);
    camera.picture(&mut world, 200, false);
    let said = words(&viewer.read_all(&mut world));
    assert_eq!(said, ["avc1.42c01f,mp4a.40.2", "init", "sound", "key", "picture"]);
    world.hang_up(camera.0);
    viewer.hang_up(&mut world);
    super::http::is_empty(&mut world);
}

#[test]
fn a_track_that_comes_late_ends_an_flv_file_and_whoever_comes_again_is_promised_both() {
    let mut world = World::new();
    let publisher = world.publisher("cam");
    let camera = Camera(publisher);
    camera.video_header(&mut world, 0, 40);
    camera.picture(&mut world, 0, true);
    let flags = |world: &mut World| {
        let viewer = Browser::new(world, 1 << 20);
        viewer.get(world, "/live/cam.flv");
        let file = viewer.read_all(world);
        let begin = file.windows(4).position(|bytes| bytes == b"FLV\x01").unwrap();
        (viewer, file[begin + 4])
    };
    let (viewer, promised) = flags(&mut world);
    assert_eq!(promised, 1);
    camera.picture(&mut world, 40, false);
    assert!(!viewer.has_ended(&world));
    camera.audio(&mut world, 60, b"\xAF\0\x11\x90");
    camera.sound(&mut world, 60);
    assert!(viewer.has_ended(&world));
    let (again, promised) = flags(&mut world);
    assert_eq!(promised, 5);
    world.hang_up(publisher);
    again.hang_up(&mut world);
    super::http::is_empty(&mut world);
}

#[test]
fn a_browser_is_told_to_come_again_before_time_stamps_wrap_and_flv_goes_on_over_it() {
    const DAY_MS: u32 = 86_400_000;
    let mut world = World::new();
    let camera = Camera::new(&mut world);
    camera.picture(&mut world, 0, true);
    let mut time = 0;
    let mut pass = |world: &mut World, ms: u32| {
        world.now += u64::from(ms);
        world.settle();
        time += u64::from(ms);
        camera.picture(world, time as u32, true);
    };
    for _ in 0..7 {
        pass(&mut world, 7 * DAY_MS);
    }
    // 2^32 ms are 17 hours more than these 49 days.
    pass(&mut world, 61_367_296 - 70_000);
    let [browser, flv] = [(); 2].map(|()| Browser::new(&mut world, 1 << 20));
    browser.send(&mut world, UPGRADE);
    flv.get(&mut world, "/live/cam.flv");
    assert_eq!(words(&browser.read_all(&mut world)), ["avc1.42c028,mp4a.40.2", "init", "key"]);
    pass(&mut world, 5_000);
    assert_eq!(words(&browser.read_all(&mut world)), ["key"]);
    pass(&mut world, 6_000);
    assert_eq!(words(&browser.read_all(&mut world)), ["close 1000"]);
    browser.send(&mut world, &[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE8]);
    pass(&mut world, 60_000);
    assert!(browser.has_ended(&world) && !flv.has_ended(&world));
    // The new time is one as every other.
    let next = Browser::new(&mut world, 1 << 20);
    next.send(&mut world, UPGRADE);
    assert_eq!(words(&next.read_all(&mut world)), ["avc1.42c028,mp4a.40.2", "init", "key"]);
    world.hang_up(camera.0);
    [flv, next].iter().for_each(|viewer| viewer.hang_up(&mut world));
    super::http::is_empty(&mut world);
}
