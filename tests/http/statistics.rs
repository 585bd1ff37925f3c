//! What programs read that watch servers: each answer through the structures of those that exist, and Prometheus' text by its rules.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::client::Client;
use crate::players::camera;
use crate::support::process::output_of;
use crate::support::publisher::begin;
use crate::support::server::Server;
use crate::support::{Scratch, patience, wait_until};

/// What a switcher of scenes reads of `/stat` (NOALBS).
mod switcher {
    use super::Deserialize;

    #[derive(Deserialize)]
    pub struct Statistics {
        pub server: Applications,
    }

    #[derive(Deserialize)]
    pub struct Applications {
        pub application: Vec<Application>,
    }

    #[derive(Deserialize)]
    pub struct Application {
        pub name: String,
        pub live: Live,
    }

    #[derive(Deserialize)]
    pub struct Live {
        pub stream: Option<Vec<Stream>>,
    }

    #[derive(Deserialize)]
    pub struct Stream {
        pub name: String,
        pub bw_video: u32,
        pub meta: Option<Meta>,
    }

    #[derive(Deserialize)]
    pub struct Meta {
        pub video: Video,
        pub audio: Audio,
    }

    #[derive(Deserialize)]
    pub struct Video {
        pub width: u32,
        pub height: u32,
        pub frame_rate: f64,
        pub codec: String,
        pub profile: Option<String>,
        pub compat: Option<u32>,
        pub level: Option<f64>,
    }

    #[derive(Deserialize)]
    pub struct Audio {
        pub codec: Option<String>,
        pub profile: Option<String>,
        pub channels: Option<u32>,
        pub sample_rate: Option<u32>,
    }
}

/// What exporters for Prometheus read of it: nothing may be missing, and numbers have few bits.
mod exporter {
    use super::Deserialize;

    #[derive(Deserialize)]
    pub struct Statistics {
        pub nginx_version: String,
        pub nginx_rtmp_version: String,
        pub compiler: String,
        pub built: String,
        pub pid: u16,
        pub uptime: u32,
        pub naccepted: u32,
        pub bw_in: u64,
        pub bytes_in: u64,
        pub bw_out: u64,
        pub bytes_out: u64,
        pub server: Applications,
    }

    #[derive(Deserialize)]
    pub struct Applications {
        pub application: Vec<Application>,
    }

    #[derive(Deserialize)]
    pub struct Application {
        pub name: String,
        pub live: Live,
    }

    #[derive(Deserialize)]
    pub struct Live {
        /// None of an application that nobody uses.
        #[serde(default)]
        pub stream: Vec<Stream>,
        pub nclients: u32,
    }

    #[derive(Deserialize)]
    pub struct Stream {
        pub name: String,
        pub time: u64,
        pub bw_in: i32,
        pub bytes_in: u64,
        pub bw_out: i32,
        pub bytes_out: u64,
        pub bw_audio: i32,
        pub bw_video: i32,
        pub bw_data: i32,
        pub client: Vec<Client>,
        pub meta: Meta,
        pub nclients: i32,
        pub publishing: Option<()>,
        pub active: Option<()>,
    }

    #[derive(Deserialize)]
    pub struct Client {
        pub id: u32,
        pub address: String,
        pub port: u16,
        pub time: u64,
        pub flashver: String,
        pub bytes_in: u64,
        pub bytes_out: u64,
        pub dropped: u64,
        pub avsync: i64,
        pub timestamp: u64,
        pub publishing: Option<()>,
        pub active: Option<()>,
    }

    #[derive(Deserialize)]
    pub struct Meta {
        pub video: Video,
        pub audio: Audio,
    }

    #[derive(Deserialize)]
    pub struct Video {
        pub width: u16,
        pub height: u64,
        pub frame_rate: i32,
        pub data_rate: u16,
        pub codec: String,
        pub profile: String,
        pub compat: u16,
        pub level: f32,
    }

    #[derive(Deserialize)]
    pub struct Audio {
        pub channels: Option<i32>,
        pub sample_rate: Option<i32>,
        pub data_rate: Option<u16>,
    }
}

/// What a switcher of scenes reads of a path of MediaMTX.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LivePath {
    name: String,
    source: Source,
    bytes_received: u64,
}

#[derive(Deserialize)]
struct Source {
    #[serde(rename = "type")]
    kind: String,
    id: String,
}

