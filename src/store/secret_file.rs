//! Files that their owner alone may read, at any time.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::text_file::is_absent;

/// Writes such a file whole, beside the one before, and then puts it in its place: whoever reads meanwhile, or loses power, has the one
/// or the other.
///
/// # Errors
///
/// The operating system's own, or what `write` says.
pub(super) fn replace(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    absent(fs::remove_file(&new))?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    write(&mut file)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    sync_directory(path)
}

/// Removes it, if it is there.
///
/// # Errors
///
/// The operating system's own.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    absent(fs::remove_file(path))?;
    sync_directory(path)
}

fn absent(removed: io::Result<()>) -> io::Result<()> {
    removed.or_else(|error| if is_absent(&error) { Ok(()) } else { Err(error) })
}

fn sync_directory(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}
