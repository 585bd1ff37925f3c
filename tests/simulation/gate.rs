//! The gate's links are asked in one order, and the first that says no is what a client hears: over RTMP as over HTTP. What a viewer may
//! not have is not fetched for it either.

use rill::live::app::AppDefinition;
use rill::live::gate::{CHAIN, Link};
use rill::live::hook_settings::{HookEvent, HookUrl};

use crate::sim::browser::Browser;
use crate::sim::ledger::Kind::{Inter, Key};
use crate::sim::world::{World, scripted, settings};

/// What each link says of a player whom it turns away.
fn words(link: Link) -> &'static str {
    match link {
        Link::Rules => "needs a key to play",
        Link::Limits => "as many players as it may have",
        Link::Script => "no read access",
        Link::Hook => "hook did not answer",
    }
}

/// An application in which these links turn away every player but the first.
fn app(closed: &[Link]) -> AppDefinition {
    let text = "count = 0; application.onConnect = function (client) { if (count++ >= 2) client.readAccess = ''; return true; };";
    let open = "application.onConnect = function () { return true; };";
    let mut app = scripted("live", if closed.contains(&Link::Script) { text } else { open });
    if closed.contains(&Link::Rules) {
        app.rules.set_play_key("v1ew").unwrap();
    }
    if closed.contains(&Link::Limits) {
        app.limits.players = 1;
    }
    app
}

#[test]
fn the_first_link_that_says_no_is_what_a_client_hears_over_every_protocol() {
    assert_eq!(CHAIN, [Link::Rules, Link::Limits, Link::Script, Link::Hook]);
    // A hook lets nobody in here: see below.
    let of_the_application = CHAIN.len() - 1;
    for bits in 0..1 << of_the_application {
        let closed: Vec<Link> = (0..of_the_application).filter(|at| bits >> at & 1 == 1).map(|at| CHAIN[at]).collect();
        let mut world = World::on_disk(settings(), vec![app(&closed)]);
        let publisher = world.publisher("cam");
        world.send_start(publisher);
        let first = world.join();
        world.clients[first].known_as = Some("cam".to_owned());
        world.clients[first].create_stream();
        world.clients[first].play(1, "cam?key=v1ew");
        world.settle();
        world.send_all(publisher, 200, &[Key, Inter]);
        assert!(world.clients[first].media_bytes > 0, "{closed:?}");
        let expected = closed.first().copied().map(words);
        let player = world.player("cam");
        match expected {
            Some(words) => assert!(
                world.clients[player].description.contains(words),
                "{closed:?}: {}",
                world.clients[player].description
            ),
            None => assert!(!world.clients[player].log.iter().any(|line| line.contains("Failed"))),
        }
        let browser = Browser::new(&mut world, 1 << 20);
        browser.get(&mut world, "/live/cam.flv");
        let answer = String::from_utf8_lossy(&browser.read_all(&mut world)).into_owned();
        match expected {
            Some(words) => assert!(answer.contains(words), "{closed:?}: {answer}"),
            None => assert!(answer.starts_with("HTTP/1.1 200"), "{answer}"),
        }
    }
}

#[test]
fn a_hook_is_asked_last_over_every_protocol() {
    for closed in [&[Link::Hook][..], &[Link::Rules, Link::Hook]] {
        let mut app = app(closed);
        // Nobody is there.
        app.hooks.set_url(HookEvent::Play, Some(HookUrl::parse("http://192.0.2.9/").unwrap()));
        let mut world = World::on_disk(settings(), vec![app]);
        let publisher = world.publisher("cam");
        world.send_start(publisher);
        let player = world.player("cam");
        let heard = &world.clients[player].description;
        assert!(heard.contains(words(closed[0])), "{closed:?}: {heard}");
        let browser = Browser::new(&mut world, 1 << 20);
        browser.get(&mut world, "/live/cam.flv");
        let answer = String::from_utf8_lossy(&browser.read_all(&mut world)).into_owned();
        assert!(answer.contains(words(closed[0])), "{closed:?}: {answer}");
    }
}
