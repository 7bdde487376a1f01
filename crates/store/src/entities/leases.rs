//! Short exclusive rights by name, held by one task of one node at a time.

use crate::{AdminSql, Execute, Sql, StoreError, admin, admin_sql, sql};
use keystead_types::Timestamp;

/// A right that was taken. Pass it on to renew or release it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lease {
    /// What it is for; hold the environment in it when the thing belongs to one.
    pub name: String,
    /// Who has it: unique for each attempt, so that two tasks of a node exclude each other too.
    pub holder: String,
    /// Grows with every new holder of the name: a late holder is recognised by a smaller number.
    pub version: i64,
}

const ACQUIRE: Sql = sql!(
    "leases.acquire",
    "INSERT INTO leases (name, holder, version, expires_at) VALUES ($1, $2, 1, $3)
     ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, version = leases.version + 1,
         expires_at = excluded.expires_at
     WHERE leases.expires_at <= $4
     RETURNING version"
);
const RENEW: Sql = sql!(
    "leases.renew",
    "UPDATE leases SET expires_at = $4
     WHERE name = $1 AND holder = $2 AND version = $3 AND expires_at > $5"
);
const RELEASE: Sql = sql!(
    "leases.release",
    "UPDATE leases SET expires_at = $4
     WHERE name = $1 AND holder = $2 AND version = $3 AND expires_at > $4"
);
const PURGE: AdminSql = admin_sql!(
    "leases.purge",
    "DELETE FROM leases WHERE name IN (
         SELECT name FROM leases WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)"
);

pub(crate) const STATEMENTS: &[Sql] = &[ACQUIRE, RENEW, RELEASE];
pub(crate) const ADMIN_STATEMENTS: &[AdminSql] = &[PURGE];

/// Takes the lease until `until`; `None` when somebody has it. Commit before relying on it.
pub async fn acquire(
    tx: &mut impl Execute,
    name: &str,
    holder: &str,
    now: Timestamp,
    until: Timestamp,
) -> Result<Option<Lease>, StoreError> {
    let row = tx
        .fetch_optional(ACQUIRE, (name, holder, until, now))
        .await?;
    row.map(|row| {
        let (name, holder) = (name.to_owned(), holder.to_owned());
        row.get("version").map(|version| Lease {
            name,
            holder,
            version,
        })
    })
    .transpose()
}

/// Extends the lease to `until`; `false` when it had expired or was taken over.
pub async fn renew(
    tx: &mut impl Execute,
    lease: &Lease,
    now: Timestamp,
    until: Timestamp,
) -> Result<bool, StoreError> {
    let params = (&lease.name, &lease.holder, lease.version, until, now);
    Ok(tx.execute(RENEW, params).await? == 1)
}

/// Gives the lease back; `false` when it had expired or was taken over.
pub async fn release(
    tx: &mut impl Execute,
    lease: &Lease,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let params = (&lease.name, &lease.holder, lease.version, now);
    Ok(tx.execute(RELEASE, params).await? == 1)
}

/// Forgets at most `limit` leases that expired before `before`, and with them their version
/// numbers: leave a day. Gives how many.
pub async fn purge(tx: &mut admin::Tx, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
    tx.execute(PURGE, (before, limit)).await
}
