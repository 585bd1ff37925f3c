//! Arguments of `rill bench`.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use lexopt::prelude::*;
use serde_json::Value as Json;

use super::connects::{self, ConnectPlan};
use super::error::BenchError;
use super::load::run;
use super::plan::{Plan, Saturate};

/// What `rill bench --help` prints.
pub const HELP: &str = "\
rill bench URL [options]

Publishes synthetic H.264 and AAC to an RTMP server, plays it, and reports players served, delivered Mbit/s, delivery
latency and losses. URL is rtmp://host[:port]/application[/NAME]; NAME is bench when there is none, and several streams
are called NAME-1, NAME-2 and so on.

  --streams M       streams to publish (1)
  --players N       players of each stream (10)
  --bitrate B       bits per second of each stream, audio and video; 2500k and 2.5M are understood (2M)
  --frame-rate F    pictures per second, 1 to 120 (30)
  --duration S      seconds to measure once all have joined (10)
  --idle N          connections that only connect and stay; alone, nothing is published or played
  --no-publish      play streams that another rill bench on this machine publishes
  --saturate        add players until the p99 latency passes 500 ms or anything is lost; report the last good step
  --step N          players added in each step of it, over all streams (50)
  --beyond N        steps to go on after the first that fails (0)
  --connects-per-second N   instead of streams: clients that connect, wait for the answer and leave, N a second
  --json            the report as JSON
  -h, --help        this text

Exits with 0 when something was measured, 1 when nothing could be, 2 when the arguments are wrong.
";

/// A measurement as asked for on the command line.
#[derive(Clone, Debug, PartialEq)]
pub enum BenchArguments {
    /// Print [`HELP`].
    Help,
    /// Measure; `json` says how to report.
    Measure {
        /// What to measure.
        what: What,
        /// Report as JSON.
        json: bool,
    },
}

/// What to measure.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// Streams, players and idle connections.
    Streams(Plan),
    /// Clients that come and go.
    Connects(ConnectPlan),
}

/// `rill bench` with the arguments that follow these two words.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let (what, json) = match parse(arguments) {
        Ok(BenchArguments::Measure { what, json }) => (what, json),
        Ok(BenchArguments::Help) => {
            let _ = io::stdout().write_all(HELP.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("rill bench: {error}; rill bench --help lists the options");
            return ExitCode::from(2);
        }
    };
    match measured(&what, json) {
        Ok(text) => {
            // A reader that went away does not make the measurement a failure.
            let _ = io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("rill bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The report as text.
fn measured(what: &What, json: bool) -> Result<String, BenchError> {
    let (value, text) = match what {
        What::Streams(plan) => run(plan).map(|report| (report.to_json(), report.to_string()))?,
        What::Connects(plan) => connects::run(plan).map(|report| (report.to_json(), report.to_string()))?,
    };
    Ok(if json { format!("{value:#}\n") } else { text })
}

/// Reads the arguments that follow `rill bench`.
///
/// # Errors
///
/// A sentence about what is wrong, with what is allowed.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<BenchArguments, lexopt::Error> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let mut plan = Plan { progress: true, ..Plan::new("") };
    let (mut streams, mut players, mut json) = (None, None, false);
    let (mut saturate, mut saturated) = (Saturate::default(), false);
    let mut per_second = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Value(url) if plan.url.is_empty() => plan.url = url.string()?,
            Long("streams") => streams = Some(parser.value()?.parse_with(|text| number(text, 1, 10_000))? as usize),
            Long("players") => players = Some(parser.value()?.parse_with(|text| number(text, 0, 100_000))? as usize),
            Long("idle") => plan.idle = parser.value()?.parse_with(|text| number(text, 1, 100_000))? as usize,
            Long("bitrate") => {
                plan.bitrate_bps = parser.value()?.parse_with(|text| scaled(text, 64_000, 200_000_000))?;
            }
            Long("frame-rate") => plan.frame_rate = parser.value()?.parse_with(|text| number(text, 1, 120))? as u32,
            Long("duration") => {
                plan.duration = Duration::from_secs(parser.value()?.parse_with(|text| number(text, 1, 86_400))?);
            }
            Long("connects-per-second") => {
                per_second = Some(parser.value()?.parse_with(|text| number(text, 1, 20_000))? as u32);
            }
            Long("no-publish") => plan.publish = false,
            Long("saturate") => saturated = true,
            Long("step") => {
                saturate.step_players = parser.value()?.parse_with(|text| number(text, 1, 10_000))? as usize;
            }
            Long("beyond") => saturate.steps_beyond = parser.value()?.parse_with(|text| number(text, 0, 100))? as usize,
            Long("json") => json = true,
            Short('h') | Long("help") => return Ok(BenchArguments::Help),
            _ => return Err(argument.unexpected()),
        }
    }
    if plan.url.is_empty() {
        return Err("the URL is missing".into());
    }
    if let Some(per_second) = per_second {
        if saturated || plan.idle > 0 || streams.is_some() || players.is_some() {
            return Err(
                "--connects-per-second measures nothing beside it: leave out streams, players and --idle".into()
            );
        }
        let plan = ConnectPlan { url: plan.url, per_second, duration: plan.duration, progress: plan.progress };
        return Ok(BenchArguments::Measure { what: What::Connects(plan), json });
    }
    let only_idle = plan.idle > 0 && streams.is_none() && players.is_none() && !saturated;
    if only_idle {
        (plan.streams, plan.players) = (0, 0);
    } else {
        plan.streams = streams.unwrap_or(plan.streams);
        plan.players = players.unwrap_or(plan.players);
    }
    plan.saturate = saturated.then_some(saturate);
    Ok(BenchArguments::Measure { what: What::Streams(plan), json })
}

