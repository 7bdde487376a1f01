//! The one way to a method.

use crate::{
    authenticate::{Admission, Authenticate},
    contract::{CallerKinds, Contract, ContractError, Method},
    credentials::{self, Origin},
    failure::{self, Failure},
    grpc, host,
    limits::{Limits, RateFields, RateLimits, visitor},
    metrics::Metrics,
    peer::Peer,
    request_id::{self, REQUEST_ID, RequestId},
    validate::{ContractRules, Validate},
};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, header, request::Parts};
use http_body_util::{BodyExt, Full};
use keystead_authz::AuthError;
use keystead_identity::environments::Site;
use keystead_types::{ErrorCode, Reason, Rng};
use prost_reflect::DynamicMessage;
use std::{fmt, sync::Arc, time::Duration};
use tokio::time::Instant;
use tonic::{Status, body::Body, service::Routes};
use tower::{BoxError, Service, ServiceExt, util::BoxCloneSyncService};
use tracing::Instrument;

/// What the pipeline is made of.
pub struct Wiring {
    /// Hosts to environments, credentials to callers: an `authz::Authorizer`.
    pub authenticate: Arc<dyn Authenticate>,
    /// For request ids.
    pub rng: Arc<dyn Rng>,
    /// The methods.
    pub routes: Routes,
    /// The rules that requests must hold to.
    pub rules: Box<dyn Validate>,
    /// Request rates.
    pub limits: Limits,
    /// Largest request message or body, in bytes.
    pub max_message_bytes: usize,
    /// A call that takes longer is ended, whatever the client asked for.
    pub max_call_time: Duration,
    /// Where calls are counted.
    pub metrics: Metrics,
}

impl Wiring {
    /// With the contract's rules and the default limits: 4 MiB, 60 seconds.
    ///
    /// # Errors
    /// [`ContractError`] when the contract holds a rule that this server does not understand.
    pub fn new(
        authenticate: Arc<dyn Authenticate>,
        rng: Arc<dyn Rng>,
        routes: Routes,
    ) -> Result<Self, ContractError> {
        let rules = ContractRules::load()?;
        Ok(Self::with_rules(authenticate, rng, routes, rules))
    }

    /// As [`Self::new`], with rules that were loaded before.
    pub fn with_rules(
        authenticate: Arc<dyn Authenticate>,
        rng: Arc<dyn Rng>,
        routes: Routes,
        rules: impl Validate + 'static,
    ) -> Self {
        Self {
            authenticate,
            rng,
            routes: routes.prepare(),
            rules: Box::new(rules),
            limits: Limits::default(),
            max_message_bytes: 4 * 1024 * 1024,
            max_call_time: Duration::from_secs(60),
            metrics: Metrics::default(),
        }
    }
}

struct Shared {
    wiring: Wiring,
    contract: Arc<Contract>,
    rates: RateLimits,
}

/// Lets calls through to their methods. Cheap to clone; a tower service for gRPC requests.
#[derive(Clone)]
pub struct Pipeline {
    shared: Arc<Shared>,
    origin: Origin,
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

/// The answer to a call, before it takes the form of a protocol.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) request_id: RequestId,
    /// Response metadata of the method.
    pub(crate) metadata: HeaderMap,
    /// The encoded response.
    pub(crate) result: Result<Bytes, Status>,
}

impl Pipeline {
    /// Builds the pipeline for requests from the network.
    ///
    /// # Errors
    /// [`ContractError`] when the contract holds something that this server does not understand.
    pub fn new(wiring: Wiring) -> Result<Self, ContractError> {
        let shared = Shared {
            contract: Arc::new(Contract::load()?),
            rates: RateLimits::default(),
            wiring,
        };
        Ok(Self {
            shared: Arc::new(shared),
            origin: Origin::Network,
        })
    }

    /// The same pipeline for our own pages: they have checked their form token, so a session
    /// cookie in the metadata counts without a browser's word.
    #[must_use]
    pub fn in_process(&self) -> Self {
        Self {
            origin: Origin::InProcess,
            ..self.clone()
        }
    }

    /// The same as one gRPC service, in the type that pages keep.
    pub fn services(&self) -> BoxCloneSyncService<Request<Body>, Response<Body>, BoxError> {
        let pipeline = self.in_process();
        BoxCloneSyncService::new(tower::service_fn(move |request: Request<Body>| {
            let mut pipeline = pipeline.clone();
            async move { pipeline.call(request).await.map_err(|never| match never {}) }
        }))
    }

    /// The methods that can be called.
    pub fn contract(&self) -> &Arc<Contract> {
        &self.shared.contract
    }

    pub(crate) fn max_message_bytes(&self) -> usize {
        self.shared.wiring.max_message_bytes
    }

    /// Names a request that does not reach a method.
    pub(crate) fn request_id(&self, headers: &HeaderMap) -> RequestId {
        request_id::read(headers, self.shared.wiring.rng.as_ref())
    }

