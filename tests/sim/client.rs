//! A client on wire level: what it was sent, parsed with the crate's own reader, and what it sends.

use std::collections::VecDeque;
use std::net::SocketAddr;

use rill::rtmp::chunk_reader::{ChunkEvent, ChunkReader};
use rill::wire::amf0::{Decoder, Encoder, Value};
use rill::wire::bytes::Writer;
use rill::wire::chunk::MessageHeader;
use rill::wire::handshake;

use super::ledger::{Ledger, Watch};

/// S0, S1 and S2.
const HANDSHAKE: usize = 1 + 2 * 1536;

/// A line with a speed and a length.
#[derive(Default)]
pub struct Line {
    /// Each way. Its speed is the client's `rate`; the other way there is no limit.
    pub latency_ms: u64,
    /// Bytes under way, with the time of their arrival.
    pub down: VecDeque<(u64, Vec<u8>)>,
    pub up: VecDeque<(u64, Vec<u8>)>,
}

/// What a net stream does, by what the server said.
#[derive(Debug, Default)]
pub enum Doing {
    #[default]
    Nothing,
    Publishing(u32),
    Watching(Box<Watch>),
    /// What it was sent of a recorded stream: type, time and payload.
    Viewing(Vec<(u8, u32, Vec<u8>)>),
}

pub struct Client {
    pub address: SocketAddr,
    pub link: usize,
    /// Bytes to send before anything else is read.
    pub out: Vec<u8>,
    /// Chunk size it sends with.
    pub chunk_bytes: usize,
    pub answers_pings: bool,
    /// Bytes it reads in a millisecond; `None` reads all, `Some(0)` nothing.
    pub rate: Option<usize>,
    pub credit: usize,
    /// What it is connected by; `None` takes no time.
    pub line: Option<Line>,
    /// What it answers to `onBWCheck`; `None` is nothing.
    pub bandwidth_answer: Option<&'static str>,
    /// Of `onBWCheck` and `_onbwcheck` it answers only the second, or only the first.
    pub knows_underscored: Option<bool>,
    /// Kilobits a second and latency, as `onBWDone` told them.
    pub measured: Option<(f64, f64)>,
    /// Bytes that have arrived.
    pub received: usize,
    /// It was slow at some time.
    pub was_slow: bool,
    /// One line a message, oldest first.
    pub log: Vec<String>,
    /// Of the last status it was told.
    pub description: String,
    /// The string that the last call returned.
    pub result: String,
    /// Commands and data messages byte for byte, with type and message stream, if they are wanted.
    pub tape: Option<Vec<(u8, u32, Vec<u8>)>>,
    /// Audio and video messages byte for byte, with type and time, if they are wanted.
    pub reel: Option<Vec<(u8, u32, Vec<u8>)>>,
    /// It announces that it knows Enhanced RTMP.
    pub announces: bool,
    /// It announces that it follows a request to connect again.
    pub reconnects: bool,
    /// The server ended the connection.
    pub ended: bool,
    /// It ends its side then, too.
    pub hangs_up: bool,
    /// Net streams by message stream id.
    pub doing: Vec<Doing>,
    /// It was told that the stream is recorded that begins, by message stream id.
    pub is_recorded: Vec<bool>,
    /// Names it asked for and has no answer about, by message stream id.
    pub asked: Vec<VecDeque<String>>,
    /// What it watched when that ended before the answer to its next play, by message stream id.
    ended_before_answer: Vec<Option<Box<Watch>>>,
    /// It says so much nonsense that only the form of what it is told is looked at.
    pub lenient: bool,
    /// What stands before the names of its streams in their paths: the instance that it joined.
    pub instance: String,
    /// What its streams are called for everybody, if that is not what it says: it says a key.
    pub known_as: Option<String>,
    pub created: Vec<u32>,
    pub connected: bool,
    pub pings: u32,
    pub media_bytes: usize,
    reader: ChunkReader,
    handshake: Vec<u8>,
    open: Vec<Option<(MessageHeader, Vec<u8>)>>,
    transaction: f64,
}

