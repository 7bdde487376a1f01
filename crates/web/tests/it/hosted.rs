//! Hosted pages: AK-303 to AK-313 and the pages of the error table.

use crate::{
    browser::TestBrowser,
    flow::HOSTILE,
    markup::{attribute, form, is_not_turned_around, tags},
};
use http::{Method, StatusCode};

const CALLBACK: &str = "/sso/v1/oauth/conn_123456789012345/callback";

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

/// Part of AK-309
#[tokio::test]
async fn the_provider_answer_goes_to_the_flow_and_on_to_the_right_place() {
    let mut browser = TestBrowser::new();
    for (query, to) in [
        ("code=c&state=s&realmId=9", "/connect/success"),
        (
            "code=custom&state=s",
            "https://app.test/verify?auth_request_id=1",
        ),
        (
            "code=member&state=s",
            "/connect/verify?request=request-1&flow=s",
        ),
    ] {
        browser.get("/oauth/connect?token=oauth&state=s").await;
        let answer = browser.get(&format!("{CALLBACK}?{query}")).await;
        assert_eq!(
            (answer.status, answer.location()),
            (StatusCode::SEE_OTHER, to)
        );
    }
    let first = browser.flow.callbacks.lock().unwrap()[0].clone();
    assert!(
        first.contains(&("realmId".to_owned(), "9".to_owned())),
        "everything the provider sent arrives"
    );
}

/// AK-311, part of AK-309
#[tokio::test]
async fn a_callback_without_the_cookie_or_with_a_foreign_id_is_refused() {
    let mut browser = TestBrowser::new();
    let page = browser.get(&format!("{CALLBACK}?code=c&state=s")).await;
    page.keep("invalid_state");
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(page.body.contains("invalid_state"));
    let empty = browser.get(&format!("{CALLBACK}?state=s")).await;
    empty.keep("invalid_response");
    assert_eq!(empty.status, StatusCode::BAD_REQUEST);
    assert!(
        empty.body.contains("carries neither code nor error")
            && !empty.body.contains("another browser")
    );
    let odd = browser.get("/sso/v1/oauth/org_1/callback?code=c").await;
    assert_eq!(odd.status, StatusCode::BAD_REQUEST);
}

/// AK-310, AK-311: a safe message, an error id and the same link again, which only this browser knows.
#[tokio::test]
async fn a_refusal_offers_the_same_link_again_and_does_not_repeat_the_provider() {
    const AGAIN: &str = "href=\"/oauth/connect?token=oauth&#38;state=s%261\"";
    let mut browser = TestBrowser::new();
    browser.get("/oauth/connect?token=oauth&state=s%261").await;
    let page = browser
        .get(&format!(
            "{CALLBACK}?error=access_denied&error_description=canary+call+555&state=s"
        ))
        .await;
    page.keep("denied");
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(page.body.contains(AGAIN), "{}", page.body);
    assert!(page.body.contains("Reference:"));
    assert!(!page.body.contains("canary"));

    let page = browser
        .get(&format!("{CALLBACK}?error=canary%3Cb%3E&state=s"))
        .await;
    assert!(page.body.contains("provider_error") && !page.body.contains("canary"));

    let page = browser.get(&format!("{CALLBACK}?code=bad&state=s")).await;
    assert_eq!(page.status, StatusCode::BAD_GATEWAY);
    assert!(
        page.body.contains("Error executing post auth hooks")
            && page.body.contains("failed_to_exchange_token")
    );
    assert!(page.body.contains(AGAIN));

    let mut other = TestBrowser::new();
    let page = other
        .get(&format!("{CALLBACK}?error=access_denied&state=s"))
        .await;
    assert!(!page.body.contains("Try again</a>"), "{}", page.body);
    browser.get("/oauth/connect?token=oauth&state=s%261").await;
    browser.get(&format!("{CALLBACK}?code=c&state=s")).await;
    assert!(browser.cookies.is_empty(), "a used link is forgotten");
}

