//! Everything at once, at random.

use std::net::SocketAddr;

use rill::live::app::{AddressList, AppDefinition, AppKind, Bandwidth};
use rill::live::hook_settings::{HookEvent, HookUrl};
use rill::live::relay_settings::{FarUrl, PushSettings};
use rill::live::settings::{Merge, PerAddress, Settings};
use rill::live::users::{LogInRules, LogInWay, User, Users};
use rill::rtmp::authmod::{adobe_hash, llnw_hash};
use rill::server::peer::Peer;
use rill::wire::script_link::Handler;

use super::rtmp::{call, info, null, number, object};
use super::sim::Random;
use super::sim::browser::Browser;
use super::sim::client::Doing;
use super::sim::ledger::Kind;
use super::sim::net::{Answer, BACK_END, Mood};
use super::sim::world::{Directory, World, apps, scripted, settings};

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
/// Where clients connect to, most of them to the first; and what they put before their streams' names, so that each name is
/// one stream.
const HOMES: [(&str, &str); 5] =
    [("live", ""), ("live/b", "b-"), ("chat", "chat-"), ("chat/room", "room-"), ("none", "")];
/// What a directory may come to say that is no busy application.
const SCRIPTS: [&str; 5] = [
    "",
    "application.onConnect = function (",
    "application.onConnect = function () { return false; };",
    "application.onPublish = function () { while (true) { } };",
    "application.onAppStart = function () { application.shutdown(); };",
];
/// Where streams are sent to.
const FAR: [&str; 2] = ["192.0.2.1:1935", "192.0.2.2:1935"];
/// What a back end may say.
const VERDICTS: [&str; 7] = [
    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 500 Oh\r\nContent-Length: 9\r\n\r\nno",
    "HTTP/1.1 302 Found\r\nLocation: rtmp://192.0.2.1/far/x\r\nContent-Length: 0\r\n\r\n",
    "SSH-2.0-no\r\n",
];
/// Half of the ring: what is larger is dropped.
const LARGEST: usize = 32 << 10;

struct Storm {
    world: World,
    random: Random,
    /// Each publication's first timestamp, the server's time then, and the timestamp of its last message.
    clocks: Vec<(u32, u64)>,
    /// Which of [`HOMES`] each client is from.
    homes: Vec<usize>,
    /// Clients of HTTP.
    browsers: Vec<Browser>,
    /// Of the last change to a directory.
    stamp: u64,
    /// Connections that the server has made.
    ends: Vec<End>,
    /// Of what is beyond the server, whose storm it is as well.
    beyond: Random,
}

/// A far end, or a back end.
struct End {
    link: usize,
    heard: usize,
    /// How many of its answers it has given.
    said: usize,
}

