//! What a far end may do to a relay, written out: it asks for a user, sends elsewhere, says nonsense, and never comes to an end.

use std::collections::VecDeque;
use std::net::SocketAddr;

use rill::live::app::{AppDefinition, AppKind};
use rill::live::relay_settings::{FarUrl, PullSettings, PullWhen, PushSettings};
use rill::rtmp::authmod::{adobe_hash, adobe_response, llnw_hash, llnw_response};
use rill::server::peer::Peer;
use rill::time::Millis;
use rill::wire::amf0::Decoder;

use super::ends::{keep_log, logged};
use super::rtmp::{
    Bytes, Reply, call, command_body, info, message, null, number, object, properties, replies_in, strict_array,
    string, tag,
};
use super::sim::browser::Browser;
use super::sim::ledger::Kind::{Audio, Inter, Key};
use super::sim::net::Answer;
use super::sim::world::{World, settings};

const FAR: &str = "192.0.2.1:1935";
const OTHER: &str = "192.0.2.2:1935";
const NEAR: &str = "127.0.0.1:1935";

/// A connection that the server has made.
struct End {
    link: usize,
    to: SocketAddr,
    heard: VecDeque<u8>,
    /// Bytes of its greeting that have not come.
    greeting: usize,
    has_greeted: bool,
    chunk_bytes: usize,
    /// The application that it has asked for.
    app: String,
    /// The URL that it has asked for.
    tc_url: String,
    /// It publishes or plays, and what comes from now on is kept as it is.
    is_live: bool,
    reel: Bytes,
}

/// What a far end says to a command, by the number of the connection, from 0.
type Says = Box<dyn FnMut(usize, &Reply) -> Bytes>;

struct FarEnds {
    world: World,
    ends: Vec<End>,
    says: Says,
}

fn far_ends(url: &str, pulls: bool, says: impl FnMut(usize, &Reply) -> Bytes + 'static) -> FarEnds {
    let mut live = AppDefinition::stock(heapless::String::try_from("live").unwrap(), AppKind::Live);
    let url = FarUrl::parse(url).unwrap();
    if pulls {
        live.relays.pulls = vec![PullSettings { url, name: "cam".to_owned(), when: PullWhen::Always, linger_s: 5 }];
    } else {
        live.relays.pushes =
            vec![PushSettings { url, names: vec!["*".to_owned()], key_from: None, key: String::new() }];
    }
    let mut world = World::fixed(settings(), vec![live], 1);
    for host in [FAR, OTHER, NEAR] {
        world.net.hosts.insert(host.parse().unwrap(), Answer::Taken);
    }
    FarEnds { world, ends: Vec::new(), says: Box::new(says) }
}

impl FarEnds {
    fn settle(&mut self) {
        loop {
            self.world.settle();
            if !self.speak() {
                return;
            }
        }
    }

    fn advance(&mut self, ms: u64) {
        let end = self.world.now + ms;
        while self.world.now < end {
            self.settle();
            self.world.advance(50.min(end - self.world.now));
        }
        self.settle();
    }

