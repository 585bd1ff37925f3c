//! Encoders that are killed, and clients who see nothing of it but other pictures: a backup, a slate, and the encoder again.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::clients::ffmpeg_play;
use crate::support::clip::{self, AAC};
use crate::support::player::Player;
use crate::support::process::{Process, output_of};
use crate::support::server::Server;
use crate::support::{Scratch, patience, wait_until};

/// A server whose application `live` has this file.
struct Studio {
    server: Server,
    scratch: Scratch,
}

impl Studio {
    fn new(name: &str, app_toml: &str) -> Studio {
        let scratch = Scratch::new(name);
        let media = scratch.path("root/applications/live/media");
        fs::create_dir_all(&media).unwrap();
        fs::write(scratch.path("root/applications/live/app.toml"), app_toml).unwrap();
        let mut command = Command::new("ffmpeg");
        command.args(["-nostdin", "-loglevel", "error", "-y", "-i"]).arg(clip::h264_aac());
        output_of(command.args(["-c", "copy", "-movflags", "+faststart"]).arg(media.join("soon.mp4")));
        let root = format!("server.root={}", scratch.path("root").display());
        let server = Server::start(&scratch, &[&root, "live.unpublish_grace_ms=5000"]);
        Studio { server, scratch }
    }

    /// ffmpeg that publishes a clip again and again.
    fn encoder(&self, clip: &Path, name: &str) -> Process {
        let mut command = Command::new("ffmpeg");
        command.args(["-nostdin", "-hide_banner", "-nostats", "-re", "-stream_loop", "-1", "-i"]).arg(clip);
        command.args(["-c", "copy", "-f", "flv", &self.server.url(name)]);
        Process::spawn(&self.scratch, &format!("encoder-{name}"), &mut command)
    }

    /// What ffmpeg has made of the stream for a viewer, and the server's own player of it.
    fn viewers(&self) -> (Process, PathBuf, Player) {
        let file = self.scratch.path("played.flv");
        let ffmpeg = Process::spawn(&self.scratch, "viewer", &mut ffmpeg_play(&self.server.url("cam"), &file));
        (ffmpeg, file, Player::start(self.server.address, "cam"))
    }

    /// It is on air, for the `count`th time.
    fn on_air(&self, count: usize, input: &str, reason: &str) {
        self.server.wait_for_logs(count, &["on air", &format!("input={input}"), reason]);
    }

    /// Everything that came can be decoded, and its time goes on.
    fn assert_plays(&self, file: &Path, least_s: f64) {
        let mut decode = Command::new("ffmpeg");
        decode.args(["-nostdin", "-v", "error", "-xerror", "-i"]).arg(file).args(["-f", "null", "-"]);
        output_of(&mut decode);
        for kind in ["v:0", "a:0"] {
            let mut probe = Command::new("ffprobe");
            probe.args(["-v", "error", "-select_streams", kind, "-show_entries", "packet=dts_time", "-of", "csv=p=0"]);
            let times = String::from_utf8(output_of(probe.arg(file))).unwrap();
            let times: Vec<f64> = times.lines().filter_map(|line| line.trim_end_matches(',').parse().ok()).collect();
            assert!(times.is_sorted(), "{kind}: {times:?}");
            let lasts_s = times.last().unwrap() - times[0];
            assert!(lasts_s >= least_s, "{kind} lasts {lasts_s} s");
        }
    }

    /// Both viewers are still there, and have had at least so much.
    fn have_played(&self, (mut ffmpeg, played, player): (Process, PathBuf, Player), least_s: [f64; 2]) {
        assert!(ffmpeg.is_running(), "{}", ffmpeg.log());
        ffmpeg.signal(libc::SIGTERM);
        ffmpeg.wait(patience(5.0));
        self.assert_plays(&played, least_s[0]);
        let own = self.scratch.path("own.flv");
        player.save(&own);
        self.assert_plays(&own, least_s[1]);
    }

    /// The playlist of segments.
    fn playlist(&self) -> String {
        let index = self.get("/live/cam.m3u8");
        let name = index.lines().find(|line| line.ends_with(".m3u8")).unwrap_or_default();
        self.get(&format!("/live/{name}"))
    }

    fn get(&self, path: &str) -> String {
        let mut socket = TcpStream::connect(self.server.http).unwrap();
        socket.set_read_timeout(Some(patience(15.0))).unwrap();
        write!(socket, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        socket.read_to_string(&mut text).unwrap();
        text
    }
}

#[test]
fn viewers_go_on_with_another_encoder_when_theirs_is_killed_and_back() {
    let file = "[[stream]]\nname = 'cam'\nbackup = 'other'\nsilent_ms = 800\nsteady_ms = 1500\n";
    let studio = Studio::new("backup", file);
    let other = ["-c:v", "libx264", "-preset", "veryfast", "-vf", "scale=320:240", "-sc_threshold", "0"];
    let _backup = studio.encoder(&clip::clip("ffmpeg".as_ref(), &other, AAC), "other");
    let mut main = studio.encoder(&clip::h264_aac(), "cam");
    studio.on_air(1, "main", "");
    let (ffmpeg, played, player) = studio.viewers();
    player.wait_for_time(2000);
    main.kill();
    studio.on_air(1, "backup", "the main input has left");
    player.wait_for_time(5000);
    let main = studio.encoder(&clip::h264_aac(), "cam");
    studio.on_air(2, "main", "");
    // It stands still.
    main.signal(libc::SIGSTOP);
    studio.on_air(1, "backup", "the main input is silent");
    player.wait_for_time(9000);
    main.signal(libc::SIGCONT);
    let listed = || studio.playlist().contains("#EXT-X-DISCONTINUITY\n");
    assert!(wait_until(patience(10.0), listed), "{}", studio.playlist());
    studio.have_played((ffmpeg, played, player), [6.0, 8.0]);
}

#[test]
fn a_slate_is_shown_until_the_encoder_is_back() {
    let studio = Studio::new("slate", "[[stream]]\nname = 'cam'\nslate = 'soon.mp4'\nsilent_ms = 800\n");
    let mut main = studio.encoder(&clip::h264_aac(), "cam");
    studio.on_air(1, "main", "");
    let (ffmpeg, played, player) = studio.viewers();
    player.wait_for_time(2000);
    main.kill();
    studio.on_air(1, "slate", "the main input has left");
    // Longer than it lasts.
    player.wait_for_time(8000);
    let _main = studio.encoder(&clip::h264_aac(), "cam");
    studio.on_air(1, "main", "the main input is back");
    player.wait_for_time(10_000);
    studio.have_played((ffmpeg, played, player), [6.0, 9.0]);
}
