//! Anti-forgery tokens: every POST proves that its form came from a page we gave this browser.
//!
//! The token is a keyed hash of the cookie that identifies the browser, so it needs no storage and
//! ends with the session. It is checked before a handler runs; a handler gets the fields only
//! through [`Posted`], which exists only after the check.

use crate::{
    Deps,
    cookies::{self, Cookie},
    failure::Failure,
    form_data::FormData,
};
use axum::{
    body::Body,
    extract::{FromRequestParts, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, Method, header, request::Parts};
use http_body_util::{BodyExt, Limited};
use keystead_crypto::{TokenHash, random_token};
use url::Url;

/// Largest form, in bytes: room for a service account key file.
const FORM_LIMIT: usize = 256 * 1024;

/// The token for the browser that holds `cookie`.
pub(crate) fn token(deps: &Deps, cookie: Cookie, value: &str) -> String {
    URL_SAFE_NO_PAD.encode(hash(deps, cookie, value).as_bytes())
}

/// The cookie's name is part of the hash: a token of one kind of session says nothing in another.
fn hash(deps: &Deps, cookie: Cookie, value: &str) -> TokenHash {
    deps.hasher
        .hash("form token", &format!("{}={value}", cookie.name))
}

/// Compares in constant time.
fn holds(deps: &Deps, cookie: Cookie, value: &str, token: &str) -> bool {
    let sent = URL_SAFE_NO_PAD.decode(token).ok();
    let sent = sent.as_deref().and_then(TokenHash::from_bytes);
    sent.is_some_and(|sent| sent == hash(deps, cookie, value))
}

/// The fields of a POST whose token was right.
#[derive(Clone, Debug)]
pub(crate) struct Posted(pub(crate) FormData);

impl<S: Sync> FromRequestParts<S> for Posted {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or(Failure::Forged)
    }
}

/// Which cookies the tokens of a group of pages may be bound to.
#[derive(Clone)]
pub(crate) struct Guard {
    pub(crate) deps: Deps,
    pub(crate) bound_to: &'static [Cookie],
}

/// Lets GET pass and refuses a POST without a right token, before any handler.
///
/// SECURITY: the browser's own word counts first, `Sec-Fetch-Site`. Where it sends none, a foreign `Origin`
/// is refused. `null` passes: pages send `Referrer-Policy: no-referrer`, and that is what becomes of ours then.
pub(crate) async fn protect(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    match check(&guard, &parts.headers, body).await {
        Ok(form) => {
            let mut request = Request::from_parts(parts, Body::empty());
            request.extensions_mut().insert(Posted(form));
            next.run(request).await
        }
        Err(failure) => failure.into_response(),
    }
}

async fn check(guard: &Guard, headers: &HeaderMap, body: Body) -> Result<FormData, Failure> {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    let forged = match site {
        Some(site) => site != b"same-origin",
        None => headers
            .get_all(header::ORIGIN)
            .iter()
            .any(|origin| is_foreign(headers, origin)),
    };
    if forged {
        return Err(Failure::Forged);
    }
    let form_type = headers.get(header::CONTENT_TYPE).is_some_and(|value| {
        value
            .as_bytes()
            .starts_with(b"application/x-www-form-urlencoded")
    });
    if !form_type {
        return Err(Failure::Forged);
    }
    let body = Limited::new(body, FORM_LIMIT).collect().await;
    let form = FormData::parse(&body.map_err(|_| Failure::TooLarge)?.to_bytes());
    let token = form.text("csrf");
    let right = guard.bound_to.iter().any(|cookie| {
        let tags = cookie.tags(headers);
        let tagged = tags.iter().map(|tag| cookie.read_tagged(headers, tag));
        let mut values = tagged.chain([cookie.read(headers)]).flatten();
        values.any(|value| holds(&guard.deps, *cookie, value.expose(), token))
    });
    if right {
        Ok(form)
    } else {
        Err(Failure::Forged)
    }
}

/// Whether a page of another origin sent the form. The scheme is taken from `origin`, because a proxy in
/// front may end TLS; the port counts, because another application may answer there.
fn is_foreign(headers: &HeaderMap, origin: &HeaderValue) -> bool {
    if origin == "null" {
        return false;
    }
    let parse = |text: &str| Url::parse(text).ok();
    let origin = origin.to_str().ok().and_then(parse);
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let (Some(origin), Some(host)) = (origin, host) else {
        return true;
    };
    let own = parse(&format!("{}://{host}", origin.scheme()));
    own.is_none_or(|own| own.origin() != origin.origin())
}

/// A token for a browser that nobody is signed in with, and the cookie value to set when it has none.
pub(crate) fn visitor(deps: &Deps, headers: &HeaderMap) -> (String, Option<String>) {
    if let Some(value) = cookies::VISITOR.read(headers) {
        return (token(deps, cookies::VISITOR, value.expose()), None);
    }
    let value = random_token(deps.rng.as_ref(), "", 32).expose().clone();
    (token(deps, cookies::VISITOR, &value), Some(value))
}
