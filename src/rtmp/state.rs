//! What commands change: net streams, requests, and what the client said of itself. The session gives it whole messages.

use core::mem;

use crate::limits::{NET_STREAMS, OUT_CHUNK_BYTES};
use crate::wire::amf0::{Encoder, Value};
use crate::wire::bytes::Full;
use crate::wire::chunk::MessageHeader;
use crate::wire::message::{BandwidthLimit, Control, UserControl, type_id};

use super::chunk_reader::Lane;
use super::command::{Command, CommandMessage};
use super::connect_info::ConnectInfo;
use super::dvr::DvrInfo;
use super::event::{
    Decision, Event, MediaKind, Misbehaviour, NetStreamId, PlayHow, PlayLength, PlayStart, PublishMode, Request,
    SessionError,
};
use super::recorded;
use super::status::{Code, Status};
use super::tx::TxBuf;
use crate::name::{NameError, StreamName};

/// Acknowledgement window and peer bandwidth that we announce, in bytes: what Adobe's server and most others say.
pub(super) const WINDOW_BYTES: u32 = 2_500_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NetStream {
    Free,
    Idle,
    /// Under a name with this [`name_hash`].
    Publishing(u32),
    Playing(PlayedFrom),
}

/// What a net stream plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PlayedFrom {
    Live,
    Recorded,
}

/// What commands change.
pub(super) struct State {
    pub(super) connected: bool,
    /// The application has code of its own, which may answer commands and says itself when bandwidth is known.
    pub(super) scripted: bool,
    /// What a player is told of its rights to take pictures of audio and video.
    pub(super) sample_access: (bool, bool),
    /// The window that we last announced, in bytes.
    pub(super) announced_window: u32,
    pub(super) connect_info: ConnectInfo,
    pub(super) request: Option<Request>,
    /// What each net stream does, as far as the server has decided. The caller knows better what and of whom; this much is kept
    /// here because messages are routed, and commands answered, by the protocol alone.
    streams: [NetStream; NET_STREAMS],
    /// How much the client wants to hold of each message stream, in milliseconds; 0 where it has not said. That of the
    /// connection holds for all others.
    buffer_ms: [u32; 1 + NET_STREAMS],
}

impl Default for State {
    fn default() -> State {
        State {
            connected: false,
            scripted: false,
            sample_access: (true, true),
            announced_window: WINDOW_BYTES,
            connect_info: ConnectInfo::default(),
            request: None,
            streams: [NetStream::Free; NET_STREAMS],
            buffer_ms: [0; 1 + NET_STREAMS],
        }
    }
}

impl State {
    /// See [`super::session::Session::decide`].
    pub(super) fn decide(&mut self, decision: Decision<'_>, tx: &mut TxBuf) -> Result<(), Full> {
        let Some(request) = self.request.take() else { return Ok(()) };
        match (request, decision) {
            (Request::Connect, Decision::Accept) => {
                self.connected = true;
                self.connect_info.accept(tx)?;
                if self.scripted { Ok(()) } else { on_bw_done(tx) }
            }
            (Request::Connect, Decision::Reject(status)) => {
                let transaction = self.connect_info.transaction;
                // What a script adds may be longer than the room that there is; the code alone never is.
                let send = |status: Status<'_>, tx: &mut TxBuf| status.send_error(transaction, tx);
                send(status, tx).or_else(|Full| send(Status::new(status.code, ""), tx))
            }
            (Request::Publish { stream, name, .. }, Decision::Accept) => {
                self.streams[stream.index()] = NetStream::Publishing(name_hash(&name.name));
                tx.user_control(UserControl::StreamBegin(stream.wire()))?;
                Status::new(Code::PublishStart, &name.name).send(stream.wire(), tx)
            }
            (Request::Play { stream, name, how, .. }, Decision::Accept) => {
                self.start(stream, &name.name, how, PlayedFrom::Live, tx)
            }
            (Request::Play { stream, name, how, .. }, Decision::AcceptRecorded) => {
                self.start(stream, &name.name, how, PlayedFrom::Recorded, tx)
            }
            (Request::Play { .. }, Decision::Queue) => Ok(()),
            // What it publishes or plays, if anything, goes on.
            (Request::Publish { stream, .. } | Request::Play { stream, .. }, Decision::Reject(status)) => {
                status.send(stream.wire(), tx)
            }
            (Request::Connect | Request::Publish { .. }, Decision::AcceptRecorded | Decision::Queue) => {
                debug_assert!(false, "a request has the answers that it can have");
                Ok(())
            }
        }
    }

