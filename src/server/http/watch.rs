//! Watching what is live over HTTP, as far as it is the same for every format: which stream is meant, whether the client may see it,
//! its place among the players, and the end of that.

use core::net::IpAddr;

use log::{info, warn};

use crate::features::contract::{Does, Happened};
use crate::handles::{AppId, ConnId};
use crate::limits::APP_NAME_BYTES;
use crate::live::app::without_keys;
use crate::live::applications::AppState;
use crate::live::gate::{Verdict, Wish};
use crate::live::holder::{Holder, Who};
use crate::live::names::Stream;
use crate::live::reader::{SeekTo, StreamView};
use crate::live::refusal::Refusal;
use crate::name::{DEFAULT_INSTANCE, StreamName, StreamPath};
use crate::server::Server;
use crate::server::connect::{NoApplication, STALE_WAIT_MS};
use crate::server::refusals;
use crate::server::slot::SlotState;
use crate::text::Word;
use crate::time::Millis;
use crate::wire::http::{HttpRequest, HttpStatus, Method, Upgrade};
use crate::wire::websocket;

use super::answer::{HttpAnswer, Response};
use super::body::Content;
use super::carrier::Carrier;
use super::guest::Guest;
use super::viewer::{Viewer, ViewerFormat};

/// How long a client waits for a name that is not live, in milliseconds. It holds a connection for that time.
const WAIT_MS: u64 = 10_000;

/// A stream that a client may see.
pub(super) struct SeenStream {
    pub(super) app: AppId,
    pub(super) path: StreamPath,
}

/// What a client wants of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To watch it. To the application's script it is a client.
    Watch,
    /// To watch it, by many requests over any connections. To the script those of one viewer are one client.
    WatchInParts,
    /// To have a picture of it. The script does not hear of it: it has what it may watch already.
    Look,
    /// To have what was recorded of it, whether it is live or not. To the script it is a client.
    Fetch,
}

/// Why one may not, or not yet.
pub(super) enum NotWatched {
    /// It is to be asked again.
    Later,
    /// It may not.
    No(HttpStatus, &'static str),
}

impl From<NotWatched> for HttpAnswer {
    fn from(not: NotWatched) -> HttpAnswer {
        match not {
            NotWatched::Later => HttpAnswer::Park,
            NotWatched::No(status, words) => HttpAnswer::Now(Response::error(status, words)),
        }
    }
}

impl From<Refusal> for NotWatched {
    fn from(refusal: Refusal) -> NotWatched {
        let row = refusals::row(refusal);
        let status = match row.x_status {
            400 | 404 => HttpStatus::NotFound,
            // No browser is to ask for a password.
            401 | 403 => HttpStatus::Forbidden,
            500 => HttpStatus::InternalServerError,
            _ => HttpStatus::ServiceUnavailable,
        };
        NotWatched::No(status, row.words)
    }
}

pub(super) const UNKNOWN: NotWatched = NotWatched::No(HttpStatus::NotFound, "there is no such stream");

impl Server {
    /// The stream that a path means (without what its URL ends in), if the client may see it.
    ///
    /// # Errors
    ///
    /// Why not, or that the disk is asked first.
    pub(super) fn may_watch(
        &mut self,
        conn: ConnId,
        request: &HttpRequest,
        path: &str,
        now: Millis,
    ) -> Result<SeenStream, NotWatched> {
        self.may_see(conn, request, path, Purpose::Watch, now)
    }

