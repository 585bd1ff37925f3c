//! Values of any AMF as plain AMF 0: what every player reads, and no more.
//!
//! ActionScript 3 writes AMF 3 behind the marker 0x11, whose strings, classes and objects refer back to earlier ones. A
//! player knows no AMF 3, and cannot follow what refers to something that is not sent to it. So references are written
//! out, and what an AMF 3 value is in AMF 0 is what [`crate::wire::amf3`] says in ActionScript:
//!
//! | AMF 3 | AMF 0 |
//! |---|---|
//! | undefined, null | null (ffmpeg knows no undefined) |
//! | integer, double | number |
//! | string, XML | string |
//! | object, dictionary | object; a class name is not kept |
//! | array | strict array; with named members an ECMA array |
//! | vector, byte array | strict array of what is in it |
//! | reference | the value again, or null inside itself |
//!
//! **Cost:** one walk over the message, and one over what a reference means for each of [`REFERENCES`].

use core::fmt::Write;

use heapless::{String, Vec};

use crate::limits::AMF_DEPTH;
use crate::wire::amf0::{self, AmfError, Encoder};
use crate::wire::amf3::{ReferenceWalk, u29};
use crate::wire::bytes::{ByteReader, Full, Truncated, Writer};

/// References of one message that are written out. A few bytes of them could stand for millions, so that more are null.
pub const REFERENCES: u32 = 64;

/// Why a value is not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainError {
    /// The bytes are no value.
    Amf(AmfError),
    /// The output has no room for it.
    Full,
}

impl From<AmfError> for PlainError {
    fn from(error: AmfError) -> Self {
        PlainError::Amf(error)
    }
}

impl From<Truncated> for PlainError {
    fn from(_: Truncated) -> Self {
        PlainError::Amf(AmfError::Truncated)
    }
}

impl From<Full> for PlainError {
    fn from(_: Full) -> Self {
        PlainError::Full
    }
}

type Result<T> = core::result::Result<T, PlainError>;

/// A walk over the values of a message, which writes them.
pub struct PlainWalk<'a> {
    scan: ReferenceWalk<'a>,
    /// Where the containers around the present value begin.
    enclosing: Vec<usize, AMF_DEPTH>,
    references_left: u32,
}

impl<'a> PlainWalk<'a> {
    /// Starts at a value of a message of AMF 0 values. References count from the first, so that those before are walked over.
    pub fn new(message: &'a [u8], position: usize) -> Self {
        let mut before = amf0::Decoder::new(message);
        while before.position() < position && before.value().is_ok() {}
        PlainWalk { scan: before.into_scan(), enclosing: Vec::new(), references_left: REFERENCES }
    }

    /// Whether everything has been read.
    pub fn is_empty(&self) -> bool {
        self.scan.reader.remaining() == 0
    }

    /// Bytes read.
    pub fn position(&self) -> usize {
        self.scan.reader.position()
    }

    /// Writes the next value. What an error leaves in `out` is a part of one.
    ///
    /// # Errors
    ///
    /// When it is no value, or does not fit.
    pub fn value(&mut self, out: &mut Writer<'_>) -> Result<()> {
        let at = self.position();
        let marker = self.reader().u8()?;
        match marker {
            0x03 | 0x08 | 0x0A | 0x10 => {
                self.enter(at)?;
                self.container(marker, out)?;
                self.enclosing.pop();
            }
            0x07 => {
                let index = self.reader().u16()?;
                let place = self.follows().then(|| amf0::referred(self.scan.reader.bytes(), index)).flatten();
                self.again(place, out, Self::value)?;
            }
            0x11 => self.amf3(out)?,
            // A value that holds no other: the bytes as they are.
            _ => {
                self.scan.reader = ByteReader::at(self.scan.reader.bytes(), at);
                let mut decoder = amf0::Decoder::new(self.scan.reader.rest());
                decoder.value()?;
                let bytes = self.reader().take(decoder.position())?;
                out.put_slice(bytes)?;
            }
        }
        Ok(())
    }

