//! Grants that wait for the verification of their user (AK-321, AK-323).

use super::DueAccount;
use crate::{AdminSql, Execute, Fetch, FromRow, Query, Row, Sql, StoreError, Tx, admin_sql, sql};
use keystead_types::{ConnectedAccountId, Timestamp};

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
pub(crate) const STATEMENTS: &[Sql] = &[SET_PENDING_UNTIL, END_PENDING];
pub(crate) const ADMIN_STATEMENTS: &[AdminSql] = &[PENDING_LAPSED];

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

/// Accounts of all environments whose waiting grant was not verified in time, oldest first.
pub async fn pending_lapsed(
    db: &mut impl Fetch<Statement = AdminSql>,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<DueAccount>, StoreError> {
    db.fetch_all_as(PENDING_LAPSED, (now, limit)).await
}
