//! The form of a connector, and the auth pattern it stands for.
//!
//! It edits connectors with one pattern of a common shape and keeps the keys it does not know. Every
//! other connector is edited as JSON, so that nothing is ever lost by opening a form.

use super::{
    auth_pattern::pattern,
    pattern::{Connector, flag, list, text},
};
use crate::{
    dashboard::desk::Desk,
    form_data::FormData,
    view::{Choice, Field, Form, Kind},
};
use serde_json::Value as Json;

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
    let text = |name: &str, label: &str, hint: &str| {
        Field::new(name, label, Kind::Text)
            .hint(hint)
            .value(values.text(name))
    };
    let address = |name: &str, label: &str, hint: &str| {
        Field::new(name, label, Kind::Mono)
            .hint(hint)
            .value(values.text(name))
            .max(2_048)
    };
    let first = !values.has("auth");
    let on = |name: &str, default: bool| if first { default } else { values.has(name) };
    let check = |name: &str, label: &str, hint: &str, default| {
        Field::new(name, label, Kind::Check)
            .hint(hint)
            .value(if on(name, default) { "on" } else { "" })
    };
    let is_mcp = if kind == "NO_AUTH" {
        "mcp"
    } else {
        values.text("protocol")
    };
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
        form = form.field(Field::new(
            "protocol",
            "It speaks",
            Kind::Radio(vec![
                Choice::new("", "REST", "An HTTP API.", is_mcp),
                Choice::new("mcp", "MCP", "A remote MCP server.", is_mcp),
            ]),
        ));
    }
    form = form.field(check(
        "proxy_enabled",
        "Allow direct calls",
        "Your agent may call any path below the address.",
        true,
    ));
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
pub(super) fn read(
    sent: &FormData,
    before: Option<&Json>,
) -> Result<Entered, Vec<(String, String)>> {
    let mut errors = Vec::new();
    let mut need = |name: &str, message: &str| {
        if !sent.has(name) {
            errors.push((name.to_owned(), message.to_owned()));
        }
    };
    need("display_name", "Enter a name.");
    need(
        "proxy_url",
        "Enter the address, such as https://api.example.com.",
    );
    let kind = sent.text("auth");
    let patterns = if kind == "JSON" {
        serde_json::from_str::<Vec<Json>>(sent.text("patterns")).unwrap_or_else(|error| {
            errors.push((
                "patterns".to_owned(),
                format!("This is not a JSON list: {error}."),
            ));
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
        put(
            "patterns",
            &serde_json::to_string_pretty(&connector.patterns).unwrap_or_default(),
        );
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
            let scopes: Vec<&str> = list(oauth, "available_scopes")
                .iter()
                .map(|scope| text(scope, "scope"))
                .collect();
            put("scopes", &scopes.join("\n"));
        }
        for field in list(pattern, "fields")
            .iter()
            .filter(|field| text(field, "input_type") == "password")
        {
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
    list(pattern, "fields")
        .iter()
        .all(|field| expected.contains(&text(field, "field_name")) || flag(field, "is_path_param"))
        && list(pattern, "fields")
            .iter()
            .all(|field| text(field, "header_name").is_empty())
}

#[cfg(test)]
mod tests {
    use super::read;
    use crate::form_data::FormData;

    #[test]
    fn broken_json_is_explained() {
        let sent = FormData::parse(b"auth=JSON&display_name=a&proxy_url=https://a&patterns=%7B");
        let errors = read(&sent, None).err().unwrap();
        assert_eq!(errors[0].0, "patterns");
    }
}
