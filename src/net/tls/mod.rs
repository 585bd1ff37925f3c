//! TLS under the protocols: a door is secure or not, and who reads and writes knows nothing of it.
//!
//! Each connection has a place of a table that was obtained at start, with room for one record that comes and one that goes
//! (`buffers`). Between both rustls works (`records`); in a build without it (the feature `tls`) no place is ever taken.
//!
//! A handshake takes milliseconds of a small processor, for a signature and a key exchange, and nobody's frame is to be late for it: after
//! each the next one rests three times as long as it took (`Pace`), so that a flood of hellos has a quarter of the
//! processor, and one step of it in a turn of the loop. Who waits goes on in the order in which they came.

mod authorities;
mod buffers;
pub mod caller;
mod identity;
#[cfg_attr(not(feature = "tls"), path = "no_records.rs")]
mod records;

use std::io::{IoSlice, Read};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::TcpStream;

use crate::account;
use crate::handles::SlotIndex;
use crate::limits::Row;
use crate::server::close::{Loss, TlsFault};
use crate::server::transport::Io;
use crate::wire::handshake::{FirstByte, first_byte};

use super::outcome::outcome;

use authorities::AUTHORITIES_BYTES;
use buffers::{BUFFER_BYTES, CipherInput, CipherOutput, PLAIN_BYTES, PlainSink, RECORD_BYTES, Said, TlsProgress};
use identity::Offered;
use records::{Believed, Records};

pub use authorities::TlsAuthorities;
pub use identity::{TlsFiles, TlsIdentity, TlsOffer};

/// What rustls has on its heap for a connection between two steps, in bytes: it is 2 KiB, in either version, and `tests/tls` fails beyond
/// this.
pub const LIBRARY_BYTES: usize = 8 << 10;
/// What it has more during a step, which one connection makes at a time, in bytes: while a record is encrypted or decrypted, a
/// certificate is read, or a hello is answered.
pub const STEP_BYTES: usize = 40 << 10;
/// What it has besides of the far end's certificates, which are no longer than a record, for a connection that we make, in bytes.
pub const FAR_CHAIN_BYTES: usize = 20 << 10;
/// The alert that ends a handshake: fatal, handshake_failure (RFC 5246, section 7.2; RFC 8446, section 6).
const HANDSHAKE_FAILURE: [u8; 7] = [0x15, 3, 3, 0, 2, 2, 40];
/// A handshake rests so many times as long as the one before it took.
const REST: u32 = 3;
/// A handshake that has lasted longer gives way to a newcomer when all places are taken.
const STALE: Duration = Duration::from_secs(1);

/// Rows of the memory table for so many connections, of which the server makes at most `dialled`.
pub fn memory(connections: usize, dialled: usize) -> [Row; 4] {
    [
        Row::new("TLS connections", connections, size_of::<TlsPlace>() + BUFFER_BYTES + LIBRARY_BYTES),
        Row::new("TLS: a step under way", connections.min(1), RECORD_BYTES + PLAIN_BYTES + STEP_BYTES),
        Row::new("TLS: certificates of far ends", dialled.min(connections), FAR_CHAIN_BYTES),
        Row::new("TLS: authorities", dialled.min(1), AUTHORITIES_BYTES),
    ]
}

/// A place of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsIndex(u16);

/// A connection's TLS.
struct TlsPlace {
    /// `None` while the place is free.
    records: Option<Records>,
    slot: SlotIndex,
    begun: Instant,
    /// We made the connection.
    is_dialled: bool,
    state: TlsState,
    input: CipherInput,
    output: CipherOutput,
    /// Input was not given to the records, for handshakes rest.
    is_held: bool,
    /// When it is its turn to go on, among those who are held.
    waits: Option<u64>,
    /// Somebody wanted to write before it was open.
    wants_write: bool,
    /// Nothing will be written any more, ...
    has_finished: bool,
    /// ... and the socket is to say so when the output is empty.
    finishing: bool,
}

/// How far a connection is, and how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TlsState {
    /// Nothing has come.
    New,
    /// In its handshake.
    Shaking,
    Open,
    /// The peer has no more to say.
    Ended,
    Broken(Loss),
}

/// When the next handshake may take its time.
struct Pace {
    rests_until: Option<Instant>,
    /// Of who waits next.
    ticket: u64,
    /// Somebody waits, or did a moment ago: each turn of the loop asks, and there may be many places.
    is_wanted: bool,
}

/// All connections with TLS.
pub struct TlsTable {
    places: Box<[TlsPlace]>,
    /// Plaintext that whoever asked has no room for, while it is decrypted.
    aside: Box<[u8]>,
    /// Plaintext from several places, while it is encrypted.
    gather: Box<[u8]>,
    offer: TlsOffer,
    identity: Option<TlsIdentity>,
    believed: Option<Arc<Believed>>,
    pace: Pace,
    /// Connections who wait for something that no event will tell of.
    woken: heapless::Deque<SlotIndex, 8>,
}

