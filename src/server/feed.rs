//! What the server itself publishes comes to its stream: frames of a recorded stream at their times, or tags of another stream as
//! they come there. What a script wants ([`broadcast`](super::broadcast)) comes this way.

use crate::features::programmes::Programmes;
use crate::features::recorded::{RecordedDue, ToTell};
use crate::handles::{FeatureId, StreamId};
use crate::limits::OUT_CHUNK_BYTES;
use crate::live::feed::{Feed, FeedEnd, FeedSource, FrameBegun};
use crate::live::holder::Holder;
use crate::live::reader::{Due, Form, StreamView, Terms};
use crate::live::recorded::RecordedId;
use crate::media::{Cursor, Framing, Tag, TagKind, TagSeq};
use crate::rtmp::status::Code;
use crate::time::Millis;
use crate::wire::announced::Announced;
use crate::wire::chunk::MessageHeader;

use super::Server;
use super::broadcasts;
use super::scripts::Scripting;

/// Frames that are put into one ring in one turn.
const FRAMES: u8 = 64;
/// Who is so late starts its clock anew, in milliseconds: a disk that stood still is not made up for.
const LATE_MS: u64 = 2000;
/// Bytes that are copied at once from one ring to another.
const PIECE_BYTES: usize = 4096;
/// The longest data message that goes from one ring to another.
const DATA_BYTES: usize = 4096;

/// What `by` publishes, if the server does.
fn feed_of<'a>(scripting: &'a mut Scripting, programmes: &'a mut Programmes, by: Holder) -> Option<&'a mut Feed> {
    match by {
        Holder::Feature(FeatureId::BROADCASTS, n) => scripting.broadcasts.get_mut(n).map(|one| &mut one.feed),
        Holder::Feature(FeatureId::PROGRAMMES, n) => programmes.get_mut(n).map(|one| &mut one.feed),
        _ => None,
    }
}

impl Server {
    /// What `by` publishes, if the server does.
    pub(super) fn feed_place(&mut self, by: Holder) -> Option<&mut Feed> {
        feed_of(&mut self.scripting, &mut self.features.programmes, by)
    }

    /// Nothing more comes from where it came from.
    pub(super) fn feed_ended(&mut self, by: Holder, why: FeedEnd, now: Millis) {
        let code = match why {
            FeedEnd::Over => Code::PlayStop,
            FeedEnd::Failed => Code::PlayFailed,
        };
        match by {
            Holder::Feature(FeatureId::BROADCASTS, n) => self.end_broadcast(n, Some(code), now),
            Holder::Feature(FeatureId::PROGRAMMES, n) => self.slate_ended(n, now),
            _ => {}
        }
    }

    /// What it plays is not wanted any more. A frame of which a part is in the ring is given up.
    pub(super) fn drop_source(&mut self, by: Holder, now: Millis) {
        let Some(feed) = self.feed_place(by) else { return };
        let (source, stream) = (core::mem::replace(&mut feed.source, FeedSource::Nothing), feed.stream);
        match source {
            FeedSource::Nothing => {}
            FeedSource::Recorded { id, begun } => {
                self.features.recorded.free(id);
                if let (Some(FrameBegun { seq: Some(seq), .. }), Some(stream)) = (begun, stream)
                    && let Some((_, media)) = self.live.names.with_media(stream)
                {
                    let _ = media.abort(seq, now);
                }
            }
            FeedSource::Live { reader, .. } => self.live.stop(by, reader.stream()),
        }
    }

    /// Frames that are due go to the ring.
    pub(super) fn feed_recorded(&mut self, by: Holder, now: Millis) {
        for _ in 0..FRAMES {
            let Some(&mut Feed { source: FeedSource::Recorded { id, .. }, stream: Some(stream), .. }) =
                self.feed_place(by)
            else {
                return;
            };
            if !self.needs_ring(stream, now) {
                return self.feed_ended(by, FeedEnd::Failed, now);
            }
            match self.features.recorded.due(id, now) {
                RecordedDue::Nothing | RecordedDue::Waits => return,
                RecordedDue::Broken => return self.feed_ended(by, FeedEnd::Failed, now),
                RecordedDue::Tell(what) => {
                    self.features.recorded.told(id, what);
                    match what {
                        ToTell::Over if self.features.recorded.open_next(id) => return,
                        ToTell::Over => return self.feed_ended(by, FeedEnd::Over, now),
                        ToTell::Fault => return self.feed_ended(by, FeedEnd::Failed, now),
                        // It switches to nothing: it has a playlist.
                        ToTell::Succeeded(_) | ToTell::Switched | ToTell::Full | ToTell::GoesOn | ToTell::Late => {}
                    }
                }
                RecordedDue::Bytes(_) => {
                    if !self.slate_fits(by, id, now) {
                        return;
                    }
                    if !self.feed_frame(by, id, stream, now) {
                        return;
                    }
                }
            }
        }
        self.features.recorded.look_again(now);
    }

