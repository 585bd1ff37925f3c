//! Hooks: an operator's own addresses, which are asked over HTTP what clients may, and told what has happened. Here stands who waits for
//! which, what is under way, and which of them do not answer; connections and words are the server's.
//!
//! ```text
//! question ─┐                        ┌─ Resolves ─┐
//!           ├─ waits for a place ────┤            ├─> Dials ──> Asks ──> answered, or down
//! notice ───┘                        └────────────┘     ^          │
//!                                                       └─ another address
//! ```
//!
//! A question is a client's, who waits with it: there is room for one of each, and it goes on without an answer after `hooks.timeout_ms`,
//! however many wait. A notice has all that it says with it, since its client may be gone; when too many wait, one more is not sent, and
//! counted. Questions go first.

pub mod body;
mod notices;

use core::net::{IpAddr, SocketAddr};
use std::boxed::Box;

use log::{info, warn};

use crate::bitset::BitSet;
use crate::handles::{AppId, ConnId, FeatureId};
use crate::limits::{
    HOOK_HOSTS, HOOK_NOTICES_BYTES, HOOK_URL_BYTES, PATH_BYTES, RELAY_ADDRESSES, RELAY_HOST_BYTES, Row,
    SPARE_CONNECTIONS,
};
use crate::live::Live;
use crate::live::hook_settings::{HookEvent, HookSettings};
use crate::live::jobs::{Done, Job, LookUpId};
use crate::live::settings::Settings;
use crate::text::{Word, cut};
use crate::time::Millis;

use super::contract::{Actions, Feature, Happened};
use body::HookBody;
use notices::HookNotices;

/// So long the addresses of a host are not looked up again, in milliseconds.
const HOST_MS: u64 = 30_000;

/// What a hook is called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HookCall {
    /// Of which application.
    pub app: AppId,
    /// For what.
    pub event: HookEvent,
    /// Who waits for the answer, if somebody does.
    pub conn: Option<ConnId>,
    /// Until when.
    pub deadline: Millis,
    /// So that no answer is taken for that to another question.
    pub number: u32,
}

impl HookCall {
    /// What the application says of its hooks.
    pub fn settings(self, live: &Live) -> Option<&HookSettings> {
        live.apps.definition(self.app).map(|definition| &definition.hooks)
    }
}

/// How far a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookState {
    /// There is none.
    Free,
    /// The addresses of its host are looked up.
    Resolves {
        /// The disk's thread has been asked.
        asked: bool,
    },
    /// A connection is to be made.
    Dials,
    /// It is made, and the answer awaited.
    Asks,
}

/// A place for a call that is under way.
#[derive(Debug)]
pub struct HookPlace {
    /// What it is.
    pub call: Option<HookCall>,
    /// How far it is.
    pub state: HookState,
    /// What it says.
    pub body: HookBody,
    generation: u32,
    addresses: heapless::Vec<SocketAddr, RELAY_ADDRESSES>,
    /// How many of them were tried.
    tried: u8,
}

impl HookPlace {
    fn free() -> HookPlace {
        HookPlace {
            call: None,
            state: HookState::Free,
            body: HookBody::new(),
            generation: 0,
            addresses: heapless::Vec::new(),
            tried: 0,
        }
    }

    /// The address that is to be dialled next.
    pub fn next_address(&mut self) -> Option<SocketAddr> {
        let address = self.addresses.get(usize::from(self.tried)).copied()?;
        self.tried += 1;
        Some(address)
    }

    /// No connection came about: another address is tried, if there is one. False when there is none.
    pub fn tries_again(&mut self) -> bool {
        let is_left = usize::from(self.tried) < self.addresses.len();
        if is_left {
            self.state = HookState::Dials;
        }
        is_left
    }
}

