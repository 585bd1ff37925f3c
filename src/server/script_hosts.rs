//! Script processes at work: started when an instance is to be loaded, told what it consists of, watched while they are busy, and
//! ended when they do not come back. What becomes of their instances and clients then.

use std::io::IoSlice;

use log::warn;

use crate::features::script::hosts::{HostFault, HostState, Patience, TextAt};
use crate::handles::{ConnId, HostIndex, SlotIndex};
use crate::limits::SCRIPT_PIECE_BYTES;
use crate::live::applications::AppSource;
use crate::live::jobs::{CHANGING_MS, Job};
use crate::live::refusal::Unscripted;
use crate::live::script_text::{TextBlock, TextFollows};
use crate::live::settings::Settings;
use crate::rtmp::status::{Code, Status};
use crate::text::Quoted;
use crate::time::Millis;
use crate::wire::script_link::{Entered, Exhausted, FileRole, InstanceId, ToHost, ToServer};

use super::Server;
use super::alarms::Alarm;
use super::close::CloseReason;
use super::connect::Field;
use super::fanout::Flush;
use super::instances::{InstanceIndex, InstanceState, LoadStep};
use super::memory::SCRIPT_OVERHEAD_BYTES;
use super::rtmp::{Asked, Joining};
use super::transport::{Io, Net};
use super::wakes::Held;

/// How often a process that is busy is looked at, in milliseconds. Its processor time is known then and not between, for to ask for it
/// costs more than to tell it something: it may be found out twice as late.
const LOOK_MS: u64 = 20;

/// What scripts know the server's only virtual host by: Adobe's name for the one that needs none.
const HOST_NAME: &str = "_defaultVHost_";
/// `application.server`: product, version, system.
const SERVER_NAME: &str = concat!("Rill/", env!("CARGO_PKG_VERSION"), " LNX");

impl Server {
    /// What is to be done for processes: they are started, told and ended.
    pub(super) fn tend_hosts<N: Net>(&mut self, net: &mut N, now: Millis) {
        if !self.scripting.take_untold() {
            return;
        }
        for host in self.scripting.hosts() {
            match self.scripting.host(host).state {
                HostState::Absent => {}
                HostState::Wanted { from } if now < from => self.look_at_hosts(from),
                HostState::Wanted { .. } => self.start_host(net, host, now),
                HostState::Condemned(fault) => self.end_host(net, host, fault, now),
                HostState::Starting => self.look_at_hosts(now + LOOK_MS),
                HostState::Running => {
                    self.tell_texts(host, now);
                    if self.scripting.instances_of(host).next().is_none() {
                        self.end_host(net, host, HostFault::Unneeded, now);
                    } else if self.scripting.host(host).is_busy() {
                        self.look_at_hosts(now + LOOK_MS);
                    }
                }
            }
            match self.scripting.host(host).due() {
                Some(due) if due > now => self.look_at_hosts(due),
                Some(_) => self.wakes.send(self.slots.host_slot(host)),
                None => {}
            }
        }
    }

    fn look_at_hosts(&mut self, at: Millis) {
        self.alarms.by(Alarm::Scripts, at);
    }

    /// Looks at processes that are busy, wait for their time to be started, or are to be told something that could wait.
    pub(super) fn watch_hosts<N: Net>(&mut self, net: &mut N, now: Millis) {
        if !self.alarms.rings(Alarm::Scripts, now) {
            return;
        }
        self.alarms.set(Alarm::Scripts, None);
        for host in self.scripting.hosts() {
            self.look_at_host(net, host, now);
        }
        self.scripting.tend();
        self.tend_hosts(net, now);
    }

    /// Whether a process, if it is busy, should have come back.
    fn look_at_host<N: Net>(&mut self, net: &mut N, host: HostIndex, now: Millis) {
        if !self.scripting.host(host).is_speaking() || !self.scripting.host(host).is_busy() {
            return;
        }
        let patience = self.patience(host);
        let time_us = net.host_time_us(self.slots.host_slot(host));
        if let Some(fault) = self.scripting.host_mut(host).overdue(patience, time_us, now) {
            self.end_host(net, host, fault, now);
        }
    }

