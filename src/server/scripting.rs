//! Server-side code at work: what scripts are told, and what becomes of what they ask for.
//!
//! Scripts are called where something happens, and their actions are carried out at once, in their order, by
//! [`Server::run_actions`]. Their effects may call scripts in turn, whose actions are queued behind.

use core::fmt::Write;

use log::{error, info, warn};

use crate::features::contract::Happened;
use crate::features::script::{
    self, Access, Action, ApplicationStats, ClientFacts, ClientId, ClientStats, Exhausted, Fault, Identity, Question,
    StopReason, StreamFacts,
};
use crate::handles::{AppId, ConnId, StreamId};
use crate::live::refusal::{Refusal, Unscripted};
use crate::rtmp::event::Request;
use crate::rtmp::session::REPLY_BYTES;
use crate::rtmp::status::{Code, Extra, Status};
use crate::text::Quoted;
use crate::time::Millis;
use crate::wire::amf0::Encoder;
use crate::wire::bytes::Writer;

use super::Server;
use super::close::{CloseReason, Rejection};
use super::instances::{Instance, InstanceIndex, InstanceState, Traffic};
use super::outbox;
use super::refusals;
use super::rtmp::{Asked, Joining, Rtmp, Tail};
use super::script_time::TURN_US;
use super::scripts::{client_id, conn_id};
use super::slot::Slot;
use super::wakes::Held;

/// What scripts know the server's only virtual host by: Adobe's name for the one that needs none.
const HOST_NAME: &str = "_defaultVHost_";
/// `application.server`: product, version, system.
const SERVER_NAME: &str = concat!("Rill/", env!("CARGO_PKG_VERSION"), " LNX");
/// Over how long the traffic of an instance is measured, in milliseconds.
const TRAFFIC_MS: u64 = 1000;
impl Server {
    /// Puts the client into the instance that it names, which is loaded if it is not there. The error is why that
    /// cannot be.
    pub(super) fn enter_instance(&mut self, conn: ConnId, app: AppId, now: Millis) -> Result<(), Refusal> {
        let Some((_, rtmp)) = self.slots.open_client(conn) else { return Ok(()) };
        let name = rtmp.session.connect_info().path.instance.clone();
        let mut found = self.scripting.instances.find(app, &name);
        if let Some(index) = found
            && let Some(instance) = self.scripting.instances.instance(index)
        {
            match instance.state {
                InstanceState::Stopped { until } if now < until => return Err(Unscripted::Stopped.into()),
                InstanceState::Running { outdated: true, .. } if instance.clients == 0 => {
                    self.end_instance(index, StopReason::Shutdown, now);
                    found = None;
                }
                InstanceState::Stopped { .. } => {
                    self.scripting.instances.remove(index);
                    found = None;
                }
                InstanceState::Running { .. } => {}
            }
        }
        let index = match found {
            Some(index) => index,
            None => self.load_instance(app, &name, now)?,
        };
        // What it did as it was loaded may have stopped it, or it may have shut itself down.
        let instance = self
            .scripting
            .instances
            .instance_mut(index)
            .filter(|instance| instance.is_running())
            .ok_or(Unscripted::Stopped)?;
        let Some((slot, rtmp)) = self.slots.open_client(conn) else { return Ok(()) };
        instance.clients += 1;
        slot.instance = Some(index);
        rtmp.session.set_scripted();
        Ok(())
    }

