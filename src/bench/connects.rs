//! Clients that come and go at a constant rate, `rill bench URL --connects-per-second N`: each opens a connection, shakes
//! hands, sends `connect` with two arguments, waits for the answer and leaves.
//!
//! The rate is kept whatever the server does (an open loop): a server that falls behind is seen as latency and as clients
//! without an answer, not as fewer clients.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use serde_json::{Value as Json, json};

use crate::client::line::ClientLine;
use crate::net::open_files::raise_limit;
use crate::net::sockopt::acknowledge_now;
use crate::rtmp::outbound::{CONNECT, FarSaid, OutboundEvent};

use super::client::ClientFailure;
use super::clock::{Clock, own_cpu_seconds};
use super::error::BenchError;
use super::histogram::Histogram;
use super::progress::ProgressLine;
use super::report::Quantiles;
use super::target::Target;

/// A client that has not been answered for so long has failed.
const PATIENCE_US: u64 = 2_000_000;
const READ_BYTES: usize = 16 * 1024;
const EVENTS: usize = 1024;

/// What to measure.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectPlan {
    /// `rtmp://host[:port]/app[/instance/NAME]`; a NAME is not used.
    pub url: String,
    /// Clients a second, 1 to 20 000.
    pub per_second: u32,
    /// How long clients come.
    pub duration: Duration,
    /// Show on standard error how it goes.
    pub progress: bool,
}

/// The result.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConnectReport {
    /// Where it was measured.
    pub url: String,
    /// Clients a second that were asked for.
    pub per_second: u32,
    /// From the first client to the last answer.
    pub duration: Duration,
    /// Clients that came.
    pub clients: u64,
    /// Those that were let in.
    pub accepted: u64,
    /// Those that were refused, lost, or not answered within two seconds.
    pub failed: u64,
    /// Why the first of them failed.
    pub first_trouble: Option<String>,
    /// From `connect` sent to its answer.
    pub answer: Quantiles,
    /// From opening the TCP connection to the answer of `connect`, with both round trips of the handshake.
    pub admission: Quantiles,
    /// How much later clients opened their connection than they were to, because this program was late.
    pub late: Quantiles,
    /// Part of one processor core that the measuring itself took, 0.0 to 1.0; `None` where the system does not tell.
    pub client_load: Option<f64>,
}

/// Measures as `plan` says.
///
/// # Errors
///
/// Nothing could be measured; that clients are refused is a result.
pub fn run(plan: &ConnectPlan) -> Result<ConnectReport, BenchError> {
    let mut crowd = Crowd::new(plan)?;
    crowd.run()?;
    Ok(crowd.report())
}

/// How far a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// TCP and the handshake.
    Opening,
    /// `connect` was sent then.
    Asking { since_us: u64 },
    /// It has its answer and has closed its side; the server's end is waited for, so that nothing is cut off.
    Leaving,
}

struct Visitor {
    socket: TcpStream,
    line: ClientLine,
    out: Vec<u8>,
    sent: usize,
    opened_us: u64,
    phase: Phase,
}

struct Crowd<'p> {
    plan: &'p ConnectPlan,
    target: Target,
    address: SocketAddr,
    clock: Clock,
    poll: Poll,
    visitors: Vec<Option<Box<Visitor>>>,
    free: Vec<usize>,
    scratch: Box<[u8]>,
    answer: Histogram,
    admission: Histogram,
    late: Histogram,
    begin_us: u64,
    begin_cpu: Option<f64>,
    clients: u64,
    accepted: u64,
    failed: u64,
    first_trouble: Option<String>,
}

