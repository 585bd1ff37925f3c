//! Streams that are sent to other servers and fetched from them: this server's like, nginx-rtmp and Node-Media-Server, by the packets that
//! arrive.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::clients::{ffmpeg_play, ffmpeg_publish};
use crate::support::clip;
use crate::support::media::Media;
use crate::support::process::{Process, output_of};
use crate::support::server::Server;
use crate::support::{Scratch, patience, wait_until};

/// A server whose application `live` has this file.
pub fn relaying(scratch: &Scratch, app: &str) -> Server {
    let root = scratch.path("root");
    let directory = root.join("applications/live");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("app.toml"), app).unwrap();
    fs::write(directory.join("far.key"), "s3cret\n").unwrap();
    Server::start(scratch, &[&format!("server.root={}", root.display())])
}

pub fn list(scratch: &Scratch) -> String {
    let rill = env!("CARGO_BIN_EXE_rill");
    let root = scratch.path("root");
    String::from_utf8(output_of(Command::new(rill).args(["ctl", "--root"]).arg(root).args(["push", "list"]))).unwrap()
}

/// A port that is free: others do not tell which they have taken.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// nginx-rtmp with an application `live`, and where it listens.
pub fn nginx_rtmp(scratch: &Scratch) -> (Process, SocketAddr) {
    nginx_rtmp_with(scratch, "")
}

/// The same, whose application has these lines besides.
pub fn nginx_rtmp_with(scratch: &Scratch, lines: &str) -> (Process, SocketAddr) {
    let address = free_address();
    let directory = scratch.path("nginx");
    fs::create_dir(&directory).unwrap();
    let places = ["/usr/lib/nginx/modules", "/usr/share/nginx/modules"];
    let module = places.map(|place| Path::new(place).join("ngx_rtmp_module.so")).into_iter().find(|path| path.exists());
    let module = module.expect("nginx-rtmp is missing: make deps installs it");
    let text = format!(
        "load_module {};\ndaemon off;\nmaster_process off;\npid {}/pid;\nerror_log stderr;\nevents {{}}\n\
         rtmp {{ access_log off; server {{ listen {address}; application live {{ live on; publish_notify on; {lines} }} }} }}\n",
        module.display(),
        directory.display()
    );
    fs::write(directory.join("nginx.conf"), text).unwrap();
    let mut command = Command::new("nginx");
    command.args(["-e", "stderr", "-p"]).arg(&directory).arg("-c").arg(directory.join("nginx.conf"));
    let mut nginx = Process::spawn(scratch, "nginx-log", &mut command);
    let listens = wait_until(patience(20.0), || TcpStream::connect(address).is_ok());
    assert!(listens && nginx.is_running(), "{}", nginx.log());
    (nginx, address)
}

/// The clip is published here, and played under that URL from before it began until it ends: every packet arrives.
fn arrives(scratch: &Scratch, server: &Server, played_at: &str, waits: impl FnOnce()) {
    let (source, played) = (clip::h264_aac(), scratch.path("played.flv"));
    let mut player = Process::spawn(scratch, "player", &mut ffmpeg_play(played_at, &played));
    waits();
    let mut publisher = Process::spawn(scratch, "publisher", &mut ffmpeg_publish(&source, &server.url("cam"), &[]));
    publisher.wait_success(patience(20.0));
    player.wait_success(patience(20.0));
    Media::packets(&played).assert_equals(&Media::packets(&source));
}

#[test]
fn every_packet_that_is_pushed_arrives_at_another_server() {
    let (here, there) = (Scratch::new("push"), Scratch::new("push-far"));
    let far = Server::start(&there, &[]);
    let app = format!("[[push]]\nurl = \"rtmp://{}/live/\"\nkey_from = \"far.key\"\n", far.address);
    let server = relaying(&here, &app);
    arrives(&here, &server, &far.url("s3cret"), || far.wait_for_players("s3cret", 1));
    assert!(!server.process.log().contains("s3cret") && !list(&here).contains("s3cret"), "{}", server.process.log());
}

#[test]
fn every_packet_that_is_pushed_arrives_at_nginx() {
    let scratch = Scratch::new("push-nginx");
    let (nginx, far) = nginx_rtmp(&scratch);
    let server = relaying(&scratch, &format!("[[push]]\nurl = \"rtmp://{far}/live/out\"\nnames = [\"cam\"]\n"));
    let playing = || {
        // nginx says nothing of its players.
        std::thread::sleep(Duration::from_millis(1500));
        assert!(!nginx.log().contains("error"), "{}", nginx.log());
    };
    arrives(&scratch, &server, &format!("rtmp://{far}/live/out"), playing);
    server.wait_for_log(&[" push start ", "codecs=\"H.264,AAC,MP3 of the first track\""]);
}

