//! The addresses of this machine, as people type them.

use std::net::{IpAddr, SocketAddr};

/// Every address, loopback last. Empty when the system does not tell.
pub fn all() -> Vec<IpAddr> {
    let mut all: Vec<IpAddr> = if_addrs::get_if_addrs()
        .map(|interfaces| {
            let usable = interfaces.iter().filter(|interface| !interface.is_link_local());
            usable.map(|interface| interface.ip()).collect()
        })
        .unwrap_or_default();
    all.sort_by_key(|address| (address.is_loopback(), address.is_ipv6()));
    all.dedup();
    all
}

/// The addresses at which clients reach a socket that listens on `listening`: itself, or when it listens on all, each
/// of the machine's. IPv6 and loopback addresses are left out when there are others: users rarely type them.
pub fn reachable_at(listening: SocketAddr, own: &[IpAddr]) -> Vec<SocketAddr> {
    let port = listening.port();
    if !listening.ip().is_unspecified() {
        return vec![listening];
    }
    let ranks: [fn(&IpAddr) -> bool; 3] =
        [|a| a.is_ipv4() && !a.is_loopback(), |a| a.is_ipv6() && !a.is_loopback(), |a| a.is_loopback()];
    let spoken = |address: &IpAddr| address.is_ipv4() || listening.is_ipv6();
    for rank in ranks {
        let found: Vec<SocketAddr> = own
            .iter()
            .filter(|address| spoken(address) && rank(address))
            .map(|&address| SocketAddr::new(address, port))
            .collect();
        if !found.is_empty() {
            return found;
        }
    }
    vec![SocketAddr::new([127, 0, 0, 1].into(), port)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reached(listening: &str, own: &[&str]) -> Vec<String> {
        let own: Vec<IpAddr> = own.iter().map(|address| address.parse().unwrap()).collect();
        reachable_at(listening.parse().unwrap(), &own).iter().map(SocketAddr::to_string).collect()
    }

    #[test]
    fn all_addresses_are_those_of_the_lan_and_loopback_only_when_alone() {
        let own = ["192.168.1.20", "10.0.0.5", "2001:db8::1", "127.0.0.1", "::1"];
        assert_eq!(reached("0.0.0.0:1935", &own), ["192.168.1.20:1935", "10.0.0.5:1935"]);
        assert_eq!(reached("[::]:1936", &["2001:db8::1", "::1"]), ["[2001:db8::1]:1936"]);
        assert_eq!(reached("0.0.0.0:1935", &["2001:db8::1", "127.0.0.1"]), ["127.0.0.1:1935"]);
        assert_eq!(reached("0.0.0.0:1935", &[]), ["127.0.0.1:1935"]);
        assert_eq!(reached("10.0.0.5:1", &own), ["10.0.0.5:1"]);
    }
}
