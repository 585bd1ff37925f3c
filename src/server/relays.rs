//! Relays at work: connections are made to far ends, told what for, and sent what is due or read; what becomes of it when they end.
//! Which relays there are, and when they are tried again, is known to [`crate::features::relays`].

use core::fmt::Write;
use std::io::IoSlice;

use log::{info, warn};

use crate::features::relays::{
    AfterEnd, EDGE_PATIENCE_MS, LoginQuery, RelayKind, RelayState, RelayTask, STEP_MS, mark,
};
use crate::handles::{AppId, ConnId, FeatureId, SlotIndex, StreamId};
use crate::limits::{APP_NAME_BYTES, RELAY_LOGIN_BYTES, RELAY_URL_BYTES};
use crate::live::holder::{Holder, Publisher};
use crate::live::names::{Media, Stream};
use crate::live::publish::Published;
use crate::live::reader::{Due, Form, StreamView, Terms};
use crate::media::{Cursor, Piece, Reframe, RingError, Tag, TagKind, frame};
use crate::name::StreamPath;
use crate::rtmp::authmod::AuthDemand;
use crate::rtmp::chunk_reader::Lane;
use crate::rtmp::event::MediaKind;
use crate::rtmp::outbound::{self, OutboundError, OutboundEvent};
use crate::rtmp::via::Via;
use crate::text::Word;
use crate::time::Millis;
use crate::wire::announced::Announced;
use crate::wire::flv::Codec;
use crate::wire::legacy::Legacy;

use super::Server;
use super::alarms::Alarm;
use super::close::{CloseReason, Loss, TlsFault};
use super::fanout::{Flush, reframe};
use super::ingest::{DataPut, put_data};
use super::peer::Peer;
use super::push_frame::{ON_META_DATA, PushFrame, put_set_data_frame};
use super::relay::{FarAnswer, Pulling, Pushing, RelayLine, RelayStep};
use super::rtmp::OpenTag;
use super::slot::SlotState;
use super::speaks::{Door, Speaks};
use super::transport::Net;
use super::words::account;

/// Most pieces of a tag in one write.
const PIECES: usize = 16;
/// After so long without audio and video what is fetched is published no more, in milliseconds.
const PULL_SILENT_MS: u64 = 10_000;
/// After so long an edge looks for it at its next origin, in milliseconds.
const EDGE_SILENT_MS: u64 = 4000;
/// How much a far end that we fetch from may send ahead, in milliseconds: what it plays is live.
const BUFFER_MS: u32 = 1000;

impl Server {
    /// Makes connections that are due, and ends those that are not wanted any more.
    pub(super) fn tend_relays<N: Net>(&mut self, net: &mut N, now: Millis) {
        if !self.features.relays.take_untended() {
            return;
        }
        for at in 0..self.features.relays.count() {
            match self.features.relays.place(at).state {
                RelayState::Dials => self.dial_relay(net, at, now),
                RelayState::Ends(_) => self.end_relay(net, at, now),
                _ => {}
            }
        }
    }

    fn dial_relay<N: Net>(&mut self, net: &mut N, at: usize, now: Millis) {
        let place = self.features.relays.place(at);
        let secure = place.far(&self.live).filter(|far| far.secure).map(|far| far.host);
        let secure = secure.map(|host| heapless::String::<RELAY_URL_BYTES>::try_from(host).unwrap_or_default());
        if secure.is_some() && net.clock_ms().is_none() {
            if self.features.relays.place_mut(at).waits_for_clock(now) {
                info!("{} relay waits for the clock to be set", relay_holder(at));
            }
            return;
        }
        let Some(address) = self.features.relays.place_mut(at).next_address() else {
            let seed = self.next_seed();
            let words = "it sends us to an address that it must not";
            return self.features.relays.place_mut(at).lost(words, true, seed, now);
        };
        let speaks = Speaks::begin(Door::Relay, self.next_seed(), now);
        let conn = self.slots.take_relay(at, Peer::Ip(address), speaks, now);
        let place = self.features.relays.place_mut(at);
        place.state = RelayState::Connects;
        let step_ms = place.task.map_or(STEP_MS, |task| task.kind.step_ms());
        if let Some(line) = self.relay_line(conn.slot) {
            line.deadline = now + step_ms;
        }
        match self.dial_out(net, conn, address, secure.as_deref()) {
            Ok(()) => {}
            Err(Loss::Tls(fault)) => self.lost_relay(net, conn, CloseReason::Tls(fault), now),
            Err(_) => self.lose_relay(net, conn, "no socket can be had", false, now),
        }
    }

