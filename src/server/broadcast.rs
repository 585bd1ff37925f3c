//! What the server itself publishes: a script's `stream.play(name, start, length, reset)` puts a recorded stream, or another one
//! that is live, on a stream of its instance.
//!
//! A recorded stream is read as for any player ([`crate::features::recorded`]): with its playlist, and a place of
//! `limits.recorded_players`. But what is due goes to a ring, frame by frame at its time, and from there on nobody can tell it from a
//! client's publish. What is live is a [`Reader`](crate::live::reader::Reader) of its stream, whose tags go to the ring as they come. The time of the stream goes
//! on from one to the next, as it does when an encoder comes back.

use log::info;

use crate::features::recorded::{PlayedLength, PlaylistItem, RecordedClient, RecordedDue, ToTell};
use crate::handles::{AppId, StreamId};
use crate::limits::OUT_CHUNK_BYTES;
use crate::live::holder::Publisher;
use crate::live::publish::Published;
use crate::live::reader::{Due, Form, StreamView, Terms};
use crate::live::recorded::{NotPlayed, RecordedFacts, RecordedId};
use crate::media::{Cursor, Framing, Tag, TagKind, TagSeq};
use crate::name::{StreamName, StreamPath};
use crate::rtmp::status::Code;
use crate::text::cut;
use crate::time::Millis;
use crate::wire::announced::Announced;
use crate::wire::chunk::MessageHeader;
use crate::wire::script_link::ToHost;

use super::Server;
use super::broadcasts::{Broadcast, BroadcastSource, FrameBegun, ScriptPlay, holder};
use super::close::CloseReason;
use super::instances::InstanceIndex;
use super::recorded::refusal;
use super::refusals;

/// Frames that are put into one ring in one turn.
const FRAMES: usize = 64;
/// Who is so late starts its clock anew, in milliseconds: a disk that stood still is not made up for.
const LATE_MS: u64 = 2000;
/// Bytes that are copied at once from one ring to another.
const PIECE_BYTES: usize = 4096;
/// The longest data message that goes from one ring to another.
const DATA_BYTES: usize = 4096;

impl Server {
    /// A script wants something on a stream of its instance: `item` as it named it, or nothing any more.
    pub(super) fn play_for_script(
        &mut self,
        index: InstanceIndex,
        stream: &str,
        item: &str,
        how: ScriptPlay,
        now: Millis,
    ) {
        let Some(instance) = self.scripting.instances.instance(index) else { return };
        let (app, own) = (instance.app, instance.name.clone());
        let Some(definition) = self.live.apps.definition(app) else { return };
        let Ok(name) = StreamName::parse(stream.as_bytes()) else { return };
        let Ok(path) = definition.path(&own, &name.name) else { return };
        let wanted = definition.recorded_name(&own, item.as_bytes()).ok();
        let from = wanted.as_ref().and_then(|wanted| definition.path(&own, wanted.name()).ok());
        let before = self.scripting.broadcasts.that(|one| one.path == path && one.instance == index);
        if item.is_empty() {
            if let Some(n) = before {
                self.end_broadcast(n, Some(Code::PlayStop), now);
            }
            return;
        }
        let kept = item.try_into().ok();
        let (Some(wanted), Some(kept)) = (wanted, kept) else {
            return self.tell_script(index, &name, Code::PlayStreamNotFound, "", now);
        };
        let is_live = from.as_ref().is_some_and(|from| *from != path && self.live.is_published(app, from));
        let live = (how.start_s == -1.0 || how.start_s == -2.0 && is_live).then_some(from).flatten();
        let ms = |seconds: f64| (seconds * 1000.0) as u32;
        let length = match how.length_s {
            s if s < 0.0 || s.is_nan() => PlayedLength::Whole,
            0.0 => PlayedLength::Picture,
            s => PlayedLength::Ms(ms(s)),
        };
        let playlist_item = PlaylistItem { name: wanted, start_ms: ms(how.start_s.max(0.0)), length };
        if let (false, Some(n), None) = (how.reset, before, &live)
            && let Some(Broadcast { source: BroadcastSource::Recorded { id, .. }, .. }) =
                self.scripting.broadcasts.get(n)
        {
            if !self.features.recorded.queue(*id, playlist_item) {
                self.tell_script(index, &name, Code::PlayFailed, item, now);
            }
            return;
        }
        let place =
            before.or_else(|| self.scripting.broadcasts.all.iter().position(Option::is_none).map(|at| at as u16));
        let Some(n) = place else { return self.tell_script(index, &name, Code::PlayFailed, item, now) };
        let source = match live {
            Some(from) if from != path && !self.plays_itself(app, &path, &from) => {
                let length_ms = (how.length_s > 0.0).then(|| ms(how.length_s));
                let reader = self.live.play(holder(n), app, &from, &self.settings, now).ok();
                reader.map(|reader| BroadcastSource::Live { reader, length_ms })
            }
            Some(_) => None,
            None => {
                let client = RecordedClient { by: holder(n), message_stream_id: 1, legacy: false, most_lead_ms: 0 };
                let opened = self.features.recorded.open(client, playlist_item, None, None, now).ok();
                opened.map(|id| BroadcastSource::Recorded { id, begun: None })
            }
        };
        let Some(source) = source else { return self.tell_script(index, &name, Code::PlayFailed, item, now) };
        let is_live = matches!(source, BroadcastSource::Live { .. });
        let published = self.scripting.broadcasts.get(n).and_then(|one| one.stream);
        self.drop_source(n, now);
        let one = Broadcast { instance: index, name, path, item: kept, stream: published, source, clock: None };
        self.scripting.broadcasts.all[usize::from(n)] = Some(one);
        if is_live {
            self.begin_broadcast(n, now);
        }
    }

