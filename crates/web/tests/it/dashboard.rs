//! The dashboard's pages against small services of the contract.

use crate::{
    browser::TestBrowser,
    flow::HOSTILE,
    markup,
    services::{lacks, wrong_field},
    world,
};
use http::{Method, StatusCode};
use keystead_proto::v1::{
    connections::{ConnectionType, connection::Settings},
    environments::ConnectedAccountUserVerifyMode,
};
use serde_json::json;
use tonic::{Code, Status};

/// Every page of the dashboard, with the name its picture is kept under.
const PAGES: &[(&str, &str)] = &[
    ("overview", ""),
    ("environments", "/../environments"),
    ("connectors", "/connectors"),
    ("connector", "/connectors/GITHUB"),
    ("connector-own", "/connectors/ORDERS:7"),
    ("connector-kind", "/connectors/new"),
    ("connector-new-oauth", "/connectors/new?auth=OAUTH"),
    ("connector-new-key", "/connectors/new?auth=API_KEY"),
    ("connector-new-bearer", "/connectors/new?auth=BEARER"),
    ("connector-new-basic", "/connectors/new?auth=BASIC"),
    ("connector-new-none", "/connectors/new?auth=NO_AUTH"),
    ("connector-new-json", "/connectors/new?auth=JSON"),
    ("connector-edit", "/connectors/ORDERS:7/edit"),
    ("connector-copy", "/connectors/ORDERS:7/copy"),
    ("connector-copy-to", "/connectors/ORDERS:7/copy?to=env_2"),
    ("connector-delete", "/connectors/ORDERS:7/delete"),
    ("connections", "/connections"),
    ("connections-choose", "/connections/new"),
    ("connection-new", "/connections/new?connector=GITHUB"),
    ("connection", "/connections/conn_1"),
    ("connection-draft", "/connections/conn_2"),
    ("connection-static", "/connections/conn_3"),
    ("connection-test", "/connections/conn_2/test"),
    ("connection-disable", "/connections/conn_1/disable"),
    ("connection-delete", "/connections/conn_1/delete"),
    ("accounts", "/accounts"),
    ("account-new", "/accounts/new"),
    ("account", "/accounts/ca_1"),
    ("account-expired", "/accounts/ca_2"),
    ("account-disconnect", "/accounts/ca_1/disconnect"),
    ("account-delete", "/accounts/ca_1/delete"),
    ("credentials", "/credentials"),
    ("credentials-new", "/credentials/new"),
    ("client", "/credentials/skc_1"),
    ("secret-revoke", "/credentials/skc_1/secrets/sks_1/revoke"),
    ("verification", "/verification"),
];

fn address(path: &str) -> String {
    match path.strip_prefix("/..") {
        Some(outside) => format!("/dashboard{outside}"),
        None => format!("/dashboard/env_1{path}"),
    }
}

/// Whether every page is accessible and carries its headers is checked by the browser itself.
#[tokio::test]
async fn every_page_renders_and_looking_changes_nothing() {
    let mut browser = TestBrowser::member();
    for (name, path) in PAGES {
        let page = browser.get(&address(path)).await;
        page.keep(name);
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert!(!page.body.contains("canary"), "{path} shows a secret");
    }
    assert_eq!(browser.world.writes(), 0);
}

#[tokio::test]
async fn no_page_opens_without_a_session() {
    let mut browser = TestBrowser::new();
    for (_, path) in PAGES {
        let page = browser.get(&address(path)).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{path}");
        assert!(page.location().starts_with("/dashboard/sign-in?return_to="), "{path}");
    }
}

/// Every form of every page, sent without its token, with another session's, and across sites.
#[tokio::test]
async fn no_form_is_accepted_without_its_token() {
    let mut browser = TestBrowser::member();
    let mut seen = 0;
    for (_, path) in PAGES {
        let page = browser.get(&address(path)).await;
        for form in markup::forms(&page.body) {
            seen += 1;
            let without: Vec<_> = form.fields.iter().filter(|(name, _)| name != "csrf").cloned().collect();
            assert_eq!(browser.post(&form.action, &without).await.status, StatusCode::FORBIDDEN, "{}", form.action);
            let wrong = [without, vec![("csrf".to_owned(), "A".repeat(43))]].concat();
            assert_eq!(browser.post(&form.action, &wrong).await.status, StatusCode::FORBIDDEN, "{}", form.action);
            let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&form.fields).finish();
            let across = [("content-type", "application/x-www-form-urlencoded"), ("sec-fetch-site", "same-site")];
            let answer = browser.send(Method::POST, &form.action, &across, Some(body)).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", form.action);
        }
    }
    assert!(seen > 50, "{seen} forms");
    assert_eq!(browser.world.writes(), 0);
    assert!(!*browser.login.ended.lock().unwrap());
}

