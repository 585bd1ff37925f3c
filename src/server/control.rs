//! The control protocol: what `rill ctl` asks the server, and what it hears. Bytes and the time go in, bytes come out; sockets are
//! `net`'s, and the simulator has none.
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
//! (`net::control_socket`); there are no further rights.
//!
//! # Bounds
//!
//! Nothing is obtained after start. There are [`CONTROL_CLIENTS`](crate::limits::CONTROL_CLIENTS) places, each with a request of [`CONTROL_REQUEST_BYTES`]
//! and an answer of [`CONTROL_REPLY_BYTES`]. A long list is written as the client takes it, a few rows a turn, and goes on
//! behind the place it has come to: rows may come and go meanwhile. A client that does not finish a request, or does not
//! take its answer, is closed after [`PATIENCE_MS`].

use core::fmt::{self, Write as _};

use log::info;

use crate::handles::SlotIndex;
use crate::limits::{AGENT_BYTES, APP_NAME_BYTES, CONTROL_REPLY_BYTES, CONTROL_REQUEST_BYTES, PATH_BYTES};
use crate::live::app::AppKind;
use crate::live::applications::AppState;
use crate::time::Millis;

use super::Server;
use super::close::Counter;
use super::describe::{AUDIO_BYTES, VIDEO_BYTES};
use super::inspect::{AppRow, ClientRow, StreamRow};
use super::json::{EXPANSION, OrNull, Text};

/// How long a client may take to send a request, or to take the answer that waits for it, in milliseconds.
pub const PATIENCE_MS: u64 = 5000;
/// Rows written for a client in one turn of the loop: a row may have to look at every connection.
const ROWS_PER_TURN: usize = 16;
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

/// What of the process is not the server's.
pub struct Process<'a> {
    /// The round-trip time of a client, in microseconds.
    pub round_trip_us: &'a dyn Fn(SlotIndex) -> Option<u32>,
    /// Clients turned away for want of a file descriptor.
    pub turned_away: u64,
    /// How much of its time the loop is at work, in thousandths.
    pub load_permille: u32,
    /// Heap allocations since the start, if they are counted.
    pub heap_allocations: Option<usize>,
}

/// What a client hears that finds every place taken.
pub const BUSY: &[u8] =
    b"{\"error\":\"busy: as many clients as the control socket serves at once (CONTROL_CLIENTS)\"}\n";

/// What is being answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answering {
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

/// A connection's state.
pub struct Conn {
    /// The client sends no more.
    ended: bool,
    answering: Answering,
    /// When the connection is closed unless it makes progress.
    deadline: Millis,
    request: heapless::Vec<u8, CONTROL_REQUEST_BYTES>,
    reply: Reply,
}

impl Conn {
    /// The place of a connection.
    #[expect(clippy::new_without_default, reason = "a place is not a value to begin with by chance")]
    pub fn new() -> Conn {
        Conn {
            ended: false,
            answering: Answering::None,
            deadline: Millis(0),
            request: heapless::Vec::new(),
            reply: Reply { bytes: [0xA5; CONTROL_REPLY_BYTES], filled: 0, sent: 0 },
        }
    }

    /// A client has connected.
    pub fn begin(&mut self, now: Millis) {
        (self.ended, self.answering, self.deadline) = (false, Answering::None, now + PATIENCE_MS);
        self.request.clear();
        (self.reply.filled, self.reply.sent) = (0, 0);
    }

    /// When this has passed it is to be closed: the millisecond from which its time counts had begun already.
    pub fn deadline(&self) -> Millis {
        self.deadline
    }

    /// How many bytes of what the client sends it takes now. The next request is taken when the last one was answered and the
    /// answer taken.
    pub fn room(&self) -> usize {
        if self.ended || !self.waits() { 0 } else { self.request.capacity() - self.request.len() }
    }

    /// The client sent this; it is no more than there is room for.
    pub fn read(&mut self, input: &[u8]) {
        let fits = self.request.extend_from_slice(input).is_ok();
        debug_assert!(fits, "the caller asks for the room");
    }

    /// The client sends no more. Whole requests that it sent before are answered.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Another turn would do something, though nothing comes.
    pub fn has_work(&self) -> bool {
        self.answering != Answering::None || self.next_line().is_some()
    }

    /// Begins to answer the next request, or goes on with a list.
    pub fn turn(&mut self, server: &mut Server, process: &Process<'_>, now: Millis) {
        if self.waits() {
            self.next_request(server, process, now);
        }
        if let Answering::List(list, from) = self.answering {
            self.answering = self.reply.list(server, process, list, from, now);
        }
    }

    /// What the client is to be sent.
    pub fn pending(&self) -> &[u8] {
        self.reply.pending()
    }

    /// It took so many bytes of that.
    pub fn sent(&mut self, bytes: usize, now: Millis) {
        self.reply.sent += bytes;
        if self.reply.is_empty() {
            // Taking all of it buys time; taking a byte now and then does not.
            self.deadline = now + PATIENCE_MS;
        }
    }

    /// All was said and taken.
    pub fn is_over(&self) -> bool {
        let over = self.answering == Answering::Last || (self.waits() && self.ended && self.next_line().is_none());
        over && self.reply.is_empty()
    }

    /// Nothing is being answered.
    fn waits(&self) -> bool {
        self.answering == Answering::None && self.reply.is_empty()
    }

    /// Where the first whole request ends.
    fn next_line(&self) -> Option<usize> {
        self.request.iter().position(|&byte| byte == b'\n')
    }

