//! A member connects an account of the sandbox's provider in a browser (AK-320).

use crate::process::{Running, client, dev, env_file, token};
use reqwest::{Client, Method, Response, header};
use serde_json::{Value, json};
use std::{collections::BTreeMap, path::Path};

/// Keeps cookies and remembers the page it is on.
pub(crate) struct Browser {
    client: Client,
    pub(crate) cookies: BTreeMap<String, String>,
    pub(crate) url: String,
    pub(crate) headers: header::HeaderMap,
    pub(crate) body: String,
}

impl Browser {
    pub(crate) fn new(client: &Client) -> Self {
        Self {
            client: client.clone(),
            cookies: BTreeMap::new(),
            url: String::new(),
            headers: header::HeaderMap::new(),
            body: String::new(),
        }
    }

    /// Goes to a page and follows redirects, as long as they stay on this server.
    pub(crate) async fn go(&mut self, url: &str) -> u16 {
        self.send(Method::GET, url, &[]).await
    }

    /// Sends the page's form with its hidden fields and `fields`.
    pub(crate) async fn submit(&mut self, fields: &[(&str, &str)]) -> u16 {
        let action = between(&self.body, "action=\"", "\"").unwrap_or(self.url.clone());
        let hidden = self
            .body
            .split("<input type=\"hidden\" ")
            .skip(1)
            .map(|input| {
                let name = between(input, "name=\"", "\"").unwrap();
                (name, between(input, "value=\"", "\"").unwrap())
            });
        let hidden: Vec<(String, String)> = hidden.collect();
        let mut all: Vec<(&str, &str)> = hidden
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        all.extend_from_slice(fields);
        self.send(Method::POST, &action, &all).await
    }

    async fn send(&mut self, method: Method, url: &str, fields: &[(&str, &str)]) -> u16 {
        let mut url = self.absolute(url);
        let mut response = self.request(method.clone(), &url, fields).await;
        loop {
            for cookie in response.headers().get_all(header::SET_COOKIE) {
                let (name, rest) = cookie.to_str().unwrap().split_once('=').unwrap();
                let value = rest.split(';').next().unwrap();
                if value.is_empty() {
                    self.cookies.remove(name);
                } else {
                    self.cookies.insert(name.to_owned(), value.to_owned());
                }
            }
            let Some(to) = response.headers().get(header::LOCATION) else {
                break;
            };
            url = self.absolute(to.to_str().unwrap());
            response = self.request(Method::GET, &url, &[]).await;
        }
        let status = response.status().as_u16();
        self.url = url;
        self.headers = response.headers().clone();
        self.body = response.text().await.unwrap();
        status
    }

    async fn request(&self, method: Method, url: &str, fields: &[(&str, &str)]) -> Response {
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let request = self
            .client
            .request(method.clone(), url)
            .header(header::COOKIE, cookies.join("; "));
        let request = if method == Method::POST {
            request.form(fields)
        } else {
            request
        };
        request.send().await.unwrap()
    }

    fn absolute(&self, url: &str) -> String {
        if url.starts_with('/') {
            let end = self.url.match_indices('/').nth(2).map(|(at, _)| at);
            let origin = self.url.get(..end.unwrap_or(self.url.len()));
            return format!("{}{url}", origin.unwrap());
        }
        url.to_owned()
    }

    /// Signs the member of `dev` in with the code from the sandbox's mailbox.
    pub(crate) async fn sign_in(&mut self) {
        assert_eq!(self.submit(&[("email", "dev@keystead.test")]).await, 200);
        let mailbox = self.absolute("/sandbox/mailbox/messages?to=dev@keystead.test");
        let code = loop {
            // The mail is sent beside the answer.
            let mails = self.request(Method::GET, &mailbox, &[]).await;
            let mails: Value = mails.json().await.unwrap();
            if let Some(text) = mails[0]["text"].as_str() {
                break between(text, "dashboard: ", "\n").unwrap();
            }
        };
        assert_eq!(self.submit(&[("code", &code)]).await, 200);
    }
}

/// The text between two marks, with the entities of attributes decoded.
fn between(text: &str, start: &str, end: &str) -> Option<String> {
    let (_, rest) = text.split_once(start)?;
    let (found, _) = rest.split_once(end)?;
    let decoded = ["&#38;", "&#x26;", "&amp;"]
        .iter()
        .fold(found.to_owned(), |text, entity| text.replace(entity, "&"));
    Some(decoded)
}

/// The API with the client of `dev`.
pub(crate) struct Api {
    pub(crate) client: Client,
    pub(crate) url: String,
    pub(crate) bearer: String,
}

