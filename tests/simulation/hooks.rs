//! Hooks: what back ends hear, what their answers do, and that none of it touches a stream: late, wrong, gone and hostile ones.

use std::net::SocketAddr;

use rill::live::app::{AppDefinition, AppKind};
use rill::live::finding::Finding;
use rill::live::hook_settings::{HookEvent, HookSettings, HookStyle, HookUrl, WhenDown};
use rill::live::settings::Settings;
use rill::server::peer::Peer;
use rill::time::Millis;

use super::sim::browser::Browser;
use super::sim::ledger::Kind::{Audio, Inter, Key};
use super::sim::net::Answer;
use super::sim::world::{World, scripted, settings};

const HOOK: &str = "192.0.2.9:8000";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const NO: &str = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";

/// What the back end does with a request.
struct Reply {
    after_ms: u64,
    text: String,
    /// It closes the connection behind that.
    closes: bool,
}

impl From<&str> for Reply {
    fn from(text: &str) -> Reply {
        Reply { after_ms: 0, text: text.to_owned(), closes: true }
    }
}

fn late(after_ms: u64, text: &str) -> Reply {
    Reply { after_ms, ..Reply::from(text) }
}

fn elsewhere(location: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
}

/// A world with a back end.
struct Hooked {
    world: World,
    back_end: fn(&str) -> Reply,
    /// Bodies of requests, in their order.
    calls: Vec<String>,
    /// Heads of them.
    heads: Vec<String>,
    /// Links of which the request was read.
    read: Vec<usize>,
    due: Vec<(u64, usize, Reply)>,
}

fn hooks(events: &[HookEvent]) -> HookSettings {
    let mut hooks = HookSettings::default();
    for event in events {
        hooks.set_url(*event, Some(HookUrl::parse(&format!("http://{HOOK}/{}?s3cret", event.name())).unwrap()));
    }
    hooks
}

fn app(name: &str, hooks: HookSettings) -> AppDefinition {
    AppDefinition { hooks, ..AppDefinition::stock(heapless::String::try_from(name).unwrap(), AppKind::Live) }
}

/// Application `live` with these hooks, and `free` without.
fn hooked(hooks: HookSettings, back_end: fn(&str) -> Reply) -> Hooked {
    hooked_with(Settings { hooks: 2, ..settings() }, app("live", hooks), back_end)
}

fn hooked_with(settings: Settings, live: AppDefinition, back_end: fn(&str) -> Reply) -> Hooked {
    let mut world = World::fixed(settings, vec![live, app("free", HookSettings::default())], 1);
    world.net.hosts.insert(HOOK.parse().unwrap(), Answer::Taken);
    Hooked { world, back_end, calls: Vec::new(), heads: Vec::new(), read: Vec::new(), due: Vec::new() }
}

impl Hooked {
    fn settle(&mut self) {
        loop {
            self.world.settle();
            if !self.serve() {
                return;
            }
        }
    }

    fn advance(&mut self, ms: u64) {
        let end = self.world.now + ms;
        self.settle();
        while self.world.now < end {
            self.world.advance(10.min(end - self.world.now));
            self.settle();
        }
    }

    /// The back end reads requests, and answers those whose time has come.
    fn serve(&mut self) -> bool {
        let mut busy = false;
        for at in 0..self.world.net.links.len() {
            let link = &mut self.world.net.links[at];
            if link.arrival.peer != Peer::Ip(HOOK.parse().unwrap()) || self.read.contains(&at) {
                continue;
            }
            let bytes: Vec<u8> = link.to_client.iter().copied().collect();
            let text = String::from_utf8(bytes).unwrap();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.split("Content-Length: ").nth(1).unwrap().lines().next().unwrap();
            if body.len() < length.parse().unwrap() {
                continue;
            }
            assert_eq!(body.len().to_string(), length);
            link.to_client.clear();
            self.read.push(at);
            let reply = (self.back_end)(body);
            self.calls.push(body.to_owned());
            self.heads.push(head.to_owned());
            self.due.push((self.world.now + reply.after_ms, at, reply));
        }
        let now = self.world.now;
        for (_, at, reply) in self.due.extract_if(.., |(when, ..)| *when <= now) {
            if self.world.net.links[at].server_closed {
                continue;
            }
            self.world.net.send(at, reply.text.as_bytes());
            if reply.closes {
                self.world.net.fin(at);
            }
            busy = true;
        }
        busy
    }

