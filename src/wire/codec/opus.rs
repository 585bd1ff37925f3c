//! Opus identification header (RFC 7845, section 5.1), which Enhanced RTMP sends as sequence header.

use crate::wire::codec::info::AudioInfo;
use crate::wire::flv::Codec;

/// Reads the header. Opus is always played at 48 kHz; the rate in the header is only what the encoder was given.
pub fn parse(header: &[u8]) -> Option<AudioInfo> {
    let &[version, channels, ..] = header.strip_prefix(b"OpusHead")? else { return None };
    if version >> 4 != 0 || channels == 0 {
        return None;
    }
    Some(AudioInfo { sample_rate_hz: Some(48_000), channels: Some(channels), ..AudioInfo::unknown(Codec::Opus) })
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
    }
}
