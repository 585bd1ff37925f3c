//! What connections and scripts cost, in one run (`make bench`): connects at a constant rate, calls of methods, idle
//! instances of scripts, and a live stream meanwhile.
//!
//! The server has one core and all clients another. What is compared takes turns in short rounds, because a machine is
//! never equally fast for long; a row shows medians, and ratios are those of the same round.

#![allow(clippy::unwrap_used, reason = "a measurement that the system refuses has failed")]

mod calls;
#[allow(dead_code, reason = "the other measurement needs more of it")]
mod contender;
#[allow(dead_code, reason = "only named by the contenders")]
mod floor;
#[allow(dead_code, reason = "the other measurement has other columns")]
mod table;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use calls::{Caller, Pace};
use contender::{Contender, Cores, Purpose, Server};
use lexopt::prelude::*;
use rill::bench::connects::{self, ConnectPlan};
use rill::bench::report::Quantiles;
use rill::bench::source::Rates;
use rill::bench::{Milestone, Plan, run_observed};
use rill::host::{Identity, Scripts};
use rill::live::app::{Budget, Source, SourceFile};
use rill::time::Millis;
use rill::wire::script_link::InstanceId;
use serde_json::{Value, json};
use table::{decimals, median};

const HELP: &str = "\
cargo bench --bench connections -- [options]

  --quick            one round of 2 seconds
  --rounds N         rounds of each row (3)
  --seconds S        length of a round (5)
  --rate N           connects a second (1000)
  --case NAME        only this one; may be repeated: connects, stream, calls, memory
";

const CASES: [&str; 4] = ["connects", "stream", "calls", "memory"];

/// An application without a script, one that says yes, and the sample of the documentation.
const PLAIN: &str = contender::APP;
const TRIVIAL: &str = "trivial";
const HELLO: &str = "HelloServer";
const TRIVIAL_SCRIPT: &str = "\
application.onConnect = function(client) { application.acceptConnection(client); };
Client.prototype.echo = function(value) { return value; };
";
const HELLO_SCRIPT: &str = include_str!("../applications/HelloServer/main.asc");

/// Room for those who come and, while they leave, for those who come next.
const CONNECTIONS: usize = 2000;
const CALLERS: usize = 100;
const CALLS_PER_SECOND: u32 = 10;
const INSTANCES: [usize; 4] = [0, 1, 8, 16];
/// After this the server has done what a leaving client makes it do.
const SETTLE: Duration = Duration::from_millis(300);

struct Options {
    rounds: usize,
    seconds: u64,
    rate: u32,
    cases: Vec<&'static str>,
}

fn main() {
    let Some(options) = options().unwrap_or_else(|error| panic!("{error}\n{HELP}")) else {
        print!("{HELP}");
        return;
    };
    let cores = contender::pinned();
    let bench = Bench { options, cores, settings: root() };
    let mut found = BTreeMap::new();
    for case in bench.options.cases.clone() {
        let (title, table) = match case {
            "connects" => (format!("{} connects per second", bench.options.rate), bench.connects()),
            "stream" => ("latency of a live stream meanwhile".into(), bench.stream()),
            "calls" => ("round trip of a call".into(), bench.calls()),
            _ => ("idle instances of a script".into(), bench.memory()),
        };
        println!("\n### {title}\n\n{}", table.markdown());
        found.insert(case, table.to_json());
        save(&json!(found));
    }
}

fn options() -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options { rounds: 3, seconds: 5, rate: 1000, cases: Vec::new() };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("quick") => (options.rounds, options.seconds) = (1, 2),
            Long("rounds") => options.rounds = parser.value()?.parse::<usize>()?.max(1),
            Long("seconds") => options.seconds = parser.value()?.parse::<u64>()?.max(1),
            Long("rate") => options.rate = parser.value()?.parse::<u32>()?.max(1),
            Long("case") => {
                let name = parser.value()?.string()?;
                let case = CASES.into_iter().find(|case| *case == name);
                options.cases.push(case.ok_or_else(|| format!("there is no case {name}"))?);
            }
            // What cargo adds.
            Long("bench") => {}
            Long("help") | Short('h') => return Ok(None),
            _ => return Err(argument.unexpected()),
        }
    }
    if options.cases.is_empty() {
        options.cases = CASES.to_vec();
    }
    Ok(Some(options))
}

