//! Messages of a client as chunks (RTMP 1.0, section 5.3), appended to what its socket is to send.

use crate::wire::amf0::Encoder;
use crate::wire::bytes::{Full, Writer};
use crate::wire::chunk::{MAX_TYPE0_BYTES, MessageHeader};
use crate::wire::message::{Control, UserControl, type_id};

/// Chunk size we send with, OBS's. Announce it with [`chunk_size`] before the first message.
pub const CHUNK_BYTES: usize = 4096;
/// Longest command we send, in bytes. Servers take far less.
pub const COMMAND_BYTES: usize = 1 << 20;
/// Chunk stream of protocol-control and user-control messages (section 5.4).
const CONTROL_CHUNK_STREAM: u8 = 2;
/// Chunk stream of commands.
const COMMAND_CHUNK_STREAM: u8 = 3;
/// A type-3 header on [`COMMAND_CHUNK_STREAM`] or another one-byte chunk stream.
const CONTINUATION: u8 = 0xC0;

/// Announces [`CHUNK_BYTES`].
pub fn chunk_size(out: &mut Vec<u8>) {
    let (type_id, body) = Control::SetChunkSize(CHUNK_BYTES as u32).emit();
    message(out, CONTROL_CHUNK_STREAM, type_id, 0, &body);
}

/// A user-control message.
pub fn user_control(out: &mut Vec<u8>, event: UserControl) {
    message(out, CONTROL_CHUNK_STREAM, type_id::USER_CONTROL, 0, &event.emit());
}

/// A command on message stream `stream_id` (0: the connection); `values` writes everything behind the name and the
/// transaction id. `values` may be called more than once.
///
/// # Errors
///
/// [`Full`] when the command is longer than [`COMMAND_BYTES`]; nothing is appended then.
pub fn command(
    out: &mut Vec<u8>,
    stream_id: u32,
    name: &str,
    transaction: f64,
    values: impl Fn(&mut Encoder<'_, '_>) -> Result<(), Full>,
) -> Result<(), Full> {
    let body = command_body(name, transaction, values)?;
    message(out, COMMAND_CHUNK_STREAM, type_id::COMMAND, stream_id, &body);
    Ok(())
}

/// The same in the envelope that AMF 3 connections use: type 17, a format byte, then AMF 0 values.
///
/// # Errors
///
/// As [`command`].
pub fn command_amf3(
    out: &mut Vec<u8>,
    stream_id: u32,
    name: &str,
    transaction: f64,
    values: impl Fn(&mut Encoder<'_, '_>) -> Result<(), Full>,
) -> Result<(), Full> {
    let mut body = command_body(name, transaction, values)?;
    body.insert(0, 0);
    message(out, COMMAND_CHUNK_STREAM, type_id::COMMAND_AMF3, stream_id, &body);
    Ok(())
}

fn command_body(
    name: &str,
    transaction: f64,
    values: impl Fn(&mut Encoder<'_, '_>) -> Result<(), Full>,
) -> Result<Vec<u8>, Full> {
    encoded(|amf| {
        amf.string(name)?;
        amf.number(transaction)?;
        values(amf)
    })
}

/// What `values` writes, in as much memory as it needs.
fn encoded(values: impl Fn(&mut Encoder<'_, '_>) -> Result<(), Full>) -> Result<Vec<u8>, Full> {
    let mut size = 512;
    loop {
        let mut body = vec![0; size];
        let mut writer = Writer::new(&mut body);
        match values(&mut Encoder::new(&mut writer)) {
            Ok(()) => {
                let length = writer.len();
                body.truncate(length);
                return Ok(body);
            }
            Err(Full) if size < COMMAND_BYTES => size *= 2,
            Err(Full) => return Err(Full),
        }
    }
}

fn message(out: &mut Vec<u8>, chunk_stream: u8, type_id: u8, stream_id: u32, body: &[u8]) {
    let mut header = [0; MAX_TYPE0_BYTES];
    let length = MessageHeader { timestamp: 0, length: body.len() as u32, type_id, stream_id }
        .emit_type0(chunk_stream, &mut header);
    out.extend_from_slice(&header[..length]);
    for (index, chunk) in body.chunks(CHUNK_BYTES).enumerate() {
        if index > 0 {
            out.push(CONTINUATION | chunk_stream);
        }
        out.extend_from_slice(chunk);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_one_message_and_in_the_envelope_of_amf_3_a_byte_longer() {
        let mut out = Vec::new();
        command(&mut out, 0, "ping", 2.0, |amf| amf.null()).unwrap();
        assert_eq!(out, b"\x03\0\0\0\0\0\x11\x14\0\0\0\0\x02\0\x04ping\0\x40\0\0\0\0\0\0\0\x05");
        out.clear();
        command_amf3(&mut out, 0, "ping", 2.0, |amf| amf.null()).unwrap();
        assert_eq!(out, b"\x03\0\0\0\0\0\x12\x11\0\0\0\0\0\x02\0\x04ping\0\x40\0\0\0\0\0\0\0\x05");
    }

    #[test]
    fn a_long_command_is_cut_into_chunks_and_one_that_is_too_long_is_refused() {
        let mut out = Vec::new();
        let text = "x".repeat(2 * CHUNK_BYTES);
        command(&mut out, 0, "f", 0.0, |amf| amf.string(&text)).unwrap();
        let body = 4 + 9 + 3 + text.len();
        assert_eq!(out.len(), 12 + body + 2);
        assert_eq!((out[12 + CHUNK_BYTES], out[12 + 1 + 2 * CHUNK_BYTES]), (0xC3, 0xC3));
        let endless = "x".repeat(COMMAND_BYTES);
        out.clear();
        assert_eq!(command(&mut out, 0, "f", 0.0, |amf| amf.string(&endless)), Err(Full));
        assert!(out.is_empty());
    }
}
