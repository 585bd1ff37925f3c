//! The server without sockets: slots, fan-out, deadlines. No call to an operating system, and no heap
//! after [`Server::new`] but what files take ([`crate::account`]).
//!
//! # One turn of the loop
//!
//! The caller polls with the time-out of [`Server::wait_ms`], reports what became ready ([`Server::readable`],
//! [`Server::writable`], [`Server::acceptable`]) and calls [`Server::turn`], which
//!
//! 1. lets go on what waited: clients whose script could not be told of them, and publishers at the end of a merge window
//!    (`merge_ms`). They become ready then and not before: what they send is gathered in the kernel, which saves reads as
//!    well as writes, and no ring can pass its players meanwhile,
//! 2. accepts a bounded number of connections, lets go on whom tokens let, and gives features their turn,
//! 3. reads every ready slot once, round robin, within a byte budget; streams that got something become due,
//! 4. starts script processes that are needed, and ends those that are not,
//! 5. writes control bytes, and the players of due streams: one vectored write for all that a player is due,
//! 6. writes to players of recorded streams, a block each in turn, within a byte budget: what is live comes first,
//! 7. expires deadlines.
//!
//! A ready bit is cleared only when the network said that there is no more for now ([`transport::Io`]). While one is
//! left, the time-out is 0.

mod admin;
mod alarms;
mod answer;
mod attempts;
mod broadcast;
mod broadcasts;
pub mod claims;
pub mod close;
pub mod connect;
pub mod control;
pub mod describe;
mod diagnosis;
mod dial;
mod express;
mod fanout;
mod features;
mod feed;
mod flow;
mod gate;
mod gather;
mod hls_viewers;
mod hook_line;
pub mod hook_said;
mod hooks;
mod http;
mod ingest;
pub mod inspect;
pub mod instances;
pub mod json;
mod log_in;
mod log_ins;
pub mod memory;
mod news;
mod operate;
mod operator;
pub mod outbox;
mod pace;
mod pacing;
pub mod peer;
mod play;
mod programmes;
mod protocol;
mod publish;
mod push_frame;
mod read;
mod recorded;
mod recording_files;
mod recordings;
pub mod refusals;
pub mod relay;
mod relay_rows;
mod relays;
mod rows;
pub mod rtmp;
mod script_hosts;
mod script_process;
mod script_records;
mod script_says;
mod scripting;
mod scripts;
pub mod slot;
pub mod slots;
pub mod speaks;
mod timers;
pub mod transport;
mod usage;
mod wakes;
mod window;
mod words;
mod xml;

use core::net::SocketAddr;
use std::vec::Vec;

use log::{info, warn};

use crate::features::Features;
use crate::features::contract::Happened;
use crate::features::recordings::Recordings;
use crate::handles::{ConnId, SlotIndex, StreamId};
use crate::limits::{LIMITED, Row};
use crate::live::Live;
use crate::live::app::AppDefinition;
use crate::live::applications::{AppSource, Applications};
use crate::live::jobs::Reload;
use crate::live::names::Names;
use crate::live::rate::Rate;
use crate::live::settings::Settings;
use crate::rtmp::event::{Decision, Request};
use crate::rtmp::status::{Code, Status};
use crate::time::Millis;

use self::rtmp::{Asked, Joining, Role, Rtmp, Tail};
use admin::Admin;
use alarms::{Alarm, Alarms};
use close::{CloseReason, Counter};
use instances::{Instance, InstanceState, Instances};
use log_ins::LogIns;
use peer::Peer;
use protocol::Stage;
use scripts::Scripting;
use slot::{LastWords, Slot, SlotState};
use slots::Slots;
use speaks::{Door, Speaks};
use transport::{Arrival, Net, READ_BYTES};
use wakes::{Held, Wakes};
use window::Gathering;

/// Bytes read in one turn before players are served.
const READ_BUDGET_BYTES: usize = 1024 * 1024;
/// How often it is looked whether the clock is set, in milliseconds.
const CLOCK_MS: u64 = 10_000;
/// How often deadlines of connections are looked at, in milliseconds: their precision.
const SWEEP_MS: u64 = 250;
/// How long a client that was told to go may take to read it, in milliseconds.
const CLOSE_MS: u64 = 1500;
/// How long a client that was sent it may be silent before it hangs up, in milliseconds, where its system does not tell
/// whether it was delivered.
const LINGER_MS: u64 = 500;
/// How long it may go on sending before its system has our last words, in milliseconds. A connection that is closed with
/// bytes to read in it is answered with a reset, at which the client may lose them: so its bytes are read, and thrown away.
const LINGER_MOST_MS: u64 = 5000;

