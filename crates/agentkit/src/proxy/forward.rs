//! Forwarding one call (3.6).

use super::{
    headers,
    outgoing::{Outgoing, other_upstream, target_of},
};
use crate::{
    AgentKit, Error,
    accounts::{AccountKey, Grounds},
    error::Result,
    vault::Force,
};
use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode};
use keystead_net::{FetchError, RequestBody, ResponseBody};
use keystead_types::{EnvironmentId, ExecutionId, Reason};
use std::{borrow::Cow, sync::Arc};
use tokio::time::Instant;

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
        let target = target_of(
            grounds,
            upstream.as_ref(),
            &call.path,
            call.query.as_deref(),
        )?;
        let settings = &grounds.connection.settings;
        // SECURITY: rules for the usual host say nothing about another one; a rule for that one
        // names it, `POST //upload.box.com/api/*`.
        let at = upstream.as_ref().map(|upstream| upstream.host.as_str());
        let ruled = at.map_or(Cow::Borrowed(target.path.as_str()), |host| {
            format!("//{host}{}", target.path).into()
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
            url: target.url,
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
}

fn returned(response: Response<ResponseBody>) -> Response<ResponseBody> {
    let (mut parts, body) = response.into_parts();
    parts.headers = headers::returned(&parts.headers);
    Response::from_parts(parts, body)
}
