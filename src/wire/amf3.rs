//! AMF 3, read side (Adobe, "AMF 3", January 2013): what an ActionScript 3 client puts after the marker 0x11 of AMF 0.
//!
//! Values are views of the message; nothing is copied. AMF 3 refers back to earlier strings, objects and traits by
//! number, so a view remembers the message and its own place in it, and finds its reference tables again when it is
//! opened by walking the message from its start. **Cost:** opening a view ([`Properties::iter`], [`Properties::get`],
//! [`Elements::iter`], [`Pairs::iter`], [`Reference::resolve`]) is one walk over the message up to the end of what is
//! read, so visiting all of a message is at most quadratic in its length. Validation never follows an object reference:
//! it becomes [`Value::Reference`], and following it is the caller's decision, one level at a time. So neither a cycle
//! nor a "billion laughs" object can make us loop.
//!
//! All AMF 3 values of one message share their tables (section 4.1): Flash Player counts through all arguments of a call.

use core::fmt;

use heapless::Vec;

use crate::limits::AMF_DEPTH;
use crate::wire::amf0::{self, AmfError};
use crate::wire::bytes::{ByteReader, Truncated};

/// Strings a message can refer back to. A reference beyond is [`AmfError::Limit`]; more strings without one are fine.
pub const STRING_REFERENCES: usize = 128;
/// Objects, arrays, dates and so on a message can refer back to. A reference beyond is [`AmfError::Limit`].
pub const OBJECT_REFERENCES: usize = 128;
/// Traits (class descriptions) a message can refer back to. A reference beyond is [`AmfError::Limit`].
pub const TRAIT_REFERENCES: usize = 32;

/// One AMF 3 value. Equality compares encoding and place, not meaning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Marker 0x00.
    Undefined,
    /// Marker 0x01.
    Null,
    /// Markers 0x02 and 0x03.
    Boolean(bool),
    /// Marker 0x04: 29 bits, signed. Also an element of a `Vector.<int>`, with 32 bits.
    Integer(i32),
    /// Marker 0x05. Also an element of a `Vector.<uint>` or `Vector.<Number>`.
    Number(f64),
    /// Marker 0x06. Bytes, because clients send invalid UTF-8.
    String(&'a [u8]),
    /// Marker 0x07, `flash.xml.XMLDocument`.
    XmlDocument(&'a [u8]),
    /// Marker 0x08.
    Date {
        /// Milliseconds since 1970, UTC.
        ms: f64,
    },
    /// Marker 0x09.
    Array(Array<'a>),
    /// Marker 0x0A.
    Object {
        /// Class name, empty for an anonymous object.
        class: &'a [u8],
        /// Sealed members first, then dynamic ones.
        properties: Properties<'a>,
    },
    /// Marker 0x0B, E4X.
    Xml(&'a [u8]),
    /// Marker 0x0C.
    ByteArray(&'a [u8]),
    /// Markers 0x0D to 0x10: vectors of int, uint, Number and objects.
    Vector(Elements<'a>),
    /// Marker 0x11.
    Dictionary(Pairs<'a>),
    /// An earlier (or enclosing) value with marker 0x07 to 0x11.
    Reference(Reference<'a>),
}

impl<'a> Value<'a> {
    /// The number of an integer or double.
    pub fn as_number(&self) -> Option<f64> {
        match *self {
            Value::Integer(value) => Some(value.into()),
            Value::Number(value) => Some(value),
            _ => None,
        }
    }

    /// The value of a boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match *self {
            Value::Boolean(value) => Some(value),
            _ => None,
        }
    }

    /// The bytes of a string, XML or byte array, through a reference.
    pub fn as_bytes(&self) -> Option<&'a [u8]> {
        match self.resolved()? {
            Value::String(bytes) | Value::XmlDocument(bytes) | Value::Xml(bytes) | Value::ByteArray(bytes) => {
                Some(bytes)
            }
            _ => None,
        }
    }

    /// The text of a string or XML, if it is valid UTF-8.
    pub fn as_str(&self) -> Option<&'a str> {
        match self.resolved()? {
            Value::String(bytes) | Value::XmlDocument(bytes) | Value::Xml(bytes) => core::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// The named members of an object or array, through a reference.
    pub fn properties(&self) -> Option<Properties<'a>> {
        match self.resolved()? {
            Value::Object { properties, .. } => Some(properties),
            Value::Array(array) => Some(array.properties()),
            _ => None,
        }
    }

    /// The numbered elements of an array or vector, through a reference.
    pub fn elements(&self) -> Option<Elements<'a>> {
        match self.resolved()? {
            Value::Array(array) => Some(array.elements()),
            Value::Vector(elements) => Some(elements),
            _ => None,
        }
    }

    fn resolved(self) -> Option<Value<'a>> {
        match self {
            Value::Reference(reference) => reference.resolve(),
            value => Some(value),
        }
    }
}

/// An array: named members, then numbered elements (section 3.11).
#[derive(Clone, Copy, PartialEq)]
pub struct Array<'a> {
    view: View<'a>,
    count: u32,
}

impl<'a> Array<'a> {
    /// Members with a name ("associative portion").
    pub fn properties(&self) -> Properties<'a> {
        Properties { view: self.view }
    }

    /// Members numbered from 0 without a gap ("dense portion").
    pub fn elements(&self) -> Elements<'a> {
        Elements { view: self.view, count: self.count }
    }
}

