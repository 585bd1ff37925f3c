//! Where a recording's fragments end. A fragment is a range of tags: a group of pictures, cut where that takes too long, has too much in
//! it, or where the file has to end.

use crate::limits::{FRAGMENT_BYTES, FRAGMENT_SAMPLES};
use crate::live::names::Media;
use crate::media::{Cursor, FragmentTracks, Tag, TagKind, TagSeq};

use super::tracks::carries;

/// A fragment without another key frame is cut after so long, in milliseconds.
const FRAGMENT_MS: u32 = 2000;
/// What is further from the tag before it has another clock, in milliseconds.
const JUMP_MS: i32 = 10_000;
/// Headers that one file begins with.
const HEADERS: usize = 16;

/// The headers that a file began with, by what is in them.
#[derive(Debug, Default)]
pub(super) struct FileHeaders {
    hashes: heapless::Vec<u64, HEADERS>,
    /// The tracks that it has, if it can have no others.
    pub(super) tracks: Option<FragmentTracks>,
}

impl FileHeaders {
    /// Those that a publisher has sent so far. Data messages are none.
    pub(super) fn of(media: &Media) -> FileHeaders {
        let mut headers = FileHeaders::default();
        for header in media.headers().iter().filter(|header| header.kind != TagKind::Data) {
            // One more than there is room for is another one when it comes again: the file ends there.
            let _ = headers.hashes.push(hash([header.payload]));
        }
        headers
    }

    pub(super) fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Whether nothing that a publisher has sent so far is other than these.
    pub(super) fn hold_for(&self, media: &Media) -> bool {
        FileHeaders::of(media).hashes.iter().all(|hash| self.hashes.contains(hash))
    }

    fn include(&self, media: &Media, tag: &Tag) -> bool {
        self.hashes.contains(&hash(media.ring().payload_chunks(tag.seq)))
    }

    /// Whether the file has a track for what is in the tag.
    fn carry(&self, media: &Media, tag: &Tag) -> bool {
        self.tracks.is_none_or(|tracks| carries(&tracks, media, tag))
    }
}

/// FNV-1a. An encoder that makes two headers of one hash on purpose spoils its own recording.
fn hash<'b>(parts: impl IntoIterator<Item = &'b [u8]>) -> u64 {
    let bytes = parts.into_iter().flatten();
    bytes.fold(0xCBF2_9CE4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3))
}

/// The fragment that grows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Growing {
    /// Its first tag.
    pub(super) first: TagSeq,
    /// The first that was not looked at.
    next: TagSeq,
    samples: usize,
    bytes: u64,
    first_ms: Option<u32>,
    /// The time of the last picture or sound, also of the fragment before.
    last_ms: Option<u32>,
    last_picture_ms: Option<u32>,
    /// It begins with a key frame.
    pub(super) has_key: bool,
}

/// A fragment that is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordedFragment {
    /// Its first tag.
    pub(super) first: TagSeq,
    /// The first tag behind it.
    pub(super) end: TagSeq,
    /// The stream's time of its first picture or sound, in milliseconds.
    pub(super) first_ms: u32,
    /// Bytes of messages in it.
    pub(super) bytes: u64,
    /// It begins with a key frame.
    pub(super) has_key: bool,
    /// The file ends behind it.
    pub(super) is_last: Option<FileEnd>,
}

/// Why a file ends behind a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileEnd {
    /// Another header comes.
    Headers,
    /// The time jumps.
    Jump,
    /// It has no track for what comes.
    Track,
}

/// What a look at the ring has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FragmentLook {
    /// Nothing is complete yet.
    Grows,
    /// A fragment.
    Complete(RecordedFragment),
    /// The file ends here, without a fragment before.
    Ends(FileEnd),
    /// Nothing comes before the tag where a fragment ends in any case.
    AtStop,
    /// What was to be recorded was overwritten.
    Lost,
}

impl Growing {
    /// None yet, from this tag on.
    pub(super) fn from(first: TagSeq) -> Growing {
        Growing {
            first,
            next: first,
            samples: 0,
            bytes: 0,
            first_ms: None,
            last_ms: None,
            last_picture_ms: None,
            has_key: false,
        }
    }

