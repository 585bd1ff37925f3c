//! One client's session: handshake, then commands, data and media (RTMP 1.0, sections 5 to 7).
//!
//! The contract is at the top of [`crate::rtmp`].

use core::mem;

use crate::limits::{ASSEMBLY_BYTES, CHUNK_STREAMS, HANDSHAKE_BYTES, HEADER_BYTES, TX_BYTES};
use crate::time::Millis;
use crate::wire::amf0::Decoder;
use crate::wire::bytes::Full;
use crate::wire::chunk::MessageHeader;
use crate::wire::handshake::{self, FirstByte};
use crate::wire::message::{BandwidthLimit, Control, UserControl, type_id};

use super::aggregate::{Aggregate, SubTagPart};
use super::assembly::Assembly;
use super::chunk_reader::{ChunkEvent, ChunkReader, Lane, Payload};
use super::command::{Command, CommandMessage};
use super::connect_info::{ConnectInfo, tc_url};
use super::data::DataMessage;
use super::dvr::DvrInfo;
use super::event::{Call, Decision, Event, Limit, Misbehaviour, NetStreamId, Request, SessionError};
use super::metadata::{Metadata, MetadataForm};
use super::recorded::{self, Told};
use super::state::{State, WINDOW_BYTES, on_bw_done, tell_dvr_info, tell_length};
use super::status::{Code, Status};
use super::tx::TxBuf;
use crate::name::{StreamPath, app_query};

/// Room that the largest reply needs: while there is less, what is answered waits.
pub const REPLY_BYTES: usize = 1536;
/// Room beside that of a request's answer, which what passes it takes at most.
const PASSING_BYTES: usize = 64;
/// What of the present request's message is kept: no chunk stream has this lane.
const KEPT: Lane = Lane(u8::MAX);
/// The shortest window that we honour, in bytes.
const SHORTEST_WINDOW_BYTES: u32 = 128;
/// An answer to a ping that says to have taken longer has another stamp than ours, in milliseconds.
const LONGEST_ROUND_TRIP_MS: u32 = 120_000;
/// Longest protocol-control or user-control message; SWF verification's 44 bytes are the longest known.
const CONTROL_BYTES: u32 = 64;
const _: () = assert!(REPLY_BYTES + PASSING_BYTES < TX_BYTES);
const _: () = assert!(CHUNK_STREAMS <= KEPT.0 as usize);

/// Where a lane's payload goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sink {
    Skip,
    Assemble,
    /// A data message that does not fit.
    Metadata,
    Media(NetStreamId),
    Aggregate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// C0 awaited.
    Version,
    /// So many bytes of C1 received.
    C1(u16),
    /// So many bytes of C2 still to come; what they are does not matter (errata of 2024).
    C2(u16),
    /// Messages.
    Open,
    /// We said `close`: input is taken and thrown away until the socket is closed.
    Closed,
}

/// See the module's documentation.
pub struct Session {
    phase: Phase,
    reader: ChunkReader,
    assembly: Assembly,
    sinks: [Sink; CHUNK_STREAMS],
    aggregate: Option<Aggregate>,
    /// A data message that does not fit, and what of it is kept.
    long_data: Option<(Lane, Metadata)>,
    /// A message lent to the caller until the next call.
    lent: Option<Lane>,
    state: State,
    seed: u64,
    received: u32,
    acknowledged: u32,
    /// How often the client wants to be acknowledged, in bytes.
    window: u32,
    /// The last Set Peer Bandwidth was a hard limit.
    hard_limit: bool,
    /// The time of the present call of [`Session::next`].
    now: Millis,
    /// A ping of ours that has no answer yet.
    pinged: bool,
    round_trip_ms: Option<u32>,
}

impl Session {
    /// A session before its first byte. `seed` feeds the random bytes of the handshake.
    pub fn new(seed: u64) -> Session {
        Session {
            phase: Phase::Version,
            reader: ChunkReader::default(),
            assembly: Assembly::default(),
            sinks: [Sink::Skip; CHUNK_STREAMS],
            aggregate: None,
            long_data: None,
            lent: None,
            state: State::default(),
            seed,
            received: 0,
            acknowledged: 0,
            window: WINDOW_BYTES,
            hard_limit: false,
            now: Millis(0),
            pinged: false,
            round_trip_ms: None,
        }
    }

