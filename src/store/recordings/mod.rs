//! The lane of recordings: makes their files, and has them on the medium in time.
//!
//! ```text
//! disk       what is needed of a file system
//! places     which file a recording is, and what it is called
//! room       how much room recordings have, and which go when it is used up
//! listing    how far a list of them is
//! left       what may not be complete
//! tend       what is not complete is finished, step by step
//! mp4        MP4 files, which are finished and may be gone on with
//! files      which recordings there are, and how the operator deletes them
//! command    the program that is run for each complete file
//! ```
//!
//! A file that nobody has heard of is not there: the first block is on the medium, and its name in the folder, before the next one is
//! written. From then on each block begins its way at once, and is there after `record.sync_ms`.

mod command;
pub mod disk;
mod files;
mod left;
mod listing;
mod mp4;
mod places;
mod room;
mod tend;

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use log::{debug, warn};

use crate::config::Config;
use crate::limits::Row;
use crate::live::jobs::{Done, Job};
use crate::live::record_settings::RecordContainer;
use crate::live::recording::{
    OpenedRecording, RecordDone, RecordFault, RecordJob, RecordedBefore, RecordingId, RecordingKind, RecordingName,
    RecordingsPage,
};
use crate::store::shared::Shared;
use crate::wire::flv_file::FlvFile;
use crate::wire::flv_front::{SIZE_AT, SIZE_BYTES, size_in};
use crate::wire::mp4::finish::Finisher;
use crate::wire::windows::{File, ReadAt, Windows};

use command::Commands;
use disk::{RecordDisk, RecordFile};
use left::{Left, Tending};
use listing::Listing;
use places::Places;

pub(in crate::store) use places::{STREAMS, automatic};

/// Room is taken in steps of so many bytes.
const STEP_BYTES: u64 = 16 << 20;
/// The longest pause that a file shows, in milliseconds: a day. Times in FLV end after 24 of them.
const LONGEST_GAP_MS: u64 = 86_400_000;
/// So many complete files the loop can be behind with. More it is not told of.
const COMPLETE_FILES: usize = 64;
/// So much behind the last byte stays in the page cache, for who follows the recording.
const KEPT_BYTES: u64 = 8 << 20;
/// Page cache that the writing of one recording takes, in bytes: what is kept, and what is on its way to the medium, as much as 16 Mbit/s are
/// in the four seconds that a sync and its fragment take.
pub const CACHE_BYTES: u64 = KEPT_BYTES + (8 << 20);

/// Does the jobs of [`DiskLane::Recordings`](crate::live::jobs::DiskLane::Recordings).
pub struct RecordingFiles<D: RecordDisk> {
    disk: D,
    shared: Arc<Shared>,
    places: Places,
    open: Box<[Option<OpenRecordingFile<D::File>>]>,
    windows: Box<Windows>,
    commands: Commands,
    tending: Tending<D::File>,
    listing: Option<Listing>,
}

/// A file that is being written.
struct OpenRecordingFile<F> {
    id: RecordingId,
    app: String,
    /// Where it lies, and its name there.
    folder: PathBuf,
    path: PathBuf,
    /// It has this name until its first block is on the medium.
    hidden: Option<PathBuf>,
    file: F,
    container: RecordContainer,
    is_durable: bool,
    allocated: u64,
    forgotten: u64,
}

impl<D: RecordDisk> RecordingFiles<D> {
    /// As the configuration says, in this directory of applications.
    pub fn new(disk: D, applications: Option<PathBuf>, config: Config) -> RecordingFiles<D> {
        let places = config.settings.recordings as usize;
        RecordingFiles::sharing(disk, applications, Arc::new(Shared::new(config)), places)
    }

    /// As the configuration in force says, of which other lanes have one, too.
    pub(in crate::store) fn sharing(
        disk: D,
        applications: Option<PathBuf>,
        shared: Arc<Shared>,
        places: usize,
    ) -> RecordingFiles<D> {
        let directory = shared.config().record.directory.clone();
        RecordingFiles {
            disk,
            shared,
            places: Places::new(applications, directory),
            open: (0..places).map(|_| None).collect(),
            windows: Box::new(Windows::new()),
            commands: Commands::default(),
            tending: Tending::default(),
            listing: None,
        }
    }

