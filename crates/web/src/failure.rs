//! Failures that belong to no flow.

use crate::{
    Deps, render,
    view::{Action, Outcome, OutcomePage},
};
use axum::response::{Html, IntoResponse, Response};
use http::StatusCode;
use keystead_crypto::random_token;

/// Why a page cannot be shown.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The form did not come from a page of ours, or that page is too old.
    Forged,
    /// More was sent than any form needs.
    TooLarge,
    /// There is nothing here, and who asks may be anybody.
    NotFound,
    /// There is nothing here, and a member asks.
    Missing,
    /// The page exists but does not answer this method.
    WrongMethod,
    /// The member may not do this; holds what the contract says is missing.
    Forbidden(String),
    /// The server does not make the change; holds its reason.
    Refused(String),
    /// A service is not there yet or not now; holds the reference in the log.
    Unavailable(String),
    /// Something of ours failed; holds the reference in the log, if any.
    Internal(String),
}

/// A number for the log and the page. It is random and holds nothing.
pub(crate) fn reference(deps: &Deps) -> String {
    random_token(deps.rng.as_ref(), "", 9).expose().clone()
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let is_member = matches!(self, Self::Forbidden(_) | Self::Missing);
        let (status, title, text, advice, reference) = match self {
            Self::Forged => (
                StatusCode::FORBIDDEN,
                "This page is out of date",
                "The form was opened in another session or too long ago, so nothing was changed."
                    .to_owned(),
                "Go back, load the page again and send the form once more.",
                String::new(),
            ),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "That is too much",
                "The form holds more than 256 KiB, so nothing was saved.".to_owned(),
                "Go back and shorten what you entered.",
                String::new(),
            ),
            Self::NotFound => (
                StatusCode::NOT_FOUND,
                "There is nothing here",
                "The address is wrong, or what it named was deleted.".to_owned(),
                "Check the address, or go back to the application you came from.",
                String::new(),
            ),
            Self::Missing => (
                StatusCode::NOT_FOUND,
                "There is nothing here",
                "The address is wrong, or what it named was deleted.".to_owned(),
                "Check the address, or start from the overview.",
                String::new(),
            ),
            Self::WrongMethod => (
                StatusCode::METHOD_NOT_ALLOWED,
                "This address works differently",
                "It was opened in a way that it does not answer.".to_owned(),
                "Start again from the page before.",
                String::new(),
            ),
            Self::Forbidden(missing) => (
                StatusCode::FORBIDDEN,
                "You cannot do this",
                if missing.is_empty() {
                    "Your role in this workspace does not allow it.".to_owned()
                } else {
                    format!("Your role in this workspace lacks the permission {missing}.")
                },
                "Ask an administrator of the workspace for a role that has it.",
                String::new(),
            ),
            Self::Refused(reason) => (
                StatusCode::CONFLICT,
                "The change was not made",
                reason,
                "Go back, correct what the message names, and try again.",
                String::new(),
            ),
            Self::Unavailable(reference) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Not available right now",
                "The part of the server that answers this is not ready.".to_owned(),
                "Try again in a minute.",
                reference,
            ),
            Self::Internal(reference) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "Something went wrong on our side",
                "The page could not be shown.".to_owned(),
                "Try again in a minute. If it keeps failing, look for the reference in the server's log.",
                reference,
            ),
        };
        // Whoever is told to go back may be an end user, who has no dashboard.
        let start = !matches!(
            status,
            StatusCode::FORBIDDEN
                | StatusCode::NOT_FOUND
                | StatusCode::PAYLOAD_TOO_LARGE
                | StatusCode::METHOD_NOT_ALLOWED
        ) || is_member;
        let page = OutcomePage {
            outcome: Outcome::Failure,
            title: title.to_owned(),
            text,
            advice: advice.to_owned(),
            actions: start
                .then(|| Action::link("To the start page", "/dashboard"))
                .into_iter()
                .collect(),
            code: String::new(),
            reference,
        };
        match render::text(&page) {
            Ok(text) => (status, Html(text)).into_response(),
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}
