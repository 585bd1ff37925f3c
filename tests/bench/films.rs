//! What a film costs to be sent, beside a bare loop that reads 64 KiB and writes them, and nginx-rtmp's own films, in one run
//! (`make bench`): processor seconds a gigabyte at full speed, and for 40 players at its own pace. Contenders take turns, and the
//! medians are compared. How long films of three hours take to open and to seek, and what a live stream notices of twenty films. Each is
//! held against a bar, and the last lines say which hold.
//!
//! The film is written here; its table is real, its media is a hole. All contenders read it from the page cache.

#![allow(clippy::unwrap_used, reason = "a measurement that the system refuses has failed")]

#[allow(dead_code, reason = "the other measurements need more of it")]
mod contender;
#[path = "../recorded/disk.rs"]
#[allow(dead_code, reason = "tests count reads")]
mod disk;
#[path = "../recorded/film.rs"]
#[allow(dead_code, reason = "tests write other films as well")]
mod film;
#[allow(dead_code, reason = "the other measurements need more of it")]
mod floor;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rill::bench::report::{MeasuredWindow, Quantiles};
use rill::bench::{self, Plan};
use rill::client::send;
use rill::limits::HANDSHAKE_BYTES;
use rill::live::recorded::{Fill, Follows};
use rill::wire::message::UserControl;

use contender::{Contender, Cores, Server};
use film::{Film, Index, Layout};

