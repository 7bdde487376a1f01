//! Checks what a client signed (RFC 5849 section 3.4). Written from the RFC, apart from the product's
//! own signing, so that the two check each other.

use aws_lc_rs::hmac;
use axum::{
    body::{Body, to_bytes},
    extract::{OriginalUri, Request},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::header;
use std::fmt::Write as _;
use url::{Url, form_urlencoded};

/// Largest form that is signed, in bytes.
const FORM_LIMIT: usize = 1024 * 1024;

/// A request with OAuth parameters.
#[derive(Debug)]
pub(crate) struct Signed {
    /// From the header, decoded.
    protocol: Vec<(String, String)>,
    /// From query and form, decoded.
    other: Vec<(String, String)>,
    method: String,
    authority: String,
    path: String,
}

/// Takes a request apart and puts it together again; `None` when it has no `OAuth` header.
pub(crate) async fn read(request: Request) -> (Request, Option<Signed>) {
    let Some(protocol) = protocol(&request) else {
        return (request, None);
    };
    // A nested router cuts its own path off.
    let original = request.extensions().get::<OriginalUri>();
    let uri = original.map_or_else(|| request.uri().clone(), |original| original.0.clone());
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let authority = uri
        .authority()
        .map(http::uri::Authority::as_str)
        .or(host)
        .unwrap_or_default()
        .to_owned();
    let is_form = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    let mut signed = Signed {
        protocol,
        other: pairs(uri.query().unwrap_or_default().as_bytes()),
        method: request.method().to_string(),
        authority,
        path: uri.path().to_owned(),
    };
    if !is_form {
        return (request, Some(signed));
    }
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, FORM_LIMIT).await.unwrap_or_default();
    signed.other.extend(pairs(&body));
    (Request::from_parts(parts, Body::from(body)), Some(signed))
}

fn pairs(text: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(text).into_owned().collect()
}

/// `OAuth a="1", b="2"`.
fn protocol(request: &Request) -> Option<Vec<(String, String)>> {
    let text = request
        .headers()
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?;
    let list = text.strip_prefix("OAuth ")?;
    let mut all = Vec::new();
    for pair in list.split(',') {
        let (name, value) = pair.trim().split_once('=')?;
        let value = value.strip_prefix('"')?.strip_suffix('"')?;
        all.push((decoded(name)?, decoded(value)?));
    }
    Some(all)
}

/// Percent decoding alone: a `+` stays one.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first == b'%' {
            let (digits, tail) = rest.split_at_checked(2)?;
            bytes.extend(hex::decode(digits).ok()?);
            rest = tail;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok()
}

fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

impl Signed {
    /// A protocol parameter; empty when it is absent.
    pub(crate) fn get(&self, name: &str) -> &str {
        let found = self.protocol.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    pub(crate) fn has_signature(&self) -> bool {
        !self.get("oauth_signature").is_empty()
    }

    pub(crate) fn timestamp(&self) -> Option<i64> {
        self.get("oauth_timestamp").parse().ok()
    }

    /// Whether the signature was made with these secrets.
    pub(crate) fn is_signed_with(&self, client_secret: &str, token_secret: &str) -> bool {
        let key = format!("{}&{}", encoded(client_secret), encoded(token_secret));
        let signature = self.get("oauth_signature");
        match self.get("oauth_signature_method") {
            "PLAINTEXT" => signature == key,
            "HMAC-SHA1" => {
                let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key.as_bytes());
                let Ok(sent) = STANDARD.decode(signature) else {
                    return false;
                };
                // The sandbox does not see which scheme the client used.
                ["http", "https"].into_iter().any(|scheme| {
                    self.base_string(scheme)
                        .is_some_and(|base| hmac::verify(&key, base.as_bytes(), &sent).is_ok())
                })
            }
            _ => false,
        }
    }

    fn base_string(&self, scheme: &str) -> Option<String> {
        // Lower case and no default port.
        let url = Url::parse(&format!("{scheme}://{}{}", self.authority, self.path)).ok()?;
        let mut all: Vec<String> = self
            .protocol
            .iter()
            .filter(|(name, _)| name != "oauth_signature" && name != "realm")
            .chain(&self.other)
            .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
            .collect();
        // `=` sorts behind digits; the names come first.
        all.sort_by(|one, two| one.split_once('=').cmp(&two.split_once('=')));
        Some(format!(
            "{}&{}&{}",
            self.method,
            encoded(url.as_str()),
            encoded(&all.join("&"))
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 5849, section 1.2.
    #[tokio::test]
    async fn the_example_of_the_rfc_is_accepted() {
        let header = r#"OAuth realm="Photos", oauth_consumer_key="dpf43f3p2l4k3l03", oauth_token="nnch734d00sl2jdk", oauth_signature_method="HMAC-SHA1", oauth_timestamp="137131202", oauth_nonce="chapoH", oauth_signature="MdpQcU8iPSUjWoN%2FUDMsK2sui9I%3D""#;
        let request = |query: &str| {
            Request::get(format!("/photos?{query}"))
                .header("host", "photos.example.net:80")
                .header("authorization", header)
                .body(Body::empty())
                .unwrap()
        };
        let (_, signed) = read(request("file=vacation.jpg&size=original")).await;
        let signed = signed.unwrap();
        assert!(signed.is_signed_with("kd94hf93k423kf44", "pfkkdhi9sl3r4s00"));
        assert!(!signed.is_signed_with("kd94hf93k423kf44", "other"));
        let (_, changed) = read(request("file=vacation.jpg&size=small")).await;
        assert!(
            !changed
                .unwrap()
                .is_signed_with("kd94hf93k423kf44", "pfkkdhi9sl3r4s00")
        );
    }
}
