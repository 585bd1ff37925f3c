//! What publishers sent, and what a player may therefore receive.

use std::collections::BTreeSet;

use rill::wire::amf0::{Decoder, Encoder, Value};
use rill::wire::bytes::Writer;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Metadata,
    Cue,
    VideoHeader,
    AudioHeader,
    Key,
    Inter,
    Audio,
}

impl Kind {
    pub fn type_id(self) -> u8 {
        match self {
            Kind::Metadata | Kind::Cue => 18,
            Kind::VideoHeader | Kind::Key | Kind::Inter => 9,
            Kind::AudioHeader | Kind::Audio => 8,
        }
    }

    /// Kept by the server and sent to those who join.
    pub fn is_cached(self) -> bool {
        matches!(self, Kind::Metadata | Kind::VideoHeader | Kind::AudioHeader)
    }

    pub fn is_video(self) -> bool {
        self.type_id() == 9
    }

    fn letter(self) -> &'static str {
        match self {
            Kind::Metadata => "metadata",
            Kind::Cue => "cue",
            Kind::VideoHeader => "video header",
            Kind::AudioHeader => "audio header",
            Kind::Key => "key",
            Kind::Inter => "inter",
            Kind::Audio => "audio",
        }
    }
}

/// A message's name: which publication, and which of its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    pub publication: u32,
    pub seq: u32,
}

#[derive(Clone, Copy, Debug)]
pub struct Sent {
    pub kind: Kind,
    pub timestamp: u32,
    pub length: usize,
    /// The server is expected to drop it.
    pub dropped: bool,
}

#[derive(Debug, Default)]
pub struct Publication {
    pub name: String,
    pub sent: Vec<Sent>,
    /// Its end got lost, or nobody knows how much of it came through.
    pub truncated: bool,
    /// The publisher has ended it.
    pub ended: bool,
    /// Its timestamps jump: players' time does not move as they do, but never goes back.
    pub jumps: bool,
}

impl Publication {
    pub fn has_video(&self) -> bool {
        self.sent.iter().any(|sent| sent.kind.is_video())
    }

    /// The next frame that is not a key frame cannot be decoded: there was no key frame, or what it builds on was dropped.
    fn awaits_key(&self) -> bool {
        let frames = |sent: &&Sent| matches!(sent.kind, Kind::Key | Kind::Inter);
        self.sent.iter().rev().find(frames).is_none_or(|sent| sent.dropped)
    }

    /// Message `seq` begins a picture that is a key frame.
    fn begins_key_frame(&self, seq: u32) -> bool {
        let time = self.sent[seq as usize].timestamp;
        let messages = self.sent[seq as usize..].iter().filter(|sent| matches!(sent.kind, Kind::Key | Kind::Inter));
        messages.take_while(|sent| sent.timestamp == time).any(|sent| sent.kind == Kind::Key)
    }

    /// The newest header of that kind before message `seq`.
    fn header_before(&self, kind: Kind, seq: u32) -> Option<u32> {
        (0..seq).rev().find(|&seq| self.sent[seq as usize].kind == kind && !self.sent[seq as usize].dropped)
    }
}

/// Every publication of a run.
#[derive(Debug, Default)]
pub struct Ledger {
    pub publications: Vec<Publication>,
    /// There are fewer rings than names: one that is taken from an ended stream may take its last frames along.
    pub rings_scarce: bool,
}

impl Ledger {
    pub fn begin(&mut self, name: &str) -> u32 {
        self.publications.push(Publication { name: name.to_string(), ..Publication::default() });
        self.publications.len() as u32 - 1
    }

    pub fn of(&mut self, publication: u32) -> &mut Publication {
        &mut self.publications[publication as usize]
    }

    /// Notes a message and gives its payload as the publisher sends it.
    pub fn message(&mut self, publication: u32, kind: Kind, timestamp: u32, length: usize) -> (Stamp, Vec<u8>) {
        let of = &mut self.publications[publication as usize];
        let stamp = Stamp { publication, seq: of.sent.len() as u32 };
        let dropped = kind == Kind::Inter && of.awaits_key();
        of.sent.push(Sent { kind, timestamp, length, dropped });
        (stamp, payload(kind, stamp, length))
    }
}

