//! Players that others have made, each at the forms of a live stream that it plays. They are told to end by themselves after a few
//! seconds of media; how many pictures they had is what they say, or what they wrote.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::thread;

use crate::requests::server;
use crate::support::media::Media;
use crate::support::process::{Process, gst_has};
use crate::support::server::Server;
use crate::support::{Scratch, clip, patience, wait_until};

/// Pictures that each has to have: two seconds of them.
const PICTURES: usize = 50;
const FORMS: [&str; 3] = ["m3u8", "mp4", "flv"];

/// A camera that does not end by itself.
pub fn camera(scratch: &Scratch, server: &Server, name: &str) -> Process {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-hide_banner", "-nostats", "-re", "-stream_loop", "-1", "-i"]).arg(clip::h264_aac());
    Process::spawn(scratch, name, command.args(["-c", "copy", "-f", "flv", &server.url(name)]))
}

fn pictures(file: &Path) -> usize {
    Media::decoded_video(file).video.map_or(0, |video| video.packets.len())
}

/// How much ffplay has shown: of a stream without end it does not end by itself. Its lines begin with the time that it shows, which is
/// `nan` until it shows something.
fn ffplay_seconds(log: &str) -> f64 {
    let times = || {
        log.split('\r')
            .filter_map(|line| line.split_once(" A-V:")?.0.trim().parse::<f64>().ok())
            .filter(|time| time.is_finite())
    };
    times().next_back().unwrap_or(0.0) - times().next().unwrap_or(0.0)
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
        let mut mpv = Command::new("mpv");
        mpv.args(["--no-config", "--vo=null", "--ao=null", "--length=2", "--term-status-msg=at ${time-pos}", url]);
        let mut mpv = Process::spawn(&scratch, &format!("mpv-{form}"), &mut mpv);
        let mut ffplay = Command::new("ffplay");
        ffplay.env("SDL_VIDEODRIVER", "dummy").env("SDL_AUDIODRIVER", "dummy");
        ffplay.args(["-hide_banner", "-infbuf", url]);
        let mut ffplay = Process::spawn(&scratch, &format!("ffplay-{form}"), &mut ffplay);
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
        // Root's VLC does not start, so it is somebody else's, who has a directory.
        let home = scratch.path(&format!("vlc-{form}"));
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o777)).unwrap();
        let file = home.join("had.ts");
        let mut vlc = Command::new("vlc");
        vlc.env("HOME", &home).args(["-I", "dummy", "--run-time=5", "--play-and-exit"]);
        vlc.arg(format!("--sout=#std{{access=file,mux=ts,dst={}}}", file.display())).args([url, "vlc://quit"]);
        // SAFETY: no preconditions.
        if unsafe { libc::geteuid() } == 0 {
            vlc.uid(65534).gid(65534);
        }
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
