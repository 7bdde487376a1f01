//! Refreshes that fail, are interrupted, or lose a race (AK-221..AK-226).

use crate::{
    fixture::{App, TOKEN_LIFE, WatchedClock, by_id, call, node_at, of_user, provider_input, send},
    grants::{abandon, all, caller_in_refresh, crowd, revoke, tokens},
};
use axum::{Router, routing::get};
use http::Method;
use keystead_agentkit::{
    Error,
    accounts::{AccountPatch, AccountStatus},
};
use keystead_net::Policy;
use keystead_store::connected_accounts;
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::{ConnectedAccountId, ErrorCode, Reason};
use serde_json::json;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

on_both_engines! {
    /// AK-224: while the token lives a failure harms nobody, and the next try waits.
    async fn a_transient_failure_is_invisible_while_the_token_lives(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let id = app.connected(&connection, "ada").await;
        app.clock.advance(Duration::from_secs(3400));
        app.upstream.chaos(json!({"token_fault": "server_error"})).await;
        assert_eq!(crowd(&app, std::slice::from_ref(&app.kit), id, 50).await, all("200", 50));
        assert_eq!(app.upstream.counter("token_faults").await, 1);
        assert_eq!(app.status(id).await, AccountStatus::Active);
        app.clock.advance(Duration::from_millis(1001));
        app.get(id, "/me").await.unwrap();
        assert_eq!(app.upstream.counter("token_faults").await, 2, "after 1 s");
        app.clock.advance(Duration::from_millis(1500));
        app.get(id, "/me").await.unwrap();
        assert_eq!(app.upstream.counter("token_faults").await, 2, "the pause doubled");
        app.upstream.chaos(json!({})).await;
        app.clock.advance(Duration::from_millis(501));
        app.get(id, "/me").await.unwrap();
        assert_eq!(app.upstream.counter("refreshes").await, 1);
        assert_eq!(app.read(id).await.refresh_failures, 0);
    }

    /// AK-224: on a dead token one attempt fails for everybody alike, and the account stays.
    async fn a_transient_failure_on_a_dead_token_is_one_attempt_and_clean_errors(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let id = app.connected(&connection, "ada").await;
        let before = app.happened().await.len();
        app.clock.advance(TOKEN_LIFE);
        for (fault, number) in [("server_error", 1), ("html", 2), ("empty", 3), ("wrong_types", 4), ("rate_limited", 5)] {
            app.upstream.chaos(json!({"token_fault": fault, "token_delay_ms": 30})).await;
            let ends = crowd(&app, std::slice::from_ref(&app.kit), id, 100).await;
            assert_eq!(ends, all(ErrorCode::UpstreamUnreachable.as_str(), 100), "{fault}");
            assert_eq!(app.upstream.counter("token_faults").await, number, "{fault}");
            app.clock.advance(Duration::from_secs(60));
        }
        let account = app.read(id).await;
        assert_eq!((account.status, account.refresh_failures), (AccountStatus::Active, 5));
        assert_eq!(app.happened_since(before).await, ["token_refresh_failed"; 5]);
        app.upstream.chaos(json!({})).await;
        assert_eq!(app.get(id, "/me").await.unwrap().status, 200, "the grant was kept");
        assert_eq!(app.upstream.counter("reuse_detections").await, 0);
    }

    /// AK-224: a refused grant ends the account, once, with its reason and both events.
    async fn a_refused_grant_expires_the_account(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let id = app.connected(&connection, "ada").await;
        let before = app.happened().await.len();
        revoke(&app, id).await;
        app.clock.advance(TOKEN_LIFE);
        let ends = crowd(&app, std::slice::from_ref(&app.kit), id, 100).await;
        assert_eq!(ends, all(ErrorCode::ConnectedAccountNotActive.as_str(), 100));
        assert_eq!(app.upstream.counter("token_requests").await, 2, "the code and one refresh");
        let account = app.read(id).await;
        assert_eq!(account.status, AccountStatus::Expired);
        assert!(account.status_reason.contains("invalid_grant"), "{}", account.status_reason);
        assert_eq!(app.happened_since(before).await, ["token_refresh_failed", "ACTIVE>EXPIRED"]);
        let error = app.get(id, "/me").await.unwrap_err();
        assert!(error.to_string().contains("EXPIRED"), "{error}");
    }

    /// AK-221: the new refresh token is stored before the new access token reaches the provider.
    async fn new_tokens_are_durable_before_they_are_used(test: TestDb) {
        let seen: Arc<Mutex<Vec<(i64, bool)>>> = Arc::default();
        let target: Arc<Mutex<Option<(keystead_types::EnvironmentId, ConnectedAccountId)>>> = Arc::default();
        let db = test.db.clone();
        let app = App::started_with(&test, |_| {
            let (seen, target) = (Arc::clone(&seen), Arc::clone(&target));
            Router::new().route("/probe/look", get(async move || {
                let (env, id) = target.lock().unwrap().unwrap();
                let row = connected_accounts::find(&mut db.read(env), id).await.unwrap().unwrap();
                seen.lock().unwrap().push((row.credential_version, row.lease_holder.is_none()));
                "seen"
            }))
        }).await;
        let input = provider_input("Probe", &app.oauth_pattern(), &app.upstream.url("/probe"));
        let provider = app.kit.create_custom_provider(app.env, &app.actor, input).await.unwrap();
        let connection = app.connection_of(&provider, "probe", json!({})).await;
        let connection = app.configure(connection, keystead_sandbox::CLIENT_ID, keystead_sandbox::CLIENT_SECRET, |_| {}).await;
        let id = app.connected(&connection, "ada").await;
        *target.lock().unwrap() = Some((app.env, id));
        app.clock.advance(TOKEN_LIFE);
        assert_eq!(app.get(id, "/look").await.unwrap().status, 200);
        assert_eq!(*seen.lock().unwrap(), [(2, true)]);
        // A process that dies right then loses nothing: the next one goes on with the new token.
        app.clock.advance(TOKEN_LIFE);
        let restarted = app.node(test.db.clone(), 2);
        assert_eq!(send(&restarted, app.env, call(id, Method::GET, "/look")).await.unwrap().status, 200);
        assert_eq!(app.upstream.counter("refreshes").await, 2);
        assert_eq!(app.upstream.counter("reuse_detections").await, 0);
    }

    /// AK-222: a holder that died with a grant that rotates may have used the refresh token: it is
    /// never sent again, and the account says why.
    async fn an_abandoned_refresh_of_a_rotating_grant_is_never_sent_again(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let id = app.connected(&connection, "ada").await;
        app.clock.advance(TOKEN_LIFE);
        abandon(&app, id).await;
        let before = app.happened().await.len();
        let (reads, mut watched) = tokio::sync::watch::channel(0);
        let clock = Arc::new(WatchedClock { inner: Arc::clone(&app.clock), reads });
        let node = node_at(test.db.clone(), 2, Policy::development(), clock);
        let waiting = tokio::spawn({
            let env = app.env;
            async move { send(&node, env, call(id, Method::GET, "/me")).await.map(|answer| answer.status) }
        });
        // A call that does not wait reads the clock a few times, one that waits in every round.
        watched.wait_for(|reads| *reads > 40).await.unwrap();
        assert!(!waiting.is_finished(), "the holder may still come back");
        app.clock.advance(Duration::from_secs(31));
        let error = waiting.await.unwrap().unwrap_err();
        assert_eq!(error.reason().code(), ErrorCode::ConnectedAccountNotActive);
        let account = app.read(id).await;
        assert_eq!(account.status, AccountStatus::Expired);
        assert!(account.status_reason.contains("interrupted"), "{}", account.status_reason);
        assert_eq!(app.upstream.counter("token_requests").await, 1, "only the code");
        assert_eq!(app.happened_since(before).await, ["token_refresh_failed", "ACTIVE>EXPIRED"]);
    }

    /// AK-222: a grant that was seen not to rotate is taken over after 30 seconds.
    async fn an_abandoned_refresh_of_a_stable_grant_is_taken_over(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let id = app.connected(&connection, "ada").await;
        app.upstream.chaos(json!({"rotation": false})).await;
        app.clock.advance(TOKEN_LIFE);
        assert_eq!(app.get(id, "/me").await.unwrap().status, 200);
        app.clock.advance(TOKEN_LIFE);
        abandon(&app, id).await;
        app.clock.advance(Duration::from_secs(31));
        assert_eq!(crowd(&app, std::slice::from_ref(&app.kit), id, 50).await, all("200", 50));
        assert_eq!(app.upstream.counter("refreshes").await, 2);
    }

    /// AK-222: while the token lives nobody waits for a holder, dead or not.
    async fn a_live_token_is_used_while_somebody_refreshes(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let id = app.connected(&connection, "ada").await;
        app.clock.advance(Duration::from_secs(3400));
        abandon(&app, id).await;
        assert_eq!(app.get(id, "/me").await.unwrap().status, 200);
        app.clock.advance(Duration::from_secs(60));
        assert_eq!(app.get(id, "/me").await.unwrap().status, 200);
        assert_eq!(app.upstream.counter("token_requests").await, 1);
        assert_eq!(app.status(id).await, AccountStatus::Active);
    }

    /// AK-221: a caller that hangs up during the refresh does not lose the tokens it caused.
    async fn a_caller_that_hangs_up_loses_no_tokens(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let id = app.connected(&connection, "ada").await;
        let caller = caller_in_refresh(&app, id).await;
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        // The next one waits for the same refresh.
        let next = tokio::time::timeout(Duration::from_secs(20), app.get(id, "/me"));
        assert_eq!(next.await.unwrap().unwrap().status, 200);
        assert_eq!(app.read(id).await.credential_version, 2);
        assert_eq!(app.upstream.counter("refreshes").await, 1);
        assert_eq!(app.upstream.counter("reuse_detections").await, 0);
    }

    /// 4.2.5: an account that was disconnected during its refresh stays disconnected.
    async fn a_disconnected_account_is_not_revived(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let id = app.connected(&connection, "ada").await;
        let caller = caller_in_refresh(&app, id).await;
        app.kit.disconnect_account(app.env, &app.actor, by_id(id)).await.unwrap();
        let error = caller.await.unwrap().unwrap_err();
        assert_eq!(error.reason().code(), ErrorCode::ConnectedAccountNotActive);
        let row = app.row(id).await;
        assert_eq!((row.status.as_str(), row.credential), ("DISCONNECTED", None));
    }

    /// AK-223, AK-211: new tokens that arrive during a refresh win over its outcome.
    async fn tokens_imported_during_a_refresh_win(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let id = app.connected(&connection, "ada").await;
        revoke(&app, id).await;
        let caller = caller_in_refresh(&app, id).await;
        let patch = AccountPatch {
            credential: tokens(keystead_sandbox::STATIC_TOKEN, "of-a-new-grant"),
            ..AccountPatch::default()
        };
        app.kit.update_account(app.env, &app.actor, by_id(id), patch).await.unwrap();
        assert_eq!(caller.await.unwrap().unwrap(), 200, "with the new token");
        assert_eq!(app.status(id).await, AccountStatus::Active);
    }

    /// AK-222, part of AK-225: not even a request sends a refresh token again that may have been used.
    async fn a_request_does_not_repeat_an_abandoned_refresh(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let id = app.connected(&connection, "ada").await;
        abandon(&app, id).await;
        app.clock.advance(Duration::from_secs(31));
        let error = app.kit.refresh_now(app.env, id).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::ConnectedAccountNotActive);
        assert_eq!(app.upstream.counter("token_requests").await, 1);
        assert_eq!(app.status(id).await, AccountStatus::Expired);
    }

    /// AK-222, part of AK-211: a new access token alone does not make an abandoned refresh forgotten: the refresh token
    /// that may have been sent goes, unless sending it again is harmless.
    async fn a_part_of_a_grant_does_not_hide_an_abandoned_refresh(test: TestDb) {
        for rotates in [true, false] {
            let Some(test) = TestDb::on(test.db.engine()).await else { return };
            let app = App::started(&test).await;
            let connection = app.oauth().await;
            let id = app.connected(&connection, "ada").await;
            if !rotates {
                app.upstream.chaos(json!({"rotation": false})).await;
                app.kit.refresh_now(app.env, id).await.unwrap();
            }
            abandon(&app, id).await;
            let part = || AccountPatch { credential: tokens(keystead_sandbox::STATIC_TOKEN, ""), ..AccountPatch::default() };
            let early = app.kit.update_account(app.env, &app.actor, by_id(id), part()).await.map(|_| ());
            assert!(matches!(early, Err(Error::Conflict)), "the holder may still come back: {early:?}");
            app.clock.advance(Duration::from_secs(31));
            app.kit.update_account(app.env, &app.actor, by_id(id), part()).await.unwrap();
            assert_eq!(app.get(id, "/me").await.unwrap().status, 200);
            let asked = app.upstream.counter("token_requests").await;
            let refreshed = app.kit.refresh_now(app.env, id).await;
            if rotates {
                assert!(matches!(refreshed, Err(Error::NothingToRefresh)), "{refreshed:?}");
                assert_eq!(app.upstream.counter("token_requests").await, asked);
            } else {
                refreshed.unwrap();
            }
        }
    }

    /// Part of AK-226: when the refresh after a 401 fails, the provider's own answer is given, and the call
    /// is not repeated with the refused token.
    async fn a_401_without_new_token_is_passed_through(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let id = app.connected(&connection, "ada").await;
        app.upstream.chaos(json!({"api_unauthorized_count": 1, "token_fault": "server_error"})).await;
        assert_eq!(app.get(id, "/me").await.unwrap().status, 401);
        assert_eq!(app.upstream.counter("api_calls").await, 1);
        assert_eq!(app.get(id, "/me").await.unwrap().status, 200, "the token lives");
        assert_eq!(app.status(id).await, AccountStatus::Active);
    }

    /// 4.3: whatever goes wrong, no error text and no recorded detail holds a token.
    async fn no_error_of_a_refresh_holds_a_secret(test: TestDb) {
        let app = App::started_with(&test, |_| {
            // A provider that repeats what it was sent.
            Router::new().route("/loud/token", axum::routing::post(async |body: String| {
                (http::StatusCode::BAD_REQUEST, json!({"error": "invalid_grant", "error_description": body}).to_string())
            }))
        }).await;
        let mut pattern = app.oauth_pattern();
        pattern["oauth_config"]["token_uri"] = json!(app.upstream.url("/loud/token"));
        let connection = app.oauth_with("loud", pattern, json!({}), |_| {}).await;
        let (access, refresh) = ("access-Zq81LmPwXv4Rt0", "refresh-Kd72NsYbHc9Ju3");
        let imported = keystead_agentkit::accounts::NewAccount {
            credential: tokens(access, refresh),
            ..of_user("ada")
        };
        let id = app.account(&connection.key_id, imported).await.account.id;
        let error = app.kit.refresh_now(app.env, id).await.unwrap_err();
        let history = app.kit.account_history(app.env, id, 100).await.unwrap();
        let events = app.events().await;
        let shown = format!("{error} {error:?} {history:?} {events:?} {:?}", app.row(id).await.status_reason);
        for secret in [access, refresh, keystead_sandbox::CLIENT_SECRET] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(shown.contains("invalid_grant"), "{shown}");
    }
}
