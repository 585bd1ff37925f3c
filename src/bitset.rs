//! A set of small numbers in caller-provided words: which slots are readable, who plays a stream.

/// Numbers 0 to `capacity - 1`, one bit each.
#[derive(Clone, Debug, Default)]
pub struct BitSet<W> {
    words: W,
    len: usize,
}

impl<W: AsRef<[u64]> + AsMut<[u64]>> BitSet<W> {
    /// An empty set over `words`, for 64 numbers a word.
    pub fn new(mut words: W) -> BitSet<W> {
        words.as_mut().fill(0);
        BitSet { words, len: 0 }
    }

    /// Adds `number`; false when it was there.
    ///
    /// # Panics
    /// When it is beyond the capacity.
    pub fn insert(&mut self, number: usize) -> bool {
        let (word, bit) = (number / 64, 1 << (number % 64));
        let word = &mut self.words.as_mut()[word];
        let new = *word & bit == 0;
        *word |= bit;
        self.len += usize::from(new);
        new
    }

    /// Removes `number`; false when it was not there.
    pub fn remove(&mut self, number: usize) -> bool {
        let (word, bit) = (number / 64, 1 << (number % 64));
        let Some(word) = self.words.as_mut().get_mut(word) else { return false };
        let there = *word & bit != 0;
        *word &= !bit;
        self.len -= usize::from(there);
        there
    }

    /// Whether `number` is there.
    pub fn contains(&self, number: usize) -> bool {
        self.words.as_ref().get(number / 64).is_some_and(|word| word & (1 << (number % 64)) != 0)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The lowest number that is `from` or above: the set may change between two calls.
    pub fn next_from(&self, from: usize) -> Option<usize> {
        let words = self.words.as_ref();
        let mut at = from / 64;
        let mut word = *words.get(at)? & (u64::MAX << (from % 64));
        while word == 0 {
            at += 1;
            word = *words.get(at)?;
        }
        Some(at * 64 + word.trailing_zeros() as usize)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::collections::BTreeSet;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_bit_set_behaves_like_a_set(steps in proptest::collection::vec((0usize..192, any::<bool>()), 0..300)) {
            let mut set = BitSet::new([0u64; 3]);
            let mut model = BTreeSet::new();
            for (number, insert) in steps {
                if insert {
                    prop_assert_eq!(set.insert(number), model.insert(number));
                } else {
                    prop_assert_eq!(set.remove(number), model.remove(&number));
                }
                prop_assert_eq!(set.len(), model.len());
                prop_assert_eq!(set.contains(number), model.contains(&number));
            }
            let mut all = Vec::new();
            let mut from = 0;
            while let Some(number) = set.next_from(from) {
                all.push(number);
                from = number + 1;
            }
            prop_assert_eq!(all, model.into_iter().collect::<Vec<_>>());
        }
    }
}
