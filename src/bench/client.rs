//! One RTMP client of a measurement, without its socket: bytes and the time go in, bytes to send and counts come out.
//!
//! Payload is passed over where it lies; of a picture only the first bytes are kept, which hold its stamp.

use crate::client::send;
use crate::client::session::{ClientError, ClientSession, Incoming};
use crate::rtmp::chunk_reader::Lane;
use crate::wire::amf0::{Decoder, Value};
use crate::wire::bytes::Full;
use crate::wire::chunk::MessageHeader;
use crate::wire::codec::synthetic::{STAMP_PREFIX_BYTES, stamp_us};
use crate::wire::message::{Control, UserControl, type_id};

use super::clock::Stamp;
use super::counts::{BenchCounts, Player};
use super::target::{CONNECT, Target};

/// Acknowledgement window that players ask for, as ffmpeg does.
const WINDOW_BYTES: u32 = 2_500_000;
/// Buffer length a player tells the server, as ffmpeg does.
const BUFFER_MS: u32 = 3000;
/// AVC tag header and the part of the access unit that holds the stamp.
const PREFIX_BYTES: usize = AVC_HEADER_BYTES + STAMP_PREFIX_BYTES;
const AVC_HEADER_BYTES: usize = 5;

const RELEASE_STREAM: f64 = 2.0;
const FC_PUBLISH: f64 = 3.0;
const CREATE_STREAM: f64 = 4.0;
const START: f64 = 5.0;

/// What a client is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientRole {
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
pub struct ClientFailure(pub String);

/// See the module's documentation.
pub struct LoadClient {
    role: ClientRole,
    session: ClientSession,
    progress: Progress,
    video: Option<Lane>,
    prefix: heapless::Vec<u8, PREFIX_BYTES>,
    stream_id: u32,
    /// What this player has received.
    pub player: Player,
}

/// What clients share while they read.
pub struct ClientContext<'a> {
    /// Where they connect to.
    pub target: &'a Target,
    /// What all players count into.
    pub counts: &'a mut BenchCounts,
    /// When the input was read.
    pub now_us: u64,
}

impl LoadClient {
    /// A client that begins at `now_us`; C0 and C1 are appended to `out`.
    pub fn new(role: ClientRole, now_us: u64, out: &mut Vec<u8>) -> LoadClient {
        LoadClient {
            role,
            session: ClientSession::new(now_us, out),
            progress: Progress::Starting,
            video: None,
            prefix: heapless::Vec::new(),
            stream_id: 0,
            player: Player::new(now_us),
        }
    }

