//! The load itself: sockets, one poll, and the course of a measurement.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::client::send::CHUNK_BYTES;
use crate::net::open_files::raise_limit;
use crate::net::sockopt::acknowledge_now;

use super::client::{ClientContext, ClientFailure, ClientRole, LoadClient, Progress};
use super::clock::{Clock, own_cpu_seconds};
use super::counts::BenchCounts;
use super::error::BenchError;
use super::plan::{Plan, Saturate};
use super::progress::ProgressLine;
use super::report::{MeasuredWindow, Report, SearchStep};
use super::source::{Rates, SyntheticStream};
use super::target::Target;

/// Large, so that a player that is late takes all there is in one call.
const READ_BYTES: usize = 256 * 1024;
const EVENTS: usize = 1024;
/// Publishers send what is due this often within one batch of events.
const EVENTS_BETWEEN_PUBLISHING: usize = 32;
/// Clients that may be between connecting and the last answer: more would measure the listen backlog.
const STARTING_MAX: usize = 64;
/// The search for the limit does not ask for more open files than this leaves.
const SPARE_FILES: u64 = 64;

const PUBLISH_TIMEOUT_US: u64 = 10_000_000;
/// Joining ends when no client has joined for so long: a server without a cached key frame takes one GOP.
const JOIN_PATIENCE_US: u64 = 6_000_000;
/// Between the last join and the measurement, so that the bursts of joining have passed.
const SETTLE_US: u64 = 1_000_000;
/// A publisher whose server does not read keeps this much of the stream and lets the rest pass.
const BACKLOG_SECONDS: u64 = 2;

/// A point in the course of a measurement, for callers that look at the server meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Milestone {
    /// The streams are published; no player has connected yet.
    Ready,
    /// All clients have joined and a window begins. In a search for the limit: a step begins.
    Steady,
    /// The window, or step, ends; all clients are still connected.
    End,
}

/// Measures as `plan` says.
///
/// # Errors
///
/// Nothing could be measured; that players are refused is a result.
pub fn run(plan: &Plan) -> Result<Report, BenchError> {
    run_observed(plan, &mut |_| {})
}

/// Measures, and calls `observe` on the way; what it takes is time in which the clients do nothing.
///
/// # Errors
///
/// As [`run`].
pub fn run_observed(plan: &Plan, observe: &mut dyn FnMut(Milestone)) -> Result<Report, BenchError> {
    let mut load = LoadRun::new(plan)?;
    load.publish()?;
    load.published = true;
    observe(Milestone::Ready);
    match plan.saturate {
        Some(search) => load.search(search, observe),
        None => load.hold(observe),
    }
}

struct Connection {
    socket: TcpStream,
    client: LoadClient,
    out: Vec<u8>,
    sent: usize,
}

struct LoadPublisher {
    connection: usize,
    source: SyntheticStream,
}

struct LoadRun<'p> {
    plan: &'p Plan,
    target: Target,
    address: SocketAddr,
    /// The connection that found the address, for the first client.
    first: Option<TcpStream>,
    clock: Clock,
    poll: Poll,
    events: Events,
    connections: Vec<Option<Box<Connection>>>,
    publishers: Vec<LoadPublisher>,
    to_open: VecDeque<ClientRole>,
    counts: BenchCounts,
    scratch: Box<[u8]>,
    progress: ProgressLine,
    /// The streams are published, so that there is progress of players to show.
    published: bool,
    /// Clients that have not got their last answer yet.
    starting: usize,
    players: usize,
    served: usize,
    idle_open: usize,
    refused: usize,
    disconnected: usize,
    unsent: u64,
    first_trouble: Option<String>,
    newcomer_us: u64,
    window_us: u64,
    window_cpu: Option<f64>,
    shown: (u64, u64),
}

