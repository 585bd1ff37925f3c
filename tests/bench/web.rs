//! What viewers over HTTP cost beside players over RTMP and the machine's floor, in one run (`make bench`): processor seconds a
//! gigabyte for 500 of a kind, and for 300 of HLS beside nginx that serves the same files from memory.
//!
//! All clients are the same loop, which reads and counts. The server has one core and they another; contenders take turns in short
//! rounds, and each cost is divided by that of RTMP in the same round.

#![allow(clippy::unwrap_used, reason = "a measurement that the system refuses has failed")]

#[path = "../http/client.rs"]
#[allow(dead_code, reason = "tests ask more")]
mod client;
#[allow(dead_code, reason = "the other measurements need more of it")]
mod contender;
#[allow(dead_code, reason = "the other measurements need more of it")]
mod floor;
#[allow(dead_code, reason = "the other measurements need more of it")]
mod table;
mod web_viewers;

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use lexopt::prelude::*;
use rill::bench::source::Rates;
use rill::net::open_files::raise_limit;

use client::Client;
use contender::{APP, Contender, Cores, Purpose, Server};
use floor::Floor;
use table::{decimals, median};
use web_viewers::{Output, Publisher, Viewers};

const HELP: &str = "\
cargo bench --bench web -- [options]

  --rounds N    rounds of each contender (3)
  --seconds S   length of a round (8)
  --only NAME   only this one, beside RTMP; may be repeated: floor, ws, flv, hls, nginx
";

const RATES: Rates = Rates { bitrate_bps: 2_000_000, frame_rate: 30 };
const VIEWERS: usize = 500;
const HLS_VIEWERS: usize = 300;
/// A key frame a second makes segments of a second.
const GOP_SECONDS: u32 = 1;
/// How long the stream runs before somebody watches HLS, which begins with three segments, and how long before anybody is measured.
const FIRST_SEGMENTS: Duration = Duration::from_secs(5);
const SETTLE: Duration = Duration::from_secs(2);
/// The bars: what WebSocket and HTTP-FLV, and what HLS, may cost of RTMP.
const LIVE_BAR: f64 = 1.15;
const HLS_BAR: f64 = 0.5;

struct Options {
    rounds: usize,
    seconds: u64,
    only: Vec<String>,
}

/// What was measured once.
#[derive(Clone, Copy, Debug)]
struct Sample {
    /// Processor seconds of 10^9 bytes that viewers received.
    each: f64,
    mbps: f64,
    /// Resident bytes of a viewer, beyond those before the first.
    bytes: f64,
}

/// The samples of all rounds, by what they are of, in the order in which they are shown.
#[derive(Default)]
struct Rows(Vec<(&'static str, Vec<Sample>)>);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|argument| argument == "floor") {
        Floor::from_arguments(&arguments[1..]).run();
    }
    let Some(options) = options().unwrap_or_else(|error| panic!("{error}\n{HELP}")) else {
        print!("{HELP}");
        return;
    };
    raise_limit(VIEWERS + 64).unwrap();
    let cores = contender::pinned();
    let mut rows = Rows::default();
    for round in 1..=options.rounds {
        let mut measured = |name: &'static str, measure: &mut dyn FnMut() -> Sample| {
            let is_wanted = options.only.is_empty()
                || name.starts_with("rill RTMP")
                || options.only.iter().any(|only| name.to_lowercase().contains(only));
            if is_wanted {
                eprintln!("round {round} of {}: {name}", options.rounds);
                rows.add(name, measure());
            }
        };
        for (merge_ms, [floor, rtmp, ws, flv]) in [
            (0, ["floor", "rill RTMP", "rill fMP4, ws", "rill FLV"]),
            (50, ["floor, 50 ms", "rill RTMP, 50 ms", "rill fMP4, ws, 50 ms", "rill FLV, 50 ms"]),
        ] {
            let rill = Contender::Rill(Some(merge_ms));
            measured(floor, &mut || live(Contender::Floor(merge_ms), Output::Rtmp, &options, cores));
            measured(rtmp, &mut || live(rill, Output::Rtmp, &options, cores));
            measured(ws, &mut || live(rill, Output::WebSocket, &options, cores));
            measured(flv, &mut || live(rill, Output::Flv, &options, cores));
        }
        measured("rill HLS", &mut || hls(false, &options, cores));
        if Contender::Nginx.is_installed() {
            measured("nginx HLS", &mut || hls(true, &options, cores));
        }
    }
    print!("{}", rows.markdown());
    let missed = rows.missed();
    missed.iter().for_each(|line| println!("{line}"));
    if options.only.is_empty() && missed.is_empty() {
        println!("every bar holds: {LIVE_BAR} x RTMP for WebSocket and FLV, {HLS_BAR} x for HLS");
    }
}

