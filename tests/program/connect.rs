//! `rill connect` as a process: what it prints for each way a connection can go, and the status it exits with.
//!
//! What scripts do is in `tests/clients/samples.rs`; here are the server without scripts, and servers made of literal bytes.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::binary::{Server, rill, run, scratch};

const SUCCESS: &str = "connected is: true\n\
    event.info.level: status\n\
    event.info.code: NetConnection.Connect.Success\n\
    event.info.description: Connection succeeded.\n\
    version: 5,0,15,5004\n\
    Congratulations! you're connected\n";
const CLOSED: &str = "connected is: false\n\
    event.info.level: status\n\
    event.info.code: NetConnection.Connect.Closed\n\
    The connection was closed successfully - goodbye\n";

fn server(name: &str) -> Server {
    let root = scratch(&format!("{name}-root"));
    fs::create_dir_all(root.join("applications/HelloServer")).unwrap();
    Server::start(name, &["--root", root.to_str().unwrap()])
}

/// A client that stays, and its lines as they come.
struct Staying {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Staying {
    fn start(arguments: &[&str]) -> Staying {
        let mut child = rill(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Staying { child, lines }
    }

    /// Reads lines up to one that begins with this.
    fn wait_for(&mut self, beginning: &str) {
        let mut line = String::new();
        while !line.starts_with(beginning) {
            line.clear();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "it ended before {beginning}");
        }
    }

    /// The rest of its output and its status.
    fn finish(mut self) -> (String, i32) {
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).unwrap();
        (rest, self.child.wait().unwrap().code().unwrap())
    }
}

/// S0, S1, S2, of which only the first byte means something to a client.
fn greeting() -> Vec<u8> {
    let mut bytes = vec![0; 1 + 2 * 1536];
    bytes[0] = 3;
    bytes
}

/// A string of AMF 0 without its marker.
fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat()
}

/// A command on the connection: name, transaction, null, and an information object of strings.
fn command(name: &str, transaction: f64, info: &[(&str, &str)]) -> Vec<u8> {
    let mut body = [&[2][..], &text(name), &[0], &transaction.to_be_bytes(), &[5, 3]].concat();
    for (key, value) in info {
        body.extend([&text(key)[..], &[2], &text(value)].concat());
    }
    body.extend([0, 0, 9]);
    message(20, &body)
}

/// A message on chunk stream 3 in chunks of 128 bytes.
fn message(type_id: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![3, 0, 0, 0, 0, (body.len() >> 8) as u8, body.len() as u8, type_id, 0, 0, 0, 0];
    for (index, chunk) in body.chunks(128).enumerate() {
        bytes.extend([0xC3].iter().take(usize::from(index > 0)));
        bytes.extend(chunk);
    }
    bytes
}

fn success() -> Vec<u8> {
    command("_result", 1.0, &[("level", "status"), ("code", "NetConnection.Connect.Success")])
}

/// A server that says the same to every client that has shaken hands and begun to connect. It keeps the connection for
/// `keep` and closes it.
fn says(what: Vec<u8>, keep: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for socket in listener.incoming() {
            // A client that goes away early is a matter of the test that started it.
            let _ = converse(socket.unwrap(), &what, keep);
        }
    });
    address
}

fn converse(mut socket: TcpStream, what: &[u8], keep: Duration) -> std::io::Result<()> {
    socket.read_exact(&mut vec![0; 1 + 1536])?;
    socket.write_all(&greeting())?;
    // C2, and the beginning of what comes with it: connect.
    socket.read_exact(&mut vec![0; 1536 + 100])?;
    socket.write_all(what)?;
    let end = Instant::now() + keep;
    socket.set_read_timeout(Some(Duration::from_millis(10)))?;
    while Instant::now() < end {
        if matches!(socket.read(&mut [0; 4096]), Ok(0)) {
            break;
        }
    }
    Ok(())
}

#[test]
fn a_client_that_only_connects_sees_success_and_its_own_close() {
    let server = server("connect-success");
    let (status, output, errors) = run(&["connect", &format!("rtmp://{}/HelloServer", server.address)]);
    assert_eq!((status, output, errors.as_str()), (0, format!("{SUCCESS}{CLOSED}"), ""));
    let line = server.wait_for_log(" connect app=\"HelloServer\"");
    assert!(line.contains("agent=\"rill-connect "), "{line}");
    server.wait_for_log("reason=\"the client closed");
}