    /// Takes input until there is an event. `Ok(None)`: all of it was taken, or a request waits for its decision, or a
    /// message that is answered waits for room in `tx` ([`Session::waits_for_room`]). Behind a request to publish or to play, media
    /// and data of other net streams, and what is no command, are taken as ever: the next command waits. Behind `connect` nothing is.
    pub fn next<'i>(
        &mut self,
        input: &mut &'i [u8],
        tx: &mut TxBuf,
        now: Millis,
    ) -> Result<Option<Event<'i>>, SessionError> {
        self.now = now;
        loop {
            // No further than to the byte that is to be acknowledged, so that cuts of the input do not move it.
            let (most, window) = (self.acknowledge_in(), self.window);
            let mut part = &input[..input.len().min(most)];
            let before = part.len();
            let event = self.step(&mut part, tx, now);
            let taken = before - part.len();
            *input = &input[taken..];
            self.received = self.received.wrapping_add(taken as u32);
            if self.phase == Phase::Open
                && self.received.wrapping_sub(self.acknowledged) >= self.acknowledge_every()
                && tx.control(Control::Acknowledgement(self.received)).is_ok()
            {
                self.acknowledged = self.received;
            }
            let goes_on = taken > 0 || window != self.window;
            if !matches!(event, Ok(None)) || input.is_empty() || !goes_on {
                return event;
            }
        }
    }

    /// What the client asks for and waits to hear about.
    pub fn request(&self) -> Option<&Request> {
        self.state.request.as_ref()
    }

    /// A message that is answered is complete, and there was no room for the answer, or it is a command behind a request. Until
    /// [`Session::next`] is called with more room, with or without input, nothing is taken. Media and data are not answered and
    /// never wait by themselves: no one can stop a publisher from being read by having answers sent to it that it does not take.
    pub fn waits_for_room(&self) -> bool {
        let Some(lane) = self.reader.end_is_due() else { return false };
        if self.phase != Phase::Open || self.sinks[usize::from(lane.0)] != Sink::Assemble {
            return false;
        }
        match self.reader.message(lane).type_id {
            type_id::COMMAND | type_id::COMMAND_AMF3 | type_id::SET_PEER_BANDWIDTH => true,
            type_id::USER_CONTROL => {
                matches!(UserControl::parse(self.assembly.message(lane)), Some(UserControl::PingRequest(_)))
            }
            _ => false,
        }
    }

    /// What the client said of itself when it connected; empty until then.
    pub fn connect_info(&self) -> &ConnectInfo {
        &self.state.connect_info
    }

    /// What this client calls a stream: its path behind the instance that the client has joined, or all of it when the
    /// stream lies elsewhere.
    pub fn own_name<'p>(&self, path: &'p StreamPath) -> &'p str {
        path.within(&self.connect_info().path.instance)
    }

    /// The client has joined an application.
    pub fn is_connected(&self) -> bool {
        self.state.connected
    }

    /// The handshake is done.
    pub fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Bytes of the handshake that the client has still to send. [`Session::next`] takes them however many come at once;
    /// what comes behind them may have to wait.
    pub fn handshake_bytes(&self) -> usize {
        match self.phase {
            Phase::Version => 1 + 2 * HANDSHAKE_BYTES,
            Phase::C1(filled) => 2 * HANDSHAKE_BYTES - usize::from(filled),
            Phase::C2(left) => usize::from(left),
            Phase::Open | Phase::Closed => 0,
        }
    }

    /// The data message of the last [`Event::Data`]; `None` for what players could not read.
    pub fn data(&self) -> Option<DataMessage<'_>> {
        let lane = self.lent?;
        let long = self.long_data.as_ref().filter(|(long, _)| *long == lane).map(|(_, metadata)| metadata);
        let cut = long.is_some_and(|metadata| metadata.head() == MetadataForm::Amf3);
        let amf3 = self.data_type(lane) == type_id::DATA_AMF3;
        let mut message = DataMessage::parse(self.assembly.message(lane), amf3, cut)?;
        message.lost = long.map_or(0, Metadata::lost);
        Some(message)
    }

    /// The AMF0 values behind the command object of the command that the present request, the last [`Event::Call`] or the
    /// last [`Event::Answer`] is about.
    pub fn arguments(&self) -> &[u8] {
        let mut values = Decoder::new(self.lent_command());
        // Name, transaction id, command object.
        for _ in 0..3 {
            if values.is_empty() || values.value().is_err() {
                return &[];
            }
        }
        values.rest()
    }

    /// The `tcUrl` of the `connect` command that waits for its decision; empty when it has none.
    pub fn tc_url(&self) -> &str {
        tc_url(|key| self.connect_property(key))
    }

    /// A property of the `connect` command that waits for its decision; empty when it has none of that name.
    pub fn connect_property(&self, name: &str) -> &str {
        let message = CommandMessage::parse(self.lent_command());
        let Ok(CommandMessage { command: Command::Connect(Some(object)), .. }) = message else { return "" };
        object.get(name).and_then(|value| value.as_str()).unwrap_or_default()
    }

    /// What stands behind a `?` in `app` or `tcUrl` of the `connect` command that waits for its decision, all of it. It may hold a secret.
    pub fn connect_query(&self) -> &str {
        app_query(self.connect_property("app"), self.tc_url())
    }

    /// What stands behind the `?` of the stream name that the present request names, or behind that of the application
    /// where the stream name has none. It may hold a secret.
    pub fn stream_query(&self) -> &str {
        let name = core::str::from_utf8(self.said_name()).unwrap_or_default();
        match name.split_once('?').map_or("", |(_, query)| query).trim() {
            "" => &self.state.connect_info.query,
            query => query,
        }
    }

    /// The stream name that the present request names, or the call of [`Event::StreamLength`] or [`Event::DvrInfo`], as the client said it: with
    /// prefix and query, which may hold a secret. Empty when there is none.
    pub fn said_name(&self) -> &[u8] {
        match self.assembly.message(KEPT) {
            [] => name_in(self.lent_command()),
            name => name,
        }
    }

    /// The method that the client calls, after [`Event::Call`], [`Event::StreamLength`] or [`Event::DvrInfo`].
    pub fn call(&self) -> Option<Call<'_>> {
        let CommandMessage { name, transaction, .. } = CommandMessage::parse(self.lent_command()).ok()?;
        Some(Call { name: core::str::from_utf8(name).ok()?, transaction, arguments: self.arguments() })
    }

    /// Answers that method with `NetConnection.Call.Failed` and this description, if the client asked for an answer.
    pub fn refuse_call(&self, description: &str, tx: &mut TxBuf) -> Result<(), Full> {
        match self.call() {
            Some(Call { transaction, .. }) if transaction != 0.0 => {
                Status::new(Code::CallFailed, "").described(description).send_error(transaction, tx)
            }
            _ => Ok(()),
        }
    }

    /// Does with that method what is done for applications without code of their own, which may be a request.
    pub fn answer_built_in(&mut self, tx: &mut TxBuf) -> Result<Option<Event<'static>>, SessionError> {
        let Some(lane) = self.lent else { return Ok(None) };
        let stream_id = self.reader.message(lane).stream_id;
        let body = command_body(&self.reader, &self.assembly, lane);
        let Ok(message) = CommandMessage::parse(body) else { return Ok(None) };
        let event = self.state.command(message, stream_id, tx)?;
        if self.state.request.is_some() {
            self.keep_name(lane);
        }
        if let Some(Event::Closed(stream)) = event {
            self.give_up_media(stream);
        }
        Ok(event.or(self.state.request.as_ref().map(|_| Event::Request)))
    }

    /// Sends the client a command with `arguments`, encoded AMF0 values: a call of a method of its own, of which transaction
    /// 0 asks for no answer, or a `_result`.
    pub fn command(&self, name: &str, transaction: f64, arguments: &[u8], tx: &mut TxBuf) -> Result<(), Full> {
        tx.command(0, name, transaction, |amf| {
            amf.null()?;
            amf.encoded(arguments)
        })
    }

    /// The application has code of its own: commands are offered to it ([`Event::Call`]), and it says itself when
    /// bandwidth is known. To be told before `connect` is decided.
    pub fn set_scripted(&mut self) {
        self.state.scripted = true;
    }

    /// Whether players may take pictures of audio and of video, as `|RtmpSampleAccess` tells them from now on.
    pub fn set_sample_access(&mut self, audio: bool, video: bool) {
        self.state.sample_access = (audio, video);
    }

    /// The time that the last ping and its answer took, in milliseconds.
    pub fn round_trip_ms(&self) -> Option<u32> {
        self.round_trip_ms
    }

    /// Tells the client that its bandwidth is not measured: `onBWDone` without arguments.
    pub fn bandwidth_done(&self, tx: &mut TxBuf) -> Result<(), Full> {
        on_bw_done(tx)
    }

    /// Answers the call of an [`Event::StreamLength`]: 0 is not known.
    pub fn tell_length(&self, transaction: f64, seconds: f64, tx: &mut TxBuf) -> Result<(), Full> {
        tell_length(transaction, seconds, tx)
    }

    /// Answers the call of an [`Event::DvrInfo`], of what the client calls `name`.
    pub fn tell_dvr_info(&self, transaction: f64, name: &str, info: DvrInfo, tx: &mut TxBuf) -> Result<(), Full> {
        tell_dvr_info(transaction, name, info, tx)
    }

    /// Answers the present request. Does nothing when there is none.
    pub fn decide(&mut self, decision: Decision<'_>, tx: &mut TxBuf) -> Result<(), Full> {
        self.state.decide(decision, tx)
    }

    /// The server ended what the net stream plays. It may be used again.
    pub fn stop_playing(&mut self, stream: NetStreamId) {
        self.state.stop_playing(stream);
    }

    /// How much of what the net stream plays the client wants to hold, in milliseconds; 0 when it has not said.
    pub fn buffer_ms(&self, stream: NetStreamId) -> u32 {
        self.state.buffer_ms(stream)
    }

    /// Tells a player of a recorded stream what becomes of that, in the words for it.
    pub fn tell_recorded(&self, stream: NetStreamId, what: Told<'_>, tx: &mut TxBuf) -> Result<(), Full> {
        recorded::tell(stream, what, self.state.sample_access, tx)
    }

    /// Sends a status event on a net stream, or on the connection.
    pub fn status(&self, stream: Option<NetStreamId>, status: Status<'_>, tx: &mut TxBuf) -> Result<(), Full> {
        status.send(stream.map_or(0, NetStreamId::wire), tx)
    }

    /// Asks the client to answer, as a sign of life. While it has not answered, it is not asked again: however often others
    /// want to know, it costs the client's buffer one message.
    pub fn ping(&mut self, now: Millis, tx: &mut TxBuf) -> Result<(), Full> {
        if !self.pinged {
            tx.user_control(UserControl::PingRequest(now.0 as u32))?;
            self.pinged = true;
        }
        Ok(())
    }

    /// Says `close`: OBS and librtmp hang up at once. Everything that still comes is thrown away.
    pub fn close(&mut self, tx: &mut TxBuf) -> Result<(), Full> {
        let was_open = mem::replace(&mut self.phase, Phase::Closed) == Phase::Open;
        self.state.request = None;
        if !was_open {
            return Ok(());
        }
        tx.command(0, "close", 0.0, |amf| amf.null())
    }

    /// Half the window: asked for or not, it does no harm, and some encoders stall without. Of a tiny window enough that
    /// acknowledgements, 16 bytes each, do not call for more of themselves.
    fn acknowledge_every(&self) -> u32 {
        (self.window / 2).max(SHORTEST_WINDOW_BYTES / 2)
    }

    /// Bytes to take until an acknowledgement is due; it is sent before more are taken. One that there is no room for does
    /// not keep the rest from being taken at once.
    fn acknowledge_in(&self) -> usize {
        if self.phase == Phase::Closed {
            return usize::MAX;
        }
        let (since, every) = (self.received.wrapping_sub(self.acknowledged), self.acknowledge_every());
        if since < every { (every - since) as usize } else { every as usize }
    }

    fn step<'i>(
        &mut self,
        input: &mut &'i [u8],
        tx: &mut TxBuf,
        now: Millis,
    ) -> Result<Option<Event<'i>>, SessionError> {
        match self.state.request {
            Some(Request::Connect) => return Ok(None),
            Some(Request::Publish { .. } | Request::Play { .. }) => {}
            None => self.assembly.remove(KEPT),
        }
        if let Some(lane) = self.lent.take() {
            self.forget_message(lane);
        }
        loop {
            match self.phase {
                Phase::Open => return self.open(input, tx),
                Phase::Closed => *input = &[],
                Phase::Version | Phase::C1(_) | Phase::C2(_) if !input.is_empty() => self.handshake(input, tx, now)?,
                Phase::Version | Phase::C1(_) | Phase::C2(_) => {}
            }
            if input.is_empty() {
                return Ok(None);
            }
        }
    }

    fn handshake(&mut self, input: &mut &[u8], tx: &mut TxBuf, now: Millis) -> Result<(), SessionError> {
        match self.phase {
            Phase::Version => {
                let kind = handshake::first_byte(take(input, 1)[0]);
                if kind != FirstByte::Rtmp {
                    return Err(SessionError::NotRtmp(kind));
                }
                self.phase = Phase::C1(0);
            }
            Phase::C1(filled) => {
                let filled = usize::from(filled);
                let taken = take(input, HANDSHAKE_BYTES - filled);
                self.assembly.scratch()[filled..filled + taken.len()].copy_from_slice(taken);
                let filled = filled + taken.len();
                self.phase = Phase::C1(filled as u16);
                if filled < HANDSHAKE_BYTES {
                    return Ok(());
                }
                let mut c1 = [0; HANDSHAKE_BYTES];
                c1.copy_from_slice(&self.assembly.scratch()[..HANDSHAKE_BYTES]);
                let mut seed = self.seed;
                tx.write_with(|free| {
                    let out = free.first_chunk_mut()?;
                    handshake::respond(&c1, now.0 as u32, &mut |bytes| fill_random(&mut seed, bytes), out);
                    Some(out.len())
                })?;
                self.phase = Phase::C2(HANDSHAKE_BYTES as u16);
            }
            Phase::C2(left) => {
                let left = left - take(input, usize::from(left)).len() as u16;
                self.phase = if left == 0 { Phase::Open } else { Phase::C2(left) };
            }
            Phase::Open | Phase::Closed => {}
        }
        Ok(())
    }

    fn open<'i>(&mut self, input: &mut &'i [u8], tx: &mut TxBuf) -> Result<Option<Event<'i>>, SessionError> {
        loop {
            if let Some(lane) = self.aggregate.as_mut().and_then(Aggregate::take_end) {
                if let Some(event) = self.part_end(lane) {
                    return Ok(Some(event));
                }
                continue;
            }
            if self.waits_for_room() && !self.may_answer(tx) {
                return Ok(None);
            }
            let (window, asks) = (self.window, self.state.request.is_some());
            let limit = self.aggregate.as_ref().map(|aggregate| (aggregate.lane(), aggregate.wants()));
            let Some(event) = self.reader.next(input, limit)? else { return Ok(None) };
            let event = match event {
                ChunkEvent::Begin { lane, header } => self.begin(lane, header)?,
                ChunkEvent::Payload { lane, bytes } => match self.sinks[usize::from(lane.0)] {
                    Sink::Skip => None,
                    Sink::Assemble => {
                        self.assembly.append(lane, &bytes);
                        None
                    }
                    Sink::Metadata => {
                        self.append_data(lane, &bytes);
                        None
                    }
                    Sink::Media(_) => Some(Event::MediaData(lane, bytes)),
                    Sink::Aggregate => self.part(lane, bytes),
                },
                ChunkEvent::End { lane } => match mem::replace(&mut self.sinks[usize::from(lane.0)], Sink::Skip) {
                    Sink::Skip => None,
                    Sink::Assemble => self.complete(lane, tx)?,
                    Sink::Metadata => self.data_complete(lane, self.reader.message(lane)),
                    Sink::Media(_) => Some(Event::MediaEnd(lane)),
                    // Cut short inside a tag: that one is lost.
                    Sink::Aggregate => self.abandon_aggregate(),
                },
                ChunkEvent::Abandoned { lane } => self.abandon(lane),
            };
            if event.is_some() || (self.state.request.is_some() && !asks) {
                return Ok(Some(event.unwrap_or(Event::Request)));
            }
            if self.window != window {
                // An acknowledgement may be due.
                return Ok(None);
            }
        }
    }

    /// Decides where a message goes, from its header.
    fn begin(&mut self, lane: Lane, header: MessageHeader) -> Result<Option<Event<'static>>, SessionError> {
        let sink = &mut self.sinks[usize::from(lane.0)];
        *sink = Sink::Skip;
        match header.type_id {
            // One too long to be any is nothing we know.
            type_id::SET_CHUNK_SIZE..=type_id::SET_PEER_BANDWIDTH if header.length > CONTROL_BYTES => {}
            type_id::SET_CHUNK_SIZE..=type_id::SET_PEER_BANDWIDTH | type_id::COMMAND | type_id::COMMAND_AMF3 => {
                self.assembly
                    .begin(lane, header.length)
                    .map_err(|_| SessionError::LimitExceeded(Limit::CommandBytes))?;
                *sink = Sink::Assemble;
            }
            type_id::DATA | type_id::DATA_AMF3 => {
                let Some(stream) = self.state.publishing(header.stream_id) else { return Ok(None) };
                if self.assembly.begin(lane, header.length).is_ok() {
                    *sink = Sink::Assemble;
                } else if self.begin_long_data(lane, header) {
                    self.sinks[usize::from(lane.0)] = Sink::Metadata;
                } else {
                    return Ok(Some(Event::DataTooLong(stream, header.length)));
                }
            }
            type_id::AUDIO | type_id::VIDEO => {
                let Some(event) = self.state.media_begin(lane, header) else { return Ok(None) };
                if let Event::MediaBegin { stream, .. } = event {
                    *sink = Sink::Media(stream);
                }
                return Ok(Some(event));
            }
            type_id::AGGREGATE if self.aggregate.is_none() => {
                if let Some(stream) = self.state.publishing(header.stream_id) {
                    // All tags of one aggregate belong to one stream.
                    let header = MessageHeader { stream_id: stream.wire(), ..header };
                    self.aggregate = Some(Aggregate::new(lane, header));
                    *sink = Sink::Aggregate;
                }
            }
            // Shared objects, and unknown types.
            _ => {}
        }
        Ok(None)
    }

    fn abandon(&mut self, lane: Lane) -> Option<Event<'static>> {
        match mem::replace(&mut self.sinks[usize::from(lane.0)], Sink::Skip) {
            Sink::Skip => None,
            Sink::Assemble | Sink::Metadata => {
                self.forget_message(lane);
                None
            }
            Sink::Media(_) => Some(Event::MediaAbort(lane)),
            Sink::Aggregate => self.abandon_aggregate(),
        }
    }

    /// Bytes of an aggregate message, never more than its present part wants.
    fn part<'i>(&mut self, lane: Lane, bytes: Payload<'i>) -> Option<Event<'i>> {
        let aggregate = self.aggregate.as_mut()?;
        match aggregate.take(&bytes)? {
            SubTagPart::Begin(header) => match header.type_id {
                type_id::AUDIO | type_id::VIDEO => {
                    let event = self.state.media_begin(lane, header);
                    aggregate.wanted(event.is_some());
                    event
                }
                type_id::DATA | type_id::DATA_AMF3 => {
                    let fits = self.assembly.begin(lane, header.length).is_ok() || self.begin_long_data(lane, header);
                    if let Some(aggregate) = &mut self.aggregate {
                        aggregate.wanted(fits);
                    }
                    let stream = self.state.publishing(header.stream_id).filter(|_| !fits)?;
                    Some(Event::DataTooLong(stream, header.length))
                }
                _ => {
                    aggregate.wanted(false);
                    None
                }
            },
            SubTagPart::Body if aggregate.is_media() => Some(Event::MediaData(lane, bytes)),
            SubTagPart::Body => {
                self.append_data(lane, &bytes);
                None
            }
        }
    }

    fn part_end(&mut self, lane: Lane) -> Option<Event<'static>> {
        let aggregate = self.aggregate.as_ref()?;
        if aggregate.is_media() {
            return Some(Event::MediaEnd(lane));
        }
        let header = aggregate.part_header();
        self.data_complete(lane, header)
    }

    fn abandon_aggregate(&mut self) -> Option<Event<'static>> {
        let aggregate = self.aggregate.take()?;
        if !aggregate.is_inside() {
            return None;
        }
        if aggregate.is_media() {
            return Some(Event::MediaAbort(aggregate.lane()));
        }
        self.forget_message(aggregate.lane());
        None
    }

    /// A message in the assembly is complete.
    fn complete(&mut self, lane: Lane, tx: &mut TxBuf) -> Result<Option<Event<'static>>, SessionError> {
        let header = self.reader.message(lane);
        let event = match header.type_id {
            type_id::DATA | type_id::DATA_AMF3 => return Ok(self.data_complete(lane, header)),
            type_id::USER_CONTROL => {
                match UserControl::parse(self.assembly.message(lane)) {
                    Some(UserControl::PingRequest(stamp)) => {
                        tx.user_control(UserControl::PingResponse(stamp))?;
                        None
                    }
                    Some(UserControl::SetBufferLength { stream_id, buffer_ms }) => {
                        self.state.set_buffer(stream_id, buffer_ms).then_some(Event::BufferLength)
                    }
                    Some(UserControl::PingResponse(stamp)) => {
                        self.pinged = false;
                        // Some encoders answer with a stamp of their own.
                        let passed = (self.now.0 as u32).wrapping_sub(stamp);
                        self.round_trip_ms = Some(passed).filter(|&ms| ms < LONGEST_ROUND_TRIP_MS);
                        None
                    }
                    _ => None,
                }
            }
            type_id::COMMAND | type_id::COMMAND_AMF3 => {
                let body = command_body(&self.reader, &self.assembly, lane);
                let message =
                    CommandMessage::parse(body).map_err(|_| SessionError::PeerMisbehaved(Misbehaviour::Command))?;
                let event = match self.state.offered(&message, header.stream_id) {
                    Some(event) => Some(event),
                    None => self.state.command(message, header.stream_id, tx)?,
                };
                let is_read =
                    matches!(event, Some(Event::Call | Event::Answer(..) | Event::StreamLength | Event::DvrInfo));
                match self.state.request {
                    Some(Request::Publish { .. } | Request::Play { .. }) => {
                        self.keep_name(lane);
                        return Ok(event);
                    }
                    None if !is_read => {}
                    // The caller that decides or answers may read it.
                    Some(Request::Connect) | None => {
                        self.lent = Some(lane);
                        return Ok(event);
                    }
                }
                event
            }
            type_id => self.control(Control::parse(type_id, self.assembly.message(lane)), type_id, tx)?,
        };
        self.assembly.remove(lane);
        if let Some(Event::Closed(stream)) = event {
            self.give_up_media(stream);
        }
        Ok(event)
    }

    /// There is room for the answer to the message that is complete, and it may be answered now.
    fn may_answer(&self, tx: &TxBuf) -> bool {
        match self.state.request {
            None => tx.room() >= REPLY_BYTES,
            // The request is answered first.
            Some(_) => !self.command_is_due() && tx.room() >= REPLY_BYTES + PASSING_BYTES,
        }
    }

    fn command_is_due(&self) -> bool {
        let due = self.reader.end_is_due().map(|lane| self.reader.message(lane).type_id);
        matches!(due, Some(type_id::COMMAND | type_id::COMMAND_AMF3))
    }

    /// Of the request's message nothing is needed any more but its stream's name: the next may come.
    fn keep_name(&mut self, lane: Lane) {
        let body = self.assembly.message(lane);
        let name = name_in(command_body(&self.reader, &self.assembly, lane));
        let range = match name {
            [] => 0..0,
            name => {
                let start = name.as_ptr() as usize - body.as_ptr() as usize;
                start..start + name.len()
            }
        };
        self.assembly.remove(KEPT);
        self.assembly.keep(lane, range, KEPT);
        self.lent = None;
    }

    /// The command that is lent to the caller.
    fn lent_command(&self) -> &[u8] {
        self.lent.map_or(&[], |lane| command_body(&self.reader, &self.assembly, lane))
    }

    fn control(
        &mut self,
        control: Option<Control>,
        type_id: u8,
        tx: &mut TxBuf,
    ) -> Result<Option<Event<'static>>, SessionError> {
        match control {
            Some(Control::SetChunkSize(bytes)) => self.reader.set_chunk_size(bytes),
            Some(Control::Abort(id)) => {
                if let Some(lane) = self.reader.abort(id) {
                    return Ok(self.abandon(lane));
                }
            }
            Some(Control::WindowAcknowledgementSize(0)) => {}
            Some(Control::WindowAcknowledgementSize(bytes)) => self.window = bytes,
            Some(Control::SetPeerBandwidth(bytes, limit)) => self.limit(bytes, limit, tx)?,
            Some(Control::Acknowledgement(_)) => {}
            None if type_id == type_id::SET_CHUNK_SIZE => {
                return Err(SessionError::PeerMisbehaved(Misbehaviour::ChunkSize));
            }
            None => {}
        }
        Ok(None)
    }

    /// Set Peer Bandwidth (section 5.4.5). We never wait for acknowledgements, so that all it changes is the window that
    /// we announce.
    fn limit(&mut self, bytes: u32, limit: BandwidthLimit, tx: &mut TxBuf) -> Result<(), Full> {
        let announced = &mut self.state.announced_window;
        let window = match limit {
            BandwidthLimit::Hard => bytes,
            BandwidthLimit::Soft => bytes.min(*announced),
            BandwidthLimit::Dynamic if self.hard_limit => bytes,
            BandwidthLimit::Dynamic => return Ok(()),
        };
        self.hard_limit = limit != BandwidthLimit::Soft;
        if window == 0 || window == *announced {
            return Ok(());
        }
        *announced = window;
        tx.control(Control::WindowAcknowledgementSize(window))
    }

    fn data_complete(&mut self, lane: Lane, header: MessageHeader) -> Option<Event<'static>> {
        let Some(stream) = self.state.publishing(header.stream_id) else {
            self.forget_message(lane);
            return None;
        };
        if let Some((_, metadata)) = self.long_data.as_mut().filter(|(long, _)| *long == lane) {
            if matches!(metadata.head(), MetadataForm::Begun | MetadataForm::Other) {
                self.forget_message(lane);
                return Some(Event::DataTooLong(stream, header.length));
            }
            let length = metadata.end(self.assembly.reserved(lane));
            self.assembly.set_received(lane, length);
        }
        self.lent = Some(lane);
        Some(Event::Data(stream, header.timestamp))
    }

    /// A data message for which there is no room. What of it may be kept is known as it arrives; of one at a time.
    fn begin_long_data(&mut self, lane: Lane, header: MessageHeader) -> bool {
        if self.long_data.is_some() || self.assembly.begin_part_of(lane, HEADER_BYTES).is_err() {
            return false;
        }
        self.long_data = Some((lane, Metadata::new(header.type_id == type_id::DATA_AMF3)));
        true
    }

    fn append_data(&mut self, lane: Lane, bytes: &[u8]) {
        match self.long_data.as_mut().filter(|(long, _)| *long == lane) {
            Some((_, metadata)) => {
                metadata.take(bytes, self.assembly.reserved(lane));
                if metadata.head() == MetadataForm::Other {
                    // Commands need the room.
                    self.assembly.remove(lane);
                }
            }
            None => self.assembly.append(lane, bytes),
        }
    }

    fn forget_message(&mut self, lane: Lane) {
        self.assembly.remove(lane);
        self.long_data.take_if(|(long, _)| *long == lane);
    }

    fn data_type(&self, lane: Lane) -> u8 {
        match &self.aggregate {
            Some(aggregate) if aggregate.lane() == lane => aggregate.part_header().type_id,
            _ => self.reader.message(lane).type_id,
        }
    }

    fn give_up_media(&mut self, stream: NetStreamId) {
        for sink in &mut self.sinks {
            if *sink == Sink::Media(stream) {
                *sink = Sink::Skip;
            }
        }
        if let Some(aggregate) = &mut self.aggregate
            && aggregate.part_header().stream_id == stream.wire()
        {
            let (lane, has_data) = (aggregate.lane(), aggregate.is_inside() && !aggregate.is_media());
            aggregate.wanted(false);
            if has_data {
                self.forget_message(lane);
            }
        }
    }
}

