//! Handles: small values that stand for the entry of a table, so that modules which do not know each other speak of the same
//! thing. A handle says where something is, and nothing of what it is.

use core::fmt;
use core::str::FromStr;

/// A place in the connection table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotIndex(pub u32);

impl SlotIndex {
    /// As the index of an array.
    pub fn at(self) -> usize {
        self.0 as usize
    }
}

/// One connection, however often its slot is used again. Logged as `c7.2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnId {
    /// Where it lives.
    pub slot: SlotIndex,
    /// How often the slot was used before.
    pub generation: u32,
}

impl ConnId {
    /// It as one number, of which readers take 32 bits: a slot is used again some thousand times before one comes back.
    pub fn number(self) -> u32 {
        (self.generation & 0xFFF) << 20 | self.slot.0 & 0xF_FFFF
    }
}

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{}.{}", self.slot.0, self.generation)
    }
}

impl FromStr for ConnId {
    type Err = NotAConnId;

    /// Reads what [`Display`](fmt::Display) writes.
    fn from_str(text: &str) -> Result<ConnId, NotAConnId> {
        // Digits only: `parse` would take a sign.
        let number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?;
        let parts = text.strip_prefix('c').and_then(|rest| rest.split_once('.'));
        let id = parts.and_then(|(slot, generation)| {
            Some(ConnId { slot: SlotIndex(number(slot)?), generation: number(generation)? })
        });
        id.ok_or(NotAConnId)
    }
}

/// The text is not the id of a connection, like `c7.2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAConnId;

/// A ring by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingId(pub u16);

/// A stream name in use, by its place in the table of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamId(pub u16);

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0)
    }
}

/// An application by its place. The place is given to another one only when no connection refers to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppId(pub u16);

/// A script process, by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostIndex(pub u16);

/// A part of the server that publishes or plays without a connection. Logged as `f2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeatureId(pub u16);

impl FeatureId {
    /// What scripts have the server publish, one stream after the other.
    pub const BROADCASTS: FeatureId = FeatureId(0);
    /// Relays, by their places: pulls publish, and pushes play.
    pub const RELAYS: FeatureId = FeatureId(1);
    /// Who watches by HLS, who holds the stream's name.
    pub const HLS: FeatureId = FeatureId(2);
    /// Hooks, by their places: they look up hosts.
    pub const HOOKS: FeatureId = FeatureId(3);
    /// Streams that are made of several inputs, by their places.
    pub const PROGRAMMES: FeatureId = FeatureId(4);
}

impl fmt::Display for FeatureId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "f{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written_and_nothing_else_is_one() {
        let id = ConnId { slot: SlotIndex(7), generation: u32::MAX };
        let mut text = heapless::String::<32>::new();
        core::fmt::write(&mut text, format_args!("{id}")).unwrap();
        assert_eq!((text.as_str(), text.parse()), ("c7.4294967295", Ok(id)));
        for wrong in ["", "c", "7.2", "c7", "c7.", "c.2", "c+7.2", "c7.2 ", "c7.2.1", "C7.2", "c4294967296.0", "s0"] {
            assert_eq!(wrong.parse::<ConnId>(), Err(NotAConnId), "{wrong}");
        }
    }
}
