//! Child processes with a log, a deadline, and an end on every path.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::{Scratch, emulated, wait_until};

/// A running program. It is killed when dropped, so no panic leaves one behind.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with both its outputs going to a log file in `scratch` (a pipe that nobody reads would stop it).
    ///
    /// # Panics
    /// When the program is missing, naming the Debian package that has it.
    pub fn spawn(scratch: &Scratch, name: &str, command: &mut Command) -> Process {
        let log = scratch.path(&format!("{name}.log"));
        let output = File::create(&log).unwrap();
        command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
        let child = command.spawn().unwrap_or_else(|error| {
            let program = command.get_program().to_string_lossy().into_owned();
            match package(&program) {
                Some(package) => panic!("{program}: {error}; install the package {package}, or run make deps"),
                None => panic!("{program}: {error}"),
            }
        });
        Process { name: name.to_owned(), child, log }
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: i32) {
        let pid = i32::try_from(self.child.id()).unwrap();
        // SAFETY: kill has no preconditions; the child was not waited for, so the number is still its own.
        let result = unsafe { libc::kill(pid, signal) };
        assert_eq!(result, 0, "{} is gone already:\n{}", self.name, self.log());
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it still runs after `limit`.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let ended = wait_until(limit, || self.child.try_wait().unwrap().is_some());
        assert!(ended, "{} still runs after {limit:?}:\n{}", self.name, self.log());
        self.child.wait().unwrap()
    }

    /// Waits for its end and for success.
    pub fn wait_success(&mut self, limit: Duration) {
        let status = self.wait(limit);
        assert!(status.success(), "{} ended with {status}:\n{}", self.name, self.log());
    }

    /// Ends it at once, as a crash or a power cut would.
    pub fn kill(&mut self) {
        // Both fail only when it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.name, self.log());
        }
    }
}

/// Runs `command` to its end and returns its standard output.
///
/// # Panics
/// When it is missing or fails.
pub fn output_of(command: &mut Command) -> Vec<u8> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| {
        panic!(
            "{program}: {error}; install the package {}, or run make deps",
            package(&program).unwrap_or("that has it")
        )
    });
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} ended with {}:\n{errors}", output.status);
    output.stdout
}

/// Whether GStreamer has an element. Some elements are left out of some distributions' packages.
pub fn gst_has(element: &str) -> bool {
    let mut inspect = Command::new("gst-inspect-1.0");
    inspect.args(["--exists", element]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    !emulated() && inspect.status().is_ok_and(|status| status.success())
}

fn package(program: &str) -> Option<&'static str> {
    Some(match program {
        "ffmpeg" | "ffprobe" => "ffmpeg",
        "rtmpdump" => "rtmpdump",
        "gst-launch-1.0" => "gstreamer1.0-tools",
        _ => return None,
    })
}
