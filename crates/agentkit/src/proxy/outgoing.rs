//! A call on its way out: where it goes, what it carries, when it is tried again (AK-115, AK-451).

use super::target::{self, Upstream};
use crate::{
    Error,
    accounts::Grounds,
    connections::{Backoff, RequestPolicy, may_be_configured},
    error::Result,
    template::{self, Values},
    vault::{CredentialHeader, MissingValue, credential_headers, credential_parameter},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, header};
use keystead_net::{FetchError, Limits, RequestBody, ResponseBody};
use serde_json::Value;
use std::{borrow::Cow, time::Duration};
use tokio::time::Instant;
use url::Url;

/// A call on its way out.
pub(super) struct Outgoing<'g> {
    pub(super) headers: HeaderMap,
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) policy: &'g RequestPolicy,
    pub(super) deadline: Instant,
}

impl Outgoing<'_> {
    pub(super) fn limits(&self) -> Limits {
        Limits {
            timeout: self.deadline.saturating_duration_since(Instant::now()),
            ..Limits::PROXY
        }
    }

    /// The request with the credential; the credential's headers win over the caller's.
    pub(super) fn request(
        &self,
        grounds: &Grounds,
        body: RequestBody,
    ) -> Result<Request<RequestBody>> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        let lacks = |missing: MissingValue| {
            Error::field(&missing.0, "has no value on the connected account")
        };
        let mut url = self.url.clone();
        if let Some((name, key)) =
            credential_parameter(&grounds.pattern, &grounds.credential).map_err(lacks)?
        {
            // SECURITY: a parameter of the caller must not stand in for the key.
            let others = without_parameter(url.query().unwrap_or_default(), name);
            url.set_query((!others.is_empty()).then_some(&others));
            url.query_pairs_mut().append_pair(name, key.expose());
        }
        *request.uri_mut() = url
            .as_str()
            .parse()
            .map_err(|_| Error::TargetNotAllowed("it is not a valid URL".to_owned()))?;
        let headers = request.headers_mut();
        headers.clone_from(&self.headers);
        let values = grounds.template_values();
        for (name, template) in grounds.fixed_headers() {
            let value = template::fill_header(template, values)?;
            // SECURITY: what is filled in belongs to the account, such as the tenant its user chose;
            // a constant is a default, which the caller may replace.
            let is_the_accounts = template.contains("{{");
            if let Some((name, value)) = legal(name, &value)
                && (is_the_accounts || !headers.contains_key(&name))
            {
                headers.insert(name, value);
            }
        }
        if let Some(agent) = &self.policy.user_agent
            && let Ok(agent) = HeaderValue::try_from(agent)
        {
            headers.insert(header::USER_AGENT, agent);
        }
        let developer_token = &grounds.connection.secrets.developer_token;
        if !developer_token.is_empty()
            && let Ok(mut value) = HeaderValue::try_from(developer_token)
        {
            value.set_sensitive(true);
            headers.insert(HeaderName::from_static("developer-token"), value);
        }
        let consumer_key = grounds.client_id();
        let credentials = credential_headers(&grounds.pattern, &grounds.credential, consumer_key)
            .map_err(lacks)?;
        for CredentialHeader { name, value } in credentials {
            let name = Some(name)
                .filter(|name| may_be_configured(name))
                .and_then(|name| HeaderName::try_from(name).ok())
                .ok_or_else(|| Error::field("auth_header_key_override", "cannot carry a key"))?;
            let mut value = HeaderValue::try_from(value.expose().as_str()).map_err(|_| {
                Error::field(
                    name.as_str(),
                    "the stored credential cannot be sent in a header",
                )
            })?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(request)
    }

    /// Only idempotent methods, only failures that may pass, never beyond the deadline (AK-115).
    pub(super) fn pause_before_retry(
        &self,
        result: &std::result::Result<Response<ResponseBody>, FetchError>,
        attempt: u32,
    ) -> Option<Duration> {
        let idempotent = matches!(
            self.method,
            Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE
        );
        if !idempotent || attempt >= self.policy.retries {
            return None;
        }
        let asked = match result {
            Ok(response) => match response.status().as_u16() {
                429 | 502 | 503 | 504 => match response.headers().get(header::RETRY_AFTER) {
                    // A moment that we cannot read is not one to come back before.
                    Some(asked) => Some(whole_seconds(asked)?),
                    None => None,
                },
                _ => return None,
            },
            Err(FetchError::Connect { .. } | FetchError::Dns { .. }) => None,
            Err(_) => return None,
        };
        let step = Duration::from_millis(200);
        let own = match self.policy.backoff {
            Backoff::Exponential => step * 2_u32.saturating_pow(attempt),
            Backoff::Linear => step * (attempt + 1),
            Backoff::Fixed => step,
        };
        // SECURITY: the provider names the pause, and no clock can be that far ahead.
        let left = self.deadline.saturating_duration_since(Instant::now());
        asked.or(Some(own)).filter(|pause| *pause < left)
    }
}

