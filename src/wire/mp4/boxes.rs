//! Boxes as they are written (ISO/IEC 14496-12, 4.2): all of them, from the first byte to the last, of which whoever asks takes a part.
//!
//! A structure is a function of what it says, and says it anew each time: what is asked for from byte N on begins with N bytes that go
//! nowhere. So a structure of any length goes through a buffer of any length, and nobody keeps a copy of it.

/// Bytes of a box's header.
pub(super) const BOX: u32 = 8;
/// The same with version and flags.
pub(super) const FULL_BOX: u32 = 12;

/// The part of a structure that is wanted.
pub(super) struct BoxPart<'o> {
    /// Bytes still to leave out.
    skip: u64,
    out: &'o mut [u8],
    filled: usize,
}

impl<'o> BoxPart<'o> {
    /// From byte `from` on, as much as `out` has room for.
    pub(super) fn new(from: u64, out: &'o mut [u8]) -> BoxPart<'o> {
        BoxPart { skip: from, out, filled: 0 }
    }

    /// Bytes that were wanted and are there.
    pub(super) fn filled(&self) -> usize {
        self.filled
    }

    /// Nothing more is wanted: what is left of the structure need not be said.
    pub(super) fn is_full(&self) -> bool {
        self.filled == self.out.len()
    }

    /// So many bytes of the structure that nobody has to make: `false` when some of them are wanted.
    pub(super) fn passes(&mut self, bytes: u64) -> bool {
        let passes = bytes <= self.skip;
        if passes {
            self.skip -= bytes;
        }
        passes
    }

    /// The next bytes.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        let left_out = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
        self.skip -= left_out as u64;
        let wanted = &bytes[left_out..];
        let room = &mut self.out[self.filled..];
        let count = wanted.len().min(room.len());
        room[..count].copy_from_slice(&wanted[..count]);
        self.filled += count;
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.put(&value.to_be_bytes());
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.put(&value.to_be_bytes());
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.put(&value.to_be_bytes());
    }

    /// Several of 32 bits.
    pub(super) fn words(&mut self, values: &[u32]) {
        values.iter().for_each(|value| self.u32(*value));
    }

    pub(super) fn zeros(&mut self, mut count: usize) {
        const ZEROS: [u8; 32] = [0; 32];
        while count > 0 {
            let some = count.min(ZEROS.len());
            self.put(&ZEROS[..some]);
            count -= some;
        }
    }

    /// The header of a box that is so long altogether.
    pub(super) fn open(&mut self, kind: &[u8; 4], bytes: u32) {
        self.u32(bytes);
        self.put(kind);
    }

    /// The same of one with version and flags.
    pub(super) fn open_full(&mut self, kind: &[u8; 4], bytes: u32, version: u8, flags: u32) {
        self.open(kind, bytes);
        self.u32(u32::from(version) << 24 | flags);
    }
}
