//! Bandwidth is measured over a line that carries a known number of bits: two network namespaces with a virtual cable
//! between them, whose speed the kernel limits (`tc`). Where namespaces or `tc` are not to be had the test says so, and
//! is no test. A process of its own, because clients and encoders that ran beside it would be measured, too.

#![allow(clippy::unwrap_used, reason = "a test that meets what it did not expect has failed")]

mod sim;
mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use sim::client::Client;
use sim::ledger::Ledger;
use support::process::Process;
use support::{Scratch, cable, wait_until};

/// Speeds of the line in Mbit/s.
const SPEEDS: [u32; 3] = [1, 5, 20];
/// Of what the line carries so much is TCP payload: 1448 of 1514 bytes of a full Ethernet frame.
const PAYLOAD_SHARE: f64 = 1448.0 / 1514.0;
/// The machine may be busy with something else; a line that is too slow for that reason is tried again.
const ATTEMPTS: usize = 3;
/// Address and port of the server inside.
const SERVER: &str = "10.209.0.1:19350";

/// What becomes of the cable; then a test of this file at its near end.
const LINE: &str = r#"
tc qdisc add dev cable root tbf rate ${SPEED}mbit burst 8kb latency 1s
if $far tc qdisc add dev cable root netem delay 20ms 2>/dev/null
then echo "line of $SPEED Mbit/s with 20 ms of latency"
else echo "line of $SPEED Mbit/s; the kernel has no netem, so it has no latency of its own"
fi
test $# -eq 0 || FAR="$far" "$@"
"#;

/// The command that runs `test` of this file on such a line.
fn on_line(speed: u32, test: &str) -> Command {
    let mut command = cable::with_cable(LINE);
    command.arg(std::env::current_exe().unwrap()).args(["--exact", test, "--ignored", "--nocapture"]);
    command.env("SPEED", speed.to_string());
    command
}

/// Why there can be no line, if so.
fn missing() -> Option<String> {
    if support::emulated() {
        return Some("the server runs in an emulator".into());
    }
    cable::missing(&format!("SPEED=1{LINE}"))
}

fn measure_on_lines(test: &str) {
    if let Some(reason) = missing() {
        eprintln!("skipped: no line of a known speed can be made here: {reason}");
        return;
    }
    for speed in SPEEDS {
        let expected = f64::from(speed) * 1000.0 * PAYLOAD_SHARE;
        let mut found = Vec::new();
        while found.len() < ATTEMPTS {
            let output = on_line(speed, test).output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
            let line = text.lines().find_map(|line| line.split_once("kbit=")).expect("it has measured").1;
            let kbit: f64 = line.split(' ').next().unwrap().parse().unwrap();
            println!("{}: {kbit} kbit/s of {expected:.0}", text.lines().next().unwrap_or_default());
            found.push(kbit);
            if (kbit / expected - 1.0).abs() <= 0.15 {
                break;
            }
        }
        let last = found.last().unwrap();
        assert!((last / expected - 1.0).abs() <= 0.15, "{found:?} kbit/s on a line of {expected:.0}");
    }
}

#[test]
fn a_client_that_asks_is_told_what_its_line_carries() {
    measure_on_lines("client_on_a_line");
}

#[test]
fn librtmp_answers_what_the_server_asks_and_is_measured_too() {
    if Command::new("rtmpdump").arg("--help").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        eprintln!("skipped: rtmpdump is missing; install the package rtmpdump");
        return;
    }
    measure_on_lines("rtmpdump_on_a_line");
}

#[test]
#[ignore = "runs on the stage that its namesake makes"]
fn client_on_a_line() {
    if !is_on_line() {
        return;
    }
    let scratch = Scratch::new("line");
    let server = serve(&scratch, None);
    let output = far(&[std::env::current_exe().unwrap().to_str().unwrap()])
        .args(["--exact", "far_end", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    print!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}\n{}", String::from_utf8_lossy(&output.stderr), server.log());
    assert!(server.log().contains(" bandwidth kbit="), "{}", server.log());
}

/// A server on the stage whose application `live` has this script.
fn serve(scratch: &Scratch, script: Option<&str>) -> Process {
    let (config, live) = (scratch.path("rill.toml"), scratch.path("applications/live"));
    std::fs::write(&config, "").unwrap();
    std::fs::create_dir_all(&live).unwrap();
    if let Some(script) = script {
        std::fs::write(live.join("main.asc"), script).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_rill"));
    command.args(["serve", "--listen", SERVER, "--board", "host", "--log", "info", "--root"]).arg(scratch.path(""));
    command.arg("--config").arg(config).env_remove("RUST_LOG");
    let server = Process::spawn(scratch, "rill", &mut command);
    assert!(wait_until(Duration::from_secs(10), || server.log().contains("listening")), "{}", server.log());
    server
}

/// Whether this process is on a stage. It is not when somebody runs every ignored test.
fn is_on_line() -> bool {
    std::env::var_os("FAR").is_some()
}

/// The program in the other namespace.
fn far(words: &[&str]) -> Command {
    let far = std::env::var("FAR").unwrap();
    let mut far = far.split(' ');
    let mut command = Command::new(far.next().unwrap());
    command.args(far).args(words).stdin(Stdio::null());
    command
}

/// A client that connects, and wants to know.
#[test]
#[ignore = "runs at the other end of a line"]
fn far_end() {
    if !is_on_line() {
        return;
    }
    let mut socket = TcpStream::connect(SERVER).unwrap();
    socket.set_nodelay(true).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut client = Client::new(socket.local_addr().unwrap(), 0);
    let mut ledger = Ledger::default();
    client.handshake();
    client.connect("live");
    let mut asked = false;
    let mut buffer = vec![0; 64 * 1024];
    while client.measured.is_none() {
        if client.connected && !asked {
            asked = true;
            client.command(0, "checkBandwidth", |amf| amf.null().unwrap());
        }
        socket.write_all(&std::mem::take(&mut client.out)).unwrap();
        let bytes = socket.read(&mut buffer).expect("the server says something");
        assert!(bytes > 0, "{:?}", client.log);
        client.receive(&buffer[..bytes], &mut ledger);
    }
    let (kbit, latency_ms) = client.measured.unwrap();
    println!("kbit={kbit} latency_ms={latency_ms}");
}

/// librtmp does not ask, but a script does for it.
const SCRIPT: &str = "application.onConnect = function (client) {
    application.acceptConnection(client);
    client.checkBandwidth();
};";

#[test]
#[ignore = "runs on the stage that its namesake makes"]
fn rtmpdump_on_a_line() {
    if !is_on_line() {
        return;
    }
    let scratch = Scratch::new("rtmpdump");
    let server = serve(&scratch, Some(SCRIPT));
    let url = format!("rtmp://{SERVER}/live/cam");
    let mut command = far(&["rtmpdump", "--rtmp", &url, "--live", "--flv", "/dev/null"]);
    let client = Process::spawn(&scratch, "rtmpdump", &mut command);
    let measured = || server.log().lines().find(|line| line.contains(" bandwidth kbit=")).map(str::to_owned);
    wait_until(Duration::from_secs(20), || measured().is_some());
    let line = measured().unwrap_or_else(|| panic!("it was not measured:\n{}\n{}", client.log(), server.log()));
    println!("{line}");
}