    /// Runs one call. `message` is awaited only once the caller is known and allowed, so that
    /// nobody makes us read or parse a body whom the method refuses anyway. Only methods for
    /// everybody read a stranger's.
    pub(crate) async fn answer<F>(&self, method: &Arc<Method>, head: Parts, message: F) -> Reply
    where
        F: Future<Output = Result<Bytes, Failure>> + Send,
    {
        let id = self.request_id(&head.headers);
        let span = tracing::info_span!(
            "call",
            method = method.label(),
            request_id = id.0,
            environment = tracing::field::Empty,
            caller = tracing::field::Empty,
        );
        let started = Instant::now();
        let answer = self
            .run(method, head, message, &id)
            .instrument(span.clone())
            .await;
        let (metadata, result) = match answer {
            Ok((metadata, result)) => (
                metadata,
                result.map_err(|status| failure::complete(&status, &id.0)),
            ),
            Err(failure) => (HeaderMap::new(), Err(failure.into_status(&id.0))),
        };
        let code = result.as_ref().err().map_or(tonic::Code::Ok, Status::code);
        let took = started.elapsed();
        self.shared
            .wiring
            .metrics
            .record(method.label(), code, took);
        let _entered = span.enter();
        let millis = took.as_secs_f64() * 1_000.0;
        // SECURITY: the reason alone. The text can repeat what was sent; causes of ours are logged
        // where they arise.
        match &result {
            Ok(_) => tracing::debug!(millis, "answered"),
            Err(status) => {
                let reason = failure::reason(status);
                if code == tonic::Code::Internal {
                    tracing::error!(millis, reason, "failed");
                } else {
                    tracing::info!(millis, ?code, reason, "refused");
                }
            }
        }
        Reply {
            request_id: id,
            metadata,
            result,
        }
    }

    async fn run<F>(
        &self,
        method: &Arc<Method>,
        head: Parts,
        message: F,
        id: &RequestId,
    ) -> Result<(HeaderMap, Result<Bytes, Status>), Failure>
    where
        F: Future<Output = Result<Bytes, Failure>> + Send,
    {
        let deadline = Instant::now() + self.call_time(&head.headers);
        let (site, admission) = self.admit(method, &head, id).await?;
        let span = tracing::Span::current();
        span.record(
            "environment",
            tracing::field::display(admission.environment),
        );
        span.record("caller", &admission.subject);
        let late = |_| Failure::new(ErrorCode::DeadlineExceeded);
        let message = tokio::time::timeout_at(deadline, message)
            .await
            .map_err(late)??;
        self.check(method, &message)?;
        let rates = self.count(&admission, &head)?.headers();
        // A method runs to its end although the caller hangs up or gives up: after a commit it still
        // has to forget what this process remembers, and to tell the provider.
        let forwarded = {
            let (this, method, id) = (self.clone(), Arc::clone(method), id.clone());
            let run = async move {
                this.forward(&method, head, site, admission, message, &id)
                    .await
            };
            tokio::spawn(run.instrument(span))
        };
        let (mut metadata, mut result) = tokio::time::timeout_at(deadline, forwarded)
            .await
            .map_err(late)?
            .map_err(internal)??;
        match &mut result {
            Ok(_) => metadata.extend(rates),
            Err(status) => failure::add_headers(status, rates),
        }
        Ok((metadata, result))
    }

    /// Who calls, and may they?
    async fn admit(
        &self,
        method: &Method,
        head: &Parts,
        id: &RequestId,
    ) -> Result<(Arc<Site>, Admission), Failure> {
        if method.callers == CallerKinds::BLOCKED {
            return Err(Failure::new(ErrorCode::Unimplemented));
        }
        let authenticate = &self.shared.wiring.authenticate;
        let unknown =
            || Failure::because(ErrorCode::NotFound, "no environment is served at this host");
        let host = host::of(head).ok_or_else(unknown)?;
        let site = authenticate
            .site(&host)
            .await
            .map_err(internal)?
            .ok_or_else(unknown)?;
        if method.callers.allow_anonymous() {
            let admission = authenticate.anonymous(&site, id);
            return Ok((site, admission));
        }
        let peer = head.extensions.get::<Peer>().map(|peer| peer.address);
        let credentials = credentials::read(&head.headers, self.origin, &site.base_url, peer);
        let admission = authenticate
            .authenticate(&site, &credentials, id)
            .await
            .map_err(|error| match error {
                AuthError::Internal(cause) => internal(cause),
                refused => Failure::because(refused.code(), refused.message()),
            })?;
        if !method.callers.allow(admission.kind) {
            return Err(Failure::because(
                ErrorCode::PermissionDenied,
                "this method cannot be called with this kind of credential",
            ));
        }
        let needed = &method.permissions;
        if !needed.is_empty()
            && !needed
                .iter()
                .any(|name| admission.permissions.contains(name))
        {
            return Err(Failure {
                required_permissions: needed.clone(),
                ..Failure::because(
                    ErrorCode::PermissionDenied,
                    format!(
                        "the credential lacks the permission {}",
                        needed.join(" or ")
                    ),
                )
            });
        }
        Ok((site, admission))
    }

