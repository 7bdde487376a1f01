//! What a refused call means for the page that made it.

use crate::{failure::Failure, view::Form};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use keystead_proto::v1::errdetails::ErrorInfo;
use prost::Message;
use tonic::{Code, Status};

/// A page, or why there is none.
pub(crate) type Answer = Result<Response, Trouble>;

/// Why a page cannot be shown.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The session is over.
    SignIn,
    /// A page of its own.
    Failure(Failure),
    /// The call was refused for a reason the member can do something about.
    Refused(Refusal),
}

/// A refusal: what is wrong, and with which fields.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refusal {
    /// The server's words for the caller.
    pub(crate) message: String,
    /// Field of the request (its last name) and what is wrong with it.
    pub(crate) fields: Vec<(String, String)>,
}

/// `google.rpc.Status`, as carried in the trailers.
#[derive(Clone, PartialEq, Message)]
struct RichStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<prost_types::Any>,
}

fn error_info(status: &Status) -> ErrorInfo {
    let rich = RichStatus::decode(status.details()).unwrap_or_default();
    let packed = rich
        .details
        .iter()
        .find(|any| any.type_url.ends_with(".ErrorInfo"));
    packed
        .and_then(|any| ErrorInfo::decode(any.value.as_slice()).ok())
        .unwrap_or_default()
}

impl From<Status> for Trouble {
    fn from(status: Status) -> Self {
        let info = error_info(&status);
        let request = info
            .request_info
            .map(|info| info.request_id)
            .unwrap_or_default();
        match status.code() {
            Code::Unauthenticated => Self::SignIn,
            Code::PermissionDenied => {
                let missing = info
                    .resource_info
                    .map(|info| info.required_permissions)
                    .unwrap_or_default();
                Self::Failure(Failure::Forbidden(missing.join(", ")))
            }
            Code::NotFound => Self::Failure(Failure::Missing),
            Code::InvalidArgument
            | Code::AlreadyExists
            | Code::FailedPrecondition
            | Code::ResourceExhausted
            | Code::Aborted => {
                let violations = info
                    .validation_error_info
                    .map(|info| info.field_violations)
                    .unwrap_or_default();
                let name = |field: &str| field.rsplit('.').next().unwrap_or(field).to_owned();
                Self::Refused(Refusal {
                    message: status.message().to_owned(),
                    fields: violations
                        .into_iter()
                        .map(|wrong| (name(&wrong.field), wrong.description))
                        .collect(),
                })
            }
            Code::Unimplemented | Code::Unavailable => {
                tracing::warn!(%request, code = ?status.code(), "a service is not available");
                Self::Failure(Failure::Unavailable(request))
            }
            code => {
                tracing::error!(%request, ?code, reason = info.error_code, "a call of the dashboard failed");
                Self::Failure(Failure::Internal(request))
            }
        }
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl Trouble {
    /// Puts a refusal on the form it answers; any other trouble stays what it is.
    pub(crate) fn blame(self, form: &mut Form) -> Result<(), Self> {
        let Self::Refused(refusal) = self else {
            return Err(self);
        };
        let known = |name: &String| {
            form.entries.iter().any(
                |entry| matches!(entry, crate::view::Entry::Field(field) if field.name == *name),
            )
        };
        if refusal.fields.iter().any(|(name, _)| known(name)) {
            form.blame(refusal.fields);
        } else {
            form.error = capitalised(&refusal.message);
        }
        Ok(())
    }
}

/// The server's messages begin in lower case, as errors do in logs.
fn capitalised(message: &str) -> String {
    let mut letters = message.chars();
    letters.next().map_or_else(
        || "The change was refused. Check what you entered.".to_owned(),
        |first| first.to_uppercase().chain(letters).collect(),
    )
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        match self {
            Self::SignIn => crate::render::redirect(StatusCode::SEE_OTHER, "/dashboard/sign-in"),
            Self::Failure(failure) => failure.into_response(),
            Self::Refused(refusal) => {
                Failure::Refused(capitalised(&refusal.message)).into_response()
            }
        }
    }
}
