//! Connections (AK-100).

use crate::{Execute, FromRow, Query, Row, Sql, StoreError, Tx, Window, sql};
use keystead_types::{ConnectionId, Timestamp};

/// A row of `connections`.
#[derive(Clone, PartialEq, Debug)]
pub struct ConnectionRow {
    /// Id.
    pub id: ConnectionId,
    /// Name in code.
    pub key_id: String,
    /// Connector.
    pub provider_key: String,
    /// Kind of authentication.
    pub kind: String,
    /// How far it is configured.
    pub status: String,
    /// May be used.
    pub enabled: bool,
    /// Whose credential.
    pub auth_mode: String,
    /// JSON of what is not secret.
    pub settings: serde_json::Value,
    /// Sealed JSON of what is.
    pub secrets: Option<Vec<u8>>,
    /// Grows with every change.
    pub revision: i64,
    /// Creation.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

/// Unique index of the name.
pub const KEY_ID_INDEX: &str = "connections_key_id";

/// Which connections a list holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ConnectionFilter {
    /// Connector, exact.
    pub provider_key: Option<String>,
    /// Part of name or connector, lower case.
    pub query: Option<String>,
}

const INSERT: Sql = sql!(
    "connections.insert",
    "INSERT INTO connections (env_id, id, key_id, key_id_lower, provider_key, kind, status, enabled, auth_mode, settings, secrets, revision, created_at, updated_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 1, $12, $12)"
);
const UPDATE: Sql = sql!(
    "connections.update",
    "UPDATE connections SET key_id = $3, key_id_lower = $4, status = $5, enabled = $6, auth_mode = $7, settings = $8, secrets = $9,
            revision = revision + 1, updated_at = $10
     WHERE env_id = $1 AND id = $2 AND revision = $11"
);
const DELETE: Sql = sql!(
    "connections.delete",
    "DELETE FROM connections WHERE env_id = $1 AND id = $2"
);
const FIND: Sql = sql!(
    "connections.find",
    "SELECT * FROM connections WHERE env_id = $1 AND id = $2"
);
const FIND_BY_KEY_ID: Sql = sql!(
    "connections.find_by_key_id",
    "SELECT * FROM connections WHERE env_id = $1 AND key_id = $2"
);
const FIND_BY_KEY_ID_LOWER: Sql = sql!(
    "connections.find_by_key_id_lower",
    "SELECT * FROM connections WHERE env_id = $1 AND key_id_lower = $2 LIMIT 2"
);
const BY_PROVIDER: Sql = sql!(
    "connections.by_provider",
    "SELECT * FROM connections WHERE env_id = $1 AND provider_key = $2 ORDER BY id LIMIT 100"
);
const KINDS_OF_PROVIDER: Sql = sql!(
    "connections.kinds_of_provider",
    "SELECT kind, MIN(key_id) AS key_id FROM connections WHERE env_id = $1 AND provider_key = $2 GROUP BY kind ORDER BY kind"
);
const LIST: Sql = sql!(
    "connections.list",
    "SELECT * FROM connections
     WHERE env_id = $1 AND id > $2
       AND ($3 = '' OR provider_key = $3)
       AND ($4 = '' OR key_id_lower LIKE $4 ESCAPE '\\' OR LOWER(provider_key) LIKE $4 ESCAPE '\\')
     ORDER BY id LIMIT $5"
);
const LIST_BACK: Sql = sql!(
    "connections.list_back",
    "SELECT * FROM connections
     WHERE env_id = $1 AND id < $2
       AND ($3 = '' OR provider_key = $3)
       AND ($4 = '' OR key_id_lower LIKE $4 ESCAPE '\\' OR LOWER(provider_key) LIKE $4 ESCAPE '\\')
     ORDER BY id DESC LIMIT $5"
);
const COUNT: Sql = sql!(
    "connections.count",
    "SELECT COUNT(*) AS total FROM connections
     WHERE env_id = $1
       AND ($2 = '' OR provider_key = $2)
       AND ($3 = '' OR key_id_lower LIKE $3 ESCAPE '\\' OR LOWER(provider_key) LIKE $3 ESCAPE '\\')"
);
pub(crate) const STATEMENTS: &[Sql] = &[
    INSERT,
    UPDATE,
    DELETE,
    FIND,
    FIND_BY_KEY_ID,
    FIND_BY_KEY_ID_LOWER,
    BY_PROVIDER,
    KINDS_OF_PROVIDER,
    LIST,
    LIST_BACK,
    COUNT,
];

