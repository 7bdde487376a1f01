//! Pages of connections.

use crate::{browser::TestBrowser, markup, world};
use http::StatusCode;
use keystead_proto::{
    extensions::{
        CallFigures, ConnectionTest, FailedCall, GetConnectionHealthResponse, ScopeTally,
    },
    v1::connections::{ConnectionType, TestResultStatus, connection::Settings},
};
use tonic::Status;

/// Part of AK-105, AK-110: permissions can be taken away again, all of them.
#[tokio::test]
async fn the_scopes_of_a_connection_can_be_cleared() {
    let mut browser = TestBrowser::member();
    let page = browser.get("/dashboard/env_1/connections/conn_1").await;
    let form = markup::forms(&page.body)
        .into_iter()
        .find(|form| form.action == "/dashboard/env_1/connections/conn_1")
        .unwrap();
    let mut fields = form.fields;
    for (name, value) in &mut fields {
        if name.contains("scopes") {
            value.clear();
        }
    }
    browser.post(&form.action, &fields).await;
    let known = browser.world.connections.lock().unwrap();
    let Some(Settings::OauthConfig(config)) = &known[0].settings else {
        panic!("settings are lost")
    };
    assert!(config.scopes.is_empty() && config.required_scopes.is_empty());
    assert_eq!(
        config.client_id.as_ref().unwrap().value,
        "1234.apps.test",
        "the rest stays"
    );
}