/// What happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections accepted, those turned away included.
    pub accepted: u64,
    /// Connections closed, by [`CloseReason::index`].
    pub closed: [u64; Counter::COUNT],
    /// Publishes that began.
    pub published: u64,
    /// Plays that began.
    pub played: u64,
    /// Times a player went on at a later key frame.
    pub skips: u64,
    /// Media messages that no ring could take, because they were too large or too many at once.
    pub media_refused: u64,
    /// Data messages dropped, because they were too long or no player could read them.
    pub data_dropped: u64,
    /// Metadata and sequence headers not kept for players who join, because they were too long or too many.
    pub headers_not_kept: u64,
    /// Publishes and plays refused because every name or ring was in use.
    pub streams_exhausted: u64,
    /// Joins refused because every application was in use.
    pub applications_exhausted: u64,
    /// Plays refused because every place of a player of recorded streams was in use.
    pub recorded_exhausted: u64,
    /// Requests of HTTP that were answered.
    pub http_requests: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
}

impl Counters {
    /// What happened to streams and bytes, by the names that the log and the control socket give it.
    pub fn named(&self) -> [(&'static str, u64); 10] {
        [
            ("published", self.published),
            ("played", self.played),
            ("skips", self.skips),
            ("media_refused", self.media_refused),
            ("data_dropped", self.data_dropped),
            ("headers_not_kept", self.headers_not_kept),
            ("streams_exhausted", self.streams_exhausted),
            ("http_requests", self.http_requests),
            ("bytes_in", self.bytes_in),
            ("bytes_out", self.bytes_out),
        ]
    }
}

/// What a server begins with.
pub struct Start {
    /// Applications that are known.
    pub apps: Vec<AppDefinition>,
    /// Where others come from.
    pub source: AppSource,
    /// Feeds the handshakes' random bytes.
    pub seed: u64,
    /// The time.
    pub now: Millis,
}

/// Where bytes are read to, and whose turn it is.
pub(super) struct ReadTurn {
    scratch: Box<[u8]>,
    /// The slot to begin with: the budget of the last turn ended before it.
    from: usize,
}

impl ReadTurn {
    pub(super) fn new() -> ReadTurn {
        ReadTurn { scratch: vec![0xA5; READ_BYTES].into_boxed_slice(), from: 0 }
    }
}

/// What others say of the server while it runs.
#[derive(Default)]
struct Life {
    /// Who of them may change things.
    admin: Admin,
    /// Who of them publish as users.
    log_ins: LogIns,
    /// Where encoders reach it.
    announced: Option<SocketAddr>,
    /// Which process it is, as far as programs that read statistics take that number.
    process: u16,
    /// It is to end.
    stopping: bool,
    /// Milliseconds from the server's time to that of the clock, if it was set when that was looked at, and when it is looked at again.
    clock_ms: Option<i64>,
    clock_at: Millis,
    /// Milliseconds from the machine's start to the server's time 0, and which start that was.
    started: Option<(u64, u32)>,
    /// What names that caches may keep begin with, beside what they are of: another one after each start.
    nonce: u32,
    /// What memory was obtained for.
    memory: Box<[Row]>,
    /// The most that was seen in use of what has a limit.
    peaks: [u64; LIMITED],
    /// How fast bytes come ...
    received: Rate,
    /// ... and go, from all clients and to all.
    sent: Rate,
}

/// The whole server below the sockets.
pub struct Server {
    settings: Settings,
    slots: Slots,
    live: Live,
    scripting: Scripting,
    wakes: Wakes,
    alarms: Alarms,
    features: Features,
    gathering: Gathering,
    reading: ReadTurn,
    reload: Reload,
    counters: Counters,
    /// What handshakes' random bytes are made of.
    seed: u64,
    /// The time of the present turn.
    now: Millis,
    life: Life,
}

impl Server {
    /// Obtains everything that the server will ever need.
    pub fn new(settings: Settings, start: Start) -> Server {
        let Start { apps, source, seed, now } = start;
        let slots = Slots::new(&settings, seed);
        let mut names = Names::new(settings.streams as usize, settings.ring_bytes as usize, slots.count());
        names.set_segment_ms(settings.hls_segment_ms);
        let live = Live::new(Applications::new(apps, source, settings.applications as usize, now), names);
        let mut alarms = Alarms::new();
        alarms.set(Alarm::Sweep, Some(now + SWEEP_MS));
        Server {
            scripting: Scripting::new(&settings),
            wakes: Wakes::new(slots.count(), live.names.name_count()),
            alarms,
            features: Features::new(&settings),
            gathering: Gathering::new(settings.merge, now),
            reading: ReadTurn::new(),
            reload: Reload::default(),
            counters: Counters::default(),
            seed,
            now,
            life: Life {
                nonce: (seed >> 16) as u32,
                memory: memory::table(&settings).into_boxed_slice(),
                ..Life::default()
            },
            settings,
            slots,
            live,
        }
    }