/// Makes a root with the applications, and returns what the server is told for it.
fn root() -> Vec<String> {
    let root = contender::scratch().join("root");
    let file = |app: &str, text: Option<&str>| {
        let directory: PathBuf = root.join("applications").join(app);
        fs::create_dir_all(&directory).unwrap();
        if let Some(text) = text {
            fs::write(directory.join("main.asc"), text).unwrap();
        }
    };
    file(PLAIN, None);
    file(TRIVIAL, Some(TRIVIAL_SCRIPT));
    file(HELLO, Some(HELLO_SCRIPT));
    let instances = INSTANCES.into_iter().max().unwrap_or_default();
    vec![
        format!("server.root={}", root.display()),
        format!("limits.script_instances={instances}"),
        "limits.connections_per_address=0".into(),
    ]
}

struct Bench {
    options: Options,
    cores: Option<Cores>,
    settings: Vec<String>,
}

/// Rows with cells; of each cell a value for every round.
#[derive(Default)]
struct Rounds {
    rows: Vec<(String, BTreeMap<&'static str, Vec<f64>>)>,
    /// Name, and decimals shown.
    columns: Vec<(&'static str, usize)>,
}

impl Bench {
    fn start(&self, contender: Contender) -> Server {
        let rates = Rates { bitrate_bps: 2_000_000, frame_rate: 30 };
        let purpose = Purpose { streams: 1, rates, connections: CONNECTIONS, settings: &self.settings };
        contender.start(purpose, self.cores)
    }

    fn rill(&self) -> Server {
        self.start(Contender::Rill(None))
    }

    fn duration(&self) -> Duration {
        Duration::from_secs(self.options.seconds)
    }

    fn connect_plan(&self, server: &Server, app: &str) -> ConnectPlan {
        let url = format!("rtmp://{}/{app}", server.address());
        ConnectPlan { url, per_second: self.options.rate, duration: self.duration(), progress: false }
    }

    fn connects(&self) -> Rounds {
        let mut rows = vec![
            ("rill, no script", Contender::Rill(None), PLAIN),
            ("rill, onConnect accepts", Contender::Rill(None), TRIVIAL),
            ("rill, HelloServer", Contender::Rill(None), HELLO),
        ];
        match Contender::Nginx.is_installed() {
            true => rows.push(("nginx-rtmp", Contender::Nginx, PLAIN)),
            false => println!("nginx-rtmp is not installed: measuring without it"),
        }
        let mut rounds = Rounds::of(&[
            ("CPU s per 1000", 3),
            ("x no script", 2),
            ("answer p50 ms", 2),
            ("answer p99 ms", 2),
            ("answer max ms", 1),
            ("admission p50 ms", 2),
            ("admission p99 ms", 2),
            ("accepted", 0),
            ("failed", 0),
            ("test core %", 0),
        ]);
        for round in 1..=self.options.rounds {
            let mut plain = f64::NAN;
            for &(name, contender, app) in &rows {
                eprintln!("connects: round {round} of {}, {name}", self.options.rounds);
                let server = self.start(contender);
                let plan = self.connect_plan(&server, app);
                // The first client has the application's files read and its script loaded.
                connects::run(&ConnectPlan { per_second: 10, duration: SETTLE, ..plan.clone() }).unwrap();
                let begin = server.cpu_seconds();
                let report = connects::run(&plan).unwrap();
                let each = (server.cpu_seconds() - begin) / report.clients as f64;
                if let Some(trouble) = &report.first_trouble {
                    eprintln!("  {} failed: {trouble}", report.failed);
                }
                if app == PLAIN && contender != Contender::Nginx {
                    plain = each;
                }
                rounds.add(
                    name,
                    &[
                        ("CPU s per 1000", 1000.0 * each),
                        ("x no script", each / plain),
                        ("answer p50 ms", ms(report.answer.p50_us)),
                        ("answer p99 ms", ms(report.answer.p99_us)),
                        ("answer max ms", ms(report.answer.max_us)),
                        ("admission p50 ms", ms(report.admission.p50_us)),
                        ("admission p99 ms", ms(report.admission.p99_us)),
                        ("accepted", report.accepted as f64),
                        ("failed", report.failed as f64),
                        ("late p99 ms", ms(report.late.p99_us)),
                        ("test core %", 100.0 * report.client_load.unwrap_or(f64::NAN)),
                    ],
                );
            }
        }
        rounds
    }

    /// A stream and its player on a thread of their own, and clients that come and go beside them.
    fn stream(&self) -> Rounds {
        let mut rounds = Rounds::of(&[
            ("latency p50 ms", 2),
            ("latency p99 ms", 2),
            ("latency max ms", 1),
            ("lost", 0),
            ("failed", 0),
        ]);
        let rows =
            [("alone", None), ("connects, no script", Some("other")), ("connects, onConnect accepts", Some(TRIVIAL))];
        fs::create_dir_all(contender::scratch().join("root/applications/other")).unwrap();
        for round in 1..=self.options.rounds {
            for (name, app) in rows {
                eprintln!("stream: round {round} of {}, {name}", self.options.rounds);
                let server = self.rill();
                let plan = Plan { players: 1, duration: self.duration(), ..Plan::new(server.url()) };
                let (steady, is_steady) = std::sync::mpsc::channel();
                let player = thread::spawn(move || {
                    run_observed(&plan, &mut |moment| {
                        if moment == Milestone::Steady {
                            steady.send(()).unwrap();
                        }
                    })
                });
                is_steady.recv().unwrap();
                let failed = app.map_or(0, |app| connects::run(&self.connect_plan(&server, app)).unwrap().failed);
                let window = player.join().unwrap().unwrap().window;
                let Quantiles { p50_us, p99_us, max_us } = window.latency;
                rounds.add(
                    name,
                    &[
                        ("latency p50 ms", ms(p50_us)),
                        ("latency p99 ms", ms(p99_us)),
                        ("latency max ms", ms(max_us)),
                        ("lost", window.lost as f64),
                        ("failed", failed as f64),
                    ],
                );
            }
        }
        rounds
    }

    fn calls(&self) -> Rounds {
        let mut rounds = Rounds::of(&[
            ("p50 us", 0),
            ("p99 us", 0),
            ("max us", 0),
            ("x getStreamLength", 2),
            ("CPU us per call", 1),
            ("calls", 0),
            ("failed", 0),
        ]);
        let paces = [
            (1, Pace::BackToBack, "1 client, back to back"),
            (CALLERS, Pace::PerSecond(CALLS_PER_SECOND), "100 clients, 10/s each"),
        ];
        for round in 1..=self.options.rounds {
            for (clients, pace, title) in paces {
                let mut built_in = f64::NAN;
                // The session itself answers the first; the script has the second.
                for (method, who) in [("getStreamLength", "the session"), ("echo", "the script")] {
                    eprintln!("calls: round {round} of {}, {title}, {method}", self.options.rounds);
                    let server = self.rill();
                    let callers = (0..clients).map(|_| Caller::connect(&server.address(), TRIVIAL)).collect();
                    let begin = server.cpu_seconds();
                    let (round_trips, failed) = calls::measure(callers, method, pace, self.duration());
                    let calls = round_trips.count();
                    let each = (server.cpu_seconds() - begin) / calls.max(1) as f64;
                    let p50_us = round_trips.quantile_us(0.5) as f64;
                    if method == "getStreamLength" {
                        built_in = p50_us;
                    }
                    rounds.add(
                        &format!("{title}: {who}"),
                        &[
                            ("p50 us", p50_us),
                            ("p99 us", round_trips.quantile_us(0.99) as f64),
                            ("max us", round_trips.max_us() as f64),
                            ("x getStreamLength", p50_us / built_in),
                            ("CPU us per call", each * 1e6),
                            ("calls", calls as f64),
                            ("failed", failed as f64),
                        ],
                    );
                }
            }
        }
        rounds
    }

    /// A script process that nothing was told, and instances whose clients have left again.
    fn memory(&self) -> Rounds {
        let mut rounds = Rounds::of(&[
            ("resident KiB", 0),
            ("private KiB", 0),
            ("own KiB", 0),
            ("own KiB each", 1),
            ("engine's own KiB each", 1),
        ]);
        rounds.add("a script process alone", &host_memory());
        for (app, script) in [(TRIVIAL, TRIVIAL_SCRIPT), (HELLO, HELLO_SCRIPT)] {
            let engine_kib = engine_bytes(script) as f64 / 1024.0;
            let server = self.rill();
            let (mut loaded, mut with_one) = (0, f64::NAN);
            for instances in INSTANCES {
                for instance in loaded..instances {
                    drop(Caller::connect(&server.address(), &format!("{app}/i{instance}")));
                }
                if instances == 0 {
                    // What a connection makes the process touch for the first time is not the script's.
                    drop(Caller::connect(&server.address(), PLAIN));
                }
                loaded = instances;
                thread::sleep(SETTLE);
                let anonymous_kib = server.anonymous_kib() as f64;
                if instances == 1 {
                    with_one = anonymous_kib;
                }
                // The first brings its process along.
                let others = instances.saturating_sub(1) as f64;
                rounds.add(
                    &format!("{app}, {instances} idle"),
                    &[
                        ("own KiB", anonymous_kib),
                        ("own KiB each", (anonymous_kib - with_one) / others),
                        ("engine's own KiB each", if instances == 0 { f64::NAN } else { engine_kib }),
                    ],
                );
            }
        }
        rounds
    }
}

/// What a script process takes before its first instance.
fn host_memory() -> Vec<(&'static str, f64)> {
    let (mut link, theirs) = UnixStream::pair().unwrap();
    let mut process = Command::new(env!("CARGO_BIN_EXE_rill"))
        .args(["script-host", "16777216"])
        .env_clear()
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // It says hello.
    link.read_exact(&mut [0; 5]).unwrap();
    thread::sleep(SETTLE);
    let kib = |lines: &[&str]| lines.iter().map(|line| contender::memory_kib(process.id(), line) as f64).sum();
    let private = kib(&["Private_Clean:", "Private_Dirty:"]);
    let memory = vec![("resident KiB", kib(&["Rss:"])), ("private KiB", private), ("own KiB", kib(&["Anonymous:"]))];
    process.kill().unwrap();
    process.wait().unwrap();
    memory
}

/// What the engine says that one loaded instance of a script takes of its heap.
fn engine_bytes(script: &str) -> u64 {
    let main = SourceFile { name: "main.asc".into(), text: script.into() };
    let source = Source { secure: None, main, others: Vec::new() };
    let identity =
        Identity { app: "bench", instance: "_definst_", hostname: "_defaultVHost_", server: "bench", config_json: "" };
    let mut scripts = Scripts::new(1, || 0);
    let id = InstanceId(0);
    scripts.load(id, &source, &identity, Budget::default(), Millis(0)).unwrap();
    scripts.memory_bytes(id)
}

impl Rounds {
    fn of(columns: &[(&'static str, usize)]) -> Rounds {
        Rounds { rows: Vec::new(), columns: columns.to_vec() }
    }

    fn add(&mut self, row: &str, cells: &[(&'static str, f64)]) {
        let at = self.rows.iter().position(|(name, _)| name == row).unwrap_or_else(|| {
            self.rows.push((row.to_owned(), BTreeMap::new()));
            self.rows.len() - 1
        });
        for (column, value) in cells {
            self.rows[at].1.entry(column).or_default().push(*value);
        }
    }

    fn markdown(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| *name).collect();
        let mut out = format!("| | {} |\n|{}\n", names.join(" | "), "---|".repeat(names.len() + 1));
        for (name, cells) in &self.rows {
            let cell = |column: &(&str, usize)| {
                let values = cells.get(column.0).into_iter().flatten().copied();
                // One client lost in one round must be seen.
                let value = match column.0 {
                    "failed" | "lost" => Some(values.sum()),
                    _ => median(values),
                };
                decimals(value.unwrap_or(f64::NAN), column.1)
            };
            out.push_str(&format!("| {name} | {} |\n", self.columns.iter().map(cell).collect::<Vec<_>>().join(" | ")));
        }
        out
    }

    fn to_json(&self) -> Value {
        let finite = |values: &Vec<f64>| json!(values.iter().map(|v| v.is_finite().then_some(*v)).collect::<Vec<_>>());
        let cells = |cells: &BTreeMap<&str, Vec<f64>>| {
            Value::Object(cells.iter().map(|(name, values)| ((*name).to_owned(), finite(values))).collect())
        };
        Value::Object(self.rows.iter().map(|(name, row)| (name.clone(), cells(row))).collect())
    }
}

fn ms(us: u64) -> f64 {
    us as f64 / 1e3
}

fn save(found: &Value) {
    // The directory above the one that cargo gives to tests is the target directory.
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = scratch.parent().unwrap_or(scratch).join("connections.json");
    fs::write(&file, format!("{found:#}\n")).unwrap();
}