fn number(stamp: Stamp) -> f64 {
    f64::from(stamp.publication) * 65_536.0 + f64::from(stamp.seq)
}

fn from_number(number: f64) -> Stamp {
    Stamp { publication: (number / 65_536.0) as u32, seq: (number % 65_536.0) as u32 }
}

/// The payload of a message as players get it; at least `length` bytes.
pub fn payload(kind: Kind, stamp: Stamp, length: usize) -> Vec<u8> {
    let mut bytes = match kind {
        Kind::Metadata | Kind::Cue => {
            let mut buffer = [0; 128];
            let mut out = Writer::new(&mut buffer);
            let mut amf = Encoder::new(&mut out);
            if kind == Kind::Cue {
                amf.string("onCuePoint").unwrap();
                amf.number(number(stamp)).unwrap();
            } else {
                amf.string("onMetaData").unwrap();
                amf.ecma_array_begin(0).unwrap();
                amf.property_number("stamp", number(stamp)).unwrap();
                amf.object_end().unwrap();
            }
            return out.written().to_vec();
        }
        Kind::VideoHeader => vec![0x17, 0, 0, 0, 0],
        Kind::Key => vec![0x17, 1, 0, 0, 0],
        Kind::Inter => vec![0x27, 1, 0, 0, 0],
        Kind::AudioHeader => vec![0xAF, 0],
        Kind::Audio => vec![0xAF, 1],
    };
    bytes.extend(stamp.publication.to_be_bytes());
    bytes.extend(stamp.seq.to_be_bytes());
    while bytes.len() < length {
        let at = bytes.len() as u32;
        bytes.push((at.wrapping_mul(31) ^ (at >> 8) ^ stamp.seq) as u8);
    }
    bytes
}

/// Which message a payload is, if it is one of ours.
pub fn identify(type_id: u8, payload: &[u8]) -> Option<(Kind, Stamp)> {
    if type_id == 18 {
        let mut values = Decoder::new(payload);
        return match (values.value().ok()?, values.value().ok()?) {
            (Value::String(b"onCuePoint"), Value::Number(stamp)) => Some((Kind::Cue, from_number(stamp))),
            (Value::String(b"onMetaData"), array) => {
                Some((Kind::Metadata, from_number(array.get("stamp")?.as_number()?)))
            }
            _ => None,
        };
    }
    let (kind, at) = match (type_id, payload.first()?, payload.get(1)?) {
        (9, 0x17, 0) => (Kind::VideoHeader, 5),
        (9, 0x17, 1) => (Kind::Key, 5),
        (9, 0x27, 1) => (Kind::Inter, 5),
        (8, 0xAF, 0) => (Kind::AudioHeader, 2),
        (8, 0xAF, 1) => (Kind::Audio, 2),
        _ => return None,
    };
    let word = |at: usize| Some(u32::from_be_bytes(payload.get(at..at + 4)?.try_into().ok()?));
    Some((kind, Stamp { publication: word(at)?, seq: word(at + 4)? }))
}

/// What one net stream of a player has received since its play was accepted: the oracle.
#[derive(Debug)]
pub struct Watch {
    pub name: String,
    /// The publication it is in.
    pub publication: Option<u32>,
    /// The first of its messages that may come next.
    pub next: u32,
    /// Got an ordinary message of this publication, not just what joining players are sent.
    pub started: bool,
    /// It was slow or paused: it may go on at a later key frame.
    pub may_skip: bool,
    /// It said that it wants none, or has just said that it does again.
    pub audio_optional: bool,
    pub video_optional: bool,
    /// It began with sound: its picture begins with a key frame.
    awaits_key: bool,
    /// Cached messages received in this publication.
    copies: BTreeSet<u32>,
    video_header: Option<Stamp>,
    audio_header: Option<Stamp>,
    /// Stream time and publisher's time of the last audio or video message.
    last: Option<(u32, Stamp)>,
    pub skips: u32,
    pub first_timestamp: Option<u32>,
    /// Type and stream time of every frame.
    pub frames: Vec<(u8, u32)>,
}