    /// Whether one of them would play what it publishes itself, over however many others.
    fn plays_itself(&self, app: AppId, path: &StreamPath, from: &StreamPath) -> bool {
        let mut from = self.live.names.find(app, from);
        for _ in 0..self.scripting.broadcasts.all.len() {
            let Some(stream) = from else { return false };
            if self.live.names.stream(stream).path == *path {
                return true;
            }
            from = self.scripting.broadcasts.that(|one| one.stream == Some(stream)).and_then(|n| {
                match self.scripting.broadcasts.get(n)?.source {
                    BroadcastSource::Live { reader, .. } => Some(reader.stream()),
                    BroadcastSource::Recorded { .. } => None,
                }
            });
        }
        from.is_some()
    }

    /// The disk has said what there is.
    pub(super) fn broadcast_opened(
        &mut self,
        n: u16,
        id: RecordedId,
        found: Result<RecordedFacts, NotPlayed>,
        now: Millis,
    ) {
        let Some(Broadcast { source: BroadcastSource::Recorded { id: own, .. }, .. }) =
            self.scripting.broadcasts.get(n)
        else {
            return self.features.recorded.free(id);
        };
        if *own != id {
            return self.features.recorded.free(id);
        }
        let is_next = self.features.recorded.is_between_items(id);
        if is_next && let Some(one) = self.scripting.broadcasts.get_mut(n) {
            one.item = cut(self.features.recorded.name(id));
        }
        match found {
            Ok(_) => {
                if is_next {
                    self.tell_of_broadcast(n, Code::PlaySwitch, now);
                }
                if self.begin_broadcast(n, now) {
                    self.features.recorded.begin(id, now);
                }
            }
            Err(why) => {
                let code = refusals::row(refusal(why)).code.unwrap_or(Code::PlayFailed);
                match is_next {
                    true => {
                        self.tell_of_broadcast(n, code, now);
                        self.features.recorded.skip_next(id);
                        self.feed_broadcast(n, now);
                    }
                    false => self.end_broadcast(n, Some(code), now),
                }
            }
        }
    }

    /// What it plays is there: it is published from now on, in the place of whoever publishes that name. False when it cannot be.
    fn begin_broadcast(&mut self, n: u16, now: Millis) -> bool {
        let Some(one) = self.scripting.broadcasts.get(n) else { return false };
        let (path, index, published) = (one.path.clone(), one.instance, one.stream);
        if published.is_none() {
            let Some(app) = self.scripting.instances.instance(index).map(|instance| instance.app) else { return false };
            let who = Publisher { by: holder(n), home: None };
            if let Some(id) = self.live.names.find(app, &path)
                && self.live.names.stream(id).publisher().is_some()
            {
                // The script's word goes before a client's.
                self.dismiss(id, CloseReason::Replaced, now);
            }
            let Ok(Published::Begun(id) | Published::Already(id)) =
                self.live.publish(who, app, &path, &self.settings, now)
            else {
                self.end_broadcast(n, Some(Code::PlayFailed), now);
                return false;
            };
            if let Some(one) = self.scripting.broadcasts.get_mut(n) {
                one.stream = Some(id);
            }
            self.hear(now);
        }
        self.tell_of_broadcast(n, Code::PlayStart, now);
        true
    }

