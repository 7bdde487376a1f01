//! Runs of "test connection" (AK-116).

use crate::{Execute, FromRow, Query, Row, Sql, StoreError, Tx, sql};
use keystead_types::{AuthRequestId, ConnectionId, TestRequestId, Timestamp};

/// A run of "test connection".
#[derive(Clone, PartialEq, Debug)]
pub struct ConnectionTest {
    /// Id.
    pub id: TestRequestId,
    /// Connection.
    pub connection_id: ConnectionId,
    /// The link whose end is the test's.
    pub link_id: Option<AuthRequestId>,
    /// `PENDING`, `SUCCESS` or `FAILURE`.
    pub status: String,
    /// Code of a failure.
    pub error: String,
    /// Text of a failure.
    pub error_description: String,
    /// Start.
    pub created_at: Timestamp,
    /// End of the link.
    pub expires_at: Option<Timestamp>,
    /// End.
    pub finished_at: Option<Timestamp>,
}

impl FromRow for ConnectionTest {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get("id")?,
            connection_id: row.get("connection_id")?,
            link_id: row.get("link_id")?,
            status: row.get("status")?,
            error: row.get("error")?,
            error_description: row.get("error_description")?,
            created_at: row.get("created_at")?,
            expires_at: row.get("expires_at")?,
            finished_at: row.get("finished_at")?,
        })
    }
}

const INSERT: Sql = sql!(
    "connection_tests.insert",
    "INSERT INTO connection_tests (env_id, id, connection_id, link_id, status, error, error_description, created_at,
                                   expires_at, finished_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
);
const FINISH: Sql = sql!(
    "connection_tests.finish",
    "UPDATE connection_tests SET status = $3, error = $4, error_description = $5, finished_at = $6
     WHERE env_id = $1 AND link_id = $2 AND status <> 'SUCCESS'"
);
const FIND: Sql = sql!(
    "connection_tests.find",
    "SELECT * FROM connection_tests WHERE env_id = $1 AND connection_id = $2 AND id = $3"
);
const LAST: Sql = sql!(
    "connection_tests.last",
    "SELECT * FROM connection_tests WHERE env_id = $1 AND connection_id = $2 ORDER BY id DESC LIMIT 1"
);
const PURGE: Sql = sql!(
    "connection_tests.purge",
    "DELETE FROM connection_tests WHERE env_id = $1 AND id IN (
         SELECT id FROM connection_tests WHERE env_id = $1 AND created_at < $2 ORDER BY created_at LIMIT $3)"
);
const ANY_BEFORE: Sql = sql!(
    "connection_tests.any_before",
    "SELECT id FROM connection_tests WHERE env_id = $1 AND created_at < $2 LIMIT 1"
);
pub(crate) const STATEMENTS: &[Sql] = &[INSERT, FINISH, FIND, LAST, PURGE, ANY_BEFORE];

/// Adds a test.
pub async fn insert(tx: &mut Tx, test: &ConnectionTest) -> Result<(), StoreError> {
    let params = (
        tx.env(),
        test.id,
        test.connection_id,
        test.link_id,
        &test.status,
        &test.error,
        &test.error_description,
        test.created_at,
        test.expires_at,
        test.finished_at,
    );
    tx.execute(INSERT, params).await?;
    Ok(())
}

/// Stores how the test of a link ended, if the link is one of a test. A failed one may be tried
/// again while its link lives; a success stays.
pub async fn finish(
    tx: &mut Tx,
    link: AuthRequestId,
    status: &str,
    error: &str,
    error_description: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let params = (tx.env(), link, status, error, error_description, now);
    tx.execute(FINISH, params).await?;
    Ok(())
}

/// A test of a connection.
pub async fn find(
    db: &mut impl Query,
    connection: ConnectionId,
    id: TestRequestId,
) -> Result<Option<ConnectionTest>, StoreError> {
    let params = (db.env(), connection, id);
    db.fetch_optional_as(FIND, params).await
}

/// The newest test of a connection.
pub async fn last(
    db: &mut impl Query,
    connection: ConnectionId,
) -> Result<Option<ConnectionTest>, StoreError> {
    let params = (db.env(), connection);
    db.fetch_optional_as(LAST, params).await
}

/// Whether there are tests that began before `before`.
pub async fn any_before(from: &mut impl Query, before: Timestamp) -> Result<bool, StoreError> {
    let row = from
        .fetch_optional(ANY_BEFORE, (from.env(), before))
        .await?;
    Ok(row.is_some())
}

/// Removes at most `limit` tests that began before `before`; gives how many.
pub async fn purge(tx: &mut Tx, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
    tx.execute(PURGE, (tx.env(), before, limit)).await
}
