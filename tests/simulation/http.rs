//! HTTP on the fake network: requests cut at every byte, viewers that are slow or stay, and deadlines.

use proptest::prelude::*;
use rill::limits::{NAMES_PER_RING, TX_BYTES};
use rill::live::app::{AddressList, AppDefinition, AppKind, Networks};
use rill::live::settings::{PerAddress, Settings};
use rill::server::close::CloseReason;
use rill::wire::flv::{SUB_TAG_HEADER_BYTES, SUB_TAG_TRAILER_BYTES, SubTagHeader};

use crate::sim::browser::Browser;
use crate::sim::ledger::Kind::{Audio, Inter, Key};
use crate::sim::world::{World, settings};

/// Splits what came into head and body.
fn parts(answer: &[u8]) -> (&str, &[u8]) {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head") + 4;
    (std::str::from_utf8(&answer[..end]).unwrap(), &answer[end..])
}

fn status(answer: &[u8]) -> u16 {
    let head = parts(answer).0;
    let status = head.strip_prefix("HTTP/1.1 ").unwrap()[..3].parse().unwrap();
    // Who may come again is told when, and nobody else.
    assert_eq!(head.contains("\r\nRetry-After: "), matches!(status, 429 | 503), "{head}");
    status
}

/// The tags of an FLV file, whole ones and nothing else: type, time, first payload byte.
fn tags(file: &[u8]) -> Vec<(u8, u32, u8)> {
    assert_eq!(file[..4], *b"FLV\x01");
    assert_eq!(file[4] & !5, 0);
    let (mut rest, mut tags) = (&file[9 + SUB_TAG_TRAILER_BYTES..], Vec::new());
    while let Some(header) = rest.first_chunk::<SUB_TAG_HEADER_BYTES>() {
        let header = SubTagHeader::parse(header);
        let length = header.length as usize;
        tags.push((header.message_type, header.timestamp_ms, rest[SUB_TAG_HEADER_BYTES]));
        let trailer = &rest[SUB_TAG_HEADER_BYTES + length..][..SUB_TAG_TRAILER_BYTES];
        assert_eq!(trailer, (header.length + SUB_TAG_HEADER_BYTES as u32).to_be_bytes());
        rest = &rest[SUB_TAG_HEADER_BYTES + length + SUB_TAG_TRAILER_BYTES..];
    }
    assert!(rest.is_empty(), "half a tag");
    tags
}

/// Nothing is left of anybody.
pub fn is_empty(world: &mut World) {
    world.advance(30_000);
    assert_eq!((world.server.slots().taken(), world.server.slots().joined()), (0, 0));
    assert!(world.server.apps().iter().all(|(_, app)| app.connected == 0));
    let counters = world.server.counters();
    assert_eq!(counters.accepted, counters.closed.iter().sum::<u64>());
    assert_eq!((counters.bytes_in, counters.bytes_out), (world.net.bytes_read, world.net.bytes_written));
    assert_eq!(world.server.waiting(), 0);
}

