//! The log on standard error: one line a record, no heap after the first, and never a wait.
//!
//! Date and time come first, in the machine's time zone. A board without a clock of its own does not know them when it
//! starts: until it does, it is seconds since the start. A journal has its own clock and gets the priority instead, in the
//! form that it takes off again. `server.log_time` says otherwise ([`LogTime`]).
//!
//! A line that standard error does not take at once is lost and counted, because a reader that is stuck must not stop
//! the server. So is a line beyond the allowance of its subject ([`TokenBucket`]): any client can make the server write
//! lines, which would fill an SD card and wear it out. `rill N log lines were lost` says how many.
//!
//! A regular file always says that it takes more, and then a write waits for its medium: an SD card stalls for seconds
//! now and then. Logs belong in the journal, in a pipe to a log rotator, or on a file system in memory (tmpfs).

use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use log::{Level, LevelFilter, Record};

use crate::config::LogTime;
use crate::store::recordings::disk::LocalTime;
use crate::text::{escaped, is_hidden};
use crate::token_bucket::TokenBucket;

/// Longest line in bytes, its end included; what is more is cut off and marked. A pipe takes so much whole or not at all
/// (POSIX, `PIPE_BUF`: at least 512, 4096 on Linux).
pub const LINE_BYTES: usize = 1024;

/// Lines a second that each subject may write in the long run.
pub const LINES_PER_SECOND: u32 = 200;
/// Lines that each subject may write at once after it was quiet.
pub const LINES_BURST: u32 = 1000;

/// What stands at the end of a line that was cut.
const CUT: &[u8] = b"...\n";
/// While lines are lost all the time, the log says so this often, in milliseconds.
const LOSS_NOTICE_MS: u64 = 1000;
/// Standard error, to be opened anew.
const STANDARD_ERROR: &str = "/proc/self/fd/2";

/// This program is younger than 2026 (UTC): a clock that shows an earlier time was not set.
const EARLIEST_S: u64 = 1_767_225_600;
/// A clock that was not set is looked at again after so long, in milliseconds.
const CLOCK_MS: u64 = 1000;
/// A clock that goes on without power.
const RTC: &str = "/sys/class/rtc/rtc0";

/// See [`trust_clock`].
static CLOCK_IS_TRUSTED: AtomicBool = AtomicBool::new(false);

/// The [`LogTime`] in force, by its place in [`LogTime::ALL`].
static TIME: AtomicU8 = AtomicU8::new(LogTime::Auto as u8);

/// Lines begin with this from now on.
pub fn set_time(time: LogTime) {
    TIME.store(time as u8, Ordering::Relaxed);
}

/// Lines are swallowed while the logger is made to obtain all that it needs.
static SILENT: AtomicBool = AtomicBool::new(false);

/// Starts logging.
///
/// `filter` is one as `RUST_LOG` knows it: `info`, or `warn,rill::server=debug`. Seconds are counted from `start`.
/// Afterwards logging on this thread takes nothing from the heap and never waits.
pub fn start(filter: &str, start: Instant) {
    let log = Mutex::new(Log::new(start));
    let level: Option<LevelFilter> = filter.parse().ok();
    let mut builder = env_logger::Builder::new();
    // A plain level can change later, so the logger itself must let everything through.
    builder
        .parse_filters(if level.is_some() { "trace" } else { filter })
        .target(env_logger::Target::Pipe(Box::new(io::sink())));
    // Its own buffer stays empty: it writes what it has until it is written, and we must be able to let go.
    builder.format(move |_, record| {
        if !SILENT.load(Ordering::Relaxed) {
            log.lock().unwrap_or_else(PoisonError::into_inner).record(record);
        }
        Ok(())
    });
    if builder.try_init().is_ok() {
        warm();
        level.into_iter().for_each(log::set_max_level);
    }
}

/// Logs from now on at `level`: `off`, `error`, `warn`, `info`, `debug` or `trace`. It has its whole effect where the log
/// was started with such a level and not with a longer filter.
pub fn set_level(level: &str) {
    level.parse().into_iter().for_each(log::set_max_level);
}

/// Logs into nothing, so that the logger has what it needs for this thread.
fn warm() {
    if log::max_level() < LevelFilter::Error {
        return;
    }
    SILENT.store(true, Ordering::Relaxed);
    // The C library reads the time zone once.
    let _ = Wall::now();
    log::error!("");
    SILENT.store(false, Ordering::Relaxed);
}

