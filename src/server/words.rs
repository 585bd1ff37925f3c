//! Writing to a connection that is sent nothing but what its protocol says: no media, and no ring.

use std::io::IoSlice;

use crate::handles::SlotIndex;
use crate::time::Millis;

use super::Server;
use super::fanout::Flush;
use super::protocol::{Context, Turn};
use super::slot::Slot;
use super::transport::{Io, Net};

impl Server {
    /// Writes until all is said, or the network takes no more. What is asked of the server in between is done once a turn.
    pub(super) fn flush_words<N: Net>(&mut self, net: &mut N, index: SlotIndex, now: Millis) -> Flush {
        let conn = self.slots.id(index);
        let is_counted = self.slots.is_client(index);
        let mut asked = false;
        loop {
            let Server { slots, counters, wakes, .. } = self;
            let Some((slot, speaks)) = slots.both_of(conn) else { return Flush::Idle };
            if !slot.tx.is_empty() {
                let (said, before) = (slot.tx.pending().len(), slot.bytes_out);
                let io = net.write(index, &[IoSlice::new(slot.tx.pending())]);
                if let Err(flush) = account(slot, io, said, now) {
                    return flush;
                }
                counters.bytes_out += if is_counted { slot.bytes_out - before } else { 0 };
                continue;
            }
            match speaks.write(&mut Context { tx: &mut slot.tx, now }) {
                Turn::Asks(_) if asked => {
                    // The others first.
                    wakes.send(index);
                    return Flush::Idle;
                }
                Turn::Asks(ask) => {
                    asked = true;
                    self.carry_out(net, conn, ask, now);
                }
                Turn::Ends(reason) => return Flush::Gone(reason),
                Turn::Done | Turn::Waits | Turn::Full if slot.tx.is_empty() => return Flush::Idle,
                Turn::Done | Turn::Waits | Turn::Full => {}
            }
        }
    }
}

/// Accounts for a write of `said` bytes of what the protocol says, and of what stands behind them: how many bytes of the latter were
/// taken.
///
/// # Errors
///
/// How the flush ends when the network took nothing.
pub(super) fn account(slot: &mut Slot, io: Io, said: usize, now: Millis) -> Result<usize, Flush> {
    match io {
        Io::Done(written) | Io::Last(written) => {
            let of_said = written.min(said);
            slot.tx.consume(of_said);
            slot.bytes_out += written as u64;
            (slot.last_taken, slot.blocked_since) = (now, None);
            Ok(written - of_said)
        }
        Io::WouldBlock => {
            slot.blocked_since = slot.blocked_since.or(Some(now));
            Err(Flush::Blocked)
        }
        Io::Broken(loss) => Err(Flush::Gone(loss.into())),
    }
}
