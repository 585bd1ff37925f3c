//! The connection table: one slot a connection, obtained once.

use core::net::IpAddr;
use std::boxed::Box;

use crate::bitset::BitSet;
use crate::handles::{ConnId, HostIndex, SlotIndex, StreamId};
use crate::limits::{CONTROL_CLIENTS, SPARE_CONNECTIONS};
use crate::live::holder::Household;
use crate::live::settings::Settings;
use crate::media::Cursor;
use crate::time::Millis;

use super::claims::{Claim, Claims, PATIENCE_MS, Standing, StandingKind};
use super::express::Express;
use super::hls_viewers::HlsViewers;
use super::http::Http;
use super::peer::Peer;
use super::protocol::Stage;
use super::rtmp::{Role, Rtmp};
use super::slot::{Slot, SlotState};
use super::speaks::{Door, Speaks};

/// Most bytes one connection may cost: the promise of the memory table.
pub const CONNECTION_BYTES: usize = 12 * 1024;
/// What one costs.
pub(super) const PLACE_BYTES: usize = size_of::<Slot>() + size_of::<Speaks>() + size_of::<Express>();

const _: () = assert!(PLACE_BYTES <= CONNECTION_BYTES, "a connection costs at most 12 KiB");

/// All slots.
pub struct Slots {
    slots: Box<[Slot]>,
    /// What their connections speak.
    speaks: Box<[Speaks]>,
    /// What runs ahead of them.
    express: Box<[Express]>,
    free: BitSet<Box<[u64]>>,
    taken: BitSet<Box<[u64]>>,
    claims: Claims,
    /// Clients that are no connections: their places are behind those.
    pub(super) hls: HlsViewers,
    /// How many have joined an application and not been told to go.
    connected: usize,
    /// How many may, those that publish aside.
    capacity: usize,
    /// How many may beyond, of which it is decided when they play or publish whether they stay.
    kept: usize,
    /// Where the places of relays begin: each read asks whose its place is.
    first_relay: usize,
    /// How many places are for relays, ...
    relays: usize,
    /// ... behind them for hooks ...
    hooks: usize,
    /// ... and behind those for script processes.
    hosts: usize,
    /// How many connections are secured by TLS.
    secured: usize,
}

impl Slots {
    /// A table for `capacity` clients and `kept` more that publish, with [`SPARE_CONNECTIONS`] to be turned away in; behind
    /// them are [`CONTROL_CLIENTS`] places for the operator, for whom there is always room, those of relays and of hooks, and last those of script processes.
    pub fn new(settings: &Settings, seed: u64) -> Slots {
        let (capacity, kept, hosts) =
            (settings.connections as usize, settings.streams as usize, settings.script_hosts());
        let clients = capacity + kept + SPARE_CONNECTIONS;
        let count = settings.slots();
        let bits = || BitSet::new(vec![0; clients.div_ceil(64)].into_boxed_slice());
        let mut free = bits();
        for index in 0..clients {
            free.insert(index);
        }
        let mut slots = Vec::with_capacity(count);
        slots.resize_with(count, Slot::free);
        let mut speaks = Vec::with_capacity(count);
        speaks.resize_with(count, || Speaks::Nothing);
        let claims = Claims::new(clients, seed);
        let express = vec![Express::default(); count].into_boxed_slice();
        Slots {
            slots: slots.into_boxed_slice(),
            speaks: speaks.into_boxed_slice(),
            express,
            free,
            taken: bits(),
            claims,
            hls: HlsViewers::new(HlsViewers::places(settings.connections)),
            connected: 0,
            capacity,
            kept,
            first_relay: clients + CONTROL_CLIENTS,
            relays: settings.relays as usize,
            hooks: settings.hooks as usize,
            hosts,
            secured: 0,
        }
    }

    /// How many there are, the spare ones, the operator's, those of relays, hooks and script processes included.
    pub fn count(&self) -> usize {
        self.slots.len()
    }

    /// How many are clients', the spare ones included.
    pub fn client_count(&self) -> usize {
        self.first_relay - CONTROL_CLIENTS
    }

    /// Every client's slot is taken.
    pub fn is_taken(&self) -> bool {
        self.free.is_empty()
    }

    /// The slots of the operator's connections.
    pub fn operators(&self) -> impl Iterator<Item = SlotIndex> + use<> {
        let end = self.first_relay;
        (end - CONTROL_CLIENTS..end).map(|at| SlotIndex(at as u32))
    }

