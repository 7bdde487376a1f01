//! The outbox: what happened, in the transaction in which it happened.

use crate::{
    AdminSql, Execute, Fetch, FromRow, Query, Row, Sql, StoreError, Tx, admin, admin_sql, sql,
};
use keystead_types::{EnvironmentId, EventId, OrganizationId, Timestamp};

/// A row of the outbox.
#[derive(Clone, PartialEq, Debug)]
pub struct Event {
    /// The tenant.
    pub environment: EnvironmentId,
    /// Its id; subscribers recognise repeated deliveries by it.
    pub id: EventId,
    /// `object.what_happened`.
    pub kind: String,
    /// What it happened to.
    pub object: String,
    /// The organization concerned.
    pub organization_id: Option<OrganizationId>,
    /// Name for people.
    pub display_name: Option<String>,
    /// JSON object.
    pub data: serde_json::Value,
    /// When.
    pub occurred_at: Timestamp,
}

const INSERT: Sql = sql!(
    "events.insert",
    "INSERT INTO events (env_id, id, kind, object, organization_id, display_name, data, occurred_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
);
const LATEST: Sql = sql!(
    "events.latest",
    "SELECT env_id, id, kind, object, organization_id, display_name, data, occurred_at FROM events
     WHERE env_id = $1 AND (occurred_at, id) < ($2, $3) ORDER BY occurred_at DESC, id DESC LIMIT $4"
);
const PENDING: AdminSql = admin_sql!(
    "events.pending",
    "SELECT env_id, id, kind, object, organization_id, display_name, data, occurred_at FROM events
     WHERE dispatched_at IS NULL ORDER BY occurred_at, id LIMIT $1"
);
const DISPATCHED: Sql = sql!(
    "events.dispatched",
    "UPDATE events SET dispatched_at = $3 WHERE env_id = $1 AND id = $2 AND dispatched_at IS NULL"
);
const PURGE: Sql = sql!(
    "events.purge",
    "DELETE FROM events WHERE env_id = $1 AND id IN (
         SELECT id FROM events WHERE env_id = $1 AND occurred_at < $2 ORDER BY occurred_at, id LIMIT $3)"
);

const ANY_BEFORE: Sql = sql!(
    "events.any_before",
    "SELECT id FROM events WHERE env_id = $1 AND occurred_at < $2 LIMIT 1"
);

pub(crate) const STATEMENTS: &[Sql] = &[INSERT, LATEST, DISPATCHED, PURGE, ANY_BEFORE];
pub(crate) const ADMIN_STATEMENTS: &[AdminSql] = &[PENDING];

impl FromRow for Event {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            environment: row.get("env_id")?,
            id: row.get("id")?,
            kind: row.get("kind")?,
            object: row.get("object")?,
            organization_id: row.get("organization_id")?,
            display_name: row.get("display_name")?,
            data: row.get("data")?,
            occurred_at: row.get("occurred_at")?,
        })
    }
}

/// Adds an event to the environment of the transaction.
pub async fn insert(tx: &mut Tx, event: &Event) -> Result<(), StoreError> {
    let params = (
        tx.env(),
        event.id,
        &event.kind,
        &event.object,
        event.organization_id,
        &event.display_name,
        &event.data,
        event.occurred_at,
    );
    tx.execute(INSERT, params).await?;
    Ok(())
}

/// Events before a moment and id, latest first. Start with `(now, "~")`.
pub async fn latest(
    from: &mut impl Query,
    before: Timestamp,
    before_id: &str,
    limit: u32,
) -> Result<Vec<Event>, StoreError> {
    from.fetch_all_as(LATEST, (from.env(), before, before_id, limit))
        .await
}

/// Events of all environments that were not handed on yet, oldest first.
pub async fn pending(read: &mut admin::Read<'_>, limit: u32) -> Result<Vec<Event>, StoreError> {
    read.fetch_all_as(PENDING, (limit,)).await
}

/// Marks an event as handed on; `false` when it already was.
pub async fn dispatched(tx: &mut Tx, id: EventId, at: Timestamp) -> Result<bool, StoreError> {
    Ok(tx.execute(DISPATCHED, (tx.env(), id, at)).await? == 1)
}

/// Removes at most `limit` events from before a moment; gives how many.
pub async fn purge(tx: &mut Tx, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
    tx.execute(PURGE, (tx.env(), before, limit)).await
}

/// Whether there are events from before a moment.
pub async fn any_before(from: &mut impl Query, before: Timestamp) -> Result<bool, StoreError> {
    let row = from
        .fetch_optional(ANY_BEFORE, (from.env(), before))
        .await?;
    Ok(row.is_some())
}
