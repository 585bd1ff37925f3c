//! Segments of HLS: whole groups of pictures, or of sound alone, as ranges of tags of the ring (RFC 8216, 3 and 6.2). They are noted as the
//! key frames come, so that a playlist is read off, and cost a few bytes each.
//!
//! The target duration is the longest of the first three segments and a second more, and stays. A longer segment ends the playlist, and so
//! does the end of a publish for good: the next one has another number. The one before it can be had a while, with its end.

use super::ring::{Ring, TagMeta};
use super::tag::TagSeq;

/// Segments that are noted; of more, the oldest is left out.
pub const SEGMENTS: usize = 32;
/// Segments in a playlist at least (RFC 8216, 6.2.2, and what players begin with), and at most.
pub const LISTED_LEAST: usize = 3;
const LISTED_MOST: usize = 13;
/// In a playlist there is media for so many target durations at least (RFC 8216, 6.2.2).
const LISTED_TARGETS: u32 = 3;
/// A segment lasts as long at least, in milliseconds, unless something else is set.
const SEGMENT_MS: u32 = 1000;
/// And no less than this part of the target duration, so that [`LISTED_MOST`] are enough.
const TARGET_PART: u32 = 4;

/// A segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaSegment {
    /// Its first tag, a key frame, or sound where there are no pictures.
    pub from: TagSeq,
    /// The first tag behind it.
    pub end: TagSeq,
    /// When its first frame came, by the server's time in milliseconds: within a publish as far from the one before it as their frames are.
    pub began_ms: u64,
    /// How long it lasts, in milliseconds.
    pub duration_ms: u32,
    /// Of the headers that it is decoded with.
    pub mark: u32,
    /// It does not follow the segment before it: another publish.
    pub is_cut: bool,
}

/// The segments of a stream.
#[derive(Clone, Debug, Default)]
pub struct Segments {
    /// A segment lasts as long at least, in milliseconds; 0 is [`SEGMENT_MS`].
    least_ms: u32,
    closed: heapless::Deque<MediaSegment, SEGMENTS>,
    /// The number of the first of them.
    first: u32,
    /// Discontinuities before it.
    cuts: u32,
    open: Option<OpenSegment>,
    is_cut: bool,
    target_s: Option<u32>,
    /// Which playlist it is: the number of the tag that it begins with.
    playlist: u32,
    /// Nothing comes any more.
    is_over: bool,
    /// Milliseconds from the server's time to that of the clock, once somebody asked while it was set.
    clock_ms: Option<i64>,
    before: Option<SegmentList>,
}

#[derive(Clone, Copy, Debug)]
struct OpenSegment {
    from: TagSeq,
    time: u32,
    began_ms: u64,
    mark: u32,
}

/// A playlist, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentList {
    /// Its number among those of the stream.
    pub playlist: u32,
    /// The target duration, in seconds.
    pub target_s: u32,
    /// The number of the first segment.
    pub first: u32,
    /// Discontinuities that have left it.
    pub cuts: u32,
    /// The segments.
    pub segments: heapless::Vec<MediaSegment, LISTED_MOST>,
    /// There will be no more.
    pub is_over: bool,
    /// Milliseconds from the server's time to that of the clock, if it is set.
    pub clock_ms: Option<i64>,
}

impl SegmentList {
    /// The number behind that of the last segment.
    pub fn next(&self) -> u32 {
        self.first + self.segments.len() as u32
    }
}

/// Why there is no playlist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPlaylist {
    /// There are too few segments yet.
    Yet,
    /// The ring holds too little: media for so many milliseconds, of so many that are needed.
    Ring {
        /// What it holds.
        held_ms: u32,
        /// What it would have to.
        needed_ms: u32,
    },
}

impl Segments {
    /// A segment lasts so many milliseconds at least, from now on.
    pub fn set_least_ms(&mut self, least_ms: u32) {
        self.least_ms = least_ms;
    }

    /// A key frame comes, which is decoded with headers of this mark. It begins the publish, or may begin a segment.
    pub fn key_frame(&mut self, seq: TagSeq, time: u32, mark: u32, arrived_ms: u64) {
        let begins = OpenSegment { from: seq, time, began_ms: arrived_ms, mark };
        let Some(open) = self.open else {
            if self.is_over {
                self.begin_anew();
            }
            self.open = Some(begins);
            return;
        };
        let lasts_ms = time.wrapping_sub(open.time);
        if open.mark == mark && lasts_ms < self.shortest_ms() {
            return;
        }
        if open.mark != mark && self.closed.is_empty() && lasts_ms < self.shortest_ms() {
            // Sound before the first picture makes no segment of its own.
            self.open = Some(begins);
            return;
        }
        let began_ms = match lasts_ms.cast_signed() {
            0.. => open.began_ms + u64::from(lasts_ms),
            _ => arrived_ms,
        };
        self.close(open, seq, time);
        self.open = Some(OpenSegment { began_ms, ..begins });
    }

