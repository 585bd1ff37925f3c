//! Relays: streams that are sent to other servers (`[[push]]`) and fetched from them (`[[pull]]`). Here stands which there are, how far
//! each is, and when it is tried again; connections and words are the server's.
//!
//! ```text
//! Rests ──wanted──> Waits ──its time──> Resolves ──> Dials ──> Connects ──taken──> Runs
//!   ^                 ^                                           │                  │
//!   └──not wanted── Ends                └──────── back-off ───────┴───── lost ───────┘
//! ```
//!
//! A push takes a place for each stream that it includes, while that is published or may soon be again. A pull keeps its place as long
//! as its application's file says so. When all places are taken, one more is not made, and the log says so (`limits.relays`).
//!
//! An edge (`[edge]`) takes a place for each name that somebody wants and nobody publishes here, until nobody wants it any more, and for
//! each stream that it forwards. It goes from origin to origin: what is lost is begun at the next one at once, and only when none has
//! it is there a back-off. Names may be mistyped, by anybody: at most half of the places look for streams that have not been found, and
//! one that has found nothing makes way for whatever else needs its place.

use core::hash::{Hash, Hasher};
use core::net::{IpAddr, SocketAddr};
use std::boxed::Box;
use std::hash::DefaultHasher;

use log::{info, warn};

use crate::handles::{AppId, FeatureId, StreamId};
use crate::limits::{
    RELAY_ADDRESSES, RELAY_KEY_BYTES, RELAY_LOGIN_BYTES, RELAY_URL_BYTES, RELAY_WORDS_BYTES, RELAYS_PER_APP, Row,
};
use crate::live::Live;
use crate::live::app::AppDefinition;
use crate::live::holder::Holder;
use crate::live::jobs::{Done, Job, LookUpId};
use crate::live::names::Stream;
use crate::live::rate::Rate;
use crate::live::relay_settings::{EdgeSettings, FarParts, FarUrl, PullSettings, PullWhen, PushSettings};
use crate::live::settings::Settings;
use crate::name::StreamPath;
use crate::text::{Word, cut};
use crate::time::Millis;
use crate::wire::rtmp_url::RtmpLocation;

use super::contract::{Actions, Does, Feature, Happened};

/// After a failure it is tried again so soon, in milliseconds: twice as late each time ...
const RETRY_MS: u64 = 1000;
/// ... but no later than that, and half as late at the earliest, so that not all who have lost a far end come back at once.
const RETRY_MOST_MS: u64 = 60_000;
/// A connection that has lasted so long begins with the first again, in milliseconds.
const STABLE_MS: u64 = 30_000;
/// How long a far end may take for each step, in milliseconds.
pub const STEP_MS: u64 = 10_000;
/// How long an origin of an edge may: there are others.
const EDGE_STEP_MS: u64 = 3000;
/// How long an origin may send nothing of what it plays before the next one is asked, in milliseconds: servers do not say that a name is
/// not there, they wait for it. What an origin has sent for so long, it had.
pub const EDGE_PATIENCE_MS: u64 = 2000;
/// So long an edge that has found nothing waits behind others that look for something, in milliseconds.
const EDGE_QUEUED_MS: u64 = 500;
/// When no origin has it they are asked again so soon at the latest, in milliseconds: somebody waits for it.
const EDGE_RETRY_MOST_MS: u64 = 10_000;
/// So long what is fetched stays at least when nobody watches, in milliseconds: who waits for it over HTTP asks now and then, and is no
/// viewer yet.
const LINGER_LEAST_MS: u64 = 2000;
/// How long the result of a test can be seen, in milliseconds.
const TEST_MS: u64 = 60_000;
/// How often it is looked whether the clock is set, in milliseconds.
const CLOCK_MS: u64 = 5000;
/// How often in a row a far end may send us elsewhere.
const REDIRECTS: u8 = 3;
/// What a stream is called that is never sent: to find out whether it could be.
const TEST_NAME: &str = "rill-test";

/// What a stream is called at a far end, with what belongs behind it.
pub type FarName = heapless::String<{ RELAY_KEY_BYTES + RELAY_URL_BYTES }>;

/// What is said to log in at a far end: a query, which belongs behind the application.
pub type LoginQuery = heapless::String<RELAY_LOGIN_BYTES>;

/// Pushes that the operator may have stopped at once.
const STOPPED: usize = 64;

/// What a relay does, by its number in its application's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayKind {
    /// It sends a stream.
    Push(u8),
    /// It finds out whether it could.
    Test(u8),
    /// It fetches a stream.
    Pull(u8),
    /// It fetches one that somebody wants from an origin, of which this is the number.
    Edge(u8),
    /// It sends one that is published here to an origin.
    Forward(u8),
}

impl RelayKind {
    /// What it is called, and its number in its application's file, from 1.
    pub fn named(self) -> (&'static str, u32) {
        match self {
            RelayKind::Push(n) => ("push", u32::from(n) + 1),
            RelayKind::Test(n) => ("test", u32::from(n) + 1),
            RelayKind::Pull(n) => ("pull", u32::from(n) + 1),
            RelayKind::Edge(n) => ("edge", u32::from(n) + 1),
            RelayKind::Forward(n) => ("forward", u32::from(n) + 1),
        }
    }

    /// Whether it does the same as `other`, at whichever origin.
    pub fn is_same(self, other: RelayKind) -> bool {
        match (self, other) {
            (RelayKind::Edge(_), RelayKind::Edge(_)) | (RelayKind::Forward(_), RelayKind::Forward(_)) => true,
            _ => self == other,
        }
    }

    /// Whether it is about the same as `other`, of which it may be the test.
    pub fn is_of(self, other: RelayKind) -> bool {
        matches!((self, other), (RelayKind::Test(n), RelayKind::Push(other)) if n == other) || self.is_same(other)
    }

    /// It fetches what it is about; else it sends.
    pub fn fetches(self) -> bool {
        matches!(self, RelayKind::Pull(_) | RelayKind::Edge(_))
    }

