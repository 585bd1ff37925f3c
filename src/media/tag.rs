//! A tag: one stored audio, video or data message, and how it lies on the wire (RTMP 1.0, sections 5.3.1 and 5.4).
//!
//! A tag always begins with a type-0 chunk header and goes on with type-3 headers at each chunk boundary. Its chunk stream id
//! is fixed per kind, and an extended timestamp is repeated in every continuation, so one byte string serves every player.

use core::fmt;

use crate::wire::announced::Announced;
use crate::wire::chunk::{EXTENDED_TIMESTAMP, MAX_TYPE0_BYTES, MessageHeader};
use crate::wire::flv::MediaType;
use crate::wire::legacy::{self, Legacy};
use crate::wire::message::type_id;
use crate::wire::sample::{self, SamplePart};

/// Messages of one timestamp that are taken for one picture. Of more, which are those of an encoder without a clock, the later
/// ones are taken for another.
pub const PICTURE_MESSAGES: u8 = 16;
/// How long a picture lasts that none was before, in milliseconds.
pub const NOMINAL_FRAME_MS: u32 = 33;

/// Message stream id in the ring's own headers. It is what `createStream` answers to nearly every player.
pub const MESSAGE_STREAM_ID: u32 = 1;

/// What a tag carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TagKind {
    /// Audio message (type 8).
    Audio,
    /// Video message (type 9).
    Video,
    /// AMF0 data message (type 18), such as `onMetaData`.
    Data,
}

impl TagKind {
    /// The chunk stream id this kind is sent on. All fit a one-byte basic header.
    pub const fn chunk_stream_id(self) -> u8 {
        match self {
            TagKind::Audio => 4,
            TagKind::Data => 5,
            TagKind::Video => 6,
        }
    }

    /// The message type id (RTMP 1.0, section 7.1); FLV tags use the same numbers.
    pub const fn message_type(self) -> u8 {
        match self {
            TagKind::Audio => type_id::AUDIO,
            TagKind::Video => type_id::VIDEO,
            TagKind::Data => type_id::DATA,
        }
    }

    /// The kind with this message type id.
    pub const fn of_message_type(type_id: u8) -> Option<TagKind> {
        match type_id {
            type_id::AUDIO => Some(TagKind::Audio),
            type_id::VIDEO => Some(TagKind::Video),
            type_id::DATA => Some(TagKind::Data),
            _ => None,
        }
    }

    /// Sound or pictures; `None` for data.
    pub const fn media_type(self) -> Option<MediaType> {
        match self {
            TagKind::Audio => Some(MediaType::Audio),
            TagKind::Video => Some(MediaType::Video),
            TagKind::Data => None,
        }
    }

    /// What of a message of this kind is sent to who knows as much of Enhanced RTMP; see [`legacy::of`].
    pub(super) fn legacy(self, length: u32, knows: Announced, read: impl Fn(u32) -> Option<u8>) -> Legacy {
        self.media_type().map_or(Legacy::Itself, |media_type| legacy::of(media_type, length, knows, read))
    }

    /// The sample in a message of this kind; see [`sample::of`].
    pub(super) fn sample(self, length: u32, read: impl Fn(u32) -> Option<u8>) -> Option<SamplePart> {
        match self {
            TagKind::Audio => sample::of(MediaType::Audio, length, read),
            TagKind::Video => sample::of(MediaType::Video, length, read),
            TagKind::Data => None,
        }
    }
}

/// The name of one tag of one ring. It only grows and is never given to a second tag, so a handle kept too long is answered
/// "gone" and never reaches another tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagSeq(pub(super) u64);

impl TagSeq {
    pub(super) const fn next(self) -> TagSeq {
        TagSeq(self.0 + 1)
    }
}

impl fmt::Display for TagSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a tag follows those before it, which may be gone when it is read: what that says is found once, when it is stored.
///
/// A word whose meaning is the kind's: of video how long after the picture before it is, of audio how far its place in the clock of samples
/// is from its timestamp.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TagTiming(u16);

/// Of the timing of a picture: its stream sends pictures in several messages.
const IN_PARTS: u16 = 0x8000;
/// Of the timing of a picture: above this it is one after the picture before, and later than its timestamp by what is left.
const GAP_MOST: u16 = 0x7BFF;
/// The most that a picture is later than its timestamp, in milliseconds. Pictures go back by less ([`super::timeline::REORDER_MS`]).
const LATE_MOST: u16 = IN_PARTS - 1 - GAP_MOST;

impl TagTiming {
    /// Of a video tag that goes on with the picture before it, and of what is neither picture nor sound.
    pub const NONE: TagTiming = TagTiming(0);

    /// Of a picture that none was before.
    pub fn of_first_picture(in_parts: bool) -> TagTiming {
        TagTiming::of_picture(NOMINAL_FRAME_MS, 0, in_parts)
    }

    /// Of a picture with that timestamp behind one that is decoded at `before_ms`. It is decoded at its timestamp, and at least a
    /// millisecond behind the other: decoders and browsers take no two at once. Of gaps at most 31 743 ms are kept, of delays 1024.
    pub fn of_picture(timestamp: u32, before_ms: u32, in_parts: bool) -> TagTiming {
        let bits = match timestamp.saturating_sub(before_ms) {
            0 => GAP_MOST + (before_ms - timestamp).saturating_add(1).min(LATE_MOST.into()) as u16,
            gap => gap.min(GAP_MOST.into()) as u16,
        };
        TagTiming(if in_parts { bits | IN_PARTS } else { bits })
    }

