use super::{
    flow::{ConnectError, Link},
    form::address,
};
use crate::view::{Action, Outcome, OutcomePage};
use http::StatusCode;

/// The page for a connected account (AK-312).
pub(super) fn connected() -> OutcomePage {
    OutcomePage {
        outcome: Outcome::Success,
        title: "Account connected".to_owned(),
        text: "You can close this window and go back to the application.".to_owned(),
        advice: String::new(),
        actions: Vec::new(),
        code: String::new(),
        reference: String::new(),
    }
}

/// Status and page of a failure. `reference` is a number that the log holds too; `link` is the one
/// this browser opened, if it is known.
pub(super) fn failed(
    error: &ConnectError,
    reference: String,
    link: Option<&Link>,
) -> (StatusCode, OutcomePage) {
    let (status, outcome, code, [title, text, advice]) = words(error);
    let page = OutcomePage {
        outcome,
        title,
        text,
        advice,
        actions: link
            .filter(|_| is_worth_another_try(error))
            .map(address)
            .map(|to| Action::link("Try again", to).primary())
            .into_iter()
            .collect(),
        code,
        reference,
    };
    (status, page)
}

/// Whether the same link can end better. When it is spent, its page says so.
const fn is_worth_another_try(error: &ConnectError) -> bool {
    match error {
        ConnectError::Provider { .. }
        | ConnectError::Exchange { .. }
        | ConnectError::InvalidState
        | ConnectError::Unreadable { .. }
        | ConnectError::TooManyRequests
        | ConnectError::Internal(_) => true,
        ConnectError::SessionExpired
        | ConnectError::Configuration { .. }
        | ConnectError::ConnectionUnavailable => false,
    }
}

/// Status, kind of page, code (AK-311), and: what happened, why, what to do.
fn words(error: &ConnectError) -> (StatusCode, Outcome, String, [String; 3]) {
    let page = |status, outcome, code: &str, words: [&str; 3]| {
        (status, outcome, code.to_owned(), words.map(str::to_owned))
    };
    match error {
        ConnectError::SessionExpired => page(
            StatusCode::GONE,
            Outcome::Stopped,
            "session_expired",
            [
                "This link no longer works",
                "Links to connect an account work once and for a limited time. This session expired or is invalid.",
                "Go back to the application and ask for a new link.",
            ],
        ),
        ConnectError::InvalidState => page(
            StatusCode::BAD_REQUEST,
            Outcome::Failure,
            "invalid_state",
            [
                "We could not match this answer",
                "The answer belongs to another browser, or it was used before. Nothing was changed.",
                "Open the link again in the same browser, and finish there.",
            ],
        ),
        ConnectError::Unreadable { description } => page(
            StatusCode::BAD_REQUEST,
            Outcome::Failure,
            "invalid_response",
            [
                "The service sent no answer that we can read",
                &format!(
                    "You came back, but {}. Nothing was changed.",
                    sentence(description)
                ),
                "Try again. If it keeps failing, tell the application's support the reference below.",
            ],
        ),
        ConnectError::Provider { code, provider } => refused(code, provider),
        ConnectError::Exchange {
            description,
            provider,
        } => page(
            StatusCode::BAD_GATEWAY,
            Outcome::Failure,
            "failed_to_exchange_token",
            [
                "The account was not connected",
                &format!(
                    "{provider} gave permission, but the last step failed: {}.",
                    sentence(description)
                ),
                "Try again. If it keeps failing, tell the application's support the reference below.",
            ],
        ),
        ConnectError::Configuration { description } => page(
            StatusCode::BAD_REQUEST,
            Outcome::Failure,
            "failed_to_exchange",
            [
                "The application is not set up completely",
                &format!(
                    "The account cannot be connected yet: {}.",
                    sentence(description)
                ),
                "Tell the application's support the reference below. You did nothing wrong.",
            ],
        ),
        ConnectError::ConnectionUnavailable => page(
            StatusCode::NOT_FOUND,
            Outcome::Failure,
            "connection_not_found",
            [
                "This connection is not available",
                "The application removed it or switched it off.",
                "Ask the application's support whether it will come back.",
            ],
        ),
        ConnectError::TooManyRequests => page(
            StatusCode::TOO_MANY_REQUESTS,
            Outcome::Stopped,
            "rate_limited",
            [
                "Too many tries",
                "This link or this address was used too often in a short time.",
                "Wait a minute and try again.",
            ],
        ),
        ConnectError::Internal(_) => page(
            StatusCode::INTERNAL_SERVER_ERROR,
            Outcome::Failure,
            "internal_error",
            [
                "Something went wrong on our side",
                "The account was not connected. Nothing you entered was lost elsewhere.",
                "Try again in a minute. If it keeps failing, tell support the reference below.",
            ],
        ),
    }
}

/// SECURITY: the provider's own text is not shown. Anyone can make a callback address with any text
/// and have a victim read it on our host.
fn refused(code: &str, provider: &str) -> (StatusCode, Outcome, String, [String; 3]) {
    let (outcome, code, why, what) = match code {
        "access_denied" => (
            Outcome::Stopped,
            "access_denied",
            format!("Permission was not given at {provider}. Nothing was changed."),
            "Try again, and allow access when you are asked.",
        ),
        "server_error" => (
            Outcome::Failure,
            "server_error",
            format!("{provider} reported a failure of its own."),
            "Try again in a few minutes.",
        ),
        "temporarily_unavailable" => (
            Outcome::Failure,
            "temporarily_unavailable",
            format!("{provider} is busy or under maintenance."),
            "Try again in a few minutes.",
        ),
        "invalid_scope" => (
            Outcome::Failure,
            "invalid_scope",
            format!("{provider} does not accept one of the permissions that were asked for."),
            "Tell the application's support: the connection's permissions need a change.",
        ),
        "unauthorized_client" => (
            Outcome::Failure,
            "unauthorized_client",
            format!("{provider} does not accept the application as a client."),
            "Tell the application's support: the connection's client needs a change.",
        ),
        "invalid_request" => (
            Outcome::Failure,
            "invalid_request",
            format!("{provider} did not accept the request."),
            "Tell the application's support the reference below.",
        ),
        _ => (
            Outcome::Failure,
            "provider_error",
            format!("{provider} did not give permission."),
            "Try again. If it keeps failing, tell the application's support the reference below.",
        ),
    };
    let title = "The account was not connected".to_owned();
    (
        StatusCode::BAD_REQUEST,
        outcome,
        code.to_owned(),
        [title, why, what.to_owned()],
    )
}

/// Without the final stop, so that it can stand inside a sentence.
fn sentence(text: &str) -> &str {
    text.trim().trim_end_matches('.')
}
