//! The sockets of the [responder](crate::responder): for each link and family one that is bound to both.

use std::io::{Error, ErrorKind, Result};
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use crate::responder::{Advertised, PORT, Packet, Responder};

const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
/// RFC 6762, sections 11 and 17: what a packet must have crossed no router with, and its longest.
const HOPS: u32 = 255;
const PACKET_BYTES: usize = 9000;
/// Linux's include/uapi/linux/if_addr.h: what /proc/net/if_inet6 says of addresses that must not be advertised, or that
/// are not usable yet.
const UNUSABLE: u32 = IFA_F_TEMPORARY | IFA_F_DADFAILED | IFA_F_DEPRECATED | IFA_F_TENTATIVE;
const IFA_F_TEMPORARY: u32 = 0x01;
const IFA_F_DADFAILED: u32 = 0x08;
const IFA_F_DEPRECATED: u32 = 0x20;
const IFA_F_TENTATIVE: u32 = 0x40;

/// Holds a name until SIGTERM or SIGINT. `held` is a file that has the name that is held, and is away while there is none.
///
/// # Errors
///
/// The operating system's own, but for what concerns a single link: such a link is left out.
pub fn hold(advertised: Advertised, held: &str) -> Result<()> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (signals, changes) = (signals()?, changes()?);
    let mut links: Vec<Link> = Vec::new();
    // Boards that start at the same moment have the same clock, but not the same address.
    let seed = hash(&format!("{since:?} {} {:?}", std::process::id(), if_addrs::get_if_addrs()));
    let mut responder = Responder::new(advertised, seed);
    let mut said = None;
    let mut look = true;
    let _ = std::fs::remove_file(held);
    loop {
        if look {
            links_now(&mut links);
            let found: Vec<_> = links.iter().map(|link| (link.index, link.addresses.clone())).collect();
            responder.set_links(Instant::now(), &found);
        }
        responder.turn(Instant::now());
        send(&mut responder, &links);
        if !responder.has_links() {
            said = None;
            let _ = std::fs::remove_file(held);
        } else if let Some(name) = responder.held().filter(|name| said.as_ref() != Some(name)) {
            println!("appliance: the name is {name}");
            // A reader sees the old name or the new one.
            std::fs::write(format!("{held}.new"), format!("{name}\n"))?;
            std::fs::rename(format!("{held}.new"), held)?;
            said = Some(name);
        }
        let mut sockets = vec![signals.as_raw_fd(), changes.as_raw_fd()];
        sockets.extend(links.iter().flat_map(|link| &link.sockets).map(AsRawFd::as_raw_fd));
        let ready = wait(&sockets, responder.deadline())?;
        if ready.contains(&signals.as_raw_fd()) {
            responder.goodbye();
            send(&mut responder, &links);
            let _ = std::fs::remove_file(held);
            return Ok(());
        }
        look = ready.contains(&changes.as_raw_fd());
        if look {
            // What has changed is in getifaddrs, too. A queue that has overflown says so here, and means the same.
            drain(&changes);
        }
        for link in &links {
            for socket in link.sockets.iter().filter(|socket| ready.contains(&socket.as_raw_fd())) {
                receive(&mut responder, link.index, socket);
            }
        }
    }
}

/// A link that is up and has an address.
struct Link {
    index: u32,
    addresses: Vec<IpAddr>,
    sockets: Vec<Socket>,
}

/// Brings `links` up to date. Sockets of links that stay are kept.
fn links_now(links: &mut Vec<Link>) {
    let unusable = unusable_addresses();
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let mut found: Vec<Link> = Vec::new();
    for interface in interfaces.iter().filter(|one| one.is_oper_up() && !one.is_loopback() && !one.is_p2p()) {
        let (Some(index), address) = (interface.index, interface.ip()) else { continue };
        if unusable.contains(&(index, address)) {
            continue;
        }
        match found.iter_mut().find(|link| link.index == index) {
            Some(link) => link.addresses.push(address),
            None => {
                let before = links.iter().position(|link| link.index == index);
                let sockets = before.map_or_else(Vec::new, |at| links.swap_remove(at).sockets);
                found.push(Link { index, addresses: vec![address], sockets });
            }
        }
    }
    for link in &mut found {
        // A family that was refused is tried again at the next change, which there is when it gets an address.
        for domain in [Domain::IPV4, Domain::IPV6] {
            let has = link.addresses.iter().any(|address| address.is_ipv4() == (domain == Domain::IPV4));
            let open = link.sockets.iter().any(|socket| socket.domain().is_ok_and(|one| one == domain));
            if has && !open {
                link.sockets.extend(open_socket(domain, link.index).ok());
            }
        }
    }
    found.retain(|link| !link.sockets.is_empty());
    *links = found;
}

