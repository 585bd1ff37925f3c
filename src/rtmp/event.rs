//! What a session tells its caller, what it asks, and why it ends: the types between [`super::session`] and whoever drives it.

use crate::limits::NET_STREAMS;
use crate::wire::bytes::Full;
use crate::wire::handshake::FirstByte;

use super::chunk_reader::{ChunkError, Lane, Payload};
use super::status::Status;
use crate::name::StreamName;

/// A net stream of a connection, by its message stream id: 1 to [`NET_STREAMS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetStreamId(u8);

impl NetStreamId {
    /// The message stream id on the wire.
    pub fn wire(self) -> u32 {
        u32::from(self.0)
    }

    /// Its place in a table of [`NET_STREAMS`].
    pub fn index(self) -> usize {
        usize::from(self.0) - 1
    }

    pub(super) fn from_wire(id: u32) -> Option<NetStreamId> {
        (1..=NET_STREAMS as u32).contains(&id).then_some(NetStreamId(id as u8))
    }

    /// The net stream at a place of such a table.
    pub fn from_index(index: usize) -> NetStreamId {
        NetStreamId(index as u8 + 1)
    }
}

/// Audio or video.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaKind {
    /// Message type 8.
    Audio,
    /// Message type 9.
    Video,
}

/// What happened. Media events borrow from the input.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'i> {
    /// The client asks for something that needs a decision: see [`Session::request`](super::session::Session::request)
    /// and [`Session::decide`](super::session::Session::decide).
    Request,
    /// The client calls a method that the application's own code may have: see
    /// [`Session::call`](super::session::Session::call). It is to be answered before the next call, by
    /// [`Session::command`](super::session::Session::command),
    /// [`Session::refuse_call`](super::session::Session::refuse_call) or
    /// [`Session::answer_built_in`](super::session::Session::answer_built_in).
    Call,
    /// The client answers a call of ours, with this transaction id: `_result` (`true`) or `_error`. What it says is read
    /// with [`Session::arguments`](super::session::Session::arguments) before the next call.
    Answer(u32, bool),
    /// The client wants its bandwidth measured, and to be told by `onBWDone`: see [`super::bandwidth_check`].
    CheckBandwidth,
    /// The client has sent `_checkbw`: it knows what [`MethodNames::Underscored`](super::bandwidth_check::MethodNames) means. It
    /// does so whenever it hears `onBWDone`, so that it is no wish to be measured.
    CheckBw,
    /// The net stream stopped publishing or playing, because the client said so. It may be used again.
    Closed(NetStreamId),
    /// A playing client pauses (`true`) or goes on, `None` toggles; and where it is, in ms.
    Pause(NetStreamId, Option<bool>, u32),
    /// A playing client wants to go elsewhere in time: to this, in ms.
    Seek(NetStreamId, u32),
    /// The client has another buffer: see [`Session::buffer_ms`](super::session::Session::buffer_ms).
    BufferLength,
    /// The client wants to know how long a recording is, by a [`Call`] that is answered, now or later, by
    /// [`Session::tell_length`](super::session::Session::tell_length).
    StreamLength,
    /// The client wants to know what there is of a recording, by a [`Call`] that is answered, now or later, by
    /// [`Session::tell_dvr_info`](super::session::Session::tell_dvr_info).
    DvrInfo,
    /// A playing client switches its audio on or off.
    ReceiveAudio(NetStreamId, bool),
    /// A playing client switches its video on or off.
    ReceiveVideo(NetStreamId, bool),
    /// A data message of a publishing net stream, with its time in ms: read it with
    /// [`Session::data`](super::session::Session::data) before the next call.
    Data(NetStreamId, u32),
    /// A data message of a publishing net stream, of so many bytes, is dropped: there is no room to put it together
    /// ([`ASSEMBLY_BYTES`](crate::limits::ASSEMBLY_BYTES)), and it is no metadata, of which what fits is kept.
    DataTooLong(NetStreamId, u32),
    /// An audio or video message of a publishing net stream begins. Messages of different lanes interleave.
    MediaBegin {
        /// Which of the messages under way.
        lane: Lane,
        /// Whose.
        stream: NetStreamId,
        /// Audio or video.
        kind: MediaKind,
        /// The publisher's time in ms, wrapping at 2^32.
        timestamp: u32,
        /// Payload bytes to come; not 0 for video.
        length: u32,
    },
    /// The next payload bytes of the lane's message.
    MediaData(Lane, Payload<'i>),
    /// The lane's message is complete.
    MediaEnd(Lane),
    /// The lane's message will not be completed.
    MediaAbort(Lane),
}

