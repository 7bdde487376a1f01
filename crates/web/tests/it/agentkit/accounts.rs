//! Pages of connected accounts.

use crate::{browser::TestBrowser, world};
use http::StatusCode;
use keystead_proto::v1::connections::ConnectionAuthMode;
use tonic::Status;

/// Part of AK-333, part of AK-216
#[tokio::test]
async fn an_account_shows_which_permissions_it_lacks() {
    let mut browser = TestBrowser::member();
    let path = "/dashboard/env_1/accounts/ca_1";
    assert!(!browser.get(path).await.body.contains("Permissions missing"));
    let missing = ("ca_1".to_owned(), "gmail.modify".to_owned());
    browser.world.missing_scopes.lock().unwrap().push(missing);
    let page = browser.get(path).await;
    assert!(page.body.contains("Permissions missing") && page.body.contains("gmail.modify"));
    assert!(
        !browser
            .get("/dashboard/env_1/accounts/ca_2")
            .await
            .body
            .contains("gmail.modify")
    );
}

/// Part of AK-240: a member connects the one account of a shared connection.
#[tokio::test]
async fn a_shared_connection_offers_its_one_account() {
    let mut browser = TestBrowser::member();
    let base = "/dashboard/env_1/connections/conn_1";
    let page = browser.get(base).await;
    assert!(page.body.contains("Connect an account") && !page.body.contains("/shared\""));
    browser.world.connections.lock().unwrap()[0].auth_mode = ConnectionAuthMode::OrgWide.into();
    let page = browser.get(base).await;
    let link = browser.press(&page, &format!("{base}/shared")).await;
    assert!(
        link.body.contains("token=canary-conn_1&#38;state=1")
            && link.body.contains("everybody then acts with"),
        "{}",
        link.body
    );
}

/// Part of AK-219.
#[tokio::test]
async fn accounts_are_filtered_linked_disconnected_and_deleted() {
    let mut browser = TestBrowser::member();
    let page = browser
        .get("/dashboard/env_1/accounts?connection=slack-support")
        .await;
    assert!(page.body.contains("user_8123") && !page.body.contains("grace@example.com"));

    let page = browser
        .get("/dashboard/env_1/accounts/new?connection=gmail")
        .await;
    let link = browser
        .submit(&page, &[("identifier", "new@example.com")])
        .await;
    link.keep("account-link");
    assert_eq!(link.status, StatusCode::OK);
    assert!(
        link.body
            .contains("token=canary-link-new.example.com&#38;state=1")
            && link.body.contains("21 Sep 2026, 15:13 UTC")
    );

    let page = browser.get("/dashboard/env_1/accounts/ca_2").await;
    assert!(page.body.contains("no longer accepts"));
    let link = browser
        .press(&page, "/dashboard/env_1/accounts/ca_2/link")
        .await;
    assert!(link.body.contains("token=canary-link-grace.example.com"));

    let page = browser
        .get("/dashboard/env_1/accounts/ca_1/disconnect")
        .await;
    let done = browser.submit(&page, &[]).await;
    let page = browser.get(done.location()).await;
    assert!(
        page.body.contains("Connected account disconnected")
            && page.body.contains("This account is disconnected")
    );

    let page = browser.get("/dashboard/env_1/accounts/ca_1/delete").await;
    assert_eq!(
        browser.submit(&page, &[]).await.location(),
        "/dashboard/env_1/accounts?done=account-deleted"
    );
    assert_eq!(
        browser.get("/dashboard/env_1/accounts/ca_1").await.status,
        StatusCode::NOT_FOUND
    );
}

/// AK-209 and part of AK-219: by state, by the exact name of the user, by connection.
#[tokio::test]
async fn accounts_are_filtered_by_state_and_user() {
    let mut browser = TestBrowser::member();
    for (query, shown) in [
        ("status=EXPIRED", vec!["grace@example.com"]),
        ("status=PENDING_AUTH", vec!["user_8123"]),
        (
            "status=nonsense&connection=slack-support",
            vec!["user_8123"],
        ),
        ("identifier=ada%40example.com", vec!["ada@example.com"]),
        ("identifier=ada", vec![]),
        ("status=ACTIVE&connection=slack-support", vec![]),
    ] {
        let page = browser
            .get(&format!("/dashboard/env_1/accounts?{query}"))
            .await;
        for name in [
            "ada@example.com",
            "grace@example.com",
            "user_8123",
            "linus@example.com",
        ] {
            let row = page.body.contains(&format!(">{name}</a>"));
            assert_eq!(row, shown.contains(&name), "{query}: {name}");
        }
    }
    let page = browser
        .get("/dashboard/env_1/accounts?status=EXPIRED")
        .await;
    assert!(page.body.contains("value=\"EXPIRED\" selected"));
}

/// AK-225. Part of AK-219: what happened and why, when it was last refreshed, and refreshing now.
#[tokio::test]
async fn an_account_shows_its_history_and_is_refreshed_on_request() {
    let mut browser = TestBrowser::member();
    browser.world.accounts.lock().unwrap()[1].token_expires_at = Some(world::at(3_600));
    let expired = browser.get("/dashboard/env_1/accounts/ca_2").await;
    assert!(
        expired
            .body
            .contains("Reason: the provider answered invalid_grant")
    );
    assert!(expired.body.contains("Active → Expired") && expired.body.contains("Refresh failed"));
    assert!(
        expired.body.contains("Token expires") && !expired.body.contains("refreshed by itself")
    );
    assert!(
        !expired.body.contains("/refresh\""),
        "only a new consent helps"
    );

    let path = "/dashboard/env_1/accounts/ca_1";
    let page = browser.get(path).await;
    assert!(
        page.body
            .contains("<time datetime=\"2026-09-21T14:03:20Z\">"),
        "{}",
        page.body
    );
    let refresh = format!("{path}/refresh");
    for status in [
        Status::failed_precondition("the provider refused: invalid_client"),
        Status::unavailable("the provider refused: invalid_client"),
    ] {
        *browser.world.refuse.lock().unwrap() = Some(status);
        let refused = browser.press(&page, &refresh).await;
        refused.keep("account-not-refreshed");
        assert_eq!(refused.status, StatusCode::CONFLICT);
        assert!(refused.body.contains("The token was not refreshed"));
        assert!(refused.body.contains("invalid_client"));
    }
    let done = browser.press(&page, &refresh).await;
    assert_eq!(done.location(), format!("{path}?done=account-refreshed"));
    let page = browser.get(done.location()).await;
    assert!(page.body.contains("Token refreshed") && page.body.contains("22 Sep 2026"));
}
