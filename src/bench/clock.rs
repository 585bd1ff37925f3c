//! The clocks of a measurement: time, how it travels in a picture, and processor time.

use std::fs;
use std::time::{Instant, SystemTime};

/// Clock ticks of `/proc/self/stat` a second: a constant of the kernel's interface.
const TICKS_PER_SECOND: f64 = 100.0;

/// A monotonic clock in microseconds that agrees between processes of one machine: it starts from the wall clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    base_us: u64,
    start: Instant,
}

impl Default for Clock {
    fn default() -> Clock {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Clock { base_us: wall.as_micros() as u64, start: Instant::now() }
    }
}

impl Clock {
    /// Microseconds since 1970, undisturbed by later changes of the wall clock.
    pub fn now_us(&self) -> u64 {
        self.base_us + self.start.elapsed().as_micros() as u64
    }
}

/// What each picture carries: 16 bits of its number (36 minutes at 30 pictures a second) and 40 bits of the time it was
/// sent (12 days).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Counts the pictures of a stream, without holes, wrapping.
    pub number: u16,
    /// When it was sent, on the sender's [`Clock`].
    pub time_us: u64,
}

const TIME_BITS: u32 = 40;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;

impl Stamp {
    /// The 56 bits that a picture has room for.
    pub fn pack(self) -> u64 {
        u64::from(self.number) << TIME_BITS | self.time_us & TIME_MASK
    }

    /// Reads what [`Stamp::pack`] wrote; of the time the low 40 bits are known.
    pub fn unpack(packed: u64) -> Stamp {
        Stamp { number: (packed >> TIME_BITS) as u16, time_us: packed & TIME_MASK }
    }

    /// Microseconds from the stamp to `now_us`; 0 when the stamp lies ahead.
    pub fn age_us(self, now_us: u64) -> u64 {
        let age = now_us.wrapping_sub(self.time_us) & TIME_MASK;
        if age > TIME_MASK / 2 { 0 } else { age }
    }
}

/// Processor time this process has taken; `None` where `/proc` does not tell.
pub fn own_cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in brackets and may hold anything; utime and stime are fields 14 and 15.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) as f64 / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_reads_back_and_knows_its_age_across_the_wrap_of_its_time() {
        let stamp = Stamp { number: 65_535, time_us: TIME_MASK - 9 };
        assert_eq!(Stamp::unpack(stamp.pack()), stamp);
        assert_eq!(stamp.age_us(TIME_MASK + 11), 20);
        assert_eq!(stamp.age_us(stamp.time_us - 5), 0);
        assert!(stamp.pack() < 1 << 56);
    }
}
