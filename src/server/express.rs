//! What nearly every write touches. A player in the state that nearly all are in nearly always (it plays one stream, is due
//! nothing but the ring's bytes, and stands between two tags) is *express*: it is written to from a line of memory in a dense
//! table, and its slot of 12 KiB is not looked at. With hundreds of players the fan-out waits for memory more than for
//! anything else of ours.
//!
//! The line runs ahead of the slot, and whoever takes the slot to change it ends that: `Slots::at` and its like write the
//! line back first, so that no other code knows of it. Who only reads slots has all written back first
//! (`Slots::write_back_all`), or adds what the line says (`Slots::ahead`).

use crate::handles::StreamId;
use crate::media::{Cursor, TagSeq};
use crate::time::Millis;

use super::rtmp::{Role, Rtmp};
use super::slot::{Slot, SlotState};
use super::speaks::Speaks;

/// A player's line. An old line of 32 bytes holds it.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(32))]
pub(super) struct Express {
    /// What it plays; `None` while the slot is not express.
    pub(super) stream: Option<StreamId>,
    /// It is not sent Enhanced RTMP as the ring holds it.
    pub(super) legacy: bool,
    /// The tag that it is due next.
    pub(super) next: TagSeq,
    /// Bytes sent that the slot does not know of.
    pub(super) bytes: u64,
    /// When the last of them were taken.
    pub(super) taken: Millis,
}

const _: () = assert!(size_of::<Express>() == 32, "a cache line of the smallest boards");

impl Express {
    /// Where the player is, if the slot does not know.
    pub(super) fn cursor(&self) -> Option<Cursor> {
        self.stream.map(|_| Cursor::at(self.next))
    }

    /// The slot learns what it does not know.
    pub(super) fn write_back(&mut self, slot: &mut Slot, speaks: &mut Speaks) {
        let bytes = core::mem::take(&mut self.bytes);
        if bytes == 0 {
            return;
        }
        slot.bytes_out += bytes;
        slot.last_taken = self.taken;
        slot.last_use = Some(self.taken);
        if let Some(Role::Playing(reader)) = speaks.rtmp_mut().map(|rtmp| &mut rtmp.roles[0]) {
            reader.moved_to(Cursor::at(self.next));
        }
    }
}

impl Rtmp {
    /// The line of a player who is due nothing but the ring's bytes from now on.
    pub(super) fn express(&self, slot: &Slot) -> Option<Express> {
        let Role::Playing(reader) = &self.roles[0] else { return None };
        let next = reader.flows_from()?;
        let waits_for_nothing = self.tail.is_none()
            && slot.tx.is_empty()
            && self.outbox.is_empty()
            && !(slot.limited || slot.blocked)
            && slot.blocked_since.is_none();
        let express = slot.state == SlotState::Open && slot.playing == 1 && self.plays_plainly() && waits_for_nothing;
        express.then_some(Express {
            stream: Some(reader.stream()),
            legacy: reader.is_legacy(),
            next,
            bytes: 0,
            taken: Millis(0),
        })
    }
}
