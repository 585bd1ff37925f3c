//! What the server itself publishes on a stream, frame by frame: where it comes from, and how far it is.

use crate::handles::StreamId;
use crate::limits::OUT_CHUNK_BYTES;
use crate::media::{Framing, TagKind, TagSeq};
use crate::time::Millis;

use super::reader::Reader;
use super::recorded::RecordedId;

/// One such stream.
#[derive(Debug)]
pub struct Feed {
    /// Once it is published.
    pub stream: Option<StreamId>,
    /// What goes to it.
    pub source: FeedSource,
    /// When a frame of which time was due.
    pub clock: Option<(Millis, u32)>,
    /// Tags of what is live that have come in the present go, in which it is; 0 outside of one.
    pub tags: u8,
}

/// Where it comes from.
#[derive(Clone, Copy, Debug)]
pub enum FeedSource {
    /// Nothing, for now.
    Nothing,
    /// A recorded stream, with the frame of which a part is in the ring.
    Recorded {
        /// Its place.
        id: RecordedId,
        /// The frame.
        begun: Option<FrameBegun>,
    },
    /// What is live.
    Live {
        /// Where it is.
        reader: Reader,
        /// So many milliseconds of it, if that is said.
        length_ms: Option<u32>,
    },
}

/// A frame of which a part is in the ring.
#[derive(Clone, Copy, Debug)]
pub struct FrameBegun {
    /// Audio, video or data.
    pub kind: TagKind,
    /// How long it is, and its time.
    pub framing: Framing<OUT_CHUNK_BYTES>,
    /// Bytes of it that have come, chunk headers included.
    pub at: u32,
    /// `None` when the ring does not take it.
    pub seq: Option<TagSeq>,
}

impl Feed {
    /// Of what is published already, if it is, and something else from now on.
    pub fn new(stream: Option<StreamId>, source: FeedSource) -> Feed {
        Feed { stream, source, clock: None, tags: 0 }
    }

    /// What is recorded and has that place goes to it.
    pub fn plays(&self, id: RecordedId) -> bool {
        matches!(self.source, FeedSource::Recorded { id: own, .. } if own == id)
    }

    /// What is live on that stream goes to it.
    pub fn reads(&self, stream: StreamId) -> bool {
        matches!(self.source, FeedSource::Live { reader, .. } if reader.stream() == stream)
    }
}

/// Why nothing more comes from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedEnd {
    /// It has come to its end.
    Over,
    /// It cannot be read on, or not be put on the stream.
    Failed,
}
