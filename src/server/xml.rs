//! Text in XML, written where there is room and without a heap (XML 1.0, section 2.4).

use core::fmt::{self, Write};

/// Displayed as text between two tags. What XML has no characters for becomes U+FFFD.
pub(super) struct XmlText<'a>(pub &'a str);

/// The most bytes that [`XmlText`] makes of one byte: `&quot;`.
#[cfg(test)]
pub(super) const EXPANSION: usize = 6;

impl fmt::Display for XmlText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&apos;"),
            c if crate::text::is_hidden(c) => f.write_char(char::REPLACEMENT_CHARACTER),
            c => f.write_char(c),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_ends_it() {
        assert_eq!(XmlText("a<b>&'\"\u{1}\n]]>ö").to_string(), "a&lt;b&gt;&amp;&apos;&quot;\u{fffd}\u{fffd}]]&gt;ö");
        assert!("\"\u{1}ö".chars().all(|c| XmlText(&c.to_string()).to_string().len() <= EXPANSION * c.len_utf8()));
    }
}