impl Client {
    pub fn new(address: SocketAddr, link: usize) -> Client {
        Client {
            address,
            link,
            out: Vec::new(),
            chunk_bytes: 128,
            answers_pings: true,
            rate: None,
            credit: 0,
            line: None,
            bandwidth_answer: Some("_result"),
            knows_underscored: None,
            measured: None,
            received: 0,
            was_slow: false,
            log: Vec::new(),
            description: String::new(),
            result: String::new(),
            tape: None,
            reel: None,
            announces: false,
            reconnects: false,
            ended: false,
            hangs_up: true,
            doing: (0..16).map(|_| Doing::default()).collect(),
            is_recorded: vec![false; 16],
            asked: vec![VecDeque::new(); 16],
            ended_before_answer: (0..16).map(|_| None).collect(),
            lenient: false,
            instance: String::new(),
            known_as: None,
            created: Vec::new(),
            connected: false,
            pings: 0,
            media_bytes: 0,
            reader: ChunkReader::default(),
            handshake: Vec::new(),
            open: (0..64).map(|_| None).collect(),
            transaction: 0.0,
        }
    }

    /// C0, C1 and C2, whatever the server says.
    pub fn handshake(&mut self) {
        let mut c0c1 = [0; 1 + 1536];
        handshake::request_simple(0, &mut |bytes| bytes.fill(0x5C), &mut c0c1);
        self.out.extend(c0c1);
        self.out.extend([0x33; 1536]);
    }

    pub fn connect(&mut self, app: &str) {
        let instance = app.split_once('/').map_or("", |(_, instance)| instance);
        self.instance = if matches!(instance, "" | "_definst_") { String::new() } else { format!("{instance}/") };
        let app = app.to_string();
        let caps_ex = 14.0 * f64::from(self.announces) + f64::from(self.reconnects);
        self.command(0, "connect", |amf| {
            amf.object_begin().unwrap();
            amf.property_string("app", &app).unwrap();
            amf.property_string("flashVer", "simulation").unwrap();
            if caps_ex > 0.0 {
                amf.property_number("capsEx", caps_ex).unwrap();
            }
            amf.object_end().unwrap();
        });
    }

    pub fn create_stream(&mut self) {
        self.command(0, "createStream", |amf| amf.null().unwrap());
    }

    pub fn publish(&mut self, stream: u32, name: &str) {
        self.publish_as(stream, name, "live");
    }

    pub fn publish_as(&mut self, stream: u32, name: &str, kind: &str) {
        let path = self.path(name);
        self.asked[stream as usize].push_back(path);
        self.command(stream, "publish", |amf| {
            amf.null().unwrap();
            amf.string(name).unwrap();
            amf.string(kind).unwrap();
        });
    }

    /// What the ledger calls a stream of that name.
    fn path(&self, name: &str) -> String {
        match &self.known_as {
            Some(name) => name.clone(),
            None => format!("{}{name}", self.instance),
        }
    }

    /// What the server itself publishes, of which the ledger knows nothing.
    pub fn play_broadcast(&mut self, stream: u32, name: &str) {
        self.is_recorded[stream as usize] = true;
        self.play(stream, name);
    }

    pub fn play(&mut self, stream: u32, name: &str) {
        self.play_from(stream, name, -2000.0);
    }

    /// `start` as on the wire: milliseconds, -2000 for live else recorded.
    pub fn play_from(&mut self, stream: u32, name: &str, start: f64) {
        let path = self.path(name);
        self.asked[stream as usize].push_back(path);
        self.command(stream, "play", |amf| {
            amf.null().unwrap();
            amf.string(name).unwrap();
            amf.number(start).unwrap();
        });
    }