impl<'p> LoadRun<'p> {
    fn new(plan: &'p Plan) -> Result<LoadRun<'p>, BenchError> {
        let target = Target::parse(&plan.url, plan.streams).ok_or_else(|| BenchError::Url(plan.url.clone()))?;
        raise_limit(plan.streams * (1 + plan.players) + plan.idle).map_err(BenchError::OpenFiles)?;
        let (address, first) = target.connect().map_err(|error| BenchError::Connect(plan.url.clone(), error))?;
        first.set_nonblocking(true).map_err(|error| BenchError::System("socket", error))?;
        let clock = Clock::default();
        Ok(LoadRun {
            plan,
            target,
            address,
            first: Some(TcpStream::from_std(first)),
            clock,
            poll: Poll::new().map_err(|error| BenchError::System("poll", error))?,
            events: Events::with_capacity(EVENTS),
            connections: Vec::new(),
            publishers: Vec::new(),
            to_open: VecDeque::new(),
            counts: BenchCounts::new(plan.streams),
            scratch: vec![0; READ_BYTES].into_boxed_slice(),
            progress: ProgressLine::new(plan.progress),
            published: false,
            starting: 0,
            players: 0,
            served: 0,
            idle_open: 0,
            refused: 0,
            disconnected: 0,
            unsent: 0,
            first_trouble: None,
            newcomer_us: clock.now_us(),
            window_us: clock.now_us(),
            window_cpu: None,
            shown: (clock.now_us(), 0),
        })
    }

    // The course of a measurement.

    fn publish(&mut self) -> Result<(), BenchError> {
        if !self.plan.publish || self.plan.streams == 0 {
            return Ok(());
        }
        self.to_open.extend((0..self.plan.streams).map(ClientRole::Publisher));
        let deadline_us = self.clock.now_us() + PUBLISH_TIMEOUT_US;
        while self.publishers.len() < self.plan.streams {
            self.turn(deadline_us)?;
            if let Some(reason) = self.first_trouble.take() {
                return Err(BenchError::Publish(reason));
            }
            if self.clock.now_us() >= deadline_us {
                return Err(BenchError::Publish("the server does not answer".into()));
            }
        }
        Ok(())
    }

    fn hold(mut self, observe: &mut dyn FnMut(Milestone)) -> Result<Report, BenchError> {
        self.to_open.extend((0..self.plan.idle).map(|_| ClientRole::Idle));
        self.add_players(self.plan.streams * self.plan.players);
        self.join(u64::MAX)?;
        self.wait(SETTLE_US)?;
        let lost_joining = self.counts.lost;

        self.begin_window();
        observe(Milestone::Steady);
        self.wait(self.plan.duration.as_micros() as u64)?;
        let window = self.end_window();
        observe(Milestone::End);
        Ok(Report { lost_joining, ..self.report(window, Vec::new()) })
    }

    fn search(mut self, search: Saturate, observe: &mut dyn FnMut(Milestone)) -> Result<Report, BenchError> {
        let mut steps: Vec<SearchStep> = Vec::new();
        let mut beyond = 0;
        let players_max = match raise_limit(search.players_max) {
            Ok(()) => search.players_max,
            Err(files) => files.allowed.saturating_sub(SPARE_FILES) as usize,
        };
        raise_limit(players_max).map_err(BenchError::OpenFiles)?;
        while beyond <= search.steps_beyond && self.players + search.step_players <= players_max {
            self.add_players(search.step_players);
            let mut step = self.step(search, observe)?;
            while !step.good && step.gone == 0 && step.attempts < search.attempts {
                step = SearchStep { attempts: step.attempts + 1, ..self.step(search, observe)? };
            }
            beyond += usize::from(!step.good || beyond > 0);
            steps.push(step);
        }
        let window = steps.iter().take_while(|step| step.good).last().map(|step| step.window).unwrap_or_default();
        Ok(self.report(window, steps))
    }

    fn step(&mut self, search: Saturate, observe: &mut dyn FnMut(Milestone)) -> Result<SearchStep, BenchError> {
        let gone_before = self.refused + self.disconnected;
        self.begin_window();
        observe(Milestone::Steady);
        self.join(JOIN_PATIENCE_US)?;
        self.wait(search.step_duration.as_micros() as u64)?;
        let window = self.end_window();
        observe(Milestone::End);
        let gone = self.refused + self.disconnected - gone_before + self.waiting();
        let good =
            gone == 0 && window.lost == 0 && u128::from(window.latency.p99_us) <= search.latency_limit.as_micros();
        Ok(SearchStep { players: self.players, served: self.served, gone, good, attempts: 1, window })
    }

    fn report(&self, window: MeasuredWindow, steps: Vec<SearchStep>) -> Report {
        Report {
            url: self.plan.url.clone(),
            streams: self.plan.streams,
            bitrate_bps: self.plan.bitrate_bps,
            players: self.players,
            served: self.served,
            refused: self.refused + self.waiting(),
            disconnected: self.disconnected,
            idle: self.plan.idle,
            idle_open: self.idle_open,
            unsent: self.unsent,
            first_trouble: self.first_trouble.clone(),
            join: super::report::Quantiles::of(&self.counts.join),
            window,
            lost_joining: 0,
            steps,
        }
    }

    fn add_players(&mut self, count: usize) {
        let streams = self.plan.streams.max(1);
        self.to_open.extend((self.players..self.players + count).map(|player| ClientRole::Player(player % streams)));
        self.players += count;
        self.newcomer_us = self.clock.now_us();
    }

    /// Turns until all clients have joined or gone, none has joined for a while, or `at_most_us` have passed.
    fn join(&mut self, at_most_us: u64) -> Result<(), BenchError> {
        let deadline_us = self.clock.now_us().saturating_add(at_most_us);
        while self.waiting() > 0 {
            let until_us = deadline_us.min(self.newcomer_us + JOIN_PATIENCE_US);
            if self.clock.now_us() >= until_us {
                break;
            }
            self.turn(until_us)?;
        }
        Ok(())
    }

    fn wait(&mut self, duration_us: u64) -> Result<(), BenchError> {
        let until_us = self.clock.now_us() + duration_us;
        while self.clock.now_us() < until_us {
            self.turn(until_us)?;
        }
        Ok(())
    }

    /// Players and idle connections that have neither joined nor gone.
    fn waiting(&self) -> usize {
        let present = self.connections.iter().flatten().map(|connection| &connection.client);
        self.to_open.len()
            + present
                .filter(|client| {
                    !matches!(client.role(), ClientRole::Publisher(_)) && client.progress() != Progress::Running
                })
                .count()
    }

    fn begin_window(&mut self) {
        self.counts.begin_window();
        self.window_us = self.clock.now_us();
        self.window_cpu = own_cpu_seconds();
        self.shown = (self.window_us, 0);
    }

    fn end_window(&self) -> MeasuredWindow {
        let duration = Duration::from_micros(self.clock.now_us() - self.window_us);
        let players = self.connections.iter().flatten().map(|connection| &connection.client);
        let late = players.filter_map(|client| match client.role() {
            ClientRole::Player(stream) => Some(u64::from(client.player.behind(self.counts.newest[stream]))),
            _ => None,
        });
        let late = late.filter(|&behind| behind > u64::from(self.plan.frame_rate)).sum();
        let load = self.window_cpu.zip(own_cpu_seconds()).map(|(begin, end)| (end - begin) / duration.as_secs_f64());
        MeasuredWindow::of(&self.counts, duration, late, load)
    }

    // One turn of the loop.

    fn turn(&mut self, until_us: u64) -> Result<(), BenchError> {
        self.open_some()?;
        let next_us = self.send_due()?.min(until_us);
        let timeout = Duration::from_micros(next_us.saturating_sub(self.clock.now_us()).min(100_000));
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(BenchError::System("poll", error)),
        }
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for (count, event) in events.iter().enumerate() {
            if count % EVENTS_BETWEEN_PUBLISHING == EVENTS_BETWEEN_PUBLISHING - 1 {
                self.send_due()?;
            }
            let index = event.token().0;
            if let Err(failure) = self.serve(index, event) {
                self.close(index, failure);
            }
        }
        self.events = events;
        self.show_progress();
        Ok(())
    }