    /// Puts what is there of the next frame into the ring. False when it is not due yet.
    fn feed_frame(&mut self, by: Holder, id: RecordedId, stream: StreamId, now: Millis) -> bool {
        let Server { scripting, features, live, .. } = self;
        let Some(Feed { source: FeedSource::Recorded { begun, .. }, clock, .. }) =
            feed_of(scripting, &mut features.programmes, by)
        else {
            return false;
        };
        let RecordedDue::Bytes(bytes) = features.recorded.due(id, now) else { return false };
        let Some((info, media)) = live.names.with_media(stream) else { return false };
        let mut frame = match *begun {
            Some(frame) => frame,
            None => {
                let header = MessageHeader::parse_type0(bytes);
                let kind = header.and_then(|header| TagKind::of_message_type(header.type_id));
                let (Some(header), Some(kind)) = (header, kind) else { return false };
                let framing = Framing::<OUT_CHUNK_BYTES> { timestamp: header.timestamp, length: header.length };
                if kind != TagKind::Data {
                    let (since, at_ms) = *clock.get_or_insert((now, header.timestamp));
                    let ahead_ms = header.timestamp.wrapping_sub(at_ms) as i32;
                    let due = since + ahead_ms.max(0) as u64;
                    if due > now {
                        features.recorded.look_again(due);
                        return false;
                    }
                    if now.since(due) > LATE_MS {
                        *clock = Some((now, header.timestamp));
                    }
                }
                let seq = match kind {
                    TagKind::Data => None,
                    _ => {
                        info.media_comes(now);
                        media.begin_media(kind, header.timestamp, header.length, now).ok()
                    }
                };
                FrameBegun { kind, framing, at: 0, seq }
            }
        };
        let rest = frame.framing.wire_bytes() - frame.at;
        let here = bytes.len().min(rest as usize);
        let mut data = None;
        if let Some(seq) = frame.seq {
            for piece in payload(&bytes[..here], frame.at, frame.framing) {
                // Gone: the ring had to go on without it.
                let _ = media.append(seq, piece);
            }
        } else if frame.kind == TagKind::Data && frame.at == 0 && here == rest as usize {
            let mut whole = payload(&bytes[..here], 0, frame.framing);
            // Longer ones are not there.
            if let (Some(body), None) = (whole.next(), whole.next()) {
                data = Some(media.data(frame.framing.timestamp, body, kept_as(body), now));
            }
        }
        frame.at += here as u32;
        let is_whole = frame.at == frame.framing.wire_bytes();
        *begun = (!is_whole).then_some(frame);
        features.recorded.sent(id, here, now);
        if is_whole {
            let length = frame.framing.length;
            if let Some(put) = data {
                self.data_is_put(by, stream, put, length as usize, now);
            } else if let Some(seq) = frame.seq {
                self.media_is_whole(by, stream, seq, frame.kind, length, now);
            }
        }
        true
    }

    /// A stream has one more tag: what plays it live gets it.
    pub(super) fn feed_from(&mut self, stream: StreamId, now: Millis) {
        let mut from = 0;
        while let Some(n) = self.scripting.broadcasts.next_of(stream, from) {
            from = n + 1;
            self.feed_live(broadcasts::holder(n), now);
        }
    }

    /// What is there of what is live goes to the ring. What comes to a feed of its own tags ends its go: a reload can make a backup of what a
    /// script makes of the programme, and such a circle is gone round once for each tag that comes from elsewhere.
    pub(super) fn feed_live(&mut self, by: Holder, now: Millis) {
        if let Some(feed) = self.feed_place(by).filter(|feed| feed.tags > 0) {
            feed.tags = FRAMES;
            return;
        }
        while let Some(feed) = self.feed_place(by).filter(|feed| feed.tags < FRAMES) {
            feed.tags += 1;
            if !self.feed_tag(by, now) {
                break;
            }
        }
        if let Some(feed) = self.feed_place(by) {
            feed.tags = 0;
        }
    }

    /// Puts the next tag of what is live into the ring. False when nothing is due.
    fn feed_tag(&mut self, by: Holder, now: Millis) -> bool {
        let feed = feed_of(&mut self.scripting, &mut self.features.programmes, by);
        let Some(Feed { source: FeedSource::Live { reader, length_ms }, stream: Some(to), clock, .. }) = feed else {
            return false;
        };
        let (from, to, length_ms) = (reader.stream(), *to, *length_ms);
        let terms = Terms { now, most_lag_ms: None, form: Form::Framed, knows: Announced::ALL };
        let due = reader.due(StreamView::of(&self.live.names, from), &terms);
        match due {
            Due::Nothing | Due::Bytes(_) => return false,
            Due::Header(index, time_ms) => {
                reader.taken(&due);
                self.copy_header(by, from, to, index, time_ms, now);
            }
            Due::Tag(tag, _) => {
                reader.moved_to(Cursor::behind(tag.seq));
                let (_, began_ms) = *clock.get_or_insert((now, tag.timestamp));
                let is_over = length_ms.is_some_and(|ms| {
                    tag.kind != TagKind::Data && tag.timestamp.wrapping_sub(began_ms) as i32 >= ms as i32
                });
                if is_over {
                    self.feed_ended(by, FeedEnd::Over, now);
                    return false;
                }
                self.copy_tag(by, from, to, tag, now);
            }
            Due::Switched | Due::Ended | Due::LeftOut(_) | Due::Skipped | Due::TooSlow => reader.taken(&due),
        }
        true
    }

