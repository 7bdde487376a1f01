//! Headers that every answer carries, whatever made it.

use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, header};

/// SECURITY: nothing from another host, no script at all, no inline style, no framing, and forms
/// only to ourselves. An injected tag could neither run nor send anything away.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const ALWAYS: &[(HeaderName, &str)] = &[
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
];

const OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const PERMISSIONS: HeaderName = HeaderName::from_static("permissions-policy");

/// Adds the headers. Only assets bring their own `Cache-Control`; pages are never stored, because
/// they hold tokens and other people's data (AgentKit specification 3.1).
pub(crate) async fn secure(mut response: Response) -> Response {
    let headers: &mut HeaderMap = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // `same-origin-allow-popups` keeps an application that opened the page as a popup in touch
    // with it, so that it notices the popup closing.
    headers.insert(OPENER, HeaderValue::from_static("same-origin-allow-popups"));
    headers.insert(
        PERMISSIONS,
        HeaderValue::from_static("camera=(), geolocation=(), microphone=(), payment=()"),
    );
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}