/// What a client said of itself when it joined, and since when it does what it does.
#[derive(Clone, Debug, Default)]
pub struct HookFacts {
    /// Of whom that is: the slot is used again.
    generation: Option<u32>,
    /// Its `tcUrl`, cut.
    pub tc_url: heapless::String<HOOK_URL_BYTES>,
    /// Its `pageUrl`, cut.
    pub page_url: heapless::String<HOOK_URL_BYTES>,
    /// Its `swfUrl`, cut.
    pub swf_url: heapless::String<HOOK_URL_BYTES>,
    /// When it began to publish last ...
    pub published: Millis,
    /// ... and to play, ...
    pub played: Millis,
    /// ... and when it was told of last that it does so still.
    pub updated: Millis,
}

impl HookFacts {
    /// Keeps as much of the URLs as fits.
    pub fn set_urls(&mut self, tc_url: &str, page_url: &str, swf_url: &str) {
        (self.tc_url, self.page_url, self.swf_url) = (cut(tc_url), cut(page_url), cut(swf_url));
    }
}

/// A host whose addresses are known.
#[derive(Debug)]
struct KnownHost {
    host: heapless::String<RELAY_HOST_BYTES>,
    port: u16,
    addresses: heapless::Vec<SocketAddr, RELAY_ADDRESSES>,
    until: Millis,
}

/// All calls of hooks.
pub struct Hooks {
    places: Box<[HookPlace]>,
    /// Of each client what it waits for, if it does.
    questions: Box<[Option<HookCall>]>,
    asking: BitSet<Box<[u64]>>,
    notices: HookNotices,
    facts: Box<[HookFacts]>,
    hosts: heapless::Vec<KnownHost, HOOK_HOSTS>,
    /// Of each application a bit for each event whose hook does not answer.
    down: Box<[u8]>,
    /// An application has one for [`HookEvent::Update`].
    has_updates: bool,
    /// Of the last question.
    number: u32,
    /// What applications say may have changed.
    changed: bool,
    untended: bool,
    /// A host is to be looked up, which each turn of the loop asks.
    looks_up: bool,
    wake_at: Option<Millis>,
    /// What the hook whose answer is being carried out calls a stream.
    pub renamed: heapless::String<PATH_BYTES>,
    /// Requests that were made.
    pub called: u64,
    /// Those that were not answered.
    pub failed: u64,
    /// Notices for which there was no place.
    pub lost: u64,
}

impl Hooks {
    /// How many places there are.
    pub fn count(&self) -> usize {
        self.places.len()
    }

    /// A place.
    pub fn place(&self, at: usize) -> &HookPlace {
        &self.places[at]
    }

    /// A place, to change. It is looked at in this turn.
    pub fn place_mut(&mut self, at: usize) -> &mut HookPlace {
        self.untended = true;
        &mut self.places[at]
    }

    /// How many calls are under way.
    pub fn under_way(&self) -> usize {
        self.places.iter().filter(|place| place.call.is_some()).count()
    }

    /// How many wait for a place: questions and notices.
    pub fn waiting(&self) -> u64 {
        (self.asking.len() + self.notices.count()) as u64
    }

    /// How many hooks do not answer.
    pub fn down(&self) -> u32 {
        self.down.iter().map(|events| events.count_ones()).sum()
    }

    /// Nothing is under way or waits.
    pub fn is_idle(&self) -> bool {
        self.under_way() == 0 && self.asking.is_empty() && self.notices.count() == 0
    }

    /// An application has one for [`HookEvent::Update`].
    pub fn has_updates(&self) -> bool {
        self.has_updates
    }

    /// A call is of the application.
    pub fn is_of(&self, app: AppId) -> bool {
        let questions =
            self.questions.iter().flatten().chain(self.places.iter().filter_map(|place| place.call.as_ref()));
        questions.into_iter().any(|call| call.app == app) || self.notices.has(app)
    }

    /// What an application says has changed, or it has come or gone.
    pub fn look_again(&mut self) {
        (self.changed, self.wake_at) = (true, Some(Millis(0)));
    }

