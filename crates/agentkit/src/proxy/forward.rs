//! Forwarding one call (3.6).

use super::{
    headers,
    target::{self, Upstream},
};
use crate::{
    AgentKit, Error,
    accounts::{AccountKey, Grounds},
    connections::{Backoff, RequestPolicy},
    error::Result,
    template::{self, Values},
    vault::{CredentialHeader, Force, MissingValue, credential_headers, credential_parameter},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use keystead_net::{FetchError, Limits, RequestBody, ResponseBody};
use keystead_store::entities::agentkit::ToolCall;
use keystead_types::{EnvironmentId, ExecutionId, Reason, Timestamp};
use std::{borrow::Cow, sync::Arc, time::Duration};
use tokio::time::Instant;
use url::Url;

/// One call as it came in.
pub struct ProxyCall {
    /// The account.
    pub key: AccountKey,
    /// Method.
    pub method: Method,
    /// Path after `/proxy`, as sent.
    pub path: String,
    /// Query, as sent.
    pub query: Option<String>,
    /// All headers of the caller.
    pub headers: HeaderMap,
    /// Another host of the provider, by its first label or in full (AK-461).
    pub upstream: Option<String>,
    /// Body.
    pub body: ProxyBody,
}

/// A body that is small enough to be sent twice, or one that streams through.
pub enum ProxyBody {
    /// In memory.
    Buffered(Bytes),
    /// On its way.
    Streamed(RequestBody),
}

/// The provider's answer.
pub struct ProxyAnswer {
    /// Id of the call in the log.
    pub execution_id: ExecutionId,
    /// Status, headers that may be returned, and the body as it arrives.
    pub response: Response<ResponseBody>,
}

/// The call did not get an answer.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// It was not sent.
    #[error(transparent)]
    Refused(#[from] Error),
    /// The provider did not answer.
    #[error(transparent)]
    Upstream(#[from] FetchError),
}

/// A call without an answer of the provider, and where to find it in the log.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct ProxyFailure {
    /// Id of the call in the log, when it got as far as an account.
    pub execution_id: Option<ExecutionId>,
    /// Why.
    #[source]
    pub error: ProxyError,
}

impl From<ProxyFailure> for ProxyError {
    fn from(failure: ProxyFailure) -> Self {
        failure.error
    }
}

impl ProxyError {
    /// Status of the platform's answer (AK-454).
    pub fn http_status(&self) -> u16 {
        self.reason().code().proxy_status()
    }

    /// The reason, for the error body.
    pub fn reason(&self) -> &dyn Reason {
        match self {
            Self::Refused(error) => error,
            Self::Upstream(error) => error,
        }
    }
}

impl AgentKit {
    /// Sends a call with the account's credential and gives the provider's answer, whatever its
    /// status.
    ///
    /// # Errors
    /// [`ProxyFailure`] when there is no answer of the provider.
    pub async fn proxy(
        &self,
        env: EnvironmentId,
        call: ProxyCall,
    ) -> std::result::Result<ProxyAnswer, ProxyFailure> {
        let grounds = match self.remembered(env, call.key.clone().normalised()).await {
            Ok(grounds) => grounds,
            // Without an account there is nothing to log it under.
            Err(refused) => {
                return Err(ProxyFailure {
                    execution_id: None,
                    error: refused.into(),
                });
            }
        };
        let execution = self.ctx().ids.next(&*self.ctx().clock);
        let (method, path) = (call.method.clone(), call.path.clone());
        let started = (self.ctx().clock.now(), Instant::now());
        let outcome = match self.acting(&grounds).await {
            Ok(acting) => self.forward(&acting, call).await,
            Err(refused) => Err(refused.into()),
        };
        self.log_call(&grounds, execution, &method, &path, started, &outcome);
        match outcome {
            Ok(response) => Ok(ProxyAnswer {
                execution_id: execution,
                response,
            }),
            Err(error) => Err(ProxyFailure {
                execution_id: Some(execution),
                error,
            }),
        }
    }

    async fn remembered(&self, env: EnvironmentId, key: AccountKey) -> Result<Arc<Grounds>> {
        if let Some(grounds) = self.snapshots().find(env, &key) {
            return Ok(grounds);
        }
        let moment = self.snapshots().moment();
        // On the heap: the rare reading must not widen every call's future.
        let grounds = Box::pin(self.grounds(env, key.clone())).await?;
        self.snapshots().remember(moment, key, &grounds);
        Ok(grounds)
    }

    async fn forward(
        &self,
        grounds: &Arc<Grounds>,
        call: ProxyCall,
    ) -> std::result::Result<Response<ResponseBody>, ProxyError> {
        // SECURITY: their answers repeat the request, the credential in it included, or open a tunnel.
        if matches!(
            call.method.as_str(),
            "TRACE" | "TRACK" | "DEBUG" | "CONNECT"
        ) {
            return Err(Error::field("method", "is not forwarded by the proxy").into());
        }
        grounds.require_active()?;
        let provider = &grounds.provider;
        // On the heap: the rare reading must not widen every call's future.
        let switched_on =
            provider.is_custom || Box::pin(self.builtin_direct_calls(grounds.environment)).await?;
        if !provider.proxy_enabled || !switched_on {
            return Err(Error::ProxyDisabled(grounds.provider.identifier.clone()).into());
        }
        let policy = grounds.policy();
        self.limiters().pass(grounds).await?;
        let upstream = other_upstream(grounds, call.upstream.as_deref())?;
        let url = target_url(
            grounds,
            upstream.as_ref(),
            &call.path,
            call.query.as_deref(),
        )?;
        let settings = &grounds.connection.settings;
        // SECURITY: rules for the usual host say nothing about another one; a rule for that one
        // names it, `POST //upload.box.com/api/*`.
        let at = upstream.as_ref().map(|upstream| upstream.host.as_str());
        let ruled = at.map_or(Cow::Borrowed(call.path.as_str()), |host| {
            format!("//{host}{}", call.path).into()
        });
        settings.require_allowed(&call.method, &ruled)?;
        let mut headers = headers::forwarded(&call.headers);
        if settings.limits_calls() {
            headers::remove_overrides(&mut headers);
        }
        let fresh = self.fresh(Arc::clone(grounds), Force::IfDue).await?;
        let outgoing = Outgoing {
            headers,
            method: call.method,
            url,
            deadline: Instant::now() + policy.timeout,
            policy,
        };
        match call.body {
            ProxyBody::Streamed(body) => {
                let mut request = outgoing.request(&fresh, body)?;
                self.sign(&fresh, &mut request, None)?;
                let http = self.http_of(&fresh.provider.identifier);
                let response = http.stream(request, outgoing.limits()).await?;
                if response.status() == StatusCode::UNAUTHORIZED && fresh.is_refreshable() {
                    // The body is gone, so this answer stands; the next call has a new token.
                    self.refresh_after_401(&fresh).await;
                }
                Ok(returned(response))
            }
            ProxyBody::Buffered(body) => {
                Ok(returned(self.send_buffered(fresh, &outgoing, body).await?))
            }
        }
    }

    /// Sends a call that may be repeated: after a refused token once (AK-226), and as often as the
    /// connection's retry policy says (AK-115).
    async fn send_buffered(
        &self,
        mut grounds: Arc<Grounds>,
        outgoing: &Outgoing<'_>,
        body: Bytes,
    ) -> std::result::Result<Response<ResponseBody>, ProxyError> {
        let mut refreshed = false;
        let mut attempt = 0;
        loop {
            let mut request = outgoing.request(&grounds, RequestBody::from(body.clone()))?;
            self.sign(&grounds, &mut request, Some(&body))?;
            let http = self.http_of(&grounds.provider.identifier);
            let result = http.stream(request, outgoing.limits()).await;
            let refused =
                matches!(&result, Ok(response) if response.status() == StatusCode::UNAUTHORIZED);
            if refused && !refreshed && grounds.is_refreshable() {
                refreshed = true;
                let version = grounds.account.credential_version;
                match self
                    .fresh(Arc::clone(&grounds), Force::Version(version))
                    .await
                {
                    Ok(fresh) => {
                        grounds = fresh;
                        continue;
                    }
                    // The provider's own answer says more than ours would.
                    Err(_) => return Ok(result?),
                }
            }
            let Some(pause) = outgoing.pause_before_retry(&result, attempt) else {
                return Ok(result?);
            };
            attempt += 1;
            tokio::time::sleep(pause).await;
        }
    }

    async fn refresh_after_401(&self, grounds: &Arc<Grounds>) {
        let version = grounds.account.credential_version;
        if let Err(error) = self
            .fresh(Arc::clone(grounds), Force::Version(version))
            .await
        {
            tracing::info!(account = %grounds.account.id, %error, "refresh after a refused token");
        }
    }

    fn log_call(
        &self,
        grounds: &Grounds,
        execution: ExecutionId,
        method: &Method,
        path: &str,
        (started_at, began): (Timestamp, Instant),
        outcome: &std::result::Result<Response<ResponseBody>, ProxyError>,
    ) {
        let (status, http_status, error_code) = match outcome {
            Ok(response) if response.status().as_u16() < 400 => {
                ("success", Some(response.status().as_u16()), "")
            }
            Ok(response) => ("provider_error", Some(response.status().as_u16()), ""),
            Err(error @ ProxyError::Upstream(_)) => {
                ("provider_error", None, error.reason().code().as_str())
            }
            Err(error) => ("platform_error", None, error.reason().code().as_str()),
        };
        let call = ToolCall {
            id: self.ctx().ids.next(&*self.ctx().clock),
            execution_id: execution,
            source: "PROXY".to_owned(),
            tool_name: tool_name(method, path),
            provider: grounds.provider.identifier.clone(),
            connection_id: grounds.connection.id,
            connection_name: grounds.connection.key_id.clone(),
            account_id: grounds.account.id,
            identifier: grounds.account.identifier.clone(),
            status: status.to_owned(),
            http_status: http_status.map(i64::from),
            error_code: error_code.to_owned(),
            duration_micros: i64::try_from(began.elapsed().as_micros()).unwrap_or(i64::MAX),
            started_at,
        };
        self.calls().add(grounds.environment, call);
    }
}

/// Method and path without what looks like an id, so that rows group and hold no personal data.
fn tool_name(method: &Method, path: &str) -> String {
    let segments: Vec<&str> = path
        .split('/')
        .map(|segment| {
            let opaque = segment.len() > 24
                || segment.contains(['@', '%'])
                || segment.bytes().any(|b| b.is_ascii_digit());
            if opaque && !is_version(segment) {
                "{id}"
            } else {
                segment
            }
        })
        .collect();
    format!("{method} {}", segments.join("/"))
}

fn is_version(segment: &str) -> bool {
    let digits = segment.strip_prefix('v').unwrap_or(segment);
    let marked = segment.starts_with('v') || segment.contains('.');
    marked
        && segment.len() <= 6
        && digits
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
}

fn other_upstream(grounds: &Grounds, named: Option<&str>) -> Result<Option<Upstream>> {
    let Some(named) = named else { return Ok(None) };
    let allowed = &grounds.pattern.allowed_proxy_domains;
    let (base, values) = (grounds.base_url(), grounds.template_values());
    let found = target::other_root(&base, values, allowed, named);
    Ok(Some(found?))
}

fn target_url(
    grounds: &Grounds,
    upstream: Option<&Upstream>,
    path: &str,
    query: Option<&str>,
) -> Result<Url> {
    let values = grounds.template_values();
    let base = match upstream {
        Some(other) => Cow::Borrowed(other.root.as_str()),
        None => grounds.base_url(),
    };
    // Fixed hosts are the provider's own; only filled-in ones need the list.
    let allowed: &[String] = if base.contains("{{") {
        &grounds.pattern.allowed_proxy_domains
    } else {
        &[]
    };
    let own = grounds.account.api_config.get("base_url");
    match own.and_then(serde_json::Value::as_str) {
        Some(own) if !own.trim().is_empty() => {
            let root = target::resolve(&base, values, allowed, "/", None)?;
            let own = target::narrowed(&root, own.trim())?;
            Ok(target::resolve(
                own.as_str(),
                &Values::new(),
                &[],
                path,
                query,
            )?)
        }
        _ => Ok(target::resolve(&base, values, allowed, path, query)?),
    }
}

/// A call on its way out.
struct Outgoing<'g> {
    headers: HeaderMap,
    method: Method,
    url: Url,
    policy: &'g RequestPolicy,
    deadline: Instant,
}