/// One run, and its world when all have left.
pub fn run(mut random: Random) -> World {
    let seed = random.next();
    let mut beyond = Random::new(seed ^ 0xBE_104D);
    let relays = 1 + beyond.below(4) as u32;
    let settings = Settings {
        streams: 1 + random.below(4) as u32,
        connections: 8 + random.below(8) as u32,
        merge: Merge::Fixed([0, 0, 30][random.below(3)]),
        gop_cache: !random.chance(20),
        player_lag_ms: [150, 400, 1000][random.below(3)],
        publish_timeout_ms: [0, 500, 1000][random.below(3)],
        // Fast clients are not sent megabytes.
        bandwidth: Bandwidth { max_kbit: 2000, max_wait_ms: 500, ..Bandwidth::default() },
        connections_per_address: PerAddress::Fixed(if random.chance(10) { 2 } else { 0 }),
        script_answer_ms: 2000,
        hooks: 2,
        relays,
        ..settings()
    };
    // With code of its own an application meets the same storm; and when it is a directory, an operator as well.
    let busy = include_str!("storm.asc");
    let mut world = match random.below(5) {
        0 => World::scripted(settings, busy, seed),
        1 => World::with(settings, seed),
        scripts => {
            let settings = Settings {
                applications: 2 + random.below(3) as u32,
                script_instances: 1 + random.below(4) as u32,
                ..settings
            };
            let live = if scripts == 2 { apps().remove(0) } else { scripted("live", busy) };
            let limited = |app| limited(app, &settings);
            let directories = vec![
                outward(limited(live), &mut beyond),
                outward(limited(scripted("chat", busy)), &mut beyond),
                limited(with_users("users")),
            ];
            World::on_disk_with(settings, directories, seed)
        }
    };
    for host in hosts() {
        world.net.hosts.insert(host, Answer::Taken);
    }
    world.films.put("live/film.mp4", vec![7; 150_000]);
    world.ledger.rings_scarce = (world.server.settings().streams as usize) < NAMES.len();
    let widest = [1000, 5000, 20_000][random.below(3)];
    world.window = 300 + random.below(widest);
    world.net.spurious = [0, 0, 20][random.below(3)];
    let mut storm = Storm {
        world,
        random,
        clocks: Vec::new(),
        homes: Vec::new(),
        browsers: Vec::new(),
        stamp: 1,
        ends: Vec::new(),
        beyond,
    };
    let steps = 40 + storm.random.below(120);
    for _ in 0..steps {
        if storm.random.has_ended() {
            break;
        }
        storm.step();
        storm.world.settle();
        storm.far_away();
        storm.world.check_counts();
    }
    storm.calm_down();
    storm.world
}

/// As an application is that says nothing of its clients' bandwidth.
fn limited(mut app: AppDefinition, settings: &Settings) -> AppDefinition {
    app.limits.bandwidth = settings.bandwidth;
    app
}

/// An application that sends what it has to others, and asks a back end.
fn outward(mut app: AppDefinition, random: &mut Random) -> AppDefinition {
    for far in FAR {
        if random.chance(40) {
            let url = FarUrl::parse(&format!("rtmp://{far}/far/")).unwrap();
            let names = vec![["*", "a", "b*"][random.below(3)].to_owned()];
            app.relays.pushes.push(PushSettings { url, names, key_from: None, key: String::new() });
        }
    }
    for event in HookEvent::ALL {
        if random.chance(15) {
            app.hooks.set_url(event, Some(HookUrl::parse(&format!("http://{BACK_END}/{}", event.name())).unwrap()));
        }
    }
    app
}

/// Whom the server may connect to.
fn hosts() -> [SocketAddr; 3] {
    let [one, other] = FAR.map(|far| far.parse().unwrap());
    [one, other, BACK_END]
}

/// An application for who has a password.
fn with_users(name: &str) -> AppDefinition {
    let (mut users, salt) = (Users::default(), "c2FsdA==");
    users.put(User::new("cam", salt, &adobe_hash("cam", salt, "s3cret"), &llnw_hash("cam", "s3cret")).unwrap());
    let log_in = LogInRules { way: LogInWay::Adobe, file: None, users: Some(users) };
    AppDefinition { log_in, ..AppDefinition::stock(heapless::String::try_from(name).unwrap(), AppKind::Live) }
}