impl FromRow for ConnectionRow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get("id")?,
            key_id: row.get("key_id")?,
            provider_key: row.get("provider_key")?,
            kind: row.get("kind")?,
            status: row.get("status")?,
            enabled: row.get("enabled")?,
            auth_mode: row.get("auth_mode")?,
            settings: row.get("settings")?,
            secrets: row.get("secrets")?,
            revision: row.get("revision")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }
}

impl ConnectionFilter {
    fn params(&self) -> (String, String) {
        (
            self.provider_key.clone().unwrap_or_default(),
            self.query
                .as_deref()
                .map(super::contains_pattern)
                .unwrap_or_default(),
        )
    }
}

/// Adds a connection; a taken name breaks [`KEY_ID_INDEX`].
pub async fn insert(tx: &mut Tx, new: &ConnectionRow) -> Result<(), StoreError> {
    let params = (
        tx.env(),
        new.id,
        &new.key_id,
        new.key_id.to_lowercase(),
        &new.provider_key,
        &new.kind,
        &new.status,
        new.enabled,
        &new.auth_mode,
        &new.settings,
        &new.secrets,
        new.created_at,
    );
    tx.execute(INSERT, params).await?;
    Ok(())
}

/// Replaces a connection read at `row.revision`; `false` when it changed or went meanwhile.
pub async fn update(tx: &mut Tx, row: &ConnectionRow) -> Result<bool, StoreError> {
    let params = (
        tx.env(),
        row.id,
        &row.key_id,
        row.key_id.to_lowercase(),
        &row.status,
        row.enabled,
        &row.auth_mode,
        &row.settings,
        &row.secrets,
        row.updated_at,
        row.revision,
    );
    Ok(tx.execute(UPDATE, params).await? == 1)
}

/// Removes a connection; `false` when there is none.
pub async fn delete(tx: &mut Tx, id: ConnectionId) -> Result<bool, StoreError> {
    let params = (tx.env(), id);
    Ok(tx.execute(DELETE, params).await? == 1)
}

/// The connection of an id.
pub async fn find(
    db: &mut impl Query,
    id: ConnectionId,
) -> Result<Option<ConnectionRow>, StoreError> {
    let params = (db.env(), id);
    db.fetch_optional_as(FIND, params).await
}

/// The connection of a name: exact, else the only one that differs in case alone (AK-102).
pub async fn find_by_key_id(
    db: &mut impl Query,
    key_id: &str,
) -> Result<Option<ConnectionRow>, StoreError> {
    let params = (db.env(), key_id);
    if let Some(exact) = db.fetch_optional_as(FIND_BY_KEY_ID, params).await? {
        return Ok(Some(exact));
    }
    let params = (db.env(), key_id.to_lowercase());
    let mut similar: Vec<ConnectionRow> = db.fetch_all_as(FIND_BY_KEY_ID_LOWER, params).await?;
    Ok(if similar.len() == 1 {
        similar.pop()
    } else {
        None
    })
}

/// Connections of a connector (at most 100).
pub async fn by_provider(
    db: &mut impl Query,
    provider_key: &str,
) -> Result<Vec<ConnectionRow>, StoreError> {
    let params = (db.env(), provider_key);
    db.fetch_all_as(BY_PROVIDER, params).await
}

/// A kind of authentication that connections of a connector use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KindInUse {
    /// Kind.
    pub kind: String,
    /// Name of one of the connections.
    pub key_id: String,
}

impl FromRow for KindInUse {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            kind: row.get("kind")?,
            key_id: row.get("key_id")?,
        })
    }
}

/// The kinds that connections of a connector use.
pub async fn kinds_of_provider(
    db: &mut impl Query,
    provider_key: &str,
) -> Result<Vec<KindInUse>, StoreError> {
    let params = (db.env(), provider_key);
    db.fetch_all_as(KINDS_OF_PROVIDER, params).await
}

/// The rows of a page, oldest first.
pub async fn list(
    db: &mut impl Query,
    filter: &ConnectionFilter,
    window: &Window<'_>,
) -> Result<Vec<ConnectionRow>, StoreError> {
    let (provider, query) = filter.params();
    let start = window.id::<ConnectionId>();
    let params = (db.env(), start, provider, query, window.limit());
    db.fetch_all_as(window.choose(LIST, LIST_BACK), params)
        .await
}

/// How many connections the filter holds.
pub async fn count(db: &mut impl Query, filter: &ConnectionFilter) -> Result<u64, StoreError> {
    let (provider, query) = filter.params();
    let params = (db.env(), provider, query);
    let total: Option<super::Total> = db.fetch_optional_as(COUNT, params).await?;
    Ok(total.map_or(0, |total| total.0))
}