/// The stream name in a command, as the client said it.
fn name_in(command: &[u8]) -> &[u8] {
    let name = match CommandMessage::parse(command).map(|message| message.command) {
        Ok(Command::Publish { name, .. } | Command::Play { name, .. }) => name,
        Ok(Command::Play2(Some(options))) => options.get("streamName").and_then(|value| value.as_bytes()),
        Ok(Command::GetStreamLength(name) | Command::DvrGetStreamInfo(name)) => Some(name),
        _ => None,
    };
    name.unwrap_or_default()
}

/// The body of a command, without the format byte of type 17.
fn command_body<'a>(reader: &ChunkReader, assembly: &'a Assembly, lane: Lane) -> &'a [u8] {
    let body = assembly.message(lane);
    match reader.message(lane).type_id {
        type_id::COMMAND_AMF3 => body.get(1..).unwrap_or_default(),
        _ => body,
    }
}

fn take<'i>(input: &mut &'i [u8], most: usize) -> &'i [u8] {
    let (taken, rest) = input.split_at(most.min(input.len()));
    *input = rest;
    taken
}

/// splitmix64: the handshake's random bytes are not a secret, they must only differ.
fn fill_random(seed: &mut u64, bytes: &mut [u8]) {
    for chunk in bytes.chunks_mut(8) {
        *seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = *seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        chunk.copy_from_slice(&(z ^ (z >> 31)).to_be_bytes()[..chunk.len()]);
    }
}

const _: () = assert!(ASSEMBLY_BYTES <= u16::MAX as usize, "the arena's places are 16-bit");
