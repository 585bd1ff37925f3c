//! The command line of the real binary: what it prints, and how it ends.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rill::live::links::{Deed, SignKey};

use crate::binary::{Server, number, rill, run, scratch};

#[test]
fn version_and_help_go_to_standard_output() {
    assert_eq!(run(&["-V"]), (0, format!("rill {}\n", env!("CARGO_PKG_VERSION")), String::new()));
    let (status, help, errors) = run(&["--help"]);
    assert_eq!((status, errors.as_str()), (0, ""));
    for word in [
        "serve",
        "limits",
        "statuses",
        "boards",
        "connect",
        "--config",
        "--root",
        "--listen",
        "--board",
        "--set",
        "--log",
        "RUST_LOG",
        "--test",
        "--json",
        "--version",
        "--help",
        "SIGTERM",
        "SIGUSR1",
        "SIGHUP",
    ] {
        assert!(help.contains(word), "{word} is not in\n{help}");
    }
    let (_, boards, _) = run(&["boards"]);
    assert!(boards.contains("rpi-zero") && boards.contains("ARMv6"), "{boards}");
    let (_, boards, _) = run(&["boards", "--json"]);
    let boards: serde_json::Value = serde_json::from_str(&boards).unwrap();
    assert!(boards.as_array().unwrap().iter().any(|board| board["image"]["kernel"] == "linux-image-rpi"), "{boards}");
}

