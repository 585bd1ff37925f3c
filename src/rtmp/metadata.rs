//! Metadata that is too long: it loses properties, the largest and least known first, and keeps what players cannot do without.
//!
//! A message that fits nowhere goes through [`Metadata`] as it arrives. Each property is put behind those that are
//! kept; when there is no room for it, the worst of them all goes, which may be the one that is arriving.

use heapless::Vec;

use crate::limits::AMF_DEPTH;
use crate::wire::bytes::ByteReader;

/// What a player may need before the first frame, as one of its ways to know which decoder to open. Never more than a
/// few bytes, so that they always fit.
const ESSENTIAL: [&[u8]; 4] = [b"width", b"height", b"videocodecid", b"audiocodecid"];
/// What encoders say of their streams, and players show or use.
const KNOWN: [&[u8]; 23] = [
    b"duration",
    b"framerate",
    b"videoframerate",
    b"fps",
    b"videodatarate",
    b"audiodatarate",
    b"audiosamplerate",
    b"audiosamplesize",
    b"audiochannels",
    b"stereo",
    b"encoder",
    b"filesize",
    b"displayWidth",
    b"displayHeight",
    b"frameWidth",
    b"frameHeight",
    b"avcprofile",
    b"avclevel",
    b"aacaot",
    b"hasAudio",
    b"hasVideo",
    b"videoTrackIdInfoMap",
    b"audioTrackIdInfoMap",
];
/// Longer names are not known.
const KNOWN_NAME_BYTES: usize = 19;
/// Bytes of a property that is essential, or known, with its name. A larger one is no better than any other.
const ESSENTIAL_BYTES: usize = 64;
const KNOWN_BYTES: usize = 512;

/// How often a property gives way to others and how often to essential ones, in one message. Each costs a look at
/// all that are kept. After that what arrives gives way itself.
const GIVE_WAY: u8 = 64;
/// The longest beginning of a message before its first property: two names.
const HEAD_BYTES: usize = 300;
/// Ends an object.
const END: &[u8] = &[0, 0, 9];

/// What is behind the message's beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetadataForm {
    /// That is not known yet.
    Begun,
    /// Properties in AMF 0.
    Properties,
    /// One value in AMF 3, whose beginning is kept.
    Amf3,
    /// Nothing that is kept for late players, or nothing with properties.
    Other,
}

/// How well a property is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    Unknown,
    Known,
    Essential,
}

/// A container around the present value.
#[derive(Clone, Copy, Debug)]
enum Container {
    Members,
    /// So many elements to come.
    Elements(u32),
}

/// What the next byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    NameLength,
    Name,
    Marker,
    /// As a marker, but 09 ends the object: the name before it is empty.
    MarkerOrEnd,
    ShortLength,
    LongLength,
    Bytes,
    ClassLength,
    Class,
    ArrayHint,
    Count,
    /// The object has ended, or cannot be read on.
    Nothing,
}

/// The properties of a message that are kept, in a buffer that its caller has.
#[derive(Debug)]
pub struct Metadata {
    head: MetadataForm,
    amf3_message: bool,
    next: Next,
    levels: Vec<Container, AMF_DEPTH, u8>,
    /// The length being read, and how many of its bytes have been.
    number: u32,
    digits: u8,
    /// Bytes of the present name or value to come.
    left: u32,
    /// The name of the arriving property, as long as it may be a known one.
    name: Vec<u8, KNOWN_NAME_BYTES, u8>,
    worth: Worth,
    /// Where properties begin in the buffer, the arriving one begins, and the buffer is used up to.
    start: u16,
    item: u16,
    used: u16,
    /// The arriving property is kept so far.
    keeps: bool,
    gives_way: [u8; 2],
    lost: u32,
}

impl Metadata {
    /// For a message that arrives, of type 15 when `amf3_message`.
    pub fn new(amf3_message: bool) -> Metadata {
        Metadata {
            head: MetadataForm::Begun,
            amf3_message,
            next: Next::NameLength,
            levels: Vec::new(),
            number: 0,
            digits: 0,
            left: 0,
            name: Vec::new(),
            worth: Worth::Unknown,
            start: 0,
            item: 0,
            used: 0,
            keeps: true,
            gives_way: [GIVE_WAY; 2],
            lost: 0,
        }
    }

    /// For properties that come behind the first `start` bytes of the buffer.
    pub fn behind(start: usize) -> Metadata {
        let start = start as u16;
        Metadata { head: MetadataForm::Properties, start, item: start, used: start, ..Metadata::new(false) }
    }

