//! QuickJS behind [`Scripts`]: an instance is a runtime with one context, so that one script's memory is its own.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use rquickjs::context::EvalOptions;
use rquickjs::context::intrinsic;
use rquickjs::{Context, Ctx, Function, Object, Persistent, Runtime, Value};

use super::amf::{self, Kit, Malformed};
use super::compile::Compiled;
use super::facts::{
    Access, ApplicationStats, CallFault, CallOutcome, ClientFacts, ClientId, ClientStats, Exhausted, Identity,
    InstanceId, LoadError, ScriptAction, SourcePlace, StopReason, StreamFacts,
};
use super::heap::Heap;
use super::language::{LANGUAGE, LANGUAGE_TEXT};
use super::link::{Ours, ServerLink};
use super::native::{self, Admission, SharedState};
use super::report::{self, PRELUDE, ScriptReport};
use super::source::{self, Scan};
use crate::live::app::{Budget, Source, SourceFile};
use crate::time::Millis;
use crate::wire::script_link::Handler;

/// How long one [`Scripts::tick`] goes on with due functions, in milliseconds; what is left is done by the next.
const TICK_MS: u64 = 10;
/// Least memory that an instance is given, in bytes: below it the engine itself does not start.
const MEMORY_BYTES_MIN: u64 = 256 * 1024;

/// `prelude.js` without its comments.
const PRELUDE_TEXT: &str = include_str!(concat!(env!("OUT_DIR"), "/prelude.js"));

/// What scripts of today use and what Adobe's had. No typed arrays, no `WeakRef`, no `performance`.
type Intrinsics = (
    intrinsic::Date,
    intrinsic::Eval,
    intrinsic::RegExpCompiler,
    intrinsic::RegExp,
    intrinsic::Json,
    intrinsic::Proxy,
    intrinsic::MapSet,
    intrinsic::Promise,
);

/// The application instances that have a script.
pub struct Scripts {
    entries: Vec<InstanceEntry>,
    /// As many as there may be.
    most: usize,
    clock: fn() -> u64,
    /// What scripts asked for and the server has not taken.
    actions: VecDeque<(InstanceId, ScriptAction)>,
    /// Where values for clients are put together; one for all instances.
    scratch: Rc<Cell<Vec<u8>>>,
    /// The entry whose intervals the next tick begins with.
    next_entry: usize,
    /// What each instance begins with. It is made for the first.
    own: Option<OwnCode>,
}

/// What is the server's own in an instance.
struct OwnCode {
    prelude: Compiled,
    language: Compiled,
}

struct InstanceEntry {
    id: InstanceId,
    instance: Box<EngineInstance>,
}

/// The fields are dropped in this order: what lives in the engine before the engine.
struct EngineInstance {
    /// What the prelude returns: the functions that the server calls.
    root: Persistent<Object<'static>>,
    /// What the prelude was given.
    native: Persistent<Object<'static>>,
    context: Context,
    runtime: Runtime,
    shared: Rc<SharedState>,
    budget: Budget,
    /// The server's handles and ours.
    handles: HashMap<ClientId, u32>,
}

impl Scripts {
    /// Room for `instances` (at most 65 535) at a time. `clock` tells microseconds, monotonic; it is asked while scripts
    /// run. Best is the thread's processor time: on a busy machine a script is not stopped for what others have taken.
    pub fn new(instances: usize, clock: fn() -> u64) -> Self {
        Scripts {
            entries: Vec::new(),
            most: instances.min(usize::from(u16::MAX)),
            clock,
            actions: VecDeque::new(),
            scratch: Rc::default(),
            next_entry: 0,
            own: None,
        }
    }

    /// Loads a script: `secure.asc`, the main script, what they `load()`, then `onAppStart`, all within
    /// [`Budget::load_ms`]. An `onAppStart` that throws is logged, and the instance goes on, as after any handler. `id` is what the
    /// instance is called from then on: no other that is loaded is called so.
    ///
    /// # Errors
    ///
    /// Why it was not loaded.
    pub fn load(
        &mut self,
        id: InstanceId,
        source: &Source,
        identity: &Identity<'_>,
        budget: Budget,
        now: Millis,
    ) -> Result<(), LoadError> {
        self.load_for(id, source, identity, budget, None, now)
    }

