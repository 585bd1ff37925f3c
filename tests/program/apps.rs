//! Applications of the real server: their directories come and go and change while it runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::binary::{Server, number, rill, run, scratch};

/// Longer than the server takes to notice that a file has changed, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// A root with the application `live`, and a server for it.
fn serve(name: &str) -> (PathBuf, Server) {
    let root = scratch(&format!("{name}-root"));
    fs::create_dir_all(root.join("applications/live")).unwrap();
    let server = Server::start(name, &["--root", root.to_str().unwrap()]);
    (root.join("applications"), server)
}

/// Connects, and returns the exit status and what was said.
fn connect(server: &Server, app: &str) -> (i32, String) {
    let (status, said, _) = run(&["connect", &format!("rtmp://{}/{app}", server.address)]);
    (status, said)
}

/// Connects until that ends as it should; the server looks at known files every second.
fn connect_until(server: &Server, app: &str, expected: i32) -> String {
    let start = Instant::now();
    loop {
        let (status, said) = connect(server, app);
        if status == expected {
            return said;
        }
        assert!(start.elapsed() < PATIENCE, "{status} instead of {expected}: {said}\n{}", server.log());
        thread::sleep(Duration::from_millis(100));
    }
}

/// It ends by a signal, and has not touched the heap.
fn stop(mut server: Server) {
    server.signal("TERM");
    assert_eq!(server.wait().0.code(), Some(0));
    assert_eq!(number(&server.wait_for_log("rill stopped"), "heap_allocations"), 0);
}

/// The statuses with which `rill connect` ends.
const SUCCESS: i32 = 0;
const REJECTED: i32 = 3;
const APP_SHUTDOWN: i32 = 7;

