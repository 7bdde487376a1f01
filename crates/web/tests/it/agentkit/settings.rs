//! Launch checklist, API credentials and settings of AgentKit.

use crate::{browser::TestBrowser, markup};
use http::StatusCode;
use keystead_proto::v1::environments::{
    AgentActionsConfig, ConnectedAccountUserVerifyMode, CustomDomainStatus,
};

/// Part of AK-803 and part of DB-115: each line of the checklist follows what is so.
#[tokio::test]
async fn the_launch_checklist_follows_the_environment() {
    let mut browser = TestBrowser::member();
    let page = browser.get("/dashboard/env_1/launch").await;
    assert!(
        page.body
            .contains("Not finished or disabled: slack-support.")
    );
    assert!(!page.body.contains("Ready for your users"));

    {
        let world = &browser.world;
        world
            .connections
            .lock()
            .unwrap()
            .retain(|connection| connection.id != "conn_2");
        *world.verification.lock().unwrap() = Some(AgentActionsConfig {
            user_verify_mode: ConnectedAccountUserVerifyMode::UserVerifyModeB2b.into(),
            ..AgentActionsConfig::default()
        });
        for environment in world.environments.lock().unwrap().iter_mut() {
            environment.custom_domain = Some("auth.acme.test".to_owned());
            environment.custom_domain_status = CustomDomainStatus::Active.into();
        }
    }
    let page = browser.get("/dashboard/env_2/launch").await;
    page.keep("launch-ready");
    assert!(
        page.body.contains("Ready for your users") && page.body.contains("0 things are open."),
        "{}",
        page.body
    );
    for (_, provider) in browser.world.providers.lock().unwrap().iter_mut() {
        provider.proxy_enabled = provider.identifier != "GMAIL";
    }
    let page = browser.get("/dashboard/env_2/launch").await;
    assert!(
        page.body.contains("Switched off for: Gmail.") && page.body.contains("1 thing is open.")
    );
}

/// Part of DB-082 and flow 3.5: a secret is shown once.
#[tokio::test]
async fn a_secret_is_shown_once_and_revoked() {
    let mut browser = TestBrowser::member();
    let page = browser.get("/dashboard/env_1/credentials/skc_1").await;
    let shown = browser
        .press(&page, "/dashboard/env_1/credentials/skc_1/secrets")
        .await;
    shown.keep("client-secret");
    assert!(shown.body.contains("canary-client-secret-x9y8"));
    assert!(
        !shown.body.contains("/secrets\"><input"),
        "two active secrets are the most"
    );
    let later = browser.get("/dashboard/env_1/credentials/skc_1").await;
    assert!(!later.body.contains("canary") && later.body.contains("…x9y8"));

    let page = browser
        .get("/dashboard/env_1/credentials/skc_1/secrets/sks_1/revoke")
        .await;
    assert!(page.body.contains("ending in a1b2"));
    let done = browser.submit(&page, &[]).await;
    assert_eq!(
        done.location(),
        "/dashboard/env_1/credentials/skc_1?done=secret-revoked"
    );
    assert_eq!(
        browser
            .get("/dashboard/env_1/credentials/skc_1/secrets/sks_1/revoke")
            .await
            .status,
        StatusCode::NOT_FOUND
    );

    let page = browser.get("/dashboard/env_1/credentials/new").await;
    let made = browser.submit(&page, &[("name", "Worker")]).await;
    assert_eq!(
        made.location(),
        "/dashboard/env_1/credentials/skc_9?done=client-created"
    );
    let page = browser
        .get("/dashboard/env_1/credentials/skc_9/delete")
        .await;
    assert_eq!(
        browser.submit(&page, &[]).await.location(),
        "/dashboard/env_1/credentials?done=client-deleted"
    );
}

/// AK-320, AK-326.
#[tokio::test]
async fn verification_begins_with_members_only_and_production_warns() {
    let mut browser = TestBrowser::member();
    let page = browser.get("/dashboard/env_1/verification").await;
    let members = "USER_VERIFY_MODE_SCALEKIT_PLATFORM";
    let chosen = markup::form(&page.body)
        .fields
        .into_iter()
        .find(|(name, _)| name == "mode")
        .unwrap();
    assert_eq!(chosen.1, members);
    assert!(!page.body.contains("does not verify its users"));
    let production = browser.get("/dashboard/env_2/verification").await;
    production.keep("verification-production");
    assert!(production.body.contains("does not verify its users"));
    assert!(
        !production.body.contains("USER_VERIFY_MODE_NONE"),
        "not offered in production"
    );

    let saved = browser
        .submit(
            &page,
            &[
                ("mode", "USER_VERIFY_MODE_B2B"),
                ("detailed_error_logging", "on"),
            ],
        )
        .await;
    assert_eq!(saved.location(), "/dashboard/env_1/verification?done=saved");
    let config = browser.world.verification.lock().unwrap().unwrap();
    assert_eq!(
        config.user_verify_mode,
        i32::from(ConnectedAccountUserVerifyMode::UserVerifyModeB2b)
    );
    assert!(config.detailed_error_logging());
}

/// Part of AK-302, part of AK-324, part of AK-325: what the page saves, and what it keeps of a refused form.
#[tokio::test]
async fn links_of_an_environment_are_set_up() {
    let mut browser = TestBrowser::member();
    let page = browser.get("/dashboard/env_1/verification").await;
    let form = markup::forms(&page.body)
        .into_iter()
        .find(|form| form.action.ends_with("/verification/links"))
        .unwrap();
    let minutes = form
        .fields
        .iter()
        .find(|(name, _)| name == "link_lifetime_seconds");
    assert_eq!(minutes.unwrap().1, "60");
    let action = form.action.clone();
    let mut sent: Vec<(String, String)> = form.fields;
    sent.retain(|(name, _)| name == "csrf");
    assert_eq!(sent.len(), 1);
    for (name, value) in [
        ("link_lifetime_seconds", "1440"),
        ("default_user_verify_url", "https://app.test/verify"),
        (
            "allowed_user_verify_urls",
            "https://app.test/verify\nhttps://b.test",
        ),
    ] {
        sent.push((name.to_owned(), value.to_owned()));
    }
    let saved = browser.post(&action, &sent).await;
    assert_eq!(saved.location(), "/dashboard/env_1/verification?done=saved");
    let settings = browser.world.links.lock().unwrap().clone().unwrap();
    assert_eq!(settings.link_lifetime_seconds, 86_400);
    assert_eq!(settings.default_user_verify_url, "https://app.test/verify");
    assert_eq!(
        settings.allowed_user_verify_urls,
        ["https://app.test/verify", "https://b.test"]
    );

    let message = "allowed_user_verify_urls must start with https://";
    *browser.world.refuse.lock().unwrap() = Some(tonic::Status::invalid_argument(message));
    let refused = browser.post(&action, &sent).await;
    assert_eq!(refused.status, 422);
    assert!(
        refused.body.contains("must start with https://")
            && refused.body.contains("https://b.test")
    );
}
