//! Connected accounts (AK-200).

pub(crate) mod list;
pub(crate) mod pending;
pub(crate) mod refresh;

pub use list::{AccountFilter, count, count_of_connection, list};
pub use pending::{end_pending, pending_lapsed, set_pending_until};
pub use refresh::{
    LeaseRequest, Refused, acquire_lease, expire_all_leases, put_refresh_off, refresh_due,
    refresh_postponed, refresh_refused, refreshed, take_over_lease,
};

use crate::{
    Execute, Fetch, FromRow, Query, Row, Sql, StoreError, Tx, dialect::TOUCH_ACCOUNTS, sql,
};
use keystead_types::{ConnectedAccountId, ConnectionId, EnvironmentId, Timestamp};

/// A row of `connected_accounts`.
#[derive(Clone, PartialEq, Debug)]
pub struct AccountRow {
    /// Id.
    pub id: ConnectedAccountId,
    /// Connection.
    pub connection_id: ConnectionId,
    /// The developer's name for the user.
    pub identifier: String,
    /// Organization or empty.
    pub organization_id: String,
    /// User or empty.
    pub user_id: String,
    /// State.
    pub status: String,
    /// Why.
    pub status_reason: String,
    /// JSON.
    pub api_config: serde_json::Value,
    /// JSON.
    pub scope_selection: Option<serde_json::Value>,
    /// JSON list.
    pub scopes: serde_json::Value,
    /// Sealed credential.
    pub credential: Option<Vec<u8>>,
    /// Grows with every change of the credential.
    pub credential_version: i64,
    /// End of the access token.
    pub token_expires_at: Option<Timestamp>,
    /// When the background job refreshes.
    pub refresh_due_at: Option<Timestamp>,
    /// No refresh before.
    pub refresh_not_before: Option<Timestamp>,
    /// Failures in a row.
    pub refresh_failures: i64,
    /// Who refreshes.
    pub lease_holder: Option<String>,
    /// Until when others wait.
    pub lease_until: Option<Timestamp>,
    /// Last refresh.
    pub last_refreshed_at: Option<Timestamp>,
    /// Last use.
    pub last_used_at: Option<Timestamp>,
    /// Shared credential.
    pub is_org_wide: bool,
    /// Creation.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
    /// Until when a grant waits for verification, over the state that `status` names.
    pub pending_until: Option<Timestamp>,
}

/// Unique index of the owner.
pub const OWNER_INDEX: &str = "connected_accounts_owner";

/// Unique index of the credential that the users of a connection share (AK-241).
pub const ORG_WIDE_INDEX: &str = "connected_accounts_org_wide";

