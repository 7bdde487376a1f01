//! Which account of the provider consented, and which server says so (AK-309, 4.2.3, RFC 9207).

use crate::{
    fixture::App,
    links::{begin, finish},
};
use keystead_agentkit::{
    connections::Connection,
    links::{CallbackEnd, CallbackError},
};
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::ConnectedAccountId;
use serde_json::{Value, json};

/// A connection to the sandbox with one more OAuth setting of its connector.
async fn with(app: &App, name: &str, value: Value) -> Connection {
    let mut pattern = app.oauth_pattern();
    pattern["oauth_config"][name] = value;
    app.oauth_with("sandbox", pattern, json!({}), |_| {}).await
}

/// This user of the provider consents for the account `ada`.
async fn consent_as(app: &App, connection: &Connection, user: &str) -> ConnectedAccountId {
    let link = app.link("sandbox", "ada").await;
    let back = app
        .upstream
        .decide(&begin(app, &link).await, user, "allow")
        .await;
    let end = finish(app, connection, Some(&back.browser), &back.query).await;
    assert!(matches!(end, Ok(CallbackEnd::Connected)), "{end:?}");
    link.grounds.account.id
}

/// What the history says about the consents, newest first.
async fn consents(app: &App, id: ConnectedAccountId) -> Vec<String> {
    let history = app.kit.account_history(app.env, id, 100).await.unwrap();
    let of_consents = history
        .into_iter()
        .filter(|entry| entry.kind == "connected_account.oauth_succeeded");
    of_consents.map(|entry| entry.detail).collect()
}

on_both_engines! {
    /// Part of AK-309, 4.2.3: the history names the account of the provider, and a consent of another one is told.
    async fn the_account_that_consented_is_remembered(test: TestDb) {
        let app = App::started(&test).await;
        let uri = app.upstream.url("/sandbox/provider/userinfo");
        let connection = with(&app, "user_info_uri", json!(uri)).await;
        let id = consent_as(&app, &connection, "u-ada").await;
        app.clock.advance(crate::fixture::TOKEN_LIFE);
        assert_eq!(app.get(id, "/me").await.unwrap().status, 200, "a refresh keeps it");
        consent_as(&app, &connection, "u-ada").await;
        consent_as(&app, &connection, "u-bo").await;
        assert_eq!(consents(&app, id).await, [
            "by bo@example.test, another account than before", "by ada@example.test", "by ada@example.test",
        ]);
        let events = app.events().await;
        let flags = events.iter().filter(|event| event.kind == "connected_account.oauth_succeeded");
        let flags: Vec<bool> = flags.map(|event| event.data.get("provider_account_changed").is_some()).collect();
        assert_eq!(flags, [false, false, true]);
    }

    /// Part of AK-309: a provider that does not say who it was has still given a consent.
    async fn a_consent_works_without_user_info(test: TestDb) {
        let app = App::started(&test).await;
        let uri = app.upstream.url("/sandbox/provider/nowhere");
        let connection = with(&app, "user_info_uri", json!(uri)).await;
        let id = consent_as(&app, &connection, "u-ada").await;
        assert_eq!(consents(&app, id).await, [""]);
        assert_eq!(app.get(id, "/me").await.unwrap().status, 200);
    }

    /// RFC 9207, part of AK-309: an answer of another authorization server is refused before its code is used.
    async fn an_answer_of_another_issuer_is_refused(test: TestDb) {
        let app = App::started(&test).await;
        let connection = with(&app, "issuer", json!("https://provider.test")).await;
        for (issuer, accepted) in [
            (Some("https://evil.test"), false), (Some("https://provider.test/"), false), (Some("https://provider.test"), true), (None, true),
        ] {
            let link = app.link("sandbox", "ada").await;
            let back = app.upstream.allow(&begin(&app, &link).await).await;
            let mut query = url::form_urlencoded::Serializer::new(back.query.clone());
            if let Some(issuer) = issuer {
                query.append_pair("iss", issuer);
            }
            let before = app.upstream.counter("code_exchanges").await;
            let end = finish(&app, &connection, Some(&back.browser), &query.finish()).await;
            let exchanged = app.upstream.counter("code_exchanges").await - before;
            if accepted {
                assert!(matches!(end, Ok(CallbackEnd::Connected)), "{issuer:?}: {end:?}");
            } else {
                assert!(matches!(end, Err(CallbackError::WrongIssuer)), "{issuer:?}: {end:?}");
            }
            assert_eq!(exchanged, u64::from(accepted), "{issuer:?}");
        }
    }
}
