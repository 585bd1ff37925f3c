//! Playing: joining, leaving, and what a player can ask for in between.

use core::cmp::Reverse;
use core::fmt::Write;

use log::info;

use crate::features::contract::{Does, Happened};
use crate::handles::{AppId, ConnId, SlotIndex, StreamId};
use crate::live::app::without_keys;
use crate::live::gate::{Verdict, Wish};
use crate::live::holder::Holder;
use crate::live::reader::{Reader, Rest, SeekTo, StreamView};
use crate::live::recorded::RecordedId;
use crate::live::refusal::{NoStream, Refusal};
use crate::name::{StreamName, StreamPath};
use crate::rtmp::event::{Decision, NetStreamId, PlayHow, PlayLength, PlayStart, Request};
use crate::rtmp::status::{Code, Status};
use crate::text::Word;
use crate::time::Millis;

use super::Server;
use super::claims::PATIENCE_MS;
use super::close::CloseReason;
use super::refusals;
use super::rtmp::Role;

/// What a client asks to play, out of its session.
#[derive(Clone, Debug)]
pub(super) struct PlayWish {
    /// On which net stream.
    pub stream: NetStreamId,
    /// What.
    pub name: StreamName,
    /// From where on.
    pub start: PlayStart,
    /// How much.
    pub length: PlayLength,
    /// In place of what plays, or behind it.
    pub how: PlayHow,
}

impl PlayWish {
    /// What the request asks for, if it is one to play.
    pub(super) fn of(request: Option<&Request>) -> Option<PlayWish> {
        let Some(Request::Play { stream, name, start, length, how }) = request else { return None };
        Some(PlayWish { stream: *stream, name: name.clone(), start: *start, length: *length, how: *how })
    }
}

impl Server {
    pub(super) fn play(&mut self, conn: ConnId, wish: &PlayWish, now: Millis) {
        let Some(app) = self.slots.look(conn).and_then(|slot| slot.app) else { return };
        let (name, mut path) = (&wish.name.name, StreamPath::default());
        match self.ask(conn, Wish::Play { name }, &mut path, now) {
            Verdict::Yes => {}
            Verdict::No(refusal) => return self.refuse_play(conn, name, refusal),
            // The request stays in its session.
            Verdict::Later => return,
        }
        if self.comes_back(conn) && !self.is_published_here(app, &path) {
            return self.refuse_play(conn, name, Refusal::Loop);
        }
        if self.wants_live(app, &path, wish.start) {
            self.play_live(conn, app, wish, &path, now);
        } else if wish.start == PlayStart::Live {
            self.refuse_play(conn, name, Refusal::NotFound);
        } else {
            self.play_recorded(conn, app, wish, &path, now);
        }
    }

    /// Whether what is played is live: somebody publishes it or may be back, or nothing else is wanted than to wait for one. Who
    /// sends a start of 0, as rtmpdump does for live streams, too, wants the live one if there is one, unless the application says otherwise.
    pub(super) fn wants_live(&self, app: AppId, path: &StreamPath, start: PlayStart) -> bool {
        match start {
            PlayStart::Live => self.may_wait(app, start) || self.live.is_published(app, path),
            PlayStart::LiveOrRecorded => self.live.is_published(app, path),
            PlayStart::Recorded(0) => self.live.is_published(app, path) && !self.plays_from_recording(app, path),
            PlayStart::Recorded(_) => false,
        }
    }

    /// One more may play, if need be in the place of one that is idle; else it has been refused.
    pub(super) fn may_play(&mut self, conn: ConnId, app: AppId, name: &str, now: Millis) -> bool {
        let by = Holder::Conn(conn, 0);
        if !self.plays_recorded(conn)
            && let Err(refusal) = self.live.by_limits(app, by, Wish::Play { name })
            && !self.make_room(conn, now, &|slot| slot.plays_in(app))
        {
            self.refuse_play(conn, name, refusal);
            return false;
        }
        let Some(slot) = self.slots.connection(conn) else { return false };
        let is_new = slot.playing == 0 && slot.publishing == 0;
        if is_new && self.slots.is_full_for_players(0) && !self.make_room(conn, now, &|_| true) {
            self.refuse_play(conn, name, Refusal::NoConnection);
            self.close_after_flush(conn, CloseReason::TableFull, now);
            return false;
        }
        true
    }

