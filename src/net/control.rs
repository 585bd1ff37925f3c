//! The control socket's clients: what `rill ctl` asks the server, and what it hears.
//!
//! # Protocol
//!
//! Text, one request a line, answered in order. An answer is any number of rows, each a JSON object on a line of its own,
//! and then a line that is `{"ok":true}` or `{"error":"..."}`; no row has a member of these names.
//!
//! | request | rows |
//! |---|---|
//! | `clients` | one for each connection: id, address, app, instance, agent, does (`connecting`, `pending`, `publishes`, `plays`, `idle`, `leaving`), stream, stream_id, seconds, bytes_in, bytes_out, lag_ms, skips, round_trip_us |
//! | `streams` | one for each stream name in use: id, app, instance, name, state (`live`, `away`: its publisher left and may come back, `waiting`: only players), publisher, seconds, players, skips, worst_lag_ms, bitrate_bps, video, audio, fps, key_frame_ms |
//! | `apps` | one for each application: name, kind, state (`reading`, `ready`, `broken`, `leaving`), instances, clients, streams |
//! | `stats` | one: totals and counters |
//! | `disconnect ID` | none; the client is told `close`, and its connection ends |
//! | `unload APP[/INSTANCE]` | one: how many clients were sent away (`disconnected`) |
//! | `shutdown-app APP` | the same |
//! | `reload` | none |
//!
//! What is not known is `null`. Write permission on the socket file is permission for every request
//! ([`control_socket`](super::control_socket)); there are no further rights.
//!
//! # Bounds
//!
//! Nothing is obtained after start. There are [`CONTROL_CLIENTS`] places, each with a request of [`CONTROL_REQUEST_BYTES`]
//! and an answer of [`CONTROL_REPLY_BYTES`]. A long list is written as the client takes it, a few rows a turn, and goes on
//! behind the place it has come to: rows may come and go meanwhile. A client that does not finish a request, or does not
//! take its answer, is closed after [`PATIENCE_MS`].

use std::fmt::{self, Write as _};
use std::io::{self, ErrorKind, Read, Write as _};

use log::info;
use mio::net::UnixStream;
use mio::{Interest, Registry, Token};

use crate::limits::{
    AGENT_BYTES, APP_NAME_BYTES, CONTROL_CLIENTS, CONTROL_REPLY_BYTES, CONTROL_REQUEST_BYTES, PATH_BYTES,
};
use crate::server::Server;
use crate::server::app::AppKind;
use crate::server::applications::AppState;
use crate::server::close::Counter;
use crate::server::describe::{AUDIO_BYTES, VIDEO_BYTES};
use crate::server::inspect::{AppRow, ClientRow, StreamRow};
use crate::server::slots::SlotIndex;
use crate::time::Millis;

use super::alloc;
use super::control_socket::ControlSocket;
use super::json::{EXPANSION, OrNull, Text};
use super::tcp::FIRST_CONTROL;

/// How long a client may take to send a request, or to take the answer that waits for it, in milliseconds.
pub const PATIENCE_MS: u64 = 5000;
/// Rows written for a client in one turn of the loop: a row may have to look at every connection.
const ROWS_PER_TURN: usize = 16;
/// Clients accepted in one turn.
const ACCEPTS_PER_TURN: usize = 8;
/// How long accepting rests when the system cannot give one more connection, in milliseconds.
const REST_MS: u64 = 250;
/// Longest text of an error in bytes; what is more is cut.
const ERROR_BYTES: usize = 400;

/// Members, numbers and punctuation of the longest row.
const ROW_FRAME_BYTES: usize = 512;
const _: () = assert!(
    ROW_FRAME_BYTES + EXPANSION * (APP_NAME_BYTES + PATH_BYTES + PATH_BYTES + AGENT_BYTES) <= CONTROL_REPLY_BYTES,
    "a client's row fits an empty answer"
);
const _: () = assert!(
    ROW_FRAME_BYTES
        // Instance and name are one path.
        + EXPANSION * (APP_NAME_BYTES + PATH_BYTES + VIDEO_BYTES + AUDIO_BYTES)
        <= CONTROL_REPLY_BYTES,
    "a stream's row fits an empty answer"
);
const _: () =
    assert!(ROW_FRAME_BYTES + EXPANSION * ERROR_BYTES <= CONTROL_REPLY_BYTES, "an error fits an empty answer");

