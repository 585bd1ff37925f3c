//! One RTMP client of a measurement, without its socket: bytes and the time go in, bytes to send and counts come out.
//!
//! Payload is passed over where it lies; of a picture only the first bytes are kept, which hold its stamp.

use crate::limits::HANDSHAKE_BYTES;
use crate::proto::chunk_reader::{ChunkEvent, ChunkReader, Lane};
use crate::proto::tx::TxBuf;
use crate::wire::amf0::{Decoder, Value};
use crate::wire::bytes::Full;
use crate::wire::codec::synthetic::{STAMP_PREFIX_BYTES, stamp_us};
use crate::wire::handshake;
use crate::wire::message::{Control, UserControl, type_id};

use super::clock::Stamp;
use super::counts::{Counts, Player};
use super::target::Target;

/// Chunk size we send with; OBS's.
pub const CHUNK_BYTES: usize = 4096;
/// Acknowledgement window we ask for, and the one we keep until the server names another.
const WINDOW_BYTES: u32 = 2_500_000;
/// Buffer length a player tells the server, as ffmpeg does.
const BUFFER_MS: u32 = 3000;
/// Longest command that is read; a longer one is passed over.
const COMMAND_BYTES: u32 = 16 * 1024;
/// AVC tag header and the part of the access unit that holds the stamp.
const PREFIX_BYTES: usize = AVC_HEADER_BYTES + STAMP_PREFIX_BYTES;
const AVC_HEADER_BYTES: usize = 5;

const CONNECT: f64 = 1.0;
const RELEASE_STREAM: f64 = 2.0;
const FC_PUBLISH: f64 = 3.0;
const CREATE_STREAM: f64 = 4.0;
const START: f64 = 5.0;

/// What a client is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Connects and stays.
    Idle,
    /// Publishes the stream of this index.
    Publisher(usize),
    /// Plays the stream of this index.
    Player(usize),
}

/// How far a client has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Handshake, connect, createStream.
    Starting,
    /// The server has answered everything; a player waits for its first picture.
    Waiting,
    /// Connected, publishing, or receiving pictures.
    Running,
}

/// Why a client cannot go on: a status code with its text, or what was wrong with the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(pub String);

#[derive(Debug)]
enum Phase {
    /// S0 and S1 are collected.
    S1(Vec<u8>),
    /// So many bytes of S2 are still to come.
    S2(usize),
    Messages,
}

/// See the module's documentation.
pub struct Client {
    role: Role,
    phase: Phase,
    progress: Progress,
    reader: ChunkReader,
    /// Messages other than media that are being received.
    parts: Vec<(Lane, Vec<u8>)>,
    video: Option<Lane>,
    prefix: heapless::Vec<u8, PREFIX_BYTES>,
    stream_id: u32,
    received: u32,
    acknowledged: u32,
    window: u32,
    /// What this player has received.
    pub player: Player,
}

/// What clients share while they read.
pub struct Context<'a> {
    /// Where they connect to.
    pub target: &'a Target,
    /// What all players count into.
    pub counts: &'a mut Counts,
    /// Where messages are put together.
    pub tx: &'a mut TxBuf,
    /// When the input was read.
    pub now_us: u64,
}

impl Client {
    /// A client that begins at `now_us`; C0 and C1 are appended to `out`.
    pub fn new(role: Role, now_us: u64, out: &mut Vec<u8>) -> Client {
        let mut request = [0; 1 + HANDSHAKE_BYTES];
        // Nothing secret: a server echoes these bytes, and different ones show that the echo is ours.
        let mut seed = now_us | 1;
        handshake::request_simple(
            0,
            &mut |bytes| {
                for byte in bytes {
                    seed = seed.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
                    *byte = (seed >> 56) as u8;
                }
            },
            &mut request,
        );
        out.extend_from_slice(&request);
        Client {
            role,
            phase: Phase::S1(Vec::new()),
            progress: Progress::Starting,
            reader: ChunkReader::default(),
            parts: Vec::new(),
            video: None,
            prefix: heapless::Vec::new(),
            stream_id: 0,
            received: 0,
            acknowledged: 0,
            window: WINDOW_BYTES,
            player: Player::new(now_us),
        }
    }

    /// What the client is there for.
    pub fn role(&self) -> Role {
        self.role
    }

    /// How far it has come.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// Its message stream id, once it has one.
    pub fn stream_id(&self) -> u32 {
        self.stream_id
    }

    /// Takes `input` whole and appends answers to `out`.
    pub fn receive(&mut self, mut input: &[u8], context: &mut Context<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
        self.received = self.received.wrapping_add(input.len() as u32);
        if !matches!(self.phase, Phase::Messages) {
            self.handshake(&mut input, context, out)?;
        }
        if matches!(self.phase, Phase::Messages) {
            self.messages(input, context)?;
            if self.received.wrapping_sub(self.acknowledged) >= self.window {
                self.acknowledged = self.received;
                context.tx.control(Control::Acknowledgement(self.received)).map_err(no_room)?;
            }
        }
        out.extend_from_slice(context.tx.pending());
        context.tx.clear();
        Ok(())
    }

