//! The administrator: the key, log-in, what may be changed by whom, and the ways in which a page elsewhere may try it.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::client::{Answer, Client};
use crate::support::Scratch;
use crate::support::process::output_of;
use crate::support::publisher::begin;
use crate::support::server::Server;

const KEY: &str = "correct-horse-battery";
const WITH_KEY: &str = "Authorization: Bearer correct-horse-battery\r\n";
const JSON: &str = "Content-Type: application/json\r\n";

/// A server that has a key, with a root of its own.
fn server(scratch: &Scratch, settings: &[&str]) -> (PathBuf, Server) {
    let root = scratch.path("root");
    fs::create_dir_all(root.join("applications/live")).unwrap();
    let (place, key) = (format!("server.root={}", root.display()), format!("web.admin_key={KEY}"));
    let all: Vec<&str> = [place.as_str(), key.as_str()].into_iter().chain(settings.iter().copied()).collect();
    let server = Server::start(scratch, &all);
    (root, server)
}

fn ask(server: &Server, method: &str, path: &str, fields: &str, body: &str) -> Answer {
    let mut client = Client::new(server.http);
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let host = if fields.contains("Host: ") { "" } else { "Host: localhost\r\n" };
    client.send(format!("{method} {path} HTTP/1.1\r\n{host}{fields}{length}\r\n{body}").as_bytes());
    client.answer(method == "HEAD").expect("an answer")
}

