//! Requests and their answers, in order and out of order.

use std::path::Path;

use crate::client::Client;
use crate::support::Scratch;
use crate::support::clients::ffmpeg_publish;
use crate::support::process::Process;
use crate::support::server::Server;

pub fn server(name: &str) -> (Scratch, Server) {
    let scratch = Scratch::new(name);
    let server = Server::start(&scratch, &[]);
    (scratch, server)
}

/// ffmpeg, which publishes a file.
pub fn camera(scratch: &Scratch, server: &Server, file: &Path, name: &str) -> Process {
    Process::spawn(scratch, name, &mut ffmpeg_publish(file, &server.url(name), &[]))
}

#[test]
fn a_connection_is_asked_again_and_again_and_answers_in_order() {
    let (_scratch, server) = server("http-order");
    let mut client = Client::new(server.http);
    let version = client.get("/version");
    assert_eq!((version.status, version.field("content-type")), (200, "application/json"));
    assert!(version.text().contains(env!("CARGO_PKG_VERSION")), "{}", version.text());
    assert_eq!(client.get("/nothing").status, 404);
    // Thirty at once, more than a slot keeps.
    let one = "GET /routes HTTP/1.1\r\nHost: a\r\n\r\nGET /healthz HTTP/1.1\r\nHost: a\r\n\r\nHEAD /version HTTP/1.1\r\nHost: a\r\n\r\n";
    client.send(one.repeat(10).as_bytes());
    let routes = client.answer(false).unwrap();
    assert!(routes.text().contains("/healthz"), "{}", routes.text());
    for at in 0..10 {
        if at > 0 {
            assert_eq!(client.answer(false).unwrap(), routes);
        }
        assert_eq!(client.answer(false).unwrap().text(), "ok\n");
        let head = client.answer(true).unwrap();
        assert_eq!((head.status, head.body.len()), (200, 0));
        assert_eq!(head.field("content-length"), version.field("content-length"));
    }
}

#[test]
fn the_page_comes_packed_and_once() {
    let (_scratch, server) = server("http-page");
    let mut client = Client::new(server.http);
    let page = client.get("/");
    assert_eq!((page.status, page.field("content-encoding")), (200, "gzip"));
    assert!(page.field("content-security-policy").starts_with("default-src 'none'; script-src 'self'"));
    let packed = &page.body[10..page.body.len() - 8];
    let text = miniz_oxide::inflate::decompress_to_vec(packed).unwrap();
    assert!(text.starts_with(b"<!doctype html>"));
    assert_eq!(client.get("/watch/live/cam1").field("content-type"), "text/html; charset=utf-8");
    let again = client.ask("GET", "/", &format!("If-None-Match: {}\r\n", page.field("etag")));
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(client.ask("GET", "/", "Accept-Encoding: identity\r\n").status, 406);
}

#[test]
fn cors_a_page_of_another_host_hears_why_media_is_refused() {
    let (_scratch, server) = server("http-cors");
    for (method, path, status) in [
        ("GET", "/live/none.key.mp4", 404),
        ("GET", "/live/none/hls/0.m3u8", 404),
        ("GET", "/live/cam%00.flv", 400),
        ("POST", "/live/cam.flv", 405),
        ("POST", "/live/cam.m3u8", 405),
        ("OPTIONS", "/live/none.mp4", 204),
    ] {
        let answer = Client::new(server.http).ask(method, path, "Origin: http://elsewhere\r\nContent-Length: 0\r\n");
        assert_eq!((answer.status, answer.field("access-control-allow-origin")), (status, "*"), "{method} {path}");
    }
}

#[test]
fn methods_that_a_route_has_not_are_told_which_it_has() {
    let (_scratch, server) = server("http-methods");
    let mut client = Client::new(server.http);
    let refused = client.ask("POST", "/version", "Content-Length: 0\r\n");
    assert_eq!((refused.status, refused.field("allow")), (405, "GET, HEAD, OPTIONS"));
    let options = client.ask("OPTIONS", "/version", "Origin: http://elsewhere\r\n");
    assert_eq!((options.status, options.field("access-control-allow-origin")), (204, "*"));
    assert_eq!(options.field("access-control-allow-methods"), "GET, HEAD, OPTIONS");
    // A body that nobody asked for is taken.
    client.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc");
    client.send(b"deGET /healthz HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    assert_eq!(client.answer(false).unwrap().text(), "ok\n");
    assert_eq!(client.answer(false).unwrap().status, 100);
    client.send(b"ab");
    assert_eq!(client.answer(false).unwrap().text(), "ok\n");
}

#[test]
fn who_closes_its_side_or_speaks_http_1_0_hears_the_answer_and_the_end() {
    let (_scratch, server) = server("http-half");
    let mut client = Client::new(server.http);
    client.send(b"GET /routes HTTP/1.1\r\nHost: a\r\n\r\nGET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
    client.finish();
    assert!(client.answer(false).unwrap().text().contains("/version"));
    assert_eq!(client.answer(false).unwrap().text(), "ok\n");
    assert!(client.has_ended());
    let mut old = Client::new(server.http);
    old.send(b"GET /routes HTTP/1.0\r\n\r\n");
    let answer = old.answer(false).unwrap();
    assert!(answer.text().contains("/version"));
    assert_eq!((answer.field("connection"), answer.field("transfer-encoding")), ("close", ""));
    let mut last = Client::new(server.http);
    assert_eq!(last.ask("GET", "/healthz", "Connection: close\r\n").field("connection"), "close");
    assert!(last.has_ended());
}

#[test]
fn what_is_no_request_is_refused_and_ends_the_connection() {
    let (_scratch, server) = server("http-refused");
    let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "a".repeat(5000));
    let far = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(400));
    for (bytes, status) in [
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\nHost: a\n\n", 400),
        ("GET /%2e%2e/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("\u{16}\u{3}\u{1}", 400),
        ("BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 501),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\n", 413),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (&long, 431),
        (&far, 414),
    ] {
        let mut client = Client::new(server.http);
        client.send(bytes.as_bytes());
        let answer = client.answer(false).unwrap();
        assert_eq!((answer.status, answer.field("connection")), (status, "close"), "{bytes:?}");
        assert!(client.has_ended(), "{bytes:?}");
    }
    server.wait_for_log(&["x_status=431", "HTTP_HEAD_BYTES"]);
}

#[test]
fn a_port_that_was_set_and_is_taken_is_an_error() {
    let (scratch, first) = server("http-taken");
    let taken = format!("server.http={}", first.http);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_rill"));
    command.args(["--listen", "127.0.0.1:0", "--config"]).arg(scratch.path("rill.toml")).args(["--set", &taken]);
    let output = command.stdin(std::process::Stdio::null()).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && text.contains("is in use") && text.contains("server.http"), "{text}");
}

#[test]
fn what_is_live_is_told_to_the_servers_own_page_alone() {
    let scratch = Scratch::new("http-hosts");
    let server = Server::start(&scratch, &["web.hosts=[\"tv.example\"]"]);
    for (host, status) in [("10.0.0.5:8080", 200), ("rill.local", 200), ("tv.example", 200), ("evil.example", 421)] {
        let mut client = Client::new(server.http);
        client.send(format!("GET /api/status HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
        assert_eq!(client.answer(false).unwrap().status, status, "{host}");
        client.send(format!("GET /version HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
        assert_eq!(client.answer(false).unwrap().status, 200, "{host}");
    }
}