    /// What was called since the last look, as `call` and `name`.
    fn called(&mut self) -> Vec<String> {
        let of = |body: &str, field: &str| {
            let found = body.split('&').find_map(|pair| pair.strip_prefix(field)?.strip_prefix('='));
            found.unwrap_or_default().to_owned()
        };
        let calls = std::mem::take(&mut self.calls);
        calls.iter().map(|body| format!("{} {}", of(body, "call"), of(body, "name")).trim().to_owned()).collect()
    }

    /// A client that asks to join, whatever comes of it.
    fn client(&mut self, app: &str) -> usize {
        let c = self.world.dial();
        self.world.clients[c].handshake();
        self.world.clients[c].connect(app);
        self.settle();
        c
    }

    fn publisher(&mut self, name: &str) -> usize {
        let c = self.client("live");
        self.world.clients[c].create_stream();
        self.world.clients[c].publish(1, name);
        self.settle();
        c
    }

    fn player(&mut self, name: &str) -> usize {
        let c = self.client("live");
        self.world.clients[c].create_stream();
        self.world.clients[c].play(1, name);
        self.settle();
        c
    }

    fn has_heard(&self, c: usize, words: &str) -> bool {
        self.world.clients[c].log.iter().any(|line| line.contains(words))
    }

    fn is_published(&self, name: &str) -> bool {
        let streams = self.world.server.names().streams();
        streams.into_iter().any(|(_, stream)| stream.path.as_str() == name && stream.publisher().is_some())
    }

    fn findings(&self) -> Vec<Finding> {
        let now = Millis(self.world.now);
        let (mut found, mut from) = (Vec::new(), 0);
        while let Some(listed) = self.world.server.next_finding(from, now) {
            found.push(listed.finding);
            from = listed.place + 1;
        }
        found.retain(|finding| matches!(finding, Finding::HookDown { .. }));
        found
    }
}

#[test]
fn a_back_end_hears_of_everything_in_its_order_and_of_each_end_once() {
    use HookEvent::*;
    let mut hooked = hooked(hooks(&HookEvent::ALL), |_| OK.into());
    let publisher = hooked.publisher("cam?token=1");
    assert!(hooked.has_heard(publisher, "Publish.Start"), "{:?}", hooked.world.clients[publisher].log);
    let player = hooked.player("cam");
    assert!(hooked.has_heard(player, "Play.Start"));
    let said = hooked.calls[1].clone();
    assert!(said.contains("&type=live&token=1&") && said.contains("&flashver=simulation"), "{said}");
    assert!(said.starts_with("call=publish&app=live&addr=10."), "{said}");
    assert!(hooked.heads[1].starts_with("POST /on_publish?s3cret HTTP/1.1\r\nHost: 192.0.2.9:8000\r\n"));
    assert_eq!(hooked.called(), ["connect", "publish cam", "connect", "play cam"]);
    hooked.advance(2000);
    // Each way in which a publish ends.
    type End = fn(&mut World, usize);
    let ends: [End; 5] = [
        |world, c| world.hang_up(c),
        |world, c| world.reset(c),
        |world, c| world.clients[c].delete_stream(1),
        |world, c| world.clients[c].close_stream(1),
        |world, c| assert!(world.disconnect(c)),
    ];
    for (n, end) in ends.into_iter().enumerate() {
        let other = hooked.publisher("other");
        hooked.advance(2500);
        end(&mut hooked.world, other);
        hooked.settle();
        assert_eq!(
            hooked.calls.iter().filter(|body| body.contains("&duration=2")).count(),
            2,
            "{n}: {:?}",
            hooked.calls
        );
        assert_eq!(hooked.called(), ["connect", "publish other", "publish_done other", "done other"], "{n}");
        hooked.world.hang_up(other);
        hooked.settle();
        assert_eq!(hooked.called(), [""; 0], "{n}: the connection's end is no other end");
    }
    hooked.world.hang_up(player);
    hooked.settle();
    assert_eq!(hooked.called(), ["play_done cam", "done cam"]);
    hooked.world.hang_up(publisher);
    hooked.settle();
    assert_eq!(hooked.called(), ["publish_done cam", "done cam"]);
    assert!(hooks(&[Done]).url(Connect).is_none());
}

