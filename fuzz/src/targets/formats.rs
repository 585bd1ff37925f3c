//! Media tags, codec records, control messages, handshakes.

use rill::limits::HANDSHAKE_BYTES;
use rill::wire::codec::{AudioInfo, VideoInfo, synthetic};
use rill::wire::flv::{self, Codec, MediaType, SubTagHeader};
use rill::wire::handshake;
use rill::wire::message::{Control, UserControl};

const VIDEO: [Codec; 7] =
    [Codec::Avc, Codec::Hevc, Codec::Vvc, Codec::Av1, Codec::Vp8, Codec::Vp9, Codec::SorensonH263];
const AUDIO: [Codec; 7] =
    [Codec::Aac, Codec::Opus, Codec::Flac, Codec::Mp3, Codec::Ac3, Codec::Speex, Codec::Nellymoser];

/// The length that a message says to have, and its first bytes.
pub fn run(bytes: &[u8]) {
    let [type_id, length, message @ ..] = bytes else { return };
    let length = (message.len() as u32).max(u32::from(*length));
    for class in [flv::video(message, length), flv::audio(message, length)] {
        assert!(!class.key || class.header.is_none(), "a header is no picture");
    }
    for media_type in [MediaType::Video, MediaType::Audio] {
        if let Some((codec, record)) = flv::sequence_header_body(media_type, message) {
            describe(codec, record);
        }
    }
    VIDEO.iter().chain(&AUDIO).for_each(|codec| describe(*codec, message));
    let _ = synthetic::stamp_us(message);
    if let Some(header) = message.first_chunk() {
        let header = SubTagHeader::parse(header);
        assert_eq!(SubTagHeader::parse(&header.emit()), header);
    }
    if let Some(control) = Control::parse(*type_id, message) {
        let (type_id, body) = control.emit();
        assert_eq!(Control::parse(type_id, &body), Some(control));
    }
    if let Some(control) = UserControl::parse(message) {
        assert_eq!(UserControl::parse(&control.emit()), Some(control));
    }
    if let Some(c1) = message.first_chunk::<HANDSHAKE_BYTES>() {
        let mut out = [0; 1 + 2 * HANDSHAKE_BYTES];
        handshake::respond(c1, 7, &mut |bytes| bytes.fill(0x5A), &mut out);
        let (s1, s2) = out[1..].split_at(HANDSHAKE_BYTES);
        let (s1, s2) = (s1.try_into().expect("S1"), s2.try_into().expect("S2"));
        handshake::verify_response(c1, s1, s2);
        handshake::verify_response(s1, c1, c1);
    }
    if let Some(&byte) = message.first() {
        handshake::first_byte(byte);
    }
}

fn describe(codec: Codec, record: &[u8]) {
    let _ = (VideoInfo::parse(codec, record).map(|info| format!("{info} {info:?}")), codec.name());
    let _ = AudioInfo::parse(codec, record).map(|info| format!("{info} {info:?}"));
}
