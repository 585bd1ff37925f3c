//! What became of a call on a socket.

use std::io::{self, ErrorKind};

use crate::server::close::Loss;
use crate::server::transport::Io;

/// Calls until it is no signal that ended it.
pub(super) fn outcome(mut call: impl FnMut() -> io::Result<usize>) -> Io {
    loop {
        match call() {
            Ok(bytes) => return Io::Done(bytes),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Io::WouldBlock,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // A reset or a refusal, or a write behind one; the rest are time-outs and what routers report.
            Err(error) => {
                let by_client = matches!(
                    error.raw_os_error(),
                    Some(libc::ECONNRESET | libc::EPIPE | libc::ECONNABORTED | libc::ECONNREFUSED)
                );
                return Io::Broken(if by_client { Loss::Client } else { Loss::Network });
            }
        }
    }
}