impl Storm {
    /// Far ends and back ends come and go, hear, answer late, wrongly or not at all.
    fn far_away(&mut self) {
        if self.world.disk.is_empty() {
            return;
        }
        let hosts = hosts();
        for host in hosts {
            if self.beyond.chance(5) {
                let answer = [Answer::Taken, Answer::Taken, Answer::Refused, Answer::Nothing][self.beyond.below(4)];
                self.world.net.hosts.insert(host, answer);
            }
        }
        for link in self.ends.last().map_or(0, |end| end.link + 1)..self.world.net.links.len() {
            if matches!(self.world.net.links[link].arrival.peer, Peer::Ip(to) if hosts.contains(&to)) {
                self.ends.push(End { link, heard: 0, said: 0 });
            }
        }
        for end in &mut self.ends {
            let link = &mut self.world.net.links[end.link];
            if link.server_closed || link.client_reset || link.unplugged {
                continue;
            }
            let is_back_end = link.arrival.peer == Peer::Ip(BACK_END);
            // Some read slowly.
            let most = if self.beyond.chance(80) { usize::MAX } else { self.beyond.below(2000) };
            end.heard += link.to_client.drain(..most.min(link.to_client.len())).count();
            let answer = match (is_back_end, end.said) {
                _ if end.heard == 0 => continue,
                (true, 0) => VERDICTS[self.beyond.below(VERDICTS.len())].as_bytes().to_vec(),
                (false, 0) if end.heard > 1536 => [&[3][..], &[0; 2 * 1536]].concat(),
                (false, 1) => {
                    call(0, "_result", 1.0, &[object(&[]), info("status", "NetConnection.Connect.Success", "", "")])
                }
                (false, 2) => call(0, "_result", 4.0, &[null(), number(1.0)]),
                (false, 3) if self.beyond.chance(80) => {
                    call(1, "onStatus", 0.0, &[null(), info("status", "NetStream.Publish.Start", "", "")])
                }
                (false, 3) => call(1, "onStatus", 0.0, &[null(), info("error", "NetStream.Publish.BadName", "", "")]),
                _ => Vec::new(),
            };
            match self.beyond.below(40) {
                0 => self.world.net.reset(end.link),
                1 => self.world.net.fin(end.link),
                2 => link.unplugged = true,
                3 => {
                    let noise: Vec<u8> = (0..self.beyond.below(300)).map(|_| self.beyond.next() as u8).collect();
                    self.world.net.send(end.link, &noise);
                }
                // Not now.
                4..12 => {}
                _ if answer.is_empty() => {}
                _ => {
                    self.world.net.send(end.link, &answer);
                    end.said += 1;
                }
            }
        }
        if self.beyond.chance(8) {
            self.wrong_password();
        }
        self.world.settle();
    }

    /// Somebody who has heard of a user, and not of the password.
    fn wrong_password(&mut self) {
        let c = self.dial();
        let client = &mut self.world.clients[c];
        client.lenient = true;
        client.handshake();
        let said = "challenge=c0ffee00&response=d3JvbmcgcGFzc3dvcmQhIQ==&opaque=c0ffee00";
        let query = ["", "?authmod=adobe&user=cam", "?authmod=adobe&user=me", said][self.beyond.below(4)];
        let query = if query == said { format!("?authmod=adobe&user=cam&{said}") } else { query.to_owned() };
        client.command(0, "connect", |amf| {
            amf.object_begin().unwrap();
            amf.property_string("app", &format!("users{query}")).unwrap();
            amf.property_string("type", "nonprivate").unwrap();
            amf.property_string("flashVer", "FMLE/3.0 (compatible; simulation)").unwrap();
            amf.object_end().unwrap();
        });
    }

    fn step(&mut self) {
        log::debug!("-- {} ms", self.world.now);
        if self.world.net.hosts_started > 0 && self.random.chance(8) {
            self.script_processes();
        }
        if self.random.chance(10) {
            self.browser();
        }
        match self.random.below(100) {
            0..8 => self.newcomer(true),
            8..18 => self.newcomer(false),
            18..60 => self.media(),
            60..64 => self.pace(),
            64..67 => self.bandwidth(),
            67..72 => self.leave(),
            72..84 => self.player_command(),
            84..88 => self.publisher_command(),
            88..90 => self.nonsense(),
            90..93 => self.operator(),
            93..96 => {
                // A while of nothing but media, in which the slow fall behind.
                for _ in 0..12 {
                    self.media();
                    self.world.advance(50);
                }
            }
            _ => {
                let ms = [5, 40, 200, 700, 4000][self.random.below(5)];
                self.world.advance(ms);
            }
        }
    }

