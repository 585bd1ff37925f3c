//! Who watches: clients that read and count, in one loop, and the publisher.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};
use rill::bench::clock::Clock;
use rill::bench::source::{Rates, SyntheticStream};
use rill::client::send;
use rill::limits::HANDSHAKE_BYTES;
use rill::net::sockopt::acknowledge_now;

use crate::contender::APP;

const STREAM: &str = "bench";
/// As long as somebody waits for a new segment who cannot be told of it.
const RELOAD: Duration = Duration::from_millis(500);
/// How long one turn of the loop may wait.
const TURN: Duration = Duration::from_millis(20);

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    Rtmp,
    /// fMP4 over a WebSocket.
    WebSocket,
    Flv,
    /// `blocks`: the server answers for a segment when it is there.
    Hls {
        blocks: bool,
    },
}

/// Many viewers.
pub struct Viewers {
    poll: Poll,
    viewers: Vec<Option<Viewer>>,
    scratch: Vec<u8>,
    bytes: u64,
}

struct Viewer {
    socket: mio::net::TcpStream,
    hls: Option<Hls>,
}

impl Viewers {
    /// All of them, who have asked for what they want.
    pub fn join(output: Output, address: SocketAddr, count: usize) -> Viewers {
        let poll = Poll::new().unwrap();
        let mut viewers = Vec::new();
        for index in 0..count {
            let mut socket = TcpStream::connect(address).unwrap();
            socket.set_nodelay(true).unwrap();
            let get = format!("GET /{APP}/{STREAM}");
            let head = "HTTP/1.1\r\nHost: localhost";
            let hls = match output {
                Output::Rtmp => {
                    begin(&mut socket, &address.to_string(), Wish::Play);
                    None
                }
                Output::WebSocket => {
                    let key = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                               Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
                    socket.write_all(format!("{get}.mp4 {head}\r\n{key}\r\n\r\n").as_bytes()).unwrap();
                    None
                }
                Output::Flv => {
                    socket.write_all(format!("{get}.flv {head}\r\n\r\n").as_bytes()).unwrap();
                    None
                }
                Output::Hls { blocks } => {
                    let mut hls = Hls::new(blocks);
                    socket.write_all(hls.asks(&format!("/{APP}/{STREAM}.m3u8")).as_bytes()).unwrap();
                    Some(hls)
                }
            };
            socket.set_nonblocking(true).unwrap();
            let mut socket = mio::net::TcpStream::from_std(socket);
            poll.registry().register(&mut socket, Token(index), Interest::READABLE).unwrap();
            viewers.push(Some(Viewer { socket, hls }));
        }
        Viewers { poll, viewers, scratch: vec![0; 1 << 18], bytes: 0 }
    }

    /// Reads for so long; returns how long it was.
    pub fn read_for(&mut self, duration: Duration) -> Duration {
        let begin = Instant::now();
        let mut events = Events::with_capacity(256);
        while begin.elapsed() < duration {
            match self.poll.poll(&mut events, Some(TURN)) {
                Err(error) if error.kind() != ErrorKind::Interrupted => panic!("poll: {error}"),
                _ => {}
            }
            for event in &events {
                self.read(event.token().0);
            }
            let now = Instant::now();
            for viewer in self.viewers.iter_mut().flatten() {
                if let Some(request) = viewer.hls.as_mut().and_then(|hls| hls.due(now)) {
                    let _ = viewer.socket.write(request.as_bytes());
                }
            }
        }
        begin.elapsed()
    }

    fn read(&mut self, index: usize) {
        let Some(viewer) = &mut self.viewers[index] else { return };
        loop {
            let count = match viewer.socket.read(&mut self.scratch) {
                Ok(count @ 1..) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Ok(0) | Err(_) => {
                    self.viewers[index] = None;
                    return;
                }
            };
            // As on Ethernet: see `rill::bench::load`.
            acknowledge_now(&viewer.socket);
            self.bytes += count as u64;
            if let Some(request) = viewer.hls.as_mut().and_then(|hls| hls.hears(&self.scratch[..count])) {
                let _ = viewer.socket.write(request.as_bytes());
            }
            if count < self.scratch.len() {
                return;
            }
        }
    }

    /// Bytes that they have received.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many were closed.
    pub fn gone(&self) -> usize {
        self.viewers.iter().filter(|viewer| viewer.is_none()).count()
    }
}

/// One that reads a playlist, takes the newest segment, and each that follows.
struct Hls {
    blocks: bool,
    asked: Asked,
    /// The playlist's path, once it is known, and which segment is next.
    playlist: String,
    next: Option<u32>,
    /// An answer as far as it was received: all of it but a segment's body, of which so much is awaited.
    answer: Vec<u8>,
    body_left: usize,
    /// When it asks for the playlist again.
    reload: Option<Instant>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Index,
    Playlist,
    Segment,
}

impl Hls {
    fn new(blocks: bool) -> Hls {
        Hls {
            blocks,
            asked: Asked::Index,
            playlist: String::new(),
            next: None,
            answer: Vec::new(),
            body_left: 0,
            reload: None,
        }
    }

    fn asks(&mut self, path: &str) -> String {
        self.answer.clear();
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
    }

    fn asks_for_playlist(&mut self) -> String {
        self.asked = Asked::Playlist;
        let query = self.next.filter(|_| self.blocks).map_or(String::new(), |next| format!("?_HLS_msn={next}"));
        self.asks(&format!("{}{query}", self.playlist))
    }

