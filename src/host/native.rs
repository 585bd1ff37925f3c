//! The few functions that the prelude is written over, and what they share with the server's side: an instance's clients,
//! its timers, its limits, and what it asks for.

use std::cell::{Cell, RefCell};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

use log::{info, warn};
use rquickjs::function::{Opt, This};
use rquickjs::object::Property;
use rquickjs::{Ctx, Error, Exception, Function, Object, Result, Value};

use super::amf::{self, Kit};
use super::facts::{
    ApplicationStats, ClientId, ClientStats, Exhausted, Identity, LoadError, SCRIPT_FIRST_TRANSACTION,
    SCRIPT_INTERVAL_MS, SCRIPT_LINES_PER_SECOND, ScriptAction, SourcePlace, tidy,
};
use super::link::Ours;
use super::report::{self, ScriptReport};
use super::source;
use crate::limits::{
    PATH_BYTES, SCRIPT_ACTION_BYTES, SCRIPT_ACTIONS, SCRIPT_CLIENT_CALLS, SCRIPT_ERROR_BYTES, SCRIPT_INTERVALS,
    SCRIPT_ITEM_BYTES, SCRIPT_NAME_BYTES, SCRIPT_QUEUED_BYTES, SCRIPT_QUEUED_CALLS, SCRIPT_STATUS_BYTES,
    SCRIPT_TRACE_BYTES, SCRIPT_VALUE_BYTES,
};
use crate::text::Word;
use crate::time::Millis;
use crate::wire::script_link::{FlushWhen, Handler, LogLevel, RecordHow};

/// Steps that one call of a built-in function may take which the engine does not interrupt: elements, or characters times
/// characters to be found. A tenth of a second on the slowest board.
const STEPS: f64 = 4_194_304.0;

/// The error with which the engine is interrupted takes less, in bytes, with the text of where that was.
const INTERRUPT_BYTES: usize = 8 * 1024;

/// How far the decision about a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    Pending,
    Accepted,
    Rejected,
    /// The connection is gone; its handler may still be running.
    Gone,
}

struct Record {
    id: ClientId,
    phase: Admission,
    /// What waits for the accept.
    queue: Vec<ScriptAction>,
    queue_bytes: usize,
    stats: ClientStats,
    /// Bytes per second to and from the client, 0 when the script has set none.
    limits: [u32; 2],
}

struct Interval {
    id: u32,
    due: Millis,
    period_ms: u64,
}

/// What an instance's native functions and the server's side share. Holds nothing of the engine.
pub(super) struct SharedState {
    /// `APP/INSTANCE`, for the log.
    name: String,
    /// To the server, when that is another process.
    ours: Option<Ours>,
    pub(super) clock: fn() -> u64,
    /// The clock at which the present call is over.
    deadline_us: Cell<u64>,
    /// The script runs: between its calls no time is counted.
    is_running: Cell<bool>,
    is_out_of_memory: Cell<bool>,
    /// Memory that may be had for the error with which the engine is interrupted, in bytes.
    for_interrupt: Cell<usize>,
    pub(super) now: Cell<Millis>,
    pub(super) exhausted: Cell<Option<Exhausted>>,
    /// Where the limit was exceeded, if that is known.
    pub(super) place: Cell<SourcePlace>,
    /// A handler threw in the present call.
    pub(super) thrown: Cell<bool>,
    /// The text of that error.
    pub(super) failure: Cell<String>,
    /// The present call found no method.
    pub(super) not_found: Cell<bool>,
    /// What the script has asked for in the present call.
    pub(super) actions: Cell<Vec<ScriptAction>>,
    action_count: Cell<usize>,
    action_bytes: Cell<usize>,
    clients: RefCell<Vec<Option<Record>>>,
    intervals: RefCell<Vec<Interval>>,
    next_interval: Cell<u32>,
    next_transaction: Cell<u32>,
    pub(super) stats: Cell<ApplicationStats>,
    /// Whether `load()` is possible.
    is_loading: Cell<bool>,
    loads: RefCell<Vec<(String, SourcePlace)>>,
    /// Names and texts of what has run, for `linebuf`.
    pub(super) files: RefCell<Vec<(String, String)>>,
    /// Promises that were rejected without a handler.
    rejections: RefCell<Vec<(u64, ScriptReport)>>,
    scratch: Rc<Cell<Vec<u8>>>,
    lines: RefCell<Lines>,
}

/// How many lines have been logged lately.
#[derive(Default)]
struct Lines {
    since: Millis,
    count: u32,
    left_out: u32,
    /// The error of the last line, and how often it came again since.
    last_error: Option<ScriptReport>,
    repeated: u32,
}

