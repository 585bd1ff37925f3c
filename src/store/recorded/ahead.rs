//! A file read in stretches: what is asked for next lies mostly behind what was asked for last.

use crate::limits::RECORDED_STRETCH_BYTES;
use crate::wire::windows::ReadAt;

/// One for pictures and one for sound, which lie together or far apart.
pub(super) const STRETCHES: usize = 2;

/// What may lie between messages that are wanted: headers, and messages that are not.
const BETWEEN_BYTES: usize = 4096;

/// The memory of stretches: obtained once, used for one file after another.
pub(super) struct Stretches {
    held: [Stretch; STRETCHES],
}

struct Stretch {
    at: u64,
    length: usize,
    bytes: [u8; RECORDED_STRETCH_BYTES],
}

impl Stretches {
    /// Empty ones.
    pub(super) const fn new() -> Stretches {
        Stretches { held: [const { Stretch { at: 0, length: 0, bytes: [0; RECORDED_STRETCH_BYTES] } }; STRETCHES] }
    }
}

impl Stretch {
    /// What it has from `at` on.
    fn from(&self, at: u64) -> &[u8] {
        let skip = at.checked_sub(self.at).and_then(|skip| usize::try_from(skip).ok());
        skip.and_then(|skip| self.bytes[..self.length].get(skip..)).unwrap_or_default()
    }

    fn load<R: ReadAt>(&mut self, file: &mut R, at: u64, most: usize) -> Result<(), R::Error> {
        (self.at, self.length) = (at, 0);
        self.length = file.read_at(at, &mut self.bytes[..most.min(RECORDED_STRETCH_BYTES)])?;
        Ok(())
    }
}

/// One job's view of a file.
pub(super) struct Ahead<'a, R> {
    file: &'a mut R,
    stretches: &'a mut Stretches,
    /// Structures lie between the messages, and are read with them.
    pub(super) in_order: bool,
    /// How much is still wanted, about: more is not read ahead.
    pub(super) wanted: usize,
}

impl<'a, R: ReadAt> Ahead<'a, R> {
    /// What stretches hold of another file, or of this one as it was, is forgotten.
    pub(super) fn new(file: &'a mut R, stretches: &'a mut Stretches) -> Ahead<'a, R> {
        stretches.held.iter_mut().for_each(|stretch| stretch.length = 0);
        Ahead { file, stretches, in_order: false, wanted: RECORDED_STRETCH_BYTES }
    }

    /// Copies bytes from place `at` on, as many as lie together, and says how many; 0 at the end only. What has to be read is read
    /// into the stretch of this number, unless it is as long as that.
    pub(super) fn copy(&mut self, stretch: usize, at: u64, out: &mut [u8]) -> Result<usize, R::Error> {
        if let Some(count) = self.held(at, out) {
            return Ok(count);
        }
        if out.len() >= RECORDED_STRETCH_BYTES {
            return self.file.read_at(at, out);
        }
        let most = self.wanted.max(out.len()) + BETWEEN_BYTES;
        self.stretches.held[stretch].load(self.file, at, most)?;
        Ok(self.held(at, out).unwrap_or(0))
    }

    fn held(&self, at: u64, out: &mut [u8]) -> Option<usize> {
        let held = self.stretches.held.iter().map(|stretch| stretch.from(at)).find(|held| !held.is_empty())?;
        let count = held.len().min(out.len());
        out[..count].copy_from_slice(&held[..count]);
        Some(count)
    }
}

impl<R: ReadAt> ReadAt for Ahead<'_, R> {
    type Error = R::Error;

    fn size(&self) -> u64 {
        self.file.size()
    }

    fn read_at(&mut self, at: u64, out: &mut [u8]) -> Result<usize, R::Error> {
        match self.in_order {
            true => self.copy(0, at, out),
            false => self.file.read_at(at, out),
        }
    }

    fn read_pieces(&mut self, at: u64, out: &mut [&mut [u8]]) -> Result<usize, R::Error> {
        self.file.read_pieces(at, out)
    }
}
