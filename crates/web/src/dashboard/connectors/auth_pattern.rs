//! From the fields of a form to the auth pattern of a connector.

use super::pattern::text;
use crate::form_data::FormData;
use serde_json::{Map, Value as Json, json};

/// The auth pattern (AK-007) that a form stands for. `before` is the one it replaces: keys that the
/// form does not know are kept.
pub(super) fn pattern(kind: &str, sent: &FormData, before: Option<&Json>) -> Json {
    let mut pattern = before
        .and_then(Json::as_object)
        .cloned()
        .unwrap_or_default();
    pattern.insert("type".to_owned(), json!(kind));
    let name = crate::dashboard::words::auth_type(kind);
    pattern.entry("display_name").or_insert_with(|| json!(name));
    pattern.entry("description").or_insert_with(|| json!(""));
    let is_mcp = kind == "NO_AUTH" || sent.text("protocol") == "mcp";
    if is_mcp || pattern.contains_key("is_mcp") {
        pattern.insert("is_mcp".to_owned(), json!(is_mcp));
    }
    let placeholders = placeholders(sent.text("proxy_url"));
    if kind == "OAUTH" {
        let mut oauth = pattern
            .get("oauth_config")
            .and_then(Json::as_object)
            .cloned()
            .unwrap_or_default();
        oauth_config(&mut oauth, sent);
        pattern.insert("oauth_config".to_owned(), Json::Object(oauth));
        pattern.entry("fields").or_insert_with(|| json!([]));
        let old = pattern
            .get("account_fields")
            .cloned()
            .unwrap_or_else(|| json!([]));
        let fields: Vec<Json> = placeholders
            .iter()
            .map(|name| path_field(name, &old))
            .collect();
        pattern.insert("account_fields".to_owned(), json!(fields));
        return Json::Object(pattern);
    }
    let old = pattern.get("fields").cloned().unwrap_or_else(|| json!([]));
    let mut fields: Vec<Json> = placeholders
        .iter()
        .map(|name| path_field(name, &old))
        .collect();
    let secret = |name: &str| {
        field(
            name,
            sent.text("secret_label"),
            "password",
            sent.text("secret_hint"),
            &old,
        )
    };
    match kind {
        "API_KEY" => fields.push(secret("api_key")),
        "BEARER" => fields.push(secret("token")),
        "BASIC" => {
            fields.push(field("username", "Username", "text", "", &old));
            fields.push(secret("password"));
        }
        _ => {}
    }
    if sent.has("header") {
        pattern.insert(
            "auth_header_key_override".to_owned(),
            json!(sent.text("header")),
        );
    } else {
        pattern.remove("auth_header_key_override");
    }
    pattern.insert("fields".to_owned(), json!(fields));
    Json::Object(pattern)
}

fn oauth_config(oauth: &mut Map<String, Json>, sent: &FormData) {
    for name in ["authorize_uri", "token_uri", "user_info_uri"] {
        if sent.has(name) {
            oauth.insert(name.to_owned(), json!(sent.text(name)));
        } else {
            oauth.remove(name);
        }
    }
    oauth.insert("pkce_enabled".to_owned(), json!(sent.has("pkce_enabled")));
    let old = oauth
        .get("available_scopes")
        .cloned()
        .unwrap_or_else(|| json!([]));
    let known = old.as_array().map_or(&[][..], Vec::as_slice);
    let scopes = sent.lines("scopes").into_iter().map(|scope| {
        let same = known.iter().find(|known| text(known, "scope") == scope);
        same.cloned().unwrap_or_else(
            || json!({"scope": scope, "display_name": scope, "description": "", "required": false}),
        )
    });
    let scopes: Vec<Json> = scopes.collect();
    if !scopes.is_empty() || oauth.contains_key("available_scopes") {
        oauth.insert("available_scopes".to_owned(), json!(scopes));
    }
}

/// A field of the pattern; one of the same name keeps what the form does not know.
fn field(name: &str, label: &str, input_type: &str, hint: &str, old: &Json) -> Json {
    let old = old.as_array().map_or(&[][..], Vec::as_slice);
    let same = old.iter().find(|old| text(old, "field_name") == name);
    let mut field = same.and_then(Json::as_object).cloned().unwrap_or_default();
    field.insert("field_name".to_owned(), json!(name));
    field.insert("label".to_owned(), json!(label));
    field.insert("input_type".to_owned(), json!(input_type));
    field.insert("hint".to_owned(), json!(hint));
    field.insert("required".to_owned(), json!(true));
    Json::Object(field)
}

/// A part of the address that each account fills in.
fn path_field(name: &str, old: &Json) -> Json {
    let same = old
        .as_array()
        .and_then(|old| old.iter().find(|old| text(old, "field_name") == name));
    if let Some(same) = same {
        return same.clone();
    }
    let label: String = name.replace('_', " ");
    let mut letters = label.chars();
    let label: String = letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default();
    json!({
        "field_name": name, "label": label, "input_type": "text",
        "hint": "", "required": true, "is_path_param": true,
    })
}

/// The names in `{{braces}}`, once each. The version is the connector's, not the user's.
fn placeholders(address: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for part in address.split("{{").skip(1) {
        let name = part.split_once("}}").map_or("", |(name, _)| name.trim());
        if !name.is_empty() && name != "version" && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::{pattern, placeholders};
    use crate::form_data::FormData;
    use serde_json::json;

    #[test]
    fn braces_in_the_address_become_fields() {
        assert_eq!(
            placeholders("https://{{domain}}/{{version}}/{{ org }}/{{domain}}"),
            ["domain", "org"]
        );
        assert!(placeholders("https://x.test/{{").is_empty());
    }

    #[test]
    fn a_pattern_keeps_what_the_form_does_not_know() {
        let before = json!({"type": "API_KEY", "display_name": "Key", "x": 1, "auth_field_mutations": {"api_key": {"prefix": "k-"}},
            "fields": [{"field_name": "api_key", "label": "Old", "y": 2}]});
        let sent = FormData::parse(
            b"auth=API_KEY&proxy_url=https://{{domain}}&secret_label=New&header=X-Key",
        );
        let made = pattern("API_KEY", &sent, Some(&before));
        assert_eq!(made["x"], 1);
        assert_eq!(made["auth_field_mutations"]["api_key"]["prefix"], "k-");
        assert_eq!(made["auth_header_key_override"], "X-Key");
        assert_eq!(made["fields"][0]["field_name"], "domain");
        assert_eq!(made["fields"][0]["is_path_param"], true);
        assert_eq!(
            (&made["fields"][1]["label"], &made["fields"][1]["y"]),
            (&json!("New"), &json!(2))
        );
    }

    #[test]
    fn oauth_always_has_a_config_and_an_empty_field_list() {
        let made = pattern(
            "OAUTH",
            &FormData::parse(b"auth=OAUTH&pkce_enabled=on&scopes=a%0D%0Ab"),
            None,
        );
        assert_eq!(made["fields"], json!([]));
        assert_eq!(made["oauth_config"]["pkce_enabled"], true);
        assert_eq!(made["oauth_config"]["available_scopes"][1]["scope"], "b");
    }
}
