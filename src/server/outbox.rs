//! Messages of scripts that do not fit a connection's control bytes: a list of users, a long result. They wait in blocks that
//! were obtained at the start and that all clients share, and are sent between two frames when nothing else is due, each as a whole.
//!
//! A client's messages are a run of bytes through its blocks, each message behind its length. Blocks that were sent are free at
//! once, so that a slow client keeps no more than what it has not taken.

use std::boxed::Box;
use std::io::IoSlice;
use std::vec;

use crate::limits::{OUT_CHUNK_BYTES, OUTBOX_BYTES, OUTBOXES_BYTES, SCRIPT_NAME_BYTES, SCRIPT_VALUE_BYTES};
use crate::rtmp::tx::{COMMAND_CONTINUATION, COMMAND_HEADER_BYTES, emit_command};

/// Bytes of a command beside its name and arguments: chunk header, markers, transaction id.
const FRAME_BYTES: usize = 64;
/// The longest command, as one chunk.
const COMMAND_BYTES: usize = FRAME_BYTES + SCRIPT_NAME_BYTES + SCRIPT_VALUE_BYTES;
/// Bytes of a block.
const BLOCK_BYTES: usize = 1024;
/// Bytes of a message's length.
const LENGTH_BYTES: usize = 4;
/// Pieces of a message that one write takes.
const PIECES: usize = 16;

/// No block.
const NONE: u16 = u16::MAX;
const _: () = assert!(OUTBOXES_BYTES / BLOCK_BYTES < NONE as usize);

#[derive(Clone)]
struct MessageBlock {
    next: u16,
    bytes: [u8; BLOCK_BYTES],
}

/// What waits for all clients.
pub struct Outboxes {
    blocks: Box<[MessageBlock]>,
    /// The first free block.
    free: u16,
    /// How many are free.
    left: usize,
    /// Where a command is put together.
    command: Box<[u8]>,
}

/// The messages that wait for one client.
#[derive(Clone, Copy, Debug)]
pub struct Outbox {
    /// The block where the first byte is, and where that is in it.
    first: u16,
    begin: u16,
    /// The block where the last byte is, and where that ends.
    last: u16,
    end: u16,
    /// Bytes that wait, those of lengths included.
    bytes: u32,
    /// Bytes of the oldest message that were not sent; 0 when its length was not looked at.
    rest: u32,
}

impl Default for Outbox {
    fn default() -> Outbox {
        Outbox { first: NONE, begin: 0, last: NONE, end: 0, bytes: 0, rest: 0 }
    }
}

impl Outbox {
    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> usize {
        self.bytes as usize
    }
}

impl Outboxes {
    /// Room for [`OUTBOXES_BYTES`]; for nothing where no scripts run.
    pub fn new(any: bool) -> Outboxes {
        let count = if any { OUTBOXES_BYTES / BLOCK_BYTES } else { 0 };
        let blocks = (0..count).map(|at| MessageBlock {
            next: if at + 1 < count { at as u16 + 1 } else { NONE },
            bytes: [0xA5; BLOCK_BYTES],
        });
        Outboxes {
            blocks: blocks.collect(),
            free: if any { 0 } else { NONE },
            left: count,
            command: vec![0xA5; if any { COMMAND_BYTES } else { 0 }].into_boxed_slice(),
        }
    }

    /// Bytes that this takes where scripts run.
    pub fn memory_bytes() -> usize {
        OUTBOXES_BYTES / BLOCK_BYTES * size_of::<MessageBlock>() + COMMAND_BYTES
    }

    /// Bytes of blocks in use.
    pub fn used_bytes(&self) -> usize {
        (self.blocks.len() - self.left) * BLOCK_BYTES
    }

    /// Adds a command on the connection with encoded AMF0 `arguments`. False when there is no room for it, be it the client's own
    /// or that of all.
    pub fn push(&mut self, outbox: &mut Outbox, name: &str, transaction: f64, arguments: &[u8]) -> bool {
        let Some(length) = emit_command(&mut self.command, name, transaction, arguments) else { return false };
        let beyond = length.saturating_sub(COMMAND_HEADER_BYTES + OUT_CHUNK_BYTES);
        let length_sent = length + beyond.div_ceil(OUT_CHUNK_BYTES);
        let all = LENGTH_BYTES + length_sent;
        let room = if outbox.last == NONE { 0 } else { BLOCK_BYTES - usize::from(outbox.end) };
        if outbox.bytes() + all > OUTBOX_BYTES || all > room + self.left * BLOCK_BYTES {
            return false;
        }
        self.append(outbox, &(length_sent as u32).to_be_bytes());
        // Out of its place while its bytes are borrowed.
        let command = core::mem::take(&mut self.command);
        let (first, rest) = command[..length].split_at(length - beyond);
        self.append(outbox, first);
        for chunk in rest.chunks(OUT_CHUNK_BYTES) {
            self.append(outbox, &[COMMAND_CONTINUATION]);
            self.append(outbox, chunk);
        }
        self.command = command;
        true
    }

