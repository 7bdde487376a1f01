//! What a connection's state is told from (AK-109, AK-117).

use super::agentkit::ToolCall;
use crate::{FromRow, Query, Row, Sql, StoreError, sql};
use keystead_types::{ConnectionId, Timestamp};

/// How many rows have a value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tally {
    /// The value.
    pub value: String,
    /// Rows.
    pub total: u64,
}

impl FromRow for Tally {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            value: row.get("value")?,
            total: row.get("total")?,
        })
    }
}

const ACCOUNTS: Sql = sql!(
    "connection_health.accounts",
    "SELECT status AS value, COUNT(*) AS total FROM connected_accounts
     WHERE env_id = $1 AND connection_id = $2 GROUP BY status"
);
const SCOPES: Sql = sql!(
    "connection_health.scopes",
    "SELECT scopes AS value, COUNT(*) AS total FROM connected_accounts
     WHERE env_id = $1 AND connection_id = $2 AND status = 'ACTIVE' AND scope_selection IS NULL GROUP BY scopes"
);
const REFRESHES: Sql = sql!(
    "connection_health.refreshes",
    "SELECT h.kind AS value, COUNT(*) AS total
     FROM connected_accounts a JOIN account_history h ON h.env_id = a.env_id AND h.account_id = a.id
     WHERE a.env_id = $1 AND a.connection_id = $2 AND h.at >= $3
       AND h.kind IN ('connected_account.token_refresh_succeeded', 'connected_account.token_refresh_failed')
     GROUP BY h.kind"
);
const CALLS: Sql = sql!(
    "connection_health.calls",
    "SELECT * FROM tool_calls WHERE env_id = $1 AND connection_id = $2 AND started_at >= $3 ORDER BY id DESC LIMIT $4"
);
pub(crate) const STATEMENTS: &[Sql] = &[ACCOUNTS, SCOPES, REFRESHES, CALLS];

/// Accounts of a connection by state.
pub async fn accounts(
    db: &mut impl Query,
    connection: ConnectionId,
) -> Result<Vec<Tally>, StoreError> {
    let params = (db.env(), connection);
    db.fetch_all_as(ACCOUNTS, params).await
}

/// Active accounts by granted scopes (a JSON list each), without those whose user chose himself.
pub async fn scopes(
    db: &mut impl Query,
    connection: ConnectionId,
) -> Result<Vec<Tally>, StoreError> {
    let params = (db.env(), connection);
    db.fetch_all_as(SCOPES, params).await
}

/// Refreshes since a moment, by outcome: the kind of the history entry.
pub async fn refreshes(
    db: &mut impl Query,
    connection: ConnectionId,
    since: Timestamp,
) -> Result<Vec<Tally>, StoreError> {
    let params = (db.env(), connection, since);
    db.fetch_all_as(REFRESHES, params).await
}

/// The newest calls since a moment.
pub async fn calls(
    db: &mut impl Query,
    connection: ConnectionId,
    since: Timestamp,
    limit: u32,
) -> Result<Vec<ToolCall>, StoreError> {
    let params = (db.env(), connection, since, limit);
    db.fetch_all_as(CALLS, params).await
}
