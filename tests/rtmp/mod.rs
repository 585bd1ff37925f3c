//! Builders of RTMP bytes, and a peer that drives a session: written from the specification, not with the code they test.

#![allow(dead_code, reason = "every test that includes this uses its own part")]

use rill::limits::TX_BYTES;
use rill::rtmp::data::{DATA_BYTES, DataAction};
use rill::rtmp::dvr::DvrInfo;
use rill::rtmp::event::{
    Decision, Event, MediaKind, NetStreamId, PlayHow, PlayLength, PlayStart, PublishMode, Request, SessionError,
};
use rill::rtmp::recorded::Told;
use rill::rtmp::session::Session;
use rill::rtmp::status::Status;
use rill::rtmp::tx::TxBuf;
use rill::time::Millis;

/// Owned bytes.
pub type Bytes = Vec<u8>;

pub fn null() -> Bytes {
    vec![5]
}

pub fn undefined() -> Bytes {
    vec![6]
}

pub fn number(value: f64) -> Bytes {
    [&[0], value.to_be_bytes().as_slice()].concat()
}

pub fn boolean(value: bool) -> Bytes {
    vec![1, value.into()]
}

pub fn key(text: &str) -> Bytes {
    [&(text.len() as u16).to_be_bytes(), text.as_bytes()].concat()
}

pub fn string(text: &str) -> Bytes {
    [&[2], key(text).as_slice()].concat()
}

pub fn properties(of: &[(&str, Bytes)]) -> Bytes {
    let mut out: Bytes = of.iter().flat_map(|(name, value)| [key(name), value.clone()].concat()).collect();
    out.extend([0, 0, 9]);
    out
}

pub fn object(of: &[(&str, Bytes)]) -> Bytes {
    [&[3], properties(of).as_slice()].concat()
}

pub fn ecma_array(of: &[(&str, Bytes)]) -> Bytes {
    [&[8], (of.len() as u32).to_be_bytes().as_slice(), &properties(of)].concat()
}

pub fn strict_array(of: &[Bytes]) -> Bytes {
    [&[10], (of.len() as u32).to_be_bytes().as_slice(), &of.concat()].concat()
}

/// An anonymous dynamic object in AMF 3, behind its marker 0x11; short strings only.
pub fn amf3_object(of: &[(&str, &str)]) -> Bytes {
    let text = |text: &str| match text.len() << 1 | 1 {
        header @ 0..0x80 => [&[header as u8], text.as_bytes()].concat(),
        header => [&[(header >> 7) as u8 | 0x80, header as u8 & 0x7F], text.as_bytes()].concat(),
    };
    let mut out = vec![0x11, 0x0A, 0x0B, 0x01];
    for (name, value) in of {
        out.extend(text(name));
        out.push(6);
        out.extend(text(value));
    }
    out.push(1);
    out
}

/// One message in chunks of `chunk_bytes`, the first of type 0, with the extended timestamp repeated in the others.
pub fn chunked(chunk_bytes: usize, chunk_stream: u8, time: u32, type_id: u8, stream: u32, body: &[u8]) -> Vec<Bytes> {
    let mut first = vec![chunk_stream];
    first.extend(&time.min(0xFF_FFFF).to_be_bytes()[1..]);
    first.extend(&(body.len() as u32).to_be_bytes()[1..]);
    first.push(type_id);
    first.extend(stream.to_le_bytes());
    let extended = if time >= 0xFF_FFFF { time.to_be_bytes().to_vec() } else { Vec::new() };
    first.extend(&extended);
    let mut chunks: Vec<Bytes> =
        body.chunks(chunk_bytes).map(|part| [[0xC0 | chunk_stream].as_slice(), &extended, part].concat()).collect();
    match chunks.first_mut() {
        Some(chunk) => *chunk = [&first, &chunk[1 + extended.len()..]].concat(),
        None => chunks.push(first),
    }
    chunks
}

/// One message in chunks of 128 bytes.
pub fn message(chunk_stream: u8, time: u32, type_id: u8, stream: u32, body: &[u8]) -> Bytes {
    chunked(128, chunk_stream, time, type_id, stream, body).concat()
}

/// A protocol-control or user-control message where they belong: chunk stream 2, message stream 0.
pub fn control(type_id: u8, body: &[u8]) -> Bytes {
    message(2, 0, type_id, 0, body)
}

