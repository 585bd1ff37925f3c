//! Playing: joining, leaving, and what a player can ask for in between.

use core::cmp::Reverse;
use core::fmt::Write;

use log::info;

use crate::features::script::Access;
use crate::handles::{AppId, ConnId, SlotIndex, StreamId};
use crate::live::app::{AppKind, Refusal, without_keys};
use crate::live::names::Exhausted;
use crate::live::reader::{Enhanced, PlayPhase, Player, Want};
use crate::media::TagSeq;
use crate::name::{StreamName, StreamPath};
use crate::rtmp::event::{Decision, NetStreamId, PlayHow, PlayStart};
use crate::rtmp::status::{Code, Status};
use crate::text::Word;
use crate::time::Millis;

use super::Server;
use super::claims::PATIENCE_MS;
use super::close::{CloseReason, StreamRefusal};
use super::publish::describe_exhausted;
use super::slots::Role;

/// What a client is told whom the application's script gave no right to play.
const NO_READ_ACCESS: &str = "The application gives this client no read access.";

impl Server {
    pub(super) fn play(
        &mut self,
        conn: ConnId,
        net_stream: NetStreamId,
        name: &StreamName,
        start: PlayStart,
        how: PlayHow,
        now: Millis,
    ) {
        let Some(slot) = self.slots.connection(conn) else { return };
        let Some(app) = slot.app else { return };
        let mut allowed = self.may_play(conn, app, name);
        if matches!(allowed, Err(Refusal::Players))
            && self.make_room(conn, now, |slot| slot.app == Some(app) && slot.playing > 0)
        {
            allowed = self.may_play(conn, app, name);
        }
        let path = match allowed {
            Ok(path) => path,
            Err(refusal) => {
                let status = Status::new(Code::PlayFailed, &name.name).described(refusal.description());
                return self.refuse_play(conn, status, StreamRefusal::Rule(refusal));
            }
        };
        if !self.script_allows(conn, Access::Read, &name.name) {
            let status = Status::new(Code::PlayFailed, &name.name).described(NO_READ_ACCESS);
            return self.refuse_play(conn, status, StreamRefusal::Script);
        }
        let found = self.live.names.find(app, &path).map(|id| self.live.names.stream(id));
        let published = found.is_some_and(|stream| stream.publisher.is_some());
        // A player that comes while the publisher is away waits for it.
        let live = published || found.is_some_and(|stream| stream.grace_until.is_some());
        let recorded_only = matches!(start, PlayStart::Recorded(_))
            || self.live.apps.definition(app).is_none_or(|app| app.kind == AppKind::Vod);
        if recorded_only && !live {
            // There are no recordings; a live stream of that name would have been played.
            let status = Status::new(Code::PlayStreamNotFound, &name.name);
            return self.refuse_play(conn, status, StreamRefusal::NotFound);
        }
        let Some(slot) = self.slots.connection(conn) else { return };
        let is_new = slot.playing == 0 && slot.publishing == 0;
        if is_new && self.slots.is_full_for_players() && !self.make_room(conn, now, |_| true) {
            let description = "This server has no connection left for players (limits.connections).";
            let status = Status::new(Code::PlayFailed, &name.name).described(description);
            self.refuse_play(conn, status, StreamRefusal::Connections);
            return self.close_after_flush(conn, CloseReason::TableFull, now);
        }
        let mut found = self.live.names.find_or_wait(app, &path, now);
        if found.is_err()
            && let Some(idle) = self.name_to_yield(conn, now)
        {
            info!("{conn} {idle} its players are turned out: its name's place is needed (limits.streams)");
            self.turn_out_players(idle);
            found = self.live.names.find_or_wait(app, &path, now);
        }
        let id = match found {
            Ok(id) => id,
            Err(exhausted) => {
                self.counters.streams_exhausted += 1;
                let status = Status::new(Code::PlayFailed, &name.name).described(describe_exhausted(exhausted));
                return self.refuse_play(conn, status, StreamRefusal::Exhausted(exhausted));
            }
        };
        self.live.names.stream_mut(id).players.insert(conn.slot.at());
        let Some((_, rtmp)) = self.slots.client(conn) else { return };
        let role = rtmp.roles[net_stream.index()];
        let is_legacy = !rtmp.session.connect_info().announced_enhanced();
        let switching = how == PlayHow::Switch && matches!(role, Role::Playing(_));
        let stream = self.live.names.stream(id);
        let mut player = Player::new(id, self.first_to_join_at(id), switching);
        player.told = published;
        if is_legacy {
            player.enhanced = Enhanced::Legacy;
        }
        if !published && let Some(ring) = stream.ring {
            // The publisher has left, and its ring is still there: begin with the next publish.
            player.phase = PlayPhase::Waiting { after: Some(self.live.names.media(ring).ring().readable_head()) };
        }
        let Some((slot, rtmp)) = self.slots.client(conn) else { return };
        rtmp.roles[net_stream.index()] = Role::Playing(player);
        slot.playing += 1;
        slot.last_active = now;
        let peer = slot.peer;
        if let Role::Playing(before) = role {
            // Behind the new one, whose stream may be the same, and which the session has yet to compare with it.
            self.leave(conn, net_stream.index(), before);
        }
        self.counters.played += 1;
        info!(
            "{conn} {id} play start app={} name={} peer={peer} live={published}",
            Word(self.live.apps.name(app)),
            without_keys(self.live.apps.definition(app), path.as_str())
        );
        if self.slots.at(conn.slot).instance.is_some() {
            let audio = self.script_allows(conn, Access::AudioSample, &name.name);
            let video = self.script_allows(conn, Access::VideoSample, &name.name);
            if let Some((_, rtmp)) = self.slots.client(conn) {
                rtmp.session.set_sample_access(audio, video);
            }
        }
        self.decide(conn, Decision::Accept);
        if published {
            self.tell(conn, Some(net_stream), Status::new(Code::PlayPublishNotify, &name.name));
            if self.live.names.stream(id).trouble.is_refusing(now) {
                self.tell_of(conn, net_stream, id, Code::PlayInsufficientBandwidth);
            }
        }
    }

