//! The end of a recording: an ordinary `moov` box behind its fragments (ISO/IEC 14496-12, 8.6 and 8.7), with one chunk a fragment and track.
//!
//! The fragments are walked twice. The first walk counts entries, which says where each table lies; the second writes them, each table
//! through a small buffer of its own. So a recording of any length is finished in about 10 KiB, and both walks can stop behind any
//! fragment. Media is neither moved nor read. What the file is until then, it stays: the new box counts when the header of the media is
//! written in front ([`hybrid_closed`](super::init::hybrid_closed)).

use crate::wire::windows::{Answer, Fault, File, ReadAt, STRUCTURE};

use super::boxes::{BOX, BoxPart, FULL_BOX};
use super::cursor::Sample;
use super::fragments::FragmentCursor;
use super::hybrid::fragment_end;
use super::init::{MOVIE_HEADER, MOVIE_TIMESCALE, TrackEdit, TrackFront, movie_header};
use super::track::Track;
use super::{Choice, Movie, TrackKind};

/// Pictures and sound.
const LANES: usize = 2;
/// Bytes of a table that are written at once.
const BUFFER_BYTES: usize = 512;

/// A file that is written at any place.
pub trait WriteAt {
    /// Why it failed.
    type Error;

    /// Writes all of these bytes from place `at` on.
    ///
    /// # Errors
    ///
    /// Whatever the disk says.
    fn write_at(&mut self, at: u64, bytes: &[u8]) -> Result<(), Self::Error>;
}

/// Why a recording cannot be finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishError<R, W> {
    /// It is not read.
    Read(Fault<R>),
    /// It is not written.
    Write(W),
}

impl<R, W> From<Fault<R>> for FinishError<R, W> {
    fn from(fault: Fault<R>) -> FinishError<R, W> {
        FinishError::Read(fault)
    }
}

/// Short for what a step returns.
pub type Finishing<T, R, W> = Result<T, FinishError<<R as ReadAt>::Error, <W as WriteAt>::Error>>;

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// There is more to do.
    Going,
    /// All is written.
    Done {
        /// Where the `moov` box begins: behind the last whole fragment.
        moov_at: u64,
        /// Where it ends, and the file with it.
        end: u64,
    },
}

/// The tables, in the order in which they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SampleTable {
    Durations,
    Compositions,
    ChunkRuns,
    Sizes,
    Chunks,
    Sync,
}

const TABLES: [(SampleTable, &[u8; 4], u32); 6] = [
    (SampleTable::Durations, b"stts", 8),
    (SampleTable::Compositions, b"ctts", 8),
    (SampleTable::ChunkRuns, b"stsc", 12),
    (SampleTable::Sizes, b"stsz", 4),
    (SampleTable::Chunks, b"co64", 8),
    (SampleTable::Sync, b"stss", 4),
];

/// Finishes one recording.
#[derive(Debug)]
pub struct Finisher {
    lanes: [Option<FinishTrack>; LANES],
    pass: Pass,
    /// The end of the last whole fragment.
    media_end: u64,
    end: u64,
}

#[derive(Clone, Copy, Debug)]
enum Pass {
    /// Looks for the end of the last whole fragment, from there on.
    Ends(u64),
    /// Counts the entries of this lane.
    Counting(usize),
    /// Writes what stands in front of tables.
    Fronts,
    /// Writes the tables of this lane.
    Writing(usize),
    Done,
}

/// A track.
#[derive(Debug)]
struct FinishTrack {
    kind: TrackKind,
    track: Track,
    walk: Walk,
    counts: [u32; TABLES.len()],
    /// When its first sample is decoded, and for how long all of them last, in ticks.
    begins: i64,
    lasts: u64,
    /// When the first of them is shown, in ticks.
    shown: i64,
    /// Some sample is shown later than it is decoded; some sample is no key frame.
    is_reordered: bool,
    has_inter: bool,
    /// Some sample is shown earlier than it is decoded.
    is_early: bool,
    buffers: [TableBuffer; TABLES.len()],
}