    /// What the message has shown to be.
    pub fn head(&self) -> MetadataForm {
        self.head
    }

    /// Properties that were left out.
    pub fn lost(&self) -> u32 {
        self.lost
    }

    /// The next bytes of the message. `buffer` is the same at each call.
    pub fn take(&mut self, mut bytes: &[u8], buffer: &mut [u8]) {
        while !bytes.is_empty() {
            let taken = match self.head {
                MetadataForm::Begun => self.take_head(bytes[0], buffer),
                MetadataForm::Properties => self.take_properties(bytes, buffer),
                MetadataForm::Amf3 => {
                    let used = usize::from(self.used);
                    let n = bytes.len().min(buffer.len() - used);
                    buffer[used..used + n].copy_from_slice(&bytes[..n]);
                    self.used += n as u16;
                    bytes.len()
                }
                MetadataForm::Other => bytes.len(),
            };
            bytes = &bytes[taken..];
        }
    }

    /// Ends the object. Gives how many bytes of the buffer are used; a property that had not ended is not among them.
    pub fn end(&mut self, buffer: &mut [u8]) -> usize {
        if self.head == MetadataForm::Properties {
            self.used = self.item;
            let used = usize::from(self.used);
            // The room for it was never given away.
            if let Some(end) = buffer.get_mut(used..used + END.len()) {
                end.copy_from_slice(END);
                self.used += END.len() as u16;
            }
            (self.item, self.next) = (self.used, Next::Nothing);
        }
        self.used.into()
    }

    fn take_head(&mut self, byte: u8, buffer: &mut [u8]) -> usize {
        let used = usize::from(self.used);
        if used >= HEAD_BYTES.min(buffer.len().saturating_sub(END.len())) {
            self.head = MetadataForm::Other;
            return 1;
        }
        buffer[used] = byte;
        self.used += 1;
        self.head = head(&buffer[usize::from(self.amf3_message)..=used]);
        (self.start, self.item) = (self.used, self.used);
        1
    }

    /// As many bytes as are of one kind.
    fn take_properties(&mut self, bytes: &[u8], buffer: &mut [u8]) -> usize {
        let byte = bytes[0];
        match self.next {
            Next::Nothing => return bytes.len(),
            Next::Bytes | Next::Name | Next::Class => {
                let n = bytes.len().min(self.left as usize);
                self.store(&bytes[..n], buffer);
                self.left -= n as u32;
                if self.left == 0 {
                    self.bytes_end(buffer);
                }
                return n;
            }
            Next::Marker | Next::MarkerOrEnd => self.marker(byte, buffer),
            Next::NameLength | Next::ShortLength | Next::ClassLength => {
                if self.count_in(byte, 2, buffer) {
                    self.length_known(buffer);
                }
            }
            Next::LongLength | Next::ArrayHint | Next::Count => {
                if self.count_in(byte, 4, buffer) {
                    self.length_known(buffer);
                }
            }
        }
        1
    }

    /// A byte of a number of `bytes` bytes. True when it is the last.
    fn count_in(&mut self, byte: u8, bytes: u8, buffer: &mut [u8]) -> bool {
        if self.digits == 0 {
            self.number = 0;
        }
        // Of a property's own name, when that is known.
        if !(self.next == Next::NameLength && self.levels.is_empty()) {
            self.store(&[byte], buffer);
        }
        self.number = self.number << 8 | u32::from(byte);
        self.digits = (self.digits + 1) % bytes;
        self.digits == 0
    }

    fn length_known(&mut self, buffer: &mut [u8]) {
        self.left = self.number;
        match self.next {
            Next::NameLength => {
                if self.levels.is_empty() {
                    self.property_begins(buffer);
                }
                self.next = Next::Name;
            }
            Next::ClassLength => self.next = Next::Class,
            Next::ArrayHint => return self.descend(Container::Members),
            Next::Count if self.number == 0 => return self.value_end(),
            Next::Count => return self.descend(Container::Elements(self.number)),
            _ => self.next = Next::Bytes,
        }
        // A property's own short name has its room when it is complete.
        if !(self.next == Next::Name && self.levels.is_empty() && self.left as usize <= KNOWN_NAME_BYTES) {
            self.expect(self.left as usize, buffer);
        }
        if self.left == 0 {
            self.bytes_end(buffer);
        }
    }

