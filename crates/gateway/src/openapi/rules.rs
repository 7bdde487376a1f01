//! Validation rules as JSON Schema keywords.

use keystead_proto::{
    POOL,
    validate::{self as pb, string_rules::WellKnown},
};
use prost_reflect::{FieldDescriptor, Value};
use serde_json::{Map, Value as Json, json};

/// The rules of a field, if it has any.
pub(super) fn of(field: &FieldDescriptor) -> Option<pb::FieldRules> {
    let extension = POOL.get_extension_by_name("buf.validate.field")?;
    let options = field.options();
    if !options.has_extension(&extension) {
        return None;
    }
    match options.get_extension(&extension).as_ref() {
        Value::Message(message) => message.transcode_to().ok(),
        _ => None,
    }
}

/// Adds what the rules say about a value to its schema.
pub(super) fn apply(rules: &pb::FieldRules, schema: &mut Map<String, Json>) {
    use pb::field_rules::Type;
    let mut put = |name: &str, value: Option<Json>| {
        if let Some(value) = value {
            schema.insert(name.to_owned(), value);
        }
    };
    match &rules.r#type {
        Some(Type::String(r)) => {
            put("minLength", r.min_len.map(Into::into));
            put("maxLength", r.max_len.or(r.max_bytes).map(Into::into));
            put("pattern", r.pattern.clone().map(Into::into));
            put(
                "pattern",
                r.prefix
                    .as_ref()
                    .map(|prefix| format!("^{}", regex::escape(prefix)).into()),
            );
            put("enum", (!r.r#in.is_empty()).then(|| json!(r.r#in)));
            put(
                "format",
                match r.well_known {
                    Some(WellKnown::Email(true)) => Some("email".into()),
                    Some(WellKnown::Uri(true)) => Some("uri".into()),
                    _ => None,
                },
            );
        }
        Some(Type::Int32(r)) => {
            put("exclusiveMaximum", r.lt.map(Into::into));
            put("maximum", r.lte.map(Into::into));
            put("exclusiveMinimum", r.gt.map(Into::into));
            put("minimum", r.gte.map(Into::into));
        }
        Some(Type::Uint32(r)) => {
            put("exclusiveMaximum", r.lt.map(Into::into));
            put("maximum", r.lte.map(Into::into));
            put("exclusiveMinimum", r.gt.map(Into::into));
            put("minimum", r.gte.map(Into::into));
        }
        Some(Type::Repeated(r)) => {
            put("minItems", r.min_items.map(Into::into));
            put("maxItems", r.max_items.map(Into::into));
            put(
                "uniqueItems",
                r.unique.filter(|unique| *unique).map(Into::into),
            );
            if let (Some(rules), Some(Json::Object(items))) =
                (r.items.as_deref(), schema.get_mut("items"))
            {
                apply(rules, items);
            }
        }
        Some(Type::Map(r)) => {
            put("minProperties", r.min_pairs.map(Into::into));
            put("maxProperties", r.max_pairs.map(Into::into));
            if let (Some(rules), Some(Json::Object(values))) =
                (r.values.as_deref(), schema.get_mut("additionalProperties"))
            {
                apply(rules, values);
            }
        }
        // 64-bit numbers are strings in JSON and durations have no keyword; enums list their names.
        Some(Type::Int64(_) | Type::Uint64(_) | Type::Duration(_) | Type::Enum(_)) | None => {}
    }
}