impl fmt::Debug for Array<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} {:?}", self.properties(), self.elements())
    }
}

/// Named members of an object or array.
#[derive(Clone, Copy, PartialEq)]
pub struct Properties<'a> {
    view: View<'a>,
}

impl<'a> Properties<'a> {
    /// Names and values in the order sent.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], Value<'a>)> + use<'a> {
        PropertyIter::open(self.view).into_iter().flatten()
    }

    /// The first value called `key`.
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        self.iter().find(|(name, _)| *name == key.as_bytes()).map(|(_, value)| value)
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

/// Numbered elements of an array or vector.
#[derive(Clone, Copy, PartialEq)]
pub struct Elements<'a> {
    view: View<'a>,
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
        ElementIter::open(self.view).into_iter().flatten()
    }

    /// The element at `index`, counted from 0.
    pub fn get(&self, index: usize) -> Option<Value<'a>> {
        self.iter().nth(index)
    }
}

impl fmt::Debug for Elements<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.iter()).finish()
    }
}

/// Entries of a dictionary, whose keys are values.
#[derive(Clone, Copy, PartialEq)]
pub struct Pairs<'a> {
    view: View<'a>,
    count: u32,
}

impl<'a> Pairs<'a> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Keys and values in the order sent.
    pub fn iter(&self) -> impl Iterator<Item = (Value<'a>, Value<'a>)> + use<'a> {
        PairIter::open(self.view).into_iter().flatten()
    }
}

impl fmt::Debug for Pairs<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_map().entries(self.iter()).finish()
    }
}

/// A reference to an earlier or enclosing value.
#[derive(Clone, Copy, PartialEq)]
pub struct Reference<'a> {
    view: View<'a>,
}

impl<'a> Reference<'a> {
    /// The value referred to. A caller that visits whole trees must bound its depth: a value can contain itself.
    pub fn resolve(&self) -> Option<Value<'a>> {
        ReferenceWalk::reach(self.view)?.value(0).ok()
    }
}

impl fmt::Debug for Reference<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Following it could go round in a circle.
        write!(formatter, "Reference(to byte {})", self.view.at)
    }
}

/// Decodes a sequence of AMF 3 values that is not wrapped in AMF 0. RTMP does not have any; shared objects and files do.
#[derive(Clone, Debug)]
pub struct Decoder<'a> {
    scan: ReferenceWalk<'a>,
    failed: Option<AmfError>,
}

impl<'a> Decoder<'a> {
    /// Starts at the first byte.
    pub fn new(message: &'a [u8]) -> Self {
        Decoder { scan: ReferenceWalk::new(message, MessageFormat::Amf3), failed: None }
    }

    /// Decodes and validates one value with all it contains. After an error every further call gives it again.
    pub fn value(&mut self) -> Result<Value<'a>, AmfError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.scan.value(0).inspect_err(|error| self.failed = Some(*error))
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
}

/// How the message around a view is to be walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MessageFormat {
    Amf0,
    Amf3,
}

/// A place in a message: the marker of an AMF 3 value that has been validated.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct View<'a> {
    pub(super) message: &'a [u8],
    pub(super) framing: MessageFormat,
    pub(super) at: usize,
}

/// Offsets of what can be referred to, in order of appearance.
#[derive(Clone, Debug)]
struct ReferenceTable<const N: usize> {
    offsets: Vec<u32, N>,
    count: u32,
}

impl<const N: usize> ReferenceTable<N> {
    const fn new() -> Self {
        ReferenceTable { offsets: Vec::new(), count: 0 }
    }

    fn add(&mut self, at: usize) {
        // One that does not fit is only counted; referring to it is the error.
        if let Ok(at) = u32::try_from(at) {
            let _ = self.offsets.push(at);
        }
        self.count = self.count.saturating_add(1);
    }

    fn at(&self, index: u32) -> Result<usize, AmfError> {
        if index >= self.count {
            return Err(AmfError::Malformed);
        }
        self.offsets.get(index as usize).map(|at| *at as usize).ok_or(AmfError::Limit)
    }
}