    /// The slot is for clients. The operator's connections, and those of relays, hooks and script processes, are none: they are neither listed nor
    /// counted.
    pub fn is_client(&self, index: SlotIndex) -> bool {
        index.at() < self.client_count()
    }

    /// The slot of a relay.
    pub(super) fn relay_slot(&self, relay: usize) -> SlotIndex {
        SlotIndex((self.first_relay + relay) as u32)
    }

    /// The relay whose slot that is.
    pub(super) fn relay_at(&self, index: SlotIndex) -> Option<usize> {
        let relay = index.at().checked_sub(self.first_relay)?;
        (relay < self.relays).then_some(relay)
    }

    /// The slot of a hook.
    pub(super) fn hook_slot(&self, hook: usize) -> SlotIndex {
        SlotIndex((self.first_relay + self.relays + hook) as u32)
    }

    /// The hook whose slot that is.
    pub(super) fn hook_at(&self, index: SlotIndex) -> Option<usize> {
        let hook = index.at().checked_sub(self.first_relay + self.relays)?;
        (hook < self.hooks).then_some(hook)
    }

    /// The slot of a script process.
    pub(super) fn host_slot(&self, host: HostIndex) -> SlotIndex {
        SlotIndex((self.count() - self.hosts) as u32 + u32::from(host.0))
    }

    /// The script process whose slot that is.
    pub(super) fn host_at(&self, index: SlotIndex) -> Option<HostIndex> {
        index.at().checked_sub(self.count() - self.hosts).map(|at| HostIndex(at as u16))
    }

    /// The operator is connected.
    pub fn has_operator(&self) -> bool {
        self.operators().any(|index| self.peek(index).state != SlotState::Free)
    }

    /// The lowest client's slot that is taken and `from` or above.
    pub fn next_taken(&self, from: usize) -> Option<SlotIndex> {
        self.taken.next_from(from).map(|index| SlotIndex(index as u32))
    }

    /// Every client's slot that is taken, with its index. Free ones, which may be many, are not touched.
    pub fn taken_slots(&self) -> impl Iterator<Item = (SlotIndex, &Slot)> {
        let taken = core::iter::successors(self.next_taken(0), |index| self.next_taken(index.at() + 1));
        taken.map(|index| (index, self.peek(index)))
    }

    /// How many clients' slots are taken.
    pub fn taken(&self) -> usize {
        self.taken.len()
    }

    /// How many have joined an application and not been told to go.
    pub fn joined(&self) -> usize {
        self.connected
    }

    /// The connection in a slot has joined an application.
    pub fn has_joined(&self, index: SlotIndex) -> bool {
        self.speaks[index.at()].stage() == Stage::Joined
    }

    /// As many have joined an application as may.
    pub fn is_full(&self) -> bool {
        self.connected >= self.capacity + self.kept
    }

    /// More have joined than may stay without publishing: one that plays now would have a place that is kept for publishers.
    /// `more` come besides.
    pub fn is_full_for_players(&self, more: usize) -> bool {
        let publishes = |slot: &Slot| slot.state == SlotState::Open && slot.publishing > 0;
        let connected = self.connected + more;
        connected > self.capacity
            && connected - self.taken_slots().filter(|(_, slot)| publishes(slot)).count() > self.capacity
    }

    /// The connection has joined an application.
    pub fn connected(&mut self) {
        self.connected += 1;
        debug_assert!(self.connected <= self.capacity + self.kept, "one more is refused");
    }

    /// A connection that had joined an application is told to go.
    pub fn disconnected(&mut self) {
        self.connected -= 1;
    }

    /// Notes how far the connection in a slot has come. The slot knows then all that it was sent.
    pub fn judge(&mut self, index: SlotIndex, now: Millis) {
        let Some(before) = self.claims.claim(index.at()) else { return };
        self.write_back(index);
        let (standing, since) = standing(&self.slots[index.at()], &self.speaks[index.at()], now);
        let since = match standing.kind() {
            StandingKind::Arriving if standing == before.standing => before.since,
            StandingKind::Arriving => now,
            StandingKind::Idle | StandingKind::Busy => since,
        };
        self.claims.set(index.at(), Some(Claim { standing, since, ..before }));
    }

    /// The connection in a slot turns out to be another household's.
    pub(super) fn move_house(&mut self, index: SlotIndex) {
        if let Some(claim) = self.claims.claim(index.at()) {
            let household = Household::of(self.peek(index).peer.ip());
            self.claims.set(index.at(), Some(Claim { household, ..claim }));
        }
    }

