//! What the server needs of a network. `net` implements it with sockets, tests with a simulation.

use core::net::SocketAddr;
use std::io::IoSlice;

use crate::handles::SlotIndex;
use crate::limits::{HANDSHAKE_BYTES, INBOX_BYTES};
use crate::wire::script_link::Entered;

use super::close::Loss;
use super::peer::Peer;
use super::speaks::Door;

/// The reactor's one read buffer in bytes.
pub const READ_BYTES: usize = 64 * 1024;

const _: () = assert!(READ_BYTES > 2 * HANDSHAKE_BYTES + INBOX_BYTES);

/// Result of one read or write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Io {
    /// So many bytes. A read of 0 bytes is the end of what the peer sends.
    Done(usize),
    /// Of a read: so many bytes, not 0, and that was all. The network says when there is more.
    Last(usize),
    /// Nothing now; the network says when there is.
    WouldBlock,
    /// The connection is gone.
    Broken(Loss),
}

/// A connection that somebody made to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Who.
    pub peer: Peer,
    /// At which listener: what is spoken there.
    pub door: Door,
    /// It is spoken in TLS, of which nobody else needs to know.
    pub is_secure: bool,
}

/// What the system's side of the server counts, for the operator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Clients turned away for want of a file descriptor.
    pub turned_away: u64,
    /// Heap allocations since the start, if they are counted.
    pub heap_allocations: Option<usize>,
}

/// Non-blocking connections, named by the slot that the server gave them.
pub trait Net {
    /// The next waiting connection at any door, if there is one; it waits until it is adopted or refused.
    fn accept(&mut self) -> Option<Arrival>;
    /// The connection of the last `accept` belongs to `slot` from now on.
    ///
    /// # Errors
    ///
    /// It broke meanwhile, or there is no place for its TLS.
    fn adopt(&mut self, slot: SlotIndex) -> Result<(), Loss>;
    /// The connection of the last `accept` is closed, behind what of `words` it takes at once.
    fn refuse(&mut self, words: &[u8]);
    /// Begins to connect `slot` to another host. The slot is written to when it is connected, and not before: until then a write
    /// would block, and the network says when it does not. A connection that cannot be had is broken. How long that
    /// may take is for the caller to say, who closes the slot. What is said is secured by TLS if `secure` names the host, for
    /// which the certificate of the other end has to be: it is judged by the clock, which has to be set.
    ///
    /// # Errors
    ///
    /// Not even a socket can be had, or no place for its TLS.
    fn dial(&mut self, slot: SlotIndex, to: SocketAddr, secure: Option<&str>) -> Result<(), Loss>;
    /// Reads what is there.
    fn read(&mut self, slot: SlotIndex, buffer: &mut [u8]) -> Io;
    /// Bytes have arrived that were not read: a sign of life of the peer, whatever keeps the server from reading them.
    fn has_unread(&mut self, slot: SlotIndex) -> bool;
    /// Whether it may wait to tell of what there is to read until it is much: the server will ask in time.
    fn gather(&mut self, slot: SlotIndex, gather: bool);
    /// Writes as much of the slices as fits, in order.
    fn write(&mut self, slot: SlotIndex, slices: &[IoSlice<'_>]) -> Io;
    /// Says that no more will be written; the peer sees it behind all that was.
    fn finish(&mut self, slot: SlotIndex);
    /// The peer's system has all that was written, the end included, although the peer may not have read it. False
    /// where the system does not tell.
    fn has_delivered(&mut self, slot: SlotIndex) -> bool;
    /// Closes the connection. The slot may be given to another one.
    fn close(&mut self, slot: SlotIndex);
    /// Starts a script process, to which `slot` is the connection from now on. `memory_bytes` is what its scripts may have
    /// together. False when the system gives none, of which the log says why.
    fn start_host(&mut self, slot: SlotIndex, memory_bytes: u64) -> bool {
        let _ = (slot, memory_bytes);
        false
    }
    /// Ends the script process of the slot, whatever it does. Its connection is closed by [`Net::close`], as any other.
    fn kill_host(&mut self, slot: SlotIndex) {
        let _ = slot;
    }
    /// What the script process of the slot has computed so far, in microseconds; `None` when it is no more.
    fn host_time_us(&mut self, slot: SlotIndex) -> Option<u64> {
        let _ = slot;
        None
    }
    /// What the script process of the slot is about, or was about when it ended.
    fn host_doing(&self, slot: SlotIndex) -> Option<Entered> {
        let _ = slot;
        None
    }
    /// The time to the peer and back as its system measures it, in microseconds; `None` when it does not.
    fn round_trip_us(&self, slot: SlotIndex) -> Option<u32> {
        let _ = slot;
        None
    }
    /// What the clock shows, in milliseconds since 1970; `None` while it is not set.
    fn clock_ms(&self) -> Option<u64> {
        None
    }
    /// Milliseconds from the machine's start to the server's time 0, and which start that was; `None` where the system does not tell.
    fn started(&self) -> Option<(u64, u32)> {
        None
    }
    /// Processor time that the loop has had, in microseconds, to tell how much something took; 0 where nobody asks that.
    fn worked_us(&self) -> u64 {
        0
    }
    /// Until when the certificate that clients are shown counts, in seconds since 1970; `None` without one.
    fn certificate_ends_s(&mut self) -> Option<u64> {
        None
    }
    /// A number that nobody can guess; `None` when the system has none yet.
    fn random(&mut self) -> Option<u128> {
        None
    }
    /// What is counted on this side.
    fn counted(&self) -> Counted {
        Counted::default()
    }
}
