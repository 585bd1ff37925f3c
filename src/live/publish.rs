//! Publishing: the name, the ring, and what is left behind.
//!
//! A ring is bound by media, not by the intention to send some. A publisher has one from its first audio, video or data message
//! on, and loses it only to a publisher with media: as many silent publishers as there are rings keep no encoder out. A publisher
//! that loses metadata or headers with its ring has to begin anew. Where several could lose theirs, those of the newcomer's own
//! household go first, so that a stranger who comes again and again replaces only itself.

use log::info;

use crate::handles::{AppId, RingId, StreamId};
use crate::media::PublishFacts;
use crate::name::StreamPath;
use crate::time::Millis;

use super::Live;
use super::holder::{Holder, Publisher};
use super::names::{Silence, Taken};
use super::news::News;
use super::refusal::{NoStream, Refusal};
use super::settings::Settings;

/// What became of the wish to publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// It publishes from now on, which is news to itself, too.
    Begun(StreamId),
    /// It does already.
    Already(StreamId),
    /// It waits, for the name is another one's, who was asked for a sign of life.
    Waits(StreamId),
}

impl Live {
    /// The stream that has to make way so that `newcomer` can publish another, if one has: its players are to be turned out, and
    /// who publishes it sends no media and is to go.
    pub fn must_make_way(
        &self,
        newcomer: Publisher,
        app: AppId,
        path: &StreamPath,
        settings: &Settings,
        now: Millis,
    ) -> Option<StreamId> {
        let silence = Silence::of(settings, now);
        let in_vain = self.names.find(app, path).is_some() || !self.names.has_ring(silence);
        if in_vain { None } else { self.names.name_to_give_up(newcomer, silence) }
    }

    /// `who`, whom the gate has let through, publishes the stream, or waits for its name.
    ///
    /// # Errors
    ///
    /// [`Refusal::Taken`], [`Refusal::Own`] and [`Refusal::NoStream`].
    pub fn publish(
        &mut self,
        who: Publisher,
        app: AppId,
        path: &StreamPath,
        settings: &Settings,
        now: Millis,
    ) -> Result<Published, Refusal> {
        let id = match self.names.find(app, path) {
            Some(id) => id,
            None => self.names.add(app, path, now)?,
        };
        match self.names.stream(id).publisher() {
            None => match self.begin(who, id, settings, now) {
                Ok(()) => Ok(Published::Begun(id)),
                Err(refusal) => {
                    self.names.release_if_unused(id);
                    Err(refusal)
                }
            },
            Some(holder) if holder.by == who.by => Ok(Published::Already(id)),
            Some(holder) if holder.by.is_with(who.by) => Err(Refusal::Own),
            Some(holder) => match self.challenge(who, holder, id, settings, now) {
                Ok(()) => Ok(Published::Waits(id)),
                Err(refusal) => {
                    self.names.stream_mut(id).contests.add(1);
                    Err(refusal)
                }
            },
        }
    }

    /// The name is free: `who` publishes it, which is news. Players who were not told that the last publisher left need not know.
    fn begin(&mut self, who: Publisher, id: StreamId, settings: &Settings, now: Millis) -> Result<(), Refusal> {
        if self.names.stream(id).ring.is_none() && !self.names.has_ring(Silence::of(settings, now)) {
            return Err(NoStream::Rings.into());
        }
        // A publisher without a ring gets one with its first media.
        if let Some((_, media)) = self.names.with_media(id) {
            media.republish(now);
        }
        self.names.publish(id, who, now);
        self.holders_change();
        self.happens(id, News::Began);
        Ok(())
    }

    /// `by` publishes the stream no more, which is news if that it did was heard, or waits for its name no more.
    ///
    /// Who waits for the name gets it. Else players stay, and are told when no publisher came in time: at once when the server
    /// is `stopping`.
    pub fn leave(&mut self, by: Holder, id: StreamId, settings: &Settings, stopping: bool, now: Millis) {
        self.is_gone(id, by);
        let stream = self.names.stream_mut(id);
        if stream.challenger.take_if(|challenger| challenger.who.by == by).is_some() {
            self.holders_change();
            self.forget_challenge(id);
            self.names.release_if_unused(id);
            return;
        }
        if stream.publisher().is_none_or(|publisher| publisher.by != by) {
            return;
        }
        let seconds = now.since(stream.since) / 1000;
        let facts = self.names.with_media(id).map_or_else(PublishFacts::default, |(_, media)| {
            media.unpublish(now);
            media.facts()
        });
        let was_heard = self.forget_news(id) != Some(News::Began);
        self.names.unpublish(id, now);
        self.holders_change();
        let stream = self.names.stream_mut(id);
        if was_heard {
            let (name, players, PublishFacts { tags, bytes, .. }) = (stream.path.as_str(), stream.players.len(), facts);
            self.unheard.news = true;
            stream.news.ended = Some(by);
            info!("{by} {id} publish stop name={name:?} seconds={seconds} tags={tags} bytes={bytes} players={players}");
        }
        if let Some(challenger) = stream.challenger.take()
            && let Err(refusal) = self.begin(challenger.who, id, settings, now)
        {
            self.refuse(id, challenger.who.by, refusal);
        }
        if self.names.stream(id).publisher().is_none() {
            let app = self.apps.definition(self.names.stream(id).app);
            let own_grace_ms = app.and_then(|app| app.limits.unpublish_grace_ms);
            let grace_ms = own_grace_ms.unwrap_or(settings.unpublish_grace_ms);
            match grace_ms == 0 || stopping {
                true => self.is_left(id),
                false => self.names.stream_mut(id).grace_until = Some(now + grace_ms),
            }
        }
    }

    /// The first stream, at `from` or behind it, whose last publisher is not back in time. It is not waited for any longer.
    pub fn expire_grace(&mut self, from: usize, now: Millis) -> Option<StreamId> {
        let over = |until: Millis| until <= now;
        let id = self.names.next_stream_that(from, |stream| stream.grace_until.is_some_and(over))?;
        self.names.stream_mut(id).grace_until = None;
        self.is_left(id);
        Some(id)
    }

    /// The last publisher is not waited for.
    fn is_left(&mut self, id: StreamId) {
        if let Some((_, media)) = self.names.with_media(id) {
            media.end_for_good();
        }
        self.happens(id, News::Left);
    }

    /// The first stream, at `from` or behind it, whose publisher has sent neither audio nor video for `publish_idle_ms`. That is
    /// told once, until media comes back.
    pub fn expire_media(&mut self, from: usize, settings: &Settings, now: Millis) -> Option<StreamId> {
        let patience_ms = settings.publish_idle_ms;
        if patience_ms == 0 || self.names.publishers() == 0 {
            return None;
        }
        let id = self.names.next_stream_that(from, |stream| {
            stream.publisher().is_some() && !stream.idle_told && stream.silent_ms(now) > patience_ms
        })?;
        self.names.stream_mut(id).idle_told = true;
        self.happens(id, News::Idle);
        Some(id)
    }

    /// The stream has media and no ring: it gets one, perhaps another one's.
    ///
    /// # Errors
    ///
    /// [`NoStream::Rings`]: every ring is in use by others who send media.
    pub fn bind_ring(&mut self, id: StreamId, settings: &Settings, now: Millis) -> Result<RingId, NoStream> {
        let (ring, taken) = self.names.bind_ring(id, Silence::of(settings, now))?;
        if let Some(Taken { from, had_headers }) = taken
            && self.names.stream(from).publisher().is_some()
        {
            let anew = had_headers || self.names.stream(from).has_media;
            self.happens(from, News::Robbed { to: id, anew });
        }
        Ok(ring)
    }
}
