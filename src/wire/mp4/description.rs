//! What a track is, as its sample entry says it (ISO/IEC 14496-12, 8.5.2 and 12; 14496-15; each codec's own binding), made from what
//! a publisher's sequence header says.

use crate::wire::codec::{AudioInfo, VideoInfo, aac, ac3, flac, opus, vpx};
use crate::wire::flv::Codec;
use crate::wire::mp3_file::FrameHeader;

use super::TrackKind;
use super::boxes::{BOX, BoxPart, FULL_BOX};

/// Ticks a second of a video track: time stamps of RTMP are milliseconds.
pub const VIDEO_TIMESCALE: u32 = 1000;

/// Bytes of a video entry and of an audio entry, without the box that configures the decoder.
const VIDEO_ENTRY: u32 = 86;
const AUDIO_ENTRY: u32 = 36;

/// Object types of an `esds` (ISO/IEC 14496-1, table 5).
const OBJECT_AAC: u8 = 0x40;
const OBJECT_MP3: u8 = 0x6B;

/// The header of FLAC's metadata block: the last one, of stream information (RFC 9639, section 8.1).
const FLAC_BLOCK: [u8; 4] = [0x80, 0, 0, flac::STREAM_INFORMATION_BYTES as u8];
/// Longest AudioSpecificConfig: descriptors with it are no longer than their one byte of length says.
const AUDIO_CONFIG_MOST: usize = 127 - 23;

/// What the samples of a track are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackDescription<'a> {
    entry: &'static [u8; 4],
    form: TrackShape,
    configuration: Configuration<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TrackShape {
    Picture { width: u16, height: u16 },
    Sound { rate: u32, channels: u16 },
}