impl Watch {
    pub fn new(name: &str, may_skip: bool) -> Watch {
        Watch {
            name: name.to_string(),
            publication: None,
            next: 0,
            started: false,
            may_skip,
            audio_optional: false,
            video_optional: false,
            awaits_key: false,
            copies: BTreeSet::new(),
            video_header: None,
            audio_header: None,
            last: None,
            skips: 0,
            first_timestamp: None,
            frames: Vec::new(),
        }
    }

    /// A message came. Panics when no correct server could have sent it.
    pub fn receive(&mut self, ledger: &Ledger, type_id: u8, timestamp: u32, payload: &[u8]) -> String {
        let (kind, stamp) = identify(type_id, payload).expect("every message is a publisher's");
        let publication = &ledger.publications[stamp.publication as usize];
        let sent = publication.sent.get(stamp.seq as usize).expect("nothing comes that was not sent");
        assert_eq!(publication.name, self.name, "a message of another stream");
        assert_eq!(sent.kind, kind, "{stamp:?}");
        assert!(!sent.dropped, "{stamp:?} was to be dropped");
        assert!(payload == self::payload(kind, stamp, sent.length), "{stamp:?}: other bytes than were sent");
        assert!(kind != Kind::Metadata || timestamp == 0, "of metadata with a time ffmpeg makes a subtitle stream");
        self.enter(ledger, stamp);
        if kind.is_cached() && stamp.seq != self.next {
            self.copies.insert(stamp.seq);
        } else {
            self.in_order(publication, kind, stamp);
            self.check_time(ledger, publication, kind, timestamp, stamp);
        }
        match kind {
            Kind::VideoHeader => self.video_header = Some(stamp),
            Kind::AudioHeader => self.audio_header = Some(stamp),
            _ => {}
        }
        let text = format!("{}.{} {}", stamp.publication, stamp.seq, kind.letter());
        self.first_timestamp = self.first_timestamp.or(Some(timestamp));
        text
    }

    /// It sought, and begins again.
    pub fn seeks(&mut self) {
        self.begin();
        self.last = None;
    }

    /// Nothing of the publication has come.
    fn begin(&mut self) {
        self.next = 0;
        self.started = false;
        self.awaits_key = false;
        self.copies.clear();
        self.video_header = None;
        self.audio_header = None;
    }

    fn enter(&mut self, ledger: &Ledger, stamp: Stamp) {
        if self.publication == Some(stamp.publication) {
            return;
        }
        if let Some(before) = self.publication {
            assert!(before < stamp.publication, "publication {before} was over before {stamp:?}");
            self.check_ended(ledger);
        }
        self.publication = Some(stamp.publication);
        self.begin();
    }

    /// Stream time of the last frame.
    pub fn last_timestamp(&self) -> Option<u32> {
        self.last.map(|(timestamp, _)| timestamp)
    }

    /// The publisher has left, which is told behind its last message.
    pub fn check_ended(&self, ledger: &Ledger) {
        if !ledger.rings_scarce {
            self.check_complete(ledger);
        }
    }

    /// Nothing of the present publication is missing.
    pub fn check_complete(&self, ledger: &Ledger) {
        let Some(index) = self.publication else { return };
        let publication = &ledger.publications[index as usize];
        let taken = ledger.rings_scarce && publication.ended;
        if self.may_skip || publication.truncated || taken || !self.started {
            return;
        }
        for seq in self.next..publication.sent.len() as u32 {
            let sent = publication.sent[seq as usize];
            assert!(self.is_optional(publication, seq), "{}: message {index}.{seq} never came: {sent:?}", self.name);
        }
    }

