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
    let mut events = events.split("\n\n");
    assert_eq!(events.next(), Some("retry: 1000"));
    assert!(paths(events.next().unwrap().strip_prefix("data: ").unwrap()).is_empty());
}

/// What a listener is told of changes until there are so many of them.
fn changes(address: std::net::SocketAddr, path: &str, count: usize, meanwhile: impl FnOnce()) -> Vec<[String; 2]> {
    let mut client = Client::new(address);
    client.send(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes());
    let (mut seen, mut bytes, mut meanwhile) = (String::new(), [0; 4096], Some(meanwhile));
    loop {
        let read = client.stream.read(&mut bytes).unwrap();
        assert!(read > 0, "the events have ended: {seen}");
        seen += std::str::from_utf8(&bytes[..read]).unwrap();
        if seen.contains("data: ")
            && let Some(meanwhile) = meanwhile.take()
        {
            meanwhile();
        }
        let whole = seen.rsplit_once("\n\n").map_or("", |(whole, _)| whole);
        let told: Vec<[String; 2]> = whole
            .split("\n\n")
            .filter_map(|event| event.strip_prefix("event: change\ndata: "))
            .map(|data| {
                let change: serde_json::Value = serde_json::from_str(data).unwrap();
                assert!(change["client"].as_str().unwrap().starts_with('c'), "{change}");
                ["what", "stream"].map(|key| change[key].as_str().unwrap().to_owned())
            })
            .collect();
        if told.len() >= count {
            return told;
        }
    }
}

