//! When tokens are refreshed (AK-203, AK-205, AK-220..AK-228).

use crate::{
    fixture::{App, TOKEN_LIFE, by_id, call, named, of_user},
    grants::{abandon, all, crowd, revoke, tokens},
};
use http::Method;
use keystead_agentkit::{
    Error,
    accounts::{AccountPatch, AccountStatus, CredentialInput},
};
use keystead_store::GroupLimits;
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::{ErrorCode, Reason};
use serde_json::json;
use std::{collections::BTreeMap, time::Duration};

on_both_engines! {
    /// AK-220, AK-222: the provider sees one refresh, and every caller succeeds.
    async fn two_hundred_calls_on_an_expired_token_make_one_refresh(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let id = app.connected(&connection, "ada").await;
        let before = app.happened().await.len();
        app.clock.advance(TOKEN_LIFE);
        app.upstream.chaos(json!({"token_delay_ms": 50})).await;
        assert_eq!(crowd(&app, std::slice::from_ref(&app.kit), id, 200).await, all("200", 200));
        assert_eq!(app.upstream.counter("refreshes").await, 1);
        assert_eq!(app.upstream.counter("reuse_detections").await, 0);
        assert_eq!(app.happened_since(before).await, ["token_refresh_succeeded"]);
        assert_eq!(app.read(id).await.credential_version, 2);
    }

    /// AK-222: the same with two processes that share nothing but the database.
    async fn two_nodes_make_one_refresh(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let id = app.connected(&connection, "ada").await;
        // SQLite has one process only; there the second node stands for a restart without memory.
        let db = match test.db.engine() {
            keystead_store::Engine::Sqlite => test.db.clone(),
            keystead_store::Engine::Postgres => test.open_again(GroupLimits::default()).await,
        };
        let nodes = [app.node(db.clone(), 2), app.node(db, 3)];
        for round in 1..=3 {
            app.clock.advance(TOKEN_LIFE);
            app.upstream.chaos(json!({"token_delay_ms": 50})).await;
            assert_eq!(crowd(&app, &nodes, id, 200).await, all("200", 200));
            assert_eq!(app.upstream.counter("refreshes").await, round);
        }
        assert_eq!(app.upstream.counter("reuse_detections").await, 0);
        assert_eq!(app.status(id).await, AccountStatus::Active);
    }

    /// AK-220: within the buffer the token is refreshed before use, outside it is not.
    async fn a_token_is_refreshed_five_minutes_before_its_end(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let id = app.connected(&connection, "ada").await;
        app.clock.advance(Duration::from_secs(3600 - 301));
        assert_eq!(app.get(id, "/me").await.unwrap().status, 200);
        assert_eq!(app.upstream.counter("token_requests").await, 1, "the code only");
        app.clock.advance(Duration::from_secs(2));
        assert_eq!(app.get(id, "/me").await.unwrap().status, 200);
        assert_eq!(app.upstream.counter("refreshes").await, 1);
    }

    /// AK-221: a response without a refresh token keeps the old one.
    async fn a_provider_that_does_not_rotate_keeps_its_refresh_token(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let id = app.connected(&connection, "ada").await;
        app.upstream.chaos(json!({"rotation": false})).await;
        for round in 1..=3 {
            app.clock.advance(TOKEN_LIFE);
            assert_eq!(app.get(id, "/me").await.unwrap().status, 200);
            assert_eq!(app.upstream.counter("refreshes").await, round);
        }
    }

    /// AK-203, part of AK-226, 4.2.1: without a lifetime nothing is refreshed until the provider says 401,
    /// then once, and the same call is sent again once.
    async fn without_expires_in_a_401_makes_one_refresh_and_one_resend(test: TestDb) {
        let app = App::started(&test).await;
        app.upstream.chaos(json!({"omit_expires_in": true})).await;
        let connection = app.oauth().await;
        let id = app.connected(&connection, "ada").await;
        assert_eq!(app.read(id).await.token_expires_at, None);
        assert_eq!(app.get(id, "/me").await.unwrap().status, 200);
        assert_eq!(app.upstream.counter("token_requests").await, 1);
        app.clock.advance(TOKEN_LIFE);
        let mut post = call(id, Method::POST, "/items");
        post.headers.insert("content-type", "application/json".parse().unwrap());
        post.body = keystead_agentkit::proxy::ProxyBody::Buffered(r#"{"name":"once"}"#.into());
        let answer = app.send(post).await.unwrap();
        assert_eq!(answer.status, 201);
        assert_eq!(answer.json()["name"], "once");
        assert_eq!(app.upstream.counter("refreshes").await, 1);
        assert_eq!(app.upstream.counter("api_unauthorized").await, 1);
        assert_eq!(app.upstream.counter("api_calls").await, 3);
    }

    /// Part of AK-113: a connection's `expires_in` stands in for the provider's, and one of nothing does not
    /// make each call a refresh.
    async fn a_lifetime_of_the_connection_has_a_lower_bound(test: TestDb) {
        let app = App::started(&test).await;
        app.upstream.chaos(json!({"omit_expires_in": true})).await;
        for (expires_in, seconds) in [(600, 600), (0, 60)] {
            let name = format!("life-{expires_in}");
            let connection = app.oauth_with(&name, app.oauth_pattern(), json!({"expires_in": expires_in}), |_| {}).await;
            let id = app.connected(&connection, "ada").await;
            let end = app.kit.ctx().clock.now().plus(Duration::from_secs(seconds));
            assert_eq!(app.read(id).await.token_expires_at, Some(end), "{expires_in}");
            for _ in 0..3 {
                assert_eq!(app.get(id, "/me").await.unwrap().status, 200);
            }
        }
        assert_eq!(app.upstream.counter("refreshes").await, 0);
    }

    /// Part of AK-226, AK-457: a provider that says 401 to a fresh token too is passed through, and the
    /// account stays active, since its grant was not refused.
    async fn a_second_401_is_passed_through(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let id = app.connected(&connection, "ada").await;
        app.upstream.chaos(json!({"api_unauthorized_count": 2})).await;
        let answer = app.get(id, "/me").await.unwrap();
        assert_eq!(answer.status, 401);
        assert_eq!(answer.json()["error"], "invalid_token");
        assert_eq!(app.upstream.counter("refreshes").await, 1);
        assert_eq!(app.upstream.counter("api_calls").await, 2);
        assert_eq!(app.status(id).await, AccountStatus::Active);
    }

    /// Part of AK-226: many calls that get 401 for the same token cause one refresh.
    async fn concurrent_401s_make_one_refresh(test: TestDb) {
        let app = App::started(&test).await;
        app.upstream.chaos(json!({"omit_expires_in": true})).await;
        let connection = app.oauth().await;
        let id = app.connected(&connection, "ada").await;
        app.clock.advance(TOKEN_LIFE);
        app.upstream.chaos(json!({"omit_expires_in": true, "token_delay_ms": 100})).await;
        assert_eq!(crowd(&app, std::slice::from_ref(&app.kit), id, 60).await, all("200", 60));
        assert_eq!(app.upstream.counter("refreshes").await, 1);
    }

    /// AK-220, part of AK-113: with `auto_refresh` off nothing is refreshed unasked; on request it is.
    async fn automatic_refresh_can_be_switched_off(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth_context(json!({"auto_refresh": false})).await;
        let id = app.connected(&connection, "ada").await;
        app.clock.advance(Duration::from_secs(3400));
        assert_eq!(app.kit.refresh_due(100).await.unwrap(), 0);
        assert_eq!(app.get(id, "/me").await.unwrap().status, 200);
        assert_eq!(app.upstream.counter("refreshes").await, 0);
        app.kit.refresh_now(app.env, id).await.unwrap();
        assert_eq!(app.upstream.counter("refreshes").await, 1);
        app.clock.advance(TOKEN_LIFE);
        let error = app.get(id, "/me").await.unwrap_err();
        assert_eq!(error.reason().code(), ErrorCode::ConnectedAccountNotActive);
        let account = app.read(id).await;
        assert_eq!(account.status, AccountStatus::Expired);
        assert!(account.status_reason.contains("automatic refresh is off"), "{}", account.status_reason);
        assert_eq!(app.upstream.counter("refreshes").await, 1);
        assert_eq!(app.kit.refresh_now(app.env, id).await.unwrap().status, AccountStatus::Active);
        assert_eq!(app.get(id, "/me").await.unwrap().status, 200);
    }

    /// Part of AK-108, part of AK-211: tokens that are handed in belong to the connection's client as it is now, whatever
    /// client the grant before was issued to.
    async fn a_grant_that_is_handed_in_has_the_client_of_now(test: TestDb) {
        use crate::upstream::{SECOND_CLIENT, SECOND_SECRET};
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let ada = app.connected(&connection, "ada").await;
        let connection = app.configure(connection, SECOND_CLIENT, SECOND_SECRET, |_| {}).await;
        let bo = app.connected(&connection, "bo").await;
        let of_bo = app.kit.grounds(app.env, by_id(bo)).await.unwrap();
        let (access, refresh) = (&of_bo.credential.access_token, &of_bo.credential.refresh_token);
        let patch = AccountPatch { credential: tokens(access, refresh), ..AccountPatch::default() };
        app.kit.update_account(app.env, &app.actor, by_id(ada), patch).await.unwrap();
        app.kit.refresh_now(app.env, ada).await.unwrap();
    }

    /// AK-100, AK-108: a grant keeps the client it was issued to.
    async fn a_grant_keeps_its_client_when_the_connection_gets_another(test: TestDb) {
        use crate::upstream::{SECOND_CLIENT, SECOND_SECRET};
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let old = app.connected(&connection, "ada").await;
        let connection = app.configure(connection, SECOND_CLIENT, SECOND_SECRET, |_| {}).await;
        let new = app.connected(&connection, "bo").await;
        app.clock.advance(TOKEN_LIFE);
        for id in [old, new] {
            assert_eq!(app.get(id, "/me").await.unwrap().status, 200);
        }
        let refreshed = app.upstream.noted("token.refreshed").await;
        let clients: Vec<_> = refreshed.iter().map(|event| event["client_id"].as_str().unwrap()).collect();
        assert_eq!(clients, [keystead_sandbox::CLIENT_ID, SECOND_CLIENT]);
    }

    /// AK-220: the background job refreshes what is due, in all environments, and nothing else.
    async fn the_background_job_refreshes_what_is_due(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let early = app.connected(&connection, "early").await;
        app.clock.advance(Duration::from_secs(600));
        let late = app.connected(&connection, "late").await;
        assert_eq!(app.kit.refresh_due(100).await.unwrap(), 0);
        app.clock.advance(Duration::from_secs(2701));
        assert_eq!(app.kit.refresh_due(100).await.unwrap(), 1);
        assert_eq!(app.read(early).await.credential_version, 2);
        assert_eq!(app.read(late).await.credential_version, 1);
        assert_eq!(app.kit.refresh_due(100).await.unwrap(), 0, "not due any more");
        assert_eq!(app.upstream.counter("refreshes").await, 1);
    }

    /// AK-220: accounts that may not be refreshed do not hold up the others.
    async fn accounts_of_a_disabled_connection_do_not_starve_the_background_job(test: TestDb) {
        let app = App::started(&test).await;
        let off = app.oauth().await;
        for user in ["a", "b", "c"] {
            app.connected(&off, user).await;
        }
        app.kit.disable_connection(app.env, &app.actor, off.id).await.unwrap();
        app.clock.advance(Duration::from_secs(1));
        let on = app.oauth_with("other", app.oauth_pattern(), json!({}), |_| {}).await;
        let id = app.connected(&on, "ada").await;
        app.clock.advance(Duration::from_secs(3400));
        for _ in 0..3 {
            app.kit.refresh_due(2).await.unwrap();
        }
        assert_eq!(app.read(id).await.credential_version, 2);
        // Switched on again they work at once.
        app.kit.enable_connection(app.env, &app.actor, off.id).await.unwrap();
        let back = app.kit.account(app.env, named("sandbox", "a")).await.unwrap();
        app.clock.advance(TOKEN_LIFE);
        assert_eq!(app.get(back.id, "/me").await.unwrap().status, 200);
    }

    /// Part of AK-225
    async fn a_refresh_on_request_says_why_it_cannot(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let id = app.connected(&connection, "ada").await;
        let refreshed = app.kit.refresh_now(app.env, id).await.unwrap();
        assert_eq!((refreshed.credential_version, refreshed.last_refreshed_at), (2, Some(crate::fixture::NOW)));
        let imported = keystead_agentkit::accounts::NewAccount {
            credential: tokens("only-access", ""),
            ..of_user("bo")
        };
        let no_refresh = app.account("sandbox", imported).await.account.id;
        assert!(matches!(app.kit.refresh_now(app.env, no_refresh).await, Err(Error::NothingToRefresh)));
        let pending = app.account("sandbox", of_user("cy")).await.account.id;
        assert!(matches!(app.kit.refresh_now(app.env, pending).await, Err(Error::AccountNotActive { .. })));
        revoke(&app, id).await;
        let refused = app.kit.refresh_now(app.env, id).await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::ConnectedAccountNotActive);
        assert!(refused.to_string().contains("invalid_grant"), "{refused}");
    }

    /// Part of AK-225: a failed request is no success, also while the old token lives; and it does not wait
    /// for the pause after a failure.
    async fn a_failed_refresh_on_request_is_an_error(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let id = app.connected(&connection, "ada").await;
        app.upstream.chaos(json!({"token_fault": "server_error"})).await;
        for number in 1..=3 {
            let error = app.kit.refresh_now(app.env, id).await.unwrap_err();
            assert_eq!(error.code(), ErrorCode::UpstreamUnreachable, "{error}");
            assert_eq!(app.upstream.counter("token_faults").await, number);
        }
        app.upstream.chaos(json!({})).await;
        assert_eq!(app.kit.refresh_now(app.env, id).await.unwrap().credential_version, 2);
    }

    /// Part of AK-228, AK-222: a token that is minted is made once for all callers, again when it ends, and
    /// also when the process that made it died.
    async fn a_minted_token_is_made_once_for_all_callers(test: TestDb) {
        let app = App::started(&test).await;
        let mut pattern = app.oauth_pattern();
        pattern["type"] = json!("OAUTH_M2M");
        let kit = app.kit_with(keystead_agentkit::providers::Provider {
            identifier: "ROBOT".to_owned(),
            slug: "robot".to_owned(),
            display_name: "Robot".to_owned(),
            description: String::new(),
            categories: Vec::new(),
            auth_patterns: serde_json::from_value(json!([pattern])).unwrap(),
            icon_src: String::new(),
            display_priority: 0,
            proxy_url: app.api(),
            proxy_enabled: true,
            is_custom: false,
            metadata: BTreeMap::new(),
        });
        let new = keystead_agentkit::connections::NewConnection {
            provider_key: "ROBOT".to_owned(),
            kind: None,
            key_id: None,
            context: serde_json::Map::new(),
            auth_mode: keystead_agentkit::connections::AuthMode::User,
        };
        assert_eq!(kit.create_connection(app.env, &app.actor, new).await.unwrap().key_id, "robot", "AK-101");
        let add = async |identifier: &str, secret: &str| {
            let details = json!({"client_id": keystead_sandbox::CLIENT_ID, "client_secret": secret});
            let new = keystead_agentkit::accounts::NewAccount {
                connector: "robot".to_owned(),
                credential: CredentialInput::Static(details.as_object().unwrap().clone()),
                ..of_user(identifier)
            };
            kit.create_account(app.env, &app.actor, new).await.unwrap().account.id
        };
        let id = add("good", keystead_sandbox::CLIENT_SECRET).await;
        for round in 1..=2 {
            assert_eq!(crowd(&app, std::slice::from_ref(&kit), id, 50).await, all("200", 50));
            assert_eq!(app.upstream.counter("client_credentials").await, round);
            app.clock.advance(TOKEN_LIFE);
        }
        abandon(&app, id).await;
        app.clock.advance(Duration::from_secs(31));
        assert_eq!(crowd(&app, std::slice::from_ref(&kit), id, 50).await, all("200", 50));
        assert_eq!(app.upstream.counter("client_credentials").await, 3);
        let wrong = add("wrong", "wrong-secret").await;
        let ends = crowd(&app, std::slice::from_ref(&kit), wrong, 20).await;
        assert_eq!(ends, all(ErrorCode::ConnectedAccountNotActive.as_str(), 20));
        let reason = app.read(wrong).await.status_reason;
        assert!(reason.contains("invalid_client") && !reason.contains("wrong-secret"), "{reason}");
    }

    /// AK-205: reading the credential refreshes it first, so that it can be used directly.
    async fn a_credential_is_fresh_when_it_is_read(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let id = app.connected(&connection, "ada").await;
        let first = app.kit.read_credential(app.env, &app.actor, by_id(id)).await.unwrap();
        app.clock.advance(TOKEN_LIFE);
        let second = app.kit.read_credential(app.env, &app.actor, by_id(id)).await.unwrap();
        assert_ne!(first.credential.access_token, second.credential.access_token);
        assert!(second.account.token_expires_at.is_some_and(|end| end > app.kit.ctx().clock.now()));
        let reads = app.audited().await.into_iter().filter(|action| action == "connected_account.credential_read");
        assert_eq!(reads.count(), 2);
        revoke(&app, id).await;
        app.clock.advance(TOKEN_LIFE);
        let expired = app.kit.read_credential(app.env, &app.actor, by_id(id)).await.unwrap();
        assert_eq!(expired.account.status, AccountStatus::Expired, "the state is part of the answer");
    }
}