    /// The publisher has left, and what comes next does not follow what was there.
    pub fn cut(&mut self, end: TagSeq, time: u32) {
        if let Some(open) = self.open.take() {
            self.close(open, end, time);
            self.is_cut = true;
        }
    }

    /// The publisher has left for good.
    pub fn end(&mut self) {
        if self.target_s.is_none() && !self.closed.is_empty() {
            self.fix_target();
        }
        self.is_over = !self.closed.is_empty();
    }

    /// So far the clock is from the server's time, in milliseconds. It holds for the playlist from then on.
    pub fn set_clock(&mut self, clock_ms: Option<i64>) {
        self.clock_ms = self.clock_ms.or(clock_ms);
    }

    /// Forgets all of it, for another stream.
    pub fn clear(&mut self) {
        *self = Segments { least_ms: self.least_ms, ..Segments::default() };
    }

    /// Another playlist begins. What the one before it has listed last can be had with its end.
    fn begin_anew(&mut self) {
        let before =
            self.target_s.map(|target_s| SegmentList { is_over: true, ..self.last(self.listed(target_s), target_s) });
        *self = Segments { least_ms: self.least_ms, before, ..Segments::default() };
    }

    /// A segment that is shorter is not closed by a key frame.
    fn shortest_ms(&self) -> u32 {
        let least_ms = if self.least_ms == 0 { SEGMENT_MS } else { self.least_ms };
        least_ms.max(self.target_s.unwrap_or(0) * 1000 / TARGET_PART)
    }

    fn fix_target(&mut self) {
        let longest_ms = self.closed.iter().map(|segment| segment.duration_ms).max().unwrap_or(0);
        self.target_s = Some(rounded_s(longest_ms) + 1);
    }

    fn close(&mut self, open: OpenSegment, end: TagSeq, time: u32) {
        let duration_ms = time.wrapping_sub(open.time);
        if duration_ms.cast_signed() <= 0 {
            // Time went back: what lies between has no length that could be said, and is not listed.
            self.is_cut = true;
            return;
        }
        if self.target_s.is_some_and(|target_s| rounded_s(duration_ms) > target_s) {
            self.begin_anew();
        }
        if self.closed.is_full()
            && let Some(left) = self.closed.pop_front()
        {
            self.first += 1;
            self.cuts += u32::from(left.is_cut);
        }
        let is_cut =
            core::mem::take(&mut self.is_cut) || self.closed.back().is_some_and(|before| before.mark != open.mark);
        let OpenSegment { from, began_ms, mark, .. } = open;
        if self.target_s.is_none() && self.closed.is_empty() {
            self.playlist = from.0 as u32;
        }
        // It has room now.
        let _ = self.closed.push_back(MediaSegment { from, end, began_ms, duration_ms, mark, is_cut });
        if self.target_s.is_none() && self.closed.len() == LISTED_LEAST {
            self.fix_target();
        }
    }

    /// How many of the newest segments are listed: [`LISTED_LEAST`], and media for [`LISTED_TARGETS`] target durations, if there are as
    /// many.
    fn listed(&self, target_s: u32) -> usize {
        let (mut listed, mut lasts_ms) = (0, 0);
        for segment in self.closed.iter().rev().take(LISTED_MOST) {
            if listed >= LISTED_LEAST && lasts_ms >= LISTED_TARGETS * target_s * 1000 {
                break;
            }
            (listed, lasts_ms) = (listed + 1, lasts_ms + segment.duration_ms);
        }
        listed
    }

    /// So many of the newest segments as a list.
    fn last(&self, count: usize, target_s: u32) -> SegmentList {
        let left = self.closed.len() - count;
        let cuts = self.closed.iter().take(left).filter(|segment| segment.is_cut).count();
        SegmentList {
            playlist: self.playlist,
            target_s,
            first: self.first + left as u32,
            cuts: self.cuts + cuts as u32,
            segments: self.closed.iter().skip(left).copied().collect(),
            is_over: self.is_over,
            clock_ms: self.clock_ms,
        }
    }

