//! Hosted pages before the provider is visited (AK-303 to AK-308), and the pages of the error table.

use crate::{
    browser::TestBrowser,
    flow::HOSTILE,
    markup::{attribute, form, is_not_turned_around, tags},
};
use http::{Method, StatusCode};

/// Part of AK-304
#[tokio::test]
async fn an_oauth_link_leads_straight_to_the_provider() {
    let mut browser = TestBrowser::new();
    let answer = browser.get("/oauth/connect?token=oauth&state=s").await;
    assert_eq!(answer.status, StatusCode::FOUND);
    assert_eq!(
        answer.location(),
        "https://provider.test/authorize?client_id=1&state=s"
    );
    assert_eq!(browser.cookies["__Host-sk_connect-s"], "flow-s.mac");
}

/// AK-305: labels, hints, masked inputs, choices, required markers, success page.
#[tokio::test]
async fn static_credentials_are_asked_for_and_sent_once() {
    let mut browser = TestBrowser::new();
    let page = browser.get("/oauth/connect?token=static&state=s").await;
    page.keep("connect");
    assert_eq!(page.status, StatusCode::OK);
    let key = tags(&page.body, "input")
        .into_iter()
        .find(|tag| tag.contains("name=\"field.api_key\""))
        .unwrap();
    assert_eq!(attribute(key, "type").unwrap(), "password");
    assert!(key.contains("aria-required=\"true\""));
    assert!(attribute(key, "value").is_none());
    assert!(page.body.contains("In Freshdesk: Profile settings"));

    let answer = browser
        .submit(
            &page,
            &[
                ("field.domain", "acme.freshdesk.com"),
                ("field.api_key", "canary-key"),
            ],
        )
        .await;
    assert_eq!(
        (answer.status, answer.location()),
        (StatusCode::SEE_OTHER, "/connect/success")
    );
    let submitted = browser.flow.submitted.lock().unwrap().clone();
    assert_eq!(
        submitted,
        [("static".to_owned(), Some("canary-key".to_owned()), vec![])]
    );
    assert!(browser.cookies.is_empty(), "the session ends on completion");
    browser.get("/connect/success").await.keep("success");
}

/// AK-305
#[tokio::test]
async fn a_wrong_answer_is_explained_beside_its_field_and_secrets_are_not_sent_back() {
    let mut browser = TestBrowser::new();
    let page = browser.get("/oauth/connect?token=static&state=s").await;
    let again = browser
        .submit(
            &page,
            &[("field.api_key", "canary-key"), ("field.region", "eu")],
        )
        .await;
    again.keep("connect-wrong");
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        again.body.contains(
            "<a href=\"#f-field-domain\">Freshdesk domain</a>: Enter the Freshdesk domain."
        )
    );
    let domain = tags(&again.body, "input")
        .into_iter()
        .find(|tag| tag.contains("name=\"field.domain\""))
        .unwrap();
    assert!(
        domain.contains("aria-invalid=\"true\"") && domain.contains("f-field-domain-error"),
        "{domain}"
    );
    assert!(
        again.body.contains("value=\"eu\" selected"),
        "what is not secret is kept"
    );
    assert!(!again.body.contains("canary-key"));
    assert_eq!(
        browser
            .submit(&again, &[("field.domain", "a.test")])
            .await
            .status,
        StatusCode::SEE_OTHER
    );
}

/// AK-305
#[tokio::test]
async fn a_stored_secret_is_mentioned_and_may_stay_empty() {
    let mut browser = TestBrowser::new();
    let page = browser.get("/oauth/connect?token=again&state=s").await;
    page.keep("connect-stored");
    assert!(page.body.contains("Stored."));
    assert!(page.body.contains("value=\"acme.freshdesk.com\""));
    browser.submit(&page, &[]).await;
    assert_eq!(browser.flow.submitted.lock().unwrap()[0].1, None);
}

/// Part of AK-304, AK-307. Permissions that are always asked for cannot be taken away.
#[tokio::test]
async fn scopes_are_chosen_and_the_provider_follows() {
    let mut browser = TestBrowser::new();
    let page = browser.get("/oauth/connect?token=scopes&state=s").await;
    page.keep("connect-scopes");
    let required = tags(&page.body, "input")
        .into_iter()
        .find(|tag| tag.contains("tickets:read"))
        .unwrap();
    assert!(required.contains(" checked") && required.contains(" disabled"));

    let answer = browser
        .submit(&page, &[("field.domain", "acme"), ("scope", "users:read")])
        .await;
    answer.keep("hand-off");
    assert_eq!(browser.flow.submitted.lock().unwrap()[0].2, ["users:read"]);
    assert_eq!(answer.status, StatusCode::OK);
    assert!(
        answer
            .body
            .contains("0;url=https://provider.test/authorize?client_id=1&#38;state=s")
    );
    assert_eq!(browser.cookies["__Host-sk_connect-s"], "flow-s.mac");
}

