//! A synthetic stream that real players decode: grey H.264 pictures of any wanted size in bytes, and AAC silence.
//!
//! The capacity self-test publishes it. Each picture carries the time it was sent, so that a player measures the delivery
//! latency from the bytes alone.

/// AVCDecoderConfigurationRecord: 64x64, Constrained Baseline, level 4.
///
/// Pictures are counted in 8 bits and come in output order (pic_order_cnt_type 2), so a decoder holds none back.
pub const AVC_RECORD: [u8; 23] = [
    0x01, 0x42, 0xC0, 0x28, 0xFF, // version, profile, constraints, level, NAL unit lengths of 4 bytes
    0xE1, 0x00, 0x08, 0x67, 0x42, 0xC0, 0x28, 0x95, 0xA1, 0x09, 0x90, // one sequence parameter set
    0x01, 0x00, 0x04, 0x68, 0xCE, 0x38, 0x80, // one picture parameter set
];

/// AudioSpecificConfig: AAC LC, 48 kHz, stereo.
pub const AUDIO_SPECIFIC_CONFIG: [u8; 2] = [0x11, 0x90];
/// One AAC frame of silence, as long as [`AAC_FRAME_SAMPLES`] at 48 kHz.
pub const AAC_SILENCE: [u8; 6] = [0x21, 0x10, 0x04, 0x60, 0x8C, 0x1C];
/// Samples in an AAC frame.
pub const AAC_FRAME_SAMPLES: u32 = 1024;

/// From this many bytes on an access unit comes out exactly as long as was asked for; a shorter one may come out longer,
/// but never longer than this.
pub const EXACT_BYTES_MIN: usize = STAMP_UNIT_BYTES + LENGTH_BYTES + IDR_SLICE_BYTES + FILLER_UNIT_BYTES_MIN;
/// [`stamp_us`] wants this many bytes of an access unit.
pub const STAMP_PREFIX_BYTES: usize = LENGTH_BYTES + STAMP_HEADER.len() + STAMP_DIGITS;

/// Writes one access unit in AVC form (lengths of 4 bytes) and returns its length in bytes.
///
/// `frame` counts from the last IDR picture, which is frame 0; there must be at least one other between two of them.
/// `stamp_us` is any time in microseconds; its low 56 bits are kept. `bytes` is the wanted length, exact from
/// [`EXACT_BYTES_MIN`] on. `None` when `out` is too short.
pub fn access_unit(frame: u32, stamp_us: u64, bytes: usize, out: &mut [u8]) -> Option<usize> {
    let mut slice = [0; IDR_SLICE_BYTES];
    let slice = if frame == 0 { idr_slice(&mut slice) } else { skipped_slice(frame, &mut slice) };

    let mut at = 0;
    put(out, &mut at, &(STAMP_UNIT_BYTES as u32 - LENGTH_BYTES as u32).to_be_bytes())?;
    put(out, &mut at, &STAMP_HEADER)?;
    put(out, &mut at, &encode_stamp(stamp_us))?;
    put(out, &mut at, &[TRAILING_BITS])?;
    put(out, &mut at, &(slice.len() as u32).to_be_bytes())?;
    put(out, &mut at, slice)?;
    if at >= bytes {
        return Some(at);
    }

    // Filler data comes after the slices (H.264, section 7.4.1.2.3).
    let filler = bytes.saturating_sub(at + LENGTH_BYTES).max(FILLER_UNIT_BYTES_MIN - LENGTH_BYTES);
    put(out, &mut at, &u32::try_from(filler).ok()?.to_be_bytes())?;
    let unit = out.get_mut(at..)?.get_mut(..filler)?;
    unit.fill(0xFF);
    unit[0] = NAL_FILLER_DATA;
    unit[filler - 1] = TRAILING_BITS;
    Some(at + filler)
}

