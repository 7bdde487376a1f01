//! Data keys of an environment, wrapped by the root key.

use super::text_enum::text_enum;
use crate::{Execute, FromRow, Query, Row, Sql, StoreError, Tx, sql};
use keystead_types::Timestamp;

text_enum! {
    /// What a data key is used for.
    DataKeyStatus {
        /// Seals and opens: exactly one.
        Active = "active",
        /// Only opens.
        Deprecated = "deprecated",
    }
}

/// One wrapped data key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WrappedDataKey {
    /// Counts up from one.
    pub version: i64,
    /// The key, sealed by the root key.
    pub wrapped: Vec<u8>,
    /// What it is used for.
    pub status: DataKeyStatus,
    /// When it was made.
    pub created_at: Timestamp,
}

const INSERT: Sql = sql!(
    "data_keys.insert",
    "INSERT INTO data_keys (env_id, version, wrapped, status, created_at) VALUES ($1, $2, $3, $4, $5)"
);
const LIST: Sql = sql!(
    "data_keys.list",
    "SELECT * FROM data_keys WHERE env_id = $1 ORDER BY version DESC"
);

pub(crate) const STATEMENTS: &[Sql] = &[INSERT, LIST];

/// Adds a data key.
pub async fn insert(tx: &mut Tx, new: &WrappedDataKey) -> Result<(), StoreError> {
    let params = (
        tx.env(),
        new.version,
        new.wrapped.as_slice(),
        new.status.as_str(),
        new.created_at,
    );
    tx.execute(INSERT, params).await?;
    Ok(())
}

/// All data keys, newest first.
pub async fn list(db: &mut impl Query) -> Result<Vec<WrappedDataKey>, StoreError> {
    let env = db.env();
    db.fetch_all_as(LIST, (env,)).await
}

impl FromRow for WrappedDataKey {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            version: row.get("version")?,
            wrapped: row.get("wrapped")?,
            status: row.get("status")?,
            created_at: row.get("created_at")?,
        })
    }
}
