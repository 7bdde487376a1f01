//! One HTTP binding as an operation.

use super::{comments, schema::Schemas};
use crate::{
    contract::{Binding, BodyRule, CallerKinds, Method},
    transcode::template::{Segment, Template},
};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value as Json, json};

/// Query parameters of nested messages go this deep.
const MAX_DEPTH: usize = 3;
/// Name of the variable that stands for `**`.
const REST: &str = "rest";

/// The path with its variables, as OpenAPI writes it.
pub(super) fn path(template: &Template) -> String {
    let pieces = template.segments.iter().map(|segment| match segment {
        Segment::Literal(text) => text.clone(),
        Segment::Variable { fields, verb } => format!("{{{}}}{verb}", dotted(fields)),
        Segment::Rest => format!("{{{REST}}}"),
    });
    pieces.fold(String::new(), |path, piece| path + "/" + &piece)
}

fn dotted(fields: &[FieldDescriptor]) -> String {
    fields
        .iter()
        .map(FieldDescriptor::name)
        .collect::<Vec<_>>()
        .join(".")
}

pub(super) fn describe(
    method: &Method,
    index: usize,
    binding: &Binding,
    schemas: &mut Schemas<'_>,
) -> Json {
    let descriptor = &method.descriptor;
    let service = descriptor.parent_service();
    let mut made = Map::new();
    let mut put = |name: &str, value: Json| made.insert(name.to_owned(), value);
    let number = if index == 0 {
        String::new()
    } else {
        (index + 1).to_string()
    };
    put(
        "operationId",
        format!("{}_{}{number}", service.name(), descriptor.name()).into(),
    );
    put("tags", json!([service.name()]));
    if let Some(text) = schemas
        .comments
        .of(&descriptor.parent_file(), descriptor.path())
    {
        put("summary", comments::summary(&text).into());
        put("description", text.into());
    }
    let parameters = parameters(binding, &descriptor.input(), schemas);
    if !parameters.is_empty() {
        put("parameters", parameters.into());
    }
    let body = match &binding.body {
        BodyRule::None => None,
        BodyRule::Whole => Some(schemas.message(&descriptor.input())),
        BodyRule::Field(field) => Some(schemas.field(field)),
    };
    if let Some(body) = body {
        put(
            "requestBody",
            json!({"content": {"application/json": {"schema": body}}, "required": true}),
        );
    }
    let answer = schemas.message(&descriptor.output());
    let success = method.success().as_u16().to_string();
    put(
        "responses",
        json!({
            success: {"description": "Success", "content": {"application/json": {"schema": answer}}},
            "default": {
                "description": "The request failed",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
            },
        }),
    );
    put("security", security(method.callers));
    if !method.permissions.is_empty() {
        put("x-permissions", json!(method.permissions));
    }
    if descriptor
        .method_descriptor_proto()
        .options
        .as_ref()
        .is_some_and(prost_types::MethodOptions::deprecated)
    {
        put("deprecated", true.into());
    }
    made.into()
}

fn security(callers: CallerKinds) -> Json {
    if callers.allow_anonymous() {
        return json!([]);
    }
    let cookie = [
        CallerKinds::WORKSPACE,
        CallerKinds::CUSTOMER_PORTAL,
        CallerKinds::SESSION,
        CallerKinds::ACTIONS_PORTAL,
    ];
    let mut ways = Vec::new();
    if callers.allow(CallerKinds::CLIENT) || callers.allow(CallerKinds::USER) {
        ways.push(json!({"oauth2": []}));
    }
    if cookie.iter().any(|kind| callers.allow(*kind)) {
        ways.push(json!({"session": []}));
    }
    ways.into()
}

fn parameters(
    binding: &Binding,
    input: &MessageDescriptor,
    schemas: &mut Schemas<'_>,
) -> Vec<Json> {
    let mut made = Vec::new();
    for segment in &binding.template.segments {
        match segment {
            Segment::Variable { fields, .. } => {
                let schema = fields
                    .last()
                    .map_or_else(|| json!({}), |field| schemas.field(field));
                made.push(json!({"name": dotted(fields), "in": "path", "required": true, "schema": schema}));
            }
            Segment::Rest => {
                made.push(json!({"name": REST, "in": "path", "required": true, "schema": {"type": "string"}}));
            }
            Segment::Literal(_) => {}
        }
    }
    if !matches!(binding.body, BodyRule::Whole) {
        let mut query = Query {
            binding,
            schemas,
            made,
        };
        query.collect(input, &mut Vec::new());
        made = query.made;
    }
    made
}

struct Query<'a, 'b> {
    binding: &'a Binding,
    schemas: &'a mut Schemas<'b>,
    made: Vec<Json>,
}

impl Query<'_, '_> {
    fn collect(&mut self, message: &MessageDescriptor, path: &mut Vec<FieldDescriptor>) {
        for field in message.fields() {
            path.push(field.clone());
            self.field(&field, path);
            path.pop();
        }
    }

    fn field(&mut self, field: &FieldDescriptor, path: &mut Vec<FieldDescriptor>) {
        let is_body =
            matches!(&self.binding.body, BodyRule::Field(body) if path.first() == Some(body));
        if is_body
            || self
                .binding
                .template
                .variables()
                .any(|variable| variable == path.as_slice())
        {
            return;
        }
        match field.kind() {
            Kind::Message(inner) if !inner.full_name().starts_with("google.protobuf.") => {
                // Maps are given as name[key]; lists of messages cannot be query parameters.
                if field.is_map() {
                    let schema = self.schemas.field(field);
                    let name = dotted(path);
                    self.made.push(json!({"name": name, "in": "query", "style": "deepObject", "explode": true, "schema": schema}));
                } else if !field.is_list() && path.len() < MAX_DEPTH {
                    self.collect(&inner, path);
                }
            }
            _ => {
                let schema = self.schemas.field(field);
                self.made
                    .push(json!({"name": dotted(path), "in": "query", "schema": schema}));
            }
        }
    }
}