    fn load_instance(&mut self, app: AppId, name: &str, now: Millis) -> Result<InstanceIndex, Refusal> {
        let index = match self.scripting.instances.free() {
            Some(index) => index,
            None => {
                let Some(idle) = self.scripting.instances.longest_idle() else {
                    return Err(Unscripted::NoPlace.into());
                };
                self.end_instance(idle, StopReason::Shutdown, now);
                self.scripting.instances.free().ok_or(Unscripted::Stopped)?
            }
        };
        let Some(definition) = self.live.apps.definition(app) else { return Err(Unscripted::Stopped.into()) };
        let Some(script) = &definition.script else { return Err(Unscripted::Stopped.into()) };
        let identity = Identity {
            app: &definition.name,
            instance: name,
            hostname: HOST_NAME,
            server: SERVER_NAME,
            config_json: &definition.config_json,
        };
        let loaded = self.scripting.engine.load(&script.source, &identity, script.limits.budget, now);
        let app_name = definition.name.as_str();
        let state = match &loaded {
            Ok(id) => {
                info!("rill script loaded app={app_name:?} instance={name:?} file={:?}", script.source.main.name);
                InstanceState::Running { script: *id, outdated: false }
            }
            Err(problem) => {
                error!("rill script not loaded app={app_name:?} instance={name:?} reason={}", Quoted(problem));
                InstanceState::Stopped { until: now + script.limits.retry_ms }
            }
        };
        let instance = Instance {
            app,
            // It fits: it comes from a field of the same length.
            name: heapless::String::try_from(name).unwrap_or_default(),
            state,
            clients: 0,
            ending: false,
            idle_since: now,
            traffic: Traffic { since: now, ..Traffic::default() },
            total_connects: 0,
            total_disconnects: 0,
        };
        self.scripting.instances.put(index, instance);
        let result = match loaded {
            Ok(_) => Ok(index),
            Err(_) => Err(Unscripted::NotLoaded.into()),
        };
        self.run_actions(now);
        result
    }

    /// `application.onConnect`.
    pub(super) fn ask_script(&mut self, conn: ConnId, now: Millis) {
        let (to_client_bytes_s, to_server_bytes_s) = self.bandwidth_limit(conn);
        let Some(script) = self.entered_by(conn) else { return };
        let Some((slot, rtmp)) = self.slots.look_client(conn) else { return };
        let (mut ip, mut id) = (heapless::String::<48>::new(), heapless::String::<24>::new());
        // Both fit: the longest address has 45 characters.
        let _ = write!(ip, "{}", slot.peer.ip().to_canonical());
        let _ = write!(id, "{conn}");
        let session = &rtmp.session;
        let facts = ClientFacts {
            ip: &ip,
            agent: session.connect_property("flashVer"),
            referrer: session.connect_property("swfUrl"),
            page_url: session.connect_property("pageUrl"),
            uri: session.tc_url(),
            id: &id,
            protocol: "rtmp",
            secure: false,
            to_client_bytes_s,
            to_server_bytes_s,
            stats: stats_of(slot, rtmp),
        };
        let asked = self.scripting.engine.connect(script, client_id(conn), &facts, session.arguments(), now);
        self.told(script, asked, now);
    }

    /// A client called a method, after [`Event::Call`](crate::rtmp::event::Event::Call).
    pub(super) fn call_script(&mut self, conn: ConnId, now: Millis) {
        let Some(script) = self.entered_by(conn) else { return self.answer_built_in(conn, now) };
        let Some(call) = self.slots.look_client(conn).and_then(|(_, rtmp)| rtmp.session.call()) else { return };
        let question = self.scripting.question(conn, call.transaction);
        self.scripting.engine.ask_call(script, question, call.name, call.arguments, now);
        let deadline = self.pending_until(conn, now);
        if let Some((_, rtmp)) = self.slots.open_client(conn) {
            rtmp.asked = Asked::Call { number: question.number, deadline };
        }
        self.hear_script(conn, now);
    }

    /// Until when an answer of its script is waited for.
    fn pending_until(&self, conn: ConnId, now: Millis) -> Millis {
        let app = self.slots.look(conn).and_then(|slot| self.live.apps.definition(slot.app?));
        let pending_ms = app.and_then(|app| app.script.as_ref()).map_or(0, |script| script.limits.pending_ms);
        now + pending_ms
    }

    /// The client for which this is the answer to what it waits for: not one that has gone, or has asked something else since.
    fn waiting_for(&mut self, question: Question) -> Option<ConnId> {
        let conn = conn_id(question.client);
        let (_, rtmp) = self.slots.open_client(conn)?;
        (rtmp.asked.number() == Some(question.number)).then_some(conn)
    }

    fn refuse_call(&mut self, question: Question, description: &str) {
        let conn = conn_id(question.client);
        let Some((slot, _)) = self.slots.open_client(conn).filter(|_| question.transaction != 0.0) else { return };
        // A client without room for it reads nothing, and will be found out by the stall deadline.
        let _ = Status::new(Code::CallFailed, "").described(description).send_error(question.transaction, &mut slot.tx);
        self.wakes.send(conn.slot);
    }