    /// [`Scripts::load`] for a server in another process.
    pub(super) fn load_for(
        &mut self,
        id: InstanceId,
        source: &Source,
        identity: &Identity<'_>,
        budget: Budget,
        link: Option<Rc<ServerLink>>,
        now: Millis,
    ) -> Result<(), LoadError> {
        if self.entries.len() >= self.most {
            return Err(LoadError::Full);
        }
        debug_assert!(self.instance(id).is_none(), "two instances are called the same");
        let no_memory = |_| LoadError::Exhausted(SourcePlace::default(), Exhausted::Memory);
        let own = match self.own.take() {
            Some(own) => own,
            None => OwnCode::new().map_err(no_memory)?,
        };
        let own = self.own.insert(own);
        let ours = link.map(|link| Ours { link, instance: id });
        let shared = Rc::new(SharedState::new(identity, ours, self.clock, Rc::clone(&self.scratch)));
        let instance = Box::new(EngineInstance::start(own, source, identity, budget, shared, now)?);
        self.actions.extend(instance.shared.actions.take().into_iter().map(|action| (id, action)));
        self.entries.push(InstanceEntry { id, instance });
        Ok(())
    }

    /// `application.onConnect(client, ...)`. `arguments` are the AMF 0 values after the connect object, one behind the
    /// other. The decision comes as [`ScriptAction::Accept`] or [`ScriptAction::Reject`], now or later; without a handler it is
    /// Accept. `true`, or another value that counts as true, accepts; `false`, 0, NaN and `""` reject; `undefined` and
    /// null leave the client waiting for `acceptConnection` or `rejectConnection`; of a promise its value counts. A
    /// handler that throws rejects, even if it had accepted before. A client whose arguments are malformed is rejected
    /// without being shown to the script.
    pub fn connect(
        &mut self,
        id: InstanceId,
        client: ClientId,
        facts: &ClientFacts<'_>,
        arguments: &[u8],
        now: Millis,
    ) -> Result<(), CallFault> {
        self.enter(id, |instance| {
            if instance.handles.contains_key(&client) {
                return Err(CallFault::Gone);
            }
            let handle = instance.shared.add(client, [facts.to_client_bytes_s, facts.to_server_bytes_s]);
            instance.handles.insert(client, handle);
            let texts = [facts.ip, facts.agent, facts.referrer, facts.page_url, facts.uri, facts.id, facts.protocol];
            let is_shown = instance.attempt(Handler::Connect, now, |call| {
                let Ok(values) = call.decode(arguments)? else { return Ok(false) };
                let list = rquickjs::Array::new(call.ctx.clone())?;
                for (index, text) in texts.iter().enumerate() {
                    list.set(index, *text)?;
                }
                list.set(texts.len(), facts.secure)?;
                call.function("connect")?.call::<_, ()>((handle, list, values))?;
                Ok(true)
            });
            match is_shown {
                Ok(true) if instance.shared.thrown.get() => Err(CallFault::Thrown),
                Ok(true) => Ok(()),
                Ok(false) => {
                    instance.shared.refuse(handle, Some("The arguments of connect are malformed.".into()));
                    Ok(())
                }
                Err(fault) => {
                    // The engine itself failed before the handler had its say.
                    instance.shared.refuse(handle, None);
                    Err(fault)
                }
            }
        })
    }

    /// The connection is gone: `application.onDisconnect(client)` of accepted and waiting clients, not of rejected ones.
    /// Then the client and its calls that wait for an answer are forgotten.
    pub fn disconnect(&mut self, id: InstanceId, client: ClientId, now: Millis) -> Result<(), CallFault> {
        self.enter(id, |instance| {
            let handle = instance.handles.remove(&client).ok_or(CallFault::Gone)?;
            let is_told = instance.shared.leave(handle);
            let run =
                instance.run(Handler::Disconnect, now, |call| call.function("disconnect")?.call((handle, is_told)));
            instance.shared.remove(handle);
            run
        })
    }

