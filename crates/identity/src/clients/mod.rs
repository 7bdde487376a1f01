//! API clients of an environment and their secrets.

mod cache;
mod change;
mod create;
mod read;
mod secrets;
mod settings;

pub(crate) use cache::ClientCache;
pub use change::{UpdateClient, delete, update};
pub(crate) use create::insert_environment_client;
pub use create::{CreateClient, create};
pub use keystead_store::entities::clients::{ClientRow, ClientSecret, ClientType, SecretStatus};
pub use read::{environment_client, get, list};
pub(crate) use secrets::issue;
pub use secrets::{
    IssuedSecret, MAX_ACTIVE_SECRETS, create_secret, delete_secret, note_secret_uses,
    set_secret_status,
};
pub use settings::{ClientSettings, IpAllowlist};

use keystead_store::StoreError;
use keystead_types::{ErrorCode, FieldViolation, Internal, Reason};

/// A client with its settings read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Client {
    /// The stored columns.
    pub row: ClientRow,
    /// Everything else.
    pub settings: ClientSettings,
    /// Its secrets, oldest first.
    pub secrets: Vec<ClientSecret>,
}

/// What secrets are hashed for.
pub const SECRET_PURPOSE: &str = "client secret";

/// Lifetime of an access token in seconds, unless the client has its own (MC-280).
pub const DEFAULT_TOKEN_SECONDS: i64 = 86_400;

/// Why a request about clients failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such client in this environment.
    #[error("client not found")]
    NotFound,
    /// No such secret of this client.
    #[error("client secret not found")]
    SecretNotFound,
    /// Two secrets are active already.
    #[error(
        "a client can have {MAX_ACTIVE_SECRETS} active secrets; deactivate or delete one first"
    )]
    SecretLimit,
    /// A client keeps at least one secret: create the new one first.
    #[error("the last secret of a client cannot be deleted; create another one first")]
    LastSecret,
    /// The environment's own API client stays.
    #[error("the environment's own API client cannot be deleted")]
    EnvironmentClient,
    /// Public clients have no secret.
    #[error("a {} client has no secrets", .0.as_str())]
    PublicClient(ClientType),
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
            Self::NotFound | Self::SecretNotFound => ErrorCode::NotFound,
            Self::SecretLimit => ErrorCode::SecretLimitReached,
            Self::LastSecret | Self::EnvironmentClient => ErrorCode::FailedPrecondition,
            Self::PublicClient(_) | Self::Invalid(_) => ErrorCode::InvalidArgument,
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
        match error {
            StoreError::PageToken => Self::InvalidPageToken,
            error => Self::Internal(Internal::new(error)),
        }
    }
}