    /// The same, for another purpose.
    pub(super) fn may_see(
        &mut self,
        conn: ConnId,
        request: &HttpRequest,
        path: &str,
        purpose: Purpose,
        now: Millis,
    ) -> Result<SeenStream, NotWatched> {
        let (app, rest) = path.trim_start_matches('/').split_once('/').ok_or(UNKNOWN)?;
        let app = self.application(conn, app, request.waited_ms, now)?;
        let name = StreamName::parse(rest.as_bytes()).map_err(|_| UNKNOWN)?.name;
        let meant = self.meant(app, &name).ok_or(UNKNOWN)?;
        let peer = self.slots.look(conn).ok_or(UNKNOWN)?.peer;
        let who = self.viewer_of(peer.ip(), meant.instance(), request);
        let wish = Wish::Play { name: meant.name() };
        let allowed = self.live.by_rules(app, &who, Wish::Connect).and_then(|_| self.live.by_rules(app, &who, wish));
        let has_script = self.live.apps.definition(app).is_some_and(|definition| definition.script.is_some());
        let is_elsewhere = has_script
            && purpose == Purpose::WatchInParts
            && self.guest(conn) == Guest::Stranger
            && self.is_guest_elsewhere(conn, request, app, &meant);
        if allowed.is_ok() && has_script && !is_elsewhere && !self.guest(conn).is_in() {
            // Of a recording it is not known which instance, and which script, it is of.
            let is_of_any = purpose == Purpose::Fetch && meant.instance() == DEFAULT_INSTANCE && name.contains('/');
            if purpose == Purpose::Look || is_of_any {
                return Err(NotWatched::No(HttpStatus::Forbidden, "the application's script says who sees it"));
            }
            if matches!(purpose, Purpose::Watch | Purpose::WatchInParts) && !self.live.is_published(app, &meant) {
                // It is asked about what there is.
                return Err(if request.waited_ms < WAIT_MS { NotWatched::Later } else { UNKNOWN });
            }
        }
        let seen = SeenStream { app, path: meant };
        let verdict = match allowed {
            Ok(_) if is_elsewhere => Verdict::Yes,
            Ok(_) => self.ask_guest(conn, request, &seen, now),
            Err(refusal) => Verdict::No(refusal),
        };
        let verdict = match verdict {
            Verdict::Yes => self.ask_hook_for_guest(conn, request, &seen, purpose, now),
            verdict => verdict,
        };
        match verdict {
            Verdict::Yes => {
                if matches!(purpose, Purpose::Watch | Purpose::WatchInParts) {
                    self.want_pull(app, &seen.path, request.waited_ms == 0, now);
                }
                Ok(seen)
            }
            Verdict::Later => Err(NotWatched::Later),
            Verdict::No(refusal) => {
                let row = refusals::row(refusal);
                let definition = self.live.apps.definition(app);
                warn!(
                    "{conn} play refused app={} name={} peer={peer} x_status={} reason={:?} see={:?}",
                    Word(self.live.apps.name(app)),
                    without_keys(definition, &name),
                    row.x_status,
                    row.words,
                    row.remedy
                );
                Err(refusal.into())
            }
        }
    }

    /// Who asks for something of an instance, for the application's rules.
    pub(super) fn viewer_of<'w>(&self, peer: IpAddr, instance: &'w str, request: &'w HttpRequest) -> Who<'w> {
        let (query, clock) = (request.raw_query(), self.link_clock());
        Who { peer, instance, query, has_logged_in: false, clock }
    }

    /// The stream that a name in a URL means. Where instances are apart a URL does not say where its instance ends: of those that it
    /// may mean it is the one that is there, and that of the default instance before others.
    pub(super) fn meant(&self, app: AppId, name: &str) -> Option<StreamPath> {
        let of_it = |stream: &&Stream| stream.app == app && stream.path.is_apart() && stream.path.as_str() == name;
        let rank = |stream: &&Stream| {
            (stream.publisher().is_some() || stream.is_away(), stream.path.instance() == DEFAULT_INSTANCE)
        };
        let found = self.live.names.streams().map(|(_, stream)| stream).filter(of_it).max_by_key(rank);
        match found {
            Some(stream) => Some(stream.path.clone()),
            None => self.live.apps.path(app, name),
        }
    }

