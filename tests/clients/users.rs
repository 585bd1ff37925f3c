//! Programs that log in as users, by themselves and through librtmp: with the right password, and with others.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::support::clients::{ffmpeg_publish, gst_publish};
use crate::support::clip;
use crate::support::process::{Process, gst_has};
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
