use crate::{
    Blocked, Egress, FetchError, Policy, RequestBody, Resolver, ResponseBody, SetupError,
    SystemResolver, connector::GuardedConnector, error::find, headers::remove_hop_by_hop, tls,
};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header, uri::Scheme};
use http_body::Body;
use http_body_util::BodyExt;
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};
use rustls::pki_types::CertificateDer;
use std::{fmt, sync::Arc, time::Duration};
use tokio::time::{Instant, timeout_at};

/// How the client is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which targets may be reached.
    pub policy: Policy,
    /// Root certificates trusted besides the system's own.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// Sent when a request has no `User-Agent` of its own.
    pub user_agent: String,
    /// Time for name resolution, TCP and TLS together.
    pub connect_timeout: Duration,
    /// Finds the addresses of host names.
    pub resolver: Arc<dyn Resolver>,
    /// How connections leave.
    pub egress: Egress,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            extra_roots: Vec::new(),
            user_agent: concat!("Keystead/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout: Duration::from_secs(5),
            resolver: Arc::new(SystemResolver),
            egress: Egress::default(),
        }
    }
}

/// Limits of one request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// From sending the request to the last byte of the response.
    pub timeout: Duration,
    /// Largest response body, in bytes.
    pub max_response: u64,
}

impl Limits {
    /// Token endpoints and metadata: 10 s (AK-309) and 1 MiB.
    pub const DOCUMENT: Self = Self {
        timeout: Duration::from_secs(10),
        max_response: 1024 * 1024,
    };

    /// Proxied calls: 55 s (AK-414) and 100 MB (AK-452).
    pub const PROXY: Self = Self {
        timeout: Duration::from_secs(55),
        max_response: 100_000_000,
    };
}

/// The only outbound HTTP client of the product. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct GuardedClient {
    shared: Arc<Shared>,
    http: Client<GuardedConnector, RequestBody>,
    policy: Arc<Policy>,
}

/// What does not depend on the policy.
struct Shared {
    resolver: Arc<dyn Resolver>,
    tls: Arc<rustls::ClientConfig>,
    user_agent: HeaderValue,
    connect_timeout: Duration,
    egress: Egress,
}

impl GuardedClient {
    /// Sets the client up and reads the system's root certificates.
    ///
    /// # Errors
    /// [`SetupError`] when a certificate, the user agent or the proxy is not usable.
    pub fn new(settings: Settings) -> Result<Self, SetupError> {
        let shared = Shared {
            tls: tls::client_config(&settings.extra_roots)?,
            user_agent: HeaderValue::try_from(settings.user_agent)
                .map_err(|_| SetupError::UserAgent)?,
            resolver: settings.resolver,
            connect_timeout: settings.connect_timeout,
            egress: settings.egress,
        };
        Self::build(Arc::new(shared), settings.policy)
    }

    /// The same client under another policy (for example of one connector, AK-470).
    ///
    /// SECURITY: it gets a pool of its own, so that a connection opened under a wider policy is never
    /// reused under a stricter one. Keep the result; do not call this for every request.
    ///
    /// # Errors
    /// Those of [`Self::new`]; none when this client could be made.
    pub fn with_policy(&self, policy: Policy) -> Result<Self, SetupError> {
        Self::build(Arc::clone(&self.shared), policy)
    }

    fn build(shared: Arc<Shared>, policy: Policy) -> Result<Self, SetupError> {
        let policy = Arc::new(policy);
        let connector = GuardedConnector::new(
            Arc::clone(&shared.resolver),
            Arc::clone(&shared.tls),
            Arc::clone(&policy),
            shared.connect_timeout,
            &shared.egress,
        )
        .map_err(|_| SetupError::Proxy)?;
        let http = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(128)
            .http2_adaptive_window(true)
            .http2_keep_alive_interval(Duration::from_secs(20))
            .http2_keep_alive_timeout(Duration::from_secs(10))
            .build(connector);
        Ok(Self {
            shared,
            http,
            policy,
        })
    }

    /// Sends a request and reads the whole response, within [`Limits::DOCUMENT`].
    ///
    /// A redirect is returned like any other response.
    ///
    /// # Errors
    /// [`FetchError`]; a response of any status is no error.
    pub async fn fetch(&self, request: Request<Bytes>) -> Result<Response<Bytes>, FetchError> {
        self.fetch_within(request, Limits::DOCUMENT).await
    }

