//! How a client authenticates at the token endpoint (AK-227).

use crate::{
    fixture::{App, named, of_user},
    grants::tokens,
    upstream::{SECOND_CLIENT, SECOND_SECRET},
};
use axum::{
    Router,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use keystead_agentkit::{
    accounts::{AccountStatus, NewAccount},
    connections::Connection,
    links::CallbackEnd,
    settings::Verification,
};
use keystead_testkit::{engines::TestDb, on_both_engines};
use serde_json::json;
use std::sync::{Arc, Mutex};

/// A connection whose tokens come from `path` of the upstream.
pub(crate) async fn issued_at(app: &App, path: &str) -> Connection {
    let mut pattern = app.oauth_pattern();
    pattern["oauth_config"]["token_uri"] = json!(app.upstream.url(path));
    app.oauth_with("sandbox", pattern, json!({}), |_| {}).await
}

/// A token endpoint that takes Basic only, and whether each request had it.
fn basic_only(attempts: &Arc<Mutex<Vec<bool>>>) -> Router {
    let attempts = Arc::clone(attempts);
    Router::new().route(
        "/basic/token",
        post(async move |headers: HeaderMap| {
            let basic = headers.contains_key("authorization");
            attempts.lock().unwrap().push(basic);
            if basic {
                (
                    StatusCode::OK,
                    r#"{"access_token":"t","refresh_token":"r2","expires_in":3600}"#,
                )
            } else {
                (StatusCode::UNAUTHORIZED, r#"{"error":"invalid_client"}"#)
            }
        }),
    )
}

on_both_engines! {
    /// AK-227: a client that must authenticate the other way is tried once more, and the connection
    /// remembers what worked: for this account, for others, and for new consents.
    async fn the_way_to_authenticate_is_found_once_per_connection(test: TestDb) {
        let attempts = Arc::default();
        let app = App::started_with(&test, |_| basic_only(&attempts)).await;
        let connection = issued_at(&app, "/basic/token").await;
        let mut ids = Vec::new();
        for user in ["ada", "bo"] {
            let imported = NewAccount { credential: tokens("old", "r1"), ..of_user(user) };
            ids.push(app.account("sandbox", imported).await.account.id);
        }
        app.kit.refresh_now(app.env, ids[0]).await.unwrap();
        assert_eq!(*attempts.lock().unwrap(), [false, true]);
        let kept = app.kit.connection(app.env, connection.id).await.unwrap().settings;
        assert_eq!(kept.token_endpoint_auth_method.as_deref(), Some("client_secret_basic"));
        for id in [ids[0], ids[1]] {
            app.kit.refresh_now(app.env, id).await.unwrap();
        }
        app.connected(&connection, "cleo").await;
        assert_eq!(*attempts.lock().unwrap(), [false, true, true, true, true]);
        let changes = app.audited().await;
        let changes = changes.iter().filter(|action| *action == "connection.updated").count();
        app.kit.refresh_now(app.env, ids[0]).await.unwrap();
        let after = app.audited().await;
        assert_eq!(after.iter().filter(|action| *action == "connection.updated").count(), changes, "kept once");
    }

    /// Part of AK-227: a consent finds it out too, before the user is verified; a client of the past says
    /// nothing about the present one.
    async fn only_the_present_client_is_remembered(test: TestDb) {
        let attempts = Arc::default();
        let app = App::started_with(&test, |_| basic_only(&attempts)).await;
        let connection = issued_at(&app, "/basic/token").await;
        let imported = NewAccount { credential: tokens("old", "r1"), ..of_user("bo") };
        let old = app.account("sandbox", imported).await.account.id;
        let connection = app.configure(connection, SECOND_CLIENT, SECOND_SECRET, |_| {}).await;
        app.kit.refresh_now(app.env, old).await.unwrap();
        let method = async || app.kit.connection(app.env, connection.id).await.unwrap().settings.token_endpoint_auth_method;
        assert_eq!((method().await, attempts.lock().unwrap().len()), (None, 2));
        app.kit.refresh_now(app.env, old).await.unwrap();
        assert_eq!(attempts.lock().unwrap().len(), 3, "the account remembers its own client");
        app.verify(Verification::PlatformUsers).await;
        let link = app.link("sandbox", "ada").await;
        let end = app.consent(connection.id, &link).await;
        assert!(matches!(end, CallbackEnd::SignIn(_)), "{end:?}");
        assert_eq!(method().await.as_deref(), Some("client_secret_basic"));
        assert_eq!(app.kit.account(app.env, named("sandbox", "ada")).await.unwrap().status, AccountStatus::PendingVerification);
    }
}
