//! Viewers over HTTP of applications with server-side code: each is a client of its script.

use rill::live::app::AppDefinition;
use rill::live::settings::Settings;
use rill::server::close::CloseReason;

use crate::http::is_empty;
use crate::sim::browser::Browser;
use crate::sim::ledger::Kind::{Inter, Key};
use crate::sim::world::{Directory, World, scripted, settings};

/// What it says of a client over HTTP stands in the query: `?say=no`. `report` tells RTMP clients what it heard.
const TEXT: &str = "
    heard = [];
    application.onConnect = function (client, query) {
        client.report = function () { return heard.join(' '); };
        client.close = function () { for (c in guests) application.disconnect(guests[c]); };
        if (client.protocol == 'rtmp') return true;
        heard.push('connect ' + query + ' ' + client.agent + ' ' + client.referrer + ' ' + client.uri);
        guests.push(client);
        if (query == 'say=no') return false;
        if (query == 'say=why') { application.rejectConnection(client, 'not today', 'because'); return; }
        if (query == 'say=elsewhere') { application.redirectConnection(client, 'http://10.0.0.9/live/cam.flv'); return; }
        if (query == 'say=rtmp') { application.redirectConnection(client, 'rtmp://10.0.0.9/live'); return; }
        if (query == 'say=later') { later = client; setInterval(function () { if (later) application.acceptConnection(later); later = null; }, 500); return; }
        if (query == 'say=nothing') return;
        if (query == 'say=lists') client.readAccess = 'other';
        return true;
    };
    guests = [];
    application.onDisconnect = function (client) { if (client.protocol != 'rtmp') heard.push('gone'); };
";

fn app(text: &str) -> AppDefinition {
    scripted("live", text)
}

/// A stream is live, and its publisher can ask the script what it heard.
fn world() -> (World, usize) {
    let mut world = World::on_disk(settings(), vec![app(TEXT)]);
    let publisher = world.publisher("cam");
    world.send_start(publisher);
    (world, publisher)
}

fn call(world: &mut World, c: usize, method: &str) -> String {
    world.heard(c);
    world.clients[c].command(0, method, |amf| amf.null().unwrap());
    world.settle();
    std::mem::take(&mut world.clients[c].result)
}

fn status(answer: &[u8]) -> u16 {
    let head = String::from_utf8_lossy(answer);
    let status = head.strip_prefix("HTTP/1.1 ").unwrap_or_else(|| panic!("no answer: {head:?}"));
    status[..3].parse().unwrap()
}

fn get(world: &mut World, path: &str) -> (Browser, Vec<u8>) {
    let browser = Browser::new(world, 1 << 20);
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: 10.0.0.5:8080\r\nUser-Agent: TV/1\r\nReferer: http://10.0.0.5/watch\r\n\r\n"
    );
    browser.send(world, head.as_bytes());
    let answer = browser.read_all(world);
    (browser, answer)
}

#[test]
fn a_viewer_over_http_is_a_client_of_the_script_from_its_first_request_to_its_end() {
    let (mut world, publisher) = world();
    let (viewer, answer) = get(&mut world, "/live/cam.flv?a=1&b=%20");
    assert_eq!(status(&answer), 200);
    world.send_all(publisher, 200, &[Key, Inter]);
    assert!(!viewer.read_all(&mut world).is_empty());
    let heard = "connect a=1&b=%20 TV/1 http://10.0.0.5/watch http://10.0.0.5:8080/live/cam.flv";
    assert_eq!(call(&mut world, publisher, "report"), heard);
    viewer.hang_up(&mut world);
    assert_eq!(call(&mut world, publisher, "report"), format!("{heard} gone"));
    world.hang_up(publisher);
    is_empty(&mut world);
}

#[test]
fn what_a_script_says_is_the_status_of_the_answer() {
    let (mut world, publisher) = world();
    for (query, expected, words) in [
        ("say=no", 403, "the application's script refused it"),
        ("say=why", 403, "not today"),
        ("say=elsewhere", 302, "Location: http://10.0.0.9/live/cam.flv\r\n"),
        ("say=rtmp", 403, ""),
        ("say=lists", 403, "no read access"),
        ("say=yes", 200, "FLV"),
    ] {
        let (viewer, answer) = get(&mut world, &format!("/live/cam.flv?{query}"));
        let text = String::from_utf8_lossy(&answer);
        assert_eq!(status(&answer), expected, "{query}: {text}");
        assert!(text.contains(words), "{query}: {text}");
        viewer.hang_up(&mut world);
    }
    let heard = call(&mut world, publisher, "report");
    assert_eq!(heard.matches("connect").count(), 6);
    assert_eq!(heard.matches("gone").count(), 2, "who was refused does not leave: {heard}");
    world.hang_up(publisher);
    is_empty(&mut world);
}

