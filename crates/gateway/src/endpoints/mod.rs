//! Endpoints outside the contract that machines call: OAuth, keys, discovery, the proxy.

mod oauth;
mod proxy;

use crate::{
    Failure, RequestId,
    answer::{self, json, not_allowed},
    failure, host, request_id,
};
use http::{Method, Request, Response, header, request::Parts};
use keystead_agentkit::AgentKit;
use keystead_authz::Authorizer;
use keystead_identity::Site;
use keystead_types::ErrorCode;
use std::{fmt, sync::Arc};
use tonic::body::Body;

/// Answers the machine endpoints.
#[derive(Clone)]
pub struct Endpoints {
    authorizer: Arc<Authorizer>,
    agentkit: AgentKit,
}

impl fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Endpoints")
    }
}

impl Endpoints {
    /// Over the given domain handles.
    pub const fn new(authorizer: Arc<Authorizer>, agentkit: AgentKit) -> Self {
        Self {
            authorizer,
            agentkit,
        }
    }

    /// Answers the request, or gives it back when it is for somebody else.
    ///
    /// # Errors
    /// The request itself.
    pub async fn answer(&self, request: Request<Body>) -> Result<Response<Body>, Request<Body>> {
        let path = request.uri().path();
        if let Some(rest) = path.strip_prefix("/proxy/") {
            let rest = format!("/{rest}");
            return Ok(self.proxied(request, rest).await);
        }
        if path == "/mcp" || path.starts_with("/mcp/") {
            let (parts, _) = request.into_parts();
            let id = self.request_id(&parts);
            let failure = Failure::because(ErrorCode::Unimplemented, "MCP is not built yet");
            return Ok(refused(failure, &id));
        }
        match path {
            "/oauth/token" => Ok(self.token(request).await),
            "/keys" | "/.well-known/jwks.json" => Ok(match *request.method() {
                Method::OPTIONS => answer::preflight(),
                _ => self.keys(request).await,
            }),
            "/.well-known/openid-configuration" | "/.well-known/oauth-authorization-server" => {
                Ok(match *request.method() {
                    Method::OPTIONS => answer::preflight(),
                    _ => self.metadata(request).await,
                })
            }
            _ => Err(request),
        }
    }

    fn request_id(&self, parts: &Parts) -> RequestId {
        request_id::read(&parts.headers, &*self.agentkit.ctx().rng)
    }

    /// The environment of the host.
    async fn site(&self, parts: &Parts) -> Result<Arc<Site>, Failure> {
        let unknown =
            || Failure::because(ErrorCode::NotFound, "no environment is served at this host");
        let host = host::of(parts).ok_or_else(unknown)?;
        let found = self.agentkit.ctx().site_by_host(&host).await;
        found
            .map_err(crate::pipeline::internal)?
            .ok_or_else(unknown)
    }
}

/// The platform's own error: the same JSON as the rest of the API.
fn refused(failure: Failure, id: &RequestId) -> Response<Body> {
    let retry_after = failure.retry_after;
    let (status, body) = failure::to_http(&failure.into_status(&id.0));
    let mut response = json(status, body);
    if let Some(after) = retry_after {
        let seconds = after.as_secs().max(1);
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, seconds.into());
    }
    answer::name(&mut response, id);
    response
}