/// Logs in, and gives the field by which a browser shows it.
fn log_in(server: &Server, fields: &str) -> String {
    let answer = ask(server, "POST", "/api/login", &format!("{JSON}{fields}"), &format!("{{\"key\":\"{KEY}\"}}"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let (cookie, rest) = answer.field("set-cookie").split_once(';').unwrap();
    assert_eq!(rest, " Max-Age=43200; Path=/; HttpOnly; SameSite=Strict");
    format!("Cookie: other=1; {cookie}\r\n")
}

fn is_admin(server: &Server, cookie: &str) -> bool {
    let answer = ask(server, "GET", "/api/session", cookie, "");
    answer.text().contains("\"admin\":true")
}

/// What changes something, each with its path.
const CHANGES: [(&str, &str); 7] = [
    ("POST", "/api/clients/c0.0/disconnect"),
    ("POST", "/api/streams/live/cam/record/start"),
    ("POST", "/api/streams/live/cam/record/stop"),
    ("DELETE", "/api/recordings/live/cam/000001-nodate.mp4"),
    ("POST", "/api/reload"),
    ("POST", "/v3/rtmpconns/kick/c0.0"),
    ("GET", "/control/drop/client?app=live&name=cam"),
];

#[test]
fn without_a_key_nothing_is_changed_and_it_is_said_how_to_set_one() {
    let scratch = Scratch::new("admin-none");
    let server = Server::start(&scratch, &[]);
    let publisher = begin(server.address, "cam");
    server.wait_for_publisher("cam");
    for (method, path) in CHANGES {
        for fields in ["", WITH_KEY, JSON] {
            let answer = ask(&server, method, path, fields, "");
            assert_eq!(answer.status, 403, "{method} {path}");
            assert!(answer.text().contains("rill ctl admin-key"), "{}", answer.text());
        }
    }
    assert_eq!(ask(&server, "POST", "/api/login", JSON, "{\"key\":\"\"}").status, 403);
    assert!(ask(&server, "GET", "/api/status", "", "").text().contains("live/cam"));
    drop(publisher);
}

#[test]
fn what_changes_something_takes_the_key_and_each_route_says_its_methods() {
    let scratch = Scratch::new("admin-key-only");
    let (_, server) = server(&scratch, &[]);
    for (method, path) in CHANGES {
        let answer = ask(&server, method, path, "", "");
        assert_eq!((answer.status, answer.field("www-authenticate")), (401, "Bearer realm=\"rill\""), "{path}");
        // Neither a page elsewhere nor its preflight is let in.
        assert_eq!(answer.field("access-control-allow-origin"), "", "{path}");
        let preflight = ask(&server, "OPTIONS", path, "Origin: http://evil.example\r\n", "");
        assert_eq!(preflight.field("access-control-allow-origin"), "", "{path}");
    }
    let other = ask(&server, "GET", "/api/reload", WITH_KEY, "");
    assert_eq!((other.status, other.field("allow")), (405, "POST, OPTIONS"));
    let other = ask(&server, "POST", "/api/recordings/live/cam/a.mp4", WITH_KEY, "");
    assert_eq!((other.status, other.field("allow")), (405, "DELETE, OPTIONS"));
    let other = ask(&server, "DELETE", "/api/status", WITH_KEY, "");
    assert_eq!((other.status, other.field("allow")), (405, "GET, HEAD, OPTIONS"));
    assert!(!server.process.log().contains(KEY), "no key is logged");
}

#[test]
fn the_administrator_disconnects_records_deletes_and_reloads() {
    let scratch = Scratch::new("admin-does");
    let (root, server) = server(&scratch, &[]);
    let done = |method: &str, path: &str| {
        let answer = ask(&server, method, path, WITH_KEY, "");
        (answer.status, answer.text().trim_end().to_owned())
    };
    let ok = (200, "{\"ok\":true}".to_owned());
    assert_eq!(done("POST", "/api/clients/c99.0/disconnect").0, 404);
    assert_eq!(done("POST", "/api/clients/nobody/disconnect").0, 404);
    assert_eq!(done("POST", "/api/streams/live/nothing/record/start").0, 404);

    let mut publisher = begin(server.address, "cam");
    server.wait_for_publisher("cam");
    assert_eq!(done("POST", "/api/streams/live/cam/record/stop").0, 404);
    assert_eq!(done("POST", "/api/streams/live/cam/record/start"), ok);
    assert_eq!(done("POST", "/api/streams/live/cam/record/stop"), ok);
    let listed = ask(&server, "GET", "/v3/rtmpconns/list", "", "");
    let listed: serde_json::Value = serde_json::from_str(listed.text()).unwrap();
    let id = listed["items"][0]["id"].as_str().unwrap();
    assert_eq!(done("POST", &format!("/api/clients/{id}/disconnect")), ok);
    has_ended(&mut publisher);

    // The connection that was ended is not listed, though its client has not closed it.
    let leaving = publisher;
    let mut publisher = begin(server.address, "cam2");
    server.wait_for_publisher("cam2");
    let listed = ask(&server, "GET", "/v3/rtmpconns/list", "", "");
    let listed: serde_json::Value = serde_json::from_str(listed.text()).unwrap();
    let items = listed["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{items:?}");
    let id = items[0]["id"].as_str().unwrap();
    assert_eq!(done("POST", &format!("/v3/rtmpconns/kick/{id}")), (200, "{\"status\":\"ok\"}".into()));
    has_ended(&mut publisher);
    drop(leaving);
    assert_eq!(done("POST", &format!("/v3/rtmpconns/kick/{id}")).0, 404);

    let folder = root.join("applications/live/recordings/old");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("000001-nodate.mp4"), "film").unwrap();
    assert_eq!(done("DELETE", "/api/recordings/live/old/000001-nodate.mp4"), ok);
    assert!(!folder.join("000001-nodate.mp4").exists());
    assert_eq!(done("DELETE", "/api/recordings/live/old/000001-nodate.mp4").0, 404);
    assert_eq!(done("DELETE", "/api/recordings/live/app.toml").0, 404);

    fs::write(scratch.path("rill.toml"), "[web]\nhosts = [\"tv.example\"]\n").unwrap();
    assert_eq!(done("POST", "/api/reload"), ok);
    server.wait_for_log(&["configuration changed", "web.hosts"]);
}

fn has_ended(publisher: &mut TcpStream) {
    publisher.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    std::io::copy(publisher, &mut std::io::sink()).unwrap();
}

#[test]
fn programs_made_for_nginx_rtmp_record_and_drop() {
    let scratch = Scratch::new("admin-control");
    let (_, server) = server(&scratch, &[]);
    let control = |query: &str| {
        let joint = if query.contains('?') { '&' } else { '?' };
        let answer = ask(&server, "GET", &format!("/control/{query}{joint}key={KEY}"), "", "");
        (answer.status, answer.text().trim_end().to_owned())
    };
    let mut publishers: Vec<TcpStream> = ["a", "b", "c d"].iter().map(|name| begin(server.address, name)).collect();
    server.wait_for_logs(3, &[" publish start "]);
    assert_eq!(control("record/start?app=live&name=a"), (200, "live/a".into()));
    assert_eq!(control("record/stop?app=live&name=a&rec=all"), (200, "live/a".into()));
    assert_eq!(control("record/start?app=live&name=nothing").0, 404);
    assert_eq!(control("record/start?app=live").0, 400);
    assert_eq!(control("drop/publisher").0, 400);
    assert_eq!(control("drop/publisher?app=live&addr=nowhere").0, 400);
    assert_eq!(control(&format!("drop/client?app=live&clientid={}", "1".repeat(99))).0, 400);
    assert_eq!(control("drop/everything?app=live").0, 404);
    assert_eq!(control("redirect/publisher?app=live&name=a&newname=b").0, 501);
    // Nobody but those who are meant.
    assert_eq!(control("drop/subscriber?app=live&name=a"), (200, "0".into()));
    assert_eq!(control("drop/publisher?app=live&name=a&addr=192.0.2.1"), (200, "0".into()));
    assert_eq!(control("drop/publisher?app=live&name=a&clientid=c99.1"), (200, "0".into()));
    assert_eq!(control("drop/publisher?app=live&name=c%20d&addr=127.0.0.1"), (200, "1".into()));
    assert_eq!(control("drop/client?app=live"), (200, "2".into()));
    publishers.iter_mut().for_each(has_ended);
    let log = server.process.log();
    assert!(log.contains("request=\"drop client\"") && !log.contains(KEY), "{log}");
}

#[test]
fn a_session_is_begun_with_the_key_and_ends_by_log_out() {
    let scratch = Scratch::new("admin-session");
    let (_, server) = server(&scratch, &[]);
    for (body, status) in [("", 400), ("{}", 400), ("key=x", 400), ("{\"key\":\"wrong-horse-battery\"}", 401)] {
        assert_eq!(ask(&server, "POST", "/api/login", JSON, body).status, status, "{body}");
    }
    let cookie = log_in(&server, "Origin: http://localhost\r\nSec-Fetch-Site: same-origin\r\n");
    assert!(is_admin(&server, &cookie) && !is_admin(&server, ""));
    let reload = |fields: &str| ask(&server, "POST", "/api/reload", &format!("{cookie}{fields}"), "").status;
    assert_eq!(reload(JSON), 200);
    // Its key is what may stand in a URL, not its session.
    assert_eq!(ask(&server, "GET", "/control/drop/client?app=live", &cookie, "").status, 401);
    let mut other = cookie.clone();
    let last = if other.ends_with("0\r\n") { "1\r\n" } else { "0\r\n" };
    other.replace_range(other.len() - 3.., last);
    assert!(!is_admin(&server, &other));
    let out = ask(&server, "POST", "/api/logout", &cookie, "");
    assert_eq!(out.status, 200);
    assert!(out.field("set-cookie").contains("Max-Age=0"), "{}", out.field("set-cookie"));
    assert_eq!(reload(JSON), 401);
    assert!(!is_admin(&server, &cookie));
}

#[test]
fn csrf_no_page_of_another_host_changes_anything_with_the_session_of_a_browser() {
    let scratch = Scratch::new("admin-csrf");
    let (_, server) = server(&scratch, &[]);
    let publisher = begin(server.address, "cam");
    server.wait_for_publisher("cam");
    let cookie = log_in(&server, "");
    let with = |fields: &str| format!("{cookie}{fields}");
    let control = "/control/drop/publisher?app=live&name=cam";
    // <img src=http://127.0.0.1/control/...>, a form as text/plain, scripts of other pages, of another port, of nobody.
    for (method, path, fields, status) in [
        ("GET", control, "", 401),
        ("GET", control, "Sec-Fetch-Site: cross-site\r\n", 403),
        ("GET", "/api/clients/c0.0/disconnect", "", 405),
        ("POST", "/api/reload", "Content-Type: text/plain\r\n", 415),
        ("POST", "/api/reload", "Content-Type: application/x-www-form-urlencoded\r\n", 415),
        ("POST", "/api/reload", "", 415),
        ("POST", "/api/reload", "Content-Type: application/json\r\nOrigin: http://evil.example\r\n", 403),
        ("POST", "/api/reload", "Content-Type: application/json\r\nOrigin: http://localhost:81\r\n", 403),
        ("POST", "/api/reload", "Content-Type: application/json\r\nOrigin: null\r\n", 403),
        ("POST", "/api/reload", "Content-Type: application/json\r\nSec-Fetch-Site: same-site\r\n", 403),
        ("DELETE", "/api/recordings/live/a/000001-nodate.mp4", "Origin: http://evil.example\r\n", 403),
        ("POST", "/api/logout", "Origin: http://evil.example\r\n", 403),
    ] {
        let answer = ask(&server, method, path, &with(fields), "");
        assert_eq!(answer.status, status, "{method} {path} {fields}: {}", answer.text());
    }
    let body = format!("{{\"key\":\"{KEY}\"}}");
    let foreign = ask(&server, "POST", "/api/login", &format!("{JSON}Origin: http://evil.example\r\n"), &body);
    assert_eq!(foreign.status, 403);
    assert_eq!(ask(&server, "POST", "/api/login", "Content-Type: text/plain\r\n", &body).status, 415);
    assert!(is_admin(&server, &cookie), "nobody has ended it");
    assert!(!server.process.log().contains("admin request="));
    drop(publisher);
}

#[test]
fn dns_rebinding_a_name_that_is_not_the_servers_own_is_told_nothing_and_changes_nothing() {
    let scratch = Scratch::new("admin-rebinding");
    let (_, server) = server(&scratch, &["web.hosts=[\"tv.example\"]"]);
    let cookie = log_in(&server, "");
    for (method, path) in CHANGES.into_iter().chain([
        ("POST", "/api/login"),
        ("POST", "/api/logout"),
        ("GET", "/api/session"),
        ("GET", "/api/status"),
        ("GET", "/api/clients"),
    ]) {
        let fields = format!("Host: evil.example\r\nOrigin: http://evil.example\r\n{JSON}{WITH_KEY}{cookie}");
        assert_eq!(ask(&server, method, path, &fields, "").status, 421, "{method} {path}");
    }
    let own = format!("Host: tv.example\r\nOrigin: https://tv.example\r\n{JSON}{cookie}");
    assert_eq!(ask(&server, "POST", "/api/reload", &own, "").status, 200);
}

#[test]
fn an_address_that_tries_keys_has_to_wait_and_every_wrong_key_is_answered_alike() {
    let scratch = Scratch::new("admin-limit");
    let (_, server) = server(&scratch, &["web.trusted_proxies=[\"127.0.0.1\"]"]);
    let from = |address: &str, key: &str| {
        let fields = format!("{JSON}X-Forwarded-For: {address}\r\n");
        ask(&server, "POST", "/api/login", &fields, &format!("{{\"key\":\"{key}\"}}"))
    };
    let long = "k".repeat(500);
    let near = &KEY[..KEY.len() - 1];
    let mut answers = Vec::new();
    for key in ["", "wrong", near, long.as_str(), "Correct-horse-battery"] {
        let answer = from("192.0.2.7", key);
        answers.push((answer.status, answer.fields, answer.body));
    }
    assert!(answers.iter().all(|answer| answer.0 == 401 && *answer == answers[0]), "{answers:?}");
    for key in ["wrong", KEY] {
        let answer = from("192.0.2.7", key);
        assert_eq!(answer.status, 429, "not even the right one");
        assert!((50..=60).contains(&answer.field("retry-after").parse::<u32>().unwrap()));
    }
    // The same household of another, and another.
    assert_eq!(from("192.0.2.8", KEY).status, 200);
    let log = server.process.log();
    assert!(log.contains("admin refused peer=192.0.2.7") && !log.contains("horse"), "{log}");
}

#[test]
fn x_forwarded_for_of_who_is_no_proxy_of_ours_is_not_believed() {
    let scratch = Scratch::new("admin-forwarded");
    let (_, server) = server(&scratch, &[]);
    for at in 0..5 {
        let fields = format!("{JSON}X-Forwarded-For: 192.0.2.{at}\r\n");
        assert_eq!(ask(&server, "POST", "/api/login", &fields, "{\"key\":\"wrong\"}").status, 401);
    }
    // It is one address, whatever it says.
    let fields = format!("{JSON}X-Forwarded-For: 192.0.2.9\r\n");
    assert_eq!(ask(&server, "POST", "/api/login", &fields, "{\"key\":\"wrong\"}").status, 429);
}

#[test]
fn what_is_not_public_is_shown_to_the_administrator_alone_and_media_to_who_may_play() {
    let scratch = Scratch::new("admin-public");
    let (_, server) = server(&scratch, &["web.public=false"]);
    let publisher = begin(server.address, "cam");
    server.wait_for_publisher("cam");
    let cookie = log_in(&server, "");
    for path in [
        "/stat",
        "/metrics",
        "/api/status",
        "/api/recordings",
        "/api/streams",
        "/api/clients",
        "/api/limits",
        "/api/memory",
        "/api/applications",
        "/v3/paths/list",
        "/v3/rtmpconns/list",
        "/v3/paths/get/live/cam",
    ] {
        let answer = ask(&server, "GET", path, "", "");
        assert_eq!((answer.status, answer.field("www-authenticate")), (401, "Bearer realm=\"rill\""), "{path}");
        assert!(!answer.text().contains("cam"), "{path}");
        assert_eq!(ask(&server, "GET", path, WITH_KEY, "").status, 200, "{path}");
        assert_eq!(ask(&server, "GET", path, &cookie, "").status, 200, "{path}");
    }
    assert_eq!(ask(&server, "GET", "/api/events", "", "").status, 401);
    for path in ["/", "/healthz", "/watch/live/cam", "/assets/page.js"] {
        assert_eq!(ask(&server, "GET", path, "", "").status, 200, "{path}");
    }
    assert_eq!(ask(&server, "HEAD", "/live/cam.flv", "", "").status, 200);
    drop(publisher);
}

#[test]
fn the_administrator_sees_what_rules_hide_and_nobody_else() {
    let scratch = Scratch::new("admin-sees");
    let app = scratch.path("root").join("applications/live");
    fs::create_dir_all(&app).unwrap();
    fs::write(app.join("app.toml"), "[play]\nkey = \"v1ew\"\n").unwrap();
    let (_, server) = server(&scratch, &[]);
    let evil = "&amp;'), alert(1)";
    let _publisher = begin(server.address, evil);
    server.wait_for_log(&[" publish start "]);
    assert!(!ask(&server, "GET", "/api/status", "", "").text().contains("alert"));
    let shown = ask(&server, "GET", "/api/status", WITH_KEY, "");
    assert!(shown.text().contains("alert(1)") && shown.field("content-type") == "application/json");
    // A name that a page could take for its own comes back nowhere.
    let answer = ask(&server, "POST", "/api/streams/live/%3Cscript%3E/record/start", WITH_KEY, "");
    assert_eq!(answer.status, 404);
    assert!(!answer.text().contains("script") && answer.field("content-type").starts_with("text/plain"));
    let answer = ask(&server, "GET", &format!("/control/drop/client?app=%3Cscript%3E&key={KEY}"), "", "");
    assert_eq!((answer.text(), answer.field("x-content-type-options")), ("0\n", "nosniff"));
}

#[test]
fn another_key_of_the_operators_ends_sessions_and_is_kept() {
    let scratch = Scratch::new("admin-ctl");
    let root = scratch.path("root");
    fs::create_dir_all(root.join("applications/live")).unwrap();
    let place = format!("server.root={}", root.display());
    let server = Server::start(&scratch, &[&place]);
    let socket = root.join("rill.sock");
    let ctl = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rill"));
        let said = output_of(command.args(["ctl", "--socket"]).arg(&socket).args(arguments));
        String::from_utf8(said).unwrap()
    };
    assert_eq!(ask(&server, "POST", "/api/reload", "", "").status, 403);
    let key = ctl(&["admin-key"]).trim_end().to_owned();
    assert_eq!(key.len(), 24);
    let file = root.join("admin.key");
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("{key}\n"));
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o600);
    let answer = ask(&server, "POST", "/api/login", JSON, &format!("{{\"key\":\"{key}\"}}"));
    assert_eq!(answer.status, 200);
    let cookie = format!("Cookie: {}\r\n", answer.field("set-cookie").split(';').next().unwrap());
    assert!(is_admin(&server, &cookie));
    // What the configuration says again changes nothing of it.
    ctl(&["reload"]);
    server.wait_for_log(&["configuration reloaded"]);
    assert!(is_admin(&server, &cookie));
    let said: serde_json::Value = serde_json::from_str(&ctl(&["--json", "admin-key"])).unwrap();
    assert_eq!(said["stored"], true);
    assert!(!is_admin(&server, &cookie));
    let bearer =
        |key: &str| ask(&server, "POST", "/api/reload", &format!("Authorization: Bearer {key}\r\n"), "").status;
    assert_eq!((bearer(&key), bearer(said["key"].as_str().unwrap())), (401, 200));
    assert!(ctl(&["admin-key", "off"]).contains("no admin key"));
    assert_eq!(bearer(said["key"].as_str().unwrap()), 403);
    assert!(!file.exists());
    let log = server.process.log();
    assert!(!log.contains(&key) && !log.contains(said["key"].as_str().unwrap()), "{log}");
}

#[test]
fn a_session_that_ends_ends_the_events_that_it_let_in() {
    let scratch = Scratch::new("admin-events");
    let (_, server) = server(&scratch, &["web.public=false"]);
    let cookie = log_in(&server, "");
    let mut client = Client::new(server.http);
    client.send(format!("GET /api/events HTTP/1.1\r\nHost: localhost\r\n{cookie}\r\n").as_bytes());
    let start = Instant::now();
    while !client.take(1).ends_with(b"{") {}
    assert_eq!(ask(&server, "POST", "/api/logout", &cookie, "").status, 200);
    let _ = std::io::copy(&mut client.stream, &mut std::io::sink());
    assert!(start.elapsed() < Duration::from_secs(15));
}
