//! AMF 0 (Adobe, "Action Message Format -- AMF 0", 2007): the values of commands and data messages.
//!
//! Decoded values are views of the message; nothing is copied. [`Decoder::value`] validates everything a value contains,
//! so that walking its [`Properties`] or [`Elements`] later cannot fail. Opening a view costs what is read of it, except
//! that the first AMF 3 value (marker 0x11) found in it costs a walk over the message, see [`amf3`].

use core::fmt;

use crate::limits::AMF_DEPTH;
use crate::wire::amf3::{self, MessageFormat, ReferenceWalk};
use crate::wire::bytes::{ByteReader, Full, Truncated, Writer};

/// Why bytes are not a value. All are the peer's fault, but `Limit` and `Unsupported` are legal AMF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AmfError {
    /// The input ends inside the value.
    Truncated,
    /// More than [`AMF_DEPTH`] containers in each other.
    Depth,
    /// No value begins with this marker.
    Marker(u8),
    /// A reference to what has not been sent, or a value of another type than asked for.
    Malformed,
    /// An AMF 3 reference beyond what we keep, see [`amf3::STRING_REFERENCES`].
    Limit,
    /// An AMF 3 object of a class that writes itself in a form only the class knows.
    Unsupported,
}

impl From<Truncated> for AmfError {
    fn from(_: Truncated) -> Self {
        AmfError::Truncated
    }
}

/// One AMF 0 value. Equality compares encodings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Marker 0x00.
    Number(f64),
    /// Marker 0x01.
    Boolean(bool),
    /// Markers 0x02 and 0x0C (long string). Bytes, because clients send invalid UTF-8.
    String(&'a [u8]),
    /// Marker 0x03.
    Object(Properties<'a>),
    /// Marker 0x05.
    Null,
    /// Marker 0x06.
    Undefined,
    /// Marker 0x07: the index of an earlier object or array of the message, see [`resolve`].
    Reference(u16),
    /// Marker 0x08. Its count is only a hint and is dropped.
    EcmaArray(Properties<'a>),
    /// Marker 0x0A.
    StrictArray(Elements<'a>),
    /// Marker 0x0B.
    Date {
        /// Milliseconds since 1970, UTC.
        ms: f64,
        /// Time zone; reserved, should be 0 and ignored (section 2.13).
        zone: i16,
    },
    /// Marker 0x0D: the sender has no way to express what was here.
    Unsupported,
    /// Marker 0x0F.
    Xml(&'a [u8]),
    /// Marker 0x10.
    TypedObject {
        /// Class name.
        class: &'a [u8],
        /// Its members.
        properties: Properties<'a>,
    },
    /// Marker 0x11: AMF 3 for this one value.
    Amf3(amf3::Value<'a>),
}

/// An encoded value for people: one line like `{room: "hall", seats: [1, 2]}`, cut at [`SHOWN_BYTES`]. What is not a value
/// is `?`.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a>(pub &'a [u8]);

/// Longest text of a [`Shown`] value in bytes; what is more is cut.
pub const SHOWN_BYTES: usize = 240;

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Cut { out: f, left: SHOWN_BYTES };
        let shown = match Decoder::new(self.0).value() {
            Ok(value) => show(&value, &mut out),
            Err(_) => fmt::Write::write_str(&mut out, "?"),
        };
        // Cut off is no error of the writer's.
        if out.left == 0 { f.write_str("…") } else { shown }
    }
}

/// Writes as much as it may.
struct Cut<'a, 'f> {
    out: &'a mut fmt::Formatter<'f>,
    left: usize,
}

impl fmt::Write for Cut<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let fits = text.floor_char_boundary(self.left.min(text.len()));
        self.out.write_str(&text[..fits])?;
        if fits < text.len() {
            self.left = 0;
            return Err(fmt::Error);
        }
        self.left -= fits;
        Ok(())
    }
}

fn show(value: &Value<'_>, out: &mut Cut<'_, '_>) -> fmt::Result {
    use fmt::Write;
    let text = |bytes: &[u8], out: &mut Cut<'_, '_>| match core::str::from_utf8(bytes) {
        Ok(text) => write!(out, "{text:?}"),
        Err(_) => out.write_str("?"),
    };
    match value {
        Value::Number(number) => write!(out, "{number}"),
        Value::Boolean(yes) => write!(out, "{yes}"),
        Value::String(bytes) | Value::Xml(bytes) => text(bytes, out),
        Value::Null => out.write_str("null"),
        Value::Undefined => out.write_str("undefined"),
        Value::Date { ms, .. } => write!(out, "Date({ms})"),
        Value::Object(properties) | Value::EcmaArray(properties) | Value::TypedObject { properties, .. } => {
            out.write_str("{")?;
            for (at, (key, value)) in properties.iter().enumerate() {
                out.write_str(if at > 0 { ", " } else { "" })?;
                out.write_str(core::str::from_utf8(key).unwrap_or("?"))?;
                out.write_str(": ")?;
                show(&value, out)?;
            }
            out.write_str("}")
        }
        Value::StrictArray(elements) => {
            out.write_str("[")?;
            for (at, value) in elements.iter().enumerate() {
                out.write_str(if at > 0 { ", " } else { "" })?;
                show(&value, out)?;
            }
            out.write_str("]")
        }
        Value::Reference(_) | Value::Unsupported | Value::Amf3(_) => out.write_str("?"),
    }
}

impl<'a> Value<'a> {
    /// The number, of AMF 3 also an integer's.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Value::Number(value) => Some(*value),
            Value::Amf3(value) => value.as_number(),
            _ => None,
        }
    }

    /// The value of a boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Boolean(value) => Some(*value),
            Value::Amf3(value) => value.as_bool(),
            _ => None,
        }
    }

    /// The bytes of a string or XML, of AMF 3 also a byte array's.
    pub fn as_bytes(&self) -> Option<&'a [u8]> {
        match self {
            Value::String(bytes) | Value::Xml(bytes) => Some(bytes),
            Value::Amf3(value) => value.as_bytes(),
            _ => None,
        }
    }

    /// The text of a string or XML, if it is valid UTF-8.
    pub fn as_str(&self) -> Option<&'a str> {
        match self {
            Value::String(bytes) | Value::Xml(bytes) => core::str::from_utf8(bytes).ok(),
            Value::Amf3(value) => value.as_str(),
            _ => None,
        }
    }

    /// The members of an AMF 0 object, ECMA array or typed object. [`Value::get`] looks into AMF 3 as well.
    pub fn properties(&self) -> Option<&Properties<'a>> {
        match self {
            Value::Object(properties) | Value::EcmaArray(properties) | Value::TypedObject { properties, .. } => {
                Some(properties)
            }
            _ => None,
        }
    }

    /// The first member called `key`, whether the object is AMF 0 or AMF 3.
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        match self {
            Value::Amf3(value) => value.properties()?.get(key).map(Value::Amf3),
            value => value.properties()?.get(key),
        }
    }
}

