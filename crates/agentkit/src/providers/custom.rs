//! Rules a developer's own connector must keep (AK-006..AK-009, AK-016, AK-017).

use super::{AuthKind, AuthPattern, Field, InputType};
use crate::connections::may_be_configured;
use keystead_types::FieldViolation;
use serde_json::{Value, json};
use url::{Host, Url};

/// Checks and normalises the auth patterns of a custom connector.
///
/// Only the kinds of AK-004 are accepted; OAUTH patterns always come back with `oauth_config`.
pub fn parse_patterns(patterns: &Value) -> Result<Vec<AuthPattern>, Vec<FieldViolation>> {
    let Some(list) = patterns.as_array().filter(|list| !list.is_empty()) else {
        return Err(vec![violation(
            "auth_patterns",
            "give at least one auth pattern",
            "required",
        )]);
    };
    let mut parsed = Vec::with_capacity(list.len());
    let mut violations = Vec::new();
    for (index, value) in list.iter().enumerate() {
        let place = format!("auth_patterns[{index}]");
        match serde_json::from_value::<AuthPattern>(prepared(value)) {
            Ok(pattern) => {
                check(&pattern, &place, &mut violations);
                parsed.push(pattern);
            }
            Err(error) => violations.push(violation(&place, &error.to_string(), "format")),
        }
    }
    if violations.is_empty() {
        Ok(parsed)
    } else {
        Err(violations)
    }
}

/// An OAUTH pattern without `oauth_config` gets an empty one; nulls count as absent.
fn prepared(value: &Value) -> Value {
    let mut value = value.clone();
    if let Some(pattern) = value.as_object_mut() {
        pattern.retain(|_, value| !value.is_null());
        if pattern.get("type").and_then(Value::as_str) == Some("OAUTH")
            && !pattern.contains_key("oauth_config")
        {
            pattern.insert("oauth_config".to_owned(), json!({}));
        }
    }
    value
}

fn check(pattern: &AuthPattern, place: &str, violations: &mut Vec<FieldViolation>) {
    let allowed = matches!(
        pattern.kind,
        AuthKind::Oauth | AuthKind::Basic | AuthKind::Bearer | AuthKind::ApiKey | AuthKind::NoAuth
    );
    if !allowed {
        violations.push(violation(
            &format!("{place}.type"),
            "must be OAUTH, BASIC, BEARER, API_KEY or NO_AUTH",
            "in",
        ));
    }
    for (list, fields) in [
        ("fields", &pattern.fields),
        ("account_fields", &pattern.account_fields),
    ] {
        for (index, field) in fields.iter().enumerate() {
            check_field(field, &format!("{place}.{list}[{index}]"), violations);
        }
    }
    for target in pattern.auth_field_mutations.keys() {
        let known = ["api_key", "token", "username", "password"].contains(&target.as_str())
            || pattern
                .fields
                .iter()
                .any(|field| &field.field_name == target);
        if !known {
            violations.push(violation(
                &format!("{place}.auth_field_mutations.{target}"),
                "must name api_key, token, username, password or a field of the pattern",
                "in",
            ));
        }
    }
    let headers = pattern
        .fields
        .iter()
        .filter_map(|field| field.header_name.as_ref());
    for name in headers.chain(&pattern.auth_header_key_override) {
        if !name.is_empty() && !may_be_configured(name) {
            violations.push(violation(
                place,
                "a header that carries a credential must have a legal name, and none that says how \
                 a request is read",
                "pattern",
            ));
        }
    }
    if let Some(oauth) = &pattern.oauth_config {
        for (name, uri) in [
            ("authorize_uri", &oauth.authorize_uri),
            ("token_uri", &oauth.token_uri),
            ("refresh_uri", &oauth.refresh_uri),
            ("revocation_uri", &oauth.revocation_uri),
            ("user_info_uri", &oauth.user_info_uri),
        ] {
            if uri
                .as_ref()
                .is_some_and(|uri| !uri.is_empty() && !is_endpoint(uri))
            {
                violations.push(violation(
                    &format!("{place}.oauth_config.{name}"),
                    "must be an http(s) URL without user, password and fragment",
                    "pattern",
                ));
            }
            let templated = uri.as_ref().is_some_and(|uri| uri.contains("{{"));
            if templated && pattern.allowed_proxy_domains.is_empty() {
                violations.push(violation(
                    &format!("{place}.oauth_config.{name}"),
                    "a templated endpoint needs allowed_proxy_domains",
                    "required",
                ));
            }
        }
    }
}

