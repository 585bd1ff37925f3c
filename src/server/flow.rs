//! The fan-out to players who are express ([`super::express`]): what they are due is asked of the ring once for all who stand at the
//! same tag, and one write each sends it.

use std::io::IoSlice;

use crate::handles::{SlotIndex, StreamId};
use crate::live::names::{Media, Stream};
use crate::live::reader::lags;
use crate::live::settings::Settings;
use crate::media::{Cursor, TagSeq};
use crate::time::Millis;

use super::Server;
use super::close::CloseReason;
use super::fanout::Flush;
use super::pace::WRITE_BYTES;
use super::transport::{Io, Net};
use super::wakes::Wakes;

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

/// The next of the stream's players at `from` or behind whom the network may take bytes of. It is asked once a write, and what boards are
/// built for, which is size, would make two calls of it.
#[inline(always)]
pub(super) fn next_writable(stream: &Stream, wakes: &Wakes, from: &mut usize) -> Option<SlotIndex> {
    while let Some(at) = stream.players.next_from(*from) {
        *from = at + 1;
        let index = SlotIndex(at as u32);
        if wakes.is_writable(index) {
            return Some(index);
        }
    }
    None
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
        let Some(ring) = stream.ring else { return next_writable(stream, wakes, from).map(|index| (index, None)) };
        let media = live.names.media(ring);
        let mut run: Option<Run<'_>> = None;
        while let Some(index) = next_writable(stream, wakes, from) {
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
