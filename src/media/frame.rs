//! How a tag looks to one reader: the same payload between other bytes.
//!
//! A [`Frame`] says what stands before a tag's payload, what of the payload is left out at either end, what is repeated within it
//! (RTMP's continuation headers), and what stands behind it. The payload itself is sliced from the ring, whose own chunk headers
//! are stepped over. An offset counts the bytes of the *framed* tag, so that a reader of any frame is a [`Cursor`], and a short
//! write costs it nothing.
//!
//! A frame depends on the tag alone, which does not change while it is in the ring: every call gives the same bytes.

use super::ring::{Cursor, Ring, Tag, TagMeta};
use super::tag::TagSeq;

/// Longest head or tail, in bytes: the head of a fragment of one sample, behind what a WebSocket or a chunk of HTTP has in front.
pub const HEAD_BYTES: usize = 128;

/// What stands around a tag's payload.
pub trait Frame {
    /// What comes first.
    fn head(&self, tag: &Tag) -> Head;

    /// Payload bytes that are left out in front.
    fn skip(&self, _tag: &Tag) -> u32 {
        0
    }

    /// Payload bytes that are sent behind those; what is left of it then is left out. Together with [`Frame::skip`] at most the
    /// tag's length.
    fn take(&self, tag: &Tag) -> u32 {
        tag.length.saturating_sub(self.skip(tag))
    }

    /// What is repeated within the payload that is sent.
    fn again(&self, _tag: &Tag) -> Option<Again> {
        None
    }

    /// Parts of later tags that are sent behind the payload, in order: the tag, bytes to leave out in front, bytes to send. Nothing is
    /// repeated in a frame with such parts.
    fn later(&self) -> &[(TagSeq, u32, u32)] {
        &[]
    }

    /// What comes last.
    fn tail(&self, _tag: &Tag) -> Head {
        Head::EMPTY
    }
}

/// Bytes of a frame's own, put together: a value, so that a reader needs no buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    bytes: [u8; HEAD_BYTES],
    length: u8,
}

impl Head {
    /// No bytes.
    pub const EMPTY: Head = Head { bytes: [0; HEAD_BYTES], length: 0 };

    /// A head of these bytes.
    ///
    /// # Panics
    ///
    /// When they are more than [`HEAD_BYTES`]: the fault of a frame, whatever the tag.
    pub fn new(bytes: &[u8]) -> Head {
        Head::EMPTY.then(bytes)
    }

    /// This head with these bytes behind it.
    ///
    /// # Panics
    ///
    /// As [`Head::new`].
    pub fn then(mut self, bytes: &[u8]) -> Head {
        let length = usize::from(self.length) + bytes.len();
        self.bytes[usize::from(self.length)..length].copy_from_slice(bytes);
        self.length = length as u8;
        self
    }

    /// Its bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    fn len(&self) -> u32 {
        u32::from(self.length)
    }

    /// The same without its first `count` bytes: what is left after a short write.
    pub(super) fn without_first(self, count: u32) -> Head {
        if count == 0 { self } else { Head::new(&self.as_slice()[count as usize..]) }
    }
}

/// What is repeated within a payload: after its first `first` bytes, and then after each `every` bytes, as long as more follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Again {
    /// Payload bytes before it comes for the first time; at least 1.
    pub first: u32,
    /// Payload bytes from each to the next; at least 1.
    pub every: u32,
    /// What is repeated.
    pub head: Head,
}

impl Again {
    /// How often, in `payload` bytes.
    fn times(&self, payload: u32) -> u32 {
        if payload <= self.first { 0 } else { 1 + (payload - self.first - 1) / self.every }
    }
}

/// The next bytes of a framed tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'r> {
    /// (The rest of) the frame's own bytes.
    Own(Head),
    /// Payload where it lies in the ring.
    Payload(&'r [u8]),
}

