//! What the service manager is told (`sd_notify(3)`): the server is ready, alive, reloading, stopping, and what it does.
//!
//! The protocol is lines of text in datagrams to the Unix socket that `NOTIFY_SOCKET` names; systemd and others speak it.
//! Without that variable nothing is sent. `WATCHDOG=1` is sent by the loop itself, at half of the interval that
//! `WATCHDOG_USEC` asks for, so a loop that is stuck is not reported to be alive, and is started again.

use std::env;
use std::fmt::Write as _;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use log::warn;

use crate::server::Server;
use crate::time::Millis;

/// The shortest time between two `STATUS=`, in milliseconds. People read them, and the manager handles each.
const STATUS_MS: u64 = 1000;
/// The longest notification: a status with three numbers of ten digits.
const MESSAGE_BYTES: usize = 128;

/// The way to the service manager, if there is one.
pub struct Notify {
    socket: Option<UnixDatagram>,
    watchdog: Option<Watchdog>,
    /// What it was told last.
    told: Option<ServiceStatus>,
    /// When [`Notify::told`] may be replaced.
    status_at: Millis,
    /// Something happened since it was compared with the server.
    is_old: bool,
}

struct Watchdog {
    interval_ms: u64,
    next: Millis,
}

/// What `systemctl status` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ServiceStatus {
    connections: u32,
    published: u32,
}

impl Notify {
    /// What the environment asks for. A socket that cannot be reached is said in the log: the server does its work without.
    pub fn from_environment() -> Notify {
        let Some(address) = env::var_os("NOTIFY_SOCKET").filter(|address| !address.is_empty()) else {
            return Notify::to(None, None);
        };
        let socket = connect(address.as_bytes());
        if let Err(error) = &socket {
            warn!("rill notify socket={address:?}: {error}; the service manager is told nothing");
        }
        let number = |name| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        // Child processes inherit both; the second names the process that they are meant for.
        let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        Notify::to(socket.ok(), number("WATCHDOG_USEC").filter(|&usec| usec > 0 && is_ours))
    }

    fn to(socket: Option<UnixDatagram>, watchdog_usec: Option<u64>) -> Notify {
        let watchdog = watchdog_usec.filter(|_| socket.is_some());
        Notify {
            socket,
            watchdog: watchdog.map(|usec| Watchdog { interval_ms: (usec / 2000).max(1), next: Millis(0) }),
            told: None,
            status_at: Millis(0),
            is_old: true,
        }
    }

    /// Clients can connect, and the configuration is in force.
    pub(super) fn ready(&self) {
        self.send("READY=1");
    }

    /// The configuration is being read again; [`Notify::ready`] says when that is done.
    pub(super) fn reloading(&self) {
        let mut message = heapless::String::<MESSAGE_BYTES>::new();
        // By this time systemd knows which of its requests is meant. It always fits.
        let _ = write!(message, "RELOADING=1\nMONOTONIC_USEC={}", monotonic_us());
        self.send(&message);
    }

    /// The server ends.
    pub(super) fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// When the loop has to call [`Notify::turn`] again at the latest, in milliseconds.
    pub(super) fn wait_ms(&self, now: Millis) -> Option<u64> {
        let watchdog = self.watchdog.as_ref().map(|watchdog| watchdog.next);
        let status = (self.is_old && self.socket.is_some()).then_some(self.status_at);
        [watchdog, status].into_iter().flatten().map(|at| at.since(now)).min()
    }

    /// Says what is due. The loop calls it whenever it has done its work.
    pub(super) fn turn(&mut self, server: &Server, now: Millis) {
        if self.socket.is_none() {
            return;
        }
        if let Some(watchdog) = self.watchdog.as_mut().filter(|watchdog| now >= watchdog.next) {
            watchdog.next = now + watchdog.interval_ms;
            self.send("WATCHDOG=1");
        }
        self.is_old = now < self.status_at;
        if self.is_old {
            return;
        }
        self.status_at = now + STATUS_MS;
        let totals = server.totals(now);
        let status = ServiceStatus { connections: totals.connections, published: totals.published };
        if self.told != Some(status) {
            self.told = Some(status);
            let mut message = heapless::String::<MESSAGE_BYTES>::new();
            let ServiceStatus { connections, published } = status;
            // It always fits.
            let _ = write!(message, "STATUS={connections} clients, {published} streams");
            self.send(&message);
        }
    }

    /// A manager that does not read loses messages: the loop never blocks.
    fn send(&self, message: &str) {
        if let Some(socket) = &self.socket {
            let _ = socket.send(message.as_bytes());
        }
    }
}

/// A socket to `address`: a path, or behind `@` a name in Linux's abstract name space.
fn connect(address: &[u8]) -> io::Result<UnixDatagram> {
    let address = match address {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        [b'/', ..] => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(address))?,
        _ => return Err(io::Error::new(io::ErrorKind::Unsupported, "must be a path or @NAME")),
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect_addr(&address)?;
    Ok(socket)
}

/// `CLOCK_MONOTONIC` in microseconds.
fn monotonic_us() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec that lives through the call.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    // It can only fail where there is no such clock, which no Linux is.
    assert_eq!(result, 0, "there is no monotonic clock");
    // Both are never negative, and differ in width between targets.
    time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1000
}