/// Bytes of one client's place.
pub const CLIENT_BYTES: usize = size_of::<Client>();

/// What the socket's listener has.
const LISTENER: Token = Token(FIRST_CONTROL);

/// What of the process is not the server's.
pub struct Process<'a> {
    /// The round-trip time of a client, in microseconds.
    pub round_trip_us: &'a dyn Fn(SlotIndex) -> Option<u32>,
    /// Clients turned away for want of a file descriptor.
    pub turned_away: u64,
    /// How much of its time the loop is at work, in thousandths.
    pub load_permille: u32,
}

/// The control socket and its clients.
pub struct Control {
    registry: Registry,
    socket: Option<ControlSocket>,
    clients: Box<[Client]>,
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
        let clients = core::iter::repeat_with(Client::free).take(CONTROL_CLIENTS).collect();
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
        let turns = turns.map(|client| if client.has_work() { now } else { client.deadline });
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
                let _ = stream.write(
                    b"{\"error\":\"busy: as many clients as the control socket serves at once (CONTROL_CLIENTS)\"}\n",
                );
                continue;
            };
            let both = Interest::READABLE | Interest::WRITABLE;
            if self.registry.register(&mut stream, Token(FIRST_CONTROL + 1 + at), both).is_ok() {
                self.clients[at].begin(stream, now);
            }
        }
    }
}

/// What is being answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// Nothing: the next request is awaited.
    None,
    /// The list goes on at this place of its table.
    List(List, usize),
    /// All was said, and the client is closed when it has taken that.
    Last,
}

/// A table that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum List {
    Clients,
    Streams,
    Apps,
}

/// A place for a client.
struct Client {
    stream: Option<UnixStream>,
    readable: bool,
    writable: bool,
    /// It sends no more.
    ended: bool,
    answer: Answer,
    /// When it is closed unless it makes progress.
    deadline: Millis,
    request: heapless::Vec<u8, CONTROL_REQUEST_BYTES>,
    reply: Reply,
}

impl Client {
    fn free() -> Client {
        Client {
            stream: None,
            readable: false,
            writable: false,
            ended: false,
            answer: Answer::None,
            deadline: Millis(0),
            request: heapless::Vec::new(),
            reply: Reply { bytes: [0xA5; CONTROL_REPLY_BYTES], filled: 0, sent: 0 },
        }
    }

    fn begin(&mut self, stream: UnixStream, now: Millis) {
        self.stream = Some(stream);
        // Both may be so already; if not, the socket says so.
        (self.readable, self.writable, self.ended) = (true, true, false);
        self.answer = Answer::None;
        self.deadline = now + PATIENCE_MS;
        self.request.clear();
        (self.reply.filled, self.reply.sent) = (0, 0);
    }

    /// A turn would do something.
    fn has_work(&self) -> bool {
        if !self.reply.is_empty() {
            return self.writable;
        }
        // A whole request that waits is answered in the turn that reads it.
        self.answer != Answer::None || self.readable
    }

    /// One step of each kind. False when the connection is to be closed.
    fn turn(&mut self, server: &mut Server, process: &Process<'_>, now: Millis) -> bool {
        if now >= self.deadline {
            return false;
        }
        // The next request is taken when the last one was answered and the answer taken.
        if self.answer == Answer::None && self.reply.is_empty() {
            if !self.read() {
                return false;
            }
            self.next_request(server, process, now);
        }
        if let Answer::List(list, from) = self.answer {
            self.answer = self.reply.list(server, process, list, from, now);
        }
        if !self.write(now) {
            return false;
        }
        let waits = self.answer == Answer::None && self.reply.is_empty();
        if waits && self.request.contains(&b'\n') {
            // The next of several requests that came at once; a turn each.
            self.readable = true;
        }
        // A client that closed its side may have sent whole requests before.
        let over = self.answer == Answer::Last || (waits && self.ended && !self.request.contains(&b'\n'));
        !(over && self.reply.is_empty())
    }

