//! Connectors of the developer, and connections (AK-014..AK-020, AK-100..AK-124).

use crate::fixture::{App, call, object, of_user, page, provider_input, send};
use http::Method;
use keystead_agentkit::{
    Error,
    accounts::{CredentialInput, NewAccount},
    catalogue::Catalogue,
    connections::{AuthMode, ConnectionPatch, ConnectionStatus, NewConnection},
    providers::{AuthKind, CustomProviderPatch, Provider, ProviderFilter},
    proxy::ProxyError,
};
use keystead_sandbox::{CLIENT_ID, CLIENT_SECRET, STATIC_TOKEN};
use keystead_store::connections::ConnectionFilter;
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::{ErrorCode, Reason};
use serde_json::json;

fn unnamed(provider: &str) -> NewConnection {
    NewConnection {
        provider_key: provider.to_owned(),
        kind: None,
        key_id: None,
        context: object(json!({})),
        auth_mode: AuthMode::User,
    }
}

on_both_engines! {
    /// AK-101, AK-104: names are given, checked and unique; a connection is on when it is complete.
    async fn a_connection_is_on_when_it_is_complete(test: TestDb) {
        let app = App::started(&test).await;
        let provider = app.provider("My Service", app.oauth_pattern()).await;
        let create = async |name: Option<&str>| {
            let new = NewConnection { key_id: name.map(ToOwned::to_owned), ..unnamed(&provider.identifier) };
            app.kit.create_connection(app.env, &app.actor, new).await
        };
        let first = create(None).await.unwrap();
        assert_eq!((first.key_id.as_str(), first.status, first.enabled), ("myservice", ConnectionStatus::Draft, false));
        let second = create(None).await.unwrap();
        assert!(second.key_id.strip_prefix("myservice-").is_some_and(|suffix| suffix.len() == 8), "{}", second.key_id);
        assert_eq!(create(Some("myservice")).await.unwrap_err().code(), ErrorCode::AlreadyExists);
        for bad in ["a/b", " a", "ä", &"x".repeat(401)] {
            assert!(matches!(create(Some(bad)).await, Err(Error::Invalid(_))), "{bad}");
        }
        let draft = app.kit.enable_connection(app.env, &app.actor, first.id).await.unwrap_err();
        assert!(matches!(draft, Error::ConnectionIncomplete { missing: "client_id", .. }), "{draft:?}");
        let id = app.account("myservice", of_user("ada")).await.account.id;
        let error = send(&app.kit, app.env, call(id, Method::GET, "/me")).await.unwrap_err();
        assert_eq!(error.reason().code(), ErrorCode::ConnectionNotEnabled, "4.1: as when it is disabled");
        assert!(error.to_string().contains("client_id is missing"), "{error}");
        let complete = app.configure(first, CLIENT_ID, CLIENT_SECRET, |_| {}).await;
        assert_eq!((complete.status, complete.enabled), (ConnectionStatus::Completed, true));
        let off = app.kit.disable_connection(app.env, &app.actor, complete.id).await.unwrap();
        let still = app.configure(off, CLIENT_ID, "", |settings| settings.prompt = Some("consent".to_owned())).await;
        assert!(!still.enabled, "what was switched off stays off");
        let renamed = ConnectionPatch { key_id: Some("other".to_owned()), ..ConnectionPatch::default() };
        let refused = app.kit.update_connection(app.env, &app.actor, still.id, renamed.clone()).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "accounts use it");
        assert_eq!(app.kit.update_connection(app.env, &app.actor, second.id, renamed).await.unwrap().key_id, "other");
    }

    /// AK-750, part of AK-119: secrets are sealed, kept when not sent, and shown to nobody.
    async fn secrets_are_kept_and_never_shown(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let kept = app.configure(connection, CLIENT_ID, "", |_| {}).await;
        assert_eq!(kept.secrets.client_secret, CLIENT_SECRET);
        assert!(!format!("{kept:?}").contains(CLIENT_SECRET));
        let read = &mut app.kit.ctx().db.read(app.env);
        let row = keystead_store::connections::find(read, kept.id).await.unwrap().unwrap();
        let sealed = row.secrets.unwrap();
        assert!(!String::from_utf8_lossy(&sealed).contains(CLIENT_SECRET) && !row.settings.to_string().contains(CLIENT_SECRET));
    }

    /// Part of AK-038, AK-471: a host that is filled in when the connection is made is one of the kind's own, and
    /// stays one: calls go nowhere else when the connector drops it.
    async fn a_host_of_the_context_is_one_of_the_kinds(test: TestDb) {
        let mut app = App::started(&test).await;
        let api = app.api().replace("127.0.0.1", "{{domain}}");
        let desk = |hosts: &[&str]| Provider {
            identifier: "DESK".to_owned(),
            slug: "desk".to_owned(),
            auth_patterns: serde_json::from_value(json!([
                {"type": "BASIC", "allowed_proxy_domains": ["*.other.example"]},
                {"type": "BEARER", "allowed_proxy_domains": hosts},
            ])).unwrap(),
            proxy_url: api.clone(),
            ..Catalogue::embedded().find("TRELLO").unwrap().as_ref().clone()
        };
        app.kit = app.kit_with(desk(&["localhost"]));
        let create = async |domain: &str| {
            let new = NewConnection {
                kind: Some(AuthKind::Bearer),
                key_id: Some("desk".to_owned()),
                context: object(json!({"domain": domain})),
                ..unnamed("DESK")
            };
            app.kit.create_connection(app.env, &app.actor, new).await
        };
        assert!(matches!(create("a.other.example").await, Err(Error::Template(_))));
        create("localhost").await.unwrap();
        let token = CredentialInput::Static(object(json!({"token": STATIC_TOKEN})));
        let id = app.account("desk", NewAccount { credential: token, ..of_user("ada") }).await.account.id;
        assert_eq!(app.get(id, "/me").await.unwrap().status, 200);
        app.kit = app.kit_with(desk(&["*.desk.example"]));
        let refused = app.get(id, "/me").await.unwrap_err();
        assert!(matches!(refused, ProxyError::Refused(Error::Template(_))), "{refused}");
        assert_eq!(app.upstream.counter("api_calls").await, 1);
    }

    /// AK-104: two people who change a connection at once notice it.
    async fn concurrent_changes_of_a_connection_lose_nothing(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..8 {
            let (kit, env, actor, mut settings) = (app.kit.clone(), app.env, app.actor.clone(), connection.settings.clone());
            settings.prompt = Some(number.to_string());
            let patch = ConnectionPatch { settings: Some(settings), ..ConnectionPatch::default() };
            let id = connection.id;
            tasks.spawn(async move { kit.update_connection(env, &actor, id, patch).await.map(|saved| saved.revision) });
        }
        let ends = tasks.join_all().await;
        let won = ends.iter().filter(|end| end.is_ok()).count();
        assert!(ends.iter().all(|end| matches!(end, Ok(_) | Err(Error::Conflict))), "{ends:?}");
        let now = app.kit.connection(app.env, connection.id).await.unwrap();
        assert_eq!(now.revision, connection.revision + i64::try_from(won).unwrap());
    }

    /// AK-020, part of AK-121: what is in use cannot be deleted.
    async fn what_is_in_use_cannot_be_deleted(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let account = app.account("sandbox", of_user("ada")).await.account.id;
        let (env, actor, key) = (app.env, &app.actor, connection.provider_key.clone());
        assert!(matches!(app.kit.delete_connection(env, actor, connection.id).await, Err(Error::ConnectionInUse(1))));
        let error = app.kit.delete_custom_provider(env, actor, &key).await.unwrap_err();
        assert!(matches!(&error, Error::ProviderInUse(names) if names == "sandbox"), "{error:?}");
        app.kit.delete_account(env, actor, crate::fixture::by_id(account)).await.unwrap();
        app.kit.delete_connection(env, actor, connection.id).await.unwrap();
        app.kit.delete_custom_provider(env, actor, &key).await.unwrap();
        assert!(matches!(app.kit.delete_connection(env, actor, connection.id).await, Err(Error::ConnectionNotFound(_))));
        assert!(matches!(app.kit.delete_custom_provider(env, actor, &key).await, Err(Error::ProviderNotFound(_))));
        let audited = app.audited().await;
        for action in ["provider.created", "connection.created", "connection.deleted", "provider.deleted"] {
            assert!(audited.iter().any(|known| known == action), "{action}");
        }
    }

    /// AK-110, part of AK-124, part of AK-105
    async fn settings_that_would_break_a_consent_are_refused(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let refused = async |change: &dyn Fn(&mut keystead_agentkit::connections::ConnectionSettings)| {
            let mut settings = connection.settings.clone();
            change(&mut settings);
            let patch = ConnectionPatch { settings: Some(settings), ..ConnectionPatch::default() };
            let result = app.kit.update_connection(app.env, &app.actor, connection.id, patch).await;
            matches!(result, Err(Error::Invalid(_)))
        };
        for name in ["redirect_uri", "State", "client_secret", "scope", "code_challenge"] {
            assert!(refused(&|settings| {
                settings.extra_authorize_params.insert(name.to_owned(), "x".to_owned());
            }).await, "{name}");
        }
        assert!(refused(&|settings| settings.token_uri = Some("javascript:alert(1)".to_owned())).await);
        assert!(refused(&|settings| settings.authorize_uri = Some("https://u:p@a.test".to_owned())).await);
        assert!(refused(&|settings| settings.required_scopes = vec!["root".to_owned()]).await);
        assert!(refused(&|settings| settings.required_optional_scopes = vec!["mail".to_owned()]).await);
        assert!(refused(&|settings| settings.token_endpoint_auth_method = Some("magic".to_owned())).await);
        assert!(!refused(&|settings| {
            settings.extra_authorize_params.insert("audience".to_owned(), "x".to_owned());
        }).await);
    }

    /// AK-014, AK-017, AK-018, AK-019: a connector of the developer, from creation to change.
    async fn a_connector_is_made_and_changed(test: TestDb) {
        let app = App::started(&test).await;
        let made = app.provider("My API 2", json!({"type": "BEARER", "extra": [1]})).await;
        assert!(made.identifier.starts_with("MYAPI2:"), "{}", made.identifier);
        let again = app.kit.create_custom_provider(app.env, &app.actor, provider_input("my api 2", &json!({"type": "BEARER"}), &app.api())).await;
        assert_eq!(again.unwrap_err().code(), ErrorCode::AlreadyExists);
        for (pattern, url) in [(json!({"type": "KERBEROS"}), app.api()), (json!({"type": "BEARER"}), "http://api.example.com".to_owned())] {
            let bad = app.kit.create_custom_provider(app.env, &app.actor, provider_input("Bad", &pattern, &url)).await;
            assert!(matches!(bad, Err(Error::Invalid(_))), "{url}");
        }
        let patch = CustomProviderPatch {
            display_name: "My API 2".to_owned(), description: Some("new".to_owned()), auth_patterns: None,
            proxy_url: "https://api.example.com".to_owned(), proxy_enabled: None, icon_src: None, metadata: None,
        };
        let changed = app.kit.update_custom_provider(app.env, &app.actor, &made.identifier, patch).await.unwrap();
        assert_eq!((changed.description.as_str(), changed.proxy_url.as_str(), changed.proxy_enabled), ("new", "https://api.example.com", true));
        assert_eq!(changed.auth_patterns_json(), made.auth_patterns_json(), "kept, with unknown keys");
        assert_eq!(changed.auth_patterns_json()[0]["extra"], json!([1]));
        let custom = app.kit.list_providers(app.env, ProviderFilter::Custom, "", &page(10, "")).await.unwrap();
        assert_eq!(custom.items.iter().map(|provider| &provider.identifier).collect::<Vec<_>>(), [&made.identifier]);
        assert_eq!(app.kit.list_providers(app.env, ProviderFilter::BuiltIn, "", &page(100, "")).await.unwrap().total_size, 85);
        assert_eq!(app.kit.list_providers(app.env, ProviderFilter::All, "", &page(100, "")).await.unwrap().total_size, 86);
        let other = app.another_environment("Other").await;
        assert_eq!(app.kit.list_providers(other, ProviderFilter::Custom, "", &page(10, "")).await.unwrap().total_size, 0);
        assert_eq!(app.upstream.counter("api_calls").await, 0, "AK-018");
    }

    /// AK-100, AK-015, AK-104: connectors and connections in pages.
    async fn lists_have_pages(test: TestDb) {
        let app = App::started(&test).await;
        let provider = app.provider("Many", json!({"type": "NO_AUTH"})).await;
        for number in 0..7 {
            let made = app.connection_of(&provider, &format!("many {number}"), json!({})).await;
            assert_eq!(made.kind, AuthKind::NoAuth);
        }
        let (mut token, mut seen) = (String::new(), Vec::new());
        loop {
            let rows = app.kit.list_connections(app.env, &ConnectionFilter::default(), &page(3, &token)).await.unwrap();
            assert_eq!(rows.total_size, 7);
            seen.extend(rows.items.into_iter().map(|connection| connection.key_id));
            token = rows.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(seen, (0..7).map(|number| format!("many {number}")).collect::<Vec<_>>());
        let first = app.kit.list_providers(app.env, ProviderFilter::BuiltIn, "", &page(80, "")).await.unwrap();
        let rest = app.kit.list_providers(app.env, ProviderFilter::BuiltIn, "", &page(80, &first.next_page_token)).await.unwrap();
        assert_eq!((first.items.len(), rest.items.len(), rest.next_page_token.as_str()), (80, 5, ""));
        let foreign = app.kit.list_providers(app.env, ProviderFilter::Custom, "", &page(1, &first.next_page_token)).await;
        assert!(matches!(foreign, Err(Error::PageToken)), "a token of another filter");
    }
}
