//! The form of a connector, and the auth pattern it stands for.
//!
//! It edits connectors with one pattern of a common shape and keeps the keys it does not know. Every
//! other connector is edited as JSON, so that nothing is ever lost by opening a form.

use super::pattern::{Connector, flag, list, text};
use crate::{
    dashboard::desk::Desk,
    form_data::FormData,
    view::{Choice, Field, Form, Kind},
};
use serde_json::{Map, Value as Json, json};

/// What the form says.
pub(super) struct Entered {
    pub(super) display_name: String,
    pub(super) description: String,
    pub(super) proxy_url: String,
    pub(super) proxy_enabled: bool,
    pub(super) patterns: Vec<Json>,
}

/// The form for one kind of sign-in, filled with `values`.
pub(super) fn build(desk: &Desk, kind: &str, values: &FormData, action: String) -> Form {
    let text = |name: &str, label: &str, hint: &str| Field::new(name, label, Kind::Text).hint(hint).value(values.text(name));
    let address = |name: &str, label: &str, hint: &str| Field::new(name, label, Kind::Mono).hint(hint).value(values.text(name)).max(2_048);
    let first = !values.has("auth");
    let on = |name: &str, default: bool| if first { default } else { values.has(name) };
    let check = |name: &str, label: &str, hint: &str, default| {
        Field::new(name, label, Kind::Check).hint(hint).value(if on(name, default) { "on" } else { "" })
    };
    let is_mcp = if kind == "NO_AUTH" { "mcp" } else { values.text("protocol") };
    let mut form = Form {
        action,
        csrf: desk.csrf.clone(),
        submit: "Create connector".to_owned(),
        cancel: desk.path("/connectors"),
        ..Form::default()
    }
    .hidden("auth", kind)
    .field(text("display_name", "Name", "Letters, digits and spaces. Users see it when they connect.").required().max(200))
    .field(text("description", "Description", "What is it for? Agents read this to choose the right service."))
    .field(
        address("proxy_url", "Address", "Where the API or MCP server is. Put parts that differ for each account in braces, such as https://{{domain}}/api.")
            .required()
            .placeholder("https://api.example.com"),
    );
    if kind == "JSON" {
        return form
            .field(check("proxy_enabled", "Allow direct calls", "Your agent may call any path below the address.", true))
            .field(
                Field::new("patterns", "Auth patterns", Kind::Lines)
                    .required()
                    .hint("A JSON list. Each entry has a type, fields, and for OAuth an oauth_config.")
                    .value(if values.has("patterns") { values.text("patterns") } else { "[]" }),
            );
    }
    if kind != "NO_AUTH" {
        form = form.field(Field::new("protocol", "It speaks", Kind::Radio(vec![
            Choice::new("", "REST", "An HTTP API.", is_mcp),
            Choice::new("mcp", "MCP", "A remote MCP server. Its tools are found by themselves.", is_mcp),
        ])));
    }
    form = form.field(check("proxy_enabled", "Allow direct calls", "Your agent may call any path below the address, not only tools.", true));
    match kind {
        "OAUTH" => form
            .group("OAuth", "The documentation of the service names these addresses. For an MCP server that registers clients by itself, leave them empty.")
            .field(address("authorize_uri", "Authorization URL", ""))
            .field(address("token_uri", "Token URL", ""))
            .field(address("user_info_uri", "User info URL", "Optional. Tells whose account was connected."))
            .field(
                Field::new("scopes", "Permissions", Kind::Lines)
                    .hint("One scope on each line. Which of them a connection asks for is set there.")
                    .value(values.text("scopes")),
            )
            .field(check("pkce_enabled", "Use PKCE", "Protects the code on its way back. Switch it off only when the service refuses it.", true)),
        "NO_AUTH" => form,
        _ => {
            let (label, example) = secret_words(kind);
            form = form.group("What users enter", "Shown on the page where they connect their account.");
            form = form
                .field(text("secret_label", "Label", "").value(if first { label } else { values.text("secret_label") }))
                .field(text("secret_hint", "Hint", "Where do users find it?").placeholder(example));
            if kind == "API_KEY" {
                form = form.field(
                    Field::new("header", "Header", Kind::Mono)
                        .hint("The header that carries the key. Empty means Authorization.")
                        .placeholder("X-API-Key")
                        .value(values.text("header")),
                );
            }
            form
        }
    }
}

