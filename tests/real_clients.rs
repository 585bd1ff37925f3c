//! Real clients publish and play against the real binary, and what was played is compared, packet by packet, with what was
//! published: ffmpeg (old and recent), rtmpdump, GStreamer with its own client and with librtmp.
//!
//! Every test has its own server. With `RILL_RUNNER` set (an emulator) only the tests with ffmpeg alone run.

mod support;

use std::ffi::OsString;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use support::clients::*;
use support::clip::{self, KEY_INTERVAL, LENGTH_MS};
use support::media::Media;
use support::player::Player;
use support::process::{Process, gst_has};
use support::server::Server;
use support::{Scratch, emulated, patience, wait_until};

/// Time in which a client ends by itself after the clip did, or after a refusal.
fn end() -> Duration {
    patience(20.0)
}

/// A server, and the directory of its test.
struct Stage {
    server: Server,
    scratch: Scratch,
}

impl Stage {
    fn new(name: &str) -> Stage {
        Stage::with(name, &[])
    }

    fn with(name: &str, settings: &[&str]) -> Stage {
        let scratch = Scratch::new(name);
        Stage { server: Server::start(&scratch, settings), scratch }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path(name)
    }

    fn url(&self) -> String {
        self.server.url("cam")
    }

    fn spawn(&self, name: &str, mut command: Command) -> Process {
        Process::spawn(&self.scratch, name, &mut command)
    }

    /// Publishes a stream to its end, while a player that waited from before writes what it gets to [`Stage::played`].
    fn relay(&self, name: &str, play: Command, publish: Command) {
        self.relay_all(vec![(name, play, publish)]);
    }

    /// The same with several streams at once: name, player, publisher.
    fn relay_all(&self, streams: Vec<(&str, Command, Command)>) {
        let mut clients = Vec::new();
        for (name, play, publish) in streams {
            let player = self.spawn(&format!("play-{name}"), play);
            self.server.wait_for_players(name, 1);
            clients.extend([player, self.spawn(&format!("publish-{name}"), publish)]);
        }
        clients.iter_mut().for_each(|client| client.wait_success(end()));
    }

    /// Where the player of a stream writes.
    fn played(&self, name: &str) -> PathBuf {
        self.path(&format!("{name}-played.flv"))
    }

    /// ffmpeg as the player of a stream.
    fn ffmpeg_play(&self, name: &str) -> Command {
        ffmpeg_play(&self.server.url(name), &self.played(name))
    }
}

#[test]
fn ffmpeg_plays_every_packet_that_ffmpeg_publishes() {
    let source = clip::h264_aac();
    let stage = Stage::new("ffmpeg");
    stage.relay("cam", stage.ffmpeg_play("cam"), ffmpeg_publish(&source, &stage.url(), &[]));
    Media::packets(&stage.played("cam")).assert_equals(&Media::packets(&source));
    Media::decoded_video(&stage.played("cam")).assert_equals(&Media::decoded_video(&source));
}

#[test]
fn a_late_joiner_starts_at_a_key_frame_and_decodes_what_follows_it() {
    let source = clip::h264_aac();
    let stage = Stage::new("late");
    let witness = Player::start(stage.server.address, "cam");
    let mut publisher = stage.spawn("publisher", ffmpeg_publish(&source, &stage.url(), &[]));
    witness.wait_for_time(LENGTH_MS / 2);
    let mut player = stage.spawn("player", stage.ffmpeg_play("cam"));
    publisher.wait_success(end());
    player.wait_success(end());
    Media::packets(&stage.played("cam")).assert_joined_at_key_frame(&Media::packets(&source), KEY_INTERVAL);
    let decoded = Media::decoded_video(&stage.played("cam"));
    decoded.assert_joined_at_key_frame(&Media::decoded_video(&source), KEY_INTERVAL);
}