impl SharedState {
    pub(super) fn new(
        identity: &Identity<'_>,
        ours: Option<Ours>,
        clock: fn() -> u64,
        scratch: Rc<Cell<Vec<u8>>>,
    ) -> Self {
        let name = format!("{}/{}", identity.app, identity.instance);
        SharedState {
            name: Word(&name).to_string(),
            ours,
            clock,
            deadline_us: Cell::new(0),
            is_running: Cell::default(),
            is_out_of_memory: Cell::default(),
            for_interrupt: Cell::default(),
            now: Cell::default(),
            exhausted: Cell::default(),
            place: Cell::default(),
            thrown: Cell::default(),
            failure: Cell::default(),
            not_found: Cell::default(),
            actions: Cell::default(),
            action_count: Cell::default(),
            action_bytes: Cell::default(),
            clients: RefCell::default(),
            intervals: RefCell::default(),
            next_interval: Cell::new(1),
            next_transaction: Cell::new(SCRIPT_FIRST_TRANSACTION),
            stats: Cell::default(),
            is_loading: Cell::new(true),
            loads: RefCell::default(),
            files: RefCell::default(),
            rejections: RefCell::default(),
            scratch,
            lines: RefCell::default(),
        }
    }

    // The time and the limits of a call.

    pub(super) fn begin(&self, handler: Handler, now: Millis, limit_ms: u32) {
        self.at(handler);
        self.now.set(now);
        self.deadline_us.set((self.clock)().saturating_add(u64::from(limit_ms) * 1000));
        self.is_running.set(true);
        self.is_out_of_memory.set(false);
        self.thrown.set(false);
        self.not_found.set(false);
        self.action_count.set(0);
        self.action_bytes.set(0);
    }

    /// Nothing may run any more: the time is over, or another limit has been exceeded. The engine asks this now and then;
    /// what it throws then cannot be caught.
    pub(super) fn is_over(&self) -> bool {
        if self.exhausted.get().is_none() && (self.clock)() >= self.deadline_us.get() {
            self.exhausted.set(Some(Exhausted::Time));
        }
        self.exhausted.get().is_some()
    }

    /// What the engine asks now and then: whether it is to interrupt the script. The error that cannot be caught needs memory, and
    /// without it there is another in its place, which can.
    pub(super) fn interrupts(&self) -> bool {
        let is_over = self.is_over();
        self.for_interrupt.set(if is_over { INTERRUPT_BYTES } else { 0 });
        is_over
    }

    /// Whether so much memory is for that error. Asking takes it.
    pub(super) fn takes_for_interrupt(&self, bytes: usize) -> bool {
        let left = self.for_interrupt.get().checked_sub(bytes);
        self.for_interrupt.set(left.unwrap_or_else(|| self.for_interrupt.get()));
        left.is_some()
    }

    /// The present call is over; what the engine does now is not the script's doing.
    pub(super) fn end(&self) {
        self.is_running.set(false);
    }

    /// Notes what is entered, where the server finds it.
    pub(super) fn at(&self, handler: Handler) {
        if let Some(ours) = &self.ours {
            ours.enter(handler);
        }
    }

    /// Notes which function is entered, or that a file runs, where the server finds it.
    pub(super) fn inside(&self, file: &str, line: u32) {
        if let Some(ours) = &self.ours {
            ours.at(file, line);
        }
    }

    /// Whether a call runs that must not go on.
    pub(super) fn must_stop(&self) -> bool {
        self.is_running.get() && self.is_over()
    }

    /// The engine was refused memory in this call.
    pub(super) fn out_of_memory(&self) {
        self.is_out_of_memory.set(true);
    }

    pub(super) fn is_out_of_memory(&self) -> bool {
        self.is_out_of_memory.get()
    }

    pub(super) fn place_or(&self, file: &str) -> SourcePlace {
        let place = self.place.take();
        if place.file.is_empty() { SourcePlace { file: file.to_owned(), line: 0 } } else { place }
    }

    // Errors.

    /// An error that came out of the engine: what `application.onStatus` is to be told.
    pub(super) fn caught(&self, ctx: &Ctx<'_>, error: Error) -> ScriptReport {
        let report = self.read(ctx, error);
        self.note(report.clone());
        report
    }

    /// An error while loading, where it ends the load instead of being logged.
    pub(super) fn load_error(&self, ctx: &Ctx<'_>, error: Error, file: &str) -> LoadError {
        let report = self.read(ctx, error);
        let mut place = report.place;
        if place.file.is_empty() {
            file.clone_into(&mut place.file);
        }
        if let Some(exhausted) = self.exhausted.get().or(report.exhausted) {
            return LoadError::Exhausted(place, exhausted);
        }
        if let Some(name) =
            report.text.strip_prefix("Error: ").and_then(|text| text.strip_suffix(source::NOT_AVAILABLE))
        {
            return LoadError::Unsupported(place, name.to_owned());
        }
        if report.text.starts_with("SyntaxError: ") {
            return LoadError::Syntax(place, report.text);
        }
        LoadError::Thrown(place, report.text)
    }