fn number(text: &str, least: u64, most: u64) -> Result<u64, String> {
    let allowed = || format!("a whole number from {least} to {most} is allowed");
    text.parse().ok().filter(|number| (least..=most).contains(number)).ok_or_else(allowed)
}

fn scaled(text: &str, least: u64, most: u64) -> Result<u64, String> {
    let (digits, scale) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 1e3),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 1e6),
        _ => (text, 1.0),
    };
    // The parser of JSON is there; std's would be 13 kB of the program.
    let value =
        serde_json::from_str::<Json>(digits).ok().and_then(|value| value.as_f64()).map(|value| (value * scale).round());
    let value = value.filter(|value| (least as f64..=most as f64).contains(value));
    value.map(|value| value as u64).ok_or_else(|| format!("bits per second from {least} to {most} are allowed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<BenchArguments, String> {
        parse(line.split_whitespace().map(OsString::from)).map_err(|error| error.to_string())
    }

    fn plan(line: &str) -> Plan {
        match parsed(line) {
            Ok(BenchArguments::Measure { what: What::Streams(plan), .. }) => plan,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn options_may_stand_on_both_sides_of_the_url() {
        let plan = plan("--streams 2 rtmp://h/live/x --players=50 --bitrate 2.5M --duration 60 --frame-rate 25");
        assert_eq!((&*plan.url, plan.streams, plan.players), ("rtmp://h/live/x", 2, 50));
        assert_eq!((plan.bitrate_bps, plan.frame_rate, plan.duration), (2_500_000, 25, Duration::from_secs(60)));
        assert!(plan.publish && plan.saturate.is_none());
    }

    #[test]
    fn idle_connections_alone_publish_nothing() {
        let idle = plan("rtmp://h/live/x --idle 1000");
        assert_eq!((idle.idle, idle.streams, idle.players), (1000, 0, 0));
        let both = plan("rtmp://h/live/x --idle 5 --players 3");
        assert_eq!((both.idle, both.streams, both.players), (5, 1, 3));
    }

    #[test]
    fn connects_are_a_measurement_of_their_own() {
        let Ok(BenchArguments::Measure { what: What::Connects(plan), json: true }) =
            parsed("rtmp://h/live --connects-per-second 1000 --duration 5 --json")
        else {
            panic!("not a measurement of connects");
        };
        assert_eq!((&*plan.url, plan.per_second, plan.duration), ("rtmp://h/live", 1000, Duration::from_secs(5)));
        for other in ["--players 5", "--idle 5", "--saturate"] {
            let error = parsed(&format!("rtmp://h/live --connects-per-second 5 {other}")).unwrap_err();
            assert!(error.contains("--connects-per-second"), "{error}");
        }
    }

    #[test]
    fn wrong_arguments_are_named_with_what_is_allowed() {
        for (line, part) in [
            ("", "the URL is missing"),
            ("a b", "unexpected argument \"b\""),
            ("a --bitrate fast", "from 64000 to 200000000"),
            ("a --frame-rate 0", "from 1 to 120"),
            ("a --stream 1", "invalid option '--stream'"),
        ] {
            let error = parsed(line).unwrap_err();
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