#[test]
fn rtmpdump_plays_every_packet_live_or_not_and_with_further_connect_arguments() {
    if emulated() {
        return;
    }
    let source = clip::h264_aac();
    let stage = Stage::new("rtmpdump");
    // librtmp without --live asks for a recording first (start -2) and pauses now and then to make servers send faster.
    let arguments: [&[&str]; 3] = [
        &["--live"],
        &["--realtime"],
        &["--live", "-C", "B:1", "-C", "S:secret", "-C", "O:1", "-C", "NN:code:1.23", "-C", "O:0", "-C", "Z:"],
    ];
    let mut players = Vec::new();
    for (index, options) in arguments.into_iter().enumerate() {
        let file = stage.path(&format!("{index}.flv"));
        let player = stage.spawn(&format!("rtmpdump-{index}"), rtmpdump(&stage.url(), &file, options));
        players.push((file, player));
    }
    stage.server.wait_for_players("cam", players.len());
    stage.spawn("publisher", ffmpeg_publish(&source, &stage.url(), &[])).wait_success(end());
    for (file, mut player) in players {
        player.wait(end());
        Media::packets(&file).assert_equals(&Media::packets(&source));
    }
}

#[test]
fn rtmpdump_ends_with_an_error_when_there_is_nothing_to_play() {
    if emulated() {
        return;
    }
    let stage = Stage::new("nothing");
    // A live stream that nobody publishes is waited for, as long as the player likes.
    let waiting = rtmpdump(&stage.url(), &stage.path("a.flv"), &["--live", "--timeout", "1"]);
    let no_application = rtmpdump(&stage.server.url_in("nowhere", "cam"), &stage.path("b.flv"), &["--live"]);
    let no_file = rtmpdump(&stage.server.url_in("vod", "nothing"), &stage.path("c.flv"), &[]);
    // Resuming needs a file with a key frame in it; of a live stream there is no part to resume.
    let resumed = stage.path("d.flv");
    std::fs::copy(clip::h264_aac(), &resumed).unwrap();
    let resume = rtmpdump(&stage.url(), &resumed, &["--resume", "--timeout", "1"]);
    let commands = [("waiting", waiting), ("no-application", no_application), ("no-file", no_file), ("resume", resume)];
    let clients = commands.map(|(name, command)| (name, stage.spawn(name, command)));
    for (name, mut client) in clients {
        let status = client.wait(patience(8.0));
        assert!(!status.success(), "{name}:\n{}", client.log());
    }
}

#[test]
fn gstreamer_publishes_and_ffmpeg_plays() {
    if emulated() {
        return;
    }
    let source = clip::h264_aac();
    let stage = Stage::new("gst-publish");
    let sent = |name: &str| stage.path(&format!("{name}-sent.flv"));
    let mut sinks = vec!["rtmp2sink"];
    sinks.extend(gst_has("rtmpsink").then_some("rtmpsink"));
    let streams = sinks
        .iter()
        .map(|sink| (*sink, stage.ffmpeg_play(sink), gst_publish(sink, &source, &sent(sink), &stage.server.url(sink))));
    stage.relay_all(streams.collect());
    for name in sinks {
        eprintln!("{name}");
        Media::packets(&stage.played(name)).assert_equals(&Media::packets(&sent(name)));
        Media::decoded_video(&stage.played(name)).assert_equals(&Media::decoded_video(&sent(name)));
    }
}

/// rtmp2src throws away what it has not handed on when it learns that the stream ended.
const RTMP2SRC_CUT: usize = 3;

#[test]
fn ffmpeg_publishes_and_gstreamer_plays() {
    if emulated() {
        return;
    }
    let source = clip::h264_aac();
    let stage = Stage::new("gst-play");
    stage.relay("cam", gst_play(&stage.url(), &stage.played("cam")), ffmpeg_publish(&source, &stage.url(), &[]));
    Media::packets(&stage.played("cam")).assert_begins(&Media::packets(&source), RTMP2SRC_CUT);
}

#[test]
fn ffmpeg_publishes_and_gstreamer_plays_through_librtmp() {
    if !gst_has("rtmpsrc") {
        return;
    }
    let source = clip::h264_aac();
    let stage = Stage::new("librtmp-play");
    let player = stage.spawn("player", gst_play_librtmp(&stage.url(), &stage.played("cam")));
    stage.server.wait_for_players("cam", 1);
    stage.spawn("publisher", ffmpeg_publish(&source, &stage.url(), &[])).wait_success(end());
    // When the stream ends librtmp connects again: by then everything is written.
    stage.server.wait_for_players("cam", 2);
    drop(player);
    Media::packets(&stage.played("cam")).assert_equals(&Media::packets(&source));
}

