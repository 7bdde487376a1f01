//! Grants that nobody uses any more are given back to the provider (AK-213).

use crate::{
    fixture::{App, WatchedClock, by_id, named, node_at},
    grants::tokens,
    links::{verified, waiting},
    places::{asked, consented, jira, started, two_sites},
};
use axum::{Json, Router, routing::post};
use http::{Request, header};
use keystead_agentkit::{
    accounts::{AccountPatch, AccountStatus},
    connections::Connection,
    links::{CallbackEnd, CallbackError},
    settings::Verification,
};
use keystead_net::Policy;
use keystead_store::{connected_accounts, connected_accounts::AccountRow};
use keystead_testkit::{engines::TestDb, on_both_engines};
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio::sync::Notify;

/// A connection to a provider where a revocation ends one grant and no other.
async fn connection(app: &App) -> Connection {
    let mut pattern = app.oauth_pattern();
    pattern["oauth_config"]["revocation_scope"] = json!("grant");
    app.oauth_with("sandbox", pattern, json!({}), |_| {}).await
}

/// The credential that a row has.
fn credential(row: &AccountRow) -> connected_accounts::NewCredential {
    connected_accounts::NewCredential {
        status: row.status.clone(),
        scopes: row.scopes.clone(),
        sealed: row.credential.clone(),
        expires_at: row.token_expires_at,
        refresh_due_at: row.refresh_due_at,
    }
}

