//! WebSocket (RFC 6455) as a server of media speaks it: frames of any length out, and in nothing but control frames.
//!
//! What clients send is masked, short and whole. Neither text nor binary messages are expected of them, and no extension is
//! agreed on, so everything else is an error of the protocol (close code 1002), which keeps the reader as small as a control frame.

use base64ct::{Base64, Encoding};
use heapless::String;
use sha1::{Digest, Sha1};

/// Longest head of a frame that a server sends.
pub const HEAD_BYTES: usize = 10;
/// Longest payload of a control frame (section 5.5).
pub const CONTROL_BYTES: usize = 125;
/// Head and mask of a control frame that a client sends.
const CLIENT_HEAD_BYTES: usize = 6;
/// Appended to a client's key (section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// What a frame is (section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// A message of text.
    Text,
    /// A message of bytes.
    Binary,
    /// The sender ends the connection.
    Close,
    /// The sender wants a sign of life.
    Ping,
    /// A sign of life.
    Pong,
}

impl FrameKind {
    const fn opcode(self) -> u8 {
        match self {
            FrameKind::Text => 0x1,
            FrameKind::Binary => 0x2,
            FrameKind::Close => 0x8,
            FrameKind::Ping => 0x9,
            FrameKind::Pong => 0xA,
        }
    }
}

/// Why a connection is closed (section 7.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCode {
    /// It is over.
    Normal,
    /// The server goes away.
    GoingAway,
    /// The peer broke the protocol.
    ProtocolError,
    /// A reason that is no UTF-8.
    NoText,
}

impl CloseCode {
    /// Its number.
    pub const fn number(self) -> u16 {
        match self {
            CloseCode::Normal => 1000,
            CloseCode::GoingAway => 1001,
            CloseCode::ProtocolError => 1002,
            CloseCode::NoText => 1007,
        }
    }
}

/// What a client is answered that showed this key (section 4.2.2).
pub fn accept(key: &str) -> String<28> {
    let digest = Sha1::new().chain_update(key.as_bytes()).chain_update(GUID).finalize();
    let mut bytes = [0; 28];
    // Twenty bytes are 28 letters.
    let text = Base64::encode(&digest, &mut bytes).unwrap_or_default();
    String::try_from(text).unwrap_or_default()
}

/// The head of a whole message of `length` bytes, and how many of the bytes it has.
pub fn head(kind: FrameKind, length: u64) -> ([u8; HEAD_BYTES], usize) {
    let mut head = [0; HEAD_BYTES];
    head[0] = 0x80 | kind.opcode();
    let bytes = match length {
        0..=125 => {
            head[1] = length as u8;
            2
        }
        126..=0xFFFF => {
            head[1] = 126;
            head[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            4
        }
        _ => {
            head[1] = 127;
            head[2..].copy_from_slice(&length.to_be_bytes());
            10
        }
    };
    (head, bytes)
}

/// What a client said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientFrame {
    /// It wants a sign of life, with these bytes in it.
    Ping(heapless::Vec<u8, CONTROL_BYTES>),
    /// It gave one.
    Pong,
    /// It ends the connection, for this reason if it said one: the answer is the same.
    Close(Option<u16>),
}

/// Reads what a client sends.
#[derive(Clone, Debug, Default)]
pub struct ClientFrames {
    frame: heapless::Vec<u8, { CLIENT_HEAD_BYTES + CONTROL_BYTES }>,
}

impl ClientFrames {
    /// The next frame; `None` when all input is taken.
    ///
    /// # Errors
    ///
    /// The code to close with.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<ClientFrame>, CloseCode> {
        while let [byte, rest @ ..] = *input {
            *input = rest;
            // A frame ends before its place is full.
            let _ = self.frame.push(*byte);
            let [first, second, ..] = self.frame[..] else {
                check_first(self.frame[0])?;
                continue;
            };
            // Masked, and of a length that control frames have.
            if second & 0x80 == 0 || usize::from(second & 0x7F) > CONTROL_BYTES {
                return Err(CloseCode::ProtocolError);
            }
            let length = usize::from(second & 0x7F);
            if self.frame.len() == CLIENT_HEAD_BYTES + length {
                let frame = self.whole(first);
                self.frame.clear();
                return frame.map(Some);
            }
        }
        Ok(None)
    }

    fn whole(&self, first: u8) -> Result<ClientFrame, CloseCode> {
        let (mask, masked) = self.frame[2..].split_at(4);
        let payload = masked.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
        let payload: heapless::Vec<u8, CONTROL_BYTES> = payload.collect();
        match first & 0x0F {
            0x8 => close(&payload),
            0x9 => Ok(ClientFrame::Ping(payload)),
            _ => Ok(ClientFrame::Pong),
        }
    }
}

/// Final, without reserved bits (section 5.2), and a control frame.
fn check_first(first: u8) -> Result<(), CloseCode> {
    match first {
        0x88..=0x8A => Ok(()),
        _ => Err(CloseCode::ProtocolError),
    }
}