    /// How long its far end may take for each step, in milliseconds.
    pub fn step_ms(self) -> u64 {
        if self.has_origins() { EDGE_STEP_MS } else { STEP_MS }
    }

    /// There are several far ends that may do.
    pub fn has_origins(self) -> bool {
        matches!(self, RelayKind::Edge(_) | RelayKind::Forward(_))
    }
}

/// What a place is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayTask {
    /// Whose file says so.
    pub app: AppId,
    /// What.
    pub kind: RelayKind,
    /// Which stream is sent.
    pub stream: Option<StreamId>,
    /// Of what the file says: another one is another task.
    mark: u64,
}

/// How far a relay is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayState {
    /// It is not wanted: nobody watches, or it has done what it was for.
    Rests,
    /// It is tried then.
    Waits {
        /// Not before.
        until: Millis,
    },
    /// The addresses of its far end are looked up.
    Resolves {
        /// The disk's thread has been asked.
        asked: bool,
    },
    /// A connection is to be made.
    Dials,
    /// One is being made, and is not taken yet.
    Connects,
    /// The far end has taken it.
    Runs {
        /// When it did.
        since: Millis,
    },
    /// Its connection is to be ended, or is ending.
    Ends(AfterEnd),
}

/// What comes when a relay's connection has ended as it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterEnd {
    /// It is not wanted any more.
    Free,
    /// It is not wanted now.
    Rest,
    /// It is begun anew, at the same far end or where that has sent it.
    Again,
    /// It is begun anew, but not soon: another one has taken its name here.
    Later,
}

impl RelayState {
    /// One word.
    pub const fn name(self) -> &'static str {
        match self {
            RelayState::Rests => "idle",
            RelayState::Waits { .. } => "waiting",
            RelayState::Resolves { .. } | RelayState::Dials | RelayState::Connects => "connecting",
            RelayState::Runs { .. } => "running",
            RelayState::Ends(_) => "ending",
        }
    }
}

/// A place for a relay.
#[derive(Debug)]
pub struct RelayPlace {
    /// What it is for; `None` when it is free.
    pub task: Option<RelayTask>,
    /// How far it is.
    pub state: RelayState,
    /// How often the place was used before.
    generation: u32,
    addresses: heapless::Vec<SocketAddr, RELAY_ADDRESSES>,
    /// How many of them were tried.
    tried: u8,
    failures: u8,
    redirects: u8,
    /// No nearer may that be (see [`reach`]) where ...
    reach: u8,
    /// ... the far end has sent us.
    elsewhere: heapless::String<RELAY_URL_BYTES>,
    /// What is said to log in when it connects next; empty while the far end has asked for nothing.
    pub login: LoginQuery,
    /// How often that was said in a row.
    pub logins: u8,
    /// Why it ended last, if it did not as it should.
    pub words: heapless::String<RELAY_WORDS_BYTES>,
    /// What a test has found out.
    pub taken: Option<bool>,
    /// Since when nobody watches what is fetched.
    unwatched: Option<Millis>,
    /// What an edge fetches, or what else is sent: its path here.
    pub name: StreamPath,
    /// How many origins it has, and ...
    origins: u8,
    /// ... how many of them did not have it, one after the other.
    missed: u8,
    /// The present one has it.
    is_found: bool,
    /// How fast its bytes grow.
    pub rate: Rate,
    /// When a place that rests is given back.
    until: Option<Millis>,
}

impl RelayPlace {
    fn free() -> RelayPlace {
        RelayPlace {
            task: None,
            state: RelayState::Rests,
            generation: 0,
            addresses: heapless::Vec::new(),
            tried: 0,
            failures: 0,
            redirects: 0,
            reach: 0,
            elsewhere: heapless::String::new(),
            login: LoginQuery::new(),
            logins: 0,
            words: heapless::String::new(),
            taken: None,
            unwatched: None,
            name: StreamPath::default(),
            origins: 0,
            missed: 0,
            is_found: false,
            rate: Rate::default(),
            until: None,
        }
    }

    /// It has a connection.
    pub fn is_connected(&self) -> bool {
        matches!(self.state, RelayState::Connects | RelayState::Runs { .. } | RelayState::Ends(_))
    }

    /// It waits for nothing, and has nothing to do.
    fn is_idle(&self) -> bool {
        self.task.is_none() || self.state == RelayState::Rests && self.until.is_none()
    }

    /// Where its far end is, by what the application says or where that has sent us: there the stream is called the same.
    pub fn far<'a>(&'a self, live: &'a Live) -> Option<FarParts<'a>> {
        let own = self.task?.url(live)?.parts();
        if self.elsewhere.is_empty() {
            return Some(own);
        }
        let RtmpLocation { secure, host, port, authority, path, .. } = RtmpLocation::parse(&self.elsewhere).ok()?;
        Some(FarParts { secure, host, port, authority, app: path.trim_matches('/'), ..own })
    }

    /// What the stream is called at the far end, with what belongs behind it. It may be a secret.
    pub fn far_name(&self, live: &Live) -> FarName {
        let mut name = FarName::new();
        let (Some(far), Some(task)) = (self.far(live), self.task) else { return name };
        let key = task.push(live).map_or("", |push| push.key.as_str());
        let own = match (task.kind, task.stream) {
            (RelayKind::Push(_) | RelayKind::Forward(_), Some(stream)) => live.names.stream(stream).path.as_str(),
            (RelayKind::Pull(_), _) => task.pull(live).map_or("", |pull| pull.name.as_str()),
            (RelayKind::Edge(_), _) => self.name.as_str(),
            _ => TEST_NAME,
        };
        let said = [key, far.name, own].into_iter().find(|said| !said.is_empty()).unwrap_or_default();
        // There is room for the longest of each.
        let _ = name.push_str(said).and_then(|()| name.push_str(far.query));
        name
    }

    /// The address that is to be dialled next. None is that a redirect must not lead to.
    pub fn next_address(&mut self) -> Option<SocketAddr> {
        loop {
            let address = self.addresses.get(usize::from(self.tried)).copied()?;
            self.tried += 1;
            if self.elsewhere.is_empty() || reach(address.ip()) >= self.reach {
                return Some(address);
            }
        }
    }

