//! The file systems of this machine, for recordings: what [`std::fs`] has, and the calls that it lacks.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::SystemTime;

use crate::store::recordings::disk::{FolderEntry, LocalTime, RecordDisk, RecordFile, Space};
use crate::wire::windows::ReadAt;

use super::logging;

/// The mode of a recording: its group may read it.
const FILE_MODE: u32 = 0o640;
/// The mode of a folder of recordings: what is made in it belongs to its group.
const FOLDER_MODE: u32 = 0o2750;

/// The file systems of this machine.
pub struct SystemDisk;

/// A recording that is open.
pub struct OpenRecording {
    file: File,
    /// The file system has no such call.
    cannot_allocate: bool,
}

impl RecordDisk for SystemDisk {
    type File = OpenRecording;

    fn now(&mut self) -> Option<LocalTime> {
        logging::local_time()
    }

    fn seconds(&mut self) -> u64 {
        let seconds = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
        if logging::local_time().is_some() { seconds } else { 0 }
    }

    fn list(&mut self, folder: &Path) -> io::Result<Vec<FolderEntry>> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let entry = |entry: io::Result<fs::DirEntry>| {
            let entry = entry.ok()?;
            // A link is none of ours: what it leads to may be anything.
            let metadata = entry.metadata().ok().filter(|metadata| !metadata.is_symlink())?;
            let name = entry.file_name().into_string().ok()?;
            let modified_s = u64::try_from(metadata.mtime()).unwrap_or(0);
            Some(FolderEntry { name, is_folder: metadata.is_dir(), bytes: metadata.len(), modified_s })
        };
        Ok(entries.filter_map(entry).collect())
    }

    fn visit(&mut self, folder: &Path, take: &mut dyn FnMut(&str, bool)) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            // It need not look at the file: most file systems say in the folder what it is.
            let kind = entry.file_type()?;
            if let (Some(name), true) = (entry.file_name().to_str(), kind.is_dir() || kind.is_file()) {
                take(name, kind.is_dir());
            }
        }
        Ok(())
    }

    fn look(&mut self, path: &Path) -> io::Result<Option<FolderEntry>> {
        let metadata = fs::symlink_metadata(path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let modified_s = u64::try_from(metadata.mtime()).unwrap_or(0);
        let entry = FolderEntry { name, is_folder: metadata.is_dir(), bytes: metadata.len(), modified_s };
        Ok(Some(entry).filter(|_| metadata.is_dir() || metadata.is_file()))
    }

    fn make_folder(&mut self, folder: &Path) -> io::Result<()> {
        if folder.is_dir() {
            return Ok(());
        }
        let parent = folder.parent().unwrap_or(Path::new("."));
        self.make_folder(parent)?;
        match DirBuilder::new().mode(FOLDER_MODE).create(folder) {
            Ok(()) => {
                // The umask takes bits away, and mkdir the group's. exFAT has no modes.
                let _ = fs::set_permissions(folder, Permissions::from_mode(FOLDER_MODE));
                self.sync_folder(parent)
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn create(&mut self, path: &Path) -> io::Result<OpenRecording> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).mode(FILE_MODE).open(path)?;
        Ok(OpenRecording { file, cannot_allocate: false })
    }

    fn open(&mut self, path: &Path) -> io::Result<OpenRecording> {
        // Opening must not wait, not even for a reader of a pipe; and a link may lead anywhere.
        let flags = libc::O_NONBLOCK | libc::O_NOFOLLOW;
        let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::from(ErrorKind::NotFound));
        }
        Ok(OpenRecording { file, cannot_allocate: false })
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_folder(&mut self, folder: &Path) -> io::Result<()> {
        match File::open(folder)?.sync_all() {
            // Some file systems have no such thing.
            Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
            result => result,
        }
    }

    fn medium(&mut self, folder: &Path) -> Option<u64> {
        Some(fs::metadata(folder).ok()?.dev())
    }

    fn space(&mut self, folder: &Path) -> io::Result<Space> {
        let mut path = folder.as_os_str().as_bytes().to_vec();
        path.push(0);
        // SAFETY: all of it are numbers, for which 0 is a value.
        let mut found: libc::statvfs = unsafe { std::mem::zeroed() };
        // SAFETY: the path ends with a zero, and both live through the call.
        let result = unsafe { libc::statvfs(path.as_ptr().cast(), &raw mut found) };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        // Their types are other ones on other machines.
        #[allow(clippy::unnecessary_cast, reason = "32-bit systems have smaller numbers")]
        let (block, free, total) = (found.f_frsize as u64, found.f_bavail as u64, found.f_blocks as u64);
        Ok(Space { free: block.saturating_mul(free), total: block.saturating_mul(total) })
    }
}

impl ReadAt for OpenRecording {
    type Error = io::Error;

    fn size(&self) -> u64 {
        self.file.metadata().map_or(0, |metadata| metadata.len())
    }

    fn read_at(&mut self, at: u64, out: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.file.read_at(out, at) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

impl RecordFile for OpenRecording {
    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, at)
    }

    fn cut(&mut self, end: u64) -> io::Result<()> {
        self.file.set_len(end)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    #[cfg(target_os = "linux")]
    fn write_behind(&mut self, from: u64, bytes: u64) {
        let (Ok(from), Ok(bytes)) = (from.try_into(), bytes.try_into()) else { return };
        // What it says is said again by the next sync.
        // SAFETY: the call takes no pointer.
        let _ = unsafe { libc::sync_file_range(self.file.as_raw_fd(), from, bytes, libc::SYNC_FILE_RANGE_WRITE) };
    }

    #[cfg(not(target_os = "linux"))]
    fn write_behind(&mut self, _from: u64, _bytes: u64) {}

    #[cfg(target_os = "linux")]
    fn allocate(&mut self, from: u64, bytes: u64) {
        if self.cannot_allocate {
            return;
        }
        let (Ok(from), Ok(bytes)) = (from.try_into(), bytes.try_into()) else { return };
        // A file that is made longer beforehand is zeros after a loss of power.
        // SAFETY: the call takes no pointer.
        let result = unsafe { libc::fallocate(self.file.as_raw_fd(), libc::FALLOC_FL_KEEP_SIZE, from, bytes) };
        self.cannot_allocate = result != 0;
    }

    #[cfg(not(target_os = "linux"))]
    fn allocate(&mut self, _from: u64, _bytes: u64) {
        self.cannot_allocate = true;
    }

    fn age_ms(&self) -> Option<u64> {
        logging::local_time()?;
        let written = self.file.metadata().ok()?.modified().ok()?;
        Some(written.elapsed().ok()?.as_millis() as u64)
    }

    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
    fn forget(&mut self, from: u64, bytes: u64) {
        let (Ok(from), Ok(bytes)) = (from.try_into(), bytes.try_into()) else { return };
        // SAFETY: the call takes no pointer.
        let _ = unsafe { libc::posix_fadvise(self.file.as_raw_fd(), from, bytes, libc::POSIX_FADV_DONTNEED) };
    }

    #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
    fn forget(&mut self, _from: u64, _bytes: u64) {}
}