async fn store(app: &App, row: &AccountRow) {
    let mut tx = app.kit.ctx().db.begin(app.env).await.unwrap();
    let now = app.kit.ctx().clock.now();
    connected_accounts::set_credential(&mut tx, row.id, &credential(row), now)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

/// Whether the provider still takes an access token.
async fn lives(app: &App, token: &str) -> bool {
    let request = Request::get(app.upstream.url("/sandbox/provider/api/me"))
        .header(header::AUTHORIZATION, format!("Bearer {token}"));
    let request = request.body(bytes::Bytes::new()).unwrap();
    app.upstream.http.fetch(request).await.unwrap().status() == 200
}

on_both_engines! {
    /// Part of AK-309: the flow is spent when the code is exchanged, so a browser that hangs up then loses nothing.
    async fn a_browser_that_hangs_up_loses_no_tokens(test: TestDb) {
        let (asked, answer) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (reached, go) = (Arc::clone(&asked), Arc::clone(&answer));
        let token = post(async move || {
            reached.notify_one();
            go.notified().await;
            Json(json!({"access_token": "at", "refresh_token": "rt", "expires_in": 3600}))
        });
        let app = App::started_with(&test, |_| Router::new().route("/held/token", token)).await;
        let mut pattern = app.oauth_pattern();
        pattern["oauth_config"]["token_uri"] = json!(app.upstream.url("/held/token"));
        let connection = app.oauth_with("sandbox", pattern, json!({}), |_| {}).await;
        let link = app.link("sandbox", "ada").await;
        let consent = app.kit.begin_consent(app.env, &link).await.unwrap();
        let back = app.upstream.allow(&consent).await;
        let (kit, env) = (app.kit.clone(), app.env);
        let request = tokio::spawn(async move {
            let end = kit.finish_consent(env, connection.id, Some(&back.browser), &back.query).await;
            end.map(|_| ())
        });
        asked.notified().await;
        request.abort();
        assert!(request.await.unwrap_err().is_cancelled());
        answer.notify_one();
        app.kit.finish().await;
        let id = link.grounds.account.id;
        let grounds = app.kit.grounds(app.env, by_id(id)).await.unwrap();
        assert_eq!((grounds.account.status, grounds.credential.refresh_token.as_str()), (AccountStatus::Active, "rt"));
    }

    /// Part of AK-213, part of AK-214: what is revoked is what was stored last, also when another node stored it
    /// after the account was read.
    async fn the_credential_that_was_stored_last_is_revoked(test: TestDb) {
        for deleted in [false, true] {
            let Some(test) = TestDb::on(test.db.engine()).await else { return };
            let app = App::started(&test).await;
            let connection = connection(&app).await;
            let id = app.connected(&connection, "ada").await;
            let (first, old) = (app.row(id).await, app.kit.grounds(app.env, by_id(id)).await.unwrap());
            app.connected(&connection, "ada").await;
            let (second, new) = (app.row(id).await, app.kit.grounds(app.env, by_id(id)).await.unwrap());
            store(&app, &first).await;

            let (reads, mut watched) = tokio::sync::watch::channel(0);
            let clock = Arc::new(WatchedClock { inner: Arc::clone(&app.clock), reads });
            let node = node_at(test.db.clone(), 2, Policy::development(), clock);
            let mut tx = app.kit.ctx().db.begin(app.env).await.unwrap();
            connected_accounts::lock(&mut tx, id).await.unwrap().unwrap();
            let (env, actor) = (app.env, app.actor.clone());
            let gone = tokio::spawn(async move {
                if deleted {
                    node.delete_account(env, &actor, by_id(id)).await.unwrap();
                } else {
                    node.disconnect_account(env, &actor, by_id(id)).await.unwrap();
                }
            });
            // The clock is read once the account was.
            watched.wait_for(|reads| *reads > 0).await.unwrap();
            connected_accounts::set_credential(&mut tx, id, &credential(&second), app.kit.ctx().clock.now()).await.unwrap();
            tx.commit().await.unwrap();
            gone.await.unwrap();
            app.upstream.wait_for("revoked_families", 1).await;
            assert!(!lives(&app, &new.credential.access_token).await, "deleted: {deleted}");
            assert!(lives(&app, &old.credential.access_token).await, "deleted: {deleted}");
        }
    }

    /// Part of AK-213, part of AK-214: grants that waited for verification are revoked with what ends them.
    async fn waiting_grants_are_revoked_with_what_ends_them(test: TestDb) {
        let app = App::started(&test).await;
        let connection = connection(&app).await;
        waiting(&app, &connection, verified("ada")).await;
        app.kit.disconnect_account(app.env, &app.actor, named("sandbox", "ada")).await.unwrap();
        app.upstream.wait_for("revoked_families", 1).await;
        waiting(&app, &connection, verified("ada")).await;
        let patch = AccountPatch { credential: tokens("handed-in", ""), ..AccountPatch::default() };
        app.kit.update_account(app.env, &app.actor, named("sandbox", "ada"), patch).await.unwrap();
        app.upstream.wait_for("revoked_families", 2).await;
        waiting(&app, &connection, verified("ada")).await;
        app.kit.delete_account(app.env, &app.actor, named("sandbox", "ada")).await.unwrap();
        app.upstream.wait_for("revoked_families", 3).await;
    }

    /// Part of AK-013, part of AK-213: a grant whose place nobody chose is revoked when its time is over, once; and
    /// with its account, if that goes before.
    async fn a_grant_whose_place_nobody_chose_is_revoked(test: TestDb) {
        let (mut app, _) = started(&test, two_sites(), json!([])).await;
        let connection = jira(&mut app).await;
        let (_, browser, end) = consented(&app, &connection).await;
        let late = asked(end);
        assert_eq!(app.kit.lapse_flows(10).await.unwrap(), 0, "its time has not come");
        app.clock.advance(Duration::from_secs(15 * 60));
        // One trip that nobody came back from, too.
        let link = app.link("c", "ada").await;
        app.kit.begin_consent(app.env, &link).await.unwrap();
        assert_eq!(app.kit.lapse_flows(10).await.unwrap(), 1);
        app.upstream.wait_for("revoked_families", 1).await;
        let refused = app.kit.choose_place(app.env, Some(&browser), &late, "cloud-1").await;
        assert!(matches!(refused, Err(CallbackError::InvalidState)), "{refused:?}");
        app.clock.advance(Duration::from_secs(15 * 60));
        assert_eq!(app.kit.lapse_flows(10).await.unwrap(), 1);
        assert_eq!(app.kit.lapse_flows(10).await.unwrap(), 0);

        let (_, _, end) = consented(&app, &connection).await;
        asked(end);
        app.kit.delete_account(app.env, &app.actor, named("c", "ada")).await.unwrap();
        app.upstream.wait_for("revoked_families", 2).await;
        // A choice that was made in time gives nothing back.
        let (_, browser, end) = consented(&app, &connection).await;
        let end = app.kit.choose_place(app.env, Some(&browser), &asked(end), "cloud-1").await.unwrap();
        assert!(matches!(end, Some(CallbackEnd::Connected)), "{end:?}");
        app.clock.advance(Duration::from_secs(16 * 60));
        assert_eq!(app.kit.lapse_flows(10).await.unwrap(), 0);
        assert_eq!(app.upstream.counter("revoked_families").await, 2);
    }

    /// Part of AK-213: a grant that turns out to be of no use after the exchange is revoked.
    async fn a_grant_that_cannot_be_used_is_revoked(test: TestDb) {
        let (mut app, _) = started(&test, json!([]), json!([])).await;
        let connection = jira(&mut app).await;
        let link = app.link("c", "ada").await;
        let consent = app.kit.begin_consent(app.env, &link).await.unwrap();
        let back = app.upstream.allow(&consent).await;
        let end = app.kit.finish_consent(app.env, connection.id, Some(&back.browser), &back.query).await;
        assert!(matches!(end, Err(CallbackError::PostAuth(_))), "{end:?}");
        app.upstream.wait_for("revoked_families", 1).await;

        // Nor where nobody could verify it any more.
        let sandbox = self::connection(&app).await;
        let link = app.link("sandbox", "ada").await;
        app.verify(Verification::Custom).await;
        let consent = app.kit.begin_consent(app.env, &link).await.unwrap();
        let back = app.upstream.allow(&consent).await;
        let end = app.kit.finish_consent(app.env, sandbox.id, Some(&back.browser), &back.query).await;
        assert!(matches!(end, Err(CallbackError::NoVerifyUrl)), "{end:?}");
        app.upstream.wait_for("revoked_families", 2).await;
    }
}
