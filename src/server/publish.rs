//! Publishing: permission, the name, and what players are told.

use log::{info, warn};

use crate::features::script::Access;
use crate::handles::{AppId, ConnId, StreamId};
use crate::live::app::{AppKind, Refusal, without_keys};
use crate::live::names::{Exhausted, Holder, Stream};
use crate::live::reader::PlayPhase;
use crate::live::trouble::Trouble;
use crate::media::{Cursor, StreamFacts};
use crate::name::{StreamName, StreamPath};
use crate::rtmp::event::{Decision, NetStreamId, PublishMode, Request};
use crate::rtmp::status::{Code, Status};
use crate::text::Word;
use crate::time::Millis;

use super::Server;
use super::close::{CloseReason, StreamRefusal};
use super::slots::Role;

/// The description of a refusal when the application's script gave the client no right to publish.
const NO_WRITE_ACCESS: &str = "The application gives this client no write access.";

impl Server {
    pub(super) fn publish(
        &mut self,
        conn: ConnId,
        net_stream: NetStreamId,
        name: &StreamName,
        mode: PublishMode,
        now: Millis,
    ) {
        let Some((slot, rtmp)) = self.slots.client(conn) else { return };
        let Some(app) = slot.app else { return };
        let role = rtmp.roles[net_stream.index()];
        if self.live.apps.definition(app).is_none_or(|app| app.kind == AppKind::Vod) {
            let description = "This application plays recordings; publish to another one, such as live.";
            let status = Status::new(Code::PublishBadName, &name.name).described(description);
            return self.refuse_publish(conn, status, StreamRefusal::NotLive, now);
        }
        if mode != PublishMode::Live {
            let description = "Recording is not available; publish with type live.";
            let status = Status::new(Code::RecordNoAccess, &name.name).described(description);
            return self.decide(conn, Decision::Reject(status));
        }
        let path = match self.may_publish(conn, app, name) {
            Ok(path) => path,
            Err(refusal) => {
                // What was typed may be a secret with a mistake in it: it is not repeated.
                let status = Status::new(Code::PublishBadName, "").described(refusal.description());
                return self.refuse_publish(conn, status, StreamRefusal::Rule(refusal), now);
            }
        };
        let Some((_, rtmp)) = self.slots.look_client(conn) else { return };
        // What the client calls it, unless it said a key.
        let name = rtmp.session.own_name(&path);
        if !self.script_allows(conn, Access::Write, name) {
            let status = Status::new(Code::PublishBadName, name).described(NO_WRITE_ACCESS);
            return self.refuse_publish(conn, status, StreamRefusal::Script, now);
        }
        let found = self.live.names.find(app, &path);
        if let Some(holder) = found.and_then(|id| self.live.names.stream(id).publisher)
            && holder.conn == conn
        {
            // Said twice: once more the answer, and the stream goes on. So it does when another net stream wants it.
            let decision = match usize::from(holder.lane) == net_stream.index() {
                true => Decision::Accept,
                false => Decision::Reject(Status::new(Code::PublishBadName, name)),
            };
            return self.decide(conn, decision);
        }
        if let Role::Publishing(_) = role {
            self.end_net_stream(conn, net_stream);
        }
        // Looked for again: the end of what it published may have freed the name's place.
        let id = match self.live.names.find(app, &path) {
            Some(id) => id,
            None => {
                if self.has_ring(now) {
                    self.make_room_for_name(conn, now);
                }
                match self.live.names.add(app, &path, now) {
                    Ok(id) => id,
                    Err(exhausted) => return self.refuse_for_room(conn, &path, exhausted, now),
                }
            }
        };
        let by = Holder { conn, lane: net_stream.index() as u8 };
        match self.live.names.stream(id).publisher {
            None => self.start_publish(by, id, now),
            Some(holder) => self.challenge(by, holder, id, now),
        }
    }

    /// What the client means to publish, if the application's rules let it.
    fn may_publish(&mut self, conn: ConnId, app: AppId, name: &StreamName) -> Result<StreamPath, Refusal> {
        let Some((slot, rtmp)) = self.slots.client(conn) else { return Err(Refusal::PublishAddress) };
        let Some(definition) = self.live.apps.definition(app) else { return Err(Refusal::PublishAddress) };
        let instance = &rtmp.session.connect_info().path.instance;
        let path = definition.publish(slot.peer.ip(), instance, &name.name, rtmp.session.stream_query())?;
        let published =
            |stream: &Stream| stream.app == app && stream.publisher.is_some_and(|publisher| publisher.conn != conn);
        let others = self.live.names.streams().filter(|(_, stream)| published(stream)).count();
        definition.limits.publish(others as u32)?;
        Ok(path)
    }

