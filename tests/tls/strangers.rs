//! Peers who speak something else, stop in the middle, or send what is no TLS.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rill::net::tls::{LIBRARY_BYTES, STEP_BYTES};

use crate::authority::Secured;
use crate::support::clients::{ffmpeg_play, ffmpeg_publish};
use crate::support::clip;
use crate::support::media::Media;
use crate::support::process::Process;
use crate::support::server::Server;
use crate::support::{patience, wait_until};

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(patience(10.0))).unwrap();
    stream
}

/// The first record of a client's handshake.
fn hello(port: u16) -> Vec<u8> {
    // What openssl sends to a listener of ours, which is cut off there.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut child = Command::new("openssl")
        .args(["s_client", "-connect", &address.to_string(), "-servername", &format!("p{port}")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    let mut head = [0; 5];
    stream.read_exact(&mut head).unwrap();
    let mut body = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
    stream.read_exact(&mut body).unwrap();
    drop(stream);
    let _ = child.wait();
    [&head[..], &body].concat()
}

#[test]
fn who_comes_to_the_wrong_port_is_told_in_the_log_which_url_to_type() {
    let secured = Secured::start("tls-wrong-port", &[]);
    let mut rtmp = vec![3];
    rtmp.resize(1537, 0);
    for (address, sent, said) in [
        (secured.rtmps, &rtmp[..], "the client speaks RTMP without TLS: use rtmps://"),
        (secured.https, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "the client speaks HTTP without TLS: use https://"),
        (secured.rtmps, b"SSH-2.0-x\r\n", "the client does not speak TLS"),
        (secured.server.address, &hello(1)[..], "the client speaks TLS: use rtmp://"),
        (secured.server.http, &hello(2)[..], "the client speaks TLS: use http://"),
    ] {
        let mut stream = connect(address);
        stream.write_all(sent).unwrap();
        let mut rest = Vec::new();
        // A reset is an end, too.
        let _ = stream.read_to_end(&mut rest);
        secured.server.wait_for_log(&[said]);
    }
}

#[test]
fn what_is_no_tls_is_closed_and_hurts_nobody_else() {
    let secured = Secured::start("tls-garbage", &["timeouts.handshake_ms=1000"]);
    let played = secured.scratch.path("played.flv");
    let mut player = Process::spawn(&secured.scratch, "play", &mut ffmpeg_play(&secured.url("cam"), &played));
    secured.server.wait_for_players("cam", 1);
    let clip = clip::h264_aac();
    let mut publisher =
        Process::spawn(&secured.scratch, "publish", &mut ffmpeg_publish(&clip, &secured.url("cam"), &[]));
    secured.server.wait_for_publisher("cam");
    let hello = hello(3);
    // In the middle of the hello, and behind it; some stay, and are closed for that.
    let mut silent = Vec::new();
    for cut in [0, 1, 4, 5, 6, hello.len() / 2, hello.len() - 1, hello.len()] {
        let mut stream = connect(secured.rtmps);
        stream.write_all(&hello[..cut]).unwrap();
        silent.push(stream);
        let mut stream = connect(secured.rtmps);
        stream.write_all(&hello[..cut]).unwrap();
    }
    // Each byte of the beginning wrong, and bytes behind it that are no record.
    for at in 0..48 {
        let mut wrong = hello.clone();
        wrong[at] ^= 0x55;
        let mut stream = connect(secured.https);
        // It may be closed already.
        let _ = stream.write_all(&wrong);
    }
    let mut stream = connect(secured.rtmps);
    stream.write_all(&[&hello[..], &[0x17, 3, 3, 0xFF, 0xFF], &[0xEE; 4096]].concat()).unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    // A hello that never ends.
    let mut stream = connect(secured.rtmps);
    let _ = stream.write_all(&[&[0x16, 3, 1, 0x40, 0, 1, 0, 0xFF, 0xFF][..], &[0; 40_000]].concat());
    let _ = stream.read_to_end(&mut rest);
    secured.server.wait_for_log(&["is no TLS that can be understood"]);
    for mut stream in silent {
        // The server ends each.
        let _ = stream.read_to_end(&mut rest);
    }
    secured.server.wait_for_log(&["no handshake in time"]);
    publisher.wait_success(patience(20.0));
    player.wait_success(patience(20.0));
    Media::packets(&played).assert_equals(&Media::packets(&clip));
}

#[test]
fn one_more_than_there_are_places_is_closed_and_slow_handshakes_give_way() {
    let secured = Secured::start("tls-full", &["limits.tls_connections=2"]);
    let hello = hello(4);
    let begin = || {
        let mut stream = connect(secured.rtmps);
        stream.write_all(&hello).unwrap();
        stream
    };
    let (mut first, mut second) = (begin(), begin());
    let mut answer = [0; 5];
    first.read_exact(&mut answer).unwrap();
    second.read_exact(&mut answer).unwrap();
    let mut third = connect(secured.rtmps);
    assert!(matches!(third.read(&mut answer), Ok(0) | Err(_)), "there is no place");
    secured.server.wait_for_log(&["every connection with TLS is taken (limits.tls_connections)"]);
    sleep(Duration::from_millis(1100));
    let mut fourth = begin();
    fourth.read_exact(&mut answer).unwrap();
    secured.server.wait_for_log(&["its TLS handshake was slow while another needed its place"]);
}

/// What TLS has of the heap, and the most that it had, in bytes: the server's next report says so.
pub fn heap_bytes(server: &Server) -> [usize; 2] {
    let reports = || server.process.log().matches(" tls_heap_bytes=").count();
    let before = reports();
    server.process.signal(libc::SIGUSR1);
    assert!(wait_until(patience(10.0), || reports() > before));
    let log = server.process.log();
    [" tls_heap_bytes=", " tls_heap_bytes_most="].map(|name| {
        let (_, rest) = log.rsplit_once(name).unwrap();
        rest.split([' ', '\n']).next().unwrap().parse().unwrap()
    })
}

#[test]
fn what_the_library_takes_for_a_connection_is_within_its_share_of_the_memory_table() {
    const EACH: usize = 8;
    let secured = Secured::start("tls-heap", &[]);
    let [before, _] = heap_bytes(&secured.server);
    assert!(before > 0, "the certificate is there");
    let hello = hello(5);
    let mut streams = Vec::new();
    let mut clients = Vec::new();
    for version in ["-tls1_2", "-tls1_3"] {
        for _ in 0..EACH {
            // In the middle of its handshake, and behind it.
            let mut stream = connect(secured.rtmps);
            stream.write_all(&hello).unwrap();
            stream.read_exact(&mut [0; 5]).unwrap();
            streams.push(stream);
            let mut client = Command::new("openssl");
            client.args(["s_client", version, "-connect", &secured.rtmps.to_string()]).stdin(Stdio::piped());
            clients.push(client.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        }
    }
    sleep(Duration::from_secs(1));
    let [now, most] = heap_bytes(&secured.server);
    let connections = 4 * EACH;
    eprintln!("{} bytes each, {} more at most", (now - before) / connections, most - now);
    assert!(now - before > connections * 512, "they are there");
    assert!(now - before <= connections * LIBRARY_BYTES && most <= now + STEP_BYTES);
    for mut client in clients {
        let _ = client.kill();
        let _ = client.wait();
    }
    drop(streams);
    // What was freed was counted as well.
    assert!(
        wait_until(patience(10.0), || heap_bytes(&secured.server)[0] == before),
        "{:?}",
        heap_bytes(&secured.server)
    );
}