/// Ten minutes at 2.2 Mbit/s.
const FILM: Film = Film { seconds: 600, picture_bytes: 7000, sound_bytes: 340, layout: Layout::TableFirst };
/// Films of three hours, as they may be laid out.
const LONG: [(&str, Film); 7] = [
    ("table in front", long(Layout::TableFirst)),
    ("table behind", long(Layout::TableLast)),
    ("fragments", long(Layout::Fragments { index: Index::None })),
    ("with mfra", long(Layout::Fragments { index: Index::AtEnd })),
    ("with sidx", long(Layout::Fragments { index: Index::InFront })),
    ("FLV", long(Layout::Flv { indexed: false })),
    ("FLV with index", long(Layout::Flv { indexed: true })),
];
/// An FLV file is written as it is, and has fewer bytes.
const fn long(layout: Layout) -> Film {
    let picture_bytes = if matches!(layout, Layout::Flv { .. }) { 500 } else { 7000 };
    Film { seconds: 3 * 3600, picture_bytes, sound_bytes: 340, layout }
}
const BLOCK_BYTES: usize = 64 * 1024;
/// Players of the second case, how long they are let begin, and how long they are measured.
const PLAYERS: usize = 40;
const BEGIN: Duration = Duration::from_secs(6);
const MEASURED: Duration = Duration::from_secs(10);
/// How often it is measured.
const ROUNDS: usize = 3;
/// Players of films beside a live stream.
const BESIDE: usize = 20;
/// Films sent one after the other at full speed.
const WHOLE: usize = 8;
/// A buffer that no player fills, and that of an ordinary one, in milliseconds.
const ENDLESS_MS: u32 = 36_000_000;
const ORDINARY_MS: u32 = 1000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Bare,
    Rill,
    Nginx,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [bare, port, film, rate] = &arguments[..]
        && bare == "bare"
    {
        return bare_loop(port.parse().unwrap(), Path::new(film), rate.parse().unwrap());
    }
    let cores = contender::pinned();
    let root = contender::scratch().join("films");
    let media = root.join("applications/vod/media");
    fs::create_dir_all(&media).unwrap();
    fs::create_dir_all(root.join("applications").join(contender::APP)).unwrap();
    let film = media.join("film.mp4");
    FILM.write(&film);
    let bytes = fs::read(&film).unwrap().len() as u64;
    println!(
        "a film of {} s and {} MB; processor seconds a GB, and what the bare loop takes of that",
        FILM.seconds,
        bytes / 1_000_000
    );
    let reading = reading_alone(&media, "film.mp4");
    println!("{:14} {:>6} {reading:6.3} s/GB", "reading alone", "Rill");
    let own = contender::scratch().join("long-films");
    fs::create_dir_all(&own).unwrap();
    let mut bars = Vec::new();
    let took: Vec<(f64, f64)> = LONG.iter().map(|(what, film)| open_and_seek(&own, what, film)).collect();
    fs::remove_dir_all(&own).unwrap();
    let slowest = |of: fn(&(f64, f64)) -> f64| took.iter().map(of).fold(0.0, f64::max);
    bars.push(("three hours: open and first block, in ms", slowest(|took| took.0), 100.0));
    bars.push(("three hours: a seek, in ms", slowest(|took| took.1), 50.0));
    // What others do on the machine makes latencies longer, and never shorter.
    let mut least = [f64::MAX; 2];
    for _ in 0..ROUNDS {
        for (least, players) in least.iter_mut().zip([0, BESIDE]) {
            let window = live_beside(&start(Who::Rill, &root, &film, 0, cores), players);
            let Quantiles { p50_us, p99_us, max_us } = window.latency;
            let [p50, p99, max] = [p50_us, p99_us, max_us].map(|us| us as f64 / 1000.0);
            *least = least.min(p99);
            println!(
                "a live stream beside {players:2} films: latency p50 {p50:.2} ms, p99 {p99:.2} ms, at most {max:.2} ms"
            );
        }
    }
    bars.push(("a live stream's p99 beside films, above that alone, in ms", least[1] - least[0], 2.0));
    for (case, paced) in [("at full speed", false), ("40 players", true)] {
        let contenders = [Who::Bare, Who::Rill, Who::Nginx];
        let mut costs = contenders.map(|_| Vec::new());
        for _ in 0..ROUNDS {
            for (who, costs) in contenders.into_iter().zip(&mut costs) {
                if who == Who::Nginx && !Contender::Nginx.is_installed() {
                    continue;
                }
                let rate = if paced { bytes / u64::from(FILM.seconds) } else { 0 };
                let server = start(who, &root, &film, rate, cores);
                let (cpu, sent) = if paced { at_its_pace(&server, who) } else { at_full_speed(&server, who, bytes) };
                let each = cpu * 1e9 / sent as f64;
                costs.push(each);
                let memory = server.resident_kib();
                println!("{case:14} {who:6?} {each:6.3} s/GB, {} MB sent, {memory} KiB", sent / 1_000_000);
            }
        }
        let [bare, rill, nginx] = costs.map(median);
        println!("{case:14} medians: bare loop {bare:.3} s/GB, Rill {rill:.3}, nginx-rtmp {nginx:.3}");
        let [of_bare, of_nginx] = match paced {
            false => ["at full speed, times the bare loop", "at full speed, of nginx-rtmp"],
            true => ["40 players, times the bare loop", "40 players, of nginx-rtmp"],
        };
        bars.push((of_bare, rill / bare, 2.0));
        if nginx > 0.0 {
            bars.push((of_nginx, rill / nginx, 0.5));
        }
    }
    for (what, is, most) in bars {
        println!("{what:58} {is:7.2} {} {most}", if is <= most { "holds: at most" } else { "MISSES" });
    }
}

/// 0 of nothing.
fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(0.0)
}

fn start(who: Who, root: &Path, film: &Path, rate: u64, cores: Option<Cores>) -> Server {
    let text = |path: &Path| path.display().to_string();
    match who {
        Who::Bare => Server::spawn("bare", cores, |port| {
            let arguments = ["bare".to_owned(), port.to_string(), text(film), rate.to_string()];
            (std::env::current_exe().unwrap(), arguments.to_vec())
        }),
        Who::Rill => Server::spawn("rill-films", cores, |port| {
            let set = ["limits.recorded_players=64", "vod.lead_ms=3600000"].map(str::to_owned);
            let set = set.into_iter().flat_map(|set| ["--set".to_owned(), set]);
            let fixed = ["serve", "--board", "host", "--log", "warn", "--root"].map(str::to_owned);
            let listen = [text(root), "--listen".to_owned(), format!("127.0.0.1:{port}")];
            (env!("CARGO_BIN_EXE_rill").into(), fixed.into_iter().chain(listen).chain(set).collect())
        }),
        Who::Nginx => Server::spawn("nginx-films", cores, |port| {
            let application = format!("application vod {{ play {}; }}", text(film.parent().unwrap()));
            contender::nginx_command(port, 64, &application)
        }),
    }
}

