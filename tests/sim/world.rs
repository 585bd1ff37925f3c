//! Server, network and clients together, and the time they share.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use rill::handles::{ConnId, SlotIndex};
use rill::live::app::{AppDefinition, AppKind, AppLimits};
use rill::live::applications::AppSource;
use rill::live::health::BoardFacts;
use rill::live::jobs::{DiskLane, Done, Job, Lookup};
use rill::live::settings::{Merge, PerAddress, Settings};
use rill::server::close::CloseReason;
use rill::server::instances::InstanceState;
use rill::server::peer::Peer;
use rill::server::rtmp::Joining;
use rill::server::slot::{Slot, SlotState};
use rill::server::speaks::Door;
use rill::server::transport::Arrival;
use rill::server::{Server, Start};
use rill::time::Millis;

use super::card::Recorder;
use super::client::{Client, Doing, Line};
use super::digest::Digest;
use super::disk_thread::{DiskThread, Work};
use super::films::Films;
use super::inside;
use super::ledger::{Kind, Ledger};
use super::net::{FakeNet, Mood, Ready};
use super::texts::{TextReadings, script};

/// Turns without sleep and without a byte that moves after which the server counts as spinning.
const MOST_TURNS: usize = 200_000;

pub struct World {
    pub server: Server,
    pub net: FakeNet,
    pub clients: Vec<Client>,
    /// How many clients of HTTP there were.
    pub browsers: u64,
    pub ledger: Ledger,
    pub now: u64,
    /// Bytes a client's kernel holds.
    pub window: usize,
    /// What a directory of applications says, by name; asked only by a world made with [`World::on_disk`].
    pub disk: BTreeMap<String, Directory>,
    /// The disk does not answer those who look something up.
    pub disk_stalls: bool,
    /// The disk does not come to an end with anything that may take long.
    pub bulk_stalls: bool,
    /// How long after it was asked the disk's answer comes, which is of the time of the job.
    pub disk_late_ms: u64,
    /// Answers of the disk that have not come, with the time when they do.
    late: VecDeque<(u64, Done)>,
    /// Texts of scripts that were read in part.
    readings: TextReadings,
    /// Addresses of other hosts, by their names.
    pub hosts: BTreeMap<String, Vec<SocketAddr>>,
    /// The disk of recorded streams.
    pub films: Films,
    /// The medium of recordings.
    pub recorder: Recorder,
    /// What the board says of itself.
    pub board: BoardFacts,
    /// What the disk was asked.
    pub asked: Vec<String>,
    next_address: u8,
}

/// An application's directory.
#[derive(Clone)]
pub enum Directory {
    Good(Box<AppDefinition>),
    /// Somebody is writing in it.
    Changing,
    Broken,
}

/// Short deadlines and little of everything.
pub fn settings() -> Settings {
    Settings {
        connections: 16,
        connections_per_address: PerAddress::Fixed(0),
        streams: 3,
        ring_bytes: 64 << 10,
        publish_timeout_ms: 1000,
        unpublish_grace_ms: 0,
        player_lag_ms: 1000,
        player_stall_ms: 3000,
        merge: Merge::Fixed(0),
        handshake_timeout_ms: 2000,
        connect_timeout_ms: 2000,
        ping_interval_ms: 10_000,
        ping_timeout_ms: 4000,
        recordings: 0,
        // Where scripts take their time, that is what the test is about.
        script_answer_ms: 120_000,
        ..Settings::default()
    }
}

pub fn apps() -> Vec<AppDefinition> {
    let app = |name: &str, kind| AppDefinition::stock(heapless::String::try_from(name).unwrap(), kind);
    vec![app("live", AppKind::Live), app("vod", AppKind::Vod)]
}

/// An application with a script.
pub fn scripted(name: &str, text: &str) -> AppDefinition {
    AppDefinition {
        script: Some(script(text)),
        ..AppDefinition::stock(heapless::String::try_from(name).unwrap(), AppKind::Live)
    }
}

impl World {
    pub fn new() -> World {
        World::with(settings(), 1)
    }

    /// A world with a publisher of `cam` who has sent its start.
    pub fn live() -> (World, usize) {
        let mut world = World::new();
        let publisher = world.publisher("cam");
        world.send_start(publisher);
        (world, publisher)
    }

