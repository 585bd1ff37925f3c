//! What is wrong with the board, its network and the server's tables, whichever stream it is.

use log::{info, warn};

use crate::time::Millis;

use super::finding::{Finding, FindingKind, FullTable, Remedy};
use super::symptoms::{Change, Recent, Symptom};

/// From one look to the next, in milliseconds.
pub const LOOK_MS: u64 = 1_000;
/// From one reading of the board to the next, in milliseconds.
const BOARD_MS: u64 = 10_000;
/// A processor of a board slows down from here on, in thousandths of a degree Celsius, ...
const HOT: i32 = 80_000;
/// ... and one that was too hot is so until it is cooler than this.
const COOL: i32 = 75_000;
/// A chip that has used up so much of its life is to be replaced, in percent.
const WORN_PERCENT: u32 = 90;
/// The end of a certificate is told so many days ahead.
const CERTIFICATE_DAYS: u32 = 14;
/// So many viewers at once are more than one who sits far away.
const SEVERAL: u32 = 3;

/// Kinds of which there is one at a time.
const SINGLE: [FindingKind; 8] = [
    FindingKind::UnderVoltage,
    FindingKind::Hot,
    FindingKind::Throttled,
    FindingKind::CardFull,
    FindingKind::CardWorn,
    FindingKind::NetworkFull,
    FindingKind::CertificateEnds,
    FindingKind::HookDown,
];
const TABLES: usize = FullTable::ALL.len();

/// What the board says of itself. What it does not say is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BoardFacts {
    /// Its processor's temperature, in thousandths of a degree Celsius.
    pub temperature_milli: Option<i32>,
    /// Its supply does not hold the voltage.
    pub under_voltage: Option<bool>,
    /// Its processor is slowed down, for whichever reason.
    pub throttled: Option<bool>,
    /// Where files are.
    pub card: Option<CardRoom>,
    /// How much of the life of its memory chip is used up, in percent.
    pub worn_percent: Option<u32>,
}

/// How much room there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CardRoom {
    /// Free, in bytes.
    pub free: u64,
    /// Less is too little, in bytes.
    pub least: u64,
}

/// All of it.
#[derive(Default)]
pub struct Health {
    /// What the board said last.
    pub board: BoardFacts,
    /// The certificate for TLS counts so many days more, as far as there is one and the clock is set; 0 is less than one, or none.
    pub certificate_days: Option<u32>,
    /// So many hooks do not answer.
    pub hooks_down: u32,
    /// Kinds that something was wrong of with a stream at the last look, a bit each: lists need not search all names for others.
    pub stream_kinds: u32,
    /// How much was wrong with all streams then.
    pub stream_findings: u32,
    /// When it is looked at next.
    look_at: Millis,
    /// When the board is asked next; never while the disk is at it.
    ask_at: Millis,
    is_asked: bool,
    /// How often a table was full, since the start, at the last look.
    counted: [u64; TABLES],
    full: [Recent; TABLES],
    symptoms: [Symptom; SINGLE.len()],
    full_symptoms: [Symptom; TABLES],
}

impl Health {
    /// Whether it is time for a look. Asking takes it.
    pub fn is_due(&mut self, now: Millis) -> bool {
        let is_due = self.look_at <= now;
        if is_due {
            self.look_at = now + LOOK_MS;
            self.is_asked |= self.ask_at <= now;
        }
        is_due
    }

    /// Whether the board is to be asked. Asking takes it.
    pub fn takes_question(&mut self) -> bool {
        let asks = core::mem::take(&mut self.is_asked);
        if asks {
            // Until it has answered.
            self.ask_at = Millis(u64::MAX);
        }
        asks
    }

    /// The board has answered.
    pub fn answered(&mut self, board: BoardFacts, now: Millis) {
        (self.board, self.ask_at) = (board, now + BOARD_MS);
    }

