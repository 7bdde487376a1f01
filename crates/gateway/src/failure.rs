//! How a call fails: one error in our own terms, shown as a gRPC status or as JSON over REST.
//!
//! Every status that leaves the server carries exactly one packed `ErrorInfo` with the request id
//! (clients read `error_code` from it, and older ones fail when the header is missing).

use crate::limits::RateFields;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use keystead_proto::v1::errdetails::{
    ErrorInfo, RequestInfo, ResourceInfo, ValidationErrorInfo, validation_error_info,
};
use keystead_types::{ErrorCode, FieldViolation};
use prost::Message;
use std::time::Duration;
use tonic::{Code, Status, metadata::MetadataMap};

pub(crate) const ERROR_INFO_URL: &str = "type.googleapis.com/scalekit.v1.errdetails.ErrorInfo";

/// `google.rpc.Status`: what `grpc-status-details-bin` holds.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RpcStatus {
    /// gRPC code.
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
    /// Text for the caller.
    #[prost(string, tag = "2")]
    pub(crate) message: String,
    /// Packed details.
    #[prost(message, repeated, tag = "3")]
    pub(crate) details: Vec<prost_types::Any>,
}

/// Why the gateway itself refuses a call.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Reason; decides the status.
    pub code: ErrorCode,
    /// Text for the caller, without secrets.
    pub message: String,
    /// Fields that broke a rule.
    pub violations: Vec<FieldViolation>,
    /// What the caller would have needed.
    pub required_permissions: Vec<String>,
    /// When to try again.
    pub retry_after: Option<Duration>,
    /// What is left of the rates that were counted.
    pub rate: Option<Box<RateFields>>,
}

impl Failure {
    /// With the code's own text.
    pub fn new(code: ErrorCode) -> Self {
        Self::because(code, code.default_message())
    }

    /// With a more precise text.
    pub fn because(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            violations: Vec::new(),
            required_permissions: Vec::new(),
            retry_after: None,
            rate: None,
        }
    }

    /// One field of the request is wrong.
    pub fn field(field: &str, description: impl Into<String>, constraint: &str) -> Self {
        Self::fields(vec![FieldViolation {
            field: field.to_owned(),
            description: description.into(),
            constraint: constraint.to_owned(),
        }])
    }

    /// Several fields of the request are wrong.
    pub fn fields(violations: Vec<FieldViolation>) -> Self {
        let texts: Vec<String> = violations
            .iter()
            .map(|violation| match violation.field.as_str() {
                "" => violation.description.clone(),
                field => format!("{field}: {}", violation.description),
            })
            .collect();
        Self {
            violations,
            ..Self::because(ErrorCode::InvalidArgument, texts.join("; "))
        }
    }

    /// The gRPC form.
    pub fn into_status(self, request_id: &str) -> Status {
        let grpc = self.code.grpc();
        let violations =
            self.violations
                .into_iter()
                .map(|violation| validation_error_info::FieldViolation {
                    field: violation.field,
                    description: violation.description,
                    constraint: violation.constraint,
                });
        let violations: Vec<_> = violations.collect();
        let info = ErrorInfo {
            error_code: self.code.as_str().to_owned(),
            request_info: Some(request_info(request_id)),
            validation_error_info: (!violations.is_empty()).then_some(ValidationErrorInfo {
                field_violations: violations,
            }),
            resource_info: (!self.required_permissions.is_empty()).then(|| ResourceInfo {
                required_permissions: self.required_permissions,
                ..ResourceInfo::default()
            }),
            ..ErrorInfo::default()
        };
        let mut status = with_info(
            Code::from_i32(grpc as i32),
            &self.message,
            &info,
            MetadataMap::new(),
        );
        if let Some(after) = self.retry_after {
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            status
                .metadata_mut()
                .insert("retry-after", seconds.max(1).into());
        }
        if let Some(rate) = self.rate {
            add_headers(&mut status, rate.headers());
        }
        status
    }
}

/// Adds headers to those that a status is sent with.
pub(crate) fn add_headers(status: &mut Status, more: HeaderMap) {
    if !more.is_empty() {
        let metadata = std::mem::take(status.metadata_mut());
        let mut headers = metadata.into_headers();
        headers.extend(more);
        *status.metadata_mut() = MetadataMap::from_headers(headers);
    }
}

fn request_info(request_id: &str) -> RequestInfo {
    RequestInfo {
        request_id: request_id.to_owned(),
        ..RequestInfo::default()
    }
}

fn with_info(code: Code, message: &str, info: &ErrorInfo, metadata: MetadataMap) -> Status {
    let packed = RpcStatus {
        code: code.into(),
        message: message.to_owned(),
        details: vec![prost_types::Any {
            type_url: ERROR_INFO_URL.to_owned(),
            value: info.encode_to_vec(),
        }],
    };
    Status::with_details_and_metadata(code, message, packed.encode_to_vec().into(), metadata)
}

