//! Messages as JSON.
//!
//! Names are those of the contract (snake case), enums are names, 64-bit integers are strings,
//! times are RFC 3339. Zero values of plain fields are written (`""`, `[]`, `{}`); unset messages
//! and unset optional fields are left out, because the published schemas do not allow `null` there.
//! Pairs of maps are sorted, so that equal messages give equal text.

use keystead_proto::{POOL, v1::errdetails::ErrorInfo};
use prost::Message;
use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, SerializeOptions,
};
use serde_json::Value as Json;

const SHOW_ZERO: SerializeOptions = SerializeOptions::new()
    .use_proto_field_name(true)
    .skip_default_fields(false);
const HIDE_ZERO: SerializeOptions = SerializeOptions::new()
    .use_proto_field_name(true)
    .skip_default_fields(true);

/// The JSON of a response; `None` when it cannot be expressed (a timestamp out of range).
pub(crate) fn to_json(message: &DynamicMessage) -> Option<Json> {
    write(message, &SHOW_ZERO)
}

/// The JSON of a packed error detail. Zero values are noise there.
pub(crate) fn error_info_json(info: &ErrorInfo) -> Option<Json> {
    let descriptor = POOL.get_message_by_name("scalekit.v1.errdetails.ErrorInfo")?;
    let message = DynamicMessage::decode(descriptor, info.encode_to_vec().as_slice()).ok()?;
    let Json::Object(fields) = write(&message, &HIDE_ZERO)? else {
        return None;
    };
    let mut typed = serde_json::Map::new();
    typed.insert("@type".to_owned(), crate::failure::ERROR_INFO_URL.into());
    typed.extend(fields);
    Some(Json::Object(typed))
}

fn write(message: &DynamicMessage, options: &SerializeOptions) -> Option<Json> {
    let mut json = message
        .serialize_with_options(serde_json::value::Serializer, options)
        .ok()?;
    sort_message(&mut json, &message.descriptor());
    Some(json)
}

fn sort_message(json: &mut Json, descriptor: &MessageDescriptor) {
    if descriptor.full_name().starts_with("google.protobuf.") {
        return sort_all(json);
    }
    let Json::Object(fields) = json else { return };
    for (name, value) in fields {
        if let Some(field) = descriptor.get_field_by_name(name) {
            sort_field(value, &field);
        }
    }
}

fn sort_field(json: &mut Json, field: &FieldDescriptor) {
    let Kind::Message(descriptor) = field.kind() else {
        return;
    };
    match json {
        Json::Object(pairs) if descriptor.is_map_entry() => {
            pairs.sort_keys();
            if let Kind::Message(inner) = descriptor.map_entry_value_field().kind() {
                pairs
                    .values_mut()
                    .for_each(|value| sort_message(value, &inner));
            }
        }
        Json::Array(items) => items
            .iter_mut()
            .for_each(|item| sort_message(item, &descriptor)),
        _ => sort_message(json, &descriptor),
    }
}

/// Free-form values (`Struct`) have no order of their own.
fn sort_all(json: &mut Json) {
    match json {
        Json::Object(pairs) => {
            pairs.sort_keys();
            pairs.values_mut().for_each(sort_all);
        }
        Json::Array(items) => items.iter_mut().for_each(sort_all),
        _ => {}
    }
}
