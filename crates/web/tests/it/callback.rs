//! The way back from the provider (AK-309 to AK-311), and finishing as a member or after a choice (AK-313, AK-322).

use crate::{
    browser::TestBrowser,
    markup::{form, tags},
};
use http::StatusCode;

const CALLBACK: &str = "/sso/v1/oauth/conn_123456789012345/callback";

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