    fn read(&self, ctx: &Ctx<'_>, error: Error) -> ScriptReport {
        if ctx.has_exception() {
            return self.describe(ctx, &ctx.catch());
        }
        let exhausted = matches!(error, Error::Allocation).then_some(Exhausted::Memory);
        ScriptReport { text: tidy(&error.to_string(), SCRIPT_ERROR_BYTES), place: SourcePlace::default(), exhausted }
    }

    /// Reads what was thrown.
    fn describe<'js>(&self, ctx: &Ctx<'js>, value: &Value<'js>) -> ScriptReport {
        // Reading takes memory, which is not given any more when the time is over. Code of the script that reading may run
        // is interrupted all the same.
        let is_running = self.is_running.replace(false);
        let mut report = report::describe(ctx, value);
        self.is_running.set(is_running);
        // What was exceeded has been noted; what was not, the script made up.
        match report.exhausted {
            Some(Exhausted::Memory) if self.is_out_of_memory.get() => {}
            // Without time there is no memory either.
            Some(Exhausted::Time | Exhausted::Memory) => report.exhausted = self.exhausted.get(),
            _ => {}
        }
        report
    }

    /// Logs an error once and remembers it for the present call. One that exceeds a limit ends the instance instead.
    fn note(&self, report: ScriptReport) {
        // The first error of a call is what its client hears; what a handler of errors throws then is only logged.
        if !self.thrown.replace(true) {
            self.failure.set(report.text.clone());
        }
        if let Some(exhausted) = report.exhausted {
            if self.exhausted.get().is_none() {
                self.exhausted.set(Some(exhausted));
            }
            self.found_at(report.place);
        } else if self.exhausted.get().is_none() {
            self.log(&report);
        }
    }

    /// The first place that is known is where it happened; what is thrown on the way out is thrown elsewhere.
    fn found_at(&self, place: SourcePlace) {
        let known = self.place.take();
        self.place.set(if known.file.is_empty() { place } else { known });
    }

    /// What `application.onStatus` gets.
    pub(super) fn info<'js>(&self, ctx: &Ctx<'js>, report: &ScriptReport) -> Result<Object<'js>> {
        let files = self.files.borrow();
        let text = files.iter().find(|(name, _)| *name == report.place.file).map_or("", |(_, text)| text);
        let index = (report.place.line as usize).checked_sub(1);
        let line = index.and_then(|index| text.lines().nth(index)).unwrap_or_default();
        let info = Object::new(ctx.clone())?;
        info.set("code", "Application.Script.Error")?;
        info.set("level", "error")?;
        info.set("description", report.text.as_str())?;
        info.set("details", report.text.as_str())?;
        info.set("filename", report.place.file.as_str())?;
        info.set("lineno", report.place.line)?;
        info.set("linebuf", tidy(line, SCRIPT_ERROR_BYTES))?;
        Ok(info)
    }

    pub(super) fn rejected<'js>(&self, ctx: &Ctx<'js>, promise: &Value<'js>, reason: &Value<'js>, is_handled: bool) {
        let mut hasher = DefaultHasher::new();
        promise.hash(&mut hasher);
        let promise = hasher.finish();
        let report = (!is_handled).then(|| self.describe(ctx, reason));
        let mut rejections = self.rejections.borrow_mut();
        match report {
            // As many as are logged are enough.
            Some(report) if rejections.len() < SCRIPT_LINES_PER_SECOND as usize => rejections.push((promise, report)),
            Some(_) => {}
            None => rejections.retain(|(known, _)| *known != promise),
        }
    }

    /// Those left when all jobs have run. What exceeded a limit is noted.
    pub(super) fn take_rejections(&self) -> Vec<ScriptReport> {
        let rejections: Vec<ScriptReport> = self.rejections.take().into_iter().map(|(_, report)| report).collect();
        for report in &rejections {
            match report.exhausted {
                Some(Exhausted::Time) | None => {
                    if self.exhausted.get().is_some() && report.exhausted.is_some() {
                        self.found_at(report.place.clone());
                    }
                }
                Some(exhausted) => {
                    if self.exhausted.get().is_none() {
                        self.exhausted.set(Some(exhausted));
                    }
                    self.found_at(report.place.clone());
                }
            }
        }
        if self.exhausted.get().is_some() { Vec::new() } else { rejections }
    }

    // The log.

    pub(super) fn log(&self, report: &ScriptReport) {
        let mut lines = self.lines.borrow_mut();
        if lines.last_error.as_ref() == Some(report) && self.now.get().since(lines.since) < 1000 {
            lines.repeated += 1;
            return;
        }
        if self.may_log(&mut lines) {
            let ScriptReport { text, place, .. } = report;
            self.say(LogLevel::Warn, &format!("file={:?} line={} error={text:?}", place.file, place.line));
            lines.last_error = Some(report.clone());
        }
    }

    pub(super) fn log_exhausted(&self, exhausted: Exhausted) {
        let place = self.place.take();
        let SourcePlace { file, line } = place;
        self.say(LogLevel::Warn, &format!("file={file:?} line={line} error=\"{exhausted}\" stopped=yes"));
    }

    /// What a file mentions that is missing: it throws when it is used.
    pub(super) fn log_missing(&self, file: &str, missing: &[(String, u32)]) {
        for (name, line) in missing {
            if self.may_log(&mut self.lines.borrow_mut()) {
                self.say(LogLevel::Warn, &format!("file={file:?} line={line} missing={name:?}: what uses it fails"));
            }
        }
    }

    fn trace(&self, text: &str) {
        if self.may_log(&mut self.lines.borrow_mut()) {
            self.say(LogLevel::Info, &format!("trace={text:?}"));
        }
    }

    fn say(&self, level: LogLevel, text: &str) {
        match (&self.ours, level) {
            (Some(ours), _) => ours.log(level, text),
            (None, LogLevel::Warn) => warn!("script {} {text}", self.name),
            (None, LogLevel::Info) => info!("script {} {text}", self.name),
        }
    }

    /// One line more in this second. Says first what the last second left out.
    fn may_log(&self, lines: &mut Lines) -> bool {
        if self.now.get().since(lines.since) >= 1000 || lines.since == Millis(0) {
            if lines.left_out + lines.repeated > 0 {
                let Lines { left_out, repeated, .. } = lines;
                self.say(LogLevel::Warn, &format!("lines_left_out={left_out} error_repeated={repeated}"));
            }
            *lines = Lines { since: self.now.get(), ..Lines::default() };
        }
        lines.count += 1;
        let may = lines.count <= SCRIPT_LINES_PER_SECOND;
        lines.left_out += u32::from(!may);
        may
    }

    // Loading.

    pub(super) fn end_loading(&self) {
        self.is_loading.set(false);
    }

    pub(super) fn next_load(&self) -> Option<(String, SourcePlace)> {
        let mut loads = self.loads.borrow_mut();
        if loads.is_empty() { None } else { Some(loads.remove(0)) }
    }

    // Clients.

    pub(super) fn add(&self, id: ClientId, limits: [u32; 2]) -> u32 {
        let mut clients = self.clients.borrow_mut();
        let index = clients.iter().position(Option::is_none).unwrap_or(clients.len());
        if index == clients.len() {
            clients.push(None);
        }
        let stats = ClientStats::default();
        clients[index] =
            Some(Record { id, phase: Admission::Pending, queue: Vec::new(), queue_bytes: 0, stats, limits });
        // As many clients as the server has connections: far below 2^32.
        index as u32
    }

    pub(super) fn phase(&self, handle: u32) -> Admission {
        self.with(handle, |record| record.phase).unwrap_or(Admission::Gone)
    }

    /// The connection is gone. Whether the script is told.
    pub(super) fn leave(&self, handle: u32) -> bool {
        let phase = self.with(handle, |record| std::mem::replace(&mut record.phase, Admission::Gone));
        matches!(phase, Some(Admission::Pending | Admission::Accepted))
    }

    pub(super) fn remove(&self, handle: u32) {
        if let Some(record) = self.clients.borrow_mut().get_mut(handle as usize) {
            *record = None;
        }
    }

    pub(super) fn set_stats(&self, handle: u32, stats: ClientStats) {
        self.with(handle, |record| record.stats = stats);
    }

    fn client_stats(&self, handle: u32) -> ClientStats {
        let (id, phase, known) = self.with(handle, |record| (record.id, record.phase, record.stats)).unwrap_or((
            ClientId(0),
            Admission::Gone,
            ClientStats::default(),
        ));
        match &self.ours {
            Some(ours) if phase != Admission::Gone => ours.client_stats(id),
            _ => known,
        }
    }

    /// What the server says of a stream; 0 of one whose name is too long to be one.
    fn ask_of(&self, name: &str, ask: impl Fn(&Ours, &str) -> f64) -> f64 {
        let asked = self.ours.as_ref().filter(|_| name.len() <= 2 * PATH_BYTES);
        asked.map_or(0.0, |ours| ask(ours, name))
    }

    fn application_stats(&self) -> ApplicationStats {
        self.ours.as_ref().map_or_else(|| self.stats.get(), Ours::application_stats)
    }

    /// Rejects a client that the script has not yet decided about, or had accepted in this very call before it failed.
    /// Whether it did.
    pub(super) fn refuse(&self, handle: u32, description: Option<String>) -> bool {
        let refused = self.with(handle, |record| match record.phase {
            Admission::Pending | Admission::Accepted => {
                record.phase = Admission::Rejected;
                record.queue = Vec::new();
                Some(record.id)
            }
            Admission::Rejected | Admission::Gone => None,
        });
        let Some(client) = refused.flatten() else { return false };
        let mut actions = self.actions.take();
        actions.retain(|action| client_of(action) != Some(client));
        actions.push(ScriptAction::Reject { client, description, application: None, redirect: None });
        self.actions.set(actions);
        true
    }

    fn with<R>(&self, handle: u32, work: impl FnOnce(&mut Record) -> R) -> Option<R> {
        self.clients.borrow_mut().get_mut(handle as usize)?.as_mut().map(work)
    }

    // Actions.

    fn push(&self, ctx: &Ctx<'_>, action: ScriptAction, bytes: usize) -> Result<()> {
        self.action_count.set(self.action_count.get() + 1);
        self.action_bytes.set(self.action_bytes.get() + bytes);
        if self.action_count.get() > SCRIPT_ACTIONS || self.action_bytes.get() > SCRIPT_ACTION_BYTES {
            // From here on the engine is interrupted, whatever the script does with this error.
            self.exhausted.set(self.exhausted.get().or(Some(Exhausted::Actions)));
            return Err(Exception::throw_range(ctx, "too many actions in one call"));
        }
        let mut actions = self.actions.take();
        actions.push(action);
        self.actions.set(actions);
        Ok(())
    }

    /// An action that concerns a client: done, kept until its accept, or dropped because it is gone. Whether it was
    /// not dropped.
    fn emit(
        &self,
        ctx: &Ctx<'_>,
        handle: u32,
        action: impl FnOnce(ClientId) -> ScriptAction,
        bytes: usize,
    ) -> Result<bool> {
        let Some((client, phase)) = self.with(handle, |record| (record.id, record.phase)) else { return Ok(false) };
        match phase {
            Admission::Accepted => self.push(ctx, action(client), bytes).map(|()| true),
            Admission::Pending => {
                let is_kept = self.with(handle, |record| {
                    record.queue_bytes += bytes;
                    let has_room =
                        record.queue.len() < SCRIPT_QUEUED_CALLS && record.queue_bytes <= SCRIPT_QUEUED_BYTES;
                    if has_room {
                        record.queue.push(action(client));
                    }
                    has_room
                });
                if is_kept == Some(true) {
                    return Ok(true);
                }
                Err(Exception::throw_range(ctx, "too much is waiting for this client to be accepted"))
            }
            Admission::Rejected | Admission::Gone => Ok(false),
        }
    }

    /// Values for a client, as its message has them behind `before` objects, at most `limit` bytes.
    pub(super) fn encode<'js>(
        &self,
        ctx: &Ctx<'js>,
        kit: &Kit<'js>,
        before: u16,
        values: impl IntoIterator<Item = Value<'js>>,
        limit: usize,
    ) -> Result<Vec<u8>> {
        let mut scratch = self.scratch.take();
        if scratch.is_empty() {
            scratch = vec![0; SCRIPT_VALUE_BYTES];
        }
        // A value's getter that sends something itself finds other bytes, and gives them back before us.
        let result = amf::encode(ctx, kit, &mut scratch[..limit.min(SCRIPT_VALUE_BYTES)], before, values);
        self.scratch.set(scratch);
        result
    }

    // Timers.

    /// A timer that is due; it is then due again after its period.
    pub(super) fn due(&self, now: Millis) -> Option<u32> {
        let mut intervals = self.intervals.borrow_mut();
        let interval =
            intervals.iter_mut().filter(|interval| interval.due <= now).min_by_key(|interval| interval.due)?;
        interval.due = now + interval.period_ms;
        Some(interval.id)
    }

    pub(super) fn next_due(&self) -> Option<Millis> {
        if self.exhausted.get().is_some() {
            return None;
        }
        self.intervals.borrow().iter().map(|interval| interval.due).min()
    }
}

