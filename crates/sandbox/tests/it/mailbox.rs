use crate::support::Sandbox;
use keystead_net::mail::{Mail, Mailer};
use serde_json::json;

async fn with_mail() -> Sandbox {
    let sandbox = Sandbox::new();
    for (to, subject) in [
        ("ada@acme.test", "First"),
        ("bob@acme.test", "<b>Second</b>"),
    ] {
        let mail = Mail {
            to: to.to_owned(),
            subject: subject.to_owned(),
            text: "Open https://a.test/login?x=1&y=2. <script>alert(1)</script>".to_owned(),
            html: Some("<h1>Hello</h1><script>alert(1)</script>".to_owned()),
        };
        sandbox.mailbox.send(mail).await.unwrap();
    }
    sandbox
}

#[tokio::test]
async fn tests_read_mail_as_json() {
    let sandbox = with_mail().await;
    let all = sandbox.get("/sandbox/mailbox/messages").await.json();
    assert_eq!(all[0]["to"], "bob@acme.test");
    let one = sandbox
        .get("/sandbox/mailbox/messages?to=ada@acme.test")
        .await
        .json();
    assert_eq!(one.as_array().unwrap().len(), 1);
    assert_eq!(one[0]["subject"], "First");
    assert_eq!(
        sandbox.get("/sandbox/mailbox/messages/1").await.json(),
        one[0]
    );
    assert_eq!(sandbox.get("/sandbox/mailbox/messages/9").await.status, 404);
}

#[tokio::test]
async fn people_read_mail_on_pages_that_run_nothing() {
    let sandbox = with_mail().await;
    let list = sandbox.get("/sandbox/mailbox").await;
    assert!(list.text().contains("First") && !list.text().contains("<b>Second"));
    let message = sandbox.get("/sandbox/mailbox/2").await;
    let html = message.text();
    assert!(html.contains("Sandbox provider — development only"));
    assert!(
        html.contains("href=\"https://a.test/login?x=1&#38;y=2\""),
        "{html}"
    );
    assert!(!html.contains("<script>"));
    assert!(html.contains("<iframe sandbox="));
    let frame = sandbox.get("/sandbox/mailbox/2/html").await;
    assert!(frame.text().contains("<h1>Hello</h1>"));
    let policy = frame.headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.starts_with("sandbox ")
            && !policy.contains("allow-scripts")
            && !policy.contains("allow-same-origin")
    );
    assert_eq!(sandbox.get("/sandbox/mailbox/9").await.status, 404);
}

#[tokio::test]
async fn the_mailbox_can_be_emptied() {
    let sandbox = with_mail().await;
    assert_eq!(
        sandbox
            .post_form("/sandbox/mailbox/clear", &[])
            .await
            .status,
        303
    );
    assert_eq!(
        sandbox.get("/sandbox/mailbox/messages").await.json(),
        json!([])
    );
    assert!(
        sandbox
            .get("/sandbox/mailbox")
            .await
            .text()
            .contains("No mail yet")
    );
}

#[tokio::test]
async fn every_page_works_and_carries_the_banner() {
    let sandbox = Sandbox::new();
    for path in [
        "/sandbox/",
        "/sandbox/provider",
        "/sandbox/chaos",
        "/sandbox/mailbox",
    ] {
        let page = sandbox.get(path).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(
            page.text().contains("Sandbox provider — development only"),
            "{path}"
        );
        assert_eq!(page.headers["x-content-type-options"], "nosniff");
    }
    assert_eq!(
        sandbox.get("/sandbox/style.css").await.headers["content-type"],
        "text/css; charset=utf-8"
    );
}
