//! Joining an application: from `connect` to the answer, which may have to wait for the disk or for a script, and what
//! happens to the clients of an application that goes away.

use core::fmt::{self, Write};

use log::{Level, info, log, warn};

use crate::features::Features;
use crate::features::contract::Happened;
use crate::handles::{AppId, ConnId};
use crate::limits::APP_NAME_BYTES;
use crate::live::app::without_keys;
use crate::live::applications::{AppSource, AppState, Application};
use crate::live::gate::{Verdict, Wish};
use crate::live::holder::Holder;
use crate::live::jobs::{DiskLane, Done, Job, Lookup};
use crate::live::recording::RecordDone;
use crate::live::refusal::Refusal;
use crate::name::{DEFAULT_INSTANCE, StreamPath};
use crate::rtmp::event::Decision;
use crate::rtmp::status::{Code, Extra, Status};
use crate::text::Quoted;
use crate::time::Millis;
use crate::wire::amf0;
use crate::wire::http::HttpStatus;

use super::Server;
use super::close::{CloseReason, Rejection};
use super::instances::Instances;
use super::protocol::Stage;
use super::refusals;
use super::rtmp::{Joining, Rtmp};
use super::slot::Slot;
use super::slots::Slots;
use super::speaks::Speaks;

/// Longest description of a refusal in bytes: a sentence around the longest application name.
const DESCRIPTION_BYTES: usize = APP_NAME_BYTES + 128;

/// How long a client waits to hear whether an application is still what it was, in milliseconds. A disk that does not
/// answer by then keeps no client out.
pub(super) const STALE_WAIT_MS: u64 = 1000;

/// Why an application that is asked for has no place.
pub(super) enum NoApplication {
    /// There is none of that name.
    Unknown,
    /// Every place is in use (`limits.applications`).
    InUse,
}

/// A field of a log line that is left out when there is no value.
pub(super) struct Field<T>(pub(super) &'static str, pub(super) Option<T>);

impl<T: fmt::Display> fmt::Display for Field<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.1.as_ref().map_or(Ok(()), |value| write!(f, "{}={value}", self.0))
    }
}

impl Server {
    /// What the server wants to know of the disk in a lane. The caller takes jobs until there is none, as far as it can
    /// pass them on; each is answered by [`Server::done`].
    pub fn next_job(&mut self, lane: DiskLane) -> Option<Job> {
        match lane {
            DiskLane::LookUps => self.live.apps.next_look_up().or_else(|| self.next_text()),
            DiskLane::Recorded => {
                let films = self.features.recorded.next_job().or_else(|| self.features.downloads.next_job());
                films.or_else(|| self.features.catalogue.next_job())
            }
            DiskLane::Recordings => self.features.recordings.next_job(),
            DiskLane::Bulk if self.reload.is_due() => Some(Job::Reload),
            DiskLane::Bulk if self.live.health.takes_question() => Some(Job::Board),
            DiskLane::Bulk => {
                let wanted = self.life.admin.next_job().or_else(|| self.features.relays.next_job(&self.live));
                let wanted = wanted.or_else(|| self.features.hooks.next_job(&self.live));
                wanted.or_else(|| self.live.apps.next_survey())
            }
        }
    }

    /// The configuration is to be read again.
    pub fn reload(&mut self) {
        self.reload.wanted = true;
    }

