//! Connectors made by the developer (AK-014).

use crate::{Execute, Fetch, FromRow, Query, Row, Sql, StoreError, Tx, sql};
use keystead_types::Timestamp;

/// A row of `custom_providers`.
#[derive(Clone, PartialEq, Debug)]
pub struct CustomProvider {
    /// Key with a `:` suffix.
    pub identifier: String,
    /// Lower-case name; unique.
    pub name_key: String,
    /// Name for people.
    pub display_name: String,
    /// Everything that is never filtered on, as JSON.
    pub document: serde_json::Value,
    /// Base URL.
    pub proxy_url: String,
    /// Whether raw calls may be proxied.
    pub proxy_enabled: bool,
    /// Creation.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

/// Unique index of the name.
pub const NAME_INDEX: &str = "custom_providers_name";

const INSERT: Sql = sql!(
    "custom_providers.insert",
    "INSERT INTO custom_providers (env_id, identifier, name_key, display_name, document, proxy_url, proxy_enabled, created_at, updated_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)"
);
const UPDATE: Sql = sql!(
    "custom_providers.update",
    "UPDATE custom_providers SET name_key = $3, display_name = $4, document = $5, proxy_url = $6, proxy_enabled = $7, updated_at = $8
     WHERE env_id = $1 AND identifier = $2"
);
const DELETE: Sql = sql!(
    "custom_providers.delete",
    "DELETE FROM custom_providers WHERE env_id = $1 AND identifier = $2"
);
const FIND: Sql = sql!(
    "custom_providers.find",
    "SELECT * FROM custom_providers WHERE env_id = $1 AND identifier = $2"
);
/// Changes nothing, but holds the row until the transaction ends.
const LOCK: Sql = sql!(
    "custom_providers.lock",
    "UPDATE custom_providers SET updated_at = updated_at WHERE env_id = $1 AND identifier = $2 RETURNING *"
);
const LIST: Sql = sql!(
    "custom_providers.list",
    "SELECT * FROM custom_providers WHERE env_id = $1 ORDER BY display_name, identifier LIMIT 1000"
);
pub(crate) const STATEMENTS: &[Sql] = &[INSERT, UPDATE, DELETE, FIND, LOCK, LIST];

impl FromRow for CustomProvider {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            identifier: row.get("identifier")?,
            name_key: row.get("name_key")?,
            display_name: row.get("display_name")?,
            document: row.get("document")?,
            proxy_url: row.get("proxy_url")?,
            proxy_enabled: row.get("proxy_enabled")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }
}

/// Adds a connector; a taken name breaks [`NAME_INDEX`].
pub async fn insert(tx: &mut Tx, new: &CustomProvider) -> Result<(), StoreError> {
    let params = (
        tx.env(),
        &new.identifier,
        &new.name_key,
        &new.display_name,
        &new.document,
        &new.proxy_url,
        new.proxy_enabled,
        new.created_at,
    );
    tx.execute(INSERT, params).await?;
    Ok(())
}

/// Replaces a connector; `false` when there is none.
pub async fn update(tx: &mut Tx, row: &CustomProvider) -> Result<bool, StoreError> {
    let params = (
        tx.env(),
        &row.identifier,
        &row.name_key,
        &row.display_name,
        &row.document,
        &row.proxy_url,
        row.proxy_enabled,
        row.updated_at,
    );
    Ok(tx.execute(UPDATE, params).await? == 1)
}

/// Removes a connector; `false` when there is none.
pub async fn delete(tx: &mut Tx, identifier: &str) -> Result<bool, StoreError> {
    let params = (tx.env(), identifier);
    Ok(tx.execute(DELETE, params).await? == 1)
}

/// The connector of an identifier.
pub async fn find(
    db: &mut impl Query,
    identifier: &str,
) -> Result<Option<CustomProvider>, StoreError> {
    let params = (db.env(), identifier);
    db.fetch_optional_as(FIND, params).await
}

/// The connector of an identifier, which nobody else changes until the transaction ends.
pub async fn lock(tx: &mut Tx, identifier: &str) -> Result<Option<CustomProvider>, StoreError> {
    let params = (tx.env(), identifier);
    tx.fetch_optional_as(LOCK, params).await
}

/// All connectors of the environment (at most 1,000), by name.
pub async fn list(db: &mut impl Query) -> Result<Vec<CustomProvider>, StoreError> {
    let params = (db.env(),);
    db.fetch_all_as(LIST, params).await
}
