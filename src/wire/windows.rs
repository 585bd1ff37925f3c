//! A file through windows: a few small pieces of it are held, so that tables of any length are walked in fixed memory.
//!
//! Whoever walks several tables side by side has a window for each, by its number. Nothing is read ahead of what is asked but
//! the rest of a window.

use core::convert::Infallible;

/// Most bytes that can be asked for at once.
pub const WINDOW_BYTES: usize = 4096;
/// Windows of a set: seven tables of each of two tracks, and one for structures.
pub const WINDOWS: usize = 15;
/// The window through which structures are read, whatever they are.
pub const STRUCTURE: usize = 14;
/// Structures (boxes, tags, links) that are looked at in one request at most: a file of a few hundred megabytes can hold a
/// hundred million empty ones.
pub const STRUCTURES_MOST: u32 = 1 << 17;

/// Bytes at any place of a file.
pub trait ReadAt {
    /// Why a read failed.
    type Error;

    /// How large the file is, in bytes.
    fn size(&self) -> u64;

    /// Reads bytes from place `at` on, as many as there are and fit, and says how many; 0 at the end only.
    ///
    /// # Errors
    ///
    /// Whatever the disk says.
    fn read_at(&mut self, at: u64, out: &mut [u8]) -> Result<usize, Self::Error>;

    /// Reads bytes from place `at` on, as many as there are and fit, into one after the other of several pieces of memory, and says how
    /// many; fewer than there are only when a single read is.
    ///
    /// # Errors
    ///
    /// As [`ReadAt::read_at`].
    fn read_pieces(&mut self, at: u64, out: &mut [&mut [u8]]) -> Result<usize, Self::Error> {
        let mut count = 0;
        for piece in out {
            let read = self.read_at(at.saturating_add(count as u64), piece)?;
            count += read;
            if read < piece.len() {
                break;
            }
        }
        Ok(count)
    }
}

/// A file that lies in memory.
impl ReadAt for &[u8] {
    type Error = Infallible;

    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&mut self, at: u64, out: &mut [u8]) -> Result<usize, Infallible> {
        let rest = usize::try_from(at).ok().and_then(|at| self.get(at..)).unwrap_or_default();
        let count = rest.len().min(out.len());
        out[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

/// Why a file cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault<E> {
    /// The disk failed.
    Read(E),
    /// The file is not what it should be. The text says what of it, for the log.
    Structure(&'static str),
}

/// Short for what every reader of a file returns.
pub type Answer<T, R> = Result<T, Fault<<R as ReadAt>::Error>>;

/// Some bytes of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// The first.
    pub at: u64,
    /// How many.
    pub bytes: u32,
}

/// The memory of windows: obtained once, used for one file after another.
pub struct Windows {
    held: [Window; WINDOWS],
}

struct Window {
    at: u64,
    length: usize,
    bytes: [u8; WINDOW_BYTES],
}

impl Windows {
    /// Empty windows.
    pub const fn new() -> Windows {
        Windows { held: [const { Window { at: 0, length: 0, bytes: [0; WINDOW_BYTES] } }; WINDOWS] }
    }
}

impl Default for Windows {
    fn default() -> Windows {
        Windows::new()
    }
}

/// One request's view of a file.
pub struct File<'w, R> {
    source: &'w mut R,
    windows: &'w mut Windows,
    structures: u32,
}

impl<'w, R: ReadAt> File<'w, R> {
    /// Begins a request. What the windows hold of another file, or of this one as it was, is forgotten.
    pub fn new(source: &'w mut R, windows: &'w mut Windows) -> File<'w, R> {
        windows.held.iter_mut().for_each(|window| window.length = 0);
        File { source, windows, structures: 0 }
    }

    /// Begins another request for the file of the last one, which is as it was: what windows hold of it is not read again.
    pub fn again(source: &'w mut R, windows: &'w mut Windows) -> File<'w, R> {
        File { source, windows, structures: 0 }
    }

    /// How large the file is, in bytes.
    pub fn size(&self) -> u64 {
        self.source.size()
    }

    /// The file itself.
    pub fn source(&mut self) -> &mut R {
        self.source
    }

    /// One more structure is looked at.
    ///
    /// # Errors
    ///
    /// [`Fault::Structure`] beyond [`STRUCTURES_MOST`].
    pub fn look(&mut self) -> Answer<(), R> {
        self.structures += 1;
        match self.structures > STRUCTURES_MOST {
            true => Err(Fault::Structure("it has more structures than are looked at")),
            false => Ok(()),
        }
    }

    /// `count` bytes at `at`, through a window.
    ///
    /// # Errors
    ///
    /// [`Fault::Structure`] when the file ends before, or `count` exceeds [`WINDOW_BYTES`].
    pub fn bytes(&mut self, window: usize, at: u64, count: usize) -> Answer<&[u8], R> {
        let held = &mut self.windows.held[window];
        let inside = at.checked_sub(held.at).and_then(|before| usize::try_from(before).ok());
        let from = match inside.filter(|from| from.checked_add(count).is_some_and(|end| end <= held.length)) {
            Some(from) => from,
            None => {
                if count > WINDOW_BYTES {
                    return Err(Fault::Structure("a structure is longer than a window"));
                }
                (held.at, held.length) = (at, 0);
                while held.length < WINDOW_BYTES {
                    let place = at.saturating_add(held.length as u64);
                    match self.source.read_at(place, &mut held.bytes[held.length..]).map_err(Fault::Read)? {
                        0 => break,
                        read => held.length += read,
                    }
                    if held.length >= count {
                        break;
                    }
                }
                if held.length < count {
                    return Err(Fault::Structure("it ends in the middle of a structure"));
                }
                0
            }
        };
        Ok(&held.bytes[from..from + count])
    }

    /// `N` bytes at `at`.
    ///
    /// # Errors
    ///
    /// As [`File::bytes`].
    pub fn array<const N: usize>(&mut self, window: usize, at: u64) -> Answer<[u8; N], R> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(window, at, N)?);
        Ok(array)
    }

    /// An unsigned number of 32 bits, most significant byte first.
    ///
    /// # Errors
    ///
    /// As [`File::bytes`].
    pub fn u32(&mut self, window: usize, at: u64) -> Answer<u32, R> {
        self.array(window, at).map(u32::from_be_bytes)
    }

    /// An unsigned number of 64 bits, most significant byte first.
    ///
    /// # Errors
    ///
    /// As [`File::bytes`].
    pub fn u64(&mut self, window: usize, at: u64) -> Answer<u64, R> {
        self.array(window, at).map(u64::from_be_bytes)
    }
}