/// Whoever takes all that it is given at once is given four times what a connection's buffer holds in a turn, however long the list is.
#[test]
fn a_list_of_whatever_length_holds_up_no_turn() {
    /// The head goes before them.
    const MOST: usize = 5 * TX_BYTES;
    let (streams, players) = (24, 100);
    let settings = Settings { streams, connections: 400, connections_per_address: PerAddress::Fixed(0), ..settings() };
    let mut world = World::with(settings, 1);
    for at in 0..streams {
        // Every name that there may be, each as long as it may be.
        let publisher = world.publisher(&format!("{at:0>180}"));
        world.send_start(publisher);
        for waited in 1..NAMES_PER_RING {
            world.player(&format!("{waited}{at:0>180}"));
        }
    }
    for _ in 0..players {
        world.player(&format!("{:0>180}", 0));
    }
    for (path, least) in [
        ("/metrics", 100_000),
        ("/stat", 40_000),
        ("/v3/paths/list", 20_000),
        ("/v3/rtmpconns/list", 40_000),
        ("/api/status", 20_000),
        ("/api/streams", 20_000),
        ("/api/clients", 40_000),
        ("/api/limits", 7_000),
    ] {
        let browser = Browser::new(&mut world, 4 << 20);
        world.net.send(browser.0, format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes());
        let (mut turns, mut all) = (0, Vec::new());
        while !browser.has_ended(&world) {
            world.step();
            let came: Vec<u8> = world.net.links[browser.0].to_client.drain(..).collect();
            assert!(came.len() <= MOST, "{path}: {} bytes in one turn", came.len());
            turns += usize::from(!came.is_empty());
            all.extend(came);
        }
        assert_eq!(status(&all), 200, "{path}");
        assert!(all.len() >= least && turns >= all.len() / MOST, "{path}: {} bytes in {turns} turns", all.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn answers_are_the_same_in_reads_and_writes_of_any_lengths(short in 1_usize..80, cut in 1_usize..60, window in 1_usize..3000) {
        let requests = "GET /version HTTP/1.1\r\nHost: a\r\n\r\nPOST /version HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc\
                        GET /routes HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\n\
                        GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let mut whole = World::new();
        let browser = Browser::new(&mut whole, 1 << 20);
        browser.send(&mut whole, requests.as_bytes());
        let expected = browser.read_all(&mut whole);
        prop_assert!(browser.has_ended(&whole));

        let mut world = World::new();
        let browser = Browser::new(&mut world, window);
        world.net.links[browser.0].short = short;
        let mut answers = Vec::new();
        for piece in requests.as_bytes().chunks(cut) {
            browser.send(&mut world, piece);
            answers.extend(browser.read_all(&mut world));
        }
        prop_assert_eq!(String::from_utf8_lossy(&answers), String::from_utf8_lossy(&expected));
        prop_assert!(browser.has_ended(&world));
        is_empty(&mut world);
    }

    #[test]
    fn a_viewer_is_sent_whole_tags_however_it_reads(short in 0_usize..200, reads in 1_usize..3000, window in 200_usize..5000) {
        let (mut world, publisher) = World::live();
        let browser = Browser::new(&mut world, window);
        world.net.links[browser.0].short = short;
        browser.get(&mut world, "/live/cam.flv");
        let mut file = Vec::new();
        for i in 0..60_u32 {
            world.send(publisher, 1, [Key, Audio, Inter][(i % 3) as usize], 100 + i * 40, 700);
            world.advance(40);
            file.extend(browser.read(&mut world, reads));
        }
        world.hang_up(publisher);
        world.settle();
        file.extend(browser.read_all(&mut world));
        world.advance(100);
        file.extend(browser.read_all(&mut world));
        prop_assert!(browser.has_ended(&world));
        let (_, body) = parts(&file);
        let found = tags(body);
        prop_assert!(found.len() > 3);
        // Time does not go back, but for what is kept of data.
        let times: Vec<u32> = found.iter().filter(|tag| tag.0 != 18).map(|tag| tag.1).collect();
        prop_assert!(times.is_sorted(), "{times:?}");
        is_empty(&mut world);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn viewers_who_watch_together_are_sent_the_same_however_each_reads(
        viewers in prop::collection::vec((0_usize..200, 500_usize..5000, any::<bool>()), 2..7),
        ends in 0_usize..60,
    ) {
        let (mut world, publisher) = World::live();
        let viewers: Vec<(Browser, usize, bool)> = viewers.into_iter().map(|(short, reads, is_chunked)| {
            let browser = Browser::new(&mut world, 1 << 16);
            world.net.links[browser.0].short = short;
            match is_chunked {
                true => browser.send(&mut world, b"GET /live/cam.flv HTTP/1.1\r\nHost: a\r\n\r\n"),
                false => browser.get(&mut world, "/live/cam.flv"),
            }
            (browser, reads, is_chunked)
        }).collect();
        // Players over RTMP stand between them in the table.
        let player = world.player("cam");
        let mut files = vec![Vec::new(); viewers.len()];
        for i in 0..60_usize {
            world.send(publisher, 1, [Key, Audio, Inter][i % 3], 100 + i as u32 * 40, 300);
            world.advance(40);
            for ((browser, reads, _), file) in viewers.iter().zip(&mut files) {
                file.extend(browser.read(&mut world, *reads));
            }
            if i == ends {
                viewers[0].0.hang_up(&mut world);
            }
        }
        world.heard(player);
        world.hang_up(player);
        world.hang_up(publisher);
        for _ in 0..3 {
            world.advance(100);
            for ((browser, ..), file) in viewers.iter().zip(&mut files) {
                file.extend(browser.read_all(&mut world));
            }
        }
        let mut whole: Option<Vec<(u8, u32, u8)>> = None;
        for ((browser, _, is_chunked), file) in viewers.iter().zip(&files).skip(1) {
            prop_assert!(browser.has_ended(&world));
            let body = parts(file).1;
            let found = tags(&if *is_chunked { unchunked(body) } else { body.to_vec() });
            prop_assert_eq!(&found, whole.get_or_insert_with(|| found.clone()));
        }
        prop_assert_eq!(world.server.counters().skips, 0);
        is_empty(&mut world);
    }
}

/// What chunks hold, up to the last (RFC 9112, section 7.1).
fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let line = body.windows(2).position(|bytes| bytes == b"\r\n").expect("a line");
        let length = usize::from_str_radix(std::str::from_utf8(&body[..line]).unwrap(), 16).unwrap();
        let (chunk, rest) = body[line + 2..].split_at(length);
        whole.extend(chunk);
        body = rest.strip_prefix(b"\r\n").expect("the end of a chunk");
        if length == 0 {
            assert!(body.is_empty());
            return whole;
        }
    }
}

#[test]
fn a_websocket_that_closes_within_a_message_is_sent_the_rest_of_it_and_then_the_close() {
    let (mut world, publisher) = World::live();
    let browser = Browser::new(&mut world, 600);
    browser.send(
        &mut world,
        b"GET /live/cam.flv HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
          Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    world.send(publisher, 1, Key, 200, 5000);
    world.advance(20);
    browser.send(&mut world, &[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE8]);
    let mut answer = Vec::new();
    for _ in 0..60 {
        answer.extend(browser.read(&mut world, 300));
        world.advance(10);
    }
    assert!(browser.has_ended(&world));
    let mut frames = parts(&answer).1;
    let mut last = (0, &[][..]);
    while let [first, length, rest @ ..] = frames {
        let (length, rest) = match length {
            126 => (usize::from(u16::from_be_bytes([rest[0], rest[1]])), &rest[2..]),
            short => (usize::from(*short), rest),
        };
        assert!(rest.len() >= length, "a message is cut off");
        (last, frames) = ((*first, &rest[..length]), &rest[length..]);
    }
    assert_eq!(last, (0x88, &[0x03, 0xE8][..]));
    assert_eq!(world.closed(CloseReason::PeerClosed), 1);
    world.hang_up(publisher);
    is_empty(&mut world);
}

#[test]
fn a_slow_viewer_goes_on_at_a_key_frame_and_one_that_takes_nothing_is_closed() {
    let (mut world, publisher) = World::live();
    let (slow, dead) = (Browser::new(&mut world, 4000), Browser::new(&mut world, 4000));
    slow.get(&mut world, "/live/cam.flv");
    dead.get(&mut world, "/live/cam.flv");
    let mut file = Vec::new();
    for i in 0..100_u32 {
        world.send(publisher, 1, if i % 10 == 0 { Key } else { Inter }, 100 + i * 100, 1000);
        world.advance(100);
        file.extend(slow.read(&mut world, 400));
    }
    assert!(world.server.counters().skips > 0);
    assert_eq!(world.closed(CloseReason::Stalled), 1);
    assert!(dead.has_ended(&world) && !slow.has_ended(&world));
    for _ in 0..20 {
        world.advance(10);
        file.extend(slow.read_all(&mut world));
    }
    let found = tags(parts(&file).1);
    assert!(found.last().unwrap().1 > 9500, "it is at the live edge: {:?}", found.last());
    slow.hang_up(&mut world);
    world.hang_up(publisher);
    is_empty(&mut world);
}

#[test]
fn a_viewer_stays_over_a_republish_and_hears_the_end_when_nobody_is_back_in_time() {
    let mut world = World::with(Settings { unpublish_grace_ms: 5000, ..settings() }, 1);
    let first = world.publisher("cam");
    world.send_start(first);
    let browser = Browser::new(&mut world, 1 << 20);
    browser.get(&mut world, "/live/cam.flv");
    world.hang_up(first);
    world.advance(2000);
    assert!(!browser.has_ended(&world));
    let second = world.publisher("cam");
    world.send_start(second);
    world.send_all(second, 100, &[Inter, Audio]);
    let before = browser.read_all(&mut world);
    assert_eq!(
        tags(parts(&before).1).iter().filter(|tag| tag.0 == 9).count(),
        5,
        "two headers, two key frames, one more"
    );
    world.hang_up(second);
    world.advance(4000);
    assert!(!browser.has_ended(&world));
    world.advance(2000);
    assert!(browser.has_ended(&world));
    is_empty(&mut world);
}

#[test]
fn a_viewer_may_begin_in_the_past_and_stays_as_far_behind() {
    let (mut world, publisher) = World::live();
    let send = |world: &mut World, i: u32| {
        world.send(publisher, 1, if i.is_multiple_of(10) { Key } else { Inter }, 100 + i * 100, 300);
        world.advance(100);
    };
    for i in 0..100 {
        send(&mut world, i);
    }
    let times =
        |bytes: &[u8]| tags(parts(bytes).1).iter().filter(|tag| tag.0 == 9).map(|tag| tag.1).collect::<Vec<_>>();
    let (shifted, oldest, live) =
        (Browser::new(&mut world, 1 << 20), Browser::new(&mut world, 1 << 20), Browser::new(&mut world, 1 << 20));
    shifted.get(&mut world, "/live/cam.flv?back_ms=4500");
    oldest.get(&mut world, "/live/cam.flv?back_ms=4000000000");
    live.get(&mut world, "/live/cam.flv?back_ms=0");
    let mut file = shifted.read_all(&mut world);
    // At the key frame before it, with a second to hold.
    let begin = times(&file);
    assert!((4500..=5600).contains(&begin[0]) && (5500..=6700).contains(begin.last().unwrap()), "{begin:?}");
    assert!(times(&oldest.read_all(&mut world))[0] < 200);
    assert!(times(&live.read_all(&mut world))[0] > 8000);
    for i in 100..130 {
        send(&mut world, i);
        file.extend(shifted.read_all(&mut world));
    }
    let later = times(&file);
    assert!(later.is_sorted() && (8400..=9700).contains(later.last().unwrap()), "{later:?}");
    assert_eq!(world.server.counters().skips, 0);
    [shifted, oldest, live].iter().for_each(|viewer| viewer.hang_up(&mut world));
    world.hang_up(publisher);
    is_empty(&mut world);
}

#[test]
fn a_head_that_is_slow_is_answered_408_and_a_connection_without_one_ends() {
    let mut world = World::new();
    let (slow, silent) = (Browser::new(&mut world, 1 << 20), Browser::new(&mut world, 1 << 20));
    slow.send(&mut world, b"GET / HT");
    let mut answer = Vec::new();
    for byte in b"TP/1.1\r\nX: aaaaaaaaaaaaaaaaaaaaaaa" {
        world.advance(400);
        answer.extend(slow.read_all(&mut world));
        if slow.has_ended(&world) {
            break;
        }
        world.net.send(slow.0, &[*byte]);
    }
    assert_eq!(status(&answer), 408);
    assert!((5000..6000).contains(&world.now), "{} ms", world.now);
    assert_eq!(world.closed(CloseReason::RequestTimeout), 1);
    assert!(!silent.has_ended(&world));
    world.advance(11_000);
    assert!(silent.has_ended(&world));
    assert_eq!(silent.read_all(&mut world), b"");
    is_empty(&mut world);
}

#[test]
fn every_refusal_has_its_status() {
    let [open, mut closed] =
        ["live", "closed"].map(|name| AppDefinition::stock(heapless::String::try_from(name).unwrap(), AppKind::Live));
    closed.rules.set_play(AddressList::parse(["deny 10.0.1.0/24"]).unwrap());
    let mut world = World::fixed(settings(), vec![open, closed], 1);
    let publisher = world.publisher("cam");
    world.send_start(publisher);
    let get = |path: &str, fields: &str| format!("GET {path} HTTP/1.1\r\nHost: 10.0.0.5\r\n{fields}\r\n");
    let socket = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (request, expected) in [
        (get("/", "").replace(" / ", " /../ "), 400),
        (get("/healthz", "Host: b\r\n"), 400),
        (get("/healthz", "Content-Length: 1\r\nContent-Length: 1\r\n"), 400),
        (get("/healthz", " folded\r\n"), 400),
        (get("/healthz", "X: a\rb\r\n"), 400),
        (get("/healthz", "X: a\0b\r\n"), 400),
        (get("/live/cam.m3u8/../cam.flv", ""), 400),
        (get("/closed/cam.flv", ""), 403),
        (get("/nothing", ""), 404),
        (get("/live/cam/hls/00000000-1.m4s", ""), 404),
        (get("/version", "").replace("GET", "DELETE"), 405),
        (get("/live/cam.flv", "Content-Length: 0\r\n").replace("GET", "POST"), 405),
        (get("/version", "Content-Length: 1025\r\n"), 413),
        (get(&format!("/{}", "a".repeat(1000)), ""), 414),
        (get(&format!("/?{}", "a".repeat(1000)), ""), 414),
        (get("/api/status", "").replace("10.0.0.5", "evil.example"), 421),
        (get("/live/cam.flv", &format!("{socket}Sec-WebSocket-Version: 8\r\n")), 426),
        (get("/version", &format!("X: {}\r\n", "a".repeat(4096))), 431),
        (get("/version", &"X: a\r\n".repeat(33)), 431),
        (get("/version", "").replace("GET", "BREW"), 501),
        (get("/version", "Transfer-Encoding: chunked\r\n"), 501),
        (get("/version", "").replace("1.1", "2.0"), 505),
    ] {
        let browser = Browser::new(&mut world, 1 << 20);
        browser.send(&mut world, request.as_bytes());
        assert_eq!(status(&browser.read_all(&mut world)), expected, "{request}");
        // Of what was no request nothing can be said of where the next one begins.
        let is_a_request = matches!(expected, 403..=405 | 421);
        assert_eq!(browser.has_ended(&world), !is_a_request, "{request}");
        browser.hang_up(&mut world);
    }
    world.hang_up(publisher);
    is_empty(&mut world);
}

#[test]
fn an_answer_that_is_taken_too_slowly_ends() {
    let mut world = World::new();
    let slow = Browser::new(&mut world, 8);
    slow.send(&mut world, b"GET /routes HTTP/1.1\r\nHost: a\r\n\r\n");
    for _ in 0..60 {
        world.advance(1000);
        slow.read(&mut world, 4);
    }
    assert!(slow.has_ended(&world));
    assert_eq!(world.closed(CloseReason::SlowReader), 1);
    is_empty(&mut world);
}

#[test]
fn connections_that_ask_nothing_keep_no_encoder_and_no_viewer_out() {
    let mut world = World::new();
    let count = world.server.slots().client_count();
    let idle: Vec<Browser> = (0..count).map(|_| Browser::new(&mut world, 1 << 20)).collect();
    world.settle();
    assert_eq!(world.server.slots().taken(), count);
    let publisher = world.publisher("cam");
    world.send_start(publisher);
    let viewer = Browser::new(&mut world, 1 << 20);
    viewer.get(&mut world, "/live/cam.flv");
    assert_eq!(status(&viewer.read_all(&mut world)), 200);
    assert!(idle.iter().filter(|browser| browser.has_ended(&world)).count() >= 2);
    viewer.hang_up(&mut world);
    world.hang_up(publisher);
    is_empty(&mut world);
}

#[test]
fn a_viewer_counts_against_the_limit_of_connections_and_the_operator_can_send_it_away() {
    let (mut world, publisher) = World::live();
    let viewers: Vec<Browser> = (0..16)
        .map(|_| {
            let browser = Browser::new(&mut world, 1 << 20);
            browser.get(&mut world, "/live/cam.flv");
            browser
        })
        .collect();
    let answers: Vec<u16> = viewers.iter().map(|viewer| status(&viewer.read_all(&mut world))).collect();
    assert!(answers.iter().all(|&status| status == 200), "{answers:?}");
    world.send_all(publisher, 200, &[Inter]);
    let late = Browser::new(&mut world, 1 << 20);
    late.get(&mut world, "/live/cam.flv");
    assert_eq!(status(&late.read_all(&mut world)), 503);
    let row = (0..).find_map(|from| {
        let row = world.server.next_client(from, rill::time::Millis(world.now))?;
        Some((row.id, row.speaks, row.activity.name()))
    });
    assert!(row.is_some());
    let id = rill::handles::SlotIndex(row.unwrap().0.slot.0 + 1);
    let conn = world.server.slots().id(id);
    assert!(world.server.disconnect(conn, rill::time::Millis(world.now)));
    world.settle();
    assert_eq!(world.closed(CloseReason::Operator), 1);
    assert_eq!(viewers.iter().filter(|viewer| viewer.has_ended(&world)).count(), 1);
    viewers.iter().for_each(|viewer| viewer.hang_up(&mut world));
    world.hang_up(publisher);
    is_empty(&mut world);
}

#[test]
fn whom_a_trusted_proxy_asks_for_is_who_rules_and_limits_see_and_nobody_else_is_believed() {
    let settings = Settings {
        web_proxies: Networks::parse(&["10.0.1.0/24"]).unwrap(),
        connections_per_address: PerAddress::Fixed(2),
        ..settings()
    };
    let mut live = AppDefinition::stock(heapless::String::try_from("live").unwrap(), AppKind::Live);
    live.rules.set_play(AddressList::parse(["deny 203.0.113.9"]).unwrap());
    for (trusted, answers) in [(true, [200, 403, 200, 403, 200]), (false, [200; 5])] {
        let settings = match trusted {
            true => settings.clone(),
            false => Settings {
                web_proxies: Networks::default(),
                connections_per_address: PerAddress::Auto,
                ..settings.clone()
            },
        };
        let mut world = World::fixed(settings, vec![live.clone()], 1);
        let publisher = world.publisher("cam");
        world.send_start(publisher);
        let proxy = Browser::new(&mut world, 1 << 20);
        let forwarded =
            ["203.0.113.8", "203.0.113.9", "203.0.113.9, 203.0.113.8", "1.1.1.1, 203.0.113.9, 10.0.1.7", "x"];
        for (whom, status_of) in forwarded.into_iter().zip(answers) {
            let head = format!("HEAD /live/cam.flv HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {whom}\r\n\r\n");
            proxy.send(&mut world, head.as_bytes());
            assert_eq!(status(&proxy.read_all(&mut world)), status_of, "{trusted} {whom}");
        }
        if trusted {
            // A client has as many as it may have, and the proxy as many as it needs.
            let viewers: Vec<Browser> = (0..4).map(|_| Browser::new(&mut world, 1 << 20)).collect();
            let heads = viewers.iter().enumerate().map(|(at, viewer)| {
                let whom = if at < 3 { "203.0.113.7" } else { "203.0.113.6" };
                let head = format!("HEAD /live/cam.flv HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {whom}\r\n\r\n");
                viewer.send(&mut world, head.as_bytes());
                status(&viewer.read_all(&mut world))
            });
            assert_eq!(heads.collect::<Vec<u16>>(), [200, 200, 429, 200]);
            viewers.iter().for_each(|viewer| viewer.hang_up(&mut world));
        }
        proxy.hang_up(&mut world);
        world.hang_up(publisher);
        is_empty(&mut world);
    }
}