    /// It is to end: says so to the far end, and closes the connection when that was sent.
    fn end_relay<N: Net>(&mut self, net: &mut N, at: usize, now: Millis) {
        let index = self.slots.relay_slot(at);
        let name = self.features.relays.place(at).far_name(&self.live);
        let Server { slots, wakes, .. } = self;
        let (slot, Speaks::Relay(line)) = slots.both(index) else {
            return self.forget_relay(net, index, now);
        };
        let stream_id = match &line.step {
            RelayStep::Leaves => return,
            RelayStep::Pushes(push) if push.reader.rest().is_none() => push.stream_id,
            // Nothing can be said in the midst of a frame, and a player just goes.
            _ => return self.forget_relay(net, index, now),
        };
        if outbound::unpublish(&mut slot.tx, stream_id, &name).is_err() {
            return self.forget_relay(net, index, now);
        }
        wakes.send(index);
        self.leave_relay_stream(at, RelayStep::Leaves, now);
        if let Some(line) = self.relay_line(index) {
            line.deadline = now + STEP_MS;
        }
    }

    /// What its connection sends or fetches it does no more.
    fn leave_relay_stream(&mut self, at: usize, next: RelayStep, now: Millis) {
        let index = self.slots.relay_slot(at);
        let Some(line) = self.relay_line(index) else { return };
        match core::mem::replace(&mut line.step, next) {
            RelayStep::Pushes(push) => {
                let id = push.reader.stream();
                self.live.stop(relay_holder(at), id);
                info!("{} {id} push stop skips={}", relay_holder(at), push.reader.skips());
            }
            RelayStep::Pulls(pull) => self.end_pulled(at, pull, now),
            _ => {}
        }
    }

    /// What was fetched is published no more.
    fn end_pulled(&mut self, at: usize, pull: Pulling, now: Millis) {
        let Some(stream) = pull.stream else { return };
        if let Some((_, media)) = self.live.names.with_media(stream) {
            for open in &pull.open_tags {
                let _ = media.abort(open.seq, now);
            }
        }
        let publisher = self.live.names.stream(stream).publisher();
        if publisher.is_some_and(|publisher| publisher.by == relay_holder(at)) {
            // That must not look as if another had ended it.
            let state = core::mem::replace(&mut self.features.relays.place_mut(at).state, RelayState::Connects);
            self.publish_ended(relay_holder(at), stream, now);
            self.features.relays.place_mut(at).state = state;
        }
    }

    fn relay_line(&mut self, index: SlotIndex) -> Option<&mut RelayLine> {
        match self.slots.both(index).1 {
            Speaks::Relay(line) => Some(line),
            _ => None,
        }
    }

    /// The connection of a relay ends as it should.
    fn forget_relay<N: Net>(&mut self, net: &mut N, index: SlotIndex, now: Millis) {
        let Some(at) = self.slots.relay_at(index) else { return };
        let RelayState::Ends(after) = self.features.relays.place(at).state else { return };
        self.hang_up(net, at, now);
        self.features.relays.place_mut(at).ended(after, now);
    }

    fn hang_up<N: Net>(&mut self, net: &mut N, at: usize, now: Millis) {
        let index = self.slots.relay_slot(at);
        if self.slots.peek(index).state == SlotState::Free {
            return;
        }
        self.leave_relay_stream(at, RelayStep::Leaves, now);
        net.close(index);
        self.wakes.forget(index);
        self.slots.release(index);
    }

    /// The connection of a relay is of no use any more, for this reason. With a `final_word` another address has no other.
    fn lose_relay<N: Net>(&mut self, net: &mut N, conn: ConnId, words: &str, final_word: bool, now: Millis) {
        let Some(at) = self.slots.relay_at(conn.slot) else { return };
        if let RelayState::Ends(_) = self.features.relays.place(at).state {
            return self.forget_relay(net, conn.slot, now);
        }
        let place = self.features.relays.place(at);
        if let (Some(task), Some(far)) = (place.task, place.far(&self.live)) {
            let (what, n) = task.kind.named();
            let app = Word(self.live.apps.name(task.app));
            // What has been said of all origins is not said again and again.
            if !place.is_known() {
                let by = relay_holder(at);
                warn!("{by} {what} failed app={app} {what}={n} host={:?} reason={words:?}", far.authority);
            }
        }
        self.features.relays.faults += 1;
        self.hang_up(net, at, now);
        let seed = self.next_seed();
        self.features.relays.place_mut(at).lost(words, final_word, seed, now);
    }

