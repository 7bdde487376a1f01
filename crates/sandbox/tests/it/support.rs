use axum::{Router, body::Body};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use keystead_net::mail::Mailbox;
use keystead_sandbox::{CLIENT_ID, CLIENT_SECRET, Config, router};
use keystead_types::{Clock, ManualClock, Rng, Timestamp};
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tower::ServiceExt;
use url::{Url, form_urlencoded};

pub(crate) const CALLBACK: &str = "http://localhost:9/cb?keep=1";
/// Verifier and challenge of RFC 7636, appendix B.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// Numbers instead of random bytes: different each time, also from those of another sandbox.
#[derive(Debug)]
struct Counting;

static COUNT: AtomicU64 = AtomicU64::new(0);

impl Rng for Counting {
    fn fill(&self, buffer: &mut [u8]) {
        let number = COUNT.fetch_add(1, Ordering::SeqCst).to_be_bytes();
        for (slot, byte) in buffer.iter_mut().zip(number.into_iter().cycle()) {
            *slot = byte;
        }
    }
}

pub(crate) struct Sandbox {
    router: Router,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) mailbox: Mailbox,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn location(&self) -> Url {
        assert_eq!(self.status, 303, "{self:?}");
        Url::parse(self.headers["location"].to_str().unwrap()).unwrap()
    }

    pub(crate) fn oauth_error(&self) -> (u16, String) {
        (
            self.status.as_u16(),
            self.json()["error"].as_str().unwrap().to_owned(),
        )
    }
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self::with(None)
    }

    /// One that keeps its grants in this file.
    pub(crate) fn kept(file: &Path) -> Self {
        Self::with(Some(file.to_owned()))
    }

    fn with(file: Option<PathBuf>) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_790_000_000)));
        let mailbox = Mailbox::in_memory(Arc::clone(&clock) as Arc<dyn Clock>);
        let router = router(Config {
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            rng: Arc::new(Counting),
            mailbox: mailbox.clone(),
            clients: Vec::new(),
            file,
        });
        Self {
            router,
            clock,
            mailbox,
        }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self
            .router
            .clone()
            .oneshot(request)
            .await
            .unwrap()
            .into_parts();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap())
            .await
    }

    pub(crate) async fn post_form(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.send(form(path, fields)).await
    }

    pub(crate) async fn post_json(&self, path: &str, value: &Value) -> Answer {
        let request = Request::post(path).header("content-type", "application/json");
        self.send(request.body(value.to_string().into()).unwrap())
            .await
    }

    pub(crate) async fn chaos(&self, value: Value) {
        assert_eq!(self.post_json("/sandbox/chaos", &value).await.status, 200);
    }

    /// Answers the consent form; `changes` replaces or adds parameters.
    pub(crate) async fn consent(&self, changes: &[(&str, &str)]) -> Answer {
        let standard = [
            ("response_type", "code"),
            ("client_id", CLIENT_ID),
            ("redirect_uri", CALLBACK),
            ("scope", "read write"),
            ("state", "s-1"),
            ("user", "u-ada"),
            ("decision", "allow"),
        ];
        self.post_form("/sandbox/provider/authorize", &merged(&standard, changes))
            .await
    }

    pub(crate) async fn code(&self, changes: &[(&str, &str)]) -> String {
        param(&self.consent(changes).await.location(), "code").unwrap()
    }

    /// Asks for tokens as the standard client.
    pub(crate) async fn token(&self, fields: &[(&str, &str)]) -> Answer {
        let standard = [("client_id", CLIENT_ID), ("client_secret", CLIENT_SECRET)];
        self.post_form("/sandbox/provider/token", &merged(&standard, fields))
            .await
    }

    pub(crate) async fn redeem(&self, code: &str, changes: &[(&str, &str)]) -> Answer {
        let standard = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
        ];
        self.token(&merged(&standard, changes)).await
    }

    pub(crate) async fn refresh(&self, token: &str) -> Answer {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", token)])
            .await
    }

    /// Consents and redeems: the tokens.
    pub(crate) async fn connect(&self) -> Value {
        let code = self.code(&[]).await;
        let answer = self.redeem(&code, &[]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    pub(crate) async fn call(&self, path: &str, access_token: &str) -> Answer {
        let request = Request::get(format!("/sandbox/provider/api{path}"));
        let request = request.header("authorization", format!("Bearer {access_token}"));
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn counter(&self, name: &str) -> u64 {
        self.get("/sandbox/provider/log").await.json()["counters"][name]
            .as_u64()
            .unwrap()
    }
}

pub(crate) fn form(path: &str, fields: &[(&str, &str)]) -> Request<Body> {
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish();
    let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
    request.body(body.into()).unwrap()
}

pub(crate) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

pub(crate) fn param(url: &Url, name: &str) -> Option<String> {
    url.query_pairs()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("{name} in {value}"))
}

fn merged<'a>(
    standard: &[(&'a str, &'a str)],
    changes: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    let kept = standard
        .iter()
        .filter(|(key, _)| !changes.iter().any(|(changed, _)| changed == key));
    kept.chain(changes).copied().collect()
}
