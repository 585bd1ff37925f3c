//! What a message to a plain player costs, counted and not timed (`make figure`): the same number on each run.
//!
//! The server serves a fixed workload on the simulator's clock, under cachegrind, which counts instructions and simulates
//! small caches. One run minus a shorter one leaves out the start, the joins and the end. The number stands in
//! `hot_path.toml`; one that differs fails until it is accepted there, with its reason.

#![allow(clippy::unwrap_used, reason = "a measurement that the system refuses has failed")]

#[path = "../sim/mod.rs"]
mod sim;

use std::fmt::{Display, Formatter};
use std::io::IoSlice;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::{env, fs};

use lexopt::prelude::*;
use rill::bench::source::{Rates, SyntheticStream};
use rill::handles::SlotIndex;
use rill::live::settings::{Merge, Settings};
use rill::server::Server;
use rill::server::close::Loss;
use rill::server::transport::{Arrival, Io, Net};
use rill::time::Millis;
use sim::world::World;
use toml::de::DeTable;

const HELP: &str = "\
cargo run --release --example hot-path -- [options]

  --accept REASON    write what is counted into tests/bench/hot_path.toml
";

const PLAYERS: usize = 500;
const RATES: Rates = Rates { bitrate_bps: 2_000_000, frame_rate: 30 };
/// What OBS and ffmpeg send with.
const CHUNK_BYTES: usize = 4096;
/// Seconds of the two runs. Their difference is long enough for five key frames, and for what is done a few times a second.
const SHORT_S: u64 = 5;
const LONG_S: u64 = 15;

/// A small board's: 16 KiB for instructions and for data, 128 KiB behind them, lines of 32 bytes.
const CACHES: [&str; 4] = ["--cache-sim=yes", "--I1=16384,4,32", "--D1=16384,4,32", "--LL=131072,8,32"];

const RECORD: &str = "tests/bench/hot_path.toml";
/// The same source, compiled in another directory, may be laid out in another order.
const INSTRUCTIONS_PERCENT: f64 = 1.0;
/// As above; and where stack, ring and rows begin moves what shares a line: by 2 % in the copies of the ring alone.
const MISSES_PERCENT: f64 = 6.0;

fn main() -> ExitCode {
    let mut accept = None;
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next().unwrap_or_else(|error| panic!("{error}\n{HELP}")) {
        match argument {
            Long("accept") => accept = Some(parser.value().unwrap().string().unwrap()),
            Long("workload") => {
                println!("{}", workload(parser.value().unwrap().parse().unwrap()));
                return ExitCode::SUCCESS;
            }
            _ => panic!("{}\n{HELP}", argument.unexpected()),
        }
    }
    let found = Figure::count();
    println!("{found}");
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(RECORD);
    let compiler = Compiler::present();
    if let Some(reason) = accept {
        fs::write(&file, record(found, &compiler, &reason)).unwrap();
        println!("accepted: {RECORD}");
        return ExitCode::SUCCESS;
    }
    let text = fs::read_to_string(&file).unwrap();
    let record = DeTable::parse(&text).unwrap_or_else(|error| panic!("{RECORD}: {error}"));
    let (expected, counted_with) = (Figure::recorded(record.get_ref()), Compiler::recorded(record.get_ref()));
    if compiler != counted_with {
        println!("not compared: {RECORD} has what {counted_with} makes of it, and this is {compiler}");
        return ExitCode::SUCCESS;
    }
    let Some(worst) = found.differs(expected) else {
        println!("as in {RECORD}");
        return ExitCode::SUCCESS;
    };
    println!(
        "A message to a plain player was {expected}, and is {found}: {worst}.\n\
         If this is meant, `make figure ACCEPT=\"why\"` writes it into {RECORD}; commit that with the change."
    );
    ExitCode::FAILURE
}

/// What one message to one player costs.
#[derive(Clone, Copy, Debug)]
struct Figure {
    instructions: f64,
    first_level_misses: f64,
    last_level_misses: f64,
}

impl Figure {
    /// Runs the workload twice, on two processors if there are.
    fn count() -> Figure {
        let [short, long] = [SHORT_S, LONG_S].map(|seconds| (seconds, start(seconds)));
        let [short, long] = [short, long].map(|(seconds, child)| Counts::of(seconds, child));
        let messages = (long.messages - short.messages) as f64;
        let each = |of: fn(&Counts) -> u64| (of(&long) - of(&short)) as f64 / messages;
        Figure {
            instructions: each(|counts| counts.instructions),
            first_level_misses: each(|counts| counts.first_level_misses),
            last_level_misses: each(|counts| counts.last_level_misses),
        }
    }

