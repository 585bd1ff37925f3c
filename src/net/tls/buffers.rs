//! The memory of a TLS connection: ciphertext that came and is no whole record yet, and ciphertext that is still to be sent. Both
//! are obtained once for each place of the table.

use std::io::{Read, Write};
use std::ops::Range;

use mio::net::TcpStream;

use crate::net::outcome::outcome;
use crate::server::transport::Io;

/// The longest record (RFC 5246, section 6.2.3; RFC 8446, section 5.2 has less): header, plaintext and what protects it.
pub(super) const RECORD_BYTES: usize = 5 + (1 << 14) + 2048;
/// The plaintext of a record that we send (RFC 8446, section 5.1).
pub(super) const PLAIN_BYTES: usize = 1 << 14;
/// What a record of ours, or what is said in the handshake, takes at most. A chain of certificates that is longer is refused when
/// it is read.
const OUTPUT_BYTES: usize = PLAIN_BYTES + 512;

/// Bytes of both.
pub(super) const BUFFER_BYTES: usize = RECORD_BYTES + OUTPUT_BYTES;

/// What came: plaintext that nobody has taken, and behind it ciphertext that is no whole record.
pub(super) struct CipherInput {
    bytes: Box<[u8]>,
    plain: Range<usize>,
    cipher: Range<usize>,
}

impl CipherInput {
    pub(super) fn new() -> CipherInput {
        CipherInput { bytes: vec![0xA5; RECORD_BYTES].into_boxed_slice(), plain: 0..0, cipher: 0..0 }
    }

    pub(super) fn clear(&mut self) {
        (self.plain, self.cipher) = (0..0, 0..0);
    }

    pub(super) fn has_plain(&self) -> bool {
        !self.plain.is_empty()
    }

    /// Plaintext that waits goes to `buffer`, as far as it fits.
    pub(super) fn take_plain(&mut self, buffer: &mut [u8]) -> usize {
        let bytes = self.plain.len().min(buffer.len());
        buffer[..bytes].copy_from_slice(&self.bytes[self.plain.start..][..bytes]);
        self.plain.start += bytes;
        bytes
    }

    /// Keeps plaintext for later. There is room: the records that it came in were longer, and have left.
    pub(super) fn keep_plain(&mut self, plain: &[u8]) {
        debug_assert!(
            self.plain.is_empty() && plain.len() <= self.cipher.start,
            "a record is longer than what is in it"
        );
        self.bytes[..plain.len()].copy_from_slice(plain);
        self.plain = 0..plain.len();
    }

    pub(super) fn cipher(&mut self) -> &mut [u8] {
        &mut self.bytes[self.cipher.clone()]
    }

    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "nothing is ever decrypted"))]
    pub(super) fn discard(&mut self, bytes: usize) {
        self.cipher.start += bytes;
    }

    /// Reads what is there, as far as there is room. `None` when there is none: no record is that long.
    pub(super) fn fill(&mut self, stream: &mut TcpStream) -> Option<Io> {
        self.bytes.copy_within(self.cipher.clone(), 0);
        (self.plain, self.cipher) = (0..0, 0..self.cipher.len());
        let room = &mut self.bytes[self.cipher.end..];
        if room.is_empty() {
            return None;
        }
        let io = outcome(|| stream.read(room));
        if let Io::Done(bytes) = io {
            self.cipher.end += bytes;
        }
        Some(io)
    }
}

/// Ciphertext that the socket has not taken.
pub(super) struct CipherOutput {
    bytes: Box<[u8]>,
    unsent: Range<usize>,
}

impl CipherOutput {
    pub(super) fn new() -> CipherOutput {
        CipherOutput { bytes: vec![0xA5; OUTPUT_BYTES].into_boxed_slice(), unsent: 0..0 }
    }

    pub(super) fn clear(&mut self) {
        self.unsent = 0..0;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.unsent.is_empty()
    }

    /// Room behind what waits. What was written there is to be [added](CipherOutput::add).
    pub(super) fn room(&mut self) -> &mut [u8] {
        if self.unsent.is_empty() {
            self.unsent = 0..0;
        }
        &mut self.bytes[self.unsent.end..]
    }

    pub(super) fn add(&mut self, bytes: usize) {
        self.unsent.end += bytes;
    }

    /// Writes until nothing waits ([`Io::Done`]), or the socket takes no more.
    pub(super) fn flush(&mut self, stream: &mut TcpStream) -> Io {
        while !self.unsent.is_empty() {
            match outcome(|| stream.write(&self.bytes[self.unsent.clone()])) {
                Io::Done(bytes) | Io::Last(bytes) => self.unsent.start += bytes,
                other => return other,
            }
        }
        Io::Done(0)
    }
}

/// Where plaintext goes that was received: to who asks for it, and what does not fit there aside.
pub(super) struct PlainSink<'s> {
    pub(super) buffer: &'s mut [u8],
    /// Bytes of it that are filled.
    pub(super) taken: usize,
    pub(super) aside: &'s mut [u8],
    /// Bytes of that.
    pub(super) kept: usize,
}

impl PlainSink<'_> {
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "nothing is ever decrypted"))]
    pub(super) fn put(&mut self, plain: &[u8]) {
        let (fits, rest) = plain.split_at(plain.len().min(self.buffer.len() - self.taken));
        self.buffer[self.taken..][..fits.len()].copy_from_slice(fits);
        self.taken += fits.len();
        self.aside[self.kept..][..rest.len()].copy_from_slice(rest);
        self.kept += rest.len();
    }
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "no connection ever makes any"))]
pub(super) enum TlsProgress {
    /// Its handshake needs more of the peer.
    Shaking,
    /// It carries data.
    Open,
    /// It does, and the peer has said that it has no more.
    Ended,
}

/// What is said when a connection may write.
#[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "nothing is ever encrypted"))]
pub(super) enum Said<'p> {
    /// Data, of at most a record.
    Plain(&'p [u8]),
    /// That no more will come.
    Close,
}
