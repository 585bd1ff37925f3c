//! A part of a stream that lies in its ring, as MP4: an init segment, fragments from one tag to another, or both. Nothing of it is copied.

use crate::handles::StreamId;
use crate::live::names::Media;
use crate::media::headers::headers_mark;
use crate::media::tracks::{WantedTracks, describe};
use crate::media::{Cursor, Fragment, FragmentPace, FragmentTracks, Piece, Tag, TagSeq, frame};
use crate::server::pace::WRITE_BYTES;

/// Most pieces of one write.
pub(super) const PIECES: usize = 64;
/// Bytes of an init segment that are put together at once.
pub(super) const INIT_BYTES: usize = 1024;

/// A part of a stream, and how far it was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct RingPart {
    pub(super) stream: StreamId,
    wanted: WantedTracks,
    tracks: FragmentTracks,
    /// Of the init segment: how many bytes of it were sent, how many there are, and of which headers it is.
    init: (u32, u32),
    mark: u32,
    /// The key frame that the init segment is made with.
    key: Option<TagSeq>,
    cursor: Cursor,
    end: TagSeq,
    bytes: u64,
}

impl RingPart {
    /// Fragments of the tags from `from` to `end`, behind an init segment if it is wanted.
    pub(super) fn new(
        stream: StreamId,
        media: &Media,
        wanted: WantedTracks,
        (from, end): (TagSeq, TagSeq),
        with_init: bool,
    ) -> RingPart {
        let key = media.ring().tag(from).filter(|tag| tag.flags.key);
        let found = describe(media, wanted, key.as_ref());
        let init = if with_init { found.init.bytes() } else { 0 };
        let mut part = RingPart {
            stream,
            wanted,
            tracks: found.tracks,
            init: (0, init),
            mark: headers_mark(media.headers()),
            key: key.map(|key| key.seq),
            cursor: Cursor::at(from),
            end,
            bytes: init.into(),
        };
        let mut cursor = part.cursor;
        while let Some((tag, fragment)) = part.fragment(media, &mut cursor) {
            part.bytes += u64::from(fragment.bytes());
            cursor = Cursor::behind(tag.seq);
        }
        part
    }

    /// How long it is.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// There are pictures in it.
    pub(super) fn has_video(&self) -> bool {
        self.tracks.video.is_some()
    }

    /// Bytes of the init segment are next.
    pub(super) fn has_init(&self) -> bool {
        self.init.0 < self.init.1
    }

    /// The tag at a cursor, as it is sent; `None` at the end.
    fn fragment(&self, media: &Media, cursor: &mut Cursor) -> Option<(Tag, Fragment)> {
        let tag = media.ring().tag_at(cursor).ok().flatten().filter(|tag| tag.seq < self.end)?;
        Some((tag, Fragment::of(media.ring(), &tag, &self.tracks, FragmentPace::Known)?))
    }

    /// The next bytes of the init segment; `None` when the stream has other headers now.
    pub(super) fn next_init<'o>(&self, media: &Media, out: &'o mut [u8; INIT_BYTES]) -> Option<&'o [u8]> {
        if headers_mark(media.headers()) != self.mark {
            return None;
        }
        let key = self.key.and_then(|key| media.ring().tag(key));
        let count = describe(media, self.wanted, key.as_ref()).init.read_at(self.init.0, out);
        Some(&out[..count])
    }

    /// What comes next of the fragments.
    pub(super) fn next<'m>(&self, media: &'m Media) -> heapless::Vec<Piece<'m>, PIECES> {
        let (mut pieces, mut bytes, mut cursor) = (heapless::Vec::new(), 0, self.cursor);
        while let Some((tag, fragment)) = self.fragment(media, &mut cursor) {
            let mut at = cursor.offset;
            while let Some(piece) = frame::piece(&fragment, media.ring(), tag.seq, at) {
                at += piece.bytes().len() as u32;
                bytes += piece.bytes().len();
                if bytes > WRITE_BYTES || pieces.push(piece).is_err() {
                    return pieces;
                }
            }
            cursor = Cursor::behind(tag.seq);
        }
        pieces
    }

    /// So many bytes of that were sent.
    pub(super) fn sent(&mut self, media: &Media, mut bytes: usize) {
        if self.has_init() {
            self.init.0 += bytes as u32;
            return;
        }
        let mut cursor = self.cursor;
        while let Some((_, fragment)) = self.fragment(media, &mut cursor) {
            let of_tag = bytes.min((fragment.bytes() - cursor.offset) as usize);
            bytes -= of_tag;
            if !frame::advance(&fragment, media.ring(), &mut cursor, of_tag) {
                break;
            }
        }
        self.cursor = cursor;
    }
}
