//! The dashboard's pages against small services of the contract.

use crate::{browser::TestBrowser, flow::HOSTILE, markup, services::lacks, world};
use http::{Method, StatusCode};
use keystead_proto::v1::connections::connection::Settings;
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
    ("launch", "/launch"),
    (
        "connection-new-template",
        "/connections/new?connector=GMAIL",
    ),
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
        assert!(
            page.location().starts_with("/dashboard/sign-in?return_to="),
            "{path}"
        );
    }
}

/// A member whose role only reads meets no button that would be refused, and can still sign out.
#[tokio::test]
async fn who_may_only_read_is_offered_no_change() {
    let mut browser = TestBrowser::member();
    *browser.login.reads_only.lock().unwrap() = true;
    for path in [
        "/connections/conn_1",
        "/accounts/ca_1",
        "/accounts/new",
        "/verification",
        "/connections/conn_1/delete",
    ] {
        let page = browser.get(&format!("/dashboard/env_1{path}")).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        let posts = crate::markup::forms(&page.body);
        let posts: Vec<_> = posts.iter().map(|form| form.action.as_str()).collect();
        let buttons = page.body.matches("<button").count();
        assert!(posts.contains(&"/dashboard/sign-out"), "{path}");
        assert_eq!(buttons, 1, "{path}: to sign out, and no other of {posts:?}");
    }
    let page = browser.get("/dashboard/env_1/verification").await;
    page.keep("verification-read-only");
    assert!(page.body.contains("but not change it"), "{}", page.body);
}

/// An end user whose link was cut off has no dashboard to go to; a member has.
#[tokio::test]
async fn only_members_are_led_to_the_dashboard_from_a_missing_page() {
    let mut browser = TestBrowser::member();
    for (path, leads) in [
        ("/oauth/connec", false),
        ("/connect/nothing", false),
        ("/dashboard/env_1/nothing", true),
        ("/dashboard/env_1/accounts/ca_99", true),
    ] {
        let page = browser.get(path).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(page.body.contains("href=\"/dashboard\""), leads, "{path}");
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
            let without: Vec<_> = form
                .fields
                .iter()
                .filter(|(name, _)| name != "csrf")
                .cloned()
                .collect();
            assert_eq!(
                browser.post(&form.action, &without).await.status,
                StatusCode::FORBIDDEN,
                "{}",
                form.action
            );
            let wrong = [without, vec![("csrf".to_owned(), "A".repeat(43))]].concat();
            assert_eq!(
                browser.post(&form.action, &wrong).await.status,
                StatusCode::FORBIDDEN,
                "{}",
                form.action
            );
            let body = url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs(&form.fields)
                .finish();
            let across = [
                ("content-type", "application/x-www-form-urlencoded"),
                ("sec-fetch-site", "same-site"),
            ];
            let answer = browser
                .send(Method::POST, &form.action, &across, Some(body))
                .await;
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
            let patterns = [
                json!({"type": HOSTILE, "display_name": HOSTILE, "description": HOSTILE, "fields": [{"field_name": HOSTILE, "label": HOSTILE, "hint": HOSTILE}]}),
            ];
            let identifier = provider.identifier.clone();
            *provider = world::provider(&identifier, HOSTILE, HOSTILE, &[HOSTILE], &patterns);
        }
    }
    for (_, path) in PAGES {
        let page = browser.get(&address(path)).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert!(
            !page.body.contains("<script") && !page.body.contains("</textarea><script"),
            "{path}"
        );
        markup::is_not_turned_around(&page.body, path);
    }
}

