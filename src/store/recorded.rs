//! The lane of recorded streams: finds files, and fills blocks with what is in them.

use crate::live::jobs::{Done, Job};
use crate::live::recorded::{Follows, NotPlayed};

/// Does the jobs of [`DiskLane::Recorded`](crate::live::jobs::DiskLane::Recorded).
pub struct RecordedFiles {}

impl RecordedFiles {
    /// Does a job of this lane. As yet it finds no file.
    pub fn work(&mut self, job: Job) -> Done {
        match job {
            Job::Open { id, .. } => Done::Opened { id, found: Err(NotPlayed::Missing) },
            Job::Fill { id, block, .. } => Done::Filled { id, block: Some(block), from_ms: None, next: Follows::Fault },
            Job::Close { id } => Done::Closed { id },
            Job::Facts { asked, .. } => Done::Facts { asked, found: Err(NotPlayed::Missing) },
            job => unreachable!("a job of another lane: {job:?}"),
        }
    }
}
