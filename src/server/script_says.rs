//! What scripts want done, as their processes say it, one message after the other and in its order.
//!
//! None of it is believed. An instance that is named must be one of that process's own, a client one of that instance's; what
//! does not fit, or comes too late, does nothing.

use core::fmt::Write;

use log::{Level, error, info, log};

use crate::features::contract::Happened;
use crate::features::script::hosts::{HostFault, HostState};
use crate::handles::{ConnId, HostIndex};
use crate::limits::{APP_NAME_BYTES, HEADER_BYTES, PATH_BYTES, SCRIPT_NAME_BYTES, SCRIPT_STATUS_BYTES};
use crate::live::refusal::Unscripted;
use crate::rtmp::session::REPLY_BYTES;
use crate::rtmp::status::{Code, Extra, Status};
use crate::text::{Plain, Quoted, Word};
use crate::time::Millis;
use crate::wire::amf0::Encoder;
use crate::wire::bytes::Writer;
use crate::wire::http::HttpStatus;
use crate::wire::script_link::{self, Access, ClientId, LogLevel, Question, ToHost, ToServer};

use super::Server;
use super::broadcasts::ScriptPlay;
use super::close::{CloseReason, Rejection};
use super::http::Guest;
use super::instances::{InstanceIndex, InstanceState};
use super::outbox;
use super::refusals;
use super::rtmp::{Asked, Joining, Tail};
use super::scripts::conn_id;
use super::speaks::Speaks;

impl Server {
    /// Carries out one message of a process.
    ///
    /// # Errors
    ///
    /// It is none that a process would say, and the process is to be ended.
    pub(super) fn host_says(&mut self, host: HostIndex, message: &ToServer<'_>, now: Millis) -> Result<(), HostFault> {
        let script = match *message {
            ToServer::Hello { version, without } => return self.host_is_there(host, version, without),
            ToServer::Done { count } => {
                self.scripting.host_mut(host).done(count, now)?;
                self.answers_are_through(host);
                return Ok(());
            }
            ToServer::Loaded { instance }
            | ToServer::NotLoaded { instance, .. }
            | ToServer::Exhausted { instance, .. }
            | ToServer::Result { instance, .. }
            | ToServer::Failed { instance, .. }
            | ToServer::NotFound { instance, .. }
            | ToServer::Allowed { instance, .. }
            | ToServer::Accept { instance, .. }
            | ToServer::Reject { instance, .. }
            | ToServer::Disconnect { instance, .. }
            | ToServer::Call { instance, .. }
            | ToServer::Broadcast { instance, .. }
            | ToServer::Ping { instance, .. }
            | ToServer::LimitBandwidth { instance, .. }
            | ToServer::CheckBandwidth { instance, .. }
            | ToServer::Send { instance, .. }
            | ToServer::Shutdown { instance }
            | ToServer::MayGo { instance, .. }
            | ToServer::Log { instance, .. }
            | ToServer::AskClientStats { instance, .. }
            | ToServer::AskApplicationStats { instance }
            | ToServer::AskLength { instance, .. }
            | ToServer::AskSize { instance, .. }
            | ToServer::Play { instance, .. }
            | ToServer::AskRecord { instance, .. }
            | ToServer::AskMetadata { instance, .. }
            | ToServer::Flush { instance, .. }
            | ToServer::Clear { instance, .. } => instance,
        };
        let mut metadata = [0; HEADER_BYTES];
        // Its questions are answered in any case, for it waits.
        let index = self.scripting.speaker(host, script);
        let answer = match *message {
            ToServer::AskClientStats { client, .. } => {
                let conn = index.and_then(|index| self.client_in(index, client));
                let stats = conn.map(|conn| self.client_stats(conn)).unwrap_or_default();
                Some(ToHost::TellClientStats { stats })
            }
            ToServer::AskApplicationStats { .. } => {
                let stats = index.map(|index| self.application_stats(index)).unwrap_or_default();
                Some(ToHost::TellApplicationStats { stats })
            }
            ToServer::AskLength { stream, .. } => {
                let facts = index.and_then(|index| self.known_facts(index, stream, now));
                Some(ToHost::TellNumber { value: facts.map_or(0.0, |facts| facts.duration_ms as f64 / 1000.0) })
            }
            ToServer::AskSize { stream, .. } => {
                let facts = index.and_then(|index| self.known_facts(index, stream, now));
                Some(ToHost::TellNumber { value: facts.map_or(0.0, |facts| facts.bytes as f64) })
            }
            ToServer::AskRecord { stream, how, most_s, most_kb, .. } => {
                let begun = index.is_some_and(|index| self.record_for_script(index, stream, how, most_s, most_kb, now));
                Some(ToHost::TellNumber { value: begun.into() })
            }
            ToServer::AskMetadata { stream, .. } => {
                let known = index.and_then(|index| self.metadata_for_script(index, stream, now, &mut metadata));
                Some(ToHost::TellValue { value: known.map_or(&[], |bytes| &metadata[..bytes]) })
            }
            _ => None,
        };
        match (answer, index) {
            (Some(answer), _) => self.scripting.host_mut(host).must_tell(&answer, now),
            (None, Some(index)) => self.script_says(index, message, now),
            (None, None) => {}
        }
        Ok(())
    }

