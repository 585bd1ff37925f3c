//! Every deadline of the server. The loop sleeps until the earliest.

use crate::time::Millis;

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alarm {
    /// The next sweep over the connections.
    Sweep,
    /// The end of the merge window.
    Window,
    /// A publisher that was asked for a sign of life has had its time.
    Challenge,
    /// Connections that wait for tokens are to be looked at.
    Pace,
    /// Script processes are busy, or are to be started.
    Scripts,
}

impl Alarm {
    const COUNT: usize = Alarm::Scripts as usize + 1;
}

/// No deadline.
const NEVER: Millis = Millis(u64::MAX);

/// The deadlines.
pub(super) struct Alarms([Millis; Alarm::COUNT]);

impl Alarms {
    /// None is set.
    pub(super) fn new() -> Alarms {
        Alarms([NEVER; Alarm::COUNT])
    }

    /// It rings at `at`, or with `None` not at all.
    pub(super) fn set(&mut self, alarm: Alarm, at: Option<Millis>) {
        self.0[alarm as usize] = at.unwrap_or(NEVER);
    }

    /// It rings at `at` if not before.
    pub(super) fn by(&mut self, alarm: Alarm, at: Millis) {
        let own = &mut self.0[alarm as usize];
        *own = at.min(*own);
    }

    /// When it rings; `None` when it is not set.
    pub(super) fn at(&self, alarm: Alarm) -> Option<Millis> {
        Some(self.0[alarm as usize]).filter(|&at| at != NEVER)
    }

    /// Whether it rings now, or should have before.
    pub(super) fn rings(&self, alarm: Alarm, now: Millis) -> bool {
        self.0[alarm as usize] <= now
    }

    /// The earliest of all.
    pub(super) fn next(&self) -> Option<Millis> {
        self.0.iter().copied().min().filter(|&at| at != NEVER)
    }
}
