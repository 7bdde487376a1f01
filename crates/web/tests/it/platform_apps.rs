//! OAuth apps of the installation on the page of a connection.

use crate::{browser::TestBrowser, markup};
use keystead_proto::v1::connections::connection::Settings;

/// Part of AK-107: the option is hidden until the installation has an app for the connector.
#[tokio::test]
async fn the_app_of_the_installation_is_offered_where_there_is_one() {
    let mut browser = TestBrowser::member();
    let page = browser
        .get("/dashboard/env_1/connections/new?connector=GMAIL&template=send")
        .await;
    let chosen = markup::form(&page.body)
        .fields
        .into_iter()
        .find(|(name, _)| name == "template");
    assert_eq!(chosen.unwrap().1, "send", "a link chooses the template");
    let made = browser.submit(&page, &[("key_id", "mail")]).await;
    let path = "/dashboard/env_1/connections/conn_9";
    assert!(made.location().starts_with(path));
    let page = browser.get(path).await;
    assert!(!page.body.contains("use_platform_creds"));
    assert!(page.body.contains("Not ready yet"));

    *browser.world.platform_apps.lock().unwrap() = vec!["GMAIL".to_owned()];
    let page = browser.get(path).await;
    assert!(page.body.contains("use_platform_creds"));
    let form = markup::forms(&page.body)
        .into_iter()
        .find(|form| form.action == path)
        .unwrap();
    let mut fields = form.fields;
    fields.push(("use_platform_creds".to_owned(), "on".to_owned()));
    let saved = browser.post(path, &fields).await;
    assert_eq!(saved.location(), format!("{path}?done=saved"));
    {
        let connections = browser.world.connections.lock().unwrap();
        let Some(Settings::OauthConfig(config)) = &connections.last().unwrap().settings else {
            panic!()
        };
        assert!(config.use_platform_creds.unwrap().value);
    }
    // Taken away by the operator it can still be switched off.
    browser.world.platform_apps.lock().unwrap().clear();
    let page = browser.get(path).await;
    assert!(page.body.contains("use_platform_creds"));
    assert!(!page.body.contains("Not ready yet"));
}
