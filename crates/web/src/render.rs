//! Answers made of views.

use crate::{
    cookies::{Cookie, Tag},
    failure::Failure,
};
use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};

/// A page.
pub(crate) fn html(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => (status, Html(text)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page does not render");
            Failure::Internal(String::new()).into_response()
        }
    }
}

/// Sends the browser elsewhere.
pub(crate) fn redirect(status: StatusCode, to: &str) -> Response {
    match HeaderValue::from_str(to) {
        Ok(to) => (status, [(header::LOCATION, to)]).into_response(),
        Err(_) => Failure::Internal(String::new()).into_response(),
    }
}

/// Adds a cookie.
pub(crate) fn set_cookie(mut response: Response, cookie: Cookie, value: &str) -> Response {
    match cookie.set(value) {
        Some(header) => {
            response.headers_mut().append(header::SET_COOKIE, header);
            response
        }
        None => Failure::Internal(String::new()).into_response(),
    }
}

/// Adds the cookie of one flow or link to the answer to a request with `headers`.
pub(crate) fn set_tagged(
    mut response: Response,
    headers: &HeaderMap,
    cookie: Cookie,
    tag: Option<&Tag>,
    value: &str,
) -> Response {
    match tag.and_then(|tag| cookie.set_tagged(headers, tag, value)) {
        Some(lines) => {
            for line in lines {
                response.headers_mut().append(header::SET_COOKIE, line);
            }
            response
        }
        None => Failure::Internal(String::new()).into_response(),
    }
}
