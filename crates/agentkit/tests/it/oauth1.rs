//! OAuth 1.0a: the three-legged consent and signed calls (AK-005, AK-105; RFC 5849).

use crate::{
    fixture::{App, by_id, call, named, param},
    links::{acts_for, begin, finish, request_of, verified, verify},
};
use bytes::Bytes;
use http::{HeaderValue, Method};
use keystead_agentkit::{
    Error,
    accounts::AccountStatus,
    catalogue::Catalogue,
    connections::Connection,
    links::{CallbackEnd, CallbackError, NewLink},
    providers::{AuthKind, Provider},
    proxy::ProxyBody,
    settings::Verification,
};
use keystead_sandbox::{CLIENT_ID, CLIENT_SECRET};
use keystead_testkit::{engines::TestDb, on_both_engines};
use serde_json::json;

/// Whether calls are signed.
#[derive(Clone, Copy)]
pub(crate) enum Calls {
    Signed,
    AsTrelloTakesThem,
}

fn connector(app: &App, calls: Calls) -> Provider {
    let base = app.upstream.url("/sandbox/provider/oauth1");
    let pattern = json!({
        "type": "TRELLO_OAUTH1",
        "display_name": "OAuth 1.0a",
        "oauth_config": {
            "authorize_uri": format!("{base}/authorize"),
            "token_uri": format!("{base}/access_token"),
            "scope_separator": ",",
            "extra_authorize_params": {"expiration": "never"},
            "available_scopes": [{"scope": "read", "required": true}, {"scope": "write"}],
            "oauth1": {
                "request_token_uri": format!("{base}/request_token"),
                "sign_calls": matches!(calls, Calls::Signed),
            },
        },
    });
    let trello = Catalogue::embedded()
        .find("TRELLO")
        .unwrap()
        .as_ref()
        .clone();
    Provider {
        identifier: "BOARDS".to_owned(),
        slug: "boards".to_owned(),
        auth_patterns: vec![serde_json::from_value(pattern).unwrap()],
        proxy_url: app.api(),
        ..trello
    }
}

/// An installation whose catalogue has the connector, and a connection `sandbox` to it.
pub(crate) async fn started(test: &TestDb, calls: Calls) -> (App, Connection) {
    let mut app = App::started(test).await;
    let provider = connector(&app, calls);
    app.kit = app.kit_with(provider.clone());
    let connection = app.connection_of(&provider, "sandbox", json!({})).await;
    let connection = app
        .configure(connection, CLIENT_ID, CLIENT_SECRET, |settings| {
            settings.app_name = Some("Acme boards & more".to_owned());
        })
        .await;
    (app, connection)
}

