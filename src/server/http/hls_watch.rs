//! Viewers by HLS as the server knows them: who asks for a list of segments watches as long as it has asked within [`WATCHES_TARGETS`]
//! target durations. A row is behind those of the connections, and is called as they are: `c611.2`.

use log::info;

use crate::handles::{AppId, ConnId, FeatureId, SlotIndex, StreamId};
use crate::live::app::without_keys;
use crate::live::holder::Holder;
use crate::name::StreamPath;
use crate::server::Server;
use crate::server::hls_viewers::{HlsViewer, WhoWatches};
use crate::server::inspect::{Activity, ClientRow};
use crate::text::Word;
use crate::time::Millis;
use crate::wire::http::{HttpRequest, Method};

use super::guest::Guest;

/// Who has not asked for so many target durations watches no more.
const WATCHES_TARGETS: u64 = 3;

fn holder(at: usize) -> Holder {
    Holder::Feature(FeatureId::HLS, at as u16)
}

impl Server {
    /// The client of a connection asks for the segments of a stream, whose target duration this is: it watches. False when it may not,
    /// since the operator has sent it away.
    pub(super) fn watches_hls(
        &mut self,
        conn: ConnId,
        request: &HttpRequest,
        (app, stream): (AppId, StreamId),
        target_s: u32,
        now: Millis,
    ) -> bool {
        let Some(peer) = self.slots.look(conn).map(|slot| slot.peer) else { return false };
        let who = WhoWatches { stream, peer, agent: &request.agent };
        let until = now + WATCHES_TARGETS * 1000 * u64::from(target_s);
        self.knows_hls_guest(conn, &who);
        let known = self.slots.hls.find(&who);
        if let Some(viewer) = known.and_then(|at| self.slots.hls.at(at)) {
            if !viewer.is_sent_away {
                viewer.until = until;
            }
            return !viewer.is_sent_away;
        }
        if request.method != Method::Get {
            return true;
        }
        let Some((at, generation)) = self.slots.hls.add(&who, app, now, until) else { return true };
        self.knows_hls_guest(conn, &who);
        self.live.hold(stream, holder(at));
        self.counters.played += 1;
        info!(
            "{} {stream} play start app={} name={} peer={peer} live=true as=hls agent={:?}",
            self.hls_id(at, generation),
            Word(self.live.apps.name(app)),
            without_keys(self.live.apps.definition(app), self.live.names.stream(stream).path.as_str()),
            request.agent.as_str()
        );
        true
    }

    /// By which connection the application's script knows a viewer: the first that it let in, as long as that is there.
    fn knows_hls_guest(&mut self, conn: ConnId, who: &WhoWatches<'_>) {
        let Some(at) = self.slots.hls.find(who) else { return };
        let known = self.slots.hls.at(at).and_then(|viewer| viewer.guest);
        if known.is_some_and(|by| matches!(self.guest(by), Guest::In(_))) || !matches!(self.guest(conn), Guest::In(_)) {
            return;
        }
        if let Some(viewer) = self.slots.hls.at(at) {
            viewer.guest = Some(conn);
        }
    }

    /// The client of a connection watches a stream by HLS, and the application's script has let it in as another connection of it, which is
    /// there: it is not asked about each.
    pub(super) fn is_guest_elsewhere(
        &self,
        conn: ConnId,
        request: &HttpRequest,
        app: AppId,
        path: &StreamPath,
    ) -> bool {
        let found = self.live.names.find(app, path).zip(self.slots.look(conn));
        let Some((stream, slot)) = found else { return false };
        let who = WhoWatches { stream, peer: slot.peer, agent: &request.agent };
        let guest = self.slots.hls.look(&who).and_then(|viewer| viewer.guest);
        let Some(by) = guest.filter(|&by| by != conn && matches!(self.guest(by), Guest::In(_))) else { return false };
        let instance = self.slots.look(by).and_then(|slot| self.scripting.instances.instance(slot.instance?));
        instance.is_some_and(|instance| instance.app == app && instance.name == path.instance())
    }

    /// So many bytes of a stream's segments go to who asks for them by a connection. False when it may not have them.
    pub(super) fn takes_hls(&mut self, conn: ConnId, request: &HttpRequest, stream: StreamId, bytes: u64) -> bool {
        let Some(peer) = self.slots.look(conn).map(|slot| slot.peer) else { return false };
        let known = self.slots.hls.find(&WhoWatches { stream, peer, agent: &request.agent });
        let Some(viewer) = known.and_then(|at| self.slots.hls.at(at)) else { return true };
        viewer.bytes_out += if viewer.is_sent_away || request.method == Method::Head { 0 } else { bytes };
        !viewer.is_sent_away
    }

    /// Whoever has not asked for long watches no more.
    pub(in crate::server) fn expire_hls(&mut self, now: Millis) {
        self.end_hls(now, |viewer| viewer.until <= now);
    }

    /// Nobody watches a stream any more.
    pub(in crate::server) fn end_hls_of(&mut self, stream: StreamId, now: Millis) {
        self.end_hls(now, |viewer| viewer.stream == stream);
    }

    /// Nobody watches any of an application's streams any more.
    pub(in crate::server) fn end_hls_in(&mut self, app: AppId, now: Millis) {
        self.end_hls(now, |viewer| viewer.app == app);
    }

    fn end_hls(&mut self, now: Millis, ends: impl Fn(&HlsViewer) -> bool) {
        let mut from = 0;
        while let Some((at, viewer)) = self.slots.hls.next(from) {
            from = at + 1;
            if !ends(viewer) {
                continue;
            }
            let (stream, seconds) = (viewer.stream, now.since(viewer.since) / 1000);
            let id = self.hls_id(at, viewer.generation);
            info!("{id} {stream} play stop seconds={seconds} bytes_out={}", viewer.bytes_out);
            let (peer, agent) = (viewer.peer, viewer.agent.clone());
            self.slots.hls.remove(at);
            self.live.stop(holder(at), stream);
            self.tell_hooks_of_hls_end(stream, (id, peer, &agent), seconds);
        }
    }

    /// Sends a viewer away. False when there is none of that id.
    pub(in crate::server) fn send_hls_away(&mut self, id: ConnId) -> bool {
        let Some(at) = id.slot.at().checked_sub(self.slots.count()) else { return false };
        let Some(viewer) = self.slots.hls.at(at).filter(|viewer| viewer.generation == id.generation) else {
            return false;
        };
        viewer.is_sent_away = true;
        true
    }

    fn hls_id(&self, at: usize, generation: u32) -> ConnId {
        ConnId { slot: SlotIndex((self.slots.count() + at) as u32), generation }
    }

    /// The first viewer at place `from` of the table of clients or behind it.
    pub(in crate::server) fn next_hls_viewer(&self, from: usize, now: Millis) -> Option<ClientRow<'_>> {
        let (at, viewer) = self.slots.hls.next(from.saturating_sub(self.slots.count()))?;
        let stream = self.live.names.stream(viewer.stream);
        Some(ClientRow {
            id: self.hls_id(at, viewer.generation),
            peer: viewer.peer,
            app: self.live.apps.name(viewer.app),
            instance: stream.path.instance(),
            agent: &viewer.agent,
            speaks: "hls",
            activity: if viewer.is_sent_away { Activity::Leaving } else { Activity::Plays },
            stream: Some((Some(viewer.stream), stream.path.as_str())),
            seconds: now.since(viewer.since) / 1000,
            bytes_in: 0,
            bytes_out: viewer.bytes_out,
            lag_ms: None,
            skips: 0,
            queue_bytes: 0,
        })
    }
}