    /// It counts as a player already, of a recorded stream.
    pub(super) fn plays_recorded(&self, conn: ConnId) -> bool {
        self.slots.look_client(conn).is_some_and(|(_, rtmp)| rtmp.plays_recorded())
    }

    /// Plays what is live, or waits for a publisher.
    pub(super) fn play_live(&mut self, conn: ConnId, app: AppId, wish: &PlayWish, path: &StreamPath, now: Millis) {
        let PlayWish { stream: net_stream, name, how, .. } = wish;
        let net_stream = *net_stream;
        let by = Holder::Conn(conn, net_stream.index() as u8);
        if !self.may_play(conn, app, &name.name, now) {
            return;
        }
        let mut played = self.live.play(by, app, path, &self.settings, now);
        if played.is_err()
            && let Some(idle) = self.name_to_yield(conn, now)
        {
            info!("{conn} {idle} its players are turned out: its name's place is needed (limits.streams)");
            self.turn_out_players(idle);
            played = self.live.play(by, app, path, &self.settings, now);
        }
        let reader = match played {
            Ok(reader) => reader,
            Err(refusal) => return self.refuse_play(conn, &name.name, refusal),
        };
        let (id, published) = (reader.stream(), reader.knows_of_publish());
        let Some((slot, rtmp)) = self.slots.client(conn) else { return };
        let role = rtmp.roles[net_stream.index()];
        let switching = *how == PlayHow::Switch && matches!(role, Role::Playing(_) | Role::Recorded(_));
        let is_legacy = !rtmp.session.connect_info().announced_enhanced();
        let reader = reader.switching(switching).legacy(is_legacy);
        rtmp.set_role(slot, net_stream.index(), Role::Playing(reader));
        slot.last_active = now;
        let peer = slot.peer;
        // Behind the new one, whose stream may be the same, and which the session has yet to compare with it.
        self.leave_before(conn, net_stream.index(), role);
        self.counters.played += 1;
        info!(
            "{conn} {id} play start app={} name={} peer={peer} live={published}",
            Word(self.live.apps.name(app)),
            without_keys(self.live.apps.definition(app), path.as_str())
        );
        self.decide(conn, Decision::Accept);
        self.happened(Happened::Began { by, stream: id, does: Does::Play }, now);
        if published {
            self.tell(conn, Some(net_stream), Status::new(Code::PlayPublishNotify, &name.name));
            if self.live.names.stream(id).trouble.is_refusing(now) {
                self.tell_of(conn, net_stream, id, Code::PlayInsufficientBandwidth);
            }
        } else {
            self.want_pull(app, path, true, now);
        }
    }

    /// What a net stream played before is not what it plays any more.
    pub(super) fn leave_before(&mut self, conn: ConnId, index: usize, before: Role) {
        match before {
            Role::Playing(reader) => self.leave(conn, index, reader),
            Role::Recorded(id) => self.leave_recorded(conn, id),
            Role::Idle | Role::Publishing(_) | Role::Challenging(_) => {}
        }
    }

    /// Refuses a play, by the name that the client said. It may ask for another stream.
    pub(super) fn refuse_play(&mut self, conn: ConnId, name: &str, why: Refusal) {
        let status = refusals::status(why, Code::PlayFailed, name);
        self.counters.streams_exhausted += u64::from(matches!(why, Refusal::NoStream(_)));
        self.log_refusal(conn, status, why);
        self.decide(conn, Decision::Reject(status));
    }

