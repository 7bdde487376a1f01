//! What the user types into the hosted page (AK-304, AK-305, 3.2, 3.3).

use crate::{
    accounts::create,
    fixture::{App, by_id, named, object, of_user, param, parts, provider_input},
};
use keystead_agentkit::{
    Error,
    accounts::{AccountPatch, AccountStatus, CredentialInput, NewAccount, ScopeSelection},
    links::{CallbackEnd, FormAnswers, FormEnd, NewLink, OpenLink},
};
use keystead_sandbox::{API_KEY, BASIC_PASSWORD, BASIC_USER, STATIC_TOKEN};
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::Reason;
use serde_json::{Value, json};
use tokio::task::JoinSet;

fn answers(pairs: &[(&str, &str)]) -> FormAnswers {
    FormAnswers {
        fields: pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        scope_selection: None,
    }
}

async fn submit(app: &App, link: &OpenLink, answers: FormAnswers) -> Result<FormEnd, Error> {
    app.kit.submit_form(app.env, link, answers).await
}

/// Fields that are said to be wrong.
async fn wrong(app: &App, link: &OpenLink, pairs: &[(&str, &str)]) -> Vec<String> {
    match submit(app, link, answers(pairs)).await.unwrap() {
        FormEnd::Wrong(violations) => violations
            .into_iter()
            .map(|violation| violation.field)
            .collect(),
        other => panic!("{other:?}"),
    }
}

fn field(name: &str) -> Value {
    json!({"field_name": name, "label": name, "required": true})
}

/// Connection, pattern, required fields, what is typed in.
type Case<'a> = (&'a str, Value, &'a [&'a str], &'a [(&'a str, &'a str)]);

/// An OAuth server whose host the user names.
fn templated(app: &App) -> Value {
    let port = app.upstream.port();
    json!({
        "type": "OAUTH",
        "account_fields": [field("domain"), {"field_name": "region", "input_type": "select",
            "required": true, "options": [{"value": "eu", "default": true}, {"value": "us"}]}],
        "allowed_proxy_domains": ["localhost"],
        "oauth_config": {
            "authorize_uri": format!("http://{{{{domain}}}}:{port}/sandbox/provider/authorize?region={{{{region}}}}"),
            "token_uri": format!("http://{{{{domain}}}}:{port}/sandbox/provider/token"),
        },
    })
}