#[test]
fn nothing_is_published_or_played_before_the_answer_and_the_streams_beside_go_on() {
    let mut hooked = hooked(hooks(&[HookEvent::Publish, HookEvent::Play]), |body| {
        if body.contains("name=cam&") { OK.into() } else { late(5000, OK) }
    });
    let first = hooked.publisher("cam");
    hooked.world.send_start(first);
    let player = hooked.player("cam");
    hooked.world.clients[player].log.clear();
    let waits = hooked.publisher("late");
    let viewer = hooked.player("late");
    // A frame each 40 ms: none is late by a turn, or lost.
    for n in 0..70 {
        hooked.world.send_all(first, 80 + 40 * n, &[if n % 25 == 0 { Key } else { Inter }, Audio]);
        hooked.settle();
        assert_eq!(hooked.world.heard(player).len(), 2, "frame {n} is there at once");
        assert!(!hooked.is_published("late") && !hooked.has_heard(viewer, "Play.Start"), "{n}");
        hooked.advance(40);
    }
    // It has not answered in three seconds: that is no.
    hooked.advance(3000);
    assert!(hooked.world.clients[waits].ended && !hooked.is_published("late"));
    assert!(hooked.has_heard(viewer, "Play.Failed"), "{:?}", hooked.world.clients[viewer].log);
    hooked.world.check_delivered();
    assert_eq!(hooked.findings(), [Finding::HookDown { hooks: 2 }]);
}

#[test]
fn an_answer_that_is_late_or_wrong_or_none_is_what_when_down_says() {
    type BackEnd = fn(&str) -> Reply;
    let cases: [(&str, BackEnd); 6] = [
        ("late", |_| late(3100, OK)),
        ("silent", |_| Reply { closes: false, ..Reply::from("") }),
        ("gone", |_| "".into()),
        ("no HTTP", |_| "SSH-2.0-OpenSSH_9\r\n".into()),
        ("an endless head", |_| Reply {
            closes: false,
            ..Reply::from(&*format!("HTTP/1.1 200 OK\r\n{}", "X: y\r\n".repeat(2000)))
        }),
        ("a head that stops", |_| Reply { closes: false, ..Reply::from("HTTP/1.1 200 OK\r\nContent-Le") }),
    ];
    for (what, back_end) in cases {
        for when_down in [WhenDown::Deny, WhenDown::Allow] {
            let settings = HookSettings { when_down, ..hooks(&[HookEvent::Connect, HookEvent::Publish]) };
            let mut hooked = hooked(settings, |_| OK.into());
            let c = hooked.client("live");
            assert!(hooked.world.clients[c].connected);
            hooked.back_end = back_end;
            hooked.world.clients[c].create_stream();
            hooked.world.clients[c].publish(1, "cam");
            hooked.advance(4200);
            let allows = when_down == WhenDown::Allow;
            assert_eq!((hooked.is_published("cam"), hooked.world.clients[c].ended), (allows, !allows), "{what}");
            assert_eq!(hooked.findings(), [Finding::HookDown { hooks: 1 }], "{what}");
            // It is back.
            hooked.back_end = |_| OK.into();
            let again = hooked.publisher("again");
            hooked.advance(1000);
            assert!(hooked.is_published("again") && !hooked.world.clients[again].ended, "{what}");
            assert_eq!(hooked.findings(), [], "{what}");
        }
    }
    let mut hooked = hooked(hooks(&[HookEvent::Connect]), |_| OK.into());
    for answer in [Answer::Refused, Answer::Nothing] {
        hooked.world.net.hosts.insert(HOOK.parse().unwrap(), answer);
        let c = hooked.client("live");
        hooked.advance(3200);
        assert!(hooked.world.clients[c].ended && !hooked.world.clients[c].connected, "{answer:?}");
    }
}