    /// Far ends hear what was said, and answer.
    fn speak(&mut self) -> bool {
        let net = &mut self.world.net;
        let mut moved = false;
        for link in 0..net.links.len() {
            let Peer::Ip(to) = net.links[link].arrival.peer else { continue };
            let is_far = [FAR, OTHER, NEAR].iter().any(|host| host.parse() == Ok(to));
            if is_far && self.ends.iter().all(|end| end.link != link) {
                let (heard, app, tc_url) = (VecDeque::new(), String::new(), String::new());
                let (has_greeted, is_live, chunk_bytes, greeting) = (false, false, 128, 1 + 2 * 1536);
                let reel = Bytes::new();
                self.ends.push(End { link, to, heard, greeting, has_greeted, chunk_bytes, app, tc_url, is_live, reel });
            }
        }
        for (number, end) in self.ends.iter_mut().enumerate() {
            let came: Vec<u8> = net.links[end.link].to_client.drain(..).collect();
            moved |= !came.is_empty();
            end.heard.extend(came);
            if !end.has_greeted && end.heard.len() > 1536 {
                end.has_greeted = true;
                let greeting: Bytes = [&[3][..], &[0; 2 * 1536]].concat();
                net.send(end.link, &greeting);
            }
            let greeting = end.greeting.min(end.heard.len());
            end.heard.drain(..greeting);
            end.greeting -= greeting;
            if end.is_live {
                end.reel.extend(end.heard.drain(..));
                continue;
            }
            let said: Vec<u8> = end.heard.drain(..).collect();
            for command in replies_in(&said, &mut end.chunk_bytes) {
                if command.type_id != 20 {
                    continue;
                }
                if command.name() == "connect" {
                    let mut values = Decoder::new(&command.body);
                    let object = (values.value().unwrap(), values.value().unwrap(), values.value().unwrap()).2;
                    let text = |key: &str| object.get(key).unwrap().as_str().unwrap().to_owned();
                    (end.app, end.tc_url) = (text("app"), text("tcUrl"));
                }
                end.is_live |= matches!(command.name(), "publish" | "play");
                let answer = (self.says)(number, &command);
                if answer.is_empty() {
                    continue;
                }
                net.send(end.link, &answer);
                moved = true;
            }
        }
        moved
    }

    /// What the operator sees of the first one.
    fn row(&mut self) -> String {
        let rows = self.world.server.relays(Millis(self.world.now));
        let (does, stream, state, error) = rows[0];
        format!("{does} {stream} {state} {error}")
    }

    fn publish(&mut self) -> usize {
        let publisher = self.world.publisher("cam");
        self.world.send_start(publisher);
        self.settle();
        publisher
    }
}

/// What any server says to a command.
fn usual(command: &Reply) -> Bytes {
    let connected = [object(&[]), info("status", "NetConnection.Connect.Success", "", "")];
    match command.name() {
        "connect" => call(0, "_result", 1.0, &connected),
        "createStream" => call(0, "_result", 4.0, &[null(), number(1.0)]),
        "publish" => call(1, "onStatus", 0.0, &[null(), info("status", "NetStream.Publish.Start", "", "")]),
        "play" => call(1, "onStatus", 0.0, &[null(), info("status", "NetStream.Play.Start", "", "")]),
        _ => Bytes::new(),
    }
}

fn rejects(description: &str) -> Bytes {
    let rejected = info("error", "NetConnection.Connect.Rejected", description, "");
    [call(0, "_error", 1.0, &[null(), rejected]), call(0, "close", 0.0, &[null()])].concat()
}

fn sends_to(url: &str) -> Bytes {
    let of = [
        ("level", string("error")),
        ("code", string("NetConnection.Connect.Rejected")),
        ("ex", object(&[("code", number(302.0)), ("redirect", string(url))])),
    ];
    call(0, "_error", 1.0, &[null(), object(&of)])
}

fn asks_to_reconnect(url: Option<&str>) -> Bytes {
    let mut of = vec![("level", string("status")), ("code", string("NetConnection.Connect.ReconnectRequest"))];
    of.extend(url.map(|url| ("tcUrl", string(url))));
    call(0, "onStatus", 0.0, &[null(), object(&of)])
}

const ADOBE: [&str; 2] = [
    "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ",
    "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=needauth&user=me&salt=c2FsdA==&challenge=b3BhcQ==&opaque=b3BhcQ==",
];
const LLNW: [&str; 2] = [
    "[ AccessManager.Reject ] : [ code=403 need auth; authmod=llnw ] : ",
    "[ AccessManager.Reject ] : [ authmod=llnw ] : ?reason=needauth&user=me&nonce=n0nce",
];