impl Piece<'_> {
    /// The bytes to send.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Piece::Own(head) => head.as_slice(),
            Piece::Payload(payload) => payload,
        }
    }
}

/// Bytes of the framed tag; `None` when it is not in the ring (any more). Saturates.
pub fn wire_bytes<B, I, const CHUNK: usize>(frame: &impl Frame, ring: &Ring<B, I, CHUNK>, seq: TagSeq) -> Option<u32>
where
    B: AsRef<[u8]> + AsMut<[u8]>,
    I: AsRef<[TagMeta]> + AsMut<[TagMeta]>,
{
    let tag = ring.tag(seq)?;
    let around = frame.head(&tag).len() + frame.tail(&tag).len();
    let middle = middle_bytes(frame.take(&tag), frame.again(&tag)).saturating_add(later_bytes(frame));
    Some(middle.saturating_add(around))
}

/// What lies `offset` bytes into the framed tag, up to the end of what lies together. `None` at its end, and when it is not in the
/// ring (any more).
pub fn piece<'r, B, I, const CHUNK: usize>(
    frame: &impl Frame,
    ring: &'r Ring<B, I, CHUNK>,
    seq: TagSeq,
    offset: u32,
) -> Option<Piece<'r>>
where
    B: AsRef<[u8]> + AsMut<[u8]>,
    I: AsRef<[TagMeta]> + AsMut<[TagMeta]>,
{
    let tag = ring.tag(seq)?;
    let head = frame.head(&tag);
    if offset < head.len() {
        return Some(Piece::Own(head.without_first(offset)));
    }
    let (take, again) = (frame.take(&tag), frame.again(&tag));
    let at = offset - head.len();
    let own = middle_bytes(take, again);
    let middle = own.saturating_add(later_bytes(frame));
    if at >= middle {
        let tail = frame.tail(&tag);
        return (at - middle < tail.len()).then(|| Piece::Own(tail.without_first(at - middle)));
    }
    if at >= own {
        let mut at = at - own;
        for &(seq, skip, take) in frame.later() {
            if at < take {
                let payload = ring.payload_at(seq, skip + at)?;
                return Some(Piece::Payload(&payload[..payload.len().min((take - at) as usize)]));
            }
            at -= take;
        }
        return None;
    }
    let (from, to) = match again {
        Some(again) if at >= again.first => {
            let stride = again.every + again.head.len();
            let (times, within) = ((at - again.first) / stride, (at - again.first) % stride);
            if within < again.head.len() {
                return Some(Piece::Own(again.head.without_first(within)));
            }
            let run = again.first + times * again.every;
            (run + within - again.head.len(), run + again.every)
        }
        Some(again) => (at, again.first),
        None => (at, take),
    };
    let payload = ring.payload_at(seq, frame.skip(&tag) + from)?;
    let count = payload.len().min((to.min(take) - from) as usize);
    Some(Piece::Payload(&payload[..count]))
}

/// Moves a cursor that counts in framed tags over `written` bytes of its tag; at the tag's end it goes to the next one. Returns
/// whether it did.
pub fn advance<B, I, const CHUNK: usize>(
    frame: &impl Frame,
    ring: &Ring<B, I, CHUNK>,
    cursor: &mut Cursor,
    written: usize,
) -> bool
where
    B: AsRef<[u8]> + AsMut<[u8]>,
    I: AsRef<[TagMeta]> + AsMut<[TagMeta]>,
{
    cursor.offset += written as u32;
    let whole = wire_bytes(frame, ring, cursor.seq).is_some_and(|bytes| cursor.offset >= bytes);
    if whole {
        *cursor = Cursor::behind(cursor.seq);
    }
    whole
}

/// Bytes between head and tail.
fn middle_bytes(take: u32, again: Option<Again>) -> u32 {
    let repeated = again.map_or(0, |again| again.times(take).saturating_mul(again.head.len()));
    take.saturating_add(repeated)
}

