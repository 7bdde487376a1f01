//! A browser without script: keeps cookies, reads forms, sends them.

use crate::{
    flow::TestFlow,
    login::TestLogin,
    markup,
    services::{SESSION, World},
    world,
};
use axum::{Router, body::Body, response::Response};
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use keystead_crypto::{RootKey, TokenHasher};
use keystead_types::Rng;
use keystead_web::Deps;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};
use tower::ServiceExt;

/// Counts, so that values differ and tests repeat.
#[derive(Debug, Default)]
pub(crate) struct CountingRng(AtomicU8);

impl Rng for CountingRng {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(self.0.fetch_add(1, Ordering::SeqCst));
    }
}

pub(crate) struct TestBrowser {
    pub(crate) router: Router,
    pub(crate) flow: Arc<TestFlow>,
    pub(crate) login: Arc<TestLogin>,
    pub(crate) world: Arc<World>,
    pub(crate) cookies: BTreeMap<String, String>,
}

pub(crate) struct Shown {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl TestBrowser {
    /// A member who is signed in, before a set-up workspace.
    pub(crate) fn member() -> Self {
        let mut browser = Self::new();
        browser
            .cookies
            .insert("__Host-keystead_session".to_owned(), SESSION.to_owned());
        browser
    }

    pub(crate) fn new() -> Self {
        let flow = Arc::new(TestFlow::default());
        let login = Arc::new(TestLogin::default());
        let world = world::full();
        let rng = Arc::new(CountingRng::default());
        let deps = Deps {
            connect: flow.clone(),
            login: login.clone(),
            services: world.services(),
            hasher: TokenHasher::new(&RootKey::generate(rng.as_ref())),
            rng,
        };
        Self {
            router: keystead_web::router(&deps),
            flow,
            login,
            world,
            cookies: BTreeMap::new(),
        }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Shown {
        self.send(Method::GET, path, &[], None).await
    }

    /// Sends the form of the page that posts to `action`, with its own values.
    pub(crate) async fn press(&mut self, page: &Shown, action: &str) -> Shown {
        let form = markup::forms(&page.body)
            .into_iter()
            .find(|form| form.action == action);
        let form = form.unwrap_or_else(|| panic!("no form posts to {action}"));
        self.post(&form.action, &form.fields).await
    }

    /// Sends the first form of the page, with these answers in place of its own values.
    pub(crate) async fn submit(&mut self, page: &Shown, answers: &[(&str, &str)]) -> Shown {
        self.submit_without(page, &[], answers).await
    }

    /// The same with boxes unchecked: a browser leaves those out.
    pub(crate) async fn submit_without(
        &mut self,
        page: &Shown,
        unchecked: &[&str],
        answers: &[(&str, &str)],
    ) -> Shown {
        let form = markup::form(&page.body);
        let mut fields = form.fields;
        fields.retain(|(key, _)| !unchecked.contains(&key.as_str()));
        for (name, value) in answers {
            fields.retain(|(key, _)| key != name);
            fields.push(((*name).to_owned(), (*value).to_owned()));
        }
        self.post(&form.action, &fields).await
    }

    pub(crate) async fn post(&mut self, path: &str, fields: &[(String, String)]) -> Shown {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        self.send(
            Method::POST,
            path,
            &[("content-type", "application/x-www-form-urlencoded")],
            Some(body),
        )
        .await
    }

    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        more: &[(&str, &str)],
        body: Option<String>,
    ) -> Shown {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "acme.test:8443");
        for (name, value) in more {
            request = request.header(*name, *value);
        }
        if !self.cookies.is_empty() {
            let line: Vec<String> = self
                .cookies
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            request = request.header(header::COOKIE, line.join("; "));
        }
        let body = body.map_or_else(Body::empty, Body::from);
        let response = self
            .router
            .clone()
            .oneshot(request.body(body).unwrap())
            .await
            .unwrap();
        self.keep_cookies(&response);
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let shown = Shown {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        };
        shown.assert_is_safe();
        shown
    }

    fn keep_cookies(&mut self, response: &Response) {
        for line in response.headers().get_all(header::SET_COOKIE) {
            let line = line.to_str().unwrap();
            for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"] {
                assert!(line.contains(attribute), "{line}");
            }
            let (name, rest) = line.split_once('=').unwrap();
            assert!(name.starts_with("__Host-"), "{line}");
            let value = rest.split(';').next().unwrap();
            if rest.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

impl Shown {
    pub(crate) fn location(&self) -> &str {
        self.headers
            .get(header::LOCATION)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// Keeps the page in the folder `KEYSTEAD_PAGES` names, to look at it in a browser.
    pub(crate) fn keep(&self, name: &str) -> &Self {
        if let Some(folder) = std::env::var_os("KEYSTEAD_PAGES") {
            let folder = std::path::PathBuf::from(folder);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(format!("{name}.html")), &self.body).unwrap();
        }
        self
    }

    /// Holds for every answer of the router, whatever it is.
    fn assert_is_safe(&self) {
        let header = |name: &str| {
            self.headers
                .get(name)
                .map_or("", |value| value.to_str().unwrap())
        };
        let policy = header("content-security-policy");
        for directive in [
            "default-src 'none'",
            "frame-ancestors 'none'",
            "form-action 'self'",
            "base-uri 'none'",
        ] {
            assert!(policy.contains(directive), "{policy}");
        }
        assert!(
            !policy.contains("unsafe")
                && !policy.contains("script-src")
                && !policy.contains("http"),
            "{policy}"
        );
        assert_eq!(header("referrer-policy"), "no-referrer");
        assert_eq!(header("x-frame-options"), "DENY");
        assert_eq!(header("x-content-type-options"), "nosniff");
        if header("content-type").starts_with("text/html") || self.status.is_redirection() {
            assert_eq!(header("cache-control"), "no-store");
        }
        if header("content-type").starts_with("text/html") {
            markup::assert_is_accessible(&self.body);
        }
    }
}