/// The value that reference `index` means: `message` is walked in order, counting objects, ECMA arrays, strict arrays
/// and typed objects from 0 (section 2.9). `message` begins with the first value of the command or data message. Costs a
/// walk over the message up to the value's end. A value can contain itself, so a caller that visits whole trees must
/// bound its depth.
pub fn resolve<'a>(message: &'a [u8], index: u16) -> Option<Value<'a>> {
    Decoder::at(message, referred(message, index)?).value().ok()
}

/// Where the value that reference `index` means begins.
pub(super) fn referred(message: &[u8], index: u16) -> Option<usize> {
    let mut decoder = Decoder::new(message);
    decoder.wanted = Some(index.into());
    while decoder.found.is_none() {
        // Ends at the first error, which finding the object is too.
        if decoder.is_empty() || (decoder.value().is_err() && decoder.found.is_none()) {
            return None;
        }
    }
    decoder.found
}

/// Walks `message` until the AMF 3 value at `stop`, for the reference tables that hold there.
pub(super) fn walk_to(message: &[u8], stop: usize) -> ReferenceWalk<'_> {
    let mut decoder = Decoder::new(message);
    decoder.scan.stop = stop;
    while !decoder.is_empty() && decoder.value().is_ok() {}
    decoder.scan
}

/// Decodes the values of a message, one after the other.
#[derive(Clone, Debug)]
pub struct Decoder<'a> {
    scan: ReferenceWalk<'a>,
    /// Whether `scan` has seen the message from its start, so that its AMF 3 tables are right.
    from_start: bool,
    failed: Option<AmfError>,
    /// Complex objects begun so far.
    complex_count: u32,
    /// The walk ends, with an error, where complex object `wanted` begins, and that place goes to `found`.
    wanted: Option<u32>,
    found: Option<usize>,
}

impl<'a> Decoder<'a> {
    /// Starts at the first byte of a message: AMF 3 references count from there.
    pub fn new(message: &'a [u8]) -> Self {
        Decoder { from_start: true, ..Self::at(message, 0) }
    }

    fn at(message: &'a [u8], position: usize) -> Self {
        Decoder {
            scan: ReferenceWalk::at(message, MessageFormat::Amf0, position),
            from_start: false,
            failed: None,
            complex_count: 0,
            wanted: None,
            found: None,
        }
    }

    /// Goes on where a walk that began with the message stands.
    pub(super) fn from_scan(scan: ReferenceWalk<'a>) -> Self {
        Decoder { scan, ..Self::new(&[]) }
    }

