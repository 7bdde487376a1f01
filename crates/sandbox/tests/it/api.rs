use crate::support::{Sandbox, basic, text};
use axum::body::Body;
use http::Request;
use keystead_sandbox::{API_KEY, BASIC_PASSWORD, BASIC_USER, STATIC_TOKEN};
use serde_json::json;

fn request(method: &str, path: &str) -> http::request::Builder {
    let token = format!("Bearer {STATIC_TOKEN}");
    Request::builder()
        .method(method)
        .uri(format!("/sandbox/provider/api{path}"))
        .header("authorization", token)
}

/// Part of AK-805
#[tokio::test]
async fn each_kind_of_credential_opens_the_api_and_nothing_else_does() {
    let sandbox = Sandbox::new();
    let call = async |name: &str, value: String| {
        let request = Request::get("/sandbox/provider/api/me")
            .header(name, value)
            .body(Body::empty())
            .unwrap();
        sandbox.send(request).await
    };
    let token = text(&sandbox.connect().await, "access_token").to_owned();
    for (name, value, kind, subject) in [
        (
            "authorization",
            format!("Bearer {token}"),
            "bearer",
            "u-ada",
        ),
        (
            "authorization",
            format!("Bearer {STATIC_TOKEN}"),
            "bearer",
            "sandbox",
        ),
        (
            "authorization",
            basic(BASIC_USER, BASIC_PASSWORD),
            "basic",
            "sandbox",
        ),
        ("x-api-key", API_KEY.to_owned(), "api_key", "sandbox"),
    ] {
        let principal = call(name, value).await.json()["principal"].clone();
        assert_eq!(
            (&principal["kind"], &principal["subject"]),
            (&json!(kind), &json!(subject))
        );
    }
    for (name, value) in [
        ("authorization", "Bearer junk".to_owned()),
        ("authorization", format!("Basic {STATIC_TOKEN}")),
        ("authorization", basic(BASIC_USER, "nope")),
        ("x-api-key", "nope".to_owned()),
        ("x-other", String::new()),
    ] {
        let answer = call(name, value).await;
        assert_eq!(answer.oauth_error(), (401, "invalid_token".to_owned()));
        assert!(answer.headers.contains_key("www-authenticate"));
    }
    assert_eq!(sandbox.counter("api_unauthorized").await, 5);
}

