//! What hangs on an account is changed under the account's lock: nothing waits in a ring, and nothing is
//! added to what just ended.

use crate::{
    fixture::{App, named},
    links::{begin, verified, waiting},
};
use keystead_agentkit::{Error, accounts::AccountStatus, links::FormAnswers};
use keystead_store::{Engine, auth_links, connected_accounts};
use keystead_testkit::{engines::TestDb, on_both_engines};
use serde_json::json;
use std::collections::BTreeMap;

/// Waits until a transaction of this database waits for another one; on SQLite it waits to begin.
async fn until_blocked(test: &TestDb) {
    let waiting = "SELECT 1 FROM pg_locks w JOIN pg_locks r ON r.pid = w.pid
        WHERE NOT w.granted AND r.relation = CAST('connected_accounts' AS regclass)";
    while test.db.engine() == Engine::Postgres && test.run(waiting).await.unwrap() == 0 {
        tokio::task::yield_now().await;
    }
}

on_both_engines! {
    /// AK-322, AK-323, part of AK-214: a consent that comes back while the account is disconnected waits for nobody's
    /// word; one that was finished in another browser does not hide the account that is active now.
    async fn no_grant_waits_beside_what_just_ended(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let link = app.link_with(verified("ada")).await;
        let id = link.grounds.account.id;
        let back = app.upstream.allow(&begin(&app, &link).await).await;
        let mut tx = app.kit.ctx().db.begin(app.env).await.unwrap();
        let (kit, env, connection) = (app.kit.clone(), app.env, connection.id);
        connected_accounts::lock(&mut tx, id).await.unwrap().unwrap();
        let coming = tokio::spawn(async move { kit.finish_consent(env, connection, Some(&back.browser), &back.query).await });
        until_blocked(&test).await;
        auth_links::complete_links(&mut tx, id, app.kit.ctx().clock.now()).await.unwrap();
        tx.commit().await.unwrap();
        let late = coming.await.unwrap();
        assert!(late.is_err(), "{late:?}");
        assert_eq!(app.status(id).await, AccountStatus::PendingAuth);
        assert_eq!(test.run("DELETE FROM pending_grants").await.unwrap(), 0);
    }

    /// AK-214, AK-322: a disconnection and what is under way at the same moment do not wait for each other in a ring.
    async fn whoever_changes_what_hangs_on_an_account_waits_for_the_account(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        for name in ["ada", "bo"] {
            let request = waiting(&app, &connection, verified("ada")).await;
            let id = app.kit.account(app.env, named("sandbox", "ada")).await.unwrap().id;
            let mut tx = app.kit.ctx().db.begin(app.env).await.unwrap();
            connected_accounts::lock(&mut tx, id).await.unwrap().unwrap();
            let (kit, env, actor) = (app.kit.clone(), app.env, app.actor.clone());
            let coming = tokio::spawn(async move { kit.verify_user(env, &actor, &request, name).await });
            until_blocked(&test).await;
            // As a disconnection does.
            auth_links::complete_links(&mut tx, id, app.kit.ctx().clock.now()).await.unwrap();
            auth_links::drop_pending(&mut tx, id).await.unwrap();
            tx.commit().await.unwrap();
            let late = coming.await.unwrap();
            assert!(matches!(late, Err(Error::AuthRequestNotFound | Error::IdentifierMismatch)), "{name}: {late:?}");
            assert_eq!(app.status(id).await, AccountStatus::PendingAuth);
        }
        app.static_connection("desk", json!({"type": "BEARER", "fields": [{"field_name": "token"}]})).await;
        let link = app.link("desk", "ada").await;
        let id = link.grounds.account.id;
        let mut tx = app.kit.ctx().db.begin(app.env).await.unwrap();
        connected_accounts::lock(&mut tx, id).await.unwrap().unwrap();
        let (kit, env) = (app.kit.clone(), app.env);
        let fields = BTreeMap::from([("token".to_owned(), "t".to_owned())]);
        let coming = tokio::spawn(async move {
            kit.submit_form(env, &link, FormAnswers { fields, scope_selection: None }).await
        });
        until_blocked(&test).await;
        auth_links::complete_links(&mut tx, id, app.kit.ctx().clock.now()).await.unwrap();
        tx.commit().await.unwrap();
        let late = coming.await.unwrap();
        assert!(matches!(late, Err(Error::AuthRequestNotFound)), "{late:?}");
        assert_eq!(app.status(id).await, AccountStatus::PendingAuth);
    }
}
