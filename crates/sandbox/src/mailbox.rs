//! The mailbox of `dev`: mail that would have been sent, as pages and as JSON for tests.

use crate::pages::{page, problem};
use askama::Template;
use axum::{
    Json, Router,
    extract::{Path, Query, State},
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use http::{StatusCode, header};
use keystead_net::mail::{Mailbox, Received};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "mailbox.html")]
struct List {
    messages: Vec<Received>,
}

#[derive(Template)]
#[template(path = "message.html")]
struct Message {
    message: Received,
    links: Vec<String>,
}

#[derive(Deserialize)]
struct Filter {
    to: Option<String>,
}

/// Paths below `/sandbox/mailbox`.
pub(crate) fn router(mailbox: Mailbox) -> Router {
    Router::new()
        .route("/sandbox/mailbox", get(list))
        .route("/sandbox/mailbox/clear", post(clear))
        .route("/sandbox/mailbox/messages", get(list_json))
        .route("/sandbox/mailbox/messages/{id}", get(message_json))
        .route("/sandbox/mailbox/{id}", get(message))
        .route("/sandbox/mailbox/{id}/html", get(message_html))
        .with_state(mailbox)
}

async fn list(State(mailbox): State<Mailbox>) -> Response {
    page(&List {
        messages: mailbox.list(),
    })
}

/// `?to=` keeps the messages to one address; newest first.
async fn list_json(
    State(mailbox): State<Mailbox>,
    Query(filter): Query<Filter>,
) -> Json<Vec<Received>> {
    Json(match filter.to {
        Some(to) => mailbox.list_to(&to),
        None => mailbox.list(),
    })
}

async fn message_json(State(mailbox): State<Mailbox>, Path(id): Path<u64>) -> Response {
    mailbox.find(id).map_or_else(
        || StatusCode::NOT_FOUND.into_response(),
        |message| Json(message).into_response(),
    )
}

async fn message(State(mailbox): State<Mailbox>, Path(id): Path<u64>) -> Response {
    match mailbox.find(id) {
        Some(message) => page(&Message {
            links: links(&message.mail.text),
            message,
        }),
        None => problem(
            StatusCode::NOT_FOUND,
            "No such message",
            "It may have been dropped: the mailbox keeps the last 200.",
        ),
    }
}

/// The HTML part, for the frame of the message page.
///
/// SECURITY: the policy takes scripts, forms and the origin away from whatever a template produced.
async fn message_html(State(mailbox): State<Mailbox>, Path(id): Path<u64>) -> Response {
    const POLICY: &str = "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; \
                          style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'";
    match mailbox.find(id).and_then(|message| message.mail.html) {
        Some(html) => ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(html)).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn clear(State(mailbox): State<Mailbox>) -> Response {
    match mailbox.clear().await {
        Ok(()) => Redirect::to("/sandbox/mailbox").into_response(),
        Err(error) => {
            tracing::error!(%error, "the mailbox could not be cleared");
            problem(
                StatusCode::INTERNAL_SERVER_ERROR,
                "Not cleared",
                "The files of the mailbox could not be removed.",
            )
        }
    }
}

/// The web links of a text, so that the plain form of a mail can be followed too.
fn links(text: &str) -> Vec<String> {
    let words = text.split(|c: char| c.is_whitespace() || "<>\"'()".contains(c));
    let urls = words.filter(|word| word.starts_with("https://") || word.starts_with("http://"));
    urls.map(|word| word.trim_end_matches(['.', ',', ';']).to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::links;

    #[test]
    fn links_are_found_without_the_punctuation_around_them() {
        let text = "Open <https://a.test/x?y=1&z=2> or\nhttp://localhost:1/b. Not javascript:alert(1) or ftp://c.test.";
        assert_eq!(
            links(text),
            ["https://a.test/x?y=1&z=2", "http://localhost:1/b"]
        );
    }
}
