//! Capacity beside the floor of this machine and nginx-rtmp, in one run (`make bench`).
//!
//! The server has one core and all clients another. Contenders take turns in short rounds, because a machine is never
//! equally fast for long; a row shows medians, and each cost is divided by its floor's cost of the same round.

#![allow(clippy::unwrap_used, reason = "a measurement that the system refuses has failed")]

#[allow(dead_code, reason = "the other measurement needs more of it")]
mod contender;
mod floor;
mod table;

use std::fs;
use std::path::Path;
use std::time::Duration;

use lexopt::prelude::*;
use rill::bench::source::Rates;
use rill::bench::{Milestone, Plan, Saturate, run_observed};
use serde_json::json;

use contender::{Contender, Cores, Purpose, Server};
use floor::Floor;
use table::{Sample, Table};

const HELP: &str = "\
cargo bench --bench capacity -- [options]

  --quick            one round of 3 seconds, without saturation
  --rounds N         rounds of each contender (3)
  --seconds S        length of a round (8)
  --case NAME        only this one; may be repeated: 100, 500, 8mbit, 20x5, idle, saturation
  --server NAME      only this one; may be repeated: rill-0, floor-0, rill-50, floor-50, rill-auto, nginx-rtmp
  --step N           players added in each step of saturation (250)
";

const CONTENDERS: [Contender; 6] = [
    Contender::Floor(0),
    Contender::Rill(Some(0)),
    Contender::Floor(50),
    Contender::Rill(Some(50)),
    Contender::Rill(None),
    Contender::Nginx,
];

const FRAME_RATE: u32 = 30;
const MBPS: u64 = 1_000_000;
/// The search for the limit ends here: more than any server is known to manage on one core.
const PLAYERS_MAX: usize = 12_000;

#[derive(Clone, Copy, Debug)]
enum Load {
    Players { streams: usize, players: usize, bitrate_bps: u64 },
    Idle(usize),
    Saturation,
}

struct Case {
    name: &'static str,
    title: &'static str,
    load: Load,
}

const CASES: [Case; 6] = [
    Case {
        name: "100",
        title: "1 stream at 2 Mbit/s, 100 players",
        load: Load::Players { streams: 1, players: 100, bitrate_bps: 2 * MBPS },
    },
    Case {
        name: "500",
        title: "1 stream at 2 Mbit/s, 500 players",
        load: Load::Players { streams: 1, players: 500, bitrate_bps: 2 * MBPS },
    },
    Case {
        name: "8mbit",
        title: "1 stream at 8 Mbit/s, 100 players",
        load: Load::Players { streams: 1, players: 100, bitrate_bps: 8 * MBPS },
    },
    Case {
        name: "20x5",
        title: "20 streams at 2 Mbit/s, 5 players each",
        load: Load::Players { streams: 20, players: 5, bitrate_bps: 2 * MBPS },
    },
    Case { name: "idle", title: "1000 idle connections", load: Load::Idle(1000) },
    Case {
        name: "saturation",
        title: "1 stream at 2 Mbit/s, players added until p99 latency passes 500 ms or anything is lost",
        load: Load::Saturation,
    },
];

struct Options {
    rounds: usize,
    seconds: u64,
    cases: Vec<&'static Case>,
    contenders: Vec<Contender>,
    step_players: usize,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|argument| argument == "floor") {
        Floor::from_arguments(&arguments[1..]).run();
    }
    let Some(options) = options().unwrap_or_else(|error| panic!("{error}\n{HELP}")) else {
        print!("{HELP}");
        return;
    };
    let cores = contender::pinned();
    let mut table = Table::default();
    for case in &options.cases {
        measure(case, &options, cores, &mut table);
        println!("\n### {}\n\n{}", case.title, table.markdown(case.name));
        save(&table);
    }
}

fn options() -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options { rounds: 3, seconds: 8, cases: Vec::new(), contenders: Vec::new(), step_players: 250 };
    let mut quick = false;
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("quick") => quick = true,
            Long("rounds") => options.rounds = parser.value()?.parse::<usize>()?.max(1),
            Long("seconds") => options.seconds = parser.value()?.parse::<u64>()?.max(1),
            Long("step") => options.step_players = parser.value()?.parse::<usize>()?.max(1),
            Long("case") => {
                let name = parser.value()?.string()?;
                let case = CASES.iter().find(|case| case.name == name);
                options.cases.push(case.ok_or_else(|| format!("there is no case {name}"))?);
            }
            Long("server") => {
                let name = parser.value()?.string()?;
                let contender = CONTENDERS.into_iter().find(|contender| contender.id() == name);
                options.contenders.push(contender.ok_or_else(|| format!("there is no server {name}"))?);
            }
            // What cargo adds.
            Long("bench") => {}
            Long("help") | Short('h') => return Ok(None),
            _ => return Err(argument.unexpected()),
        }
    }
    if quick {
        (options.rounds, options.seconds) = (1, 3);
    }
    if options.cases.is_empty() {
        options.cases = CASES.iter().filter(|case| !(quick && matches!(case.load, Load::Saturation))).collect();
    }
    if options.contenders.is_empty() {
        options.contenders = CONTENDERS.to_vec();
    }
    let (installed, missing) = options.contenders.into_iter().partition(|contender| contender.is_installed());
    options.contenders = installed;
    for contender in missing {
        println!("{contender} is not installed: measuring without it");
    }
    Ok(Some(options))
}

