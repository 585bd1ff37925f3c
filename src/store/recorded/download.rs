//! Files as they lie there, for who fetches them.

use log::warn;

use crate::live::download::{DownloadDone, DownloadId, DownloadJob, FileFacts};
use crate::live::recorded::{Block, NotPlayed};
use crate::text::Quoted;
use crate::wire::windows::ReadAt;

use super::Files;

/// Files that are open, in their places.
pub(super) struct OpenDownloads<O> {
    open: Box<[Option<(DownloadId, O)>]>,
}

impl<O: ReadAt<Error: std::fmt::Debug>> OpenDownloads<O> {
    pub(super) fn new(places: usize) -> OpenDownloads<O> {
        OpenDownloads { open: (0..places).map(|_| None).collect() }
    }

    pub(super) fn work(&mut self, files: &mut impl Files<Open = O>, job: DownloadJob) -> DownloadDone {
        match job {
            DownloadJob::Open { id, name } => {
                let Some(place) = self.open.get_mut(usize::from(id.place)) else {
                    return DownloadDone::Opened { id, found: Err(NotPlayed::Unreadable) };
                };
                // What was open there is closed first, so that no more files are open than there are places.
                *place = None;
                let found = files.find_file(&name).map(|(file, written_ns)| {
                    let facts = FileFacts { bytes: file.size(), written_ns };
                    *place = Some((id, file));
                    facts
                });
                DownloadDone::Opened { id, found }
            }
            DownloadJob::Read { id, at, mut block } => {
                self.read(id, at, &mut block);
                DownloadDone::Read { id, block: Some(block) }
            }
            DownloadJob::Close { id } => {
                // Whatever was opened there last: what is opened after this comes after this.
                if let Some(place) = self.open.get_mut(usize::from(id.place)) {
                    *place = None;
                }
                DownloadDone::Closed { id }
            }
        }
    }

    fn read(&mut self, id: DownloadId, at: u64, block: &mut Block) {
        block.clear();
        let place = self.open.get_mut(usize::from(id.place)).and_then(Option::as_mut);
        let Some((_, file)) = place.filter(|(open, _)| *open == id) else { return };
        let mut from = at;
        while !block.room().is_empty() {
            match file.read_at(from, block.room()) {
                Ok(0) => break,
                Ok(count) => {
                    block.put(count);
                    from += count as u64;
                }
                Err(error) => {
                    warn!("rill recorded a file that is fetched cannot be read: {}", Quoted(&format!("{error:?}")));
                    break;
                }
            }
        }
    }
}
