//! How a credential becomes request headers (AK-008a, AK-010, AK-011).

use super::Credential;
use crate::providers::{AuthKind, AuthPattern, Mutation};
use base64::{Engine, prelude::BASE64_STANDARD};
use keystead_oauth::oauth1::trello_header;
use keystead_types::Secret;

/// A header that carries a credential.
#[derive(Debug)]
pub(crate) struct CredentialHeader {
    /// Name, case as configured.
    pub name: String,
    /// Value.
    pub value: Secret<String>,
}

/// The credential cannot be presented.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the connected account has no value for `{0}`")]
pub(crate) struct MissingValue(pub String);

/// Builds the headers that present `credential` under `pattern`. `consumer_key` is the connection's
/// client id, which OAuth 1.0a style tokens need beside them.
pub(crate) fn credential_headers(
    pattern: &AuthPattern,
    credential: &Credential,
    consumer_key: &str,
) -> Result<Vec<CredentialHeader>, MissingValue> {
    let header = |value: String| CredentialHeader {
        name: pattern
            .auth_header_key_override
            .clone()
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| "Authorization".to_owned()),
        value: Secret::new(value),
    };
    match pattern.kind {
        AuthKind::ApiKey if pattern.key_query_parameter.is_some() => Ok(Vec::new()),
        // Requests are signed as a whole instead (AK-229).
        AuthKind::NoAuth | AuthKind::TrustedIdp => Ok(Vec::new()),
        kind if is_signed(kind, pattern) => Ok(Vec::new()),
        AuthKind::Basic => {
            let username = mutated(pattern, "username", credential.detail("username"));
            let password = mutated(pattern, "password", credential.detail("password"));
            let pair = BASE64_STANDARD.encode(format!("{username}:{password}"));
            Ok(vec![header(format!("Basic {pair}"))])
        }
        AuthKind::ApiKey if pattern.signs_in() => {
            let session = required("session", credential.access_token.clone())?;
            Ok(vec![header(session)])
        }
        AuthKind::ApiKey => {
            let multiple = multiple_headers(pattern, credential)?;
            if !multiple.is_empty() {
                return Ok(multiple);
            }
            let key = mutated(pattern, "api_key", credential.detail("api_key"));
            Ok(vec![header(required("api_key", key)?)])
        }
        AuthKind::TrelloOauth1 => {
            let token = required("token", credential.access_token.clone())?;
            let value = trello_header(consumer_key, &Secret::new(token));
            Ok(vec![header(value.expose().clone())])
        }
        AuthKind::Bearer if credential.access_token.is_empty() => {
            let token = mutated(pattern, "token", credential.detail("token"));
            Ok(vec![header(format!(
                "Bearer {}",
                required("token", token)?
            ))])
        }
        _ => {
            let token = mutated(pattern, "token", &credential.access_token);
            Ok(vec![header(format!(
                "Bearer {}",
                required("token", token)?
            ))])
        }
    }
}

/// Whether each request is signed as a whole instead of carrying a header made from the credential
/// alone.
fn is_signed(kind: AuthKind, pattern: &AuthPattern) -> bool {
    let oauth1 = pattern
        .oauth_config
        .as_ref()
        .and_then(|oauth| oauth.oauth1.as_ref());
    kind == AuthKind::TrelloOauth1 && oauth1.is_some_and(|settings| settings.sign_calls)
}

/// The query parameter that presents an API key, where the connection wants one (AK-111).
pub(crate) fn credential_parameter<'a>(
    pattern: &'a AuthPattern,
    credential: &Credential,
) -> Result<Option<(&'a str, Secret<String>)>, MissingValue> {
    let Some(name) = &pattern.key_query_parameter else {
        return Ok(None);
    };
    let key = mutated(pattern, "api_key", credential.detail("api_key"));
    Ok(Some((name, Secret::new(required("api_key", key)?))))
}

/// Each field with a header name is sent in exactly that header (AK-008a).
fn multiple_headers(
    pattern: &AuthPattern,
    credential: &Credential,
) -> Result<Vec<CredentialHeader>, MissingValue> {
    let mut headers = Vec::new();
    for field in &pattern.fields {
        let Some(name) = field.header_name.as_ref().filter(|name| !name.is_empty()) else {
            continue;
        };
        let value = mutated(
            pattern,
            &field.field_name,
            credential.detail(&field.field_name),
        );
        if value.is_empty() && !field.required {
            continue;
        }
        headers.push(CredentialHeader {
            name: name.clone(),
            value: Secret::new(required(&field.field_name, value)?),
        });
    }
    Ok(headers)
}

fn required(name: &str, value: String) -> Result<String, MissingValue> {
    if value.is_empty() {
        Err(MissingValue(name.to_owned()))
    } else {
        Ok(value)
    }
}

