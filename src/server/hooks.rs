//! Hooks at work: what they are asked and told, connections to them, and what becomes of their answers. Which calls wait and are under
//! way is known to [`crate::features::hooks`].

use core::fmt::{self, Write};

use log::{info, warn};

use crate::features::contract::{Does, Happened};
use crate::features::hooks::body::{self, HookBody, HookMore, HookSays};
use crate::features::hooks::{HookCall, HookFacts, HookState};
use crate::handles::{AppId, ConnId, SlotIndex, StreamId};
use crate::limits::{HTTP_FIELD_BYTES, HTTP_PATH_BYTES, RELAY_HOST_BYTES, RELAY_URL_BYTES, TX_BYTES};
use crate::live::gate::{Verdict, Wish};
use crate::live::holder::Holder;
use crate::live::hook_settings::{HookEvent, HookSettings, HookStyle, HookUrl, WhenDown};
use crate::live::recording::CompleteFile;
use crate::live::refusal::Refusal;
use crate::name::{DEFAULT_INSTANCE, StreamName, StreamPath};
use crate::rtmp::event::{PublishMode, Request};
use crate::rtmp::status::{Code, Extra, Status};
use crate::text::{Quoted, Word};
use crate::time::Millis;
use crate::wire::http_answer::AnswerFault;
use crate::wire::keyed::hmac_sha256;
use crate::wire::rtmp_url::RtmpLocation;

use super::Server;
use super::close::{CloseReason, Loss, Rejection, TlsFault};
use super::hook_line::{HookLine, HookReply};
use super::hook_said::HookSaid;
use super::peer::Peer;
use super::rtmp::{Asked, Joining};
use super::slot::SlotState;
use super::speaks::Speaks;
use super::transport::Net;

/// So much later than the feature's own deadline a client's own says that nobody decides, in milliseconds: it is never reached.
const SPARE_MS: u64 = 2000;

/// The longest head of a request, without what the application adds to it and its URL.
const OWN_HEAD_BYTES: usize = 400;
const _: () = assert!(
    OWN_HEAD_BYTES + crate::limits::HOOK_HEADERS_BYTES + RELAY_URL_BYTES + crate::limits::HOOK_BODY_BYTES <= TX_BYTES,
    "a request fits the control bytes"
);

/// What a client hears of its question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HookOutcome<'a> {
    /// The hook has said this.
    Said(HookReply<'a>),
    /// It has said nothing.
    Down,
}

impl Server {
    /// What the application says of its hooks.
    pub(super) fn hooks_of(&self, app: AppId) -> Option<&HookSettings> {
        self.live.apps.definition(app).map(|definition| &definition.hooks)
    }

    /// The last link of the gate: what the application's hook says. Its answer comes later, and then the whole chain is asked once more.
    pub(super) fn ask_hook(&mut self, conn: ConnId, wish: Wish<'_>, path: &mut StreamPath, now: Millis) -> Verdict {
        let event = match wish {
            Wish::Connect => HookEvent::Connect,
            Wish::Publish { .. } => HookEvent::Publish,
            Wish::Play { .. } => HookEvent::Play,
        };
        let Some(app) = self.slots.look(conn).and_then(|slot| slot.app) else { return Verdict::Later };
        if let Some((_, rtmp)) = self.slots.open_client(conn)
            && let Asked::Hooked(said) = rtmp.asked
            && wish != Wish::Connect
        {
            rtmp.asked = Asked::Nothing;
            if said == HookSaid::Renamed {
                return self.rename(app, path);
            }
            return said.verdict();
        }
        let Some(deadline) = self.question_deadline(app, event, now) else { return Verdict::Yes };
        let Some(number) = self.features.hooks.ask(conn, app, event, deadline) else {
            return self.without_answer(app).verdict();
        };
        let Some((_, rtmp)) = self.slots.open_client(conn) else { return Verdict::Later };
        let deadline = deadline + SPARE_MS;
        match wish {
            Wish::Connect => rtmp.joining = Joining::Hook { number, deadline },
            Wish::Publish { .. } | Wish::Play { .. } => rtmp.asked = Asked::Hook { number, deadline },
        }
        Verdict::Later
    }

