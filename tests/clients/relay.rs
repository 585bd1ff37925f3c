//! Real clients publish and play against the real binary, and what was played is compared, packet by packet, with what was
//! published: ffmpeg (old and recent), rtmpdump, GStreamer with its own client and with librtmp.
//!
//! Every test has its own server. With `RILL_RUNNER` set (an emulator) only the tests with ffmpeg alone run.

use std::ffi::{OsStr, OsString};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::clients::*;
use crate::support::clip::{self, KEY_INTERVAL, LENGTH_MS};
use crate::support::media::Media;
use crate::support::player::Player;
use crate::support::process::{Process, gst_has, output_of};
use crate::support::publisher::{self, Form};
use crate::support::server::Server;
use crate::support::{Scratch, emulated, patience, wait_until};

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

    /// Waits until a player has everything, which was `published` to its end, and compares.
    fn finish(&self, kind: PlayerKind, mut player: Process, file: &Path, published: &Media) {
        if kind.ends_with_publisher() {
            player.wait_success(end());
        } else {
            wait_until(patience(5.0), || Media::packets(file).packet_count() >= published.packet_count());
            player.kill();
        }
        eprintln!("{}", file.display());
        Media::packets(file).assert_equals(published);
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
    join_late("ffmpeg".as_ref(), &clip::h264_aac(), ffmpeg_play_by);
}

/// Publishes `source`, joins in the middle, and compares packets and decoded frames from there on.
fn join_late(ffmpeg: &OsStr, source: &Path, play: fn(&OsStr, &str, &Path) -> Command) {
    let stage = Stage::new("late");
    let witness = Player::start(stage.server.address, "cam");
    let mut publisher = stage.spawn("publisher", ffmpeg_publish_by(ffmpeg, source, &stage.url(), &[]));
    witness.wait_for_time(LENGTH_MS / 2);
    // The publisher holds its breath, so that a slow start of the player does not miss the rest.
    publisher.signal(libc::SIGSTOP);
    let mut player = stage.spawn("player", play(ffmpeg, &stage.url(), &stage.played("cam")));
    stage.server.wait_for_players("cam", 2);
    publisher.signal(libc::SIGCONT);
    publisher.wait_success(end());
    player.wait_success(end());
    let packets = |file| Media::packets_by(ffmpeg, file);
    let frames = |file| Media::decoded_video_by(ffmpeg, file);
    packets(&stage.played("cam")).assert_joined_at_key_frame(&packets(source), KEY_INTERVAL);
    frames(&stage.played("cam")).assert_joined_at_key_frame(&frames(source), KEY_INTERVAL);
}

#[test]
fn ffmpeg_that_seeks_in_a_live_stream_plays_on() {
    let stage = Stage::new("seek");
    let mut publish = Command::new("ffmpeg");
    publish.args(["-nostdin", "-hide_banner", "-nostats", "-re", "-stream_loop", "-1", "-i"]).arg(clip::h264_aac());
    publish.args(["-c", "copy", "-f", "flv", &stage.url()]);
    let _publisher = stage.spawn("publisher", publish);
    let witness = Player::start(stage.server.address, "cam");
    witness.wait_for_time(LENGTH_MS / 2);
    let mut ffmpegs = vec![OsString::from("ffmpeg")];
    ffmpegs.extend((!emulated()).then(modern_ffmpeg));
    for (ffmpeg, codec) in ffmpegs.iter().flat_map(|ffmpeg| ["copy", "rawvideo"].map(|codec| (ffmpeg, codec))) {
        let file = stage.path("played.mkv");
        let mut play = Command::new(ffmpeg);
        play.args(["-nostdin", "-v", "error", "-xerror", "-ss", "1", "-i", &stage.url(), "-t", "1", "-map", "0:v"]);
        play.args(["-c:v", codec, "-y"]).arg(&file);
        stage.spawn("player", play).wait_success(end());
        assert!(Media::packets(&file).packet_count() > 0);
    }
}