impl TlsTable {
    /// A table of so many places; connections show what is offered last.
    pub fn new(places: usize, offer: TlsOffer) -> TlsTable {
        let scratch = |bytes| vec![0xA5; if places > 0 { bytes } else { 0 }].into_boxed_slice();
        TlsTable {
            places: core::iter::repeat_with(TlsPlace::new).take(places).collect(),
            // Several records may be taken at once, and hold less than they take.
            aside: scratch(RECORD_BYTES),
            gather: scratch(PLAIN_BYTES),
            offer,
            identity: None,
            believed: None,
            pace: Pace { rests_until: None, ticket: 0, is_wanted: false },
            woken: heapless::Deque::new(),
        }
    }

    /// Until when the certificate that is shown counts, in seconds since 1970.
    pub(super) fn valid_until_s(&mut self) -> Option<u64> {
        self.take_offer();
        self.identity.as_ref().map(|identity| identity.valid_s.1)
    }

    fn take_offer(&mut self) {
        let Offered { identity, believed } = core::mem::take(&mut *self.offer.lock());
        if let Some(identity) = identity {
            let before = self.identity.replace(identity);
            account::protect(|| drop(before));
        }
        if let Some(believed) = believed {
            let before = self.believed.replace(believed);
            account::protect(|| drop(before));
        }
    }

    /// A place for a new connection of the slot: one that somebody has made, or one that is being made to that host. `None` when there is
    /// none.
    pub fn begin(&mut self, slot: SlotIndex, host: Option<&str>) -> Option<TlsIndex> {
        self.take_offer();
        let at = self.places.iter().position(|place| place.records.is_none())?;
        let records = match host {
            None => account::protect(|| records::accept(&self.identity.as_ref()?.keys))?,
            Some(host) => account::protect(|| records::dial(self.believed.as_ref()?, host))?,
        };
        let place = &mut self.places[at];
        place.begin(records, slot, host.is_some());
        if host.is_some() {
            // Who has made it speaks first, as soon as the socket takes bytes.
            let begun = Instant::now();
            place.advance(&mut PlainSink { buffer: &mut [], taken: 0, aside: &mut [], kept: 0 });
            self.pace.took(begun);
        }
        Some(TlsIndex(at as u16))
    }

    /// The slot of the oldest handshake, if that takes longer than it should: its place is free from now on.
    pub(super) fn give_way(&mut self) -> Option<SlotIndex> {
        let shaking = self.places.iter().enumerate().filter(|(_, place)| place.is_shaking() && !place.is_dialled);
        let (at, place) = shaking.min_by_key(|(_, place)| place.begun)?;
        let slot = Some(place.slot).filter(|_| place.begun.elapsed() >= STALE)?;
        self.end(TlsIndex(at as u16));
        let _ = self.woken.push_back(slot);
        Some(slot)
    }

    /// The connection is closed.
    pub(super) fn end(&mut self, at: TlsIndex) {
        let place = &mut self.places[usize::from(at.0)];
        account::protect(|| place.records = None);
        place.waits = None;
    }

    /// Reads what is there, decrypted.
    pub fn read(&mut self, at: TlsIndex, stream: &mut TcpStream, buffer: &mut [u8]) -> Io {
        let TlsTable { places, aside, pace, woken, .. } = self;
        let place = &mut places[usize::from(at.0)];
        if place.has_finished {
            // It is thrown away, and rustls wants nothing that comes behind its own end.
            return outcome(|| stream.read(buffer));
        }
        let mut taken = place.input.take_plain(buffer);
        while taken < buffer.len() {
            if !place.is_held {
                match place.state {
                    TlsState::Ended | TlsState::Broken(_) => break,
                    TlsState::New | TlsState::Shaking | TlsState::Open => {}
                }
                match place.input.fill(stream) {
                    Some(Io::Done(1..) | Io::Last(_)) => {}
                    // Who closes without a word has ended as well: many do, and media and HTTP say themselves what is whole.
                    Some(Io::Done(0)) => place.state = TlsState::Ended,
                    Some(Io::WouldBlock) => break,
                    Some(Io::Broken(loss)) => place.state = TlsState::Broken(loss),
                    None => place.state = TlsState::Broken(Loss::Tls(TlsFault::Protocol)),
                }
                if !matches!(place.state, TlsState::New | TlsState::Shaking | TlsState::Open) {
                    break;
                }
            }
            let begun = (place.state != TlsState::Open).then(Instant::now);
            if begun.is_some_and(|now| pace.makes_wait(now)) {
                place.is_held = true;
                place.waits.get_or_insert_with(|| pace.next_ticket());
                break;
            }
            (place.is_held, place.waits) = (false, None);
            let mut sink = PlainSink { buffer, taken, aside, kept: 0 };
            place.advance(&mut sink);
            taken = sink.taken;
            let kept = sink.kept;
            place.input.keep_plain(&aside[..kept]);
            if let Some(begun) = begun {
                pace.took(begun);
            }
            // What does not fit is sent when the socket takes more.
            if let Io::Broken(loss) = place.output.flush(stream)
                && place.is_carrying()
            {
                place.state = TlsState::Broken(loss);
            }
            if place.wants_write && place.state == TlsState::Open {
                place.wants_write = woken.push_back(place.slot).is_err();
            }
            if kept > 0 {
                break;
            }
        }
        match place.state {
            _ if taken > 0 => Io::Done(taken),
            TlsState::Ended => Io::Done(0),
            TlsState::Broken(loss) => Io::Broken(loss),
            TlsState::New | TlsState::Shaking | TlsState::Open => Io::WouldBlock,
        }
    }

