//! What the operator asks of the files of recordings, and what it hears.

use crate::features::recordings::desk::DeskQuestion;
use crate::handles::ConnId;
use crate::live::recording::{RecordDone, RecordJob};
use crate::time::Millis;

use super::Server;
use super::control::{Answering, List};
use super::speaks::Speaks;

impl Server {
    /// Has the disk asked for the operator. False while it is asked for another one.
    pub(super) fn ask_of_recordings(&mut self, by: ConnId, job: RecordJob) -> bool {
        let is_taken = match self.features.recordings.desk.question {
            DeskQuestion::None => false,
            // Who has gone takes nothing more.
            DeskQuestion::Wanted(other, _) | DeskQuestion::Page(other, _) => self.waits_for_disk(other),
            DeskQuestion::UnderWay(_) => true,
        };
        if is_taken {
            return false;
        }
        self.features.recordings.desk.question = DeskQuestion::Wanted(by, job);
        true
    }

    fn waits_for_disk(&mut self, conn: ConnId) -> bool {
        let Some((_, Speaks::Control(control))) = self.slots.open_both(conn) else { return false };
        matches!(control.answering, Answering::Disk | Answering::List(List::Recordings, _))
    }

    /// The disk has answered.
    pub(super) fn told_of_recordings(&mut self, done: RecordDone, now: Millis) {
        let DeskQuestion::UnderWay(by) = core::mem::take(&mut self.features.recordings.desk.question) else { return };
        if !self.waits_for_disk(by) {
            return;
        }
        let Some((_, Speaks::Control(control))) = self.slots.open_both(by) else { return };
        control.answering = match done {
            RecordDone::Listed { page } => {
                self.features.recordings.desk.question = DeskQuestion::Page(by, page);
                Answering::List(List::Recordings, 0)
            }
            RecordDone::Deleted { result } => Answering::Deleted(result),
            _ => return,
        };
        self.now = now;
        self.wakes.send(by.slot);
    }
}