fn measure(case: &Case, options: &Options, cores: Option<Cores>, table: &mut Table) {
    let rounds = if let Load::Saturation = case.load { 1 } else { options.rounds };
    for round in 1..=rounds {
        for &contender in &options.contenders {
            if matches!(case.load, Load::Idle(_)) && contender.makes_its_streams() {
                continue;
            }
            eprintln!("{}: round {round} of {rounds}, {contender}", case.name);
            let plan = plan(case.load, options, contender);
            let clients = plan.streams * (1 + plan.players) + plan.idle;
            let connections = plan.saturate.map_or(clients, |search| search.players_max + plan.streams);
            let rates = Rates { bitrate_bps: plan.bitrate_bps, frame_rate: plan.frame_rate };
            let server =
                contender.start(Purpose { streams: plan.streams.max(1), rates, connections, settings: &[] }, cores);
            let plan = Plan { url: server.url(), ..plan };
            let (sample, steps) = sample(&plan, &server);
            table.add(case.name, contender, sample, steps);
        }
    }
}

fn plan(load: Load, options: &Options, contender: Contender) -> Plan {
    let plan = Plan {
        frame_rate: FRAME_RATE,
        duration: Duration::from_secs(options.seconds),
        publish: !contender.makes_its_streams(),
        ..Plan::new("")
    };
    match load {
        Load::Players { streams, players, bitrate_bps } => Plan { streams, players, bitrate_bps, ..plan },
        Load::Idle(idle) => Plan { streams: 0, players: 0, idle, ..plan },
        Load::Saturation => Plan {
            streams: 1,
            players: 0,
            bitrate_bps: 2 * MBPS,
            saturate: Some(Saturate {
                step_players: options.step_players,
                attempts: 3,
                steps_beyond: 3,
                players_max: PLAYERS_MAX,
                ..Saturate::default()
            }),
            ..plan
        },
    }
}

/// Measures once. Of a search for the limit the sample is its last good step, and each step is listed.
fn sample(plan: &Plan, server: &Server) -> (Sample, Vec<serde_json::Value>) {
    let (mut before_kib, mut after_kib) = (0, 0);
    let mut cpu = Vec::new();
    let mut begin = 0.0;
    let report = run_observed(plan, &mut |moment| match moment {
        Milestone::Ready => before_kib = server.resident_kib(),
        Milestone::Steady => begin = server.cpu_seconds(),
        Milestone::End => {
            cpu.push(server.cpu_seconds() - begin);
            after_kib = server.resident_kib();
        }
    });
    let report = report.unwrap_or_else(|error| panic!("{error}"));
    if let Some(trouble) = &report.first_trouble {
        eprintln!("  {} refused, {} disconnected: {trouble}", report.refused, report.disconnected);
    }
    if plan.saturate.is_some() {
        // Of a step that was measured several times the last attempt counts.
        let mut attempts = 0;
        let last_attempts = report.steps.iter().map(|step| {
            attempts += step.attempts as usize;
            cpu[attempts - 1]
        });
        cpu = last_attempts.collect();
    }
    let good = report.steps.iter().take_while(|step| step.good).count();
    let cpu_seconds = match plan.saturate {
        Some(_) => good.checked_sub(1).map_or(0.0, |last| cpu[last]),
        None => cpu[0],
    };
    let steps = report.steps.iter().zip(&cpu).map(|(step, cpu_seconds)| {
        json!({
            "players": step.players,
            "served": step.served,
            "gone": step.gone,
            "good": step.good,
            "attempts": step.attempts,
            "mbps": step.window.delivered_mbps(),
            "latency_p50_us": step.window.latency.p50_us,
            "latency_p99_us": step.window.latency.p99_us,
            "lost": step.window.lost,
            "server_load": cpu_seconds / step.window.duration.as_secs_f64(),
            "client_load": step.window.client_load,
        })
    });
    let steps = steps.collect();
    let window = report.window;
    let sample = Sample {
        cpu_seconds,
        seconds: window.duration.as_secs_f64(),
        wire_bytes: window.wire_bytes,
        p50_us: window.latency.p50_us,
        p99_us: window.latency.p99_us,
        join_p50_us: report.join.p50_us,
        join_p99_us: report.join.p99_us,
        served: report.served + report.idle_open,
        wanted: report.players + report.idle,
        lost: window.lost,
        resident_kib: after_kib,
        resident_before_kib: before_kib,
        client_load: window.client_load.unwrap_or(f64::NAN),
        limit: plan.saturate.map(|_| report.highest_good_step().map_or(0, |step| step.served)),
    };
    (sample, steps)
}

fn save(table: &Table) {
    // The directory above the one that cargo gives to tests is the target directory.
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = scratch.parent().unwrap_or(scratch).join("capacity.json");
    fs::write(&file, format!("{:#}\n", table.to_json())).unwrap();
}
