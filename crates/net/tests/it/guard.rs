//! AK-470, AK-458: which targets are refused, and that redirects are not followed.

use crate::support::{Server, Table, client, full, get, open_client};
use http::Response;
use keystead_net::{AddressClass, Blocked, FetchError, GuardedClient, Policy};

async fn server() -> Server {
    Server::start(|request| async move { Response::new(full(request.uri().path().to_owned())) })
        .await
}

fn http_allowed() -> Policy {
    Policy {
        allow_http: true,
        ..Policy::default()
    }
}

async fn why(client: &GuardedClient, url: &str) -> Blocked {
    match client.fetch(get(url)).await {
        Err(FetchError::Blocked { why }) => why,
        other => panic!("{url}: {other:?}"),
    }
}

/// Part of AK-470
#[tokio::test]
async fn literal_addresses_are_refused_in_every_spelling_before_connecting() {
    let server = server().await;
    let port = server.address.port();
    let client = client(http_allowed(), Table::default());
    for (host, class) in [
        ("127.0.0.1", AddressClass::Loopback),
        ("127.1", AddressClass::Loopback),
        ("2130706433", AddressClass::Loopback),
        ("0x7f000001", AddressClass::Loopback),
        ("0177.0.0.1", AddressClass::Loopback),
        ("[::1]", AddressClass::Loopback),
        ("[::ffff:127.0.0.1]", AddressClass::Loopback),
        ("[::ffff:7f00:1]", AddressClass::Loopback),
        ("[64:ff9b::127.0.0.1]", AddressClass::Loopback),
        ("0.0.0.0", AddressClass::Unspecified),
        ("[::]", AddressClass::Unspecified),
        ("169.254.169.254", AddressClass::LinkLocal),
        ("10.0.0.1", AddressClass::Private),
        ("[fd00:ec2::254]", AddressClass::Private),
        ("100.64.0.1", AddressClass::CarrierNat),
    ] {
        for scheme in ["http", "https"] {
            assert_eq!(
                why(&client, &format!("{scheme}://{host}:{port}/")).await,
                Blocked::Address(class),
                "{host}"
            );
        }
    }
    assert_eq!(server.connections(), 0);
}

