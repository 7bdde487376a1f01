use crate::support::{CALLBACK, CHALLENGE, Sandbox, VERIFIER, basic, form, param, text};
use axum::body::Body;
use http::Request;
use keystead_sandbox::{CLIENT_ID, CLIENT_SECRET};
use serde_json::json;

const PKCE: [(&str, &str); 2] = [
    ("code_challenge", CHALLENGE),
    ("code_challenge_method", "S256"),
];

#[tokio::test]
async fn consent_gives_a_code_and_the_code_gives_tokens() {
    let sandbox = Sandbox::new();
    let back = sandbox.consent(&[("user", "u-bo")]).await.location();
    assert!(back.as_str().starts_with(CALLBACK), "{back}");
    assert_eq!(param(&back, "state").unwrap(), "s-1");
    let tokens = sandbox
        .redeem(&param(&back, "code").unwrap(), &[])
        .await
        .json();
    assert_eq!(tokens["token_type"], "Bearer");
    assert_eq!(tokens["expires_in"], 3600);
    assert_eq!(tokens["scope"], "read write");

    let request = Request::get("/sandbox/provider/userinfo");
    let request = request.header(
        "authorization",
        format!("Bearer {}", text(&tokens, "access_token")),
    );
    let info = sandbox
        .send(request.body(Body::empty()).unwrap())
        .await
        .json();
    assert_eq!(
        info,
        json!({ "sub": "u-bo", "name": "Bo Example", "email": "bo@example.test", "email_verified": true })
    );
    assert_eq!(sandbox.get("/sandbox/provider/userinfo").await.status, 401);
}

#[tokio::test]
async fn the_consent_page_shows_who_asks_for_what_and_escapes_it() {
    let sandbox = Sandbox::new();
    let query = format!(
        "response_type=code&client_id={CLIENT_ID}&redirect_uri=http://app.localhost/cb&scope=%3Cscript%3E+mail.read&state=%22%3E&login_hint=cy@example.test"
    );
    let page = sandbox
        .get(&format!("/sandbox/provider/authorize?{query}"))
        .await;
    assert_eq!(page.status, 200);
    let html = page.text();
    for part in [
        "Sandbox provider — development only",
        "app.localhost",
        "mail.read",
        CLIENT_ID,
    ] {
        assert!(html.contains(part), "{part}");
    }
    assert!(!html.contains("<script>") && !html.contains("value=\"\">\""));
    assert!(html.contains("value=\"u-cy\" checked") && !html.contains("value=\"u-ada\" checked"));
    assert!(
        page.headers["content-security-policy"]
            .to_str()
            .unwrap()
            .contains("default-src 'none'")
    );
    assert_eq!(page.headers["cache-control"], "no-store");
}

#[tokio::test]
async fn denial_and_bad_requests_go_back_as_errors_with_the_state() {
    let sandbox = Sandbox::new();
    for (changes, error) in [
        (&[("decision", "deny")][..], "access_denied"),
        (&[("response_type", "token")], "unsupported_response_type"),
        (
            &[
                ("code_challenge", CHALLENGE),
                ("code_challenge_method", "plain"),
            ],
            "invalid_request",
        ),
        (&[("code_challenge", CHALLENGE)], "invalid_request"),
    ] {
        let back = sandbox.consent(changes).await.location();
        assert_eq!(param(&back, "error").unwrap(), error);
        assert_eq!(param(&back, "state").unwrap(), "s-1");
        assert_eq!(param(&back, "code"), None);
    }
    assert_eq!(sandbox.counter("denials").await, 1);
    assert_eq!(sandbox.counter("consents").await, 0);
}

#[tokio::test]
async fn an_unknown_client_or_redirect_stays_on_a_page() {
    let sandbox = Sandbox::new();
    for change in [
        ("client_id", "nobody"),
        ("redirect_uri", "https://evil.test/cb"),
        ("redirect_uri", ""),
    ] {
        let answer = sandbox.consent(&[change]).await;
        assert_eq!(answer.status, 400);
        assert!(!answer.headers.contains_key("location"));
    }
}