    /// The net stream plays from now on, which its client hears.
    fn start(
        &mut self,
        stream: NetStreamId,
        name: &str,
        how: PlayHow,
        played: PlayedFrom,
        tx: &mut TxBuf,
    ) -> Result<(), Full> {
        let before = mem::replace(&mut self.streams[stream.index()], NetStream::Playing(played));
        if how == PlayHow::Switch && matches!(before, NetStream::Playing(_)) {
            return Status::new(Code::PlayTransition, name).send(stream.wire(), tx);
        }
        match played {
            PlayedFrom::Live => tx.user_control(UserControl::StreamBegin(stream.wire()))?,
            PlayedFrom::Recorded => recorded::begin(stream, tx)?,
        }
        if how == PlayHow::Reset {
            Status::new(Code::PlayReset, name).send(stream.wire(), tx)?;
        }
        Status::new(Code::PlayStart, name).send(stream.wire(), tx)?;
        recorded::sample_access(stream, self.sample_access, tx)
    }

    /// See [`super::session::Session::buffer_ms`].
    pub(super) fn buffer_ms(&self, stream: NetStreamId) -> u32 {
        match self.buffer_ms[stream.wire() as usize] {
            0 => self.buffer_ms[0],
            own => own,
        }
    }

    /// The client has a buffer of so many milliseconds for a message stream. Whether that matters to what is played.
    pub(super) fn set_buffer(&mut self, stream_id: u32, buffer_ms: u32) -> bool {
        let Some(own) = self.buffer_ms.get_mut(stream_id as usize) else { return false };
        *own = buffer_ms;
        self.streams.contains(&NetStream::Playing(PlayedFrom::Recorded))
    }

    /// See [`super::session::Session::stop_playing`].
    pub(super) fn stop_playing(&mut self, stream: NetStreamId) {
        if let NetStream::Playing(_) = self.streams[stream.index()] {
            self.streams[stream.index()] = NetStream::Idle;
        }
    }

    /// The publishing net stream that a message belongs to. A message stream id that was never created counts as the
    /// only publishing stream, if there is one: some encoders number their media otherwise.
    pub(super) fn publishing(&self, stream_id: u32) -> Option<NetStreamId> {
        let publishes = |stream: NetStreamId| matches!(self.streams[stream.index()], NetStream::Publishing(_));
        if let Some(stream) = NetStreamId::from_wire(stream_id)
            && self.streams[stream.index()] != NetStream::Free
        {
            return publishes(stream).then_some(stream);
        }
        let mut publishing = (0..NET_STREAMS).map(NetStreamId::from_index).filter(|&stream| publishes(stream));
        let only = publishing.next()?;
        publishing.next().is_none().then_some(only)
    }

    /// The net stream that publishes under a name.
    fn publishing_as(&self, name: &str) -> Option<NetStreamId> {
        let publishing = NetStream::Publishing(name_hash(name));
        self.streams.iter().position(|&stream| stream == publishing).map(NetStreamId::from_index)
    }