    /// Walks the next value if it is one with named members. Each is given to `each`, name and value as they stand
    /// in an object; one that does not fit `scratch` is left out. Gives how many are, or `None` when the next value has none.
    ///
    /// # Errors
    ///
    /// When it is no value. What came before has been given to `each`.
    pub fn members(&mut self, scratch: &mut [u8], mut each: impl FnMut(&[u8])) -> Result<Option<u32>> {
        let at = self.position();
        let mut left_out = 0;
        let mut write = |plain: &mut Self, name: &[u8], of: Of| {
            let before = plain.scan.clone();
            let mut writer = Writer::new(scratch);
            let written = put_name(&mut writer, name).map_err(PlainError::from);
            match written.and_then(|()| plain.member(of, &mut writer)) {
                Ok(()) => each(writer.written()),
                Err(PlainError::Full) => {
                    plain.scan = before;
                    plain.enclosing.truncate(1);
                    plain.skip(of)?;
                    left_out += 1;
                }
                Err(error) => return Err(error),
            }
            Ok(())
        };
        match self.reader().u8()? {
            marker @ (0x03 | 0x08 | 0x10) => {
                self.enter(at)?;
                self.head(marker)?;
                self.amf0_members(&mut write)?;
            }
            0x11 => {
                let at = self.position();
                let marker = self.scan.reader.rest().first();
                if !matches!(marker, Some(0x09 | 0x0A | 0x11)) {
                    return Ok(None);
                }
                self.enter(at)?;
                let Some((marker, header)) = self.scan.enter() else { return Err(AmfError::Truncated.into()) };
                match marker {
                    0x09 => self.array_members(header, &mut write)?,
                    0x0A => self.object_members(header, at, &mut write)?,
                    _ => self.dictionary_members(header, &mut write)?,
                }
            }
            _ => return Ok(None),
        }
        self.enclosing.pop();
        Ok(Some(left_out))
    }

    fn member(&mut self, of: Of, out: &mut Writer<'_>) -> Result<()> {
        match of {
            Of::Amf0 => self.value(out),
            Of::Amf3 => self.amf3(out),
        }
    }

    fn skip(&mut self, of: Of) -> Result<()> {
        match of {
            Of::Amf3 => self.scan.value(0).map(drop)?,
            Of::Amf0 => {
                let mut decoder = amf0::Decoder::from_scan(self.scan.clone());
                decoder.value()?;
                self.scan = decoder.into_scan();
            }
        }
        Ok(())
    }

    /// An AMF 0 container, behind its marker.
    fn container(&mut self, marker: u8, out: &mut Writer<'_>) -> Result<()> {
        let start = self.position() - 1;
        if marker == 0x0A {
            let count = self.reader().u32()?;
            Encoder::new(out).strict_array_begin(count)?;
            for _ in 0..count {
                self.value(out)?;
            }
            return Ok(());
        }
        self.head(marker)?;
        out.put_slice(&self.scan.reader.bytes()[start..self.position()])?;
        self.amf0_members(&mut |plain, name, of| {
            put_name(out, name)?;
            plain.member(of, out)
        })?;
        Ok(Encoder::new(out).object_end()?)
    }

    /// What stands between the marker of an AMF 0 object and its members.
    fn head(&mut self, marker: u8) -> Result<()> {
        match marker {
            0x08 => drop(self.reader().u32()?),
            0x10 => {
                let length = self.reader().u16()?;
                self.reader().take(length.into())?;
            }
            _ => {}
        }
        Ok(())
    }

    fn amf0_members(&mut self, each: &mut Each<'_, 'a>) -> Result<()> {
        // The end marker may be missing at the end of a message.
        while !self.is_empty() {
            let length = self.reader().u16()?;
            let name = self.reader().take(length.into())?;
            if name.is_empty() && self.scan.reader.rest().first() == Some(&0x09) {
                self.reader().u8()?;
                break;
            }
            each(self, name, Of::Amf0)?;
        }
        Ok(())
    }

