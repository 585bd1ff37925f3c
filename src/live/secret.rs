//! Words that only those know who may do something. They are never shown, and comparing takes the same time whatever is compared.

use core::fmt;
use core::hint::black_box;

use crate::limits::ADMIN_KEY_BYTES;

/// The fewest bytes of an administrator's key.
pub const LEAST_ADMIN_KEY_BYTES: usize = 12;
/// The most.
pub const MOST_ADMIN_KEY_BYTES: usize = ADMIN_KEY_BYTES;

/// Whether two texts are the same, of which the own one has at most `most` bytes.
pub fn is_same(own: &str, other: &str, most: usize) -> bool {
    let (own, other) = (own.as_bytes(), other.as_bytes());
    let mut different = own.len() ^ other.len();
    for at in 0..most {
        let byte = |text: &[u8]| text.get(at).copied().unwrap_or(0);
        different |= usize::from(black_box(byte(own) ^ byte(other)));
    }
    black_box(different) == 0
}

/// Whether a text has only bytes that files, heads and JSON carry as they are.
pub(super) fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'))
}

/// The administrator's key.
#[derive(Clone, PartialEq, Eq)]
pub struct AdminKey(heapless::String<ADMIN_KEY_BYTES>);

impl AdminKey {
    /// `None` for what is too short, too long, or has other bytes than a head and a JSON text carry as they are.
    pub fn parse(text: &str) -> Option<AdminKey> {
        let key = heapless::String::try_from(text).ok()?;
        (is_plain(text) && text.len() >= LEAST_ADMIN_KEY_BYTES).then_some(AdminKey(key))
    }

    /// Whether it is what somebody has said.
    pub fn is(&self, said: &str) -> bool {
        is_same(&self.0, said, ADMIN_KEY_BYTES)
    }

    /// As it is written to its file.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AdminKey {
    /// Without it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_itself_alone_and_shown_to_nobody() {
        let key = AdminKey::parse("correct-horse-42").unwrap();
        assert!(key.is("correct-horse-42"));
        for said in ["", "correct-horse-4", "correct-horse-43", "correct-horse-42 ", "Correct-horse-42"] {
            assert!(!key.is(said), "{said:?}");
        }
        assert!(!key.is(&format!("correct-horse-42{}", "\0".repeat(ADMIN_KEY_BYTES))));
        assert!(!format!("{key:?}").contains("horse"));
    }

    #[test]
    fn a_key_is_long_enough_and_comes_through_as_it_is() {
        assert!(AdminKey::parse(&"k".repeat(LEAST_ADMIN_KEY_BYTES)).is_some());
        assert!(AdminKey::parse(&"k".repeat(ADMIN_KEY_BYTES)).is_some());
        for text in ["", "short", "with a blank in it", "with\"quotes\"in", "back\\slashes\\in", "über-größe-ist"] {
            assert!(AdminKey::parse(text).is_none(), "{text:?}");
        }
        assert!(AdminKey::parse(&"k".repeat(ADMIN_KEY_BYTES + 1)).is_none());
    }
}
