//! Values that only the provider knows, read after the consent (AK-013), against an upstream that
//! writes down what it was asked.

use crate::{
    fixture::{App, by_id, object},
    minted::{Script, authorized, connected_to, ok, token_at},
};
use axum::{
    Json, Router,
    extract::Request,
    http::Uri,
    routing::{any, get, post},
};
use keystead_agentkit::{
    accounts::{AccountPatch, AccountStatus},
    connections::Connection,
    links::CallbackError,
};
use keystead_testkit::{engines::TestDb, on_both_engines};
use serde_json::{Value, json};

/// A token endpoint that names `instance_url`.
fn issuing(instance: &'static str) -> axum::routing::MethodRouter {
    post(async move || Json(json!({"access_token": "sf", "instance_url": instance})))
}

/// Provider whose API lists `versions`.
pub(crate) async fn started(test: &TestDb, versions: Value) -> (App, Script) {
    let script = Script::default();
    let note = script.clone();
    let routes = Router::new()
        .route(
            "/script/salesforce",
            issuing("https://acme.my.salesforce.com"),
        )
        .route("/script/elsewhere", issuing("https://evil.test"))
        .route(
            "/script/api/services/data/",
            get({
                let script = script.clone();
                async move |uri: Uri, request: Request| {
                    script.note(&uri, &request);
                    Json(versions)
                }
            }),
        )
        .route(
            "/script/api/{*rest}",
            any(async move |uri: Uri, request: Request| note.note(&uri, &request)),
        );
    let app = App::started_with(test, |_| routes).await;
    (app, script)
}

pub(crate) async fn salesforce(app: &mut App, token: &'static str) -> Connection {
    connected_to(app, "SALESFORCE", "/script/api", token_at(token)).await
}

pub(crate) fn versions(listed: &[&str]) -> Value {
    listed
        .iter()
        .map(|version| json!({"label": "Some '25", "version": version}))
        .collect()
}

on_both_engines! {
    /// Part of AK-013, AK-012: Salesforce names the user's own host, which lists the versions of its
    /// API: the newest is kept, and calls can be made with both.
    async fn salesforce_names_the_instance_and_its_newest_version(test: TestDb) {
        let (mut app, script) = started(&test, versions(&["65.0", "9.0", "100.0", "66.0", "odd"])).await;
        let connection = salesforce(&mut app, "/script/salesforce").await;
        let id = authorized(&app, connection).await;
        let asked = script.last();
        assert_eq!(asked.0, "/script/api/services/data/");
        assert!(!asked.1.contains_key("authorization"), "the list is public: {asked:?}");
        let grounds = app.kit.grounds(app.env, by_id(id)).await.unwrap();
        assert_eq!(grounds.credential.domain, "acme.my.salesforce.com");
        let config = app.read(id).await.api_config;
        assert_eq!((&config["domain"], &config["version"]), (&json!("acme.my.salesforce.com"), &json!("v100.0")));

        // As a connector uses it: the version is part of every address.
        let mut provider = app.kit.catalogue().find("SALESFORCE").unwrap().as_ref().clone();
        provider.proxy_url = app.upstream.url("/script/api/services/data/{{version}}");
        app.kit = app.kit_with(provider);
        ok(&app, id).await;
        assert_eq!(script.last().0, "/script/api/services/data/v100.0/x");
        assert_eq!(script.last().1["authorization"], "Bearer sf");
    }

    /// Part of AK-013: a version that the developer set stays, as long as the org has it.
    async fn a_version_that_is_set_is_kept_if_the_org_has_it(test: TestDb) {
        for (set, kept) in [("v65.0", "v65.0"), ("65.0", "v65.0"), ("v12.0", "v66.0")] {
            let Some(test) = TestDb::on(test.db.engine()).await else { return };
            let (mut app, _) = started(&test, versions(&["65.0", "66.0"])).await;
            let connection = salesforce(&mut app, "/script/salesforce").await;
            let id = app.account("c", crate::fixture::of_user("ada")).await.account.id;
            let patch = AccountPatch { api_config: object(json!({"version": set})), ..AccountPatch::default() };
            app.kit.update_account(app.env, &app.actor, by_id(id), patch).await.unwrap();
            assert_eq!(authorized(&app, connection).await, id);
            assert_eq!(app.read(id).await.api_config["version"], kept, "{set}");
        }
    }

    /// Part of AK-013, AK-471: a host that is not Salesforce's becomes nobody's, and is asked for nothing.
    async fn a_host_that_is_not_the_providers_ends_the_consent(test: TestDb) {
        for (token, listed, said) in [
            ("/script/elsewhere", versions(&["66.0"]), "evil.test"),
            ("/script/salesforce", json!([]), "an API version"),
            ("/script/salesforce", json!({"error": "no"}), "an API version"),
        ] {
            let Some(test) = TestDb::on(test.db.engine()).await else { return };
            let (mut app, script) = started(&test, listed).await;
            let connection = salesforce(&mut app, token).await;
            let (client, secret) = (keystead_sandbox::CLIENT_ID, keystead_sandbox::CLIENT_SECRET);
            let connection = app.configure(connection, client, secret, |_| {}).await;
            let link = app.link("c", "ada").await;
            let consent = app.kit.begin_consent(app.env, &link).await.unwrap();
            let back = app.upstream.allow(&consent).await;
            let end = app.kit.finish_consent(app.env, connection.id, Some(&back.browser), &back.query).await;
            let Err(CallbackError::PostAuth(why)) = end else { panic!("{end:?}") };
            assert!(why.contains(said), "{why}");
            assert_eq!(app.status(link.grounds.account.id).await, AccountStatus::PendingAuth);
            let asked = script.calls.lock().unwrap().len();
            assert_eq!(asked, usize::from(said != "evil.test"));
        }
    }
}