    /// Until when a hook is waited for; `None` when there is none to ask.
    pub(super) fn question_deadline(&self, app: AppId, event: HookEvent, now: Millis) -> Option<Millis> {
        let hooks = self.hooks_of(app)?;
        hooks.url(event).map(|_| now + hooks.timeout_ms)
    }

    /// What holds when a hook cannot be asked.
    pub(super) fn without_answer(&self, app: AppId) -> HookSaid {
        match self.hooks_of(app).map(|hooks| hooks.when_down) {
            Some(WhenDown::Allow) => HookSaid::Yes,
            Some(WhenDown::Deny) | None => HookSaid::Nothing,
        }
    }

    /// The hook calls the stream otherwise.
    fn rename(&self, app: AppId, path: &mut StreamPath) -> Verdict {
        let instance = if path.is_apart() { path.instance() } else { DEFAULT_INSTANCE };
        let renamed = self.live.apps.definition(app).map(|app| app.path(instance, &self.features.hooks.renamed));
        match renamed {
            Some(Ok(renamed)) => {
                *path = renamed;
                Verdict::Yes
            }
            _ => Verdict::No(Refusal::Path),
        }
    }

    /// The client's script has let it in: the hook is asked last.
    pub(super) fn let_in_by_script(&mut self, conn: ConnId, now: Millis) {
        match self.ask_hook(conn, Wish::Connect, &mut StreamPath::default(), now) {
            Verdict::Yes => self.joined(conn, now),
            Verdict::No(refusal) => self.refuse_to_join(conn, refusal, now),
            Verdict::Later => {}
        }
    }

    /// Begins calls for which there is a place, makes their connections, and ends those whose time is over.
    pub(super) fn tend_hooks<N: Net>(&mut self, net: &mut N, now: Millis) {
        if !self.features.hooks.take_untended() {
            return;
        }
        while let Some(call) = self.features.hooks.take_overdue(now) {
            self.hook_answered(call, HookOutcome::Down, now);
        }
        while let Some(at) = self.features.hooks.next_overdue(now) {
            self.end_hook(net, at, Err("it did not answer in time"), now);
        }
        for at in 0..self.features.hooks.count() {
            self.dial_hook(net, at, now);
        }
        while let Some((at, call)) = self.features.hooks.take_next(&self.live, now) {
            if call.conn.is_some() {
                match self.question_body(call, now) {
                    Some(Ok(body)) => self.features.hooks.place_mut(at).body = body,
                    Some(Err(body::BodyTooLong)) => {
                        warn!(
                            "rill hook not asked hook={}: name and query are too long (HOOK_BODY_BYTES)",
                            call.event.name()
                        );
                        self.hook_answered(call, HookOutcome::Said(HookReply::No), now);
                        continue;
                    }
                    // It has gone.
                    None => continue,
                }
            }
            match self.features.hooks.begin(at, call, &self.live, now) {
                true => self.dial_hook(net, at, now),
                // There is no such hook any more.
                false => self.hook_answered(call, HookOutcome::Said(HookReply::Yes), now),
            }
        }
        self.features.hooks.set_wake();
    }

    /// Makes a connection, if one is to be made, and says there what there is to say.
    fn dial_hook<N: Net>(&mut self, net: &mut N, at: usize, now: Millis) {
        if self.features.hooks.place(at).state != HookState::Dials {
            return;
        }
        self.features.hooks.keep_addresses(at, &self.live, now);
        let Some(address) = self.features.hooks.place_mut(at).next_address() else {
            return self.end_hook(net, at, Err("the host's name is not known (DNS)"), now);
        };
        let Some(call) = self.features.hooks.place(at).call else { return };
        let Some(hooks) = call.settings(&self.live) else {
            return self.end_hook(net, at, Err("its application is gone"), now);
        };
        let Some(url) = hooks.url(call.event) else {
            return self.end_hook(net, at, Err("there is no such hook any more"), now);
        };
        let parts = url.parts();
        let secure =
            parts.secure.then(|| heapless::String::<RELAY_HOST_BYTES>::try_from(parts.host).unwrap_or_default());
        if secure.is_some() && net.clock_ms().is_none() {
            let words = "the clock is not set: without, no certificate can be judged";
            return self.end_hook(net, at, Err(words), now);
        }
        let speaks = Speaks::Hook(HookLine::expecting(call.event, hooks));
        let conn = self.slots.take_hook(at, Peer::Ip(address), speaks, now);
        let (slot, _) = self.slots.both(conn.slot);
        let body = &self.features.hooks.place(at).body;
        let said = slot.tx.write_with(|free| write_request(url, hooks, body, free));
        debug_assert!(said.is_ok(), "a request fits");
        self.features.hooks.place_mut(at).state = HookState::Asks;
        match self.dial_out(net, conn, address, secure.as_deref()) {
            Ok(()) => self.wakes.send(conn.slot),
            Err(Loss::Tls(fault)) => self.end_hook(net, at, Err(tls_words(fault)), now),
            Err(_) => self.lose_hook(net, at, "no socket can be had", now),
        }
    }

