//! Tableau's sign-in: a personal access token becomes a session and a site (AK-013).

use crate::{
    fixture::{App, by_id, call, object, send},
    minted::{connected_to, ok, with_details},
};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::IntoResponse,
    routing::{any, get, post},
};
use keystead_agentkit::accounts::{AccountPatch, AccountStatus, CredentialInput};
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::ConnectedAccountId;
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

/// A Tableau Server: one session per token, the last one.
#[derive(Default)]
struct Server {
    /// Version and body of each sign-in.
    sign_ins: Vec<(String, Value)>,
    /// How often it was asked for its version.
    asked: usize,
    /// Path and session of each call that was let in.
    calls: Vec<(String, String)>,
    /// What the server answers to sign-ins, when not with a session.
    refuses: Option<StatusCode>,
    /// Sessions that ended early.
    ended: usize,
}

type Shared = Arc<Mutex<Server>>;

fn session(number: usize) -> String {
    format!("session-{number}")
}

fn routes(server: &Shared, version: &'static str) -> Router {
    Router::new()
        .route("/script/tableau/api/2.4/serverinfo", get(async move |State(server): State<Shared>| {
            server.lock().unwrap().asked += 1;
            Json(json!({"serverInfo": {"restApiVersion": version}}))
        }))
        .route("/script/tableau/api/{version}/auth/signin", post(
            async |State(server): State<Shared>, Path(version): Path<String>, Json(body): Json<Value>| {
                let mut server = server.lock().unwrap();
                server.sign_ins.push((version, body));
                if let Some(status) = server.refuses {
                    return (status, Json(json!({"error": {"code": "401001"}})));
                }
                let answer = json!({"credentials": {
                    "token": session(server.sign_ins.len()), "site": {"id": "luid-1", "contentUrl": "acme"},
                    "user": {"id": "u1"}, "estimatedTimeToExpiration": "2:00:00",
                }});
                (StatusCode::OK, Json(answer))
            },
        ))
        .route("/script/tableau/{*rest}", any(
            async |State(server): State<Shared>, Path(rest): Path<String>, headers: HeaderMap| {
                let mut server = server.lock().unwrap();
                let sent = headers.get("x-tableau-auth").map_or("", |value| value.to_str().unwrap()).to_owned();
                assert!(!headers.contains_key("authorization"));
                let live = server.sign_ins.len() > server.ended && sent == session(server.sign_ins.len());
                if !live {
                    return StatusCode::UNAUTHORIZED.into_response();
                }
                server.calls.push((rest, sent));
                "{}".into_response()
            },
        ))
        .with_state(Arc::clone(server))
}

async fn started(test: &TestDb, version: &'static str) -> (App, Shared) {
    let server = Shared::default();
    let routes = routes(&server, version);
    let mut app = App::started_with(test, |_| routes).await;
    connected_to(&mut app, "TABLEAU", "/script/tableau", |_, _| {}).await;
    (app, server)
}

fn token() -> Value {
    json!({"domain": "127.0.0.1", "pat_name": "agent", "pat_secret": "p4t-s3cret", "site_content_url": "acme"})
}

async fn get_x(app: &App, id: ConnectedAccountId) -> Result<u16, String> {
    let answer = app.get(id, "/api/3.19/x").await;
    answer
        .map(|answer| answer.status)
        .map_err(|error| error.to_string())
}

on_both_engines! {
    /// Part of AK-013: the token signs in once; the session goes with every call, and site and version
    /// are settings of the account.
    async fn a_token_signs_in_once_and_names_the_site(test: TestDb) {
        let (app, server) = started(&test, "3.19").await;
        let id = with_details(&app, token()).await;
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..10 {
            let (kit, env) = (app.kit.clone(), app.env);
            let call = call(id, http::Method::GET, "/api/3.19/sites/luid-1/workbooks");
            tasks.spawn(async move { send(&kit, env, call).await.unwrap().status });
        }
        assert!(tasks.join_all().await.into_iter().all(|status| status == 200));
        let config = app.read(id).await.api_config;
        assert_eq!((&config["site_id"], &config["version"]), (&json!("luid-1"), &json!("3.19")));
        let server = server.lock().unwrap();
        let [(version, body)] = &server.sign_ins[..] else { panic!("{:?}", server.sign_ins) };
        assert_eq!((version.as_str(), server.asked), ("3.19", 1));
        assert_eq!(body, &json!({"credentials": {
            "personalAccessTokenName": "agent", "personalAccessTokenSecret": "p4t-s3cret", "site": {"contentUrl": "acme"},
        }}));
        assert_eq!(server.calls[9], ("api/3.19/sites/luid-1/workbooks".to_owned(), session(1)));
    }

    /// Part of AK-013: of a newer server the newest version we speak is used; one that the developer set
    /// is not asked for.
    async fn the_version_is_one_that_both_speak(test: TestDb) {
        let (app, server) = started(&test, "4.1").await;
        let id = with_details(&app, token()).await;
        ok(&app, id).await;
        assert_eq!(server.lock().unwrap().sign_ins[0].0, "3.28");
        let patch = AccountPatch {
            credential: CredentialInput::Static(object(json!({"pat_secret": "another"}))),
            api_config: object(json!({"version": "3.10"})),
            ..AccountPatch::default()
        };
        app.kit.update_account(app.env, &app.actor, by_id(id), patch).await.unwrap();
        ok(&app, id).await;
        let server = server.lock().unwrap();
        let (version, body) = server.sign_ins[1].clone();
        assert_eq!((version.as_str(), server.asked), ("3.10", 1));
        assert_eq!(body["credentials"]["personalAccessTokenSecret"], "another", "a new token signs in anew");
    }

    /// Part of AK-013, part of AK-226: a session that ended is replaced when its time comes, and when
    /// the server says 401; the call is sent again.
    async fn a_session_that_ended_is_replaced(test: TestDb) {
        let (app, server) = started(&test, "3.19").await;
        let id = with_details(&app, token()).await;
        ok(&app, id).await;
        app.clock.advance(Duration::from_secs(2 * 3600));
        ok(&app, id).await;
        assert_eq!(server.lock().unwrap().sign_ins.len(), 2);
        server.lock().unwrap().ended = 2;
        ok(&app, id).await;
        let server = server.lock().unwrap();
        assert_eq!((server.sign_ins.len(), server.calls.last().unwrap().1.as_str()), (3, "session-3"));
        assert_eq!(server.asked, 1, "the version is known");
    }

    /// Part of AK-013, AK-224: a token that is refused ends the account's credential with the reason,
    /// which shows none of it; a server that is down does not.
    async fn a_refused_token_says_so(test: TestDb) {
        let (app, server) = started(&test, "3.19").await;
        let id = with_details(&app, token()).await;
        server.lock().unwrap().refuses = Some(StatusCode::SERVICE_UNAVAILABLE);
        let down = get_x(&app, id).await.unwrap_err();
        assert!(down.contains("HTTP 503"), "{down}");
        assert_eq!(app.status(id).await, AccountStatus::Active);
        server.lock().unwrap().refuses = Some(StatusCode::UNAUTHORIZED);
        app.clock.advance(Duration::from_secs(5));
        get_x(&app, id).await.unwrap_err();
        let account = app.read(id).await;
        assert_eq!(account.status, AccountStatus::Expired);
        assert!(account.status_reason.contains("sign-in with HTTP 401"), "{}", account.status_reason);
        assert!(!account.status_reason.contains("p4t"));
    }
}
