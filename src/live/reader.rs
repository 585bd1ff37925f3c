//! A reader of a stream: a cursor with rules, the same for whatever its receiver speaks.
//!
//! Whoever is sent a stream (a player, an HTTP viewer, a recording, a relay) owns a [`Reader`]. It asks what is
//! [due](Reader::due), sends that as its own protocol has it, says what was sent ([`Reader::taken`], [`Reader::sent`],
//! [`Reader::sent_framed`]), and asks again until nothing is. Where it joins, which headers come first, when it is too far behind
//! and goes on at a later key frame, what it does not want and when it is to hear of the end is decided here, and nowhere else.
//!
//! ```text
//! Waiting ──join point──> Headers ──all sent──> Live ──lag, other headers──> Headers
//!    ^                                           │
//!    └───────── end, evicted, seek ──────────────┘
//! ```
//!
//! A reader does not know its receiver: no words, no bytes of its own, no clock. It changes between two tags only; of a tag that
//! was begun the rest is due, whatever was decided meanwhile. Who turns away from a half-sent tag ([`Reader::pause`],
//! [`Reader::restart`], [`Reader::begin_with`]) is given its [`Rest`], for a receiver of a byte stream must be sent that first.

use crate::handles::StreamId;
use crate::media::{Cursor, Evicted, Frame, JoinPoint, Tag, TagKind, TagSeq, frame};
use crate::time::Millis;
use crate::wire::announced::Announced;
use crate::wire::flv::{self, CLASSIFY_BYTES, Codec};
use crate::wire::legacy::Legacy;

use super::names::{Media, Names};

/// So much may a reader who is about to be overtaken lose on the publisher before it loses the picture, in milliseconds. Media
/// comes in frames and is taken in bursts, so who gains on the whole may lose as much as a frame takes at times.
const LOSS_MS: u32 = 50;

/// Who wants to see an earlier time again is sent so much beyond it at once, in milliseconds, and is that much less behind: without
/// something to hold a player stumbles.
const AHEAD_MS: u32 = 1000;
/// A pause that is shorter puts nobody behind, in milliseconds.
const SHORT_PAUSE_MS: u32 = 500;

/// What a reader has to know of its stream.
#[derive(Clone, Copy)]
pub struct StreamView<'l> {
    /// Its ring and headers; `None` while it has no ring.
    pub media: Option<&'l Media>,
    /// Somebody publishes it.
    pub published: bool,
}

impl<'l> StreamView<'l> {
    /// The stream of that name.
    pub fn of(names: &'l Names, id: StreamId) -> StreamView<'l> {
        let stream = names.stream(id);
        StreamView { media: stream.ring.map(|ring| names.media(ring)), published: stream.publisher().is_some() }
    }

    /// The first tag at which somebody may begin who comes now; `None` for any. Without the GOP cache that is none of those that
    /// are there.
    fn first(&self, gop_cache: bool) -> Option<TagSeq> {
        let media = self.media.filter(|_| !gop_cache)?;
        Some(media.ring().readable_head())
    }
}

/// How a reader is asked what is due.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// The time.
    pub now: Millis,
    /// How far behind it may be, in milliseconds; `None` for as far as it is. Once in a write is enough: no time passes in it, and
    /// who is being sent what is due is not slow in the midst of it.
    pub most_lag_ms: Option<u64>,
    /// What it can be given.
    pub form: Form,
    /// What is known of Enhanced RTMP by who does not know all of it ([`Reader::legacy`]).
    pub knows: Announced,
}

