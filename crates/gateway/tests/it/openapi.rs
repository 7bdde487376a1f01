use crate::app::{gateway, pipeline, send};
use keystead_gateway::{contract::Contract, openapi};
use serde_json::{Value as Json, json};
use std::collections::HashSet;

#[tokio::test]
async fn the_document_is_served_without_a_credential() {
    let gateway = gateway(pipeline());
    let served = send(&gateway, "GET", "/openapi.json", "", "").await;
    assert_eq!(served.status, 200);
    assert_eq!(served.json, openapi::document(&Contract::load().unwrap()));
    assert_eq!(served.headers["access-control-allow-origin"], "*");
    let preflight = send(&gateway, "OPTIONS", "/openapi.json", "", "").await;
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.headers["access-control-allow-origin"], "*");
    let private = send(&gateway, "OPTIONS", "/api/v1/organizations", "", "").await;
    assert!(!private.headers.contains_key("access-control-allow-origin"));
    let changed = send(&gateway, "POST", "/openapi.json", "", "").await;
    assert_eq!(changed.status, 405);
}

/// Part of DB-175
#[test]
fn every_binding_is_in_the_document() {
    let contract = Contract::load().unwrap();
    let document = openapi::document(&contract);
    let mut ids = HashSet::new();
    let mut count = 0;
    for method in contract.methods() {
        for binding in &method.bindings {
            let path = binding.template.text.replace("**", "{rest}");
            let operation = &document["paths"][&path][binding.verb.as_str().to_ascii_lowercase()];
            let id = operation["operationId"]
                .as_str()
                .unwrap_or_else(|| panic!("{} {path}", binding.verb));
            assert!(id.contains(method.descriptor.name()), "{id}");
            assert!(ids.insert(id.to_owned()), "{id} is used twice");
            assert!(operation["summary"].is_string(), "{id} has no comment");
            for variable in binding.template.variables() {
                let name = variable
                    .iter()
                    .map(prost_reflect::FieldDescriptor::name)
                    .collect::<Vec<_>>()
                    .join(".");
                let named = |parameter: &Json| {
                    parameter["in"] == "path" && parameter["name"] == name.as_str()
                };
                assert!(
                    operation["parameters"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .any(named),
                    "{id} lacks {name}"
                );
            }
            count += 1;
        }
    }
    // Of the official contract; ours come on top.
    assert!(count > 486, "{count}");
}

#[test]
fn every_reference_leads_somewhere() {
    let document = openapi::document(&Contract::load().unwrap());
    let mut open = vec![&document];
    let mut references = 0;
    while let Some(value) = open.pop() {
        match value {
            Json::Object(fields) => {
                if let Some(Json::String(target)) = fields.get("$ref") {
                    let pointer = target.strip_prefix('#').unwrap();
                    assert!(
                        document.pointer(pointer).is_some_and(Json::is_object),
                        "{target}"
                    );
                    references += 1;
                }
                open.extend(fields.values());
            }
            Json::Array(items) => open.extend(items),
            _ => {}
        }
    }
    assert!(references > 1_000, "{references}");
}

#[test]
fn rules_permissions_and_status_are_told() {
    let document = openapi::document(&Contract::load().unwrap());
    let create = &document["paths"]["/api/v1/organizations"]["post"];
    assert!(create["responses"]["201"].is_object() && create["responses"]["200"].is_null());
    assert_eq!(create["x-permissions"], json!(["organizations:write"]));
    assert_eq!(create["security"], json!([{"oauth2": []}, {"session": []}]));
    let name = &document["components"]["schemas"]["organizations.CreateOrganization"]["properties"]
        ["display_name"];
    assert_eq!(
        (&name["minLength"], &name["maxLength"]),
        (&json!(1), &json!(200))
    );
    let list = &document["paths"]["/api/v1/organizations"]["get"]["parameters"];
    assert!(
        list.as_array()
            .unwrap()
            .iter()
            .any(|parameter| parameter["name"] == "page_size")
    );
}
