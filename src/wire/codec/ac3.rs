//! AC-3 and E-AC-3 (ETSI TS 102 366), which have no record: what a decoder is to know stands in each frame, and the boxes of MP4
//! repeat it (annex F).

use crate::wire::codec::bits::BitReader;

/// What the header of a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DolbyFrame<const N: usize> {
    /// Samples a second.
    pub rate_hz: u32,
    /// Channels, that of low frequencies with them.
    pub channels: u8,
    /// Samples of each channel.
    pub samples: u32,
    /// What an MP4 file says of it: the body of a `dac3` or `dec3` box.
    pub description: [u8; N],
}

const SYNC_WORD: u32 = 0x0B77;
const RATES_HZ: [u32; 3] = [48_000, 44_100, 32_000];
/// Channels by audio coding mode.
const CHANNELS: [u8; 8] = [2, 1, 2, 3, 3, 4, 4, 5];
/// Samples of a block, and blocks of a frame.
const BLOCK_SAMPLES: u32 = 256;
const BLOCKS: u32 = 6;
/// Sizes of frames that have a code.
const SIZE_CODES: u32 = 38;
/// Versions of the bit stream that are E-AC-3, from this on.
const ENHANCED: u32 = 11;

/// Reads the header of an AC-3 frame (sections 4.3 and 4.4).
pub fn parse(frame: &[u8]) -> Option<DolbyFrame<3>> {
    let mut r = BitReader::new(frame);
    if r.bits(16)? != SYNC_WORD {
        return None;
    }
    r.skip(16)?; // crc1
    let rate_code = r.bits(2)?;
    let size_code = r.bits(6).filter(|&code| code < SIZE_CODES)?;
    let version = r.bits(5).filter(|&version| version < ENHANCED)?;
    let mode = r.bits(3)?; // bsmod
    let coding = r.bits(3)?;
    if coding & 1 != 0 && coding != 1 {
        r.skip(2)?; // cmixlev
    }
    if coding & 4 != 0 {
        r.skip(2)?; // surmixlev
    }
    if coding == 2 {
        r.skip(2)?; // dsurmod
    }
    let low_frequency = r.bits(1)?;
    let fields =
        rate_code << 22 | version << 17 | mode << 14 | coding << 11 | low_frequency << 10 | (size_code >> 1) << 5;
    Some(DolbyFrame {
        rate_hz: *RATES_HZ.get(rate_code as usize)?,
        channels: CHANNELS[coding as usize] + low_frequency as u8,
        samples: BLOCKS * BLOCK_SAMPLES,
        description: *fields.to_be_bytes().last_chunk()?,
    })
}

/// Reads the header of an E-AC-3 frame (annex E, sections E.1.2 and E.1.3). Substreams that depend on it are not described: a decoder
/// plays what stands for itself.
pub fn parse_enhanced(frame: &[u8]) -> Option<DolbyFrame<5>> {
    let mut r = BitReader::new(frame);
    if r.bits(16)? != SYNC_WORD {
        return None;
    }
    r.skip(2 + 3)?; // strmtyp, substreamid
    let bytes = 2 * (r.bits(11)? + 1);
    let rate_code = r.bits(2)?;
    let (rate_hz, blocks) = match RATES_HZ.get(rate_code as usize) {
        Some(&rate_hz) => (rate_hz, [1, 2, 3, BLOCKS][r.bits(2)? as usize]),
        // Half of a rate.
        None => (RATES_HZ.get(r.bits(2)? as usize)? / 2, BLOCKS),
    };
    let coding = r.bits(3)?;
    let low_frequency = r.bits(1)?;
    let version = r.bits(5).filter(|&version| (ENHANCED..=16).contains(&version))?;
    let samples = blocks * BLOCK_SAMPLES;
    let kbits = u64::from(bytes) * 8 * u64::from(rate_hz) / u64::from(samples) / 1000;
    // One substream that stands for itself; of it rate, version, coding mode, low frequencies.
    let fields = kbits.min(0x1FFF) << 27
        | u64::from(rate_code) << 22
        | u64::from(version) << 17
        | u64::from(coding) << 9
        | u64::from(low_frequency) << 8;
    Some(DolbyFrame {
        rate_hz,
        channels: CHANNELS[coding as usize] + low_frequency as u8,
        samples,
        description: *fields.to_be_bytes().last_chunk()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_a_real_encoder_are_described_as_its_files_are() {
        // ffmpeg's encoders, and the boxes that its muxer writes of them: 5.1 at 448 kbit/s, stereo at 192 kbit/s.
        let surround = [0x0B, 0x77, 0xB5, 0x0B, 0x1E, 0x40, 0xEB, 0xF8, 0x40, 0x3E];
        let found = parse(&surround).unwrap();
        assert_eq!((found.rate_hz, found.channels, found.samples), (48_000, 6, 1536));
        assert_eq!(found.description, [0x10, 0x3D, 0xE0]);
        let stereo = [0x0B, 0x77, 0x01, 0x7F, 0x34, 0x87, 0xC0, 0x00];
        let found = parse_enhanced(&stereo).unwrap();
        assert_eq!((found.rate_hz, found.channels, found.samples), (48_000, 2, 1536));
        assert_eq!(found.description, [0x06, 0x00, 0x20, 0x04, 0x00]);
    }

    #[test]
    fn what_is_no_frame_is_none() {
        assert_eq!(parse(&[0x0B, 0x77, 0, 0, 0x3F, 0x40, 0xE1]), None);
        assert_eq!(parse(&[0x0B, 0x77, 0, 0, 0x34, 0x80, 0xE1]), None, "E-AC-3");
        assert_eq!(parse_enhanced(&[0x0B, 0x77, 0x01, 0x7F, 0x34, 0x47, 0xC0]), None, "AC-3");
        assert_eq!(parse(&[0x0B, 0x77, 0]), None);
        assert_eq!(parse_enhanced(b"no sync word"), None);
    }
}
