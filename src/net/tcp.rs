//! Sockets through mio, edge-triggered: [`Net`] over TCP and, for the operator, over a Unix socket.

use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};

use log::warn;
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};

use crate::handles::SlotIndex;
use crate::live::settings::Settings;
use crate::server::close::{Loss, TlsFault};
use crate::server::peer::Peer;
use crate::server::speaks::Door;
use crate::server::transport::{Arrival, Counted, Io, Net};
use crate::time::Millis;
use crate::wire::script_link::Entered;

use super::control_socket::ControlSocket;
use super::hosts::Hosts;
use super::listen::{ListenError, Listener};
use super::outcome::outcome;
use super::tls::{TlsIndex, TlsOffer, TlsTable};
use super::{alloc, boot, load, logging, sockopt};

/// What an event of the poll is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// A listener has connections.
    Listener,
    /// The connection in that slot.
    Slot(SlotIndex),
    /// Something that [`TcpNet`] does not know.
    Other,
}

/// Tokens from here on are listeners; slots are below.
const FIRST_LISTENER: usize = 1 << 24;
/// The token that signals use.
pub const SIGNALS: Token = Token(usize::MAX - 1);
/// The disk threads.
pub const DISK: Token = Token(usize::MAX - 2);

/// What a publisher may send while it is gathered before the poll wakes up for it: far less than a socket's buffer.
const GATHER_BYTES: u64 = 64 * 1024;
/// Clients that are turned away in one turn for want of a file descriptor.
const SHED_PER_TURN: usize = 16;
/// How often the log says that there are no file descriptors, in milliseconds.
const COMPLAINT_MS: u64 = 60_000;
/// How long accepting rests when the system has no descriptor or memory for one more connection, in milliseconds.
pub const STARVED_MS: u64 = 250;

/// Reads of a new connection that are acknowledged at once. A client that neither gathers its writes nor turns Nagle's
/// algorithm off (ffmpeg) waits for the acknowledgement of one small command before it sends the next, and the kernel
/// would let it wait 40 ms each time: 88 ms from connect to play, which become less than 1 ms.
const QUICK_ACKS: u8 = 64;

/// A connection of either kind.
enum EitherStream {
    Tcp(TcpStream),
    Local(UnixStream),
}

impl EitherStream {
    fn tcp(&self) -> Option<&TcpStream> {
        match self {
            EitherStream::Tcp(stream) => Some(stream),
            EitherStream::Local(_) => None,
        }
    }

    fn register(&mut self, registry: &Registry, slot: SlotIndex) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        match self {
            EitherStream::Tcp(stream) => registry.register(stream, Token(slot.at()), both),
            EitherStream::Local(stream) => registry.register(stream, Token(slot.at()), Interest::READABLE),
        }
    }

    /// Whether the poll is to tell when more can be written. TCP tells it to who waits for it; a local connection whenever the
    /// other end has read something, which would wake the server for nothing.
    fn wait_to_write(&mut self, registry: &Registry, slot: SlotIndex, waits: bool) -> io::Result<()> {
        let EitherStream::Local(stream) = self else { return Ok(()) };
        let interest = if waits { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
        registry.reregister(stream, Token(slot.at()), interest)
    }

    fn shutdown(&self) -> io::Result<()> {
        match self {
            EitherStream::Tcp(stream) => stream.shutdown(Shutdown::Write),
            EitherStream::Local(stream) => stream.shutdown(Shutdown::Write),
        }
    }
}

impl Read for EitherStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            EitherStream::Tcp(stream) => stream.read(buffer),
            EitherStream::Local(stream) => stream.read(buffer),
        }
    }
}

impl Write for EitherStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            EitherStream::Tcp(stream) => stream.write(bytes),
            EitherStream::Local(stream) => stream.write(bytes),
        }
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            EitherStream::Tcp(stream) => stream.write_vectored(slices),
            EitherStream::Local(stream) => stream.write_vectored(slices),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where connections arrive.
