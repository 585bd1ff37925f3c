//! How busy the loop is: the share of time it does not sleep in the poll.

/// Time over which the share is smoothed, in microseconds: long enough that one burst of frames is not taken for load,
/// short enough that gathering begins before clients feel it.
const WINDOW_US: u64 = 200_000;
/// The whole, in the unit that is calculated with. Finer than what is reported, because a turn may take a
/// hundred-thousandth of the window.
const WHOLE: u64 = 1_000_000_000;

/// An exponentially smoothed share.
#[derive(Clone, Copy, Debug, Default)]
pub struct Load {
    share: u64,
}

impl Load {
    /// Takes in a stretch of `asleep_us` microseconds in the poll and `busy_us` of work.
    pub fn add(&mut self, asleep_us: u64, busy_us: u64) {
        // After ten windows nothing is left of what was before; the bound keeps the product within 64 bits.
        let (asleep_us, busy_us) = (asleep_us.min(10 * WINDOW_US), busy_us.min(10 * WINDOW_US));
        self.share = (WINDOW_US * self.share + busy_us * WHOLE) / (WINDOW_US + asleep_us + busy_us);
    }

    /// Thousandths of the time that are work: 0 to 1000.
    pub fn permille(self) -> u32 {
        (self.share / (WHOLE / 1000)) as u32
    }
}

/// Processor time that this thread has had, in microseconds: what others of the machine took meanwhile is not in it. 0 where the
/// system does not tell.
pub fn thread_us() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes one timespec where it is told to, and fails without that.
    if unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) } != 0 {
        return 0;
    }
    time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1000
}

/// How busy the loop is, and with what.
#[derive(Clone, Copy, Debug, Default)]
pub struct Loads {
    /// All that it does.
    pub all: Load,
    /// What streams take of the time that answers of HTTP leave them. Those are no load that merging could lessen, but where they leave
    /// little, streams fill it sooner.
    pub streams: Load,
}

impl Loads {
    /// Takes in a stretch, of whose work `answers_us` microseconds were answers.
    pub fn add(&mut self, asleep_us: u64, busy_us: u64, answers_us: u64) {
        self.all.add(asleep_us, busy_us);
        self.streams.add(asleep_us, busy_us.saturating_sub(answers_us));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_no_load_of_streams_but_leave_them_less_time() {
        // Microseconds asleep, at work, and of that with answers; what all is, and what of the rest are streams.
        for (asleep, busy, answers, all, streams) in
            [(500, 500, 0, 500, 500), (200, 800, 600, 800, 500), (0, 1000, 500, 1000, 1000), (200, 800, 800, 800, 0)]
        {
            let mut loads = Loads::default();
            for _ in 0..4000 {
                loads.add(asleep, busy, answers);
            }
            for (load, right) in [(loads.all, all), (loads.streams, streams)] {
                assert!((right - 5..=right).contains(&(load.permille() as i32)), "{load:?} and not {right}");
            }
        }
    }

    #[test]
    fn a_steady_load_is_reported_as_it_is_whatever_the_length_of_a_turn() {
        for turn_us in [10, 1000, 40_000] {
            let mut load = Load::default();
            for _ in 0..4_000_000 / turn_us {
                load.add(turn_us * 7 / 10, turn_us * 3 / 10);
            }
            assert!((295..=300).contains(&load.permille()), "{} at {turn_us}", load.permille());
        }
    }

    #[test]
    fn a_loop_that_stops_sleeping_is_seen_as_full_within_a_second() {
        let mut load = Load::default();
        for _ in 0..1000 {
            load.add(0, 1000);
        }
        assert!(load.permille() > 950);
        load.add(60_000_000, 0);
        assert!(load.permille() < 100);
    }
}
