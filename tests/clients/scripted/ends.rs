//! Connections that end in every way there is: `onDisconnect` runs once for each, and the client can still be read.

use std::thread;
use std::time::Duration;

use super::stage::{Stage, end, python, traces, write_root};
use crate::support::process::Process;
use crate::support::{Scratch, cable, patience, runner, wait_until};

/// Clients say who they are, and what is to become of them.
const SCRIPT: &str = r#"
application.onConnect = function(client, name) {
	client.name = name;
	client.end = function() { application.disconnect(client); };
	trace("connect " + name);
	if (name == "rejected") {
		return false;
	}
	if (name == "pending" || name == "undecided") {
		return;
	}
	if (name == "thrown out") {
		var timer = setInterval(function() {
			clearInterval(timer);
			application.disconnect(client);
		}, 100);
	}
	return true;
};
application.onDisconnect = function(client) {
	trace("disconnect " + client.name + " " + client.ip + " " + client.agent.length + " " + application.clients.length);
};
"#;
const INSTANCE: &str = "door/_definst_";

/// How often `onDisconnect` ran for this client.
fn ends(log: &str, name: &str, ip: &str) -> usize {
    let begin = format!("disconnect {name} {ip} ");
    traces(log, INSTANCE).iter().filter(|trace| trace.starts_with(&begin)).count()
}

#[test]
fn on_disconnect_runs_once_for_every_end_and_never_for_a_rejected_client() {
    let settings = ["timeouts.ping_interval_ms=1000", "timeouts.ping_timeout_ms=1000", "scripts.pending_ms=1500"];
    let mut stage = Stage::new("ends", &[("door", SCRIPT)], &settings);
    let client = |name: &str| stage.rtmpdump(name, "door/cam", &[&format!("S:{name}")]);
    let mut interrupted = client("interrupted");
    let mut killed = client("killed");
    let mut pending = client("pending");
    let stopped = client("stopped");
    // rtmpdump does not answer while it waits to be accepted either, and leaves when it is told so.
    let undecided = client("undecided");
    let thrown_out = client("thrown out");
    let rejected = client("rejected");
    let stays = client("stays");
    // One that asks for its own end, and one that closes in the middle of a call.
    let program = r#"
client = Client(sys.argv[1], connect_data=["asking"])
assert client.join()
client.call("end")
client.stay()
client = Client(sys.argv[1], connect_data=["closing"])
assert client.join()
client.call("end")
client.close()
"#;
    let python = stage.spawn("python", python(program, &[&stage.url("door")]));
    let names =
        ["interrupted", "killed", "pending", "stopped", "undecided", "thrown out", "rejected", "stays", "asking"];
    let connects: Vec<String> = names.iter().map(|name| format!("connect {name}")).collect();
    stage.wait_for_traces(INSTANCE, &connects.iter().map(String::as_str).collect::<Vec<_>>());
    killed.kill();
    pending.kill();
    stopped.signal(libc::SIGSTOP);
    let gone = ["killed", "pending", "stopped", "undecided", "thrown out", "asking", "closing", "interrupted"];
    for name in gone {
        if name == "interrupted" {
            // The last, and between two of the server's pings, of which one has just been missed: rtmpdump heeds a signal only
            // while it waits for bytes.
            thread::sleep(Duration::from_millis(400));
            interrupted.signal(libc::SIGINT);
        }
        let once = wait_until(patience(15.0), || ends(&stage.server.process.log(), name, "127.0.0.1") > 0);
        assert!(once, "{name}: {:#?}\n{}", stage.traces(INSTANCE), stage.server.process.log());
    }
    for mut client in [thrown_out, rejected, undecided, python] {
        client.wait(end());
    }
    stopped.signal(libc::SIGCONT);
    interrupted.wait(end());
    stage.server.process.signal(libc::SIGUSR1);
    stage.server.wait_for_log(&["rill status ", " connections=1 "]);
    // The last one hears it from the server.
    stage.stop();
    drop(stays);
    let log = stage.server.process.log();
    for name in gone.iter().chain(&["stays"]) {
        assert_eq!(ends(&log, name, "127.0.0.1"), 1, "{name}:\n{log}");
    }
    assert!(!log.contains("disconnect rejected"), "{log}");
    // Each leaves one line with a reason, and the heap was left alone.
    for reason in [
        "the client closed it",
        "no answer to a ping",
        "its application's script ended it",
        "did not decide",
        "the server is stopping",
    ] {
        assert!(log.contains(reason), "no connection ended because {reason:?}:\n{log}");
    }
    assert!(log.lines().any(|line| line.contains("rill stopped ") && line.contains("heap_allocations=0 ")), "{log}");
}

/// The server is at the near end of a cable, clients are at the other; then the cable is pulled.
const STAGE: &str = r#"
test $# -gt 0 || exit 0
"$@" &
server=$!
until grep -q listening "$LOG"; do sleep 0.05; done
$far rtmpdump --live --quiet --flv /dev/null -C S:player --rtmp rtmp://10.209.0.1:19351/door/cam &
$far ffmpeg -nostdin -loglevel error -re -f lavfi -i testsrc2=size=64x48:rate=25 -c:v libx264 -g 25 \
	-rtmp_conn S:publisher -f flv rtmp://10.209.0.1:19351/door/cam &
until grep -q 'play start' "$LOG" && grep -q ' stream name=' "$LOG"; do sleep 0.05; done
echo pulled
ip link set cable down
until test $(grep -c ' closed peer=' "$LOG") = 2; do sleep 0.05; done
kill -TERM $server
wait $server
"#;

#[test]
fn when_the_network_goes_down_each_client_is_given_up_once_in_bounded_time() {
    if let Some(reason) = cable::missing(STAGE) {
        return eprintln!("skipped: no network namespaces here: {reason}");
    }
    let scratch = Scratch::new("network");
    let root = write_root(&scratch, &[("door", SCRIPT)]);
    let config = scratch.path("rill.toml");
    std::fs::write(&config, "").unwrap();
    let mut words = runner();
    words.push(std::env::var("RILL_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_rill").to_owned()));
    words.extend(["serve", "--listen", "10.209.0.1:19351", "--board", "host", "--log", "info"].map(str::to_owned));
    words.extend([
        "--config".to_owned(),
        config.display().to_string(),
        "--root".to_owned(),
        root.display().to_string(),
    ]);
    for setting in ["timeouts.ping_interval_ms=1000", "timeouts.ping_timeout_ms=1000", "live.player_stall_ms=2000"] {
        words.extend(["--set".to_owned(), setting.to_owned()]);
    }
    let mut command = cable::with_cable(STAGE);
    command.args(&words);
    // Everything that is said on the stage goes into one file, which the stage reads too.
    command.env("LOG", scratch.path("stage.log")).env_remove("RUST_LOG");
    let mut stage = Process::spawn(&scratch, "stage", &mut command);
    stage.wait_success(patience(60.0));
    let log = stage.log();
    for name in ["player", "publisher"] {
        assert_eq!(ends(&log, name, "10.209.0.2"), 1, "{name}:\n{log}");
    }
    let after = log.split_once("pulled\n").unwrap().1;
    let closed: Vec<_> = after.lines().filter(|line| line.contains(" closed peer=10.209.0.2:")).collect();
    assert_eq!(closed.len(), 2, "{log}");
    closed.iter().for_each(|line| eprintln!("{line}"));
    assert!(log.lines().any(|line| line.contains("rill stopped ") && line.contains("heap_allocations=0 ")), "{log}");
}