#[tokio::test]
async fn registered_redirects_are_exact() {
    let sandbox = Sandbox::new();
    let client = json!({ "client_id": "app", "client_secret": "s", "redirect_uris": ["https://app.test/cb"] });
    assert_eq!(
        sandbox
            .post_json("/sandbox/provider/clients", &client)
            .await
            .status,
        201
    );
    let ok = sandbox
        .consent(&[
            ("client_id", "app"),
            ("redirect_uri", "https://app.test/cb"),
        ])
        .await;
    assert_eq!(ok.location().host_str(), Some("app.test"));
    let longer = sandbox
        .consent(&[
            ("client_id", "app"),
            ("redirect_uri", "https://app.test/cb/x"),
        ])
        .await;
    assert_eq!(longer.status, 400);
}

#[tokio::test]
async fn the_redirect_uri_of_the_exchange_must_be_the_same() {
    let sandbox = Sandbox::new();
    let code = sandbox.code(&[]).await;
    let other = sandbox
        .redeem(&code, &[("redirect_uri", "http://localhost:9/cb")])
        .await;
    assert_eq!(other.oauth_error(), (400, "invalid_grant".to_owned()));
    assert_eq!(sandbox.redeem(&code, &[]).await.status, 200);
}

#[tokio::test]
async fn pkce_is_enforced_in_both_directions() {
    let sandbox = Sandbox::new();
    let code = sandbox.code(&PKCE).await;
    for verifier in [
        &[][..],
        &[(
            "code_verifier",
            "wrong-wrong-wrong-wrong-wrong-wrong-wrong-wrong",
        )],
    ] {
        assert_eq!(
            sandbox.redeem(&code, verifier).await.oauth_error(),
            (400, "invalid_grant".to_owned())
        );
    }
    assert_eq!(
        sandbox
            .redeem(&code, &[("code_verifier", VERIFIER)])
            .await
            .status,
        200
    );

    let without = sandbox.code(&[]).await;
    let injected = sandbox
        .redeem(&without, &[("code_verifier", VERIFIER)])
        .await;
    assert_eq!(injected.oauth_error(), (400, "invalid_grant".to_owned()));
}

