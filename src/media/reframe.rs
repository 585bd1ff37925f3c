//! Other headers for the same payload: the rare player that cannot be sent the ring's chunk headers.
//!
//! A second stream on its connection, timestamps counted from its own zero, another message stream id at a relay target: its
//! headers are put together as they are sent, byte for byte as the ring would have written them, and the payload is still sliced
//! from the ring. Such a player's [`Cursor`] counts offsets of the *reframed* tag, which may be 4 bytes longer or shorter per
//! chunk than the ring's when only one of the two timestamps is an extended one.

use super::ring::{Cursor, Ring, Tag, TagMeta};
use super::tag::{ChunkHeader, Framing, Place, TagSeq};

/// What one tag's headers shall say instead. The chunk stream id stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReframePlan {
    /// The player's own message stream id.
    pub message_stream_id: u32,
    /// The timestamp it shall see, in milliseconds.
    pub timestamp: u32,
}

/// The next bytes of a reframed tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'r> {
    /// (The rest of) a chunk header.
    Header(ChunkHeader),
    /// Payload where it lies in the ring.
    Payload(&'r [u8]),
}

impl Piece<'_> {
    /// The bytes to send.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Piece::Header(header) => header.as_slice(),
            Piece::Payload(payload) => payload,
        }
    }
}

impl ReframePlan {
    /// Wire length of the reframed tag in bytes; `None` when it is not in the ring (any more).
    pub fn wire_bytes<B, I, const CHUNK: usize>(&self, ring: &Ring<B, I, CHUNK>, seq: TagSeq) -> Option<u32>
    where
        B: AsRef<[u8]> + AsMut<[u8]>,
        I: AsRef<[TagMeta]> + AsMut<[TagMeta]>,
    {
        ring.tag(seq).map(|tag| self.framing::<CHUNK>(tag).wire_bytes())
    }

    /// What lies `tag_offset` bytes into the reframed tag, up to the end of a header or of a run of payload. `None` at its end,
    /// and when it is not in the ring (any more).
    pub fn piece<'r, B, I, const CHUNK: usize>(
        &self,
        ring: &'r Ring<B, I, CHUNK>,
        seq: TagSeq,
        tag_offset: u32,
    ) -> Option<Piece<'r>>
    where
        B: AsRef<[u8]> + AsMut<[u8]>,
        I: AsRef<[TagMeta]> + AsMut<[TagMeta]>,
    {
        let tag = ring.tag(seq)?;
        let framing = self.framing::<CHUNK>(tag);
        match framing.place(tag_offset) {
            Place::Header(sent) => {
                Some(Piece::Header(framing.header(tag.kind, self.message_stream_id).without_first(sent)))
            }
            Place::Continuation(sent) => Some(Piece::Header(framing.continuation(tag.kind).without_first(sent))),
            Place::Payload { offset } => Some(Piece::Payload(ring.payload_at(seq, offset)?)),
            Place::End => None,
        }
    }

    /// Moves a cursor that counts in reframed tags over `written` bytes of its tag; at the tag's end it goes to the next one.
    /// Returns whether it did: the next tag needs a plan of its own.
    pub fn advance<B, I, const CHUNK: usize>(
        &self,
        ring: &Ring<B, I, CHUNK>,
        cursor: &mut Cursor,
        written: usize,
    ) -> bool
    where
        B: AsRef<[u8]> + AsMut<[u8]>,
        I: AsRef<[TagMeta]> + AsMut<[TagMeta]>,
    {
        cursor.offset += written as u32;
        let whole = self.wire_bytes(ring, cursor.seq).is_some_and(|wire_bytes| cursor.offset >= wire_bytes);
        if whole {
            *cursor = Cursor::at(cursor.seq.next());
        }
        whole
    }

    fn framing<const CHUNK: usize>(&self, tag: Tag) -> Framing<CHUNK> {
        Framing { timestamp: self.timestamp, length: tag.length }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::tag::{TagFlags, TagKind};
    use crate::time::Millis;
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
    fn send(ring: &SmallRing, seq: TagSeq, plan: ReframePlan, write: usize) -> Vec<u8> {
        let mut wire = Vec::new();
        let mut cursor = Cursor::at(seq);
        while let Some(piece) = plan.piece(ring, seq, cursor.offset) {
            let bytes = &piece.bytes()[..piece.bytes().len().min(write)];
            wire.extend(bytes);
            if plan.advance(ring, &mut cursor, bytes.len()) {
                break;
            }
        }
        assert_eq!(cursor, Cursor::at(seq.next()));
        assert_eq!(plan.wire_bytes(ring, seq), Some(wire.len() as u32));
        wire
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
            prop_assert_eq!(send(&ring, seq, ReframePlan { message_stream_id: 1, timestamp }, write), own);
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
            prop_assert_eq!(send(&ring, seq, ReframePlan { message_stream_id: id, timestamp: to }, write), expected);
        }
    }
}
