//! `rill script-host`: what the server starts. Its standard input is the link, its standard output a file in memory for
//! [`Doing`]; it has nothing else, and needs nothing else.

use std::cell::RefCell;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Instant;

use super::link::{Ended, Line};
use super::sandbox::{close_others, confine};
use super::session::Host;
use super::system;
use crate::time::Millis;
use crate::wire::script_link::Doing;

/// Bytes that are read at once.
const READ_BYTES: usize = 16 * 1024;

/// The link as a socket.
struct Socket {
    stream: UnixStream,
    buffer: RefCell<Box<[u8]>>,
    start: Instant,
    doing: &'static Doing,
}

/// Serves the server that has started this process until it closes the link. The argument is how much memory all of its
/// instances may have together, in bytes.
pub fn main(arguments: &[OsString]) -> ExitCode {
    close_others();
    system::end_with_parent();
    system::crash_at_once();
    let memory_bytes = arguments.first().and_then(|argument| argument.to_str()?.parse().ok()).unwrap_or(0);
    // Tests want to know what the engine does when it is refused memory, wherever that is.
    #[cfg(debug_assertions)]
    for (place, argument) in super::heap::REFUSED.iter().zip(arguments.iter().skip(1)) {
        let number = argument.to_str().and_then(|number| number.parse().ok()).unwrap_or(0);
        place.store(number, std::sync::atomic::Ordering::Relaxed);
    }
    let Ok(link) = io::stdin().as_fd().try_clone_to_owned() else { return ExitCode::FAILURE };
    let doing = system::shared_page(io::stdout().as_fd());
    let socket = Socket {
        stream: UnixStream::from(link),
        buffer: RefCell::new(vec![0; READ_BYTES].into()),
        start: Instant::now(),
        // Whoever gives no such file does not want to know.
        doing: doing.unwrap_or_else(|| Box::leak(Box::default())),
    };
    let without = confine(memory_bytes).join(" ");
    system::forget_start();
    match Host::new(Rc::new(socket), system::processor_time_us).run(&without) {
        Ended::Closed => ExitCode::SUCCESS,
        Ended::Broken(broken) => {
            let _ = writeln!(io::stderr(), "rill script-host: the server sent {broken}");
            ExitCode::FAILURE
        }
    }
}

impl Line for Socket {
    fn send(&self, bytes: &[u8]) -> Result<(), Ended> {
        (&self.stream).write_all(bytes).map_err(|_| Ended::Closed)
    }

    fn receive(&self, into: &mut Vec<u8>, wait_ms: Option<u64>) -> Result<(), Ended> {
        if wait_ms.is_some_and(|wait_ms| !system::wait_readable(self.stream.as_fd(), wait_ms)) {
            return Ok(());
        }
        let mut buffer = self.buffer.borrow_mut();
        match (&self.stream).read(&mut buffer) {
            Ok(0) => Err(Ended::Closed),
            Ok(length) => {
                into.extend_from_slice(&buffer[..length]);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(_) => Err(Ended::Closed),
        }
    }

    fn now(&self) -> Millis {
        // One that is later than 0: a time of 0 is none.
        Millis(1 + self.start.elapsed().as_millis() as u64)
    }

    fn doing(&self) -> &Doing {
        self.doing
    }
}
