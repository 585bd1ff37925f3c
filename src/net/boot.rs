//! Since when the machine runs, and which of its starts that was: what is left of the time where no clock is set.

use std::fs;

/// Milliseconds since the machine's start, and a number of that start; `None` where the system does not tell.
pub fn since_start() -> Option<(u64, u32)> {
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let seconds: f64 = uptime.split_whitespace().next()?.parse().ok()?;
    let start = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(((seconds * 1000.0) as u64, u32::from_str_radix(start.get(..8)?, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_start_has_one_number_and_goes_on() {
        let (first, second) = (since_start().unwrap(), since_start().unwrap());
        assert!(second.0 >= first.0 && second.1 == first.1);
    }
}
