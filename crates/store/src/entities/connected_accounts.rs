//! Connected accounts and the lease under which their credential is refreshed (AK-200, AK-222).

use crate::{
    AdminSql, Execute, Fetch, FromRow, Query, Row, Sql, StoreError, Tx, Window, admin_sql,
    dialect::TOUCH_ACCOUNTS, sql,
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

/// Which accounts a list holds; empty texts match any.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccountFilter {
    /// Connections; none matches any.
    pub connections: Vec<ConnectionId>,
    /// Exact identifier.
    pub identifier: String,
    /// Exact organization.
    pub organization_id: String,
    /// Exact user.
    pub user_id: String,
    /// State, `PENDING_VERIFICATION` included.
    pub status: String,
    /// When the question is asked, since a waiting grant changes the state for a time.
    pub now: Timestamp,
    /// Part of identifier, connection name or connector.
    pub query: String,
    /// Only shared, or only own, credentials.
    pub is_org_wide: Option<bool>,
}

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
    "UPDATE connected_accounts SET updated_at = updated_at WHERE env_id = $1 AND id = $2 RETURNING *"
);
const MATCHING: Sql = sql!(
    "connected_accounts.matching",
    "SELECT * FROM connected_accounts
     WHERE env_id = $1 AND connection_id = $2 AND identifier = $3
       AND ($4 = '' OR organization_id = $4) AND ($5 = '' OR user_id = $5)
     ORDER BY id LIMIT 20"
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
/// A refresh may start only at the version that was read, when nobody else holds the lease.
const ACQUIRE_LEASE: Sql = sql!(
    "connected_accounts.acquire_lease",
    "UPDATE connected_accounts SET lease_holder = $4, lease_until = $5
     WHERE env_id = $1 AND id = $2 AND credential_version = $3 AND lease_holder IS NULL"
);
/// Takes a lease whose holder did not come back in time.
const TAKE_OVER_LEASE: Sql = sql!(
    "connected_accounts.take_over_lease",
    "UPDATE connected_accounts SET lease_holder = $4, lease_until = $5
     WHERE env_id = $1 AND id = $2 AND credential_version = $3 AND lease_holder IS NOT NULL AND lease_until < $6"
);
const REFRESHED: Sql = sql!(
    "connected_accounts.refreshed",
    "UPDATE connected_accounts SET status = 'ACTIVE', status_reason = '', scopes = $4, credential = $5,
            credential_version = credential_version + 1, token_expires_at = $6, refresh_due_at = $7,
            refresh_not_before = NULL, refresh_failures = 0, lease_holder = NULL, lease_until = NULL,
            last_refreshed_at = $8, updated_at = $8
     WHERE env_id = $1 AND id = $2 AND credential_version = $3 AND status IN ('ACTIVE', 'EXPIRED')"
);
const REFRESH_POSTPONED: Sql = sql!(
    "connected_accounts.refresh_postponed",
    "UPDATE connected_accounts SET refresh_failures = refresh_failures + 1, refresh_not_before = $4, refresh_due_at = $4,
            lease_holder = NULL, lease_until = NULL
     WHERE env_id = $1 AND id = $2 AND credential_version = $3"
);
const REFRESH_REFUSED: Sql = sql!(
    "connected_accounts.refresh_refused",
    "UPDATE connected_accounts SET status = 'EXPIRED', status_reason = $4, refresh_due_at = NULL,
            refresh_failures = refresh_failures + 1, lease_holder = NULL, lease_until = NULL, updated_at = $5
     WHERE env_id = $1 AND id = $2 AND credential_version = $3"
);
const PUT_REFRESH_OFF: Sql = sql!(
    "connected_accounts.put_refresh_off",
    "UPDATE connected_accounts SET refresh_due_at = $4
     WHERE env_id = $1 AND id = $2 AND refresh_due_at IS NOT NULL AND refresh_due_at <= $3"
);
const LIST: Sql = sql!(
    "connected_accounts.list",
    "SELECT a.* FROM connected_accounts a JOIN connections c ON c.env_id = a.env_id AND c.id = a.connection_id
     WHERE a.env_id = $1 AND a.id < $2
       AND ($3 = '' OR $3 LIKE '%,' || a.connection_id || ',%')
       AND ($4 = '' OR a.identifier = $4) AND ($5 = '' OR a.organization_id = $5) AND ($6 = '' OR a.user_id = $6)
       AND ($7 = '' OR CASE WHEN a.pending_until > $10 THEN 'PENDING_VERIFICATION' ELSE a.status END = $7)
       AND ($8 = '' OR LOWER(a.identifier) LIKE $8 ESCAPE '\\' OR c.key_id_lower LIKE $8 ESCAPE '\\' OR LOWER(c.provider_key) LIKE $8 ESCAPE '\\')
       AND ($9 = '' OR (a.is_org_wide AND $9 = 'yes') OR (NOT a.is_org_wide AND $9 = 'no'))
     ORDER BY a.id DESC LIMIT $11"
);
const LIST_BACK: Sql = sql!(
    "connected_accounts.list_back",
    "SELECT a.* FROM connected_accounts a JOIN connections c ON c.env_id = a.env_id AND c.id = a.connection_id
     WHERE a.env_id = $1 AND a.id > $2
       AND ($3 = '' OR $3 LIKE '%,' || a.connection_id || ',%')
       AND ($4 = '' OR a.identifier = $4) AND ($5 = '' OR a.organization_id = $5) AND ($6 = '' OR a.user_id = $6)
       AND ($7 = '' OR CASE WHEN a.pending_until > $10 THEN 'PENDING_VERIFICATION' ELSE a.status END = $7)
       AND ($8 = '' OR LOWER(a.identifier) LIKE $8 ESCAPE '\\' OR c.key_id_lower LIKE $8 ESCAPE '\\' OR LOWER(c.provider_key) LIKE $8 ESCAPE '\\')
       AND ($9 = '' OR (a.is_org_wide AND $9 = 'yes') OR (NOT a.is_org_wide AND $9 = 'no'))
     ORDER BY a.id LIMIT $11"
);
const COUNT: Sql = sql!(
    "connected_accounts.count",
    "SELECT COUNT(*) AS total FROM connected_accounts a JOIN connections c ON c.env_id = a.env_id AND c.id = a.connection_id
     WHERE a.env_id = $1
       AND ($2 = '' OR $2 LIKE '%,' || a.connection_id || ',%')
       AND ($3 = '' OR a.identifier = $3) AND ($4 = '' OR a.organization_id = $4) AND ($5 = '' OR a.user_id = $5)
       AND ($6 = '' OR CASE WHEN a.pending_until > $9 THEN 'PENDING_VERIFICATION' ELSE a.status END = $6)
       AND ($7 = '' OR LOWER(a.identifier) LIKE $7 ESCAPE '\\' OR c.key_id_lower LIKE $7 ESCAPE '\\' OR LOWER(c.provider_key) LIKE $7 ESCAPE '\\')
       AND ($8 = '' OR (a.is_org_wide AND $8 = 'yes') OR (NOT a.is_org_wide AND $8 = 'no'))"
);
const COUNT_OF_CONNECTION: Sql = sql!(
    "connected_accounts.count_of_connection",
    "SELECT COUNT(*) AS total FROM connected_accounts WHERE env_id = $1 AND connection_id = $2"
);
const REFRESH_DUE: AdminSql = admin_sql!(
    "connected_accounts.refresh_due",
    "SELECT env_id, id FROM connected_accounts WHERE refresh_due_at IS NOT NULL AND refresh_due_at <= $1
     ORDER BY refresh_due_at LIMIT $2"
);
/// The end of the last grant that can still be verified.
const SET_PENDING_UNTIL: Sql = sql!(
    "connected_accounts.set_pending_until",
    "UPDATE connected_accounts SET pending_until = (
         SELECT MAX(p.expires_at) FROM pending_grants p
         WHERE p.env_id = $1 AND p.account_id = $2 AND p.consumed_at IS NULL AND p.expires_at > $3 AND p.attempts < $4),
         updated_at = $3
     WHERE env_id = $1 AND id = $2
     RETURNING pending_until"
);
const END_PENDING: Sql = sql!(
    "connected_accounts.end_pending",
    "UPDATE connected_accounts SET pending_until = NULL, updated_at = $3
     WHERE env_id = $1 AND id = $2 AND pending_until IS NOT NULL AND pending_until <= $3"
);
const PENDING_LAPSED: AdminSql = admin_sql!(
    "connected_accounts.pending_lapsed",
    "SELECT env_id, id FROM connected_accounts WHERE pending_until IS NOT NULL AND pending_until <= $1
     ORDER BY pending_until LIMIT $2"
);
const EXPIRE_ALL_LEASES: AdminSql = admin_sql!(
    "connected_accounts.expire_all_leases",
    "UPDATE connected_accounts SET lease_until = 0 WHERE lease_holder IS NOT NULL"
);
pub(crate) const STATEMENTS: &[Sql] = &[
    INSERT,
    FIND,
    FIND_ORG_WIDE,
    LOCK,
    MATCHING,
    SET_CREDENTIAL,
    SET_STATUS,
    SET_PENDING_UNTIL,
    END_PENDING,
    SET_CONFIG,
    DISCONNECT,
    DELETE,
    ACQUIRE_LEASE,
    TAKE_OVER_LEASE,
    REFRESHED,
    REFRESH_POSTPONED,
    REFRESH_REFUSED,
    PUT_REFRESH_OFF,
    LIST,
    LIST_BACK,
    COUNT,
    COUNT_OF_CONNECTION,
];
pub(crate) const ADMIN_STATEMENTS: &[AdminSql] = &[REFRESH_DUE, PENDING_LAPSED, EXPIRE_ALL_LEASES];

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
pub async fn lock(tx: &mut Tx, id: ConnectedAccountId) -> Result<Option<AccountRow>, StoreError> {
    let params = (tx.env(), id);
    tx.fetch_optional_as(LOCK, params).await
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

struct PendingUntil(Option<Timestamp>);

impl FromRow for PendingUntil {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self(row.get("pending_until")?))
    }
}

