//! OAuth apps of the operator.

use crate::fixture::{App, call, object, parts, send};
use http::Method;
use keystead_agentkit::{
    AgentKit, Error,
    accounts::AccountKey,
    connections::{
        AuthMode, Connection, ConnectionPatch, ConnectionStatus, NewConnection, PlatformApp,
        PlatformApps, SecretsPatch,
    },
    links::NewLink,
    providers::Provider,
};
use keystead_sandbox::{CLIENT_ID, CLIENT_SECRET};
use keystead_store::connections;
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::Secret;
use serde_json::json;
use std::sync::Arc;

fn apps(key: &str) -> PlatformApps {
    let app = PlatformApp {
        client_id: CLIENT_ID.to_owned(),
        client_secret: Secret::new(CLIENT_SECRET.to_owned()),
    };
    PlatformApps::from([(key.to_owned(), Arc::new(app))])
}

/// The sandbox as a built-in connector `BUILTIN`.
async fn built_in(app: &App) -> Provider {
    let own = app.provider("Own", app.oauth_pattern()).await;
    Provider {
        identifier: "BUILTIN".to_owned(),
        slug: "builtin".to_owned(),
        is_custom: false,
        ..own
    }
}

async fn connection(app: &App, kit: &AgentKit) -> Connection {
    let new = NewConnection {
        provider_key: "BUILTIN".to_owned(),
        kind: None,
        key_id: None,
        context: object(json!({})),
        auth_mode: AuthMode::User,
    };
    kit.create_connection(app.env, &app.actor, new)
        .await
        .unwrap()
}

/// Changes whether the connection uses the operator's app, and its settings otherwise.
async fn change(
    app: &App,
    kit: &AgentKit,
    connection: &Connection,
    edit: impl FnOnce(&mut keystead_agentkit::connections::ConnectionSettings),
) -> Result<Connection, Error> {
    let mut settings = connection.settings.clone();
    edit(&mut settings);
    let patch = ConnectionPatch {
        settings: Some(settings),
        ..ConnectionPatch::default()
    };
    kit.update_connection(app.env, &app.actor, connection.id, patch)
        .await
}

on_both_engines! {
    /// AK-107: a consent, a refresh and a call with the operator's app, of which nothing is stored with the connection.
    async fn a_connection_uses_the_operators_app(test: TestDb) {
        let app = App::started(&test).await;
        let kit = app.kit_with(built_in(&app).await).with_platform_apps(apps("BUILTIN"));
        let made = connection(&app, &kit).await;
        assert_eq!((made.status, made.enabled), (ConnectionStatus::Draft, false));
        // A client of its own is dropped.
        let own = SecretsPatch { client_secret: Some(Secret::new("own-s3cr3t".to_owned())), ..SecretsPatch::default() };
        let patch = ConnectionPatch { secrets: own, ..ConnectionPatch::default() };
        kit.update_connection(app.env, &app.actor, made.id, patch).await.unwrap();
        let used = change(&app, &kit, &made, |settings| settings.platform_app = true).await.unwrap();
        assert_eq!((used.status, used.enabled), (ConnectionStatus::Completed, true));

        let row = connections::find(&mut app.kit.ctx().db.read(app.env), made.id).await.unwrap().unwrap();
        assert!(row.secrets.is_none(), "nothing of the app is stored");
        assert!(!row.settings.to_string().contains(CLIENT_ID), "{}", row.settings);

        let key = AccountKey { connector: Some("builtin".to_owned()), identifier: Some("ada".to_owned()), ..AccountKey::default() };
        let link = kit.create_link(app.env, &app.actor, NewLink { key, ..NewLink::default() }).await.unwrap();
        let (token, nonce) = parts(&link.url);
        let link = kit.open_link(app.env, &token, &nonce).await.unwrap();
        let consent = kit.begin_consent(app.env, &link).await.unwrap();
        let back = app.upstream.allow(&consent).await;
        kit.finish_consent(app.env, made.id, Some(&back.browser), &back.query).await.unwrap();
        let id = link.grounds.account.id;
        assert_eq!(send(&kit, app.env, call(id, Method::GET, "/me")).await.unwrap().status, 200);
        app.clock.advance(crate::fixture::TOKEN_LIFE);
        assert_eq!(send(&kit, app.env, call(id, Method::GET, "/me")).await.unwrap().status, 200, "refreshed");
    }

    /// AK-107: only where the operator configured one, and never with endpoints of somebody else.
    async fn the_operators_app_is_refused_where_it_must_not_go(test: TestDb) {
        let app = App::started(&test).await;
        let provider = built_in(&app).await;
        let without = app.kit_with(provider.clone());
        let made = connection(&app, &without).await;
        let refused = change(&app, &without, &made, |settings| settings.platform_app = true).await;
        assert!(matches!(&refused, Err(Error::Invalid(fields)) if fields[0].field.ends_with("use_platform_creds")), "{refused:?}");
        let kit = app.kit_with(provider).with_platform_apps(apps("BUILTIN"));
        for at in ["authorize_uri", "token_uri"] {
            let refused = change(&app, &kit, &made, |settings| {
                settings.platform_app = true;
                let own = Some("https://evil.test/token".to_owned());
                if at == "token_uri" { settings.token_uri = own } else { settings.authorize_uri = own }
            }).await;
            assert!(matches!(&refused, Err(Error::Invalid(fields)) if fields[0].field.ends_with(at)), "{refused:?}");
        }
        let used = change(&app, &kit, &made, |settings| settings.platform_app = true).await.unwrap();
        let refused = change(&app, &kit, &used, |settings| settings.token_uri = Some("https://evil.test/t".to_owned())).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
        // The operator takes the app away: the connection is not set up any more, and says so.
        let key = AccountKey { connector: Some("builtin".to_owned()), identifier: Some("ada".to_owned()), ..AccountKey::default() };
        let refused = without.create_link(app.env, &app.actor, NewLink { key, ..NewLink::default() }).await;
        assert!(matches!(&refused, Err(Error::ConnectionDraft { missing: "client_id", .. })), "{refused:?}");
        // And another connector's app is not for this one.
        let other = AgentKit::new(kit.ctx().clone(), crate::upstream::http_client(keystead_net::Policy::development()),
            keystead_agentkit::catalogue::Catalogue::embedded(), "node-3".to_owned()).with_platform_apps(apps("GMAIL"));
        let custom = app.oauth().await;
        let refused = change(&app, &other, &custom, |settings| settings.platform_app = true).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    }

    /// AK-103: a new environment begins with Gmail only where the operator has an app for it.
    async fn a_new_environment_begins_with_gmail(test: TestDb) {
        let app = App::started(&test).await;
        let env = app.another_environment("Fresh").await;
        app.kit.prepare_environment(env, &app.actor).await.unwrap();
        assert!(app.kit.connection_named(env, "gmail").await.is_err());
        let gmail = app.kit_with(built_in(&app).await).with_platform_apps(apps("GMAIL"));
        gmail.prepare_environment(env, &app.actor).await.unwrap();
        let made = gmail.connection_named(env, "gmail").await.unwrap();
        assert_eq!((made.provider_key.as_str(), made.enabled, made.settings.platform_app), ("GMAIL", true, true));
        assert!(made.settings.scopes.iter().any(|scope| scope.ends_with("/gmail.readonly")));
        assert_eq!(made.settings.scopes.len(), 3, "no more than reading is asked for");
    }
}