/// Whom an action concerns.
fn client_of(action: &ScriptAction) -> Option<ClientId> {
    match action {
        ScriptAction::Accept(client)
        | ScriptAction::Reject { client, .. }
        | ScriptAction::Disconnect(client)
        | ScriptAction::Call { client, .. }
        | ScriptAction::Ping(client)
        | ScriptAction::LimitBandwidth { client, .. }
        | ScriptAction::CheckBandwidth(client) => Some(*client),
        ScriptAction::Broadcast { .. }
        | ScriptAction::Send { .. }
        | ScriptAction::Play { .. }
        | ScriptAction::Flush { .. }
        | ScriptAction::Clear { .. }
        | ScriptAction::Shutdown => None,
    }
}

/// `application` as it is before the prelude: what it is called.
pub(super) fn application<'js>(ctx: &Ctx<'js>, identity: &Identity<'_>) -> Result<Object<'js>> {
    let application = Object::new(ctx.clone())?;
    application.prop("name", format!("{}/{}", identity.app, identity.instance))?;
    application.prop("hostname", identity.hostname)?;
    application.prop("server", identity.server)?;
    Ok(application)
}

/// `application.config`.
pub(super) fn configure<'js>(
    ctx: &Ctx<'js>,
    application: &Object<'js>,
    json: &str,
) -> std::result::Result<(), LoadError> {
    let json = if json.is_empty() { "{}" } else { json };
    let config = ctx.json_parse(json).map_err(|_| LoadError::Config(report::describe(ctx, &ctx.catch()).text))?;
    if !config.is_object() || config.is_array() {
        return Err(LoadError::Config("not a JSON object".into()));
    }
    application.prop("config", config).map_err(|_| LoadError::Config("no memory".into()))
}