/// Processor seconds a GB of filling blocks, without anybody to whom they are sent.
fn reading_alone(directory: &Path, name: &str) -> f64 {
    let scheduled = || {
        let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        text.split_whitespace().next().and_then(|number| number.parse::<u64>().ok()).unwrap_or(0)
    };
    let mut disk = disk::Disk::new(directory.to_owned());
    let (begin, mut bytes) = (scheduled(), 0);
    for _ in 0..WHOLE {
        disk.open(name).unwrap();
        let mut fill = Fill::From(0);
        while disk.fill(fill).1 == Follows::More {
            bytes += disk.block().bytes().len();
            fill = Fill::On;
        }
    }
    (scheduled() - begin) as f64 / bytes as f64
}

/// How many milliseconds it takes from nothing to the first block of a long film, and at most to one that is sought, when the page
/// cache has it.
fn open_and_seek(directory: &Path, what: &str, film: &Film) -> (f64, f64) {
    film.write(&directory.join("long"));
    let mut disk = disk::Disk::new(directory.to_owned());
    let mut took = |seek: Option<u32>| {
        let begin = Instant::now();
        if seek.is_none() {
            disk.open("long").unwrap();
        }
        let (_, follows) = disk.fill(Fill::From(seek.unwrap_or(0)));
        assert_eq!(follows, Follows::More, "{what}");
        begin.elapsed().as_secs_f64() * 1000.0
    };
    // What others do on the machine meanwhile is not what it takes.
    let opened = (0..5).map(|_| took(None)).fold(f64::MAX, f64::min);
    let places = (1..=20).map(|part| film.seconds / 20 * 1000 * part - 1001);
    let worst = places.map(|ms| (0..5).map(|_| took(Some(ms))).fold(f64::MAX, f64::min)).fold(0.0, f64::max);
    println!("three hours: {what:15} open and first block {opened:6.2} ms, a seek at most {worst:6.2} ms");
    (opened, worst)
}

/// Films one after the other, as fast as they come: processor seconds, and bytes received.
fn at_full_speed(server: &Server, who: Who, bytes: u64) -> (f64, u64) {
    let begin = server.cpu_seconds();
    let mut received = 0;
    for _ in 0..WHOLE {
        let mut socket = play(server, who, ENDLESS_MS);
        socket.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
        let mut buffer = vec![0; 1 << 18];
        let mut film = 0;
        // Who keeps the connection afterwards is not waited for.
        while film < bytes * 99 / 100 {
            match socket.read(&mut buffer) {
                Ok(0) | Err(_) => break,
                Ok(count) => film += count as u64,
            }
        }
        assert!(film >= bytes / 2, "{who:?} sent {film} bytes of {bytes}");
        received += film;
    }
    (server.cpu_seconds() - begin, received)
}

/// Many players at once: processor seconds, and bytes received.
fn at_its_pace(server: &Server, who: Who) -> (f64, u64) {
    let received = watch(server, who, PLAYERS);
    thread::sleep(BEGIN);
    let (cpu, bytes) = (server.cpu_seconds(), received.load(Ordering::Relaxed));
    thread::sleep(MEASURED);
    let (cpu, bytes) = (server.cpu_seconds() - cpu, received.load(Ordering::Relaxed) - bytes);
    let expected = FILM_RATE * PLAYERS as u64 * MEASURED.as_secs();
    assert!(bytes > expected * 8 / 10, "{who:?} sent {bytes} bytes of {expected}");
    (cpu, bytes)
}

