//! Listening sockets, and what to say when one cannot be had.

use std::fmt;
use std::io;
use std::mem::{size_of, zeroed};
use std::net::{SocketAddr, TcpListener as StdListener};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};

use crate::server::speaks::Door;

use super::{addresses, sockopt};

/// A socket that has its address, and takes clients once it is told to listen.
///
/// These are two steps because memory is obtained between them: a port that is busy is known before hundreds of
/// megabytes are touched, and no client meets a server that is not ready.
pub struct Listener {
    /// What is spoken there.
    pub(super) door: Door,
    /// It is spoken in TLS.
    pub(super) is_secure: bool,
    /// The server does its work without it.
    pub(super) is_optional: bool,
    address: SocketAddr,
    socket: TcpListener,
}

/// Why we cannot listen. It is displayed as one line that says what to do.
#[derive(Debug)]
pub struct ListenError {
    door: Door,
    is_secure: bool,
    address: SocketAddr,
    error: io::Error,
}

/// A socket that holds the address, where clients are to speak as `door` says, in TLS if `is_secure`; port 0 is one that the system
/// chooses.
///
/// # Errors
///
/// When the address is in use, is not one of this machine's, or may not be used by this user.
pub fn bind(address: SocketAddr, door: Door, is_secure: bool) -> Result<Listener, ListenError> {
    let bound = bound(address).and_then(|socket| Ok((socket.local_addr()?, socket)));
    let (address, socket) = bound.map_err(|error| ListenError { door, is_secure, address, error })?;
    Ok(Listener { door, is_secure, is_optional: false, address, socket: TcpListener::from_std(socket) })
}

/// The first port that needs no privilege: `net.ipv4.ip_unprivileged_port_start`, which is 1024 where nobody changed it.
pub fn first_unprivileged_port() -> u16 {
    let said = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    said.ok().and_then(|said| said.trim().parse().ok()).unwrap_or(1024)
}

impl Listener {
    /// The server does its work without it: should another process listen there first, a line of the log says so.
    pub fn optional(self) -> Listener {
        Listener { is_optional: true, ..self }
    }

    /// Where clients find it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets clients arrive, and lets them wake the poll.
    ///
    /// # Errors
    ///
    /// When another process that had bound the address, too, listens already; and the operating system's own.
    pub(super) fn listen(&mut self, registry: &Registry, token: Token) -> Result<(), ListenError> {
        let done = sockopt::listen(&self.socket);
        let done = done.and_then(|()| registry.register(&mut self.socket, token, Interest::READABLE));
        let Listener { door, is_secure, address, .. } = *self;
        done.map_err(|error| ListenError { door, is_secure, address, error })
    }

    /// The next client; `WouldBlock` when there is none.
    pub(super) fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.socket.accept()
    }
}

