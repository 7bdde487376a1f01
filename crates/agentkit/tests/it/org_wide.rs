//! One credential that all users of a connection share (AK-120, AK-240..AK-242).

use crate::fixture::{App, by_id, named, object, of_user, parts};
use keystead_agentkit::{
    Error,
    accounts::{AccountPatch, AccountStatus, CredentialInput, NewAccount, OrgWideAuthorization},
    connections::{AuthMode, Connection, NewConnection},
    links::{CallbackEnd, FormAnswers, FormEnd, NewLink, OpenLink},
    settings::Verification,
};
use keystead_sandbox::{CLIENT_ID, CLIENT_SECRET, STATIC_TOKEN};
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::{ConnectedAccountId, ErrorCode, Reason, Secret};
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

async fn shared(app: &App, name: &str, pattern: Value) -> Connection {
    let provider = app.provider(name, pattern).await;
    let new = NewConnection {
        provider_key: provider.identifier,
        kind: None,
        key_id: Some(name.to_owned()),
        context: Map::new(),
        auth_mode: AuthMode::OrgWide,
    };
    app.kit
        .create_connection(app.env, &app.actor, new)
        .await
        .unwrap()
}

async fn shared_oauth(app: &App) -> Connection {
    let made = shared(app, "crm", app.oauth_pattern()).await;
    app.configure(made, CLIENT_ID, CLIENT_SECRET, |settings| {
        settings.scopes = vec!["read".to_owned()];
    })
    .await
}

fn bearer() -> Value {
    json!({"type": "BEARER", "fields": [{"field_name": "token", "required": true}]})
}

fn token(value: &str) -> CredentialInput {
    CredentialInput::Static(object(json!({ "token": value })))
}

async fn authorize(
    app: &App,
    connection: &Connection,
    credential: CredentialInput,
) -> Result<OrgWideAuthorization, Error> {
    app.kit
        .authorize_org_wide(app.env, &app.actor, connection.id, credential, Map::new())
        .await
}

async fn opened(app: &App, url: &Secret<String>) -> OpenLink {
    let (token, nonce) = parts(url);
    app.kit.open_link(app.env, &token, &nonce).await.unwrap()
}

/// The user opens his link and agrees.
async fn agree(app: &App, connector: &str, identifier: &str) -> ConnectedAccountId {
    let link = app.link(connector, identifier).await;
    assert!(link.grounds.asks_before_consent());
    let end = app.kit.submit_form(app.env, &link, FormAnswers::default());
    assert!(matches!(end.await.unwrap(), FormEnd::Connected));
    link.grounds.account.id
}

async fn refused(app: &App, id: ConnectedAccountId) -> ErrorCode {
    app.get(id, "/me").await.unwrap_err().reason().code()
}

