//! Command lines of the client programs: each publishes a file, or plays a stream into an FLV file.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::process::gst_has;
use super::{Scratch, clip};

/// ffmpeg publishing `file` at the speed of its timestamps. `options` go before the output.
pub fn ffmpeg_publish(file: &Path, url: &str, options: &[&str]) -> Command {
    ffmpeg_publish_by("ffmpeg".as_ref(), file, url, options)
}

/// The same with another ffmpeg.
pub fn ffmpeg_publish_by(ffmpeg: &OsStr, file: &Path, url: &str, options: &[&str]) -> Command {
    let mut command = Command::new(ffmpeg);
    command.args(["-nostdin", "-hide_banner", "-nostats", "-re", "-i"]).arg(file);
    command.args(["-c", "copy"]).args(options).args(["-f", "flv", url]);
    command
}

/// ffmpeg publishing the clip again and again: a camera that does not end by itself.
pub fn camera(url: &str) -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-hide_banner", "-nostats", "-re", "-stream_loop", "-1", "-i"]).arg(clip::h264_aac());
    command.args(["-c", "copy", "-f", "flv", url]);
    command
}

/// The ffmpeg that speaks Enhanced RTMP.
pub fn modern_ffmpeg() -> OsString {
    let path = std::env::var_os("RILL_MODERN_FFMPEG")
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/ffmpeg").into());
    assert!(
        Path::new(&path).exists(),
        "no {}: tests/support/modern-ffmpeg.sh fetches it, or run make deps",
        path.display()
    );
    path
}

/// ffmpeg playing into `file`.
pub fn ffmpeg_play(url: &str, file: &Path) -> Command {
    ffmpeg_play_by("ffmpeg".as_ref(), url, file)
}

/// The same with another ffmpeg.
pub fn ffmpeg_play_by(ffmpeg: &OsStr, url: &str, file: &Path) -> Command {
    ffmpeg_play_with(ffmpeg, &[], url, file)
}

/// A recent ffmpeg that announces Enhanced RTMP, which it does only when it is told to.
pub fn ffmpeg_play_enhanced(ffmpeg: &OsStr, url: &str, file: &Path) -> Command {
    ffmpeg_play_with(ffmpeg, &["-rtmp_enhanced_codecs", "av01,hvc1,vp09"], url, file)
}

fn ffmpeg_play_with(ffmpeg: &OsStr, options: &[&str], url: &str, file: &Path) -> Command {
    let mut command = Command::new(ffmpeg);
    command.args(["-nostdin", "-hide_banner", "-nostats", "-y"]).args(options);
    command.args(["-i", url, "-map", "0:v?", "-map", "0:a?"]);
    // Packets as they come, with the times they have: no remuxing that would hide a fault.
    command.args(["-c", "copy", "-copyinkf", "-copyts", "-flush_packets", "1", "-f", "flv"]).arg(file);
    command
}

/// rtmpdump playing into `file`.
pub fn rtmpdump(url: &str, file: &Path, options: &[&str]) -> Command {
    let mut command = Command::new("rtmpdump");
    command.args(["--rtmp", url, "--flv"]).arg(file).args(options);
    command
}

/// ffplay showing a stream to nobody, until it is ended.
pub fn ffplay(url: &str) -> Command {
    let mut command = Command::new("ffplay");
    command.env("SDL_VIDEODRIVER", "dummy").env("SDL_AUDIODRIVER", "dummy");
    command.args(["-hide_banner", "-infbuf", url]);
    command
}

/// How much ffplay has shown: of a stream without end it does not end by itself. Its lines begin with the time that it shows, which is
/// `nan` until it shows something.
pub fn ffplay_seconds(log: &str) -> f64 {
    let times = || {
        log.split('\r')
            .filter_map(|line| line.split_once(" A-V:")?.0.trim().parse::<f64>().ok())
            .filter(|time| time.is_finite())
    };
    times().next_back().unwrap_or(0.0) - times().next().unwrap_or(0.0)
}

/// mpv showing two seconds of a stream to nobody.
pub fn mpv(url: &str) -> Command {
    let mut command = Command::new("mpv");
    command.args(["--no-config", "--vo=null", "--ao=null", "--length=2", "--term-status-msg=at ${time-pos}", url]);
    command
}