    /// What the client waits for is known. Whoever has asked for it just now acts on it; else nobody is there to do so.
    fn go_on(&mut self, question: Question, answer: Asked, now: Millis) {
        let Some(conn) = self.waiting_for(question) else { return };
        let Some((_, rtmp)) = self.slots.open_client(conn) else { return };
        rtmp.asked = answer;
        if self.scripting.asking != Some(conn) {
            self.act_on_answer(conn, now);
        }
    }

    /// Carries out actions, and what they say about the request or call of a client.
    pub(super) fn hear_script(&mut self, conn: ConnId, now: Millis) {
        let outer = self.scripting.asking.replace(conn);
        self.run_actions(now);
        self.scripting.asking = outer;
        self.act_on_answer(conn, now);
    }

    fn act_on_answer(&mut self, conn: ConnId, now: Millis) {
        let Some((slot, rtmp)) = self.slots.open_client(conn) else { return };
        match rtmp.asked {
            Asked::NoMethod => {
                rtmp.asked = Asked::Nothing;
                let waited = slot.blocked;
                self.answer_built_in(conn, now);
                if waited {
                    self.unblock(conn);
                }
            }
            Asked::Allowed(_) => self.request(conn, now),
            Asked::Nothing | Asked::Call { .. } | Asked::Access { .. } | Asked::File { .. } => {}
        }
    }

    /// The client has its answer, and is read on if it waited.
    fn answered(&mut self, question: Question) {
        if let Some(conn) = self.waiting_for(question) {
            self.wait_no_more(conn);
        }
    }

    /// The client is read on, though its call may not be answered. When it is, the answer is sent.
    pub(super) fn wait_no_more(&mut self, conn: ConnId) {
        let Some((slot, rtmp)) = self.slots.open_client(conn) else { return };
        if let Asked::Call { .. } = rtmp.asked {
            rtmp.asked = Asked::Nothing;
            if slot.blocked {
                self.unblock(conn);
            }
        }
    }

    /// The client waits to hear whether it may publish or play, or whether there is something to play.
    pub(super) fn is_asking(&self, conn: ConnId) -> bool {
        let asks = |asked| matches!(asked, Asked::Access { .. } | Asked::File { .. });
        self.slots.look_client(conn).is_some_and(|(_, rtmp)| asks(rtmp.asked))
    }

    /// The script, or the disk, has not answered in time.
    pub(super) fn unanswered(&mut self, conn: ConnId, now: Millis) {
        let Some((_, rtmp)) = self.slots.open_client(conn) else { return };
        match rtmp.asked {
            Asked::Call { .. } => self.wait_no_more(conn),
            Asked::File { id, .. } => self.file_unanswered(conn, id, now),
            Asked::Access { .. } => {
                rtmp.asked = Asked::Nothing;
                match rtmp.session.request() {
                    // What was typed may be a secret: it is not repeated.
                    Some(Request::Publish { .. }) => self.refuse_publish(conn, "", Refusal::Unanswered, now),
                    Some(Request::Play { name, .. }) => {
                        let name = name.name.clone();
                        self.refuse_play(conn, &name, Refusal::Unanswered);
                    }
                    Some(Request::Connect) | None => {}
                }
            }
            Asked::Nothing | Asked::NoMethod | Asked::Allowed(_) => {}
        }
    }

    /// Asks the application's script whether the client may do that with a stream. False when there is none to say so.
    pub(super) fn ask_access(&mut self, conn: ConnId, access: Access, stream: &str, now: Millis) -> bool {
        let Some(script) = self.entered_by(conn) else { return false };
        let question = self.scripting.question(conn, 0.0);
        self.scripting.engine.ask_access(script, question, access, stream);
        let deadline = self.pending_until(conn, now);
        if let Some((_, rtmp)) = self.slots.open_client(conn) {
            rtmp.asked = Asked::Access { number: question.number, deadline };
        }
        true
    }

    /// A client answered a call of its application's script.
    pub(super) fn answer_script(&mut self, conn: ConnId, transaction: u32, ok: bool, now: Millis) {
        let Some(script) = self.entered_by(conn) else { return };
        let Some((_, rtmp)) = self.slots.look_client(conn) else { return };
        let arguments = rtmp.session.arguments();
        let told = self.scripting.engine.answer(script, client_id(conn), transaction, ok, arguments, now);
        self.told(script, told, now);
    }