    /// A few times a second: processes that compute though nobody has told them anything have to show that they come back.
    pub(super) fn sweep_hosts<N: Net>(&mut self, net: &mut N, now: Millis) {
        for host in self.scripting.hosts() {
            if !self.scripting.host(host).is_running() {
                continue;
            }
            let time_us = net.host_time_us(self.slots.host_slot(host));
            if self.scripting.host_mut(host).computes(time_us) {
                self.scripting.host_mut(host).must_tell(&ToHost::Knock {}, now);
                self.scripting.tend();
            }
        }
    }

    /// How long a process may take: no less than its scripts may.
    fn patience(&self, host: HostIndex) -> Patience {
        let budgets = self
            .scripting
            .instances_of(host)
            .filter_map(|index| Some(self.script_limits(self.scripting.instances.instance(index)?.app)?.budget));
        let longest = budgets.map(|budget| budget.call_ms.max(budget.load_ms)).max().unwrap_or(0);
        let twice = 2 * u64::from(longest);
        let Settings { script_kill_ms, script_answer_ms, .. } = self.settings;
        Patience { kill_ms: script_kill_ms.max(twice), answer_ms: script_answer_ms.max(2 * twice) }
    }

    fn start_host<N: Net>(&mut self, net: &mut N, host: HostIndex, now: Millis) {
        // An application may have all instances that there are.
        let (budget, instances) = (&self.settings.scripts.budget, self.settings.script_instances);
        let memory_bytes =
            (budget.memory_bytes + SCRIPT_OVERHEAD_BYTES as u64) * u64::from(instances) + budget.stack_bytes;
        let conn = self.slots.take_host(host, now);
        if net.start_host(conn.slot, memory_bytes) {
            self.scripting.host_mut(host).begin(now);
            self.wakes.read(conn.slot);
            self.wakes.writable(conn.slot);
            self.look_at_hosts(now + LOOK_MS);
            return;
        }
        self.slots.release(conn.slot);
        self.scripting.host_mut(host).begin(now);
        self.host_ended(host, HostFault::Ended, None, now);
    }

    fn end_host<N: Net>(&mut self, net: &mut N, host: HostIndex, fault: HostFault, now: Millis) {
        let slot = self.slots.host_slot(host);
        let doing = net.host_doing(slot);
        net.kill_host(slot);
        self.forget_host(net, slot);
        self.host_ended(host, fault, doing, now);
    }

    /// The connection to a process has ended, and the process with it.
    pub(super) fn lost_host<N: Net>(&mut self, net: &mut N, host: HostIndex, now: Millis) {
        let fault = match self.scripting.host(host).state {
            HostState::Condemned(fault) => fault,
            _ => HostFault::Ended,
        };
        self.end_host(net, host, fault, now);
    }

    fn forget_host<N: Net>(&mut self, net: &mut N, slot: SlotIndex) {
        net.close(slot);
        self.wakes.forget(slot);
        self.slots.release(slot);
    }

    /// A process is no more. `doing` is what it was about.
    fn host_ended(&mut self, host: HostIndex, fault: HostFault, doing: Option<Entered>, now: Millis) {
        let culprit = doing.and_then(|entered| Some((self.scripting.speaker(host, entered.instance)?, entered)));
        let was_there = self.scripting.host(host).state != HostState::Starting;
        if fault != HostFault::Unneeded {
            let named = culprit.as_ref().and_then(|(index, _)| self.scripting.instances.instance(*index));
            let entered = culprit.as_ref().map(|(_, entered)| entered);
            let place = entered.filter(|entered| !entered.file.is_empty());
            warn!(
                "rill script process ended{}{}{}{}{} reason=\"{fault}\"",
                Field(" app", named.map(|instance| Quoted(self.live.apps.name(instance.app)))),
                Field(" instance", named.map(|instance| Quoted(instance.name.as_str()))),
                Field(" handler", entered.map(|entered| entered.handler)),
                Field(" file", place.map(|entered| Quoted(entered.file.as_str()))),
                Field(" line", place.map(|entered| entered.line).filter(|line| *line > 0)),
            );
        }
        // Nothing of it is to be told anything any more.
        self.scripting.host_mut(host).end(false);
        for index in self.scripting.instances.places() {
            let Some(instance) = self.scripting.instances.instance(index).filter(|instance| instance.host == host)
            else {
                continue;
            };
            match instance.state {
                InstanceState::Stopped { .. } => {}
                InstanceState::Ending => self.remove_instance(index),
                // A process that does not even start is no place for others.
                _ if culprit.as_ref().is_some_and(|(culprit, _)| *culprit == index) || !was_there => {
                    self.stop_instance(index, None, now);
                }
                _ => self.load_again(index, now),
            }
        }
        let wanted = self.scripting.instances_of(host).next().is_some();
        self.scripting.host_mut(host).end(wanted);
        if !wanted {
            self.scripting.host_mut(host).app = None;
        }
        self.scripting.retry = true;
        self.scripting.tend();
    }