#[test]
fn audio_only_video_only_no_metadata_and_mp3_play() {
    let ffmpeg = "ffmpeg".as_ref();
    let stage = Stage::new("kinds");
    let no_metadata: &[&str] = &["-flvflags", "no_metadata"];
    let cases = [
        ("audio-only", clip::clip(ffmpeg, clip::NO_VIDEO, clip::AAC), [].as_slice()),
        ("video-only", clip::clip(ffmpeg, clip::H264, clip::NO_AUDIO), &[]),
        ("no-metadata", clip::h264_aac(), no_metadata),
        ("mp3", clip::clip(ffmpeg, clip::H264, clip::MP3), &[]),
        ("mp3-only-no-metadata", clip::clip(ffmpeg, clip::NO_VIDEO, clip::MP3), no_metadata),
    ];
    let streams = cases.iter().map(|(name, source, options)| {
        (*name, stage.ffmpeg_play(name), ffmpeg_publish(source, &stage.server.url(name), options))
    });
    stage.relay_all(streams.collect());
    for (name, source, _) in &cases {
        eprintln!("{name}");
        Media::packets(&stage.played(name)).assert_equals(&Media::packets(source));
    }
}

#[test]
fn a_player_stays_when_the_encoder_is_killed_and_gets_the_next_publish_without_a_jump_in_time() {
    let source = clip::h264_aac();
    let stage = Stage::new("restart");
    let player = Player::start(stage.server.address, "cam");
    let mut publisher = stage.spawn("publisher-1", ffmpeg_publish(&source, &stage.url(), &[]));
    player.wait_for_time(LENGTH_MS / 2);
    publisher.kill();
    player.wait_for_status("NetStream.Play.UnpublishNotify", 1);
    stage.spawn("publisher-2", ffmpeg_publish(&source, &stage.url(), &[])).wait_success(end());
    player.wait_for_status("NetStream.Play.UnpublishNotify", 2);
    player.wait_for_status("NetStream.Play.PublishNotify", 2);
    assert!(!player.is_closed());
    player.save(&stage.played("cam"));
    Media::packets(&stage.played("cam")).assert_republished(&Media::packets(&source));
}

#[test]
fn a_second_publisher_on_a_busy_name_is_refused_and_the_first_goes_on() {
    let source = clip::h264_aac();
    let stage = Stage::new("busy");
    let mut player = stage.spawn("player", stage.ffmpeg_play("cam"));
    stage.server.wait_for_players("cam", 1);
    let mut first = stage.spawn("publisher-1", ffmpeg_publish(&source, &stage.url(), &[]));
    stage.server.wait_for_publisher("cam");
    let mut second = stage.spawn("publisher-2", ffmpeg_publish(&source, &stage.url(), &[]));
    let status = second.wait(end());
    assert!(!status.success() && first.is_running(), "{}", second.log());
    // ffmpeg prints the description of the status that refused it.
    assert!(second.log().contains("cam"), "{}", second.log());
    first.wait_success(end());
    player.wait_success(end());
    Media::packets(&stage.played("cam")).assert_equals(&Media::packets(&source));
}

#[test]
fn a_publisher_that_went_silent_loses_its_name_to_a_newcomer_and_players_stay() {
    let source = clip::h264_aac();
    // Not the default of 2 s where everything is slow: the newcomer must not be late itself.
    let stage = Stage::with("ghost", &["live.publish_timeout_ms=2000"]);
    let player = Player::start(stage.server.address, "cam");
    let ghost = stage.spawn("ghost", ffmpeg_publish(&source, &stage.url(), &[]));
    player.wait_for_time(LENGTH_MS / 2);
    ghost.signal(libc::SIGSTOP);
    let since = Instant::now();
    let mut newcomer = stage.spawn("newcomer", ffmpeg_publish(&source, &stage.url(), &[]));
    player.wait_for_status("NetStream.Play.PublishNotify", 2);
    let waited = since.elapsed();
    assert!(waited >= Duration::from_millis(1500) && waited < patience(5.0), "took over after {waited:?}");
    newcomer.wait_success(end());
    player.wait_for_status("NetStream.Play.UnpublishNotify", 2);
    assert!(!player.is_closed());
    player.save(&stage.played("cam"));
    Media::packets(&stage.played("cam")).assert_republished(&Media::packets(&source));
}