    /// The pieces of what was not sent of the oldest message, as far as one write takes them.
    pub fn front<'a>(&'a mut self, outbox: &mut Outbox) -> heapless::Vec<IoSlice<'a>, PIECES> {
        if outbox.rest == 0 && !outbox.is_empty() {
            let mut length = [0; LENGTH_BYTES];
            for byte in &mut length {
                *byte = self.blocks[usize::from(outbox.first)].bytes[usize::from(outbox.begin)];
                self.drop_front(outbox, 1);
            }
            outbox.rest = u32::from_be_bytes(length);
        }
        let mut pieces = heapless::Vec::new();
        let (mut at, mut from, mut left) = (outbox.first, usize::from(outbox.begin), outbox.rest as usize);
        while left > 0 && !pieces.is_full() {
            let block = &self.blocks[usize::from(at)];
            let to = (from + left).min(BLOCK_BYTES);
            // There is room: that was asked.
            let _ = pieces.push(IoSlice::new(&block.bytes[from..to]));
            left -= to - from;
            (at, from) = (block.next, 0);
        }
        pieces
    }

    /// So many bytes of the oldest message were sent, behind [`Outboxes::front`]. True when it is through.
    pub fn sent(&mut self, outbox: &mut Outbox, bytes: usize) -> bool {
        self.drop_front(outbox, bytes);
        outbox.rest -= bytes as u32;
        outbox.rest == 0
    }

    /// Forgets all messages, but what was not sent of the oldest if `keep`, which says that it was begun.
    pub fn clear(&mut self, outbox: &mut Outbox, keep: bool) {
        if !keep || outbox.rest == 0 {
            self.drop_front(outbox, outbox.bytes());
            outbox.rest = 0;
            return;
        }
        // Its blocks stay, and all behind them are free.
        let (mut at, mut end) = (outbox.first, usize::from(outbox.begin) + outbox.rest as usize);
        while end > BLOCK_BYTES {
            (at, end) = (self.blocks[usize::from(at)].next, end - BLOCK_BYTES);
        }
        let mut next = core::mem::replace(&mut self.blocks[usize::from(at)].next, NONE);
        while next != NONE {
            next = self.release(next);
        }
        (outbox.last, outbox.end, outbox.bytes) = (at, end as u16, outbox.rest);
    }

    /// Adds bytes, for which there is room.
    fn append(&mut self, outbox: &mut Outbox, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if outbox.last == NONE || usize::from(outbox.end) == BLOCK_BYTES {
                let block = self.free;
                let Some(taken) = self.blocks.get_mut(usize::from(block)) else { return };
                self.free = core::mem::replace(&mut taken.next, NONE);
                self.left -= 1;
                match self.blocks.get_mut(usize::from(outbox.last)) {
                    Some(last) => last.next = block,
                    None => (outbox.first, outbox.begin) = (block, 0),
                }
                (outbox.last, outbox.end) = (block, 0);
            }
            let end = usize::from(outbox.end);
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK_BYTES - end));
            self.blocks[usize::from(outbox.last)].bytes[end..end + now.len()].copy_from_slice(now);
            outbox.end += now.len() as u16;
            outbox.bytes += now.len() as u32;
            bytes = later;
        }
    }

    /// Takes the first bytes away, and gives their blocks back.
    fn drop_front(&mut self, outbox: &mut Outbox, mut bytes: usize) {
        outbox.bytes -= bytes as u32;
        while bytes > 0 {
            let here = if outbox.first == outbox.last { usize::from(outbox.end) } else { BLOCK_BYTES };
            let taken = bytes.min(here - usize::from(outbox.begin));
            outbox.begin += taken as u16;
            bytes -= taken;
            if usize::from(outbox.begin) == here && outbox.first != outbox.last {
                (outbox.first, outbox.begin) = (self.release(outbox.first), 0);
            }
        }
        if outbox.is_empty() && outbox.first != NONE {
            self.release(outbox.first);
            *outbox = Outbox { rest: outbox.rest, ..Outbox::default() };
        }
    }

    /// Gives a block back, and returns the one behind it.
    fn release(&mut self, block: u16) -> u16 {
        let next = core::mem::replace(&mut self.blocks[usize::from(block)].next, self.free);
        self.free = block;
        self.left += 1;
        next
    }
}

