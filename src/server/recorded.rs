//! Playing recorded streams: from `play` to the file's answer, and what a player can ask for in between. What is sent, and when,
//! is for [`crate::features::recorded`]; how it is written stands in `fanout`.
//!
//! A live name wins over a file of that name. So the disk is asked only where nobody publishes, and who waits for a publisher
//! is not kept from one by a disk that stalls ([`FILE_WAIT_MS`]).

use log::info;

use crate::features::contract::Does;
use crate::features::recorded::{ItemPosition, NoPlace, PlayedLength, PlaylistItem, RecordedClient};
use crate::handles::{AppId, ConnId, SlotIndex};
use crate::limits::{NET_STREAMS, PATH_BYTES, RECORDED_BLOCK_BYTES};
use crate::live::app::{AppKind, without_keys};
use crate::live::gate::Wish;
use crate::live::holder::Holder;
use crate::live::jobs::{AskedBy, AskedFor};
use crate::live::recorded::{NotPlayed, RECORDED_BLOCKS, RecordedFacts, RecordedId, RecordedName};
use crate::live::recording::GrowingFile;
use crate::live::refusal::Refusal;
use crate::name::StreamPath;
use crate::rtmp::dvr::DvrInfo;
use crate::rtmp::event::{Decision, NetStreamId, PlayHow, PlayLength, PlayStart};
use crate::rtmp::recorded::{Played, Told};
use crate::rtmp::status::{Code, Status};
use crate::text::Word;
use crate::time::Millis;
use crate::wire::flv::Codec;

use super::Server;
use super::close::CloseReason;
use super::instances::InstanceIndex;
use super::play::PlayWish;
use super::refusals;
use super::rtmp::{Asked, Role, Tail};
use super::transport::Net;
use super::wakes::RoundRobin;

/// How long somebody waits to hear whether there is a file before it waits for a publisher, in milliseconds.
const FILE_WAIT_MS: u64 = 1000;
/// How long somebody waits for a file that is all it wants, in milliseconds: cards that stall for 7 s are ordinary.
const FILE_PATIENCE_MS: u64 = 15_000;
/// Bytes of recorded streams that are written in one turn: what is live comes first, and again soon.
const TURN_BYTES: usize = 4 * RECORDED_BLOCK_BYTES;

impl Server {
    /// A client that may play something plays a recorded stream, if there is one.
    pub(super) fn play_recorded(&mut self, conn: ConnId, app: AppId, wish: &PlayWish, path: &StreamPath, now: Millis) {
        let waits = self.may_wait(app, wish.start);
        let Some(name) = self.recorded_name(conn, app) else {
            return self.refuse_play(conn, &wish.name.name, Refusal::Path);
        };
        let start_ms = match wish.start {
            PlayStart::Recorded(ms) => ms,
            PlayStart::Live | PlayStart::LiveOrRecorded => 0,
        };
        let length = match wish.length {
            PlayLength::Whole => PlayedLength::Whole,
            PlayLength::Picture => PlayedLength::Picture,
            PlayLength::Ms(ms) => PlayedLength::Ms(ms),
        };
        let growing = self.growing(app, path, &name);
        let item = PlaylistItem { name, start_ms, length };
        let index = wish.stream.index();
        let Some((_, rtmp)) = self.slots.look_client(conn) else { return };
        let before = rtmp.roles[index].recorded();
        if let (Some(id), PlayHow::Append) = (before, wish.how) {
            return self.queue_recorded(conn, id, item, wish);
        }
        let lead_ms = self.live.apps.definition(app).and_then(|app| app.limits.recorded_lead_ms);
        let client = RecordedClient {
            by: Holder::Conn(conn, index as u8),
            message_stream_id: wish.stream.wire(),
            legacy: !rtmp.session.connect_info().announced_enhanced(),
            most_lead_ms: lead_ms.unwrap_or(self.settings.recorded_lead_ms) as u32,
        };
        // play2 goes on at the same time of another file, unless it says where.
        let goes_on = wish.how == PlayHow::Switch && wish.start == PlayStart::LiveOrRecorded;
        let from = before.filter(|_| goes_on).and_then(|id| self.features.recorded.position(id));
        let opened = self.open_recorded(conn, client, item, growing, from, before, now);
        match opened {
            Ok(id) => {
                let wait_ms = if waits { FILE_WAIT_MS } else { FILE_PATIENCE_MS };
                if let Some((_, rtmp)) = self.slots.open_client(conn) {
                    rtmp.asked = Asked::File { id, deadline: now + wait_ms };
                }
            }
            Err(NoPlace) if waits => self.play_live(conn, app, wish, path, now),
            Err(NoPlace) if self.settings.recorded_players == 0 => {
                self.refuse_play(conn, &wish.name.name, Refusal::NotFound);
            }
            Err(NoPlace) => {
                self.counters.recorded_exhausted += 1;
                self.refuse_play(conn, &wish.name.name, Refusal::RecordedPlayers);
            }
        }
    }

