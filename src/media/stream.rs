//! One live stream: its ring, its cached headers, its time, and where a player may begin.
//!
//! A publisher's messages go in by `begin_media`, `append`, `finish`; players are cursors of [`MediaStream::ring`]. A stream outlives its
//! publishers: [`MediaStream::unpublish`] when one has left, [`MediaStream::republish`] before the next one's first message, and players
//! who stayed see one stream. [`MediaStream::clear`] makes it ready for another name.
//!
//! A player who joins is sent [`MediaStream::emit_header`] 0, 1, 2 .. stamped with the join point's time, then the ring from there. While
//! there is no join point it waits; ask again when a tag was finished. Where it begins follows from what lies in the ring, not
//! from how long ago it came: at the newest key frame, and without one at the newest sound, with the picture from the next key
//! frame on ([`JoinPoint::picture_later`]).
//!
//! A picture that cannot be decoded is not kept: at the beginning of a publish, and behind a video message that was lost, video
//! begins with a key frame. So it does in the ring as well, and players who flow over need not be told.
//!
//! A message is not a picture: some encoders send one in several messages of one timestamp. Players begin at its first.
//!
//! Data that is kept for players who join says what the stream is, not what happens in it, and has time 0 wherever it is sent: of
//! metadata with another time ffmpeg makes a subtitle stream, and then waits for subtitles that never come.

use super::earlier::EarlierInit;
use super::headers::{HeaderCache, Stored, headers_mark};
use super::ring::{Cursor, Ring, RingError, Tag, TagMeta};
use super::segments::Segments;
use super::sound_clock::{SoundClock, samples_of};
use super::tag::{Framing, HeaderSlot, NOMINAL_FRAME_MS, PICTURE_MESSAGES, TagFlags, TagKind, TagSeq, TagTiming};
use super::timeline::Timeline;
use super::tracks::{self, StreamTracks, TrackSource, WantedTracks};
use crate::limits::{HEADER_BYTES, OUT_CHUNK_BYTES};
use crate::time::Millis;
use crate::wire::announced::Announced;
use crate::wire::codec::Slice;
use crate::wire::flv::MediaType;
use crate::wire::legacy::{Legacy, edit_metadata, is_enhanced_metadata};

/// The time of data that is kept, in milliseconds: see the module's documentation.
const KEPT_DATA_TIME: u32 = 0;

/// Where a joining player begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinPoint {
    /// The newest key frame's beginning, or the newest audio tag's.
    pub cursor: Cursor,
    /// That tag's stream time: cached headers are sent with it.
    pub timestamp: u32,
    /// Video that comes before the next key frame cannot be decoded by who begins here.
    pub picture_later: bool,
}

/// Where somebody goes on who wants to see an earlier time again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeekPoint {
    /// Where it begins.
    pub point: JoinPoint,
    /// What was sent at the time itself, behind that.
    pub target: Cursor,
}

/// What is known of a publish.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublishFacts {
    /// Between its first two key frames, in milliseconds.
    pub key_frame_interval_ms: Option<u32>,
    /// Between its newest two, or the two before them where these are nearer: one pause of an encoder is none of its habits.
    pub newest_interval_ms: Option<u32>,
    /// Video frames per 1000 seconds, measured between its first two key frames.
    pub frame_rate_milli: Option<u32>,
    /// Payload bytes of its finished tags.
    pub bytes: u64,
    /// Its finished tags.
    pub tags: u64,
}

/// A live stream over given storage (see [`Ring`]): besides it about 17 KiB inline, nearly all of it the header cache.
#[derive(Debug)]
pub struct MediaStream<B, I> {
    ring: Ring<B, I>,
    headers: HeaderCache,
    timeline: Timeline,
    /// The first message of the newest picture that is a key frame.
    newest_key: Option<TagSeq>,
    newest_audio: Option<TagSeq>,
    /// The newest video message that is a frame.
    newest_frame: Option<TagSeq>,
    picture: Option<NewestPicture>,
    /// When the newest picture is decoded: how long it lasts follows from the next.
    picture_time: Option<u32>,
    /// And the newest key frame, ...
    key_time: Option<u32>,
    /// ... which came so long behind the one before, in milliseconds.
    interval_ms: Option<u32>,
    /// Pictures come in several messages, or may: of the first of a publish that is not known.
    in_parts: bool,
    /// The publish has had a picture.
    has_picture: bool,
    sound: SoundClock,
    segments: Segments,
    earlier: EarlierInit,
    video: Video,
    headers_changed: Option<TagSeq>,
    /// The first tag of the publish.
    began: TagSeq,
    /// No tag from here on is an Enhanced RTMP message.
    enhanced_end: TagSeq,
    facts: PublishFacts,
    measure: Measure,
}

/// What is known of a publish's video.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Video {
    /// None came.
    None,
    /// The next frame to keep is a key frame: none has come yet, or a message was lost.
    AwaitsKey,
    /// Every frame since the newest key frame is there.
    Flows,
}

/// The picture of the newest video message.
#[derive(Clone, Copy, Debug)]
struct NewestPicture {
    first: TagSeq,
    timestamp: u32,
    messages: u8,
    part: Part,
    /// One of its messages is known to have a slice; of the first that is looked up when there is another.
    has_slice: bool,
}

/// What the newest message of a picture is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// None of its messages is marked as a key frame (yet).
    Inter,
    /// It is a key frame.
    Key,
    /// It is not marked as a key frame, but one before it is.
    BehindKey,
}