    fn host_is_there(&mut self, host: HostIndex, version: u32, without: &str) -> Result<(), HostFault> {
        if !without.is_empty() && self.scripting.is_first_without() {
            info!("rill script processes: this kernel has no {}: done without", Plain(without));
        }
        let host = self.scripting.host_mut(host);
        if host.state != HostState::Starting || version != script_link::VERSION {
            return Err(HostFault::Stranger);
        }
        host.state = HostState::Running;
        Ok(())
    }

    fn script_says(&mut self, index: InstanceIndex, message: &ToServer<'_>, now: Millis) {
        match *message {
            ToServer::Loaded { .. } => self.loaded(index),
            ToServer::NotLoaded { reason, .. } => self.not_loaded(index, reason, now),
            ToServer::Exhausted { which, .. } => self.exhausted(index, which, now),
            ToServer::MayGo { yes, .. } => self.may_go(index, yes, now),
            ToServer::Shutdown { .. } => self.shut_down_by_script(index, now),
            ToServer::Log { level, text, .. } => self.log_of(index, level, text),
            ToServer::Result { question, value, .. } => {
                let Some(conn) = self.client_in(index, question.client) else { return };
                let Question { transaction, .. } = question;
                if transaction != 0.0 && !self.send_command(conn, "_result", transaction, value) {
                    self.refuse_call(question, "The result is too long.");
                }
                self.answered(conn, question);
            }
            ToServer::Failed { question, description, .. } => {
                let Some(conn) = self.client_in(index, question.client) else { return };
                self.refuse_call(question, description);
                self.answered(conn, question);
            }
            ToServer::NotFound { question, .. } => {
                let Some(conn) = self.client_in(index, question.client) else { return };
                match self.is_waiting_for(conn, question) {
                    true => self.no_method(conn, now),
                    // The call is not there any more: nothing else can be done about it.
                    false => self.refuse_call(question, "Method not found."),
                }
            }
            ToServer::Allowed { question, allowed, .. } => {
                let Some(conn) = self.client_in(index, question.client) else { return };
                self.guest_may_read(conn, question, allowed.has(Access::Read), now);
                if self.is_waiting_for(conn, question)
                    && let Some((_, rtmp)) = self.slots.open_client(conn)
                {
                    rtmp.asked = Asked::Allowed(allowed);
                    self.request(conn, now);
                }
            }
            ToServer::Accept { client, .. } => {
                let Some(conn) = self.undecided_in(index, client) else { return };
                if let Some(instance) = self.scripting.instances.instance_mut(index) {
                    instance.total_connects += 1;
                }
                if !self.guest_is_in(conn, now) {
                    self.let_in_by_script(conn, now);
                }
            }
            ToServer::Reject { client, description, application, redirect, .. } => {
                let Some(conn) = self.undecided_in(index, client) else { return };
                let short = |length: usize| length <= SCRIPT_STATUS_BYTES;
                let application = application.filter(|value| short(value.len()));
                let redirect = redirect.filter(|url| short(url.len()));
                let extra = Extra::Rejected { application, redirect };
                let description = description.filter(|text| short(text.len()));
                if self.refuse_guest(conn, description, redirect, now) {
                    return;
                }
                let status = Status { description, ..Status::new(Code::ConnectRejected, "") };
                let rejection = if redirect.is_some() { Rejection::Redirected } else { Rejection::Script };
                self.refuse_connect_with(conn, status.with(extra), CloseReason::Rejected(rejection), now);
            }
            ToServer::Disconnect { client, .. } => {
                let Some(conn) = self.client_in(index, client) else { return };
                self.close_after_flush(conn, CloseReason::Script, now);
            }
            ToServer::Call { client, name, transaction, arguments, .. } => {
                let sent = self
                    .client_in(index, client)
                    .is_some_and(|conn| self.send_command(conn, name, transaction.into(), arguments));
                if !sent && transaction > 0 {
                    self.call_failed(index, client, transaction, now);
                }
            }
            ToServer::Broadcast { name, arguments, .. } => {
                self.each_client(index, |server, conn| {
                    server.send_command(conn, name, 0.0, arguments);
                });
            }
            ToServer::Ping { client, .. } => {
                let Some(conn) = self.client_in(index, client) else { return };
                let Some((slot, rtmp)) = self.slots.open_client(conn) else { return };
                // Without room there is no ping, and no round trip to be told of.
                let _ = rtmp.session.ping(now, &mut slot.tx);
                self.wakes.send(conn.slot);
            }
            ToServer::LimitBandwidth { client, to_client, to_server, .. } => {
                let Some(conn) = self.client_in(index, client) else { return };
                self.limit_bandwidth(conn, to_client, to_server);
            }
            ToServer::CheckBandwidth { client, .. } => {
                let Some(conn) = self.client_in(index, client) else { return };
                if self.slots.look_client(conn).is_none() {
                    // It is found out by calls, for which HTTP has no words.
                    return;
                }
                self.happened(Happened::BandwidthWanted { conn, reply: true }, now);
            }
            ToServer::Play { stream, item, start_s, length_s, reset, .. } => {
                self.play_for_script(index, stream, item, ScriptPlay { start_s, length_s, reset }, now);
            }
            ToServer::Flush { stream, when, .. } => self.flush_for_script(index, stream, when),
            ToServer::Clear { stream, .. } => self.clear_for_script(index, stream, now),
            ToServer::Send { stream, body, .. } => self.send_to_stream(index, stream, body, now),
            ToServer::Hello { .. }
            | ToServer::Done { .. }
            | ToServer::AskClientStats { .. }
            | ToServer::AskApplicationStats { .. }
            | ToServer::AskLength { .. }
            | ToServer::AskSize { .. }
            | ToServer::AskRecord { .. }
            | ToServer::AskMetadata { .. } => {}
        }
    }

