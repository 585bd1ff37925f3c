//! Bandwidth detection on the wire: calls of a client's methods with so many bytes, which it answers as they arrive.
//!
//! Adobe's server calls `onBWCheck` until it knows enough, and `onBWDone(kbitDown, deltaDown, deltaTime, latency)` in the
//! end. librtmp knows the same under the names `_onbwcheck` and `_onbwdone`, and shows it by asking `_checkbw`.

use crate::limits::OUT_CHUNK_BYTES;
use crate::wire::amf0::Encoder;
use crate::wire::bytes::{Full, Writer};
use crate::wire::chunk::{MAX_TYPE0_BYTES, MessageHeader};
use crate::wire::message::type_id;

use super::tx::{COMMAND_CHUNK_STREAM, TxBuf};

/// Transaction ids of these calls are this and above, so that their answers are not taken for those to a script's calls,
/// which count from 1 and stay below. They fit a signed 32-bit integer, which is what some clients keep.
pub const FIRST_TRANSACTION: u32 = 1 << 24;

/// Payload of one call at most, in bytes. More is sent in more calls, because nothing else can be sent before a call that
/// has begun is complete: neither media nor a ping.
pub const PAYLOAD_BYTES: usize = 4096;

/// Longest front of a call with a payload, in bytes.
pub const FRONT_BYTES: usize = MAX_TYPE0_BYTES + AMF_FRONT_BYTES;

/// Name, transaction id, null, and marker and length of a string.
const AMF_FRONT_BYTES: usize = 3 + "_onbwcheck".len() + 9 + 1 + 3;

const _: () = assert!(AMF_FRONT_BYTES + PAYLOAD_BYTES <= OUT_CHUNK_BYTES, "a call is one chunk");

/// What the client calls it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// `onBWCheck` and `onBWDone`, as documented.
    #[default]
    Documented,
    /// `_onbwcheck` and `_onbwdone`, of clients that have sent `_checkbw`.
    Underscored,
}

impl Dialect {
    const fn check(self) -> &'static str {
        match self {
            Dialect::Documented => "onBWCheck",
            Dialect::Underscored => "_onbwcheck",
        }
    }

    const fn done(self) -> &'static str {
        match self {
            Dialect::Documented => "onBWDone",
            Dialect::Underscored => "_onbwdone",
        }
    }
}

/// What was found out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measurement {
    /// Kilobits a second from the server to the client; 0 when it is not known.
    pub kbit: u32,
    /// Bytes that were sent to find out, the chunks' and calls' own included.
    pub bytes: u64,
    /// How long they took, without the latency, in milliseconds.
    pub elapsed_ms: u32,
    /// From a call to its answer, in milliseconds.
    pub latency_ms: u32,
}

impl Measurement {
    /// From `bytes` that were answered `elapsed_ms` after the first was sent.
    pub fn new(bytes: u64, elapsed_ms: u64, latency_ms: u32) -> Measurement {
        // What is over faster than it can be told is taken for a millisecond.
        let elapsed_ms = elapsed_ms.saturating_sub(u64::from(latency_ms)).max(1);
        // Bits a millisecond are kilobits a second.
        let kbit = (bytes.saturating_mul(8) + elapsed_ms / 2) / elapsed_ms;
        let bounded = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        Measurement { kbit: bounded(kbit), bytes, elapsed_ms: bounded(elapsed_ms), latency_ms }
    }
}

/// Calls without a payload, for the latency.
pub fn ask(dialect: Dialect, transaction: u32, tx: &mut TxBuf) -> Result<(), Full> {
    tx.command(0, dialect.check(), f64::from(transaction), |amf| amf.null())
}

