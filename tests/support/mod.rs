//! What tests with real clients share: the server and client processes, source clips, and the comparison of what was
//! played with what was published.
// Each test file includes these modules and uses only a part of them.
#![allow(dead_code)]
// Everything here is called by tests alone; a panic is how it reports.
#![allow(clippy::unwrap_used)]

pub mod cable;
pub mod clients;
pub mod clip;
pub mod media;
pub mod player;
pub mod process;
pub mod publisher;
pub mod server;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A directory of one test, removed with everything in it when the test ends.
pub struct Scratch(PathBuf);

impl Scratch {
    /// `name` only makes it easier to recognise.
    pub fn new(name: &str) -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let unique = format!("{name}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(unique);
        std::fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed does no harm: the next run takes another name.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The emulator before the server's command line, from `RILL_RUNNER`; empty for a native server.
pub fn runner() -> Vec<String> {
    std::env::var("RILL_RUNNER").unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

/// Whether the server runs in an emulator. Then only the tests with ffmpeg run, and everything may take longer.
pub fn emulated() -> bool {
    !runner().is_empty()
}

/// How long to wait for what takes at most `seconds` on a busy machine: longer when the server is emulated.
pub fn patience(seconds: f64) -> Duration {
    Duration::from_secs_f64(if emulated() { seconds * 6.0 } else { seconds })
}

/// Asks until `ready` says yes. `false` when it did not within `limit`.
pub fn wait_until(limit: Duration, mut ready: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if ready() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