/// How media is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As the ring holds it, many tags at once, to who wants all of them. Others are given one tag.
    Stored {
        /// At most so many bytes. 0 is none between two tags, and the rest of a tag that was begun.
        most: usize,
    },
    /// One tag, to be framed.
    Framed,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due<'l> {
    /// Nothing now.
    Nothing,
    /// This one of the cached headers, with this time in milliseconds. Then [`Reader::taken`].
    Header(usize, u32),
    /// These bytes of the ring. Then [`Reader::sent`].
    Bytes([&'l [u8]; 2]),
    /// This tag, of whose framed bytes so many were sent. Then [`Reader::sent_framed`].
    Tag(Tag, u32),
    /// Its receiver is to hear that what comes now is of the stream that it switched to. Then [`Reader::taken`].
    Switched,
    /// Its receiver is to hear that the publisher left. Then [`Reader::taken`].
    Ended,
    /// Its receiver is to hear that something is left out, for it does not know this codec (if we do) of Enhanced RTMP, which has no other
    /// form. Once. Then [`Reader::taken`].
    LeftOut(Option<Codec>),
    /// It was too slow and goes on elsewhere, which counts. Nothing is sent of it: ask again.
    Skipped,
    /// The rest of a tag that was begun is lost: a receiver of a byte stream cannot go on.
    TooSlow,
}

/// Where a reader wants to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeekTo {
    /// At this time of the stream, in milliseconds.
    Time(u32),
    /// So many milliseconds before where it is.
    Back(u32),
    /// Where the stream is.
    Live,
}

/// Where a reader went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the rest of a half-sent tag must be sent"]
pub struct Sought {
    /// What is left of the tag that it turned away from.
    pub rest: Option<Rest>,
    /// The time of the stream at which it goes on, in milliseconds; `None` when it waits for a frame to begin with.
    pub time_ms: Option<u32>,
}

/// What is left of a tag that a reader has turned away from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rest {
    /// Its next byte.
    pub cursor: Cursor,
    /// It is sent as a legacy message.
    pub legacy: bool,
}

/// A reader.
#[derive(Clone, Copy, Debug)]
pub struct Reader {
    stream: StreamId,
    phase: Phase,
    /// Nothing is due until it goes on.
    paused: bool,
    audio: bool,
    video: Want,
    /// Its receiver knows that the stream is published, and has not heard that it is no longer.
    knows_of_publish: bool,
    /// It is to hear that, when it has been sent everything.
    ending: bool,
    /// It is to hear that a switch is complete, when the new stream's first frame is due.
    switching: bool,
    /// How often it was too slow, as far as 16 bits count.
    skips: u16,
    behind: Behind,
    enhanced: Enhanced,
    left_out: LeftOut,
}

/// How far a reader is.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// For a publisher, or for a key frame or sound at or behind `after`.
    Waiting { after: Option<TagSeq> },
    /// It is being sent metadata and sequence headers.
    Headers {
        next: u8,
        /// Of the header cache when it began: it begins again when that changed.
        version: u32,
        /// Where it goes on.
        point: JoinPoint,
    },
    /// It is sent tags.
    Live { cursor: Cursor },
}

/// How far a reader is behind, in one word, as a connection has no more room: a bit says which of the two it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Behind(u32);

impl Behind {
    const ON_PURPOSE: u32 = 1 << 31;
    const MOST_MS: u32 = Behind::ON_PURPOSE - 1;

    /// Not on purpose: when it began or was about to be overtaken it was so many milliseconds, at the least.
    fn least(ms: u32) -> Behind {
        Behind(ms.min(Behind::MOST_MS))
    }

    /// On purpose, so many milliseconds: a tag is due when it has been there for so long. 0 is not behind.
    fn on_purpose(ms: u32) -> Behind {
        if ms == 0 { Behind::least(Behind::MOST_MS) } else { Behind(ms.min(Behind::MOST_MS) | Behind::ON_PURPOSE) }
    }

    /// How far on purpose, in milliseconds.
    fn shift_ms(self) -> u32 {
        if self.0 & Behind::ON_PURPOSE == 0 { 0 } else { self.0 & Behind::MOST_MS }
    }
}

/// Whether video is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Want {
    Yes,
    No,
    /// From the next key frame on, after the headers, which may have changed.
    Resuming,
    /// From the next key frame on.
    AtKeyFrame,
}

/// How Enhanced RTMP messages are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Enhanced {
    /// As they are: its receiver announced that it knows them.
    AsTheyAre,
    /// Those that its receiver does not know as what they equal that it does. There is none before it.
    Legacy,
    /// As `Legacy`, and there is one: it goes tag by tag.
    LegacyDue,
}

/// Whether sound or picture is left out for want of a form that is known, and its receiver was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LeftOut {
    No,
    Due(Option<Codec>),
    Told,
}

const _: () =
    assert!(size_of::<Reader>() <= 48, "a connection has one for each net stream, and a sweep looks at the first");

