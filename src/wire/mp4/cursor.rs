//! A place in a track: its tables, walked side by side in the file, a few bytes of state instead of a list of samples.

use crate::wire::windows::{Answer, Fault, File, ReadAt, STRUCTURE};

use super::track::{EntryTable, Sizes, Track};

/// The windows of a track's tables.
const DURATIONS: usize = 0;
const COMPOSITIONS: usize = 1;
const CHUNK_RUNS: usize = 2;
const SIZES: usize = 3;
const CHUNKS: usize = 4;
const SYNC: usize = 5;
const DEPENDENCIES: usize = 6;
/// Windows of a track.
pub(super) const WINDOWS_PER_TRACK: usize = 7;

const _: () = assert!(2 * WINDOWS_PER_TRACK <= STRUCTURE, "two tracks and structures have windows of their own");

/// Samples of uncompressed sound that are sent together: a fiftieth of a second to an eighth.
const UNCOMPRESSED_SAMPLES: u32 = 1024;

/// A sample of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Where its bytes lie in the file.
    pub at: u64,
    /// How many.
    pub bytes: u32,
    /// When it is decoded, in ticks of its track, as the file says; see [`Track::shift`] and [`Track::lowest`].
    pub time: i64,
    /// How much later it is shown, in ticks, as the file says: it may be negative.
    pub composition: i32,
    /// It can be decoded by itself.
    pub is_sync: bool,
    /// No other depends on it.
    pub is_disposable: bool,
    /// Its sample entry, from 0.
    pub entry: u32,
}

/// The next sample of a track whose tables are in one place.
#[derive(Clone, Copy, Debug, Default)]
pub struct TableCursor {
    /// Its index, from 0.
    sample: u32,
    time: i64,
    /// In the runs of durations: the next one, and what is left of the present one.
    duration_run: u32,
    duration_left: u32,
    duration: u32,
    composition_run: u32,
    composition_left: u32,
    composition: i32,
    /// In the runs of chunks: the next one, and the first chunk that is not of the present one.
    chunk_run: u32,
    chunk_end: u32,
    samples_per_chunk: u32,
    entry: u32,
    /// The next chunk, and what is left of the present one.
    chunk: u32,
    chunk_left: u32,
    at: u64,
    /// The first entry of the sync table that is not of an earlier sample.
    sync: u32,
}

impl TableCursor {
    /// When the next sample is decoded, in ticks.
    pub fn time(&self) -> i64 {
        self.time
    }

    /// The next sample; `None` behind the last, which is where the first of its tables ends, or the file.
    ///
    /// # Errors
    ///
    /// Tables that contradict themselves.
    pub fn next<R: ReadAt>(&mut self, file: &mut File<'_, R>, track: &Track) -> Answer<Option<Sample>, R> {
        if self.sample >= track.sizes.count() || !self.enter_chunk(file, track)? || !self.enter_runs(file, track)? {
            return Ok(None);
        }
        let mut bytes = size(file, track, self.sample)?;
        let mut joined = 1;
        if track.entry.is_uncompressed() {
            // Its samples are single ones of sound: as many as belong together are one here.
            joined = self.chunk_left.min(self.duration_left).min(UNCOMPRESSED_SAMPLES);
            joined = joined.min(track.sizes.count() - self.sample);
            bytes = bytes.saturating_mul(joined);
        }
        if self.at.saturating_add(u64::from(bytes)) > file.size() {
            return Ok(None);
        }
        let found = Sample {
            at: self.at,
            bytes,
            time: self.time,
            composition: self.composition,
            is_sync: self.is_sync(file, track)?,
            is_disposable: is_disposable(file, track, self.sample)?,
            entry: self.entry,
        };
        self.sample += joined;
        self.at += u64::from(bytes);
        self.time = self.time.saturating_add(i64::from(self.duration).saturating_mul(joined.into()));
        self.duration_left -= joined;
        self.composition_left = self.composition_left.saturating_sub(joined);
        self.chunk_left -= joined;
        Ok(Some(found))
    }

    /// In a chunk that has samples left.
    fn enter_chunk<R: ReadAt>(&mut self, file: &mut File<'_, R>, track: &Track) -> Answer<bool, R> {
        while self.chunk_left == 0 {
            if self.chunk >= self.chunk_end && !self.enter_chunk_run(file, track)? {
                return Ok(false);
            }
            if self.samples_per_chunk == 0 {
                self.chunk = self.chunk_end;
                continue;
            }
            self.at = chunk(file, track, self.chunk)?;
            self.chunk += 1;
            self.chunk_left = self.samples_per_chunk;
        }
        Ok(true)
    }