    /// Reads what fits. False when the connection is gone.
    fn read(&mut self) -> bool {
        let Some(stream) = &mut self.stream else { return false };
        let mut piece = [0; CONTROL_REQUEST_BYTES];
        let room = self.request.capacity() - self.request.len();
        if !self.readable || self.ended || room == 0 {
            // With a full buffer there is a whole request in it, or there will never be one.
            self.readable = false;
            return true;
        }
        match stream.read(&mut piece[..room]) {
            Ok(0) => (self.ended, self.readable) = (true, false),
            // It fits: no more was asked for than there is room.
            Ok(bytes) => drop(self.request.extend_from_slice(&piece[..bytes])),
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
        true
    }

    /// Begins to answer the first whole request, if there is one.
    fn next_request(&mut self, server: &mut Server, process: &Process<'_>, now: Millis) {
        let Some(end) = self.request.iter().position(|&byte| byte == b'\n') else {
            if self.request.is_full() {
                self.reply.error(format_args!("the request is longer than {CONTROL_REQUEST_BYTES} bytes"));
                self.answer = Answer::Last;
            }
            return;
        };
        let mut line = heapless::Vec::<u8, CONTROL_REQUEST_BYTES>::new();
        // It fits: it was in a buffer of that size.
        let _ = line.extend_from_slice(&self.request[..end]);
        self.request.copy_within(end + 1.., 0);
        self.request.truncate(self.request.len() - end - 1);
        self.deadline = now + PATIENCE_MS;
        self.answer = match core::str::from_utf8(&line) {
            Ok(line) => self.reply.answer(server, process, line.trim(), now),
            Err(_) => {
                self.reply.error(format_args!("the request is not UTF-8"));
                Answer::None
            }
        };
    }

    /// Writes what the client takes. False when the connection is gone.
    fn write(&mut self, now: Millis) -> bool {
        let Some(stream) = &mut self.stream else { return false };
        while self.writable && !self.reply.is_empty() {
            match stream.write(self.reply.pending()) {
                Ok(bytes) => {
                    self.reply.sent += bytes;
                    if self.reply.is_empty() {
                        // Taking all of it buys time; taking a byte now and then does not.
                        self.deadline = now + PATIENCE_MS;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        true
    }
}

/// Bytes for a client, and how many of them it has taken.
struct Reply {
    bytes: [u8; CONTROL_REPLY_BYTES],
    filled: usize,
    sent: usize,
}

impl Reply {
    fn is_empty(&self) -> bool {
        self.sent == self.filled
    }

    fn pending(&self) -> &[u8] {
        &self.bytes[self.sent..self.filled]
    }

    /// Answers a request, or begins to.
    fn answer(&mut self, server: &mut Server, process: &Process<'_>, request: &str, now: Millis) -> Answer {
        let (command, argument) = request.split_once(' ').unwrap_or((request, ""));
        let argument = argument.trim();
        let wants_argument = matches!(command, "disconnect" | "unload" | "shutdown-app");
        let known = wants_argument || matches!(command, "clients" | "streams" | "apps" | "stats" | "reload");
        if !known {
            self.error(format_args!("unknown command {command:?}"));
            return Answer::None;
        }
        if wants_argument == argument.is_empty() {
            let wants = if wants_argument { "needs an argument" } else { "takes no argument" };
            self.error(format_args!("{command} {wants}"));
            return Answer::None;
        }
        match command {
            "clients" => return Answer::List(List::Clients, 0),
            "streams" => return Answer::List(List::Streams, 0),
            "apps" => return Answer::List(List::Apps, 0),
            "stats" => self.stats(server, process, now),
            "disconnect" => self.disconnect(server, argument, now),
            "reload" => {
                info!("rill control request=\"reload\"");
                server.reload();
                self.ok();
            }
            _ => self.send_away(server, command == "unload", argument, now),
        }
        Answer::None
    }

    fn disconnect(&mut self, server: &mut Server, id: &str, now: Millis) {
        match id.parse() {
            Err(_) => self.error(format_args!("{id:?} is not the id of a client, like c7.2: see clients")),
            Ok(conn) if server.disconnect(conn, now) => {
                info!("{conn} control request=\"disconnect\"");
                self.ok();
            }
            Ok(conn) => self.error(format_args!("there is no client {conn} (any more): see clients")),
        }
    }

    fn send_away(&mut self, server: &mut Server, unload: bool, argument: &str, now: Millis) {
        let (app, instance) = match argument.split_once('/') {
            Some((app, instance)) if unload => (app, Some(instance)),
            _ => (argument, None),
        };
        let Some(count) = server.unload(app, instance, now) else {
            return match instance {
                Some(name) => {
                    self.error(format_args!("there is no instance {name:?} of an application {app:?}: see clients"))
                }
                None => self.error(format_args!("there is no application {app:?}: see apps")),
            };
        };
        let request = if unload { "unload" } else { "shutdown-app" };
        info!("rill control request=\"{request}\" app={app:?} instance={:?} clients={count}", instance.unwrap_or("*"));
        self.row(format_args!("{{\"disconnected\":{count}}}"));
        self.ok();
    }

    /// Rows of a list from place `from` on, and its end, while there is room. Returns where it goes on.
    fn list(&mut self, server: &Server, process: &Process<'_>, list: List, mut from: usize, now: Millis) -> Answer {
        if self.is_empty() {
            (self.filled, self.sent) = (0, 0);
        }
        for _ in 0..ROWS_PER_TURN {
            let written = match list {
                List::Clients => server.next_client(from, now).map(|row| {
                    let at = row.id.slot;
                    (self.row(format_args!("{}", ClientJson(&row, (process.round_trip_us)(at)))), at.at())
                }),
                List::Streams => server
                    .next_stream(from, now)
                    .map(|row| (self.row(format_args!("{}", StreamJson(&row))), usize::from(row.id.0))),
                List::Apps => server
                    .next_app(from)
                    .map(|row| (self.row(format_args!("{}", AppJson(&row))), usize::from(row.id.0))),
            };
            match written {
                Some((true, at)) => from = at + 1,
                // For the next time: it fits when the client has taken what there is.
                Some((false, _)) => return Answer::List(list, from),
                None if self.row(format_args!("{OK}")) => return Answer::None,
                None => return Answer::List(list, from),
            }
        }
        Answer::List(list, from)
    }

    fn stats(&mut self, server: &Server, process: &Process<'_>, now: Millis) {
        let totals = server.totals(now);
        let counters = totals.counters;
        self.row(format_args!(
            "{{\"version\":\"{}\",\"uptime_s\":{},\"connections\":{},\"connection_limit\":{},\"streams\":{},\
             \"published_now\":{},\"load_percent\":{},\"accepted\":{},\"turned_away\":{},{}\
             \"heap_allocations\":{},\"closed\":{}}}",
            env!("CARGO_PKG_VERSION"),
            totals.uptime_s,
            totals.connections,
            totals.connection_limit,
            totals.streams,
            totals.published,
            process.load_permille / 10,
            counters.accepted,
            process.turned_away,
            MembersJson(&counters.named()),
            OrNull(alloc::since_sealed()),
            ClosedJson(&counters.closed),
        ));
        self.ok();
    }

    fn ok(&mut self) {
        self.row(format_args!("{OK}"));
    }

    fn error(&mut self, text: fmt::Arguments<'_>) {
        let mut fitting = heapless::String::<ERROR_BYTES>::new();
        // What does not fit is cut: a request that holds so much is not one of ours.
        let _ = fitting.write_fmt(text);
        self.row(format_args!("{{\"error\":{}}}", Text(&fitting)));
    }

    /// Writes a line whole, or nothing of it when there is no room.
    fn row(&mut self, row: fmt::Arguments<'_>) -> bool {
        if self.is_empty() {
            (self.filled, self.sent) = (0, 0);
        }
        let before = self.filled;
        let whole = self.write_fmt(row).and_then(|()| self.write_char('\n')).is_ok();
        if !whole {
            debug_assert!(before > 0, "every row fits an empty answer");
            self.filled = before;
        }
        whole
    }
}

impl fmt::Write for Reply {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.filled + text.len();
        self.bytes.get_mut(self.filled..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.filled = end;
        Ok(())
    }
}

/// The end of an answer.
const OK: &str = "{\"ok\":true}";

struct ClientJson<'a>(&'a ClientRow<'a>, Option<u32>);

impl fmt::Display for ClientJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ClientJson(row, round_trip_us) = self;
        write!(
            f,
            "{{\"id\":\"{}\",\"address\":\"{}\",\"app\":{},\"instance\":{},\"agent\":{},\"does\":\"{}\",\"stream\":{},",
            row.id,
            row.peer,
            Text(row.app),
            Text(row.instance),
            Text(row.agent),
            row.activity.name(),
            OrNull(row.stream.map(|(_, name)| Text(name))),
        )?;
        match row.stream {
            Some((id, _)) => write!(f, "\"stream_id\":\"{id}\",")?,
            None => f.write_str("\"stream_id\":null,")?,
        }
        write!(
            f,
            "\"seconds\":{},\"bytes_in\":{},\"bytes_out\":{},\"lag_ms\":{},\"skips\":{},\"round_trip_us\":{}}}",
            row.seconds,
            row.bytes_in,
            row.bytes_out,
            OrNull(row.lag_ms),
            row.skips,
            OrNull(*round_trip_us),
        )
    }
}

struct StreamJson<'a>(&'a StreamRow<'a>);

impl fmt::Display for StreamJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StreamJson(row) = self;
        let description = &row.description;
        let (app, instance, name) = (Text(row.app), Text(row.instance), Text(row.name));
        write!(f, "{{\"id\":\"{}\",\"app\":{app},\"instance\":{instance},\"name\":{name},", row.id)?;
        write!(f, "\"state\":\"{}\",", row.state.name())?;
        match row.state.publisher() {
            Some(id) => write!(f, "\"publisher\":\"{id}\",")?,
            None => f.write_str("\"publisher\":null,")?,
        }
        write!(
            f,
            "\"seconds\":{},\"players\":{},\"skips\":{},\"worst_lag_ms\":{},\"bitrate_bps\":{},\"video\":{},\
             \"audio\":{},",
            row.seconds,
            row.players,
            row.skips,
            row.worst_lag_ms,
            row.bitrate_bps,
            OrNull(description.video.as_deref().map(Text)),
            OrNull(description.audio.as_deref().map(Text)),
        )?;
        match description.frame_rate_milli {
            Some(rate) => write!(f, "\"fps\":{}.{:03},", rate / 1000, rate % 1000)?,
            None => f.write_str("\"fps\":null,")?,
        }
        write!(f, "\"key_frame_ms\":{}}}", OrNull(description.key_frame_interval_ms))
    }
}

struct AppJson<'a>(&'a AppRow<'a>);

impl fmt::Display for AppJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AppJson(row) = self;
        let kind = match row.kind {
            AppKind::Live => "live",
            AppKind::Vod => "vod",
        };
        let state = match row.state {
            AppState::Reading => "reading",
            // No client can join, so nothing else matters.
            AppState::Ready if row.stopped > 0 => "stopped",
            AppState::Ready => "ready",
            AppState::Broken => "broken",
            AppState::Leaving => "leaving",
        };
        let AppRow { instances, clients, streams, .. } = row;
        write!(
            f,
            "{{\"name\":{},\"kind\":\"{kind}\",\"state\":\"{state}\",\"instances\":{instances},\
             \"clients\":{clients},\"streams\":{streams}}}",
            Text(row.name),
        )
    }
}