    /// A command of an accepted client, by name. Found are functions that the script has put on the client or on
    /// `Client.prototype`, or by a path (`chat/send`) on an object there, then what `__resolve` gives; built-in members other than `checkBandwidth`, names that begin
    /// with `_`, and what every object has are [`CallOutcome::NotFound`]. `arguments`: what follows the command object.
    pub fn call(&mut self, id: InstanceId, client: ClientId, name: &str, arguments: &[u8], now: Millis) -> CallOutcome {
        let outcome = self.enter(id, |instance| {
            let handle = *instance.handles.get(&client).ok_or(CallFault::Gone)?;
            if instance.shared.phase(handle) != Admission::Accepted {
                return Ok(CallOutcome::NotFound);
            }
            instance.attempt(Handler::Call, now, |call| {
                let malformed = || CallOutcome::Failed("The arguments are malformed.".into());
                let Ok(values) = call.decode(arguments)? else { return Ok(malformed()) };
                let value: Value<'_> = call.function("call")?.call((handle, name, values))?;
                if call.shared.thrown.get() {
                    return Ok(CallOutcome::Failed(call.shared.failure.take()));
                }
                if call.shared.not_found.take() {
                    return Ok(CallOutcome::NotFound);
                }
                let Some(promise) = value.as_promise() else { return Ok(CallOutcome::Result(call.encode(value)?)) };
                call.run_jobs();
                match promise.result::<Value<'_>>() {
                    Some(Ok(value)) => Ok(CallOutcome::Result(call.encode(value)?)),
                    // The engine reports it as an unhandled rejection; this takes it from the engine.
                    Some(Err(_)) => Ok(CallOutcome::Failed(report::describe(call.ctx, &call.ctx.catch()).text)),
                    None => Ok(CallOutcome::Failed("The method did not answer at once.".into())),
                }
            })
        });
        match outcome {
            Ok(outcome) => outcome,
            Err(CallFault::Exhausted(exhausted)) => CallOutcome::Stopped(exhausted),
            Err(CallFault::Thrown) => CallOutcome::Failed(self.failure(id)),
            Err(CallFault::Gone) => CallOutcome::Gone,
        }
    }

    /// The client's `_result` (`is_result`) or `_error` to the [`ScriptAction::Call`] with this `transaction`. `arguments`: what
    /// follows the command object. An answer to no call, or with malformed arguments, is dropped.
    pub fn answer(
        &mut self,
        id: InstanceId,
        client: ClientId,
        transaction: u32,
        is_result: bool,
        arguments: &[u8],
        now: Millis,
    ) -> Result<(), CallFault> {
        self.enter(id, |instance| {
            let handle = *instance.handles.get(&client).ok_or(CallFault::Gone)?;
            instance.run(Handler::Answer, now, |call| {
                let Ok(values) = call.decode(arguments)? else { return Ok(()) };
                call.function("answer")?.call((handle, transaction, is_result, values))
            })
        })
    }

    /// The client publishes: `application.onPublish(client, stream)`, then `stream.onStatus` with
    /// `NetStream.Publish.Start`.
    pub fn publish(
        &mut self,
        id: InstanceId,
        client: ClientId,
        stream: &StreamFacts<'_>,
        now: Millis,
    ) -> Result<(), CallFault> {
        self.enter(id, |instance| {
            let handle = *instance.handles.get(&client).ok_or(CallFault::Gone)?;
            instance.run(Handler::Publish, now, |call| {
                let facts = (handle, stream.name, stream.publish_query_string, stream.kind);
                call.function("publish")?.call(facts)
            })
        })
    }

    /// The client no longer publishes: `application.onUnpublish(client, stream)`, then `stream.onStatus` with
    /// `NetStream.Unpublish.Success`.
    pub fn unpublish(
        &mut self,
        id: InstanceId,
        client: ClientId,
        stream: &StreamFacts<'_>,
        now: Millis,
    ) -> Result<(), CallFault> {
        self.enter(id, |instance| {
            let handle = *instance.handles.get(&client).ok_or(CallFault::Gone)?;
            instance.run(Handler::Unpublish, now, |call| call.function("unpublish")?.call((handle, stream.name)))
        })
    }

    /// What became of what the script plays on a stream: `stream.onStatus` with that code.
    pub fn play_status(
        &mut self,
        id: InstanceId,
        stream: &str,
        code: &str,
        item: &str,
        now: Millis,
    ) -> Result<(), CallFault> {
        self.enter(id, |instance| {
            instance.run(Handler::PlayStatus, now, |call| call.function("playStatus")?.call((stream, code, item)))
        })
    }

    /// Whether the client's list covers `stream`: a list of paths between `;`, each of which covers the stream of that name
    /// and all below it; `/` covers all, an empty list nothing. False when it cannot be read.
    pub fn allows(&mut self, id: InstanceId, client: ClientId, access: Access, stream: &str) -> bool {
        let which = match access {
            Access::Read => 0,
            Access::Write => 1,
            Access::AudioSample => 2,
            Access::VideoSample => 3,
        };
        let list = self.enter(id, |instance| {
            let handle = *instance.handles.get(&client).ok_or(CallFault::Gone)?;
            let now = instance.shared.now.get();
            instance.run(Handler::Access, now, |call| call.function("access")?.call::<_, String>((handle, which)))
        });
        list.is_ok_and(|list| covers(&list, stream))
    }

    /// Which limit the instance has exceeded, if one.
    pub(super) fn exhausted(&mut self, id: InstanceId) -> Option<Exhausted> {
        self.instance(id)?.shared.exhausted.get()
    }

    /// What `client.getStats()` returns from now on.
    pub fn set_client_stats(&mut self, id: InstanceId, client: ClientId, stats: &ClientStats) {
        if let Some(instance) = self.instance(id)
            && let Some(handle) = instance.handles.get(&client)
        {
            instance.shared.set_stats(*handle, *stats);
        }
    }

    /// What `application.getStats()` returns from now on.
    pub fn set_application_stats(&mut self, id: InstanceId, stats: &ApplicationStats) {
        if let Some(instance) = self.instance(id) {
            instance.shared.stats.set(*stats);
        }
    }

    /// `application.onAppStop(info)`. False: the handler returned `false`, the instance wants to stay. That counts for
    /// [`StopReason::Idle`] only.
    pub fn stopping(&mut self, id: InstanceId, reason: StopReason, now: Millis) -> Result<bool, CallFault> {
        let (code, description) = match reason {
            StopReason::Idle => ("Application.GC", "The application instance has been idle."),
            StopReason::Shutdown => ("Application.Shutdown", "The application instance is shut down."),
        };
        self.enter(id, |instance| {
            instance.attempt(Handler::AppStop, now, |call| {
                let info = Object::new(call.ctx.clone())?;
                info.set("level", "status")?;
                info.set("code", code)?;
                info.set("description", description)?;
                call.function("stop")?.call((info,))
            })
        })
    }

    /// Frees the instance, if it is there, and forgets its clients without calling a handler. Actions that it asked for
    /// and that were not taken are dropped.
    pub fn unload(&mut self, id: InstanceId) {
        self.entries.retain(|entry| entry.id != id);
        self.actions.retain(|(of, _)| *of != id);
    }

    /// Runs `setInterval` functions that are due, until none is or 10 ms are over. Gives an instance that exceeded a limit
    /// at once; call it until `None`.
    pub fn tick(&mut self, now: Millis) -> Option<(InstanceId, Exhausted)> {
        let end = (self.clock)().saturating_add(TICK_MS * 1000);
        for _ in 0..self.entries.len() {
            let index = self.next_entry % self.entries.len();
            let id = self.entries[index].id;
            while let Some(timer) = self.instance(id).and_then(|instance| instance.shared.due(now)) {
                let run = self.enter(id, |instance| {
                    instance.run(Handler::Interval, now, |call| call.function("tick")?.call::<_, ()>((timer,)))
                });
                if let Err(CallFault::Exhausted(exhausted)) = run {
                    return Some((id, exhausted));
                }
                if (self.clock)() >= end {
                    return None;
                }
            }
            self.next_entry = (index + 1) % self.entries.len();
        }
        None
    }

    /// When the next `setInterval` function is due.
    pub fn next_timer(&self) -> Option<Millis> {
        self.entries.iter().filter_map(|entry| entry.instance.shared.next_due()).min()
    }

    /// What scripts asked for, in order. To be taken until `None` after every other call.
    pub fn next_action(&mut self) -> Option<(InstanceId, ScriptAction)> {
        self.actions.pop_front()
    }

    /// Memory of the instance in the engine, in bytes. Walks all of it: for statistics, not for every turn.
    pub fn memory_bytes(&self, id: InstanceId) -> u64 {
        let entry = self.entries.iter().find(|entry| entry.id == id);
        entry.map_or(0, |entry| u64::try_from(entry.instance.runtime.memory_usage().malloc_size).unwrap_or(0))
    }

    /// What a client hears of the error that its call met.
    fn failure(&mut self, id: InstanceId) -> String {
        self.instance(id).map(|instance| instance.shared.failure.take()).unwrap_or_default()
    }

    fn instance(&mut self, id: InstanceId) -> Option<&mut EngineInstance> {
        self.entries.iter_mut().find(|entry| entry.id == id).map(|entry| &mut *entry.instance)
    }

    /// `work` with an instance that has not exceeded a limit; then takes over what the script asked for.
    fn enter<R>(
        &mut self,
        id: InstanceId,
        work: impl FnOnce(&mut EngineInstance) -> Result<R, CallFault>,
    ) -> Result<R, CallFault> {
        let (mut work, mut result) = (Some(work), None);
        self.visit(id, &mut |instance| {
            result = work.take().map(|work| work(instance)).transpose()?;
            Ok(())
        })?;
        result.ok_or(CallFault::Gone)
    }

    /// [`Scripts::enter`], once for all that is done there. `work` is called once at most.
    fn visit(
        &mut self,
        id: InstanceId,
        work: &mut dyn FnMut(&mut EngineInstance) -> Result<(), CallFault>,
    ) -> Result<(), CallFault> {
        let instance = self.instance(id).ok_or(CallFault::Gone)?;
        if let Some(exhausted) = instance.shared.exhausted.get() {
            return Err(CallFault::Exhausted(exhausted));
        }
        let result = work(instance);
        let actions = instance.shared.actions.take();
        // What the script asked for in a call that was stopped half-way is not done.
        if !matches!(result, Err(CallFault::Exhausted(_))) {
            self.actions.extend(actions.into_iter().map(|action| (id, action)));
        }
        result
    }
}

