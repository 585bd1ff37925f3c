//! A small publisher of our own, of what no encoder here sends: the H.264 and AAC of an FLV file as Enhanced RTMP messages.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use rill::wire::flv::{SUB_TAG_HEADER_BYTES, SUB_TAG_TRAILER_BYTES, SubTagHeader};
use rill::wire::message::{Control, type_id};

use super::player::{Outgoing, shake_hands};

/// In which messages sound and picture are sent (Enhanced RTMP v2).
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// Under their FourCC; every other frame with a nanosecond offset.
    FourCc,
    /// The default track between others of the same message.
    ManyTracks,
}

/// Every message is one chunk.
const CHUNK_BYTES: u32 = 1 << 20;
/// A second track, which nobody can decode.
const OTHER: &[u8] = &[0xEE; 5000];

/// A connection that publishes a name, and has sent nothing yet.
pub fn begin(address: SocketAddr, name: &str) -> TcpStream {
    let mut socket = TcpStream::connect(address).unwrap();
    shake_hands(&mut socket);
    let mut out = Outgoing::default();
    out.control(Control::SetChunkSize(CHUNK_BYTES));
    out.command(0, |amf| {
        amf.string("connect")?;
        amf.number(1.0)?;
        amf.object_begin()?;
        amf.property_string("app", "live")?;
        amf.object_end()
    });
    out.command(0, |amf| {
        amf.string("createStream")?;
        amf.number(2.0)?;
        amf.null()
    });
    out.command(1, |amf| {
        amf.string("publish")?;
        amf.number(3.0)?;
        amf.null()?;
        amf.string(name)
    });
    socket.write_all(&out.bytes).unwrap();
    socket
}

/// Publishes the file to its end, three times as fast as it plays, and returns when the server has all of it.
pub fn publish(address: SocketAddr, name: &str, file: &Path, form: Form) {
    let mut socket = begin(address, name);
    let flv = std::fs::read(file).unwrap();
    // Signature, and the first back pointer.
    let (mut at, mut time) = (9 + SUB_TAG_TRAILER_BYTES, 0);
    while let Some(header) = flv[at..].first_chunk() {
        let header = SubTagHeader::parse(header);
        let begin = at + SUB_TAG_HEADER_BYTES;
        let body = &flv[begin..begin + header.length as usize];
        at = begin + body.len() + SUB_TAG_TRAILER_BYTES;
        let body = match header.message_type {
            type_id::VIDEO => video(body, form),
            type_id::AUDIO => audio(body, form),
            _ => [b"\x02\x00\x0D@setDataFrame", &with_fourccs(body)[..]].concat(),
        };
        std::thread::sleep(Duration::from_millis(u64::from(header.timestamp_ms.saturating_sub(time)) / 3));
        time = header.timestamp_ms;
        let mut out = Outgoing::default();
        out.message_at(time, header.message_type, 1, &body);
        socket.write_all(&out.bytes).unwrap();
    }
    // What is not read when a socket is closed costs what the server has not read.
    socket.shutdown(Shutdown::Write).unwrap();
    let mut rest = [0; 4096];
    loop {
        match socket.read(&mut rest) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => panic!("{error}"),
        }
    }
}

fn video(legacy: &[u8], form: Form) -> Vec<u8> {
    let frame = legacy[0] & 0x70 | 0x80;
    // SequenceStart, CodedFrames and SequenceEnd have the legacy numbers; of these CodedFrames has a composition time.
    let packet = legacy[1];
    let body = if packet == 1 { &legacy[2..] } else { &legacy[5..] };
    enhanced(frame, packet, 6, b"avc1", body, form)
}

fn audio(legacy: &[u8], form: Form) -> Vec<u8> {
    enhanced(0x90, legacy[1], 5, b"mp4a", &legacy[2..], form)
}

fn enhanced(first: u8, packet: u8, multitrack: u8, fourcc: &[u8], body: &[u8], form: Form) -> Vec<u8> {
    let track = |id: u8, body: &[u8]| {
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        [&[id], &length[1..], body].concat()
    };
    match form {
        Form::FourCc if body.len() % 2 == 1 => [&[first | 7, 2, 0, 0, 1, packet], fourcc, body].concat(),
        Form::FourCc => [&[first | packet], fourcc, body].concat(),
        Form::ManyTracks => {
            // A sequence header of them all must fit among those that are kept for who joins.
            let other = if packet == 0 { &OTHER[..100] } else { OTHER };
            let tracks = [track(1, other), track(0, body), track(2, other)].concat();
            [&[first | multitrack, 0x10 | packet], fourcc, &tracks].concat()
        }
    }
}

/// Metadata that names the codecs by FourCC, and no duration: rtmpdump complains when less came.
fn with_fourccs(metadata: &[u8]) -> Vec<u8> {
    let mut metadata = metadata.to_vec();
    if let Some(at) = metadata.windows(8).position(|part| part == b"duration") {
        metadata[at..at + 8].copy_from_slice(b"Duration");
    }
    for (name, fourcc) in [(&b"videocodecid\0"[..], b"avc1"), (b"audiocodecid\0", b"mp4a")] {
        if let Some(at) = metadata.windows(name.len()).position(|part| part == name) {
            let number = f64::from(u32::from_be_bytes(*fourcc)).to_be_bytes();
            metadata[at + name.len()..][..8].copy_from_slice(&number);
        }
    }
    metadata
}
