//! A host's conversation with the server, from its first message to its last: facts in, what scripts want done out.

use std::collections::HashMap;
use std::rc::Rc;

use super::check::check;
use super::engine::Scripts;
use super::facts::{CallFault, CallOutcome, Identity, ScriptAction};
use super::files::ComingFiles;
use super::link::{Ended, Line, ServerLink};
use crate::limits::SCRIPT_TRACE_BYTES;
use crate::time::Millis;
use crate::wire::script_link::{Access, AccessSet, Budget, Exhausted, InstanceId, Question, ToHost, ToServer, VERSION};

/// Instances that a host has room for: more than a server has.
const INSTANCES: usize = 65_535;

/// All instances of a process, and its link to the server.
pub struct Host {
    link: Rc<ServerLink>,
    scripts: Scripts,
    instances: HashMap<InstanceId, Lifecycle>,
    /// Messages of the server that are through.
    count: u32,
}

/// How far an instance is.
enum Lifecycle {
    /// Its files are coming.
    Coming(Box<Coming>),
    /// It is loaded.
    Loaded,
}

/// What is known of an instance that is to be loaded.
struct Coming {
    app: String,
    name: String,
    hostname: String,
    server: String,
    budget: Budget,
    files: ComingFiles,
}

impl Host {
    /// Nothing is loaded. `clock` tells microseconds of the processor time that the host has taken: it is asked while scripts
    /// run.
    pub fn new(line: Rc<dyn Line>, clock: fn() -> u64) -> Host {
        let scripts = Scripts::new(INSTANCES, clock);
        Host { link: Rc::new(ServerLink::new(line)), scripts, instances: HashMap::new(), count: 0 }
    }

    /// Greets the server and does what it says, until it says no more. `without` are the walls that are not there.
    pub fn run(mut self, without: &str) -> Ended {
        let greeted = self.link.say(&ToServer::Hello { version: VERSION, without }).and_then(|()| self.link.flush());
        let mut result = greeted;
        while result.is_ok() {
            result = self.turn();
        }
        result.err().unwrap_or(Ended::Closed)
    }

    /// Everything that is due, message by message, so that what one asked for is under way before the next is begun. When there
    /// is nothing, waits for more.
    fn turn(&mut self) -> Result<(), Ended> {
        self.tick()?;
        let messages = self.link.take()?;
        if messages.is_empty() {
            let now = self.link.now();
            // Functions that are due again already do not keep the server from being heard.
            return self.link.wait(self.scripts.next_timer().map(|due| due.since(now)));
        }
        let mut rest = &messages[..];
        while let Some((message, length)) = ToHost::read(rest)? {
            rest = &rest[length..];
            self.hear(&message)?;
            self.tick()?;
        }
        Ok(())
    }

    /// Runs the functions of `setInterval` that are due.
    fn tick(&mut self) -> Result<(), Ended> {
        let now = self.link.now();
        while self.scripts.next_timer().is_some_and(|due| due <= now) {
            let stopped = self.scripts.tick(now);
            self.link.leave();
            self.say_actions()?;
            self.link.flush()?;
            match stopped {
                Some((instance, which)) => self.exhausted(instance, which)?,
                None => break,
            }
        }
        Ok(())
    }

    fn hear(&mut self, message: &ToHost<'_>) -> Result<(), Ended> {
        self.act(message)?;
        self.link.leave();
        // That the end of a client is through goes with what comes of the next message: nobody waits for it.
        let is_waited_for = !matches!(message, ToHost::Gone { .. }) || self.link.has_said();
        self.count = self.count.wrapping_add(1);
        self.link.say(&ToServer::Done { count: self.count })?;
        if is_waited_for { self.link.flush() } else { Ok(()) }
    }

