//! The operating system: sockets, poll, signals, the log's output, memory and file limits. Nothing above or below this
//! module knows one, and `unsafe` stands nowhere else.
//!
//! [`Reactor::run`] is the loop around [`Server::turn`].

pub mod addresses;
pub mod alloc;
pub mod boot;
pub mod control_socket;
pub mod disk;
mod hosts;
pub mod listen;
mod load;
pub mod logging;
mod notify;
pub mod open_files;
mod outcome;
pub mod record_disk;
pub mod script_check;
mod signals;
pub mod sockopt;
mod status;
mod tcp;
pub mod terminal;
pub mod tls;

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Waker};

use crate::limits::Row;
use crate::live::jobs::{DiskLane, Done, Job};
use crate::live::settings::Settings;
use crate::server::Server;
use crate::server::memory;
use crate::server::speaks::Door;
use crate::store::{BULK_BYTES, LOOK_UPS_BYTES, RECORDED_STACK_BYTES, RECORDINGS_STACK_BYTES, recorded, recordings};
use crate::time::Millis;

pub use control_socket::{ControlSocket, ControlSocketError};
pub use listen::{ListenError, Listener, bind, first_unprivileged_port};
pub use notify::Notify;
pub use signals::Signals;

use disk::{Disk, Workers};
use load::Loads;
use tcp::{Ready, STARVED_MS, TcpNet};
use tls::TlsOffer;

/// Events taken from the kernel at once. What is beyond them comes with the next poll, which does not sleep.
const EVENTS: usize = 256;
/// Bytes of one event as mio and the kernel hold it.
const EVENT_BYTES: usize = 16;
/// What the kernel may hold for a connection: what `TCP_NOTSENT_LOWAT` lets wait, as much again under way, and what came
/// in and was not read.
const SOCKET_BUFFER_BYTES: u64 = 256 << 10;
/// The program's own pages, the C library's heap, stacks, and the page cache of what it reads.
const PROGRAM_BYTES: u64 = 16 << 20;
/// How long clients may take to read that the server stops, in milliseconds. With the time to leave the loop it stays
/// below the two seconds that a user is promised.
const FAREWELL_MS: u64 = 1800;

/// The server's memory table with what the sockets need besides.
pub fn memory_table(settings: &Settings) -> Vec<Row> {
    let mut table = memory::table(settings);
    table.push(Row::new("sockets", settings.slots(), tcp::SOCKET_BYTES));
    if settings.tls_places() > 0 {
        table.extend(tls::memory(settings.tls_places(), settings.tls_dials()));
    }
    table.push(Row::new("script processes: signs of life", settings.script_hosts(), hosts::PROCESS_BYTES));
    table.push(Row::new("poll events", EVENTS, EVENT_BYTES));
    table.push(Row::new("log line", 2, logging::LINE_BYTES));
    table.push(Row::new("disk: look-ups", 1, LOOK_UPS_BYTES));
    table.push(Row::new("disk: recorded streams", 1, RECORDED_STACK_BYTES));
    table.extend(recorded::memory(settings.recorded_players as usize));
    table.push(Row::new("disk: bulk", 1, BULK_BYTES));
    table.push(Row::new("disk: recordings", 1, RECORDINGS_STACK_BYTES));
    table.extend(recordings::memory(settings.recordings as usize));
    table
}

/// The total of the memory table, in bytes.
pub fn memory_total(settings: &Settings) -> u64 {
    memory_table(settings).iter().map(Row::total).sum()
}

/// What the service may take of the machine at most, the kernel's share of it included: the memory table; send and
/// receive buffers of every connection, and the page cache that recordings are written through, which Linux counts as the
/// process's own; and the program with what it maps.
/// The service manager is to hold the server to it.
pub fn memory_max(settings: &Settings) -> u64 {
    let sockets = settings.slots() as u64 * SOCKET_BUFFER_BYTES;
    let written = u64::from(settings.recordings) * recordings::CACHE_BYTES;
    memory_total(settings) + sockets + written + PROGRAM_BYTES
}

/// The machine's half of a server that is about to run.
pub struct Reactor {
    poll: Poll,
    events: Events,
    net: TcpNet,
    signals: Signals,
    notify: Notify,
    disk: Disk,
    loads: Loads,
    start: Instant,
}

/// Where a server hears from and speaks to, besides its clients' connections.
pub struct Outside {
    /// Where clients arrive.
    pub listeners: Vec<Listener>,
    /// Where `rill ctl` asks.
    pub control: Option<ControlSocket>,
    /// Signals that the process was sent.
    pub signals: Signals,
    /// The service manager.
    pub notify: Notify,
    /// Where certificates come from.
    pub offer: TlsOffer,
}

impl Reactor {
    /// Obtains all that [`Reactor::run`] needs and surveys the disk, while no client can arrive. `workers` do what the server asks of the
    /// disk, each on a thread of its own; `start` is the zero of the server's clock.
    ///
    /// # Errors
    ///
    /// The operating system's own.
    pub fn new(server: &Server, outside: Outside, workers: Workers, start: Instant) -> io::Result<Reactor> {
        let Outside { listeners, control, mut signals, notify, offer } = outside;
        let poll = Poll::new()?;
        signals.register(poll.registry(), tcp::SIGNALS)?;
        let mut disk = Disk::start(workers, Waker::new(poll.registry(), tcp::DISK)?)?;
        disk.survey();
        let slots = server.slots().count();
        let net = TcpNet::new(poll.registry().try_clone()?, listeners, control, slots, server.settings(), offer)?;
        let events = Events::with_capacity(EVENTS);
        Ok(Reactor { poll, events, net, signals, notify, disk, loads: Loads::default(), start })
    }

