//! Listening sockets, and what to say when one cannot be had.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use mio::net::TcpListener;

use super::{addresses, sockopt};

/// Why we cannot listen. It is displayed as one line that says what to do.
#[derive(Debug)]
pub struct ListenError {
    address: SocketAddr,
    error: io::Error,
}

/// A socket on which clients may arrive.
///
/// # Errors
///
/// When the address is in use, is not one of this machine's, or may not be used by this user.
pub fn listen(address: SocketAddr) -> Result<TcpListener, ListenError> {
    let listener = TcpListener::bind(address).map_err(|error| ListenError { address, error })?;
    sockopt::deepen_backlog(&listener);
    Ok(listener)
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ListenError { address, error } = self;
        write!(f, "cannot listen on {address}: ")?;
        match error.kind() {
            io::ErrorKind::AddrInUse => {
                write!(f, "the address is in use; another program (or another rill) has it; see --listen")
            }
            io::ErrorKind::PermissionDenied => {
                write!(
                    f,
                    "ports below 1024 need root or CAP_NET_BIND_SERVICE; choose one of 1024 to 65535; see --listen"
                )
            }
            io::ErrorKind::AddrNotAvailable => {
                write!(f, "this machine does not have the address; it has 0.0.0.0 (all)")?;
                addresses::all().iter().try_for_each(|own| write!(f, ", {own}"))?;
                write!(f, "; see --listen")
            }
            _ => write!(f, "{error}; see --listen"),
        }
    }
}

impl std::error::Error for ListenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener as StdListener;

    use super::*;

    #[test]
    fn a_busy_port_is_said_to_be_busy() {
        let holder = StdListener::bind("127.0.0.1:0").unwrap();
        let address = holder.local_addr().unwrap();
        assert_eq!(
            listen(address).unwrap_err().to_string(),
            format!(
                "cannot listen on {address}: the address is in use; another program (or another rill) has it; see --listen"
            )
        );
    }

    #[test]
    fn an_address_of_another_machine_is_answered_with_our_own() {
        // TEST-NET-1: nobody has it (RFC 5737).
        let text = listen("192.0.2.1:1935".parse().unwrap()).unwrap_err().to_string();
        assert!(text.starts_with("cannot listen on 192.0.2.1:1935: this machine does not have the address; it has "));
        assert!(text.contains("127.0.0.1"), "{text}");
    }

    #[test]
    fn a_port_that_needs_root_is_answered_with_the_ports_that_do_not() {
        let error = ListenError {
            address: "0.0.0.0:80".parse().unwrap(),
            error: io::Error::from(io::ErrorKind::PermissionDenied),
        };
        assert!(error.to_string().contains("choose one of 1024 to 65535"), "{error}");
    }
}
