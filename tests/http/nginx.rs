//! nginx as a cache before the server, set up as the documentation says, with a thousand viewers.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use crate::client::Client;
use crate::players::camera;
use crate::requests::server;
use crate::support::process::Process;
use crate::support::{patience, wait_until};

const VIEWERS: usize = 1000;
/// Each has a connection of its own; a thread serves so many of them in turn.
const OF_A_THREAD: usize = 25;
/// How often each asks for the list, and then for what is new in it.
const ROUNDS: usize = 3;

/// What the documentation has nginx do.
fn documented() -> String {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/watching.md")).unwrap();
    page.split("```nginx\n").nth(1).unwrap().split("```").next().unwrap().to_owned()
}

#[test]
fn a_thousand_viewers_behind_nginx_reach_the_server_once_for_each_segment() {
    let (scratch, server) = server("http-nginx");
    let mut publisher = camera(&scratch, &server, "cam1");
    server.wait_for_publisher("cam1");
    // A port that is free: nginx does not tell which it has taken.
    let cache: SocketAddr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let directory = scratch.path("nginx");
    fs::create_dir(&directory).unwrap();
    let at = |name: &str| directory.join(name).display().to_string();
    let site = documented()
        .replace("/var/cache/nginx/rill", &at("cache"))
        .replace("192.168.1.20:8080", &server.http.to_string())
        .replace("listen 80;", &format!("listen {cache};"));
    // SAFETY: no preconditions.
    let user = if unsafe { libc::geteuid() } == 0 { "user root;" } else { "" };
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {};\n", at(name)))
        .concat();
    let text = format!(
        "{user}\ndaemon off;\npid {};\nerror_log stderr;\nevents {{ worker_connections 4096; }}\nhttp {{\naccess_log off;\n{temporary}{site}}}\n",
        at("pid")
    );
    fs::write(directory.join("nginx.conf"), text).unwrap();
    let mut command = Command::new("nginx");
    command.args(["-e", "stderr", "-p"]).arg(&directory).arg("-c").arg(directory.join("nginx.conf"));
    let mut nginx = Process::spawn(&scratch, "nginx-log", &mut command);
    let listens = wait_until(patience(20.0), || TcpStream::connect(cache).is_ok());
    assert!(listens && nginx.is_running(), "{}", nginx.log());

    let index = Client::new(cache).get("/live/cam1.m3u8");
    assert_eq!(index.status, 200, "{}\n{}", index.text(), nginx.log());
    let list = format!("/live/{}", index.text().lines().last().unwrap());
    let folder = list.rsplit_once('/').unwrap().0;
    // Of each URL how often it came from the server.
    let fetched: Mutex<BTreeMap<String, usize>> = Mutex::default();
    let fetch = |client: &mut Client, path: &str| {
        let answer = client.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.body));
        let cached = matches!(answer.field("x-cache"), "HIT" | "STALE" | "UPDATING");
        *fetched.lock().unwrap().entry(path.to_owned()).or_default() += usize::from(!cached);
        answer
    };
    thread::scope(|scope| {
        for _ in 0..VIEWERS / OF_A_THREAD {
            scope.spawn(|| {
                let mut clients: Vec<Client> = (0..OF_A_THREAD).map(|_| Client::new(cache)).collect();
                let mut seen = String::new();
                for _ in 0..ROUNDS {
                    let mut new = String::new();
                    for client in &mut clients {
                        let answer = fetch(client, &list);
                        for name in answer.text().lines().filter(|line| line.ends_with(".m4s")) {
                            if !seen.contains(name) {
                                fetch(client, &format!("{folder}/{name}"));
                                new += name;
                            }
                        }
                    }
                    seen += &new;
                    thread::sleep(Duration::from_millis(900));
                }
            });
        }
    });
    let fetched = fetched.into_inner().unwrap();
    let (lists, segments): (Vec<_>, Vec<_>) = fetched.iter().partition(|(path, _)| path.ends_with(".m3u8"));
    assert!(segments.len() >= 4 && segments.iter().all(|(_, times)| **times <= 1), "{segments:?}");
    eprintln!("{} segments, each once; the list {:?} times", segments.len(), lists[0].1);
    // At most once a second, however long that took: far from once a viewer.
    assert!(*lists[0].1 < VIEWERS / 20, "{lists:?}");
    let status = Client::new(server.http).get("/api/status");
    assert!(status.text().contains("\"hls\":1,"), "the server sees one viewer: {}", status.text());
    nginx.kill();
    publisher.kill();
}