    /// The same, with how much of it, and whether what plays is replaced.
    pub fn play_part(&mut self, stream: u32, name: &str, start: f64, length: f64, reset: bool) {
        if reset {
            let path = self.path(name);
            self.asked[stream as usize].push_back(path);
        }
        self.command(stream, "play", |amf| {
            amf.null().unwrap();
            amf.string(name).unwrap();
            amf.number(start).unwrap();
            amf.number(length).unwrap();
            amf.boolean(reset).unwrap();
        });
    }

    pub fn seek(&mut self, stream: u32, ms: f64) {
        self.command(stream, "seek", |amf| {
            amf.null().unwrap();
            amf.number(ms).unwrap();
        });
    }

    pub fn pause(&mut self, stream: u32, paused: bool, ms: f64) {
        self.command(stream, "pause", |amf| {
            amf.null().unwrap();
            amf.boolean(paused).unwrap();
            amf.number(ms).unwrap();
        });
    }

    /// Its buffer, in milliseconds.
    pub fn buffer(&mut self, stream: u32, ms: u32) {
        self.message(2, 4, 0, 0, &[&[0, 3][..], &stream.to_be_bytes(), &ms.to_be_bytes()].concat());
    }

    pub fn play2(&mut self, stream: u32, name: &str) {
        let path = self.path(name);
        self.asked[stream as usize].push_back(path);
        self.command(stream, "play2", |amf| {
            amf.null().unwrap();
            amf.object_begin().unwrap();
            amf.property_string("streamName", name).unwrap();
            amf.property_string("transition", "switch").unwrap();
            amf.object_end().unwrap();
        });
    }

    /// [`Client::play2`] of a recorded stream, when another is played.
    pub fn play2_recorded(&mut self, stream: u32, name: &str) {
        self.is_recorded[stream as usize] = true;
        self.play2(stream, name);
    }

    pub fn flag(&mut self, stream: u32, name: &str, flag: bool) {
        self.command(stream, name, |amf| {
            amf.null().unwrap();
            amf.boolean(flag).unwrap();
        });
    }

    pub fn close_stream(&mut self, stream: u32) {
        self.command(stream, "closeStream", |amf| amf.null().unwrap());
    }

    pub fn delete_stream(&mut self, stream: u32) {
        self.command(0, "deleteStream", |amf| {
            amf.null().unwrap();
            amf.number(f64::from(stream)).unwrap();
        });
    }

    pub fn set_chunk_size(&mut self, bytes: usize) {
        self.message(2, 1, 0, 0, &(bytes as u32).to_be_bytes());
        self.chunk_bytes = bytes;
    }

    pub fn command(&mut self, stream: u32, name: &str, arguments: impl FnOnce(&mut Encoder<'_, '_>)) {
        self.transaction += 1.0;
        let mut buffer = [0; 1024];
        let mut out = Writer::new(&mut buffer);
        let mut amf = Encoder::new(&mut out);
        amf.string(name).unwrap();
        amf.number(self.transaction).unwrap();
        arguments(&mut amf);
        let length = out.len();
        self.message(3, 20, stream, 0, &buffer[..length]);
    }

    /// A whole message, in chunks.
    pub fn message(&mut self, chunk_stream: u8, type_id: u8, stream: u32, timestamp: u32, payload: &[u8]) {
        let chunks = chunks(chunk_stream, type_id, stream, timestamp, payload, self.chunk_bytes);
        for chunk in chunks {
            self.out.extend(chunk);
        }
    }