    /// Does a job of this lane.
    pub fn work(&mut self, job: Job) -> Done {
        let Job::Recording(job) = job else { unreachable!("a job of another lane: {job:?}") };
        self.commands.look();
        Done::Recording(match job {
            RecordJob::Open { id, name, mark } => RecordDone::Opened { id, result: self.open(id, &name, mark) },
            RecordJob::Write { id, at, block, sync } => {
                let result = self.write(id, at, block.bytes(), sync);
                RecordDone::Written { id, block: Some(block), result }
            }
            RecordJob::Close { id, end } => RecordDone::Closed { id, result: self.close(id, end) },
            RecordJob::Tend => {
                let more = self.tend();
                let complete = self.tending.complete.pop_front();
                RecordDone::Tended { more: more || !self.tending.complete.is_empty(), complete }
            }
            RecordJob::List { of, films } => {
                self.listing = Some(Listing::new(&of, films));
                RecordDone::Listed { page: self.list() }
            }
            RecordJob::ListOn => RecordDone::Listed { page: self.list() },
            RecordJob::Clear { name, all } => RecordDone::Cleared { result: self.clear(&name, all) },
            RecordJob::Delete { file } => RecordDone::Deleted { result: self.delete(&file) },
        })
    }

    fn open(&mut self, id: RecordingId, name: &RecordingName, mark: u64) -> Result<OpenedRecording, RecordFault> {
        *self.open.get_mut(usize::from(id.place)).ok_or(RecordFault::Places)? = None;
        let folder = self.places.folder(name).ok_or(RecordFault::NoPlace)?;
        self.disk.make_folder(&folder).map_err(|error| fault(&folder, &error))?;
        self.make_room(&folder)?;
        let (path, hidden, before) = match name.kind {
            RecordingKind::Automatic => {
                let entries = self.disk.list(&folder).map_err(|error| fault(&folder, &error))?;
                let now = self.disk.now();
                (folder.join(places::next_name(&entries, now, name.container)), None, None)
            }
            RecordingKind::InPlaceOf | RecordingKind::Behind | RecordingKind::BehindWithGap => {
                let path = self.places.file(name).ok_or(RecordFault::NoPlace)?;
                if self.is_open(&path) {
                    return Err(RecordFault::AlreadyExists);
                }
                // Whoever is at it leaves it.
                self.tending.leave(&path);
                let with_gap = name.kind == RecordingKind::BehindWithGap;
                let before = match (name.kind, name.container) {
                    (RecordingKind::Behind | RecordingKind::BehindWithGap, RecordContainer::Flv) => {
                        self.look_at_end(&path, with_gap)?
                    }
                    (RecordingKind::Behind | RecordingKind::BehindWithGap, RecordContainer::Mp4) => {
                        self.unfinish(&path, mark, with_gap)?
                    }
                    _ => None,
                };
                let hidden = before.is_none().then(|| places::hidden(&path));
                (path, hidden, before)
            }
        };
        let file = match (&hidden, before) {
            (_, Some(before)) => self.open_to_grow(&path, before.bytes),
            (Some(hidden), None) => {
                // What a server left that lost its power.
                let _ = self.disk.remove(hidden);
                self.disk.create(hidden)
            }
            (None, None) => self.disk.create(&path),
        };
        let mut file = file.map_err(|error| fault(&path, &error))?;
        if let (RecordContainer::Flv, Some(RecordedBefore { own_front: true, .. })) = (name.container, before) {
            // It is not complete any more: a server that loses its power finds that, and finishes it.
            file.write_at(SIZE_AT as u64, &[0; 8]).map_err(|error| fault(&path, &error))?;
        }
        let shown = self.places.shown(&path).ok_or(RecordFault::Name)?;
        if core::mem::take(&mut self.tending.is_missing) {
            self.tending.left = None;
        }
        self.open[usize::from(id.place)] = Some(OpenRecordingFile {
            id,
            app: name.app.to_string(),
            folder,
            path,
            hidden,
            file,
            container: name.container,
            is_durable: false,
            allocated: before.map_or(0, |before| before.bytes),
            forgotten: 0,
        });
        Ok(OpenedRecording { file: shown, before })
    }

