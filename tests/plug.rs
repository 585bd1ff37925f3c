//! The plug, pulled: recordings on an ext4 file system in a file, which is copied while they are written. The copy is what a card
//! holds whose power went at that moment: its journal is replayed when it is mounted, and a server starts on it.
//!
//! Every file then opens, begins where its predecessor ended, and holds what was published byte for byte, up to `record.sync_ms` and
//! one fragment before the plug was pulled. It takes loop devices, and so root. `make plug-test` pulls it a hundred times.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that meets what it did not expect has failed")]

#[path = "binary/mod.rs"]
mod binary;
#[path = "rtmp/mod.rs"]
mod rtmp;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rill::bench::source::{Rates, SyntheticStream};
use rill::wire::flv_front::{SIZE_BYTES, size_in};
use rill::wire::mp4::hybrid::{Hybrid, HybridState};
use rill::wire::recorded::{MessageKind, Recorded};
use rill::wire::windows::{File, Windows};

use rtmp::{call, connect, null, string};

/// How long a group of pictures is, and with it a fragment, in milliseconds.
const FRAGMENT_MS: u32 = 2000;
/// The default of `record.sync_ms`.
const SYNC_MS: u32 = 2000;
/// What the way from the socket to the medium may take beside that on a machine that has other things to do, in milliseconds.
const BUSY_MS: u32 = 700;
/// Chunks larger than any message, so that each is one.
const CHUNK_BYTES: u32 = 0x10_0000;
const RATES: Rates = Rates { bitrate_bps: 3_000_000, frame_rate: 25 };
const IMAGE_BYTES: u64 = 96 << 20;

/// An ext4 file system in a file, mounted.
struct Card {
    image: PathBuf,
    mounted: PathBuf,
}