    fn recorded(record: &DeTable<'_>) -> Figure {
        let number = |key: &str| record[key].get_ref().as_float().unwrap().as_str().parse().unwrap();
        Figure {
            instructions: number("instructions"),
            first_level_misses: number("first_level_misses"),
            last_level_misses: number("last_level_misses"),
        }
    }

    /// What differs by more than it may: less, too, as the next rise would hide behind it.
    fn differs(self, expected: Figure) -> Option<String> {
        let parts = [
            ("instructions", self.instructions, expected.instructions, INSTRUCTIONS_PERCENT),
            ("first-level misses", self.first_level_misses, expected.first_level_misses, MISSES_PERCENT),
            ("last-level misses", self.last_level_misses, expected.last_level_misses, MISSES_PERCENT),
        ];
        let differ = parts.into_iter().filter_map(|(what, found, expected, percent)| {
            let change = (found / expected - 1.0) * 100.0;
            (change.abs() > percent).then(|| format!("{what} {change:+.1} %, of {percent} % that it may"))
        });
        differ.reduce(|all, part| format!("{all}; {part}"))
    }
}

impl Display for Figure {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let Figure { instructions, first_level_misses, last_level_misses } = self;
        write!(
            f,
            "{instructions:.1} instructions, {first_level_misses:.2} first-level and {last_level_misses:.2} last-level data misses"
        )
    }
}

/// What decides about the code beside its source.
#[derive(Debug, PartialEq)]
struct Compiler {
    rustc: String,
    architecture: String,
}

impl Compiler {
    fn present() -> Compiler {
        let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let version = Command::new(rustc).arg("--version").output().expect("cargo found rustc").stdout;
        let version = String::from_utf8(version).unwrap();
        let rustc = version.split(' ').nth(1).expect("rustc tells its version behind its name").to_owned();
        Compiler { rustc, architecture: env::consts::ARCH.to_owned() }
    }

    fn recorded(record: &DeTable<'_>) -> Compiler {
        let text = |key: &str| record[key].get_ref().as_str().unwrap().to_owned();
        Compiler { rustc: text("rustc"), architecture: text("architecture") }
    }
}

impl Display for Compiler {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "rustc {} for {}", self.rustc, self.architecture)
    }
}

fn record(figure: Figure, compiler: &Compiler, reason: &str) -> String {
    let Figure { instructions, first_level_misses, last_level_misses } = figure;
    let Compiler { rustc, architecture } = compiler;
    format!(
        "# What a message to a plain player costs in the server: 500 players of one stream of 2 Mbit/s (30 pictures and 47 frames\n\
         # of AAC a second) with merge_ms = 0, in 10 s. `make figure` counts it, compares it, and writes this file.\n\
         instructions = {instructions:.1}\n\
         first_level_misses = {first_level_misses:.2}\n\
         last_level_misses = {last_level_misses:.2}\n\
         rustc = {rustc:?}\n\
         architecture = {architecture:?}\n\
         # Of the last change.\n\
         reason = {reason:?}\n"
    )
}

/// Sums of one run.
struct Counts {
    messages: u64,
    instructions: u64,
    first_level_misses: u64,
    last_level_misses: u64,
}

/// What cachegrind writes, beside the program.
fn counts_file(seconds: u64) -> PathBuf {
    env::current_exe().unwrap().with_extension(format!("{seconds}s"))
}

fn start(seconds: u64) -> Child {
    let program = env::current_exe().unwrap();
    let mut command = Command::new("valgrind");
    // Names, arguments and environment lie at the start of the stack: they are the same length everywhere.
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").current_dir(program.parent().unwrap());
    command.args(["--tool=cachegrind", "--quiet"]).args(CACHES);
    command.arg(format!("--cachegrind-out-file={}", counts_file(seconds).display()));
    command.arg(PathBuf::from(".").join(program.file_name().unwrap())).arg(format!("--workload={seconds:02}"));
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("valgrind: {error}; `make figure` installs it"))
}

