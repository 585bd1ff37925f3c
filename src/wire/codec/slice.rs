//! Whether a message begins a picture or goes on with one, as its first slice says.
//!
//! Some encoders send each slice of a picture in a message of its own, some stamp two pictures with the same millisecond: the time alone
//! tells neither from the other.

use crate::wire::flv::Codec;

/// Units that are looked at before the first slice. Parameter sets and messages of supplemental information are a handful.
const UNITS_MOST: u32 = 32;
/// Where the records say how many bytes the length of a unit has (ISO/IEC 14496-15, sections 5.3.3.1 and 8.3.3.1).
const AVC_LENGTH_SIZE_AT: usize = 4;
const HEVC_LENGTH_SIZE_AT: usize = 21;

/// The first slice in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slice {
    /// A picture begins with it.
    First,
    /// It goes on with a picture.
    Later,
}

impl Slice {
    /// The first slice in `length` bytes of sample data, of which `read` gives each; `record` is the codec's configuration. `None` where
    /// there is none, as in a message of parameter sets, and where that is not known.
    ///
    /// H.264 and HEVC are read up to the first bit of a slice's header (H.264, section 7.3.3: `first_mb_in_slice` is 0 when its Exp-Golomb
    /// code begins with 1; H.265, section 7.3.6.1: `first_slice_segment_in_pic_flag`). AV1, VP8 and VP9 have a whole picture in each message
    /// (Enhanced RTMP v2, section on video packets).
    pub fn of(codec: Codec, record: &[u8], length: u32, read: impl Fn(u32) -> Option<u8>) -> Option<Slice> {
        let length_size_at = match codec {
            Codec::Avc => AVC_LENGTH_SIZE_AT,
            Codec::Hevc => HEVC_LENGTH_SIZE_AT,
            Codec::Av1 | Codec::Vp8 | Codec::Vp9 => return Some(Slice::First),
            _ => return None,
        };
        let length_size = u32::from(record.get(length_size_at)? & 0x03) + 1;
        let mut at = 0;
        for _ in 0..UNITS_MOST {
            let unit_bytes = (at..at + length_size).try_fold(0, |bytes, at| Some(bytes << 8 | u32::from(read(at)?)))?;
            at += length_size;
            if unit_bytes > length.checked_sub(at)? {
                return None;
            }
            if unit_bytes > 0 {
                let header = read(at)?;
                let slice_at = match codec {
                    // Of a slice in partitions only the first has the place.
                    Codec::Avc => match header & 0x1F {
                        1 | 2 | 5 => Some(1),
                        3 | 4 => return Some(Slice::Later),
                        _ => None,
                    },
                    _ => (header & 0x40 == 0).then_some(2),
                };
                if let Some(slice_at) = slice_at.filter(|&slice_at| slice_at < unit_bytes) {
                    let is_first = read(at + slice_at)? & 0x80 != 0;
                    return Some(if is_first { Slice::First } else { Slice::Later });
                }
            }
            at += unit_bytes;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::codec::synthetic::AVC_RECORD;

    /// A codec, its record, a message's data, what is read of it.
    type Case = (Codec, &'static [u8], &'static [u8], Option<Slice>);

    fn of(codec: Codec, record: &[u8], data: &[u8]) -> Option<Slice> {
        Slice::of(codec, record, data.len() as u32, |at| data.get(at as usize).copied())
    }

    #[test]
    fn the_first_slice_says_whether_a_picture_begins() {
        const HEVC: &[u8; 22] = b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xFF";
        const SHORT: &[u8; 5] = b"\x01\x42\xC0\x28\xFD";
        let (avc, first, later) = (&AVC_RECORD, Some(Slice::First), Some(Slice::Later));
        let table: &[Case] = &[
            (Codec::Avc, avc, b"\0\0\0\x03\x65\x88\x80", first),
            (Codec::Avc, avc, b"\0\0\0\x03\x41\x9A\x00", first),
            (Codec::Avc, avc, b"\0\0\0\x03\x41\x44\x00", later),
            (Codec::Avc, avc, b"\0\0\0\x02\x42\x88", first),
            (Codec::Avc, avc, b"\0\0\0\x02\x43\x88", later),
            // A delimiter, parameter sets, a unit of no bytes and a message in front of it.
            (
                Codec::Avc,
                avc,
                b"\0\0\0\x02\x09\xF0\0\0\0\x02\x67\x42\0\0\0\0\0\0\0\x02\x06\x80\0\0\0\x02\x65\x88",
                first,
            ),
            (Codec::Avc, avc, b"\0\0\0\x02\x06\x80\0\0\0\x02\x65\x48", later),
            (Codec::Avc, SHORT, b"\0\x02\x65\x88", first),
            // No slice, half of one, more than there is, nothing, no record.
            (Codec::Avc, avc, b"\0\0\0\x02\x67\x42\0\0\0\x02\x68\xCE", None),
            (Codec::Avc, avc, b"\0\0\0\x01\x65", None),
            (Codec::Avc, avc, b"\0\0\x10\x00\x65\x88", None),
            (Codec::Avc, avc, b"\xFF\xFF\xFF\xFF\x65\x88", None),
            (Codec::Avc, avc, b"\0\0\0", None),
            (Codec::Avc, avc, b"", None),
            (Codec::Avc, b"", b"\0\0\0\x02\x65\x88", None),
            (Codec::Hevc, HEVC, b"\0\0\0\x03\x26\x01\xAF", first),
            (Codec::Hevc, HEVC, b"\0\0\0\x03\x02\x01\x2F", later),
            (Codec::Hevc, HEVC, b"\0\0\0\x03\x40\x01\x0C\0\0\0\x03\x4E\x01\x80\0\0\0\x03\x28\x01\x80", first),
            (Codec::Hevc, HEVC, b"\0\0\0\x02\x26\x01", None),
            (Codec::Av1, b"", b"\x0A\x01\0", first),
            (Codec::Vp9, b"", b"\x82", first),
            (Codec::Vvc, HEVC, b"\0\0\0\x03\x26\x01\xAF", None),
        ];
        for (codec, record, data, expected) in table {
            assert_eq!(of(*codec, record, data), *expected, "{codec} {data:02x?}");
        }
        let endless = [0; 4 * UNITS_MOST as usize + 8];
        assert_eq!(of(Codec::Avc, avc, &endless), None);
    }
}