fn check_field(field: &Field, place: &str, violations: &mut Vec<FieldViolation>) {
    if field.field_name.is_empty() || field.field_name.len() > 100 {
        violations.push(violation(
            &format!("{place}.field_name"),
            "must have 1 to 100 characters",
            "min_len",
        ));
    }
    if field.input_type == InputType::Select && field.options.is_empty() {
        violations.push(violation(
            &format!("{place}.options"),
            "a select needs options",
            "required",
        ));
    }
    if field.options.iter().filter(|option| option.default).count() > 1 {
        violations.push(violation(
            &format!("{place}.options"),
            "at most one option may be the default",
            "max_items",
        ));
    }
}

/// Checks a base URL: https, except for loopback hosts where development allows plain http.
pub fn check_proxy_url(text: &str, allow_loopback_http: bool) -> Result<(), FieldViolation> {
    let bad = |why: &str| Err(violation("proxy_url", why, "pattern"));
    if text.is_empty() || text.len() > 2048 {
        return bad("must have 1 to 2048 characters");
    }
    let Ok(url) = sample(text) else {
        return bad("must be a URL");
    };
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return bad("must name a host"),
    };
    let scheme_ok =
        url.scheme() == "https" || (url.scheme() == "http" && loopback && allow_loopback_http);
    if !scheme_ok {
        return bad("must start with https://");
    }
    if !url.username().is_empty()
        || url.password().is_some()
        || url.fragment().is_some()
        || url.query().is_some()
    {
        return bad("must not hold a user, password, query or fragment");
    }
    Ok(())
}

/// Whether a text, maybe a template, can be an endpoint of OAuth.
pub(crate) fn is_endpoint(text: &str) -> bool {
    sample(text).is_ok_and(|url| {
        matches!(url.scheme(), "https" | "http")
            && url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none()
    })
}

/// Fills a template with a harmless host, to see whether the rest is a URL.
fn sample(template: &str) -> Result<Url, url::ParseError> {
    let mut filled = template.to_owned();
    for name in crate::template::variables(template) {
        filled = filled.replace(&format!("{{{{{name}}}}}"), "placeholder.example");
    }
    Url::parse(&filled)
}

/// The identifier of a custom connector: the name's letters and digits and a suffix (AK-017).
pub fn identifier(display_name: &str, suffix: u64) -> String {
    let name: String = display_name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect::<String>()
        .to_ascii_uppercase();
    format!("{name}:{suffix}")
}

/// The name under which duplicates are found.
pub fn name_key(display_name: &str) -> String {
    display_name.trim().to_lowercase()
}