/// The payload of a close frame (section 5.5.1): nothing, or a code (section 7.4) and a text.
fn close(payload: &[u8]) -> Result<ClientFrame, CloseCode> {
    match payload {
        [] => Ok(ClientFrame::Close(None)),
        [_] => Err(CloseCode::ProtocolError),
        [high, low, text @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
                return Err(CloseCode::ProtocolError);
            }
            core::str::from_utf8(text).map_err(|_| CloseCode::NoText)?;
            Ok(ClientFrame::Close(Some(code)))
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    /// A frame as a client sends it.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mask = [0x37, 0xFA, 0x21, 0x3D];
        let mut bytes = vec![first, 0x80 | payload.len() as u8];
        bytes.extend(mask);
        bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Option<ClientFrame>, CloseCode> {
        ClientFrames::default().next(&mut &bytes[..])
    }

    #[test]
    fn the_key_of_the_specification_has_its_answer() {
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn heads_have_the_shortest_length() {
        let bytes = |length| {
            let (head, count) = head(FrameKind::Binary, length);
            head[..count].to_vec()
        };
        assert_eq!(bytes(0), [0x82, 0]);
        assert_eq!(bytes(125), [0x82, 125]);
        assert_eq!(bytes(126), [0x82, 126, 0, 126]);
        assert_eq!(bytes(0xFFFF), [0x82, 126, 0xFF, 0xFF]);
        assert_eq!(bytes(0x1_0000), [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
        assert_eq!(head(FrameKind::Text, 1).0[0], 0x81);
    }

    #[test]
    fn a_ping_is_given_back_and_a_pong_taken() {
        let payload = heapless::Vec::from_slice(b"Hello").unwrap();
        assert_eq!(read(&frame(0x89, b"Hello")), Ok(Some(ClientFrame::Ping(payload))));
        assert_eq!(read(&frame(0x8A, b"")), Ok(Some(ClientFrame::Pong)));
        let longest = frame(0x89, &[7; 125]);
        assert!(matches!(read(&longest), Ok(Some(ClientFrame::Ping(payload))) if payload.len() == 125));
    }

    #[test]
    fn a_frame_that_is_not_masked_is_an_error() {
        assert_eq!(read(&[0x89, 0]), Err(CloseCode::ProtocolError));
    }

    #[test]
    fn a_control_frame_longer_than_125_bytes_is_an_error() {
        assert_eq!(read(&[0x89, 0xFE]), Err(CloseCode::ProtocolError));
        assert_eq!(read(&[0x89, 0xFF]), Err(CloseCode::ProtocolError));
    }

    #[test]
    fn a_control_frame_in_fragments_is_an_error() {
        assert_eq!(read(&[0x09]), Err(CloseCode::ProtocolError));
    }

    #[test]
    fn reserved_bits_are_an_error() {
        for bit in [0x40, 0x20, 0x10] {
            assert_eq!(read(&[0x89 | bit]), Err(CloseCode::ProtocolError));
        }
    }

    #[test]
    fn reserved_opcodes_and_messages_are_an_error() {
        for opcode in (0..=0xF).filter(|opcode| !(0x8..=0xA).contains(opcode)) {
            assert_eq!(read(&[0x80 | opcode]), Err(CloseCode::ProtocolError), "{opcode:x}");
        }
    }

    #[test]
    fn a_close_has_no_code_or_one_that_may_be_sent() {
        assert_eq!(read(&frame(0x88, &[])), Ok(Some(ClientFrame::Close(None))));
        for (code, may) in
            [(999, false), (1000, true), (1004, false), (1005, false), (1006, false), (1011, true), (1015, false)]
                .into_iter()
                .chain([(2999, false), (3000, true), (4999, true), (5000, false)])
        {
            let closes = read(&frame(0x88, &u16::to_be_bytes(code)));
            let expected = if may { Ok(Some(ClientFrame::Close(Some(code)))) } else { Err(CloseCode::ProtocolError) };
            assert_eq!(closes, expected, "{code}");
        }
        assert_eq!(read(&frame(0x88, &[3])), Err(CloseCode::ProtocolError));
        assert_eq!(read(&frame(0x88, &[3, 0xE8, 0xFF])), Err(CloseCode::NoText));
    }

    proptest! {
        #[test]
        fn frames_are_the_same_in_pieces_of_any_length(
            payloads in prop::collection::vec((0x89_u8..=0x8A, prop::collection::vec(any::<u8>(), 0..=125)), 1..5),
            cuts in prop::collection::vec(1_usize..40, 1..6),
        ) {
            let bytes: Vec<u8> = payloads.iter().flat_map(|(first, payload)| frame(*first, payload)).collect();
            let (mut reader, mut found, mut rest) = (ClientFrames::default(), Vec::new(), &bytes[..]);
            for cut in cuts.iter().cycle() {
                let (mut piece, behind) = rest.split_at((*cut).min(rest.len()));
                while let Some(frame) = reader.next(&mut piece).unwrap() {
                    found.push(frame);
                }
                prop_assert!(piece.is_empty());
                rest = behind;
                if rest.is_empty() {
                    break;
                }
            }
            let expected: Vec<ClientFrame> = payloads.iter().map(|(first, payload)| match first {
                0x89 => ClientFrame::Ping(heapless::Vec::from_slice(payload).unwrap()),
                _ => ClientFrame::Pong,
            }).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn no_bytes_are_more_than_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let (mut reader, mut input) = (ClientFrames::default(), &bytes[..]);
            while let Ok(Some(_)) = reader.next(&mut input) {}
        }
    }
}
