use crate::support::{Sandbox, text};
use keystead_sandbox::{CLIENT_ID, CLIENT_SECRET};
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn codes_and_tokens_expire() {
    let sandbox = Sandbox::new();
    let code = sandbox.code(&[]).await;
    sandbox.clock.advance(Duration::from_mins(5));
    assert_eq!(
        sandbox.redeem(&code, &[]).await.oauth_error(),
        (400, "invalid_grant".to_owned())
    );

    let tokens = sandbox.connect().await;
    sandbox.clock.advance(Duration::from_secs(3599));
    assert_eq!(
        sandbox
            .call("/me", text(&tokens, "access_token"))
            .await
            .status,
        200
    );
    sandbox.clock.advance(Duration::from_secs(1));
    assert_eq!(
        sandbox
            .call("/me", text(&tokens, "access_token"))
            .await
            .status,
        401
    );
    assert_eq!(
        sandbox.refresh(text(&tokens, "refresh_token")).await.status,
        200
    );
}

#[tokio::test]
async fn refresh_rotates_and_reuse_revokes_the_family() {
    let sandbox = Sandbox::new();
    let bystander = sandbox.connect().await;
    let first = sandbox.connect().await;
    let second = sandbox.refresh(text(&first, "refresh_token")).await.json();
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    assert_eq!(
        sandbox
            .call("/me", text(&second, "access_token"))
            .await
            .status,
        200
    );

    let replay = sandbox.refresh(text(&first, "refresh_token")).await;
    assert_eq!(replay.oauth_error(), (400, "invalid_grant".to_owned()));
    for dead in [&first, &second] {
        assert_eq!(
            sandbox.call("/me", text(dead, "access_token")).await.status,
            401
        );
    }
    assert_eq!(
        sandbox.refresh(text(&second, "refresh_token")).await.status,
        400
    );
    assert_eq!(
        sandbox
            .refresh(text(&bystander, "refresh_token"))
            .await
            .status,
        200
    );
    let counters = sandbox.get("/sandbox/provider/log").await.json()["counters"].clone();
    assert_eq!(counters["refreshes"], 2);
    assert_eq!(counters["reuse_detections"], 1);
    assert_eq!(counters["revoked_families"], 1);
}

#[tokio::test]
async fn without_reuse_detection_only_the_old_token_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.chaos(json!({ "reuse_detection": false })).await;
    let first = sandbox.connect().await;
    let second = sandbox.refresh(text(&first, "refresh_token")).await.json();
    assert_eq!(
        sandbox.refresh(text(&first, "refresh_token")).await.status,
        400
    );
    assert_eq!(
        sandbox.refresh(text(&second, "refresh_token")).await.status,
        200
    );
}

#[tokio::test]
async fn without_rotation_the_answer_has_no_refresh_token_and_the_old_one_stays() {
    let sandbox = Sandbox::new();
    sandbox.chaos(json!({ "rotation": false })).await;
    let first = sandbox.connect().await;
    for _ in 0..2 {
        let next = sandbox.refresh(text(&first, "refresh_token")).await;
        assert_eq!(next.status, 200);
        assert!(next.json().get("refresh_token").is_none());
    }
}

#[tokio::test]
async fn a_scope_may_shrink_at_refresh_but_not_grow() {
    let sandbox = Sandbox::new();
    let tokens = sandbox.connect().await;
    let ask = async |scope| {
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", text(&tokens, "refresh_token")),
            ("scope", scope),
        ];
        sandbox.token(&fields).await
    };
    assert_eq!(
        ask("read admin").await.oauth_error(),
        (400, "invalid_scope".to_owned())
    );
    // The refusal did not use the token up.
    assert_eq!(ask("read").await.json()["scope"], "read");
}

#[tokio::test]
async fn revocation_of_a_refresh_token_ends_the_family_and_of_an_access_token_only_it() {
    let sandbox = Sandbox::new();
    let tokens = sandbox.connect().await;
    let revoke = async |token: &str| {
        let fields = [
            ("client_id", CLIENT_ID),
            ("client_secret", CLIENT_SECRET),
            ("token", token),
        ];
        assert_eq!(
            sandbox
                .post_form("/sandbox/provider/revoke", &fields)
                .await
                .status,
            200
        );
    };
    revoke("unknown").await;
    revoke(text(&tokens, "access_token")).await;
    assert_eq!(
        sandbox
            .call("/me", text(&tokens, "access_token"))
            .await
            .status,
        401
    );
    let next = sandbox.refresh(text(&tokens, "refresh_token")).await.json();
    revoke(text(&next, "refresh_token")).await;
    assert_eq!(
        sandbox
            .call("/me", text(&next, "access_token"))
            .await
            .status,
        401
    );
    assert_eq!(
        sandbox.refresh(text(&next, "refresh_token")).await.status,
        400
    );
}

#[tokio::test]
async fn a_user_can_take_access_away_in_the_console() {
    let sandbox = Sandbox::new();
    let tokens = sandbox.connect().await;
    let grants = sandbox.get("/sandbox/provider/grants").await.json();
    assert_eq!(grants[0]["subject"], "u-ada");
    sandbox
        .post_form(
            &format!("/sandbox/provider/grants/{}/revoke", grants[0]["id"]),
            &[],
        )
        .await;
    assert_eq!(
        sandbox
            .refresh(text(&tokens, "refresh_token"))
            .await
            .oauth_error(),
        (400, "invalid_grant".to_owned())
    );
    assert_eq!(
        sandbox.get("/sandbox/provider/grants").await.json(),
        json!([])
    );
}

#[tokio::test]
async fn the_log_tells_what_happened_without_any_token() {
    let sandbox = Sandbox::new();
    let code = sandbox.code(&[]).await;
    let first = sandbox.redeem(&code, &[]).await.json();
    let second = sandbox.refresh(text(&first, "refresh_token")).await.json();
    sandbox.refresh(text(&first, "refresh_token")).await;
    sandbox.call("/me", text(&second, "access_token")).await;

    let log = sandbox.get("/sandbox/provider/log").await;
    let kinds: Vec<_> = log.json()["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["kind"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        kinds,
        [
            "consent.given",
            "code.redeemed",
            "token.refreshed",
            "token.reused",
            "family.revoked",
            "token.refused",
            "api.called"
        ]
    );
    let console = sandbox.get("/sandbox/provider").await;
    for page in [log.text(), console.text()] {
        for secret in [
            code.as_str(),
            text(&first, "access_token"),
            text(&first, "refresh_token"),
            text(&second, "access_token"),
        ] {
            assert!(!page.contains(secret));
        }
    }
    let later = sandbox.get("/sandbox/provider/log?since=5").await.json();
    assert_eq!(later["events"].as_array().unwrap().len(), 2);
}
