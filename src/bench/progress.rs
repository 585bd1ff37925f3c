//! What the user sees on standard error while a measurement runs: one line, rewritten on a terminal, else one every few
//! seconds.

use std::io::{IsTerminal, Write, stderr};

const TERMINAL_INTERVAL_US: u64 = 500_000;
const LOG_INTERVAL_US: u64 = 5_000_000;

/// See the module's documentation.
#[derive(Debug)]
pub struct ProgressLine {
    enabled: bool,
    terminal: bool,
    next_us: u64,
    /// A line without its end stands on the terminal.
    open: bool,
}

impl ProgressLine {
    /// Silent unless `enabled`.
    pub fn new(enabled: bool) -> ProgressLine {
        ProgressLine { enabled, terminal: stderr().is_terminal(), next_us: 0, open: false }
    }

    /// Whether it is time for a new line.
    pub fn is_due(&self, now_us: u64) -> bool {
        self.enabled && now_us >= self.next_us
    }

    /// Shows `line`.
    pub fn show(&mut self, now_us: u64, line: &str) {
        // A closed standard error does not end the measurement.
        let _ = if self.terminal { write!(stderr(), "\r{line}\x1b[K") } else { writeln!(stderr(), "{line}") };
        self.open = self.terminal;
        self.next_us = now_us + if self.terminal { TERMINAL_INTERVAL_US } else { LOG_INTERVAL_US };
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        if self.open {
            let _ = writeln!(stderr());
        }
    }
}