    /// The process of an instance has ended by no fault of its own. Who waits to be let in waits on; who publishes or plays is kept
    /// for that; others who were in are told to come again.
    fn load_again(&mut self, index: InstanceIndex, now: Millis) {
        let script = self.scripting.instances.next_script(index);
        let Some(instance) = self.scripting.instances.instance_mut(index) else { return };
        (instance.state, instance.script) = (InstanceState::Loading(LoadStep::Head), script);
        self.each_client(index, |server, conn| {
            let deadline = now + server.settings.connect_timeout_ms;
            if server.guest_waits_again(conn, deadline, now) {
                return;
            }
            let Some((_, rtmp)) = server.slots.open_client(conn) else { return };
            rtmp.is_told = false;
            if !rtmp.session.is_connected() {
                rtmp.joining = Joining::Queued { deadline };
                server.wait_for_script(conn);
            } else if rtmp.has_role() && rtmp.asked == Asked::Nothing {
                server.keep_for_media(conn);
            } else {
                server.shut_down_client(conn, now);
            }
        });
    }

    /// The client goes on publishing or playing, though the script that let it in is no more and the next one does not know it
    /// ([`Rtmp::is_told`](super::rtmp::Rtmp::is_told)). Whoever can is asked to connect again when it suits it (Enhanced RTMP v2,
    /// "Reconnect Request"); others hear of it when they want something of their script.
    fn keep_for_media(&mut self, conn: ConnId) {
        let Some((slot, rtmp)) = self.slots.open_client(conn) else { return };
        if rtmp.session.connect_info().reconnects() {
            rtmp.tell(None, Status::new(Code::ConnectReconnectRequest, ""), &mut slot.tx);
            self.wakes.send(conn.slot);
        }
    }

    /// Tells a process what the next of its instances consists of, as far as there is room, and as the disk has read it.
    fn tell_texts(&mut self, host: HostIndex, now: Millis) {
        while let Some((index, step)) = self.next_step(host) {
            let is_told = match step {
                LoadStep::Later(at) if now < at => {
                    self.look_at_hosts(at);
                    false
                }
                LoadStep::Text => self.tell_text(host, index, now),
                _ => self.tell_step(index, step, now),
            };
            if !is_told {
                return;
            }
        }
    }

    /// False when there is no room.
    fn tell_step(&mut self, index: InstanceIndex, step: LoadStep, now: Millis) -> bool {
        let Server { live, scripting, features, .. } = self;
        let Some(instance) = scripting.instances.instance(index) else { return true };
        let (script_id, name) = (instance.script, instance.name.clone());
        let script = live.apps.definition(instance.app).and_then(|app| Some((app, app.script.as_ref()?)));
        let Some((app, script)) = script else {
            self.give_back_clients_of(index, now);
            self.end_instance(index, now);
            return true;
        };
        // What it can play is known before it may ask for it.
        let surveyed = app.all_recorded(&name).map_or(Ok(()), |all| features.catalogue.survey(&all, now));
        if let (LoadStep::Start, Err(deadline)) = (step, surveyed) {
            self.look_at_hosts(deadline);
            return false;
        }
        let (message, next) = match step {
            LoadStep::Later(_) | LoadStep::Head => {
                let head = ToHost::Load {
                    instance: script_id,
                    app: &app.name,
                    name: &name,
                    hostname: HOST_NAME,
                    server: SERVER_NAME,
                    budget: script.limits.budget,
                };
                (head, InstanceState::Loading(LoadStep::Config(0)))
            }
            LoadStep::Config(from) => {
                let rest = &app.config_json.as_bytes()[from as usize..];
                let piece = &rest[..rest.len().min(SCRIPT_PIECE_BYTES)];
                let last = piece.len() == rest.len();
                let next = if last { LoadStep::Text } else { LoadStep::Config(from + piece.len() as u32) };
                let config = ToHost::File { instance: script_id, role: FileRole::Config, name: "", piece, last };
                (config, InstanceState::Loading(next))
            }
            LoadStep::Text | LoadStep::Start => {
                (ToHost::Start { instance: script_id }, InstanceState::Starting { outdated: false })
            }
        };
        let is_told = scripting.tell(index, &message, now).is_ok();
        if is_told {
            self.loading(index, next);
        }
        is_told
    }