    /// The network, or the server itself, has ended the connection of a relay.
    pub(super) fn lost_relay<N: Net>(&mut self, net: &mut N, conn: ConnId, reason: CloseReason, now: Millis) {
        let slot = self.slots.at(conn.slot);
        let is_new = slot.bytes_in == 0 && slot.bytes_out == 0;
        if let CloseReason::Tls(fault) = reason {
            return self.lose_relay(net, conn, fault.far_end_words(), fault != TlsFault::Full, now);
        }
        let words = match reason {
            CloseReason::PeerReset if is_new => "it refuses the connection",
            CloseReason::NetworkBroke if is_new => "it cannot be reached",
            CloseReason::PeerReset | CloseReason::PeerClosed => "it closed the connection",
            CloseReason::NetworkBroke => "the network broke the connection",
            CloseReason::TooSlow => "the network to it is too slow: the ring passed it (limits.ring_bytes)",
            CloseReason::Stalled => "it takes nothing any more (live.player_stall_ms)",
            _ => "the connection ended",
        };
        self.lose_relay(net, conn, words, false, now);
    }

    /// A few times a second: who waits for a far end for too long, whether what is fetched is watched, and what is waited for.
    pub(super) fn sweep_relays<N: Net>(&mut self, net: &mut N, now: Millis) {
        self.want_waited_for(now);
        for at in 0..self.features.relays.count() {
            let Some(task) = self.features.relays.place(at).task else { continue };
            if task.stream.is_some() && !self.features.relays.place(at).has_stream(&self.live) {
                self.features.relays.place_mut(at).over(now);
            }
            let is_pull = task.kind.fetches();
            if is_pull {
                let is_watched = self.is_pull_watched(at);
                self.features.relays.watched(at, is_watched, &self.live, now);
            }
            let index = self.slots.relay_slot(at);
            let (slot, speaks) = self.slots.peek_both(index);
            if slot.state == SlotState::Free {
                continue;
            }
            let (sent, received, conn) = (slot.bytes_out, slot.bytes_in, self.slots.id(index));
            let stall_ms = self.settings.player_stall_ms;
            let is_stalled =
                speaks.deadline().is_none() && slot.blocked_since.is_some_and(|since| now.since(since) > stall_ms);
            let is_late = speaks.deadline().is_some_and(|deadline| now > deadline);
            // Of a far end that has vanished nothing else tells. Others send pings as rarely as we.
            let is_silent = is_pull && now.since(slot.last_read) > 2 * self.settings.ping_interval_ms;
            let idle = match task.kind {
                RelayKind::Edge(_) => self.edge_words(at, now),
                _ => {
                    self.end_silent_pull(at, now);
                    None
                }
            };
            self.features.relays.measure(at, if is_pull { received } else { sent }, now);
            match () {
                () if is_late && received == 0 => self.lose_relay(net, conn, "it does not answer", false, now),
                () if is_late => self.lose_relay(net, conn, "it did not answer in time", false, now),
                () if is_stalled => self.lost_relay(net, conn, CloseReason::Stalled, now),
                () if let Some(words) = idle => self.lose_relay(net, conn, words, false, now),
                () if is_silent => self.lose_relay(net, conn, "it sends nothing any more", false, now),
                () => {}
            }
        }
    }

    /// Nothing comes any more of what is fetched: not every server says that its publisher has left. It is waited for another.
    fn end_silent_pull(&mut self, at: usize, now: Millis) {
        let index = self.slots.relay_slot(at);
        let Server { slots, live, .. } = self;
        let (_, Speaks::Relay(RelayLine { step: RelayStep::Pulls(pull), .. })) = slots.both(index) else { return };
        if pull.stream.is_some_and(|stream| live.names.stream(stream).silent_ms(now) > PULL_SILENT_MS) {
            let before = core::mem::replace(pull, Pulling::waiting());
            self.end_pulled(at, before, now);
        }
    }

