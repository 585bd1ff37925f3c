//! fMP4's frame: a tag as a fragment of one sample, which browsers play as it comes.
//!
//! What MSE insists on (measured): decode times that neither go back nor leave a hole of more than two samples. A live picture's
//! duration is not known before the next one is there, and guessed wrong whenever a camera pauses. So a live picture is as long as the
//! pause *before* it, and is decoded a nominal frame after the picture before it: without a hole by construction, without delay,
//! and a function of the tag and its timing ([`TagTiming`]). Where the next picture is known, as in a segment of HLS, each lasts until that.
//!
//! Some encoders send a picture in several messages: it is one sample. In a stream that was seen to do so, and of the first picture of
//! every publish, one is complete when the next one has begun, or when sound has come that is `COMPLETE_MS` later.

use super::frame::{Frame, Head, Piece};
use super::ring::{Ring, Tag, TagMeta};
use super::sound_clock::{samples_of, ticks};
use super::tag::{PICTURE_MESSAGES, TagKind, TagSeq, TagTiming};
use crate::wire::flv::Codec;
use crate::wire::mp4::fragment_head::{SINGLE_BYTES, SampleRow, Single};
use crate::wire::mp4::init::{AUDIO_TRACK, VIDEO_TRACK};
use crate::wire::sample::SamplePart;

/// Sound of so many milliseconds behind a picture says that no more of it comes: it may be the only one for long.
const COMPLETE_MS: u32 = 200;

/// So far may the gap between pictures be from a nominal frame because both are whole milliseconds. What is further is no rounding, and a
/// picture that would be shown as much later leaves a hole before it.
const ROUNDING_MS: u32 = 2;

/// The tracks of an init segment, as far as fragments behind it depend on them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FragmentTracks {
    /// Pictures, if there are any in it.
    pub video: Option<Codec>,
    /// Sound, if there is any in it.
    pub audio: Option<SoundTrack>,
    /// A nominal frame time in milliseconds. It does not change while somebody reads on.
    pub nominal_ms: u32,
}

/// Sound of an init segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoundTrack {
    /// Its codec.
    pub codec: Codec,
    /// Ticks a second of its track.
    pub timescale: u32,
    /// Samples of every frame; `None` where each says it.
    pub frame_samples: Option<u32>,
}

/// How long a picture lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FragmentPace {
    /// As long as the one before it: the next one is not awaited.
    Live,
    /// Until the next one, which is in the ring; the last one of a stream a nominal frame time.
    Known,
}

/// A part of a picture that lies in a later tag: the tag, bytes to leave out in front, bytes to send.
type LaterPart = (TagSeq, u32, u32);

/// A tag as a fragment; of no bytes when it is no sample of the tracks.
#[derive(Clone, Debug)]
pub struct Fragment {
    head: Head,
    skip: u32,
    take: u32,
    later: heapless::Vec<LaterPart, { PICTURE_MESSAGES as usize }>,
}

impl Fragment {
    /// A tag that is not sent.
    const NOTHING: Fragment = Fragment { head: Head::EMPTY, skip: 0, take: 0, later: heapless::Vec::new() };

    /// The fragment of a tag; `None` while more of its picture is to come. Once there is one it is always the same.
    pub fn of<B, I, const CHUNK: usize>(
        ring: &Ring<B, I, CHUNK>,
        tag: &Tag,
        tracks: &FragmentTracks,
        pace: FragmentPace,
    ) -> Option<Fragment>
    where
        B: AsRef<[u8]> + AsMut<[u8]>,
        I: AsRef<[TagMeta]> + AsMut<[TagMeta]>,
    {
        let (mut fragment, single) = Fragment::without_head(ring, tag, tracks, pace)?;
        if let Some(single) = single {
            fragment.head = Head::new(&single.head());
        }
        Some(fragment)
    }

    /// How many bytes the fragment of a tag has, without making it; `None` as above.
    pub fn bytes_of<B, I, const CHUNK: usize>(
        ring: &Ring<B, I, CHUNK>,
        tag: &Tag,
        tracks: &FragmentTracks,
        pace: FragmentPace,
    ) -> Option<u32>
    where
        B: AsRef<[u8]> + AsMut<[u8]>,
        I: AsRef<[TagMeta]> + AsMut<[TagMeta]>,
    {
        let (fragment, single) = Fragment::without_head(ring, tag, tracks, pace)?;
        Some(if single.is_some() { SINGLE_BYTES as u32 + fragment.media_bytes() } else { 0 })
    }