    /// A listener has connections.
    pub fn acceptable(&mut self) {
        self.wakes.acceptable = true;
    }

    /// The slot's connection has bytes, its end, or an error to read.
    pub fn readable(&mut self, slot: SlotIndex) {
        // What a publisher sends is gathered in the kernel until the merge window ends.
        if !self.wakes.holds(Held::Gathered, slot) {
            self.wakes.read(slot);
        }
    }

    /// The slot's connection takes bytes again.
    pub fn writable(&mut self, slot: SlotIndex) {
        self.wakes.writable(slot);
    }

    /// How long the caller may sleep, in milliseconds; `None` while nothing can happen without the network.
    pub fn wait_ms(&self, now: Millis) -> Option<u64> {
        if self.window_is_over() || self.wakes.is_any() {
            return Some(0);
        }
        let waits_for_publisher = || self.live.names.streams().any(|(_, stream)| stream.is_away());
        let is_empty = self.slots.taken() == 0
            && !self.slots.has_operator()
            && self.slots.hls.is_empty()
            && self.features.relays.is_idle()
            && self.features.hooks.is_idle();
        if is_empty && self.scripting.instances.iter().next().is_none() && !waits_for_publisher() {
            // The operator may be writing files of applications, and errors in them are to be logged.
            let sweep = self.alarms.at(Alarm::Sweep).unwrap_or_default();
            let check = self.live.apps.next_check().map(|at| at.max(sweep));
            let next = [check, self.features.wake_at()].into_iter().flatten().min()?;
            return Some(next.since(now));
        }
        let next = [self.alarms.next(), self.features.wake_at(), self.next_script()].into_iter().flatten().min()?;
        Some(next.since(now))
    }

    /// One turn of the loop.
    pub fn turn<N: Net>(&mut self, net: &mut N, now: Millis) {
        self.now = now;
        if self.life.admin.random.is_none() && self.settings.admin_key.is_some() {
            self.life.admin.random = net.random();
        }
        self.wake_scripts(now);
        self.merge(net, now);
        self.accept(net, now);
        self.wake_paced(now);
        self.turn_of_features(now);
        self.tend_programmes(now);
        self.read(net, now);
        self.tend_hosts(net, now);
        self.tend_relays(net, now);
        self.tend_hooks(net, now);
        self.fan_out(net, now);
        self.deliver_recorded(net, now);
        self.expire(net, now);
    }

    /// Takes over `settings`, in which only what can change while the server runs is other than before: each key's row in
    /// the configuration says which that is. No client is disconnected.
    pub fn reconfigure(&mut self, settings: Settings) {
        debug_assert!(
            crate::account::spend(|| memory::table(&settings) == memory::table(&self.settings)),
            "memory is obtained once"
        );
        let is_closer = self.settings.web_public && !settings.web_public;
        let ends_sessions = settings.admin_key != self.settings.admin_key || is_closer;
        self.settings = settings;
        if ends_sessions {
            self.end_admin_sessions();
        }
        self.live.names.set_segment_ms(self.settings.hls_segment_ms);
        self.reconfigure_window();
    }

    /// Tells every client that the server stops, and to go.
    pub fn stop(&mut self, now: Millis) {
        self.now = now;
        self.life.stopping = true;
        self.features.recordings.stop_all(now);
        self.features.relays.stop_all(now);
        let mut from = 0;
        while let Some(index) = self.slots.next_taken(from) {
            from = index.at() + 1;
            let conn = self.slots.id(index);
            self.say_goodbye(conn);
            self.close_after_flush(conn, CloseReason::Shutdown, now);
        }
        self.end_all_instances(now);
    }

