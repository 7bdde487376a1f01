//! Messages and enums as JSON Schemas.

use super::{comments::Comments, rules};
use keystead_proto::POOL;
use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, Value};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;

/// The schemas reached so far.
#[derive(Debug)]
pub(super) struct Schemas<'a> {
    pub(super) comments: &'a Comments,
    done: BTreeMap<String, Json>,
}

impl<'a> Schemas<'a> {
    pub(super) const fn new(comments: &'a Comments) -> Self {
        Self {
            comments,
            done: BTreeMap::new(),
        }
    }

    pub(super) fn finish(self) -> Map<String, Json> {
        self.done.into_iter().collect()
    }

    /// The body of every error.
    pub(super) fn error(&mut self) -> Json {
        let info = POOL.get_message_by_name("scalekit.v1.errdetails.ErrorInfo");
        let info = info.map_or_else(|| json!({}), |info| self.message(&info));
        json!({
            "type": "object",
            "description": "Why the request failed.",
            "properties": {
                "code": {"type": "integer", "description": "The gRPC status code."},
                "message": {"type": "string", "description": "What went wrong, for people."},
                "details": {"type": "array", "items": info},
            },
            "required": ["code", "message", "details"],
        })
    }

    /// The schema of a field's value, with its comment and rules.
    pub(super) fn field(&mut self, field: &FieldDescriptor) -> Json {
        let kind = field.kind();
        let mut schema = match (&kind, field.is_list()) {
            (Kind::Message(entry), _) if field.is_map() => {
                json!({"type": "object", "additionalProperties": self.kind(&entry.map_entry_value_field().kind())})
            }
            (_, true) => json!({"type": "array", "items": self.kind(&kind)}),
            (_, false) => self.kind(&kind),
        };
        if let Json::Object(schema) = &mut schema {
            if let Some(text) = self.comments.of(&field.parent_file(), field.path()) {
                schema.insert("description".to_owned(), text.into());
            }
            if let Some(rules) = rules::of(field) {
                rules::apply(&rules, schema);
            }
            if behaves(field, "OUTPUT_ONLY") {
                schema.insert("readOnly".to_owned(), true.into());
            }
            if field
                .field_descriptor_proto()
                .options
                .as_ref()
                .is_some_and(prost_types::FieldOptions::deprecated)
            {
                schema.insert("deprecated".to_owned(), true.into());
            }
        }
        schema
    }

    fn kind(&mut self, kind: &Kind) -> Json {
        match kind {
            Kind::String => json!({"type": "string"}),
            Kind::Bool => json!({"type": "boolean"}),
            Kind::Double | Kind::Float => json!({"type": "number"}),
            Kind::Bytes => json!({"type": "string", "format": "byte"}),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
                json!({"type": "string", "format": "int64"})
            }
            Kind::Uint64 | Kind::Fixed64 => json!({"type": "string", "format": "uint64"}),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
                json!({"type": "integer", "format": "int32"})
            }
            Kind::Uint32 | Kind::Fixed32 => {
                json!({"type": "integer", "format": "int64", "minimum": 0})
            }
            Kind::Enum(descriptor) => self.choice(descriptor),
            Kind::Message(descriptor) => self.message(descriptor),
        }
    }

    /// A message: a reference to its schema, or the schema of a well-known type itself.
    pub(super) fn message(&mut self, descriptor: &MessageDescriptor) -> Json {
        if let Some(name) = descriptor.full_name().strip_prefix("google.protobuf.") {
            return self.well_known(name, descriptor);
        }
        let name = component(descriptor.full_name());
        if !self.done.contains_key(&name) {
            // The place is taken first: messages may hold themselves.
            self.done.insert(name.clone(), Json::Null);
            let schema = self.object(descriptor);
            self.done.insert(name.clone(), schema);
        }
        reference(&name)
    }

    fn object(&mut self, descriptor: &MessageDescriptor) -> Json {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for field in descriptor.fields() {
            properties.insert(field.name().to_owned(), self.field(&field));
            if rules::of(&field).is_some_and(|rules| rules.required())
                || behaves(&field, "REQUIRED")
            {
                required.push(field.name().to_owned());
            }
        }
        let mut schema = Map::new();
        schema.insert("type".to_owned(), "object".into());
        if let Some(text) = self
            .comments
            .of(&descriptor.parent_file(), descriptor.path())
        {
            schema.insert("description".to_owned(), text.into());
        }
        schema.insert("properties".to_owned(), properties.into());
        if !required.is_empty() {
            schema.insert("required".to_owned(), required.into());
        }
        schema.into()
    }

    fn choice(&mut self, descriptor: &EnumDescriptor) -> Json {
        let name = component(descriptor.full_name());
        if !self.done.contains_key(&name) {
            let names: Vec<String> = descriptor
                .values()
                .map(|value| value.name().to_owned())
                .collect();
            let mut schema = json!({"type": "string", "enum": names});
            if let Some(text) = self
                .comments
                .of(&descriptor.parent_file(), descriptor.path())
                && let Json::Object(schema) = &mut schema
            {
                schema.insert("description".to_owned(), text.into());
            }
            self.done.insert(name.clone(), schema);
        }
        reference(&name)
    }

    fn well_known(&mut self, name: &str, descriptor: &MessageDescriptor) -> Json {
        match name {
            "Timestamp" => json!({"type": "string", "format": "date-time"}),
            "Duration" => json!({"type": "string", "pattern": "^-?[0-9]+(\\.[0-9]{1,9})?s$"}),
            "FieldMask" => {
                json!({"type": "string", "description": "Field names separated by commas."})
            }
            "Struct" | "Empty" => json!({"type": "object"}),
            "ListValue" => json!({"type": "array", "items": {}}),
            "Value" => json!({}),
            "Any" => json!({"type": "object", "properties": {"@type": {"type": "string"}}}),
            _ => descriptor
                .get_field_by_name("value")
                .map_or_else(|| json!({}), |inner| self.kind(&inner.kind())),
        }
    }
}

fn component(full_name: &str) -> String {
    full_name
        .strip_prefix("scalekit.v1.")
        .or_else(|| full_name.strip_prefix("keystead.v1."))
        .unwrap_or(full_name)
        .to_owned()
}

fn reference(name: &str) -> Json {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// Whether `google.api.field_behavior` names `behaviour`.
fn behaves(field: &FieldDescriptor, behaviour: &str) -> bool {
    let Some(extension) = POOL.get_extension_by_name("google.api.field_behavior") else {
        return false;
    };
    let options = field.options();
    let given = options.get_extension(&extension);
    let kind = extension.kind();
    let known = kind
        .as_enum()
        .and_then(|known| known.get_value_by_name(behaviour))
        .map(|value| value.number());
    given
        .as_list()
        .into_iter()
        .flatten()
        .filter_map(Value::as_enum_number)
        .any(|number| Some(number) == known)
}