    /// Encrypts and writes as much as fits, in records that are as long as they may be.
    pub fn write(&mut self, at: TlsIndex, stream: &mut TcpStream, slices: &[IoSlice<'_>]) -> Io {
        let place = &mut self.places[usize::from(at.0)];
        match place.state {
            TlsState::Broken(loss) => return Io::Broken(loss),
            TlsState::New | TlsState::Shaking => {
                place.wants_write = true;
                return Io::WouldBlock;
            }
            TlsState::Open | TlsState::Ended => {}
        }
        match place.output.flush(stream) {
            Io::Done(_) | Io::Last(_) => {}
            other => return other,
        }
        let TlsPlace { records: Some(records), input, output, .. } = place else {
            return Io::Broken(Loss::Client);
        };
        let mut taken = 0;
        let mut rest = Unencrypted { slices, at: 0 };
        while let Some(plain) = rest.next(&mut self.gather) {
            if !account::protect(|| records::say(records, input, output, &Said::Plain(plain))) {
                place.state = TlsState::Broken(Loss::Tls(TlsFault::Protocol));
                return Io::Broken(Loss::Tls(TlsFault::Protocol));
            }
            taken += plain.len();
            match output.flush(stream) {
                Io::Done(_) | Io::Last(_) => {}
                Io::WouldBlock => break,
                broken @ Io::Broken(_) => return broken,
            }
        }
        Io::Done(taken)
    }

    /// The socket takes bytes again.
    pub fn flush(&mut self, at: TlsIndex, stream: &mut TcpStream) {
        let place = &mut self.places[usize::from(at.0)];
        // That it is broken the next read or write hears.
        let _ = place.output.flush(stream);
        place.shut(stream);
    }

    /// No more will be written: the peer is told so, behind what waits.
    pub fn finish(&mut self, at: TlsIndex, stream: &mut TcpStream) {
        let place = &mut self.places[usize::from(at.0)];
        if let TlsPlace { records: Some(records), input, output, state: TlsState::Open | TlsState::Ended, .. } = place {
            // A peer who is not told hears the socket's end.
            account::protect(|| records::say(records, input, output, &Said::Close));
        }
        (place.has_finished, place.finishing) = (true, true);
        let _ = place.output.flush(stream);
        place.shut(stream);
    }

    /// Something is there to read that the socket does not know of.
    pub fn has_plain(&self, at: TlsIndex) -> bool {
        self.places[usize::from(at.0)].input.has_plain()
    }

    /// The socket was given all that there was.
    pub(super) fn has_sent(&self, at: TlsIndex) -> bool {
        self.places[usize::from(at.0)].output.is_empty()
    }

    /// How long handshakes still rest, if anybody waits for that.
    pub fn rests_for(&self, now: Instant) -> Option<Duration> {
        let waits = self.pace.is_wanted && self.places.iter().any(|place| place.waits.is_some());
        waits.then(|| self.pace.rests_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now)))
    }

    /// The slot whose handshake goes on. One at a time: its step makes the others wait again.
    pub fn next_rested(&mut self, now: Instant) -> Option<SlotIndex> {
        if !self.pace.is_wanted || self.pace.makes_wait(now) {
            return None;
        }
        let waiting = self.places.iter_mut().filter(|place| place.waits.is_some());
        let Some(next) = waiting.min_by_key(|place| place.waits) else {
            self.pace.is_wanted = false;
            return None;
        };
        next.waits = None;
        Some(next.slot)
    }

    /// A slot that can be read and written, although no event will say so.
    pub(super) fn next_woken(&mut self) -> Option<SlotIndex> {
        self.woken.pop_front()
    }
}