    /// What the client is there for.
    pub fn role(&self) -> ClientRole {
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
    pub fn receive(
        &mut self,
        mut input: &[u8],
        context: &mut ClientContext<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), ClientFailure> {
        while let Some(incoming) = self.session.next(&mut input, out)? {
            match incoming {
                Incoming::Open => {
                    let is_encoder = matches!(self.role, ClientRole::Publisher(_));
                    context.target.send_connect(out, is_encoder, |_| Ok(()))?;
                }
                Incoming::Command { body, .. } => self.command(&body, context, out)?,
                Incoming::MediaBegin(lane, header) if header.type_id == type_id::VIDEO => {
                    self.video = Some(lane);
                    self.prefix.clear();
                }
                Incoming::MediaBegin(..) => {}
                Incoming::MediaData(lane, bytes) => {
                    if self.video == Some(lane) {
                        let wanted = bytes.len().min(PREFIX_BYTES - self.prefix.len());
                        self.prefix.extend(bytes[..wanted].iter().copied());
                    }
                }
                Incoming::MediaEnd(_, header) => self.media(header, context),
                Incoming::MediaAbort(lane) => {
                    if self.video == Some(lane) {
                        self.video = None;
                    }
                }
            }
        }
        Ok(())
    }

    fn media(&mut self, header: MessageHeader, context: &mut ClientContext<'_>) {
        context.counts.media_bytes += u64::from(header.length);
        if header.type_id == type_id::VIDEO {
            self.picture(context);
            self.video = None;
        }
    }

    fn picture(&mut self, context: &mut ClientContext<'_>) {
        let ClientRole::Player(stream) = self.role else { return };
        let is_picture = self.prefix.get(1).is_some_and(|&packet_type| packet_type == 1);
        let stamp = self.prefix.get(AVC_HEADER_BYTES..).and_then(stamp_us);
        if let (true, Some(stamp)) = (is_picture, stamp) {
            self.progress = Progress::Running;
            self.player.picture(stream, Stamp::unpack(stamp), context.now_us, context.counts);
        }
    }

    fn command(
        &mut self,
        body: &[u8],
        context: &mut ClientContext<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), ClientFailure> {
        let mut amf = Decoder::new(body);
        let (Ok(name), Ok(transaction)) = (amf.string(), amf.number()) else {
            return Err(ClientFailure("a command that cannot be read".into()));
        };
        let first = amf.value().unwrap_or(Value::Null);
        let second = amf.value().unwrap_or(Value::Null);
        match name {
            b"_result" if transaction == CONNECT => Ok(self.connected(context, out)?),
            b"_result" if transaction == CREATE_STREAM => {
                let Some(id) = second.as_number() else {
                    return Err(ClientFailure("createStream was answered without a number".into()));
                };
                self.stream_id = id as u32;
                Ok(self.stream_created(context, out)?)
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
            b"close" => Err(ClientFailure("the server said close".into())),
            _ => Ok(()),
        }
    }

    fn connected(&mut self, context: &mut ClientContext<'_>, out: &mut Vec<u8>) -> Result<(), Full> {
        match self.role {
            ClientRole::Idle => {
                self.progress = Progress::Running;
                return Ok(());
            }
            ClientRole::Publisher(stream) => {
                let name = context.target.stream_name(stream);
                for (command, transaction) in [("releaseStream", RELEASE_STREAM), ("FCPublish", FC_PUBLISH)] {
                    send::command(out, 0, command, transaction, |amf| {
                        amf.null()?;
                        amf.string(&name)
                    })?;
                }
            }
            ClientRole::Player(_) => send::control(out, Control::WindowAcknowledgementSize(WINDOW_BYTES)),
        }
        send::command(out, 0, "createStream", CREATE_STREAM, |amf| amf.null())
    }

    fn stream_created(&mut self, context: &mut ClientContext<'_>, out: &mut Vec<u8>) -> Result<(), Full> {
        let id = self.stream_id;
        self.progress = Progress::Waiting;
        match self.role {
            ClientRole::Idle => Ok(()),
            ClientRole::Publisher(stream) => send::command(out, id, "publish", START, |amf| {
                amf.null()?;
                amf.string(&context.target.stream_name(stream))?;
                amf.string("live")
            }),
            ClientRole::Player(stream) => {
                send::command(out, id, "play", START, |amf| {
                    amf.null()?;
                    amf.string(&context.target.stream_name(stream))?;
                    amf.number(-2000.0)
                })?;
                send::user_control(out, UserControl::SetBufferLength { stream_id: id, buffer_ms: BUFFER_MS });
                Ok(())
            }
        }
    }
}

impl From<ClientError> for ClientFailure {
    fn from(error: ClientError) -> ClientFailure {
        ClientFailure(error.to_string())
    }
}

impl From<Full> for ClientFailure {
    fn from(_: Full) -> ClientFailure {
        ClientFailure("the URL is too long".into())
    }
}

fn text<'a>(info: &Value<'a>, key: &str) -> &'a str {
    // A value borrows from the message, so its text outlives the object that was looked at.
    info.get(key).and_then(|value| value.as_str()).unwrap_or_default()
}

pub(super) fn refusal(info: &Value<'_>) -> ClientFailure {
    match (text(info, "code"), text(info, "description")) {
        ("", "") => ClientFailure("refused without a reason".into()),
        (code, "") => ClientFailure(code.into()),
        (code, description) => ClientFailure(format!("{code}: {description}")),
    }
}
