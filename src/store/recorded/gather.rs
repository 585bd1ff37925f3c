//! What messages of a block consist of, read straight into it: pieces that follow each other in the file lie in the block with headers
//! between them, and one read fetches all of them. A block of pictures and sound is then two reads at most, and none of its bytes is
//! copied from one place of memory to another.

use core::ops::Range;

use heapless::Vec;

use crate::live::recorded::Block;
use crate::wire::windows::ReadAt;

/// Most pieces of one read.
pub(super) const PIECES: usize = 64;

/// Runs side by side: pictures and sound may lie apart.
const RUNS: usize = 2;

/// What is to be read.
#[derive(Default)]
pub(super) struct Gather {
    runs: [Run; RUNS],
    /// Not all could be read: the block is filled again, piece by piece.
    pub(super) failed: bool,
}

/// Bytes that lie together in the file.
#[derive(Default)]
struct Run {
    from: u64,
    bytes: u64,
    /// Where they go in the block, in their order.
    pieces: Vec<Range<u32>, PIECES>,
}

impl Gather {
    /// What lies in the file from `at` on goes into these places of the block, at the latest with [`Gather::read`]. Where it does not follow
    /// what was put before it begins the run of this number.
    pub(super) fn put<R: ReadAt>(&mut self, file: &mut R, run: usize, at: u64, places: Range<u32>, block: &mut Block) {
        let goes_on = |run: &Run| !run.pieces.is_empty() && !run.pieces.is_full() && run.from + run.bytes == at;
        let followed = self.runs.iter().position(goes_on);
        let own = &mut self.runs[followed.unwrap_or(run)];
        if followed.is_none() {
            self.failed |= !own.read(file, block);
            (own.from, own.bytes) = (at, 0);
        }
        own.bytes += u64::from(places.end - places.start);
        let pushed = own.pieces.push(places);
        debug_assert!(pushed.is_ok(), "a run that is full is not followed");
    }

    /// Reads what was not read before.
    pub(super) fn read<R: ReadAt>(&mut self, file: &mut R, block: &mut Block) {
        for run in &mut self.runs {
            self.failed |= !run.read(file, block);
        }
    }
}

impl Run {
    /// False when not all could be read.
    fn read<R: ReadAt>(&mut self, file: &mut R, block: &mut Block) -> bool {
        let mut out = Vec::<&mut [u8], PIECES>::new();
        let (mut rest, mut at) = (block.bytes_mut(), 0);
        for Range { start, end } in self.pieces.iter().cloned() {
            let (piece, behind) = rest[(start - at) as usize..].split_at_mut((end - start) as usize);
            let _ = out.push(piece);
            (rest, at) = (behind, end);
        }
        let is_read = match out.as_mut_slice() {
            [] => true,
            [piece] => matches!(file.read_at(self.from, piece), Ok(count) if count as u64 == self.bytes),
            pieces => matches!(file.read_pieces(self.from, pieces), Ok(count) if count as u64 == self.bytes),
        };
        self.pieces.clear();
        is_read
    }
}