    fn newcomer(&mut self, publishes: bool) {
        let c = self.dial();
        let elsewhere = if self.world.disk.is_empty() { 2 } else { 25 };
        let home = if self.random.chance(elsewhere) { self.random.below(HOMES.len()) } else { 0 };
        self.homes[c] = home;
        let (name, other) = (self.name(c), self.name(c));
        let short = if self.random.chance(40) { 1 + self.random.below(400) } else { 0 };
        let client = &mut self.world.clients[c];
        self.world.net.links[client.link].short = short;
        client.handshake();
        client.connect(HOMES[home].0);
        client.create_stream();
        if self.random.chance(30) {
            client.set_chunk_size(1 + self.random.below(5000));
        }
        if publishes {
            client.publish(1, &name);
        } else {
            client.play(1, &name);
            if self.random.chance(30) {
                client.create_stream();
                client.play(2, &other);
            }
        }
        if self.random.chance(10) {
            let keep = self.random.below(client.out.len());
            client.out.truncate(keep);
            client.lenient = true;
        }
    }

    fn dial(&mut self) -> usize {
        self.homes.push(0);
        self.world.dial()
    }

    /// One of the names where the client is at home.
    fn name(&mut self, c: usize) -> String {
        let (_, prefix) = HOMES[self.homes[c]];
        format!("{prefix}{}", NAMES[self.random.below(NAMES.len())])
    }

    fn client_who(&mut self, does: impl Fn(&Doing) -> bool) -> Option<(usize, u32)> {
        let mut found = Vec::new();
        for (c, client) in self.world.clients.iter().enumerate() {
            let gone = client.ended || self.world.net.links[client.link].unplugged;
            for (stream, doing) in client.doing.iter().enumerate() {
                if !gone && !client.lenient && does(doing) {
                    found.push((c, stream as u32));
                }
            }
        }
        if found.is_empty() { None } else { Some(found[self.random.below(found.len())]) }
    }

    fn media(&mut self) {
        let Some((c, stream)) = self.client_who(|doing| matches!(doing, Doing::Publishing(_))) else {
            return self.newcomer(true);
        };
        let publication = self.world.clients[c].publication(stream).unwrap();
        let start = self.random.next() as u32;
        let now = self.world.now;
        if self.clocks.len() <= publication as usize {
            self.clocks.resize(publication as usize + 1, (start, now));
        }
        let (base, since) = self.clocks[publication as usize];
        let timestamp = base.wrapping_add((now - since) as u32);
        for i in 0..1 + self.random.below(6) {
            let seq = self.world.ledger.of(publication).sent.len();
            let radio = publication % 5 == 4;
            let kind = match (seq, self.random.below(20)) {
                (0, _) => [Kind::Metadata, Kind::AudioHeader][usize::from(radio)],
                (1, _) if !radio => Kind::VideoHeader,
                (2, _) if !radio => Kind::AudioHeader,
                (_, 0) => Kind::Metadata,
                (_, 1) => Kind::Cue,
                (_, 2) => Kind::AudioHeader,
                (_, 3..8) => Kind::Audio,
                _ if radio => Kind::Audio,
                (_, 8) => Kind::VideoHeader,
                (_, 9..12) => Kind::Key,
                _ => Kind::Inter,
            };
            let length = match self.random.below(40) {
                0 => LARGEST + 100 + self.random.below(3000),
                1 => 20_000,
                2..5 => self.random.below(4000),
                _ => 20 + self.random.below(300),
            };
            let length = if kind.is_cached() { length.min(500) } else { length };
            self.world.send(c, stream, kind, timestamp.wrapping_add(i as u32), length);
            let sent = self.world.ledger.of(publication).sent.last_mut().unwrap();
            sent.dropped |= kind.type_id() != 18 && length > LARGEST;
            if length > 10_000 {
                // Each gets its turn before the ring is full: in a merge window nothing is read.
                let window_ms = if self.world.server.settings().merge == Merge::Fixed(0) { 0 } else { 31 };
                self.world.advance(window_ms);
                if self.world.clients[c].ended {
                    return;
                }
            }
        }
        // So that time does not go back at the next call.
        self.world.advance(6);
    }