    /// The length of a property's name has come.
    fn property_begins(&mut self, buffer: &mut [u8]) {
        self.name.clear();
        (self.keeps, self.worth, self.item) = (true, Worth::Unknown, self.used);
        if self.left as usize > KNOWN_NAME_BYTES {
            self.store(&(self.left as u16).to_be_bytes(), buffer);
        }
    }

    /// So many bytes are to come of the present property: room is made for all of them, so that it does not matter in
    /// which pieces they come.
    fn expect(&mut self, bytes: usize, buffer: &mut [u8]) {
        if self.keeps {
            self.make_room(bytes, buffer);
        }
    }

    /// A name, a class name, a string or a value of fixed length is complete.
    fn bytes_end(&mut self, buffer: &mut [u8]) {
        match self.next {
            Next::Name if self.number == 0 => self.next = Next::MarkerOrEnd,
            Next::Name => {
                if self.levels.is_empty() && !self.name.is_empty() {
                    // It could be a known one, and was held back.
                    let name = self.name.clone();
                    self.worth = worth(&name);
                    self.store_now(&(name.len() as u16).to_be_bytes(), buffer);
                    self.store_now(&name, buffer);
                }
                self.next = Next::Marker;
            }
            Next::Class => self.descend(Container::Members),
            _ => self.value_end(),
        }
    }

    fn marker(&mut self, marker: u8, buffer: &mut [u8]) {
        let may_end = self.next == Next::MarkerOrEnd;
        if may_end && marker == 0x09 {
            if self.levels.is_empty() {
                self.next = Next::Nothing;
                return;
            }
            self.store(&[marker], buffer);
            self.levels.pop();
            return self.value_end();
        }
        if may_end && self.levels.is_empty() {
            // A property without a name.
            self.store(&[0, 0], buffer);
        }
        self.store(&[marker], buffer);
        self.next = match marker {
            0x00 => return self.fixed(8, buffer),
            0x01 => return self.fixed(1, buffer),
            0x05 | 0x06 | 0x0D => return self.value_end(),
            0x0B => return self.fixed(10, buffer),
            0x02 => Next::ShortLength,
            0x0C | 0x0F => Next::LongLength,
            0x03 => return self.descend(Container::Members),
            0x08 => Next::ArrayHint,
            0x0A => Next::Count,
            0x10 => Next::ClassLength,
            0x07 => {
                // What it refers to may not be kept.
                self.give_up();
                return self.fixed(2, buffer);
            }
            // AMF 3, of unknown length, or no value.
            _ => {
                self.give_up();
                self.next = Next::Nothing;
                return;
            }
        };
    }

    fn fixed(&mut self, bytes: u32, buffer: &mut [u8]) {
        self.left = bytes;
        self.next = Next::Bytes;
        self.expect(bytes as usize, buffer);
    }

    fn descend(&mut self, level: Container) {
        self.next = match level {
            Container::Members => Next::NameLength,
            Container::Elements(_) => Next::Marker,
        };
        if self.levels.push(level).is_err() {
            self.keeps = false;
            self.used = self.item;
            self.next = Next::Nothing;
        }
    }

    fn value_end(&mut self) {
        while let Some(level) = self.levels.last_mut() {
            match level {
                Container::Members => {
                    self.next = Next::NameLength;
                    return;
                }
                Container::Elements(left) => {
                    *left -= 1;
                    if *left > 0 {
                        self.next = Next::Marker;
                        return;
                    }
                    self.levels.pop();
                }
            }
        }
        self.item = self.used;
        self.next = Next::NameLength;
    }

    fn store(&mut self, bytes: &[u8], buffer: &mut [u8]) {
        if self.next == Next::Name && self.levels.is_empty() && self.number as usize <= KNOWN_NAME_BYTES {
            self.name.extend(bytes.iter().copied());
            return;
        }
        self.store_now(bytes, buffer);
    }

    fn store_now(&mut self, bytes: &[u8], buffer: &mut [u8]) {
        if self.keeps && self.make_room(bytes.len(), buffer) {
            let used = usize::from(self.used);
            buffer[used..used + bytes.len()].copy_from_slice(bytes);
            self.used += bytes.len() as u16;
        }
    }

