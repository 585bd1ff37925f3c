//! What every RTMP client does below its commands: the simple handshake, chunks in, acknowledgements, answers to pings.

use std::fmt;

use crate::limits::HANDSHAKE_BYTES;
use crate::rtmp::chunk_reader::{ChunkError, ChunkEvent, ChunkReader, Lane, Payload};
use crate::wire::chunk::MessageHeader;
use crate::wire::handshake::{self, FirstByte, first_byte};
use crate::wire::message::{Control, UserControl, type_id};

use super::send;

/// Acknowledgement window that we keep until the server names one, in bytes.
const WINDOW_BYTES: u32 = 2_500_000;
/// Bytes kept of a command; more are counted but dropped. What a server measures bandwidth with is longer.
pub const COMMAND_BYTES: usize = 64 * 1024;
/// Bytes of which [`ClientSession::new`] reserves a command's memory at once; a length is easily claimed.
const RESERVED_BYTES: usize = 4096;

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming<'i> {
    /// The handshake is done: send [`send::chunk_size`] and `connect`.
    Open,
    /// A command, without the format byte of type 17.
    Command {
        /// Message stream id.
        stream_id: u32,
        /// Its first [`COMMAND_BYTES`].
        body: Vec<u8>,
    },
    /// An audio or video message begins. Messages of different lanes interleave.
    MediaBegin(Lane, MessageHeader),
    /// The next bytes of the lane's message.
    MediaData(Lane, Payload<'i>),
    /// The lane's message is complete.
    MediaEnd(Lane, MessageHeader),
    /// The lane's message will not be completed.
    MediaAbort(Lane),
}

/// What a server sent that no RTMP server sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientError {
    /// Its first byte is not S0.
    NotRtmp(u8),
    /// Its chunks make no sense.
    Chunks(ChunkError),
}

#[derive(Debug)]
enum Phase {
    /// S0 and S1 are collected.
    S1(Vec<u8>),
    /// So many bytes of S2 are still to come.
    S2(usize),
    Messages,
}

/// See the module's documentation.
pub struct ClientSession {
    phase: Phase,
    reader: ChunkReader,
    /// Messages other than media that are being received.
    parts: Vec<(Lane, Vec<u8>)>,
    received: u32,
    acknowledged: u32,
    window: u32,
}

impl ClientSession {
    /// A session that begins: C0 and C1 are appended to `out`. `seed` makes its random bytes, which are no secret: the
    /// server echoes them.
    pub fn new(seed: u64, out: &mut Vec<u8>) -> ClientSession {
        let mut request = [0; 1 + HANDSHAKE_BYTES];
        let mut seed = seed | 1;
        handshake::request_simple(
            0,
            &mut |bytes| {
                for byte in bytes {
                    seed = seed.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
                    *byte = (seed >> 56) as u8;
                }
            },
            &mut request,
        );
        out.extend_from_slice(&request);
        ClientSession {
            phase: Phase::S1(Vec::new()),
            reader: ChunkReader::default(),
            parts: Vec::new(),
            received: 0,
            acknowledged: 0,
            window: WINDOW_BYTES,
        }
    }