/// Bytes of a table on their way.
#[derive(Debug, Default)]
struct TableBuffer {
    at: u64,
    bytes: heapless::Vec<u8, BUFFER_BYTES>,
}

/// The last sample, which lasts until the next.
#[derive(Clone, Copy, Debug)]
struct LastSample {
    sample: Sample,
    /// The fragment that it is of.
    fragment: u64,
    /// When it ends by what it says.
    ends: i64,
}

/// A place in a track, and the runs of entries that have begun.
#[derive(Clone, Copy, Debug)]
struct Walk {
    cursor: FragmentCursor,
    held: Option<LastSample>,
    samples: u32,
    durations: (u32, u32),
    compositions: (u32, i32),
    chunk: Option<u64>,
    chunks: u32,
    chunk_samples: u32,
    /// Samples of the chunks before it.
    run_samples: u32,
}

impl Walk {
    fn new(from: u64) -> Walk {
        Walk {
            cursor: FragmentCursor::new(from, 0),
            held: None,
            samples: 0,
            durations: (0, 0),
            compositions: (0, 0),
            chunk: None,
            chunks: 0,
            chunk_samples: 0,
            run_samples: 0,
        }
    }

    /// One more sample: says which entries are complete.
    fn note<E>(
        &mut self,
        LastSample { sample, fragment, .. }: LastSample,
        duration: u32,
        entry: &mut impl FnMut(SampleTable, &[u32]) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.chunk != Some(fragment) {
            self.end_chunk(entry)?;
            self.chunk = Some(fragment);
            self.chunks += 1;
            entry(SampleTable::Chunks, &[(sample.at >> 32) as u32, sample.at as u32])?;
        }
        self.chunk_samples += 1;
        self.samples += 1;
        entry(SampleTable::Sizes, &[sample.bytes])?;
        if sample.is_sync {
            entry(SampleTable::Sync, &[self.samples])?;
        }
        if self.durations.0 > 0 && self.durations.1 != duration {
            entry(SampleTable::Durations, &[self.durations.0, self.durations.1])?;
            self.durations.0 = 0;
        }
        self.durations = (self.durations.0 + 1, duration);
        if self.compositions.0 > 0 && self.compositions.1 != sample.composition {
            entry(SampleTable::Compositions, &[self.compositions.0, self.compositions.1.cast_unsigned()])?;
            self.compositions.0 = 0;
        }
        self.compositions = (self.compositions.0 + 1, sample.composition);
        Ok(())
    }

    fn end_chunk<E>(&mut self, entry: &mut impl FnMut(SampleTable, &[u32]) -> Result<(), E>) -> Result<(), E> {
        if self.chunk_samples > 0 && self.chunk_samples != self.run_samples {
            entry(SampleTable::ChunkRuns, &[self.chunks, self.chunk_samples, 1])?;
            self.run_samples = self.chunk_samples;
        }
        self.chunk_samples = 0;
        Ok(())
    }

    /// There are no more: the runs that have begun are complete.
    fn end<E>(&mut self, entry: &mut impl FnMut(SampleTable, &[u32]) -> Result<(), E>) -> Result<(), E> {
        self.end_chunk(entry)?;
        if self.samples > 0 {
            entry(SampleTable::Durations, &[self.durations.0, self.durations.1])?;
            entry(SampleTable::Compositions, &[self.compositions.0, self.compositions.1.cast_unsigned()])?;
        }
        Ok(())
    }
}

impl FinishTrack {
    fn new(kind: TrackKind, track: Track, from: u64) -> FinishTrack {
        FinishTrack {
            kind,
            track,
            walk: Walk::new(from),
            counts: [0; TABLES.len()],
            begins: 0,
            lasts: 0,
            shown: i64::MAX,
            is_reordered: false,
            has_inter: false,
            is_early: false,
            buffers: Default::default(),
        }
    }

