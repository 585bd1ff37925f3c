//! Where some of a file's fragments lie, where no index says it: found when the file is opened, by hopping from one to the next, so
//! that a seek hops over a few of them only.

use crate::wire::windows::{Answer, File, ReadAt};

use super::atom::top_atom;

/// How many are kept: every so-manyth, evenly over the file.
const PLACES: usize = 16;

/// Some fragments, in their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FragmentPlaces {
    places: [u64; PLACES],
    count: u8,
}

impl FragmentPlaces {
    /// Those of a file whose first fragment lies at `from` or behind it.
    ///
    /// # Errors
    ///
    /// What the disk says, or boxes that cannot be.
    pub fn hop<R: ReadAt>(file: &mut File<'_, R>, from: u64) -> Answer<FragmentPlaces, R> {
        let mut found = FragmentPlaces::default();
        let (mut at, mut number, mut step) = (from, 0u32, 1u32);
        while let Some(atom) = top_atom(file, at)?.filter(|atom| atom.end <= file.size()) {
            at = atom.end;
            if atom.kind != *b"moof" {
                continue;
            }
            if number.is_multiple_of(step) {
                if usize::from(found.count) == PLACES {
                    // Every other one is enough.
                    (0..PLACES / 2).for_each(|index| found.places[index] = found.places[2 * index]);
                    found.count /= 2;
                    step *= 2;
                }
                if number.is_multiple_of(step) {
                    found.places[usize::from(found.count)] = atom.start;
                    found.count += 1;
                }
            }
            number += 1;
        }
        Ok(found)
    }

    /// The places.
    pub fn as_slice(&self) -> &[u64] {
        &self.places[..usize::from(self.count)]
    }
}