fn xml<T: DeserializeOwned>(text: &str) -> T {
    quick_xml::de::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// As an exporter reads it: `Jan  2 2006 15:04:05`, where a day of one digit has a space before it.
fn is_build_time(text: &str) -> bool {
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let number =
        |at: std::ops::Range<usize>, most: u32| text[at].trim_start().parse().is_ok_and(|number: u32| number <= most);
    let pattern: String = text.chars().skip(3).map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    months.contains(&&text[..3])
        && [" 00 0000 00:00:00", "  0 0000 00:00:00"].contains(&pattern.as_str())
        && number(4..6, 31)
        && number(12..14, 23)
        && number(15..17, 59)
        && number(18..20, 59)
}

/// The names of what is in the first element of a name, in their order and each once where it comes again and again.
fn children<'t>(text: &'t str, of: &str) -> Vec<&'t str> {
    let (mut names, mut depth): (Vec<&str>, usize) = (Vec::new(), 0);
    let begin = text.find(&format!("<{of}>")).unwrap() + of.len() + 2;
    for tag in text[begin..].split('<').skip(1).map(|rest| rest.split_once('>').unwrap().0) {
        if tag.starts_with('/') && depth == 0 {
            break;
        }
        if tag.starts_with('/') {
            depth -= 1;
            continue;
        }
        let name = tag.trim_end_matches([' ', '/']);
        if depth == 0 && names.last() != Some(&name) {
            names.push(name);
        }
        depth += usize::from(!tag.ends_with('/'));
    }
    names
}

/// A server with a camera, `cam1`, whose rates are known, and a viewer of it.
fn with_camera(name: &str) -> (Scratch, Server, impl Drop) {
    let scratch = Scratch::new(name);
    let server = Server::start(&scratch, &[]);
    let publisher = camera(&scratch, &server, "cam1");
    server.wait_for_publisher("cam1");
    (scratch, server, publisher)
}

#[test]
fn switchers_and_exporters_read_the_statistics() {
    let (_scratch, server, _publisher) = with_camera("http-stat");
    let mut viewer = Client::new(server.http);
    viewer.send(b"GET /live/cam1.flv HTTP/1.0\r\n\r\n");
    let _ = viewer.take(200_000);
    let _waiting = begin(server.address, "a&amp;b");
    let mut client = Client::new(server.http);
    // Rates are of some seconds.
    assert!(wait_until(patience(10.0), || {
        let all: exporter::Statistics = xml(client.get("/stat").text());
        all.server.application.iter().flat_map(|app| &app.live.stream).any(|stream| stream.bw_out > 0)
    }));
    let answer = client.get("/stat");
    assert_eq!((answer.status, answer.field("content-type")), (200, "text/xml"));
    assert_eq!(answer.field("access-control-allow-origin"), "*");

    // Some read them one behind the other.
    for (element, inside) in [
        (
            "rtmp",
            "nginx_version nginx_rtmp_version compiler built pid uptime naccepted bw_in bytes_in bw_out bytes_out server",
        ),
        ("application", "name live"),
        ("live", "stream nclients"),
        (
            "stream",
            "name time bw_in bytes_in bw_out bytes_out bw_audio bw_video bw_data client meta nclients publishing active",
        ),
        ("meta", "video audio"),
        ("video", "width height frame_rate data_rate codec profile compat level"),
        ("audio", "codec profile channels sample_rate data_rate"),
    ] {
        assert_eq!(children(answer.text(), element).join(" "), inside, "{element}");
    }

    let seen: switcher::Statistics = xml(answer.text());
    let live = seen.server.application.into_iter().find(|app| app.name == "live").unwrap().live;
    let cam = live.stream.unwrap().into_iter().find(|stream| stream.name == "cam1").unwrap();
    assert!(cam.bw_video / 1024 > 0);
    let switcher::Meta { video, audio } = cam.meta.unwrap();
    assert_eq!((video.codec.as_str(), audio.codec.as_deref()), ("H264", Some("AAC")));
    assert!(video.width > 0 && video.height > 0 && video.frame_rate > 0.0);
    assert!(video.profile.is_some() && video.compat.is_some() && video.level.unwrap() > 0.0);
    assert_eq!((audio.profile.as_deref(), audio.channels.unwrap() > 0), (Some("LC"), true));
    assert!(audio.sample_rate.unwrap() >= 44_100);

    let all: exporter::Statistics = xml(answer.text());
    assert!(all.pid > 0 && all.naccepted >= 4 && all.bytes_out > 200_000);
    assert!(!all.nginx_version.is_empty() && !all.nginx_rtmp_version.is_empty() && !all.compiler.is_empty());
    assert!(is_build_time(&all.built), "{}", all.built);
    assert!(all.uptime < 3600 && all.bytes_in > 0 && all.bw_in > 0 && all.bw_out > 0);
    let live = all.server.application.into_iter().find(|app| app.name == "live").unwrap().live;
    assert_eq!(live.nclients, 3);
    let cam = live.stream.iter().find(|stream| stream.name == "cam1").unwrap();
    assert!(cam.bytes_in > 0 && cam.bytes_out >= 200_000 && cam.time > 0 && cam.bw_in > 0 && cam.bw_data >= 0);
    assert!(cam.bw_audio > 0 && cam.bw_video > cam.bw_audio && cam.publishing.is_some() && cam.active.is_some());
    assert_eq!((cam.nclients, cam.client.len()), (2, 2));
    assert_eq!(cam.client.iter().filter(|client| client.publishing.is_some()).count(), 1);
    let ids: BTreeSet<u32> = cam.client.iter().map(|client| client.id).collect();
    assert_eq!(ids.len(), 2);
    for client in &cam.client {
        assert!(client.address == "127.0.0.1" && client.port > 0 && client.time < 3_600_000 && client.dropped == 0);
        assert!(client.bytes_in > 0 && client.bytes_out > 0 && client.avsync.abs() < 5000 && client.timestamp > 0);
        assert!(client.active.is_some());
    }
    assert!(cam.client.iter().any(|client| client.flashver.contains("FMLE")));
    let exporter::Meta { video, audio } = &cam.meta;
    assert!(video.width > 0 && video.height > 0 && video.frame_rate > 0 && video.data_rate > 0 && video.level > 0.0);
    assert!(!video.codec.is_empty() && !video.profile.is_empty() && u32::from(video.compat) < 256);
    assert!(audio.channels > Some(0) && audio.sample_rate > Some(0) && audio.data_rate > Some(0));
    // What nothing has come of yet is as whole.
    assert!(live.stream.iter().any(|stream| stream.name == "a&amp;b" && stream.client.len() == 1));
}

