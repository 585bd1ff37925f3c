//! The applications in `tests/applications/`, each against the real server, with `rill connect` as the client: what a
//! client sees is what stands in the application's `client.txt`.
//!
//! A transcript is what terminals would show: `$` and a command line, then its output, then `exit` and its status. `^C`
//! interrupts. `[name] ` before a line is another terminal; lines of one terminal are in order, and a line is waited for
//! before the next one in the file is looked at. `[log] ` before a line waits for it in the server's log. `HOST` is the
//! server's address. Empty lines and those that begin with `#` are for readers.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use crate::support::server::Server;
use crate::support::{Scratch, patience, wait_until};

#[test]
fn the_hello_server_greets() {
    play("HelloServer");
}

#[test]
fn who_knows_the_password_is_accepted() {
    play("accept-by-argument");
}

#[test]
fn the_answer_to_a_client_may_come_later() {
    play("accept-later");
}

#[test]
fn a_rejection_has_a_reason_of_any_type() {
    play("reject-with-object");
}

#[test]
fn clients_are_sent_elsewhere() {
    play("redirect");
}

#[test]
fn methods_are_called_in_both_directions() {
    play("method-calls");
}

#[test]
fn everybody_can_be_disconnected_and_the_application_shut_down() {
    play("kick-all");
}

#[test]
fn everybody_knows_who_is_there() {
    play("presence");
}

#[test]
fn every_application_is_played_by_a_test() {
    let tests = include_str!("samples.rs");
    for entry in fs::read_dir(applications()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(tests.contains(&format!("play({name:?});")), "no test plays {name}");
    }
}

/// What the page shows of clients and scripts is part of the transcripts and of the scripts, so it is true.
#[test]
fn what_the_page_about_connections_shows_is_in_the_samples() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/connections.md")).unwrap();
    let samples = |file: &str| -> Vec<String> {
        let directories = fs::read_dir(applications()).unwrap();
        directories.map(|entry| fs::read_to_string(entry.unwrap().path().join(file)).unwrap()).collect()
    };
    let (transcripts, scripts) = (samples("client.txt"), samples("main.asc"));
    let shown = |language: &str, sources: &[String]| {
        let fence = format!("```{language}\n");
        let blocks = page.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap());
        let blocks: Vec<String> = blocks.map(|block| block.replace("//localhost/", "//HOST/")).collect();
        for block in &blocks {
            assert!(sources.iter().any(|source| source.contains(block)), "not in the samples:\n{block}");
        }
        blocks.len()
    };
    assert!(shown("console", &transcripts) > 0 && shown("js", &scripts) > 0);
}

fn applications() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/applications")
}

/// Plays the transcript of an application.
fn play(application: &str) {
    let scratch = Scratch::new(application);
    let (from, to) = (applications().join(application), scratch.path("applications").join(application));
    fs::create_dir_all(&to).unwrap();
    fs::copy(from.join("main.asc"), to.join("main.asc")).unwrap();
    let root = scratch.path("applications").parent().unwrap().to_owned();
    // Where a busy machine emulates another, a script may take longer to load than it may take to answer.
    let settings = [&format!("server.root={}", root.display()), "scripts.answer_ms=60000"];
    let server = Server::start(&scratch, &settings);
    let transcript = fs::read_to_string(from.join("client.txt")).unwrap();
    let transcript = transcript.replace("HOST", &server.address.to_string());
    let mut terminals: BTreeMap<&str, Terminal> = BTreeMap::new();
    for (number, line) in transcript.lines().enumerate() {
        let place = format!("{application}/client.txt:{}", number + 1);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, line) = match line.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
            Some((name, line)) if !name.contains(' ') => (name, line),
            _ => ("", line),
        };
        if name == "log" {
            server.wait_for_log(&[line]);
        } else if let Some(command) = line.strip_prefix("$ rill ") {
            let running = terminals.insert(name, Terminal::start(command));
            assert!(running.is_none(), "{place}: the terminal {name:?} is busy");
        } else if let Some(status) = line.strip_prefix("exit ") {
            let terminal = terminals.remove(name).unwrap_or_else(|| panic!("{place}: nothing runs"));
            terminal.finish(&place, status.parse().unwrap());
        } else {
            let terminal = terminals.get_mut(name).unwrap_or_else(|| panic!("{place}: nothing runs"));
            match line {
                "^C" => terminal.interrupt(),
                line => terminal.expect(&place, line),
            }
        }
    }
    assert!(terminals.is_empty(), "{:?} still run at the end of the transcript", terminals.keys());
}

/// A command that runs, and its lines as they come.
struct Terminal {
    child: Child,
    lines: Receiver<String>,
}

impl Terminal {
    fn start(command: &str) -> Terminal {
        let mut child = Command::new(env!("CARGO_BIN_EXE_rill"))
            .args(words(command))
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Terminal { child, lines }
    }

    fn expect(&mut self, place: &str, expected: &str) {
        let Ok(line) = self.lines.recv_timeout(patience(10.0)) else {
            panic!("{place}: nothing comes; expected\n{expected}");
        };
        if line != expected {
            let rest: Vec<String> = self.lines.try_iter().collect();
            panic!("{place}: expected\n{expected}\nbut there came\n{line}\n{}", rest.join("\n"));
        }
    }

    fn interrupt(&self) {
        let pid = i32::try_from(self.child.id()).unwrap();
        // SAFETY: kill has no preconditions; the child was not waited for, so the number is still its own.
        assert_eq!(unsafe { libc::kill(pid, libc::SIGINT) }, 0);
    }

    fn finish(mut self, place: &str, status: i32) {
        assert!(wait_until(patience(10.0), || self.child.try_wait().unwrap().is_some()), "{place}: it still runs");
        let ended = self.child.wait().unwrap();
        let rest: Vec<String> = self.lines.iter().collect();
        assert!(rest.is_empty(), "{place}: expected its end, but there came\n{}", rest.join("\n"));
        assert_eq!(ended.code(), Some(status), "{place}");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Both fail only when it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The words of a command line as a shell would see them, where only `'` quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}
