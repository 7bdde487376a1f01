//! Raw calls through the proxy (AK-450..AK-472).

use crate::fixture::{Answer, App, NOW, call, named, object, of_user, param, provider_input, send};
use axum::{Router, body::Body, routing::any};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use http_body_util::BodyExt;
use keystead_agentkit::{
    Error,
    accounts::{AccountPatch, CredentialInput, NewAccount},
    connections::{Connection, ConnectionPatch, ConnectionSettings, SmartSettings},
    providers::CustomProviderPatch,
    proxy::{ProxyBody, ProxyCall, ProxyError},
};
use keystead_net::{Policy, RequestBody};
use keystead_sandbox::{
    API_KEY, BASIC_PASSWORD, BASIC_USER, CLIENT_ID, CLIENT_SECRET, STATIC_TOKEN,
};
use keystead_store::agentkit::ToolCall;
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::{ConnectedAccountId, ErrorCode};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

pub(crate) fn bearer() -> Value {
    json!({"type": "BEARER", "fields": [{"field_name": "token", "required": true}]})
}

/// An active account whose token the sandbox takes, on a connection with these free settings.
pub(crate) async fn with_token(
    app: &App,
    pattern: Value,
    context: Value,
) -> (Connection, ConnectedAccountId) {
    let provider = app.provider("Tokens", pattern).await;
    let connection = app.connection_of(&provider, "tokens", context).await;
    let id = add(app, "tokens", "ada", json!({"token": STATIC_TOKEN})).await;
    (connection, id)
}

pub(crate) async fn add(
    app: &App,
    connector: &str,
    identifier: &str,
    details: Value,
) -> ConnectedAccountId {
    let new = NewAccount {
        credential: CredentialInput::Static(object(details)),
        ..of_user(identifier)
    };
    app.account(connector, new).await.account.id
}

/// The status and code of a call that was not answered by the provider.
pub(crate) fn refusal(result: Result<Answer, ProxyError>) -> (u16, ErrorCode) {
    let error = result.unwrap_err();
    (error.http_status(), error.reason().code())
}

fn headers(mut call: ProxyCall, pairs: &[(&str, &str)]) -> ProxyCall {
    for (name, value) in pairs {
        call.headers.append(
            name.parse::<HeaderName>().unwrap(),
            value.parse::<HeaderValue>().unwrap(),
        );
    }
    call
}

/// What the provider saw of a header.
fn seen<'a>(echo: &'a Value, name: &str) -> Option<&'a str> {
    echo["headers"]
        .get(name)
        .and_then(|values| values[0].as_str())
}

/// Runs the writer of the log until all calls so far are stored.
pub(crate) async fn logged(app: &App, id: ConnectedAccountId) -> Vec<ToolCall> {
    let (stop, stopped) = oneshot::channel::<()>();
    stop.send(()).unwrap();
    app.kit.write_calls(async { stopped.await.unwrap() }).await;
    let mut rows = app.kit.account_calls(app.env, id, 100).await.unwrap();
    rows.sort_by_key(|row| row.id);
    rows
}

