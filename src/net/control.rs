//! The control socket's clients, as far as they are sockets: what they say, and what they hear, is
//! [`server::control`](crate::server::control)'s.

use std::io::{self, ErrorKind, Read, Write};

use mio::net::UnixStream;
use mio::{Interest, Registry, Token};

use crate::limits::{CONTROL_CLIENTS, CONTROL_REQUEST_BYTES};
use crate::server::Server;
use crate::server::control::{BUSY, Conn, Process};
use crate::time::Millis;

use super::control_socket::ControlSocket;
use super::tcp::FIRST_CONTROL;

/// Clients accepted in one turn.
const ACCEPTS_PER_TURN: usize = 8;
/// How long accepting rests when the system cannot give one more connection, in milliseconds.
const REST_MS: u64 = 250;

/// Bytes of one client's place.
pub const CLIENT_BYTES: usize = size_of::<ControlClient>();

/// What the socket's listener has.
const LISTENER: Token = Token(FIRST_CONTROL);

/// The control socket and its clients.
pub struct Control {
    registry: Registry,
    socket: Option<ControlSocket>,
    clients: Box<[ControlClient]>,
    acceptable: bool,
    /// Accepting failed for want of something; it is worth another try then.
    rests_until: Option<Millis>,
}

impl Control {
    /// Room for the clients of `socket`; without one there are no clients.
    ///
    /// # Errors
    ///
    /// The operating system's own.
    pub fn new(registry: Registry, mut socket: Option<ControlSocket>) -> io::Result<Control> {
        if let Some(socket) = &mut socket {
            registry.register(&mut socket.listener, LISTENER, Interest::READABLE)?;
        }
        let clients = core::iter::repeat_with(ControlClient::free).take(CONTROL_CLIENTS).collect();
        // A client may have come before the poll was told.
        let acceptable = socket.is_some();
        Ok(Control { registry, socket, clients, acceptable, rests_until: None })
    }

    /// Takes the event with this token, if it is about the control socket.
    pub fn ready(&mut self, token: Token, readable: bool, writable: bool) {
        if token == LISTENER {
            self.acceptable = true;
        } else if let Some(client) = token.0.checked_sub(FIRST_CONTROL + 1).and_then(|at| self.clients.get_mut(at)) {
            client.readable |= readable;
            client.writable |= writable;
        }
    }

    /// How long the caller may sleep, in milliseconds; `None` while nothing can happen without the network.
    pub fn wait_ms(&self, now: Millis) -> Option<u64> {
        let accept_at = self.acceptable.then_some(self.rests_until.unwrap_or(now));
        let turns = self.clients.iter().filter(|client| client.stream.is_some());
        let turns = turns.map(|client| if client.has_work() { now } else { client.conn.deadline() + 1 });
        turns.chain(accept_at).min().map(|at| at.since(now))
    }

    /// Accepts, reads, answers, and closes clients past their deadline.
    pub fn turn(&mut self, server: &mut Server, process: &Process<'_>, now: Millis) {
        self.accept(now);
        for client in &mut self.clients {
            if client.stream.is_some() && !client.turn(server, process, now) {
                // Closing takes it out of the poll, too.
                client.stream = None;
            }
        }
    }

    fn accept(&mut self, now: Millis) {
        let Some(socket) = &self.socket else { return };
        if !self.acceptable || self.rests_until.is_some_and(|until| now < until) {
            return;
        }
        self.rests_until = None;
        for _ in 0..ACCEPTS_PER_TURN {
            let mut stream = match socket.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.acceptable = false;
                    return;
                }
                Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => continue,
                Err(_) => {
                    self.rests_until = Some(now + REST_MS);
                    return;
                }
            };
            let Some(at) = self.clients.iter().position(|client| client.stream.is_none()) else {
                // A new socket takes a line; if not, its end says as much.
                let _ = stream.write(BUSY);
                continue;
            };
            let both = Interest::READABLE | Interest::WRITABLE;
            if self.registry.register(&mut stream, Token(FIRST_CONTROL + 1 + at), both).is_ok() {
                self.clients[at].begin(stream, now);
            }
        }
    }
}

/// A place for a client.
struct ControlClient {
    stream: Option<UnixStream>,
    readable: bool,
    writable: bool,
    conn: Conn,
}

impl ControlClient {
    fn free() -> ControlClient {
        ControlClient { stream: None, readable: false, writable: false, conn: Conn::new() }
    }

    fn begin(&mut self, stream: UnixStream, now: Millis) {
        self.stream = Some(stream);
        // Both may be so already; if not, the socket says so.
        (self.readable, self.writable) = (true, true);
        self.conn.begin(now);
    }

    /// A turn would do something.
    fn has_work(&self) -> bool {
        match self.conn.pending() {
            [] => self.conn.has_work() || (self.readable && self.conn.room() > 0),
            _ => self.writable,
        }
    }

    /// One step of each kind. False when the connection is to be closed.
    fn turn(&mut self, server: &mut Server, process: &Process<'_>, now: Millis) -> bool {
        if now > self.conn.deadline() || !self.read() {
            return false;
        }
        self.conn.turn(server, process, now);
        self.write(now) && !self.conn.is_over()
    }

    /// Reads what fits. False when the connection is gone.
    fn read(&mut self) -> bool {
        let Some(stream) = &mut self.stream else { return false };
        let mut piece = [0; CONTROL_REQUEST_BYTES];
        let room = self.conn.room();
        if !self.readable || room == 0 {
            return true;
        }
        match stream.read(&mut piece[..room]) {
            Ok(0) => {
                self.readable = false;
                self.conn.end();
            }
            Ok(bytes) => self.conn.read(&piece[..bytes]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
        true
    }

    /// Writes what the client takes. False when the connection is gone.
    fn write(&mut self, now: Millis) -> bool {
        let Some(stream) = &mut self.stream else { return false };
        while self.writable && !self.conn.pending().is_empty() {
            match stream.write(self.conn.pending()) {
                Ok(bytes) => self.conn.sent(bytes, now),
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        true
    }
}
