//! The provider's API: something to call with the credentials it handed out.

use super::{Provider, User, log::Event, oauth1, sha256, short_hash, token};
use aws_lc_rs::digest;
use axum::{
    Extension, Json, Router,
    body::{Body, to_bytes},
    extract::{Path, Query, Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use keystead_types::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, time::Duration};
use subtle::ConstantTimeEq;

const API_KEY_HEADER: HeaderName = HeaderName::from_static("x-api-key");
/// Largest body the echo repeats, in bytes.
const ECHO_LIMIT: usize = 1024 * 1024;
/// Largest streamed answer, in bytes.
const STREAM_LIMIT: u64 = 10_000_000_000;
/// Items kept at most.
const ITEM_LIMIT: usize = 10_000;

/// Who calls.
#[derive(Clone, Debug, Serialize)]
struct Principal {
    /// `bearer`, `basic`, `api_key`, `oauth1`, or `oauth1_signed` for a call whose signature fits.
    kind: &'static str,
    subject: String,
    scope: String,
}

/// Things to list, make and delete.
#[derive(Debug)]
pub(crate) struct Items {
    by_id: BTreeMap<u64, String>,
    next: u64,
}

impl Default for Items {
    fn default() -> Self {
        let by_id: BTreeMap<u64, String> = (1..=45).map(|id| (id, format!("Item {id}"))).collect();
        Self { by_id, next: 46 }
    }
}

pub(crate) fn router(provider: &Provider) -> Router<Provider> {
    let routes = Router::new()
        .route("/me", get(me))
        .route("/items", get(list_items).post(add_item))
        .route("/items/{id}", get(get_item).delete(delete_item))
        .route("/stream", get(stream_bytes))
        .route("/upload", any(upload))
        .route("/slow", any(slow))
        .route("/status/{code}", any(status))
        .route("/redirect", get(redirect))
        .route("/headers", get(stray_headers))
        .route("/echo", any(echo))
        .route("/echo/{*rest}", any(echo))
        .route_layer(from_fn_with_state(provider.clone(), authenticate));
    Router::new().nest("/sandbox/provider/api", routes)
}

/// Lets a request with a live credential through, and logs the call.
async fn authenticate(State(provider): State<Provider>, request: Request, next: Next) -> Response {
    let (mut request, signed) = oauth1::read(request).await;
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let credential = token::bearer(request.headers()).map(str::to_owned);
    let principal = {
        let mut state = provider.state();
        let principal = match &signed {
            Some(signed) => oauth1_principal(&mut state, signed, provider.now()),
            None => identify(&provider, &state, request.headers()),
        };
        principal.filter(|_| !state.chaos.take_unauthorized())
    };
    let response = if let Some(principal) = &principal {
        request.extensions_mut().insert(principal.clone());
        next.run(request).await
    } else {
        let challenge = [(
            header::WWW_AUTHENTICATE,
            "Bearer realm=\"sandbox\", error=\"invalid_token\"",
        )];
        (
            StatusCode::UNAUTHORIZED,
            challenge,
            Json(json!({ "error": "invalid_token" })),
        )
            .into_response()
    };
    let mut event =
        Event::new("api.called").detail(format!("{method} {path} {}", response.status().as_u16()));
    if let Some(principal) = principal {
        event = event.subject(&principal.subject);
    }
    if let Some(credential) = credential {
        event = event.token(&credential);
    }
    let mut state = provider.state();
    let unauthorized = response.status() == StatusCode::UNAUTHORIZED;
    state.log.count(|total| {
        total.api_calls += 1;
        total.api_unauthorized += u64::from(unauthorized);
    });
    state.log.add(provider.now(), event);
    response
}

fn oauth1_principal(
    state: &mut super::State,
    signed: &oauth1::Signed,
    now: Timestamp,
) -> Option<Principal> {
    let token = oauth1::caller(state, signed, now)?;
    Some(Principal {
        kind: if signed.has_signature() {
            "oauth1_signed"
        } else {
            "oauth1"
        },
        subject: token.subject,
        scope: token.scope,
    })
}

fn identify(provider: &Provider, state: &super::State, headers: &HeaderMap) -> Option<Principal> {
    let same = |sent: &[u8], known: &str| bool::from(sent.ct_eq(known.as_bytes()));
    let fixed = |kind| Principal {
        kind,
        subject: "sandbox".to_owned(),
        scope: String::new(),
    };
    if let Some(bearer) = token::bearer(headers) {
        if same(bearer.as_bytes(), crate::STATIC_TOKEN) {
            return Some(fixed("bearer"));
        }
        let access = state.grants.find_access(bearer, provider.now())?;
        return Some(Principal {
            kind: "bearer",
            subject: access.subject.clone(),
            scope: access.scope.clone(),
        });
    }
    if let Some((user, password)) = token::basic(headers) {
        let known = same(user.as_bytes(), crate::BASIC_USER)
            & same(password.as_bytes(), crate::BASIC_PASSWORD);
        return known.then(|| fixed("basic"));
    }
    let key = headers.get(API_KEY_HEADER)?;
    same(key.as_bytes(), crate::API_KEY).then(|| fixed("api_key"))
}

async fn me(Extension(principal): Extension<Principal>) -> Json<Value> {
    let profile = User::find(&principal.subject).map(token::profile);
    Json(json!({ "principal": principal, "profile": profile }))
}

/// Repeats the request. Credentials appear as short hashes only.
async fn echo(request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, ECHO_LIMIT).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let mut headers: Map<String, Value> = Map::new();
    for (name, value) in &parts.headers {
        let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
        let text = match text.split_once(' ') {
            Some((scheme, credential)) if name == header::AUTHORIZATION => {
                format!("{scheme} sha256:{}", short_hash(credential))
            }
            _ if [header::AUTHORIZATION, header::COOKIE, API_KEY_HEADER].contains(name) => {
                format!("sha256:{}", short_hash(&text))
            }
            _ => text,
        };
        let values = headers.entry(name.as_str()).or_insert_with(|| json!([]));
        if let Value::Array(values) = values {
            values.push(text.into());
        }
    }
    let text = std::str::from_utf8(&body).ok();
    Json(json!({
        "method": parts.method.as_str(),
        "path": parts.uri.path(),
        "query": parts.uri.query(),
        "version": format!("{:?}", parts.version),
        "headers": headers,
        "body": {
            "bytes": body.len(),
            "sha256": hex::encode(sha256(&body)),
            "text": text,
            "base64": text.is_none().then(|| STANDARD.encode(&body)),
        },
    }))
    .into_response()
}

