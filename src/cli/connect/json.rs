//! AMF values as JSON, and JSON as AMF 0: what people type and read.

use std::cell::Cell;

use serde_json::{Map, Value as Json, json};

use crate::limits::AMF_DEPTH;
use crate::time::ClockTime;
use crate::wire::amf0::{self, Decoder, Encoder};
use crate::wire::amf3;
use crate::wire::bytes::Full;

/// Doubles count whole numbers exactly up to here.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Values of one message that are shown; those behind them are `null`. Arrays that contain arrays by reference can stand for
/// more than any memory holds.
const VALUES: u32 = 100_000;

/// The values of `message` from byte `start` on; what cannot be read ends them, as a text that says so.
pub fn values(message: &[u8], start: usize) -> Vec<Json> {
    let mut found = Vec::new();
    let mut decoder = Decoder::new(message);
    let left = Cell::new(VALUES);
    while !decoder.is_empty() {
        let at = decoder.position();
        match decoder.value() {
            Ok(value) if at >= start => found.push(from_amf0(message, &value, 0, &left)),
            Ok(_) => {}
            Err(error) => {
                found.push(Json::String(format!("({} bytes that cannot be read: {error:?})", message.len() - at)));
                break;
            }
        }
    }
    found
}

/// A type that JSON does not have becomes a string (dates in the form of ISO 8601, byte arrays as hexadecimal digits, XML) or
/// `null` (undefined, infinite numbers, what contains itself). Class names are left out.
fn from_amf0(message: &[u8], value: &amf0::Value<'_>, depth: usize, left: &Cell<u32>) -> Json {
    use amf0::Value;
    if depth > AMF_DEPTH || left.get() == 0 {
        return Json::Null;
    }
    left.set(left.get() - 1);
    match value {
        Value::Number(number) => from_number(*number),
        Value::Boolean(flag) => Json::Bool(*flag),
        Value::String(bytes) | Value::Xml(bytes) => text(bytes),
        Value::Object(members) | Value::EcmaArray(members) | Value::TypedObject { properties: members, .. } => {
            object(members.iter().map(|(key, value)| (key, from_amf0(message, &value, depth + 1, left))))
        }
        Value::Null | Value::Undefined | Value::Unsupported => Json::Null,
        Value::Reference(index) => match amf0::resolve(message, *index) {
            Some(value) => from_amf0(message, &value, depth + 1, left),
            None => Json::Null,
        },
        Value::StrictArray(elements) => {
            elements.iter().map(|value| from_amf0(message, &value, depth + 1, left)).collect()
        }
        Value::Date { ms, .. } => date(*ms),
        Value::Amf3(value) => from_amf3(value, depth, left),
    }
}

fn from_amf3(value: &amf3::Value<'_>, depth: usize, left: &Cell<u32>) -> Json {
    use amf3::Value;
    if depth > AMF_DEPTH || left.get() == 0 {
        return Json::Null;
    }
    left.set(left.get() - 1);
    let deeper = |value: amf3::Value<'_>| from_amf3(&value, depth + 1, left);
    match value {
        Value::Undefined | Value::Null => Json::Null,
        Value::Boolean(flag) => Json::Bool(*flag),
        Value::Integer(number) => json!(number),
        Value::Number(number) => from_number(*number),
        Value::String(bytes) | Value::XmlDocument(bytes) | Value::Xml(bytes) => text(bytes),
        Value::Date { ms } => date(*ms),
        Value::Array(array) => {
            let elements = array.elements().iter().map(deeper);
            let mut named = array.properties().iter().map(|(key, value)| (key, deeper(value))).peekable();
            if named.peek().is_none() {
                return elements.collect();
            }
            // As JavaScript sees an array with names: its numbers are names, too.
            let numbered: Vec<(String, Json)> =
                elements.enumerate().map(|(at, value)| (at.to_string(), value)).collect();
            object(numbered.iter().map(|(key, value)| (key.as_bytes(), value.clone())).chain(named))
        }
        Value::Object { properties, .. } => object(properties.iter().map(|(key, value)| (key, deeper(value)))),
        Value::ByteArray(bytes) => Json::String(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
        Value::Vector(elements) => elements.iter().map(deeper).collect(),
        Value::Dictionary(pairs) => pairs.iter().map(|(key, value)| json!([deeper(key), deeper(value)])).collect(),
        Value::Reference(reference) => match reference.resolve() {
            Some(value) => from_amf3(&value, depth + 1, left),
            None => Json::Null,
        },
    }
}

fn object<'a>(members: impl Iterator<Item = (&'a [u8], Json)>) -> Json {
    Json::Object(members.map(|(key, value)| (String::from_utf8_lossy(key).into_owned(), value)).collect::<Map<_, _>>())
}

