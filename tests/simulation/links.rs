//! Signed links over every protocol: what they open, until when, and what those hear who have none that is good.

use rill::live::app::{AppDefinition, AppKind};
use rill::live::links::{Deed, LinkEnd, LinkRules, SignKey, linked};

use crate::http::is_empty;
use crate::sim::browser::Browser;
use crate::sim::ledger::Kind::{Inter, Key};
use crate::sim::world::{World, settings};

/// What the fake clock shows at the start, in seconds.
const START_S: u64 = 1_767_268_800;
const MISSING: &str = "This application needs a signed link.";
const FORGED: &str = "The link is not signed for this stream";
const EXPIRED: &str = "The link has expired.";
const NO_CLOCK: &str = "this server's clock is not set";
const OTHER_START: &str = "The link counts from another start";

fn key() -> SignKey {
    SignKey::parse("0123456789abcdef").unwrap()
}

/// In `live` nothing goes without a link; in `keyed` a key does as well.
fn world() -> World {
    let app = |name: &str, needed: bool| AppDefinition {
        links: LinkRules { key: Some(key()), play: needed, publish: needed },
        ..AppDefinition::stock(heapless::String::try_from(name).unwrap(), AppKind::Live)
    };
    let mut keyed = app("keyed", false);
    keyed.rules.add_key("cam", "s3cret").unwrap();
    keyed.rules.set_play_key("v1ew").unwrap();
    World::fixed(settings(), vec![app("live", true), keyed, app("open", false)], 1)
}

fn link(deed: Deed, url: &str, stream: [&str; 2], seconds: u64) -> String {
    linked(url, &key(), deed, stream, LinkEnd::At(START_S + seconds))
}

/// What a client is told who publishes that; empty when it may.
fn publish(world: &mut World, app: &str, name: &str) -> (usize, String) {
    publish_as(world, app, name, name)
}

/// The same, where the stream is called otherwise for everybody.
fn publish_as(world: &mut World, app: &str, name: &str, known_as: &str) -> (usize, String) {
    let c = world.join_at(app);
    world.clients[c].known_as = known_as.split('?').next().map(str::to_owned);
    world.clients[c].create_stream();
    world.clients[c].publish(1, name);
    world.settle();
    let is_refused = world.clients[c].log.iter().any(|line| line.contains("Publish.BadName"));
    (c, if is_refused { std::mem::take(&mut world.clients[c].description) } else { String::new() })
}

fn play(world: &mut World, app: &str, name: &str) -> (usize, String) {
    let c = world.join_at(app);
    world.clients[c].known_as = name.split('?').next().map(str::to_owned);
    world.clients[c].create_stream();
    world.clients[c].play(1, name);
    world.settle();
    let is_refused = world.clients[c].log.iter().any(|line| line.contains("Play.Failed"));
    (c, if is_refused { std::mem::take(&mut world.clients[c].description) } else { String::new() })
}

/// The status and all of the answer.
fn get(world: &mut World, path: &str) -> (u16, String) {
    let browser = Browser::new(world, 1 << 20);
    browser.get(world, path);
    let answer = String::from_utf8_lossy(&browser.read_all(world)).into_owned();
    browser.hang_up(world);
    (answer[9..12].parse().unwrap(), answer)
}

