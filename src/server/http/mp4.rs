//! Fragmented MP4 to a viewer: an init segment, and each sample as a fragment of its own. Over a WebSocket text frames say in between what
//! a page has to know: `{"type":"init"|"waiting"|"now",...}`.

use core::fmt::Write;

use crate::live::names::Media;
use crate::media::frame::{Frame, Head};
use crate::media::headers::headers_mark;
use crate::media::tracks::{StreamTracks, WantedTracks};
use crate::media::{Fragment, FragmentPace, FragmentTracks, Tag, TagKind, TagSeq};
use crate::rtmp::tx::TxBuf;
use crate::server::json::Text;
use crate::time::Millis;
use crate::wire::bytes::Full;
use crate::wire::websocket::FrameKind;

use super::carrier::{Carrier, NotSaid, say_whole};

/// Bytes of an init segment that are said at once: message boundaries mean nothing to a browser's decoder.
const PIECE_BYTES: usize = 1024;
/// Longest text frame.
const TEXT_BYTES: usize = 256;
/// Longest one that says an error: its words are a short text.
const ERROR_BYTES: usize = 1024;
/// How often a page hears of the time, in milliseconds.
const NOW_MS: u64 = 1000;
/// Time stamps of a stream wrap after 49 days. A viewer ends so many milliseconds before, and comes again: browsers take none that wraps.
const LAST_TIMESTAMP: u32 = u32::MAX - 60_000;

/// What of a stream was said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mp4Viewer {
    wanted: WantedTracks,
    tracks: FragmentTracks,
    /// Of the headers that the init segment was made of: which version of the stream's they are, and their mark.
    version: Option<u32>,
    mark: Option<u32>,
    /// So many bytes of an init segment were said, of the headers of this mark.
    saying: Option<(u32, u32)>,
    /// The pictures before the next key frame are of other headers.
    until_key: bool,
    now_due: Millis,
}

impl Mp4Viewer {
    pub(super) fn new(wanted: WantedTracks) -> Mp4Viewer {
        Mp4Viewer {
            wanted,
            tracks: FragmentTracks::default(),
            version: None,
            mark: None,
            saying: None,
            until_key: false,
            now_due: Millis(0),
        }
    }

    /// The init segment of the present headers was said, and nothing is due beside tags.
    pub(super) fn flows(&self, carrier: Carrier, media: &Media, now: Millis) -> bool {
        let is_told = carrier != Carrier::WebSocket || now < self.now_due;
        self.version == Some(media.headers().version()) && !self.until_key && is_told
    }

    /// Both were said the same tracks.
    pub(super) fn has_tracks_of(&self, other: &Mp4Viewer) -> bool {
        self.tracks == other.tracks
    }

    pub(super) fn frame(
        &mut self,
        carrier: Carrier,
        media: &Media,
        tag: &Tag,
        tx: Option<&mut TxBuf>,
    ) -> Result<Mp4Frame, NotSaid> {
        if tag.timestamp > LAST_TIMESTAMP {
            return Err(NotSaid::Anew);
        }
        let is_first = tx.is_some();
        if media.ring().sample(tag).is_some() {
            self.begin(carrier, media, tag, tx)?;
        }
        let is_picture = tag.kind == TagKind::Video && !tag.timing.continues();
        if is_picture && tag.flags.key && self.until_key {
            if !is_first {
                // Should a write end before it, those between are still left out.
                return Err(NotSaid::Later);
            }
            self.until_key = false;
        }
        let tracks = if self.until_key { FragmentTracks { video: None, ..self.tracks } } else { self.tracks };
        let fragment = Fragment::of(media.ring(), tag, &tracks, FragmentPace::Live).ok_or(NotSaid::Later)?;
        let head = carrier.head(fragment.bytes());
        Ok(Mp4Frame {
            tail: if fragment.is_empty() { &[] } else { carrier.tail() },
            fragment: fragment.behind(head.as_slice()),
        })
    }

