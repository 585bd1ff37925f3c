//! Handshake: the 1 + 1536 + 1536 bytes each side sends before the first chunk (RTMP 1.0, section 5.2), simple and digest.
//!
//! The digest form came with Flash Player 9. Adobe never described it; what is here is what clients do. It proves nothing
//! (the keys are public), but librtmp asks for it first, and Flash Player plays H.264 only after it.

use crate::limits::HANDSHAKE_BYTES;

use super::keyed::hmac_sha256;

/// Version byte of C0 and S0: plain RTMP.
pub const VERSION: u8 = 3;

/// C1, S1, C2 or S2.
pub type Packet = [u8; HANDSHAKE_BYTES];

/// What the first byte of a connection says about the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstByte {
    /// C0 of plain RTMP. Undefined versions count too: they are answered with 3 (RTMP 1.0, section 5.2.2).
    Rtmp,
    /// C0 of RTMPE (6, 8, 9): what follows is ciphertext to us.
    Encrypted,
    /// A TLS handshake record.
    Tls,
    /// A capital letter, as every HTTP method begins.
    Http,
    /// `S`, as in `SSH-2.0-`.
    Ssh,
    /// Nothing we know.
    Other,
}

/// Recognises the protocol of a peer from the first byte it sent.
pub fn first_byte(byte: u8) -> FirstByte {
    match byte {
        0x16 => FirstByte::Tls,
        6 | 8 | 9 => FirstByte::Encrypted,
        3..=31 => FirstByte::Rtmp,
        b'S' => FirstByte::Ssh,
        b'A'..=b'Z' => FirstByte::Http,
        _ => FirstByte::Other,
    }
}

/// The form of a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Section 5.2 of RTMP 1.0: time, zero, random, echoed.
    Simple,
    /// A digest whose place is told by bytes 8 to 11 ("scheme 1" in SRS, offset 1 in librtmp).
    DigestFirst,
    /// A digest whose place is told by bytes 772 to 775 ("scheme 0" in SRS, offset 2 in librtmp).
    DigestSecond,
}

/// Writes S0, S1 and S2 for a client's C1 and says in which form.
///
/// `time_ms` is our clock, `random` fills a slice with random bytes. A C1 without a valid digest is answered in the simple
/// form and never refused. No requirement is put on C2: extended handshakes break the echo.
pub fn respond(
    c1: &Packet,
    time_ms: u32,
    random: &mut dyn FnMut(&mut [u8]),
    out: &mut [u8; 1 + 2 * HANDSHAKE_BYTES],
) -> Scheme {
    let (s0, s1, s2) = split_response(out);
    *s0 = VERSION;
    random(s1);
    s1[..4].copy_from_slice(&time_ms.to_be_bytes());
    match find_digest(c1, PLAYER_TEXT) {
        Some((scheme, at)) => {
            s1[4..8].copy_from_slice(&SERVER_VERSION);
            sign(s1, scheme, SERVER_TEXT);
            random(s2);
            sign_answer(s2, &c1[at..at + DIGEST_BYTES], SERVER_TEXT);
            scheme
        }
        None => {
            // A byte other than zero here, without a valid digest, makes librtmp give up instead of falling back.
            s1[4..8].fill(0);
            // Without our time in bytes 4 to 7 (section 5.2.4): librtmp compares all of it, and Streamlabs its times.
            *s2 = *c1;
            Scheme::Simple
        }
    }
}

/// Writes C0 and C1 of the simple form.
pub fn request_simple(time_ms: u32, random: &mut dyn FnMut(&mut [u8]), out: &mut [u8; 1 + HANDSHAKE_BYTES]) {
    out[0] = VERSION;
    random(&mut out[9..]);
    out[1..5].copy_from_slice(&time_ms.to_be_bytes());
    out[5..9].fill(0);
}