/// AK-310: what is ours or passes can be tried again; a link that is over cannot.
#[tokio::test]
async fn only_a_link_that_may_still_work_is_offered_again() {
    let mut browser = TestBrowser::new();
    for (token, offered) in [
        ("broken", true),
        ("often", true),
        ("unknown", false),
        ("gone", false),
        ("unready", false),
    ] {
        let page = browser
            .get(&format!("/oauth/connect?token={token}&state=s"))
            .await;
        assert_eq!(page.body.contains("Try again</a>"), offered, "{token}");
        assert!(page.body.contains("Reference:"), "{token}");
    }
    assert!(
        browser.cookies.is_empty(),
        "only links that opened are kept"
    );
}

/// Part of AK-309: two services are connected in two tabs, in any order.
#[tokio::test]
async fn two_links_in_one_browser_both_finish() {
    let mut browser = TestBrowser::new();
    for state in ["first", "second"] {
        browser
            .get(&format!("/oauth/connect?token=oauth&state={state}"))
            .await;
    }
    for state in ["first", "second"] {
        let answer = browser
            .get(&format!("{CALLBACK}?code=c&state={state}"))
            .await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    }
    assert!(browser.cookies.is_empty(), "{:?}", browser.cookies);

    let static_page = browser.get("/oauth/connect?token=static&state=s").await;
    let scopes_page = browser.get("/oauth/connect?token=scopes&state=t").await;
    let domain = [("field.domain", "a.test")];
    let first = browser.submit(&static_page, &domain).await;
    assert_eq!(first.location(), "/connect/success");
    let second = browser.submit(&scopes_page, &domain).await;
    assert_eq!(second.status, StatusCode::OK, "{}", second.body);
    let answer = browser.get(&format!("{CALLBACK}?code=c&state=t")).await;
    assert_eq!(answer.location(), "/connect/success");
    assert!(browser.cookies.is_empty(), "{:?}", browser.cookies);
}

/// SECURITY: part of AK-309. The cookie of one flow proves nothing for another.
#[tokio::test]
async fn the_cookie_of_another_flow_does_not_count() {
    let mut browser = TestBrowser::new();
    browser.get("/oauth/connect?token=oauth&state=mine").await;
    let page = browser.get(&format!("{CALLBACK}?code=c&state=other")).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(browser.flow.callbacks.lock().unwrap().is_empty());
    let mine = browser.cookies["__Host-sk_connect-mine"].clone();
    browser
        .cookies
        .insert("__Host-sk_connect-other".to_owned(), mine);
    let page = browser.get(&format!("{CALLBACK}?code=c&state=other")).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(browser.flow.callbacks.lock().unwrap().is_empty());
}

/// Part of AK-309: lax cookies are missing from a cross-site POST, so a form answer comes back as a GET.
#[tokio::test]
async fn a_provider_that_answers_with_a_form_is_turned_into_a_get() {
    let mut browser = TestBrowser::new();
    let fields = [
        ("code".to_owned(), "c&1".to_owned()),
        ("state".to_owned(), "s".to_owned()),
    ];
    let answer = browser.post(CALLBACK, &fields).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(answer.location(), format!("{CALLBACK}?code=c%261&state=s"));
    assert!(browser.flow.callbacks.lock().unwrap().is_empty());
}

/// AK-320: only members of the workspace may finish, and they see what for.
#[tokio::test]
async fn a_member_finishes_with_a_click_and_a_stranger_signs_in_first() {
    let mut browser = TestBrowser::new();
    let answer = browser.get("/connect/verify?request=request-1").await;
    assert_eq!(
        answer.location(),
        "/dashboard/sign-in?return_to=%2Fconnect%2Fverify%3Frequest%3Drequest-1"
    );

    browser
        .cookies
        .insert("__Host-keystead_session".to_owned(), "session-1".to_owned());
    let page = browser.get("/connect/verify?request=request-1").await;
    page.keep("verify");
    for named in ["Zendesk", "support-desk", "ada &#60;1&#62;"] {
        assert!(page.body.contains(named), "{named}: {}", page.body);
    }
    let shared = browser.get("/connect/verify?request=request-all").await;
    assert!(shared.body.contains("all users"), "{}", shared.body);
    let unknown = browser.get("/connect/verify?request=other").await;
    assert!(
        !unknown.body.contains("Finish connecting"),
        "{}",
        unknown.body
    );
    assert!(
        browser.flow.verified.lock().unwrap().is_empty(),
        "a GET finishes nothing"
    );
    let answer = browser.submit(&page, &[]).await;
    assert_eq!(answer.location(), "/connect/success");
    assert_eq!(*browser.flow.verified.lock().unwrap(), ["request-1"]);
}