impl NewestPicture {
    /// The picture of a video message behind one of the picture `before`, and whether it begins with it. `slice` reads a message's first
    /// slice; it is asked only where times do not tell.
    fn of(before: Option<NewestPicture>, tag: Tag, slice: impl Fn(TagSeq) -> Option<Slice>) -> (NewestPicture, bool) {
        let key = tag.flags.key;
        let goes_on = before.and_then(|picture| {
            // A key frame behind one that was followed by others is the next one of an encoder without a clock.
            let may = picture.timestamp == tag.timestamp
                && picture.messages < PICTURE_MESSAGES
                && !(picture.part == Part::BehindKey && key);
            let own = may.then(|| slice(tag.seq))?;
            let has_slice = picture.has_slice || slice(picture.first).is_some();
            let begins = has_slice && own == Some(Slice::First);
            (!begins).then_some(NewestPicture { has_slice: has_slice || own.is_some(), ..picture })
        });
        let begun = NewestPicture {
            first: tag.seq,
            timestamp: tag.timestamp,
            messages: 0,
            part: Part::Inter,
            has_slice: false,
        };
        let picture = goes_on.unwrap_or(begun);
        let part = match picture.part {
            _ if key => Part::Key,
            Part::Key | Part::BehindKey => Part::BehindKey,
            Part::Inter => Part::Inter,
        };
        (NewestPicture { part, messages: picture.messages + 1, ..picture }, goes_on.is_none())
    }
}

/// Measuring the first group of pictures of a publish.
#[derive(Clone, Copy, Debug)]
enum Measure {
    BeforeKey,
    Counting { since: u32, frames: u32 },
    Done,
}

