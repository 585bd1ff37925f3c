//! Files that clients fetch: each has a place with a file that the disk keeps open for it, and a block, which the disk fills with
//! what comes next. While that is under way nothing is due to the client; nobody else waits for it. The block is lent by a place of
//! the players of recorded streams: a file that is fetched takes as much as one that is played.

use std::boxed::Box;

use crate::handles::ConnId;
use crate::limits::Row;
use crate::live::Live;
use crate::live::download::{DownloadDone, DownloadId, DownloadJob, FileFacts, FileName, LentBlock};
use crate::live::jobs::{Done, Job};
use crate::live::recorded::{Block, NotPlayed};
use crate::live::settings::Settings;
use crate::time::Millis;

use super::contract::{Action, Actions, Feature, Happened};

/// Files that are fetched.
pub struct Downloads {
    places: Box<[DownloadPlace]>,
}

/// Room for one of them.
struct DownloadPlace {
    generation: u32,
    state: DownloadState,
    /// What is next asked of the disk.
    wish: Option<DownloadWish>,
    /// Whose block it has.
    lender: Option<u16>,
    /// `None` while the disk has it.
    block: Option<Block>,
    /// From which byte on the block holds the file, and whether it was filled.
    from: u64,
    is_filled: bool,
}

/// What a place is used for.
enum DownloadState {
    Free,
    /// The file is looked for.
    Opening(ConnId),
    /// That is what was found.
    Open(ConnId, FileFacts),
    /// There is none.
    NotThere(ConnId, NotPlayed),
}

enum DownloadWish {
    Open(FileName),
    Read,
    /// And then the next one may be opened.
    Close(DownloadId, Option<FileName>),
}

/// What is due of a file.
#[derive(Debug, PartialEq, Eq)]
pub enum FileDue<'b> {
    /// The disk is at it.
    Waits,
    /// These bytes.
    Bytes(&'b [u8]),
    /// The file ends before, or cannot be read.
    Broken,
}

impl Downloads {
    /// A place for somebody who wants a file, with a block for it: what is found of it comes with [`Action::FileReady`].
    ///
    /// # Errors
    ///
    /// The block: every place is taken, which there are as many of as may lend one.
    pub fn open(&mut self, conn: ConnId, name: FileName, lent: LentBlock) -> Result<DownloadId, LentBlock> {
        let is_free = |place: &DownloadPlace| matches!(place.state, DownloadState::Free) && place.lender.is_none();
        let Some(at) = self.places.iter().position(is_free) else { return Err(lent) };
        let place = &mut self.places[at];
        place.state = DownloadState::Opening(conn);
        (place.lender, place.block, place.is_filled) = (Some(lent.place), Some(lent.block), false);
        place.wish = Some(match place.wish.take() {
            Some(DownloadWish::Close(id, _)) => DownloadWish::Close(id, Some(name)),
            _ => DownloadWish::Open(name),
        });
        Ok(DownloadId { place: at as u16, generation: place.generation })
    }

    /// A block that is not needed any more, if there is one.
    pub fn give_back(&mut self) -> Option<LentBlock> {
        let done = |place: &&mut DownloadPlace| matches!(place.state, DownloadState::Free) && place.block.is_some();
        let place = self.places.iter_mut().find(done)?;
        Some(LentBlock { place: place.lender.take()?, block: place.block.take()? })
    }

    /// What was found; `None` before that is known.
    pub fn found(&self, id: DownloadId) -> Option<Result<FileFacts, NotPlayed>> {
        match self.place(id)?.state {
            DownloadState::Open(_, facts) => Some(Ok(facts)),
            DownloadState::NotThere(_, why) => Some(Err(why)),
            DownloadState::Opening(_) | DownloadState::Free => None,
        }
    }

