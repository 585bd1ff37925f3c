//! Publishing: what a client hears of its wish, and its players of a publish that begins or ends.

use log::{info, warn};

use crate::features::contract::{Does, Happened};
use crate::handles::{ConnId, StreamId};
use crate::live::app::without_keys;
use crate::live::gate::{Verdict, Wish};
use crate::live::holder::{Holder, Household, Publisher};
use crate::live::publish::Published;
use crate::live::refusal::{NoStream, Refusal};
use crate::media::Cursor;
use crate::name::{StreamName, StreamPath};
use crate::rtmp::event::{Decision, NetStreamId, PublishMode, Request};
use crate::rtmp::status::{Code, Status};
use crate::text::Word;
use crate::time::Millis;

use super::Server;
use super::close::CloseReason;
use super::connect::Field;
use super::refusals;
use super::rtmp::Role;

impl Server {
    pub(super) fn publish(
        &mut self,
        conn: ConnId,
        net_stream: NetStreamId,
        name: &StreamName,
        mode: PublishMode,
        now: Millis,
    ) {
        if self.slots.look(conn).is_none_or(|slot| slot.app.is_none()) {
            return;
        }
        let mut path = StreamPath::default();
        if mode != PublishMode::Live && self.settings.recordings == 0 {
            return self.refuse_publish(conn, &name.name, Refusal::Record, now);
        }
        let wish = Wish::Publish { name: &name.name };
        match self.ask(conn, wish, &mut path, now) {
            Verdict::Yes if self.comes_back(conn) => {
                self.refuse_publish(conn, &name.name, Refusal::Loop, now);
            }
            Verdict::Yes => self.may_publish(conn, net_stream, &path, now),
            Verdict::No(refusal) => {
                let Some((_, rtmp)) = self.slots.look_client(conn) else { return };
                let name = match refusal {
                    Refusal::NotLive => &name.name,
                    Refusal::WriteAccess => rtmp.session.own_name(&path),
                    // What was typed may be a secret with a mistake in it: it is not repeated.
                    _ => "",
                };
                self.refuse_publish(conn, name, refusal, now);
            }
            // The request stays in its session.
            Verdict::Later => {}
        }
    }

    /// The gate has let the client publish the stream.
    fn may_publish(&mut self, conn: ConnId, net_stream: NetStreamId, path: &StreamPath, now: Millis) {
        let Some((slot, rtmp)) = self.slots.look_client(conn) else { return };
        let Some(app) = slot.app else { return };
        if self.features.programmes.with_main(app, path.as_str()).is_some() {
            // Whom rules or a script let publish that have not been asked about the programme.
            let name = rtmp.session.own_name(path);
            return self.refuse_publish(conn, name, Refusal::Input, now);
        }
        let path = &self.published_path(app, path.clone());
        let (role, home) = (rtmp.roles[net_stream.index()], Household::of(slot.peer.ip()));
        let who = Publisher { by: Holder::Conn(conn, net_stream.index() as u8), home: Some(home) };
        let holder = self.live.publisher(app, path);
        // Said twice: once more the answer, and the stream goes on. So it does when another net stream wants it.
        let its_own = holder.is_some_and(|holder| holder.by.is_with(who.by));
        if let (Role::Publishing(_), false) = (role, its_own) {
            self.end_net_stream(conn, net_stream);
        }
        if let Some(id) = self.live.must_make_way(who, app, path, &self.settings, now) {
            self.dismiss(id, CloseReason::GaveWay, now);
            if !self.live.names.stream(id).players.is_empty() {
                warn!("{conn} {id} its players are turned out: its name's place is needed (limits.streams)");
                self.turn_out_players(id);
            }
        }
        match self.live.publish(who, app, path, &self.settings, now) {
            // It is answered when it is heard of.
            Ok(Published::Begun(_)) => {}
            Ok(Published::Already(_)) => self.decide(conn, Decision::Accept),
            Ok(Published::Waits(id)) => {
                if let Some((slot, rtmp)) = self.slots.client(conn) {
                    rtmp.set_role(slot, net_stream.index(), Role::Challenging(id));
                }
            }
            Err(refusal) => {
                let Some((_, rtmp)) = self.slots.look_client(conn) else { return };
                let name = rtmp.session.own_name(path);
                self.refuse_publish(conn, name, refusal, now);
            }
        }
        self.hear(now);
    }

