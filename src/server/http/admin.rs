//! What the administrator does over HTTP, and who that is. A request shows it by the key (`Authorization: Bearer`, below `/control` also
//! `?key=`) or by a session that was begun with it.
//!
//! A session is a cookie, which a browser sends whoever has made it ask: so what changes something takes it only from this server's own
//! page, as `Origin` and the kind of its body say, and never with GET. What is done is done by the functions of `rill ctl`.

use log::{info, warn};

use crate::features::recordings::desk::DeskQuestion;
use crate::handles::ConnId;
use crate::limits::ADMIN_KEY_BYTES;
use crate::live::holder::Household;
use crate::live::recording::{NotDeleted, RecordJob, RecordingFileName};
use crate::server::Server;
use crate::server::close::CloseReason;
use crate::server::speaks::Speaks;
use crate::text::Quoted;
use crate::time::Millis;
use crate::wire::http::{HttpRequest, HttpStatus, Method};

use super::answer::{HttpAnswer, Response, SessionCookie};
use super::body::{Content, Pieces};
use super::{Deletion, HttpPhase, Sending};

/// How long a log-in waits for a random number, and how long a deletion waits for the disk, in milliseconds.
const RANDOM_WAIT_MS: u64 = 2000;
const DISK_WAIT_MS: u64 = 30_000;

/// Who may ask something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Anybody, or it asks for more itself.
    Open,
    /// Anybody while `web.public`, else the administrator.
    Shown,
    /// The administrator.
    Admin,
    /// The administrator, by the key alone, which may stand in the URL: GET changes something.
    Control,
}

/// A refusal that is nobody else's to read.
fn no(status: HttpStatus, words: &str) -> Response {
    Response { is_public: false, ..Response::error(status, words) }
}

fn no_key() -> Response {
    no(
        HttpStatus::Forbidden,
        "this takes an admin key, and none is set: `rill ctl admin-key` makes one, or set web.admin_key",
    )
}

fn foreign() -> Response {
    no(HttpStatus::Forbidden, "a page of another host asks for this: only this server's own page may")
}

fn not_json() -> Response {
    no(HttpStatus::UnsupportedMediaType, "Content-Type has to be application/json")
}

/// It was done.
pub(super) fn done() -> HttpAnswer {
    let body = Content::text(format_args!("{{\"ok\":true}}\n"));
    HttpAnswer::Now(Response::new(HttpStatus::Ok, "application/json").with(body))
}

fn refused(status: HttpStatus, words: &str) -> HttpAnswer {
    HttpAnswer::Now(no(status, words))
}

impl Server {
    /// Whether a request is the administrator's, where that may be anybody's; where it has to be, an answer to others.
    ///
    /// # Errors
    ///
    /// That answer.
    #[expect(clippy::result_large_err, reason = "it is the answer, and lives for a call")]
    pub(super) fn is_admitted(
        &mut self,
        conn: ConnId,
        access: Access,
        request: &HttpRequest,
        now: Millis,
    ) -> Result<bool, Response> {
        let is_public = access == Access::Open || access == Access::Shown && self.settings.web_public;
        if self.settings.admin_key.is_none() {
            return if is_public { Ok(false) } else { Err(no_key()) };
        }
        let changes = matches!(access, Access::Admin | Access::Control);
        if changes && request.is_foreign {
            return Err(foreign());
        }
        if access == Access::Open {
            return Ok(false);
        }
        let in_url = request.query::<{ ADMIN_KEY_BYTES + 1 }>("key").filter(|_| access == Access::Control);
        let said = in_url.or(Some(request.bearer.clone()).filter(|bearer| !bearer.is_empty()));
        if let Some(said) = said {
            return self.check_key(conn, &said, now).map(|()| true);
        }
        if access != Access::Control && self.life.admin.goes_on(request.session, now) {
            // A form of another page could be sent with the cookie, but not as JSON.
            let is_form = changes && request.method == Method::Post && !request.is_json;
            return if is_form { Err(not_json()) } else { Ok(true) };
        }
        if is_public { Ok(false) } else { Err(no(HttpStatus::Unauthorized, "this takes the admin key")) }
    }

