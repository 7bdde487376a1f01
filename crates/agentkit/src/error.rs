//! Why something in AgentKit could not be done.

use crate::template::TemplateError;
use keystead_store::StoreError;
use keystead_types::{ErrorCode, FieldViolation, Internal, Reason};
use std::time::Duration;

/// A business reason, or an internal failure.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Fields of the request are wrong.
    #[error("the request is not valid: {}", first(.0))]
    Invalid(Vec<FieldViolation>),
    /// A page token of another list.
    #[error("page_token does not belong to this list; start again without it")]
    PageToken,
    /// No such connector.
    #[error("provider not found: {0}")]
    ProviderNotFound(String),
    /// The connector's name is taken.
    #[error("a provider named `{0}` exists already; choose another display name")]
    ProviderNameTaken(String),
    /// The connector still has connections.
    #[error("the provider is used by connections: {0}; delete them first")]
    ProviderInUse(String),
    /// Connections use a kind of authentication that was to be taken away.
    #[error(
        "the connection `{connection}` uses {kind}, which auth_patterns would no longer have; delete it first"
    )]
    AuthTypeInUse {
        /// Kind.
        kind: String,
        /// Name of a connection.
        connection: String,
    },
    /// No such connection.
    #[error("connection not found: {0}")]
    ConnectionNotFound(String),
    /// The connection's name is taken.
    #[error("a connection named `{0}` exists already; choose another key_id")]
    ConnectionNameTaken(String),
    /// The connection may not be used.
    #[error("connection disabled: `{0}` is switched off; enable it first")]
    ConnectionDisabled(String),
    /// The connection is a draft and may not be used.
    #[error("connection not enabled: `{name}` is a draft, {missing} is missing")]
    ConnectionDraft {
        /// Name.
        name: String,
        /// Setting.
        missing: &'static str,
    },
    /// The connection lacks a setting.
    #[error("the connection `{name}` is not configured completely: {missing} is missing")]
    ConnectionIncomplete {
        /// Name.
        name: String,
        /// Setting.
        missing: &'static str,
    },
    /// The connection still has accounts.
    #[error("the connection has {0} connected accounts; delete them first")]
    ConnectionInUse(u64),
    /// Somebody else changed it meanwhile.
    #[error("it was changed by somebody else meanwhile; read it again and repeat the change")]
    Conflict,
    /// The connection has a credential for each user.
    #[error("each user of the connection `{0}` has a credential of his own (USER)")]
    NotOrgWide(String),
    /// The account holds the credential that all users of a connection share.
    #[error("the account holds the credential that all users of the connection share; {0} instead")]
    SharedCredential(&'static str),
    /// Nothing names the account.
    #[error("connected account id or connector and identifier required")]
    NoAddress,
    /// No such account.
    #[error("connected account not found")]
    AccountNotFound,
    /// The owner has an account on the connection.
    #[error("a connected account of `{0}` exists already on this connection; update it instead")]
    AccountExists(String),
    /// Several accounts fit.
    #[error("ambiguous connected account: {0}; name one by id, or add organization_id or user_id")]
    Ambiguous(String),
    /// The account has no live credential.
    #[error("the connected account is not active: {status}{}; ask the user to authorize again", reason_suffix(.reason))]
    AccountNotActive {
        /// State word.
        status: &'static str,
        /// Why, may be empty.
        reason: String,
    },
    /// The credential is of another kind.
    #[error("the connection takes {expected} credentials")]
    AuthTypeMismatch {
        /// Kind of the connection.
        expected: &'static str,
    },
    /// The link or request is unknown, expired or used; which one is not told.
    #[error("auth request not found or no longer valid")]
    AuthRequestNotFound,
    /// Another user than the link was made for.
    #[error("identifier mismatch: the link was made for another user")]
    IdentifierMismatch,
    /// The verification URL is missing.
    #[error(
        "user_verify_url is required: the environment verifies users in your application; send it with the request"
    )]
    VerifyUrlMissing,
    /// The provider could not be asked for new tokens that somebody wanted now (AK-225).
    #[error("the token could not be refreshed: {0}; try again later")]
    RefreshFailed(String),
    /// The provider could not be asked.
    #[error("the provider's token endpoint is not available: {0}; try again later")]
    ProviderUnavailable(String),
    /// The provider did not begin the authorization (OAuth 1.0a).
    #[error("the provider did not begin the authorization: {0}")]
    ConsentNotStarted(String),
    /// Nothing to refresh.
    #[error("the connected account has nothing to refresh")]
    NothingToRefresh,
    /// A URL template could not be filled.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The provider's URL or path is not allowed.
    #[error("the target address is not allowed: {0}")]
    TargetNotAllowed(String),
    /// Raw calls are switched off.
    #[error("proxy not enabled for provider {0}")]
    ProxyDisabled(String),
    /// The local rate limit was hit.
    #[error("the rate limit of the connection was reached; try again in {0} s")]
    RateLimited(u64),
    /// Too many links were made for one user.
    #[error("too many links were made for this identifier; try again in {} s", .0.as_secs().max(1))]
    TooManyLinks(Duration),
    /// Not part of this version.
    #[error("{0} is not implemented yet")]
    Unsupported(&'static str),
    /// Infrastructure.
    #[error(transparent)]
    Internal(#[from] Internal),
}

impl Error {
    /// Whether the database could not do it now and may do it later.
    pub(crate) fn is_transient(&self) -> bool {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<StoreError>() {
                return error.is_transient();
            }
            cause = error.source();
        }
        false
    }
}