/// What a player of a live stream sees of it while others watch a film.
fn live_beside(server: &Server, films: usize) -> MeasuredWindow {
    let received = watch(server, Who::Rill, films);
    thread::sleep(BEGIN);
    let before = received.load(Ordering::Relaxed);
    let plan = Plan { players: 1, duration: MEASURED, ..Plan::new(server.url()) };
    let window = bench::run(&plan).unwrap().window;
    let expected = FILM_RATE * films as u64 * MEASURED.as_secs();
    assert!(received.load(Ordering::Relaxed) - before >= expected * 8 / 10, "films went on beside it");
    window
}

/// Players of the film at their own pace, and how many bytes they have received so far.
fn watch(server: &Server, who: Who, players: usize) -> Arc<AtomicU64> {
    let received = Arc::new(AtomicU64::new(0));
    for _ in 0..players {
        let mut socket = play(server, who, ORDINARY_MS);
        let received = received.clone();
        thread::spawn(move || {
            let mut buffer = vec![0; 1 << 17];
            while let Ok(count @ 1..) = socket.read(&mut buffer) {
                received.fetch_add(count as u64, Ordering::Relaxed);
            }
        });
    }
    received
}

/// Bytes a second of the film, at least.
const FILM_RATE: u64 = 30 * FILM.picture_bytes as u64;

/// A player of the film who says all it has to say at once, and then only reads.
fn play(server: &Server, who: Who, buffer_ms: u32) -> TcpStream {
    let mut socket = TcpStream::connect(server.address()).unwrap();
    socket.set_nodelay(true).unwrap();
    if who == Who::Bare {
        return socket;
    }
    let mut hello = vec![3];
    hello.extend([0; HANDSHAKE_BYTES]);
    socket.write_all(&hello).unwrap();
    let mut answer = vec![0; 1 + 2 * HANDSHAKE_BYTES];
    socket.read_exact(&mut answer).unwrap();
    let mut out = answer[1..=HANDSHAKE_BYTES].to_vec();
    send::chunk_size(&mut out);
    let url = format!("rtmp://{}/vod", server.address());
    send::command(&mut out, 0, "connect", 1.0, |amf| {
        amf.object_begin()?;
        amf.property_string("app", "vod")?;
        amf.property_string("tcUrl", &url)?;
        amf.object_end()
    })
    .unwrap();
    send::command(&mut out, 0, "createStream", 2.0, |amf| amf.null()).unwrap();
    send::user_control(&mut out, UserControl::SetBufferLength { stream_id: 1, buffer_ms });
    send::command(&mut out, 1, "play", 0.0, |amf| {
        amf.null()?;
        amf.string("mp4:film.mp4")?;
        amf.number(0.0)
    })
    .unwrap();
    socket.write_all(&out).unwrap();
    socket
}

/// Reads 64 KiB and writes them, again and again, to each of its clients in turn: so many bytes a second, or at once where that is
/// 0.
fn bare_loop(port: u16, film: &Path, rate: u64) {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let file = fs::File::open(film).unwrap();
    let mut block = vec![0; BLOCK_BYTES];
    let mut send = |socket: &mut TcpStream, at: &mut u64| {
        let count = file.read_at(&mut block, *at).unwrap();
        *at += count as u64;
        count > 0 && socket.write_all(&block[..count]).is_ok()
    };
    if rate == 0 {
        for socket in listener.incoming() {
            let (mut socket, mut at) = (socket.unwrap(), 0);
            while send(&mut socket, &mut at) {}
        }
        return;
    }
    listener.set_nonblocking(true).unwrap();
    let period = Duration::from_secs_f64(BLOCK_BYTES as f64 / rate as f64);
    let mut clients: Vec<(TcpStream, u64, Instant)> = Vec::new();
    loop {
        let now = Instant::now();
        if let Ok((socket, _)) = listener.accept() {
            socket.set_nonblocking(false).unwrap();
            clients.push((socket, 0, now));
        }
        clients.retain_mut(|(socket, at, due)| {
            if *due > now {
                return true;
            }
            *due += period;
            send(socket, at)
        });
        let next = clients.iter().map(|client| client.2).min();
        let idle = if clients.len() < PLAYERS { Duration::from_millis(1) } else { period };
        thread::sleep(next.map_or(idle, |next| next.saturating_duration_since(Instant::now()).min(idle)));
    }
}