    /// Of a frame of sound: so many samples later than its timestamp says, or earlier. At most 32 767 are kept.
    pub fn shifted(samples: i64) -> TagTiming {
        TagTiming((samples.clamp(i16::MIN.into(), i16::MAX.into()) as i16).cast_unsigned())
    }

    /// Whether a video tag goes on with the picture before it.
    pub fn continues(self) -> bool {
        self == TagTiming::NONE
    }

    /// Whether more messages of a picture may follow its first.
    pub fn is_in_parts(self) -> bool {
        self.0 & IN_PARTS != 0
    }

    /// Milliseconds since the picture before; at least 1.
    pub fn gap_ms(self) -> u32 {
        let bits = self.0 & !IN_PARTS;
        if bits > GAP_MOST { 1 } else { bits.into() }
    }

    /// How many milliseconds later than its timestamp a picture is decoded.
    pub fn late_ms(self) -> u32 {
        (self.0 & !IN_PARTS).saturating_sub(GAP_MOST).into()
    }

    /// How many samples later than its timestamp a frame of sound begins.
    pub fn shift(self) -> i64 {
        self.0.cast_signed().into()
    }
}

/// What ring and fan-out know of a tag's content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TagFlags {
    /// A video frame that decodes without an earlier one: players may start here.
    pub key: bool,
    /// A sequence header or another codec configuration, not a frame.
    pub header: bool,
    /// A frame no other frame refers to: it may be left out.
    pub droppable: bool,
    /// An Enhanced RTMP message, or metadata that names a codec as only Enhanced RTMP does: who knows none is sent another in its place.
    pub enhanced: bool,
}

/// Which header of a stream a header tag is: a newer one in the same slot replaces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HeaderSlot {
    /// Audio or video. Data messages are kept by name instead.
    pub kind: TagKind,
    /// Kind of configuration, as the caller numbers them (sequence header, colour information, channel layout).
    pub class: u8,
    /// Track of a multitrack stream; 0 otherwise.
    pub track: u8,
}

/// A chunk header put together: a value, so that a player with headers of its own needs no buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkHeader {
    bytes: [u8; MAX_TYPE0_BYTES],
    length: u8,
}

impl ChunkHeader {
    /// The header's bytes, 1 to 16 of them.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

/// The wire shape of a message of `length` bytes at `timestamp`, in chunks of `CHUNK` bytes. `CHUNK` is a constant so that
/// finding a chunk is a multiplication.
#[derive(Clone, Copy, Debug)]
pub struct Framing<const CHUNK: usize> {
    /// Milliseconds.
    pub timestamp: u32,
    /// Payload bytes.
    pub length: u32,
}

impl<const CHUNK: usize> Framing<CHUNK> {
    const CHUNK_U32: u32 = {
        assert!(CHUNK > 0 && CHUNK <= 0xFF_FFFF, "a chunk size of 24 bits");
        CHUNK as u32
    };

    /// Bytes of the type-0 header.
    pub const fn header_bytes(self) -> u32 {
        if self.timestamp >= EXTENDED_TIMESTAMP { 16 } else { 12 }
    }

    /// Bytes of each type-3 header.
    pub const fn continuation_bytes(self) -> u32 {
        if self.timestamp >= EXTENDED_TIMESTAMP { 5 } else { 1 }
    }

    /// Bytes of the whole message: header, payload, continuation headers. Saturates, since a length may be anything before it
    /// is checked.
    pub const fn wire_bytes(self) -> u32 {
        let continuations = if self.length <= Self::CHUNK_U32 { 0 } else { (self.length - 1) / Self::CHUNK_U32 };
        let headers = continuations.saturating_mul(self.continuation_bytes()).saturating_add(self.header_bytes());
        self.length.saturating_add(headers)
    }

    /// How far payload byte `offset` is into its chunk.
    pub const fn within_chunk(self, offset: u32) -> u32 {
        if offset < Self::CHUNK_U32 { offset } else { offset % Self::CHUNK_U32 }
    }

    /// Where payload byte `offset` lies in the message; at a chunk boundary, behind the continuation header.
    pub const fn wire_offset(self, offset: u32) -> u32 {
        let continuations = if offset < Self::CHUNK_U32 { 0 } else { offset / Self::CHUNK_U32 };
        self.header_bytes() + offset + continuations * self.continuation_bytes()
    }

    /// The type-0 header (RTMP 1.0, section 5.3.1.2.1).
    pub fn header(self, kind: TagKind, message_stream_id: u32) -> ChunkHeader {
        let mut bytes = [0; MAX_TYPE0_BYTES];
        let header = MessageHeader {
            timestamp: self.timestamp,
            length: self.length,
            type_id: kind.message_type(),
            stream_id: message_stream_id,
        };
        let length = header.emit_type0(kind.chunk_stream_id(), &mut bytes) as u8;
        ChunkHeader { bytes, length }
    }

    /// The type-3 header. It repeats an extended timestamp: ffmpeg, VLC and GStreamer expect it (errata, section on extended
    /// timestamps).
    pub fn continuation(self, kind: TagKind) -> ChunkHeader {
        let mut bytes = [0; MAX_TYPE0_BYTES];
        bytes[0] = 0xC0 | kind.chunk_stream_id();
        bytes[1..5].copy_from_slice(&self.timestamp.to_be_bytes());
        ChunkHeader { bytes, length: self.continuation_bytes() as u8 }
    }
}
