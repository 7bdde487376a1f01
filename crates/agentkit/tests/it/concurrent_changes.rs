//! Changes at the same moment: none is lost (AK-104, AK-211).

use crate::fixture::{App, by_id, object, of_user};
use keystead_agentkit::{
    AgentKit,
    accounts::{AccountPatch, CredentialInput, NewAccount},
    connections::{AuthMode, ConnectionPatch, ConnectionStatus, NewConnection, SecretsPatch},
    providers::CustomProviderPatch,
};
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::Secret;
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

const TASKS: usize = 12;

/// Two processes on one database, in turn.
fn nodes(app: &App, test: &TestDb) -> [AgentKit; 2] {
    [app.kit.clone(), app.node(test.db.clone(), 2)]
}

fn key(at: usize) -> String {
    format!("key_{at}")
}

fn has_all(map: &Map<String, Value>) -> bool {
    (0..TASKS).all(|at| map.get(&key(at)) == Some(&json!(at.to_string())))
}

on_both_engines! {
    /// AK-211: settings of an account that several processes change at once are merged, key by key.
    async fn settings_of_an_account_are_merged(test: TestDb) {
        let app = App::started(&test).await;
        app.static_connection("desk", json!({"type": "BEARER", "fields": [{"field_name": "token"}]})).await;
        let new = NewAccount { credential: CredentialInput::Static(object(json!({"token": "t"}))), ..of_user("ada") };
        let id = app.account("desk", new).await.account.id;
        let (nodes, mut tasks) = (nodes(&app, &test), JoinSet::new());
        for at in 0..TASKS {
            let (kit, env, actor) = (nodes[at % 2].clone(), app.env, app.actor.clone());
            tasks.spawn(async move {
                // Every second change brings a part of the credential too.
                let part = object(json!({ key(at): at.to_string() }));
                let credential = if at % 4 < 2 { CredentialInput::Absent } else { CredentialInput::Static(part.clone()) };
                let patch = AccountPatch { credential, api_config: part, scope_selection: None };
                kit.update_account(env, &actor, by_id(id), patch).await.map(|_| ()).unwrap();
            });
        }
        tasks.join_all().await;
        assert!(has_all(&app.read(id).await.api_config), "{:?}", app.read(id).await.api_config);
        let read = app.kit.read_credential(app.env, &app.actor, by_id(id)).await.unwrap();
        let parts = (0..TASKS).filter(|at| at % 4 >= 2);
        assert!(parts.into_iter().all(|at| read.credential.details.contains_key(&key(at))));
        assert_eq!(read.credential.details["token"], "t");
    }

    /// AK-104: settings of a connection are changed one after the other, also when it is switched in between.
    async fn settings_of_a_connection_are_merged(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let (nodes, mut tasks) = (nodes(&app, &test), JoinSet::new());
        for at in 0..TASKS {
            let (kit, env, actor, id) = (nodes[at % 2].clone(), app.env, app.actor.clone(), connection.id);
            tasks.spawn(async move {
                let done = kit.change_connection(env, &actor, id, |current| {
                    let mut settings = current.settings.clone();
                    settings.context.insert(key(at), json!(at.to_string()));
                    Ok(ConnectionPatch { settings: Some(settings), ..ConnectionPatch::default() })
                });
                done.await.unwrap();
                kit.disable_connection(env, &actor, id).await.unwrap();
            });
        }
        tasks.join_all().await;
        let changed = app.kit.connection(app.env, connection.id).await.unwrap();
        assert!(has_all(&changed.settings.context), "{:?}", changed.settings.context);
        assert!(!changed.enabled);
        assert_eq!(changed.settings.scopes, connection.settings.scopes);
    }

    /// Part of DB-123: each page changes its own settings of the environment.
    async fn settings_of_an_environment_are_merged(test: TestDb) {
        let app = App::started(&test).await;
        let [one, other] = nodes(&app, &test);
        for round in 1..=8 {
            let url = format!("https://app.acme.test/{round}");
            let verify = one.update_settings(app.env, &app.actor, false, |settings| settings.default_user_verify_url.clone_from(&url));
            let last = other.update_settings(app.env, &app.actor, false, |settings| settings.link_seconds = 60 + round);
            tokio::try_join!(verify, last).unwrap();
            let stored = app.kit.settings(app.env).await.unwrap();
            assert_eq!((stored.default_user_verify_url, stored.link_seconds), (url, 60 + round));
        }
    }

    /// Part of AK-019, part of AK-020: nothing is lost of a connector, and none goes away below a new connection.
    async fn a_connector_is_changed_and_removed_in_turn(test: TestDb) {
        let app = App::started(&test).await;
        let (kit, env, actor) = (&app.kit, app.env, &app.actor);
        let bearer = json!({"type": "BEARER", "fields": [{"field_name": "token"}]});
        for round in 0..8 {
            let made = app.provider(&format!("desk {round}"), bearer.clone()).await;
            let same = CustomProviderPatch {
                display_name: made.display_name.clone(),
                description: None,
                auth_patterns: None,
                proxy_url: made.proxy_url.clone(),
                proxy_enabled: None,
                icon_src: None,
                metadata: None,
            };
            let told = CustomProviderPatch { description: Some("Tickets".to_owned()), ..same.clone() };
            let told = kit.update_custom_provider(env, actor, &made.identifier, told);
            let shown = CustomProviderPatch { icon_src: Some("https://acme.test/icon.svg".to_owned()), ..same };
            let shown = kit.update_custom_provider(env, actor, &made.identifier, shown);
            tokio::try_join!(told, shown).unwrap();
            let stored = kit.provider(env, &made.identifier).await.unwrap();
            assert_eq!((stored.description.as_str(), stored.icon_src.as_str()), ("Tickets", "https://acme.test/icon.svg"));

            let connection = NewConnection {
                provider_key: made.identifier.clone(),
                kind: None,
                auth_mode: AuthMode::User,
                key_id: None,
                context: Map::new(),
            };
            let removed = kit.delete_custom_provider(env, actor, &made.identifier);
            let (connected, removed) = tokio::join!(kit.create_connection(env, actor, connection), removed);
            assert_ne!(connected.is_ok(), removed.is_ok(), "{connected:?} {removed:?}");
        }
    }

    /// AK-105: a secret can be taken away, which leaves the connection incomplete.
    async fn a_client_secret_can_be_taken_away(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let kept = app.kit.update_connection(app.env, &app.actor, connection.id, ConnectionPatch::default()).await.unwrap();
        assert_eq!(kept.secrets, connection.secrets);
        let secrets = SecretsPatch { client_secret: Some(Secret::new(String::new())), ..SecretsPatch::default() };
        let patch = ConnectionPatch { secrets, ..ConnectionPatch::default() };
        let cleared = app.kit.update_connection(app.env, &app.actor, connection.id, patch).await.unwrap();
        assert!(cleared.secrets.is_empty());
        assert_eq!((cleared.status, cleared.enabled), (ConnectionStatus::Draft, false));
    }

    /// AK-326, AK-604: an activation that nobody confirmed is in the audit log too.
    async fn an_unverified_activation_is_audited(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        app.connected(&connection, "ada").await;
        assert_eq!(app.audited().await.last().unwrap(), "connected_account.activated_unverified");
    }
}
