//! Recordings of what ffmpeg publishes, and the programs that read them: while they are written and when they are complete, each sample is
//! the live stream's.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::recorded::Mpv;
use crate::support::clients::{ffmpeg_play, ffmpeg_publish, gst_demux_mp4, rtmpdump};
use crate::support::media::{Media, Packet};
use crate::support::process::{Process, output_of};
use crate::support::server::Server;
use crate::support::{Scratch, emulated, patience, wait_until};

/// How long the clip is, in seconds.
const SECONDS: &str = "6";

/// A server that records, and a clip with pictures that are shown in another order than they are sent.
struct Studio {
    server: Server,
    scratch: Scratch,
    clip: PathBuf,
}

impl Studio {
    fn new(name: &str, settings: &[&str]) -> Studio {
        let scratch = Scratch::new(name);
        fs::create_dir_all(scratch.path("root/applications/live")).unwrap();
        let clip = scratch.path("clip.flv");
        let mut command = Command::new("ffmpeg");
        command.args(["-nostdin", "-loglevel", "error", "-y"]);
        command.args(["-f", "lavfi", "-i", "testsrc2=size=192x144:rate=25"]);
        command.args(["-f", "lavfi", "-i", "sine=frequency=440:beep_factor=3:sample_rate=48000"]);
        command.args(["-t", SECONDS, "-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast"]);
        output_of(command.args(["-bf", "2", "-g", "50", "-c:a", "aac", "-b:a", "48k"]).arg(&clip));
        let root = format!("server.root={}", scratch.path("root").display());
        let settings: Vec<&str> =
            [&root[..], "record.on=true", "record.join_ms=0"].iter().chain(settings).copied().collect();
        let server = Server::start(&scratch, &settings);
        Studio { server, scratch, clip }
    }

    fn spawn(&self, name: &str, mut command: Command) -> Process {
        Process::spawn(&self.scratch, name, &mut command)
    }

    /// The only recording there is of `cam`.
    fn recording(&self) -> PathBuf {
        let folder = self.scratch.path("root/applications/live/recordings/cam");
        let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        files.remove(0)
    }

    /// What VLC makes of a file: its packets in another container.
    fn by_vlc(&self, name: &str, file: &Path) -> Media {
        // Root's VLC does not start, so it is somebody else's, who has a directory and a copy.
        let home = self.scratch.path(name);
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o777)).unwrap();
        let (own, out) = (home.join("recording.mp4"), home.join("out.ts"));
        fs::copy(file, &own).unwrap();
        fs::set_permissions(&own, fs::Permissions::from_mode(0o644)).unwrap();
        let mut command = Command::new("vlc");
        command.env("HOME", &home).args(["-I", "dummy", "--no-color"]);
        command.arg(format!("--sout=#std{{access=file,mux=ts,dst={}}}", out.display())).arg(&own).arg("vlc://quit");
        // SAFETY: no preconditions.
        if unsafe { libc::geteuid() } == 0 {
            command.uid(65534).gid(65534);
        }
        self.spawn(&format!("{name}.log"), command).wait_success(patience(30.0));
        Media::packets(&out)
    }
}

/// Asserts that a file has the samples of the clip, each at its time, or the first of them.
fn assert_clip(found: &Media, clip: &Media, all: bool) {
    let (video, sound) = (found.video.as_ref().unwrap(), found.audio.as_ref().unwrap());
    let (clip_video, clip_sound) = (clip.video.as_ref().unwrap(), clip.audio.as_ref().unwrap());
    for (kind, track, wanted, allowed_ms) in [("video", video, clip_video, 0), ("audio", sound, clip_sound, 1)] {
        assert_eq!((&track.codec, &track.configuration), (&wanted.codec, &wanted.configuration), "{kind}");
        assert!(track.packets.len() <= wanted.packets.len() && (!all || track.packets.len() == wanted.packets.len()));
        let begin_ms = (video.packets[0].dts_ms, clip_video.packets[0].dts_ms);
        for (got, sent) in track.packets.iter().zip(&wanted.packets) {
            assert_eq!((&got.md5, got.bytes), (&sent.md5, sent.bytes), "{kind} at {}", sent.dts_ms);
            let shown_ms = (got.pts_ms - begin_ms.0, sent.pts_ms - begin_ms.1);
            assert!(shown_ms.0.abs_diff(shown_ms.1) <= allowed_ms, "{kind} at {}: {shown_ms:?}", sent.dts_ms);
        }
    }
}

