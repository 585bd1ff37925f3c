//! The table of routes: which URL is answered by what. A page or an endpoint is a line here, and a function.

use crate::handles::ConnId;
use crate::live::reader::StreamView;
use crate::media::Cursor;
use crate::media::headers::headers_mark;
use crate::media::tracks::WantedTracks;
use crate::server::Server;
use crate::time::Millis;
use crate::wire::http::{HttpRequest, HttpStatus, Method};

use super::admin::Access;
use super::answer::{Cache, HttpAnswer, Response};
use super::body::{Content, Pieces, TextKind};
use super::flv::FlvViewer;
use super::mp4::Mp4Viewer;
use super::ring_part::RingPart;
use super::viewer::ViewerFormat;
use super::watch::{Purpose, SeenStream};
use super::{admin, api, assets, control, files, hls, metrics, recordings, stat, tables, v3};

/// The methods of a route that says what there is.
const READS: &str = "GET, HEAD, OPTIONS";

/// What answers a request.
type Function = fn(&mut Server, ConnId, &HttpRequest, Millis) -> HttpAnswer;

/// A row of the table.
pub(super) struct Route {
    /// A path as it is, or with a `*` in it: `/a/*` for all below it, `*.a` for all that ends so, `/a/*/b` for what has a name between.
    pub(super) pattern: &'static str,
    /// What it is, for people.
    pub(super) help: &'static str,
    /// The methods that it has, as a head lists them.
    pub(super) allow: &'static str,
    function: Function,
    /// Any page may read it.
    pub(super) is_public: bool,
    /// It is asked by this server's own page alone: a name that leads here and is none of its own is another's.
    pub(super) is_own: bool,
    /// Who may ask it.
    pub(super) access: Access,
    /// It is watched, also over WebSocket.
    pub(super) is_watched: bool,
}

/// All of them. The first that fits is it: names of ours come before those of streams.
pub(super) const ROUTES: &[Route] = &[
    get("/version", "what this server is", version).public(),
    get("/healthz", "whether it serves", health).public(),
    get("/metrics", "figures for Prometheus", metrics::metrics).public().shown(),
    get("/stat", "figures as nginx-rtmp's, as XML", stat::stat).public().shown(),
    control("/control/*", "what nginx-rtmp's control module does (?key=)"),
    get("/v3/paths/list", "what is live, as MediaMTX has it", v3::paths).own(),
    get("/v3/paths/get/*", "one of it", v3::path).own(),
    get("/v3/rtmpconns/list", "who speaks RTMP, as MediaMTX has it", v3::rtmp_conns).own(),
    post("/v3/rtmpconns/kick/*", "ends one of them", admin::kick),
    get("/routes", "this list", list).public(),
    get("/watch/*", "the player of a stream", watch),
    get("/embed/*", "the player alone", watch),
    get("/api/status", "what is live, as JSON", api::status).own(),
    get("/api/events", "the same each second, as server-sent events", api::events).own(),
    get("/api/applications", "which applications there are, as JSON", tables::applications).own(),
    get("/api/streams", "what is published or waited for, as JSON (?app=NAME)", tables::streams).own(),
    get("/api/clients", "who is there and how it goes for them, as JSON (?app=NAME)", tables::clients).own(),
    get(
        "/api/pushes",
        "streams that are sent to other servers and fetched from them, as JSON (?app=NAME)",
        tables::pushes,
    )
    .own(),
    get("/api/limits", "what there may be of everything, and is, as JSON", tables::limits).own(),
    get("/api/memory", "what memory was obtained for, as JSON", tables::memory).own(),
    get("/api/openapi.json", "what is below /api and beside it, as OpenAPI", description),
    get("/api/diagnosis", "what is wrong, and what to do, as JSON", api::diagnosis).own(),
    get("/api/recordings", "what was recorded, as JSON", recordings::list).own(),
    get("/api/session", "whether the administrator asks", admin::session).own().open(),
    post("/api/login", "begins a session of the administrator's: {\"key\":\"...\"}", admin::log_in).open(),
    post("/api/logout", "ends it", admin::log_out).open(),
    post("/api/clients/*/disconnect", "ends a client's connection", admin::disconnect),
    post("/api/streams/*/record/start", "a stream is recorded", admin::record),
    post("/api/streams/*/record/stop", "it is recorded no more", admin::record),
    delete("/api/recordings/*", "deletes a recording", admin::delete),
    post("/api/reload", "the configuration is read again", admin::reload),
    get("/api/qr.svg", "the page's address as a QR code (?for=HOST:PORT)", api::qr_code),
    get("/recordings/*", "a recording, also in part", files::recording).public(),
    get("/vod-files/*", "a film, also in part", files::film).public(),
    get("*.key.mp4", "its newest key frame", key_frame).public(),
    get("*.m3u8", "a live stream as HLS", hls::playlist).public(),
    get("*.m4s", "a segment of it", hls::segment).public(),
    get("*.init.mp4", "what its segments need first", hls::init).public(),
    get("*.mp4", "a live stream as fragmented MP4, also over WebSocket (?audio=0 ?video=0)", mp4).public().watched(),
    get("*.flv", "a live stream as FLV, also over WebSocket", flv).public().watched(),
    get("/*", "the page and what belongs to it", asset),
];

