//! Which connection keeps its place when there are more connections than places.
//!
//! A stranger's connection looks like a viewer's; they differ in activity, and in the number that one household has. A
//! connection that is sent media, sends it, or calls its application's script keeps its place. Of the others the
//! household with most of them loses one first: the one that has come least far, and of those the one without progress
//! for longest. So a flood from a few addresses replaces its own connections, however fast it is, and
//! an encoder on Wi-Fi gets through its handshake meanwhile.
//!
//! A search is over a dense table and bounded: some microseconds for hundreds of places, so that the cost of a flood
//! does not grow with its square.

use core::cell::Cell;
use core::cmp::Reverse;
use std::boxed::Box;

use crate::live::holder::Household;
use crate::time::Millis;

/// A connection that has done nothing useful for longer gives way to connections of any household, in milliseconds: on no
/// network it takes longer from joining an application to publishing, playing and the first frame.
pub const PATIENCE_MS: u64 = 10_000;
/// A connection that has joined an application and neither published nor played for longer gives way to others of its own
/// household, in milliseconds: behind a proxy or a provider's NAT all clients are one household, strangers and encoders.
const LOITER_MS: u64 = 2000;
/// One place in so many is reserved for connections that are joining an application, so that one household's idle
/// connections cannot hold all.
const ARRIVING_SHARE: usize = 8;

/// Places of which one search compares the claims: in a larger table one part after the other, so that what a flood costs
/// does not grow with the table.
const SEARCHED: usize = 4096;

/// How far a connection has come, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It was told to go.
    Leaving,
    /// It has sent nothing.
    Silent,
    /// It is in its handshake.
    Greeting,
    /// Its handshake is done.
    Greeted,
    /// It waits for the answer to its `connect`.
    Asking,
    /// It has joined an application and neither publishes nor plays.
    Joined,
    /// It plays, and was sent no media for [`PATIENCE_MS`], or none at all.
    Waiting,
    /// It publishes, and has sent no media for [`PATIENCE_MS`], or none at all.
    Publishing,
    /// It has been of use within [`PATIENCE_MS`].
    Busy,
}

/// What standings have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandingKind {
    /// On its way into an application, or out of it.
    Arriving,
    /// In an application and of no use.
    Idle,
    /// Of use.
    Busy,
}

impl Standing {
    /// What it has in common with others.
    pub fn kind(self) -> StandingKind {
        match self {
            Standing::Leaving | Standing::Silent | Standing::Greeting | Standing::Greeted | Standing::Asking => {
                StandingKind::Arriving
            }
            Standing::Joined | Standing::Waiting | Standing::Publishing => StandingKind::Idle,
            Standing::Busy => StandingKind::Busy,
        }
    }
}

/// What a place is held by.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// The household of the connection.
    pub household: Household,
    /// How far it is.
    pub standing: Standing,
    /// Since when it has not got further, or was of no use.
    pub since: Millis,
}

/// How many connections a household has.
#[derive(Clone, Copy, Debug)]
struct Weight {
    household: Household,
    arriving: u32,
    idle: u32,
    all: u32,
}

impl Weight {
    fn count(&mut self, kind: StandingKind) -> Option<&mut u32> {
        match kind {
            StandingKind::Arriving => Some(&mut self.arriving),
            StandingKind::Idle => Some(&mut self.idle),
            StandingKind::Busy => None,
        }
    }
}

/// Weights by household: a hash table with linear probing, never more than half full.
struct Weights {
    entries: Box<[Option<Weight>]>,
    /// Of the heaviest household; `None` until somebody asks, once one that was the heaviest weighs less.
    most: Cell<Option<u32>>,
    /// So that an attacker cannot choose addresses that collide.
    seed: u64,
}

impl Weights {
    fn new(places: usize, seed: u64) -> Weights {
        Weights { entries: vec![None; Weights::entries(places)].into_boxed_slice(), most: Cell::new(Some(0)), seed }
    }

