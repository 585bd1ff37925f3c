//! What is live, watched over HTTP: as FLV, over GET and over WebSocket.

use std::fs;
use std::thread;

use crate::client::Client;
use crate::requests::server;
use crate::support::clients::ffmpeg_publish;
use crate::support::media::Media;
use crate::support::process::Process;
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
        let mut command = ffmpeg_publish(&source, &server.url("cam1"), &[]);
        let mut publisher = Process::spawn(&scratch, "publish", &mut command);
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
        let mut command = ffmpeg_publish(&source, &server.url(name), &[]);
        let mut publisher = Process::spawn(&scratch, name, &mut command);
        let answer = Client::new(server.http).get(&format!("/live/{name}.flv"));
        assert_eq!(answer.body[..5], [b'F', b'L', b'V', 1, flags], "{name}");
        publisher.wait_success(patience(20.0));
    }
}

#[test]
fn a_websocket_that_says_what_is_not_expected_is_told_so_and_closed() {
    let (scratch, server) = server("http-websocket");
    let source = clip::h264_aac();
    let mut command = ffmpeg_publish(&source, &server.url("cam1"), &[]);
    let mut publisher = Process::spawn(&scratch, "publish", &mut command);
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
    let gone = Client::new(server.http);
    let mut gone = gone;
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