/// Part of AK-470
#[tokio::test]
async fn a_name_that_resolves_to_private_addresses_is_refused() {
    let server = server().await;
    let table = Table::default()
        .with("inside.test", &[&["10.0.0.7", "fd00::7"]])
        .with("local.test", &[&["127.0.0.1"]]);
    let client = client(http_allowed(), table);
    assert_eq!(
        why(&client, "https://inside.test/").await,
        Blocked::Address(AddressClass::Private)
    );
    let url = format!("http://local.test:{}/", server.address.port());
    assert_eq!(
        why(&client, &url).await,
        Blocked::Address(AddressClass::Loopback)
    );
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn refused_addresses_are_dropped_and_the_others_used() {
    let server = server().await;
    let table = Table::default().with(
        "both.test",
        &[&["10.0.0.7", "127.0.0.1", "169.254.169.254"]],
    );
    let client = client(Policy::development(), table);
    let response = client
        .fetch(get(format!(
            "http://both.test:{}/ok",
            server.address.port()
        )))
        .await
        .unwrap();
    assert_eq!(response.body(), "/ok");
}

/// Part of AK-470
#[tokio::test]
async fn a_name_that_changes_its_answer_is_judged_again_on_the_next_connection() {
    let server = Server::start(|_| async {
        Response::builder()
            .header("connection", "close")
            .body(full("first"))
            .unwrap()
    })
    .await;
    let table = Table::default().with("rebind.test", &[&["127.0.0.1"], &["10.0.0.1"]]);
    let client = client(Policy::development(), table);
    let url = format!("http://rebind.test:{}/", server.address.port());
    assert_eq!(client.fetch(get(&url)).await.unwrap().body(), "first");
    assert_eq!(
        why(&client, &url).await,
        Blocked::Address(AddressClass::Private)
    );
}

#[tokio::test]
async fn a_stricter_policy_does_not_reuse_connections_of_a_wider_one() {
    let server = server().await;
    let wide = open_client();
    wide.fetch(get(server.url("/"))).await.unwrap();
    let strict = wide.with_policy(http_allowed()).unwrap();
    assert_eq!(
        why(&strict, &server.url("/")).await,
        Blocked::Address(AddressClass::Loopback)
    );
    wide.fetch(get(server.url("/"))).await.unwrap();
    assert_eq!(server.connections(), 1);
}

/// Part of AK-470
#[tokio::test]
async fn an_allowed_host_may_be_internal_but_no_other() {
    let server = server().await;
    let table = Table::default()
        .with("api.corp.test", &[&["127.0.0.1"]])
        .with("metadata.corp.test", &[&["169.254.169.254"]])
        .with("other.test", &[&["127.0.0.1"]]);
    let policy = Policy {
        allowed_hosts: vec!["*.corp.test".parse().unwrap()],
        ..http_allowed()
    };
    let client = client(policy, table);
    let port = server.address.port();
    assert_eq!(
        client
            .fetch(get(format!("http://api.corp.test:{port}/x")))
            .await
            .unwrap()
            .body(),
        "/x"
    );
    assert_eq!(
        why(&client, "http://metadata.corp.test/").await,
        Blocked::Address(AddressClass::LinkLocal)
    );
    assert_eq!(
        why(&client, &format!("http://other.test:{port}/")).await,
        Blocked::Address(AddressClass::Loopback)
    );
}

/// Part of AK-470
#[tokio::test]
async fn plain_http_other_schemes_and_credentials_in_urls_are_refused() {
    let client = client(
        Policy::default(),
        Table::default().with("a.test", &[&["8.8.8.8"]]),
    );
    assert_eq!(why(&client, "http://a.test/").await, Blocked::Scheme);
    assert_eq!(why(&client, "ftp://a.test/").await, Blocked::Scheme);
    assert_eq!(
        why(&client, "https://user:pass@a.test/").await,
        Blocked::UserInfo
    );
    assert!(matches!(
        client.fetch(get("/relative")).await,
        Err(FetchError::Protocol { .. })
    ));
}

/// AK-458
#[tokio::test]
async fn redirects_are_returned_and_not_followed() {
    let target = server().await;
    let location = target.url("/secret");
    let server = Server::start(move |_| {
        let location = location.clone();
        async move {
            Response::builder()
                .status(307)
                .header("location", location)
                .body(full("moved"))
                .unwrap()
        }
    })
    .await;
    let response = open_client().fetch(get(server.url("/"))).await.unwrap();
    assert_eq!(response.status(), 307);
    assert_eq!(response.headers()["location"], target.url("/secret"));
    assert_eq!(target.connections(), 0);
}

#[tokio::test]
async fn the_real_resolver_is_guarded_too() {
    let server = server().await;
    let url = format!("http://localhost:{}/", server.address.port());
    let strict = GuardedClient::new(keystead_net::Settings {
        policy: http_allowed(),
        ..Default::default()
    })
    .unwrap();
    assert_eq!(
        why(&strict, &url).await,
        Blocked::Address(AddressClass::Loopback)
    );
    strict
        .with_policy(Policy::development())
        .unwrap()
        .fetch(get(&url))
        .await
        .unwrap();
}

#[tokio::test]
async fn failures_to_reach_a_host_are_told_apart_and_name_no_address() {
    let table = Table::default().with("empty.test", &[&[]]);
    let client = client(Policy::development(), table);
    for host in ["unknown.test", "empty.test"] {
        let error = client
            .fetch(get(format!("https://{host}/")))
            .await
            .unwrap_err();
        assert!(matches!(error, FetchError::Dns { .. }), "{error:?}");
    }
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let error = client
        .fetch(get(format!("http://{closed}/")))
        .await
        .unwrap_err();
    assert!(matches!(error, FetchError::Connect { .. }), "{error:?}");
    assert!(!error.to_string().contains("127"));
}
