//! A place in a file of fragments (`moof`; ISO/IEC 14496-12, 8.8): each has its own tables, in front of its media.

use crate::wire::windows::{Answer, Fault, File, ReadAt};

use super::atom::{Atom, atom, child, top_atom};
use super::cursor::{Sample, WINDOWS_PER_TRACK};
use super::track::{Defaults, Track};

/// Flags of a track fragment's header (8.8.7).
const TFHD_BASE: u32 = 0x1;
const TFHD_ENTRY: u32 = 0x2;
const TFHD_DURATION: u32 = 0x8;
const TFHD_SIZE: u32 = 0x10;
const TFHD_FLAGS: u32 = 0x20;
/// Flags of a run of samples (8.8.8).
const TRUN_OFFSET: u32 = 0x1;
const TRUN_FIRST_FLAGS: u32 = 0x4;
const TRUN_DURATION: u32 = 0x100;
const TRUN_SIZE: u32 = 0x200;
const TRUN_FLAGS: u32 = 0x400;
const TRUN_COMPOSITION: u32 = 0x800;
/// A sample's flags (8.8.3.1): it is no key frame; it depends on others, which some writers say instead.
const NO_KEY_FRAME: u32 = 0x1_0000 | 0x0100_0000;

/// A time that no fragment has.
const UNKNOWN: i64 = i64::MIN;
/// From how many known places a key frame is looked for before it is from the first fragment on: some begin with none.
const PLACES_TRIED: usize = 2;

/// The next sample of a track in a file of fragments.
#[derive(Clone, Copy, Debug)]
pub struct FragmentCursor {
    /// Where the next fragment is looked for.
    next: u64,
    /// The present fragment, and where in it the next track fragment is looked for.
    moof: Option<Atom>,
    track_fragment: u64,
    /// Where in the present track fragment the next run is looked for, and its end.
    run: u64,
    run_end: u64,
    defaults: Defaults,
    base: u64,
    /// Samples left of the present run, where the next one's fields are, and which it has.
    left: u32,
    fields: u64,
    run_flags: u32,
    /// The flags of the run's first sample, where it has its own.
    first_flags: Option<u32>,
    at: u64,
    time: i64,
}

impl FragmentCursor {
    /// Before the first fragment at place `from` or behind it, where the time is `time` unless the fragment knows better.
    pub fn new(from: u64, time: i64) -> FragmentCursor {
        FragmentCursor {
            next: from,
            moof: None,
            track_fragment: 0,
            run: 0,
            run_end: 0,
            defaults: Defaults::default(),
            base: 0,
            left: 0,
            fields: 0,
            run_flags: 0,
            first_flags: None,
            at: 0,
            time,
        }
    }

    /// Where the present fragment lies.
    pub fn fragment(&self) -> Option<u64> {
        self.moof.map(|moof| moof.start)
    }

    /// When the last sample ends, in ticks.
    pub fn time(&self) -> i64 {
        self.time
    }

    /// The next sample; `None` behind the last that is whole. More may come when the file grows.
    ///
    /// # Errors
    ///
    /// Fragments that contradict themselves.
    pub fn next<R: ReadAt>(&mut self, file: &mut File<'_, R>, track: &Track) -> Answer<Option<Sample>, R> {
        while self.left == 0 {
            if !self.enter_run(file, track)?
                && !self.enter_track_fragment(file, track)?
                && !self.enter_fragment(file)?
            {
                return Ok(None);
            }
        }
        let before = *self;
        let found = self.read_sample(file, track)?;
        if found.at.saturating_add(u64::from(found.bytes)) > file.size() {
            *self = before;
            return Ok(None);
        }
        Ok(Some(found))
    }

    fn read_sample<R: ReadAt>(&mut self, file: &mut File<'_, R>, track: &Track) -> Answer<Sample, R> {
        let window = track.lane * WINDOWS_PER_TRACK;
        let mut field = |flag: u32, fields: &mut u64| -> Answer<Option<u32>, R> {
            if self.run_flags & flag == 0 {
                return Ok(None);
            }
            let value = file.u32(window, *fields)?;
            *fields += 4;
            Ok(Some(value))
        };
        let mut fields = self.fields;
        let duration = field(TRUN_DURATION, &mut fields)?.unwrap_or(self.defaults.duration);
        let bytes = field(TRUN_SIZE, &mut fields)?.unwrap_or(self.defaults.bytes);
        let flags = field(TRUN_FLAGS, &mut fields)?;
        let composition = field(TRUN_COMPOSITION, &mut fields)?.unwrap_or(0).cast_signed();
        let flags = self.first_flags.take().or(flags).unwrap_or(self.defaults.flags);
        let found = Sample {
            at: self.at,
            bytes,
            time: self.time,
            composition,
            is_sync: flags & NO_KEY_FRAME == 0,
            is_disposable: flags >> 22 & 3 == 2,
            entry: self.defaults.entry,
        };
        self.fields = fields;
        self.left -= 1;
        self.at = self.at.saturating_add(u64::from(bytes));
        self.time = self.time.saturating_add(i64::from(duration));
        Ok(found)
    }

