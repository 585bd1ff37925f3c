//! A track's tables (`stbl`; ISO/IEC 14496-12, 8.6 and 8.7), by where they lie in the file.

use crate::wire::windows::{Answer, Fault, File, ReadAt, STRUCTURE};

use super::atom::{Atom, atom, child, version};
use super::entry::SampleEntry;
use super::index::FragmentIndex;
use super::places::FragmentPlaces;

/// The time that is furthest from the beginning, in milliseconds: later ones are this. It is 35 000 years, so that two of them can
/// be added and subtracted.
pub const TIME_MOST_MS: i64 = 1 << 50;

/// A table of entries of one size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntryTable {
    /// Where its first entry lies.
    pub at: u64,
    /// How many entries it has.
    pub count: u32,
}

/// How large samples are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sizes {
    /// All alike.
    All {
        /// Bytes of a sample.
        bytes: u32,
        /// Samples.
        count: u32,
    },
    /// Each has its entry, of so many bits: 4, 8, 16 or 32.
    Each(EntryTable, u8),
}

impl Default for Sizes {
    fn default() -> Sizes {
        Sizes::All { bytes: 0, count: 0 }
    }
}

impl Sizes {
    /// Samples.
    pub fn count(&self) -> u32 {
        match self {
            Sizes::All { count, .. } => *count,
            Sizes::Each(table, _) => table.count,
        }
    }
}

/// What a fragment's samples are where it does not say (`trex`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Defaults {
    /// The sample entry, from 0.
    pub entry: u32,
    /// How long a sample lasts, in ticks.
    pub duration: u32,
    /// How large a sample is, in bytes.
    pub bytes: u32,
    /// Sample flags.
    pub flags: u32,
}

/// Pictures or sound of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Track {
    /// Which of a reader's two sets of windows it is read through: 0 or 1.
    pub lane: usize,
    /// What the file calls it.
    pub id: u32,
    /// Ticks a second.
    pub timescale: u32,
    /// Of all samples, in ticks, as the media header says: 0 where it does not.
    pub duration: u64,
    /// The sample entries.
    pub entries: Atom,
    /// The first that can be sent.
    pub entry: SampleEntry,
    /// How many ticks the edit list has samples come later (or, negative, earlier) than they say.
    pub shift: i64,
    /// The edit list has more than one piece, of which the first alone is played.
    pub is_cut: bool,
    /// The smallest composition offset where it is negative, in ticks: decode times are lowered by it, so that none is.
    pub lowest: i32,
    /// Runs of samples of one duration.
    pub durations: EntryTable,
    /// Runs of samples of one composition offset.
    pub compositions: EntryTable,
    /// Runs of chunks with equally many samples.
    pub chunk_runs: EntryTable,
    /// Sizes of samples.
    pub sizes: Sizes,
    /// Places of chunks.
    pub chunks: EntryTable,
    /// These have 64 bits.
    pub wide_chunks: bool,
    /// Samples that are key frames; without the table all are.
    pub sync: Option<EntryTable>,
    /// What depends on each sample, a byte each.
    pub dependencies: EntryTable,
    /// Where the file's first fragment lies, if more samples come in fragments.
    pub fragments: Option<u64>,
    /// An index of these, with the ticks a second of the track that it is of.
    pub index: Option<(FragmentIndex, u32)>,
    /// Without one, where some of them lie.
    pub places: FragmentPlaces,
    /// What holds for them.
    pub defaults: Defaults,
}

/// A table behind `fields` bytes of a box: its count, then its entries.
fn table<R: ReadAt>(file: &mut File<'_, R>, found: &Atom, fields: u64, entry_bits: u64) -> Answer<EntryTable, R> {
    let count = file.u32(STRUCTURE, found.body + fields)?;
    let at = found.body + fields + 4;
    let bytes = (u64::from(count) * entry_bits).div_ceil(8);
    match at + bytes > found.end {
        true => Err(Fault::Structure("a table has more entries than its box has room for")),
        false => Ok(EntryTable { at, count }),
    }
}