    /// What it sends is published, or may soon be again. Its place in the table of names may have gone to another.
    pub fn has_stream(&self, live: &Live) -> bool {
        let Some(RelayTask { app, stream: Some(stream), .. }) = self.task else { return false };
        let stream = live.names.stream(stream);
        let is_it = stream.app == app && stream.path == self.name;
        is_it && (stream.publisher().is_some() || stream.is_away())
    }

    /// It is begun: its addresses are looked up, unless they are said.
    fn begin(&mut self, live: &Live) {
        self.addresses.clear();
        self.tried = 0;
        // What comes of an earlier question is of another far end.
        self.generation = self.generation.wrapping_add(1);
        let Some(far) = self.far(live) else { return };
        let literal = far.host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, far.port));
        self.state = match literal {
            Some(address) => {
                let _ = self.addresses.push(address);
                RelayState::Dials
            }
            None => RelayState::Resolves { asked: false },
        };
    }

    /// The far end has taken it.
    pub fn runs(&mut self, now: Millis) {
        self.state = RelayState::Runs { since: now };
        (self.rate, self.taken) = (Rate::from(now), Some(true));
        self.forget_login();
        // An origin lets one play what it does not have.
        match self.task {
            Some(RelayTask { kind: RelayKind::Edge(_), .. }) => self.is_found = false,
            _ => self.is_there(),
        }
    }

    /// What it fetches comes.
    pub fn is_there(&mut self) {
        self.is_found = true;
        self.words.clear();
    }

    /// What it waits for since its far end has taken it, in milliseconds; `None` when that has come.
    pub fn waits_ms(&self, now: Millis) -> Option<u64> {
        match self.state {
            RelayState::Runs { since } if !self.is_found => Some(now.since(since)),
            _ => None,
        }
    }

    /// It is an edge that looks for a stream, and has not found it.
    fn searches(&self) -> bool {
        self.is_edge() && !self.is_found && !matches!(self.state, RelayState::Waits { .. })
    }

    /// It is an edge that has found its stream nowhere, and will look for it again: whoever needs its place may have it.
    fn is_in_vain(&self) -> bool {
        self.is_edge() && self.failures > 0 && !self.is_found && matches!(self.state, RelayState::Waits { .. })
    }

    fn is_edge(&self) -> bool {
        matches!(self.task, Some(RelayTask { kind: RelayKind::Edge(_), .. }))
    }

    /// It has been to all of its origins before: what has been said of them need not be said again.
    pub fn is_known(&self) -> bool {
        self.failures > 0 && self.task.is_some_and(|task| task.kind.has_origins())
    }

    /// It did not come about, or has ended. `seed` is random; `final_word`: another address has no other answer.
    pub fn lost(&mut self, words: &str, final_word: bool, seed: u64, now: Millis) {
        self.words = cut(words);
        self.forget_login();
        if let RelayState::Runs { since } = self.state
            && now.since(since) >= STABLE_MS
        {
            self.failures = 0;
        }
        if let Some(RelayTask { kind: RelayKind::Test(_), .. }) = self.task {
            (self.state, self.taken, self.until) = (RelayState::Rests, Some(false), Some(now + TEST_MS));
            return;
        }
        let is_left = usize::from(self.tried) < self.addresses.len();
        if is_left && !final_word && !matches!(self.state, RelayState::Runs { .. }) {
            self.state = RelayState::Dials;
            return;
        }
        // Where it was sent may be the trouble.
        self.elsewhere.clear();
        self.redirects = 0;
        let most_ms = match self.next_origin(now) {
            Some(0) => {
                self.state = RelayState::Waits { until: now };
                return;
            }
            Some(most_ms) => most_ms,
            None => RETRY_MOST_MS,
        };
        let is_final = final_word && most_ms == RETRY_MOST_MS;
        // Who was refused is refused again until somebody does something about it.
        let most = if is_final { RETRY_MOST_MS } else { RETRY_MS << self.failures.min(6) }.min(most_ms);
        self.failures = self.failures.saturating_add(1);
        self.state = RelayState::Waits { until: now + most / 2 + seed % (most / 2 + 1) };
    }

    /// The present origin does not have it, or no more: the next one is its far end now. Returns how long it may rest before that at most,
    /// in milliseconds: not at all, unless it was at all of them. `None` when there is but one far end.
    fn next_origin(&mut self, now: Millis) -> Option<u64> {
        let origins = self.origins;
        let (RelayKind::Edge(n) | RelayKind::Forward(n)) = &mut self.task.as_mut()?.kind else { return None };
        *n = if *n + 1 < origins { *n + 1 } else { 0 };
        let ran = matches!(self.state, RelayState::Runs { since } if now.since(since) >= EDGE_PATIENCE_MS);
        if core::mem::take(&mut self.is_found) && ran {
            (self.missed, self.failures) = (0, 0);
        }
        self.missed += 1;
        if self.missed < origins {
            return Some(0);
        }
        self.missed = 0;
        Some(EDGE_RETRY_MOST_MS)
    }

    /// Its connection has ended as it should.
    pub fn ended(&mut self, after: AfterEnd, now: Millis) {
        match after {
            AfterEnd::Free => self.give_back(),
            // Who is to log in comes back to who has asked for it.
            AfterEnd::Again if !self.login.is_empty() => {
                self.tried = self.tried.saturating_sub(1);
                self.state = RelayState::Dials;
            }
            AfterEnd::Again => self.state = RelayState::Waits { until: now },
            AfterEnd::Later => self.lost("another publisher has taken its name", true, 0, now),
            AfterEnd::Rest => {
                let is_test = matches!(self.task, Some(RelayTask { kind: RelayKind::Test(_), .. }));
                self.until = is_test.then_some(now + TEST_MS);
                self.state = RelayState::Rests;
            }
        }
    }

    /// The far end, which is at `from`, sends it to another URL. False when that is not followed: too often in a row, or to anything
    /// but what is spoken now: RTMP, in TLS (`secure`) or without. Whether its address may be dialled is found out when it is known
    /// ([`reach`]).
    pub fn sent_elsewhere(&mut self, url: &str, secure: bool, from: IpAddr, now: Millis) -> bool {
        let location = RtmpLocation::parse(url).ok();
        let location = location.filter(|location| location.secure == secure && location.user.is_none());
        let is_followed = self.goes_again(now) && location.is_some_and(|to| !to.path.trim_matches('/').is_empty());
        let Some(kept) = heapless::String::try_from(url).ok().filter(|_| is_followed) else { return false };
        self.reach = if self.elsewhere.is_empty() { reach(from) } else { self.reach.max(reach(from)) };
        self.elsewhere = kept;
        self.forget_login();
        self.connects_anew();
        true
    }

    /// The far end, which has taken it, wants it to connect again. False when it has said so too often in a row.
    pub fn sent_again(&mut self, now: Millis) -> bool {
        let goes = self.goes_again(now);
        if goes {
            self.connects_anew();
        }
        goes
    }

    /// Whether it goes where it is sent once more. Who has let it run for long begins with the first again.
    fn goes_again(&mut self, now: Millis) -> bool {
        if matches!(self.state, RelayState::Runs { since } if now.since(since) >= STABLE_MS) {
            self.redirects = 0;
        }
        self.redirects < REDIRECTS
    }

    fn connects_anew(&mut self) {
        self.redirects += 1;
        self.state = RelayState::Ends(AfterEnd::Again);
    }

    /// It is to log in with this query, in a new connection.
    pub fn logs_in(&mut self, query: LoginQuery) {
        self.login = query;
        self.logins += 1;
        self.state = RelayState::Ends(AfterEnd::Again);
    }

    fn forget_login(&mut self) {
        self.login.clear();
        self.logins = 0;
    }

    /// The clock is not set, without which no certificate can be judged: it is looked at again soon. True when that is new.
    pub fn waits_for_clock(&mut self, now: Millis) -> bool {
        const WORDS: &str = "it waits for the clock to be set: without, no certificate can be judged";
        if let Some(RelayTask { kind: RelayKind::Test(_), .. }) = self.task {
            self.lost(WORDS, true, 0, now);
            return false;
        }
        self.state = RelayState::Waits { until: now + CLOCK_MS };
        let is_new = self.words != WORDS;
        self.words = cut(WORDS);
        is_new
    }

    /// What it sends is published no more, and will not be soon.
    pub fn over(&mut self, now: Millis) {
        self.finish(AfterEnd::Free, now);
    }

    fn give_back(&mut self) {
        *self = RelayPlace { generation: self.generation.wrapping_add(1), ..RelayPlace::free() };
    }

    /// It is not wanted any more: a connection that it has is to be ended.
    fn finish(&mut self, after: AfterEnd, now: Millis) {
        match self.state {
            RelayState::Ends(AfterEnd::Free) => {}
            RelayState::Connects | RelayState::Runs { .. } | RelayState::Ends(_) => {
                self.state = RelayState::Ends(after)
            }
            _ => self.ended(after, now),
        }
    }
}

