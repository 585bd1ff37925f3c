//! What is printed.

use std::fmt;

use crate::text::Plain;

/// Prints a line on standard output. A closed pipe is no error.
pub(super) fn say(line: &dyn fmt::Display) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// A line on standard error. It may have names of files and what stands in them.
pub(super) fn complain(line: &dyn fmt::Display) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "rill: {}", Plain(line));
}