    /// A place, if need be that of one who has had its time, or what the net stream itself has.
    #[expect(clippy::too_many_arguments, reason = "all of it is known where it is called, and only there")]
    fn open_recorded(
        &mut self,
        conn: ConnId,
        client: RecordedClient,
        item: PlaylistItem,
        growing: Option<GrowingFile>,
        from: Option<ItemPosition>,
        before: Option<RecordedId>,
        now: Millis,
    ) -> Result<RecordedId, NoPlace> {
        let recorded = &mut self.features.recorded;
        if recorded.is_full() {
            if let Some((other, id)) = recorded.yields(now) {
                info!("{other} {id} gives way: its place is needed (limits.recorded_players)");
                self.give_up_recorded(other, id, now);
            } else if let Some(id) = before.filter(|&id| !recorded.is_within(id))
                && let Some(index) = self.role_of(conn, id)
            {
                self.end_role(conn, index);
            }
        }
        self.features.recorded.open(client, item, growing, from, now)
    }

    /// One more in the playlist of what plays.
    fn queue_recorded(&mut self, conn: ConnId, id: RecordedId, item: PlaylistItem, wish: &PlayWish) {
        if !self.features.recorded.queue(id, item) {
            return self.refuse_play(conn, &wish.name.name, Refusal::Playlist);
        }
        self.decide(conn, Decision::Queue);
        if self.features.recorded.has_ended(id) {
            self.features.recorded.open_next(id);
        }
    }

    /// The file in which a stream is being recorded, or that is being recorded and has this name itself.
    fn growing(&self, app: AppId, path: &StreamPath, name: &RecordedName) -> Option<GrowingFile> {
        let stream = self.live.names.find(app, path);
        let of_stream = stream.and_then(|stream| self.features.recordings.growing(stream));
        of_stream.or_else(|| self.features.recordings.growing_file(&name.app, &name.path))
    }

    /// Who plays a live stream from its beginning is sent what was recorded of it.
    pub(super) fn plays_from_recording(&self, app: AppId, path: &StreamPath) -> bool {
        let stream = self.live.names.find(app, path);
        self.live.apps.definition(app).is_some_and(|app| app.record.dvr)
            && stream.is_some_and(|stream| self.features.recordings.growing(stream).is_some())
    }

    /// Who finds nothing waits for a publisher.
    pub(super) fn may_wait(&self, app: AppId, start: PlayStart) -> bool {
        let is_vod = self.live.apps.definition(app).is_none_or(|app| app.kind == AppKind::Vod);
        !is_vod && !matches!(start, PlayStart::Recorded(_))
    }

    /// What the client means by the name that it says.
    fn recorded_name(&self, conn: ConnId, app: AppId) -> Option<RecordedName> {
        let (_, rtmp) = self.slots.look_client(conn)?;
        let instance = &rtmp.session.connect_info().path.instance;
        self.live.apps.definition(app)?.recorded_name(instance, rtmp.session.said_name()).ok()
    }

    /// The disk has said what there is.
    pub(super) fn recorded_opened(
        &mut self,
        conn: ConnId,
        id: RecordedId,
        found: Result<RecordedFacts, NotPlayed>,
        now: Millis,
    ) {
        let is_legacy =
            self.slots.look_client(conn).is_some_and(|(_, rtmp)| !rtmp.session.connect_info().announced_enhanced());
        let found = found.and_then(|facts| match is_legacy && !has_legacy_form(&facts) {
            true => Err(NotPlayed::NoTrack),
            false => Ok(facts),
        });
        if self.features.recorded.is_between_items(id) {
            return self.next_item_opened(conn, id, found, now);
        }
        let is_asking = self.slots.look_client(conn).is_some_and(|(_, rtmp)| rtmp.asked.file() == Some(id));
        if !is_asking {
            return self.features.recorded.free(id);
        }
        self.file_answered(conn, id, found.map_err(Some), now);
    }

