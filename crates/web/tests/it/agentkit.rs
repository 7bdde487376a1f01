//! The AgentKit pages of the dashboard, use case by use case.

use crate::{browser::TestBrowser, markup, services::wrong_field, world};
use http::StatusCode;
use keystead_proto::{
    extensions::{
        CallFigures, ConnectionTest, FailedCall, GetConnectionHealthResponse, ScopeTally,
    },
    v1::{
        connections::{ConnectionAuthMode, ConnectionType, TestResultStatus, connection::Settings},
        environments::{AgentActionsConfig, ConnectedAccountUserVerifyMode, CustomDomainStatus},
    },
};
use tonic::Status;

/// AK-002.
#[tokio::test]
async fn the_catalogue_is_searched_and_filtered() {
    let mut browser = TestBrowser::member();
    for (query, shown, hidden) in [
        ("q=MAIL+google", "Gmail", "Slack"),
        ("category=Monitoring", "Datadog", "Gmail"),
        ("auth=BASIC", "Freshdesk", "Notion"),
        ("q=orders", "Custom", "Gmail"),
    ] {
        let page = browser
            .get(&format!("/dashboard/env_1/connectors?{query}"))
            .await;
        let names = page.body.split("<ul class=\"grid\">").nth(1).unwrap();
        assert!(names.contains(shown) && !names.contains(hidden), "{query}");
    }
    let none = browser.get("/dashboard/env_1/connectors?q=zzz").await;
    none.keep("connectors-none");
    assert!(none.body.contains("No connector matches"));
}

/// Part of AK-004, part of AK-022.
#[tokio::test]
async fn a_connector_is_created_changed_copied_and_deleted() {
    let mut browser = TestBrowser::member();
    let page = browser
        .get("/dashboard/env_1/connectors/new?auth=OAUTH")
        .await;
    let answers = [
        ("display_name", "Our CRM"),
        ("proxy_url", "https://{{domain}}/api"),
        ("authorize_uri", "https://crm.test/authorize"),
        ("token_uri", "https://crm.test/token"),
        ("scopes", "read\r\nwrite"),
    ];
    let made = browser.submit(&page, &answers).await;
    assert_eq!(
        made.location(),
        "/dashboard/env_1/connectors/OURCRM:7?done=connector-created"
    );
    let page = browser.get(made.location()).await;
    assert!(
        page.body.contains("Connector created") && page.body.contains("https://crm.test/token")
    );

    let page = browser
        .get("/dashboard/env_1/connectors/OURCRM:7/edit")
        .await;
    assert!(page.body.contains("read\nwrite"));
    let saved = browser
        .submit(&page, &[("description", "Customers and deals.")])
        .await;
    assert_eq!(
        saved.location(),
        "/dashboard/env_1/connectors/OURCRM:7?done=saved"
    );

    let page = browser
        .get("/dashboard/env_1/connectors/OURCRM:7/copy?to=env_2")
        .await;
    assert!(page.body.contains("Customers and deals."));
    let copied = browser.submit(&page, &[]).await;
    assert_eq!(
        copied.location(),
        "/dashboard/env_2/connectors/OURCRM:7?done=connector-copied"
    );
    let page = browser
        .get("/dashboard/env_1/connectors/OURCRM:7/copy?to=env_2")
        .await;
    assert!(page.body.contains("nothing to copy"));

    let page = browser
        .get("/dashboard/env_1/connectors/OURCRM:7/delete")
        .await;
    assert_eq!(
        browser.submit(&page, &[]).await.location(),
        "/dashboard/env_1/connectors?done=connector-deleted"
    );
    assert_eq!(
        browser
            .get("/dashboard/env_1/connectors/GMAIL/edit")
            .await
            .status,
        StatusCode::NOT_FOUND,
        "built-in ones stay"
    );
}

