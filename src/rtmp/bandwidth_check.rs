//! Bandwidth detection on the wire: calls of a client's methods with so many bytes, which it answers as they arrive.
//!
//! Adobe's server calls `onBWCheck` until it knows enough, and `onBWDone(kbitDown, deltaDown, deltaTime, latency)` in the
//! end. librtmp knows the same under the names `_onbwcheck` and `_onbwdone`, and shows it by asking `_checkbw`.

use crate::limits::{ASK_BYTES, OUT_CHUNK_BYTES};
use crate::wire::amf0::Encoder;
use crate::wire::bytes::{Full, Writer};
use crate::wire::chunk::{MAX_TYPE0_BYTES, MessageHeader};
use crate::wire::message::type_id;

use super::tx::{COMMAND_CHUNK_STREAM, TxBuf};

/// Longest front of a call with a payload, in bytes.
const FRONT_BYTES: usize = MAX_TYPE0_BYTES + AMF_FRONT_BYTES;

/// Name, transaction id, null, and marker and length of a string.
const AMF_FRONT_BYTES: usize = 3 + "_onbwcheck".len() + 9 + 1 + 3;

const _: () = assert!(AMF_FRONT_BYTES + ASK_BYTES <= OUT_CHUNK_BYTES, "a call is one chunk");

/// What the client calls it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MethodNames {
    /// `onBWCheck` and `onBWDone`, as documented.
    #[default]
    Documented,
    /// `_onbwcheck` and `_onbwdone`, of clients that have sent `_checkbw`.
    Underscored,
}

impl MethodNames {
    const fn check(self) -> &'static str {
        match self {
            MethodNames::Documented => "onBWCheck",
            MethodNames::Underscored => "_onbwcheck",
        }
    }

    const fn done(self) -> &'static str {
        match self {
            MethodNames::Documented => "onBWDone",
            MethodNames::Underscored => "_onbwdone",
        }
    }
}

/// Calls without a payload, for the latency.
pub fn ask(names: MethodNames, transaction: u32, tx: &mut TxBuf) -> Result<(), Full> {
    tx.command(0, names.check(), f64::from(transaction), |amf| amf.null())
}

/// Tells the client the end of it: what it can be sent in kilobits a second, and the bytes, milliseconds and milliseconds of
/// latency by which that is known.
pub fn report(
    names: MethodNames,
    kbit: u32,
    bytes: u64,
    elapsed_ms: u32,
    latency_ms: u32,
    tx: &mut TxBuf,
) -> Result<(), Full> {
    tx.command(0, names.done(), 0.0, |amf| {
        amf.null()?;
        amf.number(f64::from(kbit))?;
        // Kilobits, and seconds.
        amf.number(bytes as f64 * 8.0 / 1000.0)?;
        amf.number(f64::from(elapsed_ms) / 1000.0)?;
        amf.number(f64::from(latency_ms))
    })
}

/// A call with a payload, which is held nowhere: what is left of it is made when it is sent.
#[derive(Clone, Copy, Debug)]
pub struct PayloadCall {
    names: MethodNames,
    transaction: u32,
    payload_bytes: u16,
    sent: u16,
}

impl PayloadCall {
    /// A call of which nothing was sent. Of its payload there are at most [`ASK_BYTES`].
    pub fn new(names: MethodNames, transaction: u32, payload_bytes: u16) -> PayloadCall {
        PayloadCall { names, transaction, payload_bytes: payload_bytes.min(ASK_BYTES as u16), sent: 0 }
    }

    /// Bytes of the whole call.
    pub fn wire_bytes(&self) -> usize {
        self.front().len() + usize::from(self.payload_bytes)
    }

    /// Lets `write` have what is left of it: of its front, and of its payload.
    pub fn rest<R>(&self, write: impl FnOnce(&[u8], &[u8]) -> R) -> R {
        let front = self.front();
        let sent = usize::from(self.sent);
        let payload = &FILLER[sent.saturating_sub(front.len())..usize::from(self.payload_bytes)];
        write(front.get(sent..).unwrap_or_default(), payload)
    }