    fn pace(&mut self) {
        let Some((c, _)) = self.client_who(|doing| matches!(doing, Doing::Watching(_))) else { return };
        if self.world.clients[c].doing.iter().any(|doing| matches!(doing, Doing::Publishing(_))) {
            // What is published when would not be known.
            return;
        }
        match self.random.below(3) {
            0 => self.world.slow(c, 0),
            1 => {
                let quickest = [5, 30][self.random.below(2)];
                let rate = 1 + self.random.below(quickest);
                self.world.slow(c, rate);
            }
            _ => self.world.clients[c].rate = None,
        }
    }

    /// Limits, and measurements of whoever they are for, which answer or do not.
    fn bandwidth(&mut self) {
        let Some((c, _)) = self.client_who(|doing| !matches!(doing, Doing::Publishing(_))) else { return };
        if self.world.clients[c].doing.iter().any(|doing| matches!(doing, Doing::Publishing(_))) {
            return;
        }
        let bytes_s = [0, 500, 5000, 50_000][self.random.below(4)];
        match self.random.below(5) {
            0 => self.world.limit(c, Some(bytes_s), None),
            1 => self.world.limit(c, None, Some(bytes_s)),
            2 => self.world.clients[c].command(0, "_checkbw", |amf| amf.null().unwrap()),
            _ => {
                let answers = [Some("_result"), Some("_result"), Some("_error"), None];
                let client = &mut self.world.clients[c];
                client.bandwidth_answer = answers[self.random.below(4)];
                client.command(0, "checkBandwidth", |amf| amf.null().unwrap());
            }
        }
    }

    fn leave(&mut self) {
        if self.world.clients.is_empty() {
            return;
        }
        let c = self.random.below(self.world.clients.len());
        if self.world.clients[c].ended || self.world.net.links[self.world.clients[c].link].unplugged {
            return;
        }
        if self.world.clients[c].publication(1).is_some() && self.random.chance(50) {
            // In the middle of a frame.
            self.world.clients[c].out.extend([6, 0, 0, 0, 0, 3, 0xE8, 9, 1, 0, 0, 0]);
            self.world.clients[c].out.extend([0x27; 60]);
            self.world.settle();
        }
        match self.random.below(3) {
            0 => self.world.hang_up(c),
            1 => self.world.reset(c),
            _ => self.world.unplug(c),
        }
    }

    fn player_command(&mut self) {
        let Some((c, stream)) = self.client_who(|doing| matches!(doing, Doing::Watching(_))) else { return };
        let on = self.random.chance(50);
        let name = self.name(c);
        let what = self.random.below(9);
        let client = &mut self.world.clients[c];
        // Without an answer to its last play it does not know which one this is about.
        client.was_slow |= !client.asked[stream as usize].is_empty();
        let watch = client.watch(stream);
        watch.may_skip |= what != 8;
        match what {
            0 | 1 => client.flag(stream, "pause", on),
            2 => {
                watch.video_optional = true;
                client.flag(stream, "receiveVideo", on);
            }
            3 => {
                watch.audio_optional = true;
                client.flag(stream, "receiveAudio", on);
            }
            4 => client.close_stream(stream),
            5 => client.play(stream, &name),
            6 => client.play2(stream, &name),
            7 => client.delete_stream(stream),
            _ => client.seek(stream, self.random.below(20_000) as f64),
        }
    }