    /// Bytes from the server; what they mean goes to the log, and media to its watch.
    pub fn receive(&mut self, mut bytes: &[u8], ledger: &mut Ledger) {
        self.received += bytes.len();
        if self.handshake.len() < HANDSHAKE {
            let (taken, rest) = bytes.split_at(bytes.len().min(HANDSHAKE - self.handshake.len()));
            self.handshake.extend(taken);
            bytes = rest;
            assert!(self.handshake.first().is_none_or(|&s0| s0 == 3), "S0");
        }
        // Events borrow the input only, so that the reader's owner can be changed.
        while let Some(event) = self.reader.next(&mut bytes, None).expect("the server's chunks can be read") {
            match event {
                ChunkEvent::Begin { lane, header } => {
                    self.open[usize::from(lane.0)] = Some((header, Vec::new()));
                }
                ChunkEvent::Payload { lane, bytes } => {
                    self.open[usize::from(lane.0)].as_mut().unwrap().1.extend_from_slice(&bytes);
                }
                ChunkEvent::End { lane } => {
                    let (header, payload) = self.open[usize::from(lane.0)].take().unwrap();
                    assert_eq!(payload.len(), header.length as usize);
                    if header.type_id == 1 {
                        self.reader.set_chunk_size(u32::from_be_bytes(payload[..4].try_into().unwrap()));
                    }
                    self.complete(header, &payload, ledger);
                }
                ChunkEvent::Abandoned { .. } => panic!("the server began a message inside another one"),
            }
        }
    }

    /// No message is half received.
    pub fn is_between_messages(&self) -> bool {
        self.open.iter().all(Option::is_none)
    }

    fn complete(&mut self, header: MessageHeader, payload: &[u8], ledger: &mut Ledger) {
        let stream = header.stream_id as usize;
        if let Some(tape) = &mut self.tape
            && matches!(header.type_id, 18 | 20)
        {
            tape.push((header.type_id, header.stream_id, payload.to_vec()));
        }
        if let Some(reel) = &mut self.reel
            && matches!(header.type_id, 8 | 9)
        {
            reel.push((header.type_id, header.timestamp, payload.to_vec()));
        }
        if self.lenient {
            return;
        }
        match header.type_id {
            1 => self.log.push("chunk size".into()),
            3 => {}
            4 => self.user_control(payload),
            5 => self.log.push("window".into()),
            6 => self.log.push("bandwidth".into()),
            20 => self.answer(header.stream_id, payload, ledger),
            type_id @ (8 | 9 | 18) => {
                if type_id == 18
                    && let Some(text) = self.play_data(payload)
                {
                    return self.log.push(text);
                }
                self.media_bytes += payload.len();
                if let Doing::Viewing(frames) = &mut self.doing[stream] {
                    frames.push((type_id, header.timestamp, payload.to_vec()));
                    let what = match (type_id, payload) {
                        (18, _) => "metadata",
                        (8, [_, 0, ..]) => "audio header",
                        (8, _) => "audio",
                        (9, [_, 0, ..]) => "video header",
                        (9, [0x17, ..]) => "key",
                        _ => "inter",
                    };
                    return self.log.push(format!("{what} {}", header.timestamp));
                }
                let Doing::Watching(watch) = &mut self.doing[stream] else {
                    panic!("media on net stream {stream}, which does not play: {:?}", self.log);
                };
                let text = watch.receive(ledger, type_id, header.timestamp, payload);
                self.log.push(text);
            }
            other => panic!("message type {other}"),
        }
    }

    fn play_data(&mut self, payload: &[u8]) -> Option<String> {
        let mut values = Decoder::new(payload);
        match values.value().unwrap() {
            Value::String(b"|RtmpSampleAccess") => Some("sample access".into()),
            Value::String(b"onPlayStatus") => {
                let info = values.value().unwrap();
                Some(short(info.get("code").unwrap().as_str().unwrap()))
            }
            _ => None,
        }
    }

    fn user_control(&mut self, payload: &[u8]) {
        let word = u32::from_be_bytes(payload[2..6].try_into().unwrap());
        match payload[1] {
            0 => self.log.push(format!("begin {word}")),
            1 => self.log.push(format!("eof {word}")),
            4 => {
                self.log.push(format!("recorded {word}"));
                self.is_recorded[word as usize] = true;
            }
            31 => self.log.push(format!("full {word}")),
            32 => self.log.push(format!("more {word}")),
            6 => {
                self.pings += 1;
                if self.answers_pings {
                    let mut body = payload.to_vec();
                    body[1] = 7;
                    self.message(2, 4, 0, 0, &body);
                }
            }
            7 => self.log.push("pong".into()),
            other => panic!("user control {other}"),
        }
    }