/// What a client asks for and the server decides.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// To join an application: see [`Session::connect_info`](super::session::Session::connect_info).
    Connect,
    /// To publish.
    Publish {
        /// On which net stream.
        stream: NetStreamId,
        /// The name that the client publishes.
        name: StreamName,
        /// Whether it is to be recorded, too.
        mode: PublishMode,
    },
    /// To play.
    Play {
        /// On which net stream. If it plays already, accepting means that the new stream replaces the old one.
        stream: NetStreamId,
        /// The name that the client plays.
        name: StreamName,
        /// Live or recorded, and from where.
        start: PlayStart,
        /// How much of a recording.
        length: PlayLength,
        /// Asked by `play` with its reset flag, `play`, or `play2`.
        how: PlayHow,
    },
}

/// Type argument of `publish`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishMode {
    /// Not recorded.
    Live,
    /// Recorded over what there is.
    Record,
    /// Recorded behind what there is (`append`).
    Append,
    /// The same, with the pause in between as long as it was (`appendWithGap`).
    AppendWithGap,
}

/// Start argument of `play`, in Adobe's meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlayStart {
    /// -2, the default: live if there is a publisher, else a recording, else wait for a publisher.
    LiveOrRecorded,
    /// -1: live only, waiting for a publisher.
    Live,
    /// 0 and above: a recording from there, in ms. rtmpdump without `--live` sends 0 for live streams too.
    Recorded(u32),
}

/// Length argument of `play`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlayLength {
    /// -1, the default: to the end.
    Whole,
    /// 0: one picture.
    Picture,
    /// So many ms.
    Ms(u32),
}

/// Which command made a client play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlayHow {
    /// `play` with its reset flag: what plays is replaced.
    Reset,
    /// `play` without: a recording is queued behind a recording.
    Append,
    /// `play2`: a switch to another stream, answered by Play.Transition.
    Switch,
}

/// A method that a client calls, for the application's own code.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Call<'a> {
    /// The method.
    pub name: &'a str,
    /// 0 asks for no answer.
    pub transaction: f64,
    /// What it is given, as AMF0 values.
    pub arguments: &'a [u8],
}

/// An answer to a [`Request`].
#[derive(Clone, Copy, Debug)]
pub enum Decision<'a> {
    /// Granted. What is played is live.
    Accept,
    /// Granted. What is played is recorded.
    AcceptRecorded,
    /// Granted for later, behind what plays.
    Queue,
    /// Refused, with what the client is told.
    Reject(Status<'a>),
}

/// Why a session cannot go on: who is at fault first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionError {
    /// The first byte is of another protocol (or of encrypted RTMP).
    NotRtmp(FirstByte),
    /// The client broke the protocol.
    PeerMisbehaved(Misbehaviour),
    /// The client exceeded a limit.
    LimitExceeded(Limit),
}

/// What a client did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misbehaviour {
    /// A chunk on a chunk stream that was never opened.
    Chunk,
    /// A Set Chunk Size of 0, or with the top bit set.
    ChunkSize,
    /// A command that is not AMF.
    Command,
    /// A command before `connect`.
    NotConnected,
    /// A name to publish that cannot be: OBS waits behind `BadName` until the connection is closed.
    StreamName,
    /// A second `connect`.
    ConnectedTwice,
}

/// A limit of [`crate::limits`] that closes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// [`CHUNK_STREAMS`](crate::limits::CHUNK_STREAMS).
    ChunkStreams,
    /// [`ASSEMBLY_BYTES`](crate::limits::ASSEMBLY_BYTES) or the number of messages in it.
    CommandBytes,
    /// [`TX_BYTES`](crate::limits::TX_BYTES): the client does not read its answers.
    ReplyBytes,
}

impl From<ChunkError> for SessionError {
    fn from(error: ChunkError) -> SessionError {
        match error {
            ChunkError::UnopenedChunkStream(_) => SessionError::PeerMisbehaved(Misbehaviour::Chunk),
            ChunkError::TooManyChunkStreams => SessionError::LimitExceeded(Limit::ChunkStreams),
        }
    }
}

impl From<Full> for SessionError {
    fn from(_: Full) -> SessionError {
        SessionError::LimitExceeded(Limit::ReplyBytes)
    }
}