#[derive(Deserialize)]
#[serde(default)]
struct PageQuery {
    page_size: usize,
    page_token: u64,
}

impl Default for PageQuery {
    fn default() -> Self {
        Self {
            page_size: 20,
            page_token: 0,
        }
    }
}

async fn list_items(
    State(provider): State<Provider>,
    Query(query): Query<PageQuery>,
) -> Json<Value> {
    let state = provider.state();
    let size = query.page_size.clamp(1, 100);
    let mut rest = state
        .items
        .by_id
        .range(query.page_token.saturating_add(1)..);
    let items: Vec<_> = rest
        .by_ref()
        .take(size)
        .map(|(id, name)| item(*id, name))
        .collect();
    let last = items
        .last()
        .and_then(|item| item.get("id"))
        .and_then(Value::as_u64);
    let next = last
        .filter(|_| rest.next().is_some())
        .map(|id| id.to_string());
    Json(json!({ "items": items, "next_page_token": next, "total": state.items.by_id.len() }))
}

#[derive(Deserialize)]
struct NewItem {
    name: String,
}

async fn add_item(State(provider): State<Provider>, Json(new): Json<NewItem>) -> Response {
    let items = &mut provider.state().items;
    if items.by_id.len() >= ITEM_LIMIT {
        return StatusCode::INSUFFICIENT_STORAGE.into_response();
    }
    let id = items.next;
    items.next += 1;
    let made = item(id, &new.name);
    items.by_id.insert(id, new.name);
    (StatusCode::CREATED, Json(made)).into_response()
}

async fn get_item(State(provider): State<Provider>, Path(id): Path<u64>) -> Response {
    provider
        .state()
        .items
        .by_id
        .get(&id)
        .map_or_else(not_found, |name| Json(item(id, name)).into_response())
}