/// An engine with nothing in it, within limits of memory and stack.
pub(super) fn engine(
    shared: &Rc<SharedState>,
    memory_bytes: u64,
    stack_bytes: u64,
) -> Result<(Runtime, Context), LoadError> {
    let no_memory = |_| LoadError::Exhausted(SourcePlace::default(), Exhausted::Memory);
    let memory_bytes = memory_bytes.max(MEMORY_BYTES_MIN);
    let heap = Heap::new(Rc::clone(shared), usize::try_from(memory_bytes).unwrap_or(usize::MAX));
    let runtime = Runtime::new_with_alloc(heap).map_err(no_memory)?;
    let context = Context::custom::<Intrinsics>(&runtime).map_err(no_memory)?;
    // Garbage in cycles is collected before it makes up half of what the instance may have.
    runtime.set_gc_threshold(usize::try_from(memory_bytes / 4).unwrap_or(usize::MAX));
    runtime.set_max_stack_size(usize::try_from(stack_bytes).unwrap_or(usize::MAX));
    Ok((runtime, context))
}

impl OwnCode {
    fn new() -> rquickjs::Result<OwnCode> {
        Ok(OwnCode { prelude: Compiled::of(PRELUDE, PRELUDE_TEXT)?, language: Compiled::of(PRELUDE, LANGUAGE_TEXT)? })
    }
}