/// A walk over a message with the reference tables as they stand at its position.
#[derive(Clone, Debug)]
pub(super) struct ReferenceWalk<'a> {
    pub(super) reader: ByteReader<'a>,
    framing: MessageFormat,
    /// The walk ends, with an error, when an AMF 3 value begins here.
    pub(super) stop: usize,
    strings: ReferenceTable<STRING_REFERENCES>,
    objects: ReferenceTable<OBJECT_REFERENCES>,
    traits: ReferenceTable<TRAIT_REFERENCES>,
}

/// Class description of an object (section 3.12).
pub(super) struct Traits<'a> {
    pub(super) class: &'a [u8],
    pub(super) externalizable: bool,
    pub(super) dynamic: bool,
    pub(super) sealed_count: u32,
    pub(super) names: ByteReader<'a>,
}

impl Traits<'_> {
    /// How a class that writes itself does so is its own business; these three of Flex write one value.
    pub(super) fn wraps_a_value(&self) -> bool {
        const FLEX: [&[u8]; 3] =
            [b"flex.messaging.io.ArrayCollection", b"flex.messaging.io.ArrayList", b"flex.messaging.io.ObjectProxy"];
        self.externalizable && FLEX.contains(&self.class)
    }
}

impl<'a> ReferenceWalk<'a> {
    pub(super) fn new(message: &'a [u8], framing: MessageFormat) -> Self {
        Self::at(message, framing, 0)
    }

    /// A walk from `position` with empty tables.
    pub(super) fn at(message: &'a [u8], framing: MessageFormat, position: usize) -> Self {
        ReferenceWalk {
            reader: ByteReader::at(message, position),
            framing,
            stop: usize::MAX,
            strings: ReferenceTable::new(),
            objects: ReferenceTable::new(),
            traits: ReferenceTable::new(),
        }
    }

    /// Walks the message from its start to the view, so that the tables are right there.
    pub(super) fn reach(view: View<'a>) -> Option<Self> {
        let mut scan = match view.framing {
            MessageFormat::Amf0 => amf0::walk_to(view.message, view.at),
            MessageFormat::Amf3 => {
                let mut scan = ReferenceWalk::new(view.message, MessageFormat::Amf3);
                scan.stop = view.at;
                while scan.reader.remaining() > 0 && scan.value(0).is_ok() {}
                scan
            }
        };
        scan.stop = usize::MAX;
        (scan.reader.position() == view.at).then_some(scan)
    }

