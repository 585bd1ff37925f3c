//! The floor of this machine: a program that does nothing but write a stream's bytes to its players.
//!
//! It makes the streams itself, so that nothing is received; the bytes are those that our server would send. Each message
//! is written to each socket as it comes, or all messages of some milliseconds at once. A socket that is full is tried
//! again at the next write, with all it has missed: so it merges under load as a server may.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use rill::bench::clock::Clock;
use rill::bench::source::{Rates, SyntheticStream};
use rill::limits::OUT_CHUNK_BYTES;
use rill::net::open_files::raise_limit;
use rill::rtmp::event::{Decision, Event, Request};
use rill::rtmp::session::Session;
use rill::rtmp::tx::TxBuf;
use rill::time::Millis;

const LISTENER: Token = Token(usize::MAX);
/// How much a player may be behind; one that is further is dropped.
const HISTORY_BYTES: usize = 8 << 20;
const MESSAGE_STREAM: u32 = 1;

/// What the floor sends.
pub struct Floor {
    /// TCP port on the loopback address.
    pub port: u16,
    /// 0: one write per message and player.
    pub merge_ms: u64,
    pub streams: usize,
    pub rates: Rates,
    pub players_max: usize,
}

impl Floor {
    /// As arguments of the floor's own process.
    pub fn to_arguments(&self) -> Vec<String> {
        let Rates { bitrate_bps, frame_rate } = self.rates;
        let values = [u64::from(self.port), self.merge_ms, self.streams as u64, bitrate_bps, u64::from(frame_rate)];
        values.iter().chain([&(self.players_max as u64)]).map(u64::to_string).collect()
    }

    /// Reads them back.
    pub fn from_arguments(arguments: &[String]) -> Floor {
        let values: Vec<u64> = arguments.iter().map(|text| text.parse().expect("a number")).collect();
        let [port, merge_ms, streams, bitrate_bps, frame_rate, players_max] = values[..] else {
            panic!("six numbers, not {arguments:?}")
        };
        Floor {
            port: port as u16,
            merge_ms,
            streams: streams as usize,
            rates: Rates { bitrate_bps, frame_rate: frame_rate as u32 },
            players_max: players_max as usize,
        }
    }

    /// Serves until it is killed.
    pub fn run(&self) -> ! {
        raise_limit(self.players_max).expect("enough open files are allowed");
        let clock = Clock::default();
        let mut streams: Vec<Stream> =
            (0..self.streams).map(|index| Stream::new(self, index, clock.now_us())).collect();
        let mut poll = Poll::new().unwrap();
        let mut events = Events::with_capacity(256);
        let address = ([127, 0, 0, 1], self.port).into();
        let mut listener = TcpListener::bind(address).expect("the port was free a moment ago");
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE).unwrap();
        let mut guests = HashMap::new();
        let mut next_guest = 0;
        loop {
            let mut next_us = u64::MAX;
            for stream in &mut streams {
                next_us = next_us.min(stream.turn(self.merge_ms * 1000, &clock));
            }
            let timeout = Duration::from_micros(next_us.saturating_sub(clock.now_us()));
            match poll.poll(&mut events, Some(timeout)) {
                Err(error) if error.kind() != ErrorKind::Interrupted => panic!("poll: {error}"),
                _ => {}
            }
            for event in &events {
                if event.token() == LISTENER {
                    while let Ok((mut socket, _)) = listener.accept() {
                        socket.set_nodelay(true).unwrap();
                        let token = Token(next_guest);
                        next_guest += 1;
                        poll.registry().register(&mut socket, token, Interest::READABLE).unwrap();
                        guests.insert(token, Guest::new(socket, next_guest as u64));
                    }
                    continue;
                }
                let Some(guest) = guests.get_mut(&event.token()) else { continue };
                match guest.turn() {
                    Coming::Later => {}
                    Coming::Gone => drop(guests.remove(&event.token())),
                    Coming::Playing(stream) => {
                        let Some(mut guest) = guests.remove(&event.token()) else { continue };
                        // From here on it is only written to.
                        poll.registry().deregister(&mut guest.socket).unwrap();
                        let stream = &mut streams[stream];
                        stream.players.push(Player { socket: guest.socket, sent: stream.end() });
                    }
                }
            }
        }
    }
}

