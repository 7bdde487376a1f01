//! Background work that survives a crash: queued in the transaction that wants it done.

use crate::{
    AdminSql, Execute, Fetch, FromRow, Query, Row, Sql, StoreError, Tx, admin, admin_sql, dialect,
    sql,
};
use keystead_types::{EnvironmentId, Id, JobId, Timestamp};
use std::time::Duration;

/// Work to be done.
#[derive(Clone, PartialEq, Debug)]
pub struct NewJob<'a> {
    /// Its id.
    pub id: JobId,
    /// Stable name of the work; never renamed, because old rows hold it.
    pub kind: &'static str,
    /// What the work needs to know. No secrets.
    pub payload: &'a serde_json::Value,
    /// While a job of the environment and kind with this key is queued, no other is; a dead one is
    /// queued again with all its tries.
    pub unique_key: Option<&'a str>,
    /// Not before.
    pub run_at: Timestamp,
    /// Tries until the job is set aside as dead. A node that dies during the work counts as one.
    pub max_attempts: u32,
    /// Now.
    pub created_at: Timestamp,
}

/// Work that was claimed. Only its holder can finish it, until the lease ends.
#[derive(Clone, PartialEq, Debug)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// The tenant; `None` for work of the installation.
    pub environment: Option<EnvironmentId>,
    /// Name of the work.
    pub kind: String,
    /// What it needs to know.
    pub payload: serde_json::Value,
    /// Number of this try, from 1; tells this claim from later ones.
    pub attempt: u32,
    /// Tries until it is dead.
    pub max_attempts: u32,
}

/// What became of a job that failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retry {
    /// It will run again.
    Later,
    /// It has failed too often and waits until it is wanted again.
    Dead,
    /// The lease had ended and somebody else has the job.
    Lost,
}

const ENQUEUE: Sql = sql!(
    "jobs.enqueue",
    "INSERT INTO jobs (id, env_id, kind, payload, unique_key, state, attempts, max_attempts, next_at, created_at)
     VALUES ($1, $2, $3, $4, $5, 'queued', 0, $6, $7, $8)
     ON CONFLICT (kind, unique_key) DO UPDATE SET state = 'queued', attempts = 0, max_attempts = excluded.max_attempts,
         payload = excluded.payload, next_at = excluded.next_at, holder = NULL, created_at = excluded.created_at
     WHERE jobs.state = 'dead'"
);
const BURY: AdminSql = admin_sql!(
    "jobs.bury",
    "UPDATE jobs SET state = 'dead', last_error = coalesce(last_error, 'the node stopped during the work')
     WHERE state = 'queued' AND next_at <= $1 AND attempts >= max_attempts"
);
const EXTEND: AdminSql = admin_sql!(
    "jobs.extend",
    "UPDATE jobs SET next_at = $3 WHERE id = $1 AND attempts = $2 AND state = 'queued' AND holder IS NOT NULL AND next_at > $4"
);
const COMPLETE: AdminSql = admin_sql!(
    "jobs.complete",
    "DELETE FROM jobs WHERE id = $1 AND attempts = $2 AND state = 'queued' AND holder IS NOT NULL"
);
const RETRY: AdminSql = admin_sql!(
    "jobs.retry",
    "UPDATE jobs SET holder = NULL, next_at = $3, last_error = $4,
         state = CASE WHEN attempts >= max_attempts THEN 'dead' ELSE 'queued' END
     WHERE id = $1 AND attempts = $2 AND state = 'queued' AND holder IS NOT NULL
     RETURNING state"
);
const COUNT: AdminSql = admin_sql!(
    "jobs.count",
    "SELECT state, count(*) AS jobs FROM jobs GROUP BY state"
);

const PURGE_DEAD: AdminSql = admin_sql!(
    "jobs.purge_dead",
    "DELETE FROM jobs WHERE id IN (
         SELECT id FROM jobs WHERE state = 'dead' AND created_at < $1 LIMIT $2)"
);

