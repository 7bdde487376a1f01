//! Connectors and connections from a declaration.

use crate::fixture::{App, by_id, of_user};
use keystead_agentkit::{
    Error,
    connections::AuthMode,
    declared::{Declaration, Undeclared},
    providers::{AuthKind, ProviderFilter},
};
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::{PageRequest, PageSize, Secret};
use serde_json::{Value, json};

/// A declaration whose secrets stand in it, as the tests know them.
fn declaration(json: Value) -> Declaration<Secret<String>> {
    let parsed: Declaration<String> = serde_json::from_value(json).unwrap();
    let read = |_: &str, text: String| Ok::<_, Error>(Secret::new(text));
    parsed.with_secrets(read).unwrap()
}

fn desk_and_mail(app: &App) -> Value {
    json!({
        "connectors": [{
            "name": "Desk", "description": "Tickets", "proxy_url": app.api(),
            "auth_patterns": [{"type": "BEARER", "fields": [{"field_name": "token"}]}],
        }],
        "connections": [
            {"name": "desk", "connector": "Desk", "context": {"timeout": 20}},
            {"name": "mail", "connector": "GMAIL", "type": "OAUTH", "client_id": "id-1", "client_secret": "s3cr3t-1",
             "scopes": ["openid"], "extra_authorize_params": {"hd": "acme.test"}},
        ],
    })
}

async fn planned(app: &App, json: &Value, undeclared: Undeclared) -> Vec<String> {
    let plan = app
        .kit
        .plan(app.env, &declaration(json.clone()), undeclared)
        .await
        .unwrap();
    plan.changes.iter().map(ToString::to_string).collect()
}

async fn applied(app: &App, json: &Value, undeclared: Undeclared) -> Result<usize, Error> {
    let made = app
        .kit
        .apply(app.env, &app.actor, &declaration(json.clone()), undeclared)
        .await?;
    Ok(made.changes.len())
}

/// Connectors that there are.
async fn connectors(app: &App) -> Vec<String> {
    let page = PageRequest {
        size: PageSize::clamp(100, 100, 100),
        token: String::new(),
    };
    let custom = ProviderFilter::Custom;
    let found = app.kit.list_providers(app.env, custom, "", &page).await;
    let found = found.unwrap().items.into_iter();
    found
        .map(|provider| provider.display_name.clone())
        .collect()
}

