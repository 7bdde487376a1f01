//! What becomes of an account (AK-200..AK-214, AK-307, AK-621).

use crate::fixture::{App, by_id, call, named, object, of_user};
use http::Method;
use keystead_agentkit::{
    Error,
    accounts::{
        AccountKey, AccountPatch, AccountStatus, CredentialInput, NewAccount, ScopeSelection,
    },
    links::NewLink,
};
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::{ConnectedAccountId, ErrorCode, Reason};
use serde_json::{Value, json};
use tokio::task::JoinSet;

pub(crate) fn oauth(access: &str, refresh: &str, scopes: &[&str]) -> CredentialInput {
    CredentialInput::Oauth {
        access_token: access.to_owned(),
        refresh_token: refresh.to_owned(),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        domain: String::new(),
    }
}

fn details(value: Value) -> CredentialInput {
    CredentialInput::Static(object(value))
}

fn with(identifier: &str, credential: CredentialInput) -> NewAccount {
    NewAccount {
        credential,
        ..of_user(identifier)
    }
}

fn basic_pattern() -> Value {
    json!({"type": "BASIC", "fields": [
        {"field_name": "username", "label": "User", "required": true},
        {"field_name": "password", "label": "Password", "input_type": "password", "required": true},
        {"field_name": "note", "label": "Note"},
    ]})
}

pub(crate) async fn create(
    app: &App,
    connector: &str,
    new: NewAccount,
) -> Result<ConnectedAccountId, Error> {
    let new = NewAccount {
        connector: connector.to_owned(),
        ..new
    };
    app.kit
        .create_account(app.env, &app.actor, new)
        .await
        .map(|made| made.account.id)
}

pub(crate) async fn update(
    app: &App,
    key: AccountKey,
    patch: AccountPatch,
) -> Result<AccountStatus, Error> {
    app.kit
        .update_account(app.env, &app.actor, key, patch)
        .await
        .map(|grounds| grounds.account.status)
}

pub(crate) fn credential(credential: CredentialInput) -> AccountPatch {
    AccountPatch {
        credential,
        ..AccountPatch::default()
    }
}

