//! Reads the form and the client authentication of a token request, without any I/O.

use crate::OauthError;
use base64::{Engine, engine::general_purpose::STANDARD};
use keystead_types::Secret;
use std::collections::HashMap;

/// Bodies above this many bytes are refused (MC-162).
pub const MAX_TOKEN_REQUEST_BYTES: usize = 64 * 1024;

/// How the client proved who it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Method {
    /// Secret in the body.
    Post,
    /// HTTP Basic: a refusal must name the scheme.
    Basic,
}

/// A token request as sent.
#[derive(Debug)]
pub(crate) struct TokenRequest {
    /// The client, as named by the request.
    pub(crate) client_id: String,
    /// The secrets that may be meant: HTTP Basic values are read with and without percent-decoding.
    pub(crate) secrets: Vec<Secret<String>>,
    /// Where they were found.
    pub(crate) method: Method,
    /// Scopes asked for; empty when the parameter is absent.
    pub(crate) scopes: Vec<String>,
    /// Audience or resource asked for.
    pub(crate) audience: Option<String>,
}

/// Reads a `client_credentials` request.
///
/// A `Bearer` authorization header is not client authentication and is ignored: the Python client
/// sends its expired one when it asks for the next token.
///
/// # Errors
/// `invalid_request`, `unsupported_grant_type` or `invalid_client`, as MC 4.2 lists them.
pub(crate) fn parse(body: &[u8], authorization: &[&str]) -> Result<TokenRequest, OauthError> {
    if body.len() > MAX_TOKEN_REQUEST_BYTES {
        return Err(OauthError::invalid_request("the body is too large"));
    }
    let mut form: HashMap<String, String> = HashMap::new();
    for (name, value) in url::form_urlencoded::parse(body) {
        if form.insert(name.into_owned(), value.into_owned()).is_some() {
            return Err(OauthError::invalid_request("a parameter is repeated"));
        }
    }
    let mut take = |name: &str| form.remove(name).filter(|value| !value.is_empty());

    match take("grant_type").as_deref() {
        Some("client_credentials") => {}
        Some(_) => return Err(OauthError::unsupported_grant_type()),
        None => return Err(OauthError::invalid_request("grant_type is missing")),
    }
    let posted_id = take("client_id");
    let posted_secret = take("client_secret").map(Secret::new);
    let scopes = take("scope")
        .map(|scope| scope.split_ascii_whitespace().map(str::to_owned).collect())
        .unwrap_or_default();
    let (audience, resource) = (take("audience"), take("resource"));

    let (client_id, secrets, method) = match basic(authorization)? {
        Some(_) if posted_secret.is_some() => {
            return Err(OauthError::invalid_request(
                "two ways of client authentication are used",
            ));
        }
        Some((id, secrets)) => {
            if posted_id.is_some_and(|posted| posted != id) {
                return Err(OauthError::invalid_request(
                    "two different clients are named",
                ));
            }
            (id, secrets, Method::Basic)
        }
        None => {
            let id =
                posted_id.ok_or_else(|| OauthError::invalid_request("client_id is missing"))?;
            (id, posted_secret.into_iter().collect(), Method::Post)
        }
    };
    let audience = audience.or(resource);
    Ok(TokenRequest {
        client_id,
        secrets,
        method,
        scopes,
        audience,
    })
}

/// A client id and the readings of its secret.
type BasicPair = (String, Vec<Secret<String>>);

/// Reads HTTP Basic credentials. RFC 6749 section 2.3.1 wants both halves form-encoded, some
/// clients send them raw, so the secret is offered in both readings (MC-152).
fn basic(headers: &[&str]) -> Result<Option<BasicPair>, OauthError> {
    let value = headers.iter().find_map(|header| {
        let (scheme, value) = header.trim().split_once(' ')?;
        scheme.eq_ignore_ascii_case("basic").then(|| value.trim())
    });
    let Some(value) = value else { return Ok(None) };
    let pair = STANDARD
        .decode(value)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .map(Secret::new)
        .ok_or_else(|| OauthError::invalid_client(Method::Basic))?;
    let (id, secret) = pair
        .expose()
        .split_once(':')
        .ok_or_else(|| OauthError::invalid_client(Method::Basic))?;
    let decoded = decode(secret);
    let mut secrets = vec![Secret::new(secret.to_owned())];
    if decoded != secret {
        secrets.push(Secret::new(decoded));
    }
    Ok(Some((decode(id), secrets)))
}

fn decode(text: &str) -> String {
    // `parse` splits at `&` and `=`: both are hidden from it first.
    let whole = text.replace('&', "%26").replace('=', "%3D");
    url::form_urlencoded::parse(whole.as_bytes())
        .next()
        .map_or_else(String::new, |(name, _)| name.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(pair: &str) -> String {
        format!("Basic {}", STANDARD.encode(pair))
    }

    fn error(body: &str, headers: &[&str]) -> &'static str {
        parse(body.as_bytes(), headers).unwrap_err().error()
    }

    /// Part of MC-152, MC-280
    #[test]
    fn reads_the_form_of_the_official_clients() {
        let body = b"grant_type=client_credentials&client_id=skc_1&client_secret=test_a%2Bb&scope=openid%20email";
        let request = parse(body, &[]).unwrap();
        assert_eq!(request.client_id, "skc_1");
        assert_eq!(request.secrets[0].expose(), "test_a+b");
        assert_eq!(request.scopes, ["openid", "email"]);
        assert_eq!(request.method, Method::Post);
    }

    /// LG-075: the Python client sends its stale bearer with the request for a new token.
    #[test]
    fn a_bearer_header_is_ignored() {
        let body = b"grant_type=client_credentials&client_id=skc_1&client_secret=s";
        let request = parse(body, &["Bearer stale"]).unwrap();
        assert_eq!(request.secrets.len(), 1);
    }

    /// Part of MC-152
    #[test]
    fn basic_is_read_raw_and_percent_decoded() {
        let header = encode("skc_1:a%2Bb=&c");
        let request = parse(b"grant_type=client_credentials", &["Bearer x", &header]).unwrap();
        let secrets: Vec<&str> = request
            .secrets
            .iter()
            .map(|s| s.expose().as_str())
            .collect();
        assert_eq!(
            (request.client_id.as_str(), secrets),
            ("skc_1", vec!["a%2Bb=&c", "a+b=&c"])
        );
    }

    /// Part of MC-162, part of MC-152
    #[test]
    fn malformed_requests_are_told_apart() {
        let basic = encode("skc_1:s");
        assert_eq!(error("", &[]), "invalid_request");
        assert_eq!(
            error("grant_type=password&client_id=a", &[]),
            "unsupported_grant_type"
        );
        assert_eq!(
            error("grant_type=client_credentials", &[]),
            "invalid_request"
        );
        assert_eq!(
            error("grant_type=client_credentials&client_id=a&client_id=b", &[]),
            "invalid_request"
        );
        assert_eq!(
            error("grant_type=client_credentials&client_secret=s", &[&basic]),
            "invalid_request"
        );
        assert_eq!(
            error("grant_type=client_credentials&client_id=skc_2", &[&basic]),
            "invalid_request"
        );
        assert_eq!(
            error("grant_type=client_credentials", &["Basic !!"]),
            "invalid_client"
        );
        assert_eq!(
            error("{\"grant_type\":\"client_credentials\"}", &[]),
            "invalid_request"
        );
        assert_eq!(
            error(&"a".repeat(MAX_TOKEN_REQUEST_BYTES + 1), &[]),
            "invalid_request"
        );
    }
}
