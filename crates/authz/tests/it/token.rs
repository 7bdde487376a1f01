use crate::fixture::App;
use keystead_authz::TokenEndpointRequest;
use keystead_identity::clients::{self, ClientSettings, ClientType, IpAllowlist, SecretStatus};
use keystead_jose::{Expect, verify};
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::{Clock, Secret};
use serde_json::{Value, json};
use std::time::Duration;

fn claims(app: &App, keys: &keystead_jose::KeySet, token: &Secret<String>) -> Value {
    let expect = Expect {
        issuer: "https://localhost:8443",
        audience: Some("https://localhost:8443"),
        now: app.clock.now(),
        leeway: Duration::ZERO,
    };
    verify(token.expose(), keys, &expect)
        .unwrap()
        .read()
        .unwrap()
}

on_both_engines! {
    /// LG-065, LG-070, part of LG-084, part of MC-150, MC-170, MC-171, part of MC-172, MC-177, MC-280: what the
    /// official clients check.
    async fn a_token_has_the_claims_the_clients_check(test: TestDb) {
        let app = App::started(&test).await;
        let response = app.token_for(app.created.client, &app.created.secret.plain).await.unwrap();
        assert_eq!((response.expires_in, response.scope.as_str()), (86_400, "openid"));
        let body: Value = serde_json::from_str(response.body().expose()).unwrap();
        assert_eq!((body["token_type"].as_str(), body["expires_in"].as_i64()), (Some("Bearer"), Some(86_400)));

        let keys = app.ctx.signing_keys(app.env()).await.unwrap();
        let claims = claims(&app, &keys.published, &response.access_token);
        let client = app.created.client.to_string();
        assert_eq!((claims["sub"].as_str(), claims["client_id"].as_str()), (Some(client.as_str()), Some(client.as_str())));
        assert_eq!((&claims["scopes"], &claims["scope"]), (&json!(["openid"]), &json!("openid")));
        assert_eq!((claims["iat"].as_i64(), claims["exp"].as_i64()), (Some(1_790_000_000), Some(1_790_086_400)));
        assert!(claims["jti"].as_str().unwrap().starts_with("tkn_"));
        assert!(claims.get("custom_claims").is_none());
        assert!(!response.access_token.expose().contains(app.created.secret.plain.expose().as_str()));
    }

    /// MC 4.2, MC 4.4: nobody learns which client ids exist.
    async fn every_failed_authentication_looks_the_same(test: TestDb) {
        let app = App::started(&test).await;
        let (client, secret) = (app.created.client, app.created.secret.plain.expose());
        let elsewhere = app.another_site().await;
        let other = app.client(ClientType::WebApp, ClientSettings::default()).await;
        let form = |client: &str, secret: &str| format!("grant_type=client_credentials&client_id={client}&client_secret={secret}");
        let mut seen = Vec::new();
        for body in [
            form(&client.to_string(), "test_wrong"),
            form("skc_999999999999999999", secret),
            form("not-an-id", secret),
            form(&other.to_string(), secret),
            format!("grant_type=client_credentials&client_id={client}"),
            format!("grant_type=client_credentials&client_id={client}&client_secret="),
        ] {
            let refused = app.form(&app.site, &body).await.unwrap_err();
            seen.push((refused.status(), refused.body(), refused.www_authenticate()));
        }
        let refused = app.form(&elsewhere, &form(&client.to_string(), secret)).await.unwrap_err();
        seen.push((refused.status(), refused.body(), refused.www_authenticate()));
        assert!(seen.iter().all(|one| *one == seen[0]), "{seen:?}");
        assert_eq!((seen[0].0, seen[0].2), (401, None));
        assert!(seen[0].1.contains("\"invalid_client\""));
    }

    /// LG-075, part of LG-061, part of MC-152, MC-153
    async fn http_basic_works_and_its_refusal_names_the_scheme(test: TestDb) {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let app = App::started(&test).await;
        let basic = |secret: &str| format!("Basic {}", STANDARD.encode(format!("{}:{secret}", app.created.client)));
        let (right, wrong) = (basic(app.created.secret.plain.expose()), basic("wrong"));
        for (header, status) in [(&right, None), (&wrong, Some(401))] {
            let request = TokenEndpointRequest {
                content_type: Some("application/x-www-form-urlencoded"),
                authorization: &["Bearer outdated", header],
                body: b"grant_type=client_credentials",
                peer: None,
            };
            let answer = app.authorizer.token(&app.site, request).await;
            assert_eq!(answer.as_ref().err().map(keystead_authz::OauthError::status), status);
            if let Err(refused) = answer {
                assert_eq!(refused.www_authenticate(), Some("Basic realm=\"oauth\""));
            }
        }
    }

    /// LG-282, DB 3.5
    async fn a_secret_that_is_off_or_gone_gets_no_token(test: TestDb) {
        let app = App::started(&test).await;
        let (ctx, env, client) = (&app.ctx, app.env(), app.created.client);
        let first = &app.created.secret;
        assert!(app.token_for(client, &first.plain).await.is_ok());
        clients::set_secret_status(ctx, env, &app.actor, client, first.secret.id, SecretStatus::Inactive).await.unwrap();
        assert_eq!(app.token_for(client, &first.plain).await.unwrap_err().status(), 401);
        clients::set_secret_status(ctx, env, &app.actor, client, first.secret.id, SecretStatus::Active).await.unwrap();

        let second = clients::create_secret(ctx, env, &app.actor, client).await.unwrap();
        assert!(app.token_for(client, &first.plain).await.is_ok(), "both work during a rotation");
        assert!(app.token_for(client, &second.plain).await.is_ok());
        clients::delete_secret(ctx, env, &app.actor, client, first.secret.id).await.unwrap();
        assert_eq!(app.token_for(client, &first.plain).await.unwrap_err().status(), 401);
        assert!(app.token_for(client, &second.plain).await.is_ok());
    }

    /// LG-070, part of LG-083, part of MC-155, part of MC-162, MC-176, part of MC-266, part of LG-287
    async fn scopes_grants_and_claims_of_the_client_are_honoured(test: TestDb) {
        let app = App::started(&test).await;
        let settings = ClientSettings {
            scopes: vec!["read".to_owned(), "write".to_owned()],
            custom_claims: vec![("plan".to_owned(), "pro".to_owned())],
            ..ClientSettings::default()
        };
        let client = app.client(ClientType::WebApp, settings).await;
        let secret = clients::create_secret(&app.ctx, app.env(), &app.actor, client).await.unwrap().plain;
        let ask = async |extra: &str| {
            let secret = secret.expose();
            app.form(&app.site, &format!("grant_type=client_credentials&client_id={client}&client_secret={secret}{extra}")).await
        };
        assert_eq!(ask("").await.unwrap().scope, "read write");
        assert_eq!(ask("&scope=read+openid").await.unwrap().scope, "read openid");
        assert!(ask("&scope=admin").await.unwrap_err().body().contains("\"invalid_scope\""));
        assert!(ask("&audience=https://elsewhere.test").await.unwrap_err().body().contains("\"invalid_target\""));
        assert!(ask("&resource=https://localhost:8443").await.is_ok());
        let keys = app.ctx.signing_keys(app.env()).await.unwrap();
        let claims = claims(&app, &keys.published, &ask("").await.unwrap().access_token);
        assert_eq!(claims["custom_claims"], json!({ "plan": "pro" }));

        clients::update(&app.ctx, app.env(), &app.actor, client, |mut client| {
            client.settings.grant_types = vec!["authorization_code".to_owned()];
            client.access_token_expiry = Some(600);
            client
        }).await.unwrap();
        assert!(ask("").await.unwrap_err().body().contains("\"unauthorized_client\""));
        clients::update(&app.ctx, app.env(), &app.actor, client, |mut client| {
            client.settings.grant_types.clear();
            client
        }).await.unwrap();
        assert_eq!(ask("").await.unwrap().expires_in, 600);
    }

    /// LG-072, MC-272
    async fn an_allow_list_decides_from_where_tokens_are_given(test: TestDb) {
        let app = App::started(&test).await;
        clients::update(&app.ctx, app.env(), &app.actor, app.created.client, |mut client| {
            client.settings.ip_allowlist = IpAllowlist { opted_in: true, cidrs: vec!["203.0.113.0/24".parse().unwrap()] };
            client
        }).await.unwrap();
        let body = format!("grant_type=client_credentials&client_id={}&client_secret={}", app.created.client, app.created.secret.plain.expose());
        for (peer, status) in [(Some("203.0.113.9"), None), (Some("198.51.100.1"), Some(403)), (None, Some(403))] {
            let request = TokenEndpointRequest {
                content_type: Some("application/x-www-form-urlencoded"),
                authorization: &[],
                body: body.as_bytes(),
                peer: peer.map(|peer| peer.parse().unwrap()),
            };
            let answer = app.authorizer.token(&app.site, request).await;
            assert_eq!(answer.err().map(|refused| refused.status()), status, "{peer:?}");
        }
    }

    /// MC 4.4: guessing is slowed down, the client itself is never locked out.
    async fn many_wrong_secrets_are_told_to_wait_and_the_right_one_still_works(test: TestDb) {
        let app = App::started(&test).await;
        let wrong = Secret::new("test_wrong".to_owned());
        let mut statuses = Vec::new();
        for _ in 0..22 {
            let refused = app.token_for(app.created.client, &wrong).await.unwrap_err();
            statuses.push((refused.status(), refused.retry_after_seconds()));
        }
        assert_eq!((statuses[0], statuses[19], statuses[20]), ((401, None), (401, None), (429, Some(60))));
        assert!(app.token_for(app.created.client, &app.created.secret.plain).await.is_ok());
    }

    /// Who need not sign in must not fill the memory: an unknown id is counted, a text that is none is not.
    async fn only_texts_that_can_be_ids_are_counted(test: TestDb) {
        let app = App::started(&test).await;
        for (client, status) in [("skc_999999999999999999".to_owned(), 429), ("x".repeat(60_000), 401)] {
            let body = format!("grant_type=client_credentials&client_id={client}&client_secret=wrong");
            let mut last = 0;
            for _ in 0..22 {
                last = app.form(&app.site, &body).await.unwrap_err().status();
            }
            assert_eq!(last, status);
        }
    }

    /// Part of LG-060, part of MC-162
    async fn only_forms_are_read(test: TestDb) {
        let app = App::started(&test).await;
        for content_type in [None, Some("application/json")] {
            let request = TokenEndpointRequest { content_type, authorization: &[], body: b"grant_type=client_credentials", peer: None };
            assert_eq!(app.authorizer.token(&app.site, request).await.unwrap_err().error(), "invalid_request");
        }
    }

    /// Budget: a warm token request asks and writes nothing; the use is stored later.
    async fn issuing_a_token_writes_nothing(test: TestDb) {
        let app = App::started(&test).await;
        app.token().await;
        app.authorizer.flush_uses().await.unwrap();
        let before = test.db.write_counters().transactions;
        app.clock.advance(Duration::from_secs(5));
        for _ in 0..10 {
            app.token().await;
        }
        assert_eq!(test.db.write_counters().transactions, before);
        app.authorizer.flush_uses().await.unwrap();
        assert_eq!(test.db.write_counters().transactions, before + 1, "one write for ten uses");
        let client = clients::get(&mut app.ctx.db.read(app.env()), app.created.client).await.unwrap();
        assert_eq!(client.secrets[0].last_used_at, Some(app.clock.now()));
        app.authorizer.flush_uses().await.unwrap();
        assert_eq!(test.db.write_counters().transactions, before + 1);
    }
}
