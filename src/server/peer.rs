//! Who is at the other end of a connection.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A host, this one included.
    Ip(SocketAddr),
    /// A process of this machine that may write to the socket's file: the operator's.
    Local,
}

impl Peer {
    /// The address that rules and limits go by. Who is local has that of this machine.
    pub fn ip(self) -> IpAddr {
        match self {
            Peer::Ip(address) => address.ip(),
            Peer::Local => IpAddr::V4(Ipv4Addr::LOCALHOST),
        }
    }

    /// Its port; 0 for who is local.
    pub fn port(self) -> u16 {
        match self {
            Peer::Ip(address) => address.port(),
            Peer::Local => 0,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Ip(address) => address.fmt(f),
            Peer::Local => f.write_str("local"),
        }
    }
}