#[tokio::test]
async fn hostile_text_stays_text_everywhere() {
    let mut browser = TestBrowser::member();
    {
        let world = &browser.world;
        for environment in world.environments.lock().unwrap().iter_mut() {
            HOSTILE.clone_into(&mut environment.display_name);
        }
        for connection in world.connections.lock().unwrap().iter_mut() {
            connection.key_id = Some(HOSTILE.to_owned());
            if let Some(Settings::OauthConfig(config)) = &mut connection.settings {
                config.scopes = vec!["</textarea><script>".to_owned()];
                HOSTILE.clone_into(&mut config.redirect_uri);
            }
        }
        for account in world.accounts.lock().unwrap().iter_mut() {
            HOSTILE.clone_into(&mut account.identifier);
            HOSTILE.clone_into(&mut account.connector);
        }
        for client in world.clients.lock().unwrap().iter_mut() {
            HOSTILE.clone_into(&mut client.name);
        }
        for (_, provider) in world.providers.lock().unwrap().iter_mut() {
            let patterns = [json!({"type": HOSTILE, "display_name": HOSTILE, "description": HOSTILE, "fields": [{"field_name": HOSTILE, "label": HOSTILE, "hint": HOSTILE}]})];
            let identifier = provider.identifier.clone();
            *provider = world::provider(&identifier, HOSTILE, HOSTILE, &[HOSTILE], &patterns);
        }
    }
    for (_, path) in PAGES {
        let page = browser.get(&address(path)).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert!(!page.body.contains("<script") && !page.body.contains("</textarea><script"), "{path}");
    }
}