#[test]
fn refusals_have_a_status_each() {
    let server = server("connect-refused");
    let refused = |app: &str| run(&["connect", &format!("rtmp://{}/{app}", server.address)]);
    let (status, output, _) = refused("nowhere");
    assert_eq!(status, 3);
    let expected = "connected is: false\n\
        event.info.level: error\n\
        event.info.code: NetConnection.Connect.Rejected\n\
        event.info.description: [ Server.Reject ] : (_defaultRoot_, _defaultVHost_) : Application (nowhere) is not defined.\n\
        Oops! the connection was rejected\n";
    assert_eq!(output, format!("{expected}{CLOSED}"));
    let (status, output, _) = refused("a:b");
    assert!(status == 4 && output.contains("event.info.code: NetConnection.Connect.InvalidApp\n"), "{output}");
    assert!(output.ends_with(CLOSED), "{output}");
}

#[test]
fn calls_are_made_in_their_order_and_one_that_fails_shows_in_the_status() {
    let server = server("connect-calls");
    let url = format!("rtmp://{}/HelloServer/room", server.address);
    for encoding in ["0", "3"] {
        let calls = ["--call", "nope,1", "--call", r#"getStreamLength,"a""#];
        let (status, output, _) = run(&[&["connect", &url, "--encoding", encoding][..], &calls].concat());
        let failed = "connected is: true\n\
            event.info.level: error\n\
            event.info.code: NetConnection.Call.Failed\n\
            event.info.description: Method not found (nope).\n";
        assert_eq!((status, output), (8, format!("{SUCCESS}{failed}result: 0\n{CLOSED}")));
    }
}

#[test]
fn a_client_that_stays_ends_with_ctrl_c_or_with_the_server() {
    let mut server = server("connect-stay");
    let url = format!("rtmp://{}/HelloServer", server.address);
    let mut client = Staying::start(&["connect", &url, "--stay"]);
    client.wait_for("Congratulations!");
    let pid = client.child.id().to_string();
    assert!(Command::new("kill").args(["-s", "INT", &pid]).status().unwrap().success());
    assert_eq!(client.finish(), (CLOSED.to_owned(), 0));
    server.wait_for_log("reason=\"the client closed");

    let mut client = Staying::start(&["connect", &url, "--stay"]);
    client.wait_for("Congratulations!");
    server.signal("TERM");
    let (output, status) = client.finish();
    let shutdown = "connected is: false\n\
        event.info.level: error\n\
        event.info.code: NetConnection.Connect.AppShutdown\n\
        event.info.description: ";
    assert!(status == 7 && output.starts_with(shutdown) && output.ends_with(CLOSED), "{status} {output}");
    server.wait();
}

#[test]
fn what_cannot_be_reached_or_does_not_answer_has_failed() {
    let failed = |url: &str, timeout: &str, reason: &str| {
        let (status, output, errors) = run(&["connect", url, "--timeout", timeout]);
        let expected = format!(
            "connected is: false\n\
             event.info.level: error\n\
             event.info.code: NetConnection.Connect.Failed\n\
             event.info.description: {reason}\n\
             The server may be down or unreachable\n"
        );
        assert_eq!((status, output, errors.as_str()), (5, expected, ""));
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // The system accepts for a server that does not.
    failed(&format!("rtmp://{address}/a"), "0.3", "no answer within 0.3 s");
    drop(listener);
    failed(&format!("rtmp://{address}/a"), "10", &format!("{address} cannot be reached: connection refused"));
    let pending = says(Vec::new(), Duration::from_secs(10));
    failed(&format!("rtmp://{pending}/a"), "0.3", "no answer within 0.3 s");
    let gone = says(Vec::new(), Duration::ZERO);
    failed(&format!("rtmp://{gone}/a"), "10", "the server closed the connection before it answered");
}

#[test]
fn a_server_of_another_protocol_or_without_sense_is_an_error_without_a_status_code() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("rtmp://{}/a", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        let _ = socket.read_to_end(&mut Vec::new());
    });
    let (status, output, errors) = run(&["connect", &url]);
    let expected = "rill connect: not an RTMP server: it speaks HTTP, or something like it\n";
    assert_eq!((status, output.as_str(), errors.as_str()), (1, "", expected));

    let mad = says(message(20, b"\x00\x00"), Duration::from_secs(5));
    let (status, _, errors) = run(&["connect", &format!("rtmp://{mad}/a")]);
    assert_eq!((status, errors.as_str()), (1, "rill connect: the server sent a command that cannot be read\n"));
    assert_eq!(run(&["connect", "rtmpe://h/a"]).0, 2);
    assert!(run(&["connect", "--help"]).1.starts_with("rill connect URL [options]\n"));
}