#[test]
fn a_path_is_what_mediamtx_says_of_one() {
    let (_scratch, server, _publisher) = with_camera("http-v3");
    let mut viewer = Client::new(server.http);
    viewer.send(b"GET /live/cam1.flv HTTP/1.0\r\n\r\n");
    let _ = viewer.take(10_000);
    let mut client = Client::new(server.http);
    let answer = client.get("/v3/paths/get/live/cam1");
    let path: LivePath = serde_json::from_str(answer.text()).unwrap();
    assert!(path.name == "live/cam1" && path.source.kind == "rtmpConn" && path.bytes_received > 5000);
    let whole: serde_json::Value = serde_json::from_str(answer.text()).unwrap();
    assert_eq!(whole["tracks"], serde_json::json!(["H264", "MPEG-4 Audio"]));
    assert_eq!((&whole["ready"], whole["readers"].as_array().unwrap().len()), (&true.into(), 1));
    // Not every machine has a clock that is set.
    assert!(whole["readyTime"].as_str().is_none_or(|time| time.ends_with('Z')), "{whole}");

    let _waiting = begin(server.address, "other");
    server.wait_for_publisher("other");
    let list: serde_json::Value = serde_json::from_str(client.get("/v3/paths/list").text()).unwrap();
    assert_eq!((&list["itemCount"], &list["pageCount"]), (&2.into(), &1.into()));
    let names: Vec<&str> =
        list["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["live/cam1", "live/other"]);

    let conns: serde_json::Value = serde_json::from_str(client.get("/v3/rtmpconns/list").text()).unwrap();
    assert_eq!(conns["itemCount"], 2);
    let of_cam = conns["items"].as_array().unwrap().iter().find(|conn| conn["path"] == "live/cam1").unwrap();
    assert_eq!((&of_cam["state"], of_cam["id"].as_str()), (&"publish".into(), Some(path.source.id.as_str())));
    assert!(of_cam["remoteAddr"].as_str().unwrap().starts_with("127.0.0.1:"));

    let none = client.get("/v3/paths/get/live/nothing");
    assert_eq!((none.status, none.text()), (404, r#"{"status":"error","error":"path not found"}"#));
    for empty in ["/v3/paths/get/", "/v3/paths/get/live", "/v3/paths/get//cam1"] {
        assert_eq!(client.get(empty).status, 404, "{empty}");
    }
}

/// What those who check such texts say of a name (promtool check metrics): whole words for base units, and no word that Prometheus has
/// for itself.
fn lint(name: &str, kind: &str, help: &str) {
    assert!(help.ends_with('.') && ["counter", "gauge"].contains(&kind), "{name}: {kind}, {help}");
    assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
    assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
    for word in name.split('_') {
        let shortened = ["s", "ms", "us", "ns", "sec", "m", "h", "d", "b", "kb", "mb", "gb", "tb", "pb", "temp"];
        let scaled = ["milli", "micro", "nano", "kilo", "mega", "giga", "minute", "hour", "day", "bit", "fahrenheit"];
        assert!(!shortened.contains(&word) && !scaled.iter().any(|unit| word.starts_with(unit)), "{name}: {word}");
        assert!(!["counter", "gauge", "histogram", "summary", "bucket", "count", "sum"].contains(&word), "{name}");
    }
}

/// What is between a sample's braces, with nothing escaped.
fn labels(text: &str) -> BTreeMap<&str, String> {
    let (mut found, mut rest) = (BTreeMap::new(), text);
    while !rest.is_empty() {
        let (name, behind) = rest.split_once("=\"").unwrap();
        let (mut value, mut letters) = (String::new(), behind.chars());
        loop {
            match letters.next().expect("a label ends") {
                '"' => break,
                '\\' => value.push(match letters.next() {
                    Some('n') => '\n',
                    Some(escaped @ ('"' | '\\')) => escaped,
                    other => panic!("{other:?} needs no escape: {text}"),
                }),
                letter => value.push(letter),
            }
        }
        assert!(
            name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') && !["le", "quantile"].contains(&name)
        );
        assert!(found.insert(name, value).is_none(), "{name} comes twice: {text}");
        rest = letters.as_str();
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    found
}

/// The samples of a text by name and labels, after the rules of its format (exposition format 0.0.4): each family once, with its help
/// and type before it, the same labels on each of its samples, and no sample twice.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let (mut samples, mut families, mut family) = (BTreeMap::new(), BTreeSet::new(), "");
    let mut named = None;
    assert!(text.ends_with('\n'));
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(about) = line.strip_prefix("# HELP ") {
            let (name, help) = about.split_once(' ').unwrap();
            let kind = lines.next().unwrap().strip_prefix("# TYPE ").unwrap().strip_prefix(name).unwrap();
            lint(name, kind.trim_start(), help);
            assert!(families.insert(name.to_owned()), "{name} comes twice");
            (family, named) = (name, None);
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').unwrap();
        let (name, inside) =
            sample.split_once('{').map_or((sample, ""), |(name, rest)| (name, rest.strip_suffix('}').unwrap()));
        assert_eq!(name, family, "{line}");
        let of_this: Vec<&str> = labels(inside).into_keys().collect();
        assert_eq!(named.get_or_insert_with(|| of_this.clone()), &of_this, "{line}");
        assert!(samples.insert(sample.to_owned(), value.parse().unwrap()).is_none(), "{line} comes twice");
    }
    samples
}

#[test]
fn prometheus_reads_the_metrics() {
    let (_scratch, server, _publisher) = with_camera("http-metrics");
    let mut viewer = Client::new(server.http);
    viewer.send(b"GET /live/cam1.flv HTTP/1.0\r\n\r\n");
    let _ = viewer.take(200_000);
    let _other = begin(server.address, "a/b c");
    server.wait_for_logs(2, &[" publish start "]);
    let mut client = Client::new(server.http);
    assert!(wait_until(patience(10.0), || client.get("/metrics").text().contains("key_frame_interval_seconds{")));
    let answer = client.get("/metrics");
    assert_eq!((answer.status, answer.field("content-type")), (200, "text/plain; version=0.0.4; charset=utf-8"));
    let found = samples(answer.text());
    let value = |name: &str| *found.get(name).unwrap_or_else(|| panic!("{name} is not in {found:?}"));
    assert_eq!(value("rill_streams_published"), 2.0);
    let of_other = r#"{app="live",name="a/b c"}"#;
    assert_eq!(labels(&of_other[1..of_other.len() - 1])["name"], "a/b c");
    assert_eq!(value(&format!("rill_stream_up{of_other}")), 1.0);
    let of_cam = "{app=\"live\",name=\"cam1\"";
    for (output, count) in [("rtmp", 0.0), ("ws", 0.0), ("flv", 1.0), ("hls", 0.0)] {
        assert_eq!(value(&format!("rill_stream_viewers{of_cam},output=\"{output}\"}}")), count);
    }
    assert!(value(&format!("rill_stream_sent_bytes_total{of_cam}}}")) >= 200_000.0);
    assert!(value(&format!("rill_stream_received_bytes_total{of_cam}}}")) > 10_000.0);
    assert!(value(&format!("rill_stream_frame_rate{of_cam}}}")) > 10.0);
    assert!(value("rill_received_bytes_total") > 0.0 && value("rill_uptime_seconds") > 0.0);
    assert_eq!(value("rill_connections_closed_total{reason=\"too_slow\"}"), 0.0);
    assert!(found.keys().any(|name| name.starts_with("rill_build_info{version=")));

    // What the page and its dashboard ask for is there.
    for page in ["statistics.md", "grafana.json"] {
        let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page)).unwrap();
        let words = page.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let named: BTreeSet<&str> = words.filter(|word| word.starts_with("rill_") && !word.ends_with('_')).collect();
        assert!(named.len() > 5);
        for name in named {
            assert!(answer.text().contains(&format!("# TYPE {name} ")), "{name}");
        }
    }
}

/// The rows of one of the server's own lists.
fn rows(client: &mut Client, path: &str, list: &str) -> Vec<serde_json::Value> {
    let answer = client.get(path);
    assert_eq!((answer.status, answer.field("content-type")), (200, "application/json"), "{path}");
    // It is for this server's own page.
    assert_eq!(answer.field("access-control-allow-origin"), "", "{path}");
    let whole: serde_json::Value =
        serde_json::from_str(answer.text()).unwrap_or_else(|error| panic!("{error}: {}", answer.text()));
    whole[list].as_array().unwrap_or_else(|| panic!("{whole}")).clone()
}

#[test]
fn the_tables_say_what_rill_ctl_says() {
    let (_scratch, server, _publisher) = with_camera("http-tables");
    let mut viewer = Client::new(server.http);
    viewer.send(b"GET /live/cam1.flv HTTP/1.0\r\nUser-Agent: a \"viewer\"\r\n\r\n");
    let _ = viewer.take(100_000);
    let mut client = Client::new(server.http);

    let limits = rows(&mut client, "/api/limits", "limits");
    let ring = limits.iter().find(|row| row["name"] == "ring_bytes").unwrap();
    let (held, most) = (ring["used"].as_u64().unwrap(), ring["limit"].as_u64().unwrap());
    assert!((10_000..=most).contains(&held) && ring["peak"].as_u64() >= Some(held), "{ring}");

    let apps = rows(&mut client, "/api/applications", "applications");
    let live = apps.iter().find(|app| app["name"] == "live").unwrap();
    assert_eq!((&live["kind"], &live["state"], &live["streams"]), (&"live".into(), &"ready".into(), &1.into()));

    let streams = rows(&mut client, "/api/streams?app=live", "streams");
    assert_eq!((streams.len(), &streams[0]["name"], &streams[0]["players"]), (1, &"cam1".into(), &1.into()));
    assert!(streams[0]["bitrate_bps"].as_u64().unwrap() > 0 && streams[0]["state"] == "live");

    let clients = rows(&mut client, "/api/clients?app=live", "clients");
    let of = |does: &str| clients.iter().find(|row| row["does"] == does).unwrap();
    assert_eq!(of("publishes")["id"], streams[0]["publisher"]);
    let watcher = of("plays");
    assert_eq!((&watcher["agent"], &watcher["speaks"]), (&"a \"viewer\"".into(), &"flv".into()));
    assert_eq!((&watcher["stream"], &watcher["stream_id"]), (&"cam1".into(), &streams[0]["id"]));
    assert!(watcher["bytes_out"].as_u64().unwrap() >= 100_000 && watcher["address"].as_str().unwrap().contains(':'));
    assert!(watcher["lag_ms"].is_u64() && watcher["queue_bytes"].is_u64() && watcher["skips"] == 0);
    // Who has asked for nothing but this list is in no application.
    assert_eq!(clients.len(), 2, "{clients:?}");
    for none in ["other", "", &"x".repeat(300)] {
        assert!(rows(&mut client, &format!("/api/clients?app={none}"), "clients").is_empty());
        assert!(rows(&mut client, &format!("/api/streams?app={none}"), "streams").is_empty());
    }
}

#[test]
fn limits_say_how_much_of_each_is_used_and_which_key_raises_it() {
    let scratch = Scratch::new("http-limits");
    let server = Server::start(&scratch, &["limits.streams=3"]);
    let mut client = Client::new(server.http);
    let used = |client: &mut Client, name: &str| {
        let limits = rows(client, "/api/limits", "limits");
        limits.into_iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("{name} is not there"))
    };
    {
        let _publishers = ["a", "b"].map(|name| begin(server.address, name));
        server.wait_for_logs(2, &[" publish start "]);
        let streams = used(&mut client, "streams");
        assert_eq!(
            (&streams["key"], &streams["used"], &streams["limit"]),
            (&"limits.streams".into(), &2.into(), &3.into())
        );
        assert!(wait_until(patience(10.0), || used(&mut client, "connections")["peak"].as_u64() >= Some(3)));
        assert_eq!(used(&mut client, "connections_per_address")["used"], 3);
    }
    assert!(wait_until(patience(10.0), || used(&mut client, "connections")["used"] == 1));
    for name in ["connections", "connections_per_address"] {
        assert!(used(&mut client, name)["peak"].as_u64() >= Some(3), "{name}");
    }
    assert_eq!(used(&mut client, "connections_per_address")["used"], 1);
    assert_eq!(used(&mut client, "ring_bytes")["used"], 0);
    let shapes = rows(&mut client, "/api/limits", "shapes");
    assert!(shapes.iter().any(|shape| shape["name"] == "PATH_BYTES" && shape["value"] == 192));

    // Every limit that the configuration has, and no key that it has not.
    let listed = output_of(Command::new(env!("CARGO_BIN_EXE_rill")).args(["limits", "--json"]));
    let listed: serde_json::Value = serde_json::from_slice(&listed).unwrap();
    let keys: BTreeSet<&str> =
        listed["limits"].as_array().unwrap().iter().map(|row| row["key"].as_str().unwrap()).collect();
    let limits = rows(&mut client, "/api/limits", "limits");
    let named: BTreeSet<&str> = limits.iter().filter_map(|row| row["key"].as_str()).collect();
    assert!(named.is_subset(&keys), "{named:?}");
    for key in keys.iter().filter(|key| key.starts_with("limits.")) {
        assert!(named.contains(key), "{key} is not among the limits");
    }

    // The same that `rill limits` prints.
    let memory: serde_json::Value = serde_json::from_str(client.get("/api/memory").text()).unwrap();
    let table = memory["memory"].as_array().unwrap();
    let total: u64 = table.iter().map(|row| row["total_bytes"].as_u64().unwrap()).sum();
    assert!(table.iter().any(|row| row["name"] == "sockets") && table.iter().any(|row| row["name"] == "stream media"));
    assert_eq!(memory["total_bytes"].as_u64(), Some(total));
    assert!(memory["budget_bytes"].as_u64() >= Some(total));
    let memory = used(&mut client, "memory_bytes");
    assert_eq!((memory["used"].as_u64(), memory["limit"].as_u64() >= Some(total)), (Some(total), true));
}

