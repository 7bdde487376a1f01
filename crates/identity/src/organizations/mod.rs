//! Organizations: the customers of an application.

mod create;
mod delete;
mod read;
mod record;
mod rules;
mod update;

pub use create::{CreateOrganization, create};
pub use delete::{delete, lock};
pub use keystead_store::entities::organizations::Organization;
pub use read::{find, find_by_external_id, get, list, search};
pub use rules::MAX_EXTERNAL_ID_CHARS;
pub use update::{Patch, UpdateOrganization, update};

use keystead_store::{
    StoreError,
    entities::organizations::{UNIQUE_EXTERNAL_ID, UNIQUE_SLUG},
};
use keystead_types::{ErrorCode, FieldViolation, Internal, OrganizationId, Reason};
use std::collections::BTreeMap;

/// Key and value pairs of an organization, sorted by key.
pub type Metadata = BTreeMap<String, String>;

/// The name of the counter that holds how many organizations an environment has.
pub(crate) const COUNTER: &str = "organizations";

/// Which organization is meant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Selector {
    /// By our id.
    Id(OrganizationId),
    /// By the application's own id.
    ExternalId(String),
}

/// Why a request about organizations failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such organization in this environment.
    #[error("organization not found")]
    NotFound,
    /// Another organization has the external id.
    #[error("an organization with this external_id already exists")]
    DuplicateExternalId,
    /// Another organization has the slug.
    #[error("an organization with this slug already exists")]
    DuplicateSlug,
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
            // The official clients' tests want a bad request here, not a conflict (DR 4.1).
            Self::DuplicateExternalId | Self::DuplicateSlug | Self::Invalid(_) => {
                ErrorCode::InvalidArgument
            }
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
        if error.is_unique_violation(UNIQUE_EXTERNAL_ID) {
            Self::DuplicateExternalId
        } else if error.is_unique_violation(UNIQUE_SLUG) {
            Self::DuplicateSlug
        } else if matches!(error, StoreError::PageToken) {
            Self::InvalidPageToken
        } else {
            Self::Internal(Internal::new(error))
        }
    }
}

/// The metadata of an organization.
///
/// # Errors
/// When the stored text is not a JSON object of strings.
pub fn metadata(organization: &Organization) -> Result<Metadata, Internal> {
    serde_json::from_str(&organization.metadata).map_err(Internal::new)
}

/// The features of an organization in the order of the contract; `sso` and `dir_sync` are always
/// there (DR-012).
///
/// # Errors
/// When the stored text is not a JSON object of booleans.
pub fn features(organization: &Organization) -> Result<Vec<(String, bool)>, Internal> {
    let mut stored: BTreeMap<String, bool> =
        serde_json::from_str(&organization.features).map_err(Internal::new)?;
    let always = ["sso", "dir_sync"];
    let mut features: Vec<_> = always
        .map(|name| (name.to_owned(), stored.remove(name).unwrap_or(false)))
        .into();
    features.extend(stored);
    Ok(features)
}
