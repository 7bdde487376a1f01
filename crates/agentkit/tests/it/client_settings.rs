//! What a connection says of its OAuth client and its provider (AK-105, AK-124).

use crate::{
    fixture::{App, by_id, call, of_user, param},
    grants::tokens,
    minted::{Script, connected_to, token_at},
    upstream::PUBLIC_CLIENT,
};
use axum::{Router, extract::Request, http::Uri, routing::any};
use keystead_agentkit::{
    Error,
    accounts::NewAccount,
    catalogue::Catalogue,
    connections::{ConnectionPatch, SecretsPatch, SmartSettings},
    providers::Provider,
};
use keystead_sandbox::{CLIENT_ID, CLIENT_SECRET};
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::Secret;
use serde_json::json;

on_both_engines! {
    /// Part of AK-105, 4.3: Entra's endpoints have the connection's tenant in their path, also for grants
    /// that were handed in; a tenant cannot be more than one segment.
    async fn a_tenant_is_part_of_entras_endpoints(test: TestDb) {
        let app = App::started(&test).await;
        let outlook = Catalogue::embedded().find("OUTLOOK").unwrap().as_ref().clone();
        for (name, tenant, segment) in [
            ("mail-1", "", "common"),
            ("mail-2", "acme.onmicrosoft.com", "acme.onmicrosoft.com"),
        ] {
            let connection = app.connection_of(&outlook, name, json!({})).await;
            let connection = app.configure(connection, CLIENT_ID, CLIENT_SECRET, |settings| {
                settings.tenant_id = Some(tenant.to_owned());
            }).await;
            let link = app.link(name, "ada").await;
            let consent = app.kit.begin_consent(app.env, &link).await.unwrap();
            let start = format!("https://login.microsoftonline.com/{segment}/oauth2/v2.0/authorize?");
            assert!(consent.url.as_str().starts_with(&start), "{}", consent.url);
            let imported = NewAccount { credential: tokens("access", "refresh"), ..of_user("imported") };
            let grounds = app.account(name, imported).await;
            let client = grounds.credential.client.as_ref().unwrap();
            assert_eq!(client.token_uri, format!("https://login.microsoftonline.com/{segment}/oauth2/v2.0/token"));
            for wrong in ["../evil", "a/b", "a?b", "a#b", "a b", "..", "a%2fb", "@evil.test"] {
                let mut settings = connection.settings.clone();
                settings.tenant_id = Some(wrong.to_owned());
                let patch = ConnectionPatch { settings: Some(settings), ..ConnectionPatch::default() };
                let refused = app.kit.update_connection(app.env, &app.actor, connection.id, patch).await;
                assert!(matches!(refused, Err(Error::Invalid(_))), "{wrong}");
            }
        }
    }

    /// Part of AK-105: the developer token of Google Ads goes with every call, over one of the caller, and
    /// only where the connection has it.
    async fn the_developer_token_goes_with_every_call(test: TestDb) {
        let script = Script::default();
        let writer = script.clone();
        let mut app = App::started_with(&test, |_| {
            Router::new().route("/ads/{*rest}", any(async move |uri: Uri, request: Request| writer.note(&uri, &request)))
        }).await;
        let connection = connected_to(&mut app, "GOOGLE_ADS", "/ads", token_at("/sandbox/provider/token")).await;
        let connection = app.configure(connection, CLIENT_ID, CLIENT_SECRET, |_| {}).await;
        let id = app.connected(&connection, "ada").await;
        for (token, sent) in [(Some("dev-t0ken"), Some("dev-t0ken")), (Some(""), Some("the caller's"))] {
            let secrets = SecretsPatch {
                developer_token: token.map(|token| Secret::new(token.to_owned())),
                ..SecretsPatch::default()
            };
            let patch = ConnectionPatch { secrets, ..ConnectionPatch::default() };
            app.kit.update_connection(app.env, &app.actor, connection.id, patch).await.unwrap();
            let mut get = call(id, http::Method::GET, "/v26/customers:listAccessibleCustomers");
            get.headers.insert("developer-token", "the caller's".parse().unwrap());
            app.send(get).await.unwrap();
            assert_eq!(script.last().1.get("developer-token").map(String::as_str), sent);
        }
    }

    /// Part of AK-105, part of AK-124: a SMART on FHIR connection names its endpoints itself and may be a
    /// public client, which sends its id, PKCE and no secret.
    async fn a_public_smart_client_connects(test: TestDb) {
        let mut app = App::started(&test).await;
        let pattern = json!({"type": "SMART_FHIR", "display_name": "SMART", "oauth_config": {
            "available_scopes": [{"scope": "read"}],
        }});
        let provider = Provider {
            identifier: "CLINIC".to_owned(),
            slug: "clinic".to_owned(),
            auth_patterns: vec![serde_json::from_value(pattern).unwrap()],
            proxy_url: "https://fhir.example.com".to_owned(),
            ..Catalogue::embedded().find("TRELLO").unwrap().as_ref().clone()
        };
        app.kit = app.kit_with(provider.clone());
        let connection = app.connection_of(&provider, "clinic", json!({})).await;
        let connection = app.configure(connection, PUBLIC_CLIENT, "", |settings| {
            settings.authorize_uri = Some(app.upstream.url("/sandbox/provider/authorize"));
            settings.token_uri = Some(app.upstream.url("/sandbox/provider/token"));
            settings.token_endpoint_auth_method = Some("none".to_owned());
            settings.smart = Some(SmartSettings { aud: "https://fhir.test/r4".to_owned(), domain: app.api() });
        }).await;
        assert!(connection.enabled, "complete without a secret");
        let link = app.link("clinic", "ada").await;
        let consent = app.kit.begin_consent(app.env, &link).await.unwrap();
        assert_eq!(param(&consent.url, "aud").as_deref(), Some("https://fhir.test/r4"));
        assert_eq!(param(&consent.url, "code_challenge_method").as_deref(), Some("S256"));
        let id = app.connected(&connection, "ada").await;
        app.kit.refresh_now(app.env, id).await.unwrap();
        assert_eq!(app.get(id, "/me").await.unwrap().json()["principal"]["subject"], "u-ada");
        let grounds = app.kit.grounds(app.env, by_id(id)).await.unwrap();
        assert!(grounds.credential.client.as_ref().unwrap().client_secret.is_empty());
    }
}