    /// So many bytes more were sent. `None` when it is complete.
    pub fn advance(self, bytes: usize) -> Option<PayloadCall> {
        let sent = usize::from(self.sent) + bytes;
        (sent < self.wire_bytes()).then_some(PayloadCall { sent: sent as u16, ..self })
    }

    fn front(&self) -> heapless::Vec<u8, FRONT_BYTES> {
        front(self.names, self.transaction, self.payload_bytes)
    }
}

/// What stands before the first `length` bytes of [`FILLER`] in a call with a payload.
fn front(names: MethodNames, transaction: u32, length: u16) -> heapless::Vec<u8, FRONT_BYTES> {
    let mut bytes = [0; FRONT_BYTES];
    let mut amf_bytes = [0; AMF_FRONT_BYTES];
    let mut out = Writer::new(&mut amf_bytes);
    let written = emit_front(names, transaction, length, &mut out);
    debug_assert!(written.is_ok(), "the longest front fits");
    let amf = out.written();
    let length = amf.len() as u32 + u32::from(length);
    let header = MessageHeader { timestamp: 0, length, type_id: type_id::COMMAND, stream_id: 0 };
    let header_bytes = header.emit_type0(COMMAND_CHUNK_STREAM, &mut bytes);
    bytes[header_bytes..header_bytes + amf.len()].copy_from_slice(amf);
    heapless::Vec::from_slice(&bytes[..header_bytes + amf.len()]).unwrap_or_default()
}

fn emit_front(names: MethodNames, transaction: u32, length: u16, out: &mut Writer<'_>) -> Result<(), Full> {
    let mut amf = Encoder::new(out);
    amf.string(names.check())?;
    amf.number(f64::from(transaction))?;
    amf.null()?;
    // A string, because every client can read one, and because its bytes need not be put together anywhere.
    out.put_u8(0x02)?;
    out.put_u16(length)
}

/// What payloads are made of: nothing that a link could send compressed, and still text in any encoding, because it
/// travels as a string.
static FILLER: [u8; ASK_BYTES] = filler();

const fn filler() -> [u8; ASK_BYTES] {
    let mut bytes = [0; ASK_BYTES];
    let mut state: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut at = 0;
    while at < ASK_BYTES {
        // xorshift64: its upper bits are good enough to be incompressible.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let byte = (state >> 57) as u8;
        // Seven bits are a character each; a client that keeps strings as C does would stop at 0.
        bytes[at] = if byte == 0 { 1 } else { byte };
        at += 1;
    }
    bytes
}

#[cfg(test)]
mod tests {
    extern crate std;
    use crate::limits::FIRST_ASK_TRANSACTION;

    use super::*;

    #[test]
    fn a_call_with_a_payload_is_one_chunk_that_says_its_length() {
        let front = front(MethodNames::Documented, FIRST_ASK_TRANSACTION, 5);
        assert_eq!(
            front.as_slice(),
            b"\x03\0\0\0\0\0\x1E\x14\0\0\0\0\x02\0\x09onBWCheck\0\x41\x70\0\0\0\0\0\0\x05\x02\0\x05"
        );
        assert_eq!(super::front(MethodNames::Underscored, u32::MAX, ASK_BYTES as u16).len(), FRONT_BYTES - 4);
    }

    #[test]
    fn the_filler_is_text_that_uses_every_character_about_as_often() {
        assert!(core::str::from_utf8(&FILLER).is_ok());
        let mut counts = [0; 128];
        FILLER.iter().for_each(|&byte| counts[usize::from(byte)] += 1);
        assert_eq!(counts[0], 0);
        assert!(counts[1..].iter().all(|&count| (8..100).contains(&count)), "{counts:?}");
    }
}
