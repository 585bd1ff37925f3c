//! RTMP's frame for who cannot be sent the ring's bytes as they stand.
//!
//! A second stream on its connection has another message stream id. A player who knows no Enhanced RTMP is sent the legacy message
//! that a tag equals, which begins otherwise and may be a part of the ring's ([`crate::wire::legacy`]): its chunks are cut
//! anew. All headers are put together as they are sent, byte for byte as the ring would have written them.

use super::frame::{Again, Frame, Head};
use super::ring::Tag;
use super::tag::Framing;
use crate::limits::OUT_CHUNK_BYTES;
use crate::wire::legacy::{self, Instead};

/// One tag as RTMP, in chunks of `CHUNK` bytes: [`crate::limits::OUT_CHUNK_BYTES`] but in tests. The chunk stream id stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reframe<const CHUNK: usize = OUT_CHUNK_BYTES> {
    /// The player's own message stream id.
    pub message_stream_id: u32,
    /// The timestamp it shall see, in milliseconds.
    pub timestamp: u32,
    /// What it is sent in place of the tag's own payload, if anything ([`Ring::legacy`](super::Ring::legacy)).
    pub instead: Option<Instead>,
}

impl<const CHUNK: usize> Reframe<CHUNK> {
    const CHUNK_U32: u32 = {
        assert!(CHUNK > legacy::HEAD_BYTES, "a legacy header lies in the first chunk");
        CHUNK as u32
    };

    fn begin(&self) -> &[u8] {
        self.instead.as_ref().map_or(&[], Instead::head)
    }

    fn framing(&self, tag: &Tag) -> Framing<CHUNK> {
        Framing { timestamp: self.timestamp, length: self.begin().len() as u32 + self.take(tag) }
    }
}

impl<const CHUNK: usize> Frame for Reframe<CHUNK> {
    fn head(&self, tag: &Tag) -> Head {
        let header = self.framing(tag).header(tag.kind, self.message_stream_id);
        Head::new(header.as_slice()).then(self.begin())
    }

    fn skip(&self, _tag: &Tag) -> u32 {
        self.instead.map_or(0, |instead| instead.skip)
    }

    fn take(&self, tag: &Tag) -> u32 {
        self.instead.map_or(tag.length, |instead| instead.take)
    }