    /// Why an edge looks at its next origin: this one does not have the stream, or no more.
    fn edge_words(&mut self, at: usize, now: Millis) -> Option<&'static str> {
        if self.features.relays.place(at).waits_ms(now).is_some_and(|ms| ms > EDGE_PATIENCE_MS) {
            return Some("it sends nothing of that stream");
        }
        let Some(RelayStep::Pulls(pull)) = self.relay_line(self.slots.relay_slot(at)).map(|line| &line.step) else {
            return None;
        };
        let silent_ms = pull.stream.map(|stream| self.live.names.stream(stream).silent_ms(now));
        silent_ms.filter(|ms| *ms > EDGE_SILENT_MS).map(|_| "it sends nothing any more of that stream")
    }

    /// Names that clients wait for, and that are to be fetched from an origin when there is a place for them.
    fn want_waited_for(&mut self, now: Millis) {
        if !self.features.relays.has_edges() {
            return;
        }
        let Server { live, features: super::Features { relays, .. }, .. } = self;
        let is_waited_for =
            |stream: &Stream| !stream.players.is_empty() && stream.publisher().is_none() && !stream.is_away();
        let begin = relays.begin_wants();
        for part in [begin..live.names.name_count(), 0..begin] {
            let mut from = part.start;
            while let Some(id) =
                live.names.next_stream_that(from, is_waited_for).filter(|id| part.contains(&id.0.into()))
            {
                from = usize::from(id.0) + 1;
                let Stream { app, path, .. } = live.names.stream(id);
                if relays.want(*app, path, false, live, now) {
                    relays.has_wanted(id.0.into());
                }
            }
        }
    }

    /// The client is a server that is sent by this one what it asks for here, or would be sent back what it sends.
    pub(super) fn comes_back(&self, conn: ConnId) -> bool {
        let Some((slot, rtmp)) = self.slots.look_client(conn) else { return false };
        let via = &rtmp.session.connect_info().via;
        !via.is_empty() && slot.app.is_some_and(|app| via.has(self.via_id(app)))
    }

    /// An application of this server, for who fetches from it: other applications and other servers have other numbers.
    fn via_id(&self, app: AppId) -> u32 {
        self.life.nonce ^ mark(&self.live.apps.name(app)) as u32
    }

    /// Somebody publishes it who has not fetched it from another server.
    pub(super) fn is_published_here(&self, app: AppId, path: &StreamPath) -> bool {
        self.live.publisher(app, path).is_some_and(|who| !who.by.is_of(FeatureId::RELAYS))
    }

    /// By which servers comes what an edge asks for or forwards: who wants it here, or publishes it, may be some themselves.
    fn via(&self, at: usize, task: RelayTask) -> Via {
        let mut via = Via::default();
        if !task.kind.has_origins() {
            return via;
        }
        via.add(self.via_id(task.app));
        let name = &self.features.relays.place(at).name;
        let Some(id) = task.stream.or_else(|| self.live.names.find(task.app, name)) else { return via };
        let stream = self.live.names.stream(id);
        let publisher = stream.publisher().and_then(|who| who.by.conn()).map(|conn| conn.slot.at());
        let next = |from: usize| stream.players.next_from(from);
        let players = core::iter::successors(next(0), |&at| next(at + 1)).filter(|_| task.kind.fetches());
        for at in publisher.into_iter().chain(players) {
            if let Some((_, rtmp)) = self.slots.peek_client(SlotIndex(at as u32)) {
                via.add_all(&rtmp.session.connect_info().via);
            }
        }
        via
    }

    /// Somebody waits for that stream, or asks for it and cannot wait: it is fetched, if it can be. `is_new`: for the first time.
    pub(super) fn want_pull(&mut self, app: AppId, path: &StreamPath, is_new: bool, now: Millis) {
        if self.features.relays.count() == 0 || self.live.is_published(app, path) {
            return;
        }
        for at in 0..self.features.relays.count() {
            if self.pull_path(at).is_some_and(|(of, own)| of == app && own == *path) {
                self.features.relays.watched(at, true, &self.live, now);
            }
        }
        self.features.relays.want(app, path, is_new, &self.live, now);
    }

    /// What is fetched is called so here.
    fn pull_path(&self, at: usize) -> Option<(AppId, StreamPath)> {
        let place = self.features.relays.place(at);
        let task = place.task?;
        if let RelayKind::Edge(_) = task.kind {
            return Some((task.app, place.name.clone()));
        }
        let name = &task.pull(&self.live)?.name;
        Some((task.app, self.live.apps.path(task.app, name)?))
    }

    /// Somebody watches what a pull fetches, or waits for it.
    fn is_pull_watched(&self, at: usize) -> bool {
        let Some((app, path)) = self.pull_path(at) else { return false };
        if self.features.programmes.wants(app, path.as_str(), &self.live, self.now) {
            return true;
        }
        let Some(id) = self.live.names.find(app, &path) else { return false };
        !self.live.names.stream(id).players.is_empty() || self.slots.hls.count(id) > 0
    }

    /// A far end has said something.
    pub(super) fn relay_heard<N: Net>(
        &mut self,
        net: &mut N,
        conn: ConnId,
        came: Result<OutboundEvent<'_>, OutboundError>,
        now: Millis,
    ) {
        let Some(at) = self.slots.relay_at(conn.slot) else { return };
        match came {
            Err(OutboundError::NotRtmp(_)) => self.lose_relay(net, conn, "it does not speak RTMP", true, now),
            Err(OutboundError::Chunks(_)) => self.lose_relay(net, conn, "what it sends is no RTMP", false, now),
            Ok(OutboundEvent::Open) => self.connect_relay(at, now),
            Ok(OutboundEvent::Command) => self.relay_said(net, conn, at, now),
            // None that a relay waits for is that long.
            Ok(OutboundEvent::LongCommand(..)) => {}
            Ok(OutboundEvent::Data(timestamp)) => self.pulled_data(net, at, timestamp, now),
            Ok(OutboundEvent::MediaBegin { lane, kind, timestamp, length }) => {
                let kind = match kind {
                    MediaKind::Audio => TagKind::Audio,
                    MediaKind::Video => TagKind::Video,
                };
                let Some(stream) = self.pulled(net, at, now) else { return };
                if !self.needs_ring(stream, now) {
                    return;
                }
                let seq = self.begin_tag(stream, kind, timestamp, length, now);
                let index = self.slots.relay_slot(at);
                let Some(RelayStep::Pulls(pull)) = self.relay_line(index).map(|line| &mut line.step) else { return };
                let Some(seq) = seq else { return };
                if pull.open_tags.push(OpenTag { lane, stream, seq, kind, length }).is_err() {
                    self.tag_refused(stream, Some(seq), RingError::TooManyOpen, now);
                }
            }
            Ok(OutboundEvent::MediaData(lane, bytes)) => {
                let Server { slots, live, .. } = self;
                let (_, Speaks::Relay(RelayLine { step: RelayStep::Pulls(pull), .. })) = slots.both(conn.slot) else {
                    return;
                };
                if let Some(open) = pull.open_tags.iter().find(|open| open.lane == lane)
                    && let Some((_, media)) = live.names.with_media(open.stream)
                {
                    // Gone: the ring had to go on without it.
                    let _ = media.append(open.seq, &bytes);
                }
            }
            Ok(OutboundEvent::MediaEnd(lane)) => {
                let Some(OpenTag { stream, seq, kind, length, .. }) = self.take_pulled(conn.slot, lane) else { return };
                if self.alarms.at(Alarm::Challenge).is_some() {
                    self.live.is_alive(relay_holder(at));
                    self.hear(now);
                }
                self.media_is_whole(relay_holder(at), stream, seq, kind, length, now);
            }
            Ok(OutboundEvent::MediaAbort(lane)) => {
                if let Some(open) = self.take_pulled(conn.slot, lane)
                    && let Some((_, media)) = self.live.names.with_media(open.stream)
                {
                    let _ = media.abort(open.seq, now);
                }
            }
        }
    }

    fn take_pulled(&mut self, index: SlotIndex, lane: Lane) -> Option<OpenTag> {
        let RelayStep::Pulls(pull) = &mut self.relay_line(index)?.step else { return None };
        let open = pull.open_tags.iter().position(|open| open.lane == lane)?;
        Some(pull.open_tags.swap_remove(open))
    }

    /// The stream that is published from what a place fetches, from its first message on. `None` when it cannot be, or not any more.
    fn pulled<N: Net>(&mut self, net: &mut N, at: usize, now: Millis) -> Option<StreamId> {
        let index = self.slots.relay_slot(at);
        let RelayStep::Pulls(pull) = &self.relay_line(index)?.step else { return None };
        let by = relay_holder(at);
        if let Some(stream) = pull.stream {
            return self.live.names.stream(stream).publisher().filter(|publisher| publisher.by == by).map(|_| stream);
        }
        let task = self.features.relays.place(at).task?;
        let (_, path) = self.pull_path(at)?;
        let path = self.published_path(task.app, path);
        let published = match self.live.publisher(task.app, &path) {
            Some(_) => Err("another publishes under its name here"),
            None => match self.live.publish(Publisher { by, home: None }, task.app, &path, &self.settings, now) {
                Ok(Published::Begun(stream)) => Ok(stream),
                _ => Err("there is no room for its stream here (limits.streams)"),
            },
        };
        match published {
            Ok(stream) => {
                if let RelayStep::Pulls(pull) = &mut self.relay_line(index)?.step {
                    pull.stream = Some(stream);
                }
                self.features.relays.place_mut(at).is_there();
                self.hear(now);
                Some(stream)
            }
            Err(words) => {
                let conn = self.slots.id(index);
                self.lose_relay(net, conn, words, true, now);
                None
            }
        }
    }

    fn pulled_data<N: Net>(&mut self, net: &mut N, at: usize, timestamp: u32, now: Millis) {
        if !self.is_pulled_data(at) {
            return;
        }
        let Some(stream) = self.pulled(net, at, now) else { return };
        if !self.needs_ring(stream, now) {
            return;
        }
        let Server { slots, live, counters, .. } = self;
        let (_, Speaks::Relay(line)) = slots.both(slots.relay_slot(at)) else { return };
        let Some(message) = line.session.data() else {
            counters.data_dropped += 1;
            return;
        };
        let Some((_, media)) = live.names.with_media(stream) else { return };
        match put_data(media, &message, timestamp, now) {
            DataPut::Cleared => {}
            DataPut::TooLong => counters.data_dropped += 1,
            DataPut::Given { put, length, .. } => self.data_is_put(relay_holder(at), stream, put, length, now),
        }
    }

    /// What has come is a data message of the stream, and not what a server says to its player.
    fn is_pulled_data(&mut self, at: usize) -> bool {
        let index = self.slots.relay_slot(at);
        let handler = self.relay_line(index).and_then(|line| line.session.data()).map(|data| data.handler);
        !matches!(handler, None | Some(b"|RtmpSampleAccess" | b"onStatus" | b"onPlayStatus"))
    }

    /// The handshake is done.
    fn connect_relay(&mut self, at: usize, now: Millis) {
        let place = self.features.relays.place(at);
        let (Some(far), Some(task)) = (place.far(&self.live), place.task) else { return };
        let mut tc_url = heapless::String::<{ RELAY_URL_BYTES + RELAY_LOGIN_BYTES + 16 }>::new();
        // A URL's parts are no longer than it was.
        let _ = write!(tc_url, "{}://{}/", far.scheme(), far.authority);
        let begin = tc_url.len();
        let _ = tc_url.push_str(far.app);
        if !place.login.is_empty() {
            let _ = write!(tc_url, "?{}", place.login);
        }
        let via = self.via(at, task);
        let index = self.slots.relay_slot(at);
        let (slot, Speaks::Relay(line)) = self.slots.both(index) else { return };
        // Nothing was said but the handshake; without room the deadline ends it.
        let _ = outbound::connect(&mut slot.tx, &tc_url[begin..], &tc_url, !task.kind.fetches(), &via);
        (line.step, line.deadline) = (RelayStep::Connects, now + task.kind.step_ms());
        self.wakes.send(index);
    }

    fn relay_said<N: Net>(&mut self, net: &mut N, conn: ConnId, at: usize, now: Millis) {
        let place = self.features.relays.place(at);
        let (name, Some(task)) = (place.far_name(&self.live), place.task) else { return };
        let publishes = !task.kind.fetches();
        let (slot, Speaks::Relay(line)) = self.slots.both(conn.slot) else { return };
        let heard = line.heard(&name);
        let said = match heard {
            FarAnswer::Nothing => return,
            FarAnswer::Connected => {
                line.knows = line.session.said().knows;
                line.step = RelayStep::Creates;
                match publishes {
                    true => outbound::create_to_publish(&mut slot.tx, &name),
                    false => outbound::create(&mut slot.tx),
                }
            }
            FarAnswer::Created(stream_id) => {
                line.step = RelayStep::Begins { stream_id };
                match publishes {
                    true => outbound::publish(&mut slot.tx, stream_id, &name),
                    false => outbound::play(&mut slot.tx, stream_id, &name, BUFFER_MS),
                }
            }
            FarAnswer::Began => return self.relay_began(conn, at, now),
            FarAnswer::Refused(words) => return self.lose_relay(net, conn, &words, true, now),
            FarAnswer::LogsIn => return self.log_in_relay(net, conn, at, now),
            FarAnswer::Unpublished if task.kind.has_origins() => {
                return self.lose_relay(net, conn, "its publisher has left", false, now);
            }
            FarAnswer::Unpublished => {
                if let RelayStep::Pulls(pull) = &mut line.step {
                    let before = core::mem::replace(pull, Pulling::waiting());
                    self.end_pulled(at, before, now);
                }
                return;
            }
            FarAnswer::Over(words) => return self.lose_relay(net, conn, words, false, now),
            FarAnswer::Elsewhere(url) => return self.relay_elsewhere(net, conn, at, &url, now),
        };
        line.deadline = now + task.kind.step_ms();
        match said {
            Ok(()) => self.wakes.send(conn.slot),
            Err(_) => self.lose_relay(net, conn, "it does not read", false, now),
        }
    }

    /// The far end wants a user and a password: it is connected to anew, with what it wants to hear.
    fn log_in_relay<N: Net>(&mut self, net: &mut N, conn: ConnId, at: usize, now: Millis) {
        let own = self.next_seed() as u32;
        let place = self.features.relays.place(at);
        let (Some(far), (_, Speaks::Relay(line))) = (place.far(&self.live), self.slots.both(conn.slot)) else { return };
        let description = line.session.said().description;
        let mut query = LoginQuery::new();
        let words = match (AuthDemand::parse(description), far.login) {
            (None, _) => "it wants a way of logging in that is not known here: those known are authmod=adobe and llnw",
            (_, None) => "it wants a user and a password: rtmp://user:password@host/...",
            (Some(demand), Some((user, password))) => match (demand, place.logins) {
                (AuthDemand::User(_), 0) | (AuthDemand::Proof(_), 1)
                    if demand.answer(user, password, far.app, own, &mut query).is_err() =>
                {
                    "what it sends to log in is too long"
                }
                (AuthDemand::User(_), 0) | (AuthDemand::Proof(_), 1) => "",
                _ => "it says that the user or the password is wrong",
            },
        };
        if !words.is_empty() {
            return self.lose_relay(net, conn, words, true, now);
        }
        self.features.relays.place_mut(at).logs_in(query);
        self.end_relay(net, at, now);
    }

    /// The far end wants us to go elsewhere, or to come again.
    fn relay_elsewhere<N: Net>(&mut self, net: &mut N, conn: ConnId, at: usize, url: &str, now: Millis) {
        let Peer::Ip(from) = self.slots.at(conn.slot).peer else { return };
        let is_here = url.is_empty() || !url.contains("://");
        let secure = self.slots.at(conn.slot).is_secure;
        let place = self.features.relays.place_mut(at);
        let fault = match is_here {
            true if !matches!(place.state, RelayState::Runs { .. }) => "it sends us where we do not go",
            true if !place.sent_again(now) => "it sends us away again and again",
            false if !place.sent_elsewhere(url, secure, from.ip(), now) => "it sends us where we do not go",
            _ => "",
        };
        if !fault.is_empty() {
            return self.lose_relay(net, conn, fault, true, now);
        }
        info!("{} relay sent elsewhere by {from}", relay_holder(at));
        self.end_relay(net, at, now);
    }

    /// The far end has taken it.
    fn relay_began(&mut self, conn: ConnId, at: usize, now: Millis) {
        let by = relay_holder(at);
        let place = self.features.relays.place(at);
        let (Some(task), Some(far)) = (place.task, place.far(&self.live)) else { return };
        let mut host = heapless::String::<RELAY_URL_BYTES>::new();
        let _ = host.push_str(far.authority);
        let app = heapless::String::<APP_NAME_BYTES>::try_from(self.live.apps.name(task.app)).unwrap_or_default();
        let Some(line) = self.relay_line(conn.slot) else { return };
        let RelayStep::Begins { stream_id } = line.step else { return };
        let knows = line.knows;
        let (what, n) = task.kind.named();
        match (task.kind, task.stream) {
            (RelayKind::Push(_) | RelayKind::Forward(_), Some(stream)) => {
                let path = self.live.names.stream(stream).path.clone();
                let Ok(reader) = self.live.play(by, task.app, &path, &self.settings, now) else { return };
                let reader = reader.legacy(knows != Announced::ALL);
                if let Some(line) = self.relay_line(conn.slot) {
                    line.step = RelayStep::Pushes(Pushing { reader, stream_id, knows, base_ms: None });
                }
                info!(
                    "{by} {stream} {what} start app={} name={:?} {what}={n} host={host:?} codecs=\"{knows}\"",
                    Word(&app),
                    path.as_str()
                );
                self.features.relays.place_mut(at).runs(now);
                self.wakes.send(conn.slot);
            }
            (RelayKind::Test(_) | RelayKind::Push(_) | RelayKind::Forward(_), _) => {
                let place = self.features.relays.place_mut(at);
                place.runs(now);
                place.state = RelayState::Ends(AfterEnd::Rest);
                let name = self.features.relays.place(at).far_name(&self.live);
                let (slot, Speaks::Relay(line)) = self.slots.both(conn.slot) else { return };
                line.step = RelayStep::Leaves;
                let _ = outbound::unpublish(&mut slot.tx, stream_id, &name);
                self.wakes.send(conn.slot);
            }
            (RelayKind::Pull(_) | RelayKind::Edge(_), _) => {
                line.step = RelayStep::Pulls(Pulling::waiting());
                info!("{by} {what} start app={} {what}={n} host={host:?}", Word(&app));
                self.features.relays.place_mut(at).runs(now);
            }
        }
    }

    /// A stream has one more tag, or has ended: those that send it are looked at.
    pub(super) fn feed_pushes(&mut self, stream: StreamId) {
        let mut from = 0;
        while let Some(at) = self.features.relays.next_push_of(stream, from) {
            from = at + 1;
            self.wakes.send(self.slots.relay_slot(at));
        }
    }

    /// Writes what is due to a far end.
    pub(super) fn flush_relay<N: Net>(&mut self, net: &mut N, index: SlotIndex, now: Millis) -> Flush {
        let before = self.slots.peek(index).bytes_out;
        let flush = self.write_relay(net, index, now);
        self.counters.bytes_out += self.slots.peek(index).bytes_out - before;
        flush
    }

    fn write_relay<N: Net>(&mut self, net: &mut N, index: SlotIndex, now: Millis) -> Flush {
        let mut asked = false;
        loop {
            let Server { slots, live, settings, .. } = self;
            let (slot, Speaks::Relay(line)) = slots.both(index) else { return Flush::Idle };
            // It is sent when there is a connection; until then a write would block.
            let _ = line.session.greet(&mut slot.tx);
            let within = matches!(&line.step, RelayStep::Pushes(push) if push.reader.rest().is_some());
            if !within && !slot.tx.is_empty() {
                let said = slot.tx.pending().len();
                let io = net.write(index, &[IoSlice::new(slot.tx.pending())]);
                if let Err(flush) = account(slot, io, said, now) {
                    return flush;
                }
                continue;
            }
            let push = match &mut line.step {
                RelayStep::Pushes(push) => push,
                RelayStep::Leaves => return Flush::Gone(CloseReason::Answered),
                _ => return Flush::Idle,
            };
            let source = StreamView::of(&live.names, push.reader.stream());
            let most_lag_ms = (!asked).then_some(settings.player_lag_ms);
            let due = push.reader.due(source, &Terms { now, most_lag_ms, form: Form::Framed, knows: push.knows });
            let (tag, offset, media) = match (due, source.media) {
                (Due::Tag(tag, offset), Some(media)) => (tag, offset, media),
                (Due::Header(header, time), Some(media)) => {
                    let base_ms = *push.base_ms.get_or_insert(time);
                    let knows = push.knows;
                    let is_metadata = media.headers().at(header).is_some_and(|header| header.name == b"onMetaData");
                    let said = slot.tx.write_with(|free| {
                        let written = media.emit_header(header, since(base_ms, time), push.stream_id, knows, free)?;
                        if is_metadata { put_set_data_frame(free, written) } else { Some(written) }
                    });
                    if said.is_ok() {
                        push.reader.taken(&due);
                    }
                    continue;
                }
                (Due::TooSlow, _) => return Flush::Gone(CloseReason::TooSlow),
                (Due::LeftOut(codec), _) => {
                    push.reader.taken(&due);
                    let (id, knows) = (push.reader.stream(), push.knows);
                    // One is said to be left out; there may be one of sound and one of pictures.
                    let headers = source.media.into_iter().flat_map(|media| media.headers().iter());
                    let others = headers.filter(|header| header.legacy(knows) == Legacy::NoForm);
                    let others = others.filter_map(|header| header.codec()).filter(|other| Some(*other) != codec);
                    for left_out in core::iter::once(codec).chain(others.map(Some)) {
                        let left_out = left_out.map_or("an unknown codec", Codec::name);
                        info!("{id} push leaves out {left_out}: the far end has not announced it");
                    }
                    continue;
                }
                (Due::Skipped, _) => continue,
                (Due::Switched | Due::Ended, _) => {
                    push.reader.taken(&due);
                    continue;
                }
                (Due::Nothing | Due::Bytes(_) | Due::Tag(..) | Due::Header(..), _) => return Flush::Idle,
            };
            asked |= !within;
            let base_ms = *push.base_ms.get_or_insert(tag.timestamp);
            let frame = push_frame(media, &tag, push, base_ms);
            let mut pieces = heapless::Vec::<Piece<'_>, PIECES>::new();
            let mut to = offset;
            while !pieces.is_full()
                && let Some(piece) = frame::piece(&frame, media.ring(), tag.seq, to)
            {
                to += piece.bytes().len() as u32;
                let _ = pieces.push(piece);
            }
            if pieces.is_empty() {
                push.reader.moved_to(Cursor::behind(tag.seq));
                continue;
            }
            let mut slices = heapless::Vec::<IoSlice<'_>, PIECES>::new();
            slices.extend(pieces.iter().map(|piece| IoSlice::new(piece.bytes())));
            match account(slot, net.write(index, &slices), 0, now) {
                Ok(written) => push.reader.sent_framed(&frame, media, written),
                Err(flush) => return flush,
            }
        }
    }
}

/// Who a relay is to streams.
pub(super) fn relay_holder(at: usize) -> Holder {
    Holder::Feature(FeatureId::RELAYS, at as u16)
}

/// How a tag is sent.
fn push_frame(media: &Media, tag: &Tag, push: &Pushing, base_ms: u32) -> PushFrame {
    let mut prefix = [0; ON_META_DATA.len()];
    if tag.kind == TagKind::Data {
        media.ring().payload_prefix(tag.seq, &mut prefix);
        if prefix == *ON_META_DATA {
            return PushFrame::Metadata(push.stream_id);
        }
    }
    let plain = reframe(media, tag, push.stream_id, push.knows);
    PushFrame::Plain(Reframe { timestamp: since(base_ms, tag.timestamp), ..plain })
}

/// A time of the stream by the far end's clock, in milliseconds: nothing is before its beginning.
fn since(base_ms: u32, time_ms: u32) -> u32 {
    (time_ms.wrapping_sub(base_ms) as i32).max(0) as u32
}
