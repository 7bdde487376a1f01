//! Token, revocation and user info endpoints.

use super::{
    ClientRegistration, Provider, State as ProviderState, User,
    grants::{Access, Family, RefreshRules, Refused},
    log::Event,
};
use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value, json};
use std::{collections::HashMap, time::Duration};

/// Real lifetime of a token whose `expires_in` is withheld.
const SILENT_LIFETIME: Duration = Duration::from_hours(1);

/// An OAuth error answer (RFC 6749 section 5.2).
struct Refusal {
    status: StatusCode,
    error: &'static str,
    description: &'static str,
}

impl Refusal {
    const fn new(error: &'static str, description: &'static str) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            error,
            description,
        }
    }

    const fn client(description: &'static str) -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            error: "invalid_client",
            description,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = Json(json!({ "error": self.error, "error_description": self.description }));
        let mut response = (self.status, body).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = http::HeaderValue::from_static("Basic realm=\"sandbox\"");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

pub(crate) fn router() -> Router<Provider> {
    Router::new()
        .route("/sandbox/provider/token", post(token))
        .route("/sandbox/provider/revoke", post(revoke))
        .route("/sandbox/provider/userinfo", get(userinfo).post(userinfo))
}

async fn token(State(provider): State<Provider>, headers: HeaderMap, body: Bytes) -> Response {
    let chaos = {
        let state = provider.state();
        state.log.count(|total| total.token_requests += 1);
        state.chaos.clone()
    };
    if chaos.token_delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(chaos.token_delay_ms)).await;
    }
    let now = provider.now();
    let mut state = provider.state();
    if let Some(fault) = state.chaos.take_token_fault() {
        state.log.count(|total| total.token_faults += 1);
        state
            .log
            .add(now, Event::new("token.fault").detail(format!("{fault:?}")));
        return fault.answer(chaos.retry_after_secs);
    }
    let answered = answer(&provider, &mut state, &headers, &body);
    answered.map_or_else(
        |refusal| {
            let detail = format!("{}: {}", refusal.error, refusal.description);
            state
                .log
                .add(now, Event::new("token.refused").detail(detail));
            refusal.into_response()
        },
        |tokens| ([(header::PRAGMA, "no-cache")], Json(tokens)).into_response(),
    )
}

