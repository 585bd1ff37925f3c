//! What the operator, viewers and scripts ask of the files of recordings. The disk answers it: questions one at a time, of which whoever
//! comes meanwhile is told, and wishes of scripts one after the other.

use std::boxed::Box;

use crate::handles::ConnId;
use crate::limits::{CLEARS, PATH_BYTES};
use crate::live::recording::{ListedRecording, RecordJob, RecordingName, RecordingsPage};
use crate::wire::script_link::InstanceId;

/// What is asked.
#[derive(Default)]
pub struct RecordingDesk {
    /// By the operator, or for a list by a viewer.
    pub question: DeskQuestion,
    clears: heapless::Deque<ClearWish, CLEARS>,
    clear_is_under_way: bool,
}

/// What is asked by a client, and by which.
#[derive(Debug, Default)]
#[expect(clippy::large_enum_variant, reason = "there is one, and it takes nothing from the heap")]
pub enum DeskQuestion {
    /// Nothing.
    #[default]
    None,
    /// The disk is to be asked.
    Wanted(ConnId, RecordJob),
    /// It is at it.
    UnderWay(ConnId),
    /// A page of the list, of which not all was taken.
    Page(ConnId, Box<RecordingsPage>),
}

/// A script wants recordings deleted.
pub struct ClearWish {
    /// The script.
    pub script: InstanceId,
    /// As it calls the stream.
    pub stream: heapless::String<PATH_BYTES>,
    /// By which name they were recorded.
    pub name: RecordingName,
    /// All that lie in the same folder and below.
    pub all: bool,
}

impl RecordingDesk {
    /// Bytes of the wishes of scripts.
    pub const WISH_BYTES: usize = size_of::<ClearWish>();

    /// What the disk is to do next.
    pub(super) fn next_job(&mut self) -> Option<RecordJob> {
        if let Some(ClearWish { name, all, .. }) = self.clears.front().filter(|_| !self.clear_is_under_way) {
            self.clear_is_under_way = true;
            return Some(RecordJob::Clear { name: name.clone(), all: *all });
        }
        let DeskQuestion::Wanted(by, _) = self.question else { return None };
        match core::mem::replace(&mut self.question, DeskQuestion::UnderWay(by)) {
            DeskQuestion::Wanted(_, job) => Some(job),
            _ => None,
        }
    }

    /// One more wish of a script. False when as many wait as there is room for.
    pub fn clear(&mut self, wish: ClearWish) -> bool {
        self.clears.push_back(wish).is_ok()
    }

    /// The disk has done what the first of them wants.
    pub fn cleared(&mut self) -> Option<ClearWish> {
        self.clear_is_under_way = false;
        self.clears.pop_front()
    }

    /// A recording of the client's page.
    pub fn row(&self, of: ConnId, at: usize) -> Option<&ListedRecording> {
        match &self.question {
            DeskQuestion::Page(by, page) if *by == of => page.rows.get(at),
            _ => None,
        }
    }

    /// The client has taken its page. Whether another one follows.
    pub fn page_is_taken(&mut self, of: ConnId) -> bool {
        let DeskQuestion::Page(by, page) = &self.question else { return false };
        if *by != of {
            return false;
        }
        let more = page.more;
        self.question = if more { DeskQuestion::Wanted(of, RecordJob::ListOn) } else { DeskQuestion::None };
        more
    }
}
