//! Tests of a connection and what becomes of them (AK-116).

use crate::fixture::{App, parts};
use keystead_agentkit::{
    connections::{Connection, StartedTest, TestRun, TestStatus},
    links::{CallbackEnd, FormAnswers, FormEnd, OpenLink},
    settings::Verification,
};
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::{ErrorCode, Reason};
use serde_json::json;
use std::{collections::BTreeMap, time::Duration};

async fn started(app: &App, connection: &Connection) -> (StartedTest, OpenLink) {
    let test = app
        .kit
        .test_connection(app.env, &app.actor, connection.id, "test-ada".to_owned())
        .await
        .unwrap();
    let (token, nonce) = parts(&test.link.as_ref().unwrap().url);
    let link = app.kit.open_link(app.env, &token, &nonce).await.unwrap();
    (test, link)
}

async fn result(app: &App, connection: &Connection, test: &StartedTest) -> TestRun {
    let found = app
        .kit
        .find_connection_test(app.env, connection.id, test.id);
    found.await.unwrap().unwrap()
}

/// Comes back from the provider after `decision`.
async fn decide(
    app: &App,
    connection: &Connection,
    link: &OpenLink,
    decision: &str,
) -> Option<CallbackEnd> {
    let consent = app.kit.begin_consent(app.env, link).await.unwrap();
    let back = app.upstream.decide(&consent, "u-ada", decision).await;
    let finished = app
        .kit
        .finish_consent(app.env, connection.id, Some(&back.browser), &back.query);
    finished.await.ok()
}