    /// The walk, for who goes on with it.
    pub(super) fn into_scan(self) -> ReferenceWalk<'a> {
        self.scan
    }

    /// Decodes and validates one value with all it contains. After an error every further call gives it again.
    pub fn value(&mut self) -> Result<Value<'a>, AmfError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.value_in(0).inspect_err(|error| self.failed = Some(*error))
    }

    /// The next value, which must be a number.
    pub fn number(&mut self) -> Result<f64, AmfError> {
        self.value()?.as_number().ok_or(AmfError::Malformed)
    }

    /// The next value, which must be a string.
    pub fn string(&mut self) -> Result<&'a [u8], AmfError> {
        self.value()?.as_bytes().ok_or(AmfError::Malformed)
    }

    /// Whether everything has been read.
    pub fn is_empty(&self) -> bool {
        self.scan.reader.remaining() == 0
    }

    /// What has not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.scan.reader.rest()
    }

    /// Bytes read.
    pub fn position(&self) -> usize {
        self.scan.reader.position()
    }

    /// `depth` counts the containers around the value.
    fn value_in(&mut self, depth: usize) -> Result<Value<'a>, AmfError> {
        let at = self.position();
        let marker = self.reader().u8()?;
        if matches!(marker, 0x03 | 0x08 | 0x0A | 0x10) {
            if depth >= AMF_DEPTH {
                return Err(AmfError::Depth);
            }
            if self.wanted == Some(self.complex_count) {
                self.found = Some(at);
                return Err(AmfError::Malformed);
            }
            self.complex_count = self.complex_count.saturating_add(1);
        }
        Ok(match marker {
            0x00 => Value::Number(self.reader().f64()?),
            0x01 => Value::Boolean(self.reader().u8()? != 0),
            0x02 => Value::String(self.short_string()?),
            0x03 => Value::Object(self.properties(depth)?),
            0x05 => Value::Null,
            0x06 => Value::Undefined,
            0x07 => Value::Reference(self.reader().u16()?),
            0x08 => {
                self.reader().u32()?;
                Value::EcmaArray(self.properties(depth)?)
            }
            0x0A => Value::StrictArray(self.elements(depth)?),
            0x0B => Value::Date { ms: self.reader().f64()?, zone: self.reader().u16()? as i16 },
            0x0C => Value::String(self.long_string()?),
            0x0D => Value::Unsupported,
            0x0F => Value::Xml(self.long_string()?),
            0x10 => Value::TypedObject { class: self.short_string()?, properties: self.properties(depth)? },
            0x11 => {
                if !self.from_start {
                    // A view was opened in the middle of the message: find the tables that hold here.
                    self.scan = walk_to_here(&self.scan).ok_or(AmfError::Malformed)?;
                    self.from_start = true;
                }
                Value::Amf3(self.scan.value(depth)?)
            }
            marker => return Err(AmfError::Marker(marker)),
        })
    }

    fn properties(&mut self, depth: usize) -> Result<Properties<'a>, AmfError> {
        let start = self.position();
        while self.key()?.is_some() {
            self.value_in(depth + 1)?;
        }
        Ok(Properties { message: self.scan.reader.bytes(), start, end: self.position() })
    }

    fn elements(&mut self, depth: usize) -> Result<Elements<'a>, AmfError> {
        let count = self.reader().u32()?;
        let start = self.position();
        // Every value takes a byte, so a lying count ends with the input.
        for _ in 0..count {
            self.value_in(depth + 1)?;
        }
        Ok(Elements { message: self.scan.reader.bytes(), start, end: self.position(), count })
    }

    /// The next property's name; `None` after the end marker 00 00 09, or where the input ends instead of it.
    fn key(&mut self) -> Result<Option<&'a [u8]>, AmfError> {
        if self.is_empty() {
            return Ok(None);
        }
        let key = self.short_string()?;
        if key.is_empty() {
            let mut next = self.scan.reader;
            if next.u8()? == 0x09 {
                self.scan.reader = next;
                return Ok(None);
            }
        }
        Ok(Some(key))
    }

    fn short_string(&mut self) -> Result<&'a [u8], Truncated> {
        let length = self.reader().u16()?;
        self.reader().take(length.into())
    }

    fn long_string(&mut self) -> Result<&'a [u8], Truncated> {
        let length = self.reader().u32()?;
        self.reader().take(length as usize)
    }

    fn reader(&mut self) -> &mut ByteReader<'a> {
        &mut self.scan.reader
    }
}

fn walk_to_here<'a>(scan: &ReferenceWalk<'a>) -> Option<ReferenceWalk<'a>> {
    let (message, at) = (scan.reader.bytes(), scan.reader.position());
    ReferenceWalk::reach(amf3::View { message, framing: MessageFormat::Amf0, at })
}

/// Named members of an object or ECMA array.
#[derive(Clone, Copy)]
pub struct Properties<'a> {
    message: &'a [u8],
    start: usize,
    end: usize,
}

