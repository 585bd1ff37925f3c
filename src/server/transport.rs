//! What the server needs of a network. `net` implements it with sockets, tests with a simulation.

use core::net::SocketAddr;
use std::io::IoSlice;

use crate::handles::SlotIndex;

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

/// How a connection is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The client's system says so: its program has ended or closed the connection, with something of ours unread. A viewer
    /// who presses stop does.
    Client,
    /// Nothing comes through any more, or a router says so.
    Network,
}

/// Non-blocking connections, named by the slot that the server gave them.
pub trait Net {
    /// The next waiting connection, if any; it waits until it is adopted or refused.
    fn accept(&mut self) -> Option<SocketAddr>;
    /// The connection of the last `accept` belongs to `slot` from now on. False when it broke meanwhile.
    fn adopt(&mut self, slot: SlotIndex) -> bool;
    /// The connection of the last `accept` is closed.
    fn refuse(&mut self);
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
}
