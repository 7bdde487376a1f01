//! Connectors that may reach more than the others.

use crate::{
    account_values,
    fixture::{Answer, App, call, object, of_user, send},
    minted::authorized,
    oauth1,
    upstream::http_client,
};
use http::Method;
use keystead_agentkit::{
    AgentKit,
    accounts::{CredentialInput, NewAccount},
    catalogue::Catalogue,
    proxy::ProxyError,
};
use keystead_net::Policy;
use keystead_sandbox::STATIC_TOKEN;
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::{ConnectedAccountId, ErrorCode};
use serde_json::json;
use std::collections::BTreeMap;

/// An account on a connection of a connector of its own.
async fn account(app: &App, name: &str) -> (String, ConnectedAccountId) {
    let pattern = json!({"type": "BEARER", "fields": [{"field_name": "token"}]});
    let connection = app.static_connection(name, pattern).await;
    let new = NewAccount {
        credential: CredentialInput::Static(object(json!({"token": STATIC_TOKEN}))),
        ..of_user("ada")
    };
    let id = app.account(name, new).await.account.id;
    (connection.provider_key, id)
}

/// As the app's own, which reaches nothing inside; `inside` alone does.
fn guarded(app: &App, inside: &str) -> AgentKit {
    let strict = http_client(Policy {
        allow_http: true,
        ..Policy::default()
    });
    let wider = strict.with_policy(Policy::development()).unwrap();
    let mut catalogue = Catalogue::embedded();
    if let Some(provider) = app.kit.catalogue().find(inside) {
        catalogue = catalogue.with(provider.as_ref().clone());
    }
    AgentKit::new(
        app.kit.ctx().clone(),
        strict,
        catalogue,
        "node-4".to_owned(),
    )
    .with_wider_clients(BTreeMap::from([(inside.to_owned(), wider)]))
}

fn refusal(result: Result<Answer, ProxyError>) -> (u16, ErrorCode) {
    let error = result.unwrap_err();
    (error.http_status(), error.reason().code())
}

on_both_engines! {
    /// AK-470: what is opened for one connector is open for no other, whoever was there first.
    async fn an_internal_api_is_open_for_its_connector_alone(test: TestDb) {
        let app = App::started(&test).await;
        let (inside, ada) = account(&app, "inside").await;
        let (_, bob) = account(&app, "outside").await;
        let kit = guarded(&app, &inside);
        for _ in 0..2 {
            let get = async |id| send(&kit, app.env, call(id, Method::GET, "/me")).await;
            assert_eq!(get(ada).await.unwrap().status, 200);
            assert_eq!(refusal(get(bob).await), (403, ErrorCode::TargetNotAllowed));
        }
        assert_eq!(app.upstream.counter("api_calls").await, 2);
    }

    /// Part of AK-470, AK-005: so is a provider whose consents are OAuth 1.0a, from the first step on.
    async fn an_internal_provider_of_oauth1_is_reached(test: TestDb) {
        let (mut app, connection) = oauth1::started(&test, oauth1::Calls::Signed).await;
        app.kit = guarded(&app, "BOARDS");
        let id = app.connected(&connection, "ada").await;
        assert_eq!(app.get(id, "/me").await.unwrap().status, 200);
    }

    /// Part of AK-470, AK-013: so is what is asked right after a consent.
    async fn an_internal_provider_is_asked_for_the_values_of_an_account(test: TestDb) {
        let (mut app, _) = account_values::started(&test, account_values::versions(&["66.0"])).await;
        let connection = account_values::salesforce(&mut app, "/script/salesforce").await;
        app.kit = guarded(&app, "SALESFORCE");
        let id = authorized(&app, connection).await;
        assert_eq!(app.read(id).await.api_config["version"], "v66.0");
    }
}
