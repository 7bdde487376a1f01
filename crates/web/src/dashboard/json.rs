//! The contract's free-form values as JSON.

use prost_types::{ListValue, Struct, Value, value::Kind};
use serde_json::{Map, Number, Value as Json};

/// To JSON. Whole numbers stay whole.
pub(crate) fn from_value(value: &Value) -> Json {
    match &value.kind {
        None | Some(Kind::NullValue(_)) => Json::Null,
        Some(Kind::BoolValue(value)) => Json::Bool(*value),
        Some(Kind::StringValue(value)) => Json::String(value.clone()),
        Some(Kind::NumberValue(value)) => number(*value),
        Some(Kind::StructValue(value)) => from_struct(value),
        Some(Kind::ListValue(list)) => Json::Array(from_list(list)),
    }
}

/// To a JSON object.
pub(crate) fn from_struct(value: &Struct) -> Json {
    Json::Object(
        value
            .fields
            .iter()
            .map(|(name, value)| (name.clone(), from_value(value)))
            .collect::<Map<_, _>>(),
    )
}

/// To JSON values.
pub(crate) fn from_list(list: &ListValue) -> Vec<Json> {
    list.values.iter().map(from_value).collect()
}

/// From JSON values.
pub(crate) fn to_list(values: &[Json]) -> ListValue {
    ListValue {
        values: values.iter().map(to_value).collect(),
    }
}

fn to_value(json: &Json) -> Value {
    let kind = match json {
        Json::Null => Kind::NullValue(0),
        Json::Bool(value) => Kind::BoolValue(*value),
        Json::Number(value) => Kind::NumberValue(value.as_f64().unwrap_or_default()),
        Json::String(value) => Kind::StringValue(value.clone()),
        Json::Array(values) => Kind::ListValue(to_list(values)),
        Json::Object(fields) => Kind::StructValue(Struct {
            fields: fields
                .iter()
                .map(|(name, value)| (name.clone(), to_value(value)))
                .collect(),
        }),
    };
    Value { kind: Some(kind) }
}

fn number(value: f64) -> Json {
    let whole = format!("{value}").parse::<i64>().ok();
    whole
        .map(Json::from)
        .or_else(|| Number::from_f64(value).map(Json::Number))
        .unwrap_or(Json::Null)
}

#[cfg(test)]
mod tests {
    use super::{from_value, to_value};
    use serde_json::json;

    #[test]
    fn json_round_trips() {
        let value = json!({"a": [1, 2.5, "x", null, true], "b": {"c": ""}, "n": -3});
        assert_eq!(from_value(&to_value(&value)), value);
    }
}