impl Card {
    fn mount(image: PathBuf) -> Card {
        let mounted = image.with_extension("mounted");
        fs::create_dir_all(&mounted).unwrap();
        run("mount", &["-o", "loop", image.to_str().unwrap(), mounted.to_str().unwrap()]);
        Card { image, mounted }
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        run("umount", &[self.mounted.to_str().unwrap()]);
        let _ = fs::remove_dir(&self.mounted);
        let _ = fs::remove_file(&self.image);
    }
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Whether file systems in files can be mounted here.
fn can_mount(directory: &Path) -> bool {
    let image = directory.join("try.img");
    let mounted = directory.join("try");
    fs::create_dir_all(&mounted).unwrap();
    fs::File::create(&image).unwrap().set_len(4 << 20).unwrap();
    let done = |program: &str, arguments: &[&str]| {
        Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
    };
    let (image, mounted) = (image.to_str().unwrap(), mounted.to_str().unwrap());
    done("mkfs.ext4", &["-q", "-F", image])
        && done("mount", &["-o", "loop", image, mounted])
        && done("umount", &[mounted])
}

/// What pictures and sound are sent as.
const KINDS: [(MessageKind, u8); 2] = [(MessageKind::Video, 9), (MessageKind::Audio, 8)];

/// A frame that was sent.
struct Sent {
    message_type: u8,
    time_ms: u32,
    payload: Vec<u8>,
}

/// The frames of a file.
fn read(bytes: &[u8]) -> Vec<(MessageKind, Vec<u8>)> {
    let (mut source, mut windows) = (bytes, Windows::new());
    let mut file = File::new(&mut source, &mut windows);
    let recorded = Recorded::open(&mut file, Default::default()).expect("every file that is left opens");
    let mut place = recorded.begin(&mut file).unwrap();
    let mut frames = Vec::new();
    while let Some(message) = recorded.next(&mut file, &mut place).unwrap() {
        let mut payload = message.front.to_vec();
        payload.extend(&bytes[message.body.at as usize..][..message.body.bytes as usize]);
        if !message.is_header {
            frames.push((message.kind, payload));
        }
    }
    frames
}

/// Whether a server has finished the file: its own front says how long it is, or its own table ends it.
fn is_complete(bytes: &[u8]) -> bool {
    if bytes.starts_with(b"FLV") {
        return bytes.get(..SIZE_BYTES).and_then(size_in) == Some(bytes.len() as u64);
    }
    let (mut source, mut windows) = (bytes, Windows::new());
    match Hybrid::look(&mut File::new(&mut source, &mut windows)) {
        Ok(Some(Hybrid { state: HybridState::Closed { moov_at }, .. })) => {
            let table = bytes.get(moov_at as usize..).and_then(|table| table.first_chunk());
            table.is_some_and(|size| moov_at + u64::from(u32::from_be_bytes(*size)) == bytes.len() as u64)
        }
        _ => false,
    }
}

/// What was pulled, and what was left.
struct Pulled {
    after_ms: u32,
    lost_ms: u32,
    files: usize,
}

/// Publishes in real time until the plug is pulled, and looks at what is left.
fn pull(directory: &Path, round: u64, segment_s: u32) -> Pulled {
    // Anywhere in three groups of pictures, some files behind.
    let after_ms = 2500 + (round.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33) as u32 % 12_000;
    let image = directory.join(format!("{round}.img"));
    fs::File::create(&image).unwrap().set_len(IMAGE_BYTES).unwrap();
    run("mkfs.ext4", &["-q", "-F", image.to_str().unwrap()]);
    let card = Card::mount(image);
    let container = ["mp4", "flv"][round as usize / 2 % 2];
    let settings = [
        "record.on=true".to_owned(),
        format!("record.container={container}"),
        format!("record.segment_s={segment_s}"),
        format!("record.directory={}", card.mounted.display()),
        "record.keep_free=0".to_owned(),
    ];
    let sets: Vec<&str> = settings.iter().flat_map(|set| ["--set", set]).collect();
    let server = binary::Server::start(&format!("plug-{round}"), &sets);
    let mut socket = TcpStream::connect(server.address).unwrap();
    let mut heard = socket.try_clone().unwrap();
    let ears = thread::spawn(move || while heard.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {});
    let chunk_size = rtmp::control(1, &CHUNK_BYTES.to_be_bytes());
    let hello = [
        rtmp::handshake(),
        chunk_size,
        connect(1.0, &[("app", string("live"))]),
        call(0, "createStream", 2.0, &[null()]),
        rtmp::publish(1, "cam"),
    ];
    socket.write_all(&hello.concat()).unwrap();
    let begin = Instant::now();
    let mut source = SyntheticStream::new(RATES, 0);
    let mut headers = Vec::new();
    source.headers(1, CHUNK_BYTES as usize, &mut headers);
    socket.write_all(&headers).unwrap();
    let (mut sent, mut bytes) = (Vec::new(), Vec::new());
    loop {
        let now = begin.elapsed();
        if now.as_millis() as u32 >= after_ms {
            break;
        }
        let due = Duration::from_micros(source.due_us());
        if due > now {
            thread::sleep((due - now).min(Duration::from_millis(5)));
            continue;
        }
        bytes.clear();
        let payload = source.next(now.as_micros() as u64, 1, CHUNK_BYTES as usize, &mut bytes);
        let payload = bytes[bytes.len() - payload..].to_vec();
        let time_ms = u32::from_be_bytes([0, bytes[1], bytes[2], bytes[3]]);
        sent.push(Sent { message_type: bytes[7], time_ms, payload });
        socket.write_all(&bytes).unwrap();
    }
    let copy = directory.join(format!("{round}-pulled.img"));
    fs::copy(&card.image, &copy).unwrap();
    drop((server, socket));
    ears.join().unwrap();
    drop(card);
    let card = Card::mount(copy);
    let directory = format!("record.directory={}", card.mounted.display());
    let server = binary::Server::start(&format!("plug-{round}-after"), &["--set", &directory]);
    let files = recordings(&card.mounted.join("live/cam"), &server);
    let left: Vec<_> = files.iter().flat_map(|file| read(file)).collect();
    // What is left of both goes as far as what is left of the one that ends first.
    let mut end_ms = u32::MAX;
    for (kind, message_type) in KINDS {
        let left = left.iter().filter(|(found, _)| *found == kind);
        let mut sent = sent.iter().filter(|frame| frame.message_type == message_type);
        let mut last_ms = None;
        for (_, payload) in left {
            let frame = sent.next().expect("no frame is left that was not sent");
            assert!(
                *payload == frame.payload,
                "the {container} file has another frame than the one of {} ms",
                frame.time_ms
            );
            last_ms = Some(frame.time_ms);
        }
        end_ms = end_ms.min(last_ms.map_or(0, |ms| ms + 40));
    }
    let pulled = Pulled { after_ms, lost_ms: after_ms.saturating_sub(end_ms), files: files.len() };
    println!(
        "round {round}: {container} pulled after {after_ms} ms, lost {} ms, {} files",
        pulled.lost_ms, pulled.files
    );
    drop(server);
    pulled
}

/// What is in the folder when the server has finished it, in the order of names.
fn recordings(folder: &Path, server: &binary::Server) -> Vec<Vec<u8>> {
    let start = Instant::now();
    loop {
        let mut paths: Vec<PathBuf> = match fs::read_dir(folder) {
            Ok(entries) => entries.map(|entry| entry.unwrap().path()).collect(),
            Err(_) => Vec::new(),
        };
        paths.sort();
        let files: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
        if files.iter().all(|file| is_complete(file)) {
            return files;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{paths:?} are not finished:\n{}", server.log());
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_pulled_plug_costs_the_sync_time_and_a_fragment_and_every_file_opens_after_the_next_start() {
    let shared = Path::new("/dev/shm");
    let place = if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() };
    let directory = place.join(format!("rill-plug-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    if !can_mount(&directory) {
        println!("skipped: no file system can be mounted here (it takes root, loop devices and mkfs.ext4)");
        fs::remove_dir_all(&directory).unwrap();
        return;
    }
    let rounds: u64 = std::env::var("RILL_PLUG_ROUNDS").map_or(4, |rounds| rounds.parse().unwrap());
    // They wait more than they compute.
    let lanes = 4.min(rounds);
    let lane = |lane: u64| {
        let directory = &directory;
        move || (lane..rounds).step_by(lanes as usize).map(|round| pull(directory, round, 10)).collect::<Vec<_>>()
    };
    let pulled: Vec<Pulled> = thread::scope(|scope| {
        let threads: Vec<_> = (0..lanes).map(|at| scope.spawn(lane(at))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    fs::remove_dir_all(&directory).unwrap();
    let mut lost: Vec<u32> = pulled.iter().map(|pulled| pulled.lost_ms).collect();
    lost.sort_unstable();
    let (most, middle) = (lost[lost.len() - 1], lost[lost.len() / 2]);
    println!("{rounds} rounds: lost {middle} ms in the middle, {most} ms at most");
    let worst = pulled.iter().max_by_key(|pulled| pulled.lost_ms).unwrap();
    let bar_ms = SYNC_MS + FRAGMENT_MS + BUSY_MS;
    assert!(worst.lost_ms <= bar_ms, "{} ms of {} are lost; {bar_ms} may be", worst.lost_ms, worst.after_ms);
}
