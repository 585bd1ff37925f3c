//! Server-side code at work: what scripts are told, and asked. They are in processes of their own ([`super::script_hosts`]), and
//! what they say to that comes when it comes ([`super::script_says`]). Whoever has caused something for which there is no room
//! waits with it, and is not read.

use core::fmt::Write;

use log::info;

use crate::features::script::hosts::HostState;
use crate::handles::{AppId, ConnId, HostIndex, StreamId};
use crate::live::app::ScriptLimits;
use crate::live::refusal::{Refusal, Unscripted};
use crate::rtmp::event::Request;
use crate::rtmp::status::{Code, Status};
use crate::time::Millis;
use crate::wire::http::HttpStatus;
use crate::wire::script_link::{
    Access, AccessSet, ApplicationStats, ClientFacts, ClientStats, InstanceId, StopReason, StreamFacts, ToHost,
};

use super::Server;
use super::close::{CloseReason, Rejection};
use super::instances::{Instance, InstanceIndex, InstanceState, LoadStep, Traffic};
use super::refusals;
use super::rtmp::{Asked, Joining, Rtmp, Unsaid};
use super::scripts::client_id;
use super::slot::Slot;
use super::speaks::Speaks;
use super::wakes::Held;

/// Over how long the traffic of an instance is measured, in milliseconds.
const TRAFFIC_MS: u64 = 1000;

impl Server {
    /// Puts the client into an instance, which is loaded if it is not there. `None`: there is no place before
    /// another instance has ended.
    ///
    /// # Errors
    ///
    /// Why that cannot be.
    pub(super) fn enter_instance(
        &mut self,
        conn: ConnId,
        app: AppId,
        name: &str,
        now: Millis,
    ) -> Result<Option<InstanceIndex>, Refusal> {
        let mut found = self.scripting.instances.find(app, name);
        if let Some(index) = found
            && let Some(instance) = self.scripting.instances.instance(index)
        {
            match instance.state {
                InstanceState::Stopped { until } if now < until => return Err(Unscripted::Stopped.into()),
                InstanceState::Stopped { .. } => {
                    self.scripting.instances.remove(index);
                    found = None;
                }
                InstanceState::Running { outdated: true, .. } if instance.clients == 0 => {
                    self.end_instance(index, now);
                    return Ok(None);
                }
                InstanceState::Ending | InstanceState::Running { is_asked: true, .. } => return Ok(None),
                InstanceState::Loading(_) | InstanceState::Starting { .. } | InstanceState::Running { .. } => {}
            }
        }
        let index = match found {
            Some(index) => index,
            None => match self.load_instance(app, name, now)? {
                Some(index) => index,
                None => return Ok(None),
            },
        };
        let Some(instance) = self.scripting.instances.instance_mut(index) else { return Ok(None) };
        let Some((slot, speaks)) = self.slots.open_both(conn) else { return Ok(None) };
        instance.clients += 1;
        slot.instance = Some(index);
        if let Some(rtmp) = speaks.rtmp_mut() {
            rtmp.session.set_scripted();
        }
        Ok(Some(index))
    }

    fn load_instance(&mut self, app: AppId, name: &str, now: Millis) -> Result<Option<InstanceIndex>, Refusal> {
        let Some(index) = self.scripting.instances.free() else {
            if let Some(idle) = self.scripting.instances.longest_idle() {
                self.end_instance(idle, now);
            } else if !self.scripting.instances.iter().any(|(_, instance)| instance.state == InstanceState::Ending) {
                return Err(Unscripted::NoPlace.into());
            }
            if self.scripting.instances.free().is_none() {
                return Ok(None);
            }
            return self.load_instance(app, name, now);
        };
        if self.scripting.hosts().next().is_none() {
            return Err(Unscripted::NotBuilt.into());
        }
        let Some(host) = self.scripting.host_for(app) else { return Ok(None) };
        let script = self.scripting.instances.next_script(index);
        let instance = Instance {
            app,
            // It fits: it comes from a field of the same length.
            name: heapless::String::try_from(name).unwrap_or_default(),
            state: InstanceState::Loading(LoadStep::Head),
            script,
            host,
            clients: 0,
            idle_since: now,
            traffic: Traffic { since: now, ..Traffic::default() },
            total_connects: 0,
            total_disconnects: 0,
        };
        self.scripting.instances.put(index, instance);
        self.scripting.assign(host, app);
        if self.scripting.host(host).state == HostState::Absent {
            self.scripting.host_mut(host).state = HostState::Wanted { from: now };
        }
        self.scripting.tend();
        Ok(Some(index))
    }