impl Track {
    /// Reads where the tables of an `stbl` lie.
    pub(super) fn read_tables<R: ReadAt>(&mut self, file: &mut File<'_, R>, stbl: &Atom) -> Answer<(), R> {
        let mut at = stbl.body;
        while let Some(found) = atom(file, at, stbl.end)? {
            at = found.end;
            match &found.kind {
                b"stts" => self.durations = table(file, &found, 4, 64)?,
                b"ctts" => self.compositions = table(file, &found, 4, 64)?,
                b"stsc" => self.chunk_runs = table(file, &found, 4, 96)?,
                b"stsz" => {
                    let bytes = file.u32(STRUCTURE, found.body + 4)?;
                    self.sizes = match bytes {
                        0 => Sizes::Each(table(file, &found, 8, 32)?, 32),
                        bytes => Sizes::All { bytes, count: file.u32(STRUCTURE, found.body + 8)? },
                    };
                }
                b"stz2" => {
                    let bits = file.u32(STRUCTURE, found.body + 4)? as u8;
                    if ![4, 8, 16].contains(&bits) {
                        return Err(Fault::Structure("sizes of samples have 4, 8 or 16 bits"));
                    }
                    self.sizes = Sizes::Each(table(file, &found, 8, bits.into())?, bits);
                }
                b"stco" => (self.chunks, self.wide_chunks) = (table(file, &found, 4, 32)?, false),
                b"co64" => (self.chunks, self.wide_chunks) = (table(file, &found, 4, 64)?, true),
                b"stss" => self.sync = Some(table(file, &found, 4, 32)?),
                b"sdtp" => {
                    let count = found.body_bytes().saturating_sub(4);
                    self.dependencies =
                        EntryTable { at: found.body + 4, count: u32::try_from(count).unwrap_or(u32::MAX) };
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Reads the edit list of a `trak`: an empty edit is a pause in front, and the first other one says which time of the media
    /// is the first that is shown (8.6.6). `movie_timescale` is that of pauses.
    pub(super) fn read_edits<R: ReadAt>(
        &mut self,
        file: &mut File<'_, R>,
        trak: &Atom,
        movie_timescale: u32,
    ) -> Answer<(), R> {
        let Some(edts) = child(file, trak, b"edts")? else { return Ok(()) };
        let Some(elst) = child(file, &edts, b"elst")? else { return Ok(()) };
        let is_wide = version(file, &elst)?.0 == 1;
        let edits = table(file, &elst, 4, if is_wide { 160 } else { 96 })?;
        let mut pause = 0u64;
        let mut first = None;
        for index in 0..u64::from(edits.count) {
            file.look()?;
            let (duration, media_time) = match is_wide {
                true => {
                    let at = edits.at + 20 * index;
                    (file.u64(STRUCTURE, at)?, file.u64(STRUCTURE, at + 8)?.cast_signed())
                }
                false => {
                    let at = edits.at + 12 * index;
                    let media_time = file.u32(STRUCTURE, at + 4)?.cast_signed();
                    (u64::from(file.u32(STRUCTURE, at)?), i64::from(media_time))
                }
            };
            match first {
                None if media_time < 0 => pause = pause.saturating_add(duration),
                None => first = Some(media_time),
                Some(_) => {
                    self.is_cut = true;
                    break;
                }
            }
        }
        let pause = u128::from(pause) * u128::from(self.timescale) / u128::from(movie_timescale.max(1));
        let pause = i64::try_from(pause).unwrap_or(i64::MAX);
        self.shift = pause.saturating_sub(first.unwrap_or(0));
        Ok(())
    }

    /// Ticks as milliseconds, to the nearest: times are rounded each by itself, and their differences never summed up.
    pub fn ms(&self, ticks: i64) -> i64 {
        let scale = i128::from(self.timescale.max(1));
        let doubled = i128::from(ticks) * 2000;
        let rounded = (doubled + if ticks < 0 { -scale } else { scale }) / (2 * scale);
        rounded.clamp(-i128::from(TIME_MOST_MS), i128::from(TIME_MOST_MS)) as i64
    }
}
