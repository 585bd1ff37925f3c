//! What players count: bytes, pictures, losses and times.

use super::clock::Stamp;
use super::histogram::Histogram;

/// Numbers at least this far ahead are behind: 16 bits wrap.
const HALF: u16 = 0x8000;

/// Sums over all players since the last [`BenchCounts::begin_window`], unless a field says otherwise.
#[derive(Debug, Default)]
pub struct BenchCounts {
    /// Bytes read from players' sockets.
    pub wire_bytes: u64,
    /// Payload of complete audio and video messages.
    pub media_bytes: u64,
    /// Pictures received.
    pub pictures: u64,
    /// Pictures that were sent after a player's first one and did not arrive.
    pub lost: u64,
    /// From the time a picture was handed to the publisher's socket until a player had all of it. Pictures sent before
    /// the player's first one arrived are left out: they are the cached GOP that it starts with.
    pub latency: Histogram,
    /// From opening a connection to the first whole picture, for all players that ever joined.
    pub join: Histogram,
    /// Number of the newest picture that was sent, or seen, of each stream.
    pub newest: Vec<Option<u16>>,
}

impl BenchCounts {
    /// Counts for so many streams.
    pub fn new(streams: usize) -> BenchCounts {
        BenchCounts { newest: vec![None; streams], ..BenchCounts::default() }
    }

    /// Forgets sums and latencies; join times stay.
    pub fn begin_window(&mut self) {
        (self.wire_bytes, self.media_bytes, self.pictures, self.lost) = (0, 0, 0, 0);
        self.latency.clear();
    }
}

/// What one player has received.
#[derive(Clone, Copy, Debug)]
pub struct Player {
    opened_us: u64,
    joined_us: Option<u64>,
    last: u16,
}

impl Player {
    /// A player whose connection was opened at `now_us`.
    pub fn new(now_us: u64) -> Player {
        Player { opened_us: now_us, joined_us: None, last: 0 }
    }

    /// A picture of `stream` has arrived whole.
    pub fn picture(&mut self, stream: usize, stamp: Stamp, now_us: u64, counts: &mut BenchCounts) {
        counts.pictures += 1;
        let newest = counts.newest[stream].get_or_insert(stamp.number);
        if stamp.number.wrapping_sub(*newest) < HALF {
            *newest = stamp.number;
        }
        let Some(joined_us) = self.joined_us else {
            counts.join.record(now_us.saturating_sub(self.opened_us));
            self.joined_us = Some(now_us);
            self.last = stamp.number;
            return;
        };
        let ahead = stamp.number.wrapping_sub(self.last);
        if ahead == 0 || ahead >= HALF {
            return;
        }
        counts.lost += u64::from(ahead) - 1;
        self.last = stamp.number;
        let age_us = stamp.age_us(now_us);
        if age_us <= now_us - joined_us {
            counts.latency.record(age_us);
        }
    }

    /// How many pictures of a stream whose newest is `newest` this player has not received yet.
    pub fn behind(&self, newest: Option<u16>) -> u16 {
        match (self.joined_us, newest) {
            (Some(_), Some(newest)) => Some(newest.wrapping_sub(self.last)).filter(|&behind| behind < HALF),
            _ => None,
        }
        .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receive(numbers: &[u16]) -> (Player, BenchCounts) {
        let (mut player, mut counts) = (Player::new(0), BenchCounts::new(1));
        for (index, &number) in numbers.iter().enumerate() {
            let now_us = 1_000_000 + index as u64 * 33_000;
            player.picture(0, Stamp { number, time_us: now_us - 500 }, now_us, &mut counts);
        }
        (player, counts)
    }

    #[test]
    fn holes_are_losses_across_the_wrap_and_repeats_are_not() {
        let (player, counts) = receive(&[65_533, 65_534, 1, 0, 1, 2]);
        assert_eq!(counts.lost, 2);
        assert_eq!(counts.pictures, 6);
        assert_eq!(player.behind(Some(5)), 3);
        assert_eq!(player.behind(Some(1)), 0);
        assert_eq!(counts.newest, [Some(2)]);
    }

    #[test]
    fn the_cached_pictures_a_player_starts_with_count_for_joining_and_not_for_latency() {
        let (mut player, mut counts) = (Player::new(1_000), BenchCounts::new(1));
        for number in 0..60 {
            player.picture(0, Stamp { number, time_us: u64::from(number) * 10 }, 5_000, &mut counts);
        }
        assert_eq!(counts.join.quantile_us(1.0), 4_000);
        assert_eq!((counts.latency.count(), counts.lost), (0, 0));
        player.picture(0, Stamp { number: 60, time_us: 6_000 }, 6_020, &mut counts);
        assert_eq!((counts.latency.count(), counts.latency.max_us()), (1, 20));
    }
}