const fn get(pattern: &'static str, help: &'static str, function: Function) -> Route {
    let access = Access::Open;
    Route { pattern, help, allow: READS, function, is_public: false, is_own: false, access, is_watched: false }
}

/// What changes something is for the administrator.
const fn change(pattern: &'static str, help: &'static str, allow: &'static str, function: Function) -> Route {
    Route { allow, is_own: true, access: Access::Admin, ..get(pattern, help, function) }
}

const fn post(pattern: &'static str, help: &'static str, function: Function) -> Route {
    change(pattern, help, "POST, OPTIONS", function)
}

const fn delete(pattern: &'static str, help: &'static str, function: Function) -> Route {
    change(pattern, help, "DELETE, OPTIONS", function)
}

const fn control(pattern: &'static str, help: &'static str) -> Route {
    Route { access: Access::Control, ..change(pattern, help, "GET, POST, OPTIONS", control::control) }
}

impl Route {
    const fn public(self) -> Route {
        Route { is_public: true, ..self }
    }

    const fn watched(self) -> Route {
        Route { is_watched: true, ..self }
    }

    /// Of what it says nothing is shown to others than the administrator unless `web.public`.
    const fn own(self) -> Route {
        Route { is_own: true, ..self.shown() }
    }

    const fn shown(self) -> Route {
        Route { access: Access::Shown, ..self }
    }

    const fn open(self) -> Route {
        Route { access: Access::Open, ..self }
    }

    fn fits(&self, path: &str) -> bool {
        let Some((before, after)) = self.pattern.split_once('*') else { return path == self.pattern };
        let name = path.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
        // What has an ending has a name before it.
        name.is_some_and(|name| after.is_empty() || !name.is_empty() && !name.ends_with('/'))
    }

    /// What answers a request of this method.
    pub(super) fn function(&self, method: Method) -> Option<Function> {
        let is_allowed = self.allow.split(", ").any(|allowed| allowed == method.name());
        (is_allowed && method != Method::Options).then_some(self.function)
    }
}

/// The route of a path.
pub(super) fn of(path: &str) -> Option<&'static Route> {
    ROUTES.iter().find(|route| route.fits(path))
}

fn version(_: &mut Server, _: ConnId, _: &HttpRequest, _: Millis) -> HttpAnswer {
    let version = env!("CARGO_PKG_VERSION");
    let body = Content::text(format_args!("{{\"name\":\"rill\",\"version\":\"{version}\"}}\n"));
    HttpAnswer::Now(Response::new(HttpStatus::Ok, "application/json").public().with(body))
}

fn health(server: &mut Server, _: ConnId, _: &HttpRequest, _: Millis) -> HttpAnswer {
    if server.life.stopping {
        return HttpAnswer::Now(Response::error(HttpStatus::ServiceUnavailable, "stopping"));
    }
    HttpAnswer::Now(
        Response::new(HttpStatus::Ok, "text/plain; charset=utf-8").public().with(Content::text(format_args!("ok\n"))),
    )
}

fn list(_: &mut Server, _: ConnId, _: &HttpRequest, _: Millis) -> HttpAnswer {
    let body = Content::Pieces(Pieces::new(TextKind::Routes));
    HttpAnswer::Now(Response::new(HttpStatus::Ok, "text/plain; charset=utf-8").public().with(body))
}

fn flv(server: &mut Server, conn: ConnId, request: &HttpRequest, now: Millis) -> HttpAnswer {
    let path = request.path.strip_suffix(".flv").unwrap_or_default();
    server.watch(conn, request, (path, "video/x-flv", ViewerFormat::Flv(FlvViewer::default())), now)
}

fn mp4(server: &mut Server, conn: ConnId, request: &HttpRequest, now: Millis) -> HttpAnswer {
    let path = request.path.strip_suffix(".mp4").unwrap_or_default();
    let wants = |track| request.query::<1>(track).is_none_or(|value| value != "0");
    let wanted = WantedTracks { video: wants("video"), audio: wants("audio") };
    let content_type = if wanted.video { "video/mp4" } else { "audio/mp4" };
    server.watch(conn, request, (path, content_type, ViewerFormat::Mp4(Mp4Viewer::new(wanted))), now)
}

fn key_frame(server: &mut Server, conn: ConnId, request: &HttpRequest, now: Millis) -> HttpAnswer {
    let path = request.path.strip_suffix(".key.mp4").unwrap_or_default();
    let none = || HttpAnswer::Now(Response::error(HttpStatus::NotFound, "there is no picture of that name"));
    let SeenStream { app, path } = match server.may_see(conn, request, path, Purpose::Look, now) {
        Ok(watched) => watched,
        Err(not) => return not.into(),
    };
    let Some(stream) = server.live.names.find(app, &path) else { return none() };
    let Some(media) = StreamView::of(&server.live.names, stream).media else { return none() };
    let Some(point) = media.join(None).filter(|_| media.has_key_frame()) else { return none() };
    let range = (point.cursor.seq, Cursor::behind(point.cursor.seq).seq);
    let (wanted, mark) = (WantedTracks { video: true, audio: false }, headers_mark(media.headers()));
    let part = RingPart::new(stream, media, wanted, range, mark, true);
    HttpAnswer::Now(Response::new(HttpStatus::Ok, "video/mp4").public().with(Content::Ring(part)))
}