    fn loaded(&mut self, index: InstanceIndex) {
        let Some(instance) = self.scripting.instances.instance_mut(index) else { return };
        let InstanceState::Starting { outdated } = instance.state else { return };
        instance.state = InstanceState::Running { outdated, is_asked: false };
        let app = instance.app;
        let name = instance.name.as_str();
        let script = self.live.apps.definition(app).and_then(|definition| definition.script.as_ref());
        let file = script.map_or("", |script| script.main.as_str());
        info!("rill script loaded app={:?} instance={name:?} file={file:?}", self.live.apps.name(app));
        self.scripting.retry = true;
    }

    fn not_loaded(&mut self, index: InstanceIndex, reason: &str, now: Millis) {
        let Some(instance) = self.scripting.instances.instance(index) else { return };
        if !matches!(instance.state, InstanceState::Starting { .. } | InstanceState::Loading(_)) {
            return;
        }
        let (app, name) = (instance.app, instance.name.as_str());
        error!("rill script not loaded app={:?} instance={name:?} reason={}", self.live.apps.name(app), Quoted(reason));
        let retry_ms = self.script_limits(app).map_or(0, |limits| limits.retry_ms);
        self.refuse_clients_of(index, Unscripted::NotLoaded, retry_ms, now);
    }

    fn exhausted(&mut self, index: InstanceIndex, which: script_link::Exhausted, now: Millis) {
        // Of one that ends nothing else is to come.
        match self.scripting.instances.instance(index).map(|instance| instance.state) {
            Some(InstanceState::Ending) => self.remove_instance(index),
            Some(_) => self.stop_instance(index, Some(which), now),
            None => {}
        }
    }