    /// There is no client, no script that has yet to hear that it ends, and no recording of which something is not written.
    pub fn is_empty(&self) -> bool {
        let ends = |instance: &Instance| instance.state == InstanceState::Ending;
        self.slots.taken() == 0
            && !self.scripting.instances.iter().any(|(_, instance)| ends(instance))
            && self.features.recordings.is_idle()
            && self.features.relays.is_idle()
            && self.features.hooks.is_idle()
    }

    /// How many slots something was put off for, each counted as often as it waits: for its script's time, for tokens, for
    /// the end of a merge window or of a detection. It is 0 without connections.
    pub fn waiting(&self) -> usize {
        self.wakes.held() + self.features.bandwidth.under_way()
    }

    /// What happened since the start.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The table of applications.
    pub fn apps(&self) -> &Applications {
        &self.live.apps
    }

    /// The table of application instances with server-side code.
    pub fn instances(&self) -> &Instances {
        &self.scripting.instances
    }

    /// Bytes of scripts' messages that wait for clients.
    pub fn outboxes_bytes(&self) -> usize {
        self.scripting.outboxes.used_bytes()
    }

    /// Recordings that are made.
    pub fn recordings(&self) -> &Recordings {
        &self.features.recordings
    }

    /// The table of streams.
    pub fn names(&self) -> &Names {
        &self.live.names
    }

    /// The table of connections.
    pub fn slots(&self) -> &Slots {
        &self.slots
    }

    /// Visits every connection that speaks RTMP and is as wanted when its turn comes.
    fn each_connection(&mut self, wanted: impl Fn(&Slot, &Rtmp) -> bool, mut visit: impl FnMut(&mut Server, ConnId)) {
        self.each_slot(|slot, speaks| speaks.rtmp().is_some_and(|rtmp| wanted(slot, rtmp)), &mut visit);
    }

    /// Visits every connection of a client that is as wanted when its turn comes.
    fn each_slot(&mut self, wanted: impl Fn(&Slot, &Speaks) -> bool, mut visit: impl FnMut(&mut Server, ConnId)) {
        let mut from = 0;
        while let Some(index) = self.slots.next_taken(from) {
            from = index.at() + 1;
            let (slot, speaks) = self.slots.peek_both(index);
            if wanted(slot, speaks) {
                visit(self, self.slots.id(index));
            }
        }
    }

    fn accept<N: Net>(&mut self, net: &mut N, now: Millis) {
        if !self.wakes.acceptable {
            return;
        }
        // The first client may have to log in, or come by a link that ends.
        if self.life.log_ins.secret.is_none() {
            self.life.log_ins.secret = net.random();
            self.look_at_clock(net, now);
        }
        for _ in 0..self.settings.accepts_per_turn {
            let Some(Arrival { peer, door, is_secure }) = net.accept() else {
                self.wakes.acceptable = false;
                return;
            };
            let taken = match door {
                Door::Control => self.take_operators(net, peer, door, now),
                _ => self.take(net, peer, door, now),
            };
            let Some(conn) = taken else { continue };
            if let Err(loss) = net.adopt(conn.slot) {
                self.release(net, conn, loss.into());
                continue;
            }
            if is_secure {
                self.slots.secure(conn.slot);
            }
            // Both may be so already; if not, the network says WouldBlock.
            self.wakes.read(conn.slot);
            self.wakes.writable(conn.slot);
        }
    }

    /// A slot for a client, if it may have one.
    fn take<N: Net>(&mut self, net: &mut N, peer: Peer, door: Door, now: Millis) -> Option<ConnId> {
        self.counters.accepted += 1;
        if self.life.stopping {
            return self.refuse(net, peer, door, CloseReason::Shutdown);
        }
        // Of a proxy's connections it is not known yet whose they are.
        let is_proxy = door == Door::Http && self.settings.web_proxies.contains(peer.ip());
        let limit = self.settings.connections_per_address(peer.ip()).filter(|_| !is_proxy);
        if limit.is_some_and(|limit| self.slots.from_address(peer.ip()) >= limit) {
            // Joined clients stay; but a household's silent connections do not keep out its own clients.
            let Some(silent) = self.slots.first_of_household(peer.ip()) else {
                return self.refuse(net, peer, door, CloseReason::AddressLimit);
            };
            self.release(net, silent, CloseReason::AddressLimit);
        }
        if self.slots.is_taken()
            && let Some(first) = self.slots.first_to_make_way(peer.ip(), now)
        {
            self.make_way(net, first, now);
        }
        let speaks = Speaks::begin(door, self.next_seed(), now);
        let conn = self.slots.take(peer, speaks, now);
        conn.or_else(|| self.refuse(net, peer, door, CloseReason::TableFull))
    }

