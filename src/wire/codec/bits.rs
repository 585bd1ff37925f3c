//! Bit reader: the fields of a codec's headers, most significant bit first (H.264, section 7.2 and 9.1).

/// Reads bits from a slice. Every method gives `None` once the bytes have run out, and from then on.
#[derive(Clone, Debug)]
pub struct BitReader<'a> {
    bytes: &'a [u8],
    /// Index of the byte that is next.
    at: usize,
    /// Bits of that byte already taken, 0 to 7.
    taken: u32,
    /// Zero bytes just before `at`, counted only where emulation prevention is removed.
    zeros: u32,
    nal_unit: bool,
}

impl<'a> BitReader<'a> {
    /// Over plain bytes.
    pub fn new(bytes: &'a [u8]) -> BitReader<'a> {
        BitReader { bytes, at: 0, taken: 0, zeros: 0, nal_unit: false }
    }

    /// Over a NAL unit's bytes: the 3 in 00 00 03 is skipped (H.264, section 7.3.1).
    pub fn of_nal_unit(bytes: &'a [u8]) -> BitReader<'a> {
        BitReader { nal_unit: true, ..BitReader::new(bytes) }
    }

    /// One bit.
    pub fn flag(&mut self) -> Option<bool> {
        if self.nal_unit && self.taken == 0 && self.zeros >= 2 && self.bytes.get(self.at) == Some(&3) {
            self.at += 1;
            self.zeros = 0;
        }
        let byte = *self.bytes.get(self.at)?;
        let bit = byte >> (7 - self.taken) & 1 != 0;
        self.taken += 1;
        if self.taken == 8 {
            self.taken = 0;
            self.at += 1;
            self.zeros = if byte == 0 { self.zeros + 1 } else { 0 };
        }
        Some(bit)
    }

    /// An unsigned number of `count` bits, 0 to 32.
    pub fn bits(&mut self, count: u32) -> Option<u32> {
        (0..count).try_fold(0, |value, _| Some(value << 1 | u32::from(self.flag()?)))
    }

    /// An unsigned number of `count` bits, 0 to 8.
    pub fn byte(&mut self, count: u32) -> Option<u8> {
        self.bits(count).map(|value| value as u8)
    }

    /// Steps over `count` bits.
    pub fn skip(&mut self, count: u32) -> Option<()> {
        (0..count).try_for_each(|_| self.flag().map(drop))
    }

    /// An unsigned Exp-Golomb number, `ue(v)`. `None` beyond 32 bits, too.
    pub fn unsigned_golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        let rest = self.bits(zeros)?;
        Some((1_u32 << zeros) - 1 + rest)
    }

    /// A signed Exp-Golomb number, `se(v)`.
    pub fn signed_golomb(&mut self) -> Option<i32> {
        let code = self.unsigned_golomb()?;
        let magnitude = code.div_ceil(2) as i32;
        Some(if code % 2 == 1 { magnitude } else { -magnitude })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_golomb_codes_are_those_of_the_specification() {
        // 1, 010, 011, 00100, 00101: 0, 1, 2, 3, 4 unsigned; 0, 1, -1, 2, -2 signed.
        let bytes = [0b1010_0110, 0b0100_0010, 0b1000_0000];
        let mut reader = BitReader::new(&bytes);
        for expected in 0..5 {
            assert_eq!(reader.unsigned_golomb(), Some(expected));
        }
        let mut reader = BitReader::new(&bytes);
        for expected in [0, 1, -1, 2, -2] {
            assert_eq!(reader.signed_golomb(), Some(expected));
        }
        assert_eq!(BitReader::new(&[0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF]).unsigned_golomb(), Some(0xFFFF_FFFE));
        assert_eq!(BitReader::new(&[0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]).unsigned_golomb(), None);
    }

    #[test]
    fn emulation_prevention_is_removed_only_in_nal_units() {
        let bytes = [0, 0, 3, 1, 0, 0, 3, 0, 0, 3];
        let mut reader = BitReader::of_nal_unit(&bytes);
        assert_eq!(reader.bits(24), Some(1));
        assert_eq!(reader.bits(32), Some(0));
        assert_eq!(reader.flag(), None);
        assert_eq!(BitReader::new(&bytes).bits(32), Some(0x301));
    }
}
