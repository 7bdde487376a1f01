//! Answers made of views.

use crate::{cookies::Cookie, failure::Failure};
use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

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
