//! The log on standard error: one line a record, no heap after the first.
//!
//! A terminal gets seconds since the start first, because a board without a clock of its own does not know the date when
//! it starts. A journal has its own clock and gets the priority instead, in the form that it takes off again.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use log::{Level, LevelFilter};

/// Longest line in bytes, its end included; what is more is cut off and marked.
pub const LINE_BYTES: usize = 1024;

/// What stands at the end of a line that was cut.
const CUT: &[u8] = b"...\n";

/// Lines are swallowed while the logger's buffer is made to grow to its full size.
static SILENT: AtomicBool = AtomicBool::new(false);

/// Starts logging.
///
/// `level` is a filter as `RUST_LOG` knows it: `info`, or `warn,rill::server=debug`. Seconds are counted from `start`.
/// Afterwards logging on this thread takes nothing from the heap.
pub fn start(level: &str, start: Instant) {
    let journal = is_journal();
    let mut builder = env_logger::Builder::new();
    builder.parse_filters(level).target(env_logger::Target::Pipe(Box::new(Output)));
    builder.format(move |buffer, record| {
        let mut line = Line { bytes: [0; LINE_BYTES], len: 0 };
        let seconds = (!journal).then(|| start.elapsed());
        line.begin(record.level(), seconds.map(|passed| (passed.as_secs(), passed.subsec_millis())));
        // A line that is full is not an error.
        let _ = line.write_fmt(*record.args());
        buffer.write_all(line.end())
    });
    if builder.try_init().is_ok() {
        warm();
    }
}

/// Logs the longest line into nothing, so that the logger has its buffer.
fn warm() {
    SILENT.store(true, Ordering::Relaxed);
    let level = log::max_level();
    if level < LevelFilter::Error {
        return;
    }
    log::error!("{:1$}", "", LINE_BYTES);
    SILENT.store(false, Ordering::Relaxed);
}

/// Standard error goes to systemd's journal. The variable alone does not say so: the children of a terminal that
/// systemd started have it, too.
fn is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let Ok(ours) = std::fs::metadata("/proc/self/fd/2") else { return false };
    stream == format!("{}:{}", ours.dev(), ours.ino())
}

struct Output;

impl io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if SILENT.load(Ordering::Relaxed) {
            return Ok(bytes.len());
        }
        io::stderr().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A line that is being put together.
struct Line {
    bytes: [u8; LINE_BYTES],
    len: usize,
}

impl Line {
    /// `seconds` (and milliseconds) since the start, or the priority for the journal.
    fn begin(&mut self, level: Level, seconds: Option<(u64, u32)>) {
        let (name, priority) = match level {
            Level::Error => ("error", 3),
            Level::Warn => ("warn", 4),
            Level::Info => ("info", 6),
            Level::Debug => ("debug", 7),
            Level::Trace => ("trace", 7),
        };
        // It fits: it is the beginning.
        let _ = match seconds {
            Some((seconds, millis)) => write!(self, "{seconds}.{millis:03} {name} "),
            None => write!(self, "<{priority}>{name} "),
        };
    }

    /// The line with its end.
    fn end(&mut self) -> &[u8] {
        if self.len < LINE_BYTES {
            self.bytes[self.len] = b'\n';
            return &self.bytes[..=self.len];
        }
        let mut cut = LINE_BYTES - CUT.len();
        while !is_char_start(self.bytes[cut]) {
            cut -= 1;
        }
        self.bytes[cut..cut + CUT.len()].copy_from_slice(CUT);
        &self.bytes[..cut + CUT.len()]
    }
}

/// Not the second or a later byte of a character in UTF-8.
fn is_char_start(byte: u8) -> bool {
    byte & 0xC0 != 0x80
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for &byte in text.as_bytes() {
            let Some(place) = self.bytes.get_mut(self.len) else { return Err(fmt::Error) };
            // What a client sends must not forge a line or steer a terminal.
            *place = if byte.is_ascii_control() { b'?' } else { byte };
            self.len += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(seconds: Option<(u64, u32)>, text: &str) -> String {
        let mut line = Line { bytes: [0; LINE_BYTES], len: 0 };
        line.begin(Level::Warn, seconds);
        let _ = line.write_str(text);
        String::from_utf8(line.end().to_vec()).unwrap()
    }

    #[test]
    fn a_terminal_gets_seconds_and_a_journal_gets_priorities() {
        assert_eq!(line(Some((12, 45)), "c7.2 closed"), "12.045 warn c7.2 closed\n");
        assert_eq!(line(None, "c7.2 closed"), "<4>warn c7.2 closed\n");
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let long = line(None, &"ä".repeat(LINE_BYTES));
        assert!(long.len() <= LINE_BYTES && long.ends_with("ä...\n"), "{}", long.len());
        let fits = line(None, &"x".repeat(LINE_BYTES - 1 - "<4>warn ".len()));
        assert!(fits.len() == LINE_BYTES && fits.ends_with("x\n"));
    }

    #[test]
    fn a_client_cannot_forge_a_line() {
        assert_eq!(line(None, "name=a\ninfo x\u{1b}[2J"), "<4>warn name=a?info x?[2J\n");
    }
}