    /// Something is to be done. Asking takes the answer.
    pub fn take_untended(&mut self) -> bool {
        core::mem::take(&mut self.untended)
    }

    /// A client waits for what a hook says. It is told by the deadline at the latest. Returns the question's number; `None` when there are no
    /// places for any.
    pub fn ask(&mut self, conn: ConnId, app: AppId, event: HookEvent, deadline: Millis) -> Option<u32> {
        if self.places.is_empty() {
            return None;
        }
        let place = self.questions.get_mut(conn.slot.at())?;
        self.number = self.number.wrapping_add(1);
        *place = Some(HookCall { app, event, conn: Some(conn), deadline, number: self.number });
        self.asking.insert(conn.slot.at());
        self.untended = true;
        Some(self.number)
    }

    /// Somebody is to be told something. False when too many wait already.
    pub fn tell(&mut self, app: AppId, event: HookEvent, body: &[u8]) -> bool {
        let is_kept = self.notices.push(app, event, body);
        self.lost += u64::from(!is_kept);
        self.untended = true;
        is_kept
    }

    /// There is room for as many notices again as wait.
    pub fn has_room(&self) -> bool {
        self.notices.has_room()
    }

    /// A question whose time is over before it had a place.
    pub fn take_overdue(&mut self, now: Millis) -> Option<HookCall> {
        let overdue = |call: &HookCall| call.deadline <= now;
        let at = self.asked().find(|(_, call)| overdue(call))?.0;
        self.take_question(at)
    }

    /// A place whose time is over.
    pub fn next_overdue(&self, now: Millis) -> Option<usize> {
        self.places.iter().position(|place| place.call.is_some_and(|call| call.deadline <= now))
    }

    /// What is to begin next, and where: the question that waits longest, else a notice. What a question says is for the caller to put there.
    pub fn take_next(&mut self, live: &Live, now: Millis) -> Option<(usize, HookCall)> {
        let free = self.places.iter().position(|place| place.call.is_none())?;
        let oldest = self.asked().min_by_key(|(_, call)| call.deadline).map(|(at, _)| at);
        let call = match oldest {
            Some(at) => self.take_question(at)?,
            None => {
                let (app, event) = self.notices.pop(&mut self.places[free].body)?;
                let timeout_ms = live.apps.definition(app).map_or(0, |app| app.hooks.timeout_ms);
                HookCall { app, event, conn: None, deadline: now + timeout_ms, number: 0 }
            }
        };
        Some((free, call))
    }

    /// A call begins in a free place, whose body is there. False when the application has no such hook any more.
    pub fn begin(&mut self, at: usize, call: HookCall, live: &Live, now: Millis) -> bool {
        let Some(url) = call.settings(live).and_then(|hooks| hooks.url(call.event)) else { return false };
        let url = url.parts();
        self.hosts.retain(|known| known.until > now);
        let known = self.hosts.iter().find(|known| known.host == url.host && known.port == url.port);
        let place = &mut self.places[at];
        place.call = Some(call);
        place.tried = 0;
        place.addresses.clear();
        place.state = HookState::Dials;
        if let Ok(ip) = url.host.parse::<IpAddr>() {
            let _ = place.addresses.push(SocketAddr::new(ip, url.port));
        } else if let Some(known) = known {
            place.addresses.clone_from(&known.addresses);
        } else {
            place.state = HookState::Resolves { asked: false };
            self.looks_up = true;
        }
        self.untended = true;
        true
    }