    /// A hook has said something, or what is no answer.
    pub(super) fn hook_heard<N: Net>(
        &mut self,
        net: &mut N,
        conn: ConnId,
        heard: Result<(), AnswerFault>,
        now: Millis,
    ) {
        if let Some(at) = self.slots.hook_at(conn.slot) {
            self.end_hook(net, at, heard.map_err(|fault| fault.words()), now);
        }
    }

    /// The network has ended the connection of a hook.
    pub(super) fn lost_hook<N: Net>(&mut self, net: &mut N, conn: ConnId, reason: CloseReason, now: Millis) {
        let Some(at) = self.slots.hook_at(conn.slot) else { return };
        let (slot, speaks) = self.slots.both(conn.slot);
        let is_new = slot.bytes_in == 0 && slot.bytes_out == 0;
        if let CloseReason::Tls(fault) = reason {
            return self.end_hook(net, at, Err(tls_words(fault)), now);
        }
        let ended = match speaks {
            Speaks::Hook(line) if reason == CloseReason::PeerClosed => line.answer.end().map_err(|fault| fault.words()),
            _ if is_new && reason == CloseReason::PeerReset => Err("it refuses the connection"),
            _ if is_new => Err("it cannot be reached"),
            _ => Err("the connection to it broke"),
        };
        match ended {
            Err(words) if is_new => self.lose_hook(net, at, words, now),
            ended => self.end_hook(net, at, ended, now),
        }
    }

    /// No connection came about: another address is tried, if there is one.
    fn lose_hook<N: Net>(&mut self, net: &mut N, at: usize, words: &str, now: Millis) {
        if !self.features.hooks.place_mut(at).tries_again() {
            return self.end_hook(net, at, Err(words), now);
        }
        self.hang_up_hook(net, at);
    }

    fn hang_up_hook<N: Net>(&mut self, net: &mut N, at: usize) {
        let index = self.slots.hook_slot(at);
        if self.slots.peek(index).state != SlotState::Free {
            net.close(index);
            self.wakes.forget(index);
            self.slots.release(index);
        }
    }

    /// A call is over: there is an answer, or there is none for this reason.
    fn end_hook<N: Net>(&mut self, net: &mut N, at: usize, answered: Result<(), &str>, now: Millis) {
        let style =
            self.features.hooks.place(at).call.and_then(|call| call.settings(&self.live)).map(|hooks| hooks.style);
        let mut instead = heapless::String::<RELAY_URL_BYTES>::new();
        let index = self.slots.hook_slot(at);
        let reply = match self.slots.peek_both(index).1 {
            Speaks::Hook(line) if answered.is_ok() => line.reply(style.unwrap_or_default()),
            _ => HookReply::No,
        };
        let reply = match reply {
            HookReply::Instead(text) => {
                // It is no longer than its reader keeps.
                let _ = instead.push_str(text);
                HookReply::Instead(&instead)
            }
            HookReply::Yes => HookReply::Yes,
            HookReply::No => HookReply::No,
        };
        self.hang_up_hook(net, at);
        let Some(call) = self.features.hooks.finish(at, answered, &self.live) else { return };
        self.hook_answered(call, if answered.is_ok() { HookOutcome::Said(reply) } else { HookOutcome::Down }, now);
    }

