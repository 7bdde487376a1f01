//! What the public side gives to strangers.

use crate::{
    connect::Browser,
    process::client,
    serve::{Site, address},
};
use http::{Method, StatusCode};

/// Spec 4.3, part of DB-242: guessing at links ends with 429, for everybody behind the address.
#[tokio::test(flavor = "multi_thread")]
async fn guessing_at_links_is_turned_away() {
    let site = Site::new(None, "[limits]\ninvalid_links_per_minute = 2\n");
    let mut server = site.start();
    let url = format!("http://{}", address(&mut server));
    let client = client(None);
    let open = async |token: u32| {
        let link = format!("{url}/oauth/connect?token={token}&state=s");
        client
            .get(link)
            .header("host", "localhost")
            .send()
            .await
            .unwrap()
    };
    let unknown = open(1).await.status();
    assert_ne!(unknown, StatusCode::TOO_MANY_REQUESTS);
    for token in 2..=3 {
        assert_eq!(open(token).await.status(), unknown);
    }
    let refused = open(4).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.headers().contains_key("retry-after"));
    server.stop();
}

/// Codes are neither asked for nor guessed without end from one address, whatever the e-mail address,
/// and the page says how long to wait.
#[tokio::test(flavor = "multi_thread")]
async fn sign_in_codes_are_limited_for_each_address() {
    let limits = "[limits]\nsign_in_codes_per_minute = 4\nwrong_codes_per_minute = 2\n";
    let site = Site::new(None, limits);
    let mut server = site.start();
    let address = address(&mut server);
    let (_, port) = address.rsplit_once(':').unwrap();
    let page = format!("http://localhost:{port}/dashboard/sign-in");
    let mut browser = Browser::new(&client(None));
    let mut tries = Vec::new();
    for attempt in 0..4 {
        assert_eq!(browser.go(&page).await, 200);
        let email = format!("member{attempt}@example.com");
        assert_eq!(browser.submit(&[("email", &email)]).await, 200);
        tries.push(browser.submit(&[("code", "00000000")]).await);
    }
    assert_eq!(tries, [422, 422, 422, 429], "{}", browser.body);
    assert!(browser.body.contains("Too many tries. Wait a minute"));
    assert!(browser.headers.contains_key("retry-after"));

    assert_eq!(browser.go(&page).await, 200);
    let asked = browser.submit(&[("email", "ada@example.com")]).await;
    assert_eq!(asked, 429, "{}", browser.body);
    assert!(browser.body.contains("Too many codes were asked for"));
    assert!(browser.headers.contains_key("retry-after"));
    server.stop();
}

/// LG-005, LG-008: browsers may read what is public, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_origins_may_read_public_documents_only() {
    let site = Site::new(None, "");
    let mut server = site.start();
    let url = format!("http://{}", address(&mut server));
    let client = client(None);
    for path in [
        "/keys",
        "/.well-known/jwks.json",
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server",
        "/openapi.json",
    ] {
        for (verb, status) in [(Method::OPTIONS, 204), (Method::GET, 200)] {
            let asked = client.request(verb.clone(), format!("{url}{path}"));
            let answer = asked
                .header("host", "localhost")
                .header("origin", "https://app.test")
                .send()
                .await
                .unwrap();
            assert_eq!(answer.status(), status, "{verb} {path}");
            let headers = answer.headers();
            assert_eq!(headers["access-control-allow-origin"], "*", "{verb} {path}");
            assert!(!headers.contains_key("access-control-allow-credentials"));
        }
    }
    for path in ["/oauth/token", "/api/v1/organizations", "/proxy/v1/x"] {
        let asked = client.request(Method::OPTIONS, format!("{url}{path}"));
        let answer = asked
            .header("host", "localhost")
            .header("origin", "https://app.test")
            .send()
            .await
            .unwrap();
        assert!(
            !answer.headers().contains_key("access-control-allow-origin"),
            "{path}"
        );
    }
    server.stop();
}
