//! Every ready bit of the server: who is to be read, who is to be sent something, and who waits for what. A bit that is set
//! stays until its work is done, or until the network says that there is no more for now.

use std::boxed::Box;

use crate::bitset::BitSet;
use crate::handles::{SlotIndex, StreamId};

type Set = BitSet<Box<[u64]>>;

/// What a slot waits for before it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// A publisher that is not read before the merge window ends.
    Gathered,
    /// A place for its instance, or room to tell its script something.
    Script,
    /// Its script to be through with what it has answered.
    Answered,
    /// Tokens, to be sent more.
    ToSend,
    /// Tokens, to be read again.
    ToRead,
    /// To be due nothing, which a feature wants to know.
    Spare,
}

impl Held {
    const COUNT: usize = Held::Spare as usize + 1;
    /// What is void when a connection begins to end. A publisher stays gathered until its window ends.
    const UNTIL_CLOSED: [Held; 5] = [Held::Script, Held::Answered, Held::ToSend, Held::ToRead, Held::Spare];
}

/// The bits.
pub(super) struct Wakes {
    /// A listener has connections.
    pub(super) acceptable: bool,
    readable: Set,
    writable: Set,
    /// Slots with something to send that no stream's due bit speaks of.
    to_send: Set,
    /// Slots whose players of recorded streams are due something.
    to_deliver: Set,
    /// The one of them that comes first: the budget of the last turn ended before it.
    pub(super) delivering_from: usize,
    /// Streams with something for their players.
    due: Set,
    held: [Set; Held::COUNT],
}

/// Slots in turn, once around, beginning where the budget of the last turn ended.
pub(super) struct RoundRobin {
    at: usize,
    end: usize,
    /// How many come when the last slot was: those before the first.
    rest: usize,
}

impl RoundRobin {
    /// `count` slots, beginning with `first`.
    pub(super) fn new(first: usize, count: usize) -> RoundRobin {
        RoundRobin { at: first, end: count, rest: first }
    }

    /// The next one, if there is one more: `find` gives the first that is wanted at a place or behind it.
    pub(super) fn next(&mut self, find: impl Fn(usize) -> Option<SlotIndex>) -> Option<SlotIndex> {
        loop {
            if let Some(index) = find(self.at).filter(|index| index.at() < self.end) {
                self.at = index.at() + 1;
                return Some(index);
            }
            if self.rest == 0 {
                return None;
            }
            (self.at, self.end, self.rest) = (0, self.rest, 0);
        }
    }
}

impl Wakes {
    /// Bits that each slot has, for the memory table.
    pub(super) const PER_SLOT: usize = 4 + Held::COUNT;

    /// No bit is set.
    pub(super) fn new(slots: usize, names: usize) -> Wakes {
        let set = |count: usize| BitSet::new(vec![0; count.div_ceil(64)].into_boxed_slice());
        Wakes {
            acceptable: false,
            readable: set(slots),
            writable: set(slots),
            to_send: set(slots),
            to_deliver: set(slots),
            delivering_from: 0,
            due: set(names),
            held: core::array::from_fn(|_| set(slots)),
        }
    }

    /// Something can be done without the network.
    pub(super) fn is_any(&self) -> bool {
        self.acceptable
            || [&self.readable, &self.to_send, &self.to_deliver, &self.due].into_iter().any(|set| !set.is_empty())
    }

    /// The slot is to be read.
    pub(super) fn read(&mut self, slot: SlotIndex) {
        self.readable.insert(slot.at());
    }

    /// There is nothing to read of the slot, or it is not to be read for now.
    pub(super) fn rest(&mut self, slot: SlotIndex) {
        self.readable.remove(slot.at());
    }

    /// The first slot at `from` or behind it that is to be read.
    pub(super) fn next_readable(&self, from: usize) -> Option<SlotIndex> {
        self.readable.next_from(from).map(|at| SlotIndex(at as u32))
    }