impl<'p> Crowd<'p> {
    fn new(plan: &'p ConnectPlan) -> Result<Crowd<'p>, BenchError> {
        let target = Target::parse(&plan.url, 1).ok_or_else(|| BenchError::Url(plan.url.clone()))?;
        // As many as can come before the first of them has lost patience.
        let most = u64::from(plan.per_second) * PATIENCE_US / 1_000_000 + u64::from(plan.per_second);
        raise_limit(most as usize).map_err(BenchError::OpenFiles)?;
        let (address, _) = target.connect().map_err(|error| BenchError::Connect(plan.url.clone(), error))?;
        let clock = Clock::default();
        Ok(Crowd {
            plan,
            target,
            address,
            clock,
            poll: Poll::new().map_err(|error| BenchError::System("poll", error))?,
            visitors: Vec::new(),
            free: Vec::new(),
            scratch: vec![0; READ_BYTES].into_boxed_slice(),
            answer: Histogram::default(),
            admission: Histogram::default(),
            late: Histogram::default(),
            begin_us: clock.now_us(),
            begin_cpu: own_cpu_seconds(),
            clients: 0,
            accepted: 0,
            failed: 0,
            first_trouble: None,
        })
    }

    fn run(&mut self) -> Result<(), BenchError> {
        let mut progress = ProgressLine::new(self.plan.progress);
        let mut events = Events::with_capacity(EVENTS);
        let total = (self.plan.duration.as_secs_f64() * f64::from(self.plan.per_second)) as u64;
        (self.begin_us, self.begin_cpu) = (self.clock.now_us(), own_cpu_seconds());
        let mut expired_us = self.begin_us;
        while self.clients < total || self.free.len() < self.visitors.len() {
            let now_us = self.clock.now_us();
            while self.clients < total && self.due_us() <= now_us {
                self.open()?;
            }
            if now_us >= expired_us + PATIENCE_US / 10 {
                self.expire(now_us);
                expired_us = now_us;
            }
            let wait_us = if self.clients < total { self.due_us().saturating_sub(now_us) } else { PATIENCE_US / 10 };
            match self.poll.poll(&mut events, Some(Duration::from_micros(wait_us))) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(BenchError::System("poll", error)),
            }
            for event in &events {
                self.serve(event);
            }
            if progress.is_due(now_us) {
                let p99_ms = self.answer.quantile_us(0.99) as f64 / 1000.0;
                progress.show(
                    now_us,
                    &format!("{} of {total} clients  p99 {p99_ms:.1} ms  {} failed", self.accepted, self.failed),
                );
            }
        }
        Ok(())
    }

    /// When the next client is to come.
    fn due_us(&self) -> u64 {
        self.begin_us + self.clients * 1_000_000 / u64::from(self.plan.per_second)
    }

    fn open(&mut self) -> Result<(), BenchError> {
        let due_us = self.due_us();
        self.clients += 1;
        let opened_us = self.clock.now_us();
        self.late.record(opened_us - due_us);
        let index = self.free.pop().unwrap_or_else(|| {
            self.visitors.push(None);
            self.visitors.len() - 1
        });
        let mut socket = match TcpStream::connect(self.address) {
            Ok(socket) => socket,
            Err(error) => {
                self.free.push(index);
                self.fail(error.to_string());
                return Ok(());
            }
        };
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registered = self.poll.registry().register(&mut socket, Token(index), interest);
        registered.map_err(|error| BenchError::System("poll", error))?;
        // Not all systems allow it before the connection stands; then small writes may wait a little.
        let _ = socket.set_nodelay(true);
        let mut out = Vec::new();
        let line = ClientLine::new(opened_us, &mut out);
        self.visitors[index] = Some(Box::new(Visitor { socket, line, out, sent: 0, opened_us, phase: Phase::Opening }));
        Ok(())
    }

    fn serve(&mut self, event: &Event) {
        let index = event.token().0;
        let Some(visitor) = self.visitors.get_mut(index).and_then(Option::as_mut) else { return };
        let before = visitor.phase;
        let (clock, scratch) = (&self.clock, &mut self.scratch);
        let served = visitor.serve(event, &self.target, clock, scratch);
        let (phase, opened_us) = (visitor.phase, visitor.opened_us);
        if let (Phase::Asking { since_us }, Phase::Leaving) = (before, phase) {
            let now_us = self.clock.now_us();
            self.accepted += 1;
            self.answer.record(now_us - since_us);
            self.admission.record(now_us - opened_us);
        }
        match served {
            Ok(()) => {}
            Err(ClientFailure(reason)) => {
                self.leave(index);
                if phase != Phase::Leaving {
                    self.fail(reason);
                }
            }
        }
    }

    /// Gives up waiting for servers that do not answer, or do not close their side.
    fn expire(&mut self, now_us: u64) {
        for index in 0..self.visitors.len() {
            let Some(visitor) = &self.visitors[index] else { continue };
            if now_us.saturating_sub(visitor.opened_us) < PATIENCE_US {
                continue;
            }
            if visitor.phase != Phase::Leaving {
                self.fail("no answer within two seconds".into());
            }
            self.leave(index);
        }
    }

    fn leave(&mut self, index: usize) {
        self.visitors[index] = None;
        self.free.push(index);
    }

    fn fail(&mut self, reason: String) {
        self.failed += 1;
        self.first_trouble.get_or_insert(reason);
    }