    /// An AMF 3 value.
    fn amf3(&mut self, out: &mut Writer<'_>) -> Result<()> {
        let at = self.position();
        let marker = self.reader().u8()?;
        let mut amf = Encoder::new(out);
        match marker {
            0x00 | 0x01 => amf.null()?,
            0x02 | 0x03 => amf.boolean(marker == 0x03)?,
            0x04 => amf.number(f64::from((u29(self.reader())? << 3) as i32 >> 3))?,
            0x05 => amf.number(self.reader().f64()?)?,
            0x06 => amf.string_bytes(self.scan.string()?)?,
            0x07..=0x11 => {
                let header = u29(self.reader())?;
                if header & 1 == 0 {
                    let place = self.scan.referred(header)?;
                    let place = self.follows().then_some(place);
                    return self.again(place, out, Self::amf3);
                }
                self.scan.reader = ByteReader::at(self.scan.reader.bytes(), at);
                if matches!(marker, 0x09 | 0x0A | 0x10 | 0x11) {
                    self.enter(at)?;
                    self.complex(at, out)?;
                    self.enclosing.pop();
                } else {
                    self.complex(at, out)?;
                }
            }
            marker => return Err(AmfError::Marker(marker).into()),
        }
        Ok(())
    }

    /// An AMF 3 value that can be referred to, from its marker on.
    fn complex(&mut self, at: usize, out: &mut Writer<'_>) -> Result<()> {
        let Some((marker, count)) = self.scan.enter() else { return Err(AmfError::Truncated.into()) };
        let mut amf = Encoder::new(out);
        match marker {
            0x07 | 0x0B => amf.string_bytes(self.reader().take(count as usize)?)?,
            0x08 => amf.date(self.reader().f64()?)?,
            // Without names: an empty one ends them.
            0x09 if self.scan.reader.rest().first() == Some(&0x01) => {
                self.scan.string()?;
                amf.strict_array_begin(count)?;
                self.elements(count, out)?;
            }
            0x09 => {
                amf.ecma_array_begin(count)?;
                self.array_members(count, &mut |plain, name, of| {
                    put_name(out, name)?;
                    plain.member(of, out)
                })?;
                Encoder::new(out).object_end()?;
            }
            0x0A => {
                let before = self.scan.clone();
                if self.scan.traits(count, at + 1)?.wraps_a_value() {
                    return self.amf3(out);
                }
                self.scan = before;
                amf.object_begin()?;
                self.object_members(count, at, &mut |plain, name, of| {
                    put_name(out, name)?;
                    plain.member(of, out)
                })?;
                Encoder::new(out).object_end()?;
            }
            0x0C => {
                amf.strict_array_begin(count)?;
                for byte in self.reader().take(count as usize)? {
                    amf.number(f64::from(*byte))?;
                }
            }
            0x0D..=0x0F => {
                self.reader().u8()?;
                amf.strict_array_begin(count)?;
                for _ in 0..count {
                    amf.number(match marker {
                        0x0D => f64::from(self.reader().u32()? as i32),
                        0x0E => f64::from(self.reader().u32()?),
                        _ => self.reader().f64()?,
                    })?;
                }
            }
            0x10 => {
                self.reader().u8()?;
                self.scan.string()?;
                amf.strict_array_begin(count)?;
                self.elements(count, out)?;
            }
            _ => {
                amf.object_begin()?;
                self.dictionary_members(count, &mut |plain, name, of| {
                    put_name(out, name)?;
                    plain.member(of, out)
                })?;
                Encoder::new(out).object_end()?;
            }
        }
        Ok(())
    }

    fn elements(&mut self, count: u32, out: &mut Writer<'_>) -> Result<()> {
        for _ in 0..count {
            self.amf3(out)?;
        }
        Ok(())
    }

