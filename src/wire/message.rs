//! Message type ids and the bodies of protocol-control and user-control messages (RTMP 1.0, sections 5.4, 6 and 7.1).

use byteorder::{BigEndian, ByteOrder};

/// Message type ids (section 7.1).
pub mod type_id {
    /// Set Chunk Size (section 5.4.1).
    pub const SET_CHUNK_SIZE: u8 = 1;
    /// Abort Message (section 5.4.2).
    pub const ABORT: u8 = 2;
    /// Acknowledgement (section 5.4.3).
    pub const ACKNOWLEDGEMENT: u8 = 3;
    /// User Control (section 7.1.7).
    pub const USER_CONTROL: u8 = 4;
    /// Window Acknowledgement Size (section 5.4.4).
    pub const WINDOW_ACKNOWLEDGEMENT_SIZE: u8 = 5;
    /// Set Peer Bandwidth (section 5.4.5).
    pub const SET_PEER_BANDWIDTH: u8 = 6;
    /// Audio (section 7.1.4): the body of an FLV audio tag.
    pub const AUDIO: u8 = 8;
    /// Video (section 7.1.5): the body of an FLV video tag.
    pub const VIDEO: u8 = 9;
    /// Data in the AMF3 envelope: a format byte, then AMF0.
    pub const DATA_AMF3: u8 = 15;
    /// Command in the AMF3 envelope: a format byte, then AMF0.
    pub const COMMAND_AMF3: u8 = 17;
    /// Data in AMF0 (section 7.1.2).
    pub const DATA: u8 = 18;
    /// Command in AMF0 (section 7.1.1).
    pub const COMMAND: u8 = 20;
    /// Aggregate: a sequence of FLV tags (section 7.1.6).
    pub const AGGREGATE: u8 = 22;
}

/// How a peer may change the bandwidth limit it was given (section 5.4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BandwidthLimit {
    /// The window is the limit.
    Hard,
    /// The smaller of this and the one in force.
    Soft,
    /// Hard if the one before was hard, else nothing.
    Dynamic,
}

/// A protocol-control message: types 1 to 6 without 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// The sender's later chunks are this long, 1..=0x7FFFFFFF bytes.
    SetChunkSize(u32),
    /// The half-sent message of this chunk stream will not be completed.
    Abort(u32),
    /// Bytes received so far, wrapping.
    Acknowledgement(u32),
    /// The sender wants an acknowledgement at least every so many bytes.
    WindowAcknowledgementSize(u32),
    /// The receiver should limit what it has in flight.
    SetPeerBandwidth(u32, BandwidthLimit),
}

impl Control {
    /// Reads a body of type `type_id`. `None` when the type is another, the body too short or the value not allowed.
    pub fn parse(type_id: u8, body: &[u8]) -> Option<Control> {
        if body.len() < 4 {
            return None;
        }
        let value = BigEndian::read_u32(body);
        match type_id {
            type_id::SET_CHUNK_SIZE if (1..=0x7FFF_FFFF).contains(&value) => Some(Control::SetChunkSize(value)),
            type_id::ABORT => Some(Control::Abort(value)),
            type_id::ACKNOWLEDGEMENT => Some(Control::Acknowledgement(value)),
            type_id::WINDOW_ACKNOWLEDGEMENT_SIZE => Some(Control::WindowAcknowledgementSize(value)),
            type_id::SET_PEER_BANDWIDTH => {
                let limit = match body.get(4)? {
                    0 => BandwidthLimit::Hard,
                    1 => BandwidthLimit::Soft,
                    _ => BandwidthLimit::Dynamic,
                };
                Some(Control::SetPeerBandwidth(value, limit))
            }
            _ => None,
        }
    }

    /// The message type id and the body.
    pub fn emit(self) -> (u8, heapless::Vec<u8, 5>) {
        let (type_id, value, limit) = match self {
            Control::SetChunkSize(bytes) => (type_id::SET_CHUNK_SIZE, bytes, None),
            Control::Abort(id) => (type_id::ABORT, id, None),
            Control::Acknowledgement(bytes) => (type_id::ACKNOWLEDGEMENT, bytes, None),
            Control::WindowAcknowledgementSize(bytes) => (type_id::WINDOW_ACKNOWLEDGEMENT_SIZE, bytes, None),
            Control::SetPeerBandwidth(bytes, limit) => (type_id::SET_PEER_BANDWIDTH, bytes, Some(limit as u8)),
        };
        let mut body: heapless::Vec<u8, 5> = value.to_be_bytes().into_iter().collect();
        body.extend(limit);
        (type_id, body)
    }
}

