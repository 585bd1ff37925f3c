//! HMAC-SHA256 (RFC 2104): what only who has a key can have made.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The longest key in bytes.
pub const KEY_BYTES: usize = 68;

/// The HMAC of `parts` one after the other, with `key` given in parts as well: at most [`KEY_BYTES`].
pub fn hmac_sha256(key: &[&[u8]], parts: &[&[u8]]) -> [u8; 32] {
    let mut joined = [0; KEY_BYTES];
    let mut length = 0;
    for part in key {
        joined[length..length + part.len()].copy_from_slice(part);
        length += part.len();
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(&joined[..length]).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_that_of_rfc_4231() {
        let made = hmac_sha256(&[b"Je", b"fe"], &[b"what do ya want ", b"for nothing?"]);
        assert_eq!(made[..8], [0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e]);
    }
}