impl Reader {
    /// A reader of `stream` who was sent nothing. With the GOP cache it begins at the newest key frame that the ring holds, else
    /// at the next one, or with sound until then.
    pub fn new(stream: StreamId, source: StreamView<'_>, gop_cache: bool) -> Reader {
        Reader {
            stream,
            phase: Phase::Waiting { after: source.first(gop_cache) },
            paused: false,
            audio: true,
            video: Want::Yes,
            knows_of_publish: source.published,
            ending: false,
            switching: false,
            skips: 0,
            behind: Behind::least(Behind::MOST_MS),
            enhanced: Enhanced::AsTheyAre,
            left_out: LeftOut::No,
        }
    }

    /// It takes the place of another stream's reader, and is to hear when the change is complete.
    pub fn switching(self, switching: bool) -> Reader {
        Reader { switching, ..self }
    }

    /// Its receiver does not know all of Enhanced RTMP ([`Terms::knows`]): in place of the rest it is sent what that equals, as far as
    /// anything does.
    pub fn legacy(self, legacy: bool) -> Reader {
        Reader { enhanced: if legacy { Enhanced::Legacy } else { Enhanced::AsTheyAre }, ..self }
    }

    /// What it reads.
    pub fn stream(&self) -> StreamId {
        self.stream
    }

    /// How often it was too slow and went on at a later key frame: up to 65535.
    pub fn skips(&self) -> u32 {
        self.skips.into()
    }

    /// Whether it is sent other messages in place of some.
    pub fn is_legacy(&self) -> bool {
        self.enhanced != Enhanced::AsTheyAre
    }

    /// Whether it pauses.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Where it is, if it is sent tags.
    pub fn cursor(&self) -> Option<Cursor> {
        match self.phase {
            Phase::Live { cursor } => Some(cursor),
            Phase::Waiting { .. } | Phase::Headers { .. } => None,
        }
    }

    /// Whether it waits for somewhere to begin.
    pub fn is_waiting(&self) -> bool {
        matches!(self.phase, Phase::Waiting { .. })
    }

    /// Whether its receiver knows that the stream is published, and has not heard that it is no longer.
    pub fn knows_of_publish(&self) -> bool {
        self.knows_of_publish
    }

    /// What is left of a tag that was sent in part.
    pub fn rest(&self) -> Option<Rest> {
        let cursor = self.cursor().filter(|cursor| !cursor.at_tag_boundary())?;
        Some(Rest { cursor, legacy: self.is_legacy() })
    }

    /// Whether it wants every tag as the ring holds it, and at once.
    pub fn wants_everything(&self) -> bool {
        self.audio && self.video == Want::Yes && self.enhanced != Enhanced::LegacyDue && self.shift_ms() == 0
    }

    /// The next tag of a reader whom nothing but the ring's bytes is due from there on, as far as can be said now. Who sends them may
    /// keep count of them, and tell it later ([`Reader::moved_to`]).
    pub fn flows_from(&self) -> Option<TagSeq> {
        let cursor = self.cursor().filter(|cursor| cursor.at_tag_boundary())?;
        let waits = self.paused || self.ending || self.switching || matches!(self.left_out, LeftOut::Due(_));
        (self.wants_everything() && !waits).then_some(cursor.seq)
    }

    /// It flowed up to there.
    pub fn moved_to(&mut self, cursor: Cursor) {
        self.phase = Phase::Live { cursor };
    }

    /// Whether it was sent all that there is, and waits to hear nothing.
    pub fn has_everything(&self, media: &Media) -> bool {
        let at_head = self.cursor().is_some_and(|cursor| cursor.seq >= media.ring().readable_head());
        at_head && !self.ending && !matches!(self.left_out, LeftOut::Due(_))
    }

    /// How far it is behind, in milliseconds, without what it is behind on purpose; `None` while it is not sent tags.
    pub fn lag_ms(&self, media: &Media, now: Millis) -> Option<u32> {
        self.cursor().map(|cursor| media.ring().lag_ms(cursor, now).saturating_sub(self.shift_ms()))
    }

    /// So far it is behind on purpose, in milliseconds: it has gone back, or has paused.
    pub fn shift_ms(&self) -> u32 {
        self.behind.shift_ms()
    }