/// Standard error goes to systemd's journal. The variable alone does not say so: the children of a terminal that
/// systemd started have it, too.
fn is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let Ok(ours) = std::fs::metadata("/proc/self/fd/2") else { return false };
    stream == format!("{}:{}", ours.dev(), ours.ino())
}

/// The kernel's clock was set, or the machine has a clock that goes on without power. If the kernel does not tell, a
/// possible date counts as set.
fn clock_is_set() -> bool {
    if Wall::seconds() < EARLIEST_S {
        return false;
    }
    if CLOCK_IS_TRUSTED.load(Ordering::Relaxed) {
        return true;
    }
    // SAFETY: all of it are numbers, for which 0 is a value; no mode is set, so the call only reads.
    let mut state: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a timex that lives through the call.
    let answered = unsafe { libc::adjtimex(&raw mut state) };
    answered == -1 || state.status & libc::STA_UNSYNC == 0 || Path::new(RTC).exists()
}

/// From now on the clock counts as set when it shows a possible date, whatever the kernel says (`server.trust_clock`).
pub fn trust_clock() {
    CLOCK_IS_TRUSTED.store(true, Ordering::Relaxed);
}

/// What the clock shows, in milliseconds since 1970; `None` while it is not set.
pub fn clock_ms() -> Option<u64> {
    let since = SystemTime::UNIX_EPOCH.elapsed().ok().filter(|_| clock_is_set())?;
    u64::try_from(since.as_millis()).ok()
}

/// Date and time of day here, for the names of files; `None` while the clock is not set.
pub fn local_time() -> Option<LocalTime> {
    let time = Wall::now().filter(|_| clock_is_set())?.time;
    let part = |number: libc::c_int| u32::try_from(number).unwrap_or(0);
    Some(LocalTime {
        year: part(time.tm_year + 1900),
        month: part(time.tm_mon + 1),
        day: part(time.tm_mday),
        hour: part(time.tm_hour),
        minute: part(time.tm_min),
        second: part(time.tm_sec),
    })
}

/// Dates are those of this time zone from now on, as POSIX writes it (`TZ`).
///
/// Call it before there is another thread.
pub fn set_time_zone(zone: &str) {
    if zone.is_empty() {
        return;
    }
    // SAFETY: there is no other thread yet that could read the environment.
    unsafe { std::env::set_var("TZ", zone) };
    // The C library may have read another one.
    // SAFETY: as above.
    unsafe { tzset() };
}

unsafe extern "C" {
    /// POSIX; the libc crate has it for few systems.
    fn tzset();
}

/// Date and time of day here.
struct Wall {
    time: libc::tm,
    millis: u32,
}

impl Wall {
    /// Seconds since 1970; 0 before.
    fn seconds() -> u64 {
        SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs())
    }

    /// `None` for a year that the C library has no number for.
    fn now() -> Option<Wall> {
        let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let seconds = libc::time_t::try_from(since.as_secs()).ok()?;
        // SAFETY: all of it are numbers and a pointer, for which 0 is a value.
        let mut time: libc::tm = unsafe { std::mem::zeroed() };
        // SAFETY: both pointers are to what lives through the call.
        let found = unsafe { libc::localtime_r(&raw const seconds, &raw mut time) };
        (!found.is_null()).then(|| Wall { time, millis: since.subsec_millis() })
    }
}

impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Wall { time, millis } = self;
        let (year, month) = (time.tm_year + 1900, time.tm_mon + 1);
        write!(f, "{year:04}-{month:02}-{:02}T", time.tm_mday)?;
        write!(f, "{:02}:{:02}:{:02}.{millis:03}", time.tm_hour, time.tm_min, time.tm_sec)?;
        let (sign, minutes) = (if time.tm_gmtoff < 0 { '-' } else { '+' }, time.tm_gmtoff.unsigned_abs() / 60);
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

/// The beginning of a line.
enum LineStart {
    Wall(Wall),
    /// Since the start.
    Uptime(Duration),
    None,
}

/// Standard error can take a line of [`LINE_BYTES`] now. Asked anew each time: its file description may be shared with
/// other programs, which `O_NONBLOCK` would surprise.
fn takes_a_line() -> bool {
    let mut asked = libc::pollfd { fd: libc::STDERR_FILENO, events: libc::POLLOUT, revents: 0 };
    // SAFETY: the pointer is to one descriptor that lives through the call.
    let answered = unsafe { libc::poll(&raw mut asked, 1, 0) };
    answered == 1 && asked.revents & libc::POLLOUT != 0
}

