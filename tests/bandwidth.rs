//! Bandwidth is measured over a line that carries a known number of bits: two network namespaces with a virtual cable
//! between them, whose speed the kernel limits (`tc`). Where namespaces or `tc` are not to be had the test says so, and
//! is no test.

#![allow(clippy::unwrap_used, reason = "a test that meets what it did not expect has failed")]

mod sim;
mod support;

use std::io::{ErrorKind, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rill::server::Server;
use rill::server::registry::{App, AppKind};
use rill::server::settings::Settings;
use rill::server::slots::{ConnId, SPARE_CONNECTIONS, SlotIndex};
use rill::server::transport::{Io, Net};
use rill::time::Millis;

use sim::client::Client;
use sim::ledger::Ledger;

/// Speeds of the line in Mbit/s.
const SPEEDS: [u32; 3] = [1, 5, 20];
/// Of what the line carries so much is TCP payload: 1448 of 1514 bytes of a full Ethernet frame.
const PAYLOAD_SHARE: f64 = 1448.0 / 1514.0;
/// The machine may be busy with something else; a line that is too slow for that reason is tried again.
const ATTEMPTS: usize = 3;
/// Address and port of the server inside.
const SERVER: &str = "10.209.0.1:19350";

/// Two namespaces and a cable; then a test of this file in the first one. The namespaces end with their processes.
const STAGE: &str = r#"
set -e
ip link set lo up
unshare --net sleep 300 &
peer=$!
trap 'kill $peer' EXIT
while [ "$(readlink /proc/$peer/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
ip link add cable type veth peer name cable netns $peer
ip address add 10.209.0.1/24 dev cable
ip link set cable up
far="nsenter --net=/proc/$peer/ns/net"
$far ip link set lo up
$far ip address add 10.209.0.2/24 dev cable
$far ip link set cable up
tc qdisc add dev cable root tbf rate ${SPEED}mbit burst 8kb latency 1s
if $far tc qdisc add dev cable root netem delay 20ms 2>/dev/null
then echo "line of $SPEED Mbit/s with 20 ms of latency"
else echo "line of $SPEED Mbit/s; the kernel has no netem, so it has no latency of its own"
fi
FAR="$far" "$@"
"#;

/// The command that runs `test` of this file on such a stage.
fn on_stage(script: &str, speed: u32, test: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    command.args(["sh", "-c", script, "sh"]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture"]).env("SPEED", speed.to_string());
    command.stdin(Stdio::null());
    command
}

/// Why there can be no stage, if so.
fn missing() -> Option<String> {
    if support::emulated() {
        return Some("the server runs in an emulator".into());
    }
    let script = STAGE.replace(r#"FAR="$far" "$@""#, "");
    match on_stage(&script, 1, "").output() {
        Err(error) => Some(format!("unshare: {error}")),
        Ok(output) if !output.status.success() => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Ok(_) => None,
    }
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
            let output = on_stage(STAGE, speed, test).output().unwrap();
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
    if !is_on_stage() {
        return;
    }
    let scratch = support::Scratch::new("line");
    let config = scratch.path("rill.toml");
    std::fs::write(&config, "").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rill"));
    command.args(["serve", "--listen", SERVER, "--board", "host", "--log", "info", "--config"]).arg(config);
    let server = support::process::Process::spawn(&scratch, "rill", &mut command);
    assert!(support::wait_until(Duration::from_secs(10), || server.log().contains("listening")), "{}", server.log());
    let output = far(&[std::env::current_exe().unwrap().to_str().unwrap()])
        .args(["--exact", "far_end", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    print!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}\n{}", String::from_utf8_lossy(&output.stderr), server.log());
    assert!(server.log().contains(" bandwidth kbit="), "{}", server.log());
}

/// Whether this process is on a stage. It is not when somebody runs every ignored test.
fn is_on_stage() -> bool {
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
    if !is_on_stage() {
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

/// librtmp is measured when the server wants it, as a script's `client.checkBandwidth()` does.
#[test]
#[ignore = "runs on the stage that its namesake makes"]
fn rtmpdump_on_a_line() {
    if !is_on_stage() {
        return;
    }
    let settings = Settings { connections: 4, streams: 1, ring_bytes: 1 << 20, ..Settings::default() };
    let slots = settings.connections as usize + SPARE_CONNECTIONS;
    let apps = [App { name: heapless::String::try_from("live").unwrap(), kind: AppKind::Live }];
    let start = Instant::now();
    let mut server = Server::new(settings, &apps, 1, Millis(0));
    let mut net = Sockets::new(SERVER.parse().unwrap(), slots);
    let scratch = support::Scratch::new("rtmpdump");
    let url = format!("rtmp://{SERVER}/live/cam");
    let mut command = far(&["rtmpdump", "--rtmp", &url, "--live", "--flv", "/dev/null"]);
    let client = support::process::Process::spawn(&scratch, "rtmpdump", &mut command);
    let mut asked: Option<ConnId> = None;
    loop {
        let now = Millis(start.elapsed().as_millis() as u64);
        assert!(now.0 < 25_000, "it was not measured:\n{}", client.log());
        server.acceptable();
        for slot in net.taken() {
            server.readable(slot);
            server.writable(slot);
        }
        server.turn(&mut net, now);
        let connected = server.slots().next_taken(0).filter(|&slot| server.slots().peek(slot).session.is_connected());
        if let (None, Some(slot)) = (asked, connected) {
            let conn = server.slots().id(slot);
            asked = server.check_bandwidth(conn, now).then_some(conn);
        }
        if let Some(measured) = asked.and_then(|conn| server.measured_bandwidth(conn)) {
            println!("kbit={} latency_ms={}", measured.kbit, measured.latency_ms);
            return;
        }
        std::thread::sleep(Duration::from_micros(500));
    }
}

/// Sockets that are asked again and again.
struct Sockets {
    listener: TcpListener,
    offered: Option<TcpStream>,
    by_slot: Vec<Option<TcpStream>>,
}

impl Sockets {
    fn new(address: SocketAddr, slots: usize) -> Sockets {
        let listener = TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        Sockets { listener, offered: None, by_slot: (0..slots).map(|_| None).collect() }
    }

    fn taken(&self) -> Vec<SlotIndex> {
        let taken = self.by_slot.iter().enumerate().filter(|(_, socket)| socket.is_some());
        taken.map(|(at, _)| SlotIndex(at as u32)).collect()
    }
}

impl Net for Sockets {
    fn accept(&mut self) -> Option<SocketAddr> {
        let (socket, peer) = self.listener.accept().ok()?;
        socket.set_nonblocking(true).unwrap();
        socket.set_nodelay(true).unwrap();
        self.offered = Some(socket);
        Some(peer)
    }

    fn adopt(&mut self, slot: SlotIndex) -> bool {
        self.by_slot[slot.at()] = self.offered.take();
        true
    }

    fn refuse(&mut self) {
        self.offered = None;
    }

    fn read(&mut self, slot: SlotIndex, buffer: &mut [u8]) -> Io {
        io(self.by_slot[slot.at()].as_mut().map(|socket| socket.read(buffer)))
    }

    fn gather(&mut self, _: SlotIndex, _: bool) {}

    fn write(&mut self, slot: SlotIndex, slices: &[IoSlice<'_>]) -> Io {
        io(self.by_slot[slot.at()].as_mut().map(|socket| socket.write_vectored(slices)))
    }

    fn finish(&mut self, _: SlotIndex) {}

    fn close(&mut self, slot: SlotIndex) {
        self.by_slot[slot.at()] = None;
    }
}

fn io(result: Option<std::io::Result<usize>>) -> Io {
    match result {
        Some(Ok(bytes)) => Io::Done(bytes),
        Some(Err(error)) if error.kind() == ErrorKind::WouldBlock => Io::WouldBlock,
        _ => Io::Broken,
    }
}
