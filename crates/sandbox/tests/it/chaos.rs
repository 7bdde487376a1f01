use crate::support::{Sandbox, text};
use serde_json::json;
use std::time::Duration;

/// Part of AK-805
#[tokio::test]
async fn each_fault_answers_as_promised_and_harms_no_token() {
    let sandbox = Sandbox::new();
    let tokens = sandbox.connect().await;
    let refresh = text(&tokens, "refresh_token");
    for (fault, status, kind, start) in [
        ("server_error", 503, "text/plain; charset=utf-8", "upstream"),
        ("html", 200, "text/html; charset=utf-8", "<!doctype html>"),
        ("empty", 200, "application/json", ""),
        (
            "wrong_types",
            200,
            "application/json",
            "{\"access_token\":12345",
        ),
        ("rate_limited", 429, "application/json", "{\"error\""),
    ] {
        sandbox
            .chaos(json!({ "token_fault": fault, "retry_after_secs": 7 }))
            .await;
        let answer = sandbox.refresh(refresh).await;
        assert_eq!(answer.status, status, "{fault}");
        assert_eq!(answer.headers["content-type"], kind, "{fault}");
        assert!(answer.text().starts_with(start), "{fault}: {answer:?}");
        assert_eq!(answer.body.is_empty(), fault == "empty");
        let retry = answer
            .headers
            .get("retry-after")
            .map(|value| value.to_str().unwrap());
        assert_eq!(retry, (fault == "rate_limited").then_some("7"));
    }
    assert_eq!(sandbox.counter("token_faults").await, 5);
    sandbox.chaos(json!({})).await;
    assert_eq!(sandbox.refresh(refresh).await.status, 200);
}

#[tokio::test]
async fn a_counted_fault_ends_by_itself() {
    let sandbox = Sandbox::new();
    let tokens = sandbox.connect().await;
    sandbox
        .chaos(json!({ "token_fault": "server_error", "token_fault_count": 2 }))
        .await;
    let refresh = text(&tokens, "refresh_token");
    for expected in [503, 503, 200] {
        assert_eq!(sandbox.refresh(refresh).await.status, expected);
    }
}

#[tokio::test]
async fn lifetimes_can_be_short_or_withheld() {
    let sandbox = Sandbox::new();
    sandbox.chaos(json!({ "expires_in_secs": 2 })).await;
    let tokens = sandbox.connect().await;
    assert_eq!(tokens["expires_in"], 2);
    sandbox.clock.advance(Duration::from_secs(2));
    assert_eq!(
        sandbox
            .call("/me", text(&tokens, "access_token"))
            .await
            .status,
        401
    );

    sandbox.chaos(json!({ "omit_expires_in": true })).await;
    let tokens = sandbox.connect().await;
    assert!(tokens.get("expires_in").is_none());
    assert_eq!(
        sandbox
            .call("/me", text(&tokens, "access_token"))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn the_api_can_refuse_a_good_token_once() {
    let sandbox = Sandbox::new();
    let tokens = sandbox.connect().await;
    sandbox.chaos(json!({ "api_unauthorized_count": 1 })).await;
    assert_eq!(sandbox.call("/me", "junk").await.status, 401);
    assert_eq!(
        sandbox
            .call("/me", text(&tokens, "access_token"))
            .await
            .status,
        401
    );
    assert_eq!(
        sandbox
            .call("/me", text(&tokens, "access_token"))
            .await
            .status,
        200
    );
}

#[tokio::test(start_paused = true)]
async fn token_answers_can_be_slow() {
    let sandbox = Sandbox::new();
    let tokens = sandbox.connect().await;
    sandbox.chaos(json!({ "token_delay_ms": 20_000 })).await;
    let start = tokio::time::Instant::now();
    assert_eq!(
        sandbox.refresh(text(&tokens, "refresh_token")).await.status,
        200
    );
    assert_eq!(start.elapsed().as_secs(), 20);
}

#[tokio::test]
async fn the_page_and_json_set_the_same_switch() {
    let sandbox = Sandbox::new();
    let fields = [
        ("token_fault", "html"),
        ("token_fault_count", ""),
        ("token_delay_ms", "0"),
        ("retry_after_secs", "3"),
        ("expires_in_secs", "60"),
        ("rotation", "on"),
        ("api_unauthorized_count", "0"),
    ];
    assert_eq!(
        sandbox
            .post_form("/sandbox/chaos/form", &fields)
            .await
            .status,
        303
    );
    let state = sandbox.get("/sandbox/chaos/state").await.json();
    assert_eq!(state["token_fault"], "html");
    assert_eq!(state["token_fault_count"], json!(null));
    assert_eq!(
        (&state["rotation"], &state["reuse_detection"]),
        (&json!(true), &json!(false))
    );
    let page = sandbox.get("/sandbox/chaos").await;
    assert!(page.text().contains("value=\"html\" selected"));
    let wrong = sandbox
        .post_json("/sandbox/chaos", &json!({ "token_falt": "html" }))
        .await;
    assert_eq!(wrong.status, 422);
}
