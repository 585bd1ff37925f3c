//! Decoder configuration records: enough of each to say on one line what a stream is, and to describe it to browsers.
//!
//! One file per format, each with a `parse` that takes the record out of a sequence header
//! ([`crate::wire::flv::sequence_header_body`]) and gives `None` when it makes no sense. Of what is sent over RTMP nothing is decided
//! by what is read here.

pub mod aac;
pub mod ac3;
pub mod av1;
pub mod avc;
pub mod bits;
pub mod flac;
pub mod hevc;
mod info;
mod name;
pub mod opus;
mod slice;
pub mod synthetic;
pub mod vpx;

use crate::wire::flv::Codec;
use crate::wire::mp3_file::FrameHeader;

pub use info::{AudioInfo, FrameRate, Level, Size, VideoInfo};
pub use name::{CodecName, codec_name};
pub use slice::Slice;

impl VideoInfo {
    /// Reads the configuration record of a video codec. `None` when it is malformed, or the codec has no record we read.
    pub fn parse(codec: Codec, record: &[u8]) -> Option<VideoInfo> {
        match codec {
            Codec::Avc => avc::parse(record),
            Codec::Hevc => hevc::parse(record),
            Codec::Av1 => av1::parse(record),
            Codec::Vp8 | Codec::Vp9 => vpx::parse(codec, record),
            _ => None,
        }
    }
}

impl AudioInfo {
    /// Reads the configuration record of an audio codec. `None` when it is malformed, or the codec has no record we read.
    pub fn parse(codec: Codec, record: &[u8]) -> Option<AudioInfo> {
        match codec {
            Codec::Aac => aac::parse(record),
            Codec::Opus => opus::parse(record),
            Codec::Flac => flac::parse(record),
            _ => None,
        }
    }
}

/// Samples that a frame of an audio codec lasts, in the rate of its (core) decoder. `record` is the codec's configuration, where it has
/// one. `None` of a frame that makes no sense, and of a codec whose frames are not known.
pub fn frame_samples(codec: Codec, record: &[u8], frame: &[u8]) -> Option<u32> {
    match codec {
        Codec::Aac => Some(aac::core(record)?.frame_samples),
        Codec::Mp3 => Some(FrameHeader::parse(*frame.first_chunk()?)?.samples),
        Codec::Opus => opus::packet_samples(frame),
        Codec::Flac => flac::frame_samples(frame),
        Codec::Ac3 => Some(ac3::parse(frame)?.samples),
        Codec::Eac3 => Some(ac3::parse_enhanced(frame)?.samples),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use core::fmt::{self, Write};

    use proptest::prelude::*;

    use super::*;

    /// Asserts what a value displays, without a heap.
    #[track_caller]
    pub(super) fn assert_displays(value: impl fmt::Display, expected: &str) {
        let mut text = heapless::String::<128>::new();
        write!(text, "{value}").unwrap();
        assert_eq!(text, expected);
    }

    #[test]
    fn numbers_are_written_as_people_write_them() {
        assert_displays(FrameRate { numerator: 30_000, denominator: 1001 }, "29.97");
        assert_displays(FrameRate { numerator: 25, denominator: 1 }, "25");
        assert_displays(FrameRate { numerator: 25, denominator: 2 }, "12.5");
        assert_displays(Level { major: 3, minor: 1 }, "3.1");
        assert_displays(Level { major: 4, minor: 0 }, "4");
        let mono = AudioInfo { channels: Some(1), sample_rate_hz: Some(11_025), ..AudioInfo::unknown(Codec::Mp3) };
        assert_displays(mono, "MP3 11.025 kHz mono");
        assert_displays(AudioInfo::unknown(Codec::Ac3), "AC-3");
        assert_displays(VideoInfo::unknown(Codec::Vvc), "VVC");
    }

    #[test]
    fn variable_and_nonsense_frame_rates_are_unknown() {
        assert_eq!(FrameRate::new(0, 1), None);
        assert_eq!(FrameRate::new(1, 0), None);
        assert_eq!(FrameRate::new(90_000, 1), None);
        assert_eq!(FrameRate::new(180_000, 6006), Some(FrameRate { numerator: 30_000, denominator: 1001 }));
    }

    /// Real records, to be damaged below.
    const RECORDS: &[(Codec, &[u8])] = &[
        (Codec::Avc, avc::HIGH_422_WITH_SCALING_LISTS),
        (Codec::Hevc, hevc::MAIN_10_642X362),
        (Codec::Av1, av1::MAIN_640X360),
        (Codec::Aac, &[0x11, 0x90, 0x56, 0xE5, 0x00]),
        (Codec::Opus, b"OpusHead\x01\x01\x38\x01\x80\xBB\0\0\0\0\0"),
    ];

    proptest! {
        #[test]
        fn damaged_records_are_read_without_a_panic(
            which in 0..RECORDS.len(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
            cut in any::<prop::sample::Index>(),
        ) {
            let (codec, record) = RECORDS[which];
            let mut record = record.to_vec();
            for (at, value) in changes {
                let at = at.index(record.len());
                record[at] = value;
            }
            record.truncate(cut.index(record.len() + 1));
            if let Some(VideoInfo { size: Some(size), .. }) = VideoInfo::parse(codec, &record) {
                prop_assert!((1..=65_536).contains(&size.width) && (1..=65_536).contains(&size.height));
            }
            AudioInfo::parse(codec, &record);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(record in prop::collection::vec(any::<u8>(), 0..200)) {
            for codec in [Codec::Avc, Codec::Hevc, Codec::Av1, Codec::Vp8, Codec::Vp9, Codec::Vvc] {
                VideoInfo::parse(codec, &record);
            }
            for codec in [Codec::Aac, Codec::Opus, Codec::Flac, Codec::Mp3] {
                AudioInfo::parse(codec, &record);
            }
        }
    }
}
