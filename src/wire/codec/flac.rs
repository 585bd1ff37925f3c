//! FLAC stream information (RFC 9639, section 8.2), which Enhanced RTMP sends as sequence header behind `fLaC`.

use crate::wire::codec::bits::BitReader;
use crate::wire::codec::info::AudioInfo;
use crate::wire::flv::Codec;

/// Reads the marker, the metadata block header and the stream information.
pub fn parse(header: &[u8]) -> Option<AudioInfo> {
    let &[block, _, _, _, ref information @ ..] = header.strip_prefix(b"fLaC")? else { return None };
    if block & 0x7F != 0 {
        return None;
    }
    let mut r = BitReader::new(information.get(10..)?);
    let rate = r.bits(20).filter(|&rate| rate != 0)?;
    let channels = r.byte(3)? + 1;
    Some(AudioInfo { sample_rate_hz: Some(rate), channels: Some(channels), ..AudioInfo::unknown(Codec::Flac) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::codec::tests::assert_displays;

    #[test]
    fn the_header_of_a_real_encoder_is_described() {
        let header = b"fLaC\x80\0\0\x22\x12\0\x12\0\0\0\x10\0\0\x10\x0A\xC4\x42\xF0\0\0\x11\x3A\x88\x2C\x70";
        assert_displays(parse(header).unwrap(), "FLAC 44.1 kHz stereo");
        assert_eq!(parse(&header[..19]), None);
    }
}