/// AK-019: what a form shows and the member leaves empty or switches off is meant. What the form
/// does not show stays, and a copy has nothing that its original lacks.
#[tokio::test]
async fn a_connector_can_be_emptied_and_its_direct_calls_switched_off() {
    let mut browser = TestBrowser::member();
    let world = browser.world.clone();
    let stored = |environment: &str| {
        let known = world.providers.lock().unwrap();
        let (_, found) = known
            .iter()
            .find(|(place, provider)| place == environment && provider.identifier == "ERP:7")
            .unwrap();
        found.clone()
    };
    let page = browser
        .get("/dashboard/env_1/connectors/new?auth=API_KEY")
        .await;
    let answers = [
        ("display_name", "ERP"),
        ("description", "Orders."),
        ("proxy_url", "https://erp.test"),
    ];
    browser
        .submit_without(&page, &["proxy_enabled"], &answers)
        .await;
    assert!(!stored("dev.test").proxy_enabled);

    for (_, provider) in world.providers.lock().unwrap().iter_mut() {
        provider
            .metadata
            .insert("team".to_owned(), "sales".to_owned());
    }
    let edit = "/dashboard/env_1/connectors/ERP:7/edit";
    let page = browser.get(edit).await;
    browser.submit(&page, &[("proxy_enabled", "on")]).await;
    assert!(stored("dev.test").proxy_enabled);
    let page = browser.get(edit).await;
    browser
        .submit_without(&page, &["proxy_enabled"], &[("description", "")])
        .await;
    let now = stored("dev.test");
    assert!(!now.proxy_enabled && now.description.is_empty());
    assert_eq!(now.metadata["team"], "sales", "the form does not show it");

    let copy = "/dashboard/env_1/connectors/ERP:7/copy?to=env_2";
    let page = browser.get(copy).await;
    browser.submit(&page, &[]).await;
    assert!(!stored("prod.test").proxy_enabled);
    for (place, provider) in world.providers.lock().unwrap().iter_mut() {
        if place == "dev.test" {
            provider.metadata.clear();
        } else if place == "prod.test" {
            "Old.".clone_into(&mut provider.description);
            provider.proxy_enabled = true;
        }
    }
    let page = browser.get(copy).await;
    assert!(page.body.contains("team=sales"), "the change is shown");
    browser.submit(&page, &[]).await;
    let there = stored("prod.test");
    assert!(there.metadata.is_empty() && there.description.is_empty() && !there.proxy_enabled);
}

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

#[tokio::test]
async fn what_is_wrong_with_a_connector_is_said_beside_the_field() {
    let mut browser = TestBrowser::member();
    let page = browser
        .get("/dashboard/env_1/connectors/new?auth=BEARER")
        .await;
    let again = browser
        .submit(&page, &[("secret_label", "Personal token")])
        .await;
    again.keep("connector-wrong");
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        again.body.contains("Enter a name.") && again.body.contains("2 fields need your attention")
    );
    assert_eq!(browser.world.writes(), 0);

    *browser.world.refuse.lock().unwrap() = Some(wrong_field(
        "provider.display_name",
        "Only letters, digits and spaces.",
    ));
    let answers = [("display_name", "A/B"), ("proxy_url", "https://a.test")];
    let again = browser.submit(&again, &answers).await;
    assert!(
        again
            .body
            .contains("id=\"f-display_name-error\">Only letters"),
        "{}",
        again.body
    );
    assert!(again.body.contains("value=\"A/B\"") && again.body.contains("Personal token"));

    *browser.world.refuse.lock().unwrap() =
        Some(Status::already_exists("a connector named A exists"));
    let again = browser.submit(&again, &answers).await;
    assert!(again.body.contains("A connector named A exists"));
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

/// Part of AK-333
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

