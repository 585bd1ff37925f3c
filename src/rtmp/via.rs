//! By which servers a stream comes: a property of ours in the object of `connect`, by which servers that fetch from each other notice that
//! they do so in a circle. Others pass it over.

use core::fmt;

use crate::limits::VIA_IDS;

/// What the property is called.
pub const PROPERTY: &str = "rillVia";

/// Numbers of servers, each made at random when it starts: in hexadecimal, with commas between them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Via {
    /// From the first on; 0 is none.
    ids: [u32; VIA_IDS],
}

impl Via {
    /// Reads a property. What is none of ours counts as absent, and so does what is too much.
    pub fn parse(text: &str) -> Via {
        let mut via = Via::default();
        text.split(',').filter_map(|id| u32::from_str_radix(id, 16).ok()).for_each(|id| via.add(id));
        via
    }

    /// There is no server between.
    pub fn is_empty(&self) -> bool {
        self.ids[0] == 0
    }

    /// Whether it comes by this one.
    pub fn has(&self, id: u32) -> bool {
        self.ids.contains(&id.max(1))
    }

    /// It comes by this one, too. What does not fit is left out.
    pub fn add(&mut self, id: u32) {
        if !self.has(id)
            && let Some(place) = self.ids.iter_mut().find(|place| **place == 0)
        {
            *place = id.max(1);
        }
    }

    /// And by all of those.
    pub fn add_all(&mut self, other: &Via) {
        other.ids().for_each(|id| self.add(id));
    }

    fn ids(&self) -> impl Iterator<Item = u32> {
        self.ids.into_iter().take_while(|id| *id != 0)
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, id) in self.ids().enumerate() {
            write!(f, "{}{id:08x}", if n > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_named_once_and_no_more_of_them_than_there_is_room_for() {
        let mut via = Via::parse("0000002a,x,,ffffffff,2a,123456789");
        assert_eq!((via.to_string().as_str(), via.has(42), via.has(43)), ("0000002a,ffffffff", true, false));
        (1..20).for_each(|id| via.add(id));
        assert_eq!((via.ids().count(), via.has(3), via.has(4)), (VIA_IDS, true, false));
        assert_eq!(Via::parse(&via.to_string()), via);
        let mut first = Via::default();
        assert!(first.is_empty() && Via::parse("").is_empty());
        first.add_all(&via);
        assert_eq!(first, via);
    }
}