    /// Says the init segment before the first sample, and anew when the headers are others.
    fn begin(&mut self, carrier: Carrier, media: &Media, tag: &Tag, tx: Option<&mut TxBuf>) -> Result<(), NotSaid> {
        let version = media.headers().version();
        if self.version == Some(version) {
            return Ok(());
        }
        let mark = headers_mark(media.headers());
        if self.mark == Some(mark) {
            self.version = Some(version);
            return Ok(());
        }
        let tx = tx.ok_or(NotSaid::Later)?;
        let mut found = media.describe(self.wanted, Some(tag).filter(|tag| tag.flags.key));
        let mut at = match self.saying {
            Some((at, of)) if of == mark => at,
            // The rest of it is of other headers.
            Some(_) => return Err(NotSaid::Anew),
            None => {
                if carrier == Carrier::WebSocket {
                    say_init(&found, tx)?;
                }
                0
            }
        };
        self.saying = Some((at, mark));
        let mut piece = [0; PIECE_BYTES];
        while !found.is_empty() {
            let count = found.init.read_at(at, &mut piece);
            if count == 0 {
                break;
            }
            carrier.put(tx, &[&piece[..count]])?;
            at += count as u32;
            self.saying = Some((at, mark));
        }
        if self.mark.is_some() {
            // Decode times of a viewer hang on it.
            found.tracks.nominal_ms = self.tracks.nominal_ms;
        }
        (self.version, self.mark, self.saying) = (Some(version), Some(mark), None);
        (self.tracks, self.until_key) = (found.tracks, true);
        Ok(())
    }

    /// Says, once a second, what time it is.
    pub(super) fn say_now(
        &mut self,
        carrier: Carrier,
        stream_ms: u32,
        viewers: impl FnOnce() -> u32,
        now: Millis,
        tx: &mut TxBuf,
    ) {
        if carrier != Carrier::WebSocket || self.mark.is_none() || self.saying.is_some() || now < self.now_due {
            return;
        }
        let viewers = viewers();
        let words =
            format_args!(r#"{{"type":"now","server_ms":{},"stream_ms":{stream_ms},"viewers":{viewers}}}"#, now.0);
        // One that does not fit is left out.
        if say_text(words, tx).is_ok() {
            self.now_due = Millis(now.0 + NOW_MS);
        }
    }
}

/// Says that the publisher is away.
pub(super) fn say_waiting(tx: &mut TxBuf) -> Result<(), Full> {
    say_text(format_args!(r#"{{"type":"waiting"}}"#), tx)
}

/// Says why there is nothing to watch.
pub(super) fn say_error(status: u16, words: &str, tx: &mut TxBuf) -> Result<(), Full> {
    let mut text = heapless::String::<ERROR_BYTES>::new();
    write!(text, r#"{{"type":"error","status":{status},"reason":{}}}"#, Text(words)).map_err(|_| Full)?;
    say_whole(FrameKind::Text, text.as_bytes(), tx)
}

fn say_init(found: &StreamTracks<'_>, tx: &mut TxBuf) -> Result<(), Full> {
    let [video, audio] = found.names.each_ref().map(|name| name.as_deref().unwrap_or_default());
    let comma = if video.is_empty() || audio.is_empty() { "" } else { "," };
    match found.left_out {
        None => say_text(format_args!(r#"{{"type":"init","codecs":"{video}{comma}{audio}"}}"#), tx),
        Some(codec) => {
            say_text(format_args!(r#"{{"type":"init","codecs":"{video}{comma}{audio}","left_out":"{codec}"}}"#), tx)
        }
    }
}

fn say_text(words: core::fmt::Arguments<'_>, tx: &mut TxBuf) -> Result<(), Full> {
    let mut text = heapless::String::<TEXT_BYTES>::new();
    text.write_fmt(words).map_err(|_| Full)?;
    say_whole(FrameKind::Text, text.as_bytes(), tx)
}

/// A tag of a stream as fMP4.
#[derive(Clone, Debug)]
pub(super) struct Mp4Frame {
    fragment: Fragment,
    tail: &'static [u8],
}

impl Frame for Mp4Frame {
    fn head(&self, tag: &Tag) -> Head {
        self.fragment.head(tag)
    }

    fn skip(&self, tag: &Tag) -> u32 {
        self.fragment.skip(tag)
    }

    fn take(&self, tag: &Tag) -> u32 {
        self.fragment.take(tag)
    }

    fn later(&self) -> &[(TagSeq, u32, u32)] {
        self.fragment.later()
    }

    fn tail(&self, _tag: &Tag) -> Head {
        Head::new(self.tail)
    }
}
