//! Writing a part of a stream from where it lies in the ring.

use std::io::IoSlice;

use crate::handles::SlotIndex;
use crate::live::reader::StreamView;
use crate::media::Piece;
use crate::server::Server;
use crate::server::close::CloseReason;
use crate::server::fanout::Flush;
use crate::server::speaks::Speaks;
use crate::server::transport::Net;
use crate::server::words::account;
use crate::time::Millis;

use super::body::Content;
use super::ring_part::{INIT_BYTES, PIECES};
use super::{HttpPhase, Sending};

impl Server {
    /// One write of a part of a stream; `None` when all of it was sent.
    pub(super) fn step_ring_part<N: Net>(
        &mut self,
        net: &mut N,
        index: SlotIndex,
        now: Millis,
    ) -> Option<Result<(), Flush>> {
        let Server { slots, live, .. } = self;
        let (slot, Speaks::Http(http)) = slots.both(index) else { return None };
        let HttpPhase::Sending(Sending { body: Content::Ring(part), sent, .. }) = &mut http.phase else { return None };
        let left = part.bytes() - *sent;
        if left == 0 && slot.tx.is_empty() {
            return None;
        }
        let Some(media) = StreamView::of(&live.names, part.stream).media else {
            return Some(Err(Flush::Gone(CloseReason::TooSlow)));
        };
        let mut room = [0; INIT_BYTES];
        let init = match part.has_init() {
            true => match part.next_init(media, &mut room) {
                Some(init) => init,
                None => return Some(Err(Flush::Gone(CloseReason::TooSlow))),
            },
            false => &[],
        };
        let pieces = if init.is_empty() { part.next(media) } else { heapless::Vec::new() };
        if left > 0 && init.is_empty() && pieces.is_empty() {
            // It was overwritten before it was sent.
            return Some(Err(Flush::Gone(CloseReason::TooSlow)));
        }
        let said = slot.tx.pending().len();
        let io = {
            let mut slices = heapless::Vec::<IoSlice<'_>, { PIECES + 2 }>::new();
            for bytes in [slot.tx.pending(), init].into_iter().chain(pieces.iter().map(Piece::bytes)) {
                if !bytes.is_empty() {
                    let _ = slices.push(IoSlice::new(bytes));
                }
            }
            net.write(index, &slices)
        };
        Some(account(slot, io, said, now).map(|of_body| {
            *sent += of_body as u64;
            part.sent(media, of_body);
        }))
    }
}