    /// Walks over `fragments` more fragments that end at `media_end` or before, and says whether that were all.
    fn step<R: ReadAt, W: WriteAt>(
        &mut self,
        file: &mut File<'_, R>,
        mut out: Option<&mut W>,
        media_end: u64,
        fragments: u32,
    ) -> Finishing<bool, R, W> {
        let mut left = fragments;
        loop {
            let before = self.walk.cursor.fragment();
            let found = self.walk.cursor.next(file, &self.track)?;
            let fragment = self.walk.cursor.fragment().unwrap_or(media_end);
            let ends = self.walk.cursor.time();
            let next = found.filter(|_| fragment < media_end).map(|sample| LastSample { sample, fragment, ends });
            if let Some(held) = core::mem::replace(&mut self.walk.held, next) {
                // A sample lasts until the next, whatever it says; the last one as long as it says.
                let until = next.map_or(held.ends, |next| next.sample.time);
                let duration = u32::try_from(until.saturating_sub(held.sample.time).max(0)).unwrap_or(u32::MAX);
                self.note(held, duration, &mut out).map_err(FinishError::Write)?;
            }
            if next.is_none() {
                self.end(&mut out).map_err(FinishError::Write)?;
                return Ok(true);
            }
            if before != Some(fragment) {
                left -= 1;
                if left == 0 {
                    return Ok(false);
                }
            }
        }
    }

    fn note<W: WriteAt>(&mut self, held: LastSample, duration: u32, out: &mut Option<&mut W>) -> Result<(), W::Error> {
        let FinishTrack { walk, counts, buffers, .. } = self;
        match out {
            Some(out) => walk.note(held, duration, &mut |table, entry| buffers[table as usize].push(entry, *out)),
            None => {
                if walk.samples == 0 {
                    self.begins = held.sample.time;
                }
                self.lasts += u64::from(duration);
                self.shown = self.shown.min(held.sample.time.saturating_add(held.sample.composition.into()));
                self.is_reordered |= held.sample.composition != 0;
                self.is_early |= held.sample.composition < 0;
                self.has_inter |= !held.sample.is_sync;
                walk.note(held, duration, &mut |table, _| {
                    counts[table as usize] += 1;
                    Ok(())
                })
            }
        }
    }

    fn end<W: WriteAt>(&mut self, out: &mut Option<&mut W>) -> Result<(), W::Error> {
        let FinishTrack { walk, counts, buffers, .. } = self;
        match out {
            Some(out) => {
                walk.end(&mut |table, entry| buffers[table as usize].push(entry, *out))?;
                buffers.iter_mut().try_for_each(|buffer| buffer.flush(*out))
            }
            None => walk.end(&mut |table, _| {
                counts[table as usize] += 1;
                Ok(())
            }),
        }
    }

    /// Whether it has such a table: without one samples are shown when they are decoded, and all are key frames.
    fn has(&self, table: SampleTable) -> bool {
        match table {
            SampleTable::Compositions => self.is_reordered,
            SampleTable::Sync => self.has_inter,
            _ => true,
        }
    }

    fn table_bytes(&self, (table, _, entry): (SampleTable, &[u8; 4], u32)) -> u32 {
        table_header(table) + entry * self.counts[table as usize]
    }

    fn tables(&self) -> impl Iterator<Item = (SampleTable, &'static [u8; 4], u32)> {
        TABLES.into_iter().filter(|(table, ..)| self.has(*table))
    }

    /// `origin_ms` is when the movie begins, in the file's time.
    fn front(&self, origin_ms: i64) -> TrackFront {
        let picture = self.track.entry.picture.map(|picture| (picture.width, picture.height));
        let delay = u32::try_from(self.shown_ms() - origin_ms).unwrap_or(0);
        let first_shown = u32::try_from(self.first_shown().saturating_sub(self.begins)).unwrap_or(u32::MAX);
        TrackFront {
            kind: self.kind,
            id: self.track.id,
            timescale: self.track.timescale,
            size: picture.unwrap_or_default(),
            movie_duration: u64::try_from(self.ends_ms() - origin_ms).unwrap_or(0),
            duration: self.lasts,
            edit: Some(TrackEdit { delay, first_shown }).filter(|_| delay > 0 || first_shown > 0),
            stsd_bytes: (self.track.entries.end - self.track.entries.start) as u32,
            tables_bytes: self.tables().map(|table| self.table_bytes(table)).sum(),
        }
    }

