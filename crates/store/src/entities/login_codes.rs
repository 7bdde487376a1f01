//! Attempts to sign in to the dashboard with a code sent by e-mail.

use crate::{Execute, Sql, StoreError, sql};
use keystead_types::Timestamp;

/// A new attempt.
#[derive(Clone, Copy, Debug)]
pub struct NewLoginCode<'a> {
    /// Hash of the token that the browser keeps.
    pub attempt_hash: &'a [u8; 32],
    /// Address in the form that is compared.
    pub email_key: &'a str,
    /// Hash of the code that was mailed, or of something that nobody knows.
    pub code_hash: &'a [u8; 32],
    /// When it was asked for.
    pub created_at: Timestamp,
    /// From when on it is dead.
    pub expires_at: Timestamp,
}

/// What an attempt is checked against.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TriedLoginCode {
    /// Address in the form that is compared.
    pub email_key: String,
    /// Hash of the code that was mailed.
    pub code_hash: Vec<u8>,
}

const INSERT: Sql = sql!(
    "login_codes.insert",
    "INSERT INTO login_codes (attempt_hash, email_key, code_hash, tries, created_at, expires_at)
     VALUES ($1, $2, $3, 0, $4, $5)"
);
const TRY: Sql = sql!(
    "login_codes.try",
    "UPDATE login_codes SET tries = tries + 1
     WHERE attempt_hash = $1 AND used_at IS NULL AND expires_at > $2 AND tries < $3
     RETURNING email_key, code_hash"
);
const USE: Sql = sql!(
    "login_codes.use",
    "UPDATE login_codes SET used_at = $2 WHERE attempt_hash = $1 AND used_at IS NULL RETURNING email_key"
);
const PURGE: Sql = sql!(
    "login_codes.purge",
    "DELETE FROM login_codes WHERE attempt_hash IN (
         SELECT attempt_hash FROM login_codes WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)"
);

pub(crate) const STATEMENTS: &[Sql] = &[INSERT, TRY, USE, PURGE];

/// Adds an attempt.
pub async fn insert(tx: &mut impl Execute, new: &NewLoginCode<'_>) -> Result<(), StoreError> {
    let params = (
        new.attempt_hash,
        new.email_key,
        new.code_hash,
        new.created_at,
        new.expires_at,
    );
    tx.execute(INSERT, params).await?;
    Ok(())
}

/// Counts one try. `None` means unknown, expired, used or tried too often: the caller must not
/// tell which.
pub async fn try_code(
    tx: &mut impl Execute,
    attempt_hash: &[u8; 32],
    now: Timestamp,
    max_tries: i64,
) -> Result<Option<TriedLoginCode>, StoreError> {
    let row = tx
        .fetch_optional(TRY, (attempt_hash, now, max_tries))
        .await?;
    row.map(|row| {
        Ok(TriedLoginCode {
            email_key: row.get("email_key")?,
            code_hash: row.get("code_hash")?,
        })
    })
    .transpose()
}

/// Uses the attempt up; `false` when it was used already.
pub async fn use_up(
    tx: &mut impl Execute,
    attempt_hash: &[u8; 32],
    now: Timestamp,
) -> Result<bool, StoreError> {
    Ok(tx.fetch_optional(USE, (attempt_hash, now)).await?.is_some())
}

/// Removes at most `limit` attempts that expired before `before`; gives how many.
pub async fn purge(
    tx: &mut impl Execute,
    before: Timestamp,
    limit: u32,
) -> Result<u64, StoreError> {
    tx.execute(PURGE, (before, limit)).await
}