    /// Answers a request with what is live, from now on until it ends, in a format. A name that is not live is waited for.
    pub(super) fn watch(
        &mut self,
        conn: ConnId,
        request: &HttpRequest,
        (path, content_type, format): (&str, &'static str, ViewerFormat),
        now: Millis,
    ) -> HttpAnswer {
        let SeenStream { app, path } = match self.may_watch(conn, request, path, now) {
            Ok(watched) => watched,
            Err(not) => return not.into(),
        };
        if !self.live.is_published(app, &path) {
            return if request.waited_ms < WAIT_MS { HttpAnswer::Park } else { UNKNOWN.into() };
        }
        let mut response = Response::new(HttpStatus::Ok, content_type).public();
        let carrier = match &request.upgrade {
            _ if request.method == Method::Head => return HttpAnswer::Now(response.with(Content::Endless)),
            Upgrade::OtherWebSocket => {
                return HttpAnswer::Now(Response::error(HttpStatus::UpgradeRequired, "WebSocket version 13").closing());
            }
            Upgrade::WebSocket(key) => {
                response.accept = Some(websocket::accept(key));
                Carrier::WebSocket
            }
            Upgrade::No if request.is_http_1_1 => Carrier::Chunked,
            Upgrade::No => Carrier::Plain,
        };
        if let Err(refusal) = self.room_for_viewer(conn, app, path.as_str(), now) {
            return NotWatched::from(refusal).into();
        }
        let by = Holder::Conn(conn, 0);
        let mut reader = match self.live.play(by, app, &path, &self.settings, now) {
            Ok(reader) => reader,
            Err(refusal) => return NotWatched::from(refusal).into(),
        };
        if let Some(back_ms) = request.query::<10>("back_ms").and_then(|ms| ms.parse().ok()) {
            let source = StreamView::of(&self.live.names, reader.stream());
            let sought = reader.seek(SeekTo::Back(back_ms), source, self.settings.gop_cache, now);
            debug_assert!(sought.rest.is_none(), "it was sent nothing");
        }
        let viewer = Viewer::new(reader, format, carrier);
        let (id, as_what) = (reader.stream(), viewer.name());
        let (slot, speaks) = self.slots.both(conn.slot);
        (slot.app, slot.playing, slot.last_active) = (Some(app), 1, now);
        let peer = slot.peer;
        if let Some(http) = speaks.http_mut() {
            http.is_joined = true;
        }
        if let Some(app) = self.live.apps.app_mut(app) {
            app.connected += 1;
        }
        self.slots.connected();
        self.slots.judge(conn.slot, now);
        self.counters.played += 1;
        info!(
            "{conn} {id} play start app={} name={} peer={peer} live=true as={as_what} agent={:?}",
            Word(self.live.apps.name(app)),
            without_keys(self.live.apps.definition(app), path.as_str()),
            request.agent.as_str()
        );
        self.limit_new(conn);
        self.happened(Happened::Joined { conn, app }, now);
        self.happened(Happened::Began { by, stream: id, does: Does::Play }, now);
        HttpAnswer::Now(response.with(Content::Live(viewer)))
    }

    /// One more may join the application, and play in it.
    fn room_for_viewer(&mut self, conn: ConnId, app: AppId, name: &str, now: Millis) -> Result<(), Refusal> {
        let by = Holder::Conn(conn, 0);
        if self.slots.is_full() && !self.make_room(conn, now, &|_| true) {
            return Err(Refusal::NoConnection);
        }
        for wish in [Wish::Connect, Wish::Play { name }] {
            if let Err(refusal) = self.live.by_limits(app, by, wish)
                && !self.make_room(conn, now, &|slot| slot.plays_in(app))
            {
                return Err(refusal);
            }
        }
        if self.slots.is_full_for_players(1) && !self.make_room(conn, now, &|_| true) {
            return Err(Refusal::NoConnection);
        }
        Ok(())
    }

    /// The client watches no more, whatever of it is still to be sent.
    pub(in crate::server) fn stop_watching(&mut self, conn: ConnId) {
        let Some((slot, speaks)) = self.slots.both_of(conn) else { return };
        let Some(reader) = speaks.http().and_then(|http| http.reader()).copied().filter(|_| slot.playing > 0) else {
            return;
        };
        slot.playing = 0;
        let (by, id) = (Holder::Conn(conn, 0), reader.stream());
        self.live.stop(by, id);
        info!("{conn} {id} play stop skips={}", reader.skips());
        self.happened(Happened::Ended { by, stream: id, does: Does::Play }, self.now);
    }

    /// The application of that name, once the disk has said what it is.
    pub(super) fn application(
        &mut self,
        conn: ConnId,
        name: &str,
        waited_ms: u64,
        now: Millis,
    ) -> Result<AppId, NotWatched> {
        let name = heapless::String::<APP_NAME_BYTES>::try_from(name).map_err(|_| UNKNOWN)?;
        let id = self.place_of(&name, now).map_err(|no| match no {
            NoApplication::Unknown => UNKNOWN,
            NoApplication::InUse => {
                NotWatched::No(HttpStatus::ServiceUnavailable, "every application is in use (limits.applications)")
            }
        })?;
        let Some(state) = self.live.apps.app(id).map(|app| app.state) else { return Err(UNKNOWN) };
        let Some(slot) = self.slots.open(conn) else { return Err(UNKNOWN) };
        let was_asked = slot.app.replace(id) == Some(id);
        match state {
            AppState::Ready if self.live.apps.is_stale(id, now) && waited_ms < STALE_WAIT_MS => {}
            AppState::Ready => return Ok(id),
            AppState::Broken if was_asked => {
                let words = "the application's configuration is wrong; the server's log says where";
                return Err(NotWatched::No(HttpStatus::ServiceUnavailable, words));
            }
            AppState::Reading | AppState::Broken if waited_ms < self.settings.connect_timeout_ms => {}
            AppState::Reading | AppState::Broken => {
                return Err(NotWatched::No(HttpStatus::ServiceUnavailable, "the disk has not answered in time"));
            }
            AppState::Leaving => return Err(UNKNOWN),
        }
        self.live.apps.ask(id);
        Err(NotWatched::Later)
    }

    /// The answer is not what keeps the connection in an application: one that is gone is forgotten.
    pub(super) fn leave_application(&mut self, conn: ConnId) {
        let Some((slot, speaks)) = self.slots.both_of(conn) else { return };
        if speaks.http().is_some_and(|http| !http.is_joined)
            && slot.state == SlotState::Open
            && slot.instance.is_none()
            && let Some(app) = slot.app.take()
        {
            self.forget_if_left(app);
        }
    }
}