/// A socket that gets what is multicast on a link, and nothing else: others share the port, and what routers forward stays
/// out.
fn open_socket(domain: Domain, index: u32) -> Result<Socket> {
    let socket = Socket::new(domain, Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    let device = std::num::NonZeroU32::new(index);
    if domain == Domain::IPV4 {
        socket.bind_device_by_index_v4(device)?;
        socket.bind(&SocketAddr::from(SocketAddrV4::new(GROUP_V4, PORT)).into())?;
        socket.join_multicast_v4_n(&GROUP_V4, &InterfaceIndexOrAddress::Index(index))?;
        socket.set_multicast_ttl_v4(HOPS)?;
        socket.set_ttl_v4(HOPS)?;
    } else {
        socket.set_only_v6(true)?;
        socket.bind_device_by_index_v6(device)?;
        socket.bind(&SocketAddr::from(SocketAddrV6::new(GROUP_V6, PORT, 0, index)).into())?;
        socket.join_multicast_v6(&GROUP_V6, index)?;
        socket.set_multicast_if_v6(index)?;
        socket.set_multicast_hops_v6(HOPS)?;
        socket.set_unicast_hops_v6(HOPS)?;
    }
    Ok(socket)
}

/// A packet that cannot be sent is lost, as it may be on the way.
fn send(responder: &mut Responder, links: &[Link]) {
    while let Some(Packet { link, to, bytes }) = responder.next_packet() {
        let Some(link) = links.iter().find(|one| one.index == link) else { continue };
        for socket in &link.sockets {
            let v4 = socket.domain().is_ok_and(|domain| domain == Domain::IPV4);
            let group = if v4 {
                SocketAddr::from(SocketAddrV4::new(GROUP_V4, PORT))
            } else {
                SocketAddr::from(SocketAddrV6::new(GROUP_V6, PORT, 0, link.index))
            };
            let to = to.unwrap_or(group);
            if to.is_ipv4() == v4 {
                let _ = socket.send_to(&bytes, &to.into());
            }
        }
    }
}

fn receive(responder: &mut Responder, link: u32, socket: &Socket) {
    let mut buffer = [MaybeUninit::uninit(); PACKET_BYTES];
    // Others wait, too: what is left makes the next poll return at once.
    let Ok((length, from)) = socket.recv_from(&mut buffer) else { return };
    let Some(from) = from.as_socket() else { return };
    // SAFETY: recv_from has initialised this many bytes.
    let bytes = unsafe { std::slice::from_raw_parts(buffer.as_ptr().cast::<u8>(), length) };
    responder.receive(Instant::now(), link, from, bytes);
}

/// IPv6 addresses with the index of their link, by /proc/net/if_inet6: address, index, prefix, scope and flags in
/// hexadecimal digits, and the link's name.
fn unusable_addresses() -> Vec<(u32, IpAddr)> {
    let text = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    let line = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| u32::from_str_radix(fields.get(at)?, 16).ok();
        let address = Ipv6Addr::from(u128::from_str_radix(fields.first()?, 16).ok()?);
        (number(4)? & UNUSABLE != 0).then_some((number(1)?, IpAddr::V6(address)))
    };
    text.lines().filter_map(line).collect()
}

/// What becomes readable when links or addresses change (rtnetlink(7)).
fn changes() -> Result<OwnedFd> {
    // SAFETY: the call has no preconditions; what it returns is checked.
    let descriptor = owned(unsafe {
        libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, libc::NETLINK_ROUTE)
    })?;
    // SAFETY: all zero is a valid sockaddr_nl, whose fields are numbers.
    let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
    address.nl_family = libc::AF_NETLINK as _;
    address.nl_groups = (libc::RTMGRP_LINK | libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV6_IFADDR) as _;
    let length = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
    // SAFETY: it reads one sockaddr_nl, which lives until it returns.
    match unsafe { libc::bind(descriptor.as_raw_fd(), (&raw const address).cast(), length) } {
        0 => Ok(descriptor),
        _ => Err(Error::last_os_error()),
    }
}

/// What becomes readable when the process is to end (signalfd(2)).
fn signals() -> Result<OwnedFd> {
    // SAFETY: sigemptyset makes a valid set of what it is given, which the other calls read.
    owned(unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGTERM);
        libc::sigaddset(&mut set, libc::SIGINT);
        libc::sigprocmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
        libc::signalfd(-1, &set, libc::SFD_CLOEXEC)
    })
}

fn owned(descriptor: RawFd) -> Result<OwnedFd> {
    if descriptor < 0 {
        return Err(Error::last_os_error());
    }
    // SAFETY: the caller has just been given it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

fn drain(descriptor: &OwnedFd) {
    let mut buffer = [0u8; 4096];
    // SAFETY: it writes at most the buffer, which lives until it returns.
    let read =
        |buffer: &mut [u8]| unsafe { libc::recv(descriptor.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
    while read(&mut buffer) > 0 {}
}

/// Waits until `deadline`, or until some of `descriptors` are readable, which are returned.
fn wait(descriptors: &[RawFd], deadline: Option<Instant>) -> Result<Vec<RawFd>> {
    let mut polled: Vec<libc::pollfd> =
        descriptors.iter().map(|&fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 }).collect();
    // Rounded up, or the last millisecond would be spent in turns without end.
    let timeout_ms = deadline.map_or(-1, |deadline| {
        let left = deadline.saturating_duration_since(Instant::now());
        left.as_micros().div_ceil(1000).try_into().unwrap_or(libc::c_int::MAX)
    });
    // SAFETY: it reads and writes that many pollfds, which live until it returns.
    let count = unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as _, timeout_ms) };
    if count < 0 && Error::last_os_error().kind() != ErrorKind::Interrupted {
        return Err(Error::last_os_error());
    }
    Ok(polled.iter().filter(|one| one.revents != 0).map(|one| one.fd).collect())
}

/// FNV-1a.
fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
