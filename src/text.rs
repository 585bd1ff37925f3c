//! How text that is not ours is shown, in the log and on a terminal: what a client, a file or a script said.
//!
//! Nothing in it may act on a terminal, begin a line, be invisible, or turn the direction of writing, so that one name
//! looks like another or a line says what it does not. Such characters are shown as Rust writes them: `\n`, `\u{202e}`.
//! Log lines say values in quotes, by `{:?}`, which escapes the same and more; what is not one value is displayed by one of
//! the types here. The log's own writer escapes whatever came another way.

use core::fmt::{self, Write};

/// The character is a control character, has no width of its own, or turns the direction of writing (Unicode 16.0: Cc,
/// Cf, Zl and Zp, and some of Mn).
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// As much of it as there is room for, in whole characters.
pub fn cut<const N: usize>(text: &str) -> heapless::String<N> {
    let mut kept = heapless::String::new();
    let _ = text.chars().try_for_each(|c| kept.push(c));
    kept
}

/// How a hidden character is shown.
pub fn escaped(c: char) -> impl Iterator<Item = char> {
    c.escape_default()
}

/// Anything, on one line, with hidden characters shown.
pub struct Plain<T>(pub T);

/// Likewise, in quotes, as one value of a log line.
pub struct Quoted<T>(pub T);

/// A word, as it is; in quotes when it could be taken for more than one word.
pub struct Word<'a>(pub &'a str);

impl<T: fmt::Display> fmt::Display for Plain<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escape { out: f, also: "" }, "{}", self.0)
    }
}

impl<T: fmt::Display> fmt::Display for Quoted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        write!(Escape { out: &mut *f, also: "\"\\" }, "{}", self.0)?;
        f.write_char('"')
    }
}

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain = |c: char| !is_hidden(c) && !c.is_whitespace() && !matches!(c, '"' | '\\' | '=');
        if !self.0.is_empty() && self.0.chars().all(is_plain) { f.write_str(self.0) } else { Quoted(self.0).fmt(f) }
    }
}

/// Writes with hidden characters escaped, and those of `also` behind a backslash.
struct Escape<'a, W> {
    out: &'a mut W,
    also: &'static str,
}

impl<W: Write> Write for Escape<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut plain = 0;
        for (at, c) in text.char_indices() {
            let marked = self.also.contains(c);
            if !marked && !is_hidden(c) {
                continue;
            }
            self.out.write_str(&text[plain..at])?;
            plain = at + c.len_utf8();
            match marked {
                true => write!(self.out, "\\{c}")?,
                false => escaped(c).try_for_each(|c| self.out.write_char(c))?,
            }
        }
        self.out.write_str(&text[plain..])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::format;
    use std::string::{String, ToString};

    use super::*;

    #[test]
    fn what_acts_or_is_invisible_is_shown_and_the_rest_is_as_it_was() {
        let turned = "a\u{202e}b\u{2066}\u{200b}\u{feff}\u{61c}\n\u{1b}[2J\u{9b}é日 \"q\" \\";
        let shown = r#"a\u{202e}b\u{2066}\u{200b}\u{feff}\u{61c}\n\u{1b}[2J\u{9b}é日 "q" \"#;
        assert_eq!(Plain(turned).to_string(), shown);
        assert_eq!(Plain(format_args!("{}{}", "a\u{202e}", 7)).to_string(), r"a\u{202e}7");
        assert_eq!(Quoted("a \"b\"\\\u{200b}").to_string(), r#""a \"b\"\\\u{200b}""#);
        assert_eq!(Word("live/cam-1é").to_string(), "live/cam-1é");
        for (word, shown) in [("a b", "\"a b\""), ("a=b", "\"a=b\""), ("", "\"\""), ("\u{200b}", r#""\u{200b}""#)] {
            assert_eq!(Word(word).to_string(), shown);
        }
    }

    proptest! {
        #[test]
        fn nothing_hidden_is_left_whatever_the_text_and_quoting_hides_no_more_than_debug(text: String) {
            for shown in [Plain(&text).to_string(), Quoted(&text).to_string(), Word(&text).to_string()] {
                prop_assert!(!shown.chars().any(is_hidden), "{}", shown);
            }
            // `{:?}` may stand for any of them.
            let debug = format!("{text:?}");
            prop_assert!(!debug.chars().any(is_hidden), "{}", debug);
            prop_assert_eq!(Plain(Plain(&text)).to_string(), Plain(&text).to_string());
        }
    }

    #[test]
    fn debug_shows_every_hidden_character_there_is() {
        let hidden = (char::MIN..=char::MAX).filter(|&c| is_hidden(c));
        let missed = hidden.filter(|&c| format!("{:?}", format!("a{c}b")).contains(c));
        assert_eq!(missed.map(|c| format!("{:x}", u32::from(c))).collect::<std::vec::Vec<_>>(), [""; 0]);
    }
}