impl<'a> Properties<'a> {
    /// Names and values in the order sent.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], Value<'a>)> + use<'a> {
        let mut decoder = Decoder::at(self.message, self.start);
        let end = self.end;
        // What is iterated has been validated, so an error cannot happen; it would end the iteration.
        core::iter::from_fn(move || {
            if decoder.position() >= end {
                return None;
            }
            let key = decoder.key().ok()??;
            Some((key, decoder.value().ok()?))
        })
        .fuse()
    }

    /// The first value called `key`.
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        self.iter().find(|(name, _)| *name == key.as_bytes()).map(|(_, value)| value)
    }

    /// The bytes from the first name up to and including the end marker 00 00 09. Some senders leave out the marker at
    /// the end of a message; then it is missing here too.
    pub fn raw(&self) -> &'a [u8] {
        &self.message[self.start..self.end]
    }
}

impl fmt::Debug for Properties<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = formatter.debug_map();
        for (name, value) in self.iter() {
            map.entry(&format_args!("{}", name.escape_ascii()), &value);
        }
        map.finish()
    }
}

impl PartialEq for Properties<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.raw() == other.raw()
    }
}

/// The elements of a strict array.
#[derive(Clone, Copy)]
pub struct Elements<'a> {
    message: &'a [u8],
    start: usize,
    end: usize,
    count: u32,
}

impl<'a> Elements<'a> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The elements in order.
    pub fn iter(&self) -> impl Iterator<Item = Value<'a>> + use<'a> {
        let mut decoder = Decoder::at(self.message, self.start);
        (0..self.count).map_while(move |_| decoder.value().ok())
    }

    /// The bytes of all elements, without marker and count.
    pub fn raw(&self) -> &'a [u8] {
        &self.message[self.start..self.end]
    }
}

impl fmt::Debug for Elements<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.iter()).finish()
    }
}

impl PartialEq for Elements<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.count == other.count && self.raw() == other.raw()
    }
}

/// Writes values. A call that fails writes nothing of its own; what earlier calls wrote stays.
#[derive(Debug)]
pub struct Encoder<'w, 'b> {
    writer: &'w mut Writer<'b>,
}

impl<'w, 'b> Encoder<'w, 'b> {
    /// Appends to `writer`.
    pub fn new(writer: &'w mut Writer<'b>) -> Self {
        Encoder { writer }
    }

    /// Marker 0x00.
    pub fn number(&mut self, value: f64) -> Result<(), Full> {
        self.whole(|writer| {
            writer.put_u8(0x00)?;
            writer.put_f64(value)
        })
    }

    /// Marker 0x01.
    pub fn boolean(&mut self, value: bool) -> Result<(), Full> {
        self.writer.put_slice(&[0x01, value.into()])
    }

    /// Marker 0x02, or 0x0C for more than 65 535 bytes.
    pub fn string(&mut self, value: &str) -> Result<(), Full> {
        self.string_bytes(value.as_bytes())
    }

    /// As [`Encoder::string`], for a peer's string that may not be UTF-8.
    pub fn string_bytes(&mut self, value: &[u8]) -> Result<(), Full> {
        self.whole(|writer| {
            if let Ok(length) = u16::try_from(value.len()) {
                writer.put_u8(0x02)?;
                writer.put_u16(length)?;
            } else {
                writer.put_u8(0x0C)?;
                writer.put_u32(u32::try_from(value.len()).map_err(|_| Full)?)?;
            }
            writer.put_slice(value)
        })
    }

    /// Marker 0x05.
    pub fn null(&mut self) -> Result<(), Full> {
        self.writer.put_u8(0x05)
    }

    /// Marker 0x06. ffmpeg cannot read it.
    pub fn undefined(&mut self) -> Result<(), Full> {
        self.writer.put_u8(0x06)
    }

    /// Marker 0x03. Then follow keys and values, then [`Encoder::object_end`].
    pub fn object_begin(&mut self) -> Result<(), Full> {
        self.writer.put_u8(0x03)
    }

    /// A property's name; its value must follow. `Full` also for a name longer than 65 535 bytes.
    pub fn key(&mut self, key: &str) -> Result<(), Full> {
        self.whole(|writer| {
            writer.put_u16(u16::try_from(key.len()).map_err(|_| Full)?)?;
            writer.put_slice(key.as_bytes())
        })
    }

    /// Ends an object or ECMA array.
    pub fn object_end(&mut self) -> Result<(), Full> {
        self.writer.put_slice(&[0, 0, 0x09])
    }

    /// Marker 0x07: the object or array that came as number `index` in the message, see [`resolve`]. ffmpeg cannot read it.
    pub fn reference(&mut self, index: u16) -> Result<(), Full> {
        self.whole(|writer| {
            writer.put_u8(0x07)?;
            writer.put_u16(index)
        })
    }

    /// Marker 0x08. Then follow keys and values, then [`Encoder::object_end`]; `count` is a hint.
    pub fn ecma_array_begin(&mut self, count: u32) -> Result<(), Full> {
        self.whole(|writer| {
            writer.put_u8(0x08)?;
            writer.put_u32(count)
        })
    }