#[test]
fn an_application_is_there_from_the_moment_its_directory_is_and_leaves_with_it() {
    let (apps, server) = serve("apps-come-and-go");
    let (status, said) = connect(&server, "room");
    assert_eq!(status, REJECTED, "{said}");
    assert!(said.contains("Application (room) is not defined"), "{said}");
    fs::create_dir(apps.join("room")).unwrap();
    assert_eq!(connect(&server, "room").0, SUCCESS);
    let url = format!("rtmp://{}/room", server.address);
    let mut client = rill(&["connect", &url, "--stay"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    server.wait_for_log("app=\"room\"");
    thread::sleep(Duration::from_millis(300));
    fs::remove_dir(apps.join("room")).unwrap();
    assert_eq!(client.wait().unwrap().code(), Some(APP_SHUTDOWN), "{}", server.log());
    connect_until(&server, "room", REJECTED);
    assert_eq!(connect(&server, "live").0, SUCCESS);
    for outside in ["..", ".", "..%2flive", "live%00"] {
        assert_ne!(connect(&server, outside).0, SUCCESS, "{outside}");
    }
    stop(server);
}

#[test]
fn an_application_whose_file_is_broken_refuses_until_it_is_right_and_the_others_go_on() {
    let (apps, server) = serve("apps-broken");
    let file = apps.join("room/app.toml");
    fs::create_dir(apps.join("room")).unwrap();
    fs::write(&file, "[limits]\nconnections = -1\n").unwrap();
    let (status, said) = connect(&server, "room");
    assert!(status == REJECTED && said.contains("configuration is wrong; the server's log says where"), "{said}");
    assert!(!said.contains("app.toml"), "{said}");
    let line = server.wait_for_log("error rill application broken app=\"room\"");
    assert!(line.ends_with("app.toml:2: limits.connections = -1: must be 0..=60000"), "{line}");
    assert_eq!(connect(&server, "live").0, SUCCESS);
    fs::write(&file, "[connect]\naddresses = [\"deny 127.0.0.0/8\"]\n").unwrap();
    let (status, said) = connect(&server, "room");
    assert!(status == REJECTED && said.contains("[ AccessManager.Reject ] : This address may not connect"), "{said}");
    fs::write(&file, "").unwrap();
    connect_until(&server, "room", SUCCESS);
    fs::write(&file, "no toml").unwrap();
    connect_until(&server, "room", REJECTED);
    assert_eq!(server.log().matches("app.toml:1: ").count(), 1, "an error is logged once:\n{}", server.log());
    stop(server);
}

#[test]
fn a_reload_that_waits_for_its_file_keeps_nobody_from_joining() {
    let (apps, server) = serve("apps-beside-reload");
    let file = server.config();
    fs::create_dir(apps.join("room")).unwrap();
    // Files are believed when they have been quiet for half a second.
    thread::sleep(Duration::from_millis(700));
    let is_over = Arc::new(AtomicBool::new(false));
    let writer = thread::spawn({
        let is_over = is_over.clone();
        move || {
            for part in ["", "[live]\n"].into_iter().cycle().take_while(|_| !is_over.load(Ordering::Relaxed)) {
                fs::write(&file, part).unwrap();
                thread::sleep(Duration::from_millis(20));
            }
        }
    });
    let count = |line: &str| server.log().matches(line).count();
    let reloads = || count("is being written all the time") + count("rill configuration reloaded");
    let beside_a_reload = |app: &str| {
        let before = reloads();
        server.signal("HUP");
        thread::sleep(Duration::from_millis(100));
        let (status, said) = connect(&server, app);
        assert_eq!(status, if app == "nowhere" { REJECTED } else { SUCCESS }, "{said}");
        let is_beside = reloads() == before;
        let start = Instant::now();
        while reloads() == before {
            assert!(start.elapsed() < PATIENCE, "{}", server.log());
            thread::sleep(Duration::from_millis(10));
        }
        is_beside
    };
    for app in ["live", "room", "nowhere"] {
        // On a busy machine the writer may rest for so long that the file is whole.
        assert!((0..5).any(|_| beside_a_reload(app)), "{app} waits for the reload:\n{}", server.log());
    }
    is_over.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    stop(server);
}

#[test]
fn while_rules_are_rewritten_in_place_nobody_gets_in() {
    let root = scratch("apps-rewritten-root");
    let file = root.join("applications/live/app.toml");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let rules = "[connect]\naddresses = [\"deny all\"]\n";
    fs::write(&file, rules).unwrap();
    let server = Server::start("apps-rewritten", &["--root", root.to_str().unwrap()]);
    let begin = Instant::now();
    let writer = thread::spawn({
        let file = file.clone();
        move || {
            // Empty for a while, cut at a line for a while, whole for a while; and away for a while.
            for part in ["", "[connect]\n", rules].into_iter().cycle().take_while(|_| begin.elapsed().as_secs() < 4) {
                fs::write(&file, part).unwrap();
                thread::sleep(Duration::from_millis(110));
            }
            for _ in 0..10 {
                fs::remove_file(&file).unwrap();
                thread::sleep(Duration::from_millis(110));
                fs::write(&file, rules).unwrap();
                thread::sleep(Duration::from_millis(110));
            }
        }
    });
    let mut tries = 0;
    while !writer.is_finished() {
        let (status, said) = connect(&server, "live");
        assert!(status == REJECTED && said.contains("AccessManager.Reject"), "{said}\n{}", server.log());
        tries += 1;
    }
    writer.join().unwrap();
    assert!(tries > 20, "{tries}");
    stop(server);
}

#[test]
fn a_file_that_is_wrong_is_told_when_it_is_written_and_not_when_somebody_comes() {
    let (apps, server) = serve("apps-told");
    fs::write(apps.join("live/app.toml"), "[publis]\n").unwrap();
    fs::create_dir(apps.join("later")).unwrap();
    fs::write(apps.join("later/app.toml"), "kind = 7\n").unwrap();
    server.wait_for_log("app=\"later\" ");
    fs::write(apps.join("live/app.toml"), "kind = 8\n").unwrap();
    server.wait_for_log("app.toml:1: kind = 8: must be one of live, vod");
    fs::write(apps.join("live/app.toml"), "kind = \"both\"\n").unwrap();
    server.wait_for_log("app.toml:1: kind = \"both\": must be one of live, vod");
    assert_eq!(server.log().matches("app=\"later\"").count(), 1, "once:\n{}", server.log());
    stop(server);
}

#[test]
fn a_script_that_is_no_javascript_is_told_when_it_is_written_and_other_applications_go_on() {
    let (apps, server) = serve("apps-script-told");
    let room = apps.join("room");
    fs::create_dir(&room).unwrap();
    fs::write(room.join("main.asc"), "load(\"more.asc\");\n").unwrap();
    let encoder = Encoder::publish(&server, "cam");
    server.wait_for_log(" publish start ");
    let wait_for = |text: &str| {
        let line = server.wait_for_log(text);
        assert!(line.contains("error rill script broken app=\"room\" "), "{line}");
    };
    fs::write(room.join("main.asc"), "load(\"more.asc\");\napplication.onConnect = function (\n").unwrap();
    wait_for("room/main.asc:3: SyntaxError: ");
    fs::write(room.join("main.asc"), "load(\"more.asc\");\n").unwrap();
    fs::write(room.join("more.asc"), "// More.\nvar b = ;\n").unwrap();
    wait_for("room/more.asc:2: SyntaxError: unexpected token in expression: ';'");
    fs::write(room.join("more.asc"), format!("//\n//\n{}", "(".repeat(200_000))).unwrap();
    wait_for("room/more.asc: stack limit exceeded");
    fs::write(room.join("more.asc"), "//\n//\nvar a = \"\0\";\n").unwrap();
    wait_for("room/more.asc:3: SyntaxError: a zero byte");
    fs::write(room.join("more.asc"), "application.onConnect = function () { return true; };\n").unwrap();
    connect_until(&server, "room", SUCCESS);
    // Once, though it is looked at every two seconds and somebody came.
    assert_eq!(server.log().matches(" broken ").count(), 4, "{}", server.log());
    assert!(plays(&server, "cam"), "{}", server.log());
    assert!(!server.log().contains(" publish stop "), "{}", server.log());
    drop(encoder);
    let (status, ..) = run(&["-t", "--root", apps.parent().unwrap().to_str().unwrap()]);
    assert_eq!(status, 0);
    fs::write(room.join("main.asc"), "var a;\n}\n").unwrap();
    let (status, _, errors) = run(&["-t", "--root", apps.parent().unwrap().to_str().unwrap()]);
    assert!(status == 1 && errors.contains("room/main.asc:2: SyntaxError: "), "{errors}");
    stop(server);
}

#[test]
fn no_text_that_is_not_ours_hides_or_turns_anything_in_the_log() {
    let (apps, server) = serve("apps-hidden");
    fs::create_dir(apps.join("room")).unwrap();
    fs::write(
        apps.join("room/main.asc"),
        "application.onConnect = function(c) { trace(\"t\\u202et\"); return true; };\n",
    )
    .unwrap();
    assert_eq!(connect(&server, "room/a\u{202e}b\u{200b}").0, SUCCESS, "{}", server.log());
    let line = server.wait_for_log(" script ");
    assert!(line.ends_with(r#"script "room/a\u{202e}b\u{200b}" trace="t\u{202e}t""#), "{line}");
    fs::write(apps.join("live/app.toml"), "\"a\\u202E\\n\" = 1\n").unwrap();
    let line = server.wait_for_log("application broken");
    assert!(line.contains(r"app.toml:1: a\u{202e}\n = …: unknown key"), "{line}");
    assert!(!server.log().chars().any(|c| matches!(c, '\u{202e}' | '\u{200b}')));
    let (status, _, errors) = run(&["-t", "--root", apps.parent().unwrap().to_str().unwrap()]);
    assert!(status == 1 && errors.contains(r"a\u{202e}\n = …: unknown key"), "{errors}");
    stop(server);
}

/// ffmpeg, which publishes a picture until it is told to go.
struct Encoder(Child);

impl Encoder {
    fn publish(server: &Server, stream: &str) -> Encoder {
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-re", "-f", "lavfi", "-i", "testsrc=size=64x64:rate=25", "-t", "20"]);
        command.args(["-c:v", "flv", "-g", "25", "-f", "flv", &format!("rtmp://{}/live/{stream}", server.address)]);
        Encoder(command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    fn ends_with_an_error(mut self) -> bool {
        !self.0.wait().unwrap().success()
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether ffprobe sees a picture.
fn plays(server: &Server, stream: &str) -> bool {
    let url = format!("rtmp://{}/live/{stream}", server.address);
    let probe = Command::new("ffprobe")
        .args(["-v", "error", "-rw_timeout", "4000000", "-show_entries", "stream=width", &url])
        .output()
        .unwrap();
    String::from_utf8_lossy(&probe.stdout).contains("width=64")
}

fn write_keys(app: &Path) {
    fs::write(app.join("app.toml"), "[keys]\ncam1 = \"s3cret\"\ncam2 = \"0ther\"\n[play]\nkey = \"v1ew\"\n").unwrap();
}

#[test]
fn encoders_publish_with_their_key_and_players_see_the_public_name_and_no_log_has_a_key() {
    let (apps, server) = serve("apps-keys");
    write_keys(&apps.join("live"));
    // What is known is looked at again every second, as long as somebody is there.
    while !server.log().contains("rill application changed app=\"live\"") {
        assert_eq!(connect(&server, "live").0, SUCCESS);
    }
    for stream in ["cam1", "cam9", "cam1?key=0ther", "s3cre"] {
        assert!(Encoder::publish(&server, stream).ends_with_an_error(), "{stream}\n{}", server.log());
    }
    for stream in ["s3cret", "cam1?token=s3cret"] {
        let encoder = Encoder::publish(&server, stream);
        let start = Instant::now();
        while !plays(&server, "cam1?key=v1ew") {
            assert!(start.elapsed() < PATIENCE, "{stream}\n{}", server.log());
        }
        assert!(!plays(&server, "cam1") && !plays(&server, "cam1?key=s3cret"), "{stream}");
        drop(encoder);
    }
    let log = server.log();
    assert!(log.contains(" publish start ") && log.contains("name=\"cam1\""), "{log}");
    for secret in ["s3cret", "0ther", "v1ew"] {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
    stop(server);
}
