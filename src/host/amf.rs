//! AMF values of clients to JavaScript values, and back (AMF 0, December 2007; AMF 3, January 2013).
//!
//! From a client every type is understood. Towards a client only AMF 0 is written, and of that only what every client
//! reads: `undefined` becomes null, and there are no typed objects. A date is sent when the script sends one, and a
//! reference when an object comes again, which may be inside of itself: there is no other way to say it.
//!
//! | AMF | JavaScript | and back |
//! |---|---|---|
//! | number, integer | number | number |
//! | boolean | boolean | boolean |
//! | string, long string, XML | string (invalid UTF-8 replaced) | string |
//! | null | null | null |
//! | undefined, unsupported | undefined | null |
//! | object, typed object, dictionary | object | object |
//! | ECMA array, AMF 3 array with names | array with named members | ECMA array |
//! | strict array, AMF 3 array, vector | array | strict array |
//! | date | Date | date |
//! | byte array | array of numbers | strict array |
//! | reference of AMF 0 | the same object again | reference |
//! | reference of AMF 3 | an equal object | object |

use std::collections::HashMap;

use rquickjs::function::Constructor;
use rquickjs::object::Property;
use rquickjs::{Array, Ctx, Exception, Function, Object, Result, String as JsString, Type, Value};

use crate::limits::AMF_DEPTH;
use crate::wire::amf0::{self, Encoder};
use crate::wire::amf3;
use crate::wire::bytes::{Full, Writer};

/// Values one message may make, references followed. More is refused: a few bytes of references could stand for millions.
const VALUES: usize = 8192;
/// AMF 3 containers and references one message may make. Opening each is a walk over the message.
const AMF3_VIEWS: usize = 256;

/// Why the values of a client are not given to the script. The client's fault, never the script's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// The parts of the language that conversion needs, as they were before the script could change them.
pub(super) struct Kit<'js> {
    /// `Date`.
    pub(super) date: Constructor<'js>,
    /// `date => date.getTime()`.
    pub(super) time: Function<'js>,
    /// `string => string.toWellFormed()`.
    pub(super) well_formed: Function<'js>,
}

impl<'js> Kit<'js> {
    /// The prelude leaves them on the object that it is given.
    pub(super) fn of(native: &Object<'js>) -> Result<Self> {
        Ok(Kit { date: native.get("date")?, time: native.get("time")?, well_formed: native.get("wellFormed")? })
    }
}

/// All values of `message`. The outer error is the engine's (no memory), the inner one the client's.
pub(super) fn decode<'js>(
    ctx: &Ctx<'js>,
    kit: &Kit<'js>,
    message: &[u8],
) -> Result<core::result::Result<Vec<Value<'js>>, Malformed>> {
    let mut walk = Walk { ctx, kit, complex: Vec::new(), values: 0, views: 0, malformed: false };
    let mut decoder = amf0::Decoder::new(message);
    let mut values = Vec::new();
    while !decoder.is_empty() && !walk.malformed {
        match decoder.value() {
            Ok(value) => values.push(walk.amf0(value)?),
            Err(_) => return Ok(Err(Malformed)),
        }
    }
    Ok(if walk.malformed { Err(Malformed) } else { Ok(values) })
}

struct Walk<'w, 'js> {
    ctx: &'w Ctx<'js>,
    kit: &'w Kit<'js>,
    /// The objects and arrays of AMF 0 so far: what a reference counts.
    complex: Vec<Value<'js>>,
    values: usize,
    views: usize,
    malformed: bool,
}