const INSERT: Sql = sql!(
    "connected_accounts.insert",
    "INSERT INTO connected_accounts (env_id, id, connection_id, identifier, organization_id, user_id, status, status_reason,
        api_config, scopes, credential, credential_version, token_expires_at, refresh_due_at, refresh_failures, is_org_wide,
        created_at, updated_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 0, $15, $16, $16)"
);
const FIND: Sql = sql!(
    "connected_accounts.find",
    "SELECT * FROM connected_accounts WHERE env_id = $1 AND id = $2"
);
const FIND_ORG_WIDE: Sql = sql!(
    "connected_accounts.find_org_wide",
    "SELECT * FROM connected_accounts WHERE env_id = $1 AND connection_id = $2 AND is_org_wide"
);
/// Changes nothing, but holds the row until the transaction ends.
const LOCK: Sql = sql!(
    "connected_accounts.lock",
    "UPDATE connected_accounts SET updated_at = updated_at WHERE env_id = $1 AND id = $2 AND removed_at IS NULL RETURNING *"
);
const LOCK_FOR_REMOVAL: Sql = sql!(
    "connected_accounts.lock_for_removal",
    "UPDATE connected_accounts SET updated_at = updated_at WHERE env_id = $1 AND id = $2 RETURNING *"
);
/// The one that belongs to nobody in particular comes first: it is meant when several match.
const MATCHING: Sql = sql!(
    "connected_accounts.matching",
    "SELECT * FROM connected_accounts
     WHERE env_id = $1 AND connection_id = $2 AND identifier = $3
       AND ($4 = '' OR organization_id = $4) AND ($5 = '' OR user_id = $5)
     ORDER BY CASE WHEN organization_id = '' AND user_id = '' THEN 0 ELSE 1 END, id LIMIT 20"
);
const SET_CREDENTIAL: Sql = sql!(
    "connected_accounts.set_credential",
    "UPDATE connected_accounts SET status = $3, status_reason = $4, scopes = $5, credential = $6,
            credential_version = credential_version + 1, token_expires_at = $7, refresh_due_at = $8,
            refresh_not_before = NULL, refresh_failures = 0, lease_holder = NULL, lease_until = NULL, updated_at = $9
     WHERE env_id = $1 AND id = $2"
);
const SET_STATUS: Sql = sql!(
    "connected_accounts.set_status",
    "UPDATE connected_accounts SET status = $3, status_reason = $4, updated_at = $5
     WHERE env_id = $1 AND id = $2"
);
const SET_CONFIG: Sql = sql!(
    "connected_accounts.set_config",
    "UPDATE connected_accounts SET api_config = $3, scope_selection = $4, updated_at = $5
     WHERE env_id = $1 AND id = $2"
);
const DISCONNECT: Sql = sql!(
    "connected_accounts.disconnect",
    "UPDATE connected_accounts SET status = 'DISCONNECTED', status_reason = '', scopes = '[]', credential = NULL,
            credential_version = credential_version + 1, token_expires_at = NULL, refresh_due_at = NULL,
            refresh_not_before = NULL, refresh_failures = 0, lease_holder = NULL, lease_until = NULL, updated_at = $3
     WHERE env_id = $1 AND id = $2"
);
const DELETE: Sql = sql!(
    "connected_accounts.delete",
    "DELETE FROM connected_accounts WHERE env_id = $1 AND id = $2"
);
pub(crate) const STATEMENTS: &[Sql] = &[
    INSERT,
    FIND,
    FIND_ORG_WIDE,
    LOCK,
    LOCK_FOR_REMOVAL,
    MATCHING,
    SET_CREDENTIAL,
    SET_STATUS,
    SET_CONFIG,
    DISCONNECT,
    DELETE,
];

impl FromRow for AccountRow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get("id")?,
            connection_id: row.get("connection_id")?,
            identifier: row.get("identifier")?,
            organization_id: row.get("organization_id")?,
            user_id: row.get("user_id")?,
            status: row.get("status")?,
            status_reason: row.get("status_reason")?,
            api_config: row.get("api_config")?,
            scope_selection: row.get("scope_selection")?,
            scopes: row.get("scopes")?,
            credential: row.get("credential")?,
            credential_version: row.get("credential_version")?,
            token_expires_at: row.get("token_expires_at")?,
            refresh_due_at: row.get("refresh_due_at")?,
            refresh_not_before: row.get("refresh_not_before")?,
            refresh_failures: row.get("refresh_failures")?,
            lease_holder: row.get("lease_holder")?,
            lease_until: row.get("lease_until")?,
            last_refreshed_at: row.get("last_refreshed_at")?,
            last_used_at: row.get("last_used_at")?,
            is_org_wide: row.get("is_org_wide")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
            pending_until: row.get("pending_until")?,
        })
    }
}

/// An account that background work has to look at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DueAccount {
    /// Environment.
    pub environment: EnvironmentId,
    /// Account.
    pub id: ConnectedAccountId,
}

impl FromRow for DueAccount {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            environment: row.get("env_id")?,
            id: row.get("id")?,
        })
    }
}

/// Adds an account; the same owner twice breaks [`OWNER_INDEX`].
pub async fn insert(tx: &mut Tx, new: &AccountRow) -> Result<(), StoreError> {
    let params = (
        tx.env(),
        new.id,
        new.connection_id,
        &new.identifier,
        &new.organization_id,
        &new.user_id,
        &new.status,
        &new.status_reason,
        &new.api_config,
        &new.scopes,
        &new.credential,
        new.credential_version,
        new.token_expires_at,
        new.refresh_due_at,
        new.is_org_wide,
        new.created_at,
    );
    tx.execute(INSERT, params).await?;
    Ok(())
}

/// The account of an id.
pub async fn find(
    db: &mut impl Query,
    id: ConnectedAccountId,
) -> Result<Option<AccountRow>, StoreError> {
    let params = (db.env(), id);
    db.fetch_optional_as(FIND, params).await
}