    /// Refuses a play. The client may ask for another stream.
    fn refuse_play(&mut self, conn: ConnId, status: Status<'_>, why: StreamRefusal) {
        self.log_refusal(conn, status, why);
        self.decide(conn, Decision::Reject(status));
    }

    /// What the client means, if the application's rules let it play that.
    fn may_play(&mut self, conn: ConnId, app: AppId, name: &StreamName) -> Result<StreamPath, Refusal> {
        let Some((slot, rtmp)) = self.slots.client(conn) else { return Err(Refusal::PlayAddress) };
        let Some(definition) = self.live.apps.definition(app) else { return Err(Refusal::PlayAddress) };
        let path =
            definition.path(&rtmp.session.connect_info().path.instance, &name.name).map_err(|_| Refusal::Path)?;
        definition.rules.play(slot.peer.ip(), path.as_str(), rtmp.session.stream_query())?;
        let again = u32::from(slot.playing > 0);
        let streams = self.live.names.streams().filter(|(_, stream)| stream.app == app);
        let players: usize = streams.map(|(_, stream)| stream.players.len()).sum();
        definition.limits.play((players as u32).saturating_sub(again))?;
        Ok(path)
    }

    /// The unpublished name whose place goes to `conn`: one that only clients wait for whose household has more idle
    /// connections and waits for more names, or has waited long.
    fn name_to_yield(&self, conn: ConnId, now: Millis) -> Option<StreamId> {
        let weight = |conn: ConnId, names: u8| self.slots.idle_beside(conn) * u32::from(names);
        let own = weight(conn, self.slots.look(conn)?.playing + 1);
        let waited_for = self.live.names.streams().filter(|(_, stream)| stream.publisher.is_none());
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
        let mut from = 0;
        while let Some(index) = self.live.names.stream(id).players.next_from(from) {
            from = index + 1;
            let conn = self.slots.id(SlotIndex(index as u32));
            for role in 0..crate::limits::NET_STREAMS {
                let Some((slot, rtmp)) = self.slots.client(conn) else { break };
                let Role::Playing(player) = rtmp.roles[role] else { continue };
                if player.stream != id {
                    continue;
                }
                let net_stream = NetStreamId::from_index(role);
                rtmp.session.stop_playing(net_stream);
                let name = rtmp.session.own_name(&self.live.names.stream(id).path);
                let status = Status::new(Code::PlayStop, name).described(describe_exhausted(Exhausted::Names));
                rtmp.tell(Some(net_stream), status, &mut slot.tx);
                self.wakes.send(conn.slot);
                self.stop_playing(conn, role, player);
            }
        }
    }

    /// The net stream plays no more. The rest of a half-sent tag is still sent.
    pub(super) fn stop_playing(&mut self, conn: ConnId, index: usize, player: Player) {
        let Some((_, rtmp)) = self.slots.client(conn) else { return };
        rtmp.roles[index] = Role::Idle;
        self.leave(conn, index, player);
    }

    /// `player` is not what the net stream does any more.
    fn leave(&mut self, conn: ConnId, index: usize, player: Player) {
        let id = player.stream;
        let Some((slot, rtmp)) = self.slots.client(conn) else { return };
        slot.playing -= 1;
        rtmp.leave_tag(index, &player, self.live.names.stream(id).ring);
        let plays_on = rtmp.roles.iter().any(|role| matches!(role, Role::Playing(other) if other.stream == id));
        if !plays_on {
            self.live.names.stream_mut(id).players.remove(conn.slot.at());
            self.live.names.release_if_unused(id);
        }
        info!("{conn} {id} play stop skips={}", player.skips);
    }

