//! Recorded files, fetched by curl from a real disk.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::client::{Answer, Client};
use crate::requests::camera;
use crate::support::process::output_of;
use crate::support::server::Server;
use crate::support::{Scratch, clip, patience};

/// A server with a root of its own.
fn server(scratch: &Scratch, settings: &[&str]) -> (std::path::PathBuf, Server) {
    let root = scratch.path("root");
    fs::create_dir_all(root.join("applications/live/media")).unwrap();
    let place = format!("server.root={}", root.display());
    let all: Vec<&str> = [place.as_str()].into_iter().chain(settings.iter().copied()).collect();
    (root.join("applications/live"), Server::start(scratch, &all))
}

/// What curl is answered: its status, and the body.
fn curl(server: &Server, path: &str, arguments: &[&str], into: &Path) -> (String, Vec<u8>) {
    let _ = fs::remove_file(into);
    let mut command = Command::new("curl");
    command.args(["-s", "--path-as-is", "-w", "%{http_code}", "-o"]).arg(into).args(arguments);
    let said = output_of(command.arg(format!("http://{}{path}", server.http)));
    (String::from_utf8_lossy(&said).into_owned(), fs::read(into).unwrap_or_default())
}

#[test]
fn a_film_is_fetched_whole_in_part_and_by_nobody_who_leads_elsewhere() {
    let scratch = Scratch::new("http-films");
    let (live, server) = server(&scratch, &[]);
    let film: Vec<u8> = (0..700_000_u32).map(|at| (at % 251) as u8).collect();
    fs::write(live.join("media/film.mp4"), &film).unwrap();
    fs::write(live.join("main.mp4"), b"not a film").unwrap();
    let into = scratch.path("fetched");
    let fetch = |path: &str, arguments: &[&str]| curl(&server, path, arguments, &into);
    assert_eq!(fetch("/vod-files/live/film.mp4", &[]), ("200".to_owned(), film.clone()));
    assert_eq!(
        fetch("/vod-files/live/film.mp4", &["-r", "100000-299999"]),
        ("206".into(), film[100_000..300_000].into())
    );
    assert_eq!(fetch("/vod-files/live/film.mp4", &["-r", "700000-"]).0, "416");
    assert_eq!(fetch("/vod-files/live/film.mp4", &["-X", "OPTIONS"]).0, "204");
    for path in [
        "/vod-files/live/../main.mp4",
        "/vod-files/live/%2e%2e/main.mp4",
        "/vod-files/live/..%2fmain.mp4",
        "/vod-files/live//main.mp4",
        "/vod-files/../live/main.mp4",
        "/recordings/live/../main.mp4",
        "/recordings/live/a/b/c/main.mp4",
        "/vod-files/live/%00film.mp4",
        "/vod-files/live/media%2ffilm.mp4",
        "/vod-files/live/%22%3E%3Cscript%3E.mp4",
    ] {
        let (status, body) = fetch(path, &[]);
        assert!(matches!(status.as_str(), "400" | "404"), "{path}: {status}");
        assert!(!body.windows(7).any(|part| part == b"<script"), "{path}");
    }
    server.wait_for_log(&["fetch app=live", "film.mp4", "from=100000", "bytes=200000"]);
}

#[test]
fn a_recording_is_fetched_while_it_is_made_and_when_it_is_complete() {
    let scratch = Scratch::new("http-recordings");
    // The recording waits for its publisher to come back, for ten seconds if nothing else is said: no test waits longer.
    let (live, server) = server(&scratch, &["record.on=true", "record.join_ms=1000"]);
    let mut publisher = camera(&scratch, &server, &clip::h264_aac(), "cam1");
    let folder = live.join("recordings/cam1");
    let name = loop {
        let first = fs::read_dir(&folder).ok().and_then(|mut entries| entries.next()?.ok());
        match first.map(|entry| entry.file_name().to_string_lossy().into_owned()) {
            Some(name) if !name.starts_with('.') => break name,
            _ => thread::sleep(Duration::from_millis(20)),
        }
    };
    let (path, into) = (format!("/recordings/live/cam1/{name}"), scratch.path("fetched"));
    let growing = loop {
        let (status, growing) = curl(&server, &path, &[], &into);
        assert_eq!(status, "200");
        if growing.len() > 1000 {
            break growing;
        }
    };
    // What it is at the moment is said of it, and a part of that can be had.
    let mut client = Client::new(server.http);
    let size = |answer: &Answer| answer.field("content-length").parse::<usize>().unwrap();
    let head = client.ask("HEAD", &path, "");
    assert_eq!((head.status, head.field("accept-ranges")), (200, "bytes"));
    assert!(size(&head) >= growing.len(), "{head:?}");
    let part = client.ask("GET", &path, "Range: bytes=4-99\r\n");
    assert_eq!((part.status, &part.body[..]), (206, &growing[4..100]));
    let (range, whole) = part.field("content-range").split_once('/').unwrap();
    assert!(range == "bytes 4-99" && whole.parse::<usize>().unwrap() >= size(&head), "{part:?}");
    let last = client.ask("GET", &path, "Range: bytes=-10\r\n");
    assert_eq!((last.status, last.body.len()), (206, 10));
    assert_eq!(client.ask("GET", &path, "Range: bytes=99999999-\r\n").status, 416);
    publisher.wait_success(patience(20.0));
    server.wait_for_log(&["record finished", &name]);
    let whole = fs::read(folder.join(&name)).unwrap();
    let (status, fetched) = curl(&server, &path, &[], &into);
    assert!(status == "200" && fetched == whole, "{status}, {} of {} bytes", fetched.len(), whole.len());
    assert!(growing.len() <= whole.len());
}