/// Bytes of later tags.
fn later_bytes(frame: &impl Frame) -> u32 {
    frame.later().iter().fold(0, |bytes, (_, _, take)| bytes.saturating_add(*take))
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

    /// Any frame there can be.
    #[derive(Clone, Debug)]
    struct Around {
        head: Vec<u8>,
        skip: u32,
        take: u32,
        again: Option<(u32, u32, Vec<u8>)>,
        tail: Vec<u8>,
    }

    impl Frame for Around {
        fn head(&self, _tag: &Tag) -> Head {
            Head::new(&self.head)
        }
        fn skip(&self, tag: &Tag) -> u32 {
            self.skip.min(tag.length)
        }
        fn take(&self, tag: &Tag) -> u32 {
            self.take.min(tag.length - self.skip(tag))
        }
        fn again(&self, _tag: &Tag) -> Option<Again> {
            let (first, every, head) = self.again.as_ref()?;
            Some(Again { first: *first, every: *every, head: Head::new(head) })
        }
        fn tail(&self, _tag: &Tag) -> Head {
            Head::new(&self.tail)
        }
    }

    fn around() -> impl Strategy<Value = Around> {
        let own = || prop::collection::vec(200_u8..=255, 0..=HEAD_BYTES);
        (own(), 0_u32..300, 0_u32..300, prop::option::of((1_u32..90, 1_u32..90, own())), own())
            .prop_map(|(head, skip, take, again, tail)| Around { head, skip, take, again, tail })
    }

    proptest! {
        #[test]
        fn a_framed_tag_is_the_same_in_writes_of_any_lengths(
            frame in around(),
            timestamp in prop_oneof![0_u32..1000, 0xFF_FFF0_u32..0x100_0010],
            length in 0_usize..400,
            lead in 0_usize..400,
            writes in prop::collection::vec(1_usize..100, 1..5),
        ) {
            let payload: Vec<u8> = (0..length).map(|i| (i % 200) as u8).collect();
            let mut ring = Ring::<Vec<u8>, Vec<TagMeta>, 50>::new(vec![0; 997], vec![TagMeta::EMPTY; 8]);
            // Moves the tag along the storage, so that some of them wrap.
            let lead = vec![0; lead];
            ring.push(TagKind::Data, 0, &[&lead], TagFlags::default(), Millis(0)).unwrap();
            ring.push(TagKind::Data, 0, &[&lead], TagFlags::default(), Millis(0)).unwrap();
            let seq = ring.push(TagKind::Video, timestamp, &[&payload], TagFlags::default(), Millis(0)).unwrap();
            let tag = ring.tag(seq).unwrap();

            let mut expected = frame.head.clone();
            let sent = &payload[frame.skip(&tag) as usize..][..frame.take(&tag) as usize];
            match &frame.again {
                None => expected.extend(sent),
                Some((first, every, head)) => {
                    let (begin, rest) = sent.split_at(sent.len().min(*first as usize));
                    expected.extend(begin);
                    for part in rest.chunks(*every as usize) {
                        expected.extend(head.iter().chain(part));
                    }
                }
            }
            expected.extend(&frame.tail);
            prop_assert_eq!(wire_bytes(&frame, &ring, seq), Some(expected.len() as u32));

            let (mut wire, mut cursor) = (Vec::<u8>::new(), Cursor::at(seq));
            for write in writes.iter().cycle() {
                let Some(piece) = piece(&frame, &ring, seq, cursor.offset) else { break };
                prop_assert!(!piece.bytes().is_empty());
                let bytes = &piece.bytes()[..piece.bytes().len().min(*write)];
                wire.extend(bytes);
                if advance(&frame, &ring, &mut cursor, bytes.len()) {
                    break;
                }
            }
            prop_assert_eq!(&wire, &expected);
            prop_assert!(expected.is_empty() || cursor == Cursor::behind(seq));
        }
    }
}