on_both_engines! {
    /// AK-305, 3.2: each static kind, from the empty form to a call that the provider takes.
    async fn static_credentials_are_typed_in(test: TestDb) {
        let app = App::started(&test).await;
        let cases: [Case; 4] = [
            ("basic", json!({"type": "BASIC", "fields": [field("username"), field("password")]}), &["username", "password"],
                &[("username", BASIC_USER), ("password", BASIC_PASSWORD)]),
            ("bearer", json!({"type": "BEARER", "fields": [field("token")]}), &["token"], &[("token", STATIC_TOKEN)]),
            ("key", json!({"type": "API_KEY", "auth_header_key_override": "X-Api-Key", "fields": [field("api_key")]}), &["api_key"],
                &[("api_key", API_KEY)]),
            ("keys", json!({"type": "API_KEY", "fields": [
                {"field_name": "api_key", "required": true, "header_name": "X-Api-Key"},
                {"field_name": "app_key", "required": true, "header_name": "DD-APPLICATION-KEY"},
            ]}), &["api_key", "app_key"], &[("api_key", API_KEY), ("app_key", "app")]),
        ];
        for (name, pattern, required, filled) in cases {
            app.static_connection(name, pattern).await;
            let before = app.happened().await.len();
            let made = app.kit.create_link(app.env, &app.actor, NewLink { key: named(name, "ada"), ..NewLink::default() }).await.unwrap();
            let (token, nonce) = parts(&made.url);
            let link = app.kit.open_link(app.env, &token, &nonce).await.unwrap();
            assert_eq!(wrong(&app, &link, &[]).await, required, "{name}");
            let blank: Vec<(&str, &str)> = filled.iter().map(|(name, _)| (*name, "")).collect();
            assert_eq!(wrong(&app, &link, &blank).await, required, "{name}");
            assert_eq!(app.status(made.account.id).await, AccountStatus::PendingAuth);
            let end = submit(&app, &link, answers(filled)).await.unwrap();
            assert!(matches!(end, FormEnd::Connected), "{name}: {end:?}");
            assert_eq!(app.status(made.account.id).await, AccountStatus::Active);
            assert_eq!(app.happened_since(before).await, ["created", "magic_link_generated", "updated", "PENDING_AUTH>ACTIVE"]);
            assert_eq!(app.get(made.account.id, "/me").await.unwrap().status, 200, "{name}");
            assert!(matches!(app.kit.open_link(app.env, &token, &nonce).await, Err(Error::AuthRequestNotFound)));
        }
        assert!(app.audited().await.iter().any(|action| action == "connected_account.updated"));
    }

    /// Part of AK-204, part of AK-305: what goes into a header is one line; white space that came with copying is
    /// taken off, also when the developer sends it. Several lines stay where a field asks for them.
    async fn a_key_is_one_line(test: TestDb) {
        let app = App::started(&test).await;
        let lines = json!({"field_name": "note", "input_type": "textarea"});
        app.static_connection("bearer", json!({"type": "BEARER", "fields": [field("token"), lines]})).await;
        app.static_connection("basic", json!({"type": "BASIC", "fields": [field("username"), field("password")]})).await;
        app.static_connection("key", json!({"type": "API_KEY", "auth_header_key_override": "X-Api-Key"})).await;
        let link = app.link("bearer", "ada").await;
        for bad in ["to\nken", "to\r\nX-Evil: 1", "to\tken", "to\u{7f}ken", "to\0ken"] {
            assert_eq!(wrong(&app, &link, &[("token", bad)]).await, ["token"], "{bad:?}");
        }
        assert_eq!(wrong(&app, &link, &[("token", " \r\n")]).await, ["token"], "nothing is left");
        assert_eq!(app.row(link.grounds.account.id).await.credential, None);
        let typed = [("token", &*format!(" {STATIC_TOKEN}\t\r\n")), ("note", "one\ntwo")];
        assert!(matches!(submit(&app, &link, answers(&typed)).await, Ok(FormEnd::Connected)));
        let grounds = app.kit.grounds(app.env, named("bearer", "ada")).await.unwrap();
        assert_eq!(Value::Object(grounds.credential.details.clone()), json!({"token": STATIC_TOKEN, "note": "one\ntwo"}));

        let of_developer = |details: Value| NewAccount {
            credential: CredentialInput::Static(object(details)),
            ..of_user("ada")
        };
        let refused = create(&app, "basic", of_developer(json!({"username": "a\nb", "password": "c\u{85}d"}))).await.unwrap_err();
        let fields: Vec<String> = refused.violations().into_iter().map(|violation| violation.field).collect();
        let path = "authorization_details.static_auth.details";
        assert_eq!(fields, ["username", "password"].map(|name| format!("{path}.{name}")));
        let id = create(&app, "key", of_developer(json!({"api_key": format!("{API_KEY}\n")}))).await.unwrap();
        assert_eq!(app.get(id, "/me").await.unwrap().status, 200);
    }

    /// AK-305: what is stored counts as filled in, and what is not asked for is not taken.
    async fn a_form_that_is_filled_again_may_leave_stored_fields_out(test: TestDb) {
        let app = App::started(&test).await;
        app.static_connection("basic", json!({"type": "BASIC", "fields": [field("username"), field("password")]})).await;
        let link = app.link("basic", "ada").await;
        submit(&app, &link, answers(&[("username", "old"), ("password", BASIC_PASSWORD), ("admin", "yes")])).await.unwrap();
        let link = app.link("basic", "ada").await;
        let end = submit(&app, &link, answers(&[("username", BASIC_USER), ("password", "")])).await.unwrap();
        assert!(matches!(end, FormEnd::Connected));
        let grounds = app.kit.grounds(app.env, named("basic", "ada")).await.unwrap();
        assert_eq!(Value::Object(grounds.credential.details.clone()), json!({"username": BASIC_USER, "password": BASIC_PASSWORD}));
        assert!(grounds.account.api_config.is_empty());
        assert_eq!(app.get(grounds.account.id, "/me").await.unwrap().status, 200);
    }

    /// AK-305, AK-471: whoever has a link cannot send a stored secret to a host of his choice; who knows the
    /// secret may, and the developer may.
    async fn a_link_does_not_move_a_stored_secret(test: TestDb) {
        let app = App::started(&test).await;
        let pattern = json!({"type": "BEARER", "fields": [field("token"), field("domain")], "account_fields": [field("region")],
            "allowed_proxy_domains": ["*.example"]});
        let input = provider_input("desk", &pattern, "https://{{domain}}/{{region}}");
        let provider = app.kit.create_custom_provider(app.env, &app.actor, input).await.unwrap();
        app.connection_of(&provider, "desk", json!({})).await;
        let link = app.link("desk", "ada").await;
        let first = [("token", "secret"), ("domain", "ada.example"), ("region", "eu")];
        assert!(matches!(submit(&app, &link, answers(&first)).await, Ok(FormEnd::Connected)));
        let stored = app.row(link.grounds.account.id).await;
        let link = app.link("desk", "ada").await;
        for moved in [
            &[("domain", "evil.example"), ("token", "")][..],
            &[("domain", "evil.example")],
            &[("domain", "ada.example"), ("region", "evil")],
            &[("region", "evil")],
        ] {
            let named = wrong(&app, &link, moved).await;
            assert!(named.contains(&"token".to_owned()), "{moved:?}: {named:?}");
        }
        let after = app.row(link.grounds.account.id).await;
        assert_eq!((after.credential, after.api_config), (stored.credential, stored.api_config));
        assert!(matches!(submit(&app, &link, answers(&[("domain", "ada.example"), ("token", "")])).await, Ok(FormEnd::Connected)), "nothing moves");
        let link = app.link("desk", "ada").await;
        let again = [("token", "other"), ("domain", "new.example")];
        assert!(matches!(submit(&app, &link, answers(&again)).await, Ok(FormEnd::Connected)));
        let patch = AccountPatch {
            credential: CredentialInput::Static(object(json!({"domain": "third.example"}))),
            ..AccountPatch::default()
        };
        let updated = app.kit.update_account(app.env, &app.actor, named("desk", "ada"), patch).await.unwrap();
        assert_eq!(Value::Object(updated.credential.details.clone()), json!({"token": "other", "domain": "third.example"}));
    }

    /// AK-304, AK-307, AK-471: what is filled in before a consent changes the account with the grant, not earlier.
    async fn answers_wait_for_the_consent(test: TestDb) {
        let app = App::started(&test).await;
        let pattern = templated(&app);
        let connection = app.oauth_with("sandbox", pattern, json!({}), |settings| settings.scope_selection_allowed = true).await;
        let link = app.link("sandbox", "ada").await;
        let first = FormAnswers { scope_selection: None, ..answers(&[("domain", "localhost"), ("region", "eu")]) };
        let Ok(FormEnd::Provider(consent)) = submit(&app, &link, first).await else { panic!("no consent") };
        let id = link.grounds.account.id;
        assert_eq!(app.row(id).await.api_config, json!({}));
        let back = app.upstream.allow(&consent).await;
        app.kit.finish_consent(app.env, connection.id, Some(&back.browser), &back.query).await.unwrap();
        let live = app.row(id).await;
        assert_eq!(live.api_config, json!({"domain": "localhost", "region": "eu"}));

        let link = app.link("sandbox", "ada").await;
        let pick = ScopeSelection { scopes: vec!["read".to_owned()], optional_scopes: Vec::new() };
        let other = FormAnswers { scope_selection: Some(pick), ..answers(&[("region", "us")]) };
        let Ok(FormEnd::Provider(consent)) = submit(&app, &link, other).await else { panic!("no consent") };
        assert_eq!(param(&consent.url, "region").as_deref(), Some("us"));
        let waiting = app.row(id).await;
        assert_eq!((waiting.api_config, waiting.scope_selection), (live.api_config, None));
        let back = app.upstream.allow(&consent).await;
        app.kit.finish_consent(app.env, connection.id, Some(&back.browser), &back.query).await.unwrap();
        let account = app.read(id).await;
        assert_eq!(account.api_config, object(json!({"domain": "localhost", "region": "us"})));
        assert_eq!(account.scope_selection.unwrap().scopes, ["read"]);
    }

    /// AK-301: a form that is sent twice at the same moment counts once.
    async fn a_form_counts_once(test: TestDb) {
        let app = App::started(&test).await;
        app.static_connection("bearer", json!({"type": "BEARER", "fields": [field("token")]})).await;
        let link = app.link("bearer", "ada").await;
        let mut tasks = JoinSet::new();
        for number in 0..8 {
            let (kit, env, link) = (app.kit.clone(), app.env, link.clone());
            tasks.spawn(async move {
                let token = format!("token-{number}");
                let end = kit.submit_form(env, &link, answers(&[("token", &token)])).await;
                (end, token)
            });
        }
        let (won, lost): (Vec<_>, Vec<_>) = tasks.join_all().await.into_iter().partition(|(end, _)| end.is_ok());
        assert_eq!(won.len(), 1);
        assert!(lost.iter().all(|(end, _)| matches!(end, Err(Error::AuthRequestNotFound))));
        let grounds = app.kit.grounds(app.env, named("bearer", "ada")).await.unwrap();
        assert_eq!(grounds.credential.details["token"], won[0].1);
        assert_eq!(grounds.account.credential_version, 1);
    }

    /// Part of AK-304, 3.3, AK-012: account fields first, then the consent at the host they name.
    async fn account_fields_come_before_the_consent(test: TestDb) {
        let app = App::started(&test).await;
        let pattern = templated(&app);
        let connection = app.oauth_with("sandbox", pattern, json!({}), |_| {}).await;
        let link = app.link("sandbox", "ada").await;
        assert!(link.grounds.asks_before_consent());
        let early = app.kit.begin_consent(app.env, &link).await;
        assert!(matches!(early, Err(Error::Template(_))), "{early:?}");
        assert_eq!(wrong(&app, &link, &[("domain", "")]).await, ["domain"]);
        let end = submit(&app, &link, answers(&[("domain", " LocalHost ")])).await.unwrap();
        let FormEnd::Provider(consent) = end else { panic!("{end:?}") };
        assert_eq!(consent.url.host_str(), Some("localhost"));
        assert_eq!(param(&consent.url, "region").as_deref(), Some("eu"), "the default of the select");
        let back = app.upstream.allow(&consent).await;
        let end = app.kit.finish_consent(app.env, connection.id, Some(&back.browser), &back.query).await.unwrap();
        assert!(matches!(end, CallbackEnd::Connected));
        let account = app.kit.account(app.env, named("sandbox", "ada")).await.unwrap();
        assert_eq!(account.api_config, object(json!({"domain": "LocalHost"})));
        app.clock.advance(crate::fixture::TOKEN_LIFE);
        assert_eq!(app.get(account.id, "/me").await.unwrap().status, 200, "refreshed at the same host");
        assert!(!app.link("sandbox", "ada").await.grounds.asks_before_consent(), "known by now");
    }

    /// AK-008b, AK-471: the client secret goes to the provider's hosts only, whatever the user types; and he
    /// may correct it.
    async fn a_host_outside_the_list_is_refused(test: TestDb) {
        let app = App::started(&test).await;
        let pattern = templated(&app);
        app.oauth_with("sandbox", pattern, json!({}), |_| {}).await;
        let link = app.link("sandbox", "ada").await;
        for evil in ["evil.example", "localhost.evil.example", "localhost/", "user@localhost", "localhost:1", "127.0.0.1", "local host", "[::1]"] {
            assert_eq!(wrong(&app, &link, &[("domain", evil)]).await, ["domain"], "{evil}");
        }
        let row = app.row(link.grounds.account.id).await;
        assert_eq!(row.api_config, json!({}));
        assert!(app.link("sandbox", "ada").await.grounds.asks_before_consent());
        assert!(matches!(submit(&app, &link, answers(&[("domain", "localhost")])).await, Ok(FormEnd::Provider(_))));
    }

    /// AK-471, AK-203: tokens that were imported for a templated provider are refreshed at its host.
    async fn imported_tokens_of_a_templated_provider_are_refreshed(test: TestDb) {
        let app = App::started(&test).await;
        let pattern = templated(&app);
        app.oauth_with("sandbox", pattern, json!({}), |_| {}).await;
        let source = app.oauth_with("source", app.oauth_pattern(), json!({}), |_| {}).await;
        let known = app.connected(&source, "ada").await;
        let tokens = app.kit.grounds(app.env, by_id(known)).await.unwrap();
        let import = |domain: &str| keystead_agentkit::accounts::NewAccount {
            credential: keystead_agentkit::accounts::CredentialInput::Oauth {
                access_token: tokens.credential.access_token.clone(),
                refresh_token: tokens.credential.refresh_token.clone(),
                scopes: Vec::new(),
                domain: String::new(),
            },
            api_config: object(json!({"domain": domain})),
            ..crate::fixture::of_user(domain)
        };
        let evil = app.account("sandbox", import("evil.example")).await.account.id;
        let refused = app.kit.refresh_now(app.env, evil).await.unwrap_err();
        assert!(matches!(refused, Error::AccountNotActive { .. }), "{refused:?}");
        assert_eq!(app.upstream.counter("refreshes").await, 0);
        let good = app.account("sandbox", import("localhost")).await.account.id;
        app.kit.refresh_now(app.env, good).await.unwrap();
        assert_eq!(app.upstream.counter("refreshes").await, 1);
    }

    /// AK-307, 3.3: scopes are picked on the form.
    async fn scopes_are_picked_on_the_form(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth_with("sandbox", app.oauth_pattern(), json!({}), |settings| {
            settings.scope_selection_allowed = true;
            settings.required_scopes = vec!["read".to_owned()];
        }).await;
        let link = app.link("sandbox", "ada").await;
        assert!(link.grounds.asks_before_consent());
        let pick = |scopes: &[&str]| FormAnswers {
            scope_selection: Some(ScopeSelection {
                scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
                optional_scopes: Vec::new(),
            }),
            ..FormAnswers::default()
        };
        let end = submit(&app, &link, pick(&["admin"])).await.unwrap();
        assert!(matches!(&end, FormEnd::Wrong(wrong) if wrong.len() == 1), "{end:?}");
        let end = submit(&app, &link, pick(&[])).await.unwrap();
        let FormEnd::Provider(consent) = end else { panic!("{end:?}") };
        let back = app.upstream.allow(&consent).await;
        app.kit.finish_consent(app.env, connection.id, Some(&back.browser), &back.query).await.unwrap();
        let account = app.kit.account(app.env, named("sandbox", "ada")).await.unwrap();
        assert_eq!(account.scopes, ["read"]);
    }
}
