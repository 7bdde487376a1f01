//! What was done for an address of the dashboard's sign-in within a span of time.

use crate::{Execute, Sql, StoreError, sql};
use keystead_types::Timestamp;

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SignInAct {
    /// A code was asked for.
    Request,
    /// A code was tried.
    Try,
}

impl SignInAct {
    const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Try => "try",
        }
    }
}

/// Whose acts are counted together.
#[derive(Clone, Copy, Debug)]
pub struct SignInKey<'a> {
    /// Address in the form that is compared.
    pub email_key: &'a str,
    /// What is counted.
    pub act: SignInAct,
    /// Network of the visitor, or name of a known browser; empty for all networks together.
    pub network: &'a str,
}

/// A count with the act that was just added.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counted {
    /// Acts in this span.
    pub total: i64,
    /// When the span ends and counting starts afresh.
    pub ends_at: Timestamp,
}

// The row stays locked until the commit, so that acts at the same time are counted one by one.
const COUNT: Sql = sql!(
    "sign_in_limits.count",
    "INSERT INTO sign_in_limits (email_key, kind, network, total, ends_at) VALUES ($1, $2, $3, 1, $4)
     ON CONFLICT (email_key, kind, network) DO UPDATE SET
         total = CASE WHEN sign_in_limits.ends_at <= $5 THEN 1 ELSE sign_in_limits.total + 1 END,
         ends_at = CASE WHEN sign_in_limits.ends_at <= $5 THEN excluded.ends_at ELSE sign_in_limits.ends_at END
     RETURNING total, ends_at"
);
const TAKE_BACK: Sql = sql!(
    "sign_in_limits.take_back",
    "UPDATE sign_in_limits SET total = total - 1 WHERE email_key = $1 AND kind = $2 AND network = $3 AND total > 0"
);
const PURGE: Sql = sql!(
    "sign_in_limits.purge",
    "DELETE FROM sign_in_limits WHERE (email_key, kind, network) IN (
         SELECT email_key, kind, network FROM sign_in_limits WHERE ends_at <= $1 ORDER BY ends_at LIMIT $2)"
);

const FORGET: Sql = sql!(
    "sign_in_limits.forget",
    "DELETE FROM sign_in_limits WHERE email_key = $1"
);

pub(crate) const STATEMENTS: &[Sql] = &[COUNT, TAKE_BACK, PURGE, FORGET];

/// Counts one act, in a span that began before or else ends at `ends_at`.
pub async fn count(
    tx: &mut impl Execute,
    key: SignInKey<'_>,
    now: Timestamp,
    ends_at: Timestamp,
) -> Result<Counted, StoreError> {
    let params = (key.email_key, key.act.name(), key.network, ends_at, now);
    let row = tx.fetch_optional(COUNT, params).await?;
    let row = row.ok_or(StoreError::RowCount {
        statement: COUNT.name(),
        found: 0,
    })?;
    Ok(Counted {
        total: row.get("total")?,
        ends_at: row.get("ends_at")?,
    })
}

/// Takes an act back that was counted in the same transaction.
pub async fn take_back(tx: &mut impl Execute, key: SignInKey<'_>) -> Result<(), StoreError> {
    tx.execute(TAKE_BACK, (key.email_key, key.act.name(), key.network))
        .await?;
    Ok(())
}

/// Forgets every count of an address.
pub async fn forget(tx: &mut impl Execute, email_key: &str) -> Result<(), StoreError> {
    tx.execute(FORGET, (email_key,)).await?;
    Ok(())
}

/// Removes at most `limit` counts whose span ended before `before`; gives how many.
pub async fn purge(
    tx: &mut impl Execute,
    before: Timestamp,
    limit: u32,
) -> Result<u64, StoreError> {
    tx.execute(PURGE, (before, limit)).await
}