/// Part of AK-803 and part of DB-115: each line of the checklist follows what is so.
#[tokio::test]
async fn the_launch_checklist_follows_the_environment() {
    let mut browser = TestBrowser::member();
    let page = browser.get("/dashboard/env_1/launch").await;
    assert!(
        page.body
            .contains("Not finished or disabled: slack-support.")
    );
    assert!(!page.body.contains("Ready for your users"));

    {
        let world = &browser.world;
        world
            .connections
            .lock()
            .unwrap()
            .retain(|connection| connection.id != "conn_2");
        *world.verification.lock().unwrap() = Some(AgentActionsConfig {
            user_verify_mode: ConnectedAccountUserVerifyMode::UserVerifyModeB2b.into(),
            ..AgentActionsConfig::default()
        });
        for environment in world.environments.lock().unwrap().iter_mut() {
            environment.custom_domain = Some("auth.acme.test".to_owned());
            environment.custom_domain_status = CustomDomainStatus::Active.into();
        }
    }
    let page = browser.get("/dashboard/env_2/launch").await;
    page.keep("launch-ready");
    assert!(
        page.body.contains("Ready for your users") && page.body.contains("0 things are open."),
        "{}",
        page.body
    );
    for (_, provider) in browser.world.providers.lock().unwrap().iter_mut() {
        provider.proxy_enabled = provider.identifier != "GMAIL";
    }
    let page = browser.get("/dashboard/env_2/launch").await;
    assert!(
        page.body.contains("Switched off for: Gmail.") && page.body.contains("1 thing is open.")
    );
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
    let expired = browser.get("/dashboard/env_1/accounts/ca_2").await;
    assert!(
        expired
            .body
            .contains("Reason: the provider answered invalid_grant")
    );
    assert!(expired.body.contains("Active → Expired") && expired.body.contains("Refresh failed"));
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

/// Part of DB-082 and flow 3.5: a secret is shown once.
#[tokio::test]
async fn a_secret_is_shown_once_and_revoked() {
    let mut browser = TestBrowser::member();
    let page = browser.get("/dashboard/env_1/credentials/skc_1").await;
    let shown = browser
        .press(&page, "/dashboard/env_1/credentials/skc_1/secrets")
        .await;
    shown.keep("client-secret");
    assert!(shown.body.contains("canary-client-secret-x9y8"));
    assert!(
        !shown.body.contains("/secrets\"><input"),
        "two active secrets are the most"
    );
    let later = browser.get("/dashboard/env_1/credentials/skc_1").await;
    assert!(!later.body.contains("canary") && later.body.contains("…x9y8"));

    let page = browser
        .get("/dashboard/env_1/credentials/skc_1/secrets/sks_1/revoke")
        .await;
    assert!(page.body.contains("ending in a1b2"));
    let done = browser.submit(&page, &[]).await;
    assert_eq!(
        done.location(),
        "/dashboard/env_1/credentials/skc_1?done=secret-revoked"
    );
    assert_eq!(
        browser
            .get("/dashboard/env_1/credentials/skc_1/secrets/sks_1/revoke")
            .await
            .status,
        StatusCode::NOT_FOUND
    );

    let page = browser.get("/dashboard/env_1/credentials/new").await;
    let made = browser.submit(&page, &[("name", "Worker")]).await;
    assert_eq!(
        made.location(),
        "/dashboard/env_1/credentials/skc_9?done=client-created"
    );
    let page = browser
        .get("/dashboard/env_1/credentials/skc_9/delete")
        .await;
    assert_eq!(
        browser.submit(&page, &[]).await.location(),
        "/dashboard/env_1/credentials?done=client-deleted"
    );
}

/// AK-320, AK-326.
#[tokio::test]
async fn verification_begins_with_members_only_and_production_warns() {
    let mut browser = TestBrowser::member();
    let page = browser.get("/dashboard/env_1/verification").await;
    let members = "USER_VERIFY_MODE_SCALEKIT_PLATFORM";
    let chosen = markup::form(&page.body)
        .fields
        .into_iter()
        .find(|(name, _)| name == "mode")
        .unwrap();
    assert_eq!(chosen.1, members);
    assert!(!page.body.contains("does not verify its users"));
    let production = browser.get("/dashboard/env_2/verification").await;
    production.keep("verification-production");
    assert!(production.body.contains("does not verify its users"));
    assert!(
        !production.body.contains("USER_VERIFY_MODE_NONE"),
        "not offered in production"
    );

    let saved = browser
        .submit(
            &page,
            &[
                ("mode", "USER_VERIFY_MODE_B2B"),
                ("detailed_error_logging", "on"),
            ],
        )
        .await;
    assert_eq!(saved.location(), "/dashboard/env_1/verification?done=saved");
    let config = browser.world.verification.lock().unwrap().unwrap();
    assert_eq!(
        config.user_verify_mode,
        i32::from(ConnectedAccountUserVerifyMode::UserVerifyModeB2b)
    );
    assert!(config.detailed_error_logging());
}

/// Part of AK-302, part of AK-324, part of AK-325: what the page saves, and what it keeps of a refused form.
#[tokio::test]
async fn links_of_an_environment_are_set_up() {
    let mut browser = TestBrowser::member();
    let page = browser.get("/dashboard/env_1/verification").await;
    let form = markup::forms(&page.body)
        .into_iter()
        .find(|form| form.action.ends_with("/verification/links"))
        .unwrap();
    let minutes = form
        .fields
        .iter()
        .find(|(name, _)| name == "link_lifetime_seconds");
    assert_eq!(minutes.unwrap().1, "60");
    let action = form.action.clone();
    let mut sent: Vec<(String, String)> = form.fields;
    sent.retain(|(name, _)| name == "csrf");
    assert_eq!(sent.len(), 1);
    for (name, value) in [
        ("link_lifetime_seconds", "1440"),
        ("default_user_verify_url", "https://app.test/verify"),
        (
            "allowed_user_verify_urls",
            "https://app.test/verify\nhttps://b.test",
        ),
    ] {
        sent.push((name.to_owned(), value.to_owned()));
    }
    let saved = browser.post(&action, &sent).await;
    assert_eq!(saved.location(), "/dashboard/env_1/verification?done=saved");
    let settings = browser.world.links.lock().unwrap().clone().unwrap();
    assert_eq!(settings.link_lifetime_seconds, 86_400);
    assert_eq!(settings.default_user_verify_url, "https://app.test/verify");
    assert_eq!(
        settings.allowed_user_verify_urls,
        ["https://app.test/verify", "https://b.test"]
    );

    let message = "allowed_user_verify_urls must start with https://";
    *browser.world.refuse.lock().unwrap() = Some(tonic::Status::invalid_argument(message));
    let refused = browser.post(&action, &sent).await;
    assert_eq!(refused.status, 422);
    assert!(
        refused.body.contains("must start with https://")
            && refused.body.contains("https://b.test")
    );
}
