//! Accounts that go with their organization or connection.

use crate::{
    fixture::{App, by_id, call, named, of_user},
    grants::{caller_in_refresh, revoke, tokens},
    links::{verified, verify, waiting},
};
use axum::{Router, routing::post};
use http::Method;
use keystead_agentkit::{
    Error,
    accounts::{AccountKey, AccountPatch, AccountStatus, NewAccount},
    links::{CallbackError, NewLink},
    providers::CustomProviderPatch,
    proxy::ProxyError,
};
use keystead_identity::organizations::{self, CreateOrganization, Selector};
use keystead_store::{connected_accounts, jobs};
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::{ConnectedAccountId, ErrorCode, OrganizationId, Reason};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::sync::{Semaphore, watch};

/// Calls of an endpoint.
#[derive(Default)]
struct Calls {
    begun: usize,
    under_way: usize,
    most: usize,
}

/// One of them, until its answer or until its client hangs up.
struct Call(watch::Sender<Calls>);

impl Call {
    fn begun(calls: watch::Sender<Calls>) -> Self {
        calls.send_modify(|calls| {
            calls.begun += 1;
            calls.under_way += 1;
            calls.most = calls.most.max(calls.under_way);
        });
        Self(calls)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0.send_modify(|calls| calls.under_way -= 1);
    }
}

async fn organization(app: &App, name: &str) -> OrganizationId {
    let ctx = app.kit.ctx();
    let command = CreateOrganization {
        display_name: name.to_owned(),
        region: None,
        external_id: None,
        metadata: organizations::Metadata::new(),
        slug: None,
        logo_url: None,
    };
    let mut tx = ctx.db.begin(app.env).await.unwrap();
    let made = organizations::create(&mut tx, ctx, &app.actor, command);
    let id = made.await.unwrap().id;
    tx.commit().await.unwrap();
    id
}

/// An active account of a user of an organization.
async fn member(app: &App, organization: &str, user: &str) -> ConnectedAccountId {
    let connection = app.kit.connection_named(app.env, "sandbox").await.unwrap();
    let key = AccountKey {
        organization_id: Some(organization.to_owned()),
        ..named("sandbox", user)
    };
    let link = NewLink {
        key,
        ..NewLink::default()
    };
    let link = app.link_with(link).await;
    app.consent(connection.id, &link).await;
    link.grounds.account.id
}

async fn delete(app: &App, id: OrganizationId) {
    let (ctx, actor) = (app.kit.ctx(), &app.actor);
    let mut tx = ctx.db.begin(app.env).await.unwrap();
    let selector = Selector::Id(id);
    let found = organizations::lock(&mut tx, &selector).await.unwrap();
    let removal = app.kit.remove_accounts_of(&mut tx, actor, found.id);
    let removal = removal.await.unwrap();
    let deleted = organizations::delete(&mut tx, ctx, actor, &selector);
    assert_eq!(deleted.await.unwrap(), id);
    tx.commit().await.unwrap();
    app.kit.start_removal(&removal);
}

async fn refusal(app: &App, id: ConnectedAccountId) -> ErrorCode {
    match app.send(call(id, Method::GET, "/me")).await {
        Err(ProxyError::Refused(error)) => error.code(),
        other => panic!("{other:?}"),
    }
}

/// Accounts of an organization whose deletion was told.
async fn deletions(app: &App, organization: OrganizationId) -> Vec<String> {
    let told = app.events().await.into_iter();
    told.filter(|event| event.kind == "connected_account.deleted")
        .filter(|event| event.organization_id == Some(organization))
        .map(|event| event.data["id"].as_str().unwrap().to_owned())
        .collect()
}

async fn exists(app: &App, id: ConnectedAccountId) -> bool {
    let read = &mut app.kit.ctx().db.read(app.env);
    connected_accounts::find(read, id).await.unwrap().is_some()
}

async fn queued(app: &App) -> u64 {
    let read = &mut app.kit.ctx().db.read_admin();
    let counts = jobs::count(read).await.unwrap();
    counts.into_iter().map(|(_, count)| count).sum()
}