fn secret_words(kind: &str) -> (&'static str, &'static str) {
    match kind {
        "API_KEY" => ("API key", "Settings, then Developer, then API keys"),
        "BEARER" => ("Access token", "Settings, then Personal access tokens"),
        _ => ("Password", "The password you sign in with"),
    }
}

/// Reads the form. `before` is the pattern it replaces; keys the form does not know are kept.
pub(super) fn read(sent: &FormData, before: Option<&Json>) -> Result<Entered, Vec<(String, String)>> {
    let mut errors = Vec::new();
    let mut need = |name: &str, message: &str| {
        if !sent.has(name) {
            errors.push((name.to_owned(), message.to_owned()));
        }
    };
    need("display_name", "Enter a name.");
    need("proxy_url", "Enter the address, such as https://api.example.com.");
    let kind = sent.text("auth");
    let patterns = if kind == "JSON" {
        serde_json::from_str::<Vec<Json>>(sent.text("patterns")).unwrap_or_else(|error| {
            errors.push(("patterns".to_owned(), format!("This is not a JSON list: {error}.")));
            Vec::new()
        })
    } else {
        let same = before.filter(|before| text(before, "type") == kind);
        vec![pattern(kind, sent, same)]
    };
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(Entered {
        display_name: sent.text("display_name").to_owned(),
        description: sent.text("description").to_owned(),
        proxy_url: sent.text("proxy_url").to_owned(),
        proxy_enabled: sent.has("proxy_enabled"),
        patterns,
    })
}