    /// Named members, then elements by their numbers.
    fn array_members(&mut self, count: u32, each: &mut Each<'_, 'a>) -> Result<()> {
        self.named(each)?;
        for index in 0..count {
            each(self, decimal(index.into()).as_bytes(), Of::Amf3)?;
        }
        Ok(())
    }

    /// Sealed members, then dynamic ones. `header` is that of the object at `at`, without its lowest bit.
    fn object_members(&mut self, header: u32, at: usize, each: &mut Each<'_, 'a>) -> Result<()> {
        let mut traits = self.scan.traits(header, at + 1)?;
        if traits.externalizable {
            return Err(AmfError::Unsupported.into());
        }
        for _ in 0..traits.sealed_count {
            let name = self.scan.known_string(&mut traits.names)?;
            each(self, name, Of::Amf3)?;
        }
        if traits.dynamic {
            self.named(each)?;
        }
        Ok(())
    }

    fn named(&mut self, each: &mut Each<'_, 'a>) -> Result<()> {
        loop {
            let name = self.scan.string()?;
            if name.is_empty() {
                return Ok(());
            }
            each(self, name, Of::Amf3)?;
        }
    }

    fn dictionary_members(&mut self, count: u32, each: &mut Each<'_, 'a>) -> Result<()> {
        use crate::wire::amf3::Value;
        self.reader().u8()?;
        for _ in 0..count {
            let number;
            let name = match self.scan.value(0)? {
                Value::String(name) => name,
                Value::Boolean(true) => b"true",
                Value::Boolean(false) => b"false",
                key => {
                    number = key.as_number().map(decimal).filter(|text| !text.is_empty());
                    // What Flash calls a key that is an object.
                    number.as_ref().map_or(b"[object Object]".as_slice(), |text| text.as_bytes())
                }
            };
            each(self, name, Of::Amf3)?;
        }
        Ok(())
    }

    fn enter(&mut self, at: usize) -> Result<()> {
        self.enclosing.push(at).map_err(|_| AmfError::Depth.into())
    }

    fn follows(&mut self) -> bool {
        let left = self.references_left.checked_sub(1);
        self.references_left = left.unwrap_or_default();
        left.is_some()
    }

    /// Writes the value at `place` once more, or null when it is not known or contains this very place.
    fn again(
        &mut self,
        place: Option<usize>,
        out: &mut Writer<'_>,
        write: impl FnOnce(&mut Self, &mut Writer<'_>) -> Result<()>,
    ) -> Result<()> {
        let Some(place) = place.filter(|place| !self.enclosing.contains(place)) else {
            return Ok(Encoder::new(out).null()?);
        };
        // What is read there has its numbers already, and gets no others.
        let before = self.scan.clone();
        self.scan.reader = ByteReader::at(before.reader.bytes(), place);
        let written = write(self, out);
        self.scan = before;
        written
    }

    fn reader(&mut self) -> &mut ByteReader<'a> {
        &mut self.scan.reader
    }
}

/// In which format a member's value stands.
#[derive(Clone, Copy, Debug)]
enum Of {
    Amf0,
    Amf3,
}

