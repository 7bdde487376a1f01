//! Naming an account, and what other environments see of it (AK-102, AK-207, AK-208, 4.3).

use crate::{
    accounts::{create, credential, oauth, update},
    fixture::{App, by_id, call, named, object, of_user, send},
};
use http::Method;
use keystead_agentkit::{
    Error,
    accounts::{AccountKey, AccountPatch, NewAccount},
    connections::{ConnectionPatch, NewConnection},
    links::NewLink,
};
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::{ConnectedAccountId, ErrorCode, Reason};
use serde_json::json;

async fn find(app: &App, key: AccountKey) -> Result<ConnectedAccountId, Error> {
    app.kit
        .account(app.env, key)
        .await
        .map(|account| account.id)
}

fn owned(identifier: &str, organization: &str, user: &str) -> AccountKey {
    AccountKey {
        organization_id: Some(organization.to_owned()),
        user_id: Some(user.to_owned()),
        ..named("sandbox", identifier)
    }
}

on_both_engines! {
    /// AK-207, AK-208: id, names, wildcards, and ambiguity that lists the ids.
    async fn accounts_are_addressed_by_id_or_owner(test: TestDb) {
        let app = App::started(&test).await;
        app.oauth().await;
        for key in [AccountKey::default(), AccountKey { connector: Some("sandbox".to_owned()), ..AccountKey::default() },
            AccountKey { identifier: Some("ada".to_owned()), ..AccountKey::default() }, named("", "")] {
            assert!(matches!(find(&app, key).await, Err(Error::NoAddress)));
        }
        assert_eq!(find(&app, named("nothing", "ada")).await.unwrap_err().code(), ErrorCode::ConnectionNotFound);
        assert_eq!(find(&app, named("sandbox", "ada")).await.unwrap_err().code(), ErrorCode::ConnectedAccountNotFound);
        let mut ids = Vec::new();
        for user in ["u1", "u2"] {
            let new = NewAccount { organization_id: "org_1".to_owned(), user_id: user.to_owned(), ..of_user("ada") };
            ids.push(create(&app, "sandbox", new).await.unwrap());
            if user == "u1" {
                assert_eq!(find(&app, named("sandbox", "ada")).await.unwrap(), ids[0], "the only one");
            }
        }
        let error = find(&app, named("sandbox", "ada")).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::AmbiguousConnectedAccount);
        assert!(ids.iter().all(|id| error.to_string().contains(&id.to_string())), "{error}");
        assert_eq!(find(&app, owned("ada", "org_1", "u2")).await.unwrap(), ids[1]);
        assert_eq!(find(&app, owned("ada", "", "u1")).await.unwrap(), ids[0]);
        assert!(matches!(find(&app, owned("ada", "org_1", "u3")).await, Err(Error::AccountNotFound)));
        let plain = create(&app, "sandbox", of_user("ada")).await.unwrap();
        assert_eq!(find(&app, named("sandbox", "ada")).await.unwrap(), plain, "the one with neither");
        // On reads the id decides alone, on writes nothing may contradict it.
        let mixed = AccountKey { id: Some(ids[0].to_string()), ..named("nothing", "bo") };
        assert_eq!(find(&app, mixed.clone()).await.unwrap(), ids[0]);
        update(&app, mixed.clone(), AccountPatch::default()).await.unwrap_err();
        let other = AccountKey { identifier: Some("bo".to_owned()), connector: Some("sandbox".to_owned()), ..mixed.clone() };
        let link = NewLink { key: other, ..NewLink::default() };
        assert!(matches!(app.kit.create_link(app.env, &app.actor, link).await, Err(Error::Invalid(_))));
        app.kit.delete_account(app.env, &app.actor, mixed).await.unwrap_err();
        let agreeing = AccountKey { id: Some(ids[0].to_string()), ..owned("ada", "org_1", "u1") };
        update(&app, agreeing, AccountPatch::default()).await.unwrap();
        for id in ["ca_1", "conn_1", "", "ca_", "x'; --"] {
            let key = AccountKey { id: Some(id.to_owned()), ..AccountKey::default() };
            let error = find(&app, key).await.unwrap_err();
            assert!(matches!(error, Error::AccountNotFound | Error::NoAddress), "{id}: {error:?}");
        }
    }

    /// Part of AK-207: the one with neither organization nor user is meant, however many others there are.
    async fn the_plain_account_is_found_among_many(test: TestDb) {
        let app = App::started(&test).await;
        app.oauth().await;
        for number in 0..25 {
            let new = NewAccount { user_id: format!("user-{number}"), ..of_user("ada") };
            create(&app, "sandbox", new).await.unwrap();
        }
        let plain = create(&app, "sandbox", of_user("ada")).await.unwrap();
        assert_eq!(find(&app, named("sandbox", "ada")).await.unwrap(), plain);
    }

    /// AK-102: exact name, then the only one that differs in case, then the connector's only
    /// enabled connection; a later connection ends what was remembered.
    async fn connections_are_found_by_name_and_connector(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth_with("Sandbox", app.oauth_pattern(), json!({}), |_| {}).await;
        let id = app.connected(&connection, "ada").await;
        for name in ["Sandbox", "sandbox", "SANDBOX", &connection.provider_key] {
            assert_eq!(find(&app, named(name, "ada")).await.unwrap(), id, "{name}");
        }
        let through = async |name: &str| {
            let mut by_name = call(id, Method::GET, "/me");
            by_name.key = named(name, "ada");
            send(&app.kit, app.env, by_name).await.map(|answer| answer.status).map_err(|error| error.reason().code())
        };
        assert_eq!(through(&connection.provider_key).await, Ok(200));
        assert_eq!(through("SANDBOX").await, Ok(200));
        let provider = app.kit.provider(app.env, &connection.provider_key).await.unwrap();
        let second = app.connection_of(&provider, "sandbox", json!({})).await;
        let second = app.configure(second, keystead_sandbox::CLIENT_ID, keystead_sandbox::CLIENT_SECRET, |_| {}).await;
        assert_eq!(through("Sandbox").await, Ok(200), "exact");
        assert_eq!(through("SANDBOX").await, Err(ErrorCode::ConnectionNotFound), "two differ in case only");
        assert_eq!(through("sandbox").await, Err(ErrorCode::ConnectedAccountNotFound), "exact, the other one");
        assert_eq!(through(&connection.provider_key).await, Err(ErrorCode::ConnectionNotFound), "two are enabled");
        app.kit.disable_connection(app.env, &app.actor, second.id).await.unwrap();
        assert_eq!(through(&connection.provider_key).await, Ok(200), "one is enabled");
    }

    /// 4.3: ids and names of another environment behave exactly as unknown ones.
    async fn other_environments_are_unknown(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let id = app.connected(&connection, "ada").await;
        let (other, actor, kit) = (app.another_environment("Other").await, &app.actor, &app.kit);
        let unknown: ConnectedAccountId = keystead_testkit::engines::next_id();
        let before = app.row(id).await;
        app.get(id, "/me").await.unwrap();
        let same = |ours: Error, none: Error| {
            assert_eq!(ours.code(), none.code());
            assert_eq!(ours.to_string().replace(&id.to_string(), "X"), none.to_string().replace(&unknown.to_string(), "X"));
        };
        macro_rules! alike {
            ($call:expr) => {{
                let call = $call;
                let (ours, none) = (Box::pin(call(by_id(id))).await, Box::pin(call(by_id(unknown))).await);
                same(ours.err().unwrap(), none.err().unwrap());
            }};
        }
        alike!(|key| kit.account(other, key));
        alike!(|key| kit.read_credential(other, actor, key));
        alike!(|key| kit.update_account(other, actor, key, credential(oauth("stolen", "", &[]))));
        alike!(|key| kit.disconnect_account(other, actor, key));
        alike!(|key| kit.delete_account(other, actor, key));
        alike!(|key| kit.create_link(other, actor, NewLink { key, ..NewLink::default() }));
        same(kit.refresh_now(other, id).await.unwrap_err(), kit.refresh_now(other, unknown).await.unwrap_err());
        let proxied = send(kit, other, call(id, Method::GET, "/me")).await.unwrap_err();
        assert_eq!(proxied.reason().code(), ErrorCode::ConnectedAccountNotFound);
        assert!(kit.account_history(other, id, 10).await.unwrap().is_empty());
        for error in [
            Box::pin(kit.connection(other, connection.id)).await.err().unwrap(),
            Box::pin(kit.update_connection(other, actor, connection.id, ConnectionPatch::default())).await.err().unwrap(),
            Box::pin(kit.disable_connection(other, actor, connection.id)).await.err().unwrap(),
            Box::pin(kit.enable_connection(other, actor, connection.id)).await.err().unwrap(),
            Box::pin(kit.delete_connection(other, actor, connection.id)).await.err().unwrap(),
            Box::pin(kit.connection_named(other, "sandbox")).await.err().unwrap(),
        ] {
            assert_eq!(error.code(), ErrorCode::ConnectionNotFound);
        }
        let new = NewConnection {
            provider_key: connection.provider_key.clone(), kind: None, key_id: None, context: object(json!({})),
            auth_mode: connection.auth_mode,
        };
        assert_eq!(kit.create_connection(other, actor, new).await.err().unwrap().code(), ErrorCode::ProviderNotFound);
        assert!(kit.delete_custom_provider(other, actor, &connection.provider_key).await.is_err());
        assert_eq!(app.row(id).await, before);
        assert_eq!(app.kit.connection(app.env, connection.id).await.unwrap().revision, connection.revision);
    }

    /// 4.2.8
    async fn identifiers_have_no_white_space_around_them(test: TestDb) {
        let app = App::started(&test).await;
        app.oauth().await;
        for bad in [" ada", "ada ", "a\nb", "\u{a0}ada"] {
            assert!(matches!(create(&app, "sandbox", of_user(bad)).await, Err(Error::Invalid(_))), "{bad:?}");
        }
        assert!(matches!(create(&app, "sandbox", of_user("")).await, Err(Error::NoAddress)));
        create(&app, "sandbox", of_user("a da@example.com/ü'\"%_")).await.unwrap();
        find(&app, named("sandbox", "a da@example.com/ü'\"%_")).await.unwrap();
    }
}
