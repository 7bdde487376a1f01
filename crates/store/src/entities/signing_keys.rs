//! Keys that sign access tokens, sealed by the environment's data key.

use super::text_enum::text_enum;
use crate::{Execute, FromRow, Query, Row, Sql, StoreError, Tx, sql};
use keystead_types::{SigningKeyId, Timestamp};

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
    "UPDATE signing_keys SET status = 'retiring', remove_after = $2 WHERE env_id = $1 AND status = 'active'"
);
const PROMOTE: Sql = sql!(
    "signing_keys.promote",
    "UPDATE signing_keys SET status = 'active', activated_at = $2 WHERE env_id = $1 AND status = 'next'"
);
const REMOVE: Sql = sql!(
    "signing_keys.remove",
    "DELETE FROM signing_keys WHERE env_id = $1 AND status = 'retiring' AND remove_after <= $2"
);

pub(crate) const STATEMENTS: &[Sql] = &[INSERT, LIST, RETIRE, PROMOTE, REMOVE];

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

/// Lets the next key sign from `now` on; the active one only verifies until `remove_after`.
pub async fn promote(
    tx: &mut Tx,
    now: Timestamp,
    remove_after: Timestamp,
) -> Result<(), StoreError> {
    let env = tx.env();
    tx.execute(RETIRE, (env, remove_after)).await?;
    tx.execute(PROMOTE, (env, now)).await?;
    Ok(())
}

/// Removes the keys that nothing valid was signed with.
pub async fn remove_retired(tx: &mut Tx, now: Timestamp) -> Result<(), StoreError> {
    let env = tx.env();
    tx.execute(REMOVE, (env, now)).await?;
    Ok(())
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