/// The ffmpeg that speaks Enhanced RTMP.
fn modern_ffmpeg() -> OsString {
    let path = std::env::var_os("RILL_MODERN_FFMPEG")
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/ffmpeg").into());
    assert!(
        Path::new(&path).exists(),
        "no {}: tests/support/modern-ffmpeg.sh fetches it, or run make deps",
        path.display()
    );
    path
}

#[test]
fn enhanced_rtmp_plays_hevc_av1_vp9_and_opus() {
    if emulated() {
        return;
    }
    let ffmpeg = modern_ffmpeg();
    let stage = Stage::new("enhanced");
    let opus: &[&str] = &["-c:a", "libopus"];
    let hevc = [
        "-c:v",
        "libx265",
        "-preset",
        "ultrafast",
        "-x265-params",
        "log-level=error:keyint=20:min-keyint=20:bframes=2",
    ];
    let cases = [
        ("hevc", clip::clip(&ffmpeg, &hevc, clip::AAC)),
        ("av1", clip::clip(&ffmpeg, &["-c:v", "libsvtav1", "-preset", "12", "-svtav1-params", "lp=1"], opus)),
        ("vp9", clip::clip(&ffmpeg, &["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"], opus)),
    ];
    let late = stage.path("late.flv");
    std::thread::scope(|scope| {
        // From the middle on, as most players do: the key frames must be found in the new tags too.
        let late = scope.spawn(|| {
            let url = stage.server.url("hevc");
            Player::start(stage.server.address, "hevc").wait_for_time(LENGTH_MS / 2);
            stage.spawn("late", ffmpeg_play_by(&ffmpeg, &url, &late)).wait_success(end());
        });
        let streams = cases.iter().map(|(name, source)| {
            let url = stage.server.url(name);
            let play = ffmpeg_play_by(&ffmpeg, &url, &stage.played(name));
            (*name, play, ffmpeg_publish_by(&ffmpeg, source, &url, &[]))
        });
        stage.relay_all(streams.collect());
        late.join().unwrap();
    });
    for (name, source) in &cases {
        eprintln!("{name}");
        let source = Media::packets_by(&ffmpeg, source);
        Media::packets_by(&ffmpeg, &stage.played(name)).assert_equals(&source);
        if *name == "hevc" {
            Media::packets_by(&ffmpeg, &late).assert_joined_at_key_frame(&source, KEY_INTERVAL);
        }
    }
}

#[test]
fn an_old_and_a_recent_ffmpeg_play_each_other() {
    if emulated() {
        return;
    }
    let (old, recent) = (OsString::from("ffmpeg"), modern_ffmpeg());
    let source = clip::h264_aac();
    let stage = Stage::new("ages");
    let streams = [("rising", &old, &recent), ("falling", &recent, &old)].map(|(name, publisher, player)| {
        let url = stage.server.url(name);
        let play = ffmpeg_play_by(player, &url, &stage.played(name));
        (name, play, ffmpeg_publish_by(publisher, &source, &url, &[]))
    });
    stage.relay_all(streams.into());
    for name in ["rising", "falling"] {
        Media::packets(&stage.played(name)).assert_equals(&Media::packets(&source));
    }
}

#[test]
fn timestamps_beyond_24_bits_play_in_every_client() {
    let source = clip::h264_aac();
    let published = Media::packets(&source);
    let stage = Stage::new("extended");
    let mut clients = Vec::new();
    let mut played = Vec::new();
    // 16 777 215 ms is where extended timestamps begin: crossed in the middle, and passed long before (13 hours).
    for (name, offset) in [("crossing", "16775.815"), ("beyond", "46800")] {
        let url = stage.server.url(name);
        let file = |player: &str| stage.path(&format!("{name}-{player}.flv"));
        let mut players = vec![("ffmpeg", 0, ffmpeg_play(&url, &file("ffmpeg")))];
        if !emulated() {
            players.push(("rtmpdump", 0, rtmpdump(&url, &file("rtmpdump"), &["--live"])));
            players.push(("gst", RTMP2SRC_CUT, gst_play(&url, &file("gst"))));
        }
        let count = players.len();
        for (player, cut, command) in players {
            clients.push(stage.spawn(&format!("{name}-{player}"), command));
            played.push((file(player), cut));
        }
        stage.server.wait_for_players(name, count);
        let publish = ffmpeg_publish(&source, &url, &["-output_ts_offset", offset]);
        clients.push(stage.spawn(&format!("publish-{name}"), publish));
    }
    clients.iter_mut().for_each(|client| client.wait_success(end()));
    for (file, cut) in played {
        eprintln!("{}", file.display());
        Media::packets(&file).assert_begins(&published, cut);
    }
}