#[test]
fn events_say_who_came_and_went_meanwhile() {
    let scratch = Scratch::new("api-changes");
    let applications = scratch.path("root").join("applications");
    fs::create_dir_all(applications.join("live")).unwrap();
    let app = applications.join("closed");
    fs::create_dir_all(&app).unwrap();
    fs::write(app.join("app.toml"), "[play]\nkey = \"v1ew\"\n").unwrap();
    let root = format!("server.root={:?}", scratch.path("root"));
    let server = Server::start(&scratch, &[&root]);
    // What was before is no news.
    let _before = begin(server.address, "before");
    server.wait_for_publisher("before");
    let told = changes(server.http, "/api/events", 4, || {
        let publisher = begin(server.address, "late");
        server.wait_for_publisher("late");
        let mut viewer = Client::new(server.http);
        viewer.send(b"GET /live/late.flv HTTP/1.0\r\n\r\n");
        let _ = viewer.take(20);
        drop(viewer);
        drop(publisher);
    });
    let words: Vec<&str> = told.iter().map(|[what, _]| what.as_str()).collect();
    assert!(words.iter().all(|word| ["published", "joined", "left", "unpublished"].contains(word)), "{words:?}");
    assert!(words[0] == "published" && words.contains(&"joined"), "{words:?}");
    assert!(words.contains(&"unpublished") && told.iter().all(|[_, stream]| stream == "live/late"), "{told:?}");
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
fn the_key_in_a_viewers_url_is_in_no_line_of_the_log() {
    let scratch = Scratch::new("api-keys");
    let app = scratch.path("root").join("applications/live");
    fs::create_dir_all(app.join("media")).unwrap();
    fs::write(app.join("app.toml"), "[play]\nkey = \"v1ew\"\n").unwrap();
    fs::write(app.join("media/film.mp4"), "film").unwrap();
    let root = format!("server.root={:?}", scratch.path("root"));
    let server = Server::start(&scratch, &[&root]);
    let _publisher = begin(server.address, "secret");
    server.wait_for_publisher("secret");
    let paths = [
        "/live/secret.flv",
        "/live/secret.mp4",
        "/live/secret.m3u8",
        "/live/secret/hls/1-1.m4s",
        "/live/secret.key.mp4",
        "/vod-files/live/film.mp4",
        "/recordings/live/secret/000001-nodate.mp4",
        "/api/status",
        "/api/recordings",
        "/watch/live/secret",
        "/stat",
    ];
    // Some are answered when there is a picture, or when that was waited for: all wait at once.
    let asked = paths.iter().flat_map(|path| ["v1ew", "wr0ng"].map(|key| format!("{path}?key={key}"))).map(|url| {
        let mut client = Client::new(server.http);
        client.send(format!("GET {url} HTTP/1.0\r\n\r\n").as_bytes());
        (url, client)
    });
    for (url, mut client) in asked.collect::<Vec<_>>() {
        assert!(client.take(12).starts_with(b"HTTP/1."), "{url}");
    }
    let log = server.process.log();
    assert!(
        log.contains(" play start ") && log.contains("secret") && !log.contains("v1ew") && !log.contains("wr0ng"),
        "{log}"
    );
}

/// The files of a list, and the folder that they are fetched from.
fn files(text: &str) -> Vec<String> {
    let lists: serde_json::Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let of = |list: &str, folder: &str| -> Vec<String> {
        let rows = lists[list].as_array().unwrap().iter();
        rows.map(|row| format!("/{folder}/{}", row["file"].as_str().unwrap())).collect()
    };
    [of("recordings", "recordings"), of("films", "vod-files")].concat()
}

#[test]
fn what_was_recorded_is_listed_for_who_may_play_it_and_all_that_is_listed_can_be_fetched() {
    let scratch = Scratch::new("api-recordings");
    let applications = scratch.path("root").join("applications");
    let put = |file: &str, bytes: &str| {
        let path = applications.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    let many = 40;
    for n in 1..=many {
        put(&format!("live/recordings/cam/{n:06}-nodate.mp4"), "film");
    }
    put("live/recordings/hall/ö left/000007-nodate.flv", "film of the hall");
    put("live/recordings/cam/notes.txt", "");
    put("live/streams/_definst_/show.flv", "named");
    put("live/streams/hall/show.mp4", "named");
    put("live/media/2026/beach.mp4", "film");
    put("live/media/readme.txt", "");
    put("closed/media/secret film.mp4", "film");
    put("closed/app.toml", "[play]\nkey = \"v1ew\"\n");
    put("closed/recordings/secret/000001-nodate.mp4", "film");
    put("closed/streams/_definst_/secret.mp4", "named");
    put("broken/app.toml", "[play]\nno = \"such key\"\n");
    put("broken/recordings/cam/000001-nodate.mp4", "film");
    put("scripted/main.asc", "");
    put("scripted/recordings/cam/000001-nodate.mp4", "who sees it says the script");
    let root = format!("server.root={:?}", scratch.path("root"));
    let server = Server::start(&scratch, &[&root]);
    let mut client = Client::new(server.http);
    let answer = client.get("/api/recordings");
    assert_eq!((answer.status, answer.field("content-type")), (200, "application/json"));
    assert_eq!(answer.field("access-control-allow-origin"), "", "it is for this server's own page");
    let open = files(answer.text());
    assert_eq!(open.len(), many + 4, "{open:?}");
    assert_eq!(open[0], "/recordings/live/cam/000001-nodate.mp4");
    assert_eq!(
        open[many..],
        [
            "/recordings/live/hall/ö left/000007-nodate.flv",
            "/vod-files/live/show.flv",
            "/vod-files/live/hall/show.mp4",
            "/vod-files/live/2026/beach.mp4"
        ]
    );
    let lists: serde_json::Value = serde_json::from_str(answer.text()).unwrap();
    let row = &lists["recordings"][many];
    assert_eq!(row["bytes"].as_u64(), Some(16));
    assert!(row["state"].is_string() && row["written"].as_u64() > Some(1_000_000_000), "{row}");
    let all = files(client.get("/api/recordings?key=v1ew").text());
    let closed: Vec<&String> = all.iter().filter(|file| !open.contains(file)).collect();
    assert_eq!(
        closed,
        [
            "/recordings/closed/secret/000001-nodate.mp4",
            "/vod-files/closed/secret.mp4",
            "/vod-files/closed/secret film.mp4"
        ]
    );
    for file in &all {
        let url = file.replace('ö', "%C3%B6").replace(' ', "%20");
        assert_eq!(client.get(&format!("{url}?key=v1ew")).status, 200, "{file}");
        let wanted = if open.contains(file) { 200 } else { 403 };
        assert_eq!(client.get(&url).status, wanted, "{file}");
    }
    assert_eq!(client.ask("HEAD", "/api/recordings", "").status, 200);
}

#[test]
fn films_of_other_directories_are_listed_as_they_are_fetched_and_each_name_once() {
    let scratch = Scratch::new("api-films");
    let put = |file: String, bytes: &str| {
        let path = scratch.path("root").join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    // More than a page of each, so that a list goes on within both.
    let many = 40;
    for n in 0..many {
        put(format!("films/live/{n:02}.mp4"), "film");
        put(format!("usb/2026/{n:02}.mp4"), "of the stick");
    }
    put("films/nobody/a.mp4".into(), "of an application that there is not");
    put("films/live/.hidden.mp4".into(), "hidden");
    put("films/live/show.flv".into(), "film");
    put("films/live/usb/2026/07.mp4".into(), "film");
    put("applications/live/streams/_definst_/show.flv".into(), "named");
    put("applications/live/media/not.mp4".into(), "not looked for");
    put("applications/own/app.toml".into(), "[vod]\ndirectory = \"own films\"\n");
    put("applications/own/own films/b.mp4".into(), "film");
    let root = scratch.path("root");
    let settings = [
        format!("server.root={root:?}"),
        format!("vod.directory={:?}", root.join("films")),
        format!("vod.virtual={{usb = {:?}}}", root.join("usb")),
    ];
    let server = Server::start(&scratch, &settings.each_ref().map(String::as_str));
    let mut client = Client::new(server.http);
    // An application's own file says where its films lie: it is known once somebody has asked for one of them.
    assert_eq!(client.get("/vod-files/own/b.mp4").status, 200);
    let listed = files(client.get("/api/recordings").text());
    let stick = |app: &'static str| (0..many).map(move |n| format!("/vod-files/{app}/usb/2026/{n:02}.mp4"));
    let mut wanted = vec!["/vod-files/live/show.flv".to_owned()];
    wanted.extend((0..many).map(|n| format!("/vod-files/live/{n:02}.mp4")));
    wanted.push("/vod-files/live/usb/2026/07.mp4".into());
    wanted.extend(stick("live").filter(|file| !file.ends_with("/07.mp4")));
    wanted.push("/vod-files/own/b.mp4".into());
    wanted.extend(stick("own"));
    assert_eq!(listed, wanted);
    for file in ["/vod-files/live/00.mp4", "/vod-files/live/usb/2026/07.mp4", "/vod-files/own/usb/2026/39.mp4"] {
        assert_eq!(client.get(file).status, 200, "{file}");
    }
    assert_eq!(client.get("/vod-files/live/usb/2026/07.mp4").text(), "film");
}

#[test]
fn lists_of_recordings_are_made_one_after_the_other_and_each_is_whole() {
    let scratch = Scratch::new("api-recordings-many");
    let folder = scratch.path("root").join("applications/live/recordings/cam");
    fs::create_dir_all(&folder).unwrap();
    for n in 1..=60 {
        fs::write(folder.join(format!("{n:06}-nodate.mp4")), "film").unwrap();
    }
    let root = format!("server.root={:?}", scratch.path("root"));
    let server = Server::start(&scratch, &[&root]);
    let mut clients: Vec<Client> = (0..8).map(|_| Client::new(server.http)).collect();
    for client in &mut clients {
        client.send(b"GET /api/recordings HTTP/1.1\r\nHost: localhost\r\n\r\n");
    }
    // One has gone before it was answered.
    drop(clients.remove(0));
    for client in &mut clients {
        let answer = client.answer(false).expect("an answer");
        assert_eq!((answer.status, files(answer.text()).len()), (200, 60));
    }
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
