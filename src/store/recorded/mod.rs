//! The lane of recorded streams: finds files, keeps those open that are played, and fills blocks with what is in them.
//!
//! ```text
//! find       which file a name means, and that it lies where it may
//! list       which files there are
//! ahead      reads a file in stretches, as its messages lie one behind the other
//! gather     reads what lies together straight into a block
//! fill       messages as they are sent, one behind the other in a block
//! download   files as they lie there, for who fetches them
//! metadata   what is said of a file before its first message
//! ```
//!
//! However long a file is, what is held of it is a place of this table and, for as long as a job takes, windows and stretches
//! that all files share.

mod ahead;
mod download;
mod fill;
mod find;
mod gather;
mod list;
mod metadata;
#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::fs::Metadata;
use std::mem::size_of;
use std::os::unix::fs::MetadataExt;

use log::warn;

use crate::limits::Row;
use crate::live::download::{DownloadId, FileName};
use crate::live::jobs::{Done, Job};
use crate::live::recorded::{Block, Fill, Follows, NotPlayed, RecordedFacts, RecordedId, RecordedName, RecordedTerms};
use crate::live::recording::{GrowingFile, WholePart};
use crate::text::Quoted;
use crate::wire::mp4::Choice;
use crate::wire::recorded::{FilmRates, Message, Place, Recorded};
use crate::wire::windows::{Fault, File, ReadAt, Windows};

pub use find::{OpenFile, RecordedDirectories};

use ahead::{Ahead, Stretches};
use download::OpenDownloads;
use fill::Begun;
use gather::Gather;

/// Where files are found.
pub trait Files {
    /// One that is open. It is closed when it is dropped.
    type Open: ReadAt<Error: Debug>;

    /// Opens what a name means.
    ///
    /// # Errors
    ///
    /// There is none, or it must not be read.
    fn find(&mut self, name: &RecordedName) -> Result<Self::Open, NotPlayed>;

    /// Opens a file by its name and place, and says when it was last written, in nanoseconds since 1970.
    ///
    /// # Errors
    ///
    /// As of [`Files::find`].
    fn find_file(&mut self, name: &FileName) -> Result<(Self::Open, u64), NotPlayed>;

    /// Opens a file that is being recorded, `APP/PATH/FILE`.
    ///
    /// # Errors
    ///
    /// As [`Files::find`].
    fn find_growing(&mut self, _file: &str) -> Result<Self::Open, NotPlayed> {
        Err(NotPlayed::Missing)
    }

    /// Looks how large a file is now; it is taken to have no more than `most` bytes.
    fn look(&mut self, file: &mut Self::Open, most: Option<u64>);

    /// Which file that is, as it is now; `None` where that cannot be said.
    fn stamp(&self, _file: &Self::Open) -> Option<FileStamp> {
        None
    }

    /// See [`Done::Listed`].
    fn next(&mut self, after: &RecordedName) -> FileStep;
}

/// Says whether a file is the same, and was not written since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStamp {
    device: u64,
    inode: u64,
    size: u64,
    /// When it was last written, in seconds and nanoseconds since 1970.
    written: (i64, i64),
    /// When anything of it last changed: who writes may say otherwise of the former.
    changed: (i64, i64),
}

