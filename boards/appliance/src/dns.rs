//! Messages of DNS (RFC 1035, section 4), as multicast DNS has them (RFC 6762, section 18).

/// Record types (RFC 1035, section 3.2.2; RFC 3596; RFC 2782; RFC 4034), and the question for all of them.
pub mod kind {
    pub const A: u16 = 1;
    pub const CNAME: u16 = 5;
    pub const PTR: u16 = 12;
    pub const TXT: u16 = 16;
    pub const AAAA: u16 = 28;
    pub const SRV: u16 = 33;
    pub const NSEC: u16 = 47;
    pub const ANY: u16 = 255;
}

/// The class of everything here, and the question for any class.
pub const CLASS_IN: u16 = 1;
pub const CLASS_ANY: u16 = 255;
/// The first bit of a class: a question wants a unicast answer (RFC 6762, section 5.4), or a record is the only one of its
/// name and type (section 10.2).
pub const TOP_BIT: u16 = 0x8000;
/// Flags of an answer: a response, by the authority (section 18.4).
pub const RESPONSE: u16 = 0x8400;
/// QR and OPCODE of the flags.
const QR: u16 = 0x8000;
const OPCODE: u16 = 0x7800;

const NAME_BYTES: usize = 255;
const LABEL_BYTES: u8 = 63;
const HEADER_BYTES: usize = 12;

/// A domain name as it is sent: labels with their lengths, and the root's zero. Letters are compared without their case
/// (RFC 6762, section 16); a length is never a letter.
#[derive(Clone, Debug)]
pub struct Name(Vec<u8>);

impl Name {
    /// The name of `labels`, each of which has at most 63 bytes.
    pub fn new(labels: &[&str]) -> Name {
        let mut bytes = Vec::new();
        for label in labels {
            let length = label.len().min(LABEL_BYTES.into());
            bytes.push(length as u8);
            bytes.extend_from_slice(&label.as_bytes()[..length]);
        }
        bytes.push(0);
        Name(bytes)
    }

    /// The name as it is sent.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Name) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

/// A question of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    pub name: Name,
    pub kind: u16,
    pub class: u16,
}

impl Question {
    /// Whether a record of `name` with this type would be an answer.
    pub fn matches(&self, name: &Name, kind: u16) -> bool {
        self.asks_for(name) && (self.kind == kind || self.kind == kind::ANY)
    }

    /// Whether it is about `name` at all.
    pub fn asks_for(&self, name: &Name) -> bool {
        self.name == *name && matches!(self.class & !TOP_BIT, CLASS_IN | CLASS_ANY)
    }

    /// Whether the answer may come by unicast.
    pub fn wants_unicast(&self) -> bool {
        self.class & TOP_BIT != 0
    }
}

/// A resource record. Names in its data are not compressed.
#[derive(Clone, Debug)]
pub struct Record {
    pub name: Name,
    pub kind: u16,
    pub class: u16,
    pub ttl_s: u32,
    pub data: Vec<u8>,
}

impl Record {
    /// Whether both say the same, lifetime and case of names apart.
    pub fn same(&self, other: &Record) -> bool {
        let data = match self.kind {
            kind::PTR | kind::SRV | kind::CNAME => self.data.eq_ignore_ascii_case(&other.data),
            _ => self.data == other.data,
        };
        self.name == other.name && self.key() == other.key() && data
    }

    /// What records are sorted by before they are compared, with the data behind it (RFC 6762, section 8.2).
    pub fn key(&self) -> (u16, u16) {
        (self.class & !TOP_BIT, self.kind)
    }
}

/// A message.
#[derive(Clone, Debug, Default)]
pub struct Message {
    pub id: u16,
    pub flags: u16,
    pub questions: Vec<Question>,
    pub answers: Vec<Record>,
    pub authorities: Vec<Record>,
    pub additionals: Vec<Record>,
}

impl Message {
    /// Reads a message; `None` when it is malformed, or neither a query nor a response. It takes at most some 50 times its bytes,
    /// for that is what names can be compressed by.
    pub fn parse(bytes: &[u8]) -> Option<Message> {
        let mut reader = Reader { bytes, at: 0 };
        let mut message = Message { id: reader.u16()?, flags: reader.u16()?, ..Message::default() };
        if message.flags & OPCODE != 0 {
            return None;
        }
        let counts = [reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?];
        for _ in 0..counts[0] {
            message.questions.push(Question { name: reader.name()?, kind: reader.u16()?, class: reader.u16()? });
        }
        let sections = [&mut message.answers, &mut message.authorities, &mut message.additionals];
        for (section, count) in sections.into_iter().zip(&counts[1..]) {
            for _ in 0..*count {
                section.push(reader.record()?);
            }
        }
        Some(message)
    }

    /// Whether it answers rather than asks.
    pub fn is_response(&self) -> bool {
        self.flags & QR != 0
    }

