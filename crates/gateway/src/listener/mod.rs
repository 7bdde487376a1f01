//! Takes connections: TLS (ALPN `h2`, `http/1.1`) or plain (HTTP/2 by prior knowledge, HTTP/1.1).
//!
//! What a stranger may cost is bounded: connections, all together and from one address, time for
//! handshake, headers and body, header size.
//! Clients that keep a connection open without calls are left alone: on HTTP/2 a dead one is found by
//! our own pings, a living one may ping as it likes and idle as long as it likes; on HTTP/1.1 it is
//! closed after the idle time.

mod admission;
mod body;
mod head;
pub mod proxy;
pub mod tls;

pub use body::Pace;

use crate::{Gateway, Metrics, Peer};
use admission::Admission;
use body::{GivenUp, RequestBody};
use head::{HeadLimit, Requests};
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use proxy::TrustedProxies;
use std::{
    convert::Infallible, fmt, io, net::SocketAddr, num::NonZeroU32, pin::pin, sync::Arc,
    time::Duration,
};
use tls::Certificate;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tonic::body::Body;

/// How a listener behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `None` for plain connections, behind a proxy that ends TLS.
    pub certificate: Option<Arc<Certificate>>,
    /// Connections at the same time; more are closed at once.
    pub max_connections: usize,
    /// Those of them that one client may have: an IPv4 address, or a /64 of IPv6. `None` for no
    /// limit. Trusted proxies have none.
    pub max_connections_per_address: Option<NonZeroU32>,
    /// Time for the TLS handshake and for the headers of a request: of the first one from the start of
    /// the connection, of others from their first byte.
    pub header_timeout: Duration,
    /// How long an HTTP/1.1 connection may wait for its next request (agentkit specification 5, row 8:
    /// at least five minutes).
    pub idle_timeout: Duration,
    /// How slowly a request body may arrive; after that it is answered with 408.
    pub body_pace: Pace,
    /// Headers of one request, in bytes.
    pub max_header_bytes: u32,
    /// Time for running requests to end at shutdown.
    pub drain: Duration,
    /// Whose `X-Forwarded-*` headers are believed.
    pub trusted_proxies: TrustedProxies,
    /// Tell browsers to use only TLS for this host for a year (not for development on localhost).
    pub strict_transport_security: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            certificate: None,
            max_connections: 10_000,
            max_connections_per_address: NonZeroU32::new(1_000),
            header_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(5 * 60 + 30),
            body_pace: Pace {
                patience: Duration::from_secs(30),
                min_rate: 1024,
            },
            max_header_bytes: 64 * 1024,
            drain: Duration::from_secs(30),
            trusted_proxies: TrustedProxies::default(),
            strict_transport_security: false,
        }
    }
}

/// A bound address.
pub struct Listener {
    socket: TcpListener,
    settings: Arc<Settings>,
    tls: Option<TlsAcceptor>,
    metrics: Metrics,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("socket", &self.socket)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Http1,
    Http2,
}

impl Listener {
    /// Binds `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn bind(
        address: SocketAddr,
        settings: Settings,
        metrics: Metrics,
    ) -> io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        let tls = settings
            .certificate
            .clone()
            .map(tls::acceptor)
            .transpose()
            .map_err(io::Error::other)?;
        Ok(Self {
            socket,
            settings: Arc::new(settings),
            tls,
            metrics,
        })
    }

    /// The address in use.
    ///
    /// # Errors
    /// When the operating system does not know.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves until `shutdown` ends, then lets running requests end within the drain time.
    pub async fn serve(self, gateway: Gateway, shutdown: impl Future<Output = ()> + Send) {
        let Self {
            socket,
            settings,
            tls,
            metrics,
        } = self;
        let admission = Admission::new(
            settings.max_connections,
            settings.max_connections_per_address,
            settings.trusted_proxies.clone(),
        );
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                () = &mut shutdown => break,
                accepted = socket.accept() => accepted,
            };
            let (stream, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, or the client gave up: wait rather than spin.
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            while connections.try_join_next().is_some() {}
            let Some(slot) = admission.admit(address.ip()) else {
                // Closed rather than left hanging, so that the client can go elsewhere.
                metrics.refused_connections.inc();
                tracing::debug!(%address, "too many connections");
                continue;
            };
            let connection = Connection {
                gateway: gateway.clone(),
                settings: settings.clone(),
                tls: tls.clone(),
                address,
                watcher: graceful.watcher(),
            };
            let open = metrics.connections.clone();
            connections.spawn(async move {
                let _slot = slot;
                open.inc();
                if let Err(error) = connection.run(stream).await {
                    tracing::debug!(%error, %address, "connection ended");
                }
                open.dec();
            });
        }
        drop(socket);
        tokio::select! {
            () = graceful.shutdown() => {}
            () = sleep(settings.drain) => tracing::warn!("requests were still running at the end of the drain time"),
        }
        connections.shutdown().await;
    }
}