    fn publisher_command(&mut self) {
        let Some((c, stream)) = self.client_who(|doing| matches!(doing, Doing::Publishing(_))) else { return };
        let name = self.name(c);
        let client = &mut self.world.clients[c];
        match self.random.below(4) {
            0 => client.close_stream(stream),
            1 => {
                client.close_stream(stream);
                client.publish(stream, &name);
            }
            2 => {
                client.create_stream();
                client.play(stream % 7 + 2, &name);
            }
            _ => client.set_chunk_size(1 + self.random.below(3000)),
        }
        // A client that publishes anew waits for the answer, which takes as long as a merge window, or until its script has
        // time again.
        self.world.advance(31);
        for _ in 0..100 {
            let client = &self.world.clients[c];
            if client.ended || client.asked[stream as usize].is_empty() {
                return;
            }
            self.world.advance(31);
        }
    }

    /// Somebody who looks after the server, and after its directories; and the disk that they are on.
    fn operator(&mut self) {
        let home = self.random.below(HOMES.len());
        let (app, instance) = HOMES[home].0.split_once('/').map_or((HOMES[home].0, None), |(app, of)| (app, Some(of)));
        match self.random.below(8) {
            0 | 1 if !self.world.clients.is_empty() => {
                let c = self.random.below(self.world.clients.len());
                self.world.disconnect(c);
            }
            0..3 => {
                self.world.unload_instance(app, instance);
            }
            3 => {
                self.world.disk.remove(app);
            }
            4 | 5 => {
                self.stamp += 1;
                let text =
                    if self.random.chance(60) { include_str!("storm.asc") } else { SCRIPTS[self.random.below(5)] };
                let mut app = limited(scripted(app, text), self.world.server.settings());
                app = outward(app, &mut self.beyond);
                app.stamp = self.stamp;
                if self.random.chance(20) {
                    app.rules.set_connect(AddressList::parse(["deny 10.0.0.0/28", "allow all"]).unwrap());
                }
                self.world.disk.insert(app.name.to_string(), Directory::Good(Box::new(app)));
            }
            6 if self.random.chance(20) => {
                self.world.disk.insert(app.to_owned(), Directory::Broken);
            }
            _ => self.world.disk_late_ms = [0, 50, 400, 3000][self.random.below(4)],
        }
    }

    /// What becomes of script processes, and of the machine that is to run them.
    fn script_processes(&mut self) {
        let net = &mut self.world.net;
        match self.random.below(8) {
            0 => {
                let (number, lost) = (self.random.below(2), self.random.below(400));
                net.kill(number, lost);
            }
            1 => net.mood = Mood::Stopped,
            2 => {
                net.mood = Mood::Hanging;
                let instances: Vec<_> = self.world.server.instances().iter().map(|(_, it)| it.script).collect();
                let blamed = instances.get(self.random.below(instances.len() + 1));
                net.doing = blamed.map(|&script| (script, Handler::Call));
            }
            3 => net.mood = Mood::Missing,
            4 => net.hosts_late_ms = [0, 5, 60][self.random.below(3)],
            _ => (net.mood, net.doing) = (Mood::Fine, None),
        }
    }

    /// Somebody who speaks HTTP: comes and asks, asks more, reads some of it, or goes.
    fn browser(&mut self) {
        if self.browsers.is_empty() || self.random.chance(30) {
            let widest = [500, 5000, 100_000][self.random.below(3)];
            let browser = Browser::new(&mut self.world, 200 + self.random.below(widest));
            if self.random.chance(40) {
                self.world.net.links[browser.0].short = 1 + self.random.below(400);
            }
            self.browsers.push(browser);
        }
        let browser = self.browsers[self.random.below(self.browsers.len())];
        match self.random.below(10) {
            0..5 => {
                let mut request = self.request();
                if self.random.chance(10) {
                    request.truncate(self.random.below(request.len()));
                }
                browser.send(&mut self.world, &request);
            }
            5 => browser.send(&mut self.world, &[0x89, 0x80, 1, 2, 3, 4]),
            6 => browser.hang_up(&mut self.world),
            7 if self.random.chance(30) => match self.random.below(2) {
                0 => self.world.net.reset(browser.0),
                _ => self.world.net.links[browser.0].unplugged = true,
            },
            _ => {
                let most = 1 + self.random.below(5000);
                browser.read(&mut self.world, most);
            }
        }
    }

