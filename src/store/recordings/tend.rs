//! What is done for files that nobody waits for: what is not complete is finished, and what is too old goes. One step at a time, so that
//! recordings that are made wait for none.

use std::collections::VecDeque;
use std::io;
use std::path::Path;

use log::{info, warn};

use crate::wire::flv_file::FlvFile;
use crate::wire::flv_front::{FRONT_BYTES, Front, SIZE_BYTES, edit_front, size_in};
use crate::wire::windows::{Fault, File, ReadAt};

use super::disk::{RecordDisk, RecordFile};
use super::left::Left;
use super::{RecordingFiles, fault};

impl<D: RecordDisk> RecordingFiles<D> {
    /// One step. Whether there is more to do at once.
    pub(super) fn tend(&mut self) -> bool {
        let root = self.places.roots().map(|(root, _)| root.to_owned());
        let medium = root.and_then(|root| self.disk.medium(&root));
        let is_other = core::mem::replace(&mut self.tending.medium, medium) != medium;
        let Some(left) = self.tending.left.as_mut().filter(|_| !is_other) else {
            self.find_left();
            return true;
        };
        if self.tending.under_way.is_some() {
            return self.finish_on();
        }
        let Some(next) = left.pop_front() else {
            self.let_old_go();
            return self.commands.is_busy();
        };
        if self.is_open(&next.path) {
            return true;
        }
        match next.path.extension().is_some_and(|ending| ending == "flv") {
            true => self.finish(&next.app, &next.path),
            false => self.begin_finishing(next),
        }
        true
    }

    /// Everything that lies there before the first recording ends is looked at once.
    fn find_left(&mut self) {
        let roots = [self.places.roots(), self.places.named_roots()];
        let roots = roots.map(|root| root.map(|(root, kind)| (root.to_owned(), kind)));
        let mut left = VecDeque::new();
        for (root, kind) in roots.into_iter().flatten() {
            let found = self.below(&root, kind);
            left.extend(found.into_iter().map(|found| Left { path: found.path, app: found.app }));
        }
        left.retain(|left| !self.is_open(&left.path));
        self.tending.left = Some(left);
    }

    /// Makes a file whole, if it is one of ours and is not.
    fn finish(&mut self, app: &str, path: &Path) {
        match self.finish_flv(path) {
            Ok(None) => {}
            Ok(Some((ms, bytes))) if bytes > 0 => {
                info!("rill record finished file={:?} ms={ms} bytes={bytes}", path.display());
                self.complete(app, path);
            }
            Ok(Some(_)) => info!("rill record deleted file={:?} reason=empty", path.display()),
            Err(error) => {
                fault(path, &error);
            }
        }
    }

    /// Returns how long it is, in milliseconds, and how many bytes it has now; `None` when it was complete.
    fn finish_flv(&mut self, path: &Path) -> io::Result<Option<(u32, u64)>> {
        let mut file = self.disk.open(path)?;
        let mut front = vec![0; FRONT_BYTES];
        let read = read_all(&mut file, &mut front)?;
        if size_in(&front[..read.min(SIZE_BYTES)]) != Some(0) && read > 0 {
            return Ok(None);
        }
        let mut reading = File::new(&mut file, &mut self.windows);
        let found = match FlvFile::open(&mut reading) {
            Ok(found) => found,
            Err(Fault::Read(error)) => return Err(error),
            Err(Fault::Structure(what)) => {
                // No frame of it had come to the medium.
                warn!("rill record {}: {what}", path.display());
                drop(file);
                self.disk.remove(path)?;
                return Ok(Some((0, 0)));
            }
        };
        let facts = Front {
            duration_ms: found.duration_ms(),
            bytes: found.end,
            has_video: found.has_video,
            has_audio: found.has_audio,
            ..Front::default()
        };
        if let Some(front) = front.first_chunk_mut::<FRONT_BYTES>() {
            edit_front(front, &facts);
            file.cut(found.end)?;
            file.write_at(0, &front[..])?;
            file.sync()?;
        }
        Ok(Some((found.duration_ms(), found.end)))
    }
}

fn read_all(file: &mut impl ReadAt<Error = io::Error>, out: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while read < out.len() {
        match file.read_at(read as u64, &mut out[read..])? {
            0 => break,
            count => read += count,
        }
    }
    Ok(read)
}
