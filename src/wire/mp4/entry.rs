//! Sample entries (`stsd`; ISO/IEC 14496-12, 8.5.2, and each codec's own specification): what a track's samples are, and where
//! in the file the decoder's configuration lies.

use crate::wire::flv::Codec;
use crate::wire::windows::{Answer, Extent, Fault, File, ReadAt, STRUCTURE};

use super::atom::{Atom, atom, child};

/// Fixed fields in front of the boxes of a video entry, in bytes, behind its header.
const VIDEO_FIELDS: u64 = 78;
/// The same of an audio entry.
const AUDIO_FIELDS: u64 = 28;
/// What QuickTime's versions 1 and 2 of an audio entry have more.
const QUICKTIME_FIELDS: [u64; 3] = [0, 16, 36];

/// What the samples of a track are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleEntry {
    /// Their codec.
    pub codec: Codec,
    /// The decoder's configuration: the body of avcC, hvcC, av1C, vpcC, dOps or dfLa, or an AudioSpecificConfig. Empty where
    /// the codec has none.
    pub configuration: Extent,
    /// What it says of pictures, if it is of pictures.
    pub picture: Option<Picture>,
    /// What it says of sound, if it is of sound.
    pub sound: Option<Sound>,
}

impl SampleEntry {
    /// Its samples are numbers, one for each moment, and all of one size.
    pub fn is_uncompressed(&self) -> bool {
        matches!(self.codec, Codec::PcmALaw | Codec::PcmMuLaw)
    }
}

/// What an entry says of pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Picture {
    /// In pixels.
    pub width: u16,
    /// In pixels.
    pub height: u16,
}

/// What an entry says of sound; the configuration knows better where there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sound {
    /// Samples a second.
    pub rate: u32,
    /// Channels.
    pub channels: u16,
}

/// The entry of this index, from 0, of an `stsd`; `None` when there is none, or it is of a codec that RTMP does not carry, or
/// encrypted.
///
/// # Errors
///
/// A structure that cannot be.
pub fn entry<R: ReadAt>(file: &mut File<'_, R>, stsd: &Atom, index: u32) -> Answer<Option<SampleEntry>, R> {
    let mut at = stsd.body + 8;
    for _ in 0..index {
        let Some(before) = atom(file, at, stsd.end)? else { return Ok(None) };
        at = before.end;
    }
    let Some(found) = atom(file, at, stsd.end)? else { return Ok(None) };
    let (codec, configured_by): (Codec, &[u8; 4]) = match &found.kind {
        b"avc1" | b"avc3" => (Codec::Avc, b"avcC"),
        b"hvc1" | b"hev1" => (Codec::Hevc, b"hvcC"),
        b"av01" => (Codec::Av1, b"av1C"),
        b"vp08" => (Codec::Vp8, b"vpcC"),
        b"vp09" => (Codec::Vp9, b"vpcC"),
        b"mp4a" => return sound(file, &found, None),
        b".mp3" => return sound(file, &found, Some((Codec::Mp3, b"    "))),
        b"Opus" => return sound(file, &found, Some((Codec::Opus, b"dOps"))),
        b"fLaC" => return sound(file, &found, Some((Codec::Flac, b"dfLa"))),
        b"ac-3" => return sound(file, &found, Some((Codec::Ac3, b"    "))),
        b"ec-3" => return sound(file, &found, Some((Codec::Eac3, b"    "))),
        b"alaw" => return sound(file, &found, Some((Codec::PcmALaw, b"    "))),
        b"ulaw" => return sound(file, &found, Some((Codec::PcmMuLaw, b"    "))),
        _ => return Ok(None),
    };
    let body = behind(&found, VIDEO_FIELDS)?;
    let width = u16::from_be_bytes(file.array(STRUCTURE, found.body + 24)?);
    let height = u16::from_be_bytes(file.array(STRUCTURE, found.body + 26)?);
    let Some(record) = child(file, &body, configured_by)? else {
        return Err(Fault::Structure("a video track has no decoder configuration"));
    };
    Ok(Some(SampleEntry {
        codec,
        configuration: extent(&record)?,
        picture: Some(Picture { width, height }),
        sound: None,
    }))
}