/// Members of an object with a comma behind each.
struct MembersJson<'a>(&'a [(&'static str, u64)]);

impl fmt::Display for MembersJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(name, count)| write!(f, "\"{name}\":{count},"))
    }
}

struct ClosedJson<'a>(&'a [u64; Counter::COUNT]);

impl fmt::Display for ClosedJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = '{';
        for (name, count) in Counter::NAMES.iter().zip(self.0) {
            write!(f, "{separator}\"{name}\":{count}")?;
            separator = ',';
        }
        f.write_char('}')
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;
    use std::net::SocketAddr;

    use serde_json::Value;

    use super::*;
    use crate::net::sockopt;
    use crate::server::Start;
    use crate::server::app::AppDefinition;
    use crate::server::applications::AppSource;
    use crate::server::settings::{PerAddress, Settings};
    use crate::server::transport::{Io, Net};

    /// Clients who connect and say nothing.
    struct Silence(u16);

    impl Net for Silence {
        fn accept(&mut self) -> Option<SocketAddr> {
            self.0 = self.0.checked_sub(1)?;
            Some(SocketAddr::new([10, 0, 0, 1].into(), 1000 + self.0))
        }
        fn adopt(&mut self, _: SlotIndex) -> bool {
            true
        }
        fn refuse(&mut self) {}
        fn read(&mut self, _: SlotIndex, _: &mut [u8]) -> Io {
            Io::WouldBlock
        }
        fn has_unread(&mut self, _: SlotIndex) -> bool {
            false
        }
        fn gather(&mut self, _: SlotIndex, _: bool) {}
        fn write(&mut self, _: SlotIndex, slices: &[IoSlice<'_>]) -> Io {
            Io::Done(slices.iter().map(|slice| slice.len()).sum())
        }
        fn has_delivered(&mut self, _: SlotIndex) -> bool {
            false
        }

        fn finish(&mut self, _: SlotIndex) {}
        fn close(&mut self, _: SlotIndex) {}
    }

    const PROCESS: Process<'static> = Process { round_trip_us: &|_| None, turned_away: 0, load_permille: 0 };

    fn server(clients: u16) -> (Server, Silence) {
        let settings = Settings {
            connections: clients.into(),
            streams: 1,
            ring_bytes: 256 << 10,
            handshake_timeout_ms: 120_000,
            connections_per_address: PerAddress::Fixed(0),
            ..Settings::default()
        };
        let app = AppDefinition::stock(heapless::String::try_from("live").unwrap(), AppKind::Live);
        let start = Start { apps: vec![app], source: AppSource::Fixed, seed: 1, clock: || 0, now: Millis(0) };
        let mut server = Server::new(settings, start);
        let mut net = Silence(clients);
        for _ in 0..=clients / 64 {
            server.acceptable();
            server.turn(&mut net, Millis(1));
        }
        assert_eq!(server.slots().taken(), usize::from(clients));
        (server, net)
    }

    #[test]
    fn a_list_that_is_taken_in_small_pieces_has_every_client_that_stayed_once() {
        let (mut server, mut net) = server(300);
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        sockopt::set_send_buffer(&ours, 1).unwrap();
        theirs.write_all(b"clients\n").unwrap();
        let mut client = Client::free();
        client.begin(ours, Millis(2));
        let (mut text, mut piece, mut now) = (Vec::new(), [0; 700], Millis(2));
        let gone = |index: u32| index.is_multiple_of(3) && index > 150;
        let mut turns = 0;
        while !text.ends_with(b"{\"ok\":true}\n") {
            assert!(client.turn(&mut server, &PROCESS, now), "it is not given up on");
            turns += 1;
            if turns == 5 {
                for index in (0..300).filter(|&index| gone(index)) {
                    let conn = server.slots().id(SlotIndex(index));
                    assert!(server.disconnect(conn, now));
                }
                // They are sent what they are to hear, linger and are gone.
                for _ in 0..2 {
                    server.turn(&mut net, now);
                    now = now + 2000;
                    client.deadline = now + PATIENCE_MS;
                }
                server.turn(&mut net, now);
                assert_eq!(server.slots().taken(), 300 - (0..300).filter(|&index| gone(index)).count());
            }
            if let Ok(bytes) = theirs.read(&mut piece) {
                text.extend_from_slice(&piece[..bytes]);
                // What the poll would say.
                client.writable = true;
            }
        }
        assert!(turns > 20, "{turns}");
        let rows = String::from_utf8(text).unwrap();
        let ids: Vec<String> = rows
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .filter_map(|row| row["id"].as_str().map(str::to_owned))
            .collect();
        let stayed: Vec<String> = (0..300).filter(|&index| !gone(index)).map(|index| format!("c{index}.0")).collect();
        assert_eq!(ids, stayed);
    }

    #[test]
    fn the_longest_rows_fit_an_empty_answer() {
        let worst = |bytes: usize| "\u{1}".repeat(bytes);
        let (app, instance) = (worst(APP_NAME_BYTES), worst(PATH_BYTES));
        let (name, agent) = (worst(PATH_BYTES), worst(AGENT_BYTES));
        let id = crate::server::slots::ConnId { slot: SlotIndex(u32::MAX), generation: u32::MAX };
        let row = ClientRow {
            id,
            peer: "[2001:db8:1111:2222:3333:4444:5555:6666%4294967295]:65535".parse().unwrap(),
            app: &app,
            instance: &instance,
            agent: &agent,
            activity: crate::server::inspect::Activity::Connecting,
            stream: Some((crate::server::registry::StreamId(u16::MAX), &name)),
            seconds: u64::MAX,
            bytes_in: u64::MAX,
            bytes_out: u64::MAX,
            lag_ms: Some(u32::MAX),
            skips: u32::MAX,
        };
        let mut reply = Client::free().reply;
        assert!(reply.row(format_args!("{}", ClientJson(&row, Some(u32::MAX)))));
        let read: Value = serde_json::from_slice(reply.pending()).unwrap();
        assert_eq!((&read["stream"], &read["agent"]), (&name.clone().into(), &agent.clone().into()));
        let row = StreamRow {
            id: crate::server::registry::StreamId(u16::MAX),
            app: &app,
            instance: "_definst_",
            name: &name,
            state: crate::server::inspect::StreamState::Live(id),
            seconds: u64::MAX,
            players: u32::MAX,
            skips: u32::MAX,
            worst_lag_ms: u32::MAX,
            bitrate_bps: u64::MAX,
            description: crate::server::describe::Description {
                video: Some(heapless::String::try_from(worst(VIDEO_BYTES).as_str()).unwrap()),
                audio: Some(heapless::String::try_from(worst(AUDIO_BYTES).as_str()).unwrap()),
                frame_rate_milli: Some(29_970),
                key_frame_interval_ms: Some(u32::MAX),
            },
        };
        let mut reply = Client::free().reply;
        assert!(reply.row(format_args!("{}", StreamJson(&row))));
        let read: Value = serde_json::from_slice(reply.pending()).unwrap();
        assert_eq!((read["fps"].as_f64(), &read["name"]), (Some(29.97), &name.into()));
        let (server, _) = server(1);
        let mut reply = Client::free().reply;
        reply.stats(&server, &PROCESS, Millis(u64::MAX));
        assert!(reply.filled < CONTROL_REPLY_BYTES / 2, "{}", reply.filled);
    }
}