#[tokio::test]
async fn the_echo_repeats_everything_but_credentials() {
    let sandbox = Sandbox::new();
    let sent = request("PATCH", "/echo/a%2Fb?q=1&q=2&%20")
        .header("x-many", "1")
        .header("x-many", "2");
    let echo = sandbox.send(sent.body(Body::from("hello")).unwrap()).await;
    assert!(!echo.text().contains(STATIC_TOKEN));
    let echo = echo.json();
    assert_eq!(echo["method"], "PATCH");
    assert_eq!(echo["query"], "q=1&q=2&%20");
    assert!(text(&echo, "path").ends_with("/echo/a%2Fb"));
    assert_eq!(echo["headers"]["x-many"], json!(["1", "2"]));
    assert!(
        echo["headers"]["authorization"][0]
            .as_str()
            .unwrap()
            .starts_with("Bearer sha256:")
    );
    assert_eq!(echo["body"]["text"], "hello");
    assert_eq!(
        echo["body"]["sha256"],
        "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    );

    let binary = sandbox
        .send(
            request("POST", "/echo")
                .body(Body::from(vec![0xff, 0]))
                .unwrap(),
        )
        .await
        .json();
    assert_eq!(
        (&binary["body"]["text"], &binary["body"]["base64"]),
        (&json!(null), &json!("/wA="))
    );
    let large = sandbox
        .send(
            request("POST", "/echo")
                .body(Body::from(vec![0; 1024 * 1024 + 1]))
                .unwrap(),
        )
        .await;
    assert_eq!(large.status, 413);
}

#[tokio::test]
async fn streams_have_the_size_and_content_asked_for() {
    let sandbox = Sandbox::new();
    for (query, size, length) in [
        ("bytes=100000&chunk=999", 100_000, Some("100000")),
        ("bytes=1000&chunked=true", 1000, None),
        ("bytes=0", 0, Some("0")),
    ] {
        let answer = sandbox
            .send(
                request("GET", &format!("/stream?{query}"))
                    .body(Body::empty())
                    .unwrap(),
            )
            .await;
        assert_eq!(answer.body.len(), size);
        assert!(
            answer
                .body
                .iter()
                .enumerate()
                .all(|(at, byte)| usize::from(*byte) == at % 251)
        );
        assert_eq!(
            answer
                .headers
                .get("content-length")
                .map(|value| value.to_str().unwrap()),
            length
        );
    }
}

#[tokio::test]
async fn uploads_are_measured_without_a_limit_of_two_megabytes() {
    let sandbox = Sandbox::new();
    let answer = sandbox
        .send(
            request("PUT", "/upload")
                .body(Body::from(vec![0; 5_000_000]))
                .unwrap(),
        )
        .await
        .json();
    assert_eq!(answer["bytes"], 5_000_000);
    let empty = sandbox
        .send(request("PUT", "/upload").body(Body::empty()).unwrap())
        .await
        .json();
    assert_eq!(
        empty["sha256"],
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
}

#[tokio::test]
async fn items_are_paged_made_and_deleted() {
    let sandbox = Sandbox::new();
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let query = if token.is_empty() {
            String::new()
        } else {
            format!("&page_token={token}")
        };
        let page = sandbox
            .call(&format!("/items?page_size=20{query}"), STATIC_TOKEN)
            .await
            .json();
        seen.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["id"].as_u64().unwrap()),
        );
        match page["next_page_token"].as_str() {
            Some(next) => token = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, (1..=45).collect::<Vec<_>>());

    let add = request("POST", "/items").header("content-type", "application/json");
    let added = sandbox
        .send(
            add.body(json!({ "name": "new" }).to_string().into())
                .unwrap(),
        )
        .await;
    assert_eq!(
        (added.status.as_u16(), added.json()),
        (201, json!({ "id": 46, "name": "new" }))
    );
    assert_eq!(
        sandbox.call("/items/46", STATIC_TOKEN).await.json()["name"],
        "new"
    );
    for expected in [204, 404] {
        let deleted = sandbox
            .send(request("DELETE", "/items/46").body(Body::empty()).unwrap())
            .await;
        assert_eq!(deleted.status, expected);
    }
}

#[tokio::test]
async fn statuses_redirects_and_stray_headers_come_as_ordered() {
    let sandbox = Sandbox::new();
    for code in [204, 301, 404, 429, 500, 599] {
        let answer = sandbox
            .call(&format!("/status/{code}?retry_after=3"), STATIC_TOKEN)
            .await;
        assert_eq!(answer.status, code);
        assert_eq!(answer.headers["retry-after"], "3");
    }
    assert_eq!(sandbox.call("/status/101", STATIC_TOKEN).await.status, 400);
    let redirect = sandbox
        .call("/redirect?to=https://other.test/", STATIC_TOKEN)
        .await;
    assert_eq!(
        (redirect.status.as_u16(), &redirect.headers["location"]),
        (302, &"https://other.test/".parse().unwrap())
    );
    let stray = sandbox.call("/headers", STATIC_TOKEN).await;
    for name in [
        "set-cookie",
        "strict-transport-security",
        "alt-svc",
        "access-control-allow-origin",
        "x-sandbox",
    ] {
        assert!(stray.headers.contains_key(name), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn slow_answers_take_their_time() {
    let sandbox = Sandbox::new();
    let start = tokio::time::Instant::now();
    sandbox.call("/slow?delay_ms=3000", STATIC_TOKEN).await;
    sandbox
        .call("/stream?bytes=4&chunk=2&delay_ms=1000", STATIC_TOKEN)
        .await;
    assert_eq!(start.elapsed().as_secs(), 5);
}
