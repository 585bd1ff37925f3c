//! A histogram of durations with buckets of constant relative width: 3 % from 32 us on, exact below.

/// Buckets per power of two.
const STEPS: u64 = 32;
const STEP_BITS: u32 = STEPS.ilog2();
const BUCKETS: usize = ((u64::BITS - STEP_BITS + 1) as usize) * STEPS as usize;

/// Counts durations in microseconds.
#[derive(Clone, Debug)]
pub struct Histogram {
    buckets: Box<[u64]>,
    count: u64,
    max_us: u64,
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram { buckets: vec![0; BUCKETS].into_boxed_slice(), count: 0, max_us: 0 }
    }
}

impl Histogram {
    /// Counts one duration.
    pub fn record(&mut self, duration_us: u64) {
        self.buckets[bucket(duration_us)] += 1;
        self.count += 1;
        self.max_us = self.max_us.max(duration_us);
    }

    /// Durations counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest duration; 0 when none was counted.
    pub fn max_us(&self) -> u64 {
        self.max_us
    }

    /// A duration that `share` (0.0..=1.0) of all do not exceed: the upper end of the bucket it falls into, so at most 3 %
    /// too high and never too low. 0 when none was counted.
    pub fn quantile_us(&self, share: f64) -> u64 {
        let rank = ((self.count as f64 * share).ceil() as u64).max(1);
        let mut below = 0;
        for (index, &count) in self.buckets.iter().enumerate() {
            below += count;
            if below >= rank {
                return upper_end(index).min(self.max_us);
            }
        }
        self.max_us
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.buckets.fill(0);
        (self.count, self.max_us) = (0, 0);
    }
}

fn bucket(value: u64) -> usize {
    if value < STEPS {
        return value as usize;
    }
    let shift = value.ilog2() - STEP_BITS;
    // The leading one of the shifted value counts as a step, which makes the octaves follow each other without a gap.
    (u64::from(shift) * STEPS + (value >> shift)) as usize
}

fn upper_end(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < 2 * STEPS {
        return bucket;
    }
    let shift = bucket / STEPS - 1;
    let first = (bucket % STEPS + STEPS) << shift;
    first + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn small_values_are_exact_and_nothing_counted_is_zero() {
        let mut histogram = Histogram::default();
        assert_eq!((histogram.quantile_us(0.5), histogram.max_us()), (0, 0));
        for value in 1..=10 {
            histogram.record(value);
        }
        assert_eq!(histogram.quantile_us(0.5), 5);
        assert_eq!(histogram.quantile_us(0.99), 10);
        assert_eq!(histogram.quantile_us(0.0), 1);
        histogram.clear();
        assert_eq!(histogram.count(), 0);
    }

    proptest! {
        #[test]
        fn a_bucket_holds_its_values_and_is_narrow(value in any::<u64>(), shift in 0_u32..64) {
            let value = value >> shift;
            let end = upper_end(bucket(value));
            prop_assert!(end >= value);
            prop_assert!(end - value <= value / STEPS);
            if end < u64::MAX {
                prop_assert_eq!(bucket(end + 1), bucket(value) + 1);
            }
        }

        #[test]
        fn a_quantile_is_at_most_one_bucket_above_the_true_one(
            mut values in prop::collection::vec(0_u64..10_000_000, 1..200), share in 0.0_f64..=1.0,
        ) {
            let mut histogram = Histogram::default();
            values.iter().for_each(|&value| histogram.record(value));
            values.sort_unstable();
            let rank = ((values.len() as f64 * share).ceil() as usize).max(1);
            let truth = values[rank - 1];
            let told = histogram.quantile_us(share);
            prop_assert!(told >= truth && told <= truth + truth / STEPS, "{} {}", told, truth);
        }
    }
}
