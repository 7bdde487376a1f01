//! Which of several sites or tenants of a grant is meant (AK-013).

use crate::{
    fixture::{App, by_id, object, of_user},
    minted::{Script, authorized, connected_to, ok, token_at},
};
use axum::{
    Json, Router,
    extract::Request,
    http::Uri,
    routing::{any, get},
};
use keystead_agentkit::{
    accounts::{AccountPatch, AccountStatus},
    connections::Connection,
    links::{CallbackEnd, CallbackError, OpenLink},
    providers::{AuthPattern, RevocationScope},
    settings::Verification,
};
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::Secret;
use serde_json::{Value, json};
use std::time::Duration;

/// A provider with these sites and tenants.
pub(crate) async fn started(test: &TestDb, sites: Value, tenants: Value) -> (App, Script) {
    let script = Script::default();
    let (calls, others) = (script.clone(), script.clone());
    let routes = Router::new()
        .route(
            "/oauth/token/accessible-resources",
            get(async || Json(sites)),
        )
        .route("/connections", get(async || Json(tenants)))
        .route(
            "/ex/{*rest}",
            any(async move |uri: Uri, request: Request| calls.note(&uri, &request)),
        )
        .route(
            "/script/api/{*rest}",
            any(async move |uri: Uri, request: Request| others.note(&uri, &request)),
        );
    let app = App::started_with(test, |_| routes).await;
    (app, script)
}

pub(crate) fn two_sites() -> Value {
    json!([
        {"id": "cloud-1", "name": "Acme", "url": "https://acme.atlassian.net", "scopes": ["read:jira-work"]},
        {"id": "cloud-2", "name": "Beta", "url": "https://beta.atlassian.net", "scopes": ["read:jira-work"]},
        {"id": "cloud-3", "name": "Wiki", "url": "https://wiki.atlassian.net", "scopes": ["read:page:confluence"]},
    ])
}

pub(crate) async fn jira(app: &mut App) -> Connection {
    let token = token_at("/sandbox/provider/token");
    let revocable = |pattern: &mut AuthPattern, app: &App| {
        token(pattern, app);
        let oauth = pattern.oauth_config.get_or_insert_default();
        oauth.revocation_uri = Some(app.upstream.url("/sandbox/provider/revoke"));
        oauth.revocation_scope = Some(RevocationScope::Grant);
    };
    let connection = connected_to(app, "JIRA", "/ex/jira/{{cloud_id}}", revocable).await;
    let (id, secret) = (keystead_sandbox::CLIENT_ID, keystead_sandbox::CLIENT_SECRET);
    app.configure(connection, id, secret, |_| {}).await
}

/// Ada's consent, and the browser it was given in.
pub(crate) async fn consented(
    app: &App,
    connection: &Connection,
) -> (OpenLink, Secret<String>, CallbackEnd) {
    let link = app.link("c", "ada").await;
    let consent = app.kit.begin_consent(app.env, &link).await.unwrap();
    let back = app.upstream.allow(&consent).await;
    let end = app
        .kit
        .finish_consent(app.env, connection.id, Some(&back.browser), &back.query)
        .await;
    (link, back.browser, end.unwrap())
}

pub(crate) fn asked(end: CallbackEnd) -> Secret<String> {
    match end {
        CallbackEnd::Choose(request) => request,
        other => panic!("{other:?}"),
    }
}