    fn entries(places: usize) -> usize {
        (2 * places).next_power_of_two()
    }

    /// Where a household's entry is if nothing is in its way.
    fn home(&self, household: Household) -> usize {
        // The upper bits of a product depend on all of the number.
        let mixed = (household.0 ^ self.seed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mixed = (mixed ^ self.seed.rotate_left(32)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        (mixed >> 32) as usize & (self.entries.len() - 1)
    }

    /// Where a household's entry is, or would be.
    fn place(&self, household: Household) -> usize {
        let mut at = self.home(household);
        while self.entries[at].is_some_and(|weight| weight.household != household) {
            at = (at + 1) & (self.entries.len() - 1);
        }
        at
    }

    fn get(&self, household: Household) -> Option<Weight> {
        self.entries[self.place(household)]
    }

    fn add(&mut self, household: Household, kind: StandingKind) {
        let at = self.place(household);
        let weight = self.entries[at].get_or_insert(Weight { household, arriving: 0, idle: 0, all: 0 });
        weight.all += 1;
        self.most.set(self.most.get().map(|most| most.max(weight.all)));
        if let Some(count) = weight.count(kind) {
            *count += 1;
        }
    }

    fn subtract(&mut self, household: Household, kind: StandingKind) {
        let at = self.place(household);
        let Some(weight) = &mut self.entries[at] else { return };
        self.most.set(self.most.get().filter(|&most| most > weight.all));
        weight.all -= 1;
        if let Some(count) = weight.count(kind) {
            *count -= 1;
        }
        if weight.all == 0 {
            self.remove(at);
        }
    }

    fn most(&self) -> u32 {
        let counted = || self.entries.iter().flatten().map(|weight| weight.all).max().unwrap_or(0);
        let most = self.most.get().unwrap_or_else(counted);
        self.most.set(Some(most));
        most
    }

    /// Empties a place, and moves up what was behind it only because the place was taken.
    fn remove(&mut self, mut hole: usize) {
        let mask = self.entries.len() - 1;
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let Some(weight) = self.entries[at] else { break };
            let from_home = at.wrapping_sub(self.home(weight.household)) & mask;
            if from_home >= at.wrapping_sub(hole) & mask {
                self.entries[hole] = Some(weight);
                hole = at;
            }
        }
        self.entries[hole] = None;
    }
}

/// The claims on all places.
pub struct Claims {
    claims: Box<[Option<Claim>]>,
    weights: Weights,
    arriving: usize,
    /// The part of the table that the next search begins with.
    searched: Cell<usize>,
}

impl Claims {
    /// For so many places.
    pub fn new(places: usize, seed: u64) -> Claims {
        Claims {
            claims: vec![None; places].into_boxed_slice(),
            weights: Weights::new(places, seed),
            arriving: 0,
            searched: Cell::new(0),
        }
    }

    /// Bytes of a place.
    pub fn place_bytes(places: usize) -> usize {
        size_of::<Option<Claim>>() + (Weights::entries(places) * size_of::<Option<Weight>>()).div_ceil(places)
    }

    /// The claim on a place; `None` when it is free, or not one of those that are contended for.
    pub fn claim(&self, place: usize) -> Option<Claim> {
        self.claims.get(place).copied().flatten()
    }

    /// A connection has come so far, or `None`: the place is free.
    pub fn set(&mut self, place: usize, claim: Option<Claim>) {
        let before = core::mem::replace(&mut self.claims[place], claim);
        let counted = |claim: Option<Claim>| claim.map(|claim| (claim.household, claim.standing.kind()));
        if counted(before) == counted(claim) {
            return;
        }
        let arrives = |claim: Option<Claim>| claim.is_some_and(|claim| claim.standing.kind() == StandingKind::Arriving);
        self.arriving = self.arriving + usize::from(arrives(claim)) - usize::from(arrives(before));
        // Added first, so that an entry that stays is not taken out in between.
        if let Some((household, kind)) = counted(claim) {
            self.weights.add(household, kind);
        }
        if let Some((household, kind)) = counted(before) {
            self.weights.subtract(household, kind);
        }
    }