    /// Who waits for an answer has it.
    fn hook_answered(&mut self, call: HookCall, outcome: HookOutcome<'_>, now: Millis) {
        let Some(conn) = call.conn.filter(|conn| self.slots.look(*conn).is_some()) else { return };
        let (said, instead) = match outcome {
            HookOutcome::Said(HookReply::Yes) => (HookSaid::Yes, None),
            HookOutcome::Said(HookReply::No) => (HookSaid::No, None),
            HookOutcome::Said(HookReply::Instead(instead)) => (HookSaid::No, Some(instead)),
            HookOutcome::Down => (self.without_answer(call.app), None),
        };
        if self.slots.peek_both(conn.slot).1.http().is_some() {
            return self.guest_hooked(conn, call.number, said, instead, now);
        }
        let Some((_, rtmp)) = self.slots.open_client(conn) else { return };
        let is_awaited = match call.event {
            HookEvent::Connect => matches!(rtmp.joining, Joining::Hook { number, .. } if number == call.number),
            _ => matches!(rtmp.asked, Asked::Hook { number, .. } if number == call.number),
        };
        if !is_awaited {
            return;
        }
        let url = instead.filter(|instead| RtmpLocation::parse(instead).is_ok());
        if let Some(url) = url {
            return self.send_elsewhere(conn, call.event, url, now);
        }
        let said = match instead.map(|name| StreamName::parse(name.as_bytes())) {
            Some(Ok(name)) if call.event != HookEvent::Connect && !name.name.contains("://") => {
                // A name is no longer than a path.
                self.features.hooks.renamed = heapless::String::try_from(name.name.as_str()).unwrap_or_default();
                HookSaid::Renamed
            }
            _ => said,
        };
        if call.event != HookEvent::Connect {
            let Some((_, rtmp)) = self.slots.open_client(conn) else { return };
            rtmp.asked = Asked::Hooked(said);
            return self.request(conn, now);
        }
        match said.verdict() {
            Verdict::No(refusal) => self.refuse_to_join(conn, refusal, now),
            _ => self.joined(conn, now),
        }
    }

    /// The hook sends a client to another server. One that wants to publish or play can follow only when it says so.
    fn send_elsewhere(&mut self, conn: ConnId, event: HookEvent, url: &str, now: Millis) {
        let reason = CloseReason::Rejected(Rejection::Redirected);
        if event == HookEvent::Connect {
            let extra = Extra::Rejected { application: None, redirect: Some(url) };
            return self.refuse_connect_with(conn, Status::new(Code::ConnectRejected, "").with(extra), reason, now);
        }
        let Some((slot, rtmp)) = self.slots.open_client(conn) else { return };
        if !rtmp.session.connect_info().reconnects() {
            rtmp.asked = Asked::Hooked(HookSaid::No);
            return self.request(conn, now);
        }
        info!("{conn} {} redirected to={}", event.name(), Quoted(url));
        let status = Status::new(Code::ConnectReconnectRequest, "").with(Extra::ReconnectTo(url));
        // Without room the client sees the end of the connection only.
        let _ = rtmp.session.status(None, status, &mut slot.tx);
        self.close_after_flush(conn, reason, now);
    }
}

/// Facts.
impl Server {
    /// What a client that joins says of itself is kept for what is said later.
    pub(super) fn keep_hook_facts(&mut self, conn: ConnId) {
        let Server { slots, features, live, .. } = self;
        let Some((slot, rtmp)) = slots.look_client(conn) else { return };
        if slot.app.and_then(|app| live.apps.definition(app)).is_none_or(|app| !app.hooks.is_any()) {
            return;
        }
        let session = &rtmp.session;
        if let Some(facts) = features.hooks.facts_mut(conn) {
            facts.set_urls(session.tc_url(), session.connect_property("pageUrl"), session.connect_property("swfUrl"));
        }
    }

    /// A publish or a play has begun or ended, or a connection.
    pub(super) fn tell_hooks(&mut self, what: &Happened, now: Millis) {
        match *what {
            Happened::Began { by: Holder::Conn(conn, _), does, .. } => {
                let app = self.slots.look(conn).and_then(|slot| slot.app);
                if app.and_then(|app| self.hooks_of(app)).is_some_and(HookSettings::is_any)
                    && let Some(facts) = self.features.hooks.facts_mut(conn)
                {
                    match does {
                        Does::Publish => facts.published = now,
                        Does::Play => facts.played = now,
                    }
                    facts.updated = now;
                }
            }
            Happened::Ended { by: Holder::Conn(conn, _), stream, does } => {
                let path = self.path_told(stream, does == Does::Publish);
                self.tell_hooks_of_end(conn, path.as_str(), does, now);
            }
            Happened::Gone { conn } => self.tell_hooks_of_close(conn),
            _ => {}
        }
    }

