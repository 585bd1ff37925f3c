//! The server under test: the real binary, on a port of its own.

use std::net::SocketAddr;
use std::process::Command;

use super::process::Process;
use super::{Scratch, patience, runner, wait_until};

/// A running server. `RILL_BIN` names another binary than the one just built, `RILL_RUNNER` an emulator to run it in.
pub struct Server {
    /// Its process.
    pub process: Process,
    /// Where it listens.
    pub address: SocketAddr,
    /// Where it speaks HTTP.
    pub http: SocketAddr,
}

impl Server {
    /// Starts one with `settings` (`key.path=value`) and waits until it listens. Players are told at once that a publisher
    /// left, so that those which then end do, unless the settings say otherwise.
    pub fn start(scratch: &Scratch, settings: &[&str]) -> Server {
        let binary = std::env::var("RILL_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_rill").to_owned());
        let mut words = runner();
        words.push(binary);
        // An empty file keeps the machine's own configuration out.
        let config = scratch.path("rill.toml");
        std::fs::write(&config, "").unwrap();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(["serve", "--listen", "127.0.0.1:0", "--board", "host", "--log", "info"]);
        command.arg("--config").arg(&config).env_remove("RUST_LOG");
        for setting in ["live.unpublish_grace_ms=0", "server.http=127.0.0.1:0"].iter().chain(settings) {
            command.args(["--set", setting]);
        }
        let mut process = Process::spawn(scratch, "rill", &mut command);
        let mut addresses = None;
        wait_until(patience(10.0), || {
            let log = process.log();
            addresses = address_in(&log, "listening").zip(address_in(&log, "rill http addr="));
            addresses.is_some() || !process.is_running()
        });
        let (address, http) = addresses.unwrap_or_else(|| panic!("{command:?} does not listen:\n{}", process.log()));
        Server { process, address, http }
    }

    /// The URL of a stream of the application `live`.
    pub fn url(&self, name: &str) -> String {
        self.url_in("live", name)
    }

    /// The URL of a stream.
    pub fn url_in(&self, application: &str, name: &str) -> String {
        format!("rtmp://{}/{application}/{name}", self.address)
    }

    /// Waits for a log line that contains all of `parts`.
    pub fn wait_for_log(&self, parts: &[&str]) {
        self.wait_for_logs(1, parts);
    }

    /// Waits until `count` lines of the log contain all of `parts`.
    pub fn wait_for_logs(&self, count: usize, parts: &[&str]) {
        let lines = || self.process.log().lines().filter(|line| parts.iter().all(|part| line.contains(part))).count();
        let seen = wait_until(patience(10.0), || lines() >= count);
        assert!(seen, "{} of {count} log lines with {parts:?}:\n{}", lines(), self.process.log());
    }

    /// Waits until `count` players were let in to the stream of this name, by the log.
    pub fn wait_for_players(&self, name: &str, count: usize) {
        self.wait_for_logs(count, &[" play start ", &format!("name={name:?}")]);
    }

    /// Waits until a publisher of this name was let in, by the log.
    pub fn wait_for_publisher(&self, name: &str) {
        self.wait_for_log(&[" publish start ", &format!("name={name:?}")]);
    }
}

/// The address in the line of the log that has these words.
pub fn address_in(log: &str, words: &str) -> Option<SocketAddr> {
    let line = log.lines().find(|line| line.contains(words))?;
    line.split([' ', '=', '"']).find_map(|word| word.parse().ok())
}