    fn enter_chunk_run<R: ReadAt>(&mut self, file: &mut File<'_, R>, track: &Track) -> Answer<bool, R> {
        if self.chunk_run >= track.chunk_runs.count || self.chunk >= track.chunks.count {
            return Ok(false);
        }
        let at = track.chunk_runs.at + 12 * u64::from(self.chunk_run);
        let window = window(track, CHUNK_RUNS);
        let first = file.u32(window, at)?;
        self.samples_per_chunk = file.u32(window, at + 4)?;
        self.entry = file.u32(window, at + 8)?.saturating_sub(1);
        self.chunk_run += 1;
        let next = match self.chunk_run < track.chunk_runs.count {
            true => file.u32(window, at + 12)?,
            false => track.chunks.count.saturating_add(1),
        };
        if first != self.chunk + 1 || next <= first {
            return Err(Fault::Structure("runs of chunks do not follow each other"));
        }
        self.chunk_end = (next - 1).min(track.chunks.count);
        Ok(true)
    }

    /// In runs of durations and compositions that have samples left.
    fn enter_runs<R: ReadAt>(&mut self, file: &mut File<'_, R>, track: &Track) -> Answer<bool, R> {
        while self.duration_left == 0 {
            let Some([count, duration]) = run(file, track, DURATIONS, track.durations, self.duration_run)? else {
                return Ok(false);
            };
            self.duration_run += 1;
            (self.duration_left, self.duration) = (count, duration);
        }
        while self.composition_left == 0 {
            let Some([count, offset]) = run(file, track, COMPOSITIONS, track.compositions, self.composition_run)?
            else {
                // Where the table ends the offset is 0.
                self.composition = 0;
                break;
            };
            self.composition_run += 1;
            (self.composition_left, self.composition) = (count, offset.cast_signed());
        }
        Ok(true)
    }

    fn is_sync<R: ReadAt>(&mut self, file: &mut File<'_, R>, track: &Track) -> Answer<bool, R> {
        let Some(table) = track.sync else { return Ok(true) };
        while self.sync < table.count {
            let number = sync_sample(file, track, table, self.sync)?;
            if number > self.sample {
                return Ok(number == self.sample + 1);
            }
            self.sync += 1;
        }
        Ok(false)
    }

    /// The sample of this index, from 0, or the end.
    ///
    /// # Errors
    ///
    /// As [`TableCursor::next`].
    pub fn at_sample<R: ReadAt>(file: &mut File<'_, R>, track: &Track, sample: u32) -> Answer<TableCursor, R> {
        let mut cursor = TableCursor { sample, ..TableCursor::default() };
        let mut left = sample;
        while left > 0 {
            let Some([count, duration]) = run(file, track, DURATIONS, track.durations, cursor.duration_run)? else {
                break;
            };
            cursor.duration_run += 1;
            let taken = count.min(left);
            cursor.time = cursor.time.saturating_add(i64::from(taken).saturating_mul(i64::from(duration)));
            (cursor.duration_left, cursor.duration) = (count - taken, duration);
            left -= taken;
        }
        let mut left = sample;
        while left > 0 {
            let Some([count, offset]) = run(file, track, COMPOSITIONS, track.compositions, cursor.composition_run)?
            else {
                break;
            };
            cursor.composition_run += 1;
            let taken = count.min(left);
            (cursor.composition_left, cursor.composition) = (count - taken, offset.cast_signed());
            left -= taken;
        }
        let mut left = sample;
        while left > 0 && cursor.enter_chunk_run(file, track)? {
            let chunks = cursor.chunk_end - cursor.chunk;
            let samples = u64::from(chunks) * u64::from(cursor.samples_per_chunk);
            if samples <= u64::from(left) {
                left -= samples as u32;
                cursor.chunk = cursor.chunk_end;
                continue;
            }
            cursor.chunk += left / cursor.samples_per_chunk;
            let inside = left % cursor.samples_per_chunk;
            cursor.at = chunk(file, track, cursor.chunk)?;
            cursor.chunk += 1;
            cursor.chunk_left = cursor.samples_per_chunk - inside;
            for before in sample - inside..sample {
                cursor.at = cursor.at.saturating_add(u64::from(size(file, track, before)?));
            }
            left = 0;
        }
        if let Some(table) = track.sync {
            cursor.sync = first_sync_behind(file, track, table, sample)?;
        }
        Ok(cursor)
    }