/// Writes C0 and C1 with a digest at the place `scheme` says; [`Scheme::Simple`] writes the simple form.
pub fn request_digest(
    scheme: Scheme,
    time_ms: u32,
    random: &mut dyn FnMut(&mut [u8]),
    out: &mut [u8; 1 + HANDSHAKE_BYTES],
) {
    request_simple(time_ms, random, out);
    if scheme == Scheme::Simple {
        return;
    }
    let (_, c1) = out.split_at_mut(1);
    if let Ok(c1) = <&mut Packet>::try_from(c1) {
        c1[4..8].copy_from_slice(&CLIENT_VERSION);
        sign(c1, scheme, PLAYER_TEXT);
    }
}

/// Whether S1 and S2 are a valid answer of the digest form to `c1`, which must carry a digest itself.
pub fn verify_response(c1: &Packet, s1: &Packet, s2: &Packet) -> bool {
    let Some((_, at)) = find_digest(c1, PLAYER_TEXT) else { return false };
    if find_digest(s1, SERVER_TEXT).is_none() {
        return false;
    }
    let mut expected = *s2;
    sign_answer(&mut expected, &c1[at..at + DIGEST_BYTES], SERVER_TEXT);
    expected == *s2
}

/// Writes C2 or S2 of the simple form: the peer's packet with the time we read it in bytes 4 to 7
/// (RTMP 1.0, section 5.2.4). Servers take it as C2 of the digest form too.
pub fn echo(peer: &Packet, read_time_ms: u32, out: &mut Packet) {
    *out = *peer;
    out[4..8].copy_from_slice(&read_time_ms.to_be_bytes());
}

const DIGEST_BYTES: usize = 32;
const PLAYER_TEXT: &[u8] = b"Genuine Adobe Flash Player 001";
const SERVER_TEXT: &[u8] = b"Genuine Adobe Flash Media Server 001";
/// Follows either text in the key that derives answers; the text alone signs C1 and S1.
const KEY_TAIL: [u8; 32] = [
    0xF0, 0xEE, 0xC2, 0x4A, 0x80, 0x68, 0xBE, 0xE8, 0x2E, 0x00, 0xD0, 0xD1, 0x02, 0x9E, 0x7E, 0x57, 0x6E, 0xEC, 0x5D,
    0x2D, 0x29, 0x80, 0x6F, 0xAB, 0x93, 0xB8, 0xE6, 0x36, 0xCF, 0xEB, 0x31, 0xAE,
];
/// Any version but zero tells a client that S1 has a digest; this is a Flash Media Server's.
const SERVER_VERSION: [u8; 4] = [0x04, 0x05, 0x00, 0x01];
/// The Flash Player version librtmp claims (10.0.32.2 without its zero).
const CLIENT_VERSION: [u8; 4] = [0x0A, 0x00, 0x20, 0x02];

fn split_response(out: &mut [u8; 1 + 2 * HANDSHAKE_BYTES]) -> (&mut u8, &mut Packet, &mut Packet) {
    let [s0, rest @ ..] = out;
    let (s1, s2) = rest.split_at_mut(HANDSHAKE_BYTES);
    let s1 = s1.try_into().expect("split at the length of a packet");
    let s2 = s2.try_into().expect("the rest of two packets is a packet");
    (s0, s1, s2)
}

/// Where the digest of a packet lies; at most 1503, so that it always fits.
fn digest_position(packet: &Packet, scheme: Scheme) -> usize {
    let told_at = if scheme == Scheme::DigestFirst { 8 } else { 772 };
    let sum: usize = packet[told_at..told_at + 4].iter().map(|&byte| usize::from(byte)).sum();
    sum % 728 + told_at + 4
}

/// The digest of a packet: over everything but the 32 bytes at `at` themselves.
fn packet_digest(packet: &Packet, at: usize, text: &[u8]) -> [u8; DIGEST_BYTES] {
    hmac_sha256(&[text], &[&packet[..at], &packet[at + DIGEST_BYTES..]])
}