    /// Takes input until something came; `None` when all of it was taken. Answers of the protocol's own are appended to
    /// `out`.
    ///
    /// # Errors
    ///
    /// The server does not speak RTMP: the session is of no use any more.
    pub fn next<'i>(&mut self, input: &mut &'i [u8], out: &mut Vec<u8>) -> Result<Option<Incoming<'i>>, ClientError> {
        let before = input.len();
        let incoming = match self.phase {
            Phase::Messages => self.message(input, out),
            _ => self.handshake(input, out),
        };
        self.received = self.received.wrapping_add((before - input.len()) as u32);
        let due = self.received.wrapping_sub(self.acknowledged) >= self.window;
        if due && matches!(self.phase, Phase::Messages) {
            self.acknowledged = self.received;
            send::control(out, Control::Acknowledgement(self.received));
        }
        incoming
    }

    fn handshake<'i>(&mut self, input: &mut &'i [u8], out: &mut Vec<u8>) -> Result<Option<Incoming<'i>>, ClientError> {
        if let Phase::S1(collected) = &mut self.phase {
            let (taken, rest) = input.split_at(input.len().min(1 + HANDSHAKE_BYTES - collected.len()));
            collected.extend_from_slice(taken);
            *input = rest;
            match collected.first() {
                Some(&first) if first != handshake::VERSION => return Err(ClientError::NotRtmp(first)),
                _ if collected.len() < 1 + HANDSHAKE_BYTES => return Ok(None),
                _ => {}
            }
            let s1: &handshake::Packet = collected[1..].try_into().expect("S1 has been collected whole");
            let mut c2 = [0; HANDSHAKE_BYTES];
            handshake::echo(s1, 0, &mut c2);
            out.extend_from_slice(&c2);
            self.phase = Phase::S2(HANDSHAKE_BYTES);
        }
        if let Phase::S2(left) = &mut self.phase {
            let taken = input.len().min(*left);
            *input = &input[taken..];
            *left -= taken;
            if *left == 0 {
                self.phase = Phase::Messages;
                return Ok(Some(Incoming::Open));
            }
        }
        Ok(None)
    }

    fn message<'i>(&mut self, input: &mut &'i [u8], out: &mut Vec<u8>) -> Result<Option<Incoming<'i>>, ClientError> {
        while let Some(event) = self.reader.next(input, None).map_err(ClientError::Chunks)? {
            match event {
                ChunkEvent::Begin { lane, header } => match header.type_id {
                    type_id::AUDIO | type_id::VIDEO => return Ok(Some(Incoming::MediaBegin(lane, header))),
                    type_id::DATA | type_id::DATA_AMF3 | type_id::AGGREGATE => {}
                    _ => self.parts.push((lane, Vec::with_capacity((header.length as usize).min(RESERVED_BYTES)))),
                },
                ChunkEvent::Payload { lane, bytes } => {
                    if self.is_media(lane) {
                        return Ok(Some(Incoming::MediaData(lane, bytes)));
                    }
                    if let Some((_, body)) = self.parts.iter_mut().find(|part| part.0 == lane) {
                        let room = COMMAND_BYTES - body.len();
                        body.extend_from_slice(&bytes[..bytes.len().min(room)]);
                    }
                }
                ChunkEvent::Abandoned { lane } => {
                    self.parts.retain(|part| part.0 != lane);
                    if self.is_media(lane) {
                        return Ok(Some(Incoming::MediaAbort(lane)));
                    }
                }
                ChunkEvent::End { lane } => {
                    let header = self.reader.message(lane);
                    if self.is_media(lane) {
                        return Ok(Some(Incoming::MediaEnd(lane, header)));
                    }
                    let Some(at) = self.parts.iter().position(|part| part.0 == lane) else { continue };
                    let (_, mut body) = self.parts.swap_remove(at);
                    let stream_id = header.stream_id;
                    match header.type_id {
                        type_id::COMMAND => return Ok(Some(Incoming::Command { stream_id, body })),
                        type_id::COMMAND_AMF3 => {
                            // A format byte stands before the AMF 0 values.
                            body.drain(..body.len().min(1));
                            return Ok(Some(Incoming::Command { stream_id, body }));
                        }
                        type_id::USER_CONTROL => {
                            if let Some(UserControl::PingRequest(stamp)) = UserControl::parse(&body) {
                                send::user_control(out, UserControl::PingResponse(stamp));
                            }
                        }
                        type_id => {
                            if let Some(lane) = self.control(type_id, &body) {
                                return Ok(Some(Incoming::MediaAbort(lane)));
                            }
                        }
                    }
                }
            }
        }
        Ok(None)
    }

    /// The lane of a media message that will not be completed, if that is what the message says.
    fn control(&mut self, type_id: u8, body: &[u8]) -> Option<Lane> {
        match Control::parse(type_id, body) {
            Some(Control::SetChunkSize(bytes)) => self.reader.set_chunk_size(bytes),
            Some(Control::Abort(chunk_stream)) => {
                let lane = self.reader.abort(chunk_stream)?;
                self.parts.retain(|part| part.0 != lane);
                return self.is_media(lane).then_some(lane);
            }
            Some(Control::WindowAcknowledgementSize(bytes)) => self.window = bytes.max(1),
            _ => {}
        }
        None
    }

    fn is_media(&self, lane: Lane) -> bool {
        matches!(self.reader.message(lane).type_id, type_id::AUDIO | type_id::VIDEO)
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            ClientError::NotRtmp(byte) => match first_byte(byte) {
                FirstByte::Tls => write!(f, "not an RTMP server: it speaks TLS"),
                FirstByte::Http => write!(f, "not an RTMP server: it speaks HTTP, or something like it"),
                FirstByte::Ssh => write!(f, "not an RTMP server: it speaks SSH"),
                _ => write!(f, "not an RTMP server: its first byte is {byte:#04x}"),
            },
            ClientError::Chunks(error) => write!(f, "unreadable chunks: {error:?}"),
        }
    }
}

