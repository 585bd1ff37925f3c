//! Strangers who open more connections than the server has, as fast as they can, from a few addresses, and do nothing with
//! them but ask for the name that ffmpeg publishes, which another ffmpeg plays.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::{FromRawFd, OwnedFd};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{io::Write, thread};

use rill::net::open_files::raise_limit;
use rill::wire::amf0::Encoder;
use rill::wire::bytes::{Full, Writer};
use rill::wire::chunk::MessageHeader;
use rill::wire::handshake;

use crate::support::clients::{ffmpeg_play, ffmpeg_publish};
use crate::support::clip;
use crate::support::media::Media;
use crate::support::process::{Process, output_of};
use crate::support::server::Server;
use crate::support::{Scratch, emulated, patience, wait_until};

const STRANGERS: u8 = 5;
/// Connections that each of them holds: more than the server has, together.
const HELD: usize = 180;
const CONNECTIONS: usize = 600;
/// Time between two of one stranger: together they open about a thousand in a second.
const PACE: Duration = Duration::from_millis(5);
/// Connections that each opens at most, and how long it goes on.
const MOST: usize = 60_000;
const LONGEST: Duration = Duration::from_secs(60);

#[test]
fn ffmpeg_publishes_and_plays_every_packet_while_strangers_take_all_connections_and_want_its_name() {
    if emulated() {
        eprintln!("left out: the flood would be the emulator's");
        return;
    }
    raise_limit(2 * usize::from(STRANGERS) * HELD).expect("enough open files are allowed");
    let scratch = Scratch::new("strangers");
    let control = scratch.path("control");
    let connections = format!("limits.connections={CONNECTIONS}");
    let server = Server::start(&scratch, &[&connections, &format!("server.control={}", control.display())]);
    let source = clip::h264_aac();
    let ctl = |what: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rill"));
        String::from_utf8(output_of(command.args(["ctl", "--socket"]).arg(&control).arg(what))).unwrap()
    };
    let (opened, done, taken) = (AtomicUsize::new(0), AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        for stranger in 0..STRANGERS {
            let (address, opened, done, taken) = (server.address, &opened, &done, &taken);
            scope.spawn(move || flood(stranger, address, opened, done, taken));
        }
        // However this goes, they end.
        let _end = End(&done);
        let everywhere = || opened.load(Ordering::Relaxed) >= 2 * CONNECTIONS;
        assert!(wait_until(patience(30.0), everywhere), "{} connections", opened.load(Ordering::Relaxed));
        let since = Instant::now();
        let before = opened.load(Ordering::Relaxed);
        for round in 0..3 {
            let (url, played) = (server.url("cam"), scratch.path(&format!("played-{round}.flv")));
            let mut player = Process::spawn(&scratch, "player", &mut ffmpeg_play(&url, &played));
            assert!(wait_until(patience(10.0), || ctl("streams").contains("cam")), "the viewer waits for it");
            let mut publisher = Process::spawn(&scratch, "publisher", &mut ffmpeg_publish(&source, &url, &[]));
            // While it publishes, every stranger wants its name.
            let publishes =
                || ctl("stats").lines().any(|line| line.starts_with("published now") && line.ends_with(" 1"));
            assert!(wait_until(patience(10.0), publishes), "{}", ctl("stats"));
            taken.store(true, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(u64::from(clip::LENGTH_MS) / 2));
            taken.store(false, Ordering::Relaxed);
            publisher.wait_success(patience(20.0));
            player.wait_success(patience(30.0));
            Media::packets(&played).assert_equals(&Media::packets(&source));
        }
        let seconds = since.elapsed().as_secs_f64();
        let opened = opened.load(Ordering::Relaxed) - before;
        let stats = ctl("stats");
        eprintln!("{opened} connections in {seconds:.1} s; {}", stats.replace('\n', " "));
        let refused = stats.lines().find(|line| line.starts_with("closed publish refused")).unwrap_or_default();
        assert!(refused.split(' ').next_back().is_some_and(|count| count.parse::<u32>().unwrap() > 100), "{stats}");
    });
}