/// A user-control message (section 7.1.7; events 31 and 32 are Flash Media Server's).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserControl {
    /// 0: the stream can be used.
    StreamBegin(u32),
    /// 1: a recorded stream ended.
    StreamEof(u32),
    /// 2: no more data for now.
    StreamDry(u32),
    /// 3: the client's buffer for a stream, in milliseconds.
    SetBufferLength {
        /// Message stream id; 0 means "by default".
        stream_id: u32,
        /// Milliseconds.
        buffer_ms: u32,
    },
    /// 4: the stream is a recording.
    StreamIsRecorded(u32),
    /// 6: answer with the same number.
    PingRequest(u32),
    /// 7: the answer.
    PingResponse(u32),
    /// 31: the server has sent as much of a recording as the client holds (librtmp asks for more).
    BufferEmpty(u32),
    /// 32: the server goes on to send it.
    BufferReady(u32),
    /// Anything else, by its event number: ignored, never a reason to close.
    Other(u16),
}

impl UserControl {
    /// Reads a body. `None` when it is too short for its event.
    pub fn parse(body: &[u8]) -> Option<UserControl> {
        if body.len() < 2 {
            return None;
        }
        let event = BigEndian::read_u16(body);
        let word = |at: usize| body.get(at..at + 4).map(BigEndian::read_u32);
        Some(match event {
            0 => UserControl::StreamBegin(word(2)?),
            1 => UserControl::StreamEof(word(2)?),
            2 => UserControl::StreamDry(word(2)?),
            3 => UserControl::SetBufferLength { stream_id: word(2)?, buffer_ms: word(6)? },
            4 => UserControl::StreamIsRecorded(word(2)?),
            6 => UserControl::PingRequest(word(2)?),
            7 => UserControl::PingResponse(word(2)?),
            31 => UserControl::BufferEmpty(word(2)?),
            32 => UserControl::BufferReady(word(2)?),
            other => UserControl::Other(other),
        })
    }

    /// The body.
    pub fn emit(self) -> heapless::Vec<u8, 10> {
        let (event, first, second) = match self {
            UserControl::StreamBegin(id) => (0u16, Some(id), None),
            UserControl::StreamEof(id) => (1, Some(id), None),
            UserControl::StreamDry(id) => (2, Some(id), None),
            UserControl::SetBufferLength { stream_id, buffer_ms } => (3, Some(stream_id), Some(buffer_ms)),
            UserControl::StreamIsRecorded(id) => (4, Some(id), None),
            UserControl::PingRequest(stamp) => (6, Some(stamp), None),
            UserControl::PingResponse(stamp) => (7, Some(stamp), None),
            UserControl::BufferEmpty(id) => (31, Some(id), None),
            UserControl::BufferReady(id) => (32, Some(id), None),
            UserControl::Other(event) => (event, None, None),
        };
        let words = [first, second].into_iter().flatten().flat_map(u32::to_be_bytes);
        event.to_be_bytes().into_iter().chain(words).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_messages_read_back_as_written() {
        for control in [
            Control::SetChunkSize(60_000),
            Control::Abort(4),
            Control::Acknowledgement(u32::MAX),
            Control::WindowAcknowledgementSize(2_500_000),
            Control::SetPeerBandwidth(2_500_000, BandwidthLimit::Dynamic),
        ] {
            let (type_id, body) = control.emit();
            assert_eq!(Control::parse(type_id, &body), Some(control));
        }
    }

    #[test]
    fn a_chunk_size_of_zero_or_with_its_top_bit_set_is_not_allowed() {
        assert_eq!(Control::parse(1, &[0, 0, 0, 0]), None);
        assert_eq!(Control::parse(1, &[0x80, 0, 0, 1]), None);
        assert_eq!(Control::parse(1, &[0, 0, 0, 1]), Some(Control::SetChunkSize(1)));
    }

    #[test]
    fn user_control_messages_read_back_and_short_ones_are_none() {
        for event in [
            UserControl::StreamBegin(1),
            UserControl::StreamEof(1),
            UserControl::StreamDry(1),
            UserControl::SetBufferLength { stream_id: 1, buffer_ms: 3000 },
            UserControl::StreamIsRecorded(7),
            UserControl::PingRequest(9),
            UserControl::PingResponse(9),
            UserControl::BufferEmpty(1),
            UserControl::BufferReady(1),
            UserControl::Other(33),
        ] {
            let body = event.emit();
            assert_eq!(UserControl::parse(&body), Some(event));
        }
        assert_eq!(
            UserControl::SetBufferLength { stream_id: 1, buffer_ms: 3000 }.emit()[..],
            [0, 3, 0, 0, 0, 1, 0, 0, 11, 184]
        );
        assert_eq!(UserControl::parse(&[0, 3, 0, 0, 0, 1]), None);
        assert_eq!(UserControl::parse(&[0]), None);
    }
}