impl RelayTask {
    /// What the application says of a push, or of the one that is tested.
    pub fn push(self, live: &Live) -> Option<&PushSettings> {
        match self.kind {
            RelayKind::Push(n) | RelayKind::Test(n) => push_of(live, self.app, n),
            _ => None,
        }
    }

    /// What it says of a pull.
    pub fn pull(self, live: &Live) -> Option<&PullSettings> {
        match self.kind {
            RelayKind::Pull(n) => live.apps.staying(self.app)?.relays.pulls.get(usize::from(n)),
            _ => None,
        }
    }

    /// What it says of its edge, if the task is one of that.
    fn edge(self, live: &Live) -> Option<&EdgeSettings> {
        let edge = edge_of(live, self.app)?;
        match self.kind {
            RelayKind::Edge(_) => Some(edge),
            RelayKind::Forward(_) => Some(edge).filter(|edge| edge.forward_publish),
            _ => None,
        }
    }

    /// Where its far end is, by what the application says.
    pub fn url(self, live: &Live) -> Option<&FarUrl> {
        match self.kind {
            RelayKind::Push(_) | RelayKind::Test(_) => self.push(live).map(|push| &push.url),
            RelayKind::Pull(_) => self.pull(live).map(|pull| &pull.url),
            RelayKind::Edge(n) | RelayKind::Forward(n) => self.edge(live)?.origins.get(usize::from(n)),
        }
    }

    /// What the application says of it now; `None` when it says nothing any more.
    fn mark_now(self, live: &Live) -> Option<u64> {
        match self.kind {
            RelayKind::Push(_) | RelayKind::Test(_) => self.push(live).map(mark),
            RelayKind::Pull(_) => self.pull(live).map(mark),
            RelayKind::Edge(_) | RelayKind::Forward(_) => self.edge(live).map(mark),
        }
    }
}

fn push_of(live: &Live, app: AppId, n: u8) -> Option<&PushSettings> {
    live.apps.staying(app)?.relays.pushes.get(usize::from(n))
}

fn edge_of(live: &Live, app: AppId) -> Option<&EdgeSettings> {
    live.apps.staying(app)?.relays.edge()
}

/// Whether a stream comes otherwise than from an edge's origin: it is fetched, or made of others, or one of those.
fn has_other_source(definition: &AppDefinition, path: &str) -> bool {
    definition.relays.pulls.iter().any(|pull| pull.name == path)
        || definition.programmes.iter().any(|programme| programme.name == path || programme.has_main(path))
}

/// A number for what it is of: other things have others.
pub fn mark(settings: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    settings.hash(&mut hasher);
    hasher.finish()
}

/// How far away an address may be: a redirect leads no nearer than the far end is that sends it, so that no stranger has this server
/// speak to what only its own machine or network may reach.
pub fn reach(address: IpAddr) -> u8 {
    match address.to_canonical() {
        IpAddr::V4(ip) if ip.is_loopback() || ip.is_unspecified() => 0,
        IpAddr::V4(ip) if ip.is_private() || ip.is_link_local() || ip.is_multicast() || ip.is_broadcast() => 1,
        // Shared addresses of providers (RFC 6598).
        IpAddr::V4(ip) if ip.octets()[0] == 100 && ip.octets()[1] & 0xC0 == 64 => 1,
        IpAddr::V6(ip) if ip.is_loopback() || ip.is_unspecified() => 0,
        IpAddr::V6(ip) if ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_multicast() => 1,
        _ => 2,
    }
}