    fn again(&self, tag: &Tag) -> Option<Again> {
        let header = self.framing(tag).continuation(tag.kind);
        let first = Self::CHUNK_U32 - self.begin().len() as u32;
        Some(Again { first, every: Self::CHUNK_U32, head: Head::new(header.as_slice()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::frame;
    use crate::media::ring::{Cursor, Ring, TagMeta};
    use crate::media::tag::{TagFlags, TagKind, TagSeq};
    use crate::time::Millis;
    use crate::wire::announced::Announced;
    use crate::wire::legacy::Legacy;
    use proptest::prelude::*;
    extern crate std;
    use std::vec;
    use std::vec::Vec;

    type SmallRing = Ring<Vec<u8>, Vec<TagMeta>, 50>;

    fn ring_with(timestamp: u32, payload: &[u8], lead: usize) -> (SmallRing, TagSeq) {
        let mut ring = SmallRing::new(vec![0; 997], vec![TagMeta::EMPTY; 8]);
        // Moves the tag along the storage, so that some of them wrap.
        let lead = vec![0; lead];
        ring.push(TagKind::Data, 0, &[&lead], TagFlags::default(), Millis(0)).unwrap();
        ring.push(TagKind::Data, 0, &[&lead], TagFlags::default(), Millis(0)).unwrap();
        let seq = ring.push(TagKind::Video, timestamp, &[payload], TagFlags::default(), Millis(0)).unwrap();
        (ring, seq)
    }

    /// Sends the tag in writes of at most `write` bytes.
    fn send(ring: &SmallRing, seq: TagSeq, reframe: Reframe<50>, write: usize) -> Vec<u8> {
        let mut wire = Vec::new();
        let mut cursor = Cursor::at(seq);
        while let Some(piece) = frame::piece(&reframe, ring, seq, cursor.offset) {
            let bytes = &piece.bytes()[..piece.bytes().len().min(write)];
            wire.extend(bytes);
            if frame::advance(&reframe, ring, &mut cursor, bytes.len()) {
                break;
            }
        }
        assert_eq!(cursor, Cursor::behind(seq));
        assert_eq!(frame::wire_bytes(&reframe, ring, seq), Some(wire.len() as u32));
        wire
    }

    fn reframe(message_stream_id: u32, timestamp: u32) -> Reframe<50> {
        Reframe { message_stream_id, timestamp, instead: None }
    }

    fn timestamp() -> impl Strategy<Value = u32> {
        prop_oneof![0_u32..1000, 0xFF_FFF0_u32..0x100_0010, any::<u32>()]
    }

    proptest! {
        #[test]
        fn the_same_id_and_timestamp_give_the_rings_own_bytes(
            timestamp in timestamp(), length in 0_usize..400, lead in 0_usize..400, write in 1_usize..100,
        ) {
            let payload: Vec<u8> = (0..length).map(|i| i as u8).collect();
            let (ring, seq) = ring_with(timestamp, &payload, lead);
            let own = ring.slices(&mut Cursor::at(seq), 10_000).unwrap().concat();
            prop_assert_eq!(send(&ring, seq, reframe(1, timestamp), write), own);
        }

        #[test]
        fn another_timestamp_gives_what_a_ring_at_that_time_would_hold(
            from in timestamp(), to in timestamp(), id in any::<u32>(), length in 0_usize..400, lead in 0_usize..400,
            write in 1_usize..100,
        ) {
            let payload: Vec<u8> = (0..length).map(|i| i as u8).collect();
            let (ring, seq) = ring_with(from, &payload, lead);
            let (other, other_seq) = ring_with(to, &payload, lead);
            let mut expected = other.slices(&mut Cursor::at(other_seq), 10_000).unwrap().concat();
            expected[8..12].copy_from_slice(&id.to_le_bytes());
            prop_assert_eq!(send(&ring, seq, reframe(id, to), write), expected);
        }

        #[test]
        fn what_stands_for_a_tag_is_what_a_ring_of_the_legacy_message_would_hold(
            timestamp in timestamp(), data in 0_usize..250, other in 0_usize..80, shape in 0_usize..8, lead in 0_usize..400,
            write in 1_usize..100,
        ) {
            let data: Vec<u8> = (0..data).map(|i| i as u8).collect();
            let size = |bytes: &[u8]| (bytes.len() as u32).to_be_bytes()[1..].to_vec();
            let one = |bytes: &[u8]| [b"\x00", &size(bytes)[..], bytes].concat();
            let other = vec![0xEE; other];
            let other = [b"\x01", &size(&other)[..], &other].concat();
            let timed = [b"\x00\x00\x50", &data[..]].concat();
            let (message, legacy) = match shape {
                0 => ([b"\x91avc1", &timed[..]].concat(), [b"\x17\x01", &timed[..]].concat()),
                1 => ([b"\xA3avc1", &data[..]].concat(), [b"\x27\x01\0\0\0", &data[..]].concat()),
                2 => ([b"\x97\x02\0\0\x01\x03avc1", &data[..]].concat(), [b"\x17\x01\0\0\0", &data[..]].concat()),
                3 => ([b"\x96\x03avc1\0", &data[..]].concat(), [b"\x17\x01\0\0\0", &data[..]].concat()),
                4 => ([b"\x96\x13avc1", &one(&data)[..], &other].concat(), [b"\x17\x01\0\0\0", &data[..]].concat()),
                5 => ([b"\x96\x13avc1", &other[..], &one(&data)].concat(), [b"\x17\x01\0\0\0", &data[..]].concat()),
                6 => (
                    [b"\x96\x21hvc1", &other[..], b"avc1", &one(&timed), b"av01", &other].concat(),
                    [b"\x17\x01", &timed[..]].concat(),
                ),
                _ => ([b"\x17\x01\0\0\0", &data[..]].concat(), [b"\x17\x01\0\0\0", &data[..]].concat()),
            };
            let (ring, seq) = ring_with(timestamp, &message, lead);
            let (old, old_seq) = ring_with(timestamp, &legacy, lead);
            let expected = old.slices(&mut Cursor::at(old_seq), 10_000).unwrap().concat();
            let mut plan = reframe(1, timestamp);
            plan.instead = match ring.legacy(&ring.tag(seq).unwrap(), Announced::NOTHING) {
                Legacy::Itself => None,
                Legacy::Instead(instead) => Some(instead),
                nothing => panic!("{nothing:?}"),
            };
            prop_assert_eq!(plan.instead.is_none(), shape == 7);
            prop_assert_eq!(send(&ring, seq, plan, write), expected);
        }
    }
}