/// What the prelude is given.
#[allow(clippy::too_many_lines, reason = "a table")]
pub(super) fn functions<'js>(ctx: &Ctx<'js>, shared: &Rc<SharedState>) -> Result<Object<'js>> {
    let native = Object::new(ctx.clone())?;
    native.set("calls", SCRIPT_CLIENT_CALLS)?;
    macro_rules! function {
        ($name:literal, $shared:ident, $($body:tt)*) => {{
            let $shared = Rc::clone(shared);
            native.set($name, Function::new(ctx.clone(), $($body)*)?)?;
        }};
        ($name:literal, $($body:tt)*) => {
            native.set($name, Function::new(ctx.clone(), $($body)*)?)?
        };
    }

    function!("isPending", shared, move |handle: u32| shared.phase(handle) == Admission::Pending);
    function!("accept", shared, move |ctx: Ctx<'js>, handle: u32| -> Result<()> {
        let accepted = shared.with(handle, |record| {
            let is_pending = record.phase == Admission::Pending;
            is_pending.then(|| {
                record.phase = Admission::Accepted;
                (record.id, std::mem::take(&mut record.queue))
            })
        });
        let Some((client, queue)) = accepted.flatten() else { return Ok(()) };
        shared.push(&ctx, ScriptAction::Accept(client), 0)?;
        queue.into_iter().try_for_each(|action| shared.push(&ctx, action, 0))
    });
    function!("reject", shared, {
        move |ctx: Ctx<'js>,
              This(native): This<Object<'js>>,
              handle: u32,
              description: Opt<Value<'js>>,
              application: Opt<Value<'js>>,
              redirect: Opt<Value<'js>>|
              -> Result<()> {
            let kit = Kit::of(&native)?;
            let given = |value: Opt<Value<'js>>| value.0.filter(|value| !value.is_null() && !value.is_undefined());
            let text = |value: Value<'js>| amf::text(&kit, &value).map(|text| tidy(&text, SCRIPT_STATUS_BYTES));
            let description = given(description).map(text).transpose()?;
            let redirect = given(redirect).map(text).transpose()?.filter(|url| !url.is_empty());
            // It stands in the status object.
            let encode = |value| shared.encode(&ctx, &kit, 1, [value], SCRIPT_STATUS_BYTES);
            let application = given(application).map(encode).transpose()?;
            let rejected = shared.with(handle, |record| {
                let is_pending = record.phase == Admission::Pending;
                is_pending.then(|| {
                    record.phase = Admission::Rejected;
                    record.queue = Vec::new();
                    record.id
                })
            });
            let Some(client) = rejected.flatten() else { return Ok(()) };
            let bytes = application.as_ref().map_or(0, Vec::len);
            let action = ScriptAction::Reject { client, description, application, redirect };
            shared.push(&ctx, action, bytes)
        }
    });
    function!("refuse", shared, move |handle: u32| shared.refuse(handle, None));
    function!("disconnect", shared, move |ctx: Ctx<'js>, handle: u32| -> Result<bool> {
        if shared.phase(handle) == Admission::Pending {
            return Ok(shared.refuse(handle, None));
        }
        shared.emit(&ctx, handle, ScriptAction::Disconnect, 0)
    });
    // The transaction of a call that wants an answer, 0 for one that wants none, -1 when the client is gone.
    function!("call", shared, {
        move |ctx: Ctx<'js>,
              This(native): This<Object<'js>>,
              handle: u32,
              name: String,
              is_wanted: bool,
              values: Vec<Value<'js>>|
              -> Result<i64> {
            check_name(&ctx, &name)?;
            let arguments = shared.encode(&ctx, &Kit::of(&native)?, 0, values, SCRIPT_VALUE_BYTES)?;
            let bytes = name.len() + arguments.len();
            let transaction = if is_wanted { shared.next_transaction.get() } else { 0 };
            let action = |client| ScriptAction::Call { client, name, transaction, arguments };
            if !shared.emit(&ctx, handle, action, bytes)? {
                return Ok(-1);
            }
            if is_wanted {
                let next = transaction.checked_add(1).unwrap_or(SCRIPT_FIRST_TRANSACTION);
                shared.next_transaction.set(next);
            }
            Ok(transaction.into())
        }
    });
    function!("broadcast", shared, {
        move |ctx: Ctx<'js>, This(native): This<Object<'js>>, name: String, values: Vec<Value<'js>>| -> Result<()> {
            check_name(&ctx, &name)?;
            let arguments = shared.encode(&ctx, &Kit::of(&native)?, 0, values, SCRIPT_VALUE_BYTES)?;
            let records = shared.clients.borrow();
            let accepted = records.iter().flatten().filter(|record| record.phase == Admission::Accepted);
            // The server sends it to each of them.
            let bytes = name.len() + arguments.len() + accepted.count() * size_of::<ClientId>();
            shared.push(&ctx, ScriptAction::Broadcast { name, arguments }, bytes)
        }
    });
    function!("send", shared, {
        move |ctx: Ctx<'js>,
              This(native): This<Object<'js>>,
              stream: String,
              handler: Value<'js>,
              values: Vec<Value<'js>>|
              -> Result<()> {
            let values = std::iter::once(handler).chain(values);
            let body = shared.encode(&ctx, &Kit::of(&native)?, 0, values, SCRIPT_VALUE_BYTES)?;
            let bytes = body.len();
            shared.push(&ctx, ScriptAction::Send { stream, body }, bytes)
        }
    });
    function!("play", shared, move |ctx: Ctx<'js>,
                                    stream: String,
                                    item: String,
                                    start_s: f64,
                                    length_s: f64,
                                    reset: bool|
          -> Result<bool> {
        if item.len() > SCRIPT_ITEM_BYTES {
            return Ok(false);
        }
        let bytes = stream.len() + item.len();
        shared.push(&ctx, ScriptAction::Play { stream, item, start_s, length_s, reset }, bytes)?;
        Ok(true)
    });
    function!("record", shared, move |stream: String, how: u32, most_s: f64, most_kb: f64| {
        let how = RecordHow::ALL.get(how as usize);
        let asked = shared.ours.as_ref().zip(how).filter(|_| stream.len() <= PATH_BYTES);
        asked.is_some_and(|(ours, how)| ours.record(&stream, *how, most_s, most_kb))
    });
    function!("flush", shared, move |ctx: Ctx<'js>, stream: String, when: u32| -> Result<bool> {
        let Some(when) = FlushWhen::ALL.get(when as usize).copied() else { return Ok(false) };
        let bytes = stream.len();
        shared.push(&ctx, ScriptAction::Flush { stream, when }, bytes)?;
        Ok(true)
    });
    function!("clear", shared, move |ctx: Ctx<'js>, stream: String| -> Result<bool> {
        if stream.is_empty() || stream.len() > PATH_BYTES {
            return Ok(false);
        }
        let bytes = stream.len();
        shared.push(&ctx, ScriptAction::Clear { stream }, bytes)?;
        Ok(true)
    });
    function!("metadata", shared, move |ctx: Ctx<'js>,
                                        This(native): This<Object<'js>>,
                                        name: String|
          -> Result<Value<'js>> {
        let asked = shared.ours.as_ref().filter(|_| name.len() <= 2 * PATH_BYTES);
        let value = asked.map(|ours| ours.metadata(&name)).unwrap_or_default();
        let values = amf::decode(&ctx, &Kit::of(&native)?, &value)?.unwrap_or_default();
        Ok(values.into_iter().next().unwrap_or_else(|| Value::new_null(ctx)))
    });
    function!("ping", shared, move |ctx: Ctx<'js>, handle: u32| shared.emit(&ctx, handle, ScriptAction::Ping, 0));
    function!("checkBandwidth", shared, move |ctx: Ctx<'js>, handle: u32| {
        shared.emit(&ctx, handle, ScriptAction::CheckBandwidth, 0)
    });
    function!("limit", shared, move |ctx: Ctx<'js>, handle: u32, to_client: f64, to_server: f64| -> Result<bool> {
        // 0 leaves a direction as it is; the cast saturates.
        let rate = |rate: f64| Some(rate as u32).filter(|rate| *rate > 0);
        let (to_client, to_server) = (rate(to_client), rate(to_server));
        shared.with(handle, |record| {
            let [old_to_client, old_to_server] = record.limits;
            record.limits = [to_client.unwrap_or(old_to_client), to_server.unwrap_or(old_to_server)];
        });
        shared.emit(&ctx, handle, |client| ScriptAction::LimitBandwidth { client, to_client, to_server }, 0)
    });
    function!("limitOf", shared, move |handle: u32, is_to_client: bool| {
        let limits = shared.with(handle, |record| record.limits).unwrap_or_default();
        limits[usize::from(!is_to_client)]
    });
    function!("clientStats", shared, move |ctx: Ctx<'js>, handle: u32| -> Result<Object<'js>> {
        let stats = shared.client_stats(handle);
        numbers(
            &ctx,
            &[
                ("bytes_in", stats.bytes_in),
                ("bytes_out", stats.bytes_out),
                ("msg_in", stats.msg_in),
                ("msg_out", stats.msg_out),
                ("msg_dropped", stats.msg_dropped),
                ("ping_rtt", stats.ping_rtt_ms.into()),
            ],
        )
    });
    function!("applicationStats", shared, move |ctx: Ctx<'js>| -> Result<Object<'js>> {
        let stats = shared.application_stats();
        numbers(
            &ctx,
            &[
                ("bw_in", stats.bw_in),
                ("bw_out", stats.bw_out),
                ("bytes_in", stats.bytes_in),
                ("bytes_out", stats.bytes_out),
                ("msg_in", stats.msg_in),
                ("msg_out", stats.msg_out),
                ("msg_dropped", stats.msg_dropped),
                ("total_connects", stats.total_connects),
                ("total_disconnects", stats.total_disconnects),
            ],
        )
    });
    function!("shutdown", shared, move |ctx: Ctx<'js>| shared.push(&ctx, ScriptAction::Shutdown, 0));
    function!("trace", shared, move |This(native): This<Object<'js>>, text: Value<'js>| -> Result<()> {
        let text = amf::text(&Kit::of(&native)?, &text)?;
        let end = text.floor_char_boundary(SCRIPT_TRACE_BYTES);
        shared.trace(&text[..end]);
        Ok(())
    });
    function!("interval", shared, move |ctx: Ctx<'js>, period_ms: f64| -> Result<u32> {
        let mut intervals = shared.intervals.borrow_mut();
        if intervals.len() >= SCRIPT_INTERVALS {
            let message = format!("more than {SCRIPT_INTERVALS} intervals");
            return Err(Exception::throw_range(&ctx, &message));
        }
        // A day at most, so that the sum with the present stays a time; the cast saturates.
        let period_ms = (period_ms as u64).clamp(SCRIPT_INTERVAL_MS, 86_400_000);
        let id = shared.next_interval.get();
        shared.next_interval.set(id.wrapping_add(1));
        intervals.push(Interval { id, due: shared.now.get() + period_ms, period_ms });
        Ok(id)
    });
    function!("clearInterval", shared, move |id: u32| {
        shared.intervals.borrow_mut().retain(|interval| interval.id != id);
    });
    function!("load", shared, move |ctx: Ctx<'js>, name: String| -> Result<()> {
        if !shared.is_loading.get() {
            return Err(Exception::throw_message(&ctx, "load() is possible only while the script is loaded"));
        }
        // An error that is made here and not thrown knows the place of the call.
        let here = Exception::from_message(ctx.clone(), "")?;
        let place = report::describe(&ctx, here.as_object()).place;
        shared.loads.borrow_mut().push((name, place));
        Ok(())
    });
    function!("streamName", |name: String| {
        let name = name.split('?').next().unwrap_or_default();
        let name = ["mp4:", "flv:", "f4v:"].iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
        (name.len() <= PATH_BYTES).then(|| name.to_owned())
    });
    // As a client would say it, with prefix and query.
    function!("streamLength", shared, move |name: String| shared.ask_of(&name, Ours::stream_length));
    function!("streamSize", shared, move |name: String| shared.ask_of(&name, Ours::stream_size));
    function!("isMissing", |kind: String, name: String| source::is_missing(&kind, &name));
    // What application.onStatus is to be told, or null when nothing runs any more.
    function!("report", shared, move |ctx: Ctx<'js>, error: Value<'js>| -> Result<Option<Object<'js>>> {
        let report = shared.describe(&ctx, &error);
        shared.note(report.clone());
        if shared.exhausted.get().is_some() { Ok(None) } else { shared.info(&ctx, &report).map(Some) }
    });
    // Before a function of the script: where it stands. One that is built in stands nowhere.
    function!("enter", shared, move |file: Value<'js>, line: Value<'js>| {
        if let Some(file) = file.as_string().and_then(|file| file.to_string().ok()) {
            shared.inside(&file, line.as_number().map_or(0, |line| line as u32));
        }
    });
    // Before a built-in function that would not be interrupted: looks at the clock, and refuses what takes too long at once.
    function!("charge", shared, move |ctx: Ctx<'js>, steps: f64| -> Result<()> {
        if shared.is_over() {
            return Err(Exception::throw_internal(&ctx, "interrupted"));
        }
        // Also what is not a number.
        if steps <= STEPS { Ok(()) } else { Err(Exception::throw_range(&ctx, "too long for this function")) }
    });
    function!("isProxy", |value: Value<'js>| value.is_proxy());
    function!("notFound", shared, move || shared.not_found.set(true));
    Ok(native)
}

fn check_name(ctx: &Ctx<'_>, name: &str) -> Result<()> {
    if name.len() <= SCRIPT_NAME_BYTES {
        return Ok(());
    }
    Err(Exception::throw_range(ctx, &format!("the name of a call is longer than {SCRIPT_NAME_BYTES} bytes")))
}

fn numbers<'js>(ctx: &Ctx<'js>, members: &[(&str, u64)]) -> Result<Object<'js>> {
    let object = Object::new(ctx.clone())?;
    for (name, value) in members {
        object.prop(*name, Property::from(*value as f64).writable().enumerable().configurable())?;
    }
    Ok(object)
}
