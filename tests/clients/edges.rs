//! Edges: what is published at one server arrives at the viewers of another, by the packets; and an event on several boards.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::far::{list, nginx_rtmp, nginx_rtmp_with, relaying};
use crate::support::clients::{ffmpeg_play, ffmpeg_publish};
use crate::support::clip::{self, KEY_INTERVAL, LENGTH_MS};
use crate::support::media::Media;
use crate::support::process::{Process, output_of};
use crate::support::server::Server;
use crate::support::{Scratch, cable, emulated, patience};

/// Players are told at once that a publisher has left.
const HASTY: &str = "live.unpublish_grace_ms=0";

/// A server whose application `live` is an edge of these, with these lines besides.
fn edge_of(scratch: &Scratch, origin: impl std::fmt::Display, lines: &str) -> Server {
    let hasty = "[live]\nunpublish_grace_ms = 0\n";
    relaying(scratch, &format!("{hasty}[edge]\norigins = [\"rtmp://{origin}/live\"]\n{lines}"))
}

/// The clip is published at one URL, and when its second group of pictures has begun played at the other: from a key frame on every packet
/// arrives, until `end`.
fn passes(
    scratch: &Scratch,
    published_at: &str,
    is_published: impl FnOnce(),
    played_at: &str,
    end: impl FnOnce(&mut Process),
) {
    let (source, played) = (clip::h264_aac(), scratch.path("played.flv"));
    let mut publisher = Process::spawn(scratch, "publisher", &mut ffmpeg_publish(&source, published_at, &[]));
    is_published();
    std::thread::sleep(Duration::from_millis(u64::from(LENGTH_MS) / 2));
    let mut player = Process::spawn(scratch, "player", &mut ffmpeg_play(played_at, &played));
    publisher.wait_success(patience(20.0));
    end(&mut player);
    Media::packets(&played).assert_joined_at_key_frame(&Media::packets(&source), KEY_INTERVAL);
}

/// A player that hears of the publisher's end.
fn ends(player: &mut Process) {
    player.wait_success(patience(20.0));
}

#[test]
fn an_edge_of_an_edge_fetches_what_its_viewer_wants_by_both() {
    let scratches = ["edge-origin", "edge-middle", "edge-outer"].map(Scratch::new);
    let origin = Server::start(&scratches[0], &[HASTY]);
    let middle = edge_of(&scratches[1], origin.address, "");
    let outer = edge_of(&scratches[2], middle.address, "");
    passes(&scratches[2], &origin.url("cam"), || origin.wait_for_log(&[" publish start "]), &outer.url("cam"), ends);
    assert!(list(&scratches[2]).contains("edge "), "{}", list(&scratches[2]));
}

#[test]
fn what_is_published_at_an_edge_is_forwarded_to_its_origin() {
    let scratches = ["forward-origin", "forward-edge"].map(Scratch::new);
    let origin = Server::start(&scratches[0], &[HASTY]);
    let edge = edge_of(&scratches[1], origin.address, "forward_publish = true\n");
    passes(&scratches[1], &edge.url("cam"), || origin.wait_for_log(&[" publish start "]), &origin.url("cam"), ends);
    edge.wait_for_log(&[" forward start "]);
}

#[test]
fn nginx_is_an_origin_of_an_edge() {
    let scratch = Scratch::new("edge-of-nginx");
    let (_nginx, origin) = nginx_rtmp_with(&scratch, "wait_key on; wait_video on;");
    let edge = edge_of(&scratch, origin, "");
    passes(&scratch, &format!("rtmp://{origin}/live/cam"), || {}, &edge.url("cam"), ends);
}

#[test]
fn what_is_published_at_an_edge_of_nginx_is_forwarded_to_it() {
    let scratch = Scratch::new("forward-to-nginx");
    let (_nginx, origin) = nginx_rtmp(&scratch);
    let edge = edge_of(&scratch, origin, "forward_publish = true\n");
    let is_published = || edge.wait_for_log(&[" forward start "]);
    passes(&scratch, &edge.url("cam"), is_published, &format!("rtmp://{origin}/live/cam"), ends);
}

#[test]
fn nginx_is_an_edge_of_this_server() {
    let scratches = ["origin-of-nginx", "nginx-edge"].map(Scratch::new);
    let origin = Server::start(&scratches[0], &[HASTY]);
    let (mut nginx, edge) = nginx_rtmp_with(&scratches[1], &format!("pull rtmp://{}/live;", origin.address));
    let is_published = || origin.wait_for_log(&[" publish start "]);
    passes(&scratches[1], &origin.url("cam"), is_published, &format!("rtmp://{edge}/live/cam"), |player| {
        // It tells nobody of an end but its own.
        std::thread::sleep(Duration::from_millis(1500));
        nginx.kill();
        player.wait(patience(20.0));
    });
}

#[test]
fn several_boards_have_one_event_and_lose_an_origin_a_cable_and_an_edge() {
    if emulated() {
        return;
    }
    if let Some(why) = cable::missing("true") {
        return eprintln!("skipped: there are no network namespaces: {why}");
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/edges/run.py");
    let mut command = Command::new(script);
    command.arg(env!("CARGO_BIN_EXE_rill")).args(["--players", "2", "--seconds", "3"]);
    let out = String::from_utf8(output_of(&mut command)).unwrap();
    eprintln!("{out}");
    assert!(out.ends_with("edges: all is well\n"), "{out}");
}
