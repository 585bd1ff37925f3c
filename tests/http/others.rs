//! What others make of it: Python's websockets as a client, h11's opinion on what is a head, and schemathesis' on whether every answer is
//! as its description says.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rill::wire::http::HttpRequest;

use crate::requests::{camera, server};
use crate::support::process::output_of;
use crate::support::server::Server;
use crate::support::{Scratch, clip, patience};

fn python() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/python-web/bin/python");
    assert!(path.exists(), "no {}: tests/support/python-web.sh installs it, or run make deps", path.display());
    path
}

/// Reads heads as lines of hexadecimal digits, and says of each what h11 makes of it.
const H11: &str = "
import sys, h11
for line in sys.stdin:
    connection = h11.Connection(h11.SERVER)
    try:
        connection.receive_data(bytes.fromhex(line.strip()))
        event = connection.next_event()
        print(event.target.decode() if isinstance(event, h11.Request) else 'no')
    except h11.RemoteProtocolError:
        print('no')
";

#[test]
fn whatever_is_taken_for_a_head_h11_takes_for_the_same() {
    let mut heads = Vec::new();
    for line_end in ["\r\n", "\n", "\r", "\r\n ", "\r\n\t", "\0\r\n", "\x0b\r\n"] {
        for fields in [
            "Content-Length: 3",
            "Content-Length: 3\r\nContent-Length: 3",
            "Content-Length: 3\r\nContent-Length: 4",
            "Content-Length: +3",
            "Content-Length: 3 ",
            "Content-Length : 3",
            "Content-Length: 0x3",
            "Content-Length: 3, 3",
            "Transfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nContent-Length: 3",
            "Transfer-Encoding: xchunked",
            "Transfer-Encoding : chunked",
            "Transfer-Encoding:\x0bchunked",
            "transfer_encoding: chunked",
            "X: [\u{7f}]",
            "X: \u{e9}",
            ": empty",
            "no colon",
            "Host: b",
            "Expect: 100-continue",
        ] {
            heads.push(format!("GET /a HTTP/1.1\r\nHost: a{line_end}{fields}\r\n\r\n"));
        }
    }
    for first in [
        "GET  /a HTTP/1.1",
        "GET /a  HTTP/1.1",
        "GET /a b HTTP/1.1",
        " GET /a HTTP/1.1",
        "GET\t/a HTTP/1.1",
        "GET /a HTTP/1.1 ",
        "GET /a HTTP/1.2",
        "GET /a HTTP/01.1",
        "GET /a http/1.1",
        "GET /a",
        "G@T /a HTTP/1.1",
        "GET /\u{e9} HTTP/1.1",
        "GET /a\u{1} HTTP/1.1",
        "GET http://b/a HTTP/1.1",
        "POST /a HTTP/1.0",
        "GET /a HTTP/1.1\r\n",
    ] {
        heads.push(format!("{first}\r\nHost: a\r\n\r\n"));
    }
    let mut child = Command::new(python());
    child.args(["-c", H11]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = child.spawn().unwrap();
    let lines: String =
        heads.iter().map(|head| head.bytes().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n").collect();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let said = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let said: Vec<&str> = said.lines().collect();
    assert_eq!(said.len(), heads.len());
    let mut taken = 0;
    for (head, said) in heads.iter().zip(said) {
        if let Ok(request) = HttpRequest::parse(head.as_bytes()) {
            taken += 1;
            assert_ne!(said, "no", "{head:?}");
            assert!(said.ends_with(request.path.as_str()), "{head:?}: {said}");
        }
    }
    assert!((5..40).contains(&taken), "{taken} of {} heads", heads.len());
}

/// Ordinary, borderline and broken requests of everything that is described, each answer held against what is said of it. Events
/// have no end.
#[test]
fn everything_is_as_openapi_describes_it() {
    let scratch = Scratch::new("http-openapi");
    // A key that it does not know: what changes something is refused for want of it, and not because there is none.
    let server = Server::start(&scratch, &["web.admin_key=correct-horse-battery"]);
    let source = clip::h264_aac();
    let _publisher = camera(&scratch, &server, &source, "cam1");
    server.wait_for_publisher("cam1");
    let description = format!("http://{}/api/openapi.json", server.http);
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/http/schemathesis.toml");
    let mut schemathesis = Command::new(python().with_file_name("st"));
    schemathesis.current_dir(scratch.path("")).arg("--config-file").arg(config).args(["run", &description]);
    schemathesis.args(["--phases", "examples,coverage,fuzzing", "--max-examples", "10", "--request-timeout", "10"]);
    schemathesis.args(["--seed", "1", "--generation-deterministic", "--no-color"]);
    let done = schemathesis.args(["--exclude-path", "/api/events"]).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    // It has asked.
    assert!(said.contains("Tested:"), "{said}");
}

/// Watches until it has thirty thousand bytes, with a ping of its own on the way, and closes.
const WATCH: &str = "
import sys
from websockets.sync.client import connect
with connect(sys.argv[1], compression=None) as client:
    data = b''
    alive = client.ping()
    while len(data) < 30000:
        data += client.recv(timeout=20)
    assert alive.wait(20), 'no pong'
    assert data[:5] == b'FLV\\x01\\x05', data[:13]
print(client.close_code)
";

#[test]
fn pythons_websockets_watches_pings_and_closes() {
    let (scratch, server) = server("http-python");
    let source = clip::h264_aac();
    let mut publisher = camera(&scratch, &server, &source, "cam1");
    let url = format!("ws://{}/live/cam1.flv", server.http);
    let closed = output_of(Command::new(python()).args(["-c", WATCH, &url]));
    assert_eq!(closed, b"1000\n");
    publisher.wait_success(patience(20.0));
    server.wait_for_log(&["closed", "the client closed it"]);
}
