//! The provider's side: the sandbox, and a browser that consents there.

use axum::Router;
use bytes::Bytes;
use http::{Request, Response, header};
use keystead_agentkit::links::Consent;
use keystead_crypto::SystemRng;
use keystead_net::{GuardedClient, Policy, Settings, mail::Mailbox};
use keystead_sandbox::{ClientRegistration, Config};
use keystead_types::{Clock, ManualClock, Secret};
use serde_json::Value;
use std::sync::Arc;
use tokio::{net::TcpListener, task::JoinHandle};
use url::{Url, form_urlencoded};

/// Another OAuth client that the provider knows.
pub(crate) const SECOND_CLIENT: &str = "second-client";
pub(crate) const SECOND_SECRET: &str = "second-secret";
/// A client that needs no secret.
pub(crate) const PUBLIC_CLIENT: &str = "public-client";

/// A running sandbox on loopback.
pub(crate) struct Upstream {
    /// `http://127.0.0.1:PORT`.
    pub(crate) origin: String,
    pub(crate) http: GuardedClient,
    server: JoinHandle<()>,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.server.abort();
    }
}

pub(crate) fn http_client(policy: Policy) -> GuardedClient {
    let settings = Settings {
        policy,
        ..Settings::default()
    };
    GuardedClient::new(settings).unwrap()
}

impl Upstream {
    /// Starts it with further routes of the test.
    pub(crate) async fn start(clock: Arc<ManualClock>, more: Router) -> Self {
        let clock: Arc<dyn Clock> = clock;
        let client = |id: &str, secret: Option<&str>| ClientRegistration {
            client_id: id.to_owned(),
            client_secret: secret.map(ToOwned::to_owned),
            redirect_uris: Vec::new(),
        };
        let sandbox = keystead_sandbox::router(Config {
            clock: Arc::clone(&clock),
            rng: Arc::new(SystemRng),
            mailbox: Mailbox::in_memory(clock),
            clients: vec![
                client(SECOND_CLIENT, Some(SECOND_SECRET)),
                client(PUBLIC_CLIENT, None),
            ],
            file: None,
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            axum::serve(listener, sandbox.merge(more)).await.unwrap();
        });
        Self {
            origin,
            http: http_client(Policy::development()),
            server,
        }
    }

    pub(crate) fn port(&self) -> &str {
        self.origin.rsplit(':').next().unwrap()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    pub(crate) async fn post(
        &self,
        path: &str,
        content_type: &str,
        body: String,
    ) -> Response<Bytes> {
        let request = Request::post(self.url(path)).header(header::CONTENT_TYPE, content_type);
        self.http
            .fetch(request.body(Bytes::from(body)).unwrap())
            .await
            .unwrap()
    }

    pub(crate) async fn get(&self, url: &str) -> Response<Bytes> {
        self.http
            .fetch(Request::get(url).body(Bytes::new()).unwrap())
            .await
            .unwrap()
    }

    /// Sets the chaos switch; what is left out is normal.
    pub(crate) async fn chaos(&self, chaos: Value) {
        let answer = self
            .post("/sandbox/chaos", "application/json", chaos.to_string())
            .await;
        assert_eq!(answer.status(), 200, "{answer:?}");
    }

    async fn log(&self) -> Value {
        let answer = self.get(&self.url("/sandbox/provider/log")).await;
        serde_json::from_slice(answer.body()).unwrap()
    }

    /// A total of the provider since its start.
    pub(crate) async fn counter(&self, name: &str) -> u64 {
        self.log().await["counters"][name].as_u64().unwrap()
    }

    /// What the provider noted under a kind.
    pub(crate) async fn noted(&self, kind: &str) -> Vec<Value> {
        let log = self.log().await;
        let events = log["events"].as_array().unwrap().iter();
        events
            .filter(|event| event["kind"] == kind)
            .cloned()
            .collect()
    }

    /// Waits until a total reaches `wanted`.
    pub(crate) async fn wait_for(&self, name: &str, wanted: u64) {
        let path = format!("/sandbox/provider/log/wait?counter={name}&reaches={wanted}");
        assert_eq!(self.get(&self.url(&path)).await.status(), 204, "{name}");
    }

    /// Opens the consent page as a browser and answers it: the query of the redirect back.
    pub(crate) async fn answer(&self, consent: &Url, user: &str, decision: &str) -> Url {
        let page = self.get(consent.as_str()).await;
        assert_eq!(
            page.status(),
            200,
            "{}",
            String::from_utf8_lossy(page.body())
        );
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(consent.query_pairs());
        form.append_pair("user", user)
            .append_pair("decision", decision);
        let path = consent.path().to_owned();
        let answer = self
            .post(&path, "application/x-www-form-urlencoded", form.finish())
            .await;
        assert_eq!(
            answer.status(),
            303,
            "{}",
            String::from_utf8_lossy(answer.body())
        );
        Url::parse(answer.headers()["location"].to_str().unwrap()).unwrap()
    }

    /// The user says yes.
    pub(crate) async fn allow(&self, consent: &Consent) -> Returned {
        self.decide(consent, "u-ada", "allow").await
    }

    pub(crate) async fn decide(&self, consent: &Consent, user: &str, decision: &str) -> Returned {
        let back = self.answer(&consent.url, user, decision).await;
        Returned {
            browser: consent.browser.clone(),
            query: back.query().unwrap().to_owned(),
            url: back,
        }
    }
}

/// The browser on its way back from the provider.
pub(crate) struct Returned {
    pub(crate) browser: Secret<String>,
    pub(crate) query: String,
    pub(crate) url: Url,
}
