//! Environments: where each is served, and their life.

mod change;
mod create;
mod find;

pub use change::{delete, rename, update_domain};
pub(crate) use create::insert;
pub use create::{CreateEnvironment, create};
pub(crate) use find::EnvironmentCache;
pub use find::{Site, get, list};
pub use keystead_store::entities::environments::{
    AuthenticationMode, Environment, EnvironmentKind,
};

use keystead_store::StoreError;
use keystead_types::{ErrorCode, FieldViolation, Internal, Reason};

/// Why a request about environments failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such environment in this workspace.
    #[error("environment not found")]
    NotFound,
    /// Another environment is served at the domain.
    #[error("an environment with this domain already exists")]
    DuplicateDomain,
    /// The default environment is served at the installation's own address.
    #[error("the default environment cannot be deleted")]
    Default,
    /// A value is not acceptable.
    #[error("{} {}", .0.field, .0.description)]
    Invalid(FieldViolation),
    /// The page token was changed or belongs to another list.
    #[error("page_token does not belong to this list")]
    InvalidPageToken,
    /// Something broke on our side.
    #[error(transparent)]
    Internal(#[from] Internal),
}

impl Reason for Error {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotFound => ErrorCode::NotFound,
            Self::DuplicateDomain => ErrorCode::AlreadyExists,
            Self::Default => ErrorCode::FailedPrecondition,
            Self::Invalid(_) => ErrorCode::InvalidArgument,
            Self::InvalidPageToken => ErrorCode::InvalidPageToken,
            Self::Internal(_) => ErrorCode::Internal,
        }
    }

    fn violations(&self) -> Vec<FieldViolation> {
        match self {
            Self::Invalid(violation) => vec![violation.clone()],
            _ => Vec::new(),
        }
    }
}

impl From<StoreError> for Error {
    #[track_caller]
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::PageToken) {
            Self::InvalidPageToken
        } else if error.is_unique_violation(keystead_store::entities::environments::UNIQUE_DOMAIN) {
            Self::DuplicateDomain
        } else {
            Self::Internal(Internal::new(error))
        }
    }
}