    /// Notes how far the connection in a slot has come, if it is one that has not joined an application.
    pub fn judge_arriving(&mut self, index: SlotIndex, now: Millis) {
        if self.claims.claim(index.at()).is_some_and(|claim| claim.standing.kind() == StandingKind::Arriving) {
            self.judge(index, now);
        }
    }

    /// The connection whose place goes to a new one from `address`, when all are taken.
    pub fn first_to_make_way(&mut self, address: IpAddr, now: Millis) -> Option<ConnId> {
        self.first(now, &|slots| slots.claims.first_to_make_way(Household::of(address)))
    }

    /// Which of the connections from that household that have not joined an application gives way to another of them.
    pub fn first_of_household(&self, address: IpAddr) -> Option<ConnId> {
        let household = Household::of(address);
        let place = self.claims.first_to_go(StandingKind::Arriving, &|_, claim| claim.household == household);
        place.map(|place| self.id(SlotIndex(place as u32)))
    }

    /// Which idle client's place goes to `conn`, of those that are as wanted.
    pub fn first_to_yield(&mut self, conn: ConnId, now: Millis, wanted: &dyn Fn(&Slot) -> bool) -> Option<ConnId> {
        let household = Household::of(self.look(conn)?.peer.ip());
        self.first(now, &|slots| {
            let may = |place: usize| place != conn.slot.at() && wanted(&slots.slots[place]);
            slots.claims.first_to_yield(household, now, &may)
        })
    }

    /// Whom `choose` finds, if it is still what it was when it was judged last; else it is judged anew, and another one is
    /// found. When many have changed, all are judged, so that this takes no longer the more there are.
    fn first(&mut self, now: Millis, choose: &dyn Fn(&Slots) -> Option<usize>) -> Option<ConnId> {
        /// Judged one by one.
        const CHANGED: usize = 8;
        for _ in 0..CHANGED {
            let index = SlotIndex(choose(self)? as u32);
            let before = self.claims.claim(index.at()).map(|claim| claim.standing);
            self.judge(index, now);
            if self.claims.claim(index.at()).map(|claim| claim.standing) == before {
                return Some(self.id(index));
            }
        }
        let mut from = 0;
        while let Some(index) = self.next_taken(from) {
            from = index.at() + 1;
            self.judge(index, now);
        }
        choose(self).map(|place| self.id(SlotIndex(place as u32)))
    }

    /// How many idle clients the household of `conn` has.
    pub fn idle_beside(&self, conn: ConnId) -> u32 {
        self.claims.claim(conn.slot.at()).map_or(0, |claim| self.claims.weight(claim.household, StandingKind::Idle))
    }

    /// The lowest free slot, taken for a client; `None` when all are taken.
    pub(super) fn take(&mut self, peer: Peer, speaks: Speaks, now: Millis) -> Option<ConnId> {
        let index = self.free.next_from(0)?;
        self.free.remove(index);
        self.taken.insert(index);
        let household = Household::of(peer.ip());
        self.claims.set(index, Some(Claim { household, standing: Standing::Silent, since: now }));
        Some(self.begin(index, peer, speaks, now))
    }

    /// A free slot of the operator's; `None` when all are taken.
    pub(super) fn take_operators(&mut self, peer: Peer, speaks: Speaks, now: Millis) -> Option<ConnId> {
        let index = self.operators().find(|&index| self.peek(index).state == SlotState::Free)?;
        Some(self.begin(index.at(), peer, speaks, now))
    }

    /// The slot of a relay, which has none.
    pub(super) fn take_relay(&mut self, relay: usize, peer: Peer, speaks: Speaks, now: Millis) -> ConnId {
        let index = self.relay_slot(relay);
        self.begin(index.at(), peer, speaks, now)
    }

    /// The slot of a hook, which has none.
    pub(super) fn take_hook(&mut self, hook: usize, peer: Peer, speaks: Speaks, now: Millis) -> ConnId {
        let index = self.hook_slot(hook);
        self.begin(index.at(), peer, speaks, now)
    }

    /// The slot of a script process, which has none.
    pub(super) fn take_host(&mut self, host: HostIndex, now: Millis) -> ConnId {
        let index = self.host_slot(host);
        self.begin(index.at(), Peer::Local, Speaks::begin(Door::Script, 0, now), now)
    }

    /// The connection is secured by TLS.
    pub(super) fn secure(&mut self, index: SlotIndex) {
        self.at(index).is_secure = true;
        self.secured += 1;
    }

    /// How many connections are.
    pub(super) fn secured(&self) -> usize {
        self.secured
    }