enum Entrance {
    Tcp(Listener),
    Local(ControlSocket),
    /// It was closed.
    Closed,
}

impl Entrance {
    /// The next connection; `WouldBlock` when there is none.
    fn accept(&self) -> io::Result<(EitherStream, Arrival)> {
        match self {
            Entrance::Tcp(listener) => {
                let (stream, address) = listener.accept()?;
                // An IPv4 client of an IPv6 socket is still an IPv4 client.
                let peer = Peer::Ip(SocketAddr::new(address.ip().to_canonical(), address.port()));
                Ok((EitherStream::Tcp(stream), Arrival { peer, door: listener.door, is_secure: listener.is_secure }))
            }
            Entrance::Local(socket) => {
                let (stream, _) = socket.listener.accept()?;
                Ok((EitherStream::Local(stream), Arrival { peer: Peer::Local, door: Door::Control, is_secure: false }))
            }
            Entrance::Closed => Err(ErrorKind::WouldBlock.into()),
        }
    }
}

/// A connection that a slot has.
struct Socket {
    stream: EitherStream,
    /// How many of [`QUICK_ACKS`] are left.
    quick_acks: u8,
    /// The poll has told of its end.
    ended: bool,
    /// The last write said that there is no room for more.
    waits_to_write: bool,
    /// What is between it and who reads and writes.
    security: Security,
}

/// Whether a connection is secured by TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Security {
    Plain,
    Tls(TlsIndex),
    /// Its place was given to another.
    Lost,
}

/// Bytes of a slot's socket.
pub const SOCKET_BYTES: usize = size_of::<Option<Socket>>();

/// Sockets by slot, and doors.
pub struct TcpNet {
    registry: Registry,
    entrances: Vec<Entrance>,
    /// The one that is asked first, so that none starves another.
    turn: usize,
    sockets: Box<[Option<Socket>]>,
    hosts: Hosts,
    /// The slot of the first of them.
    first_host: usize,
    tls: TlsTable,
    /// Accepted, and neither adopted nor refused yet; and whether it is to be secured.
    pending: Option<(EitherStream, bool)>,
    notsent_lowat_bytes: u64,
    send_buffer_bytes: u64,
    /// A descriptor that is held only to be given up: with it a client can be accepted and closed when there is no
    /// other, instead of waiting in the backlog without an answer.
    spare: Option<File>,
    /// Accepting failed for want of something that the system lacks.
    starved: bool,
    complained: Option<Millis>,
    /// Connections turned away for want of a file descriptor.
    shed: u64,
    /// See [`Net::started`].
    started: Option<(u64, u32)>,
    /// The first option that the system refused has been told.
    option_refused: bool,
    now: Millis,
}

impl TcpNet {
    /// Takes the doors, and room for `slots` sockets, of which the last are those of script processes. The operator may come at
    /// once, clients when [`TcpNet::listen`] says so.
    ///
    /// # Errors
    ///
    /// The operating system's own.
    pub fn new(
        registry: Registry,
        listeners: Vec<Listener>,
        control: Option<ControlSocket>,
        slots: usize,
        settings: &Settings,
        offer: TlsOffer,
    ) -> io::Result<TcpNet> {
        let mut entrances: Vec<Entrance> = listeners.into_iter().map(Entrance::Tcp).collect();
        if let Some(mut socket) = control {
            socket.listen(&registry, Token(FIRST_LISTENER + entrances.len()))?;
            entrances.push(Entrance::Local(socket));
        }
        Ok(TcpNet {
            registry,
            entrances,
            turn: 0,
            sockets: core::iter::repeat_with(|| None).take(slots).collect(),
            hosts: Hosts::new(settings.script_hosts()),
            first_host: slots.saturating_sub(settings.script_hosts()),
            tls: TlsTable::new(settings.tls_places(), offer),
            pending: None,
            notsent_lowat_bytes: settings.notsent_lowat_bytes,
            send_buffer_bytes: settings.send_buffer_bytes,
            spare: spare(),
            starved: false,
            complained: None,
            shed: 0,
            started: boot::since_start(),
            option_refused: false,
            now: Millis(0),
        })
    }

