//! The OpenAPI document, generated from the contract (DB-175).

mod comments;
mod operation;
mod rules;
mod schema;

use crate::contract::Contract;
use bytes::Bytes;
use comments::Comments;
use schema::Schemas;
use serde_json::{Map, Value as Json, json};
use std::sync::{Arc, OnceLock};

/// Generates the document once, when it is first asked for.
#[derive(Debug)]
pub struct OpenApi {
    contract: Arc<Contract>,
    json: OnceLock<Bytes>,
}

impl OpenApi {
    /// For the methods of `contract`.
    pub const fn new(contract: Arc<Contract>) -> Self {
        Self {
            contract,
            json: OnceLock::new(),
        }
    }

    /// The document as JSON text.
    pub fn json(&self) -> Bytes {
        self.json
            .get_or_init(|| Bytes::from(document(&self.contract).to_string()))
            .clone()
    }
}

/// The document: every HTTP binding, every schema that one of them reaches.
pub fn document(contract: &Contract) -> Json {
    let comments = Comments::load();
    let mut schemas = Schemas::new(&comments);
    let mut paths = Map::new();
    let mut tags = Map::new();
    for method in contract.methods() {
        for (index, binding) in method.bindings.iter().enumerate() {
            let path = operation::path(&binding.template);
            let verb = binding.verb.as_str().to_ascii_lowercase();
            let made = operation::describe(method, index, binding, &mut schemas);
            let item = paths
                .entry(path)
                .or_insert_with(|| Json::Object(Map::new()));
            if let Json::Object(item) = item {
                item.insert(verb, made);
            }
        }
        let service = method.descriptor.parent_service();
        let text = comments.of(&service.parent_file(), service.path());
        let tag = json!({"name": service.name(), "description": text.unwrap_or_default()});
        tags.entry(service.name().to_owned()).or_insert(tag);
    }
    let error = schemas.error();
    let mut components = schemas.finish();
    components.insert("Error".to_owned(), error);
    components.sort_keys();
    json!({
        "openapi": "3.1.1",
        "info": {
            "title": "Keystead",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The HTTP form of the API. The same methods are served over gRPC on the same port.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The environment this document came from"}],
        "security": [{"oauth2": []}],
        "tags": tags.into_iter().map(|(_, tag)| tag).collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "oauth2": {
                    "type": "oauth2",
                    "flows": {"clientCredentials": {"tokenUrl": "/oauth/token", "scopes": {}}},
                },
                "session": {"type": "apiKey", "in": "cookie", "name": crate::SESSION_COOKIE},
            },
        },
    })
}