/// Applies `default`, then `prefix`, then `suffix`; an empty result stays empty.
fn mutated(pattern: &AuthPattern, name: &str, stored: &str) -> String {
    let none = Mutation::default();
    let mutation = pattern.auth_field_mutations.get(name).unwrap_or(&none);
    let value = if stored.is_empty() {
        mutation.default.as_str()
    } else {
        stored
    };
    if value.is_empty() {
        return String::new();
    }
    format!("{}{value}{}", mutation.prefix, mutation.suffix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pattern(value: serde_json::Value) -> AuthPattern {
        serde_json::from_value(value).unwrap()
    }

    #[expect(clippy::needless_pass_by_value, reason = "callers write it in place")]
    fn details(value: serde_json::Value) -> Credential {
        let mut credential = Credential::default();
        credential.details = value.as_object().cloned().unwrap();
        credential
    }

    fn shown(pattern: &AuthPattern, credential: &Credential) -> Vec<(String, String)> {
        credential_headers(pattern, credential, "app-key")
            .unwrap()
            .into_iter()
            .map(|header| (header.name, header.value.expose().clone()))
            .collect()
    }

    fn one(name: &str, value: &str) -> Vec<(String, String)> {
        vec![(name.to_owned(), value.to_owned())]
    }

    /// AK-010
    #[test]
    fn each_kind_has_its_header() {
        let cases = [
            (
                json!({"type": "BASIC"}),
                json!({"username": "ada", "password": "pw"}),
                one("Authorization", "Basic YWRhOnB3"),
            ),
            (
                json!({"type": "BEARER"}),
                json!({"token": "t0k"}),
                one("Authorization", "Bearer t0k"),
            ),
            (
                json!({"type": "API_KEY"}),
                json!({"api_key": "k"}),
                one("Authorization", "k"),
            ),
            (
                json!({"type": "API_KEY", "auth_header_key_override": "X-API-Key"}),
                json!({"api_key": "k"}),
                one("X-API-Key", "k"),
            ),
            (json!({"type": "NO_AUTH"}), json!({}), vec![]),
        ];
        for (kind, stored, expected) in cases {
            assert_eq!(
                shown(&pattern(kind.clone()), &details(stored)),
                expected,
                "{kind}"
            );
        }
        let mut granted = Credential::default();
        granted.access_token = "at".to_owned();
        assert_eq!(
            shown(&pattern(json!({"type": "OAUTH"})), &granted),
            one("Authorization", "Bearer at")
        );
        assert_eq!(
            shown(&pattern(json!({"type": "TRELLO_OAUTH1"})), &granted),
            one(
                "Authorization",
                r#"OAuth oauth_consumer_key="app-key", oauth_token="at""#
            )
        );
    }

    /// AK-011
    #[test]
    fn mutations_apply_default_prefix_suffix_before_formatting() {
        let klaviyo = json!({"type": "API_KEY", "auth_field_mutations": {"api_key": {"prefix": "Klaviyo-API-Key "}}});
        assert_eq!(
            shown(&pattern(klaviyo), &details(json!({"api_key": "abc"}))),
            one("Authorization", "Klaviyo-API-Key abc")
        );
        let zendesk = json!({"type": "BASIC", "auth_field_mutations": {"username": {"suffix": "/token"}, "password": {"default": "X"}}});
        assert_eq!(
            shown(&pattern(zendesk), &details(json!({"username": "u"}))),
            one(
                "Authorization",
                &format!("Basic {}", BASE64_STANDARD.encode("u/token:X"))
            )
        );
        let untouched = json!({"type": "BEARER", "auth_field_mutations": {"token": {"default": "d", "prefix": "<", "suffix": ">"}}});
        assert_eq!(
            shown(&pattern(untouched), &details(json!({"token": ""}))),
            one("Authorization", "Bearer <d>")
        );
    }

    /// AK-008a
    #[test]
    fn fields_with_a_header_name_win_over_the_override() {
        let datadog = json!({"type": "API_KEY", "auth_header_key_override": "X-Ignored", "fields": [
            {"field_name": "api_key", "required": true, "header_name": "DD-API-KEY"},
            {"field_name": "app_key", "required": true, "header_name": "DD-APPLICATION-KEY"},
            {"field_name": "note", "header_name": "X-Note"},
            {"field_name": "dd_site", "required": true}]});
        assert_eq!(
            shown(
                &pattern(datadog.clone()),
                &details(json!({"api_key": "a", "app_key": "b"}))
            ),
            [one("DD-API-KEY", "a"), one("DD-APPLICATION-KEY", "b")].concat()
        );
        let missing = credential_headers(&pattern(datadog), &details(json!({"api_key": "a"})), "");
        assert_eq!(missing.unwrap_err(), MissingValue("app_key".to_owned()));
    }
}
