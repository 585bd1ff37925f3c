//! A server with scripted applications.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::process::Process;
use crate::support::server::Server;
use crate::support::{Scratch, emulated, patience, wait_until};

/// Time in which a client ends by itself after it was refused, or disconnected.
pub fn end() -> Duration {
    patience(20.0)
}

/// A server, and the directory of its test.
pub struct Stage {
    pub server: Server,
    pub scratch: Scratch,
}

impl Stage {
    /// With these applications, name and `main.asc`, and these settings.
    pub fn new(name: &str, applications: &[(&str, &str)], settings: &[&str]) -> Stage {
        let scratch = Scratch::new(name);
        let root = format!("server.root={}", write_root(&scratch, applications).display());
        let mut all = vec![root.as_str()];
        if emulated() {
            all.extend(["scripts.call_ms=250", "scripts.load_ms=2500"]);
        }
        all.extend(settings);
        Stage { server: Server::start(&scratch, &all), scratch }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.scratch.path(name)
    }

    /// `rtmp://HOST/` and this.
    pub fn url(&self, path: &str) -> String {
        format!("rtmp://{}/{path}", self.server.address)
    }

    pub fn spawn(&self, name: &str, mut command: Command) -> Process {
        Process::spawn(&self.scratch, name, &mut command)
    }

    /// rtmpdump that plays a live stream to nowhere, with these connect arguments.
    pub fn rtmpdump(&self, name: &str, path: &str, arguments: &[&str]) -> Process {
        let mut command = Command::new("rtmpdump");
        command.args(["--debug", "--live", "--flv", "/dev/null", "--rtmp", &self.url(path)]);
        for argument in arguments {
            command.args(["-C", argument]);
        }
        self.spawn(name, command)
    }

    /// What an instance (`app/_definst_`) has traced so far.
    pub fn traces(&self, instance: &str) -> Vec<String> {
        traces(&self.server.process.log(), instance)
    }

    /// Waits until an instance has traced this.
    pub fn wait_for_trace(&self, instance: &str, text: &str) {
        self.wait_for_traces(instance, &[text]);
    }

    /// Waits until an instance has traced all of these, in any order.
    pub fn wait_for_traces(&self, instance: &str, texts: &[&str]) {
        let missing = || {
            let traces = self.traces(instance);
            texts.iter().any(|text| !traces.iter().any(|trace| trace == text))
        };
        if !wait_until(patience(10.0), || !missing()) {
            panic!("expected {texts:#?}\nbut there are {:#?}\n{}", self.traces(instance), self.server.process.log());
        }
    }

    /// What the server has to say in the end: nothing used the heap but scripts, and it stops with success.
    pub fn finish(mut self) {
        self.server.process.signal(libc::SIGUSR1);
        self.server.wait_for_log(&["rill status ", " heap_allocations="]);
        let log = self.server.process.log();
        let line = log.lines().rfind(|line| line.contains("rill status ")).unwrap();
        assert!(line.split(' ').any(|field| field == "heap_allocations=0"), "{line}");
        self.stop();
    }

    /// Stops the server.
    pub fn stop(&mut self) {
        self.server.process.signal(libc::SIGTERM);
        let status = self.server.process.wait(patience(5.0));
        assert!(status.success(), "the server ended with {status}:\n{}", self.server.process.log());
    }
}

/// A root with these applications, name and `main.asc`.
pub fn write_root(scratch: &Scratch, applications: &[(&str, &str)]) -> PathBuf {
    let root = scratch.path("root");
    for (name, script) in applications {
        let directory = root.join("applications").join(name);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("main.asc"), script).unwrap();
    }
    root
}

/// What an instance has traced by this log.
pub fn traces(log: &str, instance: &str) -> Vec<String> {
    let mark = format!("script {instance} trace=");
    let traces = log.lines().filter_map(|line| line.split_once(&mark));
    // A text is quoted as in JSON, as long as nothing in it must be escaped but quotes, slashes and line ends.
    traces.map(|(_, quoted)| serde_json::from_str(quoted).unwrap_or_else(|_| quoted.to_owned())).collect()
}

/// The line of `script` that ends with `// MARK`, counted from 1.
pub fn line_of(script: &str, mark: &str) -> usize {
    let end = format!("// {mark}");
    let line = script.lines().position(|line| line.ends_with(&end));
    1 + line.unwrap_or_else(|| panic!("no line of the script ends with {end:?}"))
}

/// Runs a Python program with `librtmp`, and [`PRELUDE`] before it.
pub fn python(program: &str, arguments: &[&str]) -> Command {
    let path = std::env::var_os("RILL_PYTHON_LIBRTMP")
        .map(PathBuf::from)
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/python-librtmp/bin/python"));
    assert!(path.exists(), "no {}: tests/support/python-librtmp.sh installs it, or run make deps", path.display());
    let mut command = Command::new(path);
    command.arg("-u").arg("-c").arg(format!("{PRELUDE}{program}")).args(arguments);
    command
}

/// What these programs share.
const PRELUDE: &str = r#"
import json, sys, time
from librtmp import RTMP, RTMPError, RTMPPacket, RTMPTimeoutError
from librtmp.amf import AMFObject, decode_amf, encode_amf
from librtmp.packet import PACKET_SIZE_MEDIUM, PACKET_TYPE_INVOKE

class Client(RTMP):
    """A client that remembers what it was told, and what went wrong."""

    def __init__(self, url, **options):
        RTMP.__init__(self, url, timeout=20, **options)
        self.told, self.errors = [], []
        self.register_invoke_handler("onStatus", lambda info: self.told.append(info["code"]))
        self.register_invoke_handler("_error", lambda info: self.errors.append(info))

    def join(self):
        """Whether it was accepted. Otherwise it was disconnected."""
        return self.connect().result() is not None

    def ask(self, method, *values):
        """What a method of the server returns."""
        return self.call(method, *values).result()

    def fail(self, method, *values):
        """The error that a method of the server ends with."""
        self.call(method, *values)
        self.process_packets(invoked_method="_error")
        return self.errors.pop()

    def send(self, method, transaction, *values):
        """A call with a transaction number of one's own choice."""
        body = b"".join(encode_amf(value) for value in (method, transaction, None) + values)
        self.send_packet(RTMPPacket(PACKET_TYPE_INVOKE, PACKET_SIZE_MEDIUM, 3, body=body))

    def stay(self):
        """Until the server ends the connection."""
        try:
            while self.connected:
                self.process_packets()
        except RTMPError:
            pass

def same(found, expected):
    assert found == expected and type(found) is type(expected), "%r, not %r" % (found, expected)
"#;