    /// A fragment, and what its head says; nothing when it is no sample of the tracks.
    fn without_head<B, I, const CHUNK: usize>(
        ring: &Ring<B, I, CHUNK>,
        tag: &Tag,
        tracks: &FragmentTracks,
        pace: FragmentPace,
    ) -> Option<(Fragment, Option<Single>)>
    where
        B: AsRef<[u8]> + AsMut<[u8]>,
        I: AsRef<[TagMeta]> + AsMut<[TagMeta]>,
    {
        const NOTHING: Option<(Fragment, Option<Single>)> = Some((Fragment::NOTHING, None));
        let Some(part) = ring.sample(tag) else { return NOTHING };
        let mut fragment = Fragment { skip: part.skip, take: part.take, ..Fragment::NOTHING };
        let single = match tag.kind {
            TagKind::Video if tracks.video == Some(part.codec) && !tag.timing.continues() => {
                let mut is_key = tag.flags.key;
                if tag.timing.is_in_parts() {
                    is_key |= fragment.gather(ring, tag, pace)?;
                }
                let gap = tag.timing.gap_ms();
                let time = u64::from(tag.timestamp) + u64::from(tag.timing.late_ms());
                let (decode_time, duration) = match pace {
                    FragmentPace::Live => ((time + u64::from(tracks.nominal_ms)).saturating_sub(gap.into()), gap),
                    FragmentPace::Known => (time, until_next(ring, tag).unwrap_or(tracks.nominal_ms)),
                };
                let composition = part.composition_ms + shown_later(part.composition_ms, gap, tracks.nominal_ms, pace);
                let sample = SampleRow { duration, bytes: fragment.media_bytes(), composition, is_key };
                Single { sequence: tag.seq.0 as u32, track: VIDEO_TRACK, decode_time, sample }
            }
            TagKind::Audio => {
                let Some(sound) = tracks.audio.filter(|sound| sound.codec == part.codec) else { return NOTHING };
                let duration = sound.frame_samples.unwrap_or_else(|| samples_of(ring, tag.seq, &part));
                let decode_time = ticks(tag.timestamp, sound.timescale).saturating_add_signed(tag.timing.shift());
                let sample = SampleRow { duration, bytes: part.take, composition: 0, is_key: true };
                Single { sequence: tag.seq.0 as u32, track: AUDIO_TRACK, decode_time, sample }
            }
            TagKind::Video | TagKind::Data => return NOTHING,
        };
        Some((fragment, Some(single)))
    }

    /// Hands out the pieces of a tag's fragment ([`frame::piece`](super::frame::piece)) from a byte on, one behind the other, as long as
    /// they are taken.
    pub fn pieces<'r, B, I, const CHUNK: usize>(
        &self,
        ring: &'r Ring<B, I, CHUNK>,
        seq: TagSeq,
        offset: u32,
        take: &mut impl FnMut(Piece<'r>) -> bool,
    ) where
        B: AsRef<[u8]> + AsMut<[u8]>,
        I: AsRef<[TagMeta]> + AsMut<[TagMeta]>,
    {
        let head = self.head.as_slice().len() as u32;
        if offset < head && !take(Piece::Own(self.head.without_first(offset))) {
            return;
        }
        let mut passed = offset.saturating_sub(head);
        for &(seq, skip, bytes) in [(seq, self.skip, self.take)].iter().chain(&self.later) {
            while passed < bytes {
                let Some(payload) = ring.payload_at(seq, skip + passed) else { return };
                let payload = &payload[..payload.len().min((bytes - passed) as usize)];
                if !take(Piece::Payload(payload)) {
                    return;
                }
                passed += payload.len() as u32;
            }
            passed -= bytes;
        }
    }

    /// Whether nothing is sent of the tag.
    pub fn is_empty(&self) -> bool {
        self.head == Head::EMPTY
    }

    /// Bytes of the fragment.
    pub fn bytes(&self) -> u32 {
        self.head.as_slice().len() as u32 + self.media_bytes()
    }

