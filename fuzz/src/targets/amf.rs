//! Values of commands and data messages: what is read can be walked, what players get is plain, long metadata keeps to its
//! room however it comes.

use rill::limits::{AMF_DEPTH, HEADER_BYTES};
use rill::rtmp::command::CommandMessage;
use rill::rtmp::data::{DATA_BYTES, DataAction, DataMessage};
use rill::rtmp::metadata::{Metadata, MetadataForm};
use rill::wire::amf0::{self, Value};
use rill::wire::amf3;

/// What the bytes are, in which pieces they come, and the bytes.
pub fn run(bytes: &[u8]) {
    let [what, piece, message @ ..] = bytes else { return };
    let mut left = 2000;
    match what % 4 {
        0 => {
            let mut values = amf0::Decoder::new(message);
            while !values.is_empty() {
                let Ok(value) = values.value() else { break };
                walk(&value, &mut left);
                let _ = format!("{value:?}");
            }
            let mut values = amf3::Decoder::new(message);
            while !values.is_empty() {
                let Ok(value) = values.value() else { break };
                walk_amf3(&value, 0, &mut left);
            }
            for index in 0..4 {
                amf0::resolve(message, index);
            }
        }
        1 => drop(CommandMessage::parse(message).map(|message| format!("{message:?}"))),
        2 => {
            for (amf3, cut) in [(false, false), (true, false), (true, true)] {
                check_data(message, amf3, cut);
            }
        }
        _ => check_metadata(message, usize::from(*piece)),
    }
}

fn walk(value: &Value<'_>, left: &mut u32) {
    *left = left.saturating_sub(1);
    if *left == 0 {
        return;
    }
    let _ = (value.as_number(), value.as_bytes(), value.as_bool(), value.get("app"));
    if let Some(properties) = value.properties() {
        properties.iter().for_each(|(_, value)| walk(&value, left));
    }
    match value {
        Value::StrictArray(elements) => elements.iter().for_each(|value| walk(&value, left)),
        Value::Amf3(value) => walk_amf3(value, 0, left),
        _ => {}
    }
}

fn walk_amf3(value: &amf3::Value<'_>, depth: usize, left: &mut u32) {
    *left = left.saturating_sub(1);
    if *left == 0 || depth > 2 * AMF_DEPTH {
        return;
    }
    let _ = (value.as_number(), value.as_bytes(), value.as_str());
    if let Some(properties) = value.properties() {
        properties.iter().for_each(|(_, value)| walk_amf3(&value, depth + 1, left));
    }
    if let Some(elements) = value.elements() {
        assert_eq!(elements.get(elements.len()), None);
        elements.iter().for_each(|value| walk_amf3(&value, depth + 1, left));
    }
    if let amf3::Value::Dictionary(pairs) = value {
        for (key, value) in pairs.iter() {
            walk_amf3(&key, depth + 1, left);
            walk_amf3(&value, depth + 1, left);
        }
    }
}

fn check_data(message: &[u8], amf3: bool, cut: bool) {
    let Some(data) = DataMessage::parse(message, amf3, cut) else { return };
    if data.action == DataAction::Clear {
        return;
    }
    let mut out = [0; DATA_BYTES];
    let Ok(body) = data.write(&mut out) else { return };
    let mut values = amf0::Decoder::new(body.bytes);
    assert_eq!(values.string(), Ok(data.handler));
    let mut first = None;
    while !values.is_empty() {
        let value = values.value().expect("players can read it");
        assert!(!holds_amf3(&value), "{value:?}");
        first = first.or(Some(value));
    }
    if data.action == DataAction::Keep && first.is_some_and(|value| value.properties().is_some()) {
        let typed = matches!(first, Some(Value::TypedObject { .. }));
        assert!(body.bytes.len() <= HEADER_BYTES || typed, "{} bytes for who joins", body.bytes.len());
    }
}

fn holds_amf3(value: &Value<'_>) -> bool {
    match value {
        Value::Amf3(_) => true,
        Value::StrictArray(elements) => elements.iter().any(|value| holds_amf3(&value)),
        value => value.properties().is_some_and(|members| members.iter().any(|(_, value)| holds_amf3(&value))),
    }
}

/// Every message through a room of 200 bytes.
fn check_metadata(message: &[u8], piece: usize) {
    let collect = |piece: usize| {
        let (mut metadata, mut buffer) = (Metadata::new(false), [0; 200]);
        message.chunks(piece.max(1)).for_each(|piece| metadata.take(piece, &mut buffer));
        let length = metadata.end(&mut buffer);
        (buffer[..length].to_vec(), metadata.head(), metadata.lost())
    };
    let (kept, head, lost) = collect(message.len());
    assert_eq!((kept.clone(), head, lost), collect(piece), "cuts change nothing");
    if head == MetadataForm::Properties {
        let data = DataMessage::parse(&kept, false, false).expect("what is kept is a data message");
        assert_eq!(data.action, DataAction::Keep);
    }
}
