use crate::token_request::Method;
use keystead_types::Internal;
use serde_json::json;
use std::time::Duration;

/// Why a token request was refused, as RFC 6749 section 5.2 tells it.
#[derive(Debug, thiserror::Error)]
#[error("{error}: {description}")]
pub struct OauthError {
    error: &'static str,
    description: String,
    status: u16,
    basic: bool,
    retry_after: Option<Duration>,
    #[source]
    cause: Option<Internal>,
}

impl OauthError {
    fn new(status: u16, error: &'static str, description: impl Into<String>) -> Self {
        let description = description.into();
        Self {
            error,
            description,
            status,
            basic: false,
            retry_after: None,
            cause: None,
        }
    }

    /// The request itself is malformed (`invalid_request`).
    pub fn invalid_request(description: &str) -> Self {
        Self::new(400, "invalid_request", description)
    }

    /// The body is longer than [`crate::MAX_TOKEN_REQUEST_BYTES`] (MC-162).
    pub fn body_too_large() -> Self {
        Self::new(413, "invalid_request", "the body is too large")
    }

    pub(crate) fn unsupported_grant_type() -> Self {
        Self::new(
            400,
            "unsupported_grant_type",
            "only client_credentials is supported",
        )
    }

    pub(crate) fn unauthorized_client() -> Self {
        Self::new(
            400,
            "unauthorized_client",
            "the client may not use this grant",
        )
    }

    pub(crate) fn invalid_scope(scope: &str) -> Self {
        Self::new(
            400,
            "invalid_scope",
            format!("the client may not ask for the scope {scope:?}"),
        )
    }

    pub(crate) fn invalid_target() -> Self {
        Self::new(
            400,
            "invalid_target",
            "tokens for this audience are not issued here",
        )
    }

    pub(crate) fn access_denied() -> Self {
        Self::new(
            403,
            "access_denied",
            "the client may not be used from this address",
        )
    }

    // SECURITY: one text for an unknown client, a wrong secret and a revoked one, so that nobody
    // can find out which client ids exist.
    pub(crate) fn invalid_client(method: Method) -> Self {
        let basic = method == Method::Basic;
        Self {
            basic,
            ..Self::new(401, "invalid_client", "client authentication failed")
        }
    }

    pub(crate) fn too_many_failures(retry_after: Duration) -> Self {
        let refused = Self::new(
            429,
            "temporarily_unavailable",
            "too many failed attempts; wait and retry",
        );
        Self {
            retry_after: Some(retry_after),
            ..refused
        }
    }

    /// The `error` member.
    pub const fn error(&self) -> &'static str {
        self.error
    }

    /// The HTTP status.
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The JSON body.
    pub fn body(&self) -> String {
        json!({ "error": self.error, "error_description": self.description }).to_string()
    }

    /// The `WWW-Authenticate` header, when the client used HTTP Basic (MC-153).
    pub const fn www_authenticate(&self) -> Option<&'static str> {
        if self.basic {
            Some("Basic realm=\"oauth\"")
        } else {
            None
        }
    }

    /// The `Retry-After` header in whole seconds.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after.map(|wait| wait.as_secs().max(1))
    }

    /// The cause on our side, to be logged.
    pub const fn cause(&self) -> Option<&Internal> {
        self.cause.as_ref()
    }
}

/// A failure on our side is never told as `invalid_client`: clients would throw their credentials away.
impl From<Internal> for OauthError {
    fn from(cause: Internal) -> Self {
        let failed = Self::new(500, "server_error", "an internal error occurred");
        Self {
            cause: Some(cause),
            ..failed
        }
    }
}
