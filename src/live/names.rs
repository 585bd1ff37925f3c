//! Stream names, and the rings that published streams use.

use std::boxed::Box;

use crate::bitset::BitSet;
use crate::handles::{AppId, RingId, StreamId};
use crate::limits::{NAMES_PER_RING, TAGS_PER_RING};
use crate::media::{self, TagMeta, Timeline};
use crate::name::StreamPath;
use crate::time::Millis;

use super::holder::{Holder, Publisher};
use super::news::StreamNews;
use super::rate::Rate;
use super::refusal::NoStream;
use super::settings::Settings;
use super::symptoms::MinuteCount;
use super::trouble::{Seen, Trouble};

/// The media half of a stream, on storage obtained at start.
pub type Media = media::MediaStream<Box<[u8]>, Box<[TagMeta]>>;

/// A publisher who wants a name that another one holds.
#[derive(Clone, Copy, Debug)]
pub struct Challenger {
    /// Who.
    pub who: Publisher,
    /// When the holder loses it, if it gives no sign of life.
    pub deadline: Millis,
}

/// A stream name that is published, played or waited for.
pub struct Stream {
    /// The application.
    pub app: AppId,
    /// What it is called there.
    pub path: StreamPath,
    /// See [`Stream::publisher`].
    publisher: Option<Publisher>,
    /// The newcomer that wants to publish it.
    pub(super) challenger: Option<Challenger>,
    /// Slots with at least one player of it. It is the connections that know what they play; this says which of them are to be
    /// looked at when the stream has something for its players, of which nobody may search a table.
    pub players: BitSet<Box<[u64]>>,
    /// How many parts of the server play it.
    features: u16,
    /// Its ring, from the first media of its first publish on.
    pub ring: Option<RingId>,
    /// When the present publish began, or the last one ended.
    pub since: Millis,
    /// The last publisher may come back until then, before players are told that it left.
    pub(super) grace_until: Option<Millis>,
    /// When audio or video last came from the present publisher, or its publish began.
    pub(super) media_at: Millis,
    /// Audio or video has come in the present publish.
    pub(super) has_media: bool,
    /// That none comes has been told since.
    pub(super) idle_told: bool,
    /// The present publish has been described in the log.
    pub described: bool,
    /// Its time while it has no ring, so that players who stay never see it go back.
    pub time: Timeline,
    /// What goes wrong with the present publish.
    pub trouble: Trouble,
    /// How often somebody was refused the name lately because another one publishes under it.
    pub contests: MinuteCount,
    /// Bytes that the players of the present or the last publish were sent.
    pub sent_bytes: u64,
    /// How fast they grow.
    pub sent: Rate,
    /// One of its data messages was too long, which has been said.
    pub complained_of_data: bool,
    /// One of its headers was not kept, which has been said.
    pub complained_of_headers: bool,
    /// What of it nobody has heard.
    pub(super) news: StreamNews,
    used: bool,
}

/// When a publisher counts as silent.
#[derive(Clone, Copy, Debug)]
pub struct Silence {
    /// The time.
    pub now: Millis,
    /// For how long it may send neither audio nor video, once it has begun to, in milliseconds.
    pub patience_ms: u64,
}

/// Without audio and video for so long a publisher's ring is free for others, in milliseconds, where `publish_idle_ms` is 0.
const SILENCE_MS: u64 = 10_000;

impl Silence {
    /// As the settings have it.
    pub fn of(settings: &Settings, now: Millis) -> Silence {
        let patience_ms = match settings.publish_idle_ms {
            0 => SILENCE_MS,
            patience_ms => patience_ms,
        };
        Silence { now, patience_ms }
    }
}

impl Stream {
    /// Who publishes it. It changes by [`Names`] alone, which counts them.
    pub fn publisher(&self) -> Option<Publisher> {
        self.publisher
    }

    /// Who waits for its name.
    pub fn challenger(&self) -> Option<Challenger> {
        self.challenger
    }

    /// Its publisher has left and may come back, which players are not told before.
    pub fn is_away(&self) -> bool {
        self.grace_until.is_some()
    }

    /// Audio or video comes from its publisher. Whether it has before, in the present publish.
    pub fn media_comes(&mut self, now: Millis) -> bool {
        let had_media = core::mem::replace(&mut self.has_media, true);
        (self.media_at, self.idle_told) = (now, false);
        had_media
    }

    /// Whether it has come in the present publish.
    pub fn has_media(&self) -> bool {
        self.has_media
    }

    /// For how long none has come in the present publish, in milliseconds.
    pub fn silent_ms(&self, now: Millis) -> u64 {
        now.since(self.media_at)
    }

