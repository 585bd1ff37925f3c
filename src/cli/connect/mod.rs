//! `rill connect`: the sample client of Adobe's "Managing connections" as a command.
//!
//! ```text
//! options          arguments -> Options
//! net_connection   the client without its socket
//! json             AMF values as people type and read them
//! socket           what the bytes go through: TCP, or TLS on it
//! ```

mod json;
mod net_connection;
mod options;
mod socket;

use std::ffi::OsString;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::client::url::RtmpUrl;
use crate::text::Plain;

use net_connection::{ClientEvent, ConnectRequest, Failure, NetConnection, NetStatus, Waiting};
pub(super) use options::HELP;
use options::{ConnectArguments, ConnectOptions};
use socket::ClientSocket;

/// Redirections that are followed.
const REDIRECTIONS: usize = 3;
/// How long a server may take to close its side after us, or after it said that it would.
const LINGER: Duration = Duration::from_secs(2);

/// A static, because a handler may run at any time until the process ends.
static STOP: AtomicBool = AtomicBool::new(false);

/// How a connection ended. The numbers are the exit statuses that [`HELP`] lists.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Done = 0,
    Trouble = 1,
    Rejected = 3,
    InvalidApp = 4,
    Failed = 5,
    ClosedByServer = 6,
    AppShutdown = 7,
    CallFailed = 8,
    IdleTimeout = 9,
}