fn find_digest(packet: &Packet, text: &[u8]) -> Option<(Scheme, usize)> {
    if packet[4..8] == [0; 4] {
        return None;
    }
    [Scheme::DigestFirst, Scheme::DigestSecond].into_iter().find_map(|scheme| {
        let at = digest_position(packet, scheme);
        (packet_digest(packet, at, text) == packet[at..at + DIGEST_BYTES]).then_some((scheme, at))
    })
}

fn sign(packet: &mut Packet, scheme: Scheme, text: &[u8]) {
    let at = digest_position(packet, scheme);
    let digest = packet_digest(packet, at, text);
    packet[at..at + DIGEST_BYTES].copy_from_slice(&digest);
}

/// Writes the last 32 bytes of S2 (or C2), derived from the digest of the peer's first packet.
fn sign_answer(packet: &mut Packet, peer_digest: &[u8], text: &[u8]) {
    let key = hmac_sha256(&[text, &KEY_TAIL], &[peer_digest]);
    let (body, end) = packet.split_at_mut(HANDSHAKE_BYTES - DIGEST_BYTES);
    end.copy_from_slice(&hmac_sha256(&[&key], &[body]));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

    use super::*;

    /// HMAC written out from RFC 2104, so that the tests do not check the crate against itself.
    fn plain_hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
        let mut block = [0_u8; 64];
        if key.len() > 64 {
            block[..32].copy_from_slice(&Sha256::digest(key));
        } else {
            block[..key.len()].copy_from_slice(key);
        }
        let inner = Sha256::digest([block.map(|b| b ^ 0x36).as_slice(), message].concat());
        Sha256::digest([block.map(|b| b ^ 0x5C).as_slice(), &inner].concat()).into()
    }

    fn counting() -> impl FnMut(&mut [u8]) {
        let mut next = 1_u8;
        move |bytes| {
            for byte in bytes {
                *byte = next;
                next = next.wrapping_mul(5).wrapping_add(3);
            }
        }
    }

    fn answer(c1: &Packet) -> (Scheme, Packet, Packet) {
        let mut out = [0; 1 + 2 * HANDSHAKE_BYTES];
        let scheme = respond(c1, 0x0102_0304, &mut counting(), &mut out);
        assert_eq!(out[0], 3);
        (scheme, out[1..1537].try_into().unwrap(), out[1537..].try_into().unwrap())
    }

    fn digest_request(scheme: Scheme) -> Packet {
        let mut out = [0; 1 + HANDSHAKE_BYTES];
        request_digest(scheme, 7, &mut counting(), &mut out);
        assert_eq!(out[0], 3);
        out[1..].try_into().unwrap()
    }

    #[test]
    fn the_first_byte_tells_the_protocols_that_knock_on_this_port() {
        for (byte, expected) in [
            (3, FirstByte::Rtmp),
            (5, FirstByte::Rtmp),
            (6, FirstByte::Encrypted),
            (7, FirstByte::Rtmp),
            (8, FirstByte::Encrypted),
            (9, FirstByte::Encrypted),
            (31, FirstByte::Rtmp),
            (0x16, FirstByte::Tls),
            (b'G', FirstByte::Http),
            (b'P', FirstByte::Http),
            (b'C', FirstByte::Http),
            (b'S', FirstByte::Ssh),
            (0, FirstByte::Other),
            (2, FirstByte::Other),
            (0x20, FirstByte::Other),
            (b'g', FirstByte::Other),
            (0xFF, FirstByte::Other),
        ] {
            assert_eq!(first_byte(byte), expected, "{byte:#04x}");
        }
    }

    #[test]
    fn a_simple_request_is_echoed_and_s1_has_its_zero() {
        let mut request = [0; 1 + HANDSHAKE_BYTES];
        request_simple(0x1122_3344, &mut counting(), &mut request);
        assert_eq!(request[..9], [3, 0x11, 0x22, 0x33, 0x44, 0, 0, 0, 0]);
        let c1: Packet = request[1..].try_into().unwrap();
        let (scheme, s1, s2) = answer(&c1);
        assert_eq!(scheme, Scheme::Simple);
        assert_eq!(s1[..8], [1, 2, 3, 4, 0, 0, 0, 0]);
        assert_ne!(s1[8..40], [0; 32]);
        assert_eq!(s2, c1);
        assert!(!verify_response(&c1, &s1, &s2));
    }

    #[test]
    fn both_digest_schemes_verify_against_hmac_written_out() {
        for (scheme, told_at) in [(Scheme::DigestFirst, 8), (Scheme::DigestSecond, 772)] {
            let place = |packet: &Packet| {
                packet[told_at..told_at + 4].iter().map(|&b| b as usize).sum::<usize>() % 728 + told_at + 4
            };
            let c1 = digest_request(scheme);
            let c1_at = place(&c1);
            let without = [&c1[..c1_at], &c1[c1_at + 32..]].concat();
            assert_eq!(plain_hmac(b"Genuine Adobe Flash Player 001", &without), c1[c1_at..c1_at + 32]);

            let (answered, s1, s2) = answer(&c1);
            assert_eq!(answered, scheme);
            assert_ne!(s1[4], 0, "librtmp falls back to the simple form on a zero here");
            let s1_at = place(&s1);
            let without = [&s1[..s1_at], &s1[s1_at + 32..]].concat();
            assert_eq!(plain_hmac(b"Genuine Adobe Flash Media Server 001", &without), s1[s1_at..s1_at + 32]);

            let full_key = [b"Genuine Adobe Flash Media Server 001".as_slice(), &KEY_TAIL].concat();
            let key = plain_hmac(&full_key, &c1[c1_at..c1_at + 32]);
            assert_eq!(plain_hmac(&key, &s2[..1504]), s2[1504..]);
            assert!(verify_response(&c1, &s1, &s2));

            let mut broken = s2;
            broken[100] ^= 1;
            assert!(!verify_response(&c1, &s1, &broken));
            let mut broken = s1;
            broken[1535] ^= 1;
            assert!(!verify_response(&c1, &broken, &s2));
        }
    }

    #[test]
    fn a_corrupted_digest_falls_back_to_the_simple_form() {
        for scheme in [Scheme::DigestFirst, Scheme::DigestSecond] {
            let mut c1 = digest_request(scheme);
            c1[1535] ^= 1;
            let (answered, s1, s2) = answer(&c1);
            assert_eq!(answered, Scheme::Simple);
            assert_eq!(s1[4..8], [0; 4]);
            assert_eq!(s2[8..], c1[8..]);
        }
    }

    proptest! {
        #[test]
        fn any_c1_is_answered_and_echoed_in_the_simple_form(seed in any::<[u8; 32]>(), start in 0_usize..1536) {
            let mut c1 = [0; HANDSHAKE_BYTES];
            for (index, byte) in c1.iter_mut().enumerate().skip(start) {
                *byte = seed[index % 32].wrapping_mul(index as u8 | 1);
            }
            let (scheme, _, s2) = answer(&c1);
            prop_assert_eq!(scheme, Scheme::Simple);
            prop_assert_eq!(s2, c1);
        }

        #[test]
        fn a_request_with_a_digest_is_answered_in_its_own_scheme(seed in any::<u64>(), first in any::<bool>()) {
            let mut state = seed | 1;
            let mut random = |bytes: &mut [u8]| bytes.iter_mut().for_each(|byte| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                *byte = state as u8;
            });
            let scheme = if first { Scheme::DigestFirst } else { Scheme::DigestSecond };
            let mut request = [0; 1 + HANDSHAKE_BYTES];
            request_digest(scheme, 0, &mut random, &mut request);
            let c1: Packet = request[1..].try_into().unwrap();
            let mut out = [0; 1 + 2 * HANDSHAKE_BYTES];
            prop_assert_eq!(respond(&c1, 1, &mut random, &mut out), scheme);
            let s1: Packet = out[1..1537].try_into().unwrap();
            let s2: Packet = out[1537..].try_into().unwrap();
            prop_assert!(verify_response(&c1, &s1, &s2));
        }
    }
}
