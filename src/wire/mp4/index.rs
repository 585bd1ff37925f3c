//! Where fragments lie, by their time, as a file says it: at its end (`mfra`; ISO/IEC 14496-12, 8.8.9 to 8.8.11) or in front of
//! them (`sidx`, 8.16.3). It spares a walk over the headers of all of them.
//!
//! An index may lie as every table may: what it names is looked at before it is believed, and it is where a walk begins, not what
//! a seek ends with.

use crate::wire::windows::{Answer, File, ReadAt, STRUCTURE};

use super::atom::{Atom, atom, top_atom, version};

/// Bytes of the box at the end of a file that says how long the index in front of it is (`mfro`).
const MFRO_BYTES: u64 = 16;
/// Boxes with which what an index names may begin.
const BEGINNINGS: [&[u8; 4]; 5] = [b"moof", b"styp", b"sidx", b"prft", b"emsg"];

/// An index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentIndex {
    /// The first entry, and how many there are.
    at: u64,
    count: u32,
    form: IndexForm,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IndexForm {
    /// Times and places of key frames, of 64 bits or 32, and so many bytes an entry.
    KeyFrames { wide: bool, bytes: u8 },
    /// Bytes and ticks of pieces that lie one behind the other, the first at a place and a time.
    Pieces { place: u64, time: i64 },
}

impl FragmentIndex {
    /// The index of the track `id` at the end of the file.
    ///
    /// # Errors
    ///
    /// What the disk says, or boxes that cannot be.
    pub fn at_end<R: ReadAt>(file: &mut File<'_, R>, id: u32) -> Answer<Option<FragmentIndex>, R> {
        let Some(end) = file.size().checked_sub(MFRO_BYTES) else { return Ok(None) };
        if file.array(STRUCTURE, end + 4)? != *b"mfro" {
            return Ok(None);
        }
        let bytes = file.u32(STRUCTURE, end + 12)?;
        let Some(start) = file.size().checked_sub(bytes.into()) else { return Ok(None) };
        let Some(mfra) = top_atom(file, start)?.filter(|found| found.kind == *b"mfra") else { return Ok(None) };
        let mut at = mfra.body;
        while let Some(tfra) = atom(file, at, mfra.end.min(file.size()))? {
            at = tfra.end;
            if tfra.kind != *b"tfra" || file.u32(STRUCTURE, tfra.body + 4)? != id {
                continue;
            }
            let wide = version(file, &tfra)?.0 == 1;
            let lengths = file.u32(STRUCTURE, tfra.body + 8)?;
            let numbers = (lengths >> 4 & 3) + (lengths >> 2 & 3) + (lengths & 3) + 3;
            let bytes = if wide { 16 } else { 8 } + numbers as u8;
            let count = file.u32(STRUCTURE, tfra.body + 12)?;
            let index = FragmentIndex { at: tfra.body + 16, count, form: IndexForm::KeyFrames { wide, bytes } };
            return Ok(index.within(tfra.end).then_some(index));
        }
        Ok(None)
    }

    /// What a `sidx` says, and of which track.
    ///
    /// # Errors
    ///
    /// As [`FragmentIndex::at_end`].
    pub fn in_front<R: ReadAt>(file: &mut File<'_, R>, sidx: &Atom) -> Answer<Option<(u32, FragmentIndex)>, R> {
        let id = file.u32(STRUCTURE, sidx.body + 4)?;
        let (time, offset, behind) = match version(file, sidx)?.0 {
            0 => {
                let time = file.u32(STRUCTURE, sidx.body + 12)?;
                (u64::from(time), u64::from(file.u32(STRUCTURE, sidx.body + 16)?), 20)
            }
            _ => (file.u64(STRUCTURE, sidx.body + 12)?, file.u64(STRUCTURE, sidx.body + 20)?, 28),
        };
        let count = file.u32(STRUCTURE, sidx.body + behind)? & 0xFFFF;
        let form =
            IndexForm::Pieces { place: sidx.end.saturating_add(offset), time: i64::try_from(time).unwrap_or(i64::MAX) };
        let index = FragmentIndex { at: sidx.body + behind + 4, count, form };
        Ok(index.within(sidx.end).then_some((id, index)))
    }

    fn within(&self, end: u64) -> bool {
        let bytes = match self.form {
            IndexForm::KeyFrames { bytes, .. } => bytes.into(),
            IndexForm::Pieces { .. } => 12,
        };
        self.count > 0 && self.at + u64::from(self.count) * bytes <= end
    }

    /// Where to begin to look for `time`: some fragment before it, with its own time, both times in ticks of the index's track.
    /// `None` where the index says nothing that can be believed.
    ///
    /// # Errors
    ///
    /// What the disk says.
    pub fn before<R: ReadAt>(&self, file: &mut File<'_, R>, time: i64) -> Answer<Option<(u64, i64)>, R> {
        let found = match self.form {
            IndexForm::KeyFrames { wide, bytes } => self.key_frame(file, time, wide, bytes)?,
            IndexForm::Pieces { place, time: first } => self.piece(file, time, place, first)?,
        };
        let Some((place, time)) = found else { return Ok(None) };
        if place.checked_add(8).is_none_or(|end| end > file.size()) {
            return Ok(None);
        }
        let kind: [u8; 4] = file.array(STRUCTURE, place + 4)?;
        Ok(BEGINNINGS.contains(&&kind).then_some((place, time)))
    }

    fn key_frame<R: ReadAt>(
        &self,
        file: &mut File<'_, R>,
        time: i64,
        wide: bool,
        bytes: u8,
    ) -> Answer<Option<(u64, i64)>, R> {
        let entry = |file: &mut File<'_, R>, index: u32| -> Answer<(i64, u64), R> {
            let at = self.at + u64::from(index) * u64::from(bytes);
            let (time, place) = match wide {
                true => (file.u64(STRUCTURE, at)?, file.u64(STRUCTURE, at + 8)?),
                false => (file.u32(STRUCTURE, at)?.into(), file.u32(STRUCTURE, at + 4)?.into()),
            };
            Ok((i64::try_from(time).unwrap_or(i64::MAX), place))
        };
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            match entry(file, middle)?.0 <= time {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        // One before the last at that time: times are those of showing, and other tracks lag behind this one.
        let Some(index) = low.checked_sub(2) else { return Ok(None) };
        let (time, place) = entry(file, index)?;
        Ok(Some((place, time)))
    }

    fn piece<R: ReadAt>(
        &self,
        file: &mut File<'_, R>,
        wanted: i64,
        mut place: u64,
        mut time: i64,
    ) -> Answer<Option<(u64, i64)>, R> {
        // As above.
        let (mut before, mut last) = (None, None);
        for index in 0..self.count {
            if time > wanted {
                break;
            }
            (before, last) = (last, Some((place, time)));
            let at = self.at + 12 * u64::from(index);
            let bytes = file.u32(STRUCTURE, at)?;
            if bytes >> 31 == 1 {
                // An index of indexes.
                return Ok(None);
            }
            place = place.saturating_add(bytes.into());
            time = time.saturating_add(file.u32(STRUCTURE, at + 4)?.into());
        }
        Ok(before)
    }
}