    /// Whether whoever plays the stream may take samples of its audio and its video.
    pub(super) fn allowed_samples(&mut self, conn: ConnId, stream: &str) -> Option<(bool, bool)> {
        let mut allows = |access| {
            let script = self.entered_by(conn)?;
            Some(self.scripting.engine.allows(script, client_id(conn), access, stream))
        };
        Some((allows(Access::AudioSample)?, allows(Access::VideoSample)?))
    }

    /// `application.onPublish`, after the publisher was told.
    pub(super) fn run_on_publish(&mut self, conn: ConnId, id: StreamId, now: Millis) {
        let Some(script) = self.entered_by(conn) else { return };
        let Some((_, rtmp)) = self.slots.look_client(conn) else { return };
        let name = rtmp.session.own_name(&self.live.names.stream(id).path);
        let stream = StreamFacts { name, publish_query_string: rtmp.session.stream_query(), kind: "live" };
        let told = self.scripting.engine.publish(script, client_id(conn), &stream, now);
        self.told(script, told, now);
    }

    /// `application.onUnpublish`.
    pub(super) fn run_on_unpublish(&mut self, conn: ConnId, id: StreamId, now: Millis) {
        let Some(script) = self.entered_by(conn) else { return };
        let Some((_, rtmp)) = self.slots.look_client(conn) else { return };
        let name = rtmp.session.own_name(&self.live.names.stream(id).path);
        let stream = StreamFacts { name, publish_query_string: "", kind: "live" };
        let told = self.scripting.engine.unpublish(script, client_id(conn), &stream, now);
        self.told(script, told, now);
    }

    /// The client leaves: `application.onDisconnect`, unless it was refused.
    pub(super) fn leave_instance(&mut self, conn: ConnId, now: Millis) {
        let Some(slot) = self.slots.connection(conn) else { return };
        let Some(index) = slot.instance else { return };
        // While it still counts.
        let script = self.entered(index);
        let Some((slot, rtmp)) = self.slots.client(conn) else { return };
        slot.instance = None;
        let (accepted, stats) = (rtmp.session.is_connected(), stats_of(slot, rtmp));
        let Some(instance) = self.scripting.instances.instance_mut(index) else { return };
        instance.clients -= 1;
        instance.traffic.left_in += stats.bytes_in;
        instance.traffic.left_out += stats.bytes_out;
        instance.idle_since = now;
        instance.total_disconnects += u64::from(accepted);
        let Some(script) = script else { return };
        let told = self.scripting.engine.disconnect(script, client_id(conn), now);
        self.told(script, told, now);
    }

    /// Acts on the result of a call into a script, and on the actions that the script asked for.
    fn told(&mut self, script: script::InstanceId, told: Result<(), Fault>, now: Millis) {
        self.run_actions(now);
        if let Err(Fault::Exhausted(exhausted)) = told {
            self.stop_instance_of(script, exhausted, now);
        }
    }

    /// Carries out what scripts asked for. A nested call returns at once: the outer one carries out new actions, too.
    pub(super) fn run_actions(&mut self, now: Millis) {
        if core::mem::replace(&mut self.scripting.acting, true) {
            return;
        }
        while let Some((script, action)) = self.scripting.engine.next_action() {
            self.run_action(script, action, now);
        }
        self.scripting.acting = false;
    }