    /// A slot for one of the operator's connections, which no number of clients can take.
    fn take_operators<N: Net>(&mut self, net: &mut N, peer: Peer, door: Door, now: Millis) -> Option<ConnId> {
        let speaks = Speaks::begin(door, self.next_seed(), now);
        let conn = self.slots.take_operators(peer, speaks, now);
        if conn.is_none() {
            net.refuse(control::BUSY);
        }
        conn
    }

    /// Ends a connection whose place is needed at once. One that has joined an application is told so, if it reads.
    fn make_way<N: Net>(&mut self, net: &mut N, conn: ConnId, now: Millis) {
        // Not to one that was told to go before: nothing may follow that.
        let joined = self.slots.open_client(conn).is_some_and(|(_, rtmp)| rtmp.session.is_connected());
        if joined {
            self.yield_place(conn, now);
            if self.wakes.is_writable(conn.slot) {
                self.flush(net, conn.slot, now);
            }
        }
        self.release(net, conn, CloseReason::TableFull);
    }

    /// Tells a client that has been idle to go, because its place is needed.
    fn yield_place(&mut self, conn: ConnId, now: Millis) {
        self.tell(conn, None, Status::new(Code::ConnectIdleTimeout, ""));
        self.close_after_flush(conn, CloseReason::GaveWay, now);
    }

    fn refuse<N: Net>(&mut self, net: &mut N, peer: Peer, door: Door, reason: CloseReason) -> Option<ConnId> {
        warn!("connection refused peer={peer} x_status={} reason=\"{reason}\"", reason.x_status());
        self.counters.closed[reason.index()] += 1;
        net.refuse(if door == Door::Http { http::refusal(reason) } else { &[] });
        None
    }