    /// The name is free: `by` publishes it. Players who were not told that the last publisher left need not know.
    pub(super) fn start_publish(&mut self, by: Holder, id: StreamId, now: Millis) {
        let Holder { conn, lane } = by;
        let app = self.live.names.stream(id).app;
        if self.live.names.stream(id).ring.is_none() && !self.has_ring(now) {
            let path = self.live.names.stream(id).path.clone();
            self.refuse_for_room(conn, &path, Exhausted::Rings, now);
            return self.live.names.release_if_unused(id);
        }
        let head = self.live.names.with_media(id).map(|(_, media)| {
            media.republish(now);
            Cursor::at(media.ring().readable_head())
        });
        self.live.names.publish(id, by);
        self.set_window();
        let stream = self.live.names.stream_mut(id);
        // A publisher without a ring gets one with its first media.
        stream.time.republish();
        (stream.since, stream.grace_until, stream.described) = (now, None, false);
        (stream.media_at, stream.has_media, stream.idle_told) = (now, false, false);
        (stream.complained_of_data, stream.complained_of_headers) = (false, false);
        stream.trouble = Trouble::none(now);
        let Some((slot, rtmp)) = self.slots.client(conn) else { return };
        rtmp.roles[usize::from(lane)] = Role::Publishing(id);
        slot.publishing += 1;
        slot.last_active = now;
        let peer = slot.peer;
        self.counters.published += 1;
        self.decide(conn, Decision::Accept);
        let app = Word(self.live.apps.name(app));
        let players = self.live.names.stream(id).players.len();
        info!(
            "{conn} {id} publish start app={app} name={:?} peer={peer} players={players}",
            self.live.names.stream(id).path.as_str()
        );
        self.each_player(id, |server, conn, net_stream, player| {
            // Players who still have the end of the last publish before them flow over into this one; the others
            // begin with its first tag.
            player.ending = false;
            if let Some(head) = head
                && !matches!(player.phase, PlayPhase::Live { .. })
            {
                player.begin_with(head);
            }
            if !core::mem::replace(&mut player.told, true) {
                server.tell_of(conn, net_stream, id, Code::PlayPublishNotify);
            }
        });
        self.run_on_publish(conn, id, now);
    }

    /// The publisher is gone, or stopped. Players stay; they are told when it is not back in time.
    pub(super) fn unpublish(&mut self, conn: ConnId, index: usize, id: StreamId) {
        let Some((slot, rtmp)) = self.slots.client(conn) else { return };
        rtmp.roles[index] = Role::Idle;
        slot.publishing -= 1;
        rtmp.open_tags.retain(|open| open.stream != id);
        slot.challenged = false;
        let now = self.now;
        let facts = self.live.names.with_media(id).map_or_else(StreamFacts::default, |(_, media)| {
            media.unpublish(now);
            media.facts()
        });
        self.live.names.unpublish(id);
        self.set_window();
        let stream = self.live.names.stream_mut(id);
        let lasted_ms = now.since(stream.since);
        stream.since = now;
        let players = stream.players.len();
        info!(
            "{conn} {id} publish stop name={:?} seconds={} tags={} bytes={} players={players}",
            stream.path.as_str(),
            lasted_ms / 1000,
            facts.tags,
            facts.bytes
        );
        self.run_on_unpublish(conn, id, now);
        if self.live.names.stream(id).challenger.is_some() {
            self.challenger_wins(id, now);
        }
        if self.live.names.stream(id).publisher.is_none() {
            let app = self.live.apps.definition(self.live.names.stream(id).app);
            let own_grace_ms = app.and_then(|app| app.limits.unpublish_grace_ms);
            let grace_ms = own_grace_ms.unwrap_or(self.settings.unpublish_grace_ms);
            self.live.names.stream_mut(id).grace_until = Some(now + grace_ms);
            if grace_ms == 0 || self.stopping {
                self.end_grace(id);
            }
        }
    }

    /// Publishers who are not back in time are not waited for any longer.
    pub(super) fn expire_graces(&mut self, now: Millis) {
        let mut from = 0;
        while let Some(id) = self.live.names.next_stream(from) {
            from = usize::from(id.0) + 1;
            if self.live.names.stream(id).grace_until.is_some_and(|until| until <= now) {
                self.end_grace(id);
            }
        }
    }