    /// How many connections of that kind a household has. Busy ones weigh nothing.
    pub fn weight(&self, household: Household, kind: StandingKind) -> u32 {
        let weight = self.weights.get(household);
        weight.and_then(|mut weight| weight.count(kind).map(|count| *count)).unwrap_or(0)
    }

    /// How many connections of all kinds a household has.
    pub fn held_by(&self, household: Household) -> u32 {
        self.weights.get(household).map_or(0, |weight| weight.all)
    }

    /// How many the household with most of them has.
    pub fn most_of_one(&self) -> u32 {
        self.weights.most()
    }

    /// The place of that kind whose connection gives way first, of those that `may` go.
    pub fn first_to_go(&self, kind: StandingKind, may: &dyn Fn(usize, Claim) -> bool) -> Option<usize> {
        let part = |from: usize| {
            let claims = &self.claims[from..self.claims.len().min(from + SEARCHED)];
            let places = claims.iter().enumerate().filter_map(|(at, claim)| Some((from + at, (*claim)?)));
            let those = places.filter(|&(place, claim)| claim.standing.kind() == kind && may(place, claim));
            let weight = |claim: Claim| self.weight(claim.household, kind);
            // The first of equal ones: `max_by_key` would take the last.
            let rank = |claim: Claim| (weight(claim), Reverse(claim.standing), Reverse(claim.since));
            those.rev().max_by_key(|&(_, claim)| rank(claim)).map(|(place, _)| place)
        };
        let parts = self.claims.len().div_ceil(SEARCHED);
        let first = self.searched.get();
        let (number, place) = (first..first + parts).find_map(|at| Some((at, part(at % parts * SEARCHED)?)))?;
        self.searched.set((number + 1) % parts);
        Some(place)
    }

    /// The place that goes to a new connection of `household` when all are taken. Connections that have joined an
    /// application keep theirs while there are enough places for arrivals; else the household with many idle ones loses
    /// one.
    pub fn first_to_make_way(&self, household: Household) -> Option<usize> {
        let few = self.arriving < self.claims.len() / ARRIVING_SHARE;
        let own = self.weight(household, StandingKind::Idle) + self.weight(household, StandingKind::Arriving) + 1;
        let heavier = |_, claim: Claim| self.weight(claim.household, StandingKind::Idle) > own;
        let idle = few.then(|| self.first_to_go(StandingKind::Idle, &heavier)).flatten();
        idle.or_else(|| self.first_to_go(StandingKind::Arriving, &|_, _| true))
    }