fn answer(
    provider: &Provider,
    state: &mut ProviderState,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Value, Refusal> {
    let form = parse_form(headers, body)?;
    let client = authenticate(state, headers, &form)?;
    let field = |name: &str| form.get(name).map(String::as_str);
    let need = |name: &str, message| field(name).ok_or(Refusal::new("invalid_request", message));
    match field("grant_type") {
        Some("authorization_code") => {
            let code = need("code", "code is missing")?;
            let redirect = need("redirect_uri", "redirect_uri is missing")?;
            let redeemed = state.grants.redeem(
                code,
                &client.client_id,
                redirect,
                field("code_verifier"),
                provider.now(),
            );
            let family =
                redeemed.map_err(|refused| refuse(provider, state, &client, code, &refused))?;
            state.log.count(|total| total.code_exchanges += 1);
            Ok(issue(provider, state, &family, "code.redeemed", true))
        }
        Some("refresh_token") => {
            let token = need("refresh_token", "refresh_token is missing")?;
            let rules = RefreshRules {
                rotation: state.chaos.rotation,
                reuse_detection: state.chaos.reuse_detection,
            };
            let used = state
                .grants
                .refresh(token, &client.client_id, field("scope"), rules);
            let family =
                used.map_err(|refused| refuse(provider, state, &client, token, &refused))?;
            state.log.count(|total| total.refreshes += 1);
            Ok(issue(
                provider,
                state,
                &family,
                "token.refreshed",
                rules.rotation,
            ))
        }
        Some("client_credentials") if client.client_secret.is_none() => Err(Refusal::new(
            "unauthorized_client",
            "an application without a secret cannot act for itself",
        )),
        Some("client_credentials") => {
            let scope = field("scope").unwrap_or_default();
            let token = provider.random("spat_");
            let (expires_at, answer) = lifetime(provider, state, &token);
            let access = Access::of_client(&client.client_id, scope, expires_at);
            state.grants.add_access(&token, access, provider.now());
            state.log.count(|total| total.client_credentials += 1);
            let event = Event::new("client_credentials.issued")
                .client(&client.client_id)
                .token(&token);
            state.log.add(provider.now(), event);
            Ok(with_scope(answer, scope))
        }
        Some(_) => Err(Refusal::new(
            "unsupported_grant_type",
            "only authorization_code, refresh_token and client_credentials",
        )),
        None => Err(Refusal::new("invalid_request", "grant_type is missing")),
    }
}

fn issue(
    provider: &Provider,
    state: &mut ProviderState,
    family: &Family,
    kind: &'static str,
    with_refresh: bool,
) -> Value {
    let token = provider.random("spat_");
    let (expires_at, mut answer) = lifetime(provider, state, &token);
    state.grants.add_access(
        &token,
        Access::of_family(family, expires_at),
        provider.now(),
    );
    let event = Event::new(kind)
        .client(&family.client_id)
        .subject(&family.subject)
        .family(family.id);
    state.log.add(provider.now(), event.token(&token));
    if with_refresh {
        let refresh = provider.random("sprt_");
        state.grants.add_refresh(&refresh, family.id);
        answer.insert("refresh_token".to_owned(), refresh.into());
    }
    with_scope(answer, &family.scope)
}

/// When the token ends, and the answer that says so (or not).
fn lifetime(
    provider: &Provider,
    state: &ProviderState,
    token: &str,
) -> (keystead_types::Timestamp, Map<String, Value>) {
    let mut answer = Map::new();
    answer.insert("access_token".to_owned(), token.into());
    answer.insert("token_type".to_owned(), "Bearer".into());
    let lifetime = if state.chaos.omit_expires_in {
        SILENT_LIFETIME
    } else {
        answer.insert("expires_in".to_owned(), state.chaos.expires_in_secs.into());
        Duration::from_secs(state.chaos.expires_in_secs.into())
    };
    (provider.now().plus(lifetime), answer)
}

fn with_scope(mut answer: Map<String, Value>, scope: &str) -> Value {
    if !scope.is_empty() {
        answer.insert("scope".to_owned(), scope.into());
    }
    answer.into()
}

fn refuse(
    provider: &Provider,
    state: &mut ProviderState,
    client: &ClientRegistration,
    token: &str,
    refused: &Refused,
) -> Refusal {
    let now = provider.now();
    if refused.reuse {
        state.log.count(|total| total.reuse_detections += 1);
        state.log.add(
            now,
            Event::new("token.reused")
                .client(&client.client_id)
                .token(token),
        );
    }
    if let Some(family) = refused.revoked {
        state.log.count(|total| total.revoked_families += 1);
        state.log.add(
            now,
            Event::new("family.revoked")
                .client(&client.client_id)
                .family(family),
        );
    }
    Refusal::new(refused.error, refused.why)
}

/// RFC 7009: the answer is 200 whether or not the token was known.
async fn revoke(State(provider): State<Provider>, headers: HeaderMap, body: Bytes) -> Response {
    let mut state = provider.state();
    let parsed = parse_form(&headers, &body)
        .and_then(|form| Ok((authenticate(&state, &headers, &form)?, form)));
    let (client, form) = match parsed {
        Ok(parsed) => parsed,
        Err(refusal) => return refusal.into_response(),
    };
    let Some(token) = form.get("token") else {
        return Refusal::new("invalid_request", "token is missing").into_response();
    };
    let revoked = state.grants.revoke(token, &client.client_id);
    let now = provider.now();
    state.log.add(
        now,
        Event::new("token.revoked")
            .client(&client.client_id)
            .token(token),
    );
    if let Some(family) = revoked {
        state.log.count(|total| total.revoked_families += 1);
        state.log.add(
            now,
            Event::new("family.revoked")
                .client(&client.client_id)
                .family(family),
        );
    }
    StatusCode::OK.into_response()
}

async fn userinfo(State(provider): State<Provider>, headers: HeaderMap) -> Response {
    let state = provider.state();
    let access = bearer(&headers).and_then(|token| state.grants.find_access(token, provider.now()));
    let Some(user) = access.and_then(|access| User::find(&access.subject)) else {
        let challenge = [(header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"")];
        return (
            StatusCode::UNAUTHORIZED,
            challenge,
            Json(json!({ "error": "invalid_token" })),
        )
            .into_response();
    };
    Json(profile(user)).into_response()
}

/// What the provider tells about a person.
pub(crate) fn profile(user: User) -> Value {
    json!({ "sub": user.subject, "name": user.name, "email": user.email, "email_verified": true })
}

/// The token of an `Authorization: Bearer` header.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}

/// User and password of an `Authorization: Basic` header.
pub(crate) fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, encoded) = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    let decoded = scheme
        .eq_ignore_ascii_case("basic")
        .then(|| STANDARD.decode(encoded.trim()).ok())
        .flatten()?;
    let text = String::from_utf8(decoded).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

fn parse_form(headers: &HeaderMap, body: &[u8]) -> Result<HashMap<String, String>, Refusal> {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if kind.split(';').next().map(str::trim) != Some("application/x-www-form-urlencoded") {
        return Err(Refusal::new(
            "invalid_request",
            "the body must be application/x-www-form-urlencoded",
        ));
    }
    let mut form = HashMap::new();
    for (name, value) in url::form_urlencoded::parse(body) {
        if form.insert(name.into_owned(), value.into_owned()).is_some() {
            return Err(Refusal::new("invalid_request", "a parameter is repeated"));
        }
    }
    Ok(form)
}

/// The client, by Basic authentication (form-encoded first, RFC 6749 section 2.3.1) or by the form.
fn authenticate(
    state: &ProviderState,
    headers: &HeaderMap,
    form: &HashMap<String, String>,
) -> Result<ClientRegistration, Refusal> {
    let decode = |text: &str| {
        let pair = format!("x={text}");
        url::form_urlencoded::parse(pair.as_bytes())
            .next()
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    };
    let (id, secret) = match basic(headers) {
        Some(_) if form.contains_key("client_secret") => {
            return Err(Refusal::new(
                "invalid_request",
                "two client authentications were sent",
            ));
        }
        Some((id, secret)) => (decode(&id), Some(decode(&secret))),
        None => (
            form.get("client_id").cloned().unwrap_or_default(),
            form.get("client_secret").cloned(),
        ),
    };
    let client = state
        .grants
        .client(&id)
        .filter(|client| client.accepts_secret(secret.as_deref()));
    client
        .cloned()
        .ok_or(Refusal::client("unknown application or wrong secret"))
}
