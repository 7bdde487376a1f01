//! Keys that sign access tokens, sealed by the environment's data key.

use super::text_enum::text_enum;
use crate::{
    AdminSql, Execute, Fetch, FromRow, Query, Row, Sql, StoreError, Tx, admin, admin_sql, sql,
};
use keystead_types::{EnvironmentId, SigningKeyId, Timestamp};

text_enum! {
    /// Where a signing key stands in its life (MC-312).
    SigningKeyStatus {
        /// Published ahead of its use, because clients read the key set only once.
        Next = "next",
        /// Signs.
        Active = "active",
        /// Only verifies what it signed.
        Retiring = "retiring",
    }
}

/// One sealed signing key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SealedSigningKey {
    /// Its `kid`.
    pub id: SigningKeyId,
    /// PKCS#8, sealed.
    pub sealed: Vec<u8>,
    /// Where it stands.
    pub status: SigningKeyStatus,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it began to sign.
    pub activated_at: Option<Timestamp>,
    /// When nothing it signed is valid any more.
    pub remove_after: Option<Timestamp>,
}

// Two nodes may make the first keys at once: the partial unique indexes let one of them win.
const INSERT: Sql = sql!(
    "signing_keys.insert",
    "INSERT INTO signing_keys (env_id, id, sealed, status, created_at, activated_at)
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING"
);
const LIST: Sql = sql!(
    "signing_keys.list",
    "SELECT * FROM signing_keys WHERE env_id = $1 ORDER BY created_at, id"
);
const RETIRE: Sql = sql!(
    "signing_keys.retire",
    "UPDATE signing_keys SET status = 'retiring', remove_after = $3
     WHERE env_id = $1 AND id = $2 AND status = 'active'"
);
const PROMOTE: Sql = sql!(
    "signing_keys.promote",
    "UPDATE signing_keys SET status = 'active', activated_at = $2 WHERE env_id = $1 AND status = 'next'"
);
const REVOKE: Sql = sql!(
    "signing_keys.revoke",
    "DELETE FROM signing_keys WHERE env_id = $1 AND status IN ('active', 'retiring')"
);
const REMOVE: AdminSql = admin_sql!(
    "signing_keys.remove",
    "DELETE FROM signing_keys WHERE (env_id, id) IN (
         SELECT env_id, id FROM signing_keys WHERE status = 'retiring' AND remove_after <= $1 LIMIT $2)"
);
const DUE: AdminSql = admin_sql!(
    "signing_keys.due",
    "SELECT env_id FROM signing_keys WHERE status = 'active' AND activated_at <= $1
         AND env_id IN (SELECT id FROM environments WHERE deleted_at IS NULL) AND env_id > $2
     ORDER BY env_id LIMIT $3"
);

pub(crate) const STATEMENTS: &[Sql] = &[INSERT, LIST, RETIRE, PROMOTE, REVOKE];
pub(crate) const ADMIN_STATEMENTS: &[AdminSql] = &[REMOVE, DUE];

/// Adds a key unless another already stands where it would.
pub async fn insert(tx: &mut Tx, new: &SealedSigningKey) -> Result<(), StoreError> {
    let params = (
        tx.env(),
        new.id,
        new.sealed.as_slice(),
        new.status.as_str(),
        new.created_at,
        new.activated_at,
    );
    tx.execute(INSERT, params).await?;
    Ok(())
}

/// All keys, oldest first.
pub async fn list(db: &mut impl Query) -> Result<Vec<SealedSigningKey>, StoreError> {
    let env = db.env();
    db.fetch_all_as(LIST, (env,)).await
}

/// Lets the active key `former` only verify, until `remove_after`; `false` when it is not the active
/// one any more, because somebody else rotated the keys.
pub async fn retire(
    tx: &mut Tx,
    former: SigningKeyId,
    remove_after: Timestamp,
) -> Result<bool, StoreError> {
    let env = tx.env();
    Ok(tx.execute(RETIRE, (env, former, remove_after)).await? == 1)
}

/// Removes the active key and those that only verify, whatever they signed.
pub async fn revoke(tx: &mut Tx) -> Result<(), StoreError> {
    let env = tx.env();
    tx.execute(REVOKE, (env,)).await?;
    Ok(())
}

/// Lets the next key sign from `now` on; `false` when there is none. No key may be active.
pub async fn promote(tx: &mut Tx, now: Timestamp) -> Result<bool, StoreError> {
    let env = tx.env();
    Ok(tx.execute(PROMOTE, (env, now)).await? == 1)
}

/// Removes at most `limit` keys of all environments that nothing valid was signed with; gives how
/// many.
pub async fn remove_retired(
    tx: &mut admin::Tx,
    now: Timestamp,
    limit: u32,
) -> Result<u64, StoreError> {
    tx.execute(REMOVE, (now, limit)).await
}

/// Environments whose key has been signing since `activated_before`, in the order of their text,
/// after `after`. Start with the empty text.
pub async fn due(
    read: &mut admin::Read<'_>,
    activated_before: Timestamp,
    after: &str,
    limit: u32,
) -> Result<Vec<EnvironmentId>, StoreError> {
    let rows = read
        .fetch_all(DUE, (activated_before, after, limit))
        .await?;
    rows.iter().map(|row| row.get("env_id")).collect()
}

impl FromRow for SealedSigningKey {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get("id")?,
            sealed: row.get("sealed")?,
            status: row.get("status")?,
            created_at: row.get("created_at")?,
            activated_at: row.get("activated_at")?,
            remove_after: row.get("remove_after")?,
        })
    }
}