    fn request(&mut self) -> Vec<u8> {
        let (home, prefix) = HOMES[if self.random.chance(20) { self.random.below(HOMES.len()) } else { 0 }];
        let stream = format!("/{home}/{prefix}{}", NAMES[self.random.below(NAMES.len())]);
        let (path, upgrades) = match self.random.below(12) {
            0 | 1 => (format!("{stream}.flv"), self.random.chance(50)),
            2..5 => (format!("{stream}.mp4?say=it"), self.random.chance(70)),
            5 => (format!("{stream}.key.mp4"), false),
            6 => (format!("{stream}.m3u8"), false),
            7 => ("/api/status".to_owned(), false),
            8 => ("/api/events".to_owned(), false),
            9 => (format!("/vod-files/{home}/film.mp4"), false),
            _ => ("/routes".to_owned(), false),
        };
        let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        let method = if self.random.chance(10) { "HEAD" } else { "GET" };
        let version = if self.random.chance(10) { "1.0" } else { "1.1" };
        let fields = if upgrades { upgrade } else { "" };
        format!("{method} {path} HTTP/{version}\r\nHost: rill.local\r\n{fields}\r\n").into_bytes()
    }

    fn nonsense(&mut self) {
        let c = self.dial();
        let mut bytes: Vec<u8> = (0..self.random.below(400)).map(|_| self.random.next() as u8).collect();
        let client = &mut self.world.clients[c];
        client.lenient = true;
        if self.random.chance(70) {
            client.handshake();
            client.connect("live");
            client.out.append(&mut bytes);
        } else {
            client.out = bytes;
        }
    }

    /// Whoever can reads all; then everybody leaves, one way or another, and nothing may be left.
    fn calm_down(&mut self) {
        self.world.disk_late_ms = 0;
        self.world.net.mood = Mood::Fine;
        self.world.net.hosts_late_ms = 0;
        // Nobody waits for who does not answer.
        self.world.net.hosts.clear();
        for link in 0..self.world.net.links.len() {
            if matches!(self.world.net.links[link].arrival.peer, Peer::Ip(to) if hosts().contains(&to)) {
                self.world.net.links[link].unplugged = false;
                self.world.net.reset(link);
            }
        }
        for c in 0..self.world.clients.len() {
            self.world.limit(c, Some(0), Some(0));
        }
        for client in &mut self.world.clients {
            if !self.world.net.links[client.link].unplugged && !self.world.net.links[client.link].client_fin {
                client.rate = None;
            }
        }
        self.world.advance(200);
        self.world.check_delivered();
        for client in &self.world.clients {
            let link = &self.world.net.links[client.link];
            if client.rate.is_none() && !client.ended && !link.client_reset {
                assert!(client.lenient || client.is_between_messages(), "a message was begun and not completed");
            }
        }
        if self.random.chance(20) {
            self.world.stop();
            self.world.advance(2000);
            return self.world.check_empty();
        }
        for c in 0..self.world.clients.len() {
            if self.random.chance(30) && !self.world.clients[c].ended {
                self.world.unplug(c);
            }
        }
        for browser in &self.browsers {
            self.world.net.fin(browser.0);
        }
        self.world.advance(100);
        for c in 0..self.world.clients.len() {
            if !self.world.clients[c].ended && !self.world.net.links[self.world.clients[c].link].unplugged {
                self.world.hang_up(c);
            }
        }
        self.world.advance(40_000);
        // What scripts say of each who leaves is taken by the kernels of those who are unplugged: they are found out later.
        for _ in 0..10 {
            if !self.world.server.is_empty() {
                self.world.advance(20_000);
            }
        }
        self.world.check_empty();
    }
}
