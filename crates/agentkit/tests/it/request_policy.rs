//! Timeouts, limits, retries and token settings of connections, which accounts may only lower
//! (AK-112..AK-115).

use crate::{
    fixture::{App, by_id, call, object, of_user, provider_input},
    proxy::{add, bearer, logged, refusal},
};
use axum::{Router, extract::Request, http::StatusCode, routing::any};
use http::{HeaderValue, Method, header::RETRY_AFTER};
use keystead_agentkit::{
    Error,
    accounts::{AccountPatch, CredentialInput, NewAccount},
    connections::{ConnectionPatch, ConnectionSettings},
    proxy::ProxyError,
};
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::{ConnectedAccountId, ErrorCode};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// Path, `User-Agent` and `X-App` of each call that arrived.
type Seen = Arc<Mutex<Vec<[String; 3]>>>;

async fn started(test: &TestDb) -> (App, Seen) {
    let seen = Seen::default();
    let writer = Arc::clone(&seen);
    let note = any(async move |request: Request| {
        let header = |name: &str| {
            let value = request.headers().get(name);
            value.map_or("", |value| value.to_str().unwrap()).to_owned()
        };
        let call = [
            request.uri().path().to_owned(),
            header("user-agent"),
            header("x-app"),
        ];
        writer.lock().unwrap().push(call);
    });
    let slow = any(async || std::future::pending::<()>().await);
    let routes = Router::new()
        .route("/api/slow", slow)
        .route("/{*rest}", note);
    (App::started_with(test, |_| routes).await, seen)
}

/// A connection whose API is `/api` of the provider.
async fn connection(app: &App, name: &str, context: Value) {
    let input = provider_input(name, &bearer(), &app.upstream.url("/api"));
    let provider = app
        .kit
        .create_custom_provider(app.env, &app.actor, input)
        .await
        .unwrap();
    app.connection_of(&provider, name, context).await;
}

async fn account(
    app: &App,
    connector: &str,
    identifier: &str,
    api_config: Value,
) -> ConnectedAccountId {
    let new = NewAccount {
        credential: CredentialInput::Static(object(json!({"token": "t"}))),
        api_config: object(api_config),
        ..of_user(identifier)
    };
    app.account(connector, new).await.account.id
}

/// A provider that answers its first calls with `status`, and then works.
async fn failing(
    test: &TestDb,
    status: StatusCode,
    failures: usize,
    retry_after: Option<&'static str>,
) -> (App, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let route = any(async move || {
        let mut answer = http::Response::new(axum::body::Body::empty());
        if counter.fetch_add(1, Ordering::SeqCst) < failures {
            *answer.status_mut() = status;
            if let Some(value) = retry_after {
                answer
                    .headers_mut()
                    .insert(RETRY_AFTER, HeaderValue::from_static(value));
            }
        }
        answer
    });
    let app = App::started_with(test, |_| Router::new().route("/api/{*rest}", route)).await;
    (app, calls)
}