    /// The stream is published from now on: its publisher is answered, and players who were told that the last one left are told.
    pub(super) fn publish_begun(&mut self, id: StreamId, now: Millis) {
        let Some(publisher) = self.live.names.stream(id).publisher() else { return };
        let (mut peer, mut mode) = (None, PublishMode::Live);
        if let Holder::Conn(conn, lane) = publisher.by {
            let Some((slot, rtmp)) = self.slots.client(conn) else { return };
            rtmp.set_role(slot, lane.into(), Role::Publishing(id));
            slot.last_active = now;
            peer = Some(slot.peer);
            if let Some(Request::Publish { mode: asked, .. }) = rtmp.session.request() {
                mode = *asked;
            }
            self.decide(conn, Decision::Accept);
        }
        self.counters.published += 1;
        let stream = self.live.names.stream(id);
        info!(
            "{} {id} publish start app={} name={:?}{} players={}",
            publisher.by,
            Word(self.live.apps.name(stream.app)),
            stream.path.as_str(),
            Field(" peer", peer),
            stream.players.len()
        );
        let head = stream.ring.map(|ring| Cursor::at(self.live.names.media(ring).ring().readable_head()));
        self.each_player(id, |server, conn, net_stream, reader| {
            if reader.published(head) {
                server.tell_of(conn, net_stream, id, Code::PlayPublishNotify);
            }
        });
        self.record_for_publisher(publisher.by, id, mode, now);
        self.happened(Happened::Began { by: publisher.by, stream: id, does: Does::Publish }, now);
        if let Some(conn) = publisher.by.conn() {
            self.run_on_publish(conn, id, now);
        }
    }

    /// A net stream publishes no more, or waits no more for a name.
    pub(super) fn unpublish(&mut self, conn: ConnId, index: usize, id: StreamId) {
        let Some((slot, rtmp)) = self.slots.client(conn) else { return };
        if let Role::Publishing(_) = rtmp.roles[index] {
            rtmp.open_tags.retain(|open| open.stream != id);
        }
        rtmp.set_role(slot, index, Role::Idle);
        self.publish_ended(Holder::Conn(conn, index as u8), id, self.now);
    }

    /// `by` publishes the stream no more, or waits for its name no more. Players stay; they are told when nobody is there in time.
    pub(super) fn publish_ended(&mut self, by: Holder, id: StreamId, now: Millis) {
        self.live.leave(by, id, &self.settings, self.life.stopping, now);
        self.hear(now);
    }

    /// The stream has media: it gets a ring if it has none. False when there is none, which ends its publish.
    pub(super) fn needs_ring(&mut self, id: StreamId, now: Millis) -> bool {
        self.live.names.stream(id).ring.is_some() || self.bind_ring(id, now)
    }

    #[cold]
    fn bind_ring(&mut self, id: StreamId, now: Millis) -> bool {
        let Ok(ring) = self.live.bind_ring(id, &self.settings, now) else {
            self.refuse_media(id, now);
            return false;
        };
        self.hear(now);
        let head = Cursor::at(self.live.names.media(ring).ring().readable_head());
        self.each_player(id, |server, conn, net_stream, reader| {
            let rest = reader.begin_with(head);
            match server.slots.client(conn) {
                Some((_, rtmp)) => rtmp.leave_tag(net_stream.index(), rest, None),
                // The rest of its tag went with the ring.
                None if rest.is_some() => server.close_after_flush(conn, CloseReason::TooSlow, server.now),
                None => {}
            }
        });
        true
    }

    /// Every ring is in use by others who send media.
    fn refuse_media(&mut self, id: StreamId, now: Millis) {
        let refusal = Refusal::NoStream(NoStream::Rings);
        self.counters.streams_exhausted += 1;
        let path = self.live.names.stream(id).path.clone();
        let Some(publisher) = self.live.names.stream(id).publisher() else { return };
        let row = refusals::row(refusal);
        warn!(
            "{} {id} publish refused name={:?} x_status={} reason={:?} see={:?}",
            publisher.by,
            path.as_str(),
            row.x_status,
            row.words,
            row.remedy
        );
        if let Holder::Conn(conn, lane) = publisher.by
            && let Some((slot, rtmp)) = self.slots.client(conn)
        {
            let status = refusals::status(refusal, Code::PublishBadName, rtmp.session.own_name(&path));
            rtmp.tell(Some(NetStreamId::from_index(lane.into())), status, &mut slot.tx);
        }
        self.dismiss(id, CloseReason::PublishRefused(refusal), now);
    }

    /// Refuses a publish, by the name that the client knows the stream by.
    pub(super) fn refuse_publish(&mut self, conn: ConnId, name: &str, why: Refusal, now: Millis) {
        let status = refusals::status(why, Code::PublishBadName, name);
        if let Refusal::Record | Refusal::Own = why {
            // It may have said it by mistake: what it publishes goes on.
            return self.decide(conn, Decision::Reject(status));
        }
        self.counters.streams_exhausted += u64::from(matches!(why, Refusal::NoStream(_)));
        self.log_refusal(conn, status, why);
        self.decide(conn, Decision::Reject(status));
        if why == Refusal::Unanswered && self.slots.look(conn).is_some_and(|slot| slot.publishing > 0) {
            // What it publishes goes on: for that its script may not have been waited for.
            return;
        }
        // OBS would go on waiting (see the reference's quirks).
        self.close_after_flush(conn, CloseReason::PublishRefused(why), now);
    }

    /// One line for a publish or a play that is refused: who, what, why, and where to change that.
    pub(super) fn log_refusal(&self, conn: ConnId, status: Status<'_>, why: Refusal) {
        let Some((slot, rtmp)) = self.slots.look_client(conn) else { return };
        let row = refusals::row(why);
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
            row.x_status,
            row.words,
            row.remedy
        );
    }
}