#[test]
fn what_ffmpeg_publishes_is_in_the_mp4_file_sample_by_sample_for_every_reader_and_while_it_is_written() {
    if emulated() {
        return;
    }
    let studio = Studio::new("recording-mp4", &[]);
    let clip = Media::packets(&studio.clip);
    let live = studio.scratch.path("live.flv");
    let mut player = studio.spawn("player", ffmpeg_play(&studio.server.url("cam"), &live));
    studio.server.wait_for_players("cam", 1);
    let mut publisher = studio.spawn("publisher", ffmpeg_publish(&studio.clip, &studio.server.url("cam"), &[]));
    // A fragment is on the medium: what is there now is what a pulled plug leaves.
    studio.server.wait_for_log(&[" record start "]);
    let growing = studio.recording();
    assert!(growing.extension().is_some_and(|ending| ending == "mp4"));
    let is_long = || fs::metadata(&growing).is_ok_and(|file| file.len() > 60_000);
    assert!(wait_until(patience(10.0), is_long));
    let torn = studio.scratch.path("torn.mp4");
    fs::copy(&growing, &torn).unwrap();
    let of_torn = Media::packets(&torn);
    assert!(of_torn.packet_count() > 100 && of_torn.packet_count() < clip.packet_count(), "{}", of_torn.packet_count());
    assert_clip(&of_torn, &clip, false);
    publisher.wait_success(patience(15.0));
    player.wait_success(patience(15.0));
    studio.server.wait_for_log(&["record finished"]);

    let file = studio.recording();
    let found = Media::packets(&file);
    assert_clip(&found, &clip, true);
    assert_clip(&found, &Media::packets(&live), true);
    let mut probe = Command::new("ffprobe");
    probe.args(["-loglevel", "warning", "-show_entries", "format=format_name,duration", "-of", "csv=p=0"]).arg(&file);
    let said = String::from_utf8(output_of(&mut probe)).unwrap();
    let duration: f64 = said.trim().rsplit(',').next().unwrap().parse().unwrap();
    assert!((5.95..6.15).contains(&duration), "{said}");

    // Another reader of MP4 than ffmpeg's has the same samples, byte for byte.
    for (pad, kind) in [("video_0", 9), ("audio_0", 8)] {
        let raw = studio.scratch.path(pad);
        studio.spawn(pad, gst_demux_mp4(&file, pad, &raw)).wait_success(patience(20.0));
        assert!(fs::read(&raw).unwrap() == samples_of(&studio.clip, kind), "{pad}");
    }
    // VLC leaves out some frames at the end of any file, ffmpeg's, too.
    let theirs = studio.scratch.path("ffmpeg.mp4");
    let mut copy = Command::new("ffmpeg");
    copy.args(["-nostdin", "-loglevel", "error", "-i"]).arg(&studio.clip).args(["-c", "copy"]);
    output_of(copy.arg(&theirs));
    let counts = [("vlc", &file), ("vlc-theirs", &theirs)].map(|(name, file)| {
        let media = studio.by_vlc(name, file);
        (media.video.unwrap().packets.len(), media.audio.unwrap().packets.len())
    });
    assert_eq!(counts[0], counts[1], "VLC");
    let mut mpv = Command::new("mpv");
    mpv.args(["--no-config", "--no-terminal", "--vo=null", "--ao=null", "--untimed", "--msg-level=all=error"])
        .arg(&file);
    let mut mpv = studio.spawn("mpv", mpv);
    mpv.wait_success(patience(30.0));
    assert_eq!(mpv.log().trim(), "", "mpv complains");
}