    /// The same with these bytes in front of it, which its receiver's protocol wants there; nothing stays nothing.
    pub fn behind(self, front: &[u8]) -> Fragment {
        let head = if self.is_empty() { self.head } else { Head::new(front).then(self.head.as_slice()) };
        Fragment { head, ..self }
    }

    fn media_bytes(&self) -> u32 {
        self.take + self.later.iter().map(|(_, _, take)| take).sum::<u32>()
    }

    /// Finds the picture's other messages, and says whether one of them is marked as a key frame; `None` while it is not complete.
    fn gather<B, I, const CHUNK: usize>(
        &mut self,
        ring: &Ring<B, I, CHUNK>,
        tag: &Tag,
        pace: FragmentPace,
    ) -> Option<bool>
    where
        B: AsRef<[u8]> + AsMut<[u8]>,
        I: AsRef<[TagMeta]> + AsMut<[TagMeta]>,
    {
        let mut is_key = false;
        for later in tags_behind(ring, tag) {
            // What comes behind either is not of it, whenever one looks.
            let is_later = later.kind == TagKind::Audio && later.timestamp >= tag.timestamp.saturating_add(COMPLETE_MS);
            let Some(part) = ring.sample(&later).filter(|_| later.kind == TagKind::Video || is_later) else { continue };
            if is_later || !later.timing.continues() {
                return Some(is_key);
            }
            is_key |= later.flags.key;
            // There are no more messages in a picture than that.
            let _ = self.later.push((later.seq, part.skip, part.take));
        }
        (pace == FragmentPace::Known).then_some(is_key)
    }
}

impl Frame for Fragment {
    fn head(&self, _tag: &Tag) -> Head {
        self.head
    }

    fn skip(&self, _tag: &Tag) -> u32 {
        self.skip
    }

    fn take(&self, _tag: &Tag) -> u32 {
        self.take
    }

    fn later(&self) -> &[LaterPart] {
        &self.later
    }
}

/// How many milliseconds later than `composition_ms` says a picture is shown, which is decoded a nominal frame behind the one before it.
/// Where pictures are not shown as they are decoded, gaps that are rounded to 33 and 34 ms lie elsewhere than what is shown: each group of them
/// would be a millisecond off, and WebKit stands still there.
fn shown_later(composition_ms: i32, gap_ms: u32, nominal_ms: u32, pace: FragmentPace) -> i32 {
    let off_ms = gap_ms.wrapping_sub(nominal_ms).cast_signed();
    let is_rounding = off_ms.unsigned_abs() <= ROUNDING_MS;
    if pace == FragmentPace::Live && composition_ms != 0 && is_rounding { off_ms } else { 0 }
}

/// Video tags behind a tag, as far as they can be read, and their samples.
fn pictures_behind<'r, B, I, const CHUNK: usize>(
    ring: &'r Ring<B, I, CHUNK>,
    tag: &Tag,
) -> impl Iterator<Item = (Tag, SamplePart)> + use<'r, B, I, CHUNK>
where
    B: AsRef<[u8]> + AsMut<[u8]>,
    I: AsRef<[TagMeta]> + AsMut<[TagMeta]>,
{
    let pictures = tags_behind(ring, tag).filter(|tag| tag.kind == TagKind::Video);
    pictures.filter_map(|tag| Some((tag, ring.sample(&tag)?)))
}

/// Tags behind a tag, as far as they can be read.
fn tags_behind<'r, B, I, const CHUNK: usize>(
    ring: &'r Ring<B, I, CHUNK>,
    tag: &Tag,
) -> impl Iterator<Item = Tag> + use<'r, B, I, CHUNK>
where
    B: AsRef<[u8]> + AsMut<[u8]>,
    I: AsRef<[TagMeta]> + AsMut<[TagMeta]>,
{
    (tag.seq.next().0..ring.readable_head().0).filter_map(|seq| ring.tag(TagSeq(seq)))
}

/// How many milliseconds behind a picture the next one comes, if it is there.
fn until_next<B, I, const CHUNK: usize>(ring: &Ring<B, I, CHUNK>, tag: &Tag) -> Option<u32>
where
    B: AsRef<[u8]> + AsMut<[u8]>,
    I: AsRef<[TagMeta]> + AsMut<[TagMeta]>,
{
    pictures_behind(ring, tag).map(|(tag, _)| tag.timing).find(|timing| !timing.continues()).map(TagTiming::gap_ms)
}

#[cfg(test)]
mod tests;
