//! A recording as an FLV file: a front, the headers, and then every tag as the ring has it, with a header before and a link behind.

use crate::live::names::Media;
use crate::live::recording::WriteBlock;
use crate::media::{Cursor, Tag, TagKind, TagSeq};
use crate::wire::flv::{SUB_TAG_HEADER_BYTES, SUB_TAG_TRAILER_BYTES, SubTagHeader};

use super::fragment::RecordedFragment;
use super::part::{Copied, FileClock};

/// Puts the sequence headers behind what is in the block, which has room for them.
pub(super) fn put_headers(media: &Media, time_ms: u32, block: &mut WriteBlock) {
    for header in media.headers().iter().filter(|header| header.kind != TagKind::Data) {
        let length = header.payload.len() as u32;
        let tag = SubTagHeader { message_type: header.kind.message_type(), length, timestamp_ms: time_ms };
        let parts = [&tag.emit()[..], header.payload, &(length + SUB_TAG_HEADER_BYTES as u32).to_be_bytes()];
        for part in parts {
            block.room()[..part.len()].copy_from_slice(part);
            block.put(part.len());
        }
    }
}

/// A fragment on its way into blocks.
#[derive(Clone, Copy)]
pub(super) struct FlvCopy {
    tag: TagSeq,
    offset: u64,
    /// The file's time of the last picture or sound, in milliseconds.
    pub(super) last_ms: u32,
}

impl FlvCopy {
    /// From its first tag on.
    pub(super) fn new(fragment: &RecordedFragment, last_ms: u32) -> FlvCopy {
        FlvCopy { tag: fragment.first, offset: 0, last_ms }
    }

    /// Puts as much of it into the block as there is room for.
    pub(super) fn put(
        &mut self,
        media: &Media,
        fragment: &RecordedFragment,
        clock: FileClock,
        block: &mut WriteBlock,
    ) -> Copied {
        while self.tag < fragment.end {
            let mut cursor = Cursor::at(self.tag);
            let tag = match media.ring().tag_at(&mut cursor) {
                Ok(Some(tag)) if tag.seq < fragment.end => tag,
                Ok(_) => break,
                Err(_) => return Copied::Lost,
            };
            let time_ms = match tag.kind {
                // Data messages that are kept for players who join do not have a time.
                TagKind::Data => clock.file_ms(tag.timestamp).max(self.last_ms),
                _ => clock.file_ms(tag.timestamp),
            };
            let Some(count) = put_tag(media, &tag, time_ms, self.offset, block) else { return Copied::Lost };
            self.offset += count;
            if self.offset < tag_bytes(&tag) {
                return Copied::Part;
            }
            if tag.kind != TagKind::Data {
                self.last_ms = self.last_ms.max(time_ms);
            }
            (self.tag, self.offset) = (Cursor::behind(tag.seq).seq, 0);
        }
        Copied::Whole
    }
}

/// Bytes of a tag in a file.
fn tag_bytes(tag: &Tag) -> u64 {
    (SUB_TAG_HEADER_BYTES + SUB_TAG_TRAILER_BYTES) as u64 + u64::from(tag.length)
}

/// Puts as much of a tag, from `offset` on, into the block as there is room for. Returns how much that was; `None` when the tag is gone
/// from the ring.
fn put_tag(media: &Media, tag: &Tag, time_ms: u32, mut offset: u64, block: &mut WriteBlock) -> Option<u64> {
    let begin = offset;
    let header =
        SubTagHeader { message_type: tag.kind.message_type(), length: tag.length, timestamp_ms: time_ms }.emit();
    let payload_end = SUB_TAG_HEADER_BYTES as u64 + u64::from(tag.length);
    loop {
        let room = block.room();
        if room.is_empty() {
            return Some(offset - begin);
        }
        let link;
        let part = if offset < SUB_TAG_HEADER_BYTES as u64 {
            &header[offset as usize..]
        } else if offset < payload_end {
            let run = media.ring().payload_at(tag.seq, (offset - SUB_TAG_HEADER_BYTES as u64) as u32)?;
            if run.is_empty() {
                return None;
            }
            run
        } else if offset < tag_bytes(tag) {
            link = (tag.length + SUB_TAG_HEADER_BYTES as u32).to_be_bytes();
            &link[(offset - payload_end) as usize..]
        } else {
            return Some(offset - begin);
        };
        let count = block.fill(part);
        offset += count as u64;
    }
}
