//! Live media in fixed memory: the ring every player of a stream reads, what a joining player is given first, and the
//! stream's time.
//!
//! ```text
//! stream     one live stream: ring + header cache + timeline + join point; what the server calls
//! ring       tags in wire form, written once; cursors that read them
//! frame      how a tag looks to one reader: the same payload between other bytes
//! reframe    RTMP's frame for the rare player whose headers must differ, or who knows no Enhanced RTMP
//! fragment   fMP4's frame: a tag as a fragment of one sample
//! segments   segments of HLS as ranges of tags
//! earlier    the init segment of headers that have changed since
//! tracks     a stream's tracks as browsers are told of them
//! sound_clock when each frame of sound begins, counted in samples
//! headers    metadata and sequence headers for players who join
//! timeline   the publisher's timestamps, mapped to stream time
//! tag        what a tag is and how it lies on the wire
//! ```
//!
//! Nothing here knows a codec but what is told to browsers and the clock of sound: the server reads a tag's first bytes with `wire::flv` and says what they mean in a few flags
//! ([`TagFlags`]) and a [`HeaderSlot`]; what a tag is to who knows no Enhanced RTMP is read by `wire::legacy`.

pub mod earlier;
pub mod fragment;
pub mod frame;
pub mod headers;
pub mod reframe;
pub mod ring;
pub mod segments;
pub mod sound_clock;
pub mod stream;
pub mod tag;
pub mod timeline;
pub mod tracks;

pub use fragment::{Fragment, FragmentPace, FragmentTracks, SoundTrack};
pub use frame::{Frame, Head, Piece};
pub use headers::{CachedHeader, HeaderCache, Stored};
pub use reframe::Reframe;
pub use ring::{Arrived, Cursor, Evicted, Ring, RingError, Tag, TagMeta};
pub use stream::{JoinPoint, MediaStream, PublishFacts, SeekPoint};
pub use tag::{Framing, HeaderSlot, TagFlags, TagKind, TagSeq, TagTiming};
pub use timeline::Timeline;