    fn handshake(&mut self, input: &mut &[u8], context: &mut Context<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
        if let Phase::S1(collected) = &mut self.phase {
            let (taken, rest) = input.split_at(input.len().min(1 + HANDSHAKE_BYTES - collected.len()));
            collected.extend_from_slice(taken);
            *input = rest;
            if collected.len() < 1 + HANDSHAKE_BYTES {
                return Ok(());
            }
            if collected[0] != handshake::VERSION {
                return Err(Failure(format!("not an RTMP server: its first byte is {:#04x}", collected[0])));
            }
            let s1: &handshake::Packet = collected[1..].try_into().expect("S1 has been collected whole");
            let mut c2 = [0; HANDSHAKE_BYTES];
            handshake::echo(s1, 0, &mut c2);
            out.extend_from_slice(&c2);
            self.phase = Phase::S2(HANDSHAKE_BYTES);
        }
        if let Phase::S2(left) = &mut self.phase {
            let taken = input.len().min(*left);
            *input = &input[taken..];
            *left -= taken;
            if *left == 0 {
                self.phase = Phase::Messages;
                self.send_connect(context).map_err(no_room)?;
            }
        }
        Ok(())
    }

    fn messages(&mut self, mut input: &[u8], context: &mut Context<'_>) -> Result<(), Failure> {
        loop {
            let event = self.reader.next(&mut input, None);
            match event.map_err(|error| Failure(format!("unreadable chunks: {error:?}")))? {
                None => return Ok(()),
                Some(ChunkEvent::Begin { lane, header }) => match header.type_id {
                    type_id::VIDEO => {
                        self.video = Some(lane);
                        self.prefix.clear();
                    }
                    type_id::AUDIO | type_id::DATA | type_id::DATA_AMF3 | type_id::AGGREGATE => {}
                    _ if header.length > COMMAND_BYTES => {}
                    _ => self.parts.push((lane, Vec::with_capacity(header.length as usize))),
                },
                Some(ChunkEvent::Payload { lane, bytes }) => {
                    if self.video == Some(lane) {
                        let wanted = bytes.len().min(PREFIX_BYTES - self.prefix.len());
                        self.prefix.extend(bytes[..wanted].iter().copied());
                    } else if let Some((_, body)) = self.parts.iter_mut().find(|part| part.0 == lane) {
                        body.extend_from_slice(&bytes);
                    }
                }
                Some(ChunkEvent::Abandoned { lane }) => self.forget(lane),
                Some(ChunkEvent::End { lane }) => self.message(lane, context)?,
            }
        }
    }

    fn message(&mut self, lane: Lane, context: &mut Context<'_>) -> Result<(), Failure> {
        let header = self.reader.message(lane);
        match header.type_id {
            type_id::VIDEO => {
                context.counts.media_bytes += u64::from(header.length);
                self.picture(context);
                self.video = None;
            }
            type_id::AUDIO => context.counts.media_bytes += u64::from(header.length),
            _ => {
                let Some(at) = self.parts.iter().position(|part| part.0 == lane) else { return Ok(()) };
                let (_, body) = self.parts.swap_remove(at);
                match header.type_id {
                    type_id::COMMAND => self.command(&body, context)?,
                    // A format byte stands before the AMF0 values.
                    type_id::COMMAND_AMF3 => self.command(body.get(1..).unwrap_or_default(), context)?,
                    type_id::USER_CONTROL => self.user_control(&body, context).map_err(no_room)?,
                    _ => self.control(header.type_id, &body),
                }
            }
        }
        Ok(())
    }

    fn picture(&mut self, context: &mut Context<'_>) {
        let Role::Player(stream) = self.role else { return };
        let is_picture = self.prefix.get(1).is_some_and(|&packet_type| packet_type == 1);
        let stamp = self.prefix.get(AVC_HEADER_BYTES..).and_then(stamp_us);
        if let (true, Some(stamp)) = (is_picture, stamp) {
            self.progress = Progress::Running;
            self.player.picture(stream, Stamp::unpack(stamp), context.now_us, context.counts);
        }
    }

    fn control(&mut self, type_id: u8, body: &[u8]) {
        match Control::parse(type_id, body) {
            Some(Control::SetChunkSize(bytes)) => self.reader.set_chunk_size(bytes),
            Some(Control::Abort(chunk_stream)) => {
                if let Some(lane) = self.reader.abort(chunk_stream) {
                    self.forget(lane);
                }
            }
            Some(Control::WindowAcknowledgementSize(bytes)) => self.window = bytes.max(1),
            _ => {}
        }
    }

    fn forget(&mut self, lane: Lane) {
        self.parts.retain(|part| part.0 != lane);
        if self.video == Some(lane) {
            self.video = None;
        }
    }