on_both_engines! {
    /// Part of AK-116: a refusal and a fault of the provider are failures with their reason; the round
    /// trip is a success, and stays one.
    async fn what_becomes_of_the_link_is_the_result(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let (run, link) = started(&app, &connection).await;
        let begun = app.kit.ctx().clock.now();
        let pending = result(&app, &connection, &run).await;
        assert_eq!((pending.status, pending.started_at, pending.finished_at), (TestStatus::Pending, begun, None));

        app.clock.advance(Duration::from_secs(5));
        assert!(decide(&app, &connection, &link, "deny").await.is_none());
        let denied = result(&app, &connection, &run).await;
        assert_eq!((denied.status, denied.error.as_str()), (TestStatus::Failure, "access_denied"));
        assert_eq!(denied.error_description, "the provider answered access_denied");
        assert_eq!(denied.finished_at, Some(begun.plus(Duration::from_secs(5))));

        app.upstream.chaos(json!({"token_fault": "server_error"})).await;
        assert!(decide(&app, &connection, &link, "allow").await.is_none());
        app.upstream.chaos(json!({})).await;
        assert_eq!(result(&app, &connection, &run).await.error, "token_exchange_failed");

        assert!(matches!(decide(&app, &connection, &link, "allow").await, Some(CallbackEnd::Connected)));
        let passed = result(&app, &connection, &run).await;
        assert_eq!((passed.status, passed.error.as_str(), passed.error_description.as_str()), (TestStatus::Success, "", ""));
        app.clock.advance(Duration::from_secs(2 * 86_400));
        assert_eq!(result(&app, &connection, &run).await, passed);
        let health = app.kit.connection_health(app.env, connection.id).await.unwrap();
        assert_eq!(health.last_test, Some(passed));
    }

    /// Part of AK-116: what needs no user is found before one is bothered: a client that the provider does not
    /// know, endpoints without answer. The result says why, and no link is made.
    async fn endpoints_are_asked_before_the_user(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let gone = format!("http://{closed}/x");
        let wrong_secret = app.oauth_with("wrong-secret", app.oauth_pattern(), json!({}), |_| {}).await;
        let wrong_secret = app.configure(wrong_secret, keystead_sandbox::CLIENT_ID, "not-the-secret", |_| {}).await;
        let no_page = app.oauth_with("no-page", app.oauth_pattern(), json!({}), |_| {}).await;
        let no_page = app.configure(no_page, keystead_sandbox::CLIENT_ID, keystead_sandbox::CLIENT_SECRET, |settings| {
            settings.authorize_uri = Some(gone.clone());
        }).await;
        let no_tokens = app.oauth_with("no-tokens", app.oauth_pattern(), json!({}), |_| {}).await;
        let no_tokens = app.configure(no_tokens, keystead_sandbox::CLIENT_ID, keystead_sandbox::CLIENT_SECRET, |settings| {
            settings.token_uri = Some(gone.clone());
        }).await;
        let cases = [
            (wrong_secret, "invalid_client", "does not accept"),
            (no_page, "authorization_endpoint_unreachable", "authorization endpoint"),
            (no_tokens, "token_endpoint_unreachable", "token endpoint"),
        ];
        for (wrong, code, words) in cases {
            let run = app.kit.test_connection(app.env, &app.actor, wrong.id, "test-ada".to_owned()).await.unwrap();
            assert!(run.link.is_none(), "{code}");
            let failed = result(&app, &wrong, &run).await;
            assert_eq!((failed.status, failed.error.as_str()), (TestStatus::Failure, code));
            assert!(failed.error_description.contains(words) && !failed.error_description.contains("not-the-secret"), "{failed:?}");
            assert!(failed.finished_at.is_some());
        }
        // What says nothing about the client does not end the test.
        for fault in ["server_error", "html", "rate_limited"] {
            app.upstream.chaos(json!({"token_fault": fault})).await;
            started(&app, &connection).await;
        }
        assert_eq!(app.upstream.counter("code_exchanges").await, 0);
    }

    /// Part of AK-116: an unused link is a failure once it ended; other links say nothing about a test.
    async fn a_test_that_nobody_finishes_fails_with_its_link(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let (run, _) = started(&app, &connection).await;
        app.connected(&connection, "bo").await;
        assert_eq!(result(&app, &connection, &run).await.status, TestStatus::Pending);
        app.clock.advance(Duration::from_secs(3600));
        let late = result(&app, &connection, &run).await;
        assert_eq!((late.status, late.error.as_str(), late.finished_at), (TestStatus::Failure, "timed_out", Some(run.link.unwrap().expires_at)));

        let foreign = app.another_environment("Other").await;
        assert!(app.kit.find_connection_test(foreign, connection.id, run.id).await.unwrap().is_none());
        let other = app.static_connection("other", json!({"type": "NO_AUTH"})).await;
        assert!(app.kit.find_connection_test(app.env, other.id, run.id).await.unwrap().is_none());
        let begun = app.kit.test_connection(foreign, &app.actor, connection.id, "ada".to_owned());
        assert_eq!(begun.await.unwrap_err().code(), ErrorCode::ConnectionNotFound);
    }

    /// Part of AK-116: the provider's answer counts, not who confirms the user afterwards.
    async fn a_grant_that_waits_for_a_member_passes(test: TestDb) {
        let app = App::started(&test).await;
        app.verify(Verification::PlatformUsers).await;
        let connection = app.oauth().await;
        let (run, link) = started(&app, &connection).await;
        assert!(matches!(decide(&app, &connection, &link, "allow").await, Some(CallbackEnd::SignIn(_))));
        assert_eq!(result(&app, &connection, &run).await.status, TestStatus::Success);
    }

    /// Part of AK-116: a credential that is entered passes as well.
    async fn a_stored_key_passes(test: TestDb) {
        let app = App::started(&test).await;
        let pattern = json!({"type": "API_KEY", "fields": [{"field_name": "api_key", "required": true}]});
        let connection = app.static_connection("keys", pattern).await;
        let (run, link) = started(&app, &connection).await;
        let fields = BTreeMap::from([("api_key".to_owned(), "k".to_owned())]);
        let end = app.kit.submit_form(app.env, &link, FormAnswers { fields, scope_selection: None }).await.unwrap();
        assert!(matches!(end, FormEnd::Connected));
        assert_eq!(result(&app, &connection, &run).await.status, TestStatus::Success);
    }
}