on_both_engines! {
    /// Part of AK-112: user agent and headers of the connection go with every call, wherever it keeps them.
    async fn agent_and_headers_of_the_connection_are_sent(test: TestDb) {
        let (app, seen) = started(&test).await;
        let policy = json!({"user_agent": "Acme/1", "base_headers": {"X-App": "acme"}});
        connection(&app, "context", policy.clone()).await;
        let input = provider_input("Static", &bearer(), &app.upstream.url("/api"));
        let provider = app.kit.create_custom_provider(app.env, &app.actor, input).await.unwrap();
        let made = app.connection_of(&provider, "static", json!({})).await;
        let settings = ConnectionSettings { static_config: object(policy), ..made.settings.clone() };
        let patch = ConnectionPatch { settings: Some(settings), ..ConnectionPatch::default() };
        app.kit.update_connection(app.env, &app.actor, made.id, patch).await.unwrap();
        for name in ["context", "static"] {
            let id = add(&app, name, "ada", json!({"token": "t"})).await;
            app.get(id, "/x").await.unwrap();
        }
        let expected = ["/api/x", "Acme/1", "acme"].map(str::to_owned);
        assert_eq!(*seen.lock().unwrap(), [expected.clone(), expected]);
    }

    /// Part of AK-112, 4.3: a header of the connection says nothing about how a request is read, since
    /// requests of others follow on the same connection.
    async fn framing_headers_cannot_be_configured(test: TestDb) {
        let (app, _) = started(&test).await;
        let provider = app.provider("Framed", bearer()).await;
        let made = app.connection_of(&provider, "c", json!({})).await;
        for headers in [json!({"Content-Length": "300"}), json!({"host": "x"}), json!({"Transfer-Encoding": "chunked"}), json!({"a": 1}), json!([])] {
            for place in ["context", "static_config"] {
                let mut settings = made.settings.clone();
                let map = if place == "context" { &mut settings.context } else { &mut settings.static_config };
                map.insert("base_headers".to_owned(), headers.clone());
                let patch = ConnectionPatch { settings: Some(settings), ..ConnectionPatch::default() };
                let refused = app.kit.update_connection(app.env, &app.actor, made.id, patch).await.unwrap_err();
                assert!(refused.to_string().contains(&format!("{place}.base_headers")), "{headers}: {refused}");
            }
        }
    }

    /// Part of AK-112, 4.3: an account's `base_url` only goes further down than the connection's.
    async fn an_account_only_narrows_the_base_url(test: TestDb) {
        let (app, seen) = started(&test).await;
        connection(&app, "c", json!({})).await;
        let below = json!({"base_url": app.upstream.url("/api/v2/")});
        let id = account(&app, "c", "below", below).await;
        app.get(id, "/x?y=1").await.unwrap();
        assert_eq!(seen.lock().unwrap().pop().unwrap()[0], "/api/v2/x");
        refusal(app.get(id, "/../x").await);
        for (number, base_url) in [
            app.upstream.url("/other"), app.upstream.url(""), app.upstream.url("/api/../other"),
            "http://127.0.0.1:1/api".to_owned(), "https://evil.test/api".to_owned(), "not a url".to_owned(),
        ].into_iter().enumerate() {
            let id = account(&app, "c", &format!("user-{number}"), json!({"base_url": base_url})).await;
            let error = app.get(id, "/x").await.unwrap_err();
            assert!(matches!(error, ProxyError::Refused(Error::TargetNotAllowed(_))), "{base_url}: {error}");
        }
        assert!(seen.lock().unwrap().is_empty());
        // Taken away again, the connection's counts.
        let patch = AccountPatch { api_config: object(json!({"base_url": null})), ..AccountPatch::default() };
        app.kit.update_account(app.env, &app.actor, by_id(id), patch).await.unwrap();
        app.get(id, "/x").await.unwrap();
        assert_eq!(seen.lock().unwrap().pop().unwrap()[0], "/api/x");
    }

    /// Part of AK-112, part of AK-460: rules of the connection are about the path below its own base URL, so that
    /// an account's base URL gets round none.
    async fn a_narrower_base_url_gets_round_no_rule(test: TestDb) {
        let (app, seen) = started(&test).await;
        connection(&app, "c", json!({"proxy_allow": ["GET /users", "GET /v2/users/*"]})).await;
        for (number, (below, path, expected)) in [
            ("/api/admin", "/users", None),
            ("/api/admin/", "/users", None),
            ("/api/v2", "/users", None),
            ("/api/v2", "/users/1", Some("/api/v2/users/1")),
            ("/api/v2/", "/users/1", Some("/api/v2/users/1")),
            ("/api/v2/users", "/1", Some("/api/v2/users/1")),
            ("/api", "/users", Some("/api/users")),
        ].into_iter().enumerate() {
            let own = json!({"base_url": app.upstream.url(below)});
            let id = account(&app, "c", &format!("user-{number}"), own).await;
            let end = app.get(id, path).await;
            assert_eq!(end.is_ok(), expected.is_some(), "{below}{path}");
            let reached = seen.lock().unwrap().pop().map(|call| call[0].clone());
            assert_eq!(reached.as_deref(), expected, "{below}{path}");
        }
    }

    /// AK-112: an account lowers the timeout and the rate of its connection, and raises neither.
    async fn an_account_only_lowers_timeout_and_rate(test: TestDb) {
        let (app, seen) = started(&test).await;
        connection(&app, "patient", json!({"timeout": 30})).await;
        connection(&app, "hasty", json!({"timeout": 1})).await;
        for (connector, timeout) in [("patient", 1), ("hasty", 50)] {
            let id = account(&app, connector, "ada", json!({"timeout": timeout})).await;
            let began = Instant::now();
            assert_eq!(refusal(app.get(id, "/slow").await), (504, ErrorCode::DeadlineExceeded));
            assert!(began.elapsed() < Duration::from_secs(15), "{connector}");
        }

        connection(&app, "wide", json!({})).await;
        let (limited, free) = (
            account(&app, "wide", "limited", json!({"rate_limit": 1})).await,
            account(&app, "wide", "free", json!({})).await,
        );
        app.get(limited, "/x").await.unwrap();
        assert_eq!(refusal(app.get(limited, "/x").await), (429, ErrorCode::RateLimitedLocal));
        for _ in 0..3 {
            app.get(free, "/x").await.unwrap();
        }
        connection(&app, "narrow", json!({"rate_limit": 1})).await;
        let greedy = account(&app, "narrow", "greedy", json!({"rate_limit": 1000})).await;
        app.get(greedy, "/x").await.unwrap();
        assert_eq!(refusal(app.get(greedy, "/x").await), (429, ErrorCode::RateLimitedLocal));
        assert_eq!(seen.lock().unwrap().len(), 5);
    }

    /// AK-114, part of AK-112: calls of an hour are counted beside those of a minute; the refusal says the
    /// real wait and is in the log as ours.
    async fn calls_of_an_hour_are_limited_too(test: TestDb) {
        let (app, seen) = started(&test).await;
        let limits = json!({"rate_limiting": {"requests_per_minute": 600, "requests_per_hour": 2}});
        connection(&app, "c", limits).await;
        let id = account(&app, "c", "ada", json!({})).await;
        for _ in 0..2 {
            app.get(id, "/x").await.unwrap();
        }
        let began = Instant::now();
        let error = app.get(id, "/x").await.unwrap_err();
        assert!(began.elapsed() >= Duration::from_millis(1900), "it queued");
        assert_eq!((error.http_status(), error.reason().code()), (429, ErrorCode::RateLimitedLocal));
        // Two an hour are one in half an hour, and two seconds of it went by in the queue.
        assert!(matches!(error, ProxyError::Refused(Error::RateLimited(1700..=1798))), "{error}");
        assert_eq!(seen.lock().unwrap().len(), 2);
        let rows = logged(&app, id).await;
        let row = |index: usize| (rows[index].status.as_str(), rows[index].error_code.as_str());
        assert_eq!((rows.len(), row(1), row(2)), (3, ("success", ""), ("platform_error", "RATE_LIMITED_LOCAL")));
    }

    /// AK-113: the buffer before the end of a token, five minutes unless the connection says otherwise and
    /// never more than half its life; `expires_in` counts only where the provider says nothing.
    async fn a_token_is_refreshed_within_the_buffer(test: TestDb) {
        let app = App::started(&test).await;
        for (context, buffer) in [
            (json!({}), 300), (json!({"refresh_buffer": 60}), 60), (json!({"refresh_buffer": 0}), 0),
            (json!({"refresh_buffer": 7200}), 1800), (json!({"expires_in": 600}), 300),
        ] {
            let name = format!("buffer-{buffer}-{}", context.as_object().unwrap().len());
            let connection = app.oauth_with(&name, app.oauth_pattern(), context, |_| {}).await;
            let id = app.connected(&connection, "ada").await;
            let end = app.read(id).await.token_expires_at.unwrap();
            assert_eq!(end, app.kit.ctx().clock.now().plus(Duration::from_secs(3600)), "the provider's word counts");
            let due = end.minus(Duration::from_secs(buffer));
            assert_eq!(app.row(id).await.refresh_due_at, Some(due), "{name}");
            let before = app.upstream.counter("refreshes").await;
            app.clock.advance(Duration::from_secs(3600 - buffer - 1));
            app.get(id, "/me").await.unwrap();
            assert_eq!(app.upstream.counter("refreshes").await, before, "{name}");
            app.clock.advance(Duration::from_secs(1));
            app.get(id, "/me").await.unwrap();
            assert_eq!(app.upstream.counter("refreshes").await, before + 1, "{name}");
        }
    }

    /// Part of AK-115: each idempotent method, after each status that may pass.
    async fn each_idempotent_method_is_repeated(test: TestDb) {
        for status in [StatusCode::TOO_MANY_REQUESTS, StatusCode::BAD_GATEWAY, StatusCode::SERVICE_UNAVAILABLE, StatusCode::GATEWAY_TIMEOUT] {
            let Some(test) = TestDb::on(test.db.engine()).await else { return };
            let (app, calls) = failing(&test, status, 1, None).await;
            connection(&app, "c", json!({"retry_attempts": 1, "backoff_strategy": "fixed"})).await;
            let id = account(&app, "c", "ada", json!({})).await;
            for (method, repeated) in [
                (Method::GET, true), (Method::HEAD, true), (Method::OPTIONS, true), (Method::PUT, true), (Method::DELETE, true),
                (Method::POST, false), (Method::PATCH, false),
            ] {
                calls.store(0, Ordering::SeqCst);
                let answer = app.send(call(id, method.clone(), "/x")).await.unwrap();
                let expected = if repeated { (200, 2) } else { (status.as_u16(), 1) };
                assert_eq!((answer.status, calls.load(Ordering::SeqCst)), expected, "{method} {status}");
            }
        }
    }

    /// Part of AK-115: a provider that cannot be reached is tried again, after a pause each time.
    async fn a_failed_connection_is_tried_again(test: TestDb) {
        let app = App::started(&test).await;
        // Bound and not listening: nobody else gets the port, and every connection is refused.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let input = provider_input("Gone", &bearer(), &format!("http://{}", socket.local_addr().unwrap()));
        let provider = app.kit.create_custom_provider(app.env, &app.actor, input).await.unwrap();
        app.connection_of(&provider, "gone", json!({"retry_attempts": 3, "backoff_strategy": "linear"})).await;
        let id = account(&app, "gone", "ada", json!({})).await;
        let began = Instant::now();
        assert_eq!(refusal(app.get(id, "/x").await), (502, ErrorCode::UpstreamUnreachable));
        assert!(began.elapsed() >= Duration::from_millis(200 + 400 + 600), "{:?}", began.elapsed());

        // Once it listens the next try arrives.
        let calling = app.get(id, "/x");
        let serving = async move {
            let listener = socket.listen(8).unwrap();
            axum::serve(listener, Router::new().route("/x", any(async || "there"))).await.unwrap();
        };
        tokio::select! {
            answer = calling => assert_eq!(answer.unwrap().body, "there"),
            () = serving => unreachable!(),
        }
    }

    /// Part of AK-115: `Retry-After` is waited for while the deadline allows it; else the provider's
    /// answer is given at once.
    async fn retry_after_is_honoured_within_the_deadline(test: TestDb) {
        for (asked, timeout, expected) in [
            ("1", 30, (200, 2)), ("3", 2, (503, 1)), ("60", 30, (503, 1)),
            ("Wed, 21 Oct 2099 07:28:00 GMT", 30, (503, 1)),
        ] {
            let Some(test) = TestDb::on(test.db.engine()).await else { return };
            let (app, calls) = failing(&test, StatusCode::SERVICE_UNAVAILABLE, 1, Some(asked)).await;
            connection(&app, "c", json!({"retry_attempts": 3, "timeout": timeout, "backoff_strategy": "fixed"})).await;
            let id = account(&app, "c", "ada", json!({})).await;
            let began = Instant::now();
            let answer = app.get(id, "/x").await.unwrap();
            assert_eq!((answer.status, calls.load(Ordering::SeqCst)), expected, "{asked}");
            let waited = began.elapsed();
            if expected.1 == 2 {
                assert!(waited >= Duration::from_secs(1), "{waited:?}");
            } else {
                assert!(waited < Duration::from_secs(2), "{waited:?}");
            }
        }
    }
}