    /// The unpublished name whose place goes to `conn`: one that only clients wait for whose household has more idle
    /// connections and waits for more names, or has waited long.
    fn name_to_yield(&self, conn: ConnId, now: Millis) -> Option<StreamId> {
        let weight = |conn: ConnId, names: u8| self.slots.idle_beside(conn) * u32::from(names);
        let own = weight(conn, self.slots.look(conn)?.playing + 1);
        let waited_for = self.live.names.streams().filter(|(_, stream)| stream.publisher().is_none());
        let weights = waited_for.filter_map(|(id, stream)| {
            let players = core::iter::successors(stream.players.next_from(0), |&at| stream.players.next_from(at + 1));
            // The least weight among its players counts.
            let weight = players.map(|at| {
                let conn = self.slots.id(SlotIndex(at as u32));
                weight(conn, self.slots.look(conn).map_or(0, |slot| slot.playing))
            });
            Some((id, weight.min()?, stream.since))
        });
        let yields = weights.filter(|&(_, weight, since)| weight > own || now.since(since) >= PATIENCE_MS);
        yields.max_by_key(|&(_, weight, since)| (weight, Reverse(since))).map(|(id, ..)| id)
    }

    /// A stream's players play no more: its name's place is needed for another name.
    pub(super) fn turn_out_players(&mut self, id: StreamId) {
        self.end_hls_of(id, self.now);
        let why = Refusal::NoStream(NoStream::Names);
        let mut from = 0;
        while let Some(index) = self.live.names.stream(id).players.next_from(from) {
            from = index + 1;
            let conn = self.slots.id(SlotIndex(index as u32));
            if self.slots.peek_both(conn.slot).1.http().is_some() {
                self.close_after_flush(conn, CloseReason::GaveWay, self.now);
                continue;
            }
            for role in 0..crate::limits::NET_STREAMS {
                let Some((slot, rtmp)) = self.slots.client(conn) else { break };
                let Role::Playing(reader) = rtmp.roles[role] else { continue };
                if reader.stream() != id {
                    continue;
                }
                let net_stream = NetStreamId::from_index(role);
                rtmp.session.stop_playing(net_stream);
                let name = rtmp.session.own_name(&self.live.names.stream(id).path);
                let status = Status::new(Code::PlayStop, name).described(refusals::row(why).words);
                rtmp.tell(Some(net_stream), status, &mut slot.tx);
                self.wakes.send(conn.slot);
                self.stop_playing(conn, role, reader);
            }
        }
    }

    /// The net stream plays no more. The rest of a half-sent tag is still sent.
    pub(super) fn stop_playing(&mut self, conn: ConnId, index: usize, reader: Reader) {
        let Some((slot, rtmp)) = self.slots.client(conn) else { return };
        rtmp.set_role(slot, index, Role::Idle);
        self.leave(conn, index, reader);
    }

    /// `reader` is not what the net stream does any more.
    fn leave(&mut self, conn: ConnId, index: usize, reader: Reader) {
        let id = reader.stream();
        let Some((_, rtmp)) = self.slots.client(conn) else { return };
        rtmp.leave_tag(index, reader.rest(), self.live.names.stream(id).ring);
        let plays_on = rtmp.roles.iter().any(|role| matches!(role, Role::Playing(other) if other.stream() == id));
        if !plays_on {
            self.live.stop(Holder::Conn(conn, index as u8), id);
        }
        info!("{conn} {id} play stop skips={}", reader.skips());
        let by = Holder::Conn(conn, index as u8);
        self.happened(Happened::Ended { by, stream: id, does: Does::Play }, self.now);
    }

    pub(super) fn pause(&mut self, conn: ConnId, net_stream: NetStreamId, paused: Option<bool>, ms: u32) {
        if let Some(id) = self.recorded_of(conn, net_stream) {
            return self.pause_recorded(conn, net_stream, id, paused, ms);
        }
        let (now, mut pauses) = (self.now, false);
        let id = self.direct(conn, net_stream, |reader, source| {
            pauses = paused.unwrap_or(!reader.is_paused());
            reader.pause(pauses, source, now)
        });
        if let Some(id) = id {
            self.tell_of(conn, net_stream, id, if pauses { Code::PauseNotify } else { Code::UnpauseNotify });
        }
    }

