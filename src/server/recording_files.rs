//! What the operator and the page ask of the files of recordings, and what they hear.

use crate::features::recordings::desk::DeskQuestion;
use crate::handles::ConnId;
use crate::live::recording::{RecordDone, RecordJob};
use crate::time::Millis;

use super::Server;
use super::control::{Answering, List};
use super::speaks::Speaks;

impl Server {
    /// Has the disk asked for the operator, or for a viewer. False while it is asked for another one.
    pub(super) fn ask_of_recordings(&mut self, by: ConnId, job: RecordJob) -> bool {
        let is_taken = match self.features.recordings.desk.question {
            DeskQuestion::None => false,
            // Who has gone takes nothing more, and a viewer who takes its time gives way to the operator.
            DeskQuestion::Wanted(other, _) | DeskQuestion::Page(other, _) => {
                self.waits_for_disk(other) && (self.is_viewer(by) || !self.is_viewer(other))
            }
            DeskQuestion::UnderWay(_) => true,
        };
        if is_taken {
            return false;
        }
        self.features.recordings.desk.question = DeskQuestion::Wanted(by, job);
        true
    }

    fn waits_for_disk(&mut self, conn: ConnId) -> bool {
        match self.slots.open_both(conn) {
            Some((_, Speaks::Control(control))) => {
                matches!(control.answering, Answering::Disk | Answering::List(List::Recordings, _))
            }
            Some((_, Speaks::Http(http))) => http.lists_recordings() || http.waits_for_deletion(),
            _ => false,
        }
    }

    /// It asks over HTTP.
    fn is_viewer(&mut self, conn: ConnId) -> bool {
        matches!(self.slots.open_both(conn), Some((_, Speaks::Http(_))))
    }

    /// The disk has answered.
    pub(super) fn told_of_recordings(&mut self, done: RecordDone, now: Millis) {
        let DeskQuestion::UnderWay(by) = core::mem::take(&mut self.features.recordings.desk.question) else { return };
        if !self.waits_for_disk(by) {
            return;
        }
        let answering = match done {
            RecordDone::Listed { page } => {
                self.features.recordings.desk.question = DeskQuestion::Page(by, page);
                Answering::List(List::Recordings, 0)
            }
            RecordDone::Deleted { result } => Answering::Deleted(result),
            _ => return,
        };
        match self.slots.open_both(by) {
            Some((_, Speaks::Control(control))) => control.answering = answering,
            Some((_, Speaks::Http(http))) => match answering {
                Answering::Deleted(result) => return self.deleted_for(by, result, now),
                _ => http.list_goes_on(),
            },
            _ => return,
        }
        self.now = now;
        self.wakes.send(by.slot);
    }
}
