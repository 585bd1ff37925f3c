//! What recordings need of a file system: a trait, so that tests have one that fails where they like.

use std::fmt;
use std::io;
use std::path::Path;

use crate::wire::windows::ReadAt;

/// A file system.
pub trait RecordDisk {
    /// A file that is open for reading and writing. It is closed when it is dropped.
    type File: RecordFile;

    /// Date and time here; `None` while the clock is not set.
    fn now(&mut self) -> Option<LocalTime>;

    /// Seconds since 1970; 0 while the clock is not set.
    fn seconds(&mut self) -> u64;

    /// What is in a folder, in any order. One that is not there is empty.
    ///
    /// # Errors
    ///
    /// The operating system's own, as everywhere below.
    fn list(&mut self, folder: &Path) -> io::Result<Vec<FolderEntry>>;

    /// Tells of each file and folder in a folder its name, and whether it is a folder, in any order. Others, and links, are passed over.
    fn visit(&mut self, folder: &Path, take: &mut dyn FnMut(&str, bool)) -> io::Result<()>;

    /// What has this path; `None` when it is neither a file nor a folder: a link, which is not followed.
    fn look(&mut self, path: &Path) -> io::Result<Option<FolderEntry>>;

    /// Makes a folder with those that it is in. Modes that the file system refuses are done without.
    fn make_folder(&mut self, folder: &Path) -> io::Result<()>;

    /// Makes a file, which must not be there.
    fn create(&mut self, path: &Path) -> io::Result<Self::File>;

    /// Opens a file.
    fn open(&mut self, path: &Path) -> io::Result<Self::File>;

    /// Gives a file another name, in place of what has it.
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&mut self, path: &Path) -> io::Result<()>;

    /// Has a folder's entries on the medium.
    fn sync_folder(&mut self, folder: &Path) -> io::Result<()>;

    /// Which file system a folder is on; `None` where that is not known, or there is no such folder.
    fn medium(&mut self, folder: &Path) -> Option<u64>;

    /// How much room there is.
    fn space(&mut self, folder: &Path) -> io::Result<Space>;
}

/// A file that is open.
pub trait RecordFile: ReadAt<Error = io::Error> {
    /// Writes all of it.
    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts the file, and gives back what was allocated behind.
    fn cut(&mut self, end: u64) -> io::Result<()>;

    /// Has all of it on the medium, with its size.
    fn sync(&mut self) -> io::Result<()>;

    /// Has these bytes begin their way to the medium. Where the system cannot, nothing is done.
    fn write_behind(&mut self, from: u64, bytes: u64);

    /// Has room for these bytes, without making the file longer. Where the file system cannot, nothing is done.
    fn allocate(&mut self, from: u64, bytes: u64);

    /// How long ago it was written last, in milliseconds; `None` while the clock is not set.
    fn age_ms(&self) -> Option<u64>;

    /// Nobody will read these bytes soon.
    fn forget(&mut self, from: u64, bytes: u64);
}

/// What is in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderEntry {
    /// Its name.
    pub name: String,
    /// It is a folder.
    pub is_folder: bool,
    /// Bytes of a file.
    pub bytes: u64,
    /// When it was last written, in seconds since 1970.
    pub modified_s: u64,
}

/// The room of a file system, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Free, for who is not root.
    pub free: u64,
    /// All of it.
    pub total: u64,
}

/// Date and time of day somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalTime {
    /// The year.
    pub year: u32,
    /// From 1.
    pub month: u32,
    /// From 1.
    pub day: u32,
    /// 0 to 23.
    pub hour: u32,
    /// 0 to 59.
    pub minute: u32,
    /// 0 to 60.
    pub second: u32,
}

impl fmt::Display for LocalTime {
    /// As it stands in names of recordings: `2026-11-26-221503`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LocalTime { year, month, day, hour, minute, second } = self;
        write!(f, "{year:04}-{month:02}-{day:02}-{hour:02}{minute:02}{second:02}")
    }
}