    pub(super) fn seek(&mut self, conn: ConnId, net_stream: NetStreamId, ms: u32) {
        if let Some(id) = self.recorded_of(conn, net_stream) {
            return self.seek_recorded(conn, net_stream, id, ms);
        }
        let (now, gop_cache, mut went_to) = (self.now, self.settings.gop_cache, None);
        let id = self.direct(conn, net_stream, |reader, source| {
            let sought = reader.seek(SeekTo::Time(ms), source, gop_cache, now);
            went_to = sought.time_ms;
            sought.rest
        });
        let Some(id) = id else { return };
        let stream = self.live.names.stream(id);
        let time = stream.ring.map_or(stream.time, |ring| self.live.names.media(ring).time());
        let mut text = heapless::String::<64>::new();
        let went_to = went_to.unwrap_or(time.present());
        let _ = write!(text, "Seeking {went_to} (stream ID: {}).", net_stream.wire());
        let Some((slot, rtmp)) = self.slots.client(conn) else { return };
        let status = Status::new(Code::SeekNotify, rtmp.session.own_name(&stream.path)).described(&text);
        rtmp.tell(Some(net_stream), status, &mut slot.tx);
    }

    /// The recorded stream that the net stream plays.
    fn recorded_of(&self, conn: ConnId, net_stream: NetStreamId) -> Option<RecordedId> {
        let (_, rtmp) = self.slots.look_client(conn)?;
        rtmp.roles[net_stream.index()].recorded()
    }

    pub(super) fn receive_audio(&mut self, conn: ConnId, net_stream: NetStreamId, on: bool) {
        if let Some(id) = self.recorded_of(conn, net_stream) {
            return self.features.recorded.receive(id, Some(on), None);
        }
        self.direct(conn, net_stream, |reader, _| {
            reader.receive_audio(on);
            None
        });
    }

    pub(super) fn receive_video(&mut self, conn: ConnId, net_stream: NetStreamId, on: bool) {
        if let Some(id) = self.recorded_of(conn, net_stream) {
            return self.features.recorded.receive(id, None, Some(on));
        }
        self.direct(conn, net_stream, |reader, _| {
            reader.receive_video(on);
            None
        });
    }

    /// Has the net stream's reader go on otherwise, and returns what it reads; `None` when it plays nothing.
    fn direct(
        &mut self,
        conn: ConnId,
        net_stream: NetStreamId,
        change: impl FnOnce(&mut Reader, StreamView<'_>) -> Option<Rest>,
    ) -> Option<StreamId> {
        let (_, rtmp) = self.slots.client(conn)?;
        let Role::Playing(reader) = &mut rtmp.roles[net_stream.index()] else { return None };
        let id = reader.stream();
        let rest = change(reader, StreamView::of(&self.live.names, id));
        rtmp.leave_tag(net_stream.index(), rest, self.live.names.stream(id).ring);
        self.wakes.send(conn.slot);
        Some(id)
    }

    /// Every player of a stream, as a copy that is written back.
    pub(super) fn each_player(
        &mut self,
        id: StreamId,
        mut visit: impl FnMut(&mut Server, ConnId, NetStreamId, &mut Reader),
    ) {
        let mut from = 0;
        while let Some(index) = self.live.names.stream(id).players.next_from(from) {
            from = index + 1;
            let conn = self.slots.id(SlotIndex(index as u32));
            if let Some(mut reader) = self.slots.peek_both(conn.slot).1.http().and_then(|http| http.reader()).copied() {
                visit(self, conn, NetStreamId::from_index(0), &mut reader);
                if let Some(own) = self.slots.both(conn.slot).1.http_mut().and_then(|http| http.reader_mut()) {
                    *own = reader;
                }
                continue;
            }
            for role in 0..crate::limits::NET_STREAMS {
                let Some(Role::Playing(mut reader)) = self.slots.client(conn).map(|(_, rtmp)| rtmp.roles[role]) else {
                    continue;
                };
                if reader.stream() != id {
                    continue;
                }
                visit(self, conn, NetStreamId::from_index(role), &mut reader);
                if let Some((_, rtmp)) = self.slots.client(conn) {
                    rtmp.roles[role] = Role::Playing(reader);
                }
            }
        }
    }
}
