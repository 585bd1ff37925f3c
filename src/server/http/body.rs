//! Bodies: each with how far it was sent, so that none has to fit into a connection's buffer.
//!
//! A new kind of body is a variant here and an arm in `flush`; a text that is made in pieces is a variant of [`TextKind`] and an arm
//! in `pieces`.

use core::fmt::{self, Write};

use crate::handles::StreamId;
use crate::time::Millis;

use super::file_part::FilePart;
use super::ring_part::RingPart;
use super::viewer::Viewer;

/// Longest short text in bytes. What is longer is cut.
const TEXT_BYTES: usize = 256;
/// Longest piece of a text in bytes: with its head it fits a connection's empty buffer.
pub(super) const PIECE_BYTES: usize = 2048;

/// A piece of a text.
pub(super) type TextPiece = heapless::String<PIECE_BYTES>;

/// What stands behind a head.
pub(super) enum Content {
    /// Nothing.
    Empty,
    /// What the program has embedded.
    Static(&'static [u8]),
    /// A few words.
    Text(heapless::String<TEXT_BYTES>),
    /// A text that is made as it is sent.
    Pieces(Pieces),
    /// A part of what is live.
    Ring(RingPart),
    /// A part of a recorded file.
    File(FilePart),
    /// What is live, for as long as it is and is watched.
    Live(Viewer),
    /// What would be that, to who only asks for its head.
    Endless,
}

impl Content {
    /// A short text.
    pub(super) fn text(words: fmt::Arguments<'_>) -> Content {
        let mut text = heapless::String::new();
        // Cut where it does not fit.
        let _ = text.write_fmt(words);
        Content::Text(text)
    }

    /// Its bytes; `None` when that is known at its end only.
    pub(super) fn length(&self) -> Option<u64> {
        match self {
            Content::Empty => Some(0),
            Content::Static(bytes) => Some(bytes.len() as u64),
            Content::Text(text) => Some(text.len() as u64),
            Content::Ring(part) => Some(part.bytes()),
            Content::File(part) => Some(part.bytes),
            Content::Pieces(_) | Content::Live(_) | Content::Endless => None,
        }
    }

    /// It goes on for as long as both sides like.
    pub(super) fn is_endless(&self) -> bool {
        match self {
            Content::Pieces(pieces) => pieces.what.is_endless(),
            Content::Live(_) | Content::Endless => true,
            Content::Empty | Content::Static(_) | Content::Text(_) | Content::Ring(_) | Content::File(_) => false,
        }
    }
}

/// A text that is made in pieces.
pub(super) struct Pieces {
    /// What it says.
    pub(super) what: TextKind,
    /// Where it goes on.
    pub(super) place: TextPlace,
    /// When it is asked for more.
    pub(super) next: NextPiece,
}

impl Pieces {
    /// From its beginning.
    pub(super) fn new(what: TextKind) -> Pieces {
        Pieces { what, place: TextPlace::default(), next: NextPiece::AtOnce }
    }
}

/// When a text in pieces is asked for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextPiece {
    /// When what it said was sent.
    AtOnce,
    /// Not before this time.
    At(Millis),
    /// Not any more.
    Never,
}

/// What is said in pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextKind {
    /// Which URLs there are: a line each.
    Routes,
    /// What is live.
    Status,
    /// The same again and again, and what has changed from this number on; `None` before anything was said.
    Events(Option<u64>),
    /// A table of the server's, a row an object.
    Rows(RowsKind),
    /// How much of everything there is, ...
    Limits,
    /// ... and what memory was obtained for.
    Memory,
    /// What is wrong.
    Diagnosis,
    /// Which recordings there are, from then on.
    Recordings(Millis),
    /// Figures for Prometheus.
    Metrics,
    /// Figures for who reads nginx-rtmp's.
    Stat,
    /// What is live, for who reads MediaMTX's, ...
    Paths,
    /// ... one of it, ...
    Path(StreamId),
    /// ... and who speaks RTMP.
    RtmpConns,
    /// An address, drawn.
    QrCode,
    /// The playlist of a stream.
    HlsIndex(StreamId),
    /// That of its segments which has this number.
    HlsSegments(StreamId, u32),
}

/// Which table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowsKind {
    Applications,
    Streams,
    Clients,
    Pushes,
}

impl TextKind {
    /// It goes on for as long as both sides like: events.
    pub(super) fn is_endless(self) -> bool {
        match self {
            TextKind::Events(_) => true,
            TextKind::Routes
            | TextKind::Status
            | TextKind::Rows(_)
            | TextKind::Limits
            | TextKind::Memory
            | TextKind::Diagnosis
            | TextKind::Recordings(_)
            | TextKind::Metrics
            | TextKind::Stat
            | TextKind::Paths
            | TextKind::Path(_)
            | TextKind::RtmpConns
            | TextKind::QrCode
            | TextKind::HlsIndex(_)
            | TextKind::HlsSegments(..) => false,
        }
    }
}

/// Where a text in pieces goes on. What it means is the text's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TextPlace {
    /// In a table.
    pub(super) row: u32,
    /// Within a row.
    pub(super) part: u32,
}

/// What comes of asking for a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextProgress {
    /// There is more.
    More,
    /// That was all.
    End,
    /// There may be more at this time.
    Until(Millis),
    /// The rest of it is gone.
    Gone,
}