    /// Decodes one value and walks over all it contains. `depth` counts the containers around it.
    pub(super) fn value(&mut self, depth: usize) -> Result<Value<'a>, AmfError> {
        let at = self.reader.position();
        if at == self.stop {
            return Err(AmfError::Malformed);
        }
        Ok(match self.reader.u8()? {
            0x00 => Value::Undefined,
            0x01 => Value::Null,
            0x02 => Value::Boolean(false),
            0x03 => Value::Boolean(true),
            // Shifting left and back spreads bit 28, the sign (section 3.6).
            0x04 => Value::Integer((u29(&mut self.reader)? << 3) as i32 >> 3),
            0x05 => Value::Number(self.reader.f64()?),
            0x06 => Value::String(self.string()?),
            marker @ 0x07..=0x11 => {
                let header = u29(&mut self.reader)?;
                if header & 1 == 0 {
                    let at = self.referred(header)?;
                    return Ok(Value::Reference(Reference { view: self.view(at) }));
                }
                self.objects.add(at);
                self.complex(marker, header >> 1, at, depth)?
            }
            marker => return Err(AmfError::Marker(marker)),
        })
    }

    /// A value that can be referred to, after its marker and header; `count` is the header without its lowest bit.
    fn complex(&mut self, marker: u8, count: u32, at: usize, depth: usize) -> Result<Value<'a>, AmfError> {
        let view = self.view(at);
        match marker {
            0x07 => return Ok(Value::XmlDocument(self.reader.take(count as usize)?)),
            0x08 => return Ok(Value::Date { ms: self.reader.f64()? }),
            0x0B => return Ok(Value::Xml(self.reader.take(count as usize)?)),
            0x0C => return Ok(Value::ByteArray(self.reader.take(count as usize)?)),
            _ => {}
        }
        if depth >= AMF_DEPTH {
            return Err(AmfError::Depth);
        }
        match marker {
            0x09 => {
                self.skip_named(depth + 1)?;
                self.skip_values(count, depth + 1)?;
                Ok(Value::Array(Array { view, count }))
            }
            0x0A => self.object(count, view, depth),
            0x0D..=0x0F => {
                self.reader.u8()?;
                // At most 2^28 elements of eight bytes: fits 32 bits.
                self.reader.take(count as usize * if marker == 0x0F { 8 } else { 4 })?;
                Ok(Value::Vector(Elements { view, count }))
            }
            0x10 => {
                self.reader.u8()?;
                self.string()?;
                self.skip_values(count, depth + 1)?;
                Ok(Value::Vector(Elements { view, count }))
            }
            _ => {
                self.reader.u8()?;
                for _ in 0..count {
                    self.skip_values(2, depth + 1)?;
                }
                Ok(Value::Dictionary(Pairs { view, count }))
            }
        }
    }

    fn object(&mut self, header: u32, view: View<'a>, depth: usize) -> Result<Value<'a>, AmfError> {
        let traits = self.traits(header, view.at + 1)?;
        if traits.externalizable {
            return if traits.wraps_a_value() { self.value(depth + 1) } else { Err(AmfError::Unsupported) };
        }
        self.skip_values(traits.sealed_count, depth + 1)?;
        if traits.dynamic {
            self.skip_named(depth + 1)?;
        }
        Ok(Value::Object { class: traits.class, properties: Properties { view } })
    }

    /// Traits, of which `header` is the object's header without its lowest bit, and `at` that header's place.
    pub(super) fn traits(&mut self, header: u32, at: usize) -> Result<Traits<'a>, AmfError> {
        if header & 1 == 0 {
            return self.read_traits(self.traits.at(header >> 1)?);
        }
        self.traits.add(at);
        self.string()?;
        let traits = self.read_traits(at)?;
        for _ in 0..traits.sealed_count {
            self.string()?;
        }
        Ok(traits)
    }

    /// Reads traits written out at `at` without entering anything into the tables.
    fn read_traits(&self, at: usize) -> Result<Traits<'a>, AmfError> {
        let mut names = ByteReader::at(self.reader.bytes(), at);
        let header = u29(&mut names)? >> 2;
        let class = self.known_string(&mut names)?;
        let externalizable = header & 1 == 1;
        let sealed_count = if externalizable { 0 } else { header >> 2 };
        Ok(Traits { class, externalizable, dynamic: header & 2 == 2, sealed_count, names })
    }

    /// A string (section 3.8), entered into the table unless it is empty or a reference.
    pub(super) fn string(&mut self) -> Result<&'a [u8], AmfError> {
        let at = self.reader.position();
        let mut reader = self.reader;
        let string = self.known_string(&mut reader)?;
        // A header's lowest bit says whether the characters follow; it is the lowest of its last byte.
        if !string.is_empty() && u29(&mut self.reader)? & 1 == 1 {
            self.strings.add(at);
        }
        self.reader = reader;
        Ok(string)
    }

    /// A string that is in the table already, or empty.
    pub(super) fn known_string(&self, reader: &mut ByteReader<'a>) -> Result<&'a [u8], AmfError> {
        let header = u29(reader)?;
        if header & 1 == 1 {
            return Ok(reader.take((header >> 1) as usize)?);
        }
        let mut referred = ByteReader::at(self.reader.bytes(), self.strings.at(header >> 1)?);
        let length = u29(&mut referred)? >> 1;
        Ok(referred.take(length as usize)?)
    }

    fn skip_values(&mut self, count: u32, depth: usize) -> Result<(), AmfError> {
        // Every value takes a byte, so a lying count ends with the input.
        for _ in 0..count {
            self.value(depth)?;
        }
        Ok(())
    }

    fn skip_named(&mut self, depth: usize) -> Result<(), AmfError> {
        while !self.string()?.is_empty() {
            self.value(depth)?;
        }
        Ok(())
    }

    /// Where the value begins that the reference with this header means.
    pub(super) fn referred(&self, header: u32) -> Result<usize, AmfError> {
        self.objects.at(header >> 1)
    }

    /// Enters the value at the reader: its marker, and its header without the lowest bit.
    pub(super) fn enter(&mut self) -> Option<(u8, u32)> {
        self.objects.add(self.reader.position());
        let marker = self.reader.u8().ok()?;
        let header = u29(&mut self.reader).ok()?;
        Some((marker, header >> 1))
    }

    fn view(&self, at: usize) -> View<'a> {
        View { message: self.reader.bytes(), framing: self.framing, at }
    }
}

struct PropertyIter<'a> {
    scan: ReferenceWalk<'a>,
    names: ByteReader<'a>,
    sealed_left: u32,
    dynamic: bool,
}

impl<'a> PropertyIter<'a> {
    fn open(view: View<'a>) -> Option<Self> {
        let mut scan = ReferenceWalk::reach(view)?;
        let (marker, header) = scan.enter()?;
        if marker == 0x09 {
            return Some(PropertyIter { names: scan.reader, scan, sealed_left: 0, dynamic: true });
        }
        let traits = scan.traits(header, view.at + 1).ok()?;
        Some(PropertyIter { scan, names: traits.names, sealed_left: traits.sealed_count, dynamic: traits.dynamic })
    }
}

impl<'a> Iterator for PropertyIter<'a> {
    type Item = (&'a [u8], Value<'a>);

