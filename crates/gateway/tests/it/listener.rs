use crate::app::{ALL, HOST, Hold, gateway, pipeline, wiring_with};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{
    body::{Frame, Incoming},
    client::conn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use keystead_gateway::{
    Metrics, Pipeline,
    listener::{Listener, Pace, Settings, proxy::TrustedProxies, tls::Certificate},
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName},
};
use std::{convert::Infallible, net::SocketAddr, path::Path, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::{mpsc::error::SendError, oneshot},
    task::JoinHandle,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

async fn start(settings: Settings) -> Running {
    start_with(settings, pipeline()).await
}

async fn start_with(settings: Settings, pipeline: Pipeline) -> Running {
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), settings, Metrics::default())
        .await
        .unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let gateway = gateway(pipeline);
    let task = tokio::spawn(listener.serve(gateway, async {
        let _ = stopped.await;
    }));
    Running {
        address,
        stop,
        task,
    }
}

fn list() -> http::request::Builder {
    Request::builder().header("authorization", format!("Bearer {ALL}"))
}

async fn http2<IO>(io: IO) -> conn::http2::SendRequest<Full<Bytes>>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = conn::http2::handshake(TokioExecutor::new(), TokioIo::new(io))
        .await
        .unwrap();
    tokio::spawn(connection);
    sender
}