/// The box that configures the decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Configuration<'a> {
    /// A box of this kind that holds the publisher's record.
    Record(&'static [u8; 4], &'a [u8]),
    /// `vpcC`, which has a version.
    Vpx(&'a [u8]),
    /// `esds`: an object type, and an AudioSpecificConfig, or nothing.
    Elementary(u8, &'a [u8]),
    /// `dOps` of an identification header without its magic.
    Opus(&'a [u8]),
    /// `dfLa` of the stream information.
    Flac(&'a [u8; flac::STREAM_INFORMATION_BYTES]),
    /// `dac3`.
    Ac3([u8; 3]),
    /// `dec3`.
    Eac3([u8; 5]),
}

impl<'a> TrackDescription<'a> {
    /// Of a codec's configuration record ([`flv::sequence_header_body`](crate::wire::flv::sequence_header_body)). AC-3, E-AC-3 and MP3
    /// have none: of them the first bytes of a frame, of which [`CLASSIFY_BYTES`](crate::wire::flv::CLASSIFY_BYTES) are enough. `None` when
    /// MP4 has no form for the codec, or the record makes no sense.
    pub fn new(codec: Codec, record: &'a [u8]) -> Option<TrackDescription<'a>> {
        let picture = |entry, configuration| {
            let size = VideoInfo::parse(codec, record)?.size;
            let (width, height) = size.map_or((0, 0), |size| (size.width, size.height));
            let side = |pixels: u32| u16::try_from(pixels).unwrap_or(u16::MAX);
            Some(TrackDescription {
                entry,
                form: TrackShape::Picture { width: side(width), height: side(height) },
                configuration,
            })
        };
        let sound = |entry, rate, channels: u8, configuration| {
            Some(TrackDescription { entry, form: TrackShape::Sound { rate, channels: channels.into() }, configuration })
        };
        let info = || AudioInfo::parse(codec, record);
        match codec {
            Codec::Avc => picture(b"avc1", Configuration::Record(b"avcC", record)),
            Codec::Hevc => picture(b"hvc1", Configuration::Record(b"hvcC", record)),
            Codec::Av1 => picture(b"av01", Configuration::Record(b"av1C", record)),
            Codec::Vp9 => picture(b"vp09", Configuration::Vpx(vpx::bare(record))),
            Codec::Aac => {
                let core = aac::core(record).filter(|_| record.len() <= AUDIO_CONFIG_MOST)?;
                let channels = info()?.channels.unwrap_or(2);
                sound(b"mp4a", core.rate_hz, channels, Configuration::Elementary(OBJECT_AAC, record))
            }
            Codec::Opus => {
                let head = opus::identification(record)?;
                sound(b"Opus", opus::RATE_HZ, head[1], Configuration::Opus(head))
            }
            Codec::Flac => {
                let info = info()?;
                let information = flac::stream_information(record)?.first_chunk()?;
                sound(b"fLaC", info.sample_rate_hz?, info.channels?, Configuration::Flac(information))
            }
            _ => TrackDescription::of_frame(codec, record),
        }
    }

    /// Of a codec without a configuration record, from the first bytes of a frame, which are not kept.
    pub fn of_frame(codec: Codec, frame: &[u8]) -> Option<TrackDescription<'a>> {
        let (entry, rate, channels, configuration) = match codec {
            Codec::Mp3 => {
                let header = FrameHeader::parse(*frame.first_chunk()?)?;
                (b"mp4a", header.rate, header.channels, Configuration::Elementary(OBJECT_MP3, &[]))
            }
            Codec::Ac3 => {
                let found = ac3::parse(frame)?;
                (b"ac-3", found.rate_hz, found.channels, Configuration::Ac3(found.description))
            }
            Codec::Eac3 => {
                let found = ac3::parse_enhanced(frame)?;
                (b"ec-3", found.rate_hz, found.channels, Configuration::Eac3(found.description))
            }
            _ => return None,
        };
        Some(TrackDescription { entry, form: TrackShape::Sound { rate, channels: channels.into() }, configuration })
    }

    /// The same with a size in pixels: VP9's record has none, and others need not have one. It changes nothing of sound.
    pub fn with_size(self, width: u16, height: u16) -> TrackDescription<'a> {
        match self.form {
            TrackShape::Picture { .. } => TrackDescription { form: TrackShape::Picture { width, height }, ..self },
            TrackShape::Sound { .. } => self,
        }
    }

    /// Width and height in pixels, 0 where they are not known; `None` of sound.
    pub fn size(&self) -> Option<(u16, u16)> {
        match self.form {
            TrackShape::Picture { width, height } => Some((width, height)),
            TrackShape::Sound { .. } => None,
        }
    }

    /// Pictures or sound.
    pub fn kind(&self) -> TrackKind {
        match self.form {
            TrackShape::Picture { .. } => TrackKind::Video,
            TrackShape::Sound { .. } => TrackKind::Audio,
        }
    }

    /// Ticks a second in which its fragments count: milliseconds for pictures, samples of the (core) codec for sound.
    pub fn timescale(&self) -> u32 {
        match self.form {
            TrackShape::Picture { .. } => VIDEO_TIMESCALE,
            TrackShape::Sound { rate, .. } => rate,
        }
    }

    /// Bytes of the sample entry.
    pub(super) fn bytes(&self) -> u32 {
        let fields = match self.form {
            TrackShape::Picture { .. } => VIDEO_ENTRY,
            TrackShape::Sound { .. } => AUDIO_ENTRY,
        };
        fields + self.configuration.bytes()
    }

    /// The sample entry.
    pub(super) fn emit(&self, out: &mut BoxPart<'_>) {
        out.open(self.entry, self.bytes());
        out.zeros(6);
        out.u16(1); // data_reference_index
        match self.form {
            TrackShape::Picture { width, height } => {
                out.zeros(16);
                out.u16(width);
                out.u16(height);
                out.words(&[0x0048_0000, 0x0048_0000, 0]); // 72 dots an inch
                out.u16(1); // frames in a sample
                out.zeros(32); // compressor name
                out.u16(0x0018);
                out.u16(0xFFFF);
            }
            TrackShape::Sound { rate, channels } => {
                out.zeros(8);
                out.u16(channels);
                out.u16(16); // bits of a sample
                out.u32(0);
                // A fixed-point number of 16 + 16 bits: a rate that it cannot hold stands in the configuration alone.
                out.u32(u16::try_from(rate).map_or(0, |rate| u32::from(rate) << 16));
            }
        }
        self.configuration.emit(out);
    }
}

impl Configuration<'_> {
    fn bytes(&self) -> u32 {
        match self {
            Configuration::Record(_, record) => BOX + record.len() as u32,
            Configuration::Vpx(record) => FULL_BOX + record.len() as u32,
            Configuration::Elementary(_, specific) => FULL_BOX + 2 + es_bytes(specific),
            Configuration::Opus(head) => BOX + head.len() as u32,
            Configuration::Flac(information) => FULL_BOX + (FLAC_BLOCK.len() + information.len()) as u32,
            Configuration::Ac3(description) => BOX + description.len() as u32,
            Configuration::Eac3(description) => BOX + description.len() as u32,
        }
    }

    fn emit(&self, out: &mut BoxPart<'_>) {
        match self {
            Configuration::Record(kind, record) => {
                out.open(kind, self.bytes());
                out.put(record);
            }
            Configuration::Vpx(record) => {
                out.open_full(b"vpcC", self.bytes(), 1, 0);
                out.put(record);
            }
            Configuration::Elementary(object_type, specific) => {
                out.open_full(b"esds", self.bytes(), 0, 0);
                // Descriptors (ISO/IEC 14496-1, 7.2.6): of the stream, of its decoder, of what is specific to it, of synchronisation.
                out.put(&[3, es_bytes(specific) as u8, 0, 0, 0]);
                // Audio, and no figures of buffers and bit rates.
                out.put(&[4, decoder_bytes(specific) as u8, *object_type, 0x15]);
                out.zeros(11);
                if !specific.is_empty() {
                    out.put(&[5, specific.len() as u8]);
                    out.put(specific);
                }
                out.put(&[6, 1, 2]);
            }
            Configuration::Opus(head) => {
                // Opus in ISOBMFF, 4.3.2: the same fields (RFC 7845, 5.1) in network byte order.
                let [_, channels, pre_skip @ ..] = *head else { return };
                out.open(b"dOps", self.bytes());
                out.put(&[0, *channels]);
                let (numbers, mapping) = pre_skip.split_at(8);
                for number in [&numbers[..2], &numbers[2..6], &numbers[6..]] {
                    number.iter().rev().for_each(|byte| out.put(&[*byte]));
                }
                out.put(mapping);
            }
            Configuration::Flac(information) => {
                out.open_full(b"dfLa", self.bytes(), 0, 0);
                out.put(&FLAC_BLOCK);
                out.put(*information);
            }
            Configuration::Ac3(description) => {
                out.open(b"dac3", self.bytes());
                out.put(description);
            }
            Configuration::Eac3(description) => {
                out.open(b"dec3", self.bytes());
                out.put(description);
            }
        }
    }
}

/// Bytes within the descriptor of a decoder.
fn decoder_bytes(specific: &[u8]) -> u32 {
    let specific = if specific.is_empty() { 0 } else { 2 + specific.len() as u32 };
    13 + specific
}

/// Bytes within the descriptor of an elementary stream.
fn es_bytes(specific: &[u8]) -> u32 {
    3 + 2 + decoder_bytes(specific) + 3
}