impl EngineInstance {
    /// An engine with the script loaded and started.
    fn start(
        own: &OwnCode,
        source: &Source,
        identity: &Identity<'_>,
        budget: Budget,
        shared: Rc<SharedState>,
        now: Millis,
    ) -> Result<Self, LoadError> {
        let scan = Scan::of(source)?;
        // The engine itself may be at fault from here on.
        shared.begin(Handler::Load, now, budget.load_ms);
        let (runtime, context) = engine(&shared, budget.memory_bytes, budget.stack_bytes)?;
        let watch = Rc::clone(&shared);
        runtime.set_interrupt_handler(Some(Box::new(move || watch.interrupts())));
        let rejections = Rc::clone(&shared);
        runtime.set_host_promise_rejection_tracker(Some(Box::new(move |ctx, promise, reason, is_handled| {
            rejections.rejected(&ctx, &promise, &reason, is_handled);
        })));

        let started = context.with(|ctx| -> Result<_, LoadError> {
            let prelude = || -> rquickjs::Result<_> {
                let native = native::functions(&ctx, &shared)?;
                let application = native::application(&ctx, identity)?;
                let root: Object<'_> =
                    own.prelude.run::<Function<'_>>(&ctx)?.call((native.clone(), application.clone()))?;
                let lines: Vec<&str> = LANGUAGE.lines().collect();
                own.language.run::<Function<'_>>(&ctx)?.call::<_, ()>((lines,))?;
                Ok((native, application, root))
            };
            let (native, application, root) = prelude().map_err(|error| shared.load_error(&ctx, error, PRELUDE))?;
            native::configure(&ctx, &application, identity.config_json)?;
            Ok((Persistent::save(&ctx, root), Persistent::save(&ctx, native)))
        });
        let (root, native) = started?;
        let mut instance = EngineInstance { root, native, context, runtime, shared, budget, handles: HashMap::new() };
        instance.evaluate_all(source, &scan)?;
        instance.shared.end_loading();
        // Still in the time that loading has.
        instance.shared.at(Handler::AppStart);
        let started = instance.attempt_on(|call| {
            call.function("start")?.call::<_, ()>(())?;
            // Nothing but loading needs these; an idle instance is smaller without them.
            ["secured", "missing", "start"].iter().try_for_each(|name| call.root.remove(*name))
        });
        if let Err(CallFault::Exhausted(exhausted)) = started {
            return Err(LoadError::Exhausted(instance.shared.place.take(), exhausted));
        }
        instance.runtime.run_gc();
        Ok(instance)
    }