    fn report(&self) -> ConnectReport {
        let duration = Duration::from_micros(self.clock.now_us() - self.begin_us);
        let cpu = self.begin_cpu.zip(own_cpu_seconds());
        ConnectReport {
            url: self.plan.url.clone(),
            per_second: self.plan.per_second,
            duration,
            clients: self.clients,
            accepted: self.accepted,
            failed: self.failed,
            first_trouble: self.first_trouble.clone(),
            answer: Quantiles::of(&self.answer),
            admission: Quantiles::of(&self.admission),
            late: Quantiles::of(&self.late),
            client_load: cpu.map(|(begin, end)| (end - begin) / duration.as_secs_f64().max(1e-6)),
        }
    }
}

impl Visitor {
    /// Reads, answers and asks. The error ends the visit; of one that is leaving it is the end that was waited for.
    fn serve(
        &mut self,
        event: &Event,
        target: &Target,
        clock: &Clock,
        scratch: &mut [u8],
    ) -> Result<(), ClientFailure> {
        if event.is_error()
            && let Ok(Some(error)) = self.socket.take_error()
        {
            return Err(ClientFailure(error.to_string()));
        }
        if event.is_readable() || event.is_read_closed() {
            self.read(event.is_read_closed(), target, clock, scratch)?;
        }
        self.flush().map_err(|error| ClientFailure(error.to_string()))
    }

    fn read(&mut self, ended: bool, target: &Target, clock: &Clock, scratch: &mut [u8]) -> Result<(), ClientFailure> {
        loop {
            let count = match self.socket.read(scratch) {
                Ok(0) => return Err(ClientFailure("the server closed the connection".into())),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(ClientFailure(error.to_string())),
            };
            // Loopback delays acknowledgements that Ethernet does not: see the load of players.
            acknowledge_now(&self.socket);
            self.receive(&scratch[..count], target, clock)?;
            // A short read has emptied the socket, and more will be a new event.
            if count < scratch.len() && !ended {
                return Ok(());
            }
        }
    }

    fn receive(&mut self, mut input: &[u8], target: &Target, clock: &Clock) -> Result<(), ClientFailure> {
        while let Some(event) = self.line.next(&mut input, &mut self.out)? {
            match event {
                OutboundEvent::Open => {
                    // Two arguments for `onConnect`.
                    target.send_connect(&mut self.out, false, |amf| {
                        amf.string("visitor")?;
                        amf.number(42.0)
                    })?;
                    self.phase = Phase::Asking { since_us: clock.now_us() };
                }
                OutboundEvent::Command => self.command()?,
                _ => {}
            }
        }
        Ok(())
    }

    fn command(&mut self) -> Result<(), ClientFailure> {
        if matches!(self.phase, Phase::Asking { .. }) && is_accepted(&self.line.session().said())? {
            self.phase = Phase::Leaving;
            self.socket.shutdown(Shutdown::Write).map_err(|error| ClientFailure(error.to_string()))?;
            self.out.clear();
            self.sent = 0;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.sent < self.out.len() && self.phase != Phase::Leaving {
            match self.socket.write(&self.out[self.sent..]) {
                Ok(count) => self.sent += count,
                // Not connected: until the connection stands; an event tells when.
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Whether a command is the answer that lets the client in. The error is a refusal, with its code.
fn is_accepted(said: &FarSaid<'_>) -> Result<bool, ClientFailure> {
    match (said.name, said.transaction) {
        ("_result", CONNECT) => Ok(true),
        ("_error", CONNECT) => Err(super::client::refusal(said)),
        ("close", _) => Err(ClientFailure("the server said close".into())),
        _ => Ok(false),
    }
}

impl ConnectReport {
    /// All of it, with units in the names.
    pub fn to_json(&self) -> Json {
        json!({
            "url": self.url,
            "per_second": self.per_second,
            "seconds": self.duration.as_secs_f64(),
            "clients": self.clients,
            "accepted": self.accepted,
            "failed": self.failed,
            "first_trouble": self.first_trouble,
            "answer": self.answer.to_json(),
            "admission": self.admission.to_json(),
            "late": self.late.to_json(),
            "client_load": self.client_load,
        })
    }
}

impl fmt::Display for ConnectReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "accepted          {} of {} clients, {} a second", self.accepted, self.clients, self.per_second)?;
        writeln!(f, "connect answered  {}", self.answer)?;
        writeln!(f, "with handshake    {}", self.admission)?;
        if let Some(trouble) = &self.first_trouble {
            writeln!(f, "failed            {}: {trouble}", self.failed)?;
        }
        match self.client_load {
            Some(load) if load > 0.9 => writeln!(
                f,
                "note              the test itself took {:.0} % of its core: it may be the limit, not the server",
                load * 100.0
            ),
            Some(load) => writeln!(f, "test itself       {:.0} % of a core", load * 100.0),
            None => Ok(()),
        }
    }
}