#[test]
fn users_are_added_listed_and_removed_and_no_password_is_an_argument() {
    let root = scratch("cli-users");
    fs::create_dir_all(root.join("applications/live")).unwrap();
    let user = |words: &[&str], password: &str| {
        let mut command = rill(&["--root", root.to_str().unwrap(), "user"]);
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(password.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    };
    assert!(user(&["list", "live"], "").1.starts_with("no users ("));
    let (status, said, errors) = user(&["add", "live", "cam"], "s3cret\n");
    assert_eq!((status, errors.as_str()), (0, ""));
    assert!(said.starts_with("cam may publish in live, and only who is in ") && !said.contains("s3cret"), "{said}");
    assert_eq!(user(&["add", "live", "hall"], "0p3n").0, 0);
    assert_eq!(user(&["list", "live"], ""), (0, "cam\nhall\n".to_owned(), String::new()));
    let file = root.join("applications/live/users");
    let before = fs::read_to_string(&file).unwrap();
    assert!(before.contains("\ncam:") && !before.contains("s3cret"), "{before}");
    assert!(user(&["add", "live", "cam"], "an0ther\r\n").1.starts_with("cam has another password in live"));
    assert_ne!(fs::read_to_string(&file).unwrap(), before);
    for (words, password, words_of_error) in [
        (&["add", "live", "cam"][..], "\n", "a password has 1 to 128 bytes"),
        (&["add", "live", "c:m"], "x\n", "a user's name has 1 to 64 letters, digits"),
        (&["add", "no", "cam"], "x\n", "there is no such application"),
        (&["remove", "live", "nobody"], "", "there is no user \"nobody\""),
    ] {
        let (status, _, errors) = user(words, password);
        assert!(status == 1 && errors.contains(words_of_error), "{errors}");
    }
    assert_eq!(user(&["add", "live", "cam", "s3cret"], "").0, 2, "anybody sees arguments");
    assert_eq!(user(&["remove", "live", "cam"], "").0, 0);
    assert!(user(&["remove", "live", "hall"], "").1.contains("nobody is left who may"));
    assert_eq!(user(&["list", "live"], "").0, 0);
    fs::remove_dir_all(root).unwrap();
}

#[test]
fn a_link_is_signed_with_the_key_of_the_configuration() {
    let key = SignKey::parse("0123456789abcdef").unwrap();
    let sign = |key: &str, words: &[&str]| run(&[&["--set", &format!("sign.key={key}"), "sign"], words].concat());
    for (deed, word, url) in [
        (Deed::Play, "play", "http://10.0.0.5:8080/live/hall/cam.m3u8"),
        (Deed::Publish, "publish", "rtmp://10.0.0.5/live/hall/cam?x=1"),
    ] {
        let (status, link, errors) = sign("0123456789abcdef", &[word, url, "--for", "2h"]);
        let (before, query) = link.trim().split_at(url.len());
        let end = query[1..].strip_prefix("e=").and_then(|rest| rest.split_once("&s=")).unwrap();
        assert_eq!((status, before, end.1), (0, url, key.sign(deed, ["live", "hall/cam"], end.0).as_str()));
        // Whether this machine's clock is set is not the test's to say.
        match end.0.strip_prefix('m') {
            None => assert!(errors.is_empty() && end.0.len() == 10, "{errors}"),
            Some(_) => assert!(errors.contains("clock is not set"), "{errors}"),
        }
    }
    let (status, _, errors) = sign("", &["play", "rtmp://h/live/cam", "--for", "2h"]);
    assert!(status == 1 && errors.contains("set sign.key in rill.toml"), "{errors}");
    let (status, _, errors) = sign("0123456789abcdef", &["play", "http://h/live/cam", "--for", "2h"]);
    assert!(status == 1 && errors.contains("is no URL of a stream"), "{errors}");
    let (status, _, errors) = sign("short", &["play", "rtmp://h/live/cam", "--for", "2h"]);
    assert!(status == 1 && errors.contains("sign.key") && !errors.contains("short"), "{errors}");
}

#[test]
fn a_command_line_that_makes_no_sense_ends_with_2_and_a_suggestion() {
    let (status, output, errors) = run(&["--lisen", ":1935"]);
    assert_eq!((status, output.as_str()), (2, ""));
    assert!(errors.starts_with("rill: unknown option --lisen, did you mean --listen?\n"), "{errors}");
    let (status, _, errors) = run(&["--listen", "localhost"]);
    assert_eq!(status, 2);
    assert!(errors.contains("--listen localhost: must be ADDR:PORT, :PORT or PORT"), "{errors}");
}

#[test]
fn every_error_of_the_configuration_names_file_line_and_key() {
    let file = scratch("cli-errors").join("rill.toml");
    fs::write(&file, "[live]\nmerge = 5\ngop_cache = \"yes\"\n[limits]\nstreams = 100000\n").unwrap();
    let name = file.to_str().unwrap();
    let (status, output, errors) = run(&["-t", "-c", name, "--log", "loud", "--board", "pi"]);
    assert_eq!((status, output.as_str()), (1, ""));
    let expected = [
        format!("rill: {name}:2: live.merge = 5: unknown key, did you mean live.merge_ms?"),
        format!("rill: {name}:3: live.gop_cache = \"yes\": must be true or false"),
        format!("rill: {name}:5: limits.streams = 100000: must be 1..=4096"),
        "rill: --log loud: must be one of off, error, warn, info, debug, trace".to_owned(),
        "rill: --board pi: must be one of generic, host, openwrt-armv7, rpi-2, rpi-5, rpi-64, rpi-zero, virt-32, virt-64"
            .to_owned(),
    ];
    assert_eq!(errors.lines().collect::<Vec<_>>(), expected);
    assert_eq!(run(&["-c", "/nonexistent/rill.toml"]).0, 1);
}

#[test]
fn a_right_configuration_is_said_to_be_right() {
    let file = scratch("cli-right").join("rill.toml");
    fs::write(&file, "[live]\nmerge_ms = 5\n").unwrap();
    let (status, output, errors) = run(&["-t", "-c", file.to_str().unwrap()]);
    assert_eq!((status, output.as_str(), errors.as_str()), (0, "the configuration is right\n", ""));
}

#[test]
fn a_configuration_is_read_again_when_it_is_whole_and_told_of_when_it_is_written() {
    let mut server = Server::start("cli-whole", &[]);
    let file = server.config();
    fs::write(&file, "[live]\nmerge_ms = 7\n").unwrap();
    server.wait_for_log("info rill configuration written: it takes effect with");
    server.signal("HUP");
    server.wait_for_log("changed key=live.merge_ms old=\"auto\" new=\"7\"");
    // Somebody writes it in place, in parts.
    let writer = std::thread::spawn({
        let file = file.clone();
        move || {
            for part in ["", "[live]\n", "[live]\nmerge_ms = 7\n"].into_iter().cycle().take(30) {
                fs::write(&file, part).unwrap();
                std::thread::sleep(Duration::from_millis(60));
            }
        }
    });
    while !writer.is_finished() {
        // It waits for the writer, and gives up after a while.
        server.signal("HUP");
        std::thread::sleep(Duration::from_millis(100));
    }
    writer.join().unwrap();
    let log = server.log();
    assert!(!log.contains("new=\"auto\""), "{log}");
    // However many wanted it meanwhile, it was read once at a time.
    assert!(log.matches("is being written all the time; try again when it is whole").count() <= 3, "{log}");
    fs::write(&file, "[live]\nmerge_ms = 5000\n").unwrap();
    // By the survey, or by the reload that is still under way.
    server.wait_for_log("rill.toml:2: live.merge_ms = 5000: must be \"auto\" or 0..=1000");
    fs::write(&file, "[live]\nmerge_ms = 7\n").unwrap();
    server.signal("HUP");
    let start = Instant::now();
    while server.log().lines().last().is_none_or(|line| !line.contains("reloaded changed=0")) {
        assert!(start.elapsed() < Duration::from_secs(20), "{}", server.log());
        std::thread::sleep(Duration::from_millis(10));
    }
    server.signal("TERM");
    assert_eq!(server.wait().0.code(), Some(0));
}

#[test]
fn a_configuration_may_come_out_of_a_pipe() {
    let binary = env!("CARGO_BIN_EXE_rill");
    let script = format!("printf '[live]\\nmerge_ms = 5000\\n' | {binary} --listen 127.0.0.1:0 -c /dev/stdin");
    let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(errors, "rill: /dev/stdin:2: live.merge_ms = 5000: must be \"auto\" or 0..=1000\n");
}

#[test]
fn memory_that_the_system_does_not_give_is_an_error_that_names_the_keys_and_what_would_fit() {
    let binary = env!("CARGO_BIN_EXE_rill");
    let sets = "--set limits.streams=4 --set limits.ram_budget_bytes=2GiB --set limits.connections=100";
    let limited = |more: &str, kib: u32| {
        let script =
            format!("ulimit -v {kib}; exec timeout 5 {binary} --board generic --listen 127.0.0.1:0 {sets} {more}");
        let output =
            std::process::Command::new("sh").args(["-c", &script]).env("XDG_RUNTIME_DIR", "/x").output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (status, errors) = limited("--set limits.ring_bytes=128MiB", 400_000);
    assert_eq!(status, Some(1), "{errors}");
    assert!(errors.contains("are needed and the system does not give this process as much: set limits."), "{errors}");
    assert!(errors.contains("set limits.ring_bytes to at most ") && errors.lines().count() == 1, "{errors}");
    // What is said to fit does, and is served with.
    let fits = errors.split_once("limits.ring_bytes to at most ").unwrap().1.split(' ').next().unwrap();
    let (status, errors) = limited(&format!("--set limits.ring_bytes={fits}"), 400_000);
    assert!(status == Some(124) || status == Some(0), "{status:?} {errors}");
    assert!(errors.contains("rill listening"), "{errors}");
}

#[test]
fn memory_above_the_budget_of_the_board_is_refused_with_the_key_to_change() {
    // Whatever has the memory to run tests is taken for a Zero with all the memory that one can have.
    let (status, _, errors) = run(&["--board", "rpi-zero", "--set", "limits.ring_bytes=64MiB"]);
    assert_eq!(status, 1);
    assert!(errors.contains("limits.ram_budget_bytes allows 64MiB: set limits.ring_bytes to at most "), "{errors}");
    assert!(errors.contains("(it is 64MiB, --set)"), "{errors}");
}

#[test]
fn the_directories_of_the_root_are_the_applications() {
    let root = scratch("cli-root");
    let arguments = ["-t", "--root", root.to_str().unwrap()];
    let (status, _, errors) = run(&arguments);
    assert!(status == 1 && errors.contains("applications: ") && errors.contains("(server.root, --root)"), "{errors}");
    fs::create_dir_all(root.join("applications/a?b")).unwrap();
    let (status, _, errors) = run(&arguments);
    assert!(status == 1 && errors.contains("no application in there; make a directory for each"), "{errors}");
    fs::create_dir(root.join("applications/live")).unwrap();
    let (status, _, errors) = run(&arguments);
    assert!(status == 0 && errors.contains("a?b: no client can connect to an application of that name"), "{errors}");
}

#[test]
fn init_makes_a_root_that_serves_and_overwrites_nothing() {
    let root = scratch("cli-init").join("a b");
    let name = root.to_str().unwrap();
    let (status, said, errors) = run(&["init", name]);
    assert_eq!((status, errors.as_str()), (0, ""));
    assert!(said.contains(&format!("{name}/applications/live\n")) && said.contains("Next: rill --root '"), "{said}");
    let entries = fs::read_dir(root.join("applications")).unwrap().count();
    assert_eq!(entries, 2);
    assert_eq!(run(&["-t", "--root", name]), (0, "the configuration is right\n".to_owned(), String::new()));
    // Its file is the one that is read.
    let file = root.join("rill.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("#streams = ", "streams = 3 #")).unwrap();
    let (_, limits, _) = run(&["limits", "--root", name]);
    let row = limits.lines().find(|line| line.contains("limits.streams ")).unwrap();
    assert!(row.contains(" 3 ") && row.contains("rill.toml:"), "{row}");
    let (status, said, errors) = run(&["init", name]);
    assert_eq!((status, said.as_str(), errors.lines().count()), (1, "", 3));
    assert!(errors.contains("rill.toml: is there already; nothing was made"), "{errors}");
    assert!(fs::read_to_string(&file).unwrap().contains("streams = 3 #"));
}

#[test]
fn a_broken_application_is_named_with_file_line_and_key_and_the_others_are_served() {
    let root = scratch("cli-broken");
    for app in ["live", "other"] {
        fs::create_dir_all(root.join("applications").join(app)).unwrap();
    }
    let file = root.join("applications/other/app.toml");
    fs::write(&file, "[limits]\nplayer = 3\n[keys]\ncam1 = \"se cret\"\n").unwrap();
    let (status, _, errors) = run(&["-t", "--root", root.to_str().unwrap()]);
    let name = file.display();
    assert_eq!((status, errors.lines().count()), (1, 2), "{errors}");
    assert!(
        errors.starts_with(&format!("rill: {name}:2: limits.player = …: unknown key, did you mean limits.players?\n")),
        "{errors}"
    );
    let server = Server::start("cli-broken-log", &["--root", root.to_str().unwrap()]);
    let line = server.wait_for_log(":4: keys.cam1 = …: a key must be ");
    assert!(line.contains("error rill application broken app=\"other\" ") && !line.contains("se cret"), "{line}");
    let (status, _, errors) =
        run(&["bench", &format!("rtmp://{}/live", server.address), "--players", "1", "--duration", "1"]);
    assert_eq!(status, 0, "{errors}");
}

#[test]
fn each_key_takes_effect_at_a_hangup_or_is_said_to_need_a_restart_as_its_row_says() {
    let mut server = Server::start("cli-each-key", &["--board", "rpi-2"]);
    let listed =
        rill(&["limits", "--json", "--config"]).arg(server.config()).args(["--board", "rpi-2"]).output().unwrap();
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    let value = |key: &str| {
        let rows = listed["limits"].as_array().unwrap();
        rows.iter().find(|row| row["key"] == key).unwrap()["value"].as_str().unwrap().to_owned()
    };
    let rows = rill::config::load(rill::board::by_name("rpi-2").unwrap(), None, &[]).unwrap();
    // The others are said on the command line, which outweighs the file.
    let rows: Vec<_> = rows
        .rows()
        .iter()
        .filter(|row| !["server.listen", "server.http", "server.board", "server.root"].contains(&row.key))
        .collect();
    let mut text = String::new();
    for row in &rows {
        let old = value(row.key);
        let number = rill::board::parse_bytes(&old).or(old.parse().ok());
        let new = match (row.key, old.as_str(), number) {
            ("server.log", ..) => "\"debug\"".to_owned(),
            ("server.time_zone", ..) => "\"UTC0\"".to_owned(),
            ("record.on", ..) => "true".to_owned(),
            ("record.container", ..) => "\"flv\"".to_owned(),
            ("record.on_complete", ..) => "[\"/nonexistent\"]".to_owned(),
            ("web.hosts", ..) => "[\"rill.example\"]".to_owned(),
            ("web.admin_key" | "sign.key", ..) => "\"correct-horse-battery\"".to_owned(),
            ("web.trusted_proxies", ..) => "[\"127.0.0.1\"]".to_owned(),
            ("record.directory", ..) => "\"/nonexistent\"".to_owned(),
            ("record.keep_free", ..) => "\"6%\"".to_owned(),
            ("record.when_full", ..) => "\"stop\"".to_owned(),
            ("server.log_time", ..) => "\"uptime\"".to_owned(),
            ("vod.virtual", ..) => "{ films = \"/nonexistent\" }".to_owned(),
            ("server.control" | "server.script_lib" | "vod.directory", ..) => "\"/nonexistent\"".to_owned(),
            ("server.tls.listen" | "server.tls.http", ..) => "[]".to_owned(),
            ("server.tls.certificate" | "server.tls.key" | "server.tls.ca", ..) => "\"/nonexistent\"".to_owned(),
            ("scripts.process", ..) => "\"server\"".to_owned(),
            ("hooks.style", ..) => "\"json\"".to_owned(),
            ("hooks.when_down", ..) => "\"allow\"".to_owned(),
            ("hooks.headers", ..) => "[\"A: b\"]".to_owned(),
            ("hooks.secret", ..) => "\"k3y\"".to_owned(),
            (key, "", _) if key.starts_with("hooks.on_") => "\"http://h/x\"".to_owned(),
            (_, "auto", _) => "7".to_owned(),
            (_, "true", _) => "false".to_owned(),
            (_, "false", _) => "true".to_owned(),
            (_, _, Some(0)) => "4096".to_owned(),
            // Less of everything fits the board.
            (_, _, Some(number)) if row.value.ends_with('B') => (number - 4096).to_string(),
            (_, _, Some(number)) => (number - 1).to_string(),
            (key, old, None) => panic!("{key} = {old}"),
        };
        text += &format!("{} = {new}\n", row.key);
    }
    fs::write(server.config(), &text).unwrap();
    server.signal("HUP");
    let summary = server.wait_for_log("rill configuration reloaded ");
    let log = server.log();
    let mut waiting = 0;
    for row in &rows {
        let said = |what: &str, end: &str| {
            let key = format!("rill configuration {what}key={} old=", row.key);
            log.lines().any(|line| line.contains(&key) && line.ends_with(end))
        };
        let at_start = row.takes_effect == rill::config::TakesEffect::AtStart;
        assert_eq!((said("", ": needs a restart"), said("changed ", "")), (at_start, !at_start), "{}\n{log}", row.key);
        waiting += usize::from(at_start);
    }
    assert!(summary.ends_with(&format!("changed={} waiting={waiting}", rows.len() - waiting)), "{summary}");
    // What took effect is what is compared with from now on.
    server.signal("HUP");
    server.wait_for_log(&format!("rill configuration reloaded changed=0 waiting={waiting}"));
    server.signal("TERM");
    assert_eq!(server.wait().0.code(), Some(0));
}

#[test]
fn a_hangup_reloads_what_can_change_and_names_what_cannot_and_nobody_is_disconnected() {
    // Its counts are the same whatever memory this machine has.
    let mut server = Server::start("cli-reload", &["--board", "rpi-2"]);
    let file = server.config();
    let address = server.address.to_string();
    let mut bench = rill(&["bench", &format!("rtmp://{address}/live"), "--players", "1", "--duration", "3"]);
    let mut bench = bench.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    server.wait_for_log(" play start ");

    fs::write(&file, "[limits]\nstreams = 5\nconnections_per_address = 2\n[server]\nlog = \"debug\"\n").unwrap();
    server.signal("HUP");
    server.wait_for_log("info rill configuration reloaded changed=2 waiting=1");
    server.wait_for_log("rill configuration changed key=limits.connections_per_address old=\"auto\" new=\"2\"");
    server.wait_for_log("warn rill configuration key=limits.streams old=\"8\" new=\"5\": needs a restart");
    // Publisher and player have both places of this address.
    let mut third = TcpStream::connect(&address).unwrap();
    third.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    assert!(matches!(third.read(&mut [0; 1]), Ok(0) | Err(_)));
    server.wait_for_log("connection refused peer=");

    fs::write(&file, "[live]\nmerge_ms = 5000\nplayer_lag = 1\n").unwrap();
    server.signal("HUP");
    server.wait_for_log(":2: live.merge_ms = 5000: must be ");
    server.wait_for_log("error rill configuration not reloaded ");
    server.wait_for_log(":3: live.player_lag = 1: unknown key, did you mean live.player_lag_ms?");

    fs::write(&file, "[server]\nlog = \"warn\"\n").unwrap();
    server.signal("HUP");
    server.wait_for_log("changed key=limits.connections_per_address old=\"2\" new=\"auto\"");
    server.wait_for_log("changed key=server.log old=\"debug\" new=\"warn\"");

    assert!(bench.wait().unwrap().success(), "{}", server.log());
    fs::write(&file, "").unwrap();
    server.signal("HUP");
    std::thread::sleep(Duration::from_millis(300));
    assert!(!server.log().contains(" play stop "), "it is logged again at info only now:\n{}", server.log());
    server.signal("TERM");
    assert_eq!(server.wait().0.code(), Some(0));
    assert_eq!(number(&server.wait_for_log("rill stopped"), "heap_allocations"), 0);
}

#[test]
fn a_busy_port_is_an_error_that_says_so() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap().to_string();
    let (status, _, errors) = run(&["--listen", &address]);
    assert_eq!(status, 1);
    let expected = format!(
        "rill: cannot listen on {address}: the address is in use; another program (or another rill) has it; see --listen\n"
    );
    assert_eq!(errors, expected);
}

#[test]
fn an_address_that_stands_there_twice_is_an_error_with_its_key() {
    let (status, output, errors) = run(&["-t", "--listen", "127.0.0.1:1936", "--listen", "127.0.0.1:1936"]);
    assert_eq!((status, output.as_str()), (1, ""));
    assert!(errors.starts_with("rill: --listen: 127.0.0.1:1936 is taken by 127.0.0.1:1936 already"), "{errors}");
    let file = scratch("cli-twice").join("rill.toml");
    fs::write(&file, "[server]\nlisten = [\"0.0.0.0:1935\", \"127.0.0.1:1935\"]\n").unwrap();
    let name = file.to_str().unwrap();
    let (status, _, errors) = run(&["-t", "-c", name]);
    assert_eq!(status, 1);
    let expected = format!("rill: {name}:2: server.listen: 127.0.0.1:1935 is taken by 0.0.0.0:1935 already");
    assert!(errors.starts_with(&expected), "{errors}");
}

#[test]
fn the_limits_as_json_have_values_origins_and_a_total_that_adds_up() {
    let (status, output, _) = run(&["limits", "--json", "--board", "rpi-zero", "--set", "limits.streams=2"]);
    assert_eq!(status, 0);
    let json: serde_json::Value = serde_json::from_str(&output).unwrap();
    let limits = json["limits"].as_array().unwrap();
    let row = limits.iter().find(|row| row["key"] == "limits.streams").unwrap();
    assert_eq!((&row["value"], &row["origin"]), (&"2".into(), &"--set".into()));
    let totals = json["memory"].as_array().unwrap().iter().map(|row| row["total_bytes"].as_u64().unwrap());
    assert_eq!(totals.sum::<u64>(), json["memory_total_bytes"].as_u64().unwrap());
    assert!(json["memory_total_bytes"].as_u64() < json["ram_budget_bytes"].as_u64());
    assert!(json["shapes"].as_array().unwrap().len() > 10);
    let (_, text, _) = run(&["limits"]);
    assert!(text.contains("limits.ring_bytes") && text.contains("CHUNK_STREAMS") && text.contains("total"), "{text}");
}

#[test]
fn the_status_codes_are_listed_as_text_and_as_json() {
    let (status, text, _) = run(&["statuses"]);
    assert_eq!(status, 0);
    for part in ["NetStream.Publish.Idle", "live.publish_idle_ms", "Made by the client", "NetConnection.Connect.Closed"]
    {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let (status, output, _) = run(&["statuses", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!((status, &json["sent"][0]["code"]), (0, &"NetConnection.Connect.Success".into()));
}

#[test]
fn without_clients_a_signal_ends_it_at_once_with_0() {
    for signal in ["TERM", "INT"] {
        let mut server = Server::start(&format!("cli-{signal}"), &[]);
        server.signal(signal);
        let (status, took) = server.wait();
        assert_eq!(status.code(), Some(0));
        assert!(took < Duration::from_millis(500), "{took:?}");
        assert_eq!(number(&server.wait_for_log("rill stopped"), "heap_allocations"), 0);
    }
}

#[test]
fn with_clients_that_say_nothing_it_ends_within_two_seconds_and_a_second_signal_at_once() {
    for (second, expected) in [(None, 0), (Some("TERM"), 143), (Some("INT"), 130)] {
        let mut server = Server::start(&format!("cli-second-{expected}"), &[]);
        // Never reads, never closes: the server has to lose patience.
        let mut client = TcpStream::connect(server.address).unwrap();
        // A signal may be heard before the connection is.
        while !server.log().contains("accepted=1 ") {
            server.signal("USR1");
            server.wait_for_log("rill status");
            thread::sleep(Duration::from_millis(20));
        }
        let report = server.wait_for_log("accepted=1 ");
        assert_eq!(number(&report, "heap_allocations"), 0, "{report}");
        server.signal("TERM");
        server.wait_for_log("rill stopping connections=1");
        if let Some(second) = second {
            server.signal(second);
        }
        let (status, took) = server.wait();
        assert!(took < Duration::from_millis(if second.is_some() { 500 } else { 2000 }), "{took:?}");
        assert_eq!(status.code(), Some(expected), "{}", server.log());
        assert!(matches!(client.read(&mut [0; 16]), Ok(0) | Err(_)));
    }
}

#[test]
fn it_listens_on_several_addresses_at_once() {
    let server = Server::start("cli-several", &["--listen", "127.0.0.2:0"]);
    server.wait_for_log("listening addr=127.0.0.2:");
    let log = server.log();
    let addresses: Vec<&str> = log.lines().filter_map(|line| Some(line.split_once("listening addr=")?.1)).collect();
    assert_eq!(addresses.len(), 2);
    for address in addresses {
        TcpStream::connect(address).unwrap();
    }
}

/// Speaks HTTP, and waits for what the server makes of it.
fn scan(address: &str) {
    let mut client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let _ = client.write_all(b"GET / HTTP/1.1\r\n\r\n");
    loop {
        match client.read(&mut [0; 16]) {
            // A debugger or a frozen machine; not the server's doing.
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            // A reset is an answer, too; a timeout is none.
            Err(error) if error.kind() != std::io::ErrorKind::ConnectionReset => panic!("no answer: {error}"),
            _ => return,
        }
    }
}

#[test]
fn a_log_that_nobody_reads_neither_stops_the_server_nor_its_end() {
    for read_again in [false, true] {
        let config = scratch(&format!("cli-unread-{read_again}")).join("rill.toml");
        fs::write(&config, "").unwrap();
        let mut command = rill(&["--listen", "127.0.0.1:0", "--config", config.to_str().unwrap()]);
        command.args(["--set", "server.http=[]"]);
        let mut server = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(server.stderr.take().unwrap());
        let mut line = String::new();
        log.read_line(&mut line).unwrap();
        let address = line.rsplit_once("addr=").unwrap().1.trim().to_owned();
        // More than a pipe holds (64 KiB).
        (0..900).for_each(|_| scan(&address));
        // Otherwise it stays open and full.
        let (mut reader, mut _full) = (None, None);
        if read_again {
            reader = Some(std::thread::spawn(move || {
                let mut text = String::new();
                log.read_to_string(&mut text).unwrap();
                text
            }));
            std::thread::sleep(Duration::from_millis(200));
        } else {
            _full = Some(log);
        }
        let start = Instant::now();
        assert!(Command::new("kill").arg(server.id().to_string()).status().unwrap().success());
        let status = loop {
            match server.try_wait().unwrap() {
                Some(status) => break status,
                None if start.elapsed() > Duration::from_secs(2) => {
                    server.kill().unwrap();
                    panic!("it does not stop");
                }
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        assert_eq!(status.code(), Some(0));
        if let Some(reader) = reader {
            let text = reader.join().unwrap();
            let lost = text.lines().position(|line| line.ends_with(" log lines were lost")).unwrap();
            assert!(text.lines().nth(lost + 1).unwrap().contains(" info rill stopping "), "{text}");
            assert_eq!(number(text.lines().last().unwrap(), "heap_allocations"), 0);
        }
    }
}

#[test]
fn a_scanner_does_not_fill_the_log_and_streams_are_still_in_it() {
    let mut server = Server::start("cli-scanner", &[]);
    let address = server.address.to_string();
    let start = Instant::now();
    (0..2000).for_each(|_| scan(&address));
    let mut bench = rill(&["bench", &format!("rtmp://{address}/live"), "--players", "1", "--duration", "1"]);
    let mut bench = bench.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut scans = 2000;
    while bench.try_wait().unwrap().is_none() {
        scan(&address);
        scans += 1;
    }
    server.signal("USR1");
    let report = server.wait_for_log("rill status");
    assert_eq!((number(&report, "closed_not_rtmp"), number(&report, "heap_allocations")), (scans, 0));
    assert!(!report.contains("closed_shutdown"), "{report}");
    server.signal("TERM");
    assert_eq!(server.wait().0.code(), Some(0));
    assert_eq!(number(&server.wait_for_log("rill stopped"), "closed_not_rtmp"), scans);
    let (log, seconds) = (server.log(), start.elapsed().as_secs() as usize + 1);
    let lines = |part: &'static str| log.lines().filter(move |line| line.contains(part));
    let connection_lines = lines(" closed peer=").count() + lines(" connect app=").count();
    assert!(connection_lines <= 1000 + 200 * seconds, "{connection_lines} in {seconds} s");
    let lost: usize = lines(" log lines were lost").map(|line| number_before(line, " log lines")).sum();
    // The publisher and the player connect and end, too.
    assert_eq!(connection_lines + lost, scans as usize + 4);
    for part in [" publish start ", " play start ", " play stop ", " publish stop "] {
        assert_eq!(lines(part).count(), 1, "{part}");
    }
}

/// The number that stands right before `words`.
fn number_before(line: &str, words: &str) -> usize {
    line.split_once(words).unwrap().0.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn a_measurement_that_cannot_publish_says_only_why() {
    let server = Server::start("cli-bench", &[]);
    let (status, output, errors) = run(&["bench", &format!("rtmp://{}/nosuch", server.address)]);
    assert_eq!((status, output.as_str()), (1, ""));
    assert!(errors.starts_with("rill bench: cannot publish: the publisher of bench: "), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
}