/// The packed `ErrorInfo` of a status, if it has one.
pub(crate) fn error_info(status: &Status) -> Option<ErrorInfo> {
    let packed = RpcStatus::decode(status.details()).ok()?;
    let detail = packed
        .details
        .iter()
        .find(|detail| detail.type_url == ERROR_INFO_URL)?;
    ErrorInfo::decode(detail.value.as_slice()).ok()
}

/// The reason in a status, by its code's name; empty when it has none yet.
pub(crate) fn reason(status: &Status) -> String {
    error_info(status).map_or_else(String::new, |info| info.error_code)
}

/// Makes a handler's status fit to leave the server: one `ErrorInfo` with the request id, and no
/// text of an internal error that the handler did not choose for the caller.
pub(crate) fn complete(status: &Status, request_id: &str) -> Status {
    let known = error_info(status);
    let hidden = known.is_none()
        && matches!(
            status.code(),
            Code::Internal | Code::Unknown | Code::DataLoss
        );
    let mut info = known.unwrap_or_else(|| ErrorInfo {
        error_code: default_code(status.code()).as_str().to_owned(),
        ..ErrorInfo::default()
    });
    info.request_info
        .get_or_insert_with(|| request_info(request_id));
    let code = if hidden {
        Code::Internal
    } else {
        status.code()
    };
    let message = match status.message() {
        _ if hidden => ErrorCode::Internal.default_message(),
        _ if code == Code::Unimplemented => ErrorCode::Unimplemented.default_message(),
        "" => default_code(code).default_message(),
        text => text,
    };
    with_info(code, message, &info, status.metadata().clone())
}

/// The general reason that stands for a gRPC code.
pub(crate) fn default_code(code: Code) -> ErrorCode {
    let number = i32::from(code);
    let general = ErrorCode::ALL
        .iter()
        .copied()
        .find(|known| known.grpc() as i32 == number);
    general.unwrap_or(ErrorCode::Internal)
}

/// The REST form: HTTP status and JSON body.
pub(crate) fn to_http(status: &Status) -> (StatusCode, Bytes) {
    let details: Vec<serde_json::Value> = error_info(status)
        .and_then(|info| crate::transcode::output::error_info_json(&info))
        .into_iter()
        .collect();
    let body = serde_json::json!({
        "code": i32::from(status.code()),
        "message": status.message(),
        "details": details,
    });
    (http_status(status), Bytes::from(body.to_string()))
}

fn http_status(status: &Status) -> StatusCode {
    // One reason has a better HTTP status than its gRPC code would give.
    let too_large = ErrorCode::RequestTooLarge.as_str();
    if error_info(status).is_some_and(|info| info.error_code == too_large) {
        return StatusCode::PAYLOAD_TOO_LARGE;
    }
    StatusCode::from_u16(default_code(status.code()).grpc().http_status())
        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_carries_its_fields_permissions_and_request_id() {
        let failure = Failure {
            required_permissions: vec!["organizations:read".to_owned()],
            retry_after: Some(Duration::from_millis(1_200)),
            ..Failure::field("organization.display_name", "is too long", "string.max_len")
        };
        let status = failure.into_status("req_1");
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status.message(), "organization.display_name: is too long");
        assert_eq!(status.metadata().get("retry-after").unwrap(), "2");
        let info = error_info(&status).unwrap();
        assert_eq!(info.error_code, "INVALID_ARGUMENT");
        assert_eq!(info.request_info.unwrap().request_id, "req_1");
        assert_eq!(
            info.resource_info.unwrap().required_permissions,
            ["organizations:read"]
        );
        assert_eq!(
            info.validation_error_info.unwrap().field_violations[0].constraint,
            "string.max_len"
        );
    }

    #[test]
    fn a_status_without_details_gets_them_and_internal_texts_are_hidden() {
        let status = complete(&Status::internal("SELECT * FROM secrets"), "r");
        assert_eq!(status.message(), ErrorCode::Internal.default_message());
        assert_eq!(error_info(&status).unwrap().error_code, "INTERNAL");

        let status = complete(&Status::not_found("connection not found"), "r");
        assert_eq!(status.message(), "connection not found");
        assert_eq!(error_info(&status).unwrap().error_code, "NOT_FOUND");
    }

    #[test]
    fn details_of_the_handler_are_kept() {
        let given = Failure::because(ErrorCode::ConnectionNotFound, "connection not found")
            .into_status("inner");
        let status = complete(&given, "outer");
        let info = error_info(&status).unwrap();
        assert_eq!(info.error_code, "CONNECTION_NOT_FOUND");
        assert_eq!(info.request_info.unwrap().request_id, "inner");
    }

    #[test]
    fn rest_shows_code_message_and_typed_details() {
        let status = Failure::new(ErrorCode::RequestTooLarge).into_status("req_1");
        let (http, body) = to_http(&status);
        assert_eq!(http, StatusCode::PAYLOAD_TOO_LARGE);
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["code"], 8);
        assert_eq!(body["details"][0]["@type"], ERROR_INFO_URL);
        assert_eq!(body["details"][0]["error_code"], "REQUEST_TOO_LARGE");
        assert_eq!(body["details"][0]["request_info"]["request_id"], "req_1");
    }
}