#[test]
fn a_link_publishes_and_plays_its_stream_over_every_protocol_until_it_expires() {
    let mut world = world();
    let (publisher, refused) = publish(&mut world, "live", &link(Deed::Publish, "cam", ["live", "cam"], 5));
    assert_eq!(refused, "");
    world.send_start(publisher);
    let good = link(Deed::Play, "cam", ["live", "cam"], 5);
    let (player, refused) = play(&mut world, "live", &good);
    assert_eq!(refused, "");
    let (_, query) = good.split_once('?').unwrap();
    let forged = query.replace("e=1", "e=2");
    let publishes = link(Deed::Publish, "", ["live", "cam"], 5);
    let other = link(Deed::Play, "", ["live", "cam2"], 5);
    let paths = ["/live/cam.flv", "/live/cam.mp4", "/live/cam.key.mp4"];
    for path in paths {
        assert_eq!(get(&mut world, &format!("{path}?{query}")).0, 200, "{path}");
    }
    for path in paths.into_iter().chain(["/live/cam.m3u8", "/live/cam/hls/index.m3u8"]) {
        for (query, words) in [("", MISSING), (&forged, FORGED), (&publishes[1..], FORGED), (&other[1..], FORGED)] {
            let (status, answer) = get(&mut world, &format!("{path}?{query}"));
            assert!(status == 403 && answer.contains(words), "{path} {query}: {answer}");
        }
    }
    for (name, words) in [("cam", MISSING), (&*format!("cam?{forged}"), FORGED), (&*format!("cam{publishes}"), FORGED)]
    {
        assert!(play(&mut world, "live", name).1.contains(words), "{name}");
    }
    for name in ["door", &good.replace("cam?", "door?"), &link(Deed::Publish, "door", ["open", "door"], 5)] {
        let words = if name == "door" { MISSING } else { FORGED };
        assert!(publish(&mut world, "live", name).1.contains(words), "{name}");
    }
    world.advance(5000);
    for path in paths {
        let (status, answer) = get(&mut world, &format!("{path}?{query}"));
        assert!(status == 403 && answer.contains(EXPIRED), "{path}: {answer}");
    }
    assert!(play(&mut world, "live", &good).1.contains(EXPIRED));
    let before = world.clients[player].media_bytes;
    world.send_all(publisher, 200, &[Key, Inter]);
    assert!(world.clients[player].media_bytes > before, "who has begun goes on");
}

#[test]
fn a_link_serves_in_place_of_a_key_and_is_not_asked_for_where_nothing_is_needed() {
    let mut world = world();
    let publishes = |seconds| link(Deed::Publish, "cam", ["keyed", "cam"], seconds);
    let (first, refused) = publish(&mut world, "keyed", &publishes(5));
    assert_eq!(refused, "");
    world.hang_up(first);
    world.settle();
    let (second, refused) = publish_as(&mut world, "keyed", "s3cret", "cam");
    assert_eq!(refused, "");
    world.send_start(second);
    let plays = |seconds| link(Deed::Play, "cam", ["keyed", "cam"], seconds);
    assert_eq!(play(&mut world, "keyed", "cam?key=v1ew").1, "");
    assert_eq!(play(&mut world, "keyed", &plays(5)).1, "");
    assert_eq!(play(&mut world, "keyed", &format!("{}&key=v1ew", plays(0))).1, "", "the key alone is enough");
    assert!(play(&mut world, "keyed", "cam").1.contains("needs a key to play"));
    assert!(play(&mut world, "keyed", &plays(0)).1.contains(EXPIRED));
    assert!(publish(&mut world, "keyed", "door").1.contains("needs a stream key"));
    assert!(publish(&mut world, "keyed", &publishes(0)).1.contains(EXPIRED));
    assert_eq!(publish(&mut world, "open", "cam?e=1&s=x").1, "");
}

#[test]
fn a_board_without_a_clock_takes_links_that_count_from_its_start_and_says_so_of_others() {
    let mut world = world();
    (world.net.started_ms, world.net.machine) = (None, Some((59_000, 7)));
    let by_start =
        |minutes, start| linked("cam", &key(), Deed::Publish, ["live", "cam"], LinkEnd::AfterStart { minutes, start });
    world.advance(500);
    assert!(publish(&mut world, "live", &link(Deed::Publish, "cam", ["live", "cam"], 5)).1.contains(NO_CLOCK));
    assert!(publish(&mut world, "live", &by_start(1, 8)).1.contains(OTHER_START));
    let (publisher, refused) = publish(&mut world, "live", &by_start(1, 7));
    assert_eq!(refused, "");
    world.hang_up(publisher);
    world.advance(1000);
    assert!(publish(&mut world, "live", &by_start(1, 7)).1.contains(EXPIRED), "a minute is over");
    assert_eq!(publish(&mut world, "live", &by_start(2, 7)).1, "");
    assert_eq!(get(&mut world, &format!("/live/cam.flv?{}", &link(Deed::Play, "", ["live", "cam"], 9)[1..])).0, 503);
    for c in 0..world.clients.len() {
        world.hang_up(c);
    }
    is_empty(&mut world);
}
