//! The `rill` binary as a process, without clients.

#![allow(clippy::unwrap_used, dead_code, reason = "each test file uses its part; one that cannot start has failed")]

pub mod processes;

use std::fs;
use std::io::Read;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything takes that works, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A command line of the binary, free of what the machine's environment would add.
pub fn rill(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rill"));
    command.args(arguments).env_remove("RUST_LOG").env_remove("JOURNAL_STREAM").stdin(Stdio::null());
    // Where servers that are told no place would have their control sockets, all at the same.
    command.env("XDG_RUNTIME_DIR", "/nonexistent");
    command
}

/// Runs it to its end: status, standard output, standard error.
pub fn run(arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = rill(arguments).output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// A directory of the test's own, empty at first.
pub fn scratch(name: &str) -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    directory
}

/// A server that listens.
pub struct Server {
    child: Child,
    log: PathBuf,
    /// Where.
    pub address: SocketAddr,
}

impl Server {
    /// Starts one on a port of its own and waits until it listens. `name` is that of its log file.
    pub fn start(name: &str, arguments: &[&str]) -> Server {
        Server::start_with(name, arguments, &[])
    }

    /// Likewise, with some more in its environment.
    pub fn start_with(name: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Server {
        let directory = scratch(name);
        let (log, config) = (directory.join("log"), directory.join("rill.toml"));
        fs::write(&config, "").unwrap();
        let mut command = rill(&["serve", "--listen", "127.0.0.1:0", "--config", config.to_str().unwrap()]);
        // Tests of it are elsewhere; its usual port would be the same for all.
        command.args(["--set", "server.http=[]"]);
        command.args(arguments).envs(environment.iter().copied());
        command.stdout(Stdio::null()).stderr(fs::File::create(&log).unwrap());
        let mut server =
            Server { child: command.spawn().unwrap(), log, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        let line = server.wait_for_log("info rill listening addr=");
        server.address = line.rsplit_once("addr=").unwrap().1.parse().unwrap();
        server
    }

    /// Its configuration file, which is empty at first.
    pub fn config(&self) -> PathBuf {
        self.log.with_file_name("rill.toml")
    }

    /// The log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits for a line that contains `part` and returns it: the last such line.
    pub fn wait_for_log(&self, part: &str) -> String {
        let start = Instant::now();
        loop {
            let log = self.log();
            if let Some(line) = log.lines().rfind(|line| line.contains(part)) {
                return line.to_owned();
            }
            assert!(start.elapsed() < PATIENCE, "no line with {part} in:\n{log}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name.
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args(["-s", signal, &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Lets it open only so many files from now on (util-linux).
    pub fn limit_open_files(&self, files: u32) {
        let limit = format!("--nofile={files}:4096");
        let done = Command::new("prlimit").args(["--pid", &self.child.id().to_string(), &limit]).status();
        assert!(done.unwrap().success());
    }

    /// Waits for the process to end: its status, and how long that took.
    pub fn wait(&mut self) -> (ExitStatus, Duration) {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status, start.elapsed());
            }
            assert!(start.elapsed() < PATIENCE, "it does not end:\n{}", self.log());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Memory that is the process's own (RssAnon), in KiB. Pages of the program's text come when they are first run, and
    /// belong to its file.
    pub fn resident_kib(&self) -> u64 {
        let mut status = String::new();
        fs::File::open(format!("/proc/{}/status", self.child.id())).unwrap().read_to_string(&mut status).unwrap();
        let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The number behind `key=` in a log line.
pub fn number(line: &str, key: &str) -> i64 {
    let value = line.split(' ').find_map(|field| field.strip_prefix(key)?.strip_prefix('='));
    value.unwrap_or_else(|| panic!("no {key} in {line}")).parse().unwrap()
}