#[test]
fn a_body_counts_for_json_alone_and_a_slow_one_holds_up_nobody() {
    let slow = |_: &str| Reply { closes: false, ..Reply::from("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nx") };
    let mut form = hooked(hooks(&[HookEvent::Publish]), slow);
    form.publisher("cam");
    assert!(form.is_published("cam"), "the status is enough");
    let json = HookSettings { style: HookStyle::Json, ..hooks(&[HookEvent::Publish, HookEvent::Done]) };
    let mut hooked = hooked(json, |body| {
        let code = if body.contains("\"stream\":\"cam\"") { 0 } else { 7 };
        let text = format!("{{\"code\": {code}, \"data\": null}}");
        Reply::from(&*format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len()))
    });
    let (first, second) = (hooked.publisher("cam"), hooked.publisher("other"));
    assert!(hooked.is_published("cam") && !hooked.is_published("other"));
    assert!(hooked.world.clients[second].ended);
    assert!(hooked.heads[0].contains("Content-Type: application/json\r\n"), "{}", hooked.heads[0]);
    hooked.calls.clear();
    hooked.world.hang_up(first);
    hooked.settle();
    assert!(hooked.calls[0].starts_with("{\"action\":\"on_close\"") && hooked.calls.len() == 1, "{:?}", hooked.calls);
    hooked.back_end = |_| "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n".into();
    let third = hooked.publisher("cam");
    assert!(hooked.world.clients[third].ended, "too long an answer is none");
}

#[test]
fn a_hook_gives_a_stream_another_name_or_sends_a_client_elsewhere_and_nobody_is_dialled_for_it() {
    let mut hooked = hooked(hooks(&[HookEvent::Connect, HookEvent::Publish, HookEvent::Play]), |body| match body {
        body if body.contains("name=key-1&") => Reply::from(&*elsewhere("hall/cam")),
        body if body.contains("name=shown&") => Reply::from(&*elsewhere("hall/cam")),
        body if body.contains("name=away&") => Reply::from(&*elsewhere("rtmp://127.0.0.1/live")),
        body if body.contains("name=odd&") => Reply::from(&*elsewhere("a:b*c")),
        _ => OK.into(),
    });
    let publisher = hooked.publisher("key-1");
    assert!(hooked.is_published("hall/cam") && !hooked.is_published("key-1"));
    hooked.world.send_start(publisher);
    let player = hooked.client("live");
    // What the publisher sent is known by the name that it said.
    hooked.world.clients[player].known_as = Some("key-1".to_owned());
    hooked.world.clients[player].create_stream();
    hooked.world.clients[player].play(1, "shown");
    hooked.settle();
    assert!(hooked.has_heard(player, "Play.Start"), "{:?}", hooked.world.clients[player].log);
    assert_eq!(hooked.world.server.names().streams().filter(|(_, stream)| !stream.players.is_empty()).count(), 1);
    for name in ["away", "odd"] {
        let links = hooked.world.net.links.len();
        let c = hooked.publisher(name);
        assert!(hooked.world.clients[c].ended && !hooked.is_published(name), "{name}");
        // The client, and its two questions.
        assert_eq!(hooked.world.net.links.len(), links + 3, "{name}");
    }
    // One that says that it can is sent there.
    let c = hooked.world.dial();
    hooked.world.clients[c].reconnects = true;
    hooked.world.clients[c].handshake();
    hooked.world.clients[c].connect("live");
    hooked.settle();
    hooked.world.clients[c].create_stream();
    hooked.world.clients[c].publish(1, "away");
    hooked.settle();
    assert!(hooked.has_heard(c, "ReconnectRequest"), "{:?}", hooked.world.clients[c].log);
    hooked.back_end = |_| Reply::from(&*elsewhere("rtmp://other.example/live"));
    let c = hooked.client("live");
    assert!(hooked.world.clients[c].ended && !hooked.world.clients[c].connected);
    assert!(hooked.has_heard(c, "Connect.Rejected"), "{:?}", hooked.world.clients[c].log);
}