    /// Marker 0x0A. Then follow exactly `count` values and no end.
    pub fn strict_array_begin(&mut self, count: u32) -> Result<(), Full> {
        self.whole(|writer| {
            writer.put_u8(0x0A)?;
            writer.put_u32(count)
        })
    }

    /// Values that are encoded already; the caller answers for their form.
    pub fn encoded(&mut self, value: &[u8]) -> Result<(), Full> {
        self.writer.put_slice(value)
    }

    /// Marker 0x0B: milliseconds since 1970, UTC. The time zone is sent as 0 (section 2.13). ffmpeg cannot read it.
    pub fn date(&mut self, ms: f64) -> Result<(), Full> {
        self.whole(|writer| {
            writer.put_u8(0x0B)?;
            writer.put_f64(ms)?;
            writer.put_u16(0)
        })
    }

    /// A name and a string, whole or not at all.
    pub fn property_string(&mut self, key: &str, value: &str) -> Result<(), Full> {
        self.property(key, |encoder| encoder.string(value))
    }

    /// A name and a number, whole or not at all.
    pub fn property_number(&mut self, key: &str, value: f64) -> Result<(), Full> {
        self.property(key, |encoder| encoder.number(value))
    }

    /// A name and a boolean, whole or not at all.
    pub fn property_boolean(&mut self, key: &str, value: bool) -> Result<(), Full> {
        self.property(key, |encoder| encoder.boolean(value))
    }

    fn property(&mut self, key: &str, value: impl FnOnce(&mut Self) -> Result<(), Full>) -> Result<(), Full> {
        let start = self.writer.len();
        self.key(key)?;
        value(self).inspect_err(|_| self.writer.truncate(start))
    }

