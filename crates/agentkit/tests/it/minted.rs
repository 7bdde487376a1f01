//! Credentials that are minted (AK-005, AK-228), against an upstream that writes down what it was asked.

use crate::fixture::{App, TOKEN_LIFE, object, of_user};
use axum::{
    Json, Router,
    body::Bytes,
    extract::Request,
    http::Uri,
    routing::{any, post},
};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use keystead_agentkit::{
    accounts::{AccountStatus, CredentialInput, NewAccount},
    catalogue::Catalogue,
    connections::{Connection, ConnectionPatch, GoogleDwdSettings, SecretsPatch},
    links::CallbackEnd,
    providers::{AuthPattern, Provider},
};
use keystead_jose::{Expect, KeySet, RsaKey, verify};
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::{ConnectedAccountId, Secret};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

static KEY: LazyLock<RsaKey> = LazyLock::new(|| RsaKey::generate().unwrap());

fn pem() -> String {
    let body = BASE64_STANDARD.encode(KEY.to_pkcs8().unwrap().expose());
    format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
}

fn key_file() -> String {
    json!({
        "type": "service_account", "client_email": "robot@proj.test", "private_key": pem(),
        "private_key_id": "kid1", "token_uri": "https://evil.test/token",
    })
    .to_string()
}

/// Path and headers of a call.
pub(crate) type Asked = (String, BTreeMap<String, String>);

/// What the upstream was asked.
#[derive(Clone, Default)]
pub(crate) struct Script {
    forms: Arc<Mutex<Vec<BTreeMap<String, String>>>>,
    pub(crate) calls: Arc<Mutex<Vec<Asked>>>,
}

impl Script {
    fn routes(&self) -> Router {
        let (script, issued) = (self.clone(), self.clone());
        Router::new()
            .route("/script/token", post(async move |body: Bytes| {
                let form: BTreeMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
                let mut forms = issued.forms.lock().unwrap();
                forms.push(form);
                Json(json!({"access_token": format!("minted-{}", forms.len()), "expires_in": 3600}))
            }))
            .route("/script/api/{*rest}", any(async move |uri: Uri, request: Request| script.note(&uri, &request)))
    }

    pub(crate) fn note(&self, uri: &Uri, request: &Request) -> &'static str {
        let headers = request.headers().iter();
        let headers =
            headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
        self.calls
            .lock()
            .unwrap()
            .push((uri.path().to_owned(), headers.collect()));
        "{}"
    }

    fn forms(&self) -> Vec<BTreeMap<String, String>> {
        self.forms.lock().unwrap().clone()
    }

    /// Path and headers of the last call.
    pub(crate) fn last(&self) -> Asked {
        self.calls.lock().unwrap().last().unwrap().clone()
    }
}

fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

pub(crate) async fn started(test: &TestDb) -> (App, Script) {
    let script = Script::default();
    let app = App::started_with(test, |_| script.routes()).await;
    (app, script)
}

/// A connection named `c` to a connector of the catalogue whose hosts are the upstream's.
pub(crate) async fn connected_to(
    app: &mut App,
    key: &str,
    path: &str,
    change: impl FnOnce(&mut AuthPattern, &App),
) -> Connection {
    let catalogue = Catalogue::embedded();
    let mut provider: Provider = catalogue.find(key).unwrap().as_ref().clone();
    provider.proxy_url = app.upstream.url(path);
    let mut pattern = provider.auth_patterns.remove(0);
    pattern.allowed_proxy_domains.push("127.0.0.1".to_owned());
    change(&mut pattern, app);
    provider.auth_patterns = vec![pattern];
    app.kit = app.kit_with(provider.clone());
    app.connection_of(&provider, "c", json!({})).await
}

pub(crate) async fn with_details(app: &App, details: Value) -> ConnectedAccountId {
    let new = NewAccount {
        credential: CredentialInput::Static(object(details)),
        ..of_user("ada")
    };
    app.account("c", new).await.account.id
}

pub(crate) fn token_at(path: &'static str) -> impl FnOnce(&mut AuthPattern, &App) {
    move |pattern, app| {
        let oauth = pattern.oauth_config.get_or_insert_default();
        oauth.token_uri = Some(app.upstream.url(path));
        oauth.authorize_uri = Some(app.upstream.url("/sandbox/provider/authorize"));
    }
}

pub(crate) async fn ok(app: &App, id: ConnectedAccountId) {
    assert_eq!(app.get(id, "/x").await.unwrap().status, 200);
}