#[tokio::test]
async fn the_first_page_leads_to_an_environment_and_unknown_ones_do_not_exist() {
    let mut browser = TestBrowser::member();
    assert_eq!(
        browser.get("/dashboard").await.location(),
        "/dashboard/env_1"
    );
    for path in [
        "/dashboard/env_99",
        "/dashboard/env_99/connections",
        "/dashboard/env_1/connections/conn_99",
        "/dashboard/env_1/connectors/NOPE",
        "/dashboard/env_1/nothing",
    ] {
        assert_eq!(
            browser.get(path).await.status,
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    browser.world.environments.lock().unwrap().clear();
    assert_eq!(
        browser.get("/dashboard").await.location(),
        "/dashboard/environments"
    );
}

#[tokio::test]
async fn an_environment_is_created() {
    let mut browser = TestBrowser::member();
    let page = browser.get("/dashboard/environments").await;
    let made = browser
        .submit(&page, &[("display_name", "Staging"), ("type", "PRD")])
        .await;
    assert_eq!(
        made.location(),
        "/dashboard/environments?done=environment-created"
    );
    assert!(browser.get(made.location()).await.body.contains("Staging"));
}

#[tokio::test]
async fn refusals_say_what_is_missing_and_never_the_cause() {
    let mut browser = TestBrowser::member();
    let page = browser.get("/dashboard/env_1/accounts/ca_1/delete").await;
    for (status, shown, words) in [
        (
            lacks("connected_accounts:revoke"),
            StatusCode::FORBIDDEN,
            "lacks the permission connected_accounts:revoke",
        ),
        (
            Status::new(Code::Unimplemented, "canary"),
            StatusCode::SERVICE_UNAVAILABLE,
            "Not available right now",
        ),
        (
            Status::new(Code::Internal, "canary: no such table"),
            StatusCode::INTERNAL_SERVER_ERROR,
            "Something went wrong on our side",
        ),
        (Status::unauthenticated("canary"), StatusCode::SEE_OTHER, ""),
    ] {
        *browser.world.refuse.lock().unwrap() = Some(status);
        let answer = browser.submit(&page, &[]).await;
        assert_eq!(answer.status, shown);
        assert!(
            answer.body.contains(words) && !answer.body.contains("canary"),
            "{}",
            answer.body
        );
    }
    assert_eq!(browser.world.writes(), 0);
}

/// Words in an address never become words on a page.
#[tokio::test]
async fn only_known_words_make_a_notice() {
    let mut browser = TestBrowser::member();
    let page = browser
        .get("/dashboard/env_1/connections?done=call+555-canary")
        .await;
    assert!(!page.body.contains("canary"));
    let page = browser.get("/dashboard/env_1/connections?done=saved").await;
    assert!(page.body.contains("role=\"status\"") && page.body.contains("Changes saved"));
}

#[tokio::test]
async fn pages_of_a_list_keep_the_filter() {
    let mut browser = TestBrowser::member();
    let page = browser.get("/dashboard/env_1/connections").await;
    assert!(
        page.body
            .contains("href=\"/dashboard/env_1/connections?page=next%261\"")
    );
    assert!(page.body.contains("3 connections"));
    let page = browser.get("/dashboard/env_1/connections?q=s&page=x").await;
    assert!(
        page.body.contains("value=\"s\""),
        "a search that is too short is kept but not sent"
    );
}

/// Part of DB-021: where real users are, what destroys asks for the environment's name and does nothing
/// without it.
#[tokio::test]
async fn in_production_the_name_of_the_environment_confirms() {
    let mut browser = TestBrowser::member();
    for path in [
        "/connections/conn_1/disable",
        "/connections/conn_1/delete",
        "/accounts/ca_1/disconnect",
        "/accounts/ca_1/delete",
        "/credentials/skc_1/secrets/sks_1/revoke",
        "/credentials/skc_1/delete",
    ] {
        let address = format!("/dashboard/env_2{path}");
        let page = browser.get(&address).await;
        for wrong in ["", "production", "Development"] {
            let answer = browser.submit(&page, &[("environment", wrong)]).await;
            assert_eq!(answer.location(), format!("{address}?again=1"), "{wrong}");
        }
        assert_eq!(browser.world.writes(), 0, "{path}");
        let again = browser.get(&format!("{address}?again=1")).await;
        again.keep("confirm-production");
        assert!(
            again
                .body
                .contains("Enter Production, exactly as it is written.")
        );
        *browser.world.refuse.lock().unwrap() = Some(Status::failed_precondition("it arrived"));
        let sent = browser
            .submit(&again, &[("environment", "Production")])
            .await;
        assert!(sent.body.contains("It arrived"), "{path}");

        let here = browser.get(&format!("/dashboard/env_1{path}")).await;
        assert!(!here.body.contains("name=\"environment\""));
    }
}