    /// What a connection published or played has ended.
    pub(super) fn tell_hooks_of_end(&mut self, conn: ConnId, name: &str, does: Does, now: Millis) {
        let Some(app) = self.slots.look(conn).and_then(|slot| slot.app) else { return };
        let Some(hooks) = self.hooks_of(app) else { return };
        let (event, is_form) = (end_of(does), hooks.style == HookStyle::Form);
        let facts = self.features.hooks.facts(conn);
        let since = facts.map_or(now, |facts| if does == Does::Publish { facts.published } else { facts.played });
        let more = HookMore::Lasted(now.since(since) / 1000);
        self.tell_hook(conn, app, event, name, more);
        if is_form {
            self.tell_hook(conn, app, HookEvent::Done, name, more);
        }
    }

    /// A viewer by HLS, who has no connection, watches no more.
    pub(super) fn tell_hooks_of_hls_end(&mut self, stream: StreamId, viewer: (ConnId, Peer, &str), seconds: u64) {
        let (client, peer, agent) = viewer;
        let stream = self.live.names.stream(stream);
        let Some(hooks) = self.hooks_of(stream.app) else { return };
        let says = HookSays {
            app: self.live.apps.name(stream.app),
            addr: peer.ip().to_canonical(),
            client: client.number(),
            agent,
            tc_url: "",
            page_url: "",
            swf_url: "",
            name: stream.path.as_str(),
            args: "",
            more: HookMore::Lasted(seconds),
        };
        let mut bodies = heapless::Vec::<(HookEvent, HookBody), 2>::new();
        for event in [HookEvent::PlayDone, HookEvent::Done] {
            let is_told =
                hooks.url(event).is_some() && (event == HookEvent::PlayDone || hooks.style == HookStyle::Form);
            let mut body = HookBody::new();
            if is_told && body::write(hooks.style, event, &says, &mut body).is_ok() {
                let _ = bodies.push((event, body));
            }
        }
        let app = stream.app;
        for (event, body) in &bodies {
            self.put_notice(app, *event, body);
        }
    }

    /// A connection ends, as SRS's back ends are told.
    fn tell_hooks_of_close(&mut self, conn: ConnId) {
        let Some(slot) = self.slots.look(conn) else { return };
        let Some(app) = slot.app else { return };
        let has_joined = self.slots.look_client(conn).is_some_and(|(_, rtmp)| rtmp.session.is_connected());
        let is_json = self.hooks_of(app).is_some_and(|hooks| hooks.style == HookStyle::Json);
        let more = HookMore::Bytes(slot.bytes_in, slot.bytes_out);
        if has_joined && is_json {
            self.tell_hook(conn, app, HookEvent::Done, "", more);
        }
    }

    /// A few times a second: who publishes and plays still is told of now and then.
    pub(super) fn update_hooks(&mut self, now: Millis) {
        if !self.features.hooks.has_updates() {
            return;
        }
        let mut from = 0;
        // What finds no room now is due at the next look.
        while self.features.hooks.has_room()
            && let Some(index) = self.slots.next_taken(from)
        {
            from = index.at() + 1;
            self.update_hook(index, now);
        }
    }

    fn update_hook(&mut self, index: SlotIndex, now: Millis) {
        let (slot, speaks) = self.slots.peek_both(index);
        let conn = self.slots.id(index);
        if slot.state != SlotState::Open || slot.publishing == 0 && slot.playing == 0 {
            return;
        }
        let Some((app, hooks)) = slot.app.and_then(|app| Some((app, self.hooks_of(app)?))) else { return };
        let facts = self.features.hooks.facts(conn).filter(|_| hooks.url(HookEvent::Update).is_some());
        let Some(facts) = facts.filter(|facts| now.since(facts.updated) >= hooks.update_ms) else { return };
        let publishes = slot.publishing > 0;
        let seconds = now.since(if publishes { facts.published } else { facts.played }) / 1000;
        let Some(id) = speaks.stream_in_use() else { return };
        let stream = self.live.names.stream(id);
        let time_ms = stream.ring.map_or(0, |ring| self.live.names.media(ring).time().present());
        let path = self.path_told(id, publishes);
        self.tell_hook(conn, app, HookEvent::Update, path.as_str(), HookMore::Goes(publishes, seconds, time_ms));
        if let Some(facts) = self.features.hooks.facts_mut(conn) {
            facts.updated = now;
        }
    }

