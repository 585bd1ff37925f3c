//! Boxes (ISO/IEC 14496-12, 4.2; QuickTime calls them atoms): a size, four letters, a body.

use crate::wire::windows::{Answer, Fault, File, ReadAt, STRUCTURE};

/// A box, by where it lies in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Atom {
    /// Its four letters.
    pub kind: [u8; 4],
    /// The first byte of its header.
    pub start: u64,
    /// The first byte of its body.
    pub body: u64,
    /// The first byte behind it.
    pub end: u64,
}

impl Atom {
    /// Bytes of the body.
    pub fn body_bytes(&self) -> u64 {
        self.end - self.body
    }
}

/// The box at `at`, inside of what ends at `end`; `None` when there is no room for another one. A few bytes at the end of a
/// container are common (QuickTime ends some with a zero), and no fault.
///
/// # Errors
///
/// A box that is shorter than its header, or longer than what it lies in.
pub fn atom<R: ReadAt>(file: &mut File<'_, R>, at: u64, end: u64) -> Answer<Option<Atom>, R> {
    match read(file, at, end)? {
        Some(found) if found.end > end => Err(Fault::Structure("a box is longer than the one that it lies in")),
        found => Ok(found),
    }
}

/// The box at `at` of the file itself. The file may end in it, when it was cut off or is being written: then its end lies
/// behind the file's.
///
/// # Errors
///
/// A box that is shorter than its header.
pub fn top_atom<R: ReadAt>(file: &mut File<'_, R>, at: u64) -> Answer<Option<Atom>, R> {
    let end = file.size();
    read(file, at, end)
}

fn read<R: ReadAt>(file: &mut File<'_, R>, at: u64, end: u64) -> Answer<Option<Atom>, R> {
    if end.saturating_sub(at) < 8 {
        return Ok(None);
    }
    file.look()?;
    let [a, b, c, d, kind @ ..]: [u8; 8] = file.array(STRUCTURE, at)?;
    let (header, size) = match u32::from_be_bytes([a, b, c, d]) {
        0 => (8, end - at),
        1 if end - at >= 16 => (16, file.u64(STRUCTURE, at + 8)?),
        size => (8, u64::from(size)),
    };
    if size < header {
        return Err(Fault::Structure("a box is shorter than its header"));
    }
    Ok(Some(Atom { kind, start: at, body: at + header, end: at.saturating_add(size) }))
}

/// The first box of that kind inside of `parent`.
///
/// # Errors
///
/// As [`atom`].
pub fn child<R: ReadAt>(file: &mut File<'_, R>, parent: &Atom, kind: &[u8; 4]) -> Answer<Option<Atom>, R> {
    let mut at = parent.body;
    while let Some(found) = atom(file, at, parent.end)? {
        if found.kind == *kind {
            return Ok(Some(found));
        }
        at = found.end;
    }
    Ok(None)
}

/// A box that begins with version and flags.
pub(super) fn version<R: ReadAt>(file: &mut File<'_, R>, found: &Atom) -> Answer<(u8, u32), R> {
    let word = file.u32(STRUCTURE, found.body)?;
    Ok(((word >> 24) as u8, word & 0x00FF_FFFF))
}