    /// `secure.asc`, the main script, and what they load, in that order.
    fn evaluate_all(&mut self, source: &Source, scan: &Scan) -> Result<(), LoadError> {
        let shared = &self.shared;
        let root = self.root.clone();
        self.context.with(|ctx| {
            let root = root.restore(&ctx).map_err(|error| shared.load_error(&ctx, error, PRELUDE))?;
            let call = |name: &str, argument: &str| -> Result<(), LoadError> {
                let call = || root.get::<_, Function<'_>>(name)?.call::<_, ()>((argument,));
                call().map_err(|error| shared.load_error(&ctx, error, PRELUDE))
            };
            let evaluate = |file: &SourceFile| -> Result<(), LoadError> {
                let text = source::text(file)?;
                shared.files.borrow_mut().push((file.name.clone(), text.to_owned()));
                shared.inside(&file.name, 0);
                evaluate::<Value<'_>>(&ctx, &file.name, text)
                    .map_err(|error| shared.load_error(&ctx, error, &file.name))?;
                run_jobs(&ctx, shared);
                if let Some(exhausted) = shared.exhausted.get() {
                    return Err(LoadError::Exhausted(shared.place_or(&file.name), exhausted));
                }
                shared.log_missing(&file.name, &scan.missing(file));
                Ok(())
            };
            for name in scan.missing_globals() {
                call("missing", name)?;
            }
            if let Some(secure) = &source.secure {
                evaluate(secure)?;
            }
            call("secured", "")?;
            evaluate(&source.main)?;
            let mut loaded = vec![source.main.name.clone()];
            while let Some((name, place)) = shared.next_load() {
                let file =
                    source::resolve(source, &name).ok_or_else(|| LoadError::Missing(place.clone(), name.clone()))?;
                // Each file runs once, so two that load each other end.
                if !loaded.contains(&file.name) {
                    loaded.push(file.name.clone());
                    scan.check(file)?;
                    evaluate(file)?;
                }
            }
            Ok(())
        })
    }

    /// One call into the script within [`Budget::call_ms`].
    fn run<R>(
        &mut self,
        handler: Handler,
        now: Millis,
        work: impl for<'js> FnOnce(&EngineCall<'_, 'js>) -> rquickjs::Result<R>,
    ) -> Result<R, CallFault> {
        let result = self.attempt(handler, now, work)?;
        if self.shared.thrown.get() { Err(CallFault::Thrown) } else { Ok(result) }
    }

    /// As [`EngineInstance::run`], but what the prelude caught and told is no fault.
    fn attempt<R>(
        &mut self,
        handler: Handler,
        now: Millis,
        work: impl for<'js> FnOnce(&EngineCall<'_, 'js>) -> rquickjs::Result<R>,
    ) -> Result<R, CallFault> {
        self.shared.begin(handler, now, self.budget.call_ms);
        self.attempt_on(work)
    }