    /// It ends, and its script hears that with the code.
    pub(super) fn end_broadcast(&mut self, n: u16, code: Option<Code>, now: Millis) {
        self.drop_source(n, now);
        if let Some(code) = code {
            self.tell_of_broadcast(n, code, now);
        }
        let Some(one) = self.scripting.broadcasts.all.get_mut(usize::from(n)).and_then(Option::take) else { return };
        if let Some(stream) = one.stream {
            self.publish_ended(holder(n), stream, now);
        }
    }

    /// All of an instance end with it.
    pub(super) fn end_broadcasts_of(&mut self, index: InstanceIndex, now: Millis) {
        while let Some(n) = self.scripting.broadcasts.that(|one| one.instance == index) {
            self.end_broadcast(n, None, now);
        }
    }

    /// What it plays is not wanted any more. A frame of which a part is in the ring is given up.
    fn drop_source(&mut self, n: u16, now: Millis) {
        let Some(one) = self.scripting.broadcasts.get(n) else { return };
        let (source, stream) = (one.source, one.stream);
        match source {
            BroadcastSource::Recorded { id, begun } => {
                self.features.recorded.free(id);
                if let (Some(FrameBegun { seq: Some(seq), .. }), Some(stream)) = (begun, stream)
                    && let Some((_, media)) = self.live.names.with_media(stream)
                {
                    let _ = media.abort(seq, now);
                }
            }
            BroadcastSource::Live { reader, .. } => self.live.stop(holder(n), reader.stream()),
        }
    }

    fn tell_of_broadcast(&mut self, n: u16, code: Code, now: Millis) {
        let Some(one) = self.scripting.broadcasts.get(n) else { return };
        let (index, name, item) = (one.instance, one.name.clone(), one.item.clone());
        info!("{} broadcast name={:?} item={:?} status={}", holder(n), name.name.as_str(), item.as_str(), code.name());
        self.tell_script(index, &name, code, &item, now);
    }

    fn tell_script(&mut self, index: InstanceIndex, name: &StreamName, code: Code, item: &str, now: Millis) {
        let Some(instance) = self.scripting.running(index) else { return };
        let status = ToHost::PlayStatus { instance, stream: &name.name, code: code.name(), item };
        self.scripting.must_tell(index, &status, now);
    }

    /// Frames that are due go to the ring.
    pub(super) fn feed_broadcast(&mut self, n: u16, now: Millis) {
        for _ in 0..FRAMES {
            let Some(one) = self.scripting.broadcasts.get(n) else { return };
            let (BroadcastSource::Recorded { id, .. }, Some(stream)) = (one.source, one.stream) else { return };
            if !self.needs_ring(stream, now) {
                return self.end_broadcast(n, Some(Code::PlayFailed), now);
            }
            match self.features.recorded.due(id, now) {
                RecordedDue::Nothing | RecordedDue::Waits => return,
                RecordedDue::Broken => return self.end_broadcast(n, Some(Code::PlayFailed), now),
                RecordedDue::Tell(what) => {
                    self.features.recorded.told(id, what);
                    match what {
                        ToTell::Over if self.features.recorded.open_next(id) => return,
                        ToTell::Over => return self.end_broadcast(n, Some(Code::PlayStop), now),
                        ToTell::Fault => return self.end_broadcast(n, Some(Code::PlayFailed), now),
                        // It switches to nothing: it has a playlist.
                        ToTell::Succeeded(_) | ToTell::Switched | ToTell::Full | ToTell::GoesOn | ToTell::Late => {}
                    }
                }
                RecordedDue::Bytes(_) => {
                    if !self.feed_frame(n, id, stream, now) {
                        return;
                    }
                }
            }
        }
        self.features.recorded.look_again(now);
    }

