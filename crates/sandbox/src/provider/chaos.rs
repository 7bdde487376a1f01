//! Faults on demand: what real providers do on bad days.

use super::{Provider, log::Event};
use crate::pages::page;
use askama::Template;
use axum::{
    Form, Json, Router,
    extract::State,
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// How the token endpoint fails.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenFault {
    /// Not at all.
    #[default]
    None,
    /// 503 with a plain text.
    ServerError,
    /// 200 with a web page.
    Html,
    /// 200 without a body.
    Empty,
    /// 200 with JSON whose fields have other types.
    WrongTypes,
    /// 429 with `Retry-After`.
    RateLimited,
}

impl TokenFault {
    pub(crate) fn answer(self, retry_after_secs: u32) -> Response {
        let json_type = [(header::CONTENT_TYPE, "application/json")];
        match self {
            Self::ServerError => {
                (StatusCode::SERVICE_UNAVAILABLE, "upstream connect error").into_response()
            }
            Self::Html => Html("<!doctype html><title>Maintenance</title><p>We will be back soon.")
                .into_response(),
            Self::None | Self::Empty => (json_type, "").into_response(),
            Self::WrongTypes => {
                let wrong = json!({ "access_token": 12345, "token_type": ["Bearer"], "expires_in": { "unit": "soon" }, "refresh_token": false });
                Json(wrong).into_response()
            }
            Self::RateLimited => {
                let headers = [(header::RETRY_AFTER, retry_after_secs.to_string())];
                let body = json!({ "error": "temporarily_unavailable", "error_description": "too many requests" });
                (StatusCode::TOO_MANY_REQUESTS, headers, Json(body)).into_response()
            }
        }
    }
}

/// The switch. What a JSON request leaves out goes back to normal.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Chaos {
    /// How the token endpoint fails.
    pub token_fault: TokenFault,
    /// How many token requests fail before things are normal again; none means all.
    pub token_fault_count: Option<u32>,
    /// Wait before each answer of the token endpoint, in milliseconds.
    pub token_delay_ms: u64,
    /// `Retry-After` of [`TokenFault::RateLimited`], in seconds.
    pub retry_after_secs: u32,
    /// Lifetime of access tokens, in seconds.
    pub expires_in_secs: u32,
    /// Leaves `expires_in` out of token answers (the tokens then live for an hour).
    pub omit_expires_in: bool,
    /// Each refresh gives a new refresh token and ends the old one.
    pub rotation: bool,
    /// A used refresh token that comes again revokes its whole family.
    pub reuse_detection: bool,
    /// How many of the next API calls get 401 although their credential is good.
    pub api_unauthorized_count: u32,
}

impl Default for Chaos {
    fn default() -> Self {
        Self {
            token_fault: TokenFault::None,
            token_fault_count: None,
            token_delay_ms: 0,
            retry_after_secs: 2,
            expires_in_secs: 3600,
            omit_expires_in: false,
            rotation: true,
            reuse_detection: true,
            api_unauthorized_count: 0,
        }
    }
}

impl Chaos {
    /// The fault of this token request, counted.
    pub(crate) fn take_token_fault(&mut self) -> Option<TokenFault> {
        let fault = self.token_fault;
        if fault == TokenFault::None {
            return None;
        }
        match &mut self.token_fault_count {
            Some(0) => return None,
            Some(left) => *left -= 1,
            None => {}
        }
        Some(fault)
    }

    /// Whether this API call gets 401 anyway, counted.
    pub(crate) const fn take_unauthorized(&mut self) -> bool {
        let left = self.api_unauthorized_count;
        self.api_unauthorized_count = left.saturating_sub(1);
        left > 0
    }
}

/// The form of the page: check boxes are absent when not ticked, numbers may be empty.
#[derive(Deserialize)]
struct ChaosForm {
    token_fault: TokenFault,
    #[serde(default)]
    token_fault_count: String,
    token_delay_ms: u64,
    retry_after_secs: u32,
    expires_in_secs: u32,
    omit_expires_in: Option<String>,
    rotation: Option<String>,
    reuse_detection: Option<String>,
    api_unauthorized_count: u32,
}

impl From<ChaosForm> for Chaos {
    fn from(form: ChaosForm) -> Self {
        Self {
            token_fault: form.token_fault,
            token_fault_count: form.token_fault_count.trim().parse().ok(),
            token_delay_ms: form.token_delay_ms,
            retry_after_secs: form.retry_after_secs,
            expires_in_secs: form.expires_in_secs,
            omit_expires_in: form.omit_expires_in.is_some(),
            rotation: form.rotation.is_some(),
            reuse_detection: form.reuse_detection.is_some(),
            api_unauthorized_count: form.api_unauthorized_count,
        }
    }
}

#[derive(Template)]
#[template(path = "chaos.html")]
struct Page {
    chaos: Chaos,
    faults: [(TokenFault, &'static str, &'static str); 6],
}

pub(crate) fn router() -> Router<Provider> {
    Router::new()
        .route("/sandbox/chaos", get(show).post(set))
        .route("/sandbox/chaos/state", get(state))
        .route("/sandbox/chaos/form", post(set_by_form))
}

async fn show(State(provider): State<Provider>) -> Response {
    use TokenFault as F;
    page(&Page {
        chaos: provider.state().chaos.clone(),
        faults: [
            (F::None, "none", "Works"),
            (F::ServerError, "server_error", "503, plain text"),
            (F::Html, "html", "200, a web page"),
            (F::Empty, "empty", "200, no body"),
            (F::WrongTypes, "wrong_types", "200, JSON with wrong types"),
            (F::RateLimited, "rate_limited", "429 with Retry-After"),
        ],
    })
}

async fn state(State(provider): State<Provider>) -> Json<Chaos> {
    Json(provider.state().chaos.clone())
}

async fn set(State(provider): State<Provider>, Json(chaos): Json<Chaos>) -> Json<Chaos> {
    change(&provider, chaos.clone());
    Json(chaos)
}

async fn set_by_form(State(provider): State<Provider>, Form(form): Form<ChaosForm>) -> Redirect {
    change(&provider, form.into());
    Redirect::to("/sandbox/chaos")
}

fn change(provider: &Provider, chaos: Chaos) {
    let detail = serde_json::to_string(&chaos).unwrap_or_default();
    let mut state = provider.state();
    state.chaos = chaos;
    state
        .log
        .add(provider.now(), Event::new("chaos.changed").detail(detail));
}
