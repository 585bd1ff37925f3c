//! A small player of our own, for what no client program shows: it stays when the publisher goes, and tells the statuses it
//! was sent. It speaks through the library's `wire` formats and writes what it got as an FLV file.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rill::limits::HANDSHAKE_BYTES;
use rill::rtmp::chunk_reader::{ChunkEvent, ChunkReader};
use rill::wire::amf0::{Decoder, Encoder};
use rill::wire::bytes::Writer;
use rill::wire::chunk::{MAX_TYPE0_BYTES, MessageHeader};
use rill::wire::handshake;
use rill::wire::message::{Control, UserControl, type_id};

use super::{patience, wait_until};

/// One audio, video or data message.
struct Tag {
    type_id: u8,
    timestamp: u32,
    body: Vec<u8>,
}

/// What came so far.
#[derive(Default)]
struct Received {
    tags: Vec<Tag>,
    statuses: Vec<String>,
    ended: bool,
}

/// A connection that plays one stream.
pub struct Player {
    received: Arc<Mutex<Received>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Player {
    /// Connects to the application `live` and plays `name`; returns when the server answered `play`.
    pub fn start(address: SocketAddr, name: &str) -> Player {
        let mut socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(patience(5.0))).unwrap();
        shake_hands(&mut socket);

        let mut commands = Outgoing::default();
        commands.control(Control::SetChunkSize(OUT_CHUNK_BYTES));
        commands.command(0, |amf| {
            amf.string("connect")?;
            amf.number(1.0)?;
            amf.object_begin()?;
            amf.property_string("app", "live")?;
            amf.property_string("tcUrl", &format!("rtmp://{address}/live"))?;
            // It takes what was published, whatever that is: Multitrack, ModEx and nanoseconds.
            amf.property_number("capsEx", 14.0)?;
            amf.object_end()
        });
        commands.command(0, |amf| {
            amf.string("createStream")?;
            amf.number(2.0)?;
            amf.null()
        });
        // Every server numbers its first stream 1, so there is no need to wait for the number.
        commands.command(1, |amf| {
            amf.string("play")?;
            amf.number(3.0)?;
            amf.null()?;
            amf.string(name)?;
            amf.number(-1000.0)
        });
        socket.write_all(&commands.bytes).unwrap();

        let received = Arc::new(Mutex::new(Received::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (received, stop) = (received.clone(), stop.clone());
            move || receive(socket, &received, &stop)
        });
        let player = Player { received, stop, thread: Some(thread) };
        player.wait_for_status("NetStream.Play.Start", 1);
        player
    }

    /// Waits until a status came `count` times in all.
    pub fn wait_for_status(&self, code: &str, count: usize) {
        let statuses = || self.received.lock().unwrap().statuses.clone();
        let times = || statuses().iter().filter(|status| *status == code).count();
        let came = wait_until(patience(10.0), || times() >= count);
        // Taken before the assertion, which must not poison the lock.
        let statuses = statuses();
        assert!(came, "{code} did not come {count} times: {statuses:?}");
    }

    /// Waits until a video message of at least this stream time came.
    pub fn wait_for_time(&self, timestamp: u32) {
        let reached = || {
            let received = self.received.lock().unwrap();
            received.tags.iter().any(|tag| tag.type_id == type_id::VIDEO && tag.timestamp >= timestamp)
        };
        assert!(wait_until(patience(10.0), reached), "stream time does not reach {timestamp} ms");
    }

    /// Whether the server closed the connection.
    pub fn is_closed(&self) -> bool {
        self.received.lock().unwrap().ended
    }

    /// Writes the audio and video received so far as an FLV file (Adobe FLV 10.1, annex E).
    pub fn save(&self, file: &Path) {
        let mut flv = b"FLV\x01\x05\0\0\0\x09\0\0\0\0".to_vec();
        for tag in &self.received.lock().unwrap().tags {
            let [high, timestamp @ ..] = tag.timestamp.to_be_bytes();
            let length = u32::try_from(tag.body.len()).unwrap();
            flv.push(tag.type_id);
            flv.extend(&length.to_be_bytes()[1..]);
            flv.extend(timestamp);
            flv.extend([high, 0, 0, 0]);
            flv.extend(&tag.body);
            flv.extend((length + 11).to_be_bytes());
        }
        std::fs::write(file, flv).unwrap();
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the player's thread panicked");
        }
    }
}

/// Our chunk size: every command is one chunk.
const OUT_CHUNK_BYTES: u32 = 4096;