/// The account whose credential all users of a connection share (AK-241).
pub async fn find_org_wide(
    db: &mut impl Query,
    connection: ConnectionId,
) -> Result<Option<AccountRow>, StoreError> {
    let params = (db.env(), connection);
    db.fetch_optional_as(FIND_ORG_WIDE, params).await
}

/// The account of an id as it is now; nobody else changes it before the transaction ends. What is
/// made from the row and written back in the same transaction overwrites no other change.
///
/// SECURITY: `None` also for an account that will be removed ([`crate::account_removal::cut_off`]):
/// whoever makes an account live locks it first.
pub async fn lock(tx: &mut Tx, id: ConnectedAccountId) -> Result<Option<AccountRow>, StoreError> {
    let params = (tx.env(), id);
    tx.fetch_optional_as(LOCK, params).await
}

/// As [`lock`], also of an account that will be removed.
pub async fn lock_for_removal(
    tx: &mut Tx,
    id: ConnectedAccountId,
) -> Result<Option<AccountRow>, StoreError> {
    let params = (tx.env(), id);
    tx.fetch_optional_as(LOCK_FOR_REMOVAL, params).await
}

/// Accounts of a connection and identifier; empty organization or user matches any (AK-208).
pub async fn matching(
    db: &mut impl Query,
    connection: ConnectionId,
    identifier: &str,
    organization_id: &str,
    user_id: &str,
) -> Result<Vec<AccountRow>, StoreError> {
    let params = (db.env(), connection, identifier, organization_id, user_id);
    db.fetch_all_as(MATCHING, params).await
}

/// What a new credential changes.
#[derive(Clone, Debug)]
pub struct NewCredential {
    /// State afterwards.
    pub status: String,
    /// Granted scopes, JSON list.
    pub scopes: serde_json::Value,
    /// Sealed.
    pub sealed: Option<Vec<u8>>,
    /// End of the access token.
    pub expires_at: Option<Timestamp>,
    /// When the background job refreshes.
    pub refresh_due_at: Option<Timestamp>,
}

/// Stores a credential that came from outside a refresh; any running refresh loses its lease.
pub async fn set_credential(
    tx: &mut Tx,
    id: ConnectedAccountId,
    new: &NewCredential,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let params = (
        tx.env(),
        id,
        &new.status,
        "",
        &new.scopes,
        &new.sealed,
        new.expires_at,
        new.refresh_due_at,
        at,
    );
    Ok(tx.execute(SET_CREDENTIAL, params).await? == 1)
}

/// Changes the state alone.
pub async fn set_status(
    tx: &mut Tx,
    id: ConnectedAccountId,
    status: &str,
    reason: &str,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let params = (tx.env(), id, status, reason, at);
    Ok(tx.execute(SET_STATUS, params).await? == 1)
}

/// Changes the developer's settings and the user's choice of scopes.
pub async fn set_config(
    tx: &mut Tx,
    id: ConnectedAccountId,
    api_config: &serde_json::Value,
    scope_selection: Option<&serde_json::Value>,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let params = (tx.env(), id, api_config, scope_selection, at);
    Ok(tx.execute(SET_CONFIG, params).await? == 1)
}

/// Drops the credential and keeps the row (AK-214).
pub async fn disconnect(
    tx: &mut Tx,
    id: ConnectedAccountId,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let params = (tx.env(), id, at);
    Ok(tx.execute(DISCONNECT, params).await? == 1)
}

/// Removes the row and everything that hangs on it (AK-213).
pub async fn delete(tx: &mut Tx, id: ConnectedAccountId) -> Result<bool, StoreError> {
    let params = (tx.env(), id);
    Ok(tx.execute(DELETE, params).await? == 1)
}

/// Remembers when accounts were last used.
pub async fn touch(
    tx: &mut Tx,
    ids: &[ConnectedAccountId],
    at: Timestamp,
) -> Result<(), StoreError> {
    let ids: serde_json::Value = ids.iter().map(ToString::to_string).collect();
    let params = (tx.env(), ids, at);
    tx.execute(TOUCH_ACCOUNTS, params).await?;
    Ok(())
}