fn options() -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options { rounds: 3, seconds: 8, only: Vec::new() };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("rounds") => options.rounds = parser.value()?.parse::<usize>()?.max(1),
            Long("seconds") => options.seconds = parser.value()?.parse::<u64>()?.max(1),
            Long("only") => options.only.push(parser.value()?.string()?),
            // What cargo adds.
            Long("bench") => {}
            Long("help") | Short('h') => return Ok(None),
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(Some(options))
}

/// A server, where it speaks HTTP, and who publishes to it.
struct Origin {
    // It ends before its server does.
    _publisher: Option<Publisher>,
    server: Server,
    http: SocketAddr,
}

impl Origin {
    fn start(contender: Contender, cores: Option<Cores>) -> Origin {
        let http = free_address();
        let settings = [format!("server.http={http}"), "limits.connections_per_address=2000".to_owned()];
        let purpose = Purpose { streams: 1, rates: RATES, connections: VIEWERS + 8, settings: &settings };
        let server = contender.start(purpose, cores);
        let publisher = (!contender.makes_its_streams()).then(|| Publisher::start(&server.url(), RATES, GOP_SECONDS));
        Origin { _publisher: publisher, server, http }
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// What watches a live stream costs.
fn live(contender: Contender, output: Output, options: &Options, cores: Option<Cores>) -> Sample {
    let origin = Origin::start(contender, cores);
    thread::sleep(SETTLE);
    let address = if output == Output::Rtmp { origin.server.address().parse().unwrap() } else { origin.http };
    watch(&origin.server, output, address, VIEWERS, options)
}

/// What HLS costs the server, or an nginx that has its files in memory.
fn hls(by_nginx: bool, options: &Options, cores: Option<Cores>) -> Sample {
    let origin = Origin::start(Contender::Rill(Some(0)), cores);
    thread::sleep(FIRST_SEGMENTS);
    if !by_nginx {
        return watch(&origin.server, Output::Hls { blocks: true }, origin.http, HLS_VIEWERS, options);
    }
    let mirror = Mirror::start(origin.http);
    let nginx = Server::spawn("nginx-hls", cores, |port| contender::nginx_files(port, HLS_VIEWERS, &mirror.directory));
    let address = nginx.address().parse().unwrap();
    watch(&nginx, Output::Hls { blocks: false }, address, HLS_VIEWERS, options)
}

fn watch(server: &Server, output: Output, address: SocketAddr, count: usize, options: &Options) -> Sample {
    let before_kib = server.anonymous_kib();
    let mut viewers = Viewers::join(output, address, count);
    viewers.read_for(SETTLE);
    let (cpu, bytes) = (server.cpu_seconds(), viewers.bytes());
    let seconds = viewers.read_for(Duration::from_secs(options.seconds)).as_secs_f64();
    let (cpu, bytes) = (server.cpu_seconds() - cpu, viewers.bytes() - bytes);
    let resident = server.anonymous_kib().saturating_sub(before_kib) as f64 * 1024.0;
    assert_eq!(viewers.gone(), 0, "viewers were closed");
    let expected = RATES.bitrate_bps as f64 / 8.0 * seconds * count as f64;
    if (bytes as f64) < 0.8 * expected {
        eprintln!("  {bytes} bytes of {expected} came: the machine is busy");
    }
    Sample { each: cpu * 1e9 / bytes as f64, mbps: bytes as f64 * 8e-6 / seconds, bytes: resident / count as f64 }
}

/// The files of a stream's HLS in memory, as they come.
struct Mirror {
    directory: PathBuf,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Mirror {
    fn start(origin: SocketAddr) -> Mirror {
        let memory = Path::new("/dev/shm");
        let directory = if memory.is_dir() { memory.to_owned() } else { contender::scratch() };
        let directory = directory.join(format!("rill-bench-{}", std::process::id()));
        fs::create_dir_all(directory.join(APP).join("bench/hls")).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let (root, stops) = (directory.clone(), stop.clone());
        let mut client = Client::new(origin);
        let mut copied = BTreeMap::new();
        copy(&mut client, &root, &mut copied);
        let thread = thread::spawn(move || {
            while !stops.load(Ordering::Relaxed) {
                copy(&mut client, &root, &mut copied);
                thread::sleep(Duration::from_millis(100));
            }
        });
        Mirror { directory, stop, thread: Some(thread) }
    }
}

/// Copies what is new: segments, and then the playlists that name them.
fn copy(client: &mut Client, root: &Path, copied: &mut BTreeMap<String, ()>) {
    let mut get = |path: &str| {
        let answer = client.get(path);
        assert_eq!(answer.status, 200, "{path}");
        answer.body
    };
    let put = |path: &str, bytes: &[u8]| {
        let (file, new) = (root.join(&path[1..]), root.join("new"));
        fs::write(&new, bytes).unwrap();
        fs::rename(new, file).unwrap();
    };
    let index_path = format!("/{APP}/bench.m3u8");
    let index = get(&index_path);
    let list_path = format!("/{APP}/{}", web_viewers::last_line(&index));
    let list = get(&list_path);
    let folder = list_path.rsplit_once('/').unwrap().0;
    for name in web_viewers::segments(&list).1 {
        if copied.insert(name.clone(), ()).is_none() {
            let path = format!("{folder}/{name}");
            put(&path, &get(&path));
        }
    }
    put(&list_path, &list);
    put(&index_path, &index);
}

impl Drop for Mirror {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
        let _ = fs::remove_dir_all(&self.directory);
    }
}

impl Rows {
    fn add(&mut self, name: &'static str, sample: Sample) {
        match self.0.iter_mut().find(|row| row.0 == name) {
            Some(row) => row.1.push(sample),
            None => self.0.push((name, vec![sample])),
        }
    }

    /// Median of the costs of a row by those of another in the same round.
    fn ratio(&self, name: &str, by: &str) -> f64 {
        let of = |name: &str| self.0.iter().find(|row| row.0 == name).map_or(&[][..], |row| &row.1);
        median(of(name).iter().zip(of(by)).map(|(own, other)| own.each / other.each)).unwrap_or(f64::NAN)
    }

    fn markdown(&self) -> String {
        let mut out =
            "| | CPU s/GB | x RTMP | x RTMP, 50 ms | Mbit/s | bytes each |\n|---|---|---|---|---|---|\n".to_owned();
        for (name, samples) in &self.0 {
            let of = |value: fn(&Sample) -> f64| median(samples.iter().map(value)).unwrap_or(f64::NAN);
            out.push_str(&format!(
                "| {name} | {} | {} | {} | {} | {} |\n",
                decimals(of(|sample| sample.each), 3),
                decimals(self.ratio(name, "rill RTMP"), 2),
                decimals(self.ratio(name, "rill RTMP, 50 ms"), 2),
                decimals(of(|sample| sample.mbps), 0),
                decimals(of(|sample| sample.bytes), 0),
            ));
        }
        out
    }

    /// Each bar that does not hold, in words.
    fn missed(&self) -> Vec<String> {
        let bars = [
            ("rill fMP4, ws", "rill RTMP", LIVE_BAR),
            ("rill FLV", "rill RTMP", LIVE_BAR),
            ("rill fMP4, ws, 50 ms", "rill RTMP, 50 ms", LIVE_BAR),
            ("rill FLV, 50 ms", "rill RTMP, 50 ms", LIVE_BAR),
            ("rill HLS", "rill RTMP", HLS_BAR),
        ];
        let over = bars.iter().filter(|(name, by, bar)| self.ratio(name, by) > *bar);
        over.map(|(name, by, bar)| format!("{name}: {:.2} x {by}, and {bar} is the bar", self.ratio(name, by)))
            .collect()
    }
}