/// `rill connect` with the arguments that follow these two words.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let options = match options::parse(arguments) {
        Ok(ConnectArguments::Connect(options)) => options,
        Ok(ConnectArguments::Help) => {
            let _ = io::stdout().write_all(HELP.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("rill connect: {error}; rill connect --help lists the options");
            return ExitCode::from(2);
        }
    };
    // A second signal ends the process at once. In this order: the first must find the flag unset.
    for signal in [SIGINT, SIGTERM] {
        let installed = flag::register_conditional_shutdown(signal, 128 + signal, &STOP);
        if let Err(error) = installed.and_then(|_| flag::register(signal, &STOP)) {
            eprintln!("rill connect: signals: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::from(follow(&options) as u8)
}

/// Connects, and follows redirections if asked to.
fn follow(options: &ConnectOptions) -> Outcome {
    let mut url = options.url.clone();
    let mut followed = 0;
    loop {
        let parsed = match RtmpUrl::parse(&url) {
            Ok(parsed) => parsed,
            Err(error) => {
                eprintln!("rill connect: {}: {error}", Plain(&url));
                return Outcome::Rejected;
            }
        };
        let mut attempt = Attempt::new(options);
        let outcome = attempt.run(&url, &parsed);
        match attempt.redirect {
            Some(target) if outcome == Outcome::Rejected && options.follow && !STOP.load(Ordering::SeqCst) => {
                // What is said in TLS is for nobody else.
                if parsed.secure && !RtmpUrl::parse(&target).is_ok_and(|target| target.secure) {
                    eprintln!("rill connect: {}: not followed, it is without TLS", Plain(&target));
                    return outcome;
                }
                if followed == REDIRECTIONS {
                    eprintln!("rill connect: {REDIRECTIONS} redirections followed, not another one");
                    return outcome;
                }
                print(&format_args!("redirected to: {}", Plain(&target)));
                url = target;
                followed += 1;
            }
            _ => return outcome,
        }
    }
}

/// One connection.
struct Attempt<'o> {
    options: &'o ConnectOptions,
    /// What a status event made of it.
    outcome: Option<Outcome>,
    call_failed: bool,
    redirect: Option<String>,
    /// Everything asked for was done.
    done: bool,
}

impl<'o> Attempt<'o> {
    fn new(options: &'o ConnectOptions) -> Attempt<'o> {
        Attempt { options, outcome: None, call_failed: false, redirect: None, done: false }
    }

    fn run(&mut self, url: &str, parsed: &RtmpUrl) -> Outcome {
        let socket = match parsed.connect(self.options.timeout) {
            Ok((_, socket)) => socket,
            Err(error) => {
                let place = Plain(&parsed.authority);
                return self.fail(&format!("{place} cannot be reached: {}", reason(&error)));
            }
        };
        let mut socket = match ClientSocket::new(socket, parsed, self.options) {
            Ok(socket) => socket,
            Err(words) => return self.fail(&format!("{}: {words}", Plain(&parsed.authority))),
        };
        if let Err(error) = self.converse(&mut socket, self.request(url, parsed)) {
            eprintln!("rill connect: {error}");
            return Outcome::Trouble;
        }
        self.outcome.take().unwrap_or(if self.call_failed { Outcome::CallFailed } else { Outcome::Done })
    }

    fn request(&self, url: &str, parsed: &RtmpUrl) -> ConnectRequest {
        let options = self.options.clone();
        ConnectRequest {
            app: format!("{}{}", parsed.path, parsed.query),
            tc_url: url.to_owned(),
            flash_ver: options.flash_ver,
            page_url: options.page_url,
            swf_url: options.swf_url,
            object_encoding: options.object_encoding,
            arguments: options.arguments,
            calls: options.calls,
            answers: options.answers,
        }
    }

    /// From the handshake to the end. Errors are those that have no status code; the connection is over then, too.
    fn converse(&mut self, socket: &mut ClientSocket, request: ConnectRequest) -> io::Result<()> {
        let mut out = Vec::new();
        let seed = getrandom::u64().map_err(io::Error::other)?;
        let mut connection = NetConnection::new(request, seed, &mut out);
        let mut input = vec![0; 64 * 1024];
        let mut waiting = (connection.waiting(), Instant::now() + self.options.timeout);
        // Set when nothing but the server's end is waited for.
        let mut over: Option<Instant> = None;
        loop {
            // What cannot be sent is found out by reading, which first gives what the server has said.
            let sent = socket.write_all(&std::mem::take(&mut out));
            let count = match socket.read(&mut input) {
                Err(error) if is_timeout(&error) && sent.is_ok() => None,
                Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => Some(0),
                Err(error) if is_timeout(&error) => Some(0),
                Err(error) => return Err(error),
                Ok(count) => Some(count),
            };
            let taken = connection.receive(&input[..count.unwrap_or(0)], &mut out);
            while let Some(event) = connection.next_event() {
                let ends = self.event(event, connection.connected());
                if ends && over.is_none() {
                    over = Some(Instant::now() + LINGER);
                }
            }
            let now = Instant::now();
            if let Err(failure) = taken {
                return Err(io::Error::other(failure));
            }
            if count == Some(0) {
                self.server_closed(&connection, over.is_some());
                return Ok(());
            }
            if over.is_none() && (self.done || STOP.load(Ordering::SeqCst)) {
                over = Some(now);
            }
            if over.is_some_and(|deadline| now >= deadline) {
                self.close(socket, &connection);
                return Ok(());
            }
            if waiting.0 != connection.waiting() {
                waiting = (connection.waiting(), now + self.options.timeout);
            } else if now >= waiting.1 && over.is_none() {
                let text = format!("no answer within {} s", self.options.timeout.as_secs_f64());
                match waiting.0 {
                    Waiting::Nothing => {}
                    Waiting::Call(_) => connection.give_up_call(&text, &mut out).map_err(io::Error::other)?,
                    Waiting::Handshake | Waiting::Connect => {
                        self.outcome = Some(self.fail(&text));
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Does what the page's client does, and says whether the connection is to end now.
    fn event(&mut self, event: ClientEvent, connected: bool) -> bool {
        match event {
            ClientEvent::Status(status) => return self.status(&status, connected),
            ClientEvent::Called { name, arguments, answer } => {
                print(&format_args!("call: {} {}", Plain(&name), Plain(&Json::Array(arguments).to_string())));
                match answer {
                    Some(Ok(value)) => print(&format_args!("answer: {}", Plain(&value.to_string()))),
                    Some(Err(description)) => print(&format_args!("answer: {}", Plain(&description))),
                    None => {}
                }
            }
            ClientEvent::Result(value) => print(&format_args!("result: {}", Plain(&value.to_string()))),
            ClientEvent::Done => self.done = !self.options.stay,
            ClientEvent::CloseAsked => return true,
        }
        false
    }

    fn status(&mut self, status: &NetStatus, connected: bool) -> bool {
        show(status, connected);
        let sentence = match status.code.as_str() {
            "NetConnection.Connect.Success" => Some("Congratulations! you're connected"),
            "NetConnection.Connect.Rejected" => Some("Oops! the connection was rejected"),
            "NetConnection.Connect.Failed" => Some("The server may be down or unreachable"),
            "NetConnection.Connect.Closed" => Some("The connection was closed successfully - goodbye"),
            _ => None,
        };
        if let Some(sentence) = sentence {
            print(&sentence);
        }
        let outcome = match status.code.as_str() {
            "NetConnection.Connect.Rejected" => Outcome::Rejected,
            "NetConnection.Connect.InvalidApp" => Outcome::InvalidApp,
            "NetConnection.Connect.Failed" => Outcome::Failed,
            "NetConnection.Connect.AppShutdown" => Outcome::AppShutdown,
            // The second is what Adobe's configuration guide calls it.
            "NetConnection.Connect.IdleTimeout" | "NetConnection.Connect.Idle" => Outcome::IdleTimeout,
            code if code.starts_with("NetConnection.Connect.") && status.level == "error" => Outcome::Trouble,
            code => {
                self.call_failed |= code.starts_with("NetConnection.Call.");
                return false;
            }
        };
        if outcome == Outcome::Rejected {
            let ex = status.others.iter().find(|(key, _)| key == "ex");
            self.redirect = ex.and_then(|(_, ex)| ex.get("redirect")?.as_str()).map(str::to_owned);
        }
        self.outcome = Some(outcome);
        // The server closes now; if it does not, we do.
        true
    }

    /// The socket ended. A client makes the event for it itself (`NetConnection.Connect.Closed`).
    fn server_closed(&mut self, connection: &NetConnection, expected: bool) {
        let answered = !matches!(connection.waiting(), Waiting::Handshake | Waiting::Connect);
        if !answered && !expected && self.outcome.is_none() {
            self.outcome = Some(self.fail("the server closed the connection before it answered"));
            return;
        }
        if self.outcome.is_none() && !self.done && !STOP.load(Ordering::SeqCst) {
            self.outcome = Some(Outcome::ClosedByServer);
        }
        self.closed();
    }

    /// We close: everything that was sent arrives, and the server sees an orderly end.
    fn close(&mut self, socket: &mut ClientSocket, connection: &NetConnection) {
        let deadline = Instant::now() + LINGER;
        // What the server still sends is about a connection that the client has closed.
        if socket.finish().is_ok() {
            let mut rest = [0; 4096];
            while Instant::now() < deadline {
                match socket.read(&mut rest) {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(error) if is_timeout(&error) => {}
                    Err(_) => break,
                }
            }
        }
        if matches!(connection.waiting(), Waiting::Handshake | Waiting::Connect) && self.outcome.is_none() {
            self.outcome = Some(self.fail("interrupted before the server answered"));
            return;
        }
        self.closed();
    }

    fn closed(&mut self) {
        let outcome = self.outcome.take();
        let status =
            NetStatus { level: "status".into(), code: "NetConnection.Connect.Closed".into(), ..NetStatus::default() };
        self.status(&status, false);
        self.outcome = outcome;
    }

    /// The event that a client makes when it cannot connect.
    fn fail(&mut self, description: &str) -> Outcome {
        self.status(&NetStatus::error("NetConnection.Connect.Failed", description), false);
        Outcome::Failed
    }
}

/// Prints an event: one line a member that means something to a reader.
fn show(status: &NetStatus, connected: bool) {
    print(&format_args!("connected is: {connected}"));
    print(&format_args!("event.info.level: {}", Plain(&status.level)));
    print(&format_args!("event.info.code: {}", Plain(&status.code)));
    if let Some(description) = &status.description {
        print(&format_args!("event.info.description: {}", Plain(description)));
    }
    let success = status.code == "NetConnection.Connect.Success";
    for (key, value) in &status.others {
        match (key.as_str(), value) {
            ("data", Json::Object(data)) if success => {
                if let Some(version) = data.get("version").and_then(Json::as_str) {
                    print(&format_args!("version: {}", Plain(version)));
                }
            }
            // What the server can do is of no use to this client.
            _ if success => {}
            ("ex", Json::Object(members)) => {
                for (key, value) in members {
                    show_member(&format!("ex.{key}"), value);
                }
            }
            _ => show_member(key, value),
        }
    }
}

fn show_member(key: &str, value: &Json) {
    match value {
        Json::String(text) => print(&format_args!("event.info.{}: {}", Plain(key), Plain(text))),
        value => print(&format_args!("event.info.{}: {}", Plain(key), Plain(&value.to_string()))),
    }
}

/// Prints a line on standard output and flushes it, so that a reader sees events as they come. A closed pipe ends the
/// program.
fn print(line: &dyn fmt::Display) {
    let mut output = io::stdout();
    if writeln!(output, "{line}").and_then(|()| output.flush()).is_err() {
        STOP.store(true, Ordering::SeqCst);
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// The system's reason in words, without its number.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Session(error) => error.fmt(f),
            Failure::Command => f.write_str("the server sent a command that cannot be read"),
            Failure::TooLong => f.write_str("the arguments are longer than a command may be"),
        }
    }
}

impl std::error::Error for Failure {}
