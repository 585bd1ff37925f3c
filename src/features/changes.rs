//! The last things that happened to streams, for who looks on: who published and watched what, and who does no more. It is a ring of
//! fixed length: who asks too late has missed some.

use crate::handles::AppId;
use crate::limits::{CHANGES, PATH_BYTES, Row};
use crate::live::Live;
use crate::live::holder::Holder;
use crate::live::settings::Settings;
use crate::time::Millis;

use super::contract::{Actions, Does, Feature, Happened};

/// The last changes.
#[derive(Default)]
pub struct Changes {
    last: heapless::Deque<StreamChange, CHANGES>,
    /// The number of the one that comes next.
    next: u64,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct StreamChange {
    /// Who.
    pub by: Holder,
    /// Whether it publishes or plays.
    pub does: Does,
    /// Whether it does so from now on, or no more.
    pub begins: bool,
    /// What: the application, ...
    pub app: AppId,
    /// ... and the path of the stream in it.
    pub path: heapless::String<PATH_BYTES>,
}

impl StreamChange {
    /// One word.
    pub fn name(&self) -> &'static str {
        match (self.does, self.begins) {
            (Does::Publish, true) => "published",
            (Does::Publish, false) => "unpublished",
            (Does::Play, true) => "joined",
            (Does::Play, false) => "left",
        }
    }
}

impl Changes {
    /// The number of the change that comes next.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Those of this number and above that are still known, with their numbers.
    pub fn since(&self, number: u64) -> impl Iterator<Item = (u64, &StreamChange)> {
        let first = self.next - self.last.len() as u64;
        (first..).zip(&self.last).filter(move |(own, _)| *own >= number)
    }
}

impl Feature for Changes {
    fn new(_: &Settings) -> Changes {
        Changes::default()
    }

    fn memory(_: &Settings) -> Row {
        Row::new("last changes", 1, size_of::<Changes>())
    }

    fn hear(&mut self, what: &Happened, live: &Live, _: Millis, _: &mut Actions) {
        let (by, stream, does, begins) = match *what {
            Happened::Began { by, stream, does } => (by, stream, does, true),
            Happened::Ended { by, stream, does } => (by, stream, does, false),
            _ => return,
        };
        let stream = live.names.stream(stream);
        if self.last.is_full() {
            self.last.pop_front();
        }
        // A path fits.
        let path = heapless::String::try_from(stream.path.as_str()).unwrap_or_default();
        let change = StreamChange { by, does, begins, app: stream.app, path };
        // There is room.
        let _ = self.last.push_back(change);
        self.next += 1;
    }
}
