//! How a connection presents an API key, where it differs from the connector (AK-111).

use super::{Connection, ConnectionSettings};
use crate::{
    Error,
    error::Result,
    providers::{AuthKind, AuthPattern},
};
use http::{HeaderName, HeaderValue};
use serde_json::Value;

/// Settings in `static_config`.
pub(crate) const BASE_URL: &str = "base_url";
const HEADER: &str = "api_key_header";
const QUERY_PARAMETER: &str = "api_key_query_param";
const PREFIX: &str = "api_key_prefix";

/// Headers that say how a request is to be read; a value of somebody's choice in them would change its
/// meaning.
const STRUCTURAL: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Whether a header may carry a value that is configured.
///
/// SECURITY: the requests of all tenants to a host share connections; framing is ours alone.
pub(crate) fn may_be_configured(name: &str) -> bool {
    HeaderName::try_from(name).is_ok_and(|name| !STRUCTURAL.contains(&name.as_str()))
}

impl ConnectionSettings {
    fn text(&self, name: &str) -> Option<&str> {
        let value = self.static_config.get(name).and_then(Value::as_str);
        value.filter(|text| !text.is_empty())
    }

    /// Base URL of calls, when the connection has its own.
    pub(crate) fn base_url(&self) -> Option<&str> {
        self.text(BASE_URL)
    }
}

impl Connection {
    /// The connector's pattern with the connection's own way to present an API key.
    pub(crate) fn presented(&self, mut pattern: AuthPattern) -> AuthPattern {
        if self.kind != AuthKind::ApiKey {
            return pattern;
        }
        if let Some(header) = self.settings.text(HEADER) {
            pattern.auth_header_key_override = Some(header.to_owned());
        }
        if let Some(prefix) = self.settings.text(PREFIX) {
            let mutation = pattern.auth_field_mutations.entry("api_key".to_owned());
            prefix.clone_into(&mut mutation.or_default().prefix);
        }
        pattern.key_query_parameter = self.settings.text(QUERY_PARAMETER).map(ToOwned::to_owned);
        pattern
    }
}

/// Checks the settings before they are stored.
///
/// # Errors
/// [`Error::Invalid`] naming the field.
pub(super) fn check(settings: &ConnectionSettings) -> Result<()> {
    let wrong = |name: &str, why: &str| Err(Error::field(&format!("static_config.{name}"), why));
    for name in [BASE_URL, HEADER, QUERY_PARAMETER, PREFIX] {
        let value = settings.static_config.get(name);
        if value.is_some_and(|value| !value.is_string() && !value.is_null()) {
            return wrong(name, "must be a text");
        }
    }
    if let Some(base) = settings.base_url() {
        let legal = url::Url::parse(base).is_ok_and(|url| {
            matches!(url.scheme(), "https" | "http")
                && url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
                && url.fragment().is_none()
        });
        if !legal {
            return wrong(
                BASE_URL,
                "must be an http(s) URL without query and credentials",
            );
        }
    }
    if let Some(header) = settings.text(HEADER) {
        let legal = may_be_configured(header) && !header.eq_ignore_ascii_case("content-type");
        if !legal {
            return wrong(HEADER, "is not a header that can carry a key");
        }
    }
    for (place, settings) in [
        ("context", &settings.context),
        ("static_config", &settings.static_config),
    ] {
        if let Some(headers) = settings.get("base_headers") {
            check_base_headers(place, headers)?;
        }
    }
    if let Some(prefix) = settings.text(PREFIX)
        && HeaderValue::try_from(prefix).is_err()
    {
        return wrong(PREFIX, "cannot be sent in a header");
    }
    if settings.text(HEADER).is_some() && settings.text(QUERY_PARAMETER).is_some() {
        return wrong(
            QUERY_PARAMETER,
            "cannot be set together with api_key_header",
        );
    }
    Ok(())
}

fn check_base_headers(place: &str, headers: &Value) -> Result<()> {
    let wrong = |why: &str| Err(Error::field(&format!("{place}.base_headers"), why));
    let Some(headers) = headers.as_object() else {
        return wrong("must be an object of header names and texts");
    };
    for (name, value) in headers {
        if !may_be_configured(name) {
            return wrong(&format!("may not set the header `{name}`"));
        }
        if !value.is_string() {
            return wrong(&format!("`{name}` must be a text"));
        }
    }
    Ok(())
}