/// What tests read.
#[cfg(test)]
pub(crate) mod memory {
    use super::{File, ReadAt, Windows};

    /// A file in memory, of which a read gives a few hundred bytes at most.
    pub struct Memory<'a>(pub &'a [u8]);

    impl ReadAt for Memory<'_> {
        type Error = ();
        fn size(&self) -> u64 {
            self.0.len() as u64
        }
        fn read_at(&mut self, at: u64, out: &mut [u8]) -> Result<usize, ()> {
            let rest = usize::try_from(at).ok().and_then(|at| self.0.get(at..)).unwrap_or_default();
            let count = rest.len().min(out.len()).min(700);
            out[..count].copy_from_slice(&rest[..count]);
            Ok(count)
        }
    }

    /// One request to a file of these bytes.
    pub fn with_file<T>(bytes: &[u8], run: impl FnOnce(&mut File<'_, Memory<'_>>) -> T) -> T {
        let mut windows = Windows::new();
        run(&mut File::new(&mut Memory(bytes), &mut windows))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::*;

    /// Gives at most 1000 bytes a read, and counts.
    struct Slow(Vec<u8>, usize);

    impl ReadAt for Slow {
        type Error = ();
        fn size(&self) -> u64 {
            self.0.len() as u64
        }
        fn read_at(&mut self, at: u64, out: &mut [u8]) -> Result<usize, ()> {
            self.1 += 1;
            let rest = self.0.get(at as usize..).unwrap_or_default();
            let count = rest.len().min(out.len()).min(1000);
            out[..count].copy_from_slice(&rest[..count]);
            Ok(count)
        }
    }

    #[test]
    fn bytes_come_from_a_window_as_long_as_they_lie_in_it() {
        let mut source = Slow((0..=255).cycle().take(10_000).collect(), 0);
        let mut windows = Windows::new();
        let mut file = File::new(&mut source, &mut windows);
        assert_eq!(file.u32(0, 0), Ok(0x0001_0203));
        assert_eq!(file.u32(0, 996), Ok(u32::from_be_bytes([228, 229, 230, 231])));
        assert_eq!(file.source.1, 1);
        assert_eq!(file.bytes(0, 997, 4).map(|bytes| bytes[0]), Ok(229));
        assert_eq!(file.bytes(1, 0, 3000).map(<[u8]>::len), Ok(3000));
        assert_eq!(file.source.1, 2 + 3);
    }

    #[test]
    fn the_end_and_what_is_too_long_are_faults() {
        let mut source = Slow(std::vec![7; 100], 0);
        let mut windows = Windows::new();
        let mut file = File::new(&mut source, &mut windows);
        assert!(matches!(file.u64(0, 93), Err(Fault::Structure(_))));
        assert!(matches!(file.u32(0, u64::MAX), Err(Fault::Structure(_))));
        assert!(matches!(file.bytes(0, 0, WINDOW_BYTES + 1), Err(Fault::Structure(_))));
        assert_eq!(file.array(0, 98), Ok([7, 7]));
        assert!((0..=STRUCTURES_MOST).any(|_| file.look().is_err()));
    }

    #[test]
    fn a_new_request_forgets_what_was_held() {
        let mut windows = Windows::new();
        assert_eq!(File::new(&mut Slow(std::vec![1; 9], 0), &mut windows).array(0, 0), Ok([1]));
        assert_eq!(File::new(&mut Slow(std::vec![2; 9], 0), &mut windows).array(0, 0), Ok([2]));
    }
}