on_both_engines! {
    /// Part of AK-005, part of AK-105, 3.1: from the link to calls in the user's name, with key and token alone.
    async fn a_consent_connects_the_account(test: TestDb) {
        let (app, connection) = started(&test, Calls::AsTrelloTakesThem).await;
        let link = app.link("sandbox", "ada").await;
        let consent = begin(&app, &link).await;
        let asked = |name: &str| param(&consent.url, name);
        assert_eq!(asked("name").as_deref(), Some("Acme boards & more"));
        assert_eq!(asked("scope").as_deref(), Some("read,write"));
        assert_eq!(asked("expiration").as_deref(), Some("never"));
        let page = app.upstream.get(consent.url.as_str()).await;
        let page = String::from_utf8_lossy(page.body()).into_owned();
        assert!(page.contains("Acme boards &#38; more"), "{page}");
        let back = app.upstream.allow(&consent).await;
        let redirect = app.kit.redirect_uri(app.env, connection.id).await.unwrap();
        assert!(back.url.as_str().starts_with(&format!("{redirect}?state=")), "{}", back.url);
        let end = finish(&app, &connection, Some(&back.browser), &back.query).await.unwrap();
        assert!(matches!(end, CallbackEnd::Connected));
        let id = link.grounds.account.id;
        let account = app.read(id).await;
        assert_eq!((account.status, account.token_expires_at), (AccountStatus::Active, None));
        assert_eq!(account.scopes, ["read", "write"]);
        let me = app.get(id, "/me").await.unwrap().json();
        assert_eq!((&me["principal"]["kind"], &me["principal"]["subject"]), (&json!("oauth1"), &json!("u-ada")));
        // Nothing of the token is readable in the row, and another user's link gives another token.
        let grounds = app.kit.grounds(app.env, by_id(id)).await.unwrap();
        assert!(!grounds.credential.token_secret.is_empty());
        let sealed = app.row(id).await.credential.unwrap();
        let token = grounds.credential.access_token.as_bytes();
        assert!(!sealed.windows(token.len()).any(|part| part == token));
        assert_eq!(app.upstream.counter("oauth1_tokens").await, 1);
    }

    /// Part of AK-005, RFC 5849 section 3.4: where the connector says so each call is signed, with its query
    /// and its form; and never twice with the same nonce.
    async fn calls_are_signed(test: TestDb) {
        let (app, connection) = started(&test, Calls::Signed).await;
        let id = app.connected(&connection, "ada").await;
        let kind = async |path: &str| {
            let answer = app.get(id, path).await.unwrap();
            assert_eq!(answer.status, 200, "{answer:?}");
            answer.json()
        };
        assert_eq!(kind("/me?b=2&a=1&a=%20%2B%3d&c").await["principal"]["kind"], "oauth1_signed");
        let echoed = kind("/echo/x%20y?q=caf%C3%A9+au").await;
        assert_eq!(echoed["query"], "q=caf%C3%A9+au");
        for (content_type, body) in [
            ("application/x-www-form-urlencoded; charset=utf-8", "a=1&b=%26+x&a=0"),
            ("application/json", r#"{"a": 1}"#),
        ] {
            let mut sent = call(id, Method::POST, "/echo?z=1");
            sent.headers.insert("content-type", HeaderValue::from_static(content_type));
            sent.body = ProxyBody::Buffered(Bytes::from_static(body.as_bytes()));
            let answer = app.send(sent).await.unwrap();
            assert_eq!((answer.status, &answer.json()["body"]["text"]), (200, &json!(body)), "{content_type}");
        }
        assert_eq!(app.upstream.counter("api_unauthorized").await, 0);
        // A form that streams through cannot be signed, and is not sent.
        let mut sent = call(id, Method::POST, "/echo");
        sent.headers.insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded"));
        sent.body = ProxyBody::Streamed(keystead_net::RequestBody::from(Bytes::from_static(b"a=1")));
        let before = app.upstream.counter("api_calls").await;
        let refused = app.send(sent).await.unwrap_err();
        assert!(refused.to_string().contains("form"), "{refused}");
        assert_eq!(app.upstream.counter("api_calls").await, before);
    }

    /// Part of AK-309, 4.3: the callback is bound to browser, connection and flow, and works once.
    async fn a_state_works_once_in_its_browser_and_connection(test: TestDb) {
        let (app, connection) = started(&test, Calls::AsTrelloTakesThem).await;
        let other = app.oauth_with("other", app.oauth_pattern(), json!({}), |_| {}).await;
        let link = app.link("sandbox", "ada").await;
        let (mine, second) = (begin(&app, &link).await, begin(&app, &link).await);
        let back = app.upstream.allow(&mine).await;
        let state = param(&back.url, "state").unwrap();
        let refused = [
            finish(&app, &connection, Some(&back.browser), &back.query.replace(&state, "forged")).await,
            finish(&app, &connection, None, &back.query).await,
            finish(&app, &connection, Some(&second.browser), &back.query).await,
        ];
        for (index, refused) in refused.into_iter().enumerate() {
            assert!(matches!(refused, Err(CallbackError::InvalidState)), "{index}: {refused:?}");
        }
        // The other connection speaks OAuth 2.0.
        let elsewhere = finish(&app, &other, Some(&back.browser), &back.query).await;
        let nameless = finish(&app, &connection, Some(&back.browser), "oauth_token=x&oauth_verifier=y").await;
        for refused in [elsewhere, nameless] {
            assert!(matches!(refused, Err(CallbackError::Unreadable(_))), "{refused:?}");
        }
        finish(&app, &connection, Some(&back.browser), &back.query).await.unwrap();
        let again = finish(&app, &connection, Some(&back.browser), &back.query).await;
        assert!(matches!(again, Err(CallbackError::InvalidState)), "{again:?}");
        assert_eq!(app.upstream.counter("oauth1_tokens").await, 1);
    }

    /// 4.3: a verifier of another flow, put into a victim's callback, is not exchanged.
    async fn a_verifier_of_another_flow_is_refused(test: TestDb) {
        let (app, connection) = started(&test, Calls::AsTrelloTakesThem).await;
        let (victim, attacker) = (app.link("sandbox", "ada").await, app.link("sandbox", "bo").await);
        let (victim_flow, attacker_flow) = (begin(&app, &victim).await, begin(&app, &attacker).await);
        let back = app.upstream.allow(&victim_flow).await;
        let foreign = app.upstream.decide(&attacker_flow, "u-bo", "allow").await;
        let state = param(&back.url, "state").unwrap();
        let mixed = foreign.query.replace(&param(&foreign.url, "state").unwrap(), &state);
        let refused = finish(&app, &connection, Some(&back.browser), &mixed).await;
        assert!(matches!(refused, Err(CallbackError::InvalidState)), "{refused:?}");
        assert_eq!(app.upstream.counter("oauth1_tokens").await, 0);
        assert_eq!(app.status(victim.grounds.account.id).await, AccountStatus::PendingAuth);
    }

    /// AK-310: a refusal changes nothing, and the link can be tried again.
    async fn a_denied_consent_changes_nothing(test: TestDb) {
        let (app, connection) = started(&test, Calls::AsTrelloTakesThem).await;
        let link = app.link("sandbox", "ada").await;
        let consent = begin(&app, &link).await;
        let back = app.upstream.decide(&consent, "u-ada", "deny").await;
        let denied = finish(&app, &connection, Some(&back.browser), &back.query).await.unwrap_err();
        assert!(matches!(&denied, CallbackError::Denied(denial) if denial.code == "access_denied"), "{denied:?}");
        assert_eq!(app.status(link.grounds.account.id).await, AccountStatus::PendingAuth);
        assert!(matches!(app.consent(connection.id, &link).await, CallbackEnd::Connected));
    }

    /// AK-321..AK-323: the token waits for verification like any other grant.
    async fn the_token_waits_for_verification(test: TestDb) {
        let (app, connection) = started(&test, Calls::AsTrelloTakesThem).await;
        app.verify(Verification::Custom).await;
        let link = app.link_with(NewLink { key: named("sandbox", "ada"), ..verified("ada") }).await;
        let request = request_of(&app.consent(connection.id, &link).await);
        assert_eq!(app.status(link.grounds.account.id).await, AccountStatus::PendingVerification);
        verify(&app, &request, "ada").await.unwrap();
        assert_eq!(acts_for(&app, named("sandbox", "ada")).await, "u-ada");
    }

    /// AK-311, 4.3: a provider that refuses the application stops the flow before the user leaves,
    /// and nothing of the secret is told.
    async fn a_wrong_application_secret_stops_the_flow_at_once(test: TestDb) {
        let (app, connection) = started(&test, Calls::AsTrelloTakesThem).await;
        let wrong = "wrong-Kd72NsYbHc9Ju3";
        app.configure(connection, CLIENT_ID, wrong, |_| {}).await;
        let link = app.link("sandbox", "ada").await;
        let error = app.kit.begin_consent(app.env, &link).await.unwrap_err();
        assert!(matches!(error, Error::ConsentNotStarted(_)), "{error:?}");
        assert!(!format!("{error} {error:?}").contains(wrong));
        assert!(error.to_string().contains("401"), "{error}");
    }

    /// AK-202, 1.3: a token that was imported has no secret and no client of its own.
    async fn an_imported_token_acts_with_the_connections_key(test: TestDb) {
        let (app, connection) = started(&test, Calls::AsTrelloTakesThem).await;
        let id = app.connected(&connection, "ada").await;
        let token = app.kit.grounds(app.env, by_id(id)).await.unwrap().credential.access_token.clone();
        let new = keystead_agentkit::accounts::NewAccount {
            credential: crate::grants::tokens(&token, ""),
            ..crate::fixture::of_user("bo")
        };
        let imported = app.account("sandbox", new).await.account.id;
        assert_eq!(app.get(imported, "/me").await.unwrap().json()["principal"]["kind"], "oauth1");
    }
}

/// Part of AK-001, part of AK-105: Trello's pack begins with a request token, and its calls are not signed.
#[test]
fn trello_has_the_three_legged_flow() {
    let catalogue = Catalogue::embedded();
    let trello = catalogue.find("TRELLO").unwrap();
    let pattern = trello.pattern(AuthKind::TrelloOauth1).unwrap();
    let oauth = pattern.oauth_config.as_ref().unwrap();
    let own = oauth.oauth1.as_ref().unwrap();
    assert_eq!(
        (own.request_token_uri.as_str(), own.sign_calls),
        ("https://trello.com/1/OAuthGetRequestToken", false)
    );
    assert_eq!(
        oauth.token_uri.as_deref(),
        Some("https://trello.com/1/OAuthGetAccessToken")
    );
}