pub fn user_control(event: u16, body: &[u8]) -> Bytes {
    control(4, &[&event.to_be_bytes(), body].concat())
}

pub fn command_body(name: &str, transaction: f64, values: &[Bytes]) -> Bytes {
    [string(name), number(transaction), values.concat()].concat()
}

/// A command on a message stream, in AMF 0.
pub fn call(stream: u32, name: &str, transaction: f64, values: &[Bytes]) -> Bytes {
    message(3, 0, 20, stream, &command_body(name, transaction, values))
}

pub fn connect(transaction: f64, of: &[(&str, Bytes)]) -> Bytes {
    call(0, "connect", transaction, &[object(of)])
}

pub fn publish(stream: u32, name: &str) -> Bytes {
    call(stream, "publish", 0.0, &[null(), string(name), string("live")])
}

pub fn play(stream: u32, name: &str) -> Bytes {
    call(stream, "play", 0.0, &[null(), string(name)])
}

/// One FLV tag of an aggregate message, with its back pointer.
pub fn tag(type_id: u8, time: u32, body: &[u8]) -> Bytes {
    let mut out = vec![type_id];
    out.extend(&(body.len() as u32).to_be_bytes()[1..]);
    out.extend(&time.to_be_bytes()[1..]);
    out.push((time >> 24) as u8);
    out.extend([0; 3]);
    out.extend(body);
    out.extend((body.len() as u32 + 11).to_be_bytes());
    out
}

/// A message the session sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub chunk_stream: u8,
    pub type_id: u8,
    pub stream: u32,
    pub body: Bytes,
}

impl Reply {
    pub fn control(type_id: u8, body: &[u8]) -> Reply {
        Reply { chunk_stream: 2, type_id, stream: 0, body: body.to_vec() }
    }

    pub fn begin(stream: u8) -> Reply {
        Reply::control(4, &[0, 0, 0, 0, 0, stream])
    }

    pub fn command(stream: u32, name: &str, transaction: f64, values: &[Bytes]) -> Reply {
        let chunk_stream = if stream == 0 { 3 } else { 5 };
        Reply { chunk_stream, type_id: 20, stream, body: command_body(name, transaction, values) }
    }

    /// `_result` with a null for the command object.
    pub fn result(transaction: f64, value: Bytes) -> Reply {
        Reply::command(0, "_result", transaction, &[null(), value])
    }

    pub fn error(transaction: f64, code: &str, description: &str) -> Reply {
        Reply::command(0, "_error", transaction, &[null(), info("error", code, description, "")])
    }

    pub fn status(stream: u32, level: &str, code: &str, description: &str, details: &str) -> Reply {
        Reply::command(stream, "onStatus", 0.0, &[null(), info(level, code, description, details)])
    }

    pub fn sample_access(stream: u32) -> Reply {
        let body = [string("|RtmpSampleAccess"), boolean(true), boolean(true)].concat();
        Reply { chunk_stream: 5, type_id: 18, stream, body }
    }

    /// The name of the command or data handler.
    pub fn name(&self) -> &str {
        let length = usize::from(u16::from_be_bytes([self.body[1], self.body[2]]));
        std::str::from_utf8(&self.body[3..3 + length]).unwrap()
    }
}

/// An information object: level, code, description, and details if there are any.
pub fn info(level: &str, code: &str, description: &str, details: &str) -> Bytes {
    let mut of = vec![("level", string(level)), ("code", string(code)), ("description", string(description))];
    if !details.is_empty() {
        of.push(("details", string(details)));
    }
    object(&of)
}

/// Takes what a session sent apart, from its first message on.
pub fn replies(bytes: &[u8]) -> Vec<Reply> {
    replies_in(bytes, &mut 128)
}

/// Takes what a session sent apart, as a client would: everything is one type-0 chunk at time 0, and no longer than the
/// chunk size that was announced before it.
pub fn replies_in(mut bytes: &[u8], chunk_bytes: &mut usize) -> Vec<Reply> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let (header, rest) = bytes.split_at(12);
        assert!((2..64).contains(&header[0]), "type 0, one-byte basic header");
        assert_eq!(header[1..4], [0; 3], "replies have no time");
        let length = u32::from_be_bytes([0, header[4], header[5], header[6]]) as usize;
        assert!(length <= *chunk_bytes, "{length} bytes in a chunk of at most {chunk_bytes}");
        let stream = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
        let (body, rest) = rest.split_at(length);
        if header[7] == 1 {
            *chunk_bytes = u32::from_be_bytes([body[0], body[1], body[2], body[3]]) as usize;
        }
        found.push(Reply { chunk_stream: header[0], type_id: header[7], stream, body: body.to_vec() });
        bytes = rest;
    }
    found
}