impl Outgoing<'_> {
    fn limits(&self) -> Limits {
        Limits {
            timeout: self.deadline.saturating_duration_since(Instant::now()),
            ..Limits::PROXY
        }
    }

    /// The request with the credential; the credential's headers win over the caller's.
    fn request(&self, grounds: &Grounds, body: RequestBody) -> Result<Request<RequestBody>> {
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
            if let Some((name, value)) = legal(name, &value)
                && !headers.contains_key(&name)
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
            let name = HeaderName::try_from(&name)
                .map_err(|_| Error::field("auth_header_key_override", "is not a header name"))?;
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
    fn pause_before_retry(
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

/// The query without a parameter, otherwise as sent.
fn without_parameter(query: &str, name: &str) -> String {
    let others = query
        .split('&')
        .filter(|part| url::form_urlencoded::parse(part.as_bytes()).all(|(key, _)| key != name));
    others.collect::<Vec<_>>().join("&")
}

fn legal(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    Some((
        HeaderName::try_from(name).ok()?,
        HeaderValue::try_from(value).ok()?,
    ))
}

fn whole_seconds(value: &HeaderValue) -> Option<Duration> {
    let seconds = value.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn returned(response: Response<ResponseBody>) -> Response<ResponseBody> {
    let (mut parts, body) = response.into_parts();
    parts.headers = headers::returned(&parts.headers);
    Response::from_parts(parts, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AK-459
    #[test]
    fn logged_names_hold_no_ids() {
        for (path, expected) in [
            (
                "/gmail/v1/users/me/messages",
                "GET /gmail/v1/users/me/messages",
            ),
            ("/users/12345", "GET /users/{id}"),
            ("/users/ada@example.com/x", "GET /users/{id}/x"),
            ("/1.0/users/me", "GET /1.0/users/me"),
        ] {
            assert_eq!(tool_name(&Method::GET, path), expected);
        }
    }
}