    /// The publisher is not waited for: players are told that it left when they have been sent everything.
    fn end_grace(&mut self, id: StreamId) {
        self.live.names.stream_mut(id).grace_until = None;
        self.each_player(id, |_, _, _, player| player.ending = player.told);
        self.wakes.due(id);
        self.live.names.release_if_unused(id);
    }

    /// Tells publishers that have sent neither audio nor video for `publish_idle_ms`, and their players, so: once, until
    /// media comes back.
    pub(super) fn expire_media(&mut self, now: Millis) {
        let patience_ms = self.settings.publish_idle_ms;
        if patience_ms == 0 || self.live.names.publishers() == 0 {
            return;
        }
        for index in 0..self.live.names.name_count() {
            let id = StreamId(index as u16);
            let stream = self.live.names.stream_mut(id);
            let Some(publisher) = stream.publisher else { continue };
            if stream.idle_told || now.since(stream.media_at) <= patience_ms {
                continue;
            }
            stream.idle_told = true;
            let (path, silent_ms) = (&stream.path, now.since(stream.media_at));
            info!("{} {id} publish idle name={:?} silent_ms={silent_ms}", publisher.conn, path.as_str());
            self.tell_of(publisher.conn, NetStreamId::from_index(publisher.lane.into()), id, Code::PublishIdle);
            self.each_player(id, |server, conn, net_stream, _| {
                server.tell_of(conn, net_stream, id, Code::PublishIdle);
            });
        }
    }

    /// Refuses a publish, and closes: OBS would go on waiting (see the reference's quirks).
    pub(super) fn refuse_publish(&mut self, conn: ConnId, status: Status<'_>, why: StreamRefusal, now: Millis) {
        self.log_refusal(conn, status, why);
        self.decide(conn, Decision::Reject(status));
        self.close_after_flush(conn, CloseReason::PublishRefused(why), now);
    }

    /// One line for a publish or a play that is refused: who, what, why, and where to change that.
    pub(super) fn log_refusal(&self, conn: ConnId, status: Status<'_>, why: StreamRefusal) {
        let Some((slot, rtmp)) = self.slots.look_client(conn) else { return };
        let app = slot.app.and_then(|app| self.live.apps.definition(app));
        let (verb, name) = match rtmp.session.request() {
            Some(Request::Play { name, .. }) => ("play", name.name.as_str()),
            Some(Request::Publish { name, .. }) => ("publish", name.name.as_str()),
            _ => ("publish", status.subject),
        };
        let path = app.and_then(|app| app.path(&rtmp.session.connect_info().path.instance, name).ok());
        let shown = match (&path, app) {
            (Some(path), Some(app)) if verb == "publish" => app.shown(path),
            (Some(path), _) => path.as_str(),
            _ => name,
        };
        warn!(
            "{conn} {verb} refused app={} name={} peer={} x_status={} reason={:?} see={:?}",
            Word(app.map_or("", |app| app.name.as_str())),
            without_keys(app, shown),
            slot.peer,
            why.row().x_status,
            status.description.unwrap_or(why.row().words),
            why.row().remedy
        );
    }

    /// Refuses a publish because the name is taken.
    pub(super) fn refuse_taken(&mut self, conn: ConnId, id: StreamId, now: Millis) {
        let path = self.live.names.stream(id).path.clone();
        let Some((_, rtmp)) = self.slots.look_client(conn) else { return };
        let name = rtmp.session.own_name(&path);
        self.refuse_publish(conn, Status::new(Code::PublishBadName, name), StreamRefusal::Taken, now);
    }

    fn refuse_for_room(&mut self, conn: ConnId, path: &StreamPath, exhausted: Exhausted, now: Millis) {
        self.counters.streams_exhausted += 1;
        let Some((_, rtmp)) = self.slots.look_client(conn) else { return };
        let name = rtmp.session.own_name(path);
        let status = Status::new(Code::PublishBadName, name).described(describe_exhausted(exhausted));
        self.refuse_publish(conn, status, StreamRefusal::Exhausted(exhausted), now);
    }
}

/// What a client is told when there is no room for its stream.
pub(super) fn describe_exhausted(exhausted: Exhausted) -> &'static str {
    match exhausted {
        Exhausted::Names => "Every stream name is in use (limits.streams).",
        Exhausted::Rings => "Every stream is in use (limits.streams).",
    }
}