    /// The same with a player of it, who has been heard.
    pub fn watched() -> (World, usize, usize) {
        let (mut world, publisher) = World::live();
        let player = world.player("cam");
        world.heard(player);
        (world, publisher, player)
    }

    /// A world with a publisher of `cam` and a player of it whose line holds `window` bytes, of which it takes none.
    pub fn stalled(window: usize) -> (World, usize, usize) {
        let mut world = World::new();
        world.window = window;
        let publisher = world.publisher("cam");
        let player = world.player("cam");
        world.slow(player, 0);
        (world, publisher, player)
    }

    pub fn with(settings: Settings, seed: u64) -> World {
        World::fixed(settings, apps(), seed)
    }

    /// A server whose application `live` has a script.
    pub fn scripted(settings: Settings, text: &str, seed: u64) -> World {
        World::fixed(settings, vec![scripted("live", text)], seed)
    }

    pub fn fixed(settings: Settings, apps: Vec<AppDefinition>, seed: u64) -> World {
        // What an application does not say for itself is what the configuration says.
        let follow = |app| {
            let limits = AppLimits { bandwidth: settings.bandwidth, ..AppLimits::default() };
            AppDefinition { limits, record: settings.record.clone(), ..app }
        };
        let apps = apps.into_iter().map(follow).collect();
        World::start(settings, apps, AppSource::Fixed, seed)
    }

    /// A server whose applications are directories.
    pub fn on_disk(settings: Settings, directories: Vec<AppDefinition>) -> World {
        World::on_disk_with(settings, directories, 1)
    }

    pub fn on_disk_with(settings: Settings, directories: Vec<AppDefinition>, seed: u64) -> World {
        let mut world = World::start(settings, Vec::new(), AppSource::Directories, seed);
        world.disk =
            directories.into_iter().map(|app| (app.name.to_string(), Directory::Good(Box::new(app)))).collect();
        world
    }

    fn start(settings: Settings, apps: Vec<AppDefinition>, source: AppSource, seed: u64) -> World {
        let slots = settings.slots();
        let recorder = Recorder::new(&settings);
        let films = Films::beside(settings.recorded_players as usize, Some(recorder.card.clone()));
        let start = Start { apps, source, seed, now: Millis(0) };
        World {
            server: Server::new(settings, start),
            net: FakeNet::new(slots, seed),
            clients: Vec::new(),
            browsers: 0,
            ledger: Ledger::default(),
            now: 0,
            window: 32 << 10,
            disk: BTreeMap::new(),
            disk_stalls: false,
            bulk_stalls: false,
            disk_late_ms: 0,
            late: VecDeque::new(),
            readings: TextReadings::default(),
            hosts: BTreeMap::new(),
            films,
            recorder,
            board: BoardFacts::default(),
            asked: Vec::new(),
            next_address: 1,
        }
    }