    fn user_control(&mut self, body: &[u8], context: &mut Context<'_>) -> Result<(), Full> {
        match UserControl::parse(body) {
            Some(UserControl::PingRequest(stamp)) => context.tx.user_control(UserControl::PingResponse(stamp)),
            _ => Ok(()),
        }
    }

    fn command(&mut self, body: &[u8], context: &mut Context<'_>) -> Result<(), Failure> {
        let mut amf = Decoder::new(body);
        let (Ok(name), Ok(transaction)) = (amf.string(), amf.number()) else {
            return Err(Failure("a command that cannot be read".into()));
        };
        let first = amf.value().unwrap_or(Value::Null);
        let second = amf.value().unwrap_or(Value::Null);
        match name {
            b"_result" if transaction == CONNECT => self.connected(context).map_err(no_room),
            b"_result" if transaction == CREATE_STREAM => {
                let Some(id) = second.as_number() else {
                    return Err(Failure("createStream was answered without a number".into()));
                };
                self.stream_id = id as u32;
                self.stream_created(context).map_err(no_room)
            }
            b"_error" if transaction == CONNECT || transaction == CREATE_STREAM => Err(refusal(&second)),
            b"onStatus" => {
                let info = if second == Value::Null { first } else { second };
                if text(&info, "level") == "error" {
                    return Err(refusal(&info));
                }
                if text(&info, "code") == "NetStream.Publish.Start" {
                    self.progress = Progress::Running;
                }
                Ok(())
            }
            b"close" => Err(Failure("the server said close".into())),
            _ => Ok(()),
        }
    }

    fn send_connect(&self, context: &mut Context<'_>) -> Result<(), Full> {
        let target = context.target;
        let tx = &mut *context.tx;
        // Before connect, which is longer than the 128 bytes of a chunk in force until then; OBS does the same.
        tx.control(Control::SetChunkSize(CHUNK_BYTES as u32))?;
        tx.command(0, "connect", CONNECT, |amf| {
            amf.object_begin()?;
            amf.property_string("app", &target.app)?;
            amf.property_string("flashVer", concat!("rill-bench ", env!("CARGO_PKG_VERSION")))?;
            amf.property_string("tcUrl", &target.tc_url)?;
            if let Role::Publisher(_) = self.role {
                amf.property_string("type", "nonprivate")?;
            } else {
                amf.property_boolean("fpad", false)?;
                amf.property_number("capabilities", 15.0)?;
                amf.property_number("audioCodecs", 4071.0)?;
                amf.property_number("videoCodecs", 252.0)?;
                amf.property_number("videoFunction", 1.0)?;
            }
            amf.object_end()
        })
    }

    fn connected(&mut self, context: &mut Context<'_>) -> Result<(), Full> {
        let tx = &mut *context.tx;
        match self.role {
            Role::Idle => {
                self.progress = Progress::Running;
                return Ok(());
            }
            Role::Publisher(stream) => {
                let name = context.target.stream_name(stream);
                for (command, transaction) in [("releaseStream", RELEASE_STREAM), ("FCPublish", FC_PUBLISH)] {
                    tx.command(0, command, transaction, |amf| {
                        amf.null()?;
                        amf.string(&name)
                    })?;
                }
            }
            Role::Player(_) => tx.control(Control::WindowAcknowledgementSize(WINDOW_BYTES))?,
        }
        tx.command(0, "createStream", CREATE_STREAM, |amf| amf.null())
    }

    fn stream_created(&mut self, context: &mut Context<'_>) -> Result<(), Full> {
        let (tx, id) = (&mut *context.tx, self.stream_id);
        self.progress = Progress::Waiting;
        match self.role {
            Role::Idle => Ok(()),
            Role::Publisher(stream) => tx.command(id, "publish", START, |amf| {
                amf.null()?;
                amf.string(&context.target.stream_name(stream))?;
                amf.string("live")
            }),
            Role::Player(stream) => {
                tx.command(id, "play", START, |amf| {
                    amf.null()?;
                    amf.string(&context.target.stream_name(stream))?;
                    amf.number(-2000.0)
                })?;
                tx.user_control(UserControl::SetBufferLength { stream_id: id, buffer_ms: BUFFER_MS })
            }
        }
    }
}

fn no_room(_: Full) -> Failure {
    Failure("the server asks faster than it reads answers, or the URL is too long".into())
}

fn text<'a>(info: &Value<'a>, key: &str) -> &'a str {
    // A value borrows from the message, so its text outlives the object that was looked at.
    info.get(key).and_then(|value| value.as_str()).unwrap_or_default()
}

fn refusal(info: &Value<'_>) -> Failure {
    match (text(info, "code"), text(info, "description")) {
        ("", "") => Failure("refused without a reason".into()),
        (code, "") => Failure(code.into()),
        (code, description) => Failure(format!("{code}: {description}")),
    }
}
