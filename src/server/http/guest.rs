//! How a client over HTTP stands with its application's script.

use crate::time::Millis;

/// How a client stands with its application's script.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Guest {
    /// It has none, or has asked for nothing.
    #[default]
    Stranger,
    /// There is no place for its instance, or no room to tell the script of it. It waits until then.
    Queued(Millis),
    /// `onConnect` has not decided. It waits until then.
    Undecided(Millis),
    /// It is in.
    In(MayRead),
    /// It watches on, though the script that let it in is no more, and the next one does not know it.
    Forgotten,
}

/// Whether it may have what its request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MayRead {
    /// That was not asked.
    Unasked,
    /// There was no room to ask. It waits until then.
    Unsaid(Millis),
    /// It was asked by that number. It waits until then.
    Asked(u32, Millis),
    /// The script has said so.
    Said(bool),
}

impl Guest {
    /// The script knows of it.
    pub fn is_told(self) -> bool {
        matches!(self, Guest::Undecided(_) | Guest::In(_))
    }

    /// The script has let it in.
    pub fn is_in(self) -> bool {
        matches!(self, Guest::In(_) | Guest::Forgotten)
    }

    /// Its next request is another question.
    pub fn asks_anew(&mut self) {
        if let Guest::In(may) = self {
            *may = MayRead::Unasked;
        }
    }
}
