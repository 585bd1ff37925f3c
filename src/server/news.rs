//! What [`crate::live`] has to tell others: clients hear it in their protocol's words, scripts as events, the log in a line.

use log::{info, warn};

use crate::features::contract::{Does, Happened};
use crate::handles::{ConnId, StreamId};
use crate::live::holder::Holder;
use crate::live::news::News;
use crate::live::refusal::Refusal;
use crate::rtmp::event::NetStreamId;
use crate::rtmp::status::Code;
use crate::time::Millis;

use super::Server;
use super::alarms::Alarm;
use super::close::CloseReason;
use super::rtmp::Role;
use super::transport::Net;

impl Server {
    /// Carries out all that there is to hear, before anything else happens.
    pub(super) fn hear(&mut self, now: Millis) {
        while let Some((id, news)) = self.live.next_news() {
            match news {
                News::Ended(by) => {
                    self.happened(Happened::Ended { by, stream: id, does: Does::Publish }, now);
                    if let Some(conn) = by.conn() {
                        self.run_on_unpublish(conn, id, now);
                    }
                }
                News::Refused(by, refusal) => self.newcomer_refused(by, id, refusal, now),
                News::Asked => self.holder_asked(id, now),
                News::Silent => {
                    if let Some(holder) = self.live.names.stream(id).publisher() {
                        warn!("{} {id} publisher replaced: it was silent", holder.by);
                    }
                    // Its end lets the challenger in.
                    self.dismiss(id, CloseReason::Replaced, now);
                }
                News::Began => self.publish_begun(id, now),
                News::Robbed { to, anew } => self.has_lost_ring(id, to, anew, now),
                News::Left => {
                    // They are told when they have been sent everything.
                    self.each_player(id, |_, _, _, reader| reader.end());
                    self.wakes.due(id);
                }
                News::Idle => self.publisher_idle(id, now),
            }
            self.live.names.release_if_unused(id);
        }
        if self.live.holders_changed() {
            self.alarms.set(Alarm::Challenge, self.live.next_challenge());
            self.set_window();
        }
    }

    /// A newcomer, of whom there was nothing else to do, does not get the name.
    fn newcomer_refused(&mut self, by: Holder, id: StreamId, refusal: Refusal, now: Millis) {
        let Holder::Conn(conn, lane) = by else { return };
        let Some((slot, rtmp)) = self.slots.client(conn) else { return };
        rtmp.set_role(slot, lane.into(), Role::Idle);
        let path = self.live.names.stream(id).path.clone();
        let name = rtmp.session.own_name(&path);
        self.refuse_publish(conn, name, refusal, now);
    }

    /// A newcomer wants the name: its holder is asked for a sign of life.
    fn holder_asked(&mut self, id: StreamId, now: Millis) {
        let stream = self.live.names.stream(id);
        let (Some(holder), Some(challenger)) = (stream.publisher(), stream.challenger()) else { return };
        if let Some(conn) = holder.by.conn()
            && let Some((slot, rtmp)) = self.slots.client(conn)
        {
            // Whether there is room for the ping or not, it is silence that decides.
            let _ = rtmp.session.ping(now, &mut slot.tx);
            self.wakes.send(conn.slot);
        }
        let name = stream.path.as_str();
        info!("{} {id} publish waits name={name:?} for a sign of life from {}", challenger.who.by, holder.by);
    }

    /// A byte came from a publisher: whoever waits for a name of its own does so in vain.
    pub(super) fn holder_spoke(&mut self, conn: ConnId, now: Millis) {
        // Nearly always nobody waits for any name.
        if self.alarms.at(Alarm::Challenge).is_none() {
            return;
        }
        let Some((_, rtmp)) = self.slots.look_client(conn) else { return };
        let is_waited_for = |id: StreamId| self.live.names.stream(id).challenger().is_some();
        if rtmp.roles.iter().any(|role| matches!(role, Role::Publishing(id) if is_waited_for(*id))) {
            self.live.is_alive(Holder::Conn(conn, 0));
            self.hear(now);
        }
    }

    /// Holders that were silent for too long lose their names.
    pub(super) fn expire_challenges<N: Net>(&mut self, net: &mut N, now: Millis) {
        if !self.alarms.rings(Alarm::Challenge, now) {
            return;
        }
        let mut from = 0;
        let mut has_unread = |holder: Holder| holder.conn().is_some_and(|conn| net.has_unread(conn.slot));
        while let Some(id) = self.live.expire_challenge(from, now, &mut has_unread) {
            from = usize::from(id.0) + 1;
            self.hear(now);
        }
    }

    /// Publishers who are not back in time are not waited for any longer.
    pub(super) fn expire_graces(&mut self, now: Millis) {
        let mut from = 0;
        while let Some(id) = self.live.expire_grace(from, now) {
            from = usize::from(id.0) + 1;
            self.hear(now);
        }
    }

    /// Tells publishers that have sent neither audio nor video for `publish_idle_ms`, and their players, so.
    pub(super) fn expire_media(&mut self, now: Millis) {
        let mut from = 0;
        while let Some(id) = self.live.expire_media(from, &self.settings, now) {
            from = usize::from(id.0) + 1;
            self.hear(now);
        }
    }

    fn publisher_idle(&mut self, id: StreamId, now: Millis) {
        let stream = self.live.names.stream(id);
        let Some(publisher) = stream.publisher() else { return };
        let silent_ms = stream.silent_ms(now);
        info!("{} {id} publish idle name={:?} silent_ms={silent_ms}", publisher.by, stream.path.as_str());
        if let Holder::Conn(conn, lane) = publisher.by {
            self.tell_of(conn, NetStreamId::from_index(lane.into()), id, Code::PublishIdle);
        }
        self.each_player(id, |server, conn, net_stream, _| {
            server.tell_of(conn, net_stream, id, Code::PublishIdle);
        });
    }

    /// The ring of a stream was given to another one.
    fn has_lost_ring(&mut self, id: StreamId, to: StreamId, anew: bool, now: Millis) {
        let Some(publisher) = self.live.names.stream(id).publisher() else { return };
        warn!("{} {id} its ring is given to {to}, for it sends no media (limits.streams)", publisher.by);
        if anew {
            // Encoders say them once, and they have gone with the ring: it has to begin anew.
            self.dismiss(id, CloseReason::GaveWay, now);
        } else if let Some(conn) = publisher.by.conn()
            && let Some((_, rtmp)) = self.slots.client(conn)
        {
            rtmp.open_tags.retain(|open| open.stream != id);
        }
    }

    /// Whoever publishes the stream has to go: its connection ends, or what the server itself publishes.
    pub(super) fn dismiss(&mut self, id: StreamId, reason: CloseReason, now: Millis) {
        match self.live.names.stream(id).publisher().map(|publisher| publisher.by) {
            Some(Holder::Conn(conn, _)) => self.close_after_flush(conn, reason, now),
            Some(by @ Holder::Feature(..)) => self.publish_ended(by, id, now),
            None => {}
        }
    }
}