    fn is_optional(&self, publication: &Publication, seq: u32) -> bool {
        let sent = &publication.sent[seq as usize];
        sent.dropped
            || self.copies.contains(&seq)
            || match sent.kind.type_id() {
                8 => self.audio_optional,
                9 => self.video_optional || self.awaits_key && sent.kind == Kind::Inter,
                _ => false,
            }
    }

    fn in_order(&mut self, publication: &Publication, kind: Kind, stamp: Stamp) {
        assert!(stamp.seq >= self.next, "{stamp:?} again, when {} was next", self.next);
        let jumps = (self.next..stamp.seq).any(|seq| !self.is_optional(publication, seq));
        if jumps {
            assert!(!self.started || self.may_skip, "a gap before {stamp:?}: {} was next", self.next);
            if publication.has_video() && !self.video_optional {
                let restart = kind == Kind::Audio
                    || publication.begins_key_frame(stamp.seq)
                    || self.began_with_unwanted_sound(publication, stamp.seq);
                assert!(restart, "{stamp:?} ({kind:?}) is no place to begin: {} was next", self.next);
                // Nothing is missing of the picture when none was left out.
                let missed = &publication.sent[self.next as usize..stamp.seq as usize];
                self.awaits_key |=
                    missed.iter().any(|sent| matches!(sent.kind, Kind::Key | Kind::Inter) && !sent.dropped);
            }
            self.skips += u32::from(self.started);
        }
        if kind.is_video() && publication.begins_key_frame(stamp.seq) {
            self.awaits_key = false;
        }
        if kind == Kind::Key || kind == Kind::Inter {
            assert!(!self.awaits_key || self.video_optional, "{stamp:?} cannot be decoded");
            let needed = publication.header_before(Kind::VideoHeader, stamp.seq).map(|seq| Stamp { seq, ..stamp });
            assert_eq!(self.video_header, needed, "the header in force at {stamp:?}");
        }
        if kind == Kind::Audio {
            let needed = publication.header_before(Kind::AudioHeader, stamp.seq).map(|seq| Stamp { seq, ..stamp });
            assert_eq!(self.audio_header, needed, "the header in force at {stamp:?}");
        }
        self.started |= !kind.is_cached();
        self.next = stamp.seq + 1;
    }

    /// Message `seq` is data, and the first that it is sent behind a sound at which it began and which it does not want.
    fn began_with_unwanted_sound(&self, publication: &Publication, seq: u32) -> bool {
        let sent = &publication.sent[seq as usize];
        let missed = publication.sent[self.next as usize..seq as usize].iter().rev();
        // Data and key frames behind that sound would have been sent.
        let mut behind = missed.take_while(|sent| sent.dropped || !matches!(sent.kind, Kind::Cue | Kind::Key));
        sent.kind == Kind::Cue && self.audio_optional && behind.any(|sent| sent.kind == Kind::Audio && !sent.dropped)
    }

    /// Stream time moves as the publisher's does, and goes on at a new publish.
    fn check_time(&mut self, ledger: &Ledger, publication: &Publication, kind: Kind, timestamp: u32, stamp: Stamp) {
        // What is sent again to those who join has the time of their first frame.
        if kind.type_id() == 18 || kind.is_cached() {
            return;
        }
        if let Some((last, before)) = self.last {
            let moved = timestamp.wrapping_sub(last) as i32;
            if before.publication == stamp.publication && publication.jumps {
                assert!((0..=1000).contains(&moved), "time moves by {moved} ms from {before:?} to {stamp:?}");
            } else if before.publication == stamp.publication {
                let publisher = |seq: u32| ledger.publications[stamp.publication as usize].sent[seq as usize].timestamp;
                let expected = publisher(stamp.seq).wrapping_sub(publisher(before.seq)) as i32;
                assert_eq!(moved, expected, "time between {before:?} and {stamp:?} of {}", publication.name);
            } else {
                assert!(moved >= 0, "time goes back by {moved} ms from {before:?} to {stamp:?}");
            }
        }
        self.last = Some((timestamp, stamp));
        self.frames.push((kind.type_id(), timestamp));
    }
}
