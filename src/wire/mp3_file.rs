//! MP3 files (ISO/IEC 11172-3 and 13818-3, layer III; ID3v2.4): frames one behind the other, read through windows.
//!
//! There are no times in them: a frame lasts as long as its samples, so the time of one is the number of those before it. Where a
//! frame of a number lies is said by the table in the first frame (Xing's, or VBRI's) or, where all frames are of one bit rate, by
//! that; what is there is looked for nearby.

use crate::wire::windows::{Answer, Extent, Fault, File, ReadAt, STRUCTURE};

/// How far a frame is looked for, in bytes, behind what is none.
const SEARCH_BYTES: u64 = 64 << 10;
/// Entries of Xing's table: a percent of the time each.
const XING_ENTRIES: usize = 100;

/// Kilobits a second of layer III by index, in MPEG 1, and in MPEG 2 and 2.5.
const KBITS: [[u16; 15]; 2] = [
    [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];
/// Samples a second in MPEG 1 by index; half of it in MPEG 2, a quarter in 2.5.
const RATES: [u32; 3] = [44_100, 48_000, 32_000];

/// What the header of a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Bytes of all of it.
    pub bytes: u32,
    /// Samples a second.
    pub rate: u32,
    /// Samples of each channel.
    pub samples: u32,
    /// 1 or 2.
    pub channels: u8,
    /// Bits a second.
    pub bit_rate: u32,
    /// Bytes of the side information behind the header, where Xing's table begins in a first frame that is none.
    side_bytes: u32,
}

impl FrameHeader {
    /// Reads the four bytes of a header; `None` when it is none of layer III, or of a free bit rate.
    pub fn parse(header: [u8; 4]) -> Option<FrameHeader> {
        let [0xFF, second, third, fourth] = header else { return None };
        // Three more bits of the sync word, the version, the layer.
        let version = match second >> 3 & 3 {
            _ if second >> 5 != 7 || second >> 1 & 3 != 1 => return None,
            3 => 0,
            2 => 1,
            0 => 2,
            _ => return None,
        };
        let is_old = version == 0;
        let kbits = KBITS[usize::from(!is_old)].get(usize::from(third >> 4)).copied().filter(|&kbits| kbits > 0)?;
        let rate = RATES.get(usize::from(third >> 2 & 3))? >> version;
        let (samples, bit_rate) = (if is_old { 1152 } else { 576 }, u32::from(kbits) * 1000);
        let bytes = samples / 8 * bit_rate / rate + u32::from(third >> 1 & 1);
        let channels = if fourth >> 6 == 3 { 1 } else { 2 };
        let side_bytes = match (is_old, channels) {
            (true, 2) => 32,
            (true, _) | (false, 2) => 17,
            _ => 9,
        };
        Some(FrameHeader { bytes, rate, samples, channels, bit_rate, side_bytes })
    }

    fn is_like(&self, other: &FrameHeader) -> bool {
        (self.rate, self.samples) == (other.rate, other.samples)
    }
}

/// Where frames lie, beside their own bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SeekTable {
    /// Of the bytes, in parts of 256, at each percent of the time.
    Xing([u8; XING_ENTRIES]),
    /// All frames are as long as the first, or as long on the whole.
    Even,
}

/// A file, as far as it has to be known to play it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mp3File {
    /// Its first frame with sound.
    pub first: u64,
    /// The first byte behind its frames.
    pub end: u64,
    /// The header of the first frame.
    pub frame: FrameHeader,
    /// Frames, as far as is known without counting them.
    pub frames: u32,
    table: SeekTable,
}

impl Mp3File {
    /// Reads what is at both ends.
    ///
    /// # Errors
    ///
    /// No frame near the beginning.
    pub fn open<R: ReadAt>(file: &mut File<'_, R>) -> Answer<Mp3File, R> {
        let mut at = 0;
        while let Some(length) = tag_bytes(file, at)? {
            file.look()?;
            at += length;
        }
        let mut end = file.size();
        if end >= at + 128 && file.array(STRUCTURE, end - 128)? == *b"TAG" {
            end -= 128;
        }
        let Some((at, frame)) = find(file, at, end, None)? else {
            return Err(Fault::Structure("it has no frame of MPEG layer III at its front"));
        };
        let mut found = Mp3File { first: at, end, frame, frames: 0, table: SeekTable::Even };
        if let Some(frames) = found.read_table(file)? {
            found.first = at + u64::from(frame.bytes);
            found.frames = frames;
        }
        if found.frames == 0 {
            found.frames = u32::try_from((end - found.first) / u64::from(frame.bytes.max(1))).unwrap_or(u32::MAX);
        }
        Ok(found)
    }