    /// A cached header of another stream.
    fn copy_header(&mut self, by: Holder, from: StreamId, to: StreamId, index: usize, time_ms: u32, now: Millis) {
        let mut body = [0; DATA_BYTES];
        let source = StreamView::of(&self.live.names, from).media;
        let header = source.and_then(|media| media.headers().at(index));
        let Some((kind, payload)) = header.map(|header| (header.kind, header.payload)) else { return };
        let length = payload.len();
        let Some(copy) = body.get_mut(..length) else { return };
        copy.copy_from_slice(payload);
        self.put_whole(by, to, kind, time_ms, &body[..length], now);
    }

    /// A tag of another stream.
    fn copy_tag(&mut self, by: Holder, from: StreamId, to: StreamId, tag: Tag, now: Millis) {
        if tag.length as usize <= DATA_BYTES {
            let mut body = [0; DATA_BYTES];
            let Some(source) = StreamView::of(&self.live.names, from).media else { return };
            let read = source.ring().payload_prefix(tag.seq, &mut body);
            return self.put_whole(by, to, tag.kind, tag.timestamp, &body[..read], now);
        }
        if tag.kind == TagKind::Data {
            return;
        }
        let Some(seq) = self.begin_frame(to, tag.kind, tag.timestamp, tag.length, now) else { return };
        let mut at = 0;
        while at < tag.length {
            let mut piece = [0; PIECE_BYTES];
            let source = StreamView::of(&self.live.names, from).media;
            let here = source.and_then(|media| media.ring().payload_at(tag.seq, at)).unwrap_or_default();
            let count = here.len().min(PIECE_BYTES);
            piece[..count].copy_from_slice(&here[..count]);
            let Some((_, media)) = self.live.names.with_media(to).filter(|_| count > 0) else { return };
            let _ = media.append(seq, &piece[..count]);
            at += count as u32;
        }
        self.media_is_whole(by, to, seq, tag.kind, tag.length, now);
    }

    /// A frame begins. `None` when there is no room for it.
    fn begin_frame(&mut self, to: StreamId, kind: TagKind, time_ms: u32, length: u32, now: Millis) -> Option<TagSeq> {
        if !self.needs_ring(to, now) {
            return None;
        }
        let (stream, media) = self.live.names.with_media(to)?;
        stream.media_comes(now);
        media.begin_media(kind, time_ms, length, now).ok()
    }

    /// A whole message.
    fn put_whole(&mut self, by: Holder, to: StreamId, kind: TagKind, time_ms: u32, body: &[u8], now: Millis) {
        let length = body.len() as u32;
        if kind == TagKind::Data {
            if !self.needs_ring(to, now) {
                return;
            }
            let Some((_, media)) = self.live.names.with_media(to) else { return };
            let put = media.data(time_ms, body, kept_as(body), now);
            return self.data_is_put(by, to, put, body.len(), now);
        }
        let Some(seq) = self.begin_frame(to, kind, time_ms, length, now) else { return };
        if let Some((_, media)) = self.live.names.with_media(to) {
            let _ = media.append(seq, body);
        }
        self.media_is_whole(by, to, seq, kind, length, now);
    }
}

/// The name by which a data message is kept for players who join, if it is.
fn kept_as(body: &[u8]) -> Option<&[u8]> {
    const METADATA: &[u8] = b"onMetaData";
    let named = body.strip_prefix(&[2, 0, METADATA.len() as u8])?;
    named.starts_with(METADATA).then_some(METADATA)
}

/// What of `bytes`, which begin `at` bytes into a message as it is sent, is its payload, without chunk headers.
pub(super) fn payload(bytes: &[u8], at: u32, framing: Framing<OUT_CHUNK_BYTES>) -> impl Iterator<Item = &[u8]> {
    let head = framing.header_bytes();
    // Each chunk but the first begins with a header that repeats an extended timestamp.
    let between = head - 11;
    let mut at = at;
    let mut bytes = bytes;
    core::iter::from_fn(move || {
        while !bytes.is_empty() {
            let within = match at < head {
                true => Err(head - at),
                false => {
                    let at = (at - head) % (OUT_CHUNK_BYTES as u32 + between);
                    if at < OUT_CHUNK_BYTES as u32 {
                        Ok(OUT_CHUNK_BYTES as u32 - at)
                    } else {
                        Err(OUT_CHUNK_BYTES as u32 + between - at)
                    }
                }
            };
            let (Ok(count) | Err(count)) = within;
            let (piece, rest) = bytes.split_at((count as usize).min(bytes.len()));
            bytes = rest;
            at += piece.len() as u32;
            if within.is_ok() {
                return Some(piece);
            }
        }
        None
    })
}