on_both_engines! {
    /// AK-013, AK-012: with several sites of the product the user chooses one, once and in the browser
    /// that consented; until then the account is as it was, and then every address has the site.
    async fn the_user_chooses_among_several_sites(test: TestDb) {
        let (mut app, script) = started(&test, two_sites(), json!([])).await;
        let connection = jira(&mut app).await;
        let (link, browser, end) = consented(&app, &connection).await;
        let (request, id) = (asked(end), link.grounds.account.id);
        assert_eq!(app.status(id).await, AccountStatus::PendingAuth);

        let kit = &app.kit;
        let question = kit.place_to_choose(app.env, Some(&browser), &request).await.unwrap().question;
        assert_eq!((question.name.as_str(), question.noun.as_str()), ("cloud_id", "site"));
        let offered: Vec<&str> = question.places.iter().map(|place| place.value.as_str()).collect();
        assert_eq!(offered, ["cloud-1", "cloud-2"], "of the product only");

        // Another browser, none, another environment, and an answer that nobody offered.
        let other = Secret::new("x".repeat(43));
        let elsewhere = app.another_environment("Other").await;
        for (env, browser) in [(app.env, Some(&other)), (app.env, None), (elsewhere, Some(&browser))] {
            let refused = kit.choose_place(env, browser, &request, "cloud-2").await;
            assert!(matches!(refused, Err(CallbackError::InvalidState)), "{refused:?}");
            let refused = kit.place_to_choose(env, browser, &request).await;
            assert!(matches!(refused, Err(CallbackError::InvalidState)));
        }
        for wrong in ["", "cloud-3", "evil"] {
            let end = kit.choose_place(app.env, Some(&browser), &request, wrong).await.unwrap();
            assert!(end.is_none(), "{wrong}");
        }
        assert_eq!(app.status(id).await, AccountStatus::PendingAuth);

        let end = kit.choose_place(app.env, Some(&browser), &request, "cloud-2").await.unwrap();
        assert!(matches!(end, Some(CallbackEnd::Connected)), "{end:?}");
        let again = kit.choose_place(app.env, Some(&browser), &request, "cloud-1").await;
        assert!(matches!(again, Err(CallbackError::InvalidState)), "{again:?}");
        assert_eq!(app.read(id).await.api_config["cloud_id"], "cloud-2");
        ok(&app, id).await;
        assert_eq!(script.last().0, "/ex/jira/cloud-2/x");
    }

    /// Part of AK-013: two answers at the same moment connect the account once.
    async fn two_answers_at_once_connect_once(test: TestDb) {
        let (mut app, _) = started(&test, two_sites(), json!([])).await;
        let connection = jira(&mut app).await;
        let (link, browser, end) = consented(&app, &connection).await;
        let request = asked(end);
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..6 {
            let (kit, env, browser, request) = (app.kit.clone(), app.env, browser.clone(), request.clone());
            tasks.spawn(async move { kit.choose_place(env, Some(&browser), &request, "cloud-1").await.is_ok() });
        }
        let done = tasks.join_all().await.into_iter().filter(|done| *done).count();
        assert_eq!((done, app.status(link.grounds.account.id).await), (1, AccountStatus::Active));
    }

    /// Part of AK-013: a grant that waits too long, or whose link was finished by another one, is not
    /// stored; the request is no `state` of a callback.
    async fn a_question_ends_with_its_time_and_its_link(test: TestDb) {
        let (mut app, _) = started(&test, two_sites(), json!([])).await;
        let connection = jira(&mut app).await;
        let (link, browser, end) = consented(&app, &connection).await;
        let late = asked(end);
        let query = format!("code=x&state={}", late.expose());
        let posed = app.kit.finish_consent(app.env, connection.id, Some(&browser), &query).await;
        assert!(matches!(posed, Err(CallbackError::InvalidState)), "{posed:?}");
        app.clock.advance(Duration::from_secs(15 * 60 + 1));
        let refused = app.kit.choose_place(app.env, Some(&browser), &late, "cloud-1").await;
        assert!(matches!(refused, Err(CallbackError::InvalidState)), "{refused:?}");

        let (_, browser, end) = consented(&app, &connection).await;
        let first = asked(end);
        let (_, other, end) = consented(&app, &connection).await;
        app.kit.choose_place(app.env, Some(&other), &asked(end), "cloud-1").await.unwrap();
        let refused = app.kit.choose_place(app.env, Some(&browser), &first, "cloud-2").await;
        assert!(matches!(refused, Err(CallbackError::SessionExpired)), "{refused:?}");
        let id = link.grounds.account.id;
        assert_eq!(app.read(id).await.api_config["cloud_id"], "cloud-1");
    }

    /// Part of AK-013, AK-321, AK-323: the application verifies its user after the choice, and until
    /// then a connected account keeps its site.
    async fn the_choice_waits_for_verification_too(test: TestDb) {
        let (mut app, script) = started(&test, two_sites(), json!([])).await;
        let connection = jira(&mut app).await;
        let (link, browser, end) = consented(&app, &connection).await;
        app.kit.choose_place(app.env, Some(&browser), &asked(end), "cloud-1").await.unwrap();
        let id = link.grounds.account.id;
        // The developer takes the site away, so that the next consent asks again.
        let patch = AccountPatch { api_config: object(json!({"cloud_id": null})), ..AccountPatch::default() };
        app.kit.update_account(app.env, &app.actor, by_id(id), patch).await.unwrap();
        app.verify(Verification::PlatformUsers).await;
        let (_, browser, end) = consented(&app, &connection).await;
        let end = app.kit.choose_place(app.env, Some(&browser), &asked(end), "cloud-2").await.unwrap();
        let Some(CallbackEnd::SignIn(request)) = end else { panic!("{end:?}") };
        assert_eq!(app.status(id).await, AccountStatus::PendingVerification);
        assert!(!app.read(id).await.api_config.contains_key("cloud_id"));
        app.kit.verify_member(app.env, &app.actor, &request).await.unwrap();
        ok(&app, id).await;
        assert_eq!(script.last().0, "/ex/jira/cloud-2/x");
    }

    /// Part of AK-013: a site that is set already is not asked for, and neither is the only one; one
    /// that the grant is not good for does not count.
    async fn nobody_is_asked_what_is_known(test: TestDb) {
        for (set, sites, chosen) in [
            (json!({"cloud_id": "cloud-2"}), two_sites(), "cloud-2"),
            (json!({"path_variables": {"cloud_id": "cloud-2"}}), two_sites(), "cloud-2"),
            (json!({}), json!([{"id": "cloud-9"}]), "cloud-9"),
            (json!({"cloud_id": "gone"}), json!([{"id": "cloud-9"}]), "cloud-9"),
        ] {
            let Some(test) = TestDb::on(test.db.engine()).await else { return };
            let (mut app, script) = started(&test, sites, json!([])).await;
            let connection = jira(&mut app).await;
            let id = app.account("c", of_user("ada")).await.account.id;
            let patch = AccountPatch { api_config: object(set), ..AccountPatch::default() };
            app.kit.update_account(app.env, &app.actor, by_id(id), patch).await.unwrap();
            let (_, _, end) = consented(&app, &connection).await;
            assert!(matches!(end, CallbackEnd::Connected), "{end:?}");
            assert_eq!(app.read(id).await.api_config["cloud_id"], chosen);
            ok(&app, id).await;
            assert_eq!(script.last().0, format!("/ex/jira/{chosen}/x"));
        }
    }

    /// Part of AK-013: Xero's tenant is named in a header of every call; with several the user chooses.
    async fn xero_calls_name_the_tenant(test: TestDb) {
        let one = json!([{"tenantId": "tenant-1"}]);
        let two = json!([
            {"tenantId": "tenant-1", "tenantName": "Acme GmbH"},
            {"tenantId": "tenant-2", "tenantName": "Beta Ltd"},
        ]);
        for tenants in [one, two] {
            let Some(test) = TestDb::on(test.db.engine()).await else { return };
            let several = tenants.as_array().unwrap().len() > 1;
            let (mut app, script) = started(&test, json!([]), tenants).await;
            let connection =
                connected_to(&mut app, "XERO", "/script/api", token_at("/sandbox/provider/token")).await;
            let id = if several {
                let (client, secret) = (keystead_sandbox::CLIENT_ID, keystead_sandbox::CLIENT_SECRET);
                let connection = app.configure(connection, client, secret, |_| {}).await;
                let (link, browser, end) = consented(&app, &connection).await;
                let request = asked(end);
                let asked = app.kit.place_to_choose(app.env, Some(&browser), &request).await.unwrap();
                assert_eq!((asked.question.noun.as_str(), asked.question.places[1].label.as_str()), ("organisation", "Beta Ltd"));
                app.kit.choose_place(app.env, Some(&browser), &request, "tenant-2").await.unwrap();
                link.grounds.account.id
            } else {
                authorized(&app, connection).await
            };
            let mut call = crate::fixture::call(id, http::Method::GET, "/x");
            // SECURITY: the caller cannot name a tenant that the user did not choose.
            call.headers.insert("xero-tenant-id", http::HeaderValue::from_static("tenant-3"));
            app.send(call).await.unwrap();
            assert_eq!(script.last().1["xero-tenant-id"], if several { "tenant-2" } else { "tenant-1" });
        }
    }

    /// Part of AK-013: a grant without any site connects nothing.
    async fn a_grant_without_a_site_is_refused(test: TestDb) {
        let (mut app, _) = started(&test, json!([]), json!([])).await;
        let connection = jira(&mut app).await;
        let link = app.link("c", "ada").await;
        let consent = app.kit.begin_consent(app.env, &link).await.unwrap();
        let back = app.upstream.allow(&consent).await;
        let end = app.kit.finish_consent(app.env, connection.id, Some(&back.browser), &back.query).await;
        assert!(matches!(end, Err(CallbackError::PostAuth(_))), "{end:?}");
        assert_eq!(app.status(link.grounds.account.id).await, AccountStatus::PendingAuth);
    }
}
