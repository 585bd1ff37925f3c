//! The MP4 family (ISO/IEC 14496-12, -14, -15; QuickTime): MP4, M4V, MOV, F4V, fragmented or not.
//!
//! Nothing of a file is held but where its tables lie: [`Movie`] is a few hundred bytes whatever the length, and a place in a
//! track ([`TrackCursor`]) is about 100. Tables are walked in the file through windows ([`super::windows`]); a seek reads at most as
//! much as they are long. Every table may lie: counts are held against their boxes, places against the file, and the number of
//! boxes against a limit.

pub mod atom;
mod boxes;
pub mod cursor;
pub mod description;
pub mod entry;
pub mod finish;
pub mod fragment_head;
pub mod fragments;
pub mod hybrid;
pub mod index;
pub mod init;
pub mod places;
#[cfg(test)]
mod tests;
pub mod track;

use crate::wire::windows::{Answer, Fault, File, ReadAt, STRUCTURE};

use atom::{Atom, atom, child, top_atom, version};
use cursor::{Sample, TableCursor, lowest_composition};
use entry::{SampleEntry, entry};
use fragments::FragmentCursor;
use index::FragmentIndex;
use places::FragmentPlaces;
use track::{Defaults, EntryTable, Sizes, Track};

/// Pictures or sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrackKind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
}

/// Which tracks are meant, of those that can be sent: 0 is the first of its kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Of the video tracks.
    pub video: u32,
    /// Of the audio tracks.
    pub audio: u32,
}

/// A file, as far as it has to be known to play it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Movie {
    /// Pictures.
    pub video: Option<Track>,
    /// Sound.
    pub audio: Option<Track>,
    /// The earliest decode time, in milliseconds: the file's times count from it.
    pub begin_ms: i64,
    /// How long the file says it lasts, in milliseconds; 0 when it does not.
    pub said_ms: u64,
}

impl Movie {
    /// Reads where everything lies.
    ///
    /// # Errors
    ///
    /// No `moov`, or one that cannot be.
    pub fn open<R: ReadAt>(file: &mut File<'_, R>, choice: Choice) -> Answer<Movie, R> {
        let mut at = 0;
        let mut moov = None;
        let mut fragment = None;
        let mut mvex = None;
        let mut sidx = None;
        while let Some(found) = top_atom(file, at)? {
            match &found.kind {
                b"moov" if found.end <= file.size() => {
                    moov = Some(found);
                    mvex = child(file, &found, b"mvex")?;
                }
                b"moof" => fragment = fragment.or(Some(found.start)),
                b"sidx" if fragment.is_none() && found.end <= file.size() => sidx = sidx.or(Some(found)),
                _ => {}
            }
            // One with an mvex says that fragments follow.
            if moov.is_some() && (fragment.is_some() || mvex.is_none()) {
                break;
            }
            at = found.end;
        }
        let Some(moov) = moov else { return Err(Fault::Structure("it has no moov box: it was not finished")) };
        let mut movie = Movie::read(file, &moov, mvex, choice)?;
        for track in movie.video.iter_mut().chain(&mut movie.audio) {
            track.fragments = fragment;
            track.lowest = lowest_composition(file, track)?;
            if let Some(from) = fragment.filter(|_| track.sizes.count() == 0) {
                track.lowest = lowest_of_first_fragment(file, track, from)?;
            }
        }
        if let Some(from) = fragment {
            movie.read_index(file, sidx, from)?;
        }
        // The first samples, of whatever track, decide where time begins.
        let mut begin_ms = None;
        for track in movie.video.iter().chain(&movie.audio) {
            if let Some(first) = TrackCursor::default().next(file, track)? {
                let first_ms = track.decode_ms(&first);
                begin_ms = Some(begin_ms.map_or(first_ms, |ms: i64| ms.min(first_ms)));
            }
        }
        movie.begin_ms = begin_ms.unwrap_or(0);
        Ok(movie)
    }

    /// Reads where the index of fragments is. It may be of one track: the others go by it, too. Without one, where the fragments are.
    fn read_index<R: ReadAt>(&mut self, file: &mut File<'_, R>, sidx: Option<Atom>, from: u64) -> Answer<(), R> {
        let of_one = match sidx {
            Some(sidx) => FragmentIndex::in_front(file, &sidx)?,
            None => None,
        };
        let mut any = None;
        for track in self.video.iter_mut().chain(&mut self.audio) {
            let in_front = of_one.filter(|(id, _)| *id == track.id).map(|(_, index)| index);
            let own = FragmentIndex::at_end(file, track.id)?.or(in_front);
            track.index = own.map(|index| (index, track.timescale));
            any = any.or(track.index);
        }
        let places = if any.is_none() { FragmentPlaces::hop(file, from)? } else { FragmentPlaces::default() };
        for track in self.video.iter_mut().chain(&mut self.audio) {
            track.index = track.index.or(any);
            track.places = places;
        }
        Ok(())
    }

