//! What the server itself publishes: a script's `stream.play(name, start, length, reset)` puts a recorded stream, or another one
//! that is live, on a stream of its instance.
//!
//! A recorded stream is read as for any player ([`crate::features::recorded`]): with its playlist, and a place of
//! `limits.recorded_players`. But what is due goes to a ring, frame by frame at its time, and from there on nobody can tell it from a
//! client's publish. What is live is a [`Reader`](crate::live::reader::Reader) of its stream, whose tags go to the ring as they come. The time of the stream goes
//! on from one to the next, as it does when an encoder comes back.

use log::info;

use crate::features::recorded::{PlayedLength, PlaylistItem, RecordedClient};
use crate::handles::AppId;
use crate::limits::{BROADCASTS, PROGRAMMES};
use crate::live::feed::{Feed, FeedSource};
use crate::live::holder::Publisher;
use crate::live::publish::Published;
use crate::live::recorded::{NotPlayed, RecordedFacts, RecordedId};
use crate::name::{DEFAULT_INSTANCE, StreamName, StreamPath};
use crate::rtmp::status::Code;
use crate::text::cut;
use crate::time::Millis;
use crate::wire::script_link::ToHost;

use super::Server;
use super::broadcasts::{Broadcast, ScriptPlay, holder};
use super::close::CloseReason;
use super::instances::InstanceIndex;
use super::recorded::refusal;
use super::refusals;

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
            && let Some(FeedSource::Recorded { id, .. }) = self.feed_place(holder(n)).map(|feed| feed.source)
        {
            if !self.features.recorded.queue(id, playlist_item) {
                self.tell_script(index, &name, Code::PlayFailed, item, now);
            }
            return;
        }
        let place =
            before.or_else(|| self.scripting.broadcasts.all.iter().position(Option::is_none).map(|at| at as u16));
        let Some(n) = place else { return self.tell_script(index, &name, Code::PlayFailed, item, now) };
        let source = match live {
            Some(from) if !self.plays_itself(app, &path, &from) => {
                let length_ms = (how.length_s > 0.0).then(|| ms(how.length_s));
                let reader = self.live.play(holder(n), app, &from, &self.settings, now).ok();
                reader.map(|reader| FeedSource::Live { reader, length_ms })
            }
            Some(_) => None,
            None => {
                let client = RecordedClient { by: holder(n), message_stream_id: 1, legacy: false, most_lead_ms: 0 };
                let opened = self.features.recorded.open(client, playlist_item, None, None, now).ok();
                opened.map(|id| FeedSource::Recorded { id, begun: None })
            }
        };
        let Some(source) = source else { return self.tell_script(index, &name, Code::PlayFailed, item, now) };
        let is_live = matches!(source, FeedSource::Live { .. });
        let published = self.scripting.broadcasts.get(n).and_then(|one| one.feed.stream);
        self.drop_source(holder(n), now);
        let one = Broadcast { instance: index, name, path, item: kept, feed: Feed::new(published, source) };
        self.scripting.broadcasts.all[usize::from(n)] = Some(one);
        if is_live {
            self.begin_broadcast(n, now);
        }
    }

    /// Whether one of them would play what it publishes itself, over however many others, and over inputs of programmes.
    fn plays_itself(&self, app: AppId, path: &StreamPath, from: &StreamPath) -> bool {
        let path = self.published_path(app, path.clone());
        self.is_made_of(app, from, &path, BROADCASTS + PROGRAMMES + 1)
    }

    /// Whether a stream is that one, or is made of it over fewer than so many others: over more it is in a circle.
    fn is_made_of(&self, app: AppId, stream: &StreamPath, of: &StreamPath, most: usize) -> bool {
        if stream == of || most == 0 {
            return true;
        }
        let is_of = |from: &StreamPath| self.is_made_of(app, from, of, most - 1);
        let id = self.live.names.find(app, stream);
        let played = id.and_then(|id| self.scripting.broadcasts.that(|one| one.feed.stream == Some(id)));
        if let Some(one) = played.and_then(|n| self.scripting.broadcasts.get(n)) {
            return match one.feed.source {
                FeedSource::Live { reader, .. } => is_of(&self.live.names.stream(reader.stream()).path),
                FeedSource::Nothing | FeedSource::Recorded { .. } => false,
            };
        }
        let main = self.published_path(app, stream.clone());
        let Some(definition) = self.live.apps.definition(app).filter(|_| main != *stream) else { return false };
        let programme = definition.programmes.iter().find(|one| one.name == stream.as_str());
        let backup = programme.and_then(|one| definition.path(DEFAULT_INSTANCE, one.backup.as_deref()?).ok());
        is_of(&main) || backup.is_some_and(|backup| is_of(&backup))
    }

    /// The disk has said what there is.
    pub(super) fn broadcast_opened(
        &mut self,
        n: u16,
        id: RecordedId,
        found: Result<RecordedFacts, NotPlayed>,
        now: Millis,
    ) {
        let Some(FeedSource::Recorded { id: own, .. }) = self.scripting.broadcasts.get(n).map(|one| one.feed.source)
        else {
            return self.features.recorded.free(id);
        };
        if own != id {
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
                        self.feed_recorded(holder(n), now);
                    }
                    false => self.end_broadcast(n, Some(code), now),
                }
            }
        }
    }

    /// What it plays is there: it is published from now on, in the place of whoever publishes that name. False when it cannot be.
    fn begin_broadcast(&mut self, n: u16, now: Millis) -> bool {
        let Some(one) = self.scripting.broadcasts.get(n) else { return false };
        let (path, index, published) = (one.path.clone(), one.instance, one.feed.stream);
        if published.is_none() {
            let Some(app) = self.scripting.instances.instance(index).map(|instance| instance.app) else { return false };
            if self.features.programmes.with_main(app, path.as_str()).is_some() {
                // No more than a client's publish, it goes there by the name of the programme.
                self.end_broadcast(n, Some(Code::PlayFailed), now);
                return false;
            }
            let path = self.published_path(app, path);
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
                one.feed.stream = Some(id);
            }
            self.hear(now);
        }
        self.tell_of_broadcast(n, Code::PlayStart, now);
        true
    }

    /// It ends, and its script hears that with the code.
    pub(super) fn end_broadcast(&mut self, n: u16, code: Option<Code>, now: Millis) {
        self.drop_source(holder(n), now);
        if let Some(code) = code {
            self.tell_of_broadcast(n, code, now);
        }
        let Some(one) = self.scripting.broadcasts.all.get_mut(usize::from(n)).and_then(Option::take) else { return };
        if let Some(stream) = one.feed.stream {
            self.publish_ended(holder(n), stream, now);
        }
    }

    /// All of an instance end with it.
    pub(super) fn end_broadcasts_of(&mut self, index: InstanceIndex, now: Millis) {
        while let Some(n) = self.scripting.broadcasts.that(|one| one.instance == index) {
            self.end_broadcast(n, None, now);
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
}
