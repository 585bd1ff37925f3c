//! A recording as an MP4 file: a front that says what its tracks are, and fragments behind it (ISO/IEC 14496-12, 8.8). So it can be
//! played at every moment; when it is complete the disk's thread writes its tables ([`crate::wire::mp4::finish`]).
//!
//! A fragment is the samples of a range of tags, pictures first. Its head says how long each of them is, so that all of them are looked
//! at before the first byte is copied.

use crate::limits::FRAGMENT_SAMPLES;
use crate::live::names::Media;
use crate::live::recording::{LEAST_BLOCK_BYTES, WriteBlock};
use crate::media::sound_clock::{samples_of, ticks};
use crate::media::tracks::StreamTracks;
use crate::media::{Cursor, FragmentTracks, Tag, TagKind, TagSeq};
use crate::wire::flv::Codec;
use crate::wire::mp4::description::VIDEO_TIMESCALE;
use crate::wire::mp4::fragment_head::{FragmentHead, SampleRow, SampleRun};
use crate::wire::mp4::init::{AUDIO_TRACK, Init, VIDEO_TRACK};

use super::fragment::RecordedFragment;
use super::part::{Copied, FileClock};
use super::tracks::sample;

/// No sample lasts longer by what its fragment says, in milliseconds: across a gap the file shows a still.
const SAMPLE_MS: u32 = 1000;
/// So many tags behind a fragment the next sample of a track is looked for, which says how long the last one lasts.
const LOOK_AHEAD: usize = 32;
/// The rate in which the clock of sound counts, where its codec's configuration has none.
const USUAL_RATE_HZ: u32 = 48_000;
/// Fragments have numbers that rise with where they lie: each is longer than so many bytes.
const NUMBER_BYTES: u64 = 64;

/// Pictures and sound, in the order in which they lie in a fragment.
const LANES: [TagKind; 2] = [TagKind::Video, TagKind::Audio];

/// What stands in front of the file, and the tracks that it has. `key` is its first tag.
///
/// # Errors
///
/// The codec that MP4 does not carry, where it is known.
pub(super) fn front<'m>(media: &'m Media, key: Option<&Tag>) -> Result<(Init<'m>, FragmentTracks), Option<Codec>> {
    let StreamTracks { init, tracks, left_out, .. } = media.describe_file(key.filter(|tag| tag.flags.key));
    let lacks = media.has_video() && init.video.is_none() || media.has_audio() && init.audio.is_none();
    match left_out {
        None if !lacks && (init.video.is_some() || init.audio.is_some()) => Ok((Init { hybrid: true, ..init }, tracks)),
        left_out => Err(left_out),
    }
}

/// Puts the front into the block, which has room for it.
pub(super) fn put_front(init: &Init<'_>, block: &mut WriteBlock) {
    let count = init.read_at(0, block.room());
    debug_assert_eq!(count, init.bytes() as usize, "a block has room for a front");
    block.put(count);
}

/// The last sample of each track, also of the fragment before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TrackTimes([Option<LastSample>; LANES.len()]);

/// The last sample of a track, in ticks of the file.
#[derive(Clone, Copy, Debug)]
struct LastSample {
    /// When it is decoded: time does not go back there, and each picture has some of it.
    time: i64,
    /// The latest that one was stamped with.
    stamp: i64,
}

/// The samples of a fragment: what is taken is needed until its head was written, so that all recordings share one.
#[derive(Debug, Default)]
pub(super) struct FragmentRows {
    rows: heapless::Vec<SampleRow, FRAGMENT_SAMPLES>,
    /// So many of them are pictures: the first.
    pictures: usize,
    begins: [u64; LANES.len()],
    /// The file's time of the last picture or sound, in milliseconds.
    last_ms: u32,
}

