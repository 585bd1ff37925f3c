//! The text of a script on its way from the disk to the process that runs it: piece by piece, and nothing of it stays in the
//! server.

use std::boxed::Box;

use core::fmt;

use crate::limits::SCRIPT_PIECE_BYTES;
use crate::wire::bytes::Full;
use crate::wire::script_link::FileRole;

/// Longest name of a script's file in bytes: a directory's entry, in `scripts/`.
const NAME_BYTES: usize = 264;

/// The place of a piece of text: the server has one for each script process, and it only moves.
pub struct TextBlock {
    /// The file's name in the first [`NAME_BYTES`], and the piece behind them.
    bytes: Box<[u8]>,
    name: u16,
    piece: u16,
    role: FileRole,
}

const _: () = assert!(SCRIPT_PIECE_BYTES <= u16::MAX as usize, "the range of its length");

impl TextBlock {
    /// Bytes of a block.
    pub const BYTES: usize = NAME_BYTES + SCRIPT_PIECE_BYTES;

    /// One with nothing in it.
    pub fn new() -> TextBlock {
        TextBlock { bytes: vec![0xA5; TextBlock::BYTES].into_boxed_slice(), name: 0, piece: 0, role: FileRole::Main }
    }

    /// Another file begins: its pieces follow.
    ///
    /// # Errors
    ///
    /// There is no room for its name.
    pub fn begin(&mut self, role: FileRole, name: &str) -> Result<(), Full> {
        let room = self.bytes[..NAME_BYTES].get_mut(..name.len()).ok_or(Full)?;
        room.copy_from_slice(name.as_bytes());
        (self.role, self.name, self.piece) = (role, name.len() as u16, 0);
        Ok(())
    }

    /// Puts a piece of that file in, which `read` writes to where it is told and whose length it returns. A piece that is shorter
    /// than there is room for is the last.
    ///
    /// # Errors
    ///
    /// Those of `read`.
    pub fn fill<E>(&mut self, read: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Result<&[u8], E> {
        self.piece = read(&mut self.bytes[NAME_BYTES..])? as u16;
        Ok(self.piece())
    }

    /// What the file is to its script.
    pub fn role(&self) -> FileRole {
        self.role
    }

    /// The file's name in it.
    pub fn name(&self) -> &str {
        // It was a text when it was put there.
        core::str::from_utf8(&self.bytes[..usize::from(self.name)]).unwrap_or_default()
    }

    /// A part of the file.
    pub fn piece(&self) -> &[u8] {
        &self.bytes[NAME_BYTES..][..usize::from(self.piece)]
    }

    /// Nothing of that file follows.
    pub fn is_last(&self) -> bool {
        usize::from(self.piece) < SCRIPT_PIECE_BYTES
    }
}

impl Default for TextBlock {
    fn default() -> TextBlock {
        TextBlock::new()
    }
}

impl fmt::Debug for TextBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?} {} bytes", self.role, self.name(), self.piece)
    }
}

impl PartialEq for TextBlock {
    fn eq(&self, other: &TextBlock) -> bool {
        (self.role, self.name(), self.piece()) == (other.role, other.name(), other.piece())
    }
}

/// What follows a piece of a script's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextFollows {
    /// Another one.
    More,
    /// Nothing: all of it was as its stamp says.
    Nothing,
    /// Nothing, and the piece is none: the files are not what they were, or cannot be read now.
    Changed,
    /// The same, and no file will be read any more.
    Fault,
}