/// All relays.
pub struct Relays {
    places: Box<[RelayPlace]>,
    /// Pushes that the operator has stopped, each with what its file said.
    stopped: heapless::Vec<(AppId, u8, u64), STOPPED>,
    /// What applications say may have changed.
    changed: bool,
    /// The server has something to do for one of them.
    untended: bool,
    wake_at: Option<Millis>,
    /// A place sends a stream, or did a moment ago. Places lie far apart, and every tag of every stream asks.
    sends: bool,
    /// An application is an edge.
    has_edges: bool,
    /// A name is waited for that has no place: it comes before those that were not found.
    queued: bool,
    /// Where in the table of names the next one is that has its turn.
    wanted_from: usize,
    /// Likewise a host is to be looked up, which each turn of the loop asks.
    asks: bool,
    /// Relays for which there was no place.
    pub refused: u64,
    /// Connections of them that ended otherwise than they should.
    pub faults: u64,
}

impl Relays {
    /// How many places there are.
    pub fn count(&self) -> usize {
        self.places.len()
    }

    /// A place.
    pub fn place(&self, at: usize) -> &RelayPlace {
        &self.places[at]
    }

    /// A place, to change. It is looked at in this turn.
    pub fn place_mut(&mut self, at: usize) -> &mut RelayPlace {
        self.wake_at = Some(Millis(0));
        &mut self.places[at]
    }

    /// How many places are in use.
    pub fn taken(&self) -> usize {
        self.places.iter().filter(|place| place.task.is_some()).count()
    }

    /// How many are taken by their far ends.
    pub fn running(&self) -> u64 {
        self.places.iter().filter(|place| matches!(place.state, RelayState::Runs { .. })).count() as u64
    }

    /// None has anything to do.
    pub fn is_idle(&self) -> bool {
        self.places.iter().all(RelayPlace::is_idle)
    }

    /// Connections are to be made or ended. Asking takes the answer.
    pub fn take_untended(&mut self) -> bool {
        core::mem::take(&mut self.untended)
    }

    /// What an application says has changed, or it has come or gone.
    pub fn look_again(&mut self) {
        (self.changed, self.wake_at) = (true, Some(Millis(0)));
    }

    /// A relay is of the application.
    pub fn is_of(&self, app: AppId) -> bool {
        self.places.iter().any(|place| place.task.is_some_and(|task| task.app == app))
    }

    /// The first place at `from` or behind it that sends the stream and is taken by the far end.
    pub fn next_push_of(&self, stream: StreamId, from: usize) -> Option<usize> {
        if !self.sends {
            return None;
        }
        let sends = |place: &RelayPlace| {
            matches!(place.state, RelayState::Runs { .. }) && place.task.is_some_and(|task| task.stream == Some(stream))
        };
        self.places.get(from..)?.iter().position(sends).map(|at| from + at)
    }

    /// Whether the operator has stopped a push.
    pub fn is_stopped(&self, app: AppId, n: u8) -> bool {
        self.stopped_at(app, n).is_some()
    }

    fn stopped_at(&self, app: AppId, n: u8) -> Option<usize> {
        self.stopped.iter().position(|stopped| (stopped.0, stopped.1) == (app, n))
    }

    /// The operator starts or stops a push. False when that changes nothing, or too many are stopped.
    pub fn switch(&mut self, app: AppId, n: u8, on: bool, live: &Live, now: Millis) -> bool {
        let before = self.stopped_at(app, n);
        let said = push_of(live, app, n).map_or(0, mark);
        match (before, on) {
            (Some(at), true) => {
                self.stopped.swap_remove(at);
                self.begin_pushes(live, now);
            }
            (None, false) if self.stopped.push((app, n, said)).is_ok() => {
                let is_it = |place: &&mut RelayPlace| {
                    place.task.is_some_and(|task| task.app == app && task.kind == RelayKind::Push(n))
                };
                self.places.iter_mut().filter(is_it).for_each(|place| place.finish(AfterEnd::Free, now));
                self.wake_at = Some(now);
            }
            _ => return false,
        }
        true
    }

    /// The operator wants to know whether a far end takes a push. False when there is no place.
    pub fn test(&mut self, app: AppId, n: u8, live: &Live, now: Millis) -> bool {
        let kind = RelayKind::Test(n);
        let is_it = |place: &&mut RelayPlace| place.task.is_some_and(|task| task.app == app && task.kind == kind);
        if let Some(before) = self.places.iter_mut().find(is_it) {
            if before.state != RelayState::Rests {
                return true;
            }
            before.give_back();
        }
        let Some(mark) = push_of(live, app, n).map(mark) else { return false };
        // Twice at once a platform may refuse, and end what runs.
        let runs = |place: &RelayPlace| {
            matches!(place.state, RelayState::Runs { .. })
                && place.task.is_some_and(|task| task.app == app && task.kind == RelayKind::Push(n))
        };
        let is_taken = self.places.iter().any(runs);
        let state = if is_taken { RelayState::Rests } else { RelayState::Waits { until: now } };
        let Some(at) = self.take(RelayTask { app, kind, stream: None, mark }, state, now) else { return false };
        if is_taken {
            let place = &mut self.places[at];
            (place.taken, place.until) = (Some(true), Some(now + TEST_MS));
        }
        true
    }

    /// An application is an edge: names that are waited for are looked for elsewhere.
    pub fn has_edges(&self) -> bool {
        self.has_edges
    }

