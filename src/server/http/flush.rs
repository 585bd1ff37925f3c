//! Writing answers: what stands in the control bytes, then the body from where it lies.

use std::io::IoSlice;

use crate::handles::SlotIndex;
use crate::server::Server;
use crate::server::close::CloseReason;
use crate::server::fanout::Flush;
use crate::server::pace::WRITE_BYTES;
use crate::server::slot::{Slot, SlotState};
use crate::server::speaks::Speaks;
use crate::server::transport::Net;
use crate::server::words::account;
use crate::time::Millis;

use super::body::{Content, NextPiece, PIECE_BYTES, TextKind, TextPiece, TextPlace, TextProgress};
use super::carrier::LAST_CHUNK;
use super::live::LiveStep;
use super::{Http, HttpPhase, Sending, head};

/// How often in one turn of the loop a client's control bytes are filled with pieces of a text: a row may look at every viewer of a
/// stream.
const FILLS_PER_TURN: usize = 2;
/// What stands around a piece of a text in chunks, and behind the last one.
const CHUNK_BYTES: usize = 16;

/// What comes of one step of a body.
enum Step {
    /// Something is in the control bytes, or was written.
    Wrote,
    /// It was sent to its end.
    End,
    /// There is nothing now.
    Waits,
    /// The rest of it is gone.
    Gone,
}

impl Server {
    /// Writes until nothing is due or the network takes no more.
    pub(in crate::server) fn flush_http<N: Net>(&mut self, net: &mut N, index: SlotIndex, now: Millis) -> Flush {
        if self.slots.peek_both(index).1.http().is_none_or(|http| http.viewer().is_some()) {
            return self.flush_any_http(net, index, now);
        }
        let begun = net.worked_us();
        let flush = self.flush_any_http(net, index, now);
        self.gathering.answered(net.worked_us() - begun);
        flush
    }

    fn flush_any_http<N: Net>(&mut self, net: &mut N, index: SlotIndex, now: Millis) -> Flush {
        let conn = self.slots.id(index);
        let before = self.slots.peek(index).bytes_out;
        let mut asked = false;
        let mut fills = 0;
        let flush = loop {
            let Some((slot, Speaks::Http(http))) = self.slots.both_of(conn) else { return Flush::Idle };
            if slot.bytes_out - before > WRITE_BYTES as u64 {
                // The others first.
                self.wakes.send(index);
                break Flush::Idle;
            }
            if slot.state == SlotState::Open && http.viewer().is_some() {
                match self.step_live(net, index, &mut asked, now) {
                    LiveStep::Wrote => continue,
                    LiveStep::Skipped(id) => {
                        self.live.names.stream_mut(id).trouble.skipped(1);
                        continue;
                    }
                    LiveStep::Stops(flush) => break flush,
                    LiveStep::Leaves(reason) => {
                        self.close_after_flush(conn, reason, now);
                        continue;
                    }
                    LiveStep::Ends(code) => {
                        let Some((_, Speaks::Http(http))) = self.slots.both_of(conn) else { return Flush::Idle };
                        if let Some(viewer) = http.viewer_mut() {
                            viewer.ends = Some(code);
                        }
                        self.close_after_flush(conn, CloseReason::Answered, now);
                        continue;
                    }
                }
            }
            if slot.state == SlotState::Open
                && matches!(&http.phase, HttpPhase::Sending(Sending { body: Content::Ring(_), .. }))
            {
                match self.step_ring_part(net, index, now) {
                    Some(Ok(())) => continue,
                    Some(Err(flush)) => break flush,
                    None => {}
                }
            }
            if slot_fetches(self.slots.peek_both(index)) {
                match self.step_file(net, index, now) {
                    Some(Ok(())) => continue,
                    Some(Err(flush)) => break flush,
                    None => {}
                }
            }
            let Some((slot, Speaks::Http(http))) = self.slots.both_of(conn) else { return Flush::Idle };
            // The body where it lies goes out behind what is said before it, in one write.
            let body: &[u8] = match &http.phase {
                HttpPhase::Sending(Sending { body: Content::Static(bytes), sent, .. }) => &bytes[*sent as usize..],
                HttpPhase::Sending(Sending { body: Content::Text(text), sent, .. }) => {
                    &text.as_bytes()[*sent as usize..]
                }
                _ => &[],
            };
            let body = if slot.state == SlotState::Open { body } else { &[] };
            if !slot.tx.is_empty() || !body.is_empty() {
                let said = slot.tx.pending().len();
                let slices = [IoSlice::new(slot.tx.pending()), IoSlice::new(body)];
                let slices = if body.is_empty() { &slices[..1] } else { &slices[usize::from(said == 0)..] };
                let io = net.write(index, slices);
                match account(slot, io, said, now) {
                    Ok(of_body) => {
                        if let HttpPhase::Sending(sending) = &mut http.phase {
                            sending.sent += of_body as u64;
                        }
                    }
                    Err(flush) => break flush,
                }
                continue;
            }
            if slot.state != SlotState::Open {
                break Flush::Idle;
            }
            if fills == FILLS_PER_TURN {
                // The others first.
                self.wakes.send(index);
                break Flush::Idle;
            }
            match self.step_http(index, now) {
                Step::Wrote => fills += 1,
                Step::Waits => break Flush::Idle,
                Step::Gone => break Flush::Gone(CloseReason::TooSlow),
                Step::End => {
                    self.close_file(index);
                    let Some((slot, Speaks::Http(http))) = self.slots.both_of(conn) else { return Flush::Idle };
                    if !http.answered(!slot.inbox.is_empty(), now) {
                        self.close_after_flush(conn, CloseReason::Answered, now);
                    }
                }
            }
        };
        self.counters.bytes_out += self.slots.peek(index).bytes_out - before;
        flush
    }

