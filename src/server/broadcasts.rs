//! What the server itself publishes for scripts: the table of it, of which [`super::broadcast`] says what is done.

use std::boxed::Box;

use crate::handles::{FeatureId, StreamId};
use crate::limits::{BROADCASTS, SCRIPT_ITEM_BYTES};
use crate::live::feed::Feed;
use crate::live::holder::Holder;
use crate::name::{StreamName, StreamPath};

use super::instances::InstanceIndex;

/// How a script wants something to be played: `play` of Adobe's class `Stream`.
#[derive(Clone, Copy, Debug)]
pub(super) struct ScriptPlay {
    /// -2 is what is live or else recorded, -1 what is live; else where a recorded stream begins, in seconds.
    pub start_s: f64,
    /// How much of it, in seconds; below 0 all, 0 a picture.
    pub length_s: f64,
    /// In place of what plays; else behind it.
    pub reset: bool,
}

/// All that the server itself publishes for scripts.
pub(super) struct Broadcasts {
    pub(super) all: Box<[Option<Broadcast>]>,
}

/// One.
#[derive(Debug)]
pub(super) struct Broadcast {
    pub(super) instance: InstanceIndex,
    /// What the script calls the stream.
    pub(super) name: StreamName,
    pub(super) path: StreamPath,
    /// What it plays, as the script named it.
    pub(super) item: heapless::String<SCRIPT_ITEM_BYTES>,
    /// What goes to it.
    pub(super) feed: Feed,
}

impl Broadcasts {
    /// For so many at once.
    pub(super) fn new(count: usize) -> Broadcasts {
        Broadcasts { all: core::iter::repeat_with(|| None).take(count).collect() }
    }

    /// How many there may be where so many script processes run.
    pub(super) fn count(script_hosts: usize) -> usize {
        if script_hosts > 0 { BROADCASTS } else { 0 }
    }

    /// What one takes.
    pub(super) const PLACE_BYTES: usize = size_of::<Option<Broadcast>>();

    pub(super) fn get(&self, n: u16) -> Option<&Broadcast> {
        self.all.get(usize::from(n))?.as_ref()
    }

    pub(super) fn get_mut(&mut self, n: u16) -> Option<&mut Broadcast> {
        self.all.get_mut(usize::from(n))?.as_mut()
    }

    pub(super) fn that(&self, wanted: impl Fn(&Broadcast) -> bool) -> Option<u16> {
        let at = self.all.iter().position(|broadcast| broadcast.as_ref().is_some_and(&wanted))?;
        Some(at as u16)
    }

    /// The first, at `from` or behind it, that plays what is live on that stream.
    pub(super) fn next_of(&self, stream: StreamId, from: u16) -> Option<u16> {
        let reads = |broadcast: &Option<Broadcast>| broadcast.as_ref().is_some_and(|one| one.feed.reads(stream));
        let at = self.all.get(usize::from(from)..)?.iter().position(reads)?;
        Some(from + at as u16)
    }
}

/// Who publishes it.
pub(super) fn holder(n: u16) -> Holder {
    Holder::Feature(FeatureId::BROADCASTS, n)
}