    /// The last sample that is decoded at `time` (in ticks) or before, or the first; and when the last sample ends, if that is
    /// not behind `time`.
    ///
    /// # Errors
    ///
    /// As [`TableCursor::next`].
    pub fn sample_at<R: ReadAt>(file: &mut File<'_, R>, track: &Track, time: i64) -> Answer<(u32, Option<i64>), R> {
        let (mut sample, mut begin, mut index) = (0u32, 0i64, 0);
        let last = track.sizes.count().saturating_sub(1);
        while let Some([count, duration]) = run(file, track, DURATIONS, track.durations, index)? {
            index += 1;
            let end = begin.saturating_add(i64::from(count).saturating_mul(i64::from(duration)));
            if time < end {
                let ahead = (time - begin).max(0) / i64::from(duration.max(1));
                return Ok((sample.saturating_add(ahead as u32).min(last), None));
            }
            sample = sample.saturating_add(count);
            begin = end;
        }
        Ok((sample.min(last), Some(begin)))
    }

    /// The key frame at `sample` or before it; the first sample where there is none.
    ///
    /// # Errors
    ///
    /// As [`TableCursor::next`].
    pub fn sync_before<R: ReadAt>(file: &mut File<'_, R>, track: &Track, sample: u32) -> Answer<u32, R> {
        let Some(table) = track.sync else { return Ok(sample) };
        match first_sync_behind(file, track, table, sample.saturating_add(1))? {
            0 => Ok(0),
            behind => Ok(sync_sample(file, track, table, behind - 1)?.saturating_sub(1).min(sample)),
        }
    }
}

/// The smallest composition offset of a track, if it is negative, else 0. Version 0 of the table should have none; QuickTime
/// writes them nevertheless.
pub(super) fn lowest_composition<R: ReadAt>(file: &mut File<'_, R>, track: &Track) -> Answer<i32, R> {
    let mut lowest = 0;
    for index in 0..track.compositions.count {
        if let Some([_, offset]) = run(file, track, COMPOSITIONS, track.compositions, index)? {
            lowest = lowest.min(offset.cast_signed());
        }
    }
    Ok(lowest)
}

fn window(track: &Track, table: usize) -> usize {
    track.lane * WINDOWS_PER_TRACK + table
}

/// An entry of two numbers.
fn run<R: ReadAt>(
    file: &mut File<'_, R>,
    track: &Track,
    kind: usize,
    table: EntryTable,
    index: u32,
) -> Answer<Option<[u32; 2]>, R> {
    if index >= table.count {
        return Ok(None);
    }
    let pair = file.u64(window(track, kind), table.at + 8 * u64::from(index))?;
    Ok(Some([(pair >> 32) as u32, pair as u32]))
}

fn size<R: ReadAt>(file: &mut File<'_, R>, track: &Track, sample: u32) -> Answer<u32, R> {
    let window = window(track, SIZES);
    let (table, bits) = match track.sizes {
        Sizes::All { bytes, .. } => return Ok(bytes),
        Sizes::Each(table, bits) => (table, bits),
    };
    let bit = u64::from(sample) * u64::from(bits);
    let at = table.at + bit / 8;
    Ok(match bits {
        4 => {
            let [byte]: [u8; 1] = file.array(window, at)?;
            u32::from(if bit % 8 == 0 { byte >> 4 } else { byte & 0x0F })
        }
        8 => u32::from(file.array::<1>(window, at)?[0]),
        16 => u32::from(u16::from_be_bytes(file.array(window, at)?)),
        _ => file.u32(window, at)?,
    })
}

fn chunk<R: ReadAt>(file: &mut File<'_, R>, track: &Track, index: u32) -> Answer<u64, R> {
    let window = window(track, CHUNKS);
    match track.wide_chunks {
        true => file.u64(window, track.chunks.at + 8 * u64::from(index)),
        false => file.u32(window, track.chunks.at + 4 * u64::from(index)).map(u64::from),
    }
}

fn sync_sample<R: ReadAt>(file: &mut File<'_, R>, track: &Track, table: EntryTable, index: u32) -> Answer<u32, R> {
    file.u32(window(track, SYNC), table.at + 4 * u64::from(index))
}

/// The first entry of the sync table whose sample has this index (from 0) or a higher one. The table rises; where it does not,
/// some key frames are not found.
fn first_sync_behind<R: ReadAt>(
    file: &mut File<'_, R>,
    track: &Track,
    table: EntryTable,
    sample: u32,
) -> Answer<u32, R> {
    let (mut low, mut high) = (0, table.count);
    while low < high {
        let middle = low + (high - low) / 2;
        match sync_sample(file, track, table, middle)? > sample {
            true => high = middle,
            false => low = middle + 1,
        }
    }
    Ok(low)
}

/// The two bits `sample_is_depended_on` are 2: nothing does (8.6.4).
fn is_disposable<R: ReadAt>(file: &mut File<'_, R>, track: &Track, sample: u32) -> Answer<bool, R> {
    if sample >= track.dependencies.count {
        return Ok(false);
    }
    let [byte]: [u8; 1] = file.array(window(track, DEPENDENCIES), track.dependencies.at + u64::from(sample))?;
    Ok(byte >> 2 & 3 == 2)
}
