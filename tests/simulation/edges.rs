//! Edges: streams that are fetched from the first origin that has them, and forwarded to the first that takes them. Origins are other
//! applications of the same server, at two addresses: each application has a number of its own in circles, as each server has.

use rill::live::app::{AddressList, AppDefinition, AppKind};
use rill::live::programme_settings::ProgrammeSettings;
use rill::live::relay_settings::{EdgeSettings, FarUrl, PullSettings, PullWhen};
use rill::live::settings::Settings;

use super::relays::{Bridged, FAR, push};
use super::sim::ledger::Kind::{Audio, Inter, Key};
use super::sim::net::Answer;
use super::sim::world::settings;

/// The usual origins.
const ORIGINS: [&str; 2] = ["rtmp://192.0.2.1/one", "rtmp://192.0.2.2/two"];

fn app(name: &str) -> AppDefinition {
    AppDefinition::stock(heapless::String::try_from(name).unwrap(), AppKind::Live)
}

fn edge(name: &str, origins: &[&str]) -> AppDefinition {
    let mut app = app(name);
    app.relays.edge = EdgeSettings {
        origins: origins.iter().map(|url| FarUrl::parse(url).unwrap()).collect(),
        forward_publish: false,
        linger_s: 5,
    };
    app
}

fn forwarding(name: &str, origins: &[&str]) -> AppDefinition {
    let mut app = edge(name, origins);
    app.relays.edge.forward_publish = true;
    app
}

fn patient() -> Settings {
    Settings { unpublish_grace_ms: 10_000, streams: 8, connections: 64, ..settings() }
}

/// Application `live` is an edge of `one` and `two`.
fn edged() -> Bridged {
    Bridged::with(patient(), vec![edge("live", &ORIGINS), app("one"), app("two")])
}

/// How many media messages of each kind were heard: keys, and all.
fn media(heard: &[String]) -> (usize, usize) {
    let is = |line: &&String, kinds: &[&str]| kinds.iter().any(|kind| line.ends_with(kind));
    (
        heard.iter().filter(|line| is(line, &[" key"])).count(),
        heard.iter().filter(|line| is(line, &[" key", " inter", " audio"])).count(),
    )
}

impl Bridged {
    /// What dials there from now on hears that, and what is connected is reset.
    fn break_host(&mut self, host: &str, answer: Answer) {
        self.world.net.hosts.insert(host.parse().unwrap(), answer);
        for (near, far) in self.carried.clone() {
            let link = &self.world.net.links[near];
            if link.arrival.peer == rill::server::peer::Peer::Ip(host.parse().unwrap()) && !link.server_closed {
                self.world.net.reset(near);
                self.world.net.reset(far);
            }
        }
        self.settle();
    }
}

#[test]
fn what_somebody_wants_is_fetched_from_the_first_origin_that_has_it_until_nobody_wants_it() {
    for (has, late_ms) in [("one", 0), ("two", 2500)] {
        let mut bridged = edged();
        let publisher = bridged.world.publisher_at(has, "hall/cam");
        bridged.world.send_start(publisher);
        bridged.advance(500);
        assert_eq!(bridged.list(), ["edge - idle "]);
        let viewer = bridged.world.player("hall/cam");
        bridged.advance(late_ms);
        bridged.sends(publisher, 80, &[Inter, Audio, Key]);
        let heard = bridged.world.heard(viewer);
        assert!(media(&heard).0 >= 1, "{has}: {heard:?} {:?}", bridged.list());
        assert_eq!(bridged.list(), ["edge hall/cam running "]);
        // A second viewer costs the origin nothing.
        let before = bridged.carried.len();
        let second = bridged.world.player("hall/cam");
        bridged.sends(publisher, 160, &[Inter, Audio, Key]);
        assert_eq!(media(&bridged.world.heard(second)).0, 2);
        bridged.advance(500);
        assert_eq!(bridged.carried.len(), before);
        bridged.world.hang_up(viewer);
        bridged.world.hang_up(second);
        for n in 1..4 {
            bridged.sends(publisher, 1000 * n, &[Key]);
            bridged.advance(1000);
        }
        assert_eq!(bridged.list(), ["edge hall/cam running "], "it lingers");
        bridged.advance(3000);
        assert_eq!(bridged.list(), ["edge - idle "]);
    }
}

#[test]
fn an_origin_that_is_not_there_is_passed_over_at_once_and_one_that_does_not_answer_soon() {
    for (answer, after_ms) in [(Answer::Refused, 300), (Answer::Nothing, 3500)] {
        let mut bridged = edged();
        bridged.world.net.hosts.insert(FAR.parse().unwrap(), answer);
        let publisher = bridged.world.publisher_at("two", "cam");
        bridged.world.send_start(publisher);
        let viewer = bridged.world.player("cam");
        bridged.advance(after_ms);
        bridged.sends(publisher, 80, &[Inter, Key]);
        assert!(media(&bridged.world.heard(viewer)).0 >= 1, "{answer:?}: {:?}", bridged.list());
    }
}