    /// The next run of the present track fragment.
    fn enter_run<R: ReadAt>(&mut self, file: &mut File<'_, R>, track: &Track) -> Answer<bool, R> {
        let window = track.lane * WINDOWS_PER_TRACK;
        while let Some(found) = atom(file, self.run, self.run_end)? {
            self.run = found.end;
            if found.kind != *b"trun" {
                continue;
            }
            self.run_flags = file.u32(window, found.body)? & 0x00FF_FFFF;
            self.left = file.u32(window, found.body + 4)?;
            let mut fields = found.body + 8;
            if self.run_flags & TRUN_OFFSET != 0 {
                let offset = file.u32(window, fields)?.cast_signed();
                self.at = self.base.saturating_add_signed(offset.into());
                fields += 4;
            }
            self.first_flags = None;
            if self.run_flags & TRUN_FIRST_FLAGS != 0 {
                self.first_flags = Some(file.u32(window, fields)?);
                fields += 4;
            }
            self.fields = fields;
            let each = [TRUN_DURATION, TRUN_SIZE, TRUN_FLAGS, TRUN_COMPOSITION];
            let each = 4 * each.iter().filter(|&&flag| self.run_flags & flag != 0).count() as u64;
            if fields + each * u64::from(self.left) > found.end {
                return Err(Fault::Structure("a run has more samples than its box has room for"));
            }
            if each == 0 && self.defaults.bytes == 0 {
                // Nothing, however often it is said.
                self.left = 0;
                continue;
            }
            return Ok(true);
        }
        Ok(false)
    }