    /// Begins to answer the first whole request, if there is one.
    fn next_request(&mut self, server: &mut Server, process: &Process<'_>, now: Millis) {
        let Some(end) = self.next_line() else {
            if self.request.is_full() {
                self.reply.error(format_args!("the request is longer than {CONTROL_REQUEST_BYTES} bytes"));
                self.answering = Answering::Last;
            }
            return;
        };
        let mut line = heapless::Vec::<u8, CONTROL_REQUEST_BYTES>::new();
        // It fits: it was in a buffer of that size.
        let _ = line.extend_from_slice(&self.request[..end]);
        self.request.copy_within(end + 1.., 0);
        self.request.truncate(self.request.len() - end - 1);
        self.deadline = now + PATIENCE_MS;
        self.answering = match core::str::from_utf8(&line) {
            Ok(line) => self.reply.answer(server, process, line.trim(), now),
            Err(_) => {
                self.reply.error(format_args!("the request is not UTF-8"));
                Answering::None
            }
        };
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
    fn answer(&mut self, server: &mut Server, process: &Process<'_>, request: &str, now: Millis) -> Answering {
        let (command, argument) = request.split_once(' ').unwrap_or((request, ""));
        let argument = argument.trim();
        let wants_argument = matches!(command, "disconnect" | "unload" | "shutdown-app");
        let known = wants_argument || matches!(command, "clients" | "streams" | "apps" | "stats" | "reload");
        if !known {
            self.error(format_args!("unknown command {command:?}"));
            return Answering::None;
        }
        if wants_argument == argument.is_empty() {
            let wants = if wants_argument { "needs an argument" } else { "takes no argument" };
            self.error(format_args!("{command} {wants}"));
            return Answering::None;
        }
        match command {
            "clients" => return Answering::List(List::Clients, 0),
            "streams" => return Answering::List(List::Streams, 0),
            "apps" => return Answering::List(List::Apps, 0),
            "stats" => self.stats(server, process, now),
            "disconnect" => self.disconnect(server, argument, now),
            "reload" => {
                info!("rill control request=\"reload\"");
                server.reload();
                self.ok();
            }
            _ => self.send_away(server, command == "unload", argument, now),
        }
        Answering::None
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
    fn list(&mut self, server: &Server, process: &Process<'_>, list: List, mut from: usize, now: Millis) -> Answering {
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
                Some((false, _)) => return Answering::List(list, from),
                None if self.row(format_args!("{OK}")) => return Answering::None,
                None => return Answering::List(list, from),
            }
        }
        Answering::List(list, from)
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
            OrNull(process.heap_allocations),
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
    use crate::live::app::AppDefinition;
    use crate::live::applications::AppSource;
    use crate::live::settings::{PerAddress, Settings};
    use crate::server::Start;
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

    const PROCESS: Process<'static> =
        Process { round_trip_us: &|_| None, turned_away: 0, load_permille: 0, heap_allocations: None };

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
        let mut conn = Conn::new();
        conn.begin(Millis(2));
        conn.read(b"clients\n");
        let (mut text, mut now) = (Vec::new(), Millis(2));
        let gone = |index: u32| index.is_multiple_of(3) && index > 150;
        let mut turns = 0;
        while !text.ends_with(b"{\"ok\":true}\n") {
            assert!(now < conn.deadline(), "it is not given up on");
            conn.turn(&mut server, &PROCESS, now);
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
                }
                server.turn(&mut net, now);
                assert_eq!(server.slots().taken(), 300 - (0..300).filter(|&index| gone(index)).count());
            }
            let piece = &conn.pending()[..conn.pending().len().min(700)];
            let bytes = piece.len();
            text.extend_from_slice(piece);
            conn.sent(bytes, now);
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
        let id = crate::handles::ConnId { slot: SlotIndex(u32::MAX), generation: u32::MAX };
        let row = ClientRow {
            id,
            peer: "[2001:db8:1111:2222:3333:4444:5555:6666%4294967295]:65535".parse().unwrap(),
            app: &app,
            instance: &instance,
            agent: &agent,
            activity: crate::server::inspect::Activity::Connecting,
            stream: Some((crate::handles::StreamId(u16::MAX), &name)),
            seconds: u64::MAX,
            bytes_in: u64::MAX,
            bytes_out: u64::MAX,
            lag_ms: Some(u32::MAX),
            skips: u32::MAX,
        };
        let mut reply = Conn::new().reply;
        assert!(reply.row(format_args!("{}", ClientJson(&row, Some(u32::MAX)))));
        let read: Value = serde_json::from_slice(reply.pending()).unwrap();
        assert_eq!((&read["stream"], &read["agent"]), (&name.clone().into(), &agent.clone().into()));
        let row = StreamRow {
            id: crate::handles::StreamId(u16::MAX),
            app: &app,
            instance: "_definst_",
            name: &name,
            state: crate::server::inspect::StreamState::Live(crate::live::holder::Holder::Conn(id, 0)),
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
        let mut reply = Conn::new().reply;
        assert!(reply.row(format_args!("{}", StreamJson(&row))));
        let read: Value = serde_json::from_slice(reply.pending()).unwrap();
        assert_eq!((read["fps"].as_f64(), &read["name"]), (Some(29.97), &name.into()));
        let (server, _) = server(1);
        let mut reply = Conn::new().reply;
        reply.stats(&server, &PROCESS, Millis(u64::MAX));
        assert!(reply.filled < CONTROL_REPLY_BYTES / 2, "{}", reply.filled);
    }
}
