//! What the outside world tells the process: stop, say how you are, and read your configuration again.
//!
//! The handlers only set flags and wake the poll. A second signal to stop ends the process within its handler, so it
//! works even if the loop hangs.

use std::io::{self, Read};
use std::os::unix::net::UnixStream as StdStream;
use std::sync::atomic::{AtomicBool, Ordering};

use mio::event::Source;
use mio::net::UnixStream;
use mio::{Interest, Registry, Token};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::{flag, low_level};

/// Statics, because a handler may run at any time until the process ends.
static STOP: AtomicBool = AtomicBool::new(false);
static REPORT: AtomicBool = AtomicBool::new(false);
static RELOAD: AtomicBool = AtomicBool::new(false);
static CHILD: AtomicBool = AtomicBool::new(false);

/// Signals as something to poll.
pub struct Signals {
    woken: UnixStream,
}

impl Signals {
    /// Installs the handlers: SIGTERM and SIGINT stop, SIGUSR1 asks for a report, SIGHUP for
    /// the configuration to be read again, and SIGCHLD tells that a process of ours has ended. From here on a second SIGTERM or
    /// SIGINT ends the process with 143 or 130, as a shell would show without handlers.
    ///
    /// # Errors
    ///
    /// The operating system's own.
    pub fn install() -> io::Result<Signals> {
        let (woken, waker) = StdStream::pair()?;
        woken.set_nonblocking(true)?;
        for (signal, status) in [(SIGTERM, 128 + SIGTERM), (SIGINT, 128 + SIGINT)] {
            // In this order: the first signal must find the flag unset.
            flag::register_conditional_shutdown(signal, status, &STOP)?;
            flag::register(signal, &STOP)?;
            low_level::pipe::register(signal, waker.try_clone()?)?;
        }
        for (signal, wish) in [(SIGUSR1, &REPORT), (SIGHUP, &RELOAD), (SIGCHLD, &CHILD)] {
            flag::register(signal, wish)?;
            low_level::pipe::register(signal, waker.try_clone()?)?;
        }
        Ok(Signals { woken: UnixStream::from_std(woken) })
    }

    /// Lets signals end a poll.
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        self.woken.register(registry, token, Interest::READABLE)
    }

    /// Takes the bytes that woke the poll, so that the next signal wakes it again.
    pub(super) fn drain(&mut self) {
        while matches!(self.woken.read(&mut [0; 64]), Ok(1..)) {}
    }

    /// The server is to stop.
    pub(super) fn stop_wanted(&self) -> bool {
        STOP.load(Ordering::SeqCst)
    }

    /// The configuration is to be read again; asking clears the request.
    pub(super) fn reload_wanted(&self) -> bool {
        RELOAD.swap(false, Ordering::SeqCst)
    }

    /// A process that we have started has ended; asking clears it.
    pub(super) fn child_ended(&self) -> bool {
        CHILD.swap(false, Ordering::SeqCst)
    }

    /// A report is wanted; asking clears the request.
    pub(super) fn report_wanted(&self) -> bool {
        REPORT.swap(false, Ordering::SeqCst)
    }
}