impl<'js> Walk<'_, 'js> {
    fn amf0(&mut self, value: amf0::Value<'_>) -> Result<Value<'js>> {
        let undefined = Value::new_undefined(self.ctx.clone());
        self.values += 1;
        if self.values > VALUES || self.malformed {
            self.malformed = true;
            return Ok(undefined);
        }
        Ok(match value {
            amf0::Value::Number(number) => self.number(number),
            amf0::Value::Boolean(value) => Value::new_bool(self.ctx.clone(), value),
            amf0::Value::String(bytes) | amf0::Value::Xml(bytes) => self.string(bytes)?,
            amf0::Value::Null => Value::new_null(self.ctx.clone()),
            amf0::Value::Undefined | amf0::Value::Unsupported => undefined,
            amf0::Value::Reference(index) => match self.complex.get(usize::from(index)) {
                Some(value) => value.clone(),
                None => {
                    self.malformed = true;
                    undefined
                }
            },
            amf0::Value::Object(properties) | amf0::Value::TypedObject { properties, .. } => {
                let object = Object::new(self.ctx.clone())?;
                self.complex.push(object.clone().into_value());
                self.members(&object, properties)?;
                object.into_value()
            }
            amf0::Value::EcmaArray(properties) => {
                let array = Array::new(self.ctx.clone())?;
                self.complex.push(array.clone().into_value());
                self.members(array.as_object(), properties)?;
                array.into_value()
            }
            amf0::Value::StrictArray(elements) => {
                let array = Array::new(self.ctx.clone())?;
                self.complex.push(array.clone().into_value());
                for (index, element) in elements.iter().enumerate() {
                    array.set(index, self.amf0(element)?)?;
                }
                array.into_value()
            }
            amf0::Value::Date { ms, .. } => self.date(ms)?,
            amf0::Value::Amf3(value) => self.amf3(value, 0)?,
        })
    }

    fn members(&mut self, object: &Object<'js>, properties: amf0::Properties<'_>) -> Result<()> {
        for (name, value) in properties.iter() {
            let value = self.amf0(value)?;
            define(object, &String::from_utf8_lossy(name), value)?;
        }
        Ok(())
    }

    /// AMF 3 references are followed by value: what is referred to twice comes twice, and a cycle is malformed.
    fn amf3(&mut self, value: amf3::Value<'_>, depth: usize) -> Result<Value<'js>> {
        let undefined = Value::new_undefined(self.ctx.clone());
        self.values += 1;
        let is_view = matches!(
            value,
            amf3::Value::Array(_)
                | amf3::Value::Object { .. }
                | amf3::Value::Vector(_)
                | amf3::Value::Dictionary(_)
                | amf3::Value::Reference(_)
        );
        self.views += usize::from(is_view);
        if self.values > VALUES || self.views > AMF3_VIEWS || depth > 2 * AMF_DEPTH || self.malformed {
            self.malformed = true;
            return Ok(undefined);
        }
        Ok(match value {
            amf3::Value::Undefined => undefined,
            amf3::Value::Null => Value::new_null(self.ctx.clone()),
            amf3::Value::Boolean(value) => Value::new_bool(self.ctx.clone(), value),
            amf3::Value::Integer(value) => Value::new_int(self.ctx.clone(), value),
            amf3::Value::Number(number) => self.number(number),
            amf3::Value::String(bytes) | amf3::Value::XmlDocument(bytes) | amf3::Value::Xml(bytes) => {
                self.string(bytes)?
            }
            amf3::Value::Date { ms } => self.date(ms)?,
            amf3::Value::Array(values) => {
                let array = Array::new(self.ctx.clone())?;
                for (index, element) in values.elements().iter().enumerate() {
                    array.set(index, self.amf3(element, depth + 1)?)?;
                }
                self.named(array.as_object(), values.properties(), depth)?;
                array.into_value()
            }
            amf3::Value::Object { properties, .. } => {
                let object = Object::new(self.ctx.clone())?;
                self.named(&object, properties, depth)?;
                object.into_value()
            }
            amf3::Value::ByteArray(bytes) => {
                self.values += bytes.len();
                let array = Array::new(self.ctx.clone())?;
                for (index, byte) in bytes.iter().enumerate() {
                    array.set(index, i32::from(*byte))?;
                }
                array.into_value()
            }
            amf3::Value::Vector(elements) => {
                let array = Array::new(self.ctx.clone())?;
                for (index, element) in elements.iter().enumerate() {
                    array.set(index, self.amf3(element, depth + 1)?)?;
                }
                array.into_value()
            }
            amf3::Value::Dictionary(pairs) => {
                let object = Object::new(self.ctx.clone())?;
                for (key, value) in pairs.iter() {
                    let value = self.amf3(value, depth + 1)?;
                    // A key that is an object has no name in JavaScript; Flash would call it this.
                    let name = match (key.as_number(), key.as_bytes()) {
                        (Some(number), _) => number.to_string(),
                        (_, Some(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
                        _ => key.as_bool().map_or("[object Object]".to_owned(), |value| value.to_string()),
                    };
                    define(&object, &name, value)?;
                }
                object.into_value()
            }
            amf3::Value::Reference(reference) => match reference.resolve() {
                Some(value) => self.amf3(value, depth + 1)?,
                None => {
                    self.malformed = true;
                    undefined
                }
            },
        })
    }

    fn named(&mut self, object: &Object<'js>, properties: amf3::Properties<'_>, depth: usize) -> Result<()> {
        for (name, value) in properties.iter() {
            let value = self.amf3(value, depth + 1)?;
            define(object, &String::from_utf8_lossy(name), value)?;
        }
        Ok(())
    }

    fn number(&self, number: f64) -> Value<'js> {
        // As an integer it would lose its sign.
        if number == 0.0 && number.is_sign_negative() {
            return Value::new_float(self.ctx.clone(), number);
        }
        Value::new_number(self.ctx.clone(), number)
    }

    fn string(&self, bytes: &[u8]) -> Result<Value<'js>> {
        Ok(JsString::from_str(self.ctx.clone(), &String::from_utf8_lossy(bytes))?.into_value())
    }

    fn date(&self, ms: f64) -> Result<Value<'js>> {
        self.kit.date.construct((ms,))
    }
}

/// An own member, whatever its name: `__proto__` of a client is a member like any other.
fn define<'js>(object: &Object<'js>, name: &str, value: Value<'js>) -> Result<()> {
    object.prop(name, Property::from(value).writable().enumerable().configurable())
}