    /// The same, of the piece of text that the disk has read, if it has.
    fn tell_text(&mut self, host: HostIndex, index: InstanceIndex, now: Millis) -> bool {
        let scripting = &mut self.scripting;
        let Some(script) = scripting.instances.instance(index).map(|instance| instance.script) else { return true };
        let text = &mut scripting.host_mut(host).text;
        let (block, follows) = match text.take(script) {
            Some(come) => come,
            None if matches!(text, TextAt::Lost) => {
                self.not_read(index, now);
                return true;
            }
            None => return false,
        };
        let next = match follows {
            TextFollows::More => LoadStep::Text,
            TextFollows::Nothing => LoadStep::Start,
            TextFollows::Changed | TextFollows::Fault => {
                *text = TextAt::Idle(block);
                match follows {
                    TextFollows::Fault => self.not_read(index, now),
                    _ => self.load_later(index, now),
                }
                return true;
            }
        };
        let (role, name, piece, last) = (block.role(), block.name(), block.piece(), block.is_last());
        let is_told = scripting.tell(index, &ToHost::File { instance: script, role, name, piece, last }, now).is_ok();
        scripting.host_mut(host).text = match is_told {
            true => TextAt::Idle(block),
            false => TextAt::Come(block, script, follows),
        };
        if is_told {
            self.loading(index, InstanceState::Loading(next));
        }
        is_told
    }

    fn next_step(&self, host: HostIndex) -> Option<(InstanceIndex, LoadStep)> {
        let steps = self.scripting.instances.iter().filter_map(|(index, instance)| match instance.state {
            InstanceState::Loading(step) if instance.host == host => Some((index, step)),
            _ => None,
        });
        // Those whose files are being written hold up no others.
        steps.min_by_key(|(_, step)| if let LoadStep::Later(at) = step { at.0 } else { 0 })
    }

    /// The next piece of a script's text that the disk is to read.
    pub(super) fn next_text(&mut self) -> Option<Job> {
        for host in self.scripting.hosts() {
            let TextAt::Wanted(_) = self.scripting.host(host).text else { continue };
            let wanted = match self.next_step(host) {
                Some((index, LoadStep::Text)) => self.scripting.instances.instance(index),
                _ => None,
            };
            let wanted = wanted.and_then(|instance| {
                let app = self.live.apps.definition(instance.app)?;
                Some((instance.script, app.name.clone(), app.script.as_ref()?.stamp))
            });
            let text = &mut self.scripting.host_mut(host).text;
            if let TextAt::Wanted(block) = core::mem::replace(text, TextAt::Away) {
                match wanted {
                    Some((script, name, stamp)) => return Some(Job::Text { host, script, name, stamp, block }),
                    // Whoever wanted it is no more.
                    None => *text = TextAt::Idle(block),
                }
            }
        }
        None
    }

    /// The disk has read it.
    pub(super) fn text_came(
        &mut self,
        host: HostIndex,
        script: InstanceId,
        block: Option<TextBlock>,
        next: TextFollows,
    ) {
        let came = block.map_or(TextAt::Lost, |block| TextAt::Come(block, script, next));
        self.scripting.host_mut(host).text = came;
        self.scripting.tend();
    }

    /// The files of an instance are not what they were when they were looked at: it begins anew when they have been looked at again.
    fn load_later(&mut self, index: InstanceIndex, now: Millis) {
        if let Some(instance) = self.scripting.instances.instance(index)
            && self.live.apps.source() == AppSource::Directories
        {
            self.live.apps.ask(instance.app);
        }
        self.begin_loading_again(index, LoadStep::Later(now + CHANGING_MS), now);
    }