    /// Goes back, or on, to the key frame at that time or before it, as far as the ring holds it; with the headers. From there it is
    /// as far behind as it wanted to be, and is not slow as long as the ring holds where it is. Near the end it is live again.
    pub fn seek(&mut self, to: SeekTo, source: StreamView<'_>, gop_cache: bool, now: Millis) -> Sought {
        let point = source.media.filter(|_| source.published).and_then(|media| {
            let wanted_ms = match to {
                SeekTo::Time(ms) => ms,
                SeekTo::Back(ms) => self.time_ms(media).saturating_sub(ms),
                SeekTo::Live => return None,
            };
            let found = media.seek_point(wanted_ms)?;
            let lag_ms = media.ring().lag_ms(found.target, now);
            let shift_ms = lag_ms.checked_sub(AHEAD_MS).filter(|&ms| ms > 0)?;
            Some((media, found.point, shift_ms))
        });
        let Some((media, point, shift_ms)) = point else {
            let rest = self.restart(source, gop_cache);
            // Without the GOP cache the next one is waited for.
            let begins = source.media.and_then(|media| media.join(source.first(gop_cache)));
            return Sought { rest, time_ms: begins.map(|point| point.timestamp) };
        };
        let rest = self.rest();
        self.begin_at(point, media, now);
        self.behind = Behind::on_purpose(shift_ms);
        Sought { rest, time_ms: Some(point.timestamp) }
    }

    /// The time of the stream of what it is due next, in milliseconds.
    fn time_ms(&self, media: &Media) -> u32 {
        let next = self.cursor().and_then(|cursor| media.ring().tag(cursor.seq));
        next.filter(|tag| tag.kind != TagKind::Data).map_or_else(|| media.time().present(), |tag| tag.timestamp)
    }

    /// Pauses, or goes on: where it was if the ring will hold that for a while, and is then as far behind as it paused. Else what was
    /// missed is gone: then with headers again at the newest key frame, or the newest sound where there is no picture. Without either
    /// since, nothing was missed.
    #[must_use = "the rest of a half-sent tag must be sent"]
    pub fn pause(&mut self, paused: bool, source: StreamView<'_>, now: Millis) -> Option<Rest> {
        let goes_on = core::mem::replace(&mut self.paused, paused) && !paused;
        let (true, Some(cursor), Some(media)) = (goes_on, self.cursor(), source.media) else { return None };
        if !media.ring().is_nearly_overwritten(cursor) {
            let lag_ms = media.ring().lag_ms(cursor, now);
            self.behind = Behind::on_purpose(if lag_ms > SHORT_PAUSE_MS { lag_ms } else { 0 });
            return None;
        }
        let point = media.skip_target(cursor)?;
        let rest = self.rest();
        self.begin_at(point, media, now);
        rest
    }

    /// Begins anew, as who comes now: its receiver has thrown away what it was sent.
    #[must_use = "the rest of a half-sent tag must be sent"]
    pub fn restart(&mut self, source: StreamView<'_>, gop_cache: bool) -> Option<Rest> {
        let rest = self.rest();
        self.behind = Behind::on_purpose(0);
        if !self.is_waiting() {
            self.phase = Phase::Waiting { after: source.first(gop_cache) };
        }
        rest
    }

    /// Wants audio, or wants none.
    pub fn receive_audio(&mut self, on: bool) {
        self.audio = on;
    }

    /// Wants video, from the next key frame on, or wants none.
    pub fn receive_video(&mut self, on: bool) {
        self.video = match (on, self.video) {
            (false, _) => Want::No,
            (true, Want::No) => Want::Resuming,
            (true, present) => present,
        };
    }

    /// A publish begins, whose first tag will be `first` if the stream has a ring already. Who still has the end of the last one
    /// before it flows over into this one; others begin with its first tag. Returns whether its receiver is to hear of it: who
    /// has not heard that the last one is over does not hear of another.
    pub fn published(&mut self, first: Option<Cursor>) -> bool {
        self.ending = false;
        if let Some(first) = first
            && self.cursor().is_none()
        {
            // It was sent no tag.
            let _ = self.begin_with(first);
        }
        !core::mem::replace(&mut self.knows_of_publish, true)
    }