    pub(super) fn media_begin(&self, lane: Lane, header: MessageHeader) -> Option<Event<'static>> {
        let stream = self.publishing(header.stream_id)?;
        let kind = if header.type_id == type_id::AUDIO { MediaKind::Audio } else { MediaKind::Video };
        // An empty audio message means silence and is passed on; an empty video message means nothing.
        if kind == MediaKind::Video && header.length == 0 {
            return None;
        }
        let MessageHeader { timestamp, length, .. } = header;
        Some(Event::MediaBegin { lane, stream, kind, timestamp, length })
    }

    /// The event that a command becomes when it is not ours to act on: an answer to our own call, or a method that an
    /// application's code may have instead of us.
    pub(super) fn offered(&self, message: &CommandMessage<'_>, stream_id: u32) -> Option<Event<'static>> {
        if !self.connected {
            return None;
        }
        match message.command {
            Command::Answer if matches!(message.name, b"_result" | b"_error") => {
                // 0 is the answer to nothing.
                let id = Some(message.transaction as u32).filter(|&id| id > 0)?;
                Some(Event::Answer(id, message.name == b"_result"))
            }
            // Of answers only `pong` and `onStatus` are left: librtmp calls the first, and code may have a method for it.
            Command::Answer
            | Command::Unknown
            | Command::ReleaseStream
            | Command::FcPublish(_)
            | Command::FcUnpublish(_)
            | Command::FcSubscribe(_)
            | Command::FcUnsubscribe
            | Command::GetStreamLength(_)
            | Command::DvrGetStreamInfo(_)
            | Command::DvrSetStreamInfo
            | Command::DvrSubscribe(_)
            | Command::DvrUnsubscribe(_)
            | Command::CheckBandwidth
            | Command::Ping => (self.scripted && core::str::from_utf8(message.name).is_ok()).then_some(Event::Call),
            // Said to the connection and not to a net stream, these may be names like any other.
            Command::Publish { .. }
            | Command::Play { .. }
            | Command::Play2(_)
            | Command::Pause(..)
            | Command::Seek(_)
            | Command::ReceiveAudio(_)
            | Command::ReceiveVideo(_)
            | Command::InvalidArgument(_) => (self.scripted && stream_id == 0).then_some(Event::Call),
            _ => None,
        }
    }

    pub(super) fn command(
        &mut self,
        message: CommandMessage<'_>,
        stream_id: u32,
        tx: &mut TxBuf,
    ) -> Result<Option<Event<'static>>, SessionError> {
        let CommandMessage { name, transaction, command } = message;
        if let Command::Connect(object) = command {
            if self.connected {
                return Err(SessionError::PeerMisbehaved(Misbehaviour::ConnectedTwice));
            }
            self.connect_info = ConnectInfo::from_connect(object.as_ref(), transaction);
            self.announced_window = WINDOW_BYTES;
            tx.control(Control::WindowAcknowledgementSize(WINDOW_BYTES))?;
            tx.control(Control::SetPeerBandwidth(WINDOW_BYTES, BandwidthLimit::Dynamic))?;
            tx.user_control(UserControl::StreamBegin(0))?;
            tx.control(Control::SetChunkSize(OUT_CHUNK_BYTES as u32))?;
            self.request = Some(Request::Connect);
            return Ok(None);
        }
        if !self.connected {
            Status::new(Code::ConnectFailed, "").send_error(transaction, tx)?;
            return Err(SessionError::PeerMisbehaved(Misbehaviour::NotConnected));
        }
        match command {
            Command::Connect(_) | Command::Answer => {}
            Command::CreateStream => self.create_stream(transaction, tx)?,
            Command::ReleaseStream | Command::FcUnsubscribe => result(transaction, tx)?,
            Command::CheckBw => {
                result(transaction, tx)?;
                return Ok(Some(Event::CheckBw));
            }
            Command::FcPublish(name) => {
                result(transaction, tx)?;
                notify("onFCPublish", Code::PublishStart, name, tx)?;
            }
            Command::FcUnpublish(name) => {
                result(transaction, tx)?;
                notify("onFCUnpublish", Code::UnpublishSuccess, name, tx)?;
                let stream = match StreamName::parse(name) {
                    Ok(name) => self.publishing_as(&name.name),
                    // It names none: the only one is meant.
                    Err(_) => self.publishing(0),
                };
                return Ok(stream.and_then(|stream| self.end(stream, NetStream::Idle)));
            }
            Command::FcSubscribe(name) => {
                result(transaction, tx)?;
                notify("onFCSubscribe", Code::PlayStart, name, tx)?;
            }
            // Nobody hears the answer to a call without a transaction.
            Command::GetStreamLength(_) | Command::DvrGetStreamInfo(_) if transaction == 0.0 => {}
            Command::GetStreamLength(_) => return Ok(Some(Event::StreamLength)),
            Command::DvrGetStreamInfo(_) => return Ok(Some(Event::DvrInfo)),
            // Who publishes says by its type that it is to be recorded.
            Command::DvrSetStreamInfo => tell_dvr_info(transaction, "", DvrInfo::Failed, tx)?,
            Command::DvrSubscribe(name) => {
                result(transaction, tx)?;
                notify("onDVRSubscribe", Code::PlayStart, name, tx)?;
            }
            Command::DvrUnsubscribe(name) => {
                result(transaction, tx)?;
                notify("onDVRUnsubscribe", Code::PlayStop, name, tx)?;
            }
            Command::CheckBandwidth => {
                result(transaction, tx)?;
                return Ok(Some(Event::CheckBandwidth));
            }
            Command::Ping => {
                result(transaction, tx)?;
                tx.command(0, "pong", 0.0, |amf| amf.null())?;
            }
            Command::DeleteStream(id) => {
                result(transaction, tx)?;
                if let Some(stream) = NetStreamId::from_wire(id.map_or(stream_id, |id| id as u32)) {
                    return Ok(self.end(stream, NetStream::Free));
                }
            }
            Command::Unknown => {
                if transaction != 0.0 {
                    let subject = core::str::from_utf8(name).ok().filter(|name| name.len() <= 64).unwrap_or("?");
                    Status::new(Code::CallFailed, subject).send_error(transaction, tx)?;
                }
            }
            // There is nothing to close: an error here makes ffmpeg give up.
            Command::CloseStream if NetStreamId::from_wire(stream_id).is_none() => {}
            command => {
                let Some(stream) = self.net_stream(stream_id) else {
                    // On the connection itself without saying which it means, or one net stream too many.
                    Status::new(Code::StreamFailed, "").send(stream_id, tx)?;
                    return Ok(None);
                };
                return self.stream_command(command, stream, tx);
            }
        }
        Ok(None)
    }

    /// Commands that speak of the net stream they are sent on.
    fn stream_command(
        &mut self,
        command: Command<'_>,
        stream: NetStreamId,
        tx: &mut TxBuf,
    ) -> Result<Option<Event<'static>>, SessionError> {
        let playing = matches!(self.streams[stream.index()], NetStream::Playing(_));
        Ok(match command {
            Command::Publish { name: None | Some(b"false"), .. } | Command::Play { name: None, .. } => {
                self.end(stream, NetStream::Idle)
            }
            Command::Publish { name: Some(b""), .. }
                if matches!(self.streams[stream.index()], NetStream::Publishing(_)) =>
            {
                self.end(stream, NetStream::Idle)
            }
            Command::Publish { name: Some(name), kind } => {
                self.publish(stream, name, kind, tx)?;
                None
            }
            Command::Play { name: Some(name), start, length, reset } => {
                let how = if reset { PlayHow::Reset } else { PlayHow::Append };
                self.play(stream, name, (start, length), how, tx)?;
                None
            }
            Command::Play2(options) => return self.play2(stream, options, tx),
            Command::InvalidArgument(of) => {
                Status::new(Code::StreamInvalidArg, of).send(stream.wire(), tx)?;
                None
            }
            Command::CloseStream => self.end(stream, NetStream::Idle),
            Command::Pause(paused, ms) => playing.then_some(Event::Pause(stream, paused, ms as u32)),
            Command::Seek(ms) => playing.then_some(Event::Seek(stream, ms as u32)),
            Command::ReceiveAudio(on) => playing.then_some(Event::ReceiveAudio(stream, on)),
            Command::ReceiveVideo(on) => playing.then_some(Event::ReceiveVideo(stream, on)),
            _ => None,
        })
    }

    fn create_stream(&mut self, transaction: f64, tx: &mut TxBuf) -> Result<(), SessionError> {
        let Some(free) = self.streams.iter().position(|&stream| stream == NetStream::Free) else {
            let description = "Too many streams on this connection.";
            let status = Status::new(Code::CallFailed, "createStream").described(description);
            return Ok(status.send_error(transaction, tx)?);
        };
        self.streams[free] = NetStream::Idle;
        let id = NetStreamId::from_index(free).wire();
        Ok(tx.command(0, "_result", transaction, |amf| {
            amf.null()?;
            amf.number(f64::from(id))
        })?)
    }

    /// The net stream of a message stream id; created on the way for clients that skipped `createStream`. The connection
    /// itself (0) stands for the only one that was created, if there is one: rtmp-rs creates a net stream and then publishes
    /// and plays on 0.
    fn net_stream(&mut self, stream_id: u32) -> Option<NetStreamId> {
        if stream_id == 0 {
            let is_created = |stream: &NetStreamId| self.streams[stream.index()] != NetStream::Free;
            let mut created = (0..NET_STREAMS).map(NetStreamId::from_index).filter(is_created);
            return created.next().filter(|_| created.next().is_none());
        }
        let stream = NetStreamId::from_wire(stream_id)?;
        let state = &mut self.streams[stream.index()];
        if *state == NetStream::Free {
            *state = NetStream::Idle;
        }
        Some(stream)
    }

    fn publish(&mut self, stream: NetStreamId, name: &[u8], kind: &[u8], tx: &mut TxBuf) -> Result<(), SessionError> {
        let refuse = |description, tx: &mut TxBuf| {
            Status::new(Code::PublishBadName, "").described(description).send(stream.wire(), tx)
        };
        match (self.streams[stream.index()], StreamName::parse(name)) {
            (_, Err(error)) => {
                let empty = "The stream name (in OBS: the stream key) is empty.";
                refuse(if error == NameError::Empty { empty } else { error.description() }, tx)?;
                return Err(SessionError::PeerMisbehaved(Misbehaviour::StreamName));
            }
            (NetStream::Playing(_), Ok(_)) => refuse("This stream plays already; it cannot publish too.", tx)?,
            (_, Ok(name)) => {
                let mode = match kind {
                    kind if kind.eq_ignore_ascii_case(b"record") => PublishMode::Record,
                    kind if kind.eq_ignore_ascii_case(b"append") => PublishMode::Append,
                    kind if kind.eq_ignore_ascii_case(b"appendWithGap") => PublishMode::AppendWithGap,
                    _ => PublishMode::Live,
                };
                self.request = Some(Request::Publish { stream, name, mode });
            }
        }
        Ok(())
    }

    fn play(
        &mut self,
        stream: NetStreamId,
        name: &[u8],
        (start, length): (f64, f64),
        how: PlayHow,
        tx: &mut TxBuf,
    ) -> Result<(), SessionError> {
        let refuse = |description, tx: &mut TxBuf| {
            Status::new(Code::PlayFailed, "").described(description).send(stream.wire(), tx)
        };
        match (self.streams[stream.index()], StreamName::parse(name)) {
            (_, Err(error)) => refuse(error.description(), tx)?,
            (NetStream::Publishing(_), Ok(_)) => refuse("This stream publishes already; it cannot play too.", tx)?,
            (_, Ok(name)) => {
                let start = match start {
                    start if start >= 0.0 => PlayStart::Recorded(start as u32),
                    -1.0 | -1000.0 => PlayStart::Live,
                    _ => PlayStart::LiveOrRecorded,
                };
                let length = match length {
                    0.0 => PlayLength::Picture,
                    length if length > 0.0 => PlayLength::Ms(length as u32),
                    _ => PlayLength::Whole,
                };
                self.request = Some(Request::Play { stream, name, start, length, how });
            }
        }
        Ok(())
    }

    fn play2(
        &mut self,
        stream: NetStreamId,
        options: Option<Value<'_>>,
        tx: &mut TxBuf,
    ) -> Result<Option<Event<'static>>, SessionError> {
        let option = |key| options.as_ref().and_then(|options| options.get(key));
        let string = |key| option(key).and_then(|value| value.as_bytes());
        // Its times are in seconds.
        let ms = |key| option(key).and_then(|value| value.as_number()).filter(|&s| s >= 0.0).map(|s| s * 1000.0);
        let name = string("streamName").unwrap_or_default();
        let length = ms("len").unwrap_or(-1.0);
        let transition = string("transition").unwrap_or(b"switch");
        let is_live = self.streams[stream.index()] == NetStream::Playing(PlayedFrom::Live);
        match transition {
            b"switch" | b"swap" | b"reset" | b"resume" => {
                let how = if transition == b"reset" { PlayHow::Reset } else { PlayHow::Switch };
                let from = if transition == b"resume" { ms("offset") } else { None };
                self.play(stream, name, (from.or(ms("start")).unwrap_or(-2.0), length), how, tx)?;
                Ok(None)
            }
            b"append" | b"appendAndWait" if !is_live => {
                self.play(stream, name, (ms("start").unwrap_or(-2.0), length), PlayHow::Append, tx)?;
                Ok(None)
            }
            b"stop" => Ok(self.end(stream, NetStream::Idle)),
            _ => {
                // append and appendAndWait speak of playlists, which live streams do not have.
                let description = "This transition is not available for live streams.";
                Status::new(Code::StreamFailed, "").described(description).send(stream.wire(), tx)?;
                Ok(None)
            }
        }
    }

    /// Ends what a net stream does and leaves it in `next`.
    fn end(&mut self, stream: NetStreamId, next: NetStream) -> Option<Event<'static>> {
        let was = mem::replace(&mut self.streams[stream.index()], next);
        if next == NetStream::Free {
            self.buffer_ms[stream.wire() as usize] = 0;
        }
        matches!(was, NetStream::Publishing(_) | NetStream::Playing(_)).then_some(Event::Closed(stream))
    }
}