    /// What is in a file that is to be gone on with; `None` when there is none.
    fn look_at_end(&mut self, path: &Path, with_gap: bool) -> Result<Option<RecordedBefore>, RecordFault> {
        let mut file = match self.disk.open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fault(path, &error)),
        };
        let mut front = [0; SIZE_BYTES];
        let read = file.read_at(0, &mut front).map_err(|error| fault(path, &error))?;
        let own_front = size_in(&front[..read]).is_some();
        let mut reading = File::new(&mut file, &mut self.windows);
        match FlvFile::open(&mut reading) {
            Ok(found) => {
                let gap_ms = if with_gap { gap_ms(&mut file) } else { 0 };
                Ok(Some(RecordedBefore { bytes: found.end, ms: found.end_ms, gap_ms, own_front }))
            }
            Err(_) => {
                warn!("rill record {}: it is no FLV file", path.display());
                Err(RecordFault::Structure)
            }
        }
    }

    /// Opens a file that was written before, and is to be gone on with at `end`. Behind that may lie what was begun, and room that was
    /// taken for more when the power went: a FAT file system takes that for damage when the file grows, and can be read only from then on.
    fn open_to_grow(&mut self, path: &Path, end: u64) -> io::Result<D::File> {
        let mut file = self.disk.open(path)?;
        file.cut(end)?;
        Ok(file)
    }

    fn write(&mut self, id: RecordingId, at: u64, bytes: &[u8], sync: bool) -> Result<(), RecordFault> {
        let place = usize::from(id.place);
        let end = at + bytes.len() as u64;
        let Some(open) = self.open.get(place).and_then(Option::as_ref).filter(|open| open.id == id) else {
            return Err(RecordFault::Medium);
        };
        if end > open.allocated {
            let folder = open.folder.clone();
            self.make_room(&folder)?;
        }
        let Some(open) = self.open[place].as_mut() else { return Err(RecordFault::Medium) };
        open.write(&mut self.disk, at, bytes, sync).map_err(|error| fault(&open.path, &error))
    }

    fn close(&mut self, id: RecordingId, end: u64) -> Result<(), RecordFault> {
        let place = self.open.get_mut(usize::from(id.place));
        let Some(mut open) = place.and_then(|place| place.take_if(|open| open.id == id)) else {
            return Err(RecordFault::Medium);
        };
        if end == 0 {
            // Nothing came of it.
            let path = open.hidden.as_ref().unwrap_or(&open.path);
            return self.disk.remove(path).map_err(|error| fault(path, &error));
        }
        let closed = open.file.cut(end).and_then(|()| open.file.sync());
        if let Err(error) = closed {
            self.tending.is_missing = true;
            return Err(fault(&open.path, &error));
        }
        let OpenRecordingFile { app, path, container, .. } = open;
        match container {
            RecordContainer::Flv => self.complete(&app, &path),
            // Its tables are written behind what is more urgent.
            RecordContainer::Mp4 => self.tending.soon(Left { path, app }),
        }
        Ok(())
    }

    /// A file is complete: the program that waits for it may have it, and the loop is told when it asks next.
    fn complete(&mut self, app: &str, path: &Path) {
        if self.tending.complete.len() < COMPLETE_FILES
            && let Some(file) = self.places.complete(app, path)
        {
            self.tending.complete.push_back(file);
        }
        let command = self.shared.record_command(app);
        if !command.is_empty() {
            self.commands.run(command, path);
        }
    }

    fn is_open(&self, path: &Path) -> bool {
        self.open.iter().flatten().any(|open| open.path == path)
    }
}

impl<F: RecordFile> OpenRecordingFile<F> {
    fn write(&mut self, disk: &mut impl RecordDisk<File = F>, at: u64, bytes: &[u8], sync: bool) -> io::Result<()> {
        let end = at + bytes.len() as u64;
        if end > self.allocated {
            self.file.allocate(self.allocated, STEP_BYTES);
            self.allocated = (self.allocated + STEP_BYTES).max(end);
        }
        self.file.write_at(at, bytes)?;
        if !self.is_durable {
            self.file.sync()?;
            if let Some(hidden) = &self.hidden {
                // Until this is done, what has the name is another recording.
                disk.rename(hidden, &self.path)?;
                self.hidden = None;
            }
            disk.sync_folder(&self.folder)?;
            self.is_durable = true;
            return Ok(());
        }
        self.file.write_behind(at, bytes.len() as u64);
        if sync {
            self.file.sync()?;
            let behind = end.saturating_sub(KEPT_BYTES);
            if behind > self.forgotten {
                self.file.forget(self.forgotten, behind - self.forgotten);
                self.forgotten = behind;
            }
        }
        Ok(())
    }
}

/// How long ago a file was written, as far as a pause is shown, in milliseconds.
fn gap_ms(file: &mut impl RecordFile) -> u32 {
    file.age_ms().unwrap_or(0).min(LONGEST_GAP_MS) as u32
}

/// What is the matter, with a line in the log.
fn fault(path: &Path, error: &io::Error) -> RecordFault {
    let fault = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => RecordFault::Full,
        ErrorKind::ReadOnlyFilesystem => RecordFault::ReadOnly,
        ErrorKind::PermissionDenied => RecordFault::NoAccess,
        ErrorKind::InvalidFilename | ErrorKind::NotADirectory | ErrorKind::IsADirectory => RecordFault::Name,
        _ => RecordFault::Medium,
    };
    warn!("rill record {}: {error}", path.display());
    debug!("rill record fault={fault:?}");
    fault
}

/// What the thread takes beside its stack, for so many places.
pub fn memory(places: usize) -> [Row; 4] {
    [
        // Their paths are longer than the table.
        Row::new("files of recordings", places, size_of::<Option<OpenRecordingFile<std::fs::File>>>() + 3 * 4096),
        Row::new("windows of recordings", 1, size_of::<Windows>()),
        // One on its way to the operator, and one that is made.
        Row::new("pages of the list of recordings", 2, size_of::<RecordingsPage>()),
        Row::new("finisher of recordings", 1, size_of::<Finisher>()),
    ]
}