    fn open_some(&mut self) -> Result<(), BenchError> {
        while self.starting < STARTING_MAX
            && let Some(role) = self.to_open.pop_front()
        {
            let mut socket = match self.first.take() {
                Some(socket) => socket,
                None => TcpStream::connect(self.address).map_err(|error| BenchError::System("socket", error))?,
            };
            let token = Token(self.connections.len());
            let interest = Interest::READABLE | Interest::WRITABLE;
            let registered = self.poll.registry().register(&mut socket, token, interest);
            registered.map_err(|error| BenchError::System("poll", error))?;
            // Not all systems allow it before the connection stands; then small writes may wait a little.
            let _ = socket.set_nodelay(true);
            let mut out = Vec::new();
            let client = LoadClient::new(role, self.clock.now_us(), &mut out);
            self.connections.push(Some(Box::new(Connection { socket, client, out, sent: 0 })));
            self.starting += 1;
        }
        Ok(())
    }

    /// Publishes what is due; returns when the next message will be.
    fn send_due(&mut self) -> Result<u64, BenchError> {
        let now_us = self.clock.now_us();
        let backlog_max = (self.plan.bitrate_bps / 8 * BACKLOG_SECONDS) as usize;
        let mut next_us = u64::MAX;
        for at in 0..self.publishers.len() {
            let publisher = &mut self.publishers[at];
            let index = publisher.connection;
            let Some(connection) = &mut self.connections[index] else { continue };
            let mut failure = None;
            while publisher.source.due_us() <= now_us && failure.is_none() {
                if connection.out.len() - connection.sent > backlog_max {
                    publisher.source.skip();
                    self.unsent += 1;
                    continue;
                }
                let stream_id = connection.client.stream_id();
                publisher.source.next(self.clock.now_us(), stream_id, CHUNK_BYTES, &mut connection.out);
                failure = connection.flush().err();
            }
            if let ClientRole::Publisher(stream) = connection.client.role() {
                self.counts.newest[stream] = publisher.source.newest();
            }
            next_us = next_us.min(publisher.source.due_us());
            if let Some(failure) = failure {
                self.close(index, failure);
            }
        }
        Ok(next_us)
    }