#[test]
fn on_sigterm_the_server_ends_with_success_within_two_seconds_and_so_do_its_clients() {
    let source = clip::h264_aac();
    let mut stage = Stage::new("sigterm");
    let url = stage.url();
    let mut players = vec![("ffmpeg-play", ffmpeg_play(&url, &stage.path("ffmpeg.flv")))];
    if !emulated() {
        players.push(("rtmpdump", rtmpdump(&url, &stage.path("rtmpdump.flv"), &["--live"])));
        players.push(("gst", gst_play(&url, &stage.path("gst.flv"))));
    }
    let mut clients: Vec<_> = players.into_iter().map(|(name, command)| stage.spawn(name, command)).collect();
    stage.server.wait_for_players("cam", clients.len());
    let witness = Player::start(stage.server.address, "cam");
    clients.push(stage.spawn("publisher", ffmpeg_publish(&source, &url, &[])));
    witness.wait_for_time(LENGTH_MS / 3);

    stage.server.process.signal(libc::SIGTERM);
    let status = stage.server.process.wait(patience(2.0));
    assert_eq!(status.code(), Some(0), "{}", stage.server.process.log());
    witness.wait_for_status("NetStream.Play.UnpublishNotify", 1);
    assert!(wait_until(patience(2.0), || witness.is_closed()));
    // With success or not is their taste; the publisher must notice before its clip would have ended by itself.
    for mut client in clients {
        client.wait(patience(5.0));
    }
}

#[test]
fn ten_players_of_several_kinds_get_the_same_packets() {
    if emulated() {
        return;
    }
    let source = clip::h264_aac();
    let published = Media::packets(&source);
    let stage = Stage::new("mixed");
    let mut players = Vec::new();
    for index in 0..10 {
        let file = stage.path(&format!("{index}.flv"));
        let (cut, command) = match index % 3 {
            0 => (0, ffmpeg_play(&stage.url(), &file)),
            1 => (0, rtmpdump(&stage.url(), &file, &["--live"])),
            _ => (RTMP2SRC_CUT, gst_play(&stage.url(), &file)),
        };
        players.push((file, cut, stage.spawn(&format!("player-{index}"), command)));
    }
    stage.server.wait_for_players("cam", players.len());
    stage.spawn("publisher", ffmpeg_publish(&source, &stage.url(), &[])).wait_success(end());
    for (file, cut, mut player) in players {
        player.wait_success(end());
        Media::packets(&file).assert_begins(&published, cut);
    }
}

#[test]
fn http_tls_and_ssh_on_the_port_are_closed_and_logged_and_the_server_goes_on() {
    let stage = Stage::new("strangers");
    let strangers: [(&str, &[u8]); 3] = [
        ("HTTP", b"GET / HTTP/1.1\r\nHost: cam.local\r\n\r\n"),
        // The beginning of a TLS 1.2 ClientHello record.
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        ("SSH", b"SSH-2.0-OpenSSH_9.2\r\n"),
    ];
    for (protocol, bytes) in strangers {
        let mut socket = TcpStream::connect(stage.server.address).unwrap();
        socket.set_read_timeout(Some(patience(2.0))).unwrap();
        socket.write_all(bytes).unwrap();
        // Closing with bytes unread may reset the connection: either is an end.
        match socket.read_to_end(&mut Vec::new()) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{protocol}"),
        }
        stage.server.wait_for_log(&[protocol]);
    }
    Player::start(stage.server.address, "cam");
}
