//! Writing what is live to a viewer: as many tags in one write as are due, each in its frame, behind what is said before them.

use std::io::IoSlice;

use crate::handles::{SlotIndex, StreamId};
use crate::live::reader::{Due, Form, Reader, StreamView, Terms};
use crate::media::{Piece, frame};
use crate::server::Server;
use crate::server::close::CloseReason;
use crate::server::fanout::Flush;
use crate::server::pace::WRITE_BYTES;
use crate::server::transport::Net;
use crate::server::words::account;
use crate::time::Millis;
use crate::wire::announced::Announced;
use crate::wire::websocket::CloseCode;

use super::carrier::NotSaid;
use super::viewer::ViewerFrame;

/// Most pieces of one write.
pub(super) const PIECES: usize = 64;
/// Most tags of one write: each has a frame's own bytes.
pub(super) const TAGS: usize = 16;

/// What comes of one step.
pub(super) enum LiveStep {
    /// Something was written, or changed.
    Wrote,
    /// It was too slow, and goes on elsewhere.
    Skipped(StreamId),
    /// It ends here.
    Ends(CloseCode),
    /// It was told to go, for this reason, and may now.
    Leaves(CloseReason),
    /// The flush ends, for this reason.
    Stops(Flush),
}

/// A tag that a write sends.
struct DueFrame {
    frame: ViewerFrame,
    /// The reader of whom it is due.
    reader: Reader,
    /// So many bytes of it.
    bytes: usize,
}

/// What one write sends.
struct Batch<'r> {
    pieces: heapless::Vec<Piece<'r>, PIECES>,
    tags: heapless::Vec<DueFrame, TAGS>,
    bytes: usize,
}

impl Server {
    /// One write to a viewer, or what else comes next. `asked` says whether its lag was asked in this flush.
    pub(super) fn step_live<N: Net>(
        &mut self,
        net: &mut N,
        index: SlotIndex,
        asked: &mut bool,
        now: Millis,
    ) -> LiveStep {
        let Server { slots, live, settings, counters, .. } = self;
        let (slot, speaks) = slots.both(index);
        let Some(viewer) = speaks.http_mut().and_then(|http| http.viewer_mut()) else {
            return LiveStep::Stops(Flush::Idle);
        };
        if slot.playing == 0 {
            return LiveStep::Stops(Flush::Idle);
        }
        let id = viewer.reader.stream();
        let source = StreamView::of(&live.names, id);
        let within = viewer.is_within_tag();
        if !within && let Some(reason) = viewer.leaves {
            return LiveStep::Leaves(reason);
        }
        if slot.limited && !within && slot.is_dry(now) && slot.tx.is_empty() {
            return LiveStep::Stops(Flush::Limited);
        }
        if !within && let Some(media) = source.media {
            let viewers = || live.names.stream(id).players.len() as u32;
            viewer.say_now(media.time().present(), viewers, now, &mut slot.tx);
        }
        let mut batch = Batch { pieces: heapless::Vec::new(), tags: heapless::Vec::new(), bytes: 0 };
        let most_tags = if within || slot.limited { 1 } else { TAGS };
        // Where it is when all of that was sent.
        let mut ahead = viewer.reader;
        while batch.tags.len() < most_tags && !batch.pieces.is_full() && batch.bytes < WRITE_BYTES {
            let terms = Terms {
                now,
                most_lag_ms: (!*asked && batch.tags.is_empty()).then_some(settings.player_lag_ms),
                form: Form::Framed,
                knows: Announced::ALL,
            };
            let due = ahead.due(source, &terms);
            if !batch.tags.is_empty() && !matches!(due, Due::Tag(..)) {
                break;
            }
            let (tag, offset, media) = match (due, source.media) {
                (Due::Tag(tag, offset), Some(media)) => (tag, offset, media),
                (Due::Header(header, time), Some(media)) => {
                    match viewer.say_header(media, header, time, &mut slot.tx) {
                        Ok(()) => ahead.taken(&due),
                        // When what waits has been sent.
                        Err(NotSaid::Later) => break,
                        Err(NotSaid::Anew) => return LiveStep::Ends(CloseCode::Normal),
                    }
                    viewer.reader = ahead;
                    continue;
                }
                (Due::Skipped, _) => {
                    counters.skips += 1;
                    viewer.reader = ahead;
                    return LiveStep::Skipped(id);
                }
                (Due::Ended, _) => {
                    match viewer.stays(&mut slot.tx) {
                        Ok(true) => {
                            ahead.taken(&due);
                            viewer.reader = ahead;
                            continue;
                        }
                        Ok(false) if slot.tx.is_empty() => {}
                        Ok(false) | Err(_) => break,
                    }
                    return LiveStep::Ends(CloseCode::Normal);
                }
                (Due::TooSlow, _) => return LiveStep::Stops(Flush::Gone(CloseReason::TooSlow)),
                (Due::Switched | Due::LeftOut(_), _) => {
                    ahead.taken(&due);
                    viewer.reader = ahead;
                    continue;
                }
                (Due::Nothing | Due::Bytes(_) | Due::Header(..) | Due::Tag(..), _) => {
                    viewer.reader = ahead;
                    break;
                }
            };
            *asked |= !within;
            let say = batch.tags.is_empty().then_some(&mut slot.tx);
            let frame = match viewer.frame(media, &tag, say) {
                Ok(frame) => frame,
                Err(NotSaid::Later) => break,
                Err(NotSaid::Anew) if batch.tags.is_empty() => return LiveStep::Ends(CloseCode::Normal),
                Err(NotSaid::Anew) => break,
            };
            if batch.tags.is_empty() {
                viewer.reader = ahead;
            }
            if frame::wire_bytes(&frame, media.ring(), tag.seq) == Some(0) {
                ahead.sent_framed(&frame, media, 0);
                if batch.tags.is_empty() {
                    viewer.reader = ahead;
                }
                continue;
            }
            let (reader, mut at) = (ahead, offset);
            while let Some(piece) = frame::piece(&frame, media.ring(), tag.seq, at) {
                let bytes = piece.bytes().len();
                if batch.pieces.push(piece).is_err() {
                    break;
                }
                at += bytes as u32;
                batch.bytes += bytes;
            }
            ahead.sent_framed(&frame, media, (at - offset) as usize);
            let _ = batch.tags.push(DueFrame { frame, reader, bytes: (at - offset) as usize });
        }
        let said = if within { 0 } else { slot.tx.pending().len() };
        if said == 0 && batch.pieces.is_empty() {
            return LiveStep::Stops(Flush::Idle);
        }
        let io = {
            let mut slices = heapless::Vec::<IoSlice<'_>, { PIECES + 1 }>::new();
            if said > 0 {
                let _ = slices.push(IoSlice::new(slot.tx.pending()));
            }
            for piece in &batch.pieces {
                let _ = slices.push(IoSlice::new(piece.bytes()));
            }
            net.write(index, &slices)
        };
        let mut before = slot.bytes_out;
        let mut rest = match account(slot, io, said, now) {
            Ok(of_tags) => of_tags,
            Err(flush) => return LiveStep::Stops(flush),
        };
        if slot.limited {
            slot.charge(&mut before);
        }
        if rest > 0 {
            slot.last_use = Some(now);
        }
        if let Some(media) = source.media {
            for DueFrame { frame, reader, bytes } in &batch.tags {
                if rest == 0 {
                    break;
                }
                viewer.reader = *reader;
                viewer.reader.sent_framed(frame, media, rest.min(*bytes));
                rest = rest.saturating_sub(*bytes);
            }
        }
        LiveStep::Wrote
    }
}
