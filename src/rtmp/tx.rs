//! Outgoing control bytes of one connection: replies, statuses and pings, complete messages only.

use crate::limits::{OUT_CHUNK_BYTES, TX_BYTES};
use crate::wire::amf0::Encoder;
use crate::wire::bytes::{Full, Writer};
use crate::wire::chunk::{MAX_TYPE0_BYTES, MessageHeader};
use crate::wire::message::{Control, UserControl, type_id};

const _: () = assert!(TX_BYTES <= OUT_CHUNK_BYTES, "a control message is one chunk");

/// Chunk stream of protocol-control and user-control messages (RTMP 1.0, section 5.4).
const CONTROL_CHUNK_STREAM: u8 = 2;
/// Chunk stream of commands on the connection.
pub const COMMAND_CHUNK_STREAM: u8 = 3;
/// Chunk stream of commands and data on a net stream.
const STREAM_CHUNK_STREAM: u8 = 5;

/// A bounded queue of bytes. A message goes in whole or not at all; [`Full`] is an ordinary answer.
///
/// Its ends come first: they are read far more often than its bytes.
#[repr(C)]
pub struct TxBuf {
    start: usize,
    end: usize,
    bytes: [u8; TX_BYTES],
}

impl Default for TxBuf {
    fn default() -> TxBuf {
        TxBuf { bytes: [0; TX_BYTES], start: 0, end: 0 }
    }
}

impl TxBuf {
    /// What waits to be sent, oldest first.
    pub fn pending(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Bytes that still fit.
    pub fn room(&self) -> usize {
        TX_BYTES - (self.end - self.start)
    }

    /// The first `n` pending bytes were sent.
    ///
    /// # Panics
    /// When fewer are pending.
    pub fn consume(&mut self, n: usize) {
        assert!(n <= self.end - self.start, "more bytes were sent than waited");
        self.start += n;
        if self.start == self.end {
            self.clear();
        }
    }

    /// Forgets what waits.
    pub fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
    }

    /// Lets `write` fill the free bytes in place; it returns how many it filled, or `None` to leave all as it was.
    pub fn write_with(&mut self, write: impl FnOnce(&mut [u8]) -> Option<usize>) -> Result<(), Full> {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let written = write(&mut self.bytes[self.end..]).ok_or(Full)?;
        self.end += written;
        Ok(())
    }

    /// Adds a protocol-control message.
    pub fn control(&mut self, control: Control) -> Result<(), Full> {
        let (type_id, body) = control.emit();
        self.message(CONTROL_CHUNK_STREAM, type_id, 0, |out| out.put_slice(&body))
    }

    /// Adds a user-control message.
    pub fn user_control(&mut self, event: UserControl) -> Result<(), Full> {
        let body = event.emit();
        self.message(CONTROL_CHUNK_STREAM, type_id::USER_CONTROL, 0, |out| out.put_slice(&body))
    }

    /// Adds a command on message stream `stream_id` (0: the connection); `values` writes everything after the name and
    /// the transaction id.
    pub fn command(
        &mut self,
        stream_id: u32,
        name: &str,
        transaction: f64,
        values: impl FnOnce(&mut Encoder<'_, '_>) -> Result<(), Full>,
    ) -> Result<(), Full> {
        let chunk_stream = if stream_id == 0 { COMMAND_CHUNK_STREAM } else { STREAM_CHUNK_STREAM };
        self.message(chunk_stream, type_id::COMMAND, stream_id, |out| {
            let mut amf = Encoder::new(out);
            amf.string(name)?;
            amf.number(transaction)?;
            values(&mut amf)
        })
    }

    /// Adds a data message on message stream `stream_id`.
    pub fn data(
        &mut self,
        stream_id: u32,
        values: impl FnOnce(&mut Encoder<'_, '_>) -> Result<(), Full>,
    ) -> Result<(), Full> {
        self.message(STREAM_CHUNK_STREAM, type_id::DATA, stream_id, |out| values(&mut Encoder::new(out)))
    }

    fn message(
        &mut self,
        chunk_stream: u8,
        type_id: u8,
        stream_id: u32,
        body: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>,
    ) -> Result<(), Full> {
        self.write_with(|free| emit(free, chunk_stream, type_id, stream_id, body))
    }
}

/// The header of each further chunk of a command on the connection (RTMP 1.0, section 5.3.1.2.4).
pub const COMMAND_CONTINUATION: u8 = 0xC0 | COMMAND_CHUNK_STREAM;
/// Bytes of the header of its first one.
pub const COMMAND_HEADER_BYTES: usize = 12;

/// Writes a command on the connection, with encoded AMF0 `arguments` behind a null, as if it were one chunk. `None` when it does not
/// fit `out`; else how many bytes it has.
pub fn emit_command(out: &mut [u8], name: &str, transaction: f64, arguments: &[u8]) -> Option<usize> {
    emit(out, COMMAND_CHUNK_STREAM, type_id::COMMAND, 0, |out| {
        let mut amf = Encoder::new(out);
        amf.string(name)?;
        amf.number(transaction)?;
        amf.null()?;
        amf.encoded(arguments)
    })
}

/// Writes a message as one chunk.
fn emit(
    free: &mut [u8],
    chunk_stream: u8,
    type_id: u8,
    stream_id: u32,
    body: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>,
) -> Option<usize> {
    if free.len() < MAX_TYPE0_BYTES {
        return None;
    }
    let header_len = MessageHeader { timestamp: 0, length: 0, type_id, stream_id }.emit_type0(chunk_stream, free);
    let mut out = Writer::new(&mut free[header_len..]);
    body(&mut out).ok()?;
    let length = out.len();
    let header = MessageHeader { timestamp: 0, length: length as u32, type_id, stream_id };
    header.emit_type0(chunk_stream, free);
    Some(header_len + length)
}