/// A terminal takes a part of a line and waits with the rest, so it gets a file description of our own that does not.
fn own_terminal() -> Option<File> {
    let mut options = OpenOptions::new();
    options.write(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    io::stderr().is_terminal().then(|| options.open(STANDARD_ERROR).ok()).flatten()
}

/// What a line is about. Each has an allowance of its own, so that one cannot silence another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    /// Our own faults.
    Error,
    /// Connections that come and go, which strangers cause.
    Connection,
    /// Streams, players and the process.
    Stream,
    /// A report that the operator asked for.
    Report,
}

impl Subject {
    /// Subjects with an allowance; a report needs none.
    const LIMITED: usize = 3;

    fn of(level: Level, target: &str) -> Subject {
        match target {
            _ if level == Level::Error => Subject::Error,
            "rill::net::status" => Subject::Report,
            "rill::server" | "rill::server::read" => Subject::Connection,
            _ => Subject::Stream,
        }
    }
}

/// Where lines go, and which may.
struct Log {
    journal: bool,
    /// The clock shows the time, and when that is to be asked again if it does not, in milliseconds since the start.
    clock_set: bool,
    clock_at_ms: u64,
    start: Instant,
    terminal: Option<File>,
    allowances: [TokenBucket; Subject::LIMITED],
    lost: u64,
    /// When losses may be told again, in milliseconds since the start.
    notice_ms: u64,
    /// The last line was written in part.
    torn: bool,
}

impl Log {
    fn new(start: Instant) -> Log {
        Log {
            journal: is_journal(),
            clock_set: false,
            clock_at_ms: 0,
            start,
            terminal: own_terminal(),
            allowances: [TokenBucket::new(LINES_PER_SECOND, LINES_BURST); Subject::LIMITED],
            lost: 0,
            notice_ms: 0,
            torn: false,
        }
    }

    fn record(&mut self, record: &Record<'_>) {
        let passed = self.start.elapsed();
        let now_ms = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
        let subject = Subject::of(record.level(), record.target());
        let allowed = self.allowances.get_mut(subject as usize).is_none_or(|allowance| allowance.take(now_ms));
        if !allowed {
            self.lost += 1;
            return;
        }
        if self.lost > 0 && (now_ms >= self.notice_ms || subject == Subject::Report) {
            let lost = self.lost;
            if self.write(Level::Warn, passed, &format_args!("rill {lost} log lines were lost")) {
                self.lost = 0;
                self.notice_ms = now_ms + LOSS_NOTICE_MS;
            }
        }
        if !self.write(record.level(), passed, record.args()) {
            self.lost += 1;
        }
    }

    fn stamp(&mut self, passed: Duration) -> LineStart {
        let time = LogTime::ALL[usize::from(TIME.load(Ordering::Relaxed))].1;
        let now_ms = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
        if time == LogTime::Auto && !self.clock_set && now_ms >= self.clock_at_ms {
            (self.clock_set, self.clock_at_ms) = (clock_is_set(), now_ms.saturating_add(CLOCK_MS));
        }
        let wall = match time {
            LogTime::None => return LineStart::None,
            LogTime::Auto if self.journal => return LineStart::None,
            LogTime::Uptime => false,
            LogTime::Auto => self.clock_set,
            LogTime::Wall => true,
        };
        wall.then(Wall::now).flatten().map_or(LineStart::Uptime(passed), LineStart::Wall)
    }

    /// Writes a line, or says that it was lost.
    fn write(&mut self, level: Level, passed: Duration, text: &fmt::Arguments<'_>) -> bool {
        let mut line = LogLine { bytes: [0; LINE_BYTES], len: 0 };
        line.begin(level, self.journal, &self.stamp(passed));
        // A line that is full is not an error.
        let _ = line.write_fmt(*text);
        if self.torn && self.put(b"\n") != Some(1) {
            return false;
        }
        let line = line.end();
        let written = self.put(line);
        self.torn = written.is_some_and(|bytes| bytes < line.len());
        written == Some(line.len())
    }