#[test]
fn ffmpeg_finds_the_published_streams_and_no_other_and_ends_when_it_has_enough() {
    let stage = Stage::new("probe");
    let publish = |name: &str| {
        let mut command = Command::new("ffmpeg");
        command.args(["-nostdin", "-hide_banner", "-nostats", "-re", "-stream_loop", "-1", "-i"]);
        command.arg(clip::h264_aac()).args(["-c", "copy", "-f", "flv", &stage.url()]);
        stage.spawn(name, command)
    };
    let mut ffmpegs = vec![("old", OsString::from("ffmpeg"))];
    ffmpegs.extend((!emulated()).then(|| ("recent", modern_ffmpeg())));
    let play = |name: String, ffmpeg: &OsStr| {
        let mut command = Command::new(ffmpeg);
        command.args(["-nostdin", "-hide_banner", "-nostats", "-y", "-i", &stage.url(), "-t", "2", "-c", "copy"]);
        command.arg(stage.path(&format!("{name}.mkv")));
        stage.spawn(&name, command)
    };
    let check = |mut player: Process| {
        player.wait_success(end());
        // A stream of subtitles is what it takes metadata for that has a time.
        assert!(!player.log().contains("Subtitle"), "{}", player.log());
    };
    let witness = Player::start(stage.server.address, "cam");
    let mut publisher = publish("publisher-1");
    witness.wait_for_time(LENGTH_MS / 2);
    let mut probe = Command::new("ffprobe");
    probe.args(["-v", "error", "-show_entries", "stream=codec_type", "-of", "csv=p=0", &stage.url()]);
    let streams = String::from_utf8(output_of(&mut probe)).unwrap();
    let mut streams: Vec<_> = streams.split_whitespace().collect();
    streams.sort_unstable();
    assert_eq!(streams, ["audio", "video"]);
    for (age, ffmpeg) in &ffmpegs {
        check(play(format!("late-{age}"), ffmpeg));
    }
    // Those who wait get the metadata of the next publish in its place, when time has long begun.
    publisher.kill();
    witness.wait_for_status("NetStream.Play.UnpublishNotify", 1);
    let players: Vec<_> = ffmpegs.iter().map(|(age, ffmpeg)| play(format!("waiting-{age}"), ffmpeg)).collect();
    stage.server.wait_for_players("cam", 2 + 2 * ffmpegs.len());
    let _publisher = publish("publisher-2");
    players.into_iter().for_each(check);
}