    /// What concerns an instance that is not there any more is passed over: it has gone while this was on its way.
    fn act(&mut self, message: &ToHost<'_>) -> Result<(), Ended> {
        let now = self.link.now();
        match *message {
            ToHost::Load { instance, app, name, hostname, server, budget } => {
                let [app, name, hostname, server] = [app, name, hostname, server].map(str::to_owned);
                let coming = Coming { app, name, hostname, server, budget, files: ComingFiles::default() };
                self.forget(instance);
                self.instances.insert(instance, Lifecycle::Coming(Box::new(coming)));
                Ok(())
            }
            ToHost::File { instance, role, name, piece, last } => {
                if let Some(Lifecycle::Coming(coming)) = self.instances.get_mut(&instance) {
                    coming.files.add(role, name, piece, last);
                }
                Ok(())
            }
            ToHost::Start { instance } => match self.instances.remove(&instance) {
                Some(Lifecycle::Coming(coming)) => self.load(instance, *coming),
                _ => Ok(()),
            },
            ToHost::Check { instance } => match self.instances.remove(&instance) {
                Some(Lifecycle::Coming(coming)) => {
                    let problem = match coming.files.finish() {
                        Ok((source, _)) => check(&source, coming.budget).err(),
                        Err(problem) => Some(problem),
                    };
                    self.say_loaded(instance, problem.map(|problem| problem.to_string()))
                }
                _ => Ok(()),
            },
            ToHost::Connect { instance, client, facts, arguments } => {
                self.tell(instance, |scripts| scripts.connect(instance, client, &facts, arguments, now))
            }
            ToHost::Call { instance, question, name, arguments } => self.call(instance, question, name, arguments, now),
            ToHost::Access { instance, question, wanted, stream } => self.access(instance, question, wanted, stream),
            ToHost::Answer { instance, client, transaction, ok, arguments } => {
                self.tell(instance, |scripts| scripts.answer(instance, client, transaction, ok, arguments, now))
            }
            ToHost::Publish { instance, client, stream } => {
                self.tell(instance, |scripts| scripts.publish(instance, client, &stream, now))
            }
            ToHost::Unpublish { instance, client, stream } => {
                self.tell(instance, |scripts| scripts.unpublish(instance, client, &stream, now))
            }
            ToHost::PlayStatus { instance, stream, code, item } => {
                self.tell(instance, |scripts| scripts.play_status(instance, stream, code, item, now))
            }
            ToHost::Gone { instance, client, stats } => self.tell(instance, |scripts| {
                scripts.set_client_stats(instance, client, &stats);
                scripts.disconnect(instance, client, now)
            }),
            ToHost::Stop { instance, reason } => {
                let mut yes = true;
                self.tell(instance, |scripts| {
                    yes = scripts.stopping(instance, reason, now)?;
                    Ok(())
                })?;
                self.link.say(&ToServer::MayGo { instance, yes })
            }
            ToHost::Unload { instance } => {
                self.forget(instance);
                Ok(())
            }
            // An answer that nobody waits for any more is none.
            ToHost::Knock {}
            | ToHost::TellClientStats { .. }
            | ToHost::TellApplicationStats { .. }
            | ToHost::TellNumber { .. }
            | ToHost::TellValue { .. } => Ok(()),
        }
    }

    fn load(&mut self, instance: InstanceId, coming: Coming) -> Result<(), Ended> {
        let Coming { app, name, hostname, server, budget, files } = coming;
        let loaded = files.finish().and_then(|(source, config_json)| {
            let identity = Identity {
                app: &app,
                instance: &name,
                hostname: &hostname,
                server: &server,
                config_json: &config_json,
            };
            let link = Rc::clone(&self.link);
            self.scripts.load_for(instance, &source, &identity, budget, Some(link), self.link.now())
        });
        let problem = match loaded {
            Ok(()) => {
                self.instances.insert(instance, Lifecycle::Loaded);
                self.say_actions()?;
                None
            }
            Err(problem) => Some(problem.to_string()),
        };
        self.say_loaded(instance, problem)
    }

    fn say_loaded(&self, instance: InstanceId, problem: Option<String>) -> Result<(), Ended> {
        match problem {
            None => self.link.say(&ToServer::Loaded { instance }),
            Some(reason) => {
                let reason = &reason[..reason.floor_char_boundary(SCRIPT_TRACE_BYTES)];
                self.link.say(&ToServer::NotLoaded { instance, reason })
            }
        }
    }

    /// What the method asked for, then its answer.
    fn call(
        &mut self,
        instance: InstanceId,
        question: Question,
        name: &str,
        arguments: &[u8],
        now: Millis,
    ) -> Result<(), Ended> {
        let Some(Lifecycle::Loaded) = self.instances.get(&instance) else { return Ok(()) };
        let outcome = self.scripts.call(instance, question.client, name, arguments, now);
        self.say_actions()?;
        match outcome {
            CallOutcome::Result(value) => self.link.say(&ToServer::Result { instance, question, value: &value }),
            CallOutcome::Failed(description) => {
                self.link.say(&ToServer::Failed { instance, question, description: &description })
            }
            CallOutcome::NotFound | CallOutcome::Gone => self.link.say(&ToServer::NotFound { instance, question }),
            CallOutcome::Stopped(which) => self.exhausted(instance, which),
        }
    }