/// The stamp an access unit was written with, from its first [`STAMP_PREFIX_BYTES`]; `None` when it has none.
pub fn stamp_us(access_unit: &[u8]) -> Option<u64> {
    let unit = access_unit.get(LENGTH_BYTES..)?;
    let digits = unit.strip_prefix(&STAMP_HEADER)?.get(..STAMP_DIGITS)?;
    Some(digits.iter().fold(0, |value, digit| value << 7 | u64::from(digit & 0x7F)))
}

const LENGTH_BYTES: usize = 4;
const NAL_FILLER_DATA: u8 = 0x0C;
const TRAILING_BITS: u8 = 0x80;
const STAMP_DIGITS: usize = 8;

/// A user_data_unregistered message of 24 bytes: NAL unit header, type, size, and a UUID made up for this purpose.
const STAMP_HEADER: [u8; 19] =
    [0x06, 0x05, 0x18, 0xB2, 0x8E, 0x4C, 0x17, 0x5D, 0x36, 0x4F, 0x71, 0x9A, 0xE3, 0x72, 0x69, 0x6C, 0x6C, 0x74, 0x73];
const STAMP_UNIT_BYTES: usize = LENGTH_BYTES + STAMP_HEADER.len() + STAMP_DIGITS + 1;

/// Macroblocks in a 64x64 picture.
const MACROBLOCKS: u32 = 16;
const IDR_SLICE_BYTES: usize = 20;
/// Length, NAL unit header and trailing bits.
const FILLER_UNIT_BYTES_MIN: usize = LENGTH_BYTES + 2;

/// Seven bits in each byte below a set one: such bytes never need emulation prevention, so the length is always the same.
fn encode_stamp(stamp_us: u64) -> [u8; STAMP_DIGITS] {
    let mut digits = [0x80; STAMP_DIGITS];
    for (place, digit) in digits.iter_mut().rev().enumerate() {
        *digit |= (stamp_us >> (7 * place)) as u8 & 0x7F;
    }
    digits
}

/// An IDR picture in which every macroblock is predicted from the mean of its neighbours, which leaves it grey.
fn idr_slice(buffer: &mut [u8; IDR_SLICE_BYTES]) -> &[u8] {
    let mut w = BitWriter { buffer, bits: 0 };
    w.put(0x65, 8); // NAL unit header: IDR
    w.golomb(0); // first_mb_in_slice
    w.golomb(7); // slice_type: I, like the whole picture
    w.golomb(0); // pic_parameter_set_id
    w.put(0, 8); // frame_num
    w.golomb(0); // idr_pic_id
    w.put(0, 2); // dec_ref_pic_marking
    w.golomb(0); // slice_qp_delta
    for _ in 0..MACROBLOCKS {
        w.golomb(3); // mb_type: I_16x16 with DC prediction and no coefficients but DC
        w.golomb(0); // intra_chroma_pred_mode: DC
        w.golomb(0); // mb_qp_delta
        w.put(1, 1); // coeff_token: none
    }
    w.finish()
}

/// A P picture that repeats the one before: all macroblocks skipped.
fn skipped_slice(frame: u32, buffer: &mut [u8; IDR_SLICE_BYTES]) -> &[u8] {
    let mut w = BitWriter { buffer, bits: 0 };
    w.put(0x41, 8); // NAL unit header: reference picture, not IDR
    w.golomb(0); // first_mb_in_slice
    w.golomb(5); // slice_type: P, like the whole picture
    w.golomb(0); // pic_parameter_set_id
    w.put(frame & 0xFF, 8); // frame_num
    w.put(0, 3); // no override, no list modification, sliding window
    w.golomb(0); // slice_qp_delta
    w.golomb(MACROBLOCKS); // mb_skip_run
    w.finish()
}

/// Writes the slices above, which are known to fit and to need no emulation prevention: no two bytes in a row are zero.
struct BitWriter<'a> {
    buffer: &'a mut [u8; IDR_SLICE_BYTES],
    bits: usize,
}