fn watch(_: &mut Server, _: ConnId, request: &HttpRequest, _: Millis) -> HttpAnswer {
    embedded("/assets/watch.html", request)
}

fn description(_: &mut Server, _: ConnId, request: &HttpRequest, _: Millis) -> HttpAnswer {
    embedded("/assets/openapi.json", request)
}

fn asset(_: &mut Server, _: ConnId, request: &HttpRequest, _: Millis) -> HttpAnswer {
    embedded(&request.path, request)
}

/// An embedded file.
fn embedded(path: &str, request: &HttpRequest) -> HttpAnswer {
    let Some(asset) = assets::find(path) else {
        return HttpAnswer::Now(Response::error(HttpStatus::NotFound, "there is nothing of that name"));
    };
    if !request.takes_gzip {
        return HttpAnswer::Now(Response::error(
            HttpStatus::NotAcceptable,
            "this is sent with gzip alone (curl --compressed)",
        ));
    }
    let answer = Response::new(HttpStatus::Ok, asset.content_type).cache(Cache::Tag(asset.tag)).gzip().page();
    HttpAnswer::Now(answer.with(Content::Static(asset.gzip)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_what_they_say() {
        let fits = |pattern, path| get(pattern, "", version).fits(path);
        assert!(fits("/version", "/version") && !fits("/version", "/version/") && !fits("/version", "/versions"));
        assert!(fits("/watch/*", "/watch/a/b") && fits("/watch/*", "/watch/") && !fits("/watch/*", "/watch"));
        assert!(fits("*.flv", "/live/a.flv") && fits("*.flv", "/a.flv.flv"));
        assert!(!fits("*.flv", "/.flv") && !fits("*.flv", "/live/.flv") && !fits("*.flv", "/live/a.mp4"));
        assert!(fits("/a/*/b", "/a/c/b") && fits("/a/*/b", "/a/c/d/b"));
        assert!(!fits("/a/*/b", "/a//b") && !fits("/a/*/b", "/a/b") && !fits("/a/*/b", "/a/c/"));
    }

    #[test]
    fn a_route_has_the_methods_that_it_lists() {
        let read = get("/a", "", version);
        let change = Route { allow: "POST, OPTIONS", ..read };
        let has = |route: &Route, method| route.function(method).is_some();
        assert!(has(&read, Method::Get) && has(&read, Method::Head) && !has(&read, Method::Post));
        assert!(has(&change, Method::Post) && !has(&change, Method::Get) && !has(&change, Method::Delete));
        // Which there are is answered without it.
        assert!(!has(&read, Method::Options) && !has(&change, Method::Options));
    }

    #[test]
    fn what_changes_something_is_the_administrators_and_what_shows_something_can_be_kept_from_others() {
        for route in ROUTES {
            let (reads, pattern) = (route.allow == READS, route.pattern);
            match route.access {
                // A session is begun and ended by who is nobody yet.
                Access::Open if !reads => assert!(["/api/login", "/api/logout"].contains(&pattern), "{pattern}"),
                Access::Open => {}
                Access::Shown => assert!(reads, "{pattern}"),
                Access::Admin => assert!(!reads && !route.allow.contains("GET"), "{pattern}"),
                Access::Control => assert!(pattern.starts_with("/control/"), "{pattern}"),
            }
            assert!(reads || route.is_own && !route.is_public, "{pattern}");
        }
    }

    /// What programs ask, and the page; what is watched and looked at is described in docs.
    #[test]
    fn every_route_for_programs_is_described_and_nothing_else_is() {
        let description: serde_json::Value =
            serde_json::from_str(include_str!("../../../assets/openapi.json")).unwrap();
        let described = description["paths"].as_object().unwrap();
        // A name in braces is what a star stands for.
        let plain = |path: &str| path.split(['{', '*']).next().unwrap().to_owned();
        let beginnings = ["/healthz", "/version", "/metrics", "/stat", "/control/", "/v3/", "/api/"];
        let routed = ROUTES.iter().filter(|route| beginnings.iter().any(|begin| route.pattern.starts_with(begin)));
        let routed: std::collections::BTreeSet<String> = routed.map(|route| plain(route.pattern)).collect();
        let described: std::collections::BTreeSet<String> = described.keys().map(|path| plain(path)).collect();
        assert_eq!(described, routed);
    }

    #[test]
    fn every_path_that_is_routed_can_be_reached() {
        for (at, route) in ROUTES.iter().enumerate() {
            let path = route.pattern.replace('*', if route.pattern.starts_with('*') { "/a/b" } else { "b" });
            let found = ROUTES.iter().position(|other| other.fits(&path));
            assert_eq!(found, Some(at), "{path} is taken by another row");
        }
    }
}