/// A sound entry; `known` is its codec, and the box that configures its decoder, if the entry's name says so.
fn sound<R: ReadAt>(
    file: &mut File<'_, R>,
    found: &Atom,
    known: Option<(Codec, &[u8; 4])>,
) -> Answer<Option<SampleEntry>, R> {
    let mut body = behind(found, AUDIO_FIELDS)?;
    let fields: [u8; AUDIO_FIELDS as usize] = file.array(STRUCTURE, found.body)?;
    let half = |at: usize| u16::from_be_bytes([fields[at], fields[at + 1]]);
    let version = usize::from(half(8));
    // The rate is a fixed-point number of 16 + 16 bits.
    let sound = Sound { rate: u32::from(half(24)), channels: half(16) };
    // Version 1 of ISO's has no more fields, and its boxes begin where QuickTime's fields would lie: those are small numbers.
    if let Some(&more) = QUICKTIME_FIELDS.get(version).filter(|&&more| more > 0 && body.body_bytes() >= more) {
        let letters: [u8; 4] = file.array(STRUCTURE, body.body + 4)?;
        if !letters.iter().all(u8::is_ascii_alphanumeric) {
            body.body += more;
        }
    }
    let made = |codec, configuration| Some(SampleEntry { codec, configuration, picture: None, sound: Some(sound) });
    if let Some((codec, configured_by)) = known {
        let record = child(file, &body, configured_by)?;
        return Ok(made(codec, record.as_ref().map_or(Ok(Extent::default()), extent)?));
    }
    // QuickTime puts the descriptor into a box of its own.
    let esds = match child(file, &body, b"esds")? {
        Some(esds) => Some(esds),
        None => match child(file, &body, b"wave")? {
            Some(wave) => child(file, &wave, b"esds")?,
            None => None,
        },
    };
    let Some(esds) = esds else { return Ok(None) };
    let (object_type, specific) = descriptor(file, &esds)?;
    Ok(match object_type {
        0x40 | 0x66..=0x68 if specific.bytes > 0 => made(Codec::Aac, specific),
        0x69 | 0x6B => made(Codec::Mp3, Extent::default()),
        _ => None,
    })
}

/// Object type and decoder specific information of an `esds` (ISO/IEC 14496-1, 7.2.6): descriptors with a tag and a size of up
/// to four bytes of seven bits.
fn descriptor<R: ReadAt>(file: &mut File<'_, R>, esds: &Atom) -> Answer<(u8, Extent), R> {
    let mut at = esds.body + 4;
    let mut object_type = 0;
    while at < esds.end {
        file.look()?;
        let [tag]: [u8; 1] = file.array(STRUCTURE, at)?;
        at += 1;
        let mut size = 0u32;
        for _ in 0..4 {
            let [byte]: [u8; 1] = file.array(STRUCTURE, at)?;
            at += 1;
            size = size << 7 | u32::from(byte & 0x7F);
            if byte & 0x80 == 0 {
                break;
            }
        }
        match tag {
            // ES descriptor: its fields, then descriptors inside of it.
            3 => {
                let [_, _, flags]: [u8; 3] = file.array(STRUCTURE, at)?;
                at += 3;
                at += if flags & 0x80 != 0 { 2 } else { 0 };
                if flags & 0x40 != 0 {
                    let [length]: [u8; 1] = file.array(STRUCTURE, at)?;
                    at += 1 + u64::from(length);
                }
                at += if flags & 0x20 != 0 { 2 } else { 0 };
            }
            // Decoder configuration: the same.
            4 => {
                let [kind]: [u8; 1] = file.array(STRUCTURE, at)?;
                object_type = kind;
                at += 13;
            }
            5 if at + u64::from(size) <= esds.end => return Ok((object_type, Extent { at, bytes: size })),
            _ => at += u64::from(size),
        }
    }
    Ok((object_type, Extent::default()))
}

/// What lies behind an entry's fixed fields.
fn behind<E>(found: &Atom, fields: u64) -> Result<Atom, Fault<E>> {
    match found.body_bytes() < fields {
        true => Err(Fault::Structure("a sample entry is shorter than its fields")),
        false => Ok(Atom { body: found.body + fields, ..*found }),
    }
}

fn extent<E>(record: &Atom) -> Result<Extent, Fault<E>> {
    let bytes = u32::try_from(record.body_bytes())
        .map_err(|_| Fault::Structure("a decoder configuration is larger than a file may be"))?;
    Ok(Extent { at: record.body, bytes })
}