    /// `application.onConnect`. False when there is no room to say it.
    pub(super) fn tell_of_client(&mut self, conn: ConnId, index: InstanceIndex, now: Millis) -> bool {
        let (to_client_bytes_s, to_server_bytes_s) = self.bandwidth_limit(conn);
        let Server { slots, scripting, .. } = self;
        let Some(instance) = scripting.running(index) else { return false };
        let Some((slot, rtmp)) = slots.open_client(conn) else { return false };
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
            protocol: if slot.is_secure { "rtmps" } else { "rtmp" },
            secure: slot.is_secure,
            to_client_bytes_s,
            to_server_bytes_s,
        };
        let connect = ToHost::Connect { instance, client: client_id(conn), facts, arguments: session.arguments() };
        rtmp.is_told = scripting.tell(index, &connect, now).is_ok();
        rtmp.is_told
    }

    /// Its script has been told of the client, and has not decided. What stands before the answer to `connect` (window, bandwidth, chunk
    /// size) goes out with it in one write, for a write costs as much as most scripts do; should the script take longer than until the
    /// next sweep over the connections, it goes before.
    pub(super) fn is_let_in_soon(&self, conn: ConnId) -> bool {
        self.slots.look_client(conn).is_some_and(|(_, rtmp)| matches!(rtmp.joining, Joining::Script { .. }))
    }

    /// A client called a method, after [`Event::Call`](crate::rtmp::event::Event::Call).
    pub(super) fn call_script(&mut self, conn: ConnId, now: Millis) {
        let Some((index, instance)) = self.script_of(conn) else {
            let is_kept = |(slot, rtmp): (&Slot, &Rtmp)| slot.instance.is_some() && !rtmp.is_told;
            return match self.slots.look_client(conn).is_some_and(is_kept) {
                true => drop(self.shut_down_client(conn, now)),
                false => self.answer_built_in(conn, now),
            };
        };
        let deadline = self.pending_until(conn, now);
        let Server { slots, scripting, .. } = self;
        let Some((slot, rtmp)) = slots.open_client(conn) else { return };
        let Some(call) = rtmp.session.call() else { return };
        let question = scripting.question(conn, call.transaction);
        let told = ToHost::Call { instance, question, name: call.name, arguments: call.arguments };
        if scripting.tell(index, &told, now).is_ok() {
            rtmp.asked = Asked::Call { number: question.number, deadline };
        } else if slot.publishing > 0 {
            // Its media does not wait for it.
            self.refuse_call(question, "The application is busy.");
        } else {
            rtmp.asked = Asked::Unsaid(Unsaid::Call);
            self.wait_for_script(conn);
        }
    }

    /// Until when an answer of its script is waited for.
    fn pending_until(&self, conn: ConnId, now: Millis) -> Millis {
        let limits = self.slots.look(conn).and_then(|slot| self.script_limits(slot.app?));
        now + limits.map_or(0, |limits| limits.pending_ms)
    }

    /// What the script of an application may use, and how long others wait for it. `None` when it has none any more.
    pub(super) fn script_limits(&self, app: AppId) -> Option<&ScriptLimits> {
        Some(&self.live.apps.definition(app)?.script.as_ref()?.limits)
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
        let asks = |asked| {
            matches!(
                asked,
                Asked::Access { .. } | Asked::File { .. } | Asked::Hook { .. } | Asked::Unsaid(Unsaid::Request)
            )
        };
        self.slots.look_client(conn).is_some_and(|(_, rtmp)| asks(rtmp.asked))
    }

    /// The script, or the disk, has not answered in time.
    pub(super) fn unanswered(&mut self, conn: ConnId, now: Millis) {
        let Some((_, rtmp)) = self.slots.open_client(conn) else { return };
        match rtmp.asked {
            Asked::Call { .. } => self.wait_no_more(conn),
            Asked::File { id, .. } => self.file_unanswered(conn, id, now),
            Asked::Access { .. } | Asked::Hook { .. } | Asked::Unsaid(Unsaid::Request) => {
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
            Asked::Nothing | Asked::Allowed(_) | Asked::Hooked(_) | Asked::Answered(_) | Asked::Unsaid(_) => {}
        }
    }

    /// Asks the application's script whether the client may do that with a stream. False when there is none to say so.
    pub(super) fn ask_access(&mut self, conn: ConnId, access: Access, stream: &str, now: Millis) -> bool {
        let Some((index, instance)) = self.script_of(conn) else { return false };
        let wanted = match access {
            // Who plays is told what else it may.
            Access::Read => AccessSet::of(&[Access::Read, Access::AudioSample, Access::VideoSample]),
            access => AccessSet::of(&[access]),
        };
        let deadline = self.pending_until(conn, now);
        let Server { slots, scripting, .. } = self;
        let question = scripting.question(conn, 0.0);
        let told = scripting.tell(index, &ToHost::Access { instance, question, wanted, stream }, now);
        let Some((_, rtmp)) = slots.open_client(conn) else { return false };
        rtmp.asked = match told {
            Ok(()) => Asked::Access { number: question.number, deadline },
            Err(_) => Asked::Unsaid(Unsaid::Request),
        };
        if told.is_err() {
            self.wait_for_script(conn);
        }
        true
    }

    /// A client answered a call of its application's script.
    pub(super) fn answer_script(&mut self, conn: ConnId, transaction: u32, ok: bool, now: Millis) {
        let Some((index, instance)) = self.script_of(conn) else { return };
        let Server { slots, scripting, .. } = self;
        let Some((slot, rtmp)) = slots.open_client(conn) else { return };
        let client = client_id(conn);
        let told = ToHost::Answer { instance, client, transaction, ok, arguments: rtmp.session.arguments() };
        // A publisher's media does not wait for it: what it sends more than its script can take is lost.
        let is_told = scripting.tell(index, &told, now).is_ok();
        if slot.publishing > 0 {
            return;
        }
        if is_told {
            rtmp.asked = Asked::Answered(scripting.told(index));
            self.wakes.hold(Held::Answered, conn.slot);
        } else {
            rtmp.asked = Asked::Unsaid(Unsaid::Answer(transaction, ok));
            self.wait_for_script(conn);
        }
    }

    /// `application.onPublish`, after the publisher was told.
    pub(super) fn run_on_publish(&mut self, conn: ConnId, id: StreamId, now: Millis) {
        self.tell_of_stream(conn, id, true, now);
    }

    /// `application.onUnpublish`.
    pub(super) fn run_on_unpublish(&mut self, conn: ConnId, id: StreamId, now: Millis) {
        self.tell_of_stream(conn, id, false, now);
    }

    fn tell_of_stream(&mut self, conn: ConnId, id: StreamId, begins: bool, now: Millis) {
        let Some((index, instance)) = self.script_of(conn) else { return };
        let path = self.path_told(id, true);
        let Server { slots, scripting, .. } = self;
        let Some((_, rtmp)) = slots.look_client(conn) else { return };
        let name = rtmp.session.own_name(&path);
        let client = client_id(conn);
        let message = match begins {
            true => {
                let publish_query_string = rtmp.session.stream_query();
                let stream = StreamFacts { name, publish_query_string, kind: "live" };
                ToHost::Publish { instance, client, stream }
            }
            false => {
                let stream = StreamFacts { name, publish_query_string: "", kind: "live" };
                ToHost::Unpublish { instance, client, stream }
            }
        };
        scripting.must_tell(index, &message, now);
    }

    /// The client leaves: `application.onDisconnect`, unless it was refused.
    pub(super) fn leave_instance(&mut self, conn: ConnId, now: Millis) {
        let Some((slot, speaks)) = self.slots.both_of(conn) else { return };
        let Some(index) = slot.instance.take() else { return };
        let stats = stats_of(slot, speaks);
        let (is_told, accepted) = match speaks {
            Speaks::Rtmp(rtmp) => (core::mem::take(&mut rtmp.is_told), rtmp.session.is_connected()),
            Speaks::Http(http) => {
                let guest = core::mem::take(&mut http.guest);
                (guest.is_told(), guest.is_in())
            }
            _ => (false, false),
        };
        let Some(instance) = self.scripting.instances.instance_mut(index) else { return };
        instance.clients -= 1;
        instance.traffic.left_in += stats.bytes_in;
        instance.traffic.left_out += stats.bytes_out;
        instance.idle_since = now;
        instance.total_disconnects += u64::from(accepted);
        if is_told && let Some(instance) = self.scripting.running(index) {
            let gone = ToHost::Gone { instance, client: client_id(conn), stats };
            self.scripting.must_tell(index, &gone, now);
        }
    }

    /// A few times a second: instances without clients, and how much goes through the others.
    pub(super) fn sweep_instances(&mut self, now: Millis) {
        for index in self.scripting.instances.places() {
            let Some(instance) = self.scripting.instances.instance(index) else { continue };
            match instance.state {
                InstanceState::Stopped { until } if now >= until && instance.clients == 0 => {
                    self.remove_instance(index);
                }
                InstanceState::Running { outdated, is_asked } => {
                    self.measure_traffic(index, now);
                    if !is_asked {
                        self.end_if_idle(index, outdated, now);
                    }
                }
                _ => {}
            }
        }
    }

    fn end_if_idle(&mut self, index: InstanceIndex, outdated: bool, now: Millis) {
        let Some(instance) = self.scripting.instances.instance(index).filter(|instance| instance.clients == 0) else {
            return;
        };
        if outdated {
            return self.end_instance(index, now);
        }
        let idle_unload_ms = self.script_limits(instance.app).map_or(0, |limits| limits.idle_unload_ms);
        if idle_unload_ms == 0 || now.since(instance.idle_since) < idle_unload_ms {
            return;
        }
        let stop = ToHost::Stop { instance: instance.script, reason: StopReason::Idle };
        self.scripting.must_tell(index, &stop, now);
        if let Some(instance) = self.scripting.instances.instance_mut(index) {
            instance.state = InstanceState::Running { outdated, is_asked: true };
        }
    }

    /// It was asked, and has answered.
    pub(super) fn may_go(&mut self, index: InstanceIndex, yes: bool, now: Millis) {
        let Some(instance) = self.scripting.instances.instance_mut(index) else { return };
        match instance.state {
            InstanceState::Ending => self.unload_instance(index, "stopped"),
            InstanceState::Running { is_asked: true, .. } if yes && instance.clients == 0 => {
                let unload = ToHost::Unload { instance: instance.script };
                self.scripting.must_tell(index, &unload, now);
                self.unload_instance(index, "idle");
            }
            InstanceState::Running { outdated, is_asked: true } => {
                instance.state = InstanceState::Running { outdated, is_asked: false };
                instance.idle_since = now;
                self.scripting.retry = true;
            }
            _ => {}
        }
    }

    /// The client's instance, if its script runs and knows the client.
    fn script_of(&self, conn: ConnId) -> Option<(InstanceIndex, InstanceId)> {
        let (slot, rtmp) = self.slots.look_client(conn)?;
        let index = slot.instance.filter(|_| rtmp.is_told)?;
        Some((index, self.scripting.running(index)?))
    }

    /// What a script hears of a client that asks.
    pub(super) fn client_stats(&mut self, conn: ConnId) -> ClientStats {
        self.slots.both_of(conn).map_or_else(ClientStats::default, |(slot, speaks)| stats_of(slot, speaks))
    }

    /// What a script hears of all clients of its instance.
    pub(super) fn application_stats(&mut self, index: InstanceIndex) -> ApplicationStats {
        let Some(instance) = self.scripting.instances.instance(index) else { return ApplicationStats::default() };
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
        for (_, slot) in self.slots.taken_slots().filter(|(_, slot)| slot.instance == Some(index)) {
            all.bytes_in += slot.bytes_in;
            all.bytes_out += slot.bytes_out;
        }
        all
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
                InstanceState::Running { outdated, .. } | InstanceState::Starting { outdated } => *outdated = true,
                // Perhaps it is right now.
                InstanceState::Stopped { until } => *until = now,
                InstanceState::Loading(LoadStep::Later(_) | LoadStep::Head) | InstanceState::Ending => {}
                InstanceState::Loading(_) => self.begin_loading_again(index, LoadStep::Head, now),
            }
        }
    }

    /// What was told of the instance does not hold any more.
    pub(super) fn begin_loading_again(&mut self, index: InstanceIndex, step: LoadStep, now: Millis) {
        let script = self.scripting.instances.next_script(index);
        let Some(instance) = self.scripting.instances.instance_mut(index) else { return };
        let unload = ToHost::Unload { instance: core::mem::replace(&mut instance.script, script) };
        instance.state = InstanceState::Loading(step);
        self.scripting.must_tell(index, &unload, now);
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
            self.end_instance(index, now);
        }
    }

    /// `application.shutdown()`: all clients are disconnected, `onAppStop`, and the next client finds it loaded afresh.
    pub(super) fn shut_down_instance(&mut self, index: InstanceIndex, now: Millis) {
        self.each_client(index, |server, conn| {
            server.shut_down_client(conn, now);
        });
        self.end_instance(index, now);
    }

    /// `onAppStop`, then the instance is gone. It has no clients any more.
    pub(super) fn end_instance(&mut self, index: InstanceIndex, now: Millis) {
        self.end_broadcasts_of(index, now);
        let Some(instance) = self.scripting.instances.instance_mut(index) else { return };
        let script = instance.script;
        match instance.state {
            InstanceState::Ending => {}
            InstanceState::Running { is_asked, .. } => {
                instance.state = InstanceState::Ending;
                // One that was asked is told by that.
                if !is_asked {
                    let stop = ToHost::Stop { instance: script, reason: StopReason::Shutdown };
                    self.scripting.must_tell(index, &stop, now);
                }
                self.scripting.must_tell(index, &ToHost::Unload { instance: script }, now);
            }
            InstanceState::Loading(LoadStep::Later(_) | LoadStep::Head) | InstanceState::Stopped { .. } => {
                self.remove_instance(index);
            }
            InstanceState::Starting { .. } | InstanceState::Loading(_) => {
                self.scripting.must_tell(index, &ToHost::Unload { instance: script }, now);
                self.remove_instance(index);
            }
        }
    }

    fn unload_instance(&mut self, index: InstanceIndex, reason: &str) {
        let Some(instance) = self.scripting.instances.instance(index) else { return };
        let app = self.live.apps.name(instance.app);
        info!("rill script unloaded app={app:?} instance={:?} reason={reason}", instance.name.as_str());
        self.remove_instance(index);
    }

    /// The script of an instance does not run: whoever is in it is told so and goes, and others are refused for a while.
    pub(super) fn refuse_clients_of(&mut self, index: InstanceIndex, why: Unscripted, retry_ms: u64, now: Millis) {
        if let Some(instance) = self.scripting.instances.instance_mut(index) {
            instance.state = InstanceState::Stopped { until: now + retry_ms };
        }
        let words = refusals::row(why.into()).words;
        self.each_client(index, |server, conn| {
            if server.dismiss_guest(conn, (HttpStatus::InternalServerError, words), CloseReason::ScriptStopped, now) {
                return;
            }
            let Some((slot, rtmp)) = server.slots.open_client(conn) else { return };
            if rtmp.session.is_connected() {
                let status = Status::new(Code::ConnectAppShutdown, "").described(words);
                let _ = rtmp.session.status(None, status, &mut slot.tx);
                server.close_after_flush(conn, CloseReason::ScriptStopped, now);
            } else {
                server.refuse_connect(conn, Rejection::ScriptFailed, words, now);
            }
        });
    }

    pub(super) fn each_client(&mut self, index: InstanceIndex, visit: impl FnMut(&mut Server, ConnId)) {
        self.each_slot(|slot, _| slot.instance == Some(index), visit);
    }
}