/// Part of AK-241: where all act with one account, a user only agrees.
#[tokio::test]
async fn a_user_of_a_shared_account_only_agrees() {
    let mut browser = TestBrowser::new();
    let page = browser.get("/oauth/connect?token=shared&state=s").await;
    page.keep("connect-shared");
    assert!(
        page.body
            .contains("your organization&#39;s Zendesk account")
    );
    assert!(page.body.contains(">Allow</button>"));
    assert!(
        tags(&page.body, "input")
            .iter()
            .all(|tag| tag.contains("type=\"hidden\""))
    );
    let answer = browser.submit(&page, &[]).await;
    assert_eq!(answer.location(), "/connect/success");
}

#[tokio::test]
async fn hostile_text_stays_text() {
    let mut browser = TestBrowser::new();
    let page = browser.get("/oauth/connect?token=hostile&state=s").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(!page.body.contains("<script"));
    let domain = form(&page.body)
        .fields
        .into_iter()
        .find(|(name, _)| name.starts_with("field.domain"))
        .unwrap();
    assert_eq!(domain.1, HOSTILE.trim());
    is_not_turned_around(&page.body, "the form");
}

/// A browser that does not say `Sec-Fetch-Site` says the origin, or `null` because of our referrer policy.
#[tokio::test]
async fn a_form_of_another_origin_is_refused_with_the_right_token_too() {
    let mut browser = TestBrowser::new();
    for (origin, status) in [
        ("https://evil.com", StatusCode::FORBIDDEN),
        ("https://acme.test:8443.evil.com", StatusCode::FORBIDDEN),
        ("https://acme.test", StatusCode::FORBIDDEN),
        ("file://", StatusCode::FORBIDDEN),
        ("", StatusCode::FORBIDDEN),
        ("null", StatusCode::SEE_OTHER),
        ("https://acme.test:8443", StatusCode::SEE_OTHER),
    ] {
        let page = browser.get("/oauth/connect?token=static&state=s").await;
        let form = form(&page.body);
        let mut fields = form.fields;
        fields.retain(|(name, _)| name == "csrf");
        fields.push(("field.domain".to_owned(), "a".to_owned()));
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&fields)
            .finish();
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("origin", origin),
        ];
        let answer = browser
            .send(Method::POST, &form.action, &headers, Some(body))
            .await;
        assert_eq!(answer.status, status, "{origin:?}");
    }
}

#[tokio::test]
async fn a_form_without_the_right_token_is_refused_and_changes_nothing() {
    let mut browser = TestBrowser::new();
    let page = browser.get("/oauth/connect?token=static&state=s").await;
    let action = form(&page.body).action;
    let field = |value: &str| {
        [
            ("csrf".to_owned(), value.to_owned()),
            ("field.domain".to_owned(), "a".to_owned()),
        ]
    };

    assert_eq!(
        browser.post(&action, &[]).await.keep("forged").status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        browser.post(&action, &field("AAAA")).await.status,
        StatusCode::FORBIDDEN
    );

    let right = form(&page.body)
        .fields
        .into_iter()
        .find(|(name, _)| name == "csrf")
        .unwrap()
        .1;
    let mut stranger = TestBrowser::new();
    stranger
        .cookies
        .insert("__Host-sk_portal-static".to_owned(), "portal-2".to_owned());
    assert_eq!(
        stranger.post(&action, &field(&right)).await.status,
        StatusCode::FORBIDDEN
    );

    let cross_site = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("sec-fetch-site", "cross-site"),
    ];
    let body = format!("csrf={right}&field.domain=a");
    let refused = browser
        .send(Method::POST, &action, &cross_site, Some(body.clone()))
        .await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let json = [("content-type", "text/plain")];
    assert_eq!(
        browser
            .send(Method::POST, &action, &json, Some(body))
            .await
            .status,
        StatusCode::FORBIDDEN
    );

    assert!(browser.flow.submitted.lock().unwrap().is_empty());
    assert!(stranger.flow.submitted.lock().unwrap().is_empty());
    assert_eq!(
        browser.post(&action, &field(&right)).await.status,
        StatusCode::SEE_OTHER
    );
}

/// AK-310, AK-311 and section 4.1.
#[tokio::test]
async fn failures_say_what_happened_and_what_to_do() {
    let mut browser = TestBrowser::new();
    for (token, status, words, code) in [
        (
            "unknown",
            StatusCode::GONE,
            "ask for a new link",
            "session_expired",
        ),
        (
            "unready",
            StatusCode::BAD_REQUEST,
            "user_verify_url not configured",
            "failed_to_exchange",
        ),
        (
            "gone",
            StatusCode::NOT_FOUND,
            "switched it off",
            "connection_not_found",
        ),
        (
            "often",
            StatusCode::TOO_MANY_REQUESTS,
            "Wait a minute",
            "rate_limited",
        ),
        (
            "broken",
            StatusCode::INTERNAL_SERVER_ERROR,
            "Try again",
            "internal_error",
        ),
    ] {
        let page = browser
            .get(&format!("/oauth/connect?token={token}&state=s"))
            .await;
        page.keep(code);
        assert_eq!(page.status, status, "{token}");
        assert!(
            page.body.contains(words) && page.body.contains(code),
            "{token}: {}",
            page.body
        );
        assert!(!page.body.contains("canary"), "causes are not shown");
    }
    assert_eq!(browser.get("/oauth/connect").await.status, StatusCode::GONE);
}