/// Says that it is over when it goes.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Opens connections, each of which says as much as the one before or something else, and holds the latest.
fn flood(stranger: u8, server: SocketAddr, opened: &AtomicUsize, done: &AtomicBool, taken: &AtomicBool) {
    let (words, challenge) = words();
    let since = Instant::now();
    let mut held = std::collections::VecDeque::new();
    for number in 0..MOST {
        if done.load(Ordering::Relaxed) || since.elapsed() > LONGEST {
            return;
        }
        if held.len() == HELD {
            held.pop_front();
        }
        let Some(mut stream) = connect(Ipv4Addr::new(127, 1, 1, 1 + stranger), server) else { continue };
        // It may have been turned out already.
        let _ = stream.write_all(if taken.load(Ordering::Relaxed) { &challenge } else { &words[number % words.len()] });
        held.push_back(stream);
        opened.fetch_add(1, Ordering::Relaxed);
        // A debug build on a busy machine should still be able to take them all.
        thread::sleep(PACE);
    }
}

/// A connection from an address of this machine.
fn connect(from: Ipv4Addr, to: SocketAddr) -> Option<TcpStream> {
    let SocketAddr::V4(to) = to else { return None };
    let name = |address: Ipv4Addr, port: u16| {
        // SAFETY: it is integers only, for which zero is a value.
        let mut name: libc::sockaddr_in = unsafe { std::mem::zeroed() };
        name.sin_family = libc::AF_INET as libc::sa_family_t;
        name.sin_port = port.to_be();
        name.sin_addr.s_addr = u32::from_ne_bytes(address.octets());
        name
    };
    let length = size_of::<libc::sockaddr_in>() as libc::socklen_t;
    let (from, to) = (name(from, 0), name(*to.ip(), to.port()));
    // SAFETY: the call takes no pointer; the descriptor it returns is nobody else's.
    let socket = unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0);
        if socket < 0 {
            return None;
        }
        OwnedFd::from_raw_fd(socket)
    };
    let descriptor = std::os::fd::AsRawFd::as_raw_fd(&socket);
    // SAFETY: pointers and lengths are those of `from` and `to`, which live through the calls.
    let connected = unsafe {
        libc::bind(descriptor, (&raw const from).cast(), length) == 0
            && libc::connect(descriptor, (&raw const to).cast(), length) == 0
    };
    connected.then(|| TcpStream::from(socket))
}

/// All that strangers say who do nothing: nothing, half a handshake, a handshake, `connect`, `play` of what nobody publishes;
/// and what they say who want the encoder's name.
fn words() -> (Vec<Vec<u8>>, Vec<u8>) {
    let mut c0c1 = [0; 1 + 1536];
    handshake::request_simple(0, &mut |bytes| bytes.fill(0x5C), &mut c0c1);
    let greeting = [&c0c1[..], &[0x33; 1536]].concat();
    let connect = command(0, "connect", &|amf| {
        amf.object_begin()?;
        amf.property_string("app", "live")?;
        amf.object_end()
    });
    let create = command(0, "createStream", &|amf| amf.null());
    let play = |name: &str| {
        command(1, "play", &|amf| {
            amf.null()?;
            amf.string(name)
        })
    };
    let joined = [greeting.clone(), connect].concat();
    let waiting = |name| [joined.clone(), create.clone(), play(name)].concat();
    let publish = command(1, "publish", &|amf| {
        amf.null()?;
        amf.string("cam")?;
        amf.string("live")
    });
    let challenge = [joined.clone(), create.clone(), publish].concat();
    let idle = vec![
        Vec::new(),
        c0c1[..700].to_vec(),
        greeting,
        joined.clone(),
        waiting("nobody"),
        joined.clone(),
        waiting("nothing"),
    ];
    (idle, challenge)
}

fn command(stream: u32, name: &str, values: &dyn Fn(&mut Encoder<'_, '_>) -> Result<(), Full>) -> Vec<u8> {
    let mut buffer = [0; 128];
    let mut out = Writer::new(&mut buffer);
    let mut amf = Encoder::new(&mut out);
    amf.string(name).unwrap();
    amf.number(1.0).unwrap();
    values(&mut amf).unwrap();
    let length = out.len();
    let mut header = [0; 18];
    let header_length = MessageHeader { timestamp: 0, length: length as u32, type_id: 20, stream_id: stream }
        .emit_type0(3, &mut header);
    [&header[..header_length], &buffer[..length]].concat()
}