    /// It has no publisher, challenger or player, and nobody is to hear of it.
    fn is_unused(&self) -> bool {
        let played = !self.players.is_empty() || self.features > 0;
        self.publisher.is_none() && self.challenger.is_none() && !played && self.news.is_none()
    }

    /// It is kept only for a publisher who may come back: its place is free for other names.
    fn is_left(&self) -> bool {
        self.is_away() && self.is_unused()
    }

    /// It is published, and no audio or video has come in this publish, or none for too long.
    fn is_silent(&self, Silence { now, patience_ms }: Silence) -> bool {
        self.publisher.is_some() && (!self.has_media || self.silent_ms(now) > patience_ms)
    }
}

/// A ring was taken from a stream.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// Which.
    pub from: StreamId,
    /// Metadata or sequence headers of its present or last publish have gone with it.
    pub had_headers: bool,
}

/// The tables.
pub struct Names {
    streams: Box<[Stream]>,
    rings: Box<[Media]>,
    /// The stream that a ring is bound to.
    owners: Box<[Option<StreamId>]>,
    /// Streams that are published: each merge window asks whether there is one.
    publishers: u32,
}

impl Names {
    /// Tables for `rings` published streams of `ring_bytes` each, in which `connections` slots can play. Every page of
    /// the rings is touched, so that the kernel cannot find later that it has none.
    pub fn new(rings: usize, ring_bytes: usize, connections: usize) -> Names {
        let words = connections.div_ceil(64);
        let stream = || Stream {
            app: AppId(0),
            path: StreamPath::default(),
            publisher: None,
            challenger: None,
            players: BitSet::new(vec![0; words].into_boxed_slice()),
            features: 0,
            ring: None,
            since: Millis(0),
            grace_until: None,
            media_at: Millis(0),
            has_media: false,
            idle_told: false,
            described: false,
            time: Timeline::new(),
            trouble: Trouble::default(),
            contests: MinuteCount::default(),
            sent_bytes: 0,
            sent: Rate::default(),
            complained_of_data: false,
            complained_of_headers: false,
            news: StreamNews::default(),
            used: false,
        };
        let media = || {
            // Not zero: a zeroed allocation would be mapped to no memory at all.
            let bytes = vec![0xA5; ring_bytes].into_boxed_slice();
            media::MediaStream::new(bytes, vec![TagMeta::EMPTY; TAGS_PER_RING].into_boxed_slice())
        };
        Names {
            streams: core::iter::repeat_with(stream).take(rings * NAMES_PER_RING).collect(),
            rings: core::iter::repeat_with(media).take(rings).collect(),
            owners: vec![None; rings].into_boxed_slice(),
            publishers: 0,
        }
    }

    /// Segments of HLS last so many milliseconds at least, from now on.
    pub fn set_segment_ms(&mut self, least_ms: u32) {
        self.rings.iter_mut().for_each(|media| media.segments_mut().set_least_ms(least_ms));
    }

    /// Bytes of one name's entry with its set of players.
    pub fn name_bytes(connections: usize) -> usize {
        size_of::<Stream>() + connections.div_ceil(64) * 8
    }

    /// Bytes of one ring without its media bytes: tag index and header cache.
    pub fn ring_overhead_bytes() -> usize {
        size_of::<Media>() + size_of::<Option<StreamId>>() + TAGS_PER_RING * size_of::<TagMeta>()
    }

    /// A stream.
    pub fn stream(&self, id: StreamId) -> &Stream {
        &self.streams[usize::from(id.0)]
    }

    /// A stream, to change.
    pub fn stream_mut(&mut self, id: StreamId) -> &mut Stream {
        &mut self.streams[usize::from(id.0)]
    }

    /// Every stream in use.
    pub fn streams(&self) -> impl Iterator<Item = (StreamId, &Stream)> {
        self.streams.iter().enumerate().filter(|(_, s)| s.used).map(|(at, s)| (StreamId(at as u16), s))
    }

    /// The first stream in use at place `from` or behind it.
    pub fn next_stream(&self, from: usize) -> Option<StreamId> {
        self.next_stream_that(from, |_| true)
    }

    /// The first stream in use, at place `from` or behind it, that is as wanted.
    pub fn next_stream_that(&self, from: usize, wanted: impl Fn(&Stream) -> bool) -> Option<StreamId> {
        let behind = self.streams.get(from..)?;
        behind.iter().position(|stream| stream.used && wanted(stream)).map(|at| StreamId((from + at) as u16))
    }

    /// The first stream of which something is to be heard.
    pub(super) fn next_news(&mut self) -> Option<(StreamId, &mut StreamNews)> {
        let id = self.next_stream_that(0, |stream| !stream.news.is_none())?;
        Some((id, &mut self.stream_mut(id).news))
    }

