//! Work that is queued in the transaction that wants it done, and survives a crash.

use crate::{AgentKit, accounts::Removal, error::Result};
use keystead_store::jobs::{self, Job, Retry};
use keystead_types::Internal;
use std::time::Duration;

/// How long others leave a job to its holder.
const LEASE: Duration = Duration::from_secs(60);
/// Jobs that one process takes at a time: the lease of another would end while it waits.
const BATCH: u32 = 1;

impl AgentKit {
    /// Does the queued work that is due; gives how many jobs were tried.
    ///
    /// # Errors
    /// Those of the database. A job that fails is tried again later.
    pub async fn work_off(&self) -> Result<usize> {
        let (ctx, now) = (self.ctx(), self.ctx().clock.now());
        let mut tx = ctx.db.begin_admin().await?;
        let claimed = jobs::claim(&mut tx, self.holder(), now, now.plus(LEASE), BATCH).await?;
        tx.commit().await?;
        let count = claimed.len();
        for job in claimed {
            let outcome = self.perform(&job).await;
            let mut tx = ctx.db.begin_admin().await?;
            match outcome {
                Ok(()) => {
                    jobs::complete(&mut tx, &job).await?;
                }
                Err(error) => {
                    tracing::warn!(job = %job.id, kind = job.kind, %error, "a job failed");
                    let next = ctx.clock.now().plus(jobs::backoff(&job));
                    let retry = jobs::retry(&mut tx, &job, next, &error.to_string()).await?;
                    if retry == Retry::Dead {
                        tracing::error!(job = %job.id, kind = job.kind, "a job is given up");
                    }
                }
            }
            tx.commit().await?;
        }
        Ok(count)
    }

    /// Waits until this process queued work.
    pub async fn work_wanted(&self) {
        self.work().notified().await;
    }

    async fn perform(&self, job: &Job) -> Result<()> {
        let removal = Removal::of_job(job)?;
        self.remove(&removal, job).await
    }

    /// Keeps a job; `false` when somebody else has it and the work must stop.
    pub(crate) async fn keep(&self, job: &Job) -> Result<bool> {
        let now = self.ctx().clock.now();
        let mut tx = self.ctx().db.begin_admin().await?;
        let kept = jobs::extend(&mut tx, job, now, now.plus(LEASE)).await?;
        tx.commit().await?;
        Ok(kept)
    }
}

/// A job that this version cannot do.
pub(crate) fn unreadable(job: &Job) -> Internal {
    Internal::new(format!(
        "the job {} ({}) is not understood",
        job.id, job.kind
    ))
}
