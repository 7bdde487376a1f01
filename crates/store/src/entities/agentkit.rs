//! Smaller tables of AgentKit: history of accounts, call log, settings.

use crate::{Execute, Fetch, FromRow, Query, Row, Sql, StoreError, Tx, dialect::INSERT_CALLS, sql};
use keystead_types::{
    ConnectedAccountId, ConnectionId, EventId, ExecutionId, Timestamp, ToolCallId,
};

/// Something that happened to an account (AK-219).
#[derive(Clone, PartialEq, Debug)]
pub struct HistoryEntry {
    /// Id, also the order.
    pub id: EventId,
    /// What.
    pub kind: String,
    /// More, never a secret.
    pub detail: String,
    /// When.
    pub at: Timestamp,
}

/// One call made with an account (AK-601).
#[derive(Clone, PartialEq, Debug)]
pub struct ToolCall {
    /// Id of the row.
    pub id: ToolCallId,
    /// Id the caller got.
    pub execution_id: ExecutionId,
    /// `API`, `PROXY`, …
    pub source: String,
    /// Tool, or method and path.
    pub tool_name: String,
    /// Connector.
    pub provider: String,
    /// Connection.
    pub connection_id: ConnectionId,
    /// Its name.
    pub connection_name: String,
    /// Account.
    pub account_id: ConnectedAccountId,
    /// The developer's name for the user.
    pub identifier: String,
    /// `success`, `provider_error` or `platform_error`.
    pub status: String,
    /// The provider's answer, when there was one.
    pub http_status: Option<i64>,
    /// Reason of a failure.
    pub error_code: String,
    /// Microseconds.
    pub duration_micros: i64,
    /// Start.
    pub started_at: Timestamp,
}

const INSERT_HISTORY: Sql = sql!(
    "account_history.insert",
    "INSERT INTO account_history (env_id, account_id, id, kind, detail, at) VALUES ($1, $2, $3, $4, $5, $6)"
);
const LIST_HISTORY: Sql = sql!(
    "account_history.list",
    "SELECT * FROM account_history WHERE env_id = $1 AND account_id = $2 ORDER BY id DESC LIMIT $3"
);
const PURGE_HISTORY: Sql = sql!(
    "account_history.purge",
    "DELETE FROM account_history WHERE env_id = $1 AND (account_id, id) IN (
         SELECT account_id, id FROM account_history WHERE env_id = $1 AND at < $2 ORDER BY at LIMIT $3)"
);
const ANY_HISTORY_BEFORE: Sql = sql!(
    "account_history.any_before",
    "SELECT id FROM account_history WHERE env_id = $1 AND at < $2 LIMIT 1"
);
const PURGE_CALLS: Sql = sql!(
    "tool_calls.purge",
    "DELETE FROM tool_calls WHERE env_id = $1 AND id IN (
         SELECT id FROM tool_calls WHERE env_id = $1 AND started_at < $2 ORDER BY started_at LIMIT $3)"
);
const ANY_CALL_BEFORE: Sql = sql!(
    "tool_calls.any_before",
    "SELECT id FROM tool_calls WHERE env_id = $1 AND started_at < $2 LIMIT 1"
);
const LIST_CALLS: Sql = sql!(
    "tool_calls.list_of_account",
    "SELECT * FROM tool_calls WHERE env_id = $1 AND account_id = $2 ORDER BY id DESC LIMIT $3"
);
const FIND_SETTINGS: Sql = sql!(
    "agentkit_settings.find",
    "SELECT settings FROM agentkit_settings WHERE env_id = $1"
);
/// The first change makes the row; every other waits until this transaction ends.
const LOCK_SETTINGS: Sql = sql!(
    "agentkit_settings.lock",
    "INSERT INTO agentkit_settings (env_id, settings, updated_at) VALUES ($1, '{}', $2)
     ON CONFLICT (env_id) DO UPDATE SET updated_at = agentkit_settings.updated_at RETURNING settings"
);
const PUT_SETTINGS: Sql = sql!(
    "agentkit_settings.put",
    "UPDATE agentkit_settings SET settings = $2, updated_at = $3 WHERE env_id = $1"
);
pub(crate) const STATEMENTS: &[Sql] = &[
    INSERT_HISTORY,
    LIST_HISTORY,
    PURGE_HISTORY,
    ANY_HISTORY_BEFORE,
    PURGE_CALLS,
    ANY_CALL_BEFORE,
    LIST_CALLS,
    FIND_SETTINGS,
    LOCK_SETTINGS,
    PUT_SETTINGS,
];

impl FromRow for HistoryEntry {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get("id")?,
            kind: row.get("kind")?,
            detail: row.get("detail")?,
            at: row.get("at")?,
        })
    }
}