    /// Makes room for so many bytes of the arriving property, or gives that one up.
    fn make_room(&mut self, bytes: usize, buffer: &mut [u8]) -> bool {
        let limit = buffer.len().saturating_sub(END.len());
        while usize::from(self.used) + bytes > limit {
            let size = usize::from(self.used - self.item) + bytes;
            let arriving = (rated(self.worth, size), size);
            let gives_way = &mut self.gives_way[usize::from(arriving.0 == Worth::Essential)];
            let worst = match gives_way.checked_sub(1) {
                Some(left) => {
                    *gives_way = left;
                    worst(&buffer[usize::from(self.start)..usize::from(self.item)])
                }
                None => None,
            };
            // Of two that are as bad the one that came first stays.
            match worst.filter(|worst| worst.worth < arriving.0 || (worst.worth == arriving.0 && worst.size > size)) {
                Some(Worst { at, size, .. }) => {
                    let at = usize::from(self.start) + at;
                    buffer.copy_within(at + size..usize::from(self.used), at);
                    self.used -= size as u16;
                    self.item -= size as u16;
                    self.lost += 1;
                }
                None => {
                    self.give_up();
                    return false;
                }
            }
        }
        true
    }

    fn give_up(&mut self) {
        self.lost += u32::from(self.keeps);
        self.keeps = false;
        self.used = self.item;
    }
}

/// What stands at the beginning of a message of AMF 0 values.
fn head(bytes: &[u8]) -> MetadataForm {
    fn string<'a>(reader: &mut ByteReader<'a>) -> Option<Option<&'a [u8]>> {
        match reader.u8().ok()? {
            0x02 => {
                let length = reader.u16().ok()?;
                reader.take(length.into()).ok().map(Some)
            }
            _ => Some(None),
        }
    }
    let mut reader = ByteReader::new(bytes);
    while matches!(reader.rest().first(), Some(0x05 | 0x06)) && reader.position() == 0 {
        let _ = reader.u8();
    }
    let mut before = reader;
    match string(&mut reader) {
        None => return MetadataForm::Begun,
        Some(Some(b"@setDataFrame")) => {
            before = reader;
            match string(&mut reader) {
                None => return MetadataForm::Begun,
                Some(Some(_)) => before = reader,
                Some(None) => {}
            }
        }
        Some(Some(b"onMetaData")) => before = reader,
        Some(Some(_)) => return MetadataForm::Other,
        Some(None) => {}
    }
    match before.u8() {
        Err(_) => MetadataForm::Begun,
        Ok(0x03) => MetadataForm::Properties,
        Ok(0x08) if before.remaining() >= 4 => MetadataForm::Properties,
        Ok(0x08) => MetadataForm::Begun,
        Ok(0x11) => MetadataForm::Amf3,
        Ok(_) => MetadataForm::Other,
    }
}

fn worth(name: &[u8]) -> Worth {
    if ESSENTIAL.contains(&name) {
        Worth::Essential
    } else if KNOWN.contains(&name) {
        Worth::Known
    } else {
        Worth::Unknown
    }
}

/// What a property of that size is worth.
fn rated(worth: Worth, size: usize) -> Worth {
    match worth {
        Worth::Essential if size <= ESSENTIAL_BYTES => worth,
        Worth::Known if size <= KNOWN_BYTES => worth,
        _ => Worth::Unknown,
    }
}

struct Worst {
    at: usize,
    size: usize,
    worth: Worth,
}

/// Of whole properties the one that is least known, and of those the largest, and of those the last.
fn worst(properties: &[u8]) -> Option<Worst> {
    let mut found: Option<Worst> = None;
    let mut at = 0;
    while let Some((name, size)) = property(&properties[at..]) {
        let worth = rated(worth(name), size);
        if found.as_ref().is_none_or(|found| worth < found.worth || (worth == found.worth && size >= found.size)) {
            found = Some(Worst { at, size, worth });
        }
        at += size;
    }
    found
}

/// The name and the size of the property at the beginning of these, which have all been read before.
fn property(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let mut reader = ByteReader::new(bytes);
    let length = reader.u16().ok()?;
    let name = reader.take(length.into()).ok()?;
    skip(&mut reader)?;
    Some((name, reader.position()))
}