/// Notes until when a grant waits for verification, after one came or was discarded; gives it.
/// Grants with `max_attempts` wrong tries do not count.
pub async fn set_pending_until(
    tx: &mut Tx,
    id: ConnectedAccountId,
    max_attempts: i64,
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let params = (tx.env(), id, now, max_attempts);
    let until: Option<PendingUntil> = tx.fetch_optional_as(SET_PENDING_UNTIL, params).await?;
    Ok(until.and_then(|until| until.0))
}

/// Forgets that a grant waited, when its time is over; `false` when it is not, or somebody else did.
pub async fn end_pending(
    tx: &mut Tx,
    id: ConnectedAccountId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let params = (tx.env(), id, now);
    Ok(tx.execute(END_PENDING, params).await? == 1)
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

/// A refresh lease: proof of being the only one who may send the refresh token of `version`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeaseRequest<'a> {
    /// Account.
    pub id: ConnectedAccountId,
    /// Version that was read.
    pub version: i64,
    /// Who asks.
    pub holder: &'a str,
    /// Until when others wait.
    pub until: Timestamp,
}

/// Takes the free lease; `false` when the version changed or somebody holds it.
pub async fn acquire_lease(tx: &mut Tx, lease: &LeaseRequest<'_>) -> Result<bool, StoreError> {
    let params = (tx.env(), lease.id, lease.version, lease.holder, lease.until);
    Ok(tx.execute(ACQUIRE_LEASE, params).await? == 1)
}

