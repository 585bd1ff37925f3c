//! Programs of others publish, play and ask over TLS.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use crate::authority::Secured;
use crate::support::clients::{
    PlayerKind, camera, ffmpeg_play, ffmpeg_publish, ffplay, ffplay_seconds, gst_play, gst_publish, mpv, vlc,
};
use crate::support::clip;
use crate::support::media::Media;
use crate::support::process::{Process, gst_has, output_of};
use crate::support::{patience, wait_until};

/// What `openssl s_client` prints with these options, when it is sent `text`.
fn s_client(secured: &Secured, port: u16, options: &[&str], text: &str) -> String {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &format!("127.0.0.1:{port}"), "-servername", "localhost", "-CAfile"]);
    command.arg(&secured.authority.certificate).args(options).arg("-ign_eof");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

const REQUEST: &str = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

#[test]
fn openssl_speaks_both_versions_with_both_kinds_of_keys_and_is_given_no_ticket() {
    for kind in ["ec", "rsa:2048"] {
        let secured = Secured::with_key("tls-openssl", kind, &[]);
        for (version, name) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
            // The second is the only one that some old libraries know.
            for curve in ["X25519:P-256", "P-256"] {
                let said = s_client(&secured, secured.https.port(), &[version, "-curves", curve], REQUEST);
                assert!(said.contains("Verify return code: 0 (ok)") && said.contains("200 OK"), "{said}");
                assert!(said.contains(name), "{said}");
                let ticket = said.contains("New Session Ticket arrived") || said.contains("TLS session ticket:");
                assert!(!ticket, "librtmp takes it for the end: {said}");
            }
        }
        for suite in ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"] {
            let suite = if kind == "ec" { suite.to_owned() } else { suite.replace("ECDSA", "RSA") };
            let said = s_client(&secured, secured.https.port(), &["-tls1_2", "-cipher", &suite], REQUEST);
            assert!(said.contains("200 OK") && said.contains(&suite), "{said}");
        }
        let said = s_client(&secured, secured.https.port(), &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], REQUEST);
        assert!(!said.contains("200 OK"), "{said}");
        secured.server.wait_for_log(&["knows neither TLS 1.2 nor 1.3"]);
    }
}

#[test]
fn ffmpeg_publishes_in_tls_and_every_client_plays_what_it_sent() {
    let secured = Secured::start("tls-clients", &[]);
    let clip = clip::h264_aac();
    let published = Media::packets(&clip);
    let mut kinds = vec![PlayerKind::Ffmpeg, PlayerKind::Rtmpdump];
    // Not every distribution has both; GStreamer's own client takes the certificates of the system alone.
    kinds.extend([PlayerKind::GstLibrtmp].into_iter().filter(|_| gst_has("rtmpsrc")));
    let mut players = Vec::new();
    for kind in &kinds {
        let file = secured.scratch.path(&format!("{kind:?}.flv"));
        let process =
            Process::spawn(&secured.scratch, &format!("{kind:?}"), &mut kind.play(&secured.url("cam"), &file));
        players.push((*kind, process, file));
    }
    // And one without, of the same stream.
    let plain = secured.scratch.path("plain.flv");
    let mut command = ffmpeg_play(&secured.server.url("cam"), &plain);
    players.push((PlayerKind::Ffmpeg, Process::spawn(&secured.scratch, "plain", &mut command), plain));
    secured.server.wait_for_players("cam", players.len());
    let mut publisher =
        Process::spawn(&secured.scratch, "publish", &mut ffmpeg_publish(&clip, &secured.url("cam"), &[]));
    publisher.wait_success(patience(20.0));
    for (kind, mut process, file) in players {
        if kind.ends_with_publisher() {
            process.wait_success(patience(20.0));
        } else {
            wait_until(patience(5.0), || Media::packets(&file).packet_count() >= published.packet_count());
            process.kill();
        }
        eprintln!("{}", file.display());
        Media::packets(&file).assert_equals(&published);
    }
}