    /// A file of a recording is complete.
    pub(super) fn tell_hooks_of_file(&mut self, file: &CompleteFile) {
        let Some(app) = self.live.apps.find(&file.app) else { return };
        let Some(hooks) = self.hooks_of(app).filter(|hooks| hooks.url(HookEvent::RecordDone).is_some()) else { return };
        let says = HookSays {
            app: self.live.apps.name(app),
            addr: Peer::Local.ip(),
            client: 0,
            agent: "",
            tc_url: "",
            page_url: "",
            swf_url: "",
            name: &file.name,
            args: "",
            more: HookMore::File(&file.path),
        };
        let mut body = HookBody::new();
        if body::write(hooks.style, HookEvent::RecordDone, &says, &mut body).is_ok() {
            self.put_notice(app, HookEvent::RecordDone, &body);
        }
    }

    /// Tells a hook of a connection, if there is one.
    fn tell_hook(&mut self, conn: ConnId, app: AppId, event: HookEvent, name: &str, more: HookMore<'_>) {
        if self.hooks_of(app).is_none_or(|hooks| hooks.url(event).is_none()) {
            return;
        }
        if let Some(Ok(body)) = self.hook_body(conn, app, event, name, "", more) {
            self.put_notice(app, event, &body);
        }
    }

    fn put_notice(&mut self, app: AppId, event: HookEvent, body: &[u8]) {
        if !self.features.hooks.tell(app, event, body) {
            let (app, hook) = (Word(self.live.apps.name(app)), event.name());
            warn!("rill hook not told app={app} hook={hook}: too many wait (limits.hooks)");
        }
    }

    /// What a question says; `None` when nobody waits for its answer any more.
    fn question_body(&self, call: HookCall, now: Millis) -> Option<Result<HookBody, body::BodyTooLong>> {
        let conn = call.conn?;
        if let Some(http) = self.slots.look(conn).and_then(|_| self.slots.peek_both(conn.slot).1.http()) {
            let (name, more) = match call.event {
                HookEvent::Connect => ("", HookMore::Joins(now.0)),
                _ => (http.hooks.path.as_str(), HookMore::Nothing),
            };
            return self.hook_body(conn, call.app, call.event, name, http.raw_query(), more);
        }
        let (_, rtmp) = self.slots.look_client(conn)?;
        let args = rtmp.session.stream_query();
        let (wish, more) = match (call.event, rtmp.session.request()?) {
            (HookEvent::Connect, Request::Connect) => (Wish::Connect, HookMore::Joins(now.0)),
            (HookEvent::Publish, Request::Publish { name, mode, .. }) => {
                let kind = match mode {
                    PublishMode::Live => "live",
                    PublishMode::Record => "record",
                    PublishMode::Append | PublishMode::AppendWithGap => "append",
                };
                (Wish::Publish { name: &name.name }, HookMore::Publishes(kind))
            }
            (HookEvent::Play, Request::Play { name, .. }) => (Wish::Play { name: &name.name }, HookMore::Nothing),
            _ => return None,
        };
        // Should the rules be others by now, they have the last word when it is answered.
        let path = self.ask_rules(conn, wish).unwrap_or_default();
        self.hook_body(conn, call.app, call.event, path.as_str(), args, more)
    }

