//! A live viewer over HTTP: a reader as every player has one ([`Reader`]), a format, and what carries its bytes.
//!
//! A new way of watching is a variant of [`ViewerFormat`] with the bytes that it puts before the first frame, for a header and around a
//! tag. Where it joins, what it skips and when it ends is its reader's.

use crate::limits::TX_BYTES;
use crate::live::names::Media;
use crate::live::reader::Reader;
use crate::media::frame::{Frame, Head};
use crate::media::{Tag, TagSeq};
use crate::rtmp::tx::TxBuf;
use crate::server::close::CloseReason;
use crate::time::Millis;
use crate::wire::bytes::Full;
use crate::wire::websocket::{ClientFrames, CloseCode, FrameKind};

use super::carrier::{Carrier, LAST_CHUNK, NotSaid, put_whole, say_whole};
use super::{flv, mp4};

const _: () = assert!(crate::limits::HEADER_BYTES + 64 < TX_BYTES, "a header of a stream fits an empty buffer");

/// How a viewer's media looks.
#[derive(Clone, Copy, Debug)]
pub(super) enum ViewerFormat {
    /// FLV.
    Flv(flv::FlvViewer),
    /// Fragmented MP4.
    Mp4(mp4::Mp4Viewer),
}

/// A viewer's state.
pub(super) struct Viewer {
    pub(super) reader: Reader,
    pub(super) carrier: Carrier,
    pub(super) format: ViewerFormat,
    /// What the client says, of a WebSocket.
    pub(super) frames: ClientFrames,
    /// Why it ends, once it does, between two tags.
    pub(super) ends: Option<CloseCode>,
    /// It is closed, for this reason, when the rest of the tag that was begun was sent.
    pub(super) leaves: Option<CloseReason>,
}

/// A tag as it is sent to a viewer.
#[expect(clippy::large_enum_variant, reason = "it lives for a write")]
pub(super) enum ViewerFrame {
    /// As FLV.
    Flv(flv::FlvFrame),
    /// As a fragment.
    Mp4(mp4::Mp4Frame),
}

impl Frame for ViewerFrame {
    fn head(&self, tag: &Tag) -> Head {
        match self {
            ViewerFrame::Flv(frame) => frame.head(tag),
            ViewerFrame::Mp4(frame) => frame.head(tag),
        }
    }

    fn skip(&self, tag: &Tag) -> u32 {
        match self {
            ViewerFrame::Flv(frame) => frame.skip(tag),
            ViewerFrame::Mp4(frame) => frame.skip(tag),
        }
    }

    fn take(&self, tag: &Tag) -> u32 {
        match self {
            ViewerFrame::Flv(frame) => frame.take(tag),
            ViewerFrame::Mp4(frame) => frame.take(tag),
        }
    }

    fn later(&self) -> &[(TagSeq, u32, u32)] {
        match self {
            ViewerFrame::Flv(frame) => frame.later(),
            ViewerFrame::Mp4(frame) => frame.later(),
        }
    }

    fn tail(&self, tag: &Tag) -> Head {
        match self {
            ViewerFrame::Flv(frame) => frame.tail(tag),
            ViewerFrame::Mp4(frame) => frame.tail(tag),
        }
    }
}

impl ViewerFormat {
    /// How a tag is sent: see [`Viewer::frame`].
    pub(super) fn frame(
        &mut self,
        carrier: Carrier,
        media: &Media,
        tag: &Tag,
        tx: Option<&mut TxBuf>,
    ) -> Result<ViewerFrame, NotSaid> {
        match self {
            ViewerFormat::Flv(flv) => flv.frame(carrier, media, tag, tx).map(ViewerFrame::Flv),
            ViewerFormat::Mp4(mp4) => mp4.frame(carrier, media, tag, tx).map(ViewerFrame::Mp4),
        }
    }