#[test]
fn a_stream_that_begins_later_is_found_by_who_has_waited_for_it() {
    let mut bridged = edged();
    let viewer = bridged.world.player("cam");
    bridged.advance(60_000);
    let list = bridged.list();
    assert!(list[0].starts_with("edge cam ") && list[0].ends_with("it sends nothing of that stream"), "{list:?}");
    let publisher = bridged.world.publisher_at("two", "cam");
    for n in 0..15 {
        bridged.sends(publisher, 1000 * n, &[Key]);
        bridged.advance(1000);
    }
    assert!(media(&bridged.world.heard(viewer)).0 >= 1, "{:?}", bridged.list());
    assert_eq!(bridged.list(), ["edge cam running "]);
}

#[test]
fn when_an_origin_dies_or_falls_silent_viewers_go_on_with_the_next_at_a_key_frame_and_hear_of_nothing() {
    for silent in [false, true] {
        let mut bridged = edged();
        let publishers = ["one", "two"].map(|app| bridged.world.publisher_at(app, "cam"));
        publishers.iter().for_each(|&publisher| bridged.world.send_start(publisher));
        let viewer = bridged.world.player("cam");
        bridged.world.clients[viewer].reel = Some(Vec::new());
        let mut time = 80;
        for second in 0..40 {
            for publisher in publishers {
                if silent && second >= 20 && publisher == publishers[0] {
                    continue;
                }
                // The second encoder's clock is another one, and it is in the midst of a group of pictures.
                let time = if publisher == publishers[1] { time + 7_000_000 } else { time };
                let kind = if second % 4 == 0 { Key } else { Inter };
                bridged.sends(publisher, time, &[kind, Audio, Inter]);
            }
            time += 500;
            if second == 20 && !silent {
                bridged.break_host(FAR, Answer::Refused);
            }
            bridged.advance(500);
        }
        let heard = bridged.world.heard(viewer);
        assert!(heard.iter().all(|line| !line.contains("Unpublish")), "{heard:?}");
        assert_eq!(heard.iter().filter(|line| line.contains("Play.PublishNotify")).count(), 1, "{heard:?}");
        // Which publisher each frame is of: the first picture of the second is a key frame.
        let pictures: Vec<&String> =
            heard.iter().filter(|line| line.ends_with(" key") || line.ends_with(" inter")).collect();
        let own = |line: &str| line.split('.').next().unwrap().to_owned();
        let switched = pictures.iter().position(|line| own(line) != own(pictures[0])).unwrap();
        assert!(pictures[switched].ends_with(" key"), "{pictures:?}");
        assert!(pictures[switched..].iter().all(|line| own(line) == own(pictures[switched])), "{pictures:?}");
        let reel = bridged.world.clients[viewer].reel.take().unwrap();
        let times: Vec<u32> = reel.iter().filter(|(kind, ..)| *kind == 9).map(|(_, time, _)| *time).collect();
        assert!(times.windows(2).all(|pair| pair[0] <= pair[1]), "{times:?}");
        assert!(*times.last().unwrap() < 60_000, "stitched: {times:?}");
        assert_eq!(bridged.list(), ["edge cam running "]);
    }
}

#[test]
fn with_one_origin_viewers_wait_for_it_to_come_back() {
    let mut bridged = Bridged::with(patient(), vec![edge("live", &ORIGINS[..1]), app("one")]);
    let publisher = bridged.world.publisher_at("one", "cam");
    bridged.world.send_start(publisher);
    let viewer = bridged.world.player("cam");
    bridged.advance(3000);
    bridged.break_host(FAR, Answer::Refused);
    bridged.advance(2000);
    // Else it would be sent what it has once more.
    bridged.sends(publisher, 100, &[Key]);
    bridged.world.net.hosts.insert(FAR.parse().unwrap(), Answer::Taken);
    bridged.world.heard(viewer);
    bridged.advance(4000);
    bridged.sends(publisher, 4100, &[Key]);
    let heard = bridged.world.heard(viewer);
    assert!(media(&heard).0 >= 1 && heard.iter().all(|line| !line.contains("Notify")), "{heard:?}");
}

