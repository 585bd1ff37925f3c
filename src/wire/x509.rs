//! Certificates as far as a server needs to know its own (X.509, RFC 5280, in DER, X.690): until when one counts, and one that
//! signs itself.

use core::net::IpAddr;

/// Room for a certificate that signs itself, in bytes.
pub const CERTIFICATE_BYTES: usize = 1024;

/// A certificate, or a part of one.
pub type Der = heapless::Vec<u8, CERTIFICATE_BYTES>;

/// It does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT_ID: u8 = 0x06;
const UTF8_STRING: u8 = 0x0C;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// An explicit tag of a context, constructed.
const CONTEXT: u8 = 0xA0;

/// ecdsa-with-SHA256 (RFC 5758, section 3.2).
const ECDSA_SHA256: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02];
/// id-ecPublicKey and secp256r1 (RFC 5480, section 2.1.1).
const EC_PUBLIC_KEY: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01];
const P256: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07];
/// id-at-commonName (RFC 5280, appendix A.1).
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// id-ce-subjectAltName, id-ce-extKeyUsage and id-kp-serverAuth (RFC 5280, sections 4.2.1.6 and 4.2.1.12).
const ALT_NAME: &[u8] = &[0x55, 0x1D, 0x11];
const EXT_KEY_USAGE: &[u8] = &[0x55, 0x1D, 0x25];
const SERVER_AUTH: &[u8] = &[0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];

/// From when a certificate counts, and until when, in seconds since 1970 (RFC 5280, section 4.1.2.5). `None` when that cannot be
/// read.
pub fn validity(certificate: &[u8]) -> Option<(u64, u64)> {
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (mut body, _) = element(certificate, SEQUENCE)?;
    // The version is left out in the first one.
    if let Some((_, rest)) = element(body, CONTEXT) {
        body = rest;
    }
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        body = element(body, tag)?.1;
    }
    let (times, _) = element(body, SEQUENCE)?;
    let (from, rest) = time(times)?;
    Some((from, time(rest)?.0))
}

/// What lies in an element with that tag, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (_, rest) = bytes.split_first().filter(|(first, _)| **first == tag)?;
    let (&short, rest) = rest.split_first()?;
    let (length, rest) = match short {
        0..=0x7F => (usize::from(short), rest),
        0x81..=0x83 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(short & 0x7F))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// A time, in seconds since 1970, and what follows it.
fn time(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (text, rest, year) = match element(bytes, UTC_TIME) {
        Some((text, rest)) => {
            let year = number(text.get(..2)?)?;
            (text.get(2..)?, rest, if year < 50 { 2000 + year } else { 1900 + year })
        }
        None => {
            let (text, rest) = element(bytes, GENERALIZED_TIME)?;
            (text.get(4..)?, rest, number(text.get(..4)?)?)
        }
    };
    let mut parts = [0; 5];
    for (at, part) in parts.iter_mut().enumerate() {
        *part = number(text.get(2 * at..2 * at + 2)?)?;
    }
    let [month, day, hour, minute, second] = parts;
    let is_time = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    if !is_time || text.get(10..) != Some(b"Z".as_slice()) || year < 1970 {
        return None;
    }
    // Years begin with March here, so that the day which some have more is their last.
    let (years, months) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * years + years / 4 - years / 100 + years / 400 + (153 * months + 2) / 5 + day - 1 - 719_468;
    Some((days * 86_400 + hour * 3600 + minute * 60 + second, rest))
}

fn number(digits: &[u8]) -> Option<u64> {
    let mut digits = digits.iter().map(|digit| digit.is_ascii_digit().then(|| u64::from(digit - b'0')));
    digits.try_fold(0, |number, digit| Some(number * 10 + digit?))
}

/// What is to be signed of a certificate that signs itself, with a key on P-256 (RFC 5280, section 4.1.2): for these names and addresses, of
/// which the first name is also its own. It counts from 2020 to the end of 2049: boards without a clock may take any time for now.
///
/// # Errors
///
/// Names and addresses are more than fit.
pub fn body(public_key: &[u8], serial: [u8; 8], names: &[&str], addresses: &[IpAddr]) -> Result<Der, TooLong> {
    let mut der = Der::new();
    wrap(&mut der, SEQUENCE, |der| {
        wrap(der, CONTEXT, |der| put(der, INTEGER, &[2]))?;
        // A positive one.
        let mut serial = serial;
        serial[0] = serial[0] & 0x3F | 0x40;
        put(der, INTEGER, &serial)?;
        wrap(der, SEQUENCE, |der| put(der, OBJECT_ID, ECDSA_SHA256))?;
        name(der, names)?;
        wrap(der, SEQUENCE, |der| {
            put(der, UTC_TIME, b"200101000000Z")?;
            put(der, UTC_TIME, b"491231235959Z")
        })?;
        name(der, names)?;
        wrap(der, SEQUENCE, |der| {
            wrap(der, SEQUENCE, |der| {
                put(der, OBJECT_ID, EC_PUBLIC_KEY)?;
                put(der, OBJECT_ID, P256)
            })?;
            wrap(der, BIT_STRING, |der| {
                append(der, &[0])?;
                append(der, public_key)
            })
        })?;
        wrap(der, CONTEXT | 3, |der| {
            wrap(der, SEQUENCE, |der| {
                extension(der, ALT_NAME, |der| alt_names(der, names, addresses))?;
                extension(der, EXT_KEY_USAGE, |der| put(der, OBJECT_ID, SERVER_AUTH))
            })
        })
    })?;
    Ok(der)
}