    /// The message as it is sent. Without compression, which few short names do not need.
    pub fn emit(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(512);
        let sections = [&self.answers, &self.authorities, &self.additionals];
        for value in [self.id, self.flags, self.questions.len() as u16] {
            bytes.extend_from_slice(&value.to_be_bytes());
        }
        for section in sections {
            bytes.extend_from_slice(&(section.len() as u16).to_be_bytes());
        }
        for question in &self.questions {
            bytes.extend_from_slice(question.name.bytes());
            bytes.extend_from_slice(&question.kind.to_be_bytes());
            bytes.extend_from_slice(&question.class.to_be_bytes());
        }
        for record in sections.into_iter().flatten() {
            bytes.extend_from_slice(record.name.bytes());
            bytes.extend_from_slice(&record.kind.to_be_bytes());
            bytes.extend_from_slice(&record.class.to_be_bytes());
            bytes.extend_from_slice(&record.ttl_s.to_be_bytes());
            bytes.extend_from_slice(&(record.data.len() as u16).to_be_bytes());
            bytes.extend_from_slice(&record.data);
        }
        bytes
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at + count)?;
        self.at += count;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from(self.u16()?) << 16 | u32::from(self.u16()?))
    }

    /// A name, decompressed (RFC 1035, section 4.1.4). Each pointer goes further back than the one before, so it ends.
    fn name(&mut self) -> Option<Name> {
        let mut name = Vec::new();
        let mut part = Reader { bytes: self.bytes, at: self.at };
        let (mut end, mut begin) = (None, self.at);
        loop {
            let length = part.u8()?;
            match length {
                0 => break,
                1..=LABEL_BYTES => {
                    name.push(length);
                    name.extend_from_slice(part.take(length.into())?);
                }
                0xc0.. => {
                    let target = usize::from(length & 0x3f) << 8 | usize::from(part.u8()?);
                    end.get_or_insert(part.at);
                    if target >= begin || target < HEADER_BYTES {
                        return None;
                    }
                    (part.at, begin) = (target, target);
                }
                _ => return None,
            }
            if name.len() >= NAME_BYTES {
                return None;
            }
        }
        name.push(0);
        self.at = end.unwrap_or(part.at);
        Some(Name(name))
    }

    fn record(&mut self) -> Option<Record> {
        let (name, kind, class, ttl_s) = (self.name()?, self.u16()?, self.u16()?, self.u32()?);
        let length = usize::from(self.u16()?);
        let end = self.at + length;
        // Names in these may be compressed (RFC 6762, section 18.14); what follows them stays as it is.
        let fixed = match kind {
            kind::PTR | kind::CNAME | kind::NSEC => Some(0),
            kind::SRV => Some(6),
            _ => None,
        };
        let mut data = Vec::new();
        // A goodbye may come without data.
        if let Some(fixed) = fixed.filter(|_| length > 0) {
            data.extend_from_slice(self.take(fixed)?);
            data.extend_from_slice(self.name()?.bytes());
        }
        data.extend_from_slice(self.take(end.checked_sub(self.at)?)?);
        Some(Record { name, kind, class, ttl_s, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// avahi-daemon's answer to a browser of `_rtmp._tcp.local`, shortened: PTR, and SRV with pointers in name and data.
    const ANSWER: &[u8] = b"\0\0\x84\0\0\0\0\x01\0\0\0\x01\
        \x05_rtmp\x04_tcp\x05local\0\0\x0c\0\x01\0\0\x11\x94\0\x07\x04Rill\xc0\x0c\
        \xc0\x28\0\x21\x80\x01\0\0\0\x78\0\x0d\0\0\0\0\x07\x8f\x04RILL\xc0\x17";

    #[test]
    fn compressed_names_are_read_wherever_they_stand() {
        let message = Message::parse(ANSWER).unwrap();
        assert!(message.is_response());
        let (pointer, server) = (&message.answers[0], &message.additionals[0]);
        assert_eq!((pointer.name.clone(), pointer.ttl_s), (Name::new(&["_rtmp", "_tcp", "local"]), 4500));
        assert_eq!(pointer.data, Name::new(&["Rill", "_rtmp", "_tcp", "local"]).bytes());
        assert_eq!(server.name.bytes(), pointer.data);
        assert_eq!(server.data, b"\0\0\0\0\x07\x8f\x04RILL\x05local\0");
        let lower = Record { data: b"\0\0\0\0\x07\x8f\x04rill\x05local\0".to_vec(), class: CLASS_IN, ..server.clone() };
        assert!(server.same(&lower));
    }

    #[test]
    fn what_was_emitted_is_read_back() {
        let message = Message::parse(ANSWER).unwrap();
        let again = Message::parse(&message.emit()).unwrap();
        assert_eq!(again.emit(), message.emit());
        assert!(again.answers[0].same(&message.answers[0]) && again.additionals[0].same(&message.additionals[0]));
    }

    #[test]
    fn no_beginning_and_no_changed_byte_of_a_message_is_a_problem() {
        for end in 0..ANSWER.len() {
            assert!(Message::parse(&ANSWER[..end]).is_none(), "{end} bytes");
        }
        for at in 0..ANSWER.len() {
            for byte in 0..=255 {
                let mut changed = ANSWER.to_vec();
                changed[at] = byte;
                if let Some(message) = Message::parse(&changed) {
                    message.emit();
                }
            }
        }
        // A pointer to itself, forwards, and into the header.
        for target in [12, 14, 4] {
            let query = [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, target, 0, 1, 0, 1];
            assert!(Message::parse(&query).is_none());
        }
    }
}