    fn next_seed(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        (self.seed ^ (self.seed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9)
    }

    /// Ends a connection now.
    fn release<N: Net>(&mut self, net: &mut N, conn: ConnId, reason: CloseReason) {
        if self.slots.connection(conn).is_none() {
            return;
        }
        if let Some(host) = self.slots.host_at(conn.slot) {
            return self.lost_host(net, host, self.now);
        }
        if self.slots.relay_at(conn.slot).is_some() {
            return self.lost_relay(net, conn, reason, self.now);
        }
        if self.slots.hook_at(conn.slot).is_some() {
            return self.lost_hook(net, conn, reason, self.now);
        }
        self.end_roles(conn);
        self.count_close(conn, reason);
        let app = self.slots.at(conn.slot).app;
        if let Some((_, Rtmp { tail: Some(Tail::Recorded(id)), .. })) = self.slots.peek_client(conn.slot) {
            self.features.recorded.free(*id);
        }
        net.close(conn.slot);
        self.forget_waits(conn.slot);
        self.clear_outbox(conn, true);
        self.wakes.forget(conn.slot);
        self.slots.release(conn.slot);
        if let Some(app) = app {
            self.forget_if_left(app);
        }
    }

    /// Ends a connection when it has been sent what waits for it, or when its patience ends.
    fn close_after_flush(&mut self, conn: ConnId, reason: CloseReason, now: Millis) {
        let Some(slot) = self.slots.connection(conn) else { return };
        if slot.state != SlotState::Open {
            return;
        }
        let published = slot.publishing > 0;
        self.end_roles(conn);
        self.count_close(conn, reason);
        let (slot, speaks) = self.slots.both(conn.slot);
        speaks.close(&mut slot.tx);
        slot.state = SlotState::Closing { deadline: now + CLOSE_MS, last_words: LastWords::Waiting, published };
        self.forget_waits(conn.slot);
        self.slots.judge(conn.slot, now);
        self.clear_outbox(conn, false);
        self.wakes.send(conn.slot);
        self.wakes.read(conn.slot);
    }

    /// What was put off for a connection ends with it: neither the disk's answer, nor its script's time, nor tokens, nor the
    /// end of a detection are anything to it any more.
    fn forget_waits(&mut self, index: SlotIndex) {
        self.close_file(index);
        let (slot, speaks) = self.slots.both(index);
        if let Some(rtmp) = speaks.rtmp_mut() {
            if let Some(id) = rtmp.asked.file() {
                self.features.recorded.free(id);
            }
            (rtmp.joining, rtmp.asked) = (Joining::No, Asked::Nothing);
        }
        (slot.blocked, slot.pinged) = (false, None);
        slot.inbox.clear();
        // What a client is told when it has to go does not wait for tokens.
        slot.limited = false;
        self.wakes.let_all_go(index);
    }

    /// When a connection begins to end: its application's script is told, and there is one log line and one counter.
    fn count_close(&mut self, conn: ConnId, reason: CloseReason) {
        let is_client = self.slots.is_client(conn.slot);
        let Some((slot, speaks)) = self.slots.open_both(conn).filter(|_| is_client) else { return };
        let app = slot.app;
        if speaks.stage() == Stage::Joined {
            self.slots.disconnected();
            if let Some(app) = app.and_then(|id| self.live.apps.app_mut(id)) {
                app.connected -= 1;
            }
        }
        self.leave_instance(conn, self.now);
        self.happened(Happened::Gone { conn }, self.now);
        let Some(slot) = self.slots.connection(conn) else { return };
        self.counters.closed[reason.index()] += 1;
        let (peer, bytes_in, bytes_out) = (slot.peer, slot.bytes_in, slot.bytes_out);
        let x_status = reason.x_status();
        info!("{conn} closed peer={peer} in={bytes_in} out={bytes_out} x_status={x_status} reason=\"{reason}\"");
    }

    /// Ends what every net stream of the connection does.
    fn end_roles(&mut self, conn: ConnId) {
        for index in 0..crate::limits::NET_STREAMS {
            self.end_role(conn, index);
        }
        self.stop_watching(conn);
    }

    fn end_role(&mut self, conn: ConnId, index: usize) {
        let Some((_, rtmp)) = self.slots.client(conn) else { return };
        match rtmp.roles[index] {
            Role::Idle => {}
            Role::Publishing(stream) | Role::Challenging(stream) => self.unpublish(conn, index, stream),
            Role::Playing(reader) => self.stop_playing(conn, index, reader),
            Role::Recorded(id) => self.stop_recorded(conn, index, id),
        }
    }

    /// What a client hears of its streams and its connection when the server or its application stops.
    fn say_goodbye(&mut self, conn: ConnId) {
        let Some((slot, rtmp)) = self.slots.client(conn) else { return };
        if slot.state != SlotState::Open {
            return;
        }
        if !rtmp.session.is_connected() {
            if let Some(Request::Connect) = rtmp.session.request() {
                let _ = rtmp.session.decide(Decision::Reject(Status::new(Code::ConnectAppShutdown, "")), &mut slot.tx);
            }
            return;
        }
        for (index, role) in rtmp.roles.iter().enumerate() {
            let own_name = |stream: StreamId| rtmp.session.own_name(&self.live.names.stream(stream).path);
            let (name, code) = match role {
                Role::Publishing(stream) => (own_name(*stream), Code::UnpublishSuccess),
                // The publisher may have been told, and have left, just before.
                Role::Playing(reader) if reader.knows_of_publish() => {
                    (own_name(reader.stream()), Code::PlayUnpublishNotify)
                }
                Role::Playing(reader) => (own_name(reader.stream()), Code::PlayStop),
                Role::Recorded(id) => (self.features.recorded.name(*id), Code::PlayStop),
                Role::Idle | Role::Challenging(_) => continue,
            };
            let net_stream = crate::rtmp::event::NetStreamId::from_index(index);
            let _ = rtmp.session.status(Some(net_stream), Status::new(code, name), &mut slot.tx);
        }
        // Players take AppShutdown for the end of the stream; clients that support it are sent ReconnectRequest instead.
        let code = match rtmp.session.connect_info().reconnects() {
            true => Code::ConnectReconnectRequest,
            false => Code::ConnectAppShutdown,
        };
        // Without room the client sees the end of the connection only.
        let _ = rtmp.session.status(None, Status::new(code, ""), &mut slot.tx);
    }
}