    // What is iterated has been validated, so an error cannot happen; it would end the iteration.
    fn next(&mut self) -> Option<Self::Item> {
        if self.sealed_left > 0 {
            self.sealed_left -= 1;
            let name = self.scan.known_string(&mut self.names).ok()?;
            return Some((name, self.scan.value(0).ok()?));
        }
        if !self.dynamic {
            return None;
        }
        let name = self.scan.string().ok().filter(|name| !name.is_empty());
        self.dynamic = name.is_some();
        Some((name?, self.scan.value(0).ok()?))
    }
}

struct ElementIter<'a> {
    scan: ReferenceWalk<'a>,
    marker: u8,
    left: u32,
}

impl<'a> ElementIter<'a> {
    fn open(view: View<'a>) -> Option<Self> {
        let mut scan = ReferenceWalk::reach(view)?;
        let (marker, left) = scan.enter()?;
        if marker == 0x09 {
            scan.skip_named(0).ok()?;
        } else {
            scan.reader.u8().ok()?;
        }
        if marker == 0x10 {
            scan.string().ok()?;
        }
        Some(ElementIter { scan, marker, left })
    }
}

impl<'a> Iterator for ElementIter<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let reader = &mut self.scan.reader;
        match self.marker {
            0x0D => Some(Value::Integer(reader.u32().ok()? as i32)),
            0x0E => Some(Value::Number(reader.u32().ok()?.into())),
            0x0F => Some(Value::Number(reader.f64().ok()?)),
            _ => self.scan.value(0).ok(),
        }
    }
}

struct PairIter<'a> {
    scan: ReferenceWalk<'a>,
    left: u32,
}

impl<'a> PairIter<'a> {
    fn open(view: View<'a>) -> Option<Self> {
        let mut scan = ReferenceWalk::reach(view)?;
        let (_, left) = scan.enter()?;
        scan.reader.u8().ok()?;
        Some(PairIter { scan, left })
    }
}

impl<'a> Iterator for PairIter<'a> {
    type Item = (Value<'a>, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        Some((self.scan.value(0).ok()?, self.scan.value(0).ok()?))
    }
}

