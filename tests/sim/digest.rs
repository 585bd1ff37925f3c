//! A hash of everything that a client was sent, and when: two runs that agree in it were the same to the client.

/// FNV-1a of 64 bits, which is the same on every machine.
#[derive(Clone, Debug)]
pub struct Digest {
    hash: u64,
    /// The time of the last bytes.
    at: Option<u64>,
}

impl Default for Digest {
    fn default() -> Digest {
        Digest { hash: 0xCBF2_9CE4_8422_2325, at: None }
    }
}

impl Digest {
    /// Bytes that follow at `now`. In how many pieces they come makes no difference.
    pub fn add(&mut self, now: u64, bytes: &[u8]) {
        if self.at.replace(now) != Some(now) {
            self.bytes(&now.to_le_bytes());
        }
        self.bytes(bytes);
    }

    /// One of several in an order that is known.
    pub fn add_digest(&mut self, other: &Digest) {
        self.bytes(&other.hash.to_le_bytes());
    }

    pub fn value(&self) -> u64 {
        self.hash
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let mut hash = self.hash;
        for &byte in bytes {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        }
        self.hash = hash;
    }
}