/// No deeper than the levels that it came through.
fn skip(reader: &mut ByteReader<'_>) -> Option<()> {
    let bytes = match reader.u8().ok()? {
        0x00 => 8,
        0x01 => 1,
        0x0B => 10,
        0x02 => reader.u16().ok()?.into(),
        0x0C | 0x0F => reader.u32().ok()? as usize,
        marker @ (0x03 | 0x08 | 0x10) => {
            match marker {
                0x08 => drop(reader.u32().ok()?),
                0x10 => {
                    let length = reader.u16().ok()?;
                    reader.take(length.into()).ok()?;
                }
                _ => {}
            }
            loop {
                let length = reader.u16().ok()?;
                reader.take(length.into()).ok()?;
                if length == 0 && reader.rest().first() == Some(&0x09) {
                    break 1;
                }
                skip(reader)?;
            }
        }
        0x0A => {
            for _ in 0..reader.u32().ok()? {
                skip(reader)?;
            }
            0
        }
        _ => 0,
    };
    reader.take(bytes).ok().map(drop)
}

const _: () = {
    let mut at = 0;
    while at < KNOWN.len() {
        assert!(KNOWN[at].len() <= KNOWN_NAME_BYTES, "a known name is compared as a whole");
        at += 1;
    }
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::amf0::{Decoder, Encoder, Value};
    use crate::wire::bytes::Writer;
    use proptest::prelude::*;
    extern crate std;
    use std::string::String;
    use std::vec::Vec;

    const HEAD: &[u8] = b"\x02\0\x0D@setDataFrame\x02\0\x0AonMetaData\x03";

    fn string(name: &str, bytes: usize) -> Vec<u8> {
        let mut buffer = std::vec![0; bytes + name.len() + 10];
        let mut out = Writer::new(&mut buffer);
        Encoder::new(&mut out).property_string(name, &"x".repeat(bytes)).unwrap();
        out.written().to_vec()
    }

    fn number(name: &str) -> Vec<u8> {
        [&(name.len() as u16).to_be_bytes()[..], name.as_bytes(), &[0; 9]].concat()
    }

    fn object(name: &str, members: &[u8]) -> Vec<u8> {
        [&(name.len() as u16).to_be_bytes()[..], name.as_bytes(), &[3], members, END].concat()
    }

    fn sieve(properties: &[Vec<u8>], room: usize, piece: usize) -> (Vec<u8>, Metadata) {
        let message = [HEAD, &properties.concat(), END].concat();
        let mut metadata = Metadata::new(false);
        let mut buffer = std::vec![0; room];
        message.chunks(piece).for_each(|piece| metadata.take(piece, &mut buffer));
        let length = metadata.end(&mut buffer);
        buffer.truncate(length);
        (buffer, metadata)
    }

    fn names(message: &[u8]) -> Vec<String> {
        let mut values = Decoder::new(message);
        values.value().unwrap();
        values.value().unwrap();
        let object = values.value().unwrap();
        assert!(values.is_empty());
        let members = object.properties().unwrap().iter();
        members.map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect()
    }

    #[test]
    fn the_largest_and_least_known_go_first() {
        let properties =
            [string("comment", 300), number("width"), string("title", 30), string("encoder", 100), number("height")];
        let of = |room| names(&sieve(&properties, room, 7).0);
        assert_eq!(of(1000), ["comment", "width", "title", "encoder", "height"]);
        assert_eq!(of(300), ["width", "title", "encoder", "height"]);
        assert_eq!(of(200), ["width", "encoder", "height"]);
        assert_eq!(of(80), ["width", "height"]);
    }

    #[test]
    fn what_is_essential_comes_through_whatever_is_before_and_behind_it() {
        let mut properties: Vec<Vec<u8>> = (0..20_000).map(|i| number(&std::format!("n{i}"))).collect();
        for (i, name) in ["width", "height", "videocodecid", "audiocodecid"].into_iter().enumerate() {
            properties.insert(4000 * (i + 1), number(name));
            properties.push(string(name, 90));
        }
        properties.push(string("lyrics", 60_000));
        properties.push(number("framerate"));
        let (message, metadata) = sieve(&properties, 1000, 1460);
        let names = names(&message);
        for name in ["width", "height", "videocodecid", "audiocodecid"] {
            assert_eq!(names.iter().filter(|other| *other == name).count(), 1, "{name} in {names:?}");
        }
        assert!(message.len() > 900, "there is room for {} bytes", message.len());
        assert_eq!(metadata.lost() as usize + names.len(), properties.len());
    }

    #[test]
    fn a_long_string_costs_nothing_that_is_there_already() {
        let properties = [string("title", 200), object("tags", &string("lyrics", 5000)), string("comment", 4000)];
        let (message, metadata) = sieve(&properties, 400, 50);
        assert_eq!((names(&message), metadata.lost()), (std::vec!["title".into()], 2));
    }

    #[test]
    fn a_property_that_cannot_be_read_on_ends_the_message() {
        let deep = [&[3, 0, 1, b'a'].repeat(AMF_DEPTH + 2)[1..], &[5]].concat();
        for bad in [b"\0\x01a\x11\x01".to_vec(), b"\0\x01a\x55".to_vec(), deep] {
            let (message, _) = sieve(&[number("width"), bad, number("height")], 1000, 3);
            assert_eq!(names(&message), ["width"]);
        }
        let reference = b"\0\x01a\x07\0\0".to_vec();
        assert_eq!(names(&sieve(&[number("width"), reference, number("height")], 1000, 3).0), ["width", "height"]);
    }

    #[test]
    fn other_messages_are_told_apart() {
        let head = |bytes: &[u8], amf3| {
            let (mut metadata, mut buffer) = (Metadata::new(amf3), [0; 400]);
            metadata.take(bytes, &mut buffer);
            metadata.head()
        };
        assert_eq!(head(HEAD, false), MetadataForm::Properties);
        assert_eq!(head(b"\x02\0\x0AonMetaData\x08\0\0\0\x01", false), MetadataForm::Properties);
        assert_eq!(head(b"\x02\0\x0AonMetaData\x08\0\0\0", false), MetadataForm::Begun);
        assert_eq!(head(b"\x06\x02\0\x0AonMetaData\x03", false), MetadataForm::Properties);
        assert_eq!(head(b"\x03", false), MetadataForm::Properties);
        assert_eq!(head(b"\0\x02\0\x0AonMetaData\x11", true), MetadataForm::Amf3);
        assert_eq!(head(b"\x02\0\x0AonTextData\x03", false), MetadataForm::Other);
        assert_eq!(head(b"\x02\0\x0D@setDataFrame\x02\0\x03onX\x03", false), MetadataForm::Properties);
        assert_eq!(head(b"\x02\0\x0AonMetaData\x02", false), MetadataForm::Other);
        assert_eq!(head(&[2, 2, 0].repeat(200), false), MetadataForm::Other);
    }

    fn properties() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let name = prop_oneof![
            3 => "[a-z]{0,3}",
            1 => Just("width".into()),
            1 => Just("encoder".into()),
            1 => Just("a name longer than any that is known".into())
        ];
        let leaf = (name.clone(), 0..80_usize).prop_map(|(name, bytes)| match bytes {
            0..20 => number(&name),
            bytes => string(&name, bytes),
        });
        let property = leaf.prop_recursive(3, 10, 4, move |inner| {
            (name.clone(), prop::collection::vec(inner, 0..4), any::<bool>()).prop_map(|(name, members, is_list)| {
                if !is_list {
                    return object(&name, &members.concat());
                }
                let count = members.len() as u32;
                let list = members.into_iter().flat_map(|member| [&[3], &member[..], END].concat());
                let head = [&(name.len() as u16).to_be_bytes()[..], name.as_bytes(), &[0x0A], &count.to_be_bytes()];
                head.concat().into_iter().chain(list).collect()
            })
        });
        prop::collection::vec(property, 0..30)
    }

    proptest! {
        /// However it is cut: whole properties, in order, unchanged, as many as fit.
        #[test]
        fn what_is_kept_are_whole_properties_in_their_order(
            properties in properties(),
            room in 60..1500_usize,
            piece in 1..200_usize,
        ) {
            let (message, metadata) = sieve(&properties, room, piece);
            prop_assert!(message.len() <= room);
            prop_assert_eq!(&message, &sieve(&properties, room, 1).0, "cuts change nothing");
            let mut values = Decoder::new(&message);
            let (_, _, object) = (values.value().unwrap(), values.value().unwrap(), values.value().unwrap());
            prop_assert!(matches!(object, Value::Object(_)) && values.is_empty());
            let mut kept = &message[HEAD.len()..message.len() - END.len()];
            let mut lost = 0;
            for property in &properties {
                match kept.strip_prefix(property.as_slice()) {
                    Some(rest) => kept = rest,
                    None => lost += 1,
                }
            }
            prop_assert_eq!((kept.len(), lost), (0, metadata.lost()));
            if HEAD.len() + properties.concat().len() + END.len() <= room {
                prop_assert_eq!(lost, 0);
            }
        }
    }
}