    /// What lies from a byte of the file on. It is asked of the disk if it is not there.
    pub fn due(&mut self, id: DownloadId, at: u64) -> FileDue<'_> {
        let Some(place) = self.place_mut(id) else { return FileDue::Broken };
        let held = place.block.as_ref().filter(|_| place.is_filled).map_or(0, |block| block.bytes().len() as u64);
        if !(place.from..place.from + held).contains(&at) {
            if !matches!(place.state, DownloadState::Open(..)) || place.is_filled && place.from == at {
                return FileDue::Broken;
            }
            if place.block.is_some() {
                (place.from, place.is_filled, place.wish) = (at, false, Some(DownloadWish::Read));
            }
            return FileDue::Waits;
        }
        let skip = (at - place.from) as usize;
        place.block.as_ref().map_or(FileDue::Broken, |block| FileDue::Bytes(&block.bytes()[skip..]))
    }

    /// It is not wanted any more.
    pub fn close(&mut self, id: DownloadId) {
        let Some(place) = self.place_mut(id) else { return };
        place.state = DownloadState::Free;
        place.generation = place.generation.wrapping_add(1);
        // The disk closes what is open there before it opens another; of one that it was not asked for it knows nothing.
        place.wish = Some(DownloadWish::Close(id, None));
    }

    /// What the disk is to do next.
    pub fn next_job(&mut self) -> Option<Job> {
        let at = self.places.iter().position(|place| match place.wish {
            Some(DownloadWish::Read) => place.block.is_some(),
            Some(_) => true,
            None => false,
        })?;
        let place = &mut self.places[at];
        let id = DownloadId { place: at as u16, generation: place.generation };
        let job = match place.wish.take()? {
            DownloadWish::Open(name) => DownloadJob::Open { id, name },
            DownloadWish::Read => DownloadJob::Read { id, at: place.from, block: place.block.take()? },
            DownloadWish::Close(id, next) => {
                place.wish = next.map(DownloadWish::Open);
                DownloadJob::Close { id }
            }
        };
        Some(Job::Download(job))
    }

    /// How many are open, or looked for.
    pub fn count(&self) -> usize {
        self.places.iter().filter(|place| !matches!(place.state, DownloadState::Free)).count()
    }

    fn place(&self, id: DownloadId) -> Option<&DownloadPlace> {
        self.places.get(usize::from(id.place)).filter(|place| place.generation == id.generation)
    }

    fn place_mut(&mut self, id: DownloadId) -> Option<&mut DownloadPlace> {
        self.places.get_mut(usize::from(id.place)).filter(|place| place.generation == id.generation)
    }
}

impl DownloadPlace {
    fn conn(&self) -> Option<ConnId> {
        match self.state {
            DownloadState::Free => None,
            DownloadState::Opening(conn) | DownloadState::Open(conn, _) | DownloadState::NotThere(conn, _) => {
                Some(conn)
            }
        }
    }
}

impl Feature for Downloads {
    fn new(settings: &Settings) -> Downloads {
        let place = || DownloadPlace {
            generation: 0,
            state: DownloadState::Free,
            wish: None,
            lender: None,
            block: None,
            from: 0,
            is_filled: false,
        };
        Downloads { places: core::iter::repeat_with(place).take(settings.recorded_players as usize).collect() }
    }

    fn memory(settings: &Settings) -> Row {
        Row::new("files that are fetched", settings.recorded_players as usize, size_of::<DownloadPlace>())
    }

    /// Who has one says what becomes of it.
    fn hear(&mut self, _what: &Happened, _live: &Live, _now: Millis, _out: &mut Actions) {}

    fn turn(&mut self, _live: &mut Live, _now: Millis, _out: &mut Actions) {}

    fn done(&mut self, done: Done, _now: Millis, out: &mut Actions) -> Option<Done> {
        let Done::Download(done) = done else { return Some(done) };
        match done {
            DownloadDone::Opened { id, found } => {
                let place = self.place_mut(id)?;
                let conn = place.conn()?;
                place.state = match found {
                    Ok(facts) => DownloadState::Open(conn, facts),
                    Err(why) => DownloadState::NotThere(conn, why),
                };
                out.push(Action::FileReady(conn));
            }
            DownloadDone::Read { id, block } => {
                // No other has the place before its block is back.
                let place = self.places.get_mut(usize::from(id.place))?;
                place.block = block;
                let conn = place.conn().filter(|_| place.generation == id.generation)?;
                place.is_filled = true;
                if place.block.is_none() {
                    place.state = DownloadState::NotThere(conn, NotPlayed::Unreadable);
                }
                out.push(Action::FileReady(conn));
            }
            DownloadDone::Closed { .. } => {}
        }
        None
    }

    fn wake_at(&self) -> Option<Millis> {
        None
    }
}
