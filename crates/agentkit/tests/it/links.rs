//! From the link to a live credential (AK-300..AK-326).

use crate::fixture::{App, by_id, named, param, parts};
use keystead_agentkit::{
    Error,
    accounts::{AccountKey, AccountStatus},
    connections::Connection,
    links::{CallbackEnd, CallbackError, Consent, NewLink, OpenLink},
    settings::{Settings, Verification},
};
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::Secret;
use serde_json::json;
use std::time::Duration;
use url::Url;

const VERIFY: &str = "https://app.example.com/user/verify?tenant=7";

/// A link whose user the application verifies.
pub(crate) fn verified(identifier: &str) -> NewLink {
    NewLink {
        key: named("sandbox", identifier),
        state: "Zk3 &=".to_owned(),
        user_verify_url: VERIFY.to_owned(),
    }
}

/// Consents on a link that needs verification: what `verify_user` takes.
pub(crate) async fn waiting(app: &App, connection: &Connection, new: NewLink) -> Secret<String> {
    let link = app.link_with(new).await;
    request_of(&app.consent(connection.id, &link).await)
}

pub(crate) fn request_of(end: &CallbackEnd) -> Secret<String> {
    match end {
        CallbackEnd::Application(url) => Secret::new(param(url, "auth_request_id").unwrap()),
        CallbackEnd::SignIn(request) => request.clone(),
        CallbackEnd::Connected | CallbackEnd::Choose(_) => panic!("nothing waits"),
    }
}

pub(crate) async fn verify(
    app: &App,
    request: &Secret<String>,
    identifier: &str,
) -> Result<String, Error> {
    app.kit
        .verify_user(app.env, &app.actor, request, identifier)
        .await
}

/// The subject of the provider that the account acts for now.
pub(crate) async fn acts_for(app: &App, key: AccountKey) -> String {
    let id = app.kit.account(app.env, key).await.unwrap().id;
    let answer = app.get(id, "/me").await.unwrap();
    answer.json()["principal"]["subject"]
        .as_str()
        .unwrap()
        .to_owned()
}

pub(crate) async fn finish(
    app: &App,
    connection: &Connection,
    browser: Option<&Secret<String>>,
    query: &str,
) -> Result<CallbackEnd, CallbackError> {
    app.kit
        .finish_consent(app.env, connection.id, browser, query)
        .await
}

pub(crate) async fn begin(app: &App, link: &OpenLink) -> Consent {
    app.kit.begin_consent(app.env, link).await.unwrap()
}