impl FileStamp {
    /// That of a file of which the system says this.
    pub fn of(metadata: &Metadata) -> FileStamp {
        FileStamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            written: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// A step through all that there is.
#[derive(Debug, Default)]
pub struct FileStep {
    /// The next file.
    pub next: Option<RecordedName>,
    /// Changes when files come, go, or are renamed.
    pub stamp: u64,
}

/// Does the jobs of [`DiskLane::Recorded`](crate::live::jobs::DiskLane::Recorded).
pub struct RecordedFiles<F: Files> {
    files: F,
    windows: Box<Windows>,
    stretches: Box<Stretches>,
    /// Of which file, of which size, the windows hold pieces.
    held: Option<(RecordedId, u64)>,
    read: Option<ReadFilm>,
    open: Box<[Option<OpenRecording<F::Open>>]>,
    downloads: OpenDownloads<F::Open>,
}

/// A file that is played.
struct OpenRecording<O> {
    id: RecordedId,
    name: RecordedName,
    file: O,
    film: Film,
    /// Where it goes on; `None` before it was begun.
    place: Option<Place>,
    /// The next message, which had no room.
    next: Option<Message>,
    /// The message that the last block ended in.
    begun: Option<Begun>,
}

/// What a file is.
#[derive(Clone, Copy)]
struct Film {
    recorded: Recorded,
    facts: RecordedFacts,
    rates: FilmRates,
}

/// What was read last.
#[derive(Clone, Copy)]
struct ReadFilm {
    stamp: FileStamp,
    choice: Choice,
    film: Film,
}

/// What came of filling a block.
struct Filled {
    from_ms: Option<u32>,
    follows: Follows,
}

impl<F: Files> RecordedFiles<F> {
    /// Room for so many files that are open at once. It is obtained now.
    pub fn new(files: F, places: usize) -> RecordedFiles<F> {
        RecordedFiles {
            files,
            windows: Box::new(Windows::new()),
            stretches: Box::new(Stretches::new()),
            held: None,
            read: None,
            open: (0..places).map(|_| None).collect(),
            downloads: OpenDownloads::new(places),
        }
    }

    /// Does a job of this lane.
    pub fn work(&mut self, job: Job) -> Done {
        match job {
            Job::Open { id, name, growing } => {
                let found = self.open(id, name.clone(), growing);
                Done::Opened { id, name, found }
            }
            Job::Fill { id, fill, terms, mut block } => {
                let Filled { from_ms, follows } = self.fill(id, fill, &terms, &mut block);
                Done::Filled { id, block: Some(block), from_ms, next: follows }
            }
            Job::Close { id } => {
                if let Some(place) = self.open.get_mut(usize::from(id.place)) {
                    place.take_if(|open| open.id == id);
                }
                Done::Closed { id }
            }
            Job::Facts { asked, name } => {
                let found = self.find(&name, None).map(|(_, film)| film.facts);
                Done::Facts { asked, name, found }
            }
            Job::Download(job) => Done::Download(self.downloads.work(&mut self.files, job)),
            Job::List { after } => {
                let FileStep { next, stamp } = self.files.next(&after);
                Done::Listed { is_next: next.is_some(), name: next.unwrap_or(after), stamp }
            }
            job => unreachable!("a job of another lane: {job:?}"),
        }
    }

    fn open(
        &mut self,
        id: RecordedId,
        name: RecordedName,
        growing: Option<GrowingFile>,
    ) -> Result<RecordedFacts, NotPlayed> {
        let at = usize::from(id.place);
        // What was open there is closed first, so that no more files are open than there are places.
        *self.open.get_mut(at).ok_or(NotPlayed::Unreadable)? = None;
        let (file, film) = self.find(&name, growing)?;
        self.open[at] = Some(OpenRecording { id, name, file, film, place: None, next: None, begun: None });
        Ok(film.facts)
    }

    /// Opens a file and reads what it is, unless that was read last: clients ask how long a film is before they play it.
    fn find(&mut self, name: &RecordedName, growing: Option<GrowingFile>) -> Result<(F::Open, Film), NotPlayed> {
        let mut file = match &growing {
            Some(growing) => self.files.find_growing(&growing.file)?,
            None => self.files.find(name)?,
        };
        let stamp = self.files.stamp(&file).filter(|_| growing.is_none());
        if let Some(read) = self.read.filter(|read| Some(read.stamp) == stamp && read.choice == name.choice) {
            return Ok((file, read.film));
        }
        let whole = growing.map(|growing| growing.whole);
        if let Some(whole) = whole {
            self.files.look(&mut file, Some(whole.bytes));
        }
        self.held = None;
        let mut ahead = Ahead::new(&mut file, &mut self.stretches);
        let mut reading = File::new(&mut ahead, &mut self.windows);
        match Film::read(&mut reading, name.choice, whole) {
            Ok(Film { facts: RecordedFacts { video: None, audio: None, .. }, .. }) => {
                complain(name, "it has no track that can be sent");
                Err(NotPlayed::NoTrack)
            }
            Ok(film) => {
                self.read = stamp.map(|stamp| ReadFilm { stamp, choice: name.choice, film }).or(self.read);
                Ok((file, film))
            }
            Err(fault) => {
                complain_of(name, &fault);
                Err(match fault {
                    Fault::Read(_) => NotPlayed::Unreadable,
                    Fault::Structure(_) => NotPlayed::Structure,
                })
            }
        }
    }

    fn fill(&mut self, id: RecordedId, fill: Fill, terms: &RecordedTerms, block: &mut Block) -> Filled {
        block.clear();
        let place = self.open.get_mut(usize::from(id.place)).and_then(Option::as_mut);
        let Some(open) = place.filter(|open| open.id == id) else {
            return Filled { from_ms: None, follows: Follows::Fault };
        };
        if open.film.recorded.may_grow() {
            self.files.look(&mut open.file, terms.whole_bytes);
        }
        let OpenRecording { name, file, film, place, next, begun, .. } = open;
        let Film { recorded, facts, rates } = film;
        let mut ahead = Ahead::new(file, &mut self.stretches);
        let has_tables = matches!(recorded, Recorded::Movie(_));
        ahead.in_order = !has_tables;
        let holds = Some((id, ahead.size())).filter(|_| has_tables);
        let mut reading = match holds.is_some() && self.held == holds {
            true => File::again(&mut ahead, &mut self.windows),
            false => File::new(&mut ahead, &mut self.windows),
        };
        self.held = holds;
        if let Err(fault) = recorded.grow(&mut reading) {
            complain_of(name, &fault);
            return Filled { from_ms: None, follows: Follows::Fault };
        }
        // Between the messages of other formats lies what has to be read first.
        let gather = has_tables.then(Gather::default);
        let mut filling = fill::Filling {
            name,
            reading,
            recorded,
            facts,
            rates: *rates,
            place,
            next,
            begun,
            terms,
            block,
            gather,
            from_ms: None,
        };
        let follows = filling.fill(fill).unwrap_or_else(|fault| {
            complain_of(name, &fault);
            Follows::Fault
        });
        Filled { from_ms: filling.from_ms, follows }
    }
}

impl Film {
    /// Reads it. `whole` says how long a file is that is being recorded.
    fn read<R: ReadAt>(
        file: &mut File<'_, R>,
        choice: Choice,
        whole: Option<WholePart>,
    ) -> Result<Film, Fault<R::Error>> {
        let recorded = Recorded::open(file, choice)?;
        let (video, audio) = recorded.codecs();
        let duration_ms = match whole {
            Some(whole) => whole.ms.into(),
            None => recorded.duration_ms(file)?,
        };
        let facts = RecordedFacts { duration_ms, bytes: file.size(), video, audio };
        // What cannot be read of it is said when it is played.
        Ok(Film { recorded, facts, rates: recorded.rates(file).unwrap_or_default() })
    }
}

/// What the thread takes beside its stack, for so many places, as rows of the memory table.
pub fn memory(places: usize) -> [Row; 2] {
    [
        Row::new(
            "recorded files",
            places,
            size_of::<Option<OpenRecording<OpenFile>>>() + size_of::<Option<(DownloadId, OpenFile)>>(),
        ),
        Row::new(
            "windows of recorded files",
            1,
            size_of::<Windows>() + size_of::<Stretches>() + size_of::<Option<ReadFilm>>(),
        ),
    ]
}

fn complain_of<E: Debug>(name: &RecordedName, fault: &Fault<E>) {
    match fault {
        Fault::Read(error) => warn!("rill recorded app={} name={}: {error:?}", Quoted(&name.app), Quoted(&name.path)),
        Fault::Structure(what) => complain(name, what),
    }
}

fn complain(name: &RecordedName, what: &str) {
    warn!("rill recorded app={} name={}: {what}", Quoted(&name.app), Quoted(&name.path));
}
