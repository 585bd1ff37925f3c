//! ffmpeg publishes into a scripted application and plays from it: connect arguments, access, `onPublish`, and data that a
//! script sends into a stream.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use super::stage::{Stage, end};
use crate::support::clients::{PlayerKind, ffmpeg_publish};
use crate::support::clip;
use crate::support::media::Media;
use crate::support::{emulated, patience, wait_until};

/// The first argument says what the client may do, as many a script has it.
const STUDIO: &str = r#"
application.onConnect = function(client, role) {
	trace("connect " + JSON.stringify(Array.prototype.slice.call(arguments, 1)));
	client.role = role;
	client.writeAccess = role == "publisher" ? "/" : "";
	client.readAccess = role == "blind" ? "" : "/";
	return true;
};
application.onPublish = function(client, stream) {
	trace("publish " + stream.name + " by a " + client.role + " of " + client.ip);
	if (stream.name == "forbidden") {
		application.disconnect(client);
	}
};
application.onUnpublish = function(client, stream) {
	trace("unpublish " + stream.name + " by a " + client.role + " of " + client.ip);
};
application.onDisconnect = function(client) {
	trace("disconnect a " + client.role + " of " + client.ip);
};
"#;
const INSTANCE: &str = "studio/_definst_";

fn play(url: &str, file: &Path, arguments: &str) -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-hide_banner", "-nostats", "-y", "-rtmp_conn", arguments, "-i", url]);
    command.args(["-map", "0:v?", "-map", "0:a?", "-c", "copy", "-copyinkf", "-copyts", "-f", "flv"]).arg(file);
    command
}

#[test]
fn ffmpeg_publishes_and_plays_with_connect_arguments_of_every_type() {
    let source = clip::h264_aac();
    let stage = Stage::new("ffmpeg", &[("studio", STUDIO)], &[]);
    let url = stage.url("studio/cam");
    let played = stage.path("played.flv");
    let object = "O:1 NS:flag:ok NN:code:1.23 NB:yes:1 NO:inner:1 NN:deep:-2 O:0 O:0";
    let mut player = stage.spawn("player", play(&url, &played, &format!("S:player B:0 N:0.5 Z: {object} N:7")));
    stage.server.wait_for_players("cam", 1);
    let publish = ffmpeg_publish(&source, &url, &["-rtmp_conn", "S:publisher B:1"]);
    stage.spawn("publisher", publish).wait_success(end());
    player.wait_success(end());
    Media::packets(&played).assert_equals(&Media::packets(&source));
    stage.wait_for_traces(
        INSTANCE,
        &[
            r#"connect ["player",false,0.5,null,{"flag":"ok","code":1.23,"yes":true,"inner":{"deep":-2}},7]"#,
            r#"connect ["publisher",true]"#,
            "publish cam by a publisher of 127.0.0.1",
            "unpublish cam by a publisher of 127.0.0.1",
            "disconnect a publisher of 127.0.0.1",
            "disconnect a player of 127.0.0.1",
        ],
    );
    let traces = stage.traces(INSTANCE);
    assert_eq!(traces.len(), 6, "{traces:#?}");
    stage.finish();
}

