//! What a hybrid file is while nobody writes it: ordinary, or of fragments still, as whoever wrote it lost its power.

use crate::wire::windows::{Answer, File, ReadAt, STRUCTURE, WINDOW_BYTES};

use super::atom::{Atom, top_atom};
use super::init::{FTYP_BOX, HYBRID_AT, HYBRID_OPEN, HYBRID_TRACKS_AT, Mark};

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HybridState {
    /// Its fragments are its media.
    Open,
    /// It is an ordinary file, whose `moov` box lies there.
    Closed {
        /// Where.
        moov_at: u64,
    },
    /// It ends before its first fragment begins: there is nothing in it.
    Torn,
}

/// A hybrid file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hybrid {
    /// What it is.
    pub state: HybridState,
    /// See [`Init::mark`](super::init::Init::mark); 0 of one that is torn.
    pub mark: u64,
    /// Where its first fragment lies.
    pub first: u64,
}

impl Hybrid {
    /// What a file is; `None` when it is none that was written here.
    ///
    /// # Errors
    ///
    /// What the disk says.
    pub fn look<R: ReadAt>(file: &mut File<'_, R>) -> Answer<Option<Hybrid>, R> {
        let torn = Hybrid { state: HybridState::Torn, mark: 0, first: 0 };
        let size = file.size();
        let begin = size.min(FTYP_BOX.len() as u64) as usize;
        if file.bytes(STRUCTURE, 0, begin)? != &FTYP_BOX[..begin] {
            return Ok(None);
        }
        if size < HYBRID_TRACKS_AT {
            return Ok(Some(torn));
        }
        let space: [u8; HYBRID_OPEN.len()] = file.array(STRUCTURE, HYBRID_AT)?;
        let state = match space {
            HYBRID_OPEN => HybridState::Open,
            [0, 0, 0, 1, b'm', b'd', b'a', b't', bytes @ ..] => {
                HybridState::Closed { moov_at: HYBRID_AT.saturating_add(u64::from_be_bytes(bytes)) }
            }
            _ => return Ok(None),
        };
        let tracks = top_atom(file, HYBRID_TRACKS_AT)?.filter(|found| found.end <= size);
        let Some(tracks) = tracks else { return Ok((state == HybridState::Open).then_some(torn)) };
        if tracks.kind != *b"moov" {
            return Ok(None);
        }
        Ok(Some(Hybrid { state, mark: mark(file, &tracks)?, first: tracks.end }))
    }

    /// Whether not one of its fragments is whole.
    ///
    /// # Errors
    ///
    /// What the disk says.
    pub fn is_empty<R: ReadAt>(&self, file: &mut File<'_, R>) -> Answer<bool, R> {
        Ok(fragment_end(file, self.first)?.is_none())
    }

    /// Where its media ends: behind the last fragment that is whole.
    ///
    /// # Errors
    ///
    /// What the disk says.
    pub fn media_end<R: ReadAt>(&self, file: &mut File<'_, R>) -> Answer<u64, R> {
        if let HybridState::Closed { moov_at } = self.state {
            return Ok(moov_at.min(file.size()));
        }
        let mut at = self.first;
        while let Some(end) = fragment_end(file, at)? {
            at = end;
        }
        Ok(at)
    }
}

/// The end of the fragment that begins at `at`, if all of it is there.
///
/// # Errors
///
/// What the disk says.
pub(super) fn fragment_end<R: ReadAt>(file: &mut File<'_, R>, at: u64) -> Answer<Option<u64>, R> {
    let size = file.size();
    let whole = |found: &Atom, kind: &[u8; 4]| found.kind == *kind && found.end <= size;
    let Some(moof) = top_atom(file, at)?.filter(|found| whole(found, b"moof")) else { return Ok(None) };
    Ok(top_atom(file, moof.end)?.filter(|found| whole(found, b"mdat")).map(|mdat| mdat.end))
}

fn mark<R: ReadAt>(file: &mut File<'_, R>, tracks: &Atom) -> Answer<u64, R> {
    let (mut mark, mut at) = (Mark::new(), tracks.start);
    while at < tracks.end {
        let count = (tracks.end - at).min(WINDOW_BYTES as u64) as usize;
        mark.add(file.bytes(STRUCTURE, at, count)?);
        at += count as u64;
    }
    Ok(mark.0)
}
