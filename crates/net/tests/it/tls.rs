use crate::support::{Table, full, get, serve};
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Response, Version};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use keystead_net::{
    FetchError, GuardedClient, Limits, Policy, RequestBody, Settings, certificates_from_pem,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ServerConfig, crypto::aws_lc_rs};
use std::{net::SocketAddr, sync::Arc};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A TLS server for `name` with a certificate of a new authority; gives the authority as PEM.
async fn start(name: &str, alpn: &[&str]) -> (SocketAddr, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec![name.to_owned()])
        .unwrap()
        .signed_by(&key, &authority)
        .unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key.into())
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(tls) = acceptor.accept(tcp).await else {
                    return;
                };
                serve(tls, |request| async move {
                    let version = match request.version() {
                        Version::HTTP_2 => "2",
                        _ => "1",
                    };
                    let mut trailers = HeaderMap::new();
                    trailers.insert("grpc-status", HeaderValue::from_static("0"));
                    let frames = [
                        Ok(Frame::data(version.into())),
                        Ok(Frame::trailers(trailers)),
                    ];
                    match request.uri().path() {
                        "/trailers" => {
                            Response::new(StreamBody::new(stream::iter(frames)).boxed_unsync())
                        }
                        _ => Response::new(full(version)),
                    }
                })
                .await;
            });
        }
    });
    (address, authority.pem())
}

fn client(authority: &str) -> GuardedClient {
    let table = Table::default()
        .with("api.test", &[&["127.0.0.1"]])
        .with("other.test", &[&["127.0.0.1"]]);
    GuardedClient::new(Settings {
        policy: Policy {
            allow_http: false,
            ..Policy::development()
        },
        extra_roots: certificates_from_pem(authority.as_bytes()).unwrap(),
        resolver: Arc::new(table),
        ..Settings::default()
    })
    .unwrap()
}

#[tokio::test]
async fn an_extra_root_is_trusted_and_the_best_common_protocol_used() {
    for (alpn, expected) in [
        (&["h2", "http/1.1"][..], "2"),
        (&["http/1.1"], "1"),
        (&[], "1"),
    ] {
        let (address, authority) = start("api.test", alpn).await;
        let url = format!("https://api.test:{}/", address.port());
        assert_eq!(
            client(&authority).fetch(get(url)).await.unwrap().body(),
            expected
        );
    }
}

#[tokio::test]
async fn an_unknown_authority_and_a_wrong_name_are_refused() {
    let (address, authority) = start("api.test", &["h2"]).await;
    let (_, stranger) = start("api.test", &["h2"]).await;
    for (authority, host) in [
        (&stranger, "api.test"),
        (&authority, "other.test"),
        (&authority, "127.0.0.1"),
    ] {
        let url = format!("https://{host}:{}/", address.port());
        let error = client(authority).fetch(get(url)).await.unwrap_err();
        assert!(matches!(error, FetchError::Tls { .. }), "{host}: {error:?}");
    }
}

#[tokio::test]
async fn trailers_pass() {
    let (address, authority) = start("api.test", &["h2"]).await;
    let request =
        get(format!("https://api.test:{}/trailers", address.port())).map(RequestBody::from);
    let response = client(&authority)
        .stream(request, Limits::PROXY)
        .await
        .unwrap();
    let collected = response.into_body().collect().await.unwrap();
    assert_eq!(collected.trailers().unwrap()["grpc-status"], "0");
}

#[test]
fn junk_is_not_a_certificate() {
    for junk in [
        "",
        "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----",
    ] {
        assert!(certificates_from_pem(junk.as_bytes()).is_err(), "{junk}");
    }
}