    /// Whether somebody has said the key.
    #[expect(clippy::result_large_err, reason = "it is the answer, and lives for a call")]
    fn check_key(&mut self, conn: ConnId, said: &str, now: Millis) -> Result<(), Response> {
        let Some(peer) = self.slots.look(conn).map(|slot| slot.peer) else { return Err(no_key()) };
        let Some(key) = &self.settings.admin_key else { return Err(no_key()) };
        let by = Household::of(peer.ip());
        // While it waits not even the right one is taken: it would be found by trying.
        if let Some(wait_ms) = self.life.admin.attempts.wait_ms(by, now) {
            let response = no(HttpStatus::TooManyRequests, "too many wrong keys from this address: wait a minute");
            return Err(Response { retry_s: wait_ms.div_ceil(1000) as u8, ..response });
        }
        if key.is(said) {
            self.life.admin.attempts.succeeded(by);
            return Ok(());
        }
        self.life.admin.attempts.failed(by, now);
        warn!("{conn} admin refused peer={peer} reason=\"wrong key\"");
        Err(no(HttpStatus::Unauthorized, "that is not the admin key"))
    }

    /// Events end: who follows them asks again, and is looked at again.
    pub(in crate::server) fn end_events(&mut self) {
        let is_event = |speaks: &Speaks| match speaks {
            Speaks::Http(http) => matches!(
                &http.phase,
                HttpPhase::Sending(Sending { body: Content::Pieces(Pieces { what, .. }), .. }) if what.is_endless()
            ),
            _ => false,
        };
        let now = self.now;
        self.each_slot(
            |_, speaks| is_event(speaks),
            |server, conn| server.close_after_flush(conn, CloseReason::Answered, now),
        );
    }

    /// The disk has deleted the recording that a client wants to be gone, or has not.
    pub(in crate::server) fn deleted_for(&mut self, conn: ConnId, result: Result<(), NotDeleted>, now: Millis) {
        if let Some((_, Speaks::Http(http))) = self.slots.open_both(conn) {
            http.deletion = Deletion::Done(result);
            self.answer_http(conn, now);
        }
    }
}

/// Who asks, and what may be asked: for the page.
pub(super) fn session(server: &mut Server, _: ConnId, request: &HttpRequest, now: Millis) -> HttpAnswer {
    let is_admin = server.life.admin.goes_on(request.session, now);
    let (has_key, is_public) = (server.settings.admin_key.is_some(), server.settings.web_public);
    let body = Content::text(format_args!("{{\"admin\":{is_admin},\"key\":{has_key},\"public\":{is_public}}}\n"));
    HttpAnswer::Now(Response::new(HttpStatus::Ok, "application/json").with(body))
}

/// Begins a session: `{"key":"..."}`.
pub(super) fn log_in(server: &mut Server, conn: ConnId, request: &HttpRequest, now: Millis) -> HttpAnswer {
    if request.is_foreign {
        return HttpAnswer::Now(foreign());
    }
    if server.settings.admin_key.is_none() {
        return HttpAnswer::Now(no_key());
    }
    if !request.is_json {
        return HttpAnswer::Now(not_json());
    }
    let Some((slot, Speaks::Http(http))) = server.slots.open_both(conn) else { return HttpAnswer::Park };
    let is_secure = slot.is_secure || http.proxy.is_some() && request.forwarded_https;
    let Some(said) = key_of(&http.buffer) else {
        return refused(HttpStatus::BadRequest, "the body has to be {\"key\":\"...\"}");
    };
    if let Err(response) = server.check_key(conn, &said, now) {
        return HttpAnswer::Now(response);
    }
    let Some(token) = server.life.admin.begin(now) else {
        return match request.waited_ms < RANDOM_WAIT_MS {
            true => HttpAnswer::Park,
            false => refused(HttpStatus::ServiceUnavailable, "the system has no random number for a session"),
        };
    };
    server.life.admin.end(request.session);
    if let Some(slot) = server.slots.look(conn) {
        info!("{conn} admin log-in peer={}", slot.peer);
    }
    with_cookie(done(), SessionCookie { token: Some(token), is_secure })
}