    /// The table in the first frame, which then has no sound; the number of frames that it says, 0 when it does not.
    fn read_table<R: ReadAt>(&mut self, file: &mut File<'_, R>) -> Answer<Option<u32>, R> {
        let Mp3File { first, frame, .. } = *self;
        let at = first + 4 + u64::from(frame.side_bytes);
        if at + 120 > first + u64::from(frame.bytes) || first + u64::from(frame.bytes) > self.end {
            return Ok(None);
        }
        let letters: [u8; 4] = file.array(STRUCTURE, at)?;
        if matches!(&letters, b"Xing" | b"Info") {
            let flags = file.u32(STRUCTURE, at + 4)?;
            let mut place = at + 8;
            let mut frames = 0;
            if flags & 1 != 0 {
                frames = file.u32(STRUCTURE, place)?;
                place += 4;
            }
            place += if flags & 2 != 0 { 4 } else { 0 };
            // Info says that all frames are of one bit rate: better than its table, which is rounded.
            if flags & 4 != 0 && letters == *b"Xing" {
                let table: [u8; XING_ENTRIES] = file.array(STRUCTURE, place)?;
                if table.is_sorted() {
                    self.table = SeekTable::Xing(table);
                }
            }
            return Ok(Some(frames));
        }
        // VBRI stands at a fixed place; its table is not needed to be near.
        if file.array(STRUCTURE, first + 36)? == *b"VBRI" {
            return file.u32(STRUCTURE, first + 36 + 14).map(Some);
        }
        Ok(None)
    }

    /// When the frame of a number begins, in milliseconds.
    pub fn time_ms(&self, number: u32) -> u32 {
        let samples = u64::from(number) * u64::from(self.frame.samples);
        u32::try_from(samples * 1000 / u64::from(self.frame.rate)).unwrap_or(u32::MAX)
    }

    /// How long it lasts, in milliseconds, as far as is known without counting.
    pub fn duration_ms(&self) -> u32 {
        self.time_ms(self.frames)
    }

    /// The frame at `at`, or the first behind what is none there; `None` behind the last whole one.
    ///
    /// # Errors
    ///
    /// What the disk says.
    pub fn next<R: ReadAt>(&self, file: &mut File<'_, R>, at: u64) -> Answer<Option<Extent>, R> {
        Ok(find(file, at, self.end, Some(&self.frame))?.map(|(at, frame)| Extent { at, bytes: frame.bytes }))
    }

    /// Where the frame of this time begins, about, and which number it has.
    ///
    /// # Errors
    ///
    /// What the disk says.
    pub fn seek<R: ReadAt>(&self, file: &mut File<'_, R>, time_ms: u32) -> Answer<(u64, u32), R> {
        let frame_samples = u64::from(self.frame.samples) * 1000;
        let number = u64::from(time_ms) * u64::from(self.frame.rate) / frame_samples;
        let number = u32::try_from(number).unwrap_or(u32::MAX).min(self.frames.saturating_sub(1));
        let bytes = self.end - self.first;
        // In parts of 2^16 of the file.
        let part = match &self.table {
            SeekTable::Even => (u64::from(number) << 16) / u64::from(self.frames.max(1)),
            SeekTable::Xing(table) => {
                let percent = u64::from(number) * 100 * 256 / u64::from(self.frames.max(1));
                let index = (percent / 256).min(XING_ENTRIES as u64 - 1) as usize;
                let here = u64::from(table[index]);
                let next = table.get(index + 1).map_or(256, |&next| u64::from(next));
                here * 256 + (next - here) * (percent % 256)
            }
        };
        let about = self.first + ((u128::from(bytes) * u128::from(part)) >> 16) as u64;
        let found = find(file, about, self.end, Some(&self.frame))?;
        Ok(found.map_or((self.first, 0), |(at, _)| (at, number)))
    }
}

/// How long the tag is that lies at `at`: ID3v2 in front, or APEv2; `None` when there is none.
fn tag_bytes<R: ReadAt>(file: &mut File<'_, R>, at: u64) -> Answer<Option<u64>, R> {
    if at.checked_add(32).is_none_or(|end| end > file.size()) {
        return Ok(None);
    }
    let head: [u8; 32] = file.array(STRUCTURE, at)?;
    match head {
        [b'I', b'D', b'3', _, _, flags, a, b, c, d, ..] => {
            // Seven bits a byte; a footer is as long as the header.
            let length = [a, b, c, d].iter().fold(0, |length, byte| length << 7 | u64::from(byte & 0x7F));
            Ok(Some(10 + length + if flags & 0x10 != 0 { 10 } else { 0 }))
        }
        [b'A', b'P', b'E', b'T', b'A', b'G', b'E', b'X', _, _, _, _, a, b, c, d, ..] => {
            Ok(Some(32 + u64::from(u32::from_le_bytes([a, b, c, d]))))
        }
        _ => Ok(None),
    }
}