    /// The disk has not said in time what there is.
    pub(super) fn file_unanswered(&mut self, conn: ConnId, id: RecordedId, now: Millis) {
        self.file_answered(conn, id, Err(None), now);
    }

    /// What becomes of a play: `found` is an error with the reason, if there is an answer at all.
    fn file_answered(
        &mut self,
        conn: ConnId,
        id: RecordedId,
        found: Result<RecordedFacts, Option<NotPlayed>>,
        now: Millis,
    ) {
        let Some((slot, rtmp)) = self.slots.open_client(conn) else { return self.features.recorded.free(id) };
        rtmp.asked = Asked::Nothing;
        let (Some(wish), Some(app)) = (PlayWish::of(rtmp.session.request()), slot.app) else {
            return self.features.recorded.free(id);
        };
        let definition = self.live.apps.definition(app);
        let path =
            definition.and_then(|app| app.path(&rtmp.session.connect_info().path.instance, &wish.name.name).ok());
        let Some(path) = path else {
            self.features.recorded.free(id);
            return self.refuse_play(conn, &wish.name.name, Refusal::Path);
        };
        // Somebody may have begun to publish meanwhile.
        let live_wins = self.wants_live(app, &path, wish.start);
        let waits = self.may_wait(app, wish.start);
        match found {
            Ok(facts) if !live_wins => return self.begin_recorded(conn, app, id, &wish, &path, facts, now),
            Ok(_) => {}
            Err(None | Some(NotPlayed::Missing)) if live_wins || waits => {}
            Err(why) => {
                self.features.recorded.free(id);
                return self.refuse_play(conn, &wish.name.name, why.map_or(Refusal::Unread, refusal));
            }
        }
        self.features.recorded.free(id);
        self.play_live(conn, app, &wish, &path, now);
    }

    #[expect(clippy::too_many_arguments, reason = "all of it is known where it is called, and only there")]
    fn begin_recorded(
        &mut self,
        conn: ConnId,
        app: AppId,
        id: RecordedId,
        wish: &PlayWish,
        path: &StreamPath,
        facts: RecordedFacts,
        now: Millis,
    ) {
        if !self.may_play(conn, app, &wish.name.name, now) {
            return self.features.recorded.free(id);
        }
        let index = wish.stream.index();
        let Some((slot, rtmp)) = self.slots.client(conn) else { return self.features.recorded.free(id) };
        let before = rtmp.roles[index];
        slot.last_active = now;
        let peer = slot.peer;
        let goes_on = before.recorded().filter(|_| wish.how == PlayHow::Switch);
        let succeeds = goes_on.is_some_and(|before| self.features.recorded.succeed(before, id));
        if !succeeds {
            rtmp.set_role(slot, index, Role::Recorded(id));
            self.leave_before(conn, index, before);
            if let Some(app) = self.live.apps.app_mut(app) {
                app.recorded_players += 1;
            }
        }
        self.counters.played += 1;
        info!(
            "{conn} {id} play start app={} name={} peer={peer} recorded=true seconds={} bytes={}",
            Word(self.live.apps.name(app)),
            without_keys(self.live.apps.definition(app), path.as_str()),
            facts.duration_ms / 1000,
            facts.bytes,
        );
        self.decide(conn, Decision::AcceptRecorded);
        // The buffer may have been said while the file was looked for: it does not wait for the answer, as commands do.
        self.buffer_changed(conn, now);
        if !succeeds {
            self.features.recorded.begin(id, now);
        }
    }

    /// What is to go on in place of what the net stream plays does so at once, and is what it plays.
    fn succeed_at_once(&mut self, conn: ConnId, stream: NetStreamId, id: RecordedId) -> RecordedId {
        let Some(successor) = self.features.recorded.succeeded(id) else { return id };
        let rest = self.features.recorded.leave(id);
        let Some((_, rtmp)) = self.slots.client(conn) else { return id };
        rtmp.roles[stream.index()] = Role::Recorded(successor);
        if rest {
            rtmp.tail = Some(Tail::Recorded(id));
        }
        successor
    }