    /// Bytes of `line` that were taken at once; `None` when there were none.
    fn put(&mut self, line: &[u8]) -> Option<usize> {
        if !takes_a_line() {
            return None;
        }
        match &mut self.terminal {
            Some(terminal) => terminal.write(line).ok(),
            None => io::stderr().write(line).ok(),
        }
    }
}

/// A line that is being put together.
struct LogLine {
    bytes: [u8; LINE_BYTES],
    len: usize,
}

impl LogLine {
    /// The priority for a journal, the time, and the level's name.
    fn begin(&mut self, level: Level, for_journal: bool, stamp: &LineStart) {
        let (name, priority) = match level {
            Level::Error => ("error", 3),
            Level::Warn => ("warn", 4),
            Level::Info => ("info", 6),
            Level::Debug => ("debug", 7),
            Level::Trace => ("trace", 7),
        };
        // It fits: it is the beginning.
        if for_journal {
            let _ = write!(self, "<{priority}>");
        }
        let _ = match stamp {
            LineStart::Wall(wall) => write!(self, "{wall} {name} "),
            LineStart::Uptime(passed) => write!(self, "{}.{:03} {name} ", passed.as_secs(), passed.subsec_millis()),
            LineStart::None => write!(self, "{name} "),
        };
    }

    /// Adds what fits.
    fn put(&mut self, bytes: &[u8]) -> fmt::Result {
        let fits = bytes.len().min(LINE_BYTES - self.len);
        self.bytes[self.len..self.len + fits].copy_from_slice(&bytes[..fits]);
        self.len += fits;
        if fits < bytes.len() { Err(fmt::Error) } else { Ok(()) }
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

impl fmt::Write for LogLine {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // What a client sends must not forge a line or steer a terminal, whichever way it came here.
        let mut plain = 0;
        for (at, c) in text.char_indices().filter(|(_, c)| is_hidden(*c)) {
            self.put(&text.as_bytes()[plain..at])?;
            plain = at + c.len_utf8();
            for c in escaped(c) {
                self.put(c.encode_utf8(&mut [0; 4]).as_bytes())?;
            }
        }
        self.put(&text.as_bytes()[plain..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(stamp: Option<LineStart>, text: &str) -> String {
        let mut line = LogLine { bytes: [0; LINE_BYTES], len: 0 };
        line.begin(Level::Warn, stamp.is_none(), &stamp.unwrap_or(LineStart::None));
        let _ = line.write_str(text);
        String::from_utf8(line.end().to_vec()).unwrap()
    }

    #[test]
    fn a_terminal_gets_the_time_and_a_journal_gets_priorities() {
        let uptime = LineStart::Uptime(Duration::from_millis(12_045));
        assert_eq!(line(Some(uptime), "c7.2 closed"), "12.045 warn c7.2 closed\n");
        assert_eq!(line(Some(LineStart::None), "c7.2 closed"), "warn c7.2 closed\n");
        let mut wall = Wall::now().unwrap();
        let parts = [126, 10, 27, 2, 50, 6].map(libc::c_int::from);
        [
            wall.time.tm_year,
            wall.time.tm_mon,
            wall.time.tm_mday,
            wall.time.tm_hour,
            wall.time.tm_min,
            wall.time.tm_sec,
        ] = parts;
        (wall.time.tm_gmtoff, wall.millis) = (-(3 * 3600 + 1800), 7);
        assert_eq!(line(Some(LineStart::Wall(wall)), "x"), "2026-11-27T02:50:06.007-03:30 warn x\n");
        assert_eq!(line(None, "c7.2 closed"), "<4>warn c7.2 closed\n");
    }

    #[test]
    fn every_kind_of_time_has_its_name() {
        for (name, time) in LogTime::ALL {
            assert_eq!(time.name(), name);
        }
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
        assert_eq!(line(None, "name=a\ninfo x\u{1b}[2J"), "<4>warn name=a\\ninfo x\\u{1b}[2J\n");
    }

    #[test]
    fn connections_and_streams_and_faults_have_allowances_of_their_own() {
        for (level, target, subject) in [
            (Level::Warn, "rill::server", Subject::Connection),
            (Level::Info, "rill::server::read", Subject::Connection),
            (Level::Warn, "rill::server::publish", Subject::Stream),
            (Level::Error, "rill::server", Subject::Error),
            (Level::Info, "rill::net::status", Subject::Report),
        ] {
            assert_eq!(Subject::of(level, target), subject);
        }
        assert_eq!(Subject::Report as usize, Subject::LIMITED);
    }
}