/// Tells the client the end of it: kilobits a second, kilobits, seconds, milliseconds of latency.
pub fn report(dialect: Dialect, measurement: &Measurement, tx: &mut TxBuf) -> Result<(), Full> {
    tx.command(0, dialect.done(), 0.0, |amf| {
        amf.null()?;
        amf.number(f64::from(measurement.kbit))?;
        amf.number(measurement.bytes as f64 * 8.0 / 1000.0)?;
        amf.number(f64::from(measurement.elapsed_ms) / 1000.0)?;
        amf.number(f64::from(measurement.latency_ms))
    })
}

/// What stands before the first `length` bytes of [`FILLER`] in a call with a payload.
///
/// # Panics
/// When `length` is above [`PAYLOAD_BYTES`].
pub fn front(dialect: Dialect, transaction: u32, length: u16) -> heapless::Vec<u8, FRONT_BYTES> {
    assert!(usize::from(length) <= PAYLOAD_BYTES, "a payload is a part of the filler");
    let mut bytes = [0; FRONT_BYTES];
    let mut amf_bytes = [0; AMF_FRONT_BYTES];
    let mut out = Writer::new(&mut amf_bytes);
    let written = emit_front(dialect, transaction, length, &mut out);
    debug_assert!(written.is_ok(), "the longest front fits");
    let amf = out.written();
    let length = amf.len() as u32 + u32::from(length);
    let header = MessageHeader { timestamp: 0, length, type_id: type_id::COMMAND, stream_id: 0 };
    let header_bytes = header.emit_type0(COMMAND_CHUNK_STREAM, &mut bytes);
    bytes[header_bytes..header_bytes + amf.len()].copy_from_slice(amf);
    heapless::Vec::from_slice(&bytes[..header_bytes + amf.len()]).unwrap_or_default()
}

fn emit_front(dialect: Dialect, transaction: u32, length: u16, out: &mut Writer<'_>) -> Result<(), Full> {
    let mut amf = Encoder::new(out);
    amf.string(dialect.check())?;
    amf.number(f64::from(transaction))?;
    amf.null()?;
    // A string, because every client can read one, and because its bytes need not be put together anywhere.
    out.put_u8(0x02)?;
    out.put_u16(length)
}

/// What payloads are made of: nothing that a link could send compressed, and still text in any encoding, because it
/// travels as a string.
pub static FILLER: [u8; PAYLOAD_BYTES] = filler();

const fn filler() -> [u8; PAYLOAD_BYTES] {
    let mut bytes = [0; PAYLOAD_BYTES];
    let mut state: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut at = 0;
    while at < PAYLOAD_BYTES {
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
    use super::*;

    #[test]
    fn a_call_with_a_payload_is_one_chunk_that_says_its_length() {
        let front = front(Dialect::Documented, FIRST_TRANSACTION, 5);
        assert_eq!(
            front.as_slice(),
            b"\x03\0\0\0\0\0\x1E\x14\0\0\0\0\x02\0\x09onBWCheck\0\x41\x70\0\0\0\0\0\0\x05\x02\0\x05"
        );
        assert_eq!(super::front(Dialect::Underscored, u32::MAX, PAYLOAD_BYTES as u16).len(), FRONT_BYTES - 4);
    }

    #[test]
    fn the_filler_is_text_that_uses_every_character_about_as_often() {
        assert!(core::str::from_utf8(&FILLER).is_ok());
        let mut counts = [0; 128];
        FILLER.iter().for_each(|&byte| counts[usize::from(byte)] += 1);
        assert_eq!(counts[0], 0);
        assert!(counts[1..].iter().all(|&count| (8..100).contains(&count)), "{counts:?}");
    }

    #[test]
    fn the_rate_is_what_was_answered_in_the_time_beyond_the_latency() {
        let measured = |bytes, elapsed_ms, latency_ms| Measurement::new(bytes, elapsed_ms, latency_ms).kbit;
        assert_eq!(measured(125_000, 1020, 20), 1000);
        assert_eq!(measured(1000, 5, 20), 8000);
        assert_eq!(measured(0, 100, 20), 0);
    }
}