    /// The file of the next in the playlist was found, or not.
    fn next_item_opened(&mut self, conn: ConnId, id: RecordedId, found: Result<RecordedFacts, NotPlayed>, now: Millis) {
        let Some(index) = self.role_of(conn, id) else { return self.features.recorded.free(id) };
        let stream = NetStreamId::from_index(index);
        match found {
            Ok(_) => {
                let (ms, bytes) = self.features.recorded.played_before(id);
                self.tell_recorded(conn, stream, id, |name| Told::Switches { name, played: Played { ms, bytes } });
                self.features.recorded.begin(id, now);
            }
            Err(why) => {
                // It is skipped.
                let Some((slot, rtmp)) = self.slots.client(conn) else { return };
                let name = self.features.recorded.name(id);
                rtmp.tell(Some(stream), refusals::status(refusal(why), Code::PlayFailed, name), &mut slot.tx);
                self.wakes.send(conn.slot);
                self.wakes.deliver(conn.slot);
                self.features.recorded.skip_next(id);
            }
        }
    }

    /// The net stream of a connection that plays what has that place.
    pub(super) fn role_of(&self, conn: ConnId, id: RecordedId) -> Option<usize> {
        let (_, rtmp) = self.slots.look_client(conn)?;
        rtmp.roles.iter().position(|role| role.recorded() == Some(id))
    }

    /// It plays no more. The rest of a message that was begun is still sent.
    pub(super) fn stop_recorded(&mut self, conn: ConnId, index: usize, id: RecordedId) {
        let Some((slot, rtmp)) = self.slots.client(conn) else { return };
        rtmp.set_role(slot, index, Role::Idle);
        self.leave_recorded(conn, id);
    }

    /// `id` is not what the net stream plays any more.
    pub(super) fn leave_recorded(&mut self, conn: ConnId, id: RecordedId) {
        let (ms, bytes) = self.features.recorded.played(id);
        info!("{conn} {id} play stop seconds={} bytes={bytes}", ms / 1000);
        let name = heapless::String::<PATH_BYTES>::try_from(self.features.recorded.name(id)).unwrap_or_default();
        self.tell_hooks_of_end(conn, &name, Does::Play, self.now);
        let rest = self.features.recorded.leave(id);
        let Some((slot, rtmp)) = self.slots.client(conn) else { return };
        if rest {
            rtmp.tail = Some(Tail::Recorded(id));
            self.wakes.send(conn.slot);
        }
        if let Some(app) = slot.app.and_then(|app| self.live.apps.app_mut(app)) {
            app.recorded_players = app.recorded_players.saturating_sub(1);
        }
    }

    /// It has taken nothing for long, and is told that it is over. In the middle of a message it can be told nothing, and its
    /// connection ends.
    pub(super) fn give_up_recorded(&mut self, conn: ConnId, id: RecordedId, now: Millis) {
        let Some(index) = self.role_of(conn, id) else {
            // Of a net stream that does something else already.
            return self.lose_recorded(conn, id, now);
        };
        if self.features.recorded.is_within(id) {
            return self.lose_recorded(conn, id, now);
        }
        let stream = NetStreamId::from_index(index);
        let ended = self.features.recorded.has_ended(id);
        if let Some((slot, rtmp)) = self.slots.client(conn) {
            rtmp.session.stop_playing(stream);
            if let Some(item) = self.features.recorded.item(id).filter(|_| !ended) {
                rtmp.tell(Some(stream), Status::new(Code::PlayStop, item.name.name()), &mut slot.tx);
            }
            self.wakes.send(conn.slot);
        }
        self.stop_recorded(conn, index, id);
    }

    /// The rest of a message is given up, and so is the connection.
    fn lose_recorded(&mut self, conn: ConnId, id: RecordedId, now: Millis) {
        self.close_after_flush(conn, CloseReason::GaveWay, now);
        self.features.recorded.free(id);
    }

    pub(super) fn pause_recorded(
        &mut self,
        conn: ConnId,
        stream: NetStreamId,
        id: RecordedId,
        pauses: Option<bool>,
        ms: u32,
    ) {
        let pauses = pauses.unwrap_or(!self.features.recorded.is_paused(id));
        let id = self.succeed_at_once(conn, stream, id);
        let recorded = &mut self.features.recorded;
        match pauses {
            true => recorded.pause(id),
            false => recorded.go_on(id, ms),
        }
        self.tell_recorded(conn, stream, id, |name| match pauses {
            true => Told::Pauses { name },
            false => Told::GoesOn { name },
        });
    }

    pub(super) fn seek_recorded(&mut self, conn: ConnId, stream: NetStreamId, id: RecordedId, ms: u32) {
        let id = self.succeed_at_once(conn, stream, id);
        self.features.recorded.seek(id, ms);
        self.tell_recorded(conn, stream, id, |name| Told::Seeks { name, ms });
    }