/// An event, owned. Payload stands with the end of its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    Connect,
    Publish {
        stream: u32,
        name: String,
        mode: PublishMode,
    },
    Play {
        stream: u32,
        name: String,
        start: PlayStart,
        length: PlayLength,
        how: PlayHow,
    },
    Closed(u32),
    Pause(u32, Option<bool>, u32),
    Seek(u32, u32),
    BufferLength,
    /// A method for the application's code, with its arguments.
    Call(String, Bytes),
    /// An answer to a call of ours, with its arguments.
    Answer(u32, bool, Bytes),
    CheckBandwidth,
    ReceiveAudio(u32, bool),
    ReceiveVideo(u32, bool),
    DataTooLong {
        stream: u32,
        length: u32,
    },
    Data {
        stream: u32,
        time: u32,
        message: Option<(String, DataAction, Bytes)>,
    },
    Begin {
        lane: u8,
        stream: u32,
        kind: MediaKind,
        time: u32,
        length: u32,
    },
    End {
        lane: u8,
        payload: Bytes,
    },
    Abort {
        lane: u8,
        payload: Bytes,
    },
}

struct Open {
    lane: u8,
    stream: u32,
    length: u32,
    payload: Bytes,
}

/// The other side of a session, and the server above it: decides requests at once, takes replies away, checks what must
/// hold for every session.
pub struct Peer {
    pub session: Session,
    pub tx: TxBuf,
    pub seen: Vec<Seen>,
    pub sent: Bytes,
    pub refuse: Option<Status<'static>>,
    /// What the application's method `mine` answers.
    pub method: Option<&'static [u8]>,
    /// What it plays is recorded.
    pub recorded: bool,
    /// Replies are taken only when the session cannot go on without, and only so many bytes at a time.
    pub takes: Option<usize>,
    pub now: Millis,
    open: Vec<Open>,
    /// Chunk size of the session's replies.
    chunk_bytes: usize,
}

impl Peer {
    pub fn new() -> Peer {
        Peer {
            session: Session::new(1),
            tx: TxBuf::default(),
            seen: Vec::new(),
            sent: Bytes::new(),
            refuse: None,
            method: None,
            recorded: false,
            takes: None,
            now: Millis(0),
            open: Vec::new(),
            chunk_bytes: 128,
        }
    }

    /// Behind a simple handshake, whose answer is taken.
    pub fn open() -> Peer {
        let mut peer = Peer::new();
        peer.feed(&handshake()).unwrap();
        assert!(peer.session.is_open());
        peer.sent.clear();
        peer
    }

    /// Connected to `live`.
    pub fn connected() -> Peer {
        let mut peer = Peer::open();
        peer.feed(&connect(1.0, &[("app", string("live"))])).unwrap();
        assert!(peer.session.is_connected());
        peer.forget();
        peer
    }

    /// Publishes `cam` on net stream 1.
    pub fn publishing() -> Peer {
        let mut peer = Peer::connected();
        peer.feed(&[call(0, "createStream", 2.0, &[null()]), publish(1, "cam")].concat()).unwrap();
        assert_eq!(peer.seen.len(), 1);
        peer.forget();
        peer
    }

    /// Plays the recording `film.mp4` on net stream 1.
    pub fn playing_recorded() -> Peer {
        let mut peer = Peer::connected();
        peer.recorded = true;
        peer.feed(&[call(0, "createStream", 2.0, &[null()]), play(1, "film.mp4")].concat()).unwrap();
        assert_eq!(peer.seen.len(), 1);
        peer.forget();
        peer
    }

    /// Plays `cam` on net stream 1.
    pub fn playing() -> Peer {
        let mut peer = Peer::connected();
        peer.feed(&[call(0, "createStream", 2.0, &[null()]), play(1, "cam")].concat()).unwrap();
        assert_eq!(peer.seen.len(), 1);
        peer.forget();
        peer
    }

    /// What it tells its client of the recording that it plays.
    pub fn told(&mut self, what: Told<'_>) -> Vec<Reply> {
        self.session.tell_recorded(NetStreamId::from_index(0), what, &mut self.tx).unwrap();
        self.drain();
        self.taken()
    }

