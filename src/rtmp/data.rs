//! Data messages of publishers: what is stored for late joiners, what is relayed, what is dropped.

use crate::limits::{ASSEMBLY_BYTES, HEADER_BYTES};
use crate::wire::amf0::{Decoder, Encoder, Value};
use crate::wire::amf3;
use crate::wire::bytes::{Full, Writer};
use crate::wire::plain::PlainWalk;

use super::metadata::Metadata;

/// Marker and count of an ECMA array. The count is a hint; ffmpeg looks for metadata inside this type only.
const ECMA_ARRAY: &[u8] = &[8, 0, 0, 0, 0];
/// Marker of an object.
const OBJECT: &[u8] = &[3];
const ON_META_DATA: &[u8] = b"onMetaData";

/// Longest data message that goes to players, in bytes: what fits the assembly, and what may be put before it. AMF 3 that
/// becomes longer in AMF 0 is dropped, or as metadata loses properties.
pub const DATA_BYTES: usize = ASSEMBLY_BYTES + 32;

/// One data message of a publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataMessage<'a> {
    /// Handler name, such as `onMetaData`, `onCuePoint` or `onTextData`.
    pub handler: &'a [u8],
    /// What to do with it.
    pub action: DataAction,
    /// Properties that it had lost when it was put together.
    pub lost: u32,
    /// Values in AMF 0, and where those behind the handler's name begin.
    message: &'a [u8],
    values_at: usize,
    has_amf3: bool,
    cut: bool,
}

/// See [`DataMessage::action`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataAction {
    /// Relay, and send again to every player that joins (`@setDataFrame`, `onMetaData`).
    Keep,
    /// Relay.
    Relay,
    /// Forget what was kept under the handler's name (`@clearDataFrame`). Nothing is relayed.
    Clear,
}

/// The body of a data message as players get it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Body<'o> {
    /// The handler's name and the values in AMF 0.
    pub bytes: &'o [u8],
    /// Properties that were left out, because all together they are too long.
    pub lost: u32,
}

impl<'a> DataMessage<'a> {
    /// Reads the body of a data message; `amf3` when it was of type 15, whose format byte goes; `cut` when these are only
    /// its first bytes. `None` for what players could not read: ffmpeg's four-byte `timecode`, malformed bodies.
    pub fn parse(body: &'a [u8], amf3: bool, cut: bool) -> Option<DataMessage<'a>> {
        let message = if amf3 { body.strip_prefix(&[0])? } else { body };
        let mut values = Decoder::new(message);
        // Some senders put `undefined` in front.
        if let [0x05 | 0x06, ..] = message {
            values.value().ok()?;
        }
        let (action, handler) = match name(&mut values)? {
            Some(b"@setDataFrame") => (DataAction::Keep, name(&mut values)?),
            Some(b"@clearDataFrame") => (DataAction::Clear, Some(name(&mut values)??)),
            other => (DataAction::Relay, other),
        };
        // An object with no name before it is metadata.
        let handler = handler.unwrap_or(ON_META_DATA);
        let action = match action {
            DataAction::Relay if handler == ON_META_DATA => DataAction::Keep,
            action => action,
        };
        let values_at = values.position();
        let mut has_amf3 = cut;
        while !cut && action != DataAction::Clear && !values.is_empty() {
            has_amf3 |= holds_amf3(&values.value().ok()?);
        }
        Some(DataMessage { handler, action, lost: 0, message, values_at, has_amf3, cut })
    }

    /// Writes it as players get it: in AMF 0, metadata as an ECMA array. What is kept for late players has [`HEADER_BYTES`]
    /// at most, and loses properties when it is longer: the largest first, and the least known.
    ///
    /// # Errors
    ///
    /// `Full` when it does not fit `out`, for which [`DATA_BYTES`] are enough without AMF 3.
    pub fn write<'o>(&self, out: &'o mut [u8]) -> Result<Body<'o>, Full> {
        let values = &self.message[self.values_at..];
        let is_metadata = self.handler == ON_META_DATA;
        let properties = self.action == DataAction::Keep && begins_object(values);
        let most = if properties { out.len().min(HEADER_BYTES) } else { out.len() };
        let mut writer = Writer::new(&mut out[..most]);
        Encoder::new(&mut writer).string_bytes(self.handler)?;
        let name_bytes = writer.len();
        if !self.has_amf3 {
            let written = match values.split_first() {
                Some((3, rest)) if is_metadata => writer.put_slice(ECMA_ARRAY).and_then(|()| writer.put_slice(rest)),
                _ => writer.put_slice(values),
            };
            if written.is_ok() {
                let length = writer.len();
                return Ok(Body { bytes: &out[..length], lost: self.lost });
            }
            writer.truncate(name_bytes);
        }
        let mut plain = PlainWalk::new(self.message, self.values_at);
        if !properties {
            while !plain.is_empty() {
                // What cannot be written fits no better than what is too long.
                plain.value(&mut writer).map_err(|_| Full)?;
            }
            let length = writer.len();
            return Ok(Body { bytes: &out[..length], lost: self.lost });
        }
        let is_array = is_metadata || matches!(values, [0x08, ..] | [0x11, 0x09, ..]);
        writer.put_slice(if is_array { ECMA_ARRAY } else { OBJECT })?;
        let mut kept = Metadata::behind(writer.len());
        let out = &mut out[..most];
        let mut scratch = [0; HEADER_BYTES];
        let left_out = plain.members(&mut scratch, |member| kept.take(member, out));
        let mut length = kept.end(out);
        let mut lost = self.lost + kept.lost() + u32::from(self.cut);
        if let Ok(Some(left_out)) = left_out {
            lost += left_out;
            let mut writer = Writer::new(&mut out[length..]);
            let mut written = 0;
            while !plain.is_empty() && plain.value(&mut writer).is_ok() {
                written = writer.len();
            }
            length += written;
        }
        Ok(Body { bytes: &out[..length], lost })
    }
}

