//! Writing to a connection that is sent nothing but what its protocol says: no media, and no ring.

use std::io::IoSlice;

use crate::handles::SlotIndex;
use crate::time::Millis;

use super::Server;
use super::fanout::Flush;
use super::protocol::{Context, Turn};
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
                match net.write(index, &[IoSlice::new(slot.tx.pending())]) {
                    Io::Done(written) | Io::Last(written) => {
                        slot.tx.consume(written);
                        slot.bytes_out += written as u64;
                        counters.bytes_out += if is_counted { written as u64 } else { 0 };
                        (slot.last_taken, slot.blocked_since) = (now, None);
                    }
                    Io::WouldBlock => {
                        slot.blocked_since = slot.blocked_since.or(Some(now));
                        return Flush::Blocked;
                    }
                    Io::Broken(loss) => return Flush::Gone(loss.into()),
                }
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
