//! Everything at once, at random.

use rill::server::Counters;
use rill::server::app::Bandwidth;
use rill::server::settings::{Merge, Settings};

use super::sim::Random;
use super::sim::client::Doing;
use super::sim::ledger::Kind;
use super::sim::world::{World, settings};

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
/// Half of the ring: what is larger is dropped.
const LARGEST: usize = 32 << 10;

struct Storm {
    world: World,
    random: Random,
    /// Each publication's first timestamp, the server's time then, and the timestamp of its last message.
    clocks: Vec<(u32, u64)>,
}

/// One run, and the server's counters when all have left.
pub fn run(seed: u64) -> Counters {
    let mut random = Random::new(seed);
    let settings = Settings {
        streams: 1 + random.below(4) as u32,
        connections: 8 + random.below(8) as u32,
        merge: Merge::Fixed([0, 0, 30][random.below(3)]),
        gop_cache: !random.chance(20),
        player_lag_ms: [150, 400, 1000][random.below(3)],
        publish_timeout_ms: [0, 500, 1000][random.below(3)],
        // Fast clients are not sent megabytes.
        bandwidth: Bandwidth { max_kbit: 2000, max_wait_ms: 500, ..Bandwidth::default() },
        connections_per_address: if random.chance(10) { 2 } else { 0 },
        ..settings()
    };
    // With code of its own an application meets the same storm.
    let mut world = match random.chance(40) {
        true => World::scripted(settings, include_str!("storm.asc"), seed),
        false => World::with(settings, seed),
    };
    world.ledger.rings_scarce = (world.server.settings().streams as usize) < NAMES.len();
    let widest = [1000, 5000, 20_000][random.below(3)];
    world.window = 300 + random.below(widest);
    world.net.spurious = [0, 0, 20][random.below(3)];
    let mut storm = Storm { world, random, clocks: Vec::new() };
    let steps = 40 + storm.random.below(120);
    for _ in 0..steps {
        storm.step();
        storm.world.settle();
    }
    storm.calm_down();
    *storm.world.server.counters()
}

impl Storm {
    fn step(&mut self) {
        log::debug!("-- {} ms", self.world.now);
        match self.random.below(100) {
            0..8 => self.newcomer(true),
            8..18 => self.newcomer(false),
            18..60 => self.media(),
            60..64 => self.pace(),
            64..67 => self.bandwidth(),
            67..72 => self.leave(),
            72..84 => self.player_command(),
            84..88 => self.publisher_command(),
            88..91 => self.nonsense(),
            91..94 => {
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
        let c = self.world.dial();
        let name = NAMES[self.random.below(NAMES.len())];
        let short = if self.random.chance(40) { 1 + self.random.below(400) } else { 0 };
        let client = &mut self.world.clients[c];
        self.world.net.links[client.link].short = short;
        client.handshake();
        client.connect("live");
        client.create_stream();
        if self.random.chance(30) {
            client.set_chunk_size(1 + self.random.below(5000));
        }
        if publishes {
            client.publish(1, name);
        } else {
            client.play(1, name);
            if self.random.chance(30) {
                client.create_stream();
                client.play(2, NAMES[self.random.below(NAMES.len())]);
            }
        }
        if self.random.chance(10) {
            let keep = self.random.below(client.out.len());
            client.out.truncate(keep);
            client.lenient = true;
        }
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
            sent.dropped = kind.type_id() != 18 && length > LARGEST;
            if length > 10_000 {
                // Each gets its turn before the ring is full.
                self.world.settle();
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
        let name = NAMES[self.random.below(NAMES.len())];
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
            5 => client.play(stream, name),
            6 => client.play2(stream, name),
            7 => client.delete_stream(stream),
            _ => client.command(stream, "seek", |amf| {
                amf.null().unwrap();
                amf.number(0.0).unwrap();
            }),
        }
    }

    fn publisher_command(&mut self) {
        let Some((c, stream)) = self.client_who(|doing| matches!(doing, Doing::Publishing(_))) else { return };
        let name = NAMES[self.random.below(NAMES.len())];
        let client = &mut self.world.clients[c];
        match self.random.below(4) {
            0 => client.close_stream(stream),
            1 => {
                client.close_stream(stream);
                client.publish(stream, name);
            }
            2 => {
                client.create_stream();
                client.play(stream % 7 + 2, name);
            }
            _ => client.set_chunk_size(1 + self.random.below(3000)),
        }
        // A client that publishes anew waits for the answer, and in a merge window that takes as long.
        self.world.advance(31);
    }

    fn nonsense(&mut self) {
        let c = self.world.dial();
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
        self.world.advance(100);
        for c in 0..self.world.clients.len() {
            if !self.world.clients[c].ended && !self.world.net.links[self.world.clients[c].link].unplugged {
                self.world.hang_up(c);
            }
        }
        self.world.advance(40_000);
        self.world.check_empty();
    }
}
