//! What somebody types that nobody is to see.

use std::io::{self, BufRead, IsTerminal, Write};
use std::os::fd::AsRawFd;

/// The longest line that is read, in bytes.
const MOST_BYTES: u64 = 1024;

/// A line of standard input, without its end. On a terminal it is asked for, and not shown while it is typed.
///
/// # Errors
///
/// The operating system's own.
pub fn hidden_line(prompt: &str) -> io::Result<String> {
    let input = io::stdin();
    let hidden = if input.is_terminal() { Some(Hidden::begin(prompt)?) } else { None };
    let mut line = String::new();
    let read = io::Read::take(&mut input.lock(), MOST_BYTES).read_line(&mut line);
    drop(hidden);
    read?;
    let end = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(end);
    Ok(line)
}

/// A terminal that does not show what is typed, until this is dropped.
struct Hidden {
    before: libc::termios,
}

impl Hidden {
    fn begin(prompt: &str) -> io::Result<Hidden> {
        let mut stderr = io::stderr();
        stderr.write_all(prompt.as_bytes())?;
        stderr.flush()?;
        let fd = io::stdin().as_raw_fd();
        // SAFETY: termios is plain data for which all zeros are valid.
        let mut before: libc::termios = unsafe { std::mem::zeroed() };
        // SAFETY: the descriptor is open, and the place is a termios.
        if unsafe { libc::tcgetattr(fd, &mut before) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let mut hidden = before;
        // Who interrupts it would leave the terminal as it is now: what he types is a part of the line instead.
        hidden.c_lflag &= !(libc::ECHO | libc::ISIG);
        set(fd, &hidden)?;
        Ok(Hidden { before })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = set(io::stdin().as_raw_fd(), &self.before);
        // The end of the line was not shown either.
        let _ = writeln!(io::stderr());
    }
}

fn set(fd: i32, how: &libc::termios) -> io::Result<()> {
    // SAFETY: the descriptor is open, and the place is a termios that the system has filled.
    if unsafe { libc::tcsetattr(fd, libc::TCSAFLUSH, how) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
