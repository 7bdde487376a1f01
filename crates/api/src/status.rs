//! How a failure of a domain crate looks on the wire.

use keystead_proto::v1::errdetails::{ErrorInfo, ValidationErrorInfo, validation_error_info};
use keystead_types::{ErrorCode, Reason};
use prost::Message;
use tonic::{Code, Status};

/// `google.rpc.Status`: what `grpc-status-details-bin` holds.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<prost_types::Any>,
}

/// Makes the gRPC status of a failure, with exactly one `ErrorInfo` and the same text in both
/// places: the Python client drops the details when they differ. The gateway adds the request id.
///
/// A failure on our side is logged here with its cause; the caller learns nothing of it.
pub fn from_reason(reason: &dyn Reason) -> Status {
    if reason.code() == ErrorCode::Internal {
        tracing::error!(error = %reason, "a call failed on our side");
    }
    let violations: Vec<_> = reason
        .violations()
        .into_iter()
        .map(|violation| validation_error_info::FieldViolation {
            field: violation.field,
            description: violation.description,
            constraint: violation.constraint,
        })
        .collect();
    let validation = ValidationErrorInfo {
        field_violations: violations,
    };
    let info = ErrorInfo {
        error_code: reason.code().as_str().to_owned(),
        validation_error_info: (!validation.field_violations.is_empty()).then_some(validation),
        ..ErrorInfo::default()
    };
    let code = Code::from_i32(reason.code().grpc() as i32);
    let message = reason.message();
    let status = RpcStatus {
        code: code as i32,
        message: message.clone(),
        details: vec![prost_types::Any {
            type_url: "type.googleapis.com/scalekit.v1.errdetails.ErrorInfo".to_owned(),
            value: info.encode_to_vec(),
        }],
    };
    let mut status = Status::with_details(code, message, status.encode_to_vec().into());
    if let Some(wait) = reason.retry_after() {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        status
            .metadata_mut()
            .insert("retry-after", seconds.max(1).into());
    }
    status
}

/// A failure that has no type of its own.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Plain {
    code: ErrorCode,
    message: String,
}

impl Plain {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

impl Reason for Plain {
    fn code(&self) -> ErrorCode {
        self.code
    }
}

/// For `map_err`.
#[expect(clippy::needless_pass_by_value, reason = "what map_err gives")]
pub(crate) fn failed(reason: impl Reason) -> Status {
    from_reason(&reason)
}

/// An internal failure, for `map_err`.
#[expect(clippy::needless_pass_by_value, reason = "what map_err gives")]
pub(crate) fn internal(error: keystead_types::Internal) -> Status {
    tracing::error!(%error, "a call failed on our side");
    from_reason(&Plain::new(
        ErrorCode::Internal,
        ErrorCode::Internal.default_message(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use keystead_types::FieldViolation;

    #[derive(Debug, thiserror::Error)]
    #[error("nämé is too long")]
    struct TooLong;

    impl Reason for TooLong {
        fn code(&self) -> ErrorCode {
            ErrorCode::InvalidArgument
        }

        fn violations(&self) -> Vec<FieldViolation> {
            let [field, description, constraint] =
                ["name", "is too long", "string.max_len"].map(str::to_owned);
            vec![FieldViolation {
                field,
                description,
                constraint,
            }]
        }
    }

    /// DR 4.1: one ErrorInfo, and the details repeat code and text.
    #[test]
    fn the_details_repeat_the_status() {
        let status = from_reason(&TooLong);
        let details = RpcStatus::decode(status.details()).unwrap();
        assert_eq!(
            (details.code, details.message.as_str()),
            (3, status.message())
        );
        assert_eq!(details.details.len(), 1);
        let info = ErrorInfo::decode(details.details[0].value.as_slice()).unwrap();
        assert_eq!(info.error_code, "INVALID_ARGUMENT");
        assert_eq!(
            info.validation_error_info.unwrap().field_violations[0].field,
            "name"
        );
    }

    #[test]
    fn an_internal_failure_shows_nothing() {
        #[derive(Debug, thiserror::Error)]
        #[error("password of the database is hunter2")]
        struct Broken;
        impl Reason for Broken {
            fn code(&self) -> ErrorCode {
                ErrorCode::Internal
            }
        }
        let status = from_reason(&Broken);
        assert_eq!(status.message(), ErrorCode::Internal.default_message());
        assert!(!String::from_utf8_lossy(status.details()).contains("hunter2"));
    }
}