/// Takes a member: its name has been read, its value is next.
type Each<'f, 'a> = dyn FnMut(&mut PlainWalk<'a>, &[u8], Of) -> Result<()> + 'f;

fn put_name(out: &mut Writer<'_>, name: &[u8]) -> core::result::Result<(), Full> {
    out.put_u16(u16::try_from(name.len()).map_err(|_| Full)?)?;
    out.put_slice(name)
}

/// As ActionScript writes numbers of usual size; empty for others.
fn decimal(number: f64) -> String<24> {
    let mut text = String::new();
    if write!(text, "{number}").is_err() {
        text.clear();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    extern crate std;
    use std::vec::Vec;

    fn plain(message: &[u8]) -> Result<Vec<u8>> {
        let mut buffer = [0; 4096];
        let mut out = Writer::new(&mut buffer);
        let mut plain = PlainWalk::new(message, 0);
        while !plain.is_empty() {
            plain.value(&mut out)?;
        }
        Ok(out.written().to_vec())
    }

    fn members(message: &[u8], most: usize) -> (Vec<Vec<u8>>, Option<u32>) {
        let mut scratch = std::vec![0; most];
        let mut found = Vec::new();
        let left_out = PlainWalk::new(message, 0).members(&mut scratch, |member| found.push(member.to_vec())).unwrap();
        (found, left_out)
    }

    const ONE: &[u8] = b"\0\x3F\xF0\0\0\0\0\0\0";

    #[test]
    fn amf0_without_references_stays_as_it_is() {
        let message = b"\x02\0\x01a\x03\0\x01b\x05\0\0\x09\x08\0\0\0\x07\0\x01b\x0A\0\0\0\x02\x06\x0D\0\0\x09\
            \x10\0\x01C\0\0\x09\x0B\0\0\0\0\0\0\0\0\0\0\x0F\0\0\0\x01x\x01\x01";
        assert_eq!(plain(message).unwrap(), message);
        // A missing end is written.
        assert_eq!(plain(b"\x03\0\x01b\x05").unwrap(), b"\x03\0\x01b\x05\0\0\x09");
    }

    #[test]
    fn every_amf3_value_has_one_of_amf0() {
        let of = |bytes: &[u8]| plain(&[b"\x11", bytes].concat()).unwrap();
        assert_eq!(of(b"\0"), b"\x05");
        assert_eq!(of(b"\x01"), b"\x05");
        assert_eq!(of(b"\x02"), b"\x01\0");
        assert_eq!(of(b"\x03"), b"\x01\x01");
        assert_eq!(of(b"\x04\x01"), ONE);
        assert_eq!(of(b"\x04\xFF\xFF\xFF\xFF"), b"\0\xBF\xF0\0\0\0\0\0\0");
        assert_eq!(of(b"\x05\x3F\xF0\0\0\0\0\0\0"), ONE);
        assert_eq!(of(b"\x06\x07key"), b"\x02\0\x03key");
        assert_eq!(of(b"\x07\x09<a/>"), b"\x02\0\x04<a/>");
        assert_eq!(of(b"\x08\x01\x3F\xF0\0\0\0\0\0\0"), b"\x0B\x3F\xF0\0\0\0\0\0\0\0\0");
        assert_eq!(of(b"\x09\x05\x01\x03\x02"), b"\x0A\0\0\0\x02\x01\x01\x01\0");
        assert_eq!(of(b"\x09\x03\x03a\x03\x01\x02"), b"\x08\0\0\0\x01\0\x01a\x01\x01\0\x010\x01\0\0\0\x09");
        assert_eq!(of(b"\x0A\x1B\x03C\x03a\x03\x03b\x02\x01"), b"\x03\0\x01a\x01\x01\0\x01b\x01\0\0\0\x09");
        assert_eq!(of(b"\x0C\x03\x01"), [b"\x0A\0\0\0\x01", ONE].concat());
        assert_eq!(of(b"\x0D\x03\0\0\0\0\x01"), [b"\x0A\0\0\0\x01", ONE].concat());
        assert_eq!(of(b"\x0E\x03\0\0\0\0\x01"), [b"\x0A\0\0\0\x01", ONE].concat());
        assert_eq!(of(b"\x0F\x03\0\x3F\xF0\0\0\0\0\0\0"), [b"\x0A\0\0\0\x01", ONE].concat());
        assert_eq!(of(b"\x10\x03\0\x01\x03"), b"\x0A\0\0\0\x01\x01\x01");
        assert_eq!(
            of(b"\x11\x07\0\x04\x07\x03\x06\x03k\x02\x09\x01\x01\x01"),
            b"\x03\0\x017\x01\x01\0\x01k\x01\0\0\x0F[object Object]\x05\0\0\x09"
        );
        assert_eq!(of(b"\x0A\x07\x3Bflex.messaging.io.ObjectProxy\x03"), b"\x01\x01");
        assert_eq!(plain(b"\x11\x0A\x07\x07DSK\0"), Err(PlainError::Amf(AmfError::Unsupported)));
    }

    #[test]
    fn references_are_written_out_and_a_value_is_null_inside_itself() {
        // Strings, traits and an object, over the border between two values.
        let message = b"\x11\x0A\x13\x03C\x03x\x06\x03s\x11\x09\x05\x01\x0A\x01\x06\x04\x0A\x00";
        let object = b"\x03\0\x01x\x02\0\x01s\0\0\x09";
        assert_eq!(
            plain(message).unwrap(),
            [object.as_slice(), b"\x0A\0\0\0\x02", b"\x03\0\x01x\x02\0\x01s\0\0\x09", object].concat()
        );
        assert_eq!(plain(b"\x11\x09\x03\x01\x09\x00").unwrap(), b"\x0A\0\0\0\x01\x05");
        // AMF 0: {a: {}, b: a, c: the object itself}
        let message = b"\x03\0\x01a\x03\0\0\x09\0\x01b\x07\0\x01\0\x01c\x07\0\0\0\0\x09";
        assert_eq!(plain(message).unwrap(), b"\x03\0\x01a\x03\0\0\x09\0\x01b\x03\0\0\x09\0\x01c\x05\0\0\x09");
    }

    #[test]
    fn a_few_bytes_of_references_do_not_stand_for_millions() {
        // Each array holds the one before it ten times.
        let mut message = b"\x11\x09\x15\x01".to_vec();
        for level in 0..9_u8 {
            message.extend(if level == 0 { b"\x09\x01\x01".to_vec() } else { b"\x09\x15\x01".to_vec() });
            if level > 0 {
                (0..10).for_each(|_| message.extend([0x09, level << 1]));
            }
        }
        message.push(0x01);
        let written = plain(&message);
        assert!(matches!(&written, Ok(bytes) if bytes.len() < 4096), "{written:?}");
    }

    #[test]
    fn members_that_do_not_fit_are_left_out() {
        let (found, left_out) = members(b"\x11\x0A\x0B\x01\x03a\x06\x15aaaaaaaaaa\x03b\x06\x02\x03c\x03\x01", 12);
        // What is left out has its number all the same: the value of `b` refers to that of `a`.
        assert_eq!(found, [b"\0\x01c\x01\x01".to_vec()]);
        assert_eq!(left_out, Some(2));
        let (found, left_out) = members(b"\x03\0\x01a\x02\0\x0Aaaaaaaaaaa\0\x01b\x05\0\0\x09", 12);
        assert_eq!((found, left_out), (std::vec![b"\0\x01b\x05".to_vec()], Some(1)));
        assert_eq!(members(b"\x02\0\x01a", 12), (Vec::new(), None));
    }

    proptest! {
        /// Whatever is read as AMF 0 and AMF 3 is written as AMF 0 that holds no AMF 3 and no reference.
        #[test]
        fn what_is_written_is_plain(
            bytes in prop::collection::vec(prop_oneof![8 => 0..0x14_u8, 1 => any::<u8>()], 0..200),
            amf3 in any::<bool>(),
        ) {
            let message = if amf3 { [&[0x11], bytes.as_slice()].concat() } else { bytes };
            let mut valid = amf0::Decoder::new(&message);
            while !valid.is_empty() && valid.value().is_ok() {}
            if let Ok(written) = plain(&message) {
                prop_assert!(valid.is_empty(), "more is read than there is");
                let mut decoder = amf0::Decoder::new(&written);
                while !decoder.is_empty() {
                    prop_assert!(is_plain(&decoder.value().unwrap()));
                }
            }
        }
    }

    fn is_plain(value: &amf0::Value<'_>) -> bool {
        use amf0::Value::*;
        match value {
            Amf3(_) | Reference(_) => false,
            StrictArray(elements) => elements.iter().all(|value| is_plain(&value)),
            value => value.properties().is_none_or(|members| members.iter().all(|(_, value)| is_plain(&value))),
        }
    }
}