    fn begin(&mut self, index: usize, peer: Peer, speaks: Speaks, now: Millis) -> ConnId {
        self.express[index] = Express::default();
        let slot = &mut self.slots[index];
        let generation = slot.generation;
        *slot = Slot::free();
        slot.generation = generation;
        slot.state = SlotState::Open;
        slot.peer = peer;
        (slot.accepted, slot.last_read, slot.last_taken, slot.last_active) = (now, now, now, now);
        self.speaks[index] = speaks;
        ConnId { slot: SlotIndex(index as u32), generation }
    }

    /// Gives a slot back; its handles are stale from now on.
    pub fn release(&mut self, index: SlotIndex) {
        self.express[index.at()] = Express::default();
        let slot = &mut self.slots[index.at()];
        slot.state = SlotState::Free;
        slot.generation = slot.generation.wrapping_add(1);
        self.secured -= usize::from(core::mem::take(&mut slot.is_secure));
        self.speaks[index.at()] = Speaks::Nothing;
        if self.is_client(index) {
            self.claims.set(index.at(), None);
            self.taken.remove(index.at());
            self.free.insert(index.at());
        }
    }

    /// The slot at `index`, whatever its use.
    pub fn at(&mut self, index: SlotIndex) -> &mut Slot {
        self.end_express(index);
        &mut self.slots[index.at()]
    }

    /// The slot at `index` and what its connection speaks.
    pub fn both(&mut self, index: SlotIndex) -> (&mut Slot, &mut Speaks) {
        self.end_express(index);
        (&mut self.slots[index.at()], &mut self.speaks[index.at()])
    }

    /// The slot at `index` and what its connection speaks, to look at.
    pub fn peek_both(&self, index: SlotIndex) -> (&Slot, &Speaks) {
        (&self.slots[index.at()], &self.speaks[index.at()])
    }

    /// The connection and what it speaks, if it is still there.
    pub fn both_of(&mut self, id: ConnId) -> Option<(&mut Slot, &mut Speaks)> {
        self.connection(id)?;
        Some((&mut self.slots[id.slot.at()], &mut self.speaks[id.slot.at()]))
    }

    /// The connection and what it speaks, if it is still there and was not told to go.
    pub fn open_both(&mut self, id: ConnId) -> Option<(&mut Slot, &mut Speaks)> {
        self.both_of(id).filter(|(slot, _)| slot.state == SlotState::Open)
    }

    /// The slot at `index`, to look at.
    pub fn peek(&self, index: SlotIndex) -> &Slot {
        &self.slots[index.at()]
    }

    /// The handle of the connection in the slot now.
    pub fn id(&self, index: SlotIndex) -> ConnId {
        ConnId { slot: index, generation: self.slots[index.at()].generation }
    }

    /// The connection, if it is still there.
    pub fn connection(&mut self, id: ConnId) -> Option<&mut Slot> {
        self.end_express(id.slot);
        let slot = &mut self.slots[id.slot.at()];
        (slot.generation == id.generation && slot.state != SlotState::Free).then_some(slot)
    }

    /// The connection, if it is still there and was not told to go: the only one for whom something may begin.
    pub fn open(&mut self, id: ConnId) -> Option<&mut Slot> {
        self.connection(id).filter(|slot| slot.state == SlotState::Open)
    }

    /// The connection, if it is still there, to look at.
    pub fn look(&self, id: ConnId) -> Option<&Slot> {
        let slot = &self.slots[id.slot.at()];
        (slot.generation == id.generation && slot.state != SlotState::Free).then_some(slot)
    }

    /// The connection, if it is still there and speaks RTMP.
    pub fn client(&mut self, id: ConnId) -> Option<(&mut Slot, &mut Rtmp)> {
        self.connection(id)?;
        self.client_at(id.slot)
    }

    /// The connection, if it is still there, speaks RTMP and was not told to go.
    pub fn open_client(&mut self, id: ConnId) -> Option<(&mut Slot, &mut Rtmp)> {
        self.client(id).filter(|(slot, _)| slot.state == SlotState::Open)
    }

    /// The connection, if it is still there and speaks RTMP, to look at.
    pub fn look_client(&self, id: ConnId) -> Option<(&Slot, &Rtmp)> {
        self.look(id)?;
        self.peek_client(id.slot)
    }

    /// The slot at `index`, if its connection speaks RTMP.
    pub fn client_at(&mut self, index: SlotIndex) -> Option<(&mut Slot, &mut Rtmp)> {
        let (slot, speaks) = self.both(index);
        Some((slot, speaks.rtmp_mut()?))
    }

