//! Source clips: what the tests publish. Each is encoded once and kept for later runs.

use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::output_of;

/// Frames from one key frame of a clip to the next.
pub const KEY_INTERVAL: usize = 20;
/// Length of a clip in milliseconds: 75 frames.
pub const LENGTH_MS: u32 = 3000;

/// H.264 with B-frames, so that presentation times differ from decoding times.
pub const H264: &[&str] = &["-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-sc_threshold", "0"];
/// HEVC whose every key frame is a place to start: x265 takes the interval only among its own parameters.
pub const HEVC: &[&str] = &[
    "-c:v",
    "libx265",
    "-preset",
    "ultrafast",
    "-x265-params",
    "log-level=error:open-gop=0:keyint=20:min-keyint=20:scenecut=0:bframes=2",
];
/// No video at all.
pub const NO_VIDEO: &[&str] = &["-vn"];
/// AAC.
pub const AAC: &[&str] = &["-c:a", "aac", "-b:a", "64k"];
/// MP3.
pub const MP3: &[&str] = &["-c:a", "libmp3lame", "-b:a", "64k"];
/// No audio at all.
pub const NO_AUDIO: &[&str] = &["-an"];

/// The clip that most tests publish: H.264 and AAC.
pub fn h264_aac() -> PathBuf {
    clip("ffmpeg".as_ref(), H264, AAC)
}

/// An FLV file of [`LENGTH_MS`] encoded by this ffmpeg with these codecs, a key frame every [`KEY_INTERVAL`] frames.
pub fn clip(ffmpeg: &OsStr, video: &[&str], audio: &[&str]) -> PathBuf {
    let length = format!("{LENGTH_MS}ms");
    let key_interval = KEY_INTERVAL.to_string();
    let mut command = Command::new(ffmpeg);
    command.args(["-nostdin", "-loglevel", "error", "-y"]);
    command.args(["-f", "lavfi", "-i", "testsrc2=size=192x144:rate=25"]);
    command.args(["-f", "lavfi", "-i", "sine=frequency=440:beep_factor=3:sample_rate=48000"]);
    command.args(["-t", &length, "-g", &key_interval, "-pix_fmt", "yuv420p"]);
    command.args(video).args(audio).args(["-f", "flv"]);

    let mut hasher = DefaultHasher::new();
    format!("{command:?}").hash(&mut hasher);
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clips");
    let path = directory.join(format!("{:016x}.flv", hasher.finish()));
    if !path.exists() {
        std::fs::create_dir_all(&directory).unwrap();
        // Several tests may want it at the same time: each writes its own, the first name given stays.
        let own = directory.join(format!("{:?}-{}.part", std::thread::current().id(), std::process::id()));
        let encoded = own.with_extension("encoded.flv");
        output_of(command.arg(&encoded));
        // Muxed once more as it will be when it is published: from stored packets ffmpeg writes some decoder
        // configurations (VP9's) differently than from an encoder.
        let mut remux = Command::new(ffmpeg);
        remux.args(["-nostdin", "-loglevel", "error", "-y", "-i"]).arg(&encoded).args(["-c", "copy", "-f", "flv"]);
        output_of(remux.arg(&own));
        std::fs::remove_file(&encoded).unwrap();
        if path.exists() {
            std::fs::remove_file(&own).unwrap();
        } else {
            std::fs::rename(&own, &path).unwrap();
        }
    }
    path
}
