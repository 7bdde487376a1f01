//! JSON to messages: the protobuf JSON mapping, with errors that name the field.
//!
//! Accepted beyond the strict mapping: keys in snake case and in camel case, enum numbers, 64-bit
//! integers as numbers, numbers as strings, field masks in snake case. A key the contract does not
//! know is ignored, as the published API does, so that newer clients keep working. `null` leaves a
//! field unset.

use base64::{
    Engine,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value};
use serde_json::Value as Json;
use std::collections::HashMap;

/// A value that does not fit its field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Misfit {
    /// Path of the field; empty for the body itself.
    pub(crate) field: String,
    /// What is wrong; holds no value of the request.
    pub(crate) problem: String,
}

impl Misfit {
    pub(crate) fn new(field: &str, problem: impl Into<String>) -> Self {
        Self {
            field: field.to_owned(),
            problem: problem.into(),
        }
    }
}

/// Where in the body we are.
#[derive(Clone, Copy)]
pub(crate) enum Place<'a> {
    Root,
    Field(&'a Place<'a>, &'a str),
    Item(&'a Place<'a>, usize),
    Key(&'a Place<'a>, &'a str),
}

impl Place<'_> {
    fn path(&self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Field(Self::Root, name) => (*name).to_owned(),
            Self::Field(parent, name) => format!("{}.{name}", parent.path()),
            Self::Item(parent, index) => format!("{}[{index}]", parent.path()),
            Self::Key(parent, key) => format!(
                "{}[{}]",
                parent.path(),
                key.chars().take(64).collect::<String>()
            ),
        }
    }

    fn misfit(&self, problem: impl Into<String>) -> Misfit {
        Misfit {
            field: self.path(),
            problem: problem.into(),
        }
    }
}

/// Reads a message.
pub(crate) fn message(
    descriptor: &MessageDescriptor,
    json: &Json,
    place: Place<'_>,
) -> Result<DynamicMessage, Misfit> {
    if descriptor.full_name().starts_with("google.protobuf.") {
        return well_known(descriptor, json, place);
    }
    let Json::Object(pairs) = json else {
        return Err(place.misfit("must be an object"));
    };
    let mut made = DynamicMessage::new(descriptor.clone());
    let mut seen: Vec<u32> = Vec::new();
    for (key, json) in pairs {
        let Some(known) = find(descriptor, key) else {
            continue;
        };
        let place = Place::Field(&place, known.name());
        if seen.contains(&known.number()) {
            return Err(place.misfit("is given twice, in snake case and in camel case"));
        }
        seen.push(known.number());
        if let Some(value) = field(&known, json, place)? {
            set(&mut made, &known, value, place)?;
        }
    }
    Ok(made)
}

/// Sets a field, unless another of its `oneof` is set.
pub(crate) fn set(
    message: &mut DynamicMessage,
    field: &FieldDescriptor,
    value: Value,
    place: Place<'_>,
) -> Result<(), Misfit> {
    if let Some(choice) = field.containing_oneof()
        && let Some(other) = choice
            .fields()
            .find(|other| other != field && message.has_field(other))
    {
        return Err(place.misfit(format!("cannot be given together with {}", other.name())));
    }
    message.set_field(field, value);
    Ok(())
}

/// A field by its name in the contract or its camel-case form.
pub(crate) fn find(descriptor: &MessageDescriptor, key: &str) -> Option<FieldDescriptor> {
    descriptor
        .get_field_by_name(key)
        .or_else(|| descriptor.get_field_by_json_name(key))
}

/// Reads the value of a field; `None` when `null` leaves it unset.
pub(crate) fn field(
    field: &FieldDescriptor,
    json: &Json,
    place: Place<'_>,
) -> Result<Option<Value>, Misfit> {
    let kind = field.kind();
    if json.is_null() && !takes_null(&kind) {
        return Ok(None);
    }
    if field.is_map() {
        return map(&kind, json, place).map(Some);
    }
    if field.is_list() {
        let Json::Array(items) = json else {
            return Err(place.misfit("must be a list"));
        };
        let items = items
            .iter()
            .enumerate()
            .map(|(index, item)| single(&kind, item, Place::Item(&place, index)));
        return Ok(Some(Value::List(items.collect::<Result<_, _>>()?)));
    }
    single(&kind, json, place).map(Some)
}

fn takes_null(kind: &Kind) -> bool {
    kind.as_message()
        .is_some_and(|message| message.full_name() == "google.protobuf.Value")
}

fn map(kind: &Kind, json: &Json, place: Place<'_>) -> Result<Value, Misfit> {
    let (Json::Object(pairs), Kind::Message(entry)) = (json, kind) else {
        return Err(place.misfit("must be an object"));
    };
    let (key_kind, value_kind) = (
        entry.map_entry_key_field().kind(),
        entry.map_entry_value_field().kind(),
    );
    let mut made = HashMap::with_capacity(pairs.len());
    for (key, json) in pairs {
        let place = Place::Key(&place, key);
        let value = single(&value_kind, json, place)?;
        made.insert(map_key(&key_kind, key, place)?, value);
    }
    Ok(Value::Map(made))
}

/// Reads the key of a map.
pub(crate) fn map_key(kind: &Kind, key: &str, place: Place<'_>) -> Result<MapKey, Misfit> {
    let value = if *kind == Kind::Bool {
        Value::Bool(
            key.parse()
                .map_err(|_| place.misfit("the key must be true or false"))?,
        )
    } else {
        single(kind, &Json::String(key.to_owned()), place)?
    };
    value
        .into_map_key()
        .ok_or_else(|| place.misfit("is not a key"))
}