    fn forget(&mut self) {
        self.seen.clear();
        self.taken();
    }

    /// What it sent since the last call.
    pub fn taken(&mut self) -> Vec<Reply> {
        replies_in(&std::mem::take(&mut self.sent), &mut self.chunk_bytes)
    }

    /// Feeds bytes and gives what came of them.
    pub fn answer(&mut self, bytes: &[u8]) -> (Vec<Seen>, Vec<Reply>) {
        self.feed(bytes).unwrap();
        (std::mem::take(&mut self.seen), self.taken())
    }

    /// As [`Peer::answer`], where no event is expected.
    pub fn replies(&mut self, bytes: &[u8]) -> Vec<Reply> {
        let (seen, replies) = self.answer(bytes);
        assert_eq!(seen, []);
        replies
    }

    /// As [`Peer::answer`], where no reply is expected.
    pub fn seen(&mut self, bytes: &[u8]) -> Vec<Seen> {
        let (seen, replies) = self.answer(bytes);
        assert_eq!(replies, []);
        seen
    }

    /// Whether bytes are passed over in silence.
    pub fn ignores(&mut self, bytes: &[u8]) -> bool {
        self.answer(bytes) == (vec![], vec![])
    }

    /// Takes the waiting replies away.
    pub fn drain(&mut self) {
        self.take(usize::MAX);
    }

    fn take(&mut self, most: usize) {
        let pending = self.tx.pending();
        let taken = &pending[..pending.len().min(most)];
        self.sent.extend_from_slice(taken);
        self.tx.consume(taken.len());
    }