async fn http1<IO>(io: IO) -> conn::http1::SendRequest<Full<Bytes>>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = conn::http1::handshake(TokioIo::new(io)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn text(response: Response<Incoming>) -> String {
    String::from_utf8(
        response
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes()
            .to_vec(),
    )
    .unwrap()
}

#[tokio::test]
async fn plain_http2_by_prior_knowledge_and_http1_share_a_port() {
    let running = start(Settings::default()).await;
    let mut sender = http2(TcpStream::connect(running.address).await.unwrap()).await;
    let request = list().uri(format!("http://{HOST}/api/v1/organizations?page_size=20"));
    let response = sender
        .send_request(request.body(Full::default()).unwrap())
        .await
        .unwrap();
    assert_eq!(
        (response.version(), response.status()),
        (http::Version::HTTP_2, StatusCode::OK)
    );
    assert!(text(response).await.contains("\"total_size\":20"));

    let mut sender = http1(TcpStream::connect(running.address).await.unwrap()).await;
    let request = list()
        .uri("/api/v1/organizations?page_size=20")
        .header("host", HOST);
    let response = sender
        .send_request(request.body(Full::default()).unwrap())
        .await
        .unwrap();
    assert_eq!(
        (response.version(), response.status()),
        (http::Version::HTTP_11, StatusCode::OK)
    );
    assert!(text(response).await.contains("\"total_size\":20"));
}

#[tokio::test]
async fn grpc_over_the_wire_ends_with_trailers() {
    let running = start(Settings::default()).await;
    let mut sender = http2(TcpStream::connect(running.address).await.unwrap()).await;
    let path = "scalekit.v1.organizations.OrganizationService/ListOrganization";
    let request = list()
        .method("POST")
        .uri(format!("http://{HOST}/{path}"))
        .header("content-type", "application/grpc");
    let body = Full::new(Bytes::from_static(&[0, 0, 0, 0, 2, 8, 20]));
    let response = sender
        .send_request(request.body(body).unwrap())
        .await
        .unwrap();
    assert_eq!(response.headers()["content-type"], "application/grpc");
    let collected = response.into_body().collect().await.unwrap();
    assert_eq!(collected.trailers().unwrap()["grpc-status"], "0");
}

/// A self-signed certificate for localhost in two PEM files; gives its DER.
fn issue(folder: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

async fn connect(
    address: SocketAddr,
    trusted: &CertificateDer<'static>,
    alpn: &[u8],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    let stream = TcpStream::connect(address).await.unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(ServerName::try_from("localhost").unwrap(), stream)
        .await
}

#[tokio::test]
async fn tls_chooses_the_protocol_by_alpn_and_takes_a_new_certificate_while_running() {
    let folder = tempfile::tempdir().unwrap();
    let first = issue(folder.path());
    let files = (
        folder.path().join("cert.pem"),
        folder.path().join("key.pem"),
    );
    let certificate = Arc::new(Certificate::load(files.0.clone(), files.1).await.unwrap());
    let settings = Settings {
        certificate: Some(certificate.clone()),
        strict_transport_security: true,
        ..Settings::default()
    };
    let running = start(settings).await;

    let mut sender = http2(connect(running.address, &first, b"h2").await.unwrap()).await;
    let request = list()
        .uri("https://localhost/api/v1/organizations")
        .body(Full::default())
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(
        (response.version(), response.status()),
        (http::Version::HTTP_2, StatusCode::OK)
    );
    assert!(response.headers().contains_key("strict-transport-security"));

    let mut sender = http1(connect(running.address, &first, b"http/1.1").await.unwrap()).await;
    let request = list()
        .uri("/api/v1/organizations")
        .header("host", "localhost")
        .body(Full::default())
        .unwrap();
    assert_eq!(
        sender.send_request(request).await.unwrap().status(),
        StatusCode::OK
    );

    assert!(!certificate.reload().await.unwrap());
    let second = issue(folder.path());
    assert!(certificate.reload().await.unwrap());
    assert!(connect(running.address, &second, b"h2").await.is_ok());
    assert!(connect(running.address, &first, b"h2").await.is_err());

    std::fs::write(&files.0, "no certificate").unwrap();
    assert!(certificate.reload().await.is_err());
    assert!(
        connect(running.address, &second, b"h2").await.is_ok(),
        "the former certificate stays in use"
    );
}

#[tokio::test]
async fn slow_and_silent_connections_are_closed() {
    let running = start(Settings {
        header_timeout: Duration::from_millis(100),
        ..Settings::default()
    })
    .await;
    for beginning in [&b""[..], b"PRI * HT", b"GET / HTTP/1.1\r\nhost:"] {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        stream.write_all(beginning).await.unwrap();
        let mut rest = Vec::new();
        let closed =
            tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
        assert!(closed.is_ok(), "{beginning:?} kept the connection open");
    }
}

#[tokio::test]
async fn oversized_headers_are_refused() {
    let running = start(Settings::default()).await;
    let mut sender = http1(TcpStream::connect(running.address).await.unwrap()).await;
    let request = list()
        .uri("/api/v1/organizations")
        .header("host", HOST)
        .header("x-big", "x".repeat(400_000));
    let response = sender
        .send_request(request.body(Full::default()).unwrap())
        .await
        .unwrap();
    assert_eq!(
        response.status(),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
    );
}

/// RFC 9112 section 3.2
#[tokio::test]
async fn a_second_host_is_refused() {
    let running = start(Settings::default()).await;
    let mut sender = http1(TcpStream::connect(running.address).await.unwrap()).await;
    let request = list()
        .uri("/api/v1/organizations")
        .header("host", HOST)
        .header("host", "other.example.com");
    let response = sender.send_request(request.body(Full::default()).unwrap());
    assert_eq!(response.await.unwrap().status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_running_request_ends_before_the_listener_does() {
    let hold = Arc::new(Hold::default());
    let pipeline = Pipeline::new(wiring_with(hold.clone())).unwrap();
    let running = start_with(Settings::default(), pipeline).await;
    let stream = TcpStream::connect(running.address).await.unwrap();
    let (mut idle, connection) = conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let idle_ended = tokio::spawn(connection);
    let request = list().uri("/api/v1/organizations").header("host", HOST);
    let answer = idle.send_request(request.body(Full::<Bytes>::default()).unwrap());
    assert_eq!(answer.await.unwrap().status(), StatusCode::OK);

    let mut sender = http2(TcpStream::connect(running.address).await.unwrap()).await;
    let request = list()
        .method("POST")
        .uri(format!("http://{HOST}/api/v1/organizations"));
    let slow = sender.send_request(
        request
            .body(Full::from(r#"{"display_name":"wait"}"#))
            .unwrap(),
    );
    let slow = tokio::spawn(slow);
    hold.begun.notified().await;
    running.stop.send(()).unwrap();
    // The listener has begun to stop when it closes a connection that does nothing.
    idle_ended.await.unwrap().unwrap();
    assert!(!slow.is_finished() && !running.task.is_finished());
    hold.go.notify_one();
    assert_eq!(slow.await.unwrap().unwrap().status(), StatusCode::CREATED);
    tokio::time::timeout(Duration::from_secs(5), running.task)
        .await
        .unwrap()
        .unwrap();
    assert!(TcpStream::connect(running.address).await.is_err());
}

/// One call on a connection of its own; `None` when the connection is closed on us.
async fn call(address: SocketAddr) -> Option<(conn::http1::SendRequest<Full<Bytes>>, StatusCode)> {
    let mut sender = http1(TcpStream::connect(address).await.unwrap()).await;
    let request = list()
        .uri("/api/v1/organizations")
        .header("host", HOST)
        .body(Full::default())
        .unwrap();
    let response = sender.send_request(request).await.ok()?;
    Some((sender, response.status()))
}

#[tokio::test]
async fn more_connections_than_allowed_are_closed_at_once() {
    let all = Settings {
        max_connections: 1,
        ..Settings::default()
    };
    let of_one_client = Settings {
        max_connections_per_address: std::num::NonZeroU32::new(1),
        ..Settings::default()
    };
    for settings in [all, of_one_client] {
        let running = start(settings).await;
        let (mut first, status) = call(running.address).await.unwrap();
        assert_eq!(status, StatusCode::OK);
        assert!(call(running.address).await.is_none());

        let request = list().uri("/api/v1/organizations").header("host", HOST);
        let again = first.send_request(request.body(Full::default()).unwrap());
        assert_eq!(again.await.unwrap().status(), StatusCode::OK);
        drop(first);
        let served = async {
            // The listener notices the closed connection in its own time.
            while call(running.address).await.is_none() {}
        };
        tokio::time::timeout(Duration::from_secs(5), served)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn trusted_proxies_may_open_as_many_connections_as_there_are() {
    let running = start(Settings {
        max_connections_per_address: std::num::NonZeroU32::new(1),
        trusted_proxies: TrustedProxies(vec!["127.0.0.0/8".parse().unwrap()]),
        ..Settings::default()
    })
    .await;
    let first = call(running.address).await.unwrap();
    let second = call(running.address).await.unwrap();
    assert_eq!((first.1, second.1), (StatusCode::OK, StatusCode::OK));
}

/// Whoever reads the body, and whatever the handler makes of one that breaks off.
#[tokio::test]
async fn a_body_that_does_not_arrive_is_answered_and_ends_the_connection() {
    let running = start(Settings {
        body_pace: Pace {
            patience: Duration::from_millis(50),
            min_rate: 1024,
        },
        ..Settings::default()
    })
    .await;
    let grpc = "/scalekit.v1.organizations.OrganizationService/ListOrganization";
    for (path, kind) in [
        ("/api/v1/organizations", "application/json"),
        ("/oauth/token", "application/x-www-form-urlencoded"),
        (grpc, "application/grpc"),
    ] {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {HOST}\r\nauthorization: Bearer {ALL}\r\n\
             content-type: {kind}\r\ncontent-length: 9\r\n\r\n{{"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer))
            .await
            .unwrap_or_else(|_| panic!("{path} kept the connection open"))
            .unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 408"), "{path}: {answer}");
        assert!(answer.contains("connection: close"), "{answer}");
    }
}

/// A client that still sends gets the answer, and on HTTP/2 no reset for what it is about to send.
#[tokio::test]
async fn a_body_that_is_too_large_is_answered_while_it_is_sent() {
    let running = start(Settings::default()).await;
    let (mut sender, connection) = conn::http2::handshake(
        TokioExecutor::new(),
        TokioIo::new(TcpStream::connect(running.address).await.unwrap()),
    )
    .await
    .unwrap();
    tokio::spawn(connection);
    for rest in [64 << 10, 64 << 20] {
        let (pieces, mut taken) = tokio::sync::mpsc::channel::<Bytes>(1);
        let body = stream::poll_fn(move |cx| taken.poll_recv(cx));
        let body = body.map(|piece| Ok::<_, Infallible>(Frame::data(piece)));
        let request = list()
            .method("POST")
            .uri(format!("http://{HOST}/api/v1/organizations"))
            .header("content-type", "application/json");
        let request = request.body(BoxBody::new(StreamBody::new(body))).unwrap();
        let response = tokio::spawn(sender.send_request(request));
        pieces.send(vec![b' '; (4 << 20) + 1].into()).await.unwrap();
        let response = response.await.unwrap().unwrap();
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert!(text(response).await.contains("REQUEST_TOO_LARGE"));
        let sent = async {
            for _ in 0..rest / 1024 {
                pieces.send(vec![b' '; 1024].into()).await?;
            }
            Ok::<_, SendError<Bytes>>(())
        };
        // What is too much even to throw away is not waited for either.
        assert_eq!(sent.await.is_ok(), rest <= 64 << 10);
    }
}