/// Takes a lease that ran out; `false` when it did not, or the version changed.
pub async fn take_over_lease(
    tx: &mut Tx,
    lease: &LeaseRequest<'_>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let params = (
        tx.env(),
        lease.id,
        lease.version,
        lease.holder,
        lease.until,
        now,
    );
    Ok(tx.execute(TAKE_OVER_LEASE, params).await? == 1)
}

/// Stores the tokens of a refresh of `version` and frees the lease; `false` when the credential
/// changed meanwhile, then nothing is written.
pub async fn refreshed(
    tx: &mut Tx,
    id: ConnectedAccountId,
    version: i64,
    new: &NewCredential,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let params = (
        tx.env(),
        id,
        version,
        &new.scopes,
        &new.sealed,
        new.expires_at,
        new.refresh_due_at,
        at,
    );
    Ok(tx.execute(REFRESHED, params).await? == 1)
}

/// Frees the lease after a transient failure and keeps the grant (AK-224).
pub async fn refresh_postponed(
    tx: &mut Tx,
    id: ConnectedAccountId,
    version: i64,
    not_before: Timestamp,
) -> Result<bool, StoreError> {
    let params = (tx.env(), id, version, not_before);
    Ok(tx.execute(REFRESH_POSTPONED, params).await? == 1)
}