    fn check(&self, method: &Method, message: &Bytes) -> Result<(), Failure> {
        let input = method.descriptor.input();
        if message.is_empty() && self.shared.wiring.rules.is_free(&input) {
            return Ok(());
        }
        let name = input.name().to_owned();
        let decoded = DynamicMessage::decode(input, message.clone()).map_err(|error| {
            let text = format!("the request is not a valid {name}: {error}");
            Failure::because(ErrorCode::InvalidArgument, text)
        })?;
        let violations = self.shared.wiring.rules.violations(&decoded);
        if violations.is_empty() {
            Ok(())
        } else {
            Err(Failure::fields(violations))
        }
    }

    fn count(&self, admission: &Admission, head: &Parts) -> Result<RateFields, Failure> {
        let Shared { rates, wiring, .. } = self.shared.as_ref();
        let (subject, limit) = if admission.kind == CallerKinds::NONE {
            let peer = head.extensions.get::<Peer>();
            let address = peer.map_or_else(
                || "in process".to_owned(),
                |peer| visitor(peer.address).to_string(),
            );
            (address, wiring.limits.anonymous)
        } else {
            (admission.subject.clone(), wiring.limits.caller)
        };
        let (env, mut fields) = (admission.environment, RateFields::default());
        rates.count(env, Some(subject), limit, &mut fields)?;
        rates.count(env, None, wiring.limits.environment, &mut fields)?;
        Ok(fields)
    }

    /// Hands the call to its method.
    async fn forward(
        &self,
        method: &Method,
        head: Parts,
        site: Arc<Site>,
        admission: Admission,
        message: Bytes,
        id: &RequestId,
    ) -> Result<(HeaderMap, Result<Bytes, Status>), Failure> {
        let mut request = http::Request::new(Full::new(grpc::frame(&message)));
        *request.method_mut() = http::Method::POST;
        *request.version_mut() = http::Version::HTTP_2;
        *request.uri_mut() = method.path.parse().map_err(internal)?;
        *request.headers_mut() = inner_headers(head.headers, id);
        let extensions = request.extensions_mut();
        *extensions = head.extensions;
        extensions.extend(admission.extensions);
        extensions.insert(site);
        extensions.insert(id.clone());
        // The service of a `Routes` cannot fail.
        let response = match self.shared.wiring.routes.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let (mut parts, body) = response.into_parts();
        if let Some(status) = Status::from_header_map(&parts.headers) {
            // An answer without a message carries its status in the headers.
            return Ok((HeaderMap::new(), Err(status)));
        }
        let collected = body.collect().await.map_err(internal)?;
        let status = collected.trailers().and_then(Status::from_header_map);
        if let Some(status) = status.filter(|status| status.code() != tonic::Code::Ok) {
            return Ok((HeaderMap::new(), Err(status)));
        }
        let message = grpc::unframe(&collected.to_bytes())
            .ok_or_else(|| internal("the method sent no message"))?;
        parts.headers.remove(header::CONTENT_TYPE);
        parts.headers.remove(header::CONTENT_LENGTH);
        parts.headers.remove("grpc-encoding");
        Ok((parts.headers, Ok(message)))
    }

    /// How long the call may take: what the client asks for, within our limit.
    fn call_time(&self, headers: &HeaderMap) -> Duration {
        let limit = self.shared.wiring.max_call_time;
        grpc::timeout(headers).map_or(limit, |asked| asked.min(limit))
    }
}

/// Headers for the method: credentials have been used up, and the body is no longer the client's.
fn inner_headers(mut headers: HeaderMap, id: &RequestId) -> HeaderMap {
    for name in [
        header::AUTHORIZATION,
        header::COOKIE,
        header::HOST,
        header::CONTENT_LENGTH,
        header::CONNECTION,
        header::TRANSFER_ENCODING,
        header::ACCEPT_ENCODING,
        header::CONTENT_ENCODING,
    ] {
        headers.remove(name);
    }
    for name in ["grpc-encoding", "grpc-accept-encoding", "grpc-timeout"] {
        headers.remove(name);
    }
    headers.insert(
        header::CONTENT_TYPE,
        http::HeaderValue::from_static("application/grpc"),
    );
    headers.insert(header::TE, http::HeaderValue::from_static("trailers"));
    if let Ok(value) = http::HeaderValue::from_str(&id.0) {
        headers.insert(REQUEST_ID, value);
    }
    headers
}

/// Logs the cause and keeps it from the caller.
pub(crate) fn internal(cause: impl fmt::Display) -> Failure {
    tracing::error!(%cause, "internal error");
    Failure::new(ErrorCode::Internal)
}
