//! HLS on the fake network: a player reloads its playlist a thousand times, while pictures come irregularly and the publisher comes and
//! goes, and each playlist has to keep the rules of RFC 8216 beside those before it.

use std::collections::BTreeMap;

use rill::live::settings::Settings;
use rill::server::inspect::ClientRow;
use rill::time::Millis;

use crate::sim::Random;
use crate::sim::browser::Browser;
use crate::sim::ledger::Kind::{Audio, Inter, Key};
use crate::sim::world::{World, settings};

/// A playlist of segments, taken apart.
#[derive(Clone, Debug, Default)]
struct List {
    target: u64,
    first: u64,
    cuts: u64,
    segments: Vec<Segment>,
    is_over: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Segment {
    url: String,
    ms: u64,
    map: String,
    is_cut: bool,
    /// When it began by the clock, in milliseconds of the day.
    clock: Option<u64>,
}

impl List {
    fn parse(text: &str) -> List {
        let (mut list, mut next, mut map) = (List::default(), Segment::default(), String::new());
        assert!(text.starts_with("#EXTM3U\n#EXT-X-VERSION:7\n"), "{text}");
        for line in text.lines() {
            let value = line.split_once(':').map_or("", |(_, value)| value);
            let number = || value.parse().unwrap();
            match line.split(':').next().unwrap() {
                "#EXT-X-TARGETDURATION" => list.target = number(),
                "#EXT-X-MEDIA-SEQUENCE" => list.first = number(),
                "#EXT-X-DISCONTINUITY-SEQUENCE" => list.cuts = number(),
                "#EXT-X-DISCONTINUITY" => next.is_cut = true,
                "#EXT-X-MAP" => map = value.split('"').nth(1).unwrap().to_owned(),
                "#EXT-X-PROGRAM-DATE-TIME" => next.clock = Some(of_day(value)),
                "#EXTINF" => {
                    let (seconds, ms) = value.trim_end_matches(',').split_once('.').unwrap();
                    next.ms = seconds.parse::<u64>().unwrap() * 1000 + ms.parse::<u64>().unwrap();
                }
                "#EXT-X-ENDLIST" => list.is_over = true,
                _ if !line.starts_with('#') => {
                    list.segments.push(Segment { url: line.to_owned(), map: map.clone(), ..std::mem::take(&mut next) });
                }
                "#EXTM3U" | "#EXT-X-VERSION" | "#EXT-X-INDEPENDENT-SEGMENTS" => {}
                "#EXT-X-SERVER-CONTROL" => {
                    assert_eq!(value, format!("CAN-BLOCK-RELOAD=YES,HOLD-BACK={}.0", 3 * list.target));
                }
                _ => panic!("{line}"),
            }
        }
        list
    }

    fn ms(&self) -> u64 {
        self.segments.iter().map(|segment| segment.ms).sum()
    }

    fn next(&self) -> u64 {
        self.first + self.segments.len() as u64
    }
}

/// Milliseconds of the day of `2026-01-01T12:00:01.500Z`.
fn of_day(time: &str) -> u64 {
    let (_, time) = time.strip_suffix('Z').unwrap().split_once('T').unwrap();
    let numbers: Vec<u64> = time.split([':', '.']).map(|part| part.parse().unwrap()).collect();
    ((numbers[0] * 60 + numbers[1]) * 60 + numbers[2]) * 1000 + numbers[3]
}

/// A camera whose pictures come irregularly, and which goes on as time does.
struct Camera {
    publisher: usize,
    time: u32,
    key_at: u32,
    random: Random,
}

impl Camera {
    fn new(world: &mut World, seed: u64) -> Camera {
        let publisher = world.publisher("cam");
        world.send_start(publisher);
        Camera { publisher, time: 100, key_at: 1000, random: Random::new(seed) }
    }

    /// A fifth of a second.
    fn go_on(&mut self, world: &mut World) {
        let is_key = self.time >= self.key_at;
        if is_key {
            self.key_at = self.time + 400 + 100 * self.random.below(9) as u32;
        }
        world.send(self.publisher, 1, if is_key { Key } else { Inter }, self.time, 300);
        world.send(self.publisher, 1, Audio, self.time, 60);
        self.time += 200;
        world.advance(200);
    }

    /// Goes, and comes back.
    fn restart(&mut self, world: &mut World) {
        world.hang_up(self.publisher);
        world.advance(700);
        let seed = self.random.below(1000) as u64;
        *self = Camera::new(world, seed);
    }
}

/// One connection that asks for one thing after the other.
struct Client(Browser);

impl Client {
    fn new(world: &mut World) -> Client {
        Client(Browser::new(world, 1 << 20))
    }