    fn read<R: ReadAt>(file: &mut File<'_, R>, moov: &Atom, mvex: Option<Atom>, choice: Choice) -> Answer<Movie, R> {
        let (timescale, duration) = match child(file, moov, b"mvhd")? {
            Some(mvhd) => times(file, &mvhd)?,
            None => (0, 0),
        };
        let mut movie = Movie { video: None, audio: None, begin_ms: 0, said_ms: 0 };
        let (mut videos, mut audios) = (0, 0);
        let mut at = moov.body;
        while let Some(trak) = atom(file, at, moov.end)? {
            at = trak.end;
            if trak.kind != *b"trak" {
                continue;
            }
            let Some((kind, mut track)) = read_track(file, &trak, timescale, mvex.is_some())? else { continue };
            let (place, seen, wanted) = match kind {
                TrackKind::Video => (&mut movie.video, &mut videos, choice.video),
                TrackKind::Audio => (&mut movie.audio, &mut audios, choice.audio),
            };
            if *seen == wanted {
                track.lane = usize::from(kind == TrackKind::Audio);
                *place = Some(track);
            }
            *seen += 1;
        }
        if let Some(mvex) = mvex {
            for track in movie.video.iter_mut().chain(&mut movie.audio) {
                track.defaults = defaults(file, &mvex, track.id)?;
            }
        }
        movie.said_ms = (u128::from(duration) * 1000 / u128::from(timescale.max(1))) as u64;
        Ok(movie)
    }

    /// How long it lasts, in milliseconds: what it says, or else what its tracks do; 0 when that is not known. Of a file of fragments
    /// the last one is looked for.
    ///
    /// # Errors
    ///
    /// Fragments that contradict themselves.
    pub fn duration_ms<R: ReadAt>(&self, file: &mut File<'_, R>) -> Answer<u64, R> {
        let mut longest = self.said_ms;
        if longest == 0 {
            for track in self.video.iter().chain(&self.audio) {
                let mut end = i64::try_from(track.duration).unwrap_or(i64::MAX);
                if let (0, Some(from)) = (end, track.fragments) {
                    end = FragmentCursor::end(file, track, from)?;
                }
                longest = longest.max(track.ms(end).unsigned_abs());
            }
        }
        Ok(longest)
    }
}

impl Track {
    /// When a sample is decoded, in milliseconds, with edit list and composition offsets allowed for.
    pub fn decode_ms(&self, sample: &Sample) -> i64 {
        self.ms(sample.time.saturating_add(self.shift).saturating_add(self.lowest.into()))
    }

    /// When it is shown, in milliseconds of the same count: not before it is decoded.
    pub fn shown_ms(&self, sample: &Sample) -> i64 {
        let composition = i64::from(sample.composition).max(self.lowest.into());
        self.ms(sample.time.saturating_add(self.shift).saturating_add(composition))
    }

    /// The ticks at which a time of the file in milliseconds lies, the reverse of [`Track::decode_ms`].
    pub fn ticks(&self, ms: i64) -> i64 {
        let ticks = i128::from(ms) * i128::from(self.timescale) / 1000;
        let ticks = i64::try_from(ticks).unwrap_or(i64::MAX);
        ticks.saturating_sub(self.shift).saturating_sub(self.lowest.into())
    }
}

/// A place in a track.
#[derive(Clone, Copy, Debug)]
pub enum TrackCursor {
    /// In its tables, which may be followed by fragments.
    Tables(TableCursor),
    /// In these.
    Fragments(FragmentCursor),
}

impl Default for TrackCursor {
    /// Before the first sample.
    fn default() -> TrackCursor {
        TrackCursor::Tables(TableCursor::default())
    }
}

impl TrackCursor {
    /// The next sample, in order of decoding; `None` behind the last.
    ///
    /// # Errors
    ///
    /// A structure that cannot be.
    pub fn next<R: ReadAt>(&mut self, file: &mut File<'_, R>, track: &Track) -> Answer<Option<Sample>, R> {
        if let TrackCursor::Tables(cursor) = self {
            match (cursor.next(file, track)?, track.fragments) {
                (None, Some(from)) => *self = TrackCursor::Fragments(FragmentCursor::new(from, cursor.time())),
                (found, _) => return Ok(found),
            }
        }
        match self {
            TrackCursor::Tables(_) => Ok(None),
            TrackCursor::Fragments(cursor) => cursor.next(file, track),
        }
    }

    /// Before the key frame at `time` (in ticks of the track) or the last one before; without one, before the first sample.
    ///
    /// # Errors
    ///
    /// As [`TrackCursor::next`].
    pub fn at_key_frame<R: ReadAt>(file: &mut File<'_, R>, track: &Track, time: i64) -> Answer<TrackCursor, R> {
        let (sample, end) = TableCursor::sample_at(file, track, time)?;
        if let Some(from) = track.fragments
            && end.is_none_or(|end| time >= end)
            && let Some(cursor) = FragmentCursor::seek(file, track, from, time)?
        {
            return Ok(TrackCursor::Fragments(cursor));
        }
        let sync = TableCursor::sync_before(file, track, sample)?;
        TableCursor::at_sample(file, track, sync).map(TrackCursor::Tables)
    }
}