    fn run_action(&mut self, script: script::InstanceId, action: Action, now: Millis) {
        match action {
            Action::Result(question, value) => {
                let Question { client, transaction, .. } = question;
                if transaction != 0.0 && !self.send_command(conn_id(client), "_result", transaction, &value) {
                    self.refuse_call(question, "The result is too long.");
                }
                self.answered(question);
            }
            Action::Failed(question, description) => {
                self.refuse_call(question, &description);
                self.answered(question);
            }
            // If the call is not there any more, nothing else can be done about it.
            Action::NotFound(question) if self.waiting_for(question).is_none() => {
                self.refuse_call(question, "Method not found.");
            }
            Action::NotFound(question) => self.go_on(question, Asked::NoMethod, now),
            Action::Allowed(question, allowed) => self.go_on(question, Asked::Allowed(allowed), now),
            Action::Stopped(exhausted) => self.stop_instance_of(script, exhausted, now),
            Action::Accept(client) => {
                let conn = conn_id(client);
                let Some((slot, rtmp)) = self.slots.open_client(conn) else { return };
                if matches!(rtmp.joining, Joining::Script { .. }) {
                    if let Some(instance) = slot.instance.and_then(|index| self.scripting.instances.instance_mut(index))
                    {
                        instance.total_connects += 1;
                    }
                    self.joined(conn, now);
                }
            }
            Action::Reject { client, description, application, redirect } => {
                let conn = conn_id(client);
                let Some((_, rtmp)) = self.slots.open_client(conn) else { return };
                if !matches!(rtmp.joining, Joining::Script { .. }) {
                    return;
                }
                let extra = Extra::Rejected { application: application.as_deref(), redirect: redirect.as_deref() };
                let status = Status { description: description.as_deref(), ..Status::new(Code::ConnectRejected, "") };
                let rejection = if redirect.is_some() { Rejection::Redirected } else { Rejection::Script };
                self.refuse_connect_with(conn, status.with(extra), CloseReason::Rejected(rejection), now);
            }
            Action::Disconnect(client) => self.close_after_flush(conn_id(client), CloseReason::Script, now),
            Action::Call { client, name, transaction, arguments } => {
                if !self.send_command(conn_id(client), &name, transaction.into(), &arguments) && transaction > 0 {
                    self.call_failed(script, client, transaction, now);
                }
            }
            Action::Ping(client) => {
                let conn = conn_id(client);
                let Some((slot, rtmp)) = self.slots.open_client(conn) else { return };
                // Without room there is no ping, and no round trip to be told of.
                let _ = rtmp.session.ping(now, &mut slot.tx);
                self.wakes.send(conn.slot);
            }
            Action::LimitBandwidth { client, to_client, to_server } => {
                self.limit_bandwidth(conn_id(client), to_client, to_server);
            }
            Action::CheckBandwidth(client) => {
                self.happened(Happened::BandwidthWanted { conn: conn_id(client), reply: true }, now);
            }
            Action::Send { stream, body } => self.send_to_stream(script, &stream, &body, now),
            Action::Broadcast { .. } => {}
            Action::Shutdown => {
                if let Some(index) = self.scripting.instances.running(script) {
                    self.shut_down_instance(index, now);
                }
            }
        }
    }

    /// What scripts ask for and answer waits, or comes, as it does where they are elsewhere: for simulators.
    pub fn hold_scripts(&mut self, hold: bool) {
        self.scripting.engine.hold(hold);
    }

    /// Sends a client a command of its application's script. False when there is no room for it: the client does not read,
    /// or the command is longer than any may be.
    fn send_command(&mut self, conn: ConnId, name: &str, transaction: f64, arguments: &[u8]) -> bool {
        let others = self.scripting.outboxes_bytes;
        let Some((slot, rtmp)) = self.slots.open_client(conn).filter(|(_, rtmp)| rtmp.session.is_connected()) else {
            return false;
        };
        // Behind what waits, so that the order is kept; and the session's own answers find room.
        let direct = rtmp.outbox.is_empty() && slot.tx.room() >= outbox::command_bytes(name, arguments) + REPLY_BYTES;
        let queued = match direct {
            true => rtmp.session.command(name, transaction, arguments, &mut slot.tx).ok().map(|()| 0),
            false => rtmp.outbox.push(name, transaction, arguments, others),
        };
        self.scripting.outboxes_bytes += queued.unwrap_or(0);
        self.wakes.send(conn.slot);
        queued.is_some()
    }

    /// What still waits for the client of its application's script is forgotten; a message that was sent in part is not,
    /// unless `all`.
    pub(super) fn clear_outbox(&mut self, conn: ConnId, all: bool) {
        let Some((_, rtmp)) = self.slots.client(conn) else { return };
        let kept = usize::from(!all && matches!(rtmp.tail, Some(Tail::Message(1..))));
        if kept == 0 && matches!(rtmp.tail, Some(Tail::Message(_))) {
            rtmp.tail = None;
        }
        self.scripting.outboxes_bytes -= rtmp.outbox.truncate(kept);
    }