/// `_result` with a null: `undefined` would stop ffmpeg's reader. Nothing for calls that ask for no answer.
fn result(transaction: f64, tx: &mut TxBuf) -> Result<(), Full> {
    answer(transaction, tx, |amf| amf.null())
}

/// See [`super::session::Session::tell_length`].
pub(super) fn tell_length(transaction: f64, seconds: f64, tx: &mut TxBuf) -> Result<(), Full> {
    answer(transaction, tx, |amf| amf.number(seconds))
}

/// See [`super::session::Session::tell_dvr_info`].
pub(super) fn tell_dvr_info(transaction: f64, name: &str, info: DvrInfo, tx: &mut TxBuf) -> Result<(), Full> {
    answer(transaction, tx, |amf| info.emit(name, amf))
}

fn answer(
    transaction: f64,
    tx: &mut TxBuf,
    value: impl FnOnce(&mut Encoder<'_, '_>) -> Result<(), Full>,
) -> Result<(), Full> {
    if transaction == 0.0 {
        return Ok(());
    }
    tx.command(0, "_result", transaction, |amf| {
        amf.null()?;
        value(amf)
    })
}

pub(super) fn on_bw_done(tx: &mut TxBuf) -> Result<(), Full> {
    tx.command(0, "onBWDone", 0.0, |amf| amf.null())
}

/// `onFCPublish` and its kind: Haivision encoders and some players wait for them.
fn notify(method: &str, code: Code, name: &[u8], tx: &mut TxBuf) -> Result<(), Full> {
    // The name comes back as the description; what is not a name does not.
    let name = StreamName::parse(name).map(|name| name.name).unwrap_or_default();
    tx.command(0, method, 0.0, |amf| {
        amf.null()?;
        amf.object_begin()?;
        amf.property_string("level", code.level().name())?;
        amf.property_string("code", code.name())?;
        amf.property_string("description", &name)?;
        amf.object_end()
    })
}

/// FNV-1a. It tells the few names of one connection apart, so that they need not be kept.
fn name_hash(name: &str) -> u32 {
    name.bytes().fold(0x811C_9DC5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