/// An unsigned integer of up to 29 bits in one to four bytes (section 1.3.1).
pub(super) fn u29(reader: &mut ByteReader<'_>) -> Result<u32, Truncated> {
    let mut value = 0;
    for _ in 0..3 {
        let byte = reader.u8()?;
        value = value << 7 | u32::from(byte & 0x7F);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    // The fourth byte has eight bits of value and no flag.
    Ok(value << 8 | u32::from(reader.u8()?))
}

#[cfg(test)]
pub(super) mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    /// Visits everything a value contains, and resolves references one level; gives the number of values.
    pub(in crate::wire) fn visit(value: &Value<'_>) -> usize {
        1 + match value {
            Value::Array(array) => {
                assert_eq!(array.elements().iter().count(), array.elements().len());
                let named = array.properties().iter().map(|(_, value)| visit(&value)).sum::<usize>();
                named + array.elements().iter().map(|value| visit(&value)).sum::<usize>()
            }
            Value::Object { properties, .. } => properties.iter().map(|(_, value)| visit(&value)).sum(),
            Value::Vector(elements) => {
                assert_eq!(elements.iter().count(), elements.len());
                elements.iter().map(|value| visit(&value)).sum()
            }
            Value::Dictionary(pairs) => {
                assert_eq!(pairs.iter().count(), pairs.len());
                pairs.iter().map(|(key, value)| visit(&key) + visit(&value)).sum()
            }
            Value::Reference(reference) => {
                reference.resolve();
                0
            }
            _ => 0,
        }
    }

    fn one(bytes: &[u8]) -> Result<Value<'_>, AmfError> {
        let mut decoder = Decoder::new(bytes);
        let value = decoder.value()?;
        assert!(decoder.is_empty(), "{value:?} leaves {:?}", decoder.rest());
        Ok(value)
    }

    #[test]
    fn every_simple_marker_has_its_value() {
        assert_eq!(one(b"\x00"), Ok(Value::Undefined));
        assert_eq!(one(b"\x01"), Ok(Value::Null));
        assert_eq!(one(b"\x02"), Ok(Value::Boolean(false)));
        assert_eq!(one(b"\x03"), Ok(Value::Boolean(true)));
        assert_eq!(one(b"\x05\x3F\xF0\0\0\0\0\0\0"), Ok(Value::Number(1.0)));
        assert_eq!(one(b"\x06\x07key").unwrap().as_str(), Some("key"));
        assert_eq!(one(b"\x06\x01").unwrap().as_str(), Some(""));
        assert_eq!(one(b"\x07\x09<a/>"), Ok(Value::XmlDocument(b"<a/>")));
        assert_eq!(one(b"\x08\x01\x3F\xF0\0\0\0\0\0\0"), Ok(Value::Date { ms: 1.0 }));
        assert_eq!(one(b"\x0B\x09<a/>"), Ok(Value::Xml(b"<a/>")));
        assert_eq!(one(b"\x0C\x05\xFF\x00"), Ok(Value::ByteArray(b"\xFF\x00")));
        assert_eq!(one(b"\x12"), Err(AmfError::Marker(0x12)));
    }

    #[test]
    fn integers_have_29_bits_and_a_sign() {
        assert_eq!(one(b"\x04\x7F"), Ok(Value::Integer(127)));
        assert_eq!(one(b"\x04\x81\x00"), Ok(Value::Integer(128)));
        assert_eq!(one(b"\x04\xFF\x7F"), Ok(Value::Integer(0x3FFF)));
        assert_eq!(one(b"\x04\x81\x80\x00"), Ok(Value::Integer(0x4000)));
        assert_eq!(one(b"\x04\x80\xC0\x80\x00"), Ok(Value::Integer(0x20_0000)));
        assert_eq!(one(b"\x04\xBF\xFF\xFF\xFF"), Ok(Value::Integer(0x0FFF_FFFF)));
        assert_eq!(one(b"\x04\xC0\x80\x80\x00"), Ok(Value::Integer(-0x1000_0000)));
        assert_eq!(one(b"\x04\xFF\xFF\xFF\xFF"), Ok(Value::Integer(-1)));
    }

    #[test]
    fn an_array_has_named_and_numbered_members() {
        let value = one(b"\x09\x05\x03a\x04\x01\x01\x06\x00\x03").unwrap();
        assert_eq!(value.properties().unwrap().get("a"), Some(Value::Integer(1)));
        let elements: Vec<_> = value.elements().unwrap().iter().collect();
        assert_eq!(elements, [Value::String(b"a"), Value::Boolean(true)]);
    }

    #[test]
    fn traits_strings_and_objects_can_be_referred_to() {
        // [Point{x: 1, y: -1}, Point{x: "x", y: the first}, the array]
        let value = one(b"\x09\x07\x01\
            \x0A\x23\x0BPoint\x03x\x03y\x04\x01\x04\xFF\xFF\xFF\xFF\
            \x0A\x01\x06\x02\x0A\x02\
            \x09\x00")
        .unwrap();
        let elements: Vec<_> = value.elements().unwrap().iter().collect();
        assert!(matches!(elements[0], Value::Object { class: b"Point", .. }));
        assert!(matches!(elements[1], Value::Object { class: b"Point", .. }));
        let second = elements[1].properties().unwrap();
        assert_eq!(second.get("x").unwrap().as_str(), Some("x"));
        let first = second.get("y").unwrap();
        assert!(matches!(first, Value::Reference(_)));
        assert_eq!(first.properties().unwrap().get("y"), Some(Value::Integer(-1)));
        // A cycle is visited only as far as the caller goes.
        let Value::Reference(reference) = elements[2] else { panic!("no reference") };
        assert_eq!(reference.resolve(), Some(value));
        assert_eq!(visit(&value), 8);
    }

    #[test]
    fn an_object_has_sealed_then_dynamic_members() {
        let value = one(b"\x0A\x1B\x01\x03a\x04\x01\x03b\x0A\x0B\x01\x03c\x03\x01\x00\x02\x01").unwrap();
        let names: Vec<_> = value.properties().unwrap().iter().map(|(name, _)| name).collect();
        assert_eq!(names, [b"a", b"b", b"a"]);
        let inner = value.properties().unwrap().get("b").unwrap();
        assert_eq!(inner.properties().unwrap().get("c"), Some(Value::Boolean(true)));
        assert_eq!(std::format!("{:?}", inner.properties().unwrap()), "{c: Boolean(true)}");
    }

    #[test]
    fn vectors_and_dictionaries_are_read() {
        let elements = |bytes| one(bytes).unwrap().elements().unwrap().iter().collect::<Vec<_>>();
        assert_eq!(elements(b"\x0D\x05\x00\xFF\xFF\xFF\xFF\0\0\0\x01"), [Value::Integer(-1), Value::Integer(1)]);
        assert_eq!(elements(b"\x0E\x03\x01\xFF\xFF\xFF\xFF"), [Value::Number(4_294_967_295.0)]);
        assert_eq!(elements(b"\x0F\x03\x00\x3F\xF0\0\0\0\0\0\0"), [Value::Number(1.0)]);
        assert_eq!(elements(b"\x10\x05\x00\x03C\x01\x06\x00"), [Value::Null, Value::String(b"C")]);
        let Ok(Value::Dictionary(pairs)) = one(b"\x11\x03\x00\x04\x01\x06\x03v") else { panic!("no dictionary") };
        assert!(pairs.iter().eq([(Value::Integer(1), Value::String(b"v"))]));
    }

    #[test]
    fn of_classes_that_write_themselves_only_those_of_flex_that_wrap_a_value_are_read() {
        let mut wrapped = b"\x09\x05\x01\x0A\x07\x43flex.messaging.io.ArrayCollection\x09\x03\x01\x04\x05".to_vec();
        // The second element refers to the collection and so means the array in it.
        wrapped.extend_from_slice(b"\x0A\x02");
        let value = one(&wrapped).unwrap();
        for element in value.elements().unwrap().iter() {
            assert_eq!(element.elements().unwrap().get(0), Some(Value::Integer(5)));
        }
        assert_eq!(one(b"\x0A\x07\x07DSK\x00"), Err(AmfError::Unsupported));
    }

    #[test]
    fn references_are_checked_and_bounded() {
        assert_eq!(one(b"\x06\x00"), Err(AmfError::Malformed));
        assert_eq!(one(b"\x09\x02"), Err(AmfError::Malformed));
        assert_eq!(one(b"\x0A\x01"), Err(AmfError::Malformed));
        // An array of strings "x", one more than is kept, then a reference to the last.
        let count = STRING_REFERENCES as u16 + 1;
        let header = (count + 1) << 1 | 1;
        let mut message = std::vec![0x09, 0x80 | (header >> 7) as u8, header as u8 & 0x7F, 0x01];
        (0..count).for_each(|_| message.extend_from_slice(b"\x06\x03x"));
        message.extend_from_slice(&[0x06, 0x82, 0x00]);
        assert_eq!(one(&message), Err(AmfError::Limit));
        let last = message.len() - 2;
        message[last..].copy_from_slice(&[0x81, 0x7E]);
        assert_eq!(one(&message).unwrap().elements().unwrap().len(), usize::from(count) + 1);
    }

    #[test]
    fn nesting_beyond_the_limit_is_refused() {
        let nested = |count: usize| [b"\x09\x03\x01".repeat(count), std::vec![0x01]].concat();
        assert!(one(&nested(AMF_DEPTH)).is_ok());
        assert_eq!(one(&nested(AMF_DEPTH + 1)), Err(AmfError::Depth));
        assert_eq!(one(&b"\x0A\x07\x3Bflex.messaging.io.ObjectProxy".repeat(100)), Err(AmfError::Depth));
    }

    #[test]
    fn a_message_cut_anywhere_is_truncated() {
        let message = b"\x09\x07\x01\x0A\x23\x0BPoint\x03x\x03y\x04\x01\x04\xFF\xFF\xFF\xFF\x0A\x01\x06\x02\x0A\x02\
            \x11\x03\x00\x0A\x0B\x01\x03k\x0C\x05\0\0\x01\x10\x03\x00\x01\x08\x01\0\0\0\0\0\0\0\0";
        visit(&one(message).unwrap());
        for cut in 0..message.len() {
            assert_eq!(one(&message[..cut]), Err(AmfError::Truncated), "cut at {cut}");
        }
    }

    /// A value as Flash Player writes it, each string and each class description only once.
    #[derive(Clone, Debug, PartialEq)]
    enum Tree {
        Integer(i32),
        Number(f64),
        String(String),
        Array(Vec<(String, Tree)>, Vec<Tree>),
        Object(String, Vec<(String, Tree)>),
    }

    #[derive(Default)]
    struct Sender {
        bytes: Vec<u8>,
        strings: Vec<String>,
        traits: Vec<(String, Vec<String>)>,
    }

    impl Sender {
        fn u29(&mut self, value: u32) {
            match value {
                0..0x80 => self.bytes.push(value as u8),
                0x80..0x4000 => self.bytes.extend([(value >> 7) as u8 | 0x80, value as u8 & 0x7F]),
                0x4000..0x20_0000 => {
                    self.bytes.extend([(value >> 14) as u8 | 0x80, (value >> 7) as u8 | 0x80, value as u8 & 0x7F]);
                }
                _ => {
                    let high = [(value >> 22) as u8 | 0x80, (value >> 15) as u8 | 0x80, (value >> 8) as u8 | 0x80];
                    self.bytes.extend(high);
                    self.bytes.push(value as u8);
                }
            }
        }

        fn string(&mut self, string: &str) {
            if let Some(index) = self.strings.iter().position(|known| known == string) {
                return self.u29((index as u32) << 1);
            }
            if !string.is_empty() {
                self.strings.push(string.into());
            }
            self.u29((string.len() as u32) << 1 | 1);
            self.bytes.extend_from_slice(string.as_bytes());
        }

        fn value(&mut self, tree: &Tree) {
            match tree {
                Tree::Integer(value) => {
                    self.bytes.push(0x04);
                    self.u29(*value as u32 & 0x1FFF_FFFF);
                }
                Tree::Number(value) => {
                    self.bytes.push(0x05);
                    self.bytes.extend(value.to_be_bytes());
                }
                Tree::String(value) => {
                    self.bytes.push(0x06);
                    self.string(value);
                }
                Tree::Array(named, dense) => {
                    self.bytes.push(0x09);
                    self.u29((dense.len() as u32) << 1 | 1);
                    for (name, value) in named {
                        self.string(name);
                        self.value(value);
                    }
                    self.string("");
                    dense.iter().for_each(|value| self.value(value));
                }
                Tree::Object(class, members) => {
                    self.bytes.push(0x0A);
                    // A class seals its members; an anonymous object has only dynamic ones.
                    let sealed = if class.is_empty() { &[][..] } else { members };
                    let names: Vec<_> = sealed.iter().map(|(name, _)| name.clone()).collect();
                    let traits = (class.clone(), names.clone());
                    if let Some(index) = self.traits.iter().position(|known| *known == traits) {
                        self.u29((index as u32) << 2 | 1);
                    } else {
                        self.traits.push(traits);
                        let dynamic = u32::from(class.is_empty());
                        self.u29((names.len() as u32) << 4 | dynamic << 3 | 3);
                        self.string(class);
                        names.iter().for_each(|name| self.string(name));
                    }
                    for (name, value) in members {
                        if class.is_empty() {
                            self.string(name);
                        }
                        self.value(value);
                    }
                    if class.is_empty() {
                        self.string("");
                    }
                }
            }
        }
    }

    impl Tree {
        fn from_value(value: Value<'_>) -> Tree {
            let text = |bytes: &[u8]| String::from_utf8(bytes.into()).unwrap();
            let named = |properties: Properties<'_>| {
                properties.iter().map(|(name, value)| (text(name), Tree::from_value(value))).collect()
            };
            match value {
                Value::Integer(value) => Tree::Integer(value),
                Value::Number(value) => Tree::Number(value),
                Value::String(value) => Tree::String(text(value)),
                Value::Array(array) => {
                    Tree::Array(named(array.properties()), array.elements().iter().map(Tree::from_value).collect())
                }
                Value::Object { class, properties } => Tree::Object(text(class), named(properties)),
                value => panic!("{value:?} was not written"),
            }
        }
    }

    fn tree() -> impl Strategy<Value = Tree> {
        let leaf = prop_oneof![
            (-0x1000_0000..0x1000_0000).prop_map(Tree::Integer),
            (-200..200).prop_map(Tree::Integer),
            prop::num::f64::NORMAL.prop_map(Tree::Number),
            "[ab\u{e4}]{0,2}".prop_map(Tree::String),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            let named = prop::collection::vec(("[ab]{1,2}", inner.clone()), 0..4);
            prop_oneof![
                (named.clone(), prop::collection::vec(inner, 0..4))
                    .prop_map(|(named, dense)| Tree::Array(named, dense)),
                ("[AB]?", named).prop_map(|(class, members)| Tree::Object(class, members)),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_was_sent_is_decoded_alone_and_among_amf0_values(
            trees in prop::collection::vec(tree(), 1..4),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut sender = Sender::default();
            trees.iter().for_each(|tree| sender.value(tree));
            let mut decoder = Decoder::new(&sender.bytes);
            for tree in &trees {
                prop_assert_eq!(&Tree::from_value(decoder.value().unwrap()), tree);
            }
            prop_assert!(decoder.is_empty());

            // The same as members of AMF 0 objects, tables going on from one to the next.
            let mut sender = Sender::default();
            for tree in &trees {
                sender.bytes.extend_from_slice(b"\x05\x03\0\x01k\x11");
                sender.value(tree);
                sender.bytes.extend_from_slice(b"\0\x01z\x05\0\0\x09");
            }
            let mut decoder = amf0::Decoder::new(&sender.bytes);
            for tree in &trees {
                prop_assert_eq!(decoder.value(), Ok(amf0::Value::Null));
                let object = decoder.value().unwrap();
                let Some(amf0::Value::Amf3(value)) = object.get("k") else { panic!("no AMF 3 value") };
                prop_assert_eq!(&Tree::from_value(value), tree);
                prop_assert_eq!(object.get("z"), Some(amf0::Value::Null));
            }
            prop_assert!(decoder.is_empty());

            let cut = &sender.bytes[..cut.index(sender.bytes.len())];
            let mut decoder = amf0::Decoder::new(cut);
            while let Ok(value) = decoder.value() {
                prop_assert!(value == amf0::Value::Null || value.properties().is_some());
            }
            prop_assert_eq!(decoder.value(), Err(AmfError::Truncated));
        }

        #[test]
        fn any_bytes_are_values_or_an_error(
            bytes in prop::collection::vec(prop_oneof![8 => 0..0x14_u8, 1 => any::<u8>()], 0..200),
        ) {
            let mut decoder = Decoder::new(&bytes);
            let mut position = 0;
            while let Ok(value) = decoder.value() {
                prop_assert!(decoder.position() > position && decoder.position() <= bytes.len());
                position = decoder.position();
                visit(&value);
            }
        }
    }
}