/// The certificate: [`body`], and its signature by ECDSA with SHA-256, in DER.
///
/// # Errors
///
/// It does not fit.
pub fn signed(body: &Der, signature: &[u8]) -> Result<Der, TooLong> {
    let mut der = Der::new();
    wrap(&mut der, SEQUENCE, |der| {
        append(der, body)?;
        wrap(der, SEQUENCE, |der| put(der, OBJECT_ID, ECDSA_SHA256))?;
        wrap(der, BIT_STRING, |der| {
            append(der, &[0])?;
            append(der, signature)
        })
    })?;
    Ok(der)
}

/// A distinguished name: a common name alone.
fn name(der: &mut Der, names: &[&str]) -> Result<(), TooLong> {
    wrap(der, SEQUENCE, |der| {
        wrap(der, SET, |der| {
            wrap(der, SEQUENCE, |der| {
                put(der, OBJECT_ID, COMMON_NAME)?;
                put(der, UTF8_STRING, names.first().unwrap_or(&"").as_bytes())
            })
        })
    })
}

fn alt_names(der: &mut Der, names: &[&str], addresses: &[IpAddr]) -> Result<(), TooLong> {
    // GeneralName: dNSName is [2], iPAddress [7].
    names.iter().try_for_each(|name| put(der, 0x82, name.as_bytes()))?;
    addresses.iter().try_for_each(|address| match address {
        IpAddr::V4(v4) => put(der, 0x87, &v4.octets()),
        IpAddr::V6(v6) => put(der, 0x87, &v6.octets()),
    })
}

fn extension(der: &mut Der, id: &[u8], inside: impl FnOnce(&mut Der) -> Result<(), TooLong>) -> Result<(), TooLong> {
    wrap(der, SEQUENCE, |der| {
        put(der, OBJECT_ID, id)?;
        wrap(der, OCTET_STRING, |der| wrap(der, SEQUENCE, inside))
    })
}

fn append(der: &mut Der, bytes: &[u8]) -> Result<(), TooLong> {
    der.extend_from_slice(bytes).map_err(|_| TooLong)
}

fn put(der: &mut Der, tag: u8, bytes: &[u8]) -> Result<(), TooLong> {
    wrap(der, tag, |der| append(der, bytes))
}

/// An element, around what `inside` appends.
fn wrap(der: &mut Der, tag: u8, inside: impl FnOnce(&mut Der) -> Result<(), TooLong>) -> Result<(), TooLong> {
    append(der, &[tag])?;
    let from = der.len();
    inside(der)?;
    let length = der.len() - from;
    let [high, low] = (length as u16).to_be_bytes();
    let head: &[u8] = match length {
        0..=0x7F => &[low],
        0x80..=0xFF => &[0x81, low],
        _ => &[0x82, high, low],
    };
    append(der, head)?;
    der[from..].rotate_right(head.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use core::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_is_der() {
        let addresses = [IpAddr::V4(Ipv4Addr::new(10, 0, 0, 5)), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        let body = body(&[4; 65], [0xFF; 8], &["rill.local", "localhost"], &addresses).unwrap();
        let certificate = signed(&body, &[7; 71]).unwrap();
        // 2020-01-01T00:00:00Z and 2049-12-31T23:59:59Z.
        assert_eq!(validity(&certificate), Some((1_577_836_800, 2_524_607_999)));
        let contains = |part: &[u8]| certificate.windows(part.len()).any(|window| window == part);
        assert!(contains(b"\x82\x0Arill.local\x82\x09localhost\x87\x04\x0A\0\0\x05\x87\x10"));
        assert_eq!(certificate[..2], [SEQUENCE, 0x82]);
        assert_eq!(usize::from(u16::from_be_bytes([certificate[2], certificate[3]])), certificate.len() - 4);
        for cut in 0..certificate.len() {
            assert_eq!(validity(&certificate[..cut]), None, "{cut}");
        }
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        let read = |tag, text: &[u8]| {
            let mut der = Der::new();
            put(&mut der, tag, text).unwrap();
            time(&der).map(|(seconds, _)| seconds)
        };
        assert_eq!(read(UTC_TIME, b"700101000000Z"), Some(0));
        assert_eq!(read(UTC_TIME, b"000229000001Z"), Some(951_782_401));
        assert_eq!(read(UTC_TIME, b"261231235959Z"), Some(1_798_761_599));
        assert_eq!(read(GENERALIZED_TIME, b"21000301000000Z"), Some(4_107_542_400));
        for wrong in [&b"261331235959Z"[..], b"26123123595Z", b"261231235959+", b"2612312359Z", b"", b"26123123:959Z"] {
            assert_eq!(read(UTC_TIME, wrong), None);
        }
        assert_eq!(read(GENERALIZED_TIME, b"19691231235959Z"), None);
    }

    #[test]
    fn what_does_not_fit_is_said() {
        assert_eq!(body(&[4; 65], [0; 8], &["a"; 400], &[]), Err(TooLong));
    }
}
