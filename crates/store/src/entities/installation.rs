//! The one row about the installation itself.

use crate::{Execute, Fetch, FromRow, Row, Sql, StoreError, sql};
use keystead_types::{EnvironmentId, Timestamp};

/// What is known of the installation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InstallationRow {
    /// Tells whether a root key fits the data.
    pub root_key_fingerprint: String,
    /// The environment served at the base URL itself.
    pub default_environment: Option<EnvironmentId>,
}

/// Where a backup has the fingerprint.
pub(crate) const TABLE: &str = "installation";
pub(crate) const FINGERPRINT: &str = "root_key_fingerprint";

const INSERT: Sql = sql!(
    "installation.insert",
    "INSERT INTO installation (id, root_key_fingerprint, default_environment_id, created_at)
     VALUES (1, $1, $2, $3) ON CONFLICT DO NOTHING RETURNING id"
);
const GET: Sql = sql!(
    "installation.get",
    "SELECT root_key_fingerprint, default_environment_id FROM installation WHERE id = 1"
);

pub(crate) const STATEMENTS: &[Sql] = &[INSERT, GET];

/// Claims the empty database for this installation; `false` when another node was faster.
pub async fn insert(
    tx: &mut impl Execute,
    root_key_fingerprint: &str,
    default_environment: EnvironmentId,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let row = tx
        .fetch_optional(INSERT, (root_key_fingerprint, default_environment, at))
        .await?;
    Ok(row.is_some())
}

/// Finds the row; `None` in an empty database.
pub async fn find(db: &mut impl Fetch) -> Result<Option<InstallationRow>, StoreError> {
    db.fetch_optional_as(GET, ()).await
}

impl FromRow for InstallationRow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            root_key_fingerprint: row.get("root_key_fingerprint")?,
            default_environment: row.get("default_environment_id")?,
        })
    }
}