fn first(violations: &[FieldViolation]) -> String {
    violations.first().map_or_else(String::new, |violation| {
        format!("{} {}", violation.field, violation.description)
    })
}

fn reason_suffix(reason: &str) -> String {
    if reason.is_empty() {
        String::new()
    } else {
        format!(" ({reason})")
    }
}

impl Error {
    /// One wrong field.
    pub fn field(field: &str, description: &str) -> Self {
        Self::Invalid(vec![FieldViolation {
            field: field.to_owned(),
            description: description.to_owned(),
            constraint: "value".to_owned(),
        }])
    }
}

impl From<StoreError> for Error {
    #[track_caller]
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::PageToken => Self::PageToken,
            other => Self::Internal(Internal::new(other)),
        }
    }
}

impl Reason for Error {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Invalid(_) | Self::NoAddress => ErrorCode::InvalidArgument,
            Self::PageToken => ErrorCode::InvalidPageToken,
            Self::ProviderNotFound(_) => ErrorCode::ProviderNotFound,
            Self::ProviderNameTaken(_) | Self::ConnectionNameTaken(_) | Self::AccountExists(_) => {
                ErrorCode::AlreadyExists
            }
            Self::ProviderInUse(_)
            | Self::AuthTypeInUse { .. }
            | Self::ConnectionInUse(_)
            | Self::NotOrgWide(_)
            | Self::SharedCredential(_)
            | Self::VerifyUrlMissing
            | Self::NothingToRefresh => ErrorCode::FailedPrecondition,
            Self::ConnectionNotFound(_) => ErrorCode::ConnectionNotFound,
            Self::ConnectionDisabled(_) | Self::ConnectionDraft { .. } => {
                ErrorCode::ConnectionNotEnabled
            }
            Self::ConnectionIncomplete { .. } => ErrorCode::ConnectionIncomplete,
            Self::Conflict => ErrorCode::Aborted,
            Self::AccountNotFound => ErrorCode::ConnectedAccountNotFound,
            Self::Ambiguous(_) => ErrorCode::AmbiguousConnectedAccount,
            Self::AccountNotActive { .. } => ErrorCode::ConnectedAccountNotActive,
            Self::AuthTypeMismatch { .. } => ErrorCode::AuthTypeMismatch,
            Self::AuthRequestNotFound => ErrorCode::AuthRequestNotFound,
            Self::IdentifierMismatch => ErrorCode::IdentifierMismatch,
            Self::RefreshFailed(_) => ErrorCode::TokenRefreshFailed,
            Self::ProviderUnavailable(_) | Self::ConsentNotStarted(_) => {
                ErrorCode::UpstreamUnreachable
            }
            Self::Template(_) => ErrorCode::TemplateValueInvalid,
            Self::TargetNotAllowed(_) => ErrorCode::TargetNotAllowed,
            Self::ProxyDisabled(_) => ErrorCode::ProxyNotEnabled,
            Self::RateLimited(_) => ErrorCode::RateLimitedLocal,
            Self::TooManyLinks(_) => ErrorCode::RateLimited,
            Self::Unsupported(_) => ErrorCode::Unimplemented,
            Self::Internal(_) => ErrorCode::Internal,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited(seconds) => Some(Duration::from_secs(*seconds)),
            Self::TooManyLinks(wait) => Some(*wait),
            _ => None,
        }
    }

    fn violations(&self) -> Vec<FieldViolation> {
        match self {
            Self::Invalid(violations) => violations.clone(),
            _ => Vec::new(),
        }
    }
}

/// Answer of the use cases.
pub type Result<T> = std::result::Result<T, Error>;