    /// How many places the table of names has: ids are below it.
    pub fn name_count(&self) -> usize {
        self.streams.len()
    }

    /// Streams that are published.
    pub fn publishers(&self) -> u32 {
        self.publishers
    }

    /// The stream, which nobody publishes, is published now.
    pub(super) fn publish(&mut self, id: StreamId, who: Publisher, now: Millis) {
        let stream = self.stream_mut(id);
        stream.publisher = Some(who);
        stream.time.republish();
        (stream.since, stream.grace_until, stream.described) = (now, None, false);
        (stream.media_at, stream.has_media, stream.idle_told) = (now, false, false);
        (stream.complained_of_data, stream.complained_of_headers) = (false, false);
        stream.trouble = Trouble::none(now);
        (stream.sent_bytes, stream.sent) = (0, Rate::from(now));
        self.publishers += 1;
    }

    /// The stream is published no more.
    pub(super) fn unpublish(&mut self, id: StreamId, now: Millis) {
        let stream = self.stream_mut(id);
        (stream.publisher, stream.since) = (None, now);
        self.publishers -= 1;
    }

    /// `by` plays the stream. A connection counts once, with however many of its streams it does.
    pub(super) fn add_player(&mut self, id: StreamId, by: Holder) {
        let stream = self.stream_mut(id);
        match by {
            Holder::Conn(conn, _) => {
                stream.players.insert(conn.slot.at());
            }
            Holder::Feature(..) => stream.features += 1,
        }
    }

    /// `by` plays the stream no more.
    pub(super) fn remove_player(&mut self, id: StreamId, by: Holder) {
        let stream = self.stream_mut(id);
        match by {
            Holder::Conn(conn, _) => {
                stream.players.remove(conn.slot.at());
            }
            Holder::Feature(..) => stream.features -= 1,
        }
    }

    /// Looks how fast it goes what players are sent.
    pub fn measure(&mut self, now: Millis) {
        for stream in self.streams.iter_mut().filter(|stream| stream.used) {
            stream.sent.look(stream.sent_bytes, now);
        }
    }

    /// A stream that is published was looked at: the log hears what goes wrong.
    pub fn look(&mut self, id: StreamId, seen: &Seen, now: Millis) {
        let stream = self.stream_mut(id);
        let Some(publisher) = stream.publisher else { return };
        let who = (publisher.by, id, stream.path.as_str());
        if stream.trouble.look(who, &mut stream.contests, seen, now)
            && let Some((_, media)) = self.with_media(id)
        {
            media.watch_anew();
        }
    }

    /// A stream with its media, if it has a ring.
    pub fn with_media(&mut self, id: StreamId) -> Option<(&mut Stream, &mut Media)> {
        let stream = &mut self.streams[usize::from(id.0)];
        let ring = stream.ring?;
        Some((stream, &mut self.rings[usize::from(ring.0)]))
    }

    /// A ring.
    pub fn media(&self, ring: RingId) -> &Media {
        &self.rings[usize::from(ring.0)]
    }

    /// Bytes that the fullest of the rings in use holds.
    pub fn fullest_ring_bytes(&self) -> u64 {
        let held = self.streams().filter_map(|(_, stream)| Some(self.media(stream.ring?).ring().held_bytes()));
        held.max().unwrap_or(0)
    }

    /// The stream of that name, if it is in use.
    pub fn find(&self, app: AppId, path: &StreamPath) -> Option<StreamId> {
        let same = |s: &Stream| s.used && s.app == app && s.path == *path;
        self.streams.iter().position(same).map(|at| StreamId(at as u16))
    }

    /// The stream of that name, put into the table if it is not there: for a player who waits for it.
    pub fn find_or_wait(&mut self, app: AppId, path: &StreamPath, now: Millis) -> Result<StreamId, NoStream> {
        if let Some(id) = self.find(app, path) {
            return Ok(id);
        }
        let waited_on = self.streams().filter(|(_, stream)| stream.publisher.is_none() && !stream.is_left()).count();
        if waited_on + self.rings.len() >= self.streams.len() {
            return Err(NoStream::Names);
        }
        self.add(app, path, now)
    }