fn pattern(kind: &str, sent: &FormData, before: Option<&Json>) -> Json {
    let mut pattern = before.and_then(Json::as_object).cloned().unwrap_or_default();
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
        let mut oauth = pattern.get("oauth_config").and_then(Json::as_object).cloned().unwrap_or_default();
        oauth_config(&mut oauth, sent);
        pattern.insert("oauth_config".to_owned(), Json::Object(oauth));
        pattern.entry("fields").or_insert_with(|| json!([]));
        let old = pattern.get("account_fields").cloned().unwrap_or_else(|| json!([]));
        let fields: Vec<Json> = placeholders.iter().map(|name| path_field(name, &old)).collect();
        pattern.insert("account_fields".to_owned(), json!(fields));
        return Json::Object(pattern);
    }
    let old = pattern.get("fields").cloned().unwrap_or_else(|| json!([]));
    let mut fields: Vec<Json> = placeholders.iter().map(|name| path_field(name, &old)).collect();
    let secret = |name: &str| {
        field(name, sent.text("secret_label"), "password", sent.text("secret_hint"), &old)
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
        pattern.insert("auth_header_key_override".to_owned(), json!(sent.text("header")));
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
    let old = oauth.get("available_scopes").cloned().unwrap_or_else(|| json!([]));
    let known = old.as_array().map_or(&[][..], Vec::as_slice);
    let scopes = sent.lines("scopes").into_iter().map(|scope| {
        let same = known.iter().find(|known| text(known, "scope") == scope);
        same.cloned().unwrap_or_else(|| json!({"scope": scope, "display_name": scope, "description": "", "required": false}))
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
    let same = old.as_array().and_then(|old| old.iter().find(|old| text(old, "field_name") == name));
    if let Some(same) = same {
        return same.clone();
    }
    let label: String = name.replace('_', " ");
    let mut letters = label.chars();
    let label: String = letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default();
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

/// Kind of form and the values it begins with, for an existing connector.
pub(super) fn values(connector: &Connector) -> (String, FormData) {
    let provider = &connector.provider;
    let mut values = vec![
        ("display_name".to_owned(), provider.display_name.clone()),
        ("description".to_owned(), provider.description.clone()),
        ("proxy_url".to_owned(), provider.proxy_url.clone()),
    ];
    let mut put = |name: &str, value: &str| values.push((name.to_owned(), value.to_owned()));
    if provider.proxy_enabled {
        put("proxy_enabled", "on");
    }
    let kind = match connector.patterns.as_slice() {
        [only] if is_simple(only) => text(only, "type"),
        _ => "JSON",
    };
    put("auth", kind);
    if kind == "JSON" {
        put("patterns", &serde_json::to_string_pretty(&connector.patterns).unwrap_or_default());
        return (kind.to_owned(), FormData::new(values));
    }
    for pattern in &connector.patterns {
        put("protocol", if flag(pattern, "is_mcp") { "mcp" } else { "" });
        put("header", text(pattern, "auth_header_key_override"));
        if let Some(oauth) = pattern.get("oauth_config") {
            for name in ["authorize_uri", "token_uri", "user_info_uri"] {
                put(name, text(oauth, name));
            }
            if flag(oauth, "pkce_enabled") {
                put("pkce_enabled", "on");
            }
            let scopes: Vec<&str> = list(oauth, "available_scopes").iter().map(|scope| text(scope, "scope")).collect();
            put("scopes", &scopes.join("\n"));
        }
        for field in list(pattern, "fields").iter().filter(|field| text(field, "input_type") == "password") {
            put("secret_label", text(field, "label"));
            put("secret_hint", text(field, "hint"));
        }
    }
    (kind.to_owned(), FormData::new(values))
}

/// Whether the form can show all fields of the pattern.
fn is_simple(pattern: &Json) -> bool {
    let expected: &[&str] = match text(pattern, "type") {
        "OAUTH" | "NO_AUTH" => &[],
        "API_KEY" => &["api_key"],
        "BEARER" => &["token"],
        "BASIC" => &["username", "password"],
        _ => return false,
    };
    list(pattern, "fields").iter().all(|field| expected.contains(&text(field, "field_name")) || flag(field, "is_path_param"))
        && list(pattern, "fields").iter().all(|field| text(field, "header_name").is_empty())
}

#[cfg(test)]
mod tests {
    use super::{pattern, placeholders, read};
    use crate::form_data::FormData;
    use serde_json::json;

    #[test]
    fn braces_in_the_address_become_fields() {
        assert_eq!(placeholders("https://{{domain}}/{{version}}/{{ org }}/{{domain}}"), ["domain", "org"]);
        assert!(placeholders("https://x.test/{{").is_empty());
    }

    #[test]
    fn a_pattern_keeps_what_the_form_does_not_know() {
        let before = json!({"type": "API_KEY", "display_name": "Key", "x": 1, "auth_field_mutations": {"api_key": {"prefix": "k-"}},
            "fields": [{"field_name": "api_key", "label": "Old", "y": 2}]});
        let sent = FormData::parse(b"auth=API_KEY&proxy_url=https://{{domain}}&secret_label=New&header=X-Key");
        let made = pattern("API_KEY", &sent, Some(&before));
        assert_eq!(made["x"], 1);
        assert_eq!(made["auth_field_mutations"]["api_key"]["prefix"], "k-");
        assert_eq!(made["auth_header_key_override"], "X-Key");
        assert_eq!(made["fields"][0]["field_name"], "domain");
        assert_eq!(made["fields"][0]["is_path_param"], true);
        assert_eq!((&made["fields"][1]["label"], &made["fields"][1]["y"]), (&json!("New"), &json!(2)));
    }

    #[test]
    fn oauth_always_has_a_config_and_an_empty_field_list() {
        let made = pattern("OAUTH", &FormData::parse(b"auth=OAUTH&pkce_enabled=on&scopes=a%0D%0Ab"), None);
        assert_eq!(made["fields"], json!([]));
        assert_eq!(made["oauth_config"]["pkce_enabled"], true);
        assert_eq!(made["oauth_config"]["available_scopes"][1]["scope"], "b");
    }

    #[test]
    fn broken_json_is_explained() {
        let sent = FormData::parse(b"auth=JSON&display_name=a&proxy_url=https://a&patterns=%7B");
        let errors = read(&sent, None).err().unwrap();
        assert_eq!(errors[0].0, "patterns");
    }
}