/// VLC playing five seconds of a stream into the file that is returned.
pub fn vlc(scratch: &Scratch, name: &str, url: &str) -> (Command, PathBuf) {
    // Root's VLC does not start, so it is somebody else's, who has a directory.
    let home = scratch.path(&format!("vlc-{name}"));
    fs::create_dir(&home).unwrap();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o777)).unwrap();
    let file = home.join("had.ts");
    let mut command = Command::new("vlc");
    command.env("HOME", &home).args(["-I", "dummy", "--run-time=5", "--play-and-exit"]);
    command.arg(format!("--sout=#std{{access=file,mux=ts,dst={}}}", file.display())).args([url, "vlc://quit"]);
    // SAFETY: no preconditions.
    if unsafe { libc::geteuid() } == 0 {
        command.uid(65534).gid(65534);
    }
    (command, file)
}

/// GStreamer publishing `file` at the speed of its timestamps through `sink`: `rtmp2sink`, its own client, or `rtmpsink`,
/// librtmp, with properties behind it. It parses and muxes the packets anew; `sent` becomes a copy of what it publishes.
pub fn gst_publish(sink: &str, file: &Path, sent: &Path, url: &str) -> Command {
    let mut command = gst_launch();
    command.args(["filesrc", &format!("location={}", file.display()), "!", "flvdemux", "name=demux"]);
    command.args("flvmux name=mux streamable=true ! tee name=tee".split(' '));
    command.args(["tee.", "!", "queue", "!", "filesink", &format!("location={}", sent.display())]);
    command.args(["tee.", "!", "queue", "!"]).args(sink.split(' ')).arg(format!("location={url}"));
    command.args("demux.video ! h264parse ! clocksync ! queue ! mux.video".split(' '));
    command.args("demux.audio ! aacparse ! clocksync ! queue ! mux.audio".split(' '));
    command
}

/// The programs that play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlayerKind {
    /// ffmpeg.
    Ffmpeg,
    /// rtmpdump.
    Rtmpdump,
    /// GStreamer's own client.
    Gst,
    /// GStreamer through librtmp.
    GstLibrtmp,
}

impl PlayerKind {
    /// Plays a live stream into `file`.
    pub fn play(self, url: &str, file: &Path) -> Command {
        match self {
            PlayerKind::Ffmpeg => ffmpeg_play(url, file),
            PlayerKind::Rtmpdump => rtmpdump(url, file, &["--live"]),
            PlayerKind::Gst => gst_play("rtmp2src", url, file),
            PlayerKind::GstLibrtmp => gst_play("rtmpsrc", &format!("{url} live=1"), file),
        }
    }

    /// Whether it ends when the publisher does. GStreamer stays for the next publish; librtmp in it connects again.
    pub fn ends_with_publisher(self) -> bool {
        matches!(self, PlayerKind::Ffmpeg | PlayerKind::Rtmpdump)
    }
}

/// GStreamer playing into `file` through `source`, with properties behind it.
pub fn gst_play(source: &str, location: &str, file: &Path) -> Command {
    let mut command = gst_launch();
    // Unbuffered, so that the file is complete whenever the process is ended.
    command.args(source.split(' ')).arg(format!("location={location}"));
    command.args(["!", "filesink", "buffer-mode=unbuffered"]);
    command.arg(format!("location={}", file.display()));
    command
}

/// GStreamer taking an MP4 file apart: the samples of one track (`video_0`, `audio_0`) go to `out`, one behind the other.
pub fn gst_demux_mp4(file: &Path, pad: &str, out: &Path) -> Command {
    let mut command = gst_launch();
    command.args(["filesrc", &format!("location={}", file.display()), "!", "qtdemux", "name=demux"]);
    command.args([&format!("demux.{pad}"), "!", "filesink", &format!("location={}", out.display())]);
    command
}

fn gst_launch() -> Command {
    // gst-launch says which element is missing but not where it is to be had.
    static COMPLETE: OnceLock<()> = OnceLock::new();
    COMPLETE.get_or_init(|| {
        for (element, package) in [("flvmux", "good"), ("aacparse", "good"), ("h264parse", "bad"), ("rtmp2sink", "bad")]
        {
            let package = format!("gstreamer1.0-plugins-{package}");
            assert!(gst_has(element), "GStreamer has no {element}; install the package {package}, or run make deps");
        }
    });
    let mut command = Command::new("gst-launch-1.0");
    command.arg("--quiet");
    command
}