#[test]
fn rtmpdump_plays_every_packet_also_with_further_connect_arguments() {
    if emulated() {
        return;
    }
    let source = clip::h264_aac();
    let published = Media::packets(&source);
    let stage = Stage::new("rtmpdump");
    let further: &[&str] =
        &["--live", "-C", "B:1", "-C", "S:secret", "-C", "O:1", "-C", "NN:code:1.23", "-C", "O:0", "-C", "Z:"];
    let play = |name: &str, options: &[&str]| {
        let file = stage.path(&format!("{name}.flv"));
        (stage.spawn(name, rtmpdump(&stage.url(), &file, options)), file)
    };
    let players = [play("live", &["--live"]), play("further", further)];
    let witness = Player::start(stage.server.address, "cam");
    stage.server.wait_for_players("cam", players.len() + 1);
    let mut publisher = stage.spawn("publisher", ffmpeg_publish(&source, &stage.url(), &[]));
    witness.wait_for_time(LENGTH_MS / 2);
    publisher.signal(libc::SIGSTOP);
    // Without --live librtmp asks for a recording from its beginning; what is on the air is good for that.
    let (mut late, late_file) = play("not-live", &["--realtime"]);
    stage.server.wait_for_players("cam", 4);
    publisher.signal(libc::SIGCONT);
    publisher.wait_success(end());
    for (player, file) in players {
        stage.finish(PlayerKind::Rtmpdump, player, &file, &published);
    }
    // It calls that incomplete: there is no telling how long the recording was to be.
    late.wait(end());
    Media::packets(&late_file).assert_joined_at_key_frame(&published, KEY_INTERVAL);
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
    let no_recording = rtmpdump(&stage.url(), &stage.path("e.flv"), &[]);
    // Resuming needs a file with a key frame in it; of a live stream there is no part to resume.
    let resumed = stage.path("d.flv");
    std::fs::copy(clip::h264_aac(), &resumed).unwrap();
    let resume = rtmpdump(&stage.url(), &resumed, &["--resume", "--timeout", "1"]);
    let commands = [
        ("waiting", waiting),
        ("no-application", no_application),
        ("no-file", no_file),
        ("no-recording", no_recording),
        ("resume", resume),
    ];
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

#[test]
fn ffmpeg_publishes_and_gstreamer_plays() {
    if emulated() {
        return;
    }
    let source = clip::h264_aac();
    let stage = Stage::new("gst-play");
    let mut kinds = vec![PlayerKind::Gst];
    kinds.extend(gst_has("rtmpsrc").then_some(PlayerKind::GstLibrtmp));
    let players: Vec<_> = kinds
        .into_iter()
        .map(|kind| {
            let file = stage.path(&format!("{kind:?}.flv"));
            (kind, stage.spawn(&format!("{kind:?}"), kind.play(&stage.url(), &file)), file)
        })
        .collect();
    stage.server.wait_for_players("cam", players.len());
    stage.spawn("publisher", ffmpeg_publish(&source, &stage.url(), &[])).wait_success(end());
    for (kind, player, file) in players {
        stage.finish(kind, player, &file, &Media::packets(&source));
    }
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
    let gst_played = stage.path("gst.flv");
    let gst = (!emulated()).then(|| stage.spawn("gst", PlayerKind::Gst.play(&stage.url(), &gst_played)));
    stage.server.wait_for_players("cam", 1 + usize::from(gst.is_some()));
    let mut publisher = stage.spawn("publisher-1", ffmpeg_publish(&source, &stage.url(), &[]));
    player.wait_for_time(LENGTH_MS / 2);
    publisher.kill();
    player.wait_for_status("NetStream.Play.UnpublishNotify", 1);
    stage.spawn("publisher-2", ffmpeg_publish(&source, &stage.url(), &[])).wait_success(end());
    player.wait_for_status("NetStream.Play.UnpublishNotify", 2);
    player.wait_for_status("NetStream.Play.PublishNotify", 2);
    assert!(!player.is_closed());
    player.save(&stage.played("cam"));
    let played = Media::packets(&stage.played("cam"));
    played.assert_republished(&Media::packets(&source));
    if let Some(gst) = gst {
        stage.finish(PlayerKind::Gst, gst, &gst_played, &played);
    }
}

#[test]
fn players_that_end_with_their_publisher_stay_while_the_encoder_restarts() {
    let source = clip::h264_aac();
    let stage = Stage::with("encoder-restarts", &["live.unpublish_grace_ms=4000"]);
    let kinds: &[PlayerKind] =
        if emulated() { &[PlayerKind::Ffmpeg] } else { &[PlayerKind::Ffmpeg, PlayerKind::Rtmpdump] };
    let file = |kind: &PlayerKind| stage.path(&format!("{kind:?}.flv"));
    let play = |kind: &PlayerKind| stage.spawn(&format!("{kind:?}"), kind.play(&stage.url(), &file(kind)));
    let players: Vec<Process> = kinds.iter().map(play).collect();
    stage.server.wait_for_players("cam", players.len());
    let witness = Player::start(stage.server.address, "cam");
    let mut publisher = stage.spawn("publisher-1", ffmpeg_publish(&source, &stage.url(), &[]));
    witness.wait_for_time(LENGTH_MS / 2);
    publisher.kill();
    stage.server.wait_for_log(&[" publish stop "]);
    stage.spawn("publisher-2", ffmpeg_publish(&source, &stage.url(), &[])).wait_success(end());
    for (kind, mut player) in kinds.iter().zip(players) {
        player.wait_success(end());
        Media::packets(&file(kind)).assert_republished(&Media::packets(&source));
    }
    witness.wait_for_status("NetStream.Play.UnpublishNotify", 1);
    witness.wait_for_status("NetStream.Play.PublishNotify", 1);
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
    let stage = Stage::with("ghost", &["live.publish_timeout_ms=2000"]);
    let player = Player::start(stage.server.address, "cam");
    let ghost = stage.spawn("ghost", ffmpeg_publish(&source, &stage.url(), &[]));
    player.wait_for_time(LENGTH_MS / 2);
    ghost.signal(libc::SIGSTOP);
    let mut newcomer = stage.spawn("newcomer", ffmpeg_publish(&source, &stage.url(), &[]));
    stage.server.wait_for_log(&[" publish waits ", "name=\"cam\""]);
    let since = Instant::now();
    stage.server.wait_for_logs(2, &[" publish start ", "name=\"cam\""]);
    let waited = since.elapsed();
    assert!(waited >= Duration::from_millis(1500) && waited < patience(5.0), "took over after {waited:?}");
    newcomer.wait_success(end());
    // For players the stream never ended in between.
    player.wait_for_status("NetStream.Play.UnpublishNotify", 1);
    assert!(!player.is_closed());
    player.save(&stage.played("cam"));
    Media::packets(&stage.played("cam")).assert_republished(&Media::packets(&source));
}

#[test]
fn enhanced_rtmp_plays_hevc_av1_vp9_and_opus() {
    if emulated() {
        return;
    }
    let ffmpeg = modern_ffmpeg();
    let stage = Stage::new("enhanced");
    let opus: &[&str] = &["-c:a", "libopus"];
    let cases = [
        ("hevc", clip::clip(&ffmpeg, clip::HEVC, clip::AAC)),
        ("av1", clip::clip(&ffmpeg, &["-c:v", "libsvtav1", "-preset", "12", "-svtav1-params", "lp=1"], opus)),
        ("vp9", clip::clip(&ffmpeg, &["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"], opus)),
    ];
    let streams = cases.iter().map(|(name, source)| {
        let url = stage.server.url(name);
        let play = ffmpeg_play_enhanced(&ffmpeg, &url, &stage.played(name));
        (*name, play, ffmpeg_publish_by(&ffmpeg, source, &url, &[]))
    });
    stage.relay_all(streams.collect());
    for (name, source) in &cases {
        eprintln!("{name}");
        Media::packets_by(&ffmpeg, &stage.played(name)).assert_equals(&Media::packets_by(&ffmpeg, source));
    }
}

#[test]
fn a_late_joiner_finds_the_key_frames_of_enhanced_rtmp() {
    if emulated() {
        return;
    }
    let ffmpeg = modern_ffmpeg();
    join_late(&ffmpeg, &clip::clip(&ffmpeg, clip::HEVC, clip::AAC), ffmpeg_play_enhanced);
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
fn players_who_know_no_enhanced_rtmp_play_h264_and_aac_under_their_fourcc_and_of_several_tracks() {
    let source = clip::h264_aac();
    let published = Media::packets(&source);
    let stage = Stage::new("old");
    let kinds: &[PlayerKind] = if emulated() {
        &[PlayerKind::Ffmpeg]
    } else {
        &[PlayerKind::Ffmpeg, PlayerKind::Rtmpdump, PlayerKind::Gst, PlayerKind::GstLibrtmp]
    };
    let mut players = Vec::new();
    let forms = [("fourcc", Form::FourCc), ("many", Form::ManyTracks)];
    for (name, _) in forms {
        for kind in kinds {
            let file = stage.path(&format!("{name}-{kind:?}.flv"));
            let play = kind.play(&stage.server.url(name), &file);
            players.push((*kind, stage.spawn(&format!("{name}-{kind:?}"), play), file));
        }
        stage.server.wait_for_players(name, kinds.len());
    }
    std::thread::scope(|scope| {
        for (name, form) in forms {
            let (address, source) = (stage.server.address, &source);
            scope.spawn(move || publisher::publish(address, name, source, form));
        }
    });
    for (kind, player, file) in players {
        stage.finish(kind, player, &file, &published);
        Media::decoded_video(&file).assert_equals(&Media::decoded_video(&source));
    }
}

#[test]
fn an_old_ffmpeg_plays_the_first_of_two_sounds_of_a_recent_one() {
    if emulated() {
        return;
    }
    let recent = modern_ffmpeg();
    let source = clip::h264_aac();
    let stage = Stage::new("two-sounds");
    let two = ["-map", "0:v", "-map", "0:a", "-map", "0:a"];
    stage.relay("cam", stage.ffmpeg_play("cam"), ffmpeg_publish_by(&recent, &source, &stage.url(), &two));
    Media::packets(&stage.played("cam")).assert_equals(&Media::packets(&source));
}

#[test]
fn an_old_ffmpeg_hears_what_it_cannot_see() {
    if emulated() {
        return;
    }
    let recent = modern_ffmpeg();
    let source = clip::clip(&recent, clip::HEVC, clip::AAC);
    let stage = Stage::new("sound");
    stage.relay("cam", stage.ffmpeg_play("cam"), ffmpeg_publish_by(&recent, &source, &stage.url(), &[]));
    let (played, published) = (Media::packets(&stage.played("cam")), Media::packets_by(&recent, &source));
    assert!(played.video.is_none());
    played.assert_equals(&Media { video: None, ..published });
    stage.server.wait_for_log(&["name=\"cam\" HEVC left out: the player announced no Enhanced RTMP"]);
}

#[test]
fn timestamps_beyond_24_bits_play_in_every_client() {
    let source = clip::h264_aac();
    let published = Media::packets(&source);
    let stage = Stage::new("extended");
    let kinds: &[PlayerKind] =
        if emulated() { &[PlayerKind::Ffmpeg] } else { &[PlayerKind::Ffmpeg, PlayerKind::Rtmpdump, PlayerKind::Gst] };
    let mut publishers = Vec::new();
    let mut players = Vec::new();
    // 16 777 215 ms is where extended timestamps begin: crossed in the middle, and passed long before (13 hours).
    for (name, offset) in [("crossing", "16775.815"), ("beyond", "46800")] {
        let url = stage.server.url(name);
        for kind in kinds {
            let file = stage.path(&format!("{name}-{kind:?}.flv"));
            players.push((*kind, stage.spawn(&format!("{name}-{kind:?}"), kind.play(&url, &file)), file));
        }
        stage.server.wait_for_players(name, kinds.len());
        let publish = ffmpeg_publish(&source, &url, &["-output_ts_offset", offset]);
        publishers.push(stage.spawn(&format!("publish-{name}"), publish));
    }
    publishers.iter_mut().for_each(|publisher| publisher.wait_success(end()));
    for (kind, player, file) in players {
        stage.finish(kind, player, &file, &published);
    }
}

#[test]
fn on_sigterm_the_server_ends_with_success_within_two_seconds_and_so_do_its_clients() {
    let source = clip::h264_aac();
    let mut stage = Stage::new("sigterm");
    let url = stage.url();
    let kinds: &[PlayerKind] =
        if emulated() { &[PlayerKind::Ffmpeg] } else { &[PlayerKind::Ffmpeg, PlayerKind::Rtmpdump, PlayerKind::Gst] };
    let play = |kind: &PlayerKind| {
        let name = format!("{kind:?}");
        stage.spawn(&name, kind.play(&url, &stage.path(&format!("{name}.flv"))))
    };
    let mut clients: Vec<_> = kinds.iter().map(play).collect();
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
    let kinds = [PlayerKind::Ffmpeg, PlayerKind::Rtmpdump, PlayerKind::Gst];
    let players: Vec<_> = (0..10)
        .map(|index| {
            let kind = kinds[index % kinds.len()];
            let file = stage.path(&format!("{index}.flv"));
            (kind, stage.spawn(&format!("player-{index}"), kind.play(&stage.url(), &file)), file)
        })
        .collect();
    stage.server.wait_for_players("cam", players.len());
    stage.spawn("publisher", ffmpeg_publish(&source, &stage.url(), &[])).wait_success(end());
    for (kind, player, file) in players {
        stage.finish(kind, player, &file, &published);
    }
}

#[test]
fn a_publisher_that_pauses_is_called_idle_and_no_client_minds() {
    if emulated() {
        return;
    }
    let source = clip::h264_aac();
    let stage = Stage::with("idle", &["live.publish_idle_ms=400", "live.publish_timeout_ms=10000"]);
    let mut kinds = vec![PlayerKind::Ffmpeg, PlayerKind::Rtmpdump, PlayerKind::Gst];
    kinds.extend(gst_has("rtmpsrc").then_some(PlayerKind::GstLibrtmp));
    let mut publishers = vec!["ffmpeg", "rtmp2sink"];
    publishers.extend(gst_has("rtmpsink").then_some("rtmpsink"));
    for by in publishers {
        let url = stage.server.url(by);
        let sent = stage.path(&format!("{by}-sent.flv"));
        let witness = Player::start(stage.server.address, by);
        let players: Vec<_> = kinds
            .iter()
            .map(|&kind| {
                let file = stage.path(&format!("{by}-{kind:?}.flv"));
                (kind, stage.spawn(&format!("{by}-{kind:?}"), kind.play(&url, &file)), file)
            })
            .collect();
        stage.server.wait_for_players(by, 1 + players.len());
        let publish = match by {
            "ffmpeg" => ffmpeg_publish(&source, &url, &[]),
            sink => gst_publish(sink, &source, &sent, &url),
        };
        let mut publisher = stage.spawn(by, publish);
        for pause in 1..=2 {
            witness.wait_for_time(LENGTH_MS * pause / 4);
            publisher.signal(libc::SIGSTOP);
            witness.wait_for_status("NetStream.Publish.Idle", pause as usize);
            publisher.signal(libc::SIGCONT);
        }
        publisher.wait_success(end());
        let published = Media::packets(if by == "ffmpeg" { &source } else { &sent });
        for (kind, player, file) in players {
            stage.finish(kind, player, &file, &published);
        }
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