    /// `application.shutdown()`.
    fn shut_down_by_script(&mut self, index: InstanceIndex, now: Millis) {
        match self.scripting.instances.instance(index).map(|instance| instance.state) {
            Some(InstanceState::Running { .. }) => self.shut_down_instance(index, now),
            // As it starts: those who wait for it hear that it does not run.
            Some(InstanceState::Starting { .. }) => {
                let words = refusals::row(Unscripted::Stopped.into()).words;
                self.each_client(index, |server, conn| {
                    let status = (HttpStatus::InternalServerError, words);
                    if server.dismiss_guest(conn, status, CloseReason::ScriptStopped, now) {
                        return;
                    }
                    server.refuse_connect(conn, Rejection::ScriptFailed, words, now);
                });
                self.shut_down_instance(index, now);
            }
            // Its `onAppStop` wants to shut it down.
            _ => {}
        }
    }

    fn log_of(&self, index: InstanceIndex, level: LogLevel, text: &str) {
        let Some(instance) = self.scripting.instances.instance(index) else { return };
        let level = match level {
            LogLevel::Warn => Level::Warn,
            LogLevel::Info => Level::Info,
        };
        let mut name = heapless::String::<{ APP_NAME_BYTES + 1 + PATH_BYTES }>::new();
        // It fits: it is as long as both may be.
        let _ = write!(name, "{}/{}", self.live.apps.name(instance.app), instance.name);
        log!(level, "script {} {}", Word(&name), Plain(text));
    }

    /// The client that a process calls so, if it is one of the instance's and has not been told to go.
    fn client_in(&mut self, index: InstanceIndex, client: ClientId) -> Option<ConnId> {
        let conn = conn_id(client);
        if conn.slot.at() >= self.slots.count() {
            return None;
        }
        let (slot, speaks) = self.slots.open_both(conn)?;
        let is_told = match speaks {
            Speaks::Rtmp(rtmp) => rtmp.is_told,
            Speaks::Http(http) => http.guest.is_told(),
            _ => false,
        };
        (slot.instance == Some(index) && is_told).then_some(conn)
    }

    /// The same, if it is about to be let in.
    fn undecided_in(&mut self, index: InstanceIndex, client: ClientId) -> Option<ConnId> {
        let conn = self.client_in(index, client)?;
        let is_undecided = match self.slots.peek_both(conn.slot).1 {
            Speaks::Rtmp(rtmp) => matches!(rtmp.joining, Joining::Script { .. }),
            Speaks::Http(http) => matches!(http.guest, Guest::Undecided(_)),
            _ => false,
        };
        is_undecided.then_some(conn)
    }

    /// Whether that is the answer to what the client waits for, and not to something else that it has asked before.
    fn is_waiting_for(&self, conn: ConnId, question: Question) -> bool {
        self.slots.look_client(conn).is_some_and(|(_, rtmp)| rtmp.asked.number() == Some(question.number))
    }

    /// The client has its answer, and is read on if it waited.
    fn answered(&mut self, conn: ConnId, question: Question) {
        if self.is_waiting_for(conn, question) {
            self.wait_no_more(conn);
        }
    }