/// Timescale and duration of a movie's or a track's media header (8.2.2, 8.4.2).
fn times<R: ReadAt>(file: &mut File<'_, R>, header: &Atom) -> Answer<(u32, u64), R> {
    let (timescale, duration) = match version(file, header)?.0 {
        1 => (file.u32(STRUCTURE, header.body + 20)?, file.u64(STRUCTURE, header.body + 24)?),
        _ => {
            let duration = file.u32(STRUCTURE, header.body + 16)?;
            // All ones: it is not known.
            let duration = if duration == u32::MAX { 0 } else { duration };
            (file.u32(STRUCTURE, header.body + 12)?, duration.into())
        }
    };
    Ok((timescale, if duration == u64::MAX { 0 } else { duration }))
}

/// A track that can be sent; `None` of one that cannot: of another codec, encrypted, empty.
fn read_track<R: ReadAt>(
    file: &mut File<'_, R>,
    trak: &Atom,
    movie_timescale: u32,
    fragmented: bool,
) -> Answer<Option<(TrackKind, Track)>, R> {
    let Some(mdia) = child(file, trak, b"mdia")? else { return Ok(None) };
    let Some(hdlr) = child(file, &mdia, b"hdlr")? else { return Ok(None) };
    let handler: [u8; 4] = file.array(STRUCTURE, hdlr.body + 8)?;
    let kind = match &handler {
        b"vide" => TrackKind::Video,
        b"soun" => TrackKind::Audio,
        _ => return Ok(None),
    };
    let Some(mdhd) = child(file, &mdia, b"mdhd")? else { return Ok(None) };
    let (timescale, duration) = times(file, &mdhd)?;
    if timescale == 0 {
        return Err(Fault::Structure("a track has a timescale of 0"));
    }
    let Some(minf) = child(file, &mdia, b"minf")? else { return Ok(None) };
    let Some(stbl) = child(file, &minf, b"stbl")? else { return Ok(None) };
    let Some(stsd) = child(file, &stbl, b"stsd")? else { return Ok(None) };
    let Some(first) = entry(file, &stsd, 0)? else { return Ok(None) };
    let Some(tkhd) = child(file, trak, b"tkhd")? else { return Ok(None) };
    let id_at = if version(file, &tkhd)?.0 == 1 { 20 } else { 12 };
    let mut track = Track {
        lane: 0,
        id: file.u32(STRUCTURE, tkhd.body + id_at)?,
        timescale,
        duration,
        entries: stsd,
        entry: first,
        shift: 0,
        is_cut: false,
        lowest: 0,
        durations: EntryTable::default(),
        compositions: EntryTable::default(),
        chunk_runs: EntryTable::default(),
        sizes: Sizes::default(),
        chunks: EntryTable::default(),
        wide_chunks: false,
        sync: None,
        dependencies: EntryTable::default(),
        fragments: None,
        index: None,
        places: FragmentPlaces::default(),
        defaults: Defaults::default(),
    };
    track.read_tables(file, &stbl)?;
    track.read_edits(file, trak, movie_timescale)?;
    // A track without samples is none, unless they come in fragments.
    Ok((track.sizes.count() > 0 || fragmented).then_some((kind, track)))
}

/// What holds for a track's fragments (8.8.3).
fn defaults<R: ReadAt>(file: &mut File<'_, R>, mvex: &Atom, id: u32) -> Answer<Defaults, R> {
    let mut at = mvex.body;
    while let Some(found) = atom(file, at, mvex.end)? {
        at = found.end;
        if found.kind == *b"trex" && file.u32(STRUCTURE, found.body + 4)? == id {
            return Ok(Defaults {
                entry: file.u32(STRUCTURE, found.body + 8)?.saturating_sub(1),
                duration: file.u32(STRUCTURE, found.body + 12)?,
                bytes: file.u32(STRUCTURE, found.body + 16)?,
                flags: file.u32(STRUCTURE, found.body + 20)?,
            });
        }
    }
    Ok(Defaults::default())
}

/// The smallest composition offset of a track's first fragment, if it is negative, else 0: the others' are not known when the
/// first is sent.
fn lowest_of_first_fragment<R: ReadAt>(file: &mut File<'_, R>, track: &Track, from: u64) -> Answer<i32, R> {
    let mut cursor = FragmentCursor::new(from, 0);
    let mut lowest = 0;
    let mut fragment = None;
    while let Some(sample) = cursor.next(file, track)? {
        if *fragment.get_or_insert(cursor.fragment()) != cursor.fragment() {
            break;
        }
        lowest = lowest.min(sample.composition);
    }
    Ok(lowest)
}

/// The sample entry of this index of a track.
///
/// # Errors
///
/// A structure that cannot be.
pub fn track_entry<R: ReadAt>(file: &mut File<'_, R>, track: &Track, index: u32) -> Answer<Option<SampleEntry>, R> {
    entry(file, &track.entries, index)
}
