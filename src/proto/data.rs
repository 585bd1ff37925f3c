//! Data messages of publishers: what is stored for late joiners, what is relayed, what is dropped.

use crate::wire::amf0::{Decoder, Value};

/// Marker and count of an ECMA array. The count is a hint; ffmpeg looks for metadata inside this type only.
const ECMA_ARRAY: &[u8] = &[8, 0, 0, 0, 0];
/// `"onMetaData"` as AMF0, for senders that leave it out.
const ON_META_DATA: &[u8] = b"\x02\x00\x0AonMetaData";

/// One data message, as it goes to players.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataMessage<'a> {
    /// Handler name, such as `onMetaData`, `onCuePoint` or `onTextData`.
    pub handler: &'a [u8],
    /// What to do with it.
    pub action: DataAction,
    /// The AMF0 body to relay, in three parts: handler, start of the value, the rest.
    pub parts: [&'a [u8]; 3],
}

/// See [`DataMessage::action`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataAction {
    /// Relay, and send again to everybody who joins (`@setDataFrame`, `onMetaData`).
    Keep,
    /// Relay.
    Relay,
    /// Forget what was kept under the handler's name (`@clearDataFrame`). Nothing is relayed.
    Clear,
}

impl<'a> DataMessage<'a> {
    /// Reads the body of a data message; `amf3` when it was of type 15, whose format byte goes. `None` for what
    /// players could not read: AMF3 values, ffmpeg's four-byte `timecode`, malformed bodies.
    pub fn parse(body: &'a [u8], amf3: bool) -> Option<DataMessage<'a>> {
        let body = if amf3 { body.strip_prefix(&[0])? } else { body };
        let mut values = Decoder::new(body);
        let mut start = 0;
        let mut first = values.value().ok()?;
        // Some senders put `undefined` in front.
        if matches!(first, Value::Undefined | Value::Null) {
            start = values.position();
            first = values.value().ok()?;
        }
        let (action, handler) = match first {
            Value::String(b"@setDataFrame") => {
                start = values.position();
                (DataAction::Keep, values.value().ok()?)
            }
            Value::String(b"@clearDataFrame") => {
                let Value::String(handler) = values.value().ok()? else { return None };
                return Some(DataMessage { handler, action: DataAction::Clear, parts: [&[]; 3] });
            }
            Value::String(b"onMetaData") => (DataAction::Keep, first),
            other => (DataAction::Relay, other),
        };
        let (handler, name_part, value_at) = match handler {
            Value::String(handler) => (handler, &body[start..values.position()], values.position()),
            // An object with no name before it is metadata.
            Value::Object(_) | Value::EcmaArray(_) => (b"onMetaData".as_slice(), ON_META_DATA, start),
            _ => return None,
        };
        let action = if handler == b"onMetaData" { DataAction::Keep } else { action };
        let value = &body[value_at..];
        let mut rest = Decoder::new(value);
        while !rest.is_empty() {
            if has_amf3(&rest.value().ok()?) {
                return None;
            }
        }
        let (head, tail) = match value.split_first() {
            Some((3, properties)) if handler == b"onMetaData" => (ECMA_ARRAY, properties),
            _ => (&[] as &[u8], value),
        };
        Some(DataMessage { handler, action, parts: [name_part, head, tail] })
    }
}

/// Whether AMF 3 stands anywhere in it. As deep as [`crate::limits::AMF_DEPTH`], which the decoder has checked.
fn has_amf3(value: &Value<'_>) -> bool {
    match value {
        Value::Amf3(_) => true,
        Value::StrictArray(elements) => elements.iter().any(|value| has_amf3(&value)),
        value => value.properties().is_some_and(|members| members.iter().any(|(_, value)| has_amf3(&value))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECT: &[u8] = b"\x03\x00\x01w\x00\x40\x00\x00\x00\x00\x00\x00\x00\x00\x00\x09";

    fn body(message: &DataMessage<'_>) -> std::vec::Vec<u8> {
        message.parts.concat()
    }
    extern crate std;

    fn kept_metadata(sent: &[u8]) {
        let message = DataMessage::parse(sent, false).unwrap();
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
        let message = DataMessage::parse(&cue, false).unwrap();
        assert_eq!((message.action, body(&message)), (DataAction::Relay, cue.clone()));
        let amf3 = [&[0], cue.as_slice()].concat();
        assert_eq!(body(&DataMessage::parse(&amf3, true).unwrap()), cue);
    }

    #[test]
    fn clearing_names_the_handler() {
        let message = b"\x02\x00\x0F@clearDataFrame\x02\x00\x0AonMetaData";
        let message = DataMessage::parse(message, false).unwrap();
        assert_eq!((message.handler, message.action), (b"onMetaData".as_slice(), DataAction::Clear));
    }

    #[test]
    fn what_players_cannot_read_is_dropped() {
        assert_eq!(DataMessage::parse(&[0, 1, 2, 3], false), None, "ffmpeg's timecode");
        assert_eq!(DataMessage::parse(b"\x02\x00\x0AonCuePoint\x11\x04\x01", false), None, "AMF3 inside");
        assert_eq!(DataMessage::parse(b"", false), None);
        assert_eq!(DataMessage::parse(b"\x02\x00\xFFx", false), None);
    }
}