    /// The playlist. What leaves it can be had for a while: for as long as the ring holds it, one segment at least.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub fn list<B, I>(&self, ring: &Ring<B, I>) -> Result<SegmentList, NoPlaylist>
    where
        B: AsRef<[u8]> + AsMut<[u8]>,
        I: AsRef<[TagMeta]> + AsMut<[TagMeta]>,
    {
        let held = self.closed.iter().rev().take_while(|segment| segment.from >= ring.oldest()).count();
        let is_short = held < self.closed.len();
        let longest_ms = || self.closed.iter().map(|segment| segment.duration_ms).max().unwrap_or(0);
        let too_short = |needed_ms: u32| {
            let mut held = (ring.oldest().0..ring.readable_head().0).filter_map(|seq| ring.tag(TagSeq(seq)));
            let first = held.next().map_or(0, |tag| tag.timestamp);
            let held_ms = held.last().map_or(0, |tag| tag.timestamp.wrapping_sub(first));
            Err(NoPlaylist::Ring { held_ms, needed_ms })
        };
        let Some(target_s) = self.target_s else {
            // It will not hold what it does not now.
            return if is_short {
                too_short(LISTED_LEAST as u32 * longest_ms() + 2 * longest_ms())
            } else {
                Err(NoPlaylist::Yet)
            };
        };
        let listed = self.listed(target_s);
        // What has left the list, as far as there is such.
        let tail = usize::from(self.closed.len() > listed);
        if held < listed + tail && !self.is_over {
            let list_ms = (LISTED_TARGETS * target_s * 1000).max(LISTED_LEAST as u32 * longest_ms());
            // A segment more that has left, and the one that is coming.
            return too_short(list_ms + 2 * longest_ms());
        }
        Ok(self.last(listed.min(held), target_s))
    }

    /// The playlist of this number if it is the one before, and the present one otherwise.
    ///
    /// # Errors
    ///
    /// As [`Segments::list`].
    pub fn list_of<B, I>(&self, playlist: u32, ring: &Ring<B, I>) -> Result<SegmentList, NoPlaylist>
    where
        B: AsRef<[u8]> + AsMut<[u8]>,
        I: AsRef<[TagMeta]> + AsMut<[TagMeta]>,
    {
        match self.before(ring).filter(|before| before.playlist == playlist) {
            Some(before) => Ok(before.clone()),
            None => self.list(ring),
        }
    }

    /// The playlist before this one, with its end, if the ring holds it all.
    pub fn before<B, I>(&self, ring: &Ring<B, I>) -> Option<&SegmentList>
    where
        B: AsRef<[u8]> + AsMut<[u8]>,
        I: AsRef<[TagMeta]> + AsMut<[TagMeta]>,
    {
        self.before.as_ref().filter(|list| list.segments.first().is_some_and(|first| first.from >= ring.oldest()))
    }

    /// The segment of a number, if it is still there.
    pub fn segment(&self, playlist: u32, number: u32) -> Option<MediaSegment> {
        if let Some(before) = self.before.as_ref().filter(|before| before.playlist == playlist) {
            return before.segments.get(number.checked_sub(before.first)? as usize).copied();
        }
        let index = number.checked_sub(self.first).filter(|_| playlist == self.playlist)?;
        self.closed.iter().nth(index as usize).copied()
    }

    /// There is a segment, or one begins, that is decoded with headers of this mark.
    pub fn has_mark(&self, mark: u32) -> bool {
        let mut closed = self.closed.iter().chain(self.before.iter().flat_map(|list| &list.segments));
        closed.any(|segment| segment.mark == mark) || self.open.is_some_and(|open| open.mark == mark)
    }

    /// Which playlist it is.
    pub fn playlist(&self) -> u32 {
        self.playlist
    }

    /// Which playlist it is, and which was before it.
    pub fn playlists(&self) -> impl Iterator<Item = u32> + use<> {
        let present = Some(self.playlist).filter(|_| !self.closed.is_empty());
        [present, self.before.as_ref().map(|before| before.playlist)].into_iter().flatten()
    }
}