    fn answer(&mut self, stream: u32, payload: &[u8], ledger: &mut Ledger) {
        let mut values = Decoder::new(payload);
        let name = values.value().unwrap().as_str().unwrap();
        let transaction = values.number().unwrap();
        if matches!(name, "onBWCheck" | "_onbwcheck") {
            return self.answer_check(name, transaction);
        }
        let first = values.value().unwrap();
        let second = if values.is_empty() { None } else { Some(values.value().unwrap()) };
        let code = [Some(first), second]
            .into_iter()
            .flatten()
            .find_map(|value| value.get("code").and_then(|code| code.as_str()));
        let described = [Some(first), second].into_iter().flatten().find_map(|value| value.get("description"));
        if let Some(text) = described.and_then(|text| text.as_str()) {
            self.description = text.to_owned();
        }
        let text = match (name, code) {
            ("onStatus", Some(code)) => format!("{stream}: {}", short(code)),
            (name, Some(code)) => format!("{name} {}", short(code)),
            ("_result", None) => {
                if let Some(Value::Number(id)) = second {
                    self.created.push(id as u32);
                    format!("created {id}")
                } else {
                    if let Some(Value::String(text)) = second {
                        self.result = String::from_utf8_lossy(text).into_owned();
                    }
                    "_result".into()
                }
            }
            (name, None) => name.to_string(),
        };
        if let ("onBWDone" | "_onbwdone", Some(Value::Number(kbit))) = (name, second) {
            let _kbit_sent = values.number().unwrap();
            let _seconds = values.number().unwrap();
            self.measured = Some((kbit, values.number().unwrap()));
            assert!(values.is_empty());
        }
        self.log.push(text);
        self.obey(stream, name, code.unwrap_or_default(), ledger);
    }

    fn answer_check(&mut self, name: &str, transaction: f64) {
        if self.log.last().is_none_or(|last| last != name) {
            self.log.push(name.into());
        }
        if self.knows_underscored.is_some_and(|knows| knows != name.starts_with('_')) {
            return;
        }
        let Some(answer) = self.bandwidth_answer else { return };
        let mut buffer = [0; 64];
        let mut out = Writer::new(&mut buffer);
        let mut amf = Encoder::new(&mut out);
        amf.string(answer).unwrap();
        amf.number(transaction).unwrap();
        amf.null().unwrap();
        amf.number(0.0).unwrap();
        let length = out.len();
        self.message(3, 20, 0, 0, &buffer[..length]);
    }