impl FromRow for ToolCall {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get("id")?,
            execution_id: row.get("execution_id")?,
            source: row.get("source")?,
            tool_name: row.get("tool_name")?,
            provider: row.get("provider")?,
            connection_id: row.get("connection_id")?,
            connection_name: row.get("connection_name")?,
            account_id: row.get("account_id")?,
            identifier: row.get("identifier")?,
            status: row.get("status")?,
            http_status: row.get("http_status")?,
            error_code: row.get("error_code")?,
            duration_micros: row.get("duration_micros")?,
            started_at: row.get("started_at")?,
        })
    }
}

struct Settings(serde_json::Value);

impl FromRow for Settings {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self(row.get("settings")?))
    }
}

/// Adds an entry to an account's history.
pub async fn insert_history(
    tx: &mut Tx,
    account: ConnectedAccountId,
    entry: &HistoryEntry,
) -> Result<(), StoreError> {
    let params = (
        tx.env(),
        account,
        entry.id,
        &entry.kind,
        &entry.detail,
        entry.at,
    );
    tx.execute(INSERT_HISTORY, params).await?;
    Ok(())
}

/// The newest entries of an account's history.
pub async fn list_history(
    db: &mut impl Query,
    account: ConnectedAccountId,
    limit: u32,
) -> Result<Vec<HistoryEntry>, StoreError> {
    let params = (db.env(), account, limit);
    db.fetch_all_as(LIST_HISTORY, params).await
}

/// Whether there are entries of history from before `before`.
pub async fn any_history_before(
    from: &mut impl Query,
    before: Timestamp,
) -> Result<bool, StoreError> {
    let row = from
        .fetch_optional(ANY_HISTORY_BEFORE, (from.env(), before))
        .await?;
    Ok(row.is_some())
}

/// Removes at most `limit` entries of history from before `before`; gives how many.
pub async fn purge_history(tx: &mut Tx, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
    tx.execute(PURGE_HISTORY, (tx.env(), before, limit)).await
}

/// Whether there are calls that began before `before`.
pub async fn any_call_before(from: &mut impl Query, before: Timestamp) -> Result<bool, StoreError> {
    let row = from
        .fetch_optional(ANY_CALL_BEFORE, (from.env(), before))
        .await?;
    Ok(row.is_some())
}

/// Removes at most `limit` calls that began before `before`; gives how many.
pub async fn purge_calls(tx: &mut Tx, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
    tx.execute(PURGE_CALLS, (tx.env(), before, limit)).await
}

/// Adds calls in one statement.
pub async fn insert_calls(tx: &mut Tx, calls: &[ToolCall]) -> Result<(), StoreError> {
    let rows = calls.iter().map(|call| {
        serde_json::json!([
            call.id.to_string(),
            call.execution_id.to_string(),
            call.source,
            call.tool_name,
            call.provider,
            call.connection_id.to_string(),
            call.connection_name,
            call.account_id.to_string(),
            call.identifier,
            call.status,
            call.http_status,
            call.error_code,
            call.duration_micros,
            call.started_at.as_micros(),
        ])
    });
    let params = (tx.env(), rows.collect::<serde_json::Value>());
    tx.execute(INSERT_CALLS, params).await?;
    Ok(())
}

/// The newest calls of an account.
pub async fn list_calls(
    db: &mut impl Query,
    account: ConnectedAccountId,
    limit: u32,
) -> Result<Vec<ToolCall>, StoreError> {
    let params = (db.env(), account, limit);
    db.fetch_all_as(LIST_CALLS, params).await
}

/// The AgentKit settings of the environment, when it has its own.
pub async fn find_settings(db: &mut impl Query) -> Result<Option<serde_json::Value>, StoreError> {
    let params = (db.env(),);
    let found: Option<Settings> = db.fetch_optional_as(FIND_SETTINGS, params).await?;
    Ok(found.map(|settings| settings.0))
}

/// The AgentKit settings of the environment, which nobody else changes until the transaction ends.
pub async fn lock_settings(
    tx: &mut Tx,
    at: Timestamp,
) -> Result<Option<serde_json::Value>, StoreError> {
    let params = (tx.env(), at);
    let found: Option<Settings> = tx.fetch_optional_as(LOCK_SETTINGS, params).await?;
    Ok(found.map(|settings| settings.0))
}

/// Replaces the settings that [`lock_settings`] gave.
pub async fn put_settings(
    tx: &mut Tx,
    settings: &serde_json::Value,
    at: Timestamp,
) -> Result<(), StoreError> {
    let params = (tx.env(), settings, at);
    tx.execute(PUT_SETTINGS, params).await?;
    Ok(())
}