    /// The slot at `index`, if its connection speaks HTTP. Such a slot is never express.
    pub fn http_at(&mut self, index: SlotIndex) -> Option<(&mut Slot, &mut Http)> {
        Some((&mut self.slots[index.at()], self.speaks[index.at()].http_mut()?))
    }

    /// The slot at `index`, if its connection speaks RTMP, to look at.
    pub fn peek_client(&self, index: SlotIndex) -> Option<(&Slot, &Rtmp)> {
        Some((&self.slots[index.at()], self.speaks[index.at()].rtmp()?))
    }

    /// Every connection that speaks RTMP, with its index.
    pub fn clients(&self) -> impl Iterator<Item = (SlotIndex, &Slot, &Rtmp)> {
        self.clients_from(0)
    }

    /// Those of them whose slot is `from` or above.
    pub fn clients_from(&self, from: usize) -> impl Iterator<Item = (SlotIndex, &Slot, &Rtmp)> {
        let taken = core::iter::successors(self.next_taken(from), |index| self.next_taken(index.at() + 1));
        taken.filter_map(|index| {
            let (slot, rtmp) = self.peek_client(index)?;
            Some((index, slot, rtmp))
        })
    }

    /// Taken slots of this address's household.
    pub fn from_address(&self, address: IpAddr) -> u32 {
        self.claims.held_by(Household::of(address))
    }

    /// Taken slots of the household that has most of them.
    pub fn most_from_one(&self) -> u32 {
        self.claims.most_of_one()
    }

    /// Every slot with its index.
    pub fn iter(&self) -> impl Iterator<Item = (SlotIndex, &Slot)> {
        self.slots.iter().enumerate().map(|(index, slot)| (SlotIndex(index as u32), slot))
    }
}

impl Slots {
    /// The slot has been sent all that it is due: it is express from now on, if it can be.
    pub(super) fn begin_express(&mut self, index: SlotIndex) {
        if let Some(express) = self.peek_client(index).and_then(|(slot, rtmp)| rtmp.express(slot)) {
            self.express[index.at()] = express;
        }
    }

    /// Somebody changes the slot: it is express no more, and knows all.
    pub(super) fn end_express(&mut self, index: SlotIndex) {
        if self.express[index.at()].stream.take().is_some() {
            self.write_back(index);
        }
    }

    /// A write was shorter than what the player is due. Apart, so that what every write runs through stays short.
    #[cold]
    #[inline(never)]
    pub(super) fn stop_express(&mut self, index: SlotIndex, cursor: Cursor) {
        let Some((_, rtmp)) = self.client_at(index) else { return };
        if let Role::Playing(reader) = &mut rtmp.roles[0] {
            reader.moved_to(cursor);
        }
    }

    /// Every slot knows all, and goes on as it was.
    pub(super) fn write_back_all(&mut self) {
        let mut from = 0;
        while let Some(index) = self.next_taken(from) {
            from = index.at() + 1;
            self.write_back(index);
        }
    }

    /// The slot knows all, and goes on as it was.
    #[inline]
    pub(super) fn write_back(&mut self, index: SlotIndex) {
        let at = index.at();
        self.express[at].write_back(&mut self.slots[at], &mut self.speaks[at]);
    }

    /// What the slot does not know.
    pub(super) fn ahead(&self, index: SlotIndex) -> &Express {
        &self.express[index.at()]
    }

    pub(super) fn express_of(&mut self, index: SlotIndex, stream: StreamId) -> Option<&mut Express> {
        Some(&mut self.express[index.at()]).filter(|express| express.stream == Some(stream))
    }
}

/// How far a connection has come, and since when it has been of no use.
fn standing(slot: &Slot, speaks: &Speaks, now: Millis) -> (Standing, Millis) {
    let since = slot.last_use.unwrap_or_default().max(slot.last_active);
    if slot.state != SlotState::Open {
        return (Standing::Leaving, since);
    }
    let standing = match speaks.stage() {
        Stage::Joined => match slot.last_use {
            Some(last) if now.since(last) < PATIENCE_MS => Standing::Busy,
            _ if slot.publishing > 0 => Standing::Publishing,
            _ if slot.playing > 0 => Standing::Waiting,
            _ => Standing::Joined,
        },
        Stage::Asking => Standing::Asking,
        Stage::Greeted => Standing::Greeted,
        Stage::New if slot.bytes_in > 0 => Standing::Greeting,
        Stage::New => Standing::Silent,
    };
    (standing, since)
}