    pub fn feed(&mut self, mut input: &[u8]) -> Result<(), SessionError> {
        let mut idle = 0;
        loop {
            let before = input.len();
            let event = self.session.next(&mut input, &mut self.tx, self.now);
            assert!(self.tx.pending().len() <= TX_BYTES);
            let nothing = matches!(event, Ok(None));
            match event {
                Ok(Some(event)) => {
                    let called = event == Event::Call;
                    self.answer_at_once(&event);
                    note(event, &self.session, &mut self.seen, &mut self.open);
                    if called {
                        self.answer_call();
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    self.drain();
                    return Err(error);
                }
            }
            self.decide();
            match self.takes {
                None => self.drain(),
                Some(most) if nothing && (!input.is_empty() || self.session.waits_for_room()) => self.take(most),
                Some(_) => {}
            }
            if nothing && input.is_empty() && !self.session.waits_for_room() {
                return Ok(());
            }
            // A call without event must have taken something, or there was no room for replies.
            idle = if nothing && before == input.len() { idle + 1 } else { 0 };
            assert!(idle <= 2 + TX_BYTES, "the session neither reads nor asks");
        }
    }

    /// Methods called `mine` are the application's own.
    fn answer_call(&mut self) {
        if self.session.call().is_some_and(|call| call.name == "mine") {
            let transaction = self.session.call().unwrap().transaction;
            match self.method {
                Some(value) if transaction != 0.0 => {
                    self.session.command("_result", transaction, value, &mut self.tx).unwrap()
                }
                Some(_) => {}
                None => self.session.refuse_call("No.", &mut self.tx).unwrap(),
            }
        } else if let Some(event) = self.session.answer_built_in(&mut self.tx).unwrap() {
            self.answer_at_once(&event);
            note(event, &self.session, &mut self.seen, &mut self.open);
        }
    }

    /// Recordings whose name ends in a digit last so many seconds and a half.
    fn answer_at_once(&mut self, event: &Event<'_>) {
        let digit = self.session.said_name().last().filter(|last| last.is_ascii_digit());
        let ms = digit.map(|digit| u64::from(digit - b'0') * 1000 + 500);
        let transaction = self.session.call().map_or(0.0, |call| call.transaction);
        match event {
            Event::StreamLength => {
                let seconds = ms.map_or(0.0, |ms| ms as f64 / 1000.0);
                self.session.tell_length(transaction, seconds, &mut self.tx).unwrap();
            }
            Event::DvrInfo => {
                let name = String::from_utf8(self.session.said_name().to_vec()).unwrap();
                let info = ms.map_or(DvrInfo::Failed, |ms| DvrInfo::Success { ms, is_recording: true });
                self.session.tell_dvr_info(transaction, &name, info, &mut self.tx).unwrap();
            }
            _ => {}
        }
    }

    fn decide(&mut self) {
        let Some(request) = self.session.request() else { return };
        self.seen.push(match request {
            Request::Connect => Seen::Connect,
            Request::Publish { stream, name, mode } => {
                Seen::Publish { stream: stream.wire(), name: name.name.to_string(), mode: *mode }
            }
            Request::Play { stream, name, start, length, how } => Seen::Play {
                stream: stream.wire(),
                name: name.name.to_string(),
                start: *start,
                length: *length,
                how: *how,
            },
        });
        let accept = match (&self.seen[self.seen.len() - 1], self.recorded) {
            (Seen::Play { .. }, true) => Decision::AcceptRecorded,
            _ => Decision::Accept,
        };
        let decision = self.refuse.map_or(accept, Decision::Reject);
        self.session.decide(decision, &mut self.tx).unwrap();
    }
}

fn note(event: Event<'_>, session: &Session, seen: &mut Vec<Seen>, open: &mut Vec<Open>) {
    let at = |open: &Vec<Open>, lane: u8| open.iter().position(|open| open.lane == lane).expect("it has begun");
    match event {
        Event::Request => assert!(session.request().is_some()),
        Event::Closed(stream) => {
            open.retain(|open| open.stream != stream.wire());
            seen.push(Seen::Closed(stream.wire()));
        }
        Event::Call => {
            let call = session.call().expect("a call can be read");
            seen.push(Seen::Call(call.name.to_owned(), call.arguments.to_vec()));
        }
        Event::Answer(transaction, ok) => seen.push(Seen::Answer(transaction, ok, session.arguments().to_vec())),
        Event::CheckBandwidth => seen.push(Seen::CheckBandwidth),
        // It says something about the client, and wants nothing.
        Event::CheckBw => {}
        Event::Pause(stream, on, ms) => seen.push(Seen::Pause(stream.wire(), on, ms)),
        Event::Seek(stream, ms) => seen.push(Seen::Seek(stream.wire(), ms)),
        Event::BufferLength => seen.push(Seen::BufferLength),
        // It is answered at once.
        Event::StreamLength | Event::DvrInfo => {}
        Event::ReceiveAudio(stream, on) => seen.push(Seen::ReceiveAudio(stream.wire(), on)),
        Event::ReceiveVideo(stream, on) => seen.push(Seen::ReceiveVideo(stream.wire(), on)),
        Event::Data(stream, time) => {
            let message = session.data().and_then(|data| {
                let mut out = [0; DATA_BYTES];
                // What is to be forgotten has no body.
                let body = match data.action {
                    DataAction::Clear => &[],
                    _ => data.write(&mut out).ok()?.bytes,
                };
                Some((String::from_utf8_lossy(data.handler).into_owned(), data.action, body.to_vec()))
            });
            seen.push(Seen::Data { stream: stream.wire(), time, message });
        }
        Event::DataTooLong(stream, length) => seen.push(Seen::DataTooLong { stream: stream.wire(), length }),
        Event::MediaBegin { lane, stream, kind, timestamp, length } => {
            assert!(open.iter().all(|open| open.lane != lane.0), "one message at a time on a lane");
            assert!(length > 0 || kind == MediaKind::Audio);
            open.push(Open { lane: lane.0, stream: stream.wire(), length, payload: Bytes::new() });
            seen.push(Seen::Begin { lane: lane.0, stream: stream.wire(), kind, time: timestamp, length });
        }
        Event::MediaData(lane, bytes) => {
            let at = at(open, lane.0);
            assert!(!bytes.is_empty());
            open[at].payload.extend_from_slice(&bytes);
        }
        Event::MediaEnd(lane) => {
            let at = at(open, lane.0);
            let Open { lane, length, payload, .. } = open.remove(at);
            assert_eq!(payload.len(), length as usize);
            seen.push(Seen::End { lane, payload });
        }
        Event::MediaAbort(lane) => {
            let at = at(open, lane.0);
            let Open { lane, length, payload, .. } = open.remove(at);
            assert!(payload.len() <= length as usize);
            seen.push(Seen::Abort { lane, payload });
        }
    }
}

/// C0, C1 and C2 of the simple form.
pub fn handshake() -> Bytes {
    let mut out = vec![3];
    out.extend([0, 0, 0, 7, 0, 0, 0, 0]);
    out.extend((0..1528).map(|i| (i * 7) as u8));
    out.extend((0..1536).map(|i| (i * 3) as u8));
    out
}