#[test]
fn the_server_that_closes_without_a_word_is_told_apart_from_the_idle_limit() {
    let closes = says(success(), Duration::from_millis(200));
    let (status, output, _) = run(&["connect", &format!("rtmp://{closes}/a"), "--stay"]);
    assert!(status == 6 && output.ends_with(CLOSED), "{status} {output}");
    let idle = command("onStatus", 0.0, &[("level", "status"), ("code", "NetConnection.Connect.IdleTimeout")]);
    let idle = says([success(), idle].concat(), Duration::from_millis(200));
    let (status, output, _) = run(&["connect", &format!("rtmp://{idle}/a"), "--stay"]);
    assert!(status == 9 && output.ends_with(CLOSED), "{status} {output}");
}

#[test]
fn a_call_without_an_answer_fails_in_time() {
    let mute = says(success(), Duration::from_secs(10));
    let (status, output, _) = run(&["connect", &format!("rtmp://{mute}/a"), "--call", "f", "--timeout", "0.3"]);
    assert_eq!(status, 8);
    assert!(output.contains("NetConnection.Call.Failed\nevent.info.description: no answer within 0.3 s\n"), "{output}");
}

/// Rejects, and sends to another place.
fn redirects(to: &str) -> SocketAddr {
    let mut body = [&[2][..], &text("_error"), &[0], &1f64.to_be_bytes(), &[5, 3]].concat();
    for (key, value) in [("level", "error"), ("code", "NetConnection.Connect.Rejected"), ("description", "moved")] {
        body.extend([&text(key)[..], &[2], &text(value)].concat());
    }
    body.extend([&text("ex")[..], &[3], &text("code"), &[0], &302f64.to_be_bytes(), &text("redirect"), &[2]].concat());
    body.extend([&text(to)[..], &[0, 0, 9, 0, 0, 9]].concat());
    let close = command("close", 0.0, &[]);
    says([message(20, &body), close].concat(), Duration::from_millis(100))
}

#[test]
fn a_redirection_is_printed_and_followed_only_when_asked_three_times_at_most() {
    let server = server("connect-redirect");
    let target = format!("rtmp://{}/HelloServer", server.address);
    let moved = format!("rtmp://{}/a", redirects(&target));
    let rejected = |target: &str| {
        format!(
            "connected is: false\n\
             event.info.level: error\n\
             event.info.code: NetConnection.Connect.Rejected\n\
             event.info.description: moved\n\
             event.info.ex.code: 302\n\
             event.info.ex.redirect: {target}\n\
             Oops! the connection was rejected\n\
             {CLOSED}"
        )
    };
    assert_eq!(run(&["connect", &moved]), (3, rejected(&target), String::new()));
    let (status, output, _) = run(&["connect", &moved, "--follow"]);
    assert_eq!((status, output), (0, format!("{}redirected to: {target}\n{SUCCESS}{CLOSED}", rejected(&target))));

    let second = format!("rtmp://{}/b", redirects(&moved));
    let third = format!("rtmp://{}/c", redirects(&second));
    assert_eq!(run(&["connect", &third, "--follow"]).0, 0);
    let fourth = format!("rtmp://{}/d", redirects(&third));
    let (status, output, errors) = run(&["connect", &fourth, "--follow"]);
    assert_eq!((status, errors.as_str()), (3, "rill connect: 3 redirections followed, not another one\n"));
    assert_eq!(output.matches("redirected to: ").count(), 3);
}

#[test]
fn what_a_server_says_cannot_move_the_cursor() {
    let call = [&[2][..], &text("say\x1b[2J"), &[0], &0f64.to_be_bytes(), &[5, 2], &text("a\nb\u{9b}")].concat();
    let says = says([success(), message(20, &call)].concat(), Duration::from_millis(200));
    let (_, output, _) = run(&["connect", &format!("rtmp://{says}/a"), "--stay"]);
    assert!(output.contains("call: say\\u{1b}[2J [\"a\\nb\\u{9b}\"]\n"), "{output}");
}
