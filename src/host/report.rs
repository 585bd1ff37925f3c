//! What went wrong in a script: one line for the log, an object for `application.onStatus`, a text for the client.

use rquickjs::{Coerced, Ctx, Value};

use super::facts::{Exhausted, SourcePlace, tidy};
use crate::limits::SCRIPT_ERROR_BYTES;

/// The name of the prelude, should it fail itself.
pub(super) const PRELUDE: &str = "(server)";
/// What stands in a stack trace for the file of its functions, which know no places.
pub(super) const SOMEWHERE: &str = "<null>";

/// What went wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ScriptReport {
    /// `TypeError: x is not a function`: at most [`SCRIPT_ERROR_BYTES`] bytes, no control characters.
    pub(super) text: String,
    pub(super) place: SourcePlace,
    /// A limit is exceeded, by what the engine says. The script may say the same: `SharedState::read` knows better.
    pub(super) exhausted: Option<Exhausted>,
}

/// Reads an exception. The script may have thrown anything, and reading it may run the script's code, so this is done
/// within the time of the call.
pub(super) fn describe<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> ScriptReport {
    // Without memory for an error object the engine throws null, which a script may do, too.
    if value.is_null() || value.type_of() == rquickjs::Type::Uninitialized {
        return ScriptReport { text: "null".into(), place: SourcePlace::default(), exhausted: Some(Exhausted::Memory) };
    }
    let read = |value: rquickjs::Result<Coerced<String>>| match value {
        Ok(Coerced(text)) => Some(text),
        Err(_) => {
            ctx.catch();
            None
        }
    };
    let Some(error) = value.as_object().filter(|_| value.is_error()) else {
        let text = read(value.get()).unwrap_or_else(|| "an error that cannot be read".into());
        return ScriptReport { text: tidy(&text, SCRIPT_ERROR_BYTES), place: SourcePlace::default(), exhausted: None };
    };
    let [name, message, stack] = ["name", "message", "stack"].map(|name| read(error.get(name)).unwrap_or_default());
    let exhausted = match (name.as_str(), message.as_str()) {
        // There may have been no memory for the message either.
        ("InternalError", "out of memory" | "") => Some(Exhausted::Memory),
        ("RangeError", "Maximum call stack size exceeded") => Some(Exhausted::Stack),
        ("InternalError", "interrupted") => Some(Exhausted::Time),
        _ => None,
    };
    let text = if message.is_empty() { name } else { format!("{name}: {message}") };
    ScriptReport { text: tidy(&text, SCRIPT_ERROR_BYTES), place: place(&stack), exhausted }
}

/// The innermost place of a stack trace that is the script's own: lines `at name (file:line:column)` or
/// `at file:line:column`.
fn place(stack: &str) -> SourcePlace {
    stack
        .lines()
        .filter_map(|line| {
            let frame = line.trim().strip_prefix("at ")?;
            let frame = frame.strip_suffix(')').and_then(|frame| Some(frame.rsplit_once(" (")?.1)).unwrap_or(frame);
            let mut parts = frame.rsplitn(3, ':');
            let (_column, line, file) = (parts.next()?, parts.next()?, parts.next()?);
            Some(SourcePlace { file: file.to_owned(), line: line.parse().ok()? })
        })
        .find(|place| place.file != SOMEWHERE && place.file != "native")
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_place_that_is_the_script_s_own_is_found() {
        let at = |stack: &str| {
            let place = place(stack);
            (place.file, place.line)
        };
        assert_eq!(
            at(
                "    at call (native)\n    at call (<null>)\n    at enter (<null>:0:1)\n    at <anonymous> (main.asc:3:12)\n"
            ),
            ("main.asc".into(), 3)
        );
        assert_eq!(at("    at scripts/a b (1).asc:12:1\n"), ("scripts/a b (1).asc".into(), 12));
        assert_eq!(at("    at f (native)\n"), (String::new(), 0));
        assert_eq!(at("nonsense"), (String::new(), 0));
    }
}
