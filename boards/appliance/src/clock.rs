//! Setting the clock by SNTP (RFC 4330): these boards have no clock that runs while they are off.

use std::net::{ToSocketAddrs, UdpSocket};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Answers of servers in a home's reach take milliseconds.
const PATIENCE: Duration = Duration::from_secs(3);
/// Seconds from 1900, where NTP counts from, to 1970.
const NTP_TO_UNIX: u64 = 2_208_988_800;
/// A server cannot know a time before this program was written: 2025-01-01.
const EARLIEST: Duration = Duration::from_secs(1_735_689_600);
/// A difference too small to matter is not worth a jump.
const TOLERANCE: Duration = Duration::from_millis(100);
const PACKET: usize = 48;

/// Sets the clock by the first of `servers` (names or addresses) that answers. Returns what was done.
///
/// # Errors
///
/// No time server answers, and why; or the clock cannot be set.
pub fn set(servers: &[&str]) -> Result<String, String> {
    let mut problems = Vec::new();
    for server in servers {
        match ask(server) {
            Ok((time, uncertainty)) => return step(server, time, uncertainty),
            Err(problem) => problems.push(format!("{server}: {problem}")),
        }
    }
    Err(problems.join("; "))
}

/// The time now since 1970 by `server`, and how long its answer took.
fn ask(server: &str) -> Result<(Duration, Duration), String> {
    let text = |error: std::io::Error| error.to_string();
    let address = (server, 123).to_socket_addrs().map_err(text)?.next().ok_or("has no address")?;
    let local = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(local).map_err(text)?;
    socket.connect(address).map_err(text)?;
    socket.set_read_timeout(Some(PATIENCE)).map_err(text)?;
    // The server returns this in its answer. The clock does as a nonce: who can read it can forge the answer anyway.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let nonce = (since.as_nanos() as u64) ^ (u64::from(std::process::id()) << 48);
    let begin = std::time::Instant::now();
    socket.send(&request(nonce)).map_err(text)?;
    let mut packet = [0; PACKET];
    let length = socket.recv(&mut packet).map_err(text)?;
    let time = answer(&packet[..length], nonce)?;
    let took = begin.elapsed();
    Ok((time + took / 2, took))
}

/// Section 5: version 4, mode 3, and our nonce as the transmit timestamp.
fn request(nonce: u64) -> [u8; PACKET] {
    let mut packet = [0; PACKET];
    packet[0] = 4 << 3 | 3;
    packet[40..].copy_from_slice(&nonce.to_be_bytes());
    packet
}

/// The transmit timestamp of an answer, since 1970. Section 5 lists what makes an answer worth nothing.
fn answer(packet: &[u8], nonce: u64) -> Result<Duration, &'static str> {
    let Ok(packet) = <&[u8; PACKET]>::try_from(packet) else { return Err("the answer is too short") };
    if packet[24..32] != nonce.to_be_bytes() {
        return Err("the answer is to another question");
    }
    let (leap, mode, stratum) = (packet[0] >> 6, packet[0] & 7, packet[1]);
    if mode != 4 || leap == 3 || !(1..16).contains(&stratum) {
        return Err("the server does not know the time");
    }
    let field = |at: usize| u64::from(u32::from_be_bytes([packet[at], packet[at + 1], packet[at + 2], packet[at + 3]]));
    let (seconds, fraction) = (field(40), field(44));
    // Section 3: since 2036 the seconds have begun anew, and lack the first bit.
    let seconds = if seconds & 0x8000_0000 == 0 { seconds + (1 << 32) } else { seconds } - NTP_TO_UNIX;
    let time = Duration::new(seconds, ((fraction * 1_000_000_000) >> 32) as u32);
    if time < EARLIEST { Err("the server's time cannot be right") } else { Ok(time) }
}

fn step(server: &str, time: Duration, uncertainty: Duration) -> Result<String, String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let offset = time.abs_diff(now);
    if offset <= TOLERANCE.max(uncertainty) {
        return Ok(format!("the clock is right by {server}"));
    }
    // SAFETY: all zero is a valid timespec, which has padding on 32-bit targets.
    let mut spec: libc::timespec = unsafe { std::mem::zeroed() };
    spec.tv_sec = time.as_secs() as _;
    spec.tv_nsec = time.subsec_nanos() as _;
    // SAFETY: it reads one timespec, which lives until it returns.
    if unsafe { libc::clock_settime(libc::CLOCK_REALTIME, &spec) } != 0 {
        return Err(format!("the clock cannot be set: {}", std::io::Error::last_os_error()));
    }
    Ok(format!("the clock was set by {server}; it was {} s off", offset.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server's answer to the nonce 7 with stratum 2, at `seconds` of NTP and half a second.
    fn packet(seconds: u32) -> [u8; PACKET] {
        let mut packet = [0; PACKET];
        packet[..2].copy_from_slice(&[0x24, 2]);
        packet[31] = 7;
        packet[40..44].copy_from_slice(&seconds.to_be_bytes());
        packet[44] = 0x80;
        packet
    }

    #[test]
    fn a_request_is_that_of_a_version_4_client() {
        let request = request(0x0102_0304_0506_0708);
        assert_eq!((request[0], &request[40..]), (0x23, &[1, 2, 3, 4, 5, 6, 7, 8][..]));
        assert!(request[1..40].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn the_time_of_an_answer_counts_from_1970_also_after_2036() {
        let read = |seconds| answer(&packet(seconds), 7);
        assert_eq!(read(3_975_000_000), Ok(Duration::from_millis(1_766_011_200_500)));
        assert_eq!(read(0x10), Ok(Duration::from_millis(2_085_978_512_500)));
        assert_eq!(read(3_900_000_000), Err("the server's time cannot be right"));
    }

    #[test]
    fn answers_that_say_nothing_are_not_believed() {
        let good = packet(3_975_000_000);
        assert!(answer(&good[..47], 7).is_err() && answer(&good, 8).is_err() && answer(&[], 7).is_err());
        for (at, byte) in [(0, 0xe4), (0, 0x23), (1, 0), (1, 16)] {
            let mut bad = good;
            bad[at] = byte;
            assert_eq!(answer(&bad, 7), Err("the server does not know the time"));
        }
    }
}