    /// The player of a recorded stream hears what becomes of it, and is sent what follows.
    fn tell_recorded<'a>(
        &'a mut self,
        conn: ConnId,
        stream: NetStreamId,
        id: RecordedId,
        what: impl FnOnce(&'a str) -> Told<'a>,
    ) {
        let Server { slots, features, wakes, .. } = self;
        let Some((slot, rtmp)) = slots.client(conn) else { return };
        // A client without room for it does not read, and will be found out by the stall deadline.
        let _ = rtmp.session.tell_recorded(stream, what(features.recorded.name(id)), &mut slot.tx);
        wakes.send(conn.slot);
        wakes.deliver(conn.slot);
    }

    /// What plays, or is about to, has the buffer that the client has said.
    pub(super) fn buffer_changed(&mut self, conn: ConnId, now: Millis) {
        let Some((_, rtmp)) = self.slots.look_client(conn) else { return };
        for index in 0..NET_STREAMS {
            if let Some(id) = rtmp.roles[index].recorded() {
                let buffer_ms = rtmp.session.buffer_ms(NetStreamId::from_index(index));
                self.features.recorded.set_buffer(id, buffer_ms, now);
            }
        }
    }

    /// A client wants to know how long a recorded stream is, which it is told when the disk has said so. Of what is live, and
    /// of what it may not play, nothing is known.
    pub(super) fn ask_length(&mut self, conn: ConnId) {
        let Some((slot, rtmp)) = self.slots.look_client(conn) else { return };
        let (Some(app), Some(call)) = (slot.app, rtmp.session.call()) else { return };
        let by = AskedBy { conn, transaction: call.transaction, what: AskedFor::Length };
        let name = self.recorded_name(conn, app).filter(|name| {
            let path = self.ask_rules(conn, Wish::Play { name: name.name() });
            path.is_ok_and(|path| !self.wants_live(app, &path, PlayStart::LiveOrRecorded))
        });
        let asked = name.is_some_and(|name| self.features.recorded.ask_facts(by, name));
        if !asked {
            self.tell_length(by, 0);
        }
    }

    /// A client wants to know what there is of a stream's recording: of the file that grows, or of one that is complete.
    pub(super) fn ask_dvr_info(&mut self, conn: ConnId) {
        let Some((slot, rtmp)) = self.slots.look_client(conn) else { return };
        let (Some(app), Some(call)) = (slot.app, rtmp.session.call()) else { return };
        let by = AskedBy { conn, transaction: call.transaction, what: AskedFor::DvrInfo };
        let Some(name) = self.recorded_name(conn, app) else { return self.tell_dvr_info(by, "", DvrInfo::Failed) };
        let Ok(path) = self.ask_rules(conn, Wish::Play { name: name.name() }) else {
            return self.tell_dvr_info(by, name.name(), DvrInfo::Failed);
        };
        if let Some(GrowingFile { whole, .. }) = self.growing(app, &path, &name) {
            let info = DvrInfo::Success { ms: u64::from(whole.ms), is_recording: true };
            return self.tell_dvr_info(by, name.name(), info);
        }
        let stream = self.live.names.find(app, &path);
        let info = match stream {
            Some(stream) if self.features.recordings.is_recorded(stream) => DvrInfo::Retry,
            _ if self.live.is_published(app, &path) => DvrInfo::Failed,
            _ if self.features.recorded.ask_facts(by, name.clone()) => return,
            // Too many ask.
            _ => DvrInfo::Retry,
        };
        self.tell_dvr_info(by, name.name(), info);
    }

    /// The disk has said what there is.
    pub(super) fn tell_facts(&mut self, by: AskedBy, name: &RecordedName, found: Result<RecordedFacts, NotPlayed>) {
        let ms = found.map(|facts| facts.duration_ms);
        match by.what {
            AskedFor::Length => self.tell_length(by, ms.unwrap_or(0)),
            AskedFor::DvrInfo => {
                let info = ms.map_or(DvrInfo::Failed, |ms| DvrInfo::Success { ms, is_recording: false });
                self.tell_dvr_info(by, name.name(), info);
            }
        }
    }

    fn tell_dvr_info(&mut self, by: AskedBy, name: &str, info: DvrInfo) {
        let Some((slot, rtmp)) = self.slots.open_client(by.conn) else { return };
        // A client without room for it does not read, and will be found out by the stall deadline.
        let _ = rtmp.session.tell_dvr_info(by.transaction, name, info, &mut slot.tx);
        self.wakes.send(by.conn.slot);
    }

