//! Scopes that a provider granted (AK-216).

use crate::{
    client_authentication::issued_at,
    fixture::{App, by_id},
};
use axum::{Json, Router, routing::post};
use keystead_agentkit::accounts::AccountStatus;
use keystead_testkit::{engines::TestDb, on_both_engines};
use serde_json::{Value, json};

on_both_engines! {
    /// AK-216: granted scopes are those of the token answer, or those asked for when it names none; with
    /// fewer the account is active, and what lacks is told in its history and by the report.
    async fn granted_scopes_are_recorded_and_partial_grants_flagged(test: TestDb) {
        for (answered, granted, lacking) in [
            (json!({}), vec!["read", "write"], vec![]),
            (json!({"scope": "write read"}), vec!["write", "read"], vec![]),
            (json!({"scope": "read"}), vec!["read"], vec!["write"]),
        ] {
            let Some(test) = TestDb::on(test.db.engine()).await else { return };
            let app = App::started_with(&test, |_| {
                let mut answer = json!({"access_token": "t", "refresh_token": "r", "expires_in": 3600});
                answer.as_object_mut().unwrap().extend(answered.as_object().unwrap().clone());
                let route = post(async move || Json::<Value>(answer));
                Router::new().route("/some/token", route)
            }).await;
            let connection = issued_at(&app, "/some/token").await;
            let id = app.connected(&connection, "ada").await;
            let account = app.read(id).await;
            assert_eq!((account.status, account.scopes), (AccountStatus::Active, granted.into_iter().map(str::to_owned).collect()));
            assert_eq!(app.kit.missing_scopes(app.env, by_id(id)).await.unwrap(), lacking);
            let history = app.kit.account_history(app.env, id, 100).await.unwrap();
            let told = format!("{history:?}").contains("not granted: write");
            assert_eq!(told, !lacking.is_empty(), "{history:?}");
            // A refresh that names no scopes changes none.
            app.kit.refresh_now(app.env, id).await.unwrap();
            assert_eq!(app.kit.missing_scopes(app.env, by_id(id)).await.unwrap(), lacking);
        }
    }
}