#[test]
fn viewers_over_http_are_asked_about_once_each() {
    let events = [HookEvent::Connect, HookEvent::Play, HookEvent::PlayDone];
    let mut hooked = hooked(hooks(&events), |body| match body {
        body if body.contains("token=bad") => NO.into(),
        body if body.contains("token=move") => Reply::from(&*elsewhere("other")),
        _ => OK.into(),
    });
    let publisher = hooked.world.publisher_at("free", "cam");
    hooked.world.send_start(publisher);
    let publisher = hooked.publisher("cam");
    hooked.world.send_start(publisher);
    hooked.called();
    let get = |hooked: &mut Hooked, path: &str| {
        let browser = Browser::new(&mut hooked.world, 256 << 10);
        browser.get(&mut hooked.world, path);
        hooked.settle();
        (browser, String::from_utf8_lossy(&browser.read_all(&mut hooked.world)).into_owned())
    };
    let (viewer, answer) = get(&mut hooked, "/live/cam.flv?token=good");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(hooked.calls[1].contains("&token=good&tcurl=http:///live/cam.flv"), "{:?}", hooked.calls);
    assert_eq!(hooked.called(), ["connect", "play cam"]);
    viewer.hang_up(&mut hooked.world);
    hooked.settle();
    assert_eq!(hooked.called(), ["play_done cam"]);
    assert!(get(&mut hooked, "/live/cam.flv?token=bad").1.starts_with("HTTP/1.1 403 "));
    assert!(get(&mut hooked, "/live/cam.mp4?token=move").1.starts_with("HTTP/1.1 403 "), "who joins has no other name");
    hooked.called();
    // Without a token no picture is shown either, and it is not asked for one.
    assert!(get(&mut hooked, "/live/cam.key.mp4").1.starts_with("HTTP/1.1 403 "));
    assert_eq!(hooked.called(), [""; 0]);
    // Free is free.
    assert!(get(&mut hooked, "/free/cam.flv").1.starts_with("HTTP/1.1 200 "));
    assert_eq!(hooked.called(), [""; 0]);
    hooked.back_end = |body| if body.contains("call=play") { Reply::from(&*elsewhere("other")) } else { OK.into() };
    let answer = get(&mut hooked, "/live/cam.flv?x=1").1;
    assert!(answer.starts_with("HTTP/1.1 302 ") && answer.contains("Location: /live/other.flv?x=1\r\n"), "{answer}");
    hooked.back_end = |_| Reply::from("");
    let answer = get(&mut hooked, "/live/cam.flv").1;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("did not answer"), "{answer}");
}

#[test]
fn a_list_of_segments_is_asked_about_once_for_a_viewer_and_its_end_is_told() {
    let mut hooked = hooked(hooks(&[HookEvent::Play, HookEvent::PlayDone]), |_| OK.into());
    let publisher = hooked.publisher("cam");
    hooked.world.send_start(publisher);
    for n in 1..120 {
        hooked.world.send_all(publisher, 40 * n, &[if n % 25 == 0 { Key } else { Inter }, Audio]);
        hooked.advance(40);
    }
    let get = |hooked: &mut Hooked, path: &str| {
        // Each time by another connection.
        let browser = Browser::of_host(&mut hooked.world, 77, 256 << 10);
        browser.get(&mut hooked.world, path);
        hooked.settle();
        let answer = String::from_utf8_lossy(&browser.read_all(&mut hooked.world)).into_owned();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
        answer
    };
    let index = get(&mut hooked, "/live/cam.m3u8");
    let list = format!("/live/{}", index.lines().last().unwrap());
    get(&mut hooked, &list);
    // Who has asked for that is a viewer, and known as one.
    assert_eq!(hooked.called(), ["play cam", "play cam"]);
    for path in [&list, "/live/cam.m3u8", &list] {
        get(&mut hooked, path);
    }
    assert_eq!(hooked.called(), [""; 0]);
    hooked.advance(60_000);
    assert_eq!(hooked.called(), ["play_done cam"]);
}

