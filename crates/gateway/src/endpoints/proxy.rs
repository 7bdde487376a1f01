//! `/proxy/…`: authenticates the caller, finds out which account is meant, streams both ways
//! (AK-450..AK-459).

use super::{Endpoints, refused};
use crate::{Failure, Origin, Peer, RequestId, credentials};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use keystead_agentkit::{
    Error,
    accounts::AccountKey,
    proxy::{ProxyBody, ProxyCall, ProxyError, ProxyFailure},
};
use keystead_authz::Denied;
use keystead_net::RequestBody;
use keystead_types::{ErrorCode, ExecutionId, Reason};
use std::time::Duration;
use tonic::body::Body;

const EXECUTION_ID: HeaderName = HeaderName::from_static("x-scalekit-execution-id");
const SOURCE: HeaderName = HeaderName::from_static("x-scalekit-source");

/// Bodies up to this size are kept so that they can be sent again after a refused token.
const KEPT_BODY: u64 = 256 * 1024;
/// Largest body (AK-452).
const MAX_BODY: u64 = 100_000_000;
/// Who may use the proxy: API clients with the permission to run tools, and dashboard members.
const PERMISSION: &str = "agent_connectors:execute";

impl Endpoints {
    pub(super) async fn proxied(&self, request: Request<Body>, path: String) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let id = self.request_id(&parts);
        match self.forward(&parts, &id, body, path).await {
            Ok(response) => response,
            Err(refusal) => refusal.into_response(&id),
        }
    }

    async fn forward(
        &self,
        parts: &http::request::Parts,
        id: &RequestId,
        body: Body,
        path: String,
    ) -> Result<Response<Body>, Refusal> {
        let site = self.site(parts).await?;
        let peer = parts.extensions.get::<Peer>().map(|peer| peer.address);
        let shown = credentials::read(&parts.headers, Origin::Network, &site.base_url, peer);
        let caller = self
            .authorizer
            .authenticate(&site, &shown)
            .await
            .map_err(|error| from_reason(&error))?
            .with_request_id(id.0.clone());
        caller
            .require(&[PERMISSION])
            .map_err(|denied| lacks_permission(&denied))?;
        let call = ProxyCall {
            key: addressed(&parts.headers)?,
            method: parts.method.clone(),
            path,
            query: parts.uri.query().map(ToOwned::to_owned),
            headers: parts.headers.clone(),
            upstream: one_of(&parts.headers, &["x-upstream"])?,
            body: taken(&parts.headers, body).await?,
        };
        let answer = self.agentkit.proxy(caller.env(), call).await?;
        let (mut head, body) = answer.response.into_parts();
        name_execution(&mut head.headers, answer.execution_id);
        head.headers
            .insert(SOURCE, HeaderValue::from_static("upstream"));
        let body = body.map_err(|error| tonic::Status::unavailable(error.to_string()));
        Ok(Response::from_parts(head, Body::new(body)))
    }
}

/// A call that the platform answers itself.
struct Refusal {
    failure: Failure,
    /// Where it differs from the one of the failure's code.
    status: Option<StatusCode>,
    execution: Option<ExecutionId>,
}

impl Refusal {
    fn into_response(self, id: &RequestId) -> Response<Body> {
        let mut response = refused(self.failure, id);
        if let Some(status) = self.status {
            *response.status_mut() = status;
        }
        let headers = response.headers_mut();
        headers.insert(SOURCE, HeaderValue::from_static("platform"));
        if let Some(execution) = self.execution {
            name_execution(headers, execution);
        }
        response
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            status: None,
            execution: None,
        }
    }
}

impl From<ProxyFailure> for Refusal {
    fn from(refused: ProxyFailure) -> Self {
        Self {
            failure: failure_of(&refused.error),
            status: StatusCode::from_u16(refused.error.http_status()).ok(),
            execution: refused.execution_id,
        }
    }
}

/// Says under which id the call is in the log.
fn name_execution(headers: &mut HeaderMap, id: ExecutionId) {
    if let Ok(value) = HeaderValue::try_from(id.to_string()) {
        headers.insert(EXECUTION_ID, value);
    }
}

/// The account that the headers name. Two headers that differ in case alone arrive as two values
/// of one name and must agree (AK-450).
fn addressed(headers: &HeaderMap) -> Result<AccountKey, Failure> {
    let key = AccountKey {
        id: one_of(
            headers,
            &[
                "connected_account_id",
                "connected-account-id",
                "x-connected-account-id",
            ],
        )?,
        connector: one_of(
            headers,
            &["connection_name", "connection-name", "x-connection-name"],
        )?,
        identifier: one_of(headers, &["identifier", "x-identifier"])?,
        organization_id: one_of(headers, &["organization_id"])?,
        user_id: one_of(headers, &["user_id"])?,
    };
    if key.id.is_none() && (key.connector.is_none() || key.identifier.is_none()) {
        return Err(Failure::because(
            ErrorCode::InvalidArgument,
            "connected account id or connector and identifier required: send the header connected_account_id, \
             or connection_name and identifier",
        ));
    }
    Ok(key)
}

fn one_of(headers: &HeaderMap, names: &[&'static str]) -> Result<Option<String>, Failure> {
    let mut found: Option<&str> = None;
    for name in names {
        for value in headers.get_all(*name) {
            // SECURITY: some clients send é as one byte, others as two: the same bytes would name
            // one user for this client and another for that.
            let text = value
                .to_str()
                .map_err(|_| {
                    let why = "must be ASCII, as HTTP clients send other characters in different ways; \
                               name the account by its id (header connected_account_id)";
                    Failure::field(name, why, "ascii")
                })?
                .trim();
            if found.is_some_and(|known| known != text) {
                return Err(Failure::field(
                    name,
                    "was sent twice with different values",
                    "unique",
                ));
            }
            found = Some(text);
        }
    }
    Ok(found.filter(|text| !text.is_empty()).map(ToOwned::to_owned))
}

/// Keeps small bodies, streams the others.
async fn taken(headers: &HeaderMap, body: Body) -> Result<ProxyBody, Failure> {
    let declared = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<u64>().ok());
    if declared.is_some_and(|length| length > MAX_BODY) {
        return Err(Failure::because(
            ErrorCode::RequestTooLarge,
            "the request body is larger than 100 MB",
        ));
    }
    if body.is_end_stream() {
        return Ok(ProxyBody::Buffered(Bytes::new()));
    }
    if declared.is_some_and(|length| length <= KEPT_BODY) {
        let whole = body.collect().await.map_err(|_| {
            Failure::because(ErrorCode::InvalidArgument, "the request body broke off")
        })?;
        return Ok(ProxyBody::Buffered(whole.to_bytes()));
    }
    let limited =
        http_body_util::Limited::new(body, usize::try_from(MAX_BODY).unwrap_or(usize::MAX));
    Ok(ProxyBody::Streamed(RequestBody::streamed(limited)))
}

fn from_reason(reason: &dyn Reason) -> Failure {
    if reason.code() == ErrorCode::Internal {
        return crate::pipeline::internal(reason);
    }
    Failure::because(reason.code(), reason.message())
}

fn lacks_permission(denied: &Denied) -> Failure {
    Failure {
        required_permissions: vec![PERMISSION.to_owned()],
        ..from_reason(denied)
    }
}

fn failure_of(error: &ProxyError) -> Failure {
    let reason = error.reason();
    let mut failure = from_reason(reason);
    failure.violations = reason.violations();
    if let ProxyError::Refused(Error::RateLimited(seconds)) = error {
        failure.retry_after = Some(Duration::from_secs(*seconds));
    }
    failure
}
