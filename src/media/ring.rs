//! The ring: a stream's latest tags in wire form, written once, read by every player.
//!
//! The bytes between a player's [`Cursor`] and the readable head are what it is due, as they stand, in at most two slices. A
//! writer reserves a tag's exact wire length when the message's header arrives, so payload is copied once, from the read buffer
//! to its place; audio and video that interleave simply hold two ranges open. Readers see tags up to the first open one.
//!
//! Positions are absolute byte counts. The ring remembers where its current lap began and finds a storage offset by compare
//! and subtract, so capacity need not be a power of two and nothing divides.

use super::tag::{Framing, MESSAGE_STREAM_ID, TagFlags, TagKind, TagSeq, TagTiming};
use crate::limits::{MESSAGE_BYTES, OPEN_TAGS, OUT_CHUNK_BYTES};
use crate::time::Millis;
use crate::wire::announced::Announced;
use crate::wire::legacy::Legacy;
use crate::wire::sample::SamplePart;

/// A tag may take at most this part of the ring, so that a key frame does not evict all that was before it.
pub const LARGEST_TAG_SHARE: usize = 2;

/// See [`Ring::is_nearly_overwritten`].
pub const OVERWRITTEN_SOON_SHARE: u64 = 8;

/// Index entry of one tag. The index is storage of the caller's, like the bytes.
#[derive(Clone, Copy, Debug)]
pub struct TagMeta {
    position: u64,
    /// When the tag became readable, low 32 bits: a lag of 49 days is not told from none, and no connection lives so long
    /// without taking a byte.
    arrival_ms: u32,
    timestamp: u32,
    length: u32,
    filled: u32,
    kind: TagKind,
    state: TagState,
    flags: TagFlags,
    timing: TagTiming,
}

const _: () = assert!(size_of::<TagMeta>() <= 32, "the index is a large part of a small stream's memory");

impl TagMeta {
    /// What index storage is filled with at start.
    pub const EMPTY: TagMeta = TagMeta {
        position: 0,
        arrival_ms: 0,
        timestamp: 0,
        length: 0,
        filled: 0,
        kind: TagKind::Data,
        state: TagState::Void,
        flags: TagFlags { key: false, header: false, droppable: false, enhanced: false },
        timing: TagTiming::NONE,
    };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TagState {
    Open,
    Finished,
    Void,
}

/// What a reader may know of a finished tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Its name.
    pub seq: TagSeq,
    /// Audio, video or data.
    pub kind: TagKind,
    /// What its content is.
    pub flags: TagFlags,
    /// Stream time in milliseconds.
    pub timestamp: u32,
    /// Payload bytes.
    pub length: u32,
    /// How it follows those before it.
    pub timing: TagTiming,
}

impl Tag {
    /// Metadata that names a codec as only Enhanced RTMP does.
    pub fn is_enhanced_data(&self) -> bool {
        self.kind == TagKind::Data && self.flags.enhanced
    }
}

/// A player's place in a ring: the next byte it is due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The tag.
    pub seq: TagSeq,
    /// Wire bytes of it that were sent.
    pub offset: u32,
}

impl Cursor {
    /// A cursor at the beginning of a tag.
    pub const fn at(seq: TagSeq) -> Cursor {
        Cursor { seq, offset: 0 }
    }

    /// A cursor at the beginning of the tag behind that one.
    pub const fn behind(seq: TagSeq) -> Cursor {
        Cursor::at(seq.next())
    }

    /// Whether something else may be sent now. Between two tags a peer expects any message; inside one only the rest of it.
    pub const fn at_tag_boundary(self) -> bool {
        self.offset == 0
    }
}

/// Payload bytes that became readable within a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrived {
    /// Of audio.
    pub audio_bytes: u64,
    /// Of video.
    pub video_bytes: u64,
    /// Of data messages.
    pub data_bytes: u64,
    /// How long they took to come, in milliseconds: less than was asked for when the ring does not go back so far.
    pub took_ms: u32,
}

impl Arrived {
    /// Of all kinds.
    pub const fn bytes(self) -> u64 {
        self.audio_bytes + self.video_bytes + self.data_bytes
    }

    /// So many `bytes` of them, as bits a second.
    pub const fn bits_per_second(self, bytes: u64) -> u64 {
        let took_ms = if self.took_ms == 0 { 1 } else { self.took_ms };
        bytes.saturating_mul(8000) / took_ms as u64
    }
}

/// The tag a cursor points at was overwritten: the player was too slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evicted {
    /// It was sent no part of that tag and can go on at a later key frame.
    AtBoundary,
    /// It was sent a part of that tag. The rest is lost, so the connection cannot go on.
    MidTag,
}

/// Why a tag was not taken. The ring is as it was before the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingError {
    /// The message needs more than the ring may give to one tag ([`LARGEST_TAG_SHARE`]).
    TooLarge {
        /// What it needs, in wire bytes.
        wire_bytes: u32,
        /// The ring's size.
        ring_bytes: usize,
    },
    /// [`OPEN_TAGS`] tags are half received.
    TooManyOpen,
    /// The tag is not open: it was finished or aborted, or it was evicted because it stayed half received for too long.
    Gone,
    /// More payload than announced, or finished with less. The caller's fault: message lengths are known beforehand.
    WrongLength,
}

/// A ring of tags over storage that is given at start: bytes `B`, index `I` (its length a power of two; [`crate::limits`] has
/// the figure). `CHUNK` is the outgoing chunk size; tests make it small.
#[derive(Debug)]
pub struct Ring<B, I, const CHUNK: usize = OUT_CHUNK_BYTES> {
    bytes: B,
    index: I,
    index_mask: u64,
    capacity: u64,
    /// Tags `oldest..head` are in the ring; `oldest..readable` can be read.
    oldest: TagSeq,
    readable: TagSeq,
    head: TagSeq,
    /// Tags that were evicted from here on were void, so a cursor from here on has missed nothing.
    intact_from: TagSeq,
    /// No tag from here on is void.
    voids_end: TagSeq,
    readable_position: u64,
    head_position: u64,
    /// An absolute position of storage offset 0. All positions in use are from one capacity before it to one behind it.
    lap_start: u64,
    open_tags: usize,
}