    /// Goes on with the first tag of a publish, the first picture of which is a key frame.
    #[must_use = "the rest of a half-sent tag must be sent"]
    pub fn begin_with(&mut self, first: Cursor) -> Option<Rest> {
        let rest = self.rest();
        self.behind = Behind::on_purpose(0);
        if self.video != Want::No {
            self.video = Want::Yes;
        }
        self.phase = match self.switching {
            // It is told of its switch behind the headers.
            true => Phase::Waiting { after: None },
            false => Phase::Live { cursor: first },
        };
        rest
    }

    /// The publisher has left: that is due when everything before it was sent, to who knows that there was one.
    pub fn end(&mut self) {
        self.ending = self.knows_of_publish;
    }

    /// What is due. Asked again without having been told what was sent it says the same again, but for [`Due::Skipped`].
    pub fn due<'l>(&mut self, source: StreamView<'l>, terms: &Terms) -> Due<'l> {
        let Some(media) = source.media else {
            // A ring was taken from a stream without a publisher.
            if self.rest().is_some() {
                return Due::TooSlow;
            }
            self.phase = Phase::Waiting { after: None };
            return if self.ending { Due::Ended } else { self.left_out_or(Due::Nothing) };
        };
        loop {
            match self.phase {
                Phase::Waiting { .. } if self.ending => return Due::Ended,
                Phase::Waiting { after } => {
                    let (Some(point), true, false) = (media.join(after), source.published, self.paused) else {
                        return self.left_out_or(Due::Nothing);
                    };
                    self.begin_at(point, media, terms.now);
                }
                Phase::Headers { version, point, .. } if version != media.headers().version() => {
                    // The new ones are not those of the frames at the old point.
                    self.phase = Phase::Waiting { after: Some(point.cursor.seq) };
                }
                Phase::Headers { next, point, .. } if usize::from(next) < media.headers().len() => {
                    return Due::Header(next.into(), point.timestamp);
                }
                Phase::Headers { .. } if self.switching => return Due::Switched,
                Phase::Headers { point, .. } => self.phase = Phase::Live { cursor: point.cursor },
                Phase::Live { cursor } => {
                    if self.is_legacy() {
                        let due = media.is_enhanced_from(cursor);
                        self.enhanced = if due { Enhanced::LegacyDue } else { Enhanced::Legacy };
                    }
                    let due = match cursor.at_tag_boundary() {
                        true => self.due_between_tags(cursor, source, media, terms),
                        false => Some(self.due_within_tag(cursor, media, terms)),
                    };
                    if let Some(due) = due {
                        return due;
                    }
                }
            }
        }
    }

    /// What was due, and is no [`Due::Bytes`] or [`Due::Tag`], was sent or said.
    pub fn taken(&mut self, due: &Due<'_>) {
        match (due, &mut self.phase) {
            (Due::Header(..), Phase::Headers { next, .. }) => *next += 1,
            // A tag of which the header is sent instead.
            (Due::Header(..), Phase::Live { cursor }) => *cursor = Cursor::behind(cursor.seq),
            (Due::Switched, _) => self.switching = false,
            (Due::Ended, phase) => {
                *phase = Phase::Waiting { after: None };
                (self.ending, self.knows_of_publish) = (false, false);
            }
            (Due::LeftOut(_), _) => self.left_out = LeftOut::Told,
            (Due::Header(..), Phase::Waiting { .. }) => debug_assert!(false, "no header was due"),
            (Due::Nothing | Due::Bytes(_) | Due::Tag(..) | Due::Skipped | Due::TooSlow, _) => {}
        }
    }

    /// So many of the bytes that were due were sent.
    pub fn sent(&mut self, media: &Media, bytes: usize) {
        if let Phase::Live { cursor } = &mut self.phase {
            media.ring().advance(cursor, bytes);
        }
    }

    /// So many bytes of the tag that was due, in this frame, were sent.
    pub fn sent_framed(&mut self, frame: &impl Frame, media: &Media, bytes: usize) {
        if let Phase::Live { cursor } = &mut self.phase {
            frame::advance(frame, media.ring(), cursor, bytes);
        }
    }

    /// `None` when it has moved, and has to be looked at again.
    fn due_between_tags<'l>(
        &mut self,
        mut cursor: Cursor,
        source: StreamView<'l>,
        media: &'l Media,
        terms: &Terms,
    ) -> Option<Due<'l>> {
        let Ok(next) = media.ring().tag_at(&mut cursor) else {
            self.phase = Phase::Waiting { after: None };
            // Who pauses is not slow.
            return if self.paused { None } else { Some(self.skipped()) };
        };
        self.phase = Phase::Live { cursor };
        if let Some(tag) = next.filter(|tag| self.is_legacy() && tag.is_enhanced_data()) {
            // A part of it is changed: that is done where it is kept.
            if let Some(index) = media.metadata_index() {
                return Some(Due::Header(index, tag.timestamp));
            }
            self.phase = Phase::Live { cursor: Cursor::behind(tag.seq) };
            return None;
        }
        // Data has no time that headers could be sent with.
        let frame = next.filter(|tag| tag.kind != TagKind::Data);
        if let (Want::Resuming, Some(tag)) = (self.video, frame) {
            if media.headers_changed_after(cursor) {
                // What is due comes before headers that are newer.
                self.phase = Phase::Waiting { after: Some(cursor.seq) };
                return None;
            }
            // Where there are no pictures none is waited for.
            let (picture_later, behind) = (media.has_video(), self.behind);
            self.begin_at(JoinPoint { cursor, timestamp: tag.timestamp, picture_later }, media, terms.now);
            if behind.shift_ms() > 0 {
                self.behind = behind;
            }
            return None;
        }
        if next.is_none() && self.ending {
            return Some(Due::Ended);
        }
        if let Some(point) = self.skip_point(cursor, media, terms) {
            let headers_changed = media.headers_changed_after(cursor);
            self.begin_at(point, media, terms.now);
            if !headers_changed {
                self.phase = Phase::Live { cursor: point.cursor };
            }
            return Some(self.skipped());
        }
        if let LeftOut::Due(codec) = self.left_out {
            return Some(Due::LeftOut(codec));
        }
        if !self.wants_everything() && self.pass_unwanted(cursor, media, terms.knows) {
            return None;
        }
        // What is left of a publish that is over waits for nothing.
        let is_early = source.published && media.ring().lag_ms(cursor, terms.now) < self.shift_ms();
        let Some(tag) = next.filter(|_| !self.paused && !is_early) else { return Some(Due::Nothing) };
        match terms.form {
            Form::Stored { most: 0 } => Some(Due::Nothing),
            Form::Stored { most } if self.wants_everything() => Some(self.bytes(media, most)),
            Form::Stored { .. } | Form::Framed => Some(Due::Tag(tag, 0)),
        }
    }

    /// The rest of a tag is due, and more only to who is not to be moved on behind it.
    fn due_within_tag<'l>(&mut self, cursor: Cursor, media: &'l Media, terms: &Terms) -> Due<'l> {
        let Some(tag) = media.ring().tag(cursor.seq) else { return Due::TooSlow };
        match terms.form {
            Form::Stored { most } if self.wants_everything() => {
                let stops = self.paused || most == 0 || terms.finds_lagging(cursor, media);
                self.bytes(media, if stops { media.ring().rest_of_tag(cursor) } else { most })
            }
            Form::Stored { .. } | Form::Framed => Due::Tag(tag, cursor.offset),
        }
    }

    fn bytes<'l>(&mut self, media: &'l Media, most: usize) -> Due<'l> {
        let Phase::Live { cursor } = &mut self.phase else { return Due::Nothing };
        match media.ring().slices(cursor, most) {
            Ok(slices) => Due::Bytes(slices),
            Err(Evicted::MidTag) => Due::TooSlow,
            // It begins again when it is asked next.
            Err(Evicted::AtBoundary) => Due::Nothing,
        }
    }

    fn left_out_or<'l>(&self, due: Due<'l>) -> Due<'l> {
        match self.left_out {
            LeftOut::Due(codec) => Due::LeftOut(codec),
            LeftOut::No | LeftOut::Told => due,
        }
    }

    /// Begins, or goes on, at `point`: headers first.
    fn begin_at(&mut self, point: JoinPoint, media: &Media, now: Millis) {
        self.video = match self.video {
            Want::No => Want::No,
            Want::Yes | Want::Resuming if !point.picture_later => Want::Yes,
            Want::Yes | Want::Resuming | Want::AtKeyFrame => Want::AtKeyFrame,
        };
        self.behind = Behind::least(media.ring().lag_ms(point.cursor, now));
        self.phase = Phase::Headers { next: 0, version: media.headers().version(), point };
    }

    fn skipped<'l>(&mut self) -> Due<'l> {
        self.behind = Behind::on_purpose(0);
        self.skips = self.skips.saturating_add(1);
        Due::Skipped
    }

    /// Where it goes on that is further behind than it may be. Sound is better than a picture only for who is being overtaken: who
    /// has begun at an old key frame has much to be sent, and gains on the publisher unless it is slow.
    fn skip_point(&mut self, cursor: Cursor, media: &Media, terms: &Terms) -> Option<JoinPoint> {
        // Who is behind on purpose is not slow, but may be overtaken.
        let lags = match self.shift_ms() {
            0 => terms.finds_lagging(cursor, media),
            _ => media.ring().is_nearly_overwritten(cursor),
        };
        if self.paused || !lags {
            return None;
        }
        let point = media.skip_target(cursor)?;
        if point.picture_later && self.shift_ms() == 0 {
            let lag_ms = media.ring().lag_ms(cursor, terms.now);
            let Behind(least_ms) = self.behind;
            let gains = lag_ms <= least_ms.saturating_add(LOSS_MS);
            self.behind = Behind::least(lag_ms.min(least_ms));
            return (!gains).then_some(point);
        }
        Some(point)
    }

    /// Steps over tags that it does not want. Returns whether there were any.
    fn pass_unwanted(&mut self, from: Cursor, media: &Media, knows: Announced) -> bool {
        let mut cursor = from;
        while let Ok(Some(tag)) = media.ring().tag_at(&mut cursor) {
            let passes = !self.wants(&tag, media)
                || self.is_legacy() && tag.flags.enhanced && self.leaves_out(&tag, media, knows);
            if !passes {
                break;
            }
            cursor = Cursor::behind(tag.seq);
        }
        self.phase = Phase::Live { cursor };
        cursor != from
    }

    fn wants(&mut self, tag: &Tag, media: &Media) -> bool {
        match tag.kind {
            // A header that comes meanwhile is needed when audio is wanted again.
            TagKind::Audio => self.audio || tag.flags.header,
            TagKind::Data => true,
            TagKind::Video => {
                if self.video == Want::AtKeyFrame && (tag.flags.key || media.begins_picture(tag.seq)) {
                    self.video = Want::Yes;
                }
                match self.video {
                    Want::Yes => true,
                    Want::No | Want::Resuming => false,
                    // Its headers were sent when it asked for video again; a newer one counts.
                    Want::AtKeyFrame => tag.flags.header,
                }
            }
        }
    }

    /// Whether a receiver who does not know all is sent nothing of the tag. It is to hear of a codec without a form that it knows.
    fn leaves_out(&mut self, tag: &Tag, media: &Media, knows: Announced) -> bool {
        match media.ring().legacy(tag, knows) {
            Legacy::Itself | Legacy::Instead(_) => false,
            Legacy::Nothing => true,
            Legacy::NoForm => {
                if self.left_out == LeftOut::No {
                    let mut prefix = [0; CLASSIFY_BYTES];
                    let read = media.ring().payload_prefix(tag.seq, &mut prefix);
                    let class = match tag.kind {
                        TagKind::Video => flv::video(&prefix[..read], tag.length),
                        _ => flv::audio(&prefix[..read], tag.length),
                    };
                    self.left_out = LeftOut::Due(class.codec);
                }
                true
            }
        }
    }
}

impl Terms {
    fn finds_lagging(&self, cursor: Cursor, media: &Media) -> bool {
        self.most_lag_ms.is_some_and(|most_lag_ms| lags(cursor, media, most_lag_ms, self.now))
    }
}

/// Whether a reader at `cursor` is further behind than it may be or is about to be overtaken, and there is something ahead to go on at.
pub fn lags(cursor: Cursor, media: &Media, most_lag_ms: u64, now: Millis) -> bool {
    let ring = media.ring();
    let is_behind = u64::from(ring.lag_ms(cursor, now)) > most_lag_ms || ring.is_nearly_overwritten(cursor);
    is_behind && media.skip_target(cursor).is_some()
}

#[cfg(test)]
mod tests;
