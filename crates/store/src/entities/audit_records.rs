//! Audit records: appended to a lane of the environment, never changed. `events` links them.

use crate::{Execute, Fetch, FromRow, Query, Row, Sql, StoreError, Tx, sql};
use keystead_types::{AuditId, Timestamp};

/// A stored record. The texts are kept exactly as they were hashed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditRow {
    /// Chain it is in.
    pub lane: u32,
    /// Place in the chain, from 1.
    pub sequence: i64,
    /// Its id.
    pub id: AuditId,
    /// Who.
    pub actor: String,
    /// Did what.
    pub action: String,
    /// To what.
    pub target: String,
    /// How it ended.
    pub outcome: String,
    /// JSON text.
    pub detail: String,
    /// In which request.
    pub request_id: String,
    /// When.
    pub occurred_at: Timestamp,
    /// Hash of the record before; zeros for the first.
    pub previous_hash: [u8; 32],
    /// Hash of this record, the one before included.
    pub hash: [u8; 32],
}

/// End of a lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AuditHead {
    /// Chain.
    pub lane: u32,
    /// Its last record.
    pub sequence: i64,
    /// Hash of its last record.
    pub hash: [u8; 32],
}

// The first writer makes the row; PostgreSQL keeps it locked until the commit.
const LOCK_HEAD: Sql = sql!(
    "audit_records.lock_head",
    "INSERT INTO audit_heads (env_id, lane, sequence, hash) VALUES ($1, $2, 1, $3)
     ON CONFLICT (env_id, lane) DO UPDATE SET sequence = audit_heads.sequence + 1
     RETURNING sequence, hash"
);
const MOVE_HEAD: Sql = sql!(
    "audit_records.move_head",
    "UPDATE audit_heads SET hash = $3 WHERE env_id = $1 AND lane = $2"
);
const INSERT: Sql = sql!(
    "audit_records.insert",
    "INSERT INTO audit_records (env_id, lane, sequence, id, actor, action, target, outcome, detail, request_id,
         occurred_at, previous_hash, hash)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
);
const HEADS: Sql = sql!(
    "audit_records.heads",
    "SELECT lane, sequence, hash FROM audit_heads WHERE env_id = $1 ORDER BY lane"
);
const CHAIN: Sql = sql!(
    "audit_records.chain",
    "SELECT * FROM audit_records WHERE env_id = $1 AND lane = $2 AND sequence > $3 ORDER BY sequence LIMIT $4"
);
const LATEST: Sql = sql!(
    "audit_records.latest",
    "SELECT * FROM audit_records
     WHERE env_id = $1 AND (occurred_at, id) < ($2, $3) ORDER BY occurred_at DESC, id DESC LIMIT $4"
);
const STRAY: Sql = sql!(
    "audit_records.stray",
    "SELECT count(*) AS records FROM audit_records
     WHERE env_id = $1 AND NOT EXISTS (SELECT 1 FROM audit_heads
         WHERE audit_heads.env_id = audit_records.env_id AND audit_heads.lane = audit_records.lane
           AND audit_heads.sequence >= audit_records.sequence)"
);

pub(crate) const STATEMENTS: &[Sql] = &[LOCK_HEAD, MOVE_HEAD, INSERT, HEADS, CHAIN, LATEST, STRAY];

impl FromRow for AuditRow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            lane: row.get("lane")?,
            sequence: row.get("sequence")?,
            id: row.get("id")?,
            actor: row.get("actor")?,
            action: row.get("action")?,
            target: row.get("target")?,
            outcome: row.get("outcome")?,
            detail: row.get("detail")?,
            request_id: row.get("request_id")?,
            occurred_at: row.get("occurred_at")?,
            previous_hash: row.get("previous_hash")?,
            hash: row.get("hash")?,
        })
    }
}

impl FromRow for AuditHead {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            lane: row.get("lane")?,
            sequence: row.get("sequence")?,
            hash: row.get("hash")?,
        })
    }
}

/// Reserves the next place in the lane of the transaction: its sequence and the hash before it.
/// [`append`] must follow.
pub async fn reserve(tx: &mut Tx) -> Result<AuditHead, StoreError> {
    // One lane for the whole transaction, so two transactions never wait for each other in a ring.
    let lane = tx.lane();
    let row = tx
        .fetch_optional(LOCK_HEAD, (tx.env(), lane, [0_u8; 32]))
        .await?;
    let row = row.ok_or(StoreError::RowCount {
        statement: LOCK_HEAD.name(),
        found: 0,
    })?;
    Ok(AuditHead {
        lane,
        sequence: row.get("sequence")?,
        hash: row.get("hash")?,
    })
}

/// Stores a record at the reserved place and makes it the end of its lane.
pub async fn append(tx: &mut Tx, record: &AuditRow) -> Result<(), StoreError> {
    let params = (
        tx.env(),
        record.lane,
        record.sequence,
        record.id,
        &record.actor,
        &record.action,
        &record.target,
        &record.outcome,
        &record.detail,
        &record.request_id,
        record.occurred_at,
        record.previous_hash,
        record.hash,
    );
    tx.execute(INSERT, params).await?;
    tx.execute(MOVE_HEAD, (tx.env(), record.lane, record.hash))
        .await?;
    Ok(())
}

/// The ends of all lanes.
pub async fn heads(from: &mut impl Query) -> Result<Vec<AuditHead>, StoreError> {
    from.fetch_all_as(HEADS, (from.env(),)).await
}

/// Records of a lane after a place, in order.
pub async fn chain(
    from: &mut impl Query,
    lane: u32,
    after: i64,
    limit: u32,
) -> Result<Vec<AuditRow>, StoreError> {
    from.fetch_all_as(CHAIN, (from.env(), lane, after, limit))
        .await
}

/// Records before a moment and id, latest first. Start with `(now, "~")`.
pub async fn latest(
    from: &mut impl Query,
    before: Timestamp,
    before_id: &str,
    limit: u32,
) -> Result<Vec<AuditRow>, StoreError> {
    from.fetch_all_as(LATEST, (from.env(), before, before_id, limit))
        .await
}

/// Number of records beyond the end of their lane, or in a lane without one.
pub async fn stray(from: &mut impl Query) -> Result<u64, StoreError> {
    let row = from.fetch_optional(STRAY, (from.env(),)).await?;
    row.map_or(Ok(0), |row| row.get("records"))
}