    fn tell_length(&mut self, by: AskedBy, ms: u64) {
        let Some((slot, rtmp)) = self.slots.open_client(by.conn) else { return };
        // A client without room for it does not read, and will be found out by the stall deadline.
        let _ = rtmp.session.tell_length(by.transaction, ms as f64 / 1000.0, &mut slot.tx);
        self.wakes.send(by.conn.slot);
    }

    /// What is known, without asking the disk, of the recorded stream that a script calls `said`.
    pub(super) fn known_facts(&mut self, index: InstanceIndex, said: &str, now: Millis) -> Option<RecordedFacts> {
        let instance = self.scripting.instances.instance(index)?;
        let name = self.live.apps.definition(instance.app)?.recorded_name(&instance.name, said.as_bytes()).ok()?;
        self.features.catalogue.facts(name, now)
    }

    /// Scripts of an instance ask no more what it can play.
    pub(super) fn forget_recordings_of(&mut self, index: InstanceIndex) {
        let Some(instance) = self.scripting.instances.instance(index) else { return };
        let Some(app) = self.live.apps.definition(instance.app) else { return };
        if let Ok(all) = app.all_recorded(&instance.name) {
            self.features.catalogue.forget(&all);
        }
    }

    /// Sends what players of recorded streams are due: one block each in turn, and again, as much as the turn has time for. The disk
    /// is then asked for both blocks of a fast client at once.
    pub(super) fn deliver_recorded<N: Net>(&mut self, net: &mut N, now: Millis) {
        let mut budget = TURN_BYTES;
        while budget > 0 && self.wakes.delivers_any() {
            let left = self.deliver_round(net, budget, now);
            if left == budget {
                return;
            }
            budget = left;
        }
    }

    /// One round of it, and returns what is left of the budget.
    fn deliver_round<N: Net>(&mut self, net: &mut N, mut budget: usize, now: Millis) -> usize {
        let mut round = RoundRobin::new(self.wakes.delivering_from, self.slots.count());
        while let Some(index) = round.next(|from| self.wakes.next_to_deliver(from)) {
            if budget == 0 {
                self.wakes.delivering_from = index.at();
                return 0;
            }
            budget = budget.saturating_sub(self.deliver_block(net, index, now));
        }
        self.wakes.delivering_from = 0;
        budget
    }

    /// Sends one block, or both where nobody else waits for one, and returns how many bytes that was.
    fn deliver_block<N: Net>(&mut self, net: &mut N, index: SlotIndex, now: Millis) -> usize {
        self.wakes.delivered(index);
        if !self.wakes.is_writable(index) {
            return 0;
        }
        let before = self.slots.at(index).bytes_out;
        let blocks = if self.wakes.delivers_any() { 1 } else { RECORDED_BLOCKS };
        let flush = self.flush_some(net, index, blocks * RECORDED_BLOCK_BYTES, now);
        let sent = self.slots.peek(index).bytes_out - before;
        self.flushed(net, index, flush, now);
        sent as usize
    }

    /// Something is due to a player of a recorded stream, if the network takes it.
    pub(super) fn deliver_later(&mut self, index: SlotIndex, now: Millis) {
        let Some((_, rtmp)) = self.slots.peek_client(index) else { return };
        let due = |id: RecordedId| self.features.recorded.is_due(id, now);
        let rest = matches!(rtmp.tail, Some(Tail::Recorded(id)) if due(id));
        if rest || rtmp.roles.iter().any(|role| role.recorded().is_some_and(due)) {
            self.wakes.deliver(index);
        }
    }
}

/// Some of it can be sent to who knows no Enhanced RTMP. An FLV file may have HEVC by a number that others than Adobe gave it.
fn has_legacy_form(facts: &RecordedFacts) -> bool {
    facts.video.into_iter().chain(facts.audio).any(|codec| codec.legacy_id().is_some() || codec == Codec::Hevc)
}

/// What a client is told of a file that cannot be played.
pub(super) fn refusal(why: NotPlayed) -> Refusal {
    match why {
        NotPlayed::Missing => Refusal::NotFound,
        NotPlayed::Unreadable => Refusal::Unreadable,
        NotPlayed::Structure => Refusal::FileStructure,
        NotPlayed::NoTrack => Refusal::NoTrack,
    }
}