on_both_engines! {
    /// Part of DR-010: accounts of a deleted organization act no more with the very commit, and each ends as if deleted alone.
    async fn accounts_go_with_their_organization(test: TestDb) {
        let app = App::started(&test).await;
        app.oauth().await;
        let (acme, other) = (organization(&app, "Acme").await, organization(&app, "Other").await);
        let mut gone = Vec::new();
        for user in ["ada", "bob"] {
            gone.push(member(&app, &acme.to_string(), user).await);
        }
        let kept = [member(&app, &other.to_string(), "ada").await, member(&app, "", "eve").await];
        assert_eq!(app.get(gone[0], "/me").await.unwrap().status, 200);
        let audited = app.audited().await.len();

        delete(&app, acme).await;
        for id in &gone {
            assert_eq!(refusal(&app, *id).await, ErrorCode::ConnectedAccountNotActive);
        }
        app.kit.work_wanted().await;
        assert_eq!(app.kit.work_off().await.unwrap(), 1);
        for id in &gone {
            assert_eq!(refusal(&app, *id).await, ErrorCode::ConnectedAccountNotFound);
        }
        app.upstream.wait_for("revoked_families", 2).await;
        for id in kept {
            assert_eq!(app.get(id, "/me").await.unwrap().status, 200);
        }
        let mut audits = app.audited().await.split_off(audited);
        let mut ids = deletions(&app, acme).await;
        ids.sort();
        assert_eq!(ids, gone.iter().map(ToString::to_string).collect::<Vec<_>>());
        audits.retain(|action| action == "connected_account.deleted");
        assert_eq!(audits.len(), 2);
        assert_eq!((queued(&app).await, app.kit.work_off().await.unwrap()), (0, 0));
    }

    /// Part of DR-010: nothing brings an account back that is promised to go, whatever was under way; what it and its
    /// waiting grants had is revoked.
    async fn nothing_revives_what_goes_with_its_organization(test: TestDb) {
        let app = App::started(&test).await;
        let mut pattern = app.oauth_pattern();
        pattern["oauth_config"]["revocation_scope"] = json!("grant");
        let connection = app.oauth_with("sandbox", pattern, json!({}), |_| {}).await;
        let acme = organization(&app, "Acme").await;
        let of_acme = |user: &str| AccountKey { organization_id: Some(acme.to_string()), ..named("sandbox", user) };
        let ada = member(&app, &acme.to_string(), "ada").await;
        let request = waiting(&app, &connection, NewLink { key: of_acme("bob"), ..verified("bob") }).await;
        let link = app.link_with(NewLink { key: of_acme("cy"), ..NewLink::default() }).await;
        let consent = app.kit.begin_consent(app.env, &link).await.unwrap();
        let back = app.upstream.allow(&consent).await;

        delete(&app, acme).await;
        let refused = verify(&app, &request, "bob").await;
        assert!(matches!(refused, Err(Error::AuthRequestNotFound)), "{refused:?}");
        let refused = app.kit.finish_consent(app.env, connection.id, Some(&back.browser), &back.query).await;
        assert!(matches!(refused, Err(CallbackError::SessionExpired)), "{refused:?}");
        let refused = app.kit.create_link(app.env, &app.actor, NewLink { key: by_id(ada), ..NewLink::default() }).await;
        assert!(matches!(refused, Err(Error::AccountNotFound)), "{refused:?}");
        let patch = AccountPatch { credential: tokens("new", "new"), ..AccountPatch::default() };
        let refused = app.kit.update_account(app.env, &app.actor, by_id(ada), patch).await;
        assert!(matches!(refused, Err(Error::AccountNotFound)));
        let read = app.kit.read_credential(app.env, &app.actor, by_id(ada)).await.unwrap();
        assert!(read.credential.access_token.is_empty() && read.credential.refresh_token.is_empty());
        for user in ["ada", "bob", "cy"] {
            let account = app.kit.account(app.env, of_acme(user)).await.unwrap();
            assert_eq!(account.status, AccountStatus::Disconnected, "{user}");
        }
        assert_eq!(app.kit.work_off().await.unwrap(), 1);
        assert_eq!(deletions(&app, acme).await.len(), 3);
        app.upstream.wait_for("revoked_families", 2).await;
    }

    /// Part of DR-010, part of AK-223: a refresh that is refused meanwhile does not make the account look refreshable.
    async fn a_refresh_does_not_touch_what_goes_with_its_organization(test: TestDb) {
        let app = App::started(&test).await;
        app.oauth().await;
        let acme = organization(&app, "Acme").await;
        let ada = member(&app, &acme.to_string(), "ada").await;
        revoke(&app, ada).await;
        let caller = caller_in_refresh(&app, ada).await;
        delete(&app, acme).await;
        let refused = caller.await.unwrap().unwrap_err();
        assert_eq!(refused.reason().code(), ErrorCode::ConnectedAccountNotActive);
        let row = app.row(ada).await;
        assert_eq!((row.status.as_str(), row.lease_holder), ("DISCONNECTED", None));
        let refused = app.kit.refresh_now(app.env, ada).await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::ConnectedAccountNotActive);
    }

    /// Part of AK-121, part of AK-205: tokens of a connection that is switched off are lent to nobody.
    async fn a_connection_that_is_switched_off_shows_no_tokens(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let ada = app.connected(&connection, "ada").await;
        app.account("sandbox", of_user("bob")).await;
        app.kit.disable_connection(app.env, &app.actor, connection.id).await.unwrap();
        let refused = app.kit.read_credential(app.env, &app.actor, by_id(ada)).await.map(|_| ());
        assert!(matches!(refused, Err(Error::ConnectionDisabled(_))), "{refused:?}");
        let read = app.kit.read_credential(app.env, &app.actor, named("sandbox", "bob")).await.unwrap();
        assert_eq!(read.account.status, AccountStatus::PendingAuth, "without one the state is the answer");
        app.kit.enable_connection(app.env, &app.actor, connection.id).await.unwrap();
        let read = app.kit.read_credential(app.env, &app.actor, by_id(ada)).await.unwrap();
        assert!(!read.credential.access_token.is_empty());
    }

    /// Part of DR-010, part of AK-213: however many accounts go, a provider is asked to revoke a few grants at a time.
    async fn grants_of_many_accounts_are_revoked_a_few_at_a_time(test: TestDb) {
        const ACCOUNTS: usize = 40;
        let gate = Arc::new(Semaphore::new(0));
        let calls = watch::Sender::new(Calls::default());
        let endpoint = {
            let (gate, calls) = (Arc::clone(&gate), calls.clone());
            post(async move || {
                let _call = Call::begun(calls);
                gate.acquire().await.unwrap().forget();
            })
        };
        let app = App::started_with(&test, |_| Router::new().route("/slow/revoke", endpoint)).await;
        let mut pattern = app.oauth_pattern();
        pattern["oauth_config"]["revocation_uri"] = json!(app.upstream.url("/slow/revoke"));
        app.oauth_with("sandbox", pattern, json!({}), |_| {}).await;
        let acme = organization(&app, "Acme").await;
        for number in 0..ACCOUNTS {
            let new = NewAccount {
                organization_id: acme.to_string(),
                credential: tokens("access", &format!("refresh-{number}")),
                ..of_user(&format!("user-{number}"))
            };
            app.account("sandbox", new).await;
        }
        delete(&app, acme).await;
        let kit = app.kit.clone();
        let job = tokio::spawn(async move { kit.work_off().await });
        let mut seen = calls.subscribe();
        seen.wait_for(|calls| calls.under_way >= 32).await.unwrap();
        gate.add_permits(ACCOUNTS);
        assert_eq!(job.await.unwrap().unwrap(), 1);
        seen.wait_for(|calls| calls.begun == ACCOUNTS).await.unwrap();
        assert_eq!(calls.borrow().most, 32);
    }

    /// AK-213, part of AK-214, part of DR-010, part of AK-121: accounts that their connector does not fit any more go like others.
    async fn accounts_that_cannot_be_read_can_go(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let acme = organization(&app, "Acme").await;
        let ada = app.connected(&connection, "ada").await;
        let (bob, cy) = (app.connected(&connection, "bob").await, member(&app, &acme.to_string(), "cy").await);
        test.run("UPDATE custom_providers SET document = replace(document, 'OAUTH', 'BEARER')").await.unwrap();
        assert!(app.kit.grounds(app.env, by_id(ada)).await.is_err(), "it cannot be read");
        let (cut, _) = app.kit.disconnect_account(app.env, &app.actor, by_id(ada)).await.unwrap();
        assert_eq!((cut.status, app.row(ada).await.credential), (AccountStatus::Disconnected, None));
        app.kit.delete_account(app.env, &app.actor, by_id(ada)).await.unwrap();
        assert!(!exists(&app, ada).await);
        delete(&app, acme).await;
        app.kit.work_off().await.unwrap();
        assert!(!exists(&app, cy).await);

        // A removal that was given up is queued again when it is asked for again.
        app.kit.force_delete_connection(app.env, &app.actor, connection.id).await.unwrap();
        assert_eq!(test.run("UPDATE jobs SET state = 'dead', attempts = 20").await.unwrap(), 1);
        assert_eq!(app.kit.work_off().await.unwrap(), 0);
        app.kit.force_delete_connection(app.env, &app.actor, connection.id).await.unwrap();
        assert_eq!(app.kit.work_off().await.unwrap(), 1);
        assert!(!exists(&app, bob).await);
        assert_eq!(queued(&app).await, 0);
    }

    /// Part of AK-019: a connector keeps the kinds of authentication that its connections use.
    async fn a_kind_in_use_is_not_taken_away(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let patch = |patterns: Value| CustomProviderPatch {
            display_name: "sandbox".to_owned(),
            description: None,
            auth_patterns: Some(patterns),
            proxy_url: app.api(),
            proxy_enabled: None,
            icon_src: None,
            metadata: None,
        };
        let bearer = json!({"type": "BEARER", "fields": [{"field_name": "token"}]});
        let change = |patterns: Value| {
            app.kit.update_custom_provider(app.env, &app.actor, &connection.provider_key, patch(patterns))
        };
        let refused = change(json!([bearer])).await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::FailedPrecondition);
        assert!(refused.to_string().contains("`sandbox` uses OAUTH"), "{refused}");
        change(json!([bearer, app.oauth_pattern()])).await.unwrap();
        change(json!([app.oauth_pattern()])).await.unwrap();
    }

    /// Part of DR-010: a process that dies in the middle leaves the rest to another one, once its lease has ended.
    async fn another_process_finishes_a_removal(test: TestDb) {
        let app = App::started(&test).await;
        app.oauth().await;
        let acme = organization(&app, "Acme").await;
        let (ada, bob) = (member(&app, &acme.to_string(), "ada").await, member(&app, &acme.to_string(), "bob").await);
        delete(&app, acme).await;

        let (ctx, now) = (app.kit.ctx(), app.kit.ctx().clock.now());
        let mut tx = ctx.db.begin_admin().await.unwrap();
        let claimed = jobs::claim(&mut tx, "dead-node", now, now.plus(Duration::from_secs(60)), 1).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(claimed.len(), 1);
        app.kit.delete_account(app.env, &app.actor, by_id(ada)).await.unwrap();

        let node = app.node(test.db.clone(), 2);
        assert_eq!(node.work_off().await.unwrap(), 0, "the lease of the other one");
        assert!(exists(&app, bob).await);
        app.clock.advance(Duration::from_secs(61));
        assert_eq!(node.work_off().await.unwrap(), 1);
        assert!(!exists(&app, bob).await);
        assert_eq!(queued(&app).await, 0);
        assert_eq!(deletions(&app, acme).await.len(), 2);
    }

    /// Part of DR-010: a deletion that is not committed touches no account.
    async fn a_deletion_that_fails_removes_nothing(test: TestDb) {
        let app = App::started(&test).await;
        app.oauth().await;
        let acme = organization(&app, "Acme").await;
        let ada = member(&app, &acme.to_string(), "ada").await;
        let mut tx = app.kit.ctx().db.begin(app.env).await.unwrap();
        organizations::delete(&mut tx, app.kit.ctx(), &app.actor, &Selector::Id(acme)).await.unwrap();
        let removal = app.kit.remove_accounts_of(&mut tx, &app.actor, acme).await.unwrap();
        drop((tx, removal));
        assert_eq!(queued(&app).await, 0);
        assert_eq!(app.get(ada, "/me").await.unwrap().status, 200);
        // Nor does a deletion in another environment.
        let elsewhere = app.another_environment("Elsewhere").await;
        let mut tx = app.kit.ctx().db.begin(elsewhere).await.unwrap();
        let removal = app.kit.remove_accounts_of(&mut tx, &app.actor, acme).await.unwrap();
        tx.commit().await.unwrap();
        app.kit.start_removal(&removal);
        assert_eq!((queued(&app).await, app.kit.work_off().await.unwrap()), (0, 0));
        assert_eq!(app.get(ada, "/me").await.unwrap().status, 200);
    }

    /// Part of AK-121: by force a connection goes with its accounts, whose grants are revoked.
    async fn a_connection_goes_with_its_accounts_by_force(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let ada = app.connected(&connection, "ada").await;
        app.account("sandbox", of_user("bob")).await;
        let refused = app.kit.delete_connection(app.env, &app.actor, connection.id).await.unwrap_err();
        assert!(matches!(refused, Error::ConnectionInUse(2)), "{refused}");

        app.kit.force_delete_connection(app.env, &app.actor, connection.id).await.unwrap();
        assert_eq!(refusal(&app, ada).await, ErrorCode::ConnectionNotEnabled);
        // Asked twice it is done once.
        app.kit.force_delete_connection(app.env, &app.actor, connection.id).await.unwrap();
        assert_eq!((queued(&app).await, app.kit.work_off().await.unwrap()), (1, 1));
        let gone = app.kit.connection(app.env, connection.id).await.unwrap_err();
        assert!(matches!(gone, Error::ConnectionNotFound(_)), "{gone}");
        assert!(!exists(&app, ada).await);
        app.upstream.wait_for("revoked_families", 1).await;
        let again = app.kit.force_delete_connection(app.env, &app.actor, connection.id).await.unwrap_err();
        assert!(matches!(again, Error::ConnectionNotFound(_)), "{again}");
    }
}
