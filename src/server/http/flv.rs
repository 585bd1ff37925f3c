//! FLV to a viewer (Adobe's Video File Format Specification 10.1, annex E): the file's header, and each message as a tag.

use crate::live::names::Media;
use crate::media::frame::{Frame, Head};
use crate::media::{CachedHeader, Tag, TagKind};
use crate::rtmp::tx::TxBuf;
use crate::wire::flv::{SUB_TAG_HEADER_BYTES, SUB_TAG_TRAILER_BYTES, SubTagHeader};

use super::carrier::{Carrier, NotSaid};

/// What of an FLV file was said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FlvViewer {
    /// The flags of its header, once that was sent. Players wait for a track that was promised and does not come, and ignore one
    /// that comes without: so they are the tracks that there are, and one that comes later ends the file.
    flags: Option<u8>,
}

const AUDIO: u8 = 4;
const VIDEO: u8 = 1;

fn flag(kind: TagKind) -> u8 {
    match kind {
        TagKind::Audio => AUDIO,
        TagKind::Video => VIDEO,
        TagKind::Data => 0,
    }
}

impl FlvViewer {
    /// The file's header was said.
    pub(super) fn has_begun(&self) -> bool {
        self.flags.is_some()
    }

    pub(super) fn say_header(
        &mut self,
        carrier: Carrier,
        media: &Media,
        header: &CachedHeader<'_>,
        time: u32,
        tx: &mut TxBuf,
    ) -> Result<(), NotSaid> {
        self.begin(carrier, media, header.kind, Some(tx))?;
        let length = header.payload.len() as u32;
        let (head, tail) = (tag_header(header.kind, length, time), trailer(length));
        Ok(carrier.put(tx, &[&head, header.payload, &tail])?)
    }

    pub(super) fn frame(
        &mut self,
        carrier: Carrier,
        media: &Media,
        tag: &Tag,
        tx: Option<&mut TxBuf>,
    ) -> Result<FlvFrame, NotSaid> {
        self.begin(carrier, media, tag.kind, tx)?;
        Ok(FlvFrame { carrier })
    }

    /// Says the file's header before anything else, and sees that what comes was promised.
    fn begin(&mut self, carrier: Carrier, media: &Media, kind: TagKind, tx: Option<&mut TxBuf>) -> Result<(), NotSaid> {
        let flags = match self.flags {
            Some(flags) => flags,
            None => {
                let tracks = media.headers().iter().map(|header| flag(header.kind));
                let came = [(media.has_audio(), AUDIO), (media.has_video(), VIDEO)];
                let came = came.into_iter().filter_map(|(came, flag)| came.then_some(flag));
                let flags = tracks.chain(came).fold(0, |flags, flag| flags | flag);
                carrier.put(tx.ok_or(NotSaid::Later)?, &[&[b'F', b'L', b'V', 1, flags, 0, 0, 0, 9, 0, 0, 0, 0]])?;
                *self.flags.insert(flags)
            }
        };
        if flags & flag(kind) == flag(kind) { Ok(()) } else { Err(NotSaid::Anew) }
    }
}

/// A tag of an FLV file.
#[derive(Clone, Copy, Debug)]
pub(super) struct FlvFrame {
    carrier: Carrier,
}

impl Frame for FlvFrame {
    fn head(&self, tag: &Tag) -> Head {
        let length = (SUB_TAG_HEADER_BYTES + SUB_TAG_TRAILER_BYTES) as u32 + tag.length;
        self.carrier.head(length).then(&tag_header(tag.kind, tag.length, tag.timestamp))
    }

    fn tail(&self, tag: &Tag) -> Head {
        Head::new(&trailer(tag.length)).then(self.carrier.tail())
    }
}

fn tag_header(kind: TagKind, length: u32, timestamp_ms: u32) -> [u8; SUB_TAG_HEADER_BYTES] {
    SubTagHeader { message_type: kind.message_type(), length, timestamp_ms }.emit()
}

fn trailer(length: u32) -> [u8; SUB_TAG_TRAILER_BYTES] {
    (length + SUB_TAG_HEADER_BYTES as u32).to_be_bytes()
}