    /// All was looked at: of so many viewers so many are behind, and each table was full so often since the start.
    pub fn look(&mut self, (behind, viewers): (u32, u32), counts: [u64; TABLES], now: Millis) {
        for (at, kind) in SINGLE.iter().enumerate() {
            let found = self.found(*kind, behind, viewers);
            tell(self.symptoms[at].look(found, now));
        }
        for (at, &table) in FullTable::ALL.iter().enumerate() {
            let more = counts[at].saturating_sub(self.counted[at]);
            self.full[at].add(more.try_into().unwrap_or(u32::MAX), now);
            let times = self.full[at].count(now);
            tell(self.full_symptoms[at].look((times > 0).then_some(Finding::Full { table, times }), now));
        }
        self.counted = counts;
    }

    fn found(&self, kind: FindingKind, behind: u32, viewers: u32) -> Option<Finding> {
        let is_shown = |at: usize| self.symptoms[at].shown().is_some();
        let BoardFacts { temperature_milli, under_voltage, throttled, card, worn_percent } = self.board;
        match kind {
            FindingKind::UnderVoltage => under_voltage.unwrap_or(false).then_some(Finding::UnderVoltage),
            FindingKind::Hot => {
                let bar = if is_shown(1) { COOL } else { HOT };
                let milli = temperature_milli.filter(|milli| *milli >= bar)?;
                Some(Finding::Hot { celsius: milli.unsigned_abs() / 1000 })
            }
            FindingKind::Throttled => throttled.unwrap_or(false).then_some(Finding::Throttled),
            FindingKind::CardFull => {
                let CardRoom { free, least } = card?;
                let bar = if is_shown(3) { least + least / 4 } else { least };
                (free < bar).then_some(Finding::CardFull { free_mb: (free / 1_000_000).try_into().unwrap_or(u32::MAX) })
            }
            FindingKind::CardWorn => {
                let percent = worn_percent.filter(|percent| *percent >= WORN_PERCENT)?;
                Some(Finding::CardWorn { percent })
            }
            FindingKind::NetworkFull => {
                (behind >= SEVERAL && 2 * behind >= viewers).then_some(Finding::NetworkFull { behind, viewers })
            }
            FindingKind::CertificateEnds => {
                let days = self.certificate_days.filter(|days| *days <= CERTIFICATE_DAYS)?;
                Some(Finding::CertificateEnds { days })
            }
            FindingKind::HookDown => (self.hooks_down > 0).then_some(Finding::HookDown { hooks: self.hooks_down }),
            // Of streams.
            _ => None,
        }
    }

    /// How much is wrong, as of the last look.
    pub fn count(&self) -> usize {
        let symptoms = self.symptoms.iter().chain(&self.full_symptoms);
        symptoms.filter(|symptom| symptom.shown().is_some()).count() + self.stream_findings as usize
    }

    /// What is wrong of this kind, and since when: of tables the one at place `at`, and of others the first.
    pub fn shown(&self, kind: FindingKind, at: usize) -> Option<(Finding, Millis)> {
        if kind == FindingKind::Full {
            return self.full_symptoms.get(at)?.shown();
        }
        let place = SINGLE.iter().position(|known| *known == kind && at == 0)?;
        self.symptoms[place].shown()
    }
}

