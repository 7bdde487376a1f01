//! A user whose grant is good for several sites chooses one in the browser (AK-013).

use crate::{
    connect::{Api, Browser},
    process::{Running, dev},
};
use axum::{Json, Router, http::Uri, routing::get};
use reqwest::Method;
use serde_json::json;
use tokio::net::TcpListener;

/// An API with two sites, which says what it was asked.
async fn provider() -> String {
    let sites = json!([
        {"id": "cloud-1", "name": "Acme", "url": "https://acme.atlassian.net", "scopes": ["read:jira-work"]},
        {"id": "cloud-2", "name": "Beta <b>", "url": "https://beta.atlassian.net", "scopes": ["read:jira-work"]},
    ]);
    let routes = Router::new()
        .route(
            "/oauth/token/accessible-resources",
            get(async || Json(sites)),
        )
        .route("/ex/{*rest}", get(async |uri: Uri| uri.path().to_owned()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    origin
}

/// Part of AK-013: the page comes after the consent, takes one answer from the same browser, and calls
/// go to the site that was chosen.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_chooses_the_site_after_the_consent() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Running::start(&mut dev(folder.path(), &[]));
    let (url, _) = server.ready();
    let api = Api::of(folder.path(), &url).await;
    let origin = provider().await;

    let known = api
        .call(
            Method::GET,
            "providers?filter.provider_type=ALL&filter.identifier=SANDBOX",
            json!({}),
        )
        .await;
    let mut pattern = known["providers"][0]["auth_patterns"][0].clone();
    pattern["oauth_config"]["post_auth"] = json!("atlassian_cloud_id");
    let custom = json!({
        "display_name": "Tracker", "description": "", "auth_patterns": [pattern],
        "proxy_url": format!("{origin}/ex/jira/{{{{cloud_id}}}}"), "proxy_enabled": true,
    });
    let made = api.call(Method::POST, "custom-providers", custom).await;
    let key = made["provider"]["identifier"].as_str().unwrap();
    let link = api.link(key, "tracker").await;

    let mut browser = Browser::new(&api.client);
    assert_eq!(browser.go(&link).await, 200, "{}", browser.body);
    let consent = [("user", "u-ada"), ("decision", "allow")];
    assert_eq!(browser.submit(&consent).await, 200, "{}", browser.body);
    assert!(
        browser.url.contains("/connect/place?request="),
        "{}",
        browser.url
    );
    for shown in [
        "beta.atlassian.net",
        "Beta &#60;b&#62;",
        "Connect this site",
    ] {
        assert!(browser.body.contains(shown), "{shown}: {}", browser.body);
    }

    let mut other = Browser::new(&api.client);
    assert_eq!(
        other.go(&browser.url).await,
        400,
        "another browser: {}",
        other.body
    );
    assert_eq!(
        browser.submit(&[("place", "cloud-3")]).await,
        422,
        "{}",
        browser.body
    );
    let question = (browser.url.clone(), browser.body.clone());
    browser.submit(&[("place", "cloud-2")]).await;
    assert!(
        browser.url.contains("/dashboard/sign-in"),
        "{}",
        browser.url
    );

    // The same answer again, late.
    let mut again = Browser::new(&api.client);
    again.cookies.clone_from(&browser.cookies);
    (again.url, again.body) = question;
    assert_eq!(
        again.submit(&[("place", "cloud-1")]).await,
        400,
        "{}",
        again.body
    );

    browser.sign_in().await;
    assert_eq!(browser.submit(&[]).await, 200, "{}", browser.body);
    assert!(browser.url.ends_with("/connect/success"), "{}", browser.url);
    let proxied = api
        .client
        .get(format!("{url}/proxy/rest/api/3/myself"))
        .bearer_auth(&api.bearer)
        .header("connection_name", "tracker")
        .header("identifier", "user-1");
    let answer = proxied.send().await.unwrap().text().await.unwrap();
    assert_eq!(answer, "/ex/jira/cloud-2/rest/api/3/myself");
    let said = server.stop();
    assert!(!said.contains("request="), "the request is not logged");
}
