//! The server's reader of recorded files, on files of a directory that counts what is read of them.

use std::cell::RefCell;
use std::fs;
use std::io::{self, IoSliceMut, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::rc::Rc;

use rill::live::download::FileName;
use rill::live::jobs::{Done, Job};
use rill::live::recorded::{Block, Fill, Follows, NotPlayed, RecordedFacts, RecordedId, RecordedName, RecordedTerms};
use rill::store::{FileStamp, FileStep, Files, RecordedFiles};
use rill::wire::windows::ReadAt;

/// What was read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reads {
    pub calls: u64,
    pub bytes: u64,
}

pub struct Counted {
    directory: PathBuf,
    reads: Rc<RefCell<Reads>>,
}

pub struct CountedFile {
    file: fs::File,
    size: u64,
    reads: Rc<RefCell<Reads>>,
}

impl Files for Counted {
    type Open = CountedFile;

    fn find(&mut self, name: &RecordedName) -> Result<CountedFile, NotPlayed> {
        let file = fs::File::open(self.directory.join(name.path.as_str())).map_err(|_| NotPlayed::Missing)?;
        let size = file.metadata().map_err(|_| NotPlayed::Unreadable)?.len();
        Ok(CountedFile { file, size, reads: self.reads.clone() })
    }

    fn find_file(&mut self, _: &FileName) -> Result<(CountedFile, u64), NotPlayed> {
        Err(NotPlayed::Missing)
    }

    fn look(&mut self, file: &mut CountedFile, most: Option<u64>) {
        file.size = file.file.metadata().unwrap().len().min(most.unwrap_or(u64::MAX));
    }

    fn stamp(&self, file: &CountedFile) -> Option<FileStamp> {
        file.file.metadata().ok().map(|metadata| FileStamp::of(&metadata))
    }

    fn next(&mut self, _: &RecordedName) -> FileStep {
        FileStep::default()
    }
}

impl ReadAt for CountedFile {
    type Error = io::Error;

    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&mut self, at: u64, out: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(out, at)?;
        let mut reads = self.reads.borrow_mut();
        reads.calls += 1;
        reads.bytes += count as u64;
        Ok(count)
    }

    fn read_pieces(&mut self, at: u64, out: &mut [&mut [u8]]) -> io::Result<usize> {
        let mut pieces: Vec<IoSliceMut<'_>> = out.iter_mut().map(|piece| IoSliceMut::new(piece)).collect();
        self.file.seek(SeekFrom::Start(at))?;
        let count = self.file.read_vectored(&mut pieces)?;
        let mut reads = self.reads.borrow_mut();
        reads.calls += 1;
        reads.bytes += count as u64;
        Ok(count)
    }
}

/// The reader, with one place.
pub struct Disk {
    files: RecordedFiles<Counted>,
    reads: Rc<RefCell<Reads>>,
    block: Option<Block>,
}

const ID: RecordedId = RecordedId { place: 0, generation: 0 };

impl Disk {
    pub fn new(directory: PathBuf) -> Disk {
        let reads = Rc::new(RefCell::new(Reads::default()));
        let files = RecordedFiles::new(Counted { directory, reads: reads.clone() }, 1);
        Disk { files, reads, block: Some(Block::new()) }
    }

    /// What was read since this was asked last.
    pub fn reads(&self) -> Reads {
        self.reads.take()
    }

    pub fn open(&mut self, name: &str) -> Result<RecordedFacts, NotPlayed> {
        let name = RecordedName::new("vod", "_definst_", false, name.as_bytes()).unwrap();
        match self.files.work(Job::Open { id: ID, name, growing: None }) {
            Done::Opened { found, .. } => found,
            done => panic!("{done:?}"),
        }
    }

    /// What is known of a file that is not played yet.
    pub fn facts(&mut self, name: &str) -> Result<RecordedFacts, NotPlayed> {
        let name = RecordedName::new("vod", "_definst_", false, name.as_bytes()).unwrap();
        match self.files.work(Job::Facts { asked: None, name }) {
            Done::Facts { found, .. } => found,
            done => panic!("{done:?}"),
        }
    }

    /// Fills the block, and says when what is in it begins.
    pub fn fill(&mut self, fill: Fill) -> (Option<u32>, Follows) {
        let block = self.block.take().unwrap();
        match self.files.work(Job::Fill { id: ID, fill, terms: RecordedTerms::whole(1), block }) {
            Done::Filled { block, from_ms, next, .. } => {
                self.block = block;
                (from_ms, next)
            }
            done => panic!("{done:?}"),
        }
    }

    pub fn block(&self) -> &Block {
        self.block.as_ref().unwrap()
    }
}