impl FragmentRows {
    /// Takes those of a fragment, in place of those of the one before. False when one of them is gone from the ring.
    fn take(
        &mut self,
        media: &Media,
        fragment: &RecordedFragment,
        tracks: &FragmentTracks,
        clock: FileClock,
        times: &mut TrackTimes,
    ) -> bool {
        self.rows.clear();
        (self.last_ms, self.begins) = (0, [0; LANES.len()]);
        for (lane, kind) in LANES.into_iter().enumerate() {
            let first = self.rows.len();
            let mut cursor = Cursor::at(fragment.first);
            let mut last = None;
            loop {
                let tag = match media.ring().tag_at(&mut cursor) {
                    Ok(Some(tag)) if tag.seq < fragment.end => tag,
                    Ok(_) => break,
                    Err(_) => return false,
                };
                cursor = Cursor::behind(tag.seq);
                let Some(part) = sample(tracks, media, &tag).filter(|_| tag.kind == kind) else { continue };
                if goes_on(&tag)
                    && let Some(row) = self.rows[first..].last_mut()
                {
                    (row.bytes, row.is_key) = (row.bytes + part.take, row.is_key || tag.flags.key);
                    continue;
                }
                self.last_ms = self.last_ms.max(clock.file_ms(tag.timestamp));
                let wanted = decode_time(tracks, clock, &tag);
                let before = times.0[lane];
                let least = before.map_or(0, |before| before.time + i64::from(kind == TagKind::Video));
                let time = wanted.max(least);
                match (last, self.rows.last_mut()) {
                    (Some((before, _)), Some(row)) => row.duration = duration(tracks, kind, before, time),
                    _ => self.begins[lane] = time.cast_unsigned(),
                }
                // Some encoders stamp pictures with the time at which they are shown, which goes back. Two pictures of one millisecond are
                // shown as they are decoded.
                let goes_back = kind == TagKind::Video && before.is_some_and(|before| wanted < before.stamp);
                let earlier = if goes_back { (wanted - time) as i32 } else { 0 };
                let stamp = before.map_or(wanted, |before| before.stamp.max(wanted));
                let row = SampleRow {
                    duration: 0,
                    bytes: part.take,
                    composition: part.composition_ms.saturating_add(earlier),
                    is_key: kind == TagKind::Audio || tag.flags.key,
                };
                // A fragment has no more samples than that.
                let _ = self.rows.push(row);
                (last, times.0[lane]) = (Some((time, tag)), Some(LastSample { time, stamp }));
            }
            if let (Some((time, tag)), Some(row)) = (last, self.rows.last_mut()) {
                let next = next_time(tracks, media, clock, fragment.end, kind).filter(|&next| next > time);
                let usual = || i64::from(usual_duration(tracks, media, &tag));
                row.duration = duration(tracks, kind, time, next.unwrap_or_else(|| time + usual()));
            }
            if kind == TagKind::Video {
                self.pictures = self.rows.len();
            }
        }
        true
    }

    /// What stands in front of the fragment's media, which begins at that place of the file.
    fn head(&self, at: u64) -> FragmentHead<'_> {
        let (pictures, sound) = self.rows.split_at(self.pictures);
        let run = |track, lane: usize, samples| SampleRun { track, decode_time: self.begins[lane], samples };
        let runs = [run(VIDEO_TRACK, 0, pictures), run(AUDIO_TRACK, 1, sound)];
        FragmentHead {
            sequence: (at / NUMBER_BYTES) as u32 + 1,
            runs: runs.map(|run| Some(run).filter(|run| !run.samples.is_empty())),
        }
    }
}

/// Whether a tag is a part of the picture before it.
fn goes_on(tag: &Tag) -> bool {
    tag.kind == TagKind::Video && tag.timing.continues()
}

/// When what is in a tag is decoded, in ticks of its track: milliseconds for pictures, samples for sound, which lie on a grid.
fn decode_time(tracks: &FragmentTracks, clock: FileClock, tag: &Tag) -> i64 {
    let ms = clock.signed_ms(tag.timestamp);
    let Some(sound) = tracks.audio.filter(|_| tag.kind == TagKind::Audio) else { return ms.max(0) };
    let on_grid = matches!(sound.codec, Codec::Aac | Codec::Opus) || sound.timescale == USUAL_RATE_HZ;
    let shift = if on_grid { tag.timing.shift() } else { 0 };
    // The grid is the stream's: what is taken from all places alike leaves it one.
    let base = (i64::from(tag.timestamp) - ms) * i64::from(sound.timescale);
    let place = ticks(tag.timestamp, sound.timescale).cast_signed() + shift;
    (place - base.div_euclid(1000)).max(0)
}

/// When the next sample of a kind behind a fragment is decoded, if it is there.
fn next_time(tracks: &FragmentTracks, media: &Media, clock: FileClock, end: TagSeq, kind: TagKind) -> Option<i64> {
    let mut cursor = Cursor::at(end);
    for _ in 0..LOOK_AHEAD {
        let tag = media.ring().tag_at(&mut cursor).ok()??;
        if tag.kind == kind && !goes_on(&tag) && sample(tracks, media, &tag).is_some() {
            return Some(decode_time(tracks, clock, &tag));
        }
        cursor = Cursor::behind(tag.seq);
    }
    None
}