    /// The disk has answered.
    pub fn done(&mut self, done: Done, now: Millis) {
        self.now = now;
        let done = self.features.done(done, now);
        self.act(now);
        self.give_back_blocks();
        let Some(done) = done else { return };
        if matches!(done, Done::Settings(_) | Done::NotReloaded(_)) {
            self.reload.under_way = false;
        }
        match done {
            Done::Recording(RecordDone::Tended { complete: Some(file), .. }) => self.tell_hooks_of_file(&file),
            Done::App { name, lookup } => {
                self.looked_up(&name, lookup, now);
                self.wake_parked(now);
            }
            Done::Text { host, script, block, next } => self.text_came(host, script, block, next),
            Done::Settings(settings) => self.reconfigure(*settings),
            Done::AdminKey { settings, kept } => {
                if let Some(settings) = settings {
                    self.reconfigure(*settings);
                }
                self.key_kept(kept);
            }
            // The log has told why.
            Done::NotReloaded(_) => {}
            Done::Surveyed => self.live.apps.surveyed(now),
            Done::Board(board) => self.live.health.answered(board, now),
            // What features asked for they have taken.
            Done::Resolved { .. }
            | Done::Opened { .. }
            | Done::Filled { .. }
            | Done::Closed { .. }
            | Done::Download(_) => {}
            Done::Recording(RecordDone::Cleared { result }) => self.cleared(result, now),
            Done::Recording(done) => self.told_of_recordings(done, now),
            Done::Facts { asked: Some(by), name, found } => self.tell_facts(by, &name, found),
            // A script may have waited for that.
            Done::Listed { .. } | Done::Facts { asked: None, .. } => self.scripting.tend(),
        }
    }

    /// A client asks to join an application.
    pub(super) fn connect(&mut self, conn: ConnId, now: Millis) {
        let Some((_, rtmp)) = self.slots.open_client(conn) else { return };
        let info = rtmp.session.connect_info();
        if let Some(error) = info.path_error {
            let mut text = heapless::String::<DESCRIPTION_BYTES>::new();
            let _ = write!(text, "[ Server.Reject ] : {}", error.description());
            return self.refuse_connect(conn, Rejection::Name, &text, now);
        }
        if self.slots.is_full() && self.slots.first_to_yield(conn, now, &|_| true).is_none() {
            return self.refuse_for_connections(conn, now);
        }
        let Some((_, rtmp)) = self.slots.open_client(conn) else { return };
        let name = rtmp.session.connect_info().path.app.clone();
        let id = match self.place_of(&name, now) {
            Ok(id) => id,
            Err(NoApplication::Unknown) => return self.refuse_unknown(conn, now),
            Err(NoApplication::InUse) => {
                let text = "[ Resource.Limit.Exceeded ] : Every application is in use (limits.applications).";
                return self.refuse_connect(conn, Rejection::NoRoom, text, now);
            }
        };
        let Some(state) = self.live.apps.app(id).map(|app| app.state) else { return };
        let Some((slot, rtmp)) = self.slots.open_client(conn) else { return };
        match state {
            AppState::Ready if self.live.apps.is_stale(id, now) => {
                slot.app = Some(id);
                rtmp.joining = Joining::Files { deadline: now + STALE_WAIT_MS };
                self.live.apps.ask(id);
            }
            AppState::Ready => {
                slot.app = Some(id);
                self.join(conn, now);
            }
            AppState::Reading | AppState::Broken => {
                slot.app = Some(id);
                rtmp.joining = Joining::Files { deadline: now + self.settings.connect_timeout_ms };
                self.live.apps.ask(id);
            }
            AppState::Leaving => {
                let status = Status::new(Rejection::Leaving.row().code, "");
                self.refuse_connect_with(conn, status, CloseReason::Rejected(Rejection::Leaving), now);
            }
        }
    }

