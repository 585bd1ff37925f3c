//! TLS that others end or begin: stunnel in front of Rill, and behind it where a client speaks none.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use crate::authority::{Secured, authority, signed_by};
use crate::support::clients::{ffmpeg_play, ffmpeg_publish};
use crate::support::media::Media;
use crate::support::process::Process;
use crate::support::server::Server;
use crate::support::{Scratch, clip, patience};

/// A running stunnel, with where it listens.
struct Tunnel {
    _process: Process,
    port: u16,
}

/// stunnel between a port of its own and `to`; `lines` say which side is in TLS.
fn tunnel(scratch: &Scratch, to: &str, lines: &str) -> Tunnel {
    // Free a moment ago: stunnel cannot be asked which port the system gave.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = scratch.path("stunnel.conf");
    let text = format!(
        "foreground = yes\npid =\ndebug = 5\nsyslog = no\n[t]\naccept = 127.0.0.1:{port}\nconnect = {to}\n{lines}"
    );
    fs::write(&config, text).unwrap();
    let program = if Command::new("stunnel4").arg("-version").output().is_ok() { "stunnel4" } else { "stunnel" };
    let process = Process::spawn(scratch, "stunnel", Command::new(program).arg(&config));
    let listens = || process.log().contains("Configuration successful");
    assert!(crate::support::wait_until(patience(10.0), listens), "{}", process.log());
    Tunnel { _process: process, port }
}

/// Publishes to one URL, plays another, and compares.
fn goes_through(scratch: &Scratch, server: &Server, publish: &str, play: &str) {
    let clip = clip::h264_aac();
    let played = scratch.path("played.flv");
    let mut player = Process::spawn(scratch, "play", &mut ffmpeg_play(play, &played));
    server.wait_for_players("cam", 1);
    let mut publisher = Process::spawn(scratch, "publish", &mut ffmpeg_publish(&clip, publish, &[]));
    publisher.wait_success(patience(20.0));
    player.wait_success(patience(20.0));
    Media::packets(&played).assert_equals(&Media::packets(&clip));
}

#[test]
fn stunnel_speaks_tls_for_clients_that_know_none() {
    let secured = Secured::start("tls-stunnel-client", &[]);
    let lines = format!(
        "client = yes\nverifyChain = yes\nCAfile = {}\ncheckHost = localhost\n",
        secured.authority.certificate.display()
    );
    let tunnel = tunnel(&secured.scratch, &secured.rtmps.to_string(), &lines);
    let plain = format!("rtmp://127.0.0.1:{}/live/cam", tunnel.port);
    goes_through(&secured.scratch, &secured.server, &plain, &plain);
}

#[test]
fn stunnel_ends_tls_before_a_server_without_a_certificate() {
    let scratch = Scratch::new("tls-stunnel-server");
    let pair = signed_by(&authority(&scratch), &scratch, "stunnel", "ec", 20);
    let server = Server::start(&scratch, &[]);
    let lines = format!("cert = {}\nkey = {}\n", pair.certificate.display(), pair.key.display());
    let tunnel = tunnel(&scratch, &server.address.to_string(), &lines);
    let secured = format!("rtmps://localhost:{}/live/cam", tunnel.port);
    goes_through(&scratch, &server, &secured, &secured);
}
