//! A part of a stream that lies in its ring, as MP4: an init segment, fragments from one tag to another, or both. Nothing of it is copied.

use crate::handles::StreamId;
use crate::live::names::Media;
use crate::media::headers::headers_mark;
use crate::media::tracks::WantedTracks;
use crate::media::{Cursor, Fragment, FragmentPace, FragmentTracks, Piece, Tag, TagSeq};
use crate::server::pace::WRITE_BYTES;

/// Most pieces of one write.
pub(super) const PIECES: usize = 128;
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
    /// Fragments of the tags from `from` to `end`, which are decoded with headers of this mark, behind an init segment if it is wanted.
    pub(super) fn new(
        stream: StreamId,
        media: &Media,
        wanted: WantedTracks,
        (from, end): (TagSeq, TagSeq),
        mark: u32,
        with_init: bool,
    ) -> RingPart {
        let key = media.ring().tag(from).filter(|tag| tag.flags.key);
        let (tracks, init) = match media.earlier().find(mark).filter(|_| mark != headers_mark(media.headers())) {
            Some((init, tracks)) => (*tracks, init.len() as u32),
            None => {
                let found = media.describe(wanted, key.as_ref());
                (found.tracks, found.init.bytes())
            }
        };
        let mut part = RingPart {
            stream,
            wanted,
            tracks,
            init: (0, if with_init { init } else { 0 }),
            mark,
            key: key.map(|key| key.seq),
            cursor: Cursor::at(from),
            end,
            bytes: 0,
        };
        part.bytes = part.init.1.into();
        let mut cursor = part.cursor;
        while let Some((tag, bytes)) = part.measured(media, &mut cursor) {
            part.bytes += u64::from(bytes);
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

    /// The tag at a cursor; `None` at the end.
    fn tag(&self, media: &Media, cursor: &mut Cursor) -> Option<Tag> {
        media.ring().tag_at(cursor).ok().flatten().filter(|tag| tag.seq < self.end)
    }

    /// The same, and how many bytes are sent of it.
    fn measured(&self, media: &Media, cursor: &mut Cursor) -> Option<(Tag, u32)> {
        let tag = self.tag(media, cursor)?;
        Some((tag, Fragment::bytes_of(media.ring(), &tag, &self.tracks, FragmentPace::Known)?))
    }

    /// The next bytes of the init segment; `None` when nothing of its headers is kept any more.
    pub(super) fn next_init<'o>(&self, media: &Media, out: &'o mut [u8; INIT_BYTES]) -> Option<&'o [u8]> {
        if headers_mark(media.headers()) != self.mark {
            let (init, _) = media.earlier().find(self.mark)?;
            let rest = init.get(self.init.0 as usize..)?;
            let count = rest.len().min(out.len());
            out[..count].copy_from_slice(&rest[..count]);
            return Some(&out[..count]);
        }
        let key = self.key.and_then(|key| media.ring().tag(key));
        let count = media.describe(self.wanted, key.as_ref()).init.read_at(self.init.0, out);
        Some(&out[..count])
    }

    /// What comes next of the fragments.
    pub(super) fn next<'m>(&self, media: &'m Media) -> heapless::Vec<Piece<'m>, PIECES> {
        let (mut pieces, mut bytes, mut cursor, mut has_room) = (heapless::Vec::new(), 0, self.cursor, true);
        while has_room
            && let Some(tag) = self.tag(media, &mut cursor)
            && let Some(fragment) = Fragment::of(media.ring(), &tag, &self.tracks, FragmentPace::Known)
        {
            fragment.pieces(media.ring(), tag.seq, cursor.offset, &mut |piece| {
                bytes += piece.bytes().len();
                has_room = bytes <= WRITE_BYTES && pieces.push(piece).is_ok();
                has_room
            });
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
        while let Some((tag, of_tag)) = self.measured(media, &mut cursor) {
            let left = (of_tag - cursor.offset) as usize;
            if bytes < left {
                cursor.offset += bytes as u32;
                break;
            }
            bytes -= left;
            cursor = Cursor::behind(tag.seq);
        }
        self.cursor = cursor;
    }
}
