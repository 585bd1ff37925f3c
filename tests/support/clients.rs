//! Command lines of the client programs: each publishes a file, or plays a stream into an FLV file.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use super::process::gst_has;

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
    command.args(["-c", "copy", "-copyinkf", "-copyts", "-f", "flv"]).arg(file);
    command
}

/// rtmpdump playing into `file`.
pub fn rtmpdump(url: &str, file: &Path, options: &[&str]) -> Command {
    let mut command = Command::new("rtmpdump");
    command.args(["--rtmp", url, "--flv"]).arg(file).args(options);
    command
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

fn gst_play(source: &str, location: &str, file: &Path) -> Command {
    let mut command = gst_launch();
    // Unbuffered, so that the file is complete whenever the process is ended.
    command.args([source, &format!("location={location}"), "!", "filesink", "buffer-mode=unbuffered"]);
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