    /// The name that must go so that `newcomer` can publish another: `None` when a place is free. That which has been
    /// without a publisher longest, else that of another connection which has been published longest without media, of
    /// those first that are the newcomer's household's own. What a part of the server publishes or plays stays.
    pub(super) fn name_to_give_up(&self, newcomer: Publisher, silence: Silence) -> Option<StreamId> {
        if self.streams.iter().any(|stream| !stream.used || stream.is_left()) {
            return None;
        }
        let goes = |stream: &Stream| match stream.publisher {
            Some(holder) => stream.is_silent(silence) && !holder.by.is_with(newcomer.by) && holder.by.conn().is_some(),
            None => stream.features == 0,
        };
        let rank = |stream: &Stream| (stream.publisher.map(|holder| holder.home != newcomer.home), stream.since);
        let names = self.streams().filter(|(_, stream)| goes(stream));
        names.min_by_key(|(_, stream)| rank(stream)).map(|(id, _)| id)
    }

    /// Puts a name that is not there into the table: for a publisher.
    pub fn add(&mut self, app: AppId, path: &StreamPath, now: Millis) -> Result<StreamId, NoStream> {
        let at = match self.streams.iter().position(|stream| !stream.used) {
            Some(free) => free,
            None => {
                let left = self.streams().filter(|(_, stream)| stream.is_left());
                let (id, _) = left.min_by_key(|(_, stream)| stream.since).ok_or(NoStream::Rings)?;
                self.forget(id);
                usize::from(id.0)
            }
        };
        let stream = &mut self.streams[at];
        stream.used = true;
        stream.app = app;
        stream.path = path.clone();
        stream.since = now;
        stream.time = Timeline::new();
        (stream.challenger, stream.ring, stream.grace_until) = (None, None, None);
        stream.contests = MinuteCount::default();
        Ok(StreamId(at as u16))
    }

    /// Whether `bind_ring` would find one.
    pub fn has_ring(&self, silence: Silence) -> bool {
        self.owners.iter().any(Option::is_none) || self.ring_to_give_up(silence, None).is_some()
    }

    /// The stream whose ring is given to another one, when none is free: the one which has been without a publisher
    /// longest, else without media in its present publish, else silent for too long; of those first that are of the
    /// `newcomer`'s household.
    fn ring_to_give_up(&self, silence: Silence, newcomer: Option<Publisher>) -> Option<StreamId> {
        let goes = |stream: &Stream| stream.publisher.is_none() || stream.is_silent(silence);
        let rank = |stream: &Stream| {
            let of_another = |holder: Publisher| newcomer.is_none_or(|newcomer| holder.home != newcomer.home);
            let published = stream.publisher.map(|holder| (stream.has_media, of_another(holder)));
            (published, stream.since)
        };
        let rings = self.streams().filter(|(_, stream)| stream.ring.is_some() && goes(stream));
        rings.min_by_key(|(_, stream)| rank(stream)).map(|(id, _)| id)
    }

    /// Gives a stream without a ring a free one, else another stream's, and returns that stream. Its time goes on.
    ///
    /// # Errors
    ///
    /// [`NoStream::Rings`].
    pub(super) fn bind_ring(&mut self, id: StreamId, silence: Silence) -> Result<(RingId, Option<Taken>), NoStream> {
        let (ring, from) = match self.owners.iter().position(Option::is_none) {
            Some(free) => (RingId(free as u16), None),
            None => {
                let other = self.ring_to_give_up(silence, self.stream(id).publisher).ok_or(NoStream::Rings)?;
                let ring = self.stream_mut(other).ring.take().ok_or(NoStream::Rings)?;
                self.stream_mut(other).time = self.media(ring).time();
                let had_headers = !self.media(ring).headers().is_empty();
                (ring, Some(Taken { from: other, had_headers }))
            }
        };
        self.owners[usize::from(ring.0)] = Some(id);
        let time = self.stream(id).time;
        let media = &mut self.rings[usize::from(ring.0)];
        media.clear(silence.now);
        media.set_time(time);
        self.stream_mut(id).ring = Some(ring);
        Ok((ring, from))
    }

    /// Takes the stream out of the table when it is not published, played or waited for, and its publisher is not expected
    /// back.
    pub fn release_if_unused(&mut self, id: StreamId) {
        let stream = &self.streams[usize::from(id.0)];
        if stream.is_unused() && stream.grace_until.is_none() {
            self.forget(id);
        }
    }

    /// Takes every stream of an application that has gone out of the table. It has no clients any more.
    pub fn forget_app(&mut self, app: AppId) {
        let mut from = 0;
        while let Some(id) = self.next_stream(from) {
            from = usize::from(id.0) + 1;
            if self.stream(id).app == app {
                debug_assert!(self.stream(id).is_unused(), "an application goes after its last client");
                self.forget(id);
            }
        }
    }

    fn forget(&mut self, id: StreamId) {
        let stream = &mut self.streams[usize::from(id.0)];
        (stream.used, stream.grace_until) = (false, None);
        if let Some(ring) = stream.ring.take() {
            self.owners[usize::from(ring.0)] = None;
        }
    }
}
