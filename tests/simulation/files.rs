//! Recorded files over HTTP: whole and in part, however the client reads and whatever the card does.

use proptest::prelude::*;
use rill::live::app::{AppDefinition, AppKind};
use rill::server::close::CloseReason;

use crate::http::is_empty;
use crate::sim::browser::Browser;
use crate::sim::world::{World, settings};

/// A film of that many bytes, each of which says where it lies.
fn world(bytes: usize) -> (World, Vec<u8>) {
    let vod = AppDefinition::stock(heapless::String::try_from("vod").unwrap(), AppKind::Live);
    let mut world = World::fixed(settings(), vec![vod], 1);
    let film: Vec<u8> = (0..bytes).map(|at| (at ^ at >> 8 ^ at >> 16) as u8).collect();
    world.films.put("vod/film.mp4", film.clone());
    (world, film)
}

/// The head and the body of an answer.
fn parts(answer: &[u8]) -> (String, &[u8]) {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head") + 4;
    (String::from_utf8(answer[..end].to_vec()).unwrap(), &answer[end..])
}

fn ask(world: &mut World, browser: Browser, method: &str, fields: &str) -> Vec<u8> {
    let head = format!("{method} /vod-files/vod/film.mp4 HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    browser.send(world, head.as_bytes());
    let mut answer = Vec::new();
    for _ in 0..200 {
        world.advance(10);
        answer.extend(browser.read_all(world));
    }
    answer
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_part_is_those_bytes_of_the_file(
        bytes in 1_usize..300_000, from in 0_usize..310_000, count in 1_usize..300_000, short in 1_usize..5000, late in 0_u64..30
    ) {
        let (mut world, film) = world(bytes);
        world.films.thread.late_ms = late;
        let browser = Browser::new(&mut world, 50_000);
        world.net.links[browser.0].short = short;
        let range = format!("Range: bytes={from}-{}\r\n", from + count - 1);
        let answer = ask(&mut world, browser, "GET", &range);
        let (head, body) = parts(&answer);
        if from < bytes {
            let end = (from + count).min(bytes);
            prop_assert!(head.starts_with("HTTP/1.1 206 "), "{head}");
            let of = format!("Content-Range: bytes {from}-{}/{bytes}\r\n", end - 1);
            prop_assert!(head.contains(&of), "{head}");
            prop_assert!(body == &film[from..end]);
        } else {
            prop_assert!(head.starts_with("HTTP/1.1 416 "), "{head}");
            let of = format!("Content-Range: bytes */{bytes}\r\n");
            prop_assert!(head.contains(&of), "{head}");
        }
        // The connection goes on behind it.
        let head = String::from_utf8(ask(&mut world, browser, "HEAD", "")).unwrap();
        let length = format!("Content-Length: {bytes}\r\n");
        prop_assert!(head.starts_with("HTTP/1.1 200 ") && head.contains(&length), "{head}");
        browser.hang_up(&mut world);
        is_empty(&mut world);
        prop_assert_eq!(world.films.card().open, 0);
    }

    #[test]
    fn a_card_that_fails_at_any_call_ends_the_answer_and_leaves_nothing_open(fails in 1_u64..12) {
        let (mut world, film) = world(200_000);
        world.films.card().fails = Some((fails, 1));
        let browser = Browser::new(&mut world, 1 << 20);
        let answer = ask(&mut world, browser, "GET", "");
        let (head, body) = parts(&answer);
        match &head[9..12] {
            "200" => prop_assert!(film.starts_with(body) && (body.len() == film.len() || browser.has_ended(&world))),
            status => prop_assert_eq!(status, "403"),
        }
        browser.hang_up(&mut world);
        is_empty(&mut world);
        prop_assert_eq!(world.films.card().open, 0);
    }
}

#[test]
fn a_part_of_another_file_is_not_mixed_with_this_one_and_what_is_there_is_not_sent_again() {
    let (mut world, film) = world(1000);
    let browser = Browser::new(&mut world, 1 << 20);
    let answer = ask(&mut world, browser, "GET", "");
    let (head, body) = parts(&answer);
    assert!(head.contains("Content-Type: video/mp4\r\n") && head.contains("Accept-Ranges: bytes\r\n"), "{head}");
    assert_eq!(body, film);
    let tag = head.lines().find_map(|line| line.strip_prefix("ETag: ")).unwrap().to_owned();
    for (fields, status, bytes) in [
        (format!("Range: bytes=0-9\r\nIf-Range: {tag}\r\n"), "206", 10),
        ("Range: bytes=0-9\r\nIf-Range: \"other\"\r\n".to_owned(), "200", 1000),
        ("Range: bytes=0-9\r\nIf-Range: Sat, 01 Jan 2022 00:00:00 GMT\r\n".to_owned(), "200", 1000),
        ("Range: bytes=-5\r\n".to_owned(), "206", 5),
        ("Range: bytes=0-1,4-5\r\n".to_owned(), "200", 1000),
        (format!("If-None-Match: {tag}\r\n"), "304", 0),
    ] {
        let answer = ask(&mut world, browser, "GET", &fields);
        let (head, body) = parts(&answer);
        assert_eq!((&head[9..12], body.len()), (status, bytes), "{fields}: {head}");
    }
    browser.hang_up(&mut world);
    is_empty(&mut world);
}

#[test]
fn who_leaves_in_the_middle_makes_room_and_one_more_than_may_be_comes_again() {
    let (mut world, _) = world(1_000_000);
    let places = world.server.settings().recorded_players as usize;
    let browsers: Vec<Browser> = (0..=places).map(|_| Browser::new(&mut world, 2000)).collect();
    for browser in &browsers {
        browser.send(&mut world, b"GET /vod-files/vod/film.mp4 HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    world.advance(100);
    let statuses: Vec<String> =
        browsers.iter().map(|browser| String::from_utf8_lossy(&browser.read(&mut world, 500)).into_owned()).collect();
    assert!(statuses[..places].iter().all(|answer| answer.starts_with("HTTP/1.1 200 ")), "{statuses:?}");
    assert!(statuses[places].starts_with("HTTP/1.1 503 ") && statuses[places].contains("Retry-After: "));
    world.net.fin(browsers[0].0);
    browsers[0].hang_up(&mut world);
    browsers[1].hang_up(&mut world);
    world.advance(20_000);
    assert!(world.closed(CloseReason::Stalled) > 0, "who takes nothing makes room, too");
    let late = Browser::new(&mut world, 1 << 21);
    let answer = ask(&mut world, late, "GET", "");
    assert!(parts(&answer).1.len() == 1_000_000);
    browsers.iter().chain([&late]).for_each(|browser| browser.hang_up(&mut world));
    is_empty(&mut world);
    assert_eq!(world.films.card().open, 0);
}

#[test]
fn nothing_else_is_had_than_media_that_is_there() {
    let (mut world, _) = world(10);
    world.films.put("vod/secret.txt", vec![1]);
    let browser = Browser::new(&mut world, 1 << 20);
    for path in [
        "/vod-files/vod/other.mp4",
        "/vod-files/vod/secret.txt",
        "/vod-files/none/film.mp4",
        "/vod-files/vod",
        "/vod-files/",
        "/recordings/vod/a.mp4",
    ] {
        browser.send(&mut world, format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        world.advance(100);
        let answer = browser.read_all(&mut world);
        assert_eq!(&parts(&answer).0[9..12], "404", "{path}");
    }
    browser.hang_up(&mut world);
    is_empty(&mut world);
}
