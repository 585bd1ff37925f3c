//! Names and values that a page of a browser could take for its own: whatever shows them, they stay text.

use std::fs;
use std::process::Command;

use crate::client::{Answer, Client};
use crate::support::Scratch;
use crate::support::process::output_of;
use crate::support::publisher::begin;
use crate::support::server::Server;

/// What ends an attribute, a text, an object of JSON or a line of the log, and begins a script.
const EVIL: [&str; 4] =
    ["\"><script>alert(1)</script>", "'-alert(1)-'", "</script><img src=x onerror=alert(1)>", "{{7*7}}${7*7}"];

/// Every byte escaped, as a URL has it.
fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// A browser does not run it: it is no text of a page, or a page that has nothing of the request in it.
fn assert_harmless(answer: &Answer, pages: &[Vec<u8>], what: &str) {
    assert_eq!(answer.field("x-content-type-options"), "nosniff", "{what}");
    let kind = answer.field("content-type");
    if kind.starts_with("text/html") {
        assert!(pages.contains(&answer.body), "{what}: a page is the same whatever it is asked by");
        assert!(answer.field("content-security-policy").starts_with("default-src 'none'; script-src 'self'"), "{what}");
    } else {
        assert!(!kind.contains("javascript") && !kind.contains("xml"), "{what}: {kind}");
        assert!(!String::from_utf8_lossy(&answer.body).contains("alert(1)"), "{what}");
    }
}

#[test]
fn xss_a_script_in_a_url_is_not_given_back_by_any_route() {
    let scratch = Scratch::new("http-strangers");
    let server = Server::start(&scratch, &[]);
    let pages = ["/", "/watch/live/cam", "/embed/live/cam"].map(|path| Client::new(server.http).get(path).body);
    for evil in EVIL.map(escaped) {
        for path in [
            format!("/watch/live/{evil}"),
            format!("/embed/live/{evil}"),
            format!("/watch/live/cam?audio={evil}"),
            format!("/{evil}"),
            format!("/live/{evil}"),
            format!("/live/{evil}.key.mp4"),
            format!("/{evil}/cam.key.mp4"),
            format!("/live/cam/hls/{evil}.m3u8"),
            format!("/live/cam/hls/{evil}-1.m4s"),
            format!("/live/cam/hls/{evil}-1.init.mp4"),
            format!("/recordings/live/{evil}/000001-nodate.mp4"),
            format!("/recordings/{evil}/cam/000001-nodate.mp4"),
            format!("/vod-files/live/{evil}.mp4"),
            format!("/api/status?key={evil}"),
            format!("/api/recordings?key={evil}"),
            format!("/api/qr.svg?for={evil}"),
            format!("/api/streams?app={evil}"),
            format!("/v3/paths/get/live/{evil}"),
            format!("/control/record/start?app=live&name={evil}"),
            format!("/version?{evil}"),
            format!("/routes?{evil}"),
        ] {
            let answer = Client::new(server.http).get(&path);
            assert!(matches!(answer.status, 200 | 400 | 403 | 404), "{path}: {}", answer.status);
            assert_harmless(&answer, &pages, &path);
        }
    }
    // A line end in a path or a value makes no field of an answer.
    for path in ["/live/cam%0d%0aSet-Cookie:%20a=b.flv", "/%0d%0a", "/a%00b"] {
        assert_eq!(Client::new(server.http).get(path).status, 400, "{path}");
    }
    let answer = Client::new(server.http).get("/api/qr.svg?for=a%0d%0aSet-Cookie:%20a=b");
    assert_eq!((answer.status, answer.field("set-cookie")), (400, ""));
}

#[test]
fn xss_a_script_for_a_name_is_refused_and_what_is_none_for_rtmp_stays_text_in_the_status_the_log_and_for_the_operator()
{
    let scratch = Scratch::new("http-names");
    let socket = scratch.path("control");
    let control = format!("server.control={}", socket.display());
    let server = Server::start(&scratch, &[&control]);
    // Adobe's set of characters that no name has is the first wall.
    let refused: Vec<_> = [EVIL[0], EVIL[2]].iter().map(|evil| begin(server.address, evil)).collect();
    let names = ["%3Cscript%3E", "'-alert(1)-'", "EXT-X-ENDLIST#", "a&lt;script&gt;b", "a,b=c;d\u{202e}gpj", "{{7*7}}"];
    let shown: Vec<String> =
        names[..5].iter().filter(|name| !name.contains(['*', '\\'])).map(|name| format!("live/{name}")).collect();
    let publishers: Vec<_> = names.iter().map(|name| begin(server.address, name)).collect();
    server.wait_for_logs(shown.len(), &[" publish start "]);
    let fields = format!("User-Agent: {0}\r\nReferer: {0}\r\n", EVIL[0]);
    let mut client = Client::new(server.http);
    let status = client.ask("GET", "/api/status", &fields);
    assert_eq!((status.field("content-type"), status.field("x-content-type-options")), ("application/json", "nosniff"));
    let value: serde_json::Value = serde_json::from_str(status.text()).unwrap();
    let rows = value["streams"].as_array().unwrap();
    let mut paths: Vec<&str> = rows.iter().map(|row| row["path"].as_str().unwrap()).collect();
    paths.sort_unstable();
    assert_eq!(paths, shown);
    for what in ["streams", "clients"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rill"));
        let text = output_of(command.args(["ctl", "--socket"]).arg(&socket).args(["--json", what]));
        let rows: Vec<serde_json::Value> = text
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect();
        assert!(rows.len() >= shown.len(), "{rows:?}");
    }
    // What is no letter to be seen does not reach the terminal of whoever reads the log.
    assert!(!server.process.log().contains(['\u{202e}', '\u{1b}']));
    drop((refused, publishers));
}

#[test]
fn a_file_with_a_script_for_a_name_stays_text_in_the_list_of_recordings() {
    let scratch = Scratch::new("http-evil-files");
    let folder = scratch.path("root").join("applications/live/recordings").join("a&b");
    fs::create_dir_all(&folder).unwrap();
    let names = ["000001-nodate.mp4", "000002-\"><script>alert(1)<.mp4", "000003-'-alert(1)-'.mp4"];
    for name in names {
        fs::write(folder.join(name), "film").unwrap();
    }
    let root = format!("server.root={:?}", scratch.path("root"));
    let server = Server::start(&scratch, &[&root]);
    let answer = Client::new(server.http).get("/api/recordings");
    assert_eq!((answer.status, answer.field("content-type")), (200, "application/json"));
    assert_eq!(answer.field("x-content-type-options"), "nosniff");
    let lists: serde_json::Value = serde_json::from_str(answer.text()).unwrap();
    let files: Vec<&str> =
        lists["recordings"].as_array().unwrap().iter().map(|row| row["file"].as_str().unwrap()).collect();
    assert_eq!(files, names.map(|name| format!("live/a&b/{name}")));
}