    /// Without the GOP cache a player starts at the next key frame or sound, not at the newest.
    fn first_to_join_at(&self, id: StreamId) -> Option<TagSeq> {
        let ring = self.live.names.stream(id).ring.filter(|_| !self.settings.gop_cache)?;
        Some(self.live.names.media(ring).ring().readable_head())
    }

    pub(super) fn pause(&mut self, conn: ConnId, net_stream: NetStreamId, paused: Option<bool>) {
        let Some((_, rtmp)) = self.slots.client(conn) else { return };
        let index = net_stream.index();
        let Role::Playing(mut player) = rtmp.roles[index] else { return };
        let id = player.stream;
        let paused = paused.unwrap_or(!player.paused);
        let ring = self.live.names.stream(id).ring;
        if player.paused
            && !paused
            && let (PlayPhase::Live { cursor }, Some(ring)) = (player.phase, ring)
            && let media = self.live.names.media(ring)
            && let Some(point) = media.skip_target(cursor)
        {
            // What was missed is gone: headers again, then the newest key frame, or the newest sound where there is no picture.
            // Without either since, nothing was missed.
            rtmp.leave_tag(index, &player, Some(ring));
            player.begin_at(point, media, self.now);
        }
        player.paused = paused;
        rtmp.roles[index] = Role::Playing(player);
        let code = if paused { Code::PauseNotify } else { Code::UnpauseNotify };
        self.tell_of(conn, net_stream, id, code);
    }

    pub(super) fn seek(&mut self, conn: ConnId, net_stream: NetStreamId) {
        let index = net_stream.index();
        let Some(Role::Playing(mut player)) = self.slots.look_client(conn).map(|(_, rtmp)| rtmp.roles[index]) else {
            return;
        };
        let id = player.stream;
        let after = self.first_to_join_at(id);
        let Some((slot, rtmp)) = self.slots.client(conn) else { return };
        let ring = self.live.names.stream(id).ring;
        if !matches!(player.phase, PlayPhase::Waiting { .. }) {
            // The player has thrown away what came since it asked.
            rtmp.leave_tag(index, &player, ring);
            player.phase = PlayPhase::Waiting { after };
            rtmp.roles[index] = Role::Playing(player);
        }
        let time = ring.map_or(self.live.names.stream(id).time, |ring| self.live.names.media(ring).time());
        let mut text = heapless::String::<64>::new();
        let _ = write!(text, "Seeking {} (stream ID: {}).", time.present(), net_stream.wire());
        let name = rtmp.session.own_name(&self.live.names.stream(id).path);
        let status = Status::new(Code::SeekNotify, name).described(&text);
        rtmp.tell(Some(net_stream), status, &mut slot.tx);
        self.wakes.send(conn.slot);
    }

    pub(super) fn receive_audio(&mut self, conn: ConnId, net_stream: NetStreamId, on: bool) {
        if let Some((player, _)) = self.player(conn, net_stream) {
            player.audio = on;
            self.wakes.send(conn.slot);
        }
    }

    pub(super) fn receive_video(&mut self, conn: ConnId, net_stream: NetStreamId, on: bool) {
        let Some((player, _)) = self.player(conn, net_stream) else { return };
        player.video = match (on, player.video) {
            (false, _) => Want::No,
            (true, Want::No) => Want::Resuming,
            (true, present) => present,
        };
        self.wakes.send(conn.slot);
    }

    fn player(&mut self, conn: ConnId, net_stream: NetStreamId) -> Option<(&mut Player, StreamId)> {
        match &mut self.slots.client(conn)?.1.roles[net_stream.index()] {
            Role::Playing(player) => {
                let id = player.stream;
                Some((player, id))
            }
            _ => None,
        }
    }

    /// Every player of a stream, as a copy that is written back.
    pub(super) fn each_player(
        &mut self,
        id: StreamId,
        mut visit: impl FnMut(&mut Server, ConnId, NetStreamId, &mut Player),
    ) {
        let mut from = 0;
        while let Some(index) = self.live.names.stream(id).players.next_from(from) {
            from = index + 1;
            let conn = self.slots.id(SlotIndex(index as u32));
            for role in 0..crate::limits::NET_STREAMS {
                let Some(Role::Playing(mut player)) = self.slots.client(conn).map(|(_, rtmp)| rtmp.roles[role]) else {
                    continue;
                };
                if player.stream != id {
                    continue;
                }
                visit(self, conn, NetStreamId::from_index(role), &mut player);
                if let Some((_, rtmp)) = self.slots.client(conn) {
                    rtmp.roles[role] = Role::Playing(player);
                }
            }
        }
    }
}