#[test]
fn what_is_published_here_or_fetched_otherwise_is_not_looked_for() {
    let mut live = edge("live", &ORIGINS);
    let url = FarUrl::parse("rtmp://192.0.2.2/two/lobby").unwrap();
    live.relays.pulls = vec![PullSettings { url, name: "pulled".to_owned(), when: PullWhen::Demand, linger_s: 5 }];
    let (name, backup) = ("show".to_owned(), Some("other".to_owned()));
    live.programmes =
        vec![ProgrammeSettings { name, backup, slate: None, silent_ms: 1000, steady_ms: 1000, slate_s: 0 }];
    let mut bridged = Bridged::with(patient(), vec![live, app("one"), app("two")]);
    let publisher = bridged.world.publisher("cam");
    bridged.world.send_start(publisher);
    bridged.world.player("cam");
    bridged.world.player("pulled");
    bridged.world.player("show");
    bridged.world.player("show.main");
    bridged.advance(1000);
    let list = bridged.list();
    assert!(list[0].starts_with("pull pulled ") && list[1..] == ["edge - idle "], "{list:?}");
    // Its encoder may come back.
    bridged.world.hang_up(publisher);
    bridged.advance(5000);
    assert_eq!(bridged.list()[1..], ["edge - idle "]);
    bridged.advance(6000);
    assert!(bridged.list()[1].starts_with("edge cam "), "{:?}", bridged.list());
    // It does: nobody looks elsewhere any more.
    let publisher = bridged.world.publisher("cam");
    bridged.world.send_start(publisher);
    bridged.settle();
    assert_eq!(bridged.list()[1..], ["edge - idle "]);
}

#[test]
fn for_whom_the_rules_turn_away_nothing_is_fetched() {
    let mut live = edge("live", &ORIGINS);
    live.rules.set_play(AddressList::parse(["deny all"]).unwrap());
    let mut bridged = Bridged::with(patient(), vec![live, app("one"), app("two")]);
    bridged.world.player("cam");
    bridged.advance(1000);
    assert_eq!((bridged.list(), bridged.carried.len()), (vec!["edge - idle ".to_owned()], 0));
}

#[test]
fn a_flood_of_names_that_nobody_has_keeps_out_neither_a_push_nor_a_name_that_is_there() {
    let mut live = edge("live", &ORIGINS);
    live.relays.pushes = vec![push("rtmp://192.0.2.1/sink/", &["mine"])];
    let mut bridged =
        Bridged::with(Settings { relays: 4, ..patient() }, vec![live, app("one"), app("two"), app("sink")]);
    let there = bridged.world.publisher_at("two", "cam");
    bridged.world.send_start(there);
    for n in 0..12 {
        bridged.world.player(&format!("typo{n}"));
    }
    bridged.advance(100);
    let busy = bridged.list().iter().filter(|row| row.contains("running") || row.contains("connecting")).count();
    assert!((1..=2).contains(&busy), "{:?}", bridged.list());
    let viewer = bridged.world.player("cam");
    for n in 0..60 {
        bridged.sends(there, 1000 * n, &[Key]);
        bridged.advance(1000);
    }
    assert!(media(&bridged.world.heard(viewer)).0 > 10, "{:?}", bridged.list());
    // All the while what is wanted otherwise has a place at once.
    let publisher = bridged.world.publisher("mine");
    bridged.world.send_start(publisher);
    bridged.advance(500);
    assert!(bridged.list().contains(&"push mine running ".to_owned()), "{:?}", bridged.list());
    assert!(bridged.list().contains(&"edge cam running ".to_owned()), "{:?}", bridged.list());
}

#[test]
fn a_push_has_the_place_of_an_edge_that_has_found_nothing() {
    let mut live = edge("live", &ORIGINS);
    live.relays.pushes = vec![push("rtmp://192.0.2.1/sink/", &["mine"])];
    let mut bridged =
        Bridged::with(Settings { relays: 1, ..patient() }, vec![live, app("one"), app("two"), app("sink")]);
    bridged.world.player("typo");
    bridged.advance(500);
    assert_eq!(bridged.list()[1], "edge typo running ");
    let publisher = bridged.world.publisher("mine");
    bridged.world.send_start(publisher);
    bridged.advance(500);
    assert_eq!(bridged.list(), ["push mine running ", "edge - idle "]);
}

#[test]
fn a_viewer_over_http_has_it_fetched_too() {
    let mut bridged = edged();
    let publisher = bridged.world.publisher_at("one", "cam");
    bridged.world.send_start(publisher);
    bridged.watch_over_http(publisher);
}

#[test]
fn servers_that_fetch_from_each_other_in_a_circle_notice_it_and_say_so() {
    const NEXT: [&str; 3] = ["rtmp://192.0.2.1/a", "rtmp://192.0.2.1/b", "rtmp://192.0.2.1/c"];
    for count in 2..=3 {
        let apps = (0..count).map(|n| edge(["a", "b", "c"][n], &[NEXT[(n + 1) % count]])).collect();
        let mut bridged = Bridged::with(Settings { relays: 8, ..patient() }, apps);
        bridged.world.player_at("a", "cam");
        bridged.advance(1000);
        let list = bridged.list();
        // The last one of the circle hears it of the first.
        assert_eq!(list.len(), count, "{list:?}");
        assert!(list[count - 1].ends_with("origins lead back to this server"), "{list:?}");
        bridged.advance(30_000);
        // When one of them has it after all, it comes to all.
        let publisher = bridged.world.publisher_at(["b", "c"][count - 2], "cam");
        let viewer = bridged.world.player_at("a", "cam");
        for n in 0..30 {
            bridged.sends(publisher, 1000 * n, &[Key]);
            bridged.advance(1000);
        }
        assert!(media(&bridged.world.heard(viewer)).0 >= 1, "{count}: {:?}", bridged.list());
    }
}

