//! Streams go to other servers and come from them in TLS, and what is wrong with a certificate is said.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use rill::net::tls::{FAR_CHAIN_BYTES, LIBRARY_BYTES};

use crate::authority::{Pair, Secured, authority, serve, signed_by, signed_for};
use crate::strangers::heap_bytes;
use crate::support::clients::{ffmpeg_play, ffmpeg_publish};
use crate::support::clip;
use crate::support::media::Media;
use crate::support::process::{Process, output_of};
use crate::support::server::{Server, address_in};
use crate::support::{Scratch, patience, wait_until};

/// A server without a certificate of its own, which believes who stands in that file.
struct Near {
    scratch: Scratch,
    server: Server,
}

impl Near {
    fn start(name: &str, ca: &Path) -> Near {
        let scratch = Scratch::new(name);
        let root = scratch.path("root");
        fs::create_dir_all(root.join("applications/live")).unwrap();
        let settings = [format!("server.root={}", root.display()), format!("server.tls.ca={}", ca.display())];
        // Nobody sets the clock of a container.
        let server = Server::start(&scratch, &[&settings[0], &settings[1], "server.trust_clock=true"]);
        Near { scratch, server }
    }

    /// Its application relays so from now on.
    fn relays(&self, app: &str) {
        fs::write(self.scratch.path("root/applications/live/app.toml"), app).unwrap();
    }

    fn list(&self) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rill"));
        command.args(["ctl", "--root"]).arg(self.scratch.path("root")).args(["push", "list"]);
        String::from_utf8(output_of(&mut command)).unwrap()
    }

    /// Waits until the list says that of the relay with this number.
    fn wait_for(&self, relay: &str, words: &str) {
        let says = |list: String| list.lines().any(|line| line.contains(relay) && line.contains(words));
        let seen = wait_until(patience(20.0), || says(self.list()));
        assert!(seen, "{relay} {words}: {}\n{}", self.list(), self.server.process.log());
    }
}

/// What is always fetched from there.
fn pull(name: &str, far: SocketAddr, linger_s: u32) -> String {
    let url = format!("rtmps://localhost:{}/live/{name}", far.port());
    format!("[[pull]]\nname = \"{name}\"\nurl = \"{url}\"\nwhen = \"always\"\nlinger_s = {linger_s}\n")
}

#[test]
fn every_packet_goes_to_another_server_in_tls_and_comes_back() {
    let far = Secured::start("tls-far", &[]);
    let near = Near::start("tls-near", &far.authority.certificate);
    let push = format!("[[push]]\nurl = \"{}\"\nnames = [\"cam\"]\n", far.url("back"));
    near.relays(&format!("{push}{}", pull("back", far.rtmps, 0)));
    near.wait_for("pull  live/1", "running");
    let (source, played) = (clip::h264_aac(), near.scratch.path("played.flv"));
    let mut player = Process::spawn(&near.scratch, "player", &mut ffmpeg_play(&near.server.url("back"), &played));
    near.server.wait_for_players("back", 1);
    let mut command = ffmpeg_publish(&source, &near.server.url("cam"), &[]);
    let mut publisher = Process::spawn(&near.scratch, "publisher", &mut command);
    publisher.wait_success(patience(20.0));
    player.wait_success(patience(20.0));
    Media::packets(&played).assert_equals(&Media::packets(&source));
    // The far end was told how it was reached.
    assert!(near.list().contains(&format!("rtmps://localhost:{}/live/…", far.rtmps.port())), "{}", near.list());
}

#[test]
fn what_is_wrong_with_a_certificate_is_said_and_one_that_signs_itself_is_believed_by_who_has_it() {
    let scratch = Scratch::new("tls-wrong");
    let authority = authority(&scratch);
    let other = signed_for("DNS:other.example", &authority, &scratch, "other", "ec", 20);
    let over = signed_by(&authority, &scratch, "over", "rsa:2048", -1);
    let own_root = scratch.path("own");
    output_of(Command::new(env!("CARGO_BIN_EXE_rill")).args(["init", "--tls"]).arg(&own_root));
    let own = Pair { certificate: own_root.join("tls/certificate.pem"), key: own_root.join("tls/key.pem") };
    let ca = scratch.path("believed.pem");
    let believed = [&authority.certificate, &own.certificate].map(|path| fs::read_to_string(path).unwrap());
    fs::write(&ca, believed.concat()).unwrap();
    let far = |name: &str, pair: &Pair| {
        let scratch = Scratch::new(name);
        let server = serve(&scratch, pair, &[]);
        let rtmps = address_in(&server.process.log(), "rill rtmps addr=").unwrap();
        (scratch, server, rtmps)
    };
    let ends = [far("tls-wrong-name", &other), far("tls-wrong-time", &over), far("tls-wrong-own", &own)];
    let near = Near::start("tls-wrong-near", &ca);
    let pulls = ends.iter().zip(["name", "time", "own"]).map(|((.., rtmps), name)| pull(name, *rtmps, 0));
    near.relays(&pulls.collect::<String>());
    near.wait_for("pull  live/1", "its certificate is for another host than the URL's");
    near.wait_for("pull  live/2", "its certificate counts no more, or not yet");
    near.wait_for("pull  live/3", "running");
}

#[test]
fn who_is_believed_can_change_and_what_is_broken_does_not_count() {
    let far = Secured::start("tls-issuer", &[]);
    let scratch = Scratch::new("tls-issuer-other");
    let ca = scratch.path("ca-in-use.pem");
    fs::copy(&authority(&scratch).certificate, &ca).unwrap();
    let near = Near::start("tls-issuer-near", &ca);
    near.relays(&pull("cam", far.rtmps, 0));
    near.wait_for("pull  live/1", "its certificate is signed by nobody whom this server believes (server.tls.ca)");
    let right = fs::read(&far.authority.certificate).unwrap();
    let reload = |times: usize| {
        near.server.process.signal(libc::SIGHUP);
        near.server.wait_for_logs(times, &["rill configuration reloaded"]);
    };
    fs::write(&ca, &right[..right.len() / 2]).unwrap();
    reload(1);
    near.server.wait_for_log(&["authorities not taken", "is not PEM, or is cut off", "those before go on"]);
    fs::write(&ca, &right).unwrap();
    reload(2);
    near.server.wait_for_log(&["rill authorities taken count=1"]);
    // Another relay in its place is tried at once.
    near.relays(&pull("cam", far.rtmps, 1));
    near.wait_for("pull  live/1", "running");
}

#[test]
fn what_the_library_takes_for_a_relay_is_within_its_share_of_the_memory_table() {
    const EACH: usize = 4;
    let far = Secured::with_key("tls-relay-heap", "rsa:2048", &[]);
    let near = Near::start("tls-relay-heap-near", &far.authority.certificate);
    let [before, _] = heap_bytes(&near.server);
    let names = ["a", "b", "c", "d"].map(|name| pull(name, far.rtmps, 0));
    near.relays(&names.concat());
    for n in 1..=EACH {
        near.wait_for(&format!("pull  live/{n}"), "running");
    }
    let [now, _] = heap_bytes(&near.server);
    eprintln!("{} bytes each", (now - before) / EACH);
    assert!(now > before && now - before <= EACH * (LIBRARY_BYTES + FAR_CHAIN_BYTES));
    near.relays("");
    assert!(wait_until(patience(10.0), || heap_bytes(&near.server)[0] == before), "{:?}", heap_bytes(&near.server));
}