/// The bytes of `values` one behind the other, put together in `buffer`, in whose message `before` objects and arrays come
/// before them. Throws a `RangeError` when they are too long or nested deeper than [`AMF_DEPTH`].
pub(super) fn encode<'js>(
    ctx: &Ctx<'js>,
    kit: &Kit<'js>,
    buffer: &mut [u8],
    before: u16,
    values: impl IntoIterator<Item = Value<'js>>,
) -> Result<Vec<u8>> {
    let mut writer = Writer::new(buffer);
    let mut put = Put { ctx, kit, known: HashMap::new(), next: Some(before) };
    for value in values {
        put.value(&mut Encoder::new(&mut writer), &value, 0)?;
    }
    Ok(writer.written().to_vec())
}

struct Put<'p, 'js> {
    ctx: &'p Ctx<'js>,
    kit: &'p Kit<'js>,
    /// The objects and arrays so far, with the number of each.
    known: HashMap<Value<'js>, u16>,
    /// Of the next one; `None` when there are no more numbers.
    next: Option<u16>,
}

impl<'js> Put<'_, 'js> {
    /// The number of an object that came before. One that did not gets its own.
    fn number(&mut self, object: &Object<'js>) -> Option<u16> {
        let known = self.known.get(object.as_value()).copied();
        if let (None, Some(next)) = (known, self.next) {
            self.known.insert(object.clone().into_value(), next);
            self.next = next.checked_add(1);
        }
        known
    }

    fn value(&mut self, encoder: &mut Encoder<'_, '_>, value: &Value<'js>, depth: usize) -> Result<()> {
        let (ctx, kit) = (self.ctx, self.kit);
        let full = |Full| Exception::throw_range(ctx, "the values for the client are too long");
        match value.type_of() {
            Type::Bool => return encoder.boolean(value.as_bool().unwrap_or_default()).map_err(full),
            Type::Int | Type::Float => return encoder.number(value.as_number().unwrap_or_default()).map_err(full),
            Type::BigInt => {
                let number: rquickjs::Coerced<f64> = value.get()?;
                return encoder.number(number.0).map_err(full);
            }
            Type::String => return encoder.string(&text(kit, value)?).map_err(full),
            _ => {}
        }
        let Some(object) = value.as_object().filter(|object| !object.is_function()) else {
            // undefined, null, symbols, functions: ffmpeg and others cannot read an AMF undefined.
            return encoder.null().map_err(full);
        };
        if object.is_instance_of(&kit.date) {
            let ms: f64 = kit.time.call((object.clone(),))?;
            return encoder.date(ms).map_err(full);
        }
        if let Some(number) = self.number(object) {
            return encoder.reference(number).map_err(full);
        }
        if depth >= AMF_DEPTH {
            let message = format!("the value is nested deeper than {AMF_DEPTH} levels");
            return Err(Exception::throw_range(ctx, &message));
        }
        if let Some(array) = object.as_array() {
            let mut indexes = 0;
            let mut is_strict = true;
            for key in array.as_object().keys::<rquickjs::Atom<'js>>() {
                indexes += 1;
                is_strict &= is_index(&text(kit, &key?.to_value()?)?);
            }
            if is_strict {
                // A hole counts as an element; an array that is nearly all holes ends at the size limit. Not `Array::len`,
                // which is only good for lengths below 2^31 and panics at others.
                let count: f64 = array.as_object().get("length")?;
                let count = count as u32;
                encoder.strict_array_begin(count).map_err(full)?;
                for index in 0..count {
                    self.value(encoder, &array.as_object().get::<_, Value<'js>>(index)?, depth + 1)?;
                }
                return Ok(());
            }
            encoder.ecma_array_begin(indexes).map_err(full)?;
        } else {
            encoder.object_begin().map_err(full)?;
        }
        for member in object.own_props::<rquickjs::Atom<'js>, Value<'js>>(rquickjs::object::Filter::default()) {
            let (key, value) = member?;
            // Methods are not sent, as Flash Player sends none.
            if value.is_function() {
                continue;
            }
            encoder.key(&text(kit, &key.to_value()?)?).map_err(full)?;
            self.value(encoder, &value, depth + 1)?;
        }
        encoder.object_end().map_err(full)
    }
}

/// Whether a member's name is an index as JavaScript writes it.
fn is_index(name: &str) -> bool {
    (name == "0" || !name.starts_with(['0', '+'])) && name.parse::<u32>().is_ok()
}

/// A string of the script in UTF-8, halves of surrogate pairs replaced.
pub(super) fn text<'js>(kit: &Kit<'js>, value: &Value<'js>) -> Result<String> {
    let rquickjs::Coerced(string): rquickjs::Coerced<JsString<'js>> = value.get()?;
    match string.to_string() {
        Err(rquickjs::Error::Utf8(_)) => kit.well_formed.call::<_, JsString<'js>>((string,))?.to_string(),
        result => result,
    }
}
