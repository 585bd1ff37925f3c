//! Viewers who are due the same: most of a stream's stand at the same tag, and watch it in the same form. What they are due is framed once
//! for all of them, and one write each sends it.

use std::io::IoSlice;

use crate::handles::{SlotIndex, StreamId};
use crate::live::names::Media;
use crate::live::reader::{StreamView, lags};
use crate::live::settings::Settings;
use crate::media::{Cursor, Piece, TagSeq, frame};
use crate::server::Server;
use crate::server::fanout::Together;
use crate::server::flow::next_writable;
use crate::server::pace::WRITE_BYTES;
use crate::server::slot::{Slot, SlotState};
use crate::server::slots::Slots;
use crate::server::transport::Net;
use crate::server::words::account;
use crate::time::Millis;

use super::carrier::Carrier;
use super::live::{PIECES, TAGS};
use super::viewer::{Viewer, ViewerFormat, ViewerFrame};

/// So many who are due something else are passed over in search of more who are due the same.
const OTHERS: usize = 8;

/// What viewers are due who stand at the same tag.
struct Run<'r> {
    media: &'r Media,
    from: TagSeq,
    to: TagSeq,
    format: ViewerFormat,
    carrier: Carrier,
    /// Tags of which something is sent, and how much.
    tags: heapless::Vec<(TagSeq, ViewerFrame, usize), TAGS>,
    pieces: heapless::Vec<Piece<'r>, PIECES>,
    bytes: usize,
}

impl<'r> Run<'r> {
    /// `None` for what takes more than one plain write, and for nothing.
    fn new(media: &'r Media, viewer: &Viewer, from: TagSeq, settings: &Settings, now: Millis) -> Option<Run<'r>> {
        let mut cursor = Cursor::at(from);
        if lags(cursor, media, settings.player_lag_ms, now) {
            return None;
        }
        let (mut format, carrier) = (viewer.format, viewer.carrier);
        let (mut tags, mut pieces, mut bytes) = (heapless::Vec::new(), heapless::Vec::new(), 0);
        while let Some(tag) = media.ring().tag_at(&mut cursor).ok()? {
            let frame = format.frame(carrier, media, &tag, None).ok()?;
            let mut at = 0;
            while let Some(piece) = frame::piece(&frame, media.ring(), tag.seq, at) {
                at += piece.bytes().len() as u32;
                pieces.push(piece).ok()?;
            }
            if at > 0 {
                bytes += at as usize;
                tags.push((tag.seq, frame, at as usize)).ok()?;
            }
            if bytes > WRITE_BYTES {
                return None;
            }
            cursor = Cursor::behind(tag.seq);
        }
        let run = Run { media, from, to: cursor.seq, format: viewer.format, carrier, tags, pieces, bytes };
        (bytes > 0).then_some(run)
    }

    /// Its bytes one behind the other, as far as there is room for them: a frame of FLV or fMP4 has its payload between bytes of its own,
    /// and the kernel walks the pieces anew for each viewer.
    fn gathered<'g>(&'g self, room: &'g mut [u8]) -> heapless::Vec<IoSlice<'g>, PIECES> {
        let mut slices = heapless::Vec::new();
        match room.get_mut(..self.bytes) {
            Some(room) if self.pieces.len() > 1 => {
                let mut rest = &mut *room;
                for piece in &self.pieces {
                    let (here, behind) = rest.split_at_mut(piece.bytes().len());
                    here.copy_from_slice(piece.bytes());
                    rest = behind;
                }
                slices.extend([IoSlice::new(room)]);
            }
            _ => slices.extend(self.pieces.iter().map(|piece| IoSlice::new(piece.bytes()))),
        }
        slices
    }

    fn is_due_to(&self, viewer: &Viewer, next: TagSeq) -> bool {
        self.from == next && self.carrier == viewer.carrier && self.format.is_same(&viewer.format)
    }

    /// So many bytes of it were sent to a viewer. True when that is all.
    fn sent(&self, viewer: &mut Viewer, bytes: usize) -> bool {
        if bytes == self.bytes {
            viewer.reader.moved_to(Cursor::at(self.to));
            return true;
        }
        let mut rest = bytes;
        for (seq, frame, of_tag) in &self.tags {
            if rest == 0 {
                break;
            }
            viewer.reader.moved_to(Cursor::at(*seq));
            viewer.reader.sent_framed(frame, self.media, rest.min(*of_tag));
            rest = rest.saturating_sub(*of_tag);
        }
        false
    }
}

/// The slot of a viewer of that stream, and how it watches.
fn viewer_at(slots: &mut Slots, index: SlotIndex, id: StreamId) -> Option<(&mut Slot, &mut Viewer)> {
    let (slot, http) = slots.http_at(index)?;
    Some((slot, http.viewer_mut().filter(|viewer| viewer.reader.stream() == id)?))
}

/// The next tag of a viewer whom nothing but tags is due, as they come.
fn flows_from(slot: &Slot, viewer: &Viewer, media: &Media, now: Millis) -> Option<TagSeq> {
    let waits_for_nothing = slot.tx.is_empty()
        && viewer.ends.is_none()
        && !(slot.limited || slot.blocked)
        && slot.blocked_since.is_none()
        && viewer.format.flows(viewer.carrier, media, now);
    let flows = slot.state == SlotState::Open && slot.playing == 1 && waits_for_nothing;
    viewer.reader.flows_from().filter(|_| flows)
}

impl Server {
    /// Sends a viewer of a stream, and those behind it who are due the same, what that is.
    pub(in crate::server) fn fan_out_viewers<N: Net>(
        &mut self,
        net: &mut N,
        id: StreamId,
        first: SlotIndex,
        now: Millis,
    ) -> Together {
        let Server { slots, live, settings, counters, wakes, reading, .. } = self;
        let Some(media) = StreamView::of(&live.names, id).media else { return Together::Alone };
        let run = {
            let Some((slot, viewer)) = viewer_at(slots, first, id) else { return Together::Alone };
            match flows_from(slot, viewer, media, now) {
                Some(next) if next >= media.ring().readable_head() => return Together::Served,
                Some(next) => Run::new(media, viewer, next, settings, now),
                None => None,
            }
        };
        let Some(run) = run else { return Together::Alone };
        let slices = run.gathered(&mut reading.scratch);
        let (mut from, mut others) = (first.at(), 0);
        while others < OTHERS
            && let Some(index) = next_writable(live.names.stream(id), wakes, &mut from)
        {
            let is_due = |(slot, viewer): &(&mut Slot, &mut Viewer)| {
                flows_from(slot, viewer, media, now).is_some_and(|next| run.is_due_to(viewer, next))
            };
            let Some((slot, viewer)) = viewer_at(slots, index, id).filter(is_due) else {
                others += 1;
                continue;
            };
            match account(slot, net.write(index, &slices), 0, now) {
                Ok(written) => {
                    counters.bytes_out += written as u64;
                    slot.last_use = Some(now);
                    if !run.sent(viewer, written) {
                        return Together::Stopped(index, None);
                    }
                }
                Err(flush) => return Together::Stopped(index, Some(flush)),
            }
        }
        Together::Served
    }
}