    /// Somebody waits for a stream that is not published here: if its application is an edge, it is looked for at its origins, unless it
    /// is already, or as many are as may be: whoever waits is looked at again and again. True when that begins. `is_new`: who waits for
    /// it has not done so before.
    pub fn want(&mut self, app: AppId, path: &StreamPath, is_new: bool, live: &Live, now: Millis) -> bool {
        let Some(edge) = edge_of(live, app).filter(|_| self.has_edges) else { return false };
        // What comes otherwise is waited for.
        if live.apps.staying(app).is_none_or(|definition| has_other_source(definition, path.as_str())) {
            return false;
        }
        if let Some(place) = self.edge_place(app, path) {
            place.unwatched = None;
            return false;
        }
        let kind = RelayKind::Edge(0);
        let task = RelayTask { app, kind, stream: None, mark: mark(edge) };
        if self.may_search()
            && let Some(at) = self.take(task, RelayState::Waits { until: now }, now)
        {
            let place = &mut self.places[at];
            (place.name, place.origins) = (path.clone(), edge.origins.len() as u8);
            return true;
        }
        self.queued = true;
        if is_new {
            self.refused += 1;
            let (app, name) = (Word(live.apps.name(app)), path.as_str());
            info!("rill edge waits app={app} name={name:?}: as many names are looked for as may be (limits.relays)");
        }
        false
    }

    /// One more edge may look for its stream.
    fn may_search(&self) -> bool {
        self.places.iter().filter(|place| place.searches()).count() < self.places.len().div_ceil(2)
    }

    /// Whom somebody waits for is asked anew ([`Relays::want`]), from this place of the table of names on: each has its turn.
    pub fn begin_wants(&mut self) -> usize {
        self.queued = false;
        self.wanted_from
    }

    /// The name at this place has had its turn.
    pub fn has_wanted(&mut self, at: usize) {
        self.wanted_from = at + 1;
    }

    /// The place at which an edge fetches a stream.
    fn edge_place(&mut self, app: AppId, path: &StreamPath) -> Option<&mut RelayPlace> {
        let is_it = |place: &&mut RelayPlace| {
            place.is_edge() && place.task.is_some_and(|task| task.app == app) && place.name == *path
        };
        self.places.iter_mut().filter(|place| place.state != RelayState::Ends(AfterEnd::Free)).find(is_it)
    }

    /// Somebody watches what a place fetches, or nobody does. It is looked at again and again.
    pub fn watched(&mut self, at: usize, is_watched: bool, live: &Live, now: Millis) {
        let place = &mut self.places[at];
        let Some(task) = place.task else { return };
        let (linger_s, then) = match (task.pull(live), task.edge(live)) {
            (Some(pull), _) if pull.when == PullWhen::Demand => (pull.linger_s, AfterEnd::Rest),
            (None, Some(edge)) => (edge.linger_s, AfterEnd::Free),
            _ => return,
        };
        if is_watched {
            place.unwatched = None;
            if place.state == RelayState::Rests {
                place.state = RelayState::Waits { until: now };
                self.wake_at = Some(now);
            }
            return;
        }
        let since = *place.unwatched.get_or_insert(now);
        let linger_ms = (u64::from(linger_s) * 1000).max(LINGER_LEAST_MS);
        if place.state != RelayState::Rests && now.since(since) >= linger_ms {
            place.finish(then, now);
            self.wake_at = Some(now);
        }
    }

    /// So many bytes have come or gone in its present connection.
    pub fn measure(&mut self, at: usize, bytes: u64, now: Millis) {
        self.places[at].rate.look(bytes, now);
    }

    /// What the disk's thread is to do next.
    pub fn next_job(&mut self, live: &Live) -> Option<Job> {
        if !self.asks {
            return None;
        }
        let asks = |place: &RelayPlace| place.state == RelayState::Resolves { asked: false };
        let Some(at) = self.places.iter().position(asks) else {
            self.asks = false;
            return None;
        };
        let place = &mut self.places[at];
        place.state = RelayState::Resolves { asked: true };
        let far = place.far(live);
        // A redirect may name a host that is longer than any.
        let host =
            far.map_or(Ok(heapless::String::new()), |far| heapless::String::try_from(far.host)).unwrap_or_default();
        let id = LookUpId { of: FeatureId::RELAYS, place: at as u16, generation: place.generation };
        Some(Job::Resolve { id, host, port: far.map_or(0, |far| far.port) })
    }

    /// All end: the server stops.
    pub fn stop_all(&mut self, now: Millis) {
        for place in self.places.iter_mut().filter(|place| place.task.is_some()) {
            place.finish(AfterEnd::Free, now);
        }
        self.wake_at = Some(now);
    }

    /// A place for a task; `None` when all are in use. It may be about to be free.
    fn take(&mut self, task: RelayTask, state: RelayState, now: Millis) -> Option<usize> {
        self.wake_at = Some(Millis(0));
        let at = self.places.iter().position(|place| place.task.is_none()).or_else(|| {
            let in_vain = self.places.iter().enumerate().filter(|(_, place)| place.is_in_vain());
            in_vain.max_by_key(|(_, place)| place.failures).map(|(at, _)| at)
        });
        let Some(at) = at else {
            if let RelayKind::Edge(_) = task.kind {
                return None;
            }
            let is_ending = |place: &RelayPlace| place.is_edge() && place.state == RelayState::Ends(AfterEnd::Free);
            let mut is_soon = self.places.iter().any(is_ending);
            if !is_soon && let Some(place) = self.places.iter_mut().find(|place| place.searches()) {
                place.finish(AfterEnd::Free, now);
                is_soon = true;
            }
            // When it is gone, all is compared again.
            self.changed |= is_soon;
            self.refused += u64::from(!is_soon);
            return None;
        };
        let place = &mut self.places[at];
        place.give_back();
        (place.task, place.state) = (Some(task), state);
        self.sends |= task.stream.is_some();
        Some(at)
    }

    fn has(&self, app: AppId, kind: RelayKind, stream: Option<StreamId>) -> bool {
        let is_it = |task: RelayTask| task.app == app && task.kind.is_same(kind) && task.stream == stream;
        self.places.iter().any(|place| place.task.is_some_and(is_it) && place.state != RelayState::Ends(AfterEnd::Free))
    }