    /// The script has no such method: it may be one of ours.
    fn no_method(&mut self, conn: ConnId, now: Millis) {
        let Some((slot, rtmp)) = self.slots.open_client(conn) else { return };
        rtmp.asked = Asked::Nothing;
        let waited = slot.blocked;
        self.answer_built_in(conn, now);
        self.wakes.send(conn.slot);
        if waited {
            self.unblock(conn);
        }
    }

    pub(super) fn refuse_call(&mut self, question: Question, description: &str) {
        let conn = conn_id(question.client);
        let Some((slot, _)) = self.slots.open_client(conn).filter(|_| question.transaction != 0.0) else { return };
        // A client without room for it reads nothing, and will be found out by the stall deadline.
        let _ = Status::new(Code::CallFailed, "").described(description).send_error(question.transaction, &mut slot.tx);
        self.wakes.send(conn.slot);
    }

    /// Sends a client a command of its application's script. False when there is no room for it: the client does not read,
    /// or the command is longer than any may be.
    fn send_command(&mut self, conn: ConnId, name: &str, transaction: f64, arguments: &[u8]) -> bool {
        if name.len() > SCRIPT_NAME_BYTES {
            return false;
        }
        let Server { slots, scripting, .. } = self;
        let Some((slot, rtmp)) = slots.open_client(conn) else { return false };
        // What the script says when it has let a client in waits until the hook has.
        let is_connected = rtmp.session.is_connected();
        if !is_connected && !matches!(rtmp.joining, Joining::Hook { .. }) {
            return false;
        }
        // Behind what waits, so that the order is kept; and the session's own answers find room.
        let is_room = slot.tx.room() >= outbox::command_bytes(name, arguments) + REPLY_BYTES;
        let direct = is_connected && rtmp.outbox.is_empty() && is_room;
        let is_queued = match direct {
            true => rtmp.session.command(name, transaction, arguments, &mut slot.tx).is_ok(),
            false => scripting.outboxes.push(&mut rtmp.outbox, name, transaction, arguments),
        };
        self.wakes.send(conn.slot);
        is_queued
    }

    /// What still waits for the client of its application's script is forgotten; a message that was sent in part is not,
    /// unless `all`.
    pub(super) fn clear_outbox(&mut self, conn: ConnId, all: bool) {
        let Some((_, rtmp)) = self.slots.client(conn) else { return };
        let is_begun = !all && matches!(rtmp.tail, Some(Tail::Message(1..)));
        if !is_begun && matches!(rtmp.tail, Some(Tail::Message(_))) {
            rtmp.tail = None;
        }
        self.scripting.outboxes.clear(&mut rtmp.outbox, is_begun);
    }

    /// A call of a script reached no client: its result object is told.
    fn call_failed(&mut self, index: InstanceIndex, client: ClientId, transaction: u32, now: Millis) {
        let Some(instance) = self.scripting.running(index) else { return };
        let mut bytes = [0; 256];
        let mut out = Writer::new(&mut bytes);
        let status = Status::new(Code::CallFailed, "").described("The client does not read.");
        if status.object(&mut Encoder::new(&mut out)).is_err() {
            return;
        }
        let arguments = out.written();
        self.scripting.must_tell(index, &ToHost::Answer { instance, client, transaction, ok: false, arguments }, now);
    }

    /// A data message of a script to all players of a stream of its instance.
    fn send_to_stream(&mut self, index: InstanceIndex, name: &str, body: &[u8], now: Millis) {
        let Some(instance) = self.scripting.instances.instance(index) else { return };
        let path = self.live.apps.definition(instance.app).map(|app| app.path(&instance.name, name));
        let Some(id) = path.and_then(|path| self.live.names.find(instance.app, &path.ok()?)) else { return };
        let Some((_, media)) = self.live.names.with_media(id) else { return };
        self.counters.data_dropped += u64::from(media.own_data(body, now).is_err());
        self.wakes.due(id);
    }
}
