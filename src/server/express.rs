//! What nearly every write touches. A player in the state that nearly all are in nearly always (it plays one stream, is due
//! nothing but the ring's bytes, and stands between two tags) is *express*: it is written to from a line of memory in a dense
//! table, and its slot of 12 KiB is not looked at. With hundreds of players the fan-out waits for memory more than for
//! anything else of ours.
//!
//! The line runs ahead of the slot, and whoever takes the slot to change it ends that: [`Slots::at`] and its like write the
//! line back first, so that no other code knows of it. Who only reads slots has all written back first
//! ([`Slots::write_back_all`]), or adds what the line says ([`Slots::ahead`]).

use std::io::IoSlice;

use crate::handles::{SlotIndex, StreamId};
use crate::live::names::Media;
use crate::live::reader::lags;
use crate::live::settings::Settings;
use crate::media::{Cursor, TagSeq};
use crate::time::Millis;

use super::Server;
use super::close::CloseReason;
use super::fanout::{Flush, WRITE_BYTES};
use super::rtmp::Rtmp;
use super::slots::{Role, Slot, SlotState, Slots};
use super::speaks::Speaks;
use super::transport::{Io, Net};

/// A player's line. An old line of 32 bytes holds it.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(32))]
pub(super) struct Express {
    /// What it plays; `None` while the slot is not express.
    stream: Option<StreamId>,
    /// It is not sent Enhanced RTMP as the ring holds it.
    legacy: bool,
    /// The tag that it is due next.
    next: TagSeq,
    /// Bytes sent that the slot does not know of.
    pub(super) bytes: u64,
    /// When the last of them were taken.
    taken: Millis,
}

const _: () = assert!(size_of::<Express>() == 32, "a cache line of the smallest boards");

impl Express {
    /// Where the player is, if the slot does not know.
    pub(super) fn cursor(&self) -> Option<Cursor> {
        self.stream.map(|_| Cursor::at(self.next))
    }

    /// The slot learns what it does not know.
    fn write_back(&mut self, slot: &mut Slot, speaks: &mut Speaks) {
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
    fn express(&self, slot: &Slot) -> Option<Express> {
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
    fn stop_express(&mut self, index: SlotIndex, cursor: Cursor) {
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

    fn express_of(&mut self, index: SlotIndex, stream: StreamId) -> Option<&mut Express> {
        Some(&mut self.express[index.at()]).filter(|express| express.stream == Some(stream))
    }
}

/// What players are due who all stand at the same tag, which nearly all of a stream do.
struct Run<'r> {
    from: TagSeq,
    slices: [IoSlice<'r>; 2],
    count: usize,
    bytes: usize,
    to: TagSeq,
    /// There is Enhanced RTMP among it.
    enhanced: bool,
}

impl<'r> Run<'r> {
    /// `None` for what takes more than one plain write: a lag, a ring that has passed them, more than a write carries.
    fn new(media: &'r Media, from: TagSeq, settings: &Settings, now: Millis) -> Option<Run<'r>> {
        let mut cursor = Cursor::at(from);
        media.ring().tag_at(&mut cursor).ok()?;
        if lags(cursor, media, settings.player_lag_ms, now) {
            return None;
        }
        let due = media.ring().slices(&mut cursor, WRITE_BYTES).ok()?;
        let bytes = due[0].len() + due[1].len();
        media.ring().advance(&mut cursor, bytes);
        if !cursor.at_tag_boundary() || cursor.seq < media.ring().readable_head() {
            return None;
        }
        let slices = due.map(IoSlice::new);
        let count = if due[1].is_empty() { 1 } else { 2 };
        let enhanced = media.is_enhanced_from(Cursor::at(from));
        Some(Run { from, slices, count, bytes, to: cursor.seq, enhanced })
    }
}

impl Server {
    /// Sends the stream's players at `from` and behind what they are due, as far as they are express. The first that is not,
    /// or that has to be looked at as a whole, is what comes back, with what became of it so far.
    pub(super) fn fan_out_express<N: Net>(
        &mut self,
        net: &mut N,
        id: StreamId,
        from: &mut usize,
        now: Millis,
    ) -> Option<(SlotIndex, Option<Flush>)> {
        let Server { slots, live, settings, counters, wakes, .. } = self;
        let stream = live.names.stream(id);
        let mut next = || {
            while let Some(at) = stream.players.next_from(*from) {
                *from = at + 1;
                let index = SlotIndex(at as u32);
                if wakes.is_writable(index) {
                    return Some(index);
                }
            }
            None
        };
        let Some(ring) = stream.ring else { return next().map(|index| (index, None)) };
        let media = live.names.media(ring);
        let mut run: Option<Run<'_>> = None;
        while let Some(index) = next() {
            let Some(express) = slots.express_of(index, id) else { return Some((index, None)) };
            if run.as_ref().is_none_or(|run| run.from != express.next) {
                run = Run::new(media, express.next, settings, now);
            }
            let Some(run) = &run else { return Some((index, None)) };
            if run.bytes == 0 {
                continue;
            }
            if run.enhanced && express.legacy {
                return Some((index, None));
            }
            match net.write(index, &run.slices[..run.count]) {
                Io::Done(written) | Io::Last(written) => {
                    counters.bytes_out += written as u64;
                    express.bytes += written as u64;
                    express.taken = now;
                    if written == run.bytes {
                        express.next = run.to;
                        continue;
                    }
                    let mut cursor = Cursor::at(run.from);
                    media.ring().advance(&mut cursor, written);
                    slots.stop_express(index, cursor);
                    return Some((index, None));
                }
                Io::WouldBlock => {
                    slots.at(index).blocked_since = Some(now);
                    return Some((index, Some(Flush::Blocked)));
                }
                Io::Broken(loss) => return Some((index, Some(Flush::Gone(CloseReason::from(loss))))),
            }
        }
        None
    }
}
