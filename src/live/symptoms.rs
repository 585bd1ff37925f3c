//! When something that is looked at once a second counts as wrong, and when that is over: so that nothing flickers.

use crate::time::Millis;

use super::finding::{Finding, FindingKind};

/// The log is told of what lasts at most this often, in milliseconds.
const EACH_MS: u64 = 60_000;
/// What has not been wrong for long enough begins anew when it was not for so long, in milliseconds.
const GAP_MS: u64 = 3_000;
/// A part of the last minute, in milliseconds.
const PART_MS: u64 = 10_000;

/// How often something happened within the last minute, to ten seconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recent {
    parts: [u16; 6],
    /// Which part of the time is the newest.
    newest: u64,
}

impl Recent {
    /// It happened so many times.
    pub fn add(&mut self, times: u32, now: Millis) {
        self.go_on(now);
        let part = &mut self.parts[self.newest as usize % self.parts.len()];
        *part = part.saturating_add(times.try_into().unwrap_or(u16::MAX));
    }

    /// How often it did.
    pub fn count(&mut self, now: Millis) -> u32 {
        self.go_on(now);
        self.parts.iter().map(|&part| u32::from(part)).sum()
    }

    fn go_on(&mut self, now: Millis) {
        let present = now.0 / PART_MS;
        let passed = present.saturating_sub(self.newest).min(self.parts.len() as u64);
        for back in 0..passed {
            self.parts[(present - back) as usize % self.parts.len()] = 0;
        }
        self.newest = self.newest.max(present);
    }
}

/// A count of something, of which the last minute is asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct MinuteCount {
    total: u32,
    /// What it was when it was looked at.
    looked: u32,
    recent: Recent,
}

impl MinuteCount {
    /// It happened so many times.
    pub fn add(&mut self, times: u32) {
        self.total = self.total.saturating_add(times);
    }

    /// How often in all.
    pub const fn total(&self) -> u32 {
        self.total
    }

    /// How often it did within the last minute, as far as it is looked at all the time.
    pub fn look(&mut self, now: Millis) -> u32 {
        self.recent.add(self.total - self.looked, now);
        self.looked = self.total;
        self.recent.count(now)
    }
}

/// One thing that may be wrong.
#[derive(Clone, Copy, Debug, Default)]
pub struct Symptom {
    /// What it was when it was seen last.
    finding: Option<Finding>,
    /// When it was seen first, ...
    since: Millis,
    /// ... and last.
    seen: Millis,
    /// The log was told.
    told: Option<Millis>,
    /// It has been so for long enough.
    counts: bool,
}

/// What the log is told of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// It is wrong: it has begun to be, or was told a minute ago.
    Tell(Finding),
    /// It is over.
    Over(FindingKind),
}

impl Symptom {
    /// It was looked at: this is wrong, or nothing.
    pub fn look(&mut self, found: Option<Finding>, now: Millis) -> Change {
        let Some(finding) = found else {
            let Some(kind) = self.finding.map(Finding::kind) else { return Change::None };
            let patience_ms = if self.counts { kind.row().goes_ms.into() } else { GAP_MS };
            if now.since(self.seen) < patience_ms {
                return Change::None;
            }
            let counted = self.counts;
            *self = Symptom::default();
            return if counted { Change::Over(kind) } else { Change::None };
        };
        if self.finding.is_none() {
            self.since = now;
        }
        (self.finding, self.seen) = (Some(finding), now);
        self.counts |= now.since(self.since) >= u64::from(finding.kind().row().comes_ms);
        if !self.counts || self.told.is_some_and(|told| now.since(told) < EACH_MS) {
            return Change::None;
        }
        self.told = Some(now);
        Change::Tell(finding)
    }

    /// What is wrong, and since when.
    pub fn shown(&self) -> Option<(Finding, Millis)> {
        self.finding.filter(|_| self.counts).map(|finding| (finding, self.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_counted_in_parts_and_what_is_older_is_gone() {
        let mut recent = Recent::default();
        recent.add(2, Millis(5_000));
        recent.add(3, Millis(12_000));
        assert_eq!(recent.count(Millis(59_999)), 5);
        assert_eq!(recent.count(Millis(60_000)), 3);
        assert_eq!(recent.count(Millis(70_000)), 0);
        recent.add(u32::MAX, Millis(1_000_000));
        recent.add(1, Millis(1_000_001));
        assert_eq!(recent.count(Millis(1_000_002)), u32::from(u16::MAX));
    }

    #[test]
    fn a_symptom_comes_when_it_lasts_and_goes_when_it_is_over_for_long_enough() {
        let mut symptom = Symptom::default();
        let found = Finding::NetworkFull { behind: 3, viewers: 4 };
        let row = FindingKind::NetworkFull.row();
        assert!(row.comes_ms > 2_000 && row.goes_ms > 2_000);
        assert_eq!(symptom.look(Some(found), Millis(1_000)), Change::None);
        assert_eq!(symptom.shown(), None);
        // A moment without does not begin anew; a longer one does.
        assert_eq!(symptom.look(None, Millis(2_000)), Change::None);
        let at = Millis(1_000 + u64::from(row.comes_ms));
        assert_eq!(symptom.look(Some(found), at), Change::Tell(found));
        assert_eq!(symptom.shown(), Some((found, Millis(1_000))));
        // The log hears of it each minute, and of what it is then.
        let more = Finding::NetworkFull { behind: 4, viewers: 4 };
        assert_eq!(symptom.look(Some(more), at + 59_999), Change::None);
        assert_eq!(symptom.shown().unwrap().0, more);
        assert_eq!(symptom.look(Some(more), at + 60_000), Change::Tell(more));
        let goes_ms = u64::from(row.goes_ms);
        assert_eq!(symptom.look(None, at + (60_000 + goes_ms - 1)), Change::None);
        assert!(symptom.shown().is_some());
        assert_eq!(symptom.look(None, at + 60_000 + goes_ms), Change::Over(FindingKind::NetworkFull));
        assert!(symptom.shown().is_none());
        assert_eq!(symptom.look(Some(found), at + 200_000), Change::None);
        assert_eq!(symptom.look(None, at + 200_000 + GAP_MS), Change::None);
        assert_eq!(symptom.look(Some(found), at + 201_000 + GAP_MS), Change::None, "it has begun anew");
    }
}