/// What `client.getStats()` tells of a connection.
fn stats_of(slot: &Slot, speaks: &Speaks) -> ClientStats {
    ClientStats {
        bytes_in: slot.bytes_in,
        bytes_out: slot.bytes_out,
        ping_rtt_ms: speaks.rtmp().and_then(|rtmp| rtmp.session.round_trip_ms()).unwrap_or(0),
        ..ClientStats::default()
    }
}

impl Server {
    /// The connection goes on when its script may be told of it.
    pub(super) fn wait_for_script(&mut self, conn: ConnId) {
        self.wakes.hold(Held::Script, conn.slot);
    }

    /// A turn begins: clients go on who waited for a place, or for room to tell their script something.
    pub(super) fn wake_scripts(&mut self, now: Millis) {
        if !core::mem::take(&mut self.scripting.retry) {
            return;
        }
        let mut from = 0;
        while let Some(slot) = self.wakes.next_held(Held::Script, from) {
            from = slot.at() + 1;
            self.wakes.let_go(Held::Script, slot);
            let conn = self.slots.id(slot);
            if self.slots.peek_both(slot).1.http().is_some() {
                self.answer_http(conn, now);
                continue;
            }
            let Some((_, rtmp)) = self.slots.open_client(conn) else { continue };
            if let Joining::Queued { .. } = rtmp.joining {
                self.join(conn, now);
                continue;
            }
            let Asked::Unsaid(what) = rtmp.asked else { continue };
            rtmp.asked = Asked::Nothing;
            match what {
                Unsaid::Call => self.call_script(conn, now),
                Unsaid::Answer(transaction, ok) => self.answer_script(conn, transaction, ok, now),
                Unsaid::Request => self.request(conn, now),
            }
            if self.slots.look_client(conn).is_some_and(|(_, rtmp)| rtmp.asked == Asked::Nothing) {
                self.unblock(conn);
            }
        }
    }

    /// A process has come back: clients are read on whose answers are through.
    pub(super) fn answers_are_through(&mut self, host: HostIndex) {
        let mut from = 0;
        while let Some(slot) = self.wakes.next_held(Held::Answered, from) {
            from = slot.at() + 1;
            let Some((client, rtmp)) = self.slots.peek_client(slot) else { continue };
            let Asked::Answered(count) = rtmp.asked else { continue };
            let instance = client.instance.and_then(|index| self.scripting.instances.instance(index));
            if instance.is_some_and(|instance| instance.host == host) && self.scripting.host(host).is_through(count) {
                let conn = self.slots.id(slot);
                self.wakes.let_go(Held::Answered, slot);
                if let Some((_, rtmp)) = self.slots.open_client(conn) {
                    rtmp.asked = Asked::Nothing;
                }
                self.unblock(conn);
            }
        }
    }

    /// When scripts, and clients that wait for them, are to be looked at again.
    pub(super) fn next_script(&self) -> Option<Millis> {
        let retries = self.scripting.retry && self.wakes.holds_any(&[Held::Script]);
        (retries || self.scripting.is_untold()).then_some(Millis(0))
    }
}
