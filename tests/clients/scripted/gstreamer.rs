//! GStreamer, with its own client and with librtmp, in an application that takes its time to accept.

use std::time::{Duration, Instant};

use super::stage::{Stage, end};
use crate::support::clients::{PlayerKind, gst_publish};
use crate::support::clip;
use crate::support::media::Media;
use crate::support::process::gst_has;
use crate::support::{emulated, patience, wait_until};

/// Decides half a second later, by the instance.
const LATER: &str = r#"
application.onConnect = function(client) {
	var timer = setInterval(function() {
		clearInterval(timer);
		if (application.name == "later/closed") {
			application.rejectConnection(client, { reason: "closed" });
		} else {
			application.acceptConnection(client);
		}
	}, 500);
};
"#;

#[test]
fn gstreamer_publishes_and_plays_where_it_is_accepted_after_half_a_second() {
    if emulated() {
        return;
    }
    let source = clip::h264_aac();
    let stage = Stage::new("later", &[("later", LATER)], &[]);
    let pairs = [("rtmp2sink", PlayerKind::Gst), ("rtmpsink", PlayerKind::GstLibrtmp)];
    for (sink, kind) in pairs {
        if !gst_has(sink) {
            eprintln!("left out: GStreamer has no {sink}");
            continue;
        }
        let url = stage.url(&format!("later/{sink}"));
        let (sent, played) = (stage.path(&format!("{sink}-sent.flv")), stage.path(&format!("{sink}-played.flv")));
        let since = Instant::now();
        let mut player = stage.spawn(&format!("{kind:?}"), kind.play(&url, &played));
        stage.server.wait_for_players(sink, 1);
        assert!(since.elapsed() >= Duration::from_millis(500));
        stage.spawn(sink, gst_publish(sink, &source, &sent, &url)).wait_success(end());
        let published = Media::packets(&sent);
        wait_until(patience(5.0), || Media::packets(&played).packet_count() >= published.packet_count());
        player.kill();
        eprintln!("{sink}");
        Media::packets(&played).assert_equals(&published);
    }
    stage.finish();
}

#[test]
fn gstreamer_that_is_rejected_ends_with_an_error_in_bounded_time() {
    if emulated() {
        return;
    }
    let source = clip::h264_aac();
    let stage = Stage::new("closed", &[("later", LATER)], &[]);
    let url = stage.url("later/closed/cam");
    let mut clients = Vec::new();
    for kind in [PlayerKind::Gst, PlayerKind::GstLibrtmp] {
        let name = format!("{kind:?}");
        clients.push(stage.spawn(&name, kind.play(&url, &stage.path(&format!("{name}.flv")))));
    }
    for sink in ["rtmp2sink", "rtmpsink"] {
        clients.push(stage.spawn(sink, gst_publish(sink, &source, &stage.path(&format!("{sink}.flv")), &url)));
    }
    let since = Instant::now();
    for client in &mut clients {
        let status = client.wait(patience(10.0));
        assert!(!status.success(), "it ended with {status}:\n{}", client.log());
    }
    eprintln!("all have ended after {} ms", since.elapsed().as_millis());
    stage.server.wait_for_logs(clients.len(), &[" connect refused ", "NetConnection.Connect.Rejected"]);
    stage.finish();
}
