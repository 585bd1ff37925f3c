//! What browsers are sent of each codec, read by others: ffprobe counts the packets, and a crate reads every box.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::live::watch_mp4;
use crate::requests::server;
use crate::support::clients::{ffmpeg_publish_by, modern_ffmpeg};
use crate::support::media::Media;
use crate::support::process::{Process, output_of};
use crate::support::{clip, patience};

const AV1: &[&str] = &["-c:v", "libsvtav1", "-preset", "12", "-svtav1-params", "pred-struct=1"];
const VP9: &[&str] = &["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"];
const OPUS: &[&str] = &["-c:a", "libopus", "-b:a", "64k"];
const FLAC: &[&str] = &["-c:a", "flac"];
const AC3: &[&str] = &["-c:a", "ac3", "-b:a", "128k"];

#[test]
fn init_and_fragments_of_each_codec_are_what_others_read() {
    let (scratch, server) = server("http-boxes");
    let ffmpeg = modern_ffmpeg();
    for (name, video, audio, codecs) in [
        ("avc", clip::H264, clip::AAC, "avc1.,mp4a.40.2"),
        ("hevc", clip::HEVC, OPUS, "hvc1.,opus"),
        ("av1", AV1, clip::AAC, "av01.,mp4a"),
        ("vp9", VP9, AC3, "vp09.,ac-3"),
        ("flac", clip::H264, FLAC, "avc1.,flac"),
        ("sound", clip::NO_VIDEO, OPUS, "opus"),
        ("picture", clip::H264, clip::NO_AUDIO, "avc1."),
    ] {
        let source = clip::clip(&ffmpeg, video, audio);
        let path = scratch.path(&format!("{name}.mp4"));
        let texts = thread::scope(|scope| {
            let watches = scope.spawn(|| watch_mp4(server.http, &format!("/live/{name}.mp4")));
            thread::sleep(Duration::from_millis(300));
            let mut publish = ffmpeg_publish_by(&ffmpeg, &source, &server.url(name), &[]);
            Process::spawn(&scratch, name, &mut publish).wait_success(patience(30.0));
            let (texts, file) = watches.join().unwrap();
            fs::write(&path, file).unwrap();
            texts
        });
        let said = texts.iter().rev().find_map(|text| text["codecs"].as_str()).unwrap_or_else(|| panic!("{texts:?}"));
        for (part, begins) in said.split(',').zip(codecs.split(',')) {
            assert!(part.starts_with(begins), "{name}: {texts:?}");
        }
        assert_eq!(said.split(',').count(), codecs.split(',').count(), "{name}: {said}");

        // By ffprobe, which reads the headers of codecs, too.
        let mut probe = Command::new("ffprobe");
        probe.args([
            "-v",
            "error",
            "-count_packets",
            "-of",
            "json",
            "-show_entries",
            "stream=codec_type,nb_read_packets,width",
        ]);
        let found: serde_json::Value = serde_json::from_slice(&output_of(probe.arg(&path))).unwrap();
        let published = Media::packets_by(&ffmpeg, &source);
        let mut counted = 0;
        for (kind, track) in [("video", &published.video), ("audio", &published.audio)] {
            let stream = found["streams"].as_array().unwrap().iter().find(|stream| stream["codec_type"] == kind);
            let packets = stream.map(|stream| stream["nb_read_packets"].as_str().unwrap().parse::<usize>().unwrap());
            let sent = track.as_ref().map(|track| track.packets.len());
            // Whoever waited is answered a moment after the publish began, which may be a long one on a busy machine: with the
            // pictures from the newest key frame on, and the sound from then on.
            let is_all = |packets: usize| {
                let missed = sent.and_then(|sent| sent.checked_sub(packets));
                missed.is_some_and(|missed| match kind {
                    "video" => missed.is_multiple_of(clip::KEY_INTERVAL) && missed <= 2 * clip::KEY_INTERVAL,
                    _ => missed <= packets * 2,
                })
            };
            assert!(packets.map_or(sent.is_none(), is_all), "{name}: {packets:?} of {sent:?}, {kind} of {found}");
            counted += packets.unwrap_or(0);
            assert!(kind == "audio" || stream.is_none_or(|stream| stream["width"] == 192), "{name}: {found}");
        }

        // By a crate, box for box.
        let bytes = fs::read(&path).unwrap();
        let read = re_mp4::Mp4::read_bytes(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let samples: usize = read.tracks().values().map(|track| track.samples.len()).sum();
        assert_eq!(read.moofs.len(), counted, "{name}: a fragment a frame");
        assert!(samples == 0 || samples == counted, "{name}: {samples} samples");
    }
}

#[test]
fn every_picture_of_a_fast_camera_has_a_time_of_its_own_though_its_milliseconds_do_not() {
    const FAST: &[&str] = &["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-vf"];
    let (scratch, server) = server("http-fast");
    for rate in ["240", "1200"] {
        let source = clip::clip("ffmpeg".as_ref(), &[FAST, &[&format!("fps={rate}")]].concat(), clip::NO_AUDIO);
        let (name, path) = (format!("fast{rate}"), scratch.path(&format!("{rate}.mp4")));
        thread::scope(|scope| {
            let watches = scope.spawn(|| watch_mp4(server.http, &format!("/live/{name}.mp4")));
            thread::sleep(Duration::from_millis(300));
            let mut publish = ffmpeg_publish_by("ffmpeg".as_ref(), &source, &server.url(&name), &[]);
            Process::spawn(&scratch, &name, &mut publish).wait_success(patience(30.0));
            fs::write(&path, watches.join().unwrap().1).unwrap();
        });
        let mut probe = Command::new("ffprobe");
        let entries = "stream=nb_read_packets:packet=dts";
        probe.args(["-v", "error", "-count_packets", "-of", "json", "-show_entries", entries]).arg(&path);
        let found: serde_json::Value = serde_json::from_slice(&output_of(&mut probe)).unwrap();
        let counted: usize = found["streams"][0]["nb_read_packets"].as_str().unwrap().parse().unwrap();
        let sent = Media::packets(&source).video.unwrap().packets.len();
        // As above: what came before the newest key frame is not had.
        let missed = sent.checked_sub(counted).unwrap_or_else(|| panic!("{rate}: {counted} of {sent}"));
        assert!(counted > sent / 2 && missed.is_multiple_of(clip::KEY_INTERVAL), "{rate}: {counted} of {sent}");
        let times = found["packets"].as_array().unwrap().iter().map(|packet| packet["dts"].as_i64().unwrap());
        assert!(times.is_sorted_by(|before, after| before < after), "{rate}");
    }
}
