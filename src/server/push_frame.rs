//! A tag as it is published at another server: with the far end's message stream id and clock, and metadata behind `@setDataFrame`,
//! without which nobody keeps it (Adobe's Live Streaming documentation, "Add metadata to a live stream").

use crate::limits::OUT_CHUNK_BYTES;
use crate::media::frame::{Again, Frame, Head};
use crate::media::{Framing, Reframe, Tag, TagKind};

/// `@setDataFrame` as an AMF 0 string.
const SET_DATA_FRAME: &[u8; 16] = b"\x02\x00\x0D@setDataFrame";
/// Metadata as an AMF 0 message begins so.
pub(super) const ON_META_DATA: &[u8; 13] = b"\x02\x00\x0AonMetaData";
/// Bytes of a chunk header of type 0 without an extended timestamp, and where the message's length stands in it.
const HEADER_BYTES: usize = 12;
const LENGTH_AT: usize = 4;

/// See the module's documentation.
pub(super) enum PushFrame {
    /// Audio, video, and data other than metadata.
    Plain(Reframe),
    /// Metadata, on that message stream.
    Metadata(u32),
}

impl PushFrame {
    fn framing(tag: &Tag) -> Framing<OUT_CHUNK_BYTES> {
        Framing { timestamp: 0, length: tag.length + SET_DATA_FRAME.len() as u32 }
    }
}

impl Frame for PushFrame {
    fn head(&self, tag: &Tag) -> Head {
        match self {
            PushFrame::Plain(reframe) => reframe.head(tag),
            PushFrame::Metadata(message_stream_id) => {
                let header = PushFrame::framing(tag).header(TagKind::Data, *message_stream_id);
                Head::new(header.as_slice()).then(SET_DATA_FRAME)
            }
        }
    }

    fn skip(&self, tag: &Tag) -> u32 {
        match self {
            PushFrame::Plain(reframe) => reframe.skip(tag),
            PushFrame::Metadata(_) => 0,
        }
    }

    fn take(&self, tag: &Tag) -> u32 {
        match self {
            PushFrame::Plain(reframe) => reframe.take(tag),
            PushFrame::Metadata(_) => tag.length,
        }
    }

    fn again(&self, tag: &Tag) -> Option<Again> {
        match self {
            PushFrame::Plain(reframe) => reframe.again(tag),
            PushFrame::Metadata(_) => {
                let header = PushFrame::framing(tag).continuation(TagKind::Data);
                let first = (OUT_CHUNK_BYTES - SET_DATA_FRAME.len()) as u32;
                Some(Again { first, every: OUT_CHUNK_BYTES as u32, head: Head::new(header.as_slice()) })
            }
        }
    }
}

/// Puts `@setDataFrame` into a metadata message of `length` bytes with its chunk header, of which it may be that there are none. `None`
/// without room.
pub(super) fn put_set_data_frame(message: &mut [u8], length: usize) -> Option<usize> {
    if length < HEADER_BYTES {
        return Some(length);
    }
    let (more, behind) = (SET_DATA_FRAME.len(), HEADER_BYTES + SET_DATA_FRAME.len());
    message.get_mut(..length + more)?.copy_within(HEADER_BYTES..length, behind);
    message[HEADER_BYTES..behind].copy_from_slice(SET_DATA_FRAME);
    let payload = (length + more - HEADER_BYTES) as u32;
    message[LENGTH_AT..LENGTH_AT + 3].copy_from_slice(&payload.to_be_bytes()[1..]);
    Some(length + more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_goes_behind_set_data_frame_and_its_length_grows() {
        let mut message = [0; 64];
        let header = Framing::<OUT_CHUNK_BYTES> { timestamp: 0, length: 14 }.header(TagKind::Data, 1);
        let before = [header.as_slice(), ON_META_DATA, b"\x05"].concat();
        message[..before.len()].copy_from_slice(&before);
        let length = put_set_data_frame(&mut message, before.len()).unwrap();
        let header = Framing::<OUT_CHUNK_BYTES> { timestamp: 0, length: 30 }.header(TagKind::Data, 1);
        assert_eq!(message[..length], [header.as_slice(), SET_DATA_FRAME, ON_META_DATA, b"\x05"].concat());
        assert_eq!(put_set_data_frame(&mut message[..before.len() + 3], before.len()), None, "no room");
        assert_eq!(put_set_data_frame(&mut [], 0), Some(0), "nothing is sent of it");
    }
}