on_both_engines! {
    /// AK-122: what is declared is made once, by the use cases and with their records; doing it again changes nothing.
    async fn a_declaration_is_made_and_stays(test: TestDb) {
        let app = App::started(&test).await;
        let wanted = desk_and_mail(&app);
        let expected = ["+ connector Desk", "+ connection desk (Desk)", "+ connection mail (GMAIL)"];
        assert_eq!(planned(&app, &wanted, Undeclared::Keep).await, expected);
        assert!(app.kit.connection_named(app.env, "mail").await.is_err(), "a plan changes nothing");
        assert_eq!(applied(&app, &wanted, Undeclared::Keep).await.unwrap(), 3);

        let mail = app.kit.connection_named(app.env, "mail").await.unwrap();
        assert_eq!((mail.kind, mail.auth_mode, mail.enabled), (AuthKind::Oauth, AuthMode::User, true));
        assert_eq!((mail.settings.client_id.as_deref(), mail.secrets.client_secret.as_str()), (Some("id-1"), "s3cr3t-1"));
        assert_eq!(mail.settings.extra_authorize_params["hd"], "acme.test");
        let desk = app.kit.connection_named(app.env, "desk").await.unwrap();
        assert_eq!(desk.settings.context["timeout"], 20);
        let made: Vec<String> = app.audited().await.into_iter().filter(|action| action.ends_with(".created")).collect();
        assert!(made.contains(&"provider.created".to_owned()) && made.contains(&"connection.created".to_owned()), "{made:?}");

        let records = app.audited().await.len();
        assert_eq!(planned(&app, &wanted, Undeclared::Keep).await, [""; 0]);
        assert_eq!(applied(&app, &wanted, Undeclared::Keep).await.unwrap(), 0);
        assert_eq!((app.audited().await.len(), app.kit.connection(app.env, mail.id).await.unwrap().revision), (records, mail.revision));
    }

    /// AK-122: a difference is shown without secrets, and what is not mentioned is kept.
    async fn a_difference_is_shown_and_made(test: TestDb) {
        let app = App::started(&test).await;
        let mut wanted = desk_and_mail(&app);
        applied(&app, &wanted, Undeclared::Keep).await.unwrap();
        wanted["connectors"][0]["description"] = json!("Tickets and more");
        wanted["connectors"][0]["auth_patterns"][0]["display_name"] = json!("Token");
        let mail = json!({"name": "mail", "connector": "gmail", "client_secret": "s3cr3t-2", "scopes": ["openid", "email"], "enabled": false});
        wanted["connections"][1] = mail;
        let shown = planned(&app, &wanted, Undeclared::Keep).await;
        assert_eq!(shown, [
            "~ connector Desk\n    description: \"Tickets\" → \"Tickets and more\"\n    auth_patterns: changed",
            "~ connection mail\n    scopes: [\"openid\"] → [\"openid\",\"email\"]\n    switched off: false → true\n    client_secret: changed",
        ]);
        assert_eq!(applied(&app, &wanted, Undeclared::Keep).await.unwrap(), 2);
        let mail = app.kit.connection_named(app.env, "mail").await.unwrap();
        assert_eq!((mail.settings.client_id.as_deref(), mail.enabled), (Some("id-1"), false));
        assert_eq!((mail.secrets.client_secret.as_str(), mail.settings.scopes.len()), ("s3cr3t-2", 2));
        assert_eq!(applied(&app, &wanted, Undeclared::Keep).await.unwrap(), 0);
    }

    /// Part of AK-122: free settings can hold keys, so a plan names them and shows no value, neither old nor new.
    async fn a_plan_shows_no_values_of_free_settings(test: TestDb) {
        let app = App::started(&test).await;
        let mut wanted = desk_and_mail(&app);
        applied(&app, &wanted, Undeclared::Keep).await.unwrap();
        for (key, timeout) in [("k3y-1", json!(20)), ("k3y-2", json!(30)), ("k3y-2", Value::Null)] {
            let mut context = json!({"base_headers": {"X-Key": key}});
            if !timeout.is_null() {
                context["timeout"] = timeout;
            }
            wanted["connections"][0]["context"] = context;
            wanted["connections"][0]["static_config"] = json!({"user_agent": key});
            let shown = planned(&app, &wanted, Undeclared::Keep).await.join("\n");
            assert!(shown.contains("context.") && !shown.contains("k3y"), "{shown}");
            applied(&app, &wanted, Undeclared::Keep).await.unwrap();
        }
        wanted["connections"][0]["context"] = json!({});
        wanted["connections"][0]["static_config"] = json!({});
        let shown = planned(&app, &wanted, Undeclared::Keep).await;
        assert_eq!(shown, ["~ connection desk\n    static_config.user_agent: changed\n    context.base_headers: changed"]);
    }

    /// AK-122: nothing is deleted unless asked, and never what has accounts.
    async fn what_is_not_declared_goes_only_when_asked(test: TestDb) {
        let app = App::started(&test).await;
        applied(&app, &desk_and_mail(&app), Undeclared::Keep).await.unwrap();
        let account = app.account("desk", of_user("ada")).await.account.id;
        let nothing = json!({});
        assert_eq!(applied(&app, &nothing, Undeclared::Keep).await.unwrap(), 0);
        let plan = app.kit.plan(app.env, &declaration(nothing.clone()), Undeclared::Keep).await.unwrap();
        assert_eq!(plan.kept, ["connection desk", "connection mail", "connector Desk"]);
        let shown = planned(&app, &nothing, Undeclared::Delete).await;
        assert_eq!(shown, ["- connection desk", "- connection mail", "- connector Desk"]);
        let refused = applied(&app, &nothing, Undeclared::Delete).await.unwrap_err();
        assert!(matches!(refused, Error::ConnectionInUse(1)), "{refused}");
        app.kit.delete_account(app.env, &app.actor, by_id(account)).await.unwrap();
        assert_eq!(applied(&app, &nothing, Undeclared::Delete).await.unwrap(), 3);
        assert_eq!(planned(&app, &nothing, Undeclared::Delete).await, [""; 0]);
    }

    /// AK-122: a declaration that cannot hold is refused before anything is changed.
    async fn a_declaration_that_cannot_hold_is_refused(test: TestDb) {
        let app = App::started(&test).await;
        let good = desk_and_mail(&app);
        applied(&app, &good, Undeclared::Keep).await.unwrap();
        for (at, value) in [("connector", json!("SLACK")), ("type", json!("BEARER")), ("auth_mode", json!("ORG_WIDE"))] {
            let mut wrong = good.clone();
            wrong["connections"][1][at] = value;
            let refused = app.kit.plan(app.env, &declaration(wrong), Undeclared::Keep).await.unwrap_err();
            assert!(matches!(&refused, Error::Invalid(fields) if fields[0].field == format!("connection mail: {at}")), "{refused}");
        }
        let mut twice = good.clone();
        twice["connections"][0]["name"] = json!("mail");
        assert!(matches!(app.kit.plan(app.env, &declaration(twice), Undeclared::Keep).await, Err(Error::Invalid(_))));
        let unknown = json!({"connections": [{"name": "x", "connector": "NOBODY"}]});
        assert!(matches!(applied(&app, &unknown, Undeclared::Keep).await, Err(Error::ProviderNotFound(_))));
        // Neither a plan of what could not be made, nor half of it.
        let named = |name: &str| json!({"connections": [{"name": name, "connector": "GMAIL"}]});
        let setting = json!({"connections": [{"name": "x", "connector": "GMAIL", "token_uri": "nowhere"}]});
        let mut desk = good.clone();
        desk["connectors"] = json!([
            {"name": "Fine", "proxy_url": "https://fine.example.com", "auth_patterns": good["connectors"][0]["auth_patterns"]},
            {"name": "Meta", "proxy_url": "http://169.254.169.254", "auth_patterns": good["connectors"][0]["auth_patterns"]},
        ]);
        for (wrong, field) in [
            (named("a\0b"), "connection a\0b: key_id"),
            (setting, "connection x: token_uri"),
            (desk, "connector Meta: proxy_url"),
        ] {
            let planned = app.kit.plan(app.env, &declaration(wrong.clone()), Undeclared::Keep).await.unwrap_err();
            let applied = applied(&app, &wrong, Undeclared::Keep).await.unwrap_err();
            for refused in [planned, applied] {
                assert!(matches!(&refused, Error::Invalid(fields) if fields[0].field == field), "{field}: {refused:?}");
            }
        }
        let planned = app.kit.plan(app.env, &declaration(unknown), Undeclared::Keep).await;
        assert!(matches!(planned, Err(Error::ProviderNotFound(_))));
        assert_eq!(connectors(&app).await, ["Desk"], "no half is made");
        // An app of the installation that there is not.
        assert!(app.kit.platform_apps().is_empty());
        let mut shared = good;
        shared["connections"][1]["use_platform_creds"] = json!(true);
        assert!(matches!(applied(&app, &shared, Undeclared::Keep).await, Err(Error::Invalid(_))));
    }
}