fn tell(change: Change) {
    match change {
        Change::None => {}
        Change::Tell(finding) => warn!("rill {finding}; {}", Remedy(finding)),
        Change::Over(kind) => info!("rill over finding={}", kind.row().name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that is looked at once a second.
    #[derive(Default)]
    struct Watched {
        health: Health,
        now: Millis,
        viewers: (u32, u32),
        counts: [u64; TABLES],
    }

    impl Watched {
        fn pass(&mut self, seconds: u32) -> Vec<Finding> {
            for _ in 0..seconds {
                self.now = self.now + LOOK_MS;
                assert!(self.health.is_due(self.now) && !self.health.is_due(self.now));
                self.health.look(self.viewers, self.counts, self.now);
            }
            let places = FindingKind::ALL.iter().flat_map(|kind| (0..TABLES).map(move |at| (*kind, at)));
            places.filter_map(|(kind, at)| self.health.shown(kind, at)).map(|(finding, _)| finding).collect()
        }
    }

    /// What makes a finding true, what it then is, after how many seconds; and what makes it go away, after how many seconds.
    type Case = (fn(&mut Watched), Finding, u32, fn(&mut Watched), u32);

    #[test]
    fn each_finding_comes_when_it_is_true_and_goes_when_it_is_over() {
        let cases: [Case; 12] = [
            (
                |w| w.health.board.under_voltage = Some(true),
                Finding::UnderVoltage,
                1,
                |w| w.health.board.under_voltage = Some(false),
                60,
            ),
            (
                |w| w.health.board.temperature_milli = Some(84_999),
                Finding::Hot { celsius: 84 },
                1,
                |w| w.health.board.temperature_milli = Some(74_999),
                30,
            ),
            (|w| w.health.board.throttled = Some(true), Finding::Throttled, 1, |w| w.health.board.throttled = None, 60),
            (
                |w| w.health.board.card = Some(CardRoom { free: 99_000_000, least: 100_000_000 }),
                Finding::CardFull { free_mb: 99 },
                1,
                |w| w.health.board.card = Some(CardRoom { free: 125_000_000, least: 100_000_000 }),
                30,
            ),
            (
                |w| w.health.board.worn_percent = Some(90),
                Finding::CardWorn { percent: 90 },
                1,
                |w| w.health.board.worn_percent = Some(10),
                1,
            ),
            (
                |w| w.health.certificate_days = Some(14),
                Finding::CertificateEnds { days: 14 },
                1,
                |w| w.health.certificate_days = Some(15),
                1,
            ),
            (
                |w| w.health.certificate_days = Some(0),
                Finding::CertificateEnds { days: 0 },
                1,
                |w| w.health.certificate_days = None,
                1,
            ),
            (|w| w.health.hooks_down = 2, Finding::HookDown { hooks: 2 }, 1, |w| w.health.hooks_down = 0, 1),
            (|w| w.viewers = (3, 6), Finding::NetworkFull { behind: 3, viewers: 6 }, 4, |w| w.viewers = (3, 7), 15),
            (|w| w.viewers = (4, 4), Finding::NetworkFull { behind: 4, viewers: 4 }, 4, |w| w.viewers = (2, 2), 15),
            (|w| w.counts[2] += 7, Finding::Full { table: FullTable::Streams, times: 7 }, 1, |_| {}, 60),
            (|w| w.counts[5] += 1, Finding::Full { table: FullTable::RecordedPlayers, times: 1 }, 1, |_| {}, 60),
        ];
        for (begin, finding, comes, end, goes) in cases {
            let mut watched = Watched::default();
            assert_eq!(watched.pass(2), [], "all is well before {finding}");
            begin(&mut watched);
            if comes > 1 {
                assert_eq!(watched.pass(comes - 1), [], "{finding} has to last");
            }
            assert_eq!(watched.pass(1), [finding]);
            end(&mut watched);
            assert_eq!(watched.pass(goes), [], "{finding} is over");
        }
    }

    #[test]
    fn a_board_at_the_bar_does_not_flicker() {
        let mut watched = Watched::default();
        for (milli, wrong) in [(79_999, false), (80_000, true), (76_000, true), (79_000, true)] {
            watched.health.board.temperature_milli = Some(milli);
            assert_eq!(!watched.pass(100).is_empty(), wrong, "{milli}");
        }
        for (free, wrong) in [(100, false), (99, true), (124, true)] {
            watched.health.board = BoardFacts { card: Some(CardRoom { free, least: 100 }), ..BoardFacts::default() };
            assert_eq!(watched.pass(100).contains(&Finding::CardFull { free_mb: 0 }), wrong, "{free}");
        }
    }

    #[test]
    fn the_board_is_asked_now_and_then_and_never_twice() {
        let mut health = Health::default();
        assert!(health.is_due(Millis(5)) && health.takes_question() && !health.takes_question());
        assert!(health.is_due(Millis(50_000)) && !health.takes_question(), "it has not answered");
        health.answered(BoardFacts::default(), Millis(50_000));
        assert!(health.is_due(Millis(59_000)) && !health.takes_question());
        assert!(health.is_due(Millis(60_000)) && health.takes_question());
    }
}