/// The next value's text; `Some(None)` when it is an object instead.
fn name<'a>(values: &mut Decoder<'a>) -> Option<Option<&'a [u8]>> {
    if begins_object(values.rest()) {
        return Some(None);
    }
    match values.value().ok()? {
        Value::String(name) | Value::Amf3(amf3::Value::String(name)) => Some(Some(name)),
        _ => None,
    }
}

fn begins_object(values: &[u8]) -> bool {
    matches!(values, [0x03 | 0x08, ..] | [0x11, 0x09 | 0x0A | 0x11, ..])
}

/// Whether AMF 3 stands anywhere in it. As deep as [`crate::limits::AMF_DEPTH`], which the decoder has checked.
fn holds_amf3(value: &Value<'_>) -> bool {
    match value {
        Value::Amf3(_) => true,
        Value::StrictArray(elements) => elements.iter().any(|value| holds_amf3(&value)),
        value => value.properties().is_some_and(|members| members.iter().any(|(_, value)| holds_amf3(&value))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ON_META_DATA: &[u8] = b"\x02\x00\x0AonMetaData";
    const OBJECT: &[u8] = b"\x03\x00\x01w\x00\x40\x00\x00\x00\x00\x00\x00\x00\x00\x00\x09";

    fn body(message: &DataMessage<'_>) -> std::vec::Vec<u8> {
        message.write(&mut [0; DATA_BYTES]).unwrap().bytes.to_vec()
    }

    fn parse(body: &[u8], amf3: bool) -> Option<DataMessage<'_>> {
        DataMessage::parse(body, amf3, false)
    }
    extern crate std;

    fn kept_metadata(sent: &[u8]) {
        let message = parse(sent, false).unwrap();
        assert_eq!((message.handler, message.action), (b"onMetaData".as_slice(), DataAction::Keep));
        assert_eq!(body(&message), [ON_META_DATA, ECMA_ARRAY, &OBJECT[1..]].concat());
    }

    #[test]
    fn metadata_is_kept_as_an_ecma_array_however_it_is_sent() {
        kept_metadata(&[b"\x02\x00\x0D@setDataFrame", ON_META_DATA, OBJECT].concat());
        kept_metadata(&[ON_META_DATA, OBJECT].concat());
        kept_metadata(&[&[6], ON_META_DATA, OBJECT].concat());
        kept_metadata(OBJECT);
        kept_metadata(&[ON_META_DATA, ECMA_ARRAY, &OBJECT[1..]].concat());
        kept_metadata(&[b"\x02\x00\x0D@setDataFrame", OBJECT].concat());
    }

    #[test]
    fn other_handlers_are_relayed_untouched() {
        let cue = [b"\x02\x00\x0AonCuePoint", OBJECT].concat();
        let message = parse(&cue, false).unwrap();
        assert_eq!((message.action, body(&message)), (DataAction::Relay, cue.clone()));
        let amf3 = [&[0], cue.as_slice()].concat();
        assert_eq!(body(&parse(&amf3, true).unwrap()), cue);
    }

    #[test]
    fn clearing_names_the_handler() {
        let message = b"\x02\x00\x0F@clearDataFrame\x02\x00\x0AonMetaData";
        let message = parse(message, false).unwrap();
        assert_eq!((message.handler, message.action), (b"onMetaData".as_slice(), DataAction::Clear));
    }

    #[test]
    fn what_players_cannot_read_is_dropped() {
        assert_eq!(parse(&[0, 1, 2, 3], false), None, "ffmpeg's timecode");
        assert_eq!(parse(b"\x02\x00\x0AonCuePoint\x11\x0A\x07\x07DSK\x00", false), None, "AMF3 of a class's own");
        assert_eq!(parse(b"", false), None);
        assert_eq!(parse(b"\x02\x00\xFFx", false), None);
    }

    #[test]
    fn amf3_becomes_amf0() {
        let plain = |sent: &[u8]| body(&parse(&[&[0], sent].concat(), true).unwrap());
        let cue = b"\x02\x00\x0AonCuePoint".as_slice();
        let one = b"\x00\x3F\xF0\x00\x00\x00\x00\x00\x00";
        assert_eq!(plain(&[cue, b"\x11\x04\x01\x11\x06\x03x"].concat()), [cue, one, b"\x02\x00\x01x"].concat());
        let width = [ON_META_DATA, ECMA_ARRAY, b"\x00\x05width", one, b"\x00\x00\x09"].concat();
        let object = b"\x11\x0A\x0B\x01\x0Bwidth\x04\x01\x01";
        assert_eq!(plain(&[ON_META_DATA, object].concat()), width);
        assert_eq!(plain(object), width, "with no name");
        assert_eq!(plain(&[b"\x11\x06\x1B@setDataFrame\x11\x06\x15onMetaData", object.as_slice()].concat()), width);
        let array = b"\x11\x09\x01\x0Bwidth\x04\x01\x01";
        assert_eq!(plain(&[ON_META_DATA, array].concat()), width);
    }

    /// `{comment: "xxx...", width: 1, ...}` with so many bytes of comment.
    fn commented(comment: usize) -> std::vec::Vec<u8> {
        let length = (comment as u16).to_be_bytes();
        let comment = std::vec![b'x'; comment];
        [b"\x00\x07comment\x02", &length[..], &comment, &OBJECT[1..]].concat()
    }

    #[test]
    fn metadata_that_is_too_long_loses_what_is_large_and_not_known() {
        let sent = [b"\x02\x00\x0D@setDataFrame", ON_META_DATA, b"\x03", &commented(HEADER_BYTES)].concat();
        let message = parse(&sent, false).unwrap();
        let mut out = [0; DATA_BYTES];
        let kept = [ON_META_DATA, ECMA_ARRAY, &OBJECT[1..]].concat();
        assert_eq!(message.write(&mut out), Ok(Body { bytes: &kept, lost: 1 }));
        // Of another handler too, which stays an object; what is only relayed is relayed as a whole.
        let xmp = [b"\x02\x00\x0D@setDataFrame\x02\x00\x09onXMPData\x03", commented(HEADER_BYTES).as_slice()].concat();
        let kept = [b"\x02\x00\x09onXMPData", OBJECT].concat();
        assert_eq!(parse(&xmp, false).unwrap().write(&mut out), Ok(Body { bytes: &kept, lost: 1 }));
        let cue = [b"\x02\x00\x0AonCuePoint\x03", commented(HEADER_BYTES).as_slice()].concat();
        assert_eq!(body(&parse(&cue, false).unwrap()), cue);
    }

    #[test]
    fn of_amf3_that_is_cut_the_whole_properties_are_kept() {
        let sent = b"\x00\x02\x00\x0AonMetaData\x11\x0A\x0B\x01\x0Bwidth\x04\x01\x0Fcomment\x06\x83\x01xxx";
        let message = DataMessage::parse(sent, true, true).unwrap();
        let one = b"\x00\x3F\xF0\x00\x00\x00\x00\x00\x00";
        let kept = [ON_META_DATA, ECMA_ARRAY, b"\x00\x05width", one, b"\x00\x00\x09"].concat();
        assert_eq!(message.write(&mut [0; DATA_BYTES]), Ok(Body { bytes: &kept, lost: 1 }));
    }
}
