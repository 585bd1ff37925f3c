//! What is live, watched over HTTP: as FLV, over GET and over WebSocket.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use crate::client::Client;
use crate::requests::{camera, server};
use crate::support::media::Media;
use crate::support::process::output_of;
use crate::support::{clip, patience};

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A frame of a server: its first byte, and its payload.
fn frame(client: &mut Client) -> (u8, Vec<u8>) {
    let head = client.take(2);
    let length = match head[1] {
        126 => u64::from(u16::from_be_bytes(client.take(2).try_into().unwrap())),
        127 => u64::from_be_bytes(client.take(8).try_into().unwrap()),
        short => u64::from(short),
    };
    (head[0], client.take(length as usize))
}

/// A frame of a client.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [1, 2, 3, 4];
    let bytes = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
    [first, 0x80 | payload.len() as u8].into_iter().chain(mask).chain(bytes).collect()
}

#[test]
fn a_viewer_who_waits_gets_what_is_published_over_get_and_over_a_websocket() {
    let (scratch, server) = server("http-flv");
    let source = clip::h264_aac();
    let (over_get, over_websocket) = (scratch.path("get.flv"), scratch.path("websocket.flv"));
    thread::scope(|scope| {
        scope.spawn(|| {
            let answer = Client::new(server.http).get("/live/cam1.flv");
            assert_eq!((answer.status, answer.field("content-type")), (200, "video/x-flv"));
            assert_eq!(answer.field("access-control-allow-origin"), "*");
            fs::write(&over_get, answer.body).unwrap();
        });
        scope.spawn(|| {
            let mut client = Client::new(server.http);
            let answer = client.ask("GET", "/live/cam1.flv", UPGRADE);
            assert_eq!(answer.status, 101);
            assert_eq!(answer.field("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
            client.send(&masked(0x89, b"alive?"));
            let (mut file, mut pongs) = (Vec::new(), 0);
            loop {
                match frame(&mut client) {
                    (0x82, payload) => file.extend(payload),
                    (0x8A, payload) => pongs += usize::from(payload == b"alive?"),
                    (0x88, payload) => {
                        assert_eq!(payload, 1000_u16.to_be_bytes());
                        break;
                    }
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(pongs, 1);
            fs::write(&over_websocket, file).unwrap();
        });
        thread::sleep(std::time::Duration::from_millis(300));
        let mut publisher = camera(&scratch, &server, &source, "cam1");
        server.wait_for_logs(2, &[" play start ", "cam1"]);
        publisher.wait_success(patience(20.0));
    });
    let published = Media::packets(&source);
    for file in [&over_get, &over_websocket] {
        Media::packets(file).assert_equals(&published);
        // Both tracks, as the file's header says.
        assert_eq!(fs::read(file).unwrap()[..5], *b"FLV\x01\x05");
    }
    server.wait_for_log(&["play start", "as=ws-flv"]);
    server.wait_for_logs(2, &["play stop skips=0"]);
}

#[test]
fn the_flags_of_a_file_say_which_tracks_there_are() {
    let (scratch, server) = server("http-flv-flags");
    for (name, video, audio, flags) in
        [("picture", clip::H264, clip::NO_AUDIO, 1_u8), ("sound", clip::NO_VIDEO, clip::AAC, 4)]
    {
        let source = clip::clip("ffmpeg".as_ref(), video, audio);
        let mut publisher = camera(&scratch, &server, &source, name);
        let answer = Client::new(server.http).get(&format!("/live/{name}.flv"));
        assert_eq!(answer.body[..5], [b'F', b'L', b'V', 1, flags], "{name}");
        publisher.wait_success(patience(20.0));
    }
}

#[test]
fn a_websocket_that_says_what_is_not_expected_is_told_so_and_closed() {
    let (scratch, server) = server("http-websocket");
    let source = clip::h264_aac();
    let mut publisher = camera(&scratch, &server, &source, "cam1");
    for (says, code) in [
        (masked(0x82, b"bytes"), 1002_u16),
        (vec![0x89, 0], 1002),
        (masked(0x88, &[0xFF]), 1002),
        (masked(0x88, &1000_u16.to_be_bytes()), 1000),
    ] {
        let mut client = Client::new(server.http);
        assert_eq!(client.ask("GET", "/live/cam1.flv", UPGRADE).status, 101);
        client.send(&says);
        let closed = loop {
            let (first, payload) = frame(&mut client);
            if first == 0x88 {
                break payload;
            }
        };
        assert_eq!(closed, code.to_be_bytes(), "{says:?}");
        assert!(client.has_ended());
    }
    let mut client = Client::new(server.http);
    let answer = client.ask("GET", "/live/cam1.flv", &UPGRADE.replace("13", "8"));
    assert_eq!((answer.status, answer.field("sec-websocket-version")), (426, "13"));
    assert_eq!(Client::new(server.http).ask("HEAD", "/live/cam1.flv", "").status, 200);
    publisher.kill();
}

#[test]
fn a_name_that_is_not_live_is_waited_for_and_then_not_found_and_who_goes_is_noticed() {
    let (_scratch, server) = server("http-waits");
    let mut gone = Client::new(server.http);
    gone.send(b"GET /live/never.flv HTTP/1.1\r\nHost: a\r\n\r\n");
    let begin = std::time::Instant::now();
    let waiting = thread::spawn({
        let http = server.http;
        move || Client::new(http).get("/live/never.flv").status
    });
    gone.finish();
    assert!(gone.has_ended());
    assert!(begin.elapsed().as_secs() < 5, "its end is noticed");
    assert_eq!(waiting.join().unwrap(), 404);
    for path in ["/nothere/cam1.flv", "/live.flv", "/live/a%01b.flv", "/vod-files/a.flv"] {
        let status = Client::new(server.http).get(path).status;
        assert!(matches!(status, 400 | 404), "{path}: {status}");
    }
}

/// The packets of an MP4 file, with times in milliseconds.
fn packets_of_mp4(file: &Path) -> Media {
    Media::packets(&packets_file(file))
}

/// The same packets as FLV.
fn packets_file(file: &Path) -> PathBuf {
    let flv = file.with_extension("flv");
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-loglevel", "error", "-copyts", "-i"]).arg(file).args(["-c", "copy", "-f", "flv"]);
    output_of(command.arg(&flv));
    flv
}

/// Watches a stream as fMP4 over a WebSocket until its publisher is away: the text frames, and the binary ones together.
pub fn watch_mp4(address: std::net::SocketAddr, path: &str) -> (Vec<serde_json::Value>, Vec<u8>) {
    let mut client = Client::new(address);
    assert_eq!(client.ask("GET", path, UPGRADE).status, 101);
    let (mut texts, mut file) = (Vec::<serde_json::Value>::new(), Vec::new());
    loop {
        match frame(&mut client) {
            (0x81, text) => texts.push(serde_json::from_slice(&text).unwrap()),
            (0x82, payload) => file.extend(payload),
            other => panic!("{other:?}"),
        }
        if texts.last().is_some_and(|text| text["type"] == "waiting") {
            return (texts, file);
        }
    }
}

#[test]
fn fragmented_mp4_over_a_websocket_has_every_packet_and_says_what_it_is() {
    let (scratch, server) = server("http-mp4");
    let source = clip::h264_aac();
    let (whole, picture) = (scratch.path("whole.mp4"), scratch.path("picture.mp4"));
    thread::scope(|scope| {
        let whole = scope.spawn(|| {
            let (texts, file) = watch_mp4(server.http, "/live/cam1.mp4");
            assert_eq!((&texts[0]["type"], &texts[0]["codecs"]), (&"init".into(), &"avc1.64000b,mp4a.40.2".into()));
            let clocks: Vec<_> = texts.iter().filter(|text| text["type"] == "now").collect();
            assert!((2..=5).contains(&clocks.len()), "{texts:?}");
            assert!(clocks.iter().all(|clock| clock["viewers"] == 2), "{texts:?}");
            fs::write(&whole, file).unwrap();
        });
        let picture = scope.spawn(|| {
            let (texts, file) = watch_mp4(server.http, "/live/cam1.mp4?audio=0");
            assert_eq!(texts[0]["codecs"], "avc1.64000b");
            fs::write(&picture, file).unwrap();
        });
        thread::sleep(std::time::Duration::from_millis(300));
        camera(&scratch, &server, &source, "cam1").wait_success(patience(20.0));
        (whole.join().unwrap(), picture.join().unwrap())
    });
    let (published, whole, picture) = (Media::packets(&source), packets_of_mp4(&whole), packets_of_mp4(&picture));
    assert!(picture.audio.is_none());
    for (sent, played) in
        [(&published.video, &whole.video), (&published.audio, &whole.audio), (&published.video, &picture.video)]
    {
        let (sent, played) = (sent.as_ref().unwrap(), played.as_ref().unwrap());
        assert_eq!((&sent.codec, &sent.configuration), (&played.codec, &played.configuration));
        let data = |track: &crate::support::media::Track| -> Vec<_> {
            track
                .packets
                .iter()
                .map(|packet| (packet.md5.clone(), packet.bytes, packet.pts_ms - packet.dts_ms))
                .collect()
        };
        assert_eq!(data(sent), data(played));
        // Each as long behind the one before as it was sent, but that a picture is decoded when the one before it was over.
        let sent: Vec<_> = sent.packets.windows(2).map(|pair| pair[1].dts_ms - pair[0].dts_ms).collect();
        let played: Vec<_> = played.packets.windows(2).map(|pair| pair[1].dts_ms - pair[0].dts_ms).collect();
        assert!(sent.iter().zip(&played[1..]).all(|(sent, played)| (sent - played).abs() <= 1), "{sent:?} {played:?}");
    }
    server.wait_for_log(&["play start", "as=ws"]);
}

#[test]
fn the_newest_key_frame_is_a_file_of_one_picture() {
    let (scratch, server) = server("http-key-frame");
    assert_eq!(Client::new(server.http).get("/live/cam1.key.mp4").status, 404);
    let source = clip::h264_aac();
    let mut publisher = camera(&scratch, &server, &source, "cam1");
    server.wait_for_log(&["video=\"192x144"]);
    let answer = Client::new(server.http).get("/live/cam1.key.mp4");
    assert_eq!((answer.status, answer.field("content-type")), (200, "video/mp4"));
    assert_eq!(answer.field("content-length"), answer.body.len().to_string());
    let file = scratch.path("key.mp4");
    fs::write(&file, answer.body).unwrap();
    let pictures = Media::decoded_video(&packets_file(&file)).video.unwrap().packets.len();
    assert_eq!(pictures, 1);
    publisher.wait_success(patience(20.0));
}
