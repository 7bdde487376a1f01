//! What is told of a connection, and what it says about its calls (AK-109, AK-111, AK-117, AK-460).

use crate::{
    accounts::oauth,
    fixture::{App, by_id, call, object, of_user, provider_input},
};
use axum::{Json, Router, extract::Request, routing::any};
use http::Method;
use keystead_agentkit::{
    accounts::{AccountStatus, CredentialInput, NewAccount},
    connections::{Connection, ConnectionPatch, ConnectionSettings},
};
use keystead_sandbox::API_KEY;
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::{ErrorCode, Reason};
use serde_json::{Value, json};

/// Changes the settings of a connection; gives the fields that are said to be wrong.
async fn change(
    app: &App,
    connection: &Connection,
    change: impl Fn(&mut ConnectionSettings) + Send + Sync,
) -> Result<(), Vec<String>> {
    let changed = app
        .kit
        .change_connection(app.env, &app.actor, connection.id, |current| {
            let mut settings = current.settings.clone();
            change(&mut settings);
            Ok(ConnectionPatch {
                settings: Some(settings),
                ..ConnectionPatch::default()
            })
        });
    let names = |error: keystead_agentkit::Error| {
        let violations = error.violations().into_iter();
        violations.map(|violation| violation.field).collect()
    };
    changed.await.map(|_| ()).map_err(names)
}

fn fixed(value: Value) -> impl Fn(&mut ConnectionSettings) + Send + Sync {
    move |settings| settings.static_config = object(value.clone())
}

/// A provider without a credential of its own: repeats what arrives below `/open`.
async fn with_open_echo(test: &TestDb) -> App {
    let echo = any(async |request: Request| {
        let headers = format!("{:?}", request.headers());
        Json(json!({"uri": request.uri().to_string(), "headers": headers}))
    });
    App::started_with(test, |_| Router::new().route("/open/{*rest}", echo)).await
}

