//! Files as text. Opening one never waits, whatever it is.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The text of a regular file of at most `most` bytes; `limit` is that limit's name.
pub(super) fn read_text(path: &Path, most: usize, limit: &str) -> Result<String, String> {
    let file = open_regular(path).map_err(|error| match error.kind() {
        ErrorKind::IsADirectory => format!("{}: is no regular file", path.display()),
        _ => at(path, &error),
    })?;
    let mut bytes = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(|error| at(path, &error))?;
    if bytes.len() > most {
        return Err(format!("{}: is too long, {most} bytes are left for it ({limit})", path.display()));
    }
    text(path, bytes)
}

/// Opens a regular file.
///
/// # Errors
///
/// `IsADirectory`, when it is anything else; else the operating system's own.
pub(super) fn open_regular(path: &Path) -> io::Result<File> {
    // Opening must not wait, not even for a writer of a pipe.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(ErrorKind::IsADirectory.into()) }
}

/// Bytes of a file as text.
///
/// # Errors
///
/// A line that names the file and the line that is not UTF-8.
pub(super) fn text(path: &Path, bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
        format!("{}:{line}: is not UTF-8", path.display())
    })
}

/// There is nothing at a path.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

pub(super) fn at(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}