    fn ask(&self, world: &mut World, method: &str, path: &str) {
        self.0.send(world, format!("{method} {path} HTTP/1.1\r\nHost: a\r\nUser-Agent: tv\r\n\r\n").as_bytes());
    }

    /// Status and body of an answer, if it has come.
    fn answer(&self, world: &mut World) -> Option<(u16, String)> {
        let bytes = self.0.read_all(world);
        if bytes.is_empty() {
            return None;
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head[9..12].parse().unwrap();
        let mut whole = String::new();
        if head.contains("chunked") {
            let mut rest = body;
            while let Some((size, behind)) = rest.split_once("\r\n") {
                let size = usize::from_str_radix(size, 16).unwrap();
                whole += &behind[..size];
                rest = behind.get(size + 2..).unwrap_or_default();
            }
        } else {
            whole += body;
        }
        Some((status, whole))
    }

    fn get(&self, world: &mut World, path: &str) -> (u16, String) {
        self.ask(world, "GET", path);
        self.answer(world).unwrap_or_else(|| panic!("{path} is not answered"))
    }

    /// The address of the playlist of segments, when it is there.
    fn media(&self, world: &mut World, camera: &mut Camera) -> String {
        self.ask(world, "GET", "/live/cam.m3u8");
        loop {
            if let Some((status, index)) = self.answer(world) {
                assert_eq!(status, 200, "{index}");
                return format!("/live/{}", index.lines().last().unwrap());
            }
            camera.go_on(world);
        }
    }
}

fn viewers(world: &World) -> Vec<ClientRow<'_>> {
    let rows = std::iter::successors(world.server.next_client(0, Millis(world.now)), |row| {
        world.server.next_client(row.id.slot.at() + 1, Millis(world.now))
    });
    rows.filter(|row| row.speaks == "hls").collect()
}

fn world() -> World {
    World::with(Settings { unpublish_grace_ms: 3000, ..settings() }, 1)
}

#[test]
fn a_board_that_does_not_know_the_time_names_none() {
    for (started_ms, names_it) in [(None, false), (Some(1_767_268_800_000), true)] {
        let mut world = world();
        world.net.started_ms = started_ms;
        let mut camera = Camera::new(&mut world, 5);
        let player = Client::new(&mut world);
        let media = player.media(&mut world, &mut camera);
        let (status, text) = player.get(&mut world, &media);
        assert_eq!(status, 200, "{text}");
        assert_eq!(text.contains("#EXT-X-PROGRAM-DATE-TIME:"), names_it, "{text}");
    }
}

#[test]
fn a_thousand_reloads_keep_the_rules_of_playlists() {
    let mut world = world();
    let mut camera = Camera::new(&mut world, 5);
    let player = Client::new(&mut world);
    let media = player.media(&mut world, &mut camera);
    let folder = media.rsplit_once('/').unwrap().0.to_owned();
    let first = player.get(&mut world, &media);
    let mut before = List::parse(&first.1);
    let mut seen: BTreeMap<u64, Segment> = BTreeMap::new();
    // Segments that have left the list, and until when each has to be there.
    let mut left: Vec<(String, u64)> = Vec::new();
    let (mut longest_list, mut fetched) = (0, 0);
    for reload in 0..1000 {
        let wanted = before.next();
        player.ask(&mut world, "GET", &format!("{media}?_HLS_msn={wanted}"));
        if reload % 97 == 96 {
            camera.restart(&mut world);
        }
        let (status, text) = loop {
            if let Some(answer) = player.answer(&mut world) {
                break answer;
            }
            camera.go_on(&mut world);
        };
        assert_eq!(status, 200, "reload {reload}: {text}");
        let list = List::parse(&text);
        assert!(list.next() > wanted, "it has what was asked for: {text}");
        assert!(list.target == before.target && list.first >= before.first && !list.is_over, "{text}");
        assert!(list.segments.len() >= 3 && (list.first == 0 || list.ms() >= 3000 * list.target), "{text}");
        for (number, segment) in (list.first..).zip(&list.segments) {
            assert!((segment.ms + 500) / 1000 <= list.target && !segment.map.is_empty(), "{text}");
            // Where the list begins it says what is said once.
            let known = seen.entry(number).or_insert_with(|| segment.clone());
            assert_eq!(
                (&known.url, known.ms, &known.map, known.is_cut),
                (&segment.url, segment.ms, &segment.map, segment.is_cut)
            );
            known.clock = known.clock.or(segment.clock);
            assert!(known.clock.is_some() || number > list.first && !segment.is_cut, "the clock is set: {text}");
            assert!(segment.clock.is_none() || segment.clock == known.clock, "{text}");
        }
        // Other headers come where a player begins anew.
        let changes = list.segments.windows(2).filter(|pair| pair[0].map != pair[1].map);
        assert!(changes.into_iter().all(|pair| pair[1].is_cut), "{text}");
        // By the clock one begins where the one before it ends, but for who came back.
        for pair in seen.range(list.first..).map(|(_, segment)| segment).collect::<Vec<_>>().windows(2) {
            if let (Some(one), Some(next)) = (pair[0].clock, pair[1].clock) {
                assert!(next >= one + pair[0].ms && (pair[1].is_cut || next == one + pair[0].ms), "{text}");
            }
        }
        let gone = &before.segments[..(list.first - before.first) as usize];
        assert_eq!(before.cuts + gone.iter().filter(|segment| segment.is_cut).count() as u64, list.cuts, "{text}");
        longest_list = longest_list.max(before.ms());
        left.extend(gone.iter().map(|segment| (segment.url.clone(), world.now + segment.ms + longest_list)));
        left.retain(|(_, until)| *until > world.now);
        if let Some((url, _)) = left.first() {
            fetched += 1;
            let (status, _) = player.get(&mut world, &format!("{folder}/{url}"));
            assert_eq!(status, 200, "{url} has left, and may still be asked for");
        }
        assert_eq!(viewers(&world).len(), 1);
        before = list;
    }
    assert!(fetched > 500 && seen.values().filter(|segment| segment.is_cut).count() >= 9, "{fetched}");

    // Who is not back in time has left for good.
    world.hang_up(camera.publisher);
    world.advance(2500);
    assert!(!player.get(&mut world, &media).1.contains("ENDLIST"));
    player.ask(&mut world, "GET", &format!("{media}?_HLS_msn={}", before.next() + 1));
    world.advance(1000);
    let (_, end) = player.answer(&mut world).unwrap();
    assert!(end.ends_with("#EXT-X-ENDLIST\n"), "{end}");
    world.advance(60_000);
    assert!(viewers(&world).is_empty() && world.server.names().streams().count() == 0);
}

#[test]
fn a_reload_that_waits_in_vain_is_told_so_after_three_target_durations() {
    let mut world = world();
    let mut camera = Camera::new(&mut world, 8);
    let player = Client::new(&mut world);
    let media = player.media(&mut world, &mut camera);
    let list = List::parse(&player.get(&mut world, &media).1);
    // Sound alone is no segment where there were pictures.
    player.ask(&mut world, "GET", &format!("{media}?_HLS_msn={}", list.next() + 1));
    for waited in (0..3000 * list.target).step_by(100) {
        assert!(player.answer(&mut world).is_none(), "after {waited} ms");
        camera.time += 100;
        world.send(camera.publisher, 1, Audio, camera.time, 60);
        world.advance(100);
    }
    world.advance(1000);
    let (status, text) = player.answer(&mut world).unwrap();
    assert!(status == 503 && text.contains("does not come"), "{status} {text}");
    for (query, words) in [
        (format!("_HLS_msn={}", list.next() + 2), "is far ahead"),
        ("_HLS_msn=next".to_owned(), "is a number"),
        ("_HLS_part=0".to_owned(), "without _HLS_msn"),
    ] {
        let (status, text) = player.get(&mut world, &format!("{media}?{query}"));
        assert!(status == 400 && text.contains(words), "{query}: {status} {text}");
    }
}

#[test]
fn another_publish_behind_the_end_of_one_has_a_playlist_of_its_own() {
    let mut world = world();
    let mut camera = Camera::new(&mut world, 1);
    let player = Client::new(&mut world);
    let media = player.media(&mut world, &mut camera);
    world.hang_up(camera.publisher);
    world.advance(2000);
    assert_eq!(player.get(&mut world, &media).0, 200);
    world.advance(1500);
    let mut camera = Camera::new(&mut world, 2);
    let next = player.media(&mut world, &mut camera);
    assert_ne!(media, next);
    let (old, new) = (player.get(&mut world, &media).1, player.get(&mut world, &next).1);
    assert!(old.contains("ENDLIST") && !new.contains("ENDLIST"), "{old}\n{new}");
    let url = List::parse(&old).segments.last().unwrap().url.clone();
    assert_eq!(player.get(&mut world, &format!("{}/{url}", media.rsplit_once('/').unwrap().0)).0, 200);
}

#[test]
fn a_viewer_by_hls_is_a_row_that_can_be_sent_away_and_goes_by_itself() {
    let mut world = world();
    let mut camera = Camera::new(&mut world, 3);
    let player = Client::new(&mut world);
    let media = player.media(&mut world, &mut camera);
    assert!(viewers(&world).is_empty(), "who has asked for no segments yet watches nothing");
    let list = List::parse(&player.get(&mut world, &media).1);
    let url = format!("{}/{}", media.rsplit_once('/').unwrap().0, list.segments[0].url);
    player.get(&mut world, &url);
    let id = {
        let rows = viewers(&world);
        assert_eq!((rows.len(), rows[0].agent, rows[0].app, rows[0].stream.unwrap().1), (1, "tv", "live", "cam"));
        assert_eq!(rows[0].activity.name(), "plays");
        rows[0].id
    };
    let row = world.server.next_stream(0, Millis(world.now)).unwrap();
    assert_eq!((row.viewers.all(), row.viewers.hls), (1, 1));

    assert!(world.server.disconnect(id, Millis(world.now)));
    assert_eq!((player.get(&mut world, &media).0, player.get(&mut world, &url).0), (403, 403));
    for _ in 0..15 * list.target + 3 {
        camera.go_on(&mut world);
    }
    assert!(viewers(&world).is_empty() && !world.server.disconnect(id, Millis(world.now)));
    assert_eq!(player.get(&mut world, &media).0, 200);
    assert_ne!(viewers(&world)[0].id, id);
}

#[test]
fn an_init_segment_can_be_had_as_long_as_a_playlist_names_it_whoever_came_back_with_other_headers() {
    let mut world = world();
    let mut camera = Camera::new(&mut world, 6);
    let player = Client::new(&mut world);
    let media = player.media(&mut world, &mut camera);
    let folder = media.rsplit_once('/').unwrap().0.to_owned();
    let mut inits = BTreeMap::new();
    for _ in 0..3 {
        let mut listed = 0;
        for _ in 0..100 {
            let list = List::parse(&player.get(&mut world, &media).1);
            let mut maps: Vec<String> = list.segments.iter().map(|segment| segment.map.clone()).collect();
            maps.dedup();
            listed = listed.max(maps.len());
            for map in maps {
                let (status, init) = player.get(&mut world, &format!("{folder}/{map}"));
                assert_eq!(status, 200, "{map} is listed");
                assert_eq!(inits.entry(map).or_insert_with(|| init.clone()), &init);
            }
            for segment in &list.segments {
                assert_eq!(player.get(&mut world, &format!("{folder}/{}", segment.url)).0, 200);
            }
            camera.go_on(&mut world);
        }
        assert!(listed == 2 || inits.len() == 1, "{listed}");
        camera.restart(&mut world);
    }
    assert_eq!(inits.len(), 3);
}

#[test]
fn keys_of_a_request_are_in_every_url_of_its_playlists() {
    let mut world = world();
    let mut camera = Camera::new(&mut world, 4);
    let player = Client::new(&mut world);
    let media = player.media(&mut world, &mut camera);
    let key = "?key=s3cret&token=a%22b&e=12&s=a-_b";
    let index = player.get(&mut world, &format!("/live/cam/hls/index.m3u8{key}&x=1")).1;
    assert!(index.ends_with(&format!(".m3u8{key}\n")), "{index}");
    let list =
        List::parse(&player.get(&mut world, &format!("{media}?_HLS_msn=0&key=s3cret&token=a%22b&e=12&s=a-_b")).1);
    assert!(list.segments.iter().all(|segment| segment.url.ends_with(key) && segment.map.ends_with(key)), "{list:?}");
    let long = "k".repeat(370);
    let list = List::parse(&player.get(&mut world, &format!("{media}?key={long}")).1);
    assert!(list.segments.len() >= 3 && list.segments.iter().all(|segment| segment.url.ends_with(&long)), "{list:?}");
    let list = player.get(&mut world, &format!("{media}?key=a\"b")).1;
    assert!(!list.contains("a\"b"), "{list}");
}

#[test]
fn who_sends_a_key_frame_each_ten_seconds_hears_what_would_help() {
    let mut world = world();
    let publisher = world.publisher("cam");
    world.send_start(publisher);
    let player = Client::new(&mut world);
    player.ask(&mut world, "GET", "/live/cam.m3u8");
    let mut answers = Vec::new();
    for i in 1..250_u32 {
        // Ten seconds of it are most of what the ring holds.
        world.send(publisher, 1, if i.is_multiple_of(50) { Key } else { Inter }, i * 200, 800);
        world.advance(200);
        if let Some((status, text)) = player.answer(&mut world) {
            assert_eq!(status, 503);
            answers.push((i / 5, text));
            player.ask(&mut world, "GET", "/live/cam.m3u8");
        }
    }
    // First it is waited for, as long as players do; then it is known that waiting does not help.
    assert!(answers[0].0 == 12 && answers[0].1.contains("key frame every second"), "{answers:?}");
    let last = &answers.last().unwrap().1;
    assert!(last.contains("HLS needs 5") && last.contains("limits.ring_bytes = \"1 MiB\""), "{last}");
}
