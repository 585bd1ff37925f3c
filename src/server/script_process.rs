//! The protocol of a script process ([`crate::wire::script_link`]), as a connection's. Its buffers are its own
//! ([`crate::features::script::hosts`]): what it says is longer than what clients say.

use crate::limits::SCRIPT_MESSAGE_BYTES;
use crate::rtmp::tx::TxBuf;
use crate::time::Millis;

use super::protocol::{Ask, Context, Protocol, Stage, Turn};

/// A connection to a script process.
pub struct ScriptLine;

impl Protocol for ScriptLine {
    fn begin(_: u64, _: Millis) -> ScriptLine {
        ScriptLine
    }

    fn read<'i>(&mut self, input: &mut &'i [u8], _: &mut Context<'_>) -> Turn<'i> {
        match core::mem::take(input) {
            [] => Turn::Done,
            said => Turn::Asks(Ask::Script(said)),
        }
    }

    fn goes_on(&self, _: &TxBuf) -> bool {
        true
    }

    /// All that it says is taken.
    fn opening_bytes(&self) -> usize {
        SCRIPT_MESSAGE_BYTES
    }

    /// The server watches it itself.
    fn deadline(&self) -> Option<Millis> {
        None
    }

    fn stage(&self) -> Stage {
        Stage::Greeted
    }
}