/// Ends it.
pub(super) fn log_out(server: &mut Server, conn: ConnId, request: &HttpRequest, now: Millis) -> HttpAnswer {
    if request.is_foreign {
        return HttpAnswer::Now(foreign());
    }
    if server.life.admin.goes_on(request.session, now) {
        server.life.admin.end(request.session);
        server.end_events();
        info!("{conn} admin log-out");
    }
    with_cookie(done(), SessionCookie { token: None, is_secure: false })
}

fn with_cookie(answer: HttpAnswer, cookie: SessionCookie) -> HttpAnswer {
    match answer {
        HttpAnswer::Now(response) => HttpAnswer::Now(Response { cookie: Some(cookie), ..response }),
        HttpAnswer::Park => HttpAnswer::Park,
    }
}

/// The key in `{"key":"..."}`. No key has anything that JSON escapes.
fn key_of(body: &[u8]) -> Option<heapless::String<{ ADMIN_KEY_BYTES + 1 }>> {
    let text = core::str::from_utf8(body).ok()?.trim().strip_prefix('{')?.strip_suffix('}')?;
    let (name, value) = text.split_once(':')?;
    let quoted = |text: &'_ str| text.trim().strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).map(str::len);
    quoted(name).filter(|_| name.trim() == "\"key\"")?;
    let length = quoted(value)?;
    // What is longer than any key is none, whatever is behind.
    Some(value.trim()[1..].chars().take(length.min(ADMIN_KEY_BYTES + 1)).filter(char::is_ascii).collect())
}

/// `/api/clients/ID/disconnect`
pub(super) fn disconnect(server: &mut Server, conn: ConnId, request: &HttpRequest, now: Millis) -> HttpAnswer {
    let id = request.path.strip_prefix("/api/clients/").and_then(|rest| rest.strip_suffix("/disconnect"));
    match server.disconnect_for(conn, id.unwrap_or_default(), now) {
        true => done(),
        false => refused(HttpStatus::NotFound, "there is no client of that id (any more)"),
    }
}

/// `/v3/rtmpconns/kick/ID`
pub(super) fn kick(server: &mut Server, conn: ConnId, request: &HttpRequest, now: Millis) -> HttpAnswer {
    let id = request.path.strip_prefix("/v3/rtmpconns/kick/").unwrap_or_default();
    let (status, words) = match server.disconnect_for(conn, id, now) {
        true => (HttpStatus::Ok, "{\"status\":\"ok\"}"),
        false => (HttpStatus::NotFound, "{\"status\":\"error\",\"error\":\"connection not found\"}"),
    };
    HttpAnswer::Now(Response::new(status, "application/json").with(Content::text(format_args!("{words}"))))
}

/// `/api/streams/APP/NAME/record/start` and `.../stop`
pub(super) fn record(server: &mut Server, conn: ConnId, request: &HttpRequest, now: Millis) -> HttpAnswer {
    let below = request.path.strip_prefix("/api/streams/").and_then(|rest| rest.rsplit_once("/record/"));
    let Some(((app, path), verb)) = below.and_then(|(stream, verb)| Some((stream.split_once('/')?, verb))) else {
        return refused(HttpStatus::NotFound, "a stream is APP/NAME");
    };
    match server.record_for(conn, (app, path), verb == "start", now) {
        Ok(()) => done(),
        Err(words) => refused(HttpStatus::NotFound, words),
    }
}

