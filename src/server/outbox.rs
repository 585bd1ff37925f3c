//! Messages of scripts that do not fit a connection's control bytes: a list of users, a long result. They wait in the
//! scripts' own memory, and are sent between two frames when nothing else is due, each as a whole.

use std::boxed::Box;
use std::collections::VecDeque;
use std::vec;

use crate::account;
use crate::limits::{OUT_CHUNK_BYTES, OUTBOX_BYTES, OUTBOXES_BYTES};
use crate::rtmp::tx::{COMMAND_CONTINUATION, COMMAND_HEADER_BYTES, emit_command};

/// Bytes of a command beside its name and arguments: chunk header, markers, transaction id.
const FRAME_BYTES: usize = 64;

/// The messages that wait for one client.
#[derive(Default)]
pub struct Outbox {
    messages: VecDeque<Box<[u8]>>,
    bytes: usize,
}

impl Outbox {
    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The oldest message.
    pub fn front(&self) -> &[u8] {
        self.messages.front().map_or(&[], |message| message)
    }

    /// The oldest message was sent. Returns how many bytes it had.
    pub fn sent(&mut self) -> usize {
        let bytes = self.messages.pop_front().map_or(0, |message| message.len());
        self.bytes -= bytes;
        bytes
    }

    /// Adds a command on the connection with encoded AMF0 `arguments`, if it fits beside the `others` bytes that wait for
    /// all clients. Returns how many bytes it has.
    pub fn push(&mut self, name: &str, transaction: f64, arguments: &[u8], others: usize) -> Option<usize> {
        let most = command_bytes(name, arguments);
        if self.bytes + most > OUTBOX_BYTES || others + most > OUTBOXES_BYTES {
            return None;
        }
        account::spend(|| {
            let mut message = vec![0; most];
            let length = emit_command(&mut message, name, transaction, arguments)?;
            message.truncate(length);
            let mut end = COMMAND_HEADER_BYTES + OUT_CHUNK_BYTES;
            while end < message.len() {
                message.insert(end, COMMAND_CONTINUATION);
                end += 1 + OUT_CHUNK_BYTES;
            }
            let length = message.len();
            self.messages.push_back(message.into_boxed_slice());
            self.bytes += length;
            Some(length)
        })
    }

    /// Forgets everything but the first `kept` messages. Returns how many bytes that were.
    pub fn truncate(&mut self, kept: usize) -> usize {
        let before = self.bytes;
        self.messages.truncate(kept);
        self.bytes = self.messages.iter().map(|message| message.len()).sum();
        before - self.bytes
    }
}

/// The most bytes that a command takes.
pub fn command_bytes(name: &str, arguments: &[u8]) -> usize {
    FRAME_BYTES + name.len() + arguments.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_longer_than_a_chunk_goes_in_several() {
        let mut outbox = Outbox::default();
        let body = [7; 2 * OUT_CHUNK_BYTES];
        let length = outbox.push("a", 0.0, &body, 0).unwrap();
        // Name, transaction and null are 14 bytes, and two chunks follow the first.
        assert_eq!(length, COMMAND_HEADER_BYTES + 14 + body.len() + 2);
        let chunks = &outbox.front()[COMMAND_HEADER_BYTES..];
        let continued = [OUT_CHUNK_BYTES, 2 * OUT_CHUNK_BYTES + 1];
        assert_eq!(continued.map(|at| chunks[at]), [0xC3; 2]);
        assert_eq!(chunks.iter().filter(|&&byte| byte == 7).count(), body.len());
    }

    #[test]
    fn messages_leave_in_their_order_and_what_does_not_fit_is_refused() {
        let mut outbox = Outbox::default();
        let long = [5; 50_000];
        let first = outbox.push("a", 0.0, &long, 0).unwrap();
        let second = outbox.push("b", 7.0, &[1, 1], first).unwrap();
        assert!(outbox.push("c", 0.0, &[0; OUTBOX_BYTES], 0).is_none(), "longer than all that may wait");
        assert!(outbox.push("c", 0.0, &long, OUTBOXES_BYTES - 50_000).is_none(), "the others have the room");
        outbox.push("c", 0.0, &long, 0).unwrap();
        assert!(outbox.push("d", 0.0, &long, 0).is_none(), "more than a client may have");
        assert_eq!(outbox.front().len(), first);
        assert_eq!(outbox.sent(), first);
        // Chunk header, "b", transaction, null, true.
        assert_eq!(outbox.front()[12..], [&[2, 0, 1, b'b', 0][..], &7f64.to_be_bytes(), &[5, 1, 1]].concat());
        assert_eq!((outbox.sent(), outbox.truncate(0) > 50_000), (second, true));
        assert_eq!((outbox.bytes(), outbox.is_empty()), (0, true));
    }
}