    /// A stream is published: pushes that include it begin, and it is forwarded unless it was fetched.
    fn push(&mut self, stream: StreamId, live: &Live, now: Millis) {
        let published = live.names.stream(stream);
        let Some(definition) = live.apps.staying(published.app) else { return };
        let path = published.path.as_str();
        let is_input = definition.is_input(path);
        for (n, push) in definition.relays.pushes.iter().enumerate().filter(|(_, push)| push.includes(path, is_input)) {
            if !self.is_stopped(published.app, n as u8) {
                self.send(stream, RelayKind::Push(n as u8), mark(push), live, now);
            }
        }
        let is_fetched = published.publisher().is_some_and(|who| who.by.is_of(FeatureId::RELAYS));
        if let Some(edge) = definition.relays.edge().filter(|edge| edge.forward_publish && !is_fetched && !is_input)
            && let Some(at) = self.send(stream, RelayKind::Forward(0), mark(edge), live, now)
        {
            self.places[at].origins = edge.origins.len() as u8;
        }
    }

    /// A stream is sent, unless it is already: at this place.
    fn send(&mut self, stream: StreamId, kind: RelayKind, mark: u64, live: &Live, now: Millis) -> Option<usize> {
        let published = live.names.stream(stream);
        let app = published.app;
        if self.has(app, kind, Some(stream)) {
            return None;
        }
        let task = RelayTask { app, kind, stream: Some(stream), mark };
        let at = self.take(task, RelayState::Waits { until: now }, now);
        if let Some(at) = at {
            self.places[at].name = published.path.clone();
        }
        if at.is_none() && !self.changed {
            let ((what, n), path) = (kind.named(), published.path.as_str());
            let app = Word(live.apps.name(app));
            warn!("{stream} {what} refused app={app} name={path:?} {what}={n}: every relay is in use (limits.relays)");
        }
        at
    }

    fn begin_pushes(&mut self, live: &Live, now: Millis) {
        for (stream, _) in live.names.streams().filter(|(_, stream)| stream.publisher().is_some()) {
            self.push(stream, live, now);
        }
    }

    /// Compares what there is with what applications say.
    fn compare(&mut self, live: &Live, now: Millis) {
        for place in &mut self.places {
            if let Some(task) = &mut place.task
                && let mark = task.mark_now(live)
                && mark != Some(task.mark)
            {
                let after = match (mark, task.edge(live)) {
                    (Some(mark), Some(edge)) => {
                        task.mark = mark;
                        let (RelayKind::Edge(n) | RelayKind::Forward(n)) = &mut task.kind else { continue };
                        (*n, place.origins, place.missed) = (0, edge.origins.len() as u8, 0);
                        AfterEnd::Again
                    }
                    _ => AfterEnd::Free,
                };
                place.finish(after, now);
            }
        }
        // Whoever was stopped may stand elsewhere in its file now, or nowhere.
        self.stopped.retain_mut(|(app, n, said)| {
            let pushes = live.apps.staying(*app).map_or(&[][..], |definition| &definition.relays.pushes);
            let is_it = |push: &PushSettings| mark(push) == *said;
            let stays = pushes.get(usize::from(*n)).is_some_and(is_it);
            let at = if stays { Some(usize::from(*n)) } else { pushes.iter().position(is_it) };
            *n = at.map_or(*n, |at| at as u8);
            at.is_some()
        });
        self.has_edges = live.apps.iter().any(|(app, _)| edge_of(live, app).is_some());
        for (app, _) in live.apps.iter() {
            let Some(definition) = live.apps.staying(app) else { continue };
            let comes_otherwise = |place: &&mut RelayPlace| {
                place.is_edge()
                    && place.task.is_some_and(|task| task.app == app)
                    && has_other_source(definition, place.name.as_str())
            };
            self.places.iter_mut().filter(comes_otherwise).for_each(|place| place.finish(AfterEnd::Free, now));
            for (n, pull) in definition.relays.pulls.iter().enumerate() {
                let kind = RelayKind::Pull(n as u8);
                if self.has(app, kind, None) {
                    continue;
                }
                let state = match pull.when {
                    PullWhen::Always => RelayState::Waits { until: now },
                    PullWhen::Demand => RelayState::Rests,
                };
                let task = RelayTask { app, kind, stream: None, mark: mark(pull) };
                if self.take(task, state, now).is_none() && !self.changed {
                    let (app, name) = (Word(live.apps.name(app)), pull.name.as_str());
                    warn!("rill pull refused app={app} name={name:?}: every relay is in use (limits.relays)");
                }
            }
        }
        self.begin_pushes(live, now);
    }
}

impl Feature for Relays {
    fn new(settings: &Settings) -> Relays {
        Relays {
            places: core::iter::repeat_with(RelayPlace::free).take(settings.relays as usize).collect(),
            stopped: heapless::Vec::new(),
            changed: settings.relays > 0,
            untended: false,
            wake_at: Some(Millis(0)).filter(|_| settings.relays > 0),
            sends: false,
            has_edges: false,
            queued: false,
            wanted_from: 0,
            asks: false,
            refused: 0,
            faults: 0,
        }
    }

    fn memory(settings: &Settings) -> Row {
        Row::new("relays", settings.relays as usize, size_of::<RelayPlace>())
    }

    fn hear(&mut self, what: &Happened, live: &Live, now: Millis, _out: &mut Actions) {
        match *what {
            Happened::Began { by, stream, does: Does::Publish } => {
                // What is published here is not fetched, and what comes from an origin does not go back to it, though its last
                // publisher's did.
                if self.has_edges {
                    let (Stream { app, path, .. }, is_fetched) =
                        (live.names.stream(stream), by.is_of(FeatureId::RELAYS));
                    let ends = |place: &&mut RelayPlace| match place.task {
                        Some(RelayTask { app: of, kind: RelayKind::Edge(_), .. }) => {
                            !is_fetched && of == *app && place.name == *path
                        }
                        Some(RelayTask { kind: RelayKind::Forward(_), stream: of, .. }) => {
                            is_fetched && of == Some(stream)
                        }
                        _ => false,
                    };
                    for place in self.places.iter_mut().filter(ends) {
                        place.finish(AfterEnd::Free, now);
                        self.wake_at = Some(now);
                    }
                }
                self.push(stream, live, now);
            }
            // Whoever ends what a pull publishes before it does so itself.
            Happened::Ended { by: Holder::Feature(FeatureId::RELAYS, n), does: Does::Publish, .. } => {
                if let Some(place) = self.places.get_mut(usize::from(n))
                    && matches!(place.state, RelayState::Runs { .. })
                {
                    let after = if place.is_edge() { AfterEnd::Free } else { AfterEnd::Later };
                    place.finish(after, now);
                    self.wake_at = Some(now);
                }
            }
            _ => {}
        }
    }