impl Counts {
    /// Of a run that was started.
    fn of(seconds: u64, child: Child) -> Counts {
        let output = child.wait_with_output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the run of {seconds} s ended with {}: {words}", output.status);
        let text = fs::read_to_string(counts_file(seconds)).unwrap();
        let line = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        let sum = |event: &str| -> u64 {
            let at = line("events:").split_whitespace().position(|name| name == event).unwrap();
            line("summary:").split_whitespace().nth(at).unwrap().parse().unwrap()
        };
        Counts {
            messages: String::from_utf8(output.stdout).unwrap().trim().parse().unwrap(),
            instructions: sum("Ir"),
            first_level_misses: sum("D1mr") + sum("D1mw"),
            last_level_misses: sum("DLmr") + sum("DLmw"),
        }
    }
}

/// Serves players for so long; returns how many messages were delivered.
fn workload(seconds: u64) -> u64 {
    let mut world = World::with(Settings { merge: Merge::Fixed(0), ..Settings::default() }, 1);
    let publisher = world.publisher("cam");
    world.clients[publisher].set_chunk_size(CHUNK_BYTES);
    for _ in 0..PLAYERS {
        let c = world.dial();
        let client = &mut world.clients[c];
        client.handshake();
        client.connect("live");
        client.create_stream();
        client.play(1, "cam");
    }
    world.settle();
    assert_eq!(world.server.counters().played, PLAYERS as u64, "all play");
    let publisher = world.conn(publisher).unwrap().slot;
    let (start, mut server) = (world.now, world.server);
    let before = server.counters().bytes_out;

    let mut net = Wire { publisher, sent: Vec::new(), writes: 0 };
    let mut source = SyntheticStream::new(RATES, start * 1000);
    source.headers(1, CHUNK_BYTES, &mut net.sent);
    let (mut messages, mut payload) = (3, 0);
    let end = start + seconds * 1000;
    let mut now = start;
    while now < end {
        let due = source.due_us() / 1000;
        if now >= due {
            payload += source.next(now * 1000, 1, CHUNK_BYTES, &mut net.sent) as u64;
            messages += 1;
        }
        if !net.sent.is_empty() {
            server.readable(publisher);
        }
        server.turn(&mut net, Millis(now));
        let wait = server.wait_ms(Millis(now)).expect("clients are there");
        now = (now + wait).min(source.due_us() / 1000).max(now);
    }
    check(&server, &net, messages, payload, before);
    messages * PLAYERS as u64
}

/// Every player got everything.
fn check(server: &Server, net: &Wire, messages: u64, payload: u64, before: u64) {
    let counters = server.counters();
    assert_eq!(counters.skips, 0, "nobody is slow");
    assert!(net.sent.is_empty(), "everything was read");
    assert!(counters.bytes_out - before > payload * PLAYERS as u64, "everything was sent");
    // Headers come together.
    assert!(net.writes >= (messages - 3) * PLAYERS as u64, "{} writes of {messages} messages", net.writes);
}

/// Takes whatever players are sent, at once, and costs as little as can be.
struct Wire {
    publisher: SlotIndex,
    /// What the publisher sent.
    sent: Vec<u8>,
    writes: u64,
}

impl Net for Wire {
    fn accept(&mut self) -> Option<Arrival> {
        None
    }

    fn adopt(&mut self, _: SlotIndex) -> Result<(), Loss> {
        Err(Loss::Client)
    }

    fn refuse(&mut self, _: &[u8]) {}

    fn dial(&mut self, _: SlotIndex, _: SocketAddr, _: Option<&str>) -> Result<(), Loss> {
        Err(Loss::Client)
    }

    fn read(&mut self, slot: SlotIndex, buffer: &mut [u8]) -> Io {
        if slot != self.publisher || self.sent.is_empty() {
            return Io::WouldBlock;
        }
        let bytes = self.sent.len().min(buffer.len());
        buffer[..bytes].copy_from_slice(&self.sent[..bytes]);
        self.sent.drain(..bytes);
        if bytes < buffer.len() { Io::Last(bytes) } else { Io::Done(bytes) }
    }

    fn has_unread(&mut self, _: SlotIndex) -> bool {
        false
    }

    fn gather(&mut self, _: SlotIndex, _: bool) {}

    /// A call, as a socket's is: what it is given has to lie in memory.
    #[inline(never)]
    fn write(&mut self, _: SlotIndex, slices: &[IoSlice<'_>]) -> Io {
        self.writes += 1;
        Io::Done(slices.iter().map(|slice| slice.len()).sum())
    }

    fn finish(&mut self, _: SlotIndex) {}

    fn has_delivered(&mut self, _: SlotIndex) -> bool {
        false
    }

    fn close(&mut self, _: SlotIndex) {}
}