pub(crate) const STATEMENTS: &[Sql] = &[ENQUEUE];
pub(crate) const ADMIN_STATEMENTS: &[AdminSql] =
    &[BURY, EXTEND, COMPLETE, RETRY, COUNT, PURGE_DEAD];

impl FromRow for Job {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get("id")?,
            environment: row.get("env_id")?,
            kind: row.get("kind")?,
            payload: row.get("payload")?,
            attempt: row.get("attempts")?,
            max_attempts: row.get("max_attempts")?,
        })
    }
}

/// Queues work of the environment; it becomes visible with the commit. `false` when a job of the
/// kind with the same key is queued.
pub async fn enqueue(tx: &mut Tx, job: &NewJob<'_>) -> Result<bool, StoreError> {
    let env = tx.env();
    let max_attempts = job.max_attempts.max(1);
    let unique_key = job.unique_key.map(|key| format!("{env}/{key}"));
    let params = (
        job.id,
        env,
        job.kind,
        job.payload,
        unique_key,
        max_attempts,
        job.run_at,
        job.created_at,
    );
    Ok(tx.execute(ENQUEUE, params).await? == 1)
}

/// Takes up to `limit` jobs that are due, also those whose holder let the lease end, and keeps
/// them from others until `until`. Commit before starting the work.
pub async fn claim(
    tx: &mut admin::Tx,
    holder: &str,
    now: Timestamp,
    until: Timestamp,
    limit: u32,
) -> Result<Vec<Job>, StoreError> {
    tx.execute(BURY, (now,)).await?;
    tx.fetch_all_as(dialect::CLAIM_JOBS, (holder, until, now, limit))
        .await
}

/// Keeps the job until `until`; `false` when the lease had ended: the work must stop.
pub async fn extend(
    tx: &mut admin::Tx,
    job: &Job,
    now: Timestamp,
    until: Timestamp,
) -> Result<bool, StoreError> {
    Ok(tx
        .execute(EXTEND, (job.id, job.attempt, until, now))
        .await?
        == 1)
}

/// Removes a job that is done; `false` when somebody else has taken it over.
///
/// Where the result of the work is stored, do both in this transaction: [`admin::Tx::in_environment`].
pub async fn complete(tx: &mut admin::Tx, job: &Job) -> Result<bool, StoreError> {
    Ok(tx.execute(COMPLETE, (job.id, job.attempt)).await? == 1)
}

/// Puts a job that failed back into the queue for `run_at` ([`backoff`]). `error` must not hold
/// secrets.
pub async fn retry(
    tx: &mut admin::Tx,
    job: &Job,
    run_at: Timestamp,
    error: &str,
) -> Result<Retry, StoreError> {
    let row = tx
        .fetch_optional(RETRY, (job.id, job.attempt, run_at, error))
        .await?;
    let state: Option<String> = row.map(|row| row.get("state")).transpose()?;
    Ok(match state.as_deref() {
        Some("dead") => Retry::Dead,
        Some(_) => Retry::Later,
        None => Retry::Lost,
    })
}

/// Removes at most `limit` dead jobs that were queued before `before`; gives how many.
pub async fn purge_dead(
    tx: &mut admin::Tx,
    before: Timestamp,
    limit: u32,
) -> Result<u64, StoreError> {
    tx.execute(PURGE_DEAD, (before, limit)).await
}

/// Number of jobs by state, `queued` (waiting or running) and `dead`, for metrics.
pub async fn count(read: &mut admin::Read<'_>) -> Result<Vec<(String, u64)>, StoreError> {
    let rows = read.fetch_all(COUNT, ()).await?;
    rows.iter()
        .map(|row| Ok((row.get("state")?, row.get("jobs")?)))
        .collect()
}

/// How long to wait after a failed try: 2 s, 4 s, 8 s … at most an hour, and up to a quarter more
/// that depends on the id, so that jobs that failed together do not come back together.
pub fn backoff(job: &Job) -> Duration {
    let seconds = 2_u64.saturating_pow(job.attempt.max(1)).min(3600);
    let spread = job.id.number().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54;
    Duration::from_millis(seconds * 1000 + seconds * spread / 4)
}