    /// A call of a script reached no client: its result object is told.
    fn call_failed(&mut self, script: script::InstanceId, client: ClientId, transaction: u32, now: Millis) {
        let mut bytes = [0; 256];
        let mut out = Writer::new(&mut bytes);
        let status = Status::new(Code::CallFailed, "").described("The client does not read.");
        if status.object(&mut Encoder::new(&mut out)).is_err() {
            return;
        }
        let length = out.len();
        // Its actions are carried out by the caller's [`Server::run_actions`].
        if let Err(Fault::Exhausted(exhausted)) =
            self.scripting.engine.answer(script, client, transaction, false, &bytes[..length], now)
        {
            self.stop_instance_of(script, exhausted, now);
        }
    }

    /// A data message of a script to all players of a stream of its instance.
    fn send_to_stream(&mut self, script: script::InstanceId, name: &str, body: &[u8], now: Millis) {
        let Some(instance) =
            self.scripting.instances.running(script).and_then(|index| self.scripting.instances.instance(index))
        else {
            return;
        };
        let path = self.live.apps.definition(instance.app).map(|app| app.path(&instance.name, name));
        let Some(id) = path.and_then(|path| self.live.names.find(instance.app, &path.ok()?)) else { return };
        let Some((_, media)) = self.live.names.with_media(id) else { return };
        self.counters.data_dropped += u64::from(media.own_data(body, now).is_err());
        self.wakes.due(id);
    }

    /// Runs scripts' timers, ends instances without clients.
    pub(super) fn tick_scripts(&mut self, now: Millis) {
        while self.scripting.engine.next_timer().is_some_and(|due| due <= now) && self.scripts_may_run(now) {
            for index in self.scripting.instances.places() {
                self.entered(index);
            }
            let stopped = self.scripting.engine.tick(now);
            self.run_actions(now);
            match stopped {
                Some((script, exhausted)) => self.stop_instance_of(script, exhausted, now),
                None => break,
            }
        }
    }

    /// A few times a second: instances without clients, and how much goes through the others.
    pub(super) fn sweep_instances(&mut self, now: Millis) {
        for index in self.scripting.instances.places() {
            let Some(instance) = self.scripting.instances.instance(index) else { continue };
            match instance.state {
                InstanceState::Stopped { until } if now >= until && instance.clients == 0 => {
                    self.scripting.instances.remove(index);
                }
                InstanceState::Stopped { .. } => {}
                InstanceState::Running { script, outdated } => {
                    self.measure_traffic(index, now);
                    self.end_if_idle(index, script, outdated, now);
                }
            }
        }
    }

    fn end_if_idle(&mut self, index: InstanceIndex, script: script::InstanceId, outdated: bool, now: Millis) {
        let Some(instance) = self.scripting.instances.instance(index).filter(|instance| instance.clients == 0) else {
            return;
        };
        if outdated {
            return self.end_instance(index, StopReason::Shutdown, now);
        }
        let limits = self.live.apps.definition(instance.app).and_then(|definition| definition.script.as_ref());
        let idle_unload_ms = limits.map_or(0, |script| script.limits.idle_unload_ms);
        if idle_unload_ms == 0 || now.since(instance.idle_since) < idle_unload_ms {
            return;
        }
        self.entered(index);
        let may_go = self.scripting.engine.stopping(script, StopReason::Idle, now);
        self.run_actions(now);
        match may_go {
            Ok(false) => {
                if let Some(instance) = self.scripting.instances.instance_mut(index) {
                    instance.idle_since = now;
                }
            }
            _ => self.unload_instance(index, "idle"),
        }
    }

    /// The script of an instance, if it runs: it is about to be called. One that asks for statistics finds those of now,
    /// which costs a look at every connection; the others, which are nearly all, cost none.
    fn entered(&mut self, index: InstanceIndex) -> Option<script::InstanceId> {
        let script = self.scripting.instances.script(index)?;
        if self.scripting.engine.reads_stats(script) {
            self.refresh_stats(index, script);
        }
        Some(script)
    }

    fn entered_by(&mut self, conn: ConnId) -> Option<script::InstanceId> {
        let index = self.slots.look(conn)?.instance?;
        self.entered(index)
    }

