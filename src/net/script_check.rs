//! Whether a script can be compiled: asked of a script process that is there for no longer, as the server's own never runs
//! the engine.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use log::warn;

use crate::limits::{SCRIPT_CHECK_BYTES, SCRIPT_MESSAGE_BYTES};
use crate::live::app::{Budget, Source, SourceFile};
use crate::wire::bytes::Writer;
use crate::wire::script_link::{FileRole, InstanceId, ToHost, ToServer};

use super::hosts;

/// How long compiling may take. The longest script takes a second on the slowest board.
const PATIENCE: Duration = Duration::from_secs(10);
/// The only instance of that process.
const ONLY: InstanceId = InstanceId(0);
/// Text in one message, in bytes.
const PIECE_BYTES: usize = 32 * 1024;

/// The first error that loading the script would meet, as far as that is known without running it: file, line, and what.
/// Waits for the answer, so it is nothing for the loop. `None` as well when no process can be had to find out.
pub fn problem(source: &Source, budget: Budget) -> Option<String> {
    if !cfg!(feature = "script") {
        return None;
    }
    match start().and_then(|process| process.ask(source, budget)) {
        Ok(problem) => problem,
        Err(error) => {
            warn!("rill script file={:?} not checked: {error}", source.main.name);
            None
        }
    }
}

struct Process {
    pid: libc::pid_t,
    link: UnixStream,
}

fn start() -> io::Result<Process> {
    let (link, theirs) = UnixStream::pair()?;
    let nothing = File::options().read(true).write(true).open("/dev/null")?;
    let memory = CString::new(SCRIPT_CHECK_BYTES.to_string())?;
    let pid = hosts::spawn(&memory, None, theirs.as_raw_fd(), nothing.as_raw_fd())?;
    Ok(Process { pid, link })
}

impl Process {
    fn ask(mut self, source: &Source, budget: Budget) -> io::Result<Option<String>> {
        self.link.set_write_timeout(Some(PATIENCE))?;
        let mut buffer = vec![0; SCRIPT_MESSAGE_BYTES];
        let load = ToHost::Load { instance: ONLY, app: "", name: "", hostname: "", server: "", budget };
        self.tell(&load, &mut buffer)?;
        for (role, file) in source.files() {
            self.tell_file(role, file, &mut buffer)?;
        }
        self.tell(&ToHost::Check { instance: ONLY }, &mut buffer)?;
        self.answer(&mut buffer)
    }

    fn tell_file(&mut self, role: FileRole, file: &SourceFile, buffer: &mut [u8]) -> io::Result<()> {
        let (mut rest, name) = (file.text.as_bytes(), &file.name);
        loop {
            let (piece, after) = rest.split_at(rest.len().min(PIECE_BYTES));
            let last = after.is_empty();
            self.tell(&ToHost::File { instance: ONLY, role, name, piece, last }, buffer)?;
            if last {
                return Ok(());
            }
            rest = after;
        }
    }

    fn tell(&mut self, message: &ToHost<'_>, buffer: &mut [u8]) -> io::Result<()> {
        let mut out = Writer::new(buffer);
        message.put(&mut out).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.link.write_all(out.written())
    }

    fn answer(&mut self, buffer: &mut [u8]) -> io::Result<Option<String>> {
        let end = Instant::now() + PATIENCE;
        let mut said = Vec::new();
        let mut read = 0;
        loop {
            while let Some((message, length)) =
                ToServer::read(&said[read..]).map_err(|broken| io::Error::other(broken.to_string()))?
            {
                match message {
                    ToServer::Loaded { .. } => return Ok(None),
                    ToServer::NotLoaded { reason, .. } => return Ok(Some(reason.to_owned())),
                    _ => read += length,
                }
            }
            let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.link.set_read_timeout(Some(left))?;
            match self.link.read(buffer)? {
                0 => return Err(io::Error::other("the script process has ended")),
                length => said.extend_from_slice(&buffer[..length]),
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Whatever it does: it was asked, and has answered or had its time.
        hosts::end(self.pid);
    }
}