    /// Like [`fetch`](Self::fetch) with other limits.
    ///
    /// # Errors
    /// See [`fetch`](Self::fetch).
    pub async fn fetch_within(
        &self,
        request: Request<Bytes>,
        limits: Limits,
    ) -> Result<Response<Bytes>, FetchError> {
        let (parts, body) = self
            .stream(request.map(RequestBody::from), limits)
            .await?
            .into_parts();
        if body.size_hint().lower() > limits.max_response {
            return Err(FetchError::TooLarge {
                limit: limits.max_response,
            });
        }
        let bytes = body.collect().await?.to_bytes();
        Ok(Response::from_parts(parts, bytes))
    }

    /// Sends a request and gives the response as soon as its headers are there. Both bodies are
    /// streamed in constant memory; trailers pass; nothing is decompressed; redirects are returned.
    ///
    /// Hop-by-hop headers are removed in both directions, `Host` always follows the URL and
    /// `Content-Length` the body: one of unknown size is sent in chunks.
    ///
    /// # Errors
    /// [`FetchError`]; a response of any status is no error. The body may fail later on.
    pub async fn stream(
        &self,
        mut request: Request<RequestBody>,
        limits: Limits,
    ) -> Result<Response<ResponseBody>, FetchError> {
        self.check_url(request.uri())?;
        let headers = request.headers_mut();
        remove_hop_by_hop(headers);
        headers.remove(header::HOST);
        // SECURITY: with another length than the body's, the other side would take what the next
        // request on the connection begins with for the rest of this one.
        headers.remove(header::CONTENT_LENGTH);
        headers.remove(header::EXPECT);
        if !headers.contains_key(header::USER_AGENT) {
            headers.insert(header::USER_AGENT, self.shared.user_agent.clone());
        }
        *request.version_mut() = http::Version::HTTP_11;

        let deadline = Instant::now() + limits.timeout;
        let answered = timeout_at(deadline, self.send(request)).await;
        let mut response = answered.map_err(|_| FetchError::Timeout)??;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(FetchError::Protocol {
                source: "the host switched to another protocol, which nobody asked for".into(),
            });
        }
        remove_hop_by_hop(response.headers_mut());
        *response.version_mut() = http::Version::HTTP_11;
        Ok(response.map(|body| ResponseBody::new(body, deadline, limits.max_response)))
    }

    /// Sends once; a `GET` or `HEAD` whose kept-alive connection was closed by the other side at
    /// that moment is sent again on a new one.
    async fn send(
        &self,
        request: Request<RequestBody>,
    ) -> Result<Response<hyper::body::Incoming>, FetchError> {
        let again = resendable(&request);
        match (self.http.request(request).await, again) {
            (Err(error), Some(again)) if closed_unanswered(&error) => {
                Ok(self.http.request(again).await?)
            }
            (result, _) => Ok(result?),
        }
    }

    /// The checks that need no address.
    fn check_url(&self, url: &Uri) -> Result<(), FetchError> {
        let blocked = |why| Err(FetchError::Blocked { why });
        let Some(authority) = url.authority() else {
            return Err(FetchError::Protocol {
                source: "the URL is not absolute".into(),
            });
        };
        if authority.as_str().contains('@') {
            return blocked(Blocked::UserInfo);
        }
        let https = url.scheme() == Some(&Scheme::HTTPS);
        let http = url.scheme() == Some(&Scheme::HTTP) && self.policy.allow_http;
        if https || http {
            Ok(())
        } else {
            blocked(Blocked::Scheme)
        }
    }
}

impl fmt::Debug for GuardedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedClient")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

fn resendable(request: &Request<RequestBody>) -> Option<Request<RequestBody>> {
    let safe =
        matches!(*request.method(), Method::GET | Method::HEAD) && request.body().is_end_stream();
    safe.then(|| {
        let mut again = Request::new(RequestBody::empty());
        *again.method_mut() = request.method().clone();
        *again.uri_mut() = request.uri().clone();
        *again.headers_mut() = request.headers().clone();
        again
    })
}

fn closed_unanswered(error: &hyper_util::client::legacy::Error) -> bool {
    !error.is_connect()
        && find::<hyper::Error>(error).is_some_and(hyper::Error::is_incomplete_message)
}
