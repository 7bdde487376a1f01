//! What all pages share: rendering, the style sheet, security headers.

use askama::Template;
use axum::{
    Router,
    response::{Html, IntoResponse, Redirect, Response},
    routing::get,
};
use http::{HeaderValue, StatusCode, header};

#[derive(Template)]
#[template(path = "index.html")]
struct Index;

#[derive(Template)]
#[template(path = "problem.html")]
struct Problem<'a> {
    title: &'a str,
    text: &'a str,
}

pub(crate) fn router() -> Router {
    Router::new()
        .route("/sandbox", get(async || Redirect::permanent("/sandbox/")))
        .route("/sandbox/", get(async || page(&Index)))
        .route("/sandbox/style.css", get(style))
}

/// Renders a page.
pub(crate) fn page(template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => Html(text).into_response(),
        Err(error) => {
            tracing::error!(%error, "a sandbox page could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// A page that says what is wrong and what to do.
pub(crate) fn problem(status: StatusCode, title: &str, text: &str) -> Response {
    (status, page(&Problem { title, text })).into_response()
}

/// Adds the headers every answer has. A route that set its own policy keeps it.
pub(crate) async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        // No form-action: a consent form ends with a redirect to the client.
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self'; frame-src 'self'; base-uri 'none'; frame-ancestors 'none'",
        ),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    response
}

async fn style() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::CACHE_CONTROL, "max-age=300"),
    ];
    (headers, include_str!("../templates/style.css")).into_response()
}
