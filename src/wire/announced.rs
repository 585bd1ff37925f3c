//! What of Enhanced RTMP a receiver has announced that it knows (v2, "Enhancing NetConnection connect Command"): the codecs, one by
//! one, and the forms of messages that are none of the first version's.

use core::fmt;

use super::amf0::Value;
use super::flv::{FOURCCS, MediaType};

/// See the module's documentation. A bit each: the codecs in the order of their FourCCs here, then forms of messages, then codecs that are
/// not known here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Announced(u16);

/// Flags of a codec in a FourCC information map: it can be decoded, or forwarded.
const CAN_DECODE_OR_FORWARD: u32 = 1 | 4;
/// The flags of `capsEx` that say something of messages, and what they mean.
const CAPS_EX: [(u32, Announced); 2] = [(2, Announced::MULTITRACK), (4, Announced::MOD_EX)];

impl Announced {
    /// It knows no Enhanced RTMP, or has not said so.
    pub const NOTHING: Announced = Announced(0);
    /// It takes everything as it is.
    pub const ALL: Announced = Announced(u16::MAX);
    /// Messages of several tracks.
    pub const MULTITRACK: Announced = Announced(1 << 12);
    /// Messages that are modified, by a part of a millisecond for one.
    pub const MOD_EX: Announced = Announced(1 << 13);

    /// What who announces something is sent as it is, and who announces nothing.
    pub const fn all_or_nothing(all: bool) -> Announced {
        if all { Announced::ALL } else { Announced::NOTHING }
    }

    /// Codecs of pictures, and of sound, that are not known here.
    const OTHER_VIDEO: Announced = Announced(1 << 14);
    const OTHER_AUDIO: Announced = Announced(1 << 15);
    const VIDEO: Announced = Announced(0x3F).and(Announced::OTHER_VIDEO);
    const AUDIO: Announced = Announced(0x3F << 6).and(Announced::OTHER_AUDIO);
    /// All codecs, also those that are not known here.
    pub const EVERY_CODEC: Announced = Announced::VIDEO.and(Announced::AUDIO);

    /// From the information object of an answer to `connect`: `fourCcList`, which the first version has, the maps of the second, and
    /// `capsEx`, which some spell `CapsEx`.
    pub fn read(info: &Value<'_>) -> Announced {
        let mut announced = Announced::NOTHING;
        if let Some(Value::StrictArray(list)) = info.get("fourCcList") {
            for fourcc in list.iter().filter_map(|value| value.as_bytes()) {
                announced = announced.and(Announced::named(fourcc, Announced::EVERY_CODEC));
            }
        }
        for (key, all) in [("videoFourCcInfoMap", Announced::VIDEO), ("audioFourCcInfoMap", Announced::AUDIO)] {
            let Some(map) = info.get(key) else { continue };
            for (fourcc, flags) in map.properties().into_iter().flat_map(|map| map.iter()) {
                if flags.as_number().is_some_and(|flags| flags as u32 & CAN_DECODE_OR_FORWARD != 0) {
                    announced = announced.and(Announced(Announced::named(fourcc, all).0 & all.0));
                }
            }
        }
        let caps_ex = info.get("capsEx").or_else(|| info.get("CapsEx")).and_then(|value| value.as_number());
        let caps_ex = caps_ex.unwrap_or_default() as u32;
        CAPS_EX.iter().filter(|(flag, _)| caps_ex & flag != 0).fold(announced, |all, (_, form)| all.and(*form))
    }

    /// A codec, or `all` for `*`.
    fn named(fourcc: &[u8], all: Announced) -> Announced {
        let at = FOURCCS.iter().position(|(known, _)| known.as_slice() == fourcc);
        match at {
            Some(at) => Announced(1 << at),
            None if fourcc == b"*" => all,
            // What it is called in a list says nothing of what is not known here.
            None => Announced::NOTHING,
        }
    }

    const fn and(self, other: Announced) -> Announced {
        Announced(self.0 | other.0)
    }

    /// Whether it knows all of these.
    pub fn has(self, wanted: Announced) -> bool {
        self.0 & wanted.0 == wanted.0
    }