    /// The place, among those that `may` go, of an idle connection that yields to a connection of `household` which has
    /// joined: one of a household with more idle ones, or one idle for [`PATIENCE_MS`], or `LOITER_MS` in the same
    /// household.
    pub fn first_to_yield(&self, household: Household, now: Millis, may: &dyn Fn(usize) -> bool) -> Option<usize> {
        let own = self.weight(household, StandingKind::Idle) + 1;
        self.first_to_go(StandingKind::Idle, &|place, claim| {
            let loiters = claim.household == household && claim.standing == Standing::Joined;
            let patience_ms = if loiters { LOITER_MS } else { PATIENCE_MS };
            let yields =
                self.weight(claim.household, StandingKind::Idle) > own || now.since(claim.since) >= patience_ms;
            yields && may(place)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn household(last: u8) -> Household {
        Household::of([192, 0, 2, last].into())
    }

    fn claim(last: u8, standing: Standing, since: u64) -> Option<Claim> {
        Some(Claim { household: household(last), standing, since: Millis(since) })
    }

    #[test]
    fn the_household_with_most_goes_first_then_who_is_least_far_then_who_stands_there_longest() {
        use Standing::{Asking, Busy, Greeted, Greeting, Joined, Silent, Waiting};
        let mut claims = Claims::new(16, 7);
        for (place, claim) in [
            claim(1, Silent, 0),
            claim(2, Asking, 9),
            claim(2, Greeting, 8),
            claim(2, Greeting, 6),
            claim(2, Busy, 0),
            claim(3, Greeted, 1),
            claim(3, Greeted, 1),
            claim(4, Waiting, 5),
            claim(4, Joined, 6),
        ]
        .into_iter()
        .enumerate()
        {
            claims.set(place, claim);
        }
        let mut order = Vec::new();
        while let Some(place) = claims.first_to_go(StandingKind::Arriving, &|_, _| true) {
            order.push(place);
            claims.set(place, None);
        }
        assert_eq!(order, [3, 2, 5, 0, 6, 1]);
        assert_eq!(claims.first_to_go(StandingKind::Idle, &|_, _| true), Some(8));
        assert_eq!(claims.first_to_go(StandingKind::Idle, &|place, _| place != 8), Some(7));
    }

    #[test]
    fn idle_ones_yield_to_a_household_with_fewer_and_to_everybody_after_a_while() {
        let mut claims = Claims::new(16, 7);
        for place in 0..3 {
            claims.set(place, claim(1, Standing::Joined, 1000 + place as u64));
        }
        let yields = |household, now| claims.first_to_yield(household, Millis(now), &|_| true);
        assert_eq!(yields(household(2), 2000), Some(0));
        assert_eq!(yields(household(1), 999 + LOITER_MS), None);
        assert_eq!(yields(household(1), 1000 + LOITER_MS), Some(0));
        claims.set(0, claim(1, Standing::Waiting, 1000));
        claims.set(1, claim(1, Standing::Waiting, 1000));
        claims.set(2, claim(1, Standing::Waiting, 1000));
        let yields = |household, now| claims.first_to_yield(household, Millis(now), &|_| true);
        assert_eq!(yields(household(1), 999 + PATIENCE_MS), None);
        assert_eq!(yields(household(1), 1000 + PATIENCE_MS), Some(0));
        claims.set(2, None);
        claims.set(1, None);
        assert_eq!(claims.first_to_yield(household(2), Millis(2000), &|_| true), None);
    }

    /// More than the 32 entries of a table for twelve places, so that several have the same home.
    const HOUSEHOLDS: u8 = 40;

    proptest! {
        #[test]
        fn weights_are_what_is_there(steps in prop::collection::vec((0..12_usize, 0..HOUSEHOLDS, 0..10_usize), 0..200)) {
            use Standing::*;
            let standings = [Leaving, Silent, Greeting, Greeted, Asking, Joined, Waiting, Publishing, Busy];
            let mut claims = Claims::new(12, 99);
            let mut model = [None; 12];
            for (place, address, standing) in steps {
                model[place] = standings.get(standing).map(|&standing| (address, standing));
                claims.set(place, model[place].and_then(|(address, standing)| claim(address, standing, 0)));
                let all = |kind| model.iter().flatten().filter(|(_, standing)| standing.kind() == kind).count();
                prop_assert_eq!(claims.arriving, all(StandingKind::Arriving));
                for address in 0..HOUSEHOLDS {
                    let held: Vec<StandingKind> = model.iter().flatten().filter(|(of, _)| *of == address).map(|(_, standing)| standing.kind()).collect();
                    let count = |kind| held.iter().filter(|&&held| held == kind).count() as u32;
                    let household = household(address);
                    prop_assert_eq!(claims.held_by(household) as usize, held.len());
                    prop_assert_eq!(claims.weight(household, StandingKind::Arriving), count(StandingKind::Arriving));
                    prop_assert_eq!(claims.weight(household, StandingKind::Idle), count(StandingKind::Idle));
                }
                let held = (0..HOUSEHOLDS).map(|address| claims.held_by(household(address)));
                prop_assert_eq!(Some(claims.most_of_one()), held.max());
            }
        }
    }
}
