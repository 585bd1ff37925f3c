//! Whoever publishes or plays: a connection, or a part of the server that needs none.

use core::fmt;
use core::net::IpAddr;

use crate::handles::{ConnId, FeatureId};

use super::links::LinkClock;

/// Who publishes or plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A connection, with that of its streams, from 0.
    Conn(ConnId, u8),
    /// A part of the server itself, with that of its streams.
    Feature(FeatureId, u16),
}

impl Holder {
    /// The connection, if it is one.
    pub fn conn(self) -> Option<ConnId> {
        match self {
            Holder::Conn(conn, _) => Some(conn),
            Holder::Feature(..) => None,
        }
    }

    /// Whether it is that part of the server.
    pub fn is_of(self, feature: FeatureId) -> bool {
        matches!(self, Holder::Feature(own, _) if own == feature)
    }

    /// Whether both are streams of one connection, or of one part of the server.
    pub fn is_with(self, other: Holder) -> bool {
        match (self, other) {
            (Holder::Conn(conn, _), Holder::Conn(other, _)) => conn == other,
            (Holder::Feature(feature, _), Holder::Feature(other, _)) => feature == other,
            (Holder::Conn(..), Holder::Feature(..)) | (Holder::Feature(..), Holder::Conn(..)) => false,
        }
    }
}

/// Who publishes, or wants to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publisher {
    /// Who.
    pub by: Holder,
    /// Whose connection it is, as far as its address tells. It stays what it is as long as the connection lives, so a copy of it
    /// stands here. `None` is the server itself.
    pub home: Option<Household>,
}

/// A connection that wants something of the application that it has joined.
#[derive(Clone, Copy, Debug)]
pub struct Who<'a> {
    /// Its address.
    pub peer: IpAddr,
    /// The application's instance that it has joined.
    pub instance: &'a str,
    /// What stood behind the `?` of the name that it says.
    pub query: &'a str,
    /// It has logged in as one of the application's users.
    pub has_logged_in: bool,
    /// What time it is, for links that expire.
    pub clock: LinkClock,
}

impl fmt::Display for Holder {
    /// As a line of the log says who it is about: `c7.2`, and of a part of the server its stream, too: `f2.0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Holder::Conn(conn, _) => conn.fmt(f),
            Holder::Feature(feature, stream) => write!(f, "{feature}.{stream}"),
        }
    }
}

/// The likely owner of an address: an IPv4 address, or the first 64 bits of an IPv6 address, below which a
/// household or a stranger has as many as it likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Household(pub u64);

impl Household {
    /// The household of an address.
    pub fn of(address: IpAddr) -> Household {
        match address.to_canonical() {
            IpAddr::V4(address) => Household(u64::from(address.to_bits())),
            // No network begins with 32 zeros.
            IpAddr::V6(address) => Household((address.to_bits() >> 64) as u64),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::handles::SlotIndex;

    use super::*;

    #[test]
    fn streams_of_one_connection_belong_together_and_the_log_shows_whose_they_are() {
        let conn = |generation, lane| Holder::Conn(ConnId { slot: SlotIndex(7), generation }, lane);
        let feature = |feature, stream| Holder::Feature(FeatureId(feature), stream);
        for (one, other, together) in [
            (conn(2, 0), conn(2, 1), true),
            (conn(2, 0), conn(3, 0), false),
            (feature(7, 0), feature(7, 1), true),
            (feature(7, 0), feature(8, 0), false),
            (feature(7, 0), conn(0, 0), false),
        ] {
            assert_eq!((one.is_with(other), other.is_with(one)), (together, together), "{one} {other}");
        }
        assert_eq!((conn(2, 1).to_string(), feature(7, 3).to_string()), ("c7.2".to_owned(), "f7.3".to_owned()));
        assert_eq!((conn(2, 1).conn().is_some(), feature(7, 3).conn()), (true, None));
    }

    #[test]
    fn a_household_has_one_ipv4_address_or_all_of_an_ipv6_network() {
        let of = |address: &str| Household::of(address.parse().unwrap());
        assert_eq!(of("192.0.2.7"), of("::ffff:192.0.2.7"));
        assert_ne!(of("192.0.2.7"), of("192.0.2.8"));
        assert_eq!(of("2001:db8:1:2::3"), of("2001:db8:1:2:ffff::"));
        assert_ne!(of("2001:db8:1:2::3"), of("2001:db8:1:3::3"));
    }
}