    /// Whether it knows the codec of that FourCC, of sound or of pictures.
    pub fn takes(self, media_type: MediaType, fourcc: [u8; 4]) -> bool {
        let other = match media_type {
            MediaType::Video => Announced::OTHER_VIDEO,
            MediaType::Audio => Announced::OTHER_AUDIO,
        };
        let at = FOURCCS.iter().position(|(known, _)| **known == fourcc);
        self.has(at.map_or(other, |at| Announced(1 << at)))
    }
}

impl fmt::Display for Announced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Announced::ALL {
            return f.write_str("all");
        }
        f.write_str("H.264,AAC,MP3")?;
        for (at, (fourcc, codec)) in FOURCCS.iter().enumerate() {
            if self.has(Announced(1 << at)) && codec.legacy_id().is_none() {
                write!(f, ",{}", fourcc.escape_ascii())?;
            }
        }
        f.write_str(if self.has(Announced::MULTITRACK) { " of all tracks" } else { " of the first track" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::amf0::{Decoder, Encoder};
    use crate::wire::bytes::{Full, Writer};
    extern crate std;
    use std::string::ToString;

    fn read(put: impl FnOnce(&mut Encoder<'_, '_>) -> Result<(), Full>) -> Announced {
        let mut bytes = [0; 512];
        let mut writer = Writer::new(&mut bytes);
        let mut amf = Encoder::new(&mut writer);
        amf.object_begin().and_then(|()| put(&mut amf)).and_then(|()| amf.object_end()).unwrap();
        let length = writer.len();
        Announced::read(&Decoder::new(&bytes[..length]).value().unwrap())
    }

    fn list(amf: &mut Encoder<'_, '_>, codecs: &[&str]) -> Result<(), Full> {
        amf.key("fourCcList")?;
        amf.strict_array_begin(codecs.len() as u32)?;
        codecs.iter().try_for_each(|codec| amf.string(codec))
    }

    fn map(amf: &mut Encoder<'_, '_>, key: &str, codecs: &[(&str, f64)]) -> Result<(), Full> {
        amf.key(key)?;
        amf.object_begin()?;
        codecs.iter().try_for_each(|(codec, flags)| amf.property_number(codec, *flags))?;
        amf.object_end()
    }

    #[test]
    fn codecs_are_known_one_by_one_and_forms_as_they_are_announced() {
        let nothing = read(|_| Ok(()));
        assert_eq!((nothing, &*nothing.to_string()), (Announced::NOTHING, "H.264,AAC,MP3 of the first track"));
        let first = read(|amf| list(amf, &["av01", "vp09", "hvc1", "what"]));
        assert_eq!(first.to_string(), "H.264,AAC,MP3,hvc1,av01,vp09 of the first track");
        assert!(first.takes(MediaType::Video, *b"hvc1") && !first.takes(MediaType::Video, *b"avc1"));
        assert!(!first.takes(MediaType::Audio, *b"Opus") && !first.takes(MediaType::Video, *b"what"));
        let second = read(|amf| {
            map(amf, "videoFourCcInfoMap", &[("hvc1", 1.0), ("av01", 2.0), ("Opus", 4.0)])?;
            map(amf, "audioFourCcInfoMap", &[("*", 4.0)])?;
            amf.property_number("CapsEx", 3.0)
        });
        assert_eq!(second.to_string(), "H.264,AAC,MP3,hvc1,Opus,fLaC,ac-3,ec-3 of all tracks");
        assert!(second.takes(MediaType::Audio, *b"what") && !second.takes(MediaType::Video, *b"av01"));
        assert!(!second.has(Announced::MOD_EX));
    }

    #[test]
    fn a_server_like_this_one_takes_everything() {
        let all = read(|amf| {
            list(amf, &["*"])?;
            amf.property_number("capsEx", 15.0)
        });
        assert_eq!((all, &*all.to_string()), (Announced::ALL, "all"));
        let without = read(|amf| list(amf, &["*"]));
        assert!(without.has(Announced::EVERY_CODEC) && !without.has(Announced::MULTITRACK), "{without}");
    }

    #[test]
    fn each_codec_has_a_bit_of_its_medium() {
        for (at, (fourcc, codec)) in FOURCCS.iter().enumerate() {
            let media_type = if at < 6 { MediaType::Video } else { MediaType::Audio };
            let of_it = if at < 6 { Announced::VIDEO } else { Announced::AUDIO };
            assert!(of_it.takes(media_type, **fourcc), "{codec}");
        }
        assert_eq!(FOURCCS.len(), 12);
    }
}