    /// The place of the application of that name, which may still have to be asked of the disk.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub(super) fn place_of(&mut self, name: &str, now: Millis) -> Result<AppId, NoApplication> {
        if let Some(id) = self.live.apps.find(name) {
            return Ok(id);
        }
        if self.live.apps.source() == AppSource::Fixed {
            return Err(NoApplication::Unknown);
        }
        let (slots, instances, features) = (&self.slots, &self.scripting.instances, &self.features);
        let Some(id) = self.live.apps.reserve(name, now, |id| is_in_use(id, slots, instances, features)) else {
            self.counters.applications_exhausted += 1;
            return Err(NoApplication::InUse);
        };
        // The place may have been that of another one, whose publishers are not waited for any longer.
        self.live.names.forget_app(id);
        Ok(id)
    }

    /// The application is known: the gate decides.
    pub(super) fn join(&mut self, conn: ConnId, now: Millis) {
        match self.ask(conn, Wish::Connect, &mut StreamPath::default(), now) {
            Verdict::Yes => self.joined(conn, now),
            Verdict::No(refusal) => self.refuse_to_join(conn, refusal, now),
            Verdict::Later => {}
        }
    }

    /// The client is in.
    pub(super) fn joined(&mut self, conn: ConnId, now: Millis) {
        // Its script may have taken its time: the rules may be others, and others may have come.
        if let Err(refusal) = self.ask_rules(conn, Wish::Connect) {
            return self.refuse_to_join(conn, refusal, now);
        }
        if self.slots.is_full() && !self.make_room(conn, now, &|_| true) {
            return self.refuse_for_connections(conn, now);
        }
        let Some(id) = self.slots.open(conn).and_then(|slot| slot.app) else { return };
        if let Err(refusal) = self.live.by_limits(id, Holder::Conn(conn, 0), Wish::Connect)
            && !self.make_room(conn, now, &|slot| slot.app == Some(id))
        {
            return self.refuse_to_join(conn, refusal, now);
        }
        let Some((slot, rtmp)) = self.slots.open_client(conn) else { return };
        let Some(app) = self.live.apps.app_mut(id) else { return };
        app.connected += 1;
        (rtmp.joining, slot.last_active) = (Joining::No, now);
        let info = rtmp.session.connect_info();
        info!(
            "{conn} connect app={:?} instance={} peer={} x_status=200 agent={:?}",
            info.path.app.as_str(),
            without_keys(app.definition.as_deref(), &info.path.instance),
            slot.peer,
            info.agent.as_str()
        );
        // Adobe's own applications have the bandwidth of clients measured whose first argument is true.
        let wants_check = slot.instance.is_none() && rtmp.session.arguments().starts_with(&[1, 1]);
        self.keep_hook_facts(conn);
        self.decide(conn, Decision::Accept);
        self.slots.connected();
        self.slots.judge(conn.slot, now);
        self.happened(Happened::Joined { conn, app: id }, now);
        if wants_check {
            self.happened(Happened::BandwidthWanted { conn, reply: false }, now);
        }
    }

    /// A client that is idle goes, if there is one of the wanted that is to yield to `conn`.
    pub(super) fn make_room(&mut self, conn: ConnId, now: Millis, wanted: &dyn Fn(&Slot) -> bool) -> bool {
        let Some(idle) = self.slots.first_to_yield(conn, now, wanted) else { return false };
        self.yield_place(idle, now);
        true
    }

    pub(super) fn refuse_to_join(&mut self, conn: ConnId, refusal: Refusal, now: Millis) {
        let rejection = match refusal {
            Refusal::Connections => Rejection::NoRoom,
            Refusal::Unscripted(_) => Rejection::ScriptFailed,
            Refusal::Hook => Rejection::Hook,
            Refusal::HookDown => Rejection::Undecided,
            _ => Rejection::Address,
        };
        self.refuse_connect(conn, rejection, refusals::row(refusal).words, now);
    }

    fn refuse_for_connections(&mut self, conn: ConnId, now: Millis) {
        let text = "[ Resource.Limit.Exceeded ] : This server has no connection left.";
        self.refuse_connect_with(
            conn,
            Status::new(Code::ConnectRejected, "").described(text),
            CloseReason::TableFull,
            now,
        );
    }

    fn refuse_unknown(&mut self, conn: ConnId, now: Millis) {
        let Some((_, rtmp)) = self.slots.open_client(conn) else { return };
        // The words that clients know from Adobe's servers; the name fits.
        let mut text = heapless::String::<DESCRIPTION_BYTES>::new();
        let name = &rtmp.session.connect_info().path.app;
        let _ =
            write!(text, "[ Server.Reject ] : (_defaultRoot_, _defaultVHost_) : Application ({name}) is not defined.");
        self.refuse_connect(conn, Rejection::Unknown, &text, now);
    }

    pub(super) fn refuse_connect(&mut self, conn: ConnId, rejection: Rejection, description: &str, now: Millis) {
        let status = Status::new(rejection.row().code, "").described(description);
        self.refuse_connect_with(conn, status, CloseReason::Rejected(rejection), now);
    }

    /// Refuses a client that wants to join: `_error`, `close`, and the end of the connection behind them.
    pub(super) fn refuse_connect_with(&mut self, conn: ConnId, status: Status<'_>, reason: CloseReason, now: Millis) {
        let Some((slot, rtmp)) = self.slots.open_client(conn) else { return };
        let info = rtmp.session.connect_info();
        let (application, to) = match status.extra {
            Extra::Rejected { application, redirect } => (application, redirect),
            _ => (None, None),
        };
        // A redirected client is not an error of the client or the server; of a log-in its own line says more, and no challenge is
        // for the log.
        let (level, verb, words) = match (to, reason) {
            (Some(_), _) => (Level::Info, "redirected", status.description.unwrap_or_default()),
            (None, CloseReason::Rejected(why @ (Rejection::LogIn | Rejection::WrongLogIn))) => {
                (Level::Info, "refused", why.row().words)
            }
            (None, _) => (Level::Warn, "refused", status.description.unwrap_or_default()),
        };
        log!(
            level,
            "{conn} connect {verb} app={:?} peer={} x_status={} agent={:?} code={} reason={:?}{}{}",
            info.path.app.as_str(),
            slot.peer,
            reason.x_status(),
            info.agent.as_str(),
            status.code.name(),
            words,
            Field(" to", to.map(Quoted)),
            Field(" object", application.map(|value| Quoted(amf0::Shown(value))))
        );
        rtmp.joining = Joining::No;
        let answered = rtmp.session.decide(Decision::Reject(status), &mut slot.tx);
        debug_assert!(answered.is_ok(), "a session keeps room for its replies");
        self.close_after_flush(conn, reason, now);
        // While it reads its answer it must not keep an application in the table that does not exist: the next client
        // that asks for that name must get the same answer.
        if let Some(id) = self.slots.connection(conn).and_then(|slot| slot.app.take()) {
            self.forget_if_left(id);
        }
    }

    /// The deadline passed without a decision. The known definition of an application holds until its files can be read
    /// again.
    pub(super) fn undecided(&mut self, conn: ConnId, now: Millis) {
        let Some((slot, rtmp)) = self.slots.open_client(conn) else { return };
        let joining = rtmp.joining;
        if let (Joining::Files { .. }, Some(id)) = (joining, slot.app)
            && self.live.apps.app(id).is_some_and(|app| app.state == AppState::Ready)
        {
            return self.join(conn, now);
        }
        let text = match joining {
            Joining::Script { .. } => "[ Server.Reject ] : The application did not decide in time.",
            Joining::Queued { .. } => "[ Server.Reject ] : The application's script is not ready.",
            _ => "[ Server.Reject ] : The application's files could not be read in time.",
        };
        self.refuse_connect(conn, Rejection::Undecided, text, now);
    }

    /// The disk has said what an application is.
    fn looked_up(&mut self, name: &str, lookup: Lookup, now: Millis) {
        let Some(id) = self.live.apps.answered(name, now) else { return };
        let Some(app) = self.live.apps.app_mut(id) else { return };
        if app.state == AppState::Leaving {
            // Clients that come when it has gone ask again.
            return self.forget_if_left(id);
        }
        match lookup {
            Lookup::Unchanged => self.each_waiting(id, |server, conn| server.join(conn, now)),
            Lookup::Changing => {
                let ready = app.state == AppState::Ready;
                self.live.apps.ask_again(id, now);
                if ready {
                    self.each_waiting(id, |server, conn| server.join(conn, now));
                }
            }
            Lookup::Found(definition) => {
                let same = app.definition.as_deref().is_some_and(|old| old.script == definition.script);
                let streams = definition.instance_streams();
                let moves = app.definition.as_deref().is_some_and(|old| old.instance_streams() != streams);
                app.state = AppState::Ready;
                self.features.relays.look_again();
                self.features.hooks.look_again();
                self.features.programmes.look_again();
                if app.definition.replace(definition).is_some() {
                    info!("rill application changed app={name:?}");
                }
                if !same {
                    self.outdate_instances(id, now);
                }
                if moves {
                    // Their streams have other paths now: new players would not find them.
                    warn!("rill application app={name:?} instances are {streams} from now on: its clients come again");
                    let joined = |slot: &Slot, speaks: &Speaks| slot.app == Some(id) && speaks.stage() == Stage::Joined;
                    self.each_slot(joined, |server, conn| {
                        server.shut_down_client(conn, now);
                    });
                }
                self.each_waiting(id, |server, conn| server.join(conn, now));
            }
            Lookup::Missing => {
                let known = app.definition.is_some();
                app.state = AppState::Leaving;
                self.features.relays.look_again();
                self.features.hooks.look_again();
                self.features.programmes.look_again();
                self.each_waiting(id, |server, conn| server.refuse_unknown(conn, now));
                if known {
                    warn!("rill application removed app={name:?}: its clients are disconnected");
                    self.shut_down_clients(id, None, now);
                    self.stop_instances(id, None, now);
                }
                self.forget_if_left(id);
            }
            Lookup::Broken(_) => {
                app.state = AppState::Broken;
                let text = "[ Server.Reject ] : The application's configuration is wrong; the server's log says where.";
                self.each_waiting(id, |server, conn| server.refuse_connect(conn, Rejection::Misconfigured, text, now));
            }
        }
    }

    fn each_waiting(&mut self, id: AppId, visit: impl FnMut(&mut Server, ConnId)) {
        let waits = |slot: &Slot, rtmp: &Rtmp| slot.app == Some(id) && matches!(rtmp.joining, Joining::Files { .. });
        self.each_connection(waits, visit);
    }

    /// Tells every client of an application, or of one of its instances, that it is shut down, and to go. Returns how many
    /// there were.
    pub(super) fn shut_down_clients(&mut self, id: AppId, instance: Option<&str>, now: Millis) -> usize {
        let mut clients = 0;
        let in_it = |slot: &Slot, speaks: &Speaks| {
            let is_of = |name: &str| match speaks {
                Speaks::Rtmp(rtmp) => rtmp.session.connect_info().path.instance == name,
                // Of those whose instance has a script more is said when that ends.
                _ => slot.instance.is_none() && name == DEFAULT_INSTANCE,
            };
            slot.app == Some(id) && instance.is_none_or(is_of)
        };
        self.each_slot(in_it, |server, conn| clients += usize::from(server.shut_down_client(conn, now)));
        clients
    }

    /// Tells one client that its application is shut down, and to go. False when it was going already.
    pub(super) fn shut_down_client(&mut self, conn: ConnId, now: Millis) -> bool {
        if self.slots.open(conn).is_none() {
            return false;
        }
        let words = (HttpStatus::ServiceUnavailable, Rejection::Leaving.row().words);
        if self.dismiss_guest(conn, words, CloseReason::AppShutdown, now) {
            return true;
        }
        self.say_goodbye(conn);
        self.close_after_flush(conn, CloseReason::AppShutdown, now);
        true
    }

    /// Looks at all applications that are going: what referred to them last may have ended by itself.
    pub(super) fn forget_those_left(&mut self) {
        let mut from = 0;
        loop {
            let is_next = |(id, app): &(AppId, &Application)| id.0 >= from && app.state == AppState::Leaving;
            let next = self.live.apps.iter().find(is_next).map(|(id, _)| id);
            let Some(id) = next else { return };
            from = id.0 + 1;
            self.forget_if_left(id);
        }
    }

    /// An application whose directory is gone leaves the table when nothing refers to it any more.
    pub(super) fn forget_if_left(&mut self, id: AppId) {
        let leaving = self.live.apps.app(id).is_some_and(|app| app.state == AppState::Leaving);
        if leaving && !is_in_use(id, &self.slots, &self.scripting.instances, &self.features) {
            self.end_hls_in(id, self.now);
            self.live.names.forget_app(id);
            self.live.apps.remove(id);
        }
    }
}

/// Whether something refers to an application by its place.
fn is_in_use(id: AppId, slots: &Slots, instances: &Instances, features: &Features) -> bool {
    slots.taken_slots().any(|(_, slot)| slot.app == Some(id))
        || features.relays.is_of(id)
        || features.hooks.is_of(id)
        || features.programmes.is_of(id)
        || instances.iter().any(|(_, instance)| instance.app == id)
}
