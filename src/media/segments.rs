//! Segments of HLS: whole groups of pictures, as ranges of tags of the ring (RFC 8216, 3 and 6.2). They are noted as the key frames come, so
//! that a playlist is read off, and cost a few bytes each.
//!
//! The target duration is the longest of the first three segments and a second more, and stays. A longer segment ends the playlist: the
//! next one has another number.

use super::ring::{Ring, TagMeta};
use super::tag::TagSeq;

/// Segments that are noted; of more, the oldest is left out.
pub const SEGMENTS: usize = 24;
/// Segments in a playlist at least (RFC 8216, 6.2.2, and what players begin with), and at most.
pub const LISTED_LEAST: usize = 3;
const LISTED_MOST: usize = 8;
/// A segment lasts as long at least, in milliseconds.
const SEGMENT_MS: u32 = 1000;

/// A segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaSegment {
    /// Its first tag, a key frame.
    pub from: TagSeq,
    /// The first tag behind it.
    pub end: TagSeq,
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
}

#[derive(Clone, Copy, Debug)]
struct OpenSegment {
    from: TagSeq,
    time: u32,
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
}

impl Segments {
    /// A key frame comes, which is decoded with headers of this mark.
    pub fn key_frame(&mut self, seq: TagSeq, time: u32, mark: u32) {
        match self.open {
            Some(open) if open.mark == mark && time.wrapping_sub(open.time) < SEGMENT_MS => {}
            Some(open) => {
                self.close(open, seq, time);
                self.open = Some(OpenSegment { from: seq, time, mark });
            }
            None => self.open = Some(OpenSegment { from: seq, time, mark }),
        }
    }

    /// The publisher has left, and what comes next does not follow what was there.
    pub fn cut(&mut self, end: TagSeq, time: u32) {
        if let Some(open) = self.open.take() {
            self.close(open, end, time);
            self.is_cut = true;
        }
    }

    fn close(&mut self, open: OpenSegment, end: TagSeq, time: u32) {
        let duration_ms = time.wrapping_sub(open.time);
        if duration_ms.cast_signed() < 0 {
            // Time went back: what lies between has no length that could be said, and is not listed.
            self.is_cut = true;
            return;
        }
        if self.target_s.is_some_and(|target_s| rounded_s(duration_ms) > target_s) {
            *self = Segments::default();
        }
        if self.closed.is_full()
            && let Some(left) = self.closed.pop_front()
        {
            self.first += 1;
            self.cuts += u32::from(left.is_cut);
        }
        let is_cut =
            core::mem::take(&mut self.is_cut) || self.closed.back().is_some_and(|before| before.mark != open.mark);
        let segment = MediaSegment { from: open.from, end, duration_ms, mark: open.mark, is_cut };
        if self.target_s.is_none() && self.closed.is_empty() {
            self.playlist = open.from.0 as u32;
        }
        // It has room now.
        let _ = self.closed.push_back(segment);
        if self.target_s.is_none() && self.closed.len() == LISTED_LEAST {
            let longest = self.closed.iter().map(|segment| segment.duration_ms).max().unwrap_or(0);
            self.target_s = Some(rounded_s(longest) + 1);
        }
    }

    /// The playlist of what the ring holds; `None` while there are too few segments. What leaves it can be had for a while: it lists about
    /// half of what there is.
    pub fn list<B, I>(&self, ring: &Ring<B, I>) -> Option<SegmentList>
    where
        B: AsRef<[u8]> + AsMut<[u8]>,
        I: AsRef<[TagMeta]> + AsMut<[TagMeta]>,
    {
        let target_s = self.target_s?;
        let held = self.closed.iter().filter(|segment| segment.from >= ring.oldest()).count();
        let (mut listed, mut lasts) = (0, 0);
        for segment in self.closed.iter().rev().take(held.min(LISTED_MOST)) {
            if listed >= LISTED_LEAST && lasts >= 3 * target_s * 1000 {
                break;
            }
            (listed, lasts) = (listed + 1, lasts + segment.duration_ms);
        }
        if listed < LISTED_LEAST {
            return None;
        }
        let left = self.closed.len() - listed;
        let cuts = self.closed.iter().take(left).filter(|segment| segment.is_cut).count();
        Some(SegmentList {
            playlist: self.playlist,
            target_s,
            first: self.first + left as u32,
            cuts: self.cuts + cuts as u32,
            segments: self.closed.iter().skip(left).copied().collect(),
        })
    }

    /// The segment of a number, if it is still there.
    pub fn segment(&self, playlist: u32, number: u32) -> Option<MediaSegment> {
        let index = number.checked_sub(self.first).filter(|_| playlist == self.playlist)?;
        self.closed.iter().nth(index as usize).copied()
    }

    /// Which playlist it is.
    pub fn playlist(&self) -> u32 {
        self.playlist
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

    proptest! {
        #[test]
        fn a_playlist_keeps_the_rules_of_its_kind_whatever_comes(
            gops in prop::collection::vec((100_u32..4000, 0_u32..20), 4..200),
        ) {
            let mut ring = Ring::<Vec<u8>, Vec<TagMeta>>::new(vec![0; 40_000], vec![TagMeta::EMPTY; 512]);
            let (mut segments, mut time, mut mark) = (Segments::default(), 0, 1);
            let mut before: Option<SegmentList> = None;
            for (lasts, event) in gops {
                let seq = ring.push(TagKind::Video, time, &[&[0; 800]], TagFlags { key: true, ..TagFlags::default() }, Millis(0)).unwrap();
                mark += u32::from(event == 1);
                segments.key_frame(seq, time, mark);
                time += lasts;
                if event == 0 {
                    segments.cut(ring.readable_head(), time);
                    time += 5000;
                }
                let Some(list) = segments.list(&ring) else { continue };
                let most = list.segments.iter().map(|segment| rounded_s(segment.duration_ms)).max().unwrap();
                prop_assert!(most <= list.target_s && list.segments.len() >= LISTED_LEAST);
                for (index, segment) in list.segments.iter().enumerate() {
                    prop_assert!(segment.from >= ring.oldest() && segment.from < segment.end);
                    prop_assert_eq!(segments.segment(list.playlist, list.first + index as u32), Some(*segment));
                }
                if let Some(before) = before.filter(|before| before.playlist == list.playlist) {
                    prop_assert_eq!(before.target_s, list.target_s);
                    prop_assert!(before.first <= list.first);
                    // What is in both has one number, and discontinuities are counted when they leave.
                    let left = (list.first - before.first) as usize;
                    let common = before.segments.len().saturating_sub(left).min(list.segments.len());
                    if common > 0 {
                        prop_assert_eq!(&before.segments[left..][..common], &list.segments[..common]);
                        let gone = before.segments[..left].iter().filter(|segment| segment.is_cut).count();
                        prop_assert_eq!(before.cuts + gone as u32, list.cuts);
                    }
                }
                before = Some(list);
            }
        }
    }
}