    /// A TCP connection and nothing said.
    pub fn dial(&mut self) -> usize {
        let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, self.next_address));
        self.next_address = self.next_address % 250 + 1;
        self.dial_from(address)
    }

    pub fn dial_from(&mut self, address: IpAddr) -> usize {
        let address = SocketAddr::new(address, 1000 + self.clients.len() as u16);
        let arrival = Arrival { peer: Peer::Ip(address), door: Door::Rtmp, is_secure: false };
        let link = self.net.connect(arrival, self.window, 0);
        self.clients.push(Client::new(address, link));
        self.clients.len() - 1
    }

    /// A client that joined `live`.
    pub fn join(&mut self) -> usize {
        self.join_at("live")
    }

    /// A client that joined `app`, which may name an instance.
    pub fn join_at(&mut self, app: &str) -> usize {
        let c = self.dial();
        self.joins(c, app)
    }

    /// A client that joined `live` from this address.
    pub fn join_from(&mut self, address: [u8; 4]) -> usize {
        let c = self.dial_from(IpAddr::from(address));
        self.joins(c, "live")
    }

    fn joins(&mut self, c: usize, app: &str) -> usize {
        self.clients[c].handshake();
        self.clients[c].connect(app);
        self.settle();
        assert!(self.clients[c].connected, "{:?}", self.clients[c].log);
        self.clients[c].log.clear();
        c
    }

    /// A client that publishes `name` on net stream 1.
    pub fn publisher(&mut self, name: &str) -> usize {
        self.publisher_at("live", name)
    }

    /// A client of `app` that publishes `name` on net stream 1.
    pub fn publisher_at(&mut self, app: &str, name: &str) -> usize {
        let c = self.join_at(app);
        self.publishes(c, name)
    }

    /// One from this address.
    pub fn publisher_from(&mut self, address: [u8; 4], name: &str) -> usize {
        let c = self.join_from(address);
        self.publishes(c, name)
    }

    fn publishes(&mut self, c: usize, name: &str) -> usize {
        self.clients[c].create_stream();
        self.clients[c].publish(1, name);
        self.settle();
        c
    }

    /// A client that plays `name` on net stream 1.
    pub fn player(&mut self, name: &str) -> usize {
        self.player_at("live", name)
    }

    /// A client of `app` that plays `name` on net stream 1.
    pub fn player_at(&mut self, app: &str, name: &str) -> usize {
        let c = self.join_at(app);
        self.clients[c].create_stream();
        self.clients[c].play(1, name);
        self.settle();
        c
    }

    /// Sends one message of the publication on net stream `stream`.
    pub fn send(&mut self, c: usize, stream: u32, kind: Kind, timestamp: u32, length: usize) {
        let Some(publication) = self.clients[c].publication(stream) else { panic!("{c} does not publish") };
        let (_, payload) = self.ledger.message(publication, kind, timestamp, length);
        let chunk_stream = match kind.type_id() {
            8 => 4,
            9 => 6,
            _ => 5,
        };
        self.clients[c].message(chunk_stream, kind.type_id(), stream, timestamp, &payload);
    }

    /// Sends messages on net stream 1, 20 ms apart in the publisher's time, beginning at `timestamp`.
    pub fn send_all(&mut self, c: usize, timestamp: u32, kinds: &[Kind]) {
        for (i, &kind) in kinds.iter().enumerate() {
            self.send(c, 1, kind, timestamp + 20 * i as u32, 60);
        }
        self.settle();
    }

    /// A stream's usual beginning: metadata, both headers, a key frame.
    pub fn send_start(&mut self, c: usize) {
        self.send_all(c, 0, &[Kind::Metadata, Kind::VideoHeader, Kind::AudioHeader, Kind::Key]);
    }

    /// What the client was told since the last look.
    pub fn heard(&mut self, c: usize) -> Vec<String> {
        std::mem::take(&mut self.clients[c].log)
    }

    /// The client reads so many bytes in a millisecond from now on.
    pub fn slow(&mut self, c: usize, rate: usize) {
        let client = &mut self.clients[c];
        client.rate = Some(rate);
        client.credit = 0;
        self.may_skip(c);
    }

    /// The server's handle of the client's connection.
    pub fn conn(&self, c: usize) -> Option<ConnId> {
        let address = self.clients[c].address;
        let taken = |slot: &Slot| slot.state != SlotState::Free && slot.peer == Peer::Ip(address);
        let (index, _) = self.server.slots().iter().find(|(_, slot)| taken(slot))?;
        Some(self.server.slots().id(index))
    }

    /// Limits what the client is sent and what is read of it, in bytes a second.
    pub fn limit(&mut self, c: usize, to_client: Option<u32>, to_server: Option<u32>) {
        let Some(conn) = self.conn(c) else { return };
        inside(|| self.server.limit_bandwidth(conn, to_client, to_server));
        if to_client.is_some_and(|limit| limit > 0) {
            self.may_skip(c);
        }
    }

    fn may_skip(&mut self, c: usize) {
        let client = &mut self.clients[c];
        client.was_slow = true;
        for doing in &mut client.doing {
            if let Doing::Watching(watch) = doing {
                watch.may_skip = true;
            }
        }
    }

    /// The client is connected by a line from now on.
    pub fn line(&mut self, c: usize, kbit: usize, latency_ms: u64) {
        let client = &mut self.clients[c];
        client.line = Some(Line { latency_ms, ..Line::default() });
        client.rate = Some(kbit / 8);
        client.was_slow = true;
    }

    pub fn hang_up(&mut self, c: usize) {
        self.flush(c);
        self.forget(c);
        self.net.fin(self.clients[c].link);
    }

    pub fn reset(&mut self, c: usize) {
        self.forget(c);
        self.net.reset(self.clients[c].link);
    }

    /// Nothing of it is ever heard again.
    pub fn unplug(&mut self, c: usize) {
        self.forget(c);
        self.net.links[self.clients[c].link].unplugged = true;
    }

    fn forget(&mut self, c: usize) {
        for doing in &mut self.clients[c].doing {
            if let Doing::Publishing(publication) = *doing {
                self.ledger.of(publication).truncated = true;
                *doing = Doing::Nothing;
            }
        }
        self.clients[c].rate = Some(0);
    }

    /// Script processes do not run, or do again.
    pub fn hold_scripts(&mut self, hold: bool) {
        self.net.mood = if hold { Mood::Stopped } else { Mood::Fine };
    }

    /// The operator unloads an application.
    pub fn unload(&mut self, app: &str) -> Option<usize> {
        self.unload_instance(app, None)
    }

    /// The operator unloads an application's instance.
    pub fn unload_instance(&mut self, app: &str, instance: Option<&str>) -> Option<usize> {
        let clients = inside(|| self.server.unload(app, instance, Millis(self.now)));
        self.settle();
        clients
    }

    /// The operator disconnects a client.
    pub fn disconnect(&mut self, c: usize) -> bool {
        let Some(conn) = self.conn(c) else { return false };
        inside(|| self.server.disconnect(conn, Millis(self.now)))
    }

    pub fn stop(&mut self) {
        inside(|| self.server.stop(Millis(self.now)));
    }

    /// Puts the client's bytes on the wire.
    pub fn flush(&mut self, c: usize) -> bool {
        let client = &mut self.clients[c];
        let mut out = std::mem::take(&mut client.out);
        if let Some(line) = &mut client.line {
            if !out.is_empty() {
                line.up.push_back((self.now + line.latency_ms, out));
            }
            out = arrived(&mut line.up, self.now);
        }
        if !out.is_empty() {
            self.net.send(self.clients[c].link, &out);
        }
        !out.is_empty()
    }

    /// One turn of everything. False when nothing happened.
    pub fn step(&mut self) -> bool {
        let World { server, net, .. } = self;
        let mut busy = net.events(|ready| {
            inside(|| match ready {
                Ready::Accept => server.acceptable(),
                Ready::Read(slot) => server.readable(slot),
                Ready::Write(slot) => server.writable(slot),
            });
        });
        net.now = self.now;
        inside(|| server.turn(net, Millis(self.now)));
        busy |= self.do_jobs();
        busy |= self.net.run_hosts();
        for c in 0..self.clients.len() {
            busy |= self.flush(c);
            busy |= self.pump(c);
        }
        busy || self.net.is_pending() || inside(|| self.server.wait_ms(Millis(self.now))) == Some(0)
    }

    fn do_jobs(&mut self) -> bool {
        let mut busy = false;
        while !self.bulk_stalls
            && let Some(job) = inside(|| self.server.next_job(DiskLane::Bulk))
        {
            match job {
                Job::Survey => inside(|| self.server.done(Done::Surveyed, Millis(self.now))),
                Job::Resolve { id, host, .. } => {
                    self.asked.push(host.to_string());
                    let found = self.hosts.get(host.as_str()).into_iter().flatten().copied().collect();
                    self.late.push_back((self.now + self.disk_late_ms, Done::Resolved { id, found }));
                }
                Job::Board => inside(|| self.server.done(Done::Board(self.board), Millis(self.now))),
                _ => {}
            }
        }
        while !self.disk_stalls
            && let Some(job) = inside(|| self.server.next_job(DiskLane::LookUps))
        {
            let Job::App { name, stamp } = job else {
                let is_there = |name: &str, stamp| match self.disk.get(name) {
                    Some(Directory::Good(app)) => app.script.as_ref().is_some_and(|script| script.stamp == stamp),
                    Some(Directory::Changing | Directory::Broken) => false,
                    None => self.disk.is_empty(),
                };
                let done = self.readings.read(job, is_there);
                self.late.push_back((self.now + self.disk_late_ms, done));
                continue;
            };
            self.asked.push(name.to_string());
            let lookup = match self.disk.get(name.as_str()) {
                None => Lookup::Missing,
                Some(Directory::Changing) => Lookup::Changing,
                Some(Directory::Broken) => Lookup::Broken("app.toml:1: x".to_owned()),
                Some(Directory::Good(app)) if stamp == Some(app.stamp) => Lookup::Unchanged,
                Some(Directory::Good(app)) => Lookup::Found(app.clone()),
            };
            self.late.push_back((self.now + self.disk_late_ms, Done::App { name, lookup }));
        }
        busy |= Self::turn_disk(&mut self.server, DiskLane::Recorded, &mut self.films.thread, self.now);
        busy |= Self::turn_disk(&mut self.server, DiskLane::Recordings, &mut self.recorder.thread, self.now);
        while let Some((_, done)) = self.late.pop_front_if(|(at, _)| *at <= self.now) {
            busy |= !matches!(&done, Done::App { lookup: Lookup::Unchanged | Lookup::Changing, .. });
            inside(|| self.server.done(done, Millis(self.now)));
        }
        busy
    }

    /// What the server wants of a thread of the disk, and what has come of it.
    fn turn_disk(server: &mut Server, lane: DiskLane, thread: &mut DiskThread<impl Work>, now: u64) -> bool {
        let mut busy = false;
        while thread.has_room()
            && let Some(job) = inside(|| server.next_job(lane))
        {
            thread.ask(job, now);
            busy = true;
        }
        while let Some(done) = thread.done(now) {
            inside(|| server.done(done, Millis(now)));
            busy = true;
        }
        busy
    }

    fn pump(&mut self, c: usize) -> bool {
        let client = &mut self.clients[c];
        let link = &mut self.net.links[client.link];
        if link.unplugged {
            return false;
        }
        let most = client.rate.map_or(usize::MAX, |_| client.credit).min(link.to_client.len());
        let mut bytes: Vec<u8> = link.to_client.drain(..most).collect();
        client.credit -= most.min(client.credit);
        if let Some(line) = &mut client.line {
            if !bytes.is_empty() {
                line.down.push_back((self.now + line.latency_ms, bytes));
            }
            bytes = arrived(&mut line.down, self.now);
        }
        if (link.server_closed || link.server_fin) && link.to_client.is_empty() && !client.ended {
            client.ended = true;
            client.receive(&bytes, &mut self.ledger);
            if !link.client_reset && link.server_fin && !link.server_closed && client.hangs_up {
                link.client_fin = true;
                link.read_edge = true;
            }
            for doing in &self.clients[c].doing {
                if let Doing::Publishing(publication) = *doing {
                    self.ledger.of(publication).truncated = true;
                }
            }
            return true;
        }
        client.receive(&bytes, &mut self.ledger);
        !bytes.is_empty()
    }

    /// Turns until nothing more happens at this time.
    pub fn settle(&mut self) {
        let (mut turns, mut moved) = (0, 0);
        while turns < MOST_TURNS {
            if !self.step() {
                return;
            }
            let moves = self.net.bytes_read + self.net.bytes_written;
            turns = if moves == moved { turns + 1 } else { 0 };
            moved = moves;
        }
        panic!("the server does not come to rest");
    }

    /// Lets time pass.
    pub fn advance(&mut self, ms: u64) {
        self.settle();
        let end = self.now + ms;
        while self.now < end {
            let mut step = self.server.wait_ms(Millis(self.now)).unwrap_or(u64::MAX).max(1);
            if self.clients.iter().any(|client| client.rate.is_some_and(|rate| rate > 0)) {
                step = step.min(10);
            }
            if self.clients.iter().any(|client| client.line.is_some()) {
                step = 1;
            }
            for at in [self.late.front().map(|(at, _)| *at), self.net.hosts_wake_at()].into_iter().flatten() {
                step = step.min(at.saturating_sub(self.now).max(1));
            }
            for at in [self.recorder.thread.next(self.now), self.films.thread.next(self.now)].into_iter().flatten() {
                step = step.min((at - self.now).max(1));
            }
            let step = step.min(end - self.now);
            self.now += step;
            for client in &mut self.clients {
                if let (Some(_), Some(rate)) = (&client.line, client.rate) {
                    // A line that was idle is not faster afterwards.
                    client.credit = rate;
                } else if let Some(rate) = client.rate {
                    // What it did not read yesterday it does not read twice as fast today.
                    client.credit = (client.credit + rate * step as usize).min(rate * 100);
                }
            }
            self.settle();
        }
    }

    /// Of what all clients were sent, and when.
    pub fn digest(&self) -> u64 {
        let mut all = Digest::default();
        let clients = self.net.links.iter().filter(|link| link.arrival.door != Door::Script);
        clients.for_each(|link| all.add_digest(&link.written));
        all.value()
    }

    pub fn closed(&self, reason: CloseReason) -> u64 {
        self.server.counters().closed[reason.index()]
    }

    /// Every player who is neither slow nor paused has everything that was sent.
    pub fn check_delivered(&mut self) {
        for client in &self.clients {
            for doing in &client.doing {
                if let Doing::Watching(watch) = doing
                    && client.rate.is_none()
                    && !client.ended
                {
                    watch.check_complete(&self.ledger);
                }
            }
        }
    }

    /// All clients leave, and nothing of them is left.
    pub fn end(&mut self) {
        self.check_delivered();
        for c in 0..self.clients.len() {
            if !self.clients[c].ended {
                self.hang_up(c);
            }
        }
        self.advance(60_000);
        self.check_empty();
    }

    /// What is counted is what is there, and only whoever has not been told to go waits for anything.
    pub fn check_counts(&self) {
        let server = &self.server;
        let clients = |counts: &dyn Fn(SlotIndex, &Slot) -> bool| {
            let open = server.slots().taken_slots().filter(|(_, slot)| slot.state == SlotState::Open);
            open.filter(|(index, slot)| counts(*index, slot)).count() as u32
        };
        let has_joined = |index| server.slots().has_joined(index);
        for (index, instance) in server.instances().iter() {
            let there = clients(&|_, slot| slot.instance == Some(index));
            assert_eq!(instance.clients, there, "clients of instance {}", instance.name);
            assert!(server.apps().app(instance.app).is_some(), "an instance of no application");
            let stopped = matches!(instance.state, InstanceState::Stopped { .. });
            assert!(!stopped || there == 0, "clients of {} were not told that it does not run", instance.name);
        }
        for (id, app) in server.apps().iter() {
            let there = clients(&|at, slot| slot.app == Some(id) && has_joined(at));
            assert_eq!(app.connected, there, "clients of {}", app.name);
        }
        for (index, slot, rtmp) in server.slots().clients().filter(|(_, slot, _)| slot.state != SlotState::Open) {
            let conn = server.slots().id(index);
            assert!(slot.instance.is_none(), "{conn} was told to go and is in an instance");
            assert_eq!(rtmp.joining, Joining::No, "{conn} was told to go and is about to join");
            assert!(!server.is_measuring(conn), "{conn} was told to go and is measured");
        }
        let mut from = 0;
        while let Some(row) = server.next_client(from, Millis(self.now)) {
            from = row.id.slot.at() + 1;
            assert_eq!(row.bytes_out, self.net.written_to(row.id.slot), "bytes that {} was sent", row.id);
        }
        let joined = clients(&|at, _| has_joined(at));
        assert_eq!(server.slots().joined() as u32, joined, "connections that have joined an application");
    }

    pub fn check_empty(&self) {
        self.check_counts();
        assert!(self.server.is_empty(), "{} slots are still taken", self.server.slots().taken());
        assert_eq!(self.server.waiting(), 0, "slots of nobody wait for something");
        assert_eq!(self.server.slots().joined(), 0, "clients are still counted");
        assert_eq!(self.server.names().streams().count(), 0, "names are still in use");
        assert!(self.server.apps().iter().all(|(_, app)| app.connected == 0), "clients are still counted");
        assert!(self.server.instances().iter().all(|(_, instance)| instance.clients == 0), "clients are still counted");
        assert_eq!(self.server.outboxes_bytes(), 0, "messages still wait");
        let counters = self.server.counters();
        assert_eq!(counters.accepted, counters.closed.iter().sum::<u64>(), "{counters:?}");
        assert_eq!(counters.bytes_in, self.net.bytes_read);
        assert_eq!(counters.bytes_out, self.net.bytes_written);
        assert_eq!(counters.accepted, self.clients.len() as u64 + self.browsers);
    }
}

/// What of `under_way` has arrived by `now`.
fn arrived(under_way: &mut VecDeque<(u64, Vec<u8>)>, now: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some((_, part)) = under_way.pop_front_if(|(at, _)| *at <= now) {
        bytes.extend(part);
    }
    bytes
}
