//! Where a connection puts commands and data messages together, in one fixed arena.

use core::ops::Range;

use crate::limits::{ASSEMBLY_BYTES, ASSEMBLY_PARTS};

use super::chunk_reader::Lane;

/// The arena cannot take this message: it is longer than what is free, or too many are half received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AssemblyFull;

#[derive(Clone, Copy, Debug)]
struct Part {
    lane: Lane,
    start: u16,
    length: u16,
    filled: u16,
}

/// Messages under way, one per lane at most. Removing one moves the later ones together.
pub struct Assembly {
    bytes: [u8; ASSEMBLY_BYTES],
    parts: heapless::Vec<Part, ASSEMBLY_PARTS>,
}

impl Default for Assembly {
    fn default() -> Assembly {
        Assembly { bytes: [0; ASSEMBLY_BYTES], parts: heapless::Vec::new() }
    }
}

impl Assembly {
    /// Reserves `length` bytes for the message that begins on `lane`.
    pub fn begin(&mut self, lane: Lane, length: u32) -> Result<(), AssemblyFull> {
        let free = self.free();
        if length as usize > free {
            return Err(AssemblyFull);
        }
        let start = ASSEMBLY_BYTES - free;
        let part = Part { lane, start: start as u16, length: length as u16, filled: 0 };
        self.parts.push(part).map_err(|_| AssemblyFull)
    }

    /// Adds payload to the lane's message. Bytes beyond its length, or of a lane without one, are ignored.
    pub fn append(&mut self, lane: Lane, payload: &[u8]) {
        let Some(part) = self.parts.iter_mut().find(|part| part.lane == lane) else { return };
        let n = payload.len().min(usize::from(part.length - part.filled));
        let at = usize::from(part.start + part.filled);
        self.bytes[at..at + n].copy_from_slice(&payload[..n]);
        part.filled += n as u16;
    }

    /// Reserves at most `most` bytes for what is kept of a message that does not fit.
    pub fn begin_part_of(&mut self, lane: Lane, most: usize) -> Result<(), AssemblyFull> {
        self.begin(lane, self.free().min(most) as u32)
    }

    /// Bytes that are not reserved.
    fn free(&self) -> usize {
        ASSEMBLY_BYTES - self.parts.last().map_or(0, |last| usize::from(last.start) + usize::from(last.length))
    }

    /// All that is reserved for the lane's message, for who puts it together. [`Assembly::set_received`] says how much it is.
    pub fn reserved(&mut self, lane: Lane) -> &mut [u8] {
        match self.parts.iter().find(|part| part.lane == lane) {
            Some(part) => &mut self.bytes[usize::from(part.start)..][..usize::from(part.length)],
            None => &mut [],
        }
    }

    /// So many of the reserved bytes are the message.
    pub fn set_received(&mut self, lane: Lane, bytes: usize) {
        if let Some(part) = self.parts.iter_mut().find(|part| part.lane == lane) {
            part.filled = (bytes as u16).min(part.length);
        }
    }

    /// What was received of the lane's message; empty when there is none.
    pub fn message(&self, lane: Lane) -> &[u8] {
        match self.parts.iter().find(|part| part.lane == lane) {
            Some(part) => &self.bytes[usize::from(part.start)..][..usize::from(part.filled)],
            None => &[],
        }
    }

    /// The lane's message is put together here, however long it is.
    pub fn holds(&self, lane: Lane) -> bool {
        self.parts.iter().any(|part| part.lane == lane)
    }

    /// Keeps no more of the lane's message than `range`, as that of another lane: this one may put the next together.
    pub fn keep(&mut self, lane: Lane, range: Range<usize>, as_of: Lane) {
        let Some(at) = self.parts.iter().position(|part| part.lane == lane) else { return };
        if range.is_empty() {
            return self.remove(lane);
        }
        let start = usize::from(self.parts[at].start);
        let end = start + range.end.min(usize::from(self.parts[at].filled));
        self.bytes.copy_within((start + range.start).min(end)..end, start);
        let kept = (end - (start + range.start).min(end)) as u16;
        let gone = self.parts[at].length - kept;
        self.parts[at] = Part { lane: as_of, start: start as u16, length: kept, filled: kept };
        self.close_up(at + 1, gone);
    }

