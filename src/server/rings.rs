//! Binding of rings: a ring is bound by media, not by the intention to send some. A publisher has one from its first audio,
//! video or data message on, and loses it only to a publisher with media: as many silent publishers as there are rings
//! keep no encoder out. A publisher that loses metadata or headers with its ring has to begin anew. Where several could
//! lose theirs, those of the newcomer's own household go first, so that a stranger who comes again and again replaces
//! only itself.

use log::warn;

use crate::handles::{ConnId, StreamId};
use crate::live::names::Holder;
use crate::live::names::{Exhausted, Silence, Taken};
use crate::media::Cursor;
use crate::rtmp::event::NetStreamId;
use crate::rtmp::status::{Code, Status};
use crate::time::Millis;

use super::Server;
use super::claims::Household;
use super::close::{CloseReason, StreamRefusal};
use super::publish::describe_exhausted;
use super::slots::Slots;

/// Without audio and video for so long a publisher's ring is free for others, in milliseconds, where `publish_idle_ms` is 0.
const SILENCE_MS: u64 = 10_000;

impl Server {
    /// What counts as silence of a publisher.
    fn silence(&self, now: Millis) -> Silence {
        let patience_ms = match self.settings.publish_idle_ms {
            0 => SILENCE_MS,
            patience_ms => patience_ms,
        };
        Silence { now, patience_ms }
    }

    /// One more publisher who sends media would find a ring.
    pub(super) fn has_ring(&self, now: Millis) -> bool {
        self.live.names.has_ring(self.silence(now))
    }

    /// The stream has media and no ring: it gets one. False when there is none, which ends its publisher's connection.
    #[cold]
    pub(super) fn bind_ring(&mut self, conn: ConnId, id: StreamId, now: Millis) -> bool {
        let silence = self.silence(now);
        let slots = &self.slots;
        let Ok((ring, taken)) = self.live.names.bind_ring(id, silence, |holder| same_household(slots, holder, conn))
        else {
            self.refuse_media(conn, id, now);
            return false;
        };
        if let Some(taken) = taken {
            self.has_lost_ring(taken, id, now);
        }
        let head = Cursor::at(self.live.names.media(ring).ring().readable_head());
        self.each_player(id, |server, conn, net_stream, reader| {
            let rest = reader.begin_with(head);
            if let Some((_, rtmp)) = server.slots.client(conn) {
                rtmp.leave_tag(net_stream.index(), rest, None);
            }
        });
        true
    }

    /// The ring of a stream was given to another one.
    fn has_lost_ring(&mut self, Taken { from: id, had_headers }: Taken, to: StreamId, now: Millis) {
        let stream = self.live.names.stream(id);
        let (Some(publisher), has_media) = (stream.publisher, stream.has_media) else { return };
        warn!("{} {id} its ring is given to {to}, for it sends no media (limits.streams)", publisher.conn);
        if has_media || had_headers {
            // Encoders say them once, and they have gone with the ring: it has to begin anew.
            self.close_after_flush(publisher.conn, CloseReason::GaveWay, now);
        } else if let Some((_, rtmp)) = self.slots.client(publisher.conn) {
            rtmp.open_tags.retain(|open| open.stream != id);
        }
    }

    /// Every ring is in use by others who send media.
    fn refuse_media(&mut self, conn: ConnId, id: StreamId, now: Millis) {
        self.counters.streams_exhausted += 1;
        let path = self.live.names.stream(id).path.clone();
        let Some(Holder { lane, .. }) = self.live.names.stream(id).publisher else { return };
        let Some((slot, rtmp)) = self.slots.client(conn) else { return };
        let (why, description) = (StreamRefusal::Exhausted(Exhausted::Rings), describe_exhausted(Exhausted::Rings));
        warn!(
            "{conn} {id} publish refused name={:?} x_status={} reason={description:?} see={:?}",
            path.as_str(),
            why.row().x_status,
            why.row().remedy
        );
        let name = rtmp.session.own_name(&path);
        let status = Status::new(Code::PublishBadName, name).described(description);
        rtmp.tell(Some(NetStreamId::from_index(lane.into())), status, &mut slot.tx);
        self.close_after_flush(conn, CloseReason::PublishRefused(why), now);
    }

    /// `newcomer` needs a name's place, and none is free: an unpublished name loses its place, else a publisher who
    /// sends no media.
    pub(super) fn make_room_for_name(&mut self, newcomer: ConnId, now: Millis) {
        let slots = &self.slots;
        let own = |holder| same_household(slots, holder, newcomer);
        let Some(id) = self.live.names.name_to_give_up(newcomer, self.silence(now), own) else { return };
        if let Some(publisher) = self.live.names.stream(id).publisher {
            self.close_after_flush(publisher.conn, CloseReason::GaveWay, now);
        }
        if !self.live.names.stream(id).players.is_empty() {
            warn!("{newcomer} {id} its players are turned out: its name's place is needed (limits.streams)");
            self.turn_out_players(id);
        }
    }
}

fn same_household(slots: &Slots, holder: Holder, newcomer: ConnId) -> bool {
    let household = |conn| slots.look(conn).map(|slot| Household::of(slot.peer.ip()));
    household(holder.conn) == household(newcomer)
}
