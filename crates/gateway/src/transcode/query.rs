//! Query parameters and path variables to fields.
//!
//! A parameter names a field by its path (`filter.provider_type`, either spelling) or a map entry
//! (`metadata[plan]`). Repeated parameters fill a list; a plain field given twice is refused.
//! Parameters the contract does not know are ignored, as are those of fields that the path or the
//! body fills.

use super::{
    input::{self, Misfit, Place},
    template,
};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, Value};
use serde_json::Value as Json;

/// Splits a query string into decoded names and values.
pub(crate) fn split(query: &str) -> Result<Vec<(String, String)>, Misfit> {
    let text = |raw: &str| template::decode(&raw.replace('+', " "));
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let wrong = || Misfit::new("", "the query string is not valid UTF-8");
            Ok((
                text(name).ok_or_else(wrong)?,
                text(value).ok_or_else(wrong)?,
            ))
        })
        .collect()
}

/// Sets the field that a path variable names.
pub(crate) fn set_variable(
    message: &mut DynamicMessage,
    fields: &[FieldDescriptor],
    text: &str,
) -> Result<(), Misfit> {
    let path = fields
        .iter()
        .map(FieldDescriptor::name)
        .collect::<Vec<_>>()
        .join(".");
    let Some((last, parents)) = fields.split_last() else {
        return Ok(());
    };
    let place = Place::Field(&Place::Root, &path);
    let json = from_text(&last.kind(), text);
    match (input::field(last, &json, place)?, descend(message, parents)) {
        (Some(value), Some(parent)) => input::set(parent, last, value, place),
        _ => Ok(()),
    }
}

/// Sets the field that a query parameter names. `taken` are the fields already filled otherwise.
pub(crate) fn set_parameter(
    message: &mut DynamicMessage,
    name: &str,
    text: &str,
    taken: &dyn Fn(&[FieldDescriptor]) -> bool,
) -> Result<(), Misfit> {
    let (name, key) = match name.strip_suffix(']').and_then(|name| name.split_once('[')) {
        Some((name, key)) => (name, Some(key)),
        None => (name, None),
    };
    let Some(fields) = resolve(message, name) else {
        return Ok(());
    };
    if taken(&fields) {
        return Ok(());
    }
    let Some((last, parents)) = fields.split_last() else {
        return Ok(());
    };
    let path = fields
        .iter()
        .map(FieldDescriptor::name)
        .collect::<Vec<_>>()
        .join(".");
    let place = Place::Field(&Place::Root, &path);
    let Some(parent) = descend(message, parents) else {
        return Ok(());
    };
    let kind = last.kind();
    match (last.is_map(), key) {
        (true, Some(key)) => set_entry(parent, last, key, text, place),
        (true, None) => Err(Misfit::new(&path, "must be given as name[key]=value")),
        (false, Some(_)) => Ok(()),
        (false, None) if last.is_list() => {
            let item = input::field(last, &Json::Array(vec![from_text(&kind, text)]), place)?;
            if let (Some(Value::List(item)), Some(list)) =
                (item, parent.get_field_mut(last).as_list_mut())
            {
                list.extend(item);
            }
            Ok(())
        }
        (false, None) if parent.has_field(last) => Err(Misfit::new(&path, "is given twice")),
        (false, None) => match input::field(last, &from_text(&kind, text), place)? {
            Some(value) => input::set(parent, last, value, place),
            None => Ok(()),
        },
    }
}

fn set_entry(
    parent: &mut DynamicMessage,
    field: &FieldDescriptor,
    key: &str,
    text: &str,
    place: Place<'_>,
) -> Result<(), Misfit> {
    let Kind::Message(entry) = field.kind() else {
        return Ok(());
    };
    let inner = entry.map_entry_value_field();
    let key = input::map_key(&entry.map_entry_key_field().kind(), key, place)?;
    let value = input::field(&inner, &from_text(&inner.kind(), text), place)?;
    if let (Some(value), Some(pairs)) = (value, parent.get_field_mut(field).as_map_mut()) {
        pairs.insert(key, value);
    }
    Ok(())
}

/// The fields of a dotted path; `None` when the contract has no such field.
fn resolve(message: &DynamicMessage, path: &str) -> Option<Vec<FieldDescriptor>> {
    let mut descriptor = Some(prost_reflect::ReflectMessage::descriptor(message));
    let mut fields = Vec::new();
    for name in path.split('.') {
        let field = input::find(&descriptor?, name)?;
        descriptor = match field.kind() {
            Kind::Message(inner) if field.cardinality() != prost_reflect::Cardinality::Repeated => {
                Some(inner)
            }
            _ => None,
        };
        fields.push(field);
    }
    Some(fields)
}

/// Goes down to the message that holds the last field, creating the ones between.
fn descend<'a>(
    message: &'a mut DynamicMessage,
    parents: &[FieldDescriptor],
) -> Option<&'a mut DynamicMessage> {
    let mut message = message;
    for field in parents {
        message = message.get_field_mut(field).as_message_mut()?;
    }
    Some(message)
}

/// Text of a URL as the JSON that its field's kind takes.
fn from_text(kind: &Kind, text: &str) -> Json {
    let is_bool = match kind {
        Kind::Bool => true,
        Kind::Message(message) => match message.full_name() {
            "google.protobuf.BoolValue" => true,
            // Free-form values can only be JSON themselves.
            "google.protobuf.Struct" | "google.protobuf.Value" | "google.protobuf.ListValue" => {
                return super::json::parse(text.as_bytes()).unwrap_or_else(|_| text.into());
            }
            _ => false,
        },
        _ => false,
    };
    match text {
        "true" | "1" if is_bool => Json::Bool(true),
        "false" | "0" if is_bool => Json::Bool(false),
        _ => text.into(),
    }
}
