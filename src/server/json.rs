//! Text as JSON, written where there is room and without a heap (RFC 8259, section 7).

use std::fmt::{self, Write};

use crate::limits::{APP_NAME_BYTES, PATH_BYTES};
use crate::text::is_hidden;

/// Displayed as a JSON string, quotes included. Every hidden character is escaped ([`is_hidden`]), those that JSON would let
/// through included, so that no text from a client does anything to a terminal.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a>(pub &'a str);

/// Displayed as the JSON string `APP/PATH`: what a stream is called.
#[derive(Clone, Copy, Debug)]
pub struct Joined<'a>(pub &'a str, pub &'a str);

/// Displayed as what is there, or `null`.
#[derive(Clone, Copy, Debug)]
pub struct OrNull<T>(pub Option<T>);

/// The most bytes that [`Text`] makes of one byte: `\u0000`.
pub const EXPANSION: usize = 6;

impl fmt::Display for Joined<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Joined(app, path) = self;
        let mut joined = heapless::String::<{ APP_NAME_BYTES + 1 + PATH_BYTES }>::new();
        write!(joined, "{app}/{path}")?;
        Text(&joined).fmt(f)
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        let mut plain = 0;
        for (at, c) in self.0.char_indices() {
            if c != '"' && c != '\\' && !is_hidden(c) {
                continue;
            }
            f.write_str(&self.0[plain..at])?;
            plain = at + c.len_utf8();
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                _ => c.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(f, "\\u{unit:04x}"))?,
            }
        }
        f.write_str(&self.0[plain..])?;
        f.write_char('"')
    }
}

impl<T: fmt::Display> fmt::Display for OrNull<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("null"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_read_back_equal_and_holds_no_hidden_character(
            text in prop_oneof![any::<String>(), "[\\x00-\\x1f\"\\\\\\x7f-\\u{a0}a-z/\u{2028}\u{202e}\u{200b}\u{e0041}😀]*"],
        ) {
            let json = Text(&text).to_string();
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text.as_str());
            prop_assert!(!json.chars().any(is_hidden));
            prop_assert!(json.len() <= 2 + text.len() * EXPANSION);
        }
    }

    #[test]
    fn escapes_are_as_short_as_people_expect() {
        assert_eq!(Text("a\"b\\c\n\u{1b}[2J\u{9b}é").to_string(), r#""a\"b\\c\u000a\u001b[2J\u009bé""#);
        assert_eq!((OrNull(Some(3)).to_string(), OrNull(None::<u8>).to_string()), ("3".into(), "null".into()));
    }
}
