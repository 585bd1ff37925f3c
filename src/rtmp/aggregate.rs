//! Aggregate messages (RTMP 1.0, section 7.1.6): FLV tags in one message, split as they arrive.

use crate::wire::chunk::MessageHeader;
use crate::wire::flv::{SUB_TAG_HEADER_BYTES, SUB_TAG_TRAILER_BYTES, SubTagHeader};
use crate::wire::message::type_id;

use super::chunk_reader::Lane;

#[derive(Debug)]
enum Phase {
    Header(heapless::Vec<u8, SUB_TAG_HEADER_BYTES, u8>),
    /// So many bytes of the tag's body to come; at 0 its end is due.
    Body(u32),
    BackPointer(u32),
}

/// What a run of bytes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubTagPart {
    /// They complete the header of a tag, given as that of a message of its own.
    Begin(MessageHeader),
    /// They belong to the body of a tag that is wanted.
    Body,
}

/// An aggregate message under way.
pub struct Aggregate {
    lane: Lane,
    message: MessageHeader,
    /// Timestamp of the first tag: the message's own time stands for it.
    base: Option<u32>,
    part: MessageHeader,
    wanted: bool,
    phase: Phase,
}

impl Aggregate {
    /// The aggregate that begins on `lane`.
    pub fn new(lane: Lane, message: MessageHeader) -> Aggregate {
        let phase = Phase::Header(heapless::Vec::new());
        Aggregate { lane, message, base: None, part: message, wanted: false, phase }
    }

    /// Where it arrives.
    pub fn lane(&self) -> Lane {
        self.lane
    }

    /// The most bytes that [`Aggregate::take`] may be given now; never 0 after [`Aggregate::take_end`].
    pub fn wants(&self) -> usize {
        match &self.phase {
            Phase::Header(bytes) => SUB_TAG_HEADER_BYTES - bytes.len(),
            Phase::Body(left) | Phase::BackPointer(left) => *left as usize,
        }
    }

    /// Takes the next bytes, at most as many as it wants. `None` when they are of no consequence.
    pub fn take(&mut self, bytes: &[u8]) -> Option<SubTagPart> {
        let n = bytes.len() as u32;
        match &mut self.phase {
            Phase::Header(header) => {
                header.extend(bytes.iter().copied());
                let tag = SubTagHeader::parse(header.as_slice().try_into().ok()?);
                let base = *self.base.get_or_insert(tag.timestamp_ms);
                self.part = MessageHeader {
                    timestamp: self.message.timestamp.wrapping_add(tag.timestamp_ms.wrapping_sub(base)),
                    length: tag.length,
                    type_id: tag.message_type,
                    stream_id: self.message.stream_id,
                };
                self.wanted = false;
                self.phase = Phase::Body(tag.length);
                Some(SubTagPart::Begin(self.part))
            }
            Phase::Body(left) => {
                *left -= n;
                self.wanted.then_some(SubTagPart::Body)
            }
            Phase::BackPointer(left) => {
                *left -= n;
                if *left == 0 {
                    self.phase = Phase::Header(heapless::Vec::new());
                }
                None
            }
        }
    }

    /// Whether the caller wants the tag that has begun.
    pub fn wanted(&mut self, wanted: bool) {
        self.wanted = wanted;
    }

    /// When a tag's body is complete: goes on to the next, and gives the lane if the tag was wanted.
    pub fn take_end(&mut self) -> Option<Lane> {
        let Phase::Body(0) = self.phase else { return None };
        self.phase = Phase::BackPointer(SUB_TAG_TRAILER_BYTES as u32);
        self.wanted.then_some(self.lane)
    }

    /// The header of the present or last tag.
    pub fn part_header(&self) -> MessageHeader {
        self.part
    }

    /// The present or last tag is audio or video.
    pub fn is_media(&self) -> bool {
        matches!(self.part.type_id, type_id::AUDIO | type_id::VIDEO)
    }

    /// A wanted tag has begun and not ended.
    pub fn is_inside(&self) -> bool {
        self.wanted && matches!(self.phase, Phase::Body(_))
    }
}