    /// The files of an instance cannot be read. The log has said why.
    fn not_read(&mut self, index: InstanceIndex, now: Millis) {
        let Some(instance) = self.scripting.instances.instance(index) else { return };
        let (app, script) = (instance.app, instance.script);
        let retry_ms = self.script_limits(app).map_or(0, |limits| limits.retry_ms);
        self.scripting.must_tell(index, &ToHost::Unload { instance: script }, now);
        self.refuse_clients_of(index, Unscripted::NotLoaded, retry_ms, now);
    }

    /// The application has no script any more: whoever waits for it joins without.
    fn give_back_clients_of(&mut self, index: InstanceIndex, now: Millis) {
        self.each_client(index, |server, conn| {
            server.leave_instance(conn, now);
            server.wait_for_script(conn);
        });
    }

    fn loading(&mut self, index: InstanceIndex, state: InstanceState) {
        if let Some(instance) = self.scripting.instances.instance_mut(index) {
            instance.state = state;
        }
    }

    /// A process has said something.
    pub(super) fn host_said(&mut self, conn: ConnId, mut input: &[u8], now: Millis) {
        let Some(host) = self.slots.host_at(conn.slot) else { return };
        let mut heard = self.scripting.host_mut(host).take_heard();
        while !input.is_empty() {
            heard.add(&mut input);
            let mut through = 0;
            // A message may be its last: what is behind that is nobody's word any more.
            while self.scripting.host(host).is_speaking() {
                match ToServer::read(&heard.bytes()[through..]) {
                    Ok(Some((message, bytes))) => {
                        through += bytes;
                        if let Err(fault) = self.host_says(host, &message, now) {
                            self.scripting.host_mut(host).condemn(fault);
                        }
                    }
                    Ok(None) => break,
                    Err(broken) => self.scripting.host_mut(host).condemn(HostFault::Broken(broken)),
                }
            }
            if !self.scripting.host(host).is_speaking() {
                break;
            }
            heard.forget(through);
        }
        self.scripting.host_mut(host).put_heard(heard);
        self.scripting.tend();
    }

    /// Sends a process what it is told.
    pub(super) fn flush_host<N: Net>(&mut self, net: &mut N, index: SlotIndex, host: HostIndex) -> Flush {
        let flush = loop {
            let pending = self.scripting.host(host).pending();
            if pending.is_empty() {
                break Flush::Idle;
            }
            match net.write(index, &[IoSlice::new(pending)]) {
                Io::Done(written) | Io::Last(written) => self.scripting.host_mut(host).sent(written),
                Io::WouldBlock => break Flush::Blocked,
                Io::Broken(loss) => break Flush::Gone(CloseReason::from(loss)),
            }
        };
        if self.scripting.host(host).has_room() {
            self.scripting.retry |= self.wakes.holds_any(&[Held::Script]);
            if self.next_step(host).is_some() {
                self.scripting.tend();
            }
        }
        flush
    }

    /// Nothing of the instance is there any more.
    pub(super) fn remove_instance(&mut self, index: InstanceIndex) {
        self.end_broadcasts_of(index, self.now);
        let app = self.scripting.instances.instance(index).map(|instance| instance.app);
        self.forget_recordings_of(index);
        self.scripting.instances.remove(index);
        self.scripting.retry = true;
        self.scripting.tend();
        if let Some(app) = app {
            self.forget_if_left(app);
        }
    }

    /// The instance's script had to be stopped, for it has exceeded a limit, if not its process has ended, which knows it no more in
    /// any case. Its clients are disconnected, and refused for a while.
    pub(super) fn stop_instance(&mut self, index: InstanceIndex, which: Option<Exhausted>, now: Millis) {
        let Some(instance) = self.scripting.instances.instance(index) else { return };
        let app = instance.app;
        let retry_ms = self.script_limits(app).map_or(0, |limits| limits.retry_ms);
        warn!(
            "rill script stopped app={:?} instance={:?}{}: its clients are refused for {} s",
            self.live.apps.name(app),
            instance.name.as_str(),
            Field(" reason", which.map(Quoted)),
            retry_ms / 1000
        );
        self.refuse_clients_of(index, Unscripted::Stopped, retry_ms, now);
    }
}