    fn whole(&mut self, put: impl FnOnce(&mut Writer<'b>) -> Result<(), Full>) -> Result<(), Full> {
        let start = self.writer.len();
        put(self.writer).inspect_err(|_| self.writer.truncate(start))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_value_is_shown_on_one_line_of_bounded_length() {
        extern crate std;
        use std::string::ToString;
        let mut bytes = [0; 1024];
        let mut writer = Writer::new(&mut bytes);
        let mut amf = Encoder::new(&mut writer);
        amf.object_begin().unwrap();
        amf.property_string("room", "a \"hall\"\n").unwrap();
        amf.key("seats").unwrap();
        amf.strict_array_begin(2).unwrap();
        amf.number(1.5).unwrap();
        amf.null().unwrap();
        amf.property_boolean("free", false).unwrap();
        amf.object_end().unwrap();
        let length = writer.len();
        let shown = Shown(&bytes[..length]).to_string();
        assert_eq!(shown, r#"{room: "a \"hall\"\n", seats: [1.5, null], free: false}"#);
        assert_eq!(Shown(&bytes[..length - 1]).to_string(), "?");
        let mut writer = Writer::new(&mut bytes);
        Encoder::new(&mut writer).string(&"ä".repeat(400)).unwrap();
        let length = writer.len();
        let cut = Shown(&bytes[..length]).to_string();
        assert!(cut.len() <= SHOWN_BYTES + 3 && cut.ends_with("ä…"), "{cut}");
    }

    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn one(bytes: &[u8]) -> Result<Value<'_>, AmfError> {
        let mut decoder = Decoder::new(bytes);
        let value = decoder.value()?;
        assert!(decoder.is_empty(), "{value:?} leaves {:?}", decoder.rest());
        Ok(value)
    }

    fn visit(value: &Value<'_>) -> usize {
        1 + match value {
            Value::StrictArray(elements) => elements.iter().map(|value| visit(&value)).sum(),
            Value::Amf3(value) => amf3::tests::visit(value),
            value => value.properties().map_or(0, |properties| properties.iter().map(|(_, value)| visit(&value)).sum()),
        }
    }

    #[test]
    fn every_marker_has_its_value() {
        assert_eq!(one(b"\x00\x3F\xF0\0\0\0\0\0\0"), Ok(Value::Number(1.0)));
        assert_eq!(one(b"\x01\x01"), Ok(Value::Boolean(true)));
        assert_eq!(one(b"\x02\0\x04live").unwrap().as_str(), Some("live"));
        assert_eq!(one(b"\x02\0\x01\xFF").unwrap().as_str(), None);
        assert_eq!(one(b"\x02\0\x01\xFF").unwrap().as_bytes(), Some(&b"\xFF"[..]));
        assert_eq!(one(b"\x03\0\x01a\x01\0\0\0\x09").unwrap().get("a"), Some(Value::Boolean(false)));
        assert_eq!(one(b"\x05"), Ok(Value::Null));
        assert_eq!(one(b"\x06"), Ok(Value::Undefined));
        assert_eq!(one(b"\x07\x01\x02"), Ok(Value::Reference(0x0102)));
        // The count of an ECMA array lies more often than not.
        assert_eq!(one(b"\x08\0\0\0\x63\0\x01a\x05\0\0\x09").unwrap().get("a"), Some(Value::Null));
        let Ok(Value::StrictArray(elements)) = one(b"\x0A\0\0\0\x02\x05\x01\x01") else { panic!("no array") };
        assert!(elements.iter().eq([Value::Null, Value::Boolean(true)]));
        assert_eq!(one(b"\x0B\x3F\xF0\0\0\0\0\0\0\xFF\xC4"), Ok(Value::Date { ms: 1.0, zone: -60 }));
        assert_eq!(one(b"\x0C\0\0\0\x01x"), Ok(Value::String(b"x")));
        assert_eq!(one(b"\x0D"), Ok(Value::Unsupported));
        assert_eq!(one(b"\x0F\0\0\0\x04<a/>"), Ok(Value::Xml(b"<a/>")));
        let Ok(Value::TypedObject { class: b"C", properties }) = one(b"\x10\0\x01C\0\x01a\x05\0\0\x09") else {
            panic!("no typed object")
        };
        assert_eq!(properties.raw(), b"\0\x01a\x05\0\0\x09");
        assert_eq!(one(b"\x11\x04\x05").unwrap().as_number(), Some(5.0));
        for marker in [0x04, 0x09, 0x0E, 0x12, 0xFF] {
            assert_eq!(one(&[marker]), Err(AmfError::Marker(marker)));
        }
    }

    #[test]
    fn the_connect_of_ffmpeg_is_understood() {
        let message = b"\x02\0\x07connect\x00\x3F\xF0\0\0\0\0\0\0\x03\
            \0\x03app\x02\0\x04live\
            \0\x04type\x02\0\x0Anonprivate\
            \0\x08flashVer\x02\0\x23FMLE/3.0 (compatible; Lavf61.7.100)\
            \0\x05tcUrl\x02\0\x1Artmp://localhost:1935/live\0\0\x09";
        let mut decoder = Decoder::new(message);
        assert_eq!(decoder.string(), Ok(&b"connect"[..]));
        assert_eq!(decoder.number(), Ok(1.0));
        let object = decoder.value().unwrap();
        assert_eq!(object.get("app").unwrap().as_str(), Some("live"));
        assert_eq!(object.get("tcUrl").unwrap().as_str(), Some("rtmp://localhost:1935/live"));
        assert_eq!(object.get("objectEncoding"), None);
        assert_eq!(object.properties().unwrap().iter().count(), 4);
        assert!(decoder.is_empty());
        assert_eq!(decoder.value(), Err(AmfError::Truncated));
    }

    #[test]
    fn the_metadata_of_obs_is_understood() {
        let message = b"\x02\0\x0D@setDataFrame\x02\0\x0AonMetaData\x08\0\0\0\x14\
            \0\x08duration\x00\0\0\0\0\0\0\0\0\
            \0\x08fileSize\x00\0\0\0\0\0\0\0\0\
            \0\x05width\x00\x40\x9E\0\0\0\0\0\0\
            \0\x06height\x00\x40\x90\xE0\0\0\0\0\0\
            \0\x0Cvideocodecid\x00\x40\x1C\0\0\0\0\0\0\
            \0\x0Dvideodatarate\x00\x40\xA3\x88\0\0\0\0\0\
            \0\x09framerate\x00\x40\x3E\0\0\0\0\0\0\
            \0\x0Caudiocodecid\x00\x40\x24\0\0\0\0\0\0\
            \0\x0Daudiodatarate\x00\x40\x64\0\0\0\0\0\0\
            \0\x0Faudiosamplerate\x00\x40\xE7\x70\0\0\0\0\0\
            \0\x0Faudiosamplesize\x00\x40\x30\0\0\0\0\0\0\
            \0\x0Daudiochannels\x00\x40\0\0\0\0\0\0\0\
            \0\x06stereo\x01\x01\0\x032.1\x01\0\0\x033.1\x01\0\
            \0\x034.0\x01\0\0\x034.1\x01\0\0\x035.1\x01\0\0\x037.1\x01\0\
            \0\x07encoder\x02\0\x29obs-output module (libobs version 31.0.0)\0\0\x09";
        let mut decoder = Decoder::new(message);
        assert_eq!(decoder.string(), Ok(&b"@setDataFrame"[..]));
        assert_eq!(decoder.string(), Ok(&b"onMetaData"[..]));
        let start = decoder.position() + 5;
        let metadata = decoder.value().unwrap();
        let number = |key| metadata.get(key).unwrap().as_number().unwrap();
        assert_eq!((number("width"), number("height"), number("framerate")), (1920.0, 1080.0, 30.0));
        assert_eq!((number("videocodecid"), number("audiocodecid"), number("audiosamplerate")), (7.0, 10.0, 48000.0));
        assert_eq!(metadata.get("stereo").unwrap().as_bool(), Some(true));
        assert_eq!(metadata.properties().unwrap().iter().count(), 20);
        assert_eq!(metadata.properties().unwrap().raw(), &message[start..]);
    }

    #[test]
    fn an_object_may_end_with_the_message_instead_of_its_end_marker() {
        let Value::Object(properties) = one(b"\x03\0\x01a\x03\0\x01b\x05").unwrap() else { panic!("no object") };
        assert_eq!(properties.raw(), b"\0\x01a\x03\0\x01b\x05");
        assert_eq!(properties.get("a").unwrap().get("b"), Some(Value::Null));
        for cut in [&b"\x03\0"[..], b"\x03\0\0", b"\x03\0\x01a", b"\x03\0\x01"] {
            assert_eq!(one(cut), Err(AmfError::Truncated));
        }
    }

    #[test]
    fn references_count_every_complex_object_of_the_message() {
        // 0: object, 1: strict array in it, 2: ECMA array, then a reference to each.
        let message =
            b"\x02\0\x01f\x03\0\x01a\x0A\0\0\0\x01\x05\0\0\x09\x08\0\0\0\0\0\x01b\x07\0\x02\0\0\x09\x07\0\x01";
        assert!(matches!(resolve(message, 0), Some(Value::Object(_))));
        assert!(matches!(resolve(message, 1), Some(Value::StrictArray(elements)) if elements.len() == 1));
        let inside_itself = resolve(message, 2).unwrap();
        assert_eq!(inside_itself.get("b"), Some(Value::Reference(2)));
        assert_eq!(resolve(message, 3), None);
    }

    #[test]
    fn nesting_beyond_the_limit_is_refused() {
        let nested = |count: usize| {
            let mut message = b"\x0A\0\0\0\x01".repeat(count);
            message.push(0x05);
            message
        };
        assert!(one(&nested(AMF_DEPTH)).is_ok());
        assert_eq!(one(&nested(AMF_DEPTH + 1)), Err(AmfError::Depth));
        assert_eq!(one(&nested(100_000)), Err(AmfError::Depth));
        // AMF 3 inside AMF 0 does not start again from the top.
        let mut message = b"\x0A\0\0\0\x01".repeat(AMF_DEPTH);
        message.extend_from_slice(b"\x11\x09\x01\x01");
        assert_eq!(one(&message), Err(AmfError::Depth));
    }

    #[test]
    fn amf3_values_of_one_message_share_their_references() {
        // "key" and an object in the first argument; both by reference in a later one, inside AMF 0.
        let message = b"\x11\x0A\x0B\x01\x07key\x04\x07\x01\x05\x03\0\x01o\x11\x0A\x00\0\x01s\x11\x06\x00\0\0\x09\
            \x11\x0A\x01\x00\x06\x00\x01";
        let mut decoder = Decoder::new(message);
        assert_eq!(decoder.value().unwrap().get("key").unwrap().as_number(), Some(7.0));
        assert_eq!(decoder.value(), Ok(Value::Null));
        let second = decoder.value().unwrap();
        assert_eq!(second.get("o").unwrap().get("key").unwrap().as_number(), Some(7.0));
        assert_eq!(second.get("s").unwrap().as_str(), Some("key"));
        // Traits by reference, dynamic name and value by reference.
        assert_eq!(decoder.value().unwrap().get("key").unwrap().as_str(), Some("key"));
        assert!(decoder.is_empty());
    }

    #[test]
    fn a_call_of_the_encoder_writes_whole_or_not_at_all() {
        let mut buffer = [0; 12];
        let mut writer = Writer::new(&mut buffer);
        let mut encoder = Encoder::new(&mut writer);
        encoder.object_begin().unwrap();
        assert_eq!(encoder.property_number("a", 1.0), Err(Full));
        assert_eq!(encoder.property_string("a", "too long"), Err(Full));
        assert_eq!(encoder.string("much too long"), Err(Full));
        encoder.property_boolean("a", true).unwrap();
        encoder.object_end().unwrap();
        assert_eq!(writer.written(), b"\x03\0\x01a\x01\x01\0\0\x09");
    }

    #[test]
    fn a_string_of_65_536_bytes_is_a_long_string() {
        let long = "x".repeat(65_536);
        let mut buffer = std::vec![0; 70_000];
        let mut writer = Writer::new(&mut buffer);
        Encoder::new(&mut writer).string(&long).unwrap();
        assert_eq!(&writer.written()[..6], b"\x0C\0\x01\0\0x");
        assert_eq!(one(writer.written()).unwrap().as_str(), Some(&long[..]));
        writer.truncate(0);
        Encoder::new(&mut writer).string(&long[1..]).unwrap();
        assert_eq!(&writer.written()[..4], b"\x02\xFF\xFFx");
    }

    /// A value that can be written, for the identity law.
    #[derive(Clone, Debug, PartialEq)]
    enum Tree {
        Number(f64),
        Boolean(bool),
        String(String),
        Null,
        Undefined,
        Object(Vec<(String, Tree)>),
        EcmaArray(Vec<(String, Tree)>),
        StrictArray(Vec<Tree>),
    }

    impl Tree {
        fn encode(&self, encoder: &mut Encoder<'_, '_>) -> Result<(), Full> {
            match self {
                Tree::Number(value) => encoder.number(*value),
                Tree::Boolean(value) => encoder.boolean(*value),
                Tree::String(value) => encoder.string(value),
                Tree::Null => encoder.null(),
                Tree::Undefined => encoder.undefined(),
                Tree::StrictArray(elements) => {
                    encoder.strict_array_begin(elements.len() as u32)?;
                    elements.iter().try_for_each(|element| element.encode(encoder))
                }
                Tree::Object(properties) | Tree::EcmaArray(properties) => {
                    match self {
                        Tree::Object(_) => encoder.object_begin()?,
                        _ => encoder.ecma_array_begin(properties.len() as u32)?,
                    }
                    for (key, value) in properties {
                        encoder.key(key)?;
                        value.encode(encoder)?;
                    }
                    encoder.object_end()
                }
            }
        }

        fn from_value(value: Value<'_>) -> Tree {
            let named = |properties: Properties<'_>| {
                let named = properties.iter();
                named.map(|(key, value)| (String::from_utf8(key.into()).unwrap(), Tree::from_value(value))).collect()
            };
            match value {
                Value::Number(value) => Tree::Number(value),
                Value::Boolean(value) => Tree::Boolean(value),
                Value::String(_) => Tree::String(value.as_str().unwrap().into()),
                Value::Null => Tree::Null,
                Value::Undefined => Tree::Undefined,
                Value::Object(properties) => Tree::Object(named(properties)),
                Value::EcmaArray(properties) => Tree::EcmaArray(named(properties)),
                Value::StrictArray(elements) => Tree::StrictArray(elements.iter().map(Tree::from_value).collect()),
                value => panic!("{value:?} was not written"),
            }
        }

        fn bytes(&self) -> Vec<u8> {
            let mut buffer = std::vec![0; 1 << 16];
            let mut writer = Writer::new(&mut buffer);
            self.encode(&mut Encoder::new(&mut writer)).unwrap();
            writer.written().into()
        }
    }

    fn tree() -> impl Strategy<Value = Tree> {
        let named = |inner: BoxedStrategy<Tree>| prop::collection::vec(("\\PC{0,5}", inner), 0..4);
        let leaf = prop_oneof![
            prop::num::f64::NORMAL.prop_map(Tree::Number),
            any::<bool>().prop_map(Tree::Boolean),
            "\\PC{0,9}".prop_map(Tree::String),
            Just(Tree::Null),
            Just(Tree::Undefined),
        ];
        leaf.prop_recursive(4, 32, 4, move |inner| {
            prop_oneof![
                named(inner.clone().boxed()).prop_map(Tree::Object),
                named(inner.clone().boxed()).prop_map(Tree::EcmaArray),
                prop::collection::vec(inner, 0..4).prop_map(Tree::StrictArray),
            ]
        })
    }

    /// Bytes that get far: mostly markers, small lengths and end marks.
    fn plausible_bytes() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(
            prop_oneof![6 => 0..0x12_u8, 2 => Just(0_u8), 1 => Just(0x11_u8), 1 => any::<u8>()],
            0..200,
        )
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(tree in tree()) {
            let bytes = tree.bytes();
            prop_assert_eq!(Tree::from_value(one(&bytes).unwrap()), tree);
        }

        #[test]
        fn a_message_cut_anywhere_is_truncated_or_a_prefix(tree in tree(), cut in any::<prop::sample::Index>()) {
            let bytes = tree.bytes();
            let cut = &bytes[..cut.index(bytes.len())];
            let mut decoder = Decoder::new(cut);
            match decoder.value() {
                Ok(value) => { visit(&value); prop_assert!(decoder.is_empty()) }
                Err(error) => prop_assert_eq!(error, AmfError::Truncated),
            }
        }

        #[test]
        fn any_bytes_are_values_or_an_error(bytes in plausible_bytes()) {
            let mut decoder = Decoder::new(&bytes);
            let mut position = 0;
            while let Ok(value) = decoder.value() {
                prop_assert!(decoder.position() > position && decoder.position() <= bytes.len());
                position = decoder.position();
                let visited = visit(&value);
                prop_assert!(visited <= bytes.len());
                if let Value::StrictArray(elements) = value {
                    prop_assert_eq!(elements.iter().count(), elements.len());
                }
            }
            for index in 0..4 {
                if let Some(value) = resolve(&bytes, index) {
                    visit(&value);
                }
            }
        }
    }
}
