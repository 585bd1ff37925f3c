//! Script processes that are killed, crash and are stopped at random while two hundred clients connect and call: the real server and
//! real processes. Twenty seconds; `make scripts-long` takes ten minutes.

#![allow(clippy::unwrap_used, reason = "a test that meets what it did not expect has failed")]

#[path = "binary/mod.rs"]
mod binary;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rill::client::line::ClientLine;
use rill::client::send;
use rill::rtmp::outbound::OutboundEvent;
use rill::wire::amf0::Decoder;

use binary::processes::{children, state};
use binary::{Server, number, scratch};

const CLIENTS: usize = 200;
/// Each client's next call comes so long after the last answer.
const PAUSE: Duration = Duration::from_millis(50);
/// In which everybody is answered or told, on a machine that has other things to do: the processes have a second, and what
/// comes after that is to come soon.
const TOLD: Duration = Duration::from_secs(4);

const SCRIPT: &str = "
    application.onConnect = function (client) { return true; };
    Client.prototype.ask = function (text) { return text + ' heard'; };
";

/// What has happened.
#[derive(Default)]
struct Seen {
    joined: AtomicU64,
    answered: AtomicU64,
    /// Told to go, refused, or closed.
    sent_away: AtomicU64,
    slowest_ms: AtomicU64,
}

#[test]
fn whatever_becomes_of_script_processes_clients_are_answered_or_told_and_nothing_is_left_behind() {
    let apps = scratch("script-storm-root").join("applications");
    for app in ["one", "two"] {
        fs::create_dir_all(apps.join(app)).unwrap();
        fs::write(apps.join(app).join("main.asc"), SCRIPT).unwrap();
    }
    let long = std::env::var_os("RILL_LONG").is_some();
    let duration = Duration::from_secs(if long { 600 } else { 20 });
    let root = apps.parent().unwrap().to_str().unwrap();
    let sets = ["scripts.answer_ms=1000", "scripts.retry_ms=500", "limits.connections_per_address=0"];
    let mut arguments = vec!["--root", root, "--board", "host"];
    sets.iter().for_each(|set| arguments.extend(["--set", *set]));
    let mut server = Server::start("script-storm", &arguments);
    let (seen, ended) = (Seen::default(), AtomicBool::new(false));
    let mut signals = 0;
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (seen, ended, address) = (&seen, &ended, server.address.to_string());
            scope.spawn(move || {
                while !ended.load(Ordering::Relaxed) {
                    client(&address, ["one", "two"][number % 2], seen, ended);
                }
            });
        }
        let begin = Instant::now();
        let mut seed = 1u64;
        while begin.elapsed() < duration {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            thread::sleep(Duration::from_millis(200 + (seed >> 33) % 600));
            let children = children(server.id());
            if let Some(pid) = children.get((seed >> 40) as usize % children.len().max(1)) {
                let signal = ["KILL", "SEGV", "STOP"][(seed >> 50) as usize % 3];
                Command::new("kill").args([format!("-{signal}"), pid.to_string()]).output().unwrap();
                signals += 1;
            }
        }
        ended.store(true, Ordering::Relaxed);
    });
    let [joined, answered, sent_away, slowest_ms] =
        [&seen.joined, &seen.answered, &seen.sent_away, &seen.slowest_ms].map(|count| count.load(Ordering::Relaxed));
    println!("signals={signals} joined={joined} answered={answered} sent_away={sent_away} slowest_ms={slowest_ms}");
    assert!(signals > 10 && joined > 1000 && answered > 1000 && sent_away > 100);
    // All clients have gone; what was loaded again for them stays, in one process each.
    thread::sleep(Duration::from_millis(1500));
    let left = children(server.id());
    assert!(left.len() <= 2, "{left:?}");
    assert!(left.iter().all(|pid| state(*pid) != Some('Z')), "a process that nobody has reaped");
    server.signal("TERM");
    assert_eq!(server.wait().0.code(), Some(0), "{}", server.log());
    let log = server.log();
    let line = log.lines().find(|line| line.contains("rill stopped")).unwrap();
    assert_eq!(number(line, "heap_allocations"), 0);
    let closed: i64 = line
        .split(' ')
        .filter(|field| field.starts_with("closed_"))
        .map(|field| field.split_once('=').unwrap().1.parse::<i64>().unwrap())
        .sum();
    assert_eq!(number(line, "accepted"), closed);
    assert!(left.iter().all(|pid| state(*pid).is_none()), "no process outlives the server");
}

/// Connects and calls until it is told to go.
fn client(address: &str, app: &str, seen: &Seen, ended: &AtomicBool) {
    let Ok(mut socket) = TcpStream::connect(address) else { return };
    socket.set_nodelay(true).unwrap();
    socket.set_read_timeout(Some(TOLD)).unwrap();
    let mut out = Vec::new();
    let mut line = ClientLine::new(1, &mut out);
    let (mut asked, mut next, mut scratch) = (Instant::now(), 1.0, [0; 4096]);
    loop {
        if socket.write_all(&out).is_err() {
            break;
        }
        out.clear();
        let count = match socket.read(&mut scratch) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("{app}: neither answered nor told for {TOLD:?}")
            }
            // Told, and closed with something unread.
            Err(_) => break,
        };
        let mut input = &scratch[..count];
        while let Some(incoming) = line.next(&mut input, &mut out).unwrap() {
            match incoming {
                OutboundEvent::Open => {
                    send::chunk_size(&mut out);
                    asked = Instant::now();
                    send::command(&mut out, 0, "connect", next, |amf| {
                        amf.object_begin()?;
                        amf.property_string("app", app)?;
                        amf.property_string("tcUrl", &format!("rtmp://{address}/{app}"))?;
                        amf.object_end()
                    })
                    .unwrap();
                }
                OutboundEvent::Command => {
                    let mut amf = Decoder::new(line.session().command().1);
                    let (name, transaction) = (amf.string().unwrap(), amf.number().unwrap());
                    if transaction != next || !matches!(name, b"_result" | b"_error") {
                        continue;
                    }
                    seen.slowest_ms.fetch_max(asked.elapsed().as_millis() as u64, Ordering::Relaxed);
                    if name == b"_error" {
                        // Refused: it comes again when the script may be there.
                        seen.sent_away.fetch_add(1, Ordering::Relaxed);
                        thread::sleep(Duration::from_millis(300));
                        return;
                    }
                    let counter = if next == 1.0 { &seen.joined } else { &seen.answered };
                    counter.fetch_add(1, Ordering::Relaxed);
                    if ended.load(Ordering::Relaxed) {
                        return;
                    }
                    thread::sleep(PAUSE);
                    (asked, next) = (Instant::now(), next + 1.0);
                    send::command(&mut out, 0, "ask", next, |amf| {
                        amf.null()?;
                        amf.string("a word")
                    })
                    .unwrap();
                }
                _ => {}
            }
        }
    }
    seen.slowest_ms.fetch_max(asked.elapsed().as_millis() as u64, Ordering::Relaxed);
    seen.sent_away.fetch_add(1, Ordering::Relaxed);
}