    /// Nothing but tags is due to its viewer now, and framing them changes nothing here.
    pub(super) fn flows(&self, carrier: Carrier, media: &Media, now: Millis) -> bool {
        match self {
            ViewerFormat::Flv(flv) => flv.has_begun(),
            ViewerFormat::Mp4(mp4) => mp4.flows(carrier, media, now),
        }
    }

    /// A viewer of that format is sent the same of a tag. Both [flow](ViewerFormat::flows).
    pub(super) fn is_same(&self, other: &ViewerFormat) -> bool {
        match (self, other) {
            (ViewerFormat::Flv(own), ViewerFormat::Flv(other)) => own == other,
            (ViewerFormat::Mp4(own), ViewerFormat::Mp4(other)) => own.has_tracks_of(other),
            (ViewerFormat::Flv(_), ViewerFormat::Mp4(_)) | (ViewerFormat::Mp4(_), ViewerFormat::Flv(_)) => false,
        }
    }
}

impl Viewer {
    /// One that was sent nothing.
    pub(super) fn new(reader: Reader, format: ViewerFormat, carrier: Carrier) -> Viewer {
        Viewer { reader, carrier, format, frames: ClientFrames::default(), ends: None, leaves: None }
    }

    /// Nothing else may be sent before the rest of a tag.
    pub(super) fn is_within_tag(&self) -> bool {
        self.reader.rest().is_some()
    }

    /// Says a header of the stream, which is of this time.
    pub(super) fn say_header(&mut self, media: &Media, index: usize, time: u32, tx: &mut TxBuf) -> Result<(), NotSaid> {
        let Some(header) = media.headers().at(index) else { return Ok(()) };
        match &mut self.format {
            ViewerFormat::Flv(flv) => flv.say_header(self.carrier, media, &header, time, tx),
            // They are in the init segment.
            ViewerFormat::Mp4(_) => Ok(()),
        }
    }

    /// How a tag is sent. Something may have to be said before it; without `tx`, behind other tags, it is then due later.
    pub(super) fn frame(&mut self, media: &Media, tag: &Tag, tx: Option<&mut TxBuf>) -> Result<ViewerFrame, NotSaid> {
        self.format.frame(self.carrier, media, tag, tx)
    }

    /// The publisher has left: says so if its format can, and stays then.
    ///
    /// # Errors
    ///
    /// There is no room for it now.
    pub(super) fn stays(&self, tx: &mut TxBuf) -> Result<bool, Full> {
        match &self.format {
            ViewerFormat::Mp4(_) if self.carrier == Carrier::WebSocket => mp4::say_waiting(tx).map(|()| true),
            // Who cannot be asked whether it is still there is not kept.
            ViewerFormat::Flv(_) | ViewerFormat::Mp4(_) => Ok(false),
        }
    }

    /// Says what time it is, if its format does and it is due.
    pub(super) fn say_now(&mut self, stream_ms: u32, viewers: impl FnOnce() -> u32, now: Millis, tx: &mut TxBuf) {
        match &mut self.format {
            ViewerFormat::Flv(_) => {}
            ViewerFormat::Mp4(mp4) => mp4.say_now(self.carrier, stream_ms, viewers, now, tx),
        }
    }

    /// Says that this was all.
    pub(super) fn say_end(&self, code: CloseCode, tx: &mut TxBuf) -> Result<(), Full> {
        match self.carrier {
            Carrier::Plain => Ok(()),
            Carrier::Chunked => put_whole(tx, [LAST_CHUNK]),
            Carrier::WebSocket => say_whole(FrameKind::Close, &code.number().to_be_bytes(), tx),
        }
    }

    /// How it is called in lists and the log.
    pub(super) fn name(&self) -> &'static str {
        match (&self.format, self.carrier) {
            (ViewerFormat::Flv(_), Carrier::WebSocket) => "ws-flv",
            (ViewerFormat::Flv(_), _) => "flv",
            (ViewerFormat::Mp4(_), Carrier::WebSocket) => "ws",
            (ViewerFormat::Mp4(_), _) => "mp4",
        }
    }
}