impl Api {
    pub(crate) async fn of(folder: &Path, url: &str) -> Self {
        let client = client(Some(&folder.join("tls/ca.pem")));
        let (_, bearer) = token(&client, url, &env_file(folder)).await;
        Self {
            client,
            url: url.to_owned(),
            bearer,
        }
    }

    /// Calls a method, which must succeed.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Value) -> Value {
        let request = self
            .client
            .request(method, format!("{}/api/v1/{path}", self.url));
        let response = request
            .bearer_auth(&self.bearer)
            .json(&body)
            .send()
            .await
            .unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str::<Value>(&text).unwrap_or_default()
    }

    /// An enabled connection to the sandbox's OAuth server, and a link for `user-1`.
    pub(crate) async fn link(&self, provider: &str, name: &str) -> String {
        let settings = json!({
            "provider_key": provider, "provider": "CUSTOM", "type": "OAUTH", "key_id": name,
            "oauth_config": {"client_id": "sandbox-client", "client_secret": "sandbox-secret"},
        });
        let made = self
            .call(Method::POST, "connections", settings.clone())
            .await;
        let id = made["connection"]["id"].as_str().unwrap();
        let path = format!("connections/{id}");
        self.call(Method::PATCH, &path, settings).await;
        self.call(Method::PATCH, &format!("{path}:enable"), json!({}))
            .await;
        let link = json!({"connector": name, "identifier": "user-1"});
        let link = self
            .call(Method::POST, "connected_accounts/magic_link", link)
            .await;
        link["link"].as_str().unwrap().to_owned()
    }
}

/// AK-312, AK-313, AK-320
#[tokio::test(flavor = "multi_thread")]
async fn only_a_signed_in_member_in_the_same_browser_finishes_the_connection() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Running::start(&mut dev(folder.path(), &[]));
    let (url, _) = server.ready();
    let api = Api::of(folder.path(), &url).await;
    let client = api.client.clone();
    let call = async |method: Method, path: &str, body: Value| api.call(method, path, body).await;

    let link = api.link("SANDBOX", "sandbox").await;
    let mut browser = Browser::new(&client);
    assert_eq!(browser.go(&link).await, 200, "{}", browser.body);
    assert!(
        browser.url.contains("/sandbox/provider/authorize"),
        "{}",
        browser.url
    );
    browser
        .submit(&[("user", "u-ada"), ("decision", "allow")])
        .await;
    assert!(
        browser.url.contains("/dashboard/sign-in"),
        "{}",
        browser.url
    );
    browser.sign_in().await;
    assert!(
        browser.url.contains("/connect/verify?request="),
        "{}",
        browser.url
    );

    // The same member in another browser: the request alone is worth nothing.
    let mut other = Browser::new(&client);
    other.cookies = browser.cookies.clone();
    let mut bound = browser.cookies.keys();
    let bound = bound
        .find(|name| name.starts_with("__Host-sk_connect-"))
        .unwrap();
    other.cookies.remove(bound);
    other.go(&browser.url).await;
    assert_ne!(other.submit(&[]).await, 200, "{}", other.body);
    let wrong = browser.cookies[bound].replace(|_| true, "x");
    other.cookies.insert(bound.clone(), wrong);
    other.go(&browser.url).await;
    assert_ne!(other.submit(&[]).await, 200, "{}", other.body);

    let account = "connected_accounts?connector=sandbox&identifier=user-1";
    let before = call(Method::GET, account, json!({})).await;
    assert_eq!(
        before["connected_accounts"][0]["status"], "PENDING_VERIFICATION",
        "{before}"
    );
    assert_eq!(browser.submit(&[]).await, 200, "{}", browser.body);
    assert!(browser.url.ends_with("/connect/success"), "{}", browser.url);
    let after = call(Method::GET, account, json!({})).await;
    assert_eq!(
        after["connected_accounts"][0]["status"], "ACTIVE",
        "{after}"
    );

    let proxied = async |url: &str, bearer: &str| {
        let request = client
            .get(format!("{url}/proxy/me"))
            .bearer_auth(bearer)
            .header("connection_name", "sandbox")
            .header("identifier", "user-1");
        let answer = request.send().await.unwrap();
        let source = answer.headers()["x-scalekit-source"].clone();
        let text = answer.text().await.unwrap();
        assert!(
            source == "upstream" && text.contains("ada@example.test"),
            "{text}"
        );
    };
    proxied(&api.url, &api.bearer).await;

    // The sandbox's provider still knows what it granted when nobody had time to say goodbye.
    server.signal("KILL");
    server.end();
    let mut server = Running::start(&mut dev(folder.path(), &[]));
    let (url, _) = server.ready();
    let api = Api::of(folder.path(), &url).await;
    proxied(&api.url, &api.bearer).await;
    server.stop();
}