fn violation(field: &str, description: &str, constraint: &str) -> FieldViolation {
    FieldViolation {
        field: field.to_owned(),
        description: description.to_owned(),
        constraint: constraint.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AK-008, AK-007, AK-009: unknown keys survive and OAUTH patterns have `oauth_config`.
    #[test]
    fn patterns_round_trip_with_unknown_keys() {
        let sent = json!([{"type": "OAUTH", "display_name": "OAuth 2.1/DCR", "is_mcp": true, "new_key": {"a": 1},
            "fields": [{"field_name": "f", "label": "F", "input_type": "magic", "hint": "", "required": false, "x": 2,
                "options": [{"value": "v", "x": 3}]}],
            "auth_field_mutations": {"token": {"prefix": "p", "x": 4}},
            "oauth_config": {"x": 5, "available_scopes": [{"scope": "read", "x": 6}]}}]);
        let parsed = parse_patterns(&sent).unwrap();
        let shown = serde_json::to_value(&parsed).unwrap();
        assert_eq!(shown[0]["new_key"], json!({"a": 1}));
        assert_eq!(shown[0]["fields"][0]["input_type"], "magic");
        for (place, value) in [
            ("/0/fields/0/x", 2),
            ("/0/fields/0/options/0/x", 3),
            ("/0/auth_field_mutations/token/x", 4),
            ("/0/oauth_config/x", 5),
            ("/0/oauth_config/available_scopes/0/x", 6),
        ] {
            assert_eq!(shown.pointer(place), Some(&json!(value)), "{place}");
        }
        assert_eq!(shown[0]["oauth_config"]["pkce_enabled"], true);
        let bare = parse_patterns(&json!([{"type": "OAUTH"}])).unwrap();
        assert!(bare[0].oauth_config.is_some());
        for key in ["field_name", "label", "input_type", "hint", "required"] {
            assert!(shown[0]["fields"][0].get(key).is_some(), "{key}");
        }
    }

    /// Part of AK-004, AK-008, AK-025
    #[test]
    fn wrong_patterns_are_refused_with_the_place() {
        let cases = [
            (json!([]), "auth_patterns"),
            (json!([{"type": "KERBEROS"}]), "auth_patterns[0]"),
            (json!([{"type": "KEY_PAIR"}]), "auth_patterns[0].type"),
            (
                json!([{"type": "OAUTH", "oauth_config": {"authorize_uri": "javascript:alert(1)"}}]),
                "auth_patterns[0].oauth_config.authorize_uri",
            ),
            (
                json!([{"type": "OAUTH", "oauth_config": {"token_uri": "https://u:p@h.test/t"}}]),
                "auth_patterns[0].oauth_config.token_uri",
            ),
            (
                json!([{"type": "OAUTH", "oauth_config": {"authorize_uri": "https://h.test/a#f"}}]),
                "auth_patterns[0].oauth_config.authorize_uri",
            ),
            (
                json!([{"type": "BASIC", "fields": [{"field_name": ""}]}]),
                "auth_patterns[0].fields[0].field_name",
            ),
            (
                json!([{"type": "BASIC", "fields": [{"field_name": "a", "input_type": "select"}]}]),
                "auth_patterns[0].fields[0].options",
            ),
            (
                json!([{"type": "BEARER", "auth_field_mutations": {"nope": {}}}]),
                "auth_patterns[0].auth_field_mutations.nope",
            ),
            (
                json!([{"type": "API_KEY", "auth_header_key_override": "X Bad"}]),
                "auth_patterns[0]",
            ),
            (
                json!([{"type": "API_KEY", "auth_header_key_override": "Content-Length"}]),
                "auth_patterns[0]",
            ),
            (
                json!([{"type": "API_KEY", "fields": [{"field_name": "api_key", "header_name": "host"}]}]),
                "auth_patterns[0]",
            ),
            (
                json!([{"type": "OAUTH", "oauth_config": {"token_uri": "https://{{domain}}/t"}}]),
                "auth_patterns[0].oauth_config.token_uri",
            ),
        ];
        for (patterns, place) in cases {
            let violations = parse_patterns(&patterns).unwrap_err();
            assert_eq!(violations[0].field, place, "{patterns}");
        }
    }

    /// AK-016
    #[test]
    fn base_urls_are_https_unless_development_allows_loopback() {
        for (url, strict, development) in [
            ("https://api.example.com", true, true),
            ("https://{{domain}}/api/{{version}}", true, true),
            ("http://api.example.com", false, false),
            ("http://localhost:8080", false, true),
            ("http://127.0.0.1:8080/x", false, true),
            ("https://user@api.example.com", false, false),
            ("https://api.example.com?x=1", false, false),
            ("ftp://x", false, false),
            ("", false, false),
        ] {
            assert_eq!(check_proxy_url(url, false).is_ok(), strict, "{url}");
            assert_eq!(check_proxy_url(url, true).is_ok(), development, "{url}");
        }
    }

    /// AK-017
    #[test]
    fn identifiers_come_from_the_name() {
        assert_eq!(
            identifier("Google Workspace 2", 12345),
            "GOOGLEWORKSPACE2:12345"
        );
    }
}