#[tokio::test]
async fn a_public_client_needs_pkce_and_no_secret() {
    let sandbox = Sandbox::new();
    sandbox
        .post_json("/sandbox/provider/clients", &json!({ "client_id": "spa" }))
        .await;
    let back = sandbox.consent(&[("client_id", "spa")]).await.location();
    assert_eq!(param(&back, "error").unwrap(), "invalid_request");
    let code = sandbox
        .code(&[&[("client_id", "spa")][..], &PKCE].concat())
        .await;
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", "spa"),
        ("code", &code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    assert_eq!(
        sandbox
            .post_form("/sandbox/provider/token", &fields)
            .await
            .status,
        200
    );
    let own = [("grant_type", "client_credentials"), ("client_id", "spa")];
    let refused = sandbox.post_form("/sandbox/provider/token", &own).await;
    assert_eq!(
        refused.oauth_error(),
        (400, "unauthorized_client".to_owned())
    );
}

#[tokio::test]
async fn a_code_used_twice_revokes_what_it_gave() {
    let sandbox = Sandbox::new();
    let code = sandbox.code(&[]).await;
    let tokens = sandbox.redeem(&code, &[]).await.json();
    assert_eq!(
        sandbox
            .call("/me", text(&tokens, "access_token"))
            .await
            .status,
        200
    );
    assert_eq!(
        sandbox.redeem(&code, &[]).await.oauth_error(),
        (400, "invalid_grant".to_owned())
    );
    assert_eq!(
        sandbox
            .call("/me", text(&tokens, "access_token"))
            .await
            .status,
        401
    );
    assert_eq!(sandbox.counter("revoked_families").await, 1);
}

#[tokio::test]
async fn the_client_proves_itself_by_form_or_basic_but_not_both() {
    let sandbox = Sandbox::new();
    let send = async |authorization: Option<String>, fields: &[(&str, &str)]| {
        let mut request = form(
            "/sandbox/provider/token",
            &[&[("grant_type", "client_credentials")][..], fields].concat(),
        );
        if let Some(value) = authorization {
            request
                .headers_mut()
                .insert("authorization", value.parse().unwrap());
        }
        sandbox.send(request).await
    };
    let post = [
        ("client_id", CLIENT_ID),
        ("client_secret", CLIENT_SECRET),
        ("scope", "x"),
    ];
    let by_post = send(None, &post).await.json();
    assert_eq!(by_post["scope"], "x");
    assert!(by_post.get("refresh_token").is_none());
    assert_eq!(
        sandbox
            .call("/me", text(&by_post, "access_token"))
            .await
            .status,
        200
    );
    assert_eq!(
        send(Some(basic("sandbox%2Dclient", CLIENT_SECRET)), &[])
            .await
            .status,
        200
    );

    let wrong = send(Some(basic(CLIENT_ID, "nope")), &[]).await;
    assert_eq!(wrong.oauth_error(), (401, "invalid_client".to_owned()));
    assert!(wrong.headers.contains_key("www-authenticate"));
    for fields in [
        &[("client_id", CLIENT_ID)][..],
        &[("client_id", "nobody"), ("client_secret", "x")],
        &[],
    ] {
        assert_eq!(
            send(None, fields).await.oauth_error(),
            (401, "invalid_client".to_owned())
        );
    }
    let both = send(Some(basic(CLIENT_ID, CLIENT_SECRET)), &post).await;
    assert_eq!(both.oauth_error(), (400, "invalid_request".to_owned()));
}

#[tokio::test]
async fn malformed_token_requests_are_refused() {
    let sandbox = Sandbox::new();
    let json_body = sandbox
        .post_json(
            "/sandbox/provider/token",
            &json!({ "grant_type": "client_credentials" }),
        )
        .await;
    assert_eq!(json_body.oauth_error(), (400, "invalid_request".to_owned()));
    for (fields, error) in [
        (&[][..], "invalid_request"),
        (&[("grant_type", "password")], "unsupported_grant_type"),
        (&[("grant_type", "authorization_code")], "invalid_request"),
        (&[("grant_type", "refresh_token")], "invalid_request"),
        (
            &[("grant_type", "refresh_token"), ("refresh_token", "junk")],
            "invalid_grant",
        ),
        (&[("scope", "a"), ("scope", "b")], "invalid_request"),
    ] {
        assert_eq!(
            sandbox.token(fields).await.oauth_error(),
            (400, error.to_owned()),
            "{fields:?}"
        );
    }
}

#[tokio::test]
async fn tokens_of_one_client_are_nothing_to_another() {
    let sandbox = Sandbox::new();
    sandbox
        .post_json(
            "/sandbox/provider/clients",
            &json!({ "client_id": "other", "client_secret": "x" }),
        )
        .await;
    let other = [("client_id", "other"), ("client_secret", "x")];
    let tokens = sandbox.connect().await;
    let code = sandbox.code(&[]).await;
    let stolen = sandbox.redeem(&code, &other).await;
    assert_eq!(stolen.oauth_error(), (400, "invalid_grant".to_owned()));
    let refresh = [
        ("grant_type", "refresh_token"),
        ("refresh_token", text(&tokens, "refresh_token")),
    ];
    let stolen = sandbox.token(&[&refresh[..], &other].concat()).await;
    assert_eq!(stolen.oauth_error(), (400, "invalid_grant".to_owned()));
    let revoke = [&[("token", text(&tokens, "refresh_token"))][..], &other].concat();
    assert_eq!(
        sandbox
            .post_form("/sandbox/provider/revoke", &revoke)
            .await
            .status,
        200
    );
    assert_eq!(
        sandbox.refresh(text(&tokens, "refresh_token")).await.status,
        200
    );
}