struct Player {
    socket: TcpStream,
    /// Bytes of the stream that were sent, counted from its start.
    sent: u64,
}

struct Stream {
    source: SyntheticStream,
    history: Vec<u8>,
    history_start: u64,
    players: Vec<Player>,
    /// There are messages that were not written.
    waiting: bool,
    /// When the merge window ends.
    write_at_us: u64,
}

impl Stream {
    fn new(floor: &Floor, index: usize, now_us: u64) -> Stream {
        let apart_us = 1_000_000 / u64::from(floor.rates.frame_rate) * index as u64 / floor.streams as u64;
        Stream {
            source: SyntheticStream::new(floor.rates, now_us + apart_us),
            history: Vec::with_capacity(3 * HISTORY_BYTES),
            history_start: 0,
            players: Vec::new(),
            waiting: false,
            write_at_us: now_us,
        }
    }

    fn end(&self) -> u64 {
        self.history_start + self.history.len() as u64
    }

    /// Makes and writes what is due; returns when it wants the next turn.
    fn turn(&mut self, merge_us: u64, clock: &Clock) -> u64 {
        let mut now_us = clock.now_us();
        while self.source.due_us() <= now_us {
            self.source.next(now_us, MESSAGE_STREAM, OUT_CHUNK_BYTES, &mut self.history);
            self.waiting = true;
            if merge_us == 0 {
                self.write();
            }
            now_us = clock.now_us();
        }
        if self.waiting && self.write_at_us > now_us {
            return self.source.due_us().min(self.write_at_us);
        }
        if self.waiting {
            self.write_at_us = now_us + merge_us;
            self.write();
        }
        self.source.due_us()
    }

    fn write(&mut self) {
        self.waiting = false;
        let (history, start) = (&self.history, self.history_start);
        self.players.retain_mut(|player| {
            if player.sent < start {
                return false;
            }
            match player.socket.write(&history[(player.sent - start) as usize..]) {
                Ok(count) => player.sent += count as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return false,
            }
            true
        });
        if self.history.len() > 2 * HISTORY_BYTES {
            let passed = self.history.len() - HISTORY_BYTES;
            self.history.drain(..passed);
            self.history_start += passed as u64;
        }
    }
}

/// A connection before it plays.
struct Guest {
    socket: TcpStream,
    session: Box<Session>,
    tx: Box<TxBuf>,
    input: Vec<u8>,
}

enum Coming {
    Later,
    Gone,
    Playing(usize),
}

impl Guest {
    fn new(socket: TcpStream, seed: u64) -> Guest {
        Guest { socket, session: Box::new(Session::new(seed)), tx: Box::default(), input: Vec::new() }
    }

    fn turn(&mut self) -> Coming {
        let mut bytes = [0; 4096];
        loop {
            match self.socket.read(&mut bytes) {
                Ok(0) => return Coming::Gone,
                Ok(count) => self.input.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return Coming::Gone,
            }
        }
        let mut playing = None;
        loop {
            let mut input = &self.input[..];
            let event = self.session.next(&mut input, &mut self.tx, Millis(0));
            let taken = self.input.len() - input.len();
            let event = match event {
                Ok(Some(Event::Request)) => true,
                Ok(Some(_)) => false,
                Ok(None) => break,
                Err(_) => return Coming::Gone,
            };
            self.input.drain(..taken);
            if event {
                if let Some(Request::Play { name, .. }) = self.session.request() {
                    let number = name.name.rsplit_once('-').and_then(|(_, number)| number.parse::<usize>().ok());
                    playing = Some(number.map_or(0, |number| number - 1));
                }
                self.session.decide(Decision::Accept, &mut self.tx).expect("replies are short");
            }
        }
        self.input.clear();
        // A fresh socket takes a few kilobytes.
        if self.socket.write_all(self.tx.pending()).is_err() {
            return Coming::Gone;
        }
        self.tx.clear();
        playing.map_or(Coming::Later, Coming::Playing)
    }
}