    /// A call is over, and its place free: `Err` says why its hook did not answer. Returns what it was.
    pub fn finish(&mut self, at: usize, answered: Result<(), &str>, live: &Live) -> Option<HookCall> {
        let place = &mut self.places[at];
        let call = place.call.take()?;
        (place.state, place.generation) = (HookState::Free, place.generation.wrapping_add(1));
        place.body.clear();
        self.called += 1;
        self.untended = true;
        let Some(hooks) = call.settings(live) else { return Some(call) };
        let down = &mut self.down[usize::from(call.app.0)];
        let (was_down, bit) = (*down, 1 << call.event as u8);
        *down = if answered.is_ok() { was_down & !bit } else { was_down | bit };
        let (app, hook) = (Word(live.apps.name(call.app)), call.event.name());
        match answered {
            Ok(()) if was_down & bit != 0 => info!("rill hook back app={app} hook={hook}"),
            Ok(()) => {}
            Err(words) => {
                self.failed += 1;
                if was_down & bit == 0 {
                    let host = hooks.url(call.event).map_or("", |url| url.parts().authority);
                    let then = if call.event.is_question() { hooks.when_down.name() } else { "not told" };
                    warn!("rill hook down app={app} hook={hook} host={host:?} reason={words:?} clients={then:?}");
                }
            }
        }
        Some(call)
    }

    /// What is known of a client.
    pub fn facts(&self, conn: ConnId) -> Option<&HookFacts> {
        self.facts.get(conn.slot.at()).filter(|facts| facts.generation == Some(conn.generation))
    }

    /// The same, to change it.
    pub fn facts_mut(&mut self, conn: ConnId) -> Option<&mut HookFacts> {
        let facts = self.facts.get_mut(conn.slot.at())?;
        if facts.generation.replace(conn.generation) != Some(conn.generation) {
            *facts = HookFacts { generation: Some(conn.generation), ..HookFacts::default() };
        }
        Some(facts)
    }

    /// What the disk's thread is to do next.
    pub fn next_job(&mut self, live: &Live) -> Option<Job> {
        if !self.looks_up {
            return None;
        }
        let asks = |place: &HookPlace| place.state == HookState::Resolves { asked: false };
        let Some(at) = self.places.iter().position(asks) else {
            self.looks_up = false;
            return None;
        };
        let place = &mut self.places[at];
        place.state = HookState::Resolves { asked: true };
        let url = place.call.and_then(|call| call.settings(live)?.url(call.event));
        let parts = url.map(|url| url.parts());
        // A URL with a longer host is none.
        let host = parts.and_then(|url| heapless::String::try_from(url.host).ok()).unwrap_or_default();
        let id = LookUpId { of: FeatureId::HOOKS, place: at as u16, generation: place.generation };
        Some(Job::Resolve { id, host, port: parts.map_or(0, |url| url.port) })
    }

    /// When something is due next, for the loop to wake up.
    pub fn set_wake(&mut self) {
        let under_way = self.places.iter().filter_map(|place| place.call);
        let next = under_way.chain(self.asked().map(|(_, call)| call)).map(|call| call.deadline).min();
        self.wake_at = if self.changed { Some(Millis(0)) } else { next };
    }

    fn asked(&self) -> impl Iterator<Item = (usize, HookCall)> + '_ {
        let next = |from: usize| self.asking.next_from(from);
        core::iter::successors(next(0), move |&at| next(at + 1)).filter_map(|at| Some((at, self.questions[at]?)))
    }

    fn take_question(&mut self, at: usize) -> Option<HookCall> {
        self.asking.remove(at);
        self.questions[at].take()
    }
}

impl Feature for Hooks {
    fn new(settings: &Settings) -> Hooks {
        let places = settings.hooks as usize;
        let clients = clients(settings);
        let repeat = |count: usize| core::iter::repeat_n((), count);
        Hooks {
            places: repeat(places).map(|()| HookPlace::free()).collect(),
            questions: vec![None; clients].into_boxed_slice(),
            asking: BitSet::new(vec![0; clients.div_ceil(64)].into_boxed_slice()),
            notices: HookNotices::new(places * HOOK_NOTICES_BYTES),
            facts: vec![HookFacts::default(); clients].into_boxed_slice(),
            hosts: heapless::Vec::new(),
            down: vec![0; settings.applications as usize].into_boxed_slice(),
            has_updates: false,
            number: 0,
            changed: true,
            untended: false,
            looks_up: false,
            wake_at: Some(Millis(0)),
            renamed: heapless::String::new(),
            called: 0,
            failed: 0,
            lost: 0,
        }
    }

