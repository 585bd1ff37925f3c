//! Players that others have made, each at the forms of a live stream that it plays. They are told to end by themselves after a few
//! seconds of media; how many pictures they had is what they say, or what they wrote.

use std::path::Path;
use std::process::Command;
use std::thread;

use crate::requests::server;
use crate::support::clients::{self, ffplay, ffplay_seconds, mpv, vlc};
use crate::support::media::Media;
use crate::support::process::{Process, gst_has};
use crate::support::server::Server;
use crate::support::{Scratch, patience, wait_until};

/// Pictures that each has to have: two seconds of them.
const PICTURES: usize = 50;
const FORMS: [&str; 3] = ["m3u8", "mp4", "flv"];

/// A camera that does not end by itself.
pub fn camera(scratch: &Scratch, server: &Server, name: &str) -> Process {
    Process::spawn(scratch, name, &mut clients::camera(&server.url(name)))
}

fn pictures(file: &Path) -> usize {
    Media::decoded_video(file).video.map_or(0, |video| video.packets.len())
}

/// Each of the forms at once.
fn at_each_form(server: &Server, plays: impl Fn(&str, &str) + Sync) {
    thread::scope(|scope| {
        for form in FORMS {
            let (plays, url) = (&plays, format!("http://{}/live/cam1.{form}", server.http));
            scope.spawn(move || plays(form, &url));
        }
    });
}

#[test]
fn mpv_and_ffplay_play_each_form() {
    let (scratch, server) = server("http-mpv");
    let mut publisher = camera(&scratch, &server, "cam1");
    server.wait_for_publisher("cam1");
    at_each_form(&server, |form, url| {
        let mut mpv = Process::spawn(&scratch, &format!("mpv-{form}"), &mut mpv(url));
        let mut ffplay = Process::spawn(&scratch, &format!("ffplay-{form}"), &mut ffplay(url));
        mpv.wait_success(patience(40.0));
        let played = wait_until(patience(40.0), || ffplay_seconds(&ffplay.log()) > 2.0);
        assert!(played && ffplay.log().contains("Audio: aac"), "{form}: {}", ffplay.log());
        ffplay.kill();
    });
    for kind in ["as=hls", "as=mp4", "as=flv"] {
        server.wait_for_log(&["play start", kind]);
    }
    publisher.kill();
}

#[test]
fn vlc_plays_each_form() {
    let (scratch, server) = server("http-vlc");
    let mut publisher = camera(&scratch, &server, "cam1");
    server.wait_for_publisher("cam1");
    at_each_form(&server, |form, url| {
        let (mut vlc, file) = vlc(&scratch, form, url);
        let mut vlc = Process::spawn(&scratch, &format!("vlc-log-{form}"), &mut vlc);
        vlc.wait_success(patience(60.0));
        let had = pictures(&file);
        assert!(had >= PICTURES, "{form}: {had} pictures\n{}", vlc.log());
    });
    publisher.kill();
}

#[test]
fn gstreamer_and_curl_have_each_form() {
    let (scratch, server) = server("http-gstreamer");
    let mut publisher = camera(&scratch, &server, "cam1");
    server.wait_for_publisher("cam1");
    at_each_form(&server, |form, url| {
        let demuxers: &[&str] = match form {
            "m3u8" => &["hlsdemux", "qtdemux"],
            "mp4" => &["qtdemux"],
            _ => &["flvdemux"],
        };
        if gst_has("souphttpsrc") && demuxers.iter().all(|element| gst_has(element)) {
            let mut gst = Command::new("gst-launch-1.0");
            gst.args(["-v", "souphttpsrc", &format!("location={url}")]);
            gst.args(demuxers.iter().flat_map(|demuxer| ["!", demuxer]));
            gst.args(["!", "h264parse", "!", "fakesink", "silent=false"]);
            let mut gst = Process::spawn(&scratch, &format!("gst-{form}"), &mut gst);
            // It says so of each picture.
            let has_them = wait_until(patience(60.0), || gst.log().matches("last-message = chain").count() >= PICTURES);
            assert!(has_them, "{form}: {}", gst.log());
            gst.kill();
        } else {
            eprintln!("skipped: GStreamer at {form}, for it lacks an element");
        }
        if form == "m3u8" {
            return;
        }
        let file = scratch.path(&format!("curl.{form}"));
        let mut curl = Command::new("curl");
        // A stream without end is ended by who has had enough.
        let status = curl.args(["--silent", "--max-time", "4", "--output"]).arg(&file).arg(url).status().unwrap();
        assert_eq!(status.code(), Some(28));
        let had = pictures(&file);
        assert!(had >= PICTURES, "curl, {form}: {had} pictures");
    });
    publisher.kill();
}