    fn turn(&mut self, live: &mut Live, now: Millis, _out: &mut Actions) {
        if self.wake_at.is_none_or(|at| at > now) {
            return;
        }
        if core::mem::take(&mut self.changed) {
            self.compare(live, now);
        }
        (self.wake_at, self.sends) = (Some(now).filter(|_| self.changed), false);
        let mut may_retry = !self.queued && self.may_search();
        for place in &mut self.places {
            let Some(task) = place.task else { continue };
            if task.stream.is_some() {
                self.sends = true;
                // What was sent of it is sent to its end.
                if !place.has_stream(live) && !place.is_connected() {
                    place.give_back();
                    continue;
                }
            }
            match place.state {
                RelayState::Waits { until } if until <= now && place.is_in_vain() && !may_retry => {
                    place.state = RelayState::Waits { until: now + EDGE_QUEUED_MS };
                }
                RelayState::Waits { until } if until <= now => {
                    may_retry &= !place.is_in_vain();
                    place.begin(live);
                }
                RelayState::Rests if place.until.is_some_and(|until| until <= now) => place.give_back(),
                _ => {}
            }
            let at = match place.state {
                RelayState::Waits { until } => Some(until),
                RelayState::Rests => place.until,
                RelayState::Dials | RelayState::Ends(_) => {
                    self.untended = true;
                    None
                }
                RelayState::Resolves { asked } => {
                    self.asks |= !asked;
                    None
                }
                RelayState::Connects | RelayState::Runs { .. } => None,
            };
            self.wake_at = self.wake_at.into_iter().chain(at).min();
        }
    }

    fn done(&mut self, done: Done, now: Millis, _out: &mut Actions) -> Option<Done> {
        let Done::Resolved { id: id @ LookUpId { of: FeatureId::RELAYS, .. }, found } = done else { return Some(done) };
        let place = self.places.get_mut(usize::from(id.place))?;
        if place.generation != id.generation || place.state != (RelayState::Resolves { asked: true }) {
            return None;
        }
        self.wake_at = Some(now);
        (place.addresses, place.tried) = (found, 0);
        match place.addresses.is_empty() {
            // No two boards are of the same age.
            true => {
                place.lost("the host's name is not known (DNS)", false, mark(&(id.place, id.generation, now.0)), now)
            }
            false => place.state = RelayState::Dials,
        }
        None
    }

    fn wake_at(&self) -> Option<Millis> {
        self.wake_at
    }
}

const _: () = assert!(RELAYS_PER_APP <= u8::MAX as usize, "a relay's number is a byte");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_leads_no_nearer_than_who_sends_it() {
        let of = |ip: &str| reach(ip.parse().unwrap());
        for (ip, far) in [
            ("127.0.0.1", 0),
            ("::1", 0),
            ("::ffff:127.0.0.1", 0),
            ("0.0.0.0", 0),
            ("192.168.1.7", 1),
            ("10.0.0.1", 1),
            ("169.254.1.1", 1),
            ("100.64.0.1", 1),
            ("fd00::1", 1),
            ("fe80::1", 1),
            ("192.0.2.1", 2),
            ("2001:db8::1", 2),
        ] {
            assert_eq!(of(ip), far, "{ip}");
        }
    }

    #[test]
    fn it_is_tried_again_later_each_time_and_sooner_after_it_has_run_for_long() {
        let mut place = RelayPlace::free();
        let waits = |place: &RelayPlace| match place.state {
            RelayState::Waits { until } => until.0,
            state => panic!("{state:?}"),
        };
        let mut longest = Vec::new();
        for _ in 0..8 {
            place.state = RelayState::Connects;
            place.lost("it does not answer", false, u64::MAX, Millis(0));
            longest.push(waits(&place));
        }
        assert!(longest.windows(2).all(|pair| pair[0] <= pair[1]) && longest[0] <= 1000, "{longest:?}");
        assert!(longest[7] >= 30_000 && longest[7] <= 60_000, "{longest:?}");
        place.state = RelayState::Runs { since: Millis(0) };
        place.lost("it closed the connection", false, 0, Millis(STABLE_MS));
        assert_eq!(waits(&place), STABLE_MS + 500);
        assert_eq!(place.words, "it closed the connection");
    }

    #[test]
    fn a_far_end_sends_us_elsewhere_three_times_at_most_and_to_its_own_scheme_alone() {
        let mut place = RelayPlace::free();
        let from = "192.0.2.1".parse().unwrap();
        for other in ["http://h/live", "rtmps://h/live", "rtmp://h", "rtmp://u:p@h/live", "live", ""] {
            assert!(!place.sent_elsewhere(other, false, from, Millis(0)), "{other}");
        }
        assert!(!place.sent_elsewhere("rtmp://h/live", true, from, Millis(0)), "it was secure before");
        for _ in 0..REDIRECTS {
            assert!(place.sent_elsewhere("rtmp://h/live", false, from, Millis(0)));
        }
        assert!(!place.sent_elsewhere("rtmp://h/live", false, from, Millis(0)));
        place.state = RelayState::Runs { since: Millis(0) };
        assert!(!place.sent_again(Millis(STABLE_MS - 1)));
        assert!(place.sent_again(Millis(STABLE_MS)), "it was there for long");
        let near = "127.0.0.1:1935".parse().unwrap();
        let far = "198.51.100.1:1935".parse().unwrap();
        place.addresses.extend([near, far]);
        assert_eq!((place.next_address(), place.next_address()), (Some(far), None));
    }
}
