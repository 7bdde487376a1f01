use crate::fixture::{App, bearers};
use keystead_authz::{AuthError, CallerKind, Subject};
use keystead_identity::clients::{self, IpAllowlist};
use keystead_jose::{RsaKey, sign};
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::{ErrorCode, Reason, Secret};
use serde_json::{Value, json};
use std::time::Duration;

/// The claims of a token without looking at the signature.
fn claims(token: &Secret<String>) -> Value {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    let middle = token.expose().split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(middle).unwrap()).unwrap()
}

async fn refused(app: &App, token: &str) -> bool {
    let token = Secret::new(token.to_owned());
    matches!(
        app.authorizer
            .authenticate(&app.site, &bearers(&[&token]))
            .await,
        Err(AuthError::Unauthenticated)
    )
}

on_both_engines! {
    /// MC-280
    async fn a_token_makes_a_caller_of_its_environment(test: TestDb) {
        let app = App::started(&test).await;
        let token = app.token().await;
        for _ in 0..2 {
            let caller = app.authorizer.authenticate(&app.site, &bearers(&[&token])).await.unwrap();
            assert_eq!((caller.env(), caller.workspace(), caller.kind()), (app.env(), app.created.workspace, CallerKind::Client));
            assert!(matches!(caller.subject(), Subject::Client { id, .. } if id == app.created.client));
            assert_eq!(caller.actor().name, app.created.client.to_string());
            assert!(caller.require(&["organizations:write"]).is_ok());
            assert!(caller.is_accepted_by(68) && !caller.is_accepted_by(64));
            let denied = caller.require(&["members:write", "billing:read"]).unwrap_err();
            assert_eq!(denied.code(), ErrorCode::PermissionDenied);
            assert!(denied.to_string().contains("members:write or billing:read"));
        }
    }

    /// The Python client sends its first token for ever beside the current one.
    async fn one_valid_token_among_several_is_enough(test: TestDb) {
        let app = App::started(&test).await;
        let (old, new) = (Secret::new("outdated".to_owned()), app.token().await);
        assert!(app.authorizer.authenticate(&app.site, &bearers(&[&old, &new])).await.is_ok());
        assert!(app.authorizer.authenticate(&app.site, &bearers(&[&new, &old])).await.is_ok());
        assert!(app.authorizer.authenticate(&app.site, &bearers(&[&old, &old])).await.is_err());
    }

    /// MC 4.4: a changed, foreign, self-made or expired token is no token.
    async fn tokens_that_were_not_issued_here_are_refused(test: TestDb) {
        let app = App::started(&test).await;
        let token = app.token().await;
        let text = token.expose();
        let (head, _) = text.rsplit_once('.').unwrap();
        for junk in ["", "x", "a.b.c", &format!("{head}."), &format!("{head}.AAAA"), &format!("{text}x"), &text.replace("ey", "eY")] {
            assert!(refused(&app, junk).await, "{junk}");
        }

        let elsewhere = app.another_site().await;
        assert!(app.authorizer.authenticate(&elsewhere, &bearers(&[&token])).await.is_err());

        let good = claims(&token);
        let stranger = RsaKey::generate().unwrap().with_key_id(Some("snk_1".to_owned()));
        assert!(refused(&app, &sign(&stranger, "JWT", &good).unwrap()).await, "another key");
        // Signed by our own key, but not an access token of a client for this API.
        let keys = app.ctx.signing_keys(app.env()).await.unwrap();
        for (claim, value) in [
            ("aud", json!(["https://elsewhere.test"])),
            ("iss", json!("https://elsewhere.test")),
            ("exp", json!(1_790_000_000)),
            ("nbf", json!(1_790_000_100)),
            ("sub", json!("usr_1")),
            ("secret_id", json!("sks_1")),
            ("secret_id", Value::Null),
            ("client_id", json!("skc_999999999999999999")),
        ] {
            let mut changed = good.clone();
            changed[claim] = value.clone();
            assert!(refused(&app, &sign(&keys.active, "JWT", &changed).unwrap()).await, "{claim} {value}");
        }
        assert!(!refused(&app, &sign(&keys.active, "JWT", &good).unwrap()).await, "the unchanged claims are accepted");
    }

    /// MC-177
    async fn a_remembered_token_still_expires(test: TestDb) {
        let app = App::started(&test).await;
        let token = app.token().await;
        assert!(!refused(&app, token.expose()).await);
        app.clock.advance(Duration::from_secs(86_399));
        assert!(!refused(&app, token.expose()).await);
        app.clock.advance(Duration::from_secs(1));
        assert!(refused(&app, token.expose()).await);
    }

    /// MC-282, DB 3.5, LG-283: tokens die with the secret or the client they were issued for.
    async fn a_revoked_secret_takes_its_tokens_with_it(test: TestDb) {
        let app = App::started(&test).await;
        let (ctx, env, client) = (&app.ctx, app.env(), app.created.client);
        let old = app.token().await;
        let second = clients::create_secret(ctx, env, &app.actor, client).await.unwrap();
        let new = app.token_for(client, &second.plain).await.unwrap().access_token;
        assert!(!refused(&app, old.expose()).await);
        clients::delete_secret(ctx, env, &app.actor, client, app.created.secret.secret.id).await.unwrap();
        assert!(refused(&app, old.expose()).await);
        assert!(!refused(&app, new.expose()).await);
    }

    /// MC-272, LG-072, LG-071, MC-281: a refusal that a new token would not change is no reason to fetch one.
    async fn a_client_without_api_access_is_denied_and_not_unauthenticated(test: TestDb) {
        let app = App::started(&test).await;
        let token = app.token().await;
        let change = async |disallow: bool, opted_in: bool| {
            clients::update(&app.ctx, app.env(), &app.actor, app.created.client, |mut client| {
                client.disallow_api_access = disallow;
                client.settings.ip_allowlist = IpAllowlist { opted_in, cidrs: vec!["203.0.113.0/24".parse().unwrap()] };
                client
            }).await.unwrap();
        };
        change(true, false).await;
        let denied = app.authorizer.authenticate(&app.site, &bearers(&[&token])).await.unwrap_err();
        assert!(matches!(denied, AuthError::ApiAccess));
        assert_eq!(denied.code(), ErrorCode::PermissionDenied);
        let secret = &app.created.secret.plain;
        let no_token = app.token_for(app.created.client, secret).await.unwrap_err();
        assert_eq!((no_token.status(), no_token.error()), (400, "unauthorized_client"));
        let wrong = app.token_for(app.created.client, &Secret::new("test_wrong".to_owned())).await.unwrap_err();
        assert_eq!((wrong.status(), wrong.error()), (401, "invalid_client"), "only who knows the secret learns the reason");
        change(false, false).await;
        assert!(app.token_for(app.created.client, secret).await.is_ok());
        change(false, true).await;
        let mut credentials = bearers(&[&token]);
        let denied = app.authorizer.authenticate(&app.site, &credentials).await.unwrap_err();
        assert_eq!((matches!(denied, AuthError::Address), denied.code()), (true, ErrorCode::PermissionDenied));
        credentials.peer = Some("203.0.113.4".parse().unwrap());
        assert!(app.authorizer.authenticate(&app.site, &credentials).await.is_ok());
    }
}
