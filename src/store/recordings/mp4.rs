//! MP4 files on the medium: their tables are written when they are complete, a few fragments at a time, and they may be gone on with.
//!
//! What a file is changes with 16 bytes in front ([`hybrid_closed`], [`HYBRID_OPEN`]), which are written when all that they speak of is on
//! the medium; and the other way round, a file is cut when they are.

use std::io::{self, ErrorKind};
use std::path::Path;

use log::{info, warn};

use crate::live::recording::{RecordFault, RecordedBefore};
use crate::wire::mp4::finish::{Finish, FinishError, Finisher, WriteAt};
use crate::wire::mp4::hybrid::{Hybrid, HybridState};
use crate::wire::mp4::init::{HYBRID_AT, HYBRID_OPEN, hybrid_closed};
use crate::wire::mp4::{Choice, Movie};
use crate::wire::windows::{Fault, File, ReadAt};

use super::disk::{RecordDisk, RecordFile};
use super::left::{Left, UnfinishedMovie};
use super::{RecordingFiles, fault, gap_ms};

/// Fragments that are walked over in one step: a few milliseconds, unless a card has to be asked for all of them.
const STEP_FRAGMENTS: u32 = 16;
/// Passes over a short file that are made in one step.
const STEP_PASSES: u32 = 4;

/// A file as the finisher writes it.
struct Tables<'f, F>(&'f mut F);

impl<F: RecordFile> WriteAt for Tables<'_, F> {
    type Error = io::Error;

    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_at(at, bytes)
    }
}

impl<D: RecordDisk> RecordingFiles<D> {
    /// Makes a complete file one of fragments again, which may be gone on with; `None` when there is none.
    pub(super) fn unfinish(
        &mut self,
        path: &Path,
        mark: u64,
        with_gap: bool,
    ) -> Result<Option<RecordedBefore>, RecordFault> {
        let mut file = match self.disk.open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fault(path, &error)),
        };
        let refused = |why: &str| {
            warn!("rill record {}: {why}", path.display());
            RecordFault::Structure
        };
        let mut reading = File::new(&mut file, &mut self.windows);
        let found = match read(Hybrid::look(&mut reading), path)? {
            // Nothing was in it.
            Some(Hybrid { state: HybridState::Torn, .. }) => return Ok(None),
            Some(found) => found,
            None => return Err(refused("it is no recording of this server's")),
        };
        if found.mark != mark {
            return Err(refused("what is published has other codecs, or other headers of them"));
        }
        let end = read(found.media_end(&mut reading), path)?;
        let gap_ms = if with_gap { gap_ms(&mut file) } else { 0 };
        let opened = (|| {
            if found.state != HybridState::Open {
                file.write_at(HYBRID_AT, &HYBRID_OPEN)?;
                file.sync()?;
            }
            file.cut(end)?;
            file.sync()
        })();
        opened.map_err(|error| fault(path, &error))?;
        let mut reading = File::new(&mut file, &mut self.windows);
        let movie = read(Movie::open(&mut reading, Choice::default()), path)?;
        let ms = read(movie.duration_ms(&mut reading), path)?;
        // Sound may end within a millisecond.
        let ms = u32::try_from(ms).unwrap_or(u32::MAX).saturating_add(1);
        Ok(Some(RecordedBefore { bytes: end, ms, gap_ms, own_front: true }))
    }

    /// Begins to finish a file, if it is one of ours and is not complete.
    pub(super) fn begin_finishing(&mut self, left: Left) {
        match self.finishing(&left) {
            Ok(Some((reads, finisher))) => match self.open_to_grow(&left.path, reads.size()) {
                Ok(writes) => self.tending.under_way = Some(UnfinishedMovie { left, reads, writes, finisher }),
                Err(error) => {
                    fault(&left.path, &error);
                }
            },
            Ok(None) => {}
            Err(error) => {
                fault(&left.path, &error);
            }
        }
    }

    fn finishing(&mut self, left: &Left) -> io::Result<Option<(D::File, Box<Finisher>)>> {
        let mut file = self.disk.open(&left.path)?;
        let mut reading = File::new(&mut file, &mut self.windows);
        let is_empty = match Hybrid::look(&mut reading) {
            Ok(Some(found)) if found.state == HybridState::Open => match found.is_empty(&mut reading) {
                Ok(false) => match Finisher::new(&mut reading) {
                    Ok(finisher) => return Ok(Some((file, Box::new(finisher)))),
                    fault => fault.map(|_| false),
                },
                empty => empty,
            },
            found => found.map(|found| found.is_some_and(|found| found.state == HybridState::Torn)),
        };
        let is_empty = match is_empty {
            Ok(is_empty) => is_empty,
            Err(Fault::Read(error)) => return Err(error),
            Err(Fault::Structure(what)) => {
                warn!("rill record {}: it is not finished: {what}", left.path.display());
                false
            }
        };
        if is_empty {
            // No frame of it had come to the medium.
            drop(file);
            self.disk.remove(&left.path)?;
            info!("rill record deleted file={:?} reason=empty", left.path.display());
        }
        Ok(None)
    }

    /// Goes on with what is being finished. False when nothing is.
    pub(super) fn finish_on(&mut self) -> bool {
        let Some(mut finishing) = self.tending.under_way.take() else { return false };
        let UnfinishedMovie { left, reads, writes, finisher } = &mut finishing;
        for _ in 0..STEP_PASSES {
            let mut reading = File::new(reads, &mut self.windows);
            match finisher.step(&mut reading, &mut Tables(writes), STEP_FRAGMENTS) {
                Ok(Finish::Going) => {}
                Ok(Finish::Done { moov_at, end }) => {
                    match close(writes, moov_at, end) {
                        Ok(()) => {
                            info!("rill record finished file={:?} bytes={end}", left.path.display());
                            let Left { path, app } = finishing.left;
                            self.complete(&app, &path);
                        }
                        Err(error) => {
                            fault(&left.path, &error);
                        }
                    }
                    return true;
                }
                // It stays what it is: a file of fragments.
                Err(FinishError::Read(Fault::Structure(what))) => {
                    warn!("rill record {}: it is not finished: {what}", left.path.display());
                    return true;
                }
                Err(FinishError::Read(Fault::Read(error)) | FinishError::Write(error)) => {
                    fault(&left.path, &error);
                    return true;
                }
            }
        }
        self.tending.under_way = Some(finishing);
        true
    }
}

/// All is written but what says so.
fn close(file: &mut impl RecordFile, moov_at: u64, end: u64) -> io::Result<()> {
    file.cut(end)?;
    file.sync()?;
    file.write_at(HYBRID_AT, &hybrid_closed(moov_at))?;
    file.sync()
}

/// What was read of a file that is to be gone on with.
fn read<T>(answer: Result<T, Fault<io::Error>>, path: &Path) -> Result<T, RecordFault> {
    answer.map_err(|problem| match problem {
        Fault::Read(error) => fault(path, &error),
        Fault::Structure(what) => {
            warn!("rill record {}: {what}", path.display());
            RecordFault::Structure
        }
    })
}
