//! One RTMP client of a measurement, without its socket: bytes and the time go in, bytes to send and counts come out.
//!
//! Payload is passed over where it lies; of a picture only the first bytes are kept, which hold its stamp.

use crate::client::line::ClientLine;
use crate::rtmp::chunk_reader::Lane;
use crate::rtmp::event::MediaKind;
use crate::rtmp::outbound::{self, CONNECT, CREATE_STREAM, FarSaid, OutboundError, OutboundEvent};
use crate::wire::bytes::Full;
use crate::wire::codec::synthetic::{STAMP_PREFIX_BYTES, stamp_us};
use crate::wire::message::Control;

use super::clock::Stamp;
use super::counts::{BenchCounts, Player};
use super::target::Target;

/// Acknowledgement window that players ask for, as ffmpeg does.
const WINDOW_BYTES: u32 = 2_500_000;
/// Buffer length a player tells the server, as ffmpeg does.
const BUFFER_MS: u32 = 3000;
/// AVC tag header and the part of the access unit that holds the stamp.
const PREFIX_BYTES: usize = AVC_HEADER_BYTES + STAMP_PREFIX_BYTES;
const AVC_HEADER_BYTES: usize = 5;

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
    line: ClientLine,
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
            line: ClientLine::new(now_us, out),
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
        while let Some(event) = self.line.next(&mut input, out)? {
            match event {
                OutboundEvent::Open => {
                    let is_encoder = matches!(self.role, ClientRole::Publisher(_));
                    context.target.send_connect(out, is_encoder, |_| Ok(()))?;
                }
                OutboundEvent::Command => self.command(context, out)?,
                OutboundEvent::MediaBegin { lane, kind, length, .. } => {
                    context.counts.media_bytes += u64::from(length);
                    if kind == MediaKind::Video {
                        self.video = Some(lane);
                        self.prefix.clear();
                    }
                }
                OutboundEvent::MediaData(lane, bytes) => {
                    if self.video == Some(lane) {
                        let wanted = bytes.len().min(PREFIX_BYTES - self.prefix.len());
                        self.prefix.extend(bytes[..wanted].iter().copied());
                    }
                }
                OutboundEvent::MediaEnd(lane) => {
                    if self.video == Some(lane) {
                        self.video = None;
                        self.picture(context);
                    }
                }
                OutboundEvent::MediaAbort(lane) => {
                    if self.video == Some(lane) {
                        self.video = None;
                    }
                }
                OutboundEvent::LongCommand(..) | OutboundEvent::Data(_) => {}
            }
        }
        Ok(())
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

    fn command(&mut self, context: &mut ClientContext<'_>, out: &mut Vec<u8>) -> Result<(), ClientFailure> {
        let said = self.line.session().said();
        match (said.name, said.transaction) {
            ("_result", CONNECT) => Ok(self.connected(context, out)?),
            ("_result", CREATE_STREAM) => {
                let Some(id) = said.number else {
                    return Err(ClientFailure("createStream was answered without a number".into()));
                };
                self.stream_id = id as u32;
                Ok(self.stream_created(context, out)?)
            }
            ("_error", CONNECT | CREATE_STREAM) => Err(refusal(&said)),
            ("onStatus", _) if said.is_error => Err(refusal(&said)),
            ("onStatus", _) if said.code == "NetStream.Publish.Start" => {
                self.progress = Progress::Running;
                Ok(())
            }
            ("close", _) => Err(ClientFailure("the server said close".into())),
            _ => Ok(()),
        }
    }

    fn connected(&mut self, context: &mut ClientContext<'_>, out: &mut Vec<u8>) -> Result<(), Full> {
        match self.role {
            ClientRole::Idle => {
                self.progress = Progress::Running;
                Ok(())
            }
            ClientRole::Publisher(stream) => {
                self.line.say(out, |tx| outbound::create_to_publish(tx, &context.target.stream_name(stream)))
            }
            ClientRole::Player(_) => self.line.say(out, |tx| {
                tx.control(Control::WindowAcknowledgementSize(WINDOW_BYTES))?;
                outbound::create(tx)
            }),
        }
    }

    fn stream_created(&mut self, context: &mut ClientContext<'_>, out: &mut Vec<u8>) -> Result<(), Full> {
        let id = self.stream_id;
        self.progress = Progress::Waiting;
        match self.role {
            ClientRole::Idle => Ok(()),
            ClientRole::Publisher(stream) => {
                self.line.say(out, |tx| outbound::publish(tx, id, &context.target.stream_name(stream)))
            }
            ClientRole::Player(stream) => {
                self.line.say(out, |tx| outbound::play(tx, id, &context.target.stream_name(stream), BUFFER_MS))
            }
        }
    }
}

impl From<OutboundError> for ClientFailure {
    fn from(error: OutboundError) -> ClientFailure {
        ClientFailure(error.to_string())
    }
}

impl From<Full> for ClientFailure {
    fn from(_: Full) -> ClientFailure {
        ClientFailure("the URL is too long".into())
    }
}

pub(super) fn refusal(said: &FarSaid<'_>) -> ClientFailure {
    match (said.code, said.description) {
        ("", "") => ClientFailure("refused without a reason".into()),
        (code, "") => ClientFailure(code.into()),
        (code, description) => ClientFailure(format!("{code}: {description}")),
    }
}