    /// As [`EngineInstance::attempt`], in the time that is running.
    fn attempt_on<R>(
        &mut self,
        work: impl for<'js> FnOnce(&EngineCall<'_, 'js>) -> rquickjs::Result<R>,
    ) -> Result<R, CallFault> {
        let (mut work, mut result) = (Some(work), None);
        self.guard(&mut |call| {
            result = work.take().map(|work| work(call)).transpose()?;
            Ok(())
        })?;
        result.ok_or(CallFault::Thrown)
    }

    /// [`EngineInstance::attempt_on`], once for all that is called. `work` is called once at most.
    fn guard(
        &mut self,
        work: &mut dyn for<'js> FnMut(&EngineCall<'_, 'js>) -> rquickjs::Result<()>,
    ) -> Result<(), CallFault> {
        let shared = &*self.shared;
        let result = self.context.with(|ctx| {
            let roots = || -> rquickjs::Result<_> {
                let root = self.root.clone().restore(&ctx)?;
                let kit = Kit::of(&self.native.clone().restore(&ctx)?)?;
                Ok((root, kit))
            };
            let Ok((root, kit)) = roots() else { return Err(CallFault::Exhausted(Exhausted::Memory)) };
            let call = EngineCall { ctx: &ctx, root: &root, kit: &kit, shared };
            let result = work(&call);
            let result = result.map_err(|error| call.on_status(&shared.caught(&ctx, error)));
            call.run_jobs();
            for rejection in shared.take_rejections() {
                shared.log(&rejection);
                call.on_status(&rejection);
            }
            result.map_err(|()| CallFault::Thrown)
        });
        shared.end();
        match shared.exhausted.get() {
            Some(exhausted) => {
                shared.log_exhausted(exhausted);
                Err(CallFault::Exhausted(exhausted))
            }
            None => result,
        }
    }
}

/// The engine during one call.
struct EngineCall<'c, 'js> {
    ctx: &'c Ctx<'js>,
    root: &'c Object<'js>,
    kit: &'c Kit<'js>,
    shared: &'c SharedState,
}

impl<'js> EngineCall<'_, 'js> {
    fn function(&self, name: &str) -> rquickjs::Result<Function<'js>> {
        self.root.get(name)
    }

    fn decode(&self, message: &[u8]) -> rquickjs::Result<Result<Vec<Value<'js>>, Malformed>> {
        amf::decode(self.ctx, self.kit, message)
    }

    fn encode(&self, value: Value<'js>) -> rquickjs::Result<Vec<u8>> {
        self.shared.encode(self.ctx, self.kit, 0, [value], crate::limits::SCRIPT_VALUE_BYTES)
    }

    /// Runs what promises wait for, in the same time.
    fn run_jobs(&self) {
        run_jobs(self.ctx, self.shared);
    }

    /// `application.onStatus`, unless nothing runs any more.
    fn on_status(&self, report: &ScriptReport) {
        if self.shared.exhausted.get().is_some() {
            return;
        }
        let tell = || self.function("tell")?.call::<_, ()>((self.shared.info(self.ctx, report)?,));
        if let Err(error) = tell() {
            self.shared.caught(self.ctx, error);
        }
    }
}

fn run_jobs(ctx: &Ctx<'_>, shared: &SharedState) {
    // To ask the clock is a call of the system's, and most calls leave no job.
    while shared.exhausted.get().is_none() && ctx.execute_pending_job() {
        shared.is_over();
    }
}

/// Runs a file as Adobe's server does: at global scope, not strict.
fn evaluate<'js, V: rquickjs::FromJs<'js>>(ctx: &Ctx<'js>, name: &str, text: &str) -> rquickjs::Result<V> {
    let mut options = EvalOptions::default();
    options.strict = false;
    options.filename = Some(name.to_owned());
    ctx.eval_with_options(text, options)
}

/// Whether an access list covers a stream, see [`Scripts::allows`].
fn covers(list: &str, stream: &str) -> bool {
    list.split(';').map(str::trim).filter(|path| !path.is_empty()).any(|path| {
        let path = path.trim_matches('/');
        let below = stream.strip_prefix(path);
        path.is_empty() || below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
    })
}
