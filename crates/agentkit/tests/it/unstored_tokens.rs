//! What a provider issued is stored or ended, whatever happens around it (AK-221, AK-222, AK-224).

use crate::{
    client_authentication::issued_at,
    fixture::{App, TOKEN_LIFE, of_user},
    grants::{caller_in_refresh, tokens},
};
use axum::{Router, http::StatusCode, routing::post};
use keystead_agentkit::accounts::{AccountStatus, NewAccount};
use keystead_store::{DatabaseConfig, Db, Engine};
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::{ErrorCode, Reason, Secret};
use serde_json::json;

on_both_engines! {
    /// AK-221: the tokens of a refresh are stored although every connection to the database broke while
    /// the provider was answering.
    async fn tokens_survive_a_database_that_fails_over(test: TestDb) {
        if test.db.engine() == Engine::Sqlite {
            return; // has no connection that could break
        }
        let DatabaseConfig::Postgres { url, max_connections } = &test.config else { panic!() };
        // The server hangs up on a connection that waits as long as the provider takes to answer.
        let url = Secret::new(format!("{}%20-cidle_session_timeout%3D250", url.expose()));
        let config = DatabaseConfig::Postgres { url, max_connections: *max_connections };
        let mut app = App::started(&test).await;
        let connection = app.oauth().await;
        let id = app.connected(&connection, "ada").await;
        let cut_off = app.node(Db::open(&config).await.unwrap(), 2);
        let steady = std::mem::replace(&mut app.kit, cut_off);
        let caller = caller_in_refresh(&app, id).await;
        app.kit = steady;
        assert_eq!(caller.await.unwrap().unwrap(), 200);
        let row = app.row(id).await;
        assert_eq!((row.credential_version, row.lease_holder, row.status.as_str()), (2, None, "ACTIVE"));
        app.clock.advance(TOKEN_LIFE);
        assert_eq!(app.get(id, "/me").await.unwrap().status, 200, "with the new refresh token");
        assert_eq!(app.upstream.counter("reuse_detections").await, 0);
    }

    /// AK-221: a process that stops waits for the refresh that a caller left behind.
    async fn stopping_waits_for_a_refresh_without_caller(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let id = app.connected(&connection, "ada").await;
        let caller = caller_in_refresh(&app, id).await;
        caller.abort();
        app.kit.finish().await;
        let row = app.row(id).await;
        assert_eq!((row.credential_version, row.lease_holder), (2, None));
    }

    /// AK-222, part of AK-225: a call that finds the token ended, and may not refresh it, does not end
    /// the lease under which a refresh on request is on its way.
    async fn a_refused_call_leaves_the_lease_of_a_refresh(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth_context(json!({"auto_refresh": false})).await;
        let id = app.connected(&connection, "ada").await;
        app.clock.advance(TOKEN_LIFE);
        app.upstream.chaos(json!({"token_delay_ms": 300})).await;
        let asked = app.upstream.counter("token_requests").await;
        let (kit, env) = (app.kit.clone(), app.env);
        let first = tokio::spawn(async move { kit.refresh_now(env, id).await });
        app.upstream.wait_for("token_requests", asked + 1).await;
        let error = app.get(id, "/me").await.unwrap_err();
        assert_eq!(error.reason().code(), ErrorCode::ConnectedAccountNotActive);
        assert!(app.row(id).await.lease_holder.is_some());
        let other = app.node(test.db.clone(), 2);
        other.refresh_now(app.env, id).await.unwrap();
        first.await.unwrap().unwrap();
        assert_eq!(app.upstream.counter("reuse_detections").await, 0);
        assert_eq!(app.status(id).await, AccountStatus::Active);
        assert_eq!(app.get(id, "/me").await.unwrap().status, 200);
    }

    /// AK-213, part of AK-222: what a refresh brings for an account that another node disconnected
    /// meanwhile, and could not revoke because it did not know it, is revoked.
    async fn tokens_for_an_account_that_is_gone_are_revoked(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let id = app.connected(&connection, "ada").await;
        let caller = caller_in_refresh(&app, id).await;
        let disconnected = "UPDATE connected_accounts SET status = 'DISCONNECTED', credential = NULL,
            credential_version = credential_version + 1, lease_holder = NULL, lease_until = NULL";
        assert_eq!(test.run(disconnected).await.unwrap(), 1);
        caller.await.unwrap().unwrap_err();
        app.upstream.wait_for("revoked_families", 1).await;
    }

    /// AK-224, AK-227: when the client is refused one way and the server is down for the other, the grant
    /// is kept.
    async fn a_failure_of_the_second_try_is_no_refusal(test: TestDb) {
        let app = App::started_with(&test, |_| Router::new().route("/half/token", post(
            async |headers: axum::http::HeaderMap| if headers.contains_key("authorization") {
                (StatusCode::SERVICE_UNAVAILABLE, "")
            } else {
                (StatusCode::UNAUTHORIZED, r#"{"error":"invalid_client"}"#)
            },
        ))).await;
        issued_at(&app, "/half/token").await;
        let imported = NewAccount { credential: tokens("old", "r1"), ..of_user("ada") };
        let id = app.account("sandbox", imported).await.account.id;
        let error = app.kit.refresh_now(app.env, id).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::UpstreamUnreachable, "{error}");
        assert_eq!(app.status(id).await, AccountStatus::Active);
    }
}