/// Marks the account expired after a definitive failure (AK-224).
pub async fn refresh_refused(
    tx: &mut Tx,
    id: ConnectedAccountId,
    version: i64,
    reason: &str,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let params = (tx.env(), id, version, reason, at);
    Ok(tx.execute(REFRESH_REFUSED, params).await? == 1)
}

/// Makes an account that is due at `now` due at `until` instead.
pub async fn put_refresh_off(
    tx: &mut Tx,
    id: ConnectedAccountId,
    now: Timestamp,
    until: Timestamp,
) -> Result<(), StoreError> {
    let params = (tx.env(), id, now, until);
    tx.execute(PUT_REFRESH_OFF, params).await?;
    Ok(())
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

impl AccountFilter {
    fn connections_text(&self) -> String {
        if self.connections.is_empty() {
            return String::new();
        }
        let ids: Vec<String> = self.connections.iter().map(ToString::to_string).collect();
        format!(",{},", ids.join(","))
    }

    fn query_text(&self) -> String {
        if self.query.is_empty() {
            String::new()
        } else {
            super::contains_pattern(&self.query.to_lowercase())
        }
    }

    fn org_wide_text(&self) -> &'static str {
        match self.is_org_wide {
            None => "",
            Some(true) => "yes",
            Some(false) => "no",
        }
    }
}

/// The rows of a page, newest first.
pub async fn list(
    db: &mut impl Query,
    filter: &AccountFilter,
    window: &Window<'_>,
) -> Result<Vec<AccountRow>, StoreError> {
    let mut start = window.id::<ConnectedAccountId>();
    if start.is_empty() {
        // After every id, since digits sort before `~`.
        start.push_str("ca_~");
    }
    let params = (
        db.env(),
        start,
        filter.connections_text(),
        &filter.identifier,
        &filter.organization_id,
        &filter.user_id,
        &filter.status,
        filter.query_text(),
        filter.org_wide_text(),
        filter.now,
        window.limit(),
    );
    db.fetch_all_as(window.choose(LIST, LIST_BACK), params)
        .await
}

/// How many accounts the filter holds.
pub async fn count(db: &mut impl Query, filter: &AccountFilter) -> Result<u64, StoreError> {
    let params = (
        db.env(),
        filter.connections_text(),
        &filter.identifier,
        &filter.organization_id,
        &filter.user_id,
        &filter.status,
        filter.query_text(),
        filter.org_wide_text(),
        filter.now,
    );
    let total: Option<super::Total> = db.fetch_optional_as(COUNT, params).await?;
    Ok(total.map_or(0, |total| total.0))
}

/// How many accounts a connection has.
pub async fn count_of_connection(db: &mut impl Query, id: ConnectionId) -> Result<u64, StoreError> {
    let params = (db.env(), id);
    let total: Option<super::Total> = db.fetch_optional_as(COUNT_OF_CONNECTION, params).await?;
    Ok(total.map_or(0, |total| total.0))
}

/// Accounts of all environments whose refresh is due, most urgent first.
pub async fn refresh_due(
    db: &mut impl Fetch<Statement = AdminSql>,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<DueAccount>, StoreError> {
    db.fetch_all_as(REFRESH_DUE, (now, limit)).await
}

/// Accounts of all environments whose waiting grant was not verified in time, oldest first.
pub async fn pending_lapsed(
    db: &mut impl Fetch<Statement = AdminSql>,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<DueAccount>, StoreError> {
    db.fetch_all_as(PENDING_LAPSED, (now, limit)).await
}

/// Declares every lease over: a single-process installation was restarted.
pub async fn expire_all_leases(
    tx: &mut impl Execute<Statement = AdminSql>,
) -> Result<u64, StoreError> {
    tx.execute(EXPIRE_ALL_LEASES, ()).await
}