pub(super) fn other_upstream(grounds: &Grounds, named: Option<&str>) -> Result<Option<Upstream>> {
    let Some(named) = named else { return Ok(None) };
    let allowed = &grounds.pattern.allowed_proxy_domains;
    let (base, values) = (grounds.base_url(), grounds.template_values());
    let found = target::other_root(&base, values, allowed, named)?;
    // SECURITY: below the base path of its own host the account may be kept to one tenant.
    let is_other = target::resolve(&base, values, allowed, "/", None)
        .is_ok_and(|base| base.host_str() != Some(found.host.as_str()));
    Ok(Some(found).filter(|_| is_other))
}

/// Where a call goes.
pub(super) struct Target {
    pub(super) url: Url,
    /// The path below the connection's base URL, or below the other host: what its rules are about.
    pub(super) path: String,
}

pub(super) fn target_of(
    grounds: &Grounds,
    upstream: Option<&Upstream>,
    path: &str,
    query: Option<&str>,
) -> Result<Target> {
    let values = grounds.template_values();
    let base = match upstream {
        Some(other) => Cow::Borrowed(other.root.as_str()),
        None => grounds.base_url(),
    };
    let resolved = grounds.connection.settings.resolved_proxy_url.as_deref();
    // Fixed hosts are the provider's own; only filled-in ones need the list, also those that were
    // filled in when the connection was made.
    let allowed: &[String] = if base.contains("{{") || resolved == Some(base.as_ref()) {
        &grounds.pattern.allowed_proxy_domains
    } else {
        &[]
    };
    match own_base_url(grounds)? {
        Some(own) => {
            let root = target::resolve(&base, values, allowed, "/", None)?;
            let own = target::narrowed(&root, own)?;
            let url = target::resolve(own.as_str(), &Values::new(), &[], path, query)?;
            let above = root.path().trim_end_matches('/');
            let below = own.path().strip_prefix(above).unwrap_or_default();
            // SECURITY: the account's base URL must not let a rule for `/users` reach `/admin/users`.
            let slash = if path.starts_with('/') { "" } else { "/" };
            Ok(Target {
                url,
                path: format!("{}{slash}{path}", below.trim_end_matches('/')),
            })
        }
        None => Ok(Target {
            url: target::resolve(&base, values, allowed, path, query)?,
            path: path.to_owned(),
        }),
    }
}

/// SECURITY: one that cannot be read narrows nothing, so nothing is sent.
fn own_base_url(grounds: &Grounds) -> Result<Option<&str>> {
    match grounds.account.api_config.get("base_url") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(own)) => Ok(Some(own.trim()).filter(|own| !own.is_empty())),
        Some(_) => Err(Error::TargetNotAllowed(
            "the account's base_url is not a text".to_owned(),
        )),
    }
}

/// The query without a parameter, otherwise as sent.
fn without_parameter(query: &str, name: &str) -> String {
    let others = query
        .split('&')
        .filter(|part| url::form_urlencoded::parse(part.as_bytes()).all(|(key, _)| key != name));
    others.collect::<Vec<_>>().join("&")
}

fn legal(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    if !may_be_configured(name) {
        return None;
    }
    Some((
        HeaderName::try_from(name).ok()?,
        HeaderValue::try_from(value).ok()?,
    ))
}

fn whole_seconds(value: &HeaderValue) -> Option<Duration> {
    let seconds = value.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