struct Connection {
    gateway: Gateway,
    settings: Arc<Settings>,
    tls: Option<TlsAcceptor>,
    address: SocketAddr,
    watcher: hyper_util::server::graceful::Watcher,
}

type ConnectionError = Box<dyn std::error::Error + Send + Sync>;

impl Connection {
    async fn run(self, stream: TcpStream) -> Result<(), ConnectionError> {
        stream.set_nodelay(true)?;
        let limit = self.settings.header_timeout;
        match &self.tls {
            Some(tls) => {
                let stream = timeout(limit, tls.accept(stream)).await??;
                let protocol = match stream.get_ref().1.alpn_protocol() {
                    Some(b"h2") => Protocol::Http2,
                    _ => Protocol::Http1,
                };
                self.speak(stream, protocol).await
            }
            None => {
                let protocol = timeout(limit, detect(&stream)).await??;
                self.speak(stream, protocol).await
            }
        }
    }

    async fn speak<IO>(self, io: IO, protocol: Protocol) -> Result<(), ConnectionError>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self {
            gateway,
            settings,
            tls,
            address,
            watcher,
        } = self;
        let secure = tls.is_some();
        let (header_timeout, idle_timeout) = (settings.header_timeout, settings.idle_timeout);
        let max_header_bytes = settings.max_header_bytes;
        let requests = Requests::default();
        let begun = requests.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            let running = begun.begin();
            let gateway = gateway.clone();
            let peer = settings.trusted_proxies.resolve(
                &mut request,
                Peer {
                    address: address.ip().to_canonical(),
                    secure,
                },
            );
            let strict = peer.secure && settings.strict_transport_security;
            request.extensions_mut().insert(peer);
            let read_rest = !request.headers().contains_key(header::EXPECT);
            let given_up = GivenUp::default();
            let request = request.map(|body| {
                RequestBody::new(body, read_rest, settings.body_pace, given_up.clone())
            });
            async move {
                // SECURITY: whoever stands in front may have chosen by the other one (RFC 9112 section 3.2).
                let hosts = request.headers().get_all(header::HOST);
                let mut response = if hosts.iter().nth(1).is_some() {
                    two_hosts()
                } else {
                    gateway.handle(request).await
                };
                if given_up.happened() {
                    // Handlers see a body that broke off; the client can be told more.
                    response = too_slow(protocol);
                }
                if strict {
                    let value = HeaderValue::from_static("max-age=31536000; includeSubDomains");
                    response
                        .headers_mut()
                        .insert(header::STRICT_TRANSPORT_SECURITY, value);
                }
                Ok::<_, Infallible>(response.map(|body| running.until_sent(body)))
            }
        });
        match protocol {
            Protocol::Http1 => {
                let io = TokioIo::new(HeadLimit::new(io, header_timeout, requests));
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(idle_timeout)
                    .max_buf_size(
                        usize::try_from(max_header_bytes)
                            .unwrap_or(usize::MAX)
                            .max(8_192),
                    )
                    .serve_connection(io, service);
                watcher.watch(connection).await?;
            }
            Protocol::Http2 => {
                let io = TokioIo::new(io);
                let connection = http2::Builder::new(TokioExecutor::new())
                    .timer(TokioTimer::new())
                    .keep_alive_interval(Duration::from_secs(60))
                    .keep_alive_timeout(Duration::from_secs(20))
                    .max_concurrent_streams(256)
                    .max_header_list_size(max_header_bytes)
                    .serve_connection(io, service);
                watcher.watch(connection).await?;
            }
        }
        Ok(())
    }
}

fn two_hosts() -> Response<Body> {
    let mut response = Response::new(Body::new("The request has two Host headers.".to_owned()));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}

/// The answer to a body that did not arrive. The connection ends with it, or on HTTP/2 the stream.
fn too_slow(protocol: Protocol) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::REQUEST_TIMEOUT;
    if protocol == Protocol::Http1 {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}

/// Tells HTTP/2 by prior knowledge from HTTP/1.1 by the first bytes, which stay unread. The caller
/// bounds the time.
async fn detect(stream: &TcpStream) -> io::Result<Protocol> {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let mut seen = [0; PREFACE.len()];
    loop {
        let count = stream.peek(&mut seen).await?;
        let start = seen.get(..count).unwrap_or_default();
        if count == 0 || !PREFACE.starts_with(start) {
            return Ok(Protocol::Http1);
        }
        if count == PREFACE.len() {
            return Ok(Protocol::Http2);
        }
        // Peeking again would return at once with the same bytes.
        sleep(Duration::from_millis(5)).await;
    }
}