    /// Lets clients arrive.
    ///
    /// # Errors
    ///
    /// Those of [`Listener::listen`].
    pub fn listen(&mut self) -> Result<(), ListenError> {
        for (at, entrance) in self.entrances.iter_mut().enumerate() {
            let Entrance::Tcp(listener) = entrance else { continue };
            match listener.listen(&self.registry, Token(FIRST_LISTENER + at)) {
                Ok(()) => {}
                Err(error) if listener.is_optional => {
                    warn!("rill {error}: going on without");
                    *entrance = Entrance::Closed;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Where clients are let in, what is spoken there, and whether in TLS.
    pub fn doors(&self) -> impl Iterator<Item = (Door, bool, SocketAddr)> {
        self.entrances.iter().filter_map(|entrance| match entrance {
            Entrance::Tcp(listener) => Some((listener.door, listener.is_secure, listener.address())),
            Entrance::Local(_) | Entrance::Closed => None,
        })
    }

    /// What the event with this token is about.
    pub fn ready(&self, token: Token) -> Ready {
        match token.0 {
            // Edges may still be reported of a socket that was closed since.
            at if self.sockets.get(at).is_some_and(Option::is_some) => Ready::Slot(SlotIndex(at as u32)),
            at if at >= FIRST_LISTENER && at < FIRST_LISTENER + self.entrances.len() => Ready::Listener,
            _ => Ready::Other,
        }
    }

    /// The poll said that the peer has ended, or the connection.
    pub fn ended(&mut self, slot: SlotIndex) {
        if let Some(socket) = &mut self.sockets[slot.at()] {
            socket.ended = true;
        }
    }

    /// The poll said that the slot's socket takes bytes.
    pub fn flush(&mut self, slot: SlotIndex) {
        if let Some(Socket { stream: EitherStream::Tcp(stream), security: Security::Tls(at), .. }) =
            &mut self.sockets[slot.at()]
        {
            self.tls.flush(*at, stream);
        }
    }

    /// How long the caller may sleep although TLS has something to do; `None` for ever.
    pub fn rests_for(&self, now: Instant) -> Option<Duration> {
        self.tls.rests_for(now)
    }

    /// The slot whose TLS handshake may go on now: it is readable, although no event says so.
    pub fn next_rested(&mut self, now: Instant) -> Option<SlotIndex> {
        self.tls.next_rested(now)
    }

    /// A slot that is readable and writable by what happened in its TLS, of which no event tells.
    pub fn next_woken(&mut self) -> Option<SlotIndex> {
        self.tls.next_woken()
    }

    /// The TLS of a new connection of the slot, which we make if a host is named.
    fn secure(&mut self, slot: SlotIndex, host: Option<&str>) -> Result<Security, Loss> {
        let mut place = self.tls.begin(slot, host);
        if place.is_none()
            && let Some(slow) = self.tls.give_way()
        {
            if let Some(socket) = &mut self.sockets[slow.at()] {
                socket.security = Security::Lost;
            }
            place = self.tls.begin(slot, host);
        }
        place.map(Security::Tls).ok_or(Loss::Tls(TlsFault::Full))
    }

    /// Stops listening, but for the operator. Connections stay; those not accepted yet are reset.
    pub fn stop_listening(&mut self) {
        for entrance in &mut self.entrances {
            if let Entrance::Tcp(_) = entrance {
                *entrance = Entrance::Closed;
            }
        }
    }

    /// Which of the script processes' places the slot is.
    fn host(&self, slot: SlotIndex) -> usize {
        slot.at() - self.first_host
    }

    /// A process of ours has ended.
    pub fn reap(&mut self) {
        self.hosts.reap();
    }

    /// Accepting failed for want of something that the system lacks: it is worth another try after [`STARVED_MS`],
    /// although no event will say so. Asking takes the answer.
    pub fn take_starved(&mut self) -> bool {
        std::mem::take(&mut self.starved)
    }

    /// Connections turned away for want of a file descriptor.
    pub fn shed(&self) -> u64 {
        self.shed
    }

    /// Tells the time, for what is said once in a while.
    pub fn set_now(&mut self, now: Millis) {
        self.now = now;
    }

    /// The next connection at any door; `WouldBlock` when there is none.
    fn accept_any(&mut self) -> io::Result<(EitherStream, Arrival)> {
        for _ in 0..self.entrances.len() {
            self.turn = (self.turn + 1) % self.entrances.len();
            match self.entrances[self.turn].accept() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
        Err(ErrorKind::WouldBlock.into())
    }

    /// No descriptor is left: gives up the spare one to tell clients so.
    fn shed_clients(&mut self, error: &io::Error) {
        self.starved = true;
        for _ in 0..SHED_PER_TURN {
            if self.spare.take().is_none() {
                break;
            }
            let accepted = self.accept_any();
            self.shed += u64::from(accepted.is_ok());
            let none_left = accepted.is_err();
            // Closed before the spare is taken back: it is the descriptor that the spare needs.
            drop(accepted);
            self.spare = spare();
            if none_left {
                break;
            }
        }
        if self.spare.is_none() {
            self.spare = spare();
        }
        self.complain(error);
    }

    fn complain(&mut self, error: &io::Error) {
        if self.complained.is_some_and(|last| self.now.since(last) < COMPLAINT_MS) {
            return;
        }
        self.complained = Some(self.now);
        let shed = self.shed;
        // By number: the text of an error of the operating system would be allocated.
        let errno = error.raw_os_error().unwrap_or(0);
        warn!("rill cannot accept connections errno={errno} reason=\"{}\" turned_away={shed}", want(errno));
    }

    fn tcp(&self, slot: SlotIndex) -> Option<&TcpStream> {
        self.sockets.get(slot.at())?.as_ref()?.stream.tcp()
    }

    /// The connection is the slot's from now on. False when it broke meanwhile.
    fn take(&mut self, slot: SlotIndex, mut stream: EitherStream, quick_acks: u8, security: Security) -> bool {
        if let Some(stream) = stream.tcp() {
            self.set_options(stream);
        }
        if stream.register(&self.registry, slot).is_err() {
            if let Security::Tls(at) = security {
                self.tls.end(at);
            }
            return false;
        }
        self.sockets[slot.at()] = Some(Socket { stream, quick_acks, ended: false, waits_to_write: false, security });
        true
    }

    /// Sets what a connection of ours has. The connection works without, so refusals are told once and forgotten.
    fn set_options(&mut self, socket: &TcpStream) {
        let results = [
            ("TCP_NODELAY", socket.set_nodelay(true)),
            ("TCP_NOTSENT_LOWAT", sockopt::set_notsent_lowat(socket, self.notsent_lowat_bytes)),
            (
                "SO_SNDBUF",
                match self.send_buffer_bytes {
                    0 => Ok(()),
                    bytes => sockopt::set_send_buffer(socket, bytes),
                },
            ),
        ];
        for (option, result) in results {
            if let Err(error) = result
                && !self.option_refused
            {
                self.option_refused = true;
                let errno = error.raw_os_error().unwrap_or(0);
                warn!("rill socket option refused by the system option={option} errno={errno}: going on without");
            }
        }
    }
}

impl Net for TcpNet {
    fn accept(&mut self) -> Option<Arrival> {
        loop {
            let error = match self.accept_any() {
                Ok((stream, arrival)) => {
                    self.pending = Some((stream, arrival.is_secure));
                    return Some(arrival);
                }
                Err(error) => error,
            };
            match error.raw_os_error() {
                _ if error.kind() == ErrorKind::WouldBlock => return None,
                Some(libc::EMFILE | libc::ENFILE) => {
                    self.shed_clients(&error);
                    return None;
                }
                Some(libc::ENOBUFS | libc::ENOMEM) => {
                    self.starved = true;
                    self.complain(&error);
                    return None;
                }
                // What remains is the fate of that one connection (accept(2) passes network errors on), or a signal.
                // Each has taken its connection off the queue, so this ends.
                Some(
                    libc::EINTR
                    | libc::ECONNABORTED
                    | libc::EPROTO
                    | libc::ENETDOWN
                    | libc::ENETUNREACH
                    | libc::EHOSTDOWN
                    | libc::EHOSTUNREACH
                    | libc::ENOPROTOOPT
                    | libc::EOPNOTSUPP
                    | libc::EPERM
                    | libc::ETIMEDOUT,
                ) => {}
                _ => {
                    self.starved = true;
                    self.complain(&error);
                    return None;
                }
            }
        }
    }

    fn adopt(&mut self, slot: SlotIndex) -> Result<(), Loss> {
        let (stream, is_secure) = self.pending.take().ok_or(Loss::Client)?;
        let security = if is_secure { self.secure(slot, None)? } else { Security::Plain };
        if self.take(slot, stream, QUICK_ACKS, security) { Ok(()) } else { Err(Loss::Client) }
    }

    fn refuse(&mut self, words: &[u8]) {
        // Without a handshake nothing can be said in TLS.
        if let Some((mut stream, false)) = self.pending.take()
            && !words.is_empty()
        {
            // A new socket takes a line; if not, its end says as much.
            let _ = stream.write(words);
        }
    }

    fn dial(&mut self, slot: SlotIndex, to: SocketAddr, secure: Option<&str>) -> Result<(), Loss> {
        let stream = EitherStream::Tcp(TcpStream::connect(to).map_err(|_| Loss::Client)?);
        let security = if secure.is_some() { self.secure(slot, secure)? } else { Security::Plain };
        if self.take(slot, stream, 0, security) { Ok(()) } else { Err(Loss::Client) }
    }

    fn read(&mut self, slot: SlotIndex, buffer: &mut [u8]) -> Io {
        let Some(socket) = &mut self.sockets[slot.at()] else { return Io::Broken(Loss::Client) };
        let result = match (&mut socket.stream, socket.security) {
            (EitherStream::Tcp(stream), Security::Tls(at)) => self.tls.read(at, stream, buffer),
            (_, Security::Lost) => Io::Broken(Loss::Tls(TlsFault::Slow)),
            (stream, _) => outcome(|| stream.read(buffer)),
        };
        let result = match result {
            // What of TLS was read is not all that there is. Otherwise an edge-triggered poll tells of what comes after a short
            // read, its end included; an end that it has told of already must be read.
            Io::Done(bytes)
                if bytes > 0 && bytes < buffer.len() && !socket.ended && socket.security == Security::Plain =>
            {
                Io::Last(bytes)
            }
            result => result,
        };
        if socket.quick_acks > 0 && matches!(result, Io::Done(1..) | Io::Last(_)) {
            socket.quick_acks -= 1;
            if let Some(stream) = socket.stream.tcp() {
                sockopt::acknowledge_now(stream);
            }
        }
        result
    }

    fn has_unread(&mut self, slot: SlotIndex) -> bool {
        let Some(socket) = &self.sockets[slot.at()] else { return false };
        if let Security::Tls(at) = socket.security
            && self.tls.has_plain(at)
        {
            return true;
        }
        // Its end is no sign of life, and is read as 0 bytes.
        socket.stream.tcp().is_some_and(|stream| matches!(outcome(|| stream.peek(&mut [0])), Io::Done(1..)))
    }

    fn gather(&mut self, slot: SlotIndex, gather: bool) {
        if let Some(stream) = self.tcp(slot) {
            // Should it fail, the poll wakes up for nothing.
            let _ = sockopt::set_receive_lowat(stream, if gather { GATHER_BYTES } else { 1 });
        }
    }

    fn write(&mut self, slot: SlotIndex, slices: &[IoSlice<'_>]) -> Io {
        let Some(socket) = &mut self.sockets[slot.at()] else { return Io::Broken(Loss::Client) };
        if socket.security != Security::Plain {
            let Socket { stream: EitherStream::Tcp(stream), security: Security::Tls(at), .. } = socket else {
                return Io::Broken(Loss::Tls(TlsFault::Slow));
            };
            return self.tls.write(*at, stream, slices);
        }
        let result = match slices {
            // One slice spares the kernel the walk through a vector.
            [slice] => outcome(|| socket.stream.write(slice)),
            slices => outcome(|| socket.stream.write_vectored(slices)),
        };
        let waits = result == Io::WouldBlock;
        if waits != socket.waits_to_write {
            socket.waits_to_write = waits;
            if socket.stream.wait_to_write(&self.registry, slot, waits).is_err() {
                return Io::Broken(Loss::Network);
            }
        }
        result
    }

    fn finish(&mut self, slot: SlotIndex) {
        if let Some(socket) = &mut self.sockets[slot.at()] {
            if let (EitherStream::Tcp(stream), Security::Tls(at)) = (&mut socket.stream, socket.security) {
                self.tls.finish(at, stream);
                return;
            }
            // It fails only when the connection is gone, which reading tells as well.
            let _ = socket.stream.shutdown();
        }
    }

    fn has_delivered(&mut self, slot: SlotIndex) -> bool {
        let Some(socket) = &self.sockets[slot.at()] else { return false };
        if let Security::Tls(at) = socket.security
            && !self.tls.has_sent(at)
        {
            return false;
        }
        socket.stream.tcp().is_some_and(|stream| sockopt::unacknowledged(stream) == Some(0))
    }

    fn close(&mut self, slot: SlotIndex) {
        // Closing takes it out of the poll, too.
        let socket = self.sockets[slot.at()].take();
        if let Some(Socket { security: Security::Tls(at), .. }) = socket {
            self.tls.end(at);
        }
    }

    fn start_host(&mut self, slot: SlotIndex, memory_bytes: u64) -> bool {
        match self.hosts.start(self.host(slot), memory_bytes) {
            Ok(stream) => self.take(slot, EitherStream::Local(stream), 0, Security::Plain),
            Err(error) => {
                let errno = error.raw_os_error().unwrap_or(0);
                warn!("rill cannot start a script process errno={errno}");
                false
            }
        }
    }

    fn kill_host(&mut self, slot: SlotIndex) {
        self.hosts.kill(self.host(slot));
    }

    fn host_time_us(&mut self, slot: SlotIndex) -> Option<u64> {
        self.hosts.time_us(self.host(slot))
    }

    fn host_doing(&self, slot: SlotIndex) -> Option<Entered> {
        self.hosts.doing(self.host(slot))
    }

    fn round_trip_us(&self, slot: SlotIndex) -> Option<u32> {
        sockopt::round_trip_us(self.tcp(slot)?)
    }

    fn clock_ms(&self) -> Option<u64> {
        logging::clock_ms()
    }

    fn started(&self) -> Option<(u64, u32)> {
        self.started
    }

    fn worked_us(&self) -> u64 {
        load::thread_us()
    }

    fn certificate_ends_s(&mut self) -> Option<u64> {
        self.tls.valid_until_s()
    }

    fn random(&mut self) -> Option<u128> {
        // It waits for nothing: the start has waited until the system has random numbers, for its seed.
        let mut bytes = [0; size_of::<u128>()];
        getrandom::fill(&mut bytes).ok().map(|()| u128::from_ne_bytes(bytes))
    }

    fn counted(&self) -> Counted {
        Counted { turned_away: self.shed, heap_allocations: alloc::since_sealed() }
    }
}

fn spare() -> Option<File> {
    File::open("/dev/null").ok()
}

/// What the system lacks, in words.
fn want(errno: i32) -> &'static str {
    match errno {
        libc::EMFILE => "this process may open no more files: raise its limit or lower limits.connections",
        libc::ENFILE => "the system has no more open files",
        libc::ENOBUFS | libc::ENOMEM => "the kernel has no memory for more connections",
        _ => "the system's",
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener as StdListener, TcpStream as StdStream};
    use std::os::fd::AsRawFd;

    use mio::{Events, Poll};

    use super::super::listen;
    use super::*;

    const SLOT: SlotIndex = SlotIndex(2);

    /// A network without doors that dials.
    struct Dialler {
        poll: Poll,
        net: TcpNet,
    }

    impl Dialler {
        fn to(address: SocketAddr) -> Dialler {
            let poll = Poll::new().unwrap();
            let registry = poll.registry().try_clone().unwrap();
            let mut net =
                TcpNet::new(registry, Vec::new(), None, 4, &Settings::default(), TlsOffer::default()).unwrap();
            assert_eq!(net.dial(SLOT, address, None), Ok(()));
            Dialler { poll, net }
        }

        /// What a write of a word comes to, once the poll says that the slot is ready, or when the time is over.
        fn write(&mut self, wait: Duration) -> Io {
            let (mut events, end) = (Events::with_capacity(8), Instant::now() + wait);
            while let Some(left) = end.checked_duration_since(Instant::now()) {
                self.poll.poll(&mut events, Some(left)).unwrap();
                if events.iter().any(|event| self.net.ready(event.token()) == Ready::Slot(SLOT)) {
                    break;
                }
            }
            self.net.write(SLOT, &[IoSlice::new(b"hello")])
        }
    }

    const LONG: Duration = Duration::from_secs(10);

    #[test]
    fn a_connection_that_was_dialled_is_written_to_when_it_is_there() {
        let host = StdListener::bind("127.0.0.1:0").unwrap();
        let mut dialler = Dialler::to(host.local_addr().unwrap());
        assert_eq!(dialler.write(LONG), Io::Done(5));
        let (mut client, _) = host.accept().unwrap();
        let mut heard = [0; 5];
        client.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"hello");
    }

    #[test]
    fn one_that_is_refused_is_broken() {
        // Who has an address and does not listen refuses.
        let host = listen::bind("127.0.0.1:0".parse().unwrap(), Door::Rtmp, false).unwrap();
        let mut dialler = Dialler::to(host.address());
        assert_eq!(dialler.write(LONG), Io::Broken(Loss::Client));
    }

    #[test]
    fn who_does_not_answer_is_given_up_by_closing_the_slot() {
        let host = StdListener::bind("127.0.0.1:0").unwrap();
        let address = host.local_addr().unwrap();
        // SAFETY: the call takes no pointer.
        assert_eq!(unsafe { libc::listen(host.as_raw_fd(), 0) }, 0, "one may wait to be accepted");
        let mut waiting = Vec::new();
        while let Ok(stream) = StdStream::connect_timeout(&address, Duration::from_millis(200)) {
            waiting.push(stream);
        }
        let mut dialler = Dialler::to(address);
        assert_eq!(dialler.write(Duration::from_millis(50)), Io::WouldBlock);
        assert_eq!(dialler.net.read(SLOT, &mut [0; 8]), Io::WouldBlock);
        dialler.net.close(SLOT);
        assert_eq!(dialler.net.ready(Token(SLOT.at())), Ready::Other, "the slot is free");
    }
}
