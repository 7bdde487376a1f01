//! Sign-in of members (specification 3.2).

use crate::{browser::TestBrowser, markup};
use http::StatusCode;

#[tokio::test]
async fn a_member_signs_in_with_a_code_and_comes_back_to_the_page() {
    let mut browser = TestBrowser::new();
    let asked = browser.get("/dashboard/env_1/connections?q=gmail").await;
    assert_eq!(asked.status, StatusCode::SEE_OTHER);
    let page = browser.get(asked.location()).await;
    page.keep("sign-in");
    let sent = browser.submit(&page, &[("email", "ada@example.com")]).await;
    assert_eq!(sent.status, StatusCode::SEE_OTHER);
    assert_eq!(*browser.login.mails.lock().unwrap(), ["ada@example.com"]);

    let page = browser.get(sent.location()).await;
    page.keep("sign-in-code");
    assert!(page.body.contains("one-time-code"));
    let wrong = browser.submit(&page, &[("code", "000000")]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.body.contains("The code is wrong or has expired."));
    let done = browser.submit(&wrong, &[("code", " 123 456 ")]).await;
    assert_eq!(
        (done.status, done.location()),
        (
            StatusCode::SEE_OTHER,
            "/dashboard/env_1/connections?q=gmail"
        )
    );
    assert_eq!(
        browser.cookies.keys().collect::<Vec<_>>(),
        ["__Host-keystead_device", "__Host-keystead_session"]
    );
    assert_eq!(browser.get(done.location()).await.status, StatusCode::OK);
}

/// What tells a known browser from strangers stays when the member signs out, and is shown with both
/// steps of the next sign-in.
#[tokio::test]
async fn a_browser_that_signed_in_before_says_so() {
    let mut browser = TestBrowser::new();
    for round in 0..2 {
        let page = browser.get("/dashboard/sign-in").await;
        let sent = browser.submit(&page, &[("email", "ada@example.com")]).await;
        let page = browser.get(sent.location()).await;
        let done = browser.submit(&page, &[("code", "123456")]).await;
        assert_eq!(done.location(), "/dashboard", "{round}");
        let page = browser.get("/dashboard/env_1").await;
        browser.press(&page, "/dashboard/sign-out").await;
        *browser.login.ended.lock().unwrap() = false;
        assert_eq!(browser.cookies["__Host-keystead_device"], "kdv_1");
    }
    let shown = browser.login.devices.lock().unwrap();
    let shown: Vec<_> = shown
        .iter()
        .map(|device| device.as_ref().map(|proof| proof.expose().as_str()))
        .collect();
    assert_eq!(shown, [None, None, Some("kdv_1"), Some("kdv_1")]);
}

#[tokio::test]
async fn strangers_get_the_same_answer_as_members() {
    let mut browser = TestBrowser::new();
    let page = browser.get("/dashboard/sign-in").await;
    let member = browser.submit(&page, &[("email", "ada@example.com")]).await;
    let page = browser.get("/dashboard/sign-in").await;
    let stranger = browser.submit(&page, &[("email", "eve@example.com")]).await;
    assert_eq!(
        (member.status, member.location()),
        (stranger.status, stranger.location())
    );
}

#[tokio::test]
async fn a_wrong_address_and_too_many_tries_are_explained() {
    let mut browser = TestBrowser::new();
    for (email, status, words) in [
        (
            "ada",
            StatusCode::UNPROCESSABLE_ENTITY,
            "Enter an e-mail address",
        ),
        ("\"><script>@x.test", StatusCode::SEE_OTHER, ""),
        (
            "often@example.com",
            StatusCode::TOO_MANY_REQUESTS,
            "Wait 2 minutes",
        ),
    ] {
        let page = browser.get("/dashboard/sign-in").await;
        let answer = browser.submit(&page, &[("email", email)]).await;
        assert_eq!(answer.status, status, "{email}");
        assert!(answer.body.contains(words), "{}", answer.body);
    }
    let page = browser.get("/dashboard/sign-in/code").await;
    assert!(!page.body.contains("<script"));
}

#[tokio::test]
async fn sign_in_needs_a_token_of_this_browser() {
    let mut browser = TestBrowser::new();
    let page = browser.get("/dashboard/sign-in").await;
    let form = markup::form(&page.body);
    let mut other = TestBrowser::new();
    other.get("/dashboard/sign-in").await;
    other
        .cookies
        .insert("__Host-sk_visitor".to_owned(), "another".to_owned());
    let fields = [
        form.fields,
        vec![("email".to_owned(), "ada@example.com".to_owned())],
    ]
    .concat();
    assert_eq!(
        other.post(&form.action, &fields).await.status,
        StatusCode::FORBIDDEN
    );
    assert!(other.login.mails.lock().unwrap().is_empty());
}

#[tokio::test]
async fn signing_out_ends_the_session_and_takes_a_post() {
    let mut browser = TestBrowser::member();
    assert_eq!(
        browser.get("/dashboard/sign-out").await.status,
        StatusCode::METHOD_NOT_ALLOWED
    );
    let page = browser.get("/dashboard/env_1").await;
    let out = browser.press(&page, "/dashboard/sign-out").await;
    assert_eq!(out.location(), "/dashboard/sign-in");
    assert!(*browser.login.ended.lock().unwrap());
    assert!(browser.cookies.is_empty());
    assert_eq!(
        browser.get("/dashboard/env_1").await.status,
        StatusCode::SEE_OTHER
    );
}

#[tokio::test]
async fn a_session_that_is_over_leads_to_sign_in() {
    let mut browser = TestBrowser::new();
    browser
        .cookies
        .insert("__Host-keystead_session".to_owned(), "old".to_owned());
    let answer = browser.get("/dashboard/env_1").await;
    assert_eq!(
        answer.location(),
        "/dashboard/sign-in?return_to=%2Fdashboard%2Fenv_1"
    );
}

#[tokio::test]
async fn the_bare_address_leads_to_the_dashboard() {
    let mut browser = TestBrowser::new();
    let answer = browser.get("/").await;
    assert_eq!(
        (answer.status, answer.location()),
        (StatusCode::SEE_OTHER, "/dashboard")
    );
}