    /// Gives the lane's bytes back.
    pub fn remove(&mut self, lane: Lane) {
        let Some(at) = self.parts.iter().position(|part| part.lane == lane) else { return };
        let gone = self.parts.remove(at);
        self.close_up(at, gone.length);
    }

    /// Moves the parts from `at` on down by so many bytes.
    fn close_up(&mut self, at: usize, bytes: u16) {
        let Some(start) = self.parts.get(at).map(|part| usize::from(part.start)) else { return };
        let end = ASSEMBLY_BYTES - self.free();
        self.bytes.copy_within(start..end, start - usize::from(bytes));
        for part in &mut self.parts[at..] {
            part.start -= bytes;
        }
    }

    /// The whole arena, before the first message: the handshake collects C1 in it.
    pub fn scratch(&mut self) -> &mut [u8; ASSEMBLY_BYTES] {
        debug_assert!(self.parts.is_empty(), "messages are being put together here");
        &mut self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_several_lanes_grow_side_by_side() {
        let mut assembly = Assembly::default();
        for (lane, length) in [(1, 3), (2, 4), (3, 2)] {
            assembly.begin(Lane(lane), length).unwrap();
        }
        assembly.append(Lane(2), b"ab");
        assembly.append(Lane(3), b"yz");
        assembly.append(Lane(1), b"123");
        assembly.remove(Lane(1));
        assembly.append(Lane(2), b"cd-too-long");
        assert_eq!(assembly.message(Lane(2)), b"abcd");
        assert_eq!(assembly.message(Lane(3)), b"yz");
        assembly.remove(Lane(2));
        assert_eq!(assembly.message(Lane(3)), b"yz");
        assert_eq!(assembly.message(Lane(1)), b"");
    }

    #[test]
    fn what_is_kept_of_a_message_is_another_lanes_and_takes_no_more_room_than_it_has() {
        let mut assembly = Assembly::default();
        for (lane, length) in [(1, 6), (2, 3)] {
            assembly.begin(Lane(lane), length).unwrap();
        }
        assembly.append(Lane(1), b"abcdef");
        assembly.append(Lane(2), b"xy");
        assembly.keep(Lane(1), 2..5, Lane(9));
        assembly.begin(Lane(1), 2).unwrap();
        assembly.append(Lane(1), b"12");
        assembly.append(Lane(2), b"z");
        assert_eq!((assembly.message(Lane(9)), assembly.message(Lane(1))), (&b"cde"[..], &b"12"[..]));
        assert_eq!(assembly.message(Lane(2)), b"xyz");
        assembly.remove(Lane(9));
        assembly.keep(Lane(2), 1..1, Lane(9));
        assert_eq!((assembly.message(Lane(1)), assembly.message(Lane(9))), (&b"12"[..], &b""[..]));
        assembly.begin(Lane(3), ASSEMBLY_BYTES as u32 - 2).unwrap();
    }

    #[test]
    fn full_is_an_answer() {
        let mut assembly = Assembly::default();
        assert_eq!(assembly.begin(Lane(0), ASSEMBLY_BYTES as u32 + 1), Err(AssemblyFull));
        assembly.begin(Lane(0), ASSEMBLY_BYTES as u32).unwrap();
        assert_eq!(assembly.begin(Lane(1), 1), Err(AssemblyFull));
        assembly.remove(Lane(0));
        for lane in 0..ASSEMBLY_PARTS as u8 {
            assembly.begin(Lane(lane), 1).unwrap();
        }
        assert_eq!(assembly.begin(Lane(9), 1), Err(AssemblyFull));
    }
}
