//! What happened at the provider, for tests and for people who watch. Tokens appear as short hashes.

use super::Provider;
use axum::{
    Json, Router,
    extract::{Query, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::VecDeque;
use tokio::sync::watch;

/// Events kept; older ones are dropped.
const KEPT: usize = 1000;

/// Something that happened.
#[derive(Clone, Default, Debug, Serialize)]
pub(crate) struct Event {
    pub(crate) seq: u64,
    /// RFC 3339.
    pub(crate) at: String,
    pub(crate) kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) family: Option<u64>,
    /// Short hash of the token it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
}

impl Event {
    pub(crate) fn new(kind: &'static str) -> Self {
        Self {
            kind,
            ..Self::default()
        }
    }

    pub(crate) fn client(mut self, id: &str) -> Self {
        self.client_id = Some(id.to_owned());
        self
    }

    pub(crate) fn subject(mut self, subject: &str) -> Self {
        self.subject = Some(subject.to_owned());
        self
    }

    pub(crate) const fn family(mut self, family: u64) -> Self {
        self.family = Some(family);
        self
    }

    pub(crate) fn token(mut self, token: &str) -> Self {
        self.token = Some(super::short_hash(token));
        self
    }

    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

/// Totals since start or reset.
#[derive(Clone, Copy, Default, Debug, Serialize)]
pub(crate) struct Counters {
    pub(crate) consents: u64,
    pub(crate) denials: u64,
    pub(crate) token_requests: u64,
    pub(crate) token_faults: u64,
    pub(crate) code_exchanges: u64,
    pub(crate) refreshes: u64,
    pub(crate) reuse_detections: u64,
    pub(crate) revoked_families: u64,
    pub(crate) client_credentials: u64,
    pub(crate) temporary_credentials: u64,
    pub(crate) oauth1_tokens: u64,
    pub(crate) api_calls: u64,
    pub(crate) api_unauthorized: u64,
}

/// Events and totals.
#[derive(Debug, Default)]
pub(crate) struct Log {
    events: VecDeque<Event>,
    next: u64,
    counters: watch::Sender<Counters>,
}

impl Log {
    pub(crate) fn add(&mut self, at: keystead_types::Timestamp, event: Event) {
        self.next += 1;
        self.events.push_back(Event {
            seq: self.next,
            at: at.to_string(),
            ..event
        });
        if self.events.len() > KEPT {
            self.events.pop_front();
        }
    }

    /// Changes the totals and wakes who waits for them.
    pub(crate) fn count(&self, change: impl FnOnce(&mut Counters)) {
        self.counters.send_modify(change);
    }

    pub(crate) fn totals(&self) -> Counters {
        *self.counters.borrow()
    }

    pub(crate) fn latest(&self, count: usize) -> Vec<Event> {
        self.events.iter().rev().take(count).cloned().collect()
    }
}

#[derive(Serialize)]
struct View {
    counters: Counters,
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct Since {
    #[serde(default)]
    since: u64,
}

#[derive(Deserialize)]
struct Awaited {
    counter: String,
    reaches: u64,
}

pub(crate) fn router() -> Router<Provider> {
    Router::new()
        .route("/sandbox/provider/log", get(show))
        .route("/sandbox/provider/log/wait", get(wait))
        .route("/sandbox/provider/log/clear", post(clear))
}

/// `?since=` gives the events after that number only.
async fn show(State(provider): State<Provider>, Query(Since { since }): Query<Since>) -> Response {
    let state = provider.state();
    let events = state
        .log
        .events
        .iter()
        .filter(|event| event.seq > since)
        .cloned()
        .collect();
    Json(View {
        counters: state.log.totals(),
        events,
    })
    .into_response()
}

/// `?counter=refreshes&reaches=2` answers when that total is reached.
async fn wait(State(provider): State<Provider>, Query(awaited): Query<Awaited>) -> StatusCode {
    let mut totals = provider.state().log.counters.subscribe();
    let total = |totals: &Counters| {
        let totals = serde_json::to_value(totals).unwrap_or_default();
        totals.get(&awaited.counter).and_then(Value::as_u64)
    };
    if total(&totals.borrow_and_update()).is_none() {
        return StatusCode::BAD_REQUEST;
    }
    let reached = totals.wait_for(|totals| total(totals) >= Some(awaited.reaches));
    match reached.await {
        Ok(_) => StatusCode::NO_CONTENT,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

async fn clear(State(provider): State<Provider>) -> StatusCode {
    let mut state = provider.state();
    state.log.events.clear();
    state.log.count(|totals| *totals = Counters::default());
    StatusCode::NO_CONTENT
}