on_both_engines! {
    /// Part of AK-106, part of AK-216, AK-300, part of AK-303, AK-308, part of AK-309, part of AK-302: without
    /// verification the consent alone connects.
    async fn a_consent_connects_the_account(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let made = app.kit.create_link(app.env, &app.actor, NewLink { key: named("sandbox", "ada"), ..NewLink::default() }).await.unwrap();
        assert_eq!(made.account.status, AccountStatus::PendingAuth, "created by the link");
        assert_eq!(made.expires_at, app.kit.ctx().clock.now().plus(Duration::from_secs(3600)));
        let url = Url::parse(made.url.expose()).unwrap();
        assert_eq!((url.scheme(), url.path()), ("https", "/oauth/connect"));
        let (token, nonce) = parts(&made.url);
        assert!(token.expose().len() >= 43 && !nonce.is_empty());
        let link = app.kit.open_link(app.env, &token, &nonce).await.unwrap();
        let consent = begin(&app, &link).await;
        let asked = |name: &str| param(&consent.url, name);
        assert_eq!(asked("response_type").as_deref(), Some("code"));
        assert_eq!(asked("client_id").as_deref(), Some(keystead_sandbox::CLIENT_ID));
        assert_eq!(asked("scope").as_deref(), Some("read write"));
        assert_eq!(asked("code_challenge_method").as_deref(), Some("S256"));
        assert_eq!(asked("code_challenge").map(|text| text.len()), Some(43));
        assert!(asked("state").is_some_and(|state| state.len() >= 22));
        let redirect = app.kit.redirect_uri(app.env, connection.id).await.unwrap();
        assert!(redirect.ends_with(&format!("/sso/v1/oauth/{}/callback", connection.id)), "{redirect}");
        assert_eq!(asked("redirect_uri"), Some(redirect.clone()));
        let back = app.upstream.allow(&consent).await;
        assert!(back.url.as_str().starts_with(&redirect), "{}", back.url);
        let before = app.happened().await.len();
        let end = finish(&app, &connection, Some(&back.browser), &back.query).await.unwrap();
        assert!(matches!(end, CallbackEnd::Connected));
        assert_eq!(app.happened_since(before).await, ["oauth_tokens_fetched", "oauth_succeeded", "PENDING_AUTH>ACTIVE"]);
        let account = app.read(made.account.id).await;
        assert_eq!(account.status, AccountStatus::Active);
        assert_eq!(account.scopes, ["read", "write"], "AK-216");
        assert_eq!(account.token_expires_at, Some(app.kit.ctx().clock.now().plus(Duration::from_secs(3600))));
        assert_eq!(app.upstream.counter("code_exchanges").await, 1);
        assert_eq!(acts_for(&app, named("sandbox", "ada")).await, "u-ada");
        // The link is used up (AK-301).
        assert!(matches!(app.kit.open_link(app.env, &token, &nonce).await, Err(Error::AuthRequestNotFound)));
    }

    /// AK-301: opening a link any number of times does not use it up; its parts are one secret.
    async fn opening_a_link_does_not_use_it_up(test: TestDb) {
        let app = App::started(&test).await;
        app.oauth().await;
        let made = app.kit.create_link(app.env, &app.actor, NewLink { key: named("sandbox", "ada"), ..NewLink::default() }).await.unwrap();
        let (token, nonce) = parts(&made.url);
        for _ in 0..3 {
            let link = app.kit.open_link(app.env, &token, &nonce).await.unwrap();
            begin(&app, &link).await;
        }
        let other = app.another_environment("Other").await;
        for refused in [
            app.kit.open_link(app.env, &token, "other").await,
            app.kit.open_link(app.env, &Secret::new("other".to_owned()), &nonce).await,
            app.kit.open_link(other, &token, &nonce).await,
        ] {
            assert!(matches!(refused, Err(Error::AuthRequestNotFound)));
        }
    }

    /// Part of AK-302
    async fn a_link_runs_out(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let settings = Settings { verification: Verification::None, link_seconds: 120, ..Settings::default() };
        app.kit.update_settings(app.env, &app.actor, false, |stored| *stored = settings).await.unwrap();
        let made = app.kit.create_link(app.env, &app.actor, NewLink { key: named("sandbox", "ada"), ..NewLink::default() }).await.unwrap();
        let (token, nonce) = parts(&made.url);
        let link = app.kit.open_link(app.env, &token, &nonce).await.unwrap();
        let consent = begin(&app, &link).await;
        let back = app.upstream.allow(&consent).await;
        app.clock.advance(Duration::from_secs(119));
        app.kit.open_link(app.env, &token, &nonce).await.unwrap();
        app.clock.advance(Duration::from_secs(1));
        assert!(matches!(app.kit.open_link(app.env, &token, &nonce).await, Err(Error::AuthRequestNotFound)));
        let late = finish(&app, &connection, Some(&back.browser), &back.query).await.unwrap_err();
        assert!(matches!(late, CallbackError::SessionExpired), "{late:?}");
        assert_eq!(app.status(made.account.id).await, AccountStatus::PendingAuth);
        assert_eq!(app.upstream.counter("code_exchanges").await, 0);
    }

    /// Part of AK-309, 4.3: a state that was forged, used, or belongs to another browser, connection or
    /// environment never reaches the token endpoint.
    async fn a_state_works_once_in_its_browser_and_connection(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let other = app.oauth_with("other", app.oauth_pattern(), json!({}), |_| {}).await;
        let environment = app.another_environment("Other").await;
        let link = app.link("sandbox", "ada").await;
        let consent = begin(&app, &link).await;
        let second = begin(&app, &link).await;
        let back = app.upstream.allow(&consent).await;
        let forged = back.query.replace(&param(&back.url, "state").unwrap(), "forged");
        let refused = [
            finish(&app, &connection, Some(&back.browser), &forged).await,
            finish(&app, &connection, None, &back.query).await,
            finish(&app, &connection, Some(&second.browser), &back.query).await,
            finish(&app, &other, Some(&back.browser), &back.query).await,
            app.kit.finish_consent(environment, connection.id, Some(&back.browser), &back.query).await,
        ];
        for (index, refused) in refused.into_iter().enumerate() {
            assert!(matches!(refused, Err(CallbackError::InvalidState)), "{index}: {refused:?}");
        }
        let stateful = format!("state={}", param(&back.url, "state").unwrap());
        for (browser, unreadable) in [(Some(&back.browser), "code=x"), (Some(&back.browser), ""), (None, stateful.as_str())] {
            let refused = finish(&app, &connection, browser, unreadable).await;
            assert!(matches!(refused, Err(CallbackError::Unreadable(_))), "{unreadable}: {refused:?}");
        }
        assert_eq!(app.upstream.counter("token_requests").await, 0);
        finish(&app, &connection, Some(&back.browser), &back.query).await.unwrap();
        let again = finish(&app, &connection, Some(&back.browser), &back.query).await;
        assert!(matches!(again, Err(CallbackError::InvalidState)), "{again:?}");
        assert_eq!(app.upstream.counter("token_requests").await, 1);
    }

    /// Part of AK-309: a trip to the provider lasts 15 minutes.
    async fn a_trip_to_the_provider_runs_out(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let link = app.link("sandbox", "ada").await;
        let consent = begin(&app, &link).await;
        let back = app.upstream.allow(&consent).await;
        app.clock.advance(Duration::from_secs(15 * 60));
        let late = finish(&app, &connection, Some(&back.browser), &back.query).await;
        assert!(matches!(late, Err(CallbackError::InvalidState)), "{late:?}");
    }

    /// AK-301, 4.2.4: of two links of an account the first that is finished voids the other, also
    /// when its consent was given already.
    async fn two_browsers_finish_two_links(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let (first, second) = (app.link("sandbox", "ada").await, app.link("sandbox", "ada").await);
        let (one, two) = (begin(&app, &first).await, begin(&app, &second).await);
        let (one, two) = (app.upstream.allow(&one).await, app.upstream.decide(&two, "u-bo", "allow").await);
        finish(&app, &connection, Some(&two.browser), &two.query).await.unwrap();
        let late = finish(&app, &connection, Some(&one.browser), &one.query).await;
        assert!(matches!(late, Err(CallbackError::SessionExpired)), "{late:?}");
        assert_eq!(acts_for(&app, named("sandbox", "ada")).await, "u-bo");
        // The same with grants that wait.
        let first = waiting(&app, &connection, verified("cy")).await;
        let second = waiting(&app, &connection, verified("cy")).await;
        verify(&app, &first, "cy").await.unwrap();
        assert!(matches!(verify(&app, &second, "cy").await, Err(Error::AuthRequestNotFound)));
    }

    /// AK-301, AK-213: at the very same moment, too, one of them wins and the other learns it; the
    /// tokens that lost are revoked at the provider, those that won are not.
    async fn two_browsers_finish_one_link_at_once(test: TestDb) {
        let app = App::started(&test).await;
        let mut pattern = app.oauth_pattern();
        pattern["oauth_config"]["revocation_scope"] = json!("grant");
        let connection = app.oauth_with("sandbox", pattern, json!({}), |_| {}).await;
        let link = app.link("sandbox", "ada").await;
        // Neither gets its tokens before the other has asked for its own.
        app.upstream.chaos(json!({"token_delay_ms": 300})).await;
        let mut tasks = tokio::task::JoinSet::new();
        for user in ["u-ada", "u-bo"] {
            let consent = begin(&app, &link).await;
            let back = app.upstream.decide(&consent, user, "allow").await;
            let (kit, env, id) = (app.kit.clone(), app.env, connection.id);
            tasks.spawn(async move { kit.finish_consent(env, id, Some(&back.browser), &back.query).await.is_ok() });
        }
        assert_eq!(tasks.join_all().await.into_iter().filter(|won| *won).count(), 1);
        assert_eq!(app.upstream.counter("code_exchanges").await, 2);
        let id = link.grounds.account.id;
        assert_eq!(app.row(id).await.credential_version, 1);
        app.upstream.wait_for("revoked_families", 1).await;
        acts_for(&app, by_id(id)).await;
        assert_eq!(app.upstream.counter("revoked_families").await, 1);
    }

    /// AK-301, AK-213, AK-322: the same with grants that wait: verifying one revokes the other, and
    /// so does never verifying it.
    async fn grants_that_nobody_uses_are_revoked(test: TestDb) {
        let app = App::started(&test).await;
        let mut pattern = app.oauth_pattern();
        pattern["oauth_config"]["revocation_scope"] = json!("grant");
        let connection = app.oauth_with("sandbox", pattern, json!({}), |_| {}).await;
        let link = app.link_with(verified("ada")).await;
        let (one, two) = (begin(&app, &link).await, begin(&app, &link).await);
        let (one, two) = (app.upstream.allow(&one).await, app.upstream.decide(&two, "u-bo", "allow").await);
        let first = finish(&app, &connection, Some(&one.browser), &one.query).await.unwrap();
        finish(&app, &connection, Some(&two.browser), &two.query).await.unwrap();
        verify(&app, &request_of(&first), "ada").await.unwrap();
        app.upstream.wait_for("revoked_families", 1).await;
        assert_eq!(acts_for(&app, named("sandbox", "ada")).await, "u-ada");
        waiting(&app, &connection, verified("ada")).await;
        app.clock.advance(Duration::from_secs(600));
        assert_eq!(app.kit.lapse_pending(10).await.unwrap(), 1);
        app.upstream.wait_for("revoked_families", 2).await;
        assert_eq!(acts_for(&app, named("sandbox", "ada")).await, "u-ada");
    }

    /// AK-213, AK-323: where a revocation may end all that the user ever granted, tokens that lost
    /// are left alone: the credential in use may be of the same user.
    async fn tokens_that_lost_are_kept_where_a_revocation_ends_everything(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        waiting(&app, &connection, verified("ada")).await;
        let second = waiting(&app, &connection, verified("ada")).await;
        verify(&app, &second, "ada").await.unwrap();
        // What a disconnection revokes is the only revocation, and comes after all others.
        app.kit.disconnect_account(app.env, &app.actor, named("sandbox", "ada")).await.unwrap();
        app.upstream.wait_for("revoked_families", 1).await;
        assert_eq!(app.upstream.counter("revoked_families").await, 1);
    }

    /// AK-310: a refusal changes nothing, and the link can be tried again.
    async fn a_denied_consent_changes_nothing(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let id = app.connected(&connection, "ada").await;
        let before = app.row(id).await;
        let link = app.link("sandbox", "ada").await;
        let events = app.happened().await.len();
        let consent = begin(&app, &link).await;
        let back = app.upstream.decide(&consent, "u-ada", "deny").await;
        let denied = finish(&app, &connection, Some(&back.browser), &back.query).await.unwrap_err();
        let CallbackError::Denied(denial) = denied else { panic!("{denied:?}") };
        assert_eq!(denial.code, "access_denied");
        assert_eq!(app.row(id).await, before);
        assert!(app.happened_since(events).await.is_empty());
        let end = app.consent(connection.id, &link).await;
        assert!(matches!(end, CallbackEnd::Connected));
    }

    /// AK-311: whatever the token endpoint answers, the account stays and the text is safe.
    async fn a_broken_token_endpoint_changes_nothing(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let link = app.link("sandbox", "ada").await;
        for fault in ["html", "server_error", "empty", "wrong_types", "rate_limited"] {
            app.upstream.chaos(json!({})).await;
            let consent = begin(&app, &link).await;
            let back = app.upstream.allow(&consent).await;
            app.upstream.chaos(json!({"token_fault": fault})).await;
            let error = finish(&app, &connection, Some(&back.browser), &back.query).await.unwrap_err();
            assert!(matches!(error, CallbackError::Exchange(_)), "{fault}: {error:?}");
            let code = param(&back.url, "code").unwrap();
            assert!(!format!("{error} {error:?}").contains(&code), "{error}");
        }
        let row = app.row(link.grounds.account.id).await;
        assert_eq!((row.status.as_str(), row.credential), ("PENDING_AUTH", None));
        app.upstream.chaos(json!({})).await;
        app.consent(connection.id, &link).await;
        assert_eq!(app.status(link.grounds.account.id).await, AccountStatus::Active);
    }

    /// AK-308: the provider checks the verifier; a stolen code is worth nothing in another flow.
    async fn a_code_of_another_flow_is_refused_by_pkce(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let link = app.link("sandbox", "ada").await;
        let (mine, stolen) = (begin(&app, &link).await, begin(&app, &link).await);
        let back = app.upstream.allow(&mine).await;
        let victim = app.upstream.decide(&stolen, "u-bo", "allow").await;
        let swapped = back.query.replace(&param(&back.url, "code").unwrap(), &param(&victim.url, "code").unwrap());
        let error = finish(&app, &connection, Some(&back.browser), &swapped).await.unwrap_err();
        assert!(error.to_string().contains("invalid_grant"), "{error}");
        assert_eq!(app.status(link.grounds.account.id).await, AccountStatus::PendingAuth);
    }

    /// AK-311, DB-123: the provider's own words are kept only where they are wanted, and shown nowhere.
    async fn a_description_of_the_provider_stays_in_the_history(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let link = app.link("sandbox", "ada").await;
        for wanted in [false, true] {
            let mut settings = app.kit.settings(app.env).await.unwrap();
            settings.detailed_error_logging = wanted;
            app.kit.update_settings(app.env, &app.actor, false, |stored| *stored = settings).await.unwrap();
            let (mine, stolen) = (begin(&app, &link).await, begin(&app, &link).await);
            let back = app.upstream.allow(&mine).await;
            let victim = app.upstream.decide(&stolen, "u-bo", "allow").await;
            let swapped = back.query.replace(&param(&back.url, "code").unwrap(), &param(&victim.url, "code").unwrap());
            let error = finish(&app, &connection, Some(&back.browser), &swapped).await.unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(shown.contains("invalid_grant") && !shown.contains("code_verifier"), "{shown}");
            let history = app.kit.account_history(app.env, link.grounds.account.id, 100).await.unwrap();
            let history = format!("{history:?}");
            assert!(history.contains("invalid_grant"), "{history}");
            assert_eq!(history.contains("code_verifier"), wanted, "{history}");
        }
    }

    /// Part of AK-105: a public client has PKCE instead of a secret.
    async fn a_public_client_connects(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth_with("sandbox", app.oauth_pattern(), json!({}), |settings| {
            settings.token_endpoint_auth_method = Some("none".to_owned());
        }).await;
        let connection = app.configure(connection, crate::upstream::PUBLIC_CLIENT, "", |_| {}).await;
        let id = app.connected(&connection, "ada").await;
        app.kit.refresh_now(app.env, id).await.unwrap();
        assert_eq!(app.upstream.counter("refreshes").await, 1);
    }

    /// Part of AK-121: switching the mode, the connection or the account away during the trip.
    async fn the_world_changes_during_the_trip(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let link = app.link("sandbox", "ada").await;
        let consent = begin(&app, &link).await;
        let back = app.upstream.allow(&consent).await;
        app.kit.disable_connection(app.env, &app.actor, connection.id).await.unwrap();
        let error = finish(&app, &connection, Some(&back.browser), &back.query).await.unwrap_err();
        assert!(matches!(error, CallbackError::Other(Error::ConnectionDisabled(_))), "{error:?}");
        let refused = app.kit.create_link(app.env, &app.actor, NewLink { key: named("sandbox", "ada"), ..NewLink::default() }).await;
        assert!(matches!(refused, Err(Error::ConnectionDisabled(_))), "AK-121");
        app.kit.enable_connection(app.env, &app.actor, connection.id).await.unwrap();
        let request = waiting(&app, &connection, verified("ada")).await;
        let link = app.link("sandbox", "ada").await;
        let consent = begin(&app, &link).await;
        let back = app.upstream.allow(&consent).await;
        app.kit.delete_account(app.env, &app.actor, named("sandbox", "ada")).await.unwrap();
        let error = finish(&app, &connection, Some(&back.browser), &back.query).await.unwrap_err();
        assert!(matches!(error, CallbackError::InvalidState), "{error:?}");
        assert!(matches!(verify(&app, &request, "ada").await, Err(Error::AuthRequestNotFound)));
        assert_eq!(app.upstream.counter("code_exchanges").await, 1);
    }

    /// Part of AK-306, 4.3: a consent ends the sessions of all who opened a link of the account.
    async fn a_consent_ends_the_sessions_of_visitors(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let link = app.link("sandbox", "ada").await;
        let ctx = app.kit.ctx();
        let authorizer = keystead_authz::Authorizer::new(ctx.clone());
        let site = ctx.site(app.env).await.unwrap().unwrap();
        for new in [NewLink { key: named("sandbox", "ada"), ..NewLink::default() }, verified("ada")] {
            let mut tx = ctx.db.begin(app.env).await.unwrap();
            let token = authorizer.begin_portal_session(&mut tx, link.grounds.account.id, Some(link.id())).await.unwrap();
            tx.commit().await.unwrap();
            let visitor = keystead_authz::Credentials { portal_cookie: Some(token), ..keystead_authz::Credentials::default() };
            let is_verified = !new.user_verify_url.is_empty();
            let end = app.consent(connection.id, &app.link_with(new).await).await;
            if is_verified {
                assert!(authorizer.authenticate(&site, &visitor).await.is_ok(), "nothing is connected yet");
                verify(&app, &request_of(&end), "ada").await.unwrap();
            }
            assert!(authorizer.authenticate(&site, &visitor).await.is_err());
        }
    }

    /// AK-300: a link for an id or name of another environment is a link for nothing.
    async fn links_are_bound_to_their_environment(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let id = app.connected(&connection, "ada").await;
        let other = app.another_environment("Other").await;
        for key in [by_id(id), named("sandbox", "ada")] {
            let new = NewLink { key, ..NewLink::default() };
            let error = app.kit.create_link(other, &app.actor, new).await.unwrap_err();
            assert!(matches!(error, Error::AccountNotFound | Error::ConnectionNotFound(_)), "{error:?}");
        }
    }

    /// Part of AK-109, AK-331: a further consent gives the account the new scopes.
    async fn a_new_consent_upgrades_the_scopes(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let id = app.connected(&connection, "ada").await;
        let connection = app.configure(connection, keystead_sandbox::CLIENT_ID, "", |settings| {
            settings.scopes.push("admin".to_owned());
        }).await;
        assert_eq!(app.read(id).await.scopes, ["read", "write"], "AK-109");
        app.connected(&connection, "ada").await;
        assert_eq!(app.read(id).await.scopes, ["read", "write", "admin"]);
    }
}