on_both_engines! {
    /// AK-010, AK-011, AK-008a: each kind of credential in its header, changed as the pattern says.
    async fn each_kind_of_credential_is_presented(test: TestDb) {
        let app = App::started(&test).await;
        let cases = [
            ("basic", json!({"type": "BASIC"}), json!({"username": BASIC_USER, "password": BASIC_PASSWORD}), "basic"),
            ("bearer", bearer(), json!({"token": STATIC_TOKEN}), "bearer"),
            ("changed", json!({"type": "BEARER", "auth_field_mutations": {"token": {"prefix": "sand", "suffix": "token"}}}),
                json!({"token": "box-"}), "bearer"),
            ("default", json!({"type": "BASIC", "auth_field_mutations": {"password": {"default": BASIC_PASSWORD}}}),
                json!({"username": BASIC_USER}), "basic"),
            ("key", json!({"type": "API_KEY", "auth_header_key_override": "X-Api-Key"}), json!({"api_key": API_KEY}), "api_key"),
            ("raw", json!({"type": "API_KEY", "auth_field_mutations": {"api_key": {"prefix": "Bearer "}}}),
                json!({"api_key": STATIC_TOKEN}), "bearer"),
        ];
        for (name, pattern, details, kind) in cases {
            app.static_connection(name, pattern).await;
            let id = add(&app, name, "ada", details).await;
            let answer = app.get(id, "/me").await.unwrap();
            assert_eq!((answer.status, &answer.json()["principal"]["kind"]), (200, &json!(kind)), "{name}");
        }
        let pattern = json!({"type": "API_KEY", "auth_header_key_override": "X-Ignored", "fields": [
            {"field_name": "api_key", "header_name": "X-Api-Key"}, {"field_name": "app_key", "header_name": "DD-APPLICATION-KEY"},
            {"field_name": "site"},
        ]});
        app.static_connection("two", pattern).await;
        let id = add(&app, "two", "ada", json!({"api_key": API_KEY, "app_key": "app", "site": "eu"})).await;
        let echo = app.get(id, "/echo").await.unwrap().json();
        assert_eq!(seen(&echo, "dd-application-key"), Some("app"));
        assert!(seen(&echo, "x-ignored").is_none() && seen(&echo, "authorization").is_none());
    }

    /// AK-451, AK-452: method, path, query, headers and body arrive as they were sent.
    async fn a_call_arrives_as_it_was_sent(test: TestDb) {
        let app = App::started(&test).await;
        let (_, id) = with_token(&app, bearer(), json!({})).await;
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"] {
            let mut sent = call(id, method.parse().unwrap(), "/echo/a%2Fb/%C3%BC?q=is%3Aunread&b=2&b=1&c=a+b");
            sent = headers(sent, &[("soapaction", "urn:x"), ("content-type", "text/xml"), ("x-many", "1"), ("x-many", "2")]);
            sent.body = ProxyBody::Buffered(Bytes::from_static(b"<a>\xc3\xbc</a>\0\xff"));
            let echo = app.send(sent).await.unwrap().json();
            assert_eq!(echo["method"], method);
            assert_eq!(echo["path"], "/echo/a%2Fb/%C3%BC");
            assert_eq!(echo["query"], "q=is%3Aunread&b=2&b=1&c=a+b");
            assert_eq!(echo["headers"]["x-many"], json!(["1", "2"]));
            assert_eq!((seen(&echo, "soapaction"), seen(&echo, "content-type")), (Some("urn:x"), Some("text/xml")));
            assert_eq!(echo["body"]["base64"], "PGE+w7w8L2E+AP8=");
        }
    }

    /// AK-456: the caller's own headers stay here, and the account's credential always wins.
    async fn private_headers_are_not_forwarded(test: TestDb) {
        let app = App::started(&test).await;
        let (_, id) = with_token(&app, bearer(), json!({"user_agent": "Acme/1", "base_headers": {"X-App": "acme", "X-Own": "base"}})).await;
        let sent = headers(call(id, Method::GET, "/echo"), &[
            ("authorization", "Bearer skc-caller"), ("connection_name", "tokens"), ("identifier", "ada"), ("cookie", "a=b"),
            ("host", "evil.example"), ("x-sdk-version", "1"), ("x-api-version", "1"), ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-host", "evil.example"), ("forwarded", "for=10.0.0.1"), ("user-agent", "Scalekit-Python/2"),
            ("connection", "x-hop, close"), ("x-hop", "1"), ("te", "trailers"), ("proxy-authorization", "Basic x"),
            ("x-own", "caller"), ("accept", "application/json"), ("x-connection-name", "tokens"),
        ]);
        let echo = app.send(sent).await.unwrap().json();
        let names: Vec<&str> = echo["headers"].as_object().unwrap().keys().map(String::as_str).collect();
        for private in ["connection_name", "identifier", "cookie", "x-sdk-version", "x-api-version", "x-forwarded-for",
            "x-forwarded-host", "forwarded", "x-hop", "te", "proxy-authorization", "x-connection-name"] {
            assert!(!names.contains(&private), "{private} in {names:?}");
        }
        assert_eq!(seen(&echo, "host"), app.upstream.origin.strip_prefix("http://"));
        assert_eq!((seen(&echo, "user-agent"), seen(&echo, "x-app")), (Some("Acme/1"), Some("acme")));
        assert_eq!((seen(&echo, "x-own"), seen(&echo, "accept")), (Some("caller"), Some("application/json")));
        assert_eq!(echo["headers"]["authorization"].as_array().map(Vec::len), Some(1));
        app.static_connection("key", json!({"type": "API_KEY", "auth_header_key_override": "X-Api-Key"})).await;
        let key = add(&app, "key", "ada", json!({"api_key": API_KEY})).await;
        let sent = headers(call(key, Method::GET, "/echo"), &[("X-Api-Key", "of-the-caller"), ("x-api-key", "again")]);
        assert_eq!(app.send(sent).await.unwrap().status, 200);
    }

    /// AK-453: status, headers and body come back, without what would act on this server's origin.
    async fn answers_come_back_as_they_are(test: TestDb) {
        let app = App::started(&test).await;
        let (_, id) = with_token(&app, bearer(), json!({})).await;
        for status in [200, 201, 204, 304, 400, 403, 404, 409, 418, 429, 500, 503] {
            let answer = app.get(id, &format!("/status/{status}?retry_after=7")).await.unwrap();
            assert_eq!(answer.status, status);
            assert_eq!(answer.headers["retry-after"], "7");
            if ![204, 304].contains(&status) {
                assert_eq!(answer.json()["status"], status);
            }
            assert!(answer.execution.starts_with("exec_") || !answer.execution.is_empty());
        }
        let answer = app.get(id, "/headers").await.unwrap();
        assert_eq!(answer.headers["x-sandbox"], "passes");
        for stripped in ["set-cookie", "strict-transport-security", "alt-svc", "access-control-allow-origin", "connection", "transfer-encoding"] {
            assert!(!answer.headers.contains_key(stripped), "{stripped}");
        }
    }

    /// AK-458: a redirect is returned and not followed.
    async fn a_redirect_is_returned(test: TestDb) {
        let app = App::started(&test).await;
        let (_, id) = with_token(&app, bearer(), json!({})).await;
        let target = app.upstream.url("/sandbox/provider/api/me");
        let answer = app.get(id, &format!("/redirect?to={target}")).await.unwrap();
        assert_eq!((answer.status, answer.headers["location"].to_str().unwrap()), (302, target.as_str()));
        assert_eq!(app.upstream.counter("api_calls").await, 1);
    }

    /// AK-012, AK-471: templates of the base URL and of headers.
    async fn templates_are_filled_from_the_account(test: TestDb) {
        let app = App::started(&test).await;
        let mut pattern = bearer();
        pattern["fields"] = json!([{"field_name": "token", "required": true}, {"field_name": "tenant", "is_path_param": true}]);
        let mut input = provider_input("Paths", &pattern, &app.upstream.url("/sandbox/provider/api/echo/{{version}}/{{tenant}}"));
        input.metadata.insert("default_headers".to_owned(), json!({"X-Tenant": "t={{tenant}}"}).to_string());
        let provider = app.kit.create_custom_provider(app.env, &app.actor, input).await.unwrap();
        app.connection_of(&provider, "paths", json!({})).await;
        let id = add(&app, "paths", "ada", json!({"token": STATIC_TOKEN, "path_variables": {"tenant": "a/b ü"}})).await;
        assert_eq!(refusal(app.get(id, "/x").await).1, ErrorCode::TemplateValueInvalid, "no version");
        let set = async |value: Value| {
            let patch = AccountPatch { api_config: object(value), ..AccountPatch::default() };
            app.kit.update_account(app.env, &app.actor, crate::fixture::by_id(id), patch).await.unwrap();
        };
        set(json!({"path_variables": {"version": "v2"}})).await;
        let echo = app.get(id, "/x").await.unwrap().json();
        assert_eq!(echo["path"], "/echo/v2/a%2Fb%20%C3%BC/x");
        set(json!({"tenant": "own"})).await;
        let echo = app.get(id, "/x").await.unwrap().json();
        assert_eq!(echo["path"], "/echo/v2/own/x", "the developer's settings win");
        assert_eq!(seen(&echo, "x-tenant"), Some("t=own"));
        for bad in [json!({"tenant": ".."}), json!({"tenant": "a\r\nx: y"})] {
            set(bad).await;
            assert_eq!(refusal(app.get(id, "/x").await).1, ErrorCode::TemplateValueInvalid);
        }
    }

    /// AK-008b, AK-471: a host that the account names must be one of the provider's.
    async fn a_templated_host_stays_on_the_list(test: TestDb) {
        let app = App::started(&test).await;
        let mut pattern = bearer();
        pattern["allowed_proxy_domains"] = json!(["*.good.example"]);
        let input = provider_input("Hosts", &pattern, "https://{{domain}}/api");
        let provider = app.kit.create_custom_provider(app.env, &app.actor, input).await.unwrap();
        app.connection_of(&provider, "hosts", json!({})).await;
        for evil in ["evil.example", "good.example.evil.example", "evil.example/x.good.example", "a@b.good.example", "127.0.0.1"] {
            let id = add(&app, "hosts", evil, json!({"token": "t", "domain": evil})).await;
            assert_eq!(refusal(app.get(id, "/x").await).1, ErrorCode::TemplateValueInvalid, "{evil}");
        }
    }

    /// AK-472
    async fn a_path_cannot_leave_the_base(test: TestDb) {
        let app = App::started(&test).await;
        let (_, id) = with_token(&app, bearer(), json!({})).await;
        for path in ["//evil.example/x", "/../token", "/%2e%2e/token", "/echo/..%2f..", "/a\\b", "/%5cb", "/a//b", "/./x", "/a\nb", "/a#b"] {
            assert_eq!(refusal(app.get(id, path).await), (403, ErrorCode::TargetNotAllowed), "{path}");
        }
        assert_eq!(app.get(id, "/echo/group%2Fproject..x/...").await.unwrap().status, 200);
        assert_eq!(app.upstream.counter("api_calls").await, 1);
    }

    /// AK-454, part of AK-470: without the development policy loopback is out of reach, and nothing is sent.
    async fn private_addresses_are_refused(test: TestDb) {
        let app = App::started(&test).await;
        let (_, id) = with_token(&app, bearer(), json!({})).await;
        for policy in [Policy::default(), Policy { allow_http: true, ..Policy::default() }] {
            let strict = app.node_with(test.db.clone(), 9, policy);
            let result = send(&strict, app.env, call(id, Method::GET, "/me")).await;
            assert_eq!(refusal(result), (403, ErrorCode::TargetNotAllowed));
        }
        assert_eq!(app.upstream.counter("api_calls").await, 0);
    }

    /// Part of AK-121, AK-454, part of AK-455: switches act at once, also on what is remembered.
    async fn switches_act_at_once(test: TestDb) {
        let app = App::started(&test).await;
        let (connection, id) = with_token(&app, bearer(), json!({})).await;
        assert_eq!(app.get(id, "/me").await.unwrap().status, 200);
        app.kit.disable_connection(app.env, &app.actor, connection.id).await.unwrap();
        assert_eq!(refusal(app.get(id, "/me").await), (400, ErrorCode::ConnectionNotEnabled));
        app.kit.enable_connection(app.env, &app.actor, connection.id).await.unwrap();
        assert_eq!(app.get(id, "/me").await.unwrap().status, 200);
        let provider = app.kit.provider(app.env, &connection.provider_key).await.unwrap();
        let switch = async |enabled: bool| {
            let patch = CustomProviderPatch {
                display_name: provider.display_name.clone(), description: None, auth_patterns: None,
                proxy_url: provider.proxy_url.clone(), proxy_enabled: Some(enabled), icon_src: None, metadata: None,
            };
            app.kit.update_custom_provider(app.env, &app.actor, &provider.identifier, patch).await.unwrap();
        };
        switch(false).await;
        assert_eq!(refusal(app.get(id, "/me").await), (403, ErrorCode::ProxyNotEnabled));
        switch(true).await;
        assert_eq!(app.get(id, "/me").await.unwrap().status, 200);
        let pending = app.account("tokens", of_user("bo")).await.account.id;
        assert_eq!(refusal(app.get(pending, "/me").await), (400, ErrorCode::ConnectedAccountNotActive));
        for (connector, identifier, code) in [("nothing", "ada", ErrorCode::ConnectionNotFound), ("tokens", "cy", ErrorCode::ConnectedAccountNotFound)] {
            let mut unknown = call(id, Method::GET, "/me");
            unknown.key = named(connector, identifier);
            assert_eq!(refusal(app.send(unknown).await), (404, code));
        }
        assert_eq!(app.upstream.counter("api_calls").await, 3);
    }

    /// AK-452: 20 MB each way, piece by piece.
    async fn large_bodies_stream_through(test: TestDb) {
        const SIZE: usize = 20_000_000;
        let app = App::started(&test).await;
        let (_, id) = with_token(&app, bearer(), json!({})).await;
        let down = call(id, Method::GET, &format!("/stream?bytes={SIZE}&chunked=true"));
        let mut body = app.kit.proxy(app.env, down).await.unwrap().response.into_body();
        let (mut at, mut pieces) = (0_usize, 0);
        while let Some(frame) = body.frame().await {
            let data = frame.unwrap().into_data().unwrap();
            assert!(data.iter().enumerate().all(|(n, byte)| usize::from(*byte) == (at + n) % 251));
            at += data.len();
            pieces += 1;
        }
        assert_eq!(at, SIZE);
        assert!(pieces > 20, "{pieces}");
        let piece = Bytes::from(vec![b'k'; 100_000]);
        let pieces = stream::iter(0..SIZE / 100_000).map(move |_| Ok::<_, std::io::Error>(piece.clone()));
        let mut up = call(id, Method::POST, "/upload");
        up.body = ProxyBody::Streamed(RequestBody::streamed(Body::from_stream(pieces)));
        let taken = app.send(up).await.unwrap().json();
        assert_eq!(taken["bytes"], SIZE);
    }

    /// AK-452: the first piece arrives before the last was made.
    async fn a_download_is_not_gathered_first(test: TestDb) {
        let app = App::started(&test).await;
        let (_, id) = with_token(&app, bearer(), json!({})).await;
        let slow = call(id, Method::GET, "/stream?bytes=300000&chunk=100000&delay_ms=400");
        let began = Instant::now();
        let mut body = app.kit.proxy(app.env, slow).await.unwrap().response.into_body();
        body.frame().await.unwrap().unwrap();
        let first = began.elapsed();
        while body.frame().await.is_some() {}
        assert!(began.elapsed() >= first + Duration::from_millis(600), "{first:?} of {:?}", began.elapsed());
    }

    /// Part of AK-112, AK-454: the connection's timeout, which an account may only lower.
    async fn a_slow_provider_times_out(test: TestDb) {
        let app = App::started(&test).await;
        let (_, id) = with_token(&app, bearer(), json!({"timeout": 1})).await;
        let began = Instant::now();
        assert_eq!(refusal(app.get(id, "/slow?delay_ms=20000").await), (504, ErrorCode::DeadlineExceeded));
        assert!(began.elapsed() < Duration::from_secs(10));
    }

    /// AK-454, part of AK-112, AK-114: a limit of the connection holds for all its accounts together.
    async fn a_rate_limit_queues_and_then_refuses(test: TestDb) {
        let app = App::started(&test).await;
        let limits = json!({"rate_limiting": {"requests_per_minute": 1, "burst_limit": 4}});
        let (_, ada) = with_token(&app, bearer(), limits).await;
        let new = NewAccount {
            credential: CredentialInput::Static(object(json!({"token": STATIC_TOKEN}))),
            api_config: object(json!({"rate_limit": 1})),
            ..of_user("bo")
        };
        let bo = app.account("tokens", new).await.account.id;
        let call_both = async |count: usize| {
            let calls = (0..count).flat_map(|_| [ada, bo]).map(|id| {
                let (kit, env) = (app.kit.clone(), app.env);
                tokio::spawn(async move { send(&kit, env, call(id, Method::GET, "/me")).await.map(|answer| answer.status) })
            });
            futures_util::future::join_all(calls).await.into_iter().map(Result::unwrap).collect::<Vec<_>>()
        };
        let began = Instant::now();
        let ends = call_both(20).await;
        assert!(began.elapsed() >= Duration::from_millis(1900), "they queued");
        let passed = ends.iter().filter(|end| end.is_ok()).count();
        assert!((1..=4).contains(&passed), "{passed}");
        for error in ends.into_iter().filter_map(Result::err) {
            assert_eq!((error.http_status(), error.reason().code()), (429, ErrorCode::RateLimitedLocal));
            // The first place is free a minute after the burst, and two seconds of it went by in the queue.
            assert!(matches!(error, ProxyError::Refused(Error::RateLimited(30..=58))), "{error}");
        }
        let rows = [logged(&app, ada).await, logged(&app, bo).await].concat();
        let refused = rows.iter().filter(|row| (row.status.as_str(), row.error_code.as_str()) == ("platform_error", "RATE_LIMITED_LOCAL"));
        assert_eq!((rows.len(), refused.count()), (40, 40 - passed));
        assert_eq!(app.upstream.counter("api_calls").await, passed as u64);
        assert!(call_both(1).await.iter().all(Result::is_err));
    }

    /// AK-124: calls of a SMART on FHIR connection go to the server that the connection names.
    async fn a_smart_connection_calls_its_own_server(test: TestDb) {
        let app = App::started(&test).await;
        let input = provider_input("Fhir", &app.oauth_pattern(), "https://fhir.example.com");
        let provider = app.kit.create_custom_provider(app.env, &app.actor, input).await.unwrap();
        let connection = app.connection_of(&provider, "sandbox", json!({})).await;
        let smart = |domain: &str| Some(SmartSettings { aud: "https://fhir.test/r4".to_owned(), domain: domain.to_owned() });
        let connection = app.configure(connection, CLIENT_ID, CLIENT_SECRET, |settings| settings.smart = smart(&app.api())).await;
        let link = app.link("sandbox", "ada").await;
        let consent = app.kit.begin_consent(app.env, &link).await.unwrap();
        assert_eq!(param(&consent.url, "aud").as_deref(), Some("https://fhir.test/r4"));
        let id = app.connected(&connection, "ada").await;
        let answer = app.get(id, "/me").await.unwrap();
        assert_eq!((answer.status, &answer.json()["principal"]["subject"]), (200, &json!("u-ada")));

        for domain in ["https://{{domain}}/r4", "http://fhir.test", "user@fhir.test", "fhir.test/r4?x=1", "fhir test"] {
            let settings = ConnectionSettings { smart: smart(domain), ..connection.settings.clone() };
            let patch = ConnectionPatch { settings: Some(settings), ..ConnectionPatch::default() };
            let refused = app.kit.update_connection(app.env, &app.actor, connection.id, patch).await;
            assert!(matches!(refused, Err(Error::Invalid(_))), "{domain}");
        }
    }

    /// Part of AK-115: what may be repeated is, as often as the connection says.
    async fn failures_are_retried_when_it_is_safe(test: TestDb) {
        let calls = Arc::new(AtomicUsize::new(0));
        let app = App::started_with(&test, |_| {
            let calls = Arc::clone(&calls);
            // Fails twice, then works; `/always` never does.
            Router::new().route("/flaky/{*rest}", any(async move |request: axum::extract::Request| {
                let number = calls.fetch_add(1, Ordering::SeqCst);
                let status = match request.uri().path() {
                    "/flaky/busy" => StatusCode::TOO_MANY_REQUESTS,
                    "/flaky/broken" => StatusCode::INTERNAL_SERVER_ERROR,
                    _ => StatusCode::SERVICE_UNAVAILABLE,
                };
                if number < 2 || request.uri().path() == "/flaky/always" { status } else { StatusCode::OK }
            }))
        }).await;
        let input = provider_input("Flaky", &bearer(), &app.upstream.url("/flaky"));
        let provider = app.kit.create_custom_provider(app.env, &app.actor, input).await.unwrap();
        app.connection_of(&provider, "flaky", json!({"retry_attempts": 2, "backoff_strategy": "fixed"})).await;
        app.connection_of(&provider, "once", json!({})).await;
        let id = add(&app, "flaky", "ada", json!({"token": "t"})).await;
        let once = add(&app, "once", "ada", json!({"token": "t"})).await;
        for (account, method, path, status, expected) in [
            (id, Method::GET, "/x", 200, 3), (id, Method::PUT, "/busy", 200, 3), (id, Method::DELETE, "/x", 200, 3),
            (id, Method::POST, "/x", 503, 1), (id, Method::PATCH, "/x", 503, 1), (id, Method::GET, "/broken", 500, 1),
            (id, Method::GET, "/always", 503, 3), (once, Method::GET, "/x", 503, 1),
        ] {
            calls.store(0, Ordering::SeqCst);
            let answer = app.send(call(account, method.clone(), path)).await.unwrap();
            assert_eq!((answer.status, calls.load(Ordering::SeqCst)), (status, expected), "{method} {path}");
        }
    }

    /// Part of AK-115: a pause that no clock can hold is too long, and nothing worse.
    async fn an_endless_retry_after_ends_the_tries(test: TestDb) {
        let app = App::started_with(&test, |_| {
            Router::new().route("/endless/{*rest}", any(async || {
                (StatusCode::SERVICE_UNAVAILABLE, [(http::header::RETRY_AFTER, u64::MAX.to_string())])
            }))
        }).await;
        let input = provider_input("Endless", &bearer(), &app.upstream.url("/endless"));
        let provider = app.kit.create_custom_provider(app.env, &app.actor, input).await.unwrap();
        app.connection_of(&provider, "endless", json!({"retry_attempts": 2})).await;
        let id = add(&app, "endless", "ada", json!({"token": "t"})).await;
        assert_eq!(app.get(id, "/x").await.unwrap().status, 503);
    }

    /// A method whose answer repeats the request would show the credential.
    async fn methods_that_repeat_the_request_are_refused(test: TestDb) {
        let app = App::started(&test).await;
        app.static_connection("bearer", bearer()).await;
        let id = add(&app, "bearer", "ada", json!({"token": STATIC_TOKEN})).await;
        for method in ["TRACE", "TRACK", "CONNECT"] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let answer = app.send(call(id, method.clone(), "/echo")).await;
            assert_eq!(refusal(answer), (400, ErrorCode::InvalidArgument), "{method}");
        }
    }

    /// AK-454: a provider that is not there.
    async fn an_unreachable_provider_is_a_bad_gateway(test: TestDb) {
        let app = App::started(&test).await;
        let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let input = provider_input("Gone", &bearer(), &format!("http://{closed}"));
        let provider = app.kit.create_custom_provider(app.env, &app.actor, input).await.unwrap();
        app.connection_of(&provider, "gone", json!({})).await;
        let id = add(&app, "gone", "ada", json!({"token": STATIC_TOKEN})).await;
        assert_eq!(refusal(app.get(id, "/x").await), (502, ErrorCode::UpstreamUnreachable));
    }

    /// AK-459, AK-217: one row per call, without ids and query, and the time of the last use.
    async fn calls_are_logged(test: TestDb) {
        let app = App::started(&test).await;
        let (connection, id) = with_token(&app, bearer(), json!({})).await;
        app.clock.advance(Duration::from_secs(95));
        let first = app.get(id, "/items/7?secret=query").await.unwrap();
        app.get(id, "/status/500").await.unwrap();
        app.get(id, "/../x").await.unwrap_err();
        app.kit.disable_connection(app.env, &app.actor, connection.id).await.unwrap();
        app.get(id, "/me").await.unwrap_err();
        let rows = logged(&app, id).await;
        let shown: Vec<_> = rows.iter().map(|row| (row.tool_name.as_str(), row.status.as_str(), row.http_status, row.error_code.as_str())).collect();
        assert_eq!(shown, [
            ("GET /items/{id}", "success", Some(200), ""),
            ("GET /status/{id}", "provider_error", Some(500), ""),
            ("GET /../x", "platform_error", None, ErrorCode::TargetNotAllowed.as_str()),
            ("GET /me", "platform_error", None, ErrorCode::ConnectionNotEnabled.as_str()),
        ]);
        let row = &rows[0];
        assert_eq!(row.execution_id.to_string(), first.execution);
        assert_eq!((row.source.as_str(), row.identifier.as_str(), row.connection_name.as_str()), ("PROXY", "ada", "tokens"));
        assert_eq!((row.connection_id, &row.provider), (connection.id, &connection.provider_key));
        assert_eq!(row.started_at, NOW.plus(Duration::from_secs(95)));
        assert!(row.duration_micros > 0);
        let minute = NOW.as_secs() / 60 * 60;
        let used = app.read(id).await.last_used_at.unwrap();
        assert!(used.as_secs() % 60 == 0 && used.as_secs() >= minute + 60, "{used:?}");
        assert_eq!(app.kit.dropped_calls(), 0);
        let other = app.another_environment("Other").await;
        assert!(app.kit.account_calls(other, id, 10).await.unwrap().is_empty());
    }

    /// 4.3: a credential that cannot be sent is not told either.
    async fn no_error_of_a_call_holds_a_secret(test: TestDb) {
        let app = App::started(&test).await;
        let lines = json!({"type": "BEARER", "fields": [{"field_name": "token", "input_type": "textarea"}]});
        app.static_connection("tokens", lines).await;
        let secret = "tok\r\nen-Zq81LmPwXv4Rt0";
        let id = add(&app, "tokens", "ada", json!({"token": secret})).await;
        let error = app.get(id, "/me").await.unwrap_err();
        assert_eq!(error.http_status(), 400);
        let rows = logged(&app, id).await;
        let shown = format!("{error} {error:?} {:?} {rows:?}", error.reason().violations());
        assert!(!shown.contains("Zq81LmPwXv4Rt0"), "{shown}");
        app.static_connection("empty", json!({"type": "API_KEY"})).await;
        let id = add(&app, "empty", "ada", json!({"other": "value-Zq81"})).await;
        let error = app.get(id, "/me").await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("value-Zq81"));
    }

    /// AK-451, AK-222: a streamed body is gone after a 401, so the answer stands and the next call
    /// has the new token.
    async fn a_streamed_body_is_never_sent_twice(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let id = app.connected(&connection, "ada").await;
        app.upstream.chaos(json!({"api_unauthorized_count": 1})).await;
        let streamed = || {
            let mut up = call(id, Method::POST, "/upload");
            up.body = ProxyBody::Streamed(RequestBody::from(Bytes::from_static(b"once")));
            up
        };
        assert_eq!(app.send(streamed()).await.unwrap().status, 401);
        assert_eq!(app.upstream.counter("refreshes").await, 1);
        assert_eq!(app.send(streamed()).await.unwrap().json()["bytes"], 4);
        assert_eq!(app.upstream.counter("refreshes").await, 1);
    }
}