    /// Bytes have come; what it says then.
    fn hears(&mut self, bytes: &[u8]) -> Option<String> {
        if self.body_left > 0 {
            self.body_left -= bytes.len();
            return if self.body_left == 0 { Some(self.asks_for_playlist()) } else { None };
        }
        self.answer.extend(bytes);
        let head = self.answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")? + 4;
        let text = std::str::from_utf8(&self.answer[..head]).unwrap();
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        let length = text.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let body = &self.answer[head..];
        match length {
            Some(length) if self.asked == Asked::Segment => {
                self.body_left = length - body.len();
                if self.body_left == 0 { Some(self.asks_for_playlist()) } else { None }
            }
            Some(length) if body.len() < length => None,
            None if !body.ends_with(b"0\r\n\r\n") => None,
            // Lines of chunks are none of a playlist's.
            Some(_) | None => {
                let body = body.to_vec();
                self.hears_list(&body)
            }
        }
    }

    fn hears_list(&mut self, list: &[u8]) -> Option<String> {
        if self.asked == Asked::Index {
            self.playlist = format!("/{APP}/{}", last_line(list));
            return Some(self.asks_for_playlist());
        }
        let (first, names) = segments(list);
        let next = *self.next.get_or_insert(first + names.len() as u32 - 1);
        let Some(name) = next.checked_sub(first).and_then(|at| names.get(at as usize)) else {
            assert!(!self.blocks, "segment {next} was waited for");
            self.reload = Some(Instant::now() + RELOAD);
            return None;
        };
        (self.asked, self.next) = (Asked::Segment, Some(next + 1));
        let folder = self.playlist.rsplit_once('/').unwrap().0;
        let path = format!("{folder}/{name}");
        Some(self.asks(&path))
    }

    fn due(&mut self, now: Instant) -> Option<String> {
        self.reload.take_if(|at| *at <= now)?;
        Some(self.asks_for_playlist())
    }
}

/// The last line of a list that says something: the name of a playlist.
pub fn last_line(list: &[u8]) -> String {
    let text = std::str::from_utf8(list).unwrap();
    text.lines().rfind(|line| line.ends_with(".m3u8")).unwrap().to_owned()
}

/// The number of a playlist's first segment, and the names of all.
pub fn segments(list: &[u8]) -> (u32, Vec<String>) {
    let text = std::str::from_utf8(list).unwrap();
    let first = text.lines().find_map(|line| line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:")?.parse().ok()).unwrap();
    (first, text.lines().filter(|line| line.ends_with(".m4s")).map(str::to_owned).collect())
}

enum Wish {
    Play,
    Publish,
}

/// Says all at once that a client has to say before media.
fn begin(socket: &mut TcpStream, address: &str, wish: Wish) {
    let mut hello = vec![3];
    hello.extend([0; HANDSHAKE_BYTES]);
    socket.write_all(&hello).unwrap();
    let mut answer = vec![0; 1 + 2 * HANDSHAKE_BYTES];
    socket.read_exact(&mut answer).unwrap();
    let mut out = answer[1..=HANDSHAKE_BYTES].to_vec();
    send::chunk_size(&mut out);
    let url = format!("rtmp://{address}/{APP}");
    send::command(&mut out, 0, "connect", 1.0, |amf| {
        amf.object_begin()?;
        amf.property_string("app", APP)?;
        amf.property_string("tcUrl", &url)?;
        amf.object_end()
    })
    .unwrap();
    send::command(&mut out, 0, "createStream", 2.0, |amf| amf.null()).unwrap();
    let command = match wish {
        Wish::Play => "play",
        Wish::Publish => "publish",
    };
    send::command(&mut out, 1, command, 0.0, |amf| {
        amf.null()?;
        amf.string(STREAM)
    })
    .unwrap();
    socket.write_all(&out).unwrap();
}

/// Publishes on a thread until it is dropped.
pub struct Publisher {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Publisher {
    pub fn start(url: &str, rates: Rates, gop_seconds: u32) -> Publisher {
        let address = url.strip_prefix("rtmp://").unwrap().split('/').next().unwrap().to_owned();
        let mut socket = TcpStream::connect(&address).unwrap();
        socket.set_nodelay(true).unwrap();
        begin(&mut socket, &address, Wish::Publish);
        let mut answers = socket.try_clone().unwrap();
        thread::spawn(move || std::io::copy(&mut answers, &mut std::io::sink()));
        let stop = Arc::new(AtomicBool::new(false));
        let stops = stop.clone();
        let thread = thread::spawn(move || {
            let clock = Clock::default();
            let mut source = SyntheticStream::new(rates, clock.now_us()).with_gop_seconds(gop_seconds);
            let mut out = Vec::new();
            source.headers(1, send::CHUNK_BYTES, &mut out);
            while !stops.load(Ordering::Relaxed) {
                while source.due_us() <= clock.now_us() {
                    source.next(clock.now_us(), 1, send::CHUNK_BYTES, &mut out);
                    socket.write_all(&out).unwrap();
                    out.clear();
                }
                thread::sleep(Duration::from_micros(source.due_us().saturating_sub(clock.now_us())));
            }
        });
        Publisher { stop, thread: Some(thread) }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