#[test]
fn a_refusal_is_said_over_the_websocket_because_a_page_is_not_told_the_status_of_an_upgrade() {
    let (mut world, publisher) = world();
    for (path, text) in [
        ("/live/cam.mp4?say=why", r#"{"type":"error","status":403,"reason":"not today"}"#),
        ("/live/cam.flv?say=why", ""),
        ("/no/cam.mp4", r#"{"type":"error","status":404,"reason":"there is no such stream"}"#),
    ] {
        let browser = Browser::new(&mut world, 1 << 20);
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        browser.send(&mut world, head.as_bytes());
        let answer = browser.read_all(&mut world);
        assert_eq!(status(&answer), 101, "{path}");
        let mut frames = &answer[answer.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4..];
        if !text.is_empty() {
            assert_eq!((frames[0], usize::from(frames[1])), (0x81, text.len()));
            assert_eq!(std::str::from_utf8(&frames[2..2 + text.len()]).unwrap(), text);
            frames = &frames[2 + text.len()..];
        }
        let code = if path.starts_with("/no/") { 4404_u16 } else { 4403 };
        assert_eq!((frames[0], &frames[2..4]), (0x88, &code.to_be_bytes()[..]), "{path}");
        assert_eq!(usize::from(frames[1]), frames.len() - 2);
        assert!(browser.has_ended(&world));
        browser.hang_up(&mut world);
    }
    world.hang_up(publisher);
    is_empty(&mut world);
}

#[test]
fn a_script_that_decides_later_is_waited_for_and_not_for_ever() {
    let mut definition = app(TEXT);
    definition.script.as_mut().unwrap().limits.pending_ms = 3000;
    let mut world = World::on_disk(settings(), vec![definition]);
    let publisher = world.publisher("cam");
    world.send_start(publisher);
    let (later, answer) = get(&mut world, "/live/cam.flv?say=later");
    let (never, nothing) = get(&mut world, "/live/cam.flv?say=nothing");
    assert!(
        answer.is_empty() && nothing.is_empty(),
        "{} {}",
        String::from_utf8_lossy(&answer),
        String::from_utf8_lossy(&nothing)
    );
    world.advance(700);
    assert_eq!(status(&later.read_all(&mut world)), 200);
    assert!(never.read_all(&mut world).is_empty());
    world.advance(3000);
    assert_eq!(status(&never.read_all(&mut world)), 503);
    later.hang_up(&mut world);
    never.hang_up(&mut world);
    assert_eq!(call(&mut world, publisher, "report").matches("gone").count(), 2);
    world.hang_up(publisher);
    is_empty(&mut world);
}

#[test]
fn a_connection_is_announced_once_however_much_it_asks_for() {
    let (mut world, publisher) = world();
    let browser = Browser::new(&mut world, 1 << 20);
    for _ in 0..3 {
        browser.send(&mut world, b"HEAD /live/cam.flv HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(status(&browser.read_all(&mut world)), 200);
    }
    let heard = call(&mut world, publisher, "report");
    assert_eq!(heard.matches("connect").count(), 1, "{heard}");
    // A picture is shown to whom the script has let in, and to nobody else.
    browser.send(&mut world, b"GET /live/cam.key.mp4 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(status(&browser.read_all(&mut world)), 200);
    let (other, answer) = get(&mut world, "/live/cam.key.mp4");
    assert_eq!(status(&answer), 403);
    browser.hang_up(&mut world);
    other.hang_up(&mut world);
    let heard = call(&mut world, publisher, "report");
    assert_eq!((heard.matches("connect").count(), heard.matches("gone").count()), (1, 1), "{heard}");
    world.hang_up(publisher);
    is_empty(&mut world);
}

#[test]
fn a_viewer_by_hls_is_one_client_of_the_script_whatever_connections_it_has() {
    let (mut world, publisher) = world();
    for i in 1..=30_u32 {
        world.send(publisher, 1, if i.is_multiple_of(5) { Key } else { Inter }, i * 200, 300);
        world.advance(200);
    }
    let ask = |world: &mut World, browser: Browser, path: &str| {
        let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\nUser-Agent: TV/1\r\n\r\n");
        browser.send(world, head.as_bytes());
        let answer = browser.read_all(world);
        assert_eq!(status(&answer), 200, "{path}");
        String::from_utf8_lossy(&answer).into_owned()
    };
    let line = |list: &str, ending: &str| list.lines().find(|line| line.ends_with(ending)).unwrap().to_owned();
    let [first, second, other] = [7, 7, 8].map(|host| Browser::of_host(&mut world, host, 1 << 20));
    let media = format!("/live/{}", line(&ask(&mut world, first, "/live/cam.m3u8"), ".m3u8"));
    let list = ask(&mut world, first, &media);
    ask(&mut world, second, &format!("/live/cam/hls/{}", line(&list, ".m4s")));
    ask(&mut world, second, &media);
    assert_eq!(call(&mut world, publisher, "report").matches("connect").count(), 1);
    ask(&mut world, other, &media);
    assert_eq!(call(&mut world, publisher, "report").matches("connect").count(), 2, "that is somebody else");
    // The connection that it was known as has ended: it is announced as another.
    first.hang_up(&mut world);
    ask(&mut world, second, &media);
    let heard = call(&mut world, publisher, "report");
    assert_eq!((heard.matches("connect").count(), heard.matches("gone").count()), (3, 1), "{heard}");
    // Watching it otherwise is another client.
    let (viewer, answer) = get(&mut world, "/live/cam.flv?say=no");
    assert_eq!(status(&answer), 403);
    [viewer, second, other].iter().for_each(|browser| browser.hang_up(&mut world));
    world.hang_up(publisher);
    world.advance(60_000);
    is_empty(&mut world);
}

#[test]
fn a_script_sends_its_viewers_away_and_so_does_its_end() {
    let (mut world, publisher) = world();
    let (viewer, answer) = get(&mut world, "/live/cam.flv?say=yes");
    assert_eq!(status(&answer), 200);
    call(&mut world, publisher, "close");
    assert!(viewer.has_ended(&world));
    assert_eq!(world.closed(CloseReason::Script), 1);
    let (viewer, _) = get(&mut world, "/live/cam.flv?say=yes");
    let (waiting, _) = get(&mut world, "/live/cam.flv?say=nothing");
    world.unload("live");
    assert!(viewer.has_ended(&world));
    assert_eq!(status(&waiting.read_all(&mut world)), 503);
    viewer.hang_up(&mut world);
    waiting.hang_up(&mut world);
    world.hang_up(publisher);
    is_empty(&mut world);
}

#[test]
fn a_stream_of_another_instance_is_asked_of_that_instance() {
    let mut world = World::on_disk(settings(), vec![app(TEXT)]);
    let publisher = world.publisher_at("live/hall", "cam");
    world.send_start(publisher);
    let (viewer, answer) = get(&mut world, "/live/hall/cam.flv");
    assert_eq!(status(&answer), 200);
    assert_eq!(call(&mut world, publisher, "report").matches("connect").count(), 1);
    let (none, answer) = get(&mut world, "/live/cam.flv");
    assert!(answer.is_empty());
    world.advance(11_000);
    assert_eq!(status(&none.read_all(&mut world)), 404);
    viewer.hang_up(&mut world);
    none.hang_up(&mut world);
    world.hang_up(publisher);
    is_empty(&mut world);
}

#[test]
fn a_script_that_cannot_be_loaded_lets_no_viewer_in() {
    let mut world = World::on_disk(settings(), vec![app(TEXT)]);
    let publisher = world.publisher("cam");
    world.send_start(publisher);
    let broken = AppDefinition { stamp: 2, ..app("application.onConnect = function (") };
    world.disk.insert("live".into(), Directory::Good(Box::new(broken)));
    world.advance(1500);
    let (viewer, answer) = get(&mut world, "/live/cam.flv");
    // The publisher's instance is the old one as long as it is there.
    assert_eq!(status(&answer), 200);
    viewer.hang_up(&mut world);
    world.hang_up(publisher);
    world.advance(20_000);
    let mut world = World::on_disk(
        Settings { unpublish_grace_ms: 0, ..settings() },
        vec![app("application.onConnect = function () { while (true) {} };")],
    );
    let (viewer, _) = get(&mut world, "/live/cam.flv");
    world.advance(11_000);
    assert_eq!(status(&viewer.read_all(&mut world)), 404);
    viewer.hang_up(&mut world);
    is_empty(&mut world);
}
