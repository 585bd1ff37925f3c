//! What an application's script has to say of a client over HTTP.
//!
//! Whoever asks for a stream of an instance with a script is a client of that instance: `onConnect` hears of it once, and decides
//! how its request is answered; then `readAccess` is asked for each request. `onDisconnect` follows when the connection ends, or when
//! it asks for something of another instance. Its request is parked until all of that has been said.

use core::fmt::Write;

use log::{info, warn};

use crate::handles::{AppId, ConnId};
use crate::limits::{HTTP_FIELD_BYTES, HTTP_PATH_BYTES, HTTP_QUERY_BYTES};
use crate::live::app::without_keys;
use crate::live::gate::{Verdict, Wish};
use crate::live::holder::Holder;
use crate::live::refusal::Refusal;
use crate::server::Server;
use crate::server::close::CloseReason;
use crate::server::connect::Field;
use crate::server::instances::InstanceIndex;
use crate::server::scripts::client_id;
use crate::server::speaks::Speaks;
use crate::text::{Quoted, Word};
use crate::time::Millis;
use crate::wire::amf0::Encoder;
use crate::wire::bytes::Writer;
use crate::wire::http::{HttpRequest, HttpStatus};
use crate::wire::script_link::{Access, AccessSet, ClientFacts, Question, ToHost};

use super::answer::{Location, Response};
use super::guest::{Guest, MayRead};
use super::watch::SeenStream;

impl Server {
    /// What the application's script says to a client that wants a stream. Nothing is asked in vain: what the other links of the gate
    /// say is known.
    pub(super) fn ask_guest(&mut self, conn: ConnId, request: &HttpRequest, seen: &SeenStream, now: Millis) -> Verdict {
        let (app, name) = (seen.app, seen.path.instance());
        let pending_ms = self.script_limits(app).map(|limits| limits.pending_ms);
        let own = self.slots.look(conn).and_then(|slot| self.scripting.instances.instance(slot.instance?));
        let is_other = own.is_some_and(|own| own.app != app || own.name != name || pending_ms.is_none());
        if is_other || self.guest(conn) == Guest::Forgotten {
            self.leave_instance(conn, now);
        }
        let Some(pending_ms) = pending_ms else { return Verdict::Yes };
        match self.guest(conn) {
            Guest::Stranger => self.announce_guest(conn, request, seen, now + self.settings.connect_timeout_ms, now),
            Guest::Queued(until) if now < until => self.announce_guest(conn, request, seen, until, now),
            Guest::Undecided(until) | Guest::In(MayRead::Asked(_, until)) if now < until => Verdict::Later,
            Guest::In(MayRead::Unasked) => self.ask_to_read(conn, seen, now + pending_ms, now),
            Guest::In(MayRead::Unsaid(until)) if now < until => self.ask_to_read(conn, seen, until, now),
            Guest::In(MayRead::Said(true)) => Verdict::Yes,
            Guest::In(MayRead::Said(false)) => Verdict::No(Refusal::ReadAccess),
            Guest::In(MayRead::Unsaid(_) | MayRead::Asked(..)) => {
                self.set_guest(conn, Guest::In(MayRead::Unasked));
                Verdict::No(Refusal::Unanswered)
            }
            Guest::Queued(_) | Guest::Undecided(_) | Guest::Forgotten => {
                self.leave_instance(conn, now);
                Verdict::No(Refusal::Unanswered)
            }
        }
    }

    /// Puts a client into its instance, and tells the script of it.
    fn announce_guest(
        &mut self,
        conn: ConnId,
        request: &HttpRequest,
        seen: &SeenStream,
        until: Millis,
        now: Millis,
    ) -> Verdict {
        if let Err(refusal) = self.would_have_room(conn, seen.app, seen.path.name(), now) {
            return Verdict::No(refusal);
        }
        // Before the script runs, which may say otherwise.
        self.limit_new(conn);
        let entered = match self.slots.look(conn).and_then(|slot| slot.instance) {
            Some(index) => Ok(Some(index)),
            None => self.enter_instance(conn, seen.app, seen.path.instance(), now),
        };
        let index = match entered {
            Ok(index) => index,
            Err(refusal) => return Verdict::No(refusal),
        };
        if index.is_some_and(|index| self.tell_of_guest(conn, index, request, now)) {
            let pending_ms = self.script_limits(seen.app).map_or(0, |limits| limits.pending_ms);
            self.set_guest(conn, Guest::Undecided(now + pending_ms));
        } else {
            self.set_guest(conn, Guest::Queued(until));
            self.wait_for_script(conn);
        }
        Verdict::Later
    }