/// Reads one value, not a list or map.
fn single(kind: &Kind, json: &Json, place: Place<'_>) -> Result<Value, Misfit> {
    match kind {
        Kind::String => match json {
            Json::String(text) => Ok(Value::String(text.clone())),
            _ => Err(place.misfit("must be a string")),
        },
        Kind::Bool => json
            .as_bool()
            .map(Value::Bool)
            .ok_or_else(|| place.misfit("must be true or false")),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => integer(json, place).map(Value::I32),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => integer(json, place).map(Value::I64),
        Kind::Uint32 | Kind::Fixed32 => integer(json, place).map(Value::U32),
        Kind::Uint64 | Kind::Fixed64 => integer(json, place).map(Value::U64),
        Kind::Double => float(json, place).map(Value::F64),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "nearest representable value, as the mapping asks"
        )]
        Kind::Float => float(json, place).map(|number| Value::F32(number as f32)),
        Kind::Bytes => bytes(json)
            .map(Value::Bytes)
            .ok_or_else(|| place.misfit("must be base64")),
        Kind::Enum(known) => {
            let named = json
                .as_str()
                .and_then(|name| known.get_value_by_name(name))
                .map(|value| value.number());
            let number = named.or_else(|| integer::<i32>(json, place).ok());
            let number = number
                .ok_or_else(|| place.misfit(format!("must be a value of {}", known.name())))?;
            Ok(Value::EnumNumber(number))
        }
        Kind::Message(descriptor) => message(descriptor, json, place).map(Value::Message),
    }
}

/// A number or decimal text; `1.0` and `1e3` are integers too.
fn integer<N: TryFrom<i128>>(json: &Json, place: Place<'_>) -> Result<N, Misfit> {
    let wide: Option<i128> = match json {
        Json::Number(number) => number
            .as_i64()
            .map(i128::from)
            .or_else(|| number.as_u64().map(i128::from))
            .or_else(|| number.as_f64().and_then(whole)),
        Json::String(text) => text.parse().ok(),
        _ => None,
    };
    let wide = wide.ok_or_else(|| place.misfit("must be an integer"))?;
    N::try_from(wide).map_err(|_| place.misfit("is out of range"))
}

fn whole(number: f64) -> Option<i128> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "checked to be whole and within 2^64"
    )]
    let wide = (number.fract() == 0.0 && number.abs() <= 18_446_744_073_709_551_616.0)
        .then_some(number as i128);
    wide
}

fn float(json: &Json, place: Place<'_>) -> Result<f64, Misfit> {
    let number = match json {
        Json::Number(number) => number.as_f64(),
        Json::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            text => text.parse().ok().filter(|number: &f64| number.is_finite()),
        },
        _ => None,
    };
    number.ok_or_else(|| place.misfit("must be a number"))
}

/// Either alphabet, with or without padding.
fn bytes(json: &Json) -> Option<prost::bytes::Bytes> {
    const LENIENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    const ENGINE: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::URL_SAFE, LENIENT);
    let text = json.as_str()?.replace('+', "-").replace('/', "_");
    ENGINE.decode(text).ok().map(Into::into)
}

fn well_known(
    descriptor: &MessageDescriptor,
    json: &Json,
    place: Place<'_>,
) -> Result<DynamicMessage, Misfit> {
    let expected = match descriptor.name() {
        "Timestamp" => "must be a time in RFC 3339 form, such as 2026-01-31T09:30:00Z",
        "Duration" => "must be seconds with an s, such as 3.5s",
        "FieldMask" => return field_mask(descriptor, json, place),
        "Struct" => "must be an object",
        "ListValue" => "must be a list",
        "Empty" => "must be an empty object",
        // Wrappers: a plain value of the inner type.
        name if name.ends_with("Value") && name != "Value" => {
            let inner = descriptor
                .get_field_by_name("value")
                .ok_or_else(|| place.misfit("is not understood"))?;
            let value = single(&inner.kind(), json, place)?;
            let mut made = DynamicMessage::new(descriptor.clone());
            made.set_field(&inner, value);
            return Ok(made);
        }
        _ => "is not understood",
    };
    DynamicMessage::deserialize(descriptor.clone(), json).map_err(|_| place.misfit(expected))
}

fn field_mask(
    descriptor: &MessageDescriptor,
    json: &Json,
    place: Place<'_>,
) -> Result<DynamicMessage, Misfit> {
    let text = json
        .as_str()
        .ok_or_else(|| place.misfit("must be field names separated by commas"))?;
    let paths = text
        .split(',')
        .map(str::trim)
        .filter(|path| !path.is_empty());
    Ok(mask(descriptor, paths.map(snake_case)))
}

/// A field mask of paths.
pub(crate) fn mask(
    descriptor: &MessageDescriptor,
    paths: impl Iterator<Item = String>,
) -> DynamicMessage {
    let mut made = DynamicMessage::new(descriptor.clone());
    made.set_field_by_name("paths", Value::List(paths.map(Value::String).collect()));
    made
}

fn snake_case(path: &str) -> String {
    let mut snake = String::with_capacity(path.len() + 4);
    for letter in path.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests;