on_both_engines! {
    /// AK-201, AK-202: without a credential an account waits, for every kind of connection.
    async fn an_account_without_credential_waits_for_the_user(test: TestDb) {
        let app = App::started(&test).await;
        app.oauth().await;
        app.static_connection("basic", basic_pattern()).await;
        for (connector, sent) in [
            ("sandbox", CredentialInput::Absent),
            ("basic", CredentialInput::Absent),
            ("basic", oauth("", "", &[])),
            ("basic", details(json!({}))),
            ("basic", CredentialInput::GoogleDwd { subject: String::new() }),
        ] {
            let id = create(&app, connector, with(&format!("{connector} {sent:?}"), sent)).await.unwrap();
            let row = app.row(id).await;
            assert_eq!((row.status.as_str(), row.credential, row.credential_version), ("PENDING_AUTH", None, 0));
        }
        assert_eq!(app.happened().await, ["created"; 5], "and no status_updated (AK-621)");
        assert_eq!(app.audited().await.iter().filter(|action| *action == "connected_account.created").count(), 5);
        assert_eq!(app.upstream.counter("token_requests").await, 0);
    }

    /// Part of AK-034: a connection without authentication has active accounts at once.
    async fn an_account_that_needs_no_credential_is_active(test: TestDb) {
        let app = App::started(&test).await;
        app.static_connection("open", json!({"type": "NO_AUTH"})).await;
        let id = create(&app, "open", of_user("ada")).await.unwrap();
        assert_eq!(app.status(id).await, AccountStatus::Active);
    }

    /// AK-201, AK-200: one account per owner, also when many create it at once.
    async fn an_owner_has_one_account(test: TestDb) {
        let app = App::started(&test).await;
        app.oauth().await;
        let mut tasks = JoinSet::new();
        for _ in 0..10 {
            let (kit, env, actor) = (app.kit.clone(), app.env, app.actor.clone());
            tasks.spawn(async move {
                let new = NewAccount { connector: "sandbox".to_owned(), ..of_user("ada") };
                kit.create_account(env, &actor, new).await.map(|made| made.account.id)
            });
        }
        let (made, refused): (Vec<_>, Vec<_>) = tasks.join_all().await.into_iter().partition(Result::is_ok);
        assert_eq!(made.len(), 1);
        for error in refused {
            assert_eq!(error.unwrap_err().code(), ErrorCode::AlreadyExists);
        }
        assert_eq!(app.happened().await, ["created"]);
        for (organization, user) in [("org_1", ""), ("org_1", "u1"), ("", "u1")] {
            let new = NewAccount { organization_id: organization.to_owned(), user_id: user.to_owned(), ..of_user("ada") };
            create(&app, "sandbox", new).await.unwrap();
        }
        create(&app, "sandbox", of_user("Ada")).await.unwrap();
    }

    /// AK-203: imported tokens make an account active without asking the provider.
    async fn imported_tokens_are_taken_as_they_are(test: TestDb) {
        let app = App::started(&test).await;
        app.oauth().await;
        let sent = oauth(keystead_sandbox::STATIC_TOKEN, "r-1", &["read"]);
        let id = create(&app, "sandbox", with("ada", sent)).await.unwrap();
        let account = app.read(id).await;
        assert_eq!((account.status, account.token_expires_at, account.credential_version), (AccountStatus::Active, None, 1));
        assert_eq!(account.scopes, ["read"]);
        assert_eq!(app.upstream.counter("token_requests").await, 0);
        assert_eq!(app.get(id, "/me").await.unwrap().status, 200);
        let shown = app.kit.read_credential(app.env, &app.actor, by_id(id)).await.unwrap();
        assert_eq!(shown.credential.refresh_token, "r-1");
    }

    /// AK-204: required fields are named, unknown keys are kept, defaults count.
    async fn static_details_are_checked_against_the_fields(test: TestDb) {
        let app = App::started(&test).await;
        app.static_connection("basic", basic_pattern()).await;
        let error = create(&app, "basic", with("ada", details(json!({"note": "x"})))).await.unwrap_err();
        let named: Vec<String> = error.violations().into_iter().map(|violation| violation.field).collect();
        assert_eq!(named, ["username", "password"].map(|name| format!("authorization_details.static_auth.details.{name}")));
        assert!(app.happened().await.is_empty());
        let sent = json!({"username": "ada", "password": "pw", "region": "eu", "nested": {"a": 1}});
        let id = create(&app, "basic", with("ada", details(sent.clone()))).await.unwrap();
        let shown = app.kit.read_credential(app.env, &app.actor, by_id(id)).await.unwrap();
        assert_eq!(Value::Object(shown.credential.details.clone()), sent);
        // The Python client nests once more.
        let id = create(&app, "basic", with("bo", details(json!({"details": {"username": "b", "password": "p"}})))).await.unwrap();
        let shown = app.kit.read_credential(app.env, &app.actor, by_id(id)).await.unwrap();
        assert_eq!(shown.credential.details["username"], "b");
    }

    /// 4.1: a credential of another kind is refused, and nothing is made or changed.
    async fn a_credential_of_another_kind_is_refused(test: TestDb) {
        let app = App::started(&test).await;
        app.oauth().await;
        app.static_connection("basic", basic_pattern()).await;
        for (connector, sent) in [
            ("basic", oauth("token", "", &[])),
            ("basic", CredentialInput::GoogleDwd { subject: "a@b.test".to_owned() }),
            ("sandbox", details(json!({"token": "t"}))),
        ] {
            let error = create(&app, connector, with("ada", sent.clone())).await.unwrap_err();
            assert_eq!(error.code(), ErrorCode::AuthTypeMismatch);
            assert!(matches!(app.kit.account(app.env, named(connector, "ada")).await, Err(Error::AccountNotFound)));
            create(&app, connector, of_user("there")).await.ok();
            let error = update(&app, named(connector, "there"), credential(sent)).await.unwrap_err();
            assert_eq!(error.code(), ErrorCode::AuthTypeMismatch);
        }
    }

    /// AK-211: sub-fields replace, empty texts do not erase, null deletes settings.
    async fn an_update_merges(test: TestDb) {
        let app = App::started(&test).await;
        app.oauth().await;
        app.static_connection("basic", basic_pattern()).await;
        let new = NewAccount {
            api_config: object(json!({"domain": "a.test", "keep": [1], "drop": true})),
            ..with("ada", details(json!({"username": "ada", "password": "old", "note": "n"})))
        };
        let id = create(&app, "basic", new).await.unwrap();
        let patch = AccountPatch {
            credential: details(json!({"password": "new", "username": "", "note": null})),
            api_config: object(json!({"drop": null, "domain": "b.test", "more": {"x": 1}})),
            scope_selection: None,
        };
        update(&app, by_id(id), patch).await.unwrap();
        let grounds = app.kit.grounds(app.env, by_id(id)).await.unwrap();
        assert_eq!(Value::Object(grounds.credential.details.clone()), json!({"username": "ada", "password": "new", "note": "n"}));
        assert_eq!(Value::Object(grounds.account.api_config.clone()), json!({"domain": "b.test", "keep": [1], "more": {"x": 1}}));
        assert_eq!(app.row(id).await.credential_version, 2);
        let id = create(&app, "sandbox", with("ada", oauth("a-1", "r-1", &["read"]))).await.unwrap();
        update(&app, by_id(id), credential(oauth("a-2", "", &[]))).await.unwrap();
        let grounds = app.kit.grounds(app.env, by_id(id)).await.unwrap();
        let stored = &grounds.credential;
        assert_eq!((stored.access_token.as_str(), stored.refresh_token.as_str()), ("a-2", "r-1"));
        assert_eq!(grounds.account.scopes, ["read"]);
        let big = AccountPatch { api_config: object(json!({"x": "y".repeat(64 * 1024)})), ..AccountPatch::default() };
        assert!(matches!(update(&app, by_id(id), big).await, Err(Error::Invalid(_))));
    }

    /// AK-211, 1.3: a usable credential activates from any state; settings alone do not.
    async fn a_credential_activates_from_any_state(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let id = create(&app, "sandbox", of_user("ada")).await.unwrap();
        let settings = AccountPatch { api_config: object(json!({"domain": "a.test"})), ..AccountPatch::default() };
        assert_eq!(update(&app, by_id(id), settings).await.unwrap(), AccountStatus::PendingAuth);
        let token = credential(oauth(keystead_sandbox::STATIC_TOKEN, "", &[]));
        assert_eq!(update(&app, by_id(id), token.clone()).await.unwrap(), AccountStatus::Active);
        app.kit.disconnect_account(app.env, &app.actor, by_id(id)).await.unwrap();
        assert_eq!(update(&app, by_id(id), token.clone()).await.unwrap(), AccountStatus::Active);
        let link = app.link_with(NewLink { key: by_id(id), user_verify_url: "https://a.test".to_owned(), ..NewLink::default() }).await;
        app.consent(connection.id, &link).await;
        assert_eq!(app.status(id).await, AccountStatus::PendingVerification);
        assert_eq!(update(&app, by_id(id), token).await.unwrap(), AccountStatus::Active);
        assert_eq!(app.get(id, "/me").await.unwrap().status, 200);
        assert_eq!(app.happened().await, [
            "created", "updated", "updated", "PENDING_AUTH>ACTIVE", "ACTIVE>DISCONNECTED", "updated", "DISCONNECTED>ACTIVE",
            "magic_link_generated", "oauth_tokens_fetched", "ACTIVE>PENDING_VERIFICATION", "updated", "PENDING_VERIFICATION>ACTIVE",
        ]);
    }

    /// AK-211: an access token that is imported during a refresh waits for it, so that the refresh
    /// token it keeps is the new one.
    async fn an_import_during_a_refresh_keeps_the_new_refresh_token(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let id = app.connected(&connection, "ada").await;
        app.upstream.chaos(json!({"token_delay_ms": 300})).await;
        let refresh = tokio::spawn({
            let (kit, env) = (app.kit.clone(), app.env);
            async move { kit.refresh_now(env, id).await }
        });
        app.upstream.wait_for("token_requests", 2).await;
        // Another process cannot wait for it and says so.
        let other = app.node(test.db.clone(), 2);
        let patch = credential(oauth(keystead_sandbox::STATIC_TOKEN, "", &[]));
        let refused = other.update_account(app.env, &app.actor, by_id(id), patch.clone()).await;
        assert!(matches!(refused, Err(Error::Conflict)), "{:?}", refused.err());
        update(&app, by_id(id), patch).await.unwrap();
        refresh.await.unwrap().unwrap();
        assert_eq!(app.get(id, "/me").await.unwrap().status, 200);
        app.kit.refresh_now(app.env, id).await.unwrap();
        assert_eq!(app.upstream.counter("refreshes").await, 2);
        assert_eq!(app.upstream.counter("reuse_detections").await, 0);
    }

    /// AK-214: the row stays, the credential goes, also at the provider; again changes nothing.
    async fn disconnecting_drops_the_credential_and_is_idempotent(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let id = app.connected(&connection, "ada").await;
        let before = app.happened().await.len();
        for _ in 0..2 {
            let (account, _) = app.kit.disconnect_account(app.env, &app.actor, by_id(id)).await.unwrap();
            assert_eq!(account.status, AccountStatus::Disconnected);
        }
        let row = app.row(id).await;
        assert_eq!((row.credential, row.token_expires_at, row.refresh_due_at), (None, None, None));
        assert_eq!(app.happened_since(before).await, ["ACTIVE>DISCONNECTED"]);
        assert_eq!(app.audited().await.iter().filter(|action| *action == "connected_account.disconnected").count(), 1);
        app.upstream.wait_for("revoked_families", 1).await;
        let error = app.get(id, "/me").await.unwrap_err();
        assert!(error.to_string().contains("DISCONNECTED"), "{error}");
    }

    /// Part of AK-213: deleted is unknown, to calls, links and a second deletion.
    async fn a_deleted_account_is_gone(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let id = app.connected(&connection, "ada").await;
        app.get(id, "/me").await.unwrap();
        let made = app.kit.create_link(app.env, &app.actor, NewLink { key: by_id(id), ..NewLink::default() }).await.unwrap();
        app.kit.delete_account(app.env, &app.actor, named("sandbox", "ada")).await.unwrap();
        app.upstream.wait_for("revoked_families", 1).await;
        for key in [by_id(id), named("sandbox", "ada")] {
            let again = app.kit.delete_account(app.env, &app.actor, key.clone()).await;
            assert!(matches!(again, Err(Error::AccountNotFound)));
            let mut gone = call(id, Method::GET, "/me");
            gone.key = key;
            assert_eq!(app.send(gone).await.unwrap_err().reason().code(), ErrorCode::ConnectedAccountNotFound);
        }
        let (token, nonce) = crate::fixture::parts(&made.url);
        assert!(matches!(app.kit.open_link(app.env, &token, &nonce).await, Err(Error::AuthRequestNotFound)));
        assert_eq!(app.happened().await.last().map(String::as_str), Some("deleted"));
        assert_ne!(create(&app, "sandbox", of_user("ada")).await.unwrap(), id);
    }

    /// AK-307, AK-110: what a user may choose, and what is always asked for.
    async fn a_choice_of_scopes_stays_within_the_connection(test: TestDb) {
        let app = App::started(&test).await;
        let mut pattern = app.oauth_pattern();
        pattern["oauth_config"]["available_scopes"] = json!([{"scope": "read"}, {"scope": "write"}, {"scope": "base", "required": true}]);
        app.oauth_with("sandbox", pattern, json!({}), |settings| {
            settings.scopes = ["read", "write", "admin"].map(ToOwned::to_owned).to_vec();
            settings.required_scopes = vec!["read".to_owned()];
            settings.scope_selection_allowed = true;
            settings.optional_scopes = Some(keystead_agentkit::connections::OptionalScopes {
                scopes: ["mail", "files"].map(ToOwned::to_owned).to_vec(),
                field_name: "optional".to_owned(),
            });
            settings.required_optional_scopes = vec!["mail".to_owned()];
        }).await;
        let asked = async || {
            let link = app.link("sandbox", "ada").await;
            let url = app.kit.begin_consent(app.env, &link).await.unwrap().url;
            let of = |name: &str| crate::fixture::param(&url, name).unwrap_or_default();
            (of("scope"), of("optional"))
        };
        let pair = |scopes: &str, optional: &str| (scopes.to_owned(), optional.to_owned());
        assert_eq!(asked().await, pair("read write admin base", "mail files"), "no choice means all");
        let choose = async |scopes: &[&str], optional: &[&str]| {
            let owned = |list: &[&str]| list.iter().map(|scope| (*scope).to_owned()).collect();
            let selection = ScopeSelection { scopes: owned(scopes), optional_scopes: owned(optional) };
            let patch = AccountPatch { scope_selection: Some(selection), ..AccountPatch::default() };
            update(&app, named("sandbox", "ada"), patch).await
        };
        choose(&["admin"], &["files"]).await.unwrap();
        assert_eq!(asked().await, pair("read admin base", "mail files"), "required ones are added");
        choose(&["write"], &[]).await.unwrap();
        assert_eq!(asked().await, pair("read write base", "mail"), "a missing bucket is empty");
        update(&app, named("sandbox", "ada"), AccountPatch::default()).await.unwrap();
        assert_eq!(asked().await, pair("read write base", "mail"), "a saved choice stays");
        for (scopes, optional) in [(["other"], []), (["mail"], [])] as [([&str; 1], [&str; 0]); 2] {
            assert!(matches!(choose(&scopes, &optional).await, Err(Error::Invalid(_))), "{scopes:?}");
        }
        assert!(matches!(choose(&[], &["read"]).await, Err(Error::Invalid(_))));
        assert_eq!(asked().await, pair("read write base", "mail"));
    }

    /// AK-307: a connection that names no scopes offers those of the connector.
    async fn the_connectors_scopes_can_be_chosen_from(test: TestDb) {
        let app = App::started(&test).await;
        app.oauth_with("sandbox", app.oauth_pattern(), json!({}), |settings| settings.scopes.clear()).await;
        create(&app, "sandbox", of_user("ada")).await.unwrap();
        let choose = |scope: &str| AccountPatch {
            scope_selection: Some(ScopeSelection { scopes: vec![scope.to_owned()], optional_scopes: Vec::new() }),
            ..AccountPatch::default()
        };
        update(&app, named("sandbox", "ada"), choose("admin")).await.unwrap();
        assert!(matches!(update(&app, named("sandbox", "ada"), choose("root")).await, Err(Error::Invalid(_))));
        let link = app.link("sandbox", "ada").await;
        let url = app.kit.begin_consent(app.env, &link).await.unwrap().url;
        assert_eq!(crate::fixture::param(&url, "scope").as_deref(), Some("admin"));
    }

    /// Part of AK-621: the words of `authorization_type` are those of the API.
    async fn events_name_the_kind_of_credential_as_the_api_does(test: TestDb) {
        let app = App::started(&test).await;
        for (kind, word) in [("BEARER", "BEARER_TOKEN"), ("BASIC", "BASIC"), ("API_KEY", "API_KEY")] {
            let name = kind.to_lowercase();
            app.static_connection(&name, json!({"type": kind, "fields": []})).await;
            create(&app, &name, of_user("ada")).await.unwrap();
            let events = app.events().await;
            let event = events.last().unwrap();
            assert_eq!((event.kind.as_str(), &event.data["authorization_type"]), ("connected_account.created", &json!(word)), "{kind}");
        }
    }

    /// Part of AK-620, part of AK-621: an event names the account and never holds a credential.
    async fn events_describe_the_account_without_secrets(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let id = app.connected(&connection, "ada").await;
        app.kit.disconnect_account(app.env, &app.actor, by_id(id)).await.unwrap();
        for event in app.events().await {
            assert_eq!(event.object, "ConnectedAccount");
            assert_eq!(event.data["id"], id.to_string());
            assert_eq!(event.data["identifier"], "ada");
            assert_eq!(event.data["connection_id"], connection.id.to_string());
            assert_eq!(event.data["provider"], connection.provider_key);
            assert_eq!(event.data["authorization_type"], "OAUTH");
            let changed = event.kind == "connected_account.status_updated";
            assert_eq!(event.data.get("old_status").is_some(), changed, "{event:?}");
            assert_eq!(event.data.get("connection_name").is_some(), changed, "{event:?}");
            let text = event.data.to_string();
            assert!(!text.contains("spat_") && !text.contains("sprt_") && !text.contains("token="), "{text}");
        }
    }
}