/// The most bytes that a command takes.
pub fn command_bytes(name: &str, arguments: &[u8]) -> usize {
    FRAME_BYTES + name.len() + arguments.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::collections::VecDeque;
    use std::vec::Vec;

    use super::*;

    /// The command as one run of bytes.
    fn message(name: &str, arguments: &[u8]) -> Vec<u8> {
        let mut out = vec![0; COMMAND_BYTES];
        let length = emit_command(&mut out, name, 0.0, arguments).unwrap();
        out.truncate(length);
        let mut end = COMMAND_HEADER_BYTES + OUT_CHUNK_BYTES;
        while end < out.len() {
            out.insert(end, COMMAND_CONTINUATION);
            end += 1 + OUT_CHUNK_BYTES;
        }
        out
    }

    /// What one write takes, at most `most` bytes.
    fn write(outboxes: &mut Outboxes, outbox: &mut Outbox, most: usize) -> Vec<u8> {
        let mut written: Vec<u8> = outboxes.front(outbox).iter().flat_map(|piece| piece.to_vec()).collect();
        written.truncate(most);
        written
    }

    #[test]
    fn what_is_longer_than_a_chunk_goes_in_several() {
        let (mut outboxes, mut outbox) = (Outboxes::new(true), Outbox::default());
        let body = [7; SCRIPT_VALUE_BYTES];
        assert!(outboxes.push(&mut outbox, "a", 0.0, &body));
        let mut sent = Vec::new();
        while !outbox.is_empty() {
            let written = write(&mut outboxes, &mut outbox, usize::MAX);
            outboxes.sent(&mut outbox, written.len());
            sent.extend(written);
        }
        assert_eq!(sent, message("a", &body));
        assert_eq!(sent[COMMAND_HEADER_BYTES + OUT_CHUNK_BYTES], COMMAND_CONTINUATION);
        assert_eq!(outboxes.used_bytes(), 0);
    }

    #[test]
    fn what_does_not_fit_is_refused_whole() {
        let (mut outboxes, mut first) = (Outboxes::new(true), Outbox::default());
        let long = [5; 50_000];
        assert!(outboxes.push(&mut first, "a", 0.0, &long) && outboxes.push(&mut first, "b", 0.0, &long));
        let bytes = first.bytes();
        assert!(!outboxes.push(&mut first, "c", 0.0, &long), "more than a client may have");
        assert_eq!(first.bytes(), bytes);
        let mut others = [Outbox::default(); 8];
        let pushed = others.iter_mut().filter_map(|other| outboxes.push(other, "d", 0.0, &long).then_some(())).count();
        assert_eq!(pushed, (OUTBOXES_BYTES - 2 * 50_000) / 51_000, "the others have the rest");
        assert!(
            !Outboxes::new(false).push(&mut Outbox::default(), "a", 0.0, &[]),
            "where no scripts run there are none"
        );
    }

    proptest! {
        #[test]
        fn messages_leave_in_their_order_whatever_is_sent_at_once_and_every_block_comes_back(
            steps in prop::collection::vec((0..3usize, 0..4usize, 0..4000usize), 1..80),
        ) {
            let mut outboxes = Outboxes::new(true);
            let mut outbox = [Outbox::default(); 3];
            let mut waits: [VecDeque<Vec<u8>>; 3] = Default::default();
            let mut begun = [false; 3];
            for (who, what, size) in steps {
                let (own, waits, begun) = (&mut outbox[who], &mut waits[who], &mut begun[who]);
                match what {
                    0 | 1 => {
                        let arguments = vec![size as u8; size];
                        if outboxes.push(own, "name", 0.0, &arguments) {
                            waits.push_back(message("name", &arguments));
                        }
                    }
                    2 => {
                        let written = write(&mut outboxes, own, size + 1);
                        prop_assert_eq!(written.is_empty(), waits.is_empty());
                        if let Some(front) = waits.front_mut() {
                            prop_assert_eq!(&front[..written.len()], &written[..]);
                            front.drain(..written.len());
                            let through = outboxes.sent(own, written.len());
                            prop_assert_eq!(through, front.is_empty());
                            *begun = !through;
                            if through {
                                waits.pop_front();
                            }
                        }
                    }
                    _ => {
                        outboxes.clear(own, *begun);
                        waits.truncate(usize::from(*begun));
                    }
                }
                prop_assert_eq!(own.is_empty(), waits.is_empty());
            }
            for own in &mut outbox {
                outboxes.clear(own, false);
            }
            prop_assert_eq!(outboxes.used_bytes(), 0);
        }
    }
}
