//! AK-473: connections through a proxy and from a chosen address.

use crate::support::{Server, Table, full, get};
use http::Response;
use keystead_net::{
    AddressClass, Blocked, Egress, EgressProxy, FetchError, GuardedClient, Names, Policy, Settings,
};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

/// A proxy that leads every tunnel to one server and keeps the heads it was sent.
struct Proxy {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// `answer` is what it says to `CONNECT`.
    async fn start(server: SocketAddr, answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heads);
        tokio::spawn(async move {
            loop {
                let (mut tcp, _) = listener.accept().await.unwrap();
                let kept = Arc::clone(&kept);
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        head.push(tcp.read_u8().await.unwrap());
                    }
                    kept.lock().unwrap().push(String::from_utf8(head).unwrap());
                    tcp.write_all(answer.as_bytes()).await.unwrap();
                    if !answer.contains(" 200 ") {
                        return;
                    }
                    let mut target = TcpStream::connect(server).await.unwrap();
                    // The client may go away.
                    let _ = copy_bidirectional(&mut tcp, &mut target).await;
                });
            }
        });
        Self { address, heads }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    fn client(&self, policy: Policy, names: Names, table: Table) -> GuardedClient {
        let text = format!("http://robot:p%40ss@{}", self.address);
        let mut proxy: EgressProxy = text.parse().unwrap();
        proxy.names = names;
        client(
            policy,
            table,
            Egress {
                proxy: Some(proxy),
                ..Egress::default()
            },
        )
    }
}

fn client(policy: Policy, table: Table, egress: Egress) -> GuardedClient {
    let settings = Settings {
        policy,
        resolver: Arc::new(table),
        egress,
        ..Settings::default()
    };
    GuardedClient::new(settings).unwrap()
}

const OPEN: &str = "HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n";

async fn server() -> Server {
    Server::start(|request| async move { Response::new(full(request.uri().path().to_owned())) })
        .await
}

/// Plain http to public addresses, which tests can watch.
fn http_allowed() -> Policy {
    Policy {
        allow_http: true,
        ..Policy::default()
    }
}

/// Part of AK-473: the proxy is given the address that was judged, and who it is for.
#[tokio::test]
async fn a_tunnel_leads_to_the_address_that_was_judged() {
    let server = server().await;
    let proxy = Proxy::start(server.address, OPEN).await;
    let table = Table::default().with(
        "api.test",
        &[&["10.0.0.7", "93.184.216.34", "2606:2800::1"]],
    );
    let client = proxy.client(http_allowed(), Names::Here, table);
    let response = client
        .fetch(get("http://api.test:8080/hello"))
        .await
        .unwrap();
    assert_eq!(response.body(), "/hello");
    let heads = proxy.heads();
    assert_eq!(heads.len(), 1);
    assert!(
        heads[0].starts_with("CONNECT 93.184.216.34:8080 HTTP/1.1\r\nHost: 93.184.216.34:8080\r\n"),
        "{}",
        heads[0]
    );
    assert!(
        heads[0].contains("Proxy-Authorization: Basic cm9ib3Q6cEBzcw==\r\n"),
        "{}",
        heads[0]
    );
    assert_eq!(server.connections(), 1, "nothing went straight");
}

/// Part of AK-470, part of AK-473: no proxy gets around the guard.
#[tokio::test]
async fn the_guard_judges_targets_behind_a_proxy() {
    let server = server().await;
    let proxy = Proxy::start(server.address, OPEN).await;
    let table = || Table::default().with("inside.test", &[&["10.0.0.7", "127.0.0.1"]]);
    for names in [Names::Here, Names::AtProxy] {
        let client = proxy.client(http_allowed(), names, table());
        for (url, class) in [
            ("https://10.0.0.1/", AddressClass::Private),
            ("http://127.1/", AddressClass::Loopback),
            ("https://[::ffff:169.254.169.254]/", AddressClass::LinkLocal),
        ] {
            let refused = client.fetch(get(url)).await;
            let expected = Blocked::Address(class);
            assert!(
                matches!(&refused, Err(FetchError::Blocked { why }) if *why == expected),
                "{url}: {refused:?}"
            );
        }
    }
    let here = proxy.client(http_allowed(), Names::Here, table());
    let refused = here.fetch(get("https://inside.test/")).await;
    assert!(
        matches!(
            refused,
            Err(FetchError::Blocked {
                why: Blocked::Address(_)
            })
        ),
        "{refused:?}"
    );
    assert_eq!(proxy.heads(), [""; 0]);
}