    /// All that was said was sent: what comes next, as much of it as goes out in one write.
    fn step_http(&mut self, index: SlotIndex, now: Millis) -> Step {
        let mut wrote = false;
        loop {
            let step = self.step_piece(index, now);
            if !matches!(step, Step::Wrote) {
                // What is in the control bytes goes first, and then the same is found.
                return if wrote { Step::Wrote } else { step };
            }
            wrote = true;
            if self.slots.peek(index).tx.room() < PIECE_BYTES + CHUNK_BYTES {
                return Step::Wrote;
            }
        }
    }

    fn step_piece(&mut self, index: SlotIndex, now: Millis) -> Step {
        let (_, Speaks::Http(http)) = self.slots.both(index) else { return Step::Waits };
        let Http { phase: HttpPhase::Sending(sending), .. } = http else { return Step::Waits };
        let Content::Pieces(pieces) = &mut sending.body else { return Step::End };
        match pieces.next {
            NextPiece::Never => return Step::End,
            NextPiece::At(at) if at > now => return Step::Waits,
            NextPiece::AtOnce | NextPiece::At(_) => {}
        }
        let (what, mut place, is_chunked) = (pieces.what, pieces.place, sending.is_chunked);
        let mut piece = TextPiece::new();
        let mut told = None;
        let progress = if let TextKind::Recordings(since) = what {
            self.recordings_piece(self.slots.id(index), since, &mut place, &mut piece, now)
        } else {
            let (slot, Speaks::Http(http)) = self.slots.peek_both(index) else { return Step::Waits };
            let (peer, request) = (slot.peer.ip(), &http.request);
            if let TextKind::Events(from) = what
                && place == TextPlace::default()
            {
                told = self.change_piece(from, (peer, request), &mut piece);
            }
            match told {
                Some(_) => TextProgress::More,
                None => self.piece(what, &mut place, peer, request, &mut piece, now),
            }
        };
        let (slot, Speaks::Http(Http { phase: HttpPhase::Sending(sending), .. })) = self.slots.both(index) else {
            return Step::Waits;
        };
        let Content::Pieces(pieces) = &mut sending.body else { return Step::End };
        pieces.place = place;
        if told.is_some() {
            pieces.what = TextKind::Events(told);
        }
        pieces.next = match progress {
            TextProgress::More => NextPiece::AtOnce,
            TextProgress::Until(at) => NextPiece::At(at),
            TextProgress::End => NextPiece::Never,
            TextProgress::Gone => return Step::Gone,
        };
        if !piece.is_empty() {
            head::put_piece(&mut slot.tx, piece.as_bytes(), is_chunked);
        }
        if progress == TextProgress::End && is_chunked {
            head::put(&mut slot.tx, LAST_CHUNK);
        }
        Step::Wrote
    }
}

/// A part of a file is on its way.
fn slot_fetches((slot, speaks): (&Slot, &Speaks)) -> bool {
    let fetches = |http: &Http| matches!(&http.phase, HttpPhase::Sending(Sending { body: Content::File(_), .. }));
    slot.state == SlotState::Open && speaks.http().is_some_and(fetches)
}