    fn refresh_stats(&mut self, index: InstanceIndex, script: script::InstanceId) {
        let Some(instance) = self.scripting.instances.instance(index) else { return };
        let traffic = &instance.traffic;
        let mut all = ApplicationStats {
            bw_in: traffic.bw_in,
            bw_out: traffic.bw_out,
            bytes_in: traffic.left_in,
            bytes_out: traffic.left_out,
            total_connects: instance.total_connects,
            total_disconnects: instance.total_disconnects,
            ..ApplicationStats::default()
        };
        self.slots.write_back_all();
        for (at, slot, rtmp) in self.slots.clients().filter(|(_, slot, _)| slot.instance == Some(index)) {
            let stats = stats_of(slot, rtmp);
            all.bytes_in += stats.bytes_in;
            all.bytes_out += stats.bytes_out;
            self.scripting.engine.set_client_stats(script, client_id(self.slots.id(at)), &stats);
        }
        self.scripting.engine.set_application_stats(script, &all);
    }

    /// Once a second, what went through an instance in that second.
    fn measure_traffic(&mut self, index: InstanceIndex, now: Millis) {
        let Some(instance) = self.scripting.instances.instance_mut(index) else { return };
        let traffic = &mut instance.traffic;
        let passed_ms = now.since(traffic.since);
        if passed_ms < TRAFFIC_MS {
            return;
        }
        self.slots.write_back_all();
        let (mut bytes_in, mut bytes_out) = (traffic.left_in, traffic.left_out);
        for (_, slot) in self.slots.taken_slots().filter(|(_, slot)| slot.instance == Some(index)) {
            bytes_in += slot.bytes_in;
            bytes_out += slot.bytes_out;
        }
        traffic.bw_in = bytes_in.saturating_sub(traffic.bytes_in) * 1000 / passed_ms;
        traffic.bw_out = bytes_out.saturating_sub(traffic.bytes_out) * 1000 / passed_ms;
        (traffic.since, traffic.bytes_in, traffic.bytes_out) = (now, bytes_in, bytes_out);
    }

    /// The script of these instances has changed: each is loaded anew as soon as it has no clients.
    pub(super) fn outdate_instances(&mut self, app: AppId, now: Millis) {
        for index in self.scripting.instances.places() {
            let Some(instance) = self.scripting.instances.instance_mut(index).filter(|instance| instance.app == app)
            else {
                continue;
            };
            match &mut instance.state {
                InstanceState::Running { outdated, .. } => *outdated = true,
                // Perhaps it is right now.
                InstanceState::Stopped { until } => *until = now,
            }
        }
    }

    /// Ends the instances of an application, or the one called `name`: their clients are told that the application is
    /// shut down. Returns how many instances there were.
    pub(super) fn stop_instances(&mut self, app: AppId, name: Option<&str>, now: Millis) -> usize {
        let mut ended = 0;
        for index in self.scripting.instances.places() {
            let Some(instance) = self.scripting.instances.instance(index) else { continue };
            if instance.app == app && name.is_none_or(|name| instance.name == name) {
                ended += 1;
                self.shut_down_instance(index, now);
            }
        }
        ended
    }

    /// The server stops: `onAppStop` of every instance.
    pub(super) fn end_all_instances(&mut self, now: Millis) {
        for index in self.scripting.instances.places() {
            self.end_instance(index, StopReason::Shutdown, now);
        }
    }

    /// `application.shutdown()`: all clients are disconnected, `onAppStop`, and the next client finds it loaded afresh.
    fn shut_down_instance(&mut self, index: InstanceIndex, now: Millis) {
        self.each_client(index, |server, conn| {
            server.shut_down_client(conn, now);
        });
        self.end_instance(index, StopReason::Shutdown, now);
    }

    /// `onAppStop`, then the instance is gone. It has no clients any more.
    fn end_instance(&mut self, index: InstanceIndex, reason: StopReason, now: Millis) {
        let Some(instance) = self.scripting.instances.instance_mut(index) else { return };
        if core::mem::replace(&mut instance.ending, true) {
            // Its `onAppStop` wants to shut it down.
            return;
        }
        if let Some(script) = self.entered(index) {
            // It is told, not asked; if that goes wrong, it goes all the same.
            let _ = self.scripting.engine.stopping(script, reason, now);
            self.run_actions(now);
        }
        self.unload_instance(index, "stopped");
    }