/// What is published at a far end arrives here as it is.
fn is_fetched(scratch: &Scratch, far: SocketAddr) {
    let app = format!("[[pull]]\nname = \"lobby\"\nurl = \"rtmp://{far}/live/cam\"\nwhen = \"always\"\n");
    let server = relaying(scratch, &app);
    server.wait_for_log(&[" pull start "]);
    let (source, played) = (clip::h264_aac(), scratch.path("played.flv"));
    let mut player = Process::spawn(scratch, "player", &mut ffmpeg_play(&server.url("lobby"), &played));
    server.wait_for_players("lobby", 1);
    let url = format!("rtmp://{far}/live/cam");
    let mut publisher = Process::spawn(scratch, "publisher", &mut ffmpeg_publish(&source, &url, &[]));
    publisher.wait_success(patience(20.0));
    player.wait_success(patience(20.0));
    Media::packets(&played).assert_equals(&Media::packets(&source));
}

#[test]
fn what_is_fetched_from_nginx_is_what_was_published_there() {
    let scratch = Scratch::new("pull-nginx");
    let (_nginx, far) = nginx_rtmp(&scratch);
    is_fetched(&scratch, far);
}

/// Node-Media-Server with these tasks: what it fetches or sends, from where and where to, and as what stream of its own.
fn node_media_server(scratch: &Scratch, tasks: &[(&str, &str, &str)]) -> (Process, SocketAddr) {
    let address = free_address();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let modules = root.join("target/tools/node-media-server/node_modules");
    assert!(
        modules.exists(),
        "no {}: tests/support/node-media-server.sh installs it, or run make deps",
        modules.display()
    );
    let directory = scratch.path("node");
    fs::create_dir(&directory).unwrap();
    let mut command = Command::new("node");
    command.arg(root.join("tests/support/node-media-server/run.js")).env("NODE_PATH", modules);
    command.arg(address.port().to_string()).arg(&directory);
    command.args(tasks.iter().map(|(mode, url, name)| {
        format!("{{\"mode\": \"{mode}\", \"url\": \"{url}\", \"streamPath\": \"/live/{name}\"}}")
    }));
    let mut node = Process::spawn(scratch, "node-log", &mut command);
    let listens = wait_until(patience(20.0), || TcpStream::connect(address).is_ok());
    assert!(listens && node.is_running(), "{}", node.log());
    (node, address)
}

/// The clip is published at one URL, and played at another from before it began until nothing comes any more. Node-Media-Server tells
/// nobody of an end but its own.
fn carried(scratch: &Scratch, mut node: Process, to: &str, from: &str, plays: impl FnOnce(&Process)) -> Media {
    let (source, played) = (clip::h264_aac(), scratch.path("played.flv"));
    let mut player = Process::spawn(scratch, "player", &mut ffmpeg_play(from, &played));
    plays(&node);
    let mut publisher = Process::spawn(scratch, "publisher", &mut ffmpeg_publish(&source, to, &[]));
    publisher.wait_success(patience(20.0));
    let mut before = 0;
    let is_over = wait_until(patience(20.0), || {
        std::thread::sleep(Duration::from_millis(1500));
        let bytes = fs::metadata(&played).map_or(0, |file| file.len());
        bytes > 0 && bytes == std::mem::replace(&mut before, bytes)
    });
    assert!(is_over, "{}", player.log());
    node.kill();
    player.wait(patience(20.0));
    Media::packets(&played)
}

#[test]
fn every_packet_that_is_pushed_arrives_at_node_media_server() {
    let scratch = Scratch::new("push-node");
    let (node, far) = node_media_server(&scratch, &[]);
    let server = relaying(&scratch, &format!("[[push]]\nurl = \"rtmp://{far}/live/out\"\nnames = [\"cam\"]\n"));
    let plays =
        |node: &Process| assert!(wait_until(patience(20.0), || node.log().contains("start play")), "{}", node.log());
    let played = carried(&scratch, node, &server.url("cam"), &format!("rtmp://{far}/live/out"), plays);
    played.assert_equals(&Media::packets(&clip::h264_aac()));
}

#[test]
fn what_is_fetched_from_node_media_server_is_what_was_published_there() {
    let scratch = Scratch::new("pull-node");
    let (_node, far) = node_media_server(&scratch, &[]);
    is_fetched(&scratch, far);
}

#[test]
fn node_media_server_fetches_a_stream_from_here_for_its_players() {
    let scratch = Scratch::new("edge-node");
    let server = Server::start(&scratch, &[]);
    let from = server.url("cam");
    let (node, edge) = node_media_server(&scratch, &[("pull", &from, "near")]);
    server.wait_for_players("cam", 1);
    let played = carried(&scratch, node, &server.url("cam"), &format!("rtmp://{edge}/live/near"), |_| {});
    played.assert_equals(&Media::packets(&clip::h264_aac()));
}

#[test]
fn node_media_server_sends_a_stream_here() {
    let scratch = Scratch::new("from-node");
    let server = Server::start(&scratch, &["live.unpublish_grace_ms=0"]);
    let (node, far) = node_media_server(&scratch, &[("push", &server.url("here"), "cam")]);
    let plays = |_: &Process| server.wait_for_players("here", 1);
    let played = carried(&scratch, node, &format!("rtmp://{far}/live/cam"), &server.url("here"), plays);
    played.assert_equals(&Media::packets(&clip::h264_aac()));
}