#[test]
fn a_script_is_asked_first_and_what_it_says_to_its_client_waits_for_the_hook() {
    let text = "application.onConnect = function(c) { application.acceptConnection(c); c.call('hello', null, 1); };";
    let live = AppDefinition { hooks: hooks(&[HookEvent::Connect, HookEvent::Publish]), ..scripted("live", text) };
    let mut hooked = hooked_with(Settings { hooks: 1, ..settings() }, live.clone(), |_| late(500, OK));
    let c = hooked.client("live");
    assert!(!hooked.world.clients[c].connected && hooked.calls.len() == 1);
    assert!(!hooked.has_heard(c, "hello"), "nothing of it comes before the answer to connect");
    hooked.advance(600);
    assert!(hooked.world.clients[c].connected);
    assert!(hooked.has_heard(c, "hello"), "{:?}", hooked.world.clients[c].log);
    hooked.world.clients[c].create_stream();
    hooked.world.clients[c].publish(1, "cam");
    hooked.advance(600);
    assert!(hooked.is_published("cam"));
    assert_eq!(hooked.called(), ["connect", "publish cam"]);
    let refuses = "application.onConnect = function(c) { return false; };";
    let live = AppDefinition { hooks: live.hooks, ..scripted("live", refuses) };
    let mut hooked = hooked_with(settings(), live, |_| OK.into());
    let c = hooked.client("live");
    assert!(hooked.world.clients[c].ended && hooked.calls.is_empty(), "whom the script refuses no hook is asked about");
}

#[test]
fn a_storm_of_players_is_asked_about_one_after_the_other_and_all_play() {
    let settings = Settings { hooks: 2, connections: 200, ..settings() };
    let settings_of = HookSettings { timeout_ms: 60_000, ..hooks(&[HookEvent::Play, HookEvent::PlayDone]) };
    let mut hooked = hooked_with(settings, app("live", settings_of), |_| late(50, OK));
    let publisher = hooked.publisher("cam");
    hooked.world.send_start(publisher);
    let players: Vec<usize> = (0..100).map(|_| hooked.player("cam")).collect();
    let waiting =
        hooked.world.net.links.iter().filter(|link| link.arrival.peer == Peer::Ip(HOOK.parse().unwrap())).count();
    assert_eq!(waiting, 2, "no more are under way than may be");
    // Some do not wait.
    for c in &players[90..] {
        hooked.world.hang_up(*c);
    }
    for n in 0..80 {
        hooked.world.send_all(publisher, 80 + 40 * n, &[Inter, Audio]);
        hooked.advance(40);
    }
    assert!(players[..90].iter().all(|c| hooked.has_heard(*c, "Play.Start")));
    let (asked, most) = (hooked.called().len(), 92);
    assert!((90..=most).contains(&asked), "{asked}");
    for c in &players[..90] {
        hooked.world.hang_up(*c);
    }
    hooked.advance(5000);
    assert_eq!(hooked.called().len(), 90, "each end is told");
}

#[test]
fn a_host_is_looked_up_by_the_disks_thread_and_not_again_for_a_while() {
    let mut settings_of = hooks(&[]);
    settings_of.set_url(HookEvent::Publish, Some(HookUrl::parse("http://hooks.example:8000/x").unwrap()));
    let mut hooked = hooked(settings_of, |_| OK.into());
    let address: SocketAddr = HOOK.parse().unwrap();
    // The first of them refuses.
    hooked.world.hosts.insert("hooks.example".to_owned(), vec!["192.0.2.8:8000".parse().unwrap(), address]);
    for name in ["a", "b"] {
        let c = hooked.publisher(name);
        hooked.advance(100);
        assert!(hooked.is_published(name), "{:?}", hooked.world.clients[c].log);
    }
    assert_eq!(hooked.world.asked.iter().filter(|host| *host == "hooks.example").count(), 1);
    hooked.world.hosts.clear();
    hooked.advance(31_000);
    let c = hooked.publisher("c");
    hooked.advance(100);
    assert!(hooked.world.clients[c].ended, "a name that is not known is no answer");
}