impl<B, I> MediaStream<B, I>
where
    B: AsRef<[u8]> + AsMut<[u8]>,
    I: AsRef<[TagMeta]> + AsMut<[TagMeta]>,
{
    /// A stream with nothing in it.
    ///
    /// # Panics
    ///
    /// As [`Ring::new`], at start.
    pub fn new(bytes: B, index: I) -> MediaStream<B, I> {
        MediaStream {
            ring: Ring::new(bytes, index),
            headers: HeaderCache::new(),
            timeline: Timeline::new(),
            newest_key: None,
            newest_audio: None,
            newest_frame: None,
            picture: None,
            picture_time: None,
            key_time: None,
            interval_ms: None,
            in_parts: true,
            has_picture: false,
            sound: SoundClock::default(),
            segments: Segments::default(),
            earlier: EarlierInit::default(),
            video: Video::None,
            headers_changed: None,
            began: TagSeq::default(),
            enhanced_end: TagSeq::default(),
            facts: PublishFacts::default(),
            measure: Measure::BeforeKey,
        }
    }

    /// An audio or video message begins. `publisher_timestamp` is as the publisher counts.
    ///
    /// # Errors
    ///
    /// As [`Ring::begin`]: the message must be read and thrown away.
    pub fn begin_media(
        &mut self,
        kind: TagKind,
        publisher_timestamp: u32,
        length: u32,
        now: Millis,
    ) -> Result<TagSeq, RingError> {
        debug_assert!(kind != TagKind::Data, "data messages come whole");
        let timestamp = self.timeline.map(kind, publisher_timestamp, now);
        let begun = self.ring.begin(kind, timestamp, length, now);
        if begun.is_err() {
            self.lost(kind);
        }
        begun
    }

    /// The next bytes of its payload.
    ///
    /// # Errors
    ///
    /// As [`Ring::append`].
    pub fn append(&mut self, seq: TagSeq, payload: &[u8]) -> Result<(), RingError> {
        self.ring.append(seq, payload)
    }

    /// The message is complete, and `flags` and `header` say what it is: read its first bytes with [`Ring::payload_prefix`]. A tag
    /// with a `header` slot is kept for players who join. Returns what became of it there. A video frame that cannot be decoded,
    /// because the key frame before it never came, is given up.
    ///
    /// # Errors
    ///
    /// As [`Ring::finish`]. What is `Gone` is [lost](MediaStream::lost).
    pub fn finish(
        &mut self,
        seq: TagSeq,
        flags: TagFlags,
        header: Option<HeaderSlot>,
        now: Millis,
    ) -> Result<Option<Stored>, RingError> {
        let kind = self.ring.open_kind(seq)?;
        if kind == TagKind::Video && !flags.header && !flags.key && self.video != Video::Flows {
            self.video = Video::AwaitsKey;
            self.ring.abort(seq, now)?;
            return Ok(None);
        }
        self.ring.finish(seq, flags, now)?;
        let Some(tag) = self.ring.tag(seq) else { return Err(RingError::Gone) };
        self.facts.bytes += u64::from(tag.length);
        self.facts.tags += 1;
        self.note_enhanced(seq, flags);
        let stored = header.map(|slot| self.keep_header(tag, slot));
        match tag.kind {
            TagKind::Video => self.note_video(tag, now),
            TagKind::Audio => self.note_audio(tag, now),
            TagKind::Data => {}
        }
        Ok(stored)
    }

    /// Gives a half-received message up.
    ///
    /// # Errors
    ///
    /// As [`Ring::abort`].
    pub fn abort(&mut self, seq: TagSeq, now: Millis) -> Result<(), RingError> {
        let kind = self.ring.open_kind(seq)?;
        self.lost(kind);
        self.ring.abort(seq, now)
    }

    /// A message of that kind never came whole: what builds on a picture in it cannot be decoded.
    pub fn lost(&mut self, kind: TagKind) {
        if kind == TagKind::Video {
            self.video = Video::AwaitsKey;
        }
    }

    /// A whole data message, without `@setDataFrame`. With `keep_as`, its handler name, it is also kept for players who join:
    /// the first of what is returned says what became of it there.
    ///
    /// # Errors
    ///
    /// The second is as [`Ring::begin`]'s; it is kept nevertheless.
    pub fn data(
        &mut self,
        publisher_timestamp: u32,
        payload: &[u8],
        keep_as: Option<&[u8]>,
        now: Millis,
    ) -> (Option<Stored>, Result<TagSeq, RingError>) {
        let stored = keep_as.map(|name| self.headers.store_data(name, payload));
        let timestamp = if keep_as.is_some() { KEPT_DATA_TIME } else { self.timeline.map_data(publisher_timestamp) };
        let enhanced = keep_as.is_some() && is_enhanced_metadata(payload);
        let flags = TagFlags { enhanced, ..TagFlags::default() };
        let pushed = self.ring.push(TagKind::Data, timestamp, &[payload], flags, now);
        if let Ok(seq) = pushed {
            self.note_enhanced(seq, flags);
            self.facts.bytes += payload.len() as u64;
            self.facts.tags += 1;
        }
        self.note_stored(stored, pushed.unwrap_or(self.ring.readable_head()));
        (stored, pushed)
    }

    /// A whole data message of the server's own, at the present time of the stream.
    ///
    /// # Errors
    ///
    /// As [`Ring::begin`]'s.
    pub fn own_data(&mut self, payload: &[u8], now: Millis) -> Result<TagSeq, RingError> {
        self.ring.push(TagKind::Data, self.timeline.present(), &[payload], TagFlags::default(), now)
    }

    /// Forgets the data message of that handler name (`@clearDataFrame`). Returns whether there was one.
    pub fn clear_data(&mut self, name: &[u8]) -> bool {
        self.headers.remove_data(name)
    }

    /// The publisher has left: its incomplete messages are dropped, and no player joins before there is another publisher.
    pub fn unpublish(&mut self, now: Millis) {
        self.ring.abort_open(now);
        self.segments.cut(self.ring.readable_head(), self.timeline.present().wrapping_add(NOMINAL_FRAME_MS));
        (self.newest_key, self.newest_audio, self.newest_frame) = (None, None, None);
        self.picture = None;
        self.video = Video::None;
    }

    /// Another publish begins. Its time continues where the last one's ended, for players who stayed. Headers are its own: one
    /// without audio must not make players wait for the sound of the last.
    pub fn republish(&mut self, now: Millis) {
        self.keep_init(self.newest_key);
        self.unpublish(now);
        self.headers.clear();
        self.began = self.ring.readable_head();
        self.timeline.republish();
        self.facts = PublishFacts::default();
        self.measure = Measure::BeforeKey;
        (self.key_time, self.interval_ms) = (None, None);
        (self.in_parts, self.has_picture) = (true, false);
        self.sound = SoundClock::default();
    }

    /// Empties the stream for another name. Cursors of the old one are told that they are evicted.
    pub fn clear(&mut self, now: Millis) {
        self.republish(now);
        self.ring.clear(now);
        self.timeline = Timeline::new();
        self.headers_changed = None;
        self.picture_time = None;
        self.segments.clear();
    }

    /// The publisher is not expected back: what comes next is another publish to who is told of both.
    pub fn end_for_good(&mut self) {
        self.segments.end();
    }

    /// Its time, to be kept for its players when its storage is given to another stream.
    pub fn time(&self) -> Timeline {
        self.timeline
    }

    /// After [`MediaStream::clear`]: goes on in a time that was kept.
    pub fn set_time(&mut self, time: Timeline) {
        self.timeline = time;
    }

    /// Where a player begins now, not before `after`; `None` while it must wait for a key frame or for sound.
    pub fn join(&self, after: Option<TagSeq>) -> Option<JoinPoint> {
        let from = after.unwrap_or_default();
        self.point(self.newest_key, from, false).or_else(|| {
            // The first frame of a publish is a key frame.
            self.point(self.newest_audio, from, self.newest_frame.is_some())
        })
    }

    /// Where a player goes on who wants to see `wanted_ms` again, a time of the stream: at the key frame at that time or before it, or
    /// the oldest that the ring will hold for a while; where there are no pictures, at the sound. `None` when there is neither. Frames
    /// before the headers of now are not gone back to.
    pub fn seek_point(&self, wanted_ms: u32) -> Option<SeekPoint> {
        let is_later = |tag: &Tag| tag.timestamp.wrapping_sub(wanted_ms) as i32 > 0;
        let from = self.ring.oldest().max(self.began).max(self.headers_changed.unwrap_or_default());
        let tags = (from.0..self.ring.readable_head().0).filter_map(|seq| self.ring.tag(TagSeq(seq)));
        let has_pictures = self.newest_frame.is_some();
        let (mut picture, mut best, mut target) = (None, None::<Tag>, None);
        for tag in tags.filter(|tag| tag.kind != TagKind::Data && !tag.flags.header) {
            let begins = match tag.kind {
                TagKind::Video => {
                    if !tag.timing.continues() {
                        picture = Some(tag.seq);
                    }
                    picture.filter(|_| tag.flags.key)
                }
                _ => (!has_pictures).then_some(tag.seq),
            };
            let begins = begins.filter(|&seq| !self.ring.is_nearly_overwritten(Cursor::at(seq)));
            if let Some(tag) = begins.and_then(|seq| self.ring.tag(seq))
                && (best.is_none() || !is_later(&tag))
            {
                (best, target) = (Some(tag), None);
            }
            if best.is_some() && target.is_none() && tag.timestamp.wrapping_sub(wanted_ms) as i32 >= 0 {
                target = Some(Cursor::at(tag.seq));
            }
        }
        let Tag { seq, timestamp, .. } = best?;
        let point = JoinPoint { cursor: Cursor::at(seq), timestamp, picture_later: false };
        Some(SeekPoint { point, target: target.unwrap_or(Cursor::at(self.ring.readable_head())) })
    }

    /// Where a player who lags goes on: the newest key frame, when it lies ahead of its cursor; the newest sound, when there are no
    /// pictures. Where there are, sound alone is better only than being overtaken: a player that has just begun at an
    /// old key frame has a backlog, and is not slow.
    pub fn skip_target(&self, cursor: Cursor) -> Option<JoinPoint> {
        let ahead = cursor.seq.next();
        self.point(self.newest_key, ahead, false).or_else(|| {
            let Some(frame) = self.newest_frame else { return self.point(self.newest_audio, ahead, false) };
            let begun = self.newest_key.is_none_or(|key| key < cursor.seq);
            let overtaken = begun && self.ring.is_nearly_overwritten(cursor);
            self.point(self.newest_audio, ahead, frame >= cursor.seq).filter(|_| overtaken)
        })
    }

    /// Whether players begin at this tag: the first message of the newest key frame.
    pub fn begins_picture(&self, seq: TagSeq) -> bool {
        self.newest_key == Some(seq)
    }

    /// Whether a player who joins now has a picture at once.
    pub fn has_key_frame(&self) -> bool {
        self.point(self.newest_key, TagSeq::default(), false).is_some()
    }

    /// Whether the newest key frame was overwritten, so that a player who joins now has to wait for the next one.
    pub fn has_lost_key_frame(&self) -> bool {
        self.newest_key.is_some() && !self.has_key_frame()
    }

    /// From the newest key frame to the newest picture, in milliseconds; 0 before the first.
    pub fn since_key_frame_ms(&self) -> u32 {
        self.picture_time.zip(self.key_time).map_or(0, |(picture, key)| picture.saturating_sub(key))
    }

    /// How late media comes: see [`Timeline::late_ms`].
    pub fn late_ms(&self) -> u32 {
        self.timeline.late_ms()
    }

    /// See [`Timeline::watch_anew`].
    pub fn watch_anew(&mut self) {
        self.timeline.watch_anew();
    }

    fn point(&self, seq: Option<TagSeq>, from: TagSeq, picture_later: bool) -> Option<JoinPoint> {
        let tag = self.ring.tag(seq.filter(|&seq| seq >= from)?)?;
        Some(JoinPoint { cursor: Cursor::at(tag.seq), timestamp: tag.timestamp, picture_later })
    }

    /// Whether a cached header changed at or behind the cursor: a player who skips from there would miss it and is sent the
    /// headers again.
    pub fn headers_changed_after(&self, cursor: Cursor) -> bool {
        self.headers_changed.is_some_and(|seq| seq >= cursor.seq)
    }

    /// Whether an Enhanced RTMP message lies at or behind the cursor: who knows none is not sent the ring's own bytes from there.
    pub fn is_enhanced_from(&self, cursor: Cursor) -> bool {
        cursor.seq < self.enhanced_end
    }

    fn note_enhanced(&mut self, seq: TagSeq, flags: TagFlags) {
        if flags.enhanced {
            self.enhanced_end = self.enhanced_end.max(seq.next());
        }
    }

    /// Writes cached header `index` to `out` as a complete message and returns its length. A sequence header gets `timestamp`, data
    /// time 0. To who does not know all of Enhanced RTMP it is what stands for the header, and of length 0 when nothing does. `None` when
    /// there is no such header or it does not fit: [`HEADER_BYTES`] and 16 are always enough.
    pub fn emit_header(
        &self,
        index: usize,
        timestamp: u32,
        message_stream_id: u32,
        knows: Announced,
        out: &mut [u8],
    ) -> Option<usize> {
        let header = self.headers.at(index)?;
        let timestamp = if header.kind == TagKind::Data { KEPT_DATA_TIME } else { timestamp };
        let view = header.legacy(knows);
        let (begin, payload) = match &view {
            Legacy::Itself => (&[][..], header.payload),
            Legacy::Instead(instead) => {
                (instead.head(), &header.payload[instead.skip as usize..][..instead.take as usize])
            }
            Legacy::Nothing | Legacy::NoForm => return Some(0),
        };
        // A cached header is one chunk (see `limits`), and what stands for it is no longer.
        let mut framing = Framing::<OUT_CHUNK_BYTES> { timestamp, length: (begin.len() + payload.len()) as u32 };
        let (chunk_header, message) = out.split_at_mut_checked(framing.header_bytes() as usize)?;
        let message = message.get_mut(..framing.length as usize)?;
        message[..begin.len()].copy_from_slice(begin);
        message[begin.len()..].copy_from_slice(payload);
        if knows != Announced::ALL && header.kind == TagKind::Data {
            framing.length = edit_metadata(message, knows) as u32;
        }
        chunk_header.copy_from_slice(framing.header(header.kind, message_stream_id).as_slice());
        Some(framing.wire_bytes() as usize)
    }

    /// Which cached header is the stream's metadata.
    pub fn metadata_index(&self) -> Option<usize> {
        self.headers.iter().position(|header| header.kind == TagKind::Data && header.name == b"onMetaData")
    }

    /// The ring, for readers.
    pub fn ring(&self) -> &Ring<B, I> {
        &self.ring
    }

    /// Metadata and sequence headers in the order of sending.
    pub fn headers(&self) -> &HeaderCache {
        &self.headers
    }

    /// Whether video came in this publish.
    pub fn has_video(&self) -> bool {
        self.video != Video::None
    }

    /// Whether audio frames came in this publish.
    pub fn has_audio(&self) -> bool {
        self.newest_audio.is_some()
    }

    /// Its segments.
    pub fn segments(&self) -> &Segments {
        &self.segments
    }

    /// The same, to say how they are to be.
    pub fn segments_mut(&mut self) -> &mut Segments {
        &mut self.segments
    }

    /// The init segment of the headers before the present ones, for segments that are listed yet.
    pub fn earlier(&self) -> &EarlierInit {
        &self.earlier
    }

    /// Its tracks that are wanted and that a browser can play. `key` is a key frame of it, if one is at hand: some codecs tell their size
    /// there alone.
    pub fn describe(&self, wanted: WantedTracks, key: Option<&Tag>) -> StreamTracks<'_> {
        tracks::describe(self.track_source(), wanted, key)
    }

    /// Its tracks that an MP4 file can have, whether a browser plays them or not. They have no names.
    pub fn describe_file(&self, key: Option<&Tag>) -> StreamTracks<'_> {
        tracks::describe_file(self.track_source(), key)
    }

    fn track_source(&self) -> TrackSource<'_, B, I> {
        TrackSource { headers: &self.headers, ring: &self.ring, frame_rate_milli: self.facts.frame_rate_milli }
    }

    /// The init segment of the present headers, if there are segments behind them.
    fn present_init(&self, key: Option<TagSeq>) -> Option<EarlierInit> {
        let mark = headers_mark(&self.headers);
        let key = key.and_then(|key| self.ring.tag(key));
        let tracks = WantedTracks { video: true, audio: true };
        self.segments.has_mark(mark).then(|| EarlierInit::of(mark, &self.describe(tracks, key.as_ref())))
    }

    fn keep_init(&mut self, key: Option<TagSeq>) {
        if let Some(present) = self.present_init(key) {
            self.earlier = present;
        }
    }

    /// When the newest sound, or picture, is played, in milliseconds of the stream's time. Of data that is not known.
    pub fn newest_ms(&self, kind: TagKind) -> Option<u32> {
        let newest = match kind {
            TagKind::Audio => self.newest_audio,
            TagKind::Video => self.newest_frame,
            TagKind::Data => None,
        };
        self.ring.tag(newest?).map(|tag| tag.timestamp)
    }

    /// What is known of the publish so far.
    pub fn facts(&self) -> PublishFacts {
        self.facts
    }

    fn keep_header(&mut self, tag: Tag, slot: HeaderSlot) -> Stored {
        let before = self.present_init(self.newest_key);
        let stored = if tag.length as usize > HEADER_BYTES {
            self.headers.remove(slot);
            Stored::DoesNotFit
        } else {
            // One chunk (see `limits`), so two runs at most.
            let first = self.ring.payload_at(tag.seq, 0).unwrap_or_default();
            let second = self.ring.payload_at(tag.seq, first.len() as u32).unwrap_or_default();
            self.headers.store(slot, [first, second])
        };
        // Frames before the new header would be decoded with it.
        if matches!(stored, Stored::Changed | Stored::DoesNotFit) {
            self.newest_key = self.newest_key.filter(|&seq| seq > tag.seq);
            self.newest_audio = self.newest_audio.filter(|&seq| seq > tag.seq);
            self.picture = None;
            if let Some(before) = before {
                self.earlier = before;
            }
        }
        self.note_stored(Some(stored), tag.seq);
        stored
    }

    fn note_stored(&mut self, stored: Option<Stored>, seq: TagSeq) {
        if let Some(Stored::New | Stored::Changed) = stored {
            self.headers_changed = self.headers_changed.max(Some(seq));
        }
    }

    fn note_video(&mut self, tag: Tag, now: Millis) {
        if tag.flags.header {
            if self.video == Video::None {
                self.video = Video::AwaitsKey;
            }
            return;
        }
        self.video = Video::Flows;
        self.newest_frame = self.newest_frame.max(Some(tag.seq));
        let begins = self.note_picture(tag);
        self.in_parts |= !begins;
        if begins {
            if tag.flags.key {
                let before = self.key_time.replace(tag.timestamp);
                let interval_ms = before.map(|before| tag.timestamp.saturating_sub(before));
                let last_ms = core::mem::replace(&mut self.interval_ms, interval_ms);
                self.facts.newest_interval_ms = interval_ms.map(|ms| last_ms.map_or(ms, |last_ms| ms.min(last_ms)));
            }
            let timing = match self.picture_time {
                Some(before_ms) => TagTiming::of_picture(tag.timestamp, before_ms, self.in_parts),
                None => TagTiming::of_first_picture(self.in_parts),
            };
            self.picture_time = Some(tag.timestamp.saturating_add(timing.late_ms()));
            self.ring.set_timing(tag.seq, timing);
            self.in_parts &= core::mem::replace(&mut self.has_picture, true);
            if tag.flags.key {
                self.segments.key_frame(tag.seq, tag.timestamp, headers_mark(&self.headers), now.0);
            }
        }
        self.measure = match self.measure {
            _ if !begins => return,
            Measure::BeforeKey if tag.flags.key => Measure::Counting { since: tag.timestamp, frames: 1 },
            Measure::Counting { since, frames } if tag.flags.key => {
                let interval_ms = tag.timestamp.wrapping_sub(since);
                self.facts.key_frame_interval_ms = Some(interval_ms);
                let rate = u64::from(frames) * 1_000_000;
                self.facts.frame_rate_milli = rate.checked_div(u64::from(interval_ms)).map(|rate| rate as u32);
                Measure::Done
            }
            Measure::Counting { since, frames } => Measure::Counting { since, frames: frames.saturating_add(1) },
            other => other,
        };
    }

    /// Says whether the message begins a picture.
    fn note_picture(&mut self, tag: Tag) -> bool {
        let (picture, begins) = NewestPicture::of(self.picture, tag, |seq| self.first_slice(seq));
        if tag.flags.key {
            self.newest_key = self.newest_key.max(Some(picture.first));
        }
        self.picture = Some(picture);
        begins
    }

    fn first_slice(&self, seq: TagSeq) -> Option<Slice> {
        let part = self.ring.sample(&self.ring.tag(seq)?)?;
        let record = self.headers.record(MediaType::Video).filter(|(codec, _)| *codec == part.codec);
        let byte = |at| self.ring.payload_at(seq, part.skip + at)?.first().copied();
        Slice::of(part.codec, record.map_or(&[], |(_, record)| record), part.take, byte)
    }

    fn note_audio(&mut self, tag: Tag, now: Millis) {
        if tag.flags.header {
            if let Some((codec, record)) = self.headers.record(MediaType::Audio) {
                self.sound.configure(codec, record);
            }
            return;
        }
        self.newest_audio = self.newest_audio.max(Some(tag.seq));
        let Some(part) = self.ring.sample(&tag) else { return };
        if self.video == Video::None {
            // Without pictures a segment may begin anywhere.
            self.segments.key_frame(tag.seq, tag.timestamp, headers_mark(&self.headers), now.0);
        }
        let samples = self.sound.frame_samples().unwrap_or_else(|| {
            if self.headers.iter().all(|header| header.kind != TagKind::Audio) {
                self.sound.configure(part.codec, &[]);
            }
            samples_of(&self.ring, tag.seq, &part)
        });
        let timing = self.sound.timing(tag.timestamp, samples);
        self.ring.set_timing(tag.seq, timing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    extern crate std;
    use std::vec;
    use std::vec::Vec;

    type VecStream = MediaStream<Vec<u8>, Vec<TagMeta>>;

    const KEY: TagFlags = TagFlags { key: true, header: false, droppable: false, enhanced: false };
    const INTER: TagFlags = TagFlags { key: false, header: false, droppable: false, enhanced: false };
    const HEADER: TagFlags = TagFlags { key: false, header: true, droppable: false, enhanced: false };

    fn stream() -> VecStream {
        MediaStream::new(vec![0; 4096], vec![TagMeta::EMPTY; 64])
    }

    fn put(stream: &mut VecStream, kind: TagKind, timestamp: u32, payload: &[u8], flags: TagFlags) -> TagSeq {
        let now = Millis(u64::from(timestamp));
        let slot = flags.header.then_some(HeaderSlot { kind, class: 0, track: 0 });
        let seq = stream.begin_media(kind, timestamp, payload.len() as u32, now).unwrap();
        stream.append(seq, payload).unwrap();
        stream.finish(seq, flags, slot, now).unwrap();
        seq
    }

    fn picture_at(seq: TagSeq, timestamp: u32) -> Option<JoinPoint> {
        Some(JoinPoint { cursor: Cursor::at(seq), timestamp, picture_later: false })
    }

    fn sound_at(seq: TagSeq, timestamp: u32) -> Option<JoinPoint> {
        Some(JoinPoint { cursor: Cursor::at(seq), timestamp, picture_later: true })
    }

    #[test]
    fn players_join_at_the_newest_key_frame_in_the_ring() {
        let mut stream = stream();
        assert_eq!(stream.join(None), None);
        put(&mut stream, TagKind::Video, 100, b"vh", HEADER);
        put(&mut stream, TagKind::Video, 100, b"inter", INTER);
        assert_eq!(stream.join(None), None);
        let first = put(&mut stream, TagKind::Video, 140, b"key", KEY);
        assert_eq!(stream.join(None), picture_at(first, 40));
        assert_eq!(stream.skip_target(Cursor::at(first)), None);
        put(&mut stream, TagKind::Video, 180, b"inter", INTER);
        let second = put(&mut stream, TagKind::Video, 220, b"key", KEY);
        assert_eq!(stream.skip_target(Cursor { seq: first, offset: 5 }), picture_at(second, 120));
        assert_eq!(stream.join(Some(second)), picture_at(second, 120));
        assert_eq!(stream.join(Some(second.next())), None);
        assert_eq!(stream.facts().key_frame_interval_ms, Some(80));
        assert_eq!(stream.facts().frame_rate_milli, Some(25_000));
        assert_eq!((stream.facts().tags, stream.facts().bytes), (4, 13), "what cannot be decoded does not count");
        // Evicted by a long group of pictures: there is no picture before the next key frame.
        let audio = put(&mut stream, TagKind::Audio, 225, b"a", INTER);
        assert_eq!(stream.join(Some(second.next())), sound_at(audio, 125));
        for i in 0..63 {
            put(&mut stream, TagKind::Video, 230 + i, b"inter", INTER);
        }
        assert!(!stream.has_key_frame() && stream.has_video());
        assert_eq!(stream.join(None), sound_at(audio, 125));
        // Who lags stays with what it has as long as it is not about to be overtaken.
        let audio = put(&mut stream, TagKind::Audio, 300, b"a", INTER);
        assert_eq!(stream.skip_target(Cursor::at(audio)), None);
        assert_eq!(stream.skip_target(Cursor { seq: stream.ring().oldest(), offset: 0 }), sound_at(audio, 200));
    }

    #[test]
    fn behind_a_lost_message_video_begins_with_a_key_frame() {
        let mut stream = stream();
        let key = put(&mut stream, TagKind::Video, 0, b"key", KEY);
        assert!(stream.begin_media(TagKind::Audio, 10, 4000, Millis(10)).is_err());
        put(&mut stream, TagKind::Video, 40, b"inter", INTER);
        let losses: [fn(&mut VecStream); 3] = [
            |stream| assert!(stream.begin_media(TagKind::Video, 80, 4000, Millis(80)).is_err()),
            |stream| {
                let half = stream.begin_media(TagKind::Video, 80, 400, Millis(80)).unwrap();
                stream.abort(half, Millis(80)).unwrap();
            },
            |stream| stream.lost(TagKind::Video),
        ];
        for loss in losses {
            let tags = stream.facts().tags;
            loss(&mut stream);
            put(&mut stream, TagKind::Video, 120, b"inter", INTER);
            let audio = put(&mut stream, TagKind::Audio, 120, b"a", INTER);
            assert_eq!(stream.facts().tags, tags + 1);
            assert_eq!(stream.join(Some(audio)), sound_at(audio, 120));
            put(&mut stream, TagKind::Video, 160, b"key", KEY);
            put(&mut stream, TagKind::Video, 160, b"inter", INTER);
            assert_eq!(stream.facts().tags, tags + 3);
        }
        assert_ne!(stream.join(None).unwrap().cursor.seq, key);
    }

    #[test]
    fn a_picture_in_several_messages_counts_once_and_an_encoder_without_a_clock_is_joined_nevertheless() {
        let mut stream = stream();
        let mut first = TagSeq::default();
        for time in [0, 40, 80] {
            let flags = if time == 40 { INTER } else { KEY };
            first = put(&mut stream, TagKind::Video, time, b"1", flags);
            put(&mut stream, TagKind::Video, time, b"2", flags);
            put(&mut stream, TagKind::Video, time, b"3", flags);
        }
        assert_eq!(stream.join(None), picture_at(first, 80));
        assert_eq!(stream.facts().frame_rate_milli, Some(25_000));
        for _ in 0..200 {
            let key = put(&mut stream, TagKind::Video, 120, b"key", KEY);
            for _ in 0..4 {
                assert_eq!(stream.join(None), picture_at(key, 120));
                put(&mut stream, TagKind::Video, 120, b"inter", INTER);
            }
        }
        for _ in 0..200 {
            put(&mut stream, TagKind::Video, 120, b"key", KEY);
            assert!(stream.has_key_frame());
        }
    }

    #[test]
    fn a_changed_header_ends_the_join_point_until_the_next_key_frame() {
        let mut stream = stream();
        put(&mut stream, TagKind::Video, 0, b"v1", HEADER);
        put(&mut stream, TagKind::Audio, 0, b"a1", HEADER);
        let key = put(&mut stream, TagKind::Video, 0, b"key", KEY);
        put(&mut stream, TagKind::Audio, 10, b"a1", HEADER);
        assert_eq!(stream.join(None).unwrap().cursor.seq, key);
        assert!(!stream.headers_changed_after(Cursor::at(key)));
        put(&mut stream, TagKind::Audio, 20, b"a2", HEADER);
        assert_eq!(stream.join(None), None);
        assert!(stream.headers_changed_after(Cursor::at(key)));
        let audio = put(&mut stream, TagKind::Audio, 30, b"a", INTER);
        assert_eq!(stream.join(None), sound_at(audio, 30));
        let next = put(&mut stream, TagKind::Video, 40, b"key", KEY);
        assert_eq!(stream.join(None).unwrap().cursor.seq, next);
        assert!(!stream.headers_changed_after(Cursor::at(next)));
    }

    #[test]
    fn a_stream_without_video_is_joined_at_the_newest_audio_tag() {
        let mut stream = stream();
        put(&mut stream, TagKind::Audio, 0, b"ah", HEADER);
        assert_eq!(stream.join(None), None);
        let audio = put(&mut stream, TagKind::Audio, 0, b"a", INTER);
        assert_eq!(stream.join(None).unwrap().cursor.seq, audio);
        let key = put(&mut stream, TagKind::Video, 20, b"key", KEY);
        put(&mut stream, TagKind::Audio, 23, b"a", INTER);
        assert_eq!(stream.join(None).unwrap().cursor.seq, key);
        // The camera is switched off, and on again: what lies in memory is where a picture begins.
        put(&mut stream, TagKind::Audio, 1_500, b"a", INTER);
        put(&mut stream, TagKind::Audio, 62_500, b"a", INTER);
        put(&mut stream, TagKind::Video, 63_000, b"inter", INTER);
        assert_eq!(stream.join(None).unwrap().cursor.seq, key);
    }

    #[test]
    fn cached_headers_are_written_as_messages_with_the_join_points_time_and_data_with_none() {
        let mut stream = stream();
        put(&mut stream, TagKind::Audio, 0, b"a", INTER);
        let kept = stream.data(500, b"\x02\x00\x0AonMetaData", Some(b"onMetaData"), Millis(500)).1.unwrap();
        let cue = stream.data(500, b"\x02\x00\x0AonCuePoint", None, Millis(500)).1.unwrap();
        assert_eq!([kept, cue].map(|seq| stream.ring().tag(seq).unwrap().timestamp), [0, 500]);
        put(&mut stream, TagKind::Audio, 0, b"\xAF\x00\x12\x10", HEADER);
        let mut out = [0; 64];
        assert_eq!(stream.emit_header(0, 0x0102, 3, Announced::ALL, &mut out), Some(25));
        assert_eq!(out[..25], *b"\x05\x00\x00\x00\x00\x00\x0D\x12\x03\x00\x00\x00\x02\x00\x0AonMetaData");
        assert_eq!(stream.emit_header(1, 0x0100_0000, 1, Announced::ALL, &mut out), Some(20));
        assert_eq!(out[..20], *b"\x04\xFF\xFF\xFF\x00\x00\x04\x08\x01\x00\x00\x00\x01\x00\x00\x00\xAF\x00\x12\x10");
        assert_eq!(stream.emit_header(1, 0, 1, Announced::ALL, &mut out[..15]), None);
        assert_eq!(stream.emit_header(2, 0, 1, Announced::ALL, &mut out), None);
        assert!(stream.clear_data(b"onMetaData"));
        assert_eq!(stream.headers().len(), 1);
    }

    #[test]
    fn a_header_too_large_to_keep_still_reaches_players_in_the_ring() {
        let mut stream: VecStream = MediaStream::new(vec![0; 16 * 1024], vec![TagMeta::EMPTY; 64]);
        put(&mut stream, TagKind::Video, 0, b"vh", HEADER);
        put(&mut stream, TagKind::Video, 0, &[1; HEADER_BYTES + 1], HEADER);
        assert!(stream.headers().is_empty());
        let slices = stream.ring().slices(&mut Cursor::default(), usize::MAX >> 1).unwrap();
        assert_eq!(slices[0].len() + slices[1].len(), 12 + 2 + 12 + HEADER_BYTES + 1);
    }

    #[test]
    fn players_who_stay_over_a_republish_see_one_stream() {
        let mut stream = stream();
        put(&mut stream, TagKind::Video, 7_000, b"vh", HEADER);
        let key = put(&mut stream, TagKind::Video, 7_000, b"key", KEY);
        let half = stream.begin_media(TagKind::Video, 7_040, 100, Millis(7_040)).unwrap();
        let mut player = Cursor::at(key);
        stream.ring().advance(&mut player, 15);

        stream.unpublish(Millis(7_050));
        assert_eq!(stream.join(None), None);
        assert_eq!(stream.append(half, b"late"), Err(RingError::Gone));
        stream.republish(Millis(9_000));
        assert!(stream.headers().is_empty());
        assert_eq!(stream.facts(), PublishFacts::default());
        put(&mut stream, TagKind::Video, 0, b"vh", HEADER);
        put(&mut stream, TagKind::Video, 33, b"key", KEY);
        let tag = stream.ring().tag_at(&mut player).unwrap().unwrap();
        assert_eq!((tag.timestamp, tag.flags), (80, HEADER));
        assert_eq!(stream.join(None).unwrap().timestamp, 113);
        let slices = stream.ring().slices(&mut player, 1_000).unwrap();
        assert_eq!(slices[0].len() + slices[1].len(), 14 + 15);

        stream.clear(Millis(9_100));
        assert!(stream.ring().slices(&mut player, 1_000).is_err());
        put(&mut stream, TagKind::Audio, 500, b"a", INTER);
        assert_eq!(stream.join(None).unwrap().timestamp, 0);
    }

    /// What an encoder does next.
    #[derive(Clone, Copy, Debug)]
    enum Sends {
        Key,
        Inter,
        Slice,
        Audio,
        VideoHeader(u8),
        AudioHeader(u8),
        TooLarge,
        NewPublish,
    }

    fn sends() -> impl Strategy<Value = Sends> {
        prop_oneof![
            2 => Just(Sends::Key),
            12 => Just(Sends::Inter),
            2 => Just(Sends::Slice),
            12 => Just(Sends::Audio),
            1 => (0_u8..2).prop_map(Sends::VideoHeader),
            1 => (0_u8..2).prop_map(Sends::AudioHeader),
            1 => Just(Sends::TooLarge),
            1 => Just(Sends::NewPublish),
        ]
    }

    proptest! {
        #[test]
        fn who_joins_has_what_there_is_at_once_and_never_video_that_cannot_be_decoded(
            script in prop::collection::vec(sends(), 1..300), index in 3_u32..7,
        ) {
            let mut stream: VecStream = MediaStream::new(vec![0; 4096], vec![TagMeta::EMPTY; 1 << index]);
            // Of every tag: the key frame that it needs, if it is a frame; and what there was in this publish.
            let mut needs = std::collections::BTreeMap::<TagSeq, TagSeq>::new();
            let (mut key, mut newest_audio, mut newest_key) = (None, None, None);
            let mut time = 0;
            for sent in script {
                time += if matches!(sent, Sends::Slice) { 0 } else { 40 };
                let (kind, payload, flags) = match sent {
                    Sends::Key => (TagKind::Video, *b"key", KEY),
                    Sends::Inter | Sends::Slice => (TagKind::Video, *b"int", INTER),
                    Sends::Audio => (TagKind::Audio, *b"aud", INTER),
                    Sends::VideoHeader(n) => (TagKind::Video, [b'h', b'v', n], HEADER),
                    Sends::AudioHeader(n) => (TagKind::Audio, [b'h', b'a', n], HEADER),
                    Sends::TooLarge => {
                        assert!(stream.begin_media(TagKind::Video, time, 3000, Millis(u64::from(time))).is_err());
                        key = None;
                        continue;
                    }
                    Sends::NewPublish => {
                        stream.republish(Millis(u64::from(time)));
                        (key, newest_audio, newest_key) = (None, None, None);
                        continue;
                    }
                };
                let changes = matches!(
                    (flags.header, stream.headers().iter().find(|header| header.kind == kind)),
                    (true, Some(header)) if header.payload != payload
                );
                let seq = put(&mut stream, kind, time, &payload, flags);
                if changes {
                    (newest_audio, newest_key) = (None, None);
                }
                match (kind, flags) {
                    (_, HEADER) => {}
                    (TagKind::Audio, _) => newest_audio = Some(seq),
                    (_, KEY) => {
                        (key, newest_key) = (Some(seq), Some(seq));
                        needs.insert(seq, seq);
                    }
                    _ => match key {
                        Some(key) => drop(needs.insert(seq, key)),
                        None => prop_assert_eq!(stream.ring().tag(seq), None),
                    },
                }
                let there = |seq: Option<TagSeq>| seq.filter(|&seq| stream.ring().tag(seq).is_some());
                let point = stream.join(None);
                // A picture before everything else, and sound before nothing.
                prop_assert_eq!(point.map(|point| point.cursor.seq), there(newest_key).or(there(newest_audio)));
                let Some(point) = point else { continue };
                prop_assert_eq!(stream.ring().tag(point.cursor.seq).map(|tag| tag.timestamp), Some(point.timestamp));
                if !point.picture_later {
                    for (frame, key) in needs.range(point.cursor.seq..) {
                        prop_assert!(*key >= point.cursor.seq, "{:?} needs {:?}, begun at {:?}", frame, key, point);
                    }
                }
            }
        }
    }
}
