//! Pages of connectors.

use crate::{browser::TestBrowser, services::wrong_field};
use http::StatusCode;
use tonic::Status;

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
        let page = browser
            .get(&format!("/dashboard/env_1/connectors?{query}"))
            .await;
        let names = page.body.split("<ul class=\"grid\">").nth(1).unwrap();
        assert!(names.contains(shown) && !names.contains(hidden), "{query}");
    }
    let none = browser.get("/dashboard/env_1/connectors?q=zzz").await;
    none.keep("connectors-none");
    assert!(none.body.contains("No connector matches"));
}

/// Part of AK-004, part of AK-022.
#[tokio::test]
async fn a_connector_is_created_changed_copied_and_deleted() {
    let mut browser = TestBrowser::member();
    let page = browser
        .get("/dashboard/env_1/connectors/new?auth=OAUTH")
        .await;
    let answers = [
        ("display_name", "Our CRM"),
        ("proxy_url", "https://{{domain}}/api"),
        ("authorize_uri", "https://crm.test/authorize"),
        ("token_uri", "https://crm.test/token"),
        ("scopes", "read\r\nwrite"),
    ];
    let made = browser.submit(&page, &answers).await;
    assert_eq!(
        made.location(),
        "/dashboard/env_1/connectors/OURCRM:7?done=connector-created"
    );
    let page = browser.get(made.location()).await;
    assert!(
        page.body.contains("Connector created") && page.body.contains("https://crm.test/token")
    );

    let page = browser
        .get("/dashboard/env_1/connectors/OURCRM:7/edit")
        .await;
    assert!(page.body.contains("read\nwrite"));
    let saved = browser
        .submit(&page, &[("description", "Customers and deals.")])
        .await;
    assert_eq!(
        saved.location(),
        "/dashboard/env_1/connectors/OURCRM:7?done=saved"
    );

    let page = browser
        .get("/dashboard/env_1/connectors/OURCRM:7/copy?to=env_2")
        .await;
    assert!(page.body.contains("Customers and deals."));
    let copied = browser.submit(&page, &[]).await;
    assert_eq!(
        copied.location(),
        "/dashboard/env_2/connectors/OURCRM:7?done=connector-copied"
    );
    let page = browser
        .get("/dashboard/env_1/connectors/OURCRM:7/copy?to=env_2")
        .await;
    assert!(page.body.contains("nothing to copy"));

    let page = browser
        .get("/dashboard/env_1/connectors/OURCRM:7/delete")
        .await;
    assert_eq!(
        browser.submit(&page, &[]).await.location(),
        "/dashboard/env_1/connectors?done=connector-deleted"
    );
    assert_eq!(
        browser
            .get("/dashboard/env_1/connectors/GMAIL/edit")
            .await
            .status,
        StatusCode::NOT_FOUND,
        "built-in ones stay"
    );
}

/// AK-019: what a form shows and the member leaves empty or switches off is meant. What the form
/// does not show stays, and a copy has nothing that its original lacks.
#[tokio::test]
async fn a_connector_can_be_emptied_and_its_direct_calls_switched_off() {
    let mut browser = TestBrowser::member();
    let world = browser.world.clone();
    let stored = |environment: &str| {
        let known = world.providers.lock().unwrap();
        let (_, found) = known
            .iter()
            .find(|(place, provider)| place == environment && provider.identifier == "ERP:7")
            .unwrap();
        found.clone()
    };
    let page = browser
        .get("/dashboard/env_1/connectors/new?auth=API_KEY")
        .await;
    let answers = [
        ("display_name", "ERP"),
        ("description", "Orders."),
        ("proxy_url", "https://erp.test"),
    ];
    browser
        .submit_without(&page, &["proxy_enabled"], &answers)
        .await;
    assert!(!stored("dev.test").proxy_enabled);

    for (_, provider) in world.providers.lock().unwrap().iter_mut() {
        provider
            .metadata
            .insert("team".to_owned(), "sales".to_owned());
    }
    let edit = "/dashboard/env_1/connectors/ERP:7/edit";
    let page = browser.get(edit).await;
    browser.submit(&page, &[("proxy_enabled", "on")]).await;
    assert!(stored("dev.test").proxy_enabled);
    let page = browser.get(edit).await;
    browser
        .submit_without(&page, &["proxy_enabled"], &[("description", "")])
        .await;
    let now = stored("dev.test");
    assert!(!now.proxy_enabled && now.description.is_empty());
    assert_eq!(now.metadata["team"], "sales", "the form does not show it");

    let copy = "/dashboard/env_1/connectors/ERP:7/copy?to=env_2";
    let page = browser.get(copy).await;
    browser.submit(&page, &[]).await;
    assert!(!stored("prod.test").proxy_enabled);
    for (place, provider) in world.providers.lock().unwrap().iter_mut() {
        if place == "dev.test" {
            provider.metadata.clear();
        } else if place == "prod.test" {
            "Old.".clone_into(&mut provider.description);
            provider.proxy_enabled = true;
        }
    }
    let page = browser.get(copy).await;
    assert!(page.body.contains("team=sales"), "the change is shown");
    browser.submit(&page, &[]).await;
    let there = stored("prod.test");
    assert!(there.metadata.is_empty() && there.description.is_empty() && !there.proxy_enabled);
}

#[tokio::test]
async fn what_is_wrong_with_a_connector_is_said_beside_the_field() {
    let mut browser = TestBrowser::member();
    let page = browser
        .get("/dashboard/env_1/connectors/new?auth=BEARER")
        .await;
    let again = browser
        .submit(&page, &[("secret_label", "Personal token")])
        .await;
    again.keep("connector-wrong");
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        again.body.contains("Enter a name.") && again.body.contains("2 fields need your attention")
    );
    assert_eq!(browser.world.writes(), 0);

    *browser.world.refuse.lock().unwrap() = Some(wrong_field(
        "provider.display_name",
        "Only letters, digits and spaces.",
    ));
    let answers = [("display_name", "A/B"), ("proxy_url", "https://a.test")];
    let again = browser.submit(&again, &answers).await;
    assert!(
        again
            .body
            .contains("id=\"f-display_name-error\">Only letters"),
        "{}",
        again.body
    );
    assert!(again.body.contains("value=\"A/B\"") && again.body.contains("Personal token"));

    *browser.world.refuse.lock().unwrap() =
        Some(Status::already_exists("a connector named A exists"));
    let again = browser.submit(&again, &answers).await;
    assert!(again.body.contains("A connector named A exists"));
}