on_both_engines! {
    /// AK-240, AK-241: one consent at the provider acts for every user who agreed, and for nobody else.
    async fn a_shared_grant_acts_for_users_who_agreed(test: TestDb) {
        let app = App::started(&test).await;
        let connection = shared_oauth(&app).await;
        let asked = authorize(&app, &connection, CredentialInput::Absent).await.unwrap();
        assert_eq!(asked.account.status, AccountStatus::PendingAuth);
        assert!(asked.account.is_org_wide);
        let ada = agree(&app, "crm", "ada").await;
        assert_eq!(refused(&app, ada).await, ErrorCode::ConnectedAccountNotActive, "nobody has authorized it yet");

        let link = opened(&app, &asked.link.unwrap().url).await;
        assert!(matches!(app.consent(connection.id, &link).await, CallbackEnd::Connected));
        assert_eq!(app.status(asked.account.id).await, AccountStatus::Active);
        assert_eq!(app.get(ada, "/me").await.unwrap().status, 200);
        let read = app.kit.read_credential(app.env, &app.actor, by_id(ada)).await.unwrap();
        assert!(!read.credential.access_token.is_empty());
        assert_eq!((read.account.identifier.as_str(), read.account.scopes.as_slice()), ("ada", ["read".to_owned()].as_slice()));
        assert_eq!(app.row(ada).await.credential, None);

        let bo = app.link("crm", "bo").await.grounds.account.id;
        assert_eq!(refused(&app, bo).await, ErrorCode::ConnectedAccountNotActive);
        let read = app.kit.read_credential(app.env, &app.actor, by_id(bo)).await.unwrap();
        assert!(read.credential.access_token.is_empty());
        assert_eq!(app.kit.refresh_account(app.env, &app.actor, by_id(bo)).await.unwrap_err().code(), ErrorCode::ConnectedAccountNotActive);

        let key = named("crm", "ada");
        app.kit.disconnect_account(app.env, &app.actor, key).await.unwrap();
        assert_eq!(refused(&app, ada).await, ErrorCode::ConnectedAccountNotActive, "who disconnects takes his consent back");
        assert_eq!(app.status(asked.account.id).await, AccountStatus::Active);
    }

    /// AK-225, AK-241: a refresh that a user's call needs, or somebody asks for, is one of the shared credential.
    async fn the_shared_credential_is_refreshed_for_its_users(test: TestDb) {
        let app = App::started(&test).await;
        let connection = shared_oauth(&app).await;
        let asked = authorize(&app, &connection, CredentialInput::Absent).await.unwrap();
        let link = opened(&app, &asked.link.unwrap().url).await;
        app.consent(connection.id, &link).await;
        let (ada, bo) = (agree(&app, "crm", "ada").await, agree(&app, "crm", "bo").await);
        let version = app.row(asked.account.id).await.credential_version;
        app.clock.advance(crate::fixture::TOKEN_LIFE);
        let (one, other) = tokio::join!(app.get(ada, "/me"), app.get(bo, "/me"));
        assert_eq!((one.unwrap().status, other.unwrap().status), (200, 200));
        assert_eq!(app.row(asked.account.id).await.credential_version, version + 1);
        let refreshed = app.kit.refresh_account(app.env, &app.actor, by_id(ada)).await.unwrap();
        assert_eq!((refreshed.id, refreshed.status), (ada, AccountStatus::Active));
        assert_eq!(app.row(asked.account.id).await.credential_version, version + 2);
        assert_eq!(app.row(ada).await.credential_version, 0);
    }

    /// AK-240, AK-241: other kinds take the credential in the call, without a link; many calls at once make one account.
    async fn other_kinds_take_the_credential_in_the_call(test: TestDb) {
        let app = App::started(&test).await;
        let connection = shared(&app, "desk", bearer()).await;
        let mut tasks = JoinSet::new();
        for _ in 0..8 {
            let (kit, env, actor, id) = (app.kit.clone(), app.env, app.actor.clone(), connection.id);
            tasks.spawn(async move { kit.authorize_org_wide(env, &actor, id, token("wrong"), Map::new()).await.unwrap() });
        }
        let made = tasks.join_all().await;
        assert!(made.iter().all(|made| made.link.is_none() && made.account.status == AccountStatus::Active));
        assert!(made.iter().all(|other| other.account.id == made[0].account.id));
        let ada = agree(&app, "desk", "ada").await;
        assert_eq!(app.get(ada, "/me").await.unwrap().status, 401);
        let again = authorize(&app, &connection, token(STATIC_TOKEN)).await.unwrap();
        assert_eq!(again.account.id, made[0].account.id);
        assert_eq!(app.get(ada, "/me").await.unwrap().status, 200);
        let missing = authorize(&app, &connection, CredentialInput::Absent).await;
        assert_eq!(missing.unwrap_err().violations()[0].field, "authorization_details");

        app.kit.delete_account(app.env, &app.actor, by_id(again.account.id)).await.unwrap();
        assert_eq!(refused(&app, ada).await, ErrorCode::ConnectedAccountNotActive);
        authorize(&app, &connection, token(STATIC_TOKEN)).await.unwrap();
        assert_eq!(app.get(ada, "/me").await.unwrap().status, 200);
    }

    /// AK-241, AK-242: what would mix shared and own credentials is refused.
    async fn shared_and_own_credentials_stay_apart(test: TestDb) {
        let app = App::started(&test).await;
        let own = app.oauth().await;
        assert_eq!(authorize(&app, &own, CredentialInput::Absent).await.unwrap_err().code(), ErrorCode::FailedPrecondition);
        let connection = shared(&app, "desk", bearer()).await;
        let holder = authorize(&app, &connection, token(STATIC_TOKEN)).await.unwrap().account.id;

        let new = NewAccount { connector: "desk".to_owned(), credential: token("t"), ..of_user("ada") };
        let created = app.kit.create_account(app.env, &app.actor, new).await;
        assert_eq!(created.err().unwrap().violations()[0].field, "authorization_details");
        let ada = agree(&app, "desk", "ada").await;
        let patch = AccountPatch { credential: token("t"), ..AccountPatch::default() };
        let updated = app.kit.update_account(app.env, &app.actor, by_id(ada), patch.clone()).await;
        assert_eq!(updated.err().unwrap().violations()[0].field, "authorization_details");

        // Whoever may write accounts, read credentials or call cannot use the shared one for nobody.
        let updated = app.kit.update_account(app.env, &app.actor, by_id(holder), patch).await;
        assert_eq!(updated.err().unwrap().code(), ErrorCode::FailedPrecondition);
        let link = NewLink { key: by_id(holder), ..NewLink::default() };
        assert_eq!(app.kit.create_link(app.env, &app.actor, link).await.unwrap_err().code(), ErrorCode::FailedPrecondition);
        let read = app.kit.read_credential(app.env, &app.actor, by_id(holder)).await;
        assert_eq!(read.err().unwrap().code(), ErrorCode::FailedPrecondition);
        assert_eq!(refused(&app, holder).await, ErrorCode::FailedPrecondition);

        let link = app.link("desk", "bo").await;
        assert!(matches!(app.kit.begin_consent(app.env, &link).await, Err(Error::SharedCredential(_))));
        let first = app.kit.submit_form(app.env, &link, FormAnswers::default());
        let second = app.kit.submit_form(app.env, &link, FormAnswers::default());
        let (first, second) = tokio::join!(first, second);
        assert_eq!([first.is_ok(), second.is_ok()].iter().filter(|ok| **ok).count(), 1, "a link works once");
        let open = app.provider("open", json!({"type": "NO_AUTH"})).await;
        let new = NewConnection {
            provider_key: open.identifier, kind: None, key_id: None, context: Map::new(), auth_mode: AuthMode::OrgWide,
        };
        assert_eq!(app.kit.create_connection(app.env, &app.actor, new).await.unwrap_err().violations()[0].field, "auth_mode");
    }

    /// AK-240, AK-320: a member confirms the shared grant, even where the application verifies its users.
    async fn a_member_confirms_the_shared_grant(test: TestDb) {
        let app = App::started(&test).await;
        let connection = shared_oauth(&app).await;
        app.verify(Verification::Custom).await;
        let asked = authorize(&app, &connection, CredentialInput::Absent).await.unwrap();
        let link = opened(&app, &asked.link.unwrap().url).await;
        let CallbackEnd::SignIn(request) = app.consent(connection.id, &link).await else { panic!("no member is asked") };
        let by_application = app.kit.verify_user(app.env, &app.actor, &request, "ada").await;
        assert_eq!(by_application.unwrap_err().code(), ErrorCode::IdentifierMismatch);
        app.kit.verify_member(app.env, &app.actor, &request).await.unwrap();
        assert_eq!(app.status(asked.account.id).await, AccountStatus::Active);
        // Users who agree need no verification address: there is no grant of theirs to verify.
        let ada = agree(&app, "crm", "ada").await;
        assert_eq!(app.get(ada, "/me").await.unwrap().status, 200);
    }

    /// AK-215: an account under the organization's identifier is every member's who passes it.
    async fn an_account_of_an_organization_serves_its_users(test: TestDb) {
        let app = App::started(&test).await;
        app.static_connection("desk", bearer()).await;
        let new = NewAccount { credential: token(STATIC_TOKEN), ..of_user("org_1") };
        let id = app.account("desk", new).await.account.id;
        let new = NewAccount { credential: token("wrong"), organization_id: "org_2".to_owned(), ..of_user("team") };
        let second = app.account("desk", new).await.account.id;
        for (identifier, expected) in [("org_1", id), ("team", second)] {
            let found = app.kit.account(app.env, named("desk", identifier)).await.unwrap();
            assert_eq!(found.id, expected);
        }
        assert_eq!(app.get(id, "/me").await.unwrap().status, 200);
        assert_eq!(app.get(second, "/me").await.unwrap().status, 401, "with its own credential, not the other's");
    }
}