/// The first frame at `at` or behind it that is whole and, when it does not end the file, is followed by another of its kind.
fn find<R: ReadAt>(
    file: &mut File<'_, R>,
    at: u64,
    end: u64,
    like: Option<&FrameHeader>,
) -> Answer<Option<(u64, FrameHeader)>, R> {
    let read = |file: &mut File<'_, R>, at: u64| -> Answer<Option<FrameHeader>, R> {
        match at + 4 <= end {
            true => {
                Ok(FrameHeader::parse(file.array(STRUCTURE, at)?).filter(|frame| at + u64::from(frame.bytes) <= end))
            }
            false => Ok(None),
        }
    };
    for place in at..end.min(at.saturating_add(SEARCH_BYTES)) {
        let Some(frame) = read(file, place)?.filter(|frame| like.is_none_or(|like| frame.is_like(like))) else {
            continue;
        };
        let behind = place + u64::from(frame.bytes);
        let is_last = behind + 4 > end || end - behind < u64::from(frame.bytes) / 2;
        // At the place that is expected one frame is enough: the next may be cut off, or a tag.
        if is_last || place == at && like.is_some() || read(file, behind)?.is_some_and(|next| next.is_like(&frame)) {
            return Ok(Some((place, frame)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::wire::windows::memory::{Memory, with_file};

    /// A frame of MPEG 1, 44.1 kHz, stereo, of this bit rate by index.
    fn frame(bit_rate: u8, fill: u8) -> Vec<u8> {
        let header = [0xFF, 0xFB, bit_rate << 4, 0];
        let bytes = FrameHeader::parse(header).unwrap().bytes as usize;
        let mut frame = vec![fill; bytes];
        frame[..4].copy_from_slice(&header);
        frame
    }

    fn all(file: &mut File<'_, Memory<'_>>, found: &Mp3File, mut at: u64) -> Vec<Extent> {
        core::iter::from_fn(|| {
            let next = found.next(file, at).unwrap()?;
            at = next.at + u64::from(next.bytes);
            Some(next)
        })
        .collect()
    }

    #[test]
    fn headers_are_read_as_the_standard_has_them() {
        let frame =
            |header| FrameHeader::parse(header).map(|frame| (frame.bytes, frame.rate, frame.samples, frame.channels));
        assert_eq!(frame([0xFF, 0xFB, 0x90, 0x00]), Some((417, 44_100, 1152, 2)));
        assert_eq!(frame([0xFF, 0xFB, 0x92, 0xC0]), Some((418, 44_100, 1152, 1)));
        assert_eq!(frame([0xFF, 0xF3, 0x84, 0x00]), Some((192, 24_000, 576, 2)));
        assert_eq!(frame([0xFF, 0xE3, 0x18, 0xC0]), Some((72, 8_000, 576, 1)));
        for none in [
            [0xFF, 0xFB, 0xF0, 0],
            [0xFF, 0xFB, 0x00, 0],
            [0xFF, 0xFB, 0x9C, 0],
            [0xFF, 0xEB, 0x90, 0],
            [0xFF, 0xFD, 0x90, 0],
            [0xFE, 0xFB, 0x90, 0],
        ] {
            assert_eq!(frame(none), None, "{none:?}");
        }
    }

    proptest! {
        #[test]
        fn every_frame_comes_out_whatever_lies_around(
            rates in proptest::collection::vec(1u8..15, 2..200),
            even in any::<bool>(),
            tag in 0usize..400,
            tail in any::<bool>(),
            fill in 0u8..0xE0,
        ) {
            let mut bytes = vec![];
            if tag > 0 {
                bytes.extend([b'I', b'D', b'3', 4, 0, 0, 0, 0, (tag >> 7) as u8, (tag & 0x7F) as u8]);
                bytes.extend(vec![0xFF; tag]);
            }
            let mut expected = vec![];
            for rate in &rates {
                let made = frame(if even { rates[0] } else { *rate }, fill);
                expected.push(Extent { at: bytes.len() as u64, bytes: made.len() as u32 });
                bytes.extend(made);
            }
            if tail {
                bytes.extend(b"TAG");
                bytes.extend([7; 125]);
            }
            with_file(&bytes, |file| {
                let found = Mp3File::open(file).unwrap();
                prop_assert_eq!(all(file, &found, found.first), &expected[..]);
                if even {
                    prop_assert_eq!(found.frames as usize, rates.len());
                    for number in [0, rates.len() / 2, rates.len() - 1] {
                        let time = found.time_ms(number as u32) + 1;
                        prop_assert_eq!(found.seek(file, time).unwrap(), (expected[number].at, number as u32));
                    }
                }
                Ok(())
            })?;
        }

        #[test]
        fn whatever_lies_in_a_file_is_answered(mut bytes in proptest::collection::vec(any::<u8>(), 0..5000), times in any::<[u32; 3]>()) {
            let front = [frame(5, 0), frame(5, 0)].concat();
            for front in [&front[..], &[]] {
                bytes.splice(..0, front.iter().copied());
                with_file(&bytes, |file| {
                    let Ok(found) = Mp3File::open(file) else { return };
                    for frame in all(file, &found, found.first) {
                        assert!(frame.at + u64::from(frame.bytes) <= bytes.len() as u64);
                    }
                    for time in times {
                        let (at, _) = found.seek(file, time).unwrap();
                        assert!(at < bytes.len() as u64);
                    }
                });
            }
        }
    }
}