impl TlsPlace {
    fn new() -> TlsPlace {
        TlsPlace {
            records: None,
            slot: SlotIndex(0),
            begun: Instant::now(),
            is_dialled: false,
            state: TlsState::New,
            input: CipherInput::new(),
            output: CipherOutput::new(),
            is_held: false,
            waits: None,
            wants_write: false,
            has_finished: false,
            finishing: false,
        }
    }

    fn begin(&mut self, records: Records, slot: SlotIndex, is_dialled: bool) {
        self.input.clear();
        self.output.clear();
        (self.records, self.slot, self.begun, self.state) = (Some(records), slot, Instant::now(), TlsState::New);
        (self.is_held, self.waits, self.wants_write, self.is_dialled) = (false, None, false, is_dialled);
        (self.has_finished, self.finishing) = (false, false);
    }

    fn is_shaking(&self) -> bool {
        self.records.is_some() && matches!(self.state, TlsState::New | TlsState::Shaking)
    }

    fn is_carrying(&self) -> bool {
        matches!(self.state, TlsState::Shaking | TlsState::Open | TlsState::Ended)
    }

    /// Gives the records what came.
    fn advance(&mut self, sink: &mut PlainSink<'_>) {
        let TlsPlace { records: Some(records), input, output, state, is_dialled, .. } = self else { return };
        let first = input.cipher().first().copied();
        if *state == TlsState::New {
            let fault = match first.map(first_byte) {
                Some(FirstByte::Tls) | None => None,
                // It may begin with an alert.
                Some(_) if *is_dialled => (first != Some(HANDSHAKE_FAILURE[0])).then_some(TlsFault::Other),
                Some(FirstByte::Rtmp) => Some(TlsFault::Rtmp),
                Some(FirstByte::Http) => Some(TlsFault::Http),
                Some(_) => Some(TlsFault::Other),
            };
            if let Some(fault) = fault {
                *state = TlsState::Broken(Loss::Tls(fault));
                return;
            }
        }
        let is_shaking = *state != TlsState::Open;
        *state = match account::protect(|| records::advance(records, input, output, sink)) {
            Ok(TlsProgress::Shaking) if first.is_none() => TlsState::New,
            Ok(TlsProgress::Shaking) => TlsState::Shaking,
            Ok(TlsProgress::Open) => TlsState::Open,
            Ok(TlsProgress::Ended) => TlsState::Ended,
            Err(fault) => {
                if is_shaking && let Some(room) = output.room().first_chunk_mut() {
                    *room = HANDSHAKE_FAILURE;
                    output.add(HANDSHAKE_FAILURE.len());
                }
                TlsState::Broken(Loss::Tls(fault))
            }
        };
    }

    /// The socket says that no more will come, if nothing waits.
    fn shut(&mut self, stream: &TcpStream) {
        if self.finishing && self.output.is_empty() {
            self.finishing = false;
            // It fails only when the connection is gone, which reading tells as well.
            let _ = stream.shutdown(Shutdown::Write);
        }
    }
}

impl Pace {
    fn makes_wait(&self, now: Instant) -> bool {
        self.rests_until.is_some_and(|until| now < until)
    }

    fn next_ticket(&mut self) -> u64 {
        self.is_wanted = true;
        self.ticket += 1;
        self.ticket
    }

    /// A step of a handshake is over that began then.
    fn took(&mut self, begun: Instant) {
        let now = Instant::now();
        self.rests_until = Some(now + (now - begun) * REST);
    }
}

/// What is still to be encrypted of several slices.
struct Unencrypted<'s> {
    slices: &'s [IoSlice<'s>],
    /// Bytes of the first one that were encrypted.
    at: usize,
}

impl<'s> Unencrypted<'s> {
    /// The plaintext of the next record: where it lies, or put together in `gather`.
    fn next<'b>(&mut self, gather: &'b mut [u8]) -> Option<&'b [u8]>
    where
        's: 'b,
    {
        let mut filled = 0;
        while let [first, more @ ..] = self.slices {
            let rest = &first[self.at..];
            let bytes = rest.len().min(PLAIN_BYTES - filled);
            if filled == 0 && (bytes == PLAIN_BYTES || more.is_empty()) && bytes > 0 {
                self.advance(bytes);
                return Some(&rest[..bytes]);
            }
            gather[filled..][..bytes].copy_from_slice(&rest[..bytes]);
            filled += bytes;
            self.advance(bytes);
            if filled == PLAIN_BYTES {
                break;
            }
        }
        (filled > 0).then_some(&gather[..filled])
    }

    fn advance(&mut self, bytes: usize) {
        self.at += bytes;
        if self.at == self.slices[0].len() {
            (self.slices, self.at) = (&self.slices[1..], 0);
        }
    }
}
