//! What the server itself publishes for scripts: the table of it, of which [`super::broadcast`] says what is done.

use std::boxed::Box;

use crate::handles::{FeatureId, StreamId};
use crate::limits::{BROADCASTS, OUT_CHUNK_BYTES, SCRIPT_ITEM_BYTES};
use crate::live::holder::Holder;
use crate::live::reader::Reader;
use crate::live::recorded::RecordedId;
use crate::media::{Framing, TagKind, TagSeq};
use crate::name::{StreamName, StreamPath};
use crate::time::Millis;

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
    /// Once it is published.
    pub(super) stream: Option<StreamId>,
    pub(super) source: BroadcastSource,
    /// When a frame of which time was due.
    pub(super) clock: Option<(Millis, u32)>,
}

/// Where it comes from.
#[derive(Clone, Copy, Debug)]
pub(super) enum BroadcastSource {
    /// A recorded stream, with the frame of which a part is in the ring.
    Recorded { id: RecordedId, begun: Option<FrameBegun> },
    /// What is live, for so many milliseconds if that is said.
    Live { reader: Reader, length_ms: Option<u32> },
}

/// A frame of which a part is in the ring.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameBegun {
    pub(super) kind: TagKind,
    pub(super) framing: Framing<OUT_CHUNK_BYTES>,
    /// Bytes of it that have come, chunk headers included.
    pub(super) at: u32,
    /// `None` when the ring does not take it.
    pub(super) seq: Option<TagSeq>,
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
        let reads = |broadcast: &Broadcast| match broadcast.source {
            BroadcastSource::Live { reader, .. } => reader.stream() == stream,
            BroadcastSource::Recorded { .. } => false,
        };
        let rest = self.all.get(usize::from(from)..)?;
        let at = rest.iter().position(|broadcast| broadcast.as_ref().is_some_and(reads))?;
        Some(from + at as u16)
    }
}

/// Who publishes it.
pub(super) fn holder(n: u16) -> Holder {
    Holder::Feature(FeatureId::BROADCASTS, n)
}