#[test]
fn who_is_led_back_takes_its_next_origin() {
    let apps = vec![
        edge("a", &["rtmp://192.0.2.1/b"]),
        edge("b", &["rtmp://192.0.2.1/a", "rtmp://192.0.2.2/two"]),
        app("two"),
    ];
    let mut bridged = Bridged::with(patient(), apps);
    let publisher = bridged.world.publisher_at("two", "cam");
    bridged.world.send_start(publisher);
    let viewer = bridged.world.player_at("a", "cam");
    bridged.advance(500);
    bridged.sends(publisher, 80, &[Key]);
    assert!(media(&bridged.world.heard(viewer)).0 >= 1, "{:?}", bridged.list());
    assert_eq!(bridged.list(), ["edge cam running ", "edge cam running "]);
}

#[test]
fn what_is_published_here_is_forwarded_to_the_first_origin_that_takes_it() {
    let mut bridged = Bridged::with(patient(), vec![forwarding("live", &ORIGINS), app("one"), app("two")]);
    let [first, second] = ["one", "two"].map(|app| bridged.world.player_at(app, "cam"));
    let publisher = bridged.world.publisher("cam");
    bridged.world.send_start(publisher);
    bridged.settle();
    assert_eq!(bridged.list(), ["edge - idle ", "forward cam running "]);
    assert_eq!(media(&bridged.world.heard(first)).0, 1);
    // It goes, and the next one is told at once.
    bridged.break_host(FAR, Answer::Refused);
    bridged.advance(200);
    bridged.sends(publisher, 280, &[Key, Inter]);
    assert!(media(&bridged.world.heard(second)).0 >= 1, "{:?}", bridged.list());
    bridged.world.hang_up(publisher);
    bridged.advance(11_000);
    assert_eq!(bridged.list(), ["edge - idle ", "forward - idle "]);
}

#[test]
fn what_is_fetched_or_refused_is_not_forwarded() {
    let mut live = forwarding("live", &ORIGINS);
    live.rules.set_publish(AddressList::parse(["deny 10.0.0.7", "allow all"]).unwrap());
    let mut bridged = Bridged::with(patient(), vec![live, app("one"), app("two")]);
    let refused = bridged.world.join_from([10, 0, 0, 7]);
    bridged.world.clients[refused].create_stream();
    bridged.world.clients[refused].publish(1, "mine");
    bridged.advance(500);
    assert_eq!(bridged.list(), ["edge - idle ", "forward - idle "]);
    let publisher = bridged.world.publisher_at("two", "cam");
    bridged.world.send_start(publisher);
    bridged.world.player("cam");
    bridged.advance(3000);
    assert_eq!(bridged.list(), ["edge cam running ", "forward - idle "]);
}

#[test]
fn what_is_forwarded_in_a_circle_is_taken_once_and_by_the_next_origin_that_has_not_had_it() {
    let apps = vec![
        forwarding("a", &["rtmp://192.0.2.1/b"]),
        forwarding("b", &["rtmp://192.0.2.1/a", "rtmp://192.0.2.2/two"]),
        app("two"),
    ];
    let mut bridged = Bridged::with(patient(), apps);
    let viewer = bridged.world.player_at("two", "cam");
    let publisher = bridged.world.publisher_at("a", "cam");
    bridged.world.send_start(publisher);
    bridged.advance(500);
    bridged.sends(publisher, 1000, &[Key]);
    assert!(media(&bridged.world.heard(viewer)).0 >= 1, "{:?}", bridged.list());
    assert_eq!(bridged.list(), ["edge - idle ", "forward cam running ", "edge - idle ", "forward cam running "]);
}

#[test]
fn in_the_end_nothing_is_left_of_it() {
    let mut bridged = edged();
    let publisher = bridged.world.publisher_at("one", "cam");
    bridged.world.send_start(publisher);
    bridged.world.player("cam");
    bridged.world.player("other");
    bridged.advance(3000);
    for c in 0..bridged.world.clients.len() {
        bridged.world.hang_up(c);
    }
    bridged.advance(60_000);
    bridged.world.check_empty();
    assert!(!bridged.carried.is_empty() && bridged.list() == ["edge - idle "]);
}