    /// The application's limits have nothing against one more, or somebody would give way.
    fn would_have_room(&mut self, conn: ConnId, app: AppId, name: &str, now: Millis) -> Result<(), Refusal> {
        for wish in [Wish::Connect, Wish::Play { name }] {
            if let Err(refusal) = self.live.by_limits(app, Holder::Conn(conn, 0), wish)
                && self.slots.first_to_yield(conn, now, &|slot| slot.plays_in(app)).is_none()
            {
                return Err(refusal);
            }
        }
        Ok(())
    }

    /// `application.onConnect`, with the query as its argument if there is one. False when there is no room to say it.
    fn tell_of_guest(&mut self, conn: ConnId, index: InstanceIndex, request: &HttpRequest, now: Millis) -> bool {
        let (to_client_bytes_s, to_server_bytes_s) = self.bandwidth_limit(conn);
        let Some(instance) = self.scripting.running(index) else { return false };
        let Some((peer, is_secure)) = self.slots.look(conn).map(|slot| (slot.peer, slot.is_secure)) else {
            return false;
        };
        let (mut ip, mut id) = (heapless::String::<48>::new(), heapless::String::<24>::new());
        let mut uri = heapless::String::<{ HTTP_FIELD_BYTES + HTTP_PATH_BYTES + 16 }>::new();
        // All fit: the longest address has 45 characters.
        let _ = write!(ip, "{}", peer.ip().to_canonical());
        let _ = write!(id, "{conn}");
        let is_proxied = self.slots.peek_both(conn.slot).1.http().is_some_and(|http| http.proxy.is_some());
        let secure = is_secure || (is_proxied && request.forwarded_https);
        let protocol = if secure { "https" } else { "http" };
        let _ = write!(uri, "{protocol}://{}{}", request.host, request.path);
        let facts = ClientFacts {
            ip: &ip,
            agent: &request.agent,
            referrer: &request.referrer,
            page_url: &request.referrer,
            uri: &uri,
            id: &id,
            protocol,
            secure,
            to_client_bytes_s,
            to_server_bytes_s,
        };
        let mut bytes = [0; HTTP_QUERY_BYTES + 8];
        let mut arguments = Writer::new(&mut bytes);
        let query = request.raw_query();
        if !query.is_empty() {
            let written = Encoder::new(&mut arguments).string(query);
            debug_assert!(written.is_ok(), "a query fits");
        }
        let connect = ToHost::Connect { instance, client: client_id(conn), facts, arguments: arguments.written() };
        self.scripting.tell(index, &connect, now).is_ok()
    }

    /// Asks for the script's `readAccess`.
    fn ask_to_read(&mut self, conn: ConnId, seen: &SeenStream, until: Millis, now: Millis) -> Verdict {
        let Some(index) = self.slots.look(conn).and_then(|slot| slot.instance) else { return Verdict::Later };
        let Some(instance) = self.scripting.running(index) else { return Verdict::No(Refusal::Unanswered) };
        let question = self.scripting.question(conn, 0.0);
        let wanted = AccessSet::of(&[Access::Read]);
        let told =
            self.scripting.tell(index, &ToHost::Access { instance, question, wanted, stream: seen.path.name() }, now);
        if told.is_err() {
            self.wait_for_script(conn);
        }
        let may = if told.is_ok() { MayRead::Asked(question.number, until) } else { MayRead::Unsaid(until) };
        self.set_guest(conn, Guest::In(may));
        Verdict::Later
    }

    /// How a client stands; a stranger is also who speaks no HTTP.
    pub(in crate::server) fn guest(&self, conn: ConnId) -> Guest {
        let known = self.slots.look(conn).is_some();
        let http = self.slots.peek_both(conn.slot).1.http().filter(|_| known);
        http.map_or(Guest::Stranger, |http| http.guest)
    }

    fn set_guest(&mut self, conn: ConnId, guest: Guest) {
        if let Some((_, Speaks::Http(http))) = self.slots.both_of(conn) {
            http.guest = guest;
        }
    }