    /// The next track fragment of the present fragment that is this track's.
    fn enter_track_fragment<R: ReadAt>(&mut self, file: &mut File<'_, R>, track: &Track) -> Answer<bool, R> {
        let Some(moof) = self.moof else { return Ok(false) };
        while let Some(found) = atom(file, self.track_fragment, moof.end)? {
            self.track_fragment = found.end;
            if found.kind == *b"traf" && self.begin_track_fragment(file, track, &moof, &found)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn begin_track_fragment<R: ReadAt>(
        &mut self,
        file: &mut File<'_, R>,
        track: &Track,
        moof: &Atom,
        traf: &Atom,
    ) -> Answer<bool, R> {
        let window = track.lane * WINDOWS_PER_TRACK;
        let Some(header) = child(file, traf, b"tfhd")? else {
            return Err(Fault::Structure("a track fragment has no header"));
        };
        let flags = file.u32(window, header.body)? & 0x00FF_FFFF;
        if file.u32(window, header.body + 4)? != track.id {
            return Ok(false);
        }
        let mut at = header.body + 8;
        self.base = moof.start;
        if flags & TFHD_BASE != 0 {
            self.base = file.u64(window, at)?;
            at += 8;
        }
        let mut field = |flag: u32, otherwise: u32| -> Answer<u32, R> {
            if flags & flag == 0 {
                return Ok(otherwise);
            }
            at += 4;
            file.u32(window, at - 4)
        };
        self.defaults = Defaults {
            entry: field(TFHD_ENTRY, track.defaults.entry + 1)?.saturating_sub(1),
            duration: field(TFHD_DURATION, track.defaults.duration)?,
            bytes: field(TFHD_SIZE, track.defaults.bytes)?,
            flags: field(TFHD_FLAGS, track.defaults.flags)?,
        };
        self.at = self.base;
        if let Some(time) = begin_time(file, window, traf)? {
            self.time = time;
        }
        (self.run, self.run_end) = (traf.body, traf.end);
        Ok(true)
    }

    /// The next fragment of the file whose header is whole.
    fn enter_fragment<R: ReadAt>(&mut self, file: &mut File<'_, R>) -> Answer<bool, R> {
        while let Some(found) = top_atom(file, self.next)? {
            // One that is being written is looked at again when more of it is there; media is compared sample by sample.
            if found.end > file.size() {
                return Ok(false);
            }
            self.next = found.end;
            if found.kind == *b"moof" {
                (self.moof, self.track_fragment) = (Some(found), found.body);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Where the track ends, in ticks, in the file whose first fragment lies at `from` or behind it.
    ///
    /// # Errors
    ///
    /// As [`FragmentCursor::next`].
    pub fn end<R: ReadAt>(file: &mut File<'_, R>, track: &Track, from: u64) -> Answer<i64, R> {
        let mut last = FragmentCursor::seek(file, track, from, i64::MAX)?.unwrap_or(FragmentCursor::new(from, 0));
        while last.next(file, track)?.is_some() {}
        Ok(last.time)
    }

    /// The last key frame of the track that is decoded at `time` (in ticks) or before, in the file whose first fragment lies at
    /// `from` or behind it; `None` where no fragment that begins with a key frame lies before.
    ///
    /// Headers of fragments are read one after the other, from where an index says or from a place that is known, and the samples of
    /// one of them.
    ///
    /// # Errors
    ///
    /// As [`FragmentCursor::next`].
    pub fn seek<R: ReadAt>(
        file: &mut File<'_, R>,
        track: &Track,
        from: u64,
        time: i64,
    ) -> Answer<Option<FragmentCursor>, R> {
        if let Some((index, timescale)) = track.index {
            let scaled = |time: i64, from: u32, to: u32| i128::from(time) * i128::from(to) / i128::from(from.max(1));
            let wanted = i64::try_from(scaled(time, track.timescale, timescale)).unwrap_or(i64::MAX);
            if let Some((place, begins)) = index.before(file, wanted)? {
                let begins = i64::try_from(scaled(begins, timescale, track.timescale)).unwrap_or(i64::MAX);
                let found = FragmentCursor::walk(file, track, FragmentCursor::new(place, begins), time)?;
                if found.is_some() {
                    return Ok(found);
                }
            }
        }
        let places = FragmentCursor::places_before(file, track, time)?;
        for &place in places.iter().rev().take(PLACES_TRIED) {
            let found = FragmentCursor::walk(file, track, FragmentCursor::new(place, UNKNOWN), time)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        FragmentCursor::walk(file, track, FragmentCursor::new(from, 0), time)
    }

    /// Those of the places known where the track has a sample at `time` or before; none where fragments do not say their time.
    fn places_before<'t, R: ReadAt>(file: &mut File<'_, R>, track: &'t Track, time: i64) -> Answer<&'t [u64], R> {
        let places = track.places.as_slice();
        let (mut low, mut high) = (0, places.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match FragmentCursor::new(places[middle], UNKNOWN).next(file, track)? {
                Some(sample) if sample.time == UNKNOWN => return Ok(&[]),
                Some(sample) if sample.time <= time => low = middle + 1,
                _ => high = middle,
            }
        }
        Ok(&places[..low])
    }

    /// [`FragmentCursor::seek`] from a place on.
    fn walk<R: ReadAt>(
        file: &mut File<'_, R>,
        track: &Track,
        mut cursor: FragmentCursor,
        time: i64,
    ) -> Answer<Option<FragmentCursor>, R> {
        // The last fragment that begins with a key frame, and at or before the time.
        let mut best = None;
        loop {
            while cursor.left == 0 && (cursor.enter_run(file, track)? || cursor.enter_track_fragment(file, track)?) {}
            if cursor.left > 0 {
                let mut ahead = cursor;
                let first = ahead.read_sample(file, track)?;
                if first.time > time {
                    break;
                }
                if first.is_sync {
                    best = Some(cursor);
                }
                // The rest of the fragment is not looked at here.
                (cursor.left, cursor.run, cursor.track_fragment) = (0, cursor.run_end, u64::MAX);
            }
            if !cursor.enter_fragment(file)? {
                break;
            }
        }
        // In it, or in what follows before the time, a later one.
        let Some(mut ahead) = best else { return Ok(None) };
        let mut found = ahead;
        loop {
            let before = ahead;
            match ahead.next(file, track)? {
                Some(sample) if sample.time <= time => {
                    if sample.is_sync {
                        found = before;
                    }
                }
                _ => return Ok(Some(found)),
            }
        }
    }
}

/// When a track fragment begins (`tfdt`), in ticks.
fn begin_time<R: ReadAt>(file: &mut File<'_, R>, window: usize, traf: &Atom) -> Answer<Option<i64>, R> {
    let Some(tfdt) = child(file, traf, b"tfdt")? else { return Ok(None) };
    let time = match file.u32(window, tfdt.body)? >> 24 {
        1 => file.u64(window, tfdt.body + 4)?,
        _ => u64::from(file.u32(window, tfdt.body + 4)?),
    };
    Ok(Some(i64::try_from(time).unwrap_or(i64::MAX)))
}