/// What the standard library's and mio's `bind` do, but for the listening.
fn bound(address: SocketAddr) -> io::Result<StdListener> {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    // SAFETY: the call takes no pointer.
    let socket = unsafe { libc::socket(family, libc::SOCK_STREAM, 0) };
    if socket < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was opened just now, and nothing else owns it.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    // Connections of a server that ended lately still have the address.
    sockopt::set_reuse_address(&socket)?;
    let result = match address {
        SocketAddr::V4(v4) => {
            // SAFETY: it is integers only, for which zero is a value.
            let mut name: libc::sockaddr_in = unsafe { zeroed() };
            name.sin_family = libc::AF_INET as libc::sa_family_t;
            name.sin_port = v4.port().to_be();
            name.sin_addr.s_addr = u32::from_ne_bytes(v4.ip().octets());
            // SAFETY: the pointer and length are those of `name`, which lives through the call.
            unsafe { libc::bind(socket.as_raw_fd(), (&raw const name).cast(), size_of::<libc::sockaddr_in>() as _) }
        }
        SocketAddr::V6(v6) => {
            // SAFETY: it is integers only, for which zero is a value.
            let mut name: libc::sockaddr_in6 = unsafe { zeroed() };
            name.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            name.sin6_port = v6.port().to_be();
            name.sin6_flowinfo = v6.flowinfo();
            name.sin6_scope_id = v6.scope_id();
            name.sin6_addr.s6_addr = v6.ip().octets();
            // SAFETY: the pointer and length are those of `name`, which lives through the call.
            unsafe { libc::bind(socket.as_raw_fd(), (&raw const name).cast(), size_of::<libc::sockaddr_in6>() as _) }
        }
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let socket = StdListener::from(socket);
    socket.set_nonblocking(true)?;
    Ok(socket)
}

impl ListenError {
    /// Where the address is said.
    fn key(&self) -> &'static str {
        match (self.door == Door::Http, self.is_secure) {
            (true, true) => "server.tls.http",
            (true, false) => "server.http",
            (false, true) => "server.tls.listen",
            (false, false) => "--listen",
        }
    }
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ListenError { address, error, .. } = self;
        write!(f, "cannot listen on {address}: ")?;
        match error.kind() {
            io::ErrorKind::AddrInUse => {
                write!(f, "the address is in use; another program (or another rill) has it; see {}", self.key())
            }
            io::ErrorKind::PermissionDenied => {
                write!(
                    f,
                    "ports below 1024 need root or CAP_NET_BIND_SERVICE; choose one of 1024 to 65535; see {}",
                    self.key()
                )
            }
            io::ErrorKind::AddrNotAvailable => {
                write!(f, "this machine does not have the address; it has 0.0.0.0 (all)")?;
                addresses::all().iter().try_for_each(|own| write!(f, ", {own}"))?;
                write!(f, "; see {}", self.key())
            }
            _ => write!(f, "{error}; see {}", self.key()),
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
    use std::net::TcpStream as StdStream;

    use mio::Poll;

    use super::*;

    fn bind(address: SocketAddr) -> Result<Listener, ListenError> {
        super::bind(address, Door::Rtmp, false)
    }

    #[test]
    fn clients_are_refused_until_it_listens_and_then_taken() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            // Not every machine has IPv6.
            let Ok(mut listener) = bind(address.parse().unwrap()) else { continue };
            assert_eq!(StdStream::connect(listener.address()).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
            let poll = Poll::new().unwrap();
            listener.listen(poll.registry(), Token(0)).unwrap();
            let client = StdStream::connect(listener.address()).unwrap();
            assert_eq!(listener.accept().unwrap().1, client.local_addr().unwrap());
        }
    }

    #[test]
    fn of_two_that_hold_an_address_one_may_listen() {
        let mut first = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let mut second = bind(first.address()).unwrap();
        let poll = Poll::new().unwrap();
        first.listen(poll.registry(), Token(0)).unwrap();
        let error = second.listen(poll.registry(), Token(1)).unwrap_err().to_string();
        assert!(error.contains("the address is in use"), "{error}");
    }

    #[test]
    fn a_busy_port_is_said_to_be_busy() {
        let holder = StdListener::bind("127.0.0.1:0").unwrap();
        let address = holder.local_addr().unwrap();
        assert_eq!(
            bind(address).err().unwrap().to_string(),
            format!(
                "cannot listen on {address}: the address is in use; another program (or another rill) has it; see --listen"
            )
        );
    }

    #[test]
    fn an_address_of_another_machine_is_answered_with_our_own() {
        // TEST-NET-1: nobody has it (RFC 5737).
        let text = bind("192.0.2.1:1935".parse().unwrap()).err().unwrap().to_string();
        assert!(text.starts_with("cannot listen on 192.0.2.1:1935: this machine does not have the address; it has "));
        assert!(text.contains("127.0.0.1"), "{text}");
    }

    #[test]
    fn a_port_that_needs_root_is_answered_with_the_ports_that_do_not() {
        let error = ListenError {
            door: Door::Rtmp,
            is_secure: false,
            address: "0.0.0.0:80".parse().unwrap(),
            error: io::Error::from(io::ErrorKind::PermissionDenied),
        };
        assert!(error.to_string().contains("choose one of 1024 to 65535"), "{error}");
    }
}