    fn unload_instance(&mut self, index: InstanceIndex, reason: &str) {
        let Some(instance) = self.scripting.instances.instance(index) else { return };
        let app = self.live.apps.name(instance.app);
        info!("rill script unloaded app={app:?} instance={:?} reason={reason}", instance.name.as_str());
        if let Some(script) = self.scripting.instances.script(index) {
            self.scripting.engine.unload(script);
        }
        self.scripting.instances.remove(index);
    }

    /// A script exceeded a limit: nothing of it runs any more. Its clients are disconnected, and refused for a while.
    fn stop_instance_of(&mut self, script: script::InstanceId, exhausted: Exhausted, now: Millis) {
        let Some(index) = self.scripting.instances.running(script) else { return };
        self.scripting.engine.unload(script);
        let Some(instance) = self.scripting.instances.instance_mut(index) else { return };
        let app = instance.app;
        let definition = self.live.apps.definition(app).and_then(|definition| definition.script.as_ref());
        let retry_ms = definition.map_or(0, |script| script.limits.retry_ms);
        instance.state = InstanceState::Stopped { until: now + retry_ms };
        warn!(
            "rill script stopped app={:?} instance={:?} reason=\"{exhausted}\": its clients are refused for {} s",
            self.live.apps.name(app),
            instance.name.as_str(),
            retry_ms / 1000
        );
        self.each_client(index, |server, conn| {
            let Some((slot, rtmp)) = server.slots.open_client(conn) else { return };
            if rtmp.session.is_connected() {
                let status = Status::new(Code::ConnectAppShutdown, "")
                    .described(refusals::row(Unscripted::Stopped.into()).words);
                let _ = rtmp.session.status(None, status, &mut slot.tx);
                server.close_after_flush(conn, CloseReason::ScriptStopped, now);
            } else {
                server.refuse_connect(
                    conn,
                    Rejection::ScriptFailed,
                    refusals::row(Unscripted::Stopped.into()).words,
                    now,
                );
            }
        });
    }

    fn each_client(&mut self, index: InstanceIndex, visit: impl FnMut(&mut Server, ConnId)) {
        self.each_connection(|slot, _| slot.instance == Some(index), visit);
    }
}

/// What `client.getStats()` tells of a connection.
fn stats_of(slot: &Slot, rtmp: &Rtmp) -> ClientStats {
    ClientStats {
        bytes_in: slot.bytes_in,
        bytes_out: slot.bytes_out,
        ping_rtt_ms: rtmp.session.round_trip_ms().unwrap_or(0),
        ..ClientStats::default()
    }
}

impl Server {
    /// Scripts may run now. What they have used since it was last asked is counted.
    pub(super) fn scripts_may_run(&mut self, now: Millis) -> bool {
        let spent_us = self.scripting.engine.take_spent_us();
        self.scripting.time.turn_us += spent_us;
        self.scripting.time.share.spend(spent_us);
        self.scripting.time.turn_us < TURN_US && self.scripting.time.share.available(now.0) > 0
    }

    /// The connection goes on when its script has time again.
    pub(super) fn wait_for_script(&mut self, conn: ConnId) {
        self.wakes.rest(conn.slot);
        self.wakes.hold(Held::Script, conn.slot);
    }

    /// A turn begins: waiting clients go on as far as there is time.
    pub(super) fn wake_scripts(&mut self, now: Millis) {
        self.scripting.time.turn_us = 0;
        self.run_actions(now);
        let mut from = 0;
        while self.scripts_may_run(now)
            && let Some(slot) = self.wakes.next_held(Held::Script, from)
        {
            from = slot.at() + 1;
            self.wakes.let_go(Held::Script, slot);
            let conn = self.slots.id(slot);
            match self.slots.peek_client(slot).map(|(slot, rtmp)| (rtmp.joining, slot.app)) {
                Some((Joining::Queued { .. }, Some(_))) => self.join(conn, now),
                _ => self.wakes.read(slot),
            }
        }
    }

    /// When scripts, and clients that wait for them, are to be looked at again.
    pub(super) fn next_script(&self) -> Option<Millis> {
        let waits = self.wakes.holds_any(&[Held::Script]) || self.scripting.engine.has_actions();
        let waits = waits.then_some(Millis(0));
        let next = [waits, self.scripting.engine.next_timer()].into_iter().flatten().min()?;
        Some(next.max(self.scripting.time.ready()))
    }
}