impl std::error::Error for ClientError {}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// S0, S1 and S2.
    pub(crate) fn greeting() -> Vec<u8> {
        let mut bytes = vec![0; 1 + 2 * HANDSHAKE_BYTES];
        bytes[0] = handshake::VERSION;
        bytes
    }

    fn all(session: &mut ClientSession, mut input: &[u8], out: &mut Vec<u8>) -> Vec<String> {
        let mut found = Vec::new();
        while let Some(incoming) = session.next(&mut input, out).unwrap() {
            found.push(format!("{incoming:?}"));
        }
        found
    }

    #[test]
    fn the_protocol_answers_for_itself_wherever_the_input_is_cut() {
        let mut server = greeting();
        // Chunk size 1, a window of 20 bytes, a ping, then "x" 0 null as a command in single bytes.
        server.extend(b"\x02\0\0\0\0\0\x04\x01\0\0\0\0\0\0\0\x01");
        server.extend(b"\x02\0\0\0\0\0\x04\x05\0\0\0\0\0\xC2\0\xC2\0\xC2\x14");
        server.extend(b"\x02\0\0\0\0\0\x06\x04\0\0\0\0\0\xC2\x06\xC2\0\xC2\0\xC2\0\xC2\x09");
        server.extend(b"\x03\0\0\0\0\0\x0E\x14\0\0\0\0\x02\xC3\0\xC3\x01\xC3x");
        server.extend(b"\xC3\0".repeat(9));
        server.extend(b"\xC3\x05");
        let pong = b"\x02\0\0\0\0\0\x06\x04\0\0\0\0\0\x07\0\0\0\x09";
        let command = b"\x02\0\x01x\0\0\0\0\0\0\0\0\0\x05".to_vec();
        let command = format!("{:?}", Incoming::Command { stream_id: 0, body: command });
        for step in [1, 7, server.len()] {
            let mut out = Vec::new();
            let mut session = ClientSession::new(1, &mut out);
            assert_eq!(out.len(), 1 + HANDSHAKE_BYTES);
            out.clear();
            let found: Vec<String> = server.chunks(step).flat_map(|part| all(&mut session, part, &mut out)).collect();
            assert_eq!(found, ["Open", &command]);
            assert!(out.windows(pong.len()).any(|bytes| bytes == pong), "no answer to the ping");
            assert!(
                out[HANDSHAKE_BYTES..].windows(8).any(|bytes| bytes == b"\x02\0\0\0\0\0\x04\x03"),
                "no acknowledgement"
            );
        }
    }

    #[test]
    fn media_passes_through_and_what_is_no_rtmp_is_named() {
        let mut out = Vec::new();
        let mut session = ClientSession::new(1, &mut out);
        let mut server = greeting();
        server.extend(b"\x06\0\0\x07\0\0\x02\x09\x01\0\0\0ab");
        let found = all(&mut session, &server, &mut out);
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(found[1].starts_with("MediaBegin(") && found[3].starts_with("MediaEnd("), "{found:?}");
        assert_eq!(found[2], r#"MediaData(Lane(0), Input([97, 98]))"#);
        for (greeting, name) in [(&b"HTTP/1.1 400"[..], "HTTP"), (b"SSH-2.0", "SSH"), (b"\x15\x03", "0x15")] {
            let error = ClientSession::new(1, &mut out).next(&mut &*greeting, &mut out).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