/// A far end that wants to hear of a user: what it says to the first connections, and then.
fn wants_user(says: [&'static str; 2], then: fn(&Reply) -> Bytes) -> impl FnMut(usize, &Reply) -> Bytes {
    move |number, command| match (says.get(number), command.name()) {
        (Some(description), "connect") => rejects(description),
        _ => then(command),
    }
}

#[test]
fn a_user_logs_in_in_either_mode_by_three_connections() {
    for (mode, says) in [("adobe", ADOBE), ("llnw", LLNW)] {
        let mut far = far_ends("rtmp://me:s3cret@192.0.2.1/live/hall/", false, wants_user(says, usual));
        far.publish();
        assert_eq!(far.row(), "push cam running ", "{mode}");
        let apps: Vec<&str> = far.ends.iter().map(|end| end.app.as_str()).collect();
        assert_eq!(apps[..2], ["live/hall", &format!("live/hall?authmod={mode}&user=me")]);
        let query: Vec<(&str, &str)> =
            apps[2].split_once('?').unwrap().1.split('&').map(|field| field.split_once('=').unwrap()).collect();
        let field = |name: &str| query.iter().find(|(known, _)| *known == name).unwrap().1;
        let expected = match mode {
            "adobe" => {
                assert_eq!(field("opaque"), "b3BhcQ==");
                adobe_response(&adobe_hash("me", "c2FsdA==", "s3cret"), "b3BhcQ==", field("challenge"))
            }
            _ => llnw_response(&llnw_hash("me", "s3cret"), "n0nce", field("nc"), field("cnonce"), "live/hall"),
        };
        assert_eq!(field("response"), expected);
        assert_eq!(far.ends[2].tc_url, format!("rtmp://192.0.2.1/{}", apps[2]), "the URL says the same");
        assert!(apps.iter().all(|app| !app.contains("s3cret")), "{apps:?}");
        // The next time it begins anew: each challenge is answered once.
        far.world.net.reset(far.ends[2].link);
        far.advance(2000);
        assert_eq!(far.ends[3].app, "live/hall");
    }
}

#[test]
fn what_keeps_a_user_out_is_said_in_words_and_without_the_password() {
    const LONG: &str = "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=needauth&user=me&salt=x&challenge=y&opaque=\
                        zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz\
                        zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz\
                        zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz";
    let failed = |_: &Reply| rejects("[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=authfailed");
    let mine = "rtmp://me:s3cret@192.0.2.1/live/x";
    for (url, says, words, connections) in [
        (mine, ADOBE, "it says that the user or the password is wrong", 3),
        (mine, [ADOBE[0], ADOBE[0]], "it says that the user or the password is wrong", 2),
        (mine, [ADOBE[1], ADOBE[1]], "it says that the user or the password is wrong", 1),
        (mine, [ADOBE[0], LONG], "what it sends to log in is too long", 2),
        ("rtmp://192.0.2.1/live/x", ADOBE, "it wants a user and a password: rtmp://user:password@host/...", 1),
        (mine, ["[ authmod=other ] : ", ""], "it wants a way of logging in that is not known here", 1),
    ] {
        let mut far = far_ends(url, false, wants_user(says, failed));
        far.publish();
        assert!(far.row().starts_with(&format!("push cam waiting {words}")), "{}", far.row());
        assert_eq!(far.ends.len(), connections, "{words}");
    }
}

#[test]
fn it_goes_where_it_is_sent_and_to_nothing_nearer_and_no_other_scheme() {
    for (url, goes) in [
        ("rtmp://192.0.2.2/live", true),
        ("rtmp://127.0.0.1/live", false),
        ("rtmp://[::1]/live", false),
        ("rtmp://10.0.0.1/live", false),
        ("rtmps://192.0.2.2/live", false),
        ("http://192.0.2.2/live", false),
        ("rtmp://192.0.2.2", false),
    ] {
        let says = move |number: usize, command: &Reply| match (number, command.name()) {
            (0, "connect") => sends_to(url),
            _ => usual(command),
        };
        let mut far = far_ends("rtmp://192.0.2.1/live/", false, says);
        far.publish();
        let went = far.ends.iter().any(|end| end.to != FAR.parse().unwrap());
        assert_eq!(went, goes, "{url}: {}", far.row());
        match goes {
            true => assert_eq!(far.row(), "push cam running "),
            false => assert!(far.row().starts_with("push cam waiting it sends us "), "{url}: {}", far.row()),
        }
    }
}

#[test]
fn who_is_sent_in_a_circle_gives_up() {
    let says = |_: usize, _: &Reply| sends_to("rtmp://192.0.2.1/live");
    let mut far = far_ends("rtmp://192.0.2.1/live/", false, says);
    far.publish();
    assert_eq!(far.row(), "push cam waiting it sends us where we do not go");
    assert_eq!(far.ends.len(), 4);
}

#[test]
fn a_far_end_that_drains_is_left_for_where_it_says_or_connected_to_again() {
    for (url, to) in [(Some("rtmp://192.0.2.2/live"), OTHER), (None, FAR), (Some("/live"), FAR)] {
        let mut far = far_ends("rtmp://192.0.2.1/live/", false, |_, command| usual(command));
        let publisher = far.publish();
        assert_eq!(far.row(), "push cam running ");
        let link = far.ends[0].link;
        far.world.net.send(link, &asks_to_reconnect(url));
        for n in 1..4 {
            far.world.send_all(publisher, 1000 * n, &[Key, Inter, Audio]);
            far.advance(200);
        }
        assert_eq!((far.row().as_str(), far.ends.len()), ("push cam running ", 2), "{url:?}");
        assert_eq!(far.ends[1].to, to.parse().unwrap());
        assert!(far.world.net.links[link].server_closed, "it has left");
    }
}

#[test]
fn a_far_end_that_drains_again_and_again_is_left_alone_for_a_while() {
    let says = |_: usize, command: &Reply| {
        let mut said = usual(command);
        if command.name() == "publish" {
            said.extend(asks_to_reconnect(None));
        }
        said
    };
    let mut far = far_ends("rtmp://192.0.2.1/live/", false, says);
    far.publish();
    far.advance(5000);
    assert_eq!(far.row(), "push cam waiting it sends us away again and again");
    assert_eq!(far.ends.len(), 4);
}

#[test]
fn a_far_end_that_answers_no_more_is_given_up_in_time() {
    for answered in [1, 2] {
        let says =
            move |_: usize, command: &Reply| match ["connect", "createStream"][..answered].contains(&command.name()) {
                true => usual(command),
                false => Bytes::new(),
            };
        let mut far = far_ends("rtmp://192.0.2.1/live/", false, says);
        far.publish();
        far.advance(9000);
        assert_eq!(far.row(), "push cam connecting ", "{answered}");
        far.advance(1500);
        assert!(far.row().ends_with(" it did not answer in time"), "{answered}: {}", far.row());
    }
}

#[test]
fn a_far_end_in_tls_waits_for_the_clock_and_for_a_place() {
    if !cfg!(feature = "tls") {
        return;
    }
    let mut far = far_ends("rtmps://192.0.2.1:1935/live/", false, |_, command| usual(command));
    let noon = far.world.net.started_ms.take();
    far.publish();
    far.advance(11_000);
    assert!(far.row().starts_with("push cam waiting it waits for the clock to be set"), "{}", far.row());
    assert!(far.ends.is_empty());
    far.world.net.started_ms = noon;
    far.world.net.tls_is_full = true;
    far.advance(6000);
    assert!(far.row().ends_with("every connection with TLS is taken (limits.tls_connections)"), "{}", far.row());
    far.world.net.tls_is_full = false;
    far.advance(60_000);
    assert_eq!(far.row(), "push cam running ");
    assert_eq!(far.ends[0].tc_url, "rtmps://192.0.2.1:1935/live");
    assert!(far.world.net.links[far.ends[0].link].arrival.is_secure);
}

/// Pictures in HEVC and sound in AAC and Opus, in the forms that Enhanced RTMP has, all at the same time.
const ENHANCED: [(u8, &[u8]); 7] = [
    (9, b"\x90hvc1record"),
    (8, b"\x95\x00Opus\x00head"),
    (9, b"\x96\x03hvc1\x00key"),
    (9, b"\x96\x03av01\x01other"),
    (8, b"\x91mp4aframe"),
    (8, b"\x91Opusframe"),
    (9, b"\xA7\x02\0\0\x01\x03hvc1picture"),
];

/// What of [`ENHANCED`] a far end is sent that says this when it is connected to, and what the log says is left out.
fn sent_to(announces: &[(&str, Bytes)]) -> (Vec<Bytes>, Vec<String>) {
    keep_log();
    let success = [("level", string("status")), ("code", string("NetConnection.Connect.Success"))];
    let connected = call(0, "_result", 1.0, &[object(&[]), object(&[&success[..], announces].concat())]);
    let says = move |_: usize, command: &Reply| match command.name() {
        "connect" => connected.clone(),
        _ => usual(command),
    };
    let mut far = far_ends("rtmp://192.0.2.1/live/x", false, says);
    let publisher = far.world.publisher("cam");
    far.settle();
    for (type_id, body) in ENHANCED {
        far.world.clients[publisher].message(type_id - 4, type_id, 1, 0, body);
        far.settle();
    }
    let End { reel, chunk_bytes, .. } = &mut far.ends[0];
    let sent = replies_in(reel, chunk_bytes).into_iter().filter(|sent| matches!(sent.type_id, 8 | 9));
    let lines = logged("push leaves out ");
    let left_out = lines.iter().map(|line| {
        let codec = line.split("leaves out ").nth(1).unwrap();
        codec.split(':').next().unwrap().to_owned()
    });
    (sent.map(|sent| sent.body).collect(), left_out.collect())
}

#[test]
fn codecs_and_forms_go_to_a_far_end_that_has_announced_them_and_others_as_what_they_equal() {
    let list =
        |codecs: &[&str]| ("fourCcList", strict_array(&codecs.iter().map(|codec| string(codec)).collect::<Vec<_>>()));
    let all: Vec<Bytes> = ENHANCED.iter().map(|(_, body)| body.to_vec()).collect();
    let aac = b"\xAF\x01frame".to_vec();
    // nginx-rtmp and SRS announce nothing.
    assert_eq!(sent_to(&[]), (vec![aac.clone()], vec!["HEVC".to_owned(), "Opus".to_owned()]));
    // The first version knew codecs of pictures alone, and neither tracks nor modified messages.
    let plain = [&b"\x90hvc1record"[..], b"\x93hvc1key", &aac, b"\xA3hvc1picture"].map(<[u8]>::to_vec);
    assert_eq!(sent_to(&[list(&["av01", "vp09", "hvc1"])]), (plain.to_vec(), vec!["Opus".to_owned()]));
    let (video, audio) = (object(&[("*", number(4.0))]), object(&[("Opus", number(1.0)), ("mp4a", number(2.0))]));
    let maps = [("videoFourCcInfoMap", video), ("audioFourCcInfoMap", audio), ("capsEx", number(3.0))];
    let mut known = all.clone();
    (known[4], known[6]) = (aac, plain[3].clone());
    assert_eq!(sent_to(&maps), (known, vec![]));
    // Rill's own like.
    assert_eq!(sent_to(&[list(&["*"]), ("capsEx", number(15.0))]), (all, vec![]));
}

#[test]
fn aggregates_of_an_origin_are_taken_apart() {
    let mut far = far_ends("rtmp://192.0.2.1/live/x", true, |_, command| usual(command));
    far.advance(500);
    let link = far.ends[0].link;
    let (header, sound_header) = ([0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x1F, 0xFF], [0xAF, 0, 0x12, 0x10]);
    let (picture, sound) = ([&[0x17, 1, 0, 0, 0][..], &[0xAB; 300]].concat(), [&[0xAF, 1][..], &[0xCD; 90]].concat());
    let metadata = [string("onMetaData"), object(&[("width", number(640.0))])].concat();
    let begin = [tag(18, 1000, &metadata), tag(9, 1000, &header), tag(8, 1000, &sound_header)].concat();
    let media = [tag(9, 1000, &picture), tag(8, 1020, &sound)].concat();
    far.world.net.send(link, &message(6, 500, 22, 1, &begin));
    far.world.net.send(link, &message(6, 520, 22, 1, &media));
    far.settle();
    let viewer = Browser::new(&mut far.world, 1 << 20);
    viewer.get(&mut far.world, "/live/cam.flv");
    far.advance(100);
    far.world.net.send(link, &message(6, 540, 22, 1, &media));
    // One that is cut short in its second tag leaves the first.
    far.world.net.send(link, &message(6, 560, 22, 1, &media[..media.len() - 40]));
    far.world.net.send(link, &message(6, 580, 22, 1, &media));
    far.advance(500);
    let came = viewer.read(&mut far.world, 1 << 20);
    let count = |part: &[u8]| came.windows(part.len()).filter(|bytes| *bytes == part).count();
    assert_eq!((count(&picture), count(&sound)), (4, 3), "{came:?}");
    assert_eq!((count(&header), count(&sound_header)), (1, 1));
    assert_eq!(far.row(), "pull cam running ");
}

/// Messages that no server sends: each is heard for as long as it likes.
fn nonsense() -> Vec<(&'static str, Bytes)> {
    let endless = |type_id: u8| {
        let mut bytes = vec![3, 0, 0, 0, 0xFF, 0xFF, 0xFF, type_id, 0, 0, 0, 0];
        for _ in 0..2000 {
            bytes.extend([0; 128]);
            bytes.push(0xC3);
        }
        bytes
    };
    let deep = [command_body("onStatus", 0.0, &[]), vec![3; 4000]].concat();
    let mut many = Bytes::new();
    for _ in 0..500 {
        many.extend(call(0, "onBWDone", 0.0, &[null()]));
        many.extend(message(2, 0, 4, 0, &[0, 6, 0, 0, 0, 1]));
        many.extend(message(2, 0, 5, 0, &[0, 0, 0, 1]));
    }
    vec![
        ("random", (0..20_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect()),
        ("an endless command", endless(20)),
        ("endless data", endless(18)),
        ("an endless picture", endless(9)),
        ("endless control", endless(4)),
        ("a deep object", message(3, 0, 20, 0, &deep)),
        ("many pings, calls and windows", many),
        ("an object without an end", message(3, 0, 20, 0, &properties(&[("level", string("error"))]))),
        ("a chunk size of nothing", message(2, 0, 1, 0, &[0, 0, 0, 0])),
        ("an empty command", message(3, 0, 20, 0, &[])),
    ]
}

#[test]
fn nonsense_of_a_far_end_never_touches_who_watches_here() {
    for pulls in [false, true] {
        for (what, bytes) in nonsense() {
            // At each step: before it has connected, and when it runs.
            for step in ["connect", "createStream", "begun"] {
                let bytes = bytes.clone();
                let sent = bytes.clone();
                let says = move |_: usize, command: &Reply| match command.name() == step {
                    true => bytes.clone(),
                    false => usual(command),
                };
                let mut far = far_ends("rtmp://192.0.2.1/live/x", pulls, says);
                let name = if pulls { "mine" } else { "cam" };
                let publisher = far.world.publisher(name);
                let player = far.world.player(name);
                far.world.send_start(publisher);
                far.settle();
                if step == "begun" {
                    let link = far.ends[0].link;
                    far.world.net.send(link, &sent);
                }
                for n in 1..30 {
                    far.world.send_all(publisher, 1000 * n, &[Key, Inter, Audio]);
                    far.advance(1000);
                }
                let heard = far.world.heard(player);
                let keys = heard.iter().filter(|line| line.ends_with(" key")).count();
                assert_eq!(keys, 30, "{what} at {step}: {heard:?}");
            }
        }
    }
}
