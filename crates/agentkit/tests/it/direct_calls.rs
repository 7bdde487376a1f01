//! The switch of an environment for direct calls of built-in connectors.

use crate::fixture::{Answer, App, call, object, of_user, send};
use http::Method;
use keystead_agentkit::{
    AgentKit,
    accounts::{CredentialInput, NewAccount},
    connections::{AuthMode, NewConnection},
    providers::Provider,
    proxy::ProxyError,
    settings::Settings,
};
use keystead_sandbox::STATIC_TOKEN;
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::ErrorCode;
use serde_json::json;

fn refusal(result: Result<Answer, ProxyError>) -> (u16, ErrorCode) {
    let error = result.unwrap_err();
    (error.http_status(), error.reason().code())
}

on_both_engines! {
    /// AK-455: direct calls of built-in connectors are on until an environment switches them off, also on what is remembered.
    async fn an_environment_switches_direct_calls_of_built_ins(test: TestDb) {
        let app = App::started(&test).await;
        let own = app.provider("Tokens", json!({"type": "BEARER", "fields": [{"field_name": "token"}]})).await;
        let built_in = Provider { identifier: "BUILTIN".to_owned(), slug: "builtin".to_owned(), is_custom: false, ..own.clone() };
        let kit = app.kit_with(built_in.clone());
        let new = NewConnection { provider_key: "BUILTIN".to_owned(), kind: None, key_id: None, context: object(json!({})), auth_mode: AuthMode::User };
        kit.create_connection(app.env, &app.actor, new).await.unwrap();
        app.connection_of(&own, "tokens", json!({})).await;
        let add = async |connector: &str| {
            let new = NewAccount {
                connector: connector.to_owned(), credential: CredentialInput::Static(object(json!({"token": STATIC_TOKEN}))), ..of_user("ada")
            };
            kit.create_account(app.env, &app.actor, new).await.unwrap().account.id
        };
        let (built, custom) = (add("builtin").await, add("tokens").await);
        let get = async |kit: &AgentKit, id| send(kit, app.env, call(id, Method::GET, "/me")).await;
        assert_eq!(get(&kit, built).await.unwrap().status, 200);
        let switch = async |on: bool| {
            let settings = Settings { builtin_direct_calls: on, ..kit.settings(app.env).await.unwrap() };
            kit.update_settings(app.env, &app.actor, false, |stored| *stored = settings).await.unwrap();
        };
        switch(false).await;
        let another = app.kit_with(built_in);
        for kit in [&kit, &another] {
            assert_eq!(refusal(get(kit, built).await), (403, ErrorCode::ProxyNotEnabled));
            assert_eq!(get(kit, custom).await.unwrap().status, 200, "it has a switch of its own");
        }
        switch(true).await;
        assert_eq!(get(&kit, built).await.unwrap().status, 200);
    }
}