#[test]
fn who_publishes_and_plays_is_told_of_now_and_then() {
    let settings_of = HookSettings { update_ms: 10_000, ..hooks(&[HookEvent::Update]) };
    let mut hooked = hooked(settings_of, |_| NO.into());
    let publisher = hooked.publisher("cam");
    hooked.world.send_start(publisher);
    hooked.advance(5000);
    hooked.player("cam");
    hooked.advance(4000);
    assert_eq!(hooked.called(), [""; 0]);
    hooked.advance(1500);
    assert!(hooked.calls[0].contains("&time=10&timestamp=40"), "{:?}", hooked.calls);
    assert_eq!(hooked.called(), ["update_publish cam"]);
    hooked.advance(5000);
    assert_eq!(hooked.called(), ["update_play cam"]);
    hooked.advance(10_000);
    assert_eq!(hooked.called(), ["update_publish cam", "update_play cam"], "what it answers changes nothing");
    assert!(hooked.is_published("cam"));
}

#[test]
fn a_server_without_places_for_hooks_does_what_when_down_says() {
    for (when_down, may) in [(WhenDown::Deny, false), (WhenDown::Allow, true)] {
        let settings_of = HookSettings { when_down, ..hooks(&[HookEvent::Publish]) };
        let mut hooked = hooked_with(Settings { hooks: 0, ..settings() }, app("live", settings_of), |_| OK.into());
        hooked.publisher("cam");
        assert_eq!(hooked.is_published("cam"), may);
    }
}

#[test]
fn the_end_of_the_server_is_told_before_it_ends() {
    let mut hooked = hooked(hooks(&[HookEvent::PublishDone]), |_| late(200, OK));
    hooked.publisher("cam");
    hooked.world.stop();
    assert!(!hooked.world.server.is_empty());
    hooked.advance(3000);
    assert_eq!(hooked.called(), ["publish_done cam"]);
    assert!(hooked.world.server.is_empty());
}

#[test]
fn the_first_client_of_an_application_that_is_read_from_the_disk_is_asked_about_too() {
    let live = app("live", hooks(&[HookEvent::Connect]));
    let world = World::on_disk(Settings { hooks: 1, ..settings() }, vec![live]);
    let mut hooked = Hooked {
        world,
        back_end: |_| NO.into(),
        calls: Vec::new(),
        heads: Vec::new(),
        read: Vec::new(),
        due: Vec::new(),
    };
    hooked.world.net.hosts.insert(HOOK.parse().unwrap(), Answer::Taken);
    let c = hooked.client("live");
    assert_eq!(hooked.called(), ["connect"]);
    assert!(hooked.world.clients[c].ended && !hooked.world.clients[c].connected);
}

#[test]
fn an_answer_to_one_question_is_none_to_the_next() {
    let mut hooked = hooked(hooks(&[HookEvent::Publish]), |body| match body {
        body if body.contains("name=first&") => late(1000, OK),
        body if body.contains("name=second&") => late(2500, NO),
        _ => OK.into(),
    });
    let publisher = hooked.publisher("mine");
    hooked.world.clients[publisher].create_stream();
    hooked.settle();
    hooked.world.send_start(publisher);
    // A publisher's second question is given up when it says more; what is answered to it is nothing to the next.
    hooked.world.clients[publisher].publish(2, "first");
    hooked.settle();
    hooked.world.clients[publisher].delete_stream(2);
    hooked.settle();
    hooked.world.clients[publisher].create_stream();
    hooked.world.clients[publisher].publish(2, "second");
    hooked.advance(2000);
    assert_eq!(hooked.called(), ["publish mine", "publish first", "publish second"]);
    assert!(!hooked.is_published("second") && hooked.is_published("mine"));
}