    fn memory(settings: &Settings) -> Row {
        let each = size_of::<HookPlace>() + HOOK_NOTICES_BYTES;
        Row::new("hooks", settings.hooks as usize, each)
    }

    fn hear(&mut self, what: &Happened, _live: &Live, _now: Millis, _out: &mut Actions) {
        if let Happened::Gone { conn } = *what
            && self.asking.contains(conn.slot.at())
        {
            self.take_question(conn.slot.at());
        }
    }

    fn turn(&mut self, live: &mut Live, now: Millis, _out: &mut Actions) {
        if self.wake_at.is_none_or(|at| at > now) {
            return;
        }
        if core::mem::take(&mut self.changed) {
            let mut hooks = live.apps.iter().filter_map(|(_, app)| app.definition.as_deref()).map(|app| &app.hooks);
            self.has_updates = hooks.any(|hooks| hooks.url(HookEvent::Update).is_some());
            for (at, down) in self.down.iter_mut().enumerate().filter(|(_, down)| **down != 0) {
                let hooks = live.apps.definition(AppId(at as u16)).map(|app| &app.hooks);
                let is_there = |event: &HookEvent| hooks.is_some_and(|hooks| hooks.url(*event).is_some());
                *down &=
                    HookEvent::ALL.iter().filter(|event| is_there(event)).fold(0, |all, event| all | 1 << *event as u8);
            }
        }
        self.wake_at = None;
        self.untended = true;
    }

    fn done(&mut self, done: Done, now: Millis, _out: &mut Actions) -> Option<Done> {
        let Done::Resolved { id: id @ LookUpId { of: FeatureId::HOOKS, .. }, found } = done else { return Some(done) };
        let place = self.places.get_mut(usize::from(id.place))?;
        if place.generation != id.generation || place.state != (HookState::Resolves { asked: true }) {
            return None;
        }
        // Of none found it is said that no address is left.
        (place.addresses, place.tried, place.state) = (found, 0, HookState::Dials);
        self.wake_at = Some(now);
        None
    }

    fn wake_at(&self) -> Option<Millis> {
        if self.untended { Some(Millis(0)) } else { self.wake_at }
    }
}

impl Hooks {
    /// The addresses that were found for a place are those of its host for a while.
    pub fn keep_addresses(&mut self, at: usize, live: &Live, now: Millis) {
        let place = &self.places[at];
        let url = place.call.and_then(|call| call.settings(live)?.url(call.event)).map(|url| url.parts());
        let Some(url) = url.filter(|url| url.host.parse::<IpAddr>().is_err() && !place.addresses.is_empty()) else {
            return;
        };
        if self.hosts.iter().any(|known| known.host == url.host && known.port == url.port) {
            return;
        }
        if self.hosts.is_full() {
            self.hosts.remove(0);
        }
        // A URL with a longer host is none.
        let host = heapless::String::try_from(url.host).unwrap_or_default();
        let known = KnownHost { host, port: url.port, addresses: place.addresses.clone(), until: now + HOST_MS };
        let _ = self.hosts.push(known);
    }
}

/// What is kept of clients for hooks.
pub fn client_row(settings: &Settings) -> Row {
    Row::new("hooks: clients", clients(settings), size_of::<Option<HookCall>>() + size_of::<HookFacts>())
}

/// Places of clients of whom something is known.
fn clients(settings: &Settings) -> usize {
    let clients = settings.connections as usize + settings.streams as usize + SPARE_CONNECTIONS;
    if settings.hooks > 0 { clients } else { 0 }
}