    /// No slot is to be read.
    pub(super) fn none_readable(&self) -> bool {
        self.readable.is_empty()
    }

    /// The network takes bytes of the slot again.
    pub(super) fn writable(&mut self, slot: SlotIndex) {
        if self.writable.insert(slot.at()) {
            self.to_send.insert(slot.at());
        }
    }

    /// The network takes no more of the slot's bytes for now.
    pub(super) fn blocked(&mut self, slot: SlotIndex) {
        self.writable.remove(slot.at());
    }

    /// Whether the network may take bytes of the slot.
    pub(super) fn is_writable(&self, slot: SlotIndex) -> bool {
        self.writable.contains(slot.at())
    }

    /// There is something to send to the slot.
    pub(super) fn send(&mut self, slot: SlotIndex) {
        self.to_send.insert(slot.at());
    }

    /// The first slot at `from` or behind it that is to be sent something. Its bit is taken.
    pub(super) fn take_to_send(&mut self, from: usize) -> Option<SlotIndex> {
        let at = self.to_send.next_from(from)?;
        self.to_send.remove(at);
        Some(SlotIndex(at as u32))
    }

    /// A player of a recorded stream in the slot is due something.
    pub(super) fn deliver(&mut self, slot: SlotIndex) {
        self.to_deliver.insert(slot.at());
    }

    /// It has its turn.
    pub(super) fn delivered(&mut self, slot: SlotIndex) {
        self.to_deliver.remove(slot.at());
    }

    /// Some player of a recorded stream is due something.
    pub(super) fn delivers_any(&self) -> bool {
        !self.to_deliver.is_empty()
    }

    /// The first slot at `from` or behind it with one of them.
    pub(super) fn next_to_deliver(&self, from: usize) -> Option<SlotIndex> {
        self.to_deliver.next_from(from).map(|at| SlotIndex(at as u32))
    }

    /// The stream has something for its players.
    pub(super) fn due(&mut self, stream: StreamId) {
        self.due.insert(usize::from(stream.0));
    }

    /// The first stream at `from` or behind it that has something for its players. Its bit is taken.
    pub(super) fn take_due(&mut self, from: usize) -> Option<StreamId> {
        let at = self.due.next_from(from)?;
        self.due.remove(at);
        Some(StreamId(at as u16))
    }

    /// The slot waits. False when it does already.
    pub(super) fn hold(&mut self, held: Held, slot: SlotIndex) -> bool {
        self.held[held as usize].insert(slot.at())
    }

    /// The slot waits no more. False when it did not.
    pub(super) fn let_go(&mut self, held: Held, slot: SlotIndex) -> bool {
        self.held[held as usize].remove(slot.at())
    }

    /// Whether the slot waits.
    pub(super) fn holds(&self, held: Held, slot: SlotIndex) -> bool {
        self.held[held as usize].contains(slot.at())
    }

    /// Whether any slot waits for one of these.
    pub(super) fn holds_any(&self, held: &[Held]) -> bool {
        held.iter().any(|&held| !self.held[held as usize].is_empty())
    }

    /// The first slot at `from` or behind it that waits.
    pub(super) fn next_held(&self, held: Held, from: usize) -> Option<SlotIndex> {
        self.held[held as usize].next_from(from).map(|at| SlotIndex(at as u32))
    }

    /// How many slots wait, each counted as often as it does.
    pub(super) fn held(&self) -> usize {
        self.held.iter().map(|set| set.len()).sum()
    }

    /// The connection begins to end: what it waited for is void.
    pub(super) fn let_all_go(&mut self, slot: SlotIndex) {
        for held in Held::UNTIL_CLOSED {
            self.let_go(held, slot);
        }
    }

    /// The slot is free.
    pub(super) fn forget(&mut self, slot: SlotIndex) {
        let ready = [&mut self.readable, &mut self.writable, &mut self.to_send, &mut self.to_deliver];
        for set in ready.into_iter().chain(&mut self.held) {
            set.remove(slot.at());
        }
    }
}
