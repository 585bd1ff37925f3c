//! Programs that log in as users, by themselves and through librtmp: with the right password, and with others. And such as publish and play
//! by links.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::support::clients::{ffmpeg_play, ffmpeg_publish, gst_publish};
use crate::support::clip;
use crate::support::media::Media;
use crate::support::process::{Process, gst_has, output_of};
use crate::support::server::Server;
use crate::support::{Scratch, patience};

/// A server in whose application `live` the user `cam` publishes, by the way of that name.
fn server(scratch: &Scratch, way: &str) -> Server {
    let root = scratch.path("root");
    let directory = root.join("applications/live");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("app.toml"), format!("publish.authmod = \"{way}\"\n")).unwrap();
    let mut add = Command::new(env!("CARGO_BIN_EXE_rill"));
    add.arg("--root").arg(&root).args(["user", "add", "live", "cam"]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut add = add.spawn().unwrap();
    add.stdin.take().unwrap().write_all(b"s3cret\n").unwrap();
    assert!(add.wait().unwrap().success());
    Server::start(scratch, &[&format!("server.root={}", root.display())])
}

/// Publishes with each of these, of which only the first has the right password, and says which has worked.
fn tried(name: &str, way: &str, publish: impl Fn(&Server, &str, &str, PathBuf) -> Command) {
    let scratch = Scratch::new(name);
    let server = server(&scratch, way);
    for (user, password, is_right) in [("cam", "s3cret", true), ("cam", "wrong", false), ("nobody", "s3cret", false)] {
        let mut command = publish(&server, user, password, scratch.path("sent.flv"));
        let mut publisher = Process::spawn(&scratch, &format!("{user}-{password}"), &mut command);
        match is_right {
            true => {
                server.wait_for_publisher("door");
                publisher.wait_success(patience(20.0));
            }
            false => {
                server.wait_for_log(&[
                    " log-in refused ",
                    &format!("user={user} "),
                    "reason=\"no such user, or a wrong password\"",
                ]);
                assert!(!publisher.wait(patience(20.0)).success(), "{}", publisher.log());
            }
        }
    }
    let log = server.process.log();
    assert_eq!(log.matches(" publish start ").count(), 1, "{log}");
    assert_eq!(log.matches(" log-in app=live user=cam ").count(), 1, "{log}");
    for secret in ["s3cret", "wrong@", "challenge=", "response=", "salt="] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}

#[test]
fn programs_publish_and_play_by_links() {
    let scratch = Scratch::new("links");
    let root = scratch.path("root");
    let directory = root.join("applications/live");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("app.toml"), "publish.signed = true\nplay.signed = true\n").unwrap();
    let key = "sign.key=0123456789abcdef";
    let server = Server::start(&scratch, &[&format!("server.root={}", root.display()), key]);
    let sign = |deed: &str, url: &str| {
        let mut sign = Command::new(env!("CARGO_BIN_EXE_rill"));
        let link = output_of(sign.args(["--set", key, "sign", deed, url, "--for", "5m"]));
        String::from_utf8(link).unwrap().trim().to_owned()
    };
    let played = ["rtmp.flv", "http.flv"].map(|name| scratch.path(name));
    let urls = [server.url("door"), format!("http://{}/live/door.flv", server.http)].map(|url| sign("play", &url));
    let mut players: Vec<Process> = (0..2)
        .map(|at| Process::spawn(&scratch, &format!("player-{at}"), &mut ffmpeg_play(&urls[at], &played[at])))
        .collect();
    server.wait_for_players("door", 1);
    let source = clip::h264_aac();
    for link in [server.url("door"), sign("publish", &server.url("other")).replace("/other", "/door")] {
        let mut publisher = Process::spawn(&scratch, "refused", &mut ffmpeg_publish(&source, &link, &[]));
        assert!(!publisher.wait(patience(20.0)).success(), "{link}: {}", publisher.log());
    }
    let link = sign("publish", &server.url("door"));
    let mut publisher = Process::spawn(&scratch, "publisher", &mut ffmpeg_publish(&source, &link, &[]));
    publisher.wait_success(patience(20.0));
    players.iter_mut().for_each(|player| player.wait_success(patience(20.0)));
    Media::packets(&played[0]).assert_equals(&Media::packets(&source));
    let log = server.process.log();
    for part in ["needs a signed link", "is not signed for this stream", " as=flv "] {
        assert!(log.contains(part), "{part}: {log}");
    }
    let (_, signature) = link.split_once("&s=").unwrap();
    assert!(!log.contains(signature) && !log.contains("&s="), "{log}");
}

#[test]
fn ffmpeg_logs_in_by_both_ways() {
    for way in ["adobe", "llnw"] {
        tried(&format!("users-ffmpeg-{way}"), way, |server, user, password, _| {
            let url = format!("rtmp://{user}:{password}@{}/live/door", server.address);
            ffmpeg_publish(&clip::h264_aac(), &url, &[])
        });
    }
}

#[test]
fn gstreamer_logs_in_by_adobes_way() {
    if !gst_has("rtmp2sink") {
        println!("skipped: no rtmp2sink");
        return;
    }
    tried("users-gst", "adobe", |server, user, password, sent| {
        let url = format!("rtmp://{user}:{password}@{}/live/door", server.address);
        gst_publish("rtmp2sink", &clip::h264_aac(), &sent, &url)
    });
}

// By Adobe's way Debian's librtmp writes past its own buffer: with GnuTLS it puts no end behind the base64 that it prints. OBS has a copy
// of its own with another library.
#[test]
fn librtmp_logs_in_by_limelights_way() {
    if !gst_has("rtmpsink") {
        println!("skipped: no rtmpsink");
        return;
    }
    tried("users-librtmp", "llnw", |server, user, password, sent| {
        let url = format!("rtmp://{}/live/door pubUser={user} pubPasswd={password}", server.address);
        gst_publish("rtmpsink", &clip::h264_aac(), &sent, &url)
    });
}
