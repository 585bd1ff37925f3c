//! The merge window, by numbers.

use crate::live::settings::Merge;
use crate::time::Millis;

/// The window in force.
pub(super) struct Gathering {
    /// How long it is, in milliseconds; 0 is none.
    pub(super) window_ms: u64,
    /// When the present one ends.
    pub(super) until: Millis,
    /// How much of its time the loop is at work, in thousandths.
    pub(super) load_permille: u32,
    /// What answers of HTTP took, in microseconds.
    answers: Answers,
}

/// Processor time that answers of HTTP took, those that are no stream. A window does not make them fewer.
#[derive(Clone, Copy, Default)]
struct Answers {
    /// Since it was last asked.
    us: u64,
    /// The most at once.
    longest_us: u64,
}

impl Gathering {
    /// As the settings have it at the start.
    pub(super) fn new(merge: Merge, now: Millis) -> Gathering {
        let window_ms = match merge {
            Merge::Auto => 0,
            Merge::Fixed(ms) => u64::from(ms),
        };
        Gathering { window_ms, until: now, load_permille: 0, answers: Answers::default() }
    }

    /// How much of its time the loop is at work, in thousandths.
    pub(super) fn load_permille(&self) -> u32 {
        self.load_permille
    }

    /// An answer took so much.
    pub(super) fn answered(&mut self, us: u64) {
        self.answers.us += us;
        self.answers.longest_us = self.answers.longest_us.max(us);
    }

    /// What answers took since this was last asked, in microseconds.
    pub(super) fn take_answers_us(&mut self) -> u64 {
        std::mem::take(&mut self.answers.us)
    }

    /// The most that an answer took at once, in microseconds.
    pub(super) fn longest_answer_us(&self) -> u64 {
        self.answers.longest_us
    }
}

/// The window of `merge_ms = "auto"`, by how much streams take of the time that answers leave them: none while the loop has time to spare; as it fills, enough that the write calls,
/// which are what players cost, grow fewer instead of the lag growing. `present` is the window in force: one that is open
/// closes at a lower load than it opened at, so that it does not flap.
pub(super) fn auto_window_ms(load_permille: u32, present: u64) -> u64 {
    /// Below this load nothing waits.
    const SPARE: u32 = 600;
    /// A window that is open stays open down to this load.
    const EASED: u32 = 450;
    /// At this load the window is as wide as it gets.
    const FULL: u32 = 950;
    const NARROWEST_MS: u32 = 4;
    const WIDEST_MS: u32 = 60;
    if load_permille < if present > 0 { EASED } else { SPARE } {
        return 0;
    }
    let over = load_permille.clamp(SPARE, FULL) - SPARE;
    u64::from(NARROWEST_MS + over * (WIDEST_MS - NARROWEST_MS) / (FULL - SPARE))
}

#[cfg(test)]
mod tests {
    use super::auto_window_ms;

    #[test]
    fn the_automatic_window_opens_late_widens_with_load_and_does_not_flap() {
        assert_eq!(auto_window_ms(0, 0), 0);
        assert_eq!(auto_window_ms(599, 0), 0);
        assert_eq!((auto_window_ms(599, 10), auto_window_ms(449, 10)), (4, 0));
        let windows: Vec<u64> = (600..=1000).map(|load| auto_window_ms(load, 0)).collect();
        assert!(windows.is_sorted());
        assert_eq!((windows[0], windows[350], windows[400]), (4, 60, 60));
    }
}