/// Part of AK-473: a proxy that resolves is given names, and none that only a local network has.
#[tokio::test]
async fn a_proxy_that_resolves_is_given_names() {
    let server = server().await;
    let proxy = Proxy::start(server.address, OPEN).await;
    let policy = Policy {
        allowed_hosts: vec!["api.corp.internal".parse().unwrap()],
        ..http_allowed()
    };
    // Nothing is resolved here: the table is empty.
    let client = proxy.client(policy, Names::AtProxy, Table::default());
    for url in [
        "http://api.example.com/x",
        "http://api.corp.internal:8080/x",
    ] {
        assert_eq!(client.fetch(get(url)).await.unwrap().body(), "/x");
    }
    let targets: Vec<String> = proxy
        .heads()
        .iter()
        .map(|head| head.split(' ').nth(1).unwrap().to_owned())
        .collect();
    assert_eq!(targets, ["api.example.com:80", "api.corp.internal:8080"]);
    for url in [
        "http://localhost/",
        "https://db/",
        "https://metadata.google.internal/",
        "https://printer.local/",
    ] {
        let refused = client.fetch(get(url)).await;
        assert!(
            matches!(
                refused,
                Err(FetchError::Blocked {
                    why: Blocked::LocalName
                })
            ),
            "{url}: {refused:?}"
        );
    }
}

/// Part of AK-473
#[tokio::test]
async fn a_proxy_that_opens_no_tunnel_is_no_answer() {
    let server = server().await;
    for (answer, says) in [
        ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "407"),
        ("HTTP/1.1 502 Bad Gateway\r\n\r\n", "502"),
        ("SSH-2.0-OpenSSH\r\n\r\n", "did not answer with HTTP"),
    ] {
        let proxy = Proxy::start(server.address, answer).await;
        let table = Table::default().with("api.test", &[&["93.184.216.34"]]);
        let client = proxy.client(http_allowed(), Names::Here, table);
        let failed = client.fetch(get("http://api.test/")).await.unwrap_err();
        let FetchError::Connect { source } = &failed else {
            panic!("{failed:?}")
        };
        let mut texts = vec![failed.to_string()];
        let mut next: Option<&dyn std::error::Error> = Some(source.as_ref());
        while let Some(error) = next {
            texts.push(error.to_string());
            next = error.source();
        }
        let texts = texts.join(": ");
        assert!(
            texts.contains(says) && !texts.contains("p@ss") && !texts.contains("cm9ib3Q"),
            "{texts}"
        );
    }
    assert_eq!(
        server.connections(),
        0,
        "the answer of the proxy is not the server's"
    );
}

/// Part of AK-473
#[tokio::test]
async fn connections_leave_from_the_chosen_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let egress = Egress {
        source_v4: Some([127, 0, 0, 9].into()),
        ..Egress::default()
    };
    let client = client(Policy::development(), Table::default(), egress);
    let asked = tokio::spawn({
        let client = client.clone();
        async move { client.fetch(get(url)).await }
    });
    let (mut tcp, peer) = listener.accept().await.unwrap();
    assert_eq!(peer.ip().to_string(), "127.0.0.9");
    tcp.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(asked.await.unwrap().unwrap().status(), 200);
    // No address was chosen for the other family, so it is not used.
    let Ok(other) = TcpListener::bind("[::1]:0").await else {
        return;
    };
    let url = format!("http://{}/", other.local_addr().unwrap());
    let failed = client.fetch(get(url)).await.unwrap_err();
    assert!(matches!(failed, FetchError::Connect { .. }), "{failed:?}");
}