/// AK-320: another site cannot make a member finish an authorization.
#[tokio::test]
async fn finishing_takes_the_token_of_the_members_session() {
    let mut browser = TestBrowser::new();
    browser
        .cookies
        .insert("__Host-keystead_session".to_owned(), "session-1".to_owned());
    for fields in [vec![], vec![("csrf".to_owned(), "A".repeat(43))]] {
        let answer = browser
            .post("/connect/verify?request=request-1", &fields)
            .await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
    }
    assert!(browser.flow.verified.lock().unwrap().is_empty());
}

/// Part of AK-013: with several sites the visitor chooses one, in the browser that consented; a GET
/// and a wrong answer change nothing.
#[tokio::test]
async fn one_of_several_sites_is_chosen_in_the_same_browser() {
    let mut browser = TestBrowser::new();
    browser.get("/oauth/connect?token=oauth&state=s").await;
    let answer = browser
        .get(&format!("{CALLBACK}?code=several&state=s"))
        .await;
    assert_eq!(answer.location(), "/connect/place?request=place-1&flow=s");
    let page = browser.get(answer.location()).await;
    page.keep("place");
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("Connect this site") && page.body.contains("acme.atlassian.net"));
    assert!(!page.body.contains("<script"), "names of places stay text");
    let radios = tags(&page.body, "input");
    let radios = radios.iter().filter(|tag| tag.contains("type=\"radio\""));
    assert!(radios.clone().count() == 2 && !radios.clone().any(|tag| tag.contains(" checked")));

    let again = browser.submit(&page, &[("place", "3")]).await;
    again.keep("place-wrong");
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(again.body.contains("Choose the site to connect."));
    assert!(browser.flow.chosen.lock().unwrap().is_empty());

    let end = browser.submit(&again, &[("place", "1")]).await;
    assert_eq!(
        (end.status, end.location()),
        (StatusCode::SEE_OTHER, "/connect/success")
    );
    assert_eq!(*browser.flow.chosen.lock().unwrap(), ["1"]);
    assert!(browser.cookies.is_empty());
}

/// Part of AK-013, AK-321: the application follows by a page, since `form-action` stops a redirect.
#[tokio::test]
async fn after_the_choice_the_application_verifies_its_user() {
    let mut browser = TestBrowser::new();
    browser.get("/oauth/connect?token=oauth&state=s").await;
    let page = browser.get("/connect/place?request=place-1&flow=s").await;
    let end = browser.submit(&page, &[("place", "2")]).await;
    end.keep("place-application");
    assert_eq!(end.status, StatusCode::OK);
    assert!(
        end.body
            .contains("0;url=https://app.test/verify?auth_request_id=1")
    );
}

/// Part of AK-013: the question and its answer belong to the browser of the flow, and the answer needs
/// the form's token.
#[tokio::test]
async fn another_browser_cannot_choose() {
    let mut browser = TestBrowser::new();
    browser.get("/oauth/connect?token=oauth&state=s").await;
    let page = browser.get("/connect/place?request=place-1&flow=s").await;
    let fields = form(&page.body).fields;
    let mut place = vec![("place".to_owned(), "1".to_owned())];
    let forged = browser
        .post("/connect/place?request=place-1&flow=s", &place)
        .await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN);

    let mut stranger = TestBrowser::new();
    let refused = stranger.get("/connect/place?request=place-1&flow=s").await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    place.extend(fields);
    let refused = stranger
        .post("/connect/place?request=place-1&flow=s", &place)
        .await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    for flow in [&browser.flow, &stranger.flow] {
        assert!(flow.chosen.lock().unwrap().is_empty());
    }
}