    /// When it is shown first, in ticks. What would be shown before anything is decoded has no such time in a file.
    fn first_shown(&self) -> i64 {
        self.shown.max(self.begins)
    }

    /// The same in milliseconds of the file's time.
    fn shown_ms(&self) -> i64 {
        self.track.ms(self.first_shown())
    }

    /// When it has been shown, in milliseconds of the file's time.
    fn ends_ms(&self) -> i64 {
        self.track.ms(self.first_shown().saturating_add_unsigned(self.lasts))
    }
}

/// Bytes of a table in front of its entries.
fn table_header(table: SampleTable) -> u32 {
    FULL_BOX + if table == SampleTable::Sizes { 8 } else { 4 }
}

impl TableBuffer {
    fn push<W: WriteAt>(&mut self, words: &[u32], out: &mut W) -> Result<(), W::Error> {
        // A table that the file does without is not written.
        if self.at == 0 {
            return Ok(());
        }
        for word in words {
            if self.bytes.len() + 4 > BUFFER_BYTES {
                self.flush(out)?;
            }
            // It has room now.
            let _ = self.bytes.extend_from_slice(&word.to_be_bytes());
        }
        Ok(())
    }

    fn flush<W: WriteAt>(&mut self, out: &mut W) -> Result<(), W::Error> {
        if !self.bytes.is_empty() {
            out.write_at(self.at, &self.bytes)?;
            self.at += self.bytes.len() as u64;
            self.bytes.clear();
        }
        Ok(())
    }
}

impl Finisher {
    /// Reads what the recording says in front.
    ///
    /// # Errors
    ///
    /// It is no fragmented file, or has no fragment.
    pub fn new<R: ReadAt>(file: &mut File<'_, R>) -> Answer<Finisher, R> {
        let movie = Movie::open(file, Choice::default())?;
        let lane = |track: Option<Track>, kind| {
            let track = track?;
            Some(FinishTrack::new(kind, track, track.fragments?))
        };
        let lanes = [lane(movie.video, TrackKind::Video), lane(movie.audio, TrackKind::Audio)];
        let Some(from) = lanes.iter().flatten().find_map(|lane| lane.track.fragments) else {
            return Err(Fault::Structure("it has no fragment"));
        };
        Ok(Finisher { lanes, pass: Pass::Ends(from), media_end: from, end: 0 })
    }

    /// Goes on for about so many fragments, at least 1.
    ///
    /// # Errors
    ///
    /// What the disk says, and fragments that contradict themselves. It may be tried anew from the beginning.
    pub fn step<R: ReadAt, W: WriteAt>(
        &mut self,
        file: &mut File<'_, R>,
        out: &mut W,
        fragments: u32,
    ) -> Finishing<Finish, R, W> {
        let fragments = fragments.max(1);
        self.pass = match self.pass {
            Pass::Ends(from) => self.find_end(file, from, fragments)?,
            Pass::Counting(lane) => match self.walk::<R, W>(lane, file, None, fragments)? {
                LANES => Pass::Fronts,
                lane => Pass::Counting(lane),
            },
            Pass::Fronts => {
                self.write_fronts(file, out)?;
                Pass::Writing(0)
            }
            Pass::Writing(lane) => match self.walk(lane, file, Some(out), fragments)? {
                LANES => Pass::Done,
                lane => Pass::Writing(lane),
            },
            Pass::Done => Pass::Done,
        };
        Ok(match self.pass {
            Pass::Done => Finish::Done { moov_at: self.media_end, end: self.end },
            _ => Finish::Going,
        })
    }