    /// Which of the lists cover the stream, one look at each.
    fn access(
        &mut self,
        instance: InstanceId,
        question: Question,
        wanted: AccessSet,
        stream: &str,
    ) -> Result<(), Ended> {
        let mut allowed = Vec::new();
        self.tell(instance, |scripts| {
            let lists = Access::ALL.iter().copied().filter(|list| wanted.has(*list));
            allowed.extend(lists.filter(|list| scripts.allows(instance, question.client, *list, stream)));
            scripts.exhausted(instance).map_or(Ok(()), |which| Err(CallFault::Exhausted(which)))
        })?;
        if !self.instances.contains_key(&instance) {
            return Ok(());
        }
        self.link.say(&ToServer::Allowed { instance, question, allowed: AccessSet::of(&allowed) })
    }

    /// One call into the script of an instance, and what came of it.
    fn tell(
        &mut self,
        instance: InstanceId,
        call: impl FnOnce(&mut Scripts) -> Result<(), CallFault>,
    ) -> Result<(), Ended> {
        let Some(Lifecycle::Loaded) = self.instances.get(&instance) else { return Ok(()) };
        let told = call(&mut self.scripts);
        self.say_actions()?;
        match told {
            Err(CallFault::Exhausted(which)) => self.exhausted(instance, which),
            // What was thrown has been logged, and a client that is gone needs nothing.
            Ok(()) | Err(CallFault::Thrown | CallFault::Gone) => Ok(()),
        }
    }

    /// Nothing of the instance runs any more.
    fn exhausted(&mut self, instance: InstanceId, which: Exhausted) -> Result<(), Ended> {
        self.forget(instance);
        self.link.say(&ToServer::Exhausted { instance, which })
    }

    fn forget(&mut self, instance: InstanceId) {
        if let Some(Lifecycle::Loaded) = self.instances.remove(&instance) {
            self.scripts.unload(instance);
        }
    }

    /// Says what scripts want done, in its order.
    fn say_actions(&mut self) -> Result<(), Ended> {
        while let Some((instance, action)) = self.scripts.next_action() {
            match action {
                ScriptAction::Accept(client) => self.link.say(&ToServer::Accept { instance, client })?,
                ScriptAction::Reject { client, description, application, redirect } => {
                    self.link.say(&ToServer::Reject {
                        instance,
                        client,
                        description: description.as_deref(),
                        application: application.as_deref(),
                        redirect: redirect.as_deref(),
                    })?;
                }
                ScriptAction::Disconnect(client) => self.link.say(&ToServer::Disconnect { instance, client })?,
                ScriptAction::Call { client, name, transaction, arguments } => {
                    let call = ToServer::Call { instance, client, name: &name, transaction, arguments: &arguments };
                    self.link.say(&call)?;
                }
                ScriptAction::Broadcast { name, arguments } => {
                    self.link.say(&ToServer::Broadcast { instance, name: &name, arguments: &arguments })?;
                }
                ScriptAction::Ping(client) => self.link.say(&ToServer::Ping { instance, client })?,
                ScriptAction::LimitBandwidth { client, to_client, to_server } => {
                    self.link.say(&ToServer::LimitBandwidth { instance, client, to_client, to_server })?;
                }
                ScriptAction::CheckBandwidth(client) => {
                    self.link.say(&ToServer::CheckBandwidth { instance, client })?;
                }
                ScriptAction::Send { stream, body } => {
                    self.link.say(&ToServer::Send { instance, stream: &stream, body: &body })?;
                }
                ScriptAction::Play { stream, item, start_s, length_s, reset } => {
                    let (stream, item) = (stream.as_str(), item.as_str());
                    self.link.say(&ToServer::Play { instance, stream, item, start_s, length_s, reset })?;
                }
                ScriptAction::Flush { stream, when } => {
                    self.link.say(&ToServer::Flush { instance, stream: &stream, when })?;
                }
                ScriptAction::Clear { stream } => self.link.say(&ToServer::Clear { instance, stream: &stream })?,
                ScriptAction::Shutdown => self.link.say(&ToServer::Shutdown { instance })?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