/// `/api/recordings/APP/PATH/FILE`
pub(super) fn delete(server: &mut Server, conn: ConnId, request: &HttpRequest, _: Millis) -> HttpAnswer {
    let file = request.path.strip_prefix("/api/recordings/").unwrap_or_default();
    let Ok(file) = RecordingFileName::try_from(file) else {
        return refused(HttpStatus::NotFound, NotDeleted::Name.words());
    };
    let Some((_, Speaks::Http(http))) = server.slots.open_both(conn) else { return HttpAnswer::Park };
    let deletion = http.deletion;
    match deletion {
        Deletion::Done(Ok(())) => return done(),
        Deletion::Done(Err(why)) => {
            let status = match why {
                NotDeleted::Name | NotDeleted::Missing | NotDeleted::Link => HttpStatus::NotFound,
                NotDeleted::Recorded => HttpStatus::Conflict,
                NotDeleted::Fault(_) => HttpStatus::InternalServerError,
            };
            return refused(status, why.words());
        }
        Deletion::None => {
            if server.ask_of_recordings(conn, RecordJob::Delete { file: file.clone() }) {
                info!("{conn} admin request=\"delete-recording\" file={}", Quoted(&file));
                if let Some((_, Speaks::Http(http))) = server.slots.open_both(conn) {
                    http.deletion = Deletion::UnderWay;
                }
            }
        }
        // A list that was asked for since then has taken its place.
        Deletion::UnderWay if !server.is_asked_for(conn) => http_again(server, conn),
        Deletion::UnderWay => {}
    }
    if request.waited_ms < DISK_WAIT_MS {
        return HttpAnswer::Park;
    }
    refused(HttpStatus::ServiceUnavailable, "the disk does not answer: try again")
}

fn http_again(server: &mut Server, conn: ConnId) {
    if let Some((_, Speaks::Http(http))) = server.slots.open_both(conn) {
        http.deletion = Deletion::None;
    }
}

/// The configuration is to be read again.
pub(super) fn reload(server: &mut Server, conn: ConnId, _: &HttpRequest, _: Millis) -> HttpAnswer {
    info!("{conn} admin request=\"reload\"");
    server.reload();
    done()
}

impl Server {
    /// Ends a client's connection. False when there is none of that id.
    pub(super) fn disconnect_for(&mut self, by: ConnId, id: &str, now: Millis) -> bool {
        let Some(client) = id.parse().ok().filter(|&client| self.disconnect(client, now)) else { return false };
        info!("{by} admin request=\"disconnect\" client={client}");
        true
    }

    /// Has a stream recorded, or no more.
    pub(super) fn record_for(
        &mut self,
        by: ConnId,
        (app, path): (&str, &str),
        start: bool,
        now: Millis,
    ) -> Result<(), &'static str> {
        self.record(app, path, start, now)?;
        let verb = if start { "start" } else { "stop" };
        info!("{by} admin request=\"record {verb}\" app={} name={}", Quoted(app), Quoted(path));
        Ok(())
    }

    /// The disk is asked, or is to be asked, for this client.
    fn is_asked_for(&self, conn: ConnId) -> bool {
        match &self.features.recordings.desk.question {
            DeskQuestion::Wanted(by, _) | DeskQuestion::UnderWay(by) => *by == conn,
            DeskQuestion::None | DeskQuestion::Page(..) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_from_the_one_form_that_it_is_sent_in() {
        for (body, key) in [
            ("{\"key\":\"abc\"}", Some("abc")),
            (" { \"key\" : \"a:b}\" } \n", Some("a:b}")),
            ("{\"key\":\"\"}", Some("")),
            ("", None),
            ("{}", None),
            ("{\"key\":1}", None),
            ("{\"key\":\"}", None),
            ("{\"kex\":\"abc\"}", None),
            ("key=abc", None),
            ("[\"key\",\"abc\"]", None),
        ] {
            assert_eq!(key_of(body.as_bytes()).as_deref(), key, "{body}");
        }
        let long = format!("{{\"key\":\"{}\"}}", "k".repeat(900));
        assert_eq!(key_of(long.as_bytes()).unwrap().len(), ADMIN_KEY_BYTES + 1);
        assert_eq!(key_of(b"{\"key\":\"\xff\"}"), None);
    }
}
