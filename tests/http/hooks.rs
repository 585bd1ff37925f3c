//! A back end as docs/hooks.md has it, in Python, that decides who publishes: the real server asks it.

use std::fs;
use std::net::Shutdown;
use std::path::Path;
use std::process::Command;

use crate::client::Client;
use crate::support::process::Process;
use crate::support::publisher;
use crate::support::server::Server;
use crate::support::{Scratch, patience, wait_until};

const BACK_END: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hooks/back_end.py");

/// The back end, and its port.
fn back_end(scratch: &Scratch) -> (Process, u16) {
    let mut process = Process::spawn(scratch, "back-end", Command::new("python3").args([BACK_END, "0"]));
    let mut port = None;
    wait_until(patience(10.0), || {
        port = process.log().lines().find_map(|line| line.strip_prefix("port ")?.parse().ok());
        port.is_some() || !process.is_running()
    });
    let port = port.unwrap_or_else(|| panic!("{}", process.log()));
    (process, port)
}

fn heard(back_end: &Process, line: &str) {
    let has = wait_until(patience(10.0), || back_end.log().lines().any(|said| said == line));
    assert!(has, "{line}: {}", back_end.log());
}

#[test]
fn a_back_end_decides_who_publishes_and_hears_of_the_end() {
    let scratch = Scratch::new("hooks");
    let (mut hooks, port) = back_end(&scratch);
    // By its name, which a disk thread looks up.
    let set = |key: &str| format!("hooks.{key}=http://localhost:{port}/{key}");
    let keys = ["on_publish", "on_play", "on_publish_done"].map(set);
    let settings: Vec<&str> = keys.iter().map(String::as_str).chain(["hooks.secret=k3y"]).collect();
    let server = Server::start(&scratch, &settings);
    let wrong = publisher::begin(server.address, "cam?token=wrong");
    heard(&hooks, "publish live cam no");
    server.wait_for_log(&["publish refused", "x_status=401", "The application's hook refused it."]);
    let right = publisher::begin(server.address, "cam?token=s3cret");
    server.wait_for_publisher("cam");
    heard(&hooks, "publish live cam yes");
    let mut viewer = Client::new(server.http);
    viewer.send(b"GET /live/cam.flv HTTP/1.1\r\nHost: localhost\r\n\r\n");
    server.wait_for_players("cam", 1);
    heard(&hooks, "play live cam yes");
    right.shutdown(Shutdown::Both).unwrap();
    heard(&hooks, "publish_done live cam yes");
    drop(wrong);
    // Without a back end nobody publishes, which the log says once.
    hooks.kill();
    for _ in 0..2 {
        let _refused = publisher::begin(server.address, "cam?token=s3cret");
        server.wait_for_log(&["publish refused", "The application's hook did not answer."]);
    }
    let log = server.process.log();
    let down: Vec<&str> = log.lines().filter(|line| line.contains(" hook down ")).collect();
    assert_eq!(down.len(), 1, "{log}");
    assert!(down[0].contains("hook=on_publish") && down[0].contains("clients=\"deny\""), "{}", down[0]);
    assert!(!log.contains("s3cret") && !log.contains("k3y"), "no secret is logged: {log}");
}

#[test]
fn the_page_shows_the_back_end_that_is_tested() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/hooks.md")).unwrap();
    assert!(page.contains(&format!("```python\n{}```", fs::read_to_string(BACK_END).unwrap())));
}