#[tokio::test]
async fn the_first_page_leads_to_an_environment_and_unknown_ones_do_not_exist() {
    let mut browser = TestBrowser::member();
    assert_eq!(browser.get("/dashboard").await.location(), "/dashboard/env_1");
    for path in ["/dashboard/env_99", "/dashboard/env_99/connections", "/dashboard/env_1/connections/conn_99", "/dashboard/env_1/connectors/NOPE", "/dashboard/env_1/nothing"] {
        assert_eq!(browser.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    browser.world.environments.lock().unwrap().clear();
    assert_eq!(browser.get("/dashboard").await.location(), "/dashboard/environments");
}

/// AK-002.
#[tokio::test]
async fn the_catalogue_is_searched_and_filtered() {
    let mut browser = TestBrowser::member();
    for (query, shown, hidden) in [
        ("q=MAIL+google", "Gmail", "Slack"),
        ("category=Monitoring", "Datadog", "Gmail"),
        ("auth=BASIC", "Freshdesk", "Notion"),
        ("q=orders", "Custom", "Gmail"),
    ] {
        let page = browser.get(&format!("/dashboard/env_1/connectors?{query}")).await;
        let names = page.body.split("<ul class=\"grid\">").nth(1).unwrap();
        assert!(names.contains(shown) && !names.contains(hidden), "{query}");
    }
    let none = browser.get("/dashboard/env_1/connectors?q=zzz").await;
    none.keep("connectors-none");
    assert!(none.body.contains("No connector matches"));
}

/// AK-004, AK-007 to AK-009, AK-016.
#[tokio::test]
async fn a_connector_is_created_changed_copied_and_deleted() {
    let mut browser = TestBrowser::member();
    let page = browser.get("/dashboard/env_1/connectors/new?auth=OAUTH").await;
    let answers = [
        ("display_name", "Our CRM"),
        ("proxy_url", "https://{{domain}}/api"),
        ("authorize_uri", "https://crm.test/authorize"),
        ("token_uri", "https://crm.test/token"),
        ("scopes", "read\r\nwrite"),
    ];
    let made = browser.submit(&page, &answers).await;
    assert_eq!(made.location(), "/dashboard/env_1/connectors/OURCRM:7?done=connector-created");
    let page = browser.get(&made.location().to_owned()).await;
    assert!(page.body.contains("Connector created") && page.body.contains("https://crm.test/token"));

    let page = browser.get("/dashboard/env_1/connectors/OURCRM:7/edit").await;
    assert!(page.body.contains("read\nwrite"));
    let saved = browser.submit(&page, &[("description", "Customers and deals.")]).await;
    assert_eq!(saved.location(), "/dashboard/env_1/connectors/OURCRM:7?done=saved");

    let page = browser.get("/dashboard/env_1/connectors/OURCRM:7/copy?to=env_2").await;
    assert!(page.body.contains("Customers and deals."));
    let copied = browser.submit(&page, &[]).await;
    assert_eq!(copied.location(), "/dashboard/env_2/connectors/OURCRM:7?done=connector-copied");
    let page = browser.get("/dashboard/env_1/connectors/OURCRM:7/copy?to=env_2").await;
    assert!(page.body.contains("nothing to copy"));

    let page = browser.get("/dashboard/env_1/connectors/OURCRM:7/delete").await;
    assert_eq!(browser.submit(&page, &[]).await.location(), "/dashboard/env_1/connectors?done=connector-deleted");
    assert_eq!(browser.get("/dashboard/env_1/connectors/GMAIL/edit").await.status, StatusCode::NOT_FOUND, "built-in ones stay");
}

#[tokio::test]
async fn what_is_wrong_with_a_connector_is_said_beside_the_field() {
    let mut browser = TestBrowser::member();
    let page = browser.get("/dashboard/env_1/connectors/new?auth=BEARER").await;
    let again = browser.submit(&page, &[("secret_label", "Personal token")]).await;
    again.keep("connector-wrong");
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(again.body.contains("Enter a name.") && again.body.contains("2 fields need your attention"));
    assert_eq!(browser.world.writes(), 0);

    *browser.world.refuse.lock().unwrap() = Some(wrong_field("provider.display_name", "Only letters, digits and spaces."));
    let answers = [("display_name", "A/B"), ("proxy_url", "https://a.test")];
    let again = browser.submit(&again, &answers).await;
    assert!(again.body.contains("id=\"f-display_name-error\">Only letters"), "{}", again.body);
    assert!(again.body.contains("value=\"A/B\"") && again.body.contains("Personal token"));

    *browser.world.refuse.lock().unwrap() = Some(Status::already_exists("a connector named A exists"));
    let again = browser.submit(&again, &answers).await;
    assert!(again.body.contains("A connector named A exists"));
}

/// AK-101, AK-105, AK-106.
#[tokio::test]
async fn a_connection_is_created_and_set_up() {
    let mut browser = TestBrowser::member();
    let page = browser.get("/dashboard/env_1/connections/new?connector=GMAIL").await;
    let made = browser.submit(&page, &[("key_id", "gmail-sales")]).await;
    assert_eq!(made.location(), "/dashboard/env_1/connections/conn_9?done=connection-created");
    {
        let world = browser.world.connections.lock().unwrap();
        let new = world.last().unwrap();
        assert_eq!((new.r#type, new.provider_key.as_str()), (ConnectionType::Oauth.into(), "GMAIL"));
    }
    let page = browser.get(&made.location().to_owned()).await;
    assert!(page.body.contains("Not ready yet") && page.body.contains("/sso/v1/oauth/conn_9/callback"));
    let form = markup::forms(&page.body).into_iter().find(|form| form.action == "/dashboard/env_1/connections/conn_9").unwrap();
    let mut fields: Vec<_> = form.fields.into_iter().filter(|(name, _)| name != "client_id" && name != "client_secret").collect();
    fields.push(("client_id".to_owned(), "id-1".to_owned()));
    fields.push(("client_secret".to_owned(), "canary-secret".to_owned()));
    assert_eq!(browser.post(&form.action, &fields).await.location(), "/dashboard/env_1/connections/conn_9?done=saved");
    let page = browser.get("/dashboard/env_1/connections/conn_9").await;
    assert!(!page.body.contains("Not ready yet") && page.body.contains("Stored.") && !page.body.contains("canary"));

    // Saved again with the secret left empty: the stored one stays, and not its mask.
    browser.press(&page, "/dashboard/env_1/connections/conn_9").await;
    let world = browser.world.connections.lock().unwrap();
    let Some(Settings::OauthConfig(config)) = &world.last().unwrap().settings else { panic!() };
    assert_eq!(config.client_secret.as_ref().unwrap().value, "canary-secret");
}

#[tokio::test]
async fn a_connection_is_disabled_enabled_tested_and_deleted() {
    let mut browser = TestBrowser::member();
    let base = "/dashboard/env_1/connections/conn_1";
    let page = browser.get(&format!("{base}/disable")).await;
    assert_eq!(browser.submit(&page, &[]).await.location(), format!("{base}?done=connection-disabled"));
    let page = browser.get(base).await;
    assert!(page.body.contains("Disabled"));
    assert_eq!(browser.press(&page, &format!("{base}/enable")).await.location(), format!("{base}?done=connection-enabled"));

    let page = browser.get(&format!("{base}/test")).await;
    let test = browser.submit(&page, &[]).await;
    assert!(test.body.contains("0;url=https://dev.test/oauth/connect?token=canary-link-test-ada.example.com&#38;state=1"), "{}", test.body);

    let page = browser.get(&format!("{base}/delete")).await;
    assert!(page.body.contains("It still has 3 connected accounts."));
    *browser.world.refuse.lock().unwrap() = Some(Status::failed_precondition("connection has 3 connected accounts"));
    let refused = browser.submit(&page, &[]).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.body.contains("Connection has 3 connected accounts"));
    assert_eq!(browser.submit(&page, &[]).await.location(), "/dashboard/env_1/connections?done=connection-deleted");
}

/// AK-219.
#[tokio::test]
async fn accounts_are_filtered_linked_disconnected_and_deleted() {
    let mut browser = TestBrowser::member();
    let page = browser.get("/dashboard/env_1/accounts?connection=slack-support").await;
    assert!(page.body.contains("user_8123") && !page.body.contains("grace@example.com"));

    let page = browser.get("/dashboard/env_1/accounts/new?connection=gmail").await;
    let link = browser.submit(&page, &[("identifier", "new@example.com")]).await;
    link.keep("account-link");
    assert_eq!(link.status, StatusCode::OK);
    assert!(link.body.contains("token=canary-link-new.example.com&#38;state=1") && link.body.contains("21 Sep 2026, 15:13 UTC"));

    let page = browser.get("/dashboard/env_1/accounts/ca_2").await;
    assert!(page.body.contains("no longer accepts"));
    let link = browser.press(&page, "/dashboard/env_1/accounts/ca_2/link").await;
    assert!(link.body.contains("token=canary-link-grace.example.com"));

    let page = browser.get("/dashboard/env_1/accounts/ca_1/disconnect").await;
    let done = browser.submit(&page, &[]).await;
    let page = browser.get(&done.location().to_owned()).await;
    assert!(page.body.contains("Connected account disconnected") && page.body.contains("This account is disconnected"));

    let page = browser.get("/dashboard/env_1/accounts/ca_1/delete").await;
    assert_eq!(browser.submit(&page, &[]).await.location(), "/dashboard/env_1/accounts?done=account-deleted");
    assert_eq!(browser.get("/dashboard/env_1/accounts/ca_1").await.status, StatusCode::NOT_FOUND);
}

/// DB-082 and flow 3.5: a secret is shown once.
#[tokio::test]
async fn a_secret_is_shown_once_and_revoked() {
    let mut browser = TestBrowser::member();
    let page = browser.get("/dashboard/env_1/credentials/skc_1").await;
    let shown = browser.press(&page, "/dashboard/env_1/credentials/skc_1/secrets").await;
    shown.keep("client-secret");
    assert!(shown.body.contains("canary-client-secret-x9y8"));
    assert!(!shown.body.contains("/secrets\"><input"), "two active secrets are the most");
    let later = browser.get("/dashboard/env_1/credentials/skc_1").await;
    assert!(!later.body.contains("canary") && later.body.contains("…x9y8"));

    let page = browser.get("/dashboard/env_1/credentials/skc_1/secrets/sks_1/revoke").await;
    assert!(page.body.contains("ending in a1b2"));
    let done = browser.submit(&page, &[]).await;
    assert_eq!(done.location(), "/dashboard/env_1/credentials/skc_1?done=secret-revoked");
    assert_eq!(browser.get("/dashboard/env_1/credentials/skc_1/secrets/sks_1/revoke").await.status, StatusCode::NOT_FOUND);

    let page = browser.get("/dashboard/env_1/credentials/new").await;
    let made = browser.submit(&page, &[("name", "Worker")]).await;
    assert_eq!(made.location(), "/dashboard/env_1/credentials/skc_9?done=client-created");
    let page = browser.get("/dashboard/env_1/credentials/skc_9/delete").await;
    assert_eq!(browser.submit(&page, &[]).await.location(), "/dashboard/env_1/credentials?done=client-deleted");
}

/// AK-320, AK-326.
#[tokio::test]
async fn verification_begins_with_members_only_and_production_warns() {
    let mut browser = TestBrowser::member();
    let page = browser.get("/dashboard/env_1/verification").await;
    let members = "USER_VERIFY_MODE_SCALEKIT_PLATFORM";
    let chosen = markup::form(&page.body).fields.into_iter().find(|(name, _)| name == "mode").unwrap();
    assert_eq!(chosen.1, members);
    assert!(!page.body.contains("does not verify its users"));
    let production = browser.get("/dashboard/env_2/verification").await;
    production.keep("verification-production");
    assert!(production.body.contains("does not verify its users"));
    assert!(!production.body.contains("USER_VERIFY_MODE_NONE"), "not offered in production");

    let saved = browser.submit(&page, &[("mode", "USER_VERIFY_MODE_B2B"), ("detailed_error_logging", "on")]).await;
    assert_eq!(saved.location(), "/dashboard/env_1/verification?done=saved");
    let config = browser.world.verification.lock().unwrap().unwrap();
    assert_eq!(config.user_verify_mode, i32::from(ConnectedAccountUserVerifyMode::UserVerifyModeB2b));
    assert!(config.detailed_error_logging());
}

#[tokio::test]
async fn an_environment_is_created() {
    let mut browser = TestBrowser::member();
    let page = browser.get("/dashboard/environments").await;
    let made = browser.submit(&page, &[("display_name", "Staging"), ("type", "PRD")]).await;
    assert_eq!(made.location(), "/dashboard/environments?done=environment-created");
    assert!(browser.get(&made.location().to_owned()).await.body.contains("Staging"));
}

#[tokio::test]
async fn refusals_say_what_is_missing_and_never_the_cause() {
    let mut browser = TestBrowser::member();
    let page = browser.get("/dashboard/env_1/accounts/ca_1/delete").await;
    for (status, shown, words) in [
        (lacks("connected_accounts:revoke"), StatusCode::FORBIDDEN, "lacks the permission connected_accounts:revoke"),
        (Status::new(Code::Unimplemented, "canary"), StatusCode::SERVICE_UNAVAILABLE, "Not available right now"),
        (Status::new(Code::Internal, "canary: no such table"), StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong on our side"),
        (Status::unauthenticated("canary"), StatusCode::SEE_OTHER, ""),
    ] {
        *browser.world.refuse.lock().unwrap() = Some(status);
        let answer = browser.submit(&page, &[]).await;
        assert_eq!(answer.status, shown);
        assert!(answer.body.contains(words) && !answer.body.contains("canary"), "{}", answer.body);
    }
    assert_eq!(browser.world.writes(), 0);
}

/// Words in an address never become words on a page.
#[tokio::test]
async fn only_known_words_make_a_notice() {
    let mut browser = TestBrowser::member();
    let page = browser.get("/dashboard/env_1/connections?done=call+555-canary").await;
    assert!(!page.body.contains("canary"));
    let page = browser.get("/dashboard/env_1/connections?done=saved").await;
    assert!(page.body.contains("role=\"status\"") && page.body.contains("Changes saved"));
}

#[tokio::test]
async fn pages_of_a_list_keep_the_filter() {
    let mut browser = TestBrowser::member();
    let page = browser.get("/dashboard/env_1/connections").await;
    assert!(page.body.contains("href=\"/dashboard/env_1/connections?page=next%261\""));
    assert!(page.body.contains("3 connections"));
    let page = browser.get("/dashboard/env_1/connections?q=s&page=x").await;
    assert!(page.body.contains("value=\"s\""), "a search that is too short is kept but not sent");
}