    /// Looks at what has come. A fragment ends before `stop` in any case.
    pub(super) fn look(&mut self, media: &Media, headers: &FileHeaders, stop: Option<TagSeq>) -> FragmentLook {
        let ring = media.ring();
        if self.samples > 0 && self.first < ring.oldest() {
            return FragmentLook::Lost;
        }
        loop {
            let mut cursor = Cursor::at(self.next);
            let Ok(next) = ring.tag_at(&mut cursor) else { return FragmentLook::Lost };
            let Some(tag) = next.filter(|tag| stop.is_none_or(|stop| tag.seq < stop)) else {
                let at_stop = stop.is_some_and(|stop| cursor.seq >= stop);
                return match (at_stop, self.first_ms) {
                    (true, Some(_)) => self.cut(cursor.seq, None),
                    (true, None) => FragmentLook::AtStop,
                    (false, _) => FragmentLook::Grows,
                };
            };
            if let Some(end) = self.ends_file(media, headers, &tag) {
                return if self.first_ms.is_some() { self.cut(tag.seq, Some(end)) } else { FragmentLook::Ends(end) };
            }
            if self.first_ms.is_some() && self.is_cut_before(&tag) {
                return self.cut(tag.seq, None);
            }
            self.take(&tag);
        }
    }

    /// From this tag on, behind what was looked at so far.
    pub(super) fn goes_on_at(&mut self, first: TagSeq) {
        let Growing { last_ms, last_picture_ms, .. } = *self;
        *self = Growing { last_ms, last_picture_ms, ..Growing::from(first) };
    }

    /// The fragment is complete, and the next one begins.
    fn cut(&mut self, end: TagSeq, is_last: Option<FileEnd>) -> FragmentLook {
        let Growing { first, bytes, first_ms, has_key, .. } = *self;
        self.goes_on_at(end);
        FragmentLook::Complete(RecordedFragment {
            first,
            end,
            first_ms: first_ms.unwrap_or_default(),
            bytes,
            has_key,
            is_last,
        })
    }

    fn ends_file(&self, media: &Media, headers: &FileHeaders, tag: &Tag) -> Option<FileEnd> {
        if tag.kind == TagKind::Data {
            return None;
        }
        if tag.flags.header {
            return (!headers.include(media, tag)).then_some(FileEnd::Headers);
        }
        if !headers.carry(media, tag) {
            return Some(FileEnd::Track);
        }
        let jumps = |last: u32| (tag.timestamp.wrapping_sub(last) as i32).unsigned_abs() > JUMP_MS as u32;
        self.last_ms.is_some_and(jumps).then_some(FileEnd::Jump)
    }

    fn is_cut_before(&self, tag: &Tag) -> bool {
        let begins_picture = tag.kind == TagKind::Video && self.last_picture_ms != Some(tag.timestamp);
        let length_ms = self.first_ms.map_or(0, |first| tag.timestamp.wrapping_sub(first) as i32);
        tag.flags.key && begins_picture
            // A picture that comes in several messages is not cut.
            || length_ms >= FRAGMENT_MS as i32 && (tag.kind == TagKind::Audio || begins_picture)
            || self.samples >= FRAGMENT_SAMPLES
            || self.bytes + u64::from(tag.length) > FRAGMENT_BYTES as u64
    }

    fn take(&mut self, tag: &Tag) {
        self.next = Cursor::behind(tag.seq).seq;
        if tag.flags.header {
            return;
        }
        if self.samples == 0 {
            // What lies before it is nothing that is recorded, or was looked at for the last one.
            self.first = tag.seq;
        }
        (self.samples, self.bytes) = (self.samples + 1, self.bytes + u64::from(tag.length));
        if tag.kind == TagKind::Data {
            return;
        }
        if self.first_ms.is_none() {
            (self.first_ms, self.has_key) = (Some(tag.timestamp), tag.kind == TagKind::Video && tag.flags.key);
        }
        self.last_ms = Some(tag.timestamp);
        if tag.kind == TagKind::Video {
            self.last_picture_ms = Some(tag.timestamp);
        }
    }
}