async fn delete_item(State(provider): State<Provider>, Path(id): Path<u64>) -> Response {
    let removed = provider.state().items.by_id.remove(&id);
    removed.map_or_else(not_found, |_| StatusCode::NO_CONTENT.into_response())
}

fn item(id: u64, name: &str) -> Value {
    json!({ "id": id, "name": name })
}

fn not_found() -> Response {
    (StatusCode::NOT_FOUND, Json(json!({ "error": "not_found" }))).into_response()
}

#[derive(Deserialize)]
#[serde(default)]
struct StreamQuery {
    /// Size of the answer.
    bytes: u64,
    /// Size of one piece.
    chunk: usize,
    /// Wait before each piece, in milliseconds.
    delay_ms: u64,
    /// Leaves `Content-Length` out.
    chunked: bool,
}

impl Default for StreamQuery {
    fn default() -> Self {
        Self {
            bytes: 1024 * 1024,
            chunk: 64 * 1024,
            delay_ms: 0,
            chunked: false,
        }
    }
}

/// A body made while it is sent; byte `n` is `n % 251`, so that a lost or doubled piece shows.
async fn stream_bytes(Query(query): Query<StreamQuery>) -> Response {
    let total = query.bytes.min(STREAM_LIMIT);
    let chunk = query.chunk.clamp(1, 1024 * 1024) as u64;
    let delay = Duration::from_millis(query.delay_ms);
    let pieces = stream::unfold(0, move |sent| async move {
        if sent >= total {
            return None;
        }
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let end = total.min(sent + chunk);
        let piece: Bytes = (sent..end).map(|n| (n % 251) as u8).collect();
        Some((Ok::<_, std::convert::Infallible>(piece), end))
    });
    let mut response = Body::from_stream(pieces).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    if !query.chunked {
        headers.insert(header::CONTENT_LENGTH, total.into());
    }
    response
}

/// Takes a body of any size and says what arrived.
async fn upload(request: Request) -> Response {
    let mut pieces = request.into_body().into_data_stream();
    let (mut size, mut hash) = (0, digest::Context::new(&digest::SHA256));
    while let Some(piece) = pieces.next().await {
        let Ok(piece) = piece else {
            return StatusCode::BAD_REQUEST.into_response();
        };
        size += piece.len();
        hash.update(&piece);
    }
    Json(json!({ "bytes": size, "sha256": hex::encode(hash.finish()) })).into_response()
}

#[derive(Deserialize)]
struct SlowQuery {
    #[serde(default)]
    delay_ms: u64,
}

async fn slow(Query(query): Query<SlowQuery>) -> Json<Value> {
    tokio::time::sleep(Duration::from_millis(query.delay_ms)).await;
    Json(json!({ "waited_ms": query.delay_ms }))
}

#[derive(Deserialize)]
struct StatusQuery {
    retry_after: Option<u32>,
}

async fn status(Path(code): Path<u16>, Query(query): Query<StatusQuery>) -> Response {
    let Some(status) = StatusCode::from_u16(code)
        .ok()
        .filter(|status| !status.is_informational())
    else {
        return (
            StatusCode::BAD_REQUEST,
            Json(json!({ "error": "not a final status" })),
        )
            .into_response();
    };
    let mut response = (status, Json(json!({ "status": code }))).into_response();
    if let Some(seconds) = query.retry_after {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

#[derive(Deserialize)]
struct RedirectQuery {
    to: String,
}

async fn redirect(Query(query): Query<RedirectQuery>) -> Response {
    HeaderValue::from_str(&query.to).map_or_else(
        |_| StatusCode::BAD_REQUEST.into_response(),
        |to| (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
    )
}

/// Headers a proxy must keep to itself, and one it must pass.
async fn stray_headers() -> Response {
    let headers = [
        ("set-cookie", "session=provider"),
        ("strict-transport-security", "max-age=1"),
        ("alt-svc", "h3=\":443\""),
        ("access-control-allow-origin", "*"),
        ("x-sandbox", "passes"),
    ];
    (headers, Json(json!({ "ok": true }))).into_response()
}
