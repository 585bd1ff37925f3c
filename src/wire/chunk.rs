//! Chunk headers (RTMP 1.0, section 5.3.1): how a message is cut up on the wire.

use byteorder::{BigEndian, ByteOrder, LittleEndian};

/// A timestamp field that holds this says that four more bytes carry the real value (section 5.3.1.3).
pub const EXTENDED_TIMESTAMP: u32 = 0xFF_FFFF;
/// Chunk size of both directions until a Set Chunk Size message changes it, in bytes.
pub const DEFAULT_CHUNK_BYTES: u32 = 128;
/// Longest chunk header: three bytes of basic header, eleven of message header, four of extended timestamp.
pub const MAX_HEADER_BYTES: usize = 3 + 11 + 4;
/// Longest type-0 header that we write: our chunk stream ids fit one byte.
pub const MAX_TYPE0_BYTES: usize = 1 + 11 + 4;

/// Chunk type, the top two bits of a basic header (section 5.3.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Type 0: absolute timestamp, length, type and message stream id.
    Full,
    /// Type 1: timestamp delta, length and type.
    SameStream,
    /// Type 2: timestamp delta.
    DeltaOnly,
    /// Type 3: nothing; a continuation, or a message whose header equals the one before.
    Continuation,
}

impl Format {
    /// Bytes of the message header that follows the basic header, without an extended timestamp.
    pub const fn message_header_bytes(self) -> usize {
        match self {
            Format::Full => 11,
            Format::SameStream => 7,
            Format::DeltaOnly => 3,
            Format::Continuation => 0,
        }
    }
}

/// A basic header: chunk type and chunk stream id (section 5.3.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BasicHeader {
    /// Which message header follows.
    pub format: Format,
    /// 2..=65599.
    pub chunk_stream_id: u32,
}

impl BasicHeader {
    /// Bytes of the basic header that starts with `first`: 1, 2 or 3.
    pub const fn len_from(first: u8) -> usize {
        match first & 0x3F {
            0 => 2,
            1 => 3,
            _ => 1,
        }
    }

    /// Reads one from `bytes`, which hold exactly [`BasicHeader::len_from`] their first byte.
    pub fn parse(bytes: &[u8]) -> Option<BasicHeader> {
        let first = *bytes.first()?;
        let format = match first >> 6 {
            0 => Format::Full,
            1 => Format::SameStream,
            2 => Format::DeltaOnly,
            _ => Format::Continuation,
        };
        let chunk_stream_id = match first & 0x3F {
            0 => 64 + u32::from(*bytes.get(1)?),
            // The three-byte form is little-endian, unlike nearly everything else (errata of 2024).
            1 => 64 + u32::from(*bytes.get(1)?) + 256 * u32::from(*bytes.get(2)?),
            id => u32::from(id),
        };
        Some(BasicHeader { format, chunk_stream_id })
    }

    /// Writes the shortest form to the front of `out` and returns its length.
    ///
    /// # Panics
    /// When `out` is shorter than three bytes or the id is outside 2..=65599: our own mistake, never a peer's.
    pub fn emit(self, out: &mut [u8]) -> usize {
        assert!((2..=65_599).contains(&self.chunk_stream_id), "chunk stream id {} has no form", self.chunk_stream_id);
        let top = (self.format as u8) << 6;
        match self.chunk_stream_id {
            id @ 2..=63 => {
                out[0] = top | id as u8;
                1
            }
            id @ 64..=319 => {
                out[0] = top;
                out[1] = (id - 64) as u8;
                2
            }
            id => {
                out[0] = top | 1;
                LittleEndian::write_u16(&mut out[1..3], (id - 64) as u16);
                3
            }
        }
    }
}

/// The fields of a type-0 message header (section 5.3.1.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageHeader {
    /// Milliseconds, wrapping at 2^32.
    pub timestamp: u32,
    /// Payload bytes, below 2^24.
    pub length: u32,
    /// Message type id, see [`crate::wire::message`].
    pub type_id: u8,
    /// Message stream id; the one little-endian field.
    pub stream_id: u32,
}

impl MessageHeader {
    /// Writes a complete type-0 chunk header for chunk stream `chunk_stream_id` (2..=63) and returns its length:
    /// 12 bytes, or 16 with an extended timestamp.
    ///
    /// # Panics
    /// When `out` is shorter than [`MAX_TYPE0_BYTES`] or the id needs a longer form.
    pub fn emit_type0(&self, chunk_stream_id: u8, out: &mut [u8]) -> usize {
        assert!((2..=63).contains(&chunk_stream_id), "we send on one-byte chunk stream ids only");
        out[0] = chunk_stream_id;
        BigEndian::write_u24(&mut out[1..4], self.timestamp.min(EXTENDED_TIMESTAMP));
        BigEndian::write_u24(&mut out[4..7], self.length);
        out[7] = self.type_id;
        LittleEndian::write_u32(&mut out[8..12], self.stream_id);
        if self.timestamp < EXTENDED_TIMESTAMP {
            return 12;
        }
        BigEndian::write_u32(&mut out[12..16], self.timestamp);
        16
    }

    /// Reads what [`MessageHeader::emit_type0`] wrote to the front of `bytes`; `None` when they are too few.
    pub fn parse_type0(bytes: &[u8]) -> Option<MessageHeader> {
        let fields: &[u8; 12] = bytes.first_chunk()?;
        let timestamp = match BigEndian::read_u24(&fields[1..4]) {
            EXTENDED_TIMESTAMP => BigEndian::read_u32(bytes.get(12..16)?),
            timestamp => timestamp,
        };
        Some(MessageHeader {
            timestamp,
            length: BigEndian::read_u24(&fields[4..7]),
            type_id: fields[7],
            stream_id: LittleEndian::read_u32(&fields[8..12]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_three_byte_basic_header_is_little_endian() {
        let header = BasicHeader { format: Format::SameStream, chunk_stream_id: 64 + 0x0102 };
        let mut out = [0; 3];
        assert_eq!(header.emit(&mut out), 3);
        assert_eq!(out, [0x41, 0x02, 0x01]);
    }

    #[test]
    fn a_type_0_header_is_twelve_bytes_and_sixteen_with_an_extended_timestamp() {
        let mut header = MessageHeader { timestamp: 0x010203, length: 5, type_id: 9, stream_id: 1 };
        let mut out = [0; MAX_TYPE0_BYTES];
        assert_eq!(header.emit_type0(6, &mut out), 12);
        assert_eq!(out[..12], [6, 1, 2, 3, 0, 0, 5, 9, 1, 0, 0, 0]);
        header.timestamp = 0xFF_FFFF;
        assert_eq!(header.emit_type0(6, &mut out), 16);
        assert_eq!(out, [6, 0xFF, 0xFF, 0xFF, 0, 0, 5, 9, 1, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF]);
        assert_eq!(MessageHeader::parse_type0(&out), Some(header));
        assert_eq!(MessageHeader::parse_type0(&out[..15]), None);
    }

    proptest! {
        #[test]
        fn a_basic_header_reads_back_as_written(id in 2u32..=65_599, format in 0u8..4) {
            let format = [Format::Full, Format::SameStream, Format::DeltaOnly, Format::Continuation][usize::from(format)];
            let header = BasicHeader { format, chunk_stream_id: id };
            let mut out = [0; 3];
            let len = header.emit(&mut out);
            prop_assert_eq!(BasicHeader::len_from(out[0]), len);
            prop_assert_eq!(BasicHeader::parse(&out[..len]), Some(header));
        }
    }
}
