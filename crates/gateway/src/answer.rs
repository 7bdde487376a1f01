//! JSON answers over HTTP, for all who give them.

use crate::request_id::{REQUEST_ID, RequestId};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use tonic::body::Body;

/// A JSON answer that nobody may keep.
pub(crate) fn json(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::new(Full::new(body.into())));
    *response.status_mut() = status;
    set(&mut response, header::CONTENT_TYPE, "application/json");
    set(&mut response, header::CACHE_CONTROL, "no-store");
    set(&mut response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    response
}

/// Documents without secrets may be kept for a while, and pages of anybody may read them (LG-008).
pub(crate) fn public(mut response: Response<Body>) -> Response<Body> {
    set(&mut response, header::CACHE_CONTROL, "public, max-age=300");
    set(&mut response, header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    response
}

/// Tells a browser that pages of anybody may read a public document (LG-008).
pub(crate) fn preflight() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    set(&mut response, header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    set(
        &mut response,
        header::ACCESS_CONTROL_ALLOW_METHODS,
        "GET, HEAD",
    );
    set(&mut response, header::ACCESS_CONTROL_ALLOW_HEADERS, "*");
    set(&mut response, header::ACCESS_CONTROL_MAX_AGE, "86400");
    response
}

/// 405 with what is allowed.
pub(crate) fn not_allowed(allowed: &'static str) -> Response<Body> {
    let body = r#"{"error":"method not allowed"}"#;
    let mut response = json(StatusCode::METHOD_NOT_ALLOWED, body);
    set(&mut response, header::ALLOW, allowed);
    response
}

/// Sets a header to a fixed text.
pub(crate) fn set(response: &mut Response<Body>, name: HeaderName, value: &'static str) {
    let value = HeaderValue::from_static(value);
    response.headers_mut().insert(name, value);
}

/// Names the request.
pub(crate) fn name(response: &mut Response<Body>, id: &RequestId) {
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
}