impl<B, I, const CHUNK: usize> Ring<B, I, CHUNK>
where
    B: AsRef<[u8]> + AsMut<[u8]>,
    I: AsRef<[TagMeta]> + AsMut<[TagMeta]>,
{
    /// A ring over `bytes` and `index`.
    ///
    /// # Panics
    ///
    /// When the index is empty or its length is not a power of two, or the bytes are none or more than `i32::MAX`. It happens
    /// at start or never.
    pub fn new(bytes: B, index: I) -> Self {
        let capacity = bytes.as_ref().len();
        let tags = index.as_ref().len();
        assert!(tags.is_power_of_two(), "a ring's tag index has a power of two entries");
        assert!(capacity > 0 && capacity <= i32::MAX as usize, "a ring has 1 to 2^31 - 1 bytes");
        Ring {
            bytes,
            index,
            index_mask: tags as u64 - 1,
            capacity: capacity as u64,
            oldest: TagSeq(0),
            readable: TagSeq(0),
            head: TagSeq(0),
            intact_from: TagSeq(0),
            voids_end: TagSeq(0),
            readable_position: 0,
            head_position: 0,
            lap_start: 0,
            open_tags: 0,
        }
    }

    /// Reserves a tag's place and writes its first header; the oldest tags make room. A tag that is still half received when it
    /// has become the oldest goes as well: its writer is told `Gone`.
    ///
    /// # Errors
    ///
    /// `TooLarge`, `TooManyOpen`.
    pub fn begin(&mut self, kind: TagKind, timestamp: u32, length: u32, now: Millis) -> Result<TagSeq, RingError> {
        let framing = Framing::<CHUNK> { timestamp, length };
        if length as usize > MESSAGE_BYTES || u64::from(framing.wire_bytes()) > self.largest_tag() {
            let ring_bytes = self.capacity as usize;
            return Err(RingError::TooLarge { wire_bytes: framing.wire_bytes(), ring_bytes });
        }
        if self.open_tags == OPEN_TAGS {
            return Err(RingError::TooManyOpen);
        }
        self.make_room(u64::from(framing.wire_bytes()), now);

        let seq = self.head;
        let position = self.head_position;
        *self.meta_mut(seq) = TagMeta {
            position,
            arrival_ms: 0,
            timestamp,
            length,
            filled: 0,
            kind,
            state: TagState::Open,
            flags: TagFlags::default(),
            timing: TagTiming::NONE,
        };
        self.open_tags += 1;
        self.head = seq.next();
        self.head_position += u64::from(framing.wire_bytes());
        if self.head_position >= self.lap_start + self.capacity {
            self.lap_start += self.capacity;
        }
        self.write(position, framing.header(kind, MESSAGE_STREAM_ID).as_slice());
        Ok(seq)
    }

    /// Copies the next bytes of an open tag's payload to their place, with a continuation header at each chunk boundary.
    ///
    /// # Errors
    ///
    /// `Gone`, and `WrongLength` when this is more than was announced; nothing is written then.
    pub fn append(&mut self, seq: TagSeq, payload: &[u8]) -> Result<(), RingError> {
        let meta = *self.open_meta(seq)?;
        if payload.len() > (meta.length - meta.filled) as usize {
            return Err(RingError::WrongLength);
        }
        let framing = Framing::<CHUNK> { timestamp: meta.timestamp, length: meta.length };
        let mut filled = meta.filled;
        let mut rest = payload;
        while !rest.is_empty() {
            let within_chunk = framing.within_chunk(filled);
            let position = meta.position + u64::from(framing.wire_offset(filled));
            if within_chunk == 0 && filled > 0 {
                let header = framing.continuation(meta.kind);
                self.write(position - header.as_slice().len() as u64, header.as_slice());
            }
            let (part, later) = rest.split_at(rest.len().min(CHUNK - within_chunk as usize));
            self.write(position, part);
            filled += part.len() as u32;
            rest = later;
        }
        self.meta_mut(seq).filled = filled;
        Ok(())
    }

    /// Ends an open tag: readers get it as soon as no earlier one is open. `now` becomes its arrival time, and that of finished
    /// tags it held up, so that lag is what a player owes and not what the publisher took to send.
    ///
    /// # Errors
    ///
    /// `Gone`, and `WrongLength` when payload is missing; the tag stays open then.
    pub fn finish(&mut self, seq: TagSeq, flags: TagFlags, now: Millis) -> Result<(), RingError> {
        let meta = self.open_meta(seq)?;
        if meta.filled != meta.length {
            return Err(RingError::WrongLength);
        }
        let meta = self.meta_mut(seq);
        meta.state = TagState::Finished;
        meta.flags = flags;
        self.open_tags -= 1;
        self.update_readable(now);
        Ok(())
    }

    /// Gives an open tag up: readers never see it. The newest tag's bytes are free again at once, another's when it is evicted.
    ///
    /// # Errors
    ///
    /// `Gone`.
    pub fn abort(&mut self, seq: TagSeq, now: Millis) -> Result<(), RingError> {
        self.open_meta(seq)?;
        self.make_void(seq);
        self.give_back_void_end();
        self.update_readable(now);
        Ok(())
    }

    /// Aborts every open tag: their publisher has left.
    pub fn abort_open(&mut self, now: Millis) {
        let mut seq = self.readable;
        while self.open_tags > 0 && seq < self.head {
            if self.meta(seq).state == TagState::Open {
                self.make_void(seq);
            }
            seq = seq.next();
        }
        self.give_back_void_end();
        self.update_readable(now);
    }

    /// A whole message at once, its payload in parts.
    ///
    /// # Errors
    ///
    /// As [`Ring::begin`].
    pub fn push(
        &mut self,
        kind: TagKind,
        timestamp: u32,
        parts: &[&[u8]],
        flags: TagFlags,
        now: Millis,
    ) -> Result<TagSeq, RingError> {
        let length = parts.iter().map(|part| part.len()).sum::<usize>();
        let length = u32::try_from(length).unwrap_or(u32::MAX >> 1);
        let seq = self.begin(kind, timestamp, length, now)?;
        for part in parts {
            self.append(seq, part)?;
        }
        self.finish(seq, flags, now)?;
        Ok(seq)
    }

    /// Evicts everything: the ring will serve another stream. Names go on counting, so cursors of the old one are told.
    pub fn clear(&mut self, now: Millis) {
        self.abort_open(now);
        while self.oldest < self.head {
            self.evict_oldest();
        }
        // A cursor that had caught up belongs to the old stream as well; skipping one name makes it an evicted one.
        self.head = self.head.next();
        self.oldest = self.head;
        self.intact_from = self.head;
        self.update_readable(now);
    }

    /// The oldest tag in the ring; equals [`Ring::readable_head`] when nothing can be read.
    pub fn oldest(&self) -> TagSeq {
        self.oldest
    }

    /// The first tag that cannot be read yet. Readers see the tags before it.
    pub fn readable_head(&self) -> TagSeq {
        self.readable
    }

    /// A finished tag that is in the ring.
    pub fn tag(&self, seq: TagSeq) -> Option<Tag> {
        if seq < self.oldest || seq >= self.head {
            return None;
        }
        let meta = self.meta(seq);
        let TagMeta { kind, flags, timestamp, length, timing, .. } = *meta;
        (meta.state == TagState::Finished).then_some(Tag { seq, kind, flags, timestamp, length, timing })
    }

    /// Says how a finished tag follows those before it, once, before anybody reads it.
    pub(super) fn set_timing(&mut self, seq: TagSeq, timing: TagTiming) {
        self.meta_mut(seq).timing = timing;
    }

    /// What kind of message an open tag holds.
    ///
    /// # Errors
    ///
    /// `Gone`.
    pub fn open_kind(&self, seq: TagSeq) -> Result<TagKind, RingError> {
        self.open_meta(seq).map(|meta| meta.kind)
    }

    /// Whether the tag at the cursor is among the oldest [`OVERWRITTEN_SOON_SHARE`]th of what the ring can hold, in bytes or in
    /// tags: a player there is about to be evicted.
    pub fn is_nearly_overwritten(&self, cursor: Cursor) -> bool {
        if cursor.seq < self.oldest || cursor.seq >= self.head {
            return cursor.seq < self.oldest;
        }
        let bytes = self.head_position - self.meta(cursor.seq).position;
        let tags = self.head.0 - cursor.seq.0;
        let room = |all: u64| all - all / OVERWRITTEN_SOON_SHARE;
        bytes > room(self.capacity) || tags > room(self.index_mask + 1)
    }

    /// What the player is due, as it goes on the wire: from the cursor towards the readable head, at most `max_bytes`. Less when a
    /// void tag lies in between; ask again after [`Ring::advance`]. Moves the cursor past void tags, so each is stepped over once.
    ///
    /// # Errors
    ///
    /// [`Evicted`] when the cursor's tag is no longer there.
    pub fn slices(&self, cursor: &mut Cursor, max_bytes: usize) -> Result<[&[u8]; 2], Evicted> {
        self.settle(cursor)?;
        if cursor.seq >= self.readable {
            return Ok([&[], &[]]);
        }
        let start = self.meta(cursor.seq).position + u64::from(cursor.offset);
        let end = if cursor.seq >= self.voids_end {
            self.readable_position
        } else {
            self.void_free_end(cursor.seq, start + max_bytes as u64)
        };
        Ok(self.span(start, ((end - start) as usize).min(max_bytes)))
    }

    /// Moves the cursor over `written` bytes of what [`Ring::slices`] gave.
    pub fn advance(&self, cursor: &mut Cursor, written: usize) {
        if written == 0 {
            return;
        }
        if self.settle(cursor).is_err() || cursor.seq >= self.readable {
            debug_assert!(false, "bytes were sent that the ring did not give");
            // Not at a boundary: this player must not be sent anything else.
            cursor.offset = cursor.offset.saturating_add(written as u32);
            return;
        }
        let target = self.meta(cursor.seq).position + u64::from(cursor.offset) + written as u64;
        debug_assert!(target <= self.readable_position, "more was sent than could be read");
        if target >= self.readable_position {
            *cursor = Cursor::at(self.readable);
            return;
        }
        // The rest is as many steps as tags were sent.
        let mut seq = cursor.seq;
        while self.position(seq.next()) <= target {
            seq = seq.next();
        }
        *cursor = Cursor { seq, offset: (target - self.meta(seq).position) as u32 };
    }

    /// How many bytes of the cursor's tag were not sent, as it goes on the wire; 0 when it is not there.
    pub fn rest_of_tag(&self, cursor: Cursor) -> usize {
        let Some(Tag { timestamp, length, .. }) = self.tag(cursor.seq) else { return 0 };
        Framing::<CHUNK> { timestamp, length }.wire_bytes().saturating_sub(cursor.offset) as usize
    }

    /// The tag at the cursor, for readers that go tag by tag; `None` when there is none to read yet. Moves the cursor past void
    /// tags.
    ///
    /// # Errors
    ///
    /// [`Evicted`] when the cursor's tag is no longer there.
    pub fn tag_at(&self, cursor: &mut Cursor) -> Result<Option<Tag>, Evicted> {
        self.settle(cursor)?;
        if cursor.seq >= self.readable {
            return Ok(None);
        }
        Ok(self.tag(cursor.seq))
    }

    /// Bytes that wait for the player, as they go on the wire. For an evicted cursor, all that there are.
    pub fn waiting_bytes(&self, mut cursor: Cursor) -> u64 {
        if self.settle(&mut cursor).is_err() {
            cursor = Cursor::at(self.oldest);
        }
        if cursor.seq >= self.readable {
            return 0;
        }
        self.readable_position - (self.meta(cursor.seq).position + u64::from(cursor.offset))
    }

    /// Bytes of all that can be read, as they go on the wire.
    pub fn held_bytes(&self) -> u64 {
        self.waiting_bytes(Cursor::at(self.oldest))
    }

    /// How long the oldest tag the player was not sent whole has been readable, in milliseconds; 0 when it was sent everything.
    /// For an evicted cursor, the age of the oldest tag there is.
    pub fn lag_ms(&self, mut cursor: Cursor, now: Millis) -> u32 {
        if self.settle(&mut cursor).is_err() {
            cursor = Cursor::at(self.oldest);
        }
        if cursor.seq >= self.readable {
            return 0;
        }
        (now.0 as u32).wrapping_sub(self.meta(cursor.seq).arrival_ms)
    }

    /// What became readable within the last `window_ms`.
    pub fn arrived_within(&self, window_ms: u32, now: Millis) -> Arrived {
        let (mut arrived, mut seq) = (Arrived::default(), self.readable.0);
        while seq > self.oldest.0 {
            seq -= 1;
            let meta = self.meta(TagSeq(seq));
            if meta.state != TagState::Finished {
                continue;
            }
            let age_ms = (now.0 as u32).wrapping_sub(meta.arrival_ms);
            if age_ms > window_ms {
                return Arrived { took_ms: window_ms, ..arrived };
            }
            match meta.kind {
                TagKind::Audio => arrived.audio_bytes += u64::from(meta.length),
                TagKind::Video => arrived.video_bytes += u64::from(meta.length),
                TagKind::Data => arrived.data_bytes += u64::from(meta.length),
            }
            arrived.took_ms = age_ms;
        }
        arrived
    }

    /// The longest run of payload bytes, without headers, that begins `offset` bytes into an open or finished tag's payload and
    /// lies together. Empty behind the last byte received; `None` when the tag is gone.
    pub fn payload_at(&self, seq: TagSeq, offset: u32) -> Option<&[u8]> {
        if seq < self.oldest || seq >= self.head || self.meta(seq).state == TagState::Void {
            return None;
        }
        let TagMeta { position, timestamp, length, filled, .. } = *self.meta(seq);
        if offset >= filled {
            return Some(&[]);
        }
        let framing = Framing::<CHUNK> { timestamp, length };
        let run = (CHUNK as u32 - framing.within_chunk(offset)).min(filled - offset);
        Some(self.span(position + u64::from(framing.wire_offset(offset)), run as usize)[0])
    }

    /// A tag's payload in order, without headers; of an open tag, what has been received. Nothing when the tag is gone.
    pub fn payload_chunks(&self, seq: TagSeq) -> impl Iterator<Item = &[u8]> {
        let mut offset = 0;
        core::iter::from_fn(move || {
            let run = self.payload_at(seq, offset).filter(|run| !run.is_empty())?;
            offset += run.len() as u32;
            Some(run)
        })
    }

    /// Copies the beginning of a tag's payload to `out` and returns how much that was: what a codec looks at.
    pub fn payload_prefix(&self, seq: TagSeq, out: &mut [u8]) -> usize {
        self.payload_from(seq, 0, out).len()
    }

    /// Copies what lies `offset` bytes into a tag's payload to `out`, as much as there is and fits.
    pub fn payload_from<'o>(&self, seq: TagSeq, mut offset: u32, out: &'o mut [u8]) -> &'o [u8] {
        let mut copied = 0;
        while let Some(run) = self.payload_at(seq, offset).filter(|run| !run.is_empty() && copied < out.len()) {
            let count = run.len().min(out.len() - copied);
            out[copied..copied + count].copy_from_slice(&run[..count]);
            (copied, offset) = (copied + count, offset + count as u32);
        }
        &out[..copied]
    }

    /// What of a tag is sent to who knows as much of Enhanced RTMP. It is read from the payload, which says it in its first bytes; the tag of
    /// several tracks is walked through to the default one.
    pub fn legacy(&self, tag: &Tag, knows: Announced) -> Legacy {
        tag.kind.legacy(tag.length, knows, |at| self.payload_at(tag.seq, at)?.first().copied())
    }

    /// The sample in a tag, which is read from its first bytes; `None` when there is none in it.
    pub fn sample(&self, tag: &Tag) -> Option<SamplePart> {
        if tag.flags.header {
            return None;
        }
        // Nearly always all that is read lies together.
        let first = self.payload_at(tag.seq, 0)?;
        tag.kind.sample(tag.length, |at| match first.get(at as usize) {
            Some(byte) => Some(*byte),
            None => self.payload_at(tag.seq, at)?.first().copied(),
        })
    }

    fn largest_tag(&self) -> u64 {
        self.capacity / LARGEST_TAG_SHARE as u64
    }

    fn meta(&self, seq: TagSeq) -> &TagMeta {
        &self.index.as_ref()[(seq.0 & self.index_mask) as usize]
    }

    fn meta_mut(&mut self, seq: TagSeq) -> &mut TagMeta {
        &mut self.index.as_mut()[(seq.0 & self.index_mask) as usize]
    }

    fn open_meta(&self, seq: TagSeq) -> Result<&TagMeta, RingError> {
        if seq < self.oldest || seq >= self.head || self.meta(seq).state != TagState::Open {
            return Err(RingError::Gone);
        }
        Ok(self.meta(seq))
    }

    /// Where a tag begins, or where the next one will.
    fn position(&self, seq: TagSeq) -> u64 {
        if seq == self.head { self.head_position } else { self.meta(seq).position }
    }

    fn make_room(&mut self, wire_bytes: u64, now: Millis) {
        while self.oldest < self.head
            && (self.head_position + wire_bytes - self.meta(self.oldest).position > self.capacity
                || self.head.0 - self.oldest.0 > self.index_mask)
        {
            self.evict_oldest();
        }
        if self.readable < self.oldest {
            self.update_readable(now);
        }
    }

    fn evict_oldest(&mut self) {
        let seq = self.oldest;
        match self.meta(seq).state {
            TagState::Finished => self.intact_from = seq.next(),
            TagState::Open => self.make_void(seq),
            TagState::Void => {}
        }
        self.oldest = seq.next();
    }

    fn make_void(&mut self, seq: TagSeq) {
        self.meta_mut(seq).state = TagState::Void;
        self.open_tags -= 1;
        self.voids_end = self.voids_end.max(seq.next());
    }

    /// Frees the bytes of void tags at the head; they stay as tags of no bytes. Stops at one that was freed before, so that
    /// aborting again and again stays cheap.
    fn give_back_void_end(&mut self) {
        let mut first = self.head;
        let mut position = self.head_position;
        while first > self.oldest {
            let meta = self.meta(TagSeq(first.0 - 1));
            if meta.state != TagState::Void || meta.position == position {
                break;
            }
            position = meta.position;
            first = TagSeq(first.0 - 1);
        }
        self.head_position = position;
        while first < self.head {
            self.meta_mut(first).position = position;
            first = first.next();
        }
    }

    fn update_readable(&mut self, now: Millis) {
        let mut readable = self.readable.max(self.oldest);
        while readable < self.head && self.meta(readable).state != TagState::Open {
            self.meta_mut(readable).arrival_ms = now.0 as u32;
            readable = readable.next();
        }
        self.readable = readable;
        self.readable_position = self.position(readable);
    }

    /// Moves a cursor past void tags, in the ring or evicted.
    fn settle(&self, cursor: &mut Cursor) -> Result<(), Evicted> {
        if cursor.seq >= self.voids_end && cursor.seq >= self.intact_from {
            return Ok(());
        }
        if cursor.seq < self.intact_from {
            return Err(if cursor.at_tag_boundary() { Evicted::AtBoundary } else { Evicted::MidTag });
        }
        let mut seq = cursor.seq.max(self.oldest);
        while seq < self.readable && self.meta(seq).state == TagState::Void {
            seq = seq.next();
        }
        if seq != cursor.seq {
            *cursor = Cursor::at(seq);
        }
        Ok(())
    }

    /// The position of the first void tag with bytes from `seq` on, or some position at or behind `enough`.
    fn void_free_end(&self, mut seq: TagSeq, enough: u64) -> u64 {
        while seq < self.readable {
            let position = self.meta(seq).position;
            if position >= enough || (self.meta(seq).state == TagState::Void && self.position(seq.next()) > position) {
                return position;
            }
            seq = seq.next();
        }
        self.readable_position
    }

    fn offset(&self, position: u64) -> usize {
        let offset = if position >= self.lap_start {
            position - self.lap_start
        } else {
            position + self.capacity - self.lap_start
        };
        offset as usize
    }

    fn span(&self, position: u64, length: usize) -> [&[u8]; 2] {
        let bytes = self.bytes.as_ref();
        let offset = self.offset(position);
        let first = length.min(bytes.len() - offset);
        [&bytes[offset..offset + first], &bytes[..length - first]]
    }

    fn write(&mut self, position: u64, data: &[u8]) {
        let offset = self.offset(position);
        let bytes = self.bytes.as_mut();
        let (first, second) = data.split_at(data.len().min(bytes.len() - offset));
        bytes[offset..offset + first.len()].copy_from_slice(first);
        bytes[..second.len()].copy_from_slice(second);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    extern crate std;
    use std::vec;
    use std::vec::Vec;

    const NOW: Millis = Millis(1_000);
    const KEY: TagFlags = TagFlags { key: true, header: false, droppable: false, enhanced: false };

    fn ring(bytes: usize) -> Ring<Vec<u8>, Vec<TagMeta>> {
        Ring::new(vec![0xEE; bytes], vec![TagMeta::EMPTY; 16])
    }

    fn due<const CHUNK: usize>(ring: &Ring<Vec<u8>, Vec<TagMeta>, CHUNK>, cursor: &mut Cursor) -> Vec<u8> {
        ring.slices(cursor, usize::MAX >> 1).unwrap().concat()
    }

    /// The chunk stream as the specification describes it, written the plain way.
    fn reference_wire(kind: TagKind, timestamp: u32, payload: &[u8], chunk: usize) -> Vec<u8> {
        let extended = timestamp >= 0xFF_FFFF;
        let csid = match kind {
            TagKind::Audio => 4,
            TagKind::Video => 6,
            TagKind::Data => 5,
        };
        let mut wire = vec![csid];
        wire.extend(&timestamp.min(0xFF_FFFF).to_be_bytes()[1..]);
        wire.extend(&(payload.len() as u32).to_be_bytes()[1..]);
        wire.push(match kind {
            TagKind::Audio => 8,
            TagKind::Video => 9,
            TagKind::Data => 18,
        });
        wire.extend([1, 0, 0, 0]);
        for (i, part) in payload.chunks(chunk).enumerate() {
            if i > 0 {
                wire.push(0xC0 | csid);
            }
            if extended {
                wire.extend(timestamp.to_be_bytes());
            }
            wire.extend(part);
        }
        if payload.is_empty() && extended {
            wire.extend(timestamp.to_be_bytes());
        }
        wire
    }

    #[test]
    fn a_small_tag_is_a_type_0_chunk() {
        let mut ring = ring(256);
        ring.push(TagKind::Audio, 0x01_0203, &[&[0xAF, 0x01], &[0x21]], TagFlags::default(), NOW).unwrap();
        let mut cursor = Cursor::default();
        let expected = [
            0x04, // format 0, chunk stream 4
            0x01, 0x02, 0x03, // timestamp
            0x00, 0x00, 0x03, // length
            0x08, // audio
            0x01, 0x00, 0x00, 0x00, // message stream 1
            0xAF, 0x01, 0x21,
        ];
        assert_eq!(due(&ring, &mut cursor), expected);
        ring.advance(&mut cursor, expected.len());
        assert_eq!(cursor, Cursor::at(ring.readable_head()));
        assert_eq!(due(&ring, &mut cursor), [0_u8; 0]);
        // An empty audio message is legal: it means silence.
        ring.push(TagKind::Video, 0, &[], TagFlags::default(), NOW).unwrap();
        assert_eq!(due(&ring, &mut cursor), [0x06, 0, 0, 0, 0, 0, 0, 0x09, 1, 0, 0, 0]);
    }

    #[test]
    fn an_extended_timestamp_is_repeated_in_continuations() {
        let mut ring = ring(300_000);
        let payload: Vec<u8> = (0..120_001_u32).map(|i| (i % 251) as u8).collect();
        let seq = ring.begin(TagKind::Video, 0x0100_0000, payload.len() as u32, NOW).unwrap();
        for part in payload.chunks(7_001) {
            ring.append(seq, part).unwrap();
        }
        ring.finish(seq, KEY, NOW).unwrap();
        let wire = due(&ring, &mut Cursor::default());
        assert_eq!(wire.len(), 16 + 120_001 + 2 * 5);
        assert_eq!(wire[..16], [6, 0xFF, 0xFF, 0xFF, 0x01, 0xD4, 0xC1, 9, 1, 0, 0, 0, 0x01, 0, 0, 0]);
        assert_eq!(wire[16..16 + 60_000], payload[..60_000]);
        assert_eq!(wire[60_016..60_021], [0xC6, 0x01, 0, 0, 0]);
        assert_eq!(wire[60_021..120_021], payload[60_000..120_000]);
        assert_eq!(wire[120_021..], [0xC6, 0x01, 0, 0, 0, payload[120_000]]);
        assert_eq!(ring.payload_chunks(seq).collect::<Vec<_>>().concat(), payload);
        let mut prefix = [0; 60_100];
        assert_eq!(ring.payload_prefix(seq, &mut prefix), 60_100);
        assert_eq!(prefix, payload[..60_100]);
    }

    #[test]
    fn a_payload_of_whole_chunks_has_no_header_behind_it() {
        let mut ring = ring(300_000);
        ring.push(TagKind::Video, 9, &[&[7; 120_000]], KEY, NOW).unwrap();
        assert_eq!(due(&ring, &mut Cursor::default()).len(), 12 + 120_000 + 1);
    }

    #[test]
    fn readers_see_tags_up_to_the_first_open_one() {
        let mut ring = ring(256);
        let audio = ring.begin(TagKind::Audio, 0, 4, Millis(0)).unwrap();
        ring.append(audio, &[1, 2]).unwrap();
        let video = ring.push(TagKind::Video, 0, &[&[9; 5]], KEY, Millis(10)).unwrap();
        let mut cursor = Cursor::default();
        assert_eq!(due(&ring, &mut cursor), [0_u8; 0]);
        assert_eq!(ring.lag_ms(cursor, Millis(5_000)), 0);
        assert_eq!(ring.finish(audio, TagFlags::default(), NOW), Err(RingError::WrongLength));
        assert_eq!(ring.append(audio, &[3, 4, 5]), Err(RingError::WrongLength));
        ring.append(audio, &[3, 4]).unwrap();
        ring.finish(audio, TagFlags::default(), Millis(100)).unwrap();
        assert_eq!(due(&ring, &mut cursor).len(), 12 + 4 + 12 + 5);
        // Lag counts from when the player could have been sent the tag, for the one that was held up too.
        assert_eq!(ring.lag_ms(cursor, Millis(130)), 30);
        assert_eq!(ring.lag_ms(Cursor::at(video), Millis(130)), 30);
        assert_eq!(ring.append(audio, &[6]), Err(RingError::Gone));
    }

    #[test]
    fn what_arrived_lately_is_counted_as_far_back_as_the_ring_goes() {
        let mut ring = ring(4096);
        assert_eq!(ring.arrived_within(5000, Millis(9000)), Arrived::default());
        for second in 1..=5_u32 {
            let now = Millis(u64::from(second) * 1000);
            ring.push(TagKind::Video, second * 1000, &[&[0; 10]], KEY, now).unwrap();
            ring.push(TagKind::Audio, second * 1000, &[&[0; 3]], TagFlags::default(), now).unwrap();
        }
        for (window_ms, now, video_bytes, audio_bytes, took_ms) in
            [(2500, 5000, 30, 9, 2500), (60_000, 5000, 50, 15, 4000), (1000, 20_000, 0, 0, 1000)]
        {
            let arrived = ring.arrived_within(window_ms, Millis(now));
            assert_eq!(arrived, Arrived { audio_bytes, video_bytes, data_bytes: 0, took_ms });
            assert_eq!(
                arrived.bits_per_second(arrived.bytes()),
                (video_bytes + audio_bytes) * 8000 / u64::from(took_ms)
            );
        }
    }

    #[test]
    fn an_aborted_tag_is_never_seen_and_the_newest_gives_its_bytes_back() {
        let mut ring = ring(256);
        let first = ring.begin(TagKind::Audio, 0, 50, NOW).unwrap();
        ring.push(TagKind::Video, 1, &[&[1]], KEY, NOW).unwrap();
        ring.abort(first, NOW).unwrap();
        let mut cursor = Cursor::default();
        assert_eq!(due(&ring, &mut cursor).len(), 13);
        ring.advance(&mut cursor, 13);
        for _ in 0..10 {
            let newest = ring.begin(TagKind::Video, 2, 100, NOW).unwrap();
            ring.append(newest, &[5; 60]).unwrap();
            ring.abort(newest, NOW).unwrap();
        }
        // 62 and 13 bytes are in use. Ten times 112 given back leave room for this without evicting.
        ring.push(TagKind::Video, 3, &[&[2; 100]], KEY, NOW).unwrap();
        assert_eq!(ring.oldest(), first);
        assert_eq!(due(&ring, &mut cursor), reference_wire(TagKind::Video, 3, &[2; 100], 60_000));
    }

    #[test]
    fn a_tag_left_half_received_goes_when_it_is_the_oldest_and_costs_no_player_anything() {
        let mut ring = ring(256);
        let audio = ring.begin(TagKind::Audio, 0, 60, NOW).unwrap();
        let first = ring.push(TagKind::Video, 0, &[&[1; 60]], KEY, NOW).unwrap();
        ring.push(TagKind::Video, 0, &[&[2; 60]], KEY, NOW).unwrap();
        let mut caught_up = Cursor::at(audio);
        assert_eq!(due(&ring, &mut caught_up), [0_u8; 0]);
        ring.push(TagKind::Video, 0, &[&[3; 60]], KEY, NOW).unwrap();
        assert_eq!(ring.oldest(), first);
        assert_eq!(ring.append(audio, &[1]), Err(RingError::Gone));
        assert_eq!(ring.abort(audio, NOW), Err(RingError::Gone));
        assert_eq!(due(&ring, &mut caught_up).len(), 3 * 72);
    }

    #[test]
    fn what_does_not_fit_is_refused_with_its_reason() {
        let mut ring = ring(256);
        let refused = ring.begin(TagKind::Video, 0, 117, NOW);
        assert_eq!(refused, Err(RingError::TooLarge { wire_bytes: 129, ring_bytes: 256 }));
        for _ in 0..OPEN_TAGS {
            ring.begin(TagKind::Video, 0, 1, NOW).unwrap();
        }
        assert_eq!(ring.begin(TagKind::Video, 0, 1, NOW), Err(RingError::TooManyOpen));
        ring.abort_open(NOW);
        ring.push(TagKind::Video, 0, &[&[1]], KEY, NOW).unwrap();
        assert_eq!(due(&ring, &mut Cursor::default()).len(), 13);
    }

    #[test]
    fn a_slow_reader_is_told_whether_it_is_inside_a_tag() {
        let mut ring = ring(256);
        ring.push(TagKind::Video, 0, &[&[1; 60]], KEY, NOW).unwrap();
        let (mut at_boundary, mut mid_tag) = (Cursor::default(), Cursor::default());
        ring.advance(&mut mid_tag, 20);
        for _ in 0..3 {
            ring.push(TagKind::Video, 0, &[&[2; 60]], KEY, NOW).unwrap();
        }
        assert_eq!(ring.slices(&mut at_boundary, 10), Err(Evicted::AtBoundary));
        assert_eq!(ring.slices(&mut mid_tag, 10), Err(Evicted::MidTag));
        let mut caught_up = Cursor::at(ring.readable_head());
        ring.clear(NOW);
        assert_eq!(ring.slices(&mut caught_up, 10), Err(Evicted::AtBoundary));
        ring.push(TagKind::Video, 0, &[&[2; 60]], KEY, NOW).unwrap();
        assert_eq!(due(&ring, &mut Cursor::at(ring.oldest())).len(), 72);
    }

    const CHUNK: usize = 50;
    const CAPACITY: usize = 1_021;
    const INDEX: usize = 16;

    #[derive(Clone, Debug)]
    enum Op {
        Begin { kind: TagKind, extended: bool, length: usize },
        Append { which: usize, count: usize },
        Finish { which: usize },
        Abort { which: usize },
        AbortOpen,
        Read { reader: usize, max: usize, taken: usize },
    }

    fn op() -> impl Strategy<Value = Op> {
        let kind = prop_oneof![Just(TagKind::Audio), Just(TagKind::Video), Just(TagKind::Data)];
        prop_oneof![
            4 => (kind, any::<bool>(), prop_oneof![0_usize..40, 0_usize..450])
                .prop_map(|(kind, extended, length)| Op::Begin { kind, extended, length }),
            8 => (0_usize..4, 0_usize..300).prop_map(|(which, count)| Op::Append { which, count }),
            6 => (0_usize..4).prop_map(|which| Op::Finish { which }),
            1 => (0_usize..4).prop_map(|which| Op::Abort { which }),
            1 => Just(Op::AbortOpen),
            8 => (0_usize..4, 0_usize..400, 0_usize..400)
                .prop_map(|(reader, max, taken)| Op::Read { reader, max, taken }),
        ]
    }

    struct ModelTag {
        kind: TagKind,
        payload: Vec<u8>,
        wire: Vec<u8>,
        filled: usize,
        state: TagState,
    }

    /// Every tag there ever was, by sequence number, and where each reader is in it.
    struct Model {
        ring: Ring<Vec<u8>, Vec<TagMeta>, CHUNK>,
        tags: Vec<ModelTag>,
        readers: [Cursor; 4],
        /// Where the model says the reader is: tag and offset.
        places: [(usize, usize); 4],
    }

    impl Model {
        fn new() -> Model {
            Model {
                ring: Ring::new(vec![0; CAPACITY], vec![TagMeta::EMPTY; INDEX]),
                tags: Vec::new(),
                readers: [Cursor::default(); 4],
                places: [(0, 0); 4],
            }
        }

        fn open(&self, which: usize) -> Option<usize> {
            let open: Vec<usize> = (0..self.tags.len()).filter(|&i| self.tags[i].state == TagState::Open).collect();
            (!open.is_empty()).then(|| open[which % open.len()])
        }

        /// Whether tag `i` must still be there: all since then fits, even when nothing was ever given back.
        fn must_be_there(&self, i: usize) -> bool {
            let bytes: usize = self.tags[i..].iter().map(|tag| tag.wire.len()).sum();
            bytes <= CAPACITY && self.tags.len() - i <= INDEX
        }

        /// Half-received tags the ring gave up while it made room.
        fn note_given_up(&mut self) {
            let oldest = self.ring.oldest().0 as usize;
            for i in 0..oldest.min(self.tags.len()) {
                if self.tags[i].state == TagState::Open {
                    assert!(!self.must_be_there(i), "tag {i} was given up too early");
                    self.tags[i].state = TagState::Void;
                }
            }
        }

        fn apply(&mut self, op: &Op, clock: u64) {
            let now = Millis(clock);
            match *op {
                Op::Begin { kind, extended, length } => {
                    let timestamp = if extended { 0xFF_FFFF } else { 0 } + clock as u32;
                    let payload: Vec<u8> = (0..length).map(|i| (i as u64 * 7 + clock) as u8).collect();
                    let wire = reference_wire(kind, timestamp, &payload, CHUNK);
                    let open = self.tags.iter().filter(|tag| tag.state == TagState::Open).count();
                    match self.ring.begin(kind, timestamp, length as u32, now) {
                        Ok(seq) => {
                            assert_eq!(seq.0 as usize, self.tags.len());
                            self.tags.push(ModelTag { kind, payload, wire, filled: 0, state: TagState::Open });
                            self.note_given_up();
                        }
                        Err(RingError::TooManyOpen) => assert_eq!(open, OPEN_TAGS),
                        Err(RingError::TooLarge { wire_bytes, .. }) => {
                            assert_eq!(wire_bytes as usize, wire.len());
                            assert!(wire.len() > CAPACITY / 2);
                        }
                        Err(error) => panic!("{error:?}"),
                    }
                }
                Op::Append { which, count } => {
                    let Some(i) = self.open(which) else { return };
                    let tag = &mut self.tags[i];
                    let end = (tag.filled + count).min(tag.payload.len());
                    self.ring.append(TagSeq(i as u64), &tag.payload[tag.filled..end]).unwrap();
                    tag.filled = end;
                    let received = self.ring.payload_chunks(TagSeq(i as u64)).collect::<Vec<_>>().concat();
                    assert_eq!(received, tag.payload[..end]);
                }
                Op::Finish { which } => {
                    let Some(i) = self.open(which) else { return };
                    let tag = &mut self.tags[i];
                    self.ring.append(TagSeq(i as u64), &tag.payload[tag.filled..]).unwrap();
                    self.ring.finish(TagSeq(i as u64), KEY, now).unwrap();
                    tag.state = TagState::Finished;
                    assert_eq!(self.ring.tag(TagSeq(i as u64)).unwrap().kind, tag.kind);
                }
                Op::Abort { which } => {
                    let Some(i) = self.open(which) else { return };
                    self.ring.abort(TagSeq(i as u64), now).unwrap();
                    self.tags[i].state = TagState::Void;
                    assert_eq!(self.ring.abort(TagSeq(i as u64), now), Err(RingError::Gone));
                }
                Op::AbortOpen => {
                    self.ring.abort_open(now);
                    for tag in &mut self.tags {
                        if tag.state == TagState::Open {
                            tag.state = TagState::Void;
                        }
                    }
                }
                Op::Read { reader, max, taken } => self.read(reader, max, taken),
            }
        }

        fn read(&mut self, reader: usize, max: usize, taken: usize) {
            let (mut tag, mut offset) = self.places[reader];
            while tag < self.tags.len() && self.tags[tag].state == TagState::Void {
                tag += 1;
            }
            let mut cursor = self.readers[reader];
            let slices = match self.ring.slices(&mut cursor, max) {
                Ok(slices) => slices.concat(),
                Err(evicted) => {
                    assert!(!self.must_be_there(tag), "tag {tag} was evicted too early");
                    assert_eq!(evicted == Evicted::AtBoundary, offset == 0);
                    self.readers[reader] = Cursor::at(self.ring.oldest());
                    self.places[reader] = (self.ring.oldest().0 as usize, 0);
                    return;
                }
            };
            let mut expected = Vec::new();
            let mut skip = offset;
            for tag in self.tags[tag..].iter().take_while(|tag| tag.state != TagState::Open) {
                if tag.state == TagState::Finished {
                    expected.extend(&tag.wire[skip..]);
                    skip = 0;
                }
            }
            expected.truncate(max);
            assert!(expected.starts_with(&slices), "a reader's bytes are a gapless run of finished tags");
            assert_eq!(slices.is_empty(), expected.is_empty());
            let taken = taken.min(slices.len());
            self.ring.advance(&mut cursor, taken);
            offset += taken;
            while tag < self.tags.len() {
                match self.tags[tag].state {
                    TagState::Void => tag += 1,
                    TagState::Finished if offset >= self.tags[tag].wire.len() => {
                        offset -= self.tags[tag].wire.len();
                        tag += 1;
                    }
                    _ => break,
                }
            }
            assert_eq!(cursor.offset as usize, offset);
            self.readers[reader] = cursor;
            self.places[reader] = (tag, offset);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn every_reader_gets_a_gapless_run_of_finished_tags_or_is_told(ops in prop::collection::vec(op(), 1..300)) {
            let mut model = Model::new();
            for (clock, op) in ops.iter().enumerate() {
                model.apply(op, clock as u64);
                let first_open = model.tags.iter().position(|tag| tag.state == TagState::Open);
                prop_assert_eq!(model.ring.readable_head().0 as usize, first_open.unwrap_or(model.tags.len()));
            }
        }
    }
}