/// Bytes to send.
#[derive(Default)]
pub(super) struct Outgoing {
    pub(super) bytes: Vec<u8>,
}

impl Outgoing {
    fn message(&mut self, type_id: u8, stream_id: u32, body: &[u8]) {
        self.message_at(0, type_id, stream_id, body);
    }

    /// A message of this time, in one chunk.
    pub(super) fn message_at(&mut self, timestamp: u32, type_id: u8, stream_id: u32, body: &[u8]) {
        let mut header = [0; MAX_TYPE0_BYTES];
        let length = u32::try_from(body.len()).unwrap();
        let used = MessageHeader { timestamp, length, type_id, stream_id }.emit_type0(3, &mut header);
        self.bytes.extend(&header[..used]);
        self.bytes.extend(body);
    }

    pub(super) fn control(&mut self, control: Control) {
        let (type_id, body) = control.emit();
        self.message(type_id, 0, &body);
    }

    pub(super) fn command(
        &mut self,
        stream_id: u32,
        write: impl FnOnce(&mut Encoder<'_, '_>) -> Result<(), rill::wire::bytes::Full>,
    ) {
        let mut buffer = [0; OUT_CHUNK_BYTES as usize];
        let mut writer = Writer::new(&mut buffer);
        write(&mut Encoder::new(&mut writer)).unwrap();
        self.message(type_id::COMMAND, stream_id, writer.written());
    }
}

pub(super) fn shake_hands(socket: &mut TcpStream) {
    let mut request = [0; 1 + HANDSHAKE_BYTES];
    handshake::request_simple(0, &mut |bytes| bytes.fill(0x5A), &mut request);
    socket.write_all(&request).unwrap();
    let mut answer = [0; 1 + 2 * HANDSHAKE_BYTES];
    socket.read_exact(&mut answer).unwrap();
    let mut c2 = [0; HANDSHAKE_BYTES];
    handshake::echo(answer[1..=HANDSHAKE_BYTES].try_into().unwrap(), 0, &mut c2);
    socket.write_all(&c2).unwrap();
}

/// Reads until the server closes or `stop` is set.
fn receive(mut socket: TcpStream, received: &Mutex<Received>, stop: &AtomicBool) {
    socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let mut chunks = ChunkReader::default();
    let mut bodies: HashMap<u8, Vec<u8>> = HashMap::new();
    let mut buffer = vec![0; 64 * 1024];
    while !stop.load(Ordering::Relaxed) {
        let mut input = match socket.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => &buffer[..length],
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
            Err(_) => break,
        };
        while let Some(event) = chunks.next(&mut input, None).unwrap() {
            match event {
                ChunkEvent::Begin { lane, .. } => drop(bodies.insert(lane.0, Vec::new())),
                ChunkEvent::Payload { lane, bytes } => bodies.entry(lane.0).or_default().extend(&*bytes),
                ChunkEvent::Abandoned { lane } => drop(bodies.remove(&lane.0)),
                ChunkEvent::End { lane } => {
                    let header = chunks.message(lane);
                    let body = bodies.remove(&lane.0).unwrap_or_default();
                    if let Some(Control::SetChunkSize(bytes)) = Control::parse(header.type_id, &body) {
                        chunks.set_chunk_size(bytes);
                    }
                    let reply = take(header, body, &mut received.lock().unwrap());
                    // A server that is closing does not read it any more.
                    let _ = socket.write_all(&reply.bytes);
                }
            }
        }
    }
    received.lock().unwrap().ended = true;
}

/// Keeps what a message says and returns what to answer.
fn take(header: MessageHeader, body: Vec<u8>, received: &mut Received) -> Outgoing {
    let mut reply = Outgoing::default();
    match header.type_id {
        type_id::AUDIO | type_id::VIDEO => {
            received.tags.push(Tag { type_id: header.type_id, timestamp: header.timestamp, body });
        }
        type_id::COMMAND => received.statuses.extend(status_code(&body)),
        type_id::USER_CONTROL => {
            if let Some(UserControl::PingRequest(stamp)) = UserControl::parse(&body) {
                reply.message(type_id::USER_CONTROL, 0, &UserControl::PingResponse(stamp).emit());
            }
        }
        _ => {}
    }
    reply
}

/// The code of an `onStatus` command.
fn status_code(body: &[u8]) -> Option<String> {
    let mut amf = Decoder::new(body);
    if amf.string().ok()? != b"onStatus" {
        return None;
    }
    amf.number().ok()?;
    amf.value().ok()?;
    amf.value().ok()?.get("code")?.as_str().map(str::to_owned)
}
