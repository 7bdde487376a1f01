//! The lease under which a credential is refreshed, and what a refresh leaves (AK-222, AK-224).

use super::{DueAccount, NewCredential};
use crate::{AdminSql, Execute, Fetch, Query, Sql, StoreError, Tx, admin_sql, sql};
use keystead_types::{ConnectedAccountId, Timestamp};

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
     WHERE env_id = $1 AND id = $2 AND credential_version = $3 AND lease_holder = $5
       AND status IN ('ACTIVE', 'EXPIRED')"
);
/// While somebody else holds the lease the refresh token may be on its way: it has to stay.
const REFRESH_REFUSED: Sql = sql!(
    "connected_accounts.refresh_refused",
    "UPDATE connected_accounts SET status = 'EXPIRED', status_reason = $4, refresh_due_at = NULL,
            refresh_failures = refresh_failures + 1, lease_holder = NULL, lease_until = NULL, updated_at = $5
     WHERE env_id = $1 AND id = $2 AND credential_version = $3 AND status IN ('ACTIVE', 'EXPIRED')
       AND (lease_holder IS NULL OR lease_holder = $6 OR lease_until < $5)"
);
const PUT_REFRESH_OFF: Sql = sql!(
    "connected_accounts.put_refresh_off",
    "UPDATE connected_accounts SET refresh_due_at = $4
     WHERE env_id = $1 AND id = $2 AND refresh_due_at IS NOT NULL AND refresh_due_at <= $3"
);
const REFRESH_DUE: AdminSql = admin_sql!(
    "connected_accounts.refresh_due",
    "SELECT env_id, id FROM connected_accounts WHERE refresh_due_at IS NOT NULL AND refresh_due_at <= $1
     ORDER BY refresh_due_at LIMIT $2"
);
const EXPIRE_ALL_LEASES: AdminSql = admin_sql!(
    "connected_accounts.expire_all_leases",
    "UPDATE connected_accounts SET lease_until = 0 WHERE lease_holder IS NOT NULL"
);
pub(crate) const STATEMENTS: &[Sql] = &[
    ACQUIRE_LEASE,
    TAKE_OVER_LEASE,
    REFRESHED,
    REFRESH_POSTPONED,
    REFRESH_REFUSED,
    PUT_REFRESH_OFF,
];
pub(crate) const ADMIN_STATEMENTS: &[AdminSql] = &[REFRESH_DUE, EXPIRE_ALL_LEASES];

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

/// Frees the lease of its holder after a transient failure and keeps the grant, which is refreshed
/// again from `until` on (AK-224).
pub async fn refresh_postponed(tx: &mut Tx, lease: &LeaseRequest<'_>) -> Result<bool, StoreError> {
    let params = (tx.env(), lease.id, lease.version, lease.until, lease.holder);
    Ok(tx.execute(REFRESH_POSTPONED, params).await? == 1)
}

/// A refresh that cannot succeed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused<'a> {
    /// Account.
    pub id: ConnectedAccountId,
    /// Version that was read.
    pub version: i64,
    /// Who had the lease; empty when nobody took one.
    pub holder: &'a str,
    /// For people.
    pub reason: &'a str,
}

/// Marks the account expired after a definitive failure (AK-224); `false` when the credential changed
/// meanwhile or somebody else holds a living lease.
pub async fn refresh_refused(
    tx: &mut Tx,
    refused: &Refused<'_>,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let Refused {
        id,
        version,
        holder,
        reason,
    } = *refused;
    let params = (tx.env(), id, version, reason, at, holder);
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

/// Accounts of all environments whose refresh is due, most urgent first.
pub async fn refresh_due(
    db: &mut impl Fetch<Statement = AdminSql>,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<DueAccount>, StoreError> {
    db.fetch_all_as(REFRESH_DUE, (now, limit)).await
}

/// Declares every lease over: a single-process installation was restarted.
pub async fn expire_all_leases(
    tx: &mut impl Execute<Statement = AdminSql>,
) -> Result<u64, StoreError> {
    tx.execute(EXPIRE_ALL_LEASES, ()).await
}