    /// What the server says about a net stream is what it does from now on.
    fn obey(&mut self, stream: u32, name: &str, code: &str, ledger: &mut Ledger) {
        let at = stream as usize;
        if code == "NetConnection.Connect.Success" {
            self.connected = true;
        }
        if name != "onStatus" || stream == 0 {
            return;
        }
        match code.trim_start_matches("NetStream.") {
            "Publish.Start" => {
                let asked = self.asked[at].pop_front().expect("a publish was asked for");
                let same = match self.doing[at] {
                    Doing::Publishing(publication) => ledger.of(publication).name == asked,
                    _ => false,
                };
                if !same {
                    self.doing[at] = Doing::Publishing(ledger.begin(&asked));
                }
            }
            "Unpublish.Success" => {
                if let Doing::Publishing(publication) = std::mem::take(&mut self.doing[at]) {
                    ledger.of(publication).ended = true;
                }
            }
            // It goes on after a seek or a pause, or with the next of a playlist.
            "Play.Start" if matches!(self.doing[at], Doing::Viewing(_)) && self.asked[at].is_empty() => {
                self.is_recorded[at] = false;
            }
            "Play.Start" if self.is_recorded[at] => {
                self.asked[at].pop_front();
                self.is_recorded[at] = false;
                self.doing[at] = Doing::Viewing(Vec::new());
            }
            // As what is played, what goes on in its place is recorded.
            "Play.Transition" if self.is_recorded[at] => {
                self.asked[at].pop_front();
                self.is_recorded[at] = false;
            }
            "Play.Start" | "Play.Transition" => {
                let asked = self.asked[at].pop_front().expect("a play was asked for");
                let mut watch = Watch::new(&asked, self.was_slow);
                let ended = self.ended_before_answer[at].take();
                let before = match &self.doing[at] {
                    Doing::Watching(before) => Some(before),
                    _ => ended.as_ref(),
                };
                if let Some(before) = before {
                    // What it said since it asked counts for the new one, which it is told of only now.
                    watch.audio_optional = before.audio_optional;
                    watch.video_optional = before.video_optional;
                }
                self.doing[at] = Doing::Watching(Box::new(watch));
            }
            "Play.Stop" if matches!(self.doing[at], Doing::Viewing(_)) => {}
            "Publish.BadName"
            | "Record.NoAccess"
            | "Play.Failed"
            | "Play.StreamNotFound"
            | "Play.FileStructureInvalid"
            | "Play.NoSupportedTrackFound"
            | "Failed" => {
                self.asked[at].pop_front();
            }
            "Play.Stop" => {
                if let Doing::Watching(before) = std::mem::take(&mut self.doing[at]) {
                    self.ended_before_answer[at] = Some(before);
                }
            }
            "Seek.Notify" => {
                if let Doing::Watching(watch) = &mut self.doing[at] {
                    watch.seeks();
                }
            }
            "Play.UnpublishNotify" => {
                if let Doing::Watching(watch) = &self.doing[at] {
                    watch.check_ended(ledger);
                }
            }
            _ => {}
        }
        if self.asked[at].is_empty() {
            self.ended_before_answer[at] = None;
        }
    }

    /// What it was sent of a recorded stream since this was asked last.
    pub fn viewed(&mut self, stream: u32) -> Vec<(u8, u32, Vec<u8>)> {
        match &mut self.doing[stream as usize] {
            Doing::Viewing(frames) => core::mem::take(frames),
            other => panic!("net stream {stream} plays nothing recorded: {other:?}"),
        }
    }

    pub fn watch(&mut self, stream: u32) -> &mut Watch {
        match &mut self.doing[stream as usize] {
            Doing::Watching(watch) => watch,
            other => panic!("net stream {stream} does not play: {other:?}"),
        }
    }

    pub fn publication(&self, stream: u32) -> Option<u32> {
        match self.doing[stream as usize] {
            Doing::Publishing(publication) => Some(publication),
            _ => None,
        }
    }
}

fn short(code: &str) -> String {
    code.trim_start_matches("NetStream.").trim_start_matches("NetConnection.").to_string()
}

/// A message as chunks: a type-0 header, then type-3 headers.
pub fn chunks(
    chunk_stream: u8,
    type_id: u8,
    stream: u32,
    timestamp: u32,
    payload: &[u8],
    chunk_bytes: usize,
) -> Vec<Vec<u8>> {
    let header = MessageHeader { timestamp, length: payload.len() as u32, type_id, stream_id: stream };
    let mut first = vec![0; 18];
    let n = header.emit_type0(chunk_stream, &mut first);
    first.truncate(n);
    let mut out = Vec::new();
    let mut parts = payload.chunks(chunk_bytes);
    first.extend(parts.next().unwrap_or_default());
    out.push(first);
    for part in parts {
        let mut chunk = vec![0xC0 | chunk_stream];
        if timestamp >= 0xFF_FFFF {
            chunk.extend(timestamp.to_be_bytes());
        }
        chunk.extend(part);
        out.push(chunk);
    }
    out
}