    /// Lets clients arrive at every listener. They wait for [`Reactor::run`].
    ///
    /// # Errors
    ///
    /// When another process listens at an address already; and the operating system's own.
    pub fn listen(&mut self) -> Result<(), ListenError> {
        self.net.listen()
    }

    /// Where clients are let in, what is spoken there, and whether in TLS.
    pub fn doors(&self) -> impl Iterator<Item = (Door, bool, SocketAddr)> {
        self.net.doors()
    }

    /// Serves until a signal says stop, then tells the clients and gives them time to hear it.
    ///
    /// # Errors
    ///
    /// When the system's poll fails, which it has no reason to.
    pub fn run(&mut self, server: &mut Server) -> io::Result<()> {
        let mut deadline = None;
        let mut starved_until = None;
        let mut woke = Instant::now();
        self.notify.ready();
        loop {
            let now = self.millis(woke);
            let patience = [deadline, starved_until].into_iter().flatten().map(|at: Millis| at.since(now)).min();
            let wait = [server.wait_ms(now), self.notify.wait_ms(now), patience].into_iter().flatten().min();
            let rests =
                self.net.rests_for(woke).map(|rest| u64::try_from(rest.as_micros().div_ceil(1000)).unwrap_or(0));
            let wait = [wait, rests].into_iter().flatten().min();
            let wait = if self.disk.may_sleep() { wait } else { Some(0) };
            woke = self.sleep(wait, woke, server.take_answers_us())?;
            let now = self.millis(woke);
            self.net.set_now(now);
            self.pass_on_events(server);
            if let Some(slot) = self.net.next_rested(woke) {
                server.readable(slot);
            }
            if starved_until.is_some_and(|at| now >= at) {
                starved_until = None;
                server.acceptable();
            }
            server.set_load(self.loads.all.permille(), self.loads.streams.permille());
            if self.signals.reload_wanted() {
                server.reload();
            }
            if self.signals.child_ended() {
                self.net.reap();
            }
            while let Some(done) = self.disk.done() {
                if matches!(done, Done::Settings(_) | Done::NotReloaded(_)) {
                    self.notify.ready();
                }
                server.done(done, now);
            }
            server.turn(&mut self.net, now);
            while let Some(slot) = self.net.next_woken() {
                server.readable(slot);
                server.writable(slot);
            }
            for lane in DiskLane::ALL {
                self.disk.ask_all(lane, || {
                    let job = server.next_job(lane)?;
                    if job == Job::Reload {
                        self.notify.reloading();
                    }
                    Some(job)
                });
            }
            if self.net.take_starved() {
                starved_until = Some(now + STARVED_MS);
            }
            if self.signals.report_wanted() {
                status::report(server, self.net.shed(), self.loads.all.permille(), now);
            }
            if deadline.is_none() && self.signals.stop_wanted() {
                log::info!("rill stopping connections={}", server.slots().taken());
                self.notify.stopping();
                self.net.stop_listening();
                server.stop(now);
                deadline = Some(now + FAREWELL_MS);
            }
            self.notify.turn(server, now);
            if deadline.is_some_and(|deadline| server.is_empty() || now >= deadline) {
                status::farewell(server, now);
                return Ok(());
            }
        }
    }

    /// Polls for at most `wait` milliseconds, or for ever, and returns the time. `woke` is when the last poll ended, and
    /// `answers_us` what answers of HTTP took of the time since.
    fn sleep(&mut self, wait: Option<u64>, woke: Instant, answers_us: u64) -> io::Result<Instant> {
        // A poll that cannot sleep is work; it spares one look at the clock.
        let slept_from = if wait == Some(0) { None } else { Some(Instant::now()) };
        match self.poll.poll(&mut self.events, wait.map(Duration::from_millis)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        let now = Instant::now();
        let slept = slept_from.map_or(0, |from| micros(now.duration_since(from)));
        let busy = micros(now.duration_since(woke)).saturating_sub(slept);
        self.loads.add(slept, busy, answers_us);
        Ok(now)
    }

    fn pass_on_events(&mut self, server: &mut Server) {
        for event in &self.events {
            match self.net.ready(event.token()) {
                Ready::Listener => server.acceptable(),
                Ready::Slot(slot) => {
                    let ended = event.is_error() || event.is_read_closed() || event.is_write_closed();
                    if ended {
                        self.net.ended(slot);
                    }
                    if event.is_readable() || ended {
                        server.readable(slot);
                    }
                    if event.is_writable() || ended {
                        self.net.flush(slot);
                        server.writable(slot);
                    }
                }
                Ready::Other if event.token() == tcp::SIGNALS => self.signals.drain(),
                Ready::Other => {}
            }
        }
    }

    fn millis(&self, at: Instant) -> Millis {
        let passed = at.duration_since(self.start);
        Millis(passed.as_secs() * 1000 + u64::from(passed.subsec_millis()))
    }
}

fn micros(duration: Duration) -> u64 {
    duration.as_secs() * 1_000_000 + u64::from(duration.subsec_micros())
}