#[test]
fn who_may_not_play_a_stream_is_told_no_figure_of_it() {
    let scratch = Scratch::new("http-stat-rules");
    let app = scratch.path("root").join("applications/live");
    fs::create_dir_all(&app).unwrap();
    fs::write(app.join("app.toml"), "[play]\nkey = \"v1ew\"\n").unwrap();
    let root = format!("server.root={:?}", scratch.path("root"));
    let server = Server::start(&scratch, &[&root]);
    let _publisher = begin(server.address, "secret");
    server.wait_for_publisher("secret");
    let mut client = Client::new(server.http);
    let lists = ["/api/applications", "/api/streams", "/api/clients"];
    for path in lists {
        let without: serde_json::Value = serde_json::from_str(client.get(path).text()).unwrap();
        let rows = without[path.strip_prefix("/api/").unwrap()].as_array().unwrap();
        assert_eq!(rows.len(), usize::from(path == "/api/applications"), "{path}: {without}");
    }
    let of_it = ["/stat", "/metrics", "/v3/paths/list", "/v3/rtmpconns/list", "/v3/paths/get/live/secret"];
    for path in of_it.iter().chain(&lists[1..]) {
        let without = client.get(path);
        assert!(!without.text().contains("secret"), "{path}: {}", without.text());
        assert!(client.get(&format!("{path}?key=v1ew")).text().contains("secret"), "{path}");
    }
}