on_both_engines! {
    /// AK-228: a Google service account signs an assertion for the connector's endpoint (never for the
    /// one in the key file), and the token is cached until it is due.
    async fn a_service_account_is_exchanged_once(test: TestDb) {
        let (mut app, script) = started(&test).await;
        connected_to(&mut app, "BIGQUERYSERVICEACCOUNT", "/script/api", token_at("/script/token")).await;
        let id = with_details(&app, json!({"service_account_json": key_file()})).await;
        for _ in 0..3 {
            ok(&app, id).await;
        }
        let [form] = &script.forms()[..] else { panic!("{:?}", script.forms()) };
        assert_eq!(form["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
        let mut jwk = KEY.public_jwk();
        jwk.kid = Some("kid1".to_owned());
        let endpoint = app.upstream.url("/script/token");
        let expect = Expect {
            issuer: "robot@proj.test",
            audience: Some(&endpoint),
            now: app.kit.ctx().clock.now(),
            leeway: Duration::ZERO,
        };
        verify(&form["assertion"], &KeySet::new([&jwk]).unwrap(), &expect).unwrap();
        let signed = claims(&form["assertion"]);
        assert!(signed["scope"].as_str().unwrap().contains("https://www.googleapis.com/auth/bigquery"));
        assert_eq!(signed["exp"].as_i64().unwrap() - signed["iat"].as_i64().unwrap(), 3600);
        assert!(signed.get("sub").is_none());
        assert_eq!(script.last().1["authorization"], "Bearer minted-1");
        app.clock.advance(TOKEN_LIFE);
        ok(&app, id).await;
        assert_eq!((script.forms().len(), script.last().1["authorization"].as_str()), (2, "Bearer minted-2"));
    }

    /// AK-228, AK-125: domain-wide delegation signs with the connection's key for the account's user.
    async fn a_delegation_names_its_subject(test: TestDb) {
        let (mut app, script) = started(&test).await;
        let connection = connected_to(&mut app, "GMAIL", "/script/api", |pattern, _| {
            *pattern = serde_json::from_value(json!({"type": "GOOGLE_DWD"})).unwrap();
        }).await;
        let mut settings = connection.settings.clone();
        settings.google_dwd = Some(GoogleDwdSettings {
            scopes: vec!["https://mail.test/read".to_owned()],
            token_uri: Some(app.upstream.url("/script/token")),
            ..GoogleDwdSettings::default()
        });
        let secrets = SecretsPatch { service_account_json: Some(Secret::new(key_file())), ..SecretsPatch::default() };
        let patch = ConnectionPatch { key_id: None, settings: Some(settings), secrets };
        app.kit.update_connection(app.env, &app.actor, connection.id, patch).await.unwrap();
        for user in ["ada@acme.test", "bo@acme.test"] {
            let new = NewAccount {
                credential: CredentialInput::GoogleDwd { subject: user.to_owned() },
                ..of_user(user)
            };
            let id = app.account("c", new).await.account.id;
            ok(&app, id).await;
            let form = script.forms().pop().unwrap();
            let signed = claims(&form["assertion"]);
            assert_eq!((&signed["sub"], &signed["iss"]), (&json!(user), &json!("robot@proj.test")));
            assert_eq!(signed["scope"], "https://mail.test/read");
        }
        assert_eq!(script.forms().len(), 2);
    }

    /// AK-228, part of AK-005: a Snowflake key pair signs its own bearer token, with the header that says so.
    async fn a_key_pair_signs_its_own_token(test: TestDb) {
        let (mut app, script) = started(&test).await;
        connected_to(&mut app, "SNOWFLAKEKEYAUTH", "/script/api", |_, _| {}).await;
        let details = json!({
            "domain": "127.0.0.1", "account": "acme-prod", "user": "robot", "private_key": pem(),
            // A key that is not encrypted needs none; one too many does not matter.
            "private_key_passphrase": "unused",
        });
        let id = with_details(&app, details).await;
        ok(&app, id).await;
        let (_, headers) = script.last();
        assert_eq!(headers["x-snowflake-authorization-token-type"], "KEYPAIR_JWT");
        let first = headers["authorization"].clone();
        let signed = claims(first.strip_prefix("Bearer ").unwrap());
        assert_eq!(signed["sub"], "ACME-PROD.ROBOT");
        let fingerprint = signed["iss"].as_str().unwrap().strip_prefix("ACME-PROD.ROBOT.SHA256:");
        assert_eq!(fingerprint.map(str::len), Some(44), "{signed}");
        assert_eq!(signed["exp"].as_i64().unwrap() - signed["iat"].as_i64().unwrap(), 3600);
        ok(&app, id).await;
        assert_eq!(script.last().1["authorization"], first, "kept while it lives");
        app.clock.advance(TOKEN_LIFE);
        ok(&app, id).await;
        assert_ne!(script.last().1["authorization"], first);
        assert!(script.forms().is_empty(), "nobody is asked for a token");
    }

    /// AK-228, AK-224: a key that cannot be used says what is wrong, without showing any of it.
    async fn a_key_that_cannot_be_used_says_why(test: TestDb) {
        let (mut app, _) = started(&test).await;
        connected_to(&mut app, "SNOWFLAKEKEYAUTH", "/script/api", |_, _| {}).await;
        let encrypted = pem().replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        let details = json!({"domain": "127.0.0.1", "account": "a", "user": "u", "private_key": encrypted});
        let id = with_details(&app, details).await;
        app.get(id, "/x").await.unwrap_err();
        let account = app.read(id).await;
        assert_eq!(account.status, AccountStatus::Expired);
        assert!(account.status_reason.contains("give its passphrase"), "{}", account.status_reason);
    }

    /// AK-228: client credentials are exchanged with the account's own client, once for many calls.
    async fn client_credentials_are_cached(test: TestDb) {
        let (mut app, script) = started(&test).await;
        connected_to(&mut app, "DATABRICKSWORKSPACE", "/script/api", token_at("/script/token")).await;
        let details = json!({"domain": "127.0.0.1", "client_id": "sp-1", "client_secret": "s3cret"});
        let id = with_details(&app, details).await;
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let (kit, env) = (app.kit.clone(), app.env);
            let call = crate::fixture::call(id, http::Method::GET, "/x");
            tasks.spawn(async move { crate::fixture::send(&kit, env, call).await.unwrap().status });
        }
        assert!(tasks.join_all().await.into_iter().all(|status| status == 200));
        let [form] = &script.forms()[..] else { panic!("{:?}", script.forms()) };
        assert_eq!(form["grant_type"], "client_credentials");
        assert_eq!(script.last().1["authorization"], "Bearer minted-1");
        app.clock.advance(TOKEN_LIFE);
        ok(&app, id).await;
        assert_eq!(script.forms().len(), 2);
    }

    /// AK-228, part of AK-005: a custom JWT is signed from the connector's template and the user's fields.
    async fn a_custom_jwt_is_made_from_its_template(test: TestDb) {
        let (mut app, script) = started(&test).await;
        connected_to(&mut app, "SNOWFLAKEKEYAUTH", "/script/api", |pattern, _| {
            *pattern = serde_json::from_value(json!({
                "type": "CUSTOM_JWT",
                "fields": [
                    {"field_name": "issuer", "required": true},
                    {"field_name": "key_id", "required": true},
                    {"field_name": "private_key", "input_type": "textarea", "required": true},
                ],
                "jwt": {
                    "algorithm": "RS256", "key_field": "private_key", "key_id_field": "key_id", "lifetime": 300,
                    "claims": {"iss": "{{issuer}}", "sub": "app:{{issuer}}", "aud": ["https://api.test"], "level": 3},
                },
            })).unwrap();
        }).await;
        let id = with_details(&app, json!({"issuer": "acme", "key_id": "k-7", "private_key": pem()})).await;
        ok(&app, id).await;
        let (_, headers) = script.last();
        let token = headers["authorization"].strip_prefix("Bearer ").unwrap().to_owned();
        let mut jwk = KEY.public_jwk();
        jwk.kid = Some("k-7".to_owned());
        let expect = Expect {
            issuer: "acme",
            audience: Some("https://api.test"),
            now: app.kit.ctx().clock.now(),
            leeway: Duration::ZERO,
        };
        verify(&token, &KeySet::new([&jwk]).unwrap(), &expect).unwrap();
        let signed = claims(&token);
        assert_eq!((&signed["sub"], &signed["level"]), (&json!("app:acme"), &json!(3)));
        assert_eq!(signed["exp"].as_i64().unwrap() - signed["iat"].as_i64().unwrap(), 300);
        app.clock.advance(Duration::from_secs(301));
        ok(&app, id).await;
        assert_ne!(script.last().1["authorization"], headers["authorization"]);
    }

    /// AK-228, 4.3: no template puts the key into a token, which anybody can read.
    async fn a_custom_jwt_never_holds_its_key(test: TestDb) {
        let (mut app, script) = started(&test).await;
        connected_to(&mut app, "SNOWFLAKEKEYAUTH", "/script/api", |pattern, _| {
            *pattern = serde_json::from_value(json!({
                "type": "CUSTOM_JWT",
                "fields": [{"field_name": "secret", "required": true}],
                "jwt": {"algorithm": "HS256", "key_field": "secret", "lifetime": 60, "claims": {"iss": "{{secret}}"}},
            })).unwrap();
        }).await;
        let id = with_details(&app, json!({"secret": "Kd72NsYbHc9Ju3"})).await;
        app.get(id, "/x").await.unwrap_err();
        let reason = app.read(id).await.status_reason;
        assert!(reason.contains("secret is missing") && !reason.contains("Kd72"), "{reason}");
        assert!(script.calls.lock().unwrap().is_empty());
    }
}

/// An account that Ada authorized at the sandbox.
pub(crate) async fn authorized(app: &App, connection: Connection) -> ConnectedAccountId {
    let (id, secret) = (keystead_sandbox::CLIENT_ID, keystead_sandbox::CLIENT_SECRET);
    let connection = app.configure(connection, id, secret, |_| {}).await;
    let link = app.link("c", "ada").await;
    let end = app.consent(connection.id, &link).await;
    assert!(matches!(end, CallbackEnd::Connected), "{end:?}");
    link.grounds.account.id
}