    fn hook_body(
        &self,
        conn: ConnId,
        app: AppId,
        event: HookEvent,
        name: &str,
        args: &str,
        more: HookMore<'_>,
    ) -> Option<Result<HookBody, body::BodyTooLong>> {
        let slot = self.slots.look(conn)?;
        let style = self.hooks_of(app)?.style;
        let speaks = self.slots.peek_both(conn.slot).1;
        let facts = self.features.hooks.facts(conn);
        let kept = |of: fn(&HookFacts) -> &str| facts.map_or("", of);
        let mut says = HookSays {
            app: self.live.apps.name(app),
            addr: slot.peer.ip().to_canonical(),
            client: conn.number(),
            agent: "",
            tc_url: kept(|facts| &facts.tc_url),
            page_url: kept(|facts| &facts.page_url),
            swf_url: kept(|facts| &facts.swf_url),
            name,
            args,
            more,
        };
        let mut url = heapless::String::<{ HTTP_FIELD_BYTES + HTTP_PATH_BYTES + 16 }>::new();
        match speaks {
            Speaks::Rtmp(rtmp) => {
                let session = &rtmp.session;
                says.agent = &session.connect_info().agent;
                if event == HookEvent::Connect {
                    says.tc_url = session.tc_url();
                    says.page_url = session.connect_property("pageUrl");
                    says.swf_url = session.connect_property("swfUrl");
                }
            }
            Speaks::Http(http) => {
                // It is cut where it is too long.
                let _ = write!(url, "{}", http.url(slot.is_secure));
                (says.agent, says.page_url, says.tc_url) = (http.agent(), http.referrer(), &url);
            }
            _ => {}
        }
        let mut body = HookBody::new();
        Some(body::write(style, event, &says, &mut body).map(|()| body))
    }
}

/// What is wrong with the TLS of a hook.
fn tls_words(fault: TlsFault) -> &'static str {
    match fault {
        TlsFault::Rtmp | TlsFault::Http | TlsFault::Other => "it does not speak TLS: use http://, or another port",
        fault => fault.far_end_words(),
    }
}

fn end_of(does: Does) -> HookEvent {
    match does {
        Does::Publish => HookEvent::PublishDone,
        Does::Play => HookEvent::PlayDone,
    }
}

/// Writes a request. `None` when there is no room for it.
fn write_request(url: &HookUrl, hooks: &HookSettings, body: &[u8], free: &mut [u8]) -> Option<usize> {
    let mut out = RequestText { free, length: 0 };
    let RtmpLocation { authority, path, query, .. } = url.parts();
    write!(
        out,
        "POST /{path}{query} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: Rill\r\nConnection: close\r\nContent-Type: {}\r\n\
         Content-Length: {}\r\n",
        body::content_type(hooks.style),
        body.len()
    )
    .ok()?;
    if !hooks.secret.is_empty() {
        // As GitHub's and WebSub's (W3C, section 8) do, which back ends have code for.
        out.write_str("X-Hub-Signature-256: sha256=").ok()?;
        for byte in hmac_sha256(&[hooks.secret.as_bytes()], &[body]) {
            write!(out, "{byte:02x}").ok()?;
        }
        out.write_str("\r\n").ok()?;
    }
    write!(out, "{}\r\n", hooks.headers).ok()?;
    out.put(body)?;
    Some(out.length)
}

/// A request as far as it is written.
struct RequestText<'a> {
    free: &'a mut [u8],
    length: usize,
}

impl RequestText<'_> {
    fn put(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.length + bytes.len();
        self.free.get_mut(self.length..end)?.copy_from_slice(bytes);
        self.length = end;
        Some(())
    }
}

impl Write for RequestText<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put(text.as_bytes()).ok_or(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_signed_and_has_the_applications_headers_and_its_body_behind_them() {
        let mut hooks = HookSettings::default();
        let url = HookUrl::parse("http://h:8000/a?b=c").unwrap();
        let mut bytes = [0; TX_BYTES];
        let length = write_request(&url, &hooks, b"x=y", &mut bytes).unwrap();
        let plain = "POST /a?b=c HTTP/1.1\r\nHost: h:8000\r\nUser-Agent: Rill\r\nConnection: close\r\n\
                     Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n\r\nx=y";
        assert_eq!(core::str::from_utf8(&bytes[..length]), Ok(plain));
        hooks.set_headers(["Authorization: Bearer k"].into_iter()).unwrap();
        assert!(hooks.set_secret("Jefe"));
        // RFC 4231, test case 2.
        let length = write_request(&url, &hooks, b"what do ya want for nothing?", &mut bytes).unwrap();
        let text = core::str::from_utf8(&bytes[..length]).unwrap();
        let signature = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert!(
            text.contains(&format!("X-Hub-Signature-256: sha256={signature}\r\nAuthorization: Bearer k\r\n\r\n")),
            "{text}"
        );
        assert_eq!(write_request(&url, &hooks, b"x", &mut [0; 100]), None);
    }
}