    fn serve(&mut self, index: usize, event: &Event) -> Result<(), ClientFailure> {
        let Some(connection) = &mut self.connections[index] else { return Ok(()) };
        let before = connection.client.progress();
        if event.is_error()
            && let Ok(Some(error)) = connection.socket.take_error()
        {
            return Err(io_failure(&error));
        }
        if event.is_readable() || event.is_read_closed() {
            loop {
                let count = match connection.socket.read(&mut self.scratch) {
                    Ok(0) => return Err(ClientFailure("the server closed the connection".into())),
                    Ok(count) => {
                        // On Ethernet a picture is several full segments, so that players acknowledge it at once.
                        // Loopback's segments are 64 KiB: without this every answer would wait 40 ms, and servers
                        // that leave Nagle's algorithm on would gather that long, which they do on no network.
                        acknowledge_now(&connection.socket);
                        count
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    Err(error) => return Err(io_failure(&error)),
                };
                if let ClientRole::Player(_) = connection.client.role() {
                    self.counts.wire_bytes += count as u64;
                }
                let mut context =
                    ClientContext { target: &self.target, counts: &mut self.counts, now_us: self.clock.now_us() };
                connection.client.receive(&self.scratch[..count], &mut context, &mut connection.out)?;
                // A short read has emptied the socket, and more will be a new event: the call that says "nothing left"
                // can be spared. Not at the end of the stream, whose event has come already.
                if count < self.scratch.len() && !event.is_read_closed() {
                    break;
                }
            }
        }
        connection.flush()?;
        let after = connection.client.progress();
        if before != after {
            self.advanced(index, before, after);
        }
        Ok(())
    }

    fn advanced(&mut self, index: usize, before: Progress, after: Progress) {
        if before == Progress::Starting {
            self.starting -= 1;
        }
        if after != Progress::Running {
            return;
        }
        let Some(connection) = &mut self.connections[index] else { return };
        match connection.client.role() {
            ClientRole::Idle => self.idle_open += 1,
            ClientRole::Player(_) => self.served += 1,
            ClientRole::Publisher(stream) => {
                let rates = Rates { bitrate_bps: self.plan.bitrate_bps, frame_rate: self.plan.frame_rate };
                // Streams that all send at the same instant would be a load that encoders never make.
                let apart_us = 1_000_000 / u64::from(rates.frame_rate) * stream as u64 / self.plan.streams as u64;
                let source = SyntheticStream::new(rates, self.clock.now_us() + apart_us);
                source.headers(connection.client.stream_id(), CHUNK_BYTES, &mut connection.out);
                self.publishers.push(LoadPublisher { connection: index, source });
            }
        }
        self.newcomer_us = self.clock.now_us();
    }

    fn close(&mut self, index: usize, ClientFailure(reason): ClientFailure) {
        let Some(connection) = self.connections[index].take() else { return };
        let (role, progress) = (connection.client.role(), connection.client.progress());
        self.starting -= usize::from(progress == Progress::Starting);
        if progress == Progress::Running {
            self.disconnected += 1;
            match role {
                ClientRole::Idle => self.idle_open -= 1,
                ClientRole::Player(_) => self.served -= 1,
                ClientRole::Publisher(_) => {}
            }
        } else {
            self.refused += 1;
        }
        self.first_trouble.get_or_insert_with(|| match role {
            ClientRole::Idle => format!("an idle connection: {reason}"),
            ClientRole::Player(_) => format!("a player: {reason}"),
            ClientRole::Publisher(stream) => format!("the publisher of {}: {reason}", self.target.stream_name(stream)),
        });
    }

    fn show_progress(&mut self) {
        let now_us = self.clock.now_us();
        if !self.published || !self.progress.is_due(now_us) {
            return;
        }
        let (shown_us, shown_bytes) = self.shown;
        let bytes = self.counts.wire_bytes;
        let mbps = bytes.saturating_sub(shown_bytes) as f64 * 8.0 / (now_us - shown_us).max(1) as f64;
        let idle = match self.plan.idle {
            0 => String::new(),
            idle => format!("{} of {idle} idle connections  ", self.idle_open),
        };
        let line = format!(
            "{} of {} players  {idle}{mbps:.1} Mbit/s  p50 {:.1} ms  p99 {:.1} ms  lost {}  gone {}",
            self.served,
            self.players,
            self.counts.latency.quantile_us(0.5) as f64 / 1000.0,
            self.counts.latency.quantile_us(0.99) as f64 / 1000.0,
            self.counts.lost,
            self.refused + self.disconnected,
        );
        self.shown = (now_us, bytes);
        self.progress.show(now_us, &line);
    }
}

impl Connection {
    /// Writes what waits. That the socket takes no more is no failure.
    fn flush(&mut self) -> Result<(), ClientFailure> {
        while self.sent < self.out.len() {
            match self.socket.write(&self.out[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // Until a connection stands; an event tells when.
                Err(error) if error.kind() == ErrorKind::NotConnected => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(io_failure(&error)),
            }
        }
        if self.sent == self.out.len() {
            self.out.clear();
            self.sent = 0;
        } else if self.sent >= READ_BYTES {
            self.out.drain(..self.sent);
            self.sent = 0;
        }
        Ok(())
    }
}

fn io_failure(error: &io::Error) -> ClientFailure {
    ClientFailure(error.to_string())
}