on_both_engines! {
    /// Part of AK-117: accounts, refreshes, calls and errors of one connection alone.
    async fn a_connection_tells_how_it_is_doing(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth_context(json!({"rate_limit": 600})).await;
        let id = app.connected(&connection, "ada").await;
        app.account("sandbox", of_user("bo")).await;
        let other = app.static_connection("other", json!({"type": "NO_AUTH"})).await;
        let stranger = app.account("other", of_user("ada")).await.account.id;
        app.kit.refresh_account(app.env, &app.actor, by_id(id)).await.unwrap();
        app.upstream.chaos(json!({"token_fault": "server_error"})).await;
        app.kit.refresh_account(app.env, &app.actor, by_id(id)).await.unwrap_err();
        for path in ["/me", "/items", "/status/500"] {
            app.get(id, path).await.unwrap();
        }
        app.get(stranger, "/status/404").await.unwrap();
        app.kit.write_calls(std::future::ready(())).await;

        let health = app.kit.connection_health(app.env, connection.id).await.unwrap();
        let mut accounts = health.accounts;
        accounts.sort_by_key(|(status, _)| status.as_str());
        assert_eq!(accounts, [(AccountStatus::Active, 1), (AccountStatus::PendingAuth, 1)]);
        assert_eq!((health.refreshes_succeeded, health.refreshes_failed), (1, 1));
        assert_eq!((health.calls.count, health.calls.failed), (3, 1));
        assert!(health.calls.p50 <= health.calls.p95 && !health.calls.p95.is_zero());
        let errors: Vec<_> = health.last_errors.iter().map(|call| (call.http_status, call.account_id)).collect();
        assert_eq!(errors, [(Some(500), id)]);
        assert_eq!(health.rate_limit.map(|limit| limit.per_minute), Some(600));
        app.clock.advance(std::time::Duration::from_secs(25 * 3600));
        let later = app.kit.connection_health(app.env, connection.id).await.unwrap();
        assert_eq!((later.calls.count, later.refreshes_succeeded, later.last_errors.len()), (0, 0, 0));
        let foreign = app.another_environment("Other").await;
        assert_eq!(app.kit.connection_health(foreign, other.id).await.unwrap_err().code(), ErrorCode::ConnectionNotFound);
    }

    /// AK-109, AK-331, part of AK-333: an added scope is missing until the user authorizes again.
    async fn a_new_scope_is_missing_until_the_next_consent(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let (ada, bo) = (app.connected(&connection, "ada").await, app.connected(&connection, "bo").await);
        let unknown = NewAccount { credential: oauth("token", "", &[]), ..of_user("imported") };
        app.account("sandbox", unknown).await;
        assert!(app.kit.lacking_scopes(app.env, connection.id).await.unwrap().is_empty());
        change(&app, &connection, |settings| settings.scopes.push("admin".to_owned())).await.unwrap();
        assert_eq!(app.kit.lacking_scopes(app.env, connection.id).await.unwrap(), [("admin".to_owned(), 2)]);
        assert_eq!(app.kit.missing_scopes(app.env, by_id(ada)).await.unwrap(), ["admin"]);
        app.connected(&connection, "ada").await;
        assert!(app.kit.missing_scopes(app.env, by_id(ada)).await.unwrap().is_empty());
        assert_eq!(app.kit.missing_scopes(app.env, by_id(bo)).await.unwrap(), ["admin"]);
        assert_eq!(app.kit.connection_health(app.env, connection.id).await.unwrap().lacking_scopes, [("admin".to_owned(), 1)]);
    }

    /// AK-111: base URL, header or query parameter, and prefix of an API key are the connection's to say.
    async fn a_connection_says_how_its_key_is_presented(test: TestDb) {
        let app = with_open_echo(&test).await;
        let pattern = json!({"type": "API_KEY", "fields": [{"field_name": "api_key", "required": true}]});
        let connection = app.static_connection("keys", pattern).await;
        let new = NewAccount { credential: CredentialInput::Static(object(json!({"api_key": API_KEY}))), ..of_user("ada") };
        let id = app.account("keys", new).await.account.id;
        assert_eq!(app.get(id, "/me").await.unwrap().status, 401, "the sandbox wants the key in a header of its own");
        change(&app, &connection, fixed(json!({"api_key_header": "X-Api-Key"}))).await.unwrap();
        assert_eq!(app.get(id, "/me").await.unwrap().status, 200);

        let open = app.upstream.url("/open");
        let settings = json!({"base_url": open, "api_key_header": "X-Mine", "api_key_prefix": "Key "});
        change(&app, &connection, fixed(settings)).await.unwrap();
        let seen = app.get(id, "/a?q=1").await.unwrap().json();
        assert_eq!(seen["uri"], "/open/a?q=1");
        let headers = seen["headers"].as_str().unwrap();
        assert!(headers.contains(&format!("\"x-mine\": \"Key {API_KEY}\"")), "{headers}");

        let settings = json!({"base_url": open, "api_key_query_param": "key", "api_key_prefix": "a&b="});
        change(&app, &connection, fixed(settings)).await.unwrap();
        let seen = app.get(id, "/a?q=%20x&key=mine&q=2&k%65y").await.unwrap().json();
        assert_eq!(seen["uri"], format!("/open/a?q=%20x&q=2&key=a%26b%3D{API_KEY}"));
        assert!(!seen["headers"].to_string().contains(API_KEY));
        for (wrong, field) in [
            (json!({"base_url": "ftp://a.test"}), "base_url"),
            (json!({"base_url": "https://u:p@a.test"}), "base_url"),
            (json!({"api_key_header": "Host"}), "api_key_header"),
            (json!({"api_key_header": "a b"}), "api_key_header"),
            (json!({"api_key_header": "Proxy-Authorization"}), "api_key_header"),
            (json!({"api_key_prefix": "a\r\nb"}), "api_key_prefix"),
            (json!({"api_key_header": "X-A", "api_key_query_param": "k"}), "api_key_query_param"),
            (json!({"api_key_query_param": 1}), "api_key_query_param"),
        ] {
            let refused = change(&app, &connection, fixed(wrong)).await.unwrap_err();
            assert_eq!(refused, [format!("static_config.{field}")]);
        }
    }

    /// AK-460: what the connection's list does not cover is not sent.
    async fn calls_outside_the_list_are_not_sent(test: TestDb) {
        let app = with_open_echo(&test).await;
        let input = provider_input("Open", &json!({"type": "NO_AUTH"}), &app.upstream.url("/open"));
        let provider = app.kit.create_custom_provider(app.env, &app.actor, input).await.unwrap();
        let connection = app.connection_of(&provider, "open", json!({})).await;
        let id = app.account("open", of_user("ada")).await.account.id;
        let rules = |rules: Value| move |settings: &mut ConnectionSettings| {
            settings.context.insert("proxy_allow".to_owned(), rules.clone());
        };
        change(&app, &connection, rules(json!(["GET /echo/*"]))).await.unwrap();
        assert_eq!(app.get(id, "/echo/one?x=1").await.unwrap().status, 200);
        for (method, path) in [(Method::POST, "/echo/one"), (Method::GET, "/items"), (Method::GET, "/%65cho/one")] {
            let refused = app.send(call(id, method, path)).await.unwrap_err();
            assert_eq!(refused.reason().code(), ErrorCode::TargetNotAllowed, "{path}");
        }
        let mut overridden = call(id, Method::GET, "/echo/one");
        overridden.headers.insert("x-http-method-override", http::HeaderValue::from_static("DELETE"));
        let seen = app.send(overridden).await.unwrap().json();
        assert!(!seen.to_string().contains("DELETE"), "{seen}");
        assert_eq!(change(&app, &connection, rules(json!(["/echo"]))).await.unwrap_err(), ["context.proxy_allow"]);
    }
}
