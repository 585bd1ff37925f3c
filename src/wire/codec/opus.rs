//! Opus identification header (RFC 7845, section 5.1), which Enhanced RTMP sends as sequence header.

use crate::wire::codec::info::AudioInfo;
use crate::wire::flv::Codec;

/// Samples a second in which Opus is played and counted, whatever the encoder was given.
pub const RATE_HZ: u32 = 48_000;

/// The fields of the header in front of a mapping of channels: version, channels, pre-skip, rate, gain, family.
const FIELDS: usize = 11;
/// The family of mono and stereo, which has no mapping.
const FAMILY_STEREO: u8 = 0;

/// Reads the header. Opus is always played at 48 kHz; the rate in the header is only what the encoder was given.
pub fn parse(header: &[u8]) -> Option<AudioInfo> {
    let &[version, channels, ..] = header.strip_prefix(b"OpusHead")? else { return None };
    if version >> 4 != 0 || channels == 0 {
        return None;
    }
    Some(AudioInfo { sample_rate_hz: Some(RATE_HZ), channels: Some(channels), ..AudioInfo::unknown(Codec::Opus) })
}

/// A whole header without its magic and what may follow it.
pub fn identification(header: &[u8]) -> Option<&[u8]> {
    parse(header)?;
    let fields = header.strip_prefix(b"OpusHead")?;
    // Streams, coupled streams, and a byte for each channel.
    let mapping = match *fields.get(FIELDS - 1)? {
        FAMILY_STEREO => 0,
        _ => 2 + usize::from(fields[1]),
    };
    fields.get(..FIELDS + mapping)
}

/// Samples of a packet (RFC 6716, section 3.1): its first byte says how long a frame is and, with the second, how many there are.
pub fn packet_samples(packet: &[u8]) -> Option<u32> {
    let toc = *packet.first()?;
    let configuration = toc >> 3;
    let frame = match configuration {
        0..=11 => [480, 960, 1920, 2880][usize::from(configuration & 3)],
        12..=15 => [480, 960][usize::from(configuration & 1)],
        _ => [120, 240, 480, 960][usize::from(configuration & 3)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1)? & 0x3F),
    };
    // A packet lasts 120 ms at most.
    Some(frame * frames).filter(|samples| (1..=5760).contains(samples))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::codec::tests::assert_displays;

    #[test]
    fn the_header_of_a_real_encoder_is_described() {
        let header = b"OpusHead\x01\x01\x38\x01\x80\xBB\0\0\0\0\0";
        assert_displays(parse(header).unwrap(), "Opus 48 kHz mono");
        assert_eq!(parse(&header[..9]), None);
        assert_eq!(parse(b"OpusTags\x01\x01"), None);
        assert_eq!(identification(header), Some(&header[8..]));
        assert_eq!(identification(&[&header[..], b"more"].concat()), Some(&header[8..]));
        let surround = b"OpusHead\x01\x06\x38\x01\x80\xBB\0\0\0\0\x01\x04\x02\0\x04\x01\x02\x03\x05";
        assert_eq!(identification(surround), Some(&surround[8..]));
        assert_eq!(identification(&surround[..20]), None);
    }

    #[test]
    fn a_packet_lasts_as_long_as_its_first_bytes_say() {
        for (packet, samples) in [
            (&[0xFC, 0][..], Some(960)),
            (&[0x78], Some(960)),
            (&[0xFD], Some(1920)),
            (&[0x83, 0x04], Some(480)),
            (&[0x1B, 0x02], Some(5760)),
            (&[0x1B, 0x3F], None),
            (&[0x83], None),
            (&[], None),
        ] {
            assert_eq!(packet_samples(packet), samples, "{packet:02x?}");
        }
    }
}