    /// Walks on in this lane, and says which is next.
    fn walk<R: ReadAt, W: WriteAt>(
        &mut self,
        lane: usize,
        file: &mut File<'_, R>,
        out: Option<&mut W>,
        fragments: u32,
    ) -> Finishing<usize, R, W> {
        let Some(found) = &mut self.lanes[lane] else { return Ok(lane + 1) };
        let is_done = found.step(file, out, self.media_end, fragments)?;
        Ok(lane + usize::from(is_done))
    }

    /// Looks for the end of the last fragment whose media is all there.
    fn find_end<R: ReadAt>(&mut self, file: &mut File<'_, R>, mut at: u64, fragments: u32) -> Answer<Pass, R> {
        for _ in 0..fragments {
            let Some(end) = fragment_end(file, at)? else {
                self.media_end = at;
                return Ok(Pass::Counting(0));
            };
            at = end;
        }
        Ok(Pass::Ends(at))
    }

    /// Writes all but the entries of tables, and says where those go.
    fn write_fronts<R: ReadAt, W: WriteAt>(&mut self, file: &mut File<'_, R>, out: &mut W) -> Finishing<(), R, W> {
        // A track without a sample is none.
        for lane in &mut self.lanes {
            if lane.as_ref().is_some_and(|lane| lane.walk.samples == 0) {
                *lane = None;
            }
        }
        let lanes = || self.lanes.iter().flatten();
        let Some(origin_ms) = lanes().map(FinishTrack::shown_ms).min() else {
            return Err(Fault::Structure("it has no sample").into());
        };
        let ends_ms = lanes().map(FinishTrack::ends_ms).max().unwrap_or(origin_ms);
        let duration = u64::try_from(ends_ms - origin_ms).unwrap_or(0);
        let moov_bytes = BOX + MOVIE_HEADER + lanes().map(|lane| lane.front(origin_ms).bytes()).sum::<u32>();

        let mut place = self.media_end;
        put(out, &mut place, |part| {
            part.open(b"moov", moov_bytes);
            movie_header(duration, part);
        })?;
        for lane in self.lanes.iter_mut().flatten() {
            put(out, &mut place, |part| lane.front(origin_ms).emit(part))?;
            let mut at = lane.track.entries.start;
            while at < lane.track.entries.end {
                let count = (lane.track.entries.end - at).min(BUFFER_BYTES as u64 / 2) as usize;
                let bytes = file.bytes(STRUCTURE, at, count)?;
                put(out, &mut place, |part| part.put(bytes))?;
                at += count as u64;
            }
            let tables: heapless::Vec<_, { TABLES.len() }> = lane.tables().collect();
            for (table, kind, entry) in tables {
                let bytes = lane.table_bytes((table, kind, entry));
                let count = lane.counts[table as usize];
                let begin = place;
                // Only that version has numbers with a sign (8.6.1.3).
                let version = u8::from(table == SampleTable::Compositions && lane.is_early);
                put(out, &mut place, |part| {
                    part.open_full(kind, bytes, version, 0);
                    if table == SampleTable::Sizes {
                        part.u32(0);
                    }
                    part.u32(count);
                })?;
                lane.buffers[table as usize].at = place;
                place = begin + u64::from(bytes);
            }
            let Some(from) = lane.track.fragments else { continue };
            lane.walk = Walk::new(from);
        }
        self.end = place;
        Ok(())
    }
}

/// Writes what is short at `place`, and goes on behind it.
fn put<R, W: WriteAt>(
    out: &mut W,
    place: &mut u64,
    emit: impl Fn(&mut BoxPart<'_>),
) -> Result<(), FinishError<R, W::Error>> {
    let mut bytes = [0; BUFFER_BYTES];
    let mut part = BoxPart::new(0, &mut bytes);
    emit(&mut part);
    let count = part.filled();
    debug_assert!(count < BUFFER_BYTES, "what stands in front of tables is short");
    out.write_at(*place, &bytes[..count]).map_err(FinishError::Write)?;
    *place += count as u64;
    Ok(())
}

const _: () = assert!(MOVIE_TIMESCALE == 1000, "durations of a movie are milliseconds");

#[cfg(test)]
mod tests;