fn timescale(tracks: &FragmentTracks, kind: TagKind) -> u32 {
    match (kind, tracks.audio) {
        (TagKind::Audio, Some(sound)) => sound.timescale,
        _ => VIDEO_TIMESCALE,
    }
}

/// From one sample to the next, in ticks.
fn duration(tracks: &FragmentTracks, kind: TagKind, from: i64, to: i64) -> u32 {
    let most = u64::from(timescale(tracks, kind)) * u64::from(SAMPLE_MS) / 1000;
    u64::try_from(to - from).unwrap_or(0).min(most) as u32
}

/// How long a sample lasts behind which none is known, in ticks.
fn usual_duration(tracks: &FragmentTracks, media: &Media, tag: &Tag) -> u32 {
    match (tag.kind, tracks.audio) {
        (TagKind::Audio, Some(sound)) => sound
            .frame_samples
            .unwrap_or_else(|| media.ring().sample(tag).map_or(0, |part| samples_of(media.ring(), tag.seq, &part))),
        _ => tracks.nominal_ms,
    }
}

/// A fragment on its way into blocks.
#[derive(Clone, Copy)]
pub(super) struct Mp4Copy {
    next: Mp4Part,
    /// The file's time of the last picture or sound, in milliseconds; 0 before its head was written.
    pub(super) last_ms: u32,
}

#[derive(Clone, Copy)]
enum Mp4Part {
    /// Its head, which lies in one block.
    Head,
    /// Samples of a lane: the tag that is next, and how many of its bytes are in blocks.
    Samples(usize, TagSeq, u32),
}

/// What a fragment of a file depends on.
pub(super) struct Mp4File<'f> {
    pub(super) tracks: &'f FragmentTracks,
    pub(super) clock: FileClock,
    pub(super) times: &'f mut TrackTimes,
    pub(super) rows: &'f mut FragmentRows,
    /// Where the fragment begins.
    pub(super) at: u64,
}

impl Mp4Copy {
    pub(super) fn new() -> Mp4Copy {
        Mp4Copy { next: Mp4Part::Head, last_ms: 0 }
    }

    /// Puts as much of it into the block as there is room for.
    pub(super) fn put(
        &mut self,
        media: &Media,
        fragment: &RecordedFragment,
        file: Mp4File<'_>,
        block: &mut WriteBlock,
    ) -> Copied {
        let Mp4File { tracks, clock, times, rows, at } = file;
        loop {
            match self.next {
                Mp4Part::Head => {
                    let before = *times;
                    if !rows.take(media, fragment, tracks, clock, times) {
                        return Copied::Lost;
                    }
                    if rows.rows.is_empty() {
                        // Nothing of it is in an MP4 file.
                        return Copied::Whole;
                    }
                    let head = rows.head(at);
                    if head.bytes() as usize > block.room().len() {
                        *times = before;
                        return Copied::Part;
                    }
                    let count = head.read_at(0, block.room());
                    block.put(count);
                    self.last_ms = rows.last_ms;
                    self.next = Mp4Part::Samples(0, fragment.first, 0);
                }
                Mp4Part::Samples(lane, seq, offset) => {
                    let Some(&kind) = LANES.get(lane) else { return Copied::Whole };
                    let mut cursor = Cursor::at(seq);
                    let tag = match media.ring().tag_at(&mut cursor) {
                        Ok(Some(tag)) if tag.seq < fragment.end => tag,
                        Ok(_) => {
                            self.next = Mp4Part::Samples(lane + 1, fragment.first, 0);
                            continue;
                        }
                        Err(_) => return Copied::Lost,
                    };
                    let part = sample(tracks, media, &tag).filter(|part| tag.kind == kind && offset < part.take);
                    let Some(part) = part else {
                        self.next = Mp4Part::Samples(lane, Cursor::behind(tag.seq).seq, 0);
                        continue;
                    };
                    let run = match media.ring().payload_at(tag.seq, part.skip + offset) {
                        Some(run) if !run.is_empty() => &run[..run.len().min((part.take - offset) as usize)],
                        _ => return Copied::Lost,
                    };
                    let count = block.fill(run);
                    self.next = Mp4Part::Samples(lane, tag.seq, offset + count as u32);
                    if count < run.len() {
                        return Copied::Part;
                    }
                }
            }
        }
    }
}

/// The smallest block has room for the largest head.
const _: () = assert!(LEAST_BLOCK_BYTES > (FRAGMENT_SAMPLES * 16 + 1024) as u64);
