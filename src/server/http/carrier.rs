//! What carries a viewer's bytes: nothing, chunks of HTTP, or messages of a WebSocket.

use crate::media::Head;
use crate::rtmp::tx::TxBuf;
use crate::wire::bytes::Full;
use crate::wire::websocket::{self, FrameKind};

/// What stands around each run of bytes on its way to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    /// Nothing.
    Plain,
    /// The length of a chunk, and its end (RFC 9112, section 7.1).
    Chunked,
    /// The head of a message.
    WebSocket,
}

impl Carrier {
    /// What stands before `length` bytes.
    pub(super) fn head(self, length: u32) -> Head {
        match self {
            Carrier::Plain => Head::EMPTY,
            Carrier::Chunked => {
                let mut digits = [0; 10];
                let mut at = digits.len() - 2;
                digits[at..].copy_from_slice(b"\r\n");
                let mut rest = length;
                loop {
                    at -= 1;
                    digits[at] = b"0123456789abcdef"[(rest & 0xF) as usize];
                    rest >>= 4;
                    if rest == 0 {
                        break;
                    }
                }
                Head::new(&digits[at..])
            }
            Carrier::WebSocket => {
                let (head, bytes) = websocket::head(FrameKind::Binary, length.into());
                Head::new(&head[..bytes])
            }
        }
    }

    /// What stands behind them.
    pub(super) fn tail(self) -> &'static [u8] {
        if self == Carrier::Chunked { b"\r\n" } else { &[] }
    }

    /// Adds runs of bytes as one, whole or not at all.
    pub(super) fn put(self, tx: &mut TxBuf, runs: &[&[u8]]) -> Result<(), Full> {
        let length: usize = runs.iter().map(|run| run.len()).sum();
        put_whole(
            tx,
            [self.head(length as u32).as_slice()].into_iter().chain(runs.iter().copied()).chain([self.tail()]),
        )
    }
}

/// What stands behind the last chunk.
pub(super) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Adds runs of bytes as they are, whole or not at all.
pub(super) fn put_whole<'r>(tx: &mut TxBuf, runs: impl IntoIterator<Item = &'r [u8]>) -> Result<(), Full> {
    tx.write_with(|free| {
        let mut at = 0;
        for run in runs {
            free.get_mut(at..at + run.len())?.copy_from_slice(run);
            at += run.len();
        }
        Some(at)
    })
}

/// Why a viewer cannot be sent more as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotSaid {
    /// There is no room before what was said was taken.
    Later,
    /// What it was promised does not hold any more: it has to come again.
    Anew,
}

impl From<Full> for NotSaid {
    fn from(_: Full) -> NotSaid {
        NotSaid::Later
    }
}

/// Says a frame of a WebSocket, whole or not at all.
pub(super) fn say_whole(kind: FrameKind, payload: &[u8], tx: &mut TxBuf) -> Result<(), Full> {
    let (head, bytes) = websocket::head(kind, payload.len() as u64);
    put_whole(tx, [&head[..bytes], payload])
}
