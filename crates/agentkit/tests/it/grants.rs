//! What tests do to a grant: use it in a crowd, revoke it, abandon its refresh.

use crate::fixture::{App, TOKEN_LIFE, by_id, call, send};
use http::Method;
use keystead_agentkit::{AgentKit, accounts::CredentialInput, proxy::ProxyError};
use keystead_store::connected_accounts;
use keystead_types::ConnectedAccountId;
use serde_json::json;
use std::{collections::BTreeMap, time::Duration};
use tokio::task::{JoinHandle, JoinSet};

/// Sends `count` calls at once and counts how they ended: a status, or an error code.
pub(crate) async fn crowd(
    app: &App,
    kits: &[AgentKit],
    id: ConnectedAccountId,
    count: usize,
) -> BTreeMap<String, usize> {
    let mut tasks = JoinSet::new();
    for kit in kits.iter().cycle().take(count) {
        let (kit, env) = (kit.clone(), app.env);
        tasks.spawn(async move {
            match send(&kit, env, call(id, Method::GET, "/me")).await {
                Ok(answer) => answer.status.to_string(),
                Err(error) => error.reason().code().as_str().to_owned(),
            }
        });
    }
    let mut ends = BTreeMap::new();
    for end in tasks.join_all().await {
        *ends.entry(end).or_default() += 1;
    }
    ends
}

pub(crate) fn all(end: &str, count: usize) -> BTreeMap<String, usize> {
    BTreeMap::from([(end.to_owned(), count)])
}

pub(crate) fn tokens(access: &str, refresh: &str) -> CredentialInput {
    CredentialInput::Oauth {
        access_token: access.to_owned(),
        refresh_token: refresh.to_owned(),
        scopes: Vec::new(),
        domain: String::new(),
    }
}

/// The user takes the grant back at the provider.
pub(crate) async fn revoke(app: &App, id: ConnectedAccountId) {
    let grounds = app.kit.grounds(app.env, by_id(id)).await.unwrap();
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("token", &grounds.credential.refresh_token)
        .append_pair("client_id", keystead_sandbox::CLIENT_ID)
        .append_pair("client_secret", keystead_sandbox::CLIENT_SECRET)
        .finish();
    let answer = app
        .upstream
        .post(
            "/sandbox/provider/revoke",
            "application/x-www-form-urlencoded",
            form,
        )
        .await;
    assert_eq!(answer.status(), 200);
}

/// Another process took the lease and died.
pub(crate) async fn abandon(app: &App, id: ConnectedAccountId) {
    let row = app.row(id).await;
    let lease = connected_accounts::LeaseRequest {
        id,
        version: row.credential_version,
        holder: "dead-node",
        until: app.kit.ctx().clock.now().plus(Duration::from_secs(30)),
    };
    let mut tx = app.kit.ctx().db.begin(app.env).await.unwrap();
    assert!(
        connected_accounts::acquire_lease(&mut tx, &lease)
            .await
            .unwrap()
    );
    tx.commit().await.unwrap();
}

/// A call that has just sent the refresh of an expired token; the provider takes its time.
pub(crate) async fn caller_in_refresh(
    app: &App,
    id: ConnectedAccountId,
) -> JoinHandle<Result<u16, ProxyError>> {
    app.clock.advance(TOKEN_LIFE);
    let slow = json!({"token_delay_ms": 300});
    app.upstream.chaos(slow).await;
    let asked = app.upstream.counter("token_requests").await;
    let (kit, env) = (app.kit.clone(), app.env);
    let caller = tokio::spawn(async move {
        let answer = send(&kit, env, call(id, Method::GET, "/me")).await?;
        Ok(answer.status)
    });
    app.upstream.wait_for("token_requests", asked + 1).await;
    caller
}
