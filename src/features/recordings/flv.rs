//! A recording as an FLV file: a front, the headers, and then every tag as the ring has it, with a header before and a link behind.

use crate::live::names::Media;
use crate::live::recording::WriteBlock;
use crate::media::{Tag, TagKind};
use crate::wire::flv::{SUB_TAG_HEADER_BYTES, SUB_TAG_TRAILER_BYTES, SubTagHeader};

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

/// Bytes of a tag in a file.
pub(super) fn tag_bytes(tag: &Tag) -> u64 {
    (SUB_TAG_HEADER_BYTES + SUB_TAG_TRAILER_BYTES) as u64 + u64::from(tag.length)
}

/// Puts as much of a tag, from `offset` on, into the block as there is room for. Returns how much that was; `None` when the tag is gone
/// from the ring.
pub(super) fn put_tag(media: &Media, tag: &Tag, time_ms: u32, mut offset: u64, block: &mut WriteBlock) -> Option<u64> {
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
        let count = part.len().min(room.len());
        room[..count].copy_from_slice(&part[..count]);
        block.put(count);
        offset += count as u64;
    }
}