#[test]
fn what_a_script_forbids_ends_ffmpeg_with_an_error_in_bounded_time() {
    let source = clip::h264_aac();
    let stage = Stage::new("forbidden", &[("studio", STUDIO)], &[]);
    // A stream that is on the air the whole time, so that a player would have something to play.
    let mut endless = Command::new("ffmpeg");
    endless.args(["-nostdin", "-hide_banner", "-nostats", "-re", "-stream_loop", "-1", "-i"]).arg(&source);
    endless.args(["-c", "copy", "-rtmp_conn", "S:publisher", "-f", "flv", &stage.url("studio/cam")]);
    let mut publisher = stage.spawn("publisher", endless);
    stage.server.wait_for_publisher("cam");
    let publish = |name: &str, role: &str| {
        let url = stage.url(&format!("studio/{name}"));
        let mut command = Command::new("ffmpeg");
        command.args(["-nostdin", "-hide_banner", "-nostats", "-re", "-stream_loop", "-1", "-i"]).arg(&source);
        command.args(["-c", "copy", "-rtmp_conn", &format!("S:{role}"), "-f", "flv", &url]);
        command
    };
    let blind = play(&stage.url("studio/cam"), &stage.path("blind.flv"), "S:blind");
    let since = Instant::now();
    let clients = [
        ("no-write-access", publish("mine", "viewer")),
        ("disconnected", publish("forbidden", "publisher")),
        ("no-read-access", blind),
    ]
    .map(|(name, command)| (name, stage.spawn(name, command)));
    for (name, mut client) in clients {
        let status = client.wait(patience(10.0));
        assert!(!status.success(), "{name} ended with success:\n{}", client.log());
        eprintln!("{name} ended after {} ms at most", since.elapsed().as_millis());
        if name == "no-write-access" {
            // ffmpeg prints the description of the status that refused it, and of no other.
            assert!(client.log().contains("no write access"), "{}", client.log());
        }
    }
    stage.server.wait_for_log(&[" publish refused ", "name=\"mine\"", "no write access"]);
    stage.wait_for_traces(
        INSTANCE,
        &[
            "publish forbidden by a publisher of 127.0.0.1",
            "unpublish forbidden by a publisher of 127.0.0.1",
            "disconnect a publisher of 127.0.0.1",
            "disconnect a viewer of 127.0.0.1",
            "disconnect a blind of 127.0.0.1",
        ],
    );
    assert!(!stage.traces(INSTANCE).iter().any(|trace| trace.contains("publish mine")));
    assert!(publisher.is_running(), "{}", publisher.log());
    stage.finish();
}

#[test]
fn data_that_a_script_sends_into_a_stream_disturbs_no_player() {
    let script = r#"
application.onPublish = function(client, stream) {
	var count = 0;
	client.timer = setInterval(function() {
		count++;
		stream.send("onCue", { number: count, text: "cue", list: [1, null, true] }, "more");
		stream.send("onTextData", { text: "line " + count });
		Stream.get("cam").send("own");
	}, 40);
};
application.onUnpublish = function(client) {
	clearInterval(client.timer);
};
"#;
    let source = clip::h264_aac();
    let stage = Stage::new("data", &[("cues", script)], &[]);
    let url = stage.url("cues/cam");
    let kinds: &[PlayerKind] = match emulated() {
        true => &[PlayerKind::Ffmpeg],
        false => &[PlayerKind::Ffmpeg, PlayerKind::Rtmpdump, PlayerKind::Gst],
    };
    let players: Vec<_> = kinds
        .iter()
        .map(|kind| {
            let file = stage.path(&format!("{kind:?}.flv"));
            (kind, stage.spawn(&format!("{kind:?}"), kind.play(&url, &file)), file)
        })
        .collect();
    stage.server.wait_for_players("cam", players.len());
    stage.spawn("publisher", ffmpeg_publish(&source, &url, &[])).wait_success(end());
    let published = Media::packets(&source);
    for (kind, mut player, file) in players {
        if kind.ends_with_publisher() {
            player.wait_success(end());
        } else {
            wait_until(patience(5.0), || Media::packets(&file).packet_count() >= published.packet_count());
            player.kill();
            // This one writes whatever it gets: the data was there, and often.
            let bytes = std::fs::read(&file).unwrap();
            let cues = bytes.windows(5).filter(|window| window == b"onCue").count();
            assert!(cues >= 10, "{cues} cues");
        }
        eprintln!("{kind:?}");
        Media::packets(&file).assert_equals(&published);
        Media::decoded_video(&file).assert_equals(&Media::decoded_video(&source));
    }
    stage.finish();
}