    /// The script has let it in. False when it speaks no HTTP.
    pub(in crate::server) fn guest_is_in(&mut self, conn: ConnId, now: Millis) -> bool {
        let Some((slot, Speaks::Http(http))) = self.slots.open_both(conn) else { return false };
        if !matches!(http.guest, Guest::Undecided(_)) {
            return true;
        }
        http.guest = Guest::In(MayRead::Unasked);
        let (app, instance) = (slot.app, slot.instance.and_then(|index| self.scripting.instances.instance(index)));
        info!(
            "{conn} connect app={} instance={} peer={} x_status=200 agent={:?}",
            Word(app.map_or("", |app| self.live.apps.name(app))),
            without_keys(
                app.and_then(|app| self.live.apps.definition(app)),
                instance.map_or("", |instance| instance.name.as_str())
            ),
            slot.peer,
            http.agent()
        );
        self.answer_http(conn, now);
        true
    }

    /// The script has said whether it may have what it asks for.
    pub(in crate::server) fn guest_may_read(&mut self, conn: ConnId, question: Question, yes: bool, now: Millis) {
        if let Guest::In(MayRead::Asked(number, _)) = self.guest(conn)
            && number == question.number
        {
            self.set_guest(conn, Guest::In(MayRead::Said(yes)));
            self.answer_http(conn, now);
        }
    }

    /// The script does not let it in, or sends it elsewhere. False when it speaks no HTTP.
    pub(in crate::server) fn refuse_guest(
        &mut self,
        conn: ConnId,
        description: Option<&str>,
        to: Option<&str>,
        now: Millis,
    ) -> bool {
        if self.slots.peek_both(conn.slot).1.http().is_none() {
            return false;
        }
        let words = description.unwrap_or("the application's script refused it");
        match to.and_then(Location::parse) {
            Some(to) => self.turn_away(conn, HttpStatus::Found, words, Some(to), now),
            None => self.turn_away(conn, HttpStatus::Forbidden, words, None, now),
        }
        true
    }

    /// The instance of a client ends: whoever waits for it hears that, others go. False when it speaks no HTTP.
    pub(in crate::server) fn dismiss_guest(
        &mut self,
        conn: ConnId,
        (status, words): (HttpStatus, &str),
        reason: CloseReason,
        now: Millis,
    ) -> bool {
        if self.slots.peek_both(conn.slot).1.http().is_none() {
            return false;
        }
        match self.guest(conn) {
            Guest::Queued(_) | Guest::Undecided(_) => self.turn_away(conn, status, words, None, now),
            Guest::Stranger | Guest::In(_) | Guest::Forgotten => self.close_after_flush(conn, reason, now),
        }
        true
    }

    /// The process of a client's instance has ended, and the instance is loaded again. False when it speaks no HTTP.
    pub(in crate::server) fn guest_waits_again(&mut self, conn: ConnId, until: Millis, now: Millis) -> bool {
        let Some((slot, Speaks::Http(http))) = self.slots.open_both(conn) else { return false };
        match http.guest {
            Guest::Queued(_) | Guest::Undecided(_) => {
                http.guest = Guest::Queued(until);
                self.wait_for_script(conn);
            }
            Guest::In(_) | Guest::Forgotten if slot.playing > 0 => http.guest = Guest::Forgotten,
            Guest::In(_) | Guest::Forgotten => {
                // It is let in again by its next request, or by the one that waits.
                http.guest = Guest::Forgotten;
                self.leave_instance(conn, now);
                self.wait_for_script(conn);
            }
            Guest::Stranger => {}
        }
        true
    }

    /// Answers a request that waited for a script, or for a hook.
    pub(super) fn turn_away(
        &mut self,
        conn: ConnId,
        status: HttpStatus,
        words: &str,
        to: Option<Location>,
        now: Millis,
    ) {
        let Some(slot) = self.slots.open(conn) else { return };
        let (app, peer) = (slot.app, slot.peer);
        warn!(
            "{conn} connect {} app={} peer={peer} x_status={} reason={words:?}{}",
            if to.is_some() { "redirected" } else { "refused" },
            Word(app.map_or("", |app| self.live.apps.name(app))),
            status.code(),
            Field(" to", to.as_ref().map(|to| Quoted(to.as_str()))),
        );
        self.leave_instance(conn, now);
        self.respond(conn, Response { location: to, ..Response::error(status, words) }, now);
    }
}