/// AK-101, part of AK-105, part of AK-106.
#[tokio::test]
async fn a_connection_is_created_and_set_up() {
    let mut browser = TestBrowser::member();
    let page = browser
        .get("/dashboard/env_1/connections/new?connector=GMAIL")
        .await;
    let made = browser.submit(&page, &[("key_id", "gmail-sales")]).await;
    assert_eq!(
        made.location(),
        "/dashboard/env_1/connections/conn_9?done=connection-created"
    );
    {
        let world = browser.world.connections.lock().unwrap();
        let new = world.last().unwrap();
        assert_eq!(
            (new.r#type, new.provider_key.as_str()),
            (ConnectionType::Oauth.into(), "GMAIL")
        );
    }
    let page = browser.get(made.location()).await;
    assert!(
        page.body
            .contains("<span class=\"tag\">gmail.readonly</span>"),
        "the scopes to choose from"
    );
    assert!(
        page.body.contains("Not ready yet") && page.body.contains("/sso/v1/oauth/conn_9/callback")
    );
    let form = markup::forms(&page.body)
        .into_iter()
        .find(|form| form.action == "/dashboard/env_1/connections/conn_9")
        .unwrap();
    let mut fields: Vec<_> = form
        .fields
        .into_iter()
        .filter(|(name, _)| name != "client_id" && name != "client_secret")
        .collect();
    fields.push(("client_id".to_owned(), "id-1".to_owned()));
    fields.push(("client_secret".to_owned(), "canary-secret".to_owned()));
    assert_eq!(
        browser.post(&form.action, &fields).await.location(),
        "/dashboard/env_1/connections/conn_9?done=saved"
    );
    let page = browser.get("/dashboard/env_1/connections/conn_9").await;
    assert!(
        !page.body.contains("Not ready yet")
            && page.body.contains("Stored.")
            && !page.body.contains("canary")
    );

    // Saved again with the secret left empty: the stored one stays, and not its mask.
    browser
        .press(&page, "/dashboard/env_1/connections/conn_9")
        .await;
    let world = browser.world.connections.lock().unwrap();
    let Some(Settings::OauthConfig(config)) = &world.last().unwrap().settings else {
        panic!()
    };
    assert_eq!(
        config.client_secret.as_ref().unwrap().value,
        "canary-secret"
    );
}

/// Part of AK-117: how many accounts are in each state.
#[tokio::test]
async fn a_connection_counts_its_accounts_by_state() {
    let mut browser = TestBrowser::member();
    let page = browser.get("/dashboard/env_1/connections/conn_1").await;
    assert!(page.body.contains("3 connected accounts"));
    assert!(
        page.body.contains("1 active · 1 expired · 1 disconnected"),
        "{}",
        page.body
    );
    let none = browser.get("/dashboard/env_1/connections/conn_3").await;
    assert!(none.body.contains("0 connected accounts") && !none.body.contains("0 active"));
}

/// AK-109. Part of AK-116, part of AK-117: refreshes, calls, what users have yet to give, and the last test.
#[tokio::test]
async fn a_connection_shows_how_it_is_doing() {
    let mut browser = TestBrowser::member();
    let path = "/dashboard/env_1/connections/conn_1";
    let page = browser.get(path).await;
    assert!(page.body.contains("Never tested") && !page.body.contains("Last errors"));
    let started_at = Some(prost_types::Timestamp {
        seconds: 1_790_000_000,
        nanos: 0,
    });
    *browser.world.health.lock().unwrap() = GetConnectionHealthResponse {
        lacking_scopes: vec![ScopeTally {
            scope: "gmail.send".to_owned(),
            total: 2,
        }],
        refreshes_succeeded: 12,
        refreshes_failed: 1,
        calls: Some(CallFigures {
            count: 200,
            failed: 3,
            since: started_at,
            p50_ms: 41.2,
            p95_ms: 380.6,
        }),
        last_errors: vec![FailedCall {
            connected_account_id: "ca_2".to_owned(),
            tool_name: "GET /<messages>".to_owned(),
            http_status: Some(429),
            error_code: "UPSTREAM_RATE_LIMITED".to_owned(),
            started_at,
            ..FailedCall::default()
        }],
        rate_limit_per_minute: Some(600),
        last_test: Some(ConnectionTest {
            status: TestResultStatus::Failure.into(),
            error: "access_denied".to_owned(),
            error_description: "the provider answered access_denied".to_owned(),
            started_at,
            finished_at: started_at,
            ..ConnectionTest::default()
        }),
        ..GetConnectionHealthResponse::default()
    };
    let page = browser.get(path).await;
    for shown in [
        "gmail.send: 2 accounts",
        "12 succeeded · 1 failed",
        "200 calls · 1.5 % failed",
        "41 ms · 381 ms",
        "600 calls a minute",
        "/dashboard/env_1/accounts/ca_2",
        "GET /&#60;messages&#62;",
        "UPSTREAM_RATE_LIMITED",
        "21 Sep 2026, 14:13 UTC: the provider answered access_denied",
    ] {
        assert!(page.body.contains(shown), "{shown}: {}", page.body);
    }
}

/// Nothing on the pages leads to what is not built: MCP, and the log of tool calls.
#[tokio::test]
async fn pages_do_not_promise_what_is_not_built() {
    let mut browser = TestBrowser::member();
    for path in [
        "",
        "/launch",
        "/connections/conn_1",
        "/connections/conn_1/disable",
        "/accounts/ca_1",
        "/connectors/new?auth=OAUTH",
    ] {
        let page = browser.get(&format!("/dashboard/env_1{path}")).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        for promise in ["/mcp/", "MCP address", "tools", "of a tool", "Recent calls"] {
            assert!(!page.body.contains(promise), "{path}: {promise}");
        }
    }
}

/// Patterns of one connector that offer the same permissions are not shown one by one.
#[tokio::test]
async fn each_permission_is_offered_once() {
    let mut browser = TestBrowser::member();
    let pattern = world::oauth(&["crm.read", "crm.write"]);
    let twice = world::provider("GMAIL", "Gmail", "", &[], &[pattern.clone(), pattern]);
    browser.world.providers.lock().unwrap()[0].1 = twice;
    let page = browser.get("/dashboard/env_1/connections/conn_1").await;
    assert_eq!(page.body.matches("crm.read").count(), 1, "{}", page.body);
}

/// Part of AK-118: a preset sets the permissions; without one they stay empty.
#[tokio::test]
async fn a_connection_is_created_from_a_template() {
    let mut browser = TestBrowser::member();
    let page = browser
        .get("/dashboard/env_1/connections/new?connector=GMAIL")
        .await;
    assert!(
        page.body
            .contains("Sends messages. Cannot read the mailbox.")
    );
    let scopes = |browser: &TestBrowser| {
        let known = browser.world.connections.lock().unwrap();
        match &known.last().unwrap().settings {
            Some(Settings::OauthConfig(config)) => config.scopes.clone(),
            _ => panic!("no settings"),
        }
    };
    browser.submit(&page, &[]).await;
    assert!(scopes(&browser).is_empty());
    browser.world.connections.lock().unwrap().pop();
    let made = browser.submit(&page, &[("template", "send")]).await;
    assert_eq!(
        made.location(),
        "/dashboard/env_1/connections/conn_9?done=connection-created"
    );
    assert!(
        scopes(&browser)
            .iter()
            .any(|scope| scope.ends_with("gmail.send"))
    );
    let other = browser
        .get("/dashboard/env_1/connections/new?connector=DATADOG")
        .await;
    assert!(!other.body.contains("name=\"template\""));
}

/// Part of DB-087: connections are found by their state and named by their service.
#[tokio::test]
async fn connections_are_filtered_by_their_state() {
    let mut browser = TestBrowser::member();
    let mut off = world::connection("conn_4", "off", "NOPE:12", ConnectionType::Oauth, 3, false);
    off.provider_key = "NOPE:12".to_owned();
    browser.world.connections.lock().unwrap().push(off);
    for (state, shown) in [
        ("active", vec!["gmail", "freshdesk"]),
        ("disabled", vec!["off"]),
        ("unfinished", vec!["slack-support"]),
        ("", vec!["gmail", "freshdesk", "off", "slack-support"]),
    ] {
        let page = browser
            .get(&format!("/dashboard/env_1/connections?state={state}"))
            .await;
        for name in ["gmail", "freshdesk", "off", "slack-support"] {
            let row = format!(">{name}</a>");
            assert_eq!(
                page.body.contains(&row),
                shown.contains(&name),
                "{state}: {name}"
            );
        }
        assert!(!page.body.contains("NOPE:12"), "no raw identifiers");
    }
    let page = browser.get("/dashboard/env_1/connections").await;
    assert!(page.body.contains("<span class=\"sub\">Gmail</span>"));
}

/// Part of AK-116
#[tokio::test]
async fn a_connection_is_disabled_enabled_tested_and_deleted() {
    let mut browser = TestBrowser::member();
    let base = "/dashboard/env_1/connections/conn_1";
    let page = browser.get(&format!("{base}/disable")).await;
    assert_eq!(
        browser.submit(&page, &[]).await.location(),
        format!("{base}?done=connection-disabled")
    );
    let page = browser.get(base).await;
    assert!(page.body.contains("Disabled"));
    assert_eq!(
        browser
            .press(&page, &format!("{base}/enable"))
            .await
            .location(),
        format!("{base}?done=connection-enabled")
    );

    let page = browser.get(&format!("{base}/test")).await;
    let test = browser.submit(&page, &[]).await;
    assert!(test.body.contains("0;url=https://dev.test/oauth/connect?token=canary-link-conn_1-test-ada.example.com&#38;state=1"), "{}", test.body);

    let page = browser.get(&format!("{base}/delete")).await;
    assert!(page.body.contains("It still has 3 connected accounts."));
    *browser.world.refuse.lock().unwrap() = Some(Status::failed_precondition(
        "connection has 3 connected accounts",
    ));
    let refused = browser.submit(&page, &[]).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.body.contains("Connection has 3 connected accounts"));
    assert_eq!(
        browser.submit(&page, &[]).await.location(),
        "/dashboard/env_1/connections?done=connection-deleted"
    );
}
