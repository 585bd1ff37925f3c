//! What the page is told: what is live, to those who may play it.

use std::fs;
use std::io::Read;
use std::net::TcpStream;

use crate::client::Client;
use crate::support::Scratch;
use crate::support::publisher::begin;
use crate::support::server::Server;

/// The paths of a status' streams, sorted.
fn paths(text: &str) -> Vec<String> {
    let status: serde_json::Value = serde_json::from_str(text).unwrap();
    let streams = status["streams"].as_array().unwrap();
    let mut paths: Vec<String> = streams.iter().map(|stream| stream["path"].as_str().unwrap().to_owned()).collect();
    paths.sort();
    paths
}

#[test]
fn a_status_has_every_stream_whatever_it_is_called() {
    let scratch = Scratch::new("api-status");
    let server = Server::start(&scratch, &[]);
    let mut client = Client::new(server.http);
    let empty = client.get("/api/status");
    assert_eq!((empty.status, empty.field("content-type")), (200, "application/json"));
    assert!(paths(empty.text()).is_empty());

    // Quotes and angle brackets are no part of names.
    let names = ["&amp;'), alert(1)", "a/b c", "ö😀", "cam1"];
    let mut publishers: Vec<TcpStream> = names.iter().map(|name| begin(server.address, name)).collect();
    server.wait_for_logs(names.len(), &[" publish start "]);
    let status = client.get("/api/status");
    let mut wanted: Vec<String> = names.iter().map(|name| format!("live/{name}")).collect();
    wanted.sort();
    assert_eq!(paths(status.text()), wanted);
    let value: serde_json::Value = serde_json::from_str(status.text()).unwrap();
    assert_eq!(value["rtmp_port"], server.address.port());
    assert_eq!(
        (value["streams"][0]["state"].as_str(), &value["streams"][0]["viewers"]["rtmp"]),
        (Some("live"), &0.into())
    );
    // It is for this server's own page.
    assert_eq!(status.field("access-control-allow-origin"), "");
    publishers.clear();
}

#[test]
fn events_are_the_status_again_and_again() {
    let scratch = Scratch::new("api-events");
    let server = Server::start(&scratch, &[]);
    let mut client = Client::new(server.http);
    client.send(b"GET /api/events HTTP/1.0\r\n\r\n");
    let mut seen = String::new();
    let mut publisher = None;
    let mut bytes = [0; 4096];
    while !seen.contains("live/late") {
        let read = client.stream.read(&mut bytes).unwrap();
        assert!(read > 0, "the events have ended: {seen}");
        seen += std::str::from_utf8(&bytes[..read]).unwrap();
        if publisher.is_none() && seen.contains("\n\n") {
            publisher = Some(begin(server.address, "late"));
        }
    }
    let (head, events) = seen.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("text/event-stream"), "{head}");
    let (first, _) = events.split_once("\n\n").unwrap();
    assert!(paths(first.strip_prefix("data: ").unwrap()).is_empty());
}

#[test]
fn who_may_not_play_a_stream_does_not_hear_of_it() {
    let scratch = Scratch::new("api-rules");
    let app = scratch.path("root").join("applications/live");
    fs::create_dir_all(&app).unwrap();
    fs::write(app.join("app.toml"), "[play]\nkey = \"v1ew\"\n").unwrap();
    let root = format!("server.root={:?}", scratch.path("root"));
    let server = Server::start(&scratch, &[&root]);
    let _publisher = begin(server.address, "secret");
    server.wait_for_publisher("secret");
    let mut client = Client::new(server.http);
    assert!(paths(client.get("/api/status").text()).is_empty());
    assert!(paths(client.get("/api/status?key=other").text()).is_empty());
    assert_eq!(paths(client.get("/api/status?key=v1ew").text()), ["live/secret"]);
}

#[test]
fn a_qr_code_leads_to_a_host_and_nowhere_else() {
    let scratch = Scratch::new("api-qr");
    let server = Server::start(&scratch, &[]);
    let mut client = Client::new(server.http);
    let code = client.get("/api/qr.svg?for=192.168.1.20:8080");
    assert_eq!((code.status, code.field("content-type")), (200, "image/svg+xml"));
    assert!(code.text().starts_with("<svg ") && code.text().ends_with("</svg>\n"), "{}", code.text());
    for wrong in ["", "?for=", "?for=a/b", "?for=a%22%3E", &format!("?for={}", "a".repeat(100)), "?for=a%20b"] {
        assert_eq!(client.get(&format!("/api/qr.svg{wrong}")).status, 400, "{wrong}");
    }
}

#[test]
fn every_stream_has_a_page() {
    let scratch = Scratch::new("api-pages");
    let server = Server::start(&scratch, &[]);
    let mut client = Client::new(server.http);
    for path in
        ["/watch/live/cam1", "/embed/live/a/b%20c", "/assets/player.js", "/assets/style.css", "/assets/icon.svg"]
    {
        let page = client.get(path);
        assert_eq!((page.status, page.field("content-encoding")), (200, "gzip"), "{path}");
        assert!(page.field("content-security-policy").starts_with("default-src 'none'"), "{path}");
    }
}