#[test]
fn rtmpdump_plays_what_is_recorded_from_a_time_on_while_it_is_recorded_and_ends_with_it() {
    if emulated() {
        return;
    }
    const SYNC: Duration = Duration::from_millis(250);
    let studio = Studio::new("recording-dvr", &[&format!("record.sync_ms={}", SYNC.as_millis())]);
    let clip = Media::packets(&studio.clip);
    let mut publisher = studio.spawn("publisher", ffmpeg_publish(&studio.clip, &studio.server.url("cam"), &[]));
    studio.server.wait_for_log(&[" record start "]);
    let growing = studio.recording();
    assert!(wait_until(patience(10.0), || fs::metadata(&growing).is_ok_and(|file| file.len() > 150_000)));
    // What is in the file counts when it is on the medium.
    thread::sleep(2 * SYNC);
    // Behind the key frame at 2 s.
    let own = format!("cam/{}", growing.file_name().unwrap().to_str().unwrap());
    let players = [("dvr", "cam", &["--start", "3", "--quiet"][..]), ("own", &own, &["--quiet"])];
    let players = players.map(|(name, stream, options)| {
        let out = studio.scratch.path(&format!("{name}.flv"));
        (name, studio.spawn(name, rtmpdump(&studio.server.url(stream), &out, options)), out)
    });
    publisher.wait_success(patience(15.0));
    for (name, mut player, out) in players {
        // Its share of the last frame is less than what it calls complete.
        player.wait(patience(20.0));
        let (played, wanted) = (Media::packets(&out), clip.video.as_ref().unwrap());
        let skipped = if name == "dvr" { 50 } else { 0 };
        let md5s = |packets: &[Packet]| packets.iter().map(|packet| packet.md5.clone()).collect::<Vec<_>>();
        let pictures = md5s(&played.video.as_ref().unwrap().packets);
        assert!(pictures == md5s(&wanted.packets[skipped..]), "{name}: {}\n{}", pictures.len(), player.log());
    }
}

/// `RILL_LONG=1 cargo test --test clients ten_minutes`
#[test]
fn rtmpdump_follows_what_is_recorded_for_ten_minutes_to_its_end_and_mpv_seeks_in_it() {
    if emulated() || std::env::var_os("RILL_LONG").is_none() {
        return;
    }
    let studio = Studio::new("recording-long", &["record.dvr=true"]);
    let film = studio.scratch.path("film.flv");
    let mut copy = Command::new("ffmpeg");
    copy.args(["-nostdin", "-loglevel", "error", "-stream_loop", "104", "-i"]).arg(&studio.clip).args(["-c", "copy"]);
    output_of(copy.arg(&film));
    let url = studio.server.url("cam");
    let mut publisher = studio.spawn("publisher", ffmpeg_publish(&film, &url, &[]));
    let begin = Instant::now();
    studio.server.wait_for_log(&[" record start "]);
    let growing = studio.recording();
    assert!(wait_until(patience(20.0), || fs::metadata(&growing).is_ok_and(|file| file.len() > 150_000)));
    let out = studio.scratch.path("whole.flv");
    let mut player = studio.spawn("player", rtmpdump(&url, &out, &["--quiet"]));
    let mut mpv = Mpv::play(&studio.scratch, &url);
    mpv.wait_for(0.3, 10.0);
    // From the beginning again and again, and behind the edge for the rest of the time.
    for _ in 0..8 {
        std::thread::sleep(Duration::from_secs(60));
        let passed = begin.elapsed().as_secs_f64();
        for at in [5.0, passed / 2.0, passed - 20.0] {
            mpv.tell(&format!("\"seek\",{at},\"absolute\""));
            mpv.wait_for(at - 2.5, at + 3.0);
            mpv.wait_for(at + 0.5, at + 6.0);
        }
    }
    publisher.wait_success(Duration::from_secs(700));
    player.wait(patience(30.0));
    mpv.process.wait_success(patience(60.0));
    let md5s = |file: &Path| {
        let packets = Media::packets(file).video.unwrap().packets;
        packets.into_iter().map(|packet| packet.md5).collect::<Vec<_>>()
    };
    assert!(md5s(&out) == md5s(&film), "{}", player.log());
}

/// The samples of an FLV file of H.264 and AAC, one behind the other.
fn samples_of(file: &Path, kind: u8) -> Vec<u8> {
    let flv = fs::read(file).unwrap();
    let (mut at, mut samples) = (13, Vec::new());
    while let Some(header) = flv.get(at..at + 11) {
        let length = u32::from_be_bytes([0, header[1], header[2], header[3]]) as usize;
        let payload = &flv[at + 11..][..length];
        let front = if kind == 9 { 5 } else { 2 };
        if header[0] == kind && payload[1] == 1 {
            samples.extend(&payload[front..]);
        }
        at += 15 + length;
    }
    samples
}