/// Seconds as `EXT-X-TARGETDURATION` rounds them.
fn rounded_s(ms: u32) -> u32 {
    (ms + 500) / 1000
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

    type TestRing = Ring<Vec<u8>, Vec<TagMeta>>;

    fn ring(bytes: usize) -> TestRing {
        Ring::new(vec![0; bytes], vec![TagMeta::EMPTY; 512])
    }

    fn put(ring: &mut TestRing, time: u32) -> TagSeq {
        let key = TagFlags { key: true, ..TagFlags::default() };
        ring.push(TagKind::Video, time, &[&[0; 800]], key, Millis(0)).unwrap()
    }

    proptest! {
        #[test]
        fn a_playlist_keeps_the_rules_of_its_kind_whatever_comes(
            gops in prop::collection::vec((100_u32..4000, 0_u32..20), 4..200), room in 4000_usize..40_000,
        ) {
            let mut ring = ring(room);
            let (mut segments, mut time, mut mark) = (Segments::default(), 0, 1);
            let mut before: Option<SegmentList> = None;
            for (lasts, event) in gops {
                let seq = put(&mut ring, time);
                mark += u32::from(event == 1);
                segments.key_frame(seq, time, mark, time.into());
                time += lasts;
                if event <= 2 {
                    segments.cut(ring.readable_head(), time);
                    time += 5000;
                }
                if event == 2 {
                    segments.end();
                }
                let Ok(list) = segments.list(&ring) else { continue };
                let most = list.segments.iter().map(|segment| rounded_s(segment.duration_ms)).max().unwrap();
                prop_assert!(most <= list.target_s && (list.segments.len() >= LISTED_LEAST || list.is_over));
                prop_assert!(list.segments.iter().all(|segment| segment.duration_ms > 0));
                for (index, segment) in list.segments.iter().enumerate() {
                    prop_assert!(segment.from >= ring.oldest() && segment.from < segment.end);
                    prop_assert_eq!(segments.segment(list.playlist, list.first + index as u32), Some(*segment));
                }
                if list.first > 0 && !list.is_over {
                    let lasts_ms: u32 = list.segments.iter().map(|segment| segment.duration_ms).sum();
                    prop_assert!(lasts_ms >= 3 * list.target_s * 1000 || list.segments.len() == LISTED_MOST);
                    let left = segments.segment(list.playlist, list.first - 1);
                    prop_assert!(left.is_some_and(|left| left.from >= ring.oldest()), "what has left can be had");
                }
                if let Some(before) = &before && before.playlist == list.playlist {
                    prop_assert_eq!(before.target_s, list.target_s);
                    prop_assert!(before.first <= list.first && !before.is_over);
                    // What is in both has one number, and discontinuities are counted when they leave.
                    let left = (list.first - before.first) as usize;
                    let common = before.segments.len().saturating_sub(left).min(list.segments.len());
                    if common > 0 {
                        prop_assert_eq!(&before.segments[left..][..common], &list.segments[..common]);
                        let gone = before.segments[..left].iter().filter(|segment| segment.is_cut).count();
                        prop_assert_eq!(before.cuts + gone as u32, list.cuts);
                    }
                } else if let (Some(before), Some(ended)) = (&before, segments.before(&ring)) && before.playlist == ended.playlist {
                    // It ends with all that was in it, and with what had come since.
                    prop_assert!(ended.is_over && ended.next() >= before.next() && ended.first >= before.first);
                }
                before = Some(list).filter(|list| !list.is_over);
            }
        }
    }

    #[test]
    fn a_longer_segment_ends_the_playlist_and_begins_another() {
        let mut ring = ring(100_000);
        let mut segments = Segments::default();
        let mut time = 0;
        for lasts in [1000, 1000, 1000, 1000, 9000, 9000, 9000] {
            let seq = put(&mut ring, time);
            segments.key_frame(seq, time, 1, time.into());
            time += lasts;
        }
        assert_eq!(segments.list(&ring), Err(NoPlaylist::Yet), "two of the longer ones are complete");
        let ended = segments.before(&ring).unwrap();
        assert_eq!((ended.is_over, ended.segments.len(), ended.playlist), (true, 4, 0));
        assert_eq!(segments.segment(0, 3).unwrap().duration_ms, 1000);
        let seq = put(&mut ring, time);
        segments.key_frame(seq, time, 1, time.into());
        let list = segments.list(&ring).unwrap();
        assert_eq!((list.playlist, list.first, list.target_s, list.is_over), (4, 0, 10, false));
        assert_eq!(list.segments.iter().map(|segment| segment.began_ms).collect::<Vec<_>>(), [4000, 13_000, 22_000]);
    }

    #[test]
    fn a_ring_that_holds_too_little_says_how_much_it_would_have_to() {
        // Seven key frames of 800 bytes.
        let mut ring = ring(6400);
        let mut segments = Segments::default();
        let mut refused = None;
        for second in 0..20 {
            let seq = put(&mut ring, second * 1000);
            segments.key_frame(seq, second * 1000, 1, 0);
            refused = refused.or(segments.list(&ring).err().filter(|why| *why != NoPlaylist::Yet));
        }
        let Some(NoPlaylist::Ring { held_ms, needed_ms }) = refused else { panic!("{refused:?}") };
        assert!(held_ms < needed_ms && needed_ms == 8000, "{held_ms} of {needed_ms}");
    }

    #[test]
    fn a_publish_that_was_short_has_an_end_too() {
        let mut ring = ring(10_000);
        let mut segments = Segments::default();
        let seq = put(&mut ring, 0);
        segments.key_frame(seq, 0, 1, 0);
        segments.cut(ring.readable_head(), 700);
        segments.end();
        let list = segments.list(&ring).unwrap();
        assert_eq!((list.segments.len(), list.is_over), (1, true));
        let seq = put(&mut ring, 900);
        segments.key_frame(seq, 900, 1, 900);
        assert_eq!(segments.list(&ring), Err(NoPlaylist::Yet));
        assert_eq!(segments.playlists().collect::<Vec<_>>(), [0]);
        assert!(segments.before(&ring).is_some_and(|list| list.is_over));
    }
}