#[test]
fn players_with_a_picture_play_in_tls() {
    let secured = Secured::start("tls-players", &[]);
    let url = secured.url("cam");
    let mut camera = Process::spawn(&secured.scratch, "camera", &mut camera(&url));
    secured.server.wait_for_publisher("cam");
    let mut ffplay = Process::spawn(&secured.scratch, "ffplay", &mut ffplay(&url));
    let mut mpv = Process::spawn(&secured.scratch, "mpv", &mut mpv(&url));
    let (mut vlc, had) = vlc(&secured.scratch, "tls", &url);
    let mut vlc = Process::spawn(&secured.scratch, "vlc", &mut vlc);
    let mut gst = gst_play("rtmp2src tls-validation-flags=0", &url, &secured.scratch.path("gst.flv"));
    let mut gst = Process::spawn(&secured.scratch, "gst", &mut gst);
    secured.server.wait_for_players("cam", 4);
    mpv.wait_success(patience(40.0));
    let shown = wait_until(patience(40.0), || ffplay_seconds(&ffplay.log()) > 2.0);
    assert!(shown && ffplay.log().contains("Audio: aac"), "{}", ffplay.log());
    vlc.wait_success(patience(60.0));
    gst.kill();
    for file in [&had, &secured.scratch.path("gst.flv")] {
        let pictures = Media::decoded_video(file).video.map_or(0, |video| video.packets.len());
        assert!(pictures >= 50, "{}: {pictures} pictures\n{}", file.display(), vlc.log());
    }
    ffplay.kill();
    camera.kill();
}

#[test]
fn gstreamer_publishes_in_tls() {
    let secured = Secured::start("tls-gst", &[]);
    let [sent, played] = ["sent.flv", "played.flv"].map(|name| secured.scratch.path(name));
    let mut player = Process::spawn(&secured.scratch, "play", &mut ffmpeg_play(&secured.url("cam"), &played));
    secured.server.wait_for_players("cam", 1);
    let url = secured.url("cam");
    // It reads no other authorities than the system's, which this one is not among.
    let mut command = gst_publish("rtmp2sink tls-validation-flags=0", &clip::h264_aac(), &sent, &url);
    let mut publisher = Process::spawn(&secured.scratch, "publish", &mut command);
    publisher.wait_success(patience(20.0));
    player.wait_success(patience(20.0));
    Media::packets(&played).assert_equals(&Media::packets(&sent));
}

#[test]
fn curl_believes_the_certificate_and_a_websocket_opens_in_tls() {
    let secured = Secured::start("tls-curl", &[]);
    let url = |path: &str| format!("https://localhost:{}{path}", secured.https.port());
    let curl = |path: &str, options: &[&str]| {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--fail", "--cacert"]).arg(&secured.authority.certificate);
        output_of(command.args(options).arg(url(path)))
    };
    for version in ["--tlsv1.2", "--tlsv1.3"] {
        assert!(!curl("/healthz", &[version]).is_empty());
    }
    // More than a record, and several on one connection.
    let script = curl(
        "/assets/words.js",
        &[
            "--compressed",
            "--next",
            "--silent",
            "--cacert",
            secured.authority.certificate.to_str().unwrap(),
            &url("/"),
            "--next",
            "--silent",
            "--cacert",
            secured.authority.certificate.to_str().unwrap(),
        ],
    );
    assert!(script.len() > 1000);
    let mut publisher =
        Process::spawn(&secured.scratch, "publish", &mut ffmpeg_publish(&clip::h264_aac(), &secured.url("cam"), &[]));
    secured.server.wait_for_publisher("cam");
    let upgrade = "GET /live/cam.mp4 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let mut viewer = Command::new("openssl");
    viewer.args(["s_client", "-quiet", "-connect", &secured.https.to_string(), "-verify_return_error", "-CAfile"]);
    viewer.arg(&secured.authority.certificate).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut viewer = viewer.spawn().unwrap();
    viewer.stdin.as_mut().unwrap().write_all(upgrade.as_bytes()).unwrap();
    let (mut seen, mut part) = (Vec::new(), [0; 4096]);
    let wanted: [&[u8]; 3] = [b"101 Switching Protocols", b"ftyp", b"moof"];
    while !wanted.iter().all(|wanted| seen.windows(wanted.len()).any(|window| window == *wanted)) {
        let bytes = viewer.stdout.as_mut().unwrap().read(&mut part).unwrap();
        assert!(bytes > 0, "{}", String::from_utf8_lossy(&seen));
        seen.extend(&part[..bytes]);
    }
    let _ = viewer.kill();
    let _ = viewer.wait();
    publisher.wait_success(patience(20.0));
}