impl<'a> BitWriter<'a> {
    fn put(&mut self, value: u32, count: u32) {
        for bit in (0..count).rev() {
            self.buffer[self.bits / 8] |= ((value >> bit & 1) as u8) << (7 - self.bits % 8);
            self.bits += 1;
        }
    }

    fn golomb(&mut self, value: u32) {
        let length = (value + 1).ilog2();
        self.put(0, length);
        self.put(value + 1, length + 1);
    }

    fn finish(mut self) -> &'a [u8] {
        self.put(1, 1);
        &self.buffer[..self.bits.div_ceil(8)]
    }
}

fn put(out: &mut [u8], at: &mut usize, bytes: &[u8]) -> Option<()> {
    let end = *at + bytes.len();
    out.get_mut(*at..end)?.copy_from_slice(bytes);
    *at = end;
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::codec::tests::assert_displays;
    use crate::wire::codec::{AudioInfo, VideoInfo};
    use crate::wire::flv::Codec;

    #[test]
    fn the_records_say_what_the_stream_is() {
        let video = VideoInfo::parse(Codec::Avc, &AVC_RECORD).unwrap();
        assert_displays(video, "64x64 H.264 Constrained Baseline 4");
        assert_displays(AudioInfo::parse(Codec::Aac, &AUDIO_SPECIFIC_CONFIG).unwrap(), "AAC 48 kHz stereo");
    }

    #[test]
    fn the_pictures_are_the_bytes_a_decoder_was_seen_to_take() {
        let mut out = [0; 80];
        let length = access_unit(0, 0, 0, &mut out).unwrap();
        assert_eq!(length, 56);
        assert_eq!(out[..4], [0, 0, 0, 28]);
        assert_eq!(out[4..7], [0x06, 0x05, 0x18]);
        assert_eq!(out[23..32], [0x80; 9]);
        let idr = [&[0, 0, 0, 20, 0x65, 0x88, 0x80, 0x49][..], &[0x39; 15], &[0x3C]].concat();
        assert_eq!(out[32..length], idr);

        let length = access_unit(1, 0, 0, &mut out).unwrap();
        assert_eq!(out[32..length], [0, 0, 0, 5, 0x41, 0x9A, 0x02, 0x21, 0x18]);

        let length = access_unit(1, 0, 64, &mut out).unwrap();
        assert_eq!(length, 64);
        assert_eq!(out[41..47], [0, 0, 0, 19, 0x0C, 0xFF]);
        assert_eq!(out[62..64], [0xFF, 0x80]);
    }

    #[test]
    fn pictures_hold_no_start_code_at_any_count() {
        for frame in 0..256 {
            let mut slice = [0; IDR_SLICE_BYTES];
            let slice = if frame == 0 { idr_slice(&mut slice) } else { skipped_slice(frame, &mut slice) };
            assert!(slice.windows(2).all(|pair| pair != [0, 0]), "{frame} {slice:02x?}");
            assert_ne!(slice.last(), Some(&0));
        }
    }

    proptest! {
        #[test]
        fn an_access_unit_has_the_size_asked_for_and_its_stamp(
            frame in 0_u32..600, stamp in 0_u64..1 << 56, bytes in 0_usize..3000, space in 0_usize..3000,
        ) {
            let mut out = [0xEE; 3000];
            let Some(length) = access_unit(frame, stamp, bytes, &mut out[..space]) else {
                prop_assert!(space < bytes.max(EXACT_BYTES_MIN));
                return Ok(());
            };
            prop_assert!(length == bytes || (bytes < length && length <= EXACT_BYTES_MIN));
            prop_assert!(out[length..].iter().all(|&byte| byte == 0xEE));
            prop_assert_eq!(stamp_us(&out[..STAMP_PREFIX_BYTES]), Some(stamp));

            let mut rest = &out[..length];
            while let Some((unit_length, after)) = rest.split_first_chunk() {
                rest = &after[u32::from_be_bytes(*unit_length) as usize..];
            }
            prop_assert!(rest.is_empty(), "NAL unit lengths add up");
        }
    }
}