fn text(bytes: &[u8]) -> Json {
    Json::String(String::from_utf8_lossy(bytes).into_owned())
}

/// A whole number without a point, as ActionScript would show it.
fn from_number(number: f64) -> Json {
    if number.fract() == 0.0 && number.abs() <= EXACT { json!(number as i64) } else { json!(number) }
}

/// `2012-01-31T12:00:00.000Z`, or `null` when it is no time that has a year of four digits.
fn date(ms: f64) -> Json {
    // From year 0 to year 9999.
    if !(-62_167_219_200_000.0..253_402_300_800_000.0).contains(&ms) {
        return Json::Null;
    }
    Json::String(ClockTime(ms.floor() as i64).to_string())
}

/// Writes a JSON value as AMF 0: arrays as strict arrays, everything else as what it is called.
///
/// # Errors
///
/// That of the encoder.
pub fn encode(value: &Json, amf: &mut Encoder<'_, '_>) -> Result<(), Full> {
    match value {
        Json::Null => amf.null(),
        Json::Bool(flag) => amf.boolean(*flag),
        // Every JSON number is an f64 here: larger ones are rounded, as JavaScript does.
        Json::Number(number) => amf.number(number.as_f64().unwrap_or(f64::NAN)),
        Json::String(text) => amf.string(text),
        Json::Array(elements) => {
            amf.strict_array_begin(u32::try_from(elements.len()).map_err(|_| Full)?)?;
            elements.iter().try_for_each(|element| encode(element, amf))
        }
        Json::Object(members) => {
            amf.object_begin()?;
            for (key, value) in members {
                amf.key(key)?;
                encode(value, amf)?;
            }
            amf.object_end()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::bytes::Writer;

    #[test]
    fn json_comes_back_as_it_was_sent() {
        let value = json!({"a": [1, -2.5, true, null, "x"], "b": {"c": ""}, "d": []});
        let mut bytes = [0; 200];
        let mut writer = Writer::new(&mut bytes);
        encode(&value, &mut Encoder::new(&mut writer)).unwrap();
        assert_eq!(values(writer.written(), 0), [value]);
    }

    #[test]
    fn what_json_lacks_is_a_string_or_null() {
        let message = b"\x0B\x42\x6D\x1A\x94\xA2\0\0\0\0\0\x06\x00\x7F\xF0\0\0\0\0\0\0\x0D\x0F\0\0\0\x04<a/>\
            \x10\0\x01C\0\x01k\x05\0\0\x09\x07\0\0\x11\x0C\x05\xFF\x00\x11\x09\x03\x03n\x04\x02\x01\x01\x11\x08\x01\0\0\0\0\0\0\0\0";
        let expected = json!([
            "2001-09-09T01:46:40.000Z", null, null, null, "<a/>", {"k": null}, {"k": null}, "ff00", {"0": null, "n": 2},
            "1970-01-01T00:00:00.000Z"
        ]);
        assert_eq!(Json::Array(values(message, 0)), expected);
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (ms, text) in [
            (0.0, "1970-01-01T00:00:00.000Z"),
            (-1.0, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000.0, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_999.0, "2024-02-29T23:59:59.999Z"),
            (-62_167_219_200_000.0, "0000-01-01T00:00:00.000Z"),
            (253_402_300_799_999.0, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(date(ms), json!(text), "{ms}");
        }
        assert_eq!((date(f64::NAN), date(1e300)), (Json::Null, Json::Null));
    }

    #[test]
    fn values_that_refer_to_others_end_and_a_cut_one_says_so() {
        // {self: the object}
        let mut found = values(b"\x03\0\x04self\x07\0\0\0\0\x09", 0).remove(0);
        for _ in 0..=AMF_DEPTH / 2 {
            found = found["self"].take();
        }
        assert_eq!(found, Json::Null);
        // [[], [a, a, a, a], [b, b, b, b], ...], where a is the first array, b the second and so on: 4^12 values.
        let mut laughs = b"\x0A\0\0\0\x0E\x0A\0\0\0\0".to_vec();
        for array in 1..=13 {
            laughs.extend(b"\x0A\0\0\0\x04");
            laughs.extend([7, 0, array].repeat(4));
        }
        assert!(values(&laughs, 0)[0].to_string().len() < 10 * VALUES as usize);
        assert_eq!(values(b"\x05\x02\0\x09abc", 1), [json!("(6 bytes that cannot be read: Truncated)")]);
    }
}