    /// Puts what is there of the next frame into the ring. False when it is not due yet.
    fn feed_frame(&mut self, n: u16, id: RecordedId, stream: StreamId, now: Millis) -> bool {
        let Server { scripting, features, live, .. } = self;
        let Some(one) = scripting.broadcasts.get_mut(n) else { return false };
        let BroadcastSource::Recorded { begun, .. } = &mut one.source else { return false };
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
                    let (since, at_ms) = *one.clock.get_or_insert((now, header.timestamp));
                    let ahead_ms = header.timestamp.wrapping_sub(at_ms) as i32;
                    let due = since + ahead_ms.max(0) as u64;
                    if due > now {
                        features.recorded.look_again(due);
                        return false;
                    }
                    if now.since(due) > LATE_MS {
                        one.clock = Some((now, header.timestamp));
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
                self.data_is_put(holder(n), stream, put, length as usize, now);
            } else if let Some(seq) = frame.seq {
                self.media_is_whole(holder(n), stream, seq, frame.kind, length, now);
            }
        }
        true
    }

    /// A stream has one more tag: what plays it live gets it.
    pub(super) fn feed_from(&mut self, stream: StreamId, now: Millis) {
        let mut from = 0;
        while let Some(n) = self.scripting.broadcasts.next_of(stream, from) {
            from = n + 1;
            for _ in 0..FRAMES {
                if !self.feed_tag(n, now) {
                    break;
                }
            }
        }
    }

    /// Puts the next tag of what is live into the ring. False when nothing is due.
    fn feed_tag(&mut self, n: u16, now: Millis) -> bool {
        let Some(one) = self.scripting.broadcasts.get_mut(n) else { return false };
        let (BroadcastSource::Live { reader, length_ms }, Some(to)) = (&mut one.source, one.stream) else {
            return false;
        };
        let (from, length_ms) = (reader.stream(), *length_ms);
        let terms = Terms { now, most_lag_ms: None, form: Form::Framed, knows: Announced::ALL };
        let due = reader.due(StreamView::of(&self.live.names, from), &terms);
        match due {
            Due::Nothing | Due::Bytes(_) => return false,
            Due::Header(index, time_ms) => {
                reader.taken(&due);
                self.copy_header(n, from, to, index, time_ms, now);
            }
            Due::Tag(tag, _) => {
                reader.moved_to(Cursor::behind(tag.seq));
                let (_, began_ms) = *one.clock.get_or_insert((now, tag.timestamp));
                let is_over = length_ms.is_some_and(|ms| {
                    tag.kind != TagKind::Data && tag.timestamp.wrapping_sub(began_ms) as i32 >= ms as i32
                });
                if is_over {
                    self.end_broadcast(n, Some(Code::PlayStop), now);
                    return false;
                }
                self.copy_tag(n, from, to, tag, now);
            }
            Due::Switched | Due::Ended | Due::LeftOut(_) | Due::Skipped | Due::TooSlow => reader.taken(&due),
        }
        true
    }

    /// A cached header of another stream.
    fn copy_header(&mut self, n: u16, from: StreamId, to: StreamId, index: usize, time_ms: u32, now: Millis) {
        let mut body = [0; DATA_BYTES];
        let source = StreamView::of(&self.live.names, from).media;
        let header = source.and_then(|media| media.headers().at(index));
        let Some((kind, payload)) = header.map(|header| (header.kind, header.payload)) else { return };
        let length = payload.len();
        let Some(copy) = body.get_mut(..length) else { return };
        copy.copy_from_slice(payload);
        self.put_whole(n, to, kind, time_ms, &body[..length], now);
    }

    /// A tag of another stream.
    fn copy_tag(&mut self, n: u16, from: StreamId, to: StreamId, tag: Tag, now: Millis) {
        if tag.length as usize <= DATA_BYTES {
            let mut body = [0; DATA_BYTES];
            let Some(source) = StreamView::of(&self.live.names, from).media else { return };
            let read = source.ring().payload_prefix(tag.seq, &mut body);
            return self.put_whole(n, to, tag.kind, tag.timestamp, &body[..read], now);
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
        self.media_is_whole(holder(n), to, seq, tag.kind, tag.length, now);
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
    fn put_whole(&mut self, n: u16, to: StreamId, kind: TagKind, time_ms: u32, body: &[u8], now: Millis) {
        let length = body.len() as u32;
        if kind == TagKind::Data {
            if !self.needs_ring(to, now) {
                return;
            }
            let Some((_, media)) = self.live.names.with_media(to) else { return };
            let put = media.data(time_ms, body, kept_as(body), now);
            return self.data_is_put(holder(n), to, put, body.len(), now);
        }
        let Some(seq) = self.begin_frame(to, kind, time_ms, length, now) else { return };
        if let Some((_, media)) = self.live.names.with_media(to) {
            let _ = media.append(seq, body);
        }
        self.media_is_whole(holder(n), to, seq, kind, length, now);
    }
}

/// The name by which a data message is kept for players who join, if it is.
fn kept_as(body: &[u8]) -> Option<&[u8]> {
    const METADATA: &[u8] = b"onMetaData";
    let named = body.strip_prefix(&[2, 0, METADATA.len() as u8])?;
    named.starts_with(METADATA).then_some(METADATA)
}

/// What of `bytes`, which begin `at` bytes into a message as it is sent, is its payload, without chunk headers.
fn payload(bytes: &[u8], at: u32, framing: Framing<OUT_CHUNK_BYTES>) -> impl Iterator<Item = &[u8]> {
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
